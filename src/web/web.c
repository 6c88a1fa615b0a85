/* The order is upstream's: prefix, routes, then for the API the limit of concurrent GETs. A GET slot is held from the request
 * until its answer is handed over, not until a slow client has read it, so that clients which do not read block nobody.
 *
 * Where both halves claim a path, the design's section 1 decides: /-/healthy and /-/ready speak Alertmanager's words if the alert
 * half runs; /api/v1 is Prometheus's if that half runs, else the notice that it is gone. */
#include "web/web.h"

#include "expfmt/write.h"
#include "http/header.h"
#include "http/router.h"
#include "http/url.h"
#include "wire/gzip.h"

static const double duration_bounds[] = { .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10 };
static const double size_bounds[] = { 100, 1000, 10000, 100000, 1000000, 10000000, 100000000 };

const struct metric_desc web_metrics[] = {
    METRIC_HIST_VEC(struct web_stats, duration, "alertmanager_http_request_duration_seconds",
                    "Histogram of latencies for HTTP requests.", "handler,method,code", duration_bounds),
    METRIC_HIST_VEC(struct web_stats, size, "alertmanager_http_response_size_bytes",
                    "Histogram of response size for HTTP requests.", "handler,method", size_bounds),
    METRIC(GAUGE, struct web_stats, in_flight, "alertmanager_http_requests_in_flight",
           "Current number of HTTP requests being processed.", "method=get"),
    METRIC(COUNTER, struct web_stats, limit_exceeded, "alertmanager_http_concurrency_limit_exceeded_total",
           "Total number of times an HTTP request failed because the concurrency limit was reached.", "method=get"),
};
const size_t web_metrics_count = ARRAY_LEN(web_metrics);

enum handler {
    H_METRICS, H_RELOAD, H_QUIT, H_HEALTHY, H_READY, H_FRONT, H_ICON, H_V1_GONE, H_DEBUG,
};
static const struct http_route routes[] = {
    { "GET", "/", H_FRONT },
    { "GET", "/favicon.ico", H_ICON },
    { "GET", "/metrics", H_METRICS },
    { "POST", "/-/reload", H_RELOAD },
    { "PUT", "/-/reload", H_RELOAD },
    { "POST", "/-/quit", H_QUIT },
    { "PUT", "/-/quit", H_QUIT },
    { "GET", "/-/healthy", H_HEALTHY },
    { "HEAD", "/-/healthy", H_HEALTHY },
    { "GET", "/-/ready", H_READY },
    { "HEAD", "/-/ready", H_READY },
    { "GET", "/api/v1/status", H_V1_GONE },
    { "GET", "/api/v1/receivers", H_V1_GONE },
    { "GET", "/api/v1/alerts", H_V1_GONE },
    { "POST", "/api/v1/alerts", H_V1_GONE },
    { "GET", "/api/v1/silences", H_V1_GONE },
    { "POST", "/api/v1/silences", H_V1_GONE },
    { "GET", "/api/v1/silence/:id", H_V1_GONE },
    { "DELETE", "/api/v1/silence/:id", H_V1_GONE },
    { "GET", "/debug/*path", H_DEBUG },
    { "POST", "/debug/*path", H_DEBUG },
};
/* Prometheus takes PUT for its lifecycle routes, Alertmanager does not: with the alert half alone those rows are absent. */
#define ROUTES_COUNT ARRAY_LEN(routes)

/* ---- the end of a request ---- */

static struct str method_label(struct arena *a, struct str method)
{
    char *p = arena_alloc(a, method.n);
    for (size_t i = 0; i < method.n; i++)
        p[i] = ascii_lower(method.p[i]);
    struct str lower = str_of(p, method.n);
    static const struct str known[] = { STR_INIT("get"), STR_INIT("post"), STR_INIT("put"), STR_INIT("head"),
                                        STR_INIT("delete"), STR_INIT("options"), STR_INIT("connect"),
                                        STR_INIT("patch"), STR_INIT("trace"), STR_INIT("notify") };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(lower, known[i]))
            return known[i];
    return STR("unknown");
}

