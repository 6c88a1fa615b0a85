#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "lib/alert_world.h"
#include "lib/alloc_count.h"

#include <stdio.h>

static const int64_t HOUR_MS = 3600 * 1000;
static const char *const BASIC = "route: {receiver: r, group_by: [alertname], group_wait: 10s, group_interval: 30s, "
                                 "repeat_interval: 1h}\n"
                                 "receivers: [{name: r, webhook_configs: [{url: 'http://x/'}]}]\n";

static void begin(struct alert_world *w)
{
    alert_world_init(w, 1);
    alert_world_configure(w, BASIC);
}

static void expect_sent(const struct alert_world *w, size_t i, int64_t at_ms, const char *alerts, enum notify_reason why)
{
    assert_true(i < w->sent_count);
    assert_int_equal(w->sent[i].at_ms, at_ms);
    if (!str_eq(w->sent[i].alerts, str_c(alerts)))
        fail_msg("attempt %zu: \"%.*s\" instead of \"%s\"", i, STR_ARG(w->sent[i].alerts), alerts);
    assert_int_equal(w->sent[i].reason, why);
}

static void group_waits_then_repeats_its_interval(void **state)
{
    (void)state;
    struct alert_world w;
    begin(&w);
    alert_world_post(&w, "alertname=A,n=a", HOUR_MS);
    alert_world_run(&w, 5000);
    alert_world_post(&w, "alertname=A,n=b", HOUR_MS); /* does not move the timer */
    alert_world_run(&w, 15000);
    alert_world_post(&w, "alertname=A,n=c", HOUR_MS);
    alert_world_run(&w, 60000);
    assert_int_equal(w.sent_count, 2);
    expect_sent(&w, 0, 10000, "a b", NOTIFY_REASON_FIRST);
    expect_sent(&w, 1, 40000, "a b c", NOTIFY_REASON_NEW_ALERTS);
    assert_true(str_eq(w.sent[0].group_key, STR("{}:{alertname=\"A\"}")));
    alert_world_deinit(&w);
}

static void old_alert_is_flushed_at_once(void **state)
{
    (void)state;
    struct alert_world w;
    begin(&w);
    alert_world_post_at(&w, "alertname=A,n=a", -10001, HOUR_MS);
    alert_world_run(&w, 0);
    expect_sent(&w, 0, 0, "a", NOTIFY_REASON_FIRST);
    alert_world_deinit(&w);
}

static void resolution_is_said_at_the_next_flush_and_ends_the_group(void **state)
{
    (void)state;
    struct alert_world w;
    begin(&w);
    alert_world_post(&w, "alertname=A,n=a", HOUR_MS);
    alert_world_run(&w, 12000);
    alert_world_post_at(&w, "alertname=A,n=a", -12000, 0);
    alert_world_run(&w, 20000);
    assert_int_equal(w.sent_count, 1);
    assert_int_equal(dispatch_groups_count(w.d), 1);
    alert_world_run(&w, 10000);
    expect_sent(&w, 1, 40000, "a(resolved)", NOTIFY_REASON_ALL_RESOLVED);
    assert_int_equal(dispatch_groups_count(w.d), 0);
    alert_world_post(&w, "alertname=A,n=a", HOUR_MS); /* a new group, with group_wait */
    alert_world_run(&w, 10000);
    expect_sent(&w, 2, 52000, "a", NOTIFY_REASON_FIRST);
    alert_world_deinit(&w);
}

static void resolved_alert_out_of_nowhere_says_nothing(void **state)
{
    (void)state;
    struct alert_world w;
    begin(&w);
    alert_world_post_at(&w, "alertname=A,n=a", -1000, 0);
    assert_int_equal(dispatch_groups_count(w.d), 1);
    alert_world_run(&w, 60000);
    assert_int_equal(w.sent_count, 0);
    assert_int_equal(dispatch_groups_count(w.d), 0);
    alert_world_deinit(&w);
}

static void alert_that_runs_out_is_resolved(void **state)
{
    (void)state;
    struct alert_world w;
    begin(&w);
    alert_world_post(&w, "alertname=A,n=a", 20000);
    alert_world_run(&w, 60000);
    expect_sent(&w, 1, 40000, "a(resolved)", NOTIFY_REASON_ALL_RESOLVED);
    alert_world_deinit(&w);
}

