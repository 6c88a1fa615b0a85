#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/url.h"

#include <string.h>

static void assert_buf(struct buf *b, const char *want)
{
    struct str got = buf_view(b);
    if (got.n != strlen(want) || memcmp(got.p, want, got.n) != 0)
        fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
    buf_reset(b);
}

static void assert_str(struct str got, const char *want)
{
    if (!str_eq(got, str_c(want)))
        fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

/* What Go 1.26's net/url says to each of these. */
static void urls_are_read_and_written_as_go_does(void **state)
{
    (void)state;
    static const struct {
        const char *in, *text; /* NULL: refused */
        const char *uri_or_error, *host, *port, *path;
    } cases[] = {
        { "", "", "/", "", "", "" },
        { "http://a", "http://a", "/", "a", "", "" },
        { "http://a/", "http://a/", "/", "a", "", "/" },
        { "HTTP://A/b?c=d#e", "http://A/b?c=d#e", "/b?c=d", "A", "", "/b" },
        { "http://u:p@h:80/p", "http://u:p@h:80/p", "/p", "h", "80", "/p" },
        { "http://u@h", "http://u@h", "/", "h", "", "" },
        { "http://u:@h", "http://u:@h", "/", "h", "", "" },
        { "http://:p@h", "http://:p@h", "/", "h", "", "" },
        { "http://[::1]:9090/x", "http://[::1]:9090/x", "/x", "::1", "9090", "/x" },
        { "http://[fe80::1%25en0]/", "http://[fe80::1%25en0]/", "/", "fe80::1%en0", "", "/" },
        { "http://[::1", NULL, "parse \"http://[::1\": missing ']' in host", "", "", "" },
        { "http://[1.2.3.4]/", NULL, "parse \"http://[1.2.3.4]/\": invalid IP-literal", "", "", "" },
        { "http://h:x/", NULL, "parse \"http://h:x/\": invalid port \":x\" after host", "", "", "" },
        { "http://h:80:90/", NULL, "parse \"http://h:80:90/\": invalid port \":80:90\" after host", "", "", "" },
        { "foo://h:80:90/", "foo://h:80:90/", "/", "h:80", "90", "/" },
        { "http://h:/p", "http://h:/p", "/p", "h", "", "/p" },
        { "mailto:a@b", "mailto:a@b", "a@b", "", "", "" },
        { "a:b", "a:b", "b", "", "", "" },
        { ":foo", NULL, "parse \":foo\": missing protocol scheme", "", "", "" },
        { "1http://x", NULL, "parse \"1http://x\": first path segment in URL cannot contain colon", "", "", "" },
        { "//h/p", "//h/p", "/p", "h", "", "/p" },
        { "///p", "///p", "///p", "", "", "///p" },
        { "/p/q", "/p/q", "/p/q", "", "", "/p/q" },
        { "p/q", "p/q", "p/q", "", "", "p/q" },
        { "p:q/r", "p:q/r", "q/r", "", "", "" },
        { "./p:q", "./p:q", "./p:q", "", "", "./p:q" },
        { "http://h/%2F%20", "http://h/%2F%20", "/%2F%20", "h", "", "// " },
        { "http://h/a b", "http://h/a%20b", "/a%20b", "h", "", "/a b" },
        { "http://h/%zz", NULL, "parse \"http://h/%zz\": invalid URL escape \"%zz\"", "", "", "" },
        { "http://h%41/", NULL, "parse \"http://h%41/\": invalid URL escape \"%41\"", "", "", "" },
        { "http://h%25/", "http://h%25/", "/", "h%", "", "/" },
        { "http://h/p?", "http://h/p?", "/p?", "h", "", "/p" },
        { "http://h/p??", "http://h/p??", "/p??", "h", "", "/p" },
        { "http://h?x=1", "http://h?x=1", "/?x=1", "h", "", "" },
        { "http://h#", "http://h", "/", "h", "", "" },
        { "http://h/#f%20g", "http://h/#f%20g", "/", "h", "", "/" },
        { "http://h/#%zz", NULL, "parse \"http://h/#%zz\": invalid URL escape \"%zz\"", "", "", "" },
        { "http://h/a%2Fb?c%2Fd#e%2Ff", "http://h/a%2Fb?c%2Fd#e%2Ff", "/a%2Fb?c%2Fd", "h", "", "/a/b" },
        { "http://h<>/", "http://h<>/", "/", "h<>", "", "/" },
        { "http://h h/", NULL, "parse \"http://h h/\": invalid character \" \" in host name", "", "", "" },
        { "http://h/\001", NULL, "parse \"http://h/\\x01\": net/url: invalid control character in URL", "", "", "" },
        { "*", "*", "*", "", "", "*" },
        { "http://h/*", "http://h/*", "/*", "h", "", "/*" },
        { "http:///p", "http:///p", "/p", "", "", "/p" },
        { "http:/p", "http:/p", "/p", "", "", "/p" },
        { "http:p", "http:p", "p", "", "", "" },
        { "file:///etc/x", "file:///etc/x", "/etc/x", "", "", "/etc/x" },
        { "http://a@b@c/", "http://a%40b@c/", "/", "c", "", "/" },
        { "http://a^b@c/", NULL, "parse \"http://a^b@c/\": net/url: invalid userinfo", "", "", "" },
        { "http://\303\251/\303\274?\303\266#\303\244", "http://%C3%A9/%C3%BC?\303\266#%C3%A4", "/%C3%BC?\303\266", "\303\251", "", "/\303\274" },
        { "http://h/!$&'()*+,;=:@[]", "http://h/!$&'()*+,;=:@[]", "/!$&'()*+,;=:@[]", "h", "", "/!$&'()*+,;=:@[]" },
        { "http://h/\"<>\\^`{|}~", "http://h/%22%3C%3E%5C%5E%60%7B%7C%7D~", "/%22%3C%3E%5C%5E%60%7B%7C%7D~", "h", "", "/\"<>\\^`{|}~" },
        { "http://h/#!$&'()*+,;=:@/?[]\"<>", "http://h/#!$&%27()*+,;=:@/?%5B%5D%22%3C%3E", "/", "h", "", "/" },
        { "x+y-z.1://h", "x+y-z.1://h", "/", "h", "", "" },
        { "http://%C3%A9/", "http://%C3%A9/", "/", "\303\251", "", "/" },
        { "http://h/?a=b c&d=<>", "http://h/?a=b c&d=<>", "/?a=b c&d=<>", "h", "", "/" },
        { "http://h/%", NULL, "parse \"http://h/%\": invalid URL escape \"%\"", "", "", "" },
        { "http://h/%4", NULL, "parse \"http://h/%4\": invalid URL escape \"%4\"", "", "", "" },
        { "http://u%40x:p%3Aq@h/", "http://u%40x:p%3Aq@h/", "/", "h", "", "/" },
        { "http://u:p:q@h/", "http://u:p%3Aq@h/", "/", "h", "", "/" },
        { "http://h//a//b/../c/./", "http://h//a//b/../c/./", "//a//b/../c/./", "h", "", "//a//b/../c/./" },
        { "unix:/run/x.sock", "unix:/run/x.sock", "/run/x.sock", "", "", "/run/x.sock" },
        { "http://[::ffff:1.2.3.4]/", "http://[::ffff:1.2.3.4]/", "/", "::ffff:1.2.3.4", "", "/" },
        { "http://[::1]x/", NULL, "parse \"http://[::1]x/\": invalid port \"x\" after host", "", "", "" },
        { "http://a]b/", "http://a]b/", "/", "a]b", "", "/" },
        { "http://a[b/", NULL, "parse \"http://a[b/\": invalid IP-literal", "", "", "" },
    };
    struct arena a;
    struct buf b = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_url u;
        struct err err;
        bool ok = http_url_parse(&a, str_c(cases[i].in), &u, &err);
        if (ok != (cases[i].text != NULL))
            fail_msg("\"%s\": %s", cases[i].in, ok ? "taken" : err.text);
        if (!ok) {
            assert_string_equal(err.text, cases[i].uri_or_error);
            continue;
        }
        http_url_write(&b, &u);
        assert_buf(&b, cases[i].text);
        http_url_request_uri(&b, &u);
        assert_buf(&b, cases[i].uri_or_error);
        assert_str(http_url_hostname(&u), cases[i].host);
        assert_str(http_url_port(&u), cases[i].port);
        assert_str(u.path, cases[i].path);
    }
    buf_deinit(&b);
    arena_deinit(&a);
}

