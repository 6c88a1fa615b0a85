/* Which routes an alert goes to: depth first, children in order, on after a match only if that child continues; a node
 * without a matching child stands for itself (spec/alertmanager.md 4.2).
 *
 * The children of a node are tried in order, but only those that can match: the plain ones, and those whose exact matcher
 * is met, found by one lookup per label name that children are indexed by.
 *
 * A router remembers the answer of each expression for each value (VALUES_MAX of them, then it starts over), and keeps
 * one copy of each distinct answer of the tree. */
#include "dispatch/route_int.h"

#include "base/map.h"
#include "base/mem.h"

static const size_t VALUES_MAX = 8192;

struct regex_memo {
    struct map values; /* value -> the two addresses below */
    struct arena texts;
};
struct router {
    atomic_uint refs;
    struct route_tree *tree;
    struct regex_memo *memos;
    struct map sets; /* bytes of the indexes -> struct route_set */
    uint32_t *scratch;
};
struct walk {
    const struct route_tree *tree;
    struct router *router; /* NULL: nothing is remembered */
    struct labels ls;
    uint32_t *out;
    size_t n, max;
};

static const char answer_yes, answer_no;

static bool memo_match(struct regex_memo *memo, const struct regex *re, struct str value)
{
    void *known = map_get(&memo->values, value);
    if (!known) {
        known = (void *)(uintptr_t)(regex_match(re, value) ? &answer_yes : &answer_no);
        if (memo->values.count >= VALUES_MAX) {
            map_reset(&memo->values);
            arena_reset(&memo->texts);
        }
        map_put(&memo->values, arena_str(&memo->texts, value), known);
    }
    return known == &answer_yes;
}

static bool node_matches(const struct walk *w, const struct route_node *node)
{
    const struct matchers *ms = &node->route.matchers;
    for (size_t i = 0; i < ms->n; i++) {
        const struct matcher *m = &ms->v[i];
        struct str value = labels_get(w->ls, m->name);
        bool matches;
        if (w->router && node->regexes[i] != NO_REGEX)
            matches = memo_match(&w->router->memos[node->regexes[i]], m->re, value) == (m->op == MATCH_RE);
        else
            matches = matcher_matches_value(m, value);
        if (!matches)
            return false;
    }
    return true;
}

static void walk_node(struct walk *w, const struct route_node *node);

/* False: the walk over the siblings ends here. */
static bool try_child(struct walk *w, uint32_t child, bool *any)
{
    const struct route_node *node = &w->tree->v[child];
    if (!node_matches(w, node))
        return true;
    *any = true;
    walk_node(w, node);
    return node->route.continues;
}

/* The first reference under this hash to a child not before `from`. */
static size_t first_ref(const struct child_index *x, uint64_t hash, uint32_t from)
{
    size_t lo = 0, hi = x->refs_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct child_ref *ref = &x->refs[mid];
        if (ref->hash < hash || (ref->hash == hash && ref->child < from))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The first child not before `from` that may match, or UINT32_MAX. */
static uint32_t next_candidate(const struct walk *w, const struct child_index *x, uint32_t from, size_t *plain)
{
    uint32_t best = UINT32_MAX;
    while (*plain < x->plain_count && x->plain[*plain] < from)
        ++*plain;
    if (*plain < x->plain_count)
        best = x->plain[*plain];
    for (size_t i = 0; i < x->names_count; i++) {
        struct str value = labels_get(w->ls, x->names[i]);
        if (value.n == 0)
            continue;
        uint64_t hash = route_child_hash(x->names[i], value);
        size_t k = first_ref(x, hash, from);
        if (k < x->refs_count && x->refs[k].hash == hash && x->refs[k].child < best)
            best = x->refs[k].child;
    }
    return best;
}

static void walk_node(struct walk *w, const struct route_node *node)
{
    const struct child_index *x = &node->index;
    bool any = false, more = true;
    if (x->refs_count == 0) {
        for (size_t i = 0; more && i < x->plain_count; i++)
            more = try_child(w, x->plain[i], &any);
    } else {
        uint32_t at = 0;
        size_t plain = 0;
        while (more && (at = next_candidate(w, x, at, &plain)) != UINT32_MAX) {
            more = try_child(w, at, &any);
            at++;
        }
    }
    if (any)
        return;
    if (w->n < w->max)
        w->out[w->n] = node->route.index;
    w->n++;
}

size_t route_tree_match(const struct route_tree *t, struct labels ls, uint32_t *out, size_t max)
{
    struct walk w = { .tree = t, .ls = ls, .out = out, .max = max };
    if (node_matches(&w, &t->v[0]))
        walk_node(&w, &t->v[0]);
    return w.n;
}

/* ---- Router ---- */

struct router *router_new(struct route_tree *t)
{
    struct router *r = MEM_NEW(struct router);
    atomic_init(&r->refs, 1);
    r->tree = route_tree_retain(t);
    r->memos = mem_alloc_array(t->regexes_count, sizeof *r->memos);
    for (size_t i = 0; i < t->regexes_count; i++)
        arena_init(&r->memos[i].texts, ARENA_NO_LIMIT);
    r->scratch = mem_alloc_array(t->n, sizeof *r->scratch);
    return r;
}

struct router *router_retain(struct router *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void router_release(struct router *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < r->tree->regexes_count; i++) {
        map_deinit(&r->memos[i].values);
        arena_deinit(&r->memos[i].texts);
    }
    mem_free(r->memos);
    mem_free(r->scratch);
    struct route_set *s;
    for (size_t i = 0; (s = map_next(&r->sets, &i)) != NULL;)
        mem_free(s);
    map_deinit(&r->sets);
    route_tree_release(r->tree);
    mem_free(r);
}

const struct route_set *router_match(struct router *r, struct labels ls)
{
    struct walk w = { .tree = r->tree, .router = r, .ls = ls, .out = r->scratch, .max = r->tree->n };
    if (node_matches(&w, &r->tree->v[0]))
        walk_node(&w, &r->tree->v[0]);
    ASSERT(w.n <= w.max); /* a route is reached by one path */
    struct str key = { (const char *)r->scratch, w.n * sizeof *r->scratch };
    struct route_set *s = map_get(&r->sets, key);
    if (s)
        return s;
    s = mem_alloc(sizeof *s + key.n);
    s->n = w.n;
    if (key.n)
        memcpy(s->v, key.p, key.n);
    map_put(&r->sets, str_of((const char *)s->v, key.n), s);
    return s;
}
