/* Reading a log.
 *
 * L1  A record never spans segments. A segment that ends inside a page reads as if zeros followed to the page's end: the
 *     buffer is padded with them, so that nothing else knows.
 * L2  A fragment of type 0 means: the rest of the page is zeros. Anything else there is damage.
 * L3  record_end is where the last whole record of the current segment ends: what repair may keep. */
#include "tsdb/wal/log_int.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "base/num.h"
#include "wire/crc.h"
#include "wire/snappy.h"
#include "wire/zstd.h"

#include <stdlib.h>

#define WAL_READ_BYTES (8u * WAL_PAGE_BYTES)

enum fragment { FRAGMENT_PAD, FRAGMENT_FULL, FRAGMENT_FIRST, FRAGMENT_MIDDLE, FRAGMENT_LAST };

/* ---- segments ---- */

static int by_number(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return a < b ? -1 : a > b;
}

bool wal_segments_list(struct fs *fs, struct str dir, struct wal_segments *out, struct err *err)
{
    struct buf names = { 0 };
    struct str rest, name;
    struct err own = { 0 };
    uint32_t number;
    *out = (struct wal_segments){ 0 };
    if (!fs->list(fs, dir, &names, &own)) {
        buf_deinit(&names);
        if (own.code == ERR_NOT_FOUND)
            return true;
        *err = own;
        return false;
    }
    for (rest = buf_view(&names); names_next(&rest, &name);) {
        if (!name_number(name, &number))
            continue;
        out->v = mem_realloc_array(out->v, out->n + 1, sizeof *out->v);
        out->v[out->n++] = number;
    }
    buf_deinit(&names);
    if (out->n)
        qsort(out->v, out->n, sizeof *out->v, by_number);
    for (size_t i = 1; i < out->n; i++) {
        if (out->v[i] != out->v[i - 1] + 1) {
            wal_segments_deinit(out);
            return err_set(err, ERR_CORRUPT, "get segment range: segments are not sequential");
        }
    }
    return true;
}

void wal_segments_deinit(struct wal_segments *s)
{
    mem_free(s->v);
    *s = (struct wal_segments){ 0 };
}

struct str wal_segment_path(struct path *p, struct str dir, uint32_t number)
{
    return path_set(p, "%.*s/%08u", STR_ARG(dir), number);
}

/* ---- reading ---- */

bool wal_reader_open(struct wal_reader *r, struct fs *fs, struct str dir, uint32_t first, uint32_t last, uint64_t offset,
                     struct err *err)
{
    *r = (struct wal_reader){ .fs = fs, .dir = dir, .next_segment = first, .last_segment = last, .offset = offset };
    r->page = mem_alloc(WAL_READ_BYTES + WAL_PAGE_BYTES);
    if (first > last)
        return true;
    struct str path = wal_segment_path(&r->path, dir, first);
    struct err own = { 0 };
    if (!fs->open(fs, path, FS_READ, &r->file, &own)) {
        wal_reader_close(r);
        *err = own;
        return err_wrap(err, "open WAL segment: %u", first);
    }
    r->segment = first;
    r->next_segment = first + 1;
    r->record_end = offset;
    return true;
}

void wal_reader_close(struct wal_reader *r)
{
    if (r->file)
        r->fs->close(r->fs, r->file);
    mem_free(r->page);
    buf_deinit(&r->joined);
    buf_deinit(&r->plain);
    path_deinit(&r->path);
    r->file = NULL;
    r->page = NULL;
}

void wal_reader_refresh(struct wal_reader *r)
{
    r->buffer_at = r->offset;
    r->buffer_n = 0;
    r->file_ended = false;
}

/* Makes `n` bytes at r->offset available, less at the end of the segment; *p at them, *have how many there are. n does
 * not reach past the page. */
