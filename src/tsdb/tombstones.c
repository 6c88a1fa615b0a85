/* Tombstones. T1: intervals of a series are sorted, disjoint and do not touch (maxt + 1 < next mint). */
#include "tsdb/tombstones_int.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "tsdb/bytes_int.h"
#include "tsdb/file_int.h"
#include "wire/crc.h"

#define TOMBSTONES_MAGIC   0x0130BA30u
#define TOMBSTONES_VERSION 1

void intervals_deinit(struct intervals *s)
{
    mem_free(s->v);
    *s = (struct intervals){ 0 };
}

void intervals_add(struct intervals *s, struct interval i)
{
    if (i.mint > i.maxt)
        return; /* upstream may log such for series without samples there */
    size_t from = 0, to;
    while (from < s->n && s->v[from].maxt < i.mint && s->v[from].maxt + 1 < i.mint)
        from++;
    for (to = from; to < s->n && (s->v[to].mint <= i.maxt || s->v[to].mint - 1 <= i.maxt); to++) {
        if (s->v[to].mint < i.mint)
            i.mint = s->v[to].mint;
        if (s->v[to].maxt > i.maxt)
            i.maxt = s->v[to].maxt;
    }
    if (to == from) {
        if (s->n == s->capacity) {
            s->capacity = mem_grow(s->capacity, s->n + 1);
            s->v = mem_realloc_array(s->v, s->capacity, sizeof *s->v);
        }
        memmove(s->v + from + 1, s->v + from, (s->n - from) * sizeof *s->v);
        s->n++;
    } else {
        memmove(s->v + from + 1, s->v + to, (s->n - to) * sizeof *s->v);
        s->n -= to - from - 1;
    }
    s->v[from] = i;
}

bool intervals_contain(const struct intervals *s, int64_t mint, int64_t maxt)
{
    for (size_t i = 0; s && i < s->n; i++) {
        if (s->v[i].mint <= mint && maxt <= s->v[i].maxt)
            return true;
    }
    return false;
}

bool intervals_overlap(const struct intervals *s, int64_t mint, int64_t maxt)
{
    for (size_t i = 0; s && i < s->n; i++) {
        if (s->v[i].mint <= maxt && mint <= s->v[i].maxt)
            return true;
    }
    return false;
}

void intervals_cut(struct intervals *s, int64_t t)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->v[i].maxt >= t)
            s->v[n++] = s->v[i];
    }
    s->n = n;
}

void tombstones_deinit(struct tombstones *t)
{
    struct intervals *s;
    for (size_t i = 0; (s = map64_next(&t->by_ref, &i)) != NULL;) {
        intervals_deinit(s);
        mem_free(s);
    }
    map64_deinit(&t->by_ref);
    *t = (struct tombstones){ 0 };
}

void tombstones_free(struct tombstones *t)
{
    if (t)
        tombstones_deinit(t);
    mem_free(t);
}

void tombstones_add(struct tombstones *t, uint64_t ref, struct interval i)
{
    struct intervals *s = map64_get(&t->by_ref, ref);
    if (i.mint > i.maxt)
        return;
    if (!s) {
        s = MEM_NEW(struct intervals);
        map64_put(&t->by_ref, ref, s);
    }
    intervals_add(s, i);
}

const struct intervals *tombstones_get(const struct tombstones *t, uint64_t ref)
{
    return t->by_ref.count ? map64_get(&t->by_ref, ref) : NULL;
}

size_t tombstones_count(const struct tombstones *t)
{
    size_t n = 0;
    const struct intervals *s;
    for (size_t i = 0; (s = map64_next(&t->by_ref, &i)) != NULL;)
        n += s->n;
    return n;
}

struct tombstones *tombstones_clone(const struct tombstones *t)
{
    struct tombstones *out = MEM_NEW(struct tombstones);
    const struct intervals *s;
    for (size_t i = 0; (s = map64_next(&t->by_ref, &i)) != NULL;) {
        for (size_t k = 0; k < s->n; k++)
            tombstones_add(out, map64_key_at(&t->by_ref, i), s->v[k]);
    }
    return out;
}

