/* memberlist's messages in msgpack. Keys are written in byte order, as go-msgpack does with structs, so that what we
 * send is byte-equal to upstream's. Reading goes through one field table per message: a key that is not in the table is
 * skipped, whatever it holds.
 *
 * Lengths that peers say about the future (Nodes, UserStateLen) are only bounded by the caller, who knows the stream. */
#include "gossip/message_int.h"

#include "base/bytes.h"
#include "gossip/limits.h"
#include "wire/msgpack.h"

const uint8_t vsn_own[VSN_BYTES] = { 1, 5, 2, 0, 0, 0 };

/* ---- writing --------------------------------------------------------------------------------------------------- */

static void begin(struct buf *b, enum message_type type, uint32_t pairs)
{
    buf_byte(b, (char)(uint8_t)type);
    msgpack_write_map(b, pairs);
}
static void put_str(struct buf *b, struct str key, struct str v)
{
    msgpack_write_str(b, key);
    msgpack_write_str(b, v);
}
static void put_bin(struct buf *b, struct str key, struct str v, bool nil)
{
    msgpack_write_str(b, key);
    if (nil && v.n == 0)
        msgpack_write_nil(b);
    else
        msgpack_write_str(b, v);
}
static void put_u64(struct buf *b, struct str key, uint64_t v)
{
    msgpack_write_str(b, key);
    msgpack_write_u64(b, v);
}
static void put_bool(struct buf *b, struct str key, bool v)
{
    msgpack_write_str(b, key);
    msgpack_write_bool(b, v);
}

static uint32_t source_pairs(struct str addr, struct str node, uint16_t port)
{
    return (addr.n != 0 ? 1u : 0u) + (node.n != 0 ? 1u : 0u) + (port != 0 ? 1u : 0u);
}
static void put_source(struct buf *b, struct str addr, struct str node, uint16_t port)
{
    if (addr.n != 0)
        put_str(b, STR("SourceAddr"), addr);
    if (node.n != 0)
        put_str(b, STR("SourceNode"), node);
    if (port != 0)
        put_u64(b, STR("SourcePort"), port);
}

void msg_ping_encode(struct buf *out, const struct msg_ping *m)
{
    begin(out, MSG_PING, 2 + source_pairs(m->source_addr, m->source_node, m->source_port));
    put_str(out, STR("Node"), m->node);
    put_u64(out, STR("SeqNo"), m->seq);
    put_source(out, m->source_addr, m->source_node, m->source_port);
}

void msg_indirect_ping_encode(struct buf *out, const struct msg_indirect_ping *m)
{
    begin(out, MSG_INDIRECT_PING, 5 + source_pairs(m->source_addr, m->source_node, m->source_port));
    put_bool(out, STR("Nack"), m->nack);
    put_str(out, STR("Node"), m->node);
    put_u64(out, STR("Port"), m->port);
    put_u64(out, STR("SeqNo"), m->seq);
    put_source(out, m->source_addr, m->source_node, m->source_port);
    put_str(out, STR("Target"), m->target);
}

void msg_ack_encode(struct buf *out, const struct msg_ack *m)
{
    begin(out, MSG_ACK, 2);
    put_bin(out, STR("Payload"), m->payload, m->payload_nil);
    put_u64(out, STR("SeqNo"), m->seq);
}

void msg_nack_encode(struct buf *out, const struct msg_nack *m)
{
    begin(out, MSG_NACK, 1);
    put_u64(out, STR("SeqNo"), m->seq);
}

void msg_accuse_encode(struct buf *out, enum message_type type, const struct msg_accuse *m)
{
    ASSERT(type == MSG_SUSPECT || type == MSG_DEAD);
    begin(out, type, 3);
    put_str(out, STR("From"), m->from);
    put_u64(out, STR("Incarnation"), m->incarnation);
    put_str(out, STR("Node"), m->node);
}

void msg_alive_encode(struct buf *out, const struct msg_alive *m)
{
    ASSERT(m->vsn.n == VSN_BYTES); /* what is shorter kills others (spec 22) */
    begin(out, MSG_ALIVE, 6);
    put_str(out, STR("Addr"), m->addr);
    put_u64(out, STR("Incarnation"), m->incarnation);
    put_bin(out, STR("Meta"), m->meta, m->meta_nil);
    put_str(out, STR("Node"), m->node);
    put_u64(out, STR("Port"), m->port);
    put_str(out, STR("Vsn"), m->vsn);
}

void msg_err_encode(struct buf *out, struct str text)
{
    begin(out, MSG_ERR, 1);
    put_str(out, STR("Error"), text);
}

