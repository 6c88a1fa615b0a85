#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/udp.h"
#include "unit/io/net_fixture.h"

struct side {
    struct udp *udp;
    struct addr from;
    struct buf got;
    unsigned packets;
    bool close;
};

static void on_packet(void *arg, const struct addr *from, struct str bytes)
{
    struct side *s = arg;
    s->from = *from;
    s->packets++;
    buf_str(&s->got, bytes);
    if (s->close) {
        udp_close(s->udp);
        s->udp = NULL;
    }
}

static const struct addr loopback = { .ip = { { 127, 0, 0, 1 }, 4 } };

static void open_side(struct loop *l, struct side *s, const struct addr *at)
{
    struct err err;
    memset(s, 0, sizeof *s);
    s->udp = udp_open(l, at, 2 * 1024 * 1024, on_packet, s, &err);
    if (!s->udp)
        fail_msg("%s", err.text);
}

static void wait_packets(struct loop *l, struct side *s, unsigned n)
{
    int64_t end = test_now_ms() + FIXTURE_DEADLINE_MS;
    while (s->packets < n) {
        assert_true(test_now_ms() < end);
        loop_turn(l, 100);
    }
}

static void packets_arrive_whole_and_from_the_bound_address(void **state)
{
    (void)state;
    struct loop *l = loop_new("udp", NULL);
    struct side a, b;
    struct err err;
    open_side(l, &a, &loopback);
    open_side(l, &b, &loopback);
    assert_true(udp_address(a.udp)->port != 0);
    assert_true(udp_send(a.udp, udp_address(b.udp), STR("one"), &err));
    assert_true(udp_send(a.udp, udp_address(b.udp), STR(""), &err)); /* dropped by the receiver */
    assert_true(udp_send(a.udp, udp_address(b.udp), STR("two"), &err));
    wait_packets(l, &b, 2);
    assert_int_equal(b.packets, 2);
    assert_string_equal(b.got.p, "onetwo");
    assert_true(addr_eq(&b.from, udp_address(a.udp)));
    struct buf big = { 0 };
    buf_fill(&big, 'x', 60000);
    assert_true(udp_send(b.udp, udp_address(a.udp), buf_view(&big), &err));
    wait_packets(l, &a, 1);
    assert_int_equal(a.got.n, 60000);
    buf_fill(&big, 'x', 10000);
    assert_false(udp_send(b.udp, udp_address(a.udp), buf_view(&big), &err));
    assert_non_null(strstr(err.text, "message too long"));
    buf_deinit(&big);
    buf_deinit(&a.got);
    buf_deinit(&b.got);
    udp_close(a.udp);
    udp_close(b.udp);
    loop_free(l);
}

static void a_socket_may_be_closed_from_its_callback(void **state)
{
    (void)state;
    struct loop *l = loop_new("udp", NULL);
    struct side a, b;
    struct err err;
    open_side(l, &a, &loopback);
    open_side(l, &b, &loopback);
    b.close = true;
    struct addr to = *udp_address(b.udp);
    assert_true(udp_send(a.udp, &to, STR("x"), &err));
    assert_true(udp_send(a.udp, &to, STR("y"), &err));
    wait_packets(l, &b, 1);
    loop_turn(l, 0);
    assert_int_equal(b.packets, 1);
    buf_deinit(&b.got);
    udp_close(a.udp);
    loop_free(l);
}

static void a_dual_stack_socket_speaks_ipv4_by_its_short_addresses(void **state)
{
    (void)state;
    const struct addr any = { .ip = { .n = 16 } };
    struct loop *l = loop_new("udp", NULL);
    struct side a, b;
    struct err err;
    struct udp *probe = udp_open(l, &any, 0, on_packet, &a, &err);
    if (!probe) { /* a machine without IPv6 */
        loop_free(l);
        skip();
    }
    udp_close(probe);
    open_side(l, &a, &any);
    open_side(l, &b, &loopback);
    assert_true(udp_send(a.udp, udp_address(b.udp), STR("x"), &err));
    wait_packets(l, &b, 1);
    struct addr to = loopback;
    to.port = udp_address(a.udp)->port;
    assert_true(udp_send(b.udp, &to, STR("y"), &err));
    wait_packets(l, &a, 1);
    assert_int_equal(a.from.ip.n, 4);
    buf_deinit(&a.got);
    buf_deinit(&b.got);
    udp_close(a.udp);
    udp_close(b.udp);
    loop_free(l);
}

static void a_taken_port_is_an_error(void **state)
{
    (void)state;
    struct loop *l = loop_new("udp", NULL);
    struct side a;
    struct err err;
    open_side(l, &a, &loopback);
    assert_null(udp_open(l, udp_address(a.udp), 0, on_packet, &a, &err));
    char want[128];
    snprintf(want, sizeof want, "listen udp 127.0.0.1:%u: bind: address already in use", (unsigned)udp_address(a.udp)->port);
    assert_string_equal(err.text, want);
    udp_close(a.udp);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_arrive_whole_and_from_the_bound_address),
        cmocka_unit_test(a_socket_may_be_closed_from_its_callback),
        cmocka_unit_test(a_dual_stack_socket_speaks_ipv4_by_its_short_addresses),
        cmocka_unit_test(a_taken_port_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
