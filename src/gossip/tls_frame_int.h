/* Framing of the TLS transport (spec 7): every connection starts with a frame that says whether packets follow, a frame
 * each, or a raw stream. Pure.
 *
 *     length:u32 little-endian | MemberlistMessage { 1 version "v0.1.0", 2 kind, 3 from_addr, 4 msg }
 *
 * The edge writes each frame as exactly one TLS record, and a stream's body in records of its own: upstream loses what
 * comes in the same record as a frame. What we receive may be joined in any way. */
#ifndef TOCSIN_GOSSIP_TLS_FRAME_INT_H
#define TOCSIN_GOSSIP_TLS_FRAME_INT_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

#define TLS_FRAME_BYTES_MAX (65536u + 256u) /* a packet and what is around it */

enum tls_frame_result {
    TLS_FRAME_MORE,   /* not all there */
    TLS_FRAME_PACKET, /* from and msg are set; msg may be empty, and is then to be dropped */
    TLS_FRAME_STREAM, /* what follows `used` is the stream */
    TLS_FRAME_BAD,    /* the connection is of no use any more */
};
struct tls_frame {
    struct str from, msg;
};
/* The frame at the front of `bytes`; *used is its length. */
enum tls_frame_result tls_frame_read(struct str bytes, struct tls_frame *f, size_t *used, const char **why);

void tls_frame_write_stream(struct buf *out);
void tls_frame_write_packet(struct buf *out, struct str from, struct str msg); /* msg is not empty */

#endif
