/* Credentials on requests: basic, and AWS Signature Version 4 as a pure function of the request and the time.
 *
 * Thread: any; pure. */
#ifndef TOCSIN_HTTP_AUTH_H
#define TOCSIN_HTTP_AUTH_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "http/message.h"
#include "http/url.h"

#include <stdbool.h>
#include <stddef.h>

/* "Basic <base64 of user:password>". */
void http_basic_write(struct buf *b, struct str user, struct str password);
/* Go's Request.BasicAuth on an Authorization value; texts in the arena. False if it is none. */
MUST_CHECK bool http_basic_parse(struct arena *a, struct str value, struct str *user, struct str *password);

struct sigv4_credentials {
    struct str access_key, secret_key;
    struct str session_token; /* empty: none */
};
struct sigv4_request {
    struct str method;
    const struct http_url *url;
    const struct http_header *headers; /* those to be signed besides Host and the x-amz ones */
    size_t headers_count;
    struct str body;
    struct str region, service;
    struct wire_time now;
};
#define SIGV4_HEADERS_MAX 4
/* Adds X-Amz-Date, for s3 X-Amz-Content-Sha256, X-Amz-Security-Token if there is one, and Authorization to out (room for
 * SIGV4_HEADERS_MAX); returns how many. Texts in the arena. */
size_t sigv4_sign(struct arena *a, const struct sigv4_request *req, const struct sigv4_credentials *cred,
                  struct http_header *out);

#endif
