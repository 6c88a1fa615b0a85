/* Reading a block as a querier: postings are walked lazily in reference order, which is label order, and a series' chunks
 * are decoded when they are asked for.
 *
 * Q1  Memory: a series that is given costs its labels and its chunk references in the query's arena; texts stay in the
 *     mapping. Pages of chunks that a scan has passed leave the process: what is resident does not grow with what is read.
 * Q2  A series whose chunks in range all lie within deleted intervals does not appear. */
#include "tsdb/block/block_int.h"

#include "base/mem.h"
#include "tsdb/chunkenc/chunk_int.h"
#include "tsdb/rechunk_int.h"

#include <stdlib.h>

struct block_querier {
    struct querier base;
    struct block *block;
    struct shared_tombstones *tombstones;
    struct index_series scratch;
    struct segments_scan scan;
};
struct block_series {
    struct series base;
    struct block_querier *q;
    const struct intervals *gone;
    struct index_chunk *chunks;
    size_t chunks_count;
};
struct block_set {
    struct series_set base;
    struct block_querier *q;
    struct postings *postings;
    size_t left; /* of the limit */
};

/* ---- a series ---- */

static bool series_columns(struct series *base, int64_t mint, int64_t maxt, struct columns *out, struct err *err)
{
    struct block_series *s = container_of(base, struct block_series, base);
    size_t n0 = out->n, hn0 = out->hn;
    mint = mint > s->q->base.mint ? mint : s->q->base.mint;
    maxt = maxt < s->q->base.maxt ? maxt : s->q->base.maxt;
    for (size_t i = 0; i < s->chunks_count; i++) {
        const struct index_chunk *c = &s->chunks[i];
        struct chunk_bytes data;
        if (c->maxt < mint || c->mint > maxt || intervals_contain(s->gone, c->mint, c->maxt))
            continue;
        if (i + 1 < s->chunks_count)
            segments_prefetch(&s->q->block->chunks, c[1].ref);
        if (!segments_chunk(&s->q->block->chunks, c->ref, &data, err) ||
            !chunk_decode(data.encoding, data.bytes, mint, maxt, out, err))
            return err_wrap(err, "block %s", s->q->block->meta.ulid.text);
        segments_scan_at(&s->q->block->chunks, &s->q->scan, c->ref);
    }
    columns_drop_intervals(out, n0, hn0, s->gone);
    return true;
}

static bool series_encoded(struct series *base, int64_t mint, int64_t maxt, chunk_visit *visit, void *arg,
                           struct err *err)
{
    struct block_series *s = container_of(base, struct block_series, base);
    for (size_t i = 0; i < s->chunks_count; i++) {
        const struct index_chunk *c = &s->chunks[i];
        struct chunk_bytes data;
        if (c->maxt < mint || c->mint > maxt || intervals_contain(s->gone, c->mint, c->maxt))
            continue;
        if (!segments_chunk(&s->q->block->chunks, c->ref, &data, err))
            return false;
        struct encoded_chunk e = { c->mint, c->maxt, data.encoding, data.bytes };
        bool ok = intervals_overlap(s->gone, c->mint, c->maxt) ? chunk_without(&e, s->gone, visit, arg, err)
                                                               : visit(arg, &e, err);
        if (!ok)
            return false;
    }
    return true;
}

static const struct series_ops series_ops = { .read = series_columns, .chunks = series_encoded };

/* ---- a set ---- */

static bool out_of_memory(struct err *err)
{
    return err_set(err, ERR_LIMIT, "too many series: the query's memory is full");
}

/* The chunks of q->scratch that touch the range and are not gone, into the arena. */
static bool keep_chunks(struct block_querier *q, const struct intervals *gone, struct index_chunk **out, size_t *n,
                        struct err *err)
{
    const struct index_series *s = &q->scratch;
    size_t from = 0, to = s->chunks_count, left = 0;
    while (from < to && s->chunks[from].maxt < q->base.mint)
        from++;
    while (to > from && s->chunks[to - 1].mint > q->base.maxt)
        to--;
    for (size_t i = from; i < to; i++)
        left += !intervals_contain(gone, s->chunks[i].mint, s->chunks[i].maxt);
    *n = 0;
    if (left == 0)
        return true;
    *out = arena_try_alloc_array(q->base.arena, to - from, sizeof **out);
    if (!*out)
        return out_of_memory(err);
    memcpy(*out, s->chunks + from, (to - from) * sizeof **out);
    segments_prefetch(&q->block->chunks, s->chunks[from].ref);
    *n = to - from;
    return true;
}

