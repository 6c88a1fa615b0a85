/* What arrives is a mail; what leaves is a hook call, a journal record, or an answer. Each turn of the loop ends in end_turn():
 * the journal's buffer goes to the disk thread if no batch is under way, and the timer is armed for dispatch_deadline().
 *
 * A1  Nothing on this thread takes longer than a slice: alerts in DISPATCH_ALERTS_MAX, merges and snapshots in SLICE_*. */
#include "app/alert_thread_int.h"

#include "base/log.h"

#define INBOX_MAX           65536
#define TURN_LEAD_MS        3000 /* before a turn comes, enough for a push/pull; then again each TURN_EVERY_MS */
#define TURN_EVERY_MS       2000
#define CLAIMS_GAP_MS       10 /* between batches of claims */

void alert_thread_mail_free(struct alert_mail *m)
{
    if (!m || m->in_arena)
        return;
    arena_deinit(&m->arena);
    mem_free(m);
}

/* ---- effects ---- */

static void log_notice(const struct notify_notice *n)
{
    switch (n->kind) {
    case NOTIFY_NOTICE_FLUSH_FAILED:
        log_error("Notify for alerts failed", LOG_STR("component", STR("dispatcher")), LOG_INT("num_alerts", n->alerts),
                  LOG_STR("aggrGroup", n->group_key), LOG_STR("err", n->err));
        return;
    case NOTIFY_NOTICE_FLUSH_CANCELLED:
        log_debug("Notify for alerts failed", LOG_STR("component", STR("dispatcher")), LOG_INT("num_alerts", n->alerts),
                  LOG_STR("aggrGroup", n->group_key), LOG_STR("err", n->err));
        return;
    case NOTIFY_NOTICE_RETRY:
        log_warn("Notify attempt failed, will retry later", LOG_STR("component", STR("dispatcher")),
                 LOG_STR("receiver", n->receiver), LOG_STR("integration", n->integration),
                 LOG_STR("aggrGroup", n->group_key), LOG_INT("attempts", n->attempts), LOG_STR("err", n->err));
        return;
    case NOTIFY_NOTICE_RECOVERED:
        log_info("Notify success", LOG_STR("component", STR("dispatcher")), LOG_STR("receiver", n->receiver),
                 LOG_STR("integration", n->integration), LOG_STR("aggrGroup", n->group_key),
                 LOG_INT("attempts", n->attempts), LOG_F64("duration", n->seconds));
        return;
    case NOTIFY_NOTICE_SENT:
        log_debug("Notify success", LOG_STR("component", STR("dispatcher")), LOG_STR("receiver", n->receiver),
                  LOG_STR("integration", n->integration), LOG_STR("aggrGroup", n->group_key),
                  LOG_INT("attempts", n->attempts), LOG_F64("duration", n->seconds));
        return;
    case NOTIFY_NOTICE_FLUSHING:
        log_debug("flushing", LOG_STR("component", STR("dispatcher")), LOG_STR("aggrGroup", n->group_key),
                  LOG_INT("num_alerts", n->alerts));
        return;
    case NOTIFY_NOTICE_ALERT_REFUSED:
        log_error("error on set alert", LOG_STR("err", n->err));
        return;
    }
}

void alert_thread_broadcast(struct alert_thread *t, struct str key, struct str record, bool relay)
{
    if (t->hooks.broadcast)
        t->hooks.broadcast(t->hooks.arg, key, record, relay);
}

static void perform(struct alert_thread *t)
{
    for (size_t i = 0; i < t->out.n; i++) {
        struct notify_effect *e = &t->out.v[i];
        switch (e->kind) {
        case NOTIFY_ATTEMPT:
            t->hooks.attempt(t->hooks.arg, &e->attempt);
            break;
        case NOTIFY_CANCEL:
            t->hooks.cancel(t->hooks.arg, e->attempt.id);
            break;
        case NOTIFY_RECORD:
            alert_thread_journal_note(t, JOURNAL_NFLOG, e->bytes);
            alert_thread_broadcast(t, STR("nfl"), e->bytes, false);
            break;
        case NOTIFY_RECORD_AGAIN:
            alert_thread_broadcast(t, STR("nfl"), e->bytes, false);
            break;
        case NOTIFY_CLAIM:
            if (t->hooks.claim)
                claim_outbox_add(&t->claims, e->to, &e->claim);
            break;
        case NOTIFY_NOTICE:
            log_notice(&e->notice);
            break;
        }
    }
    notify_out_reset(&t->out);
}

