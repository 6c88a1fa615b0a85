/* Samples of a series as arrays, and one-by-one reading on top of them.
 *
 * C1  t and v have n valid elements, ht and h have hn; both ascend strictly in time.
 * C2  No time is in both: a series has one sample a time. columns_merge() keeps that when sources overlap.
 * C3  Histograms live in `memory` and die at reset; arrays are kept, so that a warm reader allocates nothing.
 *
 * Bounds: none here; a reader's range bounds what is asked for, and a chunk holds 65535 samples at most. */
#include "storage/storage.h"

#include "base/mem.h"

void columns_deinit(struct columns *c)
{
    mem_free(c->t);
    mem_free(c->v);
    mem_free(c->ht);
    mem_free(c->h);
    if (c->memory_ready)
        arena_deinit(&c->memory);
    *c = (struct columns){ 0 };
}

void columns_reset(struct columns *c)
{
    c->n = 0;
    c->hn = 0;
    c->st = c->hst = NULL;
    if (c->memory_ready)
        arena_reset(&c->memory);
}

void columns_reserve(struct columns *c, size_t extra)
{
    if (c->capacity - c->n >= extra)
        return;
    size_t capacity = mem_grow(c->capacity, c->n + extra);
    c->t = mem_realloc_array(c->t, capacity, sizeof *c->t);
    c->v = mem_realloc_array(c->v, capacity, sizeof *c->v);
    c->capacity = capacity;
}

struct arena *columns_arena(struct columns *c)
{
    if (!c->memory_ready) {
        arena_init(&c->memory, ARENA_NO_LIMIT);
        c->memory_ready = true;
    }
    return &c->memory;
}

void columns_push_histogram(struct columns *c, int64_t t, struct float_histogram *h)
{
    if (c->hn == c->h_capacity) {
        size_t capacity = mem_grow(c->h_capacity, c->hn + 1);
        c->ht = mem_realloc_array(c->ht, capacity, sizeof *c->ht);
        c->h = mem_realloc_array(c->h, capacity, sizeof(struct float_histogram *));
        c->h_capacity = capacity;
    }
    c->ht[c->hn] = t;
    c->h[c->hn++] = h;
}

/* ---- one by one ---- */

void sample_iter_init(struct sample_iter *it, struct series *s, int64_t mint, int64_t maxt)
{
    columns_reset(&it->columns);
    struct columns keep = it->columns;
    *it = (struct sample_iter){ .series = s, .mint = mint, .maxt = maxt, .columns = keep };
}

void sample_iter_deinit(struct sample_iter *it)
{
    columns_deinit(&it->columns);
    *it = (struct sample_iter){ 0 };
}

static bool load(struct sample_iter *it, struct err *err)
{
    it->loaded = true;
    return series_read(it->series, it->mint, it->maxt, &it->columns, err);
}

bool sample_iter_next(struct sample_iter *it, struct err *err)
{
    if (!it->loaded && !load(it, err)) {
        it->kind = SAMPLE_NONE;
        return false;
    }
    const struct columns *c = &it->columns;
    bool has_float = it->at < c->n, has_histogram = it->h_at < c->hn;
    if (!has_float && !has_histogram) {
        it->kind = SAMPLE_NONE;
    } else if (has_float && (!has_histogram || c->t[it->at] <= c->ht[it->h_at])) {
        it->kind = SAMPLE_FLOAT;
        it->t = c->t[it->at];
        it->v = c->v[it->at++];
        it->h = NULL;
    } else {
        it->kind = SAMPLE_HISTOGRAM;
        it->t = c->ht[it->h_at];
        it->h = c->h[it->h_at++];
    }
    return true;
}

static size_t lower_bound(const int64_t *t, size_t from, size_t n, int64_t at)
{
    size_t low = from, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t[mid] < at)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

bool sample_iter_seek(struct sample_iter *it, int64_t t, struct err *err)
{
    if (it->loaded && it->kind != SAMPLE_NONE && it->t >= t)
        return true;
    if (!it->loaded && !load(it, err)) {
        it->kind = SAMPLE_NONE;
        return false;
    }
    it->at = lower_bound(it->columns.t, it->at, it->columns.n, t);
    it->h_at = lower_bound(it->columns.ht, it->h_at, it->columns.hn, t);
    return sample_iter_next(it, err);
}

/* ---- words ---- */

struct str append_status_text(enum append_status s)
{
    static const struct str texts[] = {
        [APPEND_OK] = STR_INIT(""),
        [APPEND_OUT_OF_BOUNDS] = STR_INIT("out of bounds"),
        [APPEND_OUT_OF_ORDER] = STR_INIT("out of order sample"),
        [APPEND_TOO_OLD] = STR_INIT("too old sample"),
        [APPEND_DUPLICATE] = STR_INIT("duplicate sample for timestamp"),
        [APPEND_UNKNOWN_SERIES] = STR_INIT("unknown series"),
        [APPEND_BAD_LABELS] = STR_INIT("invalid sample"),
        [APPEND_BAD_HISTOGRAM] = STR_INIT("invalid histogram"),
        [APPEND_EXEMPLAR_DUPLICATE] = STR_INIT("duplicate exemplar"),
        [APPEND_EXEMPLAR_OUT_OF_ORDER] = STR_INIT("out of order exemplar"),
        [APPEND_EXEMPLAR_TOO_LONG] = STR_INIT("label length for exemplar exceeds maximum of 128 UTF-8 characters"),
        [APPEND_REFUSED] = STR_INIT("storage takes no samples: the disk is full and the bound on memory is reached"),
    };
    ASSERT((size_t)s < ARRAY_LEN(texts));
    return texts[s];
}

struct str series_type_text(enum series_type t)
{
    static const struct str texts[] = {
        [SERIES_UNKNOWN] = STR_INIT("unknown"),
        [SERIES_COUNTER] = STR_INIT("counter"),
        [SERIES_GAUGE] = STR_INIT("gauge"),
        [SERIES_TYPE_HISTOGRAM] = STR_INIT("histogram"),
        [SERIES_GAUGE_HISTOGRAM] = STR_INIT("gaugehistogram"),
        [SERIES_SUMMARY] = STR_INIT("summary"),
        [SERIES_INFO] = STR_INIT("info"),
        [SERIES_STATESET] = STR_INIT("stateset"),
    };
    return (size_t)t < ARRAY_LEN(texts) ? texts[t] : texts[SERIES_UNKNOWN];
}
