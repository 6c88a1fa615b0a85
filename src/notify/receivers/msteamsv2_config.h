/* msteamsv2_configs: Teams by workflows. (t): templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_MSTEAMSV2_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_MSTEAMSV2_CONFIG_H

#include "notify/receivers_config.h"

struct msteamsv2_config {
    struct receiver_common common;
    struct str webhook_url, webhook_url_file; /* secret */
    struct str title, text;                   /* (t) */
};

extern const struct bind_type msteamsv2_config_bind;
MUST_CHECK bool msteamsv2_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
