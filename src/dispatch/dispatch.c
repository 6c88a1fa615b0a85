/* The dispatcher's step.
 *
 *   IDLE --config--> LOADING --all stored alerts taken in--> RUNNING --config--> LOADING ...
 *                                                                  \--stop--> STOPPED
 *
 * D1  Stored alerts are known to the inhibitor and in their groups before anything is flushed: LOADING closes the gate,
 *     and so do an unsettled cluster and the start delay. Timers run meanwhile; those that fired are looked at when the
 *     gate opens.
 * D2  An alert that arrives is merged into the store, offered to the inhibitor, and put into its groups, in this order,
 *     in every phase with a configuration.
 * D3  A step works for about SLICE alerts beside its event (whose size the caller bounds); with work left, the deadline
 *     has passed already. Per step: a slice of what old generations left behind, a slice of loading or of due groups, a
 *     slice of the pipeline, a slice of matching new silences.
 * D4  Generations are told by their stamp: memos of another are stale and are replaced when met. */
#include "dispatch/dispatch_int.h"

#include "base/mem.h"
#include "base/stopwatch.h"

/* Alerts looked at per step and kind of work, and alerts taken in per step of a load, which makes groups, memos and texts:
 * each about a millisecond in release (bench/alert_core.c), well under the 5 ms that an event may take. */
static const size_t SLICE = 1000, LOAD_SLICE = 200;
static const size_t GROUP_COST = 4; /* what a group costs beside its alerts */
static const size_t LARGE_BLOCK_BYTES = 8192;

#define ROWS(alerts_labels)                                                                                            \
    METRIC_VEC(GAUGE, struct dispatch_stats, alerts, "alertmanager_alerts", "How many alerts by state.", alerts_labels), \
    METRIC(GAUGE, struct dispatch_stats, groups, "alertmanager_dispatcher_aggregation_groups", "Number of active aggregation groups"), \
    METRIC(SUMMARY, struct dispatch_stats, processing, "alertmanager_dispatcher_alert_processing_duration_seconds", "Summary of latencies for the processing of alerts."), \
    METRIC(COUNTER, struct dispatch_stats, group_limit_reached, "alertmanager_dispatcher_aggregation_group_limit_reached_total", "Number of times when dispatcher failed to create new aggregation group due to limit."), \
    METRIC(COUNTER, struct dispatch_stats, group_creation_retries, "alertmanager_dispatcher_aggregation_group_creation_retries_total", "Number of times the creation of an aggregation group was tried again."), \
    METRIC(COUNTER, struct dispatch_stats, group_creation_given_up, "alertmanager_dispatcher_aggregation_group_creation_given_up_total", "Number of times the creation of an aggregation group was given up."), \
    METRIC(COUNTER, struct dispatch_stats, writes_dispatcher, "alertmanager_alerts_subscriber_channel_writes_total", "Number of times alerts were written to subscriber channels", "subscriber=dispatcher"), \
    METRIC(COUNTER, struct dispatch_stats, writes_inhibitor, "alertmanager_alerts_subscriber_channel_writes_total", "Number of times alerts were written to subscriber channels", "subscriber=inhibitor"), \
    METRIC(GAUGE, struct dispatch_stats, held, "tocsin_alerts_held", "Restored alerts whose end passed while nobody listened and of which no sender has spoken yet.")

const struct metric_desc dispatch_metrics[] = { ROWS("state") };
const size_t dispatch_metrics_count = ARRAY_LEN(dispatch_metrics);
const struct metric_desc dispatch_metrics_keyed[] = { ROWS("group_key,state") };
const size_t dispatch_metrics_keyed_count = ARRAY_LEN(dispatch_metrics_keyed);

/* ---- Life cycle ---- */

struct dispatch *dispatch_new(const struct dispatch_options *options, mono_ms now, struct alert_store *alerts,
                              struct silence_store *silences, struct nflog *log)
{
    struct dispatch *d = MEM_NEW(struct dispatch);
    d->options = *options;
    d->rng = options->rng;
    d->alerts = alerts;
    d->silences = silences;
    d->log = log;
    d->silencer = silencer_new(silences, alerts);
    struct notify_options no = { options->peer_timeout_ms, options->receiver_names_in_metrics };
    d->notifier = notifier_new(&no, alerts, d->silencer, log, &d->rng);
    d->start_at = mono_add(now, options->start_delay_ms);
    d->inhibit_gc_at = mono_add(now, INHIBIT_GC_INTERVAL_MS);
    d->grace_until = MONO_NEVER;
    arena_init(&d->scratch, ARENA_NO_LIMIT);
    d->pool = dispatch_view_pool_new();
    if (options->group_keys_in_metrics)
        metric_stats_init(dispatch_metrics_keyed, dispatch_metrics_keyed_count, &d->stats);
    else
        metric_stats_init(dispatch_metrics, dispatch_metrics_count, &d->stats);
    alert_store_on_end(alerts, ALERT_MEMO_DISPATCH, dispatch_group_memo_end, NULL);
    return d;
}

