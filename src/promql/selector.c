/* Instant selectors: per series one read into arrays, then one walk over the steps with a finger on the newest sample at or
 * before each. What is read is [first reference - lookback, last reference]; the lookback is left-open (spec 3.2).
 *
 * Histograms die with the arrays, so the ones that are emitted are copied into the query's arena, once per sample. */
#include "promql/eval_int.h"

void place_bounds(const struct frame *f, const struct promql_place *p, int64_t *first, int64_t *last)
{
    *first = place_time(f, p, 0);
    *last = place_time(f, p, f->n - 1);
}

struct reader {
    struct eval *ev;
    const struct frame *f;
    const struct promql_node *node;
    const struct promql_selector *sel;
    struct columns columns;
    struct column *out;
    struct labels labels;
};

/* In place: histograms as statistics mode shows them (spec 10.5). */
void stats_only(struct arena *a, struct columns *c);

static bool show_histogram(struct reader *r, size_t i, int64_t t, const struct float_histogram *h,
                           const struct float_histogram **copied_of, const struct float_histogram **copy)
{
    const struct promql_selector *s = r->sel;
    if (s->with_times) {
        column_set(r->out, i, (double)t / 1000);
        return true;
    }
    if (*copied_of != h) {
        *copy = histogram_clone(r->ev, h);
        *copied_of = h;
    }
    return column_set_histogram(r->ev, r->out, r->f->n, i, *copy);
}

static bool fill_steps(struct reader *r, size_t *cells)
{
    const struct columns *c = &r->columns;
    const struct promql_place *p = &r->sel->place;
    const struct float_histogram *copied_of = NULL, *copy = NULL;
    int64_t lookback = r->ev->lookback;
    size_t k = 0, m = 0;
    bool times = r->sel->with_times, starts = r->sel->with_starts;
    for (size_t i = 0; i < r->f->n; i++) {
        int64_t ref = place_time(r->f, p, i);
        while (k < c->n && c->t[k] <= ref)
            k++;
        while (m < c->hn && c->ht[m] <= ref)
            m++;
        int64_t tf = k ? c->t[k - 1] : INT64_MIN, th = m ? c->ht[m - 1] : INT64_MIN;
        if (k && tf >= th) {
            if (tf <= ref - lookback || is_stale_nan(c->v[k - 1]))
                continue;
            double v = c->v[k - 1];
            if (times)
                v = (double)tf / 1000;
            else if (starts)
                v = c->st ? (double)c->st[k - 1] / 1000 : 0;
            column_set(r->out, i, v);
            ++*cells;
        } else if (m && th > ref - lookback && !is_stale_nan(c->h[m - 1]->sum)) {
            if (starts)
                column_set(r->out, i, c->hst ? (double)c->hst[m - 1] / 1000 : 0);
            else if (!show_histogram(r, i, th, c->h[m - 1], &copied_of, &copy))
                return false;
            ++*cells;
        }
    }
    return true;
}

/* Floats only, nothing special: the loop most queries are in. */
static size_t fill_floats(struct reader *r)
{
    const struct columns *c = &r->columns;
    const struct promql_place *p = &r->sel->place;
    int64_t lookback = r->ev->lookback, step = p->at == AT_TIME ? 0 : r->f->step;
    int64_t ref = place_time(r->f, p, 0);
    size_t k = 0, cells = 0;
    uint8_t *kind = r->out->kind;
    double *v = r->out->v;
    for (size_t i = 0; i < r->f->n; i++, ref += step) {
        while (k < c->n && c->t[k] <= ref)
            k++;
        if (k == 0 || c->t[k - 1] <= ref - lookback || is_stale_nan(c->v[k - 1]))
            continue;
        kind[i] = CELL_FLOAT;
        memcpy(&v[i], &c->v[k - 1], sizeof *v);
        cells++;
    }
    return cells;
}