static void references_resolve_as_rfc_3986_and_go_say(void **state)
{
    (void)state;
    static const struct {
        const char *base, *ref, *want;
    } cases[] = {
        { "http://a/b/c/d;p?q", "g:h", "g:h" },
        { "http://a/b/c/d;p?q", "g", "http://a/b/c/g" },
        { "http://a/b/c/d;p?q", "./g", "http://a/b/c/g" },
        { "http://a/b/c/d;p?q", "g/", "http://a/b/c/g/" },
        { "http://a/b/c/d;p?q", "/g", "http://a/g" },
        { "http://a/b/c/d;p?q", "//g", "http://g" },
        { "http://a/b/c/d;p?q", "?y", "http://a/b/c/d;p?y" },
        { "http://a/b/c/d;p?q", "g?y", "http://a/b/c/g?y" },
        { "http://a/b/c/d;p?q", "#s", "http://a/b/c/d;p?q#s" },
        { "http://a/b/c/d;p?q", "g#s", "http://a/b/c/g#s" },
        { "http://a/b/c/d;p?q", ";x", "http://a/b/c/;x" },
        { "http://a/b/c/d;p?q", "", "http://a/b/c/d;p?q" },
        { "http://a/b/c/d;p?q", ".", "http://a/b/c/" },
        { "http://a/b/c/d;p?q", "./", "http://a/b/c/" },
        { "http://a/b/c/d;p?q", "..", "http://a/b/" },
        { "http://a/b/c/d;p?q", "../", "http://a/b/" },
        { "http://a/b/c/d;p?q", "../g", "http://a/b/g" },
        { "http://a/b/c/d;p?q", "../..", "http://a/" },
        { "http://a/b/c/d;p?q", "../../../g", "http://a/g" },
        { "http://a/b/c/d;p?q", "/./g", "http://a/g" },
        { "http://a/b/c/d;p?q", "/../g", "http://a/g" },
        { "http://a/b/c/d;p?q", "g.", "http://a/b/c/g." },
        { "http://a/b/c/d;p?q", "..g", "http://a/b/c/..g" },
        { "http://a/b/c/d;p?q", "./g/.", "http://a/b/c/g/" },
        { "http://a/b/c/d;p?q", "g/./h", "http://a/b/c/g/h" },
        { "http://a/b/c/d;p?q", "g/../h", "http://a/b/c/h" },
        { "http://a/b/c/d;p?q", "http://x/%2e/../y", "http://x/y" },
        { "http://a/b/c/d;p?q", "%2F/../z", "http://a/b/c/z" },
        { "http://a/b/c/d;p?q", "a%20b", "http://a/b/c/a%20b" },
        { "http://a", "g:h", "g:h" },
        { "http://a", "g", "http://a/g" },
        { "http://a", "./g", "http://a/g" },
        { "http://a", "g/", "http://a/g/" },
        { "http://a", "/g", "http://a/g" },
        { "http://a", "//g", "http://g" },
        { "http://a", "?y", "http://a?y" },
        { "http://a", "g?y", "http://a/g?y" },
        { "http://a", "#s", "http://a#s" },
        { "http://a", "g#s", "http://a/g#s" },
        { "http://a", ";x", "http://a/;x" },
        { "http://a", "", "http://a" },
        { "http://a", ".", "http://a/" },
        { "http://a", "./", "http://a/" },
        { "http://a", "..", "http://a/" },
        { "http://a", "../", "http://a/" },
        { "http://a", "../g", "http://a/g" },
        { "http://a", "../..", "http://a/" },
        { "http://a", "../../../g", "http://a/g" },
        { "http://a", "/./g", "http://a/g" },
        { "http://a", "/../g", "http://a/g" },
        { "http://a", "g.", "http://a/g." },
        { "http://a", "..g", "http://a/..g" },
        { "http://a", "./g/.", "http://a/g/" },
        { "http://a", "g/./h", "http://a/g/h" },
        { "http://a", "g/../h", "http://a/h" },
        { "http://a", "http://x/%2e/../y", "http://x/y" },
        { "http://a", "%2F/../z", "http://a/z" },
        { "http://a", "a%20b", "http://a/a%20b" },
        { "mailto:x", "g:h", "g:h" },
        { "mailto:x", "g", "mailto:///g" },
        { "mailto:x", "./g", "mailto:///g" },
        { "mailto:x", "g/", "mailto:///g/" },
        { "mailto:x", "/g", "mailto:///g" },
        { "mailto:x", "//g", "mailto://g" },
        { "mailto:x", "?y", "mailto:x?y" },
        { "mailto:x", "g?y", "mailto:///g?y" },
        { "mailto:x", "#s", "mailto:x#s" },
        { "mailto:x", "g#s", "mailto:///g#s" },
        { "mailto:x", ";x", "mailto:///;x" },
        { "mailto:x", "", "mailto:x" },
        { "mailto:x", ".", "mailto:///" },
        { "mailto:x", "./", "mailto:///" },
        { "mailto:x", "..", "mailto:///" },
        { "mailto:x", "../", "mailto:///" },
        { "mailto:x", "../g", "mailto:///g" },
        { "mailto:x", "../..", "mailto:///" },
        { "mailto:x", "../../../g", "mailto:///g" },
        { "mailto:x", "/./g", "mailto:///g" },
        { "mailto:x", "/../g", "mailto:///g" },
        { "mailto:x", "g.", "mailto:///g." },
        { "mailto:x", "..g", "mailto:///..g" },
        { "mailto:x", "./g/.", "mailto:///g/" },
        { "mailto:x", "g/./h", "mailto:///g/h" },
        { "mailto:x", "g/../h", "mailto:///h" },
        { "mailto:x", "http://x/%2e/../y", "http://x/y" },
        { "mailto:x", "%2F/../z", "mailto:///z" },
        { "mailto:x", "a%20b", "mailto:///a%20b" },
    };
    struct arena a;
    struct buf b = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_url base, ref, out;
        struct err err;
        assert_true(http_url_parse(&a, str_c(cases[i].base), &base, &err));
        assert_true(http_url_parse(&a, str_c(cases[i].ref), &ref, &err));
        http_url_resolve(&a, &base, &ref, &out);
        http_url_write(&b, &out);
        assert_buf(&b, cases[i].want);
    }
    buf_deinit(&b);
    arena_deinit(&a);
}

