#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "notify/receivers/rocketchat_config.h"
#include "unit/notify/receivers/drive.h"

/* ---- slack ---- */

static void slack_answers_are_read_by_their_type(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_SLACK, "api_url: http://s/x\nchannel: '#c'\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, "ok"), SEND_DONE);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, "no_team"), SEND_FAIL);
    assert_string_equal(d.why.err.text, "channel \"#c\": received an error response from Slack: no_team");
    assert_int_equal(d.why.reason, SEND_REASON_CLIENT);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer_as(&d, 200, "application/json; charset=utf-8", "{\"ok\":false,\"error\":\"bad\"}"), SEND_FAIL);
    assert_string_equal(d.why.err.text, "channel \"#c\": error response from Slack: bad");
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer_as(&d, 200, "application/json", "{"), SEND_RETRY);
    assert_non_null(strstr(d.why.err.text, "channel \"#c\": could not unmarshal JSON response \"{\": "));
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 500, "x"), SEND_RETRY);
    assert_string_equal(d.why.err.text, "channel \"#c\": unexpected status code 500: x");
    drive_end(&d);
}

static void slack_sends_what_renders(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_SLACK,
                "api_url: http://s/x\ntitle: t\ntext: 'before {{ .Nope }} after'\nfallback: f\nchannel: '#c'\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.body, "{\"attachments\":[{\"title\":\"t\",\"title_link\":\"http://am/#/alerts?receiver=team\","
                            "\"text\":\"before \",\"fallback\":\"\",\"callback_id\":\"\",\"footer\":\"\","
                            "\"mrkdwn_in\":[\"fallback\",\"pretext\",\"text\"]}]}\n");
    drive_end(&d);
}

static void slack_updates_the_first_message(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_SLACK, "api_url: https://slack.com/api/chat.postMessage\nchannel: '#c'\nupdate_message: true\n",
                false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "https://slack.com/api/chat.postMessage");
    assert_int_equal(drive_answer_as(&d, 200, "application/json", "{\"ok\":true,\"ts\":\"1.2\",\"channel\":\"C1\"}"), SEND_DONE);
    assert_str(send_data_get(&d.at, STR("threadTs")), "1.2");
    assert_str(send_data_get(&d.at, STR("channelId")), "C1");
    d.n->reason = NOTIFY_REASON_REPEAT;
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "https://slack.com/api/chat.update");
    assert_true(body_has(&d, "{\"channel\":\"C1\",\"ts\":\"1.2\","));
    d.n->reason = NOTIFY_REASON_FIRST;
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "https://slack.com/api/chat.postMessage");
    drive_end(&d);
}

static void slack_titles_are_cut(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_SLACK, "api_url: http://s\ntitle: '{{ range 2000 }}é{{ end }}'\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    size_t n = 0;
    for (size_t i = 0; i + 1 < d.next.body.n; i++)
        n += d.next.body.p[i] == '\xC3' && d.next.body.p[i + 1] == '\xA9';
    assert_int_equal(n, 1023);
    assert_true(body_has(&d, "é…\""));
    drive_end(&d);
}

/* ---- the others ---- */

static void mattermost_priorities_are_what_it_knows(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_MATTERMOST,
                "webhook_url: http://m\npriority: {priority: IMPORTANT, requested_ack: true, persistent_notifications: true}\n"
                "props: {card: c}\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_true(body_has(&d, "\"props\":{\"card\":\"c\"},\"priority\":{\"priority\":\"important\",\"requested_ack\":true}}"));
    drive_end(&d);
    drive_begin(&d, RECEIVER_MATTERMOST, "webhook_url: http://m\npriority: {priority: odd, requested_ack: true}\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_true(body_has(&d, "\"priority\":{\"priority\":\"standard\"}}"));
    drive_end(&d);
}

static void mattermost_attachments_leave_the_text_on_top(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_MATTERMOST, "webhook_url: http://m\ntext: top\nattachments: [{text: in, fields: [{title: a, value: b, short: false}]}]\n",
                false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.body, "{\"text\":\"top\",\"username\":\"Alertmanager\",\"attachments\":[{\"text\":\"in\","
                            "\"fields\":[{\"title\":\"a\",\"value\":\"b\",\"short\":false}]}]}\n");
    drive_end(&d);
}

static void rocketchat_wants_success_and_prefers_files(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_ROCKETCHAT, "api_url: http://r/\nchannel: c\ntoken: inline\ntoken_id: id\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "http://r/api/v1/chat.postMessage");
    assert_str(header_of(&d, "X-Auth-Token"), "inline");
    assert_int_equal(drive_answer(&d, 200, "{\"success\":false,\"error\":\"e\"}"), SEND_FAIL);
    assert_string_equal(d.why.err.text, "channel \"c\": error response from Rocketchat: e");
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, "?"), SEND_RETRY);
    drive_end(&d);
    drive_begin(&d, RECEIVER_ROCKETCHAT, "api_url: http://r/\nchannel: c\ntoken_file: /secret\ntoken_id_file: /secret\n", false);
    d.env.read_file = NULL; /* they were read with the configuration */
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(header_of(&d, "X-Auth-Token"), "from file");
    assert_str(header_of(&d, "X-User-Id"), "from file");
    drive_end(&d);
}

static void a_secret_that_cannot_be_loaded_names_its_field(void **state)
{
    struct rocketchat_config c = { .token_file = STR("/nowhere") };
    struct receiver_env env = { .read_file = drive_read_file };
    struct err err = { 0 };
    struct arena a;
    (void)state;
    arena_init(&a, ARENA_NO_LIMIT);
    assert_false(receiver_rows[RECEIVER_ROCKETCHAT]->load(&c, &env, &a, &err));
    assert_string_equal(err.text, "could not read token_file: open /nowhere: no such file or directory");
    arena_deinit(&a);
}

