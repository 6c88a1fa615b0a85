/* The script runner: lines to commands, commands in order on one store, results against expectations.
 *
 * Every instant evaluation is run several ways that must agree: as written; with @ T on all selectors at other times; each
 * of these also as the middle step of a range query (spec 17.3). Annotations are compared for the instant forms. */
#include "promql/testscript.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "model/duration.h"
#include "promql/eval_int.h"
#include "promql/parse_int.h"
#include "promql/testscript_int.h"

#include <math.h>

#define SCRIPT_FEATURES                                                                            \
    (PROMQL_EXPERIMENTAL_FUNCTIONS | PROMQL_DELAYED_NAME_REMOVAL | PROMQL_EXTENDED_RANGES | PROMQL_FILL_MODIFIERS | \
     PROMQL_START_TIMES)
#define SCRIPT_SAMPLES_MAX 10000
#define EXPECTS_MAX        64
#define EPSILON            1e-6

struct script {
    struct str text; /* what is left */
    size_t line_number;
    struct arena arena; /* of a command */
    struct script_store *store;
    struct buf *report;
    struct testscript_counts *counts;
    struct err *err;
};

enum expect_kind { EXPECT_ANY, EXPECT_MESSAGE, EXPECT_REGEX };
struct expect {
    enum expect_kind kind;
    struct str text;
};
struct expects {
    struct expect v[EXPECTS_MAX];
    size_t n;
};
struct block {
    struct str query;
    size_t line_number;
    bool is_range, range_vector;
    int64_t from, to, step; /* instant: from == to */
    int64_t vector_from;
    struct expects fail, warn, info;
    bool no_warn, no_info, ordered;
    bool scalar_expected, string_expected;
    double scalar;
    struct str string;
    struct script_line *lines;
    size_t lines_count, lines_capacity;
};

/* ---- lines ---- */

