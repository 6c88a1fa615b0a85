/* What arrives is a mail; what leaves is a hook call, a journal record, or an answer. Each turn of the loop ends in turn(): the
 * journal's buffer goes to the disk thread if no batch is under way, and the timer is armed for dispatch_deadline().
 *
 * A1  An ask that changed something is answered only after the batch that holds its records was written (silences: synced).
 * A2  One batch, one snapshot at a time. A batch that holds a silence is synced.
 * A3  Nothing here takes longer than a slice: alerts in DISPATCH_ALERTS_MAX, merges and snapshots in SLICE_*.
 * A4  The snapshot's journal segment is rotated before the first byte of it is encoded, so that what changes meanwhile is in
 *     the segments that stay. */
#include "app/alert_thread.h"

#include "alert/record.h"
#include "app/claim_outbox.h"
#include "app/disk_thread.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stopwatch.h"
#include "gossip/gossip.h"
#include "io/clock_io.h"
#include "io/loop.h"
#include "io/mailbox.h"
#include "io/thread.h"
#include "journal/journal.h"

#define INBOX_MAX           65536
#define SLICE_BYTES         (256 * 1024)
#define SLICE_RECORDS       500
#define MERGE_BYTES_MAX     (64 * 1024) /* merged in one go */
#define SLICE_SLOTS         2000
#define SNAPSHOT_BYTES_MAX  ((size_t)4 << 30)
#define SAVED_INTERVAL_MS   15000
#define TURN_LEAD_MS        3000 /* before a turn comes, enough for a push/pull; then again each TURN_EVERY_MS */
#define TURN_EVERY_MS       2000
#define CLAIMS_GAP_MS       10 /* between batches of claims */
#define GATHER_MS           2  /* that a batch to be synced waits for more */
#define GATHER_MIN          4  /* answered by the batch before */

enum journal_type { JOURNAL_SILENCE = 1, JOURNAL_NFLOG = 2, JOURNAL_ALERT = 3 };

enum mail_kind { MAIL_ASK, MAIL_RESULT, MAIL_MEMBERS, MAIL_DELIVER, MAIL_CONFIG, MAIL_CALL, MAIL_QUIESCE, MAIL_STOP };
struct alert_mail {
    struct mail mail;
    enum mail_kind kind;
    bool in_arena; /* not ours to free */
    struct api_ask *ask;
    struct notify_result result;
    struct arena arena; /* texts of result, members */
    struct claim_members members;
    bool settled;
    struct str key, bytes;
    struct alert_mail *next_merge; /* a peer's state that is being merged */
    const struct dispatch_config *config;
    void (*applied)(void *arg);
    void (*run)(struct alert_thread *t, void *arg);
    void *arg;
};

/* An ask that waits for the disk. */
struct waiting {
    struct api_ask *q;
    uint64_t ticket;
};

enum snapshot_phase { SNAP_IDLE, SNAP_GC_SILENCES, SNAP_GC_NFLOG, SNAP_SILENCES, SNAP_NFLOG, SNAP_ALERTS, SNAP_TIMERS,
                      SNAP_WRITING };
enum { FILE_SILENCES, FILE_NFLOG, FILE_ALERTS, FILES };

struct alert_thread {
    struct alert_thread_options o;
    struct alert_thread_hooks hooks;
    struct loop *loop;
    struct thread thread;
    struct mailbox *inbox;
    struct loop_call turn;
    bool turn_due;
    struct loop_timer step_timer, sync_timer, maintenance_timer, gc_timer, slice_timer, gc_slice_timer, turn_timer,
                      claims_timer, gather_timer, merge_timer;
    void (*on_turn)(void *arg);
    void *on_turn_arg;
    mono_ms turn_told; /* when on_turn was called last */

    struct alert_store *alerts;
    struct silence_store *silences;
    struct nflog *nflog;
    struct dispatch *dispatch;
    struct replica replicas[2];
    struct rng rng;
    struct notify_out out;
    struct claim_outbox claims;
    mono_ms claims_sent; /* when a batch went last */
    struct buf scratch;

    struct journal *journal;
    struct disk_thread *disk;
    struct disk_job batch_job, sync_job, snapshot_job;
    bool batch_out, sync_out, batch_needs_sync, unsynced;
    bool journal_failing;
    struct waiting *waiting;
    size_t waiting_count, waiting_capacity;
    size_t gather_count;   /* how many the last synced batch answered */
    mono_ms gather_until;
    int64_t saved_at_ms;

    enum snapshot_phase phase;
    uint64_t replica_cursor;
    uint32_t alert_cursor;
    size_t cursor;
    struct stopwatch phase_watch;
    double encode_seconds[FILES];
    struct str paths[FILES];
    struct arena arena; /* paths */
    uint32_t gc_cursor;

    struct api_ask **groups_waiting; /* until the dispatcher has loaded */
    size_t groups_waiting_count, groups_waiting_capacity;
    struct alert_mail *merging, **merging_last; /* the first is under way */
    struct alert_mail *applying; /* a configuration whose alerts are being routed */
    bool stopping;
};

static void mail_free(struct alert_mail *m)
{
    if (!m || m->in_arena)
        return;
    arena_deinit(&m->arena);
    mem_free(m);
}

static void turn_soon(struct alert_thread *t);
static void feed(struct alert_thread *t, const struct dispatch_event *ev);

/* ---- answers ---- */