void alert_thread_feed(struct alert_thread *t, const struct dispatch_event *ev)
{
    dispatch_step(t->dispatch, loop_now(t->loop), clock_wall(), ev, &t->out);
    perform(t);
    alert_thread_turn_soon(t);
}

static void step_tick(void *arg)
{
    alert_thread_feed(arg, NULL);
}

static void applied(struct alert_thread *t)
{
    if (!t->applying || !dispatch_loaded(t->dispatch))
        return;
    struct alert_mail *m = t->applying;
    t->applying = NULL;
    if (m->applied)
        m->applied(m->arg);
    alert_thread_mail_free(m);
}

static void turn_tick(void *arg)
{
    struct alert_thread *t = arg;
    t->turn_told = loop_now(t->loop);
    t->on_turn(t->on_turn_arg);
    alert_thread_turn_soon(t);
}

static void arm_turn(struct alert_thread *t)
{
    mono_ms due = t->on_turn ? dispatch_next_turn(t->dispatch) : MONO_NEVER;
    mono_ms earliest = mono_add(t->turn_told, TURN_EVERY_MS);
    if (due.ms == INT64_MAX) {
        loop_timer_stop(t->loop, &t->turn_timer);
        return;
    }
    due = mono_add(due, -TURN_LEAD_MS);
    loop_timer_at(t->loop, &t->turn_timer, mono_before(due, earliest) ? earliest : due);
}

void alert_thread_on_turn(struct alert_thread *t, void (*turn)(void *arg), void *arg)
{
    t->on_turn = turn;
    t->on_turn_arg = arg;
    arm_turn(t);
}

static void claims_tick(void *arg)
{
    struct alert_thread *t = arg;
    t->claims_sent = loop_now(t->loop);
    claim_outbox_flush(&t->claims);
}

static void send_claims(struct alert_thread *t)
{
    if (claim_outbox_is_empty(&t->claims))
        return;
    mono_ms due = mono_add(t->claims_sent, CLAIMS_GAP_MS);
    if (mono_before(loop_now(t->loop), due))
        loop_timer_at(t->loop, &t->claims_timer, due);
    else
        claims_tick(t);
}

/* The end of each turn in which something happened. */
static void end_turn(void *arg)
{
    struct alert_thread *t = arg;
    t->turn_due = false;
    alert_thread_flush_or_gather(t);
    send_claims(t);
    applied(t);
    alert_thread_answer_groups(t);
    mono_ms due = dispatch_deadline(t->dispatch);
    if (due.ms == INT64_MAX)
        loop_timer_stop(t->loop, &t->step_timer);
    else
        loop_timer_at(t->loop, &t->step_timer, due);
    arm_turn(t);
}

void alert_thread_turn_soon(struct alert_thread *t)
{
    if (t->turn_due)
        return;
    t->turn_due = true;
    loop_defer(t->loop, &t->turn);
}

/* ---- mail ---- */

static void configure(struct alert_thread *t, struct alert_mail *m)
{
    if (t->applying && t->applying->applied)
        t->applying->applied(t->applying->arg);
    alert_thread_mail_free(t->applying);
    t->applying = m;
    alert_thread_feed(t, &(struct dispatch_event){ .kind = DISPATCH_CONFIG, .config = m->config });
}

static void begin_stop(struct alert_thread *t)
{
    t->stopping = true;
    for (size_t i = 0; i < t->groups_waiting_count; i++)
        alert_thread_answer_unavailable(t->groups_waiting[i]);
    t->groups_waiting_count = 0;
    alert_thread_maintenance(t); /* if one is under way it ends the loop when it is written */
}

