/* Slack: one attachment by incoming webhook or chat.postMessage; later ones may update the first message.
 *
 * Template errors are never reported, as upstream: the failing field keeps what it had, later ones are empty, and the
 * message goes out. So fields are rendered in upstream's order (render_all), which is not the order of the JSON. */
#include "notify/receivers/slack_config.h"

#include "json/reader.h"
#include "notify/receivers/rows.h"
#include "notify/send.h"

#define TITLE_RUNES_MAX 1024
#define UPDATE_URL      "https://slack.com/api/chat.update"

struct texts { /* rendered */
    struct str title, title_link, pretext, text, fallback, callback_id, image_url, thumb_url, footer, color;
    struct slack_field *fields;
    struct slack_action *actions;
    struct str channel, username, icon_emoji, icon_url, message_text;
};
struct memory { /* between the steps */
    struct str channel; /* as sent */
};

static struct slack_field *render_fields(struct send_render *r, const struct slack_config *c)
{
    struct slack_field *v = arena_alloc_array(r->at->arena, c->fields_count, sizeof *v);
    for (size_t i = 0; i < c->fields_count; i++) {
        const struct slack_field *f = &c->fields[i];
        bool is_short = f->is_short == TRISTATE_ABSENT ? c->short_fields : f->is_short == TRISTATE_TRUE;
        v[i].title = send_text(r, f->title);
        v[i].value = send_text(r, f->value);
        v[i].is_short = is_short ? TRISTATE_TRUE : TRISTATE_FALSE;
    }
    return v;
}

static struct slack_action *render_actions(struct send_render *r, const struct slack_config *c)
{
    struct slack_action *v = arena_alloc_array(r->at->arena, c->actions_count, sizeof *v);
    for (size_t i = 0; i < c->actions_count; i++) {
        const struct slack_action *a = &c->actions[i];
        v[i].type = send_text(r, a->type);
        v[i].text = send_text(r, a->text);
        v[i].url = send_text(r, a->url);
        v[i].style = send_text(r, a->style);
        v[i].name = send_text(r, a->name);
        v[i].value = send_text(r, a->value);
        if (!a->confirm)
            continue;
        v[i].confirm = ARENA_NEW(r->at->arena, struct slack_confirmation);
        v[i].confirm->title = send_text(r, a->confirm->title);
        v[i].confirm->text = send_text(r, a->confirm->text);
        v[i].confirm->ok_text = send_text(r, a->confirm->ok_text);
        v[i].confirm->dismiss_text = send_text(r, a->confirm->dismiss_text);
    }
    return v;
}

static void render_all(struct send_render *r, const struct slack_config *c, struct texts *t)
{
    t->title = send_cut_runes(r->at->arena, send_text(r, c->title), TITLE_RUNES_MAX);
    t->title_link = send_text(r, c->title_link);
    t->pretext = send_text(r, c->pretext);
    t->text = send_text(r, c->text);
    t->fallback = send_text(r, c->fallback);
    t->callback_id = send_text(r, c->callback_id);
    t->image_url = send_text(r, c->image_url);
    t->thumb_url = send_text(r, c->thumb_url);
    t->footer = send_text(r, c->footer);
    t->color = send_text(r, c->color);
    t->fields = render_fields(r, c);
    t->actions = render_actions(r, c);
    t->channel = send_text(r, c->channel);
    t->username = send_text(r, c->username);
    t->icon_emoji = send_text(r, c->icon_emoji);
    t->icon_url = send_text(r, c->icon_url);
    t->message_text = send_text(r, c->message_text);
}

/* ---- the body ---- */

