#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/auth.h"

static void basic_credentials_go_there_and_back(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        { "Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" },
        { "u", "p", "Basic dTpw" },
        { "", "", "Basic Og==" },
        { "user", "pa:ss:\303\251", "Basic dXNlcjpwYTpzczrDqQ==" },
    };
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = { 0 };
        struct str user, password;
        http_basic_write(&b, str_c(cases[i][0]), str_c(cases[i][1]));
        assert_string_equal(b.p, cases[i][2]);
        assert_true(http_basic_parse(&a, buf_view(&b), &user, &password));
        assert_true(str_eq(user, str_c(cases[i][0])));
        assert_true(str_eq(password, str_c(cases[i][1])));
        buf_deinit(&b);
    }
    static const char *const bad[] = { "", "Basic", "Basic ", "Bearer dTpw", "Basic dTp", "Basic dTpw=", "Basic !!!!", "Basic dXA=",
                                       "Basic d=pw", "Basic dTpwd" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct str user, password;
        if (http_basic_parse(&a, str_c(bad[i]), &user, &password))
            fail_msg("\"%s\" was taken", bad[i]);
    }
    struct str user, password;
    assert_true(http_basic_parse(&a, STR("bAsIc dTpw"), &user, &password));
    arena_deinit(&a);
}

/* Expected values from another implementation, which was checked with AWS's published vector get-vanilla. */
static void requests_are_signed_as_aws_wants(void **state)
{
    (void)state;
    static const struct http_header form = { STR_INIT("Content-Type"),
                                             STR_INIT("application/x-www-form-urlencoded; charset=utf-8") };
    static const struct http_header thing = { STR_INIT("X-Thing"), STR_INIT("  a   b ") };
#define APS "https://aps.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote%20write?b=2%20x&a=1&a="
    static const struct {
        const char *method, *url, *region, *service, *token;
        const struct http_header *header;
        struct str body;
        size_t count;
        const char *want;
    } cases[] = {
        { "GET", "https://example.amazonaws.com/", "us-east-1", "service", "", NULL, STR_INIT(""), 2,
          "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "
          "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
        { "POST", "https://sns.us-east-1.amazonaws.com:443", "us-east-1", "sns", "", &form, STR_INIT("Action=Publish&Message=hi"), 2,
          "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/sns/aws4_request, "
          "SignedHeaders=content-type;host;x-amz-date, "
          "Signature=4923d4aa05e3a7f5561d18851e59845cef7385bfedef708ca3ba65a0626f2ca5" },
        { "POST", APS, "eu-west-1", "aps", "", &thing, STR_INIT("\0\1"), 2, 
          "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/aps/aws4_request, "
          "SignedHeaders=host;x-amz-date;x-thing, "
          "Signature=a265c538595566c768c003c02cf10e017a827b2de6c3e49ed9c1f6406cc56275" },
        { "POST", APS, "eu-west-1", "aps", "tok/en==", &thing, STR_INIT("\0\1"), 3, 
          "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/aps/aws4_request, "
          "SignedHeaders=host;x-amz-date;x-amz-security-token;x-thing, "
          "Signature=fe077bf96c11f5cc56e2dd06180fca9ba76dc3baaa0140324b9cd12dca69d5e8" },
        { "PUT", "https://b.s3.amazonaws.com/a%20b", "us-east-1", "s3", "", NULL, STR_INIT("x"), 3, 
          "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/s3/aws4_request, "
          "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
          "Signature=4adba32f2ae3c469697827f56b7e0946267c176363bc2005471845260cc90111" },
    };
    const struct sigv4_credentials keys = { .access_key = STR("AKIDEXAMPLE"),
                                            .secret_key = STR("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY") };
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_url u;
        struct err err;
        struct http_header out[SIGV4_HEADERS_MAX];
        struct sigv4_credentials cred = keys;
        cred.session_token = str_c(cases[i].token);
        assert_true(http_url_parse(&a, str_c(cases[i].url), &u, &err));
        const struct sigv4_request req = { .method = str_c(cases[i].method), .url = &u, .headers = cases[i].header,
                                           .headers_count = cases[i].header ? 1 : 0, .body = cases[i].body,
                                           .region = str_c(cases[i].region), .service = str_c(cases[i].service),
                                           .now = { 1440938160, 5 } };
        size_t n = sigv4_sign(&a, &req, &cred, out);
        assert_int_equal(n, cases[i].count);
        assert_true(str_eq(out[0].value, STR("20150830T123600Z")));
        assert_true(str_eq(out[n - 1].name, STR("Authorization")));
        if (!str_eq(out[n - 1].value, str_c(cases[i].want)))
            fail_msg("case %zu: %.*s", i, STR_ARG(out[n - 1].value));
    }
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(basic_credentials_go_there_and_back),
        cmocka_unit_test(requests_are_signed_as_aws_wants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
