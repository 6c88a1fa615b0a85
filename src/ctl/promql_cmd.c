/* promtool's `query` verbs and the runner of PromQL test scripts. A query goes to a server's API, or with --storage.tsdb.path
 * straight to a data directory, which is opened read-only. Both end in the same table of samples, printed as promtool prints
 * them (Go's model.Value.String) or as JSON. */
#include "ctl/ctl.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "io/clock_io.h"
#include "io/fs_posix.h"
#include "json/writer.h"
#include "model/duration.h"
#include "promql/promql.h"
#include "promql/testscript.h"
#include "tsdb/tsdb.h"

#include <math.h>
#include <stdlib.h>

#define SCRIPT_BYTES_MAX ((size_t)64 << 20)
#define FEATURES         (PROMQL_EXPERIMENTAL_FUNCTIONS | PROMQL_EXTENDED_RANGES | PROMQL_FILL_MODIFIERS)

/* ---- test promql ---- */

int ctl_test_promql(void *program)
{
    struct ctl *c = program;
    bool all = true;
    for (size_t i = 0; i < c->f.test_files.n; i++) {
        struct str path = c->f.test_files.v[i];
        struct buf text = { 0 }, report = { 0 };
        struct testscript_counts counts = { 0 };
        struct err err = { 0 };
        if (!ctl_read_file(path, &text, &c->err)) {
            buf_deinit(&text);
            return ctl_fail(c);
        }
        bool ran = testscript_run(buf_view(&text), &report, &counts, &err);
        struct str rest = buf_view(&report), line;
        while (rest.n && str_split(&rest, '\n', &line))
            if (line.n)
                buf_printf(&c->out, "%.*s: %.*s\n", STR_ARG(path), STR_ARG(line));
        if (!ran)
            buf_printf(&c->out, "%.*s: %s\n", STR_ARG(path), err.text);
        buf_printf(&c->out, "%.*s: %zu passed, %zu failed%s\n", STR_ARG(path), counts.passed, counts.failed,
                   ran ? "" : ", not read to its end");
        all &= ran && counts.failed == 0;
        buf_deinit(&text);
        buf_deinit(&report);
    }
    return all ? 0 : 1;
}

/* ---- arguments ---- */

static bool parse_time(struct ctl *c, struct str s, const char *what, wall_ms fallback, wall_ms *ms)
{
    double v;
    struct wire_time t;
    int32_t offset;
    *ms = fallback;
    if (s.n == 0)
        return true;
    if (num_parse_f64(s, &v, NULL) && fabs(v) < 1e15) {
        *ms = (wall_ms)llround(v * 1000);
        return true;
    }
    if (rfc3339_parse(s, &t, &offset)) {
        *ms = wire_time_to_ms(t);
        return true;
    }
    return err_set(&c->err, ERR_INVALID, "error parsing %s time: cannot parse \"%.*s\" to a valid timestamp", what, STR_ARG(s));
}

struct query {
    struct str server, text; /* server empty: the data directory */
    bool is_range;
    wall_ms start, end;
    int64_t step_ms;
};

/* <server> <expr>, or <expr> alone with a data directory. */
static bool read_arguments(struct ctl *c, const char *second, struct query *q)
{
    const struct str_list *args = &c->f.queries;
    size_t want = c->f.tsdb_path.n ? 1 : 2;
    *q = (struct query){ .is_range = false };
    if (args->n < want)
        return err_set(&c->err, ERR_INVALID, "required argument '%s' not provided", args->n + 1 == want ? second : "server");
    if (args->n > want)
        return err_set(&c->err, ERR_INVALID, "unexpected %.*s", STR_ARG(args->v[want]));
    q->server = want == 2 ? args->v[0] : STR_EMPTY;
    q->text = args->v[want - 1];
    if (want == 2 && !str_contains(q->server, STR("://")))
        q->server = arena_printf(c->arena, "http://%.*s", STR_ARG(q->server));
    return true;
}

/* ---- printing ---- */

static bool wants_json(const struct ctl *c)
{
    return str_eq(c->f.format, STR("json")) || str_eq(c->f.output, STR("json"));
}

