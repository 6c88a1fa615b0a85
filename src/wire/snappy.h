/* Snappy's block format (remote write, remote read, WAL records). Decoding reads the length that the block claims and
 * refuses it past limit_bytes before anything is allocated. Output is appended. Thread: any.
 * Errors: ERR_LIMIT, ERR_INVALID ("snappy: corrupt input"). */
#ifndef TOCSIN_WIRE_SNAPPY_H
#define TOCSIN_WIRE_SNAPPY_H

#include "base/buf.h"
#include "base/err.h"

void snappy_encode(struct str in, struct buf *out);
/* The first byte of what `in` decodes to, without decoding it. False: it has none, or is corrupt. */
bool snappy_first_byte(struct str in, uint8_t *first);
MUST_CHECK bool snappy_decode(struct str in, size_t limit_bytes, struct buf *out, struct err *err);

#endif
