/* The TSDB against a model that is too simple to be wrong: random batches in order and out of order, floats and
 * histograms, queries, deletions, maintenance, full disks, clean stops, kills and power cuts, on files in memory.
 *
 *     tsdb_model [--seeds N] [--seed S] [--ops N] [--cuts] [--trace]
 *
 * With --cuts a seed is a short scenario that is run once for every write, sync, rename and the like that it makes, and
 * stops dead at that one: by turns the process was killed, or the power went.
 *
 * Checked:
 *   kept     after a kill every sample of a commit that returned is there; after a power cut what is there was written
 *   bits     every value is one that was given for that series and time
 *   cut      an open querier sees what was committed when it was opened, whatever happened since
 *   starts   the store opens after whatever was done to it, and its data is the same after a clean stop
 *   memory   it opens, runs and stops without a leak or a bad access (built with ASan)
 *
 * Where upstream leaves room the model does, too: of samples with the same time in order and out of order one is given;
 * a sample at or before the newest of a series without an open chunk may be dropped.
 *
 * A schedule is its seed. Prints seed=0x… first; on failure how to replay it. */
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "lib/memfs.h"
#include "tsdb/tsdb.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum { SERIES = 14, HISTOGRAMS_FROM = 11, BATCH_MAX = 40, VALUES_MAX = 8, VIEWS_MAX = 3, SAMPLES_MAX = 20000 };
#define MINUTE_MS INT64_C(60000)
#define BLOCK     (20 * MINUTE_MS)
#define WINDOW    (15 * MINUTE_MS)
#define RETENTION (24 * BLOCK) /* what is older is not looked at */
#define CUT_OPS   45

/* ---- the model ---- */

struct point {
    int64_t t;
    double values[VALUES_MAX]; /* any of them may be given */
    size_t values_n;
    bool more;  /* than are kept here: anything may be given */
    bool must;  /* it has to be there */
    bool gone;  /* deleted: it must not be there, unless `may` */
    bool may;
    bool late;  /* came out of order: no part of a querier's cut */
};
struct model_series {
    struct point *v; /* by time */
    size_t n, capacity;
    bool has_last;
    int64_t last;     /* newest in order */
    bool surely_open; /* it has an open chunk: nothing that could take it away happened since the last append */
    int64_t deleted_to; /* out-of-order samples at or before it may vanish under a tombstone */
};
struct view { /* an open querier and the model of its moment */
    struct querier *q;
    struct arena arena;
    struct model_series then[SERIES];
    bool open;
};
struct sim {
    uint64_t seed, op;
    struct rng rng;
    struct memfs *m;
    struct tsdb *db;
    struct model_series series[SERIES];
    struct label labels[SERIES][3];
    series_ref refs[SERIES];
    int64_t now;
    int64_t settled; /* the head may begin as late as this: it did so when it was last opened or maintained */
    bool ooo;
    struct view views[VIEWS_MAX];
    uint64_t power_cuts, kills, checks;
    uint64_t stop_at; /* the machine stops at this change of files; 0: it does not */
};

