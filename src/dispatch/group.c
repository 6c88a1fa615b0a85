/* Groups and who is in them.
 *
 *             first alert                    timer                     flush ended
 *   (none) ---------------->  waiting  ----------------->  flushing  ---------------->  waiting
 *                                                              |  ended well, no alert left
 *                                                              +------------------------------>  (none)
 *
 * G1  A group of this generation is in `groups`, and in the table of its route under the fingerprint of its labels.
 * G2  A slot is a member of a group exactly if its memo of this generation names the group; the membership holds one
 *     reference of the slot.
 * G3  A group has at most one flush under way. A timer that fires meanwhile makes it due, and the flush's end starts the
 *     next one at once, with the instant at which the timer fired.
 * G4  A group without members ends when a flush of it has ended well; until then it stays (it has none only in between). */
#include "dispatch/dispatch_int.h"

#include "base/mem.h"

static const int64_t FLUSH_TIMEOUT_MIN_MS = 10000; /* upstream's floor of a flush's context */

/* ---- Memos ---- */

static struct group **memo_groups(struct route_memo *m)
{
    return m->set->n > 1 ? m->u.many : &m->u.one;
}

struct route_memo *dispatch_group_memo(const struct dispatch *d, const struct alert_slot *s)
{
    struct route_memo *m = s->memo[ALERT_MEMO_DISPATCH];
    return m && m->stamp == d->stamp ? m : NULL;
}

void dispatch_group_memo_end(void *arg, struct alert_slot *s)
{
    (void)arg;
    struct route_memo *m = s->memo[ALERT_MEMO_DISPATCH];
    if (m && m->is_many)
        mem_free(m->u.many);
    if (m)
        *m = (struct route_memo){ 0 };
    s->memo[ALERT_MEMO_DISPATCH] = NULL;
}

static struct route_memo *memo_place(struct dispatch *d, const struct alert_slot *s)
{
    size_t chunk = s->index / ROUTE_MEMO_CHUNK;
    if (chunk >= d->memos_count) {
        d->memos = mem_realloc_array(d->memos, chunk + 1, sizeof(struct route_memo *));
        for (; d->memos_count <= chunk; d->memos_count++)
            d->memos[d->memos_count] = mem_alloc_array(ROUTE_MEMO_CHUNK, sizeof(struct route_memo));
    }
    return &d->memos[chunk][s->index % ROUTE_MEMO_CHUNK];
}

static struct route_memo *memo_make(struct dispatch *d, struct alert_slot *s)
{
    dispatch_group_memo_end(NULL, s); /* of a generation before */
    struct route_memo *m = memo_place(d, s);
    m->stamp = d->stamp;
    arena_reset(&d->scratch);
    m->set = router_match(d->router, alert_labels(s->value, &d->scratch));
    m->is_many = m->set->n > 1;
    if (m->is_many)
        m->u.many = mem_alloc_array(m->set->n, sizeof(struct group *));
    s->memo[ALERT_MEMO_DISPATCH] = m;
    return m;
}

bool dispatch_group_is_routed(const struct dispatch *d, const struct alert_slot *s)
{
    const struct route_memo *m = dispatch_group_memo(d, s);
    return m && m->groups == m->set->n;
}

/* ---- Making and ending groups ---- */

static mono_ms first_tick(const struct dispatch *d, const struct route *r, const struct alert_slot *first)
{
    struct wire_time over = wire_time_add_ms(first->value->starts_at, r->group_wait_ms);
    return wire_time_cmp(over, d->wall) < 0 ? d->now : mono_add(d->now, r->group_wait_ms);
}

/* The timer that the group had in the process before, if it is known. */
static bool take_restored(struct dispatch *d, struct group *g, mono_ms *tick)
{
    if (d->timers_restored.count == 0)
        return false;
    buf_reset(&d->text);
    buf_str(&d->text, g->route->id);
    buf_byte(&d->text, 0);
    buf_le64(&d->text, g->fp);
    struct restored_timer *t = map_remove(&d->timers_restored, buf_view(&d->text));
    if (!t)
        return false;
    int64_t ahead_ms = wire_time_sub_ns(t->due, d->wall) / 1000000;
    *tick = ahead_ms > 0 ? mono_add(d->now, ahead_ms) : d->now;
    g->flushed = t->flushed;
    mem_free(t);
    return true;
}

