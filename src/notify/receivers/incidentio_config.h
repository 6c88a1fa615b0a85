/* incidentio_configs. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_INCIDENTIO_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_INCIDENTIO_CONFIG_H

#include "notify/receivers_config.h"

struct incidentio_config {
    struct receiver_common common;
    struct str url, url_file;
    struct str alert_source_token, alert_source_token_file; /* secret */
    struct str alert_source_token_loaded;                   /* what the file held when it was loaded */
    uint64_t max_alerts; /* 0: all */
    int64_t timeout_ns;  /* 0: none */
};

extern const struct bind_type incidentio_config_bind;
MUST_CHECK bool incidentio_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
