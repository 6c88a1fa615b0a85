/* incident.io: the webhook's data, within its size. */
#include "notify/receivers/incidentio_config.h"

#include "json/reader.h"
#include "notify/receivers/rows.h"
#include "notify/send.h"

#define BODY_BYTES_MAX 524288 /* what its API takes */

/* The members, with only the first alert listed if `one`. */
static struct str build_body(struct send_attempt *at, struct send_render *r, bool one)
{
    struct send_body b;
    struct json_writer *w = &b.json;
    size_t truncated = at->n->alerts_count - r->data.alerts_count;
    if (one && r->data.alerts_count > 1)
        r->data.alerts_count = 1;
    send_body_init(&b);
    jw_object(w);
    send_data_members(w, r, at->n);
    jw_kv(w, STR("version"), STR("1"));
    jw_kv(w, STR("groupKey"), at->n->group_key);
    jw_key(w, STR("truncatedAlerts"));
    jw_u64(w, truncated);
    jw_object_end(w);
    return send_body_finish(&b, at->arena);
}

static void add_detail(struct buf *b, struct str s, const char *separator)
{
    if (s.n == 0)
        return;
    if (b->n > 0)
        buf_c(b, separator);
    buf_str(b, s);
}

static bool read_errors(struct json_reader *r, struct buf *out)
{
    struct str s;
    if (jr_peek(r) != JR_ARRAY)
        return jr_skip(r);
    bool ok = jr_array(r);
    while (ok && jr_element(r)) {
        ok = jr_peek(r) == JR_STRING ? jr_str(r, &s) : jr_skip(r) && (s = STR_EMPTY, true);
        if (ok)
            add_detail(out, s, ", ");
    }
    return ok;
}

/* message, error and errors of a JSON answer; nothing of any other. */
static struct str error_detail(struct send_attempt *at, struct str body)
{
    struct json_reader r;
    struct str key, message = STR_EMPTY, error = STR_EMPTY;
    struct buf errors = { 0 }, all = { 0 };
    struct err err = { 0 };
    json_reader_init(&r, body, at->arena);
    bool ok = jr_object(&r);
    while (ok && jr_member(&r, &key)) {
        bool text = jr_peek(&r) == JR_STRING;
        if (str_eq_nocase(key, STR("message")) && text)
            ok = jr_str(&r, &message);
        else if (str_eq_nocase(key, STR("error")) && text)
            ok = jr_str(&r, &error);
        else if (str_eq_nocase(key, STR("errors")))
            ok = read_errors(&r, &errors);
        else
            ok = jr_skip(&r);
    }
    if (jr_finish(&r, &err)) {
        add_detail(&all, message, ": ");
        add_detail(&all, error, ": ");
        add_detail(&all, buf_view(&errors), ": ");
    }
    struct str s = arena_str(at->arena, buf_view(&all));
    buf_deinit(&errors);
    buf_deinit(&all);
    return s;
}

/* Upstream puts the token into its HTTP configuration. */
static bool load(void *config, const struct receiver_env *env, struct arena *a, struct err *err)
{
    struct incidentio_config *c = config;
    return receiver_load_secret(env, a, c->alert_source_token_file, "failed to read alert_source_token_file",
                                &c->alert_source_token_loaded, err);
}

static bool find_url(struct send_attempt *at, const struct incidentio_config *c, struct str *url, struct send_error *why)
{
    struct err err = { 0 };
    *url = c->url;
    if (c->url.n > 0 || c->url_file.n == 0 || send_read_file(at, c->url_file, true, url, &err))
        return true;
    send_fail(why, SEND_REASON_OTHER, "read url_file: %s", err.text);
    return false;
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct incidentio_config *c = at->config;
    struct str url, token;
    if (res && !res->arrived)
        return send_no_answer(res, why, "incident.io", c->timeout_ns);
    if (res)
        return send_check_status(res, 429, res->status / 100 == 2 ? STR_EMPTY : error_detail(at, res->body), why);
    struct send_render r;
    send_render_init(&r, at, c->max_alerts > SIZE_MAX ? SIZE_MAX : (size_t)c->max_alerts);
    struct str body = build_body(at, &r, false);
    if (body.n > BODY_BYTES_MAX)
        body = build_body(at, &r, true);
    if (!find_url(at, c, &url, why))
        return SEND_FAIL;
    token = c->alert_source_token.n > 0 ? c->alert_source_token : c->alert_source_token_loaded;
    send_post_json(at, next, url, body);
    if (token.n > 0)
        send_header(next, STR("Authorization"), arena_printf(at->arena, "Bearer %.*s", STR_ARG(token)));
    next->timeout_ms = c->timeout_ns / 1000000;
    next->secret_url = true;
    return SEND_REQUEST;
}

const struct receiver_row incidentio_row = { RECEIVER_ROW(RECEIVER_INCIDENTIO, incidentio, true), .step = step,
                                           .load = load };
