/* One stream as it arrives (spec 6): label, encryption and compression come off, then the body is checked until it is
 * whole. Reading never starts over: what is known to be complete is not looked at again, and a layer that needs n more
 * bytes is not tried before they are there, so that a peer that sends byte by byte costs no more than its bytes.
 *
 * S1  Everything before `at` in raw is understood; everything before body_at in the body is complete.
 * S2  No more than GOSSIP_STREAM_BYTES_MAX is taken in, decrypted or inflated; counts that announce more are refused at
 *     once, before anything is allocated for them. */
#include "gossip/packet_int.h"

#include "base/bytes.h"
#include "wire/lzw.h"

#include <stdio.h>

#define CRYPT_HEADER    5
#define SMALL_BYTES_MAX 4096

void stream_reader_deinit(struct stream_reader *r)
{
    buf_deinit(&r->raw);
    buf_deinit(&r->plain);
    *r = (struct stream_reader){ 0 };
}

static enum stream_result bad(struct stream_reader *r, enum stream_result result, const char *why)
{
    r->why = why;
    return result;
}

static enum stream_result read_label(struct stream_reader *r, const struct seal *s)
{
    struct str raw = buf_view(&r->raw);
    struct str label = STR_EMPTY;
    if (raw.n == 0)
        return STREAM_MORE;
    if ((uint8_t)raw.p[0] == MSG_LABEL) {
        if (raw.n < 2)
            return STREAM_MORE;
        size_t n = (uint8_t)raw.p[1];
        if (n == 0)
            return bad(r, STREAM_LABEL, "empty label");
        if (raw.n < 2 + n)
            return STREAM_MORE;
        label = str_sub(raw, 2, n);
        r->at = 2 + n;
    }
    if (!str_eq(label, s->label))
        return bad(r, STREAM_LABEL, "label mismatch");
    r->label_done = true;
    return STREAM_DONE;
}

/* From raw to the bytes that start with compress or the body: in place, or decrypted into plain. */
static enum stream_result read_crypt(struct stream_reader *r, const struct seal *s)
{
    struct str rest = str_from(buf_view(&r->raw), r->at);
    if (rest.n == 0)
        return STREAM_MORE;
    if (rest.p[0] != MSG_ENCRYPT) {
        if (s->keyring)
            return bad(r, STREAM_OUTER, "Encryption is configured but remote state is not encrypted");
        r->crypt_done = true;
        return STREAM_DONE;
    }
    if (!s->keyring)
        return bad(r, STREAM_OUTER, "Remote state is encrypted and encryption is not configured");
    if (rest.n < CRYPT_HEADER)
        return STREAM_MORE;
    size_t n = get_be32(rest.p + 1);
    if (n > GOSSIP_STREAM_BYTES_MAX)
        return bad(r, STREAM_OUTER, "Remote node state is larger than limit");
    if (rest.n - CRYPT_HEADER < n) {
        r->retry_at = r->at + CRYPT_HEADER + n;
        return STREAM_MORE;
    }
    struct buf aad = { 0 };
    buf_append(&aad, rest.p, CRYPT_HEADER);
    buf_str(&aad, s->label);
    bool ok = crypt_open(&r->plain, s->keyring, str_sub(rest, CRYPT_HEADER, n), buf_view(&aad));
    buf_deinit(&aad);
    if (!ok)
        return bad(r, STREAM_OUTER, "No installed keys could decrypt the message");
    buf_deinit(&r->raw);
    r->raw = r->plain;
    r->plain = (struct buf){ 0 };
    r->at = 0;
    r->unwrapped = r->crypt_done = true;
    return STREAM_DONE;
}

static enum stream_result read_outer(struct stream_reader *r)
{
    struct str rest = str_from(buf_view(&r->raw), r->at);
    if (rest.n == 0)
        return STREAM_MORE;
    if (rest.p[0] != MSG_COMPRESS) {
        r->outer_done = true;
        return STREAM_DONE;
    }
    uint64_t algo;
    struct str packed;
    size_t used;
    switch (msg_compress_decode(str_from(rest, 1), &algo, &packed, &used)) {
    case MSG_SHORT:
        return STREAM_MORE;
    case MSG_BAD:
        return bad(r, STREAM_OUTER, "msgpack decode error");
    case MSG_OK:
        break;
    }
    if (algo != 0) {
        snprintf(r->why_text, sizeof r->why_text, "Cannot decompress unknown algorithm %llu", (unsigned long long)algo);
        return bad(r, STREAM_OUTER, r->why_text);
    }
    struct err err;
    if (!lzw_decode(packed, GOSSIP_STREAM_BYTES_MAX, &r->plain, &err))
        return bad(r, STREAM_OUTER, "lzw: invalid code");
    buf_deinit(&r->raw);
    r->raw = r->plain;
    r->plain = (struct buf){ 0 };
    r->at = 0;
    r->unwrapped = r->outer_done = true;
    if (r->raw.n == 0)
        return bad(r, STREAM_BAD, "empty message");
    return STREAM_DONE;
}