static bool set_next(struct series_set *base, struct series **out, struct err *err)
{
    struct block_set *set = container_of(base, struct block_set, base);
    struct block_querier *q = set->q;
    *out = NULL;
    while (set->left && postings_next(set->postings)) {
        struct index_chunk *chunks = NULL;
        size_t n;
        if (!index_series_read(&q->block->index, set->postings->at, &q->scratch, err))
            return err_wrap(err, "block %s", q->block->meta.ulid.text);
        const struct intervals *gone = tombstones_get(&q->tombstones->t, set->postings->at);
        if (!keep_chunks(q, gone, &chunks, &n, err))
            return false;
        if (n == 0)
            continue;
        struct block_series *s = arena_try_alloc(q->base.arena, sizeof *s);
        if (!s)
            return out_of_memory(err);
        *s = (struct block_series){ .base = { .ops = &series_ops }, .q = q, .gone = gone, .chunks = chunks, .chunks_count = n };
        if (!index_series_labels(&q->block->index, &q->scratch, q->base.arena, &s->base.labels, err))
            return false;
        set->left--;
        *out = &s->base;
        return true;
    }
    return true;
}

static const struct series_set_ops set_ops = { .next = set_next };

static struct block_querier *querier_of(struct querier *q)
{
    return container_of(q, struct block_querier, base);
}

static bool block_select(struct querier *base, const struct matchers *ms, const struct select_hints *hints,
                         struct series_set **out, struct err *err)
{
    struct block_querier *q = querier_of(base);
    struct postings *p = postings_for_matchers(&q->block->index.source, base->arena, ms, err);
    if (!p)
        return err_wrap(err, "block %s", q->block->meta.ulid.text);
    struct block_set *set = ARENA_NEW(base->arena, struct block_set);
    *set = (struct block_set){ .base = { &set_ops }, .q = q, .postings = p, .left = SIZE_MAX };
    if (hints && hints->limit)
        set->left = hints->limit;
    *out = &set->base;
    return true;
}

/* ---- names and values ---- */

struct values_walk {
    struct block_querier *q;
    const struct matchers *ms;  /* those on the name itself */
    struct str name;
    struct postings *others;    /* what the other matchers accept; NULL: all */
    const uint32_t *refs;
    size_t refs_count, limit, capacity;
    struct strs *out;
    struct err err;
};

static bool strs_push(struct arena *a, struct strs *s, size_t *capacity, struct str v, struct err *err)
{
    if (s->n == *capacity) {
        size_t more = *capacity ? *capacity * 2 : 64;
        struct str *grown = arena_try_alloc_array(a, more, sizeof *grown);
        if (!grown)
            return err_set(err, ERR_LIMIT, "too many label values: the query's memory is full");
        if (s->n)
            memcpy(grown, s->v, s->n * sizeof *grown);
        s->v = grown;
        *capacity = more;
    }
    s->v[s->n++] = v;
    return true;
}

static bool values_visit(void *arg, struct str value, uint64_t list_at)
{
    struct values_walk *w = arg;
    struct block_querier *q = w->q;
    for (size_t i = 0; i < w->ms->n; i++) {
        if (str_eq(w->ms->v[i].name, w->name) && !matcher_matches_value(&w->ms->v[i], value))
            return true;
    }
    if (w->refs) {
        const uint8_t *list;
        size_t n;
        if (!index_list(&q->block->index, list_at, &list, &n, &w->err))
            return false;
        struct arena *a = q->base.arena;
        struct postings **pair = arena_alloc_array(a, 2, sizeof(struct postings *));
        pair[0] = postings_be(a, list, n);
        pair[1] = postings_list(a, w->refs, w->refs_count);
        if (!postings_next(postings_and(a, pair, 2)))
            return true;
    }
    return strs_push(q->base.arena, w->out, &w->capacity, value, &w->err) && (w->limit == 0 || w->out->n < w->limit);
}

/* Numbers of all series that the matchers accept. */
static bool matching_refs(struct block_querier *q, const struct matchers *ms, uint32_t **refs, size_t *n, struct err *err)
{
    struct postings *p = postings_for_matchers(&q->block->index.source, q->base.arena, ms, err);
    if (!p)
        return false;
    *refs = arena_try_alloc_array(q->base.arena, p->estimate + 1, sizeof **refs);
    if (!*refs)
        return out_of_memory(err);
    *n = 0;
    while (postings_next(p))
        (*refs)[(*n)++] = p->at;
    return true;
}

