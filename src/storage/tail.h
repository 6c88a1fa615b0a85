/* The log of what was committed, as a stream: remote write reads it and sends it on. A tail remembers its place; what
 * was committed before it was opened is given as series only, so that references resolve.
 *
 * References here are those of the log (struct tail_series.ref), not those of appenders. A tail has one thread, any
 * number of tails may be open. When the log is cut (checkpoint) a tail goes on; series that are gone are told as such. */
#ifndef TOCSIN_STORAGE_TAIL_H
#define TOCSIN_STORAGE_TAIL_H

#include "storage/storage.h"

struct tail_series {
    uint64_t ref;
    struct labels labels;
};
struct tail_sample {
    uint64_t ref;
    int64_t t;
    double v;
};
struct tail_histogram {
    uint64_t ref;
    int64_t t;
    const struct int_histogram *h; /* exactly one of the two */
    const struct float_histogram *fh;
};
struct tail_exemplar {
    uint64_t ref;
    struct exemplar e;
};
struct tail_metadata {
    uint64_t ref;
    struct series_metadata m;
};
/* One record's worth. Borrowed until the next call. */
struct tail_batch {
    const struct tail_series *series;
    size_t series_count;
    const struct tail_sample *samples;
    size_t samples_count;
    const struct tail_histogram *histograms;
    size_t histograms_count;
    const struct tail_exemplar *exemplars;
    size_t exemplars_count;
    const struct tail_metadata *metadata;
    size_t metadata_count;
    uint32_t segment;      /* where it was read */
    bool series_collected; /* the log was cut: series that were not told again since `collected_before` are gone */
    uint32_t collected_before;
};

struct tail {
    const struct tail_ops *ops;
};
struct tail_ops {
    bool (*next)(struct tail *t, struct tail_batch *out, bool *got, struct err *err);
    uint64_t (*behind_bytes)(struct tail *t);
    void (*close)(struct tail *t);
};
/* The next record, *got false when there is none now (ask again after the next commit). */
static inline MUST_CHECK bool tail_next(struct tail *t, struct tail_batch *out, bool *got, struct err *err)
{
    return t->ops->next(t, out, got, err);
}
static inline uint64_t tail_behind_bytes(struct tail *t)
{
    return t->ops->behind_bytes(t);
}
static inline void tail_close(struct tail *t)
{
    t->ops->close(t);
}

#endif
