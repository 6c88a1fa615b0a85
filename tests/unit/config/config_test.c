#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/config.h"
#include "notify/receivers/email_config.h"
#include "notify/receivers/jira_config.h"
#include "notify/receivers/mattermost_config.h"
#include "notify/receivers/msteamsv2_config.h"
#include "notify/receivers/opsgenie_config.h"
#include "notify/receivers/rocketchat_config.h"
#include "notify/receivers/slack_config.h"
#include "notify/receivers/webhook_config.h"

#include <string.h>

#define MINIMAL "route: {receiver: r}\nreceivers: [{name: r}]\n"

static bool load_with(const char *text, const struct config_options *options, struct config **c,
                      struct notices *notices, struct err *err)
{
    *err = (struct err){ 0 };
    return config_load(str_c(text), options, c, notices, err);
}

static struct config *load(const char *text)
{
    struct config_options options = { .path = STR("/etc/am/alertmanager.yml") };
    struct config *c = NULL;
    struct err err;
    if (!load_with(text, &options, &c, NULL, &err))
        fail_msg("%s", err.text);
    return c;
}

static void refuses(const char *text, const char *want)
{
    struct config_options options = { 0 };
    struct config *c = NULL;
    struct err err;
    if (load_with(text, &options, &c, NULL, &err))
        fail_msg("`%s` was taken", text);
    assert_string_equal(err.text, want);
}

static const void *first(const struct config *c, enum receiver_kind kind)
{
    return config_receiver_integration(&c->receivers[0], kind, 0);
}

static void sections_decide_what_runs(void **state)
{
    (void)state;
    struct config *c = load(MINIMAL);
    assert_true(c->alert_half && !c->prometheus.present);
    config_release(c);
    c = load("global: {scrape_interval: 15s, external_labels: {a: b}}\nscrape_configs: [{job_name: x}]\n");
    assert_true(!c->alert_half && c->prometheus.present && !c->route);
    assert_int_equal(c->global.prometheus.scrape_interval_ms, 15000);
    assert_int_equal(c->global.prometheus.scrape_timeout_ms, 10000);
    assert_int_equal(c->global.prometheus.evaluation_interval_ms, 60000);
    assert_int_equal(c->prometheus.scrape_configs->n, 1);
    config_release(c);
    c = load(MINIMAL "rule_files: [a.yml]\nstorage: {tsdb: {retention: {time: 30d, size: 1GiB}}}\n");
    assert_true(c->alert_half && c->prometheus.present);
    assert_int_equal(c->prometheus.storage.tsdb->retention->time_ms.v, INT64_C(30) * 86400 * 1000);
    assert_int_equal(c->prometheus.storage.tsdb->retention->size_bytes.v, INT64_C(1) << 30);
    config_release(c);
    refuses("", "no route provided in config");
    refuses("# nothing\n", "no route provided in config");
    refuses("null", "no route provided in config");
    refuses("global: {}\n", "no routes provided");
    refuses("route:\n", "no routes provided");
    struct config_options options = { .tsdb_path_given = true };
    struct err err;
    assert_true(load_with("", &options, &c, NULL, &err));
    assert_true(c->prometheus.present && !c->alert_half);
    config_release(c);
    refuses("global: {scrape_interval: 5s, scrape_timeout: 6s}\nscrape_configs: []\n",
            "global scrape timeout greater than scrape interval");
}

static void a_null_or_absent_global_means_the_defaults(void **state)
{
    (void)state;
    static const char *const texts[] = { MINIMAL "rule_files: []\n", MINIMAL "global:\nrule_files: []\n",
                                         MINIMAL "global: {}\nrule_files: []\n" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct config *c = load(texts[i]);
        assert_int_equal(c->resolve_timeout_ms, 5 * 60 * 1000);
        assert_true(c->global.receivers.smtp_require_tls && c->global.receivers.http_config->follow_redirects);
        assert_true(str_eq(c->global.receivers.opsgenie_api_url, STR("https://api.opsgenie.com/")));
        assert_int_equal(c->global.prometheus.scrape_timeout_ms, 10000);
        config_release(c);
    }
}

