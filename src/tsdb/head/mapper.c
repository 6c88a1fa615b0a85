/* Chunks of the head on disk.
 *
 * M1  A file is one of: finished (mapped when first read), or the last one, open for appending, whose tail is in
 *     `pending` and whose written part is read with read(2).
 * M2  An old file is never appended to: after a start the first chunk begins a new file. A file is synced before the next
 *     one exists. It gets its name when its header is on disk, because a start refuses files whose header is torn; until
 *     then it is <number>.tmp, which a start removes here and passes over in Prometheus.
 * M3  References are file number << 32 | offset and stay valid until the file is dropped by truncation.
 * M4  Dropped files are unlinked at once and closed when no reader can hold a reference. */
#include "tsdb/head/mapper_int.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "tsdb/bytes_int.h"
#include "wire/crc.h"

#include <stdlib.h>

#define HEAD_MAGIC        0x0130BC91u
#define HEAD_VERSION      1
#define HEAD_HEADER_BYTES 8
#define CHUNK_META_MAX    34 /* 8 + 16 + 1 + 5 + 4: less than that at the end must be zeros */
#define OUT_OF_ORDER_BIT  0x80
#define READ_BYTES        1024
#define SKIP              256 /* chunks between tries while stalled */

static struct str file_path(struct path *p, const struct mapper *m, uint32_t number)
{
    return path_set(p, "%.*s/%06u", STR_ARG(buf_view(&m->dir.text)), number);
}

static void file_free(struct mapper *m, struct mapper_file *f)
{
    if (f->map.p)
        m->fs->unmap(m->fs, &f->map);
    if (f->file)
        m->fs->close(m->fs, f->file);
    mem_free(f);
}

static void files_push(struct mapper *m, struct mapper_file *f)
{
    m->files = mem_realloc_array(m->files, m->files_count + 1, sizeof(struct mapper_file *));
    m->files[m->files_count++] = f;
}

static bool map_file(struct mapper *m, struct mapper_file *f, struct err *err)
{
    return f->map.p || m->fs->map(m->fs, f->file, &f->map, err);
}

/* ---- opening ---- */

static int by_number(const void *x, const void *y)
{
    const struct mapper_file *const *a = x, *const *b = y;
    return (*a)->number < (*b)->number ? -1 : (*a)->number > (*b)->number;
}

static bool is_unbegun(struct str name)
{
    uint32_t number;
    return str_ends(name, STR(SUFFIX_TMP)) && name_number(str_sub(name, 0, name.n - strlen(SUFFIX_TMP)), &number);
}

static bool list_files(struct mapper *m, struct err *err)
{
    struct buf names = { 0 };
    struct path path = { 0 };
    struct str rest, name;
    uint32_t number;
    bool ok = m->fs->list(m->fs, buf_view(&m->dir.text), &names, err);
    for (rest = buf_view(&names); ok && names_next(&rest, &name);) {
        struct str p = path_set(&path, "%.*s/%.*s", STR_ARG(buf_view(&m->dir.text)), STR_ARG(name));
        if (!m->read_only && is_unbegun(name))
            ok = m->fs->remove(m->fs, p, err);
        if (!name_number(name, &number))
            continue;
        struct mapper_file *f = MEM_NEW(struct mapper_file);
        f->number = number;
        f->finished = f->synced = true;
        files_push(m, f);
        ok = m->fs->open(m->fs, p, FS_READ, &f->file, err) && m->fs->size(m->fs, f->file, &f->size, err);
    }
    if (m->files_count)
        qsort(m->files, m->files_count, sizeof(struct mapper_file *), by_number);
    buf_deinit(&names);
    path_deinit(&path);
    return ok;
}

/* A last file that was begun and not filled is removed. */
static bool drop_unbegun(struct mapper *m, struct err *err)
{
    struct path path = { 0 };
    uint8_t magic[4] = { 0 };
    size_t got = 0;
    if (m->files_count == 0)
        return true;
    struct mapper_file *last = m->files[m->files_count - 1];
    ASSERT(!m->read_only);
    bool ok = m->fs->read(m->fs, last->file, 0, magic, sizeof magic, &got, err);
    if (ok && (got < sizeof magic || get_be32(magic) == 0)) {
        m->files_count--;
        ok = m->fs->remove(m->fs, file_path(&path, m, last->number), err);
        file_free(m, last);
    }
    path_deinit(&path);
    return ok;
}

