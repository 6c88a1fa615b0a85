/* The memory file system.
 *
 * Two views are kept of everything: now, and what a crash leaves for sure. Between them lie logs of changes, one per file
 * (writes and truncations) and one of names per file system; a sync empties a log into the durable view, a crash replays a
 * prefix of it, none by default.
 *
 * A name is a whole path; folders are nodes too. */
#include "lib/memfs.h"

#include "base/lock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

struct change { /* of a file */
    bool truncate;
    uint64_t at; /* or the new size */
    struct buf bytes;
};

struct node {
    uint64_t refs; /* names in either view, name changes, handles */
    bool is_dir, locked;
    struct buf now, durable;
    struct change *changes;
    size_t changes_count, changes_capacity;
};

struct name {
    struct buf path;
    struct node *node;
};
struct names {
    struct name *list; /* sorted by path */
    size_t count, capacity;
};

struct name_change { /* node NULL: the name was removed */
    struct buf path;
    struct node *node;
    struct buf from; /* not empty: a folder was renamed, with all that is in it */
};

struct fs_file {
    struct node *node;
    unsigned flags;
    uint64_t epoch;
    bool holds_lock;
};

struct memfs {
    struct fs fs; /* first, so that a struct fs * is a struct memfs * */
    struct lock lock; /* everything below */
    struct names now, durable;
    struct name_change *changes;
    size_t changes_count, changes_capacity;
    struct memfs_faults faults;
    uint64_t ops, writes, syncs;
    uint64_t ops_base, writes_base, syncs_base; /* when the faults were set */
    uint64_t epoch;                             /* rises with each crash */
};

static struct memfs *self(struct fs *fs)
{
    return (struct memfs *)(void *)fs;
}

/* Nodes */

static void change_free(struct change *c)
{
    buf_deinit(&c->bytes);
}

static void node_settle(struct node *n) /* now becomes durable */
{
    for (size_t i = 0; i < n->changes_count; i++)
        change_free(&n->changes[i]);
    n->changes_count = 0;
    buf_reset(&n->durable);
    buf_str(&n->durable, buf_view(&n->now));
}

static struct node *node_retain(struct node *n)
{
    n->refs++;
    return n;
}

static void node_release(struct node *n)
{
    if (!n || --n->refs > 0)
        return;
    for (size_t i = 0; i < n->changes_count; i++)
        change_free(&n->changes[i]);
    mem_free(n->changes);
    buf_deinit(&n->now);
    buf_deinit(&n->durable);
    mem_free(n);
}

static void apply_write(struct buf *b, uint64_t at, struct str bytes)
{
    size_t start = size_from_i64((int64_t)at);
    if (start + bytes.n > b->n)
        buf_fill(b, 0, start + bytes.n - b->n);
    if (bytes.n)
        memcpy(b->p + start, bytes.p, bytes.n);
}

static void apply_truncate(struct buf *b, uint64_t size)
{
    if (size > b->n)
        buf_fill(b, 0, size_from_i64((int64_t)size) - b->n);
    else if (b->p)
        buf_truncate(b, (size_t)size);
}

static struct change *node_log(struct node *n)
{
    if (n->changes_count == n->changes_capacity) {
        n->changes_capacity = mem_grow(n->changes_capacity, n->changes_count + 1);
        n->changes = mem_realloc_array(n->changes, n->changes_capacity, sizeof *n->changes);
    }
    struct change *c = &n->changes[n->changes_count++];
    *c = (struct change){ 0 };
    return c;
}

static void node_write(struct node *n, uint64_t at, struct str bytes)
{
    apply_write(&n->now, at, bytes);
    struct change *c = node_log(n);
    c->at = at;
    buf_str(&c->bytes, bytes);
}

static void node_truncate(struct node *n, uint64_t size)
{
    apply_truncate(&n->now, size);
    struct change *c = node_log(n);
    c->truncate = true;
    c->at = size;
}

/* What is left of a file: durable, and with rng a prefix of the rest. */
static void node_crash(struct node *n, struct rng *rng)
{
    size_t keep = rng ? (size_t)rng_below(rng, n->changes_count + 1) : 0;
    for (size_t i = 0; i < keep; i++) {
        struct change *c = &n->changes[i];
        size_t bytes = c->bytes.n;
        if (i + 1 == keep && bytes)
            bytes = (size_t)rng_below(rng, bytes + 1);
        if (c->truncate)
            apply_truncate(&n->durable, c->at);
        else
            apply_write(&n->durable, c->at, str_of(c->bytes.p, bytes));
    }
    buf_reset(&n->now);
    buf_str(&n->now, buf_view(&n->durable));
    n->locked = false;
    node_settle(n);
}

