#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/notify/receivers/drive.h"

static void statuses_decide_about_another_attempt(void **state)
{
    static const struct {
        int status;
        enum send_verdict verdict;
        enum send_reason reason;
    } rows[] = {
        { 200, SEND_DONE, SEND_REASON_OTHER },       { 204, SEND_DONE, SEND_REASON_OTHER },
        { 500, SEND_RETRY, SEND_REASON_SERVER },     { 503, SEND_RETRY, SEND_REASON_SERVER },
        { 400, SEND_FAIL, SEND_REASON_CLIENT },      { 401, SEND_FAIL, SEND_REASON_AUTH },
        { 403, SEND_FAIL, SEND_REASON_AUTH },        { 429, SEND_FAIL, SEND_REASON_RATE_LIMITED },
        { 302, SEND_FAIL, SEND_REASON_OTHER },
    };
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x/y\n", false);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(drive_start(&d), SEND_REQUEST);
        assert_int_equal(drive_answer(&d, rows[i].status, "why"), rows[i].verdict);
        if (rows[i].verdict != SEND_DONE)
            assert_int_equal(d.why.reason, rows[i].reason);
    }
    assert_string_equal(d.why.err.text, "unexpected status code 302: why");
    drive_end(&d);
}

static void transport_errors_are_retried_and_name_their_timeout(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x/y\ntimeout: 5s\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(d.next.timeout_ms, 5000);
    assert_true(d.next.secret_url);
    assert_int_equal(drive_broken(&d, false), SEND_RETRY);
    assert_string_equal(d.why.err.text, "Post \"<redacted>\": dial tcp: refused");
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_broken(&d, true), SEND_RETRY);
    assert_string_equal(d.why.err.text, "Post \"<redacted>\": dial tcp: refused: configured webhook timeout reached (5s)");
    drive_end(&d);
}

static void url_is_a_template_or_a_file(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: 'http://x/{{ .GroupLabels.alertname }}'\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "http://x/Down");
    drive_end(&d);
    drive_begin(&d, RECEIVER_WEBHOOK, "url_file: /secret\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "from file");
    drive_end(&d);
    drive_begin(&d, RECEIVER_WEBHOOK, "url_file: /none\n", false);
    assert_int_equal(drive_start(&d), SEND_FAIL);
    assert_string_equal(d.why.err.text, "read url_file: open /none: no such file or directory");
    drive_end(&d);
    drive_begin(&d, RECEIVER_WEBHOOK, "url: '{{ .CommonLabels.nope }}'\n", false);
    assert_int_equal(drive_start(&d), SEND_FAIL);
    assert_string_equal(d.why.err.text, "webhook URL is empty after templating");
    drive_end(&d);
    drive_begin(&d, RECEIVER_WEBHOOK, "url: '{{ .Nope }}'\n", false);
    assert_int_equal(drive_start(&d), SEND_FAIL);
    assert_non_null(strstr(d.why.err.text, "failed to template webhook URL: template: :1:3: executing"));
    drive_end(&d);
}

static void max_alerts_cuts_and_counts(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\nmax_alerts: 1\n", true);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_true(body_has(&d, "\"truncatedAlerts\":1}\n"));
    assert_true(body_has(&d, "\"status\":\"resolved\""));
    assert_true(body_has(&d, "\"commonLabels\":{\"alertname\":\"Down\",\"instance\":\"a\",\"severity\":\"critical\"}"));
    assert_true(body_has(&d, "\"notification_reason\":\"first notification\""));
    drive_end(&d);
}

static void payload_strings_are_decoded_after_rendering(void **state)
{
    static const struct {
        const char *value, *json;
    } rows[] = {
        { "'{{ len .Alerts }}'", "2" },
        { "'{{ \"\" }}'", "null" },
        { "'~'", "null" },
        { "'# only a comment'", "null" },
        { "'yes'", "true" },
        { "'Off'", "false" },
        { "'0x1f'", "31" },
        { "'1_000'", "1000" },
        { "'1e3'", "1000" },
        { "'2024-01-02'", "\"2024-01-02\"" },
        { "'a: b'", "{\"a\":\"b\"}" },
        { "'a: b:'", "\"a: b:\"" },
        { "'[FIRING:1] X'", "[\"FIRING:1\"]" },
        { "'[FIRING:1] X: y'", "\"[FIRING:1] X: y\"" },
        { "'@x'", "\"@x\"" },
        { "'*x'", "\"*x\"" },
        { "'%x'", "\"%x\"" },
        { "'\"quoted\" '", "\"\\\"quoted\\\" \"" },
        { "\"text\\n\"", "\"text\\n\"" },
        { "\"L:\\n - a = b\\nL:\\n - c\\n\"", "{\"L\":[\"c\"]}" },
        { "[1, true, 1.5, ~, '{{ .Status }}']", "[1,true,1.5,null,\"firing\"]" },
        { "{b: 1, 'k-{{ .Status }}': x, a: 2, 5: gone}", "{\"a\":2,\"b\":1,\"k-firing\":\"x\"}" },
        { "'{1: a, b: c}'", "{\"b\":\"c\"}" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char yaml[256];
        struct drive d;
        snprintf(yaml, sizeof yaml, "url: http://x\npayload: %s\n", rows[i].value);
        drive_begin(&d, RECEIVER_WEBHOOK, yaml, false);
        assert_int_equal(drive_start(&d), SEND_REQUEST);
        struct str body = str_trim(d.next.body);
        if (!str_eq(body, str_c(rows[i].json)))
            print_error("%s gives %.*s\n", rows[i].value, STR_ARG(body));
        assert_true(str_eq(body, str_c(rows[i].json)));
        drive_end(&d);
    }
}

static void payloads_that_json_cannot_hold_fail_for_good(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\npayload: {a: '.inf'}\n", false);
    assert_int_equal(drive_start(&d), SEND_FAIL);
    assert_string_equal(d.why.err.text, "failed to render custom payload: json: unsupported value: +Inf");
    drive_end(&d);
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\npayload: {a: '{{ .Nope }}'}\n", false);
    assert_int_equal(drive_start(&d), SEND_FAIL);
    assert_non_null(strstr(d.why.err.text, "failed to render custom payload: template: :1:3"));
    drive_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_decide_about_another_attempt),
        cmocka_unit_test(transport_errors_are_retried_and_name_their_timeout),
        cmocka_unit_test(url_is_a_template_or_a_file),
        cmocka_unit_test(max_alerts_cuts_and_counts),
        cmocka_unit_test(payload_strings_are_decoded_after_rendering),
        cmocka_unit_test(payloads_that_json_cannot_hold_fail_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
