/* memberlist's messages: values, and their msgpack bytes (spec 3, 4). A message on the wire is a type byte and a map;
 * encoders write both, decoders take what follows the type byte.
 *
 * Decoders accept any key order, unknown keys and every form that go-msgpack reads; missing keys are zero or empty.
 * Slices of a decoded message point into the input. Pure. */
#ifndef TOCSIN_GOSSIP_MESSAGE_INT_H
#define TOCSIN_GOSSIP_MESSAGE_INT_H

#include "gossip/gossip.h"

enum message_type {
    MSG_PING = 0,
    MSG_INDIRECT_PING = 1,
    MSG_ACK = 2,
    MSG_SUSPECT = 3,
    MSG_ALIVE = 4,
    MSG_DEAD = 5,
    MSG_PUSH_PULL = 6,
    MSG_COMPOUND = 7,
    MSG_USER = 8,
    MSG_COMPRESS = 9,
    MSG_ENCRYPT = 10,
    MSG_NACK = 11,
    MSG_HAS_CRC = 12,
    MSG_ERR = 13,
    MSG_LABEL = 244,
};

#define VSN_BYTES 6 /* protocol min, max, current; delegate min, max, current */
extern const uint8_t vsn_own[VSN_BYTES];

struct msg_ping {
    struct str node, source_addr, source_node;
    uint32_t seq;
    uint16_t source_port;
};
struct msg_indirect_ping {
    struct str node, target, source_addr, source_node;
    uint32_t seq;
    uint16_t port, source_port;
    bool nack;
};
struct msg_ack {
    struct str payload;
    bool payload_nil; /* nil and empty differ on the wire, and mean the same */
    uint32_t seq;
};
struct msg_nack {
    uint32_t seq;
};
struct msg_accuse { /* suspect and dead */
    struct str node, from;
    uint32_t incarnation;
};
struct msg_alive {
    struct str node, addr, meta, vsn;
    bool meta_nil;
    uint32_t incarnation;
    uint16_t port;
};
struct msg_node { /* of a push/pull */
    struct str name, addr, meta, vsn;
    bool meta_nil;
    uint32_t incarnation;
    uint16_t port;
    int64_t state;
};
struct msg_push_pull {
    bool join;
    int64_t nodes, user_state_bytes;
};

void msg_ping_encode(struct buf *out, const struct msg_ping *m);
void msg_indirect_ping_encode(struct buf *out, const struct msg_indirect_ping *m);
void msg_ack_encode(struct buf *out, const struct msg_ack *m);
void msg_nack_encode(struct buf *out, const struct msg_nack *m);
void msg_accuse_encode(struct buf *out, enum message_type type, const struct msg_accuse *m);
void msg_alive_encode(struct buf *out, const struct msg_alive *m);
void msg_err_encode(struct buf *out, struct str text);
void msg_push_pull_encode(struct buf *out, const struct msg_push_pull *m); /* type byte and header; nodes follow */
void msg_node_encode(struct buf *out, const struct msg_node *m);           /* no type byte */
void msg_user_header_encode(struct buf *out, size_t bytes);                /* type byte and header; payload follows */
/* {Algo, Buf} around `packed`, type byte first. */
void msg_compress_encode(struct buf *out, struct str packed);

MUST_CHECK bool msg_ping_decode(struct str body, struct msg_ping *m);
MUST_CHECK bool msg_indirect_ping_decode(struct str body, struct msg_indirect_ping *m);
MUST_CHECK bool msg_ack_decode(struct str body, struct msg_ack *m);
MUST_CHECK bool msg_nack_decode(struct str body, struct msg_nack *m);
MUST_CHECK bool msg_accuse_decode(struct str body, struct msg_accuse *m);
MUST_CHECK bool msg_alive_decode(struct str body, struct msg_alive *m);

/* Maps at the front of a longer text: *used is how much of it the map takes. MSG_SHORT: more bytes may complete it. */
enum msg_result { MSG_OK, MSG_SHORT, MSG_BAD };
enum msg_result msg_push_pull_decode(struct str body, struct msg_push_pull *m, size_t *used);
enum msg_result msg_node_decode(struct str body, struct msg_node *m, size_t *used);
enum msg_result msg_user_header_decode(struct str body, int64_t *bytes, size_t *used);
enum msg_result msg_err_decode(struct str body, struct str *text, size_t *used);
enum msg_result msg_compress_decode(struct str body, uint64_t *algo, struct str *packed, size_t *used);

/* Addr and Port of a message as an address; a port of 0 is `port_default`. False: not 4 or 16 bytes. */
MUST_CHECK bool msg_addr(struct str addr, uint16_t port, uint16_t port_default, struct gossip_addr *out);

#endif