static void measured_finish(struct api_call *call)
{
    struct web_call *c = container_of(call, struct web_call, call);
    struct web *w = c->web;
    if (c->handler.n) {
        struct str method = method_label(call->req->arena, call->req->method);
        struct str values[3] = { c->handler, method, arena_printf(call->req->arena, "%d", call->res->status) };
        histogram_observe(metric_vec_histogram(w->stats.duration, values), stopwatch_seconds(c->watch));
        if (!c->is_api)
            histogram_observe(metric_vec_histogram(w->stats.size, values), (double)call->res->body.n);
    }
    if (c->counted) {
        int left = atomic_fetch_sub(&w->gets, 1) - 1;
        gauge_set(&w->stats.in_flight, left);
    }
    c->finish(c);
}

void web_answer(struct web_call *c, int status, struct str content_type, struct str body)
{
    http_response_text(c->call.res, status, content_type, body);
    api_finish(&c->call);
}

static void answer_text(struct web_call *c, int status, struct str body)
{
    web_answer(c, status, STR("text/plain; charset=utf-8"), body);
}

static void answer_error(struct web_call *c, int status, struct str text)
{
    http_answer_error(c->call.res, status, text);
    api_finish(&c->call);
}

/* ---- handlers ---- */

/* A scraper on the other end of a wire says so; most of an exposition is the same few words. */
static void compress_if_asked(struct api_call *call)
{
    if (!http_token_list_has(http_request_header(call->req, STR("Accept-Encoding")), STR("gzip")))
        return;
    struct buf *body = &call->res->body, packed = { 0 };
    gzip_encode(buf_view(body), 1, &packed);
    buf_reset(body);
    buf_str(body, buf_view(&packed));
    buf_deinit(&packed);
    http_response_header(call->res, STR("Content-Encoding"), STR("gzip"));
}

static void metrics_done(struct api_ask *q)
{
    struct api_call *call = q->user;
    struct web_call *c = container_of(call, struct web_call, call);
    struct expfmt_choice choice = expfmt_negotiate(http_request_header(call->req, STR("Accept")));
    call->res->status = 200;
    http_response_set_header(call->res, STR("Content-Type"), choice.content_type);
    expfmt_write(&call->res->body, choice.format, c->web->registry);
    compress_if_asked(call);
    api_finish(call);
}

static void handle_metrics(struct web_call *c)
{
    if (c->call.api) {
        api_ask(&c->call, API_COLLECT, metrics_done);
        return;
    }
    c->call.ask.user = &c->call;
    metrics_done(&c->call.ask);
}

static void reload_done(struct api_ask *q)
{
    struct api_call *call = q->user;
    struct web_call *c = container_of(call, struct web_call, call);
    if (q->ok) {
        call->res->status = 200;
        api_finish(call);
        return;
    }
    struct str text = arena_printf(call->req->arena, "failed to reload config: %.*s", STR_ARG(err_text(&q->err)));
    answer_error(c, 500, text);
}

static void handle_reload(struct web_call *c)
{
    if (!c->web->lifecycle_open && !c->web->lifecycle_enabled) {
        answer_text(c, 403, STR("Lifecycle API is not enabled."));
        return;
    }
    c->call.api = c->web->control;
    api_ask(&c->call, API_RELOAD, reload_done);
}

static void handle_quit(struct web_call *c)
{
    if (!c->web->lifecycle_enabled) {
        answer_text(c, 403, STR("Lifecycle API is not enabled."));
        return;
    }
    struct web *w = c->web;
    answer_text(c, 200, STR("Requesting termination... Goodbye!"));
    w->quit(w->arg);
}

static void handle_ready(struct web_call *c)
{
    if (!c->web->ready(c->web->arg))
        answer_text(c, 503, STR("Service Unavailable"));
    else
        answer_text(c, 200, c->web->api ? STR("OK") : STR("Prometheus Server is Ready.\n"));
}

