/* From (name, value) to the slots of the alerts that have this label: what a new silence asks to find the few alerts it
 * may concern. The index keeps hashes and slot numbers, no texts: an answer holds every alert with the label and may
 * hold others (another label with the same hash, a slot that is gone or was reused), so the asker verifies.
 *
 * A label that one alert has costs 16 bytes, one that n have about 6 n. Removal only counts; a list that is half
 * garbage is swept. Thread: the alert thread. */
#ifndef TOCSIN_ALERT_LABEL_INDEX_INT_H
#define TOCSIN_ALERT_LABEL_INDEX_INT_H

#include "alert/alert.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct label_index_list {
    uint32_t hash;         /* 0: free place */
    uint32_t is_many : 1;
    uint32_t gone : 31;    /* of the numbers in it, how many were removed since the last sweep */
    union {
        uint32_t one;
        uint32_t *many;    /* many[0]: count, many[1]: capacity, then the numbers */
    } u;
};
_Static_assert(sizeof(struct label_index_list) == 16, "what a label that one alert has costs");
struct label_index_shard {
    struct label_index_list *lists; /* open addressing */
    size_t count, capacity;
};
/* Sharded by hash, so that growing never moves more than a small part: no alert that arrives waits for the whole. */
#define LABEL_INDEX_SHARDS 64
struct label_index {
    struct label_index_shard shards[LABEL_INDEX_SHARDS];
};

void alert_label_index_deinit(struct label_index *x);
void alert_label_index_add(struct label_index *x, const struct alert *a, uint32_t slot);
/* `has` says whether a slot is still listed and has a label of this hash (alert_label_index_has()). */
void alert_label_index_remove(struct label_index *x, const struct alert *a, uint32_t slot,
                              bool (*has)(void *arg, uint32_t slot, uint32_t hash), void *arg);
size_t alert_label_index_find(const struct label_index *x, struct str name, struct str value, const uint32_t **slots);
bool alert_label_index_has(const struct alert *a, uint32_t hash);

#endif