static bool peek(struct wal_reader *r, size_t n, const uint8_t **p, size_t *have, struct err *err)
{
    uint64_t end = r->buffer_at + r->buffer_n;
    if (r->offset < r->buffer_at || (r->offset + n > end && !r->file_ended)) {
        size_t got = 0;
        if (!r->fs->read(r->fs, r->file, r->offset, r->page, WAL_READ_BYTES, &got, err))
            return false;
        r->file_ended = got < WAL_READ_BYTES;
        size_t pad = got && r->file_ended ? (size_t)(-(r->offset + got) % WAL_PAGE_BYTES) : 0;
        memset(r->page + got, 0, pad);
        r->buffer_at = r->offset;
        r->buffer_n = got + pad;
        end = r->buffer_at + r->buffer_n;
    }
    *have = r->offset < end ? (size_t)(end - r->offset) : 0;
    *p = r->page + (r->offset < end ? r->offset - r->buffer_at : 0);
    return true;
}

static bool corrupt(struct wal_reader *r, struct err *err, const char *fmt, ...) PRINTF_LIKE(3, 4);
static bool corrupt(struct wal_reader *r, struct err *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_vset(err, ERR_CORRUPT, fmt, ap);
    va_end(ap);
    return err_wrap(err, "corruption in segment %.*s at %llu", STR_ARG(wal_segment_path(&r->path, r->dir, r->segment)),
                    (unsigned long long)r->offset);
}

static bool next_segment(struct wal_reader *r, bool *more, struct err *err)
{
    r->fs->close(r->fs, r->file);
    r->file = NULL;
    *more = r->next_segment <= r->last_segment;
    if (!*more)
        return true;
    uint32_t number = r->next_segment++;
    if (!r->fs->open(r->fs, wal_segment_path(&r->path, r->dir, number), FS_READ, &r->file, err))
        return err_wrap(err, "open WAL segment: %u", number);
    r->segment = number;
    r->offset = 0;
    r->record_end = 0;
    r->buffer_at = 0;
    r->buffer_n = 0;
    r->file_ended = false;
    return true;
}

/* The rest of the page must be zero; moves to the next page. */
static bool skip_padding(struct wal_reader *r, size_t left, struct err *err)
{
    const uint8_t *p;
    size_t have;
    if (!peek(r, left, &p, &have, err))
        return false;
    size_t n = have < left ? have : left;
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0) {
            r->offset += left;
            return corrupt(r, err, "unexpected non-zero byte in padded page");
        }
    }
    r->offset += n;
    return true;
}

/* One fragment at r->offset. *whole: it ended a record, which is in r->joined (or, unfragmented, in *record). */
static bool take_fragment(struct wal_reader *r, size_t left, bool *whole, struct str *record, struct err *err)
{
    const uint8_t *p;
    size_t have;
    if (!peek(r, left, &p, &have, err))
        return false;
    ASSERT(have >= left); /* the buffer ends at a page's end */
    unsigned type = p[0] & 7u;
    size_t n = get_be16(p + 1);
    uint32_t want = get_be32(p + 3);
    if (type > FRAGMENT_LAST)
        return corrupt(r, err, "unexpected record type %u", type);
    if (n > left - WAL_FRAGMENT_HEADER)
        return corrupt(r, err, "invalid record size %zu", n);
    uint32_t got = crc32c(0, p + WAL_FRAGMENT_HEADER, n);
    if (got != want) {
        r->offset += WAL_FRAGMENT_HEADER + n;
        return corrupt(r, err, "unexpected checksum %x, expected %x", got, want);
    }
    bool first = type == FRAGMENT_FULL || type == FRAGMENT_FIRST;
    if (first && r->in_record)
        return corrupt(r, err, "unexpected %s record", type == FRAGMENT_FULL ? "full" : "first");
    if (!first && !r->in_record)
        return corrupt(r, err, "unexpected %s record, dropping buffer", type == FRAGMENT_LAST ? "last" : "middle");
    struct str data = str_of((const char *)p + WAL_FRAGMENT_HEADER, n);
    r->offset += WAL_FRAGMENT_HEADER + n;
    *whole = type == FRAGMENT_FULL || type == FRAGMENT_LAST;
    if (first) {
        r->record_at = r->offset - WAL_FRAGMENT_HEADER - n;
        r->compression = p[0] & (WAL_SNAPPY | WAL_ZSTD);
        buf_reset(&r->joined);
    }
    r->in_record = !*whole;
    if (type == FRAGMENT_FULL) {
        *record = data;
        return true;
    }
    buf_str(&r->joined, data);
    *record = buf_view(&r->joined);
    return true;
}