static void paths_are_joined_and_cleaned(void **state)
{
    (void)state;
    static const struct {
        const char *base, *first, *second, *want;
    } cases[] = {
        { "http://h", "a", NULL, "http://h/a" },
        { "http://h/", "a", NULL, "http://h/a" },
        { "http://h/x/", "/a/", "b", "http://h/x/a/b" },
        { "http://h/x", "../a", NULL, "http://h/a" },
        { "http://h/x", "a/", NULL, "http://h/x/a/" },
        { "http://h/x?q", "", NULL, "http://h/x?q" },
        { "http://h/a%2Fb", "c%2Fd", NULL, "http://h/a%2Fb/c%2Fd" },
        { "x/y", "z", NULL, "x/y/z" },
    };
    static const char *const clean[][2] = {
        { "", "." }, { "/", "/" }, { "a/../..", ".." }, { "/..", "/" }, { "a//b/./c/", "a/b/c" }, { "../a", "../a" },
        { "a/../../b", "../b" }, { "/a/b/../../..", "/" }, { "./", "." },
    };
    struct arena a;
    struct buf b = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_url base, out;
        struct err err;
        const struct str elems[] = { str_c(cases[i].first), str_c(cases[i].second) };
        assert_true(http_url_parse(&a, str_c(cases[i].base), &base, &err));
        assert_true(http_url_join(&a, &base, elems, cases[i].second ? 2 : 1, &out));
        http_url_write(&b, &out);
        assert_buf(&b, cases[i].want);
    }
    for (size_t i = 0; i < ARRAY_LEN(clean); i++)
        assert_str(http_path_clean(&a, str_c(clean[i][0])), clean[i][1]);
    buf_deinit(&b);
    arena_deinit(&a);
}

