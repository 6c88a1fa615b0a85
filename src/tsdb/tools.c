/* Blocks from the command line's point of view. */
#include "tsdb/tools.h"

#include "base/mem.h"
#include "tsdb/chunkenc/chunk_int.h"
#include "tsdb/chunkenc/histogram_int.h"
#include "tsdb/db_int.h"

#include <stdlib.h>

/* ---- list ---- */

static struct tsdb_block_info info_of(const struct block *b, struct arena *a)
{
    return (struct tsdb_block_info){
        .ulid = arena_str(a, ulid_str(&b->meta.ulid)),
        .mint = b->meta.mint,
        .maxt = b->meta.maxt,
        .samples = b->meta.stats.samples,
        .series = b->meta.stats.series,
        .chunks = b->meta.stats.chunks,
        .size_bytes = b->size_bytes,
    };
}

static int by_mint(const void *x, const void *y)
{
    const struct block *const *a = x, *const *b = y;
    if ((*a)->meta.mint != (*b)->meta.mint)
        return (*a)->meta.mint < (*b)->meta.mint ? -1 : 1;
    return memcmp((*a)->meta.ulid.text, (*b)->meta.ulid.text, ULID_TEXT);
}

static bool open_all(struct fs *fs, struct str dir, struct block_list *l, struct err *err)
{
    struct buf names = { 0 };
    struct path path = { 0 };
    struct str rest, name;
    struct ulid u;
    bool ok = fs->list(fs, dir, &names, err);
    for (rest = buf_view(&names); ok && names_next(&rest, &name);) {
        if (!block_ulid_parse(name, &u))
            continue;
        struct block *b = block_open(fs, path_set(&path, "%.*s/%.*s", STR_ARG(dir), STR_ARG(name)), err);
        ok = b != NULL;
        if (ok) {
            l->v = mem_realloc_array(l->v, l->n + 1, sizeof(struct block *));
            l->v[l->n++] = b;
        }
    }
    if (l->n)
        qsort(l->v, l->n, sizeof(struct block *), by_mint);
    buf_deinit(&names);
    path_deinit(&path);
    return ok;
}

bool tsdb_list_blocks(struct fs *fs, struct str dir, struct arena *a, struct tsdb_block_info **out, size_t *n,
                      struct err *err)
{
    struct block_list l = { 0 };
    bool ok = open_all(fs, dir, &l, err);
    *out = arena_alloc_array(a, l.n + 1, sizeof **out);
    *n = l.n;
    for (size_t i = 0; i < l.n; i++)
        (*out)[i] = info_of(l.v[i], a);
    block_list_release(&l);
    return ok;
}

/* ---- analysis ---- */

struct tally { /* of a label name or pair */
    struct str key;
    uint64_t uncovered, count;
};
struct tallies {
    struct map by_key;
    struct arena arena;
};

static struct tally *tally_of(struct tallies *t, struct str key)
{
    struct tally *x = map_get(&t->by_key, key);
    if (!x) {
        x = ARENA_NEW(&t->arena, struct tally);
        x->key = arena_str(&t->arena, key);
        map_put(&t->by_key, x->key, x);
    }
    return x;
}

static int by_value(const void *x, const void *y)
{
    const struct tsdb_count *a = x, *b = y;
    if (a->value != b->value)
        return a->value > b->value ? -1 : 1;
    return str_cmp(a->name, b->name);
}

/* Sorts, cuts and copies texts. */
static void finish_list(struct tsdb_count *v, size_t n, size_t limit, struct arena *a, struct tsdb_count **out,
                        size_t *out_n)
{
    if (n)
        qsort(v, n, sizeof *v, by_value);
    *out_n = n < limit ? n : limit;
    *out = arena_alloc_array(a, *out_n + 1, sizeof **out);
    for (size_t i = 0; i < *out_n; i++)
        (*out)[i] = (struct tsdb_count){ arena_str(a, v[i].name), v[i].value };
}

static void list_tallies(const struct tallies *t, bool churn, int64_t span, size_t limit, struct arena *a,
                         struct tsdb_count **out, size_t *out_n)
{
    struct tsdb_count *v = mem_alloc_array(t->by_key.count, sizeof *v);
    const struct tally *x;
    size_t n = 0;
    for (size_t i = 0; (x = map_next(&t->by_key, &i)) != NULL;) {
        uint64_t value = churn ? (uint64_t)((double)x->uncovered / (double)(span ? span : 1)) : x->count;
        v[n++] = (struct tsdb_count){ x->key, value };
    }
    finish_list(v, n, limit, a, out, out_n);
    mem_free(v);
}

struct analysis {
    struct block *block;
    struct tallies names, pairs;
    struct index_series series;
    struct arena *arena;
    struct tsdb_analysis *out;
    struct err err;
};

static void size_push(struct tsdb_sizes *s, size_t v)
{
    if (s->n == s->capacity) {
        s->capacity = mem_grow(s->capacity, s->n + 1);
        s->v = mem_realloc_array(s->v, s->capacity, sizeof *s->v);
    }
    s->v[s->n++] = u32_from_size(v);
}