static void fail(struct sim *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void fail(struct sim *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("FAIL at op %llu: ", (unsigned long long)s->op);
    vprintf(fmt, ap);
    printf("\nreplay: tsdb_model --seed 0x%llx", (unsigned long long)s->seed);
    if (s->stop_at)
        printf(" --cuts (stopping at %llu)", (unsigned long long)s->stop_at);
    printf("\n");
    va_end(ap);
    fflush(stdout);
    abort();
}

static bool stopped(const struct sim *s)
{
    return s->stop_at && memfs_ops(s->m) >= s->stop_at;
}

/* Retention is reckoned from the end of the newest block, which with late samples may end a block from now. */
static int64_t horizon(const struct sim *s)
{
    return s->now - RETENTION + 2 * BLOCK;
}

static size_t place(const struct model_series *m, int64_t t)
{
    size_t low = 0, high = m->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (m->v[mid].t < t)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct point *point_at(struct model_series *m, int64_t t, bool make)
{
    size_t at = place(m, t);
    if (at < m->n && m->v[at].t == t)
        return &m->v[at];
    if (!make)
        return NULL;
    if (m->n == m->capacity) {
        m->capacity = mem_grow(m->capacity, m->n + 1);
        m->v = mem_realloc_array(m->v, m->capacity, sizeof *m->v);
    }
    memmove(m->v + at + 1, m->v + at, (m->n - at) * sizeof *m->v);
    m->n++;
    m->v[at] = (struct point){ .t = t };
    return &m->v[at];
}

static void give_value(struct point *p, double v)
{
    for (size_t i = 0; i < p->values_n; i++) {
        if (f64_bits(p->values[i]) == f64_bits(v))
            return;
    }
    if (p->values_n < VALUES_MAX)
        p->values[p->values_n++] = v;
    else
        p->more = true;
}

static void model_copy(const struct model_series *from, struct model_series *to)
{
    *to = *from;
    to->v = mem_dup(from->v, from->n * sizeof *from->v);
    to->capacity = from->n;
}

/* ---- the store ---- */

static void open_db(struct sim *s)
{
    struct err err = { 0 };
    struct tsdb_options o = {
        .fs = memfs_fs(s->m),
        .dir = STR("data"),
        .block_ms = BLOCK,
        .block_max_ms = BLOCK * 9,
        .retention_ms = RETENTION,
        .out_of_order_ms = s->ooo ? WINDOW : 0,
        .out_of_order_chunk = 6,
        .wal_segment_bytes = 65536,
        .stalled_max_bytes = 1u << 20,
        .snapshot_on_shutdown = s->seed & 1,
        .seed = rng_u64(&s->rng),
    };
    if (!tsdb_open(&o, s->now, &s->db, &err)) {
        s->db = NULL;
        if (!stopped(s))
            fail(s, "does not open: %s", err.text);
        return;
    }
    s->settled = s->now + MINUTE_MS;
    for (size_t i = 0; i < SERIES; i++) {
        s->refs[i] = 0;
        s->series[i].surely_open = false;
    }
}

static void close_views(struct sim *s)
{
    for (size_t i = 0; i < VIEWS_MAX; i++) {
        struct view *v = &s->views[i];
        if (!v->open)
            continue;
        querier_close(v->q);
        arena_deinit(&v->arena);
        for (size_t k = 0; k < SERIES; k++)
            mem_free(v->then[k].v);
        *v = (struct view){ 0 };
    }
}

/* ---- comparing ---- */

static void compare_point(struct sim *s, size_t k, const struct model_series *m, int64_t t, double v, bool after_cut)
{
    const struct point *p = NULL;
    size_t at = place(m, t);
    if (at < m->n && m->v[at].t == t)
        p = &m->v[at];
    if (!p)
        fail(s, "series %zu has a sample at %lld that was never written", k, (long long)t);
    bool known = p->more;
    for (size_t i = 0; i < p->values_n; i++)
        known |= f64_bits(p->values[i]) == f64_bits(v);
    if (!known)
        fail(s, "series %zu at %lld is %g (%016llx), want %g", k, (long long)t, v, (unsigned long long)f64_bits(v), p->values[0]);
    if (p->gone && !p->may && !after_cut)
        fail(s, "series %zu has a sample at %lld that was deleted", k, (long long)t);
}

/* All of c, which was read from [mint, maxt], against the model. After a power cut less may be there, and what was deleted. */
static void compare_series(struct sim *s, size_t k, const struct model_series *m, const struct columns *c, int64_t mint,
                           int64_t maxt, bool after_cut)
{
    size_t i = 0, j = 0, at = place(m, mint > horizon(s) ? mint : horizon(s));
    while (i < c->n || j < c->hn) {
        bool is_float = j == c->hn || (i < c->n && c->t[i] < c->ht[j]);
        int64_t t = is_float ? c->t[i] : c->ht[j];
        if (t < mint || t > maxt)
            fail(s, "series %zu: %lld is out of the range asked for", k, (long long)t);
        if (is_float && i > 0 && c->t[i - 1] >= t)
            fail(s, "series %zu: times do not ascend at %lld", k, (long long)t);
        if (t < horizon(s)) {
            i += is_float;
            j += !is_float;
            continue;
        }
        double v = is_float ? c->v[i] : is_stale_nan(c->h[j]->sum) ? stale_nan() : c->h[j]->count;
        compare_point(s, k, m, t, v, after_cut);
        for (; at < m->n && m->v[at].t < t; at++) {
            if (m->v[at].must && !after_cut)
                fail(s, "series %zu misses its sample at %lld%s", k, (long long)m->v[at].t, m->v[at].late ? " (late)" : "");
        }
        at += at < m->n && m->v[at].t == t;
        i += is_float;
        j += !is_float;
    }
    for (; at < m->n && m->v[at].t <= maxt; at++) {
        if (m->v[at].must && !after_cut)
            fail(s, "series %zu misses its sample at %lld%s (of %zu read)", k, (long long)m->v[at].t, m->v[at].late ? " (late)" : "", c->n + c->hn);
    }
}

static size_t series_number(struct sim *s, struct labels ls)
{
    for (size_t i = 0; i < SERIES; i++) {
        if (labels_eq(ls, (struct labels){ s->labels[i], 3 }))
            return i;
    }
    fail(s, "a series of unknown labels");
    return 0;
}

static void compare_all(struct sim *s, struct querier *q, const struct model_series *models, bool after_cut)
{
    struct err err = { 0 };
    struct matchers none = { 0 };
    struct series_set *set;
    struct series *x = NULL;
    struct columns c = { 0 };
    bool seen[SERIES] = { false };
    struct labels last = { 0 };
    if (!querier_select(q, &none, NULL, &set, &err))
        fail(s, "select: %s", err.text);
    for (;;) {
        if (!series_set_next(set, &x, &err))
            fail(s, "next: %s", err.text);
        if (!x)
            break;
        if (last.n && labels_cmp_prometheus(last, x->labels) >= 0)
            fail(s, "series are not in label order");
        last = x->labels;
        size_t k = series_number(s, x->labels);
        seen[k] = true;
        columns_reset(&c);
        if (!series_read(x, q->mint, q->maxt, &c, &err))
            fail(s, "read of series %zu: %s", k, err.text);
        compare_series(s, k, &models[k], &c, q->mint, q->maxt, after_cut);
    }
    columns_reset(&c);
    for (size_t k = 0; k < SERIES; k++) {
        if (!seen[k])
            compare_series(s, k, &models[k], &c, q->mint, q->maxt, after_cut);
    }
    columns_deinit(&c);
    s->checks++;
}

static void check_range(struct sim *s, int64_t mint, int64_t maxt, bool after_cut)
{
    struct arena a;
    struct err err = { 0 };
    struct querier *q;
    arena_init(&a, ARENA_NO_LIMIT);
    if (!storage_querier(tsdb_storage(s->db), &a, mint, maxt, &q, &err))
        fail(s, "querier: %s", err.text);
    compare_all(s, q, s->series, after_cut);
    querier_close(q);
    arena_deinit(&a);
}

/* Takes over what is there: after a power cut the model knows no better. */
static void rebase(struct sim *s)
{
    struct arena a;
    struct err err = { 0 };
    struct querier *q;
    struct matchers none = { 0 };
    struct series_set *set;
    struct series *x = NULL;
    struct columns c = { 0 };
    for (size_t k = 0; k < SERIES; k++) {
        struct model_series *m = &s->series[k];
        for (size_t i = 0; i < m->n; i++) {
            m->v[i].must = false;
            m->v[i].may = true; /* chunks and logs that come back later may show it */
        }
        m->has_last = m->n > 0;
    }
    arena_init(&a, ARENA_NO_LIMIT);
    if (!storage_querier(tsdb_storage(s->db), &a, INT64_MIN, INT64_MAX, &q, &err) || !querier_select(q, &none, NULL, &set, &err))
        fail(s, "querier: %s", err.text);
    while (series_set_next(set, &x, &err) && x) {
        size_t k = series_number(s, x->labels);
        columns_reset(&c);
        if (!series_read(x, INT64_MIN, INT64_MAX, &c, &err))
            fail(s, "read: %s", err.text);
        for (size_t i = 0; i < c.n + c.hn; i++) {
            int64_t t = i < c.n ? c.t[i] : c.ht[i - c.n];
            if (t >= horizon(s))
                point_at(&s->series[k], t, true)->must = true;
        }
    }
    columns_deinit(&c);
    querier_close(q);
    arena_deinit(&a);
}

/* ---- operations ---- */

struct given {
    size_t k;
    int64_t t;
    double v;
};

static enum append_status give(struct sim *s, struct appender *a, const struct given *g)
{
    struct labels ls = { s->labels[g->k], 3 };
    if (g->k < HISTOGRAMS_FROM)
        return append_sample(a, &s->refs[g->k], &ls, g->t, g->v);
    if (is_stale_nan(g->v)) /* as scrapes mark the end of any series */
        return append_sample(a, &s->refs[g->k], &ls, g->t, g->v);
    int64_t delta = (int64_t)g->v;
    double count = g->v;
    struct histogram_span span = { .offset = (int32_t)rng_below(&s->rng, 3), .length = 1 };
    if (g->k == SERIES - 1) {
        struct float_histogram fh = { .schema = 1, .zero_threshold = 0.25, .count = g->v, .sum = g->v, .positive = { &span, 1, &count, 1 } };
        return append_histogram(a, &s->refs[g->k], &ls, g->t, NULL, &fh);
    }
    struct int_histogram h = { .schema = 1, .zero_threshold = 0.25, .count = (uint64_t)delta, .sum = g->v, .positive = { &span, 1, &delta, 1 } };
    return append_histogram(a, &s->refs[g->k], &ls, g->t, &h, NULL);
}

/* What a commit does with a sample whose status was OK. */
static void expect(struct sim *s, const struct given *g)
{
    struct model_series *m = &s->series[g->k];
    struct point *p = point_at(m, g->t, true);
    bool newer = !m->has_last || g->t > m->last;
    if (newer) {
        if (p->gone || p->values_n == 0) {
            p->values_n = 0;
            p->more = p->gone = false;
        }
        give_value(p, g->v);
        p->must = true;
        /* Below the head's lowest time it goes out of order. */
        p->late = g->t < s->now + MINUTE_MS - BLOCK / 2 || g->t < s->settled;
        m->has_last = true;
        m->last = g->t;
        m->surely_open = true;
        return;
    }
    if (g->t == m->last) {
        if (!p->must) { /* its time came out of order, or is unsure */
            give_value(p, g->v);
            p->may = true;
        }
        return;
    }
    bool fresh = !p->must && !p->may;
    p->late = true;
    give_value(p, g->v);
    /* The window is reckoned from the head's newest time, which may be a little ahead of now. */
    bool taken = s->ooo && g->t >= s->now + MINUTE_MS - WINDOW;
    if (fresh && taken && m->surely_open && g->t > m->deleted_to && !p->gone)
        p->must = true;
    else
        p->may = true;
}

static void unsure(struct point *p)
{
    p->must = p->gone = false;
    p->may = true;
}

static double random_value(struct sim *s, size_t k)
{
    if (rng_below(&s->rng, 40) == 0)
        return stale_nan();
    if (k >= HISTOGRAMS_FROM)
        return (double)(1 + rng_below(&s->rng, 1000));
    return rng_below(&s->rng, 2) ? (double)rng_below(&s->rng, 100) : f64_from_bits(rng_u64(&s->rng) & ~(UINT64_C(1) << 62));
}

static void op_append(struct sim *s, bool may_fail)
{
    struct given given[BATCH_MAX];
    struct appender *a;
    struct err err = { 0 };
    size_t n = 0, tries = 1 + rng_below(&s->rng, BATCH_MAX);
    s->now += (int64_t)rng_below(&s->rng, 40000) + 1;
    if (!storage_appender(tsdb_storage(s->db), NULL, &a, &err))
        fail(s, "appender: %s", err.text);
    for (size_t i = 0; i < tries; i++) {
        struct given g = { .k = rng_below(&s->rng, SERIES), .t = s->now };
        uint64_t kind = rng_below(&s->rng, 20);
        if (kind == 0)
            g.t -= (int64_t)rng_below(&s->rng, 3 * BLOCK);
        else if (kind < 4)
            g.t -= (int64_t)rng_below(&s->rng, WINDOW);
        else if (kind == 4)
            g.t += (int64_t)rng_below(&s->rng, 30000);
        g.v = random_value(s, g.k);
        enum append_status status = give(s, a, &g);
        if (status == APPEND_OK)
            given[n++] = g;
    }
    if (rng_below(&s->rng, 12) == 0) {
        append_rollback(a);
        return;
    }
    bool ok = append_commit(a, &err);
    if (!ok && !may_fail && !stopped(s))
        fail(s, "commit: %s", err.text);
    for (size_t i = 0; (ok || stopped(s)) && i < n; i++) {
        const struct point *p = point_at(&s->series[given[i].k], given[i].t, false);
        bool had = p && p->must;
        expect(s, &given[i]);
        if (stopped(s) && !had) /* it was taken, or written, or neither */
            unsure(point_at(&s->series[given[i].k], given[i].t, true));
    }
}

static void op_query(struct sim *s)
{
    int64_t mint = s->now - (int64_t)rng_below(&s->rng, 6 * BLOCK), span = (int64_t)rng_below(&s->rng, 6 * BLOCK);
    check_range(s, mint, mint + span, false);
}

static void op_select_one(struct sim *s)
{
    size_t k = rng_below(&s->rng, SERIES);
    struct arena a;
    struct err err = { 0 };
    struct querier *q;
    struct series_set *set;
    struct series *x = NULL;
    struct matcher v[2];
    struct matchers ms = { v, 2 };
    struct columns c = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    if (!matcher_init(&v[0], MATCH_EQ, STR("__name__"), s->labels[k][0].value, &err) ||
        !matcher_init(&v[1], rng_below(&s->rng, 2) ? MATCH_EQ : MATCH_RE, STR("i"), s->labels[k][1].value, &err) ||
        !storage_querier(tsdb_storage(s->db), &a, INT64_MIN, INT64_MAX, &q, &err) ||
        !querier_select(q, &ms, NULL, &set, &err) || !series_set_next(set, &x, &err))
        fail(s, "select: %s", err.text);
    if (x && (series_number(s, x->labels) != k || !series_read(x, INT64_MIN, INT64_MAX, &c, &err)))
        fail(s, "select found another series, or cannot read it: %s", err.text);
    compare_series(s, k, &s->series[k], &c, INT64_MIN, INT64_MAX, false);
    columns_deinit(&c);
    querier_close(q);
    matcher_deinit(&v[0]);
    matcher_deinit(&v[1]);
    arena_deinit(&a);
}

static void op_open_view(struct sim *s)
{
    struct view *v = &s->views[rng_below(&s->rng, VIEWS_MAX)];
    struct err err = { 0 };
    if (v->open)
        return;
    int64_t mint = rng_below(&s->rng, 2) ? INT64_MIN : s->now - (int64_t)rng_below(&s->rng, 4 * BLOCK);
    arena_init(&v->arena, ARENA_NO_LIMIT);
    if (!storage_querier(tsdb_storage(s->db), &v->arena, mint, INT64_MAX, &v->q, &err))
        fail(s, "querier: %s", err.text);
    for (size_t k = 0; k < SERIES; k++)
        model_copy(&s->series[k], &v->then[k]);
    v->open = true;
}

/* Out-of-order samples are not part of the cut: what came later may show. Times that were not known then, below the newest
 * of then, are therefore unsure. */
static void op_check_view(struct sim *s)
{
    struct view *v = &s->views[rng_below(&s->rng, VIEWS_MAX)];
    if (!v->open)
        return;
    for (size_t k = 0; k < SERIES; k++) {
        struct model_series *then = &v->then[k], *now = &s->series[k];
        for (size_t i = 0; i < now->n; i++) {
            struct point *p = point_at(then, now->v[i].t, false);
            if (!p && (!then->has_last || now->v[i].t > then->last) && !now->v[i].may && !now->v[i].late)
                continue; /* in order and later: it must not show */
            if (!p)
                p = point_at(then, now->v[i].t, true);
            for (size_t x = 0; x < now->v[i].values_n; x++)
                give_value(p, now->v[i].values[x]);
            p->may |= now->v[i].may || !p->must;
            if (now->v[i].gone || !now->v[i].must) { /* deletion is not part of the cut either */
                p->must = false;
                p->may = true;
            }
        }
    }
    compare_all(s, v->q, v->then, false);
    querier_close(v->q);
    arena_deinit(&v->arena);
    for (size_t k = 0; k < SERIES; k++)
        mem_free(v->then[k].v);
    *v = (struct view){ 0 };
}

static void op_delete(struct sim *s)
{
    struct err err = { 0 };
    struct matcher v;
    struct matchers ms = { &v, 1 };
    size_t k = rng_below(&s->rng, SERIES);
    int64_t mint = s->now - (int64_t)rng_below(&s->rng, 5 * BLOCK), maxt = mint + (int64_t)rng_below(&s->rng, BLOCK);
    if (!matcher_init(&v, MATCH_EQ, STR("i"), s->labels[k][1].value, &err) || (!tsdb_delete(s->db, &ms, 1, mint, maxt, &err) && !stopped(s)))
        fail(s, "delete: %s", err.text);
    matcher_deinit(&v);
    for (size_t i = 0; i < SERIES; i++) {
        struct model_series *m = &s->series[i];
        if (!str_eq(s->labels[i][1].value, s->labels[k][1].value))
            continue;
        for (size_t x = place(m, mint); x < m->n && m->v[x].t <= maxt; x++) {
            struct point *p = &m->v[x];
            p->gone = true;
            p->must = false;
            /* Out-of-order data of the head is not deleted; what is not the series' in-order past may be such. */
            p->may = s->ooo;
            if (stopped(s))
                unsure(p);
        }
        if (maxt > m->deleted_to)
            m->deleted_to = maxt;
    }
}

static void forget_old(struct sim *s, struct model_series *m)
{
    size_t n = place(m, horizon(s));
    if (n == 0)
        return;
    memmove(m->v, m->v + n, (m->n - n) * sizeof *m->v);
    m->n -= n;
}

static void op_maintain(struct sim *s)
{
    if (rng_below(&s->rng, 3) == 0)
        memfs_write_back(s->m);
    tsdb_maintain(s->db, s->now, NULL);
    s->settled = s->now + MINUTE_MS;
    for (size_t k = 0; k < SERIES; k++) {
        s->series[k].surely_open = false;
        forget_old(s, &s->series[k]);
    }
}

static void op_clean(struct sim *s)
{
    struct err err = { 0 };
    if (!tsdb_clean_tombstones(s->db, s->now, &err) && !stopped(s))
        fail(s, "clean: %s", err.text);
}

static void op_restart(struct sim *s)
{
    close_views(s);
    tsdb_close(s->db);
    open_db(s);
    if (s->db)
        check_range(s, INT64_MIN, INT64_MAX, false);
}

/* Nothing is written any more; what was written is still there. */
static void op_kill(struct sim *s)
{
    struct memfs_faults dead = { .stop_after_ops = UINT64_MAX };
    close_views(s);
    memfs_set_faults(s->m, &dead);
    tsdb_close(s->db);
    memfs_set_faults(s->m, NULL);
    open_db(s);
    check_range(s, INT64_MIN, INT64_MAX, false);
    s->kills++;
}

/* Stops somewhere in the middle of work, then the power goes. */
static void op_power_cut(struct sim *s)
{
    struct memfs_faults f = { .stop_after_ops = 1 + rng_below(&s->rng, 60) };
    close_views(s);
    memfs_set_faults(s->m, &f);
    for (int i = 0; i < 3; i++) {
        if (rng_below(&s->rng, 2))
            op_append(s, true);
        else
            op_maintain(s);
    }
    struct memfs_faults dead = { .stop_after_ops = UINT64_MAX };
    memfs_set_faults(s->m, &dead);
    tsdb_close(s->db);
    memfs_crash(s->m, rng_below(&s->rng, 3) ? &s->rng : NULL);
    open_db(s);
    check_range(s, INT64_MIN, INT64_MAX, true);
    rebase(s);
    s->power_cuts++;
}

/* The disk is full for a while: samples stay readable, and are on disk when there is room again. */
static void op_full_disk(struct sim *s)
{
    struct memfs_faults full = { .capacity_bytes = memfs_bytes(s->m) + 1 + rng_below(&s->rng, 3000) };
    memfs_set_faults(s->m, &full);
    for (int i = 0; i < 12; i++)
        op_append(s, false);
    if (rng_below(&s->rng, 2))
        op_maintain(s);
    check_range(s, INT64_MIN, INT64_MAX, false);
    memfs_set_faults(s->m, NULL);
    op_maintain(s);
    if (tsdb_is_stalled(s->db))
        fail(s, "still stalled after there was room");
    if (rng_below(&s->rng, 2))
        op_kill(s);
}

static void op_gap(struct sim *s)
{
    s->now += (int64_t)rng_below(&s->rng, 4 * BLOCK);
    memfs_write_back(s->m);
}

static void op_append_well(struct sim *s)
{
    op_append(s, false);
}

struct operation {
    uint64_t weight;
    const char *name;
    void (*run)(struct sim *s);
};
static const struct operation operations[] = {
    { 120, "append", op_append_well }, { 20, "query", op_query },         { 10, "select", op_select_one },
    { 10, "open view", op_open_view }, { 10, "check view", op_check_view }, { 14, "maintain", op_maintain },
    { 4, "delete", op_delete },        { 2, "clean", op_clean },          { 2, "restart", op_restart },
    { 3, "kill", op_kill },            { 2, "power cut", op_power_cut },  { 2, "full disk", op_full_disk },
    { 1, "gap", op_gap },
};
static const struct operation cut_operations[] = {
    { 60, "append", op_append_well }, { 12, "gap", op_gap },       { 20, "maintain", op_maintain }, { 5, "delete", op_delete },
    { 3, "clean", op_clean },         { 4, "restart", op_restart }, { 5, "open view", op_open_view },
};
static bool trace;

static void step(struct sim *s, const struct operation *of, size_t n)
{
    uint64_t total = 0, pick;
    for (size_t i = 0; i < n; i++)
        total += of[i].weight;
    pick = rng_below(&s->rng, total);
    s->op++;
    for (size_t i = 0; i < n; i++) {
        if (pick < of[i].weight) {
            if (trace)
                printf("%llu %s now=%lld\n", (unsigned long long)s->op, of[i].name, (long long)s->now);
            of[i].run(s);
            return;
        }
        pick -= of[i].weight;
    }
}

static void begin(struct sim *s, uint64_t seed, uint64_t stop_at)
{
    static char names[SERIES][16], numbers[SERIES][16];
    *s = (struct sim){ .seed = seed, .now = INT64_C(1700000000000), .stop_at = stop_at };
    rng_seed(&s->rng, seed);
    s->m = memfs_new();
    s->ooo = seed % 3 != 0;
    for (size_t k = 0; k < SERIES; k++) {
        snprintf(names[k], sizeof names[k], "m%zu", k % 4);
        snprintf(numbers[k], sizeof numbers[k], "%zu", k);
        s->labels[k][0] = (struct label){ STR("__name__"), str_c(names[k]) };
        s->labels[k][1] = (struct label){ STR("i"), str_c(numbers[k]) };
        s->labels[k][2] = (struct label){ STR("job"), STR("sim") };
        s->series[k].deleted_to = INT64_MIN;
    }
    if (stop_at)
        memfs_set_faults(s->m, &(struct memfs_faults){ .stop_after_ops = stop_at });
    open_db(s);
}

static void end(struct sim *s)
{
    check_range(s, INT64_MIN, INT64_MAX, false);
    close_views(s);
    tsdb_close(s->db);
    memfs_free(s->m);
    for (size_t k = 0; k < SERIES; k++)
        mem_free(s->series[k].v);
}

static void run(uint64_t seed, uint64_t ops)
{
    struct sim s;
    begin(&s, seed, 0);
    while (s.op < ops)
        step(&s, operations, ARRAY_LEN(operations));
    end(&s);
}

/* A scenario that stops at its stop_at-th change of files and goes on after that; how many changes there were. */
static uint64_t run_cut(uint64_t seed, uint64_t stop_at)
{
    struct sim s;
    begin(&s, seed, stop_at);
    while (s.op < CUT_OPS && !stopped(&s))
        step(&s, cut_operations, ARRAY_LEN(cut_operations));
    uint64_t changes = memfs_ops(s.m);
    if (stopped(&s)) {
        bool power = stop_at % 2;
        close_views(&s);
        if (s.db)
            tsdb_close(s.db);
        s.stop_at = 0;
        if (power)
            memfs_crash(s.m, stop_at % 3 ? &s.rng : NULL);
        else
            memfs_set_faults(s.m, NULL);
        open_db(&s);
        check_range(&s, INT64_MIN, INT64_MAX, power);
        if (power)
            rebase(&s);
        while (s.op < CUT_OPS + 12)
            step(&s, cut_operations, ARRAY_LEN(cut_operations));
        op_restart(&s);
    }
    end(&s);
    return changes;
}

static void run_cuts(uint64_t seed)
{
    uint64_t changes = run_cut(seed, 0);
    for (uint64_t at = 1; at <= changes; at++) {
        if (trace)
            printf("stop at %llu of %llu\n", (unsigned long long)at, (unsigned long long)changes);
        run_cut(seed, at);
    }
}

static uint64_t number_after(int argc, char **argv, const char *flag, uint64_t fallback)
{
    uint64_t v = fallback;
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], flag) == 0 && !num_parse_u64(str_c(argv[i + 1]), 0, &v))
            v = fallback;
    }
    return v;
}

int main(int argc, char **argv)
{
    uint64_t seeds = number_after(argc, argv, "--seeds", 30), first = number_after(argc, argv, "--seed", 0);
    uint64_t ops = number_after(argc, argv, "--ops", 600);
    bool cuts = false;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    for (int i = 1; i < argc; i++)
        trace |= strcmp(argv[i], "--trace") == 0;
    for (int i = 1; i < argc; i++)
        cuts |= strcmp(argv[i], "--cuts") == 0;
    if (null >= 0 && !trace)
        log_set_fd(null);
    if (first)
        seeds = 1;
    else
        first = 1;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        printf("seed=0x%llx\n", (unsigned long long)seed);
        fflush(stdout);
        if (cuts)
            run_cuts(seed);
        else
            run(seed, ops);
    }
    printf("%llu passed, 0 failed, 0 skipped\n", (unsigned long long)seeds);
    return 0;
}
