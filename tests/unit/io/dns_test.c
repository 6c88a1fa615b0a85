#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/clock_io.h"
#include "io/dns.h"
#include "unit/io/net_fixture.h"

struct answer {
    bool done;
    size_t count;
    struct addr first;
    struct err err;
};

static void on_done(void *arg, const struct addr *addrs, size_t count, const struct err *err)
{
    struct answer *a = arg;
    assert_false(a->done);
    a->done = true;
    a->count = count;
    if (count)
        a->first = addrs[0];
    a->err = *err;
}

static void wait_done(struct loop *l, struct answer *a)
{
    int64_t end = test_now_ms() + FIXTURE_DEADLINE_MS;
    while (!a->done) {
        assert_true(test_now_ms() < end);
        loop_turn(l, 100);
    }
}

static void literals_and_names_are_answered_later_with_their_port(void **state)
{
    (void)state;
    struct loop *l = loop_new("dns", NULL);
    struct dns *d = dns_new(l);
    struct answer a = { 0 }, b = { 0 };
    dns_resolve(d, STR("::ffff:1.2.3.4"), 7, MONO_NEVER, on_done, &a);
    assert_false(a.done);
    wait_done(l, &a);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.first.ip.n, 4);
    assert_int_equal(a.first.port, 7);
    dns_resolve(d, STR("localhost"), 8, MONO_NEVER, on_done, &b);
    wait_done(l, &b);
    assert_true(b.count >= 1);
    assert_true(ip_is_loopback(&b.first.ip));
    assert_int_equal(b.first.port, 8);
    dns_free(d);
    loop_free(l);
}

static void unknown_names_fail_in_gos_words(void **state)
{
    (void)state;
    struct loop *l = loop_new("dns", NULL);
    struct dns *d = dns_new(l);
    struct answer a = { 0 }, b = { 0 };
    dns_resolve(d, STR("nope.invalid"), 7, MONO_NEVER, on_done, &a);
    wait_done(l, &a);
    assert_int_equal(a.count, 0);
    assert_string_equal(a.err.text, "lookup nope.invalid: no such host");
    dns_resolve(d, STR(""), 7, MONO_NEVER, on_done, &b);
    wait_done(l, &b);
    assert_string_equal(b.err.text, "lookup : no such host");
    dns_free(d);
    loop_free(l);
}

static void a_cancelled_look_up_is_not_answered_and_its_resolver_may_go(void **state)
{
    (void)state;
    struct loop *l = loop_new("dns", NULL);
    struct dns *d = dns_new(l);
    struct answer a[5] = { { 0 } };
    for (size_t i = 0; i < 5; i++) {
        struct dns_lookup *lookup = dns_resolve(d, STR("localhost"), 1, MONO_NEVER, on_done, &a[i]);
        if (i != 4)
            dns_cancel(lookup);
    }
    wait_done(l, &a[4]);
    for (size_t i = 0; i < 4; i++)
        assert_false(a[i].done);
    dns_resolve(d, STR("localhost"), 1, MONO_NEVER, on_done, &a[0]);
    dns_free(d);
    loop_free(l);
    assert_false(a[0].done);
}

static void a_look_up_ends_with_its_deadline(void **state)
{
    (void)state;
    struct loop *l = loop_new("dns", NULL);
    struct dns *d = dns_new(l);
    struct answer a = { 0 };
    dns_resolve(d, STR("localhost"), 1, mono_add(clock_mono(), -1), on_done, &a);
    wait_done(l, &a);
    assert_true(a.count > 0 || a.err.code == ERR_TIMEOUT); /* whichever came first */
    dns_free(d);
    loop_free(l);
}

static void too_many_waiting_look_ups_are_refused(void **state)
{
    (void)state;
    enum { MANY = DNS_WAITING_MAX + DNS_RUNNING_MAX + 1 };
    static struct answer a[MANY];
    struct loop *l = loop_new("dns", NULL);
    struct dns *d = dns_new(l);
    memset(a, 0, sizeof a);
    for (size_t i = 0; i < MANY; i++)
        dns_resolve(d, STR("localhost"), 1, MONO_NEVER, on_done, &a[i]);
    wait_done(l, &a[MANY - 1]);
    assert_int_equal(a[MANY - 1].err.code, ERR_LIMIT);
    dns_free(d);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_and_names_are_answered_later_with_their_port),
        cmocka_unit_test(unknown_names_fail_in_gos_words),
        cmocka_unit_test(a_cancelled_look_up_is_not_answered_and_its_resolver_may_go),
        cmocka_unit_test(a_look_up_ends_with_its_deadline),
        cmocka_unit_test(too_many_waiting_look_ups_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
