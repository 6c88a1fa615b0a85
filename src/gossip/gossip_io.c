/* The mesh's edge: sockets, names and a timer around gossip_step() and peer_step(). Read, step, perform, arm one timer.
 *
 * I1  Effects are performed in order, after the step that made them has returned. What performing causes (a peer that asks
 *     for a join) is another step, with a list of effects of its own.
 * I2  Commands of other threads come as mail, in the order of each sender; the answer to need_state is never refused.
 * I3  After gossip_io_free() nothing is called back. */
#include "gossip/gossip_io.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"
#include "crypto/aead.h"
#include "crypto/ids.h"
#include "gossip/transport_int.h"
#include "http/ip.h"
#include "io/clock_io.h"
#include "io/dns.h"
#include "io/loop.h"
#include "io/mailbox.h"
#include "io/netif.h"
#include "io/tls.h"

#include <stdio.h>

#define MAIL_MAX 65536 /* commands that wait; past it a broadcast is refused and push/pull repairs */
#define NAME_JOIN_TAG (UINT64_C(1) << 63) /* joins made for PEER_JOIN_NAME; the peer layer's own tags are small */

#define S struct gossip_io_stats
const struct metric_desc gossip_io_metrics[] = {
    METRIC(COUNTER, S, tls_packet_bytes_sent, "alertmanager_tls_transport_packet_bytes_sent_total",
           "The number of packet bytes sent to outgoing connections (excluding internal metadata)."),
    METRIC(COUNTER, S, tls_packet_bytes_received, "alertmanager_tls_transport_packet_bytes_received_total",
           "The number of packet bytes received from incoming connections (excluding internal metadata)."),
    METRIC(COUNTER, S, tls_streams_sent, "alertmanager_tls_transport_stream_connections_sent_total",
           "The number of stream connections sent."),
    METRIC(COUNTER, S, tls_streams_received, "alertmanager_tls_transport_stream_connections_received_total",
           "The number of stream connections received."),
    METRIC(COUNTER, S, tls_read_errors, "alertmanager_tls_transport_read_errors_total",
           "The number of errors encountered while reading from incoming connections."),
    METRIC(COUNTER, S, tls_write_errors_packet, "alertmanager_tls_transport_write_errors_total",
           "The number of errors encountered while writing to outgoing connections.", "connection_type=packet"),
    METRIC(COUNTER, S, tls_write_errors_stream, "alertmanager_tls_transport_write_errors_total",
           "The number of errors encountered while writing to outgoing connections.", "connection_type=stream"),
};
#undef S
const size_t gossip_io_metrics_count = ARRAY_LEN(gossip_io_metrics);

enum io_mail_kind { MAIL_BROADCAST, MAIL_RELAY, MAIL_SEND, MAIL_STATE, MAIL_COMPARE, MAIL_LEAVE, MAIL_KEYRING, MAIL_TLS };

struct io_mail {
    struct mail mail;
    enum io_mail_kind kind;
    uint64_t tag;
    struct str name, key, bytes; /* behind the struct, but for a state's bytes */
    struct buf state;
    struct gossip_keyring *keyring;
    struct tls_client *client;
    struct tls_server *server;
};

struct lookup { /* a name that is being looked up */
    struct gossip_io *io;
    struct lookup *next, *prev;
    struct dns_lookup *handle;
    uint64_t peer_tag;
    bool join; /* then join every address, and answer once */
};

struct name_join {
    uint64_t peer_tag;
    size_t waiting;
    bool ok;
    char why[200]; /* of the last failure */
};

struct gossip_io {
    struct loop *loop;
    struct gossip_io_events events;
    struct transport *transport;
    struct gossip *gossip;
    struct peer *peer;
    struct dns *dns;
    struct mailbox *mailbox;
    struct loop_timer timer;
    struct gossip_out out;
    struct peer_out peer_out;
    struct lookup *lookups;
    struct map64 name_joins; /* by gossip tag */
    uint64_t next_name_join;
    int64_t resolve_timeout_ms;
    struct gossip_addr advertised;
    char name[256], warning[200];
    size_t name_bytes;
    bool started, told_started, closing;
};