static struct group_head *head_new(struct labels labels, struct str key)
{
    size_t bytes = key.n;
    for (size_t i = 0; i < labels.n; i++)
        bytes += labels.v[i].name.n + labels.v[i].value.n;
    struct group_head *h = mem_alloc(sizeof *h + labels.n * sizeof(struct label) + bytes);
    struct label *v = (struct label *)(void *)(h + 1);
    char *text = (char *)(v + labels.n);
    for (size_t i = 0; i < labels.n; i++) {
        struct str *parts[] = { &v[i].name, &v[i].value };
        const struct str from[] = { labels.v[i].name, labels.v[i].value };
        for (size_t k = 0; k < 2; k++) {
            *parts[k] = str_of(text, from[k].n);
            memcpy(text, from[k].p, from[k].n);
            text += from[k].n;
        }
    }
    memcpy(text, key.p, key.n);
    h->labels = (struct labels){ v, labels.n };
    h->key = str_of(text, key.n);
    atomic_init(&h->refs, 1);
    return h;
}

void dispatch_group_head_release(struct group_head *h)
{
    if (atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) == 1)
        mem_free(h);
}

static struct group *group_new(struct dispatch *d, const struct route *r, fingerprint fp, struct labels labels,
                               const struct alert_slot *first)
{
    struct group *g = MEM_NEW(struct group);
    g->route = r;
    g->fp = fp;
    buf_reset(&d->text);
    route_group_key_write(&d->text, r, labels);
    g->head = head_new(labels, buf_view(&d->text));
    if (d->groups_count == d->groups_capacity) {
        d->groups_capacity = mem_grow(d->groups_capacity, d->groups_count + 1);
        d->groups = mem_realloc_array(d->groups, d->groups_capacity, sizeof(struct group *));
    }
    g->at = d->groups_count;
    d->groups[d->groups_count++] = g;
    map64_put(&d->by_route[r->index], fp, g);
    mono_ms tick;
    if (!take_restored(d, g, &tick))
        tick = first_tick(d, r, first);
    timer_arm(&d->timers, &g->timer, tick);
    return g;
}

static void unqueue(struct dispatch *d, struct group *g)
{
    if (!g->queued)
        return;
    struct group *before = NULL;
    for (struct group *at = d->due_first; at != g; at = at->next_due)
        before = at;
    *(before ? &before->next_due : &d->due_first) = g->next_due;
    if (d->due_last == g)
        d->due_last = before;
    g->queued = false;
}

static void group_free(struct group *g)
{
    ASSERT(!g->flush && !g->queued && !timer_is_armed(&g->timer));
    group_members_deinit(&g->members);
    dispatch_group_head_release(g->head);
    mem_free(g->muted_by);
    mem_free(g);
}

/* A group without members, of this generation. */
static void group_end(struct dispatch *d, struct group *g)
{
    ASSERT(g->members.count == 0);
    timer_disarm(&d->timers, &g->timer);
    unqueue(d, g);
    map64_remove(&d->by_route[g->route->index], g->fp);
    struct group *last = d->groups[--d->groups_count];
    d->groups[g->at] = last;
    last->at = g->at;
    group_free(g);
}

void dispatch_group_let_go(struct dispatch *d, struct group *g)
{
    struct member_at at = { 0 };
    struct alert_slot *s;
    while ((s = group_members_next(&g->members, &at)) != NULL)
        alert_slot_release(d->alerts, s);
    group_free(g);
}

/* ---- Membership ---- */

void dispatch_group_route(struct dispatch *d, struct alert_slot *s)
{
    struct route_memo *m = dispatch_group_memo(d, s);
    if (!m)
        m = memo_make(d, s);
    if (m->groups == 0)
        s->mark = ALERT_UNPROCESSED;
    struct group **groups = memo_groups(m);
    for (size_t i = 0; i < m->set->n; i++) {
        if (groups[i])
            continue;
        const struct route *r = route_tree_at(d->config.routes, m->set->v[i]);
        arena_reset(&d->scratch);
        struct labels labels = route_group_labels(&d->scratch, r, alert_labels(s->value, &d->scratch));
        fingerprint fp = labels_fingerprint(labels);
        struct group *g = map64_get(&d->by_route[r->index], fp);
        if (!g)
            g = group_new(d, r, fp, labels, s);
        group_members_add(&g->members, s);
        alert_slot_retain(s);
        groups[i] = g;
        m->groups++;
        d->version++;
    }
}

