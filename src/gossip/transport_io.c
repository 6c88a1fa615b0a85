/* Sockets for the mesh.
 *
 * T1  A connection is in one of: streams (it has a number, and the core knows it), frames (TLS, accepted, nothing but
 *     frames so far), pool (TLS, ours, carries packets), draining (closed by the core, still writing). It is freed once,
 *     when its tcp says closed, or when it is aborted.
 * T2  Over TLS every frame is one tcp_write() of at most a record, and so one record; the body of a stream starts with
 *     another write.
 * T3  A packet never waits for another peer's dial: each address has its connection, and its frames wait there, at most
 *     POOL_WRITE_BYTES; what does not fit is lost, as a datagram is.
 * T4  The pool holds POOL_MAX connections; the one that was used longest ago goes. */
#include "gossip/transport_int.h"

#include "base/map.h"
#include "base/mem.h"
#include "gossip/tls_frame_int.h"
#include "io/loop.h"
#include "io/tcp.h"
#include "io/tls.h"
#include "io/udp.h"

#define UDP_RECEIVE_BYTES  (2 << 20)
#define BIND_TRIES         16 /* to find one free port for both, when any will do */
#define CONNECTIONS_PLAIN  512
#define CONNECTIONS_TLS    8192 /* one that carries packets stays open for each member */
#define POOL_MAX           1024
#define POOL_WRITE_BYTES   (256u << 10)
#define FRAMES_IDLE_MS     (30 * 60 * 1000)
#define STREAM_WRITE_BYTES (64u << 20)

enum conn_kind { CONN_STREAM, CONN_FRAMES, CONN_POOL, CONN_DRAINING };

struct conn {
    struct transport *t;
    enum conn_kind kind;
    struct tcp *tcp;
    struct conn *next, *prev;
    uint64_t stream;         /* CONN_STREAM */
    struct gossip_addr addr; /* the other side */
    bool ours;               /* we dialled */
    struct buf in;           /* CONN_FRAMES: an incomplete frame */
    uint64_t used;           /* CONN_POOL: when, in sends */
    char key[20];            /* CONN_POOL: address and port */
};

struct transport {
    struct transport_options options;
    struct gossip_addr address;
    struct udp *udp;
    struct tcp_listener *listener;
    struct conn *conns;
    struct map64 streams;
    struct map pool;
    uint64_t next_stream, sends;
    char from[GOSSIP_ADDR_TEXT_MAX]; /* what TLS packets say they come from */
    struct buf frame;                /* scratch */
};

static struct addr to_addr(struct gossip_addr a)
{
    struct addr out = { .port = a.port };
    struct ip ip = { .n = a.ip_bytes };
    memcpy(ip.b, a.ip, a.ip_bytes);
    out.ip = ip_unmap(&ip);
    return out;
}

static struct gossip_addr from_addr(const struct addr *a)
{
    struct gossip_addr out = { .ip_bytes = a->ip.n, .port = a->port };
    memcpy(out.ip, a->ip.b, a->ip.n);
    return out;
}

static bool with_tls(const struct transport *t)
{
    return t->options.tls_client != NULL;
}

/* ---- connections ------------------------------------------------------------------------------------------------------- */

static void conn_opened(void *arg);
static void conn_data(void *arg, struct str bytes);
static void conn_closed(void *arg, const struct err *why);
static const struct tcp_events conn_events = { .opened = conn_opened, .data = conn_data, .closed = conn_closed };

static struct conn *conn_new(struct transport *t, enum conn_kind kind, struct gossip_addr addr)
{
    struct conn *c = MEM_NEW(struct conn);
    c->t = t;
    c->kind = kind;
    c->addr = addr;
    c->next = t->conns;
    if (t->conns)
        t->conns->prev = c;
    t->conns = c;
    return c;
}

/* Out of the tables that find it. */
static void conn_forget(struct conn *c)
{
    if (c->kind == CONN_STREAM)
        map64_remove(&c->t->streams, c->stream);
    if (c->kind == CONN_POOL)
        map_remove(&c->t->pool, str_of(c->key, sizeof c->key));
}

static void conn_free(struct conn *c)
{
    conn_forget(c);
    if (c->prev)
        c->prev->next = c->next;
    else
        c->t->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    tcp_free(c->tcp);
    buf_deinit(&c->in);
    mem_free(c);
}

