/* AES-GCM by GnuTLS (libsodium has AES-256 only, and only with the CPU's help), random bytes and guarded memory by
 * libsodium. GnuTLS copies the key into its handle; our own copy stays in guarded memory for as long as the handle. */
#include "crypto/aead.h"

#include "base/mem.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sodium.h>

struct aead {
    gnutls_aead_cipher_hd_t cipher;
    struct guarded key;
};

void crypto_init(void)
{
    int rc = sodium_init();
    ASSERT(rc >= 0);
    rc = gnutls_global_init();
    ASSERT(rc == 0);
}

static gnutls_cipher_algorithm_t cipher_for(size_t key_bytes)
{
    switch (key_bytes) {
    case 16: return GNUTLS_CIPHER_AES_128_GCM;
    case 24: return GNUTLS_CIPHER_AES_192_GCM;
    case 32: return GNUTLS_CIPHER_AES_256_GCM;
    default: return GNUTLS_CIPHER_UNKNOWN;
    }
}

struct aead *aead_new(struct str key, struct err *err)
{
    gnutls_cipher_algorithm_t algorithm = cipher_for(key.n);
    if (algorithm == GNUTLS_CIPHER_UNKNOWN) {
        err_set(err, ERR_INVALID, "key size must be 16, 24 or 32 bytes, not %zu", key.n);
        return NULL;
    }
    struct aead *a = MEM_NEW(struct aead);
    guarded_set(&a->key, key);
    gnutls_datum_t datum = { a->key.p, (unsigned)a->key.n };
    int rc = gnutls_aead_cipher_init(&a->cipher, algorithm, &datum);
    if (rc != 0) {
        err_set(err, ERR_UNAVAILABLE, "AES-GCM: %s", gnutls_strerror(rc));
        guarded_free(&a->key);
        mem_free(a);
        return NULL;
    }
    return a;
}

void aead_free(struct aead *a)
{
    if (!a)
        return;
    gnutls_aead_cipher_deinit(a->cipher);
    guarded_free(&a->key);
    mem_free(a);
}

static const void *bytes_of(struct str s)
{
    return s.n ? s.p : "";
}

void aead_seal(struct aead *a, const uint8_t nonce[AEAD_NONCE_BYTES], struct str aad, struct str plain, struct buf *out)
{
    size_t n = plain.n + AEAD_TAG_BYTES;
    buf_reserve(out, n);
    int rc = gnutls_aead_cipher_encrypt(a->cipher, nonce, AEAD_NONCE_BYTES, bytes_of(aad), aad.n, AEAD_TAG_BYTES,
                                        bytes_of(plain), plain.n, out->p + out->n, &n);
    ASSERT(rc == 0);
    ASSERT(n == plain.n + AEAD_TAG_BYTES);
    out->n += n;
    out->p[out->n] = 0;
}

bool aead_open(struct aead *a, const uint8_t nonce[AEAD_NONCE_BYTES], struct str aad, struct str sealed,
               struct buf *out)
{
    if (sealed.n < AEAD_TAG_BYTES)
        return false;
    size_t n = sealed.n - AEAD_TAG_BYTES;
    buf_reserve(out, n + 1);
    int rc = gnutls_aead_cipher_decrypt(a->cipher, nonce, AEAD_NONCE_BYTES, bytes_of(aad), aad.n, AEAD_TAG_BYTES,
                                        sealed.p, sealed.n, out->p + out->n, &n);
    if (rc == 0)
        out->n += n;
    out->p[out->n] = 0;
    return rc == 0;
}

bool crypto_equal(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || sodium_memcmp(a.p, b.p, a.n) == 0);
}

void crypto_random(void *p, size_t n)
{
    randombytes_buf(p, n);
}

void guarded_set(struct guarded *g, struct str bytes)
{
    uint8_t *p = NULL;
    if (bytes.n) {
        p = sodium_malloc(bytes.n);
        ASSERT(p != NULL);
        memcpy(p, bytes.p, bytes.n);
    }
    guarded_free(g);
    *g = (struct guarded){ p, bytes.n };
}

void guarded_free(struct guarded *g)
{
    sodium_free(g->p);
    *g = (struct guarded){ 0 };
}

struct str guarded_view(const struct guarded *g)
{
    return str_of(g->p ? (const char *)g->p : "", g->n);
}

void crypto_wipe(void *p, size_t n)
{
    if (n)
        sodium_memzero(p, n);
}
