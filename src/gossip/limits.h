/* Bounds of the mesh. Upstream's own numbers where it has them; the rest keep a hostile packet from costing more than a
 * friendly one. */
#ifndef TOCSIN_GOSSIP_LIMITS_H
#define TOCSIN_GOSSIP_LIMITS_H

/* Nodes. 8192 is eight times the largest mesh that design.md 8 promises. */
#define GOSSIP_NODES_MAX       8192
#define GOSSIP_NAME_BYTES_MAX  255
#define GOSSIP_META_BYTES_MAX  512 /* memberlist MetaMaxSize */
#define GOSSIP_LABEL_BYTES_MAX 255

/* Packets. 1400 is memberlist's UDPBufferSize; 127 parts are what memberlist before 0.2.4 reads right. */
#define GOSSIP_PACKET_BUDGET    1400
#define GOSSIP_PACKET_BYTES_MAX 65536
#define GOSSIP_PARTS_MAX        127
#define GOSSIP_NEST_MAX         4     /* compound and compress inside each other */
#define GOSSIP_INFLATED_MAX     65536 /* all that one packet may unpack to */
#define GOSSIP_REPLIES_MAX      8     /* pings of one packet that are answered */

/* Streams. memberlist 0.6.0 refuses user states over 20 MiB; we take twice that, as 2 x 20 MiB is what later code
 * inflates to. Above GOSSIP_COMPRESS_MAX we send uncompressed, which every version reads: LZW of 20 MiB would hold the
 * mesh thread for a third of a second. */
#define GOSSIP_STREAMS_MAX      128
#define GOSSIP_STREAM_BYTES_MAX (40u << 20)
#define GOSSIP_STREAMS_BYTES_MAX (256u << 20) /* all streams together */
#define GOSSIP_COMPRESS_MAX     (256u << 10)
#define GOSSIP_STATE_NODES_MAX  1048576 /* of the header; a list that long is refused for its size anyway */
#define GOSSIP_STATE_WARN_BYTES (12u << 20) /* 60 % of what upstream takes */
#define GOSSIP_STATE_BYTES_MAX  (20u << 20)

/* User messages. 700 = 1400 / 2 is upstream's line between gossip and TCP; 4096 and 15 min its pruning. */
#define GOSSIP_OVERSIZE_BYTES 700
#define GOSSIP_QUEUE_PRUNE    4096
#define GOSSIP_PRUNE_MS       (15 * 60 * 1000)
#define GOSSIP_QUEUE_MAX      16384 /* past it the most transmitted goes at once */
#define GOSSIP_QUEUE_BYTES_MAX (32u << 20)

/* Fresh changes are sent at once to this many members (all, in any usual cluster), in at most this many packets;
 * more than that goes by TCP, in Parts of about this size. */
#define GOSSIP_DIRECT_MEMBERS 32
#define GOSSIP_DIRECT_PACKETS 4
#define GOSSIP_TICK_PACKETS   4 /* packets to one node in one gossip tick while the queue is long */
#define GOSSIP_BULK_BYTES     (256u << 10)
#define GOSSIP_FLUSH_GAP_MS   10
#define GOSSIP_FLUSH_SLOW_MS  200 /* between flushes while members lag behind */

/* Outboxes: messages by TCP that wait for one member (200: upstream's oversize queue). */
#define GOSSIP_OUTBOX_MAX       200
#define GOSSIP_OUTBOX_STREAMS   4
#define GOSSIP_OUTBOX_BYTES_MAX (64u << 20) /* of all different messages that wait */
#define GOSSIP_DIALS_MAX        512         /* outgoing user streams at once, all members together */

#define GOSSIP_RELAYS_MAX       256 /* indirect pings in progress */
#define GOSSIP_STRANGERS_PER_S  20  /* replies to addresses that nobody is known to have */

/* Extra push/pulls with members that were lost and are back: so many at once, and one more each so often. */
#define GOSSIP_HEALS_BURST    3
#define GOSSIP_HEALS_EVERY_MS 5000

/* Push/pulls of one comparison: with upstream members, of which each may have told only another one, and with tocsin members,
 * which have told everybody. */
#define GOSSIP_COMPARES_UPSTREAM 8
#define GOSSIP_COMPARES_TOCSIN   2
#define GOSSIP_COMPARE_MS        1500 /* so long one is taken to be under way */
/* The mesh with upstream members in which what they say is passed on to everybody at once. Upstream itself sends a record three
 * times in all, to whomever: in a mesh of three one of eight records does not come straight. */
#define GOSSIP_RELAY_MEMBERS 8

#endif
