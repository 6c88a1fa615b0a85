/* webhook_configs: the generic receiver. Fields marked (t) are templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_WEBHOOK_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_WEBHOOK_CONFIG_H

#include "notify/receivers_config.h"

struct webhook_config {
    struct receiver_common common;
    struct str url;      /* secret (t) */
    struct str url_file;
    uint64_t max_alerts; /* 0: all */
    int64_t timeout_ns;  /* 0: none */
    const struct yaml_node *payload; /* NULL: the standard body; strings are (t) */
};

extern const struct bind_type webhook_config_bind;
MUST_CHECK bool webhook_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
