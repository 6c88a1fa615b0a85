#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/notify/receivers/drive.h"

/* ---- pagerduty ---- */

static void pagerduty_v2_has_structured_details(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_PAGERDUTY,
                "routing_key: '{{ .Receiver }}K'\nurl: http://pd/v2\nseverity: ''\nclass: c\n"
                "details: {num_firing: '{{ len .Alerts }}', nested: {a: ['{{ .Status }}']}}\n"
                "images: [{src: s, alt: a}, {alt: none}]\nlinks: [{href: h, text: t}, {text: none}]\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "http://pd/v2");
    assert_true(body_has(&d, "{\"routing_key\":\"teamK\",\"dedup_key\":\""));
    assert_true(body_has(&d, "\"event_action\":\"trigger\",\"payload\":{\"summary\":\"[FIRING:2] Down (critical)\","
                             "\"source\":\"Alertmanager\",\"severity\":\"error\",\"class\":\"c\",\"custom_details\":{\"firing\":[{"));
    assert_true(body_has(&d, "\"nested\":{\"a\":[\"firing\"]},\"num_firing\":2,\"num_resolved\":0,\"resolved\":[]}}"));
    assert_true(body_has(&d, "\"images\":[{\"src\":\"s\",\"alt\":\"a\",\"href\":\"\"}],\"links\":[{\"href\":\"h\",\"text\":\"t\"}]}"));
    assert_int_equal(drive_answer(&d, 429, ""), SEND_RETRY);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 400, "{\"message\":\"m\",\"errors\":[\"a\",\"b\"]}"), SEND_FAIL);
    assert_string_equal(d.why.err.text, "unexpected status code 400: m: a,b");
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 404, "{\"message\":\"m\"}"), SEND_FAIL);
    assert_string_equal(d.why.err.text, "unexpected status code 404");
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_broken(&d, false), SEND_RETRY);
    assert_non_null(strstr(d.why.err.text, "failed to post message to PagerDuty: Post"));
    drive_end(&d);
}

static void answers_that_are_no_json_explain_nothing(void **state)
{
    static const char *const bodies[] = { "", "[]", "{\"errors\":true}", "{\"errors\":[tru", "{\"errors\":[\"a\",1]}",
                                          "{\"message\":\"m\"} x" };
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_PAGERDUTY, "routing_key: k\n", false);
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        assert_int_equal(drive_start(&d), SEND_REQUEST);
        assert_int_equal(drive_answer(&d, 400, bodies[i]), SEND_FAIL);
        assert_string_equal(d.why.err.text, "unexpected status code 400");
    }
    drive_end(&d);
}

static void pagerduty_v1_with_a_service_key(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_PAGERDUTY, "service_key: SK\ndescription: d\n", true);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "https://events.pagerduty.com/generic/2010-04-15/create_event.json");
    assert_true(body_has(&d, "\"event_type\":\"resolve\",\"description\":\"d\",\"event_action\":\"\",\"payload\":null,\"details\":{"));
    assert_int_equal(drive_answer(&d, 403, ""), SEND_RETRY);
    assert_int_equal(d.why.reason, SEND_REASON_OTHER);
    drive_end(&d);
}

static void pagerduty_drops_details_that_are_too_large(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_PAGERDUTY, "routing_key: K\ndetails: {big: '{{ range 600000 }}x{{ end }}'}\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_in_range(d.next.body.n, 1, 512000);
    assert_true(body_has(&d, "\"custom_details\":{\"error\":\"Custom details have been removed because"));
    drive_end(&d);
}

static void pagerduty_keys_must_not_be_empty(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_PAGERDUTY, "routing_key: '{{ .CommonLabels.nope }}'\n", false);
    assert_int_equal(drive_start(&d), SEND_FAIL);
    assert_string_equal(d.why.err.text, "routing key cannot be empty");
    drive_end(&d);
    drive_begin(&d, RECEIVER_PAGERDUTY, "routing_key_file: /none\n", false);
    assert_int_equal(drive_start(&d), SEND_FAIL);
    assert_string_equal(d.why.err.text, "failed to read routing key from file: open /none: no such file or directory");
    drive_end(&d);
    drive_begin(&d, RECEIVER_PAGERDUTY, "routing_key: K\ndescription: '{{ .Nope }}'\n", false);
    assert_int_equal(drive_start(&d), SEND_FAIL);
    assert_non_null(strstr(d.why.err.text, "failed to template PagerDuty v2 message: template:"));
    drive_end(&d);
}

/* ---- opsgenie ---- */

