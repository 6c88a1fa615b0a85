/* Compiling the routing tree.
 *
 * R1  Routes are numbered in preorder: a parent before its children, children in order, so the matches of an alert come
 *     out in rising order.
 * R2  Everything a route shows lives in the tree's arena, regexes (counted) and time intervals (borrowed) apart.
 * R3  Depth is bounded by the YAML parser's YAML_DEPTH_MAX: recursion over the tree is safe. */
#include "dispatch/route_int.h"

#include "base/map.h"
#include "base/mem.h"
#include "dispatch/route_config.h"

#include <stdlib.h>

static const int64_t GROUP_WAIT_MS = 30 * 1000, GROUP_INTERVAL_MS = 5 * 60 * 1000, REPEAT_INTERVAL_MS = 4 * 3600 * 1000;
static const size_t INDEX_CHILDREN_MIN = 8; /* fewer are tried one by one */

struct compiler {
    struct route_tree *tree;
    const struct route_env *env;
    size_t next;
    struct map regexes;      /* text of an expression -> its number + 1, as a pointer */
    struct map windows, receivers;
    struct buf text;
    struct err *err;
};

static size_t count_routes(const struct route_config *c)
{
    size_t n = 1;
    for (size_t i = 0; i < c->routes_count && n <= ROUTES_MAX; i++)
        n += count_routes(&c->routes[i]);
    return n;
}

/* ---- One route ---- */

