/* A table of paths; each handler fills the response at once: nothing here waits. */
#include "api/store_api.h"

#include "api/time_param.h"
#include "base/num.h"
#include "base/utf8.h"
#include "http/header.h"
#include "http/router.h"
#include "json/writer.h"
#include "promql/promql.h"
#include "wire/snappy.h"

#define STATUS_LIMIT     10
#define STATUS_LIMIT_MAX 10000

struct store_call {
    struct store_api *s;
    const struct http_request *req;
    struct http_response *res;
    struct wire_time now;
};

/* ---- answers ---- */

static void begin(struct json_writer *w, struct buf *out)
{
    json_writer_init(w, out);
    jw_object(w);
    jw_kv(w, STR("status"), STR("success"));
    jw_key(w, STR("data"));
}

static void finish(struct store_call *c, struct json_writer *w)
{
    jw_object_end(w);
    c->res->status = 200;
    http_response_set_header(c->res, STR("Content-Type"), STR("application/json"));
}

void store_api_error(struct http_response *res, int status, struct str type, struct str text)
{
    struct buf body = { 0 };
    struct json_writer w;
    json_writer_init(&w, &body);
    jw_object(&w);
    jw_kv(&w, STR("status"), STR("error"));
    jw_kv(&w, STR("errorType"), type);
    jw_kv(&w, STR("error"), text);
    jw_object_end(&w);
    http_response_text(res, status, STR("application/json"), buf_view(&body));
    buf_deinit(&body);
}

/* ---- remote write ---- */

static bool content_accepted(struct store_call *c)
{
    struct str type = http_request_header(c->req, STR("Content-Type"));
    struct str encoding = http_request_header(c->req, STR("Content-Encoding"));
    struct http_media_type media;
    struct err err = { 0 };
    if (encoding.n && !str_eq(encoding, STR("snappy"))) {
        http_answer_error(c->res, 415, arena_printf(c->req->arena, "%.*s encoding (compression) is not accepted by this server, only snappy is acceptable", STR_ARG(encoding)));
        return false;
    }
    if (type.n == 0)
        return true;
    bool ok = http_media_type_parse(c->req->arena, type, &media, &err) &&
              str_eq(media.type, STR("application/x-protobuf"));
    struct str proto = ok ? http_media_param(&media, STR("proto")) : STR_EMPTY;
    if (ok && (proto.n == 0 || str_eq(proto, STR("prometheus.WriteRequest"))))
        return true;
    http_answer_error(c->res, 415,
                      ok ? arena_printf(c->req->arena, "%.*s protobuf message is not accepted by this server; only accepts [prometheus.WriteRequest]", STR_ARG(proto))
                         : arena_printf(c->req->arena, "expected application/x-protobuf as the first (media) part, got %.*s content-type", STR_ARG(type)));
    return false;
}

static void post_write(struct store_call *c)
{
    if (!c->s->receive_enabled) {
        store_api_error(c->res, 404, STR("not_found"),
                        STR("remote write receiver needs to be enabled with --web.enable-remote-write-receiver"));
        return;
    }
    if (!content_accepted(c))
        return;
    struct buf message = { 0 };
    struct err err = { 0 };
    int status = 400;
    if (snappy_decode(c->req->body, REMOTE_WRITE_BYTES_MAX, &message, &err))
        status = remote_receive(c->req->arena, buf_view(&message), tsdb_storage(c->s->db), wire_time_to_ms(c->now),
                                &c->s->stats, &err);
    buf_deinit(&message);
    if (status == 204)
        c->res->status = 204;
    else
        http_answer_error(c->res, status, arena_str(c->req->arena, err_text(&err)));
}

/* ---- status ---- */

static void get_buildinfo(struct store_call *c)
{
    struct json_writer w;
    begin(&w, &c->res->body);
    jw_object(&w);
    jw_kv(&w, STR("version"), c->s->version);
    jw_kv(&w, STR("revision"), c->s->revision);
    jw_kv(&w, STR("branch"), STR("HEAD"));
    jw_kv(&w, STR("buildUser"), STR_EMPTY);
    jw_kv(&w, STR("buildDate"), STR_EMPTY);
    jw_kv(&w, STR("goVersion"), STR_EMPTY);
    jw_object_end(&w);
    finish(c, &w);
}

static void get_flags(struct store_call *c)
{
    struct json_writer w;
    begin(&w, &c->res->body);
    jw_object(&w);
    for (size_t i = 0; i < c->s->flags_count; i++)
        jw_kv(&w, c->s->flags[i].name, c->s->flags[i].value);
    jw_object_end(&w);
    finish(c, &w);
}

static void write_time(struct json_writer *w, struct str key, struct wire_time t)
{
    jw_key(w, key);
    buf_byte(w->out, '"');
    rfc3339_write_nano(w->out, t, 0);
    buf_byte(w->out, '"');
    w->need_comma = true;
}

