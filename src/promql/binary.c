/* Binary operators between scalars and vectors: element by element, and what one element does to another (spec 5.1, 5.2,
 * 10.6). Matching of two vectors is in matching.c. */
#include "promql/eval_int.h"

#include <math.h>

static bool is_trim(enum promql_op op)
{
    return op == OP_TRIM_UPPER || op == OP_TRIM_LOWER;
}

static bool incompatible(struct eval *ev, const struct promql_node *n, const struct point *l, const struct point *r)
{
    note_info(ev, n->start, "incompatible sample types encountered for binary operator \"%.*s\": %s %.*s %s",
              STR_ARG(promql_op_text(n->u.binary.op)), l->kind == CELL_HISTOGRAM ? "histogram" : "float",
              STR_ARG(promql_op_text(n->u.binary.op)), r->kind == CELL_HISTOGRAM ? "histogram" : "float");
    return true;
}

static bool add_histograms(struct eval *ev, const struct promql_node *n, const struct point *l, const struct point *r,
                           struct point *out)
{
    bool sub = n->u.binary.op == OP_SUB;
    struct float_histogram *h = histogram_clone(ev, l->h);
    struct histogram_notes notes = { 0 };
    bool ok = sub ? float_histogram_sub(ev->a, h, r->h, &notes) : float_histogram_add(ev->a, h, r->h, &notes);
    if (!ok) {
        note_warning(ev, n->start, "incompatible bucket layout encountered for binary operator %.*s",
                     STR_ARG(promql_op_text(n->u.binary.op)));
        return true;
    }
    const char *what = sub ? "subtraction" : "addition";
    if (notes.bounds_reconciled)
        note_info(ev, n->start, "mismatched custom buckets were reconciled during %s", what);
    if (notes.reset_collision) {
        note_warning(ev, n->start, "conflicting counter resets during histogram %s", what);
        return true;
    }
    if (sub)
        h->hint = RESET_GAUGE;
    float_histogram_compact(ev->a, h);
    *out = (struct point){ CELL_HISTOGRAM, 0, h };
    return true;
}

static bool scale(struct eval *ev, const struct float_histogram *h, double by, bool divide, struct point *out)
{
    struct float_histogram *copy = histogram_clone(ev, h);
    if (divide)
        float_histogram_div(copy, by);
    else
        float_histogram_mul(copy, by);
    float_histogram_compact(ev->a, copy);
    *out = (struct point){ CELL_HISTOGRAM, 0, copy };
    return true;
}

bool binary_points(struct eval *ev, const struct promql_node *n, const struct point *l, const struct point *r,
                   struct point *out, bool *keep, bool *bad, struct note *pending)
{
    (void)pending;
    enum promql_op op = n->u.binary.op;
    bool lh = l->kind == CELL_HISTOGRAM, rh = r->kind == CELL_HISTOGRAM;
    out->kind = CELL_NONE;
    *keep = true;
    *bad = false;
    if (!lh && !rh) {
        if (is_trim(op)) {
            *bad = true;
            return incompatible(ev, n, l, r);
        }
        double v = math_op(op, l->v, r->v);
        if (promql_op_is_comparison(op)) {
            *keep = v != 0;
            v = l->v;
        }
        *out = (struct point){ CELL_FLOAT, v, NULL };
        return true;
    }
    if (lh && rh && (op == OP_EQ || op == OP_NE)) {
        *keep = histogram_equals(l->h, r->h) == (op == OP_EQ);
        *out = *l;
        return true;
    }
    if (lh && rh && (op == OP_ADD || op == OP_SUB)) {
        bool ok = add_histograms(ev, n, l, r, out);
        *bad = out->kind == CELL_NONE;
        return ok;
    }
    if (lh && !rh && (op == OP_MUL || op == OP_DIV))
        return scale(ev, l->h, r->v, op == OP_DIV, out);
    if (!lh && rh && op == OP_MUL)
        return scale(ev, r->h, l->v, false, out);
    if (lh && !rh && is_trim(op)) {
        *out = (struct point){ CELL_HISTOGRAM, 0, histogram_trim(ev, l->h, r->v, op == OP_TRIM_UPPER) };
        return true;
    }
    *bad = true;
    return incompatible(ev, n, l, r);
}