static enum send_verdict refuse_until_60s(void *arg, struct alert_world_sent *s, int64_t *delay_ms)
{
    (void)arg;
    (void)delay_ms;
    return s->at_ms < 60000 && !s->firing ? SEND_FAIL : SEND_DONE;
}

static void failed_flush_keeps_resolved_alerts_for_the_next(void **state)
{
    (void)state;
    struct alert_world w;
    begin(&w);
    w.answer = refuse_until_60s;
    alert_world_post(&w, "alertname=A,n=a", 20000);
    alert_world_run(&w, 69000);
    assert_int_equal(w.sent_count, 2);
    assert_int_equal(w.notices[NOTIFY_NOTICE_FLUSH_FAILED], 1);
    assert_int_equal(dispatch_groups_count(w.d), 1);
    alert_world_run(&w, 2000);
    expect_sent(&w, 2, 70000, "a(resolved)", NOTIFY_REASON_ALL_RESOLVED);
    assert_int_equal(dispatch_groups_count(w.d), 0);
    alert_world_deinit(&w);
}

static enum send_verdict slowly(void *arg, struct alert_world_sent *s, int64_t *delay_ms)
{
    (void)s;
    *delay_ms = *(int64_t *)arg;
    return SEND_DONE;
}

static void alert_that_fires_again_during_the_flush_stays(void **state)
{
    (void)state;
    struct alert_world w;
    int64_t delay_ms = 5000;
    begin(&w);
    alert_world_post(&w, "alertname=A,n=a", 20000);
    alert_world_run(&w, 38000);
    w.answer = slowly;
    w.answer_arg = &delay_ms;
    alert_world_run(&w, 4000); /* at 40 s: resolved, the answer takes 5 s */
    assert_int_equal(w.sent_count, 2);
    alert_world_post(&w, "alertname=A,n=a", HOUR_MS);
    alert_world_run(&w, 10000);
    assert_int_equal(dispatch_groups_count(w.d), 1);
    alert_world_run(&w, 20000);
    expect_sent(&w, 2, 70000, "a", NOTIFY_REASON_FIRST); /* group_interval, not group_wait: the group lives */
    alert_world_deinit(&w);
}

static void overlong_flush_delays_the_next_which_then_starts_at_once(void **state)
{
    (void)state;
    struct alert_world w;
    int64_t delay_ms = 29000;
    begin(&w);
    w.answer = slowly;
    w.answer_arg = &delay_ms;
    alert_world_post(&w, "alertname=A,n=a", HOUR_MS);
    alert_world_run(&w, 20000);
    alert_world_post(&w, "alertname=A,n=b", HOUR_MS);
    delay_ms = 2;
    alert_world_run(&w, 100000);
    expect_sent(&w, 0, 10000, "a", NOTIFY_REASON_FIRST);
    expect_sent(&w, 1, 40000, "a b", NOTIFY_REASON_NEW_ALERTS);
    alert_world_deinit(&w);
}

static void tick_and_interval_decide_about_repeats(void **state)
{
    (void)state;
    struct alert_world w;
    alert_world_init(&w, 1);
    alert_world_configure(&w, "route: {receiver: r, group_wait: 0s, group_interval: 10s, repeat_interval: 20s}\n"
                              "receivers: [{name: r, webhook_configs: [{url: 'http://x/'}]}]\n");
    alert_world_post(&w, "alertname=A,n=a", HOUR_MS);
    alert_world_run(&w, 61000);
    /* The entry is 2 ms younger than its tick, so that each repeat slips by one interval. */
    expect_sent(&w, 1, 30000, "a", NOTIFY_REASON_REPEAT);
    expect_sent(&w, 2, 60000, "a", NOTIFY_REASON_REPEAT);
    assert_int_equal(w.sent_count, 3);
    alert_world_deinit(&w);
}

