/* info(v, {matchers}): labels of info series joined to v's series by instance and job (spec 9.4).
 *
 * v is collected; the info series that can matter are selected once, with instance and job limited to what v has, and indexed
 * by (name, instance, job). Then each series of v is taken step by step; where the labels it gets change, another result
 * begins, so that one input may give several columns that never share a step. */
#include "promql/eval_int.h"

#include "base/num.h"
#include "base/utf8.h"

#define IDENTITY_COUNT 2
static const struct str identity[IDENTITY_COUNT] = { STR_INIT("instance"), STR_INIT("job") };

struct info_series {
    struct labels labels;
    struct str key; /* name, instance, job */
    struct column *values, *times;
};
struct info_call {
    struct eval *ev;
    const struct frame *f;
    const struct promql_node *node;
    struct matcher *names, *data; /* of the second argument, and implied ones */
    size_t names_count, data_count;
    struct vector in, out;
    struct info_series *infos;
    size_t infos_count, infos_capacity;
};

static bool names_accept(const struct info_call *z, struct str name)
{
    for (size_t i = 0; i < z->names_count; i++)
        if (!matcher_matches_value(&z->names[i], name))
            return false;
    return true;
}

static bool split_matchers(struct info_call *z, struct regex **implied)
{
    struct eval *ev = z->ev;
    const struct promql_node *n = z->node;
    const struct matchers *ms = NULL;
    if (n->u.call.args_count > 1)
        ms = &n->u.call.args[1]->u.selector.matchers;
    size_t count = ms ? ms->n : 0;
    bool positive = false;
    z->names = arena_alloc_array(ev->a, count + 2, sizeof *z->names);
    z->data = arena_alloc_array(ev->a, count + 1, sizeof *z->data);
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(ms->v[i].name, STR("__name__"))) {
            z->data[z->data_count++] = ms->v[i];
            continue;
        }
        positive |= ms->v[i].op == MATCH_EQ || ms->v[i].op == MATCH_RE;
        z->names[z->names_count++] = ms->v[i];
    }
    if (z->names_count == 0) {
        z->names[z->names_count++] = (struct matcher){ .op = MATCH_EQ, .name = STR("__name__"), .value = STR("target_info") };
    } else if (!positive) {
        struct matcher m = { .op = MATCH_RE, .name = STR("__name__"), .value = STR(".+_info") };
        struct err err = { 0 };
        m.re = *implied = regex_compile(m.value, REGEX_ANCHORED | REGEX_DOTALL, &err);
        if (!m.re)
            return eval_fail(ev, "%s", err.text);
        z->names[z->names_count++] = m;
    }
    return true;
}

/* The first selector of v decides when info series are looked at. */
struct first_place {
    struct promql_place place;
    int64_t offset;
    bool found;
};
static void find_place(const struct promql_node *n, int64_t offset, struct first_place *out)
{
    if (out->found)
        return;
    if (n->kind == NODE_SELECTOR) {
        out->found = true;
        out->place.at = n->u.selector.place.at;
        out->place.at_ms = n->u.selector.place.at_ms;
        out->place.offset.ms = n->u.selector.place.offset.ms + (n->u.selector.place.at == AT_TIME ? 0 : offset);
        return;
    }
    if (n->kind == NODE_SUBQUERY) {
        const struct promql_place *p = &n->u.subquery.place;
        find_place(n->u.subquery.expr, p->offset.ms + (p->at == AT_TIME ? 0 : offset), out);
        if (out->found && out->place.at != AT_TIME && p->at == AT_TIME) {
            out->place.at = AT_TIME;
            out->place.at_ms = p->at_ms;
        }
        return;
    }
    switch (n->kind) {
    case NODE_MATRIX: find_place(n->u.matrix.selector, offset, out); break;
    case NODE_PAREN: find_place(n->u.paren.expr, offset, out); break;
    case NODE_UNARY: find_place(n->u.unary.expr, offset, out); break;
    case NODE_BINARY:
        find_place(n->u.binary.l, offset, out);
        find_place(n->u.binary.r, offset, out);
        break;
    case NODE_CALL:
        for (size_t i = 0; i < n->u.call.args_count; i++)
            find_place(n->u.call.args[i], offset, out);
        break;
    case NODE_AGGREGATE:
        if (n->u.aggregate.param)
            find_place(n->u.aggregate.param, offset, out);
        find_place(n->u.aggregate.expr, offset, out);
        break;
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_SELECTOR:
    case NODE_SUBQUERY:
    case NODE_DURATION: break;
    }
}

static struct str info_key(struct info_call *z, struct str name, struct labels ls)
{
    struct buf b = { 0 };
    buf_str(&b, name);
    for (size_t i = 0; i < IDENTITY_COUNT; i++) {
        buf_byte(&b, '\xff');
        buf_str(&b, labels_get(ls, identity[i]));
    }
    struct str s = arena_str(z->ev->a, buf_view(&b));
    buf_deinit(&b);
    return s;
}

