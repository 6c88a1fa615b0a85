#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "io/http_client.h"
#include "io/http_server.h"
#include "io/thread.h"
#include "io/tls.h"
#include "io/fs_posix.h"
#include "unit/io/cert_fixture.h"
#include "unit/io/net_fixture.h"

#include <pthread.h>
#include <stdlib.h>

/* A server that plays several parts by path, and remembers the last request of each. */
struct seen {
    char method[16], path[128], headers[4096], body[4096];
};
struct peer {
    struct http_server *server;
    pthread_mutex_t m;
    struct seen last;
    unsigned count;
    struct http_exchange *kept[64];
    size_t kept_count;
    char location[256];
    int status;
    struct tls_server *tls;
    unsigned tokens;
    bool only_params; /* the token endpoint wants the credentials in the form */
};

static void remember(struct peer *p, const struct http_request *req)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < req->headers_count; i++)
        buf_printf(&b, "%.*s: %.*s\n", STR_ARG(req->headers[i].name), STR_ARG(req->headers[i].value));
    snprintf(p->last.method, sizeof p->last.method, "%.*s", STR_ARG(req->method));
    snprintf(p->last.path, sizeof p->last.path, "%.*s", STR_ARG(req->target));
    snprintf(p->last.headers, sizeof p->last.headers, "%.*s", STR_ARG(buf_view(&b)));
    snprintf(p->last.body, sizeof p->last.body, "%.*s", STR_ARG(req->body));
    p->count++;
    buf_deinit(&b);
}

static void give_token(struct peer *p, struct http_exchange *x)
{
    bool basic = http_request_has_header(&x->request, STR("Authorization"));
    if (p->only_params == basic) {
        http_response_text(&x->response, 401, STR("application/json"), STR("{\"error\":\"invalid_client\"}"));
        return;
    }
    char text[128];
    snprintf(text, sizeof text, "{\"access_token\":\"tok%u\",\"token_type\":\"bearer\",\"expires_in\":3600}", ++p->tokens);
    http_response_text(&x->response, 200, STR("application/json"), str_c(text));
}

static void play(void *arg, struct http_exchange *x)
{
    struct peer *p = arg;
    struct str path = x->request.path;
    pthread_mutex_lock(&p->m);
    remember(p, &x->request);
    bool keep = str_eq(path, STR("/keep"));
    if (keep)
        p->kept[p->kept_count++] = x;
    else if (str_eq(path, STR("/token")))
        give_token(p, x);
    else if (str_starts(path, STR("/move"))) {
        x->response.status = p->status;
        http_response_header(&x->response, STR("Location"), arena_str(x->request.arena, str_c(p->location)));
    } else if (str_eq(path, STR("/big"))) {
        http_response_text(&x->response, 200, STR("text/plain"), STR(""));
        buf_fill(&x->response.body, 'x', 200000);
    } else {
        http_response_text(&x->response, 200, STR("text/plain"), STR("hello"));
        http_response_header(&x->response, STR("X-Answer"), STR("42"));
    }
    pthread_mutex_unlock(&p->m);
    if (!keep)
        http_exchange_finish(x);
}

static struct tls_server *peer_tls(void *arg)
{
    struct peer *p = arg;
    return tls_server_retain(p->tls);
}

static void peer_listen(struct peer *p, struct str address, struct tls_server *tls)
{
    struct http_listener listener = { .address = address, .fd = -1 };
    struct http_server_config c = { .listeners = &listener, .listeners_count = 1, .handle = play, .arg = p,
                                    .limits.connections_max = 200 };
    struct err err;
    memset(p, 0, sizeof *p);
    pthread_mutex_init(&p->m, NULL);
    if (tls)
        c.hooks = (struct http_guard_hooks){ .arg = p, .tls = peer_tls };
    p->tls = tls;
    p->server = http_server_new(&c, &err);
    if (!p->server || !http_server_start(p->server, &err))
        fail_msg("%s", err.text);
}

static void peer_start(struct peer *p, struct tls_server *tls)
{
    peer_listen(p, STR("127.0.0.1:0"), tls);
}

static void peer_stop(struct peer *p)
{
    http_server_stop(p->server, 0); /* no handler runs after this */
    for (size_t i = 0; i < p->kept_count; i++) {
        http_response_text(&p->kept[i]->response, 200, STR("text/plain"), STR("late"));
        http_exchange_finish(p->kept[i]);
    }
    http_server_free(p->server);
    tls_server_release(p->tls);
    pthread_mutex_destroy(&p->m);
}

static size_t kept(struct peer *p)
{
    pthread_mutex_lock(&p->m);
    size_t n = p->kept_count;
    pthread_mutex_unlock(&p->m);
    return n;
}

/* One client on one loop, and a call with its result. */
struct fixture {
    struct loop *loop;
    struct http_client *client;
    struct peer peer;
};
struct asked {
    struct http_call call;
    bool done, arrived, body_cut, timed_out;
    int status;
    char body[4096], url[256], answer[64];
    struct err err;
};

