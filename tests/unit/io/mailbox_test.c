#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "io/mailbox.h"
#include "io/thread.h"

#include <stdatomic.h>
#include <string.h>

enum { SENDERS = 4, PER_SENDER = 5000 };

struct letter {
    struct mail mail;
    unsigned sender, number;
};
struct reader {
    struct loop *loop;
    struct mailbox *mb;
    unsigned next[SENDERS];
    size_t got, stop_at;
    bool in_order;
};

static void deliver(void *arg, struct mail *m)
{
    struct reader *r = arg;
    struct letter *l = container_of(m, struct letter, mail);
    if (l->number != r->next[l->sender])
        r->in_order = false;
    r->next[l->sender] = l->number + 1;
    mem_free(l);
    if (++r->got == r->stop_at)
        loop_stop(r->loop);
}

struct sender {
    struct reader *reader;
    unsigned id;
    struct thread thread;
    size_t refused;
};

static void send_all(void *arg)
{
    struct sender *s = arg;
    for (unsigned i = 0; i < PER_SENDER; i++) {
        struct letter *l = MEM_NEW(struct letter);
        l->sender = s->id;
        l->number = i;
        while (!mailbox_post(s->reader->mb, &l->mail))
            s->refused++;
    }
}

static void init(struct reader *r, size_t capacity)
{
    *r = (struct reader){ .loop = loop_new("reader", NULL), .in_order = true };
    r->mb = mailbox_new(r->loop, "test", capacity, NULL, deliver, r);
}

static void deinit(struct reader *r)
{
    mailbox_free(r->mb);
    loop_free(r->loop);
}

static void many_senders_lose_nothing_and_keep_their_order(void **state)
{
    (void)state;
    struct reader r;
    init(&r, 64);
    r.stop_at = SENDERS * PER_SENDER;
    struct sender s[SENDERS];
    memset(s, 0, sizeof s);
    struct err err;
    for (unsigned i = 0; i < SENDERS; i++) {
        s[i].reader = &r;
        s[i].id = i;
        assert_true(thread_start(&s[i].thread, "sender", send_all, &s[i], &err));
    }
    loop_run(r.loop);
    for (unsigned i = 0; i < SENDERS; i++)
        thread_join(&s[i].thread);
    assert_int_equal(r.got, SENDERS * PER_SENDER);
    assert_true(r.in_order);
    assert_int_equal(mailbox_count(r.mb), 0);
    deinit(&r);
}

static struct letter *letter(unsigned number)
{
    struct letter *l = MEM_NEW(struct letter);
    l->number = number;
    return l;
}

static void a_full_mailbox_refuses_and_counts_but_takes_answers(void **state)
{
    (void)state;
    struct mailbox_metrics m;
    metric_stats_init(mailbox_metric_descs, mailbox_metric_descs_count, &m);
    struct reader r = { .loop = loop_new("reader", NULL), .in_order = true };
    r.mb = mailbox_new(r.loop, "box", 2, &m, deliver, &r);
    struct letter *l[4] = { letter(0), letter(1), letter(9), letter(2) };
    assert_true(mailbox_post(r.mb, &l[0]->mail));
    assert_true(mailbox_post(r.mb, &l[1]->mail));
    assert_false(mailbox_post(r.mb, &l[2]->mail));
    assert_true(mailbox_post_answer(r.mb, &l[3]->mail));
    mem_free(l[2]); /* still ours */
    struct str label = STR("box");
    assert_int_equal(counter_get(metric_vec_counter(m.refused, &label)), 1);
    loop_turn(r.loop, 1000);
    assert_int_equal(r.got, 3);
    assert_true(r.in_order);
    assert_int_equal(counter_get(metric_vec_counter(m.delivered, &label)), 3);
    deinit(&r);
    metric_stats_deinit(mailbox_metric_descs, mailbox_metric_descs_count, &m);
}

static void closing_delivers_what_waits_and_refuses_the_rest(void **state)
{
    (void)state;
    struct reader r;
    init(&r, 8);
    struct letter *a = letter(0), *b = letter(1);
    assert_true(mailbox_post(r.mb, &a->mail));
    mailbox_close(r.mb);
    assert_int_equal(r.got, 1);
    assert_false(mailbox_post(r.mb, &b->mail));
    assert_false(mailbox_post_answer(r.mb, &b->mail));
    mem_free(b);
    deinit(&r);
}

static void a_bundle_arrives_in_its_order_and_empties(void **state)
{
    (void)state;
    struct reader r;
    init(&r, 1);
    struct mail_bundle b = { 0 };
    for (unsigned i = 0; i < 3; i++)
        mail_bundle_add(&b, &letter(i)->mail);
    assert_true(mailbox_post_bundle(r.mb, &b)); /* answers: not bounded by the capacity */
    assert_int_equal(b.n, 0);
    assert_int_equal(mailbox_count(r.mb), 3);
    assert_true(mailbox_post_bundle(r.mb, &b)); /* of nothing */
    assert_true(mailbox_post_answer(r.mb, &letter(3)->mail));
    loop_turn(r.loop, 1000);
    assert_int_equal(r.got, 4);
    assert_true(r.in_order);
    mailbox_close(r.mb);
    struct letter *late = letter(4);
    mail_bundle_add(&b, &late->mail);
    assert_false(mailbox_post_bundle(r.mb, &b));
    assert_int_equal(b.n, 1);
    mem_free(late);
    deinit(&r);
}

struct slow {
    struct loop *loop;
    struct loop_timer timer;
    size_t got, got_at_timer;
};

static void deliver_slowly(void *arg, struct mail *m)
{
    struct slow *s = arg;
    mem_free(container_of(m, struct letter, mail));
    s->got++;
    for (volatile unsigned i = 0; i < 20000; i++) {
    }
}

static void between(void *arg)
{
    struct slow *s = arg;
    s->got_at_timer = s->got;
}

static void a_long_queue_is_read_in_slices_between_which_timers_fire(void **state)
{
    (void)state;
    enum { LETTERS = 4000 };
    struct slow s = { .loop = loop_new("slow", NULL) };
    struct mailbox *mb = mailbox_new(s.loop, "slow", LETTERS, NULL, deliver_slowly, &s);
    for (unsigned i = 0; i < LETTERS; i++)
        assert_true(mailbox_post(mb, &letter(i)->mail));
    s.timer = (struct loop_timer){ .fire = between, .arg = &s };
    loop_timer_in(s.loop, &s.timer, 1);
    while (s.got < LETTERS)
        loop_turn(s.loop, 1000);
    assert_true(s.got_at_timer > 0);
    assert_true(s.got_at_timer < LETTERS);
    mailbox_free(mb);
    loop_free(s.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_senders_lose_nothing_and_keep_their_order),
        cmocka_unit_test(a_full_mailbox_refuses_and_counts_but_takes_answers),
        cmocka_unit_test(a_bundle_arrives_in_its_order_and_empties),
        cmocka_unit_test(closing_delivers_what_waits_and_refuses_the_rest),
        cmocka_unit_test(a_long_queue_is_read_in_slices_between_which_timers_fire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
