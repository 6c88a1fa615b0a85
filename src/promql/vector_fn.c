/* Functions that work element by element, on time, and on bucket groups (spec 8, 9). Element-wise ones change the column
 * they are given and pass it on. */
#include "promql/eval_int.h"

#include "base/num.h"
#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>

struct str string_arg(const struct promql_node *call, size_t i)
{
    return promql_unparen(call->u.call.args[i])->u.string.value;
}

double fn_sgn(double v)
{
    return v < 0 ? -1 : v > 0 ? 1 : v;
}
double fn_deg(double v)
{
    return v * 180 / M_PI;
}
double fn_rad(double v)
{
    return v * M_PI / 180;
}

/* Go's logarithm on amd64 takes a subnormal number apart as if it had an implicit leading bit; recorded rules and
 * dashboards compare with what it gives, so this does the same. */
double fn_ln(double v)
{
    uint64_t bits = f64_bits(v);
    if (bits == 0 || bits >> 52 != 0)
        return log(v);
    return log(f64_from_bits(bits | UINT64_C(0x3FE) << 52)) - 1022 * M_LN2;
}

/* ---- element by element ---- */

struct elements;
typedef double element_fn(const struct elements *e, size_t step, double v);
struct elements {
    struct eval *ev;
    const struct frame *f;
    element_fn *fn;
    double (*math)(double);
    int which;
    const double *a, *b;
    bool keep_histograms;
    struct uniqueness unique;
    column_emit *emit;
    void *arg;
};

static bool element_one(void *arg, struct column *c)
{
    struct elements *e = arg;
    size_t n = e->f->n, cells = 0;
    for (size_t i = 0; i < n; i++) {
        if (c->kind[i] == CELL_FLOAT) {
            c->v[i] = e->fn(e, i, c->v[i]);
            cells++;
        } else {
            c->kind[i] = CELL_NONE;
        }
    }
    if (!cells)
        return true;
    c->h = NULL;
    column_drop_name(e->ev, c);
    return uniqueness_check(e->ev, &e->unique, c, n) && e->emit(e->arg, c);
}

static bool elements_run(struct elements *e, const struct promql_node *operand)
{
    e->unique.armed = !e->ev->delayed && names_may_differ(operand);
    bool ok = eval_vector(e->ev, e->f, operand, element_one, e);
    uniqueness_deinit(&e->unique);
    return ok;
}

static double element_math(const struct elements *e, size_t i, double v)
{
    (void)i;
    return e->math(v);
}
bool fn_math(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct elements e = { .ev = ev, .f = f, .fn = element_math, .math = n->u.call.fn->math, .emit = emit, .arg = arg };
    return elements_run(&e, n->u.call.args[0]);
}

static double element_round(const struct elements *e, size_t i, double v)
{
    double inverse = 1 / (e->a ? e->a[i] : 1);
    return floor(v * inverse + 0.5) / inverse;
}
bool fn_round(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct elements e = { .ev = ev, .f = f, .fn = element_round, .emit = emit, .arg = arg };
    if (n->u.call.args_count > 1 && !(e.a = eval_scalar_new(ev, f, n->u.call.args[1])))
        return false;
    return elements_run(&e, n->u.call.args[0]);
}

