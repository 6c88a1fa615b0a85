/* bcrypt, for web.config's basic_auth_users. A check takes tens of milliseconds on purpose: never on a loop that others
 * wait for. Thread: any, several at once. */
#ifndef TOCSIN_CRYPTO_BCRYPT_H
#define TOCSIN_CRYPTO_BCRYPT_H

#include "base/str.h"

#include <stdbool.h>

/* Does the password match the hash ($2a$, $2b$, $2y$)? False for hashes of any other kind. As Go's
 * CompareHashAndPassword, passwords past 72 bytes count with their first 72. */
bool bcrypt_check(struct str hash, struct str password);
/* Is it a hash that bcrypt_check can check: form, version and cost (4..31)? */
bool bcrypt_is_hash(struct str hash);
/* The hash's cost; 0 if it is none. */
int bcrypt_cost(struct str hash);

#endif
