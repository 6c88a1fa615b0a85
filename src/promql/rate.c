/* rate, increase, delta, irate, idelta (spec 7.1, 7.2, 10.4).
 *
 * Counter resets are found once per series, as a list of sample numbers; a window then adds what its resets lost. So a rate
 * over a long range costs the samples once, not once per step.
 *
 * R1  resets[] ascends; resets_at is the first one behind the start of the current window, and windows never move back. */
#include "promql/eval_int.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "promql/scan_int.h"

#include <math.h>

static bool uses_starts(const struct range_call *c)
{
    return (c->ev->features & PROMQL_START_TIMES) && c->matrix->kind == NODE_MATRIX;
}

/* ---- resets ---- */

static void add_reset(struct range_call *c, size_t i)
{
    if (c->resets_count == c->resets_capacity) {
        c->resets_capacity = mem_grow(c->resets_capacity, c->resets_count + 1);
        c->resets = mem_realloc_array(c->resets, c->resets_capacity, sizeof *c->resets);
    }
    c->resets[c->resets_count++] = u32_from_size(i);
}

static void find_resets(struct range_call *c)
{
    const struct range_series *s = c->series;
    bool starts = uses_starts(c) && s->st;
    c->resets_count = c->resets_at = 0;
    for (size_t i = 1; i < s->n;) {
        i = starts ? i : scan_fall(s->v, i, s->n);
        for (size_t end = s->n - i < SCAN_BLOCK ? s->n : i + SCAN_BLOCK; i < end; i++)
            if (s->v[i] < s->v[i - 1] || (starts && start_time_reset(s->t[i - 1], s->st[i - 1], s->t[i], s->st[i])))
                add_reset(c, i);
    }
}

static double lost_by_resets(struct range_call *c, const struct window *w)
{
    double lost = 0;
    while (c->resets_at < c->resets_count && c->resets[c->resets_at] <= w->first)
        c->resets_at++;
    for (size_t k = c->resets_at; k < c->resets_count && c->resets[k] < w->first + w->n; k++)
        lost += c->series->v[c->resets[k] - 1];
    return lost;
}

/* ---- the common end: extrapolation ---- */

struct extent {
    int64_t t_first, t_last;
    size_t n;
    double zero_ratio; /* first / result; negative: the counter's zero does not limit */
    bool from_start;   /* a start time inside the window: nothing to extrapolate before it */
    int64_t st;
};

static double extrapolation(const struct range_call *c, const struct window *w, const struct extent *x, bool is_rate)
{
    double to_start = (double)(x->t_first - w->start) / 1000, to_end = (double)(w->end - x->t_last) / 1000;
    double interval = (double)(x->t_last - x->t_first) / 1000;
    double avg = x->n > 1 ? interval / (double)(x->n - 1) : 0, threshold = avg * 1.1;
    if (to_start >= threshold)
        to_start = avg / 2;
    if (x->from_start) {
        to_start = 0;
        interval = (double)(x->t_last - x->st) / 1000;
    } else if (x->zero_ratio >= 0) {
        double to_zero = interval * x->zero_ratio;
        if (to_zero < to_start)
            to_start = to_zero;
    }
    if (to_end >= threshold)
        to_end = avg / 2;
    double factor = interval == 0 ? 1 : (interval + to_start + to_end) / interval;
    return is_rate ? factor / ((double)c->range_ms / 1000) : factor;
}

static bool mix_warning(struct range_call *c)
{
    note_warning(c->ev, range_arg_at(c, 0), "encountered a mix of histograms and floats%.*s",
                 STR_ARG(note_metric(c->ev, c->metric)));
    return true;
}

static struct str quoted_metric(struct range_call *c)
{
    struct buf b = { 0 };
    go_quote(&b, c->metric);
    struct str s = arena_str(c->ev->a, buf_view(&b));
    buf_deinit(&b);
    return s;
}