static double element_clamp(const struct elements *e, size_t i, double v)
{
    double min = e->a ? e->a[i] : -F64_INF, max = e->b ? e->b[i] : F64_INF;
    return math_max(min, math_min(max, v));
}
/* max < min: nothing at that step */
static bool clamp_one(void *arg, struct column *c)
{
    struct elements *e = arg;
    for (size_t i = 0; i < e->f->n; i++)
        if (e->a && e->b && e->b[i] < e->a[i])
            c->kind[i] = CELL_NONE;
    return element_one(e, c);
}
static bool clamp(struct eval *ev, const struct frame *f, const struct promql_node *n, int min, int max, column_emit *emit,
                  void *arg)
{
    struct elements e = { .ev = ev, .f = f, .fn = element_clamp, .emit = emit, .arg = arg };
    if (min && !(e.a = eval_scalar_new(ev, f, n->u.call.args[min])))
        return false;
    if (max && !(e.b = eval_scalar_new(ev, f, n->u.call.args[max])))
        return false;
    e.unique.armed = !ev->delayed && names_may_differ(n->u.call.args[0]);
    bool ok = eval_vector(ev, f, n->u.call.args[0], clamp_one, &e);
    uniqueness_deinit(&e.unique);
    return ok;
}
bool fn_clamp(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    return clamp(ev, f, n, 1, 2, emit, arg);
}
bool fn_clamp_min(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    return clamp(ev, f, n, 1, 0, emit, arg);
}
bool fn_clamp_max(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    return clamp(ev, f, n, 0, 1, emit, arg);
}

/* ---- time ---- */

static const char *const date_names[] = { "days_in_month", "day_of_month", "day_of_week", "day_of_year",
                                          "hour",          "minute",       "month",       "year" };

static double date_part(int which, double v)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (!(fabs(v) < 1e17))
        return F64_NAN;
    struct civil c;
    civil_from_unix((int64_t)v, 0, 0, &c);
    bool leap = (c.year % 4 == 0 && c.year % 100 != 0) || c.year % 400 == 0;
    switch (which) {
    case 0: return days[c.month - 1] + (c.month == 2 && leap);
    case 1: return c.day;
    case 2: return c.weekday;
    case 3: return c.yearday;
    case 4: return c.hour;
    case 5: return c.minute;
    case 6: return c.month;
    default: return (double)c.year;
    }
}
static double element_date(const struct elements *e, size_t i, double v)
{
    (void)i;
    return date_part(e->which, v);
}
bool fn_date(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct elements e = { .ev = ev, .f = f, .fn = element_date, .emit = emit, .arg = arg };
    while (strcmp(date_names[e.which], n->u.call.fn->name) != 0)
        e.which++;
    if (n->u.call.args_count)
        return elements_run(&e, n->u.call.args[0]);
    struct column *c = column_new(ev, f->n);
    if (!c)
        return false;
    for (size_t i = 0; i < f->n; i++)
        column_set(c, i, date_part(e.which, (double)(frame_time(f, i) / 1000)));
    return eval_count(ev, f->n) && emit(arg, c);
}

bool fn_time(struct eval *ev, const struct frame *f, const struct promql_node *n, double *out)
{
    (void)ev;
    (void)n;
    for (size_t i = 0; i < f->n; i++)
        out[i] = (double)frame_time(f, i) / 1000;
    return true;
}
bool fn_pi(struct eval *ev, const struct frame *f, const struct promql_node *n, double *out)
{
    (void)ev;
    (void)n;
    for (size_t i = 0; i < f->n; i++)
        out[i] = M_PI;
    return true;
}
bool fn_query_constant(struct eval *ev, const struct frame *f, const struct promql_node *n, double *out)
{
    const struct promql_run *r = ev->run;
    const char *name = n->u.call.fn->name;
    int64_t ms = strcmp(name, "start") == 0 ? r->start_ms
                 : strcmp(name, "end") == 0 ? r->end_ms
                 : strcmp(name, "range") == 0 ? r->end_ms - r->start_ms
                 : r->start_ms == r->end_ms ? 0 : r->step_ms;
    for (size_t i = 0; i < f->n; i++)
        out[i] = (double)ms / 1000;
    return true;
}
bool fn_min_max_of(struct eval *ev, const struct frame *f, const struct promql_node *n, double *out)
{
    bool min = strcmp(n->u.call.fn->name, "min_of") == 0;
    double *b = NULL;
    if (!eval_scalar(ev, f, n->u.call.args[0], out) || !(b = eval_scalar_new(ev, f, n->u.call.args[1])))
        return false;
    for (size_t i = 0; i < f->n; i++)
        out[i] = min ? math_min(out[i], b[i]) : math_max(out[i], b[i]);
    return true;
}

