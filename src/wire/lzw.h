/* LZW as Go's compress/lzw with LSB order and literal width 8 (spec gossip 5): what the mesh compresses with. Encoding
 * gives Go's bytes exactly. Decoding stops with an error at limit_bytes of output. Output is appended; tables are on the
 * stack. Thread: any. Errors: ERR_LIMIT, ERR_INVALID. */
#ifndef TOCSIN_WIRE_LZW_H
#define TOCSIN_WIRE_LZW_H

#include "base/buf.h"
#include "base/err.h"

void lzw_encode(struct str in, struct buf *out);
MUST_CHECK bool lzw_decode(struct str in, size_t limit_bytes, struct buf *out, struct err *err);

#endif
