/* The HTTP client: libcurl's multi interface on one loop. Requests and answers are values; credentials, TLS, proxies,
 * OAuth and redirects are done here once, by `struct http_client_config`.
 *
 * Bounds: at most `connections_max` sockets in all, and for each host a window of them that grows while it helps; a call
 * that has to wait for a slot holds none. Waiting calls take turns by host, so that one dead host with a thousand calls delays its own, not the others'. A waiting call's timeout
 * runs. Bodies are cut or refused at response_bytes_max.
 *
 * Errors read as Go's: `Post "http://x": dial tcp 127.0.0.1:1: connect: connection refused`, `Get "…": context deadline
 * exceeded`. Secrets never appear in them (set secret_url for URLs that are secrets).
 *
 * Files (credentials, certificates) are read for each call; TLS material is loaded again when its content changes.
 * Tokens of OAuth are shared by equal configurations and live as long as the client.
 *
 * Thread: the loop's. */
#ifndef TOCSIN_IO_HTTP_CLIENT_H
#define TOCSIN_IO_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/metric.h"
#include "http/client_config.h"
#include "http/message.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_client;

struct http_client_stats {
    struct gauge waiting;     /* tocsin_send_waiting */
    struct gauge connections; /* calls that hold a slot */
};
extern const struct metric_desc http_client_metric_descs[];
extern const size_t http_client_metric_descs_count;

struct http_client_options {
    unsigned connections_max; /* 0: half of the fd limit */
    struct str user_agent;    /* sent unless a call has its own; copied */
    const char *const *environ; /* of proxy_from_environment; NULL: the process's */
};
struct http_client *http_client_new(struct loop *l, const struct http_client_options *options);
void http_client_free(struct http_client *c); /* calls that are under way end with ERR_CANCELLED, done is called */
struct http_client_stats *http_client_stats(struct http_client *c);

struct http_result {
    bool arrived; /* an answer came: status is set */
    int status;
    const struct http_header *headers; /* of the final answer */
    size_t headers_count;
    struct str body;
    bool body_cut;  /* more came than response_bytes_max */
    struct str url; /* the last one asked, after redirects */
    bool timed_out;
    struct err err; /* if not arrived, or the body broke off */
};

/* The caller's storage; zeroed, filled, sent. It and all that it points at are left alone until done is called or the
 * call is cancelled. */
struct http_call {
    struct str method, url;
    const struct http_header *headers;
    size_t headers_count;
    struct str body;
    const struct http_client_config *config; /* NULL: the defaults (follow redirects, system's CAs, no proxy) */
    int64_t timeout_ms;       /* for the whole call, waiting included; 0: none */
    size_t response_bytes_max;/* 0: 64 KiB */
    bool secret_url;          /* errors show <redacted> */
    bool fail_if_cut;         /* a longer body is an error (ERR_LIMIT), not cut */
    struct buf *body_into;    /* may be NULL; the body is appended there instead of to the call's own memory */
    /* May be NULL. Called with each piece of the body, which is then not kept; false ends the call (ERR_CANCELLED). */
    bool (*piece)(void *arg, struct str bytes);
    /* May be NULL. It waits no longer: called once, before done, when the call gets its slot. It may send others, but
     * neither cancel nor free this one. */
    void (*started)(void *arg);
    /* The result is valid during the call. The storage may be reused or freed in it. */
    void (*done)(void *arg, const struct http_result *r);
    void *arg;
    struct http_call_state *state; /* the client's */
};
void http_client_send(struct http_client *c, struct http_call *call); /* done is never called from within */
/* Requests that their owner holds back because others of his still wait here: counted as waiting, that is all. */
void http_client_held_back(struct http_client *c, size_t n);
void http_client_cancel(struct http_client *c, struct http_call *call); /* done is not called; fine if not under way */

#endif
