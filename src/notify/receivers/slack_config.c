/* Rows and checks of slack_configs. */
#include "notify/receivers/slack_config.h"

#define TEMPLATE(name) "{{ template \"slack.default." name "\" . }}"
#define POST_MESSAGE   "https://slack.com/api/chat.postMessage"

static const struct bind field_fields[] = {
    BIND_STR(struct slack_field, title, "title", "Title.", .templated = true,
             .required = "missing title in Slack field configuration"),
    BIND_STR(struct slack_field, value, "value", "Value.", .templated = true,
             .required = "missing value in Slack field configuration"),
    BIND_TRISTATE(struct slack_field, is_short, "short", "Side by side with others; short_fields if absent."),
};
static const struct bind_type field_bind =
    BIND_TYPE("config.plain", struct slack_field, field_fields, .title = "fields");

static const struct bind confirm_fields[] = {
    BIND_STR(struct slack_confirmation, text, "text", "Question.", .templated = true,
             .required = "missing text in Slack confirmation configuration"),
    BIND_STR(struct slack_confirmation, title, "title", "Title of the dialogue.", .templated = true),
    BIND_STR(struct slack_confirmation, ok_text, "ok_text", "Text of the button that goes on.", .templated = true),
    BIND_STR(struct slack_confirmation, dismiss_text, "dismiss_text", "Text of the button that does not.",
             .templated = true),
};
static const struct bind_type confirm_bind =
    BIND_TYPE("config.plain", struct slack_confirmation, confirm_fields, .title = "confirm");

static const struct bind action_fields[] = {
    BIND_STR(struct slack_action, type, "type", "Kind of action: button.", .templated = true,
             .required = "missing type in Slack action configuration"),
    BIND_STR(struct slack_action, text, "text", "Label.", .templated = true,
             .required = "missing text in Slack action configuration"),
    BIND_STR(struct slack_action, url, "url", "Link of a link button.", .templated = true),
    BIND_STR(struct slack_action, style, "style", "primary, danger or default.", .templated = true),
    BIND_STR(struct slack_action, name, "name", "Name of a message button.", .templated = true),
    BIND_STR(struct slack_action, value, "value", "Value of a message button.", .templated = true),
    BIND_POINTER(struct slack_action, confirm, "confirm", "Question before the action.", &confirm_bind),
};

static bool action_check(struct binding *b, void *object, struct err *err)
{
    struct slack_action *c = object;
    (void)b;
    if (c->url.n) { /* a link button has none of these */
        c->name = c->value = STR_EMPTY;
        c->confirm = NULL;
    } else if (c->name.n == 0) {
        return err_set(err, ERR_INVALID, "missing name or url in Slack action configuration");
    }
    return true;
}

static const struct bind_type action_bind =
    BIND_TYPE("config.plain", struct slack_action, action_fields, .title = "actions", .check = action_check);

