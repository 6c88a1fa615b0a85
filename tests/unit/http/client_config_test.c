#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/client_config.h"
#include "yaml/doc.h"

struct fixture {
    struct arena arena;
    struct yaml_doc doc;
    struct http_client_config c;
    struct err err;
};

static bool bind(struct fixture *f, const char *text)
{
    *f = (struct fixture){ 0 };
    arena_init(&f->arena, 1 << 20);
    struct binding b = { .arena = &f->arena };
    return yaml_parse(&f->doc, str_c(text), &f->err) &&
           bind_document(&b, &http_client_config_bind, f->doc.root, &f->c, &f->err);
}

static void done(struct fixture *f)
{
    yaml_doc_deinit(&f->doc);
    arena_deinit(&f->arena);
}

static void refuses(const char *text, const char *want)
{
    struct fixture f;
    if (bind(&f, text))
        fail_msg("`%s` was taken", text);
    assert_string_equal(f.err.text, want);
    done(&f);
}

static void only_one_way_to_authenticate(void **state)
{
    (void)state;
    refuses("{bearer_token: a, bearer_token_file: b}", "at most one of bearer_token & bearer_token_file must be configured");
    refuses("{bearer_token: a, basic_auth: {}}",
            "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured");
    refuses("{basic_auth: {username: a, username_ref: b}}",
            "at most one of basic_auth username, username_file & username_ref must be configured");
    refuses("{basic_auth: {password: a, password_file: b}}",
            "at most one of basic_auth password, password_file & password_ref must be configured");
    refuses("{authorization: {}, bearer_token: a}", "authorization is not compatible with bearer_token & bearer_token_file");
    refuses("{authorization: {type: ' bAsIc '}}",
            "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    refuses("{authorization: {}, basic_auth: {}}", "at most one of basic_auth, oauth2 & authorization must be configured");
    refuses("{oauth2: {client_id: a, token_url: b}, basic_auth: {}}",
            "at most one of basic_auth, oauth2 & authorization must be configured");
}

static void oauth2_needs_its_parts(void **state)
{
    (void)state;
    refuses("{oauth2: {token_url: b}}", "oauth2 client_id must be configured");
    refuses("{oauth2: {client_id: a}}", "oauth2 token_url must be configured");
    refuses("{oauth2: {client_id: a, token_url: b, client_secret: c, client_secret_file: d}}",
            "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured using "
            "grant-type=client_credentials");
    refuses("{oauth2: {client_id: a, token_url: b, grant_type: '" HTTP_OAUTH2_GRANT_JWT "', signature_algorithm: X}}",
            "valid signature algorithms are RS256, RS384 and RS512");
    struct fixture f;
    assert_true(bind(&f, "{oauth2: {client_id: a, token_url: b}}")); /* the secret is missed by each request */
    done(&f);
}

static void proxies_must_make_sense(void **state)
{
    (void)state;
    refuses("{no_proxy: a}", "if no_proxy is configured, proxy_url must also be configured");
    refuses("{proxy_from_environment: true, proxy_url: 'http://p'}",
            "if proxy_from_environment is configured, proxy_url must not be configured");
    refuses("{proxy_from_environment: true, no_proxy: a}",
            "if proxy_from_environment is configured, no_proxy must not be configured");
    refuses("{proxy_connect_header: {A: [b]}}",
            "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured");
    refuses("{oauth2: {client_id: a, token_url: b, no_proxy: c}}", "if no_proxy is configured, proxy_url must also be configured");
}

static void certificates_come_with_keys(void **state)
{
    (void)state;
    refuses("{tls_config: {ca: a, ca_file: b}}", "at most one of ca, ca_file & ca_ref must be configured");
    refuses("{tls_config: {cert: a, cert_ref: b}}", "at most one of cert, cert_file & cert_ref must be configured");
    refuses("{tls_config: {key: a, key_file: b}}", "at most one of key and key_file must be configured");
    refuses("{tls_config: {cert: a}}",
            "exactly one of key or key_file must be configured when a client certificate is configured");
    refuses("{tls_config: {key_file: a}}",
            "exactly one of cert or cert_file must be configured when a client key is configured");
    refuses("{http_headers: {host: {values: [a]}}}", "setting header \"Host\" is not allowed");
}

static void some_faults_show_when_a_client_is_built(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    assert_true(bind(&f, "{tls_config: {min_version: TLS13, max_version: TLS12}}"));
    assert_false(http_client_config_check_build(&f.c, &err));
    assert_string_equal(err.text, "tls_config.max_version must be greater than or equal to tls_config.min_version if both are "
                                  "specified");
    done(&f);
    assert_true(bind(&f, "{authorization: {credentials_ref: a}}"));
    assert_false(http_client_config_check_build(&f.c, &err));
    assert_string_equal(err.text, "unable to use credentials: cannot use secret ref without manager");
    done(&f);
    assert_true(bind(&f, "{}"));
    assert_true(http_client_config_check_build(&f.c, &err));
    assert_true(f.c.follow_redirects && f.c.enable_http2);
    done(&f);
}

static void bearer_tokens_become_authorization(void **state)
{
    (void)state;
    struct fixture f;
    assert_true(bind(&f, "{bearer_token: t, http_headers: {b: {files: [x, /y]}, a: {values: [1]}}}"));
    assert_true(str_eq(f.c.authorization->type, STR("Bearer")) && str_eq(f.c.authorization->credentials, STR("t")));
    assert_true(f.c.bearer_token.n == 0);
    assert_true(str_eq(f.c.http_headers[0].name, STR("a")));
    http_client_config_resolve(&f.c, STR("/etc"), &f.arena);
    assert_true(str_eq(f.c.http_headers[1].files.v[0], STR("/etc/x")) && str_eq(f.c.http_headers[1].files.v[1], STR("/y")));
    assert_true(str_eq(http_join_dir(&f.arena, STR("."), STR("a/../b")), STR("b")));
    assert_true(http_join_dir(&f.arena, STR("/x"), STR_EMPTY).n == 0);
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_one_way_to_authenticate),
        cmocka_unit_test(oauth2_needs_its_parts),
        cmocka_unit_test(proxies_must_make_sense),
        cmocka_unit_test(certificates_come_with_keys),
        cmocka_unit_test(some_faults_show_when_a_client_is_built),
        cmocka_unit_test(bearer_tokens_become_authorization),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