static void on_done(void *arg, const struct http_result *r)
{
    struct asked *a = arg;
    assert_false(a->done);
    a->done = true;
    a->arrived = r->arrived;
    a->body_cut = r->body_cut;
    a->timed_out = r->timed_out;
    a->status = r->status;
    a->err = r->err;
    snprintf(a->body, sizeof a->body, "%.*s", STR_ARG(r->body));
    snprintf(a->url, sizeof a->url, "%.*s", STR_ARG(r->url));
    for (size_t i = 0; i < r->headers_count; i++)
        if (str_eq_nocase(r->headers[i].name, STR("x-answer")))
            snprintf(a->answer, sizeof a->answer, "%.*s", STR_ARG(r->headers[i].value));
}

static void client_start(struct fixture *f, unsigned connections_max)
{
    const struct http_client_options o = { .connections_max = connections_max, .user_agent = STR("Test/1") };
    memset(f, 0, sizeof *f);
    f->loop = loop_new("client", NULL);
    f->client = http_client_new(f->loop, &o);
}

static void start(struct fixture *f)
{
    client_start(f, 0);
    peer_start(&f->peer, NULL);
}

static void client_stop(struct fixture *f)
{
    http_client_free(f->client);
    loop_free(f->loop);
}

static void stop(struct fixture *f)
{
    client_stop(f);
    peer_stop(&f->peer);
}

static struct str url_of(struct fixture *f, const char *path)
{
    static char text[8][256];
    static unsigned at;
    char *out = text[at++ % 8];
    snprintf(out, sizeof text[0], "http%s://127.0.0.1:%u%s", f->peer.tls ? "s" : "",
             (unsigned)http_server_port(f->peer.server, 0), path);
    return str_c(out);
}

static void send_call(struct fixture *f, struct asked *a)
{
    a->call.done = on_done;
    a->call.arg = a;
    http_client_send(f->client, &a->call);
    assert_false(a->done);
}

static void wait_done(struct fixture *f, struct asked *a)
{
    int64_t end = test_now_ms() + FIXTURE_DEADLINE_MS;
    while (!a->done) {
        assert_true(test_now_ms() < end);
        loop_turn(f->loop, 100);
    }
}

static void ask(struct fixture *f, struct asked *a)
{
    send_call(f, a);
    wait_done(f, a);
}

static void assert_has(const char *text, const char *needle)
{
    if (!strstr(text, needle))
        fail_msg("no \"%s\" in \"%s\"", needle, text);
}

static void assert_has_not(const char *text, const char *needle)
{
    if (strstr(text, needle))
        fail_msg("\"%s\" in \"%s\"", needle, text);
}

static struct http_client_config defaults(void)
{
    return (struct http_client_config){ .follow_redirects = true, .enable_http2 = true };
}

/* ---- The plain cases ---- */

static void a_get_brings_status_headers_and_body(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct asked a = { .call = { .method = STR("GET"), .url = url_of(&f, "/a%2Fb/../c?x=1#frag") } };
    ask(&f, &a);
    assert_string_equal(a.err.text, "");
    assert_true(a.arrived);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "hello");
    assert_string_equal(a.answer, "42");
    assert_string_equal(f.peer.last.path, "/a%2Fb/../c?x=1");
    assert_has(f.peer.last.headers, "User-Agent: Test/1\n");
    assert_has_not(f.peer.last.headers, "Accept");
    assert_has_not(f.peer.last.headers, "Authorization");
    stop(&f);
}