struct gossip_io_options gossip_io_options_default(void)
{
    struct gossip_config g = gossip_config_default();
    struct peer_config p = peer_config_default();
    return (struct gossip_io_options){
        .bind = STR("0.0.0.0:9094"),
        .advertise = STR_EMPTY,
        .name = STR_EMPTY,
        .label = STR_EMPTY,
        .gossip_interval_ms = g.gossip_interval_ms,
        .pushpull_interval_ms = g.pushpull_interval_ms,
        .tcp_timeout_ms = g.tcp_timeout_ms,
        .probe_timeout_ms = g.probe_timeout_ms,
        .probe_interval_ms = g.probe_interval_ms,
        .resolve_timeout_ms = p.resolve_timeout_ms,
        .settle_timeout_ms = p.settle_timeout_ms,
        .reconnect_interval_ms = p.reconnect_interval_ms,
        .reconnect_timeout_ms = p.reconnect_timeout_ms,
    };
}

/* ---- steps ---------------------------------------------------------------------------------------------------------------- */

static void gossip_do(struct gossip_io *io, const struct gossip_event *ev);
static void peer_do(struct gossip_io *io, const struct peer_event *ev);

static void arm(struct gossip_io *io)
{
    mono_ms next = mono_min(gossip_deadline(io->gossip), peer_deadline(io->peer));
    if (next.ms != INT64_MAX)
        loop_timer_at(io->loop, &io->timer, next);
}

static void on_timer(void *arg)
{
    struct gossip_io *io = arg;
    struct gossip_event ev = { .kind = GOSSIP_TIMER };
    gossip_do(io, &ev);
    struct peer_event pev = { .kind = PEER_TIMER };
    if (!mono_before(loop_now(io->loop), peer_deadline(io->peer)))
        peer_do(io, &pev);
    arm(io);
}

static void say(enum log_level level, struct str text)
{
    char line[512];
    size_t n = text.n < sizeof line - 1 ? text.n : sizeof line - 1;
    memcpy(line, text.p, n);
    line[n] = '\0';
    LOG_AT(level, line, LOG_CSTR("component", "cluster"));
}

static void tell_view(struct gossip_io *io)
{
    struct peer_view view;
    peer_view_get(io->peer, &view);
    io->events.view(io->events.arg, &view);
}

static void tell_member(struct gossip_io *io, const struct gossip_effect *e)
{
    struct peer_event ev = { .kind = e->kind == GOSSIP_MEMBER_JOINED ? PEER_MEMBER_JOINED
                                     : e->kind == GOSSIP_MEMBER_LEFT ? PEER_MEMBER_LEFT
                                                                     : PEER_MEMBER_UPDATED,
                             .name = e->name,
                             .addr = e->addr,
                             .dead = e->dead };
    if (io->events.member) /* before the view that has it */
        io->events.member(io->events.arg, e->name, e->kind != GOSSIP_MEMBER_LEFT, e->tocsin, e->is_self);
    peer_do(io, &ev);
    if (!e->is_self)
        LOG_AT(LOG_DEBUG, e->kind == GOSSIP_MEMBER_LEFT ? "NotifyLeave" : "NotifyJoin", LOG_CSTR("component", "cluster"),
               LOG_STR("node", e->name));
}

static void join_answer(struct gossip_io *io, uint64_t tag, bool ok, struct str why)
{
    struct peer_event ev = { .kind = PEER_JOIN_RESULT, .tag = tag, .ok = ok, .bytes = why };
    struct name_join *j = map64_get(&io->name_joins, tag);
    if (j) {
        map64_remove(&io->name_joins, tag);
        j->ok = j->ok || ok;
        if (!ok)
            snprintf(j->why, sizeof j->why, "%.*s", (int)(why.n < 150 ? why.n : 150), why.p);
        if (--j->waiting > 0)
            return;
        ev.tag = j->peer_tag;
        ev.ok = j->ok;
        ev.bytes = str_c(j->why);
        peer_do(io, &ev);
        mem_free(j);
        return;
    }
    peer_do(io, &ev);
}

