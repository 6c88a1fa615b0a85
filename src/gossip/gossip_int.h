/* The inside of the mesh, shared by this folder's files.
 *
 *   gossip.c   life cycle, events, timers          members.c  alive, suspect, dead, refute, suspicion, reaping
 *   probe.c    probe, relay, acks                   spread.c   gossip tick, sending at once, packets
 *   exchange.c streams: push/pull, pings, user      outbox.c   messages by TCP, one member's after another
 *
 * One step at a time is in progress; g->now and g->out belong to it. */
#ifndef TOCSIN_GOSSIP_GOSSIP_INT_H
#define TOCSIN_GOSSIP_GOSSIP_INT_H

#include "gossip/gossip.h"
#include "gossip/limits.h"
#include "gossip/message_int.h"
#include "gossip/packet_int.h"
#include "gossip/queue_int.h"

#include "base/heap.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"

#include <stdarg.h>
#include <stdio.h>

#define RETRANSMIT_MULT   4
#define SUSPICION_MULT    4
#define SUSPICION_MAX_MULT 6
#define INDIRECT_CHECKS   3
#define HEALTH_MAX        7
#define GOSSIP_TO_DEAD_MS 30000
#define LEAVE_MS          10000
#define PUSH_PULL_SCALE   32 /* nodes, above which push/pulls become rarer */

