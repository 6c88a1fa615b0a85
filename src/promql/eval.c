/* The engine's heart: dispatch by node, and the run from a planned tree to a result.
 *
 * Life of a run: plan (plan.c) -> open a querier over the times the plan reads -> evaluate the root over the query's
 * frame -> names that were marked go, equal labels join (E2) -> sort -> copy labels out of the querier -> close it.
 *
 * Samples are counted as upstream's limit means them: what is held at a time. A node that has consumed its operands gives
 * their samples back (eval_uncount) and counts its own.
 * Bounds: samples_max, memory_max_bytes, PROMQL_DEPTH_MAX of the tree (the recursion), stop. */
#include "promql/eval_int.h"

#include "base/mem.h"
#include "base/stopwatch.h"

#include <stdlib.h>

/* ---- failing and limits ---- */

bool eval_fail(struct eval *ev, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_vset(ev->err, ERR_INVALID, fmt, ap);
    va_end(ap);
    return false;
}

static bool out_of_memory(struct eval *ev)
{
    return err_set(ev->err, ERR_LIMIT, "query needs more than %zu bytes of memory", ev->memory_max);
}

bool eval_poll(struct eval *ev)
{
    int stop = ev->run->stop ? atomic_load_explicit(ev->run->stop, memory_order_relaxed) : PROMQL_GO_ON;
    if (UNLIKELY(stop == PROMQL_CANCELLED))
        return err_set(ev->err, ERR_CANCELLED, "query was canceled in expression evaluation");
    if (UNLIKELY(stop == PROMQL_TIMED_OUT))
        return err_set(ev->err, ERR_TIMEOUT, "query timed out in expression evaluation");
    return ev->a->used_bytes <= ev->memory_max || out_of_memory(ev);
}

bool eval_count(struct eval *ev, size_t samples)
{
    ev->samples += samples;
    if (ev->samples > ev->samples_peak)
        ev->samples_peak = ev->samples;
    return ev->samples <= ev->samples_max ||
           err_set(ev->err, ERR_LIMIT, "query processing would load too many samples into memory in query execution");
}

void *eval_alloc(struct eval *ev, size_t count, size_t size)
{
    if (count > (ev->memory_max - (ev->a->used_bytes < ev->memory_max ? ev->a->used_bytes : ev->memory_max)) / size) {
        out_of_memory(ev);
        return NULL;
    }
    return arena_alloc_array(ev->a, count ? count : 1, size);
}

/* ---- vectors ---- */

struct collector {
    struct eval *ev;
    size_t n;
    struct vector *out;
};
static bool collect_one(void *arg, struct column *c)
{
    struct collector *k = arg;
    return vector_add(k->ev, k->out, column_keep(k->ev, c, k->n));
}
bool eval_collect(struct eval *ev, const struct frame *f, const struct promql_node *n, struct vector *out)
{
    struct collector k = { ev, f->n, out };
    return eval_vector(ev, f, n, collect_one, &k);
}

/* The kept columns stay as they are: receivers change copies. */
bool emit_vector(struct eval *ev, size_t n, const struct vector *vec, column_emit *emit, void *arg)
{
    struct column *scratch = vec->n ? column_new(ev, n) : NULL;
    const struct float_histogram **h = NULL;
    if (vec->n && !scratch)
        return false;
    for (size_t k = 0; k < vec->n; k++) {
        const struct column *c = vec->v[k];
        scratch->labels = c->labels;
        scratch->drop_name = c->drop_name;
        memcpy(scratch->kind, c->kind, n);
        memcpy(scratch->v, c->v, n * sizeof *c->v);
        scratch->h = NULL;
        if (c->h) {
            if (!h && !(h = eval_alloc(ev, n, sizeof *h)))
                return false;
            memcpy(h, c->h, n * sizeof *h);
            scratch->h = h;
        }
        if (!emit(arg, scratch))
            return false;
    }
    return true;
}

/* One step repeated for all. */
struct repeater {
    struct eval *ev;
    size_t n;
    struct column *out;
    column_emit *emit;
    void *arg;
};
static bool repeat_one(void *arg, struct column *c)
{
    struct repeater *r = arg;
    if (!r->out && !(r->out = column_new(r->ev, r->n)))
        return false;
    struct column *o = r->out;
    o->labels = c->labels;
    o->drop_name = c->drop_name;
    o->h = NULL;
    memset(o->kind, c->kind[0], r->n);
    for (size_t i = 0; i < r->n; i++)
        o->v[i] = c->v[0];
    if (c->kind[0] == CELL_HISTOGRAM) {
        for (size_t i = 0; i < r->n; i++)
            if (!column_set_histogram(r->ev, o, r->n, i, c->h[0]))
                return false;
    }
    return eval_count(r->ev, r->n - 1) && r->emit(r->arg, o);
}