static void perform(struct gossip_io *io, const struct gossip_effect *e)
{
    switch (e->kind) {
    case GOSSIP_SEND_PACKET:
        transport_send(io->transport, e->addr, e->bytes);
        break;
    case GOSSIP_DIAL:
        transport_dial(io->transport, e->stream, e->addr);
        break;
    case GOSSIP_WRITE:
        transport_write(io->transport, e->stream, e->bytes);
        break;
    case GOSSIP_CLOSE:
        transport_close(io->transport, e->stream);
        break;
    case GOSSIP_ABORT:
        transport_abort(io->transport, e->stream);
        break;
    case GOSSIP_DELIVER:
        io->events.deliver(io->events.arg, e->key, e->bytes, e->full);
        break;
    case GOSSIP_NEED_STATE:
        io->events.need_state(io->events.arg, e->tag, e->own);
        break;
    case GOSSIP_MEMBER_JOINED:
    case GOSSIP_MEMBER_LEFT:
    case GOSSIP_MEMBER_UPDATED:
        tell_member(io, e);
        break;
    case GOSSIP_MEMBER_ENDED: {
        struct peer_event ended = { .kind = PEER_MEMBER_ENDED, .name = e->name };
        peer_do(io, &ended);
        break;
    }
    case GOSSIP_JOINED:
        join_answer(io, e->tag, e->ok, e->bytes);
        break;
    case GOSSIP_LEFT:
        if (io->events.left)
            io->events.left(io->events.arg);
        break;
    case GOSSIP_LOG:
        say(e->level, e->bytes);
        break;
    }
}

static void gossip_do(struct gossip_io *io, const struct gossip_event *ev)
{
    struct gossip_out out = io->out; /* I1 */
    io->out = (struct gossip_out){ 0 };
    gossip_out_reset(&out);
    gossip_step(io->gossip, loop_now(io->loop), ev, &out);
    for (size_t i = 0; i < out.count; i++)
        perform(io, &out.effects[i]);
    gossip_out_deinit(&io->out);
    io->out = out;
    arm(io);
}

/* ---- names ------------------------------------------------------------------------------------------------------------------ */

static void lookup_free(struct lookup *l)
{
    if (l->prev)
        l->prev->next = l->next;
    else
        l->io->lookups = l->next;
    if (l->next)
        l->next->prev = l->prev;
    mem_free(l);
}

static void join_all(struct gossip_io *io, uint64_t peer_tag, const struct gossip_addr *addrs, size_t count, struct str why)
{
    if (count == 0) {
        struct peer_event ev = { .kind = PEER_JOIN_RESULT, .tag = peer_tag, .bytes = why };
        peer_do(io, &ev);
        return;
    }
    struct name_join *j = MEM_NEW(struct name_join);
    j->peer_tag = peer_tag;
    j->waiting = count;
    uint64_t first = io->next_name_join;
    io->next_name_join += count;
    for (size_t i = 0; i < count; i++)
        map64_put(&io->name_joins, NAME_JOIN_TAG | (first + i), j);
    for (size_t i = 0; i < count; i++) {
        struct gossip_event ev = { .kind = GOSSIP_JOIN, .addr = addrs[i], .tag = NAME_JOIN_TAG | (first + i) };
        gossip_do(io, &ev);
    }
}

static void on_resolved(void *arg, const struct addr *addrs, size_t count, const struct err *err)
{
    struct lookup *l = arg;
    struct gossip_io *io = l->io;
    uint64_t tag = l->peer_tag;
    bool join = l->join;
    struct gossip_addr found[PEER_ADDRS_MAX];
    size_t n = 0;
    bool ok = err == NULL || err->code == ERR_NONE;
    for (; ok && n < count && n < PEER_ADDRS_MAX; n++) {
        found[n] = (struct gossip_addr){ .ip_bytes = addrs[n].ip.n, .port = addrs[n].port };
        memcpy(found[n].ip, addrs[n].ip.b, addrs[n].ip.n);
    }
    struct str why = ok ? STR_EMPTY : err_text(err);
    lookup_free(l);
    if (join) {
        join_all(io, tag, found, n, why);
    } else {
        struct peer_event ev = { .kind = PEER_RESOLVED, .tag = tag, .ok = ok, .addrs = found, .addrs_count = n, .bytes = why };
        peer_do(io, &ev);
    }
    arm(io);
}

