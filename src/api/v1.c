/* Parameters and endpoints of the query API. The order of checks is upstream's, because clients see which one complains. */
#include "api/v1.h"

#include "api/time_param.h"
#include "api/v1_int.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "http/router.h"
#include "http/url.h"
#include "model/duration.h"

#include <math.h>
#include <stdlib.h>

#define TIMEOUT_DEFAULT_MS 120000
#define METADATA_AGE_MS    3600000

/* ---- parameters ---- */

static struct str param(const struct api_v1_job *j, const char *name)
{
    return http_param_get(&j->params, str_c(name));
}

static bool time_param(struct api_v1_job *j, const char *name, bool named, int64_t fallback, int64_t *ms)
{
    struct str s = param(j, name);
    *ms = fallback;
    if (s.n == 0 && named)
        return true;
    if (api_time_parse(s, ms))
        return true;
    struct buf q = { 0 };
    go_quote(&q, s);
    if (named)
        v1_bad(j, "invalid parameter \"%s\": invalid time value for '%s': cannot parse %.*s to a valid timestamp", name, name,
               STR_ARG(buf_view(&q)));
    else
        v1_bad(j, "invalid parameter \"%s\": cannot parse %.*s to a valid timestamp", name, STR_ARG(buf_view(&q)));
    buf_deinit(&q);
    return false;
}

/* Float seconds or a duration. */
static bool duration_param(struct api_v1_job *j, const char *name, int64_t *ms)
{
    struct str s = param(j, name);
    struct err err = { 0 };
    double v;
    if (num_parse_f64(s, &v, NULL)) {
        if (fabs(v) * 1e9 < 9.2e18) {
            *ms = (int64_t)(v * 1000);
            return true;
        }
        return v1_bad(j, "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid duration. It overflows int64", name,
                      STR_ARG(s));
    }
    if (duration_parse(s, ms, &err))
        return true;
    struct buf q = { 0 };
    go_quote(&q, s);
    v1_bad(j, "invalid parameter \"%s\": cannot parse %.*s to a valid duration", name, STR_ARG(buf_view(&q)));
    buf_deinit(&q);
    return false;
}

static bool limit_param(struct api_v1_job *j)
{
    struct str s = param(j, "limit");
    int64_t v;
    if (s.n == 0)
        return true;
    if (!num_parse_i64(s, 10, &v)) {
        struct buf q = { 0 };
        go_quote(&q, s);
        v1_bad(j, "invalid parameter \"limit\": strconv.Atoi: parsing %.*s: invalid syntax", STR_ARG(buf_view(&q)));
        buf_deinit(&q);
        return false;
    }
    if (v < 0)
        return v1_bad(j, "invalid parameter \"limit\": limit must be non-negative");
    j->limit = (size_t)v;
    return true;
}

static bool query_options(struct api_v1_job *j)
{
    int64_t ms;
    if (param(j, "timeout").n) {
        if (!duration_param(j, "timeout", &ms))
            return false;
        if (ms < j->timeout_ms)
            j->timeout_ms = ms > 0 ? ms : 1;
    }
    j->run.lookback_ms = j->v->lookback_ms;
    if (param(j, "lookback_delta").n) {
        if (!duration_param(j, "lookback_delta", &ms))
            return false;
        if (ms <= 0)
            return v1_bad(j, "invalid parameter \"lookback_delta\": lookback delta must be positive");
        j->run.lookback_ms = ms;
    }
    j->stats = param(j, "stats");
    j->run.storage = j->v->storage;
    j->run.features = j->v->features;
    j->run.samples_max = j->v->samples_max;
    j->run.memory_max_bytes = j->v->memory_max_bytes;
    j->run.subquery_step_ms = atomic_load_explicit(&j->v->interval_ms, memory_order_relaxed);
    j->run.stop = &j->stop;
    j->is_query = true;
    return true;
}

static bool parse_query_param(struct api_v1_job *j)
{
    struct err err = { 0 };
    j->expr = promql_parse(param(j, "query"), j->v->features, &err);
    return j->expr || v1_bad(j, "invalid parameter \"query\": %s", err.text);
}