static bool measure_chunk(struct analysis *x, const struct chunk_bytes *c, struct err *err)
{
    size_t kind = chunk_encoding_is_float(c->encoding) ? 0 : c->encoding == CHUNK_FLOAT_HISTOGRAM ? 1 : 2;
    size_push(&x->out->samples[kind], chunk_samples(c->encoding, c->bytes));
    size_push(&x->out->bytes[kind], c->bytes.n);
    x->out->chunks++;
    if (kind == 0)
        return true;
    struct histogram_reader r;
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    bool ok = histogram_reader_init(&r, c->encoding, (const uint8_t *)c->bytes.p, c->bytes.n, &a, err);
    if (ok)
        size_push(&x->out->buckets[kind], r.buckets);
    arena_deinit(&a);
    return ok;
}

static bool count_series(struct analysis *x, uint32_t ref, bool with_chunks, struct err *err)
{
    const struct block *b = x->block;
    struct labels ls;
    struct buf key = { 0 };
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    bool ok = index_series_read(&b->index, ref, &x->series, err) && index_series_labels(&b->index, &x->series, &a, &ls, err);
    if (ok && x->series.chunks_count) {
        const struct index_chunk *c = x->series.chunks;
        uint64_t covered = (uint64_t)(c[x->series.chunks_count - 1].maxt - c[0].mint);
        uint64_t span = (uint64_t)(b->meta.maxt - b->meta.mint), uncovered = span > covered ? span - covered : 0;
        for (size_t i = 0; i < ls.n; i++) {
            buf_reset(&key);
            buf_str(&key, ls.v[i].name);
            tally_of(&x->names, buf_view(&key))->uncovered += uncovered;
            buf_byte(&key, '=');
            buf_str(&key, ls.v[i].value);
            struct tally *pair = tally_of(&x->pairs, buf_view(&key));
            pair->uncovered += uncovered;
            pair->count++;
            x->out->entries++;
        }
    }
    for (size_t i = 0; ok && with_chunks && i < x->series.chunks_count; i++) {
        struct chunk_bytes c;
        ok = segments_chunk(&b->chunks, x->series.chunks[i].ref, &c, err) && measure_chunk(x, &c, err);
    }
    buf_deinit(&key);
    arena_deinit(&a);
    return ok;
}

static bool count_all(struct analysis *x, const struct matchers *ms, bool with_chunks, struct err *err)
{
    struct arena a;
    struct matchers none = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    struct postings *p = postings_for_matchers(&x->block->index.source, &a, ms ? ms : &none, err);
    bool ok = p != NULL;
    while (ok && postings_next(p)) {
        x->out->matched++;
        ok = count_series(x, p->at, with_chunks, err);
    }
    arena_deinit(&a);
    return ok;
}

/* Names with the sum of their values' lengths, with how many they have, and metrics with their series. */
static bool count_values(struct analysis *x, const struct matchers *ms, size_t limit, struct err *err)
{
    struct arena a;
    struct strs names, values;
    arena_init(&a, ARENA_NO_LIMIT);
    struct querier *q = block_querier(x->block, &a, INT64_MIN, INT64_MAX);
    bool ok = querier_label_names(q, ms, 0, &names, err);
    x->out->names = ok ? names.n : 0;
    struct tsdb_count *lengths = mem_alloc_array(x->out->names, sizeof *lengths);
    struct tsdb_count *counts = mem_alloc_array(x->out->names, sizeof *counts);
    struct tsdb_count *metrics = NULL;
    size_t metrics_n = 0;
    for (size_t i = 0; ok && i < names.n; i++) {
        ok = querier_label_values(q, names.v[i], ms, 0, &values, err);
        lengths[i] = (struct tsdb_count){ names.v[i], 0 };
        counts[i] = (struct tsdb_count){ names.v[i], ok ? values.n : 0 };
        for (size_t k = 0; ok && k < values.n; k++)
            lengths[i].value += values.v[k].n;
        if (!ok || !str_eq(names.v[i], STR("__name__")))
            continue;
        metrics = mem_alloc_array(values.n, sizeof *metrics);
        for (size_t k = 0; k < values.n; k++) {
            struct str key = arena_printf(&a, "__name__=%.*s", STR_ARG(values.v[k]));
            const struct tally *t = map_get(&x->pairs.by_key, key);
            metrics[metrics_n++] = (struct tsdb_count){ values.v[k], t ? t->count : 0 };
        }
    }
    if (ok) {
        finish_list(lengths, names.n, limit, x->arena, &x->out->value_lengths, &x->out->value_lengths_count);
        finish_list(counts, names.n, limit, x->arena, &x->out->cardinality, &x->out->cardinality_count);
        finish_list(metrics, metrics_n, limit, x->arena, &x->out->metrics, &x->out->metrics_count);
    }
    mem_free(lengths);
    mem_free(counts);
    mem_free(metrics);
    querier_close(q);
    arena_deinit(&a);
    return ok;
}