static void conn_dial(struct conn *c, size_t write_bytes_max)
{
    struct transport *t = c->t;
    struct addr to = to_addr(c->addr);
    struct buf host = { 0 };
    ip_write(&host, &to.ip);
    struct tcp_options options = {
        .events = conn_events,
        .arg = c,
        .deadline = mono_add(loop_now(t->options.loop), t->options.timeout_ms),
        .write_bytes_max = write_bytes_max,
        .tls = t->options.tls_client,
        .server_name = buf_view(&host),
    };
    c->ours = true;
    c->tcp = tcp_connect(t->options.loop, &to, &options);
    buf_deinit(&host);
}

/* On a stream; one that has no room, or is broken, ends in the next turn. */
static void conn_write(struct conn *c, struct str bytes)
{
    if (!tcp_write(c->tcp, bytes))
        tcp_set_deadline(c->tcp, loop_now(c->t->options.loop));
}

static void conn_opened(void *arg)
{
    struct conn *c = arg;
    switch (c->kind) {
    case CONN_STREAM:
        if (!c->ours)
            break; /* plain, and accepted: it is open already */
        tcp_set_deadline(c->tcp, MONO_NEVER); /* from here on the core's timers rule */
        if (with_tls(c->t)) {
            struct buf frame = { 0 };
            tls_frame_write_stream(&frame);
            conn_write(c, buf_view(&frame));
            buf_deinit(&frame);
            counter_add(&c->t->options.stats->tls_streams_sent, 1);
        }
        c->t->options.stream(c->t->options.arg, GOSSIP_STREAM_OPENED, c->stream, c->addr, STR_EMPTY);
        break;
    case CONN_POOL:
        tcp_set_deadline(c->tcp, MONO_NEVER);
        break;
    case CONN_FRAMES:
    case CONN_DRAINING:
        break;
    }
}

static void become_stream(struct conn *c)
{
    c->kind = CONN_STREAM;
    c->stream = c->t->next_stream;
    c->t->next_stream += 2;
    map64_put(&c->t->streams, c->stream, c);
    tcp_set_deadline(c->tcp, MONO_NEVER);
    c->t->options.stream(c->t->options.arg, GOSSIP_STREAM_ACCEPTED, c->stream, c->addr, STR_EMPTY);
}

static void take_packet(struct transport *t, const struct tls_frame *f)
{
    struct gossip_addr from;
    counter_add(&t->options.stats->tls_packet_bytes_received, f->msg.n);
    if (f->msg.n > 0 && gossip_addr_parse(f->from, &from))
        t->options.packet(t->options.arg, from, f->msg);
}

/* Frames, until one says that a stream follows. What came with it belongs to the stream. */
static void conn_frames(struct conn *c, struct str bytes)
{
    struct transport *t = c->t;
    buf_str(&c->in, bytes);
    size_t at = 0, used;
    for (;;) {
        struct tls_frame f;
        const char *why;
        struct gossip_addr from;
        switch (tls_frame_read(str_from(buf_view(&c->in), at), &f, &used, &why)) {
        case TLS_FRAME_MORE:
            buf_erase_front(&c->in, at);
            return;
        case TLS_FRAME_PACKET:
            if (!gossip_addr_parse(f.from, &from)) {
                counter_add(&t->options.stats->tls_read_errors, 1);
                conn_free(c);
                return;
            }
            take_packet(t, &f);
            tcp_set_deadline(c->tcp, mono_add(loop_now(t->options.loop), FRAMES_IDLE_MS));
            at += used;
            break;
        case TLS_FRAME_STREAM: {
            struct buf in = c->in;
            c->in = (struct buf){ 0 };
            counter_add(&t->options.stats->tls_streams_received, 1);
            become_stream(c);
            struct str rest = str_from(buf_view(&in), at + used);
            /* The core may have refused it: then c is gone. */
            uint64_t stream = t->next_stream - 2;
            if (rest.n > 0 && map64_get(&t->streams, stream))
                t->options.stream(t->options.arg, GOSSIP_STREAM_BYTES, stream, (struct gossip_addr){ 0 }, rest);
            buf_deinit(&in);
            return;
        }
        case TLS_FRAME_BAD:
            counter_add(&t->options.stats->tls_read_errors, 1);
            conn_free(c);
            return;
        }
    }
}

