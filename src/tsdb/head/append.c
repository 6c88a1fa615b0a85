/* Appenders: batches of samples.
 *
 * A1  Statuses are decided when a sample is given, by the newest time that is visible without a lock, and again at commit
 *     under the stripe, because another batch may have been faster. What fails then is dropped and counted.
 * A2  Samples are encoded for the log as they are given. At commit the log gets: series, metadata, then per part of the
 *     batch floats, histograms (integer, custom, float, custom float), then exemplars. A new part begins when a series
 *     changes its kind, so that replay meets its samples in order.
 * A3  A series is logged before the first commit that uses it: whoever finds it unlogged logs it, too.
 * A4  Everything becomes visible at once: the commit's number is open while samples are applied.
 * A5  Warm appenders allocate nothing: they are kept and used again.
 *
 * Bounds: a record is cut at RECORD_BYTES; when the log and chunks_head wait for a full disk and their memory is used up,
 * samples are refused. */
#include "tsdb/head/head_int.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"

#define RECORD_BYTES   (1u << 20)
#define EXEMPLAR_RUNES 128
#define SPARE_MAX      64
#define KEEP_BYTES     (1u << 20) /* of a spare appender's buffers */

enum { PART_FLOATS, PART_INTS, PART_CUSTOM_INTS, PART_HFLOATS, PART_CUSTOM_HFLOATS, PARTS };
static const enum record_type part_types[PARTS] = { RECORD_SAMPLES, RECORD_HISTOGRAMS, RECORD_CUSTOM_HISTOGRAMS,
                                                    RECORD_FLOAT_HISTOGRAMS, RECORD_CUSTOM_FLOAT_HISTOGRAMS };

enum pending_kind { PENDING_FLOAT, PENDING_INT, PENDING_HFLOAT };
struct pending {
    struct head_series *series;
    uint32_t slot;
    enum pending_kind kind;
    int64_t t;
    union {
        uint64_t v;
        struct int_histogram *h;
        struct float_histogram *fh;
    } u;
};
struct pending_exemplar {
    struct head_series *series;
    struct exemplar e;
};
struct pending_metadata {
    struct head_series *series;
    struct series_metadata m;
};
struct packed { /* a finished record in `packed_bytes` */
    size_t at, n;
    uint8_t compression;
};
struct part { /* a record under construction */
    struct buf bytes;
    uint64_t ref0;
    int64_t t0;
};

struct head_appender {
    struct appender base;
    struct head *h;
    struct head_appender *next_spare;
    struct isolation_user user;
    uint16_t number;
    bool opened; /* times were taken: at the first sample of an empty head */
    struct append_options o;
    int64_t lowest, head_maxt, window;
    struct pending *v;
    size_t n, capacity;
    uint32_t *new_series; /* slots to log */
    size_t new_count, new_capacity;
    struct part parts[PARTS];
    struct map64 kinds; /* slot -> kind + 1, once the part has histograms */
    struct packed *packed;
    size_t packed_count, packed_capacity;
    struct buf packed_bytes, scratch;
    struct wal_item *items;
    size_t items_capacity;
    struct arena memory; /* histograms, exemplars, metadata of this batch */
    struct pending_exemplar *exemplars;
    size_t exemplars_count, exemplars_capacity;
    struct pending_metadata *metadata;
    size_t metadata_count, metadata_capacity;
    struct buf wbl;      /* samples of the batch that went out of order */
    uint64_t wbl_ref0;
    int64_t wbl_t0;
    size_t refused;
};

static struct head_appender *appender_of(struct appender *a)
{
    return container_of(a, struct head_appender, base);
}

/* ---- statuses ---- */

static enum append_status refuse(struct head_appender *a, enum append_status s)
{
    struct str text = append_status_text(s);
    struct head_stats *st = &a->h->stats;
    err_set(&a->base.detail, ERR_INVALID, "%.*s", STR_ARG(text));
    switch (s) {
    case APPEND_OUT_OF_BOUNDS: counter_add_shared(&st->out_of_bounds, 1); break;
    case APPEND_OUT_OF_ORDER: counter_add_shared(&st->out_of_order, 1); break;
    case APPEND_TOO_OLD: counter_add_shared(&st->too_old, 1); break;
    case APPEND_DUPLICATE: counter_add_shared(&st->duplicates, 1); break;
    case APPEND_REFUSED: counter_add_shared(&st->refused, 1); break;
    case APPEND_EXEMPLAR_OUT_OF_ORDER: counter_add_shared(&st->exemplars_out_of_order, 1); break;
    case APPEND_OK:
    case APPEND_UNKNOWN_SERIES:
    case APPEND_BAD_LABELS:
    case APPEND_BAD_HISTOGRAM:
    case APPEND_EXEMPLAR_DUPLICATE:
    case APPEND_EXEMPLAR_TOO_LONG: break;
    }
    return s;
}

