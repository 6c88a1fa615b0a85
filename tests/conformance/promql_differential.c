/* Recorded answers of a real server: the data goes into a store in memory, each query through the HTTP API's handlers, and the
 * body is compared as check_queries.py compares it: values within a relative tolerance, label sets and times exactly. */
#include "api/v1.h"
#include "base/num.h"
#include "http/url.h"
#include "lib/shared.h"
#include "storage/memory.h"
#include "wire/gzip.h"

#include <math.h>
#include <stdio.h>

#define DATA_BYTES_MAX ((size_t)256 << 20)
#define RELATIVE       1e-9
#define ABSOLUTE       1e-14

/* Series text up to the closing brace, then value and seconds. */
static bool load_line(struct arena *a, struct appender *ap, struct str line)
{
    size_t end = str_rfind_byte(line, '}');
    struct labels ls;
    struct err err = { 0 };
    double v, t;
    series_ref ref = 0;
    end = end == STR_NPOS ? str_find_byte(line, ' ') : end + 1;
    struct str rest = str_trim(str_from(line, end)), value;
    if (!str_split(&rest, ' ', &value) || !promql_parse_metric(a, str_sub(line, 0, end), &ls, &err))
        return false;
    bool range;
    if ((!num_parse_f64(value, &v, &range) && !range) || !num_parse_f64(str_trim(rest), &t, NULL))
        return false;
    return append_sample(ap, &ref, &ls, (int64_t)llround(t * 1000), isnan(v) ? normal_nan() : v) == APPEND_OK;
}

static bool load(struct storage *st)
{
    struct buf packed = { 0 }, text = { 0 };
    struct err err = { 0 };
    struct appender *ap;
    struct arena a;
    if (!shared_read("conformance/promql/differential/data.om.gz", &packed))
        return false;
    bool ok = gzip_decode(buf_view(&packed), DATA_BYTES_MAX, &text, &err) && storage_appender(st, NULL, &ap, &err);
    struct str rest = buf_view(&text), line;
    arena_init(&a, ARENA_NO_LIMIT);
    while (ok && str_split(&rest, '\n', &line)) {
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (!load_line(&a, ap, line)) {
            shared_fail("data.om.gz", "cannot load %.*s", STR_ARG(line));
            ok = false;
        }
        arena_reset(&a);
    }
    ok = ok && append_commit(ap, &err);
    arena_deinit(&a);
    buf_deinit(&packed);
    buf_deinit(&text);
    return ok;
}

/* ---- comparing ---- */

static double number_of(const json_t *v)
{
    double x = NAN;
    bool range;
    if (json_is_string(v))
        (void)!num_parse_f64(str_c(json_string_value(v)), &x, &range);
    return x;
}
static bool values_fit(double want, double got, double rel, double abs)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (want == got)
        return true;
    if (isinf(want) || isinf(got))
        return false;
    double d = fabs(want - got), m = fabs(want) > fabs(got) ? fabs(want) : fabs(got);
    return d <= abs || d <= rel * m;
}
static bool points_fit(const json_t *want, const json_t *got, double rel, double abs)
{
    return llround(json_number_value(json_array_get(want, 0)) * 1000) == llround(json_number_value(json_array_get(got, 0)) * 1000) &&
           values_fit(number_of(json_array_get(want, 1)), number_of(json_array_get(got, 1)), rel, abs);
}
static bool series_fit(const json_t *want, const json_t *got, double rel, double abs)
{
    const json_t *wv = json_object_get(want, "value"), *ws = json_object_get(want, "values");
    const json_t *gv = json_object_get(got, "value"), *gs = json_object_get(got, "values");
    if (wv)
        return gv && points_fit(wv, gv, rel, abs);
    if (json_array_size(ws) != json_array_size(gs))
        return false;
    for (size_t i = 0; i < json_array_size(ws); i++)
        if (!points_fit(json_array_get(ws, i), json_array_get(gs, i), rel, abs))
            return false;
    return true;
}

