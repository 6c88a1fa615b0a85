/* What was deleted: closed intervals of time per series (by its reference in the block or log). Upstream:
 * tsdb/tombstones/tombstones.go. Not thread-safe: whoever shares one replaces it whole. */
#ifndef TOCSIN_TSDB_TOMBSTONES_INT_H
#define TOCSIN_TSDB_TOMBSTONES_INT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/map.h"

#include <stdint.h>

struct interval {
    int64_t mint, maxt; /* closed */
};
struct intervals { /* sorted, not touching */
    struct interval *v;
    size_t n, capacity;
};
struct tombstones {
    struct map64 by_ref; /* ref -> struct intervals * */
};
#define TOMBSTONES_BYTES_MAX (1u << 30)

void intervals_add(struct intervals *s, struct interval i); /* merged with what it overlaps or touches */
bool intervals_contain(const struct intervals *s, int64_t mint, int64_t maxt); /* all of it within one interval */
bool intervals_overlap(const struct intervals *s, int64_t mint, int64_t maxt);
void intervals_deinit(struct intervals *s);
/* Drops intervals that end before t. */
void intervals_cut(struct intervals *s, int64_t t);

void tombstones_deinit(struct tombstones *t);
void tombstones_add(struct tombstones *t, uint64_t ref, struct interval i);
const struct intervals *tombstones_get(const struct tombstones *t, uint64_t ref); /* NULL: none */
size_t tombstones_count(const struct tombstones *t); /* intervals */
struct tombstones *tombstones_clone(const struct tombstones *t);
void tombstones_free(struct tombstones *t);

/* From the version byte on, without magic and checksum (chunk snapshots). */
void tombstones_encode_body(const struct tombstones *t, struct buf *out);
MUST_CHECK bool tombstones_decode_body(struct str bytes, struct tombstones *t, struct err *err);
void tombstones_encode(const struct tombstones *t, struct buf *out);
MUST_CHECK bool tombstones_decode(struct str bytes, struct tombstones *t, struct err *err);
/* <dir>/tombstones; a missing file means none. */
MUST_CHECK bool tombstones_read(struct fs *fs, struct str dir, struct tombstones *t, struct err *err);
MUST_CHECK bool tombstones_write(struct fs *fs, struct str dir, const struct tombstones *t, struct err *err);

#endif
