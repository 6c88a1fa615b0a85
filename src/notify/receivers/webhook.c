/* webhook: the data as JSON, or a payload of the user's making, to a URL that may be a template. */
#include "notify/receivers/webhook_config.h"

#include "notify/receivers/rows.h"
#include "notify/send.h"

static void standard_body(struct send_body *b, const struct send_render *r, const struct notification *n)
{
    struct json_writer *w = &b->json;
    jw_object(w);
    send_data_members(w, r, n);
    jw_kv(w, STR("version"), STR("4"));
    jw_kv(w, STR("groupKey"), n->group_key);
    jw_key(w, STR("truncatedAlerts"));
    jw_u64(w, n->alerts_count - r->data.alerts_count);
    jw_object_end(w);
}

static bool build_body(struct send_attempt *at, const struct webhook_config *c, struct send_render *r, struct str *body,
                       struct send_error *why)
{
    struct send_body b;
    struct err err = { 0 };
    send_body_init(&b);
    if (!c->payload) {
        standard_body(&b, r, at->n);
    } else if (!send_tree_json(r, c->payload, &b.json, &err)) {
        send_body_drop(&b);
        send_fail(why, SEND_REASON_OTHER, "failed to render custom payload: %s", err.text);
        return false;
    }
    *body = send_body_finish(&b, at->arena);
    return true;
}

static bool build_url(struct send_attempt *at, const struct webhook_config *c, struct send_render *r, struct str *url,
                      struct send_error *why)
{
    struct err err = { 0 };
    struct str text = c->url;
    if (text.n == 0 && !send_read_file(at, c->url_file, true, &text, &err)) {
        send_fail(why, SEND_REASON_OTHER, "read url_file: %s", err.text);
        return false;
    }
    *url = send_text(r, text);
    if (r->failed)
        send_template_failed(why, r, "failed to template webhook URL: ");
    else if (url->n == 0)
        send_fail(why, SEND_REASON_OTHER, "webhook URL is empty after templating");
    return !r->failed && url->n > 0;
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct webhook_config *c = at->config;
    if (res && !res->arrived)
        return send_no_answer(res, why, "webhook", c->timeout_ns);
    if (res)
        return send_check_status(res, 0, res->body, why);
    struct send_render r;
    struct str url, body;
    send_render_init(&r, at, c->max_alerts > SIZE_MAX ? SIZE_MAX : (size_t)c->max_alerts);
    if (!build_body(at, c, &r, &body, why) || !build_url(at, c, &r, &url, why))
        return SEND_FAIL;
    send_post_json(at, next, url, body);
    next->timeout_ms = c->timeout_ns / 1000000;
    next->secret_url = true;
    return SEND_REQUEST;
}

const struct receiver_row webhook_row = { RECEIVER_ROW(RECEIVER_WEBHOOK, webhook, true), .step = step };