static void free_restored(struct dispatch *d)
{
    struct restored_timer *t;
    for (size_t i = 0; (t = map_next(&d->timers_restored, &i)) != NULL;)
        mem_free(t);
    map_deinit(&d->timers_restored);
}

/* Everything that the configuration made, but for groups, which are retired. */
static void free_generation(struct dispatch *d)
{
    if (d->phase == PHASE_IDLE)
        return;
    for (size_t i = 0; i < route_tree_count(d->config.routes); i++)
        map64_deinit(&d->by_route[i]);
    mem_free(d->by_route);
    router_release(d->router);
    if (d->old_inhibitors_count == OLD_INHIBITORS_MAX) /* reloads in a row: one of them pays */
        inhibitor_free(d->old_inhibitors[--d->old_inhibitors_count]);
    d->old_inhibitors[d->old_inhibitors_count++] = d->inhibitor;
    route_tree_release(d->config.routes);
    notify_receivers_release(d->config.receivers);
    d->by_route = NULL;
    d->router = NULL;
    d->inhibitor = NULL;
}

/* All groups leave the timers and the queue and wait in `retired` to be let go; their flushes are abandoned at once. */
static void retire_groups(struct dispatch *d, struct notify_out *out)
{
    for (size_t i = 0; i < d->groups_count; i++) {
        struct group *g = d->groups[i];
        timer_disarm(&d->timers, &g->timer);
        g->queued = g->due = false;
        if (g->flush)
            notifier_abandon(d->notifier, g->flush, out);
        g->flush = NULL;
    }
    d->stamp = (uint32_t)alert_store_stamp(d->alerts);
    d->due_first = d->due_last = NULL;
    d->retired = mem_realloc_array(d->retired, d->retired_count + d->groups_count, sizeof(struct group *));
    if (d->groups_count)
        memcpy(d->retired + d->retired_count, d->groups, d->groups_count * sizeof(struct group *));
    d->retired_count += d->groups_count;
    d->groups_count = 0;
    d->version++;
}

/* The slots outlive the dispatcher, their memos do not. */
static void forget_memos(struct dispatch *d)
{
    struct alert_slot *s;
    for (uint32_t i = 0; (s = alert_store_next(d->alerts, &i)) != NULL;)
        if (s->memo[ALERT_MEMO_DISPATCH])
            dispatch_group_memo_end(NULL, s);
    for (size_t i = 0; i < d->memos_count; i++)
        mem_free(d->memos[i]);
    mem_free(d->memos);
}

void dispatch_free(struct dispatch *d)
{
    if (!d)
        return;
    struct notify_out out;
    notify_out_init(&out);
    retire_groups(d, &out);
    while (d->retired_count)
        dispatch_group_let_go(d, d->retired[--d->retired_count]);
    notify_out_deinit(&out);
    notifier_free(d->notifier);
    free_generation(d);
    while (d->old_inhibitors_count)
        inhibitor_free(d->old_inhibitors[--d->old_inhibitors_count]);
    forget_memos(d);
    silencer_free(d->silencer);
    free_restored(d);
    dispatch_view_release(d->view);
    dispatch_view_pool_release(d->pool);
    timer_heap_deinit(&d->timers);
    mem_free(d->groups);
    mem_free(d->retired);
    arena_deinit(&d->scratch);
    buf_deinit(&d->text);
    if (d->options.group_keys_in_metrics)
        metric_stats_deinit(dispatch_metrics_keyed, dispatch_metrics_keyed_count, &d->stats);
    else
        metric_stats_deinit(dispatch_metrics, dispatch_metrics_count, &d->stats);
    mem_free(d);
}

struct dispatch_stats *dispatch_stats(struct dispatch *d)
{
    return &d->stats;
}

struct notify_stats *dispatch_notify_stats(struct dispatch *d)
{
    return notifier_stats(d->notifier);
}

