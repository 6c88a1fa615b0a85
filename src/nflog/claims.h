/* Claims: whose turn it is to send (design.md 2). A claim belongs to one log entry's key: (group, receiver, integration).
 * The others wait while its holder lives and the attempt is in flight, CLAIM_BOUND_MS at most. A failed attempt is announced
 * too and passes the turn to the next member that takes part in claims, so that one replica is trying at any moment and a
 * broken one is passed over. A member whose turn it is and who has nothing to say under the key (its timers run in another
 * phase) or has to back off itself passes on at once.
 *
 *              take or ask (ours or heard)        fail (ours or heard)
 *     free  ----------------------->  in flight  ----------------------->  passed (turn = next member) --+
 *      ^                                  |  bound, holder gone, logged        |  take | bound | logged  |  pass
 *      +----------------------------------+-----------------------------------+        ^----------------+
 *
 * When everybody has passed the claim is open: whoever tried before may again when its own back-off ends.
 *
 * The first in line begins at once where nobody has claimed, and says so. Everybody else asks, and asks again until each
 * member that takes part has said yes, so that neither a lost packet nor a pause makes two of them try: who tries itself
 * says that instead, who knows a newer log entry sends it, and of two that ask one gives way. Who has said yes waits. A
 * member that does not answer at all is waited for as long as a turn is (notify/stages.c).
 *
 * When no claim stands, upstream's rule runs: position times peer-timeout after the flush began. A claim can delay a
 * notification, never cancel one, and is no entry of the log. Claims live in memory only.
 *
 * Pure state machine. Thread: the alert thread only. Bounds: CLAIMS_MAX claims, the oldest goes first. */
#ifndef TOCSIN_NFLOG_CLAIMS_H
#define TOCSIN_NFLOG_CLAIMS_H

#include "base/clock.h"
#include "base/str.h"
#include "nflog/claim_message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLAIM_BOUND_MS  60000
#define CLAIM_NOTICE_MS 200   /* in a mesh too large to ask: between the announcement and the attempt */
#define CLAIMS_MAX      65536
#define CLAIM_ASK_MEMBERS_MAX 32 /* in a larger mesh nobody asks or passes on: an attempt would cost a message of each */

/* The mesh as the alert thread knows it: members that are not dead or left, self included, sorted by name. */
struct claim_member {
    struct str name;
    bool claims; /* takes part: a tocsin node */
    bool absent; /* one that takes part and failed a short time ago: it may only pause, so that it is still asked for its yes */
};
struct claim_members {
    const struct claim_member *v;
    size_t n;
    size_t self; /* index of this node: its position */
};

struct claims;
struct claims *claims_new(void);
void claims_free(struct claims *c);
size_t claims_count(const struct claims *c);

/* Each fills a message for the members that take part. */

/* This node is about to try and knows of a log entry of this time. Again: the same question, to who may have missed it. */
void claims_ask(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members, struct wire_time seen,
                struct claim_message *m);
void claims_ask_again(struct claims *c, uint64_t key, const struct claim_members *members, struct wire_time seen,
                      struct claim_message *m);
/* Have all that take part said yes? While claims_are_ours(). */
bool claims_agreed(const struct claims *c, uint64_t key, const struct claim_members *members);

/* This node begins an attempt, or one failed. */
void claims_take(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members, struct wire_time seen,
                 struct claim_message *m);
void claims_fail(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                 struct claim_message *m);
/* An entry of this time was logged under the key, by us or by a peer: the claim is over, unless it is of one who knew. */
void claims_logged(struct claims *c, uint64_t key, struct wire_time timestamp);
/* It is this node's turn (claims_hear() said so) and it has nothing to say: notes it and fills the message. */
void claims_pass(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                 struct claim_message *m);
/* This node might try and does not: the turn goes on. Fills the message that says so, if somebody may wait for it; false: nobody
 * does, and there is nothing to say. */
MUST_CHECK bool claims_decline(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                               struct claim_message *m);
/* From a peer, all but CLAIM_ASK. CLAIM_NEWS: whoever waits under the key asks again. CLAIM_OURS: news, and it is this node's
 * turn now; if it does not want it, claims_pass(). */
enum claim_heard { CLAIM_OLD, CLAIM_NEWS, CLAIM_OURS };
enum claim_heard claims_hear(struct claims *c, mono_ms now, const struct claim_message *m, const struct claim_members *members);

/* A peer asks. claims_asked() fills the answer to it: yes, and its claim is noted; or this node's own question, which comes
 * first. False: it is no member. claims_insist() is the answer of who has an attempt in flight: a take, to all. */
MUST_CHECK bool claims_asked(struct claims *c, mono_ms now, const struct claim_message *m, const struct claim_members *members,
                             struct claim_message *answer);
void claims_insist(struct claims *c, mono_ms now, const struct claim_message *m, const struct claim_members *members,
                   struct wire_time seen, struct claim_message *answer);

/* Does any claim stand under the key, and somebody may be trying? */
bool claims_stand(const struct claims *c, mono_ms now, uint64_t key);
/* Does this node hold the claim, after claims_ask() or claims_take()? Not if it gave way meanwhile. */
bool claims_are_ours(const struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members);
/* When this node may try, as far as is known now; <= now means at once. base is when it may by upstream's rule. Ask
 * again when that time comes, after claims_hear(), and when the members change. */
mono_ms claims_turn(const struct claims *c, mono_ms now, uint64_t key, mono_ms base, int64_t peer_timeout_ms,
                    const struct claim_members *members);

#endif