static void handle_front(struct web_call *c)
{
    struct web *w = c->web;
    struct arena *a = c->call.req->arena;
    http_response_set_header(c->call.res, STR("Cache-Control"), STR("no-cache, no-store, must-revalidate"));
    http_response_set_header(c->call.res, STR("Pragma"), STR("no-cache"));
    http_response_set_header(c->call.res, STR("Expires"), STR("0"));
    struct buf page = { 0 };
    buf_printf(&page, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>tocsin</title></head><body>\n"
                      "<h1>tocsin %.*s</h1>\n<ul>\n", STR_ARG(w->version));
    const char *prefix = arena_cstr(a, w->prefix);
    if (w->api)
        buf_printf(&page,
                   "<li>Alerts: <a href=\"%s/api/v2/alerts\">alerts</a>, <a href=\"%s/api/v2/alerts/groups\">groups</a>, "
                   "<a href=\"%s/api/v2/silences\">silences</a>, <a href=\"%s/api/v2/status\">status</a></li>\n",
                   prefix, prefix, prefix, prefix);
    if (w->prometheus.handle)
        buf_printf(&page,
                   "<li>Metrics: <a href=\"%s/api/v1/status/buildinfo\">build</a>, "
                   "<a href=\"%s/api/v1/status/tsdb\">store</a></li>\n", prefix, prefix);
    buf_printf(&page, "<li><a href=\"%s/metrics\">own metrics</a></li>\n</ul>\n</body></html>\n", prefix);
    web_answer(c, 200, STR("text/html; charset=utf-8"), buf_view(&page));
    buf_deinit(&page);
}

static void handle_route(struct web_call *c, const struct http_route_match *m)
{
    c->handler = str_c(m->route->pattern);
    switch ((enum handler)m->route->handler) {
    case H_METRICS:
        handle_metrics(c);
        return;
    case H_RELOAD:
        handle_reload(c);
        return;
    case H_QUIT:
        handle_quit(c);
        return;
    case H_HEALTHY:
        answer_text(c, 200, c->web->api ? STR("OK") : STR("Prometheus Server is Healthy.\n"));
        return;
    case H_READY:
        handle_ready(c);
        return;
    case H_FRONT:
        handle_front(c);
        return;
    case H_ICON:
    case H_DEBUG:
        http_answer_not_found(c->call.res);
        api_finish(&c->call);
        return;
    case H_V1_GONE:
        web_answer(c, 410, STR("application/json"),
                   STR("{\"status\":\"deprecated\",\"error\":\"The Alertmanager v1 API was deprecated in version 0.16.0 and "
                       "is removed as of version 0.27.0 - please use the equivalent route in the v2 API\"}\n"));
        return;
    }
}

/* ---- the API's door ---- */

static struct str api_handler_label(struct str path)
{
    static const char *const known[] = { "/api/v2/alerts", "/api/v2/alerts/groups", "/api/v2/receivers",
                                         "/api/v2/silences", "/api/v2/status" };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(path, str_c(known[i])))
            return str_c(known[i]);
    return str_starts(path, STR("/api/v2/silence/")) ? STR("/api/v2/silence/{silenceID}") : STR_EMPTY;
}

static bool take_get_slot(struct web_call *c)
{
    struct web *w = c->web;
    int now = atomic_fetch_add(&w->gets, 1) + 1;
    if (now > w->get_limit) {
        atomic_fetch_sub(&w->gets, 1);
        counter_add_shared(&w->stats.limit_exceeded, 1);
        struct str text = arena_printf(c->call.req->arena,
                                       "Limit of concurrent GET requests reached (%d), try again later.\n", w->get_limit);
        answer_error(c, 503, text);
        return false;
    }
    gauge_set(&w->stats.in_flight, now);
    c->counted = true;
    return true;
}

static void handle_api(struct web_call *c, struct str path)
{
    c->is_api = true;
    c->handler = api_handler_label(path);
    if (str_eq(c->call.req->method, STR("GET")) && !take_get_slot(c))
        return;
    api_v2_handle(&c->call, str_from(path, strlen("/api/v2")));
}