static void the_first_objection_wins(void **state)
{
    (void)state;
    refuses("global: {opsgenie_api_key: a, opsgenie_api_key_file: b}\nreceivers: [{name: r}, {name: r}]\n",
            "at most one of opsgenie_api_key & opsgenie_api_key_file must be configured");
    refuses("receivers: [{name: r}, {name: r}]\n", "notification config name \"r\" is not unique");
    refuses("receivers: [{name: r, slack_configs: [{}], webhook_configs: [~]}]\n", "missing webhook config");
    refuses("receivers: [{name: r, pushover_configs: [~], slack_configs: [{}]}]\n",
            "no Slack API URL nor App token set either inline or in a file");
    refuses("route: {receiver: x, continue: true, mute_time_intervals: [a]}\nreceivers: [{name: r}]\n",
            "root route must not have any mute time intervals");
    refuses("route: {receiver: x, continue: true, routes: [{receiver: y}]}\nreceivers: [{name: r}]\n",
            "undefined receiver \"y\" used in route");
    refuses("route: {receiver: r, continue: true}\nreceivers: [{name: r}]\n", "cannot have continue in root route");
    refuses("route: {receiver: r, routes: [~]}\nreceivers: [{name: r}]\n", "empty or null route in routes");
}

static void errors_name_their_line(void **state)
{
    (void)state;
    struct config_options options = { 0 };
    struct config *c;
    struct err err;
    assert_false(load_with("route:\n  receiver: r\n  routes:\n  - receiver: x\nreceivers:\n- name: r\n", &options,
                           &c, NULL, &err));
    assert_int_equal(err.line, 4);
    assert_false(load_with(MINIMAL "inhibit_rules:\n- {}\n- equal: ['']\n", &options, &c, NULL, &err));
    assert_int_equal(err.line, 5);
}

static void receivers_inherit_by_pair_or_by_member(void **state)
{
    (void)state;
    struct config *c = load(
        "global: {opsgenie_api_key: g, mattermost_webhook_url_file: gf, smtp_smarthost: 'h:25', smtp_from: f,\n"
        "  smtp_auth_password_file: pf, smtp_auth_secret: gs, rocketchat_token: t, rocketchat_token_id: i}\n"
        "route: {receiver: r}\nreceivers:\n- name: r\n"
        "  opsgenie_configs: [{api_key_file: of, api_url: 'http://og/x'}]\n"
        "  mattermost_configs: [{webhook_url: 'http://mm/'}]\n"
        "  rocketchat_configs: [{token_file: tf}]\n"
        "  email_configs: [{to: x, auth_password: p, headers: {x-y: z}}]\n");
    const struct opsgenie_config *og = first(c, RECEIVER_OPSGENIE);
    assert_true(str_eq(og->api_key, STR("g")) && str_eq(og->api_key_file, STR("of")));
    assert_true(str_eq(og->api_url, STR("http://og/x/")));
    const struct rocketchat_config *rc = first(c, RECEIVER_ROCKETCHAT);
    assert_true(str_eq(rc->token, STR("t")) && str_eq(rc->token_file, STR("tf")) && str_eq(rc->token_id, STR("i")));
    const struct mattermost_config *mm = first(c, RECEIVER_MATTERMOST);
    assert_true(mm->webhook_url_file.n == 0);
    const struct email_config *mail = first(c, RECEIVER_EMAIL);
    assert_true(mail->auth_password_file.n == 0 && str_eq(mail->auth_secret, STR("gs")));
    assert_true(str_eq(mail->smarthost.host, STR("h")) && mail->require_tls == TRISTATE_TRUE && mail->tls_config);
    assert_true(str_eq(str_map_get(&mail->headers, STR("X-Y")), STR("z")));
    assert_true(str_eq(str_map_get(&mail->headers, STR("To")), STR("x")));
    config_release(c);
}