/* Names */

/* "./a//b/" is "a/b"; the root is "". An absolute path keeps its slash out: the two roots are one. */
static void clean_path(struct str path, struct buf *out)
{
    struct str rest = path, part;
    while (rest.n && str_split(&rest, '/', &part)) {
        if (part.n == 0 || str_eq(part, STR(".")))
            continue;
        if (out->n)
            buf_byte(out, '/');
        buf_str(out, part);
    }
}

static size_t names_place(const struct names *names, struct str path, bool *found)
{
    size_t low = 0, high = names->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (str_cmp(buf_view(&names->list[mid].path), path) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *found = low < names->count && str_eq(buf_view(&names->list[low].path), path);
    return low;
}

static struct node *names_get(const struct names *names, struct str path)
{
    bool found;
    size_t i = names_place(names, path, &found);
    return found ? names->list[i].node : NULL;
}

/* node NULL removes. */
static void names_set(struct names *names, struct str path, struct node *node)
{
    bool found;
    size_t i = names_place(names, path, &found);
    if (found) {
        struct node *before = names->list[i].node;
        if (node) {
            names->list[i].node = node_retain(node);
        } else {
            buf_deinit(&names->list[i].path);
            names->count--;
            memmove(names->list + i, names->list + i + 1, (names->count - i) * sizeof *names->list);
        }
        node_release(before);
        return;
    }
    if (!node)
        return;
    if (names->count == names->capacity) {
        names->capacity = mem_grow(names->capacity, names->count + 1);
        names->list = mem_realloc_array(names->list, names->capacity, sizeof *names->list);
    }
    memmove(names->list + i + 1, names->list + i, (names->count - i) * sizeof *names->list);
    names->list[i] = (struct name){ .node = node_retain(node) };
    buf_str(&names->list[i].path, path);
    names->count++;
}

static void names_deinit(struct names *names)
{
    while (names->count) {
        struct name *last = &names->list[--names->count];
        node_release(last->node);
        buf_deinit(&last->path);
    }
    mem_free(names->list);
}

static struct str parent_of(struct str path)
{
    size_t slash = str_rfind_byte(path, '/');
    return slash == STR_NPOS ? STR("") : str_of(path.p, slash);
}

static bool is_dir(const struct memfs *m, struct str path)
{
    const struct node *n = names_get(&m->now, path);
    return path.n == 0 || (n && n->is_dir);
}

/* A change of the namespace, logged until the directory is synced. */
static void change_name(struct memfs *m, struct str path, struct node *node)
{
    if (m->changes_count == m->changes_capacity) {
        m->changes_capacity = mem_grow(m->changes_capacity, m->changes_count + 1);
        m->changes = mem_realloc_array(m->changes, m->changes_capacity, sizeof *m->changes);
    }
    struct name_change *c = &m->changes[m->changes_count++];
    *c = (struct name_change){ .node = node ? node_retain(node) : NULL };
    buf_str(&c->path, path);
    names_set(&m->now, path, node);
}

static bool is_below(struct str path, struct str dir)
{
    return path.n > dir.n && path.p[dir.n] == '/' && str_starts(path, dir);
}

/* The path with the folder `from` at its start replaced, if it is that or below it. */
static void repath(struct buf *path, struct str from, struct str to)
{
    struct str was = buf_view(path);
    struct buf moved = { 0 };
    if (!str_eq(was, from) && !is_below(was, from))
        return;
    buf_str(&moved, to);
    buf_str(&moved, str_from(was, from.n));
    buf_deinit(path);
    *path = moved;
}

/* A folder and its content under another name. */
static void names_move(struct names *names, struct str from, struct str to)
{
    bool found;
    size_t i = names_place(names, from, &found);
    while (i < names->count && str_starts(buf_view(&names->list[i].path), from)) {
        struct str path = buf_view(&names->list[i].path);
        if (!str_eq(path, from) && !is_below(path, from)) { /* from.tmp is before from/a */
            i++;
            continue;
        }
        struct buf target = { 0 };
        struct node *n = node_retain(names->list[i].node);
        buf_str(&target, path);
        repath(&target, from, to);
        names_set(names, path, NULL);
        names_set(names, buf_view(&target), n);
        node_release(n);
        buf_deinit(&target);
        i = names_place(names, from, &found); /* the new name may have come before it */
    }
}

/* As change_name, for a folder: what is in it goes along at once, whenever the change becomes durable. */
static void change_folder(struct memfs *m, struct str from, struct str to)
{
    struct node *n = node_retain(names_get(&m->now, from));
    names_move(&m->now, from, to);
    change_name(m, to, n);
    buf_str(&m->changes[m->changes_count - 1].from, from);
    node_release(n);
}

static void apply_name(struct names *names, const struct name_change *c)
{
    if (c->from.n)
        names_move(names, buf_view(&c->from), buf_view(&c->path));
    else
        names_set(names, buf_view(&c->path), c->node);
}

static void name_change_free(struct name_change *c)
{
    buf_deinit(&c->path);
    buf_deinit(&c->from);
    node_release(c->node);
}

/* Changes of names in the folder become durable. A folder above it whose renaming is not durable still has its old name
 * there; and once it is, what is not durable of its content goes by the new one. */
static void sync_names(struct memfs *m, struct str dir)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->changes_count; i++) {
        struct name_change *c = &m->changes[i];
        if (!str_eq(parent_of(buf_view(&c->path)), dir)) {
            m->changes[kept++] = *c;
            continue;
        }
        for (size_t k = kept; k-- > 0;) {
            if (m->changes[k].from.n && !c->from.n)
                repath(&c->path, buf_view(&m->changes[k].path), buf_view(&m->changes[k].from));
        }
        apply_name(&m->durable, c);
        for (size_t k = 0; k < kept && c->from.n; k++)
            repath(&m->changes[k].path, buf_view(&c->from), buf_view(&c->path));
        name_change_free(c);
    }
    m->changes_count = kept;
}

