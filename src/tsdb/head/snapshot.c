/* The head's open chunks on disk, written at shutdown so that the next start need not replay the whole log (upstream:
 * memory-snapshot-on-shutdown).
 *
 * S1  A snapshot is read twice: once to see that it is whole, once to load it. One that is damaged changes nothing.
 * S2  A loaded open chunk is not appended to: its end is set to its last time, so the next sample begins another.
 * S3  It names the place in the log where it was taken; a log that ends before that place makes it worthless. */
#include "tsdb/head/head_int.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "tsdb/chunkenc/chunk_int.h"

enum { SNAPSHOT_SERIES = 1, SNAPSHOT_TOMBSTONES = 2, SNAPSHOT_EXEMPLARS = 3 };
#define LAST_SAMPLES 4 /* places for the newest samples; only the last one's value is used */

/* ---- names ---- */

static bool parse_name(struct str name, struct snapshot_place *p)
{
    uint32_t segment;
    int64_t offset;
    if (!str_starts(name, STR(NAME_CHUNK_SNAPSHOT)))
        return false;
    name = str_from(name, sizeof NAME_CHUNK_SNAPSHOT - 1);
    size_t dot = str_find_byte(name, '.');
    if (dot == STR_NPOS || !name_number(str_of(name.p, dot), &segment) ||
        !num_parse_i64(str_from(name, dot + 1), 10, &offset) || offset < 0)
        return false;
    *p = (struct snapshot_place){ segment, (uint64_t)offset };
    return true;
}

static bool find_last(struct head *h, struct snapshot_place *place, struct path *path)
{
    struct buf names = { 0 };
    struct str rest, name;
    struct err ignored;
    bool found = false;
    if (!h->fs->list(h->fs, buf_view(&h->dir.text), &names, &ignored)) {
        buf_deinit(&names);
        return false;
    }
    for (rest = buf_view(&names); names_next(&rest, &name);) {
        struct snapshot_place p;
        if (!parse_name(name, &p))
            continue;
        if (!found || p.segment > place->segment || (p.segment == place->segment && p.offset > place->offset)) {
            found = true;
            *place = p;
            path_set(path, "%.*s/%.*s", STR_ARG(buf_view(&h->dir.text)), STR_ARG(name));
        }
    }
    buf_deinit(&names);
    return found;
}

void head_snapshots_remove(struct head *h)
{
    struct snapshot_place place;
    struct path path = { 0 };
    struct err err = { 0 };
    while (find_last(h, &place, &path)) {
        if (!fs_remove_tree(h->fs, buf_view(&path.text), &err)) {
            log_warn("Removing a chunk snapshot failed", LOG_ERR(&err));
            break;
        }
    }
    path_deinit(&path);
}

/* ---- writing ---- */

struct writer {
    struct head *h;
    struct wal out;
    struct buf bytes, packed;
};

static bool put(struct writer *w, struct err *err)
{
    buf_reset(&w->packed);
    struct wal_item item = wal_pack(buf_view(&w->bytes), WAL_SNAPPY, &w->packed);
    if (!wal_log(&w->out, &item, 1, err))
        return false;
    if (!atomic_load(&w->out.is_stalled))
        return true;
    *err = w->out.last_error;
    return false;
}

static void put_open_chunk(struct buf *b, const struct head_series *s, struct arena *a)
{
    const struct histogram_chunk *c = s->open == OPEN_HISTOGRAM ? &s->extra->histogram : NULL;
    buf_be64(b, (uint64_t)s->chunk_mint);
    buf_be64(b, (uint64_t)s->floats.t);
    if (!c) {
        buf_byte(b, CHUNK_XOR);
        size_t n = series_open_bytes(s);
        buf_uvarint(b, n);
        buf_reserve(b, n);
        series_copy_open(s, b->p + b->n);
        b->n += n;
        for (int i = 0; i < LAST_SAMPLES; i++) {
            buf_be64(b, i == LAST_SAMPLES - 1 ? (uint64_t)s->floats.t : 0);
            buf_be64(b, i == LAST_SAMPLES - 1 ? s->floats.v : 0);
        }
        return;
    }
    buf_byte(b, c->is_float ? CHUNK_FLOAT_HISTOGRAM : CHUNK_HISTOGRAM);
    buf_uvarint_str(b, str_of((const char *)c->out.p, histogram_chunk_bytes(c)));
    if (c->is_float) {
        struct float_histogram last;
        histogram_chunk_last_float(c, a, &last);
        record_put_histogram(b, NULL, &last);
    } else {
        struct int_histogram last;
        histogram_chunk_last_int(c, a, &last);
        record_put_histogram(b, &last, NULL);
    }
}

