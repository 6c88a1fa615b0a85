/* Views: everything clients may ask about alerts and groups at one moment, as counted, immutable rows over counted alert
 * values. Muting is asked of the same silencer and inhibitor as a flush would ask.
 *
 * V1  A view is made at most once per change: of the stores (version), of groups, or of the hour (an alert ends, a
 *     silence starts or ends: `valid_until`).
 * V2  Nothing in a view points into the dispatcher: silences' ids are copied; alert values, group heads, the router
 *     (which owns the lists of routes), tree and receivers are retained.
 * V3  Nothing changes in a view while anybody but the dispatcher holds it. When nobody does, its rows are written again
 *     in place: a row whose value is the same keeps its reference, so that a poll of 100,000 alerts walks slots and rows
 *     in order and touches no value. Otherwise the rows are those that the last view which was let go of left in the
 *     pool: fresh pages would cost more than writing them. */
#include "dispatch/dispatch_int.h"

#include "base/mem.h"

enum { SILENCES_SHOWN_MAX = 4096 };
static const uint32_t PREFETCH_AHEAD = 16; /* what slots point at lies scattered over memory */

struct row_block {
    size_t capacity;
    struct dispatch_alert_row v[];
};
/* Rows that wait for the next view. Counted: the dispatcher and its views share it. */
struct view_pool {
    atomic_uint refs;
    _Atomic(struct row_block *) spare;
};
struct view_cache { /* a view, with what only this file knows of it */
    struct dispatch_view view; /* first */
    struct row_block *rows;
    size_t retained;           /* rows that hold a reference of their alert */
    struct group_head **heads;
    size_t heads_count;
    struct router *router;
    struct view_pool *pool;
    uint64_t alerts_version, silences_version, groups_version;
    struct wire_time valid_until;
};
struct maker {
    struct dispatch *d;
    struct view_cache *c;
    struct wire_time now, valid_until;
    struct str *ids;  /* SILENCES_SHOWN_MAX of them */
    uint32_t *row_of; /* by slot index; NULL: groups are not asked for */
    size_t row_of_count;
};

static struct view_cache *cache_of(struct dispatch_view *v)
{
    return (struct view_cache *)(void *)v;
}

/* ---- The pool ---- */

struct view_pool *dispatch_view_pool_new(void)
{
    struct view_pool *p = MEM_NEW(struct view_pool);
    atomic_init(&p->refs, 1);
    return p;
}

void dispatch_view_pool_release(struct view_pool *p)
{
    if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    mem_free(atomic_load(&p->spare));
    mem_free(p);
}

static void pool_give(struct view_pool *p, struct row_block *rows)
{
    mem_free(atomic_exchange(&p->spare, rows));
}

static size_t block_bytes(size_t capacity)
{
    return sizeof(struct row_block) + capacity * sizeof(struct dispatch_alert_row);
}

/* Room for count rows; what is in the first ones stays if the block is kept. */
static void reserve_rows(struct view_cache *c, size_t count)
{
    if (!c->rows)
        c->rows = atomic_exchange(&c->pool->spare, NULL);
    if (!c->rows || c->rows->capacity < count) {
        size_t capacity = count + count / 8 + 64;
        c->rows = mem_realloc(c->rows, block_bytes(capacity));
        c->rows->capacity = capacity;
    }
    c->view.alerts = c->rows->v;
}

/* ---- Alerts ---- */

static void set_alert(struct view_cache *c, size_t i, struct dispatch_alert_row *row, const struct alert_slot *s)
{
    const struct alert *before = i < c->retained ? row->alert : NULL;
    if (before == s->value)
        return;
    row->alert = alert_retain(s->value);
    alert_release(before);
}

