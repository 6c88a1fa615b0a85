#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/alert_world.h"

#include <stdio.h>

/* What notify/outage.c promises, seen through the dispatcher: many groups of one receiver that fails. */
#define HOUR_MS 3600000
#define GROUPS  500
static const char config[] = "route: {receiver: r, group_by: [alertname], group_wait: 1s, group_interval: 10m}\n"
                             "receivers: [{name: r, webhook_configs: [{url: 'http://x'}]}]\n";

struct receiver {
    const struct alert_world *w;
    int64_t up_at_ms;       /* since the world began */
    const char *never;      /* group key that it never takes; NULL: it takes all */
    size_t asked, never_asked;
};

static enum send_verdict receive(void *arg, struct alert_world_sent *s, int64_t *delay_ms)
{
    struct receiver *r = arg;
    *delay_ms = 5;
    r->asked++;
    if (r->never && str_eq(s->group_key, str_c(r->never))) {
        r->never_asked++;
        return SEND_RETRY;
    }
    return s->at_ms < r->up_at_ms ? SEND_RETRY : SEND_DONE;
}

static void begin(struct alert_world *w, struct receiver *r)
{
    alert_world_init(w, 1);
    r->w = w;
    w->answer = receive;
    w->answer_arg = r;
    alert_world_configure(w, config);
}

static void post(struct alert_world *w, size_t from, size_t to)
{
    char labels[40];
    for (size_t i = from; i < to; i++) {
        (void)snprintf(labels, sizeof labels, "alertname=A%zu", i);
        alert_world_post(w, labels, HOUR_MS);
    }
}

static size_t succeeded(const struct alert_world *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->sent_count; i++)
        n += w->sent[i].answered && w->sent[i].verdict == SEND_DONE;
    return n;
}

static void receiver_that_is_down_is_asked_twenty_times_a_second(void **state)
{
    (void)state;
    struct alert_world w;
    struct receiver r = { .up_at_ms = HOUR_MS };
    begin(&w, &r);
    post(&w, 0, GROUPS);
    alert_world_run(&w, 2000);
    size_t first = r.asked;
    assert_in_range(first, GROUPS, GROUPS + 40); /* each was tried once before anything was known */
    alert_world_run(&w, 60000);
    assert_in_range(r.asked - first, 60, 60 * 20 + 1);
    alert_world_deinit(&w);
}

static void receiver_that_recovers_has_all_within_a_second(void **state)
{
    (void)state;
    struct alert_world w;
    struct receiver r = { .up_at_ms = 60000 };
    begin(&w, &r);
    post(&w, 0, GROUPS);
    alert_world_run(&w, 60000);
    assert_int_equal(succeeded(&w), 0);
    alert_world_run(&w, 2000);
    assert_int_equal(succeeded(&w), GROUPS);
    assert_int_equal(w.records, GROUPS);
    alert_world_deinit(&w);
}

/* What falls due while it is down is tried by its own back-off from then on, and none is forgotten. */
static void group_that_was_never_tried_is_sent_when_the_receiver_recovers(void **state)
{
    (void)state;
    struct alert_world w;
    struct receiver r = { .up_at_ms = 60000 };
    begin(&w, &r);
    post(&w, 0, 100);
    alert_world_run(&w, 20000);
    size_t before = r.asked;
    post(&w, 100, 200);
    alert_world_run(&w, 2000);
    assert_in_range(r.asked - before, 1, 45); /* probes, whosever they are */
    alert_world_run(&w, 40000);
    assert_int_equal(succeeded(&w), 200);
    alert_world_deinit(&w);
}

static void group_that_is_never_taken_is_tried_at_most_twice_as_often(void **state)
{
    (void)state;
    struct alert_world w;
    struct receiver r = { .up_at_ms = 0, .never = "{}:{alertname=\"A0\"}" };
    begin(&w, &r);
    post(&w, 0, 1);
    for (size_t i = 1; i < GROUPS; i++) { /* a success every 100 ms */
        post(&w, i, i + 1);
        alert_world_run(&w, 100);
    }
    alert_world_run(&w, 1500);
    assert_int_equal(succeeded(&w), GROUPS - 1);
    /* 0.5 s, times 1.5 each, with jitter: nine or so in 50 s */
    assert_in_range(r.never_asked, 5, 24);
    alert_world_deinit(&w);
}

static void reload_forgets_the_outage(void **state)
{
    (void)state;
    struct alert_world w;
    struct receiver r = { .up_at_ms = HOUR_MS };
    begin(&w, &r);
    post(&w, 0, 100);
    alert_world_run(&w, 30000);
    r.up_at_ms = 0;
    size_t before = succeeded(&w);
    alert_world_configure(&w, config);
    alert_world_run(&w, 1500);
    assert_int_equal(before, 0);
    assert_int_equal(succeeded(&w), 100);
    alert_world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(receiver_that_is_down_is_asked_twenty_times_a_second),
        cmocka_unit_test(receiver_that_recovers_has_all_within_a_second),
        cmocka_unit_test(group_that_was_never_tried_is_sent_when_the_receiver_recovers),
        cmocka_unit_test(group_that_is_never_taken_is_tried_at_most_twice_as_often),
        cmocka_unit_test(reload_forgets_the_outage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
