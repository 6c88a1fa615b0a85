#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "notify/pipeline.h"

#include <stdio.h>

/* A notifier over real stores; receivers "r" with one or two integrations. The test plays the sender. */
struct world {
    struct alert_store *alerts;
    struct silence_store *silences;
    struct silencer *silencer;
    struct inhibitor *inhibitor;
    struct nflog *log;
    struct rng rng;
    struct notifier *nt;
    struct notify_out out;
    struct notify_integration integrations[2];
    struct notify_receiver receiver;
    struct notify_receivers receivers;
    mono_ms now;
    struct notify_attempt attempts[16];
    size_t attempts_count, claims, records, records_again;
    struct claim_message last_claim;
    bool last_claim_alone; /* was for one member */
    enum notify_notice_kind notices[16];
    size_t notices_count;
    char error[512];
};

static const struct claim_member abc[] = { { STR_INIT("a"), true, false }, { STR_INIT("b"), true, false },
                                           { STR_INIT("c"), true, false } };

static struct wire_time wall(const struct world *w)
{
    return wire_time_add_ms((struct wire_time){ 1767225600, 0 }, w->now.ms);
}

static void peers(struct world *w, size_t n, size_t self, bool settled)
{
    struct claim_members m = { abc, n, self };
    notifier_set_peers(w->nt, w->now, &m, settled);
}

static void begin(struct world *w, size_t integrations)
{
    *w = (struct world){ 0 };
    struct alert_store_options ao = { 0 };
    struct silence_options so = { .retention_ms = 3600 * 1000 };
    struct notify_options no = { .peer_timeout_ms = 15000 };
    w->alerts = alert_store_new(&ao);
    w->silences = silence_store_new(&so);
    w->silencer = silencer_new(w->silences, w->alerts);
    w->inhibitor = inhibitor_new(NULL, 0, w->alerts);
    w->log = nflog_new(120 * 3600 * 1000LL);
    rng_seed(&w->rng, 1);
    w->nt = notifier_new(&no, w->alerts, w->silencer, w->log, &w->rng);
    notify_out_init(&w->out);
    w->integrations[0] = (struct notify_integration){ .name = "webhook", .idx = 0, .send_resolved = true };
    w->integrations[1] = (struct notify_integration){ .name = "webhook", .idx = 1, .send_resolved = false };
    w->receiver = (struct notify_receiver){ STR("r"), w->integrations, integrations };
    w->receivers = (struct notify_receivers){ .v = &w->receiver, .n = 1, .external_url = STR("http://am") };
    atomic_init(&w->receivers.refs, 1);
    peers(w, 1, 0, true);
}

static void drop_attempts(struct world *w)
{
    for (size_t i = 0; i < w->attempts_count; i++) {
        notification_release(w->attempts[i].n);
        notify_receivers_release(w->attempts[i].receivers);
    }
    w->attempts_count = 0;
}

static void end(struct world *w)
{
    drop_attempts(w);
    notifier_free(w->nt);
    inhibitor_free(w->inhibitor);
    silencer_free(w->silencer);
    silence_store_free(w->silences);
    nflog_free(w->log);
    alert_store_free(w->alerts);
    notify_out_deinit(&w->out);
    assert_int_equal(atomic_load(&w->receivers.refs), 1);
}

static void take_effects(struct world *w)
{
    for (size_t i = 0; i < w->out.n; i++) {
        const struct notify_effect *e = &w->out.v[i];
        switch (e->kind) {
        case NOTIFY_ATTEMPT:
            w->attempts[w->attempts_count++] = e->attempt;
            break;
        case NOTIFY_CANCEL:
            break;
        case NOTIFY_RECORD:
            w->records++;
            break;
        case NOTIFY_RECORD_AGAIN:
            w->records_again++;
            break;
        case NOTIFY_CLAIM:
            w->claims++;
            w->last_claim = e->claim;
            w->last_claim.holder = w->last_claim.origin = STR_EMPTY; /* live as long as the effects */
            w->last_claim_alone = e->to.n > 0;
            break;
        case NOTIFY_NOTICE:
            if (e->notice.kind == NOTIFY_NOTICE_FLUSHING)
                break;
            w->notices[w->notices_count++ % 16] = e->notice.kind;
            if (e->notice.err.n)
                (void)snprintf(w->error, sizeof w->error, "%.*s", STR_ARG(e->notice.err));
            break;
        }
    }
    notify_out_reset(&w->out);
}

