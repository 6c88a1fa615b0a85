/* Rows and checks of msteamsv2_configs. */
#include "notify/receivers/msteamsv2_config.h"

#define TEMPLATE(name) "{{ template \"msteamsv2.default." name "\" . }}"

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct msteamsv2_config, "true"),
    RECEIVER_HTTP_CONFIG(struct msteamsv2_config),
    BIND_SCALAR(struct msteamsv2_config, webhook_url, "webhook_url", "Workflow.", &http_secret_url_scalar),
    BIND_STR(struct msteamsv2_config, webhook_url_file, "webhook_url_file", "File of the workflow's URL."),
    BIND_STR(struct msteamsv2_config, title, "title", "Title.", .templated = true, .fallback = TEMPLATE("title")),
    BIND_STR(struct msteamsv2_config, text, "text", "Text.", .templated = true, .fallback = TEMPLATE("text")),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    const struct msteamsv2_config *c = object;
    (void)b;
    return receiver_one_webhook(c->webhook_url, c->webhook_url_file, err);
}

const struct bind_type msteamsv2_config_bind =
    RECEIVER_TYPE("msteamsv2.plain", struct msteamsv2_config, fields, .title = "msteamsv2_configs", .check = check);

/* Upstream's exception: HTTP settings of its own still go through the global proxy. */
bool msteamsv2_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err)
{
    struct msteamsv2_config *c = config;
    struct http_client_config *own = c->common.http_config;
    (void)a;
    (void)err;
    if (own && own->proxy.proxy_url.n == 0)
        own->proxy.proxy_url = global->http_config->proxy.proxy_url;
    receiver_inherit_http(&c->common, global);
    return true;
}
