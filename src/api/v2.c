/* The plumbing of /api/v2: cross-origin headers, content types, methods, and the endpoints that need no list. The order of the
 * checks is go-openapi's: path, method, Accept, Content-Type, parameters, body. */
#include "api/api.h"

#include "api/alerts_in.h"
#include "base/utf8.h"
#include "config/config.h"
#include "http/header.h"
#include "http/url.h"
#include "json/writer.h"

const struct metric_desc api_metrics[] = {
    METRIC(COUNTER, struct api_stats, received_firing, "alertmanager_alerts_received_total",
           "The total number of received alerts.", "status=firing,version=v2"),
    METRIC(COUNTER, struct api_stats, received_resolved, "alertmanager_alerts_received_total",
           "The total number of received alerts.", "status=resolved,version=v2"),
    METRIC(COUNTER, struct api_stats, invalid, "alertmanager_alerts_invalid_total",
           "The total number of received alerts that were invalid.", "version=v2"),
};
const size_t api_metrics_count = ARRAY_LEN(api_metrics);

/* ---- answers ---- */

void api_finish(struct api_call *c)
{
    if (c->config)
        config_release(c->config);
    c->config = NULL;
    c->finish(c);
}

void api_answer_json(struct api_call *c, int status, struct str body)
{
    http_response_text(c->res, status, STR("application/json"), body);
    api_finish(c);
}

void api_answer_string(struct api_call *c, int status, struct str text)
{
    struct buf body = { 0 };
    struct json_writer w;
    json_writer_init(&w, &body);
    jw_str(&w, text);
    buf_byte(&body, '\n');
    api_answer_json(c, status, buf_view(&body));
    buf_deinit(&body);
}

void api_answer_empty(struct api_call *c, int status)
{
    c->res->status = status;
    api_finish(c);
}

void api_answer_refusal(struct api_call *c, const struct api_refusal *r)
{
    struct buf body = { 0 };
    struct json_writer w;
    json_writer_init(&w, &body);
    jw_object(&w);
    jw_key(&w, STR("code"));
    jw_i64(&w, r->code);
    jw_kv(&w, STR("message"), r->message);
    jw_object_end(&w);
    api_answer_json(c, r->status, buf_view(&body));
    buf_deinit(&body);
}

void api_answer_pull(struct api_call *c, http_body_pull *pull, void *arg, void (*end)(void *arg))
{
    c->res->status = 200;
    http_response_set_header(c->res, STR("Content-Type"), STR("application/json"));
    c->res->pull = pull;
    c->res->pull_arg = arg;
    c->res->pull_end = end;
    api_finish(c);
}

void api_ask(struct api_call *c, enum api_question what, void (*done)(struct api_ask *q))
{
    c->ask.what = what;
    c->ask.done = done;
    c->ask.user = c;
    c->ask.arena = c->req->arena;
    c->ask.now = c->api->backend.now(c->api->backend.arg);
    c->api->backend.ask(c->api->backend.arg, &c->ask);
}

/* ---- parameters ---- */

bool api_param_bool(const struct http_params *ps, struct str name, bool fallback)
{
    static const struct str truths[] = {
        STR_INIT("1"), STR_INIT("t"), STR_INIT("true"), STR_INIT("y"), STR_INIT("yes"), STR_INIT("ok"),
        STR_INIT("on"), STR_INIT("enabled"), STR_INIT("checked"), STR_INIT("selected"),
    };
    struct str value = http_param_last(ps, name);
    if (value.n == 0)
        return fallback;
    for (size_t i = 0; i < ARRAY_LEN(truths); i++)
        if (str_eq_nocase(value, truths[i]))
            return true;
    return false;
}

bool api_param_matchers(struct api_call *c, const struct http_params *ps, struct str name, struct matchers *out,
                        struct err *err)
{
    *out = (struct matchers){ 0 };
    size_t n = 0;
    for (size_t i = 0; i < ps->n; i++)
        n += str_eq(ps->v[i].name, name);
    if (n == 0)
        return true;
    out->v = arena_alloc_array(c->req->arena, n, sizeof *out->v);
    for (size_t i = 0; i < ps->n; i++) {
        if (!str_eq(ps->v[i].name, name))
            continue;
        if (!matcher_parse(c->req->arena, c->api->mode, ps->v[i].value, &out->v[out->n], NULL, err)) {
            matchers_deinit(out);
            return false;
        }
        out->n++;
    }
    return true;
}