static void alert_goes_to_every_route_that_it_matches(void **state)
{
    (void)state;
    struct alert_world w;
    alert_world_init(&w, 1);
    alert_world_configure(&w, "route:\n  receiver: r0\n  group_wait: 0s\n  routes:\n"
                              "  - {receiver: r1, matchers: ['t=\"1\"'], continue: true}\n"
                              "  - {receiver: r2, matchers: ['t=~\"1|2\"'], group_by: ['...']}\n"
                              "receivers:\n- {name: r0, webhook_configs: [{url: 'http://x/'}]}\n"
                              "- {name: r1, webhook_configs: [{url: 'http://x/'}, {url: 'http://y/'}]}\n"
                              "- {name: r2, webhook_configs: [{url: 'http://x/'}]}\n");
    alert_world_post(&w, "alertname=A,t=1", HOUR_MS);
    alert_world_post(&w, "alertname=B,t=3", HOUR_MS);
    alert_world_run(&w, 100);
    assert_int_equal(alert_world_sent_to(&w, "r0"), 1);
    assert_int_equal(alert_world_sent_to(&w, "r1"), 2); /* two integrations */
    assert_int_equal(alert_world_sent_to(&w, "r2"), 1);
    alert_world_deinit(&w);
}

static void unchanged_resends_allocate_nothing(void **state)
{
    (void)state;
    struct alert_world w;
    begin(&w);
    char labels[ALERT_WORLD_START][32];
    struct alert_spec spec[100];
    struct dispatch_alert v[100];
    for (size_t i = 0; i < 100; i++) {
        (void)snprintf(labels[i], sizeof labels[i], "alertname=A%zu,n=a", i % 10);
        spec[i] = (struct alert_spec){ .labels = alert_world_labels(&w, labels[i]), .generator_url = STR_EMPTY,
                                       .starts_at = alert_world_wall(&w), .ends_at = alert_world_at(&w, HOUR_MS),
                                       .updated_at = alert_world_wall(&w) };
        v[i] = (struct dispatch_alert){ .spec = &spec[i] };
    }
    struct dispatch_event ev = { .kind = DISPATCH_ALERTS, .alerts = v, .alerts_count = 100 };
    alert_world_step(&w, &ev);
    alert_world_step(&w, &ev);
    for (size_t i = 0; i < 100; i++)
        spec[i].ends_at = alert_world_at(&w, HOUR_MS + 1000);
    uint64_t before = alloc_count();
    alert_world_step(&w, &ev);
    assert_int_equal(alloc_count() - before, 0);
    assert_int_equal(v[0].change, ALERT_RESENT);
    assert_non_null(v[0].slot);
    alert_world_deinit(&w);
}

/* ---- Gates ---- */

static void nothing_is_flushed_before_the_cluster_has_settled(void **state)
{
    (void)state;
    struct alert_world w;
    alert_world_init(&w, 1);
    alert_world_peers(&w, NULL, false);
    alert_world_configure(&w, BASIC);
    alert_world_post(&w, "alertname=A,n=a", HOUR_MS);
    alert_world_run(&w, 25000);
    assert_int_equal(w.sent_count, 0);
    alert_world_post(&w, "alertname=A,n=b", HOUR_MS); /* taken in before the first flush */
    alert_world_peers(&w, NULL, true);
    alert_world_run(&w, 100);
    expect_sent(&w, 0, 25000, "a b", NOTIFY_REASON_FIRST);
    alert_world_deinit(&w);
}

static void start_delay_holds_the_first_flush(void **state)
{
    (void)state;
    struct alert_world w;
    alert_world_init_stores(&w, 1);
    w.options.start_delay_ms = 40000;
    alert_world_init_dispatch(&w);
    alert_world_peers(&w, NULL, true);
    alert_world_configure(&w, BASIC);
    alert_world_post(&w, "alertname=A,n=a", HOUR_MS);
    alert_world_run(&w, 39999);
    assert_int_equal(w.sent_count, 0);
    alert_world_run(&w, 1);
    expect_sent(&w, 0, 40000, "a", NOTIFY_REASON_FIRST);
    alert_world_deinit(&w);
}

/* ---- Reload ---- */

