/* The engine of the pipeline: queues, timers, results, the life of flushes and runs.
 *
 *     flush:   queued <-> waiting            (stages of the flush; ends early, fails, or makes runs)
 *     run:     queued <-> waiting -> in flight -> queued ... -> over
 *
 * E1  A flush or run is in its queue (work.queued), or waits: for its timer, for an attempt's result, or for an event
 *     that wakes it. Spurious wakes are harmless: a stage asks again.
 * E2  A flush is over when its stages ended it or all of its runs are over; it is then in the list of done flushes once,
 *     unless it was abandoned: then it is freed.
 * E3  run->attempt != 0 exactly while the run is in by_attempt. Every attempt is answered by a result.
 * E4  An abandoned flush keeps only runs in flight; it takes no new attempt.
 * E5  After the deadline a run in flight is still waited for (its attempt has the same deadline); others fail. */
#include "base/mem.h"
#include "notify/notifier_int.h"

/* Most flushes are of one alert or two, and 20,000 may be under way. */
static const size_t FLUSH_BLOCK_BYTES = 304;
static const int64_t TURN_SOON_MS = 300; /* a back-off that is longer passes the turn on */
static const double BACKOFF_FIRST_MS = 500, BACKOFF_FACTOR = 1.5, BACKOFF_MAX_MS = 60000, BACKOFF_JITTER = 0.5;

/* ---- Out ---- */

void notify_out_init(struct notify_out *out)
{
    *out = (struct notify_out){ 0 };
    arena_init(&out->arena, ARENA_NO_LIMIT);
}

void notify_out_reset(struct notify_out *out)
{
    out->n = 0;
    arena_reset(&out->arena);
}

void notify_out_deinit(struct notify_out *out)
{
    mem_free(out->v);
    arena_deinit(&out->arena);
    *out = (struct notify_out){ 0 };
}

struct notify_effect *notify_out_add(struct notify_out *out, enum notify_effect_kind kind)
{
    if (out->n == out->capacity) {
        out->capacity = mem_grow(out->capacity, out->n + 1);
        out->v = mem_realloc_array(out->v, out->capacity, sizeof *out->v);
    }
    struct notify_effect *e = &out->v[out->n++];
    *e = (struct notify_effect){ .kind = kind };
    return e;
}

void notify_notice(struct notify_out *out, enum notify_notice_kind kind, const struct notify_flush *f,
                   const struct run *r, struct str err)
{
    struct notify_effect *e = notify_out_add(out, NOTIFY_NOTICE);
    e->notice = (struct notify_notice){
        .kind = kind,
        .group_key = arena_str(&out->arena, f->group_key),
        .receiver = arena_str(&out->arena, f->receiver->name),
        .integration = STR_EMPTY,
        .alerts = f->alerts_count,
        .err = arena_str(&out->arena, err),
    };
    if (!r)
        return;
    e->notice.integration = arena_printf(&out->arena, "%s[%u]", r->integration->name, (unsigned)r->integration->idx);
    e->notice.attempts = r->attempts;
}

struct notify_receivers *notify_receivers_retain(struct notify_receivers *r)
{
    unsigned before = atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return r;
}

void notify_receivers_release(struct notify_receivers *r)
{
    if (!r)
        return;
    unsigned before = atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1 && r->free)
        r->free(r->context);
}

/* ---- Queues ---- */

void notify_work_push(struct work_queue *q, struct work *w)
{
    if (w->queued)
        return;
    w->queued = true;
    w->next = NULL;
    *(q->last ? &q->last->next : &q->first) = w;
    q->last = w;
}

static struct work *work_pop(struct work_queue *q)
{
    struct work *w = q->first;
    if (!w)
        return NULL;
    q->first = w->next;
    if (!q->first)
        q->last = NULL;
    w->queued = false;
    w->next = NULL;
    return w;
}

static void work_remove(struct work_queue *q, struct work *w)
{
    if (!w->queued)
        return;
    struct work *before = NULL;
    for (struct work *at = q->first; at != w; at = at->next)
        before = at;
    *(before ? &before->next : &q->first) = w->next;
    if (q->last == w)
        q->last = before;
    w->queued = false;
    w->next = NULL;
}

/* ---- Life cycle ---- */

static void log_merged(void *arg, struct str key);

