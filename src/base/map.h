/* A hash table from byte strings or 64-bit keys to pointers. Open addressing, power-of-two size, grows at 3/4.
 * The table keeps `struct str` keys by reference: what they point at must outlive the entry (usually it is a field
 * of the value). Values are non-NULL. Iteration order is unspecified but stable between changes.
 *
 * Thread: one owner. Zero-initialised is a valid empty map. */
#ifndef TOCSIN_BASE_MAP_H
#define TOCSIN_BASE_MAP_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
    uint64_t hash;
    struct str key;
    void *value; /* NULL: free slot */
};
struct map {
    struct map_slot *slots;
    size_t count, capacity;
};
void map_deinit(struct map *m); /* frees the table, not the values */
void map_reset(struct map *m);
void *map_get(const struct map *m, struct str key);
void *map_put(struct map *m, struct str key, void *value); /* returns what was there before, or NULL */
void *map_remove(struct map *m, struct str key);           /* returns what was there, or NULL */
/* for (size_t i = 0; (v = map_next(&m, &i)) != NULL;) ... ; removing during the walk is not allowed */
void *map_next(const struct map *m, size_t *cursor);
struct str map_key_at(const struct map *m, size_t cursor); /* key of what map_next returned last */

struct map64_slot {
    uint64_t key;
    void *value;
};
struct map64 {
    struct map64_slot *slots;
    size_t count, capacity;
};
void map64_deinit(struct map64 *m);
void map64_reset(struct map64 *m);
void *map64_get(const struct map64 *m, uint64_t key);
void *map64_put(struct map64 *m, uint64_t key, void *value);
void *map64_remove(struct map64 *m, uint64_t key);
void *map64_next(const struct map64 *m, size_t *cursor);
uint64_t map64_key_at(const struct map64 *m, size_t cursor);

#endif