struct negator {
    struct eval *ev;
    size_t n;
    struct uniqueness unique;
    column_emit *emit;
    void *arg;
};
static bool negate_one(void *arg, struct column *c)
{
    struct negator *g = arg;
    for (size_t i = 0; i < g->n; i++) {
        c->v[i] = -c->v[i];
        if (c->kind[i] == CELL_HISTOGRAM) {
            struct float_histogram *h = histogram_clone(g->ev, c->h[i]);
            float_histogram_mul(h, -1);
            c->h[i] = h;
        }
    }
    column_drop_name(g->ev, c);
    return uniqueness_check(g->ev, &g->unique, c, g->n) && g->emit(g->arg, c);
}

static bool unary_eval(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    if (!n->u.unary.minus)
        return eval_vector(ev, f, n->u.unary.expr, emit, arg);
    struct negator g = { .ev = ev, .n = f->n, .emit = emit, .arg = arg };
    g.unique.armed = !ev->delayed && names_may_differ(n->u.unary.expr);
    bool ok = eval_vector(ev, f, n->u.unary.expr, negate_one, &g);
    uniqueness_deinit(&g.unique);
    return ok;
}

static bool vector_node(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    switch (n->kind) {
    case NODE_SELECTOR: return selector_eval(ev, f, n, emit, arg);
    case NODE_PAREN: return eval_vector(ev, f, n->u.paren.expr, emit, arg);
    case NODE_UNARY: return unary_eval(ev, f, n, emit, arg);
    case NODE_BINARY: return binary_eval(ev, f, n, emit, arg);
    case NODE_AGGREGATE:
        switch (n->u.aggregate.op) {
        case AGG_TOPK:
        case AGG_BOTTOMK:
        case AGG_LIMITK:
        case AGG_LIMIT_RATIO: return select_k_eval(ev, f, n, emit, arg);
        case AGG_SUM:
        case AGG_AVG:
        case AGG_COUNT:
        case AGG_MIN:
        case AGG_MAX:
        case AGG_GROUP:
        case AGG_STDDEV:
        case AGG_STDVAR:
        case AGG_COUNT_VALUES:
        case AGG_QUANTILE: break;
        }
        return aggregate_eval(ev, f, n, emit, arg);
    case NODE_CALL:
        if (n->u.call.fn->range)
            return range_call_eval(ev, f, n, emit, arg);
        return n->u.call.fn->vector(ev, f, n, emit, arg);
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_MATRIX:
    case NODE_SUBQUERY:
    case NODE_DURATION: break;
    }
    ASSERT(false);
    return false;
}

bool eval_vector(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    if (f->n == 0)
        return true;
    if (!eval_poll(ev))
        return false;
    if (n->shared && f == ev->query_frame) {
        struct cached *c = n->shared;
        struct promql_node own = *n;
        own.shared = NULL;
        if (!c->ready && !eval_collect(ev, f, &own, &c->vector))
            return false;
        c->ready = true;
        return emit_vector(ev, f->n, &c->vector, emit, arg);
    }
    if (n->invariant && f->n > 1) {
        const struct frame one = { f->start, f->step, 1 };
        struct repeater r = { .ev = ev, .n = f->n, .emit = emit, .arg = arg };
        return vector_node(ev, &one, n, repeat_one, &r);
    }
    return vector_node(ev, f, n, emit, arg);
}

/* ---- scalars ---- */

