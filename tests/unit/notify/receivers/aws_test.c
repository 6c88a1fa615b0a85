#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/notify/receivers/drive.h"

/* The environment of a test: pairs, ended by NULL. */
static const char *const *variables;

static struct str environment(const char *name)
{
    for (const char *const *v = variables; *v; v += 2)
        if (strcmp(v[0], name) == 0)
            return str_c(v[1]);
    return STR_EMPTY;
}

static void begin(struct drive *d, const char *yaml, const char *const *pairs)
{
    drive_begin(d, RECEIVER_SNS, yaml, false);
    variables = pairs;
    d->env.environment = environment;
}

#define PLAIN "api_url: http://sns\ntopic_arn: t\nsigv4: {region: r}\n"
#define KEYS                                                                                       \
    "{\"Code\":\"Success\",\"AccessKeyId\":\"IK\",\"SecretAccessKey\":\"IS\",\"Token\":\"IT\",\"Extra\":{\"a\":1}," \
    "\"Expiration\":\"2023-11-15T00:00:00Z\"}"

static void check_publishes_with(struct drive *d, const char *key, const char *token)
{
    char credential[64];
    snprintf(credential, sizeof credential, "Credential=%s/20231114/r/sns/aws4_request", key);
    assert_str(d->next.url, "http://sns/");
    assert_true(str_contains(header_of(d, "Authorization"), str_c(credential)));
    assert_str(header_of(d, "X-Amz-Security-Token"), token);
}

static void the_environment_comes_before_the_machine(void **state)
{
    static const char *const pairs[] = { "AWS_ACCESS_KEY_ID", "EK", "AWS_SECRET_ACCESS_KEY", "ES", "AWS_SESSION_TOKEN", "ET",
                                         "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c", NULL };
    struct drive d;
    (void)state;
    begin(&d, PLAIN, pairs);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    check_publishes_with(&d, "EK", "ET");
    drive_end(&d);
}

static void an_instance_is_asked_with_a_token_and_its_keys_are_kept(void **state)
{
    static const char *const pairs[] = { "AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://imds:8/", NULL };
    struct drive d;
    (void)state;
    begin(&d, PLAIN "http_config: {basic_auth: {username: u, password: p}}\n", pairs);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.method, "PUT");
    assert_str(d.next.url, "http://imds:8/latest/api/token");
    assert_str(header_of(&d, "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"), "21600");
    assert_null(d.next.http); /* neither proxy nor authorization of the receiver */
    assert_int_equal(drive_answer(&d, 200, "TOKEN"), SEND_REQUEST);
    assert_str(d.next.url, "http://imds:8/latest/meta-data/iam/security-credentials/");
    assert_str(header_of(&d, "X-Aws-Ec2-Metadata-Token"), "TOKEN");
    assert_int_equal(drive_answer(&d, 200, "the-role\nanother\n"), SEND_REQUEST);
    assert_str(d.next.url, "http://imds:8/latest/meta-data/iam/security-credentials/the-role");
    assert_int_equal(drive_answer(&d, 200, KEYS), SEND_REQUEST);
    check_publishes_with(&d, "IK", "IT");
    assert_int_equal(drive_answer(&d, 200, ""), SEND_DONE);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    check_publishes_with(&d, "IK", "IT");
    d.at.now.s = 1700006100; /* 2023-11-14T23:55:00Z: five minutes before the end */
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.method, "PUT");
    drive_end(&d);
}

static void an_instance_without_tokens_is_asked_the_old_way(void **state)
{
    static const char *const pairs[] = { NULL };
    static const char *const strict[] = { "AWS_EC2_METADATA_V1_DISABLED", "true", NULL };
    static const char *const off[] = { "AWS_EC2_METADATA_DISABLED", "TRUE", NULL };
    struct drive d;
    (void)state;
    begin(&d, PLAIN, pairs);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_broken(&d, true), SEND_REQUEST);
    assert_str(d.next.url, "http://169.254.169.254/latest/meta-data/iam/security-credentials/");
    assert_str(header_of(&d, "X-Aws-Ec2-Metadata-Token"), "");
    assert_int_equal(drive_answer(&d, 404, ""), SEND_RETRY);
    assert_string_equal(d.why.err.text, "could not get SigV4 credentials: no EC2 IMDS role found: status 404");
    variables = strict;
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 404, ""), SEND_RETRY);
    assert_string_equal(d.why.err.text, "could not get SigV4 credentials: no EC2 IMDS token: status 404");
    variables = off;
    assert_int_equal(drive_start(&d), SEND_RETRY);
    assert_string_equal(d.why.err.text, "could not get SigV4 credentials: no valid credential sources found");
    drive_end(&d);
}

