/* What the API asks of the alert thread (api/backend.h). Questions are answered at once, from views; changes are merged,
 * journalled and spread, and answered by alert_journal.c when they are on disk. */
#include "app/alert_thread_int.h"

#include "alert/record.h"
#include "base/log.h"

/* ---- answers ---- */

void alert_thread_answer(struct api_ask *q, bool ok)
{
    q->ok = ok;
    q->done(q);
}

void alert_thread_answer_unavailable(struct api_ask *q)
{
    err_set(&q->err, ERR_UNAVAILABLE, "the server is shutting down");
    alert_thread_answer(q, false);
}

void alert_thread_answer_groups(struct alert_thread *t)
{
    if (!t->groups_waiting_count || !dispatch_loaded(t->dispatch))
        return;
    size_t n = t->groups_waiting_count;
    t->groups_waiting_count = 0;
    for (size_t i = 0; i < n; i++) {
        struct api_ask *q = t->groups_waiting[i];
        q->now = clock_wall();
        q->view = dispatch_view(t->dispatch, q->now, true);
        alert_thread_answer(q, true);
    }
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
        alert_thread_journal_note(t, JOURNAL_ALERT, buf_view(&t->scratch));
    }
    if (times.n > empty)
        alert_thread_journal_note(t, JOURNAL_ALERT, buf_view(&times));
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
        alert_thread_feed(t, &(struct dispatch_event){ .kind = DISPATCH_ALERTS, .alerts = slice, .alerts_count = n });
        ticket = journal_alerts(t, slice, n);
        if (t->hooks.alerts_changed)
            t->hooks.alerts_changed(t->hooks.arg, slice, n);
        at += n;
    }
    if (t->journal_failing)
        alert_thread_answer(q, true); /* kept in memory; the log has said so */
    else
        alert_thread_answer_when_written(t, q, ticket);
}

void alert_thread_merge_alerts(struct alert_thread *t, struct dispatch_alert *alerts, size_t n)
{
    for (size_t at = 0; at < n; at += DISPATCH_ALERTS_MAX) {
        size_t count = n - at < DISPATCH_ALERTS_MAX ? n - at : DISPATCH_ALERTS_MAX;
        alert_thread_feed(t, &(struct dispatch_event){ .kind = DISPATCH_PEER_ALERTS, .alerts = alerts + at,
                                                       .alerts_count = count });
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
        ok = alert_thread_journal_add(t, JOURNAL_SILENCE, buf_view(&t->scratch), ticket, &q->err) && ok;
        alert_thread_broadcast(t, STR("sil"), buf_view(&t->scratch), false);
    }
    if (changes->n)
        alert_thread_feed(t, NULL);
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
        alert_thread_answer(q, false);
        return;
    }
    bool changed = changes.n > 0;
    if (!keep_changes(t, &changes, q, &ticket)) {
        q->err.code = ERR_IO;
        alert_thread_answer(q, false);
    } else if (changed) {
        alert_thread_answer_when_written(t, q, ticket);
    } else {
        alert_thread_answer(q, true);
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
    alert_thread_answer_groups(t);
}

static void get_silence(struct alert_thread *t, struct api_ask *q)
{
    const struct silence *s = silence_store_get(t->silences, q->id);
    if (s)
        q->silence = silence_retain(s);
    else
        err_set(&q->err, ERR_NOT_FOUND, "silence not found");
    alert_thread_answer(q, s != NULL);
}

static void get_status(struct alert_thread *t, struct api_ask *q)
{
    if (t->hooks.cluster)
        t->hooks.cluster(t->hooks.arg, q->arena, &q->cluster);
    else
        q->cluster = (struct api_cluster){ .status = STR("disabled") };
    alert_thread_answer(q, true);
}

void alert_thread_handle_ask(struct alert_thread *t, struct api_ask *q)
{
    if (t->stopping) {
        alert_thread_answer_unavailable(q);
        return;
    }
    q->now = clock_wall();
    switch (q->what) {
    case API_PUT_ALERTS:
        put_alerts(t, q);
        return;
    case API_ALERTS:
        q->view = dispatch_view(t->dispatch, q->now, false);
        alert_thread_answer(q, true);
        return;
    case API_GROUPS:
        wait_for_groups(t, q);
        return;
    case API_SILENCES:
        q->silences = silence_store_view(t->silences);
        alert_thread_answer(q, true);
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
        alert_thread_answer(q, true);
        return;
    case API_RELOAD:
        if (!t->hooks.reload || !t->hooks.reload(t->hooks.arg, q))
            alert_thread_answer_unavailable(q);
        return;
    }
}