static void write_seconds(struct buf *out, int64_t ms)
{
    num_write_f64(out, (double)ms / 1000, 'f', -1);
}

/* name{a="b", c="d"} */
static void write_metric(struct buf *out, struct labels ls)
{
    struct str name = labels_get(ls, STR("__name__"));
    size_t n = 0;
    buf_str(out, name);
    for (size_t i = 0; i < ls.n; i++) {
        if (str_eq(ls.v[i].name, STR("__name__")))
            continue;
        buf_c(out, n++ ? ", " : "{");
        buf_str(out, ls.v[i].name);
        buf_byte(out, '=');
        go_quote(out, ls.v[i].value);
    }
    buf_c(out, n ? "}" : name.n ? "" : "{}");
}

static void write_sample(struct buf *out, const struct promql_series *s, size_t i, bool histogram)
{
    if (histogram)
        float_histogram_write(out, s->h[i]);
    else
        num_write_f64(out, s->v[i], 'f', -1);
    buf_c(out, " @[");
    write_seconds(out, histogram ? s->ht[i] : s->t[i]);
    buf_byte(out, ']');
}

static void print_text(struct buf *out, const struct promql_result *r)
{
    if (r->type == PROMQL_STRING) {
        buf_str(out, r->string);
    } else if (r->type == PROMQL_SCALAR) {
        buf_c(out, "scalar: ");
        num_write_f64(out, r->scalar, 'f', -1);
        buf_c(out, " @[");
        write_seconds(out, r->t);
        buf_byte(out, ']');
    }
    for (size_t i = 0; i < r->n; i++) {
        const struct promql_series *s = &r->series[i];
        bool vector = r->type == PROMQL_VECTOR;
        if (i)
            buf_byte(out, '\n');
        write_metric(out, s->labels);
        buf_c(out, " =>");
        for (size_t k = 0; k < s->n; k++) {
            buf_byte(out, vector ? ' ' : '\n');
            write_sample(out, s, k, false);
        }
        for (size_t k = 0; k < s->hn; k++) {
            buf_byte(out, vector ? ' ' : '\n');
            write_sample(out, s, k, true);
        }
    }
    buf_byte(out, '\n');
}

static void json_point(struct buf *out, const struct promql_series *s, size_t i, bool histogram)
{
    buf_byte(out, '[');
    write_seconds(out, histogram ? s->ht[i] : s->t[i]);
    buf_byte(out, ',');
    if (histogram) {
        promql_write_histogram(out, s->h[i]);
    } else {
        buf_byte(out, '"');
        promql_write_value(out, s->v[i]);
        buf_byte(out, '"');
    }
    buf_byte(out, ']');
}

static void json_points(struct buf *out, const struct promql_series *s, bool histogram, bool vector)
{
    size_t n = histogram ? s->hn : s->n;
    if (n == 0)
        return;
    buf_c(out, histogram ? (vector ? ",\"histogram\":" : ",\"histograms\":[") : vector ? ",\"value\":" : ",\"values\":[");
    for (size_t k = 0; k < n; k++) {
        if (k)
            buf_byte(out, ',');
        json_point(out, s, k, histogram);
    }
    if (!vector)
        buf_byte(out, ']');
}

static void json_labels(struct buf *out, struct labels ls)
{
    struct json_writer w;
    json_writer_init(&w, out);
    labels_write_json(&w, ls);
}

static void print_json(struct buf *out, const struct promql_result *r)
{
    bool vector = r->type == PROMQL_VECTOR;
    buf_byte(out, '[');
    if (r->type == PROMQL_STRING || r->type == PROMQL_SCALAR) {
        struct json_writer w;
        struct buf value = { 0 };
        write_seconds(out, r->t);
        buf_byte(out, ',');
        if (r->type == PROMQL_SCALAR)
            promql_write_value(&value, r->scalar);
        else
            buf_str(&value, r->string);
        json_writer_init(&w, out);
        jw_str(&w, buf_view(&value));
        buf_deinit(&value);
    }
    for (size_t i = 0; i < r->n; i++) {
        const struct promql_series *s = &r->series[i];
        buf_c(out, i ? ",{\"metric\":" : "{\"metric\":");
        json_labels(out, s->labels);
        json_points(out, s, false, vector);
        json_points(out, s, true, vector);
        buf_byte(out, '}');
    }
    buf_c(out, "]\n");
}

