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

static struct str build_body(struct send_attempt *at, struct send_render *r)
{
    const struct msteams_config *c = at->config;
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
    const struct send_hook hook = { c->webhook_url, c->webhook_url_file, build_body };
    return send_hook_step(at, res, next, why, &hook);
}

const struct receiver_row msteams_row = { RECEIVER_ROW(RECEIVER_MSTEAMS, msteams, true), .step = step };