struct notifier *notifier_new(const struct notify_options *options, struct alert_store *alerts,
                              struct silencer *silencer, struct nflog *log, struct rng *rng)
{
    struct notifier *nt = MEM_NEW(struct notifier);
    nt->options = *options;
    nt->alerts = alerts;
    nt->silencer = silencer;
    nt->log = log;
    nt->rng = rng;
    nflog_on_merge(log, log_merged, nt);
    nt->claims = claims_new();
    nt->alone = true;
    nt->done_last = &nt->done;
    arena_init(&nt->scratch, ARENA_NO_LIMIT);
    if (options->receiver_names_in_metrics)
        metric_stats_init(notify_metrics_named, notify_metrics_named_count, &nt->stats);
    else
        metric_stats_init(notify_metrics, notify_metrics_count, &nt->stats);
    return nt;
}

static void run_free(struct run *r)
{
    struct notifier *nt = r->flush->nt;
    work_remove(&nt->runs, &r->work);
    timer_disarm(&nt->run_timers, &r->timer);
    if (r->attempt) {
        map64_remove(&nt->by_attempt, r->attempt);
        gauge_set(&nt->stats.in_flight, (double)nt->by_attempt.count);
    }
    if (r->same_prev) {
        *r->same_prev = r->same;
        if (r->same)
            r->same->same_prev = r->same_prev;
    } else if (r->same) {
        map64_put(&nt->by_claim, r->claim, r->same);
        r->same->same_prev = NULL;
    } else {
        map64_remove(&nt->by_claim, r->claim);
    }
    notify_outage_leave(r);
    buf_deinit(&r->last_error);
    notification_release(r->n);
}

void notify_flush_free(struct notifier *nt, struct notify_flush *f)
{
    for (size_t i = 0; i < f->runs_count; i++)
        run_free(&f->runs[i]);
    mem_free(f->runs);
    work_remove(&nt->flushes, &f->work);
    timer_disarm(&nt->flush_timers, &f->timer);
    *(f->prev ? &f->prev->next : &nt->all) = f->next;
    if (f->next)
        f->next->prev = f->prev;
    for (size_t i = 0; i < f->alerts_count; i++)
        alert_slot_release(nt->alerts, f->alerts[i].slot);
    mem_free(f->alerts);
    buf_deinit(&f->errors);
    notify_receivers_release(f->receivers);
    arena_deinit(&f->arena);
    mem_free(f);
}

static void members_free(struct claim_members *m)
{
    for (size_t i = 0; i < m->n; i++)
        mem_free((void *)(uintptr_t)m->v[i].name.p);
    mem_free((void *)(uintptr_t)m->v);
    *m = (struct claim_members){ 0 };
}

void notifier_free(struct notifier *nt)
{
    if (!nt)
        return;
    while (nt->all)
        notify_flush_free(nt, nt->all);
    ASSERT(nt->by_attempt.count == 0);
    ASSERT(nt->by_claim.count == 0);
    nflog_on_merge(nt->log, NULL, NULL);
    claims_free(nt->claims);
    members_free(&nt->members);
    map64_deinit(&nt->by_attempt);
    map64_deinit(&nt->by_claim);
    notify_outages_end(nt);
    timer_heap_deinit(&nt->run_timers);
    timer_heap_deinit(&nt->flush_timers);
    arena_deinit(&nt->scratch);
    buf_deinit(&nt->text);
    if (nt->options.receiver_names_in_metrics)
        metric_stats_deinit(notify_metrics_named, notify_metrics_named_count, &nt->stats);
    else
        metric_stats_deinit(notify_metrics, notify_metrics_count, &nt->stats);
    mem_free(nt);
}

struct notify_stats *notifier_stats(struct notifier *nt)
{
    return &nt->stats;
}

size_t notifier_in_flight(const struct notifier *nt)
{
    return nt->by_attempt.count;
}

/* ---- The end of things ---- */

void notify_flush_error(struct notify_flush *f, const char *fmt, ...)
{
    va_list ap;
    if (f->errors.n)
        buf_byte(&f->errors, '\n');
    va_start(ap, fmt);
    buf_vprintf(&f->errors, fmt, ap);
    va_end(ap);
}

