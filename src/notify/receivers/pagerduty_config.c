/* Rows and checks of pagerduty_configs. */
#include "notify/receivers/pagerduty_config.h"

#include <stdlib.h>

#define TEMPLATE(name) "{{ template \"pagerduty.default." name "\" . }}"

/* ---- details: any mapping, with four keys that are always there ---- */

static enum bind_result details_read(struct binding *b, const struct yaml_node *node, void *out)
{
    return bind_read_tree(b, node, "map[string]interface {}", &((struct pagerduty_details *)out)->tree);
}

static void details_emit(struct yaml_emitter *e, const void *value)
{
    const struct pagerduty_details *d = value;
    yaml_emit_map(e);
    for (size_t i = 0; i < d->n; i++) {
        yaml_emit_str(e, d->v[i].key);
        if (d->v[i].value)
            yaml_emit_tree(e, d->v[i].value);
        else
            yaml_emit_null(e);
    }
    yaml_emit_map_end(e);
}

static bool details_is_zero(const void *value)
{
    const struct pagerduty_details *d = value;
    return d->n == 0 && d->tree == NULL;
}

static const struct bind_scalar details_scalar = {
    .go_type = "map[string]interface {}",
    .size = sizeof(struct pagerduty_details),
    .parse_node = details_read,
    .emit = details_emit,
    .is_zero = details_is_zero,
};

static int detail_cmp(const void *a, const void *b)
{
    return yaml_key_cmp(((const struct pagerduty_detail *)a)->key, ((const struct pagerduty_detail *)b)->key);
}

static void fill_details(struct arena *a, struct pagerduty_details *d)
{
    static const struct str_pair defaults[] = {
        { STR_INIT("firing"), STR_INIT("{{ .Alerts.Firing | toJson }}") },
        { STR_INIT("resolved"), STR_INIT("{{ .Alerts.Resolved | toJson }}") },
        { STR_INIT("num_firing"), STR_INIT("{{ .Alerts.Firing | len }}") },
        { STR_INIT("num_resolved"), STR_INIT("{{ .Alerts.Resolved | len }}") },
    };
    size_t given = d->tree ? d->tree->n : 0;
    d->v = arena_alloc_array(a, given + ARRAY_LEN(defaults), sizeof *d->v);
    for (size_t i = 0; i < given; i++)
        d->v[d->n++] = (struct pagerduty_detail){ d->tree->pairs[i].key->text, d->tree->pairs[i].value };
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
        if (yaml_get(d->tree, defaults[i].key))
            continue;
        struct yaml_node *text = ARENA_NEW(a, struct yaml_node);
        text->kind = YAML_STRING;
        text->text = defaults[i].value;
        d->v[d->n++] = (struct pagerduty_detail){ defaults[i].key, text };
    }
    qsort(d->v, d->n, sizeof *d->v, detail_cmp);
}

/* ---- images, links ---- */

static const struct bind image_fields[] = {
    BIND_STR(struct pagerduty_image, src, "src", "URL of the image.", .templated = true),
    BIND_STR(struct pagerduty_image, alt, "alt", "Text for those who do not see it.", .templated = true),
    BIND_STR(struct pagerduty_image, href, "href", "Link of the image.", .templated = true),
};
static const struct bind_type image_bind =
    BIND_TYPE("pagerduty.PagerdutyImage", struct pagerduty_image, image_fields, .title = "images");

static const struct bind link_fields[] = {
    BIND_STR(struct pagerduty_link, href, "href", "URL.", .templated = true),
    BIND_STR(struct pagerduty_link, text, "text", "Text of the link.", .templated = true),
};
static const struct bind_type link_bind =
    BIND_TYPE("pagerduty.PagerdutyLink", struct pagerduty_link, link_fields, .title = "links");

/* ---- The receiver ---- */

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct pagerduty_config, "true"),
    RECEIVER_HTTP_CONFIG(struct pagerduty_config),
    BIND_SECRET(struct pagerduty_config, service_key, "service_key", "Key of a v1 integration.", .templated = true),
    BIND_STR(struct pagerduty_config, service_key_file, "service_key_file", "File of the v1 key."),
    BIND_SECRET(struct pagerduty_config, routing_key, "routing_key", "Key of a v2 integration.", .templated = true),
    BIND_STR(struct pagerduty_config, routing_key_file, "routing_key_file", "File of the v2 key."),
    BIND_SCALAR(struct pagerduty_config, url, "url", "API of PagerDuty.", &http_url_scalar, .inherit = true),
    BIND_STR(struct pagerduty_config, client, "client", "Name of the sender.", .templated = true,
             .fallback = TEMPLATE("client")),
    BIND_STR(struct pagerduty_config, client_url, "client_url", "Backlink to the sender.", .templated = true,
             .fallback = TEMPLATE("clientURL")),
    BIND_STR(struct pagerduty_config, description, "description", "What the incident is about.", .templated = true,
             .fallback = "{{ template \"pagerduty.default.description\" .}}"),
    BIND_SCALAR(struct pagerduty_config, details, "details", "Key and value pairs with further detail.",
                &details_scalar, .templated = true),
    BIND_LIST(struct pagerduty_config, images, "images", "Images to attach.", &image_bind,
              .go_type = "[]pagerduty.PagerdutyImage"),
    BIND_LIST(struct pagerduty_config, links, "links", "Links to attach.", &link_bind,
              .go_type = "[]pagerduty.PagerdutyLink"),
    BIND_STR(struct pagerduty_config, source, "source", "Where it happened; `client` if absent.",
             .templated = true),
    BIND_STR(struct pagerduty_config, severity, "severity", "Severity; `error` if absent.", .templated = true),
    BIND_STR(struct pagerduty_config, class_, "class", "Class of the event.", .templated = true),
    BIND_STR(struct pagerduty_config, component, "component", "Affected part.", .templated = true),
    BIND_STR(struct pagerduty_config, group, "group", "Group of sources.", .templated = true),
    BIND_GO_NS(struct pagerduty_config, timeout_ns, "timeout", "Bound of one attempt; 0: none.", .always = true),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    struct pagerduty_config *c = object;
    if (c->routing_key.n + c->service_key.n + c->routing_key_file.n + c->service_key_file.n == 0)
        return err_set(err, ERR_INVALID, "missing service or routing key in PagerDuty config");
    if (!receiver_pair(c->routing_key, "routing_key", c->routing_key_file, "routing_key_file", err) ||
        !receiver_pair(c->service_key, "service_key", c->service_key_file, "service_key_file", err))
        return false;
    if (c->source.n == 0)
        c->source = c->client;
    fill_details(b->arena, &c->details);
    return true;
}

const struct bind_type pagerduty_config_bind =
    RECEIVER_TYPE("pagerduty.plain", struct pagerduty_config, fields, .title = "pagerduty_configs", .check = check);

bool pagerduty_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err)
{
    struct pagerduty_config *c = config;
    (void)a;
    receiver_inherit_http(&c->common, global);
    return receiver_inherit_url(&c->url, global->pagerduty_url, "no global PagerDuty URL set", err);
}