struct gtimer {
    struct timer_entry entry;
    void (*fire)(struct gossip *g, struct gtimer *t);
};
static inline void gtimer_in(struct timer_heap *h, struct gtimer *t, mono_ms now, int64_t ms)
{
    timer_arm(h, &t->entry, mono_add(now, ms < 0 ? 0 : ms));
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

struct suspicion {
    struct gtimer timer;
    struct node *node;
    mono_ms start;
    int64_t min_ms, max_ms;
    unsigned k, n;        /* confirmations expected, had */
    uint64_t from[SUSPICION_MULT]; /* hashes of the accusers' names, the first one included */
    unsigned from_count;
};

struct blob;
struct outbox {
    struct blob **ring; /* GOSSIP_OUTBOX_MAX */
    size_t head, count;
    unsigned streams;
};

/* Few nodes have one of these at a time. */
struct node_extra {
    struct suspicion *suspicion;
    struct outbox outbox;
};

struct node {
    struct gossip_addr addr;
    uint8_t vsn[VSN_BYTES];
    uint8_t state; /* enum gossip_state */
    uint8_t name_bytes;
    bool tocsin;
    bool ended; /* refused a stream since it was heard of last: a process that is only paused would not */
    uint16_t meta_bytes;
    uint32_t incarnation;
    uint32_t at; /* in g->nodes */
    char *meta;  /* own memory, or g->meta when it is the same */
    mono_ms changed; /* when the state became what it is */
    struct node_extra *extra;
    char name[];
};
static inline struct str node_name(const struct node *n)
{
    return str_of(n->name, n->name_bytes);
}
static inline struct str node_meta(const struct node *n)
{
    return str_of(n->meta ? n->meta : "", n->meta_bytes);
}
static inline bool node_is_member(const struct node *n)
{
    return n->state == GOSSIP_ALIVE || n->state == GOSSIP_SUSPECT;
}

/* ---- probe ------------------------------------------------------------------------------------------------------- */

enum probe_phase { PROBE_IDLE, PROBE_DIRECT, PROBE_INDIRECT };

struct probe {
    enum probe_phase phase;
    struct gtimer timer; /* of the phase */
    struct gtimer tick;
    bool tick_missed;
    bool health_kept; /* the write failed: success leaves the health as it is */
    size_t index;     /* next in the node list */
    struct node *node;
    uint32_t seq;
    mono_ms sent, deadline;
    unsigned nacks_expected, nacks;
    uint64_t stream; /* of the TCP ping; 0: none */
    bool tcp_acked;
};

struct relay { /* an indirect ping that we make for another */
    struct gtimer timer;
    struct relay *next;
    uint32_t seq, their_seq;
    bool nack, piggyback;
    struct gossip_addr to;
};

/* ---- streams ------------------------------------------------------------------------------------------------------ */

enum stream_role { STREAM_ACCEPTED, STREAM_PUSH_PULL, STREAM_PING, STREAM_USER };
enum stream_phase {
    STREAM_DIALLING, /* ours: waiting for OPENED */
    STREAM_STATE,    /* waiting for the owner's state */
    STREAM_READING,  /* waiting for the other side's bytes */
};

struct stream {
    uint64_t id;
    enum stream_role role;
    enum stream_phase phase;
    struct gtimer timer;
    struct gossip_addr addr;
    struct stream_reader reader;
    bool join;      /* push/pull by GOSSIP_JOIN: tell tag how it went */
    bool own;       /* push/pull: tocsin's own keys go along */
    bool accepted_push_pull; /* counts in g->push_pulls */
    uint64_t tag;
    mono_ms start;
    struct blob *blob;  /* STREAM_USER */
    struct node *node;  /* STREAM_USER: whose outbox; NULL once reaped */
};

/* A message by TCP to several members: sealed once, counted. */
struct blob {
    unsigned refs;
    struct str key;   /* for the metrics */
    struct buf bytes; /* what is written on the stream */
};

/* ---- user messages that wait to be sent at once -------------------------------------------------------------------- */

#define BATCH_KEY GOSSIP_OWN_PREFIX "batch" /* a Part whose data is a FullState of several, between tocsin nodes by TCP */

struct fresh {
    struct str key, data; /* behind the struct */
    bool bulk;            /* goes by TCP; set when it is sent */
};
struct fresh_list {
    struct fresh **items;
    size_t count, capacity, bytes;
};

/* ---- the mesh -------------------------------------------------------------------------------------------------------- */

struct gossip {
    struct gossip_config config; /* texts are copies */
    struct gossip_stats *stats;
    struct seal seal;
    struct rng rng;
    uint64_t hash_seed;

    mono_ms now;            /* of the step */
    struct gossip_out *out; /* of the step; NULL outside */
    struct timer_heap timers;

    struct node **nodes;
    size_t nodes_count, nodes_capacity, members_count;
    struct map by_name;
    struct node *self;
    uint32_t seq, incarnation;
    unsigned health;
    unsigned gossip_nodes;

    struct queue membership, user;
    struct fresh_list fresh, own; /* upstream's keys, tocsin's own */
    struct gtimer flush_timer;
    mono_ms flushed_at;

    struct gtimer gossip_timer, push_pull_timer, prune_timer, leave_timer;
    mono_ms gossip_beat; /* one of the moments to gossip at; the others are whole intervals away */
    struct probe probe;
    struct relay *relays;
    size_t relays_count;

    struct map64 streams; /* by id */
    uint64_t next_stream;
    size_t streams_accepted, push_pulls, user_streams, stream_bytes;
    size_t blob_bytes;

    bool started, leaving, left;
    bool state_warned;
    unsigned replies; /* to the packet in hand */
    struct gossip_addr packet_from;
    double stranger_tokens, heal_tokens;
    mono_ms stranger_at, heal_at;

    struct packet_scratch scratch;
    struct packet_parts parts;
    struct buf message, packet, body; /* scratch */
};

/* out.c */
void out_begin(struct gossip *g, struct gossip_out *out);
void out_end(struct gossip *g);
struct gossip_effect *effect_add(struct gossip *g, enum gossip_effect_kind kind);
struct str effect_bytes(struct gossip *g, struct str s);
void effect_log(struct gossip *g, enum log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* members.c */
struct node *node_find(const struct gossip *g, struct str name);
struct node *node_by_addr(const struct gossip *g, struct gossip_addr addr); /* a member that lives there; walks */
struct node_extra *node_extra(struct node *n);
void members_start(struct gossip *g);
void members_alive(struct gossip *g, const struct msg_alive *m);
void members_suspect(struct gossip *g, const struct msg_accuse *m);
void members_dead(struct gossip *g, const struct msg_accuse *m);
void members_refused(struct gossip *g, struct gossip_addr addr); /* nobody listens there */
void members_leave(struct gossip *g);
void members_merge(struct gossip *g, struct str nodes);
bool members_compatible(struct gossip *g, struct str nodes, const char **why);
void members_reap(struct gossip *g);
void members_shuffle(struct gossip *g);
void members_encode(struct gossip *g, struct buf *out); /* node maps of a push/pull */
void members_deinit(struct gossip *g);
/* Up to k random nodes that `accept` takes; returns how many. */
size_t members_pick(struct gossip *g, size_t k, bool (*accept)(const struct gossip *g, const struct node *n, const void *arg),
                    const void *arg, struct node **picked);
uint32_t transmit_limit(unsigned mult, size_t nodes);
void health_add(struct gossip *g, int delta);
void leave_done(struct gossip *g);
int64_t suspicion_timeout_ms(size_t nodes, int64_t probe_interval_ms);
int64_t suspicion_remaining_ms(unsigned n, unsigned k, int64_t elapsed_ms, int64_t min_ms, int64_t max_ms);

/* probe.c */
void probe_start(struct gossip *g);
void probe_ping(struct gossip *g, const struct msg_ping *m);
void probe_indirect_ping(struct gossip *g, const struct msg_indirect_ping *m);
void probe_ack(struct gossip *g, const struct msg_ack *m);
void probe_nack(struct gossip *g, const struct msg_nack *m);
void probe_tcp_result(struct gossip *g, uint64_t stream, bool acked);
void probe_packet_failed(struct gossip *g, struct gossip_addr to);
void probe_deinit(struct gossip *g);

/* spread.c */
void spread_start(struct gossip *g);
void spread_packet(struct gossip *g, struct gossip_addr from, struct str datagram);
/* A message by packet, with what the queues have piggybacked if there is room. */
void spread_send(struct gossip *g, struct gossip_addr to, struct str message, bool piggyback);
/* `plain` as a packet to a node, CRC if it reads that. */
void spread_send_plain(struct gossip *g, struct gossip_addr to, struct str plain, bool crc);
void spread_broadcast(struct gossip *g, struct str key, struct str data, bool relay);
void spread_direct(struct gossip *g, struct str name, struct str key, struct str data);
void spread_user(struct gossip *g, struct gossip_addr from, struct str payload); /* a Part arrived */
void spread_gossip(struct gossip *g);
void spread_arm(struct gossip *g); /* after a step: the next gossip, if anything is queued */
void spread_full_state(struct gossip *g, struct gossip_addr from, struct str state);
void spread_deinit(struct gossip *g);
/* May something be sent to an address that no member has? Takes a token. */
bool spread_stranger(struct gossip *g);

/* exchange.c */
void exchange_start(struct gossip *g);
void exchange_join(struct gossip *g, struct gossip_addr to, uint64_t tag);
/* A node that we had lost is back: compare states now, not when the interval happens to choose it. */
void exchange_heal(struct gossip *g, const struct node *n);
void exchange_compare(struct gossip *g);
void exchange_accepted(struct gossip *g, uint64_t id, struct gossip_addr from);
void exchange_opened(struct gossip *g, uint64_t id);
void exchange_bytes(struct gossip *g, uint64_t id, struct str bytes);
void exchange_eof(struct gossip *g, uint64_t id);
void exchange_closed(struct gossip *g, uint64_t id, struct str why);
void exchange_refused(struct gossip *g, uint64_t id, struct str why);

/* ---- user_state.c --------------------------------------------------------------------------------------------------- */

/* The answer to a push/pull: our FullState, where a part has the same records as theirs without its data. Between nodes that
 * agree, which is nearly always, only one of the two states travels. */
void full_state_answer(struct buf *out, struct str own, struct str theirs, uint64_t seed);
void exchange_state(struct gossip *g, uint64_t tag, struct str state);
/* Opens a TCP ping to the probed node; 0: too many streams. */
uint64_t exchange_ping(struct gossip *g, const struct node *n, uint32_t seq, mono_ms deadline);
void exchange_abort(struct gossip *g, uint64_t id);
bool exchange_user(struct gossip *g, struct node *n, struct blob *b);
void exchange_forget_node(struct gossip *g, const struct node *n);
void exchange_deinit(struct gossip *g);

/* outbox.c */
struct blob *blob_new(struct gossip *g, struct str key, struct str data); /* one reference; NULL: over a bound */
void blob_release(struct gossip *g, struct blob *b);
void outbox_put(struct gossip *g, struct node *n, struct blob *b); /* retains */
void outbox_sent(struct gossip *g, struct node *n, struct blob *b, bool ok, int64_t ms);
size_t outbox_backlog(const struct node *n);
void outbox_drop(struct gossip *g, struct node *n);

/* stats.c */
struct counter *stats_by_key(struct metric_vec *v, struct str key);

#endif