static void a_post_carries_its_body_and_nothing_that_was_not_asked_for(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    const struct http_header h[] = { { STR("Content-Type"), STR("application/json") }, { STR("X-Empty"), STR("") } };
    struct asked a = { .call = { .method = STR("POST"), .url = url_of(&f, "/"), .body = STR("{\"a\":1}"), .headers = h,
                                 .headers_count = 2 } };
    ask(&f, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(f.peer.last.method, "POST");
    assert_string_equal(f.peer.last.body, "{\"a\":1}");
    assert_has(f.peer.last.headers, "Content-Type: application/json\n");
    assert_has(f.peer.last.headers, "Content-Length: 7\n");
    assert_has(f.peer.last.headers, "X-Empty: \n");
    assert_has_not(f.peer.last.headers, "Expect");
    struct asked b = { .call = { .method = STR("PUT"), .url = url_of(&f, "/"), .body = STR("x") } };
    ask(&f, &b);
    assert_string_equal(f.peer.last.method, "PUT");
    assert_string_equal(f.peer.last.body, "x");
    assert_has_not(f.peer.last.headers, "Content-Type");
    struct asked c = { .call = { .method = STR("DELETE"), .url = url_of(&f, "/") } };
    ask(&f, &c);
    assert_string_equal(f.peer.last.method, "DELETE");
    struct asked d = { .call = { .method = STR("HEAD"), .url = url_of(&f, "/") } };
    ask(&f, &d);
    assert_string_equal(f.peer.last.method, "HEAD");
    assert_string_equal(d.body, "");
    stop(&f);
}

static void failures_read_as_gos(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, 0);
    uint16_t port;
    close(listen_any(&port));
    char url[64], want[256];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/x", (unsigned)port);
    snprintf(want, sizeof want, "Post \"%s\": dial tcp 127.0.0.1:%u: connect: connection refused", url, (unsigned)port);
    struct asked a = { .call = { .method = STR("POST"), .url = str_c(url) } };
    ask(&f, &a);
    assert_false(a.arrived);
    assert_string_equal(a.err.text, want);
    struct asked secret = { .call = { .method = STR("POST"), .url = str_c(url), .secret_url = true } };
    ask(&f, &secret);
    assert_memory_equal(secret.err.text, "Post \"<redacted>\": dial tcp", 26);
    static const struct {
        struct str url;
        const char *want;
    } cases[] = {
        { STR_INIT("ftp://h/x"), "Get \"ftp://h/x\": unsupported protocol scheme \"ftp\"" },
        { STR_INIT("http:///x"), "Get \"http:///x\": http: no Host in request URL" },
        { STR_INIT("::"), "parse \"::\": missing protocol scheme" },
        { STR_INIT("http://nope.invalid/"), "Get \"http://nope.invalid/\": dial tcp: lookup nope.invalid: no such host" },
        { STR_INIT("http://u:pw@127.0.0.1:1/"),
          "Get \"http://u:***@127.0.0.1:1/\": dial tcp 127.0.0.1:1: connect: connection refused" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct asked c = { .call = { .method = STR("GET"), .url = cases[i].url } };
        ask(&f, &c);
        assert_string_equal(c.err.text, cases[i].want);
    }
    struct asked bad = { .call = { .method = STR("GET"), .url = STR("http://h/"),
                                   .headers = &(struct http_header){ STR("X"), STR("a\r\nB: c") }, .headers_count = 1 } };
    ask(&f, &bad);
    assert_string_equal(bad.err.text, "Get \"http://h/\": net/http: invalid header field value for \"X\"");
    client_stop(&f);
}

static void a_call_ends_with_its_timeout(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct asked a = { .call = { .method = STR("GET"), .url = url_of(&f, "/keep"), .timeout_ms = 50 } };
    ask(&f, &a);
    assert_false(a.arrived);
    assert_true(a.timed_out);
    assert_int_equal(a.err.code, ERR_TIMEOUT);
    assert_has(a.err.text, ": context deadline exceeded");
    stop(&f);
}

static void a_cancelled_call_is_not_heard_of_again(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct asked a = { .call = { .method = STR("GET"), .url = url_of(&f, "/keep") } };
    send_call(&f, &a);
    int64_t end = test_now_ms() + FIXTURE_DEADLINE_MS;
    while (kept(&f.peer) == 0) {
        assert_true(test_now_ms() < end);
        loop_turn(f.loop, 10);
    }
    http_client_cancel(f.client, &a.call);
    http_client_cancel(f.client, &a.call);
    struct asked b = { .call = { .method = STR("GET"), .url = url_of(&f, "/") } };
    ask(&f, &b);
    assert_false(a.done);
    stop(&f);
}

static void calls_that_are_open_when_the_client_goes_end_as_cancelled(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct asked a = { .call = { .method = STR("GET"), .url = url_of(&f, "/keep") } };
    send_call(&f, &a);
    loop_turn(f.loop, 10);
    stop(&f);
    assert_true(a.done);
    assert_int_equal(a.err.code, ERR_CANCELLED);
}

static void long_bodies_are_cut_or_refused(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct asked a = { .call = { .method = STR("GET"), .url = url_of(&f, "/big"), .response_bytes_max = 10 } };
    ask(&f, &a);
    assert_true(a.arrived);
    assert_true(a.body_cut);
    assert_string_equal(a.body, "xxxxxxxxxx");
    assert_int_equal(a.err.code, ERR_NONE);
    struct asked b = { .call = { .method = STR("GET"), .url = url_of(&f, "/big"), .response_bytes_max = 10,
                                 .fail_if_cut = true } };
    ask(&f, &b);
    assert_int_equal(b.err.code, ERR_LIMIT);
    struct buf into = { 0 };
    struct asked c = { .call = { .method = STR("GET"), .url = url_of(&f, "/big"), .response_bytes_max = 1000000,
                                 .body_into = &into } };
    ask(&f, &c);
    assert_int_equal(into.n, 200000);
    buf_deinit(&into);
    stop(&f);
}

struct streamed {
    struct asked asked;
    size_t bytes, stop_at;
    struct fixture *f;
    bool cancel;
};

static bool on_piece(void *arg, struct str bytes)
{
    struct asked *a = arg;
    struct streamed *s = container_of(a, struct streamed, asked);
    s->bytes += bytes.n;
    if (s->cancel && s->bytes >= s->stop_at)
        http_client_cancel(s->f->client, &a->call);
    return s->stop_at == 0 || s->bytes < s->stop_at;
}

static void a_body_can_be_streamed_and_stopped(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct streamed all = { .asked.call = { .method = STR("GET"), .url = url_of(&f, "/big"), .piece = on_piece } };
    ask(&f, &all.asked);
    assert_int_equal(all.bytes, 200000);
    assert_true(all.asked.arrived);
    struct streamed some = { .asked.call = { .method = STR("GET"), .url = url_of(&f, "/big"), .piece = on_piece },
                             .stop_at = 100 };
    ask(&f, &some.asked);
    assert_int_equal(some.asked.err.code, ERR_CANCELLED);
    assert_true(some.bytes < 200000);
    struct streamed gone = { .asked.call = { .method = STR("GET"), .url = url_of(&f, "/big"), .piece = on_piece },
                             .stop_at = 100, .cancel = true, .f = &f };
    send_call(&f, &gone.asked);
    int64_t end = test_now_ms() + FIXTURE_DEADLINE_MS;
    while (gone.bytes == 0) {
        assert_true(test_now_ms() < end);
        loop_turn(f.loop, 10);
    }
    struct asked after = { .call = { .method = STR("GET"), .url = url_of(&f, "/") } };
    ask(&f, &after);
    assert_false(gone.asked.done);
    stop(&f);
}

/* ---- Redirects ---- */

static void redirects_turn_into_get_or_repeat_as_go_does(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    snprintf(f.peer.location, sizeof f.peer.location, "/to?a=b");
    f.peer.status = 302;
    struct asked a = { .call = { .method = STR("POST"), .url = url_of(&f, "/move"), .body = STR("data") } };
    ask(&f, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(f.peer.last.method, "GET");
    assert_string_equal(f.peer.last.path, "/to?a=b");
    assert_string_equal(f.peer.last.body, "");
    assert_has(f.peer.last.headers, "Referer: http://127.0.0.1:");
    assert_has(a.url, "/to?a=b");
    f.peer.status = 307;
    struct asked b = { .call = { .method = STR("POST"), .url = url_of(&f, "/move"), .body = STR("data") } };
    ask(&f, &b);
    assert_string_equal(f.peer.last.method, "POST");
    assert_string_equal(f.peer.last.body, "data");
    struct http_client_config stay = defaults();
    stay.follow_redirects = false;
    struct asked c = { .call = { .method = STR("GET"), .url = url_of(&f, "/move"), .config = &stay } };
    ask(&f, &c);
    assert_int_equal(c.status, 307);
    snprintf(f.peer.location, sizeof f.peer.location, "/move");
    struct asked d = { .call = { .method = STR("GET"), .url = url_of(&f, "/move") } };
    ask(&f, &d);
    assert_has(d.err.text, ": stopped after 10 redirects");
    stop(&f);
}

static void credentials_stay_with_their_host(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct http_client_config c = defaults();
    c.basic_auth = &(struct http_basic_auth){ .username = STR("u"), .password = STR("p") };
    struct http_header_config extra = { .name = STR("X-Key"),
                                        .values = { &(struct str){ "open", 4 }, 1 },
                                        .secrets = { &(struct str){ "hidden", 6 }, 1 } };
    c.http_headers = &extra;
    c.http_headers_count = 1;
    f.peer.status = 302;
    snprintf(f.peer.location, sizeof f.peer.location, "/here");
    struct asked a = { .call = { .method = STR("GET"), .url = url_of(&f, "/move"), .config = &c } };
    ask(&f, &a);
    assert_string_equal(f.peer.last.path, "/here");
    assert_has(f.peer.last.headers, "Authorization: Basic dTpw\n");
    assert_has(f.peer.last.headers, "X-Key: hidden\n");
    snprintf(f.peer.location, sizeof f.peer.location, "http://localhost:%u/there",
             (unsigned)http_server_port(f.peer.server, 0));
    struct asked b = { .call = { .method = STR("GET"), .url = url_of(&f, "/move"), .config = &c } };
    ask(&f, &b);
    assert_int_equal(b.status, 200);
    assert_string_equal(f.peer.last.path, "/there");
    assert_has_not(f.peer.last.headers, "Authorization");
    assert_has_not(f.peer.last.headers, "hidden");
    assert_has(f.peer.last.headers, "X-Key: open\n");
    stop(&f);
}

/* ---- Credentials ---- */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void credentials_come_from_the_configuration_or_from_files_read_each_time(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    char path[] = "/tmp/http_client_test.XXXXXX";
    close(mkstemp(path));
    struct http_client_config c = defaults();
    struct http_authorization auth = { .type = STR("Token"), .credentials_file = str_c(path) };
    c.authorization = &auth;
    write_file(path, "one\n");
    struct asked a = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &a);
    assert_has(f.peer.last.headers, "Authorization: Token one\n");
    write_file(path, "two\n");
    struct asked b = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &b);
    assert_has(f.peer.last.headers, "Authorization: Token two\n");
    const struct http_header own = { STR("Authorization"), STR("Mine") };
    struct asked own_header = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c, .headers = &own,
                                          .headers_count = 1 } };
    ask(&f, &own_header);
    assert_has(f.peer.last.headers, "Authorization: Mine\n");
    assert_has_not(f.peer.last.headers, "Token");
    unlink(path);
    struct asked d = { .call = { .method = STR("GET"), .url = STR("http://h/"), .config = &c } };
    ask(&f, &d);
    char want[256];
    snprintf(want, sizeof want,
             "Get \"http://h/\": unable to read authorization credentials: unable to read file %s: open %s: no such file "
             "or directory",
             path, path);
    assert_string_equal(d.err.text, want);
    char url[128];
    snprintf(url, sizeof url, "http://us%%40er:pw@127.0.0.1:%u/", (unsigned)http_server_port(f.peer.server, 0));
    struct asked e = { .call = { .method = STR("GET"), .url = str_c(url) } };
    ask(&f, &e);
    assert_has(f.peer.last.headers, "Authorization: Basic dXNAZXI6cHc=\n");
    stop(&f);
}

