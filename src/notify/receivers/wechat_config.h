/* wechat_configs. (t): templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_WECHAT_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_WECHAT_CONFIG_H

#include "notify/receivers_config.h"

struct wechat_config {
    struct receiver_common common;
    struct str api_secret, api_secret_file; /* secret (t) */
    struct str corp_id;                     /* (t) */
    struct str message;                     /* (t) */
    struct str api_url;                     /* ends in '/' */
    struct str to_user, to_party, to_tag, agent_id; /* (t) */
    struct str message_type;                /* text, markdown */
};

extern const struct bind_type wechat_config_bind;
MUST_CHECK bool wechat_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