/* ---- bytes ---- */

static void encode_entries(const struct tombstones *t, struct buf *out)
{
    const struct intervals *s;
    for (size_t i = 0; (s = map64_next(&t->by_ref, &i)) != NULL;) {
        for (size_t k = 0; k < s->n; k++) {
            buf_uvarint(out, map64_key_at(&t->by_ref, i));
            buf_varint(out, s->v[k].mint);
            buf_varint(out, s->v[k].maxt);
        }
    }
}

static bool decode_entries(struct cursor c, struct tombstones *t, struct err *err)
{
    while (cursor_more(&c)) {
        uint64_t ref = take_uvarint(&c);
        int64_t mint = take_varint(&c), maxt = take_varint(&c);
        if (c.bad)
            return err_set(err, ERR_CORRUPT, "tombstones end inside an entry");
        tombstones_add(t, ref, (struct interval){ mint, maxt });
    }
    return true;
}

void tombstones_encode_body(const struct tombstones *t, struct buf *out)
{
    buf_byte(out, TOMBSTONES_VERSION);
    encode_entries(t, out);
}

bool tombstones_decode_body(struct str bytes, struct tombstones *t, struct err *err)
{
    if (bytes.n < 1 || bytes.p[0] != TOMBSTONES_VERSION)
        return err_set(err, ERR_CORRUPT, "invalid tombstone format");
    return decode_entries(cursor_of(bytes.p + 1, bytes.n - 1), t, err);
}

void tombstones_encode(const struct tombstones *t, struct buf *out)
{
    buf_be32(out, TOMBSTONES_MAGIC);
    buf_byte(out, TOMBSTONES_VERSION);
    size_t from = out->n;
    encode_entries(t, out);
    buf_be32(out, crc32c(0, out->p + from, out->n - from));
}

bool tombstones_decode(struct str bytes, struct tombstones *t, struct err *err)
{
    if (bytes.n < 9)
        return err_set(err, ERR_CORRUPT, "tombstones header: invalid size");
    if (get_be32(bytes.p) != TOMBSTONES_MAGIC)
        return err_set(err, ERR_CORRUPT, "invalid magic number %x", get_be32(bytes.p));
    if (bytes.p[4] != TOMBSTONES_VERSION)
        return err_set(err, ERR_CORRUPT, "invalid tombstone format %d", bytes.p[4]);
    if (crc32c(0, bytes.p + 5, bytes.n - 9) != get_be32(bytes.p + bytes.n - 4))
        return err_set(err, ERR_CORRUPT, "checksum did not match");
    return decode_entries(cursor_of(bytes.p + 5, bytes.n - 9), t, err);
}

bool tombstones_read(struct fs *fs, struct str dir, struct tombstones *t, struct err *err)
{
    struct path path = { 0 };
    struct buf bytes = { 0 };
    struct err own = { 0 };
    struct str p = path_set(&path, "%.*s/" NAME_TOMBSTONES, STR_ARG(dir));
    *t = (struct tombstones){ 0 };
    bool ok = fs_read_file(fs, p, TOMBSTONES_BYTES_MAX, &bytes, &own);
    if (!ok && own.code == ERR_NOT_FOUND) {
        ok = true;
    } else if (ok) {
        ok = tombstones_decode(buf_view(&bytes), t, &own);
    }
    if (!ok) {
        tombstones_deinit(t);
        *err = own;
        err_wrap(err, "%.*s", STR_ARG(p));
    }
    buf_deinit(&bytes);
    path_deinit(&path);
    return ok;
}

bool tombstones_write(struct fs *fs, struct str dir, const struct tombstones *t, struct err *err)
{
    struct path path = { 0 };
    struct buf bytes = { 0 };
    tombstones_encode(t, &bytes);
    bool ok = fs_replace_file(fs, path_set(&path, "%.*s/" NAME_TOMBSTONES, STR_ARG(dir)), buf_view(&bytes), err);
    buf_deinit(&bytes);
    path_deinit(&path);
    return ok;
}
