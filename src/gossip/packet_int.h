/* Layers of packets and streams (spec 2, 6, 8): label, encryption, CRC, compression, compound. Pure; what is decoded
 * points into the input or into the scratch buffers, until their next use.
 *
 * Bounds: GOSSIP_NEST_MAX levels, GOSSIP_INFLATED_MAX bytes unpacked per packet, GOSSIP_STREAM_BYTES_MAX per stream. */
#ifndef TOCSIN_GOSSIP_PACKET_INT_H
#define TOCSIN_GOSSIP_PACKET_INT_H

#include "gossip/gossip.h"
#include "gossip/limits.h"
#include "gossip/message_int.h"

/* ---- keyring ---- */

struct aead;
struct gossip_keyring {
    size_t count;
    struct aead *aeads[]; /* the first is the primary */
};

/* What every unit of this node is wrapped in. */
struct seal {
    struct str label;
    struct gossip_keyring *keyring; /* NULL: none */
    void (*nonce)(void *arg, uint8_t nonce[12]);
    void *nonce_arg;
};
size_t seal_overhead(const struct seal *s); /* bytes that label and encryption add to a packet */

enum unseal { UNSEAL_OK, UNSEAL_LABEL, UNSEAL_CRYPT, UNSEAL_BAD };

/* ---- encryption (spec 8) ---- */

#define CRYPT_OVERHEAD 29 /* version, nonce, tag */
void crypt_seal(struct buf *out, struct gossip_keyring *k, const uint8_t nonce[12], unsigned version, struct str plain,
                struct str aad);
/* Tries every key; appends the plain text to out. */
MUST_CHECK bool crypt_open(struct buf *out, struct gossip_keyring *k, struct str unit, struct str aad);

/* ---- packets ---- */

struct packet_scratch { /* reused, so that packets allocate nothing once warm */
    struct buf plain, inflated[GOSSIP_NEST_MAX], packed, work, sealed;
};
void packet_scratch_deinit(struct packet_scratch *s);

/* Label, encryption and CRC off. */
enum unseal packet_open(const struct seal *s, struct packet_scratch *scratch, struct str datagram, struct str *plain);

struct packet_walk {
    struct packet_scratch *scratch;
    void (*visit)(void *arg, uint8_t type, struct str body); /* each message that is no compound and not compressed */
    void *arg;
    size_t inflated_bytes; /* so far */
    bool bad;              /* something in it was not understood and left out */
};
void packet_walk(struct packet_walk *w, struct str plain);

/* Puts message (or compound) `plain` on the wire: compressed if that is shorter, with CRC if asked for. */
void packet_seal(const struct seal *s, struct packet_scratch *scratch, struct buf *out, struct str plain, bool crc);

/* Gathers messages for one packet: none, one bare, or a compound. */
struct packet_parts {
    struct str parts[GOSSIP_PARTS_MAX];
    size_t count;
    struct buf bytes; /* the parts one after another; their pointers are set by packet_parts_join() */
};
void packet_parts_reset(struct packet_parts *p);
void packet_parts_deinit(struct packet_parts *p);
void packet_parts_add(struct packet_parts *p, int type, struct str body); /* type < 0: body has its own */
/* The packet's plain bytes, in `out` (which is reset). */
struct str packet_parts_join(const struct packet_parts *p, struct buf *out);

/* ---- streams ---- */

/* Puts a stream's `plain` (type byte first) on the wire; `opening`: we made the connection, so the label goes first. */
void stream_seal(const struct seal *s, struct packet_scratch *scratch, struct buf *out, struct str plain, bool opening);

enum stream_result {
    STREAM_MORE,  /* not all there */
    STREAM_DONE,  /* body is whole */
    STREAM_LABEL, /* wrong label */
    STREAM_OUTER, /* layers cannot be read: the acceptor answers with err */
    STREAM_BAD,   /* content is wrong */
};
/* Reads one stream as it arrives. Zero-initialised, then stream_read() after every addition to `raw`. */
struct stream_reader {
    struct buf raw;   /* as received; the owner appends */
    struct buf plain; /* decrypted or inflated; the body points into it or into raw */
    bool accepted;    /* the other side opened it: expect the label */
    bool label_done, crypt_done, outer_done, header_done;
    bool unwrapped;   /* raw is now what was inside; nothing is appended any more */
    size_t at;        /* in raw: read so far */
    size_t body_at;   /* in the plain bytes: first byte not yet checked for completeness */
    int64_t nodes_left, tail_bytes;
    size_t retry_at;  /* raw.n that is worth another look */
    struct str body;  /* when done: type byte and content */
    struct str nodes, tail; /* of a push/pull: the node maps; of push/pull and user: the raw bytes at the end */
    struct msg_push_pull header;
    const char *why;  /* of OUTER and BAD: for the log and the err answer */
    char why_text[64];
};
void stream_reader_deinit(struct stream_reader *r);
enum stream_result stream_read(struct stream_reader *r, const struct seal *s);

#endif
