/* The contract of a state that peers replicate: silences, the notification log. The mesh knows only (key, bytes); app
 * keeps a table of these rows and hands bytes from one side to the other (design.md 3 "Mesh", spec/gossip.md 13, 14).
 *
 * Bytes are records, each with a varint length before it, as upstream's Part.data. Merging is commutative, associative
 * and idempotent: newer wins by the record's own rule, so order, repetition and slicing of the input do not matter.
 *
 * Thread: check() on any thread (pure); the rest on the state's owner. No callback blocks. One call handles at most
 * the slice it is given, so that the owner can read its mailbox in between. */
#ifndef TOCSIN_MODEL_REPLICA_H
#define TOCSIN_MODEL_REPLICA_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A record (with its length before it) that changed the state, as received: what is passed on to other peers and
 * written to the journal. The bytes are valid during the call only. */
typedef void replica_changed(void *arg, struct str record);

struct replica {
    struct str key; /* "sil", "nfl" */
    void *state;

    /* Are these bytes whole and every record decodable? All or nothing: what fails here is not merged at all.
     * ERR_CORRUPT. */
    MUST_CHECK bool (*check)(struct str bytes, struct err *err);
    /* Merges records from the front of checked bytes, at most records_max of them, and returns how many bytes they
     * took; the caller comes back with the rest. `changed` is called once for each record that was news. */
    size_t (*merge)(void *state, struct wire_time now, struct str bytes, size_t records_max, replica_changed *changed,
                    void *arg);
    /* Appends the state's records from *cursor on (0 at first) until all are written or `out` has grown by bytes_max;
     * true while there is more. What changes between two calls may or may not be in: its own broadcast carries it. */
    bool (*encode)(const void *state, uint64_t *cursor, size_t bytes_max, struct buf *out);
};

/* In one go: for small states and tests. */
static inline void replica_encode_all(const struct replica *r, struct buf *out)
{
    uint64_t cursor = 0;
    while (r->encode(r->state, &cursor, SIZE_MAX, out))
        continue;
}

#endif
