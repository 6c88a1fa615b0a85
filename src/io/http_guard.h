/* Who may talk to the HTTP server: an immutable, counted snapshot of the request half of the web configuration.
 *
 * Basic authentication: users with bcrypt hashes. A successful comparison is remembered (as a salted hash, at most
 * HTTP_GUARD_CACHE_MAX of them); an unknown user costs one comparison as well. Comparisons run one at a time on a
 * thread of their own, so that neither a brute force nor a slow cost factor holds up the other connections; at most
 * HTTP_GUARD_QUEUE_MAX requests wait for theirs, further ones get 503.
 * Failure: 401, `WWW-Authenticate: Basic`, "Unauthorized\n". Rate limit: 429, "Too Many Requests\n". A snapshot that
 * is broken (its file went bad): 500 for everybody, with its text.
 *
 * Thread: any. */
#ifndef TOCSIN_IO_HTTP_GUARD_H
#define TOCSIN_IO_HTTP_GUARD_H

#include "base/str.h"
#include "http/message.h"

#include <stddef.h>
#include <stdint.h>

#define HTTP_GUARD_CACHE_MAX 100
#define HTTP_GUARD_QUEUE_MAX 64

struct http_guard;

struct http_guard_user {
    struct str name, hash; /* "$2y$10$..." */
};
struct http_guard_spec { /* borrowed for the call */
    const struct http_guard_user *users;
    size_t users_count;
    const struct http_header *headers; /* added to every response */
    size_t headers_count;
    int64_t rate_interval_ns;          /* 0: no rate limit */
    uint64_t rate_burst;
    struct str broken;                 /* not empty: every request gets 500 with this text and a newline */
};
struct http_guard *http_guard_new(const struct http_guard_spec *spec);
struct http_guard *http_guard_retain(struct http_guard *g);
void http_guard_release(struct http_guard *g);

#endif