static bool scalar_node(struct eval *ev, const struct frame *f, const struct promql_node *n, double *out)
{
    switch (n->kind) {
    case NODE_NUMBER:
        for (size_t i = 0; i < f->n; i++)
            out[i] = n->u.number.value;
        return true;
    case NODE_PAREN: return eval_scalar(ev, f, n->u.paren.expr, out);
    case NODE_UNARY:
        if (!eval_scalar(ev, f, n->u.unary.expr, out))
            return false;
        for (size_t i = 0; i < f->n && n->u.unary.minus; i++)
            out[i] = -out[i];
        return true;
    case NODE_BINARY: {
        enum promql_op op = n->u.binary.op;
        if (op == OP_TRIM_UPPER || op == OP_TRIM_LOWER)
            return eval_fail(ev, "operator \"%.*s\" not allowed for Scalar operations", STR_ARG(promql_op_text(op)));
        double *r = eval_alloc(ev, f->n, sizeof *r);
        if (!r || !eval_scalar(ev, f, n->u.binary.l, out) || !eval_scalar(ev, f, n->u.binary.r, r))
            return false;
        for (size_t i = 0; i < f->n; i++)
            out[i] = math_op(op, out[i], r[i]);
        return true;
    }
    case NODE_CALL: return n->u.call.fn->scalar(ev, f, n, out);
    case NODE_STRING:
    case NODE_SELECTOR:
    case NODE_MATRIX:
    case NODE_SUBQUERY:
    case NODE_AGGREGATE:
    case NODE_DURATION: break;
    }
    ASSERT(false);
    return false;
}

bool eval_scalar(struct eval *ev, const struct frame *f, const struct promql_node *n, double *out)
{
    if (!eval_poll(ev))
        return false;
    if (!n->invariant || f->n <= 1)
        return f->n == 0 || scalar_node(ev, f, n, out);
    const struct frame one = { f->start, f->step, 1 };
    if (!scalar_node(ev, &one, n, out))
        return false;
    for (size_t i = 1; i < f->n; i++)
        out[i] = out[0];
    return true;
}

double *eval_scalar_new(struct eval *ev, const struct frame *f, const struct promql_node *n)
{
    double *v = eval_alloc(ev, f->n, sizeof *v);
    return v && eval_scalar(ev, f, n, v) ? v : NULL;
}

bool names_may_differ(const struct promql_node *n)
{
    switch (n->kind) {
    case NODE_SELECTOR:
        for (size_t i = 0; i < n->u.selector.matchers.n; i++) {
            const struct matcher *m = &n->u.selector.matchers.v[i];
            if (m->op == MATCH_EQ && str_eq(m->name, STR("__name__")))
                return false;
        }
        return true;
    case NODE_MATRIX: return names_may_differ(n->u.matrix.selector);
    case NODE_SUBQUERY: return names_may_differ(n->u.subquery.expr);
    case NODE_PAREN: return names_may_differ(n->u.paren.expr);
    case NODE_UNARY: return names_may_differ(n->u.unary.expr);
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_BINARY:
    case NODE_CALL:
    case NODE_AGGREGATE:
    case NODE_DURATION: break;
    }
    return true;
}

/* ---- results ---- */

struct finish {
    struct eval *ev;
    const struct frame *f;
    struct promql_result *r;
    size_t capacity;
    int64_t *times; /* of all steps, shared by columns without gaps */
};

static bool finish_series(struct finish *z, const struct column *c, struct promql_series *s)
{
    size_t n = z->f->n, floats = 0, histograms = 0;
    for (size_t i = 0; i < n; i++) {
        floats += c->kind[i] == CELL_FLOAT;
        histograms += c->kind[i] == CELL_HISTOGRAM;
    }
    *s = (struct promql_series){ .labels = labels_copy(z->ev->a, c->labels), .n = floats, .hn = histograms };
    if (floats == n) {
        s->t = z->times;
        s->v = c->v;
        return true;
    }
    int64_t *t = eval_alloc(z->ev, floats + histograms, sizeof *t);
    double *v = eval_alloc(z->ev, floats, sizeof *v);
    const struct float_histogram **h = eval_alloc(z->ev, histograms, sizeof *h);
    if (!t || !v || !h)
        return false;
    s->t = t;
    s->v = v;
    s->ht = t + floats;
    s->h = h;
    for (size_t i = 0, a = 0, b = 0; i < n; i++) {
        if (c->kind[i] == CELL_FLOAT) {
            t[a] = z->times[i];
            v[a++] = c->v[i];
        } else if (c->kind[i] == CELL_HISTOGRAM) {
            t[floats + b] = z->times[i];
            h[b++] = c->h[i];
        }
    }
    return true;
}

static int series_order(const void *a, const void *b)
{
    const struct promql_series *x = a, *y = b;
    return labels_cmp_prometheus(x->labels, y->labels);
}

