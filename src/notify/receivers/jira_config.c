/* Rows and checks of jira_configs. */
#include "notify/receivers/jira_config.h"

/* summary and description: a text, or an object with the text in it. Each has its own default. */
static enum bind_result field_short(struct binding *b, const struct yaml_node *node, void *object, bool *taken)
{
    struct jira_field_config *f = object;
    if (node->kind == YAML_MAPPING || node->kind == YAML_SEQUENCE)
        return BIND_OK;
    *taken = true;
    return bind_read_str(b, node, &f->template);
}

#define FIELD_ROWS(default_) \
    { \
        BIND_STR(struct jira_field_config, template, "template", "Text.", .templated = true, \
                 .fallback = "{{ template \"jira.default." default_ "\" . }}"), \
        BIND_TRISTATE(struct jira_field_config, enable_update, "enable_update", \
                      "Whether later notifications change it; true if absent."), \
    }
static const struct bind summary_fields[] = FIELD_ROWS("summary");
static const struct bind description_fields[] = FIELD_ROWS("description");
static const struct bind_type summary_bind = BIND_TYPE("jira.plain", struct jira_field_config, summary_fields,
                                                       .title = "summary", .parse_short = field_short);
static const struct bind_type description_bind = BIND_TYPE(
    "jira.plain", struct jira_field_config, description_fields, .title = "description", .parse_short = field_short);

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct jira_config, "true"),
    RECEIVER_HTTP_CONFIG(struct jira_config),
    BIND_SCALAR(struct jira_config, api_url, "api_url", "API of Jira.", &http_url_scalar, .inherit = true),
    BIND_STR(struct jira_config, api_type, "api_type", "cloud, datacenter, or auto by the host.",
             .fallback = "auto"),
    BIND_STR(struct jira_config, project, "project", "Project of issues.", .templated = true,
             .required = "missing project in jira_config"),
    BIND_OBJECT(struct jira_config, summary, "summary", "Summary of the issue.", &summary_bind),
    BIND_OBJECT(struct jira_config, description, "description", "Description of the issue.", &description_bind),
    BIND_STRS(struct jira_config, labels, "labels", "Labels of the issue.", .templated = true),
    BIND_STR(struct jira_config, priority, "priority", "Priority of the issue.", .templated = true,
             .fallback = "{{ template \"jira.default.priority\" . }}"),
    BIND_STR(struct jira_config, issue_type, "issue_type", "Type of the issue.", .templated = true,
             .required = "missing issue_type in jira_config"),
    BIND_STR(struct jira_config, reopen_transition, "reopen_transition",
             "Transition that opens a closed issue again."),
    BIND_STR(struct jira_config, resolve_transition, "resolve_transition", "Transition that closes an issue."),
    BIND_STR(struct jira_config, wont_fix_resolution, "wont_fix_resolution",
             "Resolution that is never opened again."),
    BIND_SCALAR(struct jira_config, reopen_duration_ms, "reopen_duration",
                "How long a closed issue may be opened again.", &duration_scalar),
    BIND_TREE(struct jira_config, fields, "fields", "Further fields of the issue.", .templated = true,
              .go_type = "map[string]interface {}"),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    const struct jira_config *c = object;
    (void)b;
    if (!str_eq(c->api_type, STR("auto")) && !str_eq(c->api_type, STR("cloud")) &&
        !str_eq(c->api_type, STR("datacenter")))
        return err_set(err, ERR_INVALID, "unknown api_type on jira_config, must be auto, cloud or datacenter");
    return true;
}

const struct bind_type jira_config_bind =
    RECEIVER_TYPE("jira.plain", struct jira_config, fields, .title = "jira_configs", .check = check);

bool jira_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err)
{
    struct jira_config *c = config;
    (void)a;
    receiver_inherit_http(&c->common, global);
    return receiver_inherit_url(&c->api_url, global->jira_api_url, "no global Jira Cloud URL set", err);
}