bool wal_reader_unpack(struct wal_reader *r, struct str *record, struct err *err)
{
    struct err own = { 0 };
    bool ok = true;
    if (r->compression == 0 || record->n == 0)
        return true;
    buf_reset(&r->plain);
    if (r->compression & WAL_SNAPPY)
        ok = snappy_decode(*record, WAL_RECORD_BYTES_MAX, &r->plain, &own);
    else
        ok = zstd_decode(*record, WAL_RECORD_BYTES_MAX, &r->plain, &own);
    if (!ok)
        return corrupt(r, err, "%s", own.text);
    *record = buf_view(&r->plain);
    return true;
}

bool wal_reader_next_packed(struct wal_reader *r, struct str *packed, bool *got, struct err *err)
{
    const uint8_t *p;
    size_t have;
    bool whole = false;
    *got = false;
    while (r->file) {
        size_t left = WAL_PAGE_BYTES - (size_t)(r->offset % WAL_PAGE_BYTES);
        if (!peek(r, 1, &p, &have, err))
            return false;
        if (have == 0) { /* end of the segment */
            bool more;
            if (r->in_record)
                return corrupt(r, err, "last record is torn");
            if (!next_segment(r, &more, err))
                return false;
            continue;
        }
        if ((p[0] & 7) == FRAGMENT_PAD || left < WAL_FRAGMENT_HEADER) {
            if (!skip_padding(r, left, err))
                return false;
            continue;
        }
        if (!take_fragment(r, left, &whole, packed, err))
            return false;
        if (!whole)
            continue;
        r->record_end = r->offset;
        *got = true;
        return true;
    }
    return true;
}

bool wal_reader_next(struct wal_reader *r, struct str *record, bool *got, struct err *err)
{
    uint64_t before = r->record_end;
    uint32_t segment = r->segment;
    if (!wal_reader_next_packed(r, record, got, err))
        return false;
    if (!*got || wal_reader_unpack(r, record, err))
        return true;
    r->record_end = segment == r->segment ? before : 0;
    *got = false;
    return false;
}

/* ---- repair ---- */

static bool remove_later(struct fs *fs, struct str dir, uint32_t segment, struct err *err)
{
    struct buf names = { 0 };
    struct path path = { 0 };
    struct str rest, name;
    uint32_t number;
    bool ok = fs->list(fs, dir, &names, err);
    for (rest = buf_view(&names); ok && names_next(&rest, &name);) {
        if (name_number(name, &number) && number > segment)
            ok = fs->remove(fs, path_set(&path, "%.*s/%.*s", STR_ARG(dir), STR_ARG(name)), err);
    }
    buf_deinit(&names);
    path_deinit(&path);
    return ok;
}

bool wal_repair(struct fs *fs, struct str dir, uint32_t segment, uint64_t record_end, struct err *err)
{
    struct path path = { 0 };
    struct fs_file *f = NULL;
    static const uint8_t zeros[WAL_PAGE_BYTES];
    size_t pad = (size_t)(-record_end % WAL_PAGE_BYTES);
    bool ok = remove_later(fs, dir, segment, err) &&
              fs->open(fs, wal_segment_path(&path, dir, segment), FS_READ | FS_WRITE, &f, err) &&
              fs->truncate(fs, f, record_end, err) && (pad == 0 || fs->write(fs, f, record_end, zeros, pad, err)) &&
              fs->sync(fs, f, err) && fs->sync_dir(fs, dir, err);
    if (f)
        fs->close(fs, f);
    path_deinit(&path);
    return ok;
}