/* On a selector the planner has made it yield times; elsewhere it is the step's time. */
struct stamps {
    struct elements e;
    bool direct;
};
static bool stamp_one(void *arg, struct column *c)
{
    struct stamps *s = arg;
    for (size_t i = 0; i < s->e.f->n; i++)
        if (!s->direct && c->kind[i] != CELL_NONE)
            column_set(c, i, (double)frame_time(s->e.f, i) / 1000);
    c->h = NULL;
    column_drop_name(s->e.ev, c);
    return uniqueness_check(s->e.ev, &s->e.unique, c, s->e.f->n) && s->e.emit(s->e.arg, c);
}
bool fn_timestamp(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    const struct promql_node *operand = promql_unparen(n->u.call.args[0]);
    struct stamps s = { .e = { .ev = ev, .f = f, .emit = emit, .arg = arg }, .direct = operand->kind == NODE_SELECTOR };
    s.e.unique.armed = !ev->delayed && names_may_differ(operand);
    bool ok = eval_vector(ev, f, operand, stamp_one, &s);
    uniqueness_deinit(&s.e.unique);
    return ok;
}
bool fn_start_timestamp(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    const struct promql_node *operand = promql_unparen(n->u.call.args[0]);
    if (operand->kind != NODE_SELECTOR || !(ev->features & PROMQL_START_TIMES))
        return true;
    return fn_timestamp(ev, f, n, emit, arg);
}

/* ---- vector, scalar, absent ---- */

bool fn_vector(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct column *c = column_new(ev, f->n);
    if (!c || !eval_scalar(ev, f, n->u.call.args[0], c->v))
        return false;
    memset(c->kind, CELL_FLOAT, f->n);
    return eval_count(ev, f->n) && emit(arg, c);
}

struct scalars {
    size_t n;
    double *out;
    uint8_t *seen;
};
static bool scalar_take(void *arg, struct column *c)
{
    struct scalars *s = arg;
    for (size_t i = 0; i < s->n; i++) {
        if (c->kind[i] != CELL_FLOAT)
            continue;
        s->out[i] = s->seen[i] ? F64_NAN : c->v[i];
        s->seen[i] = 1;
    }
    return true;
}
bool fn_scalar(struct eval *ev, const struct frame *f, const struct promql_node *n, double *out)
{
    struct scalars s = { f->n, out, eval_alloc(ev, f->n, 1) };
    size_t before = ev->samples;
    if (!s.seen)
        return false;
    for (size_t i = 0; i < f->n; i++)
        out[i] = F64_NAN;
    bool ok = eval_vector(ev, f, n->u.call.args[0], scalar_take, &s);
    eval_uncount(ev, before);
    return ok;
}

static struct labels absent_labels(struct eval *ev, const struct promql_node *n)
{
    struct labels ls = { NULL, 0 };
    n = promql_unparen(n);
    if (n->kind == NODE_MATRIX)
        n = n->u.matrix.selector;
    if (n->kind != NODE_SELECTOR)
        return ls;
    const struct matchers *ms = &n->u.selector.matchers;
    struct str_list seen = { 0 };
    struct str *names = arena_alloc_array(ev->a, ms->n + 1, sizeof *names);
    seen.v = names;
    for (size_t i = 0; i < ms->n; i++) {
        const struct matcher *m = &ms->v[i];
        bool set = false;
        if (str_eq(m->name, STR("__name__")))
            continue;
        for (size_t k = 0; k < seen.n; k++)
            set |= str_eq(seen.v[k], m->name);
        if (m->op == MATCH_EQ && !set) {
            ls = labels_set(ev, ls, m->name, m->value);
            names[seen.n++] = m->name;
        } else {
            ls = labels_drop(ev, ls, m->name);
        }
    }
    return ls;
}

