/* Vector with vector: matching by signature (spec 5.3) and set operators (5.4).
 *
 * Both sides are collected. The "one" side is indexed by signature; fragments with the same signature share an entry, whose
 * cells say per step which column it is. Then each column of the "many" side is computed over all steps at once.
 *
 * M1  An entry has at most one column per step: two are the error, if the other side has anything at that step.
 * M2  Per entry and step at most one result (one-to-one), or one per result label set (grouping). */
#include "promql/eval_int.h"

#include "base/utf8.h"

#include <stdlib.h>

struct entry {
    struct column **at; /* per step: the "one" side's column; NULL: none */
    uint8_t *matched;   /* per step: a "many" element met it */
    struct labels base; /* matching labels */
    struct map results; /* grouping: result labels -> cells seen */
};
struct matching {
    struct eval *ev;
    const struct frame *f;
    const struct promql_node *node;
    const struct promql_matching *m;
    bool swapped; /* group_right: the left side is the "one" */
    struct vector many, one;
    struct map by_signature;
    struct entry **entries;
    size_t entries_count;
    uint8_t *many_any, *one_any; /* per step */
    struct buf key;
    struct vector out;
};

static struct labels signature_labels(struct matching *z, struct labels ls)
{
    return labels_project(z->ev, ls, &z->m->labels, z->m->on);
}
static struct str signature(struct matching *z, struct labels ls)
{
    return labels_project_bytes(&z->key, ls, &z->m->labels, z->m->on);
}

static void quoted_labels(struct buf *b, struct labels ls)
{
    buf_byte(b, '{');
    for (size_t i = 0; i < ls.n; i++) {
        buf_c(b, i ? ", " : "");
        if (label_name_is_classic(ls.v[i].name))
            buf_str(b, ls.v[i].name);
        else
            go_quote(b, ls.v[i].name);
        buf_byte(b, '=');
        go_quote(b, ls.v[i].value);
    }
    buf_byte(b, '}');
}

static bool duplicate_one(struct matching *z, struct labels sig, struct labels a, struct labels b)
{
    struct buf s = { 0 }, x = { 0 }, y = { 0 };
    quoted_labels(&s, sig);
    quoted_labels(&x, a);
    quoted_labels(&y, b);
    bool swap = str_cmp(buf_view(&x), buf_view(&y)) > 0;
    eval_fail(z->ev,
              "found duplicate series for the match group %.*s on the %s hand-side of the operation: [%.*s, %.*s];many-to-many "
              "matching not allowed: matching labels must be unique on one side",
              STR_ARG(buf_view(&s)), z->swapped ? "left" : "right", STR_ARG(buf_view(swap ? &y : &x)),
              STR_ARG(buf_view(swap ? &x : &y)));
    buf_deinit(&s);
    buf_deinit(&x);
    buf_deinit(&y);
    return false;
}

static uint8_t *any_cells(struct eval *ev, const struct vector *v, size_t n)
{
    uint8_t *any = eval_alloc(ev, n, 1);
    for (size_t k = 0; any && k < v->n; k++)
        for (size_t i = 0; i < n; i++)
            any[i] |= v->v[k]->kind[i];
    return any;
}

static struct entry *entry_get(struct matching *z, struct labels ls, bool create)
{
    struct str key = signature(z, ls);
    struct entry *e = map_get(&z->by_signature, key);
    if (e || !create)
        return e;
    size_t n = z->f->n;
    e = ARENA_NEW(z->ev->a, struct entry);
    e->base = signature_labels(z, ls);
    e->at = eval_alloc(z->ev, n, sizeof(struct column *));
    e->matched = e->at ? eval_alloc(z->ev, n, 1) : NULL;
    if (!e->matched)
        return NULL;
    map_put(&z->by_signature, arena_str(z->ev->a, key), e);
    z->entries[z->entries_count++] = e;
    return e;
}

static bool index_one_side(struct matching *z)
{
    for (size_t k = 0; k < z->one.n; k++) {
        struct column *c = z->one.v[k];
        struct entry *e = entry_get(z, c->labels, true);
        if (!e)
            return false;
        for (size_t i = 0; i < z->f->n; i++) {
            if (c->kind[i] == CELL_NONE)
                continue;
            bool fills = z->m->fill_left || z->m->fill_right;
            if (e->at[i] && (z->many_any[i] || fills))
                return duplicate_one(z, e->base, e->at[i]->labels, c->labels);
            e->at[i] = c;
        }
    }
    return true;
}

static bool keeps_name(const struct promql_node *n)
{
    enum promql_op op = n->u.binary.op;
    return promql_op_is_comparison(op) || op == OP_TRIM_UPPER || op == OP_TRIM_LOWER;
}

