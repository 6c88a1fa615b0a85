/* Opsgenie: creates an alert and perhaps updates its texts, or closes it: up to three requests, one after another, built
 * before the first is sent; a failed one stops. */
#include "notify/receivers/opsgenie_config.h"

#include "http/url.h"
#include "notify/receivers/rows.h"
#include "notify/send.h"

#define MESSAGE_RUNES_MAX 130
#define REQUESTS_MAX      3

struct request {
    struct str method, url, body;
};
struct memory {
    struct str key; /* of the API */
    struct request v[REQUESTS_MAX];
    size_t n, sent;
};

static void add(struct memory *m, const char *method, struct str url, struct str body)
{
    ASSERT(m->n < REQUESTS_MAX);
    m->v[m->n++] = (struct request){ str_c(method), url, body };
}

/* ---- the new alert ---- */

/* Common labels with the configured details over them. */
static void write_details(struct json_writer *w, const struct opsgenie_config *c, struct send_render *r)
{
    struct labels common = r->data.common_labels;
    size_t n = common.n + c->details.n, i = 0, k = 0;
    jw_key(w, STR("details"));
    jw_object(w);
    while (n > 0 && (i < common.n || k < c->details.n)) {
        int order = i == common.n ? 1 : k == c->details.n ? -1 : str_cmp(common.v[i].name, c->details.v[k].key);
        if (order < 0) {
            jw_kv(w, common.v[i].name, common.v[i].value);
            i++;
        } else {
            jw_kv(w, c->details.v[k].key, send_text(r, c->details.v[k].value));
            i += order == 0;
            k++;
        }
    }
    jw_object_end(w);
}

static void write_responder(struct json_writer *w, const struct opsgenie_responder *p)
{
    jw_object(w);
    jw_optional(w, STR("id"), p->id);
    jw_optional(w, STR("name"), p->name);
    jw_optional(w, STR("username"), p->username);
    jw_kv(w, STR("type"), p->type);
    jw_object_end(w);
}

struct list { /* a member that is left out while it is empty */
    struct json_writer *w;
    struct str key;
    bool open;
};

static struct json_writer *list_item(struct list *l)
{
    if (!l->open) {
        jw_key(l->w, l->key);
        jw_array(l->w);
        l->open = true;
    }
    return l->w;
}

static void list_end(struct list *l)
{
    if (l->open)
        jw_array_end(l->w);
}

/* Trimmed as a whole, split at commas, empty parts dropped. */
static bool next_part(struct str *rest, struct str *part)
{
    while (str_split(rest, ',', part))
        if (part->n > 0)
            return true;
    return false;
}

static void write_responders(struct json_writer *w, const struct opsgenie_config *c, struct send_render *r)
{
    struct list l = { w, STR("responders"), false };
    for (size_t i = 0; i < c->responders_count; i++) {
        const struct opsgenie_responder *p = &c->responders[i];
        struct opsgenie_responder out = { send_text(r, p->id), send_text(r, p->name), send_text(r, p->username),
                                          send_text(r, p->type) };
        if (out.id.n == 0 && out.name.n == 0 && out.username.n == 0)
            continue;
        if (!str_eq(out.type, STR("teams"))) {
            write_responder(list_item(&l), &out);
            continue;
        }
        struct str rest = str_trim(out.name), name;
        while (next_part(&rest, &name))
            write_responder(list_item(&l), &(struct opsgenie_responder){ .name = name, .type = STR("team") });
    }
    list_end(&l);
}

static void write_parts(struct json_writer *w, const char *key, struct str text)
{
    struct list l = { w, str_c(key), false };
    struct str rest = str_trim(text), part;
    while (next_part(&rest, &part))
        jw_str(list_item(&l), part);
    list_end(&l);
}