static void opsgenie_creates_then_updates_and_stops_at_a_failure(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_OPSGENIE,
                "api_key: K\napi_url: http://og\nmessage: '{{ range 200 }}m{{ end }}'\ndescription: d\nsource: s\n"
                "update_alerts: true\ndetails: {b: '{{ .Status }}', instance: own}\n"
                "responders: [{name: 'a, b', type: teams}, {id: '', type: team, name: '{{ .CommonLabels.nope }}'}, {username: u, type: user}]\n"
                "tags: ' t1, t2,,'\nactions: ' '\npriority: P1\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "http://og/v2/alerts");
    assert_str(header_of(&d, "Authorization"), "GenieKey K");
    assert_true(body_has(&d, "m…\",\"description\":\"d\",\"details\":{\"alertname\":\"Down\",\"b\":\"firing\",\"instance\":\"own\",\"severity\":\"critical\"},"
                             "\"source\":\"s\",\"responders\":[{\"name\":\"a\",\"type\":\"team\"},{\"name\":\" b\",\"type\":\"team\"},"
                             "{\"username\":\"u\",\"type\":\"user\"}],\"tags\":[\"t1\",\" t2\"],\"priority\":\"P1\"}\n"));
    assert_int_equal(drive_answer(&d, 202, ""), SEND_REQUEST);
    assert_str(d.next.method, "PUT");
    assert_true(str_ends(d.next.url, STR("/message?identifierType=alias")));
    assert_int_equal(drive_answer(&d, 202, ""), SEND_REQUEST);
    assert_str(d.next.body, "{\"description\":\"d\"}\n");
    assert_int_equal(drive_answer(&d, 202, ""), SEND_DONE);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 422, "bad"), SEND_FAIL);
    assert_string_equal(d.why.err.text, "unexpected status code 422: bad");
    drive_end(&d);
}

static void opsgenie_closes_and_trims_its_key_file(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_OPSGENIE, "api_key_file: /secret\napi_url: http://og/\nsource: s\n", true);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_true(str_ends(d.next.url, STR("/close?identifierType=alias")));
    assert_str(d.next.body, "{\"source\":\"s\"}\n");
    assert_str(header_of(&d, "Authorization"), "GenieKey from file");
    assert_int_equal(drive_answer(&d, 202, ""), SEND_DONE);
    drive_end(&d);
}

/* ---- victorops, pushover, incident.io ---- */

static void victorops_types_and_template_errors(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_VICTOROPS, "api_key: K\napi_url: http://vo/x\nrouting_key: 'r k/s'\nmessage_type: odd\nstate_message: m\n"
                                        "custom_fields: {cf: '{{ .Status }}'}\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "http://vo/x/K/r%20k/s");
    assert_true(body_has(&d, "{\"cf\":\"firing\",\"entity_display_name\":\"[FIRING:2] Down (critical)\",\"entity_id\":\""));
    assert_true(body_has(&d, "\"message_type\":\"CRITICAL\",\"monitoring_tool\":\"Alertmanager\",\"state_message\":\"m\"}\n"));
    drive_end(&d);
    drive_begin(&d, RECEIVER_VICTOROPS, "api_key: K\nrouting_key: r\nstate_message: '{{ .Nope }}'\n", true);
    assert_int_equal(drive_start(&d), SEND_RETRY);
    drive_end(&d);
    drive_begin(&d, RECEIVER_VICTOROPS, "api_key: K\nrouting_key: '{{ .Nope }}'\n", true);
    assert_int_equal(drive_start(&d), SEND_FAIL);
    assert_non_null(strstr(d.why.err.text, "templating error: template:"));
    drive_end(&d);
}

static void pushover_sends_all_in_the_query(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_PUSHOVER,
                "user_key: U\ntoken_file: /secret\ntitle: t\nmessage: ' {{ \"<\" }} '\nhtml: true\nurl: u\nttl: 90s\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "https://api.pushover.net/1/messages.json?device=&expire=3600&html=1&message=%26lt%3B&priority=2"
                           "&retry=60&sound=&title=t&token=+from+file+%0A&ttl=90&url=u&url_title=&user=U");
    assert_str(header_of(&d, "Content-Type"), "text/plain");
    assert_int_equal(d.next.body.n, 0);
    drive_end(&d);
    drive_begin(&d, RECEIVER_PUSHOVER, "user_key: U\ntoken: T\nmessage: ' '\nmonospace: true\n", true);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_true(str_contains(d.next.url, STR("&message=%28no+details%29&monospace=1&priority=0&")));
    drive_end(&d);
}

