/* Answers of the query API: the envelope, and bodies that are written piece by piece while the connection takes them. */
#include "api/v1_int.h"

#include "base/mem.h"
#include "base/num.h"
#include "json/writer.h"

#define PIECE_BYTES 32768
#define NOTES_SHOWN 10

/* ---- errors and small answers ---- */

static void set_body(struct api_v1_job *j, int status, struct buf *body)
{
    http_response_text(j->res, status, STR("application/json"), buf_view(body));
    buf_deinit(body);
}

static bool error_text(struct api_v1_job *j, int status, const char *type, struct str text)
{
    struct buf body = { 0 };
    struct json_writer w;
    json_writer_init(&w, &body);
    jw_object(&w);
    jw_kv(&w, STR("status"), STR("error"));
    jw_kv(&w, STR("errorType"), str_c(type));
    jw_kv(&w, STR("error"), text);
    jw_object_end(&w);
    set_body(j, status, &body);
    return false;
}

bool v1_error(struct api_v1_job *j, int status, const char *type, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str text = arena_vprintf(j->req->arena, fmt, ap);
    va_end(ap);
    return error_text(j, status, type, text);
}

bool v1_bad(struct api_v1_job *j, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str text = arena_vprintf(j->req->arena, fmt, ap);
    va_end(ap);
    return error_text(j, 400, "bad_data", text);
}

bool v1_storage_error(struct api_v1_job *j, const struct err *err)
{
    if (err->code == ERR_TIMEOUT)
        return v1_error(j, 503, "timeout", "%s", err->text);
    if (err->code == ERR_UNAVAILABLE)
        return v1_error(j, 500, "unavailable", "%s", err->text);
    return v1_error(j, 422, "execution", "%s", err->text); /* a damaged block, too: upstream's returnAPIError() */
}

/* "warnings":[...] or "infos":[...], at most ten and one line for the rest. */
static void write_notes(struct buf *out, const char *key, const char *word, const struct str_list *l, struct str extra)
{
    struct json_writer w;
    size_t n = l ? l->n : 0;
    if (n == 0 && extra.n == 0)
        return;
    buf_printf(out, ",\"%s\":", key);
    json_writer_init(&w, out);
    jw_array(&w);
    if (extra.n)
        jw_str(&w, extra);
    for (size_t i = 0; i < n && i < NOTES_SHOWN; i++)
        jw_str(&w, l->v[i]);
    if (n > NOTES_SHOWN) {
        struct buf more = { 0 };
        buf_printf(&more, "%zu more %s annotations omitted", n - NOTES_SHOWN, word);
        jw_str(&w, buf_view(&more));
        buf_deinit(&more);
    }
    jw_array_end(&w);
}

void v1_answer(struct api_v1_job *j, struct str data_json, const struct str_list *warnings)
{
    struct buf body = { 0 };
    buf_c(&body, "{\"status\":\"success\",\"data\":");
    buf_str(&body, data_json);
    write_notes(&body, "warnings", "warning", warnings, STR_EMPTY);
    buf_byte(&body, '}');
    set_body(j, 200, &body);
}

#define TIME_TEXT_MAX 24 /* sign, 16 digits of seconds, point, 3 digits */

static char *put_time(char *p, int64_t ms)
{
    uint64_t a = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    if (ms < 0)
        *p++ = '-';
    p = num_put_u64(p, a / 1000);
    if (a % 1000) {
        *p++ = '.';
        *p++ = (char)('0' + a % 1000 / 100);
        *p++ = (char)('0' + a / 10 % 10);
        *p++ = (char)('0' + a % 10);
    }
    return p;
}

void v1_write_time(struct buf *out, int64_t ms)
{
    char text[TIME_TEXT_MAX];
    buf_append(out, text, (size_t)(put_time(text, ms) - text));
}

/* ---- results ---- */

static const struct str truncated_text = STR_INIT("results truncated due to limit");

