/* Microsoft Teams by workflows: one adaptive card. */
#include "notify/receivers/msteamsv2_config.h"

#include "notify/receivers/rows.h"
#include "notify/send.h"

static struct str color(struct str status)
{
    if (str_eq(status, STR("firing")))
        return STR("Attention");
    return str_eq(status, STR("resolved")) ? STR("Good") : STR("Warning");
}

static void title_block(struct json_writer *w, struct str title, struct str status)
{
    jw_object(w);
    jw_kv(w, STR("type"), STR("TextBlock"));
    jw_kv(w, STR("text"), title);
    jw_kv(w, STR("weight"), STR("Bolder"));
    jw_kv(w, STR("size"), STR("Medium"));
    jw_flag(w, STR("wrap"), true);
    jw_kv(w, STR("style"), STR("heading"));
    jw_kv(w, STR("color"), color(status));
    jw_object_end(w);
}

static void text_block(struct json_writer *w, struct str text)
{
    jw_object(w);
    jw_kv(w, STR("type"), STR("TextBlock"));
    jw_kv(w, STR("text"), text);
    jw_flag(w, STR("wrap"), true);
    jw_object_end(w);
}

static void card(struct json_writer *w, struct str title, struct str text, struct str status)
{
    jw_object(w);
    jw_kv(w, STR("$schema"), STR("http://adaptivecards.io/schemas/adaptive-card.json"));
    jw_kv(w, STR("type"), STR("AdaptiveCard"));
    jw_kv(w, STR("version"), STR("1.2"));
    jw_key(w, STR("body"));
    jw_array(w);
    title_block(w, title, status);
    text_block(w, text);
    jw_array_end(w);
    jw_key(w, STR("msteams"));
    jw_object(w);
    jw_kv(w, STR("width"), STR("full"));
    jw_object_end(w);
    jw_object_end(w);
}

static struct str build_body(struct send_attempt *at, struct send_render *r)
{
    const struct msteamsv2_config *c = at->config;
    struct send_body b;
    struct json_writer *w = &b.json;
    struct str title = send_text(r, c->title), text = send_text(r, c->text);
    send_body_init(&b);
    jw_object(w);
    jw_kv(w, STR("type"), STR("message"));
    jw_key(w, STR("attachments"));
    jw_array(w);
    jw_object(w);
    jw_kv(w, STR("contentType"), STR("application/vnd.microsoft.card.adaptive"));
    jw_key(w, STR("contentUrl"));
    jw_null(w);
    jw_key(w, STR("content"));
    card(w, title, text, r->data.status);
    jw_object_end(w);
    jw_array_end(w);
    jw_object_end(w);
    return send_body_finish(&b, at->arena);
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct msteamsv2_config *c = at->config;
    const struct send_hook hook = { c->webhook_url, c->webhook_url_file, build_body };
    return send_hook_step(at, res, next, why, &hook);
}

const struct receiver_row msteamsv2_row = { RECEIVER_ROW(RECEIVER_MSTEAMSV2, msteamsv2, true), .step = step };