static void flush_over(struct notify_flush *f, bool ok)
{
    struct notifier *nt = f->nt;
    ASSERT(!f->over);
    f->over = true;
    f->ok = ok;
    timer_disarm(&nt->flush_timers, &f->timer);
    work_remove(&nt->flushes, &f->work);
    if (f->abandoned) {
        notify_flush_free(nt, f);
        return;
    }
    *nt->done_last = f;
    nt->done_last = &f->next_done;
}

static void wake_twins(struct notifier *nt, uint64_t claim)
{
    for (struct run *t = map64_get(&nt->by_claim, claim); t; t = t->same)
        if (!t->over && !t->attempt)
            notify_work_push(&nt->runs, &t->work);
}

/* One thing less that the flush waits for; with the last one it is over. */
static void run_closed(struct stage_call *c, struct notify_flush *f)
{
    ASSERT(f->runs_open > 0);
    if (--f->runs_open)
        return;
    bool all_ok = true;
    for (size_t i = 0; i < f->runs_count; i++)
        all_ok = all_ok && f->runs[i].ok;
    if (!all_ok)
        notify_notice(c->out, f->abandoned ? NOTIFY_NOTICE_FLUSH_CANCELLED : NOTIFY_NOTICE_FLUSH_FAILED, f, NULL,
                      buf_view(&f->errors));
    flush_over(f, all_ok);
}

static void announce_failure(struct stage_call *c, struct run *r);

/* The run has ended; the flush may be freed by this. */
static void run_over(struct stage_call *c, struct run *r, bool ok)
{
    struct notify_flush *f = r->flush;
    ASSERT(!r->over && !r->attempt);
    r->over = true;
    r->ok = ok;
    if (r->announced && claims_are_ours(c->nt->claims, c->now, r->claim, &c->nt->members))
        announce_failure(c, r); /* never tried: the turn is somebody else's */
    timer_disarm(&c->nt->run_timers, &r->timer);
    notify_outage_leave(r);
    work_remove(&c->nt->runs, &r->work);
    run_closed(c, f);
}

/* The context has ended before the run did. */
static void run_cancelled(struct stage_call *c, struct run *r, enum send_reason reason)
{
    const char *context = reason == SEND_REASON_DEADLINE ? "context deadline exceeded" : "context canceled";
    struct str last = r->last_error.n ? buf_view(&r->last_error) : str_c(context);
    if (r->counted) {
        notify_flush_error(r->flush, "%.*s/%s[%u]: notify retry canceled after %u attempts: %.*s",
                    STR_ARG(r->flush->receiver->name), r->integration->name, (unsigned)r->integration->idx,
                    (unsigned)r->attempts + 1, STR_ARG(last));
        notify_count_failed(c->nt, r, r->last_error.n ? r->reason : reason);
    } else {
        notify_flush_error(r->flush, "%s", context);
    }
    run_over(c, r, false);
}

/* ---- Walking the stages ---- */

static void run_step(struct stage_call *c, struct run *r)
{
    struct notify_flush *f = r->flush;
    if (r->over || r->attempt)
        return;
    timer_disarm(&c->nt->run_timers, &r->timer);
    if (!mono_before(c->now, f->deadline) && r->stage < notify_stage_record()) {
        run_cancelled(c, r, SEND_REASON_DEADLINE);
        return;
    }
    while (r->stage < notify_stages_count) {
        arena_reset(&c->nt->scratch);
        enum stage_result res = notify_stages[r->stage].run(c, r);
        switch (res) {
        case STAGE_PASS:
            r->stage++;
            continue;
        case STAGE_END:
            run_over(c, r, true);
            return;
        case STAGE_WAIT:
            return;
        case STAGE_MORE:
            notify_work_push(&c->nt->runs, &r->work);
            return;
        case STAGE_FAIL:
            run_over(c, r, false);
            return;
        }
    }
    run_over(c, r, true);
}