static bool next_line(struct script *s, struct str *line)
{
    if (!str_split(&s->text, '\n', line))
        return false;
    s->line_number++;
    *line = str_trim(*line);
    if (line->n && line->p[0] == '#')
        *line = STR_EMPTY;
    return true;
}
static bool script_fail(struct script *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
static bool script_fail(struct script *s, const char *fmt, ...)
{
    struct buf b = { 0 };
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    err_set_at(s->err, ERR_INVALID, (uint32_t)s->line_number, 0, "line %zu: %.*s", s->line_number, STR_ARG(buf_view(&b)));
    buf_deinit(&b);
    return false;
}
static struct str take_word(struct str *line)
{
    size_t n = 0;
    *line = str_trim(*line);
    while (n < line->n && !ascii_is_space(line->p[n]))
        n++;
    struct str word = str_sub(*line, 0, n);
    *line = str_trim(str_from(*line, n));
    return word;
}
static bool take_ms(struct script *s, struct str *line, int64_t *ms)
{
    struct str word = take_word(line);
    struct err err = { 0 };
    double v;
    if (duration_parse_signed(word, ms, &err))
        return true;
    if (num_parse_f64(word, &v, NULL) && fabs(v) < 1e12) {
        *ms = (int64_t)(v * 1000);
        return true;
    }
    return script_fail(s, "bad time \"%.*s\"", STR_ARG(word));
}
static bool take_keyword(struct script *s, struct str *line, const char *word)
{
    struct str got = take_word(line);
    return str_eq_nocase(got, str_c(word)) || script_fail(s, "expected \"%s\", got \"%.*s\"", word, STR_ARG(got));
}

/* ---- load ---- */

struct loaded {
    struct script_line line;
    struct script_line *starts;
};

static bool append_line(struct script *s, const struct script_line *l, const struct script_line *starts, int64_t gap)
{
    struct script_series *series = NULL;
    if (starts && starts->n != l->n)
        return script_fail(s, "%zu start times for %zu samples", starts->n, l->n);
    for (size_t i = 0; i < l->n; i++) {
        int64_t t = (int64_t)i * gap;
        struct err err = { 0 };
        if (l->v[i].omitted)
            continue;
        if (!series)
            series = script_store_series(s->store, l->labels);
        int64_t start = starts && starts->has_start[i] ? t + starts->starts[i] : 0;
        if (!script_series_add(s->store, series, t, l->v[i].v, l->v[i].h, start, &err))
            return script_fail(s, "cannot load: %s", err.text);
    }
    return true;
}

/* ---- load_with_nhcb (spec 17.4) ---- */

struct classic {
    struct labels labels; /* base name, no le */
    struct {
        double upper;
        const struct script_line *line;
    } *buckets;
    size_t buckets_count, capacity;
    const struct script_line *count, *sum;
};

static struct classic *classic_of(struct script *s, struct classic *v, size_t *n, struct labels labels)
{
    for (size_t i = 0; i < *n; i++)
        if (labels_eq(v[i].labels, labels))
            return &v[i];
    struct classic *c = &v[(*n)++];
    *c = (struct classic){ .labels = labels_copy(&s->arena, labels) };
    return c;
}

static struct labels classic_labels(struct script *s, struct labels ls, struct str base)
{
    struct label *v = arena_alloc_array(&s->arena, ls.n + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < ls.n; i++) {
        if (str_eq(ls.v[i].name, STR("le")))
            continue;
        v[n] = ls.v[i];
        if (str_eq(v[n].name, STR("__name__")))
            v[n].value = base;
        n++;
    }
    return (struct labels){ v, n };
}

static void collect_classic(struct script *s, struct script_line *lines, size_t lines_count, struct classic *v, size_t *n)
{
    for (size_t i = 0; i < lines_count; i++) {
        struct str name = labels_get(lines[i].labels, STR("__name__"));
        static const struct str suffixes[] = { STR_INIT("_bucket"), STR_INIT("_count"), STR_INIT("_sum") };
        for (size_t k = 0; k < ARRAY_LEN(suffixes); k++) {
            if (!str_ends(name, suffixes[k]))
                continue;
            double upper = 0;
            bool range = false;
            if (k == 0 && ((!num_parse_f64(labels_get(lines[i].labels, STR("le")), &upper, &range) && !range) || isnan(upper)))
                continue;
            struct labels ls = classic_labels(s, lines[i].labels, str_sub(name, 0, name.n - suffixes[k].n));
            struct classic *c = classic_of(s, v, n, ls);
            if (k == 1)
                c->count = &lines[i];
            else if (k == 2)
                c->sum = &lines[i];
            if (k != 0)
                continue;
            size_t at = 0;
            while (at < c->buckets_count && c->buckets[at].upper < upper)
                at++;
            if (at < c->buckets_count && c->buckets[at].upper == upper)
                continue;
            if (c->buckets_count == c->capacity) {
                size_t capacity = c->capacity ? c->capacity * 2 : 16;
                void *grown = arena_alloc_array(&s->arena, capacity, sizeof *c->buckets);
                if (c->buckets_count)
                    memcpy(grown, c->buckets, c->buckets_count * sizeof *c->buckets);
                c->buckets = grown;
                c->capacity = capacity;
            }
            for (size_t m = c->buckets_count; m > at; m--)
                c->buckets[m] = c->buckets[m - 1];
            c->buckets[at].upper = upper;
            c->buckets[at].line = &lines[i];
            c->buckets_count++;
        }
    }
}

static bool value_at(const struct script_line *l, size_t i, double *v)
{
    if (!l || i >= l->n || l->v[i].omitted || l->v[i].h)
        return false;
    memcpy(v, &l->v[i].v, sizeof *v);
    return true;
}

/* The histogram of one timestamp; *any false: nothing is known there. */
static bool convert_step(struct script *s, const struct classic *c, size_t i, bool *any, struct float_histogram *out)
{
    size_t most = c->buckets_count + 1, n = 0;
    double *bounds = arena_alloc_array(&s->arena, most, sizeof *bounds), *counts = arena_alloc_array(&s->arena, most, sizeof *counts);
    double cumulative = 0, count = 0, sum = 0, v, inf_count = 0;
    bool has_inf = false, stale = false, has_count = value_at(c->count, i, &count), has_sum = value_at(c->sum, i, &sum);
    *any = has_count || has_sum;
    stale = (has_count && is_stale_nan(count)) || (has_sum && is_stale_nan(sum));
    for (size_t k = 0; k < c->buckets_count; k++) {
        if (!value_at(c->buckets[k].line, i, &v))
            continue;
        *any = true;
        stale |= is_stale_nan(v);
        if (isinf(c->buckets[k].upper) && c->buckets[k].upper > 0) {
            has_inf = true;
            inf_count = v;
            continue;
        }
        if (v < cumulative && !stale)
            return script_fail(s, "buckets are not cumulative");
        bounds[n] = c->buckets[k].upper;
        counts[n++] = v - cumulative;
        cumulative = v;
    }
    if (!*any)
        return true;
    double total = has_count ? count : has_inf ? inf_count : cumulative;
    if (!stale && ((has_inf && has_count && inf_count != count) || total < cumulative))
        return script_fail(s, "the count does not agree with the buckets");
    counts[n] = total - cumulative;
    struct histogram_span *span = ARENA_NEW(&s->arena, struct histogram_span);
    *span = (struct histogram_span){ 0, u32_from_size(n + 1) };
    *out = (struct float_histogram){ .schema = HISTOGRAM_SCHEMA_CUSTOM, .count = total, .sum = sum,
                                     .positive = { span, 1, counts, n + 1 }, .custom_values = bounds, .custom_values_count = n };
    if (stale) {
        double marker = stale_nan();
        memcpy(&out->sum, &marker, sizeof marker);
    }
    float_histogram_compact(&s->arena, out);
    return true;
}

static bool load_classic(struct script *s, struct script_line *lines, size_t n, int64_t gap)
{
    struct classic *v = arena_alloc_array(&s->arena, n + 1, sizeof *v);
    size_t count = 0;
    collect_classic(s, lines, n, v, &count);
    for (size_t k = 0; k < count; k++) {
        const struct classic *c = &v[k];
        size_t steps = c->count ? c->count->n : 0;
        if (c->sum && c->sum->n > steps)
            steps = c->sum->n;
        for (size_t b = 0; b < c->buckets_count; b++)
            if (c->buckets[b].line->n > steps)
                steps = c->buckets[b].line->n;
        struct script_series *series = NULL;
        for (size_t i = 0; i < steps; i++) {
            bool any;
            struct float_histogram h;
            struct err err = { 0 };
            if (!convert_step(s, c, i, &any, &h))
                return false;
            if (!any)
                continue;
            if (!series)
                series = script_store_series(s->store, c->labels);
            if (!script_series_add(s->store, series, (int64_t)i * gap, 0, &h, 0, &err))
                return script_fail(s, "cannot load: %s", err.text);
        }
    }
    return true;
}

static bool run_load(struct script *s, struct str rest, bool nhcb)
{
    int64_t gap;
    struct str line;
    struct script_line *lines = NULL;
    size_t n = 0, capacity = 0;
    if (!take_ms(s, &rest, &gap))
        return false;
    struct script_line *starts[1] = { NULL };
    struct script_line **starts_of = NULL;
    while (next_line(s, &line) && line.n) {
        struct script_line l;
        struct err err = { 0 };
        if (!script_line_parse(&s->arena, line, &l, &err))
            return script_fail(s, "%s", err.text);
        if (l.is_start_times) {
            starts[0] = ARENA_NEW(&s->arena, struct script_line);
            *starts[0] = l;
            continue;
        }
        if (n == capacity) {
            size_t grown = capacity ? capacity * 2 : 16;
            struct script_line *v = arena_alloc_array(&s->arena, grown, sizeof *v);
            struct script_line **sv = arena_alloc_array(&s->arena, grown, sizeof(struct script_line *));
            if (n) {
                memcpy(v, lines, n * sizeof *v);
                memcpy(sv, starts_of, n * sizeof(struct script_line *));
            }
            lines = v;
            starts_of = sv;
            capacity = grown;
        }
        size_t at = 0;
        while (at < n && !labels_eq(lines[at].labels, l.labels))
            at++;
        lines[at] = l;
        starts_of[at] = starts[0] && labels_eq(starts[0]->labels, l.labels) ? starts[0] : NULL;
        starts[0] = NULL;
        n += at == n;
    }
    for (size_t i = 0; i < n; i++)
        if (!append_line(s, &lines[i], starts_of[i], gap))
            return false;
    return !nhcb || load_classic(s, lines, n, gap);
}

/* ---- eval: reading ---- */

static bool add_expect(struct script *s, struct expects *list, struct str rest)
{
    struct expect e = { .kind = EXPECT_ANY };
    if (list->n == EXPECTS_MAX)
        return script_fail(s, "more than %d expectations", EXPECTS_MAX);
    if (str_starts(rest, STR("msg:"))) {
        e.kind = EXPECT_MESSAGE;
        e.text = str_trim(str_from(rest, 4));
    } else if (str_starts(rest, STR("regex:"))) {
        e.kind = EXPECT_REGEX;
        e.text = str_trim(str_from(rest, 6));
    } else if (rest.n) {
        return script_fail(s, "bad expectation \"%.*s\"", STR_ARG(rest));
    }
    list->v[list->n++] = e;
    return true;
}

static bool read_expect(struct script *s, struct block *b, struct str rest)
{
    struct str what = take_word(&rest);
    if (str_eq(what, STR("ordered")))
        b->ordered = true;
    else if (str_eq(what, STR("no_warn")))
        b->no_warn = true;
    else if (str_eq(what, STR("no_info")))
        b->no_info = true;
    else if (str_eq(what, STR("fail")))
        return add_expect(s, &b->fail, rest);
    else if (str_eq(what, STR("warn")))
        return add_expect(s, &b->warn, rest);
    else if (str_eq(what, STR("info")))
        return add_expect(s, &b->info, rest);
    else if (str_eq(what, STR("string"))) {
        struct buf text = { 0 };
        bool ok = go_unquote(&text, rest, true);
        b->string_expected = true;
        b->string = arena_str(&s->arena, buf_view(&text));
        buf_deinit(&text);
        return ok || script_fail(s, "bad string %.*s", STR_ARG(rest));
    } else if (str_eq(what, STR("range"))) {
        b->range_vector = true;
        return take_keyword(s, &rest, "vector") && take_keyword(s, &rest, "from") && take_ms(s, &rest, &b->vector_from) &&
               take_keyword(s, &rest, "to") && take_ms(s, &rest, &b->to) && take_keyword(s, &rest, "step") &&
               take_ms(s, &rest, &b->step);
    } else {
        return script_fail(s, "unknown expectation \"%.*s\"", STR_ARG(what));
    }
    return true;
}

static bool read_result_line(struct script *s, struct block *b, struct str line)
{
    if (b->lines_count == b->lines_capacity) {
        size_t grown = b->lines_capacity ? b->lines_capacity * 2 : 16;
        struct script_line *v = arena_alloc_array(&s->arena, grown, sizeof *v);
        if (b->lines_count)
            memcpy(v, b->lines, b->lines_count * sizeof *v);
        b->lines = v;
        b->lines_capacity = grown;
    }
    struct err err = { 0 };
    return script_line_parse(&s->arena, line, &b->lines[b->lines_count++], &err) || script_fail(s, "%s", err.text);
}

static bool read_block(struct script *s, struct block *b)
{
    struct str line;
    while (next_line(s, &line) && line.n) {
        struct str rest = line, word = take_word(&rest);
        double v;
        if (str_eq(word, STR("expect"))) {
            if (!read_expect(s, b, rest))
                return false;
            continue;
        }
        if (str_eq(word, STR("expected_fail_message")) || str_eq(word, STR("expected_fail_regexp"))) {
            b->fail.n = 0;
            b->fail.v[b->fail.n++] = (struct expect){ str_eq(word, STR("expected_fail_message")) ? EXPECT_MESSAGE : EXPECT_REGEX, rest };
            return true;
        }
        if (rest.n == 0 && parse_number_text(word, &v)) {
            b->scalar_expected = true;
            b->scalar = v;
            return true;
        }
        if (rest.n == 0 && num_parse_f64(word, &v, NULL)) {
            b->scalar_expected = true;
            b->scalar = v;
            return true;
        }
        if (!read_result_line(s, b, line))
            return false;
    }
    return true;
}

/* ---- eval: comparing ---- */

struct outcome {
    struct promql_result *result; /* NULL: failed */
    struct err err;
};

static void mismatch(struct buf *why, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void mismatch(struct buf *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(why, fmt, ap);
    va_end(ap);
}

static bool text_fits(const struct expect *e, struct str text)
{
    if (e->kind == EXPECT_ANY)
        return true;
    if (e->kind == EXPECT_MESSAGE)
        return str_eq(e->text, text);
    struct err err = { 0 };
    struct regex *re = regex_compile(e->text, 0, &err);
    bool ok = re && regex_match(re, text);
    regex_release(re);
    return ok;
}

static bool check_notes(const struct expects *want, bool none, const struct str_list *got, const char *what, struct buf *why)
{
    if (none && got->n) {
        mismatch(why, "unexpected %s: %.*s", what, STR_ARG(got->v[0]));
        return false;
    }
    for (size_t i = 0; i < want->n; i++) {
        bool found = false;
        for (size_t k = 0; k < got->n; k++)
            found |= text_fits(&want->v[i], got->v[k]);
        if (!found) {
            mismatch(why, "expected %s \"%.*s\", got %zu: %.*s", what, STR_ARG(want->v[i].text), got->n,
                     STR_ARG(got->n ? got->v[0] : STR_EMPTY));
            return false;
        }
    }
    for (size_t k = 0; want->n && k < got->n; k++) {
        bool found = false;
        for (size_t i = 0; i < want->n; i++)
            found |= text_fits(&want->v[i], got->v[k]);
        if (!found) {
            mismatch(why, "unexpected %s: %.*s", what, STR_ARG(got->v[k]));
            return false;
        }
    }
    return true;
}

static bool near(double a, double b)
{
    return math_almost_equal(a, b, EPSILON);
}

static bool sides_near(const struct float_side *a, const struct float_side *b)
{
    size_t spans_a = 0, spans_b = 0;
    if (a->buckets_count != b->buckets_count)
        return false;
    while (spans_a < a->spans_count && spans_b < b->spans_count) {
        if (a->spans[spans_a].offset != b->spans[spans_b].offset || a->spans[spans_a].length != b->spans[spans_b].length)
            return false;
        spans_a++;
        spans_b++;
    }
    for (size_t i = 0; i < a->buckets_count; i++)
        if (!near(a->buckets[i], b->buckets[i]))
            return false;
    return a->spans_count == b->spans_count;
}

static bool histograms_near(struct script *s, const struct script_item *want, const struct float_histogram *got)
{
    struct float_histogram a, b;
    float_histogram_copy(&s->arena, want->h, &a);
    float_histogram_copy(&s->arena, got, &b);
    float_histogram_compact(&s->arena, &a);
    float_histogram_compact(&s->arena, &b);
    if (a.schema != b.schema || a.custom_values_count != b.custom_values_count)
        return false;
    for (size_t i = 0; i < a.custom_values_count; i++)
        if (a.custom_values[i] != b.custom_values[i])
            return false;
    if (want->hint_stated && a.hint != b.hint)
        return false;
    return a.zero_threshold == b.zero_threshold && near(a.zero_count, b.zero_count) && near(a.count, b.count) &&
           near(a.sum, b.sum) && sides_near(&a.positive, &b.positive) && sides_near(&a.negative, &b.negative);
}

static void show_point(struct buf *out, const struct promql_series *p, size_t i, bool histogram)
{
    if (histogram)
        float_histogram_write(out, p->h[i]);
    else
        num_write_f64(out, p->v[i], 'g', -1);
}
static void show_item(struct buf *out, const struct script_item *item)
{
    if (item->h)
        float_histogram_write(out, item->h);
    else
        num_write_f64(out, item->v, 'g', -1);
}

/* The sample of series p at t against an item (NULL: none is expected). */
static bool check_point(struct script *s, const struct promql_series *p, int64_t t, const struct script_item *want, struct buf *why)
{
    size_t i = 0, k = 0;
    while (i < p->n && p->t[i] != t)
        i++;
    while (k < p->hn && p->ht[k] != t)
        k++;
    bool has_float = i < p->n, has_histogram = k < p->hn, ok;
    if (!want || want->omitted)
        ok = !has_float && !has_histogram;
    else if (want->h)
        ok = has_histogram && !has_float && histograms_near(s, want, p->h[k]);
    else
        ok = has_float && !has_histogram && near(want->v, p->v[i]);
    if (ok)
        return true;
    labels_write_prometheus(why, p->labels);
    mismatch(why, " at %lld: want ", (long long)t);
    if (want && !want->omitted)
        show_item(why, want);
    else
        buf_c(why, "nothing");
    buf_c(why, ", got ");
    if (has_float || has_histogram)
        show_point(why, p, has_float ? i : k, !has_float);
    else
        buf_c(why, "nothing");
    return false;
}

static const struct promql_series *find_series(const struct promql_result *r, struct labels ls)
{
    for (size_t i = 0; i < r->n; i++)
        if (labels_eq(r->series[i].labels, ls))
            return &r->series[i];
    return NULL;
}

static bool check_vector(struct script *s, const struct block *b, const struct promql_result *r, int64_t t, bool ordered, struct buf *why)
{
    size_t present = 0;
    for (size_t i = 0; i < r->n; i++) {
        bool here = false;
        for (size_t k = 0; k < r->series[i].n; k++)
            here |= r->series[i].t[k] == t;
        for (size_t k = 0; k < r->series[i].hn; k++)
            here |= r->series[i].ht[k] == t;
        present += here;
    }
    for (size_t i = 0; i < b->lines_count; i++) {
        const struct script_line *l = &b->lines[i];
        const struct promql_series *p = find_series(r, l->labels);
        if (!p) {
            buf_c(why, "missing ");
            labels_write_prometheus(why, l->labels);
            if (r->n) {
                buf_c(why, ", got ");
                labels_write_prometheus(why, r->series[0].labels);
            }
            return false;
        }
        if (ordered && (size_t)(p - r->series) != i) {
            buf_c(why, "wrong order at ");
            labels_write_prometheus(why, l->labels);
            return false;
        }
        if (!check_point(s, p, t, l->n ? &l->v[0] : NULL, why))
            return false;
    }
    if (present != b->lines_count) {
        mismatch(why, "want %zu elements, got %zu", b->lines_count, present);
        for (size_t i = 0; i < r->n; i++) {
            if (i < 5) {
                buf_c(why, " ");
                labels_write_prometheus(why, r->series[i].labels);
            }
        }
        return false;
    }
    return true;
}

static bool check_matrix(struct script *s, const struct block *b, const struct promql_result *r, struct buf *why)
{
    int64_t from = b->range_vector ? b->vector_from : b->from;
    size_t steps = b->step > 0 ? (size_t)((b->to - from) / b->step) + 1 : 1, expected = 0;
    for (size_t i = 0; i < b->lines_count; i++) {
        const struct script_line *l = &b->lines[i];
        const struct promql_series *p = find_series(r, l->labels);
        size_t count = 0;
        for (size_t k = 0; k < l->n; k++)
            count += !l->v[k].omitted;
        expected += count > 0;
        if (!p && count) {
            buf_c(why, "missing ");
            labels_write_prometheus(why, l->labels);
            return false;
        }
        for (size_t k = 0; p && k < steps; k++)
            if (!check_point(s, p, from + (int64_t)k * b->step, k < l->n ? &l->v[k] : NULL, why))
                return false;
        if (p && p->n + p->hn != count) {
            labels_write_prometheus(why, l->labels);
            mismatch(why, ": want %zu points, got %zu", count, p->n + p->hn);
            return false;
        }
    }
    if (r->n != expected) {
        mismatch(why, "want %zu series, got %zu", expected, r->n);
        return false;
    }
    for (size_t i = 1; i < r->n; i++) {
        if (labels_cmp_prometheus(r->series[i - 1].labels, r->series[i].labels) > 0) {
            mismatch(why, "series are not sorted");
            return false;
        }
    }
    return true;
}

static bool check_result(struct script *s, const struct block *b, const struct promql_result *r, struct buf *why)
{
    if (b->is_range)
        return check_matrix(s, b, r, why);
    if (b->string_expected || r->type == PROMQL_STRING) {
        bool ok = b->string_expected && r->type == PROMQL_STRING && str_eq(r->string, b->string);
        if (!ok)
            mismatch(why, "want string \"%.*s\", got \"%.*s\"", STR_ARG(b->string), STR_ARG(r->string));
        return ok;
    }
    if (b->scalar_expected || r->type == PROMQL_SCALAR) {
        bool ok = b->scalar_expected && r->type == PROMQL_SCALAR && near(b->scalar, r->scalar);
        if (!ok)
            mismatch(why, "want scalar %g, got %.*s %g", b->scalar, STR_ARG(promql_type_text(r->type)), r->scalar);
        return ok;
    }
    if (r->type == PROMQL_MATRIX)
        return check_matrix(s, b, r, why);
    return check_vector(s, b, r, r->t, b->ordered, why);
}

static bool check_failure(const struct block *b, const struct outcome *o, struct buf *why)
{
    if (o->result) {
        mismatch(why, "should fail");
        return false;
    }
    for (size_t i = 0; i < b->fail.n; i++) {
        if (!text_fits(&b->fail.v[i], err_text(&o->err))) {
            mismatch(why, "want failure \"%.*s\", got \"%s\"", STR_ARG(b->fail.v[i].text), o->err.text);
            return false;
        }
    }
    return true;
}

static bool check_outcome(struct script *s, const struct block *b, const struct outcome *o, struct buf *why)
{
    if (b->fail.n)
        return check_failure(b, o, why);
    if (!o->result) {
        mismatch(why, "failed: %s", o->err.text);
        return false;
    }
    return check_notes(&b->warn, b->no_warn, &o->result->warnings, "warning", why) &&
           check_notes(&b->info, b->no_info, &o->result->infos, "info", why) && check_result(s, b, o->result, why);
}

/* ---- eval: running ---- */

static void run_query(struct script *s, struct str query, int64_t from, int64_t to, int64_t step, bool range, struct outcome *o)
{
    *o = (struct outcome){ 0 };
    struct promql_expr *e = promql_parse(query, SCRIPT_FEATURES, &o->err);
    if (!e)
        return;
    const struct promql_run run = { .storage = script_store_storage(s->store), .start_ms = from, .end_ms = to, .step_ms = step,
                                    .is_range = range, .samples_max = SCRIPT_SAMPLES_MAX, .features = SCRIPT_FEATURES };
    if (!promql_run(e, &run, &o->result, &o->err))
        o->result = NULL;
    promql_expr_free(e);
}

/* Puts @ t on everything that may have it. False: the result depends on the evaluation time all the same. */
static bool pin(struct promql_node *n, int64_t t)
{
    struct promql_place *p = n->kind == NODE_SELECTOR   ? &n->u.selector.place
                             : n->kind == NODE_SUBQUERY ? &n->u.subquery.place
                                                        : NULL;
    if (p && p->at == AT_NONE) {
        p->at = AT_TIME;
        p->at_ms = t;
    }
    bool ok = true;
    switch (n->kind) {
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_SELECTOR:
    case NODE_DURATION: break;
    case NODE_SUBQUERY: break;
    case NODE_MATRIX: return pin(n->u.matrix.selector, t);
    case NODE_PAREN: return pin(n->u.paren.expr, t);
    case NODE_UNARY: return pin(n->u.unary.expr, t);
    case NODE_BINARY: ok = pin(n->u.binary.l, t); return pin(n->u.binary.r, t) && ok;
    case NODE_CALL:
        ok = !n->u.call.fn->at_unsafe;
        for (size_t i = 0; i < n->u.call.args_count; i++)
            ok &= pin(n->u.call.args[i], t);
        break;
    case NODE_AGGREGATE:
        if (n->u.aggregate.param)
            ok = pin(n->u.aggregate.param, t);
        return pin(n->u.aggregate.expr, t) && ok;
    }
    return ok;
}
static bool find_unsafe(void *arg, const struct promql_node *n)
{
    if (n->kind == NODE_CALL && n->u.call.fn->at_unsafe)
        *(bool *)arg = true;
    return true;
}

static bool pinned_text(struct str query, int64_t t, struct buf *out)
{
    struct err err = { 0 };
    struct promql_expr *e = promql_parse(query, SCRIPT_FEATURES, &err);
    bool unsafe = false;
    if (!e)
        return false;
    promql_walk(e->root, find_unsafe, &unsafe);
    bool ok = !unsafe && pin(e->root, t);
    if (ok)
        promql_print(out, e->root);
    promql_expr_free(e);
    return ok;
}

static bool as_range_step(struct script *s, const struct block *b, struct str query, int64_t t, enum promql_type type, struct buf *why)
{
    static const struct str words[] = { STR_INIT("start()"), STR_INIT("end()"), STR_INIT("range()"), STR_INIT("step()") };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_contains(query, words[i]))
            return true;
    if (b->range_vector || b->string_expected || b->fail.n || type == PROMQL_MATRIX || type == PROMQL_STRING)
        return true;
    struct outcome o;
    run_query(s, query, t - 60000, t + 60000, 60000, true, &o);
    bool ok = o.result != NULL;
    if (!ok) {
        mismatch(why, "as a range query: failed: %s", o.err.text);
    } else if (b->scalar_expected) {
        const struct promql_series *p = o.result->n ? &o.result->series[0] : NULL;
        ok = p && p->n > 1 && near(p->v[1], b->scalar);
        if (!ok)
            mismatch(why, "as a range query: another scalar");
    } else if (!b->ordered) {
        struct buf inner = { 0 };
        ok = check_vector(s, b, o.result, t, false, &inner);
        if (!ok)
            mismatch(why, "as a range query: %.*s", STR_ARG(buf_view(&inner)));
        buf_deinit(&inner);
    }
    promql_result_free(o.result);
    return ok;
}

static bool run_instant(struct script *s, const struct block *b, struct str query, int64_t t, struct buf *why)
{
    struct outcome o;
    run_query(s, query, t, t, 0, false, &o);
    enum promql_type type = o.result ? o.result->type : PROMQL_NONE;
    bool ok = check_outcome(s, b, &o, why);
    promql_result_free(o.result);
    return ok && as_range_step(s, b, query, t, type, why);
}

static bool run_variants(struct script *s, const struct block *b, struct buf *why)
{
    int64_t t = b->to;
    struct buf text = { 0 };
    bool ok = run_instant(s, b, b->query, t, why);
    if (ok && pinned_text(b->query, t, &text)) {
        const int64_t times[] = { t ? -10 * t : -1000, 0, t ? t / 5 : 1000, t, 10 * t };
        for (size_t i = 0; i < ARRAY_LEN(times) && ok; i++) {
            ok = run_instant(s, b, buf_view(&text), times[i], why);
            if (!ok)
                mismatch(why, " [%.*s at %lld]", STR_ARG(buf_view(&text)), (long long)times[i]);
        }
    }
    buf_deinit(&text);
    return ok;
}

static bool run_eval(struct script *s, struct str rest, struct str verb)
{
    struct block b = { .line_number = s->line_number };
    struct str kind = take_word(&rest);
    if (str_eq_nocase(kind, STR("instant"))) {
        if (!take_keyword(s, &rest, "at") || !take_ms(s, &rest, &b.from))
            return false;
        b.to = b.from;
    } else if (str_eq_nocase(kind, STR("range"))) {
        b.is_range = true;
        if (!take_keyword(s, &rest, "from") || !take_ms(s, &rest, &b.from) || !take_keyword(s, &rest, "to") ||
            !take_ms(s, &rest, &b.to) || !take_keyword(s, &rest, "step") || !take_ms(s, &rest, &b.step))
            return false;
        if (b.to < b.from || b.step <= 0)
            return script_fail(s, "bad range");
    } else {
        return script_fail(s, "unknown evaluation \"%.*s\"", STR_ARG(kind));
    }
    b.query = rest;
    if (str_eq_nocase(verb, STR("eval_fail")))
        b.fail.v[b.fail.n++] = (struct expect){ .kind = EXPECT_ANY };
    else if (str_eq_nocase(verb, STR("eval_warn")))
        b.warn.v[b.warn.n++] = (struct expect){ .kind = EXPECT_ANY };
    else if (str_eq_nocase(verb, STR("eval_info")))
        b.info.v[b.info.n++] = (struct expect){ .kind = EXPECT_ANY };
    b.ordered = str_eq_nocase(verb, STR("eval_ordered"));
    if (!read_block(s, &b))
        return false;
    if ((b.no_warn && b.warn.n) || (b.no_info && b.info.n) || (b.is_range && b.ordered))
        return script_fail(s, "expectations contradict each other");
    struct buf why = { 0 };
    bool ok;
    if (b.is_range) {
        struct outcome o;
        run_query(s, b.query, b.from, b.to, b.step, true, &o);
        ok = check_outcome(s, &b, &o, &why);
        promql_result_free(o.result);
    } else {
        ok = run_variants(s, &b, &why);
    }
    s->counts->passed += ok;
    s->counts->failed += !ok;
    if (!ok)
        buf_printf(s->report, "line %zu: %.*s: %.*s\n", b.line_number, STR_ARG(b.query), STR_ARG(buf_view(&why)));
    buf_deinit(&why);
    return true;
}

static bool run_command(struct script *s, struct str line)
{
    struct str rest = line, word = take_word(&rest);
    if (str_eq_nocase(word, STR("clear"))) {
        script_store_free(s->store);
        s->store = script_store_new();
        return true;
    }
    if (str_eq_nocase(word, STR("load")))
        return run_load(s, rest, false);
    if (str_eq_nocase(word, STR("load_with_nhcb")))
        return run_load(s, rest, true);
    static const struct str evals[] = { STR_INIT("eval"), STR_INIT("eval_fail"), STR_INIT("eval_warn"), STR_INIT("eval_info"),
                                        STR_INIT("eval_ordered") };
    for (size_t i = 0; i < ARRAY_LEN(evals); i++)
        if (str_eq_nocase(word, evals[i]))
            return run_eval(s, rest, word);
    return script_fail(s, "unknown command \"%.*s\"", STR_ARG(word));
}

bool testscript_run(struct str text, struct buf *report, struct testscript_counts *counts, struct err *err)
{
    struct script s = { .text = text, .store = script_store_new(), .report = report, .counts = counts, .err = err };
    struct str line;
    bool ok = true;
    arena_init(&s.arena, ARENA_NO_LIMIT);
    while (ok && next_line(&s, &line)) {
        if (line.n == 0)
            continue;
        ok = run_command(&s, line);
        arena_reset(&s.arena);
    }
    arena_deinit(&s.arena);
    script_store_free(s.store);
    return ok;
}
