/* Writing an index: symbols, then series in label order, then the postings. Labels come as numbers of symbols, so that
 * neither a head nor a compaction handles texts here.
 *
 * Memory: 8 bytes a label of each series, until the postings are written. One owner. */
#ifndef TOCSIN_TSDB_INDEX_WRITER_INT_H
#define TOCSIN_TSDB_INDEX_WRITER_INT_H

#include "tsdb/file_int.h"
#include "tsdb/index/reader_int.h"

struct index_pair {
    uint32_t name, value; /* symbols */
    uint32_t count;       /* series */
};
struct index_writer {
    struct file_out out;
    uint64_t symbols_at, series_at, series_end;
    uint32_t symbols_count;
    struct str *symbols;      /* borrowed texts, sorted */
    struct index_pair *pairs; /* in order of first use */
    size_t pairs_count, pairs_capacity;
    uint32_t *slots;          /* hash table of pairs + 1 */
    size_t slots_capacity;
    uint32_t *series_pairs;   /* pair numbers of all series, one after the other */
    size_t entries, entries_capacity;
    uint32_t *refs;           /* of each series: its reference and, by index, its first entry */
    size_t *first_entry;
    size_t series_count, series_capacity;
    struct buf scratch;
};
MUST_CHECK bool index_writer_open(struct index_writer *w, struct fs *fs, struct str path, struct err *err);
/* Strictly ascending texts; they stay where they are until index_writer_finish(). */
void index_writer_symbols(struct index_writer *w, const struct str *symbols, size_t n);
/* The next series: labels as pairs of symbols, chunks in order, with references that never descend over the whole file.
 * ERR_LIMIT if the index would pass 64 GiB, ERR_CORRUPT if series or chunks do not ascend. */
MUST_CHECK bool index_writer_series(struct index_writer *w, const uint32_t *symbols, size_t labels_count,
                                    const struct index_chunk *chunks, size_t chunks_count, struct err *err);
/* Postings, tables, sync. */
MUST_CHECK bool index_writer_finish(struct index_writer *w, struct err *err);
void index_writer_abandon(struct index_writer *w);

#endif
