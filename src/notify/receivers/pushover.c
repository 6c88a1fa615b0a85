/* Pushover: everything in the query of one POST. */
#include "notify/receivers/pushover_config.h"

#include "http/url.h"
#include "notify/receivers/rows.h"
#include "notify/send.h"

#define TITLE_RUNES_MAX   250
#define MESSAGE_RUNES_MAX 1024
#define URL_RUNES_MAX     512

#define API_URL "https://api.pushover.net/1/messages.json"

static bool secret(struct send_attempt *at, struct send_render *r, struct str inline_, struct str file, const char *what,
                   struct str *out, struct send_error *why)
{
    struct err err = { 0 };
    if (inline_.n == 0 && !send_read_file(at, file, false, &inline_, &err)) {
        send_fail(why, SEND_REASON_OTHER, "read %s error: %s", what, err.text);
        return false;
    }
    *out = send_text(r, inline_);
    return true;
}

static void parameter(struct buf *b, const char *name, struct str value)
{
    buf_byte(b, b->n == sizeof API_URL - 1 ? '?' : '&');
    buf_c(b, name);
    buf_byte(b, '=');
    http_query_escape(b, value);
}

static void seconds(struct buf *b, const char *name, int64_t ns)
{
    buf_byte(b, '&');
    buf_c(b, name);
    buf_byte(b, '=');
    buf_i64(b, ns / 1000000000);
}

struct fields {
    struct str user, token, title, message, url, url_title, device, sound, priority;
};

static bool render_fields(struct send_attempt *at, const struct pushover_config *c, struct send_render *r,
                          struct fields *f, struct send_error *why)
{
    if (!secret(at, r, c->user_key, c->user_key_file, "user_key_file", &f->user, why) ||
        !secret(at, r, c->token, c->token_file, "token_file", &f->token, why))
        return false;
    f->title = send_cut_runes(at->arena, send_text(r, c->title), TITLE_RUNES_MAX);
    f->message = c->html ? send_html(r, c->message) : send_text(r, c->message);
    f->message = str_trim(send_cut_runes(at->arena, f->message, MESSAGE_RUNES_MAX));
    if (f->message.n == 0) /* Pushover rejects empty ones */
        f->message = STR("(no details)");
    f->url = send_cut_runes(at->arena, send_text(r, c->url), URL_RUNES_MAX);
    f->url_title = send_text(r, c->url_title);
    f->priority = send_text(r, c->priority);
    f->device = send_text(r, c->device);
    f->sound = send_text(r, c->sound);
    if (r->failed)
        send_template_failed(why, r, "");
    return !r->failed;
}

/* Sorted by name, as Go's url.Values are written. */
static struct str build_url(struct send_attempt *at, const struct pushover_config *c, const struct fields *f)
{
    struct buf b = { 0 };
    buf_c(&b, API_URL);
    parameter(&b, "device", f->device);
    seconds(&b, "expire", c->expire_ns);
    if (c->html)
        parameter(&b, "html", STR("1"));
    parameter(&b, "message", f->message);
    if (c->monospace)
        parameter(&b, "monospace", STR("1"));
    parameter(&b, "priority", f->priority);
    seconds(&b, "retry", c->retry_ns);
    parameter(&b, "sound", f->sound);
    parameter(&b, "title", f->title);
    parameter(&b, "token", f->token);
    if (c->ttl_ns / 1000000000 > 0)
        seconds(&b, "ttl", c->ttl_ns);
    parameter(&b, "url", f->url);
    parameter(&b, "url_title", f->url_title);
    parameter(&b, "user", f->user);
    struct str s = arena_str(at->arena, buf_view(&b));
    buf_deinit(&b);
    return s;
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct pushover_config *c = at->config;
    if (res && !res->arrived)
        return send_no_answer(res, why, NULL, 0);
    if (res)
        return send_check_status(res, 0, res->body, why);
    struct send_render r;
    struct fields f;
    send_render_init(&r, at, 0);
    if (!render_fields(at, c, &r, &f, why))
        return SEND_FAIL;
    *next = (struct send_request){ .method = STR("POST"), .url = build_url(at, c, &f), .http = c->common.http_config,
                                   .secret_url = true };
    send_header(next, STR("Content-Type"), STR("text/plain"));
    return SEND_REQUEST;
}

const struct receiver_row pushover_row = { RECEIVER_ROW(RECEIVER_PUSHOVER, pushover, true), .step = step };
