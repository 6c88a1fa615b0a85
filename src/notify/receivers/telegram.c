/* Telegram: one message by the bot API. */
#include "notify/receivers/telegram_config.h"

#include "base/num.h"
#include "base/utf8.h"
#include "json/reader.h"
#include "notify/receivers/rows.h"
#include "notify/send.h"

#define MESSAGE_RUNES_MAX 4096

/* Cutting HTML could leave half a tag, which Telegram refuses: a message that is too long is replaced by this one. */
#define TOO_LONG                                                                                   \
    "Alertmanager notification could not be sent: message length exceeds Telegram limits.\n"       \
    "\t\t\tPlease check the template used for producing the message content."

static enum send_verdict judge_error(struct send_error *why, int64_t code, struct str description, bool retry_after)
{
    enum send_reason reason = send_status_reason(code > 0 && code < 1000 ? (int)code : 0);
    if (retry_after)
        reason = SEND_REASON_RATE_LIMITED;
    return send_retry(why, reason, "telegram: %.*s (%lld)", STR_ARG(description), (long long)code);
}

static bool read_parameters(struct json_reader *r, bool *retry_after)
{
    struct str key;
    if (jr_peek(r) != JR_OBJECT)
        return jr_skip(r);
    bool ok = jr_object(r);
    while (ok && jr_member(r, &key)) {
        *retry_after |= str_eq(key, STR("retry_after"));
        ok = jr_skip(r);
    }
    return ok;
}

/* Success is what the answer says, whatever its status. */
static enum send_verdict judge(struct send_attempt *at, const struct send_response *res, struct send_error *why)
{
    struct json_reader r;
    struct str key, description = STR_EMPTY;
    struct err err = { 0 };
    bool done = false, retry_after = false;
    int64_t code = 0;
    json_reader_init(&r, res->body, at->arena);
    bool ok = jr_object(&r);
    while (ok && jr_member(&r, &key)) {
        if (str_eq(key, STR("ok")) && jr_peek(&r) == JR_BOOL)
            ok = jr_bool(&r, &done);
        else if (str_eq(key, STR("error_code")) && jr_peek(&r) == JR_NUMBER)
            ok = jr_i64(&r, &code);
        else if (str_eq(key, STR("description")) && jr_peek(&r) == JR_STRING)
            ok = jr_str(&r, &description);
        else if (str_eq(key, STR("parameters")))
            ok = read_parameters(&r, &retry_after);
        else
            ok = jr_skip(&r);
    }
    if (!jr_finish(&r, &err))
        return send_retry(why, SEND_REASON_OTHER, "telegram: %s", err.text);
    return done ? SEND_DONE : judge_error(why, code, description, retry_after);
}

static bool bot_token(struct send_attempt *at, const struct telegram_config *c, struct str *token, struct send_error *why)
{
    struct err err = { 0 };
    *token = c->bot_token;
    if (c->bot_token_file.n == 0 || send_read_file(at, c->bot_token_file, true, token, &err))
        return true;
    send_retry(why, SEND_REASON_OTHER, "could not read %.*s: %s", STR_ARG(c->bot_token_file), err.text);
    return false;
}

static bool chat_id(struct send_attempt *at, const struct telegram_config *c, int64_t *id, struct send_error *why)
{
    struct err err = { 0 };
    struct str text;
    *id = c->chat_id;
    if (c->chat_id_file.n == 0)
        return true;
    if (!send_read_file(at, c->chat_id_file, true, &text, &err)) {
        send_retry(why, SEND_REASON_OTHER, "could not read %.*s: %s", STR_ARG(c->chat_id_file), err.text);
        return false;
    }
    if (num_parse_i64(text, 10, id))
        return true;
    send_retry(why, SEND_REASON_OTHER, "could not parse chat_id from %.*s: strconv.ParseInt: parsing \"%.*s\": invalid syntax",
               STR_ARG(c->chat_id_file), STR_ARG(text));
    return false;
}

static struct str message(struct send_attempt *at, const struct telegram_config *c, struct send_render *r)
{
    if (!str_eq(c->parse_mode, STR("HTML")))
        return send_cut_runes(at->arena, send_text(r, c->message), MESSAGE_RUNES_MAX);
    struct str s = send_html(r, c->message);
    return utf8_count(s) > MESSAGE_RUNES_MAX ? STR(TOO_LONG) : s;
}

static struct str build_body(struct send_attempt *at, const struct telegram_config *c, int64_t chat, struct str text)
{
    struct send_body b;
    struct json_writer *w = &b.json;
    send_body_init(&b);
    jw_object(w);
    jw_kv(w, STR("chat_id"), arena_printf(at->arena, "%lld", (long long)chat));
    if (c->disable_notifications)
        jw_kv(w, STR("disable_notification"), STR("true"));
    jw_kv(w, STR("disable_web_page_preview"), STR("true"));
    if (c->message_thread_id != 0)
        jw_kv(w, STR("message_thread_id"), arena_printf(at->arena, "%lld", (long long)c->message_thread_id));
    jw_optional(w, STR("parse_mode"), c->parse_mode);
    jw_kv(w, STR("text"), text);
    jw_object_end(w);
    return send_body_finish(&b, at->arena);
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct telegram_config *c = at->config;
    if (res && !res->arrived)
        return send_no_answer(res, why, NULL, 0);
    if (res)
        return judge(at, res, why);
    struct send_render r;
    struct str token;
    int64_t chat;
    send_render_init(&r, at, 0);
    struct str text = message(at, c, &r);
    if (r.failed)
        return send_template_failed(why, &r, "");
    if (!bot_token(at, c, &token, why) || !chat_id(at, c, &chat, why))
        return SEND_RETRY;
    struct str api = c->api_url;
    while (api.n > 0 && api.p[api.n - 1] == '/')
        api.n--;
    send_post_json(at, next, arena_printf(at->arena, "%.*s/bot%.*s/sendMessage", STR_ARG(api), STR_ARG(token)),
                   build_body(at, c, chat, text));
    next->secret_url = true;
    return SEND_REQUEST;
}

const struct receiver_row telegram_row = { RECEIVER_ROW(RECEIVER_TELEGRAM, telegram, true), .step = step };
