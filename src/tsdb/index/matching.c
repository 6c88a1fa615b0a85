/* From matchers to postings, by the table of docs/internals (upstream: tsdb/querier.go).
 *
 * A matcher "matches empty" if it accepts "". A label must be set if any matcher on it rejects "". Matchers that reject ""
 * give lists to intersect; those that accept it on a label that need not be set give lists to subtract, because series
 * without the label count too. Only subtracting matchers: start from all series. */
#include "tsdb/index/postings_int.h"

struct plan {
    struct postings_source *source;
    struct arena *arena;
    struct postings **take, **drop;
    size_t take_n, drop_n;
};

static bool wanted(const void *arg, struct str value)
{
    return matcher_matches_value(arg, value);
}
static bool unwanted(const void *arg, struct str value)
{
    return !matcher_matches_value(arg, value);
}

static struct postings *union_of_values(struct plan *p, struct str name, struct str prefix, value_wanted *want,
                                        const struct matcher *m, struct err *err)
{
    struct value_list list = { .arena = p->arena };
    if (!p->source->ops->values(p->source, name, prefix, want, m, &list, err))
        return NULL;
    return postings_union(p->arena, list.v, list.n, err);
}

static struct postings *union_of_literals(struct plan *p, const struct matcher *m, const struct str *v, size_t n,
                                          struct err *err)
{
    struct value_list list = { .arena = p->arena };
    for (size_t i = 0; i < n; i++) {
        /* A set may name a value twice; the second time its list would be the same object's twin, which is harmless. */
        if (v[i].n && !value_list_add(&list, p->source->ops->equal(p->source, p->arena, m->name, v[i], err), err))
            return NULL;
    }
    return postings_union(p->arena, list.v, list.n, err);
}

/* Series whose value the positive form of the matcher (= or =~) accepts, the label being there. */
static struct postings *positive(struct plan *p, const struct matcher *m, struct err *err)
{
    if (m->op == MATCH_EQ || m->op == MATCH_NE)
        return p->source->ops->equal(p->source, p->arena, m->name, m->value, err);
    const struct str *literals;
    size_t n = regex_literals(m->re, &literals);
    if (n)
        return union_of_literals(p, m, literals, n, err);
    /* wanted() answers for the operator as given; for !~ the positive form is its opposite. */
    return union_of_values(p, m->name, regex_prefix(m->re), m->op == MATCH_RE ? wanted : unwanted, m, err);
}

/* Series that have the label with a value that the matcher as given does not accept. */
static struct postings *rejected(struct plan *p, const struct matcher *m, struct err *err)
{
    if (m->op == MATCH_NE || m->op == MATCH_NRE)
        return positive(p, m, err);
    return union_of_values(p, m->name, STR_EMPTY, unwanted, m, err);
}

/* Series that have the label with a value that the matcher accepts, for matchers that reject "". */
static struct postings *accepted(struct plan *p, const struct matcher *m, struct err *err)
{
    if (m->op == MATCH_EQ || m->op == MATCH_RE)
        return positive(p, m, err);
    return union_of_values(p, m->name, STR_EMPTY, wanted, m, err);
}

static bool must_be_set(const struct matchers *ms, struct str name)
{
    for (size_t i = 0; i < ms->n; i++) {
        if (str_eq(ms->v[i].name, name) && !matcher_matches_value(&ms->v[i], STR_EMPTY))
            return true;
    }
    return false;
}

static bool is_regex(const struct matcher *m, enum match_op op, struct str text)
{
    return m->op == op && str_eq(m->value, text);
}

/* Adds what the matcher contributes. *nothing: no series can match. */
static bool plan_matcher(struct plan *p, const struct matchers *ms, const struct matcher *m, bool *nothing,
                         struct err *err)
{
    struct postings *list;
    bool take;
    if (is_regex(m, MATCH_RE, STR(".*")))
        return true;
    if (is_regex(m, MATCH_NRE, STR(".*"))) {
        *nothing = true;
        return true;
    }
    if (is_regex(m, MATCH_RE, STR(".+")) || is_regex(m, MATCH_NRE, STR(".+"))) {
        take = m->op == MATCH_RE;
        list = union_of_values(p, m->name, STR_EMPTY, NULL, NULL, err);
    } else if (must_be_set(ms, m->name)) {
        bool negative = m->op == MATCH_NE || m->op == MATCH_NRE;
        take = !negative || !matcher_matches_value(m, STR_EMPTY);
        list = !take ? rejected(p, m, err) : negative ? accepted(p, m, err) : positive(p, m, err);
    } else {
        take = false;
        list = rejected(p, m, err);
    }
    if (!list)
        return false;
    if (take && list->kind == POSTINGS_EMPTY)
        *nothing = true;
    if (take)
        p->take[p->take_n++] = list;
    else
        p->drop[p->drop_n++] = list;
    return true;
}

struct postings *postings_for_matchers(struct postings_source *s, struct arena *a, const struct matchers *ms,
                                       struct err *err)
{
    struct plan p = { .source = s, .arena = a };
    bool nothing = false;
    p.take = arena_alloc_array(a, ms->n + 1, sizeof(struct postings *));
    p.drop = arena_alloc_array(a, ms->n + 1, sizeof(struct postings *));
    /* Equalities first: they are cheap, and an empty one ends it. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < ms->n; i++) {
            const struct matcher *m = &ms->v[i];
            if ((m->op == MATCH_EQ && m->value.n > 0) != (pass == 0))
                continue;
            if (!plan_matcher(&p, ms, m, &nothing, err))
                return NULL;
            if (nothing)
                return postings_empty(a);
        }
    }
    if (p.take_n == 0) {
        p.take[0] = s->ops->all(s, a, err);
        if (!p.take[0])
            return NULL;
        p.take_n = 1;
    }
    struct postings *out = postings_and(a, p.take, p.take_n);
    for (size_t i = 0; i < p.drop_n; i++)
        out = postings_without(a, out, p.drop[i]);
    return out;
}
