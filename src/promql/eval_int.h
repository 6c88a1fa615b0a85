/* What the engine's files share: frames of steps, columns of cells, windows, annotations.
 *
 * A frame is the list of times an expression is evaluated at. A column is one series over a frame: per step a cell that
 * is empty, a float or a histogram. Evaluation pushes columns: eval_vector() calls emit once per series, and a column is
 * valid during that call; who wants to keep it copies it (column_keep). Whoever gets a column may change its cells and
 * labels, but never what its histograms point at: those are shared.
 *
 * E1  An emitted column has at least one cell.
 * E2  Columns of one expression with equal labels never have a cell at the same step. */
#ifndef TOCSIN_PROMQL_EVAL_INT_H
#define TOCSIN_PROMQL_EVAL_INT_H

#include "base/map.h"
#include "promql/functions_int.h"
#include "promql/promql.h"

/* math.h's are floats. */
#define F64_NAN ((double)__builtin_nanf(""))
#define F64_INF ((double)__builtin_inff())

struct frame {
    int64_t start, step;
    size_t n;
};
static inline int64_t frame_time(const struct frame *f, size_t i)
{
    return f->start + (int64_t)i * f->step;
}

enum cell { CELL_NONE, CELL_FLOAT, CELL_HISTOGRAM };
struct column {
    struct labels labels;
    bool drop_name; /* delayed name removal: the name goes at the end */
    uint8_t *kind;  /* enum cell, one a step */
    double *v;
    const struct float_histogram **h; /* NULL while there is none */
};
struct point {
    enum cell kind;
    double v;
    const struct float_histogram *h;
};
struct vector {
    struct column **v;
    size_t n, capacity;
};

struct note {
    bool is_warning;
    uint32_t at; /* byte offset of the expression meant */
    struct str gist;
    /* forced monotonicity, merged over the query */
    bool forced;
    double bucket_min, bucket_max, diff_max;
    uint64_t count;
    int64_t t_first, t_last;
    struct str metric;
};
struct notes {
    struct note *v;
    size_t n, capacity;
    struct map by_gist;
};

struct cached {
    struct str key;
    int uses; /* in the text */
    bool ready;
    struct vector vector;
};

struct eval {
    const struct promql_run *run;
    struct arena *a;
    struct querier *querier;
    struct str text;
    unsigned features;
    bool delayed; /* PROMQL_DELAYED_NAME_REMOVAL */
    int64_t lookback, subquery_step;
    struct notes notes;
    struct err *err;
    size_t samples, samples_peak, samples_max, memory_max;
    uint64_t samples_total;
    uint64_t *per_step; /* of query_frame; NULL: not asked for */
    const struct frame *query_frame;
    struct map cache; /* canonical text -> struct cached, for what the query says twice */
    unsigned polls;
};

/* ---- failing and limits ---- */

bool eval_fail(struct eval *ev, const char *fmt, ...) PRINTF_LIKE(2, 3); /* an execution error; always false */
MUST_CHECK bool eval_poll(struct eval *ev);                    /* stopped? memory? */
MUST_CHECK bool eval_count(struct eval *ev, size_t samples);   /* held from now on */
/* Samples that were looked at for step i of f, for the statistics. */
static inline void eval_looked_at(struct eval *ev, const struct frame *f, size_t i, size_t samples)
{
    ev->samples_total += samples;
    if (UNLIKELY(ev->per_step != NULL) && f == ev->query_frame)
        ev->per_step[i] += samples;
}
static inline void eval_uncount(struct eval *ev, size_t to)
{
    ev->samples = to;
}
MUST_CHECK void *eval_alloc(struct eval *ev, size_t count, size_t size); /* NULL: failed, the error is set */

/* ---- annotations (note.c) ---- */

void note_warning(struct eval *ev, uint32_t at, const char *fmt, ...) PRINTF_LIKE(3, 4);
void note_info(struct eval *ev, uint32_t at, const char *fmt, ...) PRINTF_LIKE(3, 4);
void note_forced(struct eval *ev, uint32_t at, struct str metric, double lo, double hi, double diff, int64_t t);
void notes_finish(struct eval *ev, bool warnings, struct str_list *out);
/* ` for metric name "M"`, empty without a name. */
struct str note_metric(struct eval *ev, struct str metric);
struct str metric_name(struct labels ls);
struct str note_number(struct buf *b, double v); /* %g of Go, in b */

