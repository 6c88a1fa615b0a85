/* OAuth 2.0 as a client of a token endpoint: forms to send and answers to read, as golang.org/x/oauth2 does for
 * Prometheus's and Alertmanager's http_config.
 *
 * Thread: any; pure. */
#ifndef TOCSIN_HTTP_OAUTH_H
#define TOCSIN_HTTP_OAUTH_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "http/client_config.h"

#include <stdbool.h>

/* Tokens are given up this long before they expire. */
#define OAUTH_EXPIRY_DELTA_MS 10000
/* What counts of a token endpoint's answer. */
#define OAUTH_RESPONSE_BYTES_MAX (1024 * 1024)

/* Whether a grant is a JWT (the secret is a PEM key) or client credentials. */
bool oauth_is_jwt(const struct http_oauth2_config *c);

/* The form of client_credentials; with in_params client_id and client_secret are in it, otherwise they go into the
 * Authorization header (oauth_authorization). */
struct str oauth_client_form(struct arena *a, const struct http_oauth2_config *c, struct str secret, bool in_params);
struct str oauth_authorization(struct arena *a, const struct http_oauth2_config *c, struct str secret);

/* The form with a signed assertion. `id` is the assertion's jti. Errors: the key. */
MUST_CHECK bool oauth_jwt_form(struct arena *a, const struct http_oauth2_config *c, struct str key_pem,
                               struct wire_time now, struct str id, struct str *form, struct err *err);

struct oauth_token {
    struct str authorization; /* "Bearer xyz", in the arena */
    int64_t lifetime_ms;      /* from now; INT64_MAX: it does not expire */
};
/* Errors: `oauth2: "invalid_client"`, `oauth2: cannot fetch token: 500 Internal Server Error\nResponse: …`,
 * `oauth2: server response missing access_token`. */
MUST_CHECK bool oauth_parse(struct arena *a, int status, struct str content_type, struct str body,
                            struct oauth_token *token, struct err *err);

/* A text that two configurations share if one's tokens are good for the other. Holds a digest, no secret. */
struct str oauth_cache_key(struct arena *a, const struct http_oauth2_config *c, struct str secret);

#endif