static bool emit_absent(struct eval *ev, const struct frame *f, const struct promql_node *n, const uint8_t *any,
                        column_emit *emit, void *arg)
{
    struct column *c = column_new(ev, f->n);
    size_t cells = 0;
    if (!c)
        return false;
    for (size_t i = 0; i < f->n; i++) {
        if (!any[i])
            column_set(c, i, 1);
        cells += !any[i];
    }
    c->labels = absent_labels(ev, n->u.call.args[0]);
    return cells == 0 || (eval_count(ev, cells) && emit(arg, c));
}

struct marks {
    const struct frame *f;
    uint8_t *any;
    const struct promql_place *place;
    int64_t range_ms;
};
static bool mark_cells(void *arg, struct column *c)
{
    struct marks *m = arg;
    for (size_t i = 0; i < m->f->n; i++)
        m->any[i] |= c->kind[i];
    return true;
}
bool fn_absent(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct marks m = { .f = f, .any = eval_alloc(ev, f->n, 1) };
    size_t before = ev->samples;
    bool ok = m.any && eval_vector(ev, f, n->u.call.args[0], mark_cells, &m);
    eval_uncount(ev, before);
    return ok && emit_absent(ev, f, n, m.any, emit, arg);
}

static bool mark_windows(void *arg, const struct range_series *s)
{
    struct marks *m = arg;
    size_t k = 0, h = 0;
    for (size_t i = 0; i < m->f->n; i++) {
        int64_t end = place_time(m->f, m->place, i), start = end - m->range_ms;
        while (k < s->n && s->t[k] <= start)
            k++;
        while (h < s->hn && s->ht[h] <= start)
            h++;
        if ((k < s->n && s->t[k] <= end) || (h < s->hn && s->ht[h] <= end))
            m->any[i] = 1;
    }
    return true;
}
bool fn_absent_over_time(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    const struct promql_node *r = promql_unparen(n->u.call.args[0]);
    bool sub = r->kind == NODE_SUBQUERY;
    struct marks m = { .f = f, .any = eval_alloc(ev, f->n, 1) };
    m.place = sub ? &r->u.subquery.place : &r->u.matrix.selector->u.selector.place;
    m.range_ms = sub ? r->u.subquery.range.ms : r->u.matrix.range.ms;
    if (m.place->anchored || m.place->smoothed)
        return eval_fail(ev, "%s modifier can only be used with: %s - not with absent_over_time",
                         m.place->anchored ? "anchored" : "smoothed",
                         m.place->anchored ? "changes, delta, increase, rate, resets" : "delta, increase, rate");
    return m.any && range_each(ev, f, r, mark_windows, &m) && emit_absent(ev, f, n, m.any, emit, arg);
}

/* ---- histograms: one number each ---- */

struct moments {
    struct elements e;
    const char *name;
};
static double moment(const char *name, const struct float_histogram *h)
{
    if (strcmp(name, "histogram_count") == 0)
        return h->count;
    if (strcmp(name, "histogram_sum") == 0)
        return h->sum;
    if (strcmp(name, "histogram_avg") == 0)
        return h->sum / h->count;
    double v = histogram_variance(h);
    return strcmp(name, "histogram_stdvar") == 0 ? v : sqrt(v);
}
static bool moment_one(void *arg, struct column *c)
{
    struct moments *m = arg;
    struct eval *ev = m->e.ev;
    size_t cells = 0, n = m->e.f->n;
    for (size_t i = 0; i < n; i++) {
        bool is = c->kind[i] == CELL_HISTOGRAM;
        if (is)
            column_set(c, i, moment(m->name, c->h[i]));
        else
            c->kind[i] = CELL_NONE;
        cells += is;
    }
    if (!cells)
        return true;
    c->h = NULL;
    if (ev->delayed)
        c->drop_name = true;
    else
        c->labels = labels_drop(ev, c->labels, STR("__name__"));
    return uniqueness_check(ev, &m->e.unique, c, n) && m->e.emit(m->e.arg, c);
}
bool fn_histogram_value(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct moments m = { .e = { .ev = ev, .f = f, .emit = emit, .arg = arg }, .name = n->u.call.fn->name };
    m.e.unique.armed = !ev->delayed && names_may_differ(n->u.call.args[0]);
    bool ok = eval_vector(ev, f, n->u.call.args[0], moment_one, &m);
    uniqueness_deinit(&m.e.unique);
    return ok;
}

