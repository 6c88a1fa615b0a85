#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/rsa.h"
#include "http/oauth.h"
#include "yaml/doc.h"

#include <gnutls/x509.h>

static void assert_str(struct str got, const char *want)
{
    if (!str_eq(got, str_c(want)))
        fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

static struct http_oauth2_config config(void)
{
    static const struct str scopes[] = { STR_INIT("read"), STR_INIT("write all") };
    static const struct str_pair params[] = { { STR_INIT("audience"), STR_INIT("x&y") }, { STR_INIT("zone"), STR_INIT("1") } };
    return (struct http_oauth2_config){
        .client_id = STR("my id"),
        .token_url = STR("http://t/token"),
        .scopes = { scopes, 2 },
        .endpoint_params = { params, 2 },
    };
}

static void client_credentials_are_sent_by_header_or_in_the_form(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    struct http_oauth2_config c = config();
    assert_false(oauth_is_jwt(&c));
    assert_str(oauth_client_form(&a, &c, STR("s"), false),
               "audience=x%26y&grant_type=client_credentials&scope=read+write+all&zone=1");
    assert_str(oauth_client_form(&a, &c, STR("s&"), true),
               "audience=x%26y&client_id=my+id&client_secret=s%26&grant_type=client_credentials&scope=read+write+all&zone=1");
    assert_str(oauth_authorization(&a, &c, STR("s&")), "Basic bXkraWQ6cyUyNg=="); /* my+id:s%26 */
    arena_deinit(&a);
}

static void answers_become_tokens_or_errors_in_gos_words(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *type, *body, *authorization;
        int64_t lifetime_ms;
        const char *error;
    } cases[] = {
        { 200, "application/json", "{\"access_token\":\"t\",\"token_type\":\"bearer\",\"expires_in\":60}", "Bearer t", 60000, NULL },
        { 200, "application/json;charset=utf-8", "{\"access_token\":\"t\",\"expires_in\":\"90\",\"x\":[1,{}]}", "Bearer t", 90000, NULL },
        { 201, "", "{\"access_token\":\"t\",\"token_type\":\"MAC\"}", "MAC t", INT64_MAX, NULL },
        { 200, "application/json", "{\"access_token\":\"t\",\"token_type\":\"Custom\",\"expires_in\":0}", "Custom t", INT64_MAX, NULL },
        { 200, "application/x-www-form-urlencoded", "access_token=a%2Bb&token_type=bearer&expires_in=5", "Bearer a+b", 5000, NULL },
        { 200, "text/plain", "access_token=t", "Bearer t", INT64_MAX, NULL },
        { 200, "application/json", "{}", NULL, 0, "oauth2: server response missing access_token" },
        { 200, "application/json", "{\"access_token\":\"a\\nb\"}", NULL, 0,
          "oauth2: server response has control characters in its token" },
        { 401, "application/json", "{\"error\":\"invalid_client\",\"error_description\":\"no \\\"way\\\"\"}", NULL, 0,
          "oauth2: \"invalid_client\" \"no \\\"way\\\"\"" },
        { 200, "application/json", "{\"error\":\"e\",\"access_token\":\"t\"}", NULL, 0, "oauth2: \"e\"" },
        { 500, "text/html", "oops", NULL, 0, "oauth2: cannot fetch token: 500 Internal Server Error\nResponse: oops" },
    };
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct oauth_token token;
        struct err err;
        bool ok = oauth_parse(&a, cases[i].status, str_c(cases[i].type), str_c(cases[i].body), &token, &err);
        if (ok != (cases[i].error == NULL))
            fail_msg("case %zu: %s", i, ok ? "taken" : err.text);
        if (!ok) {
            assert_string_equal(err.text, cases[i].error);
            continue;
        }
        assert_str(token.authorization, cases[i].authorization);
        assert_true(token.lifetime_ms == cases[i].lifetime_ms);
    }
    struct oauth_token token;
    struct err err;
    assert_false(oauth_parse(&a, 200, STR("application/json"), STR("{"), &token, &err));
    assert_memory_equal(err.text, "oauth2: cannot parse json: ", 27);
    arena_deinit(&a);
}

