/* gzip and zlib ("deflate") bodies, whole in memory. Output is appended; never more than limit_bytes of it. Several gzip
 * members in a row are one text, as Go's reader has it. Errors: ERR_LIMIT, ERR_INVALID. Thread: any. */
#ifndef TOCSIN_WIRE_GZIP_H
#define TOCSIN_WIRE_GZIP_H

#include "base/buf.h"
#include "base/err.h"

void gzip_encode(struct str in, int level, struct buf *out); /* level 1..9, -1: zlib's default */
MUST_CHECK bool gzip_decode(struct str in, size_t limit_bytes, struct buf *out, struct err *err);
void deflate_encode(struct str in, int level, struct buf *out); /* with zlib's header: HTTP's "deflate" */
/* With zlib's header, or raw deflate, which some clients send under that name. */
MUST_CHECK bool deflate_decode(struct str in, size_t limit_bytes, struct buf *out, struct err *err);

#endif