static void look_up(struct gossip_io *io, const struct peer_effect *e, bool join)
{
    struct lookup *l = MEM_NEW(struct lookup);
    l->io = io;
    l->peer_tag = e->tag;
    l->join = join;
    l->next = io->lookups;
    if (io->lookups)
        io->lookups->prev = l;
    io->lookups = l;
    l->handle = dns_resolve(io->dns, e->host, e->port, mono_add(loop_now(io->loop), io->resolve_timeout_ms), on_resolved, l);
}

static void tell_started(struct gossip_io *io, struct str fatal)
{
    struct err err = { 0 };
    if (io->told_started)
        return;
    io->told_started = true;
    if (fatal.n)
        err_set(&err, ERR_UNAVAILABLE, "%.*s", STR_ARG(fatal));
    if (io->events.started)
        io->events.started(io->events.arg, &err);
}

static void perform_peer(struct gossip_io *io, const struct peer_effect *e)
{
    switch (e->kind) {
    case PEER_RESOLVE:
        look_up(io, e, false);
        break;
    case PEER_JOIN: {
        struct gossip_event ev = { .kind = GOSSIP_JOIN, .addr = e->addr, .tag = e->tag };
        gossip_do(io, &ev);
        break;
    }
    case PEER_JOIN_NAME:
        look_up(io, e, true);
        break;
    case PEER_STARTED:
        tell_started(io, STR_EMPTY);
        break;
    case PEER_READY:
    case PEER_CHANGED:
        tell_view(io);
        break;
    case PEER_FATAL:
        tell_started(io, e->bytes);
        break;
    case PEER_LOG:
        say(e->level, e->bytes);
        break;
    }
}

static void peer_do(struct gossip_io *io, const struct peer_event *ev)
{
    struct peer_out out = io->peer_out; /* I1 */
    io->peer_out = (struct peer_out){ 0 };
    peer_out_reset(&out);
    peer_step(io->peer, loop_now(io->loop), ev, &out);
    for (size_t i = 0; i < out.count; i++)
        perform_peer(io, &out.effects[i]);
    peer_out_deinit(&io->peer_out);
    io->peer_out = out;
}

/* ---- from the transport ------------------------------------------------------------------------------------------------------ */

static void on_packet(void *arg, struct gossip_addr from, struct str bytes)
{
    struct gossip_event ev = { .kind = GOSSIP_PACKET, .addr = from, .bytes = bytes };
    gossip_do(arg, &ev);
}

static void on_packet_failed(void *arg, struct gossip_addr to)
{
    struct gossip_event ev = { .kind = GOSSIP_PACKET_FAILED, .addr = to };
    gossip_do(arg, &ev);
}

static void on_stream(void *arg, enum gossip_event_kind kind, uint64_t stream, struct gossip_addr addr, struct str bytes)
{
    struct gossip_event ev = { .kind = kind, .stream = stream, .addr = addr, .bytes = bytes };
    gossip_do(arg, &ev);
}

/* ---- commands --------------------------------------------------------------------------------------------------------------------- */

static void mail_free(struct io_mail *m)
{
    buf_deinit(&m->state);
    gossip_keyring_free(m->keyring);
    if (m->client) {
        tls_client_release(m->client);
        tls_server_release(m->server);
    }
    mem_free(m);
}

static void leave(struct gossip_io *io)
{
    struct peer_event pev = { .kind = PEER_STOP };
    peer_do(io, &pev);
    struct gossip_event ev = { .kind = GOSSIP_LEAVE };
    gossip_do(io, &ev);
}

