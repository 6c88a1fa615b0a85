/* rocketchat_configs. (t): templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_ROCKETCHAT_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_ROCKETCHAT_CONFIG_H

#include "notify/receivers_config.h"

struct rocketchat_field {
    enum tristate is_short;
    struct str title, value; /* (t) */
};
struct rocketchat_action {
    struct str type, text, url, image_url; /* (t) */
    bool is_webview;
    struct str webview_height_ratio, msg;  /* msg is (t) */
    bool msg_in_chat_window;
    struct str msg_processing_type;
};
struct rocketchat_config {
    struct receiver_common common;
    struct str api_url;
    struct str token_id, token_id_file, token, token_file; /* secrets; both of a pair may be set: the file is used */
    struct str token_id_loaded, token_loaded;              /* what the files held when they were loaded */
    struct str channel, color, title, title_link, text;    /* (t) */
    struct rocketchat_field *fields;
    size_t fields_count;
    bool short_fields;
    struct str emoji, icon_url, image_url, thumb_url;      /* (t) */
    bool link_names;
    struct rocketchat_action *actions;
    size_t actions_count;
};

extern const struct bind_type rocketchat_config_bind;
MUST_CHECK bool rocketchat_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
