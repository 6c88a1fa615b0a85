/* discord_configs. (t): templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_DISCORD_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_DISCORD_CONFIG_H

#include "notify/receivers_config.h"

struct discord_config {
    struct receiver_common common;
    struct str webhook_url, webhook_url_file; /* secret */
    struct str content, title, message;       /* (t) */
    struct str username, avatar_url;          /* not templates */
};

extern const struct bind_type discord_config_bind;
MUST_CHECK bool discord_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
