/* Claims: whose turn it is to send (design.md 2). A claim belongs to one log entry's key: (group, receiver, integration).
 * Its holder announces an attempt before it starts; the others wait while the holder lives and the attempt is in flight,
 * CLAIM_BOUND_MS at most. A failed attempt is announced too and passes the turn to the next member that takes part in
 * claims, so that one replica is trying at any moment and a broken one is passed over. A member whose turn it is and who
 * has nothing to say under the key (its timers run in another phase) or has to back off itself passes on at once.
 *
 *              take (ours or heard)                fail (ours or heard)
 *     free  ----------------------->  in flight  ----------------------->  passed (turn = next member) --+
 *      ^                                  |  bound, holder gone, logged        |  take | bound | logged  |  pass
 *      +----------------------------------+-----------------------------------+        ^----------------+
 *
 * When everybody has passed the claim is open: whoever tried before may again when its own back-off ends.
 *
 * When no claim stands, upstream's rule runs: position times peer-timeout after the flush began. A claim can delay a
 * notification, never cancel one, and is no entry of the log. Claims live in memory only.
 *
 * Pure state machine. Thread: the alert thread only. Bounds: CLAIMS_MAX claims, the oldest goes first. */
#ifndef TOCSIN_NFLOG_CLAIMS_H
#define TOCSIN_NFLOG_CLAIMS_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLAIM_BOUND_MS   60000
#define CLAIM_NOTICE_MS  200   /* between a member's announcement and its attempt, but for the first member's: if two
                                  find at the same instant that it is their turn, the later in line hears of the other */
#define CLAIMS_MAX       65536
#define CLAIM_NAME_MAX   255  /* bytes of a member's name */
#define CLAIM_BYTES_MAX  640  /* of one message */
#define CLAIM_ROUND_MAX  1000000000
#define CLAIM_PASS_MEMBERS_MAX 32 /* in a larger mesh nobody passes on: a failure would cost a message of each */
#define CLAIMS_MESH_KEY  "tocsin.claim"

/* The mesh as the alert thread knows it: members that are not dead or left, self included, sorted by name. */
struct claim_member {
    struct str name;
    bool claims; /* takes part: a tocsin node */
};
struct claim_members {
    const struct claim_member *v;
    size_t n;
    size_t self; /* index of this node: its position */
};

enum claim_kind { CLAIM_TAKE = 1, CLAIM_FAIL = 2, CLAIM_PASS = 3 };
struct claim_message {
    enum claim_kind kind;
    uint64_t key;      /* claim_key() */
    struct str holder; /* who says it */
    struct str origin; /* CLAIM_PASS: whose failure is passed on; else empty */
    uint32_t round;    /* of attempts under this key since the last success: the order of messages, see claims.c */
};
uint64_t claim_key(struct str nflog_key);
void claim_message_write(struct buf *out, const struct claim_message *m);
MUST_CHECK bool claim_message_parse(struct str bytes, struct claim_message *m, struct err *err); /* borrows */

struct claims;
struct claims *claims_new(void);
void claims_free(struct claims *c);
size_t claims_count(const struct claims *c);

/* This node begins an attempt, or one failed: notes it and fills the message to be sent to the members that take part. */
void claims_take(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                 struct claim_message *m);
void claims_fail(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                 struct claim_message *m);
/* An entry was logged under the key, by us or by a peer: the claim is over. */
void claims_logged(struct claims *c, uint64_t key);
/* It is this node's turn (claims_hear() said so) and it has nothing to say: notes it and fills the message. */
void claims_pass(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                 struct claim_message *m);
/* From a peer. CLAIM_NEWS: whoever waits under the key asks again. CLAIM_OURS: news, and it is this node's turn now; if it
 * does not want it, claims_pass(). */
enum claim_heard { CLAIM_OLD, CLAIM_NEWS, CLAIM_OURS };
enum claim_heard claims_hear(struct claims *c, mono_ms now, const struct claim_message *m, const struct claim_members *members);

/* Does this node hold the claim, after claims_take()? Not if one earlier in line took it meanwhile. */
bool claims_are_ours(const struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members);
/* When this node may try, as far as is known now; <= now means at once. base is when it may by upstream's rule. Ask
 * again when that time comes, after claims_hear(), and when the members change. */
mono_ms claims_turn(const struct claims *c, mono_ms now, uint64_t key, mono_ms base, int64_t peer_timeout_ms,
                    const struct claim_members *members);

#endif