/* Below the prefix; *path is then what the routes see. False: answered here. */
static bool strip_prefix(struct web_call *c, struct str *path)
{
    struct web *w = c->web;
    struct str p = c->call.req->path;
    *path = p;
    if (w->prefix.n == 0)
        return true;
    if (str_eq(p, STR("/"))) {
        http_answer_redirect(c->call.res, c->call.req, w->prefix, 302);
        api_finish(&c->call);
        return false;
    }
    if (str_eq(p, w->prefix)) {
        http_answer_redirect(c->call.res, c->call.req, arena_printf(c->call.req->arena, "%.*s/", STR_ARG(w->prefix)), 301);
        api_finish(&c->call);
        return false;
    }
    if (str_starts(p, w->prefix) && p.p[w->prefix.n] == '/') {
        *path = str_from(p, w->prefix.n);
        return true;
    }
    http_answer_not_found(c->call.res);
    api_finish(&c->call);
    return false;
}

/* Go's ServeMux leads a path with empty, . or .. elements to the one that is meant. */
static bool is_clean(struct web_call *c, struct str *cleaned)
{
    struct arena *a = c->call.req->arena;
    struct str path = c->call.req->path;
    if (path.n == 0 || path.p[0] != '/' || str_eq(c->call.req->method, STR("CONNECT")))
        return true;
    *cleaned = http_path_clean(a, path);
    if (cleaned->n > 1 && path.p[path.n - 1] == '/')
        *cleaned = arena_printf(a, "%.*s/", STR_ARG(*cleaned));
    return str_eq(*cleaned, path);
}

static void lead_to(struct web_call *c, struct str path)
{
    const struct http_request *req = c->call.req;
    struct str to = arena_printf(req->arena, "%.*s%s%.*s", STR_ARG(path), req->query.n ? "?" : "", STR_ARG(req->query));
    http_answer_redirect(c->call.res, req, to, 301);
    api_finish(&c->call);
}

/* The Alertmanager half alone knows no PUT on its lifecycle routes and no /-/quit; the Prometheus half has no v1 notice. */
static size_t active_routes(const struct web *w, struct http_route *out)
{
    size_t n = 0;
    for (size_t i = 0; i < ROUTES_COUNT; i++) {
        bool put = str_eq(str_c(routes[i].method), STR("PUT"));
        if ((put || routes[i].handler == H_QUIT) && !w->prometheus.handle && !w->lifecycle_enabled)
            continue;
        if (routes[i].handler == H_V1_GONE && (w->prometheus.handle || !w->api))
            continue;
        out[n++] = routes[i];
    }
    return n;
}

void web_handle(struct web *w, struct web_call *c)
{
    struct str path;
    c->web = w;
    c->watch = stopwatch_start();
    c->call.api = w->api;
    c->call.finish = measured_finish;
    if (!is_clean(c, &path)) {
        lead_to(c, path);
        return;
    }
    if (!strip_prefix(c, &path))
        return;
    if (w->api && str_starts(path, STR("/api/v2/"))) {
        handle_api(c, path);
        return;
    }
    if (w->api && str_eq(path, STR("/api/v2"))) {
        http_answer_redirect(c->call.res, c->call.req,
                             arena_printf(c->call.req->arena, "%.*s/api/v2/", STR_ARG(w->prefix)), 301);
        api_finish(&c->call);
        return;
    }
    struct http_route active[ROUTES_COUNT];
    struct http_route_match m;
    size_t n = active_routes(w, active);
    enum http_route_result found = http_route(active, n, c->call.req->method, path, c->call.req->arena, &m);
    if (found == HTTP_ROUTE_FOUND) {
        handle_route(c, &m);
        return;
    }
    if (w->prometheus.handle && found == HTTP_ROUTE_NOT_FOUND) {
        w->prometheus.handle(w->prometheus.arg, c, path);
        return;
    }
    http_answer_unrouted(c->call.res, c->call.req, found, &m);
    api_finish(&c->call);
}
