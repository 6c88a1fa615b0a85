/* Shared by the histogram files. Inside the folder only. */
#ifndef TOCSIN_MODEL_HISTOGRAM_INT_H
#define TOCSIN_MODEL_HISTOGRAM_INT_H

#include "model/histogram.h"

#define HISTOGRAM_MANTISSAS 256 /* of schema HISTOGRAM_SCHEMA_MAX */
extern const double histogram_mantissas[HISTOGRAM_MANTISSAS];

/* Walks over the buckets of one side in index order. */
struct side_cursor {
    const struct histogram_span *spans;
    size_t spans_count;
    size_t span, in_span;
    int32_t index; /* of the bucket that side_next() returned last */
    int32_t next_index;
    size_t bucket; /* its place in the array */
    size_t next_bucket, buckets_count;
};
struct side_cursor side_start(const struct histogram_span *spans, size_t spans_count, size_t buckets_count);
bool side_next(struct side_cursor *c);

/* a + b without undefined overflow: indexes of damaged data wrap. */
static inline int32_t index_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

#endif
