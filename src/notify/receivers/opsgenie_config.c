/* Rows and checks of opsgenie_configs. */
#include "notify/receivers/opsgenie_config.h"

#include "template/template.h"

#define TEMPLATE(name) "{{ template \"opsgenie.default." name "\" . }}"
#define TYPES_PATTERN  "^(team|teams|user|escalation|schedule)$"

static const struct bind responder_fields[] = {
    BIND_STR(struct opsgenie_responder, id, "id", "Identifier.", .templated = true),
    BIND_STR(struct opsgenie_responder, name, "name", "Name.", .templated = true),
    BIND_STR(struct opsgenie_responder, username, "username", "User name.", .templated = true),
    BIND_STR(struct opsgenie_responder, type, "type", "team, teams, user, escalation or schedule.",
             .templated = true),
};
static const struct bind_type responder_bind = BIND_TYPE(
    "opsgenie.OpsGenieConfigResponder", struct opsgenie_responder, responder_fields, .title = "responders");

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct opsgenie_config, "true"),
    RECEIVER_HTTP_CONFIG(struct opsgenie_config),
    BIND_SECRET(struct opsgenie_config, api_key, "api_key", "Key of the API.", .templated = true, .inherit = true),
    BIND_STR(struct opsgenie_config, api_key_file, "api_key_file", "File of the key.", .inherit = true),
    BIND_SCALAR(struct opsgenie_config, api_url, "api_url", "API of Opsgenie.", &http_url_scalar, .inherit = true),
    BIND_STR(struct opsgenie_config, message, "message", "Headline.", .templated = true,
             .fallback = TEMPLATE("message")),
    BIND_STR(struct opsgenie_config, description, "description", "Text.", .templated = true,
             .fallback = TEMPLATE("description")),
    BIND_STR(struct opsgenie_config, source, "source", "Backlink to the sender.", .templated = true,
             .fallback = TEMPLATE("source")),
    BIND_STR_MAP(struct opsgenie_config, details, "details", "Key and value pairs beside the common labels.",
                 .templated = true),
    BIND_STR(struct opsgenie_config, entity, "entity", "What the alert is about.", .templated = true),
    BIND_LIST(struct opsgenie_config, responders, "responders", "Who is called.", &responder_bind,
              .go_type = "[]opsgenie.OpsGenieConfigResponder"),
    BIND_STR(struct opsgenie_config, actions, "actions", "Actions, separated by commas.", .templated = true),
    BIND_STR(struct opsgenie_config, tags, "tags", "Tags, separated by commas.", .templated = true),
    BIND_STR(struct opsgenie_config, note, "note", "Note.", .templated = true),
    BIND_STR(struct opsgenie_config, priority, "priority", "P1 to P5.", .templated = true),
    BIND_BOOL(struct opsgenie_config, update_alerts, "update_alerts",
              "Also update message and description of open alerts."),
};

static bool type_is_valid(struct str type)
{
    static const struct str types[] = {
        STR_INIT("team"), STR_INIT("teams"), STR_INIT("user"), STR_INIT("escalation"), STR_INIT("schedule"),
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_eq_nocase(types[i], type))
            return true;
    return false;
}

/* "opsGenieConfig responder {id name username type} <what>". */
static bool responder_fail(const struct opsgenie_responder *r, struct err *err, const char *what, const char *more)
{
    return err_set(err, ERR_INVALID, "opsGenieConfig responder {%.*s %.*s %.*s %.*s} %s%s", STR_ARG(r->id),
                   STR_ARG(r->name), STR_ARG(r->username), STR_ARG(r->type), what, more);
}

static bool responder_check(const struct opsgenie_responder *r, struct err *err)
{
    struct err why = { 0 };
    if (r->id.n + r->username.n + r->name.n == 0)
        return responder_fail(r, err, "has to have at least one of id, username or name specified", "");
    if (str_contains(r->type, STR("{{")))
        return template_check(r->type, &why) ||
               responder_fail(r, err, "type contains invalid template syntax: ", why.text);
    return type_is_valid(r->type) || responder_fail(r, err, "type does not match valid options ", TYPES_PATTERN);
}

static bool check(struct binding *b, void *object, struct err *err)
{
    const struct opsgenie_config *c = object;
    (void)b;
    if (!receiver_pair(c->api_key, "api_key", c->api_key_file, "api_key_file", err))
        return false;
    for (size_t i = 0; i < c->responders_count; i++)
        if (!responder_check(&c->responders[i], err))
            return false;
    return true;
}

const struct bind_type opsgenie_config_bind =
    RECEIVER_TYPE("opsgenie.plain", struct opsgenie_config, fields, .title = "opsgenie_configs", .check = check);

bool opsgenie_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err)
{
    struct opsgenie_config *c = config;
    receiver_inherit_http(&c->common, global);
    if (!receiver_inherit_url(&c->api_url, global->opsgenie_api_url, "no global OpsGenie URL set", err))
        return false;
    c->api_url = receiver_url_with_slash(a, c->api_url);
    receiver_inherit_members(&c->api_key, &c->api_key_file, global->opsgenie_api_key,
                             global->opsgenie_api_key_file);
    if (c->api_key.n == 0 && c->api_key_file.n == 0)
        return err_set(err, ERR_INVALID, "no global OpsGenie API Key set either inline or in a file");
    return true;
}
