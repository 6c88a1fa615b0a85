/* What times the records of a log have, by place: bounds for every stretch of WAL_STRETCH_BYTES, over the records that begin
 * in it. By them a checkpoint drops and copies records without unpacking them.
 *
 * Bounds may be wider than the truth, never narrower. A stretch of which nothing was noted has none. Memory: 32 bytes a
 * stretch. One owner. */
#ifndef TOCSIN_TSDB_WAL_TIMES_INT_H
#define TOCSIN_TSDB_WAL_TIMES_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_STRETCH_BYTES (1u << 20)

struct wal_bounds { /* mint > maxt: no times at all */
    int64_t mint, maxt;
};
#define WAL_BOUNDS_NONE    ((struct wal_bounds){ INT64_MAX, INT64_MIN })
#define WAL_BOUNDS_UNKNOWN ((struct wal_bounds){ INT64_MIN, INT64_MAX })
static inline void wal_bounds_add(struct wal_bounds *b, int64_t t)
{
    b->mint = t < b->mint ? t : b->mint;
    b->maxt = t > b->maxt ? t : b->maxt;
}

struct wal_stretch {
    uint32_t segment, number;
    struct wal_bounds bounds;
};
struct wal_times {
    struct wal_stretch *v; /* ascending by place */
    size_t n, capacity;
};
/* A record begins at byte `at` of the segment. Places do not descend. */
void wal_times_note(struct wal_times *t, uint32_t segment, uint64_t at, struct wal_bounds bounds);
/* WAL_BOUNDS_UNKNOWN where nothing was noted. */
struct wal_bounds wal_times_get(const struct wal_times *t, uint32_t segment, uint64_t at);
void wal_times_forget(struct wal_times *t, uint32_t below); /* segments below the number */
void wal_times_copy(const struct wal_times *from, struct wal_times *to);
void wal_times_deinit(struct wal_times *t); /* empty afterwards */

#endif
