#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/smtp.h"

/* A script: what the server says, and what must have been said to it by then. The client's lines stand with "> ". */
static const struct str recipients[] = { STR_INIT("b@y"), STR_INIT("c@z") };

static struct smtp_job job(void)
{
    return (struct smtp_job){ .host = STR("mail.test"), .port = STR("25"), .hello = STR("me"), .from = STR("a@x"),
                              .to = recipients, .to_count = 2, .message = STR("Subject: hi\r\n\r\nbody\r\n") };
}

/* Plays `script` (server's lines and "> " client's lines, "TLS" for the handshake, "EOF"); the result is in d. */
static void play(struct smtp_dialogue *d, const struct smtp_job *j, bool tls, const char *script)
{
    struct str rest = str_c(script), line;
    smtp_dialogue_init(d, j);
    smtp_dialogue_start(d, tls);
    while (str_split(&rest, '\n', &line)) {
        if (str_starts(line, STR("> "))) {
            struct buf want = { 0 };
            buf_str(&want, str_from(line, 2));
            buf_c(&want, "\r\n");
            struct str got = str_sub(buf_view(&d->out), 0, want.n);
            if (!str_eq(got, buf_view(&want)))
                fail_msg("client said \"%.*s\", not \"%.*s\"", STR_ARG(buf_view(&d->out)), STR_ARG(line));
            buf_erase_front(&d->out, want.n);
            buf_deinit(&want);
            continue;
        }
        if (d->out.n)
            fail_msg("client said \"%.*s\" before \"%.*s\"", STR_ARG(buf_view(&d->out)), STR_ARG(line));
        if (str_eq(line, STR("TLS"))) {
            assert_int_equal(d->want, SMTP_WANT_TLS);
            smtp_dialogue_tls_done(d);
        } else if (str_eq(line, STR("EOF"))) {
            struct err none = { 0 };
            smtp_dialogue_broken(d, &none);
        } else if (line.n) {
            assert_int_equal(d->want, SMTP_WANT_READ);
            for (size_t i = 0; i < line.n; i++)
                smtp_dialogue_feed(d, str_sub(line, i, 1)); /* byte by byte */
            smtp_dialogue_feed(d, STR("\r\n"));
        }
    }
    assert_int_equal(d->want, SMTP_WANT_CLOSE);
}

#define MAIL "> MAIL FROM:<a@x>\n250 ok\n> RCPT TO:<b@y>\n250 ok\n> RCPT TO:<c@z>\n251 forwarded\n> DATA\n354 go\n"
#define BODY "> Subject: hi\n> \n> body\n> .\n"

static void a_plain_delivery(void **state)
{
    (void)state;
    struct smtp_dialogue d;
    struct smtp_job j = job();
    play(&d, &j, false, "220 hello\n> EHLO me\n250 mail.test\n" MAIL BODY "250 queued\n> QUIT\n221 bye");
    assert_true(d.result.delivered);
    smtp_dialogue_deinit(&d);
    play(&d, &j, false, "220 hello\n> EHLO me\n250 mail.test\n" MAIL BODY "250 queued\n> QUIT\nEOF");
    assert_true(d.result.delivered);
    smtp_dialogue_deinit(&d);
    j.hello = STR_EMPTY;
    play(&d, &j, false,
         "220-hello\n220 there\n> EHLO localhost\n250-mail.test\n250-SMTPUTF8\n250 8BITMIME\n"
         "> MAIL FROM:<a@x> BODY=8BITMIME SMTPUTF8\n550 no\n> QUIT\n221 bye");
    assert_string_equal(d.result.err.text, "send MAIL command: 550 no");
    assert_true(d.result.retry);
    smtp_dialogue_deinit(&d);
}

static void an_old_server_is_greeted_with_helo_and_has_no_extensions(void **state)
{
    (void)state;
    struct smtp_dialogue d;
    struct smtp_job j = job();
    j.auth_username = STR("u");
    play(&d, &j, false, "220 hi\n> EHLO me\n502 what\n> HELO me\n250 ok\n" MAIL BODY "250 ok\n> QUIT\n221 bye");
    assert_true(d.result.delivered);
    smtp_dialogue_deinit(&d);
    play(&d, &j, false, "220 hi\n> EHLO me\n502 what\n> HELO me\n550 go away\n> QUIT\n221 bye");
    assert_string_equal(d.result.err.text, "send EHLO command: 550 go away");
    smtp_dialogue_deinit(&d);
}