static const char *differs(const json_t *record, const json_t *want, const json_t *got)
{
    double rel = json_number_value(json_object_get(record, "rel_tol")), abs = json_number_value(json_object_get(record, "abs_tol"));
    rel = rel > RELATIVE ? rel : RELATIVE;
    abs = abs > ABSOLUTE ? abs : ABSOLUTE;
    const json_t *w = json_object_get(want, "result"), *g = json_object_get(got, "result");
    struct str type = shared_get_str(want, "resultType");
    if (!str_eq(type, shared_get_str(got, "resultType")))
        return "another type";
    if (str_eq(type, STR("scalar")))
        return points_fit(w, g, rel, abs) ? NULL : "another scalar";
    if (str_eq(type, STR("string")))
        return json_equal(json_array_get(w, 1), json_array_get(g, 1)) ? NULL : "another string";
    if (json_array_size(w) != json_array_size(g))
        return "another number of series";
    bool ordered = shared_get_bool(record, "ordered", false);
    for (size_t i = 0; i < json_array_size(w); i++) {
        const json_t *ws = json_array_get(w, i), *gs = NULL;
        for (size_t k = 0; k < json_array_size(g) && !gs; k++)
            if (json_equal(json_object_get(ws, "metric"), json_object_get(json_array_get(g, k), "metric")))
                gs = !ordered || k == i ? json_array_get(g, k) : NULL;
        if (!gs)
            return ordered ? "a series is missing or in another place" : "a series is missing";
        if (!series_fit(ws, gs, rel, abs))
            return "a value differs";
    }
    return NULL;
}

/* ---- running ---- */

static void add_param(struct buf *q, const json_t *record, const char *key)
{
    struct str v = shared_get_str(record, key);
    if (!v.p)
        return;
    buf_printf(q, "%s%s=", q->n ? "&" : "", key);
    for (size_t i = 0; i < v.n; i++)
        buf_printf(q, "%%%02X", (unsigned)(unsigned char)v.p[i]);
}

static void run_case(const json_t *record, size_t line, void *arg)
{
    struct api_v1 *v = arg;
    struct arena a;
    struct buf query = { 0 }, body = { 0 };
    struct http_response res = { 0 };
    struct api_v1_job *job;
    (void)line;
    arena_init(&a, ARENA_NO_LIMIT);
    static const char *const keys[] = { "query", "time", "start", "end", "step" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        add_param(&query, record, keys[i]);
    const struct http_request req = { .method = STR("GET"), .query = buf_view(&query), .arena = &a };
    bool range = str_eq(shared_get_str(record, "type"), STR("range"));
    bool ours = api_v1_begin(v, &req, &res, range ? STR("/query_range") : STR("/query"), 0, &job);
    ASSERT(ours);
    if (job) {
        api_v1_run(job);
        api_v1_release(job);
    }
    bool done = res.pull == NULL;
    buf_str(&body, buf_view(&res.body));
    while (!done) {
        struct buf piece = { 0 };
        if (!res.pull(res.pull_arg, &piece, &done))
            break;
        buf_str(&body, buf_view(&piece));
        buf_deinit(&piece);
    }
    if (res.pull_end)
        res.pull_end(res.pull_arg);
    json_error_t je;
    json_t *got = json_loadb(body.p ? body.p : "", body.n, 0, &je);
    const json_t *want = json_object_get(record, "expect");
    struct str type = shared_get_str(want, "errorType"), id = shared_get_str(record, "id"), text = shared_get_str(record, "query");
    const char *why = NULL;
    if (!got)
        why = "no JSON";
    else if (type.p)
        why = str_eq(type, shared_get_str(got, "errorType")) && res.status == shared_get_int(want, "httpStatus", 0) ? NULL : "not that error";
    else if (!json_object_get(got, "data"))
        why = "an error";
    else
        why = differs(record, want, json_object_get(got, "data"));
    if (why)
        shared_fail(id.p, "%.*s: %s: %.*s", STR_ARG(text), why, (int)(body.n > 300 ? 300 : body.n), body.p ? body.p : "");
    else
        shared_pass();
    json_decref(got);
    buf_deinit(&res.body);
    buf_deinit(&body);
    buf_deinit(&query);
    arena_deinit(&a);
}

int main(void)
{
    if (!shared_begin("promql_differential"))
        return shared_finish();
    struct api_v1 v = { .storage = memory_storage_new(), .features = PROMQL_EXPERIMENTAL_FUNCTIONS };
    if (load(v.storage))
        shared_jsonl("conformance/promql/differential/queries.jsonl", run_case, &v);
    memory_storage_free(v.storage);
    return shared_finish();
}