/* Faults */

static bool stopped(const struct memfs *m)
{
    uint64_t stop = m->faults.stop_after_ops;
    return stop == UINT64_MAX || (stop && m->ops - m->ops_base >= stop);
}

/* Every operation begins here: false if the machine is dead. `changes` says that it is counted. */
static bool begin(struct memfs *m, bool changes, struct str path, struct err *err)
{
    if (stopped(m))
        return err_errno(err, EIO, "memfs %.*s", STR_ARG(path));
    m->ops += changes;
    return true;
}

static uint64_t bytes_in_use(const struct memfs *m)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < m->now.count; i++)
        sum += m->now.list[i].node->now.n;
    return sum;
}

static bool usable(const struct memfs *m, const struct fs_file *f, struct err *err)
{
    return f->epoch == m->epoch || err_errno(err, EIO, "memfs: file from before the crash");
}

/* struct fs */

static bool open_node(struct memfs *m, struct str path, unsigned flags, struct node **out, struct err *err)
{
    struct node *n = names_get(&m->now, path);
    if (path.n == 0 || (n && n->is_dir))
        return err_errno(err, EISDIR, "open %.*s", STR_ARG(path));
    if (!n && !(flags & FS_CREATE))
        return err_errno(err, ENOENT, "open %.*s", STR_ARG(path));
    if (n && (flags & FS_CREATE) && (flags & FS_EXCLUSIVE))
        return err_errno(err, EEXIST, "open %.*s", STR_ARG(path));
    if (!is_dir(m, parent_of(path)))
        return err_errno(err, ENOENT, "open %.*s", STR_ARG(path));
    bool truncate = n && (flags & FS_TRUNCATE) && n->now.n > 0;
    if (!begin(m, !n || truncate, path, err))
        return false;
    if (!n) {
        n = MEM_NEW(struct node);
        change_name(m, path, n);
    } else if (truncate) {
        node_truncate(n, 0);
    }
    *out = n;
    return true;
}

static bool fs_open(struct fs *fs, struct str path, unsigned flags, struct fs_file **f, struct err *err)
{
    struct memfs *m = self(fs);
    struct buf clean = { 0 };
    clean_path(path, &clean);
    lock_take(&m->lock);
    struct node *n = NULL;
    bool ok = open_node(m, buf_view(&clean), flags, &n, err);
    if (ok) {
        *f = MEM_NEW(struct fs_file);
        **f = (struct fs_file){ .node = node_retain(n), .flags = flags, .epoch = m->epoch };
    }
    lock_give(&m->lock);
    buf_deinit(&clean);
    return ok;
}

