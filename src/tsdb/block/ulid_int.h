/* Names of blocks: 48 bits of wall clock and 80 random ones as 26 characters of Crockford's base 32. Sorting by the text
 * is sorting by creation. */
#ifndef TOCSIN_TSDB_BLOCK_ULID_INT_H
#define TOCSIN_TSDB_BLOCK_ULID_INT_H

#include "base/clock.h"
#include "base/rng.h"
#include "base/str.h"

#include <stdbool.h>

#define ULID_TEXT 26
struct ulid {
    char text[ULID_TEXT + 1]; /* NUL-terminated */
};
struct ulid ulid_new(wall_ms now, struct rng *rng);
bool block_ulid_parse(struct str s, struct ulid *u); /* strict: 26 upper-case characters, the first at most 7 */
static inline struct str ulid_str(const struct ulid *u)
{
    return str_of(u->text, ULID_TEXT);
}
static inline bool ulid_eq(const struct ulid *a, const struct ulid *b)
{
    return memcmp(a->text, b->text, ULID_TEXT) == 0;
}

#endif
