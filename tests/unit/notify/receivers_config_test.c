#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "notify/receivers_config.h"
#include "yaml/doc.h"

#include <string.h>

/* One integration of a kind from its mapping, before anything is inherited. */
static void refuses(enum receiver_kind kind, const char *text, const char *want)
{
    const struct bind_type *type = receiver_config_rows[kind].bind;
    struct arena arena;
    struct yaml_doc doc;
    struct err err = { 0 };
    arena_init(&arena, 1 << 20);
    void *config = arena_alloc(&arena, type->size);
    struct binding b = { .arena = &arena };
    assert_true(yaml_parse(&doc, str_c(text), &err));
    if (bind_document(&b, type, doc.root, config, &err))
        fail_msg("%s takes `%s`", receiver_config_rows[kind].name, text);
    assert_string_equal(err.text, want);
    yaml_doc_deinit(&doc);
    arena_deinit(&arena);
}

static void kinds_check_what_they_can(void **state)
{
    (void)state;
    refuses(RECEIVER_WEBHOOK, "{url: 'http://a', url_file: b}", "at most one of url & url_file must be configured");
    refuses(RECEIVER_WEBHOOK, "{url: 'http:///x'}", "invalid URL: missing host for URL");
    refuses(RECEIVER_EMAIL, "{}", "missing to address in email config");
    refuses(RECEIVER_EMAIL, "{to: x, threading: {enabled: true}, headers: {in-reply-to: x}}",
            "conflicting configuration: threading.enabled conflicts with custom In-Reply-To header");
    refuses(RECEIVER_PAGERDUTY, "{}", "missing service or routing key in PagerDuty config");
    refuses(RECEIVER_SLACK, "{api_url: 'http://a', update_message: true}",
            "update_message can only be used with bot tokens. api_url must be set to "
            "https://slack.com/api/chat.postMessage");
    refuses(RECEIVER_SLACK, "{actions: [{type: a, text: b}]}", "missing name or url in Slack action configuration");
    refuses(RECEIVER_PUSHOVER, "{user_key: a, token: b, html: true, monospace: true}",
            "at most one of monospace & html must be configured");
    refuses(RECEIVER_PUSHOVER, "{user_key: a, token: b, ttl: 5}", "time: missing unit in duration \"5\"");
    refuses(RECEIVER_SNS, "{topic_arn: a, sigv4: {access_key: b}}",
            "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config");
    refuses(RECEIVER_TELEGRAM, "{chat_id: 1, chat_id_file: f}", "at most one of chat_id & chat_id_file must be configured");
    refuses(RECEIVER_DISCORD, "{webhook_url: 'http://a', webhook_url_file: b}",
            "at most one of webhook_url & webhook_url_file must be configured");
    refuses(RECEIVER_WEBEX, "{}", "missing room_id on webex_config");
    refuses(RECEIVER_VICTOROPS, "{}", "missing Routing key in VictorOps config");
    refuses(RECEIVER_OPSGENIE, "{responders: [{name: a, type: TeamX}]}",
            "opsGenieConfig responder { a  TeamX} type does not match valid options "
            "^(team|teams|user|escalation|schedule)$");
    refuses(RECEIVER_INCIDENTIO, "{url: 'http://a', alert_source_token: a, alert_source_token_file: b}",
            "at most one of alert_source_token & alert_source_token_file must be configured");
}

static void host_and_port_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *port, *err;
    } cases[] = {
        { "h:25", "h", "25", NULL },
        { ":25", "", "25", NULL },
        { "[::1]:25", "::1", "25", NULL },
        { "h", NULL, NULL, "address h: missing port in address" },
        { "h:", NULL, NULL, "address \"h:\": port cannot be empty" },
        { "::1:25", NULL, NULL, "address ::1:25: too many colons in address" },
        { "[::1]", NULL, NULL, "address [::1]: missing port in address" },
        { "[::1:25", NULL, NULL, "address [::1:25: missing ']' in address" },
        { "h]:25", NULL, NULL, "address h]:25: unexpected ']' in address" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct smtp_smarthost h = { 0 };
        struct err err = { 0 };
        bool ok = smtp_smarthost_scalar.parse(NULL, str_c(cases[i].text), &h, &err);
        assert_int_equal(ok, cases[i].err == NULL);
        if (!ok) {
            assert_string_equal(err.text, cases[i].err);
            continue;
        }
        assert_true(str_eq(h.host, str_c(cases[i].host)) && str_eq(h.port, str_c(cases[i].port)));
    }
}

static void the_table_is_complete(void **state)
{
    (void)state;
    bool checked[RECEIVER_KINDS] = { 0 };
    for (size_t i = 0; i < RECEIVER_KINDS; i++) {
        const struct receiver_config_row *row = &receiver_config_rows[i];
        assert_int_equal(row->kind, i);
        assert_true(strncmp(row->yaml_key, row->name, strlen(row->name)) == 0);
        assert_string_equal(row->bind->title, row->yaml_key);
        assert_non_null(row->finish);
        assert_false(checked[receiver_check_order[i]]);
        checked[receiver_check_order[i]] = true;
    }
}

static void slashes_end_paths(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 16);
    assert_true(str_eq(receiver_url_with_slash(&a, STR("http://h")), STR("http://h/")));
    assert_true(str_eq(receiver_url_with_slash(&a, STR("http://h/a?q=1")), STR("http://h/a/?q=1")));
    assert_true(str_eq(receiver_url_with_slash(&a, STR("http://h/a%2Fb")), STR("http://h/a%2Fb/")));
    assert_true(str_eq(receiver_url_with_slash(&a, STR("http://h/")), STR("http://h/")));
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_check_what_they_can),
        cmocka_unit_test(host_and_port_are_told_apart),
        cmocka_unit_test(the_table_is_complete),
        cmocka_unit_test(slashes_end_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