/* `,[1700000000,"`: a point up to its value. */
struct step_text {
    char p[TIME_TEXT_MAX + 4];
    uint8_t n;
};
struct result_body {
    struct arena *arena; /* of the request */
    struct promql_result *r;
    bool is_matrix, truncated, begun;
    size_t n, series, point; /* next to write */
    bool histograms;         /* of the series at hand */
    const int64_t *times;    /* most series of a range have all its steps: their texts are made once */
    struct step_text *texts; /* of times */
    struct str stats;        /* text of the stats member, in the request's arena; empty: none */
    struct str extra;        /* warning about the stats parameter */
};

static void write_labels(struct buf *out, struct labels ls)
{
    struct json_writer w;
    json_writer_init(&w, out);
    labels_write_json(&w, ls);
}

static void write_float(struct buf *out, int64_t t, double v)
{
    buf_byte(out, '[');
    v1_write_time(out, t);
    buf_c(out, ",\"");
    promql_write_value(out, v);
    buf_c(out, "\"]");
}
static void write_histogram(struct buf *out, int64_t t, const struct float_histogram *h)
{
    buf_byte(out, '[');
    v1_write_time(out, t);
    buf_byte(out, ',');
    promql_write_histogram(out, h);
    buf_byte(out, ']');
}

static void write_element(struct buf *out, const struct promql_series *s)
{
    buf_c(out, "{\"metric\":");
    write_labels(out, s->labels);
    if (s->n) {
        buf_c(out, ",\"value\":");
        write_float(out, s->t[0], s->v[0]);
    } else {
        buf_c(out, ",\"histogram\":");
        write_histogram(out, s->ht[0], s->h[0]);
    }
    buf_byte(out, '}');
}

static char *put_point_start(char *p, int64_t t)
{
    *p++ = ',';
    *p++ = '[';
    p = put_time(p, t);
    *p++ = ',';
    *p++ = '"';
    return p;
}
#define POINT_TEXT_MAX (sizeof((struct step_text *)0)->p + NUM_PLAIN_MAX + 2)

/* Series that share their array of times (those without gaps) share its texts. */
static const struct step_text *texts_of(struct result_body *b, const struct promql_series *s)
{
    if (b->texts && b->times == s->t)
        return b->texts;
    if (b->texts || b->n < 2 || b->r->series[0].t != b->r->series[1].t)
        return NULL;
    b->times = s->t;
    b->texts = arena_alloc_array(b->arena, s->n, sizeof *b->texts);
    for (size_t i = 0; i < s->n; i++)
        b->texts[i].n = (uint8_t)(put_point_start(b->texts[i].p, s->t[i]) - b->texts[i].p);
    return b->texts;
}

/* Floats from b->point on until the piece is full; without the comma before the first. */
static void write_floats(struct result_body *b, const struct promql_series *s, struct buf *out)
{
    const struct step_text *texts = texts_of(b, s);
    while (b->point < s->n && out->n < PIECE_BYTES) {
        size_t until = b->point + (PIECE_BYTES - out->n) / POINT_TEXT_MAX + 1;
        until = until < s->n ? until : s->n;
        buf_reserve(out, (until - b->point) * POINT_TEXT_MAX);
        char *p = out->p + out->n;
        for (; b->point < until; b->point++) {
            if (texts) {
                memcpy(p, texts[b->point].p, sizeof texts->p);
                p += texts[b->point].n;
            } else {
                p = put_point_start(p, s->t[b->point]);
            }
            p = num_put_plain(p, s->v[b->point]);
            *p++ = '"';
            *p++ = ']';
        }
        *p = 0;
        out->n = (size_t)(p - out->p);
    }
}

/* As much of a series as fits into a piece; true when it is complete. What was begun is known by point or histograms, so a
 * piece ends behind a point, never before the first. */
