/* Range functions: the series of a range selector or subquery, one by one, and for each a walk over the steps with two
 * fingers on the samples inside (end - range, end]. The walk is linear in samples plus steps; functions that look at every
 * sample of a window pay for the overlap, those that prepare per series (resets of counters) do not. Functions that have a
 * `column` get the windows of a series of floats as two arrays, found once for all series with the same times.
 *
 * A range selector reads [first reference - range, last reference], a subquery evaluates its expression over a frame of its
 * own, aligned to multiples of its step, and joins what it gets by labels (E2 holds per step, a window spans many). */
#include "promql/eval_int.h"

#include "base/mem.h"
#include "promql/scan_int.h"

/* ---- sources ---- */

void stats_only(struct arena *a, struct columns *c);

static bool any_stale(const struct columns *c)
{
    bool any = false, nan = scan_has_nan(c->v, c->n);
    for (size_t i = 0; nan && i < c->n; i++)
        any |= is_stale_nan(c->v[i]);
    for (size_t i = 0; i < c->hn; i++)
        any |= is_stale_nan(c->h[i]->sum);
    return any;
}

/* Stale markers leave the arrays. */
static void drop_stale(struct columns *c)
{
    size_t k = 0;
    if (!any_stale(c))
        return;
    int64_t *st = c->st ? arena_alloc_array(columns_arena(c), c->n + 1, sizeof *st) : NULL;
    int64_t *hst = c->hst ? arena_alloc_array(columns_arena(c), c->hn + 1, sizeof *hst) : NULL;
    for (size_t i = 0; i < c->n; i++) {
        if (is_stale_nan(c->v[i]))
            continue;
        c->t[k] = c->t[i];
        memmove(&c->v[k], &c->v[i], sizeof *c->v);
        if (st)
            st[k] = c->st[i];
        k++;
    }
    c->n = k;
    k = 0;
    for (size_t i = 0; i < c->hn; i++) {
        if (is_stale_nan(c->h[i]->sum))
            continue;
        c->ht[k] = c->ht[i];
        c->h[k] = c->h[i];
        if (hst)
            hst[k] = c->hst[i];
        k++;
    }
    c->hn = k;
    c->st = st;
    c->hst = hst;
}

static bool each_of_selector(struct eval *ev, const struct frame *f, const struct promql_node *n, range_visit *visit, void *arg)
{
    const struct promql_selector *sel = &n->u.matrix.selector->u.selector;
    int64_t first, last;
    place_bounds(f, &sel->place, &first, &last);
    int64_t mint = first - n->u.matrix.range.ms, maxt = last;
    if (sel->place.anchored || sel->place.smoothed)
        mint -= ev->lookback;
    if (sel->place.smoothed)
        maxt += ev->lookback;
    const struct select_hints hints = { .step_ms = f->n > 1 ? f->step : 0, .range_ms = n->u.matrix.range.ms };
    struct columns c = { 0 };
    struct series_set *set;
    struct series *s;
    bool ok = querier_select(ev->querier, &sel->matchers, &hints, &set, ev->err) ||
              (err_wrap(ev->err, "expanding series"), false);
    while (ok && (ok = series_set_next(set, &s, ev->err)) && s) {
        columns_reset(&c);
        ok = eval_poll(ev) && series_read(s, mint, maxt, &c, ev->err);
        if (!ok || c.n + c.hn == 0)
            continue;
        if (sel->stats_only && c.hn)
            stats_only(columns_arena(&c), &c);
        drop_stale(&c);
        const struct range_series rs = { .labels = s->labels, .t = c.t, .v = c.v, .n = c.n, .ht = c.ht, .h = c.h,
                                         .hn = c.hn, .st = c.st, .hst = c.hst };
        ok = visit(arg, &rs);
    }
    columns_deinit(&c);
    return ok;
}

/* What resets a histogram between two evaluations of a subquery is unknown. */
static struct float_histogram *forget_reset(struct eval *ev, const struct float_histogram *h)
{
    struct float_histogram *out = ARENA_NEW(ev->a, struct float_histogram);
    *out = *h;
    if (h->hint == RESET_YES || h->hint == RESET_NO)
        out->hint = RESET_UNKNOWN;
    return out;
}

