/* Linear probing; deletion shifts back, as base/map.c.
 *
 * X1  Between a place's home and the place nothing is free. */
#include "alert/fp_index_int.h"

#include "base/mem.h"

static const size_t CAPACITY_MIN = 16;

static uint32_t tag_of(fingerprint fp)
{
    return (uint32_t)(fp ^ fp >> 32);
}

static size_t shard_of(fingerprint fp)
{
    return (size_t)(fp >> (64 - FP_SHARD_BITS));
}

void fp_index_deinit(struct fp_index *x)
{
    for (size_t i = 0; i < ARRAY_LEN(x->shards); i++)
        mem_free(x->shards[i].places);
    *x = (struct fp_index){ 0 };
}

static void put(struct fp_shard *s, struct fp_place place)
{
    size_t mask = s->capacity - 1, i = place.tag & mask;
    while (s->places[i].slot)
        i = (i + 1) & mask;
    s->places[i] = place;
}

static void grow(struct fp_shard *s)
{
    struct fp_shard old = *s;
    s->capacity = old.capacity ? old.capacity * 2 : CAPACITY_MIN;
    s->places = mem_alloc_array(s->capacity, sizeof *s->places);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.places[i].slot)
            put(s, old.places[i]);
    mem_free(old.places);
}

void fp_index_add(struct fp_index *x, fingerprint fp, uint32_t slot)
{
    struct fp_shard *s = &x->shards[shard_of(fp)];
    if (s->count + 1 > s->capacity - s->capacity / 4)
        grow(s);
    put(s, (struct fp_place){ tag_of(fp), slot + 1 });
    s->count++;
}

void fp_index_remove(struct fp_index *x, fingerprint fp, uint32_t slot)
{
    struct fp_shard *s = &x->shards[shard_of(fp)];
    size_t mask = s->capacity - 1, hole = tag_of(fp) & mask;
    while (s->places[hole].slot != slot + 1) {
        ASSERT(s->places[hole].slot);
        hole = (hole + 1) & mask;
    }
    for (size_t i = (hole + 1) & mask; s->places[i].slot; i = (i + 1) & mask) {
        size_t home = s->places[i].tag & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            s->places[hole] = s->places[i];
            hole = i;
        }
    }
    s->places[hole] = (struct fp_place){ 0 };
    s->count--;
}

bool fp_index_next(const struct fp_index *x, fingerprint fp, size_t *at, uint32_t *slot)
{
    const struct fp_shard *s = &x->shards[shard_of(fp)];
    if (s->count == 0)
        return false;
    uint32_t tag = tag_of(fp);
    size_t mask = s->capacity - 1;
    for (size_t i = *at == FP_INDEX_START ? tag & mask : (*at + 1) & mask; s->places[i].slot; i = (i + 1) & mask) {
        if (s->places[i].tag != tag)
            continue;
        *at = i;
        *slot = s->places[i].slot - 1;
        return true;
    }
    return false;
}