/* ---- columns (column.c) ---- */

struct column *column_new(struct eval *ev, size_t n); /* NULL: memory */
void column_clear(struct column *c, size_t n);
size_t column_cells(const struct column *c, size_t n);
size_t column_cost(const struct column *c, size_t n); /* samples as the limit counts them */
struct column *column_keep(struct eval *ev, const struct column *c, size_t n);
MUST_CHECK bool column_set_histogram(struct eval *ev, struct column *c, size_t n, size_t i, const struct float_histogram *h);
static inline void column_set(struct column *c, size_t i, double v)
{
    c->kind[i] = CELL_FLOAT;
    c->v[i] = v;
}
MUST_CHECK bool vector_add(struct eval *ev, struct vector *vec, struct column *c);
/* Joins columns with equal labels; the error of spec 3.7 if they meet at a step. */
MUST_CHECK bool vector_merge(struct eval *ev, size_t n, struct vector *vec);
struct str labels_bytes(struct eval *ev, struct labels ls); /* a key for maps, in the arena */
struct str labels_bytes_buf(struct buf *b, struct labels ls);
struct labels labels_without_name(struct eval *ev, struct labels ls);       /* also __type__, __unit__ */
struct labels labels_drop(struct eval *ev, struct labels ls, struct str name);
struct labels labels_set(struct eval *ev, struct labels ls, struct str name, struct str value); /* "" removes */
/* What `by`/`on` or `without`/`ignoring` leaves of a label set. `names` sorted is not needed. */
struct labels labels_project(struct eval *ev, struct labels ls, const struct str_list *names, bool keep);
/* labels_bytes() of it, without making it; in b. */
struct str labels_project_bytes(struct buf *b, struct labels ls, const struct str_list *names, bool keep);

/* Names go: at once, or marked. */
void column_drop_name(struct eval *ev, struct column *c);

/* Watches that what a function emits does not collide (E2). */
struct uniqueness {
    struct map seen;
    bool armed;
};
MUST_CHECK bool uniqueness_check(struct eval *ev, struct uniqueness *u, const struct column *c, size_t n);
void uniqueness_deinit(struct uniqueness *u);

/* ---- evaluation (eval.c) ---- */

MUST_CHECK bool eval_vector(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg);
MUST_CHECK bool eval_scalar(struct eval *ev, const struct frame *f, const struct promql_node *n, double *out);
MUST_CHECK bool eval_collect(struct eval *ev, const struct frame *f, const struct promql_node *n, struct vector *out);
MUST_CHECK bool emit_vector(struct eval *ev, size_t n, const struct vector *vec, column_emit *emit, void *arg);
double *eval_scalar_new(struct eval *ev, const struct frame *f, const struct promql_node *n); /* NULL: failed */
/* May the columns of n carry different metric names? */
bool names_may_differ(const struct promql_node *n);

/* The whole result of a planned tree (result.c). */
MUST_CHECK bool result_of_root(struct eval *ev, const struct promql_node *root, const struct frame *f, struct promql_result *r);

/* ---- selectors and windows (selector.c, window.c) ---- */

MUST_CHECK bool selector_eval(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg);
void place_bounds(const struct frame *f, const struct promql_place *p, int64_t *first, int64_t *last);
static inline int64_t place_time(const struct frame *f, const struct promql_place *p, size_t i)
{
    return (p->at == AT_TIME ? p->at_ms : frame_time(f, i)) - p->offset.ms;
}

/* One series below a range function: stale markers are gone. */
struct range_series {
    struct labels labels;
    bool drop_name;
    const int64_t *t;
    const double *v;
    size_t n;
    const int64_t *ht;
    struct float_histogram *const *h;
    size_t hn;
    const int64_t *st, *hst; /* start times; NULL: none are known */
};
typedef bool range_visit(void *arg, const struct range_series *s);
/* Every series of a range selector or subquery, for all steps of f. */
MUST_CHECK bool range_each(struct eval *ev, const struct frame *f, const struct promql_node *n, range_visit *visit, void *arg);

struct window {
    const int64_t *t;
    const double *v;
    size_t n;
    const int64_t *ht;
    struct float_histogram *const *h;
    size_t hn;
    const int64_t *st, *hst;
    size_t first, h_first; /* index of t[0], ht[0] in the series */
    int64_t start, end;    /* the range is (start, end] */
    int64_t now;           /* the step */
};
/* The windows of all steps over a series of floats: samples [from, to). Series of one target share their times, so what was
 * found for one often serves the next. */
