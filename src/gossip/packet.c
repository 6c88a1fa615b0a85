/* Layers of packets (spec 2). Sending goes inside out: messages, compound, compress, CRC, encryption, label; receiving
 * takes them off in the reverse order.
 *
 * P1  Nothing empty is ever made: no zero-length part, CRC body, compressed body (spec 22). packet_seal() and
 *     packet_parts_add() assert it, and what is received empty is left out before anyone could pass it on.
 * P2  A packet unpacks to at most GOSSIP_INFLATED_MAX bytes in all, through at most GOSSIP_NEST_MAX levels. */
#include "gossip/packet_int.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "crypto/aead.h"
#include "wire/crc.h"
#include "wire/lzw.h"

#define CRC_HEADER      5
#define COMPOUND_HEADER 2

void packet_scratch_deinit(struct packet_scratch *s)
{
    buf_deinit(&s->plain);
    for (size_t i = 0; i < GOSSIP_NEST_MAX; i++)
        buf_deinit(&s->inflated[i]);
    buf_deinit(&s->packed);
    buf_deinit(&s->work);
    buf_deinit(&s->sealed);
}

size_t seal_overhead(const struct seal *s)
{
    return (s->label.n != 0 ? 2 + s->label.n : 0) + (s->keyring ? CRYPT_OVERHEAD : 0);
}

/* ---- encryption -------------------------------------------------------------------------------------------------- */

#define CRYPT_BLOCK 16 /* version 0 pads to it, PKCS#7 */

void crypt_seal(struct buf *out, struct gossip_keyring *k, const uint8_t nonce[12], unsigned version, struct str plain,
                struct str aad)
{
    ASSERT(version <= 1);
    ASSERT(k->count > 0);
    buf_byte(out, (char)version);
    buf_append(out, nonce, AEAD_NONCE_BYTES);
    if (version == 1) {
        aead_seal(k->aeads[0], nonce, aad, plain, out);
        return;
    }
    struct buf padded = { 0 };
    size_t pad = CRYPT_BLOCK - plain.n % CRYPT_BLOCK;
    buf_str(&padded, plain);
    buf_fill(&padded, (char)pad, pad);
    aead_seal(k->aeads[0], nonce, aad, buf_view(&padded), out);
    buf_deinit(&padded);
}

bool crypt_open(struct buf *out, struct gossip_keyring *k, struct str unit, struct str aad)
{
    if (unit.n < CRYPT_OVERHEAD)
        return false;
    uint8_t version = (uint8_t)unit.p[0];
    if (version > 1)
        return false;
    const uint8_t *nonce = (const uint8_t *)unit.p + 1;
    struct str sealed = str_from(unit, 1 + AEAD_NONCE_BYTES);
    size_t before = out->n;
    for (size_t i = 0; i < k->count; i++) {
        if (!aead_open(k->aeads[i], nonce, aad, sealed, out))
            continue;
        if (version == 0) {
            size_t n = out->n - before;
            size_t pad = n > 0 ? (uint8_t)out->p[out->n - 1] : 0;
            if (pad == 0 || pad > CRYPT_BLOCK || pad > n) {
                buf_truncate(out, before);
                return false;
            }
            buf_truncate(out, out->n - pad);
        }
        return true;
    }
    return false;
}

/* ---- receiving ---------------------------------------------------------------------------------------------------- */

enum unseal packet_open(const struct seal *s, struct packet_scratch *scratch, struct str datagram, struct str *plain)
{
    struct str rest = datagram, label = STR_EMPTY;
    if (rest.n > 0 && (uint8_t)rest.p[0] == MSG_LABEL) {
        if (rest.n < 2)
            return UNSEAL_LABEL;
        size_t n = (uint8_t)rest.p[1];
        if (n == 0 || rest.n < 2 + n)
            return UNSEAL_LABEL;
        label = str_sub(rest, 2, n);
        rest = str_from(rest, 2 + n);
    }
    if (!str_eq(label, s->label))
        return UNSEAL_LABEL;
    if (s->keyring) {
        buf_reset(&scratch->plain);
        if (!crypt_open(&scratch->plain, s->keyring, rest, s->label))
            return UNSEAL_CRYPT;
        rest = buf_view(&scratch->plain);
    }
    if (rest.n >= CRC_HEADER && rest.p[0] == MSG_HAS_CRC) {
        uint32_t want = get_be32(rest.p + 1);
        rest = str_from(rest, CRC_HEADER);
        if (crc32_ieee(0, rest.p, rest.n) != want)
            return UNSEAL_BAD;
    }
    if (rest.n == 0)
        return UNSEAL_BAD;
    *plain = rest;
    return UNSEAL_OK;
}

static void walk(struct packet_walk *w, struct str message, unsigned depth);

static void walk_compound(struct packet_walk *w, struct str body, unsigned depth)
{
    size_t n = body.n > 0 ? (uint8_t)body.p[0] : 0;
    if (body.n < 1 || body.n - 1 < 2 * n) {
        w->bad = true;
        return;
    }
    size_t at = 1 + 2 * n;
    for (size_t i = 0; i < n; i++) {
        size_t len = get_be16(body.p + 1 + 2 * i);
        if (body.n - at < len) {
            w->bad = true; /* this one and what follows are cut off */
            return;
        }
        walk(w, str_sub(body, at, len), depth + 1);
        at += len;
    }
}