static void step(struct world *w)
{
    notifier_step(w->nt, w->now, wall(w), 1000, &w->out);
    take_effects(w);
}

static void advance(struct world *w, int64_t ms)
{
    mono_ms until = mono_add(w->now, ms);
    for (;;) {
        mono_ms next = notifier_deadline(w->nt);
        if (mono_before(until, next))
            break;
        if (mono_before(w->now, next))
            w->now = next;
        step(w);
    }
    w->now = until;
}

static struct alert_slot *put(struct world *w, const char *name, int64_t ends_ms)
{
    struct label l[] = { { STR("alertname"), str_c(name) } };
    struct alert_spec spec = { .labels = labels_normalize(l, 1), .generator_url = STR_EMPTY,
                               .starts_at = wire_time_add_ms(wall(w), -1000),
                               .ends_at = wire_time_add_ms(wall(w), ends_ms), .updated_at = wall(w) };
    struct alert_slot *s;
    alert_store_put(w->alerts, wall(w), &spec, &s);
    return s;
}

static struct notify_flush *flush_with(struct world *w, struct alert_slot **v, size_t n, const struct notify_window *mute,
                                       const struct notify_window *active)
{
    struct notify_flush_spec spec = {
        .owner = w, .receivers = &w->receivers, .group_key = STR("{}:{}"), .route_id = STR("{}"),
        .repeat_interval_ms = 3600 * 1000, .timeout_ms = 60000, .tick = wall(w), .taken = wall(w), .inhibitor = w->inhibitor,
        .mute = mute, .mute_count = mute != NULL, .active = active, .active_count = active != NULL,
    };
    struct notify_alert *alerts = mem_alloc_array(n, sizeof *alerts);
    for (size_t i = 0; i < n; i++) {
        alert_slot_retain(v[i]);
        alerts[i] = (struct notify_alert){ v[i], v[i]->updated_at, alert_slot_state(v[i], wall(w)), false };
    }
    struct notify_flush *f = notifier_flush(w->nt, w->now, &spec, alerts, n);
    step(w);
    return f;
}

static struct notify_flush *flush(struct world *w, struct alert_slot *s)
{
    return flush_with(w, &s, 1, NULL, NULL);
}

static void answer(struct world *w, size_t attempt, enum send_verdict verdict, const char *error)
{
    struct notify_result r = { .attempt = w->attempts[attempt].id, .verdict = verdict, .reason = SEND_REASON_SERVER,
                               .error = str_c(error), .seconds = 0.01 };
    notifier_result(w->nt, w->now, wall(w), &r, &w->out);
    take_effects(w);
    step(w);
}

/* 1 done well, 0 failed, -1 not over */
static int outcome(struct world *w)
{
    struct notify_flush *f = notifier_done(w->nt);
    if (!f)
        return -1;
    int ok = notify_flush_ok(f);
    notify_flush_free(w->nt, f);
    return ok;
}

static uint64_t failed(struct world *w, const char *reason)
{
    struct str v[] = { STR("webhook"), str_c(reason) };
    return counter_get(metric_vec_counter(notifier_stats(w->nt)->failed, v));
}

static uint64_t total(struct world *w)
{
    struct str v[] = { STR("webhook") };
    return counter_get(metric_vec_counter(notifier_stats(w->nt)->notifications, v));
}

static void success_is_logged_and_not_said_again(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    struct alert_slot *s = put(&w, "A", 3600 * 1000);
    flush(&w, s);
    assert_int_equal(w.attempts_count, 1);
    assert_int_equal(w.attempts[0].n->reason, NOTIFY_REASON_FIRST);
    assert_int_equal(w.attempts[0].n->alerts_count, 1);
    assert_false(w.attempts[0].n->alerts[0].resolved);
    assert_int_equal(outcome(&w), -1);
    answer(&w, 0, SEND_DONE, "");
    assert_int_equal(w.records, 1);
    assert_int_equal(outcome(&w), 1);
    flush(&w, s);
    assert_int_equal(w.attempts_count, 1);
    assert_int_equal(outcome(&w), 1);
    assert_int_equal(total(&w), 1);
    end(&w);
}