static void starttls_is_required_or_left_alone(void **state)
{
    (void)state;
    struct smtp_dialogue d;
    struct smtp_job j = job();
    j.require_tls = true;
    play(&d, &j, false,
         "220 hi\n> EHLO me\n250-m\n250-AUTH PLAIN\n250 STARTTLS\n> STARTTLS\n220 go\nTLS\n> EHLO me\n250 m\n" MAIL BODY
         "250 ok\n> QUIT\n221 bye");
    assert_true(d.result.delivered);
    smtp_dialogue_deinit(&d);
    play(&d, &j, false, "220 hi\n> EHLO me\n250 m\n> QUIT\n221 bye");
    assert_string_equal(d.result.err.text,
                        "'require_tls' is true (default) but \"mail.test:25\" does not advertise the STARTTLS extension");
    assert_true(d.result.retry);
    smtp_dialogue_deinit(&d);
    play(&d, &j, false, "220 hi\n> EHLO me\n250-m\n250 STARTTLS\n> STARTTLS\n454 later\n> QUIT\n221 bye");
    assert_string_equal(d.result.err.text, "send STARTTLS command: 454 later");
    smtp_dialogue_deinit(&d);
    j.implicit_tls = true;
    play(&d, &j, true, "220 hi\n> EHLO me\n250 m\n" MAIL BODY "250 ok\n> QUIT\n221 bye");
    assert_true(d.result.delivered);
    smtp_dialogue_deinit(&d);
    j.require_tls = j.implicit_tls = false;
    play(&d, &j, false, "220 hi\n> EHLO me\n250-m\n250 STARTTLS\n" MAIL BODY "250 ok\n> QUIT\n221 bye");
    assert_true(d.result.delivered);
    smtp_dialogue_deinit(&d);
}

static void what_comes_in_clear_text_after_the_go_is_thrown_away(void **state)
{
    (void)state;
    struct smtp_dialogue d;
    struct smtp_job j = job();
    j.require_tls = true;
    smtp_dialogue_init(&d, &j);
    smtp_dialogue_start(&d, false);
    smtp_dialogue_feed(&d, STR("220 hi\r\n250-m\r\n250 STARTTLS\r\n220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n25"));
    assert_int_equal(d.want, SMTP_WANT_TLS);
    buf_reset(&d.out);
    smtp_dialogue_tls_done(&d);
    smtp_dialogue_feed(&d, STR("250 m\r\n"));
    assert_int_equal(d.state, SMTP_MAIL);
    assert_false(d.offers_auth);
    smtp_dialogue_deinit(&d);
}