static void fs_close(struct fs *fs, struct fs_file *f)
{
    struct memfs *m = self(fs);
    lock_take(&m->lock);
    if (f->holds_lock && f->epoch == m->epoch)
        f->node->locked = false;
    node_release(f->node);
    lock_give(&m->lock);
    mem_free(f);
}

static bool fs_read(struct fs *fs, struct fs_file *f, uint64_t at, void *p, size_t n, size_t *got, struct err *err)
{
    struct memfs *m = self(fs);
    lock_take(&m->lock);
    bool ok = usable(m, f, err) && begin(m, false, STR("read"), err);
    if (ok) {
        struct str rest = str_from(buf_view(&f->node->now), (size_t)at);
        *got = rest.n < n ? rest.n : n;
        if (*got)
            memcpy(p, rest.p, *got);
    }
    lock_give(&m->lock);
    return ok;
}

/* How much of this write gets through, and why not all. */
static size_t allowed(struct memfs *m, uint64_t end, uint64_t size, size_t n, int *errnum)
{
    const struct memfs_faults *faults = &m->faults;
    uint64_t number = m->writes - m->writes_base;
    uint64_t fail_count = faults->fail_writes ? faults->fail_writes : 1;
    *errnum = 0;
    if (faults->fail_write_at && number >= faults->fail_write_at && number - faults->fail_write_at < fail_count) {
        *errnum = EIO;
        return faults->fail_write_keep < n ? faults->fail_write_keep : n;
    }
    uint64_t growth = end > size ? end - size : 0;
    uint64_t used = bytes_in_use(m);
    if (!faults->capacity_bytes || growth == 0 || used + growth <= faults->capacity_bytes)
        return n;
    *errnum = ENOSPC;
    uint64_t room = faults->capacity_bytes > used ? faults->capacity_bytes - used : 0;
    uint64_t missing = growth - room;
    return missing < n ? n - (size_t)missing : 0;
}

static bool fs_write(struct fs *fs, struct fs_file *f, uint64_t at, const void *p, size_t n, struct err *err)
{
    struct memfs *m = self(fs);
    lock_take(&m->lock);
    bool ok = usable(m, f, err) && begin(m, true, STR("write"), err);
    if (ok && !(f->flags & FS_WRITE))
        ok = err_errno(err, EBADF, "write");
    if (ok) {
        m->writes++;
        if (f->flags & FS_APPEND)
            at = f->node->now.n;
        int errnum;
        size_t keep = allowed(m, at + n, f->node->now.n, n, &errnum);
        if (keep)
            node_write(f->node, at, str_of(p, keep));
        ok = errnum == 0 || err_errno(err, errnum, "write");
    }
    lock_give(&m->lock);
    return ok;
}

static bool fs_sync(struct fs *fs, struct fs_file *f, struct err *err)
{
    struct memfs *m = self(fs);
    lock_take(&m->lock);
    bool ok = usable(m, f, err) && begin(m, true, STR("sync"), err);
    if (ok) {
        m->syncs++;
        if (m->faults.fail_sync_at && m->syncs - m->syncs_base == m->faults.fail_sync_at)
            ok = err_errno(err, EIO, "sync");
        else
            node_settle(f->node);
    }
    lock_give(&m->lock);
    return ok;
}

static bool fs_truncate(struct fs *fs, struct fs_file *f, uint64_t size, struct err *err)
{
    struct memfs *m = self(fs);
    lock_take(&m->lock);
    bool ok = usable(m, f, err) && begin(m, true, STR("truncate"), err);
    if (ok && !(f->flags & FS_WRITE))
        ok = err_errno(err, EINVAL, "truncate");
    if (ok)
        node_truncate(f->node, size);
    lock_give(&m->lock);
    return ok;
}

static bool fs_size(struct fs *fs, struct fs_file *f, uint64_t *size, struct err *err)
{
    struct memfs *m = self(fs);
    lock_take(&m->lock);
    bool ok = usable(m, f, err) && begin(m, false, STR("size"), err);
    *size = f->node->now.n;
    lock_give(&m->lock);
    return ok;
}