void api_v1_release(struct api_v1_job *j)
{
    promql_expr_free(j->expr);
    j->expr = NULL;
    for (size_t i = 0; i < j->sets_count; i++)
        matchers_deinit(&j->sets[i]);
    j->sets_count = 0;
}

static bool match_params(struct api_v1_job *j, const char *prefix)
{
    size_t n = 0;
    for (size_t i = 0; i < j->params.n; i++)
        n += str_eq(j->params.v[i].name, STR("match[]"));
    j->sets = arena_alloc_array(j->req->arena, n + 1, sizeof *j->sets);
    for (size_t i = 0; i < j->params.n; i++) {
        if (!str_eq(j->params.v[i].name, STR("match[]")))
            continue;
        struct err err = { 0 };
        struct matchers *ms = &j->sets[j->sets_count];
        if (!promql_parse_selector(j->req->arena, j->params.v[i].value, ms, &err)) {
            if (str_contains(err_text(&err), STR("at least one non-empty matcher")))
                return v1_bad(j, "%smatch[] must contain at least one non-empty matcher", prefix);
            return v1_bad(j, "%s%s", prefix, err.text);
        }
        j->sets_count++;
    }
    return true;
}

static bool metadata_times(struct api_v1_job *j)
{
    return limit_param(j) && time_param(j, "start", true, API_TIME_MIN, &j->mint) &&
           time_param(j, "end", true, API_TIME_MAX, &j->maxt);
}

/* ---- query, query_range ---- */

static bool work_query(struct api_v1_job *j)
{
    struct promql_result *r;
    struct err err = { 0 };
    if (promql_run(j->expr, &j->run, &r, &err)) {
        v1_answer_result(j, r);
        return true;
    }
    j->failed = err;
    switch (err.code) {
    case ERR_INVALID:
    case ERR_LIMIT: return v1_error(j, 422, "execution", "%s", err.text);
    case ERR_CANCELLED: return v1_error(j, 499, "canceled", "%s", err.text);
    case ERR_TIMEOUT: return v1_error(j, 503, "timeout", "%s", err.text);
    case ERR_NONE:
    case ERR_NOT_FOUND:
    case ERR_CONFLICT:
    case ERR_IO:
    case ERR_CORRUPT:
    case ERR_UNAVAILABLE: break;
    }
    return v1_storage_error(j, &err);
}

static bool begin_query(struct api_v1_job *j)
{
    int64_t t;
    if (!limit_param(j) || !time_param(j, "time", true, j->now, &t) || !query_options(j) || !parse_query_param(j))
        return false;
    j->run.start_ms = j->run.end_ms = t;
    j->work = work_query;
    return true;
}

static bool begin_query_range(struct api_v1_job *j)
{
    struct promql_run *r = &j->run;
    if (!limit_param(j) || !time_param(j, "start", false, 0, &r->start_ms) || !time_param(j, "end", false, 0, &r->end_ms))
        return false;
    if (r->end_ms < r->start_ms)
        return v1_bad(j, "invalid parameter \"end\": end timestamp must not be before start time");
    if (!duration_param(j, "step", &r->step_ms))
        return false;
    if (r->step_ms <= 0)
        return v1_bad(j, "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a "
                         "positive integer");
    if ((r->end_ms - r->start_ms) / r->step_ms > PROMQL_STEPS_MAX)
        return v1_bad(j, "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution "
                         "(?step=XX)");
    if (!query_options(j) || !parse_query_param(j))
        return false;
    enum promql_type type = promql_expr_type(j->expr);
    if (type != PROMQL_SCALAR && type != PROMQL_VECTOR)
        return v1_bad(j, "invalid parameter \"query\": invalid expression type \"%.*s\" for range query, must be Scalar or "
                         "instant Vector", STR_ARG(promql_type_documented(type)));
    r->is_range = true;
    j->work = work_query;
    return true;
}

/* ---- format_query, parse_query ---- */

