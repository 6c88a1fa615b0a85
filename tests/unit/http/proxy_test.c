#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/proxy.h"

/* As golang.org/x/net/http/httpproxy decides. */
static void no_proxy_excludes_by_name_suffix_port_address_and_network(void **state)
{
    (void)state;
    static const struct {
        const char *no_proxy, *host_port;
        bool wanted;
    } cases[] = {
        { "", "example.com:80", true },          { "", "localhost:80", false },           { "", "127.0.0.1:80", false },
        { "", "[::1]:80", false },               { "", "localhost.example:80", true },    { "*", "example.com:80", false },
        { "example.com", "example.com:80", false }, { "example.com", "a.example.com:80", false }, { "example.com", "notexample.com:80", true },
        { ".example.com", "example.com:80", true }, { ".example.com", "a.example.com:80", false }, { "*.example.com", "b.a.example.com:80", false },
        { "EXAMPLE.com", "Example.COM:80", false }, { "example.com:80", "example.com:80", false }, { "example.com:80", "example.com:81", true },
        { " a.b , c.d ", "c.d:1", false },       { "a,,b", "x:1", true },                 { "10.0.0.0/8", "10.1.2.3:80", false },
        { "10.0.0.0/8", "11.1.2.3:80", true },   { "10.0.0.0/8", "ten.example:80", true }, { "1.2.3.4", "1.2.3.4:80", false },
        { "1.2.3.4:81", "1.2.3.4:80", true },    { "1.2.3.4:80", "1.2.3.4:80", false },   { "[fd00::1]:80", "[fd00::1]:80", false },
        { "fd00::/8", "[fd00::1]:80", false },   { "::ffff:1.2.3.4", "1.2.3.4:1", false }, { ":80", "x:80", true }, { "3.4", "1.2.3.4:80", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (http_proxy_wanted(str_c(cases[i].no_proxy), str_c(cases[i].host_port)) != cases[i].wanted)
            fail_msg("no_proxy \"%s\", %s", cases[i].no_proxy, cases[i].host_port);
}

static void the_environment_names_a_proxy_by_scheme(void **state)
{
    (void)state;
    static const char *const env[] = { "PATH=/bin", "http_proxy=lower:1", "HTTP_PROXY=upper:2", "https_proxy=http://s:3",
                                       "NO_PROXY=.direct", NULL };
    static const struct {
        const char *url, *proxy;
    } cases[] = {
        { "http://a/", "http://upper:2" }, { "https://a/", "http://s:3" },      { "ftp://a/", "" },
        { "http://x.direct/", "" },        { "http://localhost:9/", "" },
    };
    struct arena a;
    struct http_proxy_rules r;
    arena_init(&a, ARENA_NO_LIMIT);
    http_proxy_rules_from_environ(&r, env);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_url u;
        struct str proxy;
        struct err err;
        assert_true(http_url_parse(&a, str_c(cases[i].url), &u, &err));
        assert_true(http_proxy_for(&a, &r, &u, &proxy, &err));
        if (!str_eq(proxy, str_c(cases[i].proxy)))
            fail_msg("%s: %.*s", cases[i].url, STR_ARG(proxy));
    }
    arena_deinit(&a);
}

static void under_cgi_http_proxy_is_not_trusted(void **state)
{
    (void)state;
    static const char *const env[] = { "HTTP_PROXY=p:1", "REQUEST_METHOD=GET", NULL };
    struct arena a;
    struct http_proxy_rules r;
    struct http_url u;
    struct str proxy;
    struct err err;
    arena_init(&a, ARENA_NO_LIMIT);
    http_proxy_rules_from_environ(&r, env);
    assert_true(http_url_parse(&a, STR("http://a/"), &u, &err));
    assert_false(http_proxy_for(&a, &r, &u, &proxy, &err));
    assert_string_equal(err.text, "refusing to use HTTP_PROXY value in CGI environment; see golang.org/s/cgihttpproxy");
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_proxy_excludes_by_name_suffix_port_address_and_network),
        cmocka_unit_test(the_environment_names_a_proxy_by_scheme),
        cmocka_unit_test(under_cgi_http_proxy_is_not_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
