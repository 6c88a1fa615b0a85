/* Planning: a private copy of the tree in which everything that depends on the query's times is a number, with marks on
 * what is evaluated once (invariant parts) and on what the query says more than once (shared parts).
 *
 * Shared parts are recognised by their canonical text outside of subqueries. A part below a shared one is shared by itself
 * only if it occurs more often than that. */
#include "promql/eval_int.h"

#include <math.h>

#define SHARING_TEXT_MAX 8192

/* ---- durations ---- */

static bool duration_value(struct eval *ev, const struct promql_node *n, double *v)
{
    if (n->kind == NODE_NUMBER) {
        *v = n->u.number.value;
        return true;
    }
    double l = 0, r = 0;
    const struct promql_run *run = ev->run;
    if (n->u.duration.l && !duration_value(ev, n->u.duration.l, &l))
        return false;
    if (n->u.duration.r && !duration_value(ev, n->u.duration.r, &r))
        return false;
    switch (n->u.duration.what) {
    case DUR_NEG: *v = -l; return true;
    case DUR_POS:
    case DUR_PAREN: *v = l; return true;
    case DUR_STEP: *v = run->start_ms == run->end_ms ? 0 : (double)run->step_ms / 1000; return true;
    case DUR_RANGE: *v = (double)(run->end_ms - run->start_ms) / 1000; return true;
    case DUR_MIN: *v = math_min(l, r); return true;
    case DUR_MAX: *v = math_max(l, r); return true;
    case DUR_OP: break;
    }
    if (r == 0 && (n->u.duration.op == OP_DIV || n->u.duration.op == OP_MOD))
        return eval_fail(ev, "%u:%u: %s by zero", n->start, n->end, n->u.duration.op == OP_DIV ? "division" : "modulo");
    *v = math_op(n->u.duration.op, l, r);
    return true;
}

static bool resolve(struct eval *ev, struct promql_duration *d, bool positive)
{
    const struct promql_node *n = d->expr;
    double v;
    if (!n)
        return true;
    if (!duration_value(ev, n, &v))
        return false;
    if (isnan(v) || isinf(v))
        return eval_fail(ev, "%u:%u: duration is NaN or infinite", n->start, n->end);
    if (positive && v <= 0)
        return eval_fail(ev, "%u:%u: duration must be greater than 0", n->start, n->end);
    if (!(fabs(v) < 9223372036.854775))
        return eval_fail(ev, "%u:%u: duration is out of range", n->start, n->end);
    *d = (struct promql_duration){ .ms = (int64_t)(v * 1000) };
    return true;
}

static bool resolve_place(struct eval *ev, struct promql_place *p)
{
    if (p->at == AT_START || p->at == AT_END) {
        p->at_ms = p->at == AT_START ? ev->run->start_ms : ev->run->end_ms;
        p->at = AT_TIME;
    }
    return resolve(ev, &p->offset, false);
}

/* ---- the copy ---- */

static bool call_is(const struct promql_node *n, const char *name)
{
    return n->kind == NODE_CALL && strcmp(n->u.call.fn->name, name) == 0;
}

enum stats_mode { STATS_UNDECIDED, STATS_ON, STATS_OFF };

static enum stats_mode stats_below(const struct promql_node *n, enum stats_mode mode)
{
    if (mode == STATS_OFF)
        return mode;
    if (n->kind == NODE_SUBQUERY || call_is(n, "histogram_quantile") || call_is(n, "histogram_quantiles") ||
        call_is(n, "histogram_fraction") ||
        (n->kind == NODE_BINARY && (n->u.binary.op == OP_TRIM_UPPER || n->u.binary.op == OP_TRIM_LOWER)))
        return STATS_OFF;
    if (call_is(n, "histogram_count") || call_is(n, "histogram_sum") || call_is(n, "histogram_avg"))
        return STATS_ON;
    return mode;
}
/* Walking up from a selector the innermost of them decides; a subquery above anywhere before that switches off. So going
 * down the last one wins, except that nothing below a subquery is decided by what stands above it. */
static enum stats_mode stats_descend(const struct promql_node *n, enum stats_mode mode)
{
    enum stats_mode own = stats_below(n, STATS_UNDECIDED);
    return own == STATS_UNDECIDED ? mode : own;
}

static struct promql_node *copy(struct eval *ev, const struct promql_node *from, enum stats_mode mode);

static bool copy_into(struct eval *ev, struct promql_node **slot, enum stats_mode mode)
{
    if (*slot)
        *slot = copy(ev, *slot, mode);
    return *slot != NULL;
}