static bool begin_format(struct api_v1_job *j)
{
    if (!parse_query_param(j))
        return false;
    struct buf text = { 0 }, json = { 0 };
    struct json_writer w;
    promql_print_pretty(&text, promql_root(j->expr));
    json_writer_init(&w, &json);
    jw_str(&w, buf_view(&text));
    v1_answer(j, buf_view(&json), NULL);
    buf_deinit(&text);
    buf_deinit(&json);
    return false;
}

static bool begin_parse(struct api_v1_job *j)
{
    if (!parse_query_param(j))
        return false;
    struct buf json = { 0 };
    struct json_writer w;
    json_writer_init(&w, &json);
    promql_print_json(&w, promql_root(j->expr));
    v1_answer(j, buf_view(&json), NULL);
    buf_deinit(&json);
    return false;
}

/* ---- labels, values, series ---- */

static int str_order(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    return str_cmp(*x, *y);
}

/* Lists of several selectors as one: sorted, unique, copied out of the querier. */
static bool list_of_labels(struct api_v1_job *j, struct arena *scratch, struct querier *q, struct strs *all, struct err *err)
{
    size_t rounds = j->sets_count ? j->sets_count : 1;
    for (size_t i = 0; i < rounds; i++) {
        struct strs part = { 0 };
        const struct matchers *ms = j->sets_count ? &j->sets[i] : NULL;
        size_t limit = j->limit ? j->limit + 1 : 0;
        bool ok = j->label.p ? querier_label_values(q, j->label, ms, limit, &part, err)
                             : querier_label_names(q, ms, limit, &part, err);
        if (!ok)
            return false;
        struct str *v = arena_alloc_array(scratch, all->n + part.n + 1, sizeof *v);
        if (all->n)
            memcpy(v, all->v, all->n * sizeof *v);
        if (part.n)
            memcpy(v + all->n, part.v, part.n * sizeof *v);
        size_t n = all->n + part.n, k = 0;
        if (rounds > 1 && n)
            qsort(v, n, sizeof *v, str_order);
        for (size_t x = 0; x < n; x++)
            if (x == 0 || !str_eq(v[x], v[k - 1]))
                v[k++] = v[x];
        *all = (struct strs){ v, k };
    }
    return true;
}

static bool work_labels(struct api_v1_job *j)
{
    struct arena scratch;
    struct querier *q;
    struct err err = { 0 };
    struct strs all = { 0 };
    arena_init(&scratch, ARENA_NO_LIMIT);
    bool ok = storage_querier(j->v->storage, &scratch, j->mint, j->maxt, &q, &err);
    if (ok) {
        ok = list_of_labels(j, &scratch, q, &all, &err);
        bool truncated = ok && j->limit && all.n > j->limit;
        if (truncated)
            all.n = j->limit;
        struct str *v = arena_alloc_array(j->req->arena, all.n + 1, sizeof *v);
        for (size_t i = 0; i < all.n; i++)
            v[i] = arena_str(j->req->arena, all.v[i]);
        querier_close(q);
        if (ok)
            v1_answer_strs(j, (struct strs){ v, all.n }, truncated);
    }
    arena_deinit(&scratch);
    return ok || v1_storage_error(j, &err);
}

static bool begin_labels(struct api_v1_job *j)
{
    if (!metadata_times(j) || !match_params(j, "invalid parameter \"match[]\": "))
        return false;
    j->work = work_labels;
    return true;
}

/* U__ names hide characters as _hex_ and underscores as __. */
static struct str unescape_name(struct arena *a, struct str s)
{
    if (!str_starts(s, STR("U__")))
        return s;
    struct buf b = { 0 };
    bool ok = true;
    for (size_t i = 3; i < s.n && ok; i++) {
        if (s.p[i] != '_') {
            buf_byte(&b, s.p[i]);
            continue;
        }
        if (i + 1 < s.n && s.p[i + 1] == '_') {
            buf_byte(&b, '_');
            i++;
            continue;
        }
        size_t end = i + 1;
        uint32_t r = 0;
        while (end < s.n && s.p[end] != '_' && end - i <= 6 && ascii_is_xdigit(s.p[end]))
            r = r << 4 | (uint32_t)ascii_xdigit_value(s.p[end++]);
        ok = end < s.n && s.p[end] == '_' && end > i + 1;
        if (ok)
            utf8_append(&b, r);
        i = end;
    }
    struct str out = ok ? arena_str(a, buf_view(&b)) : s;
    buf_deinit(&b);
    return out;
}