static void retries_back_off_and_count_from_the_attempts_start(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    flush(&w, put(&w, "A", 3600 * 1000));
    mono_ms first = w.now;
    answer(&w, 0, SEND_RETRY, "unexpected status code 500");
    assert_int_equal(w.notices[0], NOTIFY_NOTICE_RETRY);
    advance(&w, 249);
    assert_int_equal(w.attempts_count, 1);
    advance(&w, 502);
    assert_int_equal(w.attempts_count, 2);
    assert_true(w.now.ms - first.ms <= 751);
    w.now = mono_add(w.now, 5000); /* a slow attempt: the next follows at once */
    answer(&w, 1, SEND_RETRY, "unexpected status code 500");
    assert_int_equal(w.attempts_count, 3);
    assert_int_equal(w.notices_count, 1); /* the same text is not logged twice */
    answer(&w, 2, SEND_DONE, "");
    assert_int_equal(w.notices[1], NOTIFY_NOTICE_RECOVERED);
    assert_int_equal(outcome(&w), 1);
    assert_int_equal(total(&w), 1); /* one notification, however many attempts */
    end(&w);
}

static void unrecoverable_error_ends_the_flush(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    flush(&w, put(&w, "A", 3600 * 1000));
    answer(&w, 0, SEND_FAIL, "unexpected status code 400");
    assert_int_equal(outcome(&w), 0);
    assert_string_equal(w.error, "r/webhook[0]: notify retry canceled due to unrecoverable error after 1 attempts: "
                                 "unexpected status code 400");
    assert_int_equal(failed(&w, "serverError"), 1);
    assert_int_equal(w.records, 0);
    end(&w);
}

static void deadline_ends_the_retries_with_the_last_error(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    flush(&w, put(&w, "A", 3600 * 1000));
    w.now = mono_add(w.now, 59000);
    answer(&w, 0, SEND_RETRY, "unexpected status code 503");
    answer(&w, 1, SEND_RETRY, "unexpected status code 503");
    advance(&w, 2000);
    while (outcome(&w) == -1) {
        assert_true(w.attempts_count < 16);
        answer(&w, w.attempts_count - 1, SEND_RETRY, "unexpected status code 503");
        advance(&w, 500);
    }
    assert_true(str_contains(str_c(w.error), STR("notify retry canceled after")));
    assert_true(str_ends(str_c(w.error), STR("attempts: unexpected status code 503")));
    assert_int_equal(failed(&w, "serverError"), 1);
    end(&w);
}

static void deadline_without_an_error_is_the_contexts(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    flush(&w, put(&w, "A", 3600 * 1000));
    w.now = mono_add(w.now, 60000);
    answer(&w, 0, SEND_RETRY, "context deadline exceeded");
    assert_int_equal(outcome(&w), 0);
    assert_string_equal(w.error, "r/webhook[0]: notify retry canceled after 2 attempts: context deadline exceeded");
    assert_int_equal(failed(&w, "contextDeadlineExceeded"), 1);
    end(&w);
}

static void one_failing_integration_does_not_undo_the_other(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 2);
    struct alert_slot *s = put(&w, "A", 3600 * 1000);
    flush(&w, s);
    assert_int_equal(w.attempts_count, 2);
    answer(&w, 0, SEND_DONE, "");
    answer(&w, 1, SEND_FAIL, "no");
    assert_int_equal(outcome(&w), 0);
    assert_int_equal(w.records, 1);
    drop_attempts(&w);
    flush(&w, s);
    assert_int_equal(w.attempts_count, 1); /* only the one that failed tries again */
    assert_int_equal(w.attempts[0].integration->idx, 1);
    end(&w);
}

static void without_send_resolved_the_log_is_written_and_nothing_sent(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 2);
    w.receiver.v = &w.integrations[1];
    w.receiver.n = 1;
    struct alert_slot *s = put(&w, "A", 3600 * 1000);
    flush(&w, s);
    answer(&w, 0, SEND_DONE, "");
    assert_int_equal(outcome(&w), 1);
    put(&w, "A", 0);
    flush(&w, s);
    assert_int_equal(w.attempts_count, 1);
    assert_int_equal(w.records, 2);
    assert_int_equal(outcome(&w), 1);
    assert_int_equal(total(&w), 2); /* it counts as a notification all the same */
    put(&w, "A", 3600 * 1000);
    flush(&w, s);
    assert_int_equal(w.attempts[1].n->reason, NOTIFY_REASON_FIRST);
    end(&w);
}

