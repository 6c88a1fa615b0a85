/* Digests and the two fast hashes that upstream's formats carry. All one-shot forms take any number of bytes; xxh64 also
 * streams. Digests are bytes, most significant first as printed in hex. Thread: any. */
#ifndef TOCSIN_CRYPTO_HASH_H
#define TOCSIN_CRYPTO_HASH_H

#include "base/buf.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

#define MD5_BYTES    16
#define SHA1_BYTES   20
#define SHA256_BYTES 32
#define SHA512_BYTES 64

void hash_md5(struct str in, uint8_t out[MD5_BYTES]);
void hash_sha1(struct str in, uint8_t out[SHA1_BYTES]);
void hash_sha256(struct str in, uint8_t out[SHA256_BYTES]);
void hash_sha512(struct str in, uint8_t out[SHA512_BYTES]);
void hmac_md5(struct str key, struct str in, uint8_t out[MD5_BYTES]); /* CRAM-MD5 */
void hmac_sha256(struct str key, struct str in, uint8_t out[SHA256_BYTES]);
void hash_sha256_hex(struct str in, struct buf *out); /* 64 lower-case digits, appended */

/* XXH64 with seed 0. */
uint64_t hash_xxh64(struct str in);
struct xxh64_stream {
    _Alignas(8) unsigned char state[96];
};
void xxh64_start(struct xxh64_stream *x);
void xxh64_add(struct xxh64_stream *x, struct str in);
uint64_t xxh64_value(const struct xxh64_stream *x); /* of what was added so far */

/* FNV-1a, 64 bits; `h` is FNV1A64_START or the value so far. */
#define FNV1A64_START 14695981039346656037ull
static inline uint64_t fnv1a64_add_byte(uint64_t h, uint8_t c)
{
    return (h ^ c) * 1099511628211ull;
}
uint64_t fnv1a64_add(uint64_t h, struct str in);

#endif
