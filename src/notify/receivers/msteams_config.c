/* Rows and checks of msteams_configs. */
#include "notify/receivers/msteams_config.h"

#define TEMPLATE(name) "{{ template \"msteams.default." name "\" . }}"

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct msteams_config, "true"),
    RECEIVER_HTTP_CONFIG(struct msteams_config),
    BIND_SCALAR(struct msteams_config, webhook_url, "webhook_url", "Connector.", &http_secret_url_scalar),
    BIND_STR(struct msteams_config, webhook_url_file, "webhook_url_file", "File of the connector's URL."),
    BIND_STR(struct msteams_config, title, "title", "Title.", .templated = true, .fallback = TEMPLATE("title")),
    BIND_STR(struct msteams_config, summary, "summary", "Summary.", .templated = true,
             .fallback = TEMPLATE("summary")),
    BIND_STR(struct msteams_config, text, "text", "Text.", .templated = true, .fallback = TEMPLATE("text")),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    const struct msteams_config *c = object;
    (void)b;
    return receiver_one_webhook(c->webhook_url, c->webhook_url_file, err);
}

const struct bind_type msteams_config_bind =
    RECEIVER_TYPE("msteams.plain", struct msteams_config, fields, .title = "msteams_configs", .check = check);

bool msteams_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err)
{
    (void)a;
    (void)err;
    receiver_inherit_http(config, global);
    return true;
}