static bool put_series(struct writer *w, const struct head_series *s, struct arena *a, struct err *err)
{
    struct labels labels;
    arena_reset(a);
    if (!series_labels(w->h, s, a, &labels))
        return err_set(err, ERR_LIMIT, "out of memory");
    buf_reset(&w->bytes);
    buf_byte(&w->bytes, SNAPSHOT_SERIES);
    buf_be64(&w->bytes, s->ref);
    record_put_labels(&w->bytes, labels);
    buf_be64(&w->bytes, 0);
    buf_uvarint(&w->bytes, s->open != OPEN_NONE);
    if (s->open != OPEN_NONE)
        put_open_chunk(&w->bytes, s, a);
    return put(w, err);
}

static bool put_tombstones(struct writer *w, struct err *err)
{
    struct tombstones t = { 0 };
    struct buf body = { 0 };
    for (uint32_t slot = 0, n = head_slots(w->h); slot < n; slot++) {
        const struct head_series *s = head_at(w->h, slot);
        for (size_t i = 0; s->ref && s->extra && i < s->extra->gone.n; i++)
            tombstones_add(&t, s->ref, s->extra->gone.v[i]);
    }
    tombstones_encode_body(&t, &body);
    buf_reset(&w->bytes);
    buf_byte(&w->bytes, SNAPSHOT_TOMBSTONES);
    buf_uvarint_str(&w->bytes, buf_view(&body));
    buf_deinit(&body);
    tombstones_deinit(&t);
    return put(w, err);
}

struct exemplar_out {
    struct writer *w;
    struct err err;
    bool ok;
};

static void put_exemplar(void *arg, struct labels series, const struct exemplar *e)
{
    struct exemplar_out *o = arg;
    struct writer *w = o->w;
    bool created;
    uint32_t slot;
    struct head_series *s = head_series_get(w->h, series, 0, false, &created, &slot);
    if (!o->ok || !s)
        return;
    buf_reset(&w->bytes);
    record_samples_begin(&w->bytes, RECORD_EXEMPLARS, s->ref, e->t);
    w->bytes.p[0] = SNAPSHOT_EXEMPLARS;
    record_exemplar_item(&w->bytes, s->ref, e->t, s->ref, e);
    o->ok = put(w, &o->err);
}

static bool put_all(struct writer *w, struct err *err)
{
    struct arena a;
    bool ok = true;
    arena_init(&a, ARENA_NO_LIMIT);
    for (uint32_t slot = 0, n = head_slots(w->h); ok && slot < n; slot++) {
        const struct head_series *s = head_at(w->h, slot);
        if (s->ref && atomic_load_explicit(&s->state, memory_order_relaxed) != SERIES_DEAD)
            ok = put_series(w, s, &a, err);
    }
    ok = ok && put_tombstones(w, err);
    struct exemplar_out o = { .w = w, .ok = ok };
    if (ok)
        exemplar_ring_walk(w->h->exemplars, put_exemplar, &o);
    if (ok && !o.ok) {
        *err = o.err;
        ok = false;
    }
    arena_deinit(&a);
    return ok;
}

bool head_snapshot_write(struct head *h, const struct snapshot_place *place, struct err *err)
{
    struct writer w = { .h = h };
    struct path final = { 0 }, tmp = { 0 };
    struct err ignored;
    struct str dir = buf_view(&h->dir.text);
    path_set(&final, "%.*s/" NAME_CHUNK_SNAPSHOT "%06u.%010llu", STR_ARG(dir), place->segment,
             (unsigned long long)place->offset);
    struct str tmp_path = path_set(&tmp, "%.*s" SUFFIX_TMP, STR_ARG(buf_view(&final.text)));
    bool ok = !fs_exists(h->fs, tmp_path) || fs_remove_tree(h->fs, tmp_path, err);
    if (ok && wal_open(&w.out, h->fs, tmp_path, NULL, err)) {
        ok = put_all(&w, err);
        wal_close(&w.out);
    } else {
        ok = false;
    }
    if (ok)
        head_snapshots_remove(h);
    ok = ok && h->fs->sync_dir(h->fs, tmp_path, err) && h->fs->rename(h->fs, tmp_path, buf_view(&final.text), err) &&
         h->fs->sync_dir(h->fs, dir, err);
    if (!ok && fs_exists(h->fs, tmp_path) && !fs_remove_tree(h->fs, tmp_path, &ignored)) {
        /* It has the suffix of unfinished ones and goes at the next opening. */
    }
    buf_deinit(&w.bytes);
    buf_deinit(&w.packed);
    path_deinit(&final);
    path_deinit(&tmp);
    return ok;
}