static void answer(struct api_ask *q, bool ok)
{
    q->ok = ok;
    q->done(q);
}

static void answer_unavailable(struct api_ask *q)
{
    err_set(&q->err, ERR_UNAVAILABLE, "the server is shutting down");
    answer(q, false);
}

static void answer_when_written(struct alert_thread *t, struct api_ask *q, uint64_t ticket)
{
    if (t->waiting_count == t->waiting_capacity) {
        t->waiting_capacity = mem_grow(t->waiting_capacity, t->waiting_count + 1);
        t->waiting = mem_realloc_array(t->waiting, t->waiting_capacity, sizeof *t->waiting);
    }
    t->waiting[t->waiting_count++] = (struct waiting){ q, ticket };
}

/* Returns how many. */
static size_t release_waiting(struct alert_thread *t, uint64_t last, const struct err *failure)
{
    size_t n = 0;
    while (n < t->waiting_count && t->waiting[n].ticket <= last)
        n++;
    if (n == 0)
        return 0;
    struct waiting *now = mem_dup(t->waiting, n * sizeof *now);
    memmove(t->waiting, t->waiting + n, (t->waiting_count - n) * sizeof *t->waiting);
    t->waiting_count -= n;
    for (size_t i = 0; i < n; i++) {
        struct api_ask *q = now[i].q;
        if (failure && q->what != API_PUT_ALERTS) {
            q->err = *failure;
            q->err.code = ERR_IO;
            answer(q, false);
        } else {
            answer(q, true);
        }
    }
    mem_free(now);
    return n;
}

/* ---- the journal ---- */

static bool journal_add(struct alert_thread *t, enum journal_type type, struct str record, uint64_t *ticket, struct err *err)
{
    if (!journal_append(t->journal, (uint8_t)type, record, ticket, err))
        return false;
    t->batch_needs_sync = t->batch_needs_sync || type == JOURNAL_SILENCE;
    turn_soon(t);
    return true;
}

/* For records whose loss is made good by others: alerts are sent again, log entries are held by the peers. */
static void journal_note(struct alert_thread *t, enum journal_type type, struct str record)
{
    struct err err = { 0 };
    if (!journal_add(t, type, record, NULL, &err) && !t->journal_failing) {
        t->journal_failing = true;
        log_error("The journal takes no more records; what is not on disk would be lost with the process", LOG_ERR(&err));
    }
}

static void flush_journal(struct alert_thread *t)
{
    if (t->batch_out || !journal_take(t->journal, &t->batch_job.batch))
        return;
    t->batch_job.kind = DISK_JOURNAL;
    t->batch_job.sync = t->batch_needs_sync;
    t->batch_needs_sync = false;
    t->batch_out = true;
    disk_thread_post(t->disk, &t->batch_job);
}

/* Clients that post one silence after the other come in step with the syncs: those that were just answered are about to ask again.
 * A batch that leaves with the first of them makes the others wait for a sync more. It waits for as many as were answered, but
 * not for long. */
static bool gathers(struct alert_thread *t)
{
    return t->batch_needs_sync && t->gather_count >= GATHER_MIN && t->waiting_count < t->gather_count &&
           mono_before(loop_now(t->loop), t->gather_until);
}

static void flush_or_gather(struct alert_thread *t)
{
    if (gathers(t))
        loop_timer_at(t->loop, &t->gather_timer, t->gather_until);
    else
        flush_journal(t);
}

static void gather_tick(void *arg)
{
    turn_soon(arg);
}

static void batch_done(struct alert_thread *t, struct disk_job *job)
{
    t->batch_out = false;
    uint64_t last = job->batch.last;
    bool written = job->batch.written;
    journal_done(t->journal, &job->batch);
    if (job->ok) {
        if (t->journal_failing)
            log_info("The journal is written again");
        t->journal_failing = false;
        t->unsynced = t->unsynced || !job->sync;
        size_t answered = release_waiting(t, last, NULL);
        if (job->sync) {
            t->gather_count = answered;
            t->gather_until = mono_add(loop_now(t->loop), GATHER_MS);
        }
    } else {
        if (!t->journal_failing)
            log_error("Writing the journal failed; alerts are kept in memory, silences are refused", LOG_ERR(&job->err));
        t->journal_failing = true;
        t->batch_needs_sync = t->batch_needs_sync || job->sync;
        /* The bytes go out again with the next try; who waits is told now. */
        (void)release_waiting(t, last, written ? NULL : &job->err);
    }
    job->err = (struct err){ 0 };
    if (!t->journal_failing)
        turn_soon(t);
}

