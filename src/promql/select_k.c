/* Aggregations that choose among their inputs: topk, bottomk, limitk, limit_ratio (spec 6). All inputs are held, because
 * which of them survive differs by step.
 *
 * topk keeps per group a heap of k with the worst at its root; NaN is the worst value for both, and among equals the one
 * that came first stays. */
#include "promql/eval_int.h"

#include "base/num.h"

#include <math.h>
#include <stdlib.h>

#include <xxhash.h>

struct chosen {
    double v;
    size_t series; /* order of input */
};
struct k_group {
    struct chosen *heap;
    size_t n, seen;
};
struct choosing {
    struct eval *ev;
    const struct frame *f;
    const struct promql_node *node;
    struct vector in;
    size_t *group_of_series;
    struct k_group *groups;
    size_t groups_count;
    bool bottom;
};

/* a ranks before b. */
static bool better(const struct choosing *z, const struct chosen *a, const struct chosen *b)
{
    if (isnan(a->v) || isnan(b->v))
        return isnan(b->v) && !isnan(a->v) ? true : isnan(a->v) && !isnan(b->v) ? false : a->series < b->series;
    if (a->v != b->v)
        return z->bottom ? a->v < b->v : a->v > b->v;
    return a->series < b->series;
}

static void heap_down(const struct choosing *z, struct chosen *h, size_t n, size_t i)
{
    for (;;) {
        size_t worst = i, l = 2 * i + 1, r = l + 1;
        if (l < n && better(z, &h[worst], &h[l]))
            worst = l;
        if (r < n && better(z, &h[worst], &h[r]))
            worst = r;
        if (worst == i)
            return;
        struct chosen t = h[i];
        h[i] = h[worst];
        h[worst] = t;
        i = worst;
    }
}

static void heap_offer(const struct choosing *z, struct k_group *g, size_t k, struct chosen c)
{
    if (g->n < k) {
        size_t i = g->n++;
        g->heap[i] = c;
        while (i > 0 && better(z, &g->heap[(i - 1) / 2], &g->heap[i])) {
            struct chosen t = g->heap[i];
            g->heap[i] = g->heap[(i - 1) / 2];
            g->heap[(i - 1) / 2] = t;
            i = (i - 1) / 2;
        }
    } else if (better(z, &c, &g->heap[0])) {
        g->heap[0] = c;
        heap_down(z, g->heap, g->n, 0);
    }
}

static bool form_groups(struct choosing *z)
{
    struct eval *ev = z->ev;
    const struct promql_node *n = z->node;
    struct map seen = { 0 };
    bool all = !n->u.aggregate.without && n->u.aggregate.grouping.n == 0;
    z->group_of_series = eval_alloc(ev, z->in.n, sizeof *z->group_of_series);
    if (!z->group_of_series)
        return false;
    for (size_t s = 0; s < z->in.n; s++) {
        struct labels ls = { NULL, 0 };
        if (!all)
            ls = labels_project(ev, z->in.v[s]->labels, &n->u.aggregate.grouping, !n->u.aggregate.without);
        struct str key = labels_bytes(ev, ls);
        uintptr_t g = (uintptr_t)map_get(&seen, key);
        if (!g) {
            g = ++z->groups_count;
            map_put(&seen, key, (void *)g);
        }
        z->group_of_series[s] = g - 1;
    }
    map_deinit(&seen);
    z->groups = eval_alloc(ev, z->groups_count, sizeof *z->groups);
    return z->groups != NULL;
}

/* ---- topk, bottomk, limitk ---- */

static bool check_k(struct eval *ev, const double *k, size_t n, bool *empty)
{
    double max = -F64_INF;
    bool nan = false;
    for (size_t i = 0; i < n; i++) {
        nan |= isnan(k[i]);
        max = k[i] > max ? k[i] : max;
    }
    *empty = !nan && max < 1;
    if (*empty)
        return true;
    for (size_t i = 0; i < n; i++) {
        struct buf b = { 0 };
        num_write_f64(&b, k[i], 'f', 6);
        bool ok = true;
        if (isnan(k[i]))
            ok = eval_fail(ev, "Parameter value is NaN");
        else if (k[i] <= -9223372036854775808.0)
            ok = eval_fail(ev, "Scalar value %.*s underflows int64", STR_ARG(buf_view(&b)));
        else if (k[i] >= 9223372036854774784.0)
            ok = eval_fail(ev, "Scalar value %.*s overflows int64", STR_ARG(buf_view(&b)));
        buf_deinit(&b);
        if (!ok)
            return false;
    }
    return true;
}