static void receiver_data_is_carried_from_entry_to_entry_and_begins_anew(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    struct alert_slot *v[2] = { put(&w, "A", 3600 * 1000) };
    flush(&w, v[0]);
    struct receiver_value data = { .key = STR("ts"), .kind = RECEIVER_VALUE_STR, .s = STR("42") };
    struct notify_result r = { .attempt = w.attempts[0].id, .verdict = SEND_DONE, .data = &data, .data_count = 1 };
    assert_int_equal(w.attempts[0].n->data_count, 0);
    notifier_result(w.nt, w.now, wall(&w), &r, &w.out);
    take_effects(&w);
    assert_int_equal(outcome(&w), 1);
    v[1] = put(&w, "B", 3600 * 1000);
    flush_with(&w, v, 2, NULL, NULL);
    assert_int_equal(w.attempts[1].n->reason, NOTIFY_REASON_NEW_ALERTS);
    assert_int_equal(w.attempts[1].n->data_count, 1);
    assert_true(str_eq(w.attempts[1].n->data[0].s, STR("42")));
    r.attempt = w.attempts[1].id;
    notifier_result(w.nt, w.now, wall(&w), &r, &w.out);
    take_effects(&w);
    outcome(&w);
    put(&w, "A", 0);
    put(&w, "B", 0);
    flush_with(&w, v, 2, NULL, NULL);
    r.attempt = w.attempts[2].id;
    notifier_result(w.nt, w.now, wall(&w), &r, &w.out);
    take_effects(&w);
    outcome(&w);
    put(&w, "A", 3600 * 1000);
    flush(&w, v[0]);
    assert_int_equal(w.attempts[3].n->reason, NOTIFY_REASON_FIRST);
    assert_int_equal(w.attempts[3].n->data_count, 0);
    end(&w);
}

static void silenced_alerts_are_left_out_and_a_group_of_them_ends_well(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    struct alert_slot *v[] = { put(&w, "A", 3600 * 1000), put(&w, "B", 3600 * 1000) };
    struct matcher m = { .op = MATCH_EQ, .name = STR("alertname"), .value = STR("A") };
    struct matchers set = { &m, 1 };
    struct silence_spec spec = { .id = STR_EMPTY, .sets = &set, .sets_count = 1, .starts_at = wall(&w),
                                 .ends_at = wire_time_add_ms(wall(&w), 3600 * 1000), .created_by = STR_EMPTY,
                                 .comment = STR_EMPTY };
    struct silence_changes c;
    char id[SILENCE_ID_TEXT];
    struct err err;
    assert_true(silence_store_set(w.silences, wall(&w), &spec, &w.rng, id, &c, &err));
    silence_changes_deinit(&c);
    flush_with(&w, v, 2, NULL, NULL);
    assert_int_equal(w.attempts[0].n->alerts_count, 1);
    assert_int_equal(v[0]->mark, ALERT_SUPPRESSED);
    assert_int_equal(v[1]->mark, ALERT_ACTIVE);
    answer(&w, 0, SEND_DONE, "");
    assert_int_equal(outcome(&w), 1);
    flush(&w, v[0]);
    assert_int_equal(w.attempts_count, 1);
    assert_int_equal(outcome(&w), 1);
    assert_int_equal(counter_get(&notifier_stats(w.nt)->suppressed_silence), 2);
    end(&w);
}

static void time_windows_mute_and_say_which(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    struct alert_slot *s = put(&w, "A", 3600 * 1000);
    const struct interval_range all_days = { 1, 31 };
    struct time_interval always[] = { { .days_of_month = { &all_days, 1, true } }, { .days_of_month = { &all_days, 1, true } } },
                         never = { .days_of_month = { NULL, 0, true } };
    struct notify_window mute = { STR("m"), always, 2 }, not_now = { STR("n"), &never, 1 };
    size_t n;
    bool ran;
    struct notify_flush *f = flush_with(&w, &s, 1, &mute, NULL);
    assert_ptr_equal(notifier_done(w.nt), f);
    const struct str *names = notify_flush_muted_by(f, &n, &ran);
    assert_int_equal(n, 2); /* once for each item that contains the instant */
    assert_true(str_eq(names[1], STR("m")));
    assert_true(ran && notify_flush_ok(f));
    notify_flush_free(w.nt, f);
    assert_int_equal(counter_get(&notifier_stats(w.nt)->suppressed_mute_time), 1);
    f = flush_with(&w, &s, 1, NULL, &not_now);
    assert_ptr_equal(notifier_done(w.nt), f);
    names = notify_flush_muted_by(f, &n, &ran);
    assert_int_equal(n, 1);
    assert_true(str_eq(names[0], STR("n")));
    notify_flush_free(w.nt, f);
    assert_int_equal(counter_get(&notifier_stats(w.nt)->suppressed_active_time), 1);
    assert_int_equal(w.attempts_count, 0);
    f = flush_with(&w, &s, 1, &not_now, &mute);
    assert_int_equal(w.attempts_count, 1);
    end(&w);
}