static void counter_name_info(struct range_call *c)
{
    struct str m = c->metric;
    if (m.n == 0)
        return;
    if (c->ev->features & PROMQL_TYPE_AND_UNIT) {
        struct str type = labels_get(c->series->labels, STR("__type__"));
        if (!str_eq(type, STR("counter")) && !str_eq(type, STR("histogram")))
            note_info(c->ev, range_arg_at(c, 0),
                      "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got \"%.*s\": %.*s",
                      STR_ARG(type), STR_ARG(quoted_metric(c)));
        return;
    }
    if (str_ends(m, STR("_total")) || str_ends(m, STR("_sum")) || str_ends(m, STR("_count")) || str_ends(m, STR("_bucket")))
        return;
    note_info(c->ev, range_arg_at(c, 0),
              "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: %.*s", STR_ARG(quoted_metric(c)));
}

/* A sample that starts before the previous one ended, unless both share the start. */
static void overlap_warning(struct range_call *c, const int64_t *t, const int64_t *st, size_t n)
{
    size_t found = 0;
    for (size_t i = 1; i < n; i++)
        found += st[i] != 0 && st[i] < t[i - 1] && st[i] != st[i - 1];
    if (found)
        note_warning(c->ev, range_arg_at(c, 0), "sample has start time that overlaps with previous sample timestamp for metric %.*s",
                     STR_ARG(quoted_metric(c)));
}

/* ---- floats ---- */

static bool float_rate(struct range_call *c, const struct window *w, bool is_counter, bool is_rate, struct point *out)
{
    struct extent x = { .t_first = w->t[0], .t_last = w->t[w->n - 1], .n = w->n, .zero_ratio = -1 };
    if (is_counter && uses_starts(c) && w->st) {
        x.st = w->st[0];
        x.from_start = x.st != 0 && w->start < x.st && x.st < w->t[0];
        overlap_warning(c, w->t, w->st, w->n);
    }
    if (w->n < 2 && !x.from_start)
        return true;
    double result = w->v[w->n - 1] - w->v[0];
    if (is_counter)
        result += lost_by_resets(c, w);
    if (x.from_start)
        result += w->v[0];
    if (is_counter && result > 0 && w->v[0] >= 0)
        x.zero_ratio = w->v[0] / result;
    *out = (struct point){ CELL_FLOAT, result * extrapolation(c, w, &x, is_rate), NULL };
    return true;
}

/* ---- histograms ---- */

static void schema_mix(struct range_call *c)
{
    note_warning(c->ev, range_arg_at(c, 0),
                 "vector contains a mix of histograms with exponential and custom buckets schemas%.*s",
                 STR_ARG(note_metric(c->ev, c->metric)));
}
static void not_a(struct range_call *c, const char *what)
{
    note_warning(c->ev, range_arg_at(c, 0), "this native histogram metric is not a %s: %.*s", what, STR_ARG(quoted_metric(c)));
}
static void reconciled_info(struct range_call *c, const struct histogram_notes *notes, const char *what)
{
    if (notes->bounds_reconciled)
        note_info(c->ev, range_arg_at(c, 0), "mismatched custom buckets were reconciled during %s", what);
}
static bool is_custom(const struct float_histogram *h)
{
    return h->schema == HISTOGRAM_SCHEMA_CUSTOM;
}

static bool histogram_reset(struct range_call *c, const struct window *w, size_t i)
{
    if (float_histogram_is_reset(c->ev->a, w->h[i], w->h[i - 1]))
        return true;
    return uses_starts(c) && w->hst && start_time_reset(w->ht[i - 1], w->hst[i - 1], w->ht[i], w->hst[i]);
}

