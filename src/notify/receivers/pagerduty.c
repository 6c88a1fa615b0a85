/* PagerDuty: one event, by the Events API v2, or v1 where a service key is configured. */
#include "notify/receivers/pagerduty_config.h"

#include "json/reader.h"
#include "notify/receivers/rows.h"
#include "notify/send.h"

#define SUMMARY_RUNES_MAX 1024
#define BODY_BYTES_MAX    512000
#define V1_URL            "https://events.pagerduty.com/generic/2010-04-15/create_event.json"
#define DETAILS_REMOVED                                                                            \
    "{\"error\":\"Custom details have been removed because the original event exceeds the maximum size of 512KB\"}"

static bool is_v1(const struct pagerduty_config *c)
{
    return c->service_key.n > 0 || c->service_key_file.n > 0;
}

/* ---- texts ---- */

static bool render_details(struct send_attempt *at, const struct pagerduty_config *c, struct send_render *r,
                           struct str *details, struct send_error *why)
{
    struct send_body b;
    struct err err = { 0 };
    bool ok = true;
    *details = STR_EMPTY;
    if (c->details.n == 0)
        return true;
    send_body_init(&b);
    jw_object(&b.json);
    for (size_t i = 0; ok && i < c->details.n; i++) {
        jw_key(&b.json, c->details.v[i].key);
        ok = send_tree_json(r, c->details.v[i].value, &b.json, &err);
    }
    jw_object_end(&b.json);
    if (ok)
        *details = arena_str(at->arena, buf_view(&b.buf));
    else
        send_fail(why, SEND_REASON_OTHER, "failed to render details: %s", err.text);
    send_body_drop(&b);
    return ok;
}

static bool read_key(struct send_attempt *at, struct str inline_, struct str file, const char *what, struct str *out,
                     struct send_error *why)
{
    struct err err = { 0 };
    *out = inline_;
    if (inline_.n > 0 || send_read_file(at, file, true, out, &err))
        return true;
    send_fail(why, SEND_REASON_OTHER, "failed to read %s key from file: %s", what, err.text);
    return false;
}

static struct str event(struct send_attempt *at, const char *firing, const char *resolved)
{
    return str_c(send_is_firing(at) ? firing : resolved);
}

/* ---- v1 ---- */

struct v1 {
    struct str key, description, client, client_url, details;
};

static struct str body_v1(struct send_attempt *at, const struct v1 *m)
{
    struct send_body b;
    struct json_writer *w = &b.json;
    send_body_init(&b);
    jw_object(w);
    jw_kv(w, STR("service_key"), m->key);
    jw_kv(w, STR("incident_key"), send_group_id(at));
    jw_kv(w, STR("event_type"), event(at, "trigger", "resolve"));
    jw_optional(w, STR("description"), m->description);
    jw_kv(w, STR("event_action"), STR_EMPTY);
    jw_key(w, STR("payload"));
    jw_null(w);
    jw_optional(w, STR("client"), m->client);
    jw_optional(w, STR("client_url"), m->client_url);
    if (m->details.n > 0) {
        jw_key(w, STR("details"));
        jw_raw(w, m->details);
    }
    jw_object_end(w);
    return send_body_finish(&b, at->arena);
}

static enum send_verdict build_v1(struct send_attempt *at, const struct pagerduty_config *c, struct send_render *r,
                                  struct str details, struct send_request *next, struct send_error *why)
{
    struct v1 m = { .details = details };
    m.description = send_cut_runes(at->arena, send_text(r, c->description), SUMMARY_RUNES_MAX);
    if (!read_key(at, c->service_key, c->service_key_file, "service", &m.key, why))
        return SEND_FAIL;
    m.key = send_text(r, m.key);
    if (send_is_firing(at)) {
        m.client = send_text(r, c->client);
        m.client_url = send_text(r, c->client_url);
    }
    if (r->failed)
        return send_template_failed(why, r, "failed to template PagerDuty v1 message: ");
    if (m.key.n == 0)
        return send_fail(why, SEND_REASON_OTHER, "service key cannot be empty");
    struct str body = body_v1(at, &m);
    if (body.n > BODY_BYTES_MAX) {
        m.details = STR(DETAILS_REMOVED);
        body = body_v1(at, &m);
    }
    send_post_json(at, next, STR(V1_URL), body);
    return SEND_REQUEST;
}