static void leave(struct dispatch *d, struct group *g, struct alert_slot *s)
{
    struct route_memo *m = dispatch_group_memo(d, s);
    ASSERT(m);
    struct group **groups = memo_groups(m);
    for (size_t i = 0; i < m->set->n; i++) {
        if (groups[i] != g)
            continue;
        groups[i] = NULL;
        m->groups--;
        bool was_in = group_members_remove(&g->members, s);
        ASSERT(was_in);
        d->version++;
        alert_slot_release(d->alerts, s);
        return;
    }
}

/* ---- Ticks ---- */

void dispatch_group_make_due(struct dispatch *d, struct group *g, mono_ms tick)
{
    ASSERT(!g->due);
    g->due = true;
    g->tick = tick;
    if (g->flush)
        return; /* G3 */
    g->queued = true;
    g->next_due = NULL;
    *(d->due_last ? &d->due_last->next_due : &d->due_first) = g;
    d->due_last = g;
}

struct group *dispatch_group_pop_due(struct dispatch *d)
{
    struct group *g = d->due_first;
    if (!g)
        return NULL;
    d->due_first = g->next_due;
    if (!d->due_first)
        d->due_last = NULL;
    g->queued = false;
    return g;
}

void dispatch_group_start_flush(struct dispatch *d, struct group *g)
{
    ASSERT(g->due && !g->flush && !g->queued);
    const struct route *r = g->route;
    g->due = false;
    g->flushed = true;
    timer_arm(&d->timers, &g->timer, mono_add(d->now, r->group_interval_ms));
    if (g->members.count == 0)
        return;
    struct notify_alert *alerts = mem_alloc_array(g->members.count, sizeof *alerts);
    size_t n = 0;
    struct member_at at = { 0 };
    struct alert_slot *s;
    while ((s = group_members_next(&g->members, &at)) != NULL) {
        alert_slot_retain(s);
        alerts[n++] = (struct notify_alert){ s, s->updated_at, alert_slot_state(s, d->wall), false };
    }
    struct notify_flush_spec spec = {
        .owner = g,
        .receivers = d->config.receivers,
        .receiver = r->receiver_index,
        .group_key = g->head->key,
        .route_id = r->id,
        .group_labels = g->head->labels,
        .route_labels = r->labels,
        .active = r->active, .active_count = r->active_count,
        .mute = r->mute, .mute_count = r->mute_count,
        .repeat_interval_ms = r->repeat_interval_ms,
        .timeout_ms = r->group_interval_ms > FLUSH_TIMEOUT_MIN_MS ? r->group_interval_ms : FLUSH_TIMEOUT_MIN_MS,
        .tick = wire_time_add_ms(d->wall, g->tick.ms - d->now.ms),
        .taken = d->wall,
        .inhibitor = d->inhibitor,
    };
    g->flush = notifier_flush(d->notifier, d->now, &spec, alerts, n);
}

static void set_muted_by(struct dispatch *d, struct group *g, const struct str *names, size_t n)
{
    if (n == 0 && !g->muted_by)
        return;
    mem_free(g->muted_by);
    g->muted_by = NULL;
    g->muted_by_count = n;
    d->version++;
    if (n == 0)
        return;
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += names[i].n;
    g->muted_by = mem_alloc(n * sizeof *names + bytes);
    char *text = (char *)(g->muted_by + n);
    for (size_t i = 0; i < n; i++) {
        memcpy(text, names[i].p, names[i].n);
        g->muted_by[i] = str_of(text, names[i].n);
        text += names[i].n;
    }
}

void dispatch_group_flush_done(struct dispatch *d, struct group *g, struct notify_flush *f)
{
    ASSERT(g->flush == f);
    g->flush = NULL;
    bool ran;
    size_t n;
    const struct str *names = notify_flush_muted_by(f, &n, &ran);
    if (ran)
        set_muted_by(d, g, names, n);
    const struct notify_alert *alerts = notify_flush_alerts(f, &n);
    for (size_t i = 0; notify_flush_ok(f) && i < n; i++) {
        struct alert_slot *s = alerts[i].slot;
        if (alerts[i].state == ALERT_RESOLVED && wire_time_cmp(alerts[i].updated_at, s->updated_at) == 0)
            leave(d, g, s);
    }
    if (g->members.count == 0) {
        group_end(d, g);
        return;
    }
    if (g->due) {
        g->due = false;
        dispatch_group_make_due(d, g, g->tick);
    }
}