static bool check_files(struct mapper *m, struct err *err)
{
    struct path path = { 0 };
    bool ok = true;
    for (size_t i = 1; ok && i < m->files_count; i++) {
        uint32_t a = m->files[i - 1]->number, b = m->files[i]->number;
        struct str dir = buf_view(&m->dir.text);
        if (b != a + 1)
            ok = err_set(err, ERR_CORRUPT,
                         "found unsequential head chunk files %.*s/%06u (index: %u) and %.*s/%06u (index: %u)", STR_ARG(dir),
                         a, a, STR_ARG(dir), b, b);
    }
    for (size_t i = 0; ok && i < m->files_count; i++) {
        struct mapper_file *f = m->files[i];
        struct str p = file_path(&path, m, f->number);
        uint8_t head[HEAD_HEADER_BYTES] = { 0 };
        size_t got = 0;
        if (f->size < HEAD_HEADER_BYTES)
            ok = err_set(err, ERR_CORRUPT, "%.*s: invalid head chunk file header: invalid size", STR_ARG(p));
        else if (!m->fs->read(m->fs, f->file, 0, head, sizeof head, &got, err))
            ok = false;
        else if (get_be32(head) != HEAD_MAGIC)
            ok = err_set(err, ERR_CORRUPT, "%.*s: invalid magic number %x", STR_ARG(p), get_be32(head));
        else if (head[4] != HEAD_VERSION)
            ok = err_set(err, ERR_CORRUPT, "%.*s: invalid chunk format version %d", STR_ARG(p), head[4]);
    }
    path_deinit(&path);
    return ok;
}

bool mapper_open(struct mapper *m, struct fs *fs, struct str dir, bool read_only, struct err *err)
{
    *m = (struct mapper){ .fs = fs, .cut_next = true, .file_bytes = MAPPER_FILE_BYTES_MAX, .read_only = read_only };
    lock_init(&m->lock);
    path_set(&m->dir, "%.*s", STR_ARG(dir));
    if (read_only) {
        if (!fs_exists(fs, dir) || (list_files(m, err) && check_files(m, err)))
            return true;
    } else if (fs->mkdir(fs, dir, err) && list_files(m, err) && drop_unbegun(m, err) && check_files(m, err))
        return true;
    mapper_close(m);
    return false;
}

/* ---- walking ---- */

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i])
            return false;
    }
    return true;
}

static bool walk_file(const struct mapper_file *f, mapped_visit *visit, void *arg, struct err *err)
{
    const uint8_t *p = f->map.p;
    size_t n = f->map.n, at = HEAD_HEADER_BYTES;
    while (at < n) {
        if (n - at < CHUNK_META_MAX) {
            if (all_zero(p + at, n - at))
                return true;
            return err_set(err, ERR_CORRUPT, "head chunk file has some unread data");
        }
        struct cursor c = cursor_of(p + at, n - at);
        struct mapped_chunk k = { .ref = (uint64_t)f->number << 32 | at };
        k.series_ref = take_be64(&c);
        k.mint = (int64_t)take_be64(&c);
        k.maxt = (int64_t)take_be64(&c);
        if (k.series_ref == 0 && k.mint == 0 && k.maxt == 0)
            return true;
        uint8_t encoding = get_u8(&c);
        uint64_t size = take_uvarint(&c);
        struct str bytes = take_bytes(&c, size);
        size_t length = (size_t)(c.p - (p + at));
        uint32_t want = take_be32(&c);
        if (c.bad || bytes.n < 2)
            return err_set(err, ERR_CORRUPT, "head chunk file ends inside a chunk");
        uint32_t got = crc32c(0, p + at, length);
        if (got != want)
            return err_set(err, ERR_CORRUPT, "checksum mismatch expected:%x, actual:%x", want, got);
        k.encoding = encoding & (uint8_t)~OUT_OF_ORDER_BIT;
        k.out_of_order = encoding & OUT_OF_ORDER_BIT;
        k.samples = get_be16(bytes.p);
        visit(arg, &k);
        at += length + 4;
    }
    return true;
}