static bool fs_map(struct fs *fs, struct fs_file *f, struct fs_map *map, struct err *err)
{
    struct memfs *m = self(fs);
    lock_take(&m->lock);
    bool ok = usable(m, f, err) && begin(m, false, STR("map"), err);
    if (ok)
        *map = (struct fs_map){ mem_dup(f->node->now.p, f->node->now.n), f->node->now.n };
    lock_give(&m->lock);
    return ok;
}

static void fs_unmap(struct fs *fs, struct fs_map *map)
{
    (void)fs;
    mem_free((void *)(uintptr_t)map->p);
    *map = (struct fs_map){ 0 };
}

static bool fs_stat(struct fs *fs, struct str path, struct fs_stat *st, struct err *err)
{
    struct memfs *m = self(fs);
    struct buf clean = { 0 };
    clean_path(path, &clean);
    lock_take(&m->lock);
    bool ok = begin(m, false, path, err);
    if (ok) {
        const struct node *n = names_get(&m->now, buf_view(&clean));
        if (!n && clean.n)
            ok = err_errno(err, ENOENT, "stat %.*s", STR_ARG(path));
        else
            *st = (struct fs_stat){ .size_bytes = n ? n->now.n : 0, .is_dir = !n || n->is_dir };
    }
    lock_give(&m->lock);
    buf_deinit(&clean);
    return ok;
}

/* Moves a name and, for a folder, every name below it. */
static bool with_two_paths(struct fs *fs, struct str from, struct str to,
                           bool (*act)(struct memfs *m, struct str from, struct str to, struct err *err),
                           struct err *err)
{
    struct memfs *m = self(fs);
    struct buf a = { 0 }, b = { 0 };
    clean_path(from, &a);
    clean_path(to, &b);
    lock_take(&m->lock);
    bool ok = begin(m, true, from, err) && act(m, buf_view(&a), buf_view(&b), err);
    lock_give(&m->lock);
    buf_deinit(&a);
    buf_deinit(&b);
    return ok;
}

static bool has_children(const struct memfs *m, struct str dir)
{
    bool found;
    for (size_t i = names_place(&m->now, dir, &found); i < m->now.count; i++) {
        struct str name = buf_view(&m->now.list[i].path);
        if (!str_starts(name, dir))
            break;
        if (str_eq(parent_of(name), dir)) /* what lost its folder in a crash is not in the way */
            return true;
    }
    return false;
}

static bool rename_locked(struct memfs *m, struct str from, struct str to, struct err *err)
{
    const struct node *n = names_get(&m->now, from), *target = names_get(&m->now, to);
    if (!n || !is_dir(m, parent_of(to)))
        return err_errno(err, ENOENT, "rename %.*s %.*s", STR_ARG(from), STR_ARG(to));
    if (str_starts(to, from) && to.n > from.n && to.p[from.n] == '/')
        return err_errno(err, EINVAL, "rename %.*s %.*s", STR_ARG(from), STR_ARG(to));
    if (target && target->is_dir && (!n->is_dir || has_children(m, to)))
        return err_errno(err, n->is_dir ? ENOTEMPTY : EEXIST, "rename %.*s %.*s", STR_ARG(from), STR_ARG(to));
    if (str_eq(from, to))
        return true;
    if (n->is_dir) {
        change_folder(m, from, to);
    } else {
        struct node *file = names_get(&m->now, from);
        change_name(m, to, file);
        change_name(m, from, NULL);
    }
    return true;
}

static bool fs_rename(struct fs *fs, struct str from, struct str to, struct err *err)
{
    return with_two_paths(fs, from, to, rename_locked, err);
}

static bool link_locked(struct memfs *m, struct str from, struct str to, struct err *err)
{
    struct node *n = names_get(&m->now, from);
    if (!n || n->is_dir || !is_dir(m, parent_of(to)))
        return err_errno(err, n && n->is_dir ? EPERM : ENOENT, "link %.*s %.*s", STR_ARG(from), STR_ARG(to));
    if (names_get(&m->now, to))
        return err_errno(err, EEXIST, "link %.*s %.*s", STR_ARG(from), STR_ARG(to));
    change_name(m, to, n);
    return true;
}

static bool fs_link(struct fs *fs, struct str from, struct str to, struct err *err)
{
    return with_two_paths(fs, from, to, link_locked, err);
}