static bool histogram_rate(struct range_call *c, const struct window *w, bool is_counter, bool is_rate, struct point *out)
{
    struct eval *ev = c->ev;
    size_t n = w->hn;
    struct extent x = { .t_first = w->ht[0], .t_last = w->ht[n - 1], .n = n, .zero_ratio = -1 };
    if (is_counter && uses_starts(c) && w->hst) {
        x.st = w->hst[0];
        x.from_start = x.st != 0 && w->start < x.st && x.st < w->ht[0];
        overlap_warning(c, w->ht, w->hst, n);
    }
    if (n < 2 && !x.from_start)
        return true;
    const struct float_histogram *first = w->h[0], *last = w->h[n - 1];
    struct float_histogram empty = { .schema = last->schema, .custom_values = last->custom_values,
                                     .custom_values_count = last->custom_values_count };
    bool gauge = false;
    if (is_counter)
        for (size_t i = 0; i < n; i++)
            gauge |= w->h[i]->hint == RESET_GAUGE;
    if (gauge)
        not_a(c, "counter");
    bool skip_first = is_counter && n > 1 && histogram_reset(c, w, 1);
    if (skip_first) {
        empty.schema = w->h[1]->schema;
        empty.custom_values = w->h[1]->custom_values;
        empty.custom_values_count = w->h[1]->custom_values_count;
        first = &empty;
    }
    int32_t schema = first->schema < last->schema ? first->schema : last->schema;
    for (size_t i = is_counter ? (skip_first ? 1 : 0) : n; i < n; i++) {
        if (is_custom(w->h[i]) != is_custom(last))
            return schema_mix(c), true;
        schema = w->h[i]->schema < schema ? w->h[i]->schema : schema;
    }
    if (is_custom(first) != is_custom(last))
        return schema_mix(c), true;
    struct float_histogram *h = histogram_clone(ev, last);
    if (!is_custom(h) && h->schema > schema)
        float_histogram_reduce(ev->a, h, schema);
    struct histogram_notes notes = { 0 };
    bool ok = float_histogram_sub(ev->a, h, first, &notes);
    reconciled_info(c, &notes, "subtraction");
    notes = (struct histogram_notes){ 0 };
    if (ok && x.from_start)
        ok = float_histogram_add(ev->a, h, w->h[0], &notes);
    for (size_t i = skip_first ? 2 : 1; is_counter && i < n && ok; i++)
        if (histogram_reset(c, w, i))
            ok = float_histogram_add(ev->a, h, w->h[i - 1], &notes);
    reconciled_info(c, &notes, "addition");
    if (!ok)
        return schema_mix(c), true;
    if (!is_counter && (w->h[0]->hint != RESET_GAUGE || last->hint != RESET_GAUGE))
        not_a(c, "gauge");
    if (is_counter && h->count > 0 && w->h[0]->count >= 0)
        x.zero_ratio = w->h[0]->count / h->count;
    float_histogram_mul(h, extrapolation(c, w, &x, is_rate));
    h->hint = RESET_GAUGE;
    float_histogram_compact(ev->a, h);
    *out = (struct point){ CELL_HISTOGRAM, 0, h };
    return true;
}

/* ---- all steps at once ---- */

/* What extrapolation makes of a window's times alone. */
struct rate_step {
    double interval, to_start, to_end;
    double factor; /* where the counter's zero does not limit */
};

static bool find_rate_steps(struct range_call *c, bool is_rate)
{
    const struct spans *sp = &c->spans;
    const int64_t *t = c->series->t;
    if (!c->rate_steps && !(c->rate_steps = eval_alloc(c->ev, c->frame->n, sizeof *c->rate_steps)))
        return false;
    double range = (double)c->range_ms / 1000;
    for (size_t i = 0; i < c->frame->n; i++) {
        size_t n = sp->to[i] - sp->from[i];
        if (n < 2)
            continue;
        int64_t end = place_time(c->frame, c->place, i), first = t[sp->from[i]], last = t[sp->to[i] - 1];
        struct rate_step s = { .interval = (double)(last - first) / 1000, .to_start = (double)(first - (end - c->range_ms)) / 1000,
                               .to_end = (double)(end - last) / 1000 };
        double avg = s.interval / (double)(n - 1), threshold = avg * 1.1;
        if (s.to_start >= threshold)
            s.to_start = avg / 2;
        if (s.to_end >= threshold)
            s.to_end = avg / 2;
        s.factor = s.interval == 0 ? 1 : (s.interval + s.to_start + s.to_end) / s.interval;
        if (is_rate)
            s.factor /= range;
        c->rate_steps[i] = s;
    }
    return true;
}

