#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/smtp.h"
#include "notify/receivers/email_message.h"
#include "unit/notify/receivers/drive.h"

static void addresses_are_read_as_go_reads_them(void **state)
{
    static const struct {
        const char *text;
        const char *addresses; /* joined by a blank; NULL: fails */
        const char *error;
    } rows[] = {
        { "a@b", "a@b", NULL },
        { "a@b, \"Second, Person\" <c@d.e>", "a@b c@d.e", NULL },
        { "Jo (a comment (nested)) Do <j@d>", "j@d", NULL },
        { "team: a@b, X <c@d>;, e@f", "a@b c@d e@f", NULL },
        { "\"odd local\"@x", "\"odd local\"@x", NULL },
        { "<a@[127.0.0.1]>", "a@[127.0.0.1]", NULL },
        { "", NULL, "mail: no address" },
        { "abc", NULL, "mail: missing '@' or angle-addr" },
        { "a@b c@d", NULL, "mail: expected comma" },
        { "a <b@c", NULL, "mail: unclosed angle-addr" },
        { "\"a", NULL, "mail: missing word in phrase: mail: unclosed quoted-string" },
        { "a@b (((", NULL, "mail: misformatted parenthetical comment" },
        { "a..b@c", NULL, "mail: missing '@' or angle-addr" },
        { "<a..b@c>", NULL, "mail: double dot in atom" },
        { "two words@x", NULL, "mail: no angle-addr" },
        { "a@[x]", NULL, "mail: missing '@' or angle-addr" },
        { "<a@[x]>", NULL, "mail: invalid IP address in domain-literal: \"x\"" },
        { "<\"\n\"@x>", NULL, "mail: bad character in quoted-string: '\\n'" },
    };
    struct arena a;
    (void)state;
    arena_init(&a, ARENA_NO_LIMIT);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct email_addresses out = { 0 };
        struct err err = { 0 };
        struct buf b = { 0 };
        bool ok = email_parse_addresses(&a, str_c(rows[i].text), &out, &err);
        for (size_t k = 0; k < out.n; k++)
            buf_printf(&b, "%s%.*s", k ? " " : "", STR_ARG(out.v[k]));
        if (ok != (rows[i].addresses != NULL))
            print_error("%s: %s %s\n", rows[i].text, err.text, b.p ? b.p : "");
        assert_int_equal(ok, rows[i].addresses != NULL);
        if (ok)
            assert_str(buf_view(&b), rows[i].addresses);
        else
            assert_string_equal(err.text, rows[i].error);
        buf_deinit(&b);
    }
    arena_deinit(&a);
}

static void headers_that_are_not_ascii_become_encoded_words(void **state)
{
    struct buf b = { 0 };
    (void)state;
    email_write_word(&b, STR("plain [x]"));
    assert_str(buf_view(&b), "plain [x]");
    buf_reset(&b);
    email_write_word(&b, STR("[firing] žluť=_?"));
    assert_str(buf_view(&b), "=?utf-8?q?[firing]_=C5=BElu=C5=A5=3D=5F=3F?=");
    buf_reset(&b);
    email_write_word(&b, STR("ééééééééééééééé"));
    assert_str(buf_view(&b), "=?utf-8?q?=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9?= =?utf-8?q?=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9?=");
    buf_deinit(&b);
}

static void bodies_are_quoted_printable(void **state)
{
    struct buf b = { 0 };
    (void)state;
    email_write_quoted(&b, STR("a=b é\nspace \ntab\t\r\nlone\rend "));
    assert_str(buf_view(&b), "a=3Db =C3=A9\r\nspace=20\r\ntab=09\r\nlone\r\nend=20");
    buf_reset(&b);
    email_write_quoted(&b, STR("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"));
    assert_str(buf_view(&b), "012345678901234567890123456789012345678901234567890123456789012345678901234=\r\n5678901234567890");
    buf_deinit(&b);
}

static void begin_mail(struct drive *d, struct smtp_job *job, const char *yaml)
{
    drive_begin(d, RECEIVER_EMAIL, yaml, false);
    assert_int_equal(drive_start(d), SEND_REQUEST);
    assert_non_null(d->next.smtp);
    *job = *d->next.smtp;
}

