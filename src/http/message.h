/* HTTP requests and responses as values: what api/ and web/ are written against. io/http_server.c makes a request from
 * the wire, hands it to a handler, and writes the response; tests make and read them directly.
 *
 * Everything in a request lives until its exchange ends. A response is either a body that is complete, or a pull
 * function: no handler builds a body over 64 KiB that it could produce in pieces. */
#ifndef TOCSIN_HTTP_MESSAGE_H
#define TOCSIN_HTTP_MESSAGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct http_header {
    struct str name, value;
};

struct http_request {
    struct str method;  /* "GET"; upper case as sent */
    struct str target;  /* path?query, raw as sent */
    struct str path;    /* raw: %2F is still %2F */
    struct str query;   /* raw, without the ? */
    const struct http_header *headers;
    size_t headers_count;
    struct str body;
    struct str peer;    /* "ip:port" */
    struct str host;    /* Host header */
    bool tls;
    struct arena *arena; /* of the exchange; for whatever the handler makes */
};

/* Appends the next piece (at most about 64 KiB) to out; sets *done with the last one. False: the body is cut off. */
typedef bool http_body_pull(void *arg, struct buf *out, bool *done);

#define HTTP_RESPONSE_HEADERS_MAX 24
struct http_response {
    int status; /* 0: not answered yet */
    struct http_header headers[HTTP_RESPONSE_HEADERS_MAX];
    size_t headers_count;
    struct buf body;       /* used if pull is NULL; freed by the server */
    http_body_pull *pull;
    void *pull_arg;
    void (*pull_end)(void *pull_arg); /* called once when the body is over or given up; may be NULL */
};

struct str http_request_header(const struct http_request *req, struct str name); /* first, any case; empty if absent */
bool http_request_has_header(const struct http_request *req, struct str name);
/* Header texts are borrowed: literals, or arena of the request. */
void http_response_header(struct http_response *res, struct str name, struct str value);
void http_response_set_header(struct http_response *res, struct str name, struct str value); /* replaces */
/* Status, Content-Type and a complete body (copied). */
void http_response_text(struct http_response *res, int status, struct str content_type, struct str body);

/* Query strings and forms as Go's url.ParseQuery: pairs in order, + is space, bad escapes make the pair an error
 * (skipped, *bad set). The pairs live in the arena. */
struct http_param {
    struct str name, value;
};
struct http_params {
    struct http_param *v;
    size_t n;
    bool bad;
};
void http_params_parse(struct arena *a, struct str query, struct http_params *out);
struct str http_param_get(const struct http_params *ps, struct str name); /* the first; empty if absent */
struct str http_param_last(const struct http_params *ps, struct str name);
bool http_param_has(const struct http_params *ps, struct str name);

struct str http_status_text(int status); /* "Not Found"; empty if unknown */

#endif
