/* mattermost_configs. (t): templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_MATTERMOST_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_MATTERMOST_CONFIG_H

#include "notify/receivers_config.h"

struct mattermost_field {
    struct str title, value; /* (t) */
    enum tristate is_short;
};
struct mattermost_attachment {
    struct str fallback, color, pretext, text, author_name, author_link, author_icon, title, title_link; /* (t) */
    struct mattermost_field *fields;
    size_t fields_count;
    struct str thumb_url, footer, footer_icon, image_url; /* (t) */
};
struct mattermost_props {
    struct str card; /* (t) */
};
struct mattermost_priority {
    struct str priority; /* (t) */
    bool requested_ack, persistent_notifications;
};
struct mattermost_config {
    struct receiver_common common;
    struct str webhook_url, webhook_url_file; /* secret */
    struct str channel, username, text;       /* (t) */
    struct mattermost_attachment flat;        /* the attachment fields on the top level; its text is unused */
    struct str icon_url, icon_emoji;          /* (t) */
    struct mattermost_attachment *attachments;
    size_t attachments_count;
    struct str type;                          /* (t) */
    const struct mattermost_props *props;       /* NULL: none */
    const struct mattermost_priority *priority; /* NULL: none */
};

extern const struct bind_type mattermost_config_bind;
MUST_CHECK bool mattermost_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