static void set_silences(struct maker *m, struct dispatch_alert_row *row, struct alert_slot *s)
{
    struct arena *a = &m->c->view.arena;
    size_t n = silencer_query(m->d->silencer, m->now, s, m->ids, SILENCES_SHOWN_MAX);
    n = n > SILENCES_SHOWN_MAX ? SILENCES_SHOWN_MAX : n;
    row->silenced_by_count = (uint32_t)n;
    row->silenced_by = NULL;
    if (n == 0)
        return;
    struct str *ids = arena_alloc_array(a, n, sizeof *ids);
    for (size_t i = 0; i < n; i++)
        ids[i] = arena_str(a, m->ids[i]);
    row->silenced_by = ids;
}

static void set_row(struct maker *m, size_t i, struct alert_slot *s)
{
    struct dispatch_alert_row *row = &m->c->rows->v[i];
    set_alert(m->c, i, row, s);
    row->ends_at = s->ends_at;
    row->updated_at = s->updated_at;
    row->held = s->held;
    row->inhibited_by = 0;
    row->inhibited = inhibitor_query(m->d->inhibitor, m->now, s, &row->inhibited_by);
    set_silences(m, row, s);
    if (wire_time_cmp(s->ends_at, m->valid_until) < 0 && wire_time_cmp(s->ends_at, m->now) > 0)
        m->valid_until = s->ends_at;
    const struct route_memo *memo = dispatch_group_memo(m->d, s);
    row->routes = memo ? memo->set : NULL;
    if (m->row_of)
        m->row_of[s->index] = (uint32_t)i;
}

static void set_alerts(struct maker *m)
{
    struct alert_store *alerts = m->d->alerts;
    struct view_cache *c = m->c;
    size_t count = alert_store_count(alerts), i = 0;
    bool fresh = c->retained == 0;
    reserve_rows(c, count);
    struct alert_slot *s;
    for (uint32_t cursor = 0; (s = alert_store_next(alerts, &cursor)) != NULL; i++) {
        const struct alert_slot *ahead = alert_store_at(alerts, cursor + PREFETCH_AHEAD);
        if (ahead) { /* whatever the words hold: a prefetch of no address does nothing */
            __builtin_prefetch(ahead->memo[ALERT_MEMO_INHIBIT]);
            __builtin_prefetch(ahead->memo[ALERT_MEMO_SILENCE]);
            if (fresh)
                __builtin_prefetch(ahead->value, 1);
        }
        set_row(m, i, s);
    }
    ASSERT(i == count);
    for (size_t k = count; k < c->retained; k++)
        alert_release(c->rows->v[k].alert);
    c->retained = c->view.alerts_count = count;
}

/* ---- Groups ---- */

static void release_groups(struct view_cache *c)
{
    for (size_t i = 0; i < c->heads_count; i++)
        dispatch_group_head_release(c->heads[i]);
    mem_free(c->heads);
    mem_free(c->view.groups);
    c->heads = NULL;
    c->heads_count = 0;
    c->view.groups = NULL;
    c->view.groups_count = 0;
}

static void set_group(struct maker *m, size_t i, const struct group *g)
{
    struct arena *a = &m->c->view.arena;
    struct dispatch_group_row *row = &m->c->view.groups[i];
    atomic_fetch_add_explicit(&g->head->refs, 1, memory_order_relaxed);
    m->c->heads[i] = g->head;
    row->route = g->route;
    row->labels = g->head->labels;
    row->key = g->head->key;
    uint32_t *alerts = arena_alloc_array(a, g->members.count, sizeof *alerts);
    struct member_at at = { 0 };
    const struct alert_slot *s;
    while ((s = group_members_next(&g->members, &at)) != NULL)
        if (s->listed)
            alerts[row->alerts_count++] = m->row_of[s->index];
    row->alerts = alerts;
    struct str *names = arena_alloc_array(a, g->muted_by_count, sizeof *names);
    for (size_t k = 0; k < g->muted_by_count; k++)
        names[k] = arena_str(a, g->muted_by[k]);
    row->muted_by = names;
    row->muted_by_count = g->muted_by_count;
}