bool mapper_walk(struct mapper *m, mapped_visit *visit, void *arg, uint32_t *bad, struct err *err)
{
    struct path path = { 0 };
    bool ok = true;
    for (size_t i = 0; ok && i < m->files_count; i++) {
        struct mapper_file *f = m->files[i];
        ok = map_file(m, f, err) && walk_file(f, visit, arg, err);
        if (!ok) {
            *bad = f->number;
            err_wrap(err, "iterate on on-disk chunks: corruption in head chunk file %.*s",
                     STR_ARG(file_path(&path, m, f->number)));
        }
    }
    path_deinit(&path);
    return ok;
}

bool mapper_remove_from(struct mapper *m, uint32_t number, struct err *err)
{
    struct path path = { 0 };
    bool ok = true;
    while (ok && m->files_count && m->files[m->files_count - 1]->number >= number) {
        struct mapper_file *f = m->files[--m->files_count];
        ok = m->read_only || m->fs->remove(m->fs, file_path(&path, m, f->number), err);
        file_free(m, f);
    }
    path_deinit(&path);
    return ok;
}

/* ---- writing ---- */

static struct mapper_file *open_file(const struct mapper *m)
{
    struct mapper_file *f = m->files_count ? m->files[m->files_count - 1] : NULL;
    return f && !f->finished ? f : NULL;
}

static bool flush(struct mapper *m, struct err *err)
{
    struct mapper_file *f = open_file(m);
    if (!f || m->pending.n == 0)
        return true;
    m->stalled = !m->fs->write(m->fs, f->file, f->size, m->pending.p, m->pending.n, err);
    if (m->stalled) {
        m->skip = SKIP;
        return false;
    }
    f->size += m->pending.n;
    buf_reset(&m->pending);
    atomic_store_explicit(&m->pending_bytes, 0, memory_order_relaxed);
    return true;
}

/* Never one that a dropped file had: readers may still have references to that. */
static uint32_t next_number(const struct mapper *m)
{
    uint32_t last = 0;
    if (m->files_count)
        last = m->files[m->files_count - 1]->number;
    for (size_t i = 0; i < m->dropped_count; i++)
        last = m->dropped[i]->number > last ? m->dropped[i]->number : last;
    return last + 1;
}

/* The file with its header, by its name on disk; all of that or nothing. */
static bool begin_file(struct mapper *m, uint32_t number, struct fs_file **file, struct err *err)
{
    struct path path = { 0 }, tmp = { 0 };
    uint8_t head[HEAD_HEADER_BYTES] = { 0 };
    struct err ignored;
    struct fs *fs = m->fs;
    struct str final = file_path(&path, m, number);
    struct str unbegun = path_set(&tmp, "%.*s" SUFFIX_TMP, STR_ARG(final));
    put_be32(head, HEAD_MAGIC);
    head[4] = HEAD_VERSION;
    *file = NULL;
    bool ok = fs->open(fs, unbegun, FS_READ | FS_WRITE | FS_CREATE | FS_TRUNCATE, file, err) &&
              fs->write(fs, *file, 0, head, sizeof head, err) && fs->sync(fs, *file, err) &&
              fs->rename(fs, unbegun, final, err) && fs->sync_dir(fs, buf_view(&m->dir.text), err);
    if (!ok && *file) {
        fs->close(fs, *file);
        *file = NULL;
        if (!fs->remove(fs, unbegun, &ignored) && !fs->remove(fs, final, &ignored)) {
            /* By its first name it is removed at the next opening; by its last it is whole. */
        }
    }
    path_deinit(&path);
    path_deinit(&tmp);
    return ok;
}

/* Finishes the open file and begins the next; false: the disk does not take it, the open file goes on. */
static bool cut(struct mapper *m, struct err *err)
{
    struct mapper_file *old = open_file(m), *f;
    uint32_t number = next_number(m);
    struct fs_file *file;
    if (m->read_only || !flush(m, err) || (old && !old->synced && !m->fs->sync(m->fs, old->file, err)))
        return false;
    if (!begin_file(m, number, &file, err))
        return false;
    if (old)
        old->finished = old->synced = true;
    f = MEM_NEW(struct mapper_file);
    f->number = number;
    f->file = file;
    f->size = HEAD_HEADER_BYTES;
    files_push(m, f);
    m->cut_next = false;
    return true;
}