static void write_g(struct buf *b, uint64_t v)
{
    num_write_f64(b, f64_from_bits(v), 'g', -1);
}

static enum append_status refuse_duplicate(struct head_appender *a, const struct head_series *s, int64_t t, uint64_t v)
{
    struct buf text = { 0 };
    refuse(a, APPEND_DUPLICATE);
    if (t == 0)
        return APPEND_DUPLICATE;
    buf_printf(&text, "duplicate sample for timestamp %lld; overrides not allowed: existing ", (long long)t);
    if (s->open == OPEN_HISTOGRAM) {
        buf_c(&text, "is a histogram");
    } else {
        write_g(&text, s->floats.v);
    }
    buf_c(&text, ", new value ");
    write_g(&text, v);
    err_set(&a->base.detail, ERR_INVALID, "%.*s", STR_ARG(buf_view(&text)));
    buf_deinit(&text);
    return APPEND_DUPLICATE;
}

/* ---- times ---- */

static void open_times(struct head_appender *a, int64_t t)
{
    struct head *h = a->h;
    if (a->opened)
        return;
    a->opened = true;
    if (head_is_empty(h))
        head_observe_times(h, t, t);
    a->lowest = head_lowest(h);
    a->head_maxt = time_load(&h->maxt);
    a->window = time_load(&h->ooo_window);
    isolation_appender_close(&h->isolation, &a->user);
    isolation_appender_open(&h->isolation, &a->user, a->lowest);
}

static bool in_window(const struct head_appender *a, int64_t t)
{
    return a->window > 0 && (a->head_maxt < INT64_MIN + a->window || t >= a->head_maxt - a->window);
}

/* Where a sample at t goes, given the series' newest time. *ooo: out of order. */
static enum append_status admit(const struct head_appender *a, bool has_last, int64_t last, int64_t t, bool *same_time,
                                bool *ooo)
{
    *ooo = *same_time = false;
    if (t >= a->lowest) {
        if (!has_last || t > last)
            return APPEND_OK;
        if (t == last) {
            *same_time = true;
            return APPEND_OK;
        }
    }
    if (in_window(a, t)) {
        *ooo = true;
        return a->o.discard_out_of_order ? APPEND_OUT_OF_ORDER : APPEND_OK;
    }
    if (a->window > 0)
        return APPEND_TOO_OLD;
    return t < a->lowest ? APPEND_OUT_OF_BOUNDS : APPEND_OUT_OF_ORDER;
}

/* ---- series ---- */

static bool labels_are_good(struct labels ls)
{
    for (size_t i = 1; i < ls.n; i++) {
        if (str_eq(ls.v[i - 1].name, ls.v[i].name))
            return false;
    }
    return ls.n > 0;
}

static void log_series(struct head_appender *a, struct head_series *s, uint32_t slot)
{
    if (a->new_count == a->new_capacity) {
        a->new_capacity = mem_grow(a->new_capacity, a->new_count + 1);
        a->new_series = mem_realloc_array(a->new_series, a->new_capacity, sizeof *a->new_series);
    }
    a->new_series[a->new_count++] = slot;
    __atomic_store_n(&s->unlogged_by, a->number, __ATOMIC_RELAXED);
}

/* The series of a live reference; NULL if it is dead. A doomed one is kept by being wanted. */
static struct head_series *by_ref(struct head *h, series_ref ref, uint32_t *slot)
{
    uint32_t at = (uint32_t)(ref >> 32) - 1;
    if (ref == 0 || at >= SERIES_SEGMENTS * SERIES_PER_SEGMENT || !h->segments[at / SERIES_PER_SEGMENT])
        return NULL;
    struct head_series *s = head_at(h, at);
    if ((uint32_t)__atomic_load_n(&s->ref, __ATOMIC_ACQUIRE) != (uint32_t)ref)
        return NULL;
    uint8_t state = atomic_load_explicit(&s->state, memory_order_acquire);
    if (UNLIKELY(state == SERIES_DOOMED)) {
        uint8_t doomed = SERIES_DOOMED;
        if (!atomic_compare_exchange_strong(&s->state, &doomed, SERIES_LIVE) && doomed != SERIES_LIVE)
            return NULL;
    } else if (UNLIKELY(state == SERIES_DEAD)) {
        return NULL;
    }
    *slot = at;
    return s;
}

