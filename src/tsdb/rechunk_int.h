/* Decoding chunks to samples and encoding samples to chunks again: where samples were deleted, where chunks of several
 * sources overlap, where out-of-order samples are merged. Integer histograms stay integer. */
#ifndef TOCSIN_TSDB_RECHUNK_INT_H
#define TOCSIN_TSDB_RECHUNK_INT_H

#include "storage/storage.h"
#include "tsdb/tombstones_int.h"

/* One sample of any kind: h or fh is set for histograms. */
struct raw_sample {
    int64_t t;
    uint64_t v;
    const struct int_histogram *h;
    const struct float_histogram *fh;
};
struct raw_samples { /* ascending in time; owned array, histograms in the caller's arena */
    struct raw_sample *v;
    size_t n, capacity;
};
void raw_samples_push(struct raw_samples *s, const struct raw_sample *x);
void raw_samples_deinit(struct raw_samples *s);

/* Appends the chunk's samples in [mint, maxt] that lie in no interval (NULL: none). */
MUST_CHECK bool raw_decode(const struct encoded_chunk *c, int64_t mint, int64_t maxt, const struct intervals *gone,
                           struct arena *a, struct raw_samples *out, struct err *err);
/* Merges two runs into *out (emptied first); at equal times x's sample stays. Histograms after a switch of source lose
 * their "not reset". */
void raw_merge(const struct raw_samples *x, const struct raw_samples *y, struct arena *a, struct raw_samples *out);

struct raw_limits {
    size_t samples;                          /* cut after so many; 0: as many as the format takes */
    size_t float_bytes;                      /* cut before a sample when the chunk has more bytes; 0: never */
    size_t histogram_bytes, histogram_samples; /* cut when it has as many bytes and more samples than that; 0: never */
};
#define RAW_MERGE_LIMITS ((struct raw_limits){ .samples = 120 })
/* Shows the chunks that hold the samples. */
MUST_CHECK bool raw_encode(const struct raw_samples *s, struct raw_limits limits, chunk_visit *visit, void *arg,
                           struct err *err);

/* The chunk without what lies in the intervals, as one chunk or, where a histogram breaks, several. */
MUST_CHECK bool chunk_without(const struct encoded_chunk *c, const struct intervals *gone, chunk_visit *visit, void *arg,
                              struct err *err);

/* Chunks gathered in an arena, bytes copied. */
struct chunk_list {
    struct arena *arena;
    struct encoded_chunk *v; /* heap; chunk_list_deinit() */
    size_t n, capacity;
};
void chunk_list_deinit(struct chunk_list *l);
MUST_CHECK bool chunk_list_add(void *list, const struct encoded_chunk *c, struct err *err); /* a chunk_visit */

/* Makes the chunks of one series fit for a block: within [mint, maxt], in order, none overlapping. What overlaps no other
 * and is whole is taken over as it is; copies are dropped; the rest is merged (the chunk that begins first wins at equal
 * times) and encoded again within the limits. Sorts `in`. */
MUST_CHECK bool chunks_settle(struct chunk_list *in, int64_t mint, int64_t maxt, struct raw_limits limits,
                              struct chunk_list *out, struct err *err);

/* Removes the samples from n0 / hn0 on that lie in an interval (NULL: none). */
void columns_drop_intervals(struct columns *c, size_t n0, size_t hn0, const struct intervals *gone);

#endif