static bool write_series(struct result_body *b, const struct promql_series *s, struct buf *out)
{
    if (b->point == 0 && !b->histograms) {
        buf_c(out, "{\"metric\":");
        write_labels(out, s->labels);
        if (s->n) {
            buf_c(out, ",\"values\":[");
            write_float(out, s->t[0], s->v[0]);
            b->point = 1;
        }
    }
    if (!b->histograms) {
        write_floats(b, s, out);
        if (b->point < s->n)
            return false;
        if (s->n)
            buf_byte(out, ']');
        b->histograms = true;
        b->point = 0;
    }
    for (; b->point < s->hn; b->point++) {
        if (out->n >= PIECE_BYTES)
            return false;
        buf_c(out, b->point ? "," : ",\"histograms\":[");
        write_histogram(out, s->ht[b->point], s->h[b->point]);
    }
    buf_c(out, s->hn ? "]}" : "}");
    b->histograms = false;
    b->point = 0;
    return true;
}

static void write_end(struct result_body *b, struct buf *out)
{
    if (b->stats.n) {
        buf_c(out, ",\"stats\":");
        buf_str(out, b->stats);
    }
    buf_byte(out, '}');
    struct str extra = b->truncated ? truncated_text : b->extra;
    write_notes(out, "warnings", "warning", &b->r->warnings, extra);
    write_notes(out, "infos", "info", &b->r->infos, STR_EMPTY);
    buf_byte(out, '}');
}

static bool pull_result(void *arg, struct buf *out, bool *done)
{
    struct result_body *b = arg;
    const struct promql_result *r = b->r;
    if (!b->begun) {
        b->begun = true;
        buf_c(out, "{\"status\":\"success\",\"data\":{\"resultType\":\"");
        buf_str(out, promql_type_text(r->type));
        buf_c(out, "\",\"result\":[");
        if (r->type == PROMQL_SCALAR || r->type == PROMQL_STRING) {
            v1_write_time(out, r->t);
            buf_byte(out, ',');
            struct json_writer w;
            struct buf value = { 0 };
            if (r->type == PROMQL_SCALAR)
                promql_write_value(&value, r->scalar);
            else
                buf_str(&value, r->string);
            json_writer_init(&w, out);
            jw_str(&w, buf_view(&value));
            buf_deinit(&value);
        }
    }
    while (b->series < b->n) {
        if (out->n >= PIECE_BYTES)
            return true;
        const struct promql_series *s = &r->series[b->series];
        if (b->series && b->point == 0 && !b->histograms)
            buf_byte(out, ',');
        if (!b->is_matrix)
            write_element(out, s);
        else if (!write_series(b, s, out))
            return true;
        b->series++;
    }
    buf_byte(out, ']');
    write_end(b, out);
    *done = true;
    return true;
}
static void end_result(void *arg)
{
    struct result_body *b = arg;
    promql_result_free(b->r);
    b->r = NULL;
}

/* [[seconds, samples], ...] */
static void write_per_step(struct json_writer *w, const struct promql_stats *st)
{
    jw_key(w, STR("totalQueryableSamplesPerStep"));
    jw_array(w);
    for (size_t i = 0; i < st->steps_count; i++) {
        jw_array(w);
        jw_i64(w, (st->start_ms + (int64_t)i * st->step_ms) / 1000);
        jw_u64(w, st->per_step[i]);
        jw_array_end(w);
    }
    jw_array_end(w);
}

void api_v1_write_stats(struct json_writer *w, const struct api_v1_job *j)
{
    const struct promql_stats *st = &j->ran;
    const struct {
        struct str key;
        double v;
    } timings[] = {
        { STR("evalTotalTime"), st->eval_s },   { STR("resultSortTime"), st->sort_s },
        { STR("queryPreparationTime"), st->prepare_s }, { STR("innerEvalTime"), st->inner_s },
        { STR("execQueueTime"), j->queued_s },  { STR("execTotalTime"), st->eval_s + j->queued_s },
    };
    const struct {
        struct str key;
        uint64_t v;
    } samples[] = {
        { STR("totalQueryableSamples"), st->samples_total },
        { STR("peakSamples"), st->samples_peak },
        { STR("samplesRead"), st->samples_read },
    };
    jw_object(w);
    jw_key(w, STR("timings"));
    jw_object(w);
    for (size_t i = 0; i < ARRAY_LEN(timings); i++) {
        jw_key(w, timings[i].key);
        jw_f64(w, timings[i].v);
    }
    jw_object_end(w);
    jw_key(w, STR("samples"));
    jw_object(w);
    if (st->per_step && str_eq(j->stats, STR("all")))
        write_per_step(w, st);
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        jw_key(w, samples[i].key);
        jw_u64(w, samples[i].v);
    }
    jw_object_end(w);
    jw_object_end(w);
}