#define ROW(kind_, field_, ...) kind_(struct slack_config, field_, #field_, __VA_ARGS__)

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct slack_config, "false"),
    RECEIVER_HTTP_CONFIG(struct slack_config),
    ROW(BIND_SCALAR, api_url, "Incoming webhook.", &http_secret_url_scalar, .inherit = true),
    ROW(BIND_STR, api_url_file, "File of the webhook's URL.", .inherit = true),
    ROW(BIND_SECRET, app_token, "Token of a Slack app.", .inherit = true),
    ROW(BIND_STR, app_token_file, "File of the app's token.", .inherit = true),
    ROW(BIND_SCALAR, app_url, "Where messages with an app token go.", &http_url_scalar, .inherit = true),
    ROW(BIND_STR, channel, "Channel or user.", .templated = true),
    ROW(BIND_STR, username, "Name of the sender.", .templated = true, .fallback = TEMPLATE("username")),
    ROW(BIND_STR, color, "Colour of the bar.", .templated = true, .fallback = TEMPLATE("color")),
    ROW(BIND_STR, title, "Title.", .templated = true, .fallback = TEMPLATE("title")),
    ROW(BIND_STR, title_link, "Link of the title.", .templated = true, .fallback = TEMPLATE("titlelink")),
    ROW(BIND_STR, pretext, "Text above the attachment.", .templated = true, .fallback = TEMPLATE("pretext")),
    ROW(BIND_STR, text, "Text of the attachment.", .templated = true, .fallback = TEMPLATE("text")),
    ROW(BIND_STR, message_text, "Text of the message itself.", .templated = true),
    ROW(BIND_LIST, fields, "Table of titles and values.", &field_bind, .go_type = "[]*config.SlackField"),
    ROW(BIND_BOOL, short_fields, "Fields side by side.", .always = true),
    ROW(BIND_STR, footer, "Text below.", .templated = true, .fallback = TEMPLATE("footer")),
    ROW(BIND_STR, fallback, "Summary for plain notifications.", .templated = true,
        .fallback = TEMPLATE("fallback")),
    ROW(BIND_STR, callback_id, "Identifier for interactive messages.", .templated = true,
        .fallback = TEMPLATE("callbackid")),
    ROW(BIND_STR, icon_emoji, "Emoji as the sender's picture.", .templated = true,
        .fallback = TEMPLATE("iconemoji")),
    ROW(BIND_STR, icon_url, "URL of the sender's picture.", .templated = true, .fallback = TEMPLATE("iconurl")),
    ROW(BIND_STR, image_url, "URL of an image.", .templated = true),
    ROW(BIND_STR, thumb_url, "URL of a thumbnail.", .templated = true),
    ROW(BIND_BOOL, link_names, "Turn names into links.", .always = true),
    ROW(BIND_STRS, mrkdwn_in, "Parts that are formatted: fallback, pretext, text."),
    ROW(BIND_LIST, actions, "Buttons.", &action_bind, .go_type = "[]*config.SlackAction"),
    ROW(BIND_BOOL, update_message, "Change the message instead of sending another; needs a bot token.",
        .always = true),
    BIND_GO_NS(struct slack_config, timeout_ns, "timeout", "Bound of one attempt; 0: none.", .always = true),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    const struct slack_config *c = object;
    (void)b;
    if (!receiver_pair(c->api_url, "api_url", c->api_url_file, "api_url_file", err) ||
        !receiver_pair(c->app_token, "app_token", c->app_token_file, "app_token_file", err))
        return false;
    if ((c->api_url.n || c->api_url_file.n) && (c->app_token.n || c->app_token_file.n))
        return err_set(err, ERR_INVALID,
                       "at most one of api_url/api_url_file & app_token/app_token_file must be configured");
    if (c->update_message && !str_eq(c->api_url, STR(POST_MESSAGE)))
        return err_set(err, ERR_INVALID,
                       "update_message can only be used with bot tokens. api_url must be set to " POST_MESSAGE);
    return true;
}

const struct bind_type slack_config_bind =
    RECEIVER_TYPE("config.plain", struct slack_config, fields, .title = "slack_configs", .check = check);

/* The token takes the place of the Authorization header, and messages go to the app's URL. */
static bool use_token(struct slack_config *c, struct arena *a, struct err *err)
{
    if (c->common.http_config->authorization)
        return err_set(err, ERR_INVALID, "http authorization can't be set when using Slack App tokens");
    struct http_authorization *auth = ARENA_NEW(a, struct http_authorization);
    *auth = (struct http_authorization){ STR("Bearer"), c->app_token, c->app_token_file, STR_EMPTY };
    c->common.http_config->authorization = auth;
    c->api_url = c->app_url;
    return true;
}

bool slack_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err)
{
    struct slack_config *c = config;
    const struct http_client_config *own = c->common.http_config;
    if (!receiver_inherit_url(&c->app_url, global->slack_app_url, "no global Slack App URL set", err))
        return false;
    if (c->api_url.n == 0 && c->api_url_file.n == 0 && !(own && own->authorization))
        receiver_inherit_pair(&c->app_token, &c->app_token_file, global->slack_app_token,
                              global->slack_app_token_file);
    if (!own) { /* a copy: the token goes into it */
        c->common.http_config = ARENA_NEW(a, struct http_client_config);
        *c->common.http_config = *global->http_config;
    }
    if ((c->app_token.n || c->app_token_file.n) && !use_token(c, a, err))
        return false;
    receiver_inherit_pair(&c->api_url, &c->api_url_file, global->slack_api_url, global->slack_api_url_file);
    if (c->api_url.n == 0 && c->api_url_file.n == 0)
        return err_set(err, ERR_INVALID, "no Slack API URL nor App token set either inline or in a file");
    return true;
}
