/* Records of the log: encoding and decoding (docs/formats/tsdb.md; upstream tsdb/record/record.go). */
#ifndef TOCSIN_TSDB_WAL_RECORD_INT_H
#define TOCSIN_TSDB_WAL_RECORD_INT_H

#include "base/arena.h"
#include "storage/storage.h"
#include "tsdb/bytes_int.h"
#include "tsdb/tombstones_int.h"
#include "tsdb/wal/times_int.h"

enum record_type {
    RECORD_UNKNOWN = 0,
    RECORD_SERIES = 1,
    RECORD_SAMPLES = 2,
    RECORD_TOMBSTONES = 3,
    RECORD_EXEMPLARS = 4,
    RECORD_MMAP_MARKERS = 5,
    RECORD_METADATA = 6,
    RECORD_HISTOGRAMS = 7,
    RECORD_FLOAT_HISTOGRAMS = 8,
    RECORD_CUSTOM_HISTOGRAMS = 9,
    RECORD_CUSTOM_FLOAT_HISTOGRAMS = 10,
    RECORD_SAMPLES_V2 = 11,
    RECORD_HISTOGRAMS_V2 = 12,
    RECORD_FLOAT_HISTOGRAMS_V2 = 13,
};

struct record_series {
    uint64_t ref;
    struct labels labels; /* texts of the record */
};
struct record_sample {
    uint64_t ref;
    int64_t t;
    uint64_t v;
};
struct record_histogram {
    uint64_t ref;
    int64_t t;
    struct int_histogram *h; /* one of the two */
    struct float_histogram *fh;
};
struct record_tombstone {
    uint64_t ref;
    struct interval interval;
};
struct record_exemplar {
    uint64_t ref;
    struct exemplar e;
};
struct record_marker {
    uint64_t ref, chunk_ref;
};
struct record_metadata {
    uint64_t ref;
    struct series_metadata m;
};

/* One decoded record; arrays are reused from record to record, texts point into the record. */
struct record {
    enum record_type type; /* v2 and custom-bucket ones are given as their plain types; 0: skip it */
    size_t n;
    struct record_series *series;
    struct record_sample *samples;
    struct record_histogram *histograms;
    struct record_tombstone *tombstones;
    struct record_exemplar *exemplars;
    struct record_marker *markers;
    struct record_metadata *metadata;
    size_t capacity[8];
    size_t skipped; /* histograms of unknown schema */
    struct arena arena; /* labels and histograms of this record */
    bool arena_ready;
};
/* ERR_CORRUPT: the body does not fit its type. Unknown types are no error (type RECORD_UNKNOWN). */
MUST_CHECK bool record_decode(struct record *r, struct str bytes, struct err *err);
/* Of the samples, histograms and exemplars in it. */
struct wal_bounds record_bounds(const struct record *r);
/* Whether records of this type, as it is on disk, have times by which they are kept or not. */
bool record_has_times(uint8_t type);
void record_deinit(struct record *r);

/* ---- encoding: begin, then items ---- */

void record_series_begin(struct buf *b);
void record_series_item(struct buf *b, uint64_t ref, struct labels ls);
/* ref0 and t0 are those of the first item of the batch. */
void record_samples_begin(struct buf *b, enum record_type type, uint64_t ref0, int64_t t0);
static inline void record_sample_item(struct buf *b, uint64_t ref0, int64_t t0, uint64_t ref, int64_t t, uint64_t v)
{
    uint8_t p[2 * UVARINT_MAX + 8];
    size_t n = put_uvarint(p, zigzag((int64_t)(ref - ref0)));
    n += put_uvarint(p + n, zigzag((int64_t)((uint64_t)t - (uint64_t)t0)));
    put_be64(p + n, v);
    buf_append(b, p, n + 8);
}
void record_histogram_item(struct buf *b, uint64_t ref0, int64_t t0, uint64_t ref, int64_t t,
                           const struct int_histogram *h, const struct float_histogram *fh);
void record_exemplar_item(struct buf *b, uint64_t ref0, int64_t t0, uint64_t ref, const struct exemplar *e);
void record_tombstones_begin(struct buf *b);
void record_tombstone_item(struct buf *b, uint64_t ref, struct interval i);
void record_metadata_begin(struct buf *b);
void record_metadata_item(struct buf *b, uint64_t ref, const struct series_metadata *m);
void record_markers_begin(struct buf *b);
void record_marker_item(struct buf *b, uint64_t ref, uint64_t chunk_ref);

/* Bodies that chunk snapshots use, too. */
void record_put_labels(struct buf *b, struct labels ls);
bool record_take_labels(struct cursor *c, struct arena *a, struct labels *out);
void record_put_histogram(struct buf *b, const struct int_histogram *h, const struct float_histogram *fh);
struct int_histogram *record_take_int_histogram(struct cursor *c, struct arena *a);
struct float_histogram *record_take_float_histogram(struct cursor *c, struct arena *a);

#endif