static struct str create_body(struct send_attempt *at, const struct opsgenie_config *c, struct send_render *r,
                              struct str alias, struct str message, struct str description)
{
    struct send_body b;
    struct json_writer *w = &b.json;
    send_body_init(&b);
    jw_object(w);
    jw_kv(w, STR("alias"), alias);
    jw_kv(w, STR("message"), message);
    jw_optional(w, STR("description"), description);
    write_details(w, c, r);
    jw_kv(w, STR("source"), send_text(r, c->source));
    write_responders(w, c, r);
    write_parts(w, "tags", send_text(r, c->tags));
    jw_optional(w, STR("note"), send_text(r, c->note));
    jw_optional(w, STR("priority"), send_text(r, c->priority));
    jw_optional(w, STR("entity"), send_text(r, c->entity));
    write_parts(w, "actions", send_text(r, c->actions));
    jw_object_end(w);
    return send_body_finish(&b, at->arena);
}

/* ---- all requests ---- */

static struct str one_member(struct arena *a, const char *key, struct str value, bool always)
{
    struct send_body b;
    send_body_init(&b);
    jw_object(&b.json);
    if (always || value.n > 0)
        jw_kv(&b.json, str_c(key), value);
    jw_object_end(&b.json);
    return send_body_finish(&b, a);
}

static struct str alert_url(struct send_attempt *at, const struct opsgenie_config *c, struct str alias, const char *what)
{
    return arena_printf(at->arena, "%.*sv2/alerts/%.*s/%s?identifierType=alias", STR_ARG(c->api_url), STR_ARG(alias), what);
}

static bool build(struct send_attempt *at, const struct opsgenie_config *c, struct memory *m, struct send_error *why)
{
    struct send_render r;
    struct err err = { 0 };
    send_render_init(&r, at, 0);
    struct str alias = send_group_id(at);
    if (send_is_firing(at)) {
        struct str message = send_cut_runes(at->arena, send_text(&r, c->message), MESSAGE_RUNES_MAX);
        struct str description = send_text(&r, c->description);
        add(m, "POST", arena_printf(at->arena, "%.*sv2/alerts", STR_ARG(c->api_url)),
            create_body(at, c, &r, alias, message, description));
        if (c->update_alerts) {
            add(m, "PUT", alert_url(at, c, alias, "message"), one_member(at->arena, "message", message, false));
            add(m, "PUT", alert_url(at, c, alias, "description"),
                one_member(at->arena, "description", description, false));
        }
    } else {
        add(m, "POST", alert_url(at, c, alias, "close"), one_member(at->arena, "source", send_text(&r, c->source), true));
    }
    struct str key = c->api_key;
    if (key.n == 0 && !send_read_file(at, c->api_key_file, false, &key, &err)) {
        send_fail(why, SEND_REASON_OTHER, "read key_file error: %s", err.text);
        return false;
    }
    m->key = send_text(&r, key);
    if (c->api_key.n == 0)
        m->key = str_trim(m->key);
    if (r.failed)
        send_template_failed(why, &r, "templating error: ");
    return !r.failed;
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct opsgenie_config *c = at->config;
    struct memory *m = at->memory;
    if (res && !res->arrived)
        return send_no_answer(res, why, NULL, 0);
    if (res) {
        enum send_verdict verdict = send_check_status(res, 429, res->body, why);
        if (verdict != SEND_DONE || m->sent == m->n)
            return verdict;
    } else {
        at->memory = m = ARENA_NEW(at->arena, struct memory);
        if (!build(at, c, m, why))
            return SEND_FAIL;
    }
    const struct request *q = &m->v[m->sent++];
    send_post_json(at, next, q->url, q->body);
    next->method = q->method;
    send_header(next, STR("Authorization"), arena_printf(at->arena, "GenieKey %.*s", STR_ARG(m->key)));
    return SEND_REQUEST;
}

const struct receiver_row opsgenie_row = { RECEIVER_ROW(RECEIVER_OPSGENIE, opsgenie, true), .step = step };
