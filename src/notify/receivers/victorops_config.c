/* Rows and checks of victorops_configs. */
#include "notify/receivers/victorops_config.h"

#define TEMPLATE(name) "{{ template \"victorops.default." name "\" . }}"

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct victorops_config, "true"),
    RECEIVER_HTTP_CONFIG(struct victorops_config),
    BIND_SECRET(struct victorops_config, api_key, "api_key", "Key of the API.", .inherit = true),
    BIND_STR(struct victorops_config, api_key_file, "api_key_file", "File of the key.", .inherit = true),
    BIND_SCALAR(struct victorops_config, api_url, "api_url", "API of VictorOps.", &http_url_scalar, .inherit = true,
                .always = true),
    BIND_STR(struct victorops_config, routing_key, "routing_key", "Team to route to.", .templated = true,
             .always = true, .required = "missing Routing key in VictorOps config"),
    BIND_STR(struct victorops_config, message_type, "message_type", "CRITICAL, WARNING or INFO.", .templated = true,
             .always = true, .fallback = "CRITICAL"),
    BIND_STR(struct victorops_config, state_message, "state_message", "Text.", .templated = true, .always = true,
             .fallback = TEMPLATE("state_message")),
    BIND_STR(struct victorops_config, entity_display_name, "entity_display_name", "Headline.", .templated = true,
             .always = true, .fallback = TEMPLATE("entity_display_name")),
    BIND_STR(struct victorops_config, monitoring_tool, "monitoring_tool", "Name of the sender.", .templated = true,
             .always = true, .fallback = TEMPLATE("monitoring_tool")),
    BIND_STR_MAP(struct victorops_config, custom_fields, "custom_fields", "Further fields of the message.",
                 .templated = true),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    static const struct str reserved[] = {
        STR_INIT("routing_key"),         STR_INIT("message_type"),    STR_INIT("state_message"),
        STR_INIT("entity_display_name"), STR_INIT("monitoring_tool"), STR_INIT("entity_id"),
        STR_INIT("entity_state"),
    };
    const struct victorops_config *c = object;
    (void)b;
    if (!receiver_pair(c->api_key, "api_key", c->api_key_file, "api_key_file", err))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (str_map_has(&c->custom_fields, reserved[i]))
            return err_set(
                err, ERR_INVALID,
                "victorOps config contains custom field %.*s which cannot be used as it conflicts with the "
                "fixed/static fields",
                STR_ARG(reserved[i]));
    return true;
}

const struct bind_type victorops_config_bind =
    RECEIVER_TYPE("config.plain", struct victorops_config, fields, .title = "victorops_configs", .check = check);

bool victorops_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err)
{
    struct victorops_config *c = config;
    receiver_inherit_http(&c->common, global);
    if (!receiver_inherit_url(&c->api_url, global->victorops_api_url, "no global VictorOps URL set", err))
        return false;
    c->api_url = receiver_url_with_slash(a, c->api_url);
    receiver_inherit_members(&c->api_key, &c->api_key_file, global->victorops_api_key,
                             global->victorops_api_key_file);
    if (c->api_key.n == 0 && c->api_key_file.n == 0)
        return err_set(err, ERR_INVALID, "no global VictorOps API Key set");
    return true;
}
