#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/router.h"

static const struct http_route routes[] = {
    { "GET", "/", 1 },
    { "GET", "/alerts", 2 },
    { "POST", "/alerts", 3 },
    { "GET", "/silence/:id", 4 },
    { "DELETE", "/silence/:id", 5 },
    { "GET", "/silence/new", 6 },
    { "GET", "/assets/*path", 7 },
    { "GET", "/debug/", 8 },
    { "GET", "/a/:x/c/:y", 9 },
    { "OPTIONS", "/api/*rest", 10 },
    { "GET", "/Case/:id", 11 },
};

#define ROUTE(method, path) http_route(routes, ARRAY_LEN(routes), STR(method), STR(path), &a, &m)

static void assert_str(struct str got, const char *want)
{
    if (!str_eq(got, str_c(want)))
        fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

static void the_more_literal_pattern_wins_and_parameters_are_slices(void **state)
{
    (void)state;
    struct arena a;
    struct http_route_match m;
    arena_init(&a, ARENA_NO_LIMIT);
    static const struct {
        const char *method, *path;
        int handler;
    } cases[] = {
        { "GET", "/", 1 },          { "GET", "/alerts", 2 },     { "POST", "/alerts", 3 },     { "GET", "/silence/x", 4 },
        { "DELETE", "/silence/new", 5 }, { "GET", "/silence/new", 6 }, { "GET", "/assets/a/b.css", 7 }, { "GET", "/assets/", 7 },
        { "GET", "/debug/", 8 },    { "GET", "/a/1/c/2", 9 },    { "OPTIONS", "/api/x/y", 10 }, { "GET", "/a//c/2", 9 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum http_route_result r = http_route(routes, ARRAY_LEN(routes), str_c(cases[i].method), str_c(cases[i].path), &a, &m);
        if (r != HTTP_ROUTE_FOUND || m.route->handler != cases[i].handler)
            fail_msg("%s %s: %d", cases[i].method, cases[i].path, (int)r);
    }
    assert_int_equal(ROUTE("GET", "/a/%2F/c/y y"), HTTP_ROUTE_FOUND);
    assert_str(http_route_param(&m, STR("x")), "%2F");
    assert_str(http_route_param(&m, STR("y")), "y y");
    assert_str(http_route_param(&m, STR("z")), "");
    assert_int_equal(ROUTE("GET", "/assets/css/x.css"), HTTP_ROUTE_FOUND);
    assert_str(http_route_param(&m, STR("path")), "/css/x.css");
    arena_deinit(&a);
}

static void what_is_not_found_is_told_apart(void **state)
{
    (void)state;
    struct arena a;
    struct http_route_match m;
    arena_init(&a, ARENA_NO_LIMIT);
    assert_int_equal(ROUTE("GET", "/nope"), HTTP_ROUTE_NOT_FOUND);
    assert_int_equal(ROUTE("GET", "nope"), HTTP_ROUTE_NOT_FOUND);
    assert_int_equal(ROUTE("GET", "/silence/a/b"), HTTP_ROUTE_NOT_FOUND);
    assert_int_equal(ROUTE("PUT", "/alerts"), HTTP_ROUTE_NO_METHOD);
    assert_str(m.allowed, "GET, OPTIONS, POST");
    assert_int_equal(ROUTE("PUT", "/silence/new"), HTTP_ROUTE_NO_METHOD);
    assert_str(m.allowed, "DELETE, GET, OPTIONS");
    assert_int_equal(ROUTE("OPTIONS", "/alerts"), HTTP_ROUTE_OPTIONS);
    assert_str(m.allowed, "GET, OPTIONS, POST");
    assert_int_equal(ROUTE("GET", "/alerts/"), HTTP_ROUTE_SLASH);
    assert_str(m.fixed, "/alerts");
    assert_int_equal(ROUTE("GET", "/debug"), HTTP_ROUTE_SLASH);
    assert_str(m.fixed, "/debug/");
    assert_int_equal(ROUTE("GET", "/assets"), HTTP_ROUTE_SLASH);
    assert_str(m.fixed, "/assets/");
    assert_int_equal(ROUTE("GET", "/ALERTS"), HTTP_ROUTE_FIXED);
    assert_str(m.fixed, "/alerts");
    assert_int_equal(ROUTE("GET", "/x/..//Alerts/"), HTTP_ROUTE_FIXED);
    assert_str(m.fixed, "/alerts");
    assert_int_equal(ROUTE("GET", "/case/AbC"), HTTP_ROUTE_FIXED);
    assert_str(m.fixed, "/Case/AbC");
    assert_int_equal(ROUTE("PUT", "/alerts/"), HTTP_ROUTE_NOT_FOUND); /* no PUT anywhere: no redirect */
    arena_deinit(&a);
}

static void answers_are_those_of_gos_server(void **state)
{
    (void)state;
    struct arena a;
    struct http_route_match m;
    arena_init(&a, ARENA_NO_LIMIT);
    struct http_request req = { .method = STR("GET"), .query = STR("x=1&y"), .arena = &a };
    struct http_response res = { 0 };
    http_answer_unrouted(&res, &req, ROUTE("GET", "/nope"), &m);
    assert_int_equal(res.status, 404);
    assert_string_equal(res.body.p, "404 page not found\n");
    assert_str(res.headers[1].value, "nosniff");
    res.headers_count = 0;
    http_answer_unrouted(&res, &req, ROUTE("PUT", "/alerts"), &m);
    assert_int_equal(res.status, 405);
    assert_string_equal(res.body.p, "Method Not Allowed\n");
    assert_str(res.headers[0].name, "Allow");
    res.headers_count = 0;
    http_answer_unrouted(&res, &req, ROUTE("GET", "/alerts/"), &m);
    assert_int_equal(res.status, 301);
    assert_str(res.headers[0].value, "/alerts?x=1&y");
    assert_string_equal(res.body.p, "<a href=\"/alerts?x=1&amp;y\">Moved Permanently</a>.\n\n");
    res.headers_count = 0;
    req.method = STR("POST");
    http_answer_unrouted(&res, &req, ROUTE("POST", "/alerts/"), &m);
    assert_int_equal(res.status, 308);
    assert_int_equal(res.body.n, 0);
    buf_deinit(&res.body);
    arena_deinit(&a);
}

static void a_redirect_never_leads_to_another_host(void **state)
{
    (void)state;
    static const struct http_route open[] = { { "GET", "/:a/:b/", 1 } };
    struct arena a;
    struct http_route_match m;
    arena_init(&a, ARENA_NO_LIMIT);
    struct http_request req = { .method = STR("GET"), .arena = &a };
    struct http_response res = { 0 };
    enum http_route_result r = http_route(open, 1, STR("GET"), STR("//evil.example"), &a, &m);
    assert_int_equal(r, HTTP_ROUTE_SLASH);
    http_answer_unrouted(&res, &req, r, &m);
    assert_str(res.headers[0].value, "/evil.example/");
    buf_deinit(&res.body);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_more_literal_pattern_wins_and_parameters_are_slices),
        cmocka_unit_test(what_is_not_found_is_told_apart),
        cmocka_unit_test(answers_are_those_of_gos_server),
        cmocka_unit_test(a_redirect_never_leads_to_another_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
