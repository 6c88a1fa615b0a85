/* Base64 (RFC 4648) in its four usual shapes, and hex. Decoders are as strict as Go's: line breaks (\r \n) are skipped,
 * padding must be right where the shape has it and absent where not, trailing bits are not checked. Output is appended
 * and left as it was on failure. Thread: any. */
#ifndef TOCSIN_WIRE_BASE64_H
#define TOCSIN_WIRE_BASE64_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

enum base64_shape { BASE64_STD, BASE64_URL, BASE64_STD_RAW, BASE64_URL_RAW }; /* RAW: without padding */

void base64_encode(struct str in, enum base64_shape shape, struct buf *out);
MUST_CHECK bool base64_decode(struct str in, enum base64_shape shape, struct buf *out);

void hex_encode(struct str in, struct buf *out); /* lower case */
MUST_CHECK bool hex_decode(struct str in, struct buf *out); /* either case */

#endif
