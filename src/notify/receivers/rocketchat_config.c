/* Rows and checks of rocketchat_configs. */
#include "notify/receivers/rocketchat_config.h"

#define TEMPLATE(name) "{{ template \"rocketchat.default." name "\" . }}"

static const struct bind field_fields[] = {
    BIND_TRISTATE(struct rocketchat_field, is_short, "short", "Side by side with others; short_fields if absent."),
    BIND_STR(struct rocketchat_field, title, "title", "Title.", .templated = true),
    BIND_STR(struct rocketchat_field, value, "value", "Value.", .templated = true),
};
static const struct bind_type field_bind =
    BIND_TYPE("rocketchat.RocketchatAttachmentField", struct rocketchat_field, field_fields, .title = "fields");

static const struct bind action_fields[] = {
    BIND_STR(struct rocketchat_action, type, "type", "Kind of action; button.", .templated = true),
    BIND_STR(struct rocketchat_action, text, "text", "Label.", .templated = true),
    BIND_STR(struct rocketchat_action, url, "url", "Link.", .templated = true),
    BIND_STR(struct rocketchat_action, image_url, "image_url", "URL of an image.",
             .inactive = "it is never sent, as upstream"),
    BIND_BOOL(struct rocketchat_action, is_webview, "is_webview", "Open in a web view.",
              .inactive = "it is never sent, as upstream"),
    BIND_STR(struct rocketchat_action, webview_height_ratio, "webview_height_ratio", "Height of the web view.",
             .inactive = "it is never sent, as upstream"),
    BIND_STR(struct rocketchat_action, msg, "msg", "Message that the button sends.", .templated = true),
    BIND_BOOL(struct rocketchat_action, msg_in_chat_window, "msg_in_chat_window", "Show the message in the chat.",
              .inactive = "it is never sent, as upstream"),
    BIND_STR(struct rocketchat_action, msg_processing_type, "msg_processing_type", "How the message is processed.",
             .inactive = "it is never sent, as upstream"),
};
static const struct bind_type action_bind =
    BIND_TYPE("rocketchat.RocketchatAttachmentAction", struct rocketchat_action, action_fields, .title = "actions");

#define ROW(kind_, field_, ...) kind_(struct rocketchat_config, field_, #field_, __VA_ARGS__)

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct rocketchat_config, "false"),
    RECEIVER_HTTP_CONFIG(struct rocketchat_config),
    ROW(BIND_SCALAR, api_url, "Rocket.Chat server.", &http_url_scalar, .inherit = true),
    ROW(BIND_SECRET, token_id, "User identifier.", .inherit = true),
    ROW(BIND_STR, token_id_file, "File of the user identifier; read at load.", .inherit = true),
    ROW(BIND_SECRET, token, "Token.", .inherit = true),
    ROW(BIND_STR, token_file, "File of the token; read at load.", .inherit = true),
    ROW(BIND_STR, channel, "Channel.", .templated = true),
    ROW(BIND_STR, color, "Colour of the bar.", .templated = true,
        .fallback = "{{ if eq .Status \"firing\" }}red{{ else }}green{{ end }}"),
    ROW(BIND_STR, title, "Title.", .templated = true, .fallback = TEMPLATE("title")),
    ROW(BIND_STR, title_link, "Link of the title.", .templated = true, .fallback = TEMPLATE("titlelink")),
    ROW(BIND_STR, text, "Text.", .templated = true, .fallback = TEMPLATE("text")),
    ROW(BIND_LIST, fields, "Table of titles and values.", &field_bind,
        .go_type = "[]*rocketchat.RocketchatAttachmentField"),
    ROW(BIND_BOOL, short_fields, "Fields side by side.", .always = true),
    ROW(BIND_STR, emoji, "Emoji as the sender's picture.", .templated = true, .fallback = TEMPLATE("emoji")),
    ROW(BIND_STR, icon_url, "URL of the sender's picture.", .templated = true, .fallback = TEMPLATE("iconurl")),
    ROW(BIND_STR, image_url, "URL of an image.", .templated = true),
    ROW(BIND_STR, thumb_url, "URL of a thumbnail.", .templated = true),
    ROW(BIND_BOOL, link_names, "Turn names into links; never sent, as upstream.", .always = true),
    ROW(BIND_LIST, actions, "Buttons.", &action_bind, .go_type = "[]*rocketchat.RocketchatAttachmentAction"),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    const struct rocketchat_config *c = object;
    (void)b;
    return receiver_pair(c->token, "token", c->token_file, "token_file", err) &&
           receiver_pair(c->token_id, "token_id", c->token_id_file, "token_id_file", err);
}

const struct bind_type rocketchat_config_bind = RECEIVER_TYPE("rocketchat.plain", struct rocketchat_config, fields,
                                                              .title = "rocketchat_configs", .check = check);

bool rocketchat_config_finish(void *config, const struct receiver_defaults *global, struct arena *a,
                              struct err *err)
{
    struct rocketchat_config *c = config;
    (void)a;
    receiver_inherit_http(&c->common, global);
    if (!receiver_inherit_url(&c->api_url, global->rocketchat_api_url, "no global Rocketchat API URL set", err))
        return false;
    receiver_inherit_members(&c->token_id, &c->token_id_file, global->rocketchat_token_id,
                             global->rocketchat_token_id_file);
    if (c->token_id.n == 0 && c->token_id_file.n == 0)
        return err_set(err, ERR_INVALID, "no global Rocketchat TokenID set either inline or in a file");
    receiver_inherit_members(&c->token, &c->token_file, global->rocketchat_token, global->rocketchat_token_file);
    if (c->token.n == 0 && c->token_file.n == 0)
        return err_set(err, ERR_INVALID, "no global Rocketchat Token set either inline or in a file");
    return true;
}
