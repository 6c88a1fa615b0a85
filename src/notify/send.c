/* Helpers of the receivers. Everything is made in the attempt's arena; templates use the renderer's own memory for what
 * they compute and leave only their output here, so that an attempt's arena is bounded by SEND_TEXT_BYTES_MAX and the
 * bodies made of it. */
#include "notify/send.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "crypto/hash.h"
#include "model/duration.h"
#include "notify/receivers_config.h"

/* ---- rendering ---- */

void send_render_init(struct send_render *r, struct send_attempt *at, size_t alerts_max)
{
    *r = (struct send_render){ .at = at, .bytes_left = SEND_TEXT_BYTES_MAX };
    render_data_from(at->arena, at->n, alerts_max, &r->data);
    r->data.route_labels = at->route_labels;
    if (!r->data.route_labels.v) {
        static const struct label none;
        r->data.route_labels = (struct labels){ &none, 0 };
    }
    r->hooks = (struct template_hooks){
        .zone = at->env->zone, .route_labels = at->route_labels, .route_labels_rendered = true
    };
    r->run = (struct template_run){ .now = at->now };
}

static struct str render(struct send_render *r, struct str text, bool html)
{
    if (r->failed || text.n == 0)
        return STR_EMPTY;
    struct buf b = { 0 };
    /* Set here and not in init: the struct may have been copied since. */
    r->run.data = render_data_value(&r->data);
    r->run.hooks = &r->hooks;
    r->run.output_bytes_max = r->bytes_left;
    bool ok = html ? template_render_html(r->at->renderer, &r->run, text, &b, &r->err)
                   : template_render_text(r->at->renderer, &r->run, text, &b, &r->err);
    r->failed = !ok;
    struct str out = arena_str(r->at->arena, buf_view(&b));
    r->bytes_left -= out.n < r->bytes_left ? out.n : r->bytes_left - 1;
    buf_deinit(&b);
    return out;
}

struct str send_text(struct send_render *r, struct str text)
{
    return render(r, text, false);
}

struct str send_html(struct send_render *r, struct str text)
{
    return render(r, text, true);
}

/* ---- texts ---- */

struct str send_group_id(struct send_attempt *at)
{
    struct buf b = { 0 };
    hash_sha256_hex(at->n->group_key, &b);
    struct str s = arena_str(at->arena, buf_view(&b));
    buf_deinit(&b);
    return s;
}

struct str send_cut_runes(struct arena *a, struct str s, size_t n)
{
    if (s.n <= n || utf8_count(s) <= n) /* no more bytes than runes: nothing to count */
        return s;
    if (n <= 3)
        return utf8_prefix(s, n);
    struct str head = utf8_prefix(s, n - 1);
    return arena_printf(a, "%.*s…", (int)head.n, head.p);
}

struct str send_cut_bytes(struct arena *a, struct str s, size_t n)
{
    static const char dots[] = "...";
    if (s.n <= n)
        return s;
    if (n < 3)
        return arena_str(a, str_of(dots, n));
    size_t end = 0, size;
    while (end < s.n) {
        utf8_decode(str_from(s, end), &size);
        if (end + size > n - 3)
            break;
        end += size;
    }
    return arena_printf(a, "%.*s…", (int)end, s.p);
}

bool send_is_firing(const struct send_attempt *at)
{
    for (size_t i = 0; i < at->n->alerts_count; i++)
        if (!at->n->alerts[i].resolved)
            return true;
    return false;
}

bool send_read_file(struct send_attempt *at, struct str path, bool trim, struct str *out, struct err *err)
{
    struct buf b = { 0 };
    bool ok = at->env->read_file(path, &b, err);
    if (ok) {
        struct str s = buf_view(&b);
        *out = arena_str(at->arena, trim ? str_trim(s) : s);
    }
    buf_deinit(&b);
    return ok;
}

bool receiver_load_secret(const struct receiver_env *env, struct arena *a, struct str path, const char *prefix,
                          struct str *out, struct err *err)
{
    struct buf b = { 0 };
    bool ok = path.n == 0 || env->read_file(path, &b, err);
    if (ok)
        *out = arena_str(a, str_trim(buf_view(&b)));
    else
        err_wrap(err, "%s", prefix);
    buf_deinit(&b);
    return ok;
}

struct str send_url_join(struct arena *a, struct str base, struct str path)
{
    while (base.n > 0 && base.p[base.n - 1] == '/')
        base.n--;
    while (path.n > 0 && path.p[0] == '/')
        path = str_from(path, 1);
    return arena_printf(a, "%.*s/%.*s", STR_ARG(base), STR_ARG(path));
}

struct str send_data_get(const struct send_attempt *at, struct str key)
{
    for (size_t i = 0; i < at->data_count; i++)
        if (at->data[i].kind == RECEIVER_VALUE_STR && str_eq(at->data[i].key, key))
            return at->data[i].s;
    return STR_EMPTY;
}