static void reload_makes_new_groups_and_says_nothing_twice(void **state)
{
    (void)state;
    struct alert_world w;
    begin(&w);
    alert_world_post(&w, "alertname=A,n=a", HOUR_MS);
    alert_world_run(&w, 15000);
    alert_world_configure(&w, BASIC);
    alert_world_run(&w, 120000);
    assert_int_equal(w.sent_count, 1);
    assert_int_equal(dispatch_groups_count(w.d), 1);
    alert_world_configure(&w, "route: {receiver: new}\nreceivers: [{name: new, webhook_configs: [{url: 'http://x/'}]}]\n");
    alert_world_run(&w, 0); /* the alert is older than group_wait: at once, to its new receiver */
    assert_int_equal(alert_world_sent_to(&w, "new"), 1);
    alert_world_deinit(&w);
}

static void new_rules_apply_to_old_alerts(void **state)
{
    (void)state;
    struct alert_world w;
    begin(&w);
    alert_world_post(&w, "alertname=A,s=1", HOUR_MS);
    alert_world_post(&w, "alertname=B,t=1", HOUR_MS);
    struct dispatch_view *v = dispatch_view(w.d, alert_world_wall(&w), false);
    assert_false(v->alerts[0].inhibited || v->alerts[1].inhibited);
    dispatch_view_release(v);
    struct buf yaml = { 0 };
    buf_c(&yaml, BASIC);
    buf_c(&yaml, "inhibit_rules: [{source_matchers: ['s=\"1\"'], target_matchers: ['t=\"1\"']}]\n");
    alert_world_configure(&w, yaml.p);
    alert_world_run(&w, 20000);
    v = dispatch_view(w.d, alert_world_wall(&w), false);
    assert_int_equal(v->alerts[0].inhibited + v->alerts[1].inhibited, 1);
    dispatch_view_release(v);
    assert_int_equal(w.sent_count, 1); /* B is muted */
    assert_true(str_eq(w.sent[0].alerts, STR("A")));
    buf_deinit(&yaml);
    alert_world_deinit(&w);
}

static void reload_during_a_send_does_not_send_again(void **state)
{
    (void)state;
    struct alert_world w;
    int64_t delay_ms = 8000;
    begin(&w);
    w.answer = slowly;
    w.answer_arg = &delay_ms;
    alert_world_post(&w, "alertname=A,n=a", HOUR_MS);
    alert_world_run(&w, 12000);
    alert_world_configure(&w, BASIC); /* the old alert is flushed at once again */
    alert_world_run(&w, 60000);
    assert_int_equal(w.sent_count, 1);
    assert_int_equal(w.records, 1);
    alert_world_deinit(&w);
}

/* ---- Restart ---- */

static void restart_process(struct alert_world *w, int64_t down_ms)
{
    struct buf timers = { 0 };
    size_t cursor = 0;
    while (dispatch_snapshot_timers(w->d, w->now, alert_world_wall(w), &cursor, 7, &timers))
        continue;
    struct wire_time alive = alert_world_wall(w);
    alert_world_stop_dispatch(w);
    w->now = mono_add(w->now, down_ms);
    alert_world_init_dispatch(w);
    alert_store_restored(w->alerts, alive, alert_world_wall(w));
    struct str rest = buf_view(&timers), record;
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    while (alert_snapshot_next(&rest, &record)) {
        struct alert_record r;
        struct err err;
        assert_true(alert_record_parse(&a, record, &r, &err));
        dispatch_restore_timer(w->d, &r.timer);
    }
    arena_deinit(&a);
    buf_deinit(&timers);
    alert_world_peers(w, NULL, false);
    alert_world_configure(w, BASIC);
}

