/* Silences as protobuf records (spec gossip 14, 15), and values made of them. */
#ifndef TOCSIN_SILENCE_RECORD_INT_H
#define TOCSIN_SILENCE_RECORD_INT_H

#include "silence/silence.h"

/* What a record is written from. */
struct silence_parts {
    struct str id;
    const struct matchers *sets;
    size_t sets_count;
    struct wire_time starts_at, ends_at, updated_at, expires_at;
    struct str created_by, comment;
    struct labels annotations;
    struct str base; /* a record whose unknown fields are kept; empty: none */
};
void silence_record_write(struct buf *out, const struct silence_parts *p);
/* The size that --silences.max-silence-size-bytes limits: without the copy in field 2. */
size_t silence_record_limited_bytes(struct str record);

/* Is the record whole, with a silence in it, texts in UTF-8, within the bounds? ERR_CORRUPT. */
MUST_CHECK bool silence_record_check(struct str record, struct err *err);
/* A value from a checked record, put in order first: field 2 filled in, old comments taken over. One reference is the
 * caller's. *why says what does not compile, if `uncompiled` is set. `scratch` is used inside. */
struct silence *silence_from_record(struct str record, struct buf *scratch, struct wire_time *expires_at,
                                    struct err *why);
bool silence_sets_eq(const struct matchers *a, size_t a_count, const struct matchers *b, size_t b_count);

#endif
