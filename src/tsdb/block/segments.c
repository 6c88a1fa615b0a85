/* Chunk segment files. Index 0 is the first file with a numeric name, in name order. Checksums are compared at each read;
 * the mapping is bounded by what the file held when it was opened. */
#include "tsdb/block/segments_int.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "tsdb/bytes_int.h"
#include "wire/crc.h"

#define SEGMENT_MAGIC        0x85BD40DDu
#define SEGMENT_VERSION      1
#define SEGMENT_HEADER_BYTES 8
#define CHUNK_LENGTH_MAX     5 /* bytes of the length field */

static bool open_file(struct segments_reader *r, struct fs *fs, struct str path, struct err *err)
{
    struct file_map *m = &r->files[r->files_count];
    if (!file_map_open(m, fs, path, err))
        return false;
    r->files_count++;
    if (m->map.n < SEGMENT_HEADER_BYTES)
        return err_set(err, ERR_CORRUPT, "%.*s: invalid segment header: invalid size", STR_ARG(path));
    if (get_be32(m->map.p) != SEGMENT_MAGIC)
        return err_set(err, ERR_CORRUPT, "%.*s: invalid magic number %x", STR_ARG(path), get_be32(m->map.p));
    if (m->map.p[4] != SEGMENT_VERSION)
        return err_set(err, ERR_CORRUPT, "%.*s: invalid chunk format version %d", STR_ARG(path), m->map.p[4]);
    r->bytes += m->map.n;
    return true;
}

bool segments_open(struct segments_reader *r, struct fs *fs, struct str dir, struct err *err)
{
    struct buf names = { 0 };
    struct path path = { 0 };
    struct str name, rest;
    uint32_t number;
    size_t n = 0;
    *r = (struct segments_reader){ 0 };
    bool ok = fs->list(fs, path_set(&path, "%.*s/" NAME_CHUNKS, STR_ARG(dir)), &names, err);
    for (rest = buf_view(&names); ok && names_next(&rest, &name);)
        n += name_number(name, &number);
    if (ok && n > SEGMENTS_MAX)
        ok = err_set(err, ERR_LIMIT, "%.*s: %zu chunk files", STR_ARG(dir), n);
    r->files = mem_alloc_array(ok ? n : 0, sizeof *r->files);
    for (rest = buf_view(&names); ok && names_next(&rest, &name);) {
        if (name_number(name, &number))
            ok = open_file(r, fs, path_set(&path, "%.*s/" NAME_CHUNKS "/%.*s", STR_ARG(dir), STR_ARG(name)), err);
    }
    buf_deinit(&names);
    path_deinit(&path);
    if (!ok)
        segments_close(r);
    return ok;
}

void segments_close(struct segments_reader *r)
{
    for (size_t i = 0; i < r->files_count; i++)
        file_map_close(&r->files[i]);
    mem_free(r->files);
    *r = (struct segments_reader){ 0 };
}

bool segments_chunk(const struct segments_reader *r, uint64_t ref, struct chunk_bytes *out, struct err *err)
{
    uint64_t file = ref >> 32, at = ref & 0xffffffffu;
    if (file >= r->files_count)
        return err_set(err, ERR_CORRUPT, "chunk segment %llu out of range", (unsigned long long)file);
    const struct fs_map *m = &r->files[file].map;
    if (at < SEGMENT_HEADER_BYTES || at + CHUNK_LENGTH_MAX > m->n)
        return err_set(err, ERR_CORRUPT, "segment doesn't include enough bytes to read the chunk size data field");
    struct cursor c = cursor_of(m->p + at, m->n - at);
    uint64_t n = take_uvarint(&c);
    const uint8_t *start = c.p;
    if (c.bad || cursor_left(&c) < 5 || n > cursor_left(&c) - 5)
        return err_set(err, ERR_CORRUPT, "segment doesn't include enough bytes to read the chunk");
    uint32_t want = get_be32(start + 1 + n), got = crc32c(0, start, (size_t)n + 1);
    if (want != got)
        return err_set(err, ERR_CORRUPT, "checksum mismatch expected:%x, actual:%x", want, got);
    *out = (struct chunk_bytes){ .encoding = *start, .bytes = str_of((const char *)start + 1, (size_t)n) };
    return true;
}