static void a_message_has_its_headers_and_parts(void **state)
{
    struct drive d;
    struct smtp_job job;
    struct err err = { 0 };
    (void)state;
    begin_mail(&d, &job, "to: 'x <to@e>'\nsmarthost: 'mail:465'\nrequire_tls: false\ntext: t\nhtml: '<b>{{ \"&\" }}</b>'\n"
                         "headers: {Subject: s}\nthreading: {enabled: true, thread_by_date: daily}\n");
    assert_true(job.implicit_tls);
    assert_false(job.require_tls);
    assert_true(job.render(job.render_arg, &job, &err));
    assert_str(job.from, "am@example.org");
    assert_int_equal(job.to_count, 1);
    assert_str(job.to[0], "to@e");
    assert_true(str_contains(job.message, STR("Subject: s\r\n")));
    assert_true(str_contains(job.message, STR("To: x <to@e>\r\n")));
    assert_true(str_contains(job.message, STR("Date: Tue, 14 Nov 2023 22:15:00 +0000\r\n")));
    assert_true(str_contains(job.message, STR("-2023-11-14@alertmanager>\r\nIn-Reply-To: <alert-")));
    assert_true(str_contains(job.message, STR("@host>\r\n")));
    assert_true(str_contains(job.message, STR("\r\n\r\n<b>&amp;</b>\r\n--")));
    assert_true(str_ends(job.message, STR("--\r\n")));
    drive_end(&d);
}

static void what_does_not_render_is_not_sent(void **state)
{
    static const struct {
        const char *yaml, *error;
    } rows[] = {
        { "to: '{{ .Nope }}'\n", "execute 'to' template: template:" },
        { "to: t@x\nfrom: '{{ .Nope }}'\n", "execute 'from' template: template:" },
        { "to: t@x\nfrom: 'a@b, c@d'\n", "must be exactly one 'from' address (got: 2)" },
        { "to: t@x\nfrom: 'a'\n", "parse 'from' addresses: mail: missing '@' or angle-addr" },
        { "to: nobody\n", "parse 'to' addresses: mail: missing '@' or angle-addr" },
        { "to: t@x\nheaders: {Subject: '{{ .Nope }}'}\n", "execute \"Subject\" header template: template:" },
        { "to: t@x\ntext: '{{ .Nope }}'\n", "execute text template: template:" },
        { "to: t@x\nhtml: '<p title=\"'\n", "execute html template: html/template:" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct drive d;
        struct smtp_job job;
        struct err err = { 0 };
        begin_mail(&d, &job, rows[i].yaml);
        assert_false(job.render(job.render_arg, &job, &err));
        if (!str_starts(err_text(&err), str_c(rows[i].error)))
            print_error("%s\n", err.text);
        assert_true(str_starts(err_text(&err), str_c(rows[i].error)));
        drive_end(&d);
    }
}

static void secrets_come_from_files_and_say_when_they_do_not(void **state)
{
    struct drive d;
    struct smtp_job job;
    (void)state;
    begin_mail(&d, &job, "to: t@x\nauth_username: u\nauth_password_file: /secret\nauth_secret_file: /secret\n");
    assert_str(job.auth_password, "from file");
    assert_str(job.auth_secret, " from file \n");
    drive_end(&d);
    begin_mail(&d, &job, "to: t@x\nauth_username: u\nauth_password_file: /none\n");
    assert_str(job.auth_password_error, "could not read /none: open /none: no such file or directory");
    drive_end(&d);
}

static void the_dialogue_decides_about_another_attempt(void **state)
{
    struct drive d;
    struct smtp_job job;
    (void)state;
    begin_mail(&d, &job, "to: t@x\n");
    for (int retry = 0; retry < 2; retry++) {
        struct send_response res = { .smtp_retry = retry };
        err_set(&res.err, ERR_IO, "send DATA command: 500 no");
        assert_int_equal(d.at.row->step(&d.at, &res, &d.next, &d.why), retry ? SEND_RETRY : SEND_FAIL);
        assert_string_equal(d.why.err.text, "send DATA command: 500 no");
    }
    struct send_response done = { .arrived = true };
    assert_int_equal(d.at.row->step(&d.at, &done, &d.next, &d.why), SEND_DONE);
    drive_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_as_go_reads_them),
        cmocka_unit_test(headers_that_are_not_ascii_become_encoded_words),
        cmocka_unit_test(bodies_are_quoted_printable),
        cmocka_unit_test(a_message_has_its_headers_and_parts),
        cmocka_unit_test(what_does_not_render_is_not_sent),
        cmocka_unit_test(secrets_come_from_files_and_say_when_they_do_not),
        cmocka_unit_test(the_dialogue_decides_about_another_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
