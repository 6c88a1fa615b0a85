#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/fs_posix.h"
#include "io/smtp_client.h"
#include "io/thread.h"
#include "io/tls.h"
#include "unit/io/cert_fixture.h"
#include "unit/io/net_fixture.h"

/* A mail server on a thread: it answers every line by its first word, and speaks TLS when told to. */
struct mail_server {
    int listener;
    uint16_t port;
    struct thread thread;
    struct tls_server *tls;
    bool implicit, offers_starttls;
    const char *final;
    struct buf got; /* all lines */
    struct tls_session *session;
    int fd;
};

static void wait_fd(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };
    poll(&p, 1, FIXTURE_DEADLINE_MS);
}

static bool server_handshake(struct mail_server *s)
{
    struct err err;
    s->session = tls_session_server(s->tls, s->fd);
    for (;;) {
        switch (tls_session_handshake(s->session, &err)) {
        case TLS_DONE:
            return true;
        case TLS_WANT_READ:
            wait_fd(s->fd, POLLIN);
            break;
        case TLS_WANT_WRITE:
            wait_fd(s->fd, POLLOUT);
            break;
        case TLS_CLOSED:
        case TLS_FAILED:
            return false;
        }
    }
}

static bool read_byte(struct mail_server *s, char *c)
{
    struct err err;
    size_t got;
    if (!s->session)
        return recv(s->fd, c, 1, 0) == 1;
    for (;;) {
        enum tls_result r = tls_session_read(s->session, c, 1, &got, &err);
        if (r == TLS_DONE)
            return true;
        if (r != TLS_WANT_READ)
            return false;
        wait_fd(s->fd, POLLIN);
    }
}

static void say(struct mail_server *s, const char *text)
{
    struct err err;
    if (s->session)
        while (tls_session_write(s->session, text, strlen(text), &err) == TLS_WANT_WRITE)
            wait_fd(s->fd, POLLOUT);
    else
        (void)!send(s->fd, text, strlen(text), MSG_NOSIGNAL);
}

static bool answer_line(struct mail_server *s, struct str line, bool *data)
{
    if (*data) {
        if (!str_eq(line, STR(".")))
            return true;
        *data = false;
        say(s, s->final);
        return true;
    }
    if (str_starts(line, STR("EHLO"))) {
        say(s, s->offers_starttls && !s->session ? "250-m\r\n250 STARTTLS\r\n" : "250-m\r\n250 AUTH PLAIN\r\n");
    } else if (str_starts(line, STR("STARTTLS"))) {
        say(s, "220 go\r\n");
        return server_handshake(s);
    } else if (str_starts(line, STR("AUTH"))) {
        say(s, "235 ok\r\n");
    } else if (str_starts(line, STR("DATA"))) {
        *data = true;
        say(s, "354 go\r\n");
    } else if (str_starts(line, STR("QUIT"))) {
        say(s, "221 bye\r\n");
        return false;
    } else {
        say(s, "250 ok\r\n");
    }
    return true;
}

static void serve(void *arg)
{
    struct mail_server *s = arg;
    bool data = false;
    s->fd = accept(s->listener, NULL, NULL);
    if (s->fd < 0)
        return;
    if (!s->implicit || server_handshake(s)) {
        struct buf line = { 0 };
        char c;
        say(s, "220 hi\r\n");
        while (read_byte(s, &c)) {
            buf_byte(&s->got, c);
            if (c != '\n') {
                buf_byte(&line, c);
                continue;
            }
            if (!answer_line(s, str_trim(buf_view(&line)), &data))
                break;
            buf_reset(&line);
        }
        buf_deinit(&line);
    }
    tls_session_free(s->session);
    s->session = NULL;
    close(s->fd);
}

static void server_start(struct mail_server *s)
{
    struct err err;
    s->listener = listen_any(&s->port);
    s->final = s->final ? s->final : "250 queued\r\n";
    assert_true(thread_start(&s->thread, "mail", serve, s, &err));
}

static void server_stop(struct mail_server *s)
{
    shutdown(s->listener, SHUT_RDWR);
    thread_join(&s->thread);
    close(s->listener);
    buf_deinit(&s->got);
}

struct delivery {
    struct smtp_call call;
    struct smtp_job job;
    struct smtp_result result;
    bool done;
    char port[8];
};

static void on_done(void *arg, const struct smtp_result *r)
{
    struct delivery *d = arg;
    assert_false(d->done);
    d->done = true;
    d->result = *r;
}

static void deliver(struct delivery *d, uint16_t port, int64_t timeout_ms)
{
    static const struct str to[] = { STR_INIT("b@y") };
    struct loop *l = loop_new("send", NULL);
    struct dns *dns = dns_new(l);
    struct smtp_client *c = smtp_client_new(l, dns);
    snprintf(d->port, sizeof d->port, "%u", (unsigned)port);
    if (!d->job.host.n)
        d->job.host = STR("127.0.0.1");
    d->job.port = str_c(d->port);
    d->job.from = STR("a@x");
    d->job.to = to;
    d->job.to_count = 1;
    d->job.message = STR("Subject: hi\r\n\r\nbody\r\n");
    d->call = (struct smtp_call){ .job = &d->job, .timeout_ms = timeout_ms, .done = on_done, .arg = d };
    smtp_client_send(c, &d->call);
    assert_false(d->done);
    int64_t end = test_now_ms() + FIXTURE_DEADLINE_MS;
    while (!d->done) {
        assert_true(test_now_ms() < end);
        loop_turn(l, 100);
    }
    smtp_client_free(c);
    dns_free(dns);
    loop_free(l);
}