#define SCAN_BYTES (1u << 20) /* that may stay behind a scan */

static void forget(const struct segments_reader *r, struct segments_scan *s)
{
    const struct file_map *m = &r->files[s->file - 1];
    if (m->fs->forget)
        m->fs->forget(m->fs, &m->map, (size_t)s->from, (size_t)(s->upto - s->from));
    s->from = s->upto;
}

void segments_scan_at(const struct segments_reader *r, struct segments_scan *s, uint64_t ref)
{
    uint64_t file = ref >> 32, at = ref & 0xffffffffu;
    if (file + 1 != s->file || at < s->from) {
        segments_scan_end(r, s);
        *s = (struct segments_scan){ .file = file + 1, .from = at, .upto = at };
    }
    s->upto = at;
    if (at - s->from < SCAN_BYTES)
        return;
    s->is_long = true;
    forget(r, s);
}

void segments_scan_end(const struct segments_reader *r, struct segments_scan *s)
{
    if (s->is_long)
        forget(r, s);
}

/* ---- writing ---- */

bool segments_writer_open(struct segments_writer *w, struct fs *fs, struct str dir, struct err *err)
{
    *w = (struct segments_writer){ .fs = fs, .limit_bytes = SEGMENT_BYTES_MAX };
    w->dir_length = path_set(&w->path, "%.*s/" NAME_CHUNKS, STR_ARG(dir)).n;
    return fs->mkdir(fs, buf_view(&w->path.text), err);
}

static bool cut(struct segments_writer *w, struct err *err)
{
    if (w->out.file && !file_out_finish(&w->out, err))
        return false;
    buf_truncate(&w->path.text, w->dir_length);
    buf_printf(&w->path.text, "/%06u", ++w->number);
    if (!file_out_open(&w->out, w->fs, buf_view(&w->path.text), err))
        return false;
    uint8_t head[SEGMENT_HEADER_BYTES] = { 0 };
    put_be32(head, SEGMENT_MAGIC);
    head[4] = SEGMENT_VERSION;
    file_out_append(&w->out, head, sizeof head);
    return true;
}

static uint64_t room_for(const struct chunk_bytes *c)
{
    return 10 + (uint64_t)c->bytes.n; /* as upstream reckons: length, encoding, checksum */
}

static void put_chunk(struct segments_writer *w, const struct chunk_bytes *c)
{
    uint8_t head[UVARINT_MAX + 1], tail[4];
    size_t n = put_uvarint(head, c->bytes.n);
    head[n] = c->encoding;
    put_be32(tail, crc32c(crc32c(0, head + n, 1), c->bytes.p, c->bytes.n));
    file_out_append(&w->out, head, n + 1);
    file_out_append(&w->out, c->bytes.p, c->bytes.n);
    file_out_append(&w->out, tail, 4);
}

bool segments_write(struct segments_writer *w, const struct chunk_bytes *chunks, size_t n, uint64_t *refs, struct err *err)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += room_for(&chunks[i]);
    bool fits = w->out.file && file_out_size(&w->out) + total <= w->limit_bytes;
    if (n && (!w->out.file || (!fits && file_out_size(&w->out) > SEGMENT_HEADER_BYTES)) && !cut(w, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (file_out_size(&w->out) > SEGMENT_HEADER_BYTES &&
            file_out_size(&w->out) + room_for(&chunks[i]) > w->limit_bytes && !cut(w, err))
            return false;
        refs[i] = (uint64_t)(w->number - 1) << 32 | file_out_size(&w->out);
        put_chunk(w, &chunks[i]);
    }
    if (w->out.err.code == ERR_NONE)
        return true;
    *err = w->out.err;
    return false;
}

bool segments_writer_finish(struct segments_writer *w, struct err *err)
{
    bool ok = !w->out.file || file_out_finish(&w->out, err);
    buf_truncate(&w->path.text, w->dir_length);
    ok = ok && w->fs->sync_dir(w->fs, buf_view(&w->path.text), err);
    segments_writer_abandon(w);
    return ok;
}

void segments_writer_abandon(struct segments_writer *w)
{
    file_out_abandon(&w->out);
    path_deinit(&w->path);
    *w = (struct segments_writer){ 0 };
}