static bool each_of_subquery(struct eval *ev, const struct frame *f, const struct promql_node *n, range_visit *visit, void *arg)
{
    struct frame sub;
    struct vector vec = { 0 };
    subquery_frame(ev, f, n, &sub);
    if (sub.n > ev->samples_max)
        return eval_count(ev, sub.n);
    uint64_t looked_at = ev->samples_total;
    if (!eval_collect(ev, &sub, n->u.subquery.expr, &vec) || !vector_merge(ev, sub.n, &vec))
        return false;
    ev->samples_total = looked_at; /* what the windows over it see is counted */
    struct columns c = { 0 };
    bool ok = true;
    for (size_t k = 0; k < vec.n && ok; k++) {
        const struct column *col = vec.v[k];
        columns_reset(&c);
        for (size_t i = 0; i < sub.n; i++) {
            if (col->kind[i] == CELL_FLOAT)
                columns_push(&c, frame_time(&sub, i), col->v[i]);
            else if (col->kind[i] == CELL_HISTOGRAM)
                columns_push_histogram(&c, frame_time(&sub, i), forget_reset(ev, col->h[i]));
        }
        const struct range_series rs = { .labels = col->labels, .drop_name = col->drop_name, .t = c.t, .v = c.v, .n = c.n,
                                         .ht = c.ht, .h = c.h, .hn = c.hn };
        ok = eval_poll(ev) && visit(arg, &rs);
    }
    columns_deinit(&c);
    return ok;
}

bool range_each(struct eval *ev, const struct frame *f, const struct promql_node *n, range_visit *visit, void *arg)
{
    n = promql_unparen(n);
    if (n->kind == NODE_MATRIX)
        return each_of_selector(ev, f, n, visit, arg);
    ASSERT(n->kind == NODE_SUBQUERY);
    return each_of_subquery(ev, f, n, visit, arg);
}

/* ---- calls ---- */

double *range_scratch(struct range_call *c, size_t n)
{
    if (n > c->scratch_capacity) {
        size_t capacity = n + n / 2 + 16;
        c->scratch = eval_alloc(c->ev, capacity, sizeof *c->scratch);
        c->scratch_capacity = c->scratch ? capacity : 0;
    }
    return c->scratch;
}

/* Finds the windows, unless they are those of the series before. */
static bool find_spans(struct range_call *c, const struct range_series *s)
{
    struct spans *sp = &c->spans;
    const struct frame *f = c->frame;
    sp->fresh = !sp->from || sp->n != s->n || memcmp(sp->t, s->t, s->n * sizeof *s->t) != 0;
    if (!sp->fresh)
        return true;
    if (!sp->from) {
        sp->from = eval_alloc(c->ev, f->n, sizeof *sp->from);
        sp->to = sp->from ? eval_alloc(c->ev, f->n, sizeof *sp->to) : NULL;
        if (!sp->to)
            return false;
    }
    if (s->n > sp->capacity) {
        sp->capacity = mem_grow(sp->capacity, s->n);
        sp->t = mem_realloc_array(sp->t, sp->capacity, sizeof *sp->t);
    }
    memcpy(sp->t, s->t, s->n * sizeof *s->t);
    sp->n = s->n;
    sp->least = UINT32_MAX;
    sp->most = 0;
    sp->total = 0;
    uint32_t a = 0, b = 0, n = u32_from_size(s->n);
    int64_t end = place_time(f, c->place, 0), step = c->place->at == AT_TIME ? 0 : f->step;
    for (size_t i = 0; i < f->n; i++, end += step) {
        while (b < n && s->t[b] <= end)
            b++;
        while (a < b && s->t[a] <= end - c->range_ms)
            a++;
        sp->from[i] = a;
        sp->to[i] = b;
        sp->least = b - a < sp->least ? b - a : sp->least;
        sp->most = b - a > sp->most ? b - a : sp->most;
        sp->total += b - a;
    }
    return true;
}