/* ---- loading ---- */

struct loaded_series {
    uint64_t ref;
    struct labels labels;
    bool has_chunk;
    int64_t mint, maxt;
    uint8_t encoding;
    struct str bytes;
    uint64_t last_v;
};

static bool take_series(struct cursor *c, struct arena *a, struct loaded_series *s)
{
    *s = (struct loaded_series){ .ref = take_be64(c) };
    if (!record_take_labels(c, a, &s->labels) || s->ref == 0)
        return false;
    take_be64(c);
    s->has_chunk = take_uvarint(c) != 0;
    if (!s->has_chunk)
        return !c->bad;
    s->mint = (int64_t)take_be64(c);
    s->maxt = (int64_t)take_be64(c);
    s->encoding = get_u8(c);
    s->bytes = take_str(c);
    if (s->encoding == CHUNK_XOR) {
        for (int i = 0; i < LAST_SAMPLES; i++) {
            take_be64(c);
            s->last_v = take_be64(c);
        }
    } else if (s->encoding == CHUNK_HISTOGRAM) {
        record_take_int_histogram(c, a);
    } else if (s->encoding == CHUNK_FLOAT_HISTOGRAM) {
        record_take_float_histogram(c, a);
    } else {
        return false;
    }
    return !c->bad && s->maxt >= s->mint && s->maxt - s->mint <= UINT32_MAX;
}

/* The chunk decodes, and to what it says. */
static bool chunk_is_good(const struct loaded_series *s)
{
    struct columns c = { 0 };
    struct err ignored;
    bool ok = chunk_decode(s->encoding, s->bytes, INT64_MIN, INT64_MAX, &c, &ignored);
    const int64_t *t = s->encoding == CHUNK_XOR ? c.t : c.ht;
    size_t n = s->encoding == CHUNK_XOR ? c.n : c.hn;
    ok = ok && n > 0 && t[0] == s->mint && t[n - 1] == s->maxt;
    columns_deinit(&c);
    return ok;
}

static void load_histogram_chunk(struct head_series *s, const struct loaded_series *l, struct arena *a)
{
    struct histogram_reader r;
    struct err ignored = { 0 };
    struct histogram_chunk *c = &series_extra(s)->histogram;
    enum reset_flag flag;
    if (!histogram_reader_init(&r, l->encoding, (const uint8_t *)l->bytes.p, l->bytes.n, a, &ignored))
        return;
    for (bool first = true; histogram_reader_next(&r, &ignored); first = false) {
        struct int_histogram ih;
        struct float_histogram fh;
        struct histogram_sample sample = { .t = r.t };
        if (r.is_float) {
            histogram_reader_float(&r, &fh);
            sample.fh = &fh;
        } else {
            histogram_reader_int(&r, &ih);
            sample.h = &ih;
        }
        if (first)
            histogram_chunk_start(c, &sample, r.flag);
        else if (!histogram_chunk_append(c, &sample, &flag))
            return; /* cannot be: it was one chunk */
    }
    s->open = OPEN_HISTOGRAM;
}

static void load_chunk(struct head *h, struct head_series *s, const struct loaded_series *l, struct arena *a)
{
    if (l->encoding == CHUNK_XOR) {
        pieces_write(&h->pool, &s->bytes, 0, 0, (const uint8_t *)l->bytes.p, l->bytes.n);
        s->floats = (struct xor_state){ .bits = (uint32_t)(8 * l->bytes.n), .n = (uint16_t)chunk_samples(CHUNK_XOR, l->bytes) };
        s->open = OPEN_FLOAT;
    } else {
        load_histogram_chunk(s, l, a);
    }
    s->floats.t = l->maxt;
    s->floats.v = l->last_v;
    s->chunk_mint = l->mint;
    s->next_at = l->maxt;
    s->total = (uint32_t)chunk_samples(l->encoding, l->bytes);
}

struct loader {
    struct head *h;
    struct replay *replay; /* NULL: only look whether all is well */
    struct arena arena;
    struct record record;
};

static bool load_exemplars(struct loader *l, struct str bytes)
{
    struct buf copy = { 0 };
    struct err ignored;
    buf_str(&copy, bytes);
    copy.p[0] = RECORD_EXEMPLARS; /* the same body under another number */
    bool ok = record_decode(&l->record, buf_view(&copy), &ignored);
    for (size_t i = 0; ok && l->replay && i < l->record.n; i++) {
        const struct record_exemplar *e = &l->record.exemplars[i];
        const struct head_series *s = replay_series_of(l->replay, e->ref);
        struct labels labels;
        if (s && series_labels(l->h, s, &l->record.arena, &labels) &&
            exemplar_ring_check(l->h->exemplars, labels, &e->e) == APPEND_OK)
            exemplar_ring_add(l->h->exemplars, labels, &e->e);
    }
    buf_deinit(&copy);
    return ok;
}

