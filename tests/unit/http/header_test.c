#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/header.h"

static void names_become_canonical(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "user-agent", "User-Agent" }, { "X-PROMETHEUS-id", "X-Prometheus-Id" }, { "a b", "a b" }, { "etag", "Etag" }, { "", "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = { 0 };
        http_header_canonical(&b, str_c(cases[i][0]));
        assert_true(str_eq(buf_view(&b), str_c(cases[i][1])));
        buf_deinit(&b);
    }
    assert_true(http_header_name_valid(STR("X-a_1")));
    assert_false(http_header_name_valid(STR("")) || http_header_name_valid(STR("a:b")) || http_header_name_valid(STR("a\n")));
    assert_true(http_header_value_valid(STR("a\tb \303\251")));
    assert_false(http_header_value_valid(STR("a\r\nb")) || http_header_value_valid(STR("a\0b")));
    assert_true(http_token_list_has(STR("deflate, GZip;q=1"), STR("gzip")));
    assert_false(http_token_list_has(STR("gzipx"), STR("gzip")));
}

static void the_most_specific_range_decides_the_quality(void **state)
{
    (void)state;
    static const struct {
        const char *accept, *type;
        unsigned quality;
    } cases[] = {
        { "", "application/json", 1000 },
        { "*/*", "application/json", 1000 },
        { "text/html", "application/json", 0 },
        { "application/*;q=0.5", "application/json", 500 },
        { "application/json;q=0.1, */*", "application/json", 100 },
        { "*/*;q=0.8, application/*;q=0", "application/json", 0 },
        { "Application/JSON ; charset=utf-8 ; q=0.25", "application/json", 250 },
        { "application/json;q=x", "application/json", 0 },
        { "text/html;x=\"a,application/json\"", "application/json", 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (http_accept_quality(str_c(cases[i].accept), str_c(cases[i].type)) != cases[i].quality)
            fail_msg("%s", cases[i].accept);
    static const struct str offers[] = { STR_INIT("text/plain"), STR_INIT("application/openmetrics-text") };
    assert_int_equal(http_accept_choose(STR(""), offers, 2), 0);
    assert_int_equal(http_accept_choose(STR("text/plain;q=0.5,application/openmetrics-text"), offers, 2), 1);
    assert_int_equal(http_accept_choose(STR("image/png"), offers, 2), -1);
    assert_int_equal(http_accept_encoding_quality(STR("gzip;q=0.5, br"), STR("gzip")), 500);
    assert_int_equal(http_accept_encoding_quality(STR("*;q=0.3, gzip;q=0"), STR("gzip")), 0);
    assert_int_equal(http_accept_encoding_quality(STR("*;q=0.3"), STR("gzip")), 300);
    assert_int_equal(http_accept_encoding_quality(STR(""), STR("gzip")), 0);
}

static void media_types_are_parsed_with_their_parameters(void **state)
{
    (void)state;
    struct arena a;
    struct http_media_type m;
    struct err err;
    arena_init(&a, ARENA_NO_LIMIT);
    assert_true(http_media_type_parse(&a, STR(" Text/PLAIN ; Charset=\"utf-8\"; q=\"a\\\"b;c\" ;"), &m, &err));
    assert_true(str_eq(m.type, STR("text/plain")));
    assert_true(str_eq(http_media_param(&m, STR("charset")), STR("utf-8")));
    assert_true(str_eq(http_media_param(&m, STR("q")), STR("a\"b;c")));
    static const char *const bad[] = { "", " ", ";a=b", "a b/c", "text/", "text/a b", "text/plain; x", "text/plain; x=a b",
                                       "text/plain; a=1; a=2" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (http_media_type_parse(&a, str_c(bad[i]), &m, &err))
            fail_msg("\"%s\" was taken", bad[i]);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_canonical),
        cmocka_unit_test(the_most_specific_range_decides_the_quality),
        cmocka_unit_test(media_types_are_parsed_with_their_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