static bool with_path(struct fs *fs, struct str path, bool changes,
                      bool (*act)(struct memfs *m, struct str path, struct err *err), struct err *err)
{
    struct memfs *m = self(fs);
    struct buf clean = { 0 };
    clean_path(path, &clean);
    lock_take(&m->lock);
    bool ok = begin(m, changes, path, err) && act(m, buf_view(&clean), err);
    lock_give(&m->lock);
    buf_deinit(&clean);
    return ok;
}

static bool remove_locked(struct memfs *m, struct str path, struct err *err)
{
    const struct node *n = names_get(&m->now, path);
    if (!n)
        return err_errno(err, ENOENT, "remove %.*s", STR_ARG(path));
    if (n->is_dir && has_children(m, path))
        return err_errno(err, ENOTEMPTY, "remove %.*s", STR_ARG(path));
    change_name(m, path, NULL);
    return true;
}

static bool fs_remove(struct fs *fs, struct str path, struct err *err)
{
    return with_path(fs, path, true, remove_locked, err);
}

static bool mkdir_locked(struct memfs *m, struct str path, struct err *err)
{
    if (is_dir(m, path))
        return true;
    if (names_get(&m->now, path))
        return err_errno(err, EEXIST, "mkdir %.*s", STR_ARG(path));
    if (!is_dir(m, parent_of(path)))
        return err_errno(err, ENOENT, "mkdir %.*s", STR_ARG(path));
    struct node *n = MEM_NEW(struct node);
    n->is_dir = true;
    change_name(m, path, n);
    return true;
}

static bool fs_mkdir(struct fs *fs, struct str path, struct err *err)
{
    return with_path(fs, path, true, mkdir_locked, err);
}

static bool sync_dir_locked(struct memfs *m, struct str path, struct err *err)
{
    if (!is_dir(m, path))
        return err_errno(err, ENOENT, "sync %.*s", STR_ARG(path));
    sync_names(m, path);
    return true;
}

static bool fs_sync_dir(struct fs *fs, struct str path, struct err *err)
{
    return with_path(fs, path, true, sync_dir_locked, err);
}

static bool fs_list(struct fs *fs, struct str path, struct buf *out, struct err *err)
{
    struct memfs *m = self(fs);
    struct buf clean = { 0 };
    clean_path(path, &clean);
    struct str dir = buf_view(&clean);
    lock_take(&m->lock);
    bool ok = begin(m, false, path, err);
    if (ok && !is_dir(m, dir))
        ok = err_errno(err, ENOENT, "open %.*s", STR_ARG(path));
    bool found;
    for (size_t i = names_place(&m->now, dir, &found); ok && i < m->now.count; i++) {
        struct str name = buf_view(&m->now.list[i].path);
        if (!str_starts(name, dir))
            break;
        if (name.n == 0 || !str_eq(parent_of(name), dir))
            continue;
        buf_str(out, str_from(name, dir.n ? dir.n + 1 : 0));
        buf_byte(out, 0);
    }
    lock_give(&m->lock);
    buf_deinit(&clean);
    return ok;
}

static bool fs_lock(struct fs *fs, struct fs_file *f, struct err *err)
{
    struct memfs *m = self(fs);
    lock_take(&m->lock);
    bool ok = usable(m, f, err) && begin(m, false, STR("lock"), err);
    if (ok && f->node->locked && !f->holds_lock)
        ok = err_set(err, ERR_CONFLICT, "resource temporarily unavailable");
    if (ok)
        f->node->locked = f->holds_lock = true;
    lock_give(&m->lock);
    return ok;
}

/* Tests' side */

struct memfs *memfs_new(void)
{
    struct memfs *m = MEM_NEW(struct memfs);
    lock_init(&m->lock);
    m->fs = (struct fs){
        .open = fs_open,
        .close = fs_close,
        .read = fs_read,
        .write = fs_write,
        .sync = fs_sync,
        .truncate = fs_truncate,
        .size = fs_size,
        .map = fs_map,
        .unmap = fs_unmap,
        .stat = fs_stat,
        .rename = fs_rename,
        .remove = fs_remove,
        .mkdir = fs_mkdir,
        .sync_dir = fs_sync_dir,
        .link = fs_link,
        .list = fs_list,
        .lock = fs_lock,
    };
    return m;
}

static void forget_changes(struct memfs *m)
{
    for (size_t i = 0; i < m->changes_count; i++)
        name_change_free(&m->changes[i]);
    m->changes_count = 0;
}

