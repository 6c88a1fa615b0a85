/* From a fingerprint to the numbers of the slots that may be it: eight bytes a place. The index keeps 32 bits of each
 * fingerprint, so the asker compares the whole with what the slot says:
 *     for (size_t at = FP_INDEX_START; fp_index_next(x, fp, &at, &slot);) if (it is) ...
 *
 * Sharded by the high bits, so that growing never moves more than a small part. Thread: one owner. {0} is empty. */
#ifndef TOCSIN_ALERT_FP_INDEX_INT_H
#define TOCSIN_ALERT_FP_INDEX_INT_H

#include "model/labels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fp_place {
    uint32_t tag;
    uint32_t slot; /* + 1; 0: free */
};
struct fp_shard {
    struct fp_place *places; /* open addressing */
    size_t count, capacity;
};
#define FP_SHARD_BITS 5
struct fp_index {
    struct fp_shard shards[1 << FP_SHARD_BITS];
};
#define FP_INDEX_START SIZE_MAX

void fp_index_deinit(struct fp_index *x);
void fp_index_add(struct fp_index *x, fingerprint fp, uint32_t slot);
void fp_index_remove(struct fp_index *x, fingerprint fp, uint32_t slot); /* it is there */
bool fp_index_next(const struct fp_index *x, fingerprint fp, size_t *at, uint32_t *slot);

#endif
