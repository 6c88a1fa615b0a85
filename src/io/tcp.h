/* TCP connections on a loop, plain or TLS, with deadlines and bounded buffers.
 *
 * A connection tells its owner by callbacks: opened (connected, and the TLS handshake done), data, closed. After closed
 * (with the reason; ERR_NONE: the peer ended in order) nothing follows, and the owner frees the connection, in the
 * callback or later. tcp_free() may be called at any time, from any callback, and nothing follows it.
 *
 * Writes are queued, at most write_bytes_max of them. Over TLS each tcp_write() of at most TLS_RECORD_BYTES_MAX is
 * exactly one record, never joined with another: the mesh's TLS transport needs one frame = one record.
 *
 * The deadline covers whatever is going on (connecting, shaking hands, waiting for data or for room); when it passes
 * the connection is closed with ERR_TIMEOUT ("i/o timeout").
 *
 * Errors read as Go's: "dial tcp 127.0.0.1:1: connect: connection refused", "read tcp …: connection reset by peer".
 *
 * Thread: the loop's. */
#ifndef TOCSIN_IO_TCP_H
#define TOCSIN_IO_TCP_H

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "io/addr.h"
#include "io/loop.h"
#include "io/tls.h"

#include <stdbool.h>
#include <stddef.h>

#define TLS_RECORD_BYTES_MAX 16384

struct tcp;
struct tcp_events {
    void (*opened)(void *arg);                     /* may be NULL */
    void (*data)(void *arg, struct str bytes);     /* valid during the call */
    void (*closed)(void *arg, const struct err *why);
    void (*drained)(void *arg);                    /* the write queue is empty again; may be NULL */
};
struct tcp_options {
    struct tcp_events events;
    void *arg;
    mono_ms deadline;          /* MONO_NEVER: none */
    size_t write_bytes_max;    /* 0: 64 MiB */
    struct tls_client *tls;    /* retained; NULL: plain */
    struct str server_name;    /* for SNI and verification, unless the TLS configuration names another */
};
/* Starts to connect; opened or closed follows, never from within. */
struct tcp *tcp_connect(struct loop *l, const struct addr *to, const struct tcp_options *options);
/* False: more than write_bytes_max would be queued, or the connection is closed. */
MUST_CHECK bool tcp_write(struct tcp *c, struct str bytes);
size_t tcp_write_queued(const struct tcp *c);
void tcp_set_deadline(struct tcp *c, mono_ms deadline);
void tcp_set_events(struct tcp *c, const struct tcp_events *events, void *arg); /* another owner takes over */
void tcp_pause(struct tcp *c, bool paused); /* reading */
/* After what is queued has been written, ends our side (TLS: close_notify). Data may still come until closed. */
void tcp_end(struct tcp *c);
void tcp_free(struct tcp *c); /* at once, what is queued is lost; NULL is fine */
/* From plain to TLS on an open connection (STARTTLS): opened is called again when the handshake is done. */
void tcp_start_tls(struct tcp *c, struct tls_client *tls, struct str server_name);
const struct addr *tcp_local(const struct tcp *c);
const struct addr *tcp_remote(const struct tcp *c);
bool tcp_is_tls(const struct tcp *c);

struct tcp_listener;
struct tcp_listener_options {
    /* A new connection (before its handshake); the callee owns it and sets its events at once. */
    void (*accepted)(void *arg, struct tcp *c);
    void *arg;
    struct tls_server *(*tls)(void *arg); /* NULL: plain. Asked for each connection; returns a reference, or NULL: refuse */
    int64_t deadline_ms;                  /* of each new connection, from its accept; 0: none */
    size_t connections_max;               /* 0: 128; further ones wait in the kernel's queue */
};
/* Binds and listens (port 0: any free one). Errors: "listen tcp 127.0.0.1:9094: bind: address already in use". */
struct tcp_listener *tcp_listen(struct loop *l, const struct addr *bind, const struct tcp_listener_options *options,
                                struct err *err);
const struct addr *tcp_listener_address(const struct tcp_listener *t);
void tcp_listener_free(struct tcp_listener *t); /* its connections live on; NULL is fine */

#endif