static void http_settings_are_taken_whole(void **state)
{
    (void)state;
    struct config *c = load(
        "global: {http_config: {proxy_url: 'http://p/', tls_config: {ca_file: ca.pem}}, slack_app_token: tok}\n"
        "route: {receiver: r}\nreceivers:\n- name: r\n"
        "  webhook_configs: [{url: 'http://a/'}, {url: 'http://b/', http_config: {bearer_token_file: t}}]\n"
        "  msteamsv2_configs: [{webhook_url: 'http://t/', http_config: {follow_redirects: false}}]\n"
        "  slack_configs: [{channel: c}]\n");
    const struct webhook_config *a = first(c, RECEIVER_WEBHOOK);
    const struct webhook_config *b = config_receiver_integration(&c->receivers[0], RECEIVER_WEBHOOK, 1);
    assert_ptr_equal(a->common.http_config, c->global.receivers.http_config);
    assert_true(str_eq(a->common.http_config->tls_config.ca_file, STR("/etc/am/ca.pem")));
    assert_true(b->common.http_config->proxy.proxy_url.n == 0);
    assert_true(str_eq(b->common.http_config->authorization->credentials_file, STR("/etc/am/t")));
    const struct msteamsv2_config *teams = first(c, RECEIVER_MSTEAMSV2);
    assert_true(str_eq(teams->common.http_config->proxy.proxy_url, STR("http://p/")));
    const struct slack_config *slack = first(c, RECEIVER_SLACK);
    assert_true(str_eq(slack->common.http_config->authorization->credentials, STR("tok")));
    assert_true(str_eq(slack->api_url, STR("https://slack.com/api/chat.postMessage")));
    assert_null(c->global.receivers.http_config->authorization);
    config_release(c);
}

static void relative_paths_start_at_the_file(void **state)
{
    (void)state;
    struct config *c = load(MINIMAL "templates: ['t/*.tmpl', '/abs/x.tmpl', '../y']\n"
                                    "event_recorder: {file_outputs: [{path: e.jsonl}]}\n");
    assert_true(str_eq(c->templates.v[0], STR("/etc/am/t/*.tmpl")));
    assert_true(str_eq(c->templates.v[1], STR("/abs/x.tmpl")));
    assert_true(str_eq(c->templates.v[2], STR("/etc/y")));
    assert_true(str_eq(c->event_recorder->file_outputs[0].path, STR("/etc/am/e.jsonl")));
    config_release(c);
}

static void receivers_carry_their_name_as_a_label(void **state)
{
    (void)state;
    struct config *c =
        load("route: {receiver: r}\nreceivers: [{name: r, labels: {team: a, name: r}}, {name: spare}]\n");
    const struct config_receiver *r = config_receiver_find(c, STR("r"));
    assert_int_equal(r->labels.n, 2);
    assert_true(str_eq(labels_get(r->labels, STR("name")), STR("r")));
    assert_true(r->used && !config_receiver_find(c, STR("spare"))->used);
    assert_null(config_receiver_find(c, STR("nobody")));
    config_release(c);
}

static void jira_texts_take_both_forms(void **state)
{
    (void)state;
    struct config *c =
        load("route: {receiver: r}\nreceivers: [{name: r, jira_configs: [{api_url: 'http://j/', project: p,\n"
             "  issue_type: t, summary: {enable_update: false}, description: text}]}]\n");
    const struct jira_config *j = first(c, RECEIVER_JIRA);
    assert_true(str_eq(j->summary.template, STR("{{ template \"jira.default.summary\" . }}")));
    assert_int_equal(j->summary.enable_update, TRISTATE_FALSE);
    assert_true(str_eq(j->description.template, STR("text")));
    config_release(c);
}