static void deliver(void *arg, struct mail *mail)
{
    struct alert_thread *t = arg;
    struct alert_mail *m = container_of(mail, struct alert_mail, mail);
    switch (m->kind) {
    case MAIL_ASK:
        alert_thread_handle_ask(t, m->ask); /* m is gone now */
        return;
    case MAIL_RESULT:
        alert_thread_feed(t, &(struct dispatch_event){ .kind = DISPATCH_RESULT, .result = &m->result });
        break;
    case MAIL_MEMBERS:
        alert_thread_feed(t, &(struct dispatch_event){ .kind = DISPATCH_PEERS, .members = &m->members, .settled = m->settled });
        break;
    case MAIL_DELIVER:
        if (alert_thread_handle_deliver(t, m))
            return;
        break;
    case MAIL_CONFIG:
        configure(t, m);
        return;
    case MAIL_CALL:
        m->run(t, m->arg);
        break;
    case MAIL_QUIESCE:
        alert_thread_feed(t, &(struct dispatch_event){ .kind = DISPATCH_STOP });
        break;
    case MAIL_STOP:
        begin_stop(t);
        break;
    }
    alert_thread_mail_free(m);
}

static struct alert_mail *mail_new(enum mail_kind kind)
{
    struct alert_mail *m = MEM_NEW(struct alert_mail);
    m->kind = kind;
    arena_init(&m->arena, ARENA_NO_LIMIT);
    return m;
}

/* For mail that is not refused for being too much: its number is bounded by what it answers. */
static bool post(struct alert_thread *t, struct alert_mail *m)
{
    bool taken = mailbox_post_answer(t->inbox, &m->mail);
    if (!taken)
        alert_thread_mail_free(m);
    return taken;
}

void alert_thread_ask(struct alert_thread *t, struct api_ask *q)
{
    struct alert_mail *m = ARENA_NEW(q->arena, struct alert_mail);
    m->kind = MAIL_ASK;
    m->in_arena = true;
    m->ask = q;
    if (!mailbox_post(t->inbox, &m->mail))
        alert_thread_answer_unavailable(q);
}

void alert_thread_result(struct alert_thread *t, struct notify_result *r)
{
    struct alert_mail *m = mail_new(MAIL_RESULT);
    m->result = *r;
    m->result.data = NULL;
    if (r->error.n == 0 && r->data_count == 0) { /* thousands may wait, and mostly there is nothing to tell */
        m->result.error = STR_EMPTY;
        mail_bundle_add(&t->results, &m->mail);
        return;
    }
    m->result.error = arena_str(&m->arena, r->error);
    struct receiver_value *data = arena_alloc_array(&m->arena, r->data_count, sizeof *data);
    for (size_t i = 0; i < r->data_count; i++) {
        data[i] = r->data[i];
        data[i].key = arena_str(&m->arena, data[i].key);
        data[i].s = arena_str(&m->arena, data[i].s);
    }
    m->result.data = data;
    mail_bundle_add(&t->results, &m->mail);
}

void alert_thread_results_end(struct alert_thread *t)
{
    if (mailbox_post_bundle(t->inbox, &t->results))
        return;
    for (struct mail *m = t->results.newest, *next; m; m = next) {
        next = m->next;
        alert_thread_mail_free(container_of(m, struct alert_mail, mail));
    }
    t->results = (struct mail_bundle){ 0 };
}

void alert_thread_members(struct alert_thread *t, const struct claim_members *members, bool settled)
{
    struct alert_mail *m = mail_new(MAIL_MEMBERS);
    struct claim_member *v = arena_alloc_array(&m->arena, members->n, sizeof *v);
    for (size_t i = 0; i < members->n; i++) {
        v[i] = members->v[i];
        v[i].name = arena_str(&m->arena, members->v[i].name);
    }
    m->members = (struct claim_members){ v, members->n, members->self };
    m->settled = settled;
    (void)post(t, m);
}

void alert_thread_deliver(struct alert_thread *t, struct str key, struct str bytes)
{
    if (!alert_thread_can_merge(t, key, bytes)) /* on the sender's thread: it is not this one's time */
        return;
    struct alert_mail *m = mail_new(MAIL_DELIVER);
    m->key = arena_str(&m->arena, key);
    m->bytes = arena_str(&m->arena, bytes);
    (void)post(t, m);
}

bool alert_thread_call(struct alert_thread *t, void (*run)(struct alert_thread *t, void *arg), void *arg)
{
    struct alert_mail *m = mail_new(MAIL_CALL);
    m->run = run;
    m->arg = arg;
    return post(t, m);
}

void alert_thread_configure(struct alert_thread *t, const struct dispatch_config *config, void (*done)(void *arg), void *arg)
{
    struct alert_mail *m = mail_new(MAIL_CONFIG);
    m->config = config;
    m->applied = done;
    m->arg = arg;
    (void)post(t, m);
}