static bool copy_call(struct eval *ev, struct promql_node *n, enum stats_mode mode)
{
    struct promql_node **args = arena_alloc_array(ev->a, n->u.call.args_count + 1, sizeof(struct promql_node *));
    for (size_t i = 0; i < n->u.call.args_count; i++) {
        args[i] = n->u.call.args[i];
        if (!copy_into(ev, &args[i], mode))
            return false;
    }
    n->u.call.args = args;
    if ((call_is(n, "timestamp") || call_is(n, "start_timestamp")) && n->u.call.args_count == 1) {
        struct promql_node *sel = args[0];
        while (sel->kind == NODE_PAREN)
            sel = sel->u.paren.expr;
        if (sel->kind == NODE_SELECTOR) {
            sel->u.selector.with_times = call_is(n, "timestamp");
            sel->u.selector.with_starts = !sel->u.selector.with_times;
        }
    }
    return true;
}

static struct promql_node *copy(struct eval *ev, const struct promql_node *from, enum stats_mode mode)
{
    struct promql_node *n = ARENA_NEW(ev->a, struct promql_node);
    *n = *from;
    mode = stats_descend(n, mode);
    bool ok = true;
    switch (n->kind) {
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_DURATION: break;
    case NODE_SELECTOR:
        ok = resolve_place(ev, &n->u.selector.place);
        n->u.selector.stats_only = mode == STATS_ON;
        break;
    case NODE_MATRIX: ok = copy_into(ev, &n->u.matrix.selector, mode) && resolve(ev, &n->u.matrix.range, true); break;
    case NODE_SUBQUERY:
        ok = copy_into(ev, &n->u.subquery.expr, mode) && resolve(ev, &n->u.subquery.range, true) &&
             resolve(ev, &n->u.subquery.step, true) && resolve_place(ev, &n->u.subquery.place);
        break;
    case NODE_PAREN: ok = copy_into(ev, &n->u.paren.expr, mode); break;
    case NODE_UNARY: ok = copy_into(ev, &n->u.unary.expr, mode); break;
    case NODE_BINARY: ok = copy_into(ev, &n->u.binary.l, mode) && copy_into(ev, &n->u.binary.r, mode); break;
    case NODE_CALL: ok = copy_call(ev, n, mode); break;
    case NODE_AGGREGATE:
        ok = (!n->u.aggregate.param || copy_into(ev, &n->u.aggregate.param, mode)) &&
             copy_into(ev, &n->u.aggregate.expr, mode);
        break;
    }
    return ok ? n : NULL;
}

/* ---- invariance ---- */

static bool pinned(const struct promql_node *n)
{
    if (n->kind == NODE_SELECTOR)
        return n->u.selector.place.at == AT_TIME;
    return n->kind == NODE_MATRIX ? pinned(n->u.matrix.selector) : false;
}

static bool mark(struct promql_node *n)
{
    bool is = true;
    switch (n->kind) {
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_DURATION: return true;
    case NODE_SELECTOR:
    case NODE_MATRIX: is = pinned(n); break;
    case NODE_SUBQUERY:
        mark(n->u.subquery.expr);
        is = n->u.subquery.place.at == AT_TIME;
        break;
    case NODE_PAREN: is = mark(n->u.paren.expr); break;
    case NODE_UNARY: is = mark(n->u.unary.expr); break;
    case NODE_BINARY: {
        bool l = mark(n->u.binary.l), r = mark(n->u.binary.r);
        is = l && r;
        break;
    }
    case NODE_CALL:
        for (size_t i = 0; i < n->u.call.args_count; i++)
            is &= mark(n->u.call.args[i]);
        if (n->u.call.fn->at_unsafe)
            is = call_is(n, "timestamp") && pinned(promql_unparen(n->u.call.args[0]));
        break;
    case NODE_AGGREGATE:
        if (n->u.aggregate.param)
            mark(n->u.aggregate.param);
        is = mark(n->u.aggregate.expr);
        break;
    }
    n->invariant = is;
    return is;
}

/* ---- sharing ---- */

static bool may_share(const struct promql_node *n)
{
    return n->type == PROMQL_VECTOR && n->kind != NODE_PAREN;
}

struct sharing {
    struct eval *ev;
    struct buf text;
};
/* What the text does not show: how each selector is to be read. */
static bool append_modes(void *arg, const struct promql_node *n)
{
    if (n->kind == NODE_SELECTOR)
        buf_byte(arg, (char)('0' + n->u.selector.stats_only + 2 * n->u.selector.with_times + 4 * n->u.selector.with_starts));
    return true;
}
static struct cached *share_entry(struct sharing *s, const struct promql_node *n)
{
    buf_reset(&s->text);
    promql_print(&s->text, n);
    buf_byte(&s->text, '#');
    promql_walk(n, append_modes, &s->text);
    struct cached *c = map_get(&s->ev->cache, buf_view(&s->text));
    if (!c) {
        c = ARENA_NEW(s->ev->a, struct cached);
        c->key = arena_str(s->ev->a, buf_view(&s->text));
        map_put(&s->ev->cache, c->key, c);
    }
    return c;
}