static bool finish_vector(struct finish *z, struct vector *vec)
{
    struct eval *ev = z->ev;
    for (size_t k = 0; k < vec->n; k++)
        if (vec->v[k]->drop_name)
            vec->v[k]->labels = labels_without_name(ev, vec->v[k]->labels);
    if (!vector_merge(ev, z->f->n, vec))
        return false;
    z->times = eval_alloc(ev, z->f->n, sizeof *z->times);
    z->r->series = eval_alloc(ev, vec->n, sizeof *z->r->series);
    if (!z->times || !z->r->series)
        return false;
    for (size_t i = 0; i < z->f->n; i++)
        z->times[i] = frame_time(z->f, i);
    z->r->n = 0;
    for (size_t k = 0; k < vec->n; k++) {
        if (column_cells(vec->v[k], z->f->n) == 0)
            continue;
        if (!finish_series(z, vec->v[k], &z->r->series[z->r->n++]))
            return false;
    }
    if (ev->run->is_range)
        qsort(z->r->series, z->r->n, sizeof *z->r->series, series_order);
    return true;
}

/* A bare range selector or subquery: the samples themselves. */
struct raw {
    struct finish *z;
    const struct promql_node *node;
    int64_t from, to;
};
static bool raw_one(void *arg, const struct range_series *s)
{
    struct raw *raw = arg;
    struct finish *z = raw->z;
    struct eval *ev = z->ev;
    size_t a = 0, b = s->n, c = 0, d = s->hn;
    const struct promql_place *p =
        raw->node->kind == NODE_MATRIX ? &raw->node->u.matrix.selector->u.selector.place : &raw->node->u.subquery.place;
    struct promql_series out = { .labels = s->drop_name ? labels_without_name(ev, s->labels) : s->labels };
    out.labels = labels_copy(ev->a, out.labels);
    int64_t *t = NULL;
    double *v = NULL;
    struct float_histogram **h = NULL;
    if (p->anchored || p->smoothed) {
        struct window w = { .t = s->t, .v = s->v, .n = s->n, .ht = s->ht, .h = s->h, .hn = s->hn, .start = raw->from, .end = raw->to };
        if (!extended_matrix(ev, raw->node, &w, &t, &v, &out.n))
            return false;
        out.t = t;
        out.v = v;
    } else {
        while (a < b && s->t[a] <= raw->from)
            a++;
        while (b > a && s->t[b - 1] > raw->to)
            b--;
        while (c < d && s->ht[c] <= raw->from)
            c++;
        while (d > c && s->ht[d - 1] > raw->to)
            d--;
        out.n = b - a;
        out.hn = d - c;
        t = eval_alloc(ev, out.n + out.hn, sizeof *t);
        v = eval_alloc(ev, out.n, sizeof *v);
        h = eval_alloc(ev, out.hn, sizeof(struct float_histogram *));
        if (!t || !v || !h)
            return false;
        if (out.n) {
            memcpy(t, s->t + a, out.n * sizeof *t);
            memcpy(v, s->v + a, out.n * sizeof *v);
        }
        for (size_t i = 0; i < out.hn; i++) {
            t[out.n + i] = s->ht[c + i];
            h[i] = histogram_clone(ev, s->h[c + i]);
        }
        out.t = t;
        out.v = v;
        out.ht = t + out.n;
        out.h = (const struct float_histogram *const *)h;
    }
    if (out.n + out.hn == 0)
        return true;
    if (z->r->n == z->capacity) {
        z->capacity = z->capacity ? z->capacity * 2 : 16;
        struct promql_series *grown = eval_alloc(ev, z->capacity, sizeof *grown);
        if (!grown)
            return false;
        if (z->r->n)
            memcpy(grown, z->r->series, z->r->n * sizeof *grown);
        z->r->series = grown;
    }
    z->r->series[z->r->n++] = out;
    ev->samples_total += out.n + out.hn;
    return eval_count(ev, out.n + out.hn);
}

static bool run_matrix(struct finish *z, const struct promql_node *n)
{
    const struct promql_place *p =
        n->kind == NODE_MATRIX ? &n->u.matrix.selector->u.selector.place : &n->u.subquery.place;
    int64_t r = place_time(z->f, p, 0);
    struct raw raw = { z, n, r - (n->kind == NODE_MATRIX ? n->u.matrix.range.ms : n->u.subquery.range.ms), r };
    if (!range_each(z->ev, z->f, n, raw_one, &raw))
        return false;
    if (z->r->n)
        qsort(z->r->series, z->r->n, sizeof *z->r->series, series_order);
    for (size_t i = 1; i < z->r->n; i++)
        if (labels_eq(z->r->series[i - 1].labels, z->r->series[i].labels))
            return eval_fail(z->ev, "vector cannot contain metrics with the same labelset");
    return true;
}