static void unsettled_cluster_waits_until_it_is_settled_or_too_late(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    peers(&w, 1, 0, false);
    struct alert_slot *s = put(&w, "A", 3600 * 1000);
    flush(&w, s);
    advance(&w, 5000);
    assert_int_equal(w.attempts_count, 0);
    peers(&w, 1, 0, true);
    step(&w);
    assert_int_equal(w.attempts_count, 1);
    answer(&w, 0, SEND_DONE, "");
    assert_int_equal(outcome(&w), 1);
    peers(&w, 1, 0, false);
    flush(&w, s);
    advance(&w, 60001);
    assert_int_equal(outcome(&w), 0);
    assert_string_equal(w.error, "context deadline exceeded");
    end(&w);
}

static void position_delays_and_an_entry_from_a_peer_suppresses(void **state)
{
    (void)state;
    struct world w, peer;
    begin(&w, 1);
    begin(&peer, 1);
    peers(&w, 2, 1, true);
    struct alert_slot *s = put(&w, "A", 3600 * 1000);
    flush(&w, s);
    advance(&w, 14999);
    assert_int_equal(w.attempts_count, 0);
    flush(&peer, put(&peer, "A", 3600 * 1000)); /* the peer at position 0 says it */
    answer(&peer, 0, SEND_DONE, "");
    outcome(&peer);
    struct buf state_bytes = { 0 };
    struct replica from = nflog_replica(peer.log), to = nflog_replica(w.log);
    replica_encode_all(&from, &state_bytes);
    to.merge(w.log, wall(&w), buf_view(&state_bytes), 10, NULL, NULL);
    advance(&w, 100);
    assert_int_equal(w.attempts_count, 0);
    assert_int_equal(outcome(&w), 1);
    buf_deinit(&state_bytes);
    end(&w);
    end(&peer);
}

static struct claim_message from(const char *who, enum claim_kind kind, uint32_t round)
{
    return (struct claim_message){ .kind = kind, .key = claim_key(STR("{}:{}:r/webhook/0")), .holder = str_c(who),
                                   .origin = STR_EMPTY, .round = round, .seen = WIRE_TIME_ZERO };
}

static void hear(struct world *w, const struct claim_message *m)
{
    notifier_hear_claim(w->nt, w->now, m, &w->out);
    take_effects(w);
    step(w);
}

/* Answers the last question. */
static void agree(struct world *w, const char *who)
{
    assert_int_equal(w->last_claim.kind, CLAIM_ASK);
    struct claim_message yes = from(who, CLAIM_YES, w->last_claim.round);
    yes.serial = w->last_claim.serial;
    hear(w, &yes);
}

static void peers_are_asked_and_a_peers_failure_passes_the_turn(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    peers(&w, 3, 1, true);
    flush(&w, put(&w, "A", 3600 * 1000));
    struct claim_message m = from("a", CLAIM_TAKE, 1);
    hear(&w, &m);
    advance(&w, 20000);
    assert_int_equal(w.attempts_count, 0); /* a is trying: the own position's time has come, and is waited over */
    m.kind = CLAIM_FAIL;
    hear(&w, &m);
    assert_int_equal(w.last_claim.kind, CLAIM_ASK);
    assert_int_equal(w.attempts_count, 0); /* next in line, and the others are asked first */
    agree(&w, "a");
    assert_int_equal(w.attempts_count, 0);
    agree(&w, "c");
    assert_int_equal(w.attempts_count, 1);
    answer(&w, 0, SEND_RETRY, "down");
    assert_int_equal(w.last_claim.kind, CLAIM_FAIL);
    advance(&w, 5000);
    assert_int_equal(w.attempts_count, 1); /* now c's turn, then a's */
    struct claim_message c = from("c", CLAIM_FAIL, 3), a = from("a", CLAIM_FAIL, 4);
    hear(&w, &c);
    hear(&w, &a);
    agree(&w, "a");
    agree(&w, "c");
    assert_int_equal(w.attempts_count, 2);
    answer(&w, 1, SEND_DONE, "");
    assert_int_equal(outcome(&w), 1);
    end(&w);
}

