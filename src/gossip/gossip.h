/* The mesh: who is a member, who is gone, and how (key, bytes) reach every member. This is hashicorp/memberlist's
 * protocol as Alertmanager 0.25 ... 0.34 speak it, as a pure core: events with a time go in, effects come out. It
 * knows nothing of silences or alerts; it carries bytes under keys.
 *
 * Shape: the edge (gossip_io.c) or a simulator calls gossip_step() for each thing that happened, performs what was
 * appended to `out`, and calls again with GOSSIP_TIMER at gossip_deadline(). No clock is read, no socket touched; all
 * randomness comes from the seed, nonces of encrypted packets apart.
 *
 * Keys. "sil" and "nfl" are upstream's and go to every member. A key that starts with GOSSIP_OWN_PREFIX is tocsin's:
 * it goes only to members whose Meta says tocsin, directly, and into push/pull only between such members.
 *
 * Bounds (limits.h): nodes, streams, stream bytes, queues, decompressed sizes, nesting. What is over a bound is
 * dropped and counted, never fatal. Bytes from outside are never asserted on.
 *
 * Ownership: gossip_new copies its configuration; event bytes are borrowed for the call; effect bytes are valid until
 * the next gossip_step() or gossip_out_reset(). Thread: the mesh thread. Times: monotonic ms.
 * Upstream: memberlist state.go, net.go, queue.go, suspicion.go, awareness.go; alertmanager cluster/delegate.go. */
#ifndef TOCSIN_GOSSIP_GOSSIP_H
#define TOCSIN_GOSSIP_GOSSIP_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GOSSIP_OWN_PREFIX  "tocsin." /* keys of tocsin's own start with it */
#define GOSSIP_META        "tc\1"    /* first bytes of a tocsin node's Meta; the third is the version of what is ours */
#define GOSSIP_META_BYTES  3

/* What a peer said is passed on, unchanged and once, if it was news here and not longer than this in all: longer data came
 * by TCP to everybody already. */
#define GOSSIP_RELAY_BYTES_MAX 700

/* ---- addresses ------------------------------------------------------------------------------------------------- */

struct gossip_addr {
    uint8_t ip[16];   /* the first ip_bytes count; kept as received, so 4 and v4-in-16 differ, as upstream's do */
    uint8_t ip_bytes; /* 4 or 16; 0: none */
    uint16_t port;
};

#define GOSSIP_ADDR_TEXT_MAX 64 /* "[v6]:port" and its NUL */

bool gossip_addr_eq(struct gossip_addr a, struct gossip_addr b);
struct gossip_addr gossip_addr_v4(uint32_t ip_host_order, uint16_t port);
/* "1.2.3.4:9094", "[::1]:9094": a literal IP and a port. IPv4 and v4-mapped forms give 4 bytes. */
MUST_CHECK bool gossip_addr_parse(struct str text, struct gossip_addr *addr);
/* Go's IP.String() and a port; the result points into `text`. */
struct str gossip_addr_text(struct gossip_addr addr, char text[GOSSIP_ADDR_TEXT_MAX]);

/* ---- keys for encryption ---------------------------------------------------------------------------------------- */

/* Ordered keys of 16, 24 or 32 bytes; the first encrypts, all decrypt. Immutable once made; the mesh is handed a new
 * one to rotate. The bytes are wiped when freed. */
struct gossip_keyring;

/* A key file: one base64 key a line, first = primary; blank lines and # lines skipped. ERR_INVALID names the line:
 * duplicates, other lengths, bad base64, no key at all. */
MUST_CHECK struct gossip_keyring *gossip_keyring_parse(struct str file, struct err *err);
MUST_CHECK struct gossip_keyring *gossip_keyring_of(const struct str *keys, size_t count, struct err *err);
size_t gossip_keyring_count(const struct gossip_keyring *k);
void gossip_keyring_free(struct gossip_keyring *k);

/* ---- configuration ---------------------------------------------------------------------------------------------- */