void send_data_set(struct send_attempt *at, struct str key, struct str value)
{
    struct receiver_value v = { .key = key, .kind = RECEIVER_VALUE_STR, .s = value };
    for (size_t i = 0; i < at->data_count; i++)
        if (str_eq(at->data[i].key, key)) {
            at->data[i] = v;
            return;
        }
    struct receiver_value *grown = arena_alloc_array(at->arena, at->data_count + 1, sizeof v);
    if (at->data_count)
        memcpy(grown, at->data, at->data_count * sizeof v);
    grown[at->data_count++] = v;
    at->data = grown;
}

/* ---- bodies ---- */

#define BODY_BYTES_USUAL 1024 /* of a group of one alert: no growing in steps */

void send_body_init(struct send_body *b)
{
    b->buf = (struct buf){ 0 };
    buf_reserve(&b->buf, BODY_BYTES_USUAL);
    json_writer_init(&b->json, &b->buf);
}

struct str send_body_finish(struct send_body *b, struct arena *a)
{
    buf_byte(&b->buf, '\n');
    struct str s = arena_str(a, buf_view(&b->buf));
    buf_deinit(&b->buf);
    return s;
}

void send_body_drop(struct send_body *b)
{
    buf_deinit(&b->buf);
}

void jw_optional(struct json_writer *w, struct str key, struct str value)
{
    if (value.n > 0)
        jw_kv(w, key, value);
}

void jw_flag(struct json_writer *w, struct str key, bool value)
{
    if (!value)
        return;
    jw_key(w, key);
    jw_bool(w, true);
}

static void labels_member(struct json_writer *w, struct str key, struct labels ls)
{
    jw_key(w, key);
    render_labels_json(w, ls);
}

void send_data_members(struct json_writer *w, const struct send_render *r, const struct notification *n)
{
    const struct render_data *d = &r->data;
    jw_kv(w, STR("receiver"), d->receiver);
    jw_kv(w, STR("status"), d->status);
    jw_key(w, STR("alerts"));
    render_alerts_json(w, d);
    jw_kv(w, STR("notification_reason"), notify_reason_text(n->reason));
    labels_member(w, STR("groupLabels"), d->group_labels);
    labels_member(w, STR("commonLabels"), d->common_labels);
    labels_member(w, STR("commonAnnotations"), d->common_annotations);
    labels_member(w, STR("routeLabels"), d->route_labels);
    jw_kv(w, STR("externalURL"), d->external_url);
}

/* ---- requests ---- */

void send_header(struct send_request *next, struct str name, struct str value)
{
    ASSERT(next->headers_count < ARRAY_LEN(next->headers));
    next->headers[next->headers_count++] = (struct http_header){ name, value };
}

void send_post_json(struct send_attempt *at, struct send_request *next, struct str url, struct str body)
{
    const struct receiver_common *common = at->config;
    *next = (struct send_request){ .method = STR("POST"), .url = url, .body = body, .http = common->http_config };
    send_header(next, STR("Content-Type"), STR("application/json"));
}

enum send_verdict send_hook_step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                                 struct send_error *why, const struct send_hook *hook)
{
    struct err err = { 0 };
    if (res && !res->arrived)
        return send_no_answer(res, why, NULL, 0);
    if (res)
        return send_check_status(res, 0, res->body, why);
    struct send_render r;
    struct str url = hook->url;
    send_render_init(&r, at, 0);
    struct str body = hook->build_body(at, &r);
    if (r.failed)
        return send_template_failed(why, &r, "");
    if (url.n == 0 && !send_read_file(at, hook->url_file, true, &url, &err))
        return send_fail(why, SEND_REASON_OTHER, "read webhook_url_file: %s", err.text);
    send_post_json(at, next, url, body);
    next->secret_url = true;
    return SEND_REQUEST;
}

/* ---- verdicts ---- */

static enum send_verdict end(struct send_error *why, enum send_verdict verdict, enum send_reason reason,
                             const char *fmt, va_list ap)
{
    why->reason = reason;
    err_vset(&why->err, ERR_INVALID, fmt, ap);
    return verdict;
}

enum send_verdict send_fail(struct send_error *why, enum send_reason reason, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    end(why, SEND_FAIL, reason, fmt, ap);
    va_end(ap);
    return SEND_FAIL;
}

enum send_verdict send_retry(struct send_error *why, enum send_reason reason, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    end(why, SEND_RETRY, reason, fmt, ap);
    va_end(ap);
    return SEND_RETRY;
}

enum send_verdict send_template_failed(struct send_error *why, const struct send_render *r, const char *prefix)
{
    ASSERT(r->failed);
    return send_fail(why, SEND_REASON_OTHER, "%s%s", prefix, r->err.text);
}