/* Labels of a result from the many side's labels and the one side's. */
static struct labels result_labels(struct matching *z, struct labels many, struct labels one)
{
    struct eval *ev = z->ev;
    const struct promql_node *n = z->node;
    struct labels ls = many;
    if (!keeps_name(n) || (n->u.binary.return_bool && !ev->delayed))
        ls = labels_without_name(ev, ls);
    if (z->m->card == CARD_ONE_TO_ONE) {
        if (z->m->on) {
            ls = labels_project(ev, ls, &z->m->labels, true);
        } else {
            for (size_t i = 0; i < z->m->labels.n; i++)
                ls = labels_drop(ev, ls, z->m->labels.v[i]);
        }
    }
    for (size_t i = 0; i < z->m->include.n; i++)
        ls = labels_set(ev, ls, z->m->include.v[i], labels_get(one, z->m->include.v[i]));
    return ls;
}

static bool unique_result(struct matching *z, struct entry *e, size_t i, struct labels ls)
{
    if (z->m->card == CARD_ONE_TO_ONE) {
        if (e->matched[i])
            return eval_fail(z->ev, "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)");
        e->matched[i] = 1;
        return true;
    }
    e->matched[i] = 1;
    struct str key = labels_bytes_buf(&z->key, ls);
    uint8_t *cells = map_get(&e->results, key);
    if (!cells) {
        if (!(cells = eval_alloc(z->ev, z->f->n, 1)))
            return false;
        map_put(&e->results, arena_str(z->ev->a, key), cells);
    }
    if (cells[i])
        return eval_fail(z->ev, "multiple matches for labels: grouping labels must ensure unique matches");
    cells[i] = 1;
    return true;
}

static struct point cell_of(const struct column *c, size_t i)
{
    return (struct point){ c->kind[i], c->v[i], c->kind[i] == CELL_HISTOGRAM ? c->h[i] : NULL };
}

/* One result cell into `out`. */
static bool combine(struct matching *z, size_t i, const struct point *many, const struct point *one, struct column *out,
                    size_t *cells, bool *valid, bool *keep)
{
    const struct promql_node *n = z->node;
    const struct point *l = z->swapped ? one : many, *r = z->swapped ? many : one;
    struct point p;
    bool bad;
    if (!binary_points(z->ev, n, l, r, &p, keep, &bad, NULL))
        return false;
    *valid = !bad && p.kind != CELL_NONE;
    if (!*valid)
        return true;
    if (promql_op_is_comparison(n->u.binary.op)) {
        if (n->u.binary.return_bool)
            p = (struct point){ CELL_FLOAT, *keep, NULL };
        else if (!*keep)
            return true;
    }
    ++*cells;
    if (p.kind == CELL_HISTOGRAM)
        return column_set_histogram(z->ev, out, z->f->n, i, p.h);
    out->kind[i] = CELL_FLOAT;
    memcpy(&out->v[i], &p.v, sizeof p.v);
    return true;
}

static bool keep_result(struct matching *z, struct column *out, struct labels ls, bool marked)
{
    const struct promql_node *n = z->node;
    out->labels = ls;
    out->drop_name = n->u.binary.return_bool ? z->ev->delayed : false;
    (void)marked;
    size_t cost = column_cost(out, z->f->n);
    return eval_count(z->ev, cost) && vector_add(z->ev, &z->out, out);
}

/* A column of the many side against its entry (NULL: it has no partner anywhere). The partner may be another column from one
 * step to the next; where that changes the labels, another result begins. */
static bool many_one(struct matching *z, struct column *c, struct entry *e)
{
    size_t n = z->f->n, cells = 0;
    bool fill = z->m->fill_right;
    double fill_value = z->m->fill_right_value;
    const struct point filled = { CELL_FLOAT, fill_value, NULL };
    const struct column *partner = NULL;
    struct column *out = NULL;
    struct labels ls = { NULL, 0 };
    bool open = false;
    for (size_t i = 0; i < n; i++) {
        if (c->kind[i] == CELL_NONE)
            continue;
        const struct column *one = e ? e->at[i] : NULL;
        if (!one && !fill)
            continue;
        if (!one && !e && !(e = entry_get(z, c->labels, true)))
            return false;
        if (!open || one != partner) {
            struct labels next = result_labels(z, c->labels, one ? one->labels : e->base);
            if (open && !labels_eq(next, ls)) {
                if (cells && !keep_result(z, out, ls, false))
                    return false;
                out = NULL;
                cells = 0;
            }
            ls = next;
            partner = one;
            open = true;
        }
        if (!out && !(out = column_new(z->ev, n)))
            return false;
        struct point many = cell_of(c, i), other = one ? cell_of(one, i) : filled;
        bool valid, keep;
        if (!combine(z, i, &many, &other, out, &cells, &valid, &keep))
            return false;
        if (valid && !unique_result(z, e, i, ls))
            return false;
        if (!valid && e->matched)
            e->matched[i] |= 0;
    }
    return !cells || keep_result(z, out, ls, false);
}

