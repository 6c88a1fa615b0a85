/* victorops_configs. (t): templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_VICTOROPS_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_VICTOROPS_CONFIG_H

#include "notify/receivers_config.h"

struct victorops_config {
    struct receiver_common common;
    struct str api_key, api_key_file; /* secret; both may be set: the inline one is used */
    struct str api_url;               /* ends in '/' */
    struct str routing_key, message_type, state_message, entity_display_name, monitoring_tool; /* (t) */
    struct str_map custom_fields;     /* (t) */
};

extern const struct bind_type victorops_config_bind;
MUST_CHECK bool victorops_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
