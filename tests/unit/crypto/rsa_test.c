#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/rsa.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

static struct buf pkcs1, pkcs8, public_pem, ec_pem;

static void keep(struct buf *b, gnutls_datum_t *d)
{
    buf_append(b, d->data, d->size);
    gnutls_free(d->data);
}

static int setup(void **state)
{
    (void)state;
    gnutls_x509_privkey_t key, ec;
    gnutls_privkey_t private;
    gnutls_pubkey_t public;
    gnutls_datum_t d;
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, 2048, 0), 0);
    assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &d), 0);
    keep(&pkcs1, &d);
    assert_int_equal(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &d), 0);
    keep(&pkcs8, &d);
    assert_int_equal(gnutls_privkey_init(&private), 0);
    assert_int_equal(gnutls_pubkey_init(&public), 0);
    assert_int_equal(gnutls_privkey_import_x509(private, key, 0), 0);
    assert_int_equal(gnutls_pubkey_import_privkey(public, private, 0, 0), 0);
    assert_int_equal(gnutls_pubkey_export2(public, GNUTLS_X509_FMT_PEM, &d), 0);
    keep(&public_pem, &d);
    assert_int_equal(gnutls_x509_privkey_init(&ec), 0);
    assert_int_equal(gnutls_x509_privkey_generate(ec, GNUTLS_PK_EC, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0), 0);
    assert_int_equal(gnutls_x509_privkey_export2(ec, GNUTLS_X509_FMT_PEM, &d), 0);
    keep(&ec_pem, &d);
    gnutls_x509_privkey_deinit(key);
    gnutls_x509_privkey_deinit(ec);
    gnutls_privkey_deinit(private);
    gnutls_pubkey_deinit(public);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_deinit(&pkcs1);
    buf_deinit(&pkcs8);
    buf_deinit(&public_pem);
    buf_deinit(&ec_pem);
    return 0;
}

static void signatures_verify_with_the_public_key(void **state)
{
    (void)state;
    for (int hash = RSA_SHA256; hash <= RSA_SHA512; hash++) {
        struct buf a = { 0 }, b = { 0 };
        struct err err;
        assert_true(rsa_sign(buf_view(&pkcs1), (enum rsa_hash)hash, STR("header.payload"), &a, &err));
        assert_true(rsa_sign(buf_view(&pkcs8), (enum rsa_hash)hash, STR("header.payload"), &b, &err));
        assert_int_equal(a.n, 256);
        assert_true(str_eq(buf_view(&a), buf_view(&b))); /* the scheme is deterministic */
        assert_true(rsa_verify(buf_view(&public_pem), (enum rsa_hash)hash, STR("header.payload"), buf_view(&a), &err));
        assert_true(rsa_verify(buf_view(&pkcs8), (enum rsa_hash)hash, STR("header.payload"), buf_view(&a), &err));
        assert_false(rsa_verify(buf_view(&public_pem), (enum rsa_hash)hash, STR("header.payloae"), buf_view(&a), &err));
        enum rsa_hash other = hash == RSA_SHA256 ? RSA_SHA512 : RSA_SHA256;
        assert_false(rsa_verify(buf_view(&public_pem), other, STR("header.payload"), buf_view(&a), &err));
        a.p[100] ^= 1;
        assert_false(rsa_verify(buf_view(&public_pem), (enum rsa_hash)hash, STR("header.payload"), buf_view(&a), &err));
        buf_deinit(&a);
        buf_deinit(&b);
    }
}

static void other_keys_are_refused(void **state)
{
    (void)state;
    struct buf out = { 0 };
    struct err err;
    const struct str bad[] = { STR(""), STR("no key"), buf_view(&public_pem), buf_view(&ec_pem),
                               STR("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n") };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        err.code = ERR_NONE;
        assert_false(rsa_sign(bad[i], RSA_SHA256, STR("x"), &out, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_true(str_starts(err_text(&err), STR("private key: ")));
    }
    assert_int_equal(out.n, 0);
    assert_false(rsa_verify(STR("no key"), RSA_SHA256, STR("x"), STR("y"), &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_verify_with_the_public_key),
        cmocka_unit_test(other_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