/* ---- v2 ---- */

struct v2 {
    struct str key, summary, source, severity, class_, component, group, client, client_url, details;
    struct pagerduty_image *images;
    struct pagerduty_link *links;
    size_t images_count, links_count;
};

static void render_v2(struct send_attempt *at, const struct pagerduty_config *c, struct send_render *r, struct v2 *m)
{
    m->key = send_text(r, m->key);
    m->summary = send_cut_runes(at->arena, send_text(r, c->description), SUMMARY_RUNES_MAX);
    m->source = send_text(r, c->source);
    m->severity = send_text(r, c->severity.n > 0 ? c->severity : STR("error"));
    m->class_ = send_text(r, c->class_);
    m->component = send_text(r, c->component);
    m->group = send_text(r, c->group);
    m->client = send_text(r, c->client);
    m->client_url = send_text(r, c->client_url);
    m->images = arena_alloc_array(at->arena, c->images_count, sizeof *m->images);
    for (size_t i = 0; i < c->images_count; i++) {
        struct pagerduty_image image = { send_text(r, c->images[i].src), send_text(r, c->images[i].alt),
                                         send_text(r, c->images[i].href) };
        if (image.src.n > 0)
            m->images[m->images_count++] = image;
    }
    m->links = arena_alloc_array(at->arena, c->links_count, sizeof *m->links);
    for (size_t i = 0; i < c->links_count; i++) {
        struct pagerduty_link link = { send_text(r, c->links[i].href), send_text(r, c->links[i].text) };
        if (link.href.n > 0)
            m->links[m->links_count++] = link;
    }
}

static void write_payload(struct json_writer *w, const struct v2 *m)
{
    jw_key(w, STR("payload"));
    jw_object(w);
    jw_kv(w, STR("summary"), m->summary);
    jw_kv(w, STR("source"), m->source);
    jw_kv(w, STR("severity"), m->severity);
    jw_optional(w, STR("class"), m->class_);
    jw_optional(w, STR("component"), m->component);
    jw_optional(w, STR("group"), m->group);
    if (m->details.n > 0) {
        jw_key(w, STR("custom_details"));
        jw_raw(w, m->details);
    }
    jw_object_end(w);
}

static void write_images(struct json_writer *w, const struct v2 *m)
{
    if (m->images_count > 0) {
        jw_key(w, STR("images"));
        jw_array(w);
        for (size_t i = 0; i < m->images_count; i++) {
            jw_object(w);
            jw_kv(w, STR("src"), m->images[i].src);
            jw_kv(w, STR("alt"), m->images[i].alt);
            jw_kv(w, STR("href"), m->images[i].href);
            jw_object_end(w);
        }
        jw_array_end(w);
    }
    if (m->links_count > 0) {
        jw_key(w, STR("links"));
        jw_array(w);
        for (size_t i = 0; i < m->links_count; i++) {
            jw_object(w);
            jw_kv(w, STR("href"), m->links[i].href);
            jw_kv(w, STR("text"), m->links[i].text);
            jw_object_end(w);
        }
        jw_array_end(w);
    }
}

static struct str body_v2(struct send_attempt *at, const struct v2 *m)
{
    struct send_body b;
    struct json_writer *w = &b.json;
    send_body_init(&b);
    jw_object(w);
    jw_kv(w, STR("routing_key"), m->key);
    jw_kv(w, STR("dedup_key"), send_group_id(at));
    jw_kv(w, STR("event_action"), event(at, "trigger", "resolve"));
    write_payload(w, m);
    jw_optional(w, STR("client"), m->client);
    jw_optional(w, STR("client_url"), m->client_url);
    write_images(w, m);
    jw_object_end(w);
    return send_body_finish(&b, at->arena);
}