static struct head_series *target(struct head_appender *a, series_ref *ref, const struct labels *ls, uint32_t *slot,
                                  enum append_status *status)
{
    struct head *h = a->h;
    bool created = false;
    *status = APPEND_OK;
    struct head_series *s = by_ref(h, *ref, slot);
    if (!s) {
        if (!ls) {
            *status = refuse(a, APPEND_UNKNOWN_SERIES);
            return NULL;
        }
        if (!labels_are_good(*ls)) {
            *status = refuse(a, APPEND_BAD_LABELS);
            return NULL;
        }
        do { /* found dead: it is on its way out of the tables */
            s = head_series_get(h, *ls, 0, true, &created, slot);
            if (!s) {
                *status = refuse(a, APPEND_REFUSED);
                return NULL;
            }
            *ref = head_handle(*slot, s->ref);
        } while (!by_ref(h, *ref, slot));
    }
    uint16_t unlogged_by = __atomic_load_n(&s->unlogged_by, __ATOMIC_RELAXED);
    if (UNLIKELY(unlogged_by != 0 && unlogged_by != a->number))
        log_series(a, s, *slot);
    return s;
}

/* ---- records ---- */

static void pack(struct head_appender *a, struct str record)
{
    static const enum wal_compression how[] = { [TSDB_SNAPPY] = WAL_SNAPPY, [TSDB_PLAIN] = WAL_PLAIN, [TSDB_ZSTD] = WAL_ZSTD };
    if (a->packed_count == a->packed_capacity) {
        a->packed_capacity = mem_grow(a->packed_capacity, a->packed_count + 1);
        a->packed = mem_realloc_array(a->packed, a->packed_capacity, sizeof *a->packed);
    }
    size_t from = a->packed_bytes.n;
    struct wal_item item = wal_pack(record, how[a->h->o.compression], &a->packed_bytes);
    if (item.compression == WAL_PLAIN)
        buf_str(&a->packed_bytes, record);
    a->packed[a->packed_count++] = (struct packed){ from, a->packed_bytes.n - from, item.compression };
}

static void part_close(struct head_appender *a, struct part *p)
{
    if (p->bytes.n)
        pack(a, buf_view(&p->bytes));
    buf_reset(&p->bytes);
}

/* Ends the running part of the batch. */
static void parts_close(struct head_appender *a)
{
    for (size_t i = 0; i < PARTS; i++)
        part_close(a, &a->parts[i]);
    map64_reset(&a->kinds);
}

static struct part *part_for(struct head_appender *a, size_t i, uint64_t ref, int64_t t)
{
    struct part *p = &a->parts[i];
    if (p->bytes.n > RECORD_BYTES)
        parts_close(a);
    if (p->bytes.n == 0) {
        p->ref0 = ref;
        p->t0 = t;
        record_samples_begin(&p->bytes, part_types[i], ref, t);
    }
    return p;
}

static struct pending *push(struct head_appender *a, struct head_series *s, uint32_t slot, int64_t t)
{
    if (a->n == a->capacity) {
        a->capacity = mem_grow(a->capacity, a->n + 1);
        a->v = mem_realloc_array(a->v, a->capacity, sizeof *a->v);
    }
    a->v[a->n] = (struct pending){ .series = s, .slot = slot, .t = t };
    return &a->v[a->n++];
}

/* Notes the kind of a series in this part; a change of kind ends the part. */
static void note_kind(struct head_appender *a, uint32_t slot, uintptr_t kind)
{
    void *was = map64_get(&a->kinds, slot);
    if (was && was != (void *)kind)
        parts_close(a);
    map64_put(&a->kinds, slot, (void *)kind);
}

/* ---- samples ---- */

static bool no_room(struct head_appender *a)
{
    struct head *h = a->h;
    uint64_t most = h->o.stalled_max_bytes;
    return UNLIKELY(mapper_pending_bytes(&h->mapper) > most + MAPPER_BUFFER_BYTES);
}