static bool fill_smoothed(struct reader *r, size_t *cells)
{
    const struct columns *c = &r->columns;
    struct eval *ev = r->ev;
    struct columns live = { 0 };
    bool ok = true;
    for (size_t i = 0; i < c->n; i++)
        if (!is_stale_nan(c->v[i]))
            columns_push(&live, c->t[i], c->v[i]);
    for (size_t i = 0; i < c->hn; i++)
        if (!is_stale_nan(c->h[i]->sum))
            columns_push_histogram(&live, c->ht[i], c->h[i]);
    size_t a = 0, b = 0, ha = 0, hb = 0;
    for (size_t i = 0; i < r->f->n && ok; i++) {
        int64_t ref = place_time(r->f, &r->sel->place, i);
        for (; a < live.n && live.t[a] <= ref - ev->lookback; a++)
            continue;
        for (; b < live.n && live.t[b] <= ref + ev->lookback; b++)
            continue;
        for (; ha < live.hn && live.ht[ha] <= ref - ev->lookback; ha++)
            continue;
        for (; hb < live.hn && live.ht[hb] <= ref + ev->lookback; hb++)
            continue;
        struct window w = { .n = b > a ? b - a : 0, .hn = hb > ha ? hb - ha : 0 };
        w.t = w.n ? live.t + a : NULL;
        w.v = w.n ? live.v + a : NULL;
        w.ht = w.hn ? live.ht + ha : NULL;
        w.h = w.hn ? live.h + ha : NULL;
        struct point out = { 0 };
        ok = smoothed_instant(ev, r->node, &w, ref, metric_name(r->labels), &out);
        if (!ok || out.kind == CELL_NONE)
            continue;
        ++*cells;
        if (out.kind == CELL_FLOAT)
            column_set(r->out, i, out.v);
        else
            ok = column_set_histogram(ev, r->out, r->f->n, i, out.h);
    }
    columns_deinit(&live);
    return ok;
}

static bool read_one(struct reader *r, struct series *s, int64_t mint, int64_t maxt, size_t *cells)
{
    struct eval *ev = r->ev;
    columns_reset(&r->columns);
    if (!series_read(s, mint, maxt, &r->columns, ev->err))
        return false;
    if (r->sel->stats_only && r->columns.hn)
        stats_only(columns_arena(&r->columns), &r->columns);
    column_clear(r->out, r->f->n);
    *cells = 0;
    if (r->sel->place.smoothed)
        return fill_smoothed(r, cells);
    if (r->columns.hn || r->sel->with_times || r->sel->with_starts)
        return fill_steps(r, cells);
    *cells = fill_floats(r);
    return true;
}

void stats_only(struct arena *a, struct columns *c)
{
    const struct float_histogram *prev = NULL;
    for (size_t i = 0; i < c->hn; i++) {
        struct float_histogram *full = c->h[i];
        if (is_stale_nan(full->sum))
            continue;
        struct float_histogram *h = ARENA_NEW(a, struct float_histogram);
        *h = (struct float_histogram){ .hint = full->hint, .schema = full->schema, .count = full->count, .sum = full->sum };
        if (h->hint == RESET_UNKNOWN && prev)
            h->hint = float_histogram_is_reset(a, full, prev) ? RESET_YES : RESET_NO;
        prev = full;
        c->h[i] = h;
    }
}

bool selector_eval(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    const struct promql_selector *sel = &n->u.selector;
    struct reader r = { .ev = ev, .f = f, .node = n, .sel = sel, .out = column_new(ev, f->n) };
    int64_t first, last;
    place_bounds(f, &sel->place, &first, &last);
    int64_t mint = first - ev->lookback, maxt = sel->place.smoothed ? last + ev->lookback : last;
    const struct select_hints hints = { .step_ms = f->n > 1 ? f->step : 0 };
    struct series_set *set;
    struct series *s;
    bool ok = r.out && querier_select(ev->querier, &sel->matchers, &hints, &set, ev->err);
    if (!ok && r.out)
        err_wrap(ev->err, "expanding series");
    while (ok && (ok = series_set_next(set, &s, ev->err)) && s) {
        size_t cells;
        r.labels = s->labels;
        ok = eval_poll(ev) && read_one(&r, s, mint, maxt, &cells);
        if (!ok || cells == 0)
            continue;
        r.out->labels = s->labels;
        ev->samples_total += cells;
        for (size_t i = 0; ev->per_step && f == ev->query_frame && i < f->n; i++)
            ev->per_step[i] += r.out->kind[i] != CELL_NONE;
        ok = eval_count(ev, r.out->h ? column_cost(r.out, f->n) : cells) && emit(arg, r.out);
    }
    columns_deinit(&r.columns);
    return ok;
}
