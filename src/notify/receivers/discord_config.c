/* Rows and checks of discord_configs. */
#include "notify/receivers/discord_config.h"

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct discord_config, "true"),
    RECEIVER_HTTP_CONFIG(struct discord_config),
    BIND_SCALAR(struct discord_config, webhook_url, "webhook_url", "Webhook.", &http_secret_url_scalar),
    BIND_STR(struct discord_config, webhook_url_file, "webhook_url_file", "File of the webhook's URL."),
    BIND_STR(struct discord_config, content, "content", "Text above the embed.", .templated = true),
    BIND_STR(struct discord_config, title, "title", "Title.", .templated = true,
             .fallback = "{{ template \"discord.default.title\" . }}"),
    BIND_STR(struct discord_config, message, "message", "Text.", .templated = true,
             .fallback = "{{ template \"discord.default.message\" . }}"),
    BIND_STR(struct discord_config, username, "username", "Name of the sender."),
    BIND_STR(struct discord_config, avatar_url, "avatar_url", "URL of the sender's picture."),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    const struct discord_config *c = object;
    (void)b;
    return receiver_one_webhook(c->webhook_url, c->webhook_url_file, err);
}

const struct bind_type discord_config_bind =
    RECEIVER_TYPE("discord.plain", struct discord_config, fields, .title = "discord_configs", .check = check);

bool discord_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err)
{
    (void)a;
    (void)err;
    receiver_inherit_http(config, global);
    return true;
}
