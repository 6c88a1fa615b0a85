#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "io/clock_io.h"
#include "notify/notify_io.h"
#define send_text say /* send.h has one, too */
#include "unit/io/net_fixture.h"
#undef send_text
#include "unit/notify/receivers/drive.h"

/* One edge on one loop, and peers that are plain sockets played by the test. */
#define RESULTS_MAX 8

struct outcome {
    bool done;
    enum send_verdict verdict;
    enum send_reason reason;
    char error[512];
    uint32_t requests;
};
struct world {
    struct loop *loop;
    struct notify_io *io;
    struct drive d; /* configuration, notification, env */
    struct notify_receivers receivers;
    struct notify_integration integration;
    struct outcome outcomes[RESULTS_MAX]; /* by attempt id */
};
static struct world *current;

static const struct receiver_env *env_of(struct notify_receivers *r)
{
    assert_ptr_equal(r, &current->receivers);
    return &current->d.env;
}

static void on_result(void *arg, struct notify_result *r)
{
    struct world *w = arg;
    struct outcome *o = &w->outcomes[r->attempt];
    assert_false(o->done);
    *o = (struct outcome){ .done = true, .verdict = r->verdict, .reason = r->reason, .requests = r->requests };
    snprintf(o->error, sizeof o->error, "%.*s", STR_ARG(r->error));
}

static void nothing_to_free(void *context)
{
    (void)context;
}

static void begin(struct world *w, enum receiver_kind kind, const char *before, uint16_t port, const char *after)
{
    char yaml[1024];
    snprintf(yaml, sizeof yaml, "%s127.0.0.1:%u%s", before, (unsigned)port, after);
    *w = (struct world){ 0 };
    current = w;
    log_set_fd(-1);
    drive_begin(&w->d, kind, yaml, false);
    w->receivers.free = nothing_to_free;
    atomic_init(&w->receivers.refs, 1);
    w->integration = (struct notify_integration){ .row = receiver_rows[kind], .config = w->d.at.config, .name = receiver_rows[kind]->name };
    w->loop = loop_new("send", NULL);
    const struct notify_io_options o = { .user_agent = STR("Alertmanager/0"), .env = env_of, .result = on_result, .arg = w };
    w->io = notify_io_new(w->loop, &o);
}

static void end(struct world *w)
{
    notify_io_free(w->io);
    assert_int_equal(atomic_load(&w->receivers.refs), 1);
    loop_free(w->loop);
    drive_end(&w->d);
}

static void attempt(struct world *w, uint64_t id, mono_ms deadline)
{
    notify_io_attempt(w->io, &(struct notify_attempt){ .id = id, .n = notification_retain(w->d.n),
                                                       .receivers = notify_receivers_retain(&w->receivers),
                                                       .integration = &w->integration, .deadline = deadline });
}

static const mono_ms never = { INT64_MAX };

static void wait_result(struct world *w, uint64_t id)
{
    int64_t until = test_now_ms() + FIXTURE_DEADLINE_MS;
    while (!w->outcomes[id].done) {
        assert_true(test_now_ms() < until);
        loop_turn(w->loop, 50);
    }
}

/* Turns the loop until the fd is readable. */
static void wait_readable(struct world *w, int fd)
{
    int64_t until = test_now_ms() + FIXTURE_DEADLINE_MS;
    while (!readable_in(fd, 0)) {
        assert_true(test_now_ms() < until);
        loop_turn(w->loop, 10);
    }
}

static int take_call(struct world *w, int listener)
{
    wait_readable(w, listener);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    return fd;
}

/* What came until the text ends with `last`. */
static void hear(struct world *w, int fd, struct buf *b, const char *last)
{
    do {
        char chunk[4096];
        wait_readable(w, fd);
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        assert_true(n > 0);
        buf_append(b, chunk, (size_t)n);
    } while (!str_ends(buf_view(b), str_c(last)));
}

static void reply(int fd, const char *status, const char *body)
{
    char text[1024];
    snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status,
             strlen(body), body);
    say(fd, text);
}

static void what_is_sent_is_answered_once(void **state)
{
    struct world w;
    uint16_t port;
    int listener = listen_any(&port);
    struct buf seen = { 0 };
    (void)state;
    begin(&w, RECEIVER_WEBHOOK, "url: http://", port, "/hook\n");
    attempt(&w, 1, never);
    int fd = take_call(&w, listener);
    hear(&w, fd, &seen, "}\n");
    assert_true(str_starts(buf_view(&seen), STR("POST /hook HTTP/1.1\r\n")));
    assert_true(str_contains(buf_view(&seen), STR("User-Agent: Alertmanager/0\r\n")));
    assert_true(str_contains(buf_view(&seen), STR("\"groupKey\":\"{}:{alertname=\\\"Down\\\"}\"")));
    reply(fd, "200 OK", "");
    wait_result(&w, 1);
    assert_int_equal(w.outcomes[1].verdict, SEND_DONE);
    assert_int_equal(w.outcomes[1].requests, 1);
    assert_string_equal(w.outcomes[1].error, "");
    assert_int_equal(notify_io_count(w.io), 0);
    attempt(&w, 2, never);
    buf_reset(&seen);
    hear(&w, fd, &seen, "}\n"); /* the connection is used again */
    reply(fd, "503 Busy", "later");
    wait_result(&w, 2);
    assert_int_equal(w.outcomes[2].verdict, SEND_RETRY);
    assert_int_equal(w.outcomes[2].reason, SEND_REASON_SERVER);
    assert_string_equal(w.outcomes[2].error, "unexpected status code 503: later");
    end(&w);
    buf_deinit(&seen);
    close(fd);
    close(listener);
}

