/* Secrets: AES-GCM for the mesh, comparison in constant time, random bytes, and keys in guarded memory (libsodium: not in
 * core files or swap, pages around it closed, wiped when freed).
 *
 * crypto_init() once, before anything else here, on the main thread. An aead is one key made ready; sealing and opening
 * with it is for one thread at a time. */
#ifndef TOCSIN_CRYPTO_AEAD_H
#define TOCSIN_CRYPTO_AEAD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AEAD_NONCE_BYTES 12
#define AEAD_TAG_BYTES   16

void crypto_init(void); /* aborts if the system has no entropy */

struct aead;
/* key: 16, 24 or 32 bytes choose AES-128, -192, -256; copied to guarded memory. ERR_INVALID for other lengths. */
MUST_CHECK struct aead *aead_new(struct str key, struct err *err);
void aead_free(struct aead *a);
/* Appends ciphertext and tag. A nonce is used once per key: random, 12 bytes. */
void aead_seal(struct aead *a, const uint8_t nonce[AEAD_NONCE_BYTES], struct str aad, struct str plain, struct buf *out);
/* Appends the plaintext; false, with nothing appended, if the tag does not match. */
MUST_CHECK bool aead_open(struct aead *a, const uint8_t nonce[AEAD_NONCE_BYTES], struct str aad, struct str sealed,
                          struct buf *out);

/* True if equal; the time depends on the lengths only. */
bool crypto_equal(struct str a, struct str b);
void crypto_random(void *p, size_t n); /* from the system, for keys and nonces */

/* A secret in guarded memory. Readable and writable by its holder; the bytes after it fault. */
struct guarded {
    uint8_t *p;
    size_t n;
};
void guarded_set(struct guarded *g, struct str bytes); /* copies; frees what was there */
void guarded_free(struct guarded *g);                  /* wipes; fine if empty */
struct str guarded_view(const struct guarded *g);
void crypto_wipe(void *p, size_t n); /* not optimised away */

#endif
