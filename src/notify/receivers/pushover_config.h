/* pushover_configs. (t): templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_PUSHOVER_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_PUSHOVER_CONFIG_H

#include "notify/receivers_config.h"

struct pushover_config {
    struct receiver_common common;
    struct str user_key, user_key_file, token, token_file; /* secrets (t) */
    struct str title, message, url, url_title, device, sound, priority; /* (t) */
    int64_t retry_ns, expire_ns, ttl_ns;
    bool html, monospace;
};

extern const struct bind_type pushover_config_bind;
MUST_CHECK bool pushover_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
