/* Rows and checks of wechat_configs. */
#include "notify/receivers/wechat_config.h"

#define TEMPLATE(name) "{{ template \"wechat.default." name "\" . }}"

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct wechat_config, "false"),
    RECEIVER_HTTP_CONFIG(struct wechat_config),
    BIND_SECRET(struct wechat_config, api_secret, "api_secret", "Secret of the application.", .templated = true,
                .inherit = true),
    BIND_STR(struct wechat_config, api_secret_file, "api_secret_file", "File of the secret.", .inherit = true),
    BIND_STR(struct wechat_config, corp_id, "corp_id", "Corp identifier.", .templated = true, .inherit = true),
    BIND_STR(struct wechat_config, message, "message", "Text.", .templated = true, .fallback = TEMPLATE("message")),
    BIND_SCALAR(struct wechat_config, api_url, "api_url", "API of WeChat.", &http_url_scalar, .inherit = true),
    BIND_STR(struct wechat_config, to_user, "to_user", "Users.", .templated = true,
             .fallback = TEMPLATE("to_user")),
    BIND_STR(struct wechat_config, to_party, "to_party", "Parties.", .templated = true,
             .fallback = TEMPLATE("to_party")),
    BIND_STR(struct wechat_config, to_tag, "to_tag", "Tags.", .templated = true, .fallback = TEMPLATE("to_tag")),
    BIND_STR(struct wechat_config, agent_id, "agent_id", "Agent.", .templated = true,
             .fallback = TEMPLATE("agent_id")),
    BIND_STR(struct wechat_config, message_type, "message_type", "text or markdown."),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    struct wechat_config *c = object;
    (void)b;
    if (c->message_type.n == 0)
        c->message_type = STR("text");
    if (!str_eq(c->message_type, STR("text")) && !str_eq(c->message_type, STR("markdown")))
        return err_set(err, ERR_INVALID, "weChat message type %s does not match valid options ^(text|markdown)$",
                       bind_quote(c->message_type).text);
    return receiver_pair(c->api_secret, "api_secret", c->api_secret_file, "api_secret_file", err);
}

const struct bind_type wechat_config_bind =
    RECEIVER_TYPE("config.plain", struct wechat_config, fields, .title = "wechat_configs", .check = check);

bool wechat_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err)
{
    struct wechat_config *c = config;
    receiver_inherit_http(&c->common, global);
    if (!receiver_inherit_url(&c->api_url, global->wechat_api_url, "no global Wechat URL set", err))
        return false;
    receiver_inherit_pair(&c->api_secret, &c->api_secret_file, global->wechat_api_secret,
                          global->wechat_api_secret_file);
    if (c->api_secret.n == 0 && c->api_secret_file.n == 0)
        return err_set(err, ERR_INVALID, "no global Wechat Api Secret set either inline or in a file");
    if (!receiver_inherit_url(&c->corp_id, global->wechat_api_corp_id, "no global Wechat CorpID set", err))
        return false;
    c->api_url = receiver_url_with_slash(a, c->api_url);
    return true;
}
