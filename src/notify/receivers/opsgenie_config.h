/* opsgenie_configs. (t): templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_OPSGENIE_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_OPSGENIE_CONFIG_H

#include "notify/receivers_config.h"

struct opsgenie_responder {
    struct str id, name, username, type; /* (t) */
};
struct opsgenie_config {
    struct receiver_common common;
    struct str api_key, api_key_file; /* secret (t); both may be set: the inline one is used */
    struct str api_url;               /* ends in '/' */
    struct str message, description, source; /* (t) */
    struct str_map details;           /* (t) */
    struct str entity;                /* (t) */
    struct opsgenie_responder *responders;
    size_t responders_count;
    struct str actions, tags, note, priority; /* (t) */
    bool update_alerts;
};

extern const struct bind_type opsgenie_config_bind;
MUST_CHECK bool opsgenie_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