static void print_result(struct ctl *c, const struct promql_result *r)
{
    if (wants_json(c))
        print_json(&c->out, r);
    else
        print_text(&c->out, r);
}

/* ---- a data directory ---- */

static bool open_directory(struct ctl *c, struct tsdb **db)
{
    const struct tsdb_options o = { .fs = fs_posix(), .dir = c->f.tsdb_path, .read_only = true, .no_lock = true };
    return tsdb_open(&o, clock_wall_ms(), db, &c->err);
}

static bool query_directory(struct ctl *c, const struct query *q)
{
    struct tsdb *db;
    struct promql_result *r = NULL;
    struct promql_expr *e = promql_parse(q->text, FEATURES, &c->err);
    if (!e)
        return false;
    bool ok = open_directory(c, &db);
    if (ok) {
        const struct promql_run run = { .storage = tsdb_storage(db), .start_ms = q->start, .end_ms = q->end, .step_ms = q->step_ms,
                                        .is_range = q->is_range, .features = FEATURES };
        ok = promql_run(e, &run, &r, &c->err);
        if (ok)
            print_result(c, r);
        promql_result_free(r);
        tsdb_close(db);
    }
    promql_expr_free(e);
    return ok;
}

/* ---- a server ---- */

static void form_add(struct ctl *c, struct str *form, const char *name, struct str value)
{
    struct buf b = { 0 };
    buf_str(&b, *form);
    buf_printf(&b, "%s%s=", form->n ? "&" : "", name);
    for (size_t i = 0; i < value.n; i++) {
        unsigned char ch = (unsigned char)value.p[i];
        if (ascii_is_alnum(value.p[i]) || ch == '_' || ch == '.')
            buf_byte(&b, value.p[i]);
        else
            buf_printf(&b, "%%%02X", (unsigned)ch);
    }
    *form = arena_str(c->arena, buf_view(&b));
    buf_deinit(&b);
}
static void form_add_time(struct ctl *c, struct str *form, const char *name, wall_ms t)
{
    struct buf b = { 0 };
    num_write_f64(&b, (double)t / 1000, 'f', 3);
    form_add(c, form, name, buf_view(&b));
    buf_deinit(&b);
}

struct answer {
    struct str status, error_type, error, result_type;
    struct str result; /* raw JSON of data.result, or of data if that is a list */
};
static bool read_answer(struct ctl *c, struct str body, struct answer *a)
{
    struct json_reader r;
    struct str key;
    *a = (struct answer){ .status = STR_EMPTY };
    json_reader_init(&r, body, c->arena);
    jr_object(&r);
    while (jr_member(&r, &key)) {
        if (str_eq(key, STR("status")))
            jr_str(&r, &a->status);
        else if (str_eq(key, STR("errorType")))
            jr_str(&r, &a->error_type);
        else if (str_eq(key, STR("error")))
            jr_str(&r, &a->error);
        else if (str_eq(key, STR("data")) && jr_peek(&r) == JR_ARRAY)
            jr_raw(&r, &a->result);
        else if (str_eq(key, STR("data")) && jr_peek(&r) == JR_OBJECT) {
            jr_object(&r);
            while (jr_member(&r, &key)) {
                if (str_eq(key, STR("resultType")))
                    jr_str(&r, &a->result_type);
                else if (str_eq(key, STR("result")))
                    jr_raw(&r, &a->result);
                else
                    jr_skip(&r);
            }
        } else {
            jr_skip(&r);
        }
    }
    if (!jr_finish(&r, &c->err))
        return false;
    return str_eq(a->status, STR("success")) ||
           err_set(&c->err, ERR_UNAVAILABLE, "%.*s: %.*s", STR_ARG(a->error_type), STR_ARG(a->error));
}