static void an_oauth_token_is_fetched_once_and_shared(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct http_client_config c = defaults();
    struct http_oauth2_config o = { .client_id = STR("id"), .client_secret = STR("s&cret"), .token_url = url_of(&f, "/token"),
                                    .scopes = { (struct str[]){ STR_INIT("a"), STR_INIT("b") }, 2 } };
    c.oauth2 = &o;
    struct asked a[3];
    memset(a, 0, sizeof a);
    for (size_t i = 0; i < 3; i++) {
        a[i].call = (struct http_call){ .method = STR("GET"), .url = url_of(&f, "/"), .config = &c };
        send_call(&f, &a[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        wait_done(&f, &a[i]);
        assert_int_equal(a[i].status, 200);
    }
    assert_int_equal(f.peer.tokens, 1);
    assert_has(f.peer.last.headers, "Authorization: Bearer tok1\n");
    struct asked b = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &b);
    assert_int_equal(f.peer.tokens, 1);
    o.client_secret = STR("other"); /* another secret, another token */
    struct asked d = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &d);
    assert_int_equal(f.peer.tokens, 2);
    assert_has(f.peer.last.headers, "Authorization: Bearer tok2\n");
    stop(&f);
}

static void a_token_endpoint_that_wants_parameters_gets_them_and_refusals_are_told(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct http_client_config c = defaults();
    struct http_oauth2_config o = { .client_id = STR("id"), .client_secret = STR("s&cret"),
                                    .token_url = url_of(&f, "/token") };
    c.oauth2 = &o;
    f.peer.only_params = true;
    struct asked a = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &a);
    assert_int_equal(a.status, 200);
    assert_int_equal(f.peer.tokens, 1);
    o.token_url = url_of(&f, "/move"); /* neither way works there */
    f.peer.status = 403;
    struct asked b = { .call = { .method = STR("GET"), .url = STR("http://h/"), .config = &c } };
    ask(&f, &b);
    assert_string_equal(b.err.text, "Get \"http://h/\": oauth2: cannot fetch token: 403 Forbidden\nResponse: ");
    assert_string_equal(f.peer.last.body, "client_id=id&client_secret=s%26cret&grant_type=client_credentials");
    o.client_secret = STR_EMPTY;
    struct asked d = { .call = { .method = STR("GET"), .url = STR("http://h/"), .config = &c } };
    ask(&f, &d);
    assert_string_equal(d.err.text, "Get \"http://h/\": oauth2 client secret is required");
    stop(&f);
}