static void conn_data(void *arg, struct str bytes)
{
    struct conn *c = arg;
    switch (c->kind) {
    case CONN_STREAM:
        c->t->options.stream(c->t->options.arg, GOSSIP_STREAM_BYTES, c->stream, c->addr, bytes);
        break;
    case CONN_FRAMES:
        conn_frames(c, bytes);
        break;
    case CONN_POOL:     /* one-way: nobody answers on it */
    case CONN_DRAINING: /* the core has what it wanted */
        break;
    }
}

static void conn_closed(void *arg, const struct err *why)
{
    struct conn *c = arg;
    struct transport *t = c->t;
    struct err reason = *why;
    if (c->kind == CONN_STREAM) {
        uint64_t stream = c->stream;
        struct gossip_addr addr = c->addr;
        if (with_tls(t) && reason.code != ERR_NONE)
            counter_add(&t->options.stats->tls_write_errors_stream, c->ours);
        conn_free(c);
        if (reason.code == ERR_NONE)
            t->options.stream(t->options.arg, GOSSIP_STREAM_EOF, stream, addr, STR_EMPTY);
        t->options.stream(t->options.arg, reason.code == ERR_UNAVAILABLE ? GOSSIP_STREAM_REFUSED : GOSSIP_STREAM_CLOSED, stream, addr,
                          reason.code == ERR_NONE ? STR_EMPTY : err_text(&reason));
        return;
    }
    if (c->kind == CONN_POOL && reason.code != ERR_NONE)
        counter_add(&t->options.stats->tls_write_errors_packet, 1);
    if (c->kind == CONN_FRAMES && reason.code != ERR_NONE)
        counter_add(&t->options.stats->tls_read_errors, 1);
    conn_free(c);
}

/* ---- listening ------------------------------------------------------------------------------------------------------------ */

static void on_accepted(void *arg, struct tcp *tcp)
{
    struct transport *t = arg;
    struct gossip_addr remote = from_addr(tcp_remote(tcp));
    struct conn *c = conn_new(t, with_tls(t) ? CONN_FRAMES : CONN_STREAM, remote);
    c->tcp = tcp;
    tcp_set_events(tcp, &conn_events, c);
    if (!with_tls(t))
        become_stream(c);
}

static struct tls_server *on_tls(void *arg)
{
    struct transport *t = arg;
    return tls_server_retain(t->options.tls_server);
}

static void on_packet(void *arg, const struct addr *from, struct str bytes)
{
    struct transport *t = arg;
    t->options.packet(t->options.arg, from_addr(from), bytes);
}

/* Both on one port. With port 0 the listener picks one, which may be taken for datagrams: then another. */
static bool bind_both(struct transport *t, const struct addr *at, struct err *err)
{
    struct tcp_listener_options options = {
        .accepted = on_accepted,
        .arg = t,
        .tls = with_tls(t) ? on_tls : NULL,
        .deadline_ms = t->options.timeout_ms,
        .connections_max = with_tls(t) ? CONNECTIONS_TLS : CONNECTIONS_PLAIN,
    };
    for (int tries = 0; tries < (at->port == 0 ? BIND_TRIES : 1); tries++) {
        t->listener = tcp_listen(t->options.loop, at, &options, err);
        if (!t->listener)
            return false;
        t->address = from_addr(tcp_listener_address(t->listener));
        if (with_tls(t))
            return true;
        struct addr same = to_addr(t->address);
        same.ip = at->ip;
        t->udp = udp_open(t->options.loop, &same, UDP_RECEIVE_BYTES, on_packet, t, err);
        if (t->udp)
            return true;
        tcp_listener_free(t->listener);
        t->listener = NULL;
    }
    return false;
}

struct transport *transport_open(const struct transport_options *options, struct err *err)
{
    ASSERT((options->tls_client == NULL) == (options->tls_server == NULL));
    struct transport *t = MEM_NEW(struct transport);
    t->options = *options;
    if (options->tls_client) {
        t->options.tls_client = tls_client_retain(options->tls_client);
        t->options.tls_server = tls_server_retain(options->tls_server);
    }
    t->next_stream = 2;
    struct addr at = { .port = options->bind.port };
    bool ok;
    if (options->bind.ip_bytes != 0) {
        at = to_addr(options->bind);
        ok = bind_both(t, &at, err);
    } else {
        struct err v4;
        at.ip = (struct ip){ .n = 16 }; /* [::], which takes IPv4 as well; a machine without IPv6 has only the other */
        ok = bind_both(t, &at, err);
        at.ip.n = 4;
        if (!ok)
            ok = bind_both(t, &at, &v4);
    }
    if (!ok) {
        transport_free(t);
        return NULL;
    }
    (void)gossip_addr_text(t->address, t->from);
    return t;
}

