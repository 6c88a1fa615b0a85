/* slack_configs: Slack by incoming webhook or by app token. (t): templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_SLACK_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_SLACK_CONFIG_H

#include "notify/receivers_config.h"

struct slack_field {
    struct str title, value; /* (t) */
    enum tristate is_short;
};
struct slack_confirmation {
    struct str text, title, ok_text, dismiss_text; /* (t) */
};
struct slack_action {
    struct str type, text, url, style, name, value; /* (t) */
    struct slack_confirmation *confirm;       /* NULL: none */
};
struct slack_config {
    struct receiver_common common; /* with an app token: http_config->authorization is Bearer */
    struct str api_url, api_url_file; /* secret; finished: where to post */
    struct str app_token, app_token_file, app_url;
    struct str channel, username, color, title, title_link, pretext, text, message_text; /* (t) */
    struct slack_field *fields;
    size_t fields_count;
    bool short_fields;
    struct str footer, fallback, callback_id, icon_emoji, icon_url, image_url, thumb_url; /* (t) */
    bool link_names;
    struct str_list mrkdwn_in;
    struct slack_action *actions;
    size_t actions_count;
    bool update_message;
    int64_t timeout_ns;
};

extern const struct bind_type slack_config_bind;
MUST_CHECK bool slack_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
