/* Mattermost: an incoming webhook with the flat fields as the single attachment, or a list of attachments under a text. */
#include "notify/receivers/mattermost_config.h"

#include "notify/receivers/rows.h"
#include "notify/send.h"

#define TEXT_RUNES_MAX 16383

struct memory {
    struct str channel; /* as sent */
};

static void write_fields(struct json_writer *w, const struct mattermost_attachment *a, struct send_render *r)
{
    if (a->fields_count == 0)
        return;
    jw_key(w, STR("fields"));
    jw_array(w);
    for (size_t i = 0; i < a->fields_count; i++) {
        const struct mattermost_field *f = &a->fields[i];
        jw_object(w);
        jw_optional(w, STR("title"), send_text(r, f->title));
        jw_optional(w, STR("value"), send_text(r, f->value));
        if (f->is_short != TRISTATE_ABSENT) {
            jw_key(w, STR("short"));
            jw_bool(w, f->is_short == TRISTATE_TRUE);
        }
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void write_attachment(struct json_writer *w, const struct mattermost_attachment *a, struct str text,
                             struct send_render *r)
{
    jw_object(w);
    jw_optional(w, STR("fallback"), send_text(r, a->fallback));
    jw_optional(w, STR("color"), send_text(r, a->color));
    jw_optional(w, STR("pretext"), send_text(r, a->pretext));
    jw_optional(w, STR("text"), send_text(r, text));
    jw_optional(w, STR("author_name"), send_text(r, a->author_name));
    jw_optional(w, STR("author_link"), send_text(r, a->author_link));
    jw_optional(w, STR("author_icon"), send_text(r, a->author_icon));
    jw_optional(w, STR("title"), send_text(r, a->title));
    jw_optional(w, STR("title_link"), send_text(r, a->title_link));
    write_fields(w, a, r);
    jw_optional(w, STR("thumb_url"), send_text(r, a->thumb_url));
    jw_optional(w, STR("footer"), send_text(r, a->footer));
    jw_optional(w, STR("footer_icon"), send_text(r, a->footer_icon));
    jw_optional(w, STR("image_url"), send_text(r, a->image_url));
    jw_object_end(w);
}

static void write_attachments(struct json_writer *w, const struct mattermost_config *c, struct send_render *r)
{
    jw_key(w, STR("attachments"));
    jw_array(w);
    if (c->attachments_count == 0)
        write_attachment(w, &c->flat, c->text, r);
    for (size_t i = 0; i < c->attachments_count; i++)
        write_attachment(w, &c->attachments[i], c->attachments[i].text, r);
    jw_array_end(w);
}

static struct str lower(struct arena *a, struct str s)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < s.n; i++)
        buf_byte(&b, ascii_lower(s.p[i]));
    struct str out = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return out;
}

/* Only urgent messages may persist, standard ones need no acknowledgement. */
static void write_priority(struct json_writer *w, const struct mattermost_priority *p, struct send_render *r)
{
    struct str text = lower(r->at->arena, send_text(r, p->priority));
    bool urgent = str_eq(text, STR("urgent")), important = str_eq(text, STR("important"));
    if (!urgent && !important)
        text = STR("standard");
    jw_key(w, STR("priority"));
    jw_object(w);
    jw_kv(w, STR("priority"), text);
    jw_flag(w, STR("requested_ack"), p->requested_ack && (urgent || important));
    jw_flag(w, STR("persistent_notifications"), p->persistent_notifications && urgent);
    jw_object_end(w);
}

static struct str build_body(struct send_attempt *at, const struct mattermost_config *c, struct send_render *r,
                             struct memory *m)
{
    struct send_body b;
    struct json_writer *w = &b.json;
    send_body_init(&b);
    m->channel = send_text(r, c->channel);
    jw_object(w);
    if (c->attachments_count > 0)
        jw_optional(w, STR("text"), send_cut_runes(at->arena, send_text(r, c->text), TEXT_RUNES_MAX));
    jw_optional(w, STR("channel"), m->channel);
    jw_optional(w, STR("username"), send_text(r, c->username));
    jw_optional(w, STR("icon_url"), send_text(r, c->icon_url));
    jw_optional(w, STR("icon_emoji"), send_text(r, c->icon_emoji));
    write_attachments(w, c, r);
    jw_optional(w, STR("type"), send_text(r, c->type));
    if (c->props && c->props->card.n > 0) {
        jw_key(w, STR("props"));
        jw_object(w);
        jw_optional(w, STR("card"), send_text(r, c->props->card));
        jw_object_end(w);
    }
    if (c->priority && c->priority->priority.n > 0)
        write_priority(w, c->priority, r);
    jw_object_end(w);
    return send_body_finish(&b, at->arena);
}

static enum send_verdict judge(struct send_attempt *at, const struct send_response *res, struct send_error *why)
{
    const struct memory *m = at->memory;
    enum send_verdict verdict = send_check_status(res, 0, res->body, why);
    return verdict == SEND_DONE ? verdict : send_name_channel(why, m->channel, verdict);
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct mattermost_config *c = at->config;
    struct err err = { 0 };
    if (res && !res->arrived)
        return send_no_answer(res, why, NULL, 0);
    if (res)
        return judge(at, res, why);
    struct send_render r;
    struct str url = c->webhook_url;
    send_render_init(&r, at, 0);
    struct memory *m = at->memory = ARENA_NEW(at->arena, struct memory);
    struct str body = build_body(at, c, &r, m);
    if (r.failed)
        return send_template_failed(why, &r, "");
    if (url.n == 0 && c->webhook_url_file.n > 0 && !send_read_file(at, c->webhook_url_file, true, &url, &err))
        return send_fail(why, SEND_REASON_OTHER, "read webhook_url_file: %s", err.text);
    if (url.n == 0)
        return send_fail(why, SEND_REASON_OTHER, "webhook url missing");
    send_post_json(at, next, url, body);
    next->secret_url = true;
    return SEND_REQUEST;
}

const struct receiver_row mattermost_row = { RECEIVER_ROW(RECEIVER_MATTERMOST, mattermost, true), .step = step };