static enum append_status head_sample(struct appender *base, series_ref *ref, const struct labels *ls, int64_t t, double v)
{
    struct head_appender *a = appender_of(base);
    uint32_t slot;
    bool same_time, ooo;
    enum append_status status;
    uint64_t bits = f64_bits(v);
    if (no_room(a))
        return refuse(a, APPEND_REFUSED);
    open_times(a, t);
    if (UNLIKELY(a->window == 0 && t < a->lowest))
        return refuse(a, APPEND_OUT_OF_BOUNDS);
    struct head_series *s = target(a, ref, ls, &slot, &status);
    if (!s)
        return status;
    enum open_kind open = (enum open_kind)__atomic_load_n(&s->open, __ATOMIC_RELAXED);
    int64_t last = __atomic_load_n(&s->floats.t, __ATOMIC_RELAXED);
    status = admit(a, open != OPEN_NONE, last, t, &same_time, &ooo);
    if (status != APPEND_OK)
        return refuse(a, status);
    if (UNLIKELY(same_time)) {
        struct lock *lock = &head_stripe(a->h, s)->lock;
        lock_take(lock);
        bool other = series_last(s, &last) && last == t && !series_last_equals(s, bits, NULL, NULL);
        if (other)
            status = refuse_duplicate(a, s, t, bits);
        lock_give(lock);
        return status; /* the same sample again is fine and changes nothing */
    }
    if (UNLIKELY(a->kinds.count > 0))
        note_kind(a, slot, 1 + PART_FLOATS);
    struct part *p = part_for(a, PART_FLOATS, s->ref, t);
    record_sample_item(&p->bytes, p->ref0, p->t0, s->ref, t, bits);
    struct pending *n = push(a, s, slot, t);
    n->kind = PENDING_FLOAT;
    n->u.v = bits;
    return APPEND_OK;
}

static size_t histogram_part(const struct int_histogram *h, const struct float_histogram *fh)
{
    if (h)
        return h->schema == HISTOGRAM_SCHEMA_CUSTOM ? PART_CUSTOM_INTS : PART_INTS;
    return fh->schema == HISTOGRAM_SCHEMA_CUSTOM ? PART_CUSTOM_HFLOATS : PART_HFLOATS;
}

static enum append_status head_histogram(struct appender *base, series_ref *ref, const struct labels *ls, int64_t t,
                                         const struct int_histogram *h, const struct float_histogram *fh)
{
    struct head_appender *a = appender_of(base);
    uint32_t slot;
    bool same_time, ooo;
    enum append_status status;
    int64_t last;
    if (no_room(a))
        return refuse(a, APPEND_REFUSED);
    if (h ? !int_histogram_check(h, &base->detail) : !float_histogram_check(fh, &base->detail))
        return APPEND_BAD_HISTOGRAM;
    open_times(a, t);
    if (a->window == 0 && t < a->lowest)
        return refuse(a, APPEND_OUT_OF_BOUNDS);
    struct head_series *s = target(a, ref, ls, &slot, &status);
    if (!s)
        return status;
    struct lock *lock = &head_stripe(a->h, s)->lock;
    lock_take(lock);
    bool has_last = series_last(s, &last);
    status = admit(a, has_last, last, t, &same_time, &ooo);
    bool again = status == APPEND_OK && same_time;
    bool other = again && !series_last_equals(s, 0, h, fh);
    lock_give(lock);
    if (other)
        return refuse(a, APPEND_DUPLICATE);
    if (status != APPEND_OK)
        return refuse(a, status);
    if (again)
        return APPEND_OK;
    size_t part = histogram_part(h, fh);
    note_kind(a, slot, 1 + part);
    struct part *p = part_for(a, part, s->ref, t);
    record_histogram_item(&p->bytes, p->ref0, p->t0, s->ref, t, h, fh);
    struct pending *n = push(a, s, slot, t);
    if (h) {
        n->kind = PENDING_INT;
        n->u.h = ARENA_NEW(&a->memory, struct int_histogram);
        int_histogram_copy(&a->memory, h, n->u.h);
    } else {
        n->kind = PENDING_HFLOAT;
        n->u.fh = ARENA_NEW(&a->memory, struct float_histogram);
        float_histogram_copy(&a->memory, fh, n->u.fh);
    }
    return APPEND_OK;
}

/* ---- exemplars and metadata ---- */

static bool copy_series_labels(struct head_appender *a, const struct head_series *s, struct labels *out)
{
    rwlock_take_read(&a->h->index_lock);
    bool ok = series_labels(a->h, s, &a->memory, out);
    rwlock_give_read(&a->h->index_lock);
    return ok;
}

