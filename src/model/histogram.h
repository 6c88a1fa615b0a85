/* Native histograms as values. Two forms: float_histogram is what queries work with (absolute counts); int_histogram
 * is what scrapes deliver and chunks and the WAL store (counts as deltas between neighbouring buckets).
 *
 * Schemas -4..8 are exponential: positive bucket i covers (2^((i-1)*2^-s), 2^(i*2^-s)], negative ones mirror it, the zero
 * bucket is [-threshold, threshold]. Schema -53 has custom upper bounds, no zero bucket and no negative side.
 * Spans name which buckets exist: the first offset is the index of the first bucket, later ones are gaps.
 *
 * Ownership: values are shallow; arrays belong to whoever made them, operations allocate theirs in the given arena and
 * never write into arrays of an operand but the receiver's own. Whoever decodes a histogram bounds its buckets.
 * Upstream: prometheus model/histogram; spec/promql.md 10.1-10.3, spec/tsdb.md 4. Pure; any thread. */
#ifndef TOCSIN_MODEL_HISTOGRAM_H
#define TOCSIN_MODEL_HISTOGRAM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_SCHEMA_MIN    (-4)
#define HISTOGRAM_SCHEMA_MAX    8
#define HISTOGRAM_SCHEMA_CUSTOM (-53)
/* Stored schemas up to this one are reduced to 8 when read. */
#define HISTOGRAM_SCHEMA_STORED_MAX 52

/* The numbers are those of the WAL. */
enum counter_reset_hint { RESET_UNKNOWN = 0, RESET_YES = 1, RESET_NO = 2, RESET_GAUGE = 3 };

struct histogram_span {
    int32_t offset;
    uint32_t length;
};
struct float_side {
    const struct histogram_span *spans;
    size_t spans_count;
    double *buckets;
    size_t buckets_count;
};
struct float_histogram {
    enum counter_reset_hint hint;
    int32_t schema;
    double zero_threshold, zero_count, count, sum;
    struct float_side positive, negative;
    const double *custom_values; /* upper bounds, schema -53 only; +Inf left out */
    size_t custom_values_count;
};

struct int_side {
    const struct histogram_span *spans;
    size_t spans_count;
    int64_t *deltas;
    size_t deltas_count;
};
struct int_histogram {
    enum counter_reset_hint hint;
    int32_t schema;
    double zero_threshold;
    uint64_t zero_count, count;
    double sum;
    struct int_side positive, negative;
    const double *custom_values;
    size_t custom_values_count;
};

/* Copies: nothing of *out points into h. */
void float_histogram_copy(struct arena *a, const struct float_histogram *h, struct float_histogram *out);
void int_histogram_copy(struct arena *a, const struct int_histogram *h, struct int_histogram *out);
void float_histogram_from_int(struct arena *a, const struct int_histogram *h, struct float_histogram *out);

/* Spans against buckets, no negative count, count against the sum of buckets, bounds. ERR_INVALID, upstream's texts. */
MUST_CHECK bool float_histogram_check(const struct float_histogram *h, struct err *err);
MUST_CHECK bool int_histogram_check(const struct int_histogram *h, struct err *err);

bool float_histogram_is_stale(const struct float_histogram *h); /* the sum is the staleness marker */
bool int_histogram_is_stale(const struct int_histogram *h);
bool histogram_schema_is_exponential(int32_t schema);
/* Equal by bits in all but the hint; empty spans and how buckets are cut into spans do not matter. */
bool float_histogram_eq(const struct float_histogram *a, const struct float_histogram *b);
bool int_histogram_eq(const struct int_histogram *a, const struct int_histogram *b);
/* Bytes a histogram is reckoned at in sample accounting (spec/promql.md 10.7). */
size_t float_histogram_size(const struct float_histogram *h);

/* What add and sub have to say beside the result. */
struct histogram_notes {
    bool reset_collision;    /* a "reset" met a "not reset" */
    bool bounds_reconciled;  /* custom bounds differed */
};
/* h += other, h -= other; *h gets new arrays in the arena. false, with h unchanged: exponential with custom buckets. */
MUST_CHECK bool float_histogram_add(struct arena *a, struct float_histogram *h, const struct float_histogram *other,
                                    struct histogram_notes *notes);
MUST_CHECK bool float_histogram_sub(struct arena *a, struct float_histogram *h, const struct float_histogram *other,
                                    struct histogram_notes *notes);
/* As add with Kahan-Neumaier compensation of every number: *c holds what rounding lost and has h's layout; start it as
 * zero with float_histogram_kahan_init(). The true sum is h + c (float_histogram_add without notes). */
void float_histogram_kahan_init(struct arena *a, const struct float_histogram *h, struct float_histogram *c);
MUST_CHECK bool float_histogram_kahan_add(struct arena *a, struct float_histogram *h, struct float_histogram *c,
                                          const struct float_histogram *other, struct histogram_notes *notes);
void float_histogram_kahan_finish(struct float_histogram *h, const struct float_histogram *c); /* h += c, in place */

/* In place: counts change, arrays do not. A negative factor makes a gauge. Dividing by 0 removes the buckets. */
void float_histogram_mul(struct float_histogram *h, double factor);
void float_histogram_div(struct float_histogram *h, double divisor);
/* Removes empty buckets and joins spans. */
void float_histogram_compact(struct arena *a, struct float_histogram *h);
/* To a lower exponential schema; bucket counts are added up. */
void float_histogram_reduce(struct arena *a, struct float_histogram *h, int32_t schema);
void int_histogram_reduce(struct arena *a, struct int_histogram *h, int32_t schema);

/* Is cur, coming after prev, a fresh start of the counter? (spec/promql.md 10.2) */
bool float_histogram_is_reset(struct arena *scratch, const struct float_histogram *cur,
                              const struct float_histogram *prev);

/* Upper bound of bucket `index` of the positive side. */
double histogram_bound(int32_t schema, int32_t index, const double *custom_values, size_t custom_values_count);

struct histogram_bucket {
    double lower, upper;
    bool lower_inclusive, upper_inclusive;
    double count;
    int32_t index; /* on its side; 0 for the zero bucket */
    int side;      /* -1, 0, 1 */
};
/* A walk over all buckets, empty ones included (the zero bucket only if its count is > 0): ascending from the most
 * negative one, or descending. A bucket that is partly inside the zero bucket has its inner bound at its edge. */
struct histogram_walk {
    const struct float_histogram *h;
    bool descending;
    int stage; /* which of the three parts */
    bool side_open;
    size_t span, in_span, bucket;
    int32_t index;
};
void histogram_walk_start(struct histogram_walk *w, const struct float_histogram *h, bool descending);
bool histogram_walk_next(struct histogram_walk *w, struct histogram_bucket *b);

/* {count:12, sum:18.4, [-0.001,0.001]:2, (0.5,1]:4}: Prometheus's String(). */
void float_histogram_write(struct buf *b, const struct float_histogram *h);
void int_histogram_write(struct buf *b, const struct int_histogram *h);

#endif
