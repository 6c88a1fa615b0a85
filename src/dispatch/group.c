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

struct route_memo *dispatch_group_memo(const struct dispatch *d, const struct alert_slot *s)
{
    struct route_memo *m = s->memo[ALERT_MEMO_DISPATCH];
    return m && m->stamp == d->stamp ? m : NULL;
}

void dispatch_group_memo_end(void *arg, struct alert_slot *s)
{
    (void)arg;
    mem_free(s->memo[ALERT_MEMO_DISPATCH]);
    s->memo[ALERT_MEMO_DISPATCH] = NULL;
}

static struct route_memo *memo_make(struct dispatch *d, struct alert_slot *s)
{
    dispatch_group_memo_end(NULL, s); /* of a generation before */
    const struct route_set *set = router_match(d->router, s->value->labels);
    struct route_memo *m = mem_alloc(sizeof *m + set->n * sizeof(struct group *));
    m->stamp = d->stamp;
    m->set = set;
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

static struct group *group_new(struct dispatch *d, const struct route *r, fingerprint fp, struct labels labels,
                               const struct alert_slot *first)
{
    struct group *g = MEM_NEW(struct group);
    g->route = r;
    g->fp = fp;
    g->labels = labels_dup(labels);
    buf_reset(&d->text);
    route_group_key_write(&d->text, r, labels);
    g->key = str_of(mem_dup(d->text.p, d->text.n), d->text.n);
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
    labels_free(g->labels);
    mem_free((void *)(uintptr_t)g->key.p);
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
    for (size_t i = 0; i < m->set->n; i++) {
        if (m->v[i])
            continue;
        const struct route *r = route_tree_at(d->config.routes, m->set->v[i]);
        arena_reset(&d->scratch);
        struct labels labels = route_group_labels(&d->scratch, r, s->value->labels);
        fingerprint fp = labels_fingerprint(labels);
        struct group *g = map64_get(&d->by_route[r->index], fp);
        if (!g)
            g = group_new(d, r, fp, labels, s);
        group_members_add(&g->members, s);
        alert_slot_retain(s);
        m->v[i] = g;
        m->groups++;
        d->version++;
    }
}

static void leave(struct dispatch *d, struct group *g, struct alert_slot *s)
{
    struct route_memo *m = dispatch_group_memo(d, s);
    ASSERT(m);
    for (size_t i = 0; i < m->set->n; i++) {
        if (m->v[i] != g)
            continue;
        m->v[i] = NULL;
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
        .group_key = g->key,
        .route_id = r->id,
        .group_labels = g->labels,
        .route_labels = r->labels,
        .active = r->active, .active_count = r->active_count,
        .mute = r->mute, .mute_count = r->mute_count,
        .repeat_interval_ms = r->repeat_interval_ms,
        .timeout_ms = r->group_interval_ms > FLUSH_TIMEOUT_MIN_MS ? r->group_interval_ms : FLUSH_TIMEOUT_MIN_MS,
        .tick = wire_time_add_ms(d->wall, g->tick.ms - d->now.ms),
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