static enum append_status head_exemplar(struct appender *base, series_ref ref, const struct exemplar *e)
{
    struct head_appender *a = appender_of(base);
    struct labels labels;
    uint32_t slot;
    size_t runes = 0;
    if (exemplar_ring_max(a->h->exemplars) == 0)
        return APPEND_OK;
    struct head_series *s = by_ref(a->h, ref, &slot);
    if (!s)
        return refuse(a, APPEND_UNKNOWN_SERIES);
    for (size_t i = 0; i < e->labels.n; i++)
        runes += utf8_count(e->labels.v[i].name) + utf8_count(e->labels.v[i].value);
    if (runes > EXEMPLAR_RUNES)
        return refuse(a, APPEND_EXEMPLAR_TOO_LONG);
    if (!copy_series_labels(a, s, &labels))
        return refuse(a, APPEND_REFUSED);
    enum append_status status = exemplar_ring_check(a->h->exemplars, labels, e);
    if (status == APPEND_EXEMPLAR_DUPLICATE)
        return APPEND_OK;
    if (status != APPEND_OK)
        return refuse(a, status);
    if (a->exemplars_count == a->exemplars_capacity) {
        a->exemplars_capacity = mem_grow(a->exemplars_capacity, a->exemplars_count + 1);
        a->exemplars = mem_realloc_array(a->exemplars, a->exemplars_capacity, sizeof *a->exemplars);
    }
    struct pending_exemplar *p = &a->exemplars[a->exemplars_count++];
    *p = (struct pending_exemplar){ .series = s, .e = *e };
    p->e.labels = labels_copy(&a->memory, e->labels);
    return APPEND_OK;
}

static bool same_metadata(const struct series_metadata *x, const struct series_metadata *y)
{
    return x->type == y->type && str_eq(x->unit, y->unit) && str_eq(x->help, y->help);
}

static enum append_status head_metadata(struct appender *base, series_ref ref, const struct series_metadata *m)
{
    struct head_appender *a = appender_of(base);
    uint32_t slot;
    struct head_series *s = by_ref(a->h, ref, &slot);
    if (!s)
        return refuse(a, APPEND_UNKNOWN_SERIES);
    struct lock *lock = &head_stripe(a->h, s)->lock;
    lock_take(lock);
    bool same = s->extra && s->extra->metadata && same_metadata(s->extra->metadata, m);
    lock_give(lock);
    if (same)
        return APPEND_OK;
    if (a->metadata_count == a->metadata_capacity) {
        a->metadata_capacity = mem_grow(a->metadata_capacity, a->metadata_count + 1);
        a->metadata = mem_realloc_array(a->metadata, a->metadata_capacity, sizeof *a->metadata);
    }
    a->metadata[a->metadata_count++] = (struct pending_metadata){
        .series = s,
        .m = { m->type, arena_str(&a->memory, m->unit), arena_str(&a->memory, m->help) },
    };
    return APPEND_OK;
}

/* ---- the log ---- */

static void pack_series(struct head_appender *a)
{
    struct head *h = a->h;
    if (a->new_count == 0)
        return;
    rwlock_take_read(&h->index_lock);
    buf_reset(&a->scratch);
    record_series_begin(&a->scratch);
    for (size_t i = 0; i < a->new_count; i++) {
        const struct head_series *s = head_at(h, a->new_series[i]);
        buf_be64(&a->scratch, s->ref);
        buf_uvarint(&a->scratch, s->labels_count);
        for (size_t k = 0; k < s->labels_count; k++) {
            buf_uvarint_str(&a->scratch, memindex_text(&h->index, s->labels[k].name));
            buf_uvarint_str(&a->scratch, memindex_text(&h->index, s->labels[k].value));
        }
        if (a->scratch.n > RECORD_BYTES) {
            pack(a, buf_view(&a->scratch));
            buf_reset(&a->scratch);
            record_series_begin(&a->scratch);
        }
    }
    rwlock_give_read(&h->index_lock);
    if (a->scratch.n > 1)
        pack(a, buf_view(&a->scratch));
}

static void pack_metadata(struct head_appender *a)
{
    if (a->metadata_count == 0)
        return;
    buf_reset(&a->scratch);
    record_metadata_begin(&a->scratch);
    for (size_t i = 0; i < a->metadata_count; i++)
        record_metadata_item(&a->scratch, a->metadata[i].series->ref, &a->metadata[i].m);
    pack(a, buf_view(&a->scratch));
}

static void pack_exemplars(struct head_appender *a)
{
    if (a->exemplars_count == 0)
        return;
    const struct pending_exemplar *first = &a->exemplars[0];
    buf_reset(&a->scratch);
    record_samples_begin(&a->scratch, RECORD_EXEMPLARS, first->series->ref, first->e.t);
    for (size_t i = 0; i < a->exemplars_count; i++)
        record_exemplar_item(&a->scratch, first->series->ref, first->e.t, a->exemplars[i].series->ref, &a->exemplars[i].e);
    pack(a, buf_view(&a->scratch));
}

