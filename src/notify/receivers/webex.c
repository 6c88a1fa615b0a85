/* Webex: a message in Markdown to a room. */
#include "notify/receivers/webex_config.h"

#include "notify/receivers/rows.h"
#include "notify/send.h"

#define MARKDOWN_BYTES_MAX 7439 /* of its API */

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct webex_config *c = at->config;
    if (res && !res->arrived)
        return send_no_answer(res, why, NULL, 0);
    if (res)
        return send_check_status(res, 0, res->body, why);
    struct send_render r;
    send_render_init(&r, at, 0);
    struct str markdown = send_text(&r, c->message);
    if (r.failed)
        return send_template_failed(why, &r, "");
    struct send_body b;
    send_body_init(&b);
    jw_object(&b.json);
    jw_kv(&b.json, STR("markdown"), send_cut_bytes(at->arena, markdown, MARKDOWN_BYTES_MAX));
    /* A failing room is not reported upstream: what came out is used. */
    jw_optional(&b.json, STR("roomId"), send_text(&r, c->room_id));
    jw_object_end(&b.json);
    send_post_json(at, next, c->api_url, send_body_finish(&b, at->arena));
    return SEND_REQUEST;
}

const struct receiver_row webex_row = { RECEIVER_ROW(RECEIVER_WEBEX, webex, true), .step = step };