static void write_fields(struct json_writer *w, const struct slack_field *v, size_t n)
{
    if (n == 0)
        return;
    jw_key(w, STR("fields"));
    jw_array(w);
    for (size_t i = 0; i < n; i++) {
        jw_object(w);
        jw_optional(w, STR("title"), v[i].title);
        jw_optional(w, STR("value"), v[i].value);
        jw_key(w, STR("short"));
        jw_bool(w, v[i].is_short == TRISTATE_TRUE);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void write_actions(struct json_writer *w, const struct slack_action *v, size_t n)
{
    if (n == 0)
        return;
    jw_key(w, STR("actions"));
    jw_array(w);
    for (size_t i = 0; i < n; i++) {
        jw_object(w);
        jw_optional(w, STR("type"), v[i].type);
        jw_optional(w, STR("text"), v[i].text);
        jw_optional(w, STR("url"), v[i].url);
        jw_optional(w, STR("style"), v[i].style);
        jw_optional(w, STR("name"), v[i].name);
        jw_optional(w, STR("value"), v[i].value);
        if (v[i].confirm) {
            jw_key(w, STR("confirm"));
            jw_object(w);
            jw_optional(w, STR("text"), v[i].confirm->text);
            jw_optional(w, STR("title"), v[i].confirm->title);
            jw_optional(w, STR("ok_text"), v[i].confirm->ok_text);
            jw_optional(w, STR("dismiss_text"), v[i].confirm->dismiss_text);
            jw_object_end(w);
        }
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void write_markdown_in(struct json_writer *w, const struct slack_config *c)
{
    static const struct str defaults[] = { STR_INIT("fallback"), STR_INIT("pretext"), STR_INIT("text") };
    const struct str *v = c->mrkdwn_in.n > 0 ? c->mrkdwn_in.v : defaults;
    size_t n = c->mrkdwn_in.n > 0 ? c->mrkdwn_in.n : ARRAY_LEN(defaults);
    jw_key(w, STR("mrkdwn_in"));
    jw_array(w);
    for (size_t i = 0; i < n; i++)
        jw_str(w, v[i]);
    jw_array_end(w);
}

static void write_attachment(struct json_writer *w, const struct slack_config *c, const struct texts *t)
{
    jw_object(w);
    jw_optional(w, STR("title"), t->title);
    jw_optional(w, STR("title_link"), t->title_link);
    jw_optional(w, STR("pretext"), t->pretext);
    jw_kv(w, STR("text"), t->text);
    jw_kv(w, STR("fallback"), t->fallback);
    jw_kv(w, STR("callback_id"), t->callback_id);
    write_fields(w, t->fields, c->fields_count);
    write_actions(w, t->actions, c->actions_count);
    jw_optional(w, STR("image_url"), t->image_url);
    jw_optional(w, STR("thumb_url"), t->thumb_url);
    jw_kv(w, STR("footer"), t->footer);
    jw_optional(w, STR("color"), t->color);
    write_markdown_in(w, c);
    jw_object_end(w);
}

static struct str build_body(struct send_attempt *at, const struct slack_config *c, const struct texts *t, struct str ts)
{
    struct send_body b;
    struct json_writer *w = &b.json;
    send_body_init(&b);
    jw_object(w);
    jw_optional(w, STR("channel"), t->channel);
    jw_optional(w, STR("ts"), ts);
    jw_optional(w, STR("username"), t->username);
    jw_optional(w, STR("icon_emoji"), t->icon_emoji);
    jw_optional(w, STR("icon_url"), t->icon_url);
    jw_flag(w, STR("link_names"), c->link_names);
    jw_optional(w, STR("text"), t->message_text);
    jw_key(w, STR("attachments"));
    jw_array(w);
    write_attachment(w, c, t);
    jw_array_end(w);
    jw_object_end(w);
    return send_body_finish(&b, at->arena);
}

/* ---- the answer ---- */

static enum send_verdict judge_json(struct send_attempt *at, const struct send_response *res, struct send_error *why)
{
    const struct slack_config *c = at->config;
    const struct memory *m = at->memory;
    struct json_reader r;
    struct str key, error = STR_EMPTY, ts = STR_EMPTY, channel = STR_EMPTY;
    struct err err = { 0 };
    bool done = false;
    json_reader_init(&r, res->body, at->arena);
    bool ok = jr_object(&r);
    while (ok && jr_member(&r, &key)) {
        if (str_eq(key, STR("ok")))
            ok = jr_bool(&r, &done);
        else if (str_eq(key, STR("error")))
            ok = jr_str(&r, &error);
        else if (str_eq(key, STR("ts")))
            ok = jr_str(&r, &ts);
        else if (str_eq(key, STR("channel")) && jr_peek(&r) == JR_STRING)
            ok = jr_str(&r, &channel);
        else
            ok = jr_skip(&r);
    }
    if (!jr_finish(&r, &err))
        return send_name_channel(why, m->channel, send_unreadable_json(why, res->body, &err));
    if (!done) {
        send_fail(why, SEND_REASON_CLIENT, "error response from Slack: %.*s", STR_ARG(error));
        return send_name_channel(why, m->channel, SEND_FAIL);
    }
    if (c->update_message && ts.n > 0 && channel.n > 0) {
        send_data_set(at, STR("threadTs"), ts);
        send_data_set(at, STR("channelId"), channel);
    }
    return SEND_DONE;
}

static enum send_verdict judge(struct send_attempt *at, const struct send_response *res, struct send_error *why)
{
    const struct memory *m = at->memory;
    enum send_verdict verdict = send_check_status(res, 0, res->body, why);
    if (verdict != SEND_DONE)
        return send_name_channel(why, m->channel, verdict);
    if (str_starts(send_response_header(res, STR("Content-Type")), STR("application/json")))
        return judge_json(at, res, why);
    if (str_eq(res->body, STR("ok")))
        return SEND_DONE;
    send_fail(why, SEND_REASON_CLIENT, "received an error response from Slack: %.*s", STR_ARG(res->body));
    return send_name_channel(why, m->channel, SEND_FAIL);
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct slack_config *c = at->config;
    struct err err = { 0 };
    if (res && !res->arrived)
        return send_no_answer(res, why, "slack", c->timeout_ns);
    if (res)
        return judge(at, res, why);
    struct send_render r;
    struct texts t;
    struct str url = c->api_url, ts = STR_EMPTY;
    send_render_init(&r, at, 0);
    render_all(&r, c, &t);
    if (url.n == 0 && !send_read_file(at, c->api_url_file, true, &url, &err))
        return send_fail(why, SEND_REASON_OTHER, "read api_url_file: %s", err.text);
    if (c->update_message && at->n->reason == NOTIFY_REASON_FIRST)
        at->data_count = 0;
    if (c->update_message && send_data_get(at, STR("threadTs")).n > 0 && send_data_get(at, STR("channelId")).n > 0) {
        ts = send_data_get(at, STR("threadTs"));
        t.channel = send_data_get(at, STR("channelId"));
        url = STR(UPDATE_URL);
    }
    struct memory *m = ARENA_NEW(at->arena, struct memory);
    m->channel = t.channel;
    at->memory = m;
    send_post_json(at, next, url, build_body(at, c, &t, ts));
    next->timeout_ms = c->timeout_ns / 1000000;
    next->secret_url = true;
    return SEND_REQUEST;
}

const struct receiver_row slack_row = { RECEIVER_ROW(RECEIVER_SLACK, slack, false), .step = step };