static void make_runs(struct notify_flush *f)
{
    struct notifier *nt = f->nt;
    f->runs_count = f->runs_open = f->receiver->n;
    f->runs = mem_alloc_array(f->runs_count, sizeof *f->runs);
    for (size_t i = 0; i < f->runs_count; i++) {
        struct run *r = &f->runs[i];
        r->flush = f;
        r->integration = &f->receiver->v[i];
        r->stage = f->stage;
        r->hashes = &f->hashes;
        r->backoff_ms = BACKOFF_FIRST_MS;
        struct nflog_receiver receiver = { f->receiver->name, str_c(r->integration->name), r->integration->idx };
        buf_reset(&nt->text);
        nflog_key_write(&nt->text, f->group_key, &receiver);
        r->key = arena_str(&f->arena, buf_view(&nt->text));
        r->claim = claim_key(r->key);
        r->same = map64_put(&nt->by_claim, r->claim, r);
        if (r->same)
            r->same->same_prev = &r->same;
        notify_work_push(&nt->runs, &r->work);
    }
}

static void flush_step(struct stage_call *c, struct notify_flush *f)
{
    ASSERT(!f->over && !f->abandoned);
    if (!mono_before(c->now, f->deadline)) {
        notify_flush_error(f, "context deadline exceeded");
        notify_notice(c->out, NOTIFY_NOTICE_FLUSH_FAILED, f, NULL, buf_view(&f->errors));
        flush_over(f, false);
        return;
    }
    if (!f->begun)
        notify_notice(c->out, NOTIFY_NOTICE_FLUSHING, f, NULL, STR_EMPTY);
    f->begun = true;
    while (notify_stages[f->stage].flush) {
        arena_reset(&c->nt->scratch);
        enum stage_result res = notify_stages[f->stage].flush(c, f);
        switch (res) {
        case STAGE_PASS:
            f->stage++;
            f->cursor = 0;
            continue;
        case STAGE_END:
            flush_over(f, true);
            return;
        case STAGE_WAIT:
            return;
        case STAGE_MORE:
            notify_work_push(&c->nt->flushes, &f->work);
            return;
        case STAGE_FAIL:
            flush_over(f, false);
            return;
        }
    }
    ASSERT(f->stage == notify_stage_wait());
    timer_disarm(&c->nt->flush_timers, &f->timer); /* from here on each run minds the deadline */
    if (f->receiver->n == 0)
        flush_over(f, true);
    else
        make_runs(f);
}

/* ---- Flushes ---- */

struct notify_flush *notifier_flush(struct notifier *nt, mono_ms now, const struct notify_flush_spec *spec,
                                    struct notify_alert *alerts, size_t alerts_count)
{
    ASSERT(spec->receiver < spec->receivers->n);
    struct notify_flush *f = MEM_NEW(struct notify_flush);
    arena_init(&f->arena, ARENA_NO_LIMIT);
    f->arena.block_bytes = FLUSH_BLOCK_BYTES;
    f->nt = nt;
    f->owner = spec->owner;
    f->receivers = notify_receivers_retain(spec->receivers);
    f->receiver = &spec->receivers->v[spec->receiver];
    f->group_key = arena_str(&f->arena, spec->group_key);
    f->route_id = arena_str(&f->arena, spec->route_id);
    f->group_labels = labels_copy(&f->arena, spec->group_labels);
    f->route_labels = labels_copy(&f->arena, spec->route_labels);
    f->active = spec->active;
    f->active_count = spec->active_count;
    f->mute = spec->mute;
    f->mute_count = spec->mute_count;
    f->repeat_interval_ms = spec->repeat_interval_ms;
    f->timeout_ms = spec->timeout_ms;
    f->tick = spec->tick;
    f->taken = spec->taken;
    f->deadline = mono_add(now, spec->timeout_ms + (int64_t)nt->members.self * nt->options.peer_timeout_ms);
    f->inhibitor = spec->inhibitor;
    f->alerts = alerts;
    f->alerts_count = f->left = alerts_count;
    f->next = nt->all;
    if (nt->all)
        nt->all->prev = f;
    nt->all = f;
    timer_arm(&nt->flush_timers, &f->timer, f->deadline);
    notify_work_push(&nt->flushes, &f->work);
    return f;
}

static void done_remove(struct notifier *nt, struct notify_flush *f)
{
    struct notify_flush **at = &nt->done;
    while (*at && *at != f)
        at = &(*at)->next_done;
    if (!*at)
        return;
    *at = f->next_done;
    if (nt->done_last == &f->next_done)
        nt->done_last = at;
}

