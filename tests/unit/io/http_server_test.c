#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/http_server.h"
#include "io/thread.h"
#include "unit/io/net_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

/* A server whose handler keeps, answers or streams, by path. */
struct fixture {
    struct http_server *server;
    pthread_mutex_t m;
    pthread_cond_t changed;
    struct http_exchange *kept;
    atomic_uint pulls, pull_ends, handled;
    char target[256], path[256], query[256], body[256], peer[64];
    size_t body_bytes;
};

static bool endless(void *arg, struct buf *out, bool *done)
{
    struct fixture *f = arg;
    atomic_fetch_add(&f->pulls, 1);
    buf_fill(out, 'x', 64 * 1024);
    *done = false;
    return true;
}

static bool three_pieces(void *arg, struct buf *out, bool *done)
{
    struct fixture *f = arg;
    unsigned n = atomic_fetch_add(&f->pulls, 1);
    buf_printf(out, "piece%u\n", n);
    *done = n == 2;
    return true;
}

static bool broken_pull(void *arg, struct buf *out, bool *done)
{
    struct fixture *f = arg;
    *done = false;
    buf_c(out, "some");
    return atomic_fetch_add(&f->pulls, 1) == 0;
}

static void pull_end(void *arg)
{
    struct fixture *f = arg;
    atomic_fetch_add(&f->pull_ends, 1);
}

static void copy(char *out, size_t n, struct str s)
{
    snprintf(out, n, "%.*s", STR_ARG(s));
}

static void handle(void *arg, struct http_exchange *x)
{
    struct fixture *f = arg;
    struct str path = x->request.path;
    atomic_fetch_add(&f->handled, 1);
    if (str_eq(path, STR("/keep"))) {
        pthread_mutex_lock(&f->m);
        f->kept = x;
        pthread_cond_broadcast(&f->changed);
        pthread_mutex_unlock(&f->m);
        return;
    }
    x->response.status = 200;
    x->response.pull_arg = f;
    if (str_eq(path, STR("/endless")))
        x->response.pull = endless;
    else if (str_eq(path, STR("/pieces")))
        x->response.pull = three_pieces;
    else if (str_eq(path, STR("/broken")))
        x->response.pull = broken_pull;
    else
        http_response_text(&x->response, 200, STR("text/plain"), STR("hello\n"));
    x->response.pull_end = x->response.pull ? pull_end : NULL;
    pthread_mutex_lock(&f->m);
    copy(f->target, sizeof f->target, x->request.target);
    copy(f->path, sizeof f->path, path);
    copy(f->query, sizeof f->query, x->request.query);
    copy(f->body, sizeof f->body, x->request.body);
    copy(f->peer, sizeof f->peer, x->request.peer);
    f->body_bytes = x->request.body.n;
    pthread_mutex_unlock(&f->m);
    http_exchange_finish(x);
}

static struct http_exchange *wait_kept(struct fixture *f)
{
    pthread_mutex_lock(&f->m);
    while (!f->kept)
        pthread_cond_wait(&f->changed, &f->m);
    struct http_exchange *x = f->kept;
    f->kept = NULL;
    pthread_mutex_unlock(&f->m);
    return x;
}

static void start_with(struct fixture *f, struct http_server_config config)
{
    struct http_listener listener = { .address = STR("127.0.0.1:0"), .fd = -1 };
    struct err err;
    memset(f, 0, sizeof *f);
    pthread_mutex_init(&f->m, NULL);
    pthread_cond_init(&f->changed, NULL);
    config.handle = handle;
    config.arg = f;
    if (!config.listeners) {
        config.listeners = &listener;
        config.listeners_count = 1;
    }
    f->server = http_server_new(&config, &err);
    if (!f->server)
        fail_msg("%s", err.text);
    if (!http_server_start(f->server, &err))
        fail_msg("%s", err.text);
}

static void start(struct fixture *f)
{
    start_with(f, (struct http_server_config){ 0 });
}

static void stop(struct fixture *f)
{
    http_server_free(f->server);
    pthread_mutex_destroy(&f->m);
    pthread_cond_destroy(&f->changed);
}