struct inhibit_stats *dispatch_inhibit_stats(struct dispatch *d)
{
    return &d->inhibit_stats;
}

/* ---- Events ---- */

static void on_config(struct dispatch *d, const struct dispatch_config *config, struct notify_out *out)
{
    retire_groups(d, out);
    free_generation(d);
    d->config = *config;
    route_tree_retain(config->routes);
    notify_receivers_retain(config->receivers);
    d->inhibitor = inhibitor_new(config->rules, config->rules_count, d->alerts);
    gauge_set(&d->inhibit_stats.rules, (double)config->rules_count);
    d->router = router_new(config->routes);
    d->by_route = mem_alloc_array(route_tree_count(config->routes), sizeof *d->by_route);
    d->phase = PHASE_LOADING;
    d->load_cursor = 0;
    notifier_configure(d->notifier, config->receivers);
}

static enum alert_change take_alert(struct dispatch *d, struct dispatch_alert *a, bool from_peer)
{
    if (!from_peer)
        return alert_store_put(d->alerts, d->wall, a->spec, &a->slot);
    if (a->spec)
        return alert_store_merge(d->alerts, d->wall, a->spec, &a->slot);
    return alert_store_merge_times(d->alerts, d->wall, a->times.fp, a->times.ends_at, a->times.updated_at, &a->slot);
}

static void refuse_alert(struct notify_out *out)
{
    struct notify_effect *e = notify_out_add(out, NOTIFY_NOTICE);
    e->notice.kind = NOTIFY_NOTICE_ALERT_REFUSED;
    e->notice.err = STR("alert limit reached");
}

static void on_alerts(struct dispatch *d, struct dispatch_alert *v, size_t n, bool from_peer, struct notify_out *out)
{
    struct stopwatch watch = stopwatch_start();
    for (size_t i = 0; i < n; i++) {
        v[i].slot = NULL;
        v[i].change = take_alert(d, &v[i], from_peer);
        if (v[i].change == ALERT_REFUSED)
            refuse_alert(out);
        if (!v[i].slot || v[i].change == ALERT_OLDER || d->phase == PHASE_IDLE || d->phase == PHASE_STOPPED)
            continue;
        inhibitor_put(d->inhibitor, v[i].slot);
        if (!dispatch_group_is_routed(d, v[i].slot))
            dispatch_group_route(d, v[i].slot);
    }
    if (n == 0 || d->phase == PHASE_IDLE)
        return;
    counter_add(&d->stats.writes_dispatcher, n);
    counter_add(&d->stats.writes_inhibitor, n);
    double seconds = stopwatch_seconds(watch) / (double)n;
    for (size_t i = 0; i < n; i++)
        histogram_observe(&d->stats.processing, seconds);
}

static void on_stop(struct dispatch *d, struct notify_out *out)
{
    if (d->phase == PHASE_STOPPED)
        notifier_cancel_all(d->notifier, out);
    /* Groups stay for the last snapshot. One that was being flushed is due at once in the next process. */
    for (size_t i = 0; i < d->groups_count; i++) {
        struct group *g = d->groups[i];
        if (!g->flush)
            continue;
        notifier_abandon(d->notifier, g->flush, out);
        g->flush = NULL;
        if (!g->due)
            dispatch_group_make_due(d, g, d->now);
    }
    if (d->phase != PHASE_IDLE)
        d->phase = PHASE_STOPPED;
}

static void on_event(struct dispatch *d, const struct dispatch_event *ev, struct notify_out *out)
{
    switch (ev->kind) {
    case DISPATCH_TIMER:
        break;
    case DISPATCH_CONFIG:
        if (d->phase != PHASE_STOPPED)
            on_config(d, ev->config, out);
        break;
    case DISPATCH_ALERTS:
        on_alerts(d, ev->alerts, ev->alerts_count, false, out);
        break;
    case DISPATCH_PEER_ALERTS:
        on_alerts(d, ev->alerts, ev->alerts_count, true, out);
        break;
    case DISPATCH_PEERS:
        d->settled = ev->settled;
        notifier_set_peers(d->notifier, d->now, ev->members, ev->settled);
        break;
    case DISPATCH_RESULT:
        notifier_result(d->notifier, d->now, d->wall, ev->result, out);
        break;
    case DISPATCH_CLAIMS:
        for (size_t i = 0; i < ev->claims_count; i++)
            notifier_hear_claim(d->notifier, d->now, &ev->claims[i], out);
        break;
    case DISPATCH_STOP:
        on_stop(d, out);
        break;
    }
}