/* ---- Proxies ---- */

struct raw_peer { /* answers one connection with a fixed text */
    int listener;
    uint16_t port;
    const char *answer;
    struct buf got;
    struct thread thread;
};

static void serve_once(void *arg)
{
    struct raw_peer *p = arg;
    int fd = accept(p->listener, NULL, NULL);
    if (fd < 0)
        return;
    char chunk[4096];
    while (!p->got.p || !strstr(p->got.p, "\r\n\r\n")) {
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n <= 0)
            break;
        buf_append(&p->got, chunk, (size_t)n);
    }
    (void)!send(fd, p->answer, strlen(p->answer), MSG_NOSIGNAL);
    close(fd);
}

static void raw_start(struct raw_peer *p, const char *answer)
{
    struct err err;
    memset(p, 0, sizeof *p);
    p->listener = listen_any(&p->port);
    p->answer = answer;
    assert_true(thread_start(&p->thread, "raw", serve_once, p, &err));
}

static void raw_stop(struct raw_peer *p)
{
    shutdown(p->listener, SHUT_RDWR);
    thread_join(&p->thread);
    close(p->listener);
    buf_deinit(&p->got);
}

static void a_proxy_is_asked_with_the_whole_url_or_by_connect_with_its_headers(void **state)
{
    (void)state;
    struct fixture f;
    struct raw_peer p;
    client_start(&f, 0);
    raw_start(&p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    char proxy[64];
    struct http_client_config c = defaults();
    struct str value = STR("for the proxy");
    struct str_lists_entry entry = { STR("X-Proxy"), { &value, 1 } };
    c.proxy.proxy_connect_header = (struct str_lists){ &entry, 1 };
    snprintf(proxy, sizeof proxy, "http://u:p@127.0.0.1:%u", (unsigned)p.port);
    c.proxy.proxy_url = str_c(proxy);
    struct asked a = { .call = { .method = STR("GET"), .url = STR("http://nope.invalid/path"), .config = &c } };
    ask(&f, &a);
    assert_string_equal(a.err.text, "");
    assert_string_equal(a.body, "hi");
    assert_has(p.got.p, "GET http://nope.invalid/path HTTP/1.1\r\n");
    assert_has(p.got.p, "Proxy-Authorization: Basic dTpw\r\n");
    assert_has_not(p.got.p, "X-Proxy");
    raw_stop(&p);

    raw_start(&p, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", (unsigned)p.port);
    struct asked b = { .call = { .method = STR("GET"), .url = STR("https://nope.invalid/"), .config = &c } };
    ask(&f, &b);
    assert_string_equal(b.err.text, "Get \"https://nope.invalid/\": Forbidden");
    assert_has(p.got.p, "CONNECT nope.invalid:443 HTTP/1.1\r\n");
    assert_has(p.got.p, "X-Proxy: for the proxy\r\n");
    assert_has_not(p.got.p, "Test/1");
    raw_stop(&p);

    uint16_t port;
    close(listen_any(&port));
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", (unsigned)port);
    struct asked d = { .call = { .method = STR("GET"), .url = STR("http://nope.invalid/"), .config = &c } };
    ask(&f, &d);
    char want[256];
    snprintf(want, sizeof want,
             "Get \"http://nope.invalid/\": proxyconnect tcp: dial tcp 127.0.0.1:%u: connect: connection refused",
             (unsigned)port);
    assert_string_equal(d.err.text, want);
    client_stop(&f);
}

static void the_environment_counts_only_when_asked_for(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    struct asked a = { .call = { .method = STR("GET"), .url = url_of(&f, "/") } };
    ask(&f, &a);
    assert_int_equal(a.status, 200);
    http_client_free(f.client);
    static const char *const env[] = { "HTTP_PROXY=http://127.0.0.1:1", "NO_PROXY=.skip.invalid", NULL };
    f.client = http_client_new(f.loop, &(struct http_client_options){ .environ = env });
    struct http_client_config c = defaults();
    c.proxy.proxy_from_environment = true;
    struct asked b = { .call = { .method = STR("GET"), .url = STR("http://nope.invalid/"), .config = &c } };
    ask(&f, &b);
    assert_has(b.err.text, "proxyconnect tcp: dial tcp 127.0.0.1:1");
    struct asked d = { .call = { .method = STR("GET"), .url = STR("http://a.skip.invalid/"), .config = &c } };
    ask(&f, &d);
    assert_has(d.err.text, "lookup a.skip.invalid: no such host");
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    stop(&f);
}

static void broken_answers_are_errors(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *want;
        bool arrived;
    } cases[] = {
        { "", ": EOF", false },
        { "nonsense\r\n\r\n", "malformed HTTP response", false },
        { "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", ": unexpected EOF", true },
    };
    struct fixture f;
    client_start(&f, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct raw_peer p;
        char url[64];
        raw_start(&p, cases[i].answer);
        snprintf(url, sizeof url, "http://127.0.0.1:%u/", (unsigned)p.port);
        struct asked a = { .call = { .method = STR("GET"), .url = str_c(url) } };
        ask(&f, &a);
        assert_has(a.err.text, cases[i].want);
        assert_int_equal(a.arrived, cases[i].arrived);
        raw_stop(&p);
    }
    client_stop(&f);
}

/* ---- TLS ---- */

struct certs {
    struct cert ca, other_ca, server, client;
};

static void certs_make(struct certs *c)
{
    cert_make(&c->ca, "ca", NULL, NULL, NULL, 10);
    cert_make(&c->other_ca, "other", NULL, NULL, NULL, 10);
    cert_make(&c->server, "server", &c->ca, "srv.test", LOOPBACK_IP, 10);
    cert_make(&c->client, "client", &c->ca, "client.test", NULL, 10);
}

static void certs_free(struct certs *c)
{
    cert_free(&c->ca);
    cert_free(&c->other_ca);
    cert_free(&c->server);
    cert_free(&c->client);
}

static void tls_start(struct fixture *f, const struct certs *c, enum tls_client_auth auth)
{
    const struct tls_server_spec spec = { .cert = cert_pem(&c->server), .key = key_pem(&c->server),
                                          .client_ca = auth ? cert_pem(&c->ca) : STR_EMPTY, .client_auth = auth };
    struct err err;
    client_start(f, 0);
    struct tls_server *tls = tls_server_load(&spec, fs_posix(), &err);
    if (!tls)
        fail_msg("%s", err.text);
    peer_start(&f->peer, tls);
}

static void a_server_is_trusted_by_ca_and_name(void **state)
{
    (void)state;
    struct certs certs;
    struct fixture f;
    certs_make(&certs);
    tls_start(&f, &certs, TLS_CLIENT_AUTH_NONE);
    struct http_client_config c = defaults();
    c.tls_config.ca = cert_pem(&certs.ca);
    struct asked a = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &a);
    assert_string_equal(a.err.text, "");
    assert_int_equal(a.status, 200);
    c.tls_config.ca = cert_pem(&certs.other_ca);
    for (int i = 0; i < 2; i++) { /* neither on the good connection above nor on a failed one */
        struct asked b = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
        ask(&f, &b);
        assert_has(b.err.text, ": tls: failed to verify certificate: x509: certificate signed by unknown authority");
    }
    unsigned seen = f.peer.count;
    c.tls_config.insecure_skip_verify = true;
    struct asked d = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &d);
    assert_int_equal(d.status, 200);
    assert_int_equal(f.peer.count, seen + 1);
    c.tls_config.insecure_skip_verify = false;
    struct asked again = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &again); /* nor on one where nobody looked */
    assert_false(again.arrived);
    c.tls_config.ca = cert_pem(&certs.ca);
    c.tls_config.server_name = STR("srv.test");
    struct asked e = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &e);
    assert_string_equal(e.err.text, "");
    assert_has(f.peer.last.headers, "Host: 127.0.0.1:");
    c.tls_config.server_name = STR("else.test");
    struct asked g = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &g);
    assert_has(g.err.text, "tls: failed to verify certificate: x509: certificate is valid for srv.test, 127.0.0.1, not else.test");
    c.tls_config.server_name = STR_EMPTY;
    c.tls_config.max_version = HTTP_TLS_11;
    struct asked h = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &h);
    assert_false(h.arrived);
    stop(&f);
    certs_free(&certs);
}