uint64_t mapper_write(struct mapper *m, const struct mapped_chunk *c, struct str bytes)
{
    struct err ignored = { 0 };
    lock_take(&m->lock);
    struct mapper_file *f = open_file(m);
    bool over = f && f->size + m->pending.n + bytes.n + CHUNK_META_MAX > m->file_bytes;
    if (!f || ((m->cut_next || over) && !m->stalled)) {
        if (!cut(m, &ignored) && !f) {
            /* Not even a file can be made: the chunk waits in the buffer of one that is made when there is room. */
            f = MEM_NEW(struct mapper_file);
            f->number = next_number(m);
            f->size = HEAD_HEADER_BYTES;
            files_push(m, f);
            m->stalled = true;
        }
        f = open_file(m);
    }
    struct buf *b = &m->pending;
    uint64_t ref = (uint64_t)f->number << 32 | (f->size + b->n);
    size_t from = b->n;
    buf_be64(b, c->series_ref);
    buf_be64(b, (uint64_t)c->mint);
    buf_be64(b, (uint64_t)c->maxt);
    buf_byte(b, (char)(c->encoding | (c->out_of_order ? OUT_OF_ORDER_BIT : 0)));
    buf_uvarint_str(b, bytes);
    buf_be32(b, crc32c(0, b->p + from, b->n - from));
    atomic_store_explicit(&m->pending_bytes, b->n, memory_order_relaxed);
    if (b->n >= MAPPER_BUFFER_BYTES && (!m->stalled || m->skip-- == 0) && f->file)
        flush(m, &ignored);
    lock_give(&m->lock);
    return ref;
}

bool mapper_flush(struct mapper *m, struct err *err)
{
    if (m->read_only)
        return true;
    lock_take(&m->lock);
    struct mapper_file *f = open_file(m);
    bool ok = !f || ((f->file || begin_file(m, f->number, &f->file, err)) && flush(m, err));
    for (size_t i = 0; i < m->files_count; i++) {
        struct mapper_file *k = m->files[i];
        struct err ignored;
        if (k->finished && !k->synced)
            k->synced = m->fs->sync(m->fs, k->file, &ignored);
    }
    lock_give(&m->lock);
    return ok;
}

void mapper_close(struct mapper *m)
{
    struct err ignored = { 0 };
    if (!mapper_flush(m, &ignored)) {
        /* What is lost here is in the log. */
    }
    mapper_free_dropped(m);
    for (size_t i = 0; i < m->files_count; i++)
        file_free(m, m->files[i]);
    mem_free(m->files);
    mem_free(m->dropped);
    buf_deinit(&m->pending);
    path_deinit(&m->dir);
    lock_deinit(&m->lock);
    m->files = m->dropped = NULL;
    m->files_count = 0;
}

/* ---- reading ---- */

static bool parse(const uint8_t *p, size_t n, uint8_t *encoding, struct str *bytes, size_t *need, struct err *err)
{
    struct cursor c = cursor_of(p, n);
    take_be64(&c);
    take_be64(&c);
    take_be64(&c);
    *encoding = get_u8(&c) & (uint8_t)~OUT_OF_ORDER_BIT;
    uint64_t size = take_uvarint(&c);
    if (c.bad || size > MAPPER_FILE_BYTES_MAX)
        return err_set(err, ERR_CORRUPT, "head chunk ends inside its header");
    size_t length = (size_t)(c.p - p) + (size_t)size;
    *need = length + 4;
    if (*need > n)
        return true; /* the caller reads more */
    *bytes = take_bytes(&c, size);
    if (crc32c(0, p, length) != get_be32(p + length))
        return err_set(err, ERR_CORRUPT, "head chunk: checksum mismatch");
    return true;
}