static void a_mail_is_delivered_in_clear_text(void **state)
{
    (void)state;
    struct mail_server s = { 0 };
    server_start(&s);
    struct delivery d = { .job = { .auth_username = STR("u"), .auth_password = STR("p") } };
    deliver(&d, s.port, 0);
    assert_string_equal(d.result.err.text, "");
    assert_true(d.result.delivered);
    thread_join(&s.thread);
    assert_non_null(strstr(s.got.p, "AUTH PLAIN AHUAcA==\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nSubject: hi\r\n"));
    server_stop(&s);
}

static void a_mail_is_delivered_over_tls_from_the_start_or_by_starttls(void **state)
{
    (void)state;
    struct cert ca, cert;
    struct err err;
    cert_make(&ca, "ca", NULL, NULL, NULL, 10);
    cert_make(&cert, "srv", &ca, NULL, LOOPBACK_IP, 10);
    const struct tls_server_spec spec = { .cert = cert_pem(&cert), .key = key_pem(&cert) };
    struct tls_server *tls = tls_server_load(&spec, fs_posix(), &err);
    const struct http_tls_config trusted = { .ca = cert_pem(&ca) }, wrong = { .ca = cert_pem(&cert) };
    for (int implicit = 0; implicit < 2; implicit++) {
        struct mail_server s = { .tls = tls, .implicit = implicit, .offers_starttls = !implicit };
        server_start(&s);
        struct delivery d = { .job = { .require_tls = true, .implicit_tls = implicit, .tls = &trusted } };
        deliver(&d, s.port, 0);
        assert_string_equal(d.result.err.text, "");
        assert_true(d.result.delivered);
        server_stop(&s);
        struct mail_server s2 = { .tls = tls, .implicit = implicit, .offers_starttls = !implicit };
        server_start(&s2);
        struct delivery e = { .job = { .require_tls = true, .implicit_tls = implicit, .tls = &wrong,
                                       .hello = STR("me") } };
        e.job.tls = &(struct http_tls_config){ .ca = cert_pem(&ca), .server_name = STR("else.test") };
        deliver(&e, s2.port, 0);
        char want[256];
        snprintf(want, sizeof want, "%s: tls: failed to verify certificate: x509: certificate is valid for 127.0.0.1, not else.test",
                 implicit ? "establish TLS connection to server" : "send STARTTLS command");
        assert_string_equal(e.result.err.text, want);
        assert_true(e.result.retry);
        server_stop(&s2);
    }
    tls_server_release(tls);
    cert_free(&ca);
    cert_free(&cert);
}

static void failures_before_the_dialogue_are_named(void **state)
{
    (void)state;
    uint16_t port;
    close(listen_any(&port));
    struct delivery d = { 0 };
    deliver(&d, port, 0);
    char want[128];
    snprintf(want, sizeof want, "establish connection to server: dial tcp 127.0.0.1:%u: connect: connection refused", (unsigned)port);
    assert_string_equal(d.result.err.text, want);
    assert_true(d.result.retry);
    struct delivery n = { .job.host = STR("nope.invalid") };
    deliver(&n, 25, 0);
    assert_string_equal(n.result.err.text, "establish connection to server: dial tcp: lookup nope.invalid: no such host");
    const struct http_tls_config bad = { .ca_file = STR("/nonexistent/ca.pem") };
    struct delivery t = { .job = { .implicit_tls = true, .tls = &bad } };
    deliver(&t, port, 0);
    assert_false(t.result.retry);
    assert_non_null(strstr(t.result.err.text, "open /nonexistent/ca.pem: no such file or directory"));
}

static void a_server_that_says_nothing_is_given_up_at_the_timeout(void **state)
{
    (void)state;
    uint16_t port;
    int fd = listen_any(&port);
    struct delivery d = { 0 };
    deliver(&d, port, 50);
    assert_string_equal(d.result.err.text, "create SMTP client: context deadline exceeded");
    close(fd);
}

static void the_answer_after_the_final_dot_decides(void **state)
{
    (void)state;
    struct mail_server s = { .final = "452 full\r\n" };
    server_start(&s);
    struct delivery d = { 0 };
    deliver(&d, s.port, 0);
    assert_string_equal(d.result.err.text, "delivery failure: 452 full");
    assert_false(d.result.delivered);
    server_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mail_is_delivered_in_clear_text),
        cmocka_unit_test(a_mail_is_delivered_over_tls_from_the_start_or_by_starttls),
        cmocka_unit_test(failures_before_the_dialogue_are_named),
        cmocka_unit_test(a_server_that_says_nothing_is_given_up_at_the_timeout),
        cmocka_unit_test(the_answer_after_the_final_dot_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