static int chosen_order(const void *a, const void *b, void *arg)
{
    const struct choosing *z = arg;
    return better(z, a, b) ? -1 : better(z, b, a) ? 1 : 0;
}

/* Which cells stay: marks[s * steps + i]. For one step the order of the result is by group and rank. */
static bool choose_step(struct choosing *z, size_t i, size_t k, bool limit, bool *ignored, uint8_t **marks, size_t *order,
                        size_t *order_count)
{
    for (size_t g = 0; g < z->groups_count; g++)
        z->groups[g].n = 0;
    for (size_t s = 0; s < z->in.n; s++) {
        const struct column *c = z->in.v[s];
        struct k_group *g = &z->groups[z->group_of_series[s]];
        if (c->kind[i] == CELL_NONE)
            continue;
        if (limit) {
            if (g->n < k)
                g->heap[g->n++] = (struct chosen){ 0, s };
        } else if (c->kind[i] == CELL_HISTOGRAM) {
            *ignored = true;
        } else {
            heap_offer(z, g, k, (struct chosen){ c->v[i], s });
        }
    }
    for (size_t g = 0; g < z->groups_count; g++) {
        struct k_group *grp = &z->groups[g];
        if (order && !limit)
            qsort_r(grp->heap, grp->n, sizeof *grp->heap, chosen_order, z);
        for (size_t x = 0; x < grp->n; x++) {
            marks[grp->heap[x].series][i] = 1;
            if (order)
                order[(*order_count)++] = grp->heap[x].series;
        }
    }
    return true;
}

static bool emit_marked(struct choosing *z, uint8_t **marks, const size_t *order, size_t count, column_emit *emit, void *arg)
{
    struct eval *ev = z->ev;
    size_t n = z->f->n;
    struct vector out = { 0 };
    for (size_t x = 0; x < count; x++) {
        size_t s = order ? order[x] : x;
        struct column *c = z->in.v[s];
        bool any = false;
        for (size_t i = 0; i < n; i++) {
            if (!marks[s][i])
                c->kind[i] = CELL_NONE;
            any |= c->kind[i] != CELL_NONE;
        }
        if (any && !vector_add(ev, &out, c))
            return false;
    }
    for (size_t x = 0; x < out.n; x++)
        if (!eval_count(ev, column_cost(out.v[x], n)))
            return false;
    return emit_vector(ev, n, &out, emit, arg);
}

static bool k_eval(struct choosing *z, const double *param, bool limit, column_emit *emit, void *arg)
{
    struct eval *ev = z->ev;
    size_t n = z->f->n, order_count = 0;
    double most = 0;
    bool ignored = false;
    for (size_t i = 0; i < n; i++)
        most = param[i] > most ? param[i] : most;
    size_t capacity = most >= (double)z->in.n ? z->in.n : (size_t)most;
    size_t *sizes = eval_alloc(ev, z->groups_count, sizeof *sizes);
    uint8_t **marks = eval_alloc(ev, z->in.n, sizeof(uint8_t *));
    size_t *order = n == 1 ? eval_alloc(ev, z->in.n, sizeof *order) : NULL;
    if (!sizes || !marks || (n == 1 && !order))
        return false;
    for (size_t s = 0; s < z->in.n; s++) {
        if (!(marks[s] = eval_alloc(ev, n, 1)))
            return false;
        sizes[z->group_of_series[s]]++;
    }
    for (size_t g = 0; g < z->groups_count; g++) {
        size_t room = sizes[g] < capacity ? sizes[g] : capacity;
        if (!(z->groups[g].heap = eval_alloc(ev, room + 1, sizeof(struct chosen))))
            return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!(param[i] >= 1))
            continue;
        size_t k = param[i] >= (double)z->in.n ? z->in.n : (size_t)param[i];
        if ((i & 63) == 0 && !eval_poll(ev))
            return false;
        choose_step(z, i, k, limit, &ignored, marks, order, &order_count);
    }
    if (ignored)
        note_info(ev, z->node->start, "ignored histogram in %.*s aggregation",
                  STR_ARG(promql_aggregation_text(z->node->u.aggregate.op)));
    return emit_marked(z, marks, order, order ? order_count : z->in.n, emit, arg);
}