struct spans {
    uint32_t *from, *to; /* per step */
    int64_t *t;          /* the times they were found for */
    size_t n, capacity;
    uint32_t least, most; /* samples of a window */
    uint64_t total;
    bool fresh; /* found for the series at hand, not for one before it */
};
struct rate_step;
struct range_call {
    struct eval *ev;
    const struct frame *frame;
    const struct promql_node *node; /* the call */
    const struct promql_function *fn;
    const struct promql_node *matrix; /* its range argument, without parentheses */
    const struct promql_place *place;
    int64_t range_ms;
    double *params[FUNCTION_ARGS_MAX]; /* of scalar arguments */
    const struct range_series *series;
    struct str metric;
    size_t step;
    /* prepared per series */
    uint32_t *resets;
    size_t resets_count, resets_capacity, resets_at;
    struct spans spans;
    struct rate_step *rate_steps; /* per step, for these spans (rate.c) */
    uint32_t *queue;              /* numbers of samples (over_time.c) */
    size_t queue_capacity;
    struct column *out;
    column_emit *emit;
    void *emit_arg;
    struct uniqueness unique;
    struct frame sub;
    double *scratch; /* of scratch_capacity values, for those that sort */
    size_t scratch_capacity;
};
struct range_function {
    bool (*eval)(struct range_call *c, const struct window *w, struct point *out);
    void (*series)(struct range_call *c); /* may be NULL */
    /* All steps of a series that has floats only, from c->spans into c->out; gives the number of cells. May be NULL, and may
     * decline by SIZE_MAX: then eval is called step by step. */
    size_t (*column)(struct range_call *c);
};
MUST_CHECK bool range_call_eval(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit,
                                void *arg);
double *range_scratch(struct range_call *c, size_t n); /* NULL: memory */
static inline uint32_t range_arg_at(const struct range_call *c, size_t arg)
{
    return c->node->u.call.args[arg]->start;
}

extern const struct range_function range_rate, range_increase, range_delta, range_irate, range_idelta;
extern const struct range_function range_avg, range_sum, range_count, range_present, range_min, range_max, range_first,
    range_last, range_stddev, range_stdvar, range_quantile, range_mad, range_changes, range_resets, range_ts_first,
    range_ts_last, range_ts_min, range_ts_max, range_deriv, range_predict, range_smoothing;
bool extended_allowed(const char *function, bool anchored);
bool extended_rate(struct range_call *c, const struct window *w, bool is_counter, bool is_rate, struct point *out);
bool extended_window(struct range_call *c, const struct window *w, struct window *out); /* resets, changes anchored */
/* The samples of x[d] anchored|smoothed themselves. */
MUST_CHECK bool extended_matrix(struct eval *ev, const struct promql_node *n, const struct window *w, int64_t **t, double **v,
                                size_t *count);
/* x smoothed at r over the samples around it. */
MUST_CHECK bool smoothed_instant(struct eval *ev, const struct promql_node *n, const struct window *w, int64_t r,
                                 struct str metric, struct point *out);

/* Start times say that the counter restarted between two samples (spec 7.1). */
static inline bool start_time_reset(int64_t prev_t, int64_t prev_st, int64_t t, int64_t st)
{
    if (st == 0 || st >= t)
        return false;
    return st > prev_t || (st == prev_t && prev_st <= prev_t && prev_st != 0 && prev_st != prev_t);
}

/* ---- arithmetic (math.c) ---- */

struct kahan {
    double sum, c;
};
static inline void kahan_add(struct kahan *k, double x)
{
    double t = k->sum + x;
    if (__builtin_isinf(t))
        k->c = 0;
    else if (__builtin_fabs(k->sum) >= __builtin_fabs(x))
        k->c += (k->sum - t) + x;
    else
        k->c += (x - t) + k->sum;
    k->sum = t;
}
double math_quantile(double q, double *values, size_t n); /* reorders values */
bool math_almost_equal(double a, double b, double eps);
double math_min(double a, double b); /* spec 9.1: NaN unless -Inf */
double math_max(double a, double b);
double math_op(enum promql_op op, double l, double r); /* arithmetic; comparisons give 1 or 0 */

