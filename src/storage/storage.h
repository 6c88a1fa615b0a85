/* Storage as everything above it sees it: where samples go in (appender) and come out (querier). The TSDB stands behind
 * it today; remote read, peers and object storage stand behind it later, merged by storage/merge.h. Scraping, rules,
 * PromQL and the API know this header and nothing of files.
 *
 * Reading. A querier is a fixed cut of a time range: what was committed when it was opened, nothing later, and of each
 * commit all or nothing. Everything that it hands out (series, labels, lists of values) lives in its arena and is valid
 * until it is closed. A querier has one thread; any number may be open.
 *
 *     querier = storage_querier(st, arena, mint, maxt)
 *     set = querier_select(querier, matchers, hints)
 *     while (series_set_next(set, &series))
 *         columns_reset(&c); series_read(series, mint, maxt, &c)     whole series into arrays, or
 *         sample_iter_init(&it, series, mint, maxt)                  one by one, or
 *         series_chunks(series, mint, maxt, visit)                   still encoded
 *     querier_close(querier)
 *
 * Writing. An appender is one batch (a scrape, a rule evaluation, a remote write request) and is all or nothing: rollback
 * leaves no sample, commit makes all visible at once. A sample that the store refuses (out of order, duplicate, ...) is
 * not part of the batch; its status says why and the rest goes on. Series references are cached by the caller: with a
 * reference no label is looked at. A reference may die when its series was dropped: then the labels decide again.
 *
 * Times are wall clock, ms, UTC; ranges are closed [mint, maxt]. Values keep their bits (stale markers, NaN payloads). */
#ifndef TOCSIN_STORAGE_STORAGE_H
#define TOCSIN_STORAGE_STORAGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- samples ---- */

/* Samples of one series as arrays, floats and histograms apart, each ascending in time. Owned by the caller and used
 * again for the next series: once warm nothing is allocated. Zero-initialised is valid and empty. */
struct columns {
    int64_t *t; /* floats: times and values */
    double *v;
    size_t n, capacity;
    int64_t *ht;                /* histograms, integer ones converted to float */
    struct float_histogram **h; /* in `memory`, until the next columns_reset() */
    size_t hn, h_capacity;
    const int64_t *st, *hst; /* start times beside t and ht (0: unknown), in `memory`; NULL: the source knows none */
    struct arena memory; /* histograms */
    bool memory_ready;
};
void columns_deinit(struct columns *c);
void columns_reset(struct columns *c); /* empty, capacity kept; the histograms die */
void columns_reserve(struct columns *c, size_t extra);
static inline void columns_push(struct columns *c, int64_t t, double v)
{
    if (UNLIKELY(c->n == c->capacity))
        columns_reserve(c, 1);
    c->t[c->n] = t;
    c->v[c->n++] = v;
}
struct arena *columns_arena(struct columns *c);
void columns_push_histogram(struct columns *c, int64_t t, struct float_histogram *h); /* h is in columns_arena(c) */

/* ---- reading ---- */

enum sample_kind { SAMPLE_NONE, SAMPLE_FLOAT, SAMPLE_HISTOGRAM };

/* Encodings of chunks as Prometheus numbers them. */
enum chunk_encoding {
    CHUNK_NONE = 0,
    CHUNK_XOR = 1,
    CHUNK_HISTOGRAM = 2,
    CHUNK_FLOAT_HISTOGRAM = 3,
};
struct encoded_chunk {
    int64_t mint, maxt;
    uint8_t encoding;
    struct str bytes; /* from the sample count on */
};
typedef bool chunk_visit(void *arg, const struct encoded_chunk *c, struct err *err); /* false: stop with err */

struct series {
    const struct series_ops *ops;
    struct labels labels;
};
struct series_ops {
    bool (*read)(struct series *s, int64_t mint, int64_t maxt, struct columns *out, struct err *err);
    bool (*chunks)(struct series *s, int64_t mint, int64_t maxt, chunk_visit *visit, void *arg, struct err *err);
};

/* Appends the samples with mint <= t <= maxt to `out`, stale markers included. ERR_CORRUPT if a chunk is damaged. */
static inline MUST_CHECK bool series_read(struct series *s, int64_t mint, int64_t maxt, struct columns *out, struct err *err)
{
    return s->ops->read(s, mint, maxt, out, err);
}
/* Shows the chunks that touch the range, in order of mint, as they are stored: they may hold samples outside the range,
 * and of merged sources they may overlap (the reader merges). The bytes are valid during the call. Where samples were
 * deleted or not yet encoded, chunks are made for the occasion. */
static inline MUST_CHECK bool series_chunks(struct series *s, int64_t mint, int64_t maxt, chunk_visit *visit, void *arg,
                                            struct err *err)
{
    return s->ops->chunks(s, mint, maxt, visit, arg, err);
}