static bool begin_values(struct api_v1_job *j)
{
    j->label = unescape_name(j->req->arena, j->label);
    if (!label_name_is_utf8(j->label)) {
        struct buf q = { 0 };
        go_quote(&q, j->label);
        v1_bad(j, "invalid label name: %.*s", STR_ARG(buf_view(&q)));
        buf_deinit(&q);
        return false;
    }
    return begin_labels(j);
}

static int labels_order(const void *a, const void *b)
{
    const struct labels *x = a, *y = b;
    return labels_cmp_prometheus(*x, *y);
}

static size_t memory_max(const struct api_v1_job *j)
{
    return j->v->memory_max_bytes ? j->v->memory_max_bytes : PROMQL_MEMORY_MAX;
}

struct series_list {
    struct labels *v;
    size_t n, capacity;
};
static bool list_of_series(struct api_v1_job *j, struct querier *q, struct arena *keep, struct series_list *all, struct err *err)
{
    for (size_t i = 0; i < j->sets_count; i++) {
        const struct select_hints hints = { .limit = j->limit ? j->limit + 1 : 0, .function = STR("series") };
        struct series_set *set;
        struct series *s;
        if (!querier_select(q, &j->sets[i], &hints, &set, err))
            return false;
        for (;;) {
            if (!series_set_next(set, &s, err))
                return false;
            if (!s)
                break;
            if (atomic_load_explicit(&j->stop, memory_order_relaxed))
                return err_set(err, ERR_TIMEOUT, "query timed out in query execution");
            if (keep->used_bytes > memory_max(j))
                return err_set(err, ERR_LIMIT, "more than %zu bytes of series; use limit or narrower selectors", memory_max(j));
            if (all->n == all->capacity) {
                all->capacity = mem_grow(all->capacity, all->n + 1);
                all->v = mem_realloc_array(all->v, all->capacity, sizeof *all->v);
            }
            all->v[all->n++] = labels_copy(keep, s->labels);
        }
    }
    if (all->n)
        qsort(all->v, all->n, sizeof *all->v, labels_order);
    size_t k = 0;
    for (size_t i = 0; i < all->n; i++)
        if (i == 0 || !labels_eq(all->v[i], all->v[k - 1]))
            all->v[k++] = all->v[i];
    all->n = k;
    return true;
}

static bool work_series(struct api_v1_job *j)
{
    struct arena *arena = MEM_NEW(struct arena);
    struct querier *q;
    struct err err = { 0 };
    struct series_list all = { 0 };
    arena_init(arena, ARENA_NO_LIMIT);
    bool ok = storage_querier(j->v->storage, arena, j->mint, j->maxt, &q, &err);
    if (ok) {
        ok = list_of_series(j, q, arena, &all, &err);
        querier_close(q);
    }
    if (ok) {
        bool truncated = j->limit && all.n > j->limit;
        struct labels *v = arena_alloc_array(arena, all.n + 1, sizeof *v);
        if (all.n)
            memcpy(v, all.v, all.n * sizeof *v);
        v1_answer_series(j, v, truncated ? j->limit : all.n, truncated, arena);
    } else {
        arena_deinit(arena);
        mem_free(arena);
    }
    mem_free(all.v);
    return ok || v1_storage_error(j, &err);
}

static bool begin_series(struct api_v1_job *j)
{
    if (!http_param_has(&j->params, STR("match[]")))
        return v1_bad(j, "no match[] parameter provided");
    if (!metadata_times(j) || !match_params(j, "invalid parameter \"match[]\": "))
        return false;
    j->work = work_series;
    return true;
}

/* ---- exemplars, metadata ---- */