static int dial_fixture(struct fixture *f)
{
    return dial(http_server_port(f->server, 0));
}

/* One request on a connection of its own, everything that comes back. */
static struct buf ask(struct fixture *f, const char *request)
{
    struct buf b = { 0 };
    int fd = dial_fixture(f);
    send_text(fd, request);
    read_all(fd, &b);
    close(fd);
    return b;
}

#define assert_has(b, text)                                                                        \
    do {                                                                                           \
        if (!(b).p || !strstr((b).p, (text)))                                                      \
            fail_msg("no \"%s\" in \"%s\"", (text), (b).p ? (b).p : "");                           \
    } while (0)

static void a_connection_serves_one_request_after_the_other(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    int fd = dial_fixture(&f);
    for (int i = 0; i < 3; i++) {
        struct buf b = { 0 };
        send_text(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(read_until(fd, &b, "hello\n"));
        assert_has(b, "HTTP/1.1 200 OK\r\n");
        assert_has(b, "Content-Length: 6\r\n");
        assert_has(b, "Content-Type: text/plain\r\n");
        buf_deinit(&b);
    }
    close(fd);
    stop(&f);
}

static void the_target_arrives_raw(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct buf b = ask(&f, "GET /a%2Fb/c+d?x=%20&y HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_has(b, "200 OK");
    assert_string_equal(f.target, "/a%2Fb/c+d?x=%20&y");
    assert_string_equal(f.path, "/a%2Fb/c+d");
    assert_string_equal(f.query, "x=%20&y");
    assert_memory_equal(f.peer, "127.0.0.1:", 10);
    buf_deinit(&b);
    stop(&f);
}

static void head_has_the_length_and_no_body(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct buf b = ask(&f, "HEAD /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_has(b, "Content-Length: 6\r\n");
    assert_null(strstr(b.p, "hello"));
    buf_deinit(&b);
    b = ask(&f, "HEAD /endless HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_has(b, "200 OK");
    assert_int_equal(f.pulls, 0);
    assert_int_equal(f.pull_ends, 1);
    buf_deinit(&b);
    stop(&f);
}

static void a_client_that_expects_100_continue_gets_it(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct buf b = { 0 };
    int fd = dial_fixture(&f);
    send_text(fd, "POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_true(read_until(fd, &b, "100 Continue\r\n\r\n"));
    send_text(fd, "body");
    assert_true(read_until(fd, &b, "hello\n"));
    assert_string_equal(f.body, "body");
    buf_deinit(&b);
    close(fd);
    stop(&f);
}

static void a_kept_exchange_is_answered_from_another_thread(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    int fd = dial_fixture(&f);
    for (int i = 0; i < 20; i++) {
        struct buf b = { 0 };
        send_text(fd, "POST /keep HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
        struct http_exchange *x = wait_kept(&f);
        assert_true(str_eq(x->request.body, STR("hi")));
        assert_true(str_eq(http_request_header(&x->request, STR("host")), STR("h")));
        http_response_text(&x->response, 202, STR("text/plain"), STR("later\n"));
        http_exchange_finish(x);
        assert_true(read_until(fd, &b, "later\n"));
        assert_has(b, "202 Accepted");
        buf_deinit(&b);
    }
    close(fd);
    stop(&f);
}

static void an_exchange_that_takes_too_long_is_answered_503_and_its_owner_may_finish_late(void **state)
{
    (void)state;
    struct fixture f;
    start_with(&f, (struct http_server_config){ .limits.timeout_ms = 50, .timeout_text = STR("too long\n") });
    int fd = dial_fixture(&f);
    struct buf b = { 0 };
    send_text(fd, "GET /keep HTTP/1.1\r\nHost: h\r\n\r\n");
    struct http_exchange *x = wait_kept(&f);
    assert_true(read_until(fd, &b, "too long\n"));
    assert_has(b, "503 Service Unavailable");
    assert_true(http_exchange_gone(x));
    assert_true(str_eq(x->request.path, STR("/keep")));
    http_response_text(&x->response, 200, STR("text/plain"), STR("late\n"));
    http_exchange_finish(x);
    buf_reset(&b);
    send_text(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"); /* the connection goes on */
    assert_true(read_until(fd, &b, "hello\n"));
    assert_int_equal(counter_get(&http_server_stats(f.server)->timeouts), 1);
    buf_deinit(&b);
    close(fd);
    stop(&f);
}

static void a_client_that_hangs_up_is_noticed(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    int fd = dial_fixture(&f);
    send_text(fd, "GET /keep HTTP/1.1\r\nHost: h\r\n\r\n");
    struct http_exchange *x = wait_kept(&f);
    assert_false(http_exchange_gone(x));
    close(fd);
    int64_t end = test_now_ms() + FIXTURE_DEADLINE_MS;
    while (!http_exchange_gone(x))
        assert_true(test_now_ms() < end);
    http_response_text(&x->response, 200, STR("text/plain"), STR("x"));
    http_exchange_finish(x);
    stop(&f);
}

static struct buf repeated(const char *head, char c, size_t n, const char *tail)
{
    struct buf b = { 0 };
    buf_c(&b, head);
    buf_fill(&b, c, n);
    buf_c(&b, tail);
    return b;
}

/* Its last word was the request; the answer comes all the same, and then the end of the connection, at once. */
static void a_client_that_has_said_its_last_word_is_answered(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "GET /keep HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /keep HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi",
        "POST /keep HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "GET /first HTTP/1.1\r\nHost: h\r\n\r\nGET /keep HTTP/1.1\r\nHost: h\r\n\r\n",
    };
    struct fixture f;
    start(&f);
    for (size_t i = 0; i < 2 * ARRAY_LEN(requests); i++) {
        int fd = dial_fixture(&f);
        struct buf b = { 0 };
        struct http_exchange *x = NULL;
        send_text(fd, requests[i / 2]);
        if (i % 2) /* while the request is being worked on, not with it */
            x = wait_kept(&f);
        shutdown(fd, SHUT_WR);
        x = x ? x : wait_kept(&f);
        http_response_text(&x->response, 200, STR("text/plain"), STR("late\n"));
        int64_t finished = test_now_ms();
        http_exchange_finish(x);
        read_all(fd, &b);
        assert_true(str_ends(buf_view(&b), STR("\r\n\r\nlate\n")));
        assert_true(test_now_ms() - finished < 900); /* not when the watch comes round */
        close(fd);
        buf_deinit(&b);
    }
    stop(&f);
}

static void long_targets_headers_and_bodies_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    start_with(&f, (struct http_server_config){ .limits.body_bytes_max = 1000 });
    struct buf q = repeated("GET /", 'a', 100000, " HTTP/1.1\r\nHost: h\r\n\r\n"), b = { 0 };
    int fd = dial_fixture(&f);
    (void)!send(fd, q.p, q.n, MSG_NOSIGNAL);
    read_until(fd, &b, "\r\n\r\n");
    assert_has(b, "HTTP/1.1 414 ");
    close(fd);
    buf_deinit(&q);
    buf_reset(&b);

    q = repeated("GET / HTTP/1.1\r\nHost: h\r\nX-Long: ", 'a', 100000, "\r\n\r\n");
    fd = dial_fixture(&f);
    (void)!send(fd, q.p, q.n, MSG_NOSIGNAL);
    read_until(fd, &b, "\r\n\r\n");
    assert_has(b, "HTTP/1.1 431 ");
    close(fd);
    buf_deinit(&q);
    buf_deinit(&b);

    b = ask(&f, "POST /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 9999999\r\n\r\n");
    assert_has(b, "HTTP/1.1 413 ");
    buf_deinit(&b);
    q = repeated("POST /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n", 'a', 2000,
                 "\r\n0\r\n\r\n");
    b = ask(&f, q.p);
    assert_has(b, "HTTP/1.1 413 ");
    buf_deinit(&b);
    buf_deinit(&q);
    assert_int_equal(f.handled, 0);
    q = repeated("POST /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n", 'a', 1000, "");
    b = ask(&f, q.p);
    assert_has(b, "200 OK");
    assert_int_equal(f.body_bytes, 1000);
    buf_deinit(&b);
    buf_deinit(&q);
    stop(&f);
}

static void transfer_encodings_but_chunked_are_refused(void **state)
{
    (void)state;
    static const char *const values[] = { "identity", "gzip, chunked", "chunked, chunked", "xchunked" };
    struct fixture f;
    start(&f);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct buf request = { 0 }, b = { 0 };
        buf_printf(&request, "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: %s\r\nContent-Length: 2\r\n\r\n[]", values[i]);
        int fd = dial_fixture(&f);
        send_text(fd, request.p);
        assert_true(read_until(fd, &b, "Unsupported transfer encoding"));
        assert_true(str_starts(buf_view(&b), STR("HTTP/1.1 501 ")));
        read_all(fd, &b); /* what follows cannot be told apart from the body */
        close(fd);
        buf_deinit(&request);
        buf_deinit(&b);
    }
    assert_int_equal(atomic_load(&f.handled), 0);
    stop(&f);
}

static void a_refused_body_of_modest_size_leaves_the_connection_open(void **state)
{
    (void)state;
    struct fixture f;
    start_with(&f, (struct http_server_config){ .limits.body_bytes_max = 10 });
    int fd = dial_fixture(&f);
    struct buf b = { 0 };
    send_text(fd, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n01234567890123456789");
    assert_true(read_until(fd, &b, "Request Entity Too Large\n"));
    buf_reset(&b);
    send_text(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(read_until(fd, &b, "hello\n"));
    buf_deinit(&b);
    close(fd);
    stop(&f);
}

static void slow_and_idle_clients_are_cut_off(void **state)
{
    (void)state;
    struct fixture f;
    start_with(&f, (struct http_server_config){
                       .limits = { .header_timeout_ms = 60, .idle_timeout_ms = 60, .body_timeout_ms = 60 } });
    struct buf b = { 0 };
    int silent = dial_fixture(&f), half = dial_fixture(&f), idle = dial_fixture(&f), body = dial_fixture(&f);
    send_text(half, "GET / HTTP/1.1\r\nHos");
    send_text(body, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01");
    send_text(idle, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(read_until(idle, &b, "hello\n"));
    buf_reset(&b);
    read_all(silent, &b);
    assert_int_equal(b.n, 0);
    read_all(half, &b);
    read_all(idle, &b);
    read_all(body, &b);
    assert_int_equal(b.n, 0);
    assert_int_equal(counter_get(&http_server_stats(f.server)->cut), 4);
    buf_deinit(&b);
    close(silent);
    close(half);
    close(idle);
    close(body);
    stop(&f);
}

static void a_body_that_moves_is_read_and_one_that_stalls_is_cut_off(void **state)
{
    (void)state;
    struct fixture f;
    start_with(&f, (struct http_server_config){ .limits.stall_timeout_ms = 400 });
    struct buf b = { 0 };
    int moving = dial_fixture(&f), stalled = dial_fixture(&f);
    send_text(stalled, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01");
    send_text(moving, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n");
    for (int i = 0; i < 10; i++) { /* longer in all than a stall may be */
        poll(NULL, 0, 60);
        send_text(moving, "x");
    }
    assert_true(read_until(moving, &b, "hello\n"));
    buf_reset(&b);
    read_all(stalled, &b);
    assert_int_equal(b.n, 0);
    assert_int_equal(counter_get(&http_server_stats(f.server)->cut), 1);
    buf_deinit(&b);
    close(moving);
    close(stalled);
    stop(&f);
}

static void a_client_that_has_closed_its_side_is_not_kept(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct buf b = { 0 };
    int idle = dial_fixture(&f), half = dial_fixture(&f);
    send_text(idle, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    send_text(half, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n");
    shutdown(idle, SHUT_WR); /* most often read together with what came before it */
    shutdown(half, SHUT_WR);
    assert_true(read_until(idle, &b, "hello\n"));
    buf_reset(&b);
    read_all(idle, &b);
    read_all(half, &b);
    assert_int_equal(b.n, 0);
    buf_deinit(&b);
    close(idle);
    close(half);
    stop(&f);
}

static void a_body_is_pulled_in_pieces(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct buf b = ask(&f, "GET /pieces HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_has(b, "Transfer-Encoding: chunked\r\n");
    assert_has(b, "piece0\n");
    assert_has(b, "piece2\n");
    assert_has(b, "\r\n0\r\n\r\n");
    assert_int_equal(f.pull_ends, 1);
    buf_deinit(&b);
    atomic_store(&f.pulls, 2); /* now the first piece is the last: a plain body with its length */
    b = ask(&f, "GET /pieces HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_has(b, "Content-Length: 7\r\n");
    assert_has(b, "\r\n\r\npiece2\n");
    buf_deinit(&b);
    stop(&f);
}

static void a_body_that_breaks_off_closes_the_connection_without_an_end(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct buf b = ask(&f, "GET /broken HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has(b, "some");
    assert_null(strstr(b.p, "\r\n0\r\n"));
    assert_int_equal(f.pull_ends, 1);
    buf_deinit(&b);
    stop(&f);
}

static void a_client_that_does_not_read_costs_little_and_is_cut_off(void **state)
{
    (void)state;
    struct fixture f;
    start_with(&f, (struct http_server_config){ .limits.write_timeout_ms = 100 });
    int fd = dial_fixture(&f);
    send_text(fd, "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n");
    int64_t end = test_now_ms() + FIXTURE_DEADLINE_MS;
    while (atomic_load(&f.pull_ends) == 0)
        assert_true(test_now_ms() < end);
    assert_true(atomic_load(&f.pulls) < 500); /* socket buffers, not memory */
    close(fd);
    stop(&f);
}

static void stopping_answers_what_is_still_kept_and_its_owner_may_finish_afterwards(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    int fd = dial_fixture(&f);
    struct buf b = { 0 };
    send_text(fd, "GET /keep HTTP/1.1\r\nHost: h\r\n\r\n");
    struct http_exchange *x = wait_kept(&f);
    assert_false(http_server_stop(f.server, 20));
    read_all(fd, &b);
    assert_has(b, "503 Service Unavailable");
    assert_has(b, "Connection: close");
    assert_true(http_exchange_gone(x));
    http_server_free(f.server);
    assert_true(str_eq(x->request.path, STR("/keep")));
    http_response_text(&x->response, 200, STR("text/plain"), STR("late\n"));
    http_exchange_finish(x);
    buf_deinit(&b);
    close(fd);
}

static void finish_soon(void *arg)
{
    struct fixture *f = arg;
    struct http_exchange *x = wait_kept(f);
    http_response_text(&x->response, 200, STR("text/plain"), STR("in time\n"));
    http_exchange_finish(x);
}

static void stopping_waits_for_what_is_running(void **state)
{
    (void)state;
    struct fixture f;
    struct thread t = { 0 };
    struct err err;
    start(&f);
    int fd = dial_fixture(&f), idle = dial_fixture(&f);
    struct buf b = { 0 };
    send_text(fd, "GET /keep HTTP/1.1\r\nHost: h\r\n\r\n");
    int64_t end = test_now_ms() + FIXTURE_DEADLINE_MS;
    while (atomic_load(&f.handled) == 0)
        assert_true(test_now_ms() < end);
    assert_true(thread_start(&t, "finisher", finish_soon, &f, &err));
    assert_true(http_server_stop(f.server, FIXTURE_DEADLINE_MS));
    thread_join(&t);
    read_all(fd, &b);
    assert_has(b, "in time\n");
    buf_reset(&b);
    read_all(idle, &b);
    assert_int_equal(b.n, 0);
    buf_deinit(&b);
    close(fd);
    close(idle);
    stop(&f);
}

static void several_listeners_share_the_server_and_tell_their_real_ports(void **state)
{
    (void)state;
    struct fixture f;
    const struct http_listener listeners[] = {
        { .address = STR("127.0.0.1:0"), .fd = -1 },
        { .address = STR(":0"), .fd = -1 },
    };
    start_with(&f, (struct http_server_config){ .listeners = listeners, .listeners_count = 2 });
    for (size_t i = 0; i < 2; i++) {
        struct buf b = { 0 };
        assert_true(http_server_port(f.server, i) != 0);
        int fd = dial(http_server_port(f.server, i));
        send_text(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(read_until(fd, &b, "hello\n"));
        buf_deinit(&b);
        close(fd);
    }
    assert_true(str_starts(http_server_address(f.server, 0), STR("127.0.0.1:")));
    stop(&f);
}

static void a_taken_port_is_an_error_in_gos_words(void **state)
{
    (void)state;
    uint16_t port;
    int fd = listen_any(&port);
    char address[32], want[128];
    struct err err;
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);
    snprintf(want, sizeof want, "listen tcp %s: bind: address already in use", address);
    struct http_listener l = { .address = str_c(address), .fd = -1 };
    struct http_server_config c = { .listeners = &l, .listeners_count = 1, .handle = handle };
    assert_null(http_server_new(&c, &err));
    assert_string_equal(err.text, want);
    l.address = STR("nonsense");
    assert_null(http_server_new(&c, &err));
    assert_string_equal(err.text, "listen tcp: address nonsense: missing port in address");
    close(fd);
}

static void more_connections_than_allowed_wait_until_one_leaves(void **state)
{
    (void)state;
    struct fixture f;
    start_with(&f, (struct http_server_config){ .limits = { .connections_max = 2, .idle_timeout_ms = 100 } });
    int fds[4];
    for (size_t i = 0; i < 4; i++) {
        fds[i] = dial_fixture(&f);
        send_text(fds[i], "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    for (size_t i = 0; i < 4; i++) {
        struct buf b = { 0 };
        assert_true(read_until(fds[i], &b, "hello\n"));
        buf_deinit(&b);
        close(fds[i]);
    }
    stop(&f);
}

/* ---- Everything at once ---- */

struct storm {
    struct http_server *server;
    pthread_mutex_t m;
    struct http_exchange *kept[4096];
    size_t kept_count;
    atomic_bool over;
    atomic_uint answered;
};

static void storm_handle(void *arg, struct http_exchange *x)
{
    struct storm *s = arg;
    if (str_eq(x->request.path, STR("/keep"))) {
        pthread_mutex_lock(&s->m);
        bool room = s->kept_count < ARRAY_LEN(s->kept);
        if (room)
            s->kept[s->kept_count++] = x;
        pthread_mutex_unlock(&s->m);
        if (room)
            return;
    }
    http_response_text(&x->response, 200, STR("text/plain"), x->request.body.n ? x->request.body : STR("hello\n"));
    http_exchange_finish(x);
}

/* Answers what is kept, newest first, until it is over and nothing is left. */
static void storm_finish(void *arg)
{
    struct storm *s = arg;
    for (;;) {
        bool over = atomic_load(&s->over);
        pthread_mutex_lock(&s->m);
        struct http_exchange *x = s->kept_count ? s->kept[--s->kept_count] : NULL;
        pthread_mutex_unlock(&s->m);
        if (!x && over)
            return;
        if (!x)
            continue;
        (void)http_exchange_gone(x);
        http_response_text(&x->response, 200, STR("text/plain"), STR("kept\n"));
        http_exchange_finish(x);
    }
}

struct storm_client {
    struct storm *storm;
    struct thread thread;
    uint32_t seed;
    uint16_t port;
};

static void storm_client(void *arg)
{
    static const char *const requests[] = {
        "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /keep HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /keep HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "GET /half HTTP/1.1\r\nHo",
        "GARBAGE\r\n\r\n",
    };
    struct storm_client *c = arg;
    while (!atomic_load(&c->storm->over)) {
        struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(c->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0) {
            close(fd);
            return; /* the server has stopped */
        }
        for (int i = 0; i < 4; i++) {
            char got[512];
            c->seed = c->seed * 1664525u + 1013904223u;
            const char *q = requests[(c->seed >> 16) % ARRAY_LEN(requests)];
            if (send(fd, q, strlen(q), MSG_NOSIGNAL) < 0)
                break;
            if ((c->seed >> 8) % 4 == 0)
                break; /* hang up without waiting */
            if (!readable_in(fd, 5) || recv(fd, got, sizeof got, 0) <= 0)
                break;
            atomic_fetch_add(&c->storm->answered, 1);
        }
        close(fd);
    }
}

static void a_storm_of_rude_clients_and_a_stop_in_the_middle_end_well(void **state)
{
    (void)state;
    enum { CLIENTS = 6, ROUNDS = 3 };
    for (uint32_t round = 0; round < ROUNDS; round++) {
        static struct storm s;
        memset(&s, 0, sizeof s);
        pthread_mutex_init(&s.m, NULL);
        struct http_listener listener = { .address = STR("127.0.0.1:0"), .fd = -1 };
        struct http_server_config config = { .listeners = &listener, .listeners_count = 1, .handle = storm_handle, .arg = &s,
                                             .limits = { .timeout_ms = 20, .header_timeout_ms = 30 } };
        struct err err;
        struct thread finisher = { 0 };
        struct storm_client clients[CLIENTS];
        memset(clients, 0, sizeof clients);
        s.server = http_server_new(&config, &err);
        assert_true(http_server_start(s.server, &err));
        assert_true(thread_start(&finisher, "finisher", storm_finish, &s, &err));
        for (uint32_t i = 0; i < CLIENTS; i++) {
            clients[i] = (struct storm_client){ .storm = &s, .seed = round * 100 + i, .port = http_server_port(s.server, 0) };
            assert_true(thread_start(&clients[i].thread, "client", storm_client, &clients[i], &err));
        }
        int64_t end = test_now_ms() + FIXTURE_DEADLINE_MS;
        while (atomic_load(&s.answered) < 300)
            assert_true(test_now_ms() < end);
        http_server_stop(s.server, round == 0 ? 0 : 5);
        atomic_store(&s.over, true);
        for (size_t i = 0; i < CLIENTS; i++)
            thread_join(&clients[i].thread);
        if (round == 1) { /* the last answers come after the server is gone */
            http_server_free(s.server);
            thread_join(&finisher);
        } else {
            thread_join(&finisher);
            http_server_free(s.server);
        }
        assert_int_equal(s.kept_count, 0);
        pthread_mutex_destroy(&s.m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_serves_one_request_after_the_other),
        cmocka_unit_test(the_target_arrives_raw),
        cmocka_unit_test(head_has_the_length_and_no_body),
        cmocka_unit_test(a_client_that_expects_100_continue_gets_it),
        cmocka_unit_test(a_kept_exchange_is_answered_from_another_thread),
        cmocka_unit_test(an_exchange_that_takes_too_long_is_answered_503_and_its_owner_may_finish_late),
        cmocka_unit_test(a_client_that_hangs_up_is_noticed),
        cmocka_unit_test(a_client_that_has_said_its_last_word_is_answered),
        cmocka_unit_test(long_targets_headers_and_bodies_are_refused),
        cmocka_unit_test(transfer_encodings_but_chunked_are_refused),
        cmocka_unit_test(a_refused_body_of_modest_size_leaves_the_connection_open),
        cmocka_unit_test(slow_and_idle_clients_are_cut_off),
        cmocka_unit_test(a_body_that_moves_is_read_and_one_that_stalls_is_cut_off),
        cmocka_unit_test(a_client_that_has_closed_its_side_is_not_kept),
        cmocka_unit_test(a_body_is_pulled_in_pieces),
        cmocka_unit_test(a_body_that_breaks_off_closes_the_connection_without_an_end),
        cmocka_unit_test(a_client_that_does_not_read_costs_little_and_is_cut_off),
        cmocka_unit_test(stopping_answers_what_is_still_kept_and_its_owner_may_finish_afterwards),
        cmocka_unit_test(stopping_waits_for_what_is_running),
        cmocka_unit_test(several_listeners_share_the_server_and_tell_their_real_ports),
        cmocka_unit_test(a_taken_port_is_an_error_in_gos_words),
        cmocka_unit_test(more_connections_than_allowed_wait_until_one_leaves),
        cmocka_unit_test(a_storm_of_rude_clients_and_a_stop_in_the_middle_end_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
