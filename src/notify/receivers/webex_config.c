/* Rows and checks of webex_configs. */
#include "notify/receivers/webex_config.h"

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct webex_config, "true"),
    RECEIVER_HTTP_CONFIG(struct webex_config),
    BIND_SCALAR(struct webex_config, api_url, "api_url", "API of Webex.", &http_url_scalar, .inherit = true),
    BIND_STR(struct webex_config, message, "message", "Text.", .templated = true,
             .fallback = "{{ template \"webex.default.message\" . }}"),
    BIND_STR(struct webex_config, room_id, "room_id", "Room to write to.", .templated = true, .always = true,
             .required = "missing room_id on webex_config"),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    const struct webex_config *c = object;
    (void)b;
    if (!c->common.http_config || !c->common.http_config->authorization)
        return err_set(err, ERR_INVALID, "missing webex_configs.http_config.authorization");
    return true;
}

const struct bind_type webex_config_bind =
    RECEIVER_TYPE("config.plain", struct webex_config, fields, .title = "webex_configs", .check = check);

bool webex_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err)
{
    struct webex_config *c = config;
    (void)a;
    receiver_inherit_http(&c->common, global);
    return receiver_inherit_url(&c->api_url, global->webex_api_url, "no global Webex URL set", err);
}
