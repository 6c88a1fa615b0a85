/* RSA signatures by GnuTLS. Keys are parsed per call: a grant signs one token every few minutes. */
#include "crypto/rsa.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

static const struct {
    gnutls_digest_algorithm_t digest;
    gnutls_sign_algorithm_t sign;
} algorithms[] = {
    [RSA_SHA256] = { GNUTLS_DIG_SHA256, GNUTLS_SIGN_RSA_SHA256 },
    [RSA_SHA384] = { GNUTLS_DIG_SHA384, GNUTLS_SIGN_RSA_SHA384 },
    [RSA_SHA512] = { GNUTLS_DIG_SHA512, GNUTLS_SIGN_RSA_SHA512 },
};

/* GnuTLS's data is not const, though it only reads it. */
static gnutls_datum_t datum_of(struct str s)
{
    return (gnutls_datum_t){ (unsigned char *)(uintptr_t)(s.n ? s.p : ""), (unsigned)s.n };
}

static bool failed(struct err *err, const char *what, int rc)
{
    return err_set(err, ERR_INVALID, "%s: %s", what, gnutls_strerror(rc));
}

static bool load_private(struct str pem, gnutls_privkey_t *key, struct err *err)
{
    gnutls_datum_t data = datum_of(pem);
    int rc = gnutls_privkey_init(key);
    ASSERT(rc == 0);
    rc = gnutls_privkey_import_x509_raw(*key, &data, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN);
    if (rc != 0)
        return failed(err, "private key", rc);
    if (gnutls_privkey_get_pk_algorithm(*key, NULL) != GNUTLS_PK_RSA)
        return err_set(err, ERR_INVALID, "private key: not an RSA key");
    return true;
}

bool rsa_sign(struct str key_pem, enum rsa_hash hash, struct str message, struct buf *signature, struct err *err)
{
    ASSERT((size_t)hash < ARRAY_LEN(algorithms));
    if (key_pem.n > UINT16_MAX || message.n > UINT32_MAX)
        return err_set(err, ERR_LIMIT, "key or message is too long");
    gnutls_privkey_t key = NULL;
    gnutls_datum_t data = datum_of(message), out = { 0 };
    bool ok = load_private(key_pem, &key, err);
    if (ok) {
        int rc = gnutls_privkey_sign_data(key, algorithms[hash].digest, 0, &data, &out);
        ok = rc == 0 || failed(err, "sign", rc);
    }
    if (ok)
        buf_append(signature, out.data, out.size);
    gnutls_free(out.data);
    gnutls_privkey_deinit(key);
    return ok;
}

static bool load_public(struct str pem, gnutls_pubkey_t key, struct err *err)
{
    gnutls_datum_t data = datum_of(pem);
    if (!str_contains(pem, STR("PRIVATE KEY"))) {
        int rc = gnutls_pubkey_import(key, &data, GNUTLS_X509_FMT_PEM);
        return rc == 0 || failed(err, "public key", rc);
    }
    gnutls_privkey_t private = NULL;
    bool ok = load_private(pem, &private, err);
    if (ok) {
        int rc = gnutls_pubkey_import_privkey(key, private, 0, 0);
        ok = rc == 0 || failed(err, "public key", rc);
    }
    gnutls_privkey_deinit(private);
    return ok;
}

bool rsa_verify(struct str key_pem, enum rsa_hash hash, struct str message, struct str signature, struct err *err)
{
    ASSERT((size_t)hash < ARRAY_LEN(algorithms));
    if (key_pem.n > UINT16_MAX || message.n > UINT32_MAX || signature.n > UINT16_MAX)
        return err_set(err, ERR_LIMIT, "key, message or signature is too long");
    gnutls_pubkey_t key;
    int rc = gnutls_pubkey_init(&key);
    ASSERT(rc == 0);
    bool ok = load_public(key_pem, key, err);
    if (ok) {
        gnutls_datum_t data = datum_of(message), sig = datum_of(signature);
        rc = gnutls_pubkey_verify_data2(key, algorithms[hash].sign, 0, &data, &sig);
        ok = rc >= 0 || failed(err, "verify", rc);
    }
    gnutls_pubkey_deinit(key);
    return ok;
}
