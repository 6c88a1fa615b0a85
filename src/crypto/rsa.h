/* RSASSA-PKCS1-v1_5 signatures with a PEM key (PKCS#1 or PKCS#8), for the JWT grant of OAuth 2.0 (RS256, RS384, RS512).
 * Thread: any, several at once. Errors: ERR_INVALID with the library's reason. */
#ifndef TOCSIN_CRYPTO_RSA_H
#define TOCSIN_CRYPTO_RSA_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

enum rsa_hash { RSA_SHA256, RSA_SHA384, RSA_SHA512 };

/* Appends the signature of `message`. */
MUST_CHECK bool rsa_sign(struct str key_pem, enum rsa_hash hash, struct str message, struct buf *signature,
                         struct err *err);
/* True if `signature` is one of `message` by the private or public key in PEM. */
MUST_CHECK bool rsa_verify(struct str key_pem, enum rsa_hash hash, struct str message, struct str signature,
                           struct err *err);

#endif