static void matchers_follow_the_mode(void **state)
{
    (void)state;
    const char *text = "route: {receiver: r, routes: [{matchers: ['a=b\\q']}]}\nreceivers: [{name: r}]\n";
    struct notices notices;
    struct config_options options = { 0 };
    struct config *c;
    struct err err;
    notices_init(&notices);
    assert_true(load_with(text, &options, &c, &notices, &err));
    assert_int_equal(notices.n, 1);
    assert_string_equal(notices.v[0].fields[0].key, "input");
    assert_true(str_eq(notices.v[0].fields[0].value, STR("a=b\\q")));
    config_release(c);
    options.matcher_mode = MATCHER_UTF8;
    assert_false(load_with(text, &options, &c, NULL, &err));
    options.matcher_mode = MATCHER_CLASSIC;
    assert_true(load_with(text, &options, &c, NULL, &err));
    config_release(c);
    assert_false(load_with("route: {receiver: r, group_by: ['\xc3\xa9']}\nreceivers: [{name: r}]\n", &options, &c,
                           NULL, &err));
    assert_string_equal(err.text, "invalid label name \"\xc3\xa9\" in group_by list");
    notices_deinit(&notices);
}

static void an_error_has_its_line_and_field(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place;
    } cases[] = {
        { "route:\n  receiver: r\n  routes:\n  - receiver: r\n  - group_wait: 5x\nreceivers: [{name: r}]\n",
          "line 5: route.routes[1].group_wait: unknown unit \"x\" in duration \"5x\"" },
        { "route: {receiver: r}\nreceivers:\n- name: r\n  webhook_configs:\n  - {url: 'ftp://x'}\n",
          "line 5: receivers[0].webhook_configs[0].url: invalid URL: unsupported scheme \"ftp\" for URL" },
        { "route:\n  receiver: other\nreceivers: [{name: r}]\n", "line 2: undefined receiver \"other\" used in route" },
        { "receivers:\n- name: r\n- name: r\nroute: {receiver: r}\n",
          "line 3: notification config name \"r\" is not unique" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct notices notices;
        struct config_options options = { 0 };
        struct config *c;
        struct err err;
        struct buf text = { 0 };
        notices_init(&notices);
        assert_false(load_with(cases[i].text, &options, &c, &notices, &err));
        assert_int_equal(notices.n, 1);
        assert_int_equal(notices.v[0].kind, NOTICE_PLACE);
        notice_write(&text, &notices.v[0]);
        assert_string_equal(text.p, cases[i].place);
        assert_true(str_ends(buf_view(&text), err_text(&err)));
        buf_deinit(&text);
        notices_deinit(&notices);
    }
}

static void what_is_accepted_but_idle_is_said(void **state)
{
    (void)state;
    struct notices notices;
    struct config_options options = { 0 };
    struct config *c;
    struct err err;
    notices_init(&notices);
    assert_true(load_with(MINIMAL "tracing: {endpoint: x}\ninhibit_rules: [{name: a}, {name: a}]\n"
                                  "event_recorder: {kafka_outputs: [{topic: t}]}\n",
                          &options, &c, &notices, &err));
    struct buf text = { 0 };
    for (size_t i = 0; i < notices.n; i++) {
        notice_write(&text, &notices.v[i]);
        buf_byte(&text, '\n');
    }
    assert_string_equal(text.p, "line 3: tracing: accepted, but traces are not exported\n"
                                "line 5: event_recorder: accepted, but events are not recorded\n"
                                "line 5: kafka_outputs: accepted, but events are not sent to Kafka\n"
                                "line 4: Inhibition rule name is not unique name=a\n");
    buf_deinit(&text);
    config_release(c);
    notices_deinit(&notices);
}

static void a_dump_reads_back_as_itself(void **state)
{
    (void)state;
    struct config *c =
        load("global: {smtp_smarthost: '[::1]:25', smtp_from: f, slack_api_url: 'http://s/'}\n"
             "route: {receiver: r, group_by: ['...'], routes: [{match: {a: b}, match_re: {c: d.*}, matchers: "
             "['e!=f']}]}\n"
             "receivers: [{name: r, email_configs: [{to: x}], slack_configs: [{channel: c}]}]\n"
             "time_intervals: [{name: t, time_intervals: [{times: [{start_time: '09:00', end_time: '24:00'}],\n"
             "  weekdays: ['monday:friday', sunday], days_of_month: ['1:5', '-3:-1'], months: ['1:3', may]}]}]\n");
    struct buf one = { 0 }, two = { 0 };
    config_dump(c, &one);
    config_release(c);
    assert_non_null(strstr(one.p, "smarthost: '[::1]:25'"));
    assert_non_null(strstr(one.p, "    weekdays: ['monday:friday', sunday]\n"));
    assert_non_null(strstr(one.p, "    - start_time: \"09:00\"\n      end_time: \"24:00\"\n"));
    c = load(one.p);
    config_dump(c, &two);
    config_release(c);
    assert_string_equal(one.p, two.p);
    buf_deinit(&one);
    buf_deinit(&two);
}

