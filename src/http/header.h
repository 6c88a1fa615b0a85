/* Header names and values: canonical form, checks, Accept and Content-Type.
 *
 * Thread: any; pure. */
#ifndef TOCSIN_HTTP_HEADER_H
#define TOCSIN_HTTP_HEADER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "http/message.h"

#include <stdbool.h>
#include <stddef.h>

/* Go's CanonicalMIMEHeaderKey: "user-agent" -> "User-Agent"; names with odd bytes unchanged. */
void http_header_canonical(struct buf *b, struct str name);
bool http_header_name_valid(struct str name);   /* RFC 9110 token */
bool http_header_value_valid(struct str value); /* no control bytes but tab */
bool http_token_list_has(struct str list, struct str token); /* "gzip, br": any case, parameters ignored */

/* Quality that `accept` gives to `type` ("application/json"), 0 .. 1000; the most specific range counts. An empty or
 * missing header accepts everything. */
unsigned http_accept_quality(struct str accept, struct str type);
/* The offer with the best quality, the first of equals; -1 if none is accepted. */
int http_accept_choose(struct str accept, const struct str *offers, size_t offers_count);
/* Quality of an encoding in Accept-Encoding; absent ones 0, `*` considered. */
unsigned http_accept_encoding_quality(struct str accept_encoding, struct str coding);

#define HTTP_MEDIA_PARAMS_MAX 16
struct http_media_type {
    struct str type; /* lower case: "text/plain" */
    struct http_header params[HTTP_MEDIA_PARAMS_MAX]; /* names in lower case, values unquoted */
    size_t params_count;
};
/* Go's mime.ParseMediaType without RFC 2231 continuations. Errors: "mime: no media type", … */
MUST_CHECK bool http_media_type_parse(struct arena *a, struct str s, struct http_media_type *m, struct err *err);
struct str http_media_param(const struct http_media_type *m, struct str name);

#endif