static bool info_take(void *arg, struct column *c)
{
    struct info_call *z = arg;
    struct eval *ev = z->ev;
    for (size_t i = 0; i < z->f->n; i++) {
        if (c->kind[i] != CELL_HISTOGRAM)
            continue;
        struct buf b = { 0 };
        labels_write_prometheus(&b, c->labels);
        eval_fail(ev, "this should be an info metric, with float samples: %.*s", STR_ARG(buf_view(&b)));
        buf_deinit(&b);
        return false;
    }
    if (z->infos_count == z->infos_capacity) {
        size_t capacity = z->infos_capacity ? z->infos_capacity * 2 : 16;
        struct info_series *v = eval_alloc(ev, capacity, sizeof *v);
        if (!v)
            return false;
        if (z->infos_count)
            memcpy(v, z->infos, z->infos_count * sizeof *v);
        z->infos = v;
        z->infos_capacity = capacity;
    }
    struct info_series *s = &z->infos[z->infos_count++];
    s->labels = c->labels;
    s->key = info_key(z, metric_name(c->labels), c->labels);
    s->values = column_keep(ev, c, z->f->n);
    return s->values != NULL;
}
struct times_take {
    struct info_call *z;
    size_t at;
};
static bool info_take_times(void *arg, struct column *c)
{
    struct times_take *t = arg;
    while (t->at < t->z->infos_count && !labels_eq(t->z->infos[t->at].labels, c->labels))
        t->at++;
    if (t->at == t->z->infos_count)
        return true;
    t->z->infos[t->at].times = column_keep(t->z->ev, c, t->z->f->n);
    return t->z->infos[t->at].times != NULL;
}

static bool identity_pattern(struct info_call *z, struct str name, struct matcher *m, struct regex **re, bool *constrained)
{
    struct buf b = { 0 };
    struct map seen = { 0 };
    bool any = false;
    for (size_t k = 0; k < z->in.n; k++) {
        struct str v = labels_get(z->in.v[k]->labels, name);
        any |= v.n > 0;
        if (map_put(&seen, v, z))
            continue;
        buf_c(&b, seen.count > 1 ? "|" : "");
        for (size_t i = 0; i < v.n; i++) {
            if (!ascii_is_alnum(v.p[i]) && (unsigned char)v.p[i] < 0x80)
                buf_byte(&b, '\\');
            buf_byte(&b, v.p[i]);
        }
    }
    bool ok = true;
    *constrained = any;
    if (any) {
        struct err err = { 0 };
        *m = (struct matcher){ .op = MATCH_RE, .name = name, .value = arena_str(z->ev->a, buf_view(&b)) };
        m->re = *re = regex_compile(m->value, REGEX_ANCHORED | REGEX_DOTALL, &err);
        ok = m->re || eval_fail(z->ev, "%s", err.text);
    }
    map_deinit(&seen);
    buf_deinit(&b);
    return ok;
}

static bool select_infos(struct info_call *z, struct regex **res)
{
    struct eval *ev = z->ev;
    struct promql_node sel = { .kind = NODE_SELECTOR, .type = PROMQL_VECTOR, .start = z->node->start };
    struct first_place place = { 0 };
    find_place(z->node->u.call.args[0], 0, &place);
    struct matcher *v = arena_alloc_array(ev->a, z->names_count + z->data_count + IDENTITY_COUNT, sizeof *v);
    size_t n = 0;
    memcpy(v, z->names, z->names_count * sizeof *v);
    n = z->names_count;
    if (z->data_count)
        memcpy(v + n, z->data, z->data_count * sizeof *v);
    n += z->data_count;
    for (size_t i = 0; i < IDENTITY_COUNT; i++) {
        bool constrained;
        if (!identity_pattern(z, identity[i], &v[n], &res[i], &constrained))
            return false;
        n += constrained;
    }
    sel.u.selector.matchers = (struct matchers){ v, n };
    sel.u.selector.place = place.place;
    if (!eval_vector(ev, z->f, &sel, info_take, z))
        return false;
    struct times_take t = { z, 0 };
    sel.u.selector.with_times = true;
    return eval_vector(ev, z->f, &sel, info_take_times, &t);
}

static bool data_accepts_empty(const struct info_call *z)
{
    for (size_t i = 0; i < z->data_count; i++)
        if (!matcher_matches_value(&z->data[i], STR_EMPTY))
            return false;
    return true;
}

static bool duplicate_info(struct info_call *z, const struct info_series *a, const struct info_series *b, size_t i)
{
    struct buf x = { 0 }, y = { 0 };
    labels_write_prometheus(&x, a->labels);
    labels_write_prometheus(&y, b->labels);
    long long t = (long long)(a->times->v[i] * 1000);
    eval_fail(z->ev, "found duplicate series for info metric: existing %.*s @ %lld, new %.*s @ %lld", STR_ARG(buf_view(&x)), t,
              STR_ARG(buf_view(&y)), t);
    buf_deinit(&x);
    buf_deinit(&y);
    return false;
}

