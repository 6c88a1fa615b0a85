/* The mesh on real sockets: the edge that runs gossip.h and peer.h on a loop (the `mesh` thread). UDP and TCP on one
 * port, or TLS over TCP alone; names by DNS; one timer.
 *
 * Life: gossip_io_open() binds, so that a taken port fails the start-up early; gossip_io_start() joins; gossip_io_leave()
 * says good-bye and `left` answers; gossip_io_free().
 *
 * Threads: open, start and free on the loop's thread, or before it runs; the commands that say so from any thread (they
 * go through a bounded mailbox); all callbacks come on the loop's thread, must not block, and may use the commands.
 * Ownership: what callbacks get is valid during the call; commands copy unless their name says take.
 * Upstream: memberlist net_transport.go; alertmanager cluster/cluster.go, tls_transport.go. */
#ifndef TOCSIN_GOSSIP_GOSSIP_IO_H
#define TOCSIN_GOSSIP_GOSSIP_IO_H

#include "gossip/gossip.h"
#include "gossip/peer.h"

struct loop;
struct mailbox_metrics;
struct tls_client;
struct tls_server;
struct gossip_io;

struct gossip_io_stats { /* with TLS only */
    struct counter tls_packet_bytes_sent, tls_packet_bytes_received, tls_streams_sent, tls_streams_received;
    struct counter tls_read_errors, tls_write_errors_packet, tls_write_errors_stream;
};
extern const struct metric_desc gossip_io_metrics[];
extern const size_t gossip_io_metrics_count;

struct gossip_io_events {
    /* Bytes under a key: part of a push/pull (full) or a message. Rows of the replica table for "sil" and "nfl"; own keys
     * as their owners like. */
    void (*deliver)(void *arg, struct str key, struct str bytes, bool full);
    /* A push/pull waits for the state: answer with gossip_io_state_take(tag). own: with tocsin's own keys. */
    void (*need_state)(void *arg, uint64_t tag, bool own);
    /* A member came or went (self included). tocsin: it understands own keys. */
    void (*member)(void *arg, struct str name, bool joined, bool tocsin, bool is_self); /* may be NULL */
    /* Members, position or readiness changed: copy what is needed. */
    void (*view)(void *arg, const struct peer_view *view);
    /* The first joins have been tried; or start-up must fail, and err says why. */
    void (*started)(void *arg, const struct err *err);
    void (*left)(void *arg); /* the good-bye is out */
    void *arg;
};

struct gossip_io_options { /* copied, but for what is retained or taken over */
    struct loop *loop;
    struct str bind;      /* --cluster.listen-address: a literal IP, or nothing, and a port */
    struct str advertise; /* --cluster.advertise-address; empty: found out */
    bool allow_public_advertise;
    struct str name;      /* --cluster.peer-name; empty: a new ULID */
    struct str label;
    const struct str *peers;
    size_t peers_count;
    int64_t gossip_interval_ms, pushpull_interval_ms, tcp_timeout_ms, probe_timeout_ms, probe_interval_ms;
    int64_t resolve_timeout_ms, settle_timeout_ms, reconnect_interval_ms, reconnect_timeout_ms;
    int64_t peer_timeout_ms; /* how long one that fell silent keeps its place in the order of turns (peer.h) */
    struct gossip_keyring *keyring; /* taken over, also on failure; NULL: none */
    struct tls_client *tls_client;  /* both or neither; retained */
    struct tls_server *tls_server;
    struct gossip_stats *stats;     /* must outlive it */
    struct peer_stats *peer_stats;
    struct gossip_io_stats *io_stats;
    struct mailbox_metrics *mailbox_metrics; /* may be NULL */
    struct gossip_io_events events;
};
struct gossip_io_options gossip_io_options_default(void);

/* Binds. ERR_INVALID: an address, a name, a label or a peer is wrong; ERR_IO: not bound. Before a loop that runs. */
MUST_CHECK struct gossip_io *gossip_io_open(const struct gossip_io_options *options, struct err *err);
void gossip_io_start(struct gossip_io *io);
void gossip_io_free(struct gossip_io *io); /* at once; nobody posts any more. NULL is fine */

struct gossip_addr gossip_io_advertised(const struct gossip_io *io); /* the real port if 0 was asked for */
struct str gossip_io_name(const struct gossip_io *io);
/* Alertmanager warns of this: we tell others an address that only works on this machine. Empty: fine. */
struct str gossip_io_warning(const struct gossip_io *io);

/* ---- commands, from any thread. False: the mailbox is full or closed; push/pull repairs what was not sent. ------------- */

/* key, bytes to everyone who understands the key (gossip.h, GOSSIP_BROADCAST): one record of our own, or with relay the
 * bytes that deliver() brought, if they were news and at most GOSSIP_RELAY_BYTES_MAX. */
bool gossip_io_broadcast(struct gossip_io *io, struct str key, struct str bytes, bool relay);
bool gossip_io_send(struct gossip_io *io, struct str name, struct str key, struct str bytes); /* to one tocsin member */
/* The answer to need_state; never refused. The buffer is emptied: its memory goes over. */
void gossip_io_state_take(struct gossip_io *io, uint64_t tag, struct buf *state);
bool gossip_io_compare(struct gossip_io *io); /* gossip.h, GOSSIP_COMPARE */
bool gossip_io_leave(struct gossip_io *io);
bool gossip_io_set_keyring(struct gossip_io *io, struct gossip_keyring *keyring); /* taken over if true */
bool gossip_io_set_tls(struct gossip_io *io, struct tls_client *client, struct tls_server *server); /* retained */

#endif