struct selectors {
    struct matchers *v;
    size_t n;
};
static bool take_selector(void *arg, const struct promql_node *n)
{
    struct selectors *s = arg;
    if (n->kind == NODE_SELECTOR)
        s->v[s->n++] = n->u.selector.matchers;
    return true;
}
static bool count_selector(void *arg, const struct promql_node *n)
{
    *(size_t *)arg += n->kind == NODE_SELECTOR;
    return true;
}

static bool work_exemplars(struct api_v1_job *j)
{
    struct arena scratch;
    struct querier *q;
    struct err err = { 0 };
    struct exemplar_series *v = NULL;
    size_t n = 0, count = 0;
    arena_init(&scratch, ARENA_NO_LIMIT);
    promql_walk(promql_root(j->expr), count_selector, &count);
    struct selectors s = { arena_alloc_array(&scratch, count + 1, sizeof *s.v), 0 };
    promql_walk(promql_root(j->expr), take_selector, &s);
    bool ok = storage_querier(j->v->storage, &scratch, j->mint, j->maxt, &q, &err);
    if (ok) {
        ok = s.n == 0 || querier_exemplars(q, s.v, s.n, &v, &n, &err);
        struct buf json = { 0 }, value = { 0 };
        struct json_writer w;
        json_writer_init(&w, &json);
        jw_array(&w);
        for (size_t i = 0; ok && i < n; i++) {
            jw_object(&w);
            jw_key(&w, STR("seriesLabels"));
            labels_write_json(&w, v[i].labels);
            jw_key(&w, STR("exemplars"));
            jw_array(&w);
            for (size_t k = 0; k < v[i].n; k++) {
                const struct exemplar *x = &v[i].v[k];
                jw_object(&w);
                jw_key(&w, STR("labels"));
                labels_write_json(&w, x->labels);
                buf_reset(&value);
                promql_write_value(&value, x->value);
                jw_kv(&w, STR("value"), buf_view(&value));
                buf_reset(&value);
                v1_write_time(&value, x->t);
                jw_key(&w, STR("timestamp"));
                jw_raw(&w, buf_view(&value));
                jw_object_end(&w);
            }
            jw_array_end(&w);
            jw_object_end(&w);
        }
        jw_array_end(&w);
        if (ok)
            v1_answer(j, buf_view(&json), NULL);
        buf_deinit(&json);
        buf_deinit(&value);
        querier_close(q);
    }
    arena_deinit(&scratch);
    return ok || v1_storage_error(j, &err);
}

static bool begin_exemplars(struct api_v1_job *j)
{
    if (!time_param(j, "start", true, API_TIME_MIN, &j->mint) || !time_param(j, "end", true, API_TIME_MAX, &j->maxt))
        return false;
    if (j->maxt < j->mint)
        return v1_bad(j, "invalid parameter \"end\": end timestamp must not be before start time");
    if (!parse_query_param(j))
        return false;
    j->work = work_exemplars;
    return true;
}

static bool number_param(struct api_v1_job *j, const char *name, int64_t *v)
{
    struct str s = param(j, name);
    *v = -1;
    return s.n == 0 || num_parse_i64(s, 10, v) || v1_bad(j, "%s must be a number", name);
}

/* Metadata of the families, each row once. */
struct families {
    struct api_v1_job *j;
    struct arena *arena;
    struct map by_name;    /* to struct family */
    struct family **order; /* by name in the end */
    size_t n, capacity;
};
struct family {
    struct str name;
    struct series_metadata *rows;
    size_t n, capacity;
};

/* Series of histograms and summaries are named after parts of the family. */
static struct str family_name(struct str series, enum series_type type)
{
    static const struct str suffixes[] = { STR_INIT("_bucket"), STR_INIT("_count"), STR_INIT("_sum") };
    if (type != SERIES_TYPE_HISTOGRAM && type != SERIES_GAUGE_HISTOGRAM && type != SERIES_SUMMARY)
        return series;
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
        if (str_ends(series, suffixes[i]))
            return str_sub(series, 0, series.n - suffixes[i].n);
    return series;
}