void notifier_abandon(struct notifier *nt, struct notify_flush *f, struct notify_out *out)
{
    struct stage_call c = { .nt = nt, .out = out };
    f->owner = NULL;
    f->abandoned = true;
    if (f->over) {
        done_remove(nt, f);
        notify_flush_free(nt, f);
        return;
    }
    if (!f->runs) {
        notify_notice(out, NOTIFY_NOTICE_FLUSH_CANCELLED, f, NULL, STR("context canceled"));
        notify_flush_free(nt, f);
        return;
    }
    f->runs_open++; /* keeps the flush until the walk is over */
    for (size_t i = 0; i < f->runs_count; i++)
        if (!f->runs[i].over && !f->runs[i].attempt)
            run_cancelled(&c, &f->runs[i], SEND_REASON_CANCELED);
    run_closed(&c, f);
}

void notifier_cancel_all(struct notifier *nt, struct notify_out *out)
{
    const struct run *r;
    for (size_t i = 0; (r = map64_next(&nt->by_attempt, &i)) != NULL;)
        notify_out_add(out, NOTIFY_CANCEL)->attempt.id = r->attempt;
}

struct notify_flush *notifier_done(struct notifier *nt)
{
    struct notify_flush *f = nt->done;
    if (!f)
        return NULL;
    nt->done = f->next_done;
    if (!nt->done)
        nt->done_last = &nt->done;
    f->next_done = NULL;
    return f;
}

void *notify_flush_owner(const struct notify_flush *f)
{
    return f->owner;
}

bool notify_flush_ok(const struct notify_flush *f)
{
    ASSERT(f->over);
    return f->ok;
}

const struct str *notify_flush_muted_by(const struct notify_flush *f, size_t *count, bool *ran)
{
    *count = f->muted_by_count;
    *ran = f->time_ran;
    return f->muted_by;
}

const struct notify_alert *notify_flush_alerts(const struct notify_flush *f, size_t *count)
{
    *count = f->alerts_count;
    return f->alerts;
}

/* ---- Events ---- */

static void wake_all(struct notifier *nt)
{
    for (struct notify_flush *f = nt->all; f; f = f->next) {
        if (f->over)
            continue;
        if (!f->runs)
            notify_work_push(&nt->flushes, &f->work);
        for (size_t i = 0; i < f->runs_count; i++)
            if (!f->runs[i].over && !f->runs[i].attempt)
                notify_work_push(&nt->runs, &f->runs[i].work);
    }
}

static bool members_same(const struct claim_members *a, const struct claim_members *b)
{
    if (a->n != b->n || a->self != b->self)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->v[i].claims != b->v[i].claims || a->v[i].absent != b->v[i].absent || !str_eq(a->v[i].name, b->v[i].name))
            return false;
    return true;
}

void notifier_set_peers(struct notifier *nt, mono_ms now, const struct claim_members *members, bool settled)
{
    (void)now; /* what waits asks for its turn again at the next step */
    if (settled == nt->settled && members_same(&nt->members, members))
        return;
    struct claim_member *v = mem_alloc_array(members->n, sizeof *v);
    size_t others = 0;
    for (size_t i = 0; i < members->n; i++) {
        struct str name = members->v[i].name;
        v[i] = members->v[i];
        v[i].name = str_of(mem_dup(name.p, name.n), name.n);
        others += i != members->self && (v[i].claims || v[i].absent);
    }
    members_free(&nt->members);
    nt->members = (struct claim_members){ v, members->n, members->self };
    nt->alone = others == 0 || members->self >= members->n;
    nt->settled = settled;
    wake_all(nt);
}

static void copy_result_data(struct run *r, const struct notify_result *res)
{
    struct arena *a = &r->flush->arena;
    struct receiver_value *v = arena_alloc_array(a, res->data_count, sizeof *v);
    for (size_t i = 0; i < res->data_count; i++) {
        v[i] = res->data[i];
        v[i].key = arena_str(a, res->data[i].key);
        v[i].s = arena_str(a, res->data[i].s);
    }
    r->data = v;
    r->data_count = res->data_count;
}

static void announce_failure(struct stage_call *c, struct run *r)
{
    if (c->nt->alone)
        return;
    struct claim_message m;
    claims_fail(c->nt->claims, c->now, r->claim, &c->nt->members, &m);
    notify_announce(c->nt, &m, STR_EMPTY, c->out);
}

