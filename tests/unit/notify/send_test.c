#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/notify/receivers/drive.h"

static void texts_are_cut_at_characters(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        const char *runes, *bytes;
    } rows[] = {
        { "", 5, "", "" },
        { "hello", 5, "hello", "hello" },
        { "hello!", 5, "hell…", "he…" },
        { "hello", 3, "hel", "…" },
        { "hello", 2, "he", ".." },
        { "hello", 0, "", "" },
        { "äöüß", 4, "äöüß", "…" }, /* 8 bytes: none fits into 1 */
        { "äöüß", 3, "äöü", "…" },
        { "äöüßx", 4, "äöü…", "…" },
        { "äöüß", 7, "äöüß", "äö…" },
        { "日本語", 8, "日本語", "日…" },
        { "a\xff\xff\xff\xff", 4, "a\xff\xff…", "a…" },
    };
    struct arena a;
    (void)state;
    arena_init(&a, ARENA_NO_LIMIT);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_str(send_cut_runes(&a, str_c(rows[i].text), rows[i].n), rows[i].runes);
        assert_str(send_cut_bytes(&a, str_c(rows[i].text), rows[i].n), rows[i].bytes);
    }
    arena_deinit(&a);
}

static void urls_join_with_one_slash(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a, ARENA_NO_LIMIT);
    assert_str(send_url_join(&a, STR("http://x"), STR("y")), "http://x/y");
    assert_str(send_url_join(&a, STR("http://x/"), STR("y")), "http://x/y");
    assert_str(send_url_join(&a, STR("http://x//"), STR("//y/")), "http://x/y/");
    assert_str(send_url_join(&a, STR_EMPTY, STR_EMPTY), "/");
    arena_deinit(&a);
}

static void receiver_data_is_replaced_by_key(void **state)
{
    struct drive d;
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\n", false);
    assert_str(send_data_get(&d.at, STR("k")), "");
    send_data_set(&d.at, STR("k"), STR("1"));
    send_data_set(&d.at, STR("l"), STR("2"));
    send_data_set(&d.at, STR("k"), STR("3"));
    assert_int_equal(d.at.data_count, 2);
    assert_str(send_data_get(&d.at, STR("k")), "3");
    assert_str(send_data_get(&d.at, STR("l")), "2");
    drive_end(&d);
}

static void statuses_have_verdicts_and_reasons(void **state)
{
    static const struct {
        int status, retry_code;
        enum send_verdict verdict;
        enum send_reason reason;
    } rows[] = {
        { 200, 0, SEND_DONE, SEND_REASON_OTHER },      { 299, 0, SEND_DONE, SEND_REASON_OTHER },
        { 301, 0, SEND_FAIL, SEND_REASON_OTHER },      { 400, 0, SEND_FAIL, SEND_REASON_CLIENT },
        { 401, 0, SEND_FAIL, SEND_REASON_AUTH },       { 403, 403, SEND_RETRY, SEND_REASON_AUTH },
        { 429, 0, SEND_FAIL, SEND_REASON_RATE_LIMITED }, { 429, 429, SEND_RETRY, SEND_REASON_RATE_LIMITED },
        { 500, 0, SEND_RETRY, SEND_REASON_SERVER },    { 599, 429, SEND_RETRY, SEND_REASON_SERVER },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct send_response res = { .arrived = true, .status = rows[i].status };
        struct send_error why = { .reason = SEND_REASON_OTHER };
        assert_int_equal(send_check_status(&res, rows[i].retry_code, STR("no"), &why), rows[i].verdict);
        assert_int_equal(why.reason, rows[i].reason);
        if (rows[i].verdict == SEND_DONE)
            continue;
        char want[64];
        snprintf(want, sizeof want, "unexpected status code %d: no", rows[i].status);
        assert_string_equal(why.err.text, want);
    }
}

static void what_does_not_answer_is_retried(void **state)
{
    struct send_response res = { .timed_out = true };
    struct send_error why = { 0 };
    (void)state;
    err_set(&res.err, ERR_IO, "refused");
    assert_int_equal(send_no_answer(&res, &why, NULL, 0), SEND_RETRY);
    assert_string_equal(why.err.text, "refused");
    assert_int_equal(send_no_answer(&res, &why, "webhook", 1500000000), SEND_RETRY);
    assert_string_equal(why.err.text, "refused: configured webhook timeout reached (1.5s)");
}

static struct wire_time at_s(int64_t s)
{
    return (struct wire_time){ s, 0 };
}

static struct str key_of(char *text, int i)
{
    return str_of(text, (size_t)snprintf(text, 16, "k%d", i));
}