static void add_metadata(struct families *f, struct str name, const struct series_metadata *m)
{
    struct family *of = map_get(&f->by_name, name);
    if (!of) {
        of = ARENA_NEW(f->arena, struct family);
        of->name = arena_str(f->arena, name);
        map_put(&f->by_name, of->name, of);
        if (f->n == f->capacity) {
            f->capacity = mem_grow(f->capacity, f->n + 1);
            f->order = mem_realloc_array(f->order, f->capacity, sizeof(struct family *));
        }
        f->order[f->n++] = of;
    }
    for (size_t i = 0; i < of->n; i++)
        if (of->rows[i].type == m->type && str_eq(of->rows[i].unit, m->unit) && str_eq(of->rows[i].help, m->help))
            return;
    if (of->n == of->capacity) {
        of->capacity = of->capacity ? of->capacity * 2 : 2;
        struct series_metadata *rows = arena_alloc_array(f->arena, of->capacity, sizeof *rows);
        if (of->n)
            memcpy(rows, of->rows, of->n * sizeof *rows);
        of->rows = rows;
    }
    of->rows[of->n++] = (struct series_metadata){ m->type, arena_str(f->arena, m->unit), arena_str(f->arena, m->help) };
}

/* From the series of the last hour: what was scraped or received lately. */
static bool collect_families(struct families *f, struct err *err)
{
    const struct api_v1_job *j = f->j;
    struct querier *q;
    struct series_set *set;
    struct series *s = NULL;
    struct matchers ms = { 0 };
    if (!promql_parse_selector(f->arena, STR("{__name__!=\"\"}"), &ms, err))
        return false;
    bool ok = storage_querier(j->v->storage, f->arena, j->now - METADATA_AGE_MS, j->now + METADATA_AGE_MS, &q, err);
    if (ok) {
        ok = querier_select(q, &ms, NULL, &set, err);
        while (ok && (ok = series_set_next(set, &s, err)) && s) {
            struct series_metadata m;
            struct str name = labels_get(s->labels, STR("__name__"));
            if (atomic_load_explicit(&j->stop, memory_order_relaxed))
                ok = err_set(err, ERR_TIMEOUT, "query timed out in query execution");
            else if (querier_metadata(q, s->labels, &m) &&
                     (j->label.n == 0 || str_eq(family_name(name, m.type), j->label)))
                add_metadata(f, family_name(name, m.type), &m);
        }
        querier_close(q);
    }
    matchers_deinit(&ms);
    return ok;
}

static int family_order(const void *a, const void *b)
{
    const struct family *const *x = a, *const *y = b;
    return str_cmp((*x)->name, (*y)->name);
}

static void answer_families(struct api_v1_job *j, const struct families *f)
{
    struct buf json = { 0 };
    struct json_writer w;
    json_writer_init(&w, &json);
    jw_object(&w);
    for (size_t i = 0; i < f->n && i < j->limit; i++) {
        const struct family *of = f->order[i];
        jw_key(&w, of->name);
        jw_array(&w);
        for (size_t k = 0; k < of->n && (j->per_metric_limit <= 0 || (int64_t)k < j->per_metric_limit); k++) {
            jw_object(&w);
            jw_kv(&w, STR("type"), series_type_text(of->rows[k].type));
            jw_kv(&w, STR("unit"), of->rows[k].unit);
            jw_kv(&w, STR("help"), of->rows[k].help);
            jw_object_end(&w);
        }
        jw_array_end(&w);
    }
    jw_object_end(&w);
    v1_answer(j, buf_view(&json), NULL);
    buf_deinit(&json);
}

static bool work_metadata(struct api_v1_job *j)
{
    struct arena arena;
    struct err err = { 0 };
    arena_init(&arena, ARENA_NO_LIMIT);
    struct families f = { .j = j, .arena = &arena };
    bool ok = collect_families(&f, &err);
    if (f.n)
        qsort(f.order, f.n, sizeof(struct family *), family_order);
    if (ok)
        answer_families(j, &f);
    map_deinit(&f.by_name);
    mem_free(f.order);
    arena_deinit(&arena);
    return ok || v1_storage_error(j, &err);
}