static enum stream_result finish(struct stream_reader *r, struct str body, size_t end)
{
    r->body = str_sub(body, 0, end);
    return STREAM_DONE;
}

/* How many raw bytes follow the maps. */
static enum stream_result read_tail(struct stream_reader *r, struct str body)
{
    if (body.n - r->body_at < (size_t)r->tail_bytes) {
        r->retry_at = r->at + r->body_at + (size_t)r->tail_bytes;
        return STREAM_MORE;
    }
    r->tail = str_sub(body, r->body_at, (size_t)r->tail_bytes);
    return finish(r, body, r->body_at + (size_t)r->tail_bytes);
}

static enum stream_result of_map(struct stream_reader *r, enum msg_result result)
{
    return result == MSG_SHORT ? STREAM_MORE : bad(r, STREAM_BAD, "msgpack decode error");
}

static enum stream_result read_push_pull(struct stream_reader *r, struct str body)
{
    size_t used;
    if (!r->header_done) {
        enum msg_result result = msg_push_pull_decode(str_from(body, 1), &r->header, &used);
        if (result != MSG_OK)
            return of_map(r, result);
        if (r->header.nodes < 0 || r->header.nodes > GOSSIP_STATE_NODES_MAX || r->header.user_state_bytes < 0 ||
            r->header.user_state_bytes > (int64_t)GOSSIP_STREAM_BYTES_MAX)
            return bad(r, STREAM_BAD, "push/pull of a size that cannot be");
        r->header_done = true;
        r->body_at = 1 + used;
        r->nodes = str_of(NULL, r->body_at); /* an offset until the end is known */
        r->nodes_left = r->header.nodes;
        r->tail_bytes = r->header.user_state_bytes;
    }
    while (r->nodes_left > 0) {
        struct msg_node node;
        enum msg_result result = msg_node_decode(str_from(body, r->body_at), &node, &used);
        if (result != MSG_OK)
            return of_map(r, result);
        r->body_at += used;
        r->nodes_left--;
    }
    size_t nodes_at = r->nodes.p ? 0 : r->nodes.n;
    enum stream_result result = read_tail(r, body);
    if (result == STREAM_DONE)
        r->nodes = str_sub(body, nodes_at, r->body_at - nodes_at);
    return result;
}

/* Pings and acks are small maps: one that does not decode is not all there yet, or never will be. */
static enum stream_result read_small(struct stream_reader *r, struct str body, bool decoded)
{
    if (decoded)
        return finish(r, body, body.n);
    return body.n > SMALL_BYTES_MAX ? bad(r, STREAM_BAD, "msgpack decode error") : STREAM_MORE;
}

static enum stream_result read_body(struct stream_reader *r)
{
    struct str body = str_from(buf_view(&r->raw), r->at);
    if (body.n == 0)
        return STREAM_MORE;
    size_t used = 0;
    enum msg_result result;
    switch ((uint8_t)body.p[0]) {
    case MSG_PUSH_PULL:
        return read_push_pull(r, body);
    case MSG_USER:
        if (!r->header_done) {
            result = msg_user_header_decode(str_from(body, 1), &r->tail_bytes, &used);
            if (result != MSG_OK)
                return of_map(r, result);
            if (r->tail_bytes < 0 || r->tail_bytes > (int64_t)GOSSIP_STREAM_BYTES_MAX)
                return bad(r, STREAM_BAD, "user message of a size that cannot be");
            r->header_done = true;
            r->body_at = 1 + used;
        }
        return read_tail(r, body);
    case MSG_PING: {
        struct msg_ping ping;
        return read_small(r, body, msg_ping_decode(str_from(body, 1), &ping));
    }
    case MSG_ACK: {
        struct msg_ack ack;
        return read_small(r, body, msg_ack_decode(str_from(body, 1), &ack));
    }
    case MSG_ERR: {
        struct str text;
        result = msg_err_decode(str_from(body, 1), &text, &used);
        return result == MSG_OK ? finish(r, body, 1 + used) : of_map(r, result);
    }
    default:
        return bad(r, STREAM_BAD, "unknown message type");
    }
}

enum stream_result stream_read(struct stream_reader *r, const struct seal *s)
{
    if (r->raw.n > GOSSIP_STREAM_BYTES_MAX + 65536)
        return bad(r, STREAM_BAD, "too long");
    if (r->raw.n < r->retry_at)
        return STREAM_MORE;
    enum stream_result result = STREAM_DONE;
    if (!r->label_done) {
        if (r->accepted)
            result = read_label(r, s);
        else
            r->label_done = true; /* answers carry none */
    }
    if (result == STREAM_DONE && !r->crypt_done)
        result = read_crypt(r, s);
    if (result == STREAM_DONE && !r->outer_done)
        result = read_outer(r);
    if (result == STREAM_DONE)
        result = read_body(r);
    if (result == STREAM_MORE && r->unwrapped)
        return bad(r, STREAM_BAD, "message is cut"); /* what was unwrapped will not grow */
    return result;
}
