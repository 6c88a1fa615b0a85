/* PromQL: parse a query, run it over a storage, get columns back.
 *
 *     expr = promql_parse(text, features, &err)                    immutable, shared by threads
 *     promql_run(expr, &run, &result, &err)                        on a query thread
 *     ... result->series ... promql_result_free(result)
 *
 * The engine evaluates series by series over all steps of a range at once: a selector reads a series' samples into arrays,
 * range functions slide over them, aggregations take each series as it comes. An instant query is a range query of one
 * step. Everything of a run lives in the result's arena.
 *
 * Bounds: length and depth of the text, samples and bytes a run may hold, and `stop`, which is polled between series and
 * within long ones. The engine reads no clock: whoever runs a query arms a timer that sets stop.
 *
 * Thread: a run has one thread; any number of runs may share an expression and a storage.
 * Upstream: prometheus promql/; spec/promql.md. */
#ifndef TOCSIN_PROMQL_PROMQL_H
#define TOCSIN_PROMQL_PROMQL_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "json/writer.h"
#include "promql/ast.h"
#include "storage/storage.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROMQL_TEXT_MAX        (1024 * 1024)
#define PROMQL_DEPTH_MAX       1000
#define PROMQL_NODES_MAX       100000
#define PROMQL_LOOKBACK_MS     300000
#define PROMQL_SAMPLES_MAX     50000000
#define PROMQL_SUBQUERY_STEP_MS 60000
#define PROMQL_STEPS_MAX       11000 /* (end - start) / step of a range query over HTTP */
#define PROMQL_MEMORY_MAX      ((size_t)2 << 30)

enum promql_features { /* --enable-feature */
    PROMQL_EXPERIMENTAL_FUNCTIONS = 1, /* promql-experimental-functions */
    PROMQL_DELAYED_NAME_REMOVAL = 2,   /* promql-delayed-name-removal */
    PROMQL_EXTENDED_RANGES = 4,        /* promql-extended-range-selectors: anchored, smoothed */
    PROMQL_FILL_MODIFIERS = 8,         /* promql-binop-fill-modifiers */
    PROMQL_START_TIMES = 16,           /* use-start-timestamps */
    PROMQL_TYPE_AND_UNIT = 32,         /* type-and-unit-labels */
    PROMQL_PER_STEP_STATS = 64,        /* promql-per-step-stats */
};
/* The bit of a feature's name, 0 if it is none of PromQL's. */
unsigned promql_feature(struct str name);

/* ---- expressions ---- */

struct promql_expr;
/* NULL and ERR_INVALID "LINE:COL: parse error: ..." (also in err->line, err->column), ERR_LIMIT if the text is too long. */
MUST_CHECK struct promql_expr *promql_parse(struct str text, unsigned features, struct err *err);
void promql_expr_free(struct promql_expr *e);
const struct promql_node *promql_root(const struct promql_expr *e);
struct str promql_text(const struct promql_expr *e); /* as it was parsed */
enum promql_type promql_expr_type(const struct promql_expr *e);

/* One selector, as match[] parameters have it: name{a="b"}. Matchers are in the arena; release with matchers_deinit. */
MUST_CHECK bool promql_parse_selector(struct arena *a, struct str text, struct matchers *out, struct err *err);
/* name{a="b"} with = only, as recording series and tests are named. */
MUST_CHECK bool promql_parse_metric(struct arena *a, struct str text, struct labels *out, struct err *err);

/* Canonical text (spec 2.5), the formatter's, and parse_query's JSON. */
void promql_print(struct buf *out, const struct promql_node *n);
void promql_print_pretty(struct buf *out, const struct promql_node *n);
void promql_print_json(struct json_writer *w, const struct promql_node *n);

/* ---- runs ---- */

enum promql_stop { PROMQL_GO_ON, PROMQL_CANCELLED, PROMQL_TIMED_OUT };

struct promql_run {
    struct storage *storage;
    int64_t start_ms, end_ms, step_ms; /* instant: start == end, step 0 */
    bool is_range;                     /* the result is a matrix, also of one step */
    int64_t lookback_ms;               /* 0: PROMQL_LOOKBACK_MS */
    int64_t subquery_step_ms;          /* 0: PROMQL_SUBQUERY_STEP_MS; the global evaluation interval */
    size_t samples_max;                /* 0: PROMQL_SAMPLES_MAX */
    size_t memory_max_bytes;           /* 0: PROMQL_MEMORY_MAX */
    unsigned features;
    const _Atomic int *stop; /* enum promql_stop; NULL: never */
};

struct promql_series {
    struct labels labels;
    const int64_t *t; /* floats */
    const double *v;
    size_t n;
    const int64_t *ht; /* histograms */
    const struct float_histogram *const *h;
    size_t hn;
};
struct promql_stats {
    double eval_s, sort_s, prepare_s, inner_s;
    uint64_t samples_total, samples_peak, samples_read;
    uint64_t *per_step; /* samples of each step, steps_count of them; NULL without the feature */
    size_t steps_count;
    int64_t start_ms, step_ms;
};
struct promql_result {
    enum promql_type type;
    int64_t t; /* of scalar and string */
    double scalar;
    struct str string;
    struct promql_series *series; /* vector: one sample each, in result order; matrix: sorted by labels */
    size_t n;
    struct str_list warnings, infos; /* final texts, with position; in order of appearance */
    struct promql_stats stats;
    struct arena arena;
};

/* ERR_INVALID: an execution error, or a type that a range query does not take. ERR_LIMIT, ERR_CANCELLED, ERR_TIMEOUT:
 * upstream's texts ("query timed out in expression evaluation"). Others: the storage's. On failure *out is NULL. */
MUST_CHECK bool promql_run(const struct promql_expr *e, const struct promql_run *run, struct promql_result **out,
                           struct err *err);
void promql_result_free(struct promql_result *r);

/* 0.000001 <= |v| < 1e21 plain, else with exponent, as HTTP answers have it. */
void promql_write_value(struct buf *out, double v);
/* {"count":"..","sum":"..","buckets":[..]} */
void promql_write_histogram(struct buf *out, const struct float_histogram *h);

#endif
