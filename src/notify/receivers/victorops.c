/* VictorOps (Splunk On-Call): one event to a URL made of key and routing key. */
#include "notify/receivers/victorops_config.h"

#include "base/mem.h"
#include "http/url.h"
#include "notify/receivers/rows.h"
#include "notify/send.h"

#include <stdlib.h>

#define STATE_MESSAGE_RUNES_MAX 20480

struct field {
    struct str key, value;
};

static int field_order(const void *a, const void *b)
{
    return str_cmp(((const struct field *)a)->key, ((const struct field *)b)->key);
}

static struct str message_type(struct send_attempt *at, struct str configured)
{
    if (!send_is_firing(at))
        return STR("RECOVERY");
    bool known = str_eq(configured, STR("INFO")) || str_eq(configured, STR("WARNING")) ||
                 str_eq(configured, STR("CRITICAL"));
    return known ? configured : STR("CRITICAL");
}

static struct str build_body(struct send_attempt *at, const struct victorops_config *c, struct send_render *r)
{
    struct str type = message_type(at, send_text(r, c->message_type));
    struct str state = send_cut_runes(at->arena, send_text(r, c->state_message), STATE_MESSAGE_RUNES_MAX);
    const struct field fixed[] = {
        { STR("message_type"), type },
        { STR("entity_id"), send_group_id(at) },
        { STR("entity_display_name"), send_text(r, c->entity_display_name) },
        { STR("state_message"), state },
        { STR("monitoring_tool"), send_text(r, c->monitoring_tool) },
    };
    size_t n = c->custom_fields.n + ARRAY_LEN(fixed);
    struct field *v = arena_alloc_array(at->arena, n, sizeof *v);
    memcpy(v, fixed, sizeof fixed);
    for (size_t i = 0; i < c->custom_fields.n; i++)
        v[ARRAY_LEN(fixed) + i] = (struct field){ c->custom_fields.v[i].key, send_text(r, c->custom_fields.v[i].value) };
    qsort(v, n, sizeof *v, field_order);
    struct send_body b;
    send_body_init(&b);
    jw_object(&b.json);
    for (size_t i = 0; i < n; i++)
        jw_kv(&b.json, v[i].key, v[i].value);
    jw_object_end(&b.json);
    return send_body_finish(&b, at->arena);
}

/* Path text, with / kept: only what a URL cannot hold is escaped. */
static struct str path_text(struct arena *a, struct str s)
{
    struct http_url url = { .path = s };
    struct buf b = { 0 };
    http_url_escaped_path(&b, &url);
    struct str out = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return out;
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct victorops_config *c = at->config;
    struct err err = { 0 };
    if (res && !res->arrived)
        return send_no_answer(res, why, NULL, 0);
    if (res)
        return send_check_status(res, 0, res->body, why);
    struct send_render r;
    struct str key = c->api_key;
    send_render_init(&r, at, 0);
    if (key.n == 0 && !send_read_file(at, c->api_key_file, true, &key, &err))
        return send_fail(why, SEND_REASON_OTHER, "failed to read API key from file: %s", err.text);
    struct str routing_key = send_text(&r, c->routing_key);
    if (r.failed)
        return send_template_failed(why, &r, "templating error: ");
    struct str body = build_body(at, c, &r);
    if (r.failed)
        return send_retry(why, SEND_REASON_OTHER, "templating error: %s", r.err.text);
    struct str path = path_text(at->arena, arena_printf(at->arena, "%.*s/%.*s", STR_ARG(key), STR_ARG(routing_key)));
    send_post_json(at, next, arena_printf(at->arena, "%.*s%.*s", STR_ARG(c->api_url), STR_ARG(path)), body);
    next->secret_url = true;
    return SEND_REQUEST;
}

const struct receiver_row victorops_row = { RECEIVER_ROW(RECEIVER_VICTOROPS, victorops, true), .step = step };
