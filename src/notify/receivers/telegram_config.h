/* telegram_configs. (t): templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_TELEGRAM_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_TELEGRAM_CONFIG_H

#include "notify/receivers_config.h"

struct telegram_config {
    struct receiver_common common;
    struct str api_url;
    struct str bot_token, bot_token_file; /* secret */
    int64_t chat_id;
    struct str chat_id_file;
    int64_t message_thread_id;
    struct str message; /* (t) */
    bool disable_notifications;
    struct str parse_mode; /* Markdown, MarkdownV2, HTML or empty */
};

extern const struct bind_type telegram_config_bind;
MUST_CHECK bool telegram_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