/* The issue's own test: 1,000 firing alerts, ten minutes of downtime, senders return within a minute. */
static void after_ten_minutes_down_nothing_is_said_but_what_changed(void **state)
{
    (void)state;
    enum { ALERTS = 1000 };
    struct alert_world w;
    char labels[48];
    begin(&w);
    for (int i = 0; i < ALERTS; i++) {
        (void)snprintf(labels, sizeof labels, "alertname=A%d,n=%d", i % 100, i);
        alert_world_post(&w, labels, 240000);
    }
    alert_world_run(&w, 60000);
    assert_int_equal(w.sent_count, 100);
    for (int i = 0; i < ALERTS; i++) {
        (void)snprintf(labels, sizeof labels, "alertname=A%d,n=%d", i % 100, i);
        alert_world_post_at(&w, labels, -60000, i == 7 ? 0 : 240000); /* one is resolved by its sender */
    }
    restart_process(&w, 600000);
    assert_int_equal(alert_store_held_count(w.alerts), ALERTS - 1);
    alert_world_run(&w, 10000);
    assert_int_equal(w.sent_count, 100); /* not settled yet */
    alert_world_peers(&w, NULL, true);
    alert_world_run(&w, 20000);
    assert_int_equal(w.sent_count, 101);
    assert_true(str_contains(w.sent[100].alerts, STR("7(resolved)")));
    for (int i = 0; i < ALERTS; i++) {
        (void)snprintf(labels, sizeof labels, "alertname=A%d,n=%d", i % 100, i);
        if (i != 7 && i != 8)
            alert_world_post_at(&w, labels, -690000, 240000);
        if (i % 20 == 0)
            alert_world_run(&w, 500);
    }
    alert_world_run(&w, 100000);
    assert_int_equal(w.sent_count, 101);
    assert_int_equal(alert_store_held_count(w.alerts), 1); /* of number 8 nobody has spoken */
    alert_world_run(&w, 120000);
    for (int i = 0; i < ALERTS; i++) {
        (void)snprintf(labels, sizeof labels, "alertname=A%d,n=%d", i % 100, i);
        if (i != 7 && i != 8)
            alert_world_post_at(&w, labels, -900000, 240000);
    }
    alert_world_run(&w, 120000);
    assert_int_equal(w.sent_count, 102); /* resolve_timeout after the node was ready: said once */
    assert_true(str_contains(w.sent[101].alerts, STR("8(resolved)")));
    alert_world_deinit(&w);
}

static void timer_that_fell_due_while_down_fires_when_settled(void **state)
{
    (void)state;
    struct alert_world w;
    begin(&w);
    alert_world_post(&w, "alertname=A,n=a", HOUR_MS);
    alert_world_run(&w, 8000);
    restart_process(&w, 5000); /* due at 10 s, back at 13 s */
    alert_world_run(&w, 2000);
    assert_int_equal(w.sent_count, 0);
    alert_world_peers(&w, NULL, true);
    alert_world_run(&w, 0);
    expect_sent(&w, 0, 15000, "a", NOTIFY_REASON_FIRST);
    alert_world_deinit(&w);
}

static void timer_that_is_ahead_keeps_its_instant(void **state)
{
    (void)state;
    struct alert_world w;
    begin(&w);
    alert_world_post(&w, "alertname=A,n=a", HOUR_MS);
    alert_world_run(&w, 12000); /* said at 10 s, next flush at 40 s */
    alert_world_post(&w, "alertname=A,n=b", HOUR_MS);
    restart_process(&w, 5000);
    alert_world_peers(&w, NULL, true);
    alert_world_run(&w, 30000);
    assert_int_equal(w.sent_count, 2);
    expect_sent(&w, 1, 40000, "a b", NOTIFY_REASON_NEW_ALERTS);
    alert_world_deinit(&w);
}

static void stop_keeps_timers_and_what_was_being_said_is_due_at_once(void **state)
{
    (void)state;
    struct alert_world w;
    int64_t delay_ms = 5000;
    begin(&w);
    w.answer = slowly;
    w.answer_arg = &delay_ms;
    alert_world_post(&w, "alertname=A,n=a", HOUR_MS);
    alert_world_run(&w, 9000);
    alert_world_post(&w, "alertname=B,n=b", HOUR_MS);
    alert_world_run(&w, 2000); /* 11 s: A is being said, B is due at 19 s */
    alert_world_step(&w, &(struct dispatch_event){ .kind = DISPATCH_STOP });
    struct buf timers = { 0 };
    size_t cursor = 0;
    assert_false(dispatch_snapshot_timers(w.d, w.now, alert_world_wall(&w), &cursor, 10, &timers));
    struct str rest = buf_view(&timers), record;
    struct arena a;
    struct err err;
    int64_t due_ms[2];
    arena_init(&a, ARENA_NO_LIMIT);
    for (size_t i = 0; i < 2; i++) {
        struct alert_record r;
        assert_true(alert_snapshot_next(&rest, &record) && alert_record_parse(&a, record, &r, &err));
        due_ms[i] = wire_time_sub_ns(r.timer.due, alert_world_wall(&w)) / 1000000;
    }
    assert_int_equal(due_ms[0], 0);
    assert_int_equal(due_ms[1], 8000);
    alert_world_run(&w, 60000);
    assert_int_equal(w.sent_count, 1); /* nothing begins any more */
    assert_int_equal(w.records, 1);    /* but what was in flight is logged */
    arena_deinit(&a);
    buf_deinit(&timers);
    alert_world_deinit(&w);
}