static struct block *pick(const struct block_list *l, struct str name, struct err *err)
{
    if (name.n == 0 && l->n)
        return l->v[l->n - 1];
    for (size_t i = 0; i < l->n; i++) {
        if (str_eq(ulid_str(&l->v[i]->meta.ulid), name))
            return l->v[i];
    }
    if (name.n == 0)
        err_set(err, ERR_NOT_FOUND, "no blocks found");
    else
        err_set(err, ERR_NOT_FOUND, "block %.*s not found", STR_ARG(name));
    return NULL;
}

bool tsdb_analyze_block(struct fs *fs, struct str dir, struct str name, const struct matchers *ms, size_t limit,
                        bool with_chunks, struct arena *a, struct tsdb_analysis *out, struct err *err)
{
    struct block_list l = { 0 };
    struct analysis x = { .arena = a, .out = out };
    *out = (struct tsdb_analysis){ 0 };
    arena_init(&x.names.arena, ARENA_NO_LIMIT);
    arena_init(&x.pairs.arena, ARENA_NO_LIMIT);
    bool ok = open_all(fs, dir, &l, err) && (x.block = pick(&l, name, err)) != NULL && count_all(&x, ms, with_chunks, err) &&
              count_values(&x, ms, limit, err);
    if (ok) {
        int64_t span = x.block->meta.maxt - x.block->meta.mint;
        out->block = info_of(x.block, a);
        out->pairs = x.pairs.by_key.count;
        list_tallies(&x.pairs, true, span, limit, a, &out->churn_pairs, &out->churn_pairs_count);
        list_tallies(&x.names, true, span, limit, a, &out->churn_names, &out->churn_names_count);
        list_tallies(&x.pairs, false, span, limit, a, &out->common_pairs, &out->common_pairs_count);
    }
    map_deinit(&x.names.by_key);
    map_deinit(&x.pairs.by_key);
    arena_deinit(&x.names.arena);
    arena_deinit(&x.pairs.arena);
    index_series_deinit(&x.series);
    block_list_release(&l);
    return ok;
}

void tsdb_analysis_deinit(struct tsdb_analysis *out)
{
    for (size_t i = 0; i < 3; i++) {
        mem_free(out->samples[i].v);
        mem_free(out->bytes[i].v);
        mem_free(out->buckets[i].v);
    }
}

/* ---- building ---- */

struct tsdb_builder {
    struct fs *fs;
    struct path dir, tmp;
    struct ulid ulid;
    struct tsdb_options o;
    struct head head;
};

struct tsdb_builder *tsdb_builder_new(struct fs *fs, struct str dir, int64_t block_ms, wall_ms now, struct rng *rng,
                                      struct err *err)
{
    struct tsdb_builder *b = MEM_NEW(struct tsdb_builder);
    b->fs = fs;
    b->ulid = ulid_new(now, rng);
    path_set(&b->dir, "%.*s", STR_ARG(dir));
    /* Full chunks wait on disk; the name is that of an unfinished block, so that leftovers are cleared away. */
    struct ulid tmp = ulid_new(now, rng);
    path_set(&b->tmp, "%.*s/%s" SUFFIX_CREATION, STR_ARG(dir), tmp.text);
    b->o = (struct tsdb_options){ .fs = fs, .block_ms = block_ms, .stalled_max_bytes = UINT64_MAX / 2 };
    head_init(&b->head, &b->o, dir);
    if (fs_mkdir_all(fs, dir, err) && mapper_open(&b->head.mapper, fs, buf_view(&b->tmp.text), false, err))
        return b;
    b->head.mapper.fs = NULL;
    tsdb_builder_abandon(b);
    return NULL;
}

bool tsdb_builder_appender(struct tsdb_builder *b, struct appender **out, struct err *err)
{
    return head_appender(&b->head, NULL, out, err);
}

void tsdb_builder_abandon(struct tsdb_builder *b)
{
    struct err ignored;
    struct str tmp = buf_view(&b->tmp.text);
    head_deinit(&b->head);
    if (fs_exists(b->fs, tmp) && !fs_remove_tree(b->fs, tmp, &ignored)) {
        /* The next opening of the directory removes it. */
    }
    path_deinit(&b->dir);
    path_deinit(&b->tmp);
    mem_free(b);
}

bool tsdb_builder_finish(struct tsdb_builder *b, struct arena *a, struct tsdb_block_info *info, struct err *err)
{
    struct block_meta meta = { .ulid = b->ulid, .level = 1 };
    bool written = false, ok = true;
    *info = (struct tsdb_block_info){ .ulid = STR_EMPTY };
    if (!head_is_empty(&b->head)) {
        meta.mint = time_load(&b->head.mint);
        meta.maxt = time_load(&b->head.maxt) + 1;
        block_meta_add_source(&meta, &b->ulid);
        ok = head_write_block(&b->head, buf_view(&b->dir.text), meta.mint, meta.maxt, &meta, &written, err);
    }
    if (ok && written) {
        struct path path = { 0 };
        struct block *block = block_open(b->fs, path_set(&path, "%.*s/%s", STR_ARG(buf_view(&b->dir.text)), b->ulid.text), err);
        ok = block != NULL;
        if (ok)
            *info = info_of(block, a);
        block_release(block);
        path_deinit(&path);
    }
    block_meta_deinit(&meta);
    tsdb_builder_abandon(b);
    return ok;
}