/* The next attempt is due a jittered interval after this one began, or when the integration recovers. */
static void back_off(struct notifier *nt, struct run *r)
{
    r->tries++;
    r->admitted = false;
    notify_outage_leave(r);
    notify_outage_join(nt, r);
    double jitter = 1 - BACKOFF_JITTER + 2 * BACKOFF_JITTER * rng_unit(nt->rng);
    r->next_at = mono_add(r->attempt_at, (int64_t)(r->backoff_ms * jitter));
    r->backoff_ms *= BACKOFF_FACTOR;
    if (r->backoff_ms > BACKOFF_MAX_MS)
        r->backoff_ms = BACKOFF_MAX_MS;
}

void notify_spare(struct stage_call *c, struct run *r)
{
    struct notifier *nt = c->nt;
    struct claim_message m;
    ASSERT(!r->attempt && !r->announced);
    if (!nt->alone && claims_decline(nt->claims, c->now, r->claim, &nt->members, &m))
        notify_announce(nt, &m, STR_EMPTY, c->out);
    counter_add(&nt->stats.spared, 1);
    notify_outage_tell(nt, r);
    r->attempt_at = c->now;
    back_off(nt, r);
}

static void result_retry(struct stage_call *c, struct run *r, const struct notify_result *res)
{
    struct notify_flush *f = r->flush;
    announce_failure(c, r);
    if (!f->abandoned) /* else of a configuration before, whose integrations are gone */
        notify_outage_failed(c->nt, r, res->reason, res->error);
    if (f->abandoned || !mono_before(c->now, f->deadline)) {
        run_cancelled(c, r, f->abandoned ? SEND_REASON_CANCELED : SEND_REASON_DEADLINE);
        return;
    }
    if (!r->last_error.n || !str_eq(buf_view(&r->last_error), res->error))
        notify_notice(c->out, NOTIFY_NOTICE_RETRY, f, r, res->error);
    buf_reset(&r->last_error);
    buf_str(&r->last_error, res->error);
    r->reason = res->reason;
    back_off(c->nt, r);
    r->stage = notify_stage_wait();
    notify_work_push(&c->nt->runs, &r->work);
}

static void result_fail(struct stage_call *c, struct run *r, const struct notify_result *res)
{
    announce_failure(c, r);
    notify_flush_error(r->flush, "%.*s/%s[%u]: notify retry canceled due to unrecoverable error after %u attempts: %.*s",
                STR_ARG(r->flush->receiver->name), r->integration->name, (unsigned)r->integration->idx,
                (unsigned)r->attempts, STR_ARG(res->error));
    notify_count_failed(c->nt, r, res->reason);
    run_over(c, r, false);
}

void notifier_result(struct notifier *nt, mono_ms now, struct wire_time wall, const struct notify_result *res,
                     struct notify_out *out)
{
    struct run *r = map64_remove(&nt->by_attempt, res->attempt);
    if (!r)
        return;
    size_t budget = SIZE_MAX;
    struct stage_call c = { .nt = nt, .now = now, .wall = wall, .budget = &budget, .out = out };
    uint64_t claim = r->claim;
    r->attempt = 0;
    gauge_set(&nt->stats.in_flight, (double)nt->by_attempt.count);
    notify_count_attempt(nt, r, res);
    switch (res->verdict) {
    case SEND_DONE:
        copy_result_data(r, res);
        notify_notice(out, r->attempts > 1 ? NOTIFY_NOTICE_RECOVERED : NOTIFY_NOTICE_SENT, r->flush, r, STR_EMPTY);
        out->v[out->n - 1].notice.seconds = res->seconds;
        if (!r->flush->abandoned)
            notify_outage_succeeded(nt, now, r);
        r->stage = notify_stage_record();
        run_step(&c, r);
        break;
    case SEND_REQUEST: /* no verdict of an attempt */
    case SEND_RETRY:
        result_retry(&c, r, res);
        break;
    case SEND_FAIL:
        result_fail(&c, r, res);
        break;
    }
    wake_twins(nt, claim);
}

/* Has this node anything to say under the key, and may it do so soon? */
static bool wants_turn(const struct notifier *nt, mono_ms now, uint64_t claim)
{
    for (const struct run *t = map64_get(&nt->by_claim, claim); t; t = t->same)
        if (!t->over && (t->tries == 0 || !mono_before(mono_add(now, TURN_SOON_MS), t->next_at)))
            return true;
    return false;
}

