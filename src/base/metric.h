/* Metrics as tables. A folder keeps a struct of counters, gauges and histograms and describes it by rows; app adds
 * the table to the registry; expfmt/ writes the registry out. base/ describes, it does not format.
 *
 * Counters and gauges have one writer: a relaxed load and store, no lock prefix. Readers may be on any thread and see
 * each value whole. counter_add_shared() is for the few that several threads write.
 *
 * A vector (rows made with METRIC_VEC) has one child per set of label values. Children are created by
 * metric_vec_get() under the vector's lock and live until metric_vec_clear(), so a hot path looks its child up once
 * and keeps the pointer. Label values are bounded by the caller.
 *
 * A gauge that needs a walk is written by its owner in a collect callback, which the registry calls (on the thread
 * that scrapes, unless app arranges otherwise) before it is read. */
#ifndef TOCSIN_BASE_METRIC_H
#define TOCSIN_BASE_METRIC_H

#include "base/str.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct counter {
    _Atomic uint64_t n;
};
struct gauge {
    _Atomic uint64_t bits; /* of a double */
};
struct fcounter { /* a counter of fractions: seconds */
    _Atomic uint64_t bits;
};
#define HISTOGRAM_BUCKETS_MAX 24
struct histogram {
    const double *bounds; /* upper bounds, ascending, +Inf left out; NULL: a summary without quantiles */
    size_t bounds_count;
    _Atomic uint64_t buckets[HISTOGRAM_BUCKETS_MAX + 1]; /* not cumulative; the last is +Inf */
    _Atomic uint64_t sum_bits;
};

void counter_add(struct counter *c, uint64_t n);        /* the owner thread */
void counter_add_shared(struct counter *c, uint64_t n); /* any thread */
uint64_t counter_get(const struct counter *c);
void gauge_set(struct gauge *g, double v);
void gauge_add(struct gauge *g, double v); /* the owner thread */
double gauge_get(const struct gauge *g);
void fcounter_add(struct fcounter *c, double v); /* any thread */
double fcounter_get(const struct fcounter *c);
void histogram_init(struct histogram *h, const double *bounds, size_t bounds_count);
void histogram_observe(struct histogram *h, double v); /* any thread */

enum metric_type { METRIC_COUNTER, METRIC_FCOUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_SUMMARY };
#define METRIC_LABELS_MAX 8

struct metric_vec; /* children by label values */

struct metric_desc {
    enum metric_type type;
    size_t offset;             /* of the counter, gauge, histogram, or of a `struct metric_vec *` */
    const char *name, *help;
    const char *labels;        /* constant labels, "state=active,version=v2"; NULL: none */
    const char *vec_labels;    /* label names of a vector, "integration,reason"; NULL: no vector */
    const double *bounds;      /* of a histogram vector's children */
    size_t bounds_count;
};
#define METRIC(kind, type_, field, name_, help_, ...)                                              \
    { .type = METRIC_##kind, .offset = offsetof(type_, field), .name = (name_), .help = (help_), .labels = "" __VA_ARGS__ }
#define METRIC_VEC(kind, type_, field, name_, help_, names)                                        \
    { .type = METRIC_##kind, .offset = offsetof(type_, field), .name = (name_), .help = (help_), .vec_labels = (names) }
#define METRIC_HIST_VEC(type_, field, name_, help_, names, bounds_)                                \
    { .type = METRIC_HISTOGRAM, .offset = offsetof(type_, field), .name = (name_), .help = (help_), \
      .vec_labels = (names), .bounds = (bounds_), .bounds_count = ARRAY_LEN(bounds_) }

/* Creates the vectors that the rows name and the histograms whose row has bounds, inside *stats; call once before the
 * stats are used. Other histograms are the owner's to init. */
void metric_stats_init(const struct metric_desc *descs, size_t count, void *stats);
void metric_stats_deinit(const struct metric_desc *descs, size_t count, void *stats);

/* The child for these values (as many as the vector has labels), created at zero if new; stays valid until clear. */
struct counter *metric_vec_counter(struct metric_vec *v, const struct str *values);
struct fcounter *metric_vec_fcounter(struct metric_vec *v, const struct str *values);
struct gauge *metric_vec_gauge(struct metric_vec *v, const struct str *values);
struct histogram *metric_vec_histogram(struct metric_vec *v, const struct str *values);
void metric_vec_clear(struct metric_vec *v);
void metric_vec_remove(struct metric_vec *v, const struct str *values);

/* All groups of a process, by family name. Thread: any; one walk at a time. */
struct metric_registry;
struct metric_registry *metric_registry_new(void);
void metric_registry_free(struct metric_registry *r);
/* descs and stats must outlive the registry. collect (may be NULL) runs before the group is read. */
void metric_registry_add(struct metric_registry *r, const struct metric_desc *descs, size_t count, void *stats,
                         void (*collect)(void *stats, void *arg), void *arg);

/* Reading: the writer in expfmt/ walks families in name order; series of one family are contiguous. */
struct metric_sample {
    const struct metric_desc *desc;
    size_t labels_count;
    struct str label_names[METRIC_LABELS_MAX], label_values[METRIC_LABELS_MAX];
    double value;                      /* counter, gauge */
    const struct histogram *histogram; /* histogram, summary */
};
typedef void metric_visit(void *arg, const struct metric_sample *s);
void metric_registry_walk(struct metric_registry *r, metric_visit *visit, void *arg);

#endif
