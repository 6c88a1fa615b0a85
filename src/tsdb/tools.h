/* What the command line does with blocks when no store is open: listing, counting what is in one, building new ones from
 * samples (backfill). Pure but for the files; one owner. */
#ifndef TOCSIN_TSDB_TOOLS_H
#define TOCSIN_TSDB_TOOLS_H

#include "tsdb/tsdb.h"

struct tsdb_block_info {
    struct str ulid;
    int64_t mint, maxt; /* [mint, maxt) */
    uint64_t samples, series, chunks, size_bytes;
};
/* Blocks of a directory, by time. ERR_CORRUPT if one does not open. */
MUST_CHECK bool tsdb_list_blocks(struct fs *fs, struct str dir, struct arena *a, struct tsdb_block_info **out, size_t *n,
                                 struct err *err);

struct tsdb_sizes { /* one number a chunk */
    uint32_t *v;
    size_t n, capacity;
};
struct tsdb_analysis {
    struct tsdb_block_info block;
    size_t names, pairs, entries, matched;
    /* every list descends by value; texts are in the arena. `limit` of each are kept */
    struct tsdb_count *churn_pairs, *churn_names, *common_pairs, *value_lengths, *cardinality, *metrics;
    size_t churn_pairs_count, churn_names_count, common_pairs_count, value_lengths_count, cardinality_count, metrics_count;
    /* with chunks: samples, bytes and buckets of each chunk; floats, float histograms, integer histograms */
    struct tsdb_sizes samples[3], bytes[3], buckets[3];
    size_t chunks;
};
/* Counts what is in one block (empty name: the last). ms NULL: all series. */
MUST_CHECK bool tsdb_analyze_block(struct fs *fs, struct str dir, struct str block, const struct matchers *ms, size_t limit,
                                   bool with_chunks, struct arena *a, struct tsdb_analysis *out, struct err *err);
void tsdb_analysis_deinit(struct tsdb_analysis *out);

/* A head without a log, that becomes one block. Samples may come in any order of series; in one series in order. */
struct tsdb_builder;
MUST_CHECK struct tsdb_builder *tsdb_builder_new(struct fs *fs, struct str dir, int64_t block_ms, wall_ms now,
                                                 struct rng *rng, struct err *err);
MUST_CHECK bool tsdb_builder_appender(struct tsdb_builder *b, struct appender **out, struct err *err);
/* Writes the block and ends the builder. info->ulid is empty if there were no samples; its text is in the arena. */
MUST_CHECK bool tsdb_builder_finish(struct tsdb_builder *b, struct arena *a, struct tsdb_block_info *info, struct err *err);
void tsdb_builder_abandon(struct tsdb_builder *b);

#endif
