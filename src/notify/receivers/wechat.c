/* WeChat: a token that lasts two hours, then the message. */
#include "notify/receivers/wechat_config.h"

#include "http/url.h"
#include "json/reader.h"
#include "notify/receivers/rows.h"
#include "notify/send.h"

#define TOKEN_AGE_MS      (2 * 60 * 60 * 1000)
#define CODE_TOKEN_EXPIRED 42001

enum { STATE_START, STATE_TOKEN, STATE_MESSAGE };

struct memory {
    struct send_render render;
    struct str corp_id, secret, cache_key;
};

/* Members of WeChat's answers; what is not there stays. */
struct answer {
    struct str token, message;
    int64_t code;
};

static bool read_answer(struct send_attempt *at, struct str body, struct answer *out, struct err *err)
{
    struct json_reader r;
    struct str key;
    json_reader_init(&r, body, at->arena);
    bool ok = jr_object(&r);
    while (ok && jr_member(&r, &key)) {
        if (str_eq_nocase(key, STR("access_token")))
            ok = jr_str(&r, &out->token);
        else if (str_eq_nocase(key, STR("errcode")))
            ok = jr_i64(&r, &out->code);
        else if (str_eq_nocase(key, STR("errmsg")) || str_eq_nocase(key, STR("error")))
            ok = jr_str(&r, &out->message);
        else
            ok = jr_skip(&r);
    }
    return jr_finish(&r, err);
}

static void parameter(struct buf *b, const char *name, struct str value)
{
    buf_c(b, name);
    http_query_escape(b, value);
}

static struct str take(struct arena *a, struct buf *b)
{
    struct str s = arena_str(a, buf_view(b));
    buf_deinit(b);
    return s;
}

static enum send_verdict ask_token(struct send_attempt *at, const struct wechat_config *c, struct send_request *next)
{
    const struct memory *m = at->memory;
    struct buf b = { 0 };
    buf_str(&b, c->api_url);
    parameter(&b, "gettoken?corpid=", m->corp_id);
    parameter(&b, "&corpsecret=", m->secret);
    *next = (struct send_request){ .method = STR("GET"), .url = take(at->arena, &b), .http = c->common.http_config,
                                   .secret_url = true };
    at->state = STATE_TOKEN;
    return SEND_REQUEST;
}

static void write_content(struct json_writer *w, const char *key, struct str content)
{
    jw_key(w, str_c(key));
    jw_object(w);
    jw_kv(w, STR("content"), content);
    jw_object_end(w);
}

static struct str build_body(struct send_attempt *at, const struct wechat_config *c, struct send_render *r)
{
    bool markdown = str_eq(c->message_type, STR("markdown"));
    struct send_body b;
    struct json_writer *w = &b.json;
    struct str content = send_text(r, c->message);
    send_body_init(&b);
    jw_object(w);
    write_content(w, "text", markdown ? STR_EMPTY : content);
    jw_optional(w, STR("touser"), send_text(r, c->to_user));
    jw_optional(w, STR("toparty"), send_text(r, c->to_party));
    jw_optional(w, STR("totag"), send_text(r, c->to_tag));
    jw_optional(w, STR("agentid"), send_text(r, c->agent_id));
    jw_kv(w, STR("safe"), STR("0"));
    jw_kv(w, STR("msgtype"), c->message_type);
    write_content(w, "markdown", markdown ? content : STR_EMPTY);
    jw_object_end(w);
    return send_body_finish(&b, at->arena);
}

static enum send_verdict send_message(struct send_attempt *at, const struct wechat_config *c, struct str token,
                                      struct send_request *next, struct send_error *why)
{
    struct memory *m = at->memory;
    struct buf b = { 0 };
    struct str body = build_body(at, c, &m->render);
    if (m->render.failed)
        return send_template_failed(why, &m->render, "");
    buf_str(&b, c->api_url);
    parameter(&b, "message/send?access_token=", token);
    send_post_json(at, next, take(at->arena, &b), body);
    next->secret_url = true;
    at->state = STATE_MESSAGE;
    return SEND_REQUEST;
}

/* The token belongs to the integration: while it lasts, nothing that it was asked with is looked at again. */
static enum send_verdict start(struct send_attempt *at, const struct wechat_config *c, struct send_request *next,
                               struct send_error *why)
{
    struct memory *m = ARENA_NEW(at->arena, struct memory);
    struct err err = { 0 };
    struct str secret = c->api_secret;
    at->memory = m;
    send_render_init(&m->render, at, 0);
    m->cache_key = arena_printf(at->arena, "wechat\n%p\n%.*s\n%.*s\n%.*s\n%.*s", at->config, STR_ARG(c->api_url),
                                STR_ARG(c->corp_id), STR_ARG(c->api_secret), STR_ARG(c->api_secret_file));
    struct str token = send_cache_get(at->cache, m->cache_key, at->now, TOKEN_AGE_MS);
    if (token.n > 0)
        return send_message(at, c, arena_str(at->arena, token), next, why);
    if (secret.n == 0 && !send_read_file(at, c->api_secret_file, true, &secret, &err))
        return send_fail(why, SEND_REASON_OTHER, "read api_secret_file: %s", err.text);
    m->secret = send_text(&m->render, secret);
    m->corp_id = send_text(&m->render, c->corp_id);
    if (m->render.failed)
        return send_template_failed(why, &m->render, "templating error: ");
    return ask_token(at, c, next);
}

/* Its status is not looked at. */
static enum send_verdict got_token(struct send_attempt *at, const struct wechat_config *c,
                                   const struct send_response *res, struct send_request *next, struct send_error *why)
{
    const struct memory *m = at->memory;
    struct answer answer = { 0 };
    struct err err = { 0 };
    if (!read_answer(at, res->body, &answer, &err))
        return send_fail(why, SEND_REASON_OTHER, "%s", err.text);
    if (answer.token.n == 0)
        return send_fail(why, SEND_REASON_OTHER, "invalid APISecret for CorpID: %.*s", STR_ARG(m->corp_id));
    send_cache_put(at->cache, m->cache_key, answer.token, at->now);
    return send_message(at, c, answer.token, next, why);
}

static enum send_verdict judge(struct send_attempt *at, const struct send_response *res, struct send_error *why)
{
    const struct memory *m = at->memory;
    struct answer answer = { 0 };
    struct err err = { 0 };
    if (res->status != 200)
        return send_retry(why, send_status_reason(res->status), "unexpected status code %d", res->status);
    if (!read_answer(at, res->body, &answer, &err))
        return send_retry(why, SEND_REASON_OTHER, "%s", err.text);
    if (answer.code == 0)
        return SEND_DONE;
    if (answer.code != CODE_TOKEN_EXPIRED)
        return send_fail(why, SEND_REASON_OTHER, "%.*s", STR_ARG(answer.message));
    send_cache_drop(at->cache, m->cache_key);
    return send_retry(why, SEND_REASON_OTHER, "%.*s", STR_ARG(answer.message));
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct wechat_config *c = at->config;
    if (!res)
        return start(at, c, next, why);
    if (!res->arrived)
        return send_no_answer(res, why, NULL, 0);
    return at->state == STATE_TOKEN ? got_token(at, c, res, next, why) : judge(at, res, why);
}

const struct receiver_row wechat_row = { RECEIVER_ROW(RECEIVER_WECHAT, wechat, false), .step = step };
