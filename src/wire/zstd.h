/* Zstandard frames, whole in memory. Output is appended; never more than limit_bytes of it, whatever the frame claims.
 * Contexts are kept per thread, so that a hot path allocates nothing once warm; they go with their thread.
 * Errors: ERR_LIMIT, ERR_INVALID. */
#ifndef TOCSIN_WIRE_ZSTD_H
#define TOCSIN_WIRE_ZSTD_H

#include "base/buf.h"
#include "base/err.h"

void zstd_encode(struct str in, int level, struct buf *out);
MUST_CHECK bool zstd_decode(struct str in, size_t limit_bytes, struct buf *out, struct err *err);

#endif