static struct mapper_file *find_file(const struct mapper *m, uint32_t number)
{
    for (size_t i = 0; i < m->files_count; i++) {
        if (m->files[i]->number == number)
            return m->files[i];
    }
    for (size_t i = 0; i < m->dropped_count; i++) {
        if (m->dropped[i]->number == number)
            return m->dropped[i];
    }
    return NULL;
}

/* From a file that is being written, or could not be mapped. */
static bool read_file(struct mapper *m, struct mapper_file *f, uint64_t at, struct buf *scratch, uint8_t *encoding,
                      struct str *bytes, struct err *err)
{
    size_t want = READ_BYTES, need = 0, got = 0;
    for (int i = 0; i < 2; i++) {
        buf_reset(scratch);
        buf_reserve(scratch, want);
        if (!m->fs->read(m->fs, f->file, at, scratch->p, want, &got, err) ||
            !parse((const uint8_t *)scratch->p, got, encoding, bytes, &need, err))
            return false;
        if (need <= got)
            return true;
        want = need;
    }
    return err_set(err, ERR_CORRUPT, "head chunk reference past the end of file %u", f->number);
}

bool mapper_read(struct mapper *m, uint64_t ref, struct buf *scratch, uint8_t *encoding, struct str *bytes, struct err *err)
{
    uint64_t at = ref & 0xffffffffu;
    size_t need = 0;
    lock_take(&m->lock);
    struct mapper_file *f = find_file(m, (uint32_t)(ref >> 32));
    if (!f || at < HEAD_HEADER_BYTES) {
        lock_give(&m->lock);
        return err_set(err, ERR_CORRUPT, "head chunk file index %u does not exist on disk", (unsigned)(ref >> 32));
    }
    bool ok = true, in_memory = !f->finished && at >= f->size;
    if (in_memory) {
        if (at - f->size >= m->pending.n)
            ok = err_set(err, ERR_CORRUPT, "head chunk reference past the end of file %u", f->number);
        ok = ok && parse((const uint8_t *)m->pending.p + (at - f->size), m->pending.n - (size_t)(at - f->size), encoding,
                         bytes, &need, err);
        buf_reset(scratch);
        if (ok) {
            buf_str(scratch, *bytes);
            *bytes = buf_view(scratch);
        }
    } else if (f->finished && !f->map.p) {
        struct err ignored;
        if (!map_file(m, f, &ignored))
            f->map = (struct fs_map){ 0 };
    }
    lock_give(&m->lock);
    if (in_memory || !ok)
        return ok;
    if (!f->map.p)
        return read_file(m, f, at, scratch, encoding, bytes, err);
    if (at >= f->map.n || !parse(f->map.p + at, f->map.n - (size_t)at, encoding, bytes, &need, err) ||
        need > f->map.n - at)
        return err_set(err, ERR_CORRUPT, "head chunk at %llu of file %u is damaged", (unsigned long long)at, f->number);
    return true;
}

/* ---- truncation ---- */

void mapper_truncate(struct mapper *m, uint32_t lowest)
{
    struct path path = { 0 };
    struct err ignored;
    if (m->read_only)
        return;
    lock_take(&m->lock);
    size_t n = 0;
    while (n < m->files_count && m->files[n]->number < lowest && m->files[n]->finished)
        n++;
    if (n) {
        m->dropped = mem_realloc_array(m->dropped, m->dropped_count + n, sizeof(struct mapper_file *));
        for (size_t i = 0; i < n; i++) {
            if (!m->fs->remove(m->fs, file_path(&path, m, m->files[i]->number), &ignored)) {
                /* It is found and removed again at the next opening, when nothing refers to it. */
            }
            m->dropped[m->dropped_count++] = m->files[i];
        }
        memmove(m->files, m->files + n, (m->files_count - n) * sizeof(struct mapper_file *));
        m->files_count -= n;
    }
    struct mapper_file *f = open_file(m);
    m->cut_next = f && f->size + m->pending.n > HEAD_HEADER_BYTES;
    lock_give(&m->lock);
    path_deinit(&path);
}

void mapper_free_dropped(struct mapper *m)
{
    lock_take(&m->lock);
    for (size_t i = 0; i < m->dropped_count; i++)
        file_free(m, m->dropped[i]);
    m->dropped_count = 0;
    lock_give(&m->lock);
}