/* ---- quantiles and fractions: native histograms and groups of classic buckets ---- */

struct bucket_series {
    double upper;
    const struct column *c;
};
struct bucket_group {
    struct labels labels; /* without le */
    struct bucket_series *v;
    size_t n, capacity;
    const struct column *native; /* of the same labels */
    bool drop_name;
};
struct bucket_groups {
    struct eval *ev;
    const struct frame *f;
    uint32_t at; /* of the vector argument */
    struct vector in;
    struct map by_labels;
    struct bucket_group **v;
    size_t n;
};

static struct bucket_group *bucket_group(struct bucket_groups *g, const struct column *c)
{
    struct labels ls = labels_drop(g->ev, c->labels, STR("le"));
    struct str key = labels_bytes(g->ev, ls);
    struct bucket_group *b = map_get(&g->by_labels, key);
    if (!b) {
        b = ARENA_NEW(g->ev->a, struct bucket_group);
        b->labels = ls;
        g->v[g->n++] = b;
        map_put(&g->by_labels, key, b);
    }
    b->drop_name |= c->drop_name;
    return b;
}

static bool add_bucket(struct bucket_groups *g, const struct column *c)
{
    struct eval *ev = g->ev;
    struct str le = labels_get(c->labels, STR("le"));
    double upper;
    bool range = false;
    if (le.n == 0 || (!num_parse_f64(le, &upper, &range) && !range)) {
        struct str metric = ev->delayed ? metric_name(c->labels) : STR_EMPTY;
        struct buf b = { 0 };
        go_quote(&b, le);
        note_warning(ev, g->at, "bucket label \"le\" is missing or has a malformed value of %.*s%.*s",
                     STR_ARG(buf_view(&b)), STR_ARG(note_metric(ev, metric)));
        buf_deinit(&b);
        return true;
    }
    struct bucket_group *b = bucket_group(g, c);
    if (b->n == b->capacity) {
        size_t capacity = b->capacity ? b->capacity * 2 : 16;
        struct bucket_series *v = eval_alloc(ev, capacity, sizeof *v);
        if (!v)
            return false;
        if (b->n)
            memcpy(v, b->v, b->n * sizeof *v);
        b->v = v;
        b->capacity = capacity;
    }
    b->v[b->n++] = (struct bucket_series){ upper, c };
    return true;
}

static bool group_buckets(struct bucket_groups *g, const struct promql_node *operand)
{
    struct eval *ev = g->ev;
    if (!eval_collect(ev, g->f, operand, &g->in))
        return false;
    g->v = eval_alloc(ev, 2 * g->in.n, sizeof(struct bucket_group *));
    if (!g->v)
        return false;
    for (size_t k = 0; k < g->in.n; k++) {
        const struct column *c = g->in.v[k];
        bool floats = false, histograms = false;
        for (size_t i = 0; i < g->f->n; i++) {
            floats |= c->kind[i] == CELL_FLOAT;
            histograms |= c->kind[i] == CELL_HISTOGRAM;
        }
        if (floats && !add_bucket(g, c))
            return false;
        if (histograms)
            bucket_group(g, c)->native = c;
    }
    return true;
}

/* Classic buckets of a group at a step. */
static size_t buckets_at(const struct bucket_group *b, size_t i, struct bucket *out)
{
    size_t n = 0;
    for (size_t k = 0; k < b->n; k++)
        if (b->v[k].c->kind[i] == CELL_FLOAT)
            out[n++] = (struct bucket){ b->v[k].upper, b->v[k].c->v[i] };
    return n;
}

