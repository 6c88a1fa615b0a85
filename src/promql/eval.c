/* The engine's heart: dispatch by node, and the run from a planned tree to a result.
 *
 * Life of a run: plan (plan.c) -> open a querier over the times the plan reads -> evaluate the root over the query's
 * frame, its columns becoming series of the result one by one (result.c) -> close the querier.
 *
 * Samples are counted as upstream's limit means them: what is held at a time. A node that has consumed its operands gives
 * their samples back (eval_uncount) and counts its own.
 * Bounds: samples_max, memory_max_bytes, PROMQL_DEPTH_MAX of the tree (the recursion), stop. */
#include "promql/eval_int.h"

#include "base/mem.h"
#include "base/stopwatch.h"


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

/* What was looked at for one step stands for all of f; always true. */
static bool repeat_statistics(struct eval *ev, const struct frame *f, uint64_t before)
{
    uint64_t once = ev->samples_total - before;
    ev->samples_total = before;
    for (size_t i = 0; i < f->n; i++)
        eval_looked_at(ev, f, i, once);
    return true;
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
        uint64_t looked_at = ev->samples_total;
        return vector_node(ev, &one, n, repeat_one, &r) && repeat_statistics(ev, f, looked_at);
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
    uint64_t looked_at = ev->samples_total;
    if (!scalar_node(ev, &one, n, out))
        return false;
    repeat_statistics(ev, f, looked_at);
    for (size_t i = 1; i < f->n; i++)
        out[i] = out[0];
    return true;
}

double *eval_scalar_new(struct eval *ev, const struct frame *f, const struct promql_node *n)
{
    double *v = eval_alloc(ev, f->n, sizeof *v);
    return v && eval_scalar(ev, f, n, v) ? v : NULL;
}

static bool drops_name(enum promql_op op)
{
    return !promql_op_is_comparison(op) && op != OP_TRIM_UPPER && op != OP_TRIM_LOWER && op != OP_AND && op != OP_OR &&
           op != OP_UNLESS;
}

static bool grouped_by_name(const struct promql_node *n)
{
    if (n->u.aggregate.op == AGG_TOPK || n->u.aggregate.op == AGG_BOTTOMK || n->u.aggregate.op == AGG_LIMITK ||
        n->u.aggregate.op == AGG_LIMIT_RATIO)
        return true;
    for (size_t i = 0; i < n->u.aggregate.grouping.n; i++)
        if (!n->u.aggregate.without && str_eq(n->u.aggregate.grouping.v[i], STR("__name__")))
            return true;
    return n->u.aggregate.op == AGG_COUNT_VALUES; /* whose label may be the name */
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
    case NODE_UNARY: return !n->u.unary.minus && names_may_differ(n->u.unary.expr);
    case NODE_CALL: return n->u.call.fn->keeps_name;
    case NODE_BINARY: return !drops_name(n->u.binary.op);
    case NODE_AGGREGATE: return grouped_by_name(n);
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_DURATION: break;
    }
    return true;
}

/* ---- runs ---- */

static bool run_all(struct eval *ev, const struct promql_expr *e, struct promql_result *r)
{
    const struct promql_run *run = ev->run;
    struct stopwatch watch = stopwatch_start();
    const struct frame f = { run->start_ms, run->step_ms > 0 ? run->step_ms : 1,
                             run->is_range && run->step_ms > 0 ? (size_t)((run->end_ms - run->start_ms) / run->step_ms) + 1 : 1 };
    ev->query_frame = &f;
    if ((ev->features & PROMQL_PER_STEP_STATS) && !(ev->per_step = eval_alloc(ev, f.n, sizeof *ev->per_step)))
        return false;
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
    bool ok = eval_poll(ev) && result_of_root(ev, root, &f, r);
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
    arena_init_recycled(&r->arena, ARENA_NO_LIMIT);
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