static void incidentio_explains_refusals(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_INCIDENTIO, "url: http://i\nalert_source_token: T\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(header_of(&d, "Authorization"), "Bearer T");
    assert_true(body_has(&d, "\"version\":\"1\",\"groupKey\":\"{}:{alertname=\\\"Down\\\"}\",\"truncatedAlerts\":0}\n"));
    assert_int_equal(drive_answer(&d, 429, "{\"message\":\"m\",\"error\":\"e\",\"errors\":[\"a\",\"b\"]}"), SEND_RETRY);
    assert_string_equal(d.why.err.text, "unexpected status code 429: m: e: a, b");
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 404, "<html>"), SEND_FAIL);
    assert_string_equal(d.why.err.text, "unexpected status code 404");
    drive_end(&d);
    drive_begin(&d, RECEIVER_INCIDENTIO, "url: http://i\nalert_source_token_file: /secret\n", false);
    d.env.read_file = NULL; /* it was read with the configuration */
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(header_of(&d, "Authorization"), "Bearer from file");
    drive_end(&d);
}

/* ---- sns ---- */

static void sns_signs_a_form(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_SNS,
                "api_url: http://sns\nsigv4: {region: r, access_key: AK, secret_key: SK}\nphone_number: '+1'\n"
                "message: '{{ range 2000 }}x{{ end }}'\nsubject: ''\nattributes: {'z{{ 1 }}': '{{ .Status }}'}\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "http://sns/");
    assert_true(str_starts(header_of(&d, "Authorization"), STR("AWS4-HMAC-SHA256 Credential=AK/20231114/r/sns/aws4_request, SignedHeaders=")));
    assert_true(body_has(&d, "&MessageAttributes.entry.1.Name=truncated&MessageAttributes.entry.1.Value.DataType=String"
                             "&MessageAttributes.entry.1.Value.StringValue=true&MessageAttributes.entry.2.Name=z1"));
    assert_true(body_has(&d, "&PhoneNumber=%2B1&Version=2010-03-31"));
    assert_int_equal(drive_answer(&d, 403, "<E><Message>no</Message></E>"), SEND_FAIL);
    assert_string_equal(d.why.err.text, "unexpected status code 403: no");
    drive_end(&d);
}

static void sns_template_errors_are_retried_as_client_errors(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_SNS, "sigv4: {region: r, access_key: AK, secret_key: SK}\ntopic_arn: t\nmessage: '{{ .Nope }}'\n", false);
    assert_int_equal(drive_start(&d), SEND_RETRY);
    assert_int_equal(d.why.reason, SEND_REASON_CLIENT);
    assert_non_null(strstr(d.why.err.text, "execute 'message' template: template:"));
    drive_end(&d);
    drive_begin(&d, RECEIVER_SNS, "sigv4: {access_key: AK, secret_key: SK}\ntopic_arn: t\n", false);
    assert_int_equal(drive_start(&d), SEND_RETRY);
    assert_string_equal(d.why.err.text, "region not configured in sns.sigv4.region or in default credentials chain");
    drive_end(&d);
}

static void sns_takes_on_a_role_and_remembers_it(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_SNS,
                "sigv4: {region: r, access_key: AK, secret_key: SK, role_arn: 'arn:x', external_id: E}\ntopic_arn: t\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "https://sts.r.amazonaws.com/");
    assert_true(body_has(&d, "Action=AssumeRole&ExternalId=E&RoleArn=arn%3Ax&RoleSessionName="));
    assert_int_equal(drive_answer(&d, 200, "<A><AccessKeyId>RK</AccessKeyId><SecretAccessKey>RS</SecretAccessKey><SessionToken>TOK</SessionToken></A>"),
                     SEND_REQUEST);
    assert_str(d.next.url, "https://sns.r.amazonaws.com/");
    assert_str(header_of(&d, "X-Amz-Security-Token"), "TOK");
    assert_int_equal(drive_answer(&d, 200, ""), SEND_DONE);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "https://sns.r.amazonaws.com/");
    drive_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pagerduty_v2_has_structured_details),
        cmocka_unit_test(answers_that_are_no_json_explain_nothing),
        cmocka_unit_test(pagerduty_v1_with_a_service_key),
        cmocka_unit_test(pagerduty_drops_details_that_are_too_large),
        cmocka_unit_test(pagerduty_keys_must_not_be_empty),
        cmocka_unit_test(opsgenie_creates_then_updates_and_stops_at_a_failure),
        cmocka_unit_test(opsgenie_closes_and_trims_its_key_file),
        cmocka_unit_test(victorops_types_and_template_errors),
        cmocka_unit_test(pushover_sends_all_in_the_query),
        cmocka_unit_test(incidentio_explains_refusals),
        cmocka_unit_test(sns_signs_a_form),
        cmocka_unit_test(sns_template_errors_are_retried_as_client_errors),
        cmocka_unit_test(sns_takes_on_a_role_and_remembers_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
