/* Sockets for the mesh: datagrams and streams by number, over UDP and TCP, or both over TLS (spec 1, 7). The edge's lower
 * half: it knows nothing of messages.
 *
 * Thread: the loop's. Callbacks never come from inside a call, but for packet_failed from transport_send(). Bytes are
 * valid during the call. Bounds: connections, packets that wait for a TLS connection. */
#ifndef TOCSIN_GOSSIP_TRANSPORT_INT_H
#define TOCSIN_GOSSIP_TRANSPORT_INT_H

#include "gossip/gossip.h"
#include "gossip/gossip_io.h"

struct transport;

struct transport_options {
    struct loop *loop;
    struct gossip_addr bind; /* ip_bytes 0: every address of the machine */
    struct tls_client *tls_client;
    struct tls_server *tls_server;
    int64_t timeout_ms;
    struct gossip_io_stats *stats;
    void (*packet)(void *arg, struct gossip_addr from, struct str bytes);
    void (*packet_failed)(void *arg, struct gossip_addr to);
    /* ACCEPTED, OPENED, BYTES, EOF, CLOSED, REFUSED */
    void (*stream)(void *arg, enum gossip_event_kind kind, uint64_t stream, struct gossip_addr addr, struct str bytes);
    void *arg;
};

struct transport *transport_open(const struct transport_options *options, struct err *err);
void transport_free(struct transport *t);
struct gossip_addr transport_address(const struct transport *t); /* as bound, with the real port */
void transport_set_tls(struct transport *t, struct tls_client *client, struct tls_server *server);

void transport_send(struct transport *t, struct gossip_addr to, struct str packet);
void transport_dial(struct transport *t, uint64_t stream, struct gossip_addr to);
void transport_write(struct transport *t, uint64_t stream, struct str bytes);
void transport_close(struct transport *t, uint64_t stream); /* when what was written is out */
void transport_abort(struct transport *t, uint64_t stream);

#endif
