/* Functions on labels, and sorting: label_replace, label_join, sort, sort_by_label (spec 9.1, 9.3). */
#include "promql/eval_int.h"

#include <math.h>
#include <stdlib.h>

/* ---- label_replace, label_join ---- */

struct relabeling {
    struct eval *ev;
    size_t n;
    struct str dst;
    struct regex *re; /* label_replace */
    struct str src, replacement;
    const struct promql_node *call; /* label_join */
    struct vector out;
};

static bool relabel_keep(struct relabeling *r, struct column *c, struct str value)
{
    struct eval *ev = r->ev;
    c->labels = labels_set(ev, c->labels, r->dst, arena_str(ev->a, value));
    if (str_eq(r->dst, STR("__name__")))
        c->drop_name = false;
    return vector_add(ev, &r->out, column_keep(ev, c, r->n));
}

#define GROUPS_MAX 64
static bool replace_one(void *arg, struct column *c)
{
    struct relabeling *r = arg;
    struct str groups[GROUPS_MAX];
    size_t count = regex_groups_count(r->re);
    struct str value = labels_get(c->labels, r->src);
    count = count > GROUPS_MAX ? GROUPS_MAX : count;
    if (!regex_find(r->re, value, 0, groups, count))
        return vector_add(r->ev, &r->out, column_keep(r->ev, c, r->n));
    struct buf b = { 0 };
    regex_expand(r->re, r->replacement, groups, count, &b);
    bool ok = relabel_keep(r, c, buf_view(&b));
    buf_deinit(&b);
    return ok;
}

static bool join_one(void *arg, struct column *c)
{
    struct relabeling *r = arg;
    struct buf b = { 0 };
    struct str separator = string_arg(r->call, 2);
    for (size_t i = 3; i < r->call->u.call.args_count; i++) {
        if (i > 3)
            buf_str(&b, separator);
        buf_str(&b, labels_get(c->labels, string_arg(r->call, i)));
    }
    bool ok = relabel_keep(r, c, buf_view(&b));
    buf_deinit(&b);
    return ok;
}

static bool relabel_run(struct relabeling *r, const struct frame *f, const struct promql_node *operand, column_emit *one,
                        column_emit *emit, void *arg)
{
    return eval_vector(r->ev, f, operand, one, r) && vector_merge(r->ev, f->n, &r->out) &&
           emit_vector(r->ev, f->n, &r->out, emit, arg);
}

bool fn_label_replace(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct relabeling r = { .ev = ev, .n = f->n, .dst = string_arg(n, 1), .replacement = string_arg(n, 2), .src = string_arg(n, 3) };
    struct str text = string_arg(n, 4);
    struct err err = { 0 };
    r.re = regex_compile(text, REGEX_ANCHORED | REGEX_DOTALL, &err);
    if (!r.re)
        return eval_fail(ev, "invalid regular expression in label_replace(): %.*s", STR_ARG(text));
    bool ok = label_name_is_utf8(r.dst) ||
              eval_fail(ev, "invalid destination label name in label_replace(): %.*s", STR_ARG(r.dst));
    ok = ok && relabel_run(&r, f, n->u.call.args[0], replace_one, emit, arg);
    regex_release(r.re);
    return ok;
}

bool fn_label_join(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct relabeling r = { .ev = ev, .n = f->n, .dst = string_arg(n, 1), .call = n };
    for (size_t i = 3; i < n->u.call.args_count; i++)
        if (!label_name_is_utf8(string_arg(n, i)))
            return eval_fail(ev, "invalid source label name in label_join(): %.*s", STR_ARG(string_arg(n, i)));
    if (!label_name_is_utf8(r.dst))
        return eval_fail(ev, "invalid destination label name in label_join(): %.*s", STR_ARG(r.dst));
    return relabel_run(&r, f, n->u.call.args[0], join_one, emit, arg);
}

/* ---- sorting ---- */

struct sorting {
    bool descending;
    const struct promql_node *call;
};