struct gossip_config {
    struct str name;              /* of this node, 1 ... 255 bytes of UTF-8 */
    struct gossip_addr advertise; /* what others dial; its port is the default for records without one */
    struct str meta;              /* GOSSIP_META, or empty to look like an upstream node; at most 512 bytes */
    struct str label;             /* at most 255 bytes */
    uint64_t seed;
    size_t peers_configured; /* number of --cluster.peer: sets gossip nodes and the user messages' retransmits */
    int64_t gossip_interval_ms, probe_interval_ms, probe_timeout_ms, pushpull_interval_ms, tcp_timeout_ms;
    struct gossip_keyring *keyring; /* taken over; NULL: no encryption */
    void (*nonce)(void *arg, uint8_t nonce[12]); /* unpredictable is not needed, never repeated is; with a keyring */
    void *nonce_arg;
};
/* The flags' defaults (spec 11); name, addresses, label and seed are the caller's to set. */
struct gossip_config gossip_config_default(void);

/* ---- statistics ------------------------------------------------------------------------------------------------- */

struct gossip_stats {
    struct gauge enabled, members, health_score, messages_queued;
    struct counter messages_pruned, name_conflicts;
    struct counter received_full, received_update, received_size_full, received_size_update;
    struct counter sent_full, sent_update, sent_size_full, sent_size_update;
    struct metric_vec *alive_messages, *pings_seconds, *peer_info;
    struct metric_vec *oversized_sent, *oversized_failed, *oversized_dropped, *oversize_seconds;
    struct counter packets_received, packets_sent, packets_dropped_label, packets_dropped_crypt, packets_dropped_bad;
    struct counter streams_dropped_label, streams_dropped_crypt, streams_dropped_bad, streams_refused;
    struct counter nodes_refused, merges_refused, outbox_dropped;
};
extern const struct metric_desc gossip_metrics[];
extern const size_t gossip_metrics_count;
void gossip_stats_init(struct gossip_stats *s); /* creates the vectors and the children that exist from the start */
void gossip_stats_deinit(struct gossip_stats *s);

/* ---- events ------------------------------------------------------------------------------------------------------ */

enum gossip_event_kind {
    GOSSIP_START,           /* once, first */
    GOSSIP_TIMER,           /* gossip_deadline() has come */
    GOSSIP_PACKET,          /* bytes from addr */
    GOSSIP_PACKET_FAILED,   /* a datagram to addr could not be sent */
    GOSSIP_STREAM_ACCEPTED, /* stream (even, never reused) from addr */
    GOSSIP_STREAM_OPENED,   /* a dial worked */
    GOSSIP_STREAM_BYTES,    /* bytes arrived on stream */
    GOSSIP_STREAM_EOF,      /* the other side will send no more */
    GOSSIP_STREAM_CLOSED,   /* stream is gone, or could not be dialled; bytes = why (empty: normal) */
    GOSSIP_STREAM_REFUSED,  /* as CLOSED: the dial was refused, so nobody listens at the address */
    GOSSIP_BROADCAST,       /* key, bytes: tell everyone. Under upstream's keys one length-delimited record; under our
                             * own any message. relay: heard from a peer, pass it on unchanged */
    GOSSIP_SEND,            /* key, bytes: tell the node `name` only, which must be a tocsin */
    GOSSIP_STATE,           /* answer to GOSSIP_NEED_STATE `tag`: bytes = a serialised FullState */
    GOSSIP_JOIN,            /* push/pull with addr, Join = true; answered by GOSSIP_JOINED `tag` */
    GOSSIP_COMPARE,         /* push/pull with the members that are no tocsin, and some that are: what was missed is needed now */
    GOSSIP_LEAVE,           /* say good-bye; answered by GOSSIP_LEFT */
    GOSSIP_KEYRING,         /* keyring replaces the present one (taken over) */
};

struct gossip_event {
    enum gossip_event_kind kind;
    bool relay;
    struct gossip_addr addr;
    uint64_t stream, tag;
    struct str key, name, bytes;
    struct gossip_keyring *keyring;
};

/* ---- effects ----------------------------------------------------------------------------------------------------- */