/* A process that ends while alerts are held leaves them to be held by the next. */
static void held_alerts_are_held_again_after_a_second_restart(void **state)
{
    (void)state;
    struct alert_world w;
    begin(&w);
    alert_world_post(&w, "alertname=A,n=a", 240000);
    alert_world_run(&w, 20000);
    struct wire_time alive = alert_store_alive(w.alerts, alert_world_wall(&w));
    restart_process(&w, 600000);
    assert_int_equal(wire_time_cmp(alert_store_alive(w.alerts, alert_world_wall(&w)), alive), 0);
    alert_world_peers(&w, NULL, true);
    alert_world_run(&w, 60000);
    alive = alert_store_alive(w.alerts, alert_world_wall(&w));
    alert_store_release_held(w.alerts); /* as a fresh process finds it in its files */
    assert_int_equal(alert_store_restored(w.alerts, alive, alert_world_wall(&w)), 1);
    alert_world_deinit(&w);
}

/* ---- Slices ---- */

static void twenty_thousand_groups_due_at_once_are_cut_into_slices(void **state)
{
    (void)state;
    enum { GROUPS = 20000 };
    struct alert_world w;
    char labels[48];
    begin(&w);
    for (int i = 0; i < GROUPS; i++) {
        (void)snprintf(labels, sizeof labels, "alertname=A%d,n=a", i);
        alert_world_post(&w, labels, HOUR_MS);
    }
    assert_int_equal(dispatch_groups_count(w.d), GROUPS);
    size_t before = w.steps, most = 0;
    w.now = mono_add(w.now, 10000);
    while (w.sent_count < GROUPS) {
        size_t sent = w.sent_count;
        assert_false(mono_before(w.now, dispatch_deadline(w.d))); /* there is work: it wants to be called again */
        alert_world_step(&w, NULL);
        most = w.sent_count - sent > most ? w.sent_count - sent : most;
    }
    assert_true(w.steps - before > 20);
    assert_true(most <= 1000);
    alert_world_deinit(&w);
}

/* ---- Views ---- */

static void view_is_shared_until_something_changes(void **state)
{
    (void)state;
    struct alert_world w;
    begin(&w);
    alert_world_post(&w, "alertname=A,n=a", 50000);
    struct dispatch_view *a = dispatch_view(w.d, alert_world_wall(&w), false);
    struct dispatch_view *b = dispatch_view(w.d, alert_world_at(&w, 1000), false);
    assert_ptr_equal(a, b);
    struct dispatch_view *c = dispatch_view(w.d, alert_world_at(&w, 50000), false); /* an alert has ended */
    assert_ptr_not_equal(a, c);
    alert_world_silence(&w, "alertname=A", 0, HOUR_MS);
    struct dispatch_view *d = dispatch_view(w.d, alert_world_at(&w, 50001), false);
    assert_int_equal(d->alerts[0].silenced_by_count, 1);
    assert_int_equal(a->alerts[0].silenced_by_count, 0); /* an old view stays as it was */
    dispatch_view_release(a);
    dispatch_view_release(b);
    dispatch_view_release(c);
    dispatch_view_release(d);
    alert_world_deinit(&w);
}