/* What of the one side met nothing, against the fill value of the many side. */
static bool unmatched_ones(struct matching *z)
{
    const struct point filled = { CELL_FLOAT, z->m->fill_left_value, NULL };
    for (size_t k = 0; k < z->entries_count; k++) {
        struct entry *e = z->entries[k];
        struct column *out = NULL;
        size_t cells = 0;
        struct labels ls = { NULL, 0 };
        const struct column *last = NULL;
        for (size_t i = 0; i < z->f->n; i++) {
            const struct column *one = e->at[i];
            if (!one || e->matched[i])
                continue;
            if (one != last) {
                struct labels next = result_labels(z, e->base, one->labels);
                if (last && !labels_eq(next, ls)) {
                    if (cells && !keep_result(z, out, ls, false))
                        return false;
                    out = NULL;
                    cells = 0;
                }
                ls = next;
                last = one;
            }
            if (!out && !(out = column_new(z->ev, z->f->n)))
                return false;
            struct point other = cell_of(one, i);
            bool valid, keep;
            if (!combine(z, i, &filled, &other, out, &cells, &valid, &keep))
                return false;
        }
        if (cells && !keep_result(z, out, ls, false))
            return false;
    }
    return true;
}

static void entries_deinit(struct matching *z)
{
    for (size_t k = 0; k < z->entries_count; k++)
        map_deinit(&z->entries[k]->results);
    map_deinit(&z->by_signature);
    buf_deinit(&z->key);
}

static bool match_all(struct matching *z)
{
    struct eval *ev = z->ev;
    z->many_any = any_cells(ev, &z->many, z->f->n);
    z->entries = eval_alloc(ev, z->many.n + z->one.n, sizeof(struct entry *));
    if (!z->many_any || !z->entries || !index_one_side(z))
        return false;
    for (size_t k = 0; k < z->many.n; k++) {
        if ((k & 255) == 0 && !eval_poll(ev))
            return false;
        struct column *c = z->many.v[k];
        if (!many_one(z, c, entry_get(z, c->labels, false)))
            return false;
    }
    return !z->m->fill_left || unmatched_ones(z);
}

bool matching_eval(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct matching z = { .ev = ev, .f = f, .node = n, .m = &n->u.binary.matching };
    z.swapped = z.m->card == CARD_ONE_TO_MANY;
    size_t before = ev->samples;
    struct vector l = { 0 }, r = { 0 };
    if (!eval_collect(ev, f, n->u.binary.l, &l) || !eval_collect(ev, f, n->u.binary.r, &r))
        return false;
    bool fills = z.m->fill_left || z.m->fill_right;
    if ((l.n == 0 && r.n == 0) || (!fills && (l.n == 0 || r.n == 0))) {
        eval_uncount(ev, before);
        return true;
    }
    z.many = z.swapped ? r : l;
    z.one = z.swapped ? l : r;
    size_t held = ev->samples;
    bool ok = match_all(&z) && (ev->delayed || vector_merge(ev, f->n, &z.out));
    entries_deinit(&z);
    eval_uncount(ev, before + (ev->samples - held));
    return ok && emit_vector(ev, f->n, &z.out, emit, arg);
}

/* ---- and, or, unless ---- */

/* Per signature: at which steps does the side have an element? */
static bool presence(struct matching *z, const struct vector *v, struct map *out)
{
    for (size_t k = 0; k < v->n; k++) {
        const struct column *c = v->v[k];
        struct str key = signature(z, c->labels);
        uint8_t *any = map_get(out, key);
        if (!any) {
            if (!(any = eval_alloc(z->ev, z->f->n, 1)))
                return false;
            map_put(out, arena_str(z->ev->a, key), any);
        }
        for (size_t i = 0; i < z->f->n; i++)
            any[i] |= c->kind[i];
    }
    return true;
}

/* Removes from v what is (wanted: is not) present under its signature; empty columns leave. */
static void filter(struct matching *z, struct vector *v, const struct map *present, bool wanted)
{
    size_t kept = 0;
    for (size_t k = 0; k < v->n; k++) {
        struct column *c = v->v[k];
        const uint8_t *any = map_get(present, signature(z, c->labels));
        size_t cells = 0;
        for (size_t i = 0; i < z->f->n; i++) {
            if ((any && any[i]) != wanted)
                c->kind[i] = CELL_NONE;
            cells += c->kind[i] != CELL_NONE;
        }
        if (cells)
            v->v[kept++] = c;
    }
    v->n = kept;
}

bool sets_eval(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct matching z = { .ev = ev, .f = f, .node = n, .m = &n->u.binary.matching };
    enum promql_op op = n->u.binary.op;
    struct vector l = { 0 }, r = { 0 };
    struct map present = { 0 };
    size_t before = ev->samples;
    bool ok = eval_collect(ev, f, n->u.binary.l, &l) && eval_collect(ev, f, n->u.binary.r, &r) &&
              presence(&z, op == OP_OR ? &l : &r, &present);
    if (ok && op == OP_OR)
        filter(&z, &r, &present, false);
    else if (ok)
        filter(&z, &l, &present, op == OP_AND);
    map_deinit(&present);
    buf_deinit(&z.key);
    if (!ok)
        return false;
    eval_uncount(ev, before);
    for (size_t k = 0; k < l.n; k++)
        if (!eval_count(ev, column_cost(l.v[k], f->n)))
            return false;
    return emit_vector(ev, f->n, &l, emit, arg) && (op != OP_OR || emit_vector(ev, f->n, &r, emit, arg));
}
