/* Views: everything clients may ask about alerts and groups at one moment, as one counted, immutable block of rows over
 * counted alert values. Muting is asked of the same silencer and inhibitor as a flush would ask.
 *
 * V1  A view is made at most once per change: of the stores (version), of groups, or of the hour (an alert ends, a
 *     silence starts or ends: `valid_until`).
 * V2  Nothing in a view points into the dispatcher: texts are copied, values, tree and receivers retained. */
#include "dispatch/dispatch_int.h"

#include "base/mem.h"

#include <stdlib.h>

enum { SILENCES_SHOWN_MAX = 4096 };

struct view_cache { /* beside the view, for the dispatcher only */
    struct dispatch_view view; /* first */
    uint64_t alerts_version, silences_version, groups_version;
    struct wire_time valid_until;
};

struct maker {
    struct dispatch *d;
    struct dispatch_view *v;
    struct wire_time valid_until;
    struct map64 sets; /* route_set -> its copy */
    struct str *ids;   /* SILENCES_SHOWN_MAX of them */
};

static const uint32_t *copy_routes(struct maker *m, const struct route_set *set)
{
    if (set->n == 0)
        return NULL;
    uint32_t *copy = map64_get(&m->sets, (uint64_t)(uintptr_t)set);
    if (!copy) {
        copy = arena_alloc_array(&m->v->arena, set->n, sizeof *copy);
        memcpy(copy, set->v, set->n * sizeof *copy);
        map64_put(&m->sets, (uint64_t)(uintptr_t)set, copy);
    }
    return copy;
}

static void add_silences(struct maker *m, struct dispatch_alert_row *row, struct alert_slot *s)
{
    size_t n = silencer_query(m->d->silencer, m->v->now, s, m->ids, SILENCES_SHOWN_MAX);
    if (n == 0)
        return;
    if (n > SILENCES_SHOWN_MAX)
        n = SILENCES_SHOWN_MAX;
    struct str *ids = arena_alloc_array(&m->v->arena, n, sizeof *ids);
    for (size_t i = 0; i < n; i++)
        ids[i] = arena_str(&m->v->arena, m->ids[i]);
    row->silenced_by = ids;
    row->silenced_by_count = n;
}

static void add_alert(struct maker *m, struct alert_slot *s)
{
    struct dispatch *d = m->d;
    struct dispatch_alert_row *row = &m->v->alerts[m->v->alerts_count];
    row->alert = alert_retain(s->value);
    row->ends_at = s->ends_at;
    row->updated_at = s->updated_at;
    row->held = s->held;
    row->inhibited = inhibitor_query(d->inhibitor, m->v->now, s, &row->inhibited_by);
    add_silences(m, row, s);
    if (wire_time_cmp(s->ends_at, m->v->now) > 0 && wire_time_cmp(s->ends_at, m->valid_until) < 0)
        m->valid_until = s->ends_at;
    struct route_memo *memo = dispatch_group_memo(d, s);
    if (memo) {
        row->routes = copy_routes(m, memo->set);
        row->routes_count = memo->set->n;
        memo->row = (uint32_t)m->v->alerts_count;
    }
    m->v->alerts_count++;
}

static int by_route(const void *a, const void *b)
{
    const struct group *x = *(struct group *const *)a, *y = *(struct group *const *)b;
    if (x->route->index != y->route->index)
        return x->route->index < y->route->index ? -1 : 1;
    return labels_cmp(x->labels, y->labels);
}

static void add_group(struct maker *m, const struct group *g)
{
    struct arena *a = &m->v->arena;
    struct dispatch_group_row *row = &m->v->groups[m->v->groups_count++];
    row->route = g->route;
    row->labels = labels_copy(a, g->labels);
    row->key = arena_str(a, g->key);
    uint32_t *alerts = arena_alloc_array(a, g->members.count, sizeof *alerts);
    struct member_at at = { 0 };
    const struct alert_slot *s;
    while ((s = group_members_next(&g->members, &at)) != NULL)
        if (s->listed)
            alerts[row->alerts_count++] = dispatch_group_memo(m->d, s)->row;
    row->alerts = alerts;
    struct str *names = arena_alloc_array(a, g->muted_by_count, sizeof *names);
    for (size_t i = 0; i < g->muted_by_count; i++)
        names[i] = arena_str(a, g->muted_by[i]);
    row->muted_by = names;
    row->muted_by_count = g->muted_by_count;
}

static void add_groups(struct maker *m)
{
    struct dispatch *d = m->d;
    struct group **sorted = mem_alloc_array(d->groups_count, sizeof(struct group *));
    if (d->groups_count)
        memcpy(sorted, d->groups, d->groups_count * sizeof(struct group *));
    qsort(sorted, d->groups_count, sizeof(struct group *), by_route);
    m->v->groups = mem_alloc_array(d->groups_count, sizeof *m->v->groups);
    for (size_t i = 0; i < d->groups_count; i++)
        add_group(m, sorted[i]);
    mem_free(sorted);
}

static struct view_cache *make_view(struct dispatch *d, struct wire_time now, bool groups)
{
    struct view_cache *c = MEM_NEW(struct view_cache);
    struct dispatch_view *v = &c->view;
    atomic_init(&v->refs, 1);
    arena_init(&v->arena, ARENA_NO_LIMIT);
    v->now = now;
    v->routes = route_tree_retain(d->config.routes);
    v->receivers = notify_receivers_retain(d->config.receivers);
    v->alerts = mem_alloc_array(alert_store_count(d->alerts), sizeof *v->alerts);
    struct maker m = { .d = d, .v = v, .valid_until = silence_store_next_edge(d->silences, now) };
    m.ids = mem_alloc_array(SILENCES_SHOWN_MAX, sizeof *m.ids);
    struct alert_slot *s;
    for (uint32_t i = 0; (s = alert_store_next(d->alerts, &i)) != NULL;)
        add_alert(&m, s);
    ASSERT(v->alerts_count == alert_store_count(d->alerts));
    if (groups)
        add_groups(&m);
    mem_free(m.ids);
    map64_deinit(&m.sets);
    c->valid_until = m.valid_until;
    c->alerts_version = alert_store_version(d->alerts);
    c->silences_version = silence_store_version(d->silences);
    c->groups_version = d->version;
    v->version = ++d->views;
    return c;
}

/* Does what was made before still hold? */
static bool is_current(const struct dispatch *d, const struct view_cache *c, struct wire_time now, bool groups)
{
    return c && (c->view.groups || !groups) && c->alerts_version == alert_store_version(d->alerts) &&
           c->silences_version == silence_store_version(d->silences) && c->groups_version == d->version &&
           wire_time_cmp(now, c->valid_until) < 0 && wire_time_cmp(now, c->view.now) >= 0;
}

struct dispatch_view *dispatch_view(struct dispatch *d, struct wire_time now, bool groups)
{
    if (d->phase == PHASE_IDLE)
        return NULL;
    if (!is_current(d, (struct view_cache *)(void *)d->view, now, groups)) {
        dispatch_view_release(d->view);
        d->view = &make_view(d, now, groups)->view;
    }
    atomic_fetch_add_explicit(&d->view->refs, 1, memory_order_relaxed);
    return d->view;
}

void dispatch_view_release(struct dispatch_view *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < v->alerts_count; i++)
        alert_release(v->alerts[i].alert);
    mem_free(v->alerts);
    mem_free(v->groups);
    route_tree_release(v->routes);
    notify_receivers_release(v->receivers);
    arena_deinit(&v->arena);
    mem_free(v);
}