/* Does the line from `first` upwards by `result` in the interval surely start at zero before to_start begins? Then the zero
 * does not limit. Said without a division; what is near the limit, tiny or not finite is not sure. */
static inline bool surely_far_from_zero(const struct rate_step *s, double first, double result)
{
    return result > 1e-290 && s->interval * first > s->to_start * result * (1 + 1e-9);
}

static double limited_by_zero(const struct range_call *c, const struct rate_step *s, double first, double result, bool is_rate)
{
    double to_zero = s->interval * (first / result);
    if (!(to_zero < s->to_start))
        return s->factor;
    double factor = s->interval == 0 ? 1 : (s->interval + to_zero + s->to_end) / s->interval;
    return is_rate ? factor / ((double)c->range_ms / 1000) : factor;
}

/* float_rate() and extrapolation() for all steps. The order of operations is theirs, so the digits are. */
static inline size_t rate_column(struct range_call *c, bool is_counter, bool is_rate)
{
    const struct spans *sp = &c->spans;
    const double *v = c->series->v;
    double *out = c->out->v;
    size_t steps = c->frame->n, cells = 0;
    if (uses_starts(c) && is_counter && c->series->st)
        return SIZE_MAX;
    if ((sp->fresh || !c->rate_steps) && !find_rate_steps(c, is_rate))
        return SIZE_MAX;
    for (size_t i = 0; i < steps; i++) {
        size_t a = sp->from[i], b = sp->to[i];
        if (b - a < 2)
            continue;
        const struct rate_step *s = &c->rate_steps[i];
        double first = v[a], result = v[b - 1] - first, factor = s->factor;
        if (is_counter) {
            if (c->resets_count) {
                const struct window w = { .first = a, .n = b - a };
                result += lost_by_resets(c, &w);
            }
            if (result > 0 && first >= 0 && !surely_far_from_zero(s, first, result))
                factor = limited_by_zero(c, s, first, result, is_rate);
        }
        c->out->kind[i] = CELL_FLOAT;
        out[i] = result * factor;
        cells++;
    }
    if (is_counter && cells)
        counter_name_info(c);
    return cells;
}
static size_t rate_all(struct range_call *c)
{
    return rate_column(c, true, true);
}
static size_t increase_all(struct range_call *c)
{
    return rate_column(c, true, false);
}
static size_t delta_all(struct range_call *c)
{
    return rate_column(c, false, false);
}

static bool extrapolated(struct range_call *c, const struct window *w, bool is_counter, bool is_rate, struct point *out)
{
    if (c->place->anchored || c->place->smoothed)
        return extended_rate(c, w, is_counter, is_rate, out);
    if (w->n && w->hn)
        return mix_warning(c);
    if (w->hn)
        return histogram_rate(c, w, is_counter, is_rate, out);
    if (!float_rate(c, w, is_counter, is_rate, out))
        return false;
    if (is_counter && out->kind == CELL_FLOAT)
        counter_name_info(c);
    return true;
}
static bool rate_eval(struct range_call *c, const struct window *w, struct point *out)
{
    return extrapolated(c, w, true, true, out);
}
static bool increase_eval(struct range_call *c, const struct window *w, struct point *out)
{
    return extrapolated(c, w, true, false, out);
}
static bool delta_eval(struct range_call *c, const struct window *w, struct point *out)
{
    return extrapolated(c, w, false, false, out);
}

/* ---- the last two ---- */