/* One sample at a time, floats and histograms in the order of time. */
struct sample_iter {
    struct series *series;
    int64_t mint, maxt;
    struct columns columns;
    size_t at, h_at;
    bool loaded;
    enum sample_kind kind; /* of the current sample */
    int64_t t;
    double v;
    const struct float_histogram *h;
};
void sample_iter_init(struct sample_iter *it, struct series *s, int64_t mint, int64_t maxt); /* *it zeroed or used before */
void sample_iter_deinit(struct sample_iter *it);
/* Moves on; *kind is SAMPLE_NONE at the end. False: err. */
MUST_CHECK bool sample_iter_next(struct sample_iter *it, struct err *err);
/* Moves to the first sample at or after t (never back). */
MUST_CHECK bool sample_iter_seek(struct sample_iter *it, int64_t t, struct err *err);

/* What the caller intends; sources may use it to do less, never to give less than is asked. */
struct select_hints {
    int64_t step_ms, range_ms;     /* of the expression around the selector; 0: none */
    struct str function;           /* innermost function or aggregation; empty: none */
    const struct str *grouping;    /* labels of by/without around it */
    size_t grouping_count;
    bool by;
    bool unsorted;                 /* order by labels is not needed (merging needs it) */
    size_t limit;                  /* series at most; 0: all */
};

/* Series of one select in label order (labels_cmp_prometheus), pulled one by one. */
struct series_set {
    const struct series_set_ops *ops;
};
struct series_set_ops {
    bool (*next)(struct series_set *set, struct series **s, struct err *err);
};
/* The next series, or *s = NULL at the end. False: err (a set that failed stays failed). A series without a sample in
 * the querier's range may appear. */
static inline MUST_CHECK bool series_set_next(struct series_set *set, struct series **s, struct err *err)
{
    return set->ops->next(set, s, err);
}

struct strs {
    struct str *v;
    size_t n;
};
struct exemplar {
    struct labels labels;
    double value;
    int64_t t;
    bool has_t; /* false where the source gave none (an exposition): the sample's time counts */
};
struct exemplar_series {
    struct labels labels;
    const struct exemplar *v; /* ascending in time */
    size_t n;
};
enum series_type { /* as the WAL numbers them */
    SERIES_UNKNOWN,
    SERIES_COUNTER,
    SERIES_GAUGE,
    SERIES_TYPE_HISTOGRAM,
    SERIES_GAUGE_HISTOGRAM,
    SERIES_SUMMARY,
    SERIES_INFO,
    SERIES_STATESET,
};
struct str series_type_text(enum series_type t); /* "unknown", "counter", ... as the API and exposition say */
struct series_metadata {
    enum series_type type;
    struct str unit, help;
};

struct querier {
    const struct querier_ops *ops;
    struct arena *arena; /* the caller's; what the querier hands out is in it */
    int64_t mint, maxt;
};
struct querier_ops {
    bool (*select)(struct querier *q, const struct matchers *ms, const struct select_hints *hints,
                   struct series_set **set, struct err *err);
    bool (*label_values)(struct querier *q, struct str name, const struct matchers *ms, size_t limit, struct strs *out,
                         struct err *err);
    bool (*label_names)(struct querier *q, const struct matchers *ms, size_t limit, struct strs *out, struct err *err);
    bool (*exemplars)(struct querier *q, const struct matchers *sets, size_t sets_count, struct exemplar_series **out,
                      size_t *n, struct err *err);
    bool (*metadata)(struct querier *q, struct labels series, struct series_metadata *out);
    void (*close)(struct querier *q);
};
/* Series that all matchers accept; hints may be NULL. ERR_LIMIT if the arena is full. */
static inline MUST_CHECK bool querier_select(struct querier *q, const struct matchers *ms, const struct select_hints *hints,
                                             struct series_set **set, struct err *err)
{
    return q->ops->select(q, ms, hints, set, err);
}
/* Sorted, unique, of the series that the matchers accept (ms NULL or empty: all). limit 0: all. Values need no sample in
 * the range: a source gives all that it has once its own time overlaps. */
static inline MUST_CHECK bool querier_label_values(struct querier *q, struct str name, const struct matchers *ms,
                                                   size_t limit, struct strs *out, struct err *err)
{
    return q->ops->label_values(q, name, ms, limit, out, err);
}
static inline MUST_CHECK bool querier_label_names(struct querier *q, const struct matchers *ms, size_t limit,
                                                  struct strs *out, struct err *err)
{
    return q->ops->label_names(q, ms, limit, out, err);
}
/* Exemplars in [q->mint, q->maxt] of the series that any of the sets accepts, sorted by series labels. */
static inline MUST_CHECK bool querier_exemplars(struct querier *q, const struct matchers *sets, size_t sets_count,
                                                struct exemplar_series **out, size_t *n, struct err *err)
{
    return q->ops->exemplars(q, sets, sets_count, out, n, err);
}
/* Newest metadata that was appended for the series; false if none. */
static inline bool querier_metadata(struct querier *q, struct labels series, struct series_metadata *out)
{
    return q->ops->metadata(q, series, out);
}
static inline void querier_close(struct querier *q)
{
    q->ops->close(q);
}

