#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/addr.h"
#include "io/clock_io.h"
#include "io/netif.h"
#include "io/process_metrics.h"
#include "io/service.h"
#include "io/signals.h"
#include "unit/io/net_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/un.h>

static void the_process_knows_its_figures(void **state)
{
    (void)state;
    struct process_stats s = { 0 };
    process_stats_collect(&s, NULL);
    double now = (double)clock_wall().s;
    assert_true(gauge_get(&s.resident_memory_bytes) > 100000);
    assert_true(gauge_get(&s.virtual_memory_bytes) >= gauge_get(&s.resident_memory_bytes));
    assert_true(gauge_get(&s.virtual_memory_max_bytes) > 0);
    assert_true(gauge_get(&s.max_fds) >= 3);
    assert_true(gauge_get(&s.start_time_seconds) <= now + 2 && gauge_get(&s.start_time_seconds) > now - 3600);
    double before = gauge_get(&s.open_fds), cpu = fcounter_get(&s.cpu_seconds);
    int fd = open("/dev/null", O_RDONLY);
    process_stats_collect(&s, NULL);
    assert_true(gauge_get(&s.open_fds) == before + 1);
    assert_true(fcounter_get(&s.cpu_seconds) >= cpu);
    close(fd);
}

struct caught {
    struct loop *loop;
    int signo[4];
    size_t n;
};

static void on_signal(void *arg, int signo)
{
    struct caught *c = arg;
    c->signo[c->n++] = signo;
}

static void signals_arrive_as_events(void **state)
{
    (void)state;
    struct caught c = { .loop = loop_new("main", NULL) };
    struct err err;
    signals_block();
    struct signals *s = signals_new(c.loop, on_signal, &c, &err);
    assert_non_null(s);
    raise(SIGHUP);
    raise(SIGPIPE); /* ignored */
    int64_t end = test_now_ms() + FIXTURE_DEADLINE_MS;
    while (c.n < 1) {
        assert_true(test_now_ms() < end);
        loop_turn(c.loop, 100);
    }
    raise(SIGTERM);
    while (c.n < 2) {
        assert_true(test_now_ms() < end);
        loop_turn(c.loop, 100);
    }
    assert_int_equal(c.signo[0], SIGHUP);
    assert_int_equal(c.signo[1], SIGTERM);
    signals_free(s);
    loop_free(c.loop);
}

static void the_service_manager_is_told(void **state)
{
    (void)state;
    char dir[] = "/tmp/process_test.XXXXXX", got[64] = "";
    assert_non_null(mkdtemp(dir));
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    snprintf(sa.sun_path, sizeof sa.sun_path, "%s/notify", dir);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    unsetenv("NOTIFY_SOCKET");
    assert_false(service_notify(STR("READY=1")));
    setenv("NOTIFY_SOCKET", sa.sun_path, 1);
    assert_true(service_notify(STR("READY=1")));
    assert_int_equal(recv(fd, got, sizeof got - 1, MSG_DONTWAIT), 7);
    assert_string_equal(got, "READY=1");
    unsetenv("NOTIFY_SOCKET");
    close(fd);
    unlink(sa.sun_path);
    rmdir(dir);
}

static void handed_over_sockets_are_for_this_process_only(void **state)
{
    (void)state;
    char pid[16];
    int fd;
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "2", 1);
    assert_int_equal(service_listen_fds(&fd), 0);
    setenv("LISTEN_PID", pid, 1);
    assert_int_equal(service_listen_fds(&fd), 2);
    assert_int_equal(fd, 3);
    setenv("LISTEN_FDS", "x", 1);
    assert_int_equal(service_listen_fds(&fd), 0);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
}

static void the_files_limit_can_be_raised_to_the_hard_one(void **state)
{
    (void)state;
    uint64_t before = service_files_limit();
    assert_true(service_raise_files_limit() >= before);
}

static void the_machine_has_its_own_addresses(void **state)
{
    (void)state;
    struct ip lo = { { 127, 0, 0, 1 }, 4 }, other = { { 192, 0, 2, 1 }, 4 }, ip;
    assert_true(netif_has_ip(&lo));
    assert_false(netif_has_ip(&other));
    assert_true(netif_source_ip(&lo, &ip));
    assert_true(ip_is_loopback(&ip));
    if (netif_private_ip(&ip)) {
        assert_true(netif_has_ip(&ip));
        assert_false(ip_is_loopback(&ip));
    }
    if (netif_public_ip(&ip))
        assert_false(ip_is_private(&ip));
}

static void addresses_have_texts(void **state)
{
    (void)state;
    static const char *const good[] = { "1.2.3.4:80", "[::1]:9094", "0.0.0.0:0" };
    static const char *const bad[] = { "", "1.2.3.4", "h:80", "1.2.3.4:", "1.2.3.4:x", "1.2.3.4:65536", "::1:80", "1.2.3.4:+1" };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct addr a, back;
        struct sockaddr_storage sa;
        struct buf b = { 0 };
        assert_true(addr_parse(&a, str_c(good[i])));
        addr_write(&b, &a);
        assert_string_equal(b.p, good[i]);
        addr_to_sockaddr(&a, &sa);
        assert_true(addr_from_sockaddr(&back, (struct sockaddr *)&sa));
        assert_true(addr_eq(&a, &back));
        buf_deinit(&b);
    }
    struct addr a;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(addr_parse(&a, str_c(bad[i])));
    assert_true(addr_parse(&a, STR("[::ffff:1.2.3.4]:5")));
    assert_int_equal(a.ip.n, 4);
}

static void clocks_run(void **state)
{
    (void)state;
    mono_ms a = clock_mono();
    assert_false(mono_before(clock_mono(), a));
    assert_true(clock_wall().s > 1700000000);
    assert_true(clock_wall_ms() / 1000 - clock_wall().s <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_process_knows_its_figures),
        cmocka_unit_test(signals_arrive_as_events),
        cmocka_unit_test(the_service_manager_is_told),
        cmocka_unit_test(handed_over_sockets_are_for_this_process_only),
        cmocka_unit_test(the_files_limit_can_be_raised_to_the_hard_one),
        cmocka_unit_test(the_machine_has_its_own_addresses),
        cmocka_unit_test(addresses_have_texts),
        cmocka_unit_test(clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