void memfs_free(struct memfs *m)
{
    if (!m)
        return;
    forget_changes(m);
    mem_free(m->changes);
    names_deinit(&m->now);
    names_deinit(&m->durable);
    lock_deinit(&m->lock);
    mem_free(m);
}

struct fs *memfs_fs(struct memfs *m)
{
    return &m->fs;
}

void memfs_set_faults(struct memfs *m, const struct memfs_faults *faults)
{
    lock_take(&m->lock);
    m->faults = faults ? *faults : (struct memfs_faults){ 0 };
    m->ops_base = m->ops;
    m->writes_base = m->writes;
    m->syncs_base = m->syncs;
    lock_give(&m->lock);
}

static uint64_t read_locked(struct memfs *m, const uint64_t *counter)
{
    lock_take(&m->lock);
    uint64_t v = *counter;
    lock_give(&m->lock);
    return v;
}

uint64_t memfs_ops(struct memfs *m)
{
    return read_locked(m, &m->ops);
}

uint64_t memfs_writes(struct memfs *m)
{
    return read_locked(m, &m->writes);
}

uint64_t memfs_syncs(struct memfs *m)
{
    return read_locked(m, &m->syncs);
}

uint64_t memfs_bytes(struct memfs *m)
{
    lock_take(&m->lock);
    uint64_t v = bytes_in_use(m);
    lock_give(&m->lock);
    return v;
}

/* The names of now become those that last. */
static void settle_names(struct memfs *m)
{
    names_deinit(&m->durable);
    m->durable = (struct names){ 0 };
    for (size_t i = 0; i < m->now.count; i++)
        names_set(&m->durable, buf_view(&m->now.list[i].path), m->now.list[i].node);
}

void memfs_crash(struct memfs *m, struct rng *rng)
{
    lock_take(&m->lock);
    m->epoch++;
    m->faults = (struct memfs_faults){ 0 };
    size_t keep = rng ? (size_t)rng_below(rng, m->changes_count + 1) : 0;
    for (size_t i = 0; i < keep; i++)
        apply_name(&m->durable, &m->changes[i]);
    forget_changes(m);
    names_deinit(&m->now);
    m->now = (struct names){ 0 };
    for (size_t i = 0; i < m->durable.count; i++) {
        struct str path = buf_view(&m->durable.list[i].path);
        if (!is_dir(m, parent_of(path))) /* a folder comes before what is in it; what was in a lost one is lost */
            continue;
        node_crash(m->durable.list[i].node, rng);
        names_set(&m->now, path, m->durable.list[i].node);
    }
    settle_names(m);
    lock_give(&m->lock);
}

void memfs_write_back(struct memfs *m)
{
    lock_take(&m->lock);
    forget_changes(m);
    for (size_t i = 0; i < m->now.count; i++)
        node_settle(m->now.list[i].node);
    settle_names(m);
    lock_give(&m->lock);
}

static void put_dirs(struct memfs *m, struct str path)
{
    struct str dir = parent_of(path);
    if (dir.n == 0 || names_get(&m->now, dir))
        return;
    put_dirs(m, dir);
    struct node *n = MEM_NEW(struct node);
    n->is_dir = true;
    names_set(&m->now, dir, n);
    names_set(&m->durable, dir, n);
}

void memfs_put(struct memfs *m, struct str path, struct str bytes)
{
    struct buf clean = { 0 };
    clean_path(path, &clean);
    lock_take(&m->lock);
    put_dirs(m, buf_view(&clean));
    struct node *n = names_get(&m->now, buf_view(&clean));
    if (!n) {
        n = MEM_NEW(struct node);
        names_set(&m->now, buf_view(&clean), n);
    }
    names_set(&m->durable, buf_view(&clean), n);
    buf_reset(&n->now);
    buf_str(&n->now, bytes);
    node_settle(n);
    lock_give(&m->lock);
    buf_deinit(&clean);
}

bool memfs_get(struct memfs *m, struct str path, struct buf *out)
{
    struct buf clean = { 0 };
    clean_path(path, &clean);
    lock_take(&m->lock);
    const struct node *n = names_get(&m->now, buf_view(&clean));
    bool found = n && !n->is_dir;
    if (found)
        buf_str(out, buf_view(&n->now));
    lock_give(&m->lock);
    buf_deinit(&clean);
    return found;
}