bool api_receiver_filter_init(struct api_call *c, const struct http_params *ps, struct api_receiver_filter *f,
                              struct err *err)
{
    *f = (struct api_receiver_filter){ .config = c->config };
    struct str name = http_param_last(ps, STR("receiver"));
    if (name.n) {
        f->name = regex_compile(name, REGEX_ANCHORED, err);
        if (!f->name) {
            err_wrap(err, "failed to parse receiver param");
            return false;
        }
    }
    if (!api_param_matchers(c, ps, STR("receiver_matchers"), &f->labels, err)) {
        err_wrap(err, "failed to parse receiver_matchers param");
        api_receiver_filter_deinit(f);
        return false;
    }
    return true;
}

void api_receiver_filter_deinit(struct api_receiver_filter *f)
{
    if (f->name)
        regex_release(f->name);
    f->name = NULL;
    matchers_deinit(&f->labels);
}

bool api_receiver_passes(const struct api_receiver_filter *f, struct str receiver)
{
    if (f->name && !regex_match(f->name, receiver))
        return false;
    if (f->labels.n == 0)
        return true;
    const struct config_receiver *r = f->config ? config_receiver_find(f->config, receiver) : NULL;
    return r && matchers_match(&f->labels, r->labels);
}

/* ---- small endpoints ---- */

static void write_receiver(struct json_writer *w, const struct config_receiver *r)
{
    jw_object(w);
    jw_key(w, STR("labels"));
    labels_write_json(w, r->labels);
    jw_kv(w, STR("name"), r->name);
    jw_object_end(w);
}

static void get_receivers(struct api_call *c)
{
    struct http_params ps;
    struct matchers labels;
    struct err err = { 0 };
    http_params_parse(c->req->arena, c->req->query, &ps);
    if (!api_param_matchers(c, &ps, STR("receiver_matchers"), &labels, &err)) {
        err_wrap(&err, "failed to parse receiver_matchers param");
        api_answer_string(c, 400, err_text(&err));
        return;
    }
    struct buf body = { 0 };
    struct json_writer w;
    json_writer_init(&w, &body);
    jw_array(&w);
    for (size_t i = 0; c->config && i < c->config->receivers_count; i++)
        if (matchers_match(&labels, c->config->receivers[i].labels))
            write_receiver(&w, &c->config->receivers[i]);
    jw_array_end(&w);
    buf_byte(&body, '\n');
    matchers_deinit(&labels);
    api_answer_json(c, 200, buf_view(&body));
    buf_deinit(&body);
}

static void write_cluster(struct json_writer *w, const struct api_cluster *cluster)
{
    jw_key(w, STR("cluster"));
    jw_object(w);
    if (cluster->name.n)
        jw_kv(w, STR("name"), cluster->name);
    jw_key(w, STR("peers"));
    jw_array(w);
    for (size_t i = 0; i < cluster->peers_count; i++) {
        jw_object(w);
        jw_kv(w, STR("address"), cluster->peers[i].address);
        jw_kv(w, STR("name"), cluster->peers[i].name);
        jw_object_end(w);
    }
    jw_array_end(w);
    jw_kv(w, STR("status"), cluster->status);
    jw_object_end(w);
}

static void status_done(struct api_ask *q)
{
    struct api_call *c = q->user;
    struct buf body = { 0 }, text = { 0 };
    struct json_writer w;
    json_writer_init(&w, &body);
    jw_object(&w);
    write_cluster(&w, &q->cluster);
    jw_key(&w, STR("config"));
    jw_object(&w);
    if (c->config)
        config_dump(c->config, &text);
    jw_kv(&w, STR("original"), buf_view(&text));
    jw_object_end(&w);
    buf_reset(&text);
    rfc3339_write_ms(&text, c->api->backend.started);
    jw_kv(&w, STR("uptime"), buf_view(&text));
    jw_key(&w, STR("versionInfo"));
    jw_object(&w);
    jw_kv(&w, STR("branch"), STR("HEAD"));
    jw_kv(&w, STR("buildDate"), STR_EMPTY);
    jw_kv(&w, STR("buildUser"), STR_EMPTY);
    jw_kv(&w, STR("goVersion"), STR_EMPTY);
    jw_kv(&w, STR("revision"), c->api->revision);
    jw_kv(&w, STR("version"), c->api->version);
    jw_object_end(&w);
    jw_object_end(&w);
    buf_byte(&body, '\n');
    api_answer_json(c, 200, buf_view(&body));
    buf_deinit(&text);
    buf_deinit(&body);
}