static void sync_tick(void *arg)
{
    struct alert_thread *t = arg;
    int64_t now = loop_now(t->loop).ms;
    if (alert_store_count(t->alerts) && now - t->saved_at_ms >= SAVED_INTERVAL_MS) {
        t->saved_at_ms = now;
        buf_reset(&t->scratch);
        alert_record_write_saved(&t->scratch, alert_store_alive(t->alerts, clock_wall()));
        journal_note(t, JOURNAL_ALERT, buf_view(&t->scratch));
    }
    if (t->journal_failing)
        turn_soon(t); /* the next try */
    if (t->unsynced && !t->sync_out && !t->journal_failing) {
        t->unsynced = false;
        t->sync_out = true;
        t->sync_job.kind = DISK_JOURNAL_SYNC;
        t->sync_job.journal = t->journal;
        disk_thread_post(t->disk, &t->sync_job);
    }
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

static void broadcast(struct alert_thread *t, struct str key, struct str record, bool relay)
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
            journal_note(t, JOURNAL_NFLOG, e->bytes);
            broadcast(t, STR("nfl"), e->bytes, false);
            break;
        case NOTIFY_RECORD_AGAIN:
            broadcast(t, STR("nfl"), e->bytes, false);
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

static void feed(struct alert_thread *t, const struct dispatch_event *ev)
{
    dispatch_step(t->dispatch, loop_now(t->loop), clock_wall(), ev, &t->out);
    perform(t);
    turn_soon(t);
}

static void step_tick(void *arg)
{
    feed(arg, NULL);
}

static void answer_groups(struct alert_thread *t)
{
    if (!t->groups_waiting_count || !dispatch_loaded(t->dispatch))
        return;
    size_t n = t->groups_waiting_count;
    t->groups_waiting_count = 0;
    for (size_t i = 0; i < n; i++) {
        struct api_ask *q = t->groups_waiting[i];
        q->now = clock_wall();
        q->view = dispatch_view(t->dispatch, q->now, true);
        answer(q, true);
    }
}

static void applied(struct alert_thread *t)
{
    if (!t->applying || !dispatch_loaded(t->dispatch))
        return;
    struct alert_mail *m = t->applying;
    t->applying = NULL;
    if (m->applied)
        m->applied(m->arg);
    mail_free(m);
}

static void turn_tick(void *arg)
{
    struct alert_thread *t = arg;
    t->turn_told = loop_now(t->loop);
    t->on_turn(t->on_turn_arg);
    turn_soon(t);
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
    flush_or_gather(t);
    send_claims(t);
    applied(t);
    answer_groups(t);
    mono_ms due = dispatch_deadline(t->dispatch);
    if (due.ms == INT64_MAX)
        loop_timer_stop(t->loop, &t->step_timer);
    else
        loop_timer_at(t->loop, &t->step_timer, due);
    arm_turn(t);
}

static void turn_soon(struct alert_thread *t)
{
    if (t->turn_due)
        return;
    t->turn_due = true;
    loop_defer(t->loop, &t->turn);
}

/* ---- alerts ---- */

/* What a step did to alerts, to the journal: a whole record for news, 24 bytes for a re-send. */
static uint64_t journal_alerts(struct alert_thread *t, const struct dispatch_alert *alerts, size_t n)
{
    struct buf times = { 0 };
    alert_record_begin_times(&times);
    size_t empty = times.n;
    for (size_t i = 0; i < n; i++) {
        enum alert_change change = alerts[i].change;
        if (change == ALERT_OLDER || change == ALERT_REFUSED || change == ALERT_UNKNOWN)
            continue;
        struct alert_slot *s = alerts[i].slot;
        if (!s || (change == ALERT_RESENT && alert_record_append_times(&times, s)))
            continue;
        buf_reset(&t->scratch);
        alert_record_write(&t->scratch, s);
        journal_note(t, JOURNAL_ALERT, buf_view(&t->scratch));
    }
    if (times.n > empty)
        journal_note(t, JOURNAL_ALERT, buf_view(&times));
    buf_deinit(&times);
    return journal_last_ticket(t->journal);
}

static void put_alerts(struct alert_thread *t, struct api_ask *q)
{
    struct dispatch_alert slice[DISPATCH_ALERTS_MAX];
    uint64_t ticket = 0;
    for (size_t at = 0; at < q->specs_count;) {
        size_t n = q->specs_count - at < ARRAY_LEN(slice) ? q->specs_count - at : ARRAY_LEN(slice);
        for (size_t i = 0; i < n; i++)
            slice[i] = (struct dispatch_alert){ .spec = &q->specs[at + i] };
        feed(t, &(struct dispatch_event){ .kind = DISPATCH_ALERTS, .alerts = slice, .alerts_count = n });
        ticket = journal_alerts(t, slice, n);
        if (t->hooks.alerts_changed)
            t->hooks.alerts_changed(t->hooks.arg, slice, n);
        at += n;
    }
    if (t->journal_failing)
        answer(q, true); /* kept in memory; the log has said so */
    else
        answer_when_written(t, q, ticket);
}

void alert_thread_merge_alerts(struct alert_thread *t, struct dispatch_alert *alerts, size_t n)
{
    for (size_t at = 0; at < n; at += DISPATCH_ALERTS_MAX) {
        size_t count = n - at < DISPATCH_ALERTS_MAX ? n - at : DISPATCH_ALERTS_MAX;
        feed(t, &(struct dispatch_event){ .kind = DISPATCH_PEER_ALERTS, .alerts = alerts + at, .alerts_count = count });
        (void)journal_alerts(t, alerts + at, count);
    }
}

void alert_thread_merge_times(struct alert_thread *t, fingerprint fp, struct wire_time ends_at, struct wire_time updated_at)
{
    struct dispatch_alert one = { .times = { fp, ends_at, updated_at } };
    alert_thread_merge_alerts(t, &one, 1);
}

/* ---- silences ---- */

static void log_silence(const struct silence_change *c)
{
    static const char *const words[] = { [SILENCE_CREATED] = "create silence", [SILENCE_UPDATED] = "update silence",
                                         [SILENCE_EXPIRED_NOW] = "expire silence" };
    const struct silence *s = c->silence;
    struct buf matchers = { 0 }, starts = { 0 }, ends = { 0 };
    for (size_t i = 0; s->sets_count && i < s->sets[0].n; i++) {
        const struct matcher *m = &s->sets[0].v[i];
        struct str op = match_op_text(m->op);
        buf_printf(&matchers, "%s%.*s%.*s%.*s", i ? "," : "", STR_ARG(m->name), STR_ARG(op), STR_ARG(m->value));
    }
    rfc3339_write_nano(&starts, (struct wire_time){ s->starts_at.s, 0 }, 0);
    rfc3339_write_nano(&ends, (struct wire_time){ s->ends_at.s, 0 }, 0);
    log_info(words[c->kind], LOG_STR("component", STR("silences")), LOG_STR("Id", s->id),
             LOG_STR("CreatedBy", s->created_by), LOG_STR("Comment", s->comment), LOG_STR("StartsAt", buf_view(&starts)),
             LOG_STR("EndsAt", buf_view(&ends)), LOG_STR("Matchers", buf_view(&matchers)));
    buf_deinit(&matchers);
    buf_deinit(&starts);
    buf_deinit(&ends);
}

/* Journals and spreads what a command did; false (and the ask answered) if the journal takes no more. */
static bool keep_changes(struct alert_thread *t, struct silence_changes *changes, struct api_ask *q, uint64_t *ticket)
{
    bool ok = true;
    for (size_t i = 0; i < changes->n; i++) {
        if (t->o.options->log_silences)
            log_silence(&changes->v[i]);
        buf_reset(&t->scratch);
        silence_record_append(&t->scratch, changes->v[i].silence);
        ok = journal_add(t, JOURNAL_SILENCE, buf_view(&t->scratch), ticket, &q->err) && ok;
        broadcast(t, STR("sil"), buf_view(&t->scratch), false);
    }
    if (changes->n)
        feed(t, NULL);
    silence_changes_deinit(changes);
    return ok;
}

static void change_silence(struct alert_thread *t, struct api_ask *q)
{
    struct silence_changes changes = { 0 };
    uint64_t ticket = 0;
    struct wire_time now = clock_wall();
    bool ok = q->what == API_SILENCE_SET
                  ? silence_store_set(t->silences, now, &q->silence_spec, &t->rng, q->id_out, &changes, &q->err)
                  : silence_store_expire(t->silences, now, q->id, &changes, &q->err);
    if (!ok) {
        answer(q, false);
        return;
    }
    bool changed = changes.n > 0;
    if (!keep_changes(t, &changes, q, &ticket)) {
        q->err.code = ERR_IO;
        answer(q, false);
    } else if (changed) {
        answer_when_written(t, q, ticket);
    } else {
        answer(q, true);
    }
}

/* ---- questions ---- */

static void wait_for_groups(struct alert_thread *t, struct api_ask *q)
{
    if (t->groups_waiting_count == t->groups_waiting_capacity) {
        t->groups_waiting_capacity = mem_grow(t->groups_waiting_capacity, t->groups_waiting_count + 1);
        t->groups_waiting = mem_realloc_array(t->groups_waiting, t->groups_waiting_capacity, sizeof(struct api_ask *));
    }
    t->groups_waiting[t->groups_waiting_count++] = q;
    answer_groups(t);
}

static void get_silence(struct alert_thread *t, struct api_ask *q)
{
    const struct silence *s = silence_store_get(t->silences, q->id);
    if (s)
        q->silence = silence_retain(s);
    else
        err_set(&q->err, ERR_NOT_FOUND, "silence not found");
    answer(q, s != NULL);
}

static void get_status(struct alert_thread *t, struct api_ask *q)
{
    if (t->hooks.cluster)
        t->hooks.cluster(t->hooks.arg, q->arena, &q->cluster);
    else
        q->cluster = (struct api_cluster){ .status = STR("disabled") };
    answer(q, true);
}

static void handle_ask(struct alert_thread *t, struct api_ask *q)
{
    if (t->stopping) {
        answer_unavailable(q);
        return;
    }
    q->now = clock_wall();
    switch (q->what) {
    case API_PUT_ALERTS:
        put_alerts(t, q);
        return;
    case API_ALERTS:
        q->view = dispatch_view(t->dispatch, q->now, false);
        answer(q, true);
        return;
    case API_GROUPS:
        wait_for_groups(t, q);
        return;
    case API_SILENCES:
        q->silences = silence_store_view(t->silences);
        answer(q, true);
        return;
    case API_SILENCE_GET:
        get_silence(t, q);
        return;
    case API_SILENCE_SET:
    case API_SILENCE_EXPIRE:
        change_silence(t, q);
        return;
    case API_STATUS:
        get_status(t, q);
        return;
    case API_COLLECT:
        dispatch_collect(t->dispatch, q->now);
        silence_store_collect(t->silences, q->now);
        gauge_set(&disk_thread_stats(t->disk)->stalled_seconds, disk_thread_stalled(t->disk));
        answer(q, true);
        return;
    case API_RELOAD:
        if (!t->hooks.reload || !t->hooks.reload(t->hooks.arg, q))
            answer_unavailable(q);
        return;
    }
}

/* ---- what peers say ---- */

struct merged {
    struct alert_thread *t;
    enum journal_type type;
    bool news;
};

static void record_changed(void *arg, struct str record)
{
    struct merged *m = arg;
    m->news = true;
    journal_note(m->t, m->type, record);
}

const struct replica *alert_thread_replica(struct alert_thread *t, struct str key)
{
    for (size_t i = 0; i < ARRAY_LEN(t->replicas); i++)
        if (str_eq(t->replicas[i].key, key))
            return &t->replicas[i];
    return NULL;
}

/* At most SLICE_RECORDS of them; returns the rest. Log entries that came wake who waits under their keys: a step is enough, it
 * asks again. */
static struct str merge_slice(struct alert_thread *t, const struct replica *r, struct str bytes, bool *news)
{
    struct merged m = { t, str_eq(r->key, STR("sil")) ? JOURNAL_SILENCE : JOURNAL_NFLOG, false };
    size_t took = r->merge(r->state, clock_wall(), bytes, SLICE_RECORDS, record_changed, &m);
    ASSERT(took > 0 && took <= bytes.n);
    *news = *news || m.news;
    feed(t, NULL);
    return str_from(bytes, took);
}

static void merge_tick(void *arg)
{
    struct alert_thread *t = arg;
    struct alert_mail *m = t->merging;
    bool news = false;
    if (m->bytes.n)
        m->bytes = merge_slice(t, alert_thread_replica(t, m->key), m->bytes, &news);
    if (m->bytes.n == 0) {
        t->merging = m->next_merge;
        if (!t->merging)
            t->merging_last = &t->merging;
        mail_free(m);
    }
    if (t->merging)
        loop_timer_in(t->loop, &t->merge_timer, 0);
}

/* True if the mail is kept: a peer's whole state may have 50,000 records. */
static bool merge_records(struct alert_thread *t, const struct replica *r, struct alert_mail *m)
{
    struct err err = { 0 };
    if (!r->check(m->bytes, &err)) {
        log_warn("merge broadcast", LOG_STR("component", STR("cluster")), LOG_STR("key", r->key), LOG_ERR(&err));
        return false;
    }
    if (m->bytes.n > MERGE_BYTES_MAX) {
        *t->merging_last = m;
        t->merging_last = &m->next_merge;
        loop_timer_in(t->loop, &t->merge_timer, 0);
        return true;
    }
    bool news = false;
    for (struct str rest = m->bytes; rest.n;)
        rest = merge_slice(t, r, rest, &news);
    /* Passed on as it came, and once: a message of many records that is relayed record by record multiplies. */
    if (news && m->bytes.n <= GOSSIP_RELAY_BYTES_MAX)
        broadcast(t, r->key, m->bytes, true);
    return false;
}

static void hear_claims(struct alert_thread *t, struct str bytes)
{
    struct claim_message v[CLAIM_BATCH_MAX];
    struct claim_reader reader;
    size_t n = 0;
    for (claim_reader_init(&reader, bytes); n < ARRAY_LEN(v) && claim_reader_next(&reader, &v[n]);)
        n++;
    if (n)
        feed(t, &(struct dispatch_event){ .kind = DISPATCH_CLAIMS, .claims = v, .claims_count = n });
    if (reader.failed)
        log_debug("claims that cannot be read");
}

/* True if the mail is kept. */
static bool handle_deliver(struct alert_thread *t, struct alert_mail *m)
{
    const struct replica *r = alert_thread_replica(t, m->key);
    if (r)
        return merge_records(t, r, m);
    if (str_eq(m->key, STR(CLAIMS_MESH_KEY)))
        hear_claims(t, m->bytes);
    return false;
}

/* ---- snapshots and collection ---- */

static void slice_soon(struct alert_thread *t)
{
    loop_timer_in(t->loop, &t->slice_timer, 0);
}

static void maintenance(struct alert_thread *t)
{
    if (t->phase != SNAP_IDLE)
        return;
    t->phase = SNAP_GC_SILENCES;
    t->cursor = 0;
    t->phase_watch = stopwatch_start();
    counter_add(&silence_store_stats(t->silences)->maintenance, 1);
    counter_add(&nflog_stats(t->nflog)->maintenance, 1);
    slice_soon(t);
}

static void maintenance_tick(void *arg)
{
    maintenance(arg);
}

static void begin_encoding(struct alert_thread *t)
{
    struct disk_job *job = &t->snapshot_job;
    job->kind = DISK_SNAPSHOT;
    job->files_count = FILES;
    job->journal = t->journal;
    job->drop_before = journal_rotate(t->journal);
    for (size_t i = 0; i < FILES; i++) {
        job->files[i].path = t->paths[i];
        buf_reset(&job->files[i].bytes);
    }
}

static void add_alert(struct alert_thread *t, const struct alert_slot *s)
{
    buf_reset(&t->scratch);
    alert_record_write(&t->scratch, s);
    alert_snapshot_add(&t->snapshot_job.files[FILE_ALERTS].bytes, buf_view(&t->scratch));
}

static void next_phase(struct alert_thread *t, enum snapshot_phase next)
{
    t->phase = next;
    t->cursor = 0;
    t->replica_cursor = 0;
    t->alert_cursor = 0;
    t->phase_watch = stopwatch_start();
}

static bool encode_alerts(struct alert_thread *t)
{
    struct buf *out = &t->snapshot_job.files[FILE_ALERTS].bytes;
    if (t->alert_cursor == 0 && out->n == 0) {
        alert_snapshot_begin(out);
        buf_reset(&t->scratch);
        alert_record_write_saved(&t->scratch, alert_store_alive(t->alerts, clock_wall()));
        alert_snapshot_add(out, buf_view(&t->scratch));
    }
    for (size_t i = 0; i < SLICE_SLOTS; i++) {
        struct alert_slot *s = alert_store_next(t->alerts, &t->alert_cursor);
        if (!s)
            return false;
        add_alert(t, s);
    }
    return true;
}

/* One slice; true when the files are complete. */
static bool snapshot_slice(struct alert_thread *t)
{
    struct disk_job *job = &t->snapshot_job;
    switch (t->phase) {
    case SNAP_GC_SILENCES:
        if (silence_store_gc(t->silences, clock_wall(), &t->cursor, SLICE_RECORDS))
            return false;
        histogram_observe(&silence_store_stats(t->silences)->gc_duration, stopwatch_seconds(t->phase_watch));
        next_phase(t, SNAP_GC_NFLOG);
        return false;
    case SNAP_GC_NFLOG:
        if (nflog_gc(t->nflog, clock_wall(), &t->cursor, SLICE_RECORDS))
            return false;
        histogram_observe(&nflog_stats(t->nflog)->gc_duration, stopwatch_seconds(t->phase_watch));
        begin_encoding(t);
        next_phase(t, SNAP_SILENCES);
        return false;
    case SNAP_SILENCES:
        if (silence_store_snapshot(t->silences, &t->replica_cursor, SLICE_BYTES, &job->files[FILE_SILENCES].bytes))
            return false;
        t->encode_seconds[FILE_SILENCES] = stopwatch_seconds(t->phase_watch);
        next_phase(t, SNAP_NFLOG);
        return false;
    case SNAP_NFLOG:
        if (t->replicas[1].encode(t->replicas[1].state, &t->replica_cursor, SLICE_BYTES, &job->files[FILE_NFLOG].bytes))
            return false;
        t->encode_seconds[FILE_NFLOG] = stopwatch_seconds(t->phase_watch);
        next_phase(t, SNAP_ALERTS);
        return false;
    case SNAP_ALERTS:
        if (!encode_alerts(t))
            next_phase(t, SNAP_TIMERS);
        return false;
    case SNAP_TIMERS:
        if (dispatch_snapshot_timers(t->dispatch, loop_now(t->loop), clock_wall(), &t->cursor, SLICE_SLOTS,
                                     &job->files[FILE_ALERTS].bytes))
            return false;
        alert_snapshot_end(&job->files[FILE_ALERTS].bytes);
        next_phase(t, SNAP_WRITING);
        return true;
    case SNAP_IDLE:
    case SNAP_WRITING:
        return false;
    }
    return false;
}

static void slice_tick(void *arg)
{
    struct alert_thread *t = arg;
    if (t->phase == SNAP_IDLE || t->phase == SNAP_WRITING)
        return;
    if (snapshot_slice(t)) {
        /* What is buffered belongs to the segments before: it is written first, by order of the disk's mailbox. */
        flush_journal(t);
        disk_thread_post(t->disk, &t->snapshot_job);
    } else {
        slice_soon(t);
    }
}

static void snapshot_done(struct alert_thread *t, struct disk_job *job)
{
    struct silence_stats *sil = silence_store_stats(t->silences);
    struct nflog_stats *nfl = nflog_stats(t->nflog);
    t->phase = SNAP_IDLE;
    if (!job->ok) {
        counter_add(&sil->maintenance_errors, 1);
        counter_add(&nfl->maintenance_errors, 1);
        log_error("Running maintenance failed", LOG_ERR(&job->err));
        job->err = (struct err){ 0 };
    } else {
        gauge_set(&sil->snapshot_size, (double)job->files[FILE_SILENCES].bytes.n);
        gauge_set(&nfl->snapshot_size, (double)job->files[FILE_NFLOG].bytes.n);
        histogram_observe(&sil->snapshot_duration, t->encode_seconds[FILE_SILENCES] + job->seconds / FILES);
        histogram_observe(&nfl->snapshot_duration, t->encode_seconds[FILE_NFLOG] + job->seconds / FILES);
    }
    for (size_t i = 0; i < FILES; i++)
        buf_deinit(&job->files[i].bytes); /* idle memory counts; maintenance is rare */
    if (t->stopping)
        loop_stop(t->loop);
}

static void gc_slice(void *arg)
{
    struct alert_thread *t = arg;
    if (alert_store_gc(t->alerts, clock_wall(), &t->gc_cursor, SLICE_SLOTS))
        loop_timer_in(t->loop, &t->gc_slice_timer, 0);
    else
        t->gc_cursor = 0;
}

static void gc_tick(void *arg)
{
    struct alert_thread *t = arg;
    if (t->gc_cursor == 0)
        gc_slice(t);
}

static void disk_done(void *arg, struct disk_job *job)
{
    struct alert_thread *t = arg;
    switch (job->kind) {
    case DISK_JOURNAL:
        batch_done(t, job);
        return;
    case DISK_JOURNAL_SYNC:
        t->sync_out = false;
        if (!job->ok) {
            t->unsynced = true;
            log_error("Syncing the journal failed", LOG_ERR(&job->err));
            job->err = (struct err){ 0 };
        }
        return;
    case DISK_SNAPSHOT:
        snapshot_done(t, job);
        return;
    }
}

/* ---- mail ---- */

static void configure(struct alert_thread *t, struct alert_mail *m)
{
    if (t->applying && t->applying->applied)
        t->applying->applied(t->applying->arg);
    mail_free(t->applying);
    t->applying = m;
    feed(t, &(struct dispatch_event){ .kind = DISPATCH_CONFIG, .config = m->config });
}

static void begin_stop(struct alert_thread *t)
{
    t->stopping = true;
    for (size_t i = 0; i < t->groups_waiting_count; i++)
        answer_unavailable(t->groups_waiting[i]);
    t->groups_waiting_count = 0;
    maintenance(t); /* if one is under way it ends the loop when it is written */
}

static void deliver(void *arg, struct mail *mail)
{
    struct alert_thread *t = arg;
    struct alert_mail *m = container_of(mail, struct alert_mail, mail);
    switch (m->kind) {
    case MAIL_ASK:
        handle_ask(t, m->ask); /* m is gone now */
        return;
    case MAIL_RESULT:
        feed(t, &(struct dispatch_event){ .kind = DISPATCH_RESULT, .result = &m->result });
        break;
    case MAIL_MEMBERS:
        feed(t, &(struct dispatch_event){ .kind = DISPATCH_PEERS, .members = &m->members, .settled = m->settled });
        break;
    case MAIL_DELIVER:
        if (handle_deliver(t, m))
            return;
        break;
    case MAIL_CONFIG:
        configure(t, m);
        return;
    case MAIL_CALL:
        m->run(t, m->arg);
        break;
    case MAIL_QUIESCE:
        feed(t, &(struct dispatch_event){ .kind = DISPATCH_STOP });
        break;
    case MAIL_STOP:
        begin_stop(t);
        break;
    }
    mail_free(m);
}

static struct alert_mail *mail_new(enum mail_kind kind)
{
    struct alert_mail *m = MEM_NEW(struct alert_mail);
    m->kind = kind;
    arena_init(&m->arena, ARENA_NO_LIMIT);
    return m;
}

/* For mail that is not refused for being too much: its number is bounded by what it answers. */
static void post(struct alert_thread *t, struct alert_mail *m)
{
    if (!mailbox_post_answer(t->inbox, &m->mail))
        mail_free(m);
}

void alert_thread_ask(struct alert_thread *t, struct api_ask *q)
{
    struct alert_mail *m = ARENA_NEW(q->arena, struct alert_mail);
    m->kind = MAIL_ASK;
    m->in_arena = true;
    m->ask = q;
    if (!mailbox_post(t->inbox, &m->mail))
        answer_unavailable(q);
}

void alert_thread_result(struct alert_thread *t, struct notify_result *r)
{
    struct alert_mail *m = mail_new(MAIL_RESULT);
    m->result = *r;
    m->result.data = NULL;
    if (r->error.n == 0 && r->data_count == 0) { /* thousands may wait, and mostly there is nothing to tell */
        m->result.error = STR_EMPTY;
        post(t, m);
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
    post(t, m);
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
    post(t, m);
}

void alert_thread_deliver(struct alert_thread *t, struct str key, struct str bytes)
{
    struct alert_mail *m = mail_new(MAIL_DELIVER);
    m->key = arena_str(&m->arena, key);
    m->bytes = arena_str(&m->arena, bytes);
    post(t, m);
}

void alert_thread_call(struct alert_thread *t, void (*run)(struct alert_thread *t, void *arg), void *arg)
{
    struct alert_mail *m = mail_new(MAIL_CALL);
    m->run = run;
    m->arg = arg;
    post(t, m);
}

void alert_thread_configure(struct alert_thread *t, const struct dispatch_config *config, void (*done)(void *arg), void *arg)
{
    struct alert_mail *m = mail_new(MAIL_CONFIG);
    m->config = config;
    m->applied = done;
    m->arg = arg;
    post(t, m);
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

struct restoring {
    struct alert_thread *t;
    struct wire_time alive, now;
    struct arena arena;
};

static void seen_alive(struct restoring *r, struct wire_time at)
{
    if (wire_time_cmp(at, r->alive) > 0)
        r->alive = at;
}

static void restore_alert_record(struct restoring *r, const struct alert_record *rec)
{
    struct alert_slot *slot;
    switch (rec->kind) {
    case ALERT_RECORD_WHOLE:
        (void)alert_store_merge(r->t->alerts, r->now, &rec->alert, &slot);
        return;
    case ALERT_RECORD_TIMES:
        for (size_t i = 0; i < alert_times_count(rec); i++) {
            struct alert_times at = alert_times_at(rec, i);
            (void)alert_store_merge_times(r->t->alerts, r->now, at.fp, at.ends_at, at.updated_at, &slot);
        }
        return;
    case ALERT_RECORD_TIMER:
        dispatch_restore_timer(r->t->dispatch, &rec->timer);
        return;
    case ALERT_RECORD_SAVED:
        seen_alive(r, rec->saved_at);
        return;
    }
}

static void bad_silence(void *arg, struct str id, const struct err *why)
{
    (void)arg;
    log_error("Failed to compile silence matchers, it will be ignored", LOG_STR("component", STR("silences")),
              LOG_STR("silence_id", id), LOG_ERR(why));
}

static bool replay(void *arg, uint8_t type, struct str payload, struct err *err)
{
    struct restoring *r = arg;
    struct alert_record rec;
    switch (type) {
    case JOURNAL_SILENCE:
        return silence_store_load(r->t->silences, payload, bad_silence, NULL, err);
    case JOURNAL_NFLOG:
        return nflog_load(r->t->nflog, payload, err);
    case JOURNAL_ALERT:
        arena_reset(&r->arena);
        if (!alert_record_parse(&r->arena, payload, &rec, err))
            return false;
        restore_alert_record(r, &rec);
        return true;
    default:
        return true; /* of a newer version: not ours to understand */
    }
}

static bool read_optional(struct fs *fs, struct str path, struct buf *out, struct err *err)
{
    return !fs_exists(fs, path) || fs_read_file(fs, path, SNAPSHOT_BYTES_MAX, out, err);
}

static void restore_alerts_file(struct restoring *r, struct str file)
{
    struct str records, record;
    struct err err = { 0 };
    struct alert_record rec;
    if (file.n == 0)
        return;
    if (!alert_snapshot_open(file, &records, &err)) {
        log_error("The alerts' snapshot is damaged and left out; senders will repeat what still fires", LOG_ERR(&err));
        return;
    }
    while (alert_snapshot_next(&records, &record)) {
        arena_reset(&r->arena);
        if (alert_record_parse(&r->arena, record, &rec, &err))
            restore_alert_record(r, &rec);
    }
}

static bool read_snapshots(struct restoring *r, struct err *err)
{
    struct alert_thread *t = r->t;
    struct buf file = { 0 };
    bool ok = read_optional(t->o.fs, t->paths[FILE_NFLOG], &file, err) &&
              (nflog_load(t->nflog, buf_view(&file), err) || err_wrap(err, "error loading notification log snapshot"));
    buf_reset(&file);
    ok = ok && read_optional(t->o.fs, t->paths[FILE_SILENCES], &file, err) &&
         (silence_store_load(t->silences, buf_view(&file), bad_silence, NULL, err) ||
          err_wrap(err, "error loading silences snapshot"));
    buf_reset(&file);
    ok = ok && read_optional(t->o.fs, t->paths[FILE_ALERTS], &file, err);
    if (ok)
        restore_alerts_file(r, buf_view(&file));
    buf_deinit(&file);
    return ok;
}

static bool restore(struct alert_thread *t, struct err *err)
{
    struct restoring r = { .t = t, .alive = WIRE_TIME_ZERO, .now = clock_wall() };
    struct journal_stats stats = { 0 };
    struct str dir = t->o.options->storage_path;
    arena_init(&r.arena, ARENA_NO_LIMIT);
    bool ok = fs_mkdir_all(t->o.fs, dir, err) && read_snapshots(&r, err) &&
              journal_open(&t->journal, t->o.fs, dir, NULL, replay, &r, &stats, err);
    arena_deinit(&r.arena);
    if (!ok)
        return false;
    if (stats.lost_bytes)
        log_warn("The journal was torn; what lay behind the tear is lost", LOG_INT("lost_bytes", stats.lost_bytes),
                 LOG_INT("records", stats.records));
    size_t held = alert_store_restored(t->alerts, r.alive, r.now);
    if (alert_store_count(t->alerts))
        log_info("Restored alerts", LOG_INT("alerts", alert_store_count(t->alerts)), LOG_INT("held", held));
    return true;
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
    loop_timer_every(t->loop, &t->sync_timer, JOURNAL_SYNC_MS);
    loop_timer_every(t->loop, &t->maintenance_timer, flags->data_maintenance_interval_ns / 1000000);
    loop_timer_every(t->loop, &t->gc_timer, flags->alerts_gc_interval_ns / 1000000);
    if (!t->o.clustered) {
        const struct claim_member self = { .name = STR("self"), .claims = true };
        const struct claim_members alone = { &self, 1, 0 };
        feed(t, &(struct dispatch_event){ .kind = DISPATCH_PEERS, .members = &alone, .settled = true });
    }
    loop_run(t->loop);
    mailbox_close(t->inbox); /* what is still queued is answered */
    disk_thread_stop(t->disk);
    (void)release_waiting(t, UINT64_MAX, NULL);
}

static void init_timers(struct alert_thread *t)
{
    t->turn = (struct loop_call){ .run = end_turn, .arg = t };
    t->step_timer = (struct loop_timer){ .fire = step_tick, .arg = t };
    t->sync_timer = (struct loop_timer){ .fire = sync_tick, .arg = t };
    t->maintenance_timer = (struct loop_timer){ .fire = maintenance_tick, .arg = t };
    t->gc_timer = (struct loop_timer){ .fire = gc_tick, .arg = t };
    t->slice_timer = (struct loop_timer){ .fire = slice_tick, .arg = t };
    t->gc_slice_timer = (struct loop_timer){ .fire = gc_slice, .arg = t };
    t->turn_timer = (struct loop_timer){ .fire = turn_tick, .arg = t };
    t->claims_timer = (struct loop_timer){ .fire = claims_tick, .arg = t };
    t->merge_timer = (struct loop_timer){ .fire = merge_tick, .arg = t };
    t->gather_timer = (struct loop_timer){ .fire = gather_tick, .arg = t };
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
    if (restore(t, err) && (t->disk = disk_thread_start(t->loop, options->fs, disk_done, t, err)) != NULL) {
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
    post(t, mail_new(MAIL_QUIESCE));
}

void alert_thread_stop(struct alert_thread *t)
{
    post(t, mail_new(MAIL_STOP));
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
        mail_free(m);
    }
    mail_free(t->applying);
    mem_free(t);
}
