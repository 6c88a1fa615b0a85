/* Certificates for tests, made on the spot with GnuTLS: a CA, and certificates that it signs. */
#ifndef TOCSIN_TESTS_UNIT_IO_CERT_FIXTURE_H
#define TOCSIN_TESTS_UNIT_IO_CERT_FIXTURE_H

#include "base/str.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

struct cert {
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key;
    gnutls_datum_t crt_pem, key_pem;
};

#define CERT_OK(x) assert_int_equal((x), 0)

static inline struct str cert_pem(const struct cert *c)
{
    return str_of((const char *)c->crt_pem.data, c->crt_pem.size);
}

static inline struct str key_pem(const struct cert *c)
{
    return str_of((const char *)c->key_pem.data, c->key_pem.size);
}

/* `dns` and `ip` (4 bytes) become subject alternative names; signer NULL makes a CA. */
static inline void cert_make(struct cert *c, const char *name, const struct cert *signer, const char *dns,
                             const unsigned char *ip, int days)
{
    static unsigned char serial;
    time_t now = time(NULL);
    unsigned char id[2] = { 1, ++serial };
    CERT_OK(gnutls_x509_privkey_init(&c->key));
    CERT_OK(gnutls_x509_privkey_generate(c->key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    CERT_OK(gnutls_x509_crt_init(&c->crt));
    CERT_OK(gnutls_x509_crt_set_version(c->crt, 3));
    CERT_OK(gnutls_x509_crt_set_serial(c->crt, id, sizeof id));
    CERT_OK(gnutls_x509_crt_set_dn_by_oid(c->crt, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned)strlen(name)));
    CERT_OK(gnutls_x509_crt_set_key(c->crt, c->key));
    CERT_OK(gnutls_x509_crt_set_activation_time(c->crt, now - 2 * 86400));
    CERT_OK(gnutls_x509_crt_set_expiration_time(c->crt, now + days * 86400));
    CERT_OK(gnutls_x509_crt_set_basic_constraints(c->crt, signer == NULL, -1));
    if (dns)
        CERT_OK(gnutls_x509_crt_set_subject_alt_name(c->crt, GNUTLS_SAN_DNSNAME, dns, (unsigned)strlen(dns),
                                                     GNUTLS_FSAN_APPEND));
    if (ip)
        CERT_OK(gnutls_x509_crt_set_subject_alt_name(c->crt, GNUTLS_SAN_IPADDRESS, ip, 4, GNUTLS_FSAN_APPEND));
    if (!signer)
        CERT_OK(gnutls_x509_crt_set_key_usage(c->crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN));
    CERT_OK(gnutls_x509_crt_sign2(c->crt, signer ? signer->crt : c->crt, signer ? signer->key : c->key, GNUTLS_DIG_SHA256,
                                  0));
    CERT_OK(gnutls_x509_crt_export2(c->crt, GNUTLS_X509_FMT_PEM, &c->crt_pem));
    CERT_OK(gnutls_x509_privkey_export2(c->key, GNUTLS_X509_FMT_PEM, &c->key_pem));
}

static inline void cert_free(struct cert *c)
{
    gnutls_x509_crt_deinit(c->crt);
    gnutls_x509_privkey_deinit(c->key);
    gnutls_free(c->crt_pem.data);
    gnutls_free(c->key_pem.data);
}

static const unsigned char LOOPBACK_IP[4] = { 127, 0, 0, 1 };

#endif