struct alert_store *alert_thread_alerts(struct alert_thread *t)
{
    return t->alerts;
}

struct loop *alert_thread_loop(struct alert_thread *t)
{
    return t->loop;
}

/* ---- start ---- */

static void disk_done(void *arg, struct disk_job *job)
{
    struct alert_thread *t = arg;
    switch (job->kind) {
    case DISK_JOURNAL:
        alert_thread_batch_done(t, job);
        return;
    case DISK_JOURNAL_SYNC:
        alert_thread_sync_done(t, job);
        return;
    case DISK_SNAPSHOT:
        alert_thread_snapshot_done(t, job);
        return;
    }
}

static void make_stores(struct alert_thread *t, const struct alert_thread_options *o)
{
    const struct options *flags = o->options;
    const int64_t ms = 1000000;
    t->alerts = alert_store_new(&(struct alert_store_options){
        .per_alertname_limit = flags->alerts_per_alertname_limit, .names_in_metrics = o->alert_names_in_metrics });
    t->silences = silence_store_new(&(struct silence_options){
        .retention_ms = flags->data_retention_ns / ms, .silences_max = flags->silences_max,
        .size_bytes_max = flags->silences_max_size_bytes, .mode = o->mode });
    t->nflog = nflog_new(flags->data_retention_ns / ms);
    struct dispatch_options d = { .start_delay_ms = flags->dispatch_start_delay_ns / ms,
                                  .peer_timeout_ms = o->clustered ? flags->cluster_peer_timeout_ns / ms : 0,
                                  .receiver_names_in_metrics = o->receiver_names_in_metrics,
                                  .group_keys_in_metrics = o->group_keys_in_metrics };
    rng_seed(&d.rng, o->seed);
    rng_seed(&t->rng, o->seed ^ UINT64_C(0x9e3779b97f4a7c15));
    t->dispatch = dispatch_new(&d, clock_mono(), t->alerts, t->silences, t->nflog);
    t->replicas[0] = silence_store_replica(t->silences);
    t->replicas[1] = nflog_replica(t->nflog);
}

static void free_stores(struct alert_thread *t)
{
    dispatch_free(t->dispatch);
    nflog_free(t->nflog);
    silence_store_free(t->silences);
    alert_store_free(t->alerts);
}

static void register_metrics(struct alert_thread *t)
{
    struct metric_registry *r = t->o.registry;
    const struct alert_thread_options *o = &t->o;
    if (o->alert_names_in_metrics)
        metric_registry_add(r, alert_metrics_named, alert_metrics_named_count, alert_store_stats(t->alerts), NULL, NULL);
    else
        metric_registry_add(r, alert_metrics, alert_metrics_count, alert_store_stats(t->alerts), NULL, NULL);
    metric_registry_add(r, silence_metrics, silence_metrics_count, silence_store_stats(t->silences), NULL, NULL);
    metric_registry_add(r, nflog_metrics, nflog_metrics_count, nflog_stats(t->nflog), NULL, NULL);
    metric_registry_add(r, inhibit_metrics, inhibit_metrics_count, dispatch_inhibit_stats(t->dispatch), NULL, NULL);
    if (o->group_keys_in_metrics)
        metric_registry_add(r, dispatch_metrics_keyed, dispatch_metrics_keyed_count, dispatch_stats(t->dispatch), NULL, NULL);
    else
        metric_registry_add(r, dispatch_metrics, dispatch_metrics_count, dispatch_stats(t->dispatch), NULL, NULL);
    if (o->receiver_names_in_metrics)
        metric_registry_add(r, notify_metrics_named, notify_metrics_named_count, dispatch_notify_stats(t->dispatch), NULL,
                            NULL);
    else
        metric_registry_add(r, notify_metrics, notify_metrics_count, dispatch_notify_stats(t->dispatch), NULL, NULL);
    metric_registry_add(r, disk_metrics, disk_metrics_count, disk_thread_stats(t->disk), NULL, NULL);
}

