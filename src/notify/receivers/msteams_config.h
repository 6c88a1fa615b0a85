/* msteams_configs: Teams connectors. (t): templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_MSTEAMS_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_MSTEAMS_CONFIG_H

#include "notify/receivers_config.h"

struct msteams_config {
    struct receiver_common common;
    struct str webhook_url, webhook_url_file; /* secret */
    struct str title, summary, text;          /* (t) */
};

extern const struct bind_type msteams_config_bind;
MUST_CHECK bool msteams_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