static bool begin_metadata(struct api_v1_job *j)
{
    int64_t limit;
    if (!number_param(j, "limit", &limit) || !number_param(j, "limit_per_metric", &j->per_metric_limit))
        return false;
    j->limit = limit < 0 ? SIZE_MAX : (size_t)limit;
    j->label = param(j, "metric");
    j->work = work_metadata;
    return true;
}

/* ---- routes ---- */

static const struct v1_route {
    const char *path;
    bool (*begin)(struct api_v1_job *j); /* true: there is work; false: answered */
    bool post;
} routes[] = {
    { "/query", begin_query, true },
    { "/query_range", begin_query_range, true },
    { "/query_exemplars", begin_exemplars, true },
    { "/format_query", begin_format, true },
    { "/parse_query", begin_parse, true },
    { "/labels", begin_labels, true },
    { "/series", begin_series, true },
    { "/metadata", begin_metadata, false },
};

static const struct v1_route *find_route(struct str path, struct arena *a, struct str *label)
{
    static const struct v1_route values = { "/label/:name/values", begin_values, false };
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (str_eq(path, str_c(routes[i].path)))
            return &routes[i];
    if (!str_starts(path, STR("/label/")) || !str_ends(path, STR("/values")) || path.n < 14)
        return NULL;
    struct str name = str_sub(path, 7, path.n - 14);
    if (str_find_byte(name, '/') != STR_NPOS)
        return NULL;
    struct err err = { 0 };
    struct buf plain = { 0 };
    *label = http_path_unescape(&plain, name, &err) ? arena_str(a, buf_view(&plain)) : name;
    buf_deinit(&plain);
    return &values;
}

static void read_params(struct api_v1_job *j)
{
    const struct http_request *req = j->req;
    struct http_params query = { 0 }, body = { 0 };
    http_params_parse(req->arena, req->query, &query);
    bool form = str_starts(http_request_header(req, STR("Content-Type")), STR("application/x-www-form-urlencoded"));
    if (str_eq(req->method, STR("POST")) && form)
        http_params_parse(req->arena, req->body, &body);
    j->params.v = arena_alloc_array(req->arena, query.n + body.n + 1, sizeof *j->params.v);
    if (body.n)
        memcpy(j->params.v, body.v, body.n * sizeof *body.v);
    if (query.n)
        memcpy(j->params.v + body.n, query.v, query.n * sizeof *query.v);
    j->params.n = body.n + query.n;
}

bool api_v1_begin(struct api_v1 *v, const struct http_request *req, struct http_response *res, struct str path, wall_ms now,
                  struct api_v1_job **job)
{
    struct str label = { 0 };
    const struct v1_route *r = find_route(path, req->arena, &label);
    *job = NULL;
    if (!r)
        return false;
    bool post = str_eq(req->method, STR("POST"));
    if (str_eq(req->method, STR("OPTIONS"))) {
        res->status = 204;
        return true;
    }
    if (!str_eq(req->method, STR("GET")) && !(post && r->post)) {
        http_answer_no_method(res, r->post ? STR("GET, OPTIONS, POST") : STR("GET, OPTIONS"));
        return true;
    }
    struct api_v1_job *j = ARENA_NEW(req->arena, struct api_v1_job);
    *j = (struct api_v1_job){ .v = v, .req = req, .res = res, .now = now, .label = label,
                              .timeout_ms = v->timeout_ms ? v->timeout_ms : TIMEOUT_DEFAULT_MS };
    read_params(j);
    if (r->begin(j))
        *job = j;
    else
        api_v1_release(j);
    return true;
}

void api_v1_run(struct api_v1_job *j)
{
    j->work(j);
    ASSERT(j->res->status != 0);
}

void api_v1_refuse(struct api_v1_job *j, const char *why)
{
    v1_error(j, 503, "unavailable", "%s", why);
    api_v1_release(j);
}
