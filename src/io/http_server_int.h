/* The server's inside: connections and exchanges, shared by http_server.c (listening, accepting, watching, stopping)
 * and http_exchange.c (what libmicrohttpd calls for one connection). */
#ifndef TOCSIN_IO_HTTP_SERVER_INT_H
#define TOCSIN_IO_HTTP_SERVER_INT_H

#include "base/lock.h"
#include "io/addr.h"
#include "io/http_guard_int.h"
#include "io/http_server.h"
#include "io/thread.h"
#include "io/tls.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

enum conn_phase { CONN_HEADERS, CONN_BODY, CONN_HANDLED, CONN_WRITING, CONN_IDLE };

/* One connection: the server's shadow of libmicrohttpd's. Born and buried on a pool thread. */
struct conn {
    struct conn *prev, *next; /* server's list; server lock */
    struct http_server *server;
    struct MHD_Connection *mhd;
    int fd;
    atomic_int phase;          /* enum conn_phase; written by the pool thread */
    _Atomic int64_t since_ms;  /* of the phase, or of the last piece written */
    _Atomic int64_t moved_ms;  /* the last piece of a body read; CONN_BODY only */
    int64_t looked_ms;         /* the since_ms for which the watch has looked for a hang-up; server lock */
    uint64_t taken_bytes;      /* by the client, when the watch last looked; server lock */
    struct exchange *held;     /* while it sleeps; server lock */
    bool abandoned;            /* the exchange was taken from it: answer 503; server lock */
    bool cut;                  /* its socket was shut down by the watch; server lock */
    bool slept;                /* pool thread: went to sleep and has not been seen awake since */
    struct tls_server *tls;
    char peer[ADDR_TEXT_MAX];
};

/* Who may touch an exchange, and when it ends:
 *
 *   READING --(headers, body)--> HANDLING --finish--> DONE           the pool thread answers when handle() returns
 *                                    |                  ^
 *                          handle() returned first      | finish: wakes the connection
 *                                    v                  |
 *                                SUSPENDED -------------+
 *                                    | the watch gives up (timeout, stop)
 *                                    v
 *                                ABANDONED --finish--> freed by whoever finishes
 *
 * Before DONE and in it, the pool thread frees it when the request is over. */
enum exchange_state { EXCHANGE_READING, EXCHANGE_HANDLING, EXCHANGE_SUSPENDED, EXCHANGE_DONE, EXCHANGE_ABANDONED };

enum exchange_stage { STAGE_HEADERS, STAGE_COMPARE, STAGE_BODY, STAGE_LINGER, STAGE_HANDLE, STAGE_ANSWERED };

struct exchange {
    struct http_exchange pub; /* first */
    struct http_server *server;
    struct conn *conn;
    struct MHD_Connection *mhd;
    atomic_int state; /* enum exchange_state */
    enum exchange_stage stage;
    struct arena arena;
    struct buf body;
    bool head, reject, add_headers;
    uint64_t discarded;
    struct http_guard *guard;
    struct guard_ticket ticket;
    struct buf piece; /* of a pulled body */
    size_t piece_at;
    bool piece_last;
    struct exchange *next_free;
};

struct listener {
    int fd;
    struct addr addr;
    char text[ADDR_TEXT_MAX];
};

struct http_server {
    atomic_uint refs; /* the owner, and one per abandoned exchange */
    struct http_server_config config;
    struct str timeout_text;
    struct listener *listeners;
    size_t listeners_count;
    struct MHD_Daemon *daemon;
    struct guard_comparer *comparer;
    struct http_server_stats stats;

    struct thread watch;
    int wake_fd;
    bool accept_paused;

    /* Guards the lists and what a connection's comment names. Rank: before libmicrohttpd's own locks. */
    struct lock lock;
    pthread_cond_t quiet; /* running or connections went down */
    struct conn *conns;
    size_t conns_count;
    struct exchange *free_list;
    size_t free_count, sleeping; /* sleeping: suspended and not yet back on their pool thread */
    bool cutting;                /* no connection may go to sleep any more */
    atomic_uint running;         /* exchanges between their request line and their end */
    atomic_bool stopping;        /* answers close their connections */
};

struct http_server *server_retain(struct http_server *s);
void server_release(struct http_server *s);

/* Callbacks of libmicrohttpd; arg is the server. */
void *exchange_begin(void *arg, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result exchange_access(void *arg, struct MHD_Connection *mhd, const char *url, const char *method,
                                const char *version, const char *upload, size_t *upload_bytes, void **context);
void exchange_end(void *arg, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code);
void conn_notify(void *arg, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code);

/* Takes a sleeping exchange from its connection, which is woken to answer 503. Server lock held. */
bool conn_abandon(struct conn *c);
void exchange_free_all(struct http_server *s);

#endif