static void a_client_certificate_is_sent_and_read_again_when_its_file_changes(void **state)
{
    (void)state;
    struct certs certs;
    struct fixture f;
    certs_make(&certs);
    tls_start(&f, &certs, TLS_CLIENT_AUTH_REQUIRE_AND_VERIFY);
    char cert_path[] = "/tmp/http_client_test.XXXXXX", key_path[] = "/tmp/http_client_test.XXXXXX";
    close(mkstemp(cert_path));
    close(mkstemp(key_path));
    struct http_client_config c = defaults();
    c.tls_config.ca = cert_pem(&certs.ca);
    struct asked none = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &none);
    assert_false(none.arrived);
    c.tls_config.cert = cert_pem(&certs.client);
    c.tls_config.key = key_pem(&certs.client);
    struct asked inline_pair = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &inline_pair);
    assert_string_equal(inline_pair.err.text, "");
    assert_int_equal(inline_pair.status, 200);
    c.tls_config.cert = c.tls_config.key = STR_EMPTY;
    c.tls_config.cert_file = str_c(cert_path);
    c.tls_config.key_file = str_c(key_path);
    struct cert stranger;
    cert_make(&stranger, "stranger", &certs.other_ca, NULL, NULL, 10);
    write_file(cert_path, (const char *)stranger.crt_pem.data);
    write_file(key_path, (const char *)stranger.key_pem.data);
    struct asked wrong = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &wrong);
    assert_false(wrong.arrived);
    write_file(cert_path, (const char *)certs.client.crt_pem.data);
    write_file(key_path, (const char *)certs.client.key_pem.data);
    struct asked right = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &right);
    assert_string_equal(right.err.text, "");
    assert_int_equal(right.status, 200);
    unlink(cert_path);
    struct asked lost = { .call = { .method = STR("GET"), .url = url_of(&f, "/"), .config = &c } };
    ask(&f, &lost);
    assert_has(lost.err.text, "unable to read specified client cert (");
    unlink(key_path);
    cert_free(&stranger);
    stop(&f);
    certs_free(&certs);
}

