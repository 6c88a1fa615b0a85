/* Microsoft Teams by connectors: one message card. */
#include "notify/receivers/msteams_config.h"

#include "notify/receivers/rows.h"
#include "notify/send.h"

static struct str color(struct str status)
{
    if (str_eq(status, STR("firing")))
        return STR("8C1A1A");
    return str_eq(status, STR("resolved")) ? STR("2DC72D") : STR("808080");
}

static struct str build_body(struct send_attempt *at, const struct msteams_config *c, struct send_render *r)
{
    struct send_body b;
    struct json_writer *w = &b.json;
    struct str title = send_text(r, c->title), text = send_text(r, c->text), summary = send_text(r, c->summary);
    send_body_init(&b);
    jw_object(w);
    jw_kv(w, STR("@context"), STR("http://schema.org/extensions"));
    jw_kv(w, STR("type"), STR("MessageCard"));
    jw_kv(w, STR("title"), title);
    jw_kv(w, STR("summary"), summary);
    jw_kv(w, STR("text"), text);
    jw_kv(w, STR("themeColor"), color(r->data.status));
    jw_object_end(w);
    return send_body_finish(&b, at->arena);
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct msteams_config *c = at->config;
    struct err err = { 0 };
    if (res && !res->arrived)
        return send_no_answer(res, why, NULL, 0);
    if (res)
        return send_check_status(res, 0, res->body, why);
    struct send_render r;
    struct str url = c->webhook_url;
    send_render_init(&r, at, 0);
    struct str body = build_body(at, c, &r);
    if (r.failed)
        return send_template_failed(why, &r, "");
    if (url.n == 0 && !send_read_file(at, c->webhook_url_file, true, &url, &err))
        return send_fail(why, SEND_REASON_OTHER, "read webhook_url_file: %s", err.text);
    send_post_json(at, next, url, body);
    next->secret_url = true;
    return SEND_REQUEST;
}

const struct receiver_row msteams_row = { RECEIVER_ROW(RECEIVER_MSTEAMS, msteams, true), .step = step };