static void who_is_silent_delays_nobody_else(void **state)
{
    struct world w;
    uint16_t port;
    int listener = listen_any(&port);
    struct buf seen = { 0 };
    (void)state;
    begin(&w, RECEIVER_WEBHOOK, "url: http://", port, "/\n");
    attempt(&w, 1, never);
    int silent = take_call(&w, listener);
    attempt(&w, 2, never);
    int quick = take_call(&w, listener);
    hear(&w, quick, &seen, "}\n");
    reply(quick, "200 OK", "");
    wait_result(&w, 2);
    assert_int_equal(w.outcomes[2].verdict, SEND_DONE);
    assert_false(w.outcomes[1].done);
    notify_io_cancel(w.io, 1);
    assert_true(w.outcomes[1].done); /* at once */
    assert_int_equal(w.outcomes[1].verdict, SEND_RETRY);
    assert_int_equal(w.outcomes[1].reason, SEND_REASON_CANCELED);
    assert_string_equal(w.outcomes[1].error, "context canceled");
    notify_io_cancel(w.io, 1); /* it is over */
    attempt(&w, 3, never);
    buf_reset(&seen);
    hear(&w, quick, &seen, "}\n");
    end(&w); /* answers what is left */
    assert_int_equal(w.outcomes[3].reason, SEND_REASON_CANCELED);
    buf_deinit(&seen);
    close(silent);
    close(quick);
    close(listener);
}

static void attempts_end_at_their_deadline(void **state)
{
    struct world w;
    uint16_t port;
    int listener = listen_any(&port);
    (void)state;
    begin(&w, RECEIVER_WEBHOOK, "url: http://", port, "/\n");
    attempt(&w, 1, (mono_ms){ clock_mono().ms + 100 });
    wait_result(&w, 1);
    assert_int_equal(w.outcomes[1].verdict, SEND_RETRY);
    assert_true(str_contains(str_c(w.outcomes[1].error), STR("context deadline exceeded")));
    assert_false(str_contains(str_c(w.outcomes[1].error), STR("configured")));
    end(&w);
    begin(&w, RECEIVER_WEBHOOK, "url: http://", port, "/\ntimeout: 100ms\n");
    attempt(&w, 1, (mono_ms){ clock_mono().ms + 60000 });
    wait_result(&w, 1);
    assert_int_equal(w.outcomes[1].verdict, SEND_RETRY);
    assert_true(str_ends(str_c(w.outcomes[1].error), STR("configured webhook timeout reached (100ms)")));
    end(&w);
    close(listener);
}

/* Its turn among the replicas would be over before it is. */
static void attempt_that_stood_in_line_for_too_long_is_given_back_unsent(void **state)
{
    struct world w;
    uint16_t port;
    int listener = listen_any(&port);
    (void)state;
    begin(&w, RECEIVER_WEBHOOK, "url: http://", port, "/\n");
    notify_io_attempt(w.io, &(struct notify_attempt){ .id = 1, .n = notification_retain(w.d.n),
                                                      .receivers = notify_receivers_retain(&w.receivers),
                                                      .integration = &w.integration, .deadline = never,
                                                      .begin_by = { clock_mono().ms - 1 } });
    wait_result(&w, 1);
    assert_int_equal(w.outcomes[1].verdict, SEND_RETRY);
    assert_true(str_starts(str_c(w.outcomes[1].error), STR("stood in line")));
    notify_io_attempt(w.io, &(struct notify_attempt){ .id = 2, .n = notification_retain(w.d.n),
                                                      .receivers = notify_receivers_retain(&w.receivers),
                                                      .integration = &w.integration,
                                                      .deadline = { clock_mono().ms + 100 },
                                                      .begin_by = { clock_mono().ms + 60000 } });
    wait_result(&w, 2);
    assert_true(str_contains(str_c(w.outcomes[2].error), STR("context deadline exceeded"))); /* it was begun */
    end(&w);
    close(listener);
}