static void a_container_is_asked_with_its_token(void **state)
{
    static const char *const relative[] = { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x", NULL };
    static const char *const full[] = { "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/k",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN", "tok", NULL };
    static const char *const file[] = { "AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://anywhere/k",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/secret", NULL };
    static const char *const foreign[] = { "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://elsewhere.example/k", NULL };
    struct drive d;
    (void)state;
    begin(&d, PLAIN, relative);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "http://169.254.170.2/v2/x");
    variables = full;
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "http://127.0.0.1:9/k");
    assert_str(header_of(&d, "Authorization"), "tok");
    assert_int_equal(drive_answer(&d, 500, ""), SEND_RETRY);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, "{\"AccessKeyId\":\"IK\""), SEND_RETRY);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, "{\"Code\":\"Throttled\",\"Message\":\"later\"}"), SEND_RETRY);
    assert_string_equal(d.why.err.text, "could not get SigV4 credentials: Throttled: later");
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_int_equal(drive_answer(&d, 200, KEYS), SEND_REQUEST);
    check_publishes_with(&d, "IK", "IT");
    variables = file; /* drive.h's secret ends in a newline, which would end the header */
    assert_int_equal(drive_start(&d), SEND_RETRY);
    assert_string_equal(d.why.err.text,
                        "could not get SigV4 credentials: authorization token contains invalid newline sequence");
    variables = foreign;
    assert_int_equal(drive_start(&d), SEND_RETRY);
    assert_string_equal(d.why.err.text, "could not get SigV4 credentials: invalid endpoint host, \"elsewhere.example\", "
                                        "only loopback/ecs/eks hosts are allowed.");
    drive_end(&d);
}

static void a_web_identity_becomes_credentials_and_then_the_role(void **state)
{
    static const char *const pairs[] = { "AWS_WEB_IDENTITY_TOKEN_FILE", "/secret", "AWS_ROLE_ARN", "arn:web",
                                         "AWS_ROLE_SESSION_NAME", "me", "AWS_ENDPOINT_URL_STS", "http://sts.test", NULL };
    static const char answer[] = "<A><AccessKeyId>WK</AccessKeyId><SecretAccessKey>WS</SecretAccessKey>"
                                 "<SessionToken>WT</SessionToken><Expiration>2023-11-15T00:00:00Z</Expiration></A>";
    struct drive d;
    (void)state;
    begin(&d, "api_url: http://sns\ntopic_arn: t\nsigv4: {region: r, role_arn: 'arn:on-top'}\n", pairs);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "http://sts.test/");
    assert_true(body_has(&d, "Action=AssumeRoleWithWebIdentity&RoleArn=arn%3Aweb&RoleSessionName=me&Version=2011-06-15"
                             "&WebIdentityToken=+from+file+%0A"));
    assert_str(header_of(&d, "Authorization"), ""); /* nobody to sign as yet */
    assert_int_equal(drive_answer(&d, 200, answer), SEND_REQUEST);
    assert_true(body_has(&d, "Action=AssumeRole&RoleArn=arn%3Aon-top&"));
    assert_true(str_contains(header_of(&d, "Authorization"), STR("Credential=WK/20231114/r/sts/aws4_request")));
    assert_int_equal(drive_answer(&d, 200, "<AccessKeyId>RK</AccessKeyId><SecretAccessKey>RS</SecretAccessKey><SessionToken>RT</SessionToken>"),
                     SEND_REQUEST);
    check_publishes_with(&d, "RK", "RT");
    assert_int_equal(drive_start(&d), SEND_REQUEST); /* both are remembered */
    check_publishes_with(&d, "RK", "RT");
    drive_end(&d);
}

static void a_refused_web_identity_is_tried_again(void **state)
{
    static const char *const pairs[] = { "AWS_WEB_IDENTITY_TOKEN_FILE", "/secret", "AWS_ROLE_ARN", "arn:web", NULL };
    static const char *const missing[] = { "AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere", "AWS_ROLE_ARN", "arn:web", NULL };
    struct drive d;
    (void)state;
    begin(&d, PLAIN, pairs);
    assert_int_equal(drive_start(&d), SEND_REQUEST);
    assert_str(d.next.url, "https://sts.r.amazonaws.com/");
    assert_int_equal(drive_answer(&d, 403, "<E><Message>expired</Message></E>"), SEND_RETRY);
    assert_string_equal(d.why.err.text, "unexpected status code 403: expired");
    variables = missing;
    assert_int_equal(drive_start(&d), SEND_RETRY);
    assert_non_null(strstr(d.why.err.text, "unable to read file at /nowhere"));
    drive_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment_comes_before_the_machine),
        cmocka_unit_test(an_instance_is_asked_with_a_token_and_its_keys_are_kept),
        cmocka_unit_test(an_instance_without_tokens_is_asked_the_old_way),
        cmocka_unit_test(a_container_is_asked_with_its_token),
        cmocka_unit_test(a_web_identity_becomes_credentials_and_then_the_role),
        cmocka_unit_test(a_refused_web_identity_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
