/* What replicas say to each other about turns (claims.h), and its bytes (docs/formats/claims.md). Messages travel in batches
 * of one sender, so that ten thousand groups whose receiver is down cost a few bytes each and not a name each.
 *
 * Thread: any. Bounds: CLAIM_BYTES_MAX a batch. */
#ifndef TOCSIN_NFLOG_CLAIM_MESSAGE_H
#define TOCSIN_NFLOG_CLAIM_MESSAGE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLAIM_NAME_MAX  255  /* bytes of a member's name */
#define CLAIM_BYTES_MAX 1200 /* of one batch: with what the mesh puts around it, one packet */
#define CLAIM_ROUND_MAX 1000000000
#define CLAIMS_MESH_KEY "tocsin.claim"

enum claim_kind {
    CLAIM_TAKE = 1, /* an attempt is under way */
    CLAIM_FAIL = 2, /* it failed, or was not made */
    CLAIM_PASS = 3, /* it would be the sender's turn, who does not want it */
    CLAIM_ASK = 4,  /* the sender is about to try; each other member says yes, or why not */
    CLAIM_YES = 5,  /* to the one who asked */
};
struct claim_message {
    enum claim_kind kind;
    uint64_t key;      /* claim_key() */
    struct str holder; /* who says it */
    struct str origin; /* CLAIM_PASS: whose failure is passed on; else empty */
    uint32_t round;    /* of attempts under this key since the last success. CLAIM_YES: that the answerer knows of */
    uint32_t serial;   /* CLAIM_ASK, CLAIM_YES: which question */
    struct wire_time seen; /* CLAIM_TAKE, CLAIM_ASK: timestamp of the log entry that the sender has; WIRE_TIME_ZERO: none */
};
uint64_t claim_key(struct str nflog_key);

/* A batch that is being written. Zero-initialised is empty. */
struct claim_batch {
    struct buf bytes;
    size_t origin_at, origin_n; /* the last origin's place in bytes */
};
/* False if it has no room: send it, reset it, and add again. All of one batch have the same holder. */
MUST_CHECK bool claim_batch_add(struct claim_batch *b, const struct claim_message *m);
void claim_batch_reset(struct claim_batch *b);
void claim_batch_deinit(struct claim_batch *b);

/* Walks a batch: for (claim_reader_init(&r, bytes); claim_reader_next(&r, &m);) ...; then r.failed says that the rest could
 * not be read. Messages borrow the bytes. */
struct claim_reader {
    struct str rest, holder, origin;
    bool failed;
};
#define CLAIM_BATCH_MAX (CLAIM_BYTES_MAX / 10) /* messages of one batch: kind, key and round are ten bytes */
void claim_reader_init(struct claim_reader *r, struct str bytes);
MUST_CHECK bool claim_reader_next(struct claim_reader *r, struct claim_message *m);

#endif
