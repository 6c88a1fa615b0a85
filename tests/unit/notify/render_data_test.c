#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/alloc_count.h"
#include "unit/notify/receivers/drive.h"

static void check_text(struct drive *d, const struct render_data *data, const char *text, const char *want)
{
    struct template_run run = { .data = render_data_value(data), .now = d->at.now };
    struct buf out = { 0 };
    struct err err = { 0 };
    bool ok = template_render_text(d->renderer, &run, str_c(text), &out, &err);
    if (!ok)
        print_error("%s: %s\n", text, err.text);
    assert_true(ok);
    assert_str(buf_view(&out), want);
    buf_deinit(&out);
}

static void a_notification_is_seen_as_go_shows_it(void **state)
{
    struct drive d;
    struct render_data data;
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\n", false);
    d.n->receiver = STR("team-a.b (x)");
    render_data_from(&d.arena, d.n, 0, &data);
    check_text(&d, &data, "{{ .Receiver }} {{ .Status }} {{ .NotificationReason }}",
               "team-a\\.b \\(x\\) firing first notification");
    check_text(&d, &data, "{{ .GroupLabels }} {{ .CommonLabels.SortedPairs }} {{ .CommonAnnotations.Values }}",
               "alertname=Down alertname=Down, severity=critical [it is down]");
    check_text(&d, &data, "{{ len .Alerts.Firing }}{{ len .Alerts.Resolved }} {{ range .Alerts }}{{ .Labels.instance }}{{ end }}",
               "20 ab");
    check_text(&d, &data, "{{ (index .Alerts 0).EndsAt }}", "0001-01-01 00:00:00 +0000 UTC"); /* it still fires */
    check_text(&d, &data, "{{ len .RouteLabels }}", "0");
    render_data_from(&d.arena, d.n, 1, &data);
    check_text(&d, &data, "{{ len .Alerts }} {{ .CommonLabels.instance }}", "1 a"); /* common to those that are shown */
    drive_end(&d);
}

static void one_place_shows_values_of_several_types(void **state)
{
    struct drive d;
    struct render_data data;
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\n", true);
    render_data_from(&d.arena, d.n, 0, &data);
    check_text(&d, &data,
               "{{ define \"s\" }}{{ .Status }}{{ end }}{{ template \"s\" .CommonLabels }}{{ template \"s\" . }} "
               "{{ range .Alerts }}{{ template \"s\" . }}{{ end }}{{ template \"s\" .GroupLabels }}",
               "resolved resolvedresolved");
    drive_end(&d);
}