static void intervals_are_found_in_both_lists(void **state)
{
    (void)state;
    struct config *c = load(MINIMAL "mute_time_intervals: [{name: m, time_intervals: [{months: ['1']}]}]\n"
                                    "time_intervals: [{name: t, time_intervals: [{weekdays: []}, {}]}]\n");
    const struct named_interval_config *m = config_interval_find(c, STR("m"));
    assert_true(time_interval_contains(&m->compiled[0], 0));           /* January 1970 */
    assert_false(time_interval_contains(&m->compiled[0], 40 * 86400)); /* February */
    const struct named_interval_config *t = config_interval_find(c, STR("t"));
    assert_false(time_interval_contains(&t->compiled[0], 0)); /* an empty list contains nothing */
    assert_true(time_interval_contains(&t->compiled[1], 0));
    assert_null(config_interval_find(c, STR("x")));
    config_release(c);
}

static void snapshots_are_counted(void **state)
{
    (void)state;
    struct config *c = load(MINIMAL);
    const struct config *other = config_retain(c);
    config_release(c);
    assert_true(str_eq(other->route->receiver, STR("r")));
    config_release(other);
    assert_true(config_hash(STR("")) == 617830161876.0); /* d4 1d 8c d9 8f 00 */
}

static void count_secrets(void *arg, struct str path, const struct bind_type *owner, const struct bind *field)
{
    (void)owner;
    if (field->kind != BIND_KIND_INLINE && field->doc[0] == '\0')
        fail_msg("%.*s is not documented", STR_ARG(path));
    static const char *const words[] = { "password", "token", "secret", "api_key", "credentials" };
    struct str key = str_c(field->key);
    for (size_t i = 0; field->kind == BIND_KIND_STR && i < ARRAY_LEN(words); i++)
        if (str_ends(key, str_c(words[i])) && !field->secret)
            fail_msg("%.*s is shown in dumps", STR_ARG(path));
    ++*(size_t *)arg;
}

static void every_row_is_documented_and_secrets_are_hidden(void **state)
{
    (void)state;
    size_t rows = 0;
    bind_walk(&config_bind, count_secrets, &rows);
    assert_true(rows > 1000);
    for (size_t i = 0; i < RECEIVER_KINDS; i++)
        assert_int_equal(receiver_config_rows[i].kind, i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_decide_what_runs),
        cmocka_unit_test(a_null_or_absent_global_means_the_defaults),
        cmocka_unit_test(the_first_objection_wins),
        cmocka_unit_test(errors_name_their_line),
        cmocka_unit_test(receivers_inherit_by_pair_or_by_member),
        cmocka_unit_test(http_settings_are_taken_whole),
        cmocka_unit_test(relative_paths_start_at_the_file),
        cmocka_unit_test(receivers_carry_their_name_as_a_label),
        cmocka_unit_test(jira_texts_take_both_forms),
        cmocka_unit_test(matchers_follow_the_mode),
        cmocka_unit_test(an_error_has_its_line_and_field),
        cmocka_unit_test(what_is_accepted_but_idle_is_said),
        cmocka_unit_test(a_dump_reads_back_as_itself),
        cmocka_unit_test(intervals_are_found_in_both_lists),
        cmocka_unit_test(snapshots_are_counted),
        cmocka_unit_test(every_row_is_documented_and_secrets_are_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