static void first_in_line_asks_nobody_where_nobody_has_claimed(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    peers(&w, 3, 0, true);
    flush(&w, put(&w, "A", 3600 * 1000));
    assert_int_equal(w.attempts_count, 1);
    assert_int_equal(w.last_claim.kind, CLAIM_TAKE);
    answer(&w, 0, SEND_RETRY, "down");
    struct claim_message b = from("b", CLAIM_FAIL, 2), c = from("c", CLAIM_FAIL, 3);
    hear(&w, &b);
    advance(&w, 1000);
    hear(&w, &c);
    assert_int_equal(w.attempts_count, 1); /* others have tried: who knows what was lost */
    agree(&w, "b");
    agree(&w, "c");
    assert_int_equal(w.attempts_count, 2);
    end(&w);
}

static void question_is_repeated_and_silence_is_waited_for_as_long_as_a_turn(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    peers(&w, 3, 1, true);
    flush(&w, put(&w, "A", 3600 * 1000));
    advance(&w, 15000);
    assert_int_equal(w.last_claim.kind, CLAIM_ASK);
    assert_int_equal(w.claims, 1);
    agree(&w, "a");
    advance(&w, 200);
    assert_int_equal(w.claims, 2);
    assert_int_equal(w.last_claim.kind, CLAIM_ASK);
    advance(&w, 14799);
    assert_int_equal(w.attempts_count, 0);
    assert_true(w.claims > 5 && w.claims < 20);
    advance(&w, 1);
    assert_int_equal(w.attempts_count, 1);
    assert_int_equal(counter_get(&notifier_stats(w.nt)->claims_unanswered), 1);
    end(&w);
}

/* In a large mesh nobody asks: it is said, and 200 ms later done. Who was stopped in between says it again. */
static void in_a_large_mesh_a_take_is_announced_a_moment_before(void **state)
{
    (void)state;
    struct world w;
    struct claim_member many[CLAIM_ASK_MEMBERS_MAX + 1];
    char names[CLAIM_ASK_MEMBERS_MAX + 1][8];
    begin(&w, 1);
    for (size_t i = 0; i < CLAIM_ASK_MEMBERS_MAX + 1; i++) {
        (void)snprintf(names[i], sizeof names[i], "n%03zu", i);
        many[i] = (struct claim_member){ str_c(names[i]), true, false };
    }
    struct claim_members m = { many, CLAIM_ASK_MEMBERS_MAX + 1, 1 };
    notifier_set_peers(w.nt, w.now, &m, true);
    flush(&w, put(&w, "A", 3600 * 1000));
    advance(&w, 15000);
    assert_int_equal(w.last_claim.kind, CLAIM_TAKE);
    w.now = mono_add(w.now, 5000);
    step(&w);
    assert_int_equal(w.attempts_count, 0);
    assert_int_equal(w.claims, 2);
    assert_int_equal(w.last_claim.kind, CLAIM_TAKE);
    advance(&w, CLAIM_NOTICE_MS);
    assert_int_equal(w.attempts_count, 1);
    assert_int_equal(counter_get(&notifier_stats(w.nt)->claims_unanswered), 0);
    end(&w);
}

static void who_was_stopped_while_it_asked_waits_for_the_answers_anew(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    peers(&w, 2, 1, true);
    flush(&w, put(&w, "A", 3600 * 1000));
    advance(&w, 15000);
    assert_int_equal(w.last_claim.kind, CLAIM_ASK);
    w.now = mono_add(w.now, 16000);
    step(&w);
    assert_int_equal(w.attempts_count, 0);
    struct claim_message a = from("a", CLAIM_TAKE, 5); /* is read only now */
    hear(&w, &a);
    advance(&w, 10000);
    assert_int_equal(w.attempts_count, 0);
    end(&w);
}

