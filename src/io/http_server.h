/* The HTTP server: several listeners, one pool of epoll threads (libmicrohttpd), requests and responses as values.
 *
 * A handler runs on a pool thread when the whole request is there. It fills x->response and calls
 * http_exchange_finish(), then or later, from any thread: an exchange that is not finished when the handler returns
 * is kept (its connection sleeps) until it is. Every exchange must be finished exactly once. An exchange that nobody
 * has finished after `timeout_ms` is answered 503 by the server; its owner may still use and must still finish it,
 * the response is then dropped.
 *
 * Bounds (server_limits below): connections in all and per address, bytes of URL and headers (414, 431), of the body
 * (413), time to send a request, time without progress. A client that does not read holds one pull buffer, not a body.
 * A client that has closed its side with a request unfinished, or after its last one, is let go within two seconds.
 *
 * Stop: listeners close, idle connections are closed, running exchanges get until the deadline, the rest is answered
 * 503 and cut. Exchanges whose owner has not finished them by then stay valid until it does.
 *
 * Thread: start, stop and set on one thread; handlers on the pool's; finish on any. */
#ifndef TOCSIN_IO_HTTP_SERVER_H
#define TOCSIN_IO_HTTP_SERVER_H

#include "base/clock.h"
#include "base/err.h"
#include "base/metric.h"
#include "base/str.h"
#include "http/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_server;
struct http_guard;
struct tls_server;

struct http_exchange {
    struct http_request request;   /* read by the handler; lives until finish */
    struct http_response response; /* written by the handler */
    void *user;                    /* the handler's own */
};
/* Hands the response over; the exchange is gone afterwards. Any thread. */
void http_exchange_finish(struct http_exchange *x);
/* The client has closed its side, or the server has given up on it: work for it may stop. Any thread, before finish. */
bool http_exchange_gone(struct http_exchange *x);

struct http_listener {
    struct str address; /* ":9093" (both families), "127.0.0.1:0", "[::1]:9093", "host:port"; as Go's net.Listen tcp */
    int fd;             /* >= 0: an inherited listening socket instead of the address; the server takes it over */
};

struct http_server_limits { /* 0: the default in parentheses */
    unsigned threads;             /* of the pool (2 .. 4 by CPUs) */
    unsigned connections_max;     /* a third of the fd limit, at most 8192 */
    unsigned connections_per_ip;  /* none */
    size_t body_bytes_max;        /* 32 MiB */
    int64_t header_timeout_ms;    /* from the accept, or a request's first line, to the end of the headers (10 s) */
    int64_t body_timeout_ms;      /* for the whole body of a request (5 min) */
    int64_t stall_timeout_ms;     /* without a byte of that body (10 s) */
    int64_t idle_timeout_ms;      /* kept alive without a request (5 min; less when connections are short) */
    int64_t write_timeout_ms;     /* without a byte of the answer being taken by the client (15 s) */
    int64_t timeout_ms;           /* of an exchange in the handler's hands (none) */
};

/* Who may come in (web configuration). The app keeps the snapshot fresh: both callbacks are asked for each request and
 * each handshake, on pool threads, and return a reference that the server releases. */
struct http_guard_hooks {
    void *arg;
    struct http_guard *(*guard)(void *arg);    /* may be NULL; NULL result: everybody, no headers */
    struct tls_server *(*tls)(void *arg);      /* NULL member: plain HTTP. NULL result: the handshake fails */
};

struct http_server_stats {
    struct counter requests, unauthorized, timeouts, cut;
    struct gauge connections;
};
extern const struct metric_desc http_server_metric_descs[];
extern const size_t http_server_metric_descs_count;

struct http_server_config {
    const struct http_listener *listeners;
    size_t listeners_count;
    struct http_server_limits limits;
    struct http_guard_hooks hooks;
    void (*handle)(void *arg, struct http_exchange *x);
    void *arg;
    struct str timeout_text; /* what a timed-out exchange is told; empty: "Exceeded configured timeout.\n" */
};
/* Binds all listeners; nothing is accepted before http_server_start(). Errors as Go words them:
 * "listen tcp 127.0.0.1:80: bind: permission denied". */
struct http_server *http_server_new(const struct http_server_config *config, struct err *err);
/* The real address of a listener, "127.0.0.1:36211", "[::]:9093". Valid until free. */
struct str http_server_address(const struct http_server *s, size_t listener);
uint16_t http_server_port(const struct http_server *s, size_t listener);
MUST_CHECK bool http_server_start(struct http_server *s, struct err *err);
struct http_server_stats *http_server_stats(struct http_server *s);
/* Waits at most grace_ms for running exchanges. False if some had to be cut. */
bool http_server_stop(struct http_server *s, int64_t grace_ms);
/* Stops (at once) if still running. Exchanges that are still held keep a remainder alive until they are finished. */
void http_server_free(struct http_server *s);

#endif