static void get_status(struct api_call *c)
{
    api_ask(c, API_STATUS, status_done);
}

static void put_done(struct api_ask *q)
{
    struct api_call *c = q->user;
    const struct alerts_in *in = c->ask.state;
    if (!q->ok)
        api_answer_string(c, q->err.code == ERR_UNAVAILABLE ? 503 : 500, err_text(&q->err));
    else if (in->errors.n)
        api_answer_string(c, 400, in->errors);
    else
        api_answer_empty(c, 200);
}

static void post_alerts(struct api_call *c)
{
    struct alerts_in *in = ARENA_NEW(c->req->arena, struct alerts_in);
    struct api_refusal refusal = { 0 };
    const struct alerts_in_rules rules = {
        .now = c->api->backend.now(c->api->backend.arg),
        .resolve_timeout_ms = c->config ? c->config->resolve_timeout_ms : 5 * 60 * 1000,
        .classic_names = c->api->mode == MATCHER_CLASSIC,
    };
    if (!alerts_in_parse(c->req->arena, c->req->body, &rules, in, &refusal)) {
        api_answer_refusal(c, &refusal);
        return;
    }
    counter_add_shared(&c->api->stats.received_firing, in->firing);
    counter_add_shared(&c->api->stats.received_resolved, in->resolved);
    counter_add_shared(&c->api->stats.invalid, in->invalid);
    c->ask.specs = in->specs;
    c->ask.specs_count = in->specs_count;
    c->ask.state = in;
    if (in->specs_count == 0) {
        c->ask.ok = true;
        c->ask.user = c;
        put_done(&c->ask);
        return;
    }
    api_ask(c, API_PUT_ALERTS, put_done);
}

/* ---- routing ---- */

struct endpoint {
    const char *path, *allowed;
    void (*get)(struct api_call *c);
    void (*post)(struct api_call *c);
};
static const struct endpoint endpoints[] = {
    { "/alerts", "GET,POST", api_get_alerts, post_alerts },
    { "/alerts/groups", "GET", api_get_groups, NULL },
    { "/receivers", "GET", get_receivers, NULL },
    { "/silences", "GET,POST", api_get_silences, api_post_silences },
    { "/status", "GET", get_status, NULL },
};

static void cross_origin(const struct http_request *req, struct http_response *res)
{
    http_response_set_header(res, STR("Cache-Control"), STR("no-store"));
    http_response_header(res, STR("Vary"), STR("Origin"));
    if (http_request_has_header(req, STR("Origin")))
        http_response_header(res, STR("Access-Control-Allow-Origin"), STR("*"));
}

static bool header_list_allowed(struct str list)
{
    static const struct str simple[] = { STR_INIT("accept"), STR_INIT("content-type"), STR_INIT("x-requested-with"),
                                         STR_INIT("origin") };
    struct str one;
    while (str_split(&list, ',', &one)) {
        bool known = false;
        one = str_trim(one);
        for (size_t i = 0; i < ARRAY_LEN(simple); i++)
            known = known || one.n == 0 || str_eq_nocase(one, simple[i]);
        if (!known)
            return false;
    }
    return true;
}

/* rs/cors answers every preflight with 204; what is not allowed gets no Allow headers. */
static void preflight(struct api_call *c)
{
    const struct http_request *req = c->req;
    struct http_response *res = c->res;
    struct str method = http_request_header(req, STR("Access-Control-Request-Method"));
    struct str headers = http_request_header(req, STR("Access-Control-Request-Headers"));
    http_response_set_header(res, STR("Cache-Control"), STR("no-store"));
    http_response_header(res, STR("Vary"), STR("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"));
    bool allowed = str_eq_nocase(method, STR("GET")) || str_eq_nocase(method, STR("POST")) ||
                   str_eq_nocase(method, STR("HEAD"));
    if (http_request_has_header(req, STR("Origin")) && allowed && header_list_allowed(headers)) {
        http_response_header(res, STR("Access-Control-Allow-Origin"), STR("*"));
        http_response_header(res, STR("Access-Control-Allow-Methods"), method);
        if (headers.n)
            http_response_header(res, STR("Access-Control-Allow-Headers"), headers);
    }
    api_answer_empty(c, 204);
}

