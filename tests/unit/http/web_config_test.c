#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/web_config.h"

#define HASH "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"

static void refuses(const char *text, const char *want)
{
    struct arena a;
    struct web_config c;
    struct err err = { 0 };
    arena_init(&a, 1 << 20);
    if (web_config_parse(&a, str_c(text), STR("/etc"), NULL, &c, &err))
        fail_msg("`%s` was taken", text);
    assert_string_equal(err.text, want);
    arena_deinit(&a);
}

static void a_whole_file_is_read(void **state)
{
    (void)state;
    struct arena a;
    struct notices notices;
    struct web_config c;
    struct err err = { 0 };
    arena_init(&a, 1 << 20);
    notices_init(&notices);
    assert_true(web_config_parse(
        &a,
        STR("tls_server_config: {cert_file: c.pem, key: KEY, client_auth_type: RequireAndVerifyClientCert,\n"
            "  client_ca_file: /ca, cipher_suites: [TLS_AES_128_GCM_SHA256], min_version: TLS13}\n"
            "http_server_config: {http2: false, headers: {X-Frame-Options: deny}}\n"
            "basic_auth_users: {a: '" HASH "'}\nrate_limit: {interval: 100ms, burst: 5}\n"),
        STR("/etc"), &notices, &c, &err));
    assert_true(c.tls_enabled && str_eq(c.tls.cert_file, STR("/etc/c.pem")) &&
                str_eq(c.tls.client_ca_file, STR("/ca")));
    assert_int_equal(c.tls.client_auth, WEB_CLIENT_AUTH_REQUIRE_AND_VERIFY);
    assert_int_equal(c.tls.min_version, HTTP_TLS_13);
    assert_int_equal(c.tls.max_version, HTTP_TLS_13);
    assert_true(c.tls.prefer_server_cipher_suites);
    assert_int_equal(c.rate_limit.interval_ns, 100000000);
    assert_true(str_eq(str_map_get(&c.users, STR("a")), STR(HASH)));
    assert_int_equal(notices.n, 1);
    notices_deinit(&notices);
    arena_deinit(&a);
}

static void an_empty_file_switches_everything_off(void **state)
{
    (void)state;
    struct arena a;
    struct web_config c;
    struct err err = { 0 };
    arena_init(&a, 1 << 20);
    assert_true(web_config_parse(&a, STR("# nothing\n"), STR("/etc"), NULL, &c, &err));
    assert_true(!c.tls_enabled && c.users.n == 0 && c.http.http2);
    arena_deinit(&a);
}

static void objections_are_the_toolkits(void **state)
{
    (void)state;
    refuses("foo: 1", "yaml: unmarshal errors:\n  line 1: field foo not found in type web.Config");
    refuses("tls_server_config: {foo: 1}",
            "yaml: unmarshal errors:\n  line 1: field foo not found in type web.TLSConfig");
    refuses("tls_server_config: {key_file: a}", "missing one of cert or cert_file");
    refuses("tls_server_config: {cert: a}", "missing one of key or key_file");
    refuses("tls_server_config: {cert: a, key: b, client_auth_type: X}", "Invalid ClientAuth: X");
    refuses("tls_server_config: {cert: a, key: b, client_ca: c}",
            "Client CA's have been configured without a Client Auth Policy");
    refuses("tls_server_config: {cipher_suites: [a]}", "unknown cipher: a");
    refuses("tls_server_config: {curve_preferences: [a]}", "unknown curve: a");
    refuses("tls_server_config: {min_version: TLS9}", "unknown TLS version: TLS9");
    refuses("http_server_config: {headers: {X-Foo: a}}", "HTTP header \"X-Foo\" can not be configured");
    refuses("http_server_config: {headers: {X-Frame-Options: a}}",
            "invalid value for X-Frame-Options. Expected one of: [\"deny\" \"sameorigin\"], but got: \"a\"");
    refuses("http_server_config: {headers: {X-Content-Type-Options: a}}",
            "invalid value for X-Content-Type-Options. Expected one of: [\"nosniff\"], but got: \"a\"");
    refuses("basic_auth_users: {a: b}", "crypto/bcrypt: hashedSecret too short to be a bcrypted password");
}

static void the_mesh_needs_both_sides(void **state)
{
    (void)state;
    struct arena a;
    struct cluster_tls_config c;
    struct err err = { 0 };
    arena_init(&a, 1 << 20);
    assert_true(cluster_tls_config_parse(&a, STR("tls_server_config: {cert_file: c, key_file: k}\n"), STR("/m"),
                                         NULL, &c, &err));
    assert_true(str_eq(c.server.cert_file, STR("/m/c")) && c.client.ca_file.n == 0);
    assert_false(cluster_tls_config_parse(&a, STR("tls_client_config: {}\n"), STR("/m"), NULL, &c, &err));
    assert_string_equal(err.text, "missing 'tls_server_config' entry in the TLS configuration");
    assert_false(cluster_tls_config_parse(&a, STR("tls_server_config: {cert: c, key: k}\ntls_client_config:\n"),
                                          STR("/m"), NULL, &c, &err));
    assert_string_equal(err.text, "missing 'tls_client_config' entry in the TLS configuration");
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_read),
        cmocka_unit_test(an_empty_file_switches_everything_off),
        cmocka_unit_test(objections_are_the_toolkits),
        cmocka_unit_test(the_mesh_needs_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