enum gossip_effect_kind {
    GOSSIP_SEND_PACKET,    /* bytes to addr, from the bound socket */
    GOSSIP_DIAL,           /* open `stream` (odd) to addr; answer with OPENED or CLOSED */
    GOSSIP_WRITE,          /* bytes on stream */
    GOSSIP_CLOSE,          /* when what was written has gone out, shut the stream; no further events about it */
    GOSSIP_ABORT,          /* at once; no further events about it */
    GOSSIP_DELIVER,        /* key, bytes from addr; full: part of a push/pull, else a user message */
    GOSSIP_NEED_STATE,     /* answer with GOSSIP_STATE `tag`; own: include tocsin's own keys */
    GOSSIP_MEMBER_JOINED,  /* name, addr, bytes = Meta, tocsin; self counts */
    GOSSIP_MEMBER_LEFT,    /* name, addr, tocsin; dead: by failure, and its process may run still, only paused or cut off;
                            * else it said good-bye, or nobody listens at its address any more */
    GOSSIP_MEMBER_ENDED,   /* name: of one that left dead is now known that its process does not run */
    GOSSIP_MEMBER_UPDATED, /* Meta or address changed */
    GOSSIP_JOINED,         /* tag, ok; bytes = why not */
    GOSSIP_LEFT,           /* the good-bye is out, or its time is over */
    GOSSIP_LOG,            /* level, bytes: worth a line */
};

struct gossip_effect {
    enum gossip_effect_kind kind;
    enum log_level level;
    bool ok, own, full, dead, tocsin, is_self;
    struct gossip_addr addr;
    uint64_t stream, tag;
    struct str key, name, bytes;
};

/* What must happen, in order. Zero-initialised is empty. */
struct gossip_out {
    struct gossip_effect *effects;
    size_t count, capacity;
    struct buf bytes; /* what effects point into */
};
void gossip_out_reset(struct gossip_out *out); /* keeps capacity */
void gossip_out_deinit(struct gossip_out *out);

/* ---- life cycle --------------------------------------------------------------------------------------------------- */

struct gossip;

/* stats must outlive the mesh and may be shared by several of them on one thread; zeroed instead of initialised, it
 * goes without the vectors (simulations). ERR_INVALID: name, meta, label or
 * address out of range. */
MUST_CHECK struct gossip *gossip_new(const struct gossip_config *config, struct gossip_stats *stats, struct err *err);
void gossip_free(struct gossip *g);

/* Advance the mesh by one event at `now`, which never goes back. Appends to `out` what must happen next. Never blocks;
 * bounded work. */
void gossip_step(struct gossip *g, mono_ms now, const struct gossip_event *ev, struct gossip_out *out);

/* When gossip_step() wants to be called again even if nothing arrives; the past means at once. */
mono_ms gossip_deadline(const struct gossip *g);

/* ---- queries ------------------------------------------------------------------------------------------------------- */

enum gossip_state { GOSSIP_ALIVE, GOSSIP_SUSPECT, GOSSIP_DEAD, GOSSIP_GONE /* left */ };

struct gossip_member {
    struct str name, meta; /* valid until the next step */
    struct gossip_addr addr;
    enum gossip_state state;
    uint32_t incarnation;
    bool tocsin, is_self;
};
size_t gossip_nodes_count(const struct gossip *g);   /* the whole list, dead and left ones not yet reaped included */
size_t gossip_members_count(const struct gossip *g); /* not dead, not left; self counts */
/* i < gossip_nodes_count(), in no particular order. */
void gossip_node_at(const struct gossip *g, size_t i, struct gossip_member *m);
unsigned gossip_health(const struct gossip *g);         /* 0 good ... 7 */
size_t gossip_queued_count(const struct gossip *g);     /* user messages waiting for the gossip tick */

/* ---- user state framing (spec 13) ---------------------------------------------------------------------------------- */

/* Part {1 key, 2 data}. */
void gossip_part_encode(struct buf *out, struct str key, struct str data);
MUST_CHECK bool gossip_part_decode(struct str part, struct str *key, struct str *data);
/* Appends one part to a FullState; an empty FullState is an empty buffer. */
void gossip_full_state_add(struct buf *out, struct str key, struct str data);
/* Walks a FullState: cut one part off *rest. False at the end; *bad is set if the rest does not decode. */
MUST_CHECK bool gossip_full_state_next(struct str *rest, struct str *key, struct str *data, bool *bad);

bool gossip_key_is_own(struct str key);

#endif
