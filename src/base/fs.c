/* What every store needs on top of a struct fs: whole files in, whole files out, trees gone.
 *
 * F1  fs_replace_file never leaves a half-written file under the wanted name: the bytes go to "<path>.tmp", are synced,
 *     and only then renamed; the directory is synced after that. One writer per path. */
#include "base/fs.h"

enum { TREE_DEPTH_MAX = 64 };

bool fs_read_file(struct fs *fs, struct str path, size_t limit_bytes, struct buf *out, struct err *err)
{
    struct fs_file *f;
    if (!fs->open(fs, path, FS_READ, &f, err))
        return false;
    size_t before = out->n;
    uint64_t size;
    bool ok = fs->size(fs, f, &size, err);
    if (ok && size > limit_bytes)
        ok = err_set(err, ERR_LIMIT, "%.*s: %llu bytes are more than the limit of %zu", STR_ARG(path),
                     (unsigned long long)size, limit_bytes);
    /* The size is a hint (a file of /proc has none): read until nothing comes, one byte past the hint. */
    size_t total = 0;
    while (ok) {
        size_t want = total < size ? (size_t)size - total + 1 : 4096;
        size_t got = 0;
        buf_reserve(out, want);
        ok = fs->read(fs, f, total, out->p + out->n, want, &got, err);
        if (!ok || got == 0)
            break;
        total += got;
        out->n += got;
        out->p[out->n] = 0;
        if (total > limit_bytes)
            ok = err_set(err, ERR_LIMIT, "%.*s: more bytes than the limit of %zu", STR_ARG(path), limit_bytes);
    }
    if (!ok && out->p)
        buf_truncate(out, before);
    fs->close(fs, f);
    return ok;
}

static struct str dir_of(struct str path)
{
    size_t slash = str_rfind_byte(path, '/');
    if (slash == STR_NPOS)
        return STR(".");
    return slash == 0 ? STR("/") : str_of(path.p, slash);
}

static bool write_synced(struct fs *fs, struct str path, struct str bytes, struct err *err)
{
    struct fs_file *f;
    if (!fs->open(fs, path, FS_WRITE | FS_CREATE | FS_TRUNCATE, &f, err))
        return false;
    bool ok = fs->write(fs, f, 0, bytes.p, bytes.n, err) && fs->sync(fs, f, err);
    fs->close(fs, f);
    return ok;
}

bool fs_replace_file(struct fs *fs, struct str path, struct str bytes, struct err *err)
{
    struct buf temp = { 0 };
    buf_str(&temp, path);
    buf_c(&temp, ".tmp");
    bool ok = write_synced(fs, buf_view(&temp), bytes, err) && fs->rename(fs, buf_view(&temp), path, err);
    if (!ok) {
        struct err ignored; /* the first failure is the one to tell */
        if (!fs->remove(fs, buf_view(&temp), &ignored))
            ASSERT(ignored.code != ERR_NONE);
    }
    buf_deinit(&temp);
    return ok && fs->sync_dir(fs, dir_of(path), err);
}

static bool remove_tree(struct fs *fs, struct buf *path, int depth, struct err *err)
{
    if (depth > TREE_DEPTH_MAX)
        return err_set(err, ERR_LIMIT, "%.*s: more than %d folders deep", STR_ARG(buf_view(path)), TREE_DEPTH_MAX);
    struct fs_stat st;
    if (!fs->stat(fs, buf_view(path), &st, err))
        return false;
    bool ok = true;
    if (st.is_dir) {
        struct buf names = { 0 };
        size_t length = path->n;
        ok = fs->list(fs, buf_view(path), &names, err);
        struct str rest = buf_view(&names), name;
        while (ok && rest.n && str_split(&rest, '\0', &name) && name.n) {
            buf_byte(path, '/');
            buf_str(path, name);
            ok = remove_tree(fs, path, depth + 1, err);
            buf_truncate(path, length);
        }
        buf_deinit(&names);
    }
    return ok && fs->remove(fs, buf_view(path), err);
}

bool fs_remove_tree(struct fs *fs, struct str path, struct err *err)
{
    if (!fs_exists(fs, path))
        return true;
    struct buf at = { 0 };
    buf_str(&at, path);
    bool ok = remove_tree(fs, &at, 0, err);
    buf_deinit(&at);
    return ok;
}

bool fs_mkdir_all(struct fs *fs, struct str path, struct err *err)
{
    for (size_t i = 1; i < path.n; i++)
        if (path.p[i] == '/' && path.p[i - 1] != '/' && !fs_exists(fs, str_of(path.p, i)) &&
            !fs->mkdir(fs, str_of(path.p, i), err))
            return false;
    return path.n == 0 || fs->mkdir(fs, path, err);
}

bool fs_exists(struct fs *fs, struct str path)
{
    struct fs_stat st;
    struct err ignored;
    return fs->stat(fs, path, &st, &ignored);
}
