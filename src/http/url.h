/* URLs as Go's net/url reads, writes and resolves them, with its error texts (`parse "x": missing protocol scheme`).
 *
 * Parts of a parsed URL live in the arena or are slices of the input. Thread: any; pure. */
#ifndef TOCSIN_HTTP_URL_H
#define TOCSIN_HTTP_URL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

#define HTTP_URL_BYTES_MAX (64 * 1024)

struct http_url {
    struct str scheme; /* lower case */
    struct str opaque; /* of "mailto:x" */
    bool has_user, has_password;
    struct str user, password; /* decoded */
    struct str host;     /* with the port, brackets kept, %-escapes decoded */
    struct str path;     /* decoded */
    struct str raw_path; /* as given, if the default encoding of path differs from it; else empty */
    bool omit_host;      /* "scheme:/path" rather than "scheme:///path" */
    bool force_query;    /* a "?" with nothing behind it */
    struct str raw_query;
    struct str fragment; /* decoded */
    struct str raw_fragment;
};
/* url.Parse. Errors: `parse "<s>": <why>`; texts longer than HTTP_URL_BYTES_MAX are ERR_LIMIT. */
MUST_CHECK bool http_url_parse(struct arena *a, struct str s, struct http_url *u, struct err *err);
/* url.ParseRequestURI: absolute URL or absolute path, no fragment. */
MUST_CHECK bool http_url_parse_request(struct arena *a, struct str s, struct http_url *u, struct err *err);
void http_url_write(struct buf *b, const struct http_url *u);            /* URL.String */
void http_url_write_redacted(struct buf *b, const struct http_url *u);   /* the password as xxxxx */
void http_url_escaped_path(struct buf *b, const struct http_url *u);
void http_url_request_uri(struct buf *b, const struct http_url *u);      /* path?query as sent */
struct str http_url_hostname(const struct http_url *u); /* without port and brackets */
struct str http_url_port(const struct http_url *u);     /* digits, or empty */
/* ResolveReference: `ref` seen from `base`. */
void http_url_resolve(struct arena *a, const struct http_url *base, const struct http_url *ref, struct http_url *out);
/* JoinPath: elements joined to the path, cleaned of . and .. */
MUST_CHECK bool http_url_join(struct arena *a, const struct http_url *base, const struct str *elems, size_t elems_count,
                              struct http_url *out);
struct str http_path_clean(struct arena *a, struct str path); /* Go's path.Clean */

void http_query_escape(struct buf *b, struct str s); /* url.QueryEscape: space is + */
void http_path_escape(struct buf *b, struct str s);  /* url.PathEscape: one segment */
/* Errors: `invalid URL escape "%zz"`. Appends to b; what was appended before the error stays. */
MUST_CHECK bool http_query_unescape(struct buf *b, struct str s, struct err *err);
MUST_CHECK bool http_path_unescape(struct buf *b, struct str s, struct err *err);

#endif