static bool ask(struct ctl *c, const struct query *q, const char *method, struct str path, struct str form, struct answer *a)
{
    struct ctl_answer answer;
    bool post = method[0] == 'P';
    if (!post && form.n)
        path = arena_printf(c->arena, "%.*s?%.*s", STR_ARG(path), STR_ARG(form));
    return ctl_get(c, q->server, method, path, post ? form : STR_EMPTY, &answer) && read_answer(c, answer.body, a);
}

struct points {
    int64_t *t;
    double *v;
    size_t n, capacity;
};
static void read_point(struct json_reader *r, struct arena *a, struct points *p)
{
    double t = 0, v = 0;
    struct str text;
    jr_array(r);
    if (jr_element(r))
        jr_f64(r, &t);
    if (jr_element(r) && jr_str(r, &text) && !num_parse_f64(text, &v, NULL))
        v = normal_nan();
    while (jr_element(r))
        jr_skip(r);
    if (p->n == p->capacity) {
        size_t capacity = p->capacity ? p->capacity * 2 : 16;
        int64_t *pt = arena_alloc_array(a, capacity, sizeof *pt);
        double *pv = arena_alloc_array(a, capacity, sizeof *pv);
        if (p->n) {
            memcpy(pt, p->t, p->n * sizeof *pt);
            memcpy(pv, p->v, p->n * sizeof *pv);
        }
        p->t = pt;
        p->v = pv;
        p->capacity = capacity;
    }
    p->t[p->n] = (int64_t)llround(t * 1000);
    p->v[p->n++] = v;
}

static struct labels read_labels(struct json_reader *r, struct arena *a)
{
    struct label *v = NULL;
    size_t n = 0, capacity = 0;
    struct str key, value;
    jr_object(r);
    while (jr_member(r, &key)) {
        if (!jr_str(r, &value))
            break;
        if (n == capacity) {
            capacity = capacity ? capacity * 2 : 8;
            struct label *grown = arena_alloc_array(a, capacity, sizeof *grown);
            if (n)
                memcpy(grown, v, n * sizeof *grown);
            v = grown;
        }
        v[n++] = (struct label){ key, value };
    }
    return labels_normalize(v, n);
}

static struct promql_series read_series(struct json_reader *r, struct arena *a)
{
    struct promql_series s = { .n = 0 };
    struct points p = { 0 };
    struct str key;
    jr_object(r);
    while (jr_member(r, &key)) {
        if (str_eq(key, STR("metric"))) {
            s.labels = read_labels(r, a);
        } else if (str_eq(key, STR("value"))) {
            read_point(r, a, &p);
        } else if (str_eq(key, STR("values"))) {
            jr_array(r);
            while (jr_element(r))
                read_point(r, a, &p);
        } else {
            jr_skip(r);
        }
    }
    s.t = p.t;
    s.v = p.v;
    s.n = p.n;
    return s;
}

static bool print_answer(struct ctl *c, const struct answer *a)
{
    if (wants_json(c)) {
        buf_str(&c->out, a->result);
        buf_byte(&c->out, '\n');
        return true;
    }
    struct json_reader r;
    struct promql_result out = { .type = PROMQL_MATRIX };
    size_t capacity = 0;
    json_reader_init(&r, a->result, c->arena);
    if (str_eq(a->result_type, STR("scalar")) || str_eq(a->result_type, STR("string"))) {
        struct str text = STR_EMPTY;
        double t = 0;
        out.type = str_eq(a->result_type, STR("scalar")) ? PROMQL_SCALAR : PROMQL_STRING;
        jr_array(&r);
        if (jr_element(&r))
            jr_f64(&r, &t);
        if (jr_element(&r))
            jr_str(&r, &text);
        out.t = (int64_t)llround(t * 1000);
        out.string = text;
        if (out.type == PROMQL_SCALAR && !num_parse_f64(text, &out.scalar, NULL))
            out.scalar = normal_nan();
        print_text(&c->out, &out);
        return true;
    }
    if (str_eq(a->result_type, STR("vector")))
        out.type = PROMQL_VECTOR;
    jr_array(&r);
    while (jr_element(&r)) {
        if (out.n == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            struct promql_series *grown = arena_alloc_array(c->arena, capacity, sizeof *grown);
            if (out.n)
                memcpy(grown, out.series, out.n * sizeof *grown);
            out.series = grown;
        }
        out.series[out.n++] = read_series(&r, c->arena);
    }
    if (!jr_finish(&r, &c->err))
        return false;
    print_text(&c->out, &out);
    return true;
}

