/* Open addressing with linear probing and backward-shift deletion.
 *
 * M1  capacity is 0 or a power of two; count <= 3/4 capacity, so that every probe ends at a free slot.
 * M2  No tombstones: removal moves later members of the run back, so a lookup never walks over graves and a table that
 *     lives for months does not slow down. */
#include "base/map.h"

#include "base/mem.h"

static const size_t CAPACITY_MIN = 8;

static bool is_full(size_t count, size_t capacity)
{
    return count + 1 > capacity - capacity / 4;
}

/* map */

void map_deinit(struct map *m)
{
    mem_free(m->slots);
    *m = (struct map){ 0 };
}

void map_reset(struct map *m)
{
    if (m->count)
        memset(m->slots, 0, m->capacity * sizeof *m->slots);
    m->count = 0;
}

/* The slot that holds the key, or the free one where it would go. */
static size_t map_place(const struct map *m, struct str key, uint64_t hash)
{
    size_t mask = m->capacity - 1;
    size_t i = (size_t)hash & mask;
    for (;; i = (i + 1) & mask) {
        const struct map_slot *slot = &m->slots[i];
        if (!slot->value || (slot->hash == hash && str_eq(slot->key, key)))
            return i;
    }
}

static void map_rehash(struct map *m)
{
    struct map old = *m;
    m->capacity = old.capacity ? old.capacity * 2 : CAPACITY_MIN;
    m->slots = mem_alloc_array(m->capacity, sizeof *m->slots);
    size_t mask = m->capacity - 1;
    for (size_t i = 0; i < old.capacity; i++) {
        if (!old.slots[i].value)
            continue;
        size_t to = (size_t)old.slots[i].hash & mask;
        while (m->slots[to].value)
            to = (to + 1) & mask;
        m->slots[to] = old.slots[i];
    }
    mem_free(old.slots);
}

void *map_get(const struct map *m, struct str key)
{
    if (m->count == 0)
        return NULL;
    return m->slots[map_place(m, key, str_hash(key, 0))].value;
}

void *map_put(struct map *m, struct str key, void *value)
{
    ASSERT(value != NULL);
    if (is_full(m->count, m->capacity))
        map_rehash(m);
    uint64_t hash = str_hash(key, 0);
    struct map_slot *slot = &m->slots[map_place(m, key, hash)];
    void *before = slot->value;
    if (!before)
        m->count++;
    *slot = (struct map_slot){ hash, key, value };
    return before;
}

void *map_remove(struct map *m, struct str key)
{
    if (m->count == 0)
        return NULL;
    size_t mask = m->capacity - 1;
    size_t hole = map_place(m, key, str_hash(key, 0));
    void *value = m->slots[hole].value;
    if (!value)
        return NULL;
    for (size_t i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
        size_t home = (size_t)m->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct map_slot){ 0 };
    m->count--;
    return value;
}

void *map_next(const struct map *m, size_t *cursor)
{
    while (*cursor < m->capacity) {
        void *value = m->slots[(*cursor)++].value;
        if (value)
            return value;
    }
    return NULL;
}

struct str map_key_at(const struct map *m, size_t cursor)
{
    ASSERT(cursor > 0 && cursor <= m->capacity);
    return m->slots[cursor - 1].key;
}

/* map64 */

/* Keys are often sequential numbers or hashes with structure in their low bits; this spreads both. */
static uint64_t spread(uint64_t key)
{
    key ^= key >> 32;
    key *= 0x9E3779B97F4A7C15ull;
    return key ^ (key >> 29);
}

void map64_deinit(struct map64 *m)
{
    mem_free(m->slots);
    *m = (struct map64){ 0 };
}

void map64_reset(struct map64 *m)
{
    if (m->count)
        memset(m->slots, 0, m->capacity * sizeof *m->slots);
    m->count = 0;
}

static size_t map64_place(const struct map64 *m, uint64_t key)
{
    size_t mask = m->capacity - 1;
    size_t i = (size_t)spread(key) & mask;
    while (m->slots[i].value && m->slots[i].key != key)
        i = (i + 1) & mask;
    return i;
}

static void map64_rehash(struct map64 *m)
{
    struct map64 old = *m;
    m->capacity = old.capacity ? old.capacity * 2 : CAPACITY_MIN;
    m->slots = mem_alloc_array(m->capacity, sizeof *m->slots);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].value)
            m->slots[map64_place(m, old.slots[i].key)] = old.slots[i];
    mem_free(old.slots);
}

void *map64_get(const struct map64 *m, uint64_t key)
{
    return m->count ? m->slots[map64_place(m, key)].value : NULL;
}

void *map64_put(struct map64 *m, uint64_t key, void *value)
{
    ASSERT(value != NULL);
    if (is_full(m->count, m->capacity))
        map64_rehash(m);
    struct map64_slot *slot = &m->slots[map64_place(m, key)];
    void *before = slot->value;
    if (!before)
        m->count++;
    *slot = (struct map64_slot){ key, value };
    return before;
}

void *map64_remove(struct map64 *m, uint64_t key)
{
    if (m->count == 0)
        return NULL;
    size_t mask = m->capacity - 1;
    size_t hole = map64_place(m, key);
    void *value = m->slots[hole].value;
    if (!value)
        return NULL;
    for (size_t i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
        size_t home = (size_t)spread(m->slots[i].key) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct map64_slot){ 0 };
    m->count--;
    return value;
}

void *map64_next(const struct map64 *m, size_t *cursor)
{
    while (*cursor < m->capacity) {
        void *value = m->slots[(*cursor)++].value;
        if (value)
            return value;
    }
    return NULL;
}

uint64_t map64_key_at(const struct map64 *m, size_t cursor)
{
    ASSERT(cursor > 0 && cursor <= m->capacity);
    return m->slots[cursor - 1].key;
}