static void of_two_that_ask_at_once_the_later_in_line_yields(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    peers(&w, 2, 1, true);
    flush(&w, put(&w, "A", 3600 * 1000));
    advance(&w, 15000);
    assert_int_equal(w.last_claim.kind, CLAIM_ASK);
    struct claim_message m = from("a", CLAIM_ASK, 1);
    hear(&w, &m);
    assert_int_equal(w.last_claim.kind, CLAIM_YES);
    assert_true(w.last_claim_alone);
    advance(&w, 10000);
    assert_int_equal(w.attempts_count, 0);
    m.kind = CLAIM_FAIL;
    hear(&w, &m);
    agree(&w, "a");
    assert_int_equal(w.attempts_count, 1);
    end(&w);
}

static void who_is_asked_while_it_tries_says_so(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    peers(&w, 2, 0, true);
    flush(&w, put(&w, "A", 3600 * 1000));
    assert_int_equal(w.attempts_count, 1);
    struct claim_message m = from("b", CLAIM_ASK, 8);
    hear(&w, &m);
    assert_int_equal(w.last_claim.kind, CLAIM_TAKE);
    assert_int_equal(w.last_claim.round, 9);
    advance(&w, CLAIM_BOUND_MS); /* but not for ever */
    hear(&w, &m);
    assert_int_equal(w.last_claim.kind, CLAIM_YES);
    end(&w);
}

static void who_is_asked_and_knows_that_it_was_said_sends_the_entry(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    peers(&w, 2, 0, true);
    flush(&w, put(&w, "A", 3600 * 1000));
    answer(&w, 0, SEND_DONE, "");
    assert_int_equal(outcome(&w), 1);
    struct claim_message m = from("b", CLAIM_ASK, 1);
    size_t claims = w.claims;
    hear(&w, &m);
    assert_int_equal(w.records_again, 1);
    assert_int_equal(w.claims, claims);
    m.seen = wall(&w); /* it has that entry, and something new to say */
    hear(&w, &m);
    assert_int_equal(w.records_again, 1);
    assert_int_equal(w.last_claim.kind, CLAIM_YES);
    end(&w);
}

static void member_with_nothing_to_say_passes_the_turn_on(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    peers(&w, 3, 1, true);
    struct claim_message m = from("a", CLAIM_FAIL, 1);
    hear(&w, &m);
    assert_int_equal(w.claims, 1);
    assert_int_equal(w.last_claim.kind, CLAIM_PASS);
    end(&w);
}

/* Whoever waits over a claim need not wait for its bound when the log says that the holder got through. */
static void entry_from_a_peer_ends_the_wait_for_its_claim(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    peers(&w, 3, 1, true);
    flush(&w, put(&w, "A", 3600 * 1000));
    struct claim_message m = from("a", CLAIM_TAKE, 1);
    hear(&w, &m);
    advance(&w, 20000);
    const uint64_t hash = alert_store_next(w.alerts, &(uint32_t){ 0 })->value->nflog_hash;
    struct nflog *peer = nflog_new(3600 * 1000);
    struct nflog_entry e = { .group_key = STR("{}:{}"), .receiver = { STR("r"), STR("webhook"), 0 }, .firing = &hash,
                             .firing_count = 1 };
    struct buf record = { 0 };
    nflog_log(peer, wall(&w), &e, 3600 * 1000, &record);
    struct replica row = nflog_replica(w.log);
    row.merge(w.log, wall(&w), buf_view(&record), 1, NULL, NULL);
    step(&w);
    assert_int_equal(w.attempts_count, 0);
    assert_int_equal(outcome(&w), 1);
    nflog_free(peer);
    buf_deinit(&record);
    end(&w);
}

static void dedup_is_asked_again_before_every_retry(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    flush(&w, put(&w, "A", 3600 * 1000));
    answer(&w, 0, SEND_RETRY, "down");
    const uint64_t hash = w.attempts[0].n->alerts[0].alert->nflog_hash; /* meanwhile a peer got through */
    struct nflog_entry e = { .group_key = STR("{}:{}"), .receiver = { STR("r"), STR("webhook"), 0 }, .firing = &hash,
                             .firing_count = 1 };
    struct buf record = { 0 };
    nflog_log(w.log, wall(&w), &e, 3600 * 1000, &record);
    buf_deinit(&record);
    advance(&w, 2000);
    assert_int_equal(w.attempts_count, 1);
    assert_int_equal(outcome(&w), 1);
    end(&w);
}

