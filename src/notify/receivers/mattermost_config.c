/* Rows and checks of mattermost_configs. */
#include "notify/receivers/mattermost_config.h"

#define TEMPLATE(name) "{{ template \"mattermost.default." name "\" . }}"

static const struct bind field_fields[] = {
    BIND_STR(struct mattermost_field, title, "title", "Title.", .templated = true,
             .required = "missing title in Mattermost field configuration"),
    BIND_STR(struct mattermost_field, value, "value", "Value.", .templated = true,
             .required = "missing value in Mattermost field configuration"),
    BIND_TRISTATE(struct mattermost_field, is_short, "short", "Side by side with others."),
};
static const struct bind_type field_bind =
    BIND_TYPE("mattermost.plain", struct mattermost_field, field_fields, .title = "fields");

#define ATTACHMENT(kind_, field_, ...) kind_(struct mattermost_attachment, field_, #field_, __VA_ARGS__)
static const struct bind attachment_fields[] = {
    ATTACHMENT(BIND_STR, fallback, "Summary for plain notifications.", .templated = true),
    ATTACHMENT(BIND_STR, color, "Colour of the bar.", .templated = true),
    ATTACHMENT(BIND_STR, pretext, "Text above.", .templated = true),
    ATTACHMENT(BIND_STR, text, "Text.", .templated = true),
    ATTACHMENT(BIND_STR, author_name, "Author.", .templated = true),
    ATTACHMENT(BIND_STR, author_link, "Link of the author.", .templated = true),
    ATTACHMENT(BIND_STR, author_icon, "Picture of the author.", .templated = true),
    ATTACHMENT(BIND_STR, title, "Title.", .templated = true),
    ATTACHMENT(BIND_STR, title_link, "Link of the title.", .templated = true),
    ATTACHMENT(BIND_LIST, fields, "Table of titles and values.", &field_bind,
               .go_type = "[]*mattermost.MattermostField"),
    ATTACHMENT(BIND_STR, thumb_url, "URL of a thumbnail.", .templated = true),
    ATTACHMENT(BIND_STR, footer, "Text below.", .templated = true),
    ATTACHMENT(BIND_STR, footer_icon, "Picture of the footer.", .templated = true),
    ATTACHMENT(BIND_STR, image_url, "URL of an image.", .templated = true),
};
static const struct bind_type attachment_bind =
    BIND_TYPE("mattermost.plain", struct mattermost_attachment, attachment_fields, .title = "attachments");

static const struct bind props_fields[] = {
    BIND_STR(struct mattermost_props, card, "card", "Markdown for the side bar.", .templated = true),
};
static const struct bind_type props_bind =
    BIND_TYPE("mattermost.MattermostProps", struct mattermost_props, props_fields, .title = "props");

static const struct bind priority_fields[] = {
    BIND_STR(struct mattermost_priority, priority, "priority", "standard, important or urgent.", .templated = true),
    BIND_BOOL(struct mattermost_priority, requested_ack, "requested_ack",
              "Ask readers for a sign; not with standard."),
    BIND_BOOL(struct mattermost_priority, persistent_notifications, "persistent_notifications",
              "Repeat until read; urgent only."),
};
static const struct bind_type priority_bind =
    BIND_TYPE("mattermost.MattermostPriority", struct mattermost_priority, priority_fields, .title = "priority");

#define ROW(kind_, field_, ...)  kind_(struct mattermost_config, field_, #field_, __VA_ARGS__)
#define FLAT(kind_, field_, ...) kind_(struct mattermost_config, flat.field_, #field_, __VA_ARGS__)

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct mattermost_config, "true"),
    RECEIVER_HTTP_CONFIG(struct mattermost_config),
    ROW(BIND_SCALAR, webhook_url, "Webhook.", &http_secret_url_scalar, .inherit = true),
    ROW(BIND_STR, webhook_url_file, "File of the webhook's URL.", .inherit = true),
    ROW(BIND_STR, channel, "Channel.", .templated = true),
    ROW(BIND_STR, username, "Name of the sender.", .templated = true, .fallback = TEMPLATE("username")),
    ROW(BIND_STR, text, "Text; of the message if there are attachments.", .templated = true,
        .fallback = TEMPLATE("text")),
    FLAT(BIND_STR, fallback, "Summary for plain notifications.", .templated = true,
         .fallback = TEMPLATE("fallback")),
    FLAT(BIND_STR, color, "Colour of the bar.", .templated = true, .fallback = TEMPLATE("color")),
    FLAT(BIND_STR, pretext, "Text above.", .templated = true),
    FLAT(BIND_STR, author_name, "Author.", .templated = true),
    FLAT(BIND_STR, author_link, "Link of the author.", .templated = true),
    FLAT(BIND_STR, author_icon, "Picture of the author.", .templated = true),
    FLAT(BIND_STR, title, "Title.", .templated = true, .fallback = TEMPLATE("title")),
    FLAT(BIND_STR, title_link, "Link of the title.", .templated = true, .fallback = TEMPLATE("titlelink")),
    FLAT(BIND_LIST, fields, "Table of titles and values.", &field_bind, .go_type = "[]*mattermost.MattermostField"),
    FLAT(BIND_STR, thumb_url, "URL of a thumbnail.", .templated = true),
    FLAT(BIND_STR, footer, "Text below.", .templated = true),
    FLAT(BIND_STR, footer_icon, "Picture of the footer.", .templated = true),
    FLAT(BIND_STR, image_url, "URL of an image.", .templated = true),
    ROW(BIND_STR, icon_url, "URL of the sender's picture.", .templated = true),
    ROW(BIND_STR, icon_emoji, "Emoji as the sender's picture.", .templated = true),
    ROW(BIND_LIST, attachments, "Attachments, instead of the one that the fields above make.", &attachment_bind,
        .go_type = "[]*mattermost.MattermostAttachment"),
    ROW(BIND_STR, type, "Type of the post.", .templated = true),
    ROW(BIND_POINTER, props, "Properties of the post.", &props_bind),
    ROW(BIND_POINTER, priority, "Priority of the post.", &priority_bind),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    const struct mattermost_config *c = object;
    (void)b;
    return receiver_pair(c->webhook_url, "webhook_url", c->webhook_url_file, "webhook_url_file", err);
}

const struct bind_type mattermost_config_bind = RECEIVER_TYPE("mattermost.plain", struct mattermost_config, fields,
                                                              .title = "mattermost_configs", .check = check);

bool mattermost_config_finish(void *config, const struct receiver_defaults *global, struct arena *a,
                              struct err *err)
{
    struct mattermost_config *c = config;
    (void)a;
    receiver_inherit_http(&c->common, global);
    receiver_inherit_pair(&c->webhook_url, &c->webhook_url_file, global->mattermost_webhook_url,
                          global->mattermost_webhook_url_file);
    if (c->webhook_url.n == 0 && c->webhook_url_file.n == 0)
        return err_set(err, ERR_INVALID, "missing webhook_url or webhook_url_file on mattermost_config");
    return true;
}