static void run(void *arg)
{
    struct alert_thread *t = arg;
    const struct options *flags = t->o.options;
    loop_timer_in(t->loop, &t->sync_timer, JOURNAL_SYNC_MS);
    loop_timer_every(t->loop, &t->maintenance_timer, flags->data_maintenance_interval_ns / 1000000);
    loop_timer_every(t->loop, &t->gc_timer, flags->alerts_gc_interval_ns / 1000000);
    if (!t->o.clustered) {
        const struct claim_member self = { .name = STR("self"), .claims = true };
        const struct claim_members alone = { &self, 1, 0 };
        alert_thread_feed(t, &(struct dispatch_event){ .kind = DISPATCH_PEERS, .members = &alone, .settled = true });
    }
    loop_run(t->loop);
    mailbox_close(t->inbox); /* what is still queued is answered */
    disk_thread_stop(t->disk);
    (void)alert_thread_release_waiting(t, UINT64_MAX, NULL);
}

static void init_timers(struct alert_thread *t)
{
    t->turn = (struct loop_call){ .run = end_turn, .arg = t };
    t->step_timer = (struct loop_timer){ .fire = step_tick, .arg = t };
    t->sync_timer = (struct loop_timer){ .fire = alert_thread_sync_tick, .arg = t };
    t->maintenance_timer = (struct loop_timer){ .fire = alert_thread_maintenance_tick, .arg = t };
    t->gc_timer = (struct loop_timer){ .fire = alert_thread_gc_tick, .arg = t };
    t->slice_timer = (struct loop_timer){ .fire = alert_thread_slice_tick, .arg = t };
    t->gc_slice_timer = (struct loop_timer){ .fire = alert_thread_gc_slice, .arg = t };
    t->turn_timer = (struct loop_timer){ .fire = turn_tick, .arg = t };
    t->claims_timer = (struct loop_timer){ .fire = claims_tick, .arg = t };
    t->merge_timer = (struct loop_timer){ .fire = alert_thread_merge_tick, .arg = t };
    t->gather_timer = (struct loop_timer){ .fire = alert_thread_gather_tick, .arg = t };
}

struct alert_thread *alert_thread_start(const struct alert_thread_options *options, const struct alert_thread_hooks *hooks,
                                        struct err *err)
{
    static const char *const names[FILES] = { [FILE_SILENCES] = "silences", [FILE_NFLOG] = "nflog", [FILE_ALERTS] = "alerts" };
    struct alert_thread *t = MEM_NEW(struct alert_thread);
    t->o = *options;
    t->hooks = *hooks;
    t->claims = (struct claim_outbox){ .send = hooks->claim, .arg = hooks->arg };
    arena_init(&t->arena, ARENA_NO_LIMIT);
    for (size_t i = 0; i < FILES; i++)
        t->paths[i] = arena_printf(&t->arena, "%.*s/%s", STR_ARG(options->options->storage_path), names[i]);
    t->merging_last = &t->merging;
    notify_out_init(&t->out);
    make_stores(t, options);
    t->loop = loop_new("alert", options->loop_metrics);
    t->inbox = mailbox_new(t->loop, "alert", INBOX_MAX, options->mailbox_metrics, deliver, t);
    init_timers(t);
    if (alert_thread_restore(t, err) && (t->disk = disk_thread_start(t->loop, options->fs, disk_done, t, err)) != NULL) {
        register_metrics(t);
        if (thread_start(&t->thread, "alert", run, t, err))
            return t;
        disk_thread_stop(t->disk);
    }
    mailbox_close(t->inbox);
    alert_thread_free(t);
    return NULL;
}

void alert_thread_quiesce(struct alert_thread *t)
{
    (void)post(t, mail_new(MAIL_QUIESCE));
}

void alert_thread_stop(struct alert_thread *t)
{
    (void)post(t, mail_new(MAIL_STOP));
    thread_join(&t->thread);
}

void alert_thread_free(struct alert_thread *t)
{
    if (!t)
        return;
    mailbox_free(t->inbox);
    loop_free(t->loop);
    journal_close(t->journal);
    free_stores(t);
    notify_out_deinit(&t->out);
    claim_outbox_deinit(&t->claims);
    for (size_t i = 0; i < FILES; i++)
        buf_deinit(&t->snapshot_job.files[i].bytes);
    buf_deinit(&t->scratch);
    arena_deinit(&t->arena);
    mem_free(t->waiting);
    mem_free(t->groups_waiting);
    for (struct alert_mail *m = t->merging, *next; m; m = next) {
        next = m->next_merge;
        alert_thread_mail_free(m);
    }
    alert_thread_mail_free(t->applying);
    mem_free(t);
}
