/* Several queriers as one: series with equal labels become one series, samples at equal times one sample, label names
 * and values one sorted list. Which of two samples with the same time wins is the first source's, in the order given.
 *
 * The merged querier owns its sources and closes them. A source whose `optional` flag is set may fail: its error becomes
 * a warning (merge_querier_warnings) and the answer is without it, as remote read and peers are used. */
#ifndef TOCSIN_STORAGE_MERGE_H
#define TOCSIN_STORAGE_MERGE_H

#include "storage/storage.h"

struct merge_source {
    struct querier *querier;
    bool optional;
};

/* Takes the queriers, also when it fails. With one source that is not optional the source itself is returned. */
struct querier *merge_querier(struct arena *a, const struct merge_source *sources, size_t n, int64_t mint, int64_t maxt);
/* Texts of what optional sources failed with; in the arena. Empty for queriers that are not merged. */
struct strs merge_querier_warnings(const struct querier *q);

/* Sets in label order as one. The sets are read lazily; `v` is kept. */
struct series_set *merge_series_sets(struct arena *a, struct series_set **v, size_t n);
/* Series with the same labels as one. */
struct series *merge_series(struct arena *a, struct series **v, size_t n);

/* c holds two runs of samples, each ascending: [n0, n1) and [n1, n) of the floats, [hn0, hn1) and [hn1, hn) of the
 * histograms. Makes them one. At equal times, also of a float and a histogram, the first run's sample stays. Runs that
 * do not interleave cost nothing. */
void columns_join_runs(struct columns *c, size_t n0, size_t hn0, size_t n1, size_t hn1);

#endif