static const struct run *trying(const struct notifier *nt, mono_ms now, uint64_t claim)
{
    for (const struct run *t = map64_get(&nt->by_claim, claim); t; t = t->same)
        if (t->attempt && mono_before(now, mono_add(t->attempt_at, CLAIM_BOUND_MS)))
            return t;
    return NULL;
}

/* A peer is about to try. */
static void answer_question(struct notifier *nt, mono_ms now, const struct claim_message *m, struct notify_out *out)
{
    struct claim_message answer;
    buf_reset(&nt->text);
    if (nflog_newer(nt->log, m->key, m->seen, &nt->text)) {
        notify_out_add(out, NOTIFY_RECORD_AGAIN)->bytes = arena_str(&out->arena, buf_view(&nt->text));
        return;
    }
    const struct run *r = trying(nt, now, m->key);
    if (r) {
        claims_insist(nt->claims, now, m, &nt->members, notify_entry_time(nt, r->key), &answer);
        notify_announce(nt, &answer, STR_EMPTY, out);
    } else if (claims_asked(nt->claims, now, m, &nt->members, &answer)) {
        notify_announce(nt, &answer, answer.kind == CLAIM_YES ? m->holder : STR_EMPTY, out);
        wake_twins(nt, m->key);
    }
}

void notifier_hear_claim(struct notifier *nt, mono_ms now, const struct claim_message *m, struct notify_out *out)
{
    if (nt->members.self >= nt->members.n)
        return;
    if (m->kind == CLAIM_ASK) {
        answer_question(nt, now, m, out);
        return;
    }
    enum claim_heard heard = claims_hear(nt->claims, now, m, &nt->members);
    if (heard == CLAIM_OLD)
        return;
    counter_add(&nt->stats.claims_heard, 1);
    if (heard == CLAIM_OURS && !wants_turn(nt, now, m->key)) {
        struct claim_message pass;
        claims_pass(nt->claims, now, m->key, &nt->members, &pass);
        notify_announce(nt, &pass, STR_EMPTY, out);
    }
    wake_twins(nt, m->key);
}

/* A peer's entry was taken into the log. */
static void log_merged(void *arg, struct str key)
{
    struct notifier *nt = arg;
    uint64_t claim = claim_key(key);
    claims_logged(nt->claims, claim, notify_entry_time(nt, key));
    for (struct run *t = map64_get(&nt->by_claim, claim); t; t = t->same)
        t->logged = true;
    wake_twins(nt, claim);
}

/* ---- Steps ---- */

static void run_queue(struct stage_call *c)
{
    struct work *w;
    while (*c->budget && (w = work_pop(&c->nt->runs)) != NULL) {
        run_step(c, container_of(w, struct run, work));
        *c->budget -= *c->budget > 0;
    }
}

static void flush_queue(struct stage_call *c)
{
    struct work *w;
    while (*c->budget && (w = work_pop(&c->nt->flushes)) != NULL) {
        flush_step(c, container_of(w, struct notify_flush, work));
        *c->budget -= *c->budget > 0;
    }
}

void notifier_step(struct notifier *nt, mono_ms now, struct wire_time wall, size_t budget, struct notify_out *out)
{
    struct stage_call c = { .nt = nt, .now = now, .wall = wall, .budget = &budget, .out = out };
    struct timer_entry *t;
    while ((t = timer_pop(&nt->run_timers, now)) != NULL)
        notify_work_push(&nt->runs, &container_of(t, struct run, timer)->work);
    while ((t = timer_pop(&nt->flush_timers, now)) != NULL)
        notify_work_push(&nt->flushes, &container_of(t, struct notify_flush, timer)->work);
    run_queue(&c); /* what is nearly through goes first, so that little is held in between */
    flush_queue(&c);
    run_queue(&c);
}

mono_ms notifier_next_turn(const struct notifier *nt)
{
    return timer_next(&nt->run_timers);
}

mono_ms notifier_deadline(const struct notifier *nt)
{
    if (nt->runs.first || nt->flushes.first)
        return (mono_ms){ 0 };
    return mono_min(timer_next(&nt->run_timers), timer_next(&nt->flush_timers));
}