static void refuse_method(struct api_call *c, struct str allowed)
{
    struct arena *a = c->req->arena;
    http_response_header(c->res, STR("Allow"), allowed);
    api_answer_refusal(c, &(struct api_refusal){ 405, 405,
                                                 arena_printf(a, "method %.*s is not allowed, but [%.*s] are",
                                                              STR_ARG(c->req->method), STR_ARG(allowed)) });
}

static bool accepts_json(const struct http_request *req)
{
    return http_accept_quality(http_request_header(req, STR("Accept")), STR("application/json")) > 0;
}

static bool sends_json(struct api_call *c)
{
    struct str type = http_request_header(c->req, STR("Content-Type"));
    struct http_media_type media;
    struct err err = { 0 };
    if (type.n == 0)
        type = STR("application/octet-stream");
    if (http_media_type_parse(c->req->arena, type, &media, &err) && str_eq(media.type, STR("application/json")))
        return true;
    struct str shown = arena_printf(c->req->arena,
                                    "unsupported media type \"%.*s\", only [application/json] are allowed", STR_ARG(type));
    api_answer_refusal(c, &(struct api_refusal){ 415, 415, shown });
    return false;
}

static bool uuid_valid(struct str s)
{
    if (s.n != 36)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.p[i] != '-' : ascii_xdigit_value(s.p[i]) < 0)
            return false;
    }
    return true;
}

static void handle_silence(struct api_call *c, struct str id)
{
    bool get = str_eq(c->req->method, STR("GET")), del = str_eq(c->req->method, STR("DELETE"));
    if (!get && !del) {
        refuse_method(c, STR("DELETE,GET"));
        return;
    }
    if (!accepts_json(c->req)) {
        api_answer_refusal(c, &(struct api_refusal){
                                  406, 406, STR("unsupported media type requested, only [application/json] are available") });
        return;
    }
    if (!uuid_valid(id)) {
        struct buf quoted = { 0 };
        go_quote(&quoted, id);
        struct str text = arena_printf(c->req->arena, "silenceID in path must be of type uuid: %.*s",
                                       STR_ARG(buf_view(&quoted)));
        buf_deinit(&quoted);
        api_answer_refusal(c, &(struct api_refusal){ 422, 601, text });
        return;
    }
    if (get)
        api_get_silence(c, id);
    else
        api_delete_silence(c, id);
}

static void handle_endpoint(struct api_call *c, const struct endpoint *e)
{
    bool get = str_eq(c->req->method, STR("GET")), post = str_eq(c->req->method, STR("POST"));
    if (!get && !(post && e->post)) {
        refuse_method(c, str_c(e->allowed));
        return;
    }
    if (!accepts_json(c->req)) {
        api_answer_refusal(c, &(struct api_refusal){
                                  406, 406, STR("unsupported media type requested, only [application/json] are available") });
        return;
    }
    if (get) {
        e->get(c);
        return;
    }
    if (sends_json(c))
        e->post(c);
}

void api_v2_handle(struct api_call *c, struct str asked)
{
    struct arena *a = c->req->arena;
    struct str path = asked;
    if (path.n > 1 && path.p[path.n - 1] == '/') /* the framework's router looks for the cleaned path */
        path.n--;
    c->config = c->api->backend.config(c->api->backend.arg);
    if (str_eq(c->req->method, STR("OPTIONS")) &&
        http_request_has_header(c->req, STR("Access-Control-Request-Method"))) {
        preflight(c);
        return;
    }
    cross_origin(c->req, c->res);
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++)
        if (str_eq(path, str_c(endpoints[i].path))) {
            handle_endpoint(c, &endpoints[i]);
            return;
        }
    struct str prefix = STR("/silence/");
    if (str_starts(path, prefix) && path.n > prefix.n && str_find_byte(str_from(path, prefix.n), '/') == STR_NPOS) {
        struct buf id = { 0 };
        struct err err = { 0 };
        if (!http_path_unescape(&id, str_from(path, prefix.n), &err)) {
            buf_reset(&id);
            buf_str(&id, str_from(path, prefix.n));
        }
        struct str kept = arena_str(a, buf_view(&id));
        buf_deinit(&id);
        handle_silence(c, kept);
        return;
    }
    struct str text = arena_printf(a, "path /api/v2%.*s was not found", STR_ARG(asked));
    api_answer_refusal(c, &(struct api_refusal){ 404, 404, text });
}
