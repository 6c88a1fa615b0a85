/* Chunks of native histograms, integer (encoding 2) and float (3), as upstream writes them (tsdb/chunkenc/histogram.go,
 * float_histogram.go, histogram_meta.go). One schema, one zero threshold and one bucket layout a chunk.
 *
 * Pure; a writer or reader has one owner. A writer owns its memory; what a reader gives is in the caller's arena. */
#ifndef TOCSIN_TSDB_CHUNKENC_HISTOGRAM_INT_H
#define TOCSIN_TSDB_CHUNKENC_HISTOGRAM_INT_H

#include "base/arena.h"
#include "base/err.h"
#include "model/histogram.h"
#include "tsdb/chunkenc/bits_int.h"

/* The counter reset flag of a chunk, as its header stores it. */
enum reset_flag {
    FLAG_UNKNOWN = 0x00,
    FLAG_NOT_RESET = 0x40,
    FLAG_RESET = 0x80,
    FLAG_GAUGE = 0xc0,
};

/* One sample: exactly one of h and fh is set. */
struct histogram_sample {
    int64_t t;
    const struct int_histogram *h;
    const struct float_histogram *fh;
};

/* A chunk that is being written. */
struct histogram_chunk {
    bool is_float;
    bool last_stale;
    enum reset_flag flag;
    uint16_t n;
    int64_t mint, t, t_delta;
    int32_t schema;
    double zero_threshold;
    struct histogram_span *spans; /* positive, then negative; owned */
    size_t positive_spans, negative_spans;
    size_t positive_buckets, negative_buckets;
    double *custom; /* owned */
    size_t custom_count;
    uint64_t count, zero_count; /* integer chunks */
    int64_t count_delta, zero_delta;
    int64_t *buckets, *bucket_deltas; /* integer chunks: value and last change of each; owned */
    struct xor_column fcount, fzero, sum;
    struct xor_column *columns; /* float chunks: absolute counts; owned */
    struct bit_writer out;
};

void histogram_chunk_deinit(struct histogram_chunk *c);

/* Begins a chunk with its first sample; what *c held is dropped. */
void histogram_chunk_start(struct histogram_chunk *c, const struct histogram_sample *s, enum reset_flag flag);
/* Appends s to the open chunk, rewriting it with more buckets if s brings some. False: s cannot join; *flag is that of
 * the chunk to begin with it. */
MUST_CHECK bool histogram_chunk_append(struct histogram_chunk *c, const struct histogram_sample *s, enum reset_flag *flag);
/* The flag of a chunk that s begins: after none or another encoding (prev NULL), or because prev is full. */
enum reset_flag histogram_chunk_first_flag(const struct histogram_chunk *prev, const struct histogram_sample *s);

/* The newest sample; spans and bounds are the chunk's. */
void histogram_chunk_last_int(const struct histogram_chunk *c, struct arena *a, struct int_histogram *out);
void histogram_chunk_last_float(const struct histogram_chunk *c, struct arena *a, struct float_histogram *out);

static inline size_t histogram_chunk_bytes(const struct histogram_chunk *c)
{
    return bit_writer_bytes(&c->out);
}

/* ---- reading ---- */

struct histogram_reader {
    struct arena *arena;
    struct bit_reader r;
    bool is_float, has_st;
    unsigned first_st;
    enum reset_flag flag;
    size_t n, i; /* samples, and how many were read */
    double zero_threshold;
    int32_t schema;
    struct histogram_span *positive_spans, *negative_spans;
    size_t positive_spans_count, negative_spans_count;
    size_t positive_buckets, buckets;
    double *custom;
    size_t custom_count;
    int64_t t, t_delta;
    bool stale;
    uint64_t count, zero_count;
    int64_t count_delta, zero_delta;
    struct xor_column fcount, fzero, sum;
    int64_t *ints, *int_deltas;
    struct xor_column *columns;
};
/* encoding: 2, 3, or 5, 6 (with start timestamps, which are dropped). */
MUST_CHECK bool histogram_reader_init(struct histogram_reader *r, uint8_t encoding, const uint8_t *p, size_t n,
                                      struct arena *arena, struct err *err);
/* False: the end, or (err->code set) damage. */
MUST_CHECK bool histogram_reader_next(struct histogram_reader *r, struct err *err);
/* The current sample as a value; spans and bounds are shared by all values of the reader. */
void histogram_reader_int(const struct histogram_reader *r, struct int_histogram *out);      /* encodings 2, 5 */
void histogram_reader_float(const struct histogram_reader *r, struct float_histogram *out);  /* any */

#endif