static int by_value(const void *a, const void *b, void *arg)
{
    const struct sorting *s = arg;
    double x = (*(struct column *const *)a)->v[0], y = (*(struct column *const *)b)->v[0];
    if (isnan(x) || isnan(y))
        return isnan(x) && isnan(y) ? 0 : isnan(x) ? 1 : -1;
    int order = x < y ? -1 : x > y;
    return s->descending ? -order : order;
}

static size_t run_length(struct str s, bool *digits)
{
    size_t n = 0;
    *digits = s.n && ascii_is_digit(s.p[0]);
    while (n < s.n && ascii_is_digit(s.p[n]) == *digits)
        n++;
    return n;
}
static int natural_cmp(struct str a, struct str b)
{
    while (a.n && b.n) {
        bool da, db;
        size_t na = run_length(a, &da), nb = run_length(b, &db);
        struct str x = str_of(a.p, na), y = str_of(b.p, nb);
        int order;
        if (da && db) {
            struct str p = x, q = y;
            while (p.n > 1 && p.p[0] == '0')
                p = str_from(p, 1);
            while (q.n > 1 && q.p[0] == '0')
                q = str_from(q, 1);
            order = p.n != q.n ? (p.n < q.n ? -1 : 1) : str_cmp(p, q);
        } else {
            order = str_cmp(x, y);
        }
        if (order)
            return order;
        a = str_from(a, na);
        b = str_from(b, nb);
    }
    return a.n ? 1 : b.n ? -1 : 0;
}
static int by_label(const void *a, const void *b, void *arg)
{
    const struct sorting *s = arg;
    struct labels x = (*(struct column *const *)a)->labels, y = (*(struct column *const *)b)->labels;
    int order = 0;
    for (size_t i = 1; i < s->call->u.call.args_count && !order; i++) {
        struct str name = string_arg(s->call, i);
        struct str p = labels_get(x, name), q = labels_get(y, name);
        order = str_eq(p, q) ? 0 : natural_cmp(p, q);
    }
    if (!order)
        order = labels_cmp_prometheus(x, y);
    return s->descending ? -order : order;
}

/* Equal elements keep their order: qsort_r of glibc merges, which is stable, but says so nowhere. */
static void stable_sort(struct column **v, struct column **scratch, size_t n, int (*cmp)(const void *, const void *, void *), void *arg)
{
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t mid = lo + width < n ? lo + width : n, hi = lo + 2 * width < n ? lo + 2 * width : n;
            for (size_t i = lo, k = mid, at = lo; at < hi; at++)
                scratch[at] = k >= hi || (i < mid && cmp(&v[i], &v[k], arg) <= 0) ? v[i++] : v[k++];
        }
        memcpy(v, scratch, n * sizeof(struct column *));
    }
}

static bool sort_run(struct eval *ev, const struct frame *f, const struct promql_node *n,
                     int (*cmp)(const void *, const void *, void *), bool floats_only, column_emit *emit, void *arg)
{
    struct sorting s = { .call = n, .descending = str_ends(str_c(n->u.call.fn->name), STR("_desc")) };
    struct vector vec = { 0 };
    if (!eval_collect(ev, f, n->u.call.args[0], &vec))
        return false;
    if (ev->run->is_range)
        note_warning(ev, n->start, "sort is ineffective for range queries since results are always ordered by labels");
    size_t kept = 0;
    for (size_t k = 0; k < vec.n; k++) {
        struct column *c = vec.v[k];
        for (size_t i = 0; i < f->n && floats_only; i++)
            if (c->kind[i] == CELL_HISTOGRAM)
                c->kind[i] = CELL_NONE;
        if (column_cells(c, f->n))
            vec.v[kept++] = c;
    }
    vec.n = kept;
    if (f->n == 1 && !ev->run->is_range) {
        struct column **scratch = eval_alloc(ev, vec.n, sizeof(struct column *));
        if (!scratch)
            return false;
        stable_sort(vec.v, scratch, vec.n, cmp, &s);
    }
    return emit_vector(ev, f->n, &vec, emit, arg);
}
bool fn_sort(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    return sort_run(ev, f, n, by_value, true, emit, arg);
}
bool fn_sort_by_label(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    return sort_run(ev, f, n, by_label, false, emit, arg);
}
