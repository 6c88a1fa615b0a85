/* Rows and checks of telegram_configs. */
#include "notify/receivers/telegram_config.h"

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct telegram_config, "true"),
    RECEIVER_HTTP_CONFIG(struct telegram_config),
    BIND_SCALAR(struct telegram_config, api_url, "api_url", "API of Telegram.", &http_url_scalar, .inherit = true,
                .always = true),
    BIND_SECRET(struct telegram_config, bot_token, "bot_token", "Token of the bot.", .inherit = true),
    BIND_STR(struct telegram_config, bot_token_file, "bot_token_file", "File of the token.", .inherit = true),
    BIND_I64(struct telegram_config, chat_id, "chat_id", "Chat to write to.", .go_type = "int64"),
    BIND_STR(struct telegram_config, chat_id_file, "chat_id_file", "File of the chat's number."),
    BIND_I64(struct telegram_config, message_thread_id, "message_thread_id", "Topic of the chat."),
    BIND_STR(struct telegram_config, message, "message", "Text.", .templated = true,
             .fallback = "{{ template \"telegram.default.message\" . }}"),
    BIND_BOOL(struct telegram_config, disable_notifications, "disable_notifications", "Deliver without a sound."),
    BIND_STR(struct telegram_config, parse_mode, "parse_mode",
             "Markdown, MarkdownV2, HTML or empty for plain text.", .fallback = "HTML"),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    static const struct str modes[] = { STR_INIT(""), STR_INIT("Markdown"), STR_INIT("MarkdownV2"),
                                        STR_INIT("HTML") };
    const struct telegram_config *c = object;
    (void)b;
    if (!receiver_pair(c->bot_token, "bot_token", c->bot_token_file, "bot_token_file", err))
        return false;
    if (c->chat_id == 0 && c->chat_id_file.n == 0)
        return err_set(err, ERR_INVALID, "missing chat_id or chat_id_file on telegram_config");
    if (c->chat_id != 0 && c->chat_id_file.n)
        return err_set(err, ERR_INVALID, "at most one of chat_id & chat_id_file must be configured");
    for (size_t i = 0; i < ARRAY_LEN(modes); i++)
        if (str_eq(modes[i], c->parse_mode))
            return true;
    return err_set(err, ERR_INVALID,
                   "unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, HTML or empty string");
}

const struct bind_type telegram_config_bind =
    RECEIVER_TYPE("telegram.plain", struct telegram_config, fields, .title = "telegram_configs", .check = check);

bool telegram_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err)
{
    struct telegram_config *c = config;
    (void)a;
    receiver_inherit_http(&c->common, global);
    if (!receiver_inherit_url(&c->api_url, global->telegram_api_url, "no global Telegram URL set", err))
        return false;
    receiver_inherit_pair(&c->bot_token, &c->bot_token_file, global->telegram_bot_token,
                          global->telegram_bot_token_file);
    if (c->bot_token.n == 0 && c->bot_token_file.n == 0)
        return err_set(err, ERR_INVALID, "missing bot_token or bot_token_file on telegram_config");
    return true;
}
