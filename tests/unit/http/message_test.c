#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/message.h"

static void assert_str(struct str got, const char *want)
{
    if (!str_eq(got, str_c(want)))
        fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

static void headers_are_found_in_any_case_and_the_first_counts(void **state)
{
    (void)state;
    const struct http_header h[] = { { STR("Accept"), STR("a") }, { STR("ACCEPT"), STR("b") }, { STR("X"), STR("") } };
    const struct http_request req = { .headers = h, .headers_count = 3 };
    assert_str(http_request_header(&req, STR("accept")), "a");
    assert_str(http_request_header(&req, STR("nope")), "");
    assert_true(http_request_has_header(&req, STR("x")));
    assert_false(http_request_has_header(&req, STR("y")));
}

static void set_replaces_every_header_of_that_name(void **state)
{
    (void)state;
    struct http_response res = { 0 };
    http_response_header(&res, STR("Vary"), STR("a"));
    http_response_header(&res, STR("X"), STR("x"));
    http_response_header(&res, STR("vary"), STR("b"));
    assert_int_equal(res.headers_count, 3);
    http_response_set_header(&res, STR("VARY"), STR("c"));
    assert_int_equal(res.headers_count, 2);
    assert_str(res.headers[0].name, "X");
    assert_str(res.headers[1].value, "c");
    http_response_text(&res, 404, STR("text/plain"), STR("no"));
    http_response_text(&res, 405, STR("text/html"), STR("never"));
    assert_int_equal(res.status, 405);
    assert_int_equal(res.headers_count, 3);
    assert_string_equal(res.body.p, "never");
    buf_deinit(&res.body);
}

static void queries_split_into_pairs_as_gos_parse_query(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        const char *pairs[8];
        bool bad;
    } cases[] = {
        { "", { NULL }, false },
        { "a=1&b=2&a=3", { "a", "1", "b", "2", "a", "3" }, false },
        { "a", { "a", "" }, false },
        { "=x", { "", "x" }, false },
        { "&&a=1&", { "a", "1" }, false },
        { "a+b=c+d%20e", { "a b", "c d e" }, false },
        { "a%2Bb=%26&x==y", { "a+b", "&", "x", "=y" }, false },
        { "a=%zz&b=2", { "b", "2" }, true },
        { "%4=1&b=%", { NULL }, true },
        { "a=1;b=2&c=3", { "c", "3" }, true },
    };
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_params ps;
        http_params_parse(&a, str_c(cases[i].query), &ps);
        size_t n = 0;
        while (n < 4 && cases[i].pairs[2 * n])
            n++;
        assert_int_equal(ps.n, n);
        for (size_t j = 0; j < n; j++) {
            assert_str(ps.v[j].name, cases[i].pairs[2 * j]);
            assert_str(ps.v[j].value, cases[i].pairs[2 * j + 1]);
        }
        assert_int_equal(ps.bad, cases[i].bad);
    }
    struct http_params ps;
    http_params_parse(&a, STR("a=1&b=&a=3"), &ps);
    assert_str(http_param_get(&ps, STR("a")), "1");
    assert_str(http_param_last(&ps, STR("a")), "3");
    assert_str(http_param_get(&ps, STR("z")), "");
    assert_true(http_param_has(&ps, STR("b")));
    assert_false(http_param_has(&ps, STR("z")));
    arena_deinit(&a);
}

static void a_query_with_too_many_pairs_is_refused_whole(void **state)
{
    (void)state;
    struct arena a;
    struct buf b = { 0 };
    struct http_params ps;
    arena_init(&a, ARENA_NO_LIMIT);
    buf_fill(&b, '&', 10000);
    http_params_parse(&a, buf_view(&b), &ps);
    assert_true(ps.bad);
    assert_int_equal(ps.n, 0);
    buf_deinit(&b);
    arena_deinit(&a);
}

static void statuses_have_gos_texts(void **state)
{
    (void)state;
    assert_str(http_status_text(404), "Not Found");
    assert_str(http_status_text(413), "Request Entity Too Large");
    assert_str(http_status_text(599), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_found_in_any_case_and_the_first_counts),
        cmocka_unit_test(set_replaces_every_header_of_that_name),
        cmocka_unit_test(queries_split_into_pairs_as_gos_parse_query),
        cmocka_unit_test(a_query_with_too_many_pairs_is_refused_whole),
        cmocka_unit_test(statuses_have_gos_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
