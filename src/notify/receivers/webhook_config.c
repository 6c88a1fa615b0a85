/* Rows and checks of webhook_configs. */
#include "notify/receivers/webhook_config.h"

#include "template/template.h"

/* A URL, or a template of one: which of the two is known by "{{". */
static bool url_read(struct binding *b, struct str text, void *out, struct err *err)
{
    struct str checked;
    *(struct str *)out = text;
    if (str_eq(text, STR(BIND_SECRET_TEXT)) || text.n == 0)
        return true;
    if (str_contains(text, STR("{{")))
        return template_check(text, err) || err_wrap(err, "invalid template syntax");
    return http_url_check(b->arena, text, &checked, err) || err_wrap(err, "invalid URL");
}

static void url_emit(struct yaml_emitter *e, const void *value)
{
    yaml_emit_str(e, *(const struct str *)value);
}

static bool url_is_zero(const void *value)
{
    return ((const struct str *)value)->n == 0;
}

static const struct bind_scalar url_scalar = {
    .size = sizeof(struct str),
    .parse = url_read,
    .emit = url_emit,
    .is_zero = url_is_zero,
};

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct webhook_config, "true"),
    RECEIVER_HTTP_CONFIG(struct webhook_config),
    BIND_SCALAR(struct webhook_config, url, "url", "Where to post.", &url_scalar, .secret = true,
                .templated = true),
    BIND_STR(struct webhook_config, url_file, "url_file", "File of the URL; read for each notification.",
             .always = true),
    BIND_U64(struct webhook_config, max_alerts, "max_alerts", "Most alerts in one message; 0: all.",
             .always = true),
    BIND_GO_NS(struct webhook_config, timeout_ns, "timeout", "Bound of one attempt; 0: none.", .always = true),
    BIND_TREE(struct webhook_config, payload, "payload", "A body of your own instead of the standard one.",
              .templated = true),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    const struct webhook_config *c = object;
    (void)b;
    if (c->url.n == 0 && c->url_file.n == 0)
        return err_set(err, ERR_INVALID, "one of url or url_file must be configured");
    return receiver_pair(c->url, "url", c->url_file, "url_file", err);
}

const struct bind_type webhook_config_bind =
    RECEIVER_TYPE("webhook.plain", struct webhook_config, fields, .title = "webhook_configs", .check = check);

bool webhook_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err)
{
    (void)a;
    (void)err;
    receiver_inherit_http(config, global);
    return true;
}
