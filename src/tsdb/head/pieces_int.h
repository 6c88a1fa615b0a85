/* The bytes of an open float chunk while they grow, in pieces that never move: every series' chunk begins, grows and ends
 * at about the same time, and blocks that were outgrown would be of no use to anybody.
 *
 * The newest piece is at hand and knows the oldest, so an append touches one piece. Bytes are addressed by their index in
 * the chunk; the caller knows how many there are. Under the series' stripe. */
#ifndef TOCSIN_TSDB_HEAD_PIECES_INT_H
#define TOCSIN_TSDB_HEAD_PIECES_INT_H

#include "base/str.h"
#include "tsdb/head/pool_int.h"

struct piece {
    struct piece *next; /* of the newest: the oldest */
    uint8_t bytes[];
};
/* What a piece holds: the first, in one line of the cache, is enough for a series that stands still. */
#define PIECE_FIRST (POOL_LINE - sizeof(struct piece))
#define PIECE_LATER (4 * POOL_LINE - sizeof(struct piece))

/* Where byte i of a chunk is in its piece. */
static inline size_t piece_place(size_t i)
{
    return i < PIECE_FIRST ? i : (i - PIECE_FIRST) % PIECE_LATER;
}
/* Writes n bytes from index `at` on over what is there and behind it. `had` is the length so far, and at <= had. */
void pieces_write(struct pool *p, struct piece **newest, size_t had, size_t at, const uint8_t *bytes, size_t n);
void pieces_copy(const struct piece *newest, size_t had, uint8_t *out);
void pieces_free(struct pool *p, struct piece **newest); /* leaves NULL */

#endif
