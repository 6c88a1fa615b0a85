/* Discord: one embed per notification. */
#include "notify/receivers/discord_config.h"

#include "base/log.h"
#include "http/url.h"
#include "notify/receivers/rows.h"
#include "notify/send.h"

#define TITLE_RUNES_MAX       256
#define DESCRIPTION_RUNES_MAX 4096
#define CONTENT_RUNES_MAX     2000

#define COLOR_RED   0x992D22
#define COLOR_GREEN 0x2ECC71
#define COLOR_GREY  0x95A5A6

static int64_t color(struct str status)
{
    if (str_eq(status, STR("firing")))
        return COLOR_RED;
    return str_eq(status, STR("resolved")) ? COLOR_GREEN : COLOR_GREY;
}

static bool is_url(struct send_attempt *at, struct str s)
{
    struct http_url url;
    struct err err = { 0 };
    if (http_url_parse_request(at->arena, s, &url, &err))
        return true;
    log_warn("Bad avatar url", LOG_CSTR("integration", "discord"), LOG_STR("receiver", at->n->receiver), LOG_ERR(&err));
    return false;
}

static struct str build_body(struct send_attempt *at, struct send_render *r)
{
    const struct discord_config *c = at->config;
    struct send_body b;
    struct json_writer *w = &b.json;
    struct str title = send_cut_runes(at->arena, send_text(r, c->title), TITLE_RUNES_MAX);
    struct str description = send_cut_runes(at->arena, send_text(r, c->message), DESCRIPTION_RUNES_MAX);
    struct str content = send_cut_runes(at->arena, send_text(r, c->content), CONTENT_RUNES_MAX);
    send_body_init(&b);
    jw_object(w);
    jw_kv(w, STR("content"), content);
    jw_key(w, STR("embeds"));
    jw_array(w);
    jw_object(w);
    jw_kv(w, STR("title"), title);
    jw_kv(w, STR("description"), description);
    jw_key(w, STR("color"));
    jw_i64(w, color(r->data.status));
    jw_object_end(w);
    jw_array_end(w);
    jw_optional(w, STR("username"), c->username);
    if (c->avatar_url.n > 0 && is_url(at, c->avatar_url))
        jw_kv(w, STR("avatar_url"), c->avatar_url);
    jw_object_end(w);
    return send_body_finish(&b, at->arena);
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct discord_config *c = at->config;
    const struct send_hook hook = { c->webhook_url, c->webhook_url_file, build_body };
    return send_hook_step(at, res, next, why, &hook);
}

const struct receiver_row discord_row = { RECEIVER_ROW(RECEIVER_DISCORD, discord, true), .step = step };