static void secrets_of_urls_stay_secret(void **state)
{
    struct world w;
    uint16_t port;
    int listener = listen_any(&port);
    (void)state;
    close(listener); /* nobody is there */
    begin(&w, RECEIVER_WEBHOOK, "url: http://", port, "/token-of-mine\n");
    attempt(&w, 1, never);
    wait_result(&w, 1);
    assert_int_equal(w.outcomes[1].verdict, SEND_RETRY);
    assert_true(str_starts(str_c(w.outcomes[1].error), STR("Post \"<redacted>\": dial tcp 127.0.0.1:")));
    assert_false(str_contains(str_c(w.outcomes[1].error), STR("token-of-mine")));
    end(&w);
}

static void tokens_serve_many_attempts(void **state)
{
    struct world w;
    uint16_t port;
    int listener = listen_any(&port);
    struct buf seen = { 0 };
    (void)state;
    begin(&w, RECEIVER_WECHAT, "api_url: http://", port, "/\ncorp_id: c\napi_secret: s\nto_user: u\nmessage: m\n");
    attempt(&w, 1, never);
    int fd = take_call(&w, listener);
    hear(&w, fd, &seen, "\r\n\r\n");
    assert_true(str_starts(buf_view(&seen), STR("GET /gettoken?")));
    reply(fd, "200 OK", "{\"access_token\":\"tok\"}");
    buf_reset(&seen);
    hear(&w, fd, &seen, "}\n");
    assert_true(str_starts(buf_view(&seen), STR("POST /message/send?access_token=tok ")));
    reply(fd, "200 OK", "{\"errcode\":0}");
    wait_result(&w, 1);
    assert_int_equal(w.outcomes[1].requests, 2);
    attempt(&w, 2, never);
    buf_reset(&seen);
    hear(&w, fd, &seen, "}\n");
    assert_true(str_starts(buf_view(&seen), STR("POST /message/send?access_token=tok ")));
    reply(fd, "200 OK", "{\"errcode\":0}");
    wait_result(&w, 2);
    assert_int_equal(w.outcomes[2].verdict, SEND_DONE);
    assert_int_equal(w.outcomes[2].requests, 1);
    end(&w);
    buf_deinit(&seen);
    close(fd);
    close(listener);
}

static void mail_goes_by_smtp(void **state)
{
    static const struct {
        const char *hear, *say;
    } dialogue[] = { { "\r\n", "250 mail.test\r\n" }, { "MAIL FROM:<am@example.org>\r\n", "250 ok\r\n" },
                     { "RCPT TO:<t@x>\r\n", "250 ok\r\n" }, { "DATA\r\n", "354 go\r\n" },
                     { "\r\n.\r\n", "250 kept\r\n" }, { "QUIT\r\n", "221 bye\r\n" } };
    struct world w;
    uint16_t port;
    int listener = listen_any(&port);
    struct buf seen = { 0 };
    (void)state;
    begin(&w, RECEIVER_EMAIL, "to: t@x\nsmarthost: ", port, "\nrequire_tls: false\ntext: it is down\nhtml: ''\n");
    attempt(&w, 1, never);
    int fd = take_call(&w, listener);
    say(fd, "220 mail.test ESMTP\r\n");
    for (size_t i = 0; i < ARRAY_LEN(dialogue); i++) {
        hear(&w, fd, &seen, dialogue[i].hear);
        say(fd, dialogue[i].say);
    }
    assert_true(str_contains(buf_view(&seen), STR("\r\nit is down")));
    wait_result(&w, 1);
    assert_string_equal(w.outcomes[1].error, "");
    assert_int_equal(w.outcomes[1].verdict, SEND_DONE);
    end(&w);
    buf_deinit(&seen);
    close(fd);
    close(listener);
}

static void route_labels_are_rendered_for_the_attempt(void **state)
{
    static struct label raw[] = { { STR_INIT("bad"), STR_INIT("{{ .X }}") }, { STR_INIT("n"), STR_INIT("{{ len .Alerts }}") } };
    struct world w;
    uint16_t port;
    int listener = listen_any(&port);
    struct buf seen = { 0 };
    (void)state;
    begin(&w, RECEIVER_WEBHOOK, "url: http://", port, "/\n");
    w.d.n->route_labels = (struct labels){ raw, ARRAY_LEN(raw) };
    attempt(&w, 1, never);
    int fd = take_call(&w, listener);
    hear(&w, fd, &seen, "}\n");
    assert_true(str_contains(buf_view(&seen), STR("\"routeLabels\":{\"n\":\"2\"}")));
    end(&w);
    buf_deinit(&seen);
    close(fd);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_is_answered_once),
        cmocka_unit_test(who_is_silent_delays_nobody_else),
        cmocka_unit_test(attempts_end_at_their_deadline),
        cmocka_unit_test(attempt_that_stood_in_line_for_too_long_is_given_back_unsent),
        cmocka_unit_test(secrets_of_urls_stay_secret),
        cmocka_unit_test(tokens_serve_many_attempts),
        cmocka_unit_test(mail_goes_by_smtp),
        cmocka_unit_test(route_labels_are_rendered_for_the_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