enum send_reason send_status_reason(int status)
{
    if (status == 401 || status == 403)
        return SEND_REASON_AUTH;
    if (status == 429)
        return SEND_REASON_RATE_LIMITED;
    if (status / 100 == 4)
        return SEND_REASON_CLIENT;
    return status / 100 == 5 ? SEND_REASON_SERVER : SEND_REASON_OTHER;
}

enum send_verdict send_no_answer(const struct send_response *res, struct send_error *why, const char *what,
                                 int64_t timeout_ns)
{
    ASSERT(!res->arrived);
    why->reason = SEND_REASON_OTHER;
    why->err = res->err;
    if (res->timed_out && what) {
        struct buf b = { 0 };
        go_duration_write(&b, timeout_ns);
        err_set(&why->err, ERR_TIMEOUT, "%s: configured %s timeout reached (%.*s)", res->err.text, what,
                STR_ARG(buf_view(&b)));
        buf_deinit(&b);
    }
    return SEND_RETRY;
}

enum send_verdict send_check_status(const struct send_response *res, int retry_code, struct str detail,
                                    struct send_error *why)
{
    ASSERT(res->arrived);
    if (res->status / 100 == 2)
        return SEND_DONE;
    bool retry = res->status / 100 == 5 || (retry_code != 0 && res->status == retry_code);
    why->reason = send_status_reason(res->status);
    err_set(&why->err, ERR_INVALID, detail.n ? "unexpected status code %d: %.*s" : "unexpected status code %d%.*s",
            res->status, STR_ARG(detail));
    return retry ? SEND_RETRY : SEND_FAIL;
}

enum send_verdict send_unreadable_json(struct send_error *why, struct str body, const struct err *err)
{
    struct buf q = { .limit_bytes = 512 };
    go_quote(&q, str_sub(body, 0, 400));
    send_retry(why, SEND_REASON_CLIENT, "could not unmarshal JSON response %.*s: %s", STR_ARG(buf_view(&q)), err->text);
    buf_deinit(&q);
    return SEND_RETRY;
}

enum send_verdict send_name_channel(struct send_error *why, struct str channel, enum send_verdict verdict)
{
    struct buf b = { .limit_bytes = 256 };
    go_quote(&b, channel);
    err_wrap(&why->err, "channel %.*s", STR_ARG(buf_view(&b)));
    buf_deinit(&b);
    return verdict;
}

struct str send_response_header(const struct send_response *res, struct str name)
{
    for (size_t i = 0; i < res->headers_count; i++)
        if (str_eq_nocase(res->headers[i].name, name))
            return res->headers[i].value;
    return STR_EMPTY;
}

/* ---- memory between attempts ---- */

struct cached {
    struct buf key, value;
    struct wire_time at;
    uint64_t order; /* 0: free */
};
struct send_cache {
    struct cached v[SEND_CACHE_MAX];
    uint64_t order;
};

struct send_cache *send_cache_new(void)
{
    return MEM_NEW(struct send_cache);
}

void send_cache_free(struct send_cache *c)
{
    for (size_t i = 0; c && i < SEND_CACHE_MAX; i++) {
        buf_deinit(&c->v[i].key);
        buf_deinit(&c->v[i].value);
    }
    mem_free(c);
}

static struct cached *find(struct send_cache *c, struct str key)
{
    for (size_t i = 0; i < SEND_CACHE_MAX; i++)
        if (c->v[i].order != 0 && str_eq(buf_view(&c->v[i].key), key))
            return &c->v[i];
    return NULL;
}

struct str send_cache_get(struct send_cache *c, struct str key, struct wire_time now, int64_t max_age_ms)
{
    const struct cached *e = c ? find(c, key) : NULL;
    if (!e || wire_time_to_ms(now) - wire_time_to_ms(e->at) > max_age_ms)
        return STR_EMPTY;
    return buf_view(&e->value);
}

void send_cache_put(struct send_cache *c, struct str key, struct str value, struct wire_time now)
{
    if (!c)
        return;
    struct cached *e = find(c, key);
    for (size_t i = 0; !e && i < SEND_CACHE_MAX; i++)
        if (c->v[i].order == 0)
            e = &c->v[i];
    if (!e) {
        e = &c->v[0];
        for (size_t i = 1; i < SEND_CACHE_MAX; i++)
            if (c->v[i].order < e->order)
                e = &c->v[i];
    }
    buf_reset(&e->key);
    buf_str(&e->key, key);
    buf_reset(&e->value);
    buf_str(&e->value, value);
    e->at = now;
    e->order = ++c->order;
}

void send_cache_drop(struct send_cache *c, struct str key)
{
    struct cached *e = c ? find(c, key) : NULL;
    if (e)
        e->order = 0;
}