static enum send_verdict build_v2(struct send_attempt *at, const struct pagerduty_config *c, struct send_render *r,
                                  struct str details, struct send_request *next, struct send_error *why)
{
    struct v2 m = { .details = details };
    if (!read_key(at, c->routing_key, c->routing_key_file, "routing", &m.key, why))
        return SEND_FAIL;
    render_v2(at, c, r, &m);
    if (r->failed)
        return send_template_failed(why, r, "failed to template PagerDuty v2 message: ");
    if (m.key.n == 0)
        return send_fail(why, SEND_REASON_OTHER, "routing key cannot be empty");
    struct str body = body_v2(at, &m);
    if (body.n > BODY_BYTES_MAX) {
        m.details = STR(DETAILS_REMOVED);
        body = body_v2(at, &m);
    }
    send_post_json(at, next, c->url, body);
    return SEND_REQUEST;
}

/* ---- the answer ---- */

static bool read_list(struct json_reader *r, struct buf *out)
{
    bool ok = jr_array(r);
    while (ok && jr_element(r)) {
        struct str s = STR_EMPTY;
        ok = jr_str(r, &s);
        if (out->n > 0)
            buf_byte(out, ',');
        buf_str(out, s);
    }
    return ok;
}

/* "message: error,error" of a JSON answer; only bad requests explain themselves. */
static struct str error_detail(struct send_attempt *at, const struct send_response *res)
{
    struct json_reader r;
    struct str key, message = STR_EMPTY, detail = STR_EMPTY;
    struct buf errors = { 0 };
    struct err err = { 0 };
    if (res->status != 400)
        return STR_EMPTY;
    json_reader_init(&r, res->body, at->arena);
    bool ok = jr_object(&r);
    while (ok && jr_member(&r, &key)) {
        if (str_eq_nocase(key, STR("message")))
            ok = jr_str(&r, &message);
        else if (str_eq_nocase(key, STR("errors")) && jr_peek(&r) != JR_NULL)
            ok = read_list(&r, &errors);
        else
            ok = jr_skip(&r);
    }
    if (jr_finish(&r, &err))
        detail = arena_printf(at->arena, "%.*s: %.*s", STR_ARG(message), STR_ARG(buf_view(&errors)));
    buf_deinit(&errors);
    return detail;
}

static enum send_verdict judge(struct send_attempt *at, const struct pagerduty_config *c,
                               const struct send_response *res, struct send_error *why)
{
    enum send_verdict verdict;
    if (!res->arrived) {
        verdict = send_no_answer(res, why, "pagerduty", c->timeout_ns);
        err_wrap(&why->err, is_v1(c) ? "failed to post message to PagerDuty v1" : "failed to post message to PagerDuty");
        return verdict;
    }
    verdict = send_check_status(res, is_v1(c) ? 403 : 429, error_detail(at, res), why);
    if (is_v1(c))
        why->reason = SEND_REASON_OTHER;
    return verdict;
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct pagerduty_config *c = at->config;
    struct send_render r;
    struct str details;
    if (res)
        return judge(at, c, res, why);
    send_render_init(&r, at, 0);
    if (!render_details(at, c, &r, &details, why))
        return SEND_FAIL;
    enum send_verdict verdict = is_v1(c) ? build_v1(at, c, &r, details, next, why) : build_v2(at, c, &r, details, next, why);
    next->timeout_ms = c->timeout_ns / 1000000;
    return verdict;
}

const struct receiver_row pagerduty_row = { RECEIVER_ROW(RECEIVER_PAGERDUTY, pagerduty, true), .step = step };