/* ---- vector with scalar ---- */

struct by_scalar {
    struct eval *ev;
    const struct frame *f;
    const struct promql_node *node;
    const double *scalar;
    bool scalar_left, drops;
    struct uniqueness unique;
    column_emit *emit;
    void *arg;
};

static bool scalar_cells(struct by_scalar *b, struct column *c, size_t *cells)
{
    const struct promql_node *n = b->node;
    enum promql_op op = n->u.binary.op;
    bool compare = promql_op_is_comparison(op);
    for (size_t i = 0; i < b->f->n; i++) {
        if (c->kind[i] == CELL_NONE)
            continue;
        struct point own = { c->kind[i], c->v[i], c->kind[i] == CELL_HISTOGRAM ? c->h[i] : NULL };
        struct point other = { CELL_FLOAT, b->scalar[i], NULL }, out;
        bool keep, bad;
        if (!binary_points(b->ev, n, b->scalar_left ? &other : &own, b->scalar_left ? &own : &other, &out, &keep, &bad, NULL))
            return false;
        if (compare && out.kind != CELL_NONE) {
            if (n->u.binary.return_bool)
                out = (struct point){ CELL_FLOAT, keep, NULL };
            else
                out = keep ? own : (struct point){ CELL_NONE, 0, NULL };
        }
        c->kind[i] = (uint8_t)out.kind;
        if (out.kind == CELL_FLOAT)
            memcpy(&c->v[i], &out.v, sizeof out.v);
        else if (out.kind == CELL_HISTOGRAM)
            c->h[i] = out.h;
        *cells += out.kind != CELL_NONE;
    }
    return true;
}

/* Floats and arithmetic: the loop most queries are in. */
static bool plain_cells(const struct by_scalar *b, struct column *c)
{
    enum promql_op op = b->node->u.binary.op;
    if (c->h || promql_op_is_comparison(op) || is_trim(op))
        return false;
    for (size_t i = 0; i < b->f->n; i++)
        c->v[i] = b->scalar_left ? math_op(op, b->scalar[i], c->v[i]) : math_op(op, c->v[i], b->scalar[i]);
    return true;
}

static bool scalar_one(void *arg, struct column *c)
{
    struct by_scalar *b = arg;
    size_t cells = 0;
    if (plain_cells(b, c))
        cells = 1;
    else if (!scalar_cells(b, c, &cells))
        return false;
    if (cells == 0)
        return true;
    if (b->drops)
        column_drop_name(b->ev, c);
    return uniqueness_check(b->ev, &b->unique, c, b->f->n) && b->emit(b->arg, c);
}

bool binary_eval(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    const struct promql_node *l = n->u.binary.l, *r = n->u.binary.r;
    if (l->type == PROMQL_VECTOR && r->type == PROMQL_VECTOR)
        return promql_op_is_set(n->u.binary.op) ? sets_eval(ev, f, n, emit, arg) : matching_eval(ev, f, n, emit, arg);
    enum promql_op op = n->u.binary.op;
    struct by_scalar b = { .ev = ev, .f = f, .node = n, .scalar_left = l->type == PROMQL_SCALAR, .emit = emit, .arg = arg };
    b.drops = n->u.binary.return_bool || !(promql_op_is_comparison(op) || is_trim(op));
    b.unique.armed = b.drops && !ev->delayed && names_may_differ(b.scalar_left ? r : l);
    b.scalar = eval_scalar_new(ev, f, b.scalar_left ? l : r);
    bool ok = b.scalar && eval_vector(ev, f, b.scalar_left ? r : l, scalar_one, &b);
    uniqueness_deinit(&b.unique);
    return ok;
}