/* ---- writing ---- */

typedef uint64_t series_ref; /* 0: none yet. Means something to the storage that gave it, in this process only */

enum append_status {
    APPEND_OK,
    APPEND_OUT_OF_BOUNDS, /* older than the store takes */
    APPEND_OUT_OF_ORDER,  /* older than the series' last */
    APPEND_TOO_OLD,       /* outside the out-of-order window */
    APPEND_DUPLICATE,     /* same time, other value */
    APPEND_UNKNOWN_SERIES,/* the reference is dead and no labels came with it */
    APPEND_BAD_LABELS,    /* empty set, or a name twice */
    APPEND_BAD_HISTOGRAM, /* its parts contradict each other */
    APPEND_EXEMPLAR_DUPLICATE,
    APPEND_EXEMPLAR_OUT_OF_ORDER,
    APPEND_EXEMPLAR_TOO_LONG,
    APPEND_REFUSED,       /* the store takes nothing now: its bound on memory is reached while the disk is full */
};

struct append_options {
    bool discard_out_of_order; /* refuse what is out of order even if there is a window for it (rules) */
};

struct appender {
    const struct appender_ops *ops;
    struct err detail; /* of the last status that was not OK: upstream's words */
};
struct appender_ops {
    enum append_status (*sample)(struct appender *a, series_ref *ref, const struct labels *ls, int64_t t, double v);
    enum append_status (*histogram)(struct appender *a, series_ref *ref, const struct labels *ls, int64_t t,
                                    const struct int_histogram *h, const struct float_histogram *fh);
    enum append_status (*exemplar)(struct appender *a, series_ref ref, const struct exemplar *e);
    enum append_status (*metadata)(struct appender *a, series_ref ref, const struct series_metadata *m);
    bool (*commit)(struct appender *a, struct err *err);
    void (*rollback)(struct appender *a);
};
/* Adds a sample. With a live *ref, ls is not looked at and may be NULL; else the labels find or make the series (sorted,
 * no empty values) and *ref is set. The store copies what it keeps. */
static inline enum append_status append_sample(struct appender *a, series_ref *ref, const struct labels *ls, int64_t t,
                                               double v)
{
    return a->ops->sample(a, ref, ls, t, v);
}
/* As append_sample; exactly one of h (integer counts) and fh (float counts) is given. */
static inline enum append_status append_histogram(struct appender *a, series_ref *ref, const struct labels *ls, int64_t t,
                                                  const struct int_histogram *h, const struct float_histogram *fh)
{
    return a->ops->histogram(a, ref, ls, t, h, fh);
}
static inline enum append_status append_exemplar(struct appender *a, series_ref ref, const struct exemplar *e)
{
    return a->ops->exemplar(a, ref, e);
}
static inline enum append_status append_metadata(struct appender *a, series_ref ref, const struct series_metadata *m)
{
    return a->ops->metadata(a, ref, m);
}
/* Ends the batch: visible, and written to the log (a killed process loses none of it). The appender is gone either way.
 * ERR_LIMIT or ERR_IO: nothing was kept. */
static inline MUST_CHECK bool append_commit(struct appender *a, struct err *err)
{
    return a->ops->commit(a, err);
}
static inline void append_rollback(struct appender *a)
{
    a->ops->rollback(a);
}
struct str append_status_text(enum append_status s); /* upstream's error texts */

/* ---- the store ---- */

struct storage {
    const struct storage_ops *ops;
};
struct storage_ops {
    bool (*querier)(struct storage *st, struct arena *a, int64_t mint, int64_t maxt, struct querier **q, struct err *err);
    bool (*appender)(struct storage *st, const struct append_options *o, struct appender **a, struct err *err);
    bool (*start_time)(struct storage *st, int64_t *t);
};
/* A cut of [mint, maxt]; the arena outlives it. */
static inline MUST_CHECK bool storage_querier(struct storage *st, struct arena *a, int64_t mint, int64_t maxt,
                                              struct querier **q, struct err *err)
{
    return st->ops->querier(st, a, mint, maxt, q, err);
}
/* A batch; o may be NULL. ERR_UNAVAILABLE for stores that cannot be written or are not ready. */
static inline MUST_CHECK bool storage_appender(struct storage *st, const struct append_options *o, struct appender **a,
                                               struct err *err)
{
    return st->ops->appender(st, o, a, err);
}
/* Oldest time that the store has samples of; false if it is empty. */
static inline bool storage_start_time(struct storage *st, int64_t *t)
{
    return st->ops->start_time(st, t);
}

#endif