static void fields_in_a_loop_count_as_steps(void **state)
{
    struct drive d;
    struct render_data data;
    struct buf out = { 0 };
    struct err err = { 0 };
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\n", false);
    render_data_from(&d.arena, d.n, 0, &data);
    struct template_run run = { .data = render_data_value(&data), .now = d.at.now, .steps_max = 5000 };
    struct str text = STR("{{ range 1000 }}{{ with $ }}{{ .Status }}{{ .Status }}{{ .Status }}{{ .Status }}{{ end }}{{ end }}");
    assert_false(template_render_text(d.renderer, &run, text, &out, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    run.steps_max = 10000;
    assert_true(template_render_text(d.renderer, &run, text, &out, &err));
    buf_deinit(&out);
    drive_end(&d);
}

static void html_escapes_what_text_shows_as_it_is(void **state)
{
    struct drive d;
    struct render_data data;
    struct buf out = { 0 };
    struct err err = { 0 };
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\n", false);
    render_data_from(&d.arena, d.n, 0, &data);
    data.external_url = STR("http://am/?a=<b>&c");
    struct template_run run = { .data = render_data_value(&data), .now = d.at.now };
    struct str text = STR("{{ .ExternalURL }}<a href=\"{{ .ExternalURL }}\">{{ range .Alerts }}{{ .Status }}{{ end }}</a>");
    assert_true(template_render_html(d.renderer, &run, text, &out, &err));
    assert_str(buf_view(&out), "http://am/?a=&lt;b&gt;&amp;c<a href=\"http://am/?a=%3cb%3e&amp;c\">firingfiring</a>");
    buf_reset(&out);
    assert_true(template_render_text(d.renderer, &run, text, &out, &err));
    assert_str(buf_view(&out), "http://am/?a=<b>&c<a href=\"http://am/?a=<b>&c\">firingfiring</a>");
    buf_deinit(&out);
    drive_end(&d);
}

static void the_default_texts_render_without_the_heap(void **state)
{
    static const char *const names[] = { "slack.default.title", "slack.default.titlelink", "slack.default.fallback",
                                         "slack.default.color", "email.default.subject", "discord.default.message" };
    struct drive d;
    struct render_data data;
    struct buf out = { 0 };
    struct err err = { 0 };
    uint64_t before = 0;
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\n", false);
    render_data_from(&d.arena, d.n, 0, &data);
    struct template_run run = { .data = render_data_value(&data), .now = d.at.now };
    for (int round = 0; round < 3; round++) {
        before = alloc_count();
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            char text[80];
            snprintf(text, sizeof text, "{{ template \"%s\" . }}", names[i]);
            buf_reset(&out);
            assert_true(template_render_text(d.renderer, &run, str_c(text), &out, &err));
        }
    }
    assert_int_equal(alloc_count() - before, 0);
    buf_deinit(&out);
    drive_end(&d);
}

static void resolved_alerts_show_their_end(void **state)
{
    struct drive d;
    struct render_data data;
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\n", true);
    render_data_from(&d.arena, d.n, 0, &data);
    check_text(&d, &data, "{{ .Status }} {{ (index .Alerts 0).EndsAt.Unix }}", "resolved 1700000500");
    drive_end(&d);
}

static void label_sets_have_their_methods(void **state)
{
    struct drive d;
    struct render_data data;
    struct err err = { 0 };
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\n", false);
    assert_true(render_data_from_json(&d.arena, STR("{\"commonLabels\":{\"b\":\"2\",\"alertname\":\"X\",\"Z\":\"0\"}}"), &data, &err));
    check_text(&d, &data, "{{ .CommonLabels }}", "alertname=X, Z=0, b=2");
    check_text(&d, &data, "{{ .CommonLabels.SortedPairs }}", "alertname=X, Z=0, b=2");
    check_text(&d, &data, "{{ .CommonLabels.String }}|{{ .CommonLabels.Names }}", "alertname=X, Z=0, b=2|[alertname Z b]");
    check_text(&d, &data, "{{ (.CommonLabels.Remove (stringSlice \"Z\" \"alertname\")).Values }}", "[2]");
    check_text(&d, &data, "{{ range $k, $v := .CommonLabels }}{{ $k }}{{ $v }}{{ end }}", "Z0alertnameXb2");
    check_text(&d, &data, "{{ .CommonLabels.nothing }}{{ .GroupLabels.x }}", "");
    drive_end(&d);
}

static void json_data_is_read_leniently(void **state)
{
    static const char *const bad[] = { "", "[]", "{", "{\"alerts\":{}}", "{\"alerts\":[{\"startsAt\":\"today\"}]}",
                                       "{\"receiver\":1}", "{} {}", "{\"groupLabels\":{\"a\":1}}" };
    struct drive d;
    struct render_data data;
    struct err err = { 0 };
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\n", false);
    assert_true(render_data_from_json(&d.arena, STR("{}"), &data, &err));
    check_text(&d, &data, "{{ .Receiver }}{{ len .Alerts }}{{ toJson .CommonLabels }}", "0null");
    assert_true(render_data_from_json(
        &d.arena,
        STR("{\"RECEIVER\":\"r\",\"other\":[1,{\"x\":null}],\"alerts\":[null,{\"status\":\"firing\",\"labels\":{\"a\":\"1\",\"a\":\"2\"},"
            "\"startsAt\":\"2020-01-02T03:04:05+02:00\",\"generatorURL\":null}],\"commonLabels\":null}"),
        &data, &err));
    check_text(&d, &data, "{{ .Receiver }} {{ len .Alerts }} {{ (index .Alerts 1).Labels.a }} {{ (index .Alerts.Firing 0).StartsAt }}",
               "r 2 2 2020-01-02 03:04:05 +0200 +0200");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        err = (struct err){ 0 };
        assert_false(render_data_from_json(&d.arena, str_c(bad[i]), &data, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
    drive_end(&d);
}

static void count_failures(void *arg, struct str name, const struct err *err)
{
    struct buf *b = arg;
    buf_printf(b, "%.*s: %s\n", STR_ARG(name), err->text);
}

static void route_labels_are_rendered_once(void **state)
{
    static struct label raw[] = { { STR_INIT("bad"), STR_INIT("{{ .X }}") },
                                  { STR_INIT("n"), STR_INIT("{{ len .Alerts }} {{ .NotificationReason }}") },
                                  { STR_INIT("plain"), STR_INIT("text") } };
    struct drive d;
    struct buf failures = { 0 };
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\n", false);
    d.n->route_labels = (struct labels){ raw, ARRAY_LEN(raw) };
    struct labels ls = render_route_labels(d.renderer, &d.arena, d.n, NULL, count_failures, &failures);
    assert_int_equal(ls.n, 2);
    assert_str(labels_get(ls, STR("n")), "2 unknown");
    assert_str(labels_get(ls, STR("plain")), "text");
    assert_true(str_starts(buf_view(&failures), STR("bad: template: :1:3: executing \"\" at <.X>")));
    buf_deinit(&failures);
    drive_end(&d);
}

static void the_sample_is_complete(void **state)
{
    struct drive d;
    struct render_data data;
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\n", false);
    render_data_sample(&d.arena, d.at.now, &data);
    check_text(&d, &data, "{{ template \"slack.default.title\" . }}|{{ .ExternalURL }}|{{ len .Alerts.Firing }}",
               "[ALERTSTATUS] grouplabelvalue1 grouplabelvalue2 |https://example.com|1");
    drive_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_notification_is_seen_as_go_shows_it),
        cmocka_unit_test(one_place_shows_values_of_several_types),
        cmocka_unit_test(fields_in_a_loop_count_as_steps),
        cmocka_unit_test(html_escapes_what_text_shows_as_it_is),
        cmocka_unit_test(the_default_texts_render_without_the_heap),
        cmocka_unit_test(resolved_alerts_show_their_end),
        cmocka_unit_test(label_sets_have_their_methods),
        cmocka_unit_test(json_data_is_read_leniently),
        cmocka_unit_test(route_labels_are_rendered_once),
        cmocka_unit_test(the_sample_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