/* ---- Slices ---- */

/* glibc puts freed blocks aside and sorts them all when next a large one is asked for, 8 ms after a reload of 100,000
 * alerts: asking once per slice makes it sort little by little. */
static void sort_free_memory(void)
{
    mem_free(mem_alloc(LARGE_BLOCK_BYTES));
}

/* What old generations left behind; true if there was any. */
static bool retire_slice(struct dispatch *d)
{
    if (d->retired_count == 0 && d->old_inhibitors_count) {
        if (!inhibitor_retire(d->old_inhibitors[d->old_inhibitors_count - 1], SLICE))
            d->old_inhibitors_count--;
        sort_free_memory();
        return true;
    }
    bool any = d->retired_count > 0;
    size_t work = 0;
    while (d->retired_count && work < SLICE) {
        struct group *g = d->retired[--d->retired_count];
        work += GROUP_COST + g->members.count;
        dispatch_group_let_go(d, g);
    }
    if (any)
        sort_free_memory();
    return any;
}

static void load_slice(struct dispatch *d)
{
    struct alert_slot *s;
    for (size_t i = 0; i < LOAD_SLICE; i++) {
        s = alert_store_next(d->alerts, &d->load_cursor);
        if (!s) {
            d->phase = PHASE_RUNNING;
            return;
        }
        inhibitor_put(d->inhibitor, s);
        if (!dispatch_group_is_routed(d, s))
            dispatch_group_route(d, s);
    }
}

static bool gate_is_open(const struct dispatch *d)
{
    return d->phase == PHASE_RUNNING && d->settled && !mono_before(d->now, d->start_at);
}

/* The next group to be flushed: one that has waited for its turn, or one whose timer has fired. */
static struct group *next_due(struct dispatch *d)
{
    struct group *g;
    struct timer_entry *t;
    while ((g = dispatch_group_pop_due(d)) == NULL && (t = timer_pop(&d->timers, d->now)) != NULL)
        /* timer_pop() leaves the deadline: the scheduled instant. */
        dispatch_group_make_due(d, container_of(t, struct group, timer), t->deadline);
    return g;
}

static void flush_slice(struct dispatch *d)
{
    size_t work = 0;
    struct group *g;
    while (work < SLICE && (g = next_due(d)) != NULL) {
        work += GROUP_COST + g->members.count;
        dispatch_group_start_flush(d, g);
    }
}

static void take_done(struct dispatch *d)
{
    struct notify_flush *f;
    while ((f = notifier_done(d->notifier)) != NULL) {
        struct group *g = notify_flush_owner(f);
        ASSERT(g); /* abandoned flushes do not come here */
        dispatch_group_flush_done(d, g, f);
        notify_flush_free(d->notifier, f);
    }
}

/* What has a time of its own: the grace of held alerts, the inhibitor's garbage. */
static void housekeeping(struct dispatch *d)
{
    if (!d->grace_begun && d->phase == PHASE_RUNNING && d->settled) {
        d->grace_begun = true;
        d->grace_until = mono_add(d->now, d->config.resolve_timeout_ms);
    }
    if (d->grace_begun && !d->grace_over && !mono_before(d->now, d->grace_until)) {
        d->grace_over = true;
        d->grace_until = MONO_NEVER;
        alert_store_release_held(d->alerts);
        free_restored(d);
    }
    if (!mono_before(d->now, d->inhibit_gc_at)) {
        d->inhibit_gc_at = mono_add(d->now, INHIBIT_GC_INTERVAL_MS);
        if (d->inhibitor)
            inhibitor_gc(d->inhibitor, d->wall);
    }
}

void dispatch_step(struct dispatch *d, mono_ms now, struct wire_time wall, const struct dispatch_event *ev,
                   struct notify_out *out)
{
    d->now = now;
    d->wall = wall;
    if (ev)
        on_event(d, ev, out);
    if (!retire_slice(d) && d->phase == PHASE_LOADING)
        load_slice(d);
    housekeeping(d);
    if (gate_is_open(d))
        flush_slice(d);
    notifier_step(d->notifier, now, wall, SLICE, out);
    take_done(d);
    silencer_step(d->silencer, SLICE);
}

mono_ms dispatch_next_turn(const struct dispatch *d)
{
    return notifier_next_turn(d->notifier);
}