static void escapes_are_those_of_query_and_path(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct err err;
    http_query_escape(&b, STR("a b&c=d/\303\251~-_.!*'()"));
    assert_buf(&b, "a+b%26c%3Dd%2F%C3%A9~-_.%21%2A%27%28%29");
    http_path_escape(&b, STR("a b&c=d/\303\251;,?"));
    assert_buf(&b, "a%20b&c=d%2F%C3%A9%3B%2C%3F");
    assert_true(http_query_unescape(&b, STR("a+b%2fc"), &err));
    assert_buf(&b, "a b/c");
    assert_true(http_path_unescape(&b, STR("a+b%2fc"), &err));
    assert_buf(&b, "a+b/c");
    assert_false(http_query_unescape(&b, STR("%zz"), &err));
    assert_string_equal(err.text, "invalid URL escape \"%zz\"");
    assert_false(http_query_unescape(&b, STR("x%4"), &err));
    assert_string_equal(err.text, "invalid URL escape \"%4\"");
    buf_deinit(&b);
}

static void passwords_can_be_redacted_and_requests_must_be_absolute(void **state)
{
    (void)state;
    struct arena a;
    struct buf b = { 0 };
    struct http_url u;
    struct err err;
    arena_init(&a, ARENA_NO_LIMIT);
    assert_true(http_url_parse(&a, STR("http://u:secret@h/"), &u, &err));
    http_url_write_redacted(&b, &u);
    assert_buf(&b, "http://u:xxxxx@h/");
    assert_false(http_url_parse_request(&a, STR("p/q"), &u, &err));
    assert_string_equal(err.text, "parse \"p/q\": invalid URI for request");
    assert_false(http_url_parse_request(&a, STR(""), &u, &err));
    assert_string_equal(err.text, "parse \"\": empty url");
    assert_true(http_url_parse_request(&a, STR("//h/p"), &u, &err));
    assert_str(u.path, "//h/p");
    buf_fill(&b, 'x', HTTP_URL_BYTES_MAX + 1);
    assert_false(http_url_parse(&a, buf_view(&b), &u, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    buf_deinit(&b);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_read_and_written_as_go_does),
        cmocka_unit_test(references_resolve_as_rfc_3986_and_go_say),
        cmocka_unit_test(paths_are_joined_and_cleaned),
        cmocka_unit_test(escapes_are_those_of_query_and_path),
        cmocka_unit_test(passwords_can_be_redacted_and_requests_must_be_absolute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
