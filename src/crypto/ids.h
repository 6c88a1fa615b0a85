/* Identifiers as text: UUID version 4 (silences) and ULID (nodes, blocks). The random bits come from the caller: a seeded
 * struct rng in simulations, crypto_random() in the process. Thread: any. */
#ifndef TOCSIN_CRYPTO_IDS_H
#define TOCSIN_CRYPTO_IDS_H

#include "base/clock.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define UUID_TEXT_BYTES 36
#define ULID_TEXT_BYTES 26

void uuid_v4_text(const uint8_t random[16], char out[UUID_TEXT_BYTES + 1]); /* version and variant bits are set here */
/* Any version, the hyphenated form, either case: as Go's uuid.Parse on 36 bytes. */
bool uuid_is_valid(struct str s);

void ulid_text(wall_ms t, const uint8_t random[10], char out[ULID_TEXT_BYTES + 1]);
/* Crockford's base 32 in either case, at most 128 bits. t and random may be NULL. */
MUST_CHECK bool ulid_parse(struct str s, wall_ms *t, uint8_t random[10]);

#endif