static void on_mail(void *arg, struct mail *mail)
{
    struct gossip_io *io = arg;
    struct io_mail *m = container_of(mail, struct io_mail, mail);
    struct gossip_event ev = { .key = m->key, .name = m->name, .bytes = m->bytes, .tag = m->tag };
    if (io->closing) { /* I3 */
        mail_free(m);
        return;
    }
    switch (m->kind) {
    case MAIL_BROADCAST:
    case MAIL_RELAY:
        ev.kind = GOSSIP_BROADCAST;
        ev.relay = m->kind == MAIL_RELAY;
        gossip_do(io, &ev);
        break;
    case MAIL_SEND:
        ev.kind = GOSSIP_SEND;
        gossip_do(io, &ev);
        break;
    case MAIL_STATE:
        ev.kind = GOSSIP_STATE;
        ev.bytes = buf_view(&m->state);
        gossip_do(io, &ev);
        break;
    case MAIL_COMPARE:
        ev.kind = GOSSIP_COMPARE;
        gossip_do(io, &ev);
        break;
    case MAIL_LEAVE:
        leave(io);
        break;
    case MAIL_KEYRING:
        ev.kind = GOSSIP_KEYRING;
        ev.keyring = m->keyring;
        m->keyring = NULL;
        gossip_do(io, &ev);
        break;
    case MAIL_TLS:
        transport_set_tls(io->transport, m->client, m->server);
        break;
    }
    mail_free(m);
}

static struct io_mail *mail_new(enum io_mail_kind kind, struct str name, struct str key, struct str bytes)
{
    struct io_mail *m = mem_alloc(sizeof *m + name.n + key.n + bytes.n);
    char *p = (char *)(m + 1);
    m->kind = kind;
    m->name = str_of(p, name.n);
    m->key = str_of(p + name.n, key.n);
    m->bytes = str_of(p + name.n + key.n, bytes.n);
    if (name.n)
        memcpy(p, name.p, name.n);
    if (key.n)
        memcpy(p + name.n, key.p, key.n);
    if (bytes.n)
        memcpy(p + name.n + key.n, bytes.p, bytes.n);
    return m;
}

static bool post(struct gossip_io *io, struct io_mail *m)
{
    if (mailbox_post(io->mailbox, &m->mail))
        return true;
    mail_free(m);
    return false;
}

bool gossip_io_broadcast(struct gossip_io *io, struct str key, struct str bytes, bool relay)
{
    return post(io, mail_new(relay ? MAIL_RELAY : MAIL_BROADCAST, STR_EMPTY, key, bytes));
}

bool gossip_io_send(struct gossip_io *io, struct str name, struct str key, struct str bytes)
{
    return post(io, mail_new(MAIL_SEND, name, key, bytes));
}

void gossip_io_state_take(struct gossip_io *io, uint64_t tag, struct buf *state)
{
    struct io_mail *m = mail_new(MAIL_STATE, STR_EMPTY, STR_EMPTY, STR_EMPTY);
    m->tag = tag;
    m->state = *state;
    *state = (struct buf){ 0 };
    if (!mailbox_post_answer(io->mailbox, &m->mail)) /* I2: only when all is being closed */
        mail_free(m);
}

bool gossip_io_compare(struct gossip_io *io)
{
    return post(io, mail_new(MAIL_COMPARE, STR_EMPTY, STR_EMPTY, STR_EMPTY));
}

bool gossip_io_leave(struct gossip_io *io)
{
    return post(io, mail_new(MAIL_LEAVE, STR_EMPTY, STR_EMPTY, STR_EMPTY));
}

bool gossip_io_set_keyring(struct gossip_io *io, struct gossip_keyring *keyring)
{
    struct io_mail *m = mail_new(MAIL_KEYRING, STR_EMPTY, STR_EMPTY, STR_EMPTY);
    m->keyring = keyring;
    if (mailbox_post(io->mailbox, &m->mail))
        return true;
    m->keyring = NULL; /* stays the caller's */
    mail_free(m);
    return false;
}

bool gossip_io_set_tls(struct gossip_io *io, struct tls_client *client, struct tls_server *server)
{
    struct io_mail *m = mail_new(MAIL_TLS, STR_EMPTY, STR_EMPTY, STR_EMPTY);
    m->client = tls_client_retain(client);
    m->server = tls_server_retain(server);
    return post(io, m);
}

/* ---- addresses ------------------------------------------------------------------------------------------------------------------------ */