static void set_groups(struct maker *m)
{
    struct dispatch *d = m->d;
    struct view_cache *c = m->c;
    c->view.groups = mem_alloc_array(d->groups_count, sizeof *c->view.groups);
    c->heads = mem_alloc_array(d->groups_count, sizeof(struct group_head *));
    c->view.groups_count = c->heads_count = d->groups_count;
    for (size_t i = 0; i < d->groups_count; i++)
        set_group(m, i, d->groups[i]);
}

/* ---- Views ---- */

static struct view_cache *cache_new(struct dispatch *d)
{
    struct view_cache *c = MEM_NEW(struct view_cache);
    atomic_init(&c->view.refs, 1);
    arena_init(&c->view.arena, ARENA_NO_LIMIT);
    c->pool = d->pool;
    atomic_fetch_add_explicit(&c->pool->refs, 1, memory_order_relaxed);
    return c;
}

static void release_config(struct view_cache *c)
{
    route_tree_release(c->view.routes);
    notify_receivers_release(c->view.receivers);
    router_release(c->router);
}

static void make(struct dispatch *d, struct view_cache *c, struct wire_time now, bool groups)
{
    release_groups(c);
    release_config(c);
    arena_reset(&c->view.arena);
    c->view.now = now;
    c->view.routes = route_tree_retain(d->config.routes);
    c->view.receivers = notify_receivers_retain(d->config.receivers);
    c->router = router_retain(d->router);
    struct maker m = { .d = d, .c = c, .now = now, .valid_until = silence_store_next_edge(d->silences, now) };
    m.ids = mem_alloc_array(SILENCES_SHOWN_MAX, sizeof *m.ids);
    if (groups)
        m.row_of = mem_alloc_array(alert_store_slots(d->alerts), sizeof *m.row_of);
    set_alerts(&m);
    if (groups)
        set_groups(&m);
    mem_free(m.ids);
    mem_free(m.row_of);
    c->valid_until = m.valid_until;
    c->alerts_version = alert_store_version(d->alerts);
    c->silences_version = silence_store_version(d->silences);
    c->groups_version = d->version;
    c->view.version = ++d->views;
}

/* Does what was made before still hold? */
static bool is_current(const struct dispatch *d, const struct view_cache *c, struct wire_time now, bool groups)
{
    return (c->view.groups || !groups) && c->alerts_version == alert_store_version(d->alerts) &&
           c->silences_version == silence_store_version(d->silences) && c->groups_version == d->version &&
           wire_time_cmp(now, c->valid_until) < 0 && wire_time_cmp(now, c->view.now) >= 0;
}

struct dispatch_view *dispatch_view(struct dispatch *d, struct wire_time now, bool groups)
{
    if (d->phase == PHASE_IDLE)
        return NULL;
    struct view_cache *c = d->view ? cache_of(d->view) : NULL;
    if (!c || !is_current(d, c, now, groups)) {
        bool ours_alone = c && atomic_load_explicit(&c->view.refs, memory_order_acquire) == 1;
        if (!ours_alone) {
            dispatch_view_release(d->view);
            c = cache_new(d);
            d->view = &c->view;
        }
        make(d, c, now, groups);
    }
    atomic_fetch_add_explicit(&d->view->refs, 1, memory_order_relaxed);
    return d->view;
}

void dispatch_view_release(struct dispatch_view *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct view_cache *c = cache_of(v);
    for (size_t i = 0; i < c->retained; i++) {
        if (i + PREFETCH_AHEAD < c->retained)
            __builtin_prefetch(c->rows->v[i + PREFETCH_AHEAD].alert, 1);
        alert_release(c->rows->v[i].alert);
    }
    release_groups(c);
    release_config(c);
    arena_deinit(&v->arena);
    pool_give(c->pool, c->rows);
    dispatch_view_pool_release(c->pool);
    mem_free(c);
}