static bool instant_histograms(struct range_call *c, const struct window *w, size_t last, bool is_rate, double seconds,
                               struct point *out)
{
    struct eval *ev = c->ev;
    const struct float_histogram *a = w->h[last - 1], *b = w->h[last];
    bool gauges = a->hint == RESET_GAUGE && b->hint == RESET_GAUGE;
    if (is_rate && (a->hint == RESET_GAUGE || b->hint == RESET_GAUGE))
        not_a(c, "counter");
    if (!is_rate && !gauges)
        not_a(c, "gauge");
    struct float_histogram *h = histogram_clone(ev, b);
    if (!is_rate || !histogram_reset(c, w, last)) {
        struct histogram_notes notes = { 0 };
        if (!float_histogram_sub(ev->a, h, a, &notes))
            return schema_mix(c), true;
        reconciled_info(c, &notes, "subtraction");
    }
    h->hint = RESET_GAUGE;
    if (is_rate)
        float_histogram_div(h, seconds);
    float_histogram_compact(ev->a, h);
    *out = (struct point){ CELL_HISTOGRAM, 0, h };
    return true;
}

static bool instantaneous(struct range_call *c, const struct window *w, bool is_rate, struct point *out)
{
    if (w->n + w->hn < 2)
        return true;
    size_t f = w->n, h = w->hn;
    bool last_float = !h || (f && w->t[f - 1] > w->ht[h - 1]);
    int64_t t1 = last_float ? w->t[--f] : w->ht[--h];
    bool prev_float = !h || (f && w->t[f - 1] > w->ht[h - 1]);
    int64_t t0 = prev_float ? w->t[--f] : w->ht[--h];
    if (last_float != prev_float)
        return mix_warning(c);
    if (t1 == t0)
        return true;
    double seconds = (double)(t1 - t0) / 1000;
    if (!last_float)
        return instant_histograms(c, w, w->hn - 1, is_rate, seconds, out);
    size_t last = w->n - 1;
    double v = w->v[last] - w->v[last - 1];
    if (is_rate && (w->v[last] < w->v[last - 1] ||
                    (uses_starts(c) && w->st && start_time_reset(t0, w->st[last - 1], t1, w->st[last]))))
        v = w->v[last];
    *out = (struct point){ CELL_FLOAT, is_rate ? v / seconds : v, NULL };
    return true;
}
/* instantaneous() for all steps. */
static inline size_t instant_column(struct range_call *c, bool is_rate)
{
    const struct spans *sp = &c->spans;
    const int64_t *t = c->series->t;
    const double *v = c->series->v;
    size_t cells = 0;
    if (is_rate && uses_starts(c) && c->series->st)
        return SIZE_MAX;
    for (size_t i = 0; i < c->frame->n; i++) {
        if (sp->to[i] - sp->from[i] < 2)
            continue;
        size_t last = sp->to[i] - 1;
        double d = is_rate && v[last] < v[last - 1] ? v[last] : v[last] - v[last - 1];
        c->out->kind[i] = CELL_FLOAT;
        c->out->v[i] = is_rate ? d / ((double)(t[last] - t[last - 1]) / 1000) : d;
        cells++;
    }
    return cells;
}
static size_t irate_all(struct range_call *c)
{
    return instant_column(c, true);
}
static size_t idelta_all(struct range_call *c)
{
    return instant_column(c, false);
}
static bool irate_eval(struct range_call *c, const struct window *w, struct point *out)
{
    return instantaneous(c, w, true, out);
}
static bool idelta_eval(struct range_call *c, const struct window *w, struct point *out)
{
    return instantaneous(c, w, false, out);
}

const struct range_function range_rate = { rate_eval, find_resets, rate_all },
                            range_increase = { increase_eval, find_resets, increase_all },
                            range_delta = { delta_eval, NULL, delta_all }, range_irate = { irate_eval, NULL, irate_all },
                            range_idelta = { idelta_eval, NULL, idelta_all };