mono_ms dispatch_deadline(const struct dispatch *d)
{
    bool may_flush = d->phase == PHASE_RUNNING && d->settled, delayed = mono_before(d->now, d->start_at);
    bool busy = d->retired_count || d->old_inhibitors_count || d->phase == PHASE_LOADING || silencer_pending(d->silencer) ||
                (d->due_first && may_flush && !delayed);
    if (busy)
        return (mono_ms){ 0 };
    mono_ms at = mono_min(notifier_deadline(d->notifier), mono_min(d->grace_until, d->inhibit_gc_at));
    if (!may_flush)
        return at; /* an event will open the gate */
    return mono_min(at, delayed ? d->start_at : timer_next(&d->timers));
}

bool dispatch_loaded(const struct dispatch *d)
{
    return d->phase == PHASE_RUNNING;
}

size_t dispatch_groups_count(const struct dispatch *d)
{
    return d->groups_count;
}

/* ---- Restart ---- */

void dispatch_restore_timer(struct dispatch *d, const struct alert_timer *timer)
{
    struct restored_timer *t = mem_alloc(sizeof *t + timer->route_id.n + 1 + sizeof(fingerprint));
    char *text = (char *)(t + 1);
    memcpy(text, timer->route_id.p, timer->route_id.n);
    memcpy(text + timer->route_id.n + 1, &timer->labels, sizeof(fingerprint)); /* little-endian, as buf_le64 */
    t->key = str_of(text, timer->route_id.n + 1 + sizeof(fingerprint));
    t->due = timer->due;
    t->flushed = timer->flushed;
    mem_free(map_put(&d->timers_restored, t->key, t));
}

bool dispatch_snapshot_timers(const struct dispatch *d, mono_ms now, struct wire_time wall, size_t *cursor,
                              size_t groups_max, struct buf *out)
{
    struct buf record = { 0 };
    for (size_t i = 0; i < groups_max && *cursor < d->groups_count; i++) {
        const struct group *g = d->groups[(*cursor)++];
        mono_ms tick = g->due ? g->tick : g->flush ? now : g->timer.deadline;
        struct alert_timer t = { g->route->id, g->fp, wire_time_add_ms(wall, tick.ms - now.ms), g->flushed };
        buf_reset(&record);
        alert_record_write_timer(&record, &t);
        alert_snapshot_add(out, buf_view(&record));
    }
    buf_deinit(&record);
    return *cursor < d->groups_count;
}

/* ---- Metrics ---- */

static const struct str state_names[] = {
    [ALERT_UNPROCESSED] = STR_INIT("unprocessed"),
    [ALERT_ACTIVE] = STR_INIT("active"),
    [ALERT_SUPPRESSED] = STR_INIT("suppressed"),
};

static void collect_by_group(struct dispatch *d, struct wire_time now)
{
    metric_vec_clear(d->stats.alerts);
    for (size_t i = 0; i < d->groups_count; i++) {
        size_t counts[ARRAY_LEN(state_names)] = { 0 };
        struct member_at at = { 0 };
        const struct alert_slot *s;
        while ((s = group_members_next(&d->groups[i]->members, &at)) != NULL)
            if (alert_slot_state(s, now) != ALERT_RESOLVED)
                counts[s->mark]++;
        for (size_t k = 0; k < ARRAY_LEN(state_names); k++) {
            struct str labels[] = { d->groups[i]->head->key, state_names[k] };
            gauge_set(metric_vec_gauge(d->stats.alerts, labels), (double)counts[k]);
        }
    }
}

void dispatch_collect(struct dispatch *d, struct wire_time now)
{
    gauge_set(&d->stats.groups, (double)d->groups_count);
    gauge_set(&d->stats.held, (double)alert_store_held_count(d->alerts));
    if (d->phase == PHASE_IDLE)
        return;
    if (d->options.group_keys_in_metrics) {
        collect_by_group(d, now);
        return;
    }
    size_t counts[ARRAY_LEN(state_names)] = { 0 };
    const struct alert_slot *s;
    for (uint32_t i = 0; (s = alert_store_next(d->alerts, &i)) != NULL;) {
        const struct route_memo *m = dispatch_group_memo(d, s);
        if (m && m->groups && alert_slot_state(s, now) != ALERT_RESOLVED)
            counts[s->mark]++;
    }
    for (size_t k = 0; k < ARRAY_LEN(state_names); k++)
        gauge_set(metric_vec_gauge(d->stats.alerts, &state_names[k]), (double)counts[k]);
}
