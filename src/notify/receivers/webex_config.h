/* webex_configs. (t): templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_WEBEX_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_WEBEX_CONFIG_H

#include "notify/receivers_config.h"

struct webex_config {
    struct receiver_common common;
    struct str api_url;
    struct str message, room_id; /* (t) */
};

extern const struct bind_type webex_config_bind;
MUST_CHECK bool webex_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