/* One window after the other. */
static bool call_steps(struct range_call *c, const struct range_series *s, size_t *held, size_t *cells)
{
    struct eval *ev = c->ev;
    const struct frame *f = c->frame;
    int64_t before = c->place->anchored || c->place->smoothed ? ev->lookback : 0;
    int64_t after = c->place->smoothed ? ev->lookback : 0;
    size_t a = 0, b = 0, ha = 0, hb = 0;
    for (size_t i = 0; i < f->n; i++) {
        int64_t end = place_time(f, c->place, i), start = end - c->range_ms;
        while (b < s->n && s->t[b] <= end + after)
            b++;
        while (a < b && s->t[a] <= start - before)
            a++;
        while (hb < s->hn && s->ht[hb] <= end + after)
            hb++;
        while (ha < hb && s->ht[ha] <= start - before)
            ha++;
        size_t n = b - a, hn = hb - ha;
        if (n + hn == 0)
            continue;
        *held = n + hn > *held ? n + hn : *held;
        eval_looked_at(ev, f, i, n + hn);
        const struct window w = {
            .t = n ? s->t + a : NULL, .v = n ? s->v + a : NULL, .n = n, .first = a,
            .ht = hn ? s->ht + ha : NULL, .h = hn ? s->h + ha : NULL, .hn = hn, .h_first = ha,
            .st = s->st ? s->st + a : NULL, .hst = s->hst ? s->hst + ha : NULL,
            .start = start, .end = end, .now = frame_time(f, i),
        };
        struct point out = { CELL_NONE, 0, NULL };
        c->step = i;
        if ((i & 255) == 255 && !eval_poll(ev))
            return false;
        if (!c->fn->range->eval(c, &w, &out))
            return false;
        if (out.kind == CELL_FLOAT) {
            c->out->kind[i] = CELL_FLOAT;
            memcpy(&c->out->v[i], &out.v, sizeof out.v);
        } else if (out.kind == CELL_HISTOGRAM && !column_set_histogram(ev, c->out, f->n, i, out.h)) {
            return false;
        }
        *cells += out.kind != CELL_NONE;
    }
    return true;
}

static bool call_series(void *arg, const struct range_series *s)
{
    struct range_call *c = arg;
    struct eval *ev = c->ev;
    size_t n = c->frame->n, held = 0, cells = SIZE_MAX;
    c->series = s;
    c->metric = metric_name(s->labels);
    column_clear(c->out, n);
    if (c->fn->range->series)
        c->fn->range->series(c);
    if (c->fn->range->column && s->n && s->hn == 0 && !c->place->anchored && !c->place->smoothed) {
        if (!find_spans(c, s))
            return false;
        held = c->spans.most;
        cells = c->fn->range->column(c);
    }
    if (cells != SIZE_MAX) {
        ev->samples_total += c->spans.total;
        for (size_t i = 0; ev->per_step && c->frame == ev->query_frame && i < n; i++)
            ev->per_step[i] += c->spans.to[i] - c->spans.from[i];
    } else {
        cells = held = 0;
        if (!call_steps(c, s, &held, &cells))
            return false;
    }
    size_t before_window = ev->samples;
    if (!eval_count(ev, held + cells))
        return false;
    eval_uncount(ev, before_window + cells);
    if (cells == 0)
        return true;
    c->out->labels = s->labels;
    c->out->drop_name = s->drop_name;
    if (!c->fn->keeps_name)
        column_drop_name(ev, c->out);
    return uniqueness_check(ev, &c->unique, c->out, n) && c->emit(c->emit_arg, c->out);
}

bool range_call_eval(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct range_call c = { .ev = ev, .frame = f, .node = n, .fn = n->u.call.fn, .emit = emit, .emit_arg = arg };
    for (size_t i = 0; i < n->u.call.args_count; i++) {
        const struct promql_node *a = n->u.call.args[i];
        if (a->type == PROMQL_MATRIX)
            c.matrix = promql_unparen(a);
        else if (a->type == PROMQL_SCALAR && !(c.params[i] = eval_scalar_new(ev, f, a)))
            return false;
    }
    ASSERT(c.matrix);
    bool sub = c.matrix->kind == NODE_SUBQUERY;
    c.place = sub ? &c.matrix->u.subquery.place : &c.matrix->u.matrix.selector->u.selector.place;
    c.range_ms = sub ? c.matrix->u.subquery.range.ms : c.matrix->u.matrix.range.ms;
    if ((c.place->anchored || c.place->smoothed) && !extended_allowed(c.fn->name, c.place->anchored))
        return eval_fail(ev, "%s modifier can only be used with: %s - not with %s",
                         c.place->anchored ? "anchored" : "smoothed",
                         c.place->anchored ? "changes, delta, increase, rate, resets" : "delta, increase, rate", c.fn->name);
    c.unique.armed = !ev->delayed && !c.fn->keeps_name && names_may_differ(c.matrix);
    c.out = column_new(ev, f->n);
    bool ok = c.out && range_each(ev, f, c.matrix, call_series, &c);
    uniqueness_deinit(&c.unique);
    mem_free(c.resets);
    mem_free(c.spans.t);
    return ok;
}
