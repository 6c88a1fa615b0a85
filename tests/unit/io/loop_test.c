#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/clock_io.h"
#include "io/loop.h"
#include "io/thread.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

struct trace {
    struct loop *loop;
    char text[64];
    size_t n;
    struct loop_timer timer;
    int left;
};

static void add(struct trace *t, char c)
{
    assert_true(t->n + 1 < sizeof t->text);
    t->text[t->n++] = c;
}

struct step {
    struct loop_timer timer;
    struct loop_call call;
    struct trace *trace;
    char name;
};

static void fire(void *arg)
{
    struct step *s = arg;
    add(s->trace, s->name);
    if (s->name == 'z')
        loop_stop(s->trace->loop);
}

static void timers_fire_by_deadline_then_by_order_of_arming(void **state)
{
    (void)state;
    struct trace t = { .loop = loop_new("test", NULL) };
    struct step s[5];
    memset(s, 0, sizeof s);
    mono_ms now = clock_mono();
    const int64_t at[] = { 3, 1, 1, 2, 4 };
    const char names[] = "abcdz";
    for (size_t i = 0; i < 5; i++) {
        s[i].trace = &t;
        s[i].name = names[i];
        s[i].timer = (struct loop_timer){ .fire = fire, .arg = &s[i] };
        loop_timer_at(t.loop, &s[i].timer, mono_add(now, at[i]));
    }
    loop_timer_stop(t.loop, &s[3].timer);
    loop_run(t.loop);
    assert_string_equal(t.text, "bcaz");
    loop_free(t.loop);
}

struct lateness {
    struct loop *loop;
    int64_t fired_ns;
};

static void note_time(void *arg)
{
    struct lateness *l = arg;
    l->fired_ns = clock_mono_ns();
    loop_stop(l->loop);
}

/* The loop falls asleep late in a millisecond; whoever counts whole ones from there wakes as late in another. The best of
 * many, for the machine may be busy. */
static void a_timer_does_not_wait_for_the_rest_of_a_millisecond(void **state)
{
    (void)state;
    struct lateness l = { .loop = loop_new("test", NULL) };
    struct loop_timer timer = { .fire = note_time, .arg = &l };
    int64_t best_ns = INT64_MAX;
    for (int i = 0; i < 50; i++) {
        while (clock_mono_ns() % 1000000 < 800000)
            continue;
        mono_ms due = mono_add(clock_mono(), 2);
        loop_timer_at(l.loop, &timer, due);
        loop_run(l.loop);
        int64_t late_ns = l.fired_ns - due.ms * 1000000;
        assert_true(late_ns >= 0);
        best_ns = late_ns < best_ns ? late_ns : best_ns;
    }
    assert_true(best_ns < 500000);
    loop_free(l.loop);
}

static void tick(void *arg)
{
    struct trace *t = arg;
    add(t, 't');
    if (--t->left == 0) {
        loop_timer_stop(t->loop, &t->timer);
        loop_stop(t->loop);
    }
}

static void periodic_timers_fire_until_stopped(void **state)
{
    (void)state;
    struct trace t = { .loop = loop_new("test", NULL), .left = 3 };
    t.timer = (struct loop_timer){ .fire = tick, .arg = &t };
    loop_timer_every(t.loop, &t.timer, 1);
    loop_run(t.loop);
    assert_string_equal(t.text, "ttt");
    loop_free(t.loop);
}

static void rearm_for_now(void *arg)
{
    struct trace *t = arg;
    add(t, 'r');
    if (--t->left > 0)
        loop_timer_in(t->loop, &t->timer, 0);
}

static void a_timer_that_rearms_for_now_lets_others_have_their_turn(void **state)
{
    (void)state;
    struct trace t = { .loop = loop_new("test", NULL), .left = 2 };
    struct step other = { .trace = &t, .name = 'o', .timer = { .fire = fire, .arg = &other } };
    t.timer = (struct loop_timer){ .fire = rearm_for_now, .arg = &t };
    loop_timer_in(t.loop, &t.timer, 0);
    loop_timer_in(t.loop, &other.timer, 0);
    while (t.n < 3)
        loop_turn(t.loop, 1000);
    assert_string_equal(t.text, "ror");
    loop_free(t.loop);
}

static void post_many(void *arg)
{
    struct step *steps = arg;
    for (size_t i = 0; i < 3; i++)
        loop_post(steps[i].trace->loop, &steps[i].call);
}

static void posted_calls_run_on_the_loop_in_order(void **state)
{
    (void)state;
    struct trace t = { .loop = loop_new("test", NULL) };
    struct step s[3];
    memset(s, 0, sizeof s);
    for (size_t i = 0; i < 3; i++)
        s[i] = (struct step){ .trace = &t, .name = "abz"[i], .call = { .run = fire, .arg = &s[i] } };
    struct thread th = { 0 };
    struct err err;
    assert_true(thread_start(&th, "poster", post_many, s, &err));
    loop_run(t.loop);
    thread_join(&th);
    assert_string_equal(t.text, "abz");
    loop_free(t.loop);
}

