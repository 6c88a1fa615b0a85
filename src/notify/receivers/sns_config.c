/* Rows and checks of sns_configs. */
#include "notify/receivers/sns_config.h"

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct sns_config, "true"),
    RECEIVER_HTTP_CONFIG(struct sns_config),
    BIND_STR(struct sns_config, api_url, "api_url", "API of SNS; else that of the region.", .templated = true),
    BIND_OBJECT(struct sns_config, sigv4, "sigv4", "Credentials of AWS.", &sigv4_config_bind, .always = true),
    BIND_STR(struct sns_config, topic_arn, "topic_arn", "Topic to publish to.", .templated = true),
    BIND_STR(struct sns_config, phone_number, "phone_number", "Phone to send to.", .templated = true),
    BIND_STR(struct sns_config, target_arn, "target_arn", "Mobile endpoint to send to.", .templated = true),
    BIND_STR(struct sns_config, subject, "subject", "Subject for mail endpoints.", .templated = true,
             .fallback = "{{ template \"sns.default.subject\" . }}"),
    BIND_STR(struct sns_config, message, "message", "Text.", .templated = true,
             .fallback = "{{ template \"sns.default.message\" . }}"),
    BIND_STR_MAP(struct sns_config, attributes, "attributes", "Attributes of the message.", .templated = true),
    BIND_BOOL(struct sns_config, use_aws_http_client, "use_aws_http_client",
              "Use the AWS client's own HTTP settings."),
};

/* A parity test, as upstream: one of the three, or all of them. */
static bool check(struct binding *b, void *object, struct err *err)
{
    const struct sns_config *c = object;
    (void)b;
    if (((c->target_arn.n == 0) != (c->topic_arn.n == 0)) != (c->phone_number.n == 0))
        return err_set(err, ERR_INVALID,
                       "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config");
    return true;
}

const struct bind_type sns_config_bind =
    RECEIVER_TYPE("sns.plain", struct sns_config, fields, .title = "sns_configs", .check = check);

bool sns_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err)
{
    (void)a;
    (void)err;
    receiver_inherit_http(config, global);
    return true;
}
