/* From (name, value) to the slots of the alerts that have this label: what a new silence asks to find the few alerts it
 * may concern. The index keeps hashes and slot numbers, no texts: an answer holds every alert with the label and may
 * hold others (another label with the same hash, a slot that is gone or was reused), so the asker verifies.
 *
 * A label that one alert has costs 8 bytes, one that n have about 5 n. Removal only counts; a list that is half
 * garbage is swept. Thread: the alert thread. */
#ifndef TOCSIN_ALERT_LABEL_INDEX_INT_H
#define TOCSIN_ALERT_LABEL_INDEX_INT_H

#include "alert/alert.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct label_index_place {
    uint32_t hash; /* 0: free */
    uint32_t slot; /* LABEL_INDEX_LIST set: the number of a list */
};
#define LABEL_INDEX_LIST (1u << 31)
struct label_index_shard {
    struct label_index_place *places; /* open addressing */
    size_t count, capacity;
};
struct label_index_list {
    uint32_t *slots; /* NULL: a free list, `count` is the number of the next one + 1 */
    uint32_t count, capacity;
    uint32_t gone;   /* of the numbers in it, how many were removed since the last sweep */
};
/* Sharded by hash, so that growing never moves more than a small part: no alert that arrives waits for the whole. */
#define LABEL_INDEX_SHARDS 64
struct label_index {
    struct label_index_shard shards[LABEL_INDEX_SHARDS];
    struct label_index_list *lists; /* of labels that several alerts have */
    uint32_t lists_count, lists_capacity;
    uint32_t lists_free; /* first free one + 1 */
};

void alert_label_index_deinit(struct label_index *x);
void alert_label_index_add(struct label_index *x, const struct alert *a, uint32_t slot);
/* `has` says whether a slot is still listed and has a label of this hash (alert_label_index_has()). */
void alert_label_index_remove(struct label_index *x, const struct alert *a, uint32_t slot,
                              bool (*has)(void *arg, uint32_t slot, uint32_t hash), void *arg);
size_t alert_label_index_find(const struct label_index *x, struct str name, struct str value, const uint32_t **slots);
bool alert_label_index_has(const struct alert *a, uint32_t hash);

#endif