/* ---- Slots ---- */

static void a_host_that_does_not_answer_leaves_room_for_others_and_all_have_their_turn(void **state)
{
    (void)state;
    enum { DEAD = 20, LIVE = 20 };
    struct fixture f;
    struct peer live;
    client_start(&f, 4);
    peer_start(&f.peer, NULL);
    peer_start(&live, NULL);
    static struct asked dead[DEAD], fine[LIVE];
    memset(dead, 0, sizeof dead);
    memset(fine, 0, sizeof fine);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", (unsigned)http_server_port(live.server, 0));
    for (size_t i = 0; i < DEAD; i++) {
        dead[i].call = (struct http_call){ .method = STR("GET"), .url = url_of(&f, "/keep"), .timeout_ms = 300 };
        send_call(&f, &dead[i]);
    }
    for (size_t i = 0; i < LIVE; i++) {
        fine[i].call = (struct http_call){ .method = STR("GET"), .url = str_c(url) };
        send_call(&f, &fine[i]);
    }
    assert_true(gauge_get(&http_client_stats(f.client)->waiting) > 0);
    for (size_t i = 0; i < LIVE; i++) {
        wait_done(&f, &fine[i]);
        assert_int_equal(fine[i].status, 200);
    }
    assert_false(dead[0].done);
    assert_true(gauge_get(&http_client_stats(f.client)->connections) <= 4);
    for (size_t i = 0; i < DEAD; i++) {
        wait_done(&f, &dead[i]);
        assert_true(dead[i].timed_out);
    }
    assert_true(gauge_get(&http_client_stats(f.client)->waiting) == 0);
    assert_true(gauge_get(&http_client_stats(f.client)->connections) == 0);
    stop(&f);
    peer_stop(&live);
}