static bool read_bind(struct str text, struct gossip_addr *bind, struct err *err)
{
    struct str host, port;
    const char *why;
    uint64_t n;
    struct ip ip;
    if (!host_port_split(text, &host, &port, &why))
        return err_set(err, ERR_INVALID, "invalid listen address: address %.*s: %s", STR_ARG(text), why);
    if (!num_parse_u64(port, 10, &n) || n > 65535)
        return err_set(err, ERR_INVALID, "invalid listen address: wrong port \"%.*s\"", STR_ARG(port));
    *bind = (struct gossip_addr){ .port = (uint16_t)n };
    if (host.n == 0)
        return true;
    if (!ip_parse(host, &ip))
        return err_set(err, ERR_INVALID, "invalid listen address: \"%.*s\" is not an IP address", STR_ARG(host));
    ip = ip_unmap(&ip);
    bind->ip_bytes = ip.n;
    memcpy(bind->ip, ip.b, ip.n);
    return true;
}

static struct ip ip_of(struct gossip_addr a)
{
    struct ip ip = { .n = a.ip_bytes };
    memcpy(ip.b, a.ip, a.ip_bytes);
    return ip;
}

/* Spec 11: the flag; else the bound address if it is one; else the private address of the default route's interface; else,
 * if allowed, its public one. */
static bool choose_advertise(const struct gossip_io_options *o, struct gossip_addr bound, struct gossip_addr *out, struct err *err)
{
    struct ip ip = ip_of(bound);
    if (o->advertise.n > 0) {
        if (!gossip_addr_parse(o->advertise, out))
            return err_set(err, ERR_INVALID, "invalid advertise address \"%.*s\"", STR_ARG(o->advertise));
        return true;
    }
    *out = bound;
    if (ip.n != 0 && !ip_is_unspecified(&ip))
        return true;
    if (!netif_private_ip(&ip) && !(o->allow_public_advertise && netif_public_ip(&ip)))
        return err_set(err, ERR_UNAVAILABLE,
                       "couldn't deduce an advertise address: no private IP found, explicit advertise addr not provided");
    *out = (struct gossip_addr){ .ip_bytes = ip.n, .port = bound.port };
    memcpy(out->ip, ip.b, ip.n);
    return true;
}

/* Others would be told an address at which they find themselves. */
static void warn_of_loopback(struct gossip_io *io, const struct gossip_io_options *o)
{
    struct ip own = ip_of(io->advertised);
    if (!ip_is_loopback(&own) && !ip_is_unspecified(&own))
        return;
    for (size_t i = 0; i < o->peers_count; i++) {
        struct str host, port;
        const char *why;
        struct ip ip;
        if (!host_port_split(o->peers[i], &host, &port, &why) || str_eq(host, STR("localhost")) ||
            (ip_parse(host, &ip) && (ip_is_loopback(&ip) || ip_is_unspecified(&ip))))
            continue;
        char text[GOSSIP_ADDR_TEXT_MAX];
        snprintf(io->warning, sizeof io->warning,
                 "this node advertises itself on an unroutable address %s, at which peer %.*s will not find it",
                 gossip_addr_text(io->advertised, text).p, (int)(host.n < 60 ? host.n : 60), host.p);
        return;
    }
}

/* ---- life cycle --------------------------------------------------------------------------------------------------------------------------- */

static void fresh_nonce(void *arg, uint8_t nonce[12])
{
    (void)arg;
    crypto_random(nonce, 12);
}

static void choose_name(struct gossip_io *io, struct str name)
{
    if (name.n == 0) {
        uint8_t random[10];
        crypto_random(random, sizeof random);
        ulid_text(clock_wall_ms(), random, io->name);
        io->name_bytes = ULID_TEXT_BYTES;
        return;
    }
    io->name_bytes = name.n < sizeof io->name ? name.n : sizeof io->name - 1;
    memcpy(io->name, name.p, io->name_bytes);
}