/* avg: sums until they would overflow, then a running mean. */
struct average {
    struct kahan k;
    double mean_count;
    size_t n;
    bool running;
};
void average_add(struct average *a, double v);
double average_value(const struct average *a);

/* ---- histograms (histogram_sum.c, histogram_fn.c, histogram_trim.c) ---- */

struct histogram_total { /* sum or avg of histograms */
    struct float_histogram *h, *c;
    size_t n;
    bool running;
    bool seen_reset, seen_no_reset, failed, reconciled;
};
void histogram_total_add(struct eval *ev, struct histogram_total *t, const struct float_histogram *h, bool avg);
const struct float_histogram *histogram_total_value(struct eval *ev, struct histogram_total *t, bool avg);
struct float_histogram *histogram_clone(struct eval *ev, const struct float_histogram *h);
bool histogram_equals(const struct float_histogram *a, const struct float_histogram *b); /* bit patterns, hints ignored */
const struct float_histogram *histogram_trim(struct eval *ev, const struct float_histogram *h, double at, bool upper);
double histogram_sample_cost(const struct float_histogram *h);

struct bucket {
    double upper, count;
};
double bucket_quantile(double q, struct bucket *b, size_t n, bool *forced, double *lo, double *hi, double *diff);
double bucket_fraction(double lower, double upper, struct bucket *b, size_t n);
double histogram_quantile_of(struct eval *ev, double q, const struct float_histogram *h, struct str metric, uint32_t at);
double histogram_fraction_of(struct eval *ev, double lower, double upper, const struct float_histogram *h, struct str metric,
                             uint32_t at);
double histogram_variance(const struct float_histogram *h);

/* ---- nodes by kind ---- */

MUST_CHECK bool aggregate_eval(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg);
MUST_CHECK bool select_k_eval(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg);
MUST_CHECK bool binary_eval(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg);
MUST_CHECK bool matching_eval(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg);
MUST_CHECK bool sets_eval(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg);
/* One element against another; kind NONE: no element. *keep: a filter comparison holds. */
MUST_CHECK bool binary_points(struct eval *ev, const struct promql_node *n, const struct point *l, const struct point *r,
                              struct point *out, bool *keep, bool *incompatible, struct note *pending);
#define VECTOR_FN(name)                                                                            \
    bool name(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg)
VECTOR_FN(fn_math);
VECTOR_FN(fn_absent);
VECTOR_FN(fn_absent_over_time);
VECTOR_FN(fn_clamp);
VECTOR_FN(fn_clamp_min);
VECTOR_FN(fn_clamp_max);
VECTOR_FN(fn_round);
VECTOR_FN(fn_timestamp);
VECTOR_FN(fn_start_timestamp);
VECTOR_FN(fn_vector);
VECTOR_FN(fn_date);
VECTOR_FN(fn_sort);
VECTOR_FN(fn_sort_by_label);
VECTOR_FN(fn_label_replace);
VECTOR_FN(fn_label_join);
VECTOR_FN(fn_info);
VECTOR_FN(fn_histogram_value);
VECTOR_FN(fn_histogram_quantile);
VECTOR_FN(fn_histogram_quantiles);
VECTOR_FN(fn_histogram_fraction);
#undef VECTOR_FN
#define SCALAR_FN(name) bool name(struct eval *ev, const struct frame *f, const struct promql_node *n, double *out)
SCALAR_FN(fn_scalar);
SCALAR_FN(fn_time);
SCALAR_FN(fn_pi);
SCALAR_FN(fn_query_constant);
SCALAR_FN(fn_min_max_of);
#undef SCALAR_FN
double fn_sgn(double v);
double fn_ln(double v);
double fn_deg(double v);
double fn_rad(double v);

/* The literal text of a string argument. */
struct str string_arg(const struct promql_node *call, size_t i);

/* ---- planning (plan.c) ---- */

/* A private copy of the tree with durations, @ and step() resolved and invariant parts marked. NULL: failed. */
struct promql_node *plan_tree(struct eval *ev, const struct promql_node *root);
/* Times that the tree reads. False: it reads nothing. */
bool plan_bounds(struct eval *ev, const struct promql_node *n, const struct frame *f, int64_t *mint, int64_t *maxt);
/* Where a subquery's inner expression is evaluated for the steps of f. */
void subquery_frame(const struct eval *ev, const struct frame *f, const struct promql_node *n, struct frame *out);

#endif
