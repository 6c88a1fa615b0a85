/* A broadcast queue (spec 10; memberlist queue.go): messages that still have to be sent a number of times in total,
 * fewest transmissions first, then longest, then newest. Two of them exist: membership messages, which replace each
 * other by the node that they are about, and user messages, which never do.
 *
 * Ownership: the queue owns its items; pointers given out are valid until the next call that changes the queue.
 * Bounds: the caller prunes. Not thread-safe. */
#ifndef TOCSIN_GOSSIP_QUEUE_INT_H
#define TOCSIN_GOSSIP_QUEUE_INT_H

#include "base/map.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue_item {
    uint32_t transmits;
    bool notify;       /* its end is the end of our good-bye */
    uint64_t id;       /* rises: newest is greatest */
    struct str name;   /* node that it is about; empty: none */
    struct str key;    /* user messages: the state key */
    struct str bytes;  /* what goes on the wire, type byte included for membership messages */
};

struct queue_tier {
    struct queue_item **items; /* longest first, then newest */
    size_t count, capacity;
};

struct queue {
    struct queue_tier *tiers; /* by transmissions */
    size_t tiers_count;
    struct map by_name;
    size_t count, bytes;
    uint64_t next_id;
    void (*finished)(void *arg, struct queue_item *item); /* sent its number of times, or replaced; may be NULL */
    void *arg;
};

void queue_deinit(struct queue *q);
/* Queues a copy. An item of the same non-empty name is replaced, and counts as finished. */
struct queue_item *queue_put(struct queue *q, struct str name, struct str key, struct str bytes);
/* Takes what fits into limit_bytes at overhead_bytes each, at most parts_max items, calls take for each in order, and
 * counts a transmission for it; at transmit_limit it is dropped. Returns the bytes used, overheads included. */
size_t queue_fill(struct queue *q, size_t limit_bytes, size_t overhead_bytes, size_t parts_max, uint32_t transmit_limit,
                  void (*take)(void *arg, const struct queue_item *item), void *arg);
/* One more transmission of an item, outside of a fill. May free it. */
void queue_sent(struct queue *q, struct queue_item *item, uint32_t transmit_limit);
void queue_drop(struct queue *q, struct queue_item *item); /* without finishing it */
/* Drops the most transmitted, shortest items until at most `keep` are left; returns how many were dropped. */
size_t queue_prune(struct queue *q, size_t keep);

#endif
