/* sns_configs: AWS SNS. (t): templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_SNS_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_SNS_CONFIG_H

#include "notify/receivers_config.h"

struct sns_config {
    struct receiver_common common;
    struct str api_url; /* (t) */
    struct sigv4_config sigv4;
    struct str topic_arn, phone_number, target_arn, subject, message; /* (t) */
    struct str_map attributes; /* both sides (t) */
    bool use_aws_http_client;
};

extern const struct bind_type sns_config_bind;
MUST_CHECK bool sns_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