static bool run_root(struct eval *ev, const struct promql_node *root, const struct frame *f, struct promql_result *r)
{
    struct finish z = { .ev = ev, .f = f, .r = r };
    const struct promql_node *n = promql_unparen(root);
    r->type = ev->run->is_range ? PROMQL_MATRIX : root->type;
    r->t = ev->run->start_ms;
    if (root->type == PROMQL_STRING) {
        r->string = arena_str(ev->a, n->u.string.value);
        return true;
    }
    if (root->type == PROMQL_MATRIX)
        return run_matrix(&z, n);
    struct vector vec = { 0 };
    if (root->type == PROMQL_SCALAR) {
        struct column *c = column_new(ev, f->n);
        if (!c || !eval_scalar(ev, f, root, c->v))
            return false;
        r->scalar = c->v[0];
        if (!ev->run->is_range)
            return true;
        memset(c->kind, CELL_FLOAT, f->n);
        return vector_add(ev, &vec, c) && finish_vector(&z, &vec);
    }
    return eval_collect(ev, f, root, &vec) && finish_vector(&z, &vec);
}

static bool run_all(struct eval *ev, const struct promql_expr *e, struct promql_result *r)
{
    const struct promql_run *run = ev->run;
    struct stopwatch watch = stopwatch_start();
    const struct frame f = { run->start_ms, run->step_ms > 0 ? run->step_ms : 1,
                             run->is_range && run->step_ms > 0 ? (size_t)((run->end_ms - run->start_ms) / run->step_ms) + 1 : 1 };
    ev->query_frame = &f;
    const struct promql_node *root = plan_tree(ev, promql_root(e));
    if (!root)
        return false;
    int64_t mint, maxt;
    struct err cause = { 0 };
    if (plan_bounds(ev, root, &f, &mint, &maxt) &&
        !storage_querier(run->storage, ev->a, mint, maxt, &ev->querier, &cause)) {
        err_set(ev->err, cause.code, "%s", cause.text);
        return false;
    }
    r->stats.prepare_s = stopwatch_seconds(watch);
    struct stopwatch inner = stopwatch_start();
    bool ok = eval_poll(ev) && run_root(ev, root, &f, r);
    r->stats.inner_s = stopwatch_seconds(inner);
    if (ok) {
        notes_finish(ev, true, &r->warnings);
        notes_finish(ev, false, &r->infos);
    }
    if (ev->querier)
        querier_close(ev->querier);
    r->stats.samples_total = r->stats.samples_read = ev->samples_total;
    r->stats.samples_peak = ev->samples_peak;
    r->stats.per_step = ev->per_step;
    r->stats.steps_count = f.n;
    r->stats.start_ms = f.start;
    r->stats.step_ms = run->step_ms;
    r->stats.eval_s = stopwatch_seconds(watch);
    return ok;
}

bool promql_run(const struct promql_expr *e, const struct promql_run *run, struct promql_result **out, struct err *err)
{
    *out = NULL;
    enum promql_type type = promql_expr_type(e);
    if (run->is_range && type != PROMQL_SCALAR && type != PROMQL_VECTOR)
        return err_set(err, ERR_INVALID, "invalid expression type \"%.*s\" for range query, must be Scalar or instant Vector",
                       STR_ARG(promql_type_documented(type)));
    struct promql_result *r = MEM_NEW(struct promql_result);
    arena_init(&r->arena, ARENA_NO_LIMIT);
    struct eval ev = {
        .run = run,
        .a = &r->arena,
        .text = promql_text(e),
        .features = run->features,
        .delayed = (run->features & PROMQL_DELAYED_NAME_REMOVAL) != 0,
        .lookback = run->lookback_ms > 0 ? run->lookback_ms : PROMQL_LOOKBACK_MS,
        .subquery_step = run->subquery_step_ms > 0 ? run->subquery_step_ms : PROMQL_SUBQUERY_STEP_MS,
        .samples_max = run->samples_max ? run->samples_max : PROMQL_SAMPLES_MAX,
        .memory_max = run->memory_max_bytes ? run->memory_max_bytes : PROMQL_MEMORY_MAX,
        .err = err,
    };
    bool ok = run_all(&ev, e, r);
    map_deinit(&ev.notes.by_gist);
    map_deinit(&ev.cache);
    if (!ok) {
        promql_result_free(r);
        return false;
    }
    *out = r;
    return true;
}

void promql_result_free(struct promql_result *r)
{
    if (!r)
        return;
    arena_deinit(&r->arena);
    mem_free(r);
}