/* ---- the verbs ---- */

static int ended(struct ctl *c, bool ok)
{
    if (ok)
        return 0;
    err_wrap(&c->err, "query error");
    return ctl_fail(c);
}

int ctl_query_instant(void *program)
{
    struct ctl *c = program;
    struct query q;
    struct answer a;
    struct str form = STR_EMPTY;
    if (!read_arguments(c, "expr", &q) || !parse_time(c, c->f.query_time, "evaluation", clock_wall_ms(), &q.start))
        return ctl_fail(c);
    q.end = q.start;
    if (c->f.tsdb_path.n)
        return ended(c, query_directory(c, &q));
    form_add(c, &form, "query", q.text);
    form_add_time(c, &form, "time", q.start);
    return ended(c, ask(c, &q, "POST", STR("/api/v1/query"), form, &a) && print_answer(c, &a));
}

int ctl_query_range(void *program)
{
    struct ctl *c = program;
    struct query q;
    struct answer a;
    struct str form = STR_EMPTY;
    if (!read_arguments(c, "expr", &q) || !parse_time(c, c->f.query_end, "end", clock_wall_ms(), &q.end) ||
        !parse_time(c, c->f.query_start, "start", q.end - 300000, &q.start))
        return ctl_fail(c);
    if (q.start > q.end) {
        err_set(&c->err, ERR_INVALID, "start time is not before end time");
        return ctl_fail(c);
    }
    q.is_range = true;
    double seconds = floor((double)(q.end - q.start) / 1000 / 250);
    q.step_ms = (int64_t)(seconds < 1 ? 1000 : seconds * 1000);
    if (c->f.query_step.n && !duration_parse(c->f.query_step, &q.step_ms, &c->err))
        return ctl_fail(c);
    if (q.step_ms <= 0 || (q.end - q.start) / q.step_ms > PROMQL_STEPS_MAX) {
        err_set(&c->err, ERR_INVALID, "exceeded maximum resolution of 11,000 points per timeseries");
        return ctl_fail(c);
    }
    if (c->f.tsdb_path.n)
        return ended(c, query_directory(c, &q));
    form_add(c, &form, "query", q.text);
    form_add_time(c, &form, "start", q.start);
    form_add_time(c, &form, "end", q.end);
    form_add_time(c, &form, "step", q.step_ms);
    return ended(c, ask(c, &q, "POST", STR("/api/v1/query_range"), form, &a) && print_answer(c, &a));
}

/* One label set or text a line. */
static bool print_list(struct ctl *c, struct str list)
{
    struct json_reader r;
    struct str text;
    if (wants_json(c)) {
        buf_str(&c->out, list);
        buf_byte(&c->out, '\n');
        return true;
    }
    json_reader_init(&r, list, c->arena);
    jr_array(&r);
    while (jr_element(&r)) {
        if (jr_peek(&r) == JR_STRING) {
            jr_str(&r, &text);
            buf_str(&c->out, text);
        } else {
            labels_write(&c->out, read_labels(&r, c->arena));
        }
        buf_byte(&c->out, '\n');
    }
    return jr_finish(&r, &c->err);
}

static bool directory_series(struct ctl *c, const struct query *q, struct buf *json)
{
    struct tsdb *db;
    struct querier *querier;
    struct arena a;
    if (!open_directory(c, &db))
        return false;
    arena_init(&a, ARENA_NO_LIMIT);
    bool ok = storage_querier(tsdb_storage(db), &a, q->start, q->end, &querier, &c->err);
    if (ok) {
        bool first = true;
        for (size_t i = 0; ok && i < c->f.matchers.n; i++) {
            struct matchers ms;
            struct series_set *set;
            struct series *s;
            ok = promql_parse_selector(&a, c->f.matchers.v[i], &ms, &c->err);
            if (!ok)
                break;
            ok = querier_select(querier, &ms, NULL, &set, &c->err);
            while (ok && (ok = series_set_next(set, &s, &c->err)) && s) {
                buf_c(json, first ? "" : ",");
                first = false;
                json_labels(json, s->labels);
            }
            matchers_deinit(&ms);
        }
        querier_close(querier);
    }
    arena_deinit(&a);
    tsdb_close(db);
    return ok;
}