/* The children that are evaluated over the same frame. */
static size_t same_frame_children(struct promql_node *n, struct promql_node **first, struct promql_node ***rest)
{
    *rest = NULL;
    switch (n->kind) {
    case NODE_PAREN: *first = n->u.paren.expr; return 1;
    case NODE_UNARY: *first = n->u.unary.expr; return 1;
    case NODE_BINARY:
        *rest = &n->u.binary.l;
        return 2;
    case NODE_CALL:
        *rest = n->u.call.args;
        return n->u.call.args_count;
    case NODE_AGGREGATE:
        *first = n->u.aggregate.expr;
        return 1;
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_DURATION:
    case NODE_SELECTOR:
    case NODE_MATRIX:
    case NODE_SUBQUERY: break;
    }
    return 0;
}

static void share_count(struct sharing *s, struct promql_node *n)
{
    if (may_share(n))
        share_entry(s, n)->uses++;
    struct promql_node *one = NULL, **rest = NULL;
    size_t count = same_frame_children(n, &one, &rest);
    for (size_t i = 0; i < count; i++)
        share_count(s, rest ? rest[i] : one);
}

static void share_mark(struct sharing *s, struct promql_node *n, int uses)
{
    if (may_share(n)) {
        struct cached *c = share_entry(s, n);
        if (c->uses > uses) {
            n->shared = c;
            uses = c->uses;
        }
    }
    struct promql_node *one = NULL, **rest = NULL;
    size_t count = same_frame_children(n, &one, &rest);
    for (size_t i = 0; i < count; i++)
        share_mark(s, rest ? rest[i] : one, uses);
}

struct promql_node *plan_tree(struct eval *ev, const struct promql_node *root)
{
    struct promql_node *n = copy(ev, root, STATS_UNDECIDED);
    if (!n)
        return NULL;
    mark(n);
    if (ev->text.n <= SHARING_TEXT_MAX) {
        struct sharing s = { .ev = ev };
        share_count(&s, n);
        share_mark(&s, n, 1);
        buf_deinit(&s.text);
    }
    return n;
}

/* ---- what is read ---- */

void subquery_frame(const struct eval *ev, const struct frame *f, const struct promql_node *n, struct frame *out)
{
    const struct promql_place *p = &n->u.subquery.place;
    int64_t first, last, step = n->u.subquery.step.ms > 0 ? n->u.subquery.step.ms : ev->subquery_step;
    place_bounds(f, p, &first, &last);
    int64_t from = first - n->u.subquery.range.ms;
    int64_t start = from / step * step;
    if (start <= from)
        start += step;
    out->start = start;
    out->step = step;
    out->n = last < start ? 0 : (size_t)((last - start) / step) + 1;
}

struct bounds {
    int64_t mint, maxt;
    bool any;
};

static void bounds_of(struct eval *ev, const struct promql_node *n, const struct frame *f, struct bounds *b)
{
    struct promql_node *one = NULL, **rest;
    if (n->kind == NODE_SUBQUERY) {
        struct frame sub;
        subquery_frame(ev, f, n, &sub);
        if (sub.n)
            bounds_of(ev, n->u.subquery.expr, &sub, b);
        return;
    }
    const struct promql_node *sel = n->kind == NODE_MATRIX ? n->u.matrix.selector : n;
    if (sel->kind == NODE_SELECTOR) {
        const struct promql_place *p = &sel->u.selector.place;
        int64_t first, last;
        place_bounds(f, p, &first, &last);
        if (n->kind == NODE_MATRIX)
            first -= n->u.matrix.range.ms;
        if (n->kind == NODE_SELECTOR || p->anchored || p->smoothed)
            first -= ev->lookback;
        if (p->smoothed)
            last += ev->lookback;
        b->mint = !b->any || first < b->mint ? first : b->mint;
        b->maxt = !b->any || last > b->maxt ? last : b->maxt;
        b->any = true;
        return;
    }
    if (n->kind == NODE_AGGREGATE && n->u.aggregate.param)
        bounds_of(ev, n->u.aggregate.param, f, b);
    size_t count = same_frame_children((struct promql_node *)(uintptr_t)n, &one, &rest);
    for (size_t i = 0; i < count; i++)
        bounds_of(ev, rest ? rest[i] : one, f, b);
}

bool plan_bounds(struct eval *ev, const struct promql_node *n, const struct frame *f, int64_t *mint, int64_t *maxt)
{
    struct bounds b = { 0 };
    bounds_of(ev, n, f, &b);
    *mint = b.mint;
    *maxt = b.maxt;
    return b.any;
}