static void tokens_age_and_the_oldest_make_room(void **state)
{
    struct send_cache *c = send_cache_new();
    char text[16];
    (void)state;
    assert_str(send_cache_get(c, STR("a"), at_s(0), 1000), "");
    send_cache_put(c, STR("a"), STR("token"), at_s(10));
    assert_str(send_cache_get(c, STR("a"), at_s(11), 1000), "token");
    assert_str(send_cache_get(c, STR("a"), at_s(12), 1000), "");
    send_cache_put(c, STR("a"), STR("next"), at_s(12));
    assert_str(send_cache_get(c, STR("a"), at_s(12), 1000), "next");
    send_cache_drop(c, STR("a"));
    send_cache_drop(c, STR("never there"));
    assert_str(send_cache_get(c, STR("a"), at_s(12), 1000), "");
    for (int i = 0; i <= SEND_CACHE_MAX; i++)
        send_cache_put(c, key_of(text, i), STR("v"), at_s(0));
    assert_str(send_cache_get(c, STR("k0"), at_s(0), 0), "");
    for (int i = 1; i <= SEND_CACHE_MAX; i++)
        assert_str(send_cache_get(c, key_of(text, i), at_s(0), 0), "v");
    send_cache_free(c);
    send_cache_put(NULL, STR("a"), STR("b"), at_s(0)); /* an attempt without one */
    assert_str(send_cache_get(NULL, STR("a"), at_s(0), 1), "");
}

static void check_tree(const char *yaml, const char *want)
{
    struct drive d;
    struct yaml_doc doc;
    struct send_render r;
    struct send_body body;
    struct err err = { 0 };
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\n", false);
    assert_true(yaml_parse(&doc, str_c(yaml), &err));
    send_render_init(&r, &d.at, 0);
    send_body_init(&body);
    bool ok = send_tree_json(&r, doc.root, &body.json, &err);
    if (ok)
        assert_str(send_body_finish(&body, &d.arena), want);
    else
        assert_string_equal(err.text, want);
    if (!ok)
        send_body_drop(&body);
    yaml_doc_deinit(&doc);
    drive_end(&d);
}

static void payloads_are_rendered_and_decoded(void **state)
{
    (void)state;
    check_tree("a: 1\nb: [x, 2.5, true, null]\n", "{\"a\":1,\"b\":[\"x\",2.5,true,null]}\n");
    check_tree("l: '{{ len .Alerts }}'\nn: dropped\ns: '{{ .Status }}'\n", "{\"l\":2,\"s\":\"firing\"}\n");
    check_tree("o: '{{ toJson .GroupLabels }}'\n", "{\"o\":{\"alertname\":\"Down\"}}\n");
    check_tree("l: '[1, two]'\nt: '{{ \"true\" }}'\n", "{\"l\":[1,\"two\"],\"t\":true}\n");
    check_tree("'{{ .Status }}': x\n", "{\"firing\":\"x\"}\n");
    check_tree("bad: 'a: b: c'\n", "{\"bad\":\"a: b: c\"}\n"); /* no YAML: stays a text */
    check_tree("", "null\n");
}

static void the_first_template_that_fails_is_told(void **state)
{
    struct drive d;
    struct send_render r;
    struct send_error why;
    (void)state;
    drive_begin(&d, RECEIVER_WEBHOOK, "url: http://x\n", false);
    send_render_init(&r, &d.at, 1);
    assert_str(send_text(&r, STR("{{ len .Alerts }}")), "1");
    assert_str(send_html(&r, STR("<b>{{ .Status }}{{ \"<\" }}</b>")), "<b>firing&lt;</b>");
    assert_str(send_text(&r, STR("x{{ .Nope }}")), "x");
    assert_str(send_text(&r, STR("later")), "");
    assert_int_equal(send_template_failed(&why, &r, "title: "), SEND_FAIL);
    assert_string_equal(why.err.text, "title: template: :1:4: executing \"\" at <.Nope>: can't evaluate field Nope in type "
                                      "*template.Data");
    drive_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_cut_at_characters),
        cmocka_unit_test(urls_join_with_one_slash),
        cmocka_unit_test(receiver_data_is_replaced_by_key),
        cmocka_unit_test(statuses_have_verdicts_and_reasons),
        cmocka_unit_test(what_does_not_answer_is_retried),
        cmocka_unit_test(tokens_age_and_the_oldest_make_room),
        cmocka_unit_test(payloads_are_rendered_and_decoded),
        cmocka_unit_test(the_first_template_that_fails_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