static struct wal_bounds batch_bounds(const struct head_appender *a)
{
    struct wal_bounds b = WAL_BOUNDS_NONE;
    for (size_t i = 0; i < a->n; i++)
        wal_bounds_add(&b, a->v[i].t);
    for (size_t i = 0; i < a->exemplars_count; i++)
        wal_bounds_add(&b, a->exemplars[i].e.t);
    return b;
}

/* Gives the log what was packed; series first although they were packed last. */
static bool log_batch(struct head_appender *a, struct err *err)
{
    size_t samples = a->packed_count;
    pack_series(a);
    pack_metadata(a);
    size_t head = a->packed_count;
    pack_exemplars(a);
    size_t n = a->packed_count, k = 0;
    if (n == 0)
        return true;
    struct wal_bounds bounds = batch_bounds(a);
    if (n > a->items_capacity) {
        a->items_capacity = mem_grow(a->items_capacity, n);
        a->items = mem_realloc_array(a->items, a->items_capacity, sizeof *a->items);
    }
    for (size_t round = 0; round < 3; round++) {
        size_t from = round == 0 ? samples : round == 1 ? 0 : head, to = round == 0 ? head : round == 1 ? samples : n;
        for (size_t i = from; i < to; i++) {
            const struct packed *p = &a->packed[i];
            a->items[k++] = (struct wal_item){ str_of(a->packed_bytes.p + p->at, p->n), p->compression, &bounds };
        }
    }
    return !a->h->has_wal || wal_log(&a->h->wal, a->items, n, err);
}

static void mark_logged(struct head_appender *a, uint16_t as)
{
    for (size_t i = 0; i < a->new_count; i++)
        __atomic_store_n(&head_at(a->h, a->new_series[i])->unlogged_by, as, __ATOMIC_RELAXED);
}

/* ---- applying ---- */

struct applied {
    uint64_t floats, histograms, ooo;
    int64_t mint, maxt, ooo_mint, ooo_maxt;
};

static void wbl_sample(struct head_appender *a, const struct head_series *s, const struct raw_sample *r)
{
    enum record_type type = r->h ? RECORD_HISTOGRAMS : r->fh ? RECORD_FLOAT_HISTOGRAMS : RECORD_SAMPLES;
    if (a->wbl.n && (uint8_t)a->wbl.p[0] != type) {
        pack(a, buf_view(&a->wbl));
        buf_reset(&a->wbl);
    }
    if (a->wbl.n == 0) {
        a->wbl_ref0 = s->ref;
        a->wbl_t0 = r->t;
        record_samples_begin(&a->wbl, type, s->ref, r->t);
    }
    if (type == RECORD_SAMPLES)
        record_sample_item(&a->wbl, a->wbl_ref0, a->wbl_t0, s->ref, r->t, r->v);
    else
        record_histogram_item(&a->wbl, a->wbl_ref0, a->wbl_t0, s->ref, r->t, r->h, r->fh);
}

/* What was logged for the series so far is in mapped chunks now: the markers say so, after those samples. */
static void wbl_markers(struct head_appender *a, const struct head_series *s, struct buf *refs)
{
    if (a->wbl.n)
        pack(a, buf_view(&a->wbl));
    buf_reset(&a->wbl);
    buf_reset(&a->scratch);
    record_markers_begin(&a->scratch);
    for (size_t i = 0; i < refs->n; i += 8)
        record_marker_item(&a->scratch, s->ref, get_be64(refs->p + i));
    pack(a, buf_view(&a->scratch));
}

static void apply_ooo(struct head_appender *a, const struct pending *p, struct applied *done)
{
    struct buf markers = { 0 };
    bool cut;
    struct raw_sample r = { .t = p->t };
    if (p->kind == PENDING_FLOAT)
        r.v = p->u.v;
    else if (p->kind == PENDING_INT)
        r.h = p->u.h;
    else
        r.fh = p->u.fh;
    bool added = series_append_ooo(a->h, p->series, &r, &cut, &markers);
    if (cut)
        wbl_markers(a, p->series, &markers);
    if (added) {
        wbl_sample(a, p->series, &r);
        done->ooo++;
        done->ooo_mint = p->t < done->ooo_mint ? p->t : done->ooo_mint;
        done->ooo_maxt = p->t > done->ooo_maxt ? p->t : done->ooo_maxt;
    }
    buf_deinit(&markers);
}

