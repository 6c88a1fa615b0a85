/* Rows and checks of pushover_configs. */
#include "notify/receivers/pushover_config.h"

#define TEMPLATE(name) "{{ template \"pushover.default." name "\" . }}"

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct pushover_config, "true"),
    RECEIVER_HTTP_CONFIG(struct pushover_config),
    BIND_SECRET(struct pushover_config, user_key, "user_key", "Key of the user or group.", .templated = true),
    BIND_STR(struct pushover_config, user_key_file, "user_key_file", "File of the user key."),
    BIND_SECRET(struct pushover_config, token, "token", "Token of the application.", .templated = true),
    BIND_STR(struct pushover_config, token_file, "token_file", "File of the token."),
    BIND_STR(struct pushover_config, title, "title", "Title.", .templated = true, .fallback = TEMPLATE("title")),
    BIND_STR(struct pushover_config, message, "message", "Text.", .templated = true,
             .fallback = TEMPLATE("message")),
    BIND_STR(struct pushover_config, url, "url", "Link.", .templated = true, .fallback = TEMPLATE("url")),
    BIND_STR(struct pushover_config, url_title, "url_title", "Text of the link.", .templated = true),
    BIND_STR(struct pushover_config, device, "device", "Device to send to.", .templated = true),
    BIND_STR(struct pushover_config, sound, "sound", "Sound to play.", .templated = true),
    BIND_STR(struct pushover_config, priority, "priority", "Priority, -2 to 2.", .templated = true,
             .fallback = "{{ if eq .Status \"firing\" }}2{{ else }}0{{ end }}"),
    BIND_SCALAR(struct pushover_config, retry_ns, "retry", "How often an emergency is repeated to the user.",
                &go_duration_scalar, .go_type = "pushover.duration", .fallback = "1m"),
    BIND_SCALAR(struct pushover_config, expire_ns, "expire", "How long it is repeated.", &go_duration_scalar,
                .go_type = "pushover.duration", .fallback = "1h"),
    BIND_SCALAR(struct pushover_config, ttl_ns, "ttl", "When the message vanishes; 0: never.", &go_duration_scalar,
                .go_type = "pushover.duration"),
    BIND_BOOL(struct pushover_config, html, "html", "The message is HTML.", .always = true),
    BIND_BOOL(struct pushover_config, monospace, "monospace", "Monospaced text."),
};

static bool one_of(struct str a, const char *a_name, struct str b, const char *b_name, struct err *err)
{
    if (a.n == 0 && b.n == 0)
        return err_set(err, ERR_INVALID, "one of %s or %s must be configured", a_name, b_name);
    return receiver_pair(a, a_name, b, b_name, err);
}

static bool check(struct binding *b, void *object, struct err *err)
{
    const struct pushover_config *c = object;
    (void)b;
    if (!one_of(c->user_key, "user_key", c->user_key_file, "user_key_file", err) ||
        !one_of(c->token, "token", c->token_file, "token_file", err))
        return false;
    if (c->html && c->monospace)
        return err_set(err, ERR_INVALID, "at most one of monospace & html must be configured");
    return true;
}

const struct bind_type pushover_config_bind =
    RECEIVER_TYPE("pushover.plain", struct pushover_config, fields, .title = "pushover_configs", .check = check);

bool pushover_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err)
{
    (void)a;
    (void)err;
    receiver_inherit_http(config, global);
    return true;
}