static void defer_other(void *arg)
{
    struct step *s = arg;
    add(s->trace, '1');
    loop_defer(s->trace->loop, &s->call);
    add(s->trace, '2');
}

static void deferred_calls_run_after_the_callback_in_the_same_turn(void **state)
{
    (void)state;
    struct trace t = { .loop = loop_new("test", NULL) };
    struct step s = { .trace = &t, .name = 'd', .call = { .run = fire, .arg = &s } };
    s.timer = (struct loop_timer){ .fire = defer_other, .arg = &s };
    loop_timer_in(t.loop, &s.timer, 0);
    loop_turn(t.loop, 1000);
    assert_string_equal(t.text, "12d");
    loop_free(t.loop);
}

static void end_and_defer(void *arg)
{
    struct step *s = arg; /* two of them: what is deferred, and what comes at the end */
    loop_at_turn_end(s[0].trace->loop, &s[1].call);
    loop_defer(s[0].trace->loop, &s[0].call);
    add(s[0].trace, '1');
}

static void the_end_of_a_turn_comes_after_all_of_its_callbacks_and_once(void **state)
{
    (void)state;
    struct trace t = { .loop = loop_new("test", NULL) };
    struct step s[3];
    memset(s, 0, sizeof s);
    for (size_t i = 0; i < 3; i++)
        s[i] = (struct step){ .trace = &t, .name = "det"[i], .call = { .run = fire, .arg = &s[i] } };
    s[0].timer = (struct loop_timer){ .fire = end_and_defer, .arg = s };
    s[2].timer = (struct loop_timer){ .fire = fire, .arg = &s[2] };
    loop_timer_in(t.loop, &s[0].timer, 0);
    loop_timer_in(t.loop, &s[2].timer, 0);
    loop_turn(t.loop, 1000);
    loop_turn(t.loop, 0);
    loop_turn(t.loop, 0);
    assert_string_equal(t.text, "1dte");
    loop_free(t.loop);
}

struct pipe_watch {
    struct loop *loop;
    struct loop_poll *poll;
    int fds[2];
    unsigned events;
};

static void readable(void *arg, unsigned events)
{
    struct pipe_watch *w = arg;
    w->events |= events;
    loop_poll_free(w->poll); /* from within its own callback */
    w->poll = NULL;
}

static void a_descriptor_tells_when_it_is_readable_and_may_be_freed_from_its_callback(void **state)
{
    (void)state;
    struct pipe_watch w = { .loop = loop_new("test", NULL) };
    assert_int_equal(pipe(w.fds), 0);
    w.poll = loop_poll_new(w.loop, w.fds[0], readable, &w);
    loop_poll_set(w.poll, LOOP_READ);
    loop_turn(w.loop, 0);
    assert_int_equal(w.events, 0);
    assert_int_equal(write(w.fds[1], "x", 1), 1);
    loop_turn(w.loop, 1000);
    assert_int_equal(w.events, LOOP_READ);
    loop_free(w.loop);
    close(w.fds[0]);
    close(w.fds[1]);
}

static void the_lag_of_a_slow_callback_is_observed(void **state)
{
    (void)state;
    struct loop_metrics m;
    metric_stats_init(loop_metric_descs, loop_metric_descs_count, &m);
    struct trace t = { .loop = loop_new("slow", &m) };
    struct step s = { .trace = &t, .name = 'z', .timer = { .fire = fire, .arg = &s } };
    loop_timer_in(t.loop, &s.timer, 0);
    loop_run(t.loop);
    struct str label = STR("slow");
    struct histogram *h = metric_vec_histogram(m.lag, &label);
    uint64_t n = 0;
    for (size_t i = 0; i <= h->bounds_count; i++)
        n += atomic_load(&h->buckets[i]);
    assert_true(n >= 1);
    loop_free(t.loop);
    metric_stats_deinit(loop_metric_descs, loop_metric_descs_count, &m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_by_deadline_then_by_order_of_arming),
        cmocka_unit_test(a_timer_does_not_wait_for_the_rest_of_a_millisecond),
        cmocka_unit_test(periodic_timers_fire_until_stopped),
        cmocka_unit_test(a_timer_that_rearms_for_now_lets_others_have_their_turn),
        cmocka_unit_test(posted_calls_run_on_the_loop_in_order),
        cmocka_unit_test(deferred_calls_run_after_the_callback_in_the_same_turn),
        cmocka_unit_test(the_end_of_a_turn_comes_after_all_of_its_callbacks_and_once),
        cmocka_unit_test(a_descriptor_tells_when_it_is_readable_and_may_be_freed_from_its_callback),
        cmocka_unit_test(the_lag_of_a_slow_callback_is_observed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