/* ---- limit_ratio ---- */

static void hash_part(struct buf *b, struct str s)
{
    if (s.n < 255) {
        buf_byte(b, (char)(unsigned char)s.n);
    } else {
        buf_byte(b, (char)(unsigned char)255);
        for (int shift = 0; shift < 24; shift += 8)
            buf_byte(b, (char)(unsigned char)(s.n >> shift & 0xff));
    }
    buf_str(b, s);
}

static double ratio_hash(struct labels ls, struct buf *b)
{
    buf_reset(b);
    for (size_t i = 0; i < ls.n; i++) {
        hash_part(b, ls.v[i].name);
        hash_part(b, ls.v[i].value);
    }
    return (double)XXH64(b->p ? b->p : "", b->n, 0) / (double)UINT64_MAX;
}

/* NaN is an error; what is outside [-1, 1] is capped, with a warning for the worst of either side. */
static bool check_ratios(struct eval *ev, double *r, size_t n, uint32_t at)
{
    double lo = -1, hi = 1;
    for (size_t i = 0; i < n; i++) {
        if (isnan(r[i]))
            return eval_fail(ev, "Ratio value is NaN");
        lo = r[i] < lo ? r[i] : lo;
        hi = r[i] > hi ? r[i] : hi;
        r[i] = r[i] > 1 ? 1 : r[i] < -1 ? -1 : r[i];
    }
    struct buf b = { 0 };
    if (hi > 1)
        note_warning(ev, at, "ratio value should be between -1 and 1, got %.*s, capping to 1", STR_ARG(note_number(&b, hi)));
    if (lo < -1)
        note_warning(ev, at, "ratio value should be between -1 and 1, got %.*s, capping to -1", STR_ARG(note_number(&b, lo)));
    buf_deinit(&b);
    return true;
}

static bool ratio_eval(struct choosing *z, const double *r, column_emit *emit, void *arg)
{
    struct eval *ev = z->ev;
    size_t n = z->f->n;
    uint8_t **marks = eval_alloc(ev, z->in.n, sizeof(uint8_t *));
    if (!marks)
        return false;
    struct buf b = { 0 };
    bool ok = true;
    for (size_t s = 0; s < z->in.n && ok; s++) {
        double h = ratio_hash(z->in.v[s]->labels, &b);
        ok = (marks[s] = eval_alloc(ev, n, 1)) != NULL;
        for (size_t i = 0; i < n && ok; i++)
            marks[s][i] = r[i] != 0 && ((r[i] >= 0 && h < r[i]) || (r[i] < 0 && h >= 1 + r[i]));
    }
    buf_deinit(&b);
    return ok && emit_marked(z, marks, NULL, z->in.n, emit, arg);
}

bool select_k_eval(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    enum promql_aggregation op = n->u.aggregate.op;
    struct choosing z = { .ev = ev, .f = f, .node = n, .bottom = op == AGG_BOTTOMK };
    size_t before = ev->samples;
    double *param = eval_scalar_new(ev, f, n->u.aggregate.param);
    bool empty = false;
    if (!param)
        return false;
    if (op == AGG_LIMIT_RATIO ? !check_ratios(ev, param, f->n, n->u.aggregate.param->start)
                              : !check_k(ev, param, f->n, &empty))
        return false;
    if (empty)
        return true;
    if (!eval_collect(ev, f, n->u.aggregate.expr, &z.in))
        return false;
    eval_uncount(ev, before);
    if (z.in.n == 0)
        return true;
    if (op == AGG_LIMIT_RATIO)
        return ratio_eval(&z, param, emit, arg);
    return form_groups(&z) && k_eval(&z, param, op == AGG_LIMITK, emit, arg);
}
