/* Claims on their way to the mesh: gathered for a moment, so that a burst of groups travels in a few packets.
 *
 * Thread: the alert thread. Bounds: a batch for all, and one for each member that was told something alone since the last
 * flush. */
#ifndef TOCSIN_APP_CLAIM_OUTBOX_H
#define TOCSIN_APP_CLAIM_OUTBOX_H

#include "nflog/claim_message.h"

struct claim_outbox {
    void (*send)(void *arg, struct str to, struct str bytes); /* to: a member's name, or empty: all that take part */
    void *arg;
    struct claim_batch all;
    struct claim_target *targets;
    size_t count, capacity;
};
void claim_outbox_add(struct claim_outbox *o, struct str to, const struct claim_message *m); /* sends what is full */
void claim_outbox_flush(struct claim_outbox *o);
bool claim_outbox_is_empty(const struct claim_outbox *o);
void claim_outbox_deinit(struct claim_outbox *o);

#endif