/* Labels of the info series of one name that fits the series at a step. */
static bool add_info(struct info_call *z, const struct info_series *s, struct labels base, struct labels *ls)
{
    for (size_t i = 0; i < s->labels.n; i++) {
        const struct label *l = &s->labels.v[i];
        bool wanted = z->data_count == 0;
        for (size_t k = 0; k < z->data_count; k++)
            wanted |= str_eq(z->data[k].name, l->name);
        if (!wanted || str_eq(l->name, STR("__name__")) || labels_has(base, l->name))
            continue;
        struct str old = labels_get(*ls, l->name);
        if (old.n && !str_eq(old, l->value))
            return eval_fail(z->ev, "conflicting label: %.*s", STR_ARG(l->name));
        *ls = labels_set(z->ev, *ls, l->name, l->value);
    }
    return true;
}

static bool join_step(struct info_call *z, const size_t *candidates, size_t count, struct labels base, size_t i,
                      struct labels *ls, bool *matched)
{
    *ls = base;
    *matched = false;
    for (size_t k = 0; k < count; k++) {
        const struct info_series *s = &z->infos[candidates[k]];
        if (s->values->kind[i] == CELL_NONE)
            continue;
        bool beaten = false;
        for (size_t m = 0; m < count && !beaten; m++) {
            const struct info_series *o = &z->infos[candidates[m]];
            if (m == k || o->values->kind[i] == CELL_NONE || !str_eq(o->key, s->key))
                continue;
            if (o->times->v[i] == s->times->v[i])
                return duplicate_info(z, m < k ? o : s, m < k ? s : o, i);
            beaten = o->times->v[i] > s->times->v[i];
        }
        if (beaten)
            continue;
        *matched = true;
        if (!add_info(z, s, base, ls))
            return false;
    }
    return true;
}

static bool join_series(struct info_call *z, struct column *c)
{
    struct eval *ev = z->ev;
    size_t n = z->f->n, count = 0;
    size_t *candidates = eval_alloc(ev, z->infos_count, sizeof *candidates);
    if (!candidates)
        return false;
    for (size_t k = 0; k < z->infos_count; k++)
        if (str_eq(info_key(z, metric_name(z->infos[k].labels), c->labels), z->infos[k].key))
            candidates[count++] = k;
    bool keep_unmatched = data_accepts_empty(z);
    struct column *out = NULL;
    struct vector parts = { 0 };
    for (size_t i = 0; i < n; i++) {
        if (c->kind[i] == CELL_NONE)
            continue;
        struct labels ls;
        bool matched;
        if (!join_step(z, candidates, count, c->labels, i, &ls, &matched))
            return false;
        if (!matched && !keep_unmatched)
            continue;
        if (!out || !labels_eq(out->labels, ls)) {
            out = NULL;
            for (size_t k = 0; k < parts.n && !out; k++)
                if (labels_eq(parts.v[k]->labels, ls))
                    out = parts.v[k];
            if (!out) {
                if (!(out = column_new(ev, n)) || !vector_add(ev, &parts, out))
                    return false;
                out->labels = ls;
                out->drop_name = c->drop_name;
            }
        }
        if (c->kind[i] == CELL_FLOAT)
            column_set(out, i, c->v[i]);
        else if (!column_set_histogram(ev, out, n, i, c->h[i]))
            return false;
    }
    for (size_t k = 0; k < parts.n; k++)
        if (!vector_add(ev, &z->out, parts.v[k]))
            return false;
    return true;
}

bool fn_info(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct info_call z = { .ev = ev, .f = f, .node = n };
    struct regex *res[IDENTITY_COUNT + 1] = { NULL };
    size_t before = ev->samples;
    bool ok = split_matchers(&z, &res[IDENTITY_COUNT]) && eval_collect(ev, f, n->u.call.args[0], &z.in);
    bool identified = false;
    for (size_t k = 0; ok && k < z.in.n; k++)
        for (size_t i = 0; i < IDENTITY_COUNT; i++)
            identified |= labels_has(z.in.v[k]->labels, identity[i]);
    if (ok && identified)
        ok = select_infos(&z, res);
    for (size_t k = 0; k < z.in.n && ok; k++) {
        struct column *c = z.in.v[k];
        ok = eval_poll(ev) && (names_accept(&z, metric_name(c->labels)) ? vector_add(ev, &z.out, c) : join_series(&z, c));
    }
    for (size_t i = 0; i < ARRAY_LEN(res); i++)
        regex_release(res[i]);
    eval_uncount(ev, before);
    if (!ok)
        return false;
    for (size_t k = 0; k < z.out.n; k++)
        if (!eval_count(ev, column_cost(z.out.v[k], f->n)))
            return false;
    return vector_merge(ev, f->n, &z.out) && emit_vector(ev, f->n, &z.out, emit, arg);
}