static bool open_cores(struct gossip_io *io, const struct gossip_io_options *o, struct gossip_keyring **keyring, struct err *err)
{
    struct gossip_config g = gossip_config_default();
    g.name = gossip_io_name(io);
    g.advertise = io->advertised;
    g.label = o->label;
    g.peers_configured = o->peers_count;
    g.gossip_interval_ms = o->gossip_interval_ms;
    g.probe_interval_ms = o->probe_interval_ms;
    g.probe_timeout_ms = o->probe_timeout_ms;
    g.pushpull_interval_ms = o->pushpull_interval_ms;
    g.tcp_timeout_ms = o->tcp_timeout_ms;
    g.keyring = *keyring;
    g.nonce = fresh_nonce;
    crypto_random(&g.seed, sizeof g.seed);
    io->gossip = gossip_new(&g, o->stats, err);
    if (!io->gossip)
        return false;
    *keyring = NULL;
    struct peer_config p = peer_config_default();
    p.name = gossip_io_name(io);
    p.advertise = io->advertised;
    p.peers = o->peers;
    p.peers_count = o->peers_count;
    p.resolve_timeout_ms = o->resolve_timeout_ms;
    p.gossip_interval_ms = o->gossip_interval_ms;
    p.settle_timeout_ms = o->settle_timeout_ms;
    p.reconnect_interval_ms = o->reconnect_interval_ms;
    p.reconnect_timeout_ms = o->reconnect_timeout_ms;
    p.linger_ms = peer_linger_ms(o->peer_timeout_ms, o->probe_interval_ms);
    io->peer = peer_new(&p, o->peer_stats, err);
    return io->peer != NULL;
}

struct gossip_io *gossip_io_open(const struct gossip_io_options *o, struct err *err)
{
    struct gossip_io *io = MEM_NEW(struct gossip_io);
    struct gossip_keyring *keyring = o->keyring;
    struct gossip_addr bind, bound;
    io->loop = o->loop;
    io->events = o->events;
    io->resolve_timeout_ms = o->resolve_timeout_ms;
    io->timer = (struct loop_timer){ .fire = on_timer, .arg = io };
    choose_name(io, o->name);
    if (!read_bind(o->bind, &bind, err))
        goto bad;
    struct transport_options t = {
        .loop = o->loop,
        .bind = bind,
        .tls_client = o->tls_client,
        .tls_server = o->tls_server,
        .timeout_ms = o->tcp_timeout_ms,
        .stats = o->io_stats,
        .packet = on_packet,
        .packet_failed = on_packet_failed,
        .stream = on_stream,
        .arg = io,
    };
    io->transport = transport_open(&t, err);
    if (!io->transport)
        goto bad;
    bound = bind;
    bound.port = transport_address(io->transport).port;
    if (!choose_advertise(o, bound, &io->advertised, err))
        goto bad;
    if (io->advertised.port == 0)
        io->advertised.port = bound.port;
    warn_of_loopback(io, o);
    if (!open_cores(io, o, &keyring, err))
        goto bad;
    io->dns = dns_new(o->loop);
    io->mailbox = mailbox_new(o->loop, "mesh", MAIL_MAX, o->mailbox_metrics, on_mail, io);
    return io;
bad:
    gossip_keyring_free(keyring);
    gossip_io_free(io);
    return NULL;
}

void gossip_io_start(struct gossip_io *io)
{
    ASSERT(!io->started);
    io->started = true;
    struct gossip_event ev = { .kind = GOSSIP_START };
    gossip_do(io, &ev);
    struct peer_event pev = { .kind = PEER_START };
    peer_do(io, &pev);
    arm(io);
}

void gossip_io_free(struct gossip_io *io)
{
    if (!io)
        return;
    io->closing = true;
    loop_timer_stop(io->loop, &io->timer);
    if (io->mailbox) {
        mailbox_close(io->mailbox);
        mailbox_free(io->mailbox);
    }
    while (io->lookups) {
        dns_cancel(io->lookups->handle);
        lookup_free(io->lookups);
    }
    if (io->dns)
        dns_free(io->dns);
    transport_free(io->transport);
    for (size_t at = 0; map64_next(&io->name_joins, &at) != NULL;) {
        struct name_join *j = map64_get(&io->name_joins, map64_key_at(&io->name_joins, at));
        if (--j->waiting == 0)
            mem_free(j);
    }
    map64_deinit(&io->name_joins);
    gossip_free(io->gossip);
    peer_free(io->peer);
    gossip_out_deinit(&io->out);
    peer_out_deinit(&io->peer_out);
    mem_free(io);
}

struct gossip_addr gossip_io_advertised(const struct gossip_io *io)
{
    return io->advertised;
}

struct str gossip_io_name(const struct gossip_io *io)
{
    return str_of(io->name, io->name_bytes);
}

struct str gossip_io_warning(const struct gossip_io *io)
{
    return str_c(io->warning);
}