static bool directory_values(struct ctl *c, const struct query *q, struct buf *json)
{
    struct tsdb *db;
    struct querier *querier;
    struct arena a;
    struct strs values = { 0 };
    if (!open_directory(c, &db))
        return false;
    arena_init(&a, ARENA_NO_LIMIT);
    bool ok = storage_querier(tsdb_storage(db), &a, q->start, q->end, &querier, &c->err);
    if (ok) {
        ok = querier_label_values(querier, q->text, NULL, 0, &values, &c->err);
        for (size_t i = 0; ok && i < values.n; i++) {
            struct json_writer w;
            buf_c(json, i ? "," : "");
            json_writer_init(&w, json);
            jw_str(&w, values.v[i]);
        }
        querier_close(querier);
    }
    arena_deinit(&a);
    tsdb_close(db);
    return ok;
}

static bool list_times(struct ctl *c, struct query *q, struct str *form)
{
    if (!parse_time(c, c->f.query_start, "start", INT64_MIN / 2, &q->start) ||
        !parse_time(c, c->f.query_end, "end", INT64_MAX / 2, &q->end))
        return false;
    if (c->f.query_start.n)
        form_add_time(c, form, "start", q->start);
    if (c->f.query_end.n)
        form_add_time(c, form, "end", q->end);
    return true;
}

static bool list_directory(struct ctl *c, const struct query *q, bool (*fill)(struct ctl *, const struct query *, struct buf *))
{
    struct buf json = { 0 };
    buf_byte(&json, '[');
    bool ok = fill(c, q, &json);
    buf_byte(&json, ']');
    ok = ok && print_list(c, buf_view(&json));
    buf_deinit(&json);
    return ok;
}

int ctl_query_series(void *program)
{
    struct ctl *c = program;
    struct query q = { .is_range = false };
    struct answer a;
    struct str form = STR_EMPTY;
    bool directory = c->f.tsdb_path.n > 0;
    if (!directory && c->f.queries.n == 0) {
        err_set(&c->err, ERR_INVALID, "required argument 'server' not provided");
        return ctl_fail(c);
    }
    if (!directory) {
        q.server = c->f.queries.v[0];
        if (!str_contains(q.server, STR("://")))
            q.server = arena_printf(c->arena, "http://%.*s", STR_ARG(q.server));
    }
    if (!list_times(c, &q, &form))
        return ctl_fail(c);
    for (size_t i = 0; i < c->f.matchers.n; i++)
        form_add(c, &form, "match[]", c->f.matchers.v[i]);
    if (directory)
        return ended(c, list_directory(c, &q, directory_series));
    return ended(c, ask(c, &q, "POST", STR("/api/v1/series"), form, &a) && print_list(c, a.result));
}

int ctl_query_labels(void *program)
{
    struct ctl *c = program;
    struct query q;
    struct answer a;
    struct str form = STR_EMPTY;
    if (!read_arguments(c, "name", &q) || !list_times(c, &q, &form))
        return ctl_fail(c);
    for (size_t i = 0; i < c->f.matchers.n; i++)
        form_add(c, &form, "match[]", c->f.matchers.v[i]);
    if (c->f.tsdb_path.n)
        return ended(c, list_directory(c, &q, directory_values));
    struct buf name = { 0 };
    for (size_t i = 0; i < q.text.n; i++) {
        if (ascii_is_alnum(q.text.p[i]) || q.text.p[i] == '_')
            buf_byte(&name, q.text.p[i]);
        else
            buf_printf(&name, "%%%02X", (unsigned)(unsigned char)q.text.p[i]);
    }
    struct str path = arena_printf(c->arena, "/api/v1/label/%.*s/values", STR_ARG(buf_view(&name)));
    buf_deinit(&name);
    return ended(c, ask(c, &q, "GET", path, form, &a) && print_list(c, a.result));
}