void transport_free(struct transport *t)
{
    if (!t)
        return;
    while (t->conns)
        conn_free(t->conns);
    tcp_listener_free(t->listener);
    udp_close(t->udp);
    map64_deinit(&t->streams);
    map_deinit(&t->pool);
    buf_deinit(&t->frame);
    if (t->options.tls_client) {
        tls_client_release(t->options.tls_client);
        tls_server_release(t->options.tls_server);
    }
    mem_free(t);
}

struct gossip_addr transport_address(const struct transport *t)
{
    return t->address;
}

void transport_set_tls(struct transport *t, struct tls_client *client, struct tls_server *server)
{
    if (!with_tls(t))
        return;
    tls_client_release(t->options.tls_client);
    tls_server_release(t->options.tls_server);
    t->options.tls_client = tls_client_retain(client);
    t->options.tls_server = tls_server_retain(server);
}

/* ---- packets ---------------------------------------------------------------------------------------------------------------- */

static void pool_make_room(struct transport *t)
{
    if (t->pool.count < POOL_MAX)
        return;
    struct conn *c, *oldest = NULL;
    for (size_t at = 0; (c = map_next(&t->pool, &at)) != NULL;)
        if (!oldest || c->used < oldest->used)
            oldest = c;
    conn_free(oldest); /* T4 */
}

static struct conn *pool_conn(struct transport *t, struct gossip_addr to)
{
    char key[20] = { 0 };
    memcpy(key, to.ip, to.ip_bytes);
    key[16] = (char)to.ip_bytes;
    key[17] = (char)(to.port >> 8);
    key[18] = (char)(to.port & 0xff);
    struct conn *c = map_get(&t->pool, str_of(key, sizeof key));
    if (!c) {
        pool_make_room(t);
        c = conn_new(t, CONN_POOL, to);
        memcpy(c->key, key, sizeof key);
        map_put(&t->pool, str_of(c->key, sizeof c->key), c);
        conn_dial(c, POOL_WRITE_BYTES);
    }
    c->used = ++t->sends;
    return c;
}

void transport_send(struct transport *t, struct gossip_addr to, struct str packet)
{
    if (!with_tls(t)) {
        struct addr dest = to_addr(to);
        struct err err;
        if (!udp_send(t->udp, &dest, packet, &err) && err.code != ERR_UNAVAILABLE)
            t->options.packet_failed(t->options.arg, to);
        return;
    }
    buf_reset(&t->frame);
    tls_frame_write_packet(&t->frame, str_c(t->from), packet);
    ASSERT(t->frame.n <= TLS_RECORD_BYTES_MAX); /* T2: packets keep to their budget */
    if (tcp_write(pool_conn(t, to)->tcp, buf_view(&t->frame)))
        counter_add(&t->options.stats->tls_packet_bytes_sent, packet.n);
    else
        counter_add(&t->options.stats->tls_write_errors_packet, 1);
}

/* ---- streams ------------------------------------------------------------------------------------------------------------------ */

void transport_dial(struct transport *t, uint64_t stream, struct gossip_addr to)
{
    struct conn *c = conn_new(t, CONN_STREAM, to);
    c->stream = stream;
    map64_put(&t->streams, stream, c);
    conn_dial(c, STREAM_WRITE_BYTES);
}

void transport_write(struct transport *t, uint64_t stream, struct str bytes)
{
    struct conn *c = map64_get(&t->streams, stream);
    if (c)
        conn_write(c, bytes);
}

void transport_close(struct transport *t, uint64_t stream)
{
    struct conn *c = map64_get(&t->streams, stream);
    if (!c)
        return;
    conn_forget(c);
    c->kind = CONN_DRAINING;
    tcp_set_deadline(c->tcp, mono_add(loop_now(t->options.loop), t->options.timeout_ms));
    tcp_end(c->tcp);
}

void transport_abort(struct transport *t, uint64_t stream)
{
    struct conn *c = map64_get(&t->streams, stream);
    if (c)
        conn_free(c);
}