static struct str decode(struct arena *a, struct str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    uint32_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        const char *at = strchr(digits, s.p[i]);
        assert_non_null(at);
        v = v << 6 | (uint32_t)(at - digits);
        if (i % 4)
            out[n++] = (char)(v >> (6 - 2 * (i % 4)));
    }
    return str_of(out, n);
}

static void an_assertion_is_signed_and_carries_the_configured_claims(void **state)
{
    (void)state;
    gnutls_x509_privkey_t key;
    gnutls_datum_t pem;
    struct arena a;
    struct yaml_doc doc = { 0 };
    struct err err;
    struct str form, jwt, head, claims, rest;
    arena_init(&a, ARENA_NO_LIMIT);
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, 2048, 0), 0);
    assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), 0);
    assert_true(yaml_parse(&doc, STR("{sub: other, n: 3, list: [a, true, null, 1.5], deep: {k: v}}"), &err));
    struct http_oauth2_config c = config();
    c.grant_type = STR(HTTP_OAUTH2_GRANT_JWT);
    c.signature_algorithm = STR("RS384");
    c.client_certificate_key_id = STR("kid1");
    c.endpoint_params.n = 0;
    c.claims = doc.root;
    assert_true(oauth_is_jwt(&c));
    struct str pem_text = str_of((const char *)pem.data, pem.size);
    assert_true(oauth_jwt_form(&a, &c, pem_text, (struct wire_time){ 1000, 0 }, STR("jti-1"), &form, &err));
    assert_true(str_starts(form, STR("assertion=")));
    size_t end = str_find_byte(form, '&');
    assert_str(str_from(form, end), "&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&scope=read+write+all");
    jwt = str_sub(form, 10, end - 10);
    rest = jwt;
    assert_true(str_split(&rest, '.', &head));
    assert_true(str_split(&rest, '.', &claims));
    assert_str(decode(&a, head), "{\"alg\":\"RS384\",\"kid\":\"kid1\",\"typ\":\"JWT\"}");
    assert_str(decode(&a, claims),
               "{\"iss\":\"my id\",\"aud\":\"http://t/token\",\"jti\":\"jti-1\",\"scope\":\"read write all\",\"iat\":1000,\"exp\":4600,"
               "\"sub\":\"other\",\"n\":3,\"list\":[\"a\",true,null,1.5],\"deep\":{\"k\":\"v\"}}");
    struct str signed_part = str_sub(jwt, 0, head.n + 1 + claims.n);
    assert_true(rsa_verify(pem_text, RSA_SHA384, signed_part, decode(&a, rest), &err));
    assert_false(oauth_jwt_form(&a, &c, STR("no key"), (struct wire_time){ 1000, 0 }, STR("j"), &form, &err));
    yaml_doc_deinit(&doc);
    gnutls_free(pem.data);
    gnutls_x509_privkey_deinit(key);
    arena_deinit(&a);
}

static void equal_configurations_share_a_key_and_every_part_counts(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    struct http_oauth2_config c = config(), d = config();
    struct str key = oauth_cache_key(&a, &c, STR("s"));
    assert_true(str_eq(key, oauth_cache_key(&a, &d, STR("s"))));
    assert_false(str_eq(key, oauth_cache_key(&a, &c, STR("t"))));
    d.scopes.n = 1;
    assert_false(str_eq(key, oauth_cache_key(&a, &d, STR("s"))));
    d = config();
    d.client_id = STR("my i");
    d.iss = STR("d");
    assert_false(str_eq(key, oauth_cache_key(&a, &d, STR("s"))));
    assert_false(str_contains(key, STR("my id")));
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_credentials_are_sent_by_header_or_in_the_form),
        cmocka_unit_test(answers_become_tokens_or_errors_in_gos_words),
        cmocka_unit_test(an_assertion_is_signed_and_carries_the_configured_claims),
        cmocka_unit_test(equal_configurations_share_a_key_and_every_part_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