static void view_shows_groups_with_their_alerts_and_mutes(void **state)
{
    (void)state;
    struct alert_world w;
    alert_world_init(&w, 1);
    alert_world_configure(&w, "route:\n  receiver: r\n  group_by: [alertname]\n  group_wait: 1s\n  group_interval: 10s\n"
                              "  routes:\n  - {matchers: ['m=\"1\"'], mute_time_intervals: [always]}\n"
                              "receivers: [{name: r, webhook_configs: [{url: 'http://x/'}]}]\n"
                              "time_intervals: [{name: always, time_intervals: [{days_of_month: ['1:31']}]}]\n");
    alert_world_post(&w, "alertname=B,instance=2", HOUR_MS);
    alert_world_post(&w, "alertname=B,instance=1", HOUR_MS);
    alert_world_post(&w, "alertname=C,m=1", HOUR_MS);
    alert_world_run(&w, 5000);
    struct dispatch_view *v = dispatch_view(w.d, alert_world_wall(&w), true);
    assert_int_equal(v->groups_count, 2);
    const struct dispatch_group_row *b = &v->groups[0], *c = &v->groups[1];
    assert_int_equal(b->route->index, 0);
    assert_int_equal(b->alerts_count, 2);
    assert_true(str_eq(alert_label_value(v->alerts[b->alerts[0]].alert, STR("instance")), STR("1")));
    assert_int_equal(b->muted_by_count, 0);
    assert_int_equal(c->muted_by_count, 1);
    assert_true(str_eq(c->muted_by[0], STR("always")));
    assert_true(str_eq(c->key, STR("{}/{m=\"1\"}:{alertname=\"C\"}")));
    assert_int_equal(w.sent_count, 1);
    dispatch_view_release(v);
    alert_world_deinit(&w);
}

static void alerts_are_counted_by_what_the_last_flush_found(void **state)
{
    (void)state;
    struct alert_world w;
    begin(&w);
    alert_world_post(&w, "alertname=A,n=a", HOUR_MS);
    alert_world_silence(&w, "alertname=B", 0, HOUR_MS);
    alert_world_post(&w, "alertname=B,n=b", HOUR_MS);
    alert_world_run(&w, 12000);
    alert_world_post(&w, "alertname=C,n=c", HOUR_MS);
    dispatch_collect(w.d, alert_world_wall(&w));
    static const struct str states[] = { STR_INIT("active"), STR_INIT("suppressed"), STR_INIT("unprocessed") };
    for (size_t i = 0; i < 3; i++)
        assert_true(gauge_get(metric_vec_gauge(dispatch_stats(w.d)->alerts, &states[i])) == 1);
    assert_true(gauge_get(&dispatch_stats(w.d)->groups) == 3);
    alert_world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(group_waits_then_repeats_its_interval),
        cmocka_unit_test(old_alert_is_flushed_at_once),
        cmocka_unit_test(resolution_is_said_at_the_next_flush_and_ends_the_group),
        cmocka_unit_test(resolved_alert_out_of_nowhere_says_nothing),
        cmocka_unit_test(alert_that_runs_out_is_resolved),
        cmocka_unit_test(failed_flush_keeps_resolved_alerts_for_the_next),
        cmocka_unit_test(alert_that_fires_again_during_the_flush_stays),
        cmocka_unit_test(overlong_flush_delays_the_next_which_then_starts_at_once),
        cmocka_unit_test(tick_and_interval_decide_about_repeats),
        cmocka_unit_test(alert_goes_to_every_route_that_it_matches),
        cmocka_unit_test(unchanged_resends_allocate_nothing),
        cmocka_unit_test(nothing_is_flushed_before_the_cluster_has_settled),
        cmocka_unit_test(start_delay_holds_the_first_flush),
        cmocka_unit_test(reload_makes_new_groups_and_says_nothing_twice),
        cmocka_unit_test(new_rules_apply_to_old_alerts),
        cmocka_unit_test(reload_during_a_send_does_not_send_again),
        cmocka_unit_test(after_ten_minutes_down_nothing_is_said_but_what_changed),
        cmocka_unit_test(timer_that_fell_due_while_down_fires_when_settled),
        cmocka_unit_test(timer_that_is_ahead_keeps_its_instant),
        cmocka_unit_test(stop_keeps_timers_and_what_was_being_said_is_due_at_once),
        cmocka_unit_test(held_alerts_are_held_again_after_a_second_restart),
        cmocka_unit_test(twenty_thousand_groups_due_at_once_are_cut_into_slices),
        cmocka_unit_test(view_is_shared_until_something_changes),
        cmocka_unit_test(view_shows_groups_with_their_alerts_and_mutes),
        cmocka_unit_test(alerts_are_counted_by_what_the_last_flush_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
