/* Digests by GnuTLS's crypto half (which uses the CPU's instructions), XXH64 by libxxhash. A digest of bytes in memory
 * cannot fail but by running out of memory or by a policy that forbids the algorithm; both end the process. */
#include "crypto/hash.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <xxhash.h>

static const void *bytes_of(struct str s)
{
    return s.n ? s.p : "";
}

static void digest(gnutls_digest_algorithm_t algorithm, struct str in, uint8_t *out)
{
    int rc = gnutls_hash_fast(algorithm, bytes_of(in), in.n, out);
    ASSERT(rc == 0);
}

/* FIPS mode forbids MD5 and SHA-1 unless the thread says that it knows; here they are formats, not protection. */
static void digest_lax(gnutls_digest_algorithm_t algorithm, struct str in, uint8_t *out)
{
    GNUTLS_FIPS140_SET_LAX_MODE();
    digest(algorithm, in, out);
    GNUTLS_FIPS140_SET_STRICT_MODE();
}

void hash_md5(struct str in, uint8_t out[MD5_BYTES])
{
    digest_lax(GNUTLS_DIG_MD5, in, out);
}

void hash_sha1(struct str in, uint8_t out[SHA1_BYTES])
{
    digest_lax(GNUTLS_DIG_SHA1, in, out);
}

void hash_sha256(struct str in, uint8_t out[SHA256_BYTES])
{
    digest(GNUTLS_DIG_SHA256, in, out);
}

void hash_sha512(struct str in, uint8_t out[SHA512_BYTES])
{
    digest(GNUTLS_DIG_SHA512, in, out);
}

static void hmac(gnutls_mac_algorithm_t algorithm, struct str key, struct str in, uint8_t *out)
{
    int rc = gnutls_hmac_fast(algorithm, bytes_of(key), key.n, bytes_of(in), in.n, out);
    ASSERT(rc == 0);
}

void hmac_md5(struct str key, struct str in, uint8_t out[MD5_BYTES])
{
    GNUTLS_FIPS140_SET_LAX_MODE();
    hmac(GNUTLS_MAC_MD5, key, in, out);
    GNUTLS_FIPS140_SET_STRICT_MODE();
}

void hmac_sha256(struct str key, struct str in, uint8_t out[SHA256_BYTES])
{
    hmac(GNUTLS_MAC_SHA256, key, in, out);
}

void hash_sha256_hex(struct str in, struct buf *out)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t raw[SHA256_BYTES];
    hash_sha256(in, raw);
    for (size_t i = 0; i < sizeof raw; i++) {
        buf_byte(out, hex[raw[i] >> 4]);
        buf_byte(out, hex[raw[i] & 15]);
    }
}

uint64_t hash_xxh64(struct str in)
{
    return XXH64(bytes_of(in), in.n, 0);
}

/* libxxhash keeps its state's layout to itself unless it is linked statically, so the stream is our own: four lanes and
 * a block of 32 bytes, as the algorithm's description has them. */
enum { BLOCK_BYTES = 32 };

static const uint64_t P1 = 11400714785074694791ull, P2 = 14029467366897019727ull, P3 = 1609587929392839161ull,
                      P4 = 9650029242287828579ull, P5 = 2870177450012600261ull;

struct stream {
    uint64_t lanes[4];
    uint64_t total;
    uint8_t block[BLOCK_BYTES];
    size_t block_n;
};
_Static_assert(sizeof(struct stream) <= sizeof(struct xxh64_stream), "the caller's storage is large enough");

static struct stream *stream_of(struct xxh64_stream *x)
{
    return (struct stream *)(void *)x->state;
}

static uint64_t rotl(uint64_t v, int n)
{
    return v << n | v >> (64 - n);
}

static uint64_t read64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t round_of(uint64_t lane, uint64_t v)
{
    return rotl(lane + v * P2, 31) * P1;
}

static void consume(struct stream *s, const uint8_t *p)
{
    for (size_t i = 0; i < 4; i++)
        s->lanes[i] = round_of(s->lanes[i], read64(p + 8 * i));
}

void xxh64_start(struct xxh64_stream *x)
{
    *stream_of(x) = (struct stream){ .lanes = { P1 + P2, P2, 0, 0 - P1 } };
}

void xxh64_add(struct xxh64_stream *x, struct str in)
{
    struct stream *s = stream_of(x);
    const uint8_t *p = (const uint8_t *)in.p;
    size_t n = in.n;
    s->total += n;
    if (s->block_n) {
        size_t piece = BLOCK_BYTES - s->block_n < n ? BLOCK_BYTES - s->block_n : n;
        if (piece)
            memcpy(s->block + s->block_n, p, piece);
        s->block_n += piece;
        p += piece;
        n -= piece;
        if (s->block_n < BLOCK_BYTES)
            return;
        consume(s, s->block);
        s->block_n = 0;
    }
    for (; n >= BLOCK_BYTES; n -= BLOCK_BYTES, p += BLOCK_BYTES)
        consume(s, p);
    if (n)
        memcpy(s->block, p, n);
    s->block_n = n;
}

uint64_t xxh64_value(const struct xxh64_stream *x)
{
    struct stream s;
    memcpy(&s, x->state, sizeof s);
    uint64_t h = P5;
    if (s.total >= BLOCK_BYTES) {
        h = rotl(s.lanes[0], 1) + rotl(s.lanes[1], 7) + rotl(s.lanes[2], 12) + rotl(s.lanes[3], 18);
        for (size_t i = 0; i < 4; i++)
            h = (h ^ round_of(0, s.lanes[i])) * P1 + P4;
    }
    h += s.total;
    const uint8_t *p = s.block, *end = s.block + s.block_n;
    for (; end - p >= 8; p += 8)
        h = rotl(h ^ round_of(0, read64(p)), 27) * P1 + P4;
    if (end - p >= 4) {
        uint32_t v;
        memcpy(&v, p, sizeof v);
        h = rotl(h ^ v * P1, 23) * P2 + P3;
        p += 4;
    }
    for (; p < end; p++)
        h = rotl(h ^ *p * P5, 11) * P1;
    h ^= h >> 33;
    h *= P2;
    h ^= h >> 29;
    h *= P3;
    return h ^ h >> 32;
}

uint64_t fnv1a64_add(uint64_t h, struct str in)
{
    for (size_t i = 0; i < in.n; i++)
        h = fnv1a64_add_byte(h, (uint8_t)in.p[i]);
    return h;
}
