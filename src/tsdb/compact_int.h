/* Merging blocks into one. Pure but for the files: reads the blocks' mappings, writes a new directory. */
#ifndef TOCSIN_TSDB_COMPACT_INT_H
#define TOCSIN_TSDB_COMPACT_INT_H

#include "tsdb/block/block_int.h"

/* Merges blocks (any number, also one: then its tombstones are applied) into <parent>/<meta->ulid>. meta comes with its
 * name, range, level and lists and gets its counts. *written false: no sample was left, nothing was made. *stop is polled
 * between series (NULL: never); ERR_CANCELLED. */
MUST_CHECK bool compact_blocks(struct fs *fs, struct str parent, struct block **blocks, size_t n, struct block_meta *meta,
                               const _Atomic bool *stop, bool *written, struct err *err);
/* Name, range, level, sources, parents and hints of the merged block. */
void compact_meta(struct block **blocks, size_t n, const struct ulid *ulid, struct block_meta *meta);

#endif