static bool block_label_values(struct querier *base, struct str name, const struct matchers *ms, size_t limit,
                               struct strs *out, struct err *err)
{
    static const struct matchers none = { 0 };
    struct block_querier *q = querier_of(base);
    struct values_walk w = { .q = q, .ms = ms ? ms : &none, .name = name, .limit = limit, .out = out };
    uint32_t *refs = NULL;
    bool others = false;
    *out = (struct strs){ 0 };
    for (size_t i = 0; i < w.ms->n; i++)
        others |= !str_eq(w.ms->v[i].name, name);
    if (others) {
        if (!matching_refs(q, w.ms, &refs, &w.refs_count, err))
            return false;
        if (w.refs_count == 0)
            return true;
        w.refs = refs;
    }
    if (!index_values(&q->block->index, name, STR_EMPTY, values_visit, &w, err))
        return false;
    if (w.err.code == ERR_NONE)
        return true;
    *err = w.err;
    return false;
}

static int by_text(const void *x, const void *y)
{
    const struct str *a = x, *b = y;
    return str_cmp(*a, *b);
}

static bool names_of_series(struct block_querier *q, const struct matchers *ms, struct strs *out, struct err *err)
{
    const struct index_reader *ix = &q->block->index;
    struct postings *p = postings_for_matchers(&q->block->index.source, q->base.arena, ms, err);
    size_t seen_bits = (size_t)ix->symbols_count + 1, capacity = 0, unique = 0;
    bool ok = p != NULL;
    uint64_t *seen = mem_alloc_array(seen_bits / 64 + 1, sizeof *seen);
    while (ok && postings_next(p)) {
        ok = index_series_read(ix, p->at, &q->scratch, err);
        for (size_t i = 0; ok && i < q->scratch.labels_count; i++) {
            uint32_t symbol = q->scratch.symbols[2 * i];
            struct str text;
            if (symbol < seen_bits && seen[symbol / 64] >> (symbol % 64) & 1)
                continue;
            if (symbol < seen_bits)
                seen[symbol / 64] |= UINT64_C(1) << (symbol % 64);
            ok = index_symbol(ix, symbol, &text, err) && strs_push(q->base.arena, out, &capacity, text, err);
        }
    }
    mem_free(seen);
    if (ok && out->n)
        qsort(out->v, out->n, sizeof *out->v, by_text);
    for (size_t i = 0; ok && i < out->n; i++) { /* version 1 symbols are offsets: not caught above */
        if (unique == 0 || !str_eq(out->v[unique - 1], out->v[i]))
            out->v[unique++] = out->v[i];
    }
    out->n = unique;
    return ok;
}

static bool block_label_names(struct querier *base, const struct matchers *ms, size_t limit, struct strs *out,
                              struct err *err)
{
    struct block_querier *q = querier_of(base);
    const struct index_reader *ix = &q->block->index;
    *out = (struct strs){ 0 };
    if (ms && ms->n) {
        if (!names_of_series(q, ms, out, err))
            return false;
    } else {
        out->v = arena_try_alloc_array(base->arena, ix->names_count + 1, sizeof *out->v);
        if (!out->v)
            return out_of_memory(err);
        for (size_t i = 0; i < ix->names_count; i++)
            out->v[out->n++] = ix->names[i].name;
    }
    if (limit && out->n > limit)
        out->n = limit;
    return true;
}

static bool block_exemplars(struct querier *q, const struct matchers *sets, size_t sets_count,
                            struct exemplar_series **out, size_t *n, struct err *err)
{
    (void)q, (void)sets, (void)sets_count, (void)err;
    *out = NULL;
    *n = 0;
    return true;
}

static bool block_metadata(struct querier *q, struct labels series, struct series_metadata *out)
{
    (void)q, (void)series, (void)out;
    return false;
}

static void block_querier_close(struct querier *base)
{
    struct block_querier *q = querier_of(base);
    segments_scan_end(&q->block->chunks, &q->scan);
    index_series_deinit(&q->scratch);
    tombstones_release(q->tombstones);
    block_release(q->block);
}

static const struct querier_ops querier_ops = {
    .select = block_select,
    .label_values = block_label_values,
    .label_names = block_label_names,
    .exemplars = block_exemplars,
    .metadata = block_metadata,
    .close = block_querier_close,
};

struct querier *block_querier(struct block *b, struct arena *a, int64_t mint, int64_t maxt)
{
    struct block_querier *q = ARENA_NEW(a, struct block_querier);
    *q = (struct block_querier){
        .base = { .ops = &querier_ops, .arena = a, .mint = mint, .maxt = maxt },
        .block = block_retain(b),
        .tombstones = block_tombstones(b),
    };
    return &q->base;
}
