#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/notify/receivers/drive.h"

#define BASE "api_url: http://j/rest/api/2\nproject: P\nissue_type: Bug\nsummary: s\ndescription: d\npriority: ''\n"
#define ISSUE(category) "{\"issues\":[{\"key\":\"P-1\",\"fields\":{\"status\":{\"statusCategory\":{\"key\":\"" category "\"}}}}]}"

static void a_new_group_creates_an_issue(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_JIRA, BASE "labels: ['z{{ .Status }}']\nfields: {customfield_1: '{{ len .Alerts }}', summary: own}\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "http://j/rest/api/2/search");
    assert_str(header_of(&d, "Accept-Language"), "en");
    assert_true(body_has(&d, "\"jql\":\"statusCategory != Done and project=\\\"P\\\" and labels=\\\"ALERT{"));
    assert_int_equal(drive_answer(&d, 200, "{\"issues\":[]}"), SEND_REQUEST);
    assert_str(d.next.url, "http://j/rest/api/2/issue");
    assert_true(body_has(&d, "{\"fields\":{\"customfield_1\":2,\"description\":\"d\",\"issuetype\":{\"name\":\"Bug\"},\"labels\":[\"ALERT{"));
    assert_true(body_has(&d, "}\",\"zfiring\"],\"project\":{\"key\":\"P\"},\"summary\":\"own\"}}\n"));
    assert_int_equal(drive_answer(&d, 201, "ignored"), SEND_DONE);
    drive_end(&d);
}

static void nothing_is_made_for_what_is_resolved(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_JIRA, BASE, true);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, "{}"), SEND_DONE);
    drive_end(&d);
}

static void an_issue_is_updated_and_moved(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_JIRA, BASE "resolve_transition: Close\nreopen_transition: Open\n", true);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, ISSUE("new")), SEND_REQUEST);
    assert_str(d.next.method, "PUT");
    assert_str(d.next.url, "http://j/rest/api/2/issue/P-1");
    assert_int_equal(drive_answer(&d, 204, ""), SEND_REQUEST);
    assert_str(d.next.method, "GET");
    assert_int_equal(drive_answer(&d, 200, "{\"transitions\":[{\"id\":\"3\",\"name\":\"Other\"},{\"id\":\"5\",\"name\":\"Close\"}]}"), SEND_REQUEST);
    assert_str(d.next.url, "http://j/rest/api/2/issue/P-1/transitions");
    assert_str(d.next.body, "{\"transition\":{\"id\":\"5\"}}\n");
    assert_int_equal(drive_answer(&d, 204, ""), SEND_DONE);

    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, ISSUE("new")), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 204, ""), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, "{\"transitions\":[]}"), SEND_FAIL);
    assert_string_equal(d.why.err.text, "can't find transition Close for issue P-1");

    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, ISSUE("done")), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 204, ""), SEND_DONE);
    drive_end(&d);
}

static void updates_can_spare_fields(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_JIRA, "api_url: http://j/rest/api/2\nproject: P\nissue_type: Bug\npriority: ''\n"
                                   "summary: {template: s, enable_update: false}\ndescription: {template: d, enable_update: false}\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, ISSUE("new")), SEND_REQUEST);
    assert_false(str_contains(d.next.body, STR("summary")));
    assert_false(str_contains(d.next.body, STR("description")));
    drive_end(&d);
}

static void searches_consider_what_may_be_reopened(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_JIRA, BASE "reopen_transition: Open\nreopen_duration: 30m\nwont_fix_resolution: Won't Fix\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_true(body_has(&d, "\"jql\":\"(resolution is EMPTY or resolution != \\\"Won't Fix\\\") and "
                             "(resolutiondate is EMPTY OR resolutiondate \\u003e= -30m) and project="));
    drive_end(&d);
}

static void the_cloud_is_searched_by_version_3_and_wants_documents(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_JIRA, "api_url: https://x.atlassian.net/rest/api/2/\nproject: P\nissue_type: B\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "https://x.atlassian.net/rest/api/3/search/jql");
    drive_end(&d);
    drive_begin(&d, RECEIVER_JIRA, "api_url: https://x/rest/api/3\nproject: P\nissue_type: B\npriority: ''\nsummary: s\n"
                                   "description: ' { \"a\" : [ 1, \"x y\\\" \" ] } '\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, "{}"), SEND_REQUEST);
    assert_true(body_has(&d, "{\"fields\":{\"description\":{\"a\":[1,\"x y\\\" \"]},"));
    drive_end(&d);
    drive_begin(&d, RECEIVER_JIRA, "api_url: https://x/rest/api/3\nproject: P\nissue_type: B\ndescription: text\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, "{}"), SEND_FAIL);
    assert_string_equal(d.why.err.text, "description template: invalid JSON for API v3");
    drive_end(&d);
}

static void fields_are_named_as_they_are_written(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_JIRA, BASE "fields: {10001: '{{ len .Alerts }}', y: [a], '{{ 1 }}': {on: dropped, k: v}}\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, "{}"), SEND_REQUEST);
    assert_true(body_has(&d, "{\"10001\":2,"));
    assert_true(body_has(&d, "\"y\":[\"a\"]"));
    assert_true(body_has(&d, "\"{{ 1 }}\":{\"k\":\"v\"}"));
    drive_end(&d);
}

static void failures_say_what_was_tried(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_JIRA, BASE, false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 429, "slow"), SEND_RETRY);
    assert_string_equal(d.why.err.text, "failed to look up existing issues: HTTP request to JIRA API: unexpected status code 429: slow");
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_broken(&d, false), SEND_FAIL);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, "{}"), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 500, ""), SEND_RETRY);
    assert_string_equal(d.why.err.text, "failed to POST request to \"issue\": unexpected status code 500");
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, ISSUE("new")), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 400, "x"), SEND_FAIL);
    assert_string_equal(d.why.err.text, "failed to PUT request to \"issue/P-1\": unexpected status code 400: x");
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, "not json"), SEND_FAIL);
    drive_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_group_creates_an_issue),
        cmocka_unit_test(nothing_is_made_for_what_is_resolved),
        cmocka_unit_test(an_issue_is_updated_and_moved),
        cmocka_unit_test(updates_can_spare_fields),
        cmocka_unit_test(searches_consider_what_may_be_reopened),
        cmocka_unit_test(the_cloud_is_searched_by_version_3_and_wants_documents),
        cmocka_unit_test(fields_are_named_as_they_are_written),
        cmocka_unit_test(failures_say_what_was_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