static void mechanisms_are_tried_in_the_servers_order(void **state)
{
    (void)state;
    static const struct {
        const char *mechanisms, *script;
        struct str password, secret, password_error;
        bool tls;
        const char *want; /* NULL: delivered */
    } cases[] = {
        { "PLAIN LOGIN CRAM-MD5", "> AUTH PLAIN aWQAdQBw\n235 ok\n", STR_INIT("p"), STR_INIT("s"), STR_INIT(""), true, NULL },
        { "LOGIN PLAIN", "> AUTH LOGIN\n334 VXNlcm5hbWU6\n> dQ==\n334 UGFzc3dvcmQ6\n> cA==\n235 ok\n", STR_INIT("p"), STR_INIT(""),
          STR_INIT(""), false, NULL },
        { "CRAM-MD5 PLAIN",
          "> AUTH CRAM-MD5\n334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\n"
          "> dSA1YTNhMTEwYTczNTg1MWYyOGRjMTc5MGJhZTg2NTBlOQ==\n235 ok\n",
          STR_INIT("p"), STR_INIT("s"), STR_INIT(""), false, NULL },
        { "CRAM-MD5 LOGIN", "> AUTH LOGIN\n334 dXNlcm5hbWU6\n> dQ==\n334 cGFzc3dvcmQ6\n> cA==\n235 ok\n", STR_INIT("p"), STR_INIT(""),
          STR_INIT(""), false, NULL },
        { "CRAM-MD5 PLAIN LOGIN X plain", "> QUIT\n221 bye", STR_INIT(""), STR_INIT(""), STR_INIT(""), true,
          "find auth mechanism: missing secret for CRAM-MD5 auth mechanism\nmissing password for PLAIN auth mechanism\n"
          "missing password for LOGIN auth mechanism\nunknown auth mechanism: X\nunknown auth mechanism: plain" },
        { "PLAIN", "> QUIT\n221 bye", STR_INIT(""), STR_INIT(""), STR_INIT("could not read f: open f: no such file or directory"), true,
          "find auth mechanism: could not read f: open f: no such file or directory" },
        { "PLAIN", "> QUIT\n221 bye", STR_INIT("p"), STR_INIT(""), STR_INIT(""), false,
          "*smtp.plainAuth auth: unencrypted connection" },
        { "LOGIN", "> AUTH LOGIN\n535 5.7.8 bad\n> *\n501 ok\n> QUIT\n221 bye", STR_INIT("p"), STR_INIT(""), STR_INIT(""), true,
          "*email.loginAuth auth: 535 5.7.8 bad" },
        { "LOGIN", "> AUTH LOGIN\n334 Zm9v\n> *\n501 ok\n> QUIT\n221 bye", STR_INIT("p"), STR_INIT(""), STR_INIT(""), true,
          "*email.loginAuth auth: unexpected server challenge" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct smtp_dialogue d;
        struct smtp_job j = job();
        struct buf script = { 0 };
        j.auth_username = STR("u");
        j.auth_identity = STR("id");
        j.auth_password = cases[i].password;
        j.auth_secret = cases[i].secret;
        j.auth_password_error = cases[i].password_error;
        buf_printf(&script, "220 hi\n> EHLO me\n250-m\n250 AUTH %s\n%s", cases[i].mechanisms, cases[i].script);
        if (!cases[i].want)
            buf_c(&script, MAIL BODY "250 ok\n> QUIT\n221 bye");
        play(&d, &j, cases[i].tls, script.p);
        if (cases[i].want)
            assert_string_equal(d.result.err.text, cases[i].want);
        else
            assert_true(d.result.delivered);
        buf_deinit(&script);
        smtp_dialogue_deinit(&d);
    }
}

static void plain_is_sent_in_clear_text_to_this_machine_only(void **state)
{
    (void)state;
    static const char *const local[] = { "localhost", "127.0.0.1", "::1" };
    for (size_t i = 0; i < ARRAY_LEN(local); i++) {
        struct smtp_dialogue d;
        struct smtp_job j = job();
        j.host = str_c(local[i]);
        j.auth_username = j.auth_password = STR("u");
        play(&d, &j, false,
             "220 hi\n> EHLO me\n250-m\n250 AUTH PLAIN\n> AUTH PLAIN AHUAdQ==\n235 ok\n" MAIL BODY "250 ok\n> QUIT\n221 bye");
        assert_true(d.result.delivered);
        smtp_dialogue_deinit(&d);
    }
}

static void failures_name_their_step(void **state)
{
    (void)state;
    static const struct {
        const char *script, *want;
    } cases[] = {
        { "554 no\n> QUIT\n221 bye", "create SMTP client: 554 no" },
        { "EOF", "create SMTP client: EOF" },
        { "220 hi\n> EHLO me\nEOF", "send EHLO command: EOF" },
        { "220 hi\n> EHLO me\n250 m\n> MAIL FROM:<a@x>\n250 ok\n> RCPT TO:<b@y>\n550 who?\n> QUIT\n221 bye",
          "send RCPT command: 550 who?" },
        { "220 hi\n> EHLO me\n250 m\n> MAIL FROM:<a@x>\n250 ok\n> RCPT TO:<b@y>\n250 ok\n> RCPT TO:<c@z>\n250 ok\n> DATA\n"
          "550-not\n550 today\n> QUIT\n221 bye",
          "send DATA command: 550 not\ntoday" },
        { "220 hi\n> EHLO me\n250 m\n" MAIL BODY "552 too big\n> QUIT\n221 bye", "delivery failure: 552 too big" },
        { "220 hi\n> EHLO me\n250 m\n" MAIL BODY "EOF", "delivery failure: EOF" },
        { "22", "create SMTP client: short response: \"22\"" },
        { "hello world", "create SMTP client: invalid response: \"hello world\"" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct smtp_dialogue d;
        struct smtp_job j = job();
        play(&d, &j, false, cases[i].script);
        assert_false(d.result.delivered);
        assert_true(d.result.retry);
        assert_string_equal(d.result.err.text, cases[i].want);
        smtp_dialogue_deinit(&d);
    }
}

static bool render(void *arg, struct smtp_job *j, struct err *err)
{
    if (!arg)
        return err_set(err, ERR_INVALID, "execute 'from' template: oops");
    j->from = STR("late@x");
    j->to_count = 1;
    j->message = STR(".dot\n..two\nlast");
    return true;
}

static void rendering_comes_after_authentication_and_dots_are_stuffed(void **state)
{
    (void)state;
    struct smtp_dialogue d;
    struct smtp_job j = job();
    j.render = render;
    j.render_arg = &j;
    play(&d, &j, false,
         "220 hi\n> EHLO me\n250 m\n> MAIL FROM:<late@x>\n250 ok\n> RCPT TO:<b@y>\n250 ok\n> DATA\n354 go\n"
         "> ..dot\n> ...two\n> last\n> .\n250 ok\n> QUIT\n221 bye");
    assert_true(d.result.delivered);
    smtp_dialogue_deinit(&d);
    j.render_arg = NULL;
    play(&d, &j, false, "220 hi\n> EHLO me\n250 m\n> QUIT\n221 bye");
    assert_string_equal(d.result.err.text, "execute 'from' template: oops");
    assert_false(d.result.retry);
    smtp_dialogue_deinit(&d);
}

static void an_address_cannot_break_out_of_its_line(void **state)
{
    (void)state;
    struct smtp_dialogue d;
    struct smtp_job j = job();
    j.from = STR("a@x>\r\nRCPT TO:<evil@x");
    play(&d, &j, false, "220 hi\n> EHLO me\n250 m\n> QUIT\n221 bye");
    assert_string_equal(d.result.err.text, "send MAIL command: smtp: A line must not contain CR or LF");
    smtp_dialogue_deinit(&d);
}

static void endless_answers_end_the_dialogue(void **state)
{
    (void)state;
    struct smtp_dialogue d;
    struct smtp_job j = job();
    struct buf b = { 0 };
    smtp_dialogue_init(&d, &j);
    smtp_dialogue_start(&d, false);
    buf_fill(&b, 'x', SMTP_LINE_BYTES_MAX + 10);
    buf_byte(&b, '\n');
    smtp_dialogue_feed(&d, buf_view(&b));
    assert_int_equal(d.want, SMTP_WANT_CLOSE);
    smtp_dialogue_deinit(&d);
    smtp_dialogue_init(&d, &j);
    smtp_dialogue_start(&d, false);
    for (int i = 0; i <= SMTP_REPLY_LINES_MAX; i++)
        smtp_dialogue_feed(&d, STR("220-again\r\n"));
    assert_int_equal(d.want, SMTP_WANT_CLOSE);
    smtp_dialogue_deinit(&d);
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_delivery),
        cmocka_unit_test(an_old_server_is_greeted_with_helo_and_has_no_extensions),
        cmocka_unit_test(starttls_is_required_or_left_alone),
        cmocka_unit_test(what_comes_in_clear_text_after_the_go_is_thrown_away),
        cmocka_unit_test(mechanisms_are_tried_in_the_servers_order),
        cmocka_unit_test(plain_is_sent_in_clear_text_to_this_machine_only),
        cmocka_unit_test(failures_name_their_step),
        cmocka_unit_test(rendering_comes_after_authentication_and_dots_are_stuffed),
        cmocka_unit_test(an_address_cannot_break_out_of_its_line),
        cmocka_unit_test(endless_answers_end_the_dialogue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