struct bucket_call {
    struct bucket_groups g;
    const double *lower, *upper; /* fraction */
    const double *q;             /* quantile */
    struct bucket *scratch;
    struct uniqueness unique;
    column_emit *emit;
    void *arg;
};

static double bucket_value(struct bucket_call *k, const struct bucket_group *b, size_t i, size_t n)
{
    if (!k->q)
        return bucket_fraction(k->lower[i], k->upper[i], k->scratch, n);
    bool forced;
    double lo, hi, diff, v = bucket_quantile(k->q[i], k->scratch, n, &forced, &lo, &hi, &diff);
    if (forced)
        note_forced(k->g.ev, k->g.at, k->g.ev->delayed ? metric_name(b->labels) : STR_EMPTY, lo, hi, diff,
                    frame_time(k->g.f, i));
    return v;
}

static bool bucket_group_emit(struct bucket_call *k, const struct bucket_group *b, struct str label, struct str value)
{
    struct eval *ev = k->g.ev;
    struct column *out = column_new(ev, k->g.f->n);
    struct str metric = ev->delayed ? metric_name(b->labels) : STR_EMPTY;
    size_t cells = 0;
    if (!out)
        return false;
    for (size_t i = 0; i < k->g.f->n; i++) {
        const struct float_histogram *h = b->native && b->native->kind[i] == CELL_HISTOGRAM ? b->native->h[i] : NULL;
        size_t n = buckets_at(b, i, k->scratch);
        if (h && n) {
            note_warning(ev, k->g.at, "vector contains a mix of classic and native histograms%.*s",
                         STR_ARG(note_metric(ev, metric)));
        } else if (h) {
            column_set(out, i, k->q ? histogram_quantile_of(ev, k->q[i], h, metric, k->g.at)
                                    : histogram_fraction_of(ev, k->lower[i], k->upper[i], h, metric, k->g.at));
            cells++;
        } else if (n) {
            column_set(out, i, bucket_value(k, b, i, n));
            cells++;
        }
    }
    if (!cells)
        return true;
    out->labels = b->labels;
    out->drop_name = b->drop_name;
    if (label.n)
        out->labels = labels_set(ev, out->labels, label, value);
    column_drop_name(ev, out);
    return uniqueness_check(ev, &k->unique, out, k->g.f->n) && eval_count(ev, cells) && k->emit(k->arg, out);
}

static bool bucket_call_begin(struct bucket_call *k, const struct promql_node *operand)
{
    size_t most = 0, before = k->g.ev->samples;
    if (!group_buckets(&k->g, operand))
        return false;
    eval_uncount(k->g.ev, before);
    for (size_t i = 0; i < k->g.n; i++)
        most = k->g.v[i]->n > most ? k->g.v[i]->n : most;
    k->unique.armed = !k->g.ev->delayed;
    k->scratch = eval_alloc(k->g.ev, most, sizeof *k->scratch);
    return k->scratch != NULL;
}
static void bucket_call_end(struct bucket_call *k)
{
    uniqueness_deinit(&k->unique);
    map_deinit(&k->g.by_labels);
}

static void warn_quantile(struct eval *ev, const double *q, size_t n, uint32_t at)
{
    for (size_t i = 0; i < n; i++) {
        if (q[i] >= 0 && q[i] <= 1)
            continue;
        struct buf b = { 0 };
        note_warning(ev, at, "quantile value should be between 0 and 1, got %.*s", STR_ARG(note_number(&b, q[i])));
        buf_deinit(&b);
    }
}

static bool bucket_call_all(struct bucket_call *k, struct str label, struct str value)
{
    bool ok = true;
    for (size_t i = 0; i < k->g.n && ok; i++)
        ok = eval_poll(k->g.ev) && bucket_group_emit(k, k->g.v[i], label, value);
    return ok;
}