static bool append_in_order(struct head_appender *a, const struct pending *p, uint32_t commit)
{
    struct head *h = a->h;
    struct head_series *s = p->series;
    if (p->kind == PENDING_INT)
        return series_append_histogram(h, s, p->slot, p->t, p->u.h, NULL, commit);
    if (p->kind == PENDING_HFLOAT)
        return series_append_histogram(h, s, p->slot, p->t, NULL, p->u.fh, commit);
    if (LIKELY(p->u.v != STALE_NAN_BITS || s->open != OPEN_HISTOGRAM))
        return series_append_float(h, s, p->slot, p->t, p->u.v, commit);
    /* The series' last value is a histogram: its end is marked by one of the same kind. */
    struct int_histogram ih = { .sum = f64_from_bits(STALE_NAN_BITS) };
    struct float_histogram fh = { .sum = f64_from_bits(STALE_NAN_BITS) };
    bool is_float = s->extra->histogram.is_float;
    return series_append_histogram(h, s, p->slot, p->t, is_float ? NULL : &ih, is_float ? &fh : NULL, commit);
}

static void apply(struct head_appender *a, const struct pending *p, uint32_t commit, struct applied *done)
{
    int64_t last;
    bool same_time, ooo;
    bool has_last = series_last(p->series, &last);
    enum append_status status = admit(a, has_last, last, p->t, &same_time, &ooo);
    if (status != APPEND_OK) {
        refuse(a, status);
    } else if (same_time) {
        if (!series_last_equals(p->series, p->kind == PENDING_FLOAT ? p->u.v : 0, p->kind == PENDING_INT ? p->u.h : NULL,
                                p->kind == PENDING_HFLOAT ? p->u.fh : NULL))
            refuse(a, APPEND_DUPLICATE);
    } else if (ooo) {
        apply_ooo(a, p, done);
    } else if (append_in_order(a, p, commit)) {
        done->floats += p->kind == PENDING_FLOAT;
        done->histograms += p->kind != PENDING_FLOAT;
        done->mint = p->t < done->mint ? p->t : done->mint;
        done->maxt = p->t > done->maxt ? p->t : done->maxt;
    }
}

static void apply_batch(struct head_appender *a)
{
    struct head *h = a->h;
    struct applied done = { .mint = INT64_MAX, .maxt = INT64_MIN, .ooo_mint = INT64_MAX, .ooo_maxt = INT64_MIN };
    struct stripe *held = NULL;
    uint32_t commit = isolation_commit_begin(&h->isolation);
    for (size_t i = 0; i < a->n; i++) {
        const struct pending *p = &a->v[i];
        struct stripe *st = head_stripe(h, p->series);
        if (i + 4 < a->n)
            series_prefetch(a->v[i + 4].series);
        if (st != held) {
            if (held)
                lock_give(&held->lock);
            lock_take(&st->lock);
            held = st;
        }
        apply(a, p, commit, &done);
    }
    if (held)
        lock_give(&held->lock);
    if (done.floats + done.histograms)
        head_observe_times(h, done.mint, done.maxt);
    if (done.ooo)
        head_observe_ooo_times(h, done.ooo_mint, done.ooo_maxt);
    isolation_commit_end(&h->isolation, commit);
    counter_add_shared(&h->stats.appended_floats, done.floats);
    counter_add_shared(&h->stats.appended_histograms, done.histograms);
    counter_add_shared(&h->stats.ooo_appended, done.ooo);
}

static void apply_rest(struct head_appender *a)
{
    struct labels labels;
    for (size_t i = 0; i < a->metadata_count; i++) {
        struct lock *lock = &head_stripe(a->h, a->metadata[i].series)->lock;
        lock_take(lock);
        series_set_metadata(a->metadata[i].series, &a->metadata[i].m);
        lock_give(lock);
    }
    for (size_t i = 0; i < a->exemplars_count; i++) {
        const struct pending_exemplar *p = &a->exemplars[i];
        if (copy_series_labels(a, p->series, &labels) &&
            exemplar_ring_check(a->h->exemplars, labels, &p->e) == APPEND_OK) {
            exemplar_ring_add(a->h->exemplars, labels, &p->e);
            counter_add_shared(&a->h->stats.exemplars_appended, 1);
        }
    }
}

/* ---- life ---- */

static void packed_reset(struct head_appender *a)
{
    a->packed_count = 0;
    buf_reset(&a->packed_bytes);
}