static int compare_strs(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void set_group_by(struct compiler *c, struct route *r, const struct route_config *rc)
{
    if (rc->group_by_all) {
        r->group_by_all = true;
        return;
    }
    if (!rc->group_by.v)
        return;
    struct str *v = arena_alloc_array(&c->tree->arena, rc->group_by_labels_count, sizeof *v);
    for (size_t i = 0; i < rc->group_by_labels_count; i++)
        v[i] = arena_str(&c->tree->arena, rc->group_by_labels[i]);
    if (rc->group_by_labels_count > 1)
        qsort(v, rc->group_by_labels_count, sizeof *v, compare_strs);
    r->group_by = v;
    r->group_by_count = rc->group_by_labels_count;
    r->group_by_all = false;
}

/* The parent's labels with the route's own over them; both sorted by name. */
static struct labels merge_labels(struct arena *a, struct labels parent, struct labels own)
{
    if (own.n == 0)
        return parent;
    struct label *v = arena_alloc_array(a, parent.n + own.n, sizeof *v);
    size_t n = 0, i = 0, k = 0;
    while (i < parent.n || k < own.n) {
        int order = i == parent.n ? 1 : k == own.n ? -1 : str_cmp(parent.v[i].name, own.v[k].name);
        if (order < 0) {
            v[n++] = parent.v[i++];
            continue;
        }
        i += order == 0;
        v[n++] = (struct label){ arena_str(a, own.v[k].name), arena_str(a, own.v[k].value) };
        k++;
    }
    return (struct labels){ v, n };
}

static bool set_windows(struct compiler *c, const struct str_list *names, const struct notify_window **out,
                        size_t *count)
{
    if (names->n == 0 || !c->env->windows)
        return true;
    struct notify_window *v = arena_alloc_array(&c->tree->arena, names->n, sizeof *v);
    for (size_t i = 0; i < names->n; i++) {
        const struct notify_window *w = map_get(&c->windows, names->v[i]);
        if (!w)
            return err_set(c->err, ERR_INVALID, "undefined time interval \"%.*s\" used in route",
                           STR_ARG(names->v[i]));
        v[i] = *w;
        v[i].name = arena_str(&c->tree->arena, w->name);
    }
    *out = v;
    *count = names->n;
    return true;
}

static bool set_receiver(struct compiler *c, struct route *r)
{
    if (!c->env->receivers)
        return true;
    const struct notify_receiver *found = map_get(&c->receivers, r->receiver);
    if (!found)
        return err_set(c->err, ERR_INVALID, "undefined receiver \"%.*s\" used in route", STR_ARG(r->receiver));
    r->receiver_index = (size_t)(found - c->env->receivers);
    return true;
}

static void set_matchers(struct compiler *c, struct route_node *node, const struct matchers *ms)
{
    struct arena *a = &c->tree->arena;
    struct matcher *v = arena_alloc_array(a, ms->n, sizeof *v);
    uint32_t *regexes = arena_alloc_array(a, ms->n, sizeof *regexes);
    for (size_t i = 0; i < ms->n; i++) {
        v[i] = (struct matcher){ ms->v[i].op, arena_str(a, ms->v[i].name), arena_str(a, ms->v[i].value), NULL };
        regexes[i] = NO_REGEX;
        if (!ms->v[i].re)
            continue;
        v[i].re = regex_retain(ms->v[i].re);
        uintptr_t number = (uintptr_t)map_get(&c->regexes, v[i].value);
        if (!number) {
            number = ++c->tree->regexes_count;
            map_put(&c->regexes, v[i].value, (void *)number);
        }
        regexes[i] = (uint32_t)(number - 1);
    }
    node->route.matchers = (struct matchers){ v, ms->n };
    node->regexes = regexes;
}

static struct str text_done(struct compiler *c)
{
    struct str s = arena_str(&c->tree->arena, buf_view(&c->text));
    buf_reset(&c->text);
    return s;
}

static void set_names(struct compiler *c, struct route *r, size_t sibling)
{
    if (r->parent) {
        buf_str(&c->text, r->parent->key);
        buf_byte(&c->text, '/');
    }
    matchers_write(&c->text, &r->matchers);
    r->key = text_done(c);
    if (!r->parent) {
        r->id = r->key;
        return;
    }
    buf_str(&c->text, r->parent->id);
    buf_byte(&c->text, '/');
    matchers_write(&c->text, &r->matchers);
    buf_byte(&c->text, '/');
    buf_u64(&c->text, sibling);
    r->id = text_done(c);
}

static void inherit(struct route *r, const struct route *parent)
{
    if (!parent) {
        r->group_wait_ms = GROUP_WAIT_MS;
        r->group_interval_ms = GROUP_INTERVAL_MS;
        r->repeat_interval_ms = REPEAT_INTERVAL_MS;
        return;
    }
    r->parent = parent;
    r->depth = parent->depth + 1;
    r->receiver = parent->receiver;
    r->group_by = parent->group_by;
    r->group_by_count = parent->group_by_count;
    r->group_by_all = parent->group_by_all;
    r->group_wait_ms = parent->group_wait_ms;
    r->group_interval_ms = parent->group_interval_ms;
    r->repeat_interval_ms = parent->repeat_interval_ms;
    r->labels = parent->labels;
}

/* ---- Children ---- */

uint64_t route_child_hash(struct str name, struct str value)
{
    return str_hash(value, str_hash(name, 0));
}

static const struct matcher *exact_matcher(const struct route *r)
{
    for (size_t i = 0; i < r->matchers.n; i++)
        if (r->matchers.v[i].op == MATCH_EQ && r->matchers.v[i].value.n)
            return &r->matchers.v[i];
    return NULL;
}

static int compare_refs(const void *a, const void *b)
{
    const struct child_ref *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->child < y->child ? -1 : x->child > y->child;
}

static void index_children(struct compiler *c, struct route_node *node)
{
    struct arena *a = &c->tree->arena;
    size_t n = node->route.children_count;
    struct child_index *x = &node->index;
    if (n < INDEX_CHILDREN_MIN) {
        x->plain = node->route.children;
        x->plain_count = n;
        return;
    }
    struct child_ref *refs = arena_alloc_array(a, n, sizeof *refs);
    uint32_t *plain = arena_alloc_array(a, n, sizeof *plain);
    struct str *names = arena_alloc_array(a, n, sizeof *names);
    struct map seen = { 0 };
    for (size_t i = 0; i < n; i++) {
        uint32_t child = node->route.children[i];
        const struct matcher *m = exact_matcher(&c->tree->v[child].route);
        if (!m) {
            plain[x->plain_count++] = child;
            continue;
        }
        refs[x->refs_count++] = (struct child_ref){ route_child_hash(m->name, m->value), child };
        if (!map_get(&seen, m->name)) {
            map_put(&seen, m->name, node);
            names[x->names_count++] = m->name;
        }
    }
    map_deinit(&seen);
    qsort(refs, x->refs_count, sizeof *refs, compare_refs);
    x->refs = refs;
    x->plain = plain;
    x->names = names;
}

static bool compile(struct compiler *c, const struct route_config *rc, const struct route *parent, size_t sibling,
                    uint32_t *index)
{
    struct route_node *node = &c->tree->v[c->next];
    struct route *r = &node->route;
    r->index = *index = u32_from_size(c->next++);
    inherit(r, parent);
    if (rc->receiver.n)
        r->receiver = arena_str(&c->tree->arena, rc->receiver);
    set_group_by(c, r, rc);
    set_matchers(c, node, &rc->all_matchers);
    set_names(c, r, sibling);
    r->labels = merge_labels(&c->tree->arena, r->labels, rc->labels);
    r->continues = rc->continues;
    r->group_wait_ms = rc->group_wait.set ? rc->group_wait.v : r->group_wait_ms;
    r->group_interval_ms = rc->group_interval.set ? rc->group_interval.v : r->group_interval_ms;
    r->repeat_interval_ms = rc->repeat_interval.set ? rc->repeat_interval.v : r->repeat_interval_ms;
    if (!set_receiver(c, r) || !set_windows(c, &rc->mute_time_intervals, &r->mute, &r->mute_count) ||
        !set_windows(c, &rc->active_time_intervals, &r->active, &r->active_count))
        return false;
    uint32_t *children = arena_alloc_array(&c->tree->arena, rc->routes_count, sizeof *children);
    for (size_t i = 0; i < rc->routes_count; i++)
        if (!compile(c, &rc->routes[i], r, i, &children[i]))
            return false;
    r->children = children;
    r->children_count = rc->routes_count;
    index_children(c, node);
    return true;
}

/* ---- The tree ---- */

struct route_tree *route_tree_new(const struct route_config *root, const struct route_env *env, struct err *err)
{
    size_t n = count_routes(root);
    if (n > ROUTES_MAX) {
        err_set(err, ERR_LIMIT, "more than %d routes", ROUTES_MAX);
        return NULL;
    }
    struct route_tree *t = MEM_NEW(struct route_tree);
    atomic_init(&t->refs, 1);
    arena_init(&t->arena, ARENA_NO_LIMIT);
    t->v = mem_alloc_array(n, sizeof *t->v);
    t->n = n;
    struct compiler c = { .tree = t, .env = env, .err = err };
    for (size_t i = 0; env->windows && i < env->windows_count; i++)
        map_put(&c.windows, env->windows[i].name, (void *)(uintptr_t)&env->windows[i]);
    for (size_t i = 0; env->receivers && i < env->receivers_count; i++)
        map_put(&c.receivers, env->receivers[i].name, (void *)(uintptr_t)&env->receivers[i]);
    uint32_t index;
    bool ok = compile(&c, root, NULL, 0, &index);
    ASSERT(!ok || c.next == n);
    map_deinit(&c.regexes);
    map_deinit(&c.windows);
    map_deinit(&c.receivers);
    buf_deinit(&c.text);
    if (!ok) {
        route_tree_release(t);
        return NULL;
    }
    return t;
}

struct route_tree *route_tree_retain(struct route_tree *t)
{
    unsigned before = atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return t;
}

void route_tree_release(struct route_tree *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; k < t->v[i].route.matchers.n; k++)
            if (t->v[i].route.matchers.v[k].re)
                regex_release(t->v[i].route.matchers.v[k].re);
    mem_free(t->v);
    arena_deinit(&t->arena);
    mem_free(t);
}

size_t route_tree_count(const struct route_tree *t)
{
    return t->n;
}

const struct route *route_tree_at(const struct route_tree *t, size_t index)
{
    ASSERT(index < t->n);
    return &t->v[index].route;
}

struct labels route_group_labels(struct arena *a, const struct route *r, struct labels ls)
{
    if (r->group_by_all)
        return ls;
    struct label *v = arena_alloc_array(a, r->group_by_count, sizeof *v);
    size_t n = 0, k = 0;
    for (size_t i = 0; i < r->group_by_count; i++) { /* both sorted by name */
        while (k < ls.n && str_cmp(ls.v[k].name, r->group_by[i]) < 0)
            k++;
        if (k < ls.n && str_eq(ls.v[k].name, r->group_by[i]))
            v[n++] = ls.v[k];
    }
    return (struct labels){ v, n };
}

void route_group_key_write(struct buf *out, const struct route *r, struct labels group_labels)
{
    buf_str(out, r->key);
    buf_byte(out, ':');
    labels_write(out, group_labels);
}