static bool load_series(struct loader *l, struct cursor *c)
{
    struct loaded_series s;
    bool created;
    uint32_t slot;
    arena_reset(&l->arena);
    if (!take_series(c, &l->arena, &s))
        return false;
    if (!l->replay)
        return !s.has_chunk || chunk_is_good(&s);
    struct head_series *series = head_series_get(l->h, s.labels, s.ref, true, &created, &slot);
    if (!series)
        return false;
    if (created && s.has_chunk)
        load_chunk(l->h, series, &s, &l->arena);
    replay_loaded(l->replay, s.ref, series, slot);
    return true;
}

static bool load_tombstones(struct loader *l, struct cursor *c)
{
    struct tombstones t = { 0 };
    struct err ignored;
    struct intervals *s;
    bool ok = tombstones_decode_body(take_str(c), &t, &ignored) && !c->bad;
    for (size_t i = 0; ok && l->replay && (s = map64_next(&t.by_ref, &i)) != NULL;) {
        struct head_series *series = replay_series_of(l->replay, map64_key_at(&t.by_ref, i));
        for (size_t k = 0; series && k < s->n; k++)
            intervals_add(&series_extra(series)->gone, s->v[k]);
    }
    tombstones_deinit(&t);
    return ok;
}

static bool load_record(struct loader *l, struct str bytes)
{
    if (bytes.n == 0)
        return false;
    struct cursor c = cursor_of(bytes.p + 1, bytes.n - 1);
    switch (bytes.p[0]) {
    case SNAPSHOT_SERIES: return load_series(l, &c);
    case SNAPSHOT_TOMBSTONES: return load_tombstones(l, &c);
    case SNAPSHOT_EXEMPLARS: return load_exemplars(l, bytes);
    default: return false;
    }
}

static bool load_all(struct loader *l, struct str dir, struct err *err)
{
    struct wal_segments s = { 0 };
    struct wal_reader r;
    struct str bytes;
    bool got = true, ok = wal_segments_list(l->h->fs, dir, &s, err);
    if (ok && s.n == 0)
        ok = err_set(err, ERR_CORRUPT, "no segments");
    if (ok && !wal_reader_open(&r, l->h->fs, dir, s.v[0], s.v[s.n - 1], 0, err))
        ok = false;
    else if (ok) {
        while (ok && got) {
            ok = wal_reader_next(&r, &bytes, &got, err);
            if (ok && got && !load_record(l, bytes))
                ok = err_set(err, ERR_CORRUPT, "a record does not decode");
        }
        wal_reader_close(&r);
    }
    wal_segments_deinit(&s);
    return ok;
}

static bool log_reaches(struct head *h, const struct snapshot_place *p)
{
    struct path path = { 0 };
    struct wal_segments s = { 0 };
    struct err ignored;
    struct str dir = path_set(&path, "%.*s/" NAME_WAL, STR_ARG(buf_view(&h->dir.text)));
    bool ok = wal_segments_list(h->fs, dir, &s, &ignored) && (s.n > 0 ? s.v[s.n - 1] + 1 : 0) >= p->segment;
    wal_segments_deinit(&s);
    path_deinit(&path);
    return ok;
}

void head_snapshot_load(struct head *h, struct replay *r, bool *loaded, struct snapshot_place *from)
{
    struct path path = { 0 };
    struct err err = { 0 };
    struct loader l = { .h = h };
    *loaded = false;
    if (!h->o.snapshot_on_shutdown || !find_last(h, from, &path)) {
        path_deinit(&path);
        return;
    }
    arena_init(&l.arena, ARENA_NO_LIMIT);
    struct str dir = buf_view(&path.text);
    if (!log_reaches(h, from)) {
        log_warn("Chunk snapshot is newer than the log: removed", LOG_STR("dir", dir));
        if (!h->o.read_only)
            head_snapshots_remove(h);
    } else if (!load_all(&l, dir, &err)) {
        log_warn("Failed to load chunk snapshot: the whole log is replayed", LOG_STR("dir", dir), LOG_ERR(&err));
    } else {
        l.replay = r;
        *loaded = load_all(&l, dir, &err);
        ASSERT(*loaded);
    }
    arena_deinit(&l.arena);
    record_deinit(&l.record);
    path_deinit(&path);
}