static struct str stats_text(const struct api_v1_job *j)
{
    struct buf b = { 0 };
    struct json_writer w;
    json_writer_init(&w, &b);
    api_v1_write_stats(&w, j);
    struct str s = arena_str(j->req->arena, buf_view(&b));
    buf_deinit(&b);
    return s;
}

static void pulled(struct api_v1_job *j, http_body_pull *pull, void *arg, void (*end)(void *))
{
    j->res->status = 200;
    http_response_set_header(j->res, STR("Content-Type"), STR("application/json"));
    j->res->pull = pull;
    j->res->pull_arg = arg;
    j->res->pull_end = end;
}

void v1_answer_result(struct api_v1_job *j, struct promql_result *r)
{
    struct result_body *b = ARENA_NEW(j->req->arena, struct result_body);
    j->ran = r->stats;
    *b = (struct result_body){ .arena = j->req->arena, .r = r, .is_matrix = r->type == PROMQL_MATRIX, .n = r->n };
    if (r->type == PROMQL_SCALAR || r->type == PROMQL_STRING)
        b->n = 0;
    if (j->limit && b->n > j->limit) {
        b->n = j->limit;
        b->truncated = true;
    }
    if (j->stats.n) {
        b->stats = stats_text(j);
        if (!str_eq(j->stats, STR("true")) && !str_eq(j->stats, STR("all")))
            b->extra = STR("the stats parameter accepts only \"true\" and \"all\"; other values are deprecated");
    }
    j->ran.per_step = NULL; /* it dies with the result */
    pulled(j, pull_result, b, end_result);
}

/* ---- lists ---- */

struct list_body {
    struct strs texts;
    struct labels *series;
    size_t n, at;
    bool truncated, begun;
    struct arena *arena; /* of the series; freed at the end */
};
static bool pull_list(void *arg, struct buf *out, bool *done)
{
    struct list_body *b = arg;
    struct json_writer w;
    if (!b->begun)
        buf_c(out, "{\"status\":\"success\",\"data\":[");
    b->begun = true;
    for (; b->at < b->n; b->at++) {
        if (out->n >= PIECE_BYTES)
            return true;
        if (b->at)
            buf_byte(out, ',');
        if (b->series) {
            write_labels(out, b->series[b->at]);
        } else {
            json_writer_init(&w, out);
            jw_str(&w, b->texts.v[b->at]);
        }
    }
    buf_byte(out, ']');
    write_notes(out, "warnings", "warning", NULL, b->truncated ? truncated_text : STR_EMPTY);
    buf_byte(out, '}');
    *done = true;
    return true;
}
static void end_list(void *arg)
{
    struct list_body *b = arg;
    if (b->arena) {
        arena_deinit(b->arena);
        mem_free(b->arena);
    }
    b->arena = NULL;
}

void v1_answer_strs(struct api_v1_job *j, struct strs list, bool truncated)
{
    struct list_body *b = ARENA_NEW(j->req->arena, struct list_body);
    *b = (struct list_body){ .texts = list, .n = list.n, .truncated = truncated };
    pulled(j, pull_list, b, end_list);
}

void v1_answer_series(struct api_v1_job *j, struct labels *v, size_t n, bool truncated, struct arena *take)
{
    struct list_body *b = ARENA_NEW(j->req->arena, struct list_body);
    *b = (struct list_body){ .series = v, .n = n, .truncated = truncated, .arena = take };
    pulled(j, pull_list, b, end_list);
}