static void walk_compress(struct packet_walk *w, struct str body, unsigned depth)
{
    uint64_t algo;
    struct str packed;
    size_t used;
    struct err err;
    struct buf *out = &w->scratch->inflated[depth];
    buf_reset(out);
    if (msg_compress_decode(body, &algo, &packed, &used) != MSG_OK || algo != 0 ||
        !lzw_decode(packed, GOSSIP_INFLATED_MAX - w->inflated_bytes, out, &err)) {
        w->bad = true;
        return;
    }
    w->inflated_bytes += out->n;
    ASSERT(w->inflated_bytes <= GOSSIP_INFLATED_MAX); /* P2 */
    walk(w, buf_view(out), depth + 1);
}

static void walk(struct packet_walk *w, struct str message, unsigned depth)
{
    if (message.n == 0 || depth >= GOSSIP_NEST_MAX) {
        w->bad = true;
        return;
    }
    uint8_t type = (uint8_t)message.p[0];
    struct str body = str_from(message, 1);
    if (type == MSG_COMPOUND)
        walk_compound(w, body, depth);
    else if (type == MSG_COMPRESS)
        walk_compress(w, body, depth);
    else
        w->visit(w->arg, type, body);
}

void packet_walk(struct packet_walk *w, struct str plain)
{
    walk(w, plain, 0);
}

/* ---- sending ------------------------------------------------------------------------------------------------------ */

static void put_label(const struct seal *s, struct buf *out)
{
    if (s->label.n == 0)
        return;
    ASSERT(s->label.n <= GOSSIP_LABEL_BYTES_MAX);
    buf_byte(out, (char)(uint8_t)MSG_LABEL);
    buf_byte(out, (char)(uint8_t)s->label.n);
    buf_str(out, s->label);
}

void packet_seal(const struct seal *s, struct packet_scratch *scratch, struct buf *out, struct str plain, bool crc)
{
    ASSERT(plain.n > 0); /* P1 */
    buf_reset(&scratch->packed);
    buf_reset(&scratch->work);
    lzw_encode(plain, &scratch->work);
    msg_compress_encode(&scratch->packed, buf_view(&scratch->work));
    struct str inner = scratch->packed.n < plain.n ? buf_view(&scratch->packed) : plain;

    if (!s->keyring) {
        put_label(s, out);
        if (crc) {
            buf_byte(out, MSG_HAS_CRC);
            buf_be32(out, crc32_ieee(0, inner.p, inner.n));
        }
        buf_str(out, inner);
        return;
    }
    buf_reset(&scratch->sealed);
    if (crc) {
        buf_byte(&scratch->sealed, MSG_HAS_CRC);
        buf_be32(&scratch->sealed, crc32_ieee(0, inner.p, inner.n));
    }
    buf_str(&scratch->sealed, inner);
    uint8_t nonce[AEAD_NONCE_BYTES];
    s->nonce(s->nonce_arg, nonce);
    put_label(s, out);
    crypt_seal(out, s->keyring, nonce, 1, buf_view(&scratch->sealed), s->label);
}

void packet_parts_reset(struct packet_parts *p)
{
    p->count = 0;
    buf_reset(&p->bytes);
}

void packet_parts_deinit(struct packet_parts *p)
{
    buf_deinit(&p->bytes);
}

void packet_parts_add(struct packet_parts *p, int type, struct str body)
{
    ASSERT(p->count < GOSSIP_PARTS_MAX);
    size_t at = p->bytes.n;
    if (type >= 0)
        buf_byte(&p->bytes, (char)type);
    buf_str(&p->bytes, body);
    ASSERT(p->bytes.n > at); /* P1 */
    p->parts[p->count++] = str_of(NULL, p->bytes.n - at);
}

struct str packet_parts_join(const struct packet_parts *p, struct buf *out)
{
    buf_reset(out);
    if (p->count > 1) {
        buf_byte(out, MSG_COMPOUND);
        buf_byte(out, (char)(uint8_t)p->count);
        for (size_t i = 0; i < p->count; i++)
            buf_be16(out, u16_from_size(p->parts[i].n));
    }
    buf_str(out, buf_view(&p->bytes));
    return buf_view(out);
}

/* ---- streams ------------------------------------------------------------------------------------------------------ */

void stream_seal(const struct seal *s, struct packet_scratch *scratch, struct buf *out, struct str plain, bool opening)
{
    ASSERT(plain.n > 0); /* P1 */
    if (opening)
        put_label(s, out);
    struct str inner = plain;
    if (plain.n <= GOSSIP_COMPRESS_MAX) {
        buf_reset(&scratch->packed);
        buf_reset(&scratch->work);
        lzw_encode(plain, &scratch->work);
        msg_compress_encode(&scratch->packed, buf_view(&scratch->work));
        inner = buf_view(&scratch->packed);
    }
    if (!s->keyring) {
        buf_str(out, inner);
        return;
    }
    uint8_t nonce[AEAD_NONCE_BYTES];
    s->nonce(s->nonce_arg, nonce);
    struct buf aad = { 0 };
    buf_byte(&aad, MSG_ENCRYPT);
    buf_be32(&aad, u32_from_size(inner.n + CRYPT_OVERHEAD));
    buf_str(out, buf_view(&aad));
    buf_str(&aad, s->label);
    crypt_seal(out, s->keyring, nonce, 1, inner, buf_view(&aad));
    buf_deinit(&aad);
}