static void abandoned_attempt_is_still_logged_and_blocks_its_key(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    struct alert_slot *s = put(&w, "A", 3600 * 1000);
    struct notify_flush *f = flush(&w, s);
    notifier_abandon(w.nt, f, &w.out);
    take_effects(&w);
    flush(&w, s); /* the new configuration's group */
    advance(&w, 1000);
    assert_int_equal(w.attempts_count, 1);
    answer(&w, 0, SEND_DONE, "");
    assert_int_equal(w.records, 1);
    assert_int_equal(w.attempts_count, 1); /* the log says it has been said */
    assert_int_equal(outcome(&w), 1);
    assert_int_equal(outcome(&w), -1);
    end(&w);
}

static void abandoned_flush_that_waits_ends_at_once(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    peers(&w, 2, 1, true);
    struct notify_flush *f = flush(&w, put(&w, "A", 3600 * 1000));
    notifier_abandon(w.nt, f, &w.out);
    take_effects(&w);
    assert_int_equal(w.notices[w.notices_count - 1], NOTIFY_NOTICE_FLUSH_CANCELLED);
    advance(&w, 60000);
    assert_int_equal(w.attempts_count, 0);
    assert_int_equal(outcome(&w), -1);
    end(&w);
}

static void resolved_alert_of_a_notification_has_its_last_end(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    struct alert_slot *s = put(&w, "A", 100 * 1000);
    flush(&w, s);
    answer(&w, 0, SEND_DONE, "");
    outcome(&w);
    w.now = mono_add(w.now, 50 * 1000);
    struct label l[] = { { STR("alertname"), STR("A") } };
    struct alert_spec spec = { .labels = labels_normalize(l, 1), .generator_url = STR_EMPTY,
                               .starts_at = s->value->starts_at, .ends_at = wire_time_add_ms(wall(&w), 100 * 1000),
                               .updated_at = wall(&w) };
    assert_int_equal(alert_store_put(w.alerts, wall(&w), &spec, &s), ALERT_RESENT);
    w.now = mono_add(w.now, 101 * 1000); /* runs out */
    flush(&w, s);
    const struct notification_alert *a = &w.attempts[1].n->alerts[0];
    assert_true(a->resolved);
    assert_int_equal(wire_time_cmp(a->ends_at, spec.ends_at), 0);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_is_logged_and_not_said_again),
        cmocka_unit_test(retries_back_off_and_count_from_the_attempts_start),
        cmocka_unit_test(unrecoverable_error_ends_the_flush),
        cmocka_unit_test(deadline_ends_the_retries_with_the_last_error),
        cmocka_unit_test(deadline_without_an_error_is_the_contexts),
        cmocka_unit_test(one_failing_integration_does_not_undo_the_other),
        cmocka_unit_test(without_send_resolved_the_log_is_written_and_nothing_sent),
        cmocka_unit_test(receiver_data_is_carried_from_entry_to_entry_and_begins_anew),
        cmocka_unit_test(silenced_alerts_are_left_out_and_a_group_of_them_ends_well),
        cmocka_unit_test(time_windows_mute_and_say_which),
        cmocka_unit_test(unsettled_cluster_waits_until_it_is_settled_or_too_late),
        cmocka_unit_test(position_delays_and_an_entry_from_a_peer_suppresses),
        cmocka_unit_test(peers_are_asked_and_a_peers_failure_passes_the_turn),
        cmocka_unit_test(first_in_line_asks_nobody_where_nobody_has_claimed),
        cmocka_unit_test(question_is_repeated_and_silence_is_waited_for_as_long_as_a_turn),
        cmocka_unit_test(in_a_large_mesh_a_take_is_announced_a_moment_before),
        cmocka_unit_test(who_was_stopped_while_it_asked_waits_for_the_answers_anew),
        cmocka_unit_test(of_two_that_ask_at_once_the_later_in_line_yields),
        cmocka_unit_test(who_is_asked_while_it_tries_says_so),
        cmocka_unit_test(who_is_asked_and_knows_that_it_was_said_sends_the_entry),
        cmocka_unit_test(member_with_nothing_to_say_passes_the_turn_on),
        cmocka_unit_test(entry_from_a_peer_ends_the_wait_for_its_claim),
        cmocka_unit_test(dedup_is_asked_again_before_every_retry),
        cmocka_unit_test(abandoned_attempt_is_still_logged_and_blocks_its_key),
        cmocka_unit_test(abandoned_flush_that_waits_ends_at_once),
        cmocka_unit_test(resolved_alert_of_a_notification_has_its_last_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