static void get_runtimeinfo(struct store_call *c)
{
    struct json_writer w;
    begin(&w, &c->res->body);
    jw_object(&w);
    write_time(&w, STR("startTime"), c->s->started);
    jw_kv(&w, STR("CWD"), c->s->cwd);
    jw_kv(&w, STR("hostname"), c->s->hostname);
    write_time(&w, STR("serverTime"), c->now);
    jw_key(&w, STR("reloadConfigSuccess"));
    jw_bool(&w, true);
    write_time(&w, STR("lastConfigTime"), c->s->started);
    jw_key(&w, STR("corruptionCount"));
    jw_i64(&w, 0);
    jw_key(&w, STR("goroutineCount"));
    jw_i64(&w, 0);
    jw_key(&w, STR("GOMAXPROCS"));
    jw_i64(&w, 0);
    jw_key(&w, STR("GOMEMLIMIT"));
    jw_i64(&w, 0);
    jw_kv(&w, STR("GOGC"), STR_EMPTY);
    jw_kv(&w, STR("GODEBUG"), STR_EMPTY);
    jw_kv(&w, STR("storageRetention"), c->s->retention);
    jw_object_end(&w);
    finish(c, &w);
}

static void write_counts(struct json_writer *w, const char *key, const struct tsdb_count *v, size_t n)
{
    jw_key(w, str_c(key));
    jw_array(w);
    for (size_t i = 0; i < n; i++) {
        jw_object(w);
        jw_kv(w, STR("name"), v[i].name);
        jw_key(w, STR("value"));
        jw_u64(w, v[i].value);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void get_tsdb(struct store_call *c)
{
    struct http_params ps;
    int64_t limit = STATUS_LIMIT;
    http_params_parse(c->req->arena, c->req->query, &ps);
    struct str text = http_param_get(&ps, STR("limit"));
    if (text.n && (!num_parse_i64(text, 10, &limit) || limit < 1 || limit > STATUS_LIMIT_MAX)) {
        store_api_error(c->res, 400, STR("bad_data"), STR("limit must be a positive number not greater than 10000"));
        return;
    }
    struct tsdb_status st = { 0 };
    struct json_writer w;
    tsdb_status(c->s->db, (size_t)limit, c->req->arena, &st);
    begin(&w, &c->res->body);
    jw_object(&w);
    jw_key(&w, STR("headStats"));
    jw_object(&w);
    jw_key(&w, STR("numSeries"));
    jw_u64(&w, st.series);
    jw_key(&w, STR("numLabelPairs"));
    jw_u64(&w, st.label_pairs);
    jw_key(&w, STR("chunkCount"));
    jw_u64(&w, st.chunks);
    jw_key(&w, STR("minTime"));
    jw_i64(&w, st.mint);
    jw_key(&w, STR("maxTime"));
    jw_i64(&w, st.maxt);
    jw_object_end(&w);
    write_counts(&w, "seriesCountByMetricName", st.series_by_metric, st.series_by_metric_count);
    write_counts(&w, "labelValueCountByLabelName", st.values_by_label, st.values_by_label_count);
    write_counts(&w, "memoryInBytesByLabelName", st.bytes_by_label, st.bytes_by_label_count);
    write_counts(&w, "seriesCountByLabelValuePair", st.series_by_pair, st.series_by_pair_count);
    jw_object_end(&w);
    finish(c, &w);
}

static void get_blocks(struct store_call *c)
{
    struct json_writer w;
    struct strs metas = tsdb_block_metas(c->s->db, c->req->arena);
    begin(&w, &c->res->body);
    jw_object(&w);
    jw_key(&w, STR("blocks"));
    jw_array(&w);
    for (size_t i = 0; i < metas.n; i++)
        jw_raw(&w, metas.v[i]);
    jw_array_end(&w);
    jw_object_end(&w);
    finish(c, &w);
}

/* ---- administration ---- */

static bool admin_open(struct store_call *c)
{
    if (!c->s->admin_enabled)
        store_api_error(c->res, 500, STR("unavailable"), STR("admin APIs disabled"));
    return c->s->admin_enabled;
}

static void post_clean(struct store_call *c)
{
    struct err err = { 0 };
    if (!admin_open(c))
        return;
    if (tsdb_clean_tombstones(c->s->db, wire_time_to_ms(c->now), &err))
        c->res->status = 204;
    else
        store_api_error(c->res, 500, STR("internal"), err_text(&err));
}

/* A parameter of the query or, with POST, of a form. */
static void read_params(const struct store_call *c, struct http_params *out)
{
    const struct http_request *req = c->req;
    struct http_params query, body = { 0 };
    http_params_parse(req->arena, req->query, &query);
    if (str_eq(req->method, STR("POST")) &&
        str_starts(http_request_header(req, STR("Content-Type")), STR("application/x-www-form-urlencoded")))
        http_params_parse(req->arena, req->body, &body);
    out->v = arena_alloc_array(req->arena, body.n + query.n + 1, sizeof *out->v);
    out->n = body.n + query.n;
    for (size_t i = 0; i < out->n; i++)
        out->v[i] = i < body.n ? body.v[i] : query.v[i - body.n];
}

static bool time_param(struct store_call *c, const struct http_params *ps, struct str name, wall_ms *ms)
{
    struct str s = http_param_get(ps, name);
    if (s.n == 0 || api_time_parse(s, ms))
        return true;
    struct buf q = { 0 };
    go_quote(&q, s);
    store_api_error(c->res, 400, STR("bad_data"),
                    arena_printf(c->req->arena,
                                 "invalid parameter \"%.*s\": invalid time value for '%.*s': cannot parse %.*s to a valid timestamp",
                                 STR_ARG(name), STR_ARG(name), STR_ARG(buf_view(&q))));
    buf_deinit(&q);
    return false;
}

static void delete_matching(struct store_call *c, const struct http_params *ps, struct matchers *sets, wall_ms mint, wall_ms maxt)
{
    struct err err = { 0 };
    size_t n = 0;
    bool parsed = true;
    for (size_t i = 0; parsed && i < ps->n; i++) {
        if (str_eq(ps->v[i].name, STR("match[]"))) {
            parsed = promql_parse_selector(c->req->arena, ps->v[i].value, &sets[n], &err);
            n += parsed;
        }
    }
    if (!parsed)
        err_wrap(&err, "invalid parameter \"match[]\"");
    bool ok = parsed && tsdb_delete(c->s->db, sets, n, mint, maxt, &err);
    for (size_t i = 0; i < n; i++)
        matchers_deinit(&sets[i]);
    if (ok)
        c->res->status = 204;
    else
        store_api_error(c->res, parsed ? 500 : 400, parsed ? STR("internal") : STR("bad_data"), err_text(&err));
}

static void post_delete(struct store_call *c)
{
    struct http_params ps;
    wall_ms mint = API_TIME_MIN, maxt = API_TIME_MAX;
    if (!admin_open(c))
        return;
    read_params(c, &ps);
    if (!http_param_has(&ps, STR("match[]"))) {
        store_api_error(c->res, 400, STR("bad_data"), STR("no match[] parameter provided"));
        return;
    }
    if (time_param(c, &ps, STR("start"), &mint) && time_param(c, &ps, STR("end"), &maxt))
        delete_matching(c, &ps, arena_alloc_array(c->req->arena, ps.n, sizeof(struct matchers)), mint, maxt);
}

static void post_snapshot(struct store_call *c)
{
    struct err err = { 0 };
    struct http_params ps;
    struct buf name = { 0 };
    if (!admin_open(c))
        return;
    read_params(c, &ps);
    bool skip = str_eq(http_param_get(&ps, STR("skip_head")), STR("true"));
    if (tsdb_snapshot(c->s->db, wire_time_to_ms(c->now), skip, &name, &err)) {
        struct json_writer w;
        begin(&w, &c->res->body);
        jw_object(&w);
        jw_kv(&w, STR("name"), buf_view(&name));
        jw_object_end(&w);
        finish(c, &w);
    } else {
        store_api_error(c->res, 500, STR("internal"), err_text(&err));
    }
    buf_deinit(&name);
}

static const struct {
    const char *method, *path;
    void (*handle)(struct store_call *c);
} endpoints[] = {
    { "POST", "/write", post_write },
    { "GET", "/status/buildinfo", get_buildinfo },
    { "GET", "/status/flags", get_flags },
    { "GET", "/status/runtimeinfo", get_runtimeinfo },
    { "GET", "/status/tsdb", get_tsdb },
    { "GET", "/status/tsdb/blocks", get_blocks },
    { "POST", "/admin/tsdb/delete_series", post_delete },
    { "PUT", "/admin/tsdb/delete_series", post_delete },
    { "POST", "/admin/tsdb/clean_tombstones", post_clean },
    { "PUT", "/admin/tsdb/clean_tombstones", post_clean },
    { "POST", "/admin/tsdb/snapshot", post_snapshot },
    { "PUT", "/admin/tsdb/snapshot", post_snapshot },
};

bool store_api_handle(struct store_api *s, const struct http_request *req, struct http_response *res, struct str path,
                      struct wire_time now)
{
    struct store_call c = { .s = s, .req = req, .res = res, .now = now };
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
        if (!str_eq(path, str_c(endpoints[i].path)))
            continue;
        known = true;
        if (str_eq(req->method, str_c(endpoints[i].method))) {
            endpoints[i].handle(&c);
            return true;
        }
    }
    if (known)
        http_answer_no_method(res, STR("GET, OPTIONS, POST, PUT"));
    return known;
}
