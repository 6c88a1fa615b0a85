#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/http_guard.h"
#include "io/http_guard_int.h"
#include "io/http_server.h"
#include "unit/io/net_fixture.h"

#include <stdatomic.h>

/* bcrypt of "secret", cost 4. */
#define HASH "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"

struct fixture {
    struct http_server *server;
    struct http_guard *guard;
    atomic_uint handled;
};

static void handle(void *arg, struct http_exchange *x)
{
    struct fixture *f = arg;
    atomic_fetch_add(&f->handled, 1);
    http_response_text(&x->response, 200, STR("text/plain"), STR("hello\n"));
    http_exchange_finish(x);
}

static struct http_guard *current(void *arg)
{
    struct fixture *f = arg;
    return http_guard_retain(f->guard);
}

static void start(struct fixture *f, const struct http_guard_spec *spec)
{
    struct http_listener listener = { .address = STR("127.0.0.1:0"), .fd = -1 };
    struct http_server_config config = { .listeners = &listener, .listeners_count = 1, .handle = handle, .arg = f,
                                         .hooks = { .arg = f, .guard = current } };
    struct err err;
    memset(f, 0, sizeof *f);
    f->guard = http_guard_new(spec);
    f->server = http_server_new(&config, &err);
    if (!f->server || !http_server_start(f->server, &err))
        fail_msg("%s", err.text);
}

static void stop(struct fixture *f)
{
    http_server_free(f->server);
    http_guard_release(f->guard);
}

static struct buf ask(struct fixture *f, const char *headers)
{
    struct buf b = { 0 }, q = { 0 };
    int fd = dial(http_server_port(f->server, 0));
    buf_printf(&q, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n", headers);
    send_text(fd, q.p);
    read_all(fd, &b);
    close(fd);
    buf_deinit(&q);
    return b;
}

static void expect(struct fixture *f, const char *headers, const char *text)
{
    struct buf b = ask(f, headers);
    if (!strstr(b.p, text))
        fail_msg("no \"%s\" in \"%s\"", text, b.p);
    buf_deinit(&b);
}

/* alice:secret, alice:wrong, bob:secret in base64. */
#define GOOD    "Authorization: Basic YWxpY2U6c2VjcmV0\r\n"
#define WRONG   "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n"
#define UNKNOWN "Authorization: Basic Ym9iOnNlY3JldA==\r\n"

static const struct http_guard_user alice = { STR_INIT("alice"), STR_INIT(HASH) };
static const struct http_header frame = { STR_INIT("X-Frame-Options"), STR_INIT("deny") };

static void only_known_users_with_their_password_come_in(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, &(struct http_guard_spec){ .users = &alice, .users_count = 1, .headers = &frame, .headers_count = 1 });
    expect(&f, "", "HTTP/1.1 401 ");
    expect(&f, "", "WWW-Authenticate: Basic\r\n");
    expect(&f, "", "\r\n\r\nUnauthorized\n");
    expect(&f, WRONG, "HTTP/1.1 401 ");
    expect(&f, UNKNOWN, "HTTP/1.1 401 ");
    expect(&f, "Authorization: Basic !!\r\n", "HTTP/1.1 401 ");
    assert_int_equal(f.handled, 0);
    expect(&f, GOOD, "HTTP/1.1 200 ");
    expect(&f, GOOD, "X-Frame-Options: deny\r\n");
    expect(&f, WRONG, "HTTP/1.1 401 ");
    assert_int_equal(f.handled, 2);
    stop(&f);
}

static void a_good_password_is_compared_once(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    struct http_guard *g = http_guard_new(&(struct http_guard_spec){ .users = &alice, .users_count = 1 });
    struct http_header h = { STR("Authorization"), STR("Basic YWxpY2U6c2VjcmV0") };
    struct http_request req = { .headers = &h, .headers_count = 1, .arena = &a };
    struct guard_ticket t;
    struct fixture f;
    assert_int_equal(guard_check(g, &req, 0, &t), GUARD_COMPARE);
    assert_true(t.known_user);
    start(&f, &(struct http_guard_spec){ .users = &alice, .users_count = 1 });
    expect(&f, GOOD, "HTTP/1.1 200 ");
    assert_int_equal(guard_check(f.guard, &req, 0, &t), GUARD_PASS);
    assert_int_equal(guard_check(g, &req, 0, &t), GUARD_COMPARE);
    stop(&f);
    http_guard_release(g);
    arena_deinit(&a);
}

static void a_body_is_accepted_after_the_comparison(void **state)
{
    (void)state;
    struct fixture f;
    struct buf b = { 0 };
    start(&f, &(struct http_guard_spec){ .users = &alice, .users_count = 1 });
    int fd = dial(http_server_port(f.server, 0));
    send_text(fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n" GOOD "\r\nhello");
    assert_true(read_until(fd, &b, "hello\n"));
    buf_reset(&b);
    send_text(fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n" WRONG "\r\nhello");
    assert_true(read_until(fd, &b, "Unauthorized\n"));
    buf_deinit(&b);
    close(fd);
    stop(&f);
}

static void the_rate_limit_is_a_bucket_that_fills_with_time(void **state)
{
    (void)state;
    struct http_guard *g = http_guard_new(&(struct http_guard_spec){ .rate_interval_ns = 1000, .rate_burst = 2 });
    struct http_request req = { 0 };
    struct guard_ticket t;
    assert_int_equal(guard_check(g, &req, 5000, &t), GUARD_PASS);
    assert_int_equal(guard_check(g, &req, 5000, &t), GUARD_PASS);
    assert_int_equal(guard_check(g, &req, 5000, &t), GUARD_LIMITED);
    assert_int_equal(guard_check(g, &req, 5999, &t), GUARD_LIMITED);
    assert_int_equal(guard_check(g, &req, 6001, &t), GUARD_PASS);
    assert_int_equal(guard_check(g, &req, 6002, &t), GUARD_LIMITED);
    http_guard_release(g);
}

static void too_many_and_broken_have_their_answers(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, &(struct http_guard_spec){ .rate_interval_ns = INT64_MAX, .rate_burst = 1 });
    expect(&f, "", "HTTP/1.1 200 ");
    expect(&f, "", "HTTP/1.1 429 ");
    expect(&f, "", "\r\n\r\nToo Many Requests\n");
    stop(&f);
    start(&f, &(struct http_guard_spec){ .broken = STR("yaml: oops") });
    expect(&f, GOOD, "HTTP/1.1 500 ");
    expect(&f, GOOD, "\r\n\r\nInternal Server Error\n");
    assert_int_equal(f.handled, 0);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_known_users_with_their_password_come_in),
        cmocka_unit_test(a_good_password_is_compared_once),
        cmocka_unit_test(a_body_is_accepted_after_the_comparison),
        cmocka_unit_test(the_rate_limit_is_a_bucket_that_fills_with_time),
        cmocka_unit_test(too_many_and_broken_have_their_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