static void appender_free(struct head_appender *a)
{
    for (size_t i = 0; i < PARTS; i++)
        buf_deinit(&a->parts[i].bytes);
    buf_deinit(&a->packed_bytes);
    buf_deinit(&a->scratch);
    buf_deinit(&a->wbl);
    mem_free(a->v);
    mem_free(a->new_series);
    mem_free(a->packed);
    mem_free(a->items);
    mem_free(a->exemplars);
    mem_free(a->metadata);
    map64_deinit(&a->kinds);
    arena_deinit(&a->memory);
    mem_free(a);
}

void head_appenders_free(struct head *h)
{
    while (h->spare) {
        struct head_appender *a = h->spare;
        h->spare = a->next_spare;
        appender_free(a);
    }
}

/* Back among the spares; what a rare large batch took is given back. */
static void appender_end(struct head_appender *a)
{
    struct head *h = a->h;
    isolation_appender_close(&h->isolation, &a->user);
    a->n = a->new_count = a->exemplars_count = a->metadata_count = 0;
    for (size_t i = 0; i < PARTS; i++)
        buf_reset(&a->parts[i].bytes);
    buf_reset(&a->wbl);
    packed_reset(a);
    map64_reset(&a->kinds);
    arena_reset(&a->memory);
    if (a->packed_bytes.capacity > KEEP_BYTES)
        buf_deinit(&a->packed_bytes);
    if (a->parts[PART_FLOATS].bytes.capacity > 2 * KEEP_BYTES)
        buf_deinit(&a->parts[PART_FLOATS].bytes);
    if (a->capacity * sizeof *a->v > KEEP_BYTES) {
        mem_free(a->v);
        a->v = NULL;
        a->capacity = 0;
    }
    lock_take(&h->pools_lock);
    a->next_spare = h->spare;
    h->spare = a;
    lock_give(&h->pools_lock);
}

static bool head_commit(struct appender *base, struct err *err)
{
    struct head_appender *a = appender_of(base);
    parts_close(a);
    bool ok = log_batch(a, err);
    mark_logged(a, ok ? 0 : UNLOGGED_NOBODY);
    if (ok) {
        packed_reset(a);
        if (a->n)
            apply_batch(a);
        apply_rest(a);
        if (a->wbl.n)
            pack(a, buf_view(&a->wbl));
        for (size_t i = 0; i < a->packed_count && a->h->has_wbl; i++) {
            const struct packed *p = &a->packed[i];
            struct wal_item item = { str_of(a->packed_bytes.p + p->at, p->n), p->compression, NULL };
            struct err ignored;
            if (!wal_log(&a->h->wbl, &item, 1, &ignored))
                counter_add_shared(&a->h->stats.refused, 1); /* the log has the samples, too */
        }
    }
    appender_end(a);
    return ok;
}

static void head_rollback(struct appender *base)
{
    struct head_appender *a = appender_of(base);
    struct err ignored;
    packed_reset(a);
    for (size_t i = 0; i < PARTS; i++)
        buf_reset(&a->parts[i].bytes);
    a->exemplars_count = a->metadata_count = 0;
    bool ok = log_batch(a, &ignored); /* the series stay and are logged */
    mark_logged(a, ok ? 0 : UNLOGGED_NOBODY);
    appender_end(a);
}

static const struct appender_ops head_appender_ops = {
    .sample = head_sample,
    .histogram = head_histogram,
    .exemplar = head_exemplar,
    .metadata = head_metadata,
    .commit = head_commit,
    .rollback = head_rollback,
};

bool head_appender(struct head *h, const struct append_options *o, struct appender **out, struct err *err)
{
    lock_take(&h->pools_lock);
    struct head_appender *a = h->spare;
    if (a)
        h->spare = a->next_spare;
    else if (h->appenders_made == UNLOGGED_NOBODY - 1)
        a = NULL;
    else
        h->appenders_made++;
    uint16_t number = h->appenders_made;
    lock_give(&h->pools_lock);
    if (!a) {
        if (number == UNLOGGED_NOBODY - 1)
            return err_set(err, ERR_LIMIT, "too many appenders are open");
        a = MEM_NEW(struct head_appender);
        a->h = h;
        a->number = number;
        a->base.ops = &head_appender_ops;
        arena_init(&a->memory, ARENA_NO_LIMIT);
    }
    a->o = o ? *o : (struct append_options){ 0 };
    a->base.detail.code = ERR_NONE;
    a->opened = false;
    a->lowest = head_lowest(h);
    a->head_maxt = time_load(&h->maxt);
    a->window = time_load(&h->ooo_window);
    a->opened = !head_is_empty(h);
    isolation_appender_open(&h->isolation, &a->user, a->lowest);
    *out = &a->base;
    return true;
}