static void telegram_judges_by_the_answer(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_TELEGRAM, "api_url: http://t\nbot_token: B\nchat_id: -5\nmessage: '{{ \"<\" }}'\nmessage_thread_id: 7\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "http://t/botB/sendMessage");
    assert_str(d.next.body, "{\"chat_id\":\"-5\",\"disable_web_page_preview\":\"true\",\"message_thread_id\":\"7\","
                            "\"parse_mode\":\"HTML\",\"text\":\"\\u0026lt;\"}\n");
    assert_int_equal(drive_answer(&d, 400, "{\"ok\":true,\"result\":{}}"), SEND_DONE);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, "{\"ok\":false,\"error_code\":403,\"description\":\"no\"}"), SEND_RETRY);
    assert_int_equal(d.why.reason, SEND_REASON_AUTH);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, "{\"ok\":false,\"error_code\":400,\"parameters\":{\"retry_after\":3}}"), SEND_RETRY);
    assert_int_equal(d.why.reason, SEND_REASON_RATE_LIMITED);
    drive_end(&d);
    drive_begin(&d, RECEIVER_TELEGRAM, "bot_token_file: /none\nchat_id: 1\n", false);
    assert_int_equal(drive_start(&d), SEND_RETRY);
    assert_string_equal(d.why.err.text, "could not read /none: open /none: no such file or directory");
    drive_end(&d);
    drive_begin(&d, RECEIVER_TELEGRAM, "bot_token: B\nchat_id_file: /secret\n", false);
    assert_int_equal(drive_start(&d), SEND_RETRY);
    assert_non_null(strstr(d.why.err.text, "could not parse chat_id from /secret: "));
    drive_end(&d);
}

static void telegram_replaces_html_that_is_too_long(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_TELEGRAM, "bot_token: B\nchat_id: 1\nmessage: '{{ range 5000 }}x{{ end }}'\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_true(body_has(&d, "message length exceeds Telegram limits.\\n\\t\\t\\tPlease check"));
    drive_end(&d);
    drive_begin(&d, RECEIVER_TELEGRAM, "bot_token: B\nchat_id: 1\nparse_mode: ''\nmessage: '{{ range 5000 }}x{{ end }}'\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_true(body_has(&d, "x…\"}"));
    drive_end(&d);
}

static void discord_leaves_bad_avatars_out(void **state)
{
    struct drive d;
    (void)state;
    log_set_fd(-1);
    drive_begin(&d, RECEIVER_DISCORD, "webhook_url: http://d\nusername: u\navatar_url: 'nope'\nmessage: m\ntitle: t\n", true);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.body, "{\"content\":\"\",\"embeds\":[{\"title\":\"t\",\"description\":\"m\",\"color\":3066993}],\"username\":\"u\"}\n");
    drive_end(&d);
}

static void webex_cuts_bytes_and_forgives_rooms(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_WEBEX,
                "http_config: {authorization: {credentials: x}}\nroom_id: 'r{{ .Nope }}'\nmessage: '{{ range 4000 }}é{{ end }}'\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_true(body_has(&d, "é…\",\"roomId\":\"r\"}\n"));
    assert_int_equal(d.next.body.n, sizeof "{\"markdown\":\"\",\"roomId\":\"r\"}\n" - 1 + 7436 + 3);
    drive_end(&d);
}

static void wechat_keeps_its_token_while_it_is_good(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_WECHAT, "api_secret: s\ncorp_id: c\napi_url: http://w/\n", false);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "http://w/gettoken?corpid=c&corpsecret=s");
    assert_int_equal(drive_answer(&d, 500, "{\"access_token\":\"T 1\"}"), SEND_REQUEST);
    assert_str(d.next.url, "http://w/message/send?access_token=T+1");
    assert_int_equal(drive_answer(&d, 200, "{\"errcode\":0}"), SEND_DONE);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "http://w/message/send?access_token=T+1");
    assert_int_equal(drive_answer(&d, 200, "{\"errcode\":42001,\"errmsg\":\"old\"}"), SEND_RETRY);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.method, "GET");
    assert_int_equal(drive_answer(&d, 200, "{\"errcode\":40001}"), SEND_FAIL);
    assert_string_equal(d.why.err.text, "invalid APISecret for CorpID: c");
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, "{\"access_token\":\"T2\"}"), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 404, "x"), SEND_RETRY);
    assert_string_equal(d.why.err.text, "unexpected status code 404");
    d.env.read_file = NULL; /* nothing is asked for while the token lasts */
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "http://w/message/send?access_token=T2");
    d.at.now.s += 2 * 60 * 60 + 1;
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.method, "GET");
    drive_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slack_answers_are_read_by_their_type),
        cmocka_unit_test(slack_sends_what_renders),
        cmocka_unit_test(slack_updates_the_first_message),
        cmocka_unit_test(slack_titles_are_cut),
        cmocka_unit_test(mattermost_priorities_are_what_it_knows),
        cmocka_unit_test(mattermost_attachments_leave_the_text_on_top),
        cmocka_unit_test(rocketchat_wants_success_and_prefers_files),
        cmocka_unit_test(a_secret_that_cannot_be_loaded_names_its_field),
        cmocka_unit_test(telegram_judges_by_the_answer),
        cmocka_unit_test(telegram_replaces_html_that_is_too_long),
        cmocka_unit_test(discord_leaves_bad_avatars_out),
        cmocka_unit_test(webex_cuts_bytes_and_forgives_rooms),
        cmocka_unit_test(wechat_keeps_its_token_while_it_is_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