/* 127.0.0.2, .3 ... are hosts of their own; the silent server listens at all of them. */
static void many_dead_hosts_do_not_shut_out_who_has_answered_before(void **state)
{
    (void)state;
    enum { SLOTS = 8, DEAD = 30 };
    struct fixture f;
    client_start(&f, SLOTS);
    peer_listen(&f.peer, STR("0.0.0.0:0"), NULL);
    static struct asked dead[DEAD], known, again;
    static char urls[DEAD + 1][64];
    memset(dead, 0, sizeof dead);
    const unsigned port = http_server_port(f.peer.server, 0);
    snprintf(urls[DEAD], sizeof urls[0], "http://127.0.0.1:%u/", port);
    known = (struct asked){ .call = { .method = STR("GET"), .url = str_c(urls[DEAD]) } };
    again = known;
    send_call(&f, &known);
    wait_done(&f, &known);
    for (size_t i = 0; i < DEAD; i++) {
        snprintf(urls[i], sizeof urls[i], "http://127.0.0.%zu:%u/keep", i + 2, port);
        dead[i].call = (struct http_call){ .method = STR("GET"), .url = str_c(urls[i]), .timeout_ms = 1000 };
        send_call(&f, &dead[i]);
    }
    send_call(&f, &again);
    wait_done(&f, &again);
    assert_int_equal(again.status, 200);
    assert_false(dead[0].done);
    for (size_t i = 0; i < DEAD; i++)
        wait_done(&f, &dead[i]);
    stop(&f);
}

/* Turns of the loop until the other end has something to read. */
static void turn_until_readable(struct fixture *f, int fd)
{
    int64_t end = test_now_ms() + FIXTURE_DEADLINE_MS;
    while (!readable_in(fd, 0)) {
        assert_true(test_now_ms() < end);
        loop_turn(f->loop, 1);
    }
}

static void answer_on(struct fixture *f, int connection, struct asked *a)
{
    struct buf b = { 0 };
    turn_until_readable(f, connection);
    assert_true(read_until(connection, &b, "\r\n\r\n"));
    buf_deinit(&b);
    send_text(connection, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    wait_done(f, a);
    assert_int_equal(a->status, 200);
}

static void a_connection_serves_call_after_call_and_is_left_when_the_server_has_closed_it(void **state)
{
    (void)state;
    struct fixture f;
    client_start(&f, 0);
    uint16_t port;
    int listener = listen_any(&port);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", (unsigned)port);
    for (unsigned round = 0; round < 3; round++) {
        struct asked first = { .call = { .method = STR("GET"), .url = str_c(url) } }, second = first, third = first;
        send_call(&f, &first);
        turn_until_readable(&f, listener);
        int connection = accept(listener, NULL, NULL);
        assert_true(connection >= 0);
        answer_on(&f, connection, &first);
        send_call(&f, &second);
        answer_on(&f, connection, &second);
        loop_turn(f.loop, 1);
        send_call(&f, &third);
        answer_on(&f, connection, &third);
        assert_false(readable_in(listener, 0));
        close(connection);
        for (unsigned i = 0; i < round; i++) /* the end is seen by the loop, or by the next call */
            loop_turn(f.loop, 10);
    }
    close(listener);
    client_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_brings_status_headers_and_body),
        cmocka_unit_test(a_post_carries_its_body_and_nothing_that_was_not_asked_for),
        cmocka_unit_test(failures_read_as_gos),
        cmocka_unit_test(a_call_ends_with_its_timeout),
        cmocka_unit_test(a_cancelled_call_is_not_heard_of_again),
        cmocka_unit_test(calls_that_are_open_when_the_client_goes_end_as_cancelled),
        cmocka_unit_test(long_bodies_are_cut_or_refused),
        cmocka_unit_test(a_body_can_be_streamed_and_stopped),
        cmocka_unit_test(redirects_turn_into_get_or_repeat_as_go_does),
        cmocka_unit_test(credentials_stay_with_their_host),
        cmocka_unit_test(credentials_come_from_the_configuration_or_from_files_read_each_time),
        cmocka_unit_test(an_oauth_token_is_fetched_once_and_shared),
        cmocka_unit_test(a_token_endpoint_that_wants_parameters_gets_them_and_refusals_are_told),
        cmocka_unit_test(a_proxy_is_asked_with_the_whole_url_or_by_connect_with_its_headers),
        cmocka_unit_test(the_environment_counts_only_when_asked_for),
        cmocka_unit_test(broken_answers_are_errors),
        cmocka_unit_test(a_server_is_trusted_by_ca_and_name),
        cmocka_unit_test(a_client_certificate_is_sent_and_read_again_when_its_file_changes),
        cmocka_unit_test(a_host_that_does_not_answer_leaves_room_for_others_and_all_have_their_turn),
        cmocka_unit_test(a_connection_serves_call_after_call_and_is_left_when_the_server_has_closed_it),
        cmocka_unit_test(many_dead_hosts_do_not_shut_out_who_has_answered_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