void msg_push_pull_encode(struct buf *out, const struct msg_push_pull *m)
{
    ASSERT(m->nodes >= 0 && m->user_state_bytes >= 0);
    begin(out, MSG_PUSH_PULL, 3);
    put_bool(out, STR("Join"), m->join);
    put_u64(out, STR("Nodes"), (uint64_t)m->nodes);
    put_u64(out, STR("UserStateLen"), (uint64_t)m->user_state_bytes);
}

void msg_node_encode(struct buf *out, const struct msg_node *m)
{
    ASSERT(m->vsn.n == VSN_BYTES);
    ASSERT(m->state >= 0);
    msgpack_write_map(out, 7);
    put_str(out, STR("Addr"), m->addr);
    put_u64(out, STR("Incarnation"), m->incarnation);
    put_bin(out, STR("Meta"), m->meta, m->meta_nil);
    put_str(out, STR("Name"), m->name);
    put_u64(out, STR("Port"), m->port);
    put_u64(out, STR("State"), (uint64_t)m->state);
    put_str(out, STR("Vsn"), m->vsn);
}

void msg_user_header_encode(struct buf *out, size_t bytes)
{
    begin(out, MSG_USER, 1);
    put_u64(out, STR("UserMsgLen"), bytes);
}

void msg_compress_encode(struct buf *out, struct str packed)
{
    begin(out, MSG_COMPRESS, 2);
    put_u64(out, STR("Algo"), 0);
    put_str(out, STR("Buf"), packed);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

enum field_kind { FIELD_STR, FIELD_BIN, FIELD_U16, FIELD_U32, FIELD_U64, FIELD_I64, FIELD_BOOL };

struct field {
    const char *key;
    enum field_kind kind;
    size_t offset;
    size_t nil_offset; /* FIELD_BIN: of a bool "was nil"; 0: nobody asks */
};
#define FIELD(type, member, key_, kind_) { .key = (key_), .kind = (kind_), .offset = offsetof(type, member) }

static void read_value(struct msgpack_reader *r, const struct field *f, void *out)
{
    char *at = (char *)out + f->offset;
    uint64_t u = 0;
    switch (f->kind) {
    case FIELD_STR:
    case FIELD_BIN:
        if (msgpack_str(r, (struct str *)(void *)at)) {
            if (f->nil_offset != 0)
                *(bool *)(void *)((char *)out + f->nil_offset) = ((struct str *)(void *)at)->p == NULL;
            if (((struct str *)(void *)at)->p == NULL)
                *(struct str *)(void *)at = STR_EMPTY;
        }
        break;
    case FIELD_U16:
        if (msgpack_u64(r, UINT16_MAX, &u))
            *(uint16_t *)(void *)at = (uint16_t)u;
        break;
    case FIELD_U32:
        if (msgpack_u64(r, UINT32_MAX, &u))
            *(uint32_t *)(void *)at = (uint32_t)u;
        break;
    case FIELD_U64:
        if (msgpack_u64(r, UINT64_MAX, &u))
            *(uint64_t *)(void *)at = u;
        break;
    case FIELD_I64:
        (void)msgpack_i64(r, (int64_t *)(void *)at);
        break;
    case FIELD_BOOL:
        (void)msgpack_bool(r, (bool *)(void *)at);
        break;
    }
}

/* Reads one map at the front of *rest into *out, which is zeroed by the caller, and moves *rest past it. */
static bool read_map(struct str *rest, const struct field *fields, size_t fields_count, void *out)
{
    struct msgpack_reader r;
    struct str key;
    msgpack_reader_init(&r, *rest);
    size_t pairs = msgpack_map(&r);
    for (; pairs > 0 && msgpack_str(&r, &key); pairs--) {
        size_t i = 0;
        while (i < fields_count && !str_eq(key, str_c(fields[i].key)))
            i++;
        if (i < fields_count)
            read_value(&r, &fields[i], out);
        else
            msgpack_skip(&r);
    }
    if (r.failed)
        return false;
    *rest = r.rest;
    return true;
}

/* Values in one map of a stream, nested ones included: ours have seven pairs. Bounds what a map that never ends costs
 * each time that more of it arrives. */
#define SPAN_VALUES_MAX 4096

/* How many bytes the value at the front of `s` takes, without looking into strings. */
static enum msg_result span(struct str s, size_t *used)
{
    uint64_t values = 1; /* still to pass; a map of n pairs is 2n values */
    size_t at = 0, passed = 0;
    while (values > 0) {
        if (at >= s.n)
            return MSG_SHORT;
        uint8_t c = (uint8_t)s.p[at++];
        size_t length_bytes = 0, body = 0, per = 0; /* per: values for each counted item of a container */
        uint64_t count = 0;
        if (c <= 0x7f || c >= 0xe0 || c == 0xc0 || c == 0xc2 || c == 0xc3) {
            body = 0;
        } else if (c <= 0x8f) {
            count = (uint64_t)(c & 0x0f) * 2;
        } else if (c <= 0x9f) {
            count = c & 0x0f;
        } else if (c <= 0xbf) {
            body = c & 0x1f;
        } else if (c >= 0xc4 && c <= 0xc6) {
            length_bytes = (size_t)1 << (c - 0xc4);
        } else if (c >= 0xd9 && c <= 0xdb) {
            length_bytes = (size_t)1 << (c - 0xd9);
        } else if (c == 0xca || c == 0xce || c == 0xd2) {
            body = 4;
        } else if (c == 0xcb || c == 0xcf || c == 0xd3) {
            body = 8;
        } else if (c == 0xcc || c == 0xd0) {
            body = 1;
        } else if (c == 0xcd || c == 0xd1) {
            body = 2;
        } else if (c >= 0xd4 && c <= 0xd8) {
            body = 1 + ((size_t)1 << (c - 0xd4));
        } else if (c == 0xdc || c == 0xdd) {
            length_bytes = c == 0xdc ? 2 : 4;
            per = 1;
        } else if (c == 0xde || c == 0xdf) {
            length_bytes = c == 0xde ? 2 : 4;
            per = 2;
        } else {
            return MSG_BAD; /* ext8 ... ext32 and the unused byte: never sent, and go-msgpack has no use for them */
        }
        if (length_bytes != 0) {
            if (s.n - at < length_bytes)
                return MSG_SHORT;
            uint64_t length = length_bytes == 1   ? (uint8_t)s.p[at]
                              : length_bytes == 2 ? get_be16(s.p + at)
                                                  : get_be32(s.p + at);
            at += length_bytes;
            if (per != 0)
                count = length * per;
            else
                body = (size_t)length;
        }
        if (s.n - at < body)
            return MSG_SHORT;
        at += body;
        values += count;
        values--;
        if (values > SPAN_VALUES_MAX || ++passed > SPAN_VALUES_MAX)
            return MSG_BAD;
    }
    *used = at;
    return MSG_OK;
}

/* As read_map for the front of a stream. */
static enum msg_result read_front(struct str body, const struct field *fields, size_t fields_count, void *out,
                                  size_t *used)
{
    enum msg_result result = span(body, used);
    if (result != MSG_OK)
        return result;
    struct str rest = str_sub(body, 0, *used);
    return read_map(&rest, fields, fields_count, out) ? MSG_OK : MSG_BAD;
}

bool msg_ping_decode(struct str body, struct msg_ping *m)
{
    static const struct field fields[] = {
        FIELD(struct msg_ping, node, "Node", FIELD_STR),
        FIELD(struct msg_ping, seq, "SeqNo", FIELD_U32),
        FIELD(struct msg_ping, source_addr, "SourceAddr", FIELD_BIN),
        FIELD(struct msg_ping, source_node, "SourceNode", FIELD_STR),
        FIELD(struct msg_ping, source_port, "SourcePort", FIELD_U16),
    };
    *m = (struct msg_ping){ 0 };
    return read_map(&body, fields, ARRAY_LEN(fields), m);
}

bool msg_indirect_ping_decode(struct str body, struct msg_indirect_ping *m)
{
    static const struct field fields[] = {
        FIELD(struct msg_indirect_ping, nack, "Nack", FIELD_BOOL),
        FIELD(struct msg_indirect_ping, node, "Node", FIELD_STR),
        FIELD(struct msg_indirect_ping, port, "Port", FIELD_U16),
        FIELD(struct msg_indirect_ping, seq, "SeqNo", FIELD_U32),
        FIELD(struct msg_indirect_ping, source_addr, "SourceAddr", FIELD_BIN),
        FIELD(struct msg_indirect_ping, source_node, "SourceNode", FIELD_STR),
        FIELD(struct msg_indirect_ping, source_port, "SourcePort", FIELD_U16),
        FIELD(struct msg_indirect_ping, target, "Target", FIELD_BIN),
    };
    *m = (struct msg_indirect_ping){ 0 };
    return read_map(&body, fields, ARRAY_LEN(fields), m);
}

bool msg_ack_decode(struct str body, struct msg_ack *m)
{
    static const struct field fields[] = {
        { .key = "Payload",
          .kind = FIELD_BIN,
          .offset = offsetof(struct msg_ack, payload),
          .nil_offset = offsetof(struct msg_ack, payload_nil) },
        FIELD(struct msg_ack, seq, "SeqNo", FIELD_U32),
    };
    *m = (struct msg_ack){ 0 };
    return read_map(&body, fields, ARRAY_LEN(fields), m);
}

bool msg_nack_decode(struct str body, struct msg_nack *m)
{
    static const struct field fields[] = { FIELD(struct msg_nack, seq, "SeqNo", FIELD_U32) };
    *m = (struct msg_nack){ 0 };
    return read_map(&body, fields, ARRAY_LEN(fields), m);
}

bool msg_accuse_decode(struct str body, struct msg_accuse *m)
{
    static const struct field fields[] = {
        FIELD(struct msg_accuse, from, "From", FIELD_STR),
        FIELD(struct msg_accuse, incarnation, "Incarnation", FIELD_U32),
        FIELD(struct msg_accuse, node, "Node", FIELD_STR),
    };
    *m = (struct msg_accuse){ 0 };
    return read_map(&body, fields, ARRAY_LEN(fields), m);
}

bool msg_alive_decode(struct str body, struct msg_alive *m)
{
    static const struct field fields[] = {
        FIELD(struct msg_alive, addr, "Addr", FIELD_BIN),
        FIELD(struct msg_alive, incarnation, "Incarnation", FIELD_U32),
        { .key = "Meta",
          .kind = FIELD_BIN,
          .offset = offsetof(struct msg_alive, meta),
          .nil_offset = offsetof(struct msg_alive, meta_nil) },
        FIELD(struct msg_alive, node, "Node", FIELD_STR),
        FIELD(struct msg_alive, port, "Port", FIELD_U16),
        FIELD(struct msg_alive, vsn, "Vsn", FIELD_BIN),
    };
    *m = (struct msg_alive){ 0 };
    return read_map(&body, fields, ARRAY_LEN(fields), m);
}

enum msg_result msg_push_pull_decode(struct str body, struct msg_push_pull *m, size_t *used)
{
    static const struct field fields[] = {
        FIELD(struct msg_push_pull, join, "Join", FIELD_BOOL),
        FIELD(struct msg_push_pull, nodes, "Nodes", FIELD_I64),
        FIELD(struct msg_push_pull, user_state_bytes, "UserStateLen", FIELD_I64),
    };
    *m = (struct msg_push_pull){ 0 };
    return read_front(body, fields, ARRAY_LEN(fields), m, used);
}

enum msg_result msg_node_decode(struct str body, struct msg_node *m, size_t *used)
{
    static const struct field fields[] = {
        FIELD(struct msg_node, addr, "Addr", FIELD_BIN),
        FIELD(struct msg_node, incarnation, "Incarnation", FIELD_U32),
        { .key = "Meta",
          .kind = FIELD_BIN,
          .offset = offsetof(struct msg_node, meta),
          .nil_offset = offsetof(struct msg_node, meta_nil) },
        FIELD(struct msg_node, name, "Name", FIELD_STR),
        FIELD(struct msg_node, port, "Port", FIELD_U16),
        FIELD(struct msg_node, state, "State", FIELD_I64),
        FIELD(struct msg_node, vsn, "Vsn", FIELD_BIN),
    };
    *m = (struct msg_node){ 0 };
    return read_front(body, fields, ARRAY_LEN(fields), m, used);
}

enum msg_result msg_user_header_decode(struct str body, int64_t *bytes, size_t *used)
{
    struct user_header {
        int64_t bytes;
    } m = { 0 };
    static const struct field fields[] = { FIELD(struct user_header, bytes, "UserMsgLen", FIELD_I64) };
    enum msg_result result = read_front(body, fields, ARRAY_LEN(fields), &m, used);
    *bytes = m.bytes;
    return result;
}

enum msg_result msg_err_decode(struct str body, struct str *text, size_t *used)
{
    struct err_body {
        struct str text;
    } m = { 0 };
    static const struct field fields[] = { FIELD(struct err_body, text, "Error", FIELD_STR) };
    enum msg_result result = read_front(body, fields, ARRAY_LEN(fields), &m, used);
    *text = m.text;
    return result;
}

enum msg_result msg_compress_decode(struct str body, uint64_t *algo, struct str *packed, size_t *used)
{
    struct compress_body {
        uint64_t algo;
        struct str packed;
    } m = { 0 };
    static const struct field fields[] = {
        FIELD(struct compress_body, algo, "Algo", FIELD_U64),
        FIELD(struct compress_body, packed, "Buf", FIELD_BIN),
    };
    enum msg_result result = read_front(body, fields, ARRAY_LEN(fields), &m, used);
    *algo = m.algo;
    *packed = m.packed;
    return result;
}

bool msg_addr(struct str addr, uint16_t port, uint16_t port_default, struct gossip_addr *out)
{
    if (addr.n != 4 && addr.n != 16)
        return false;
    *out = (struct gossip_addr){ .ip_bytes = (uint8_t)addr.n, .port = port ? port : port_default };
    memcpy(out->ip, addr.p, addr.n);
    return true;
}
