/* Rocket.Chat: one attachment by chat.postMessage. */
#include "notify/receivers/rocketchat_config.h"

#include "json/reader.h"
#include "notify/receivers/rows.h"
#include "notify/send.h"

#define TITLE_RUNES_MAX 1024

struct memory {
    struct str channel; /* as sent */
};

static void write_fields(struct json_writer *w, const struct rocketchat_config *c, struct send_render *r)
{
    if (c->fields_count == 0)
        return;
    jw_key(w, STR("fields"));
    jw_array(w);
    for (size_t i = 0; i < c->fields_count; i++) {
        const struct rocketchat_field *f = &c->fields[i];
        jw_object(w);
        jw_key(w, STR("short"));
        jw_bool(w, f->is_short == TRISTATE_ABSENT ? c->short_fields : f->is_short == TRISTATE_TRUE);
        jw_optional(w, STR("title"), send_text(r, f->title));
        jw_optional(w, STR("value"), send_text(r, f->value));
        jw_object_end(w);
    }
    jw_array_end(w);
}

/* Of what a button can have, upstream sends this much. */
static void write_actions(struct json_writer *w, const struct rocketchat_config *c, struct send_render *r)
{
    if (c->actions_count == 0)
        return;
    jw_key(w, STR("actions"));
    jw_array(w);
    for (size_t i = 0; i < c->actions_count; i++) {
        jw_object(w);
        jw_kv(w, STR("type"), STR("button"));
        jw_optional(w, STR("text"), send_text(r, c->actions[i].text));
        jw_optional(w, STR("url"), send_text(r, c->actions[i].url));
        jw_key(w, STR("is_webview"));
        jw_bool(w, false);
        jw_optional(w, STR("msg"), send_text(r, c->actions[i].msg));
        jw_key(w, STR("msg_in_chat_window"));
        jw_bool(w, false);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static struct str build_body(struct send_attempt *at, const struct rocketchat_config *c, struct send_render *r,
                             struct memory *m)
{
    struct send_body b;
    struct json_writer *w = &b.json;
    struct str title = send_cut_runes(at->arena, send_text(r, c->title), TITLE_RUNES_MAX);
    m->channel = send_text(r, c->channel);
    send_body_init(&b);
    jw_object(w);
    jw_optional(w, STR("channel"), m->channel);
    jw_optional(w, STR("emoji"), send_text(r, c->emoji));
    jw_optional(w, STR("avatar"), send_text(r, c->icon_url));
    jw_key(w, STR("attachments"));
    jw_array(w);
    jw_object(w);
    jw_optional(w, STR("title"), title);
    jw_optional(w, STR("title_link"), send_text(r, c->title_link));
    jw_optional(w, STR("text"), send_text(r, c->text));
    jw_optional(w, STR("image_url"), send_text(r, c->image_url));
    jw_optional(w, STR("thumb_url"), send_text(r, c->thumb_url));
    jw_optional(w, STR("color"), send_text(r, c->color));
    write_fields(w, c, r);
    write_actions(w, c, r);
    jw_object_end(w);
    jw_array_end(w);
    jw_object_end(w);
    return send_body_finish(&b, at->arena);
}

static enum send_verdict judge(struct send_attempt *at, const struct send_response *res, struct send_error *why)
{
    const struct memory *m = at->memory;
    struct json_reader r;
    struct str key, error = STR_EMPTY;
    struct err err = { 0 };
    bool done = false;
    enum send_verdict verdict = send_check_status(res, 0, res->body, why);
    if (verdict != SEND_DONE)
        return send_name_channel(why, m->channel, verdict);
    json_reader_init(&r, res->body, at->arena);
    bool ok = jr_object(&r);
    while (ok && jr_member(&r, &key)) {
        if (str_eq_nocase(key, STR("success")))
            ok = jr_bool(&r, &done);
        else if (str_eq_nocase(key, STR("error")))
            ok = jr_str(&r, &error);
        else
            ok = jr_skip(&r);
    }
    if (!jr_finish(&r, &err))
        return send_name_channel(why, m->channel, send_unreadable_json(why, res->body, &err));
    if (done)
        return SEND_DONE;
    send_fail(why, SEND_REASON_CLIENT, "error response from Rocketchat: %.*s", STR_ARG(error));
    return send_name_channel(why, m->channel, SEND_FAIL);
}

/* Upstream reads them with the configuration. */
static bool load(void *config, const struct receiver_env *env, struct arena *a, struct err *err)
{
    struct rocketchat_config *c = config;
    return receiver_load_secret(env, a, c->token_file, "could not read token_file", &c->token_loaded, err) &&
           receiver_load_secret(env, a, c->token_id_file, "could not read token_id_file", &c->token_id_loaded, err);
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct rocketchat_config *c = at->config;
    if (res && !res->arrived)
        return send_no_answer(res, why, NULL, 0);
    if (res)
        return judge(at, res, why);
    struct send_render r;
    send_render_init(&r, at, 0);
    struct memory *m = at->memory = ARENA_NEW(at->arena, struct memory);
    struct str body = build_body(at, c, &r, m);
    if (r.failed)
        return send_template_failed(why, &r, "");
    send_post_json(at, next, send_url_join(at->arena, c->api_url, STR("api/v1/chat.postMessage")), body);
    send_header(next, STR("X-Auth-Token"), c->token_file.n > 0 ? c->token_loaded : c->token);
    send_header(next, STR("X-User-Id"), c->token_id_file.n > 0 ? c->token_id_loaded : c->token_id);
    return SEND_REQUEST;
}

const struct receiver_row rocketchat_row = { RECEIVER_ROW(RECEIVER_ROCKETCHAT, rocketchat, false), .step = step,
                                           .load = load };