bool fn_histogram_quantile(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct promql_node *const *args = n->u.call.args;
    struct bucket_call k = { .g = { .ev = ev, .f = f, .at = args[1]->start }, .emit = emit, .arg = arg };
    bool ok = (k.q = eval_scalar_new(ev, f, args[0])) != NULL && bucket_call_begin(&k, args[1]);
    if (ok)
        warn_quantile(ev, k.q, f->n, args[0]->start);
    ok = ok && bucket_call_all(&k, STR_EMPTY, STR_EMPTY);
    bucket_call_end(&k);
    return ok;
}

static struct str quantile_label(struct eval *ev, double q)
{
    struct buf b = { 0 };
    num_write_f64(&b, q, 'g', -1);
    struct str s = buf_view(&b);
    if (!isnan(q) && !isinf(q) && str_find_byte(s, '.') == STR_NPOS && str_find_byte(s, 'e') == STR_NPOS)
        buf_c(&b, ".0");
    s = arena_str(ev->a, buf_view(&b));
    buf_deinit(&b);
    return s;
}

/* The label's text differs with the step's quantile; usually all steps have the same. */
static bool quantiles_one(struct bucket_call *k, struct str label, const double *q, size_t i)
{
    struct eval *ev = k->g.ev;
    size_t n = k->g.f->n;
    for (size_t from = 0; from < n;) {
        size_t to = from + 1;
        while (to < n && (q[to] == q[from] || (isnan(q[to]) && isnan(q[from]))))
            to++;
        if (from == 0 && to == n)
            return bucket_group_emit(k, k->g.v[i], label, quantile_label(ev, q[0]));
        struct bucket_group cut = *k->g.v[i];
        struct bucket_series *v = eval_alloc(ev, cut.n, sizeof *v);
        if (!v)
            return false;
        for (size_t x = 0; x < cut.n; x++) {
            struct column *c = column_keep(ev, cut.v[x].c, n);
            if (!c)
                return false;
            for (size_t s = 0; s < n; s++)
                if (s < from || s >= to)
                    c->kind[s] = CELL_NONE;
            v[x] = (struct bucket_series){ cut.v[x].upper, c };
        }
        cut.v = v;
        if (cut.native) {
            struct column *c = column_keep(ev, cut.native, n);
            if (!c)
                return false;
            for (size_t s = 0; s < n; s++)
                if (s < from || s >= to)
                    c->kind[s] = CELL_NONE;
            cut.native = c;
        }
        if (!bucket_group_emit(k, &cut, label, quantile_label(ev, q[from])))
            return false;
        from = to;
    }
    return true;
}

bool fn_histogram_quantiles(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct promql_node *const *args = n->u.call.args;
    struct str label = string_arg(n, 1);
    struct bucket_call k = { .g = { .ev = ev, .f = f, .at = args[0]->start }, .emit = emit, .arg = arg };
    bool ok = bucket_call_begin(&k, args[0]);
    if (ok && !label_name_is_utf8(label))
        ok = eval_fail(ev, "invalid label name \"%.*s\"", STR_ARG(label));
    for (size_t i = 2; i < n->u.call.args_count && ok; i++) {
        double *q = eval_scalar_new(ev, f, args[i]);
        ok = q != NULL;
        k.q = q;
        if (ok)
            warn_quantile(ev, q, f->n, args[i]->start);
        for (size_t g = 0; g < k.g.n && ok; g++)
            ok = quantiles_one(&k, label, q, g);
    }
    bucket_call_end(&k);
    return ok;
}

bool fn_histogram_fraction(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
{
    struct promql_node *const *args = n->u.call.args;
    struct bucket_call k = { .g = { .ev = ev, .f = f, .at = args[2]->start }, .emit = emit, .arg = arg };
    bool ok = (k.lower = eval_scalar_new(ev, f, args[0])) != NULL && (k.upper = eval_scalar_new(ev, f, args[1])) != NULL &&
              bucket_call_begin(&k, args[2]) && bucket_call_all(&k, STR_EMPTY, STR_EMPTY);
    bucket_call_end(&k);
    return ok;
}
