/* Open addressing with linear probing over 32-bit hashes; deletion shifts back, as base/map.c.
 *
 * X1  A number is in the list of each of its labels from add to remove; after remove it may stay until a sweep.
 * X2  gone <= numbers in the list; a list is swept when more than half of it (and more than SWEEP_MIN) is gone, so that
 *     removal costs O(1) on average and a list never holds more than twice what lives, but for SWEEP_MIN.
 * X3  A label that one alert has keeps its number in its place; the second alert makes a list. */
#include "alert/label_index_int.h"

#include "base/mem.h"

#include <stdlib.h>

static const uint32_t SWEEP_MIN = 16;
static const size_t CAPACITY_MIN = 16;

static uint32_t hash_label(struct str name, struct str value)
{
    uint64_t h = str_hash(value, str_hash(name, 0));
    uint32_t folded = (uint32_t)(h ^ (h >> 32));
    return folded ? folded : 1;
}

/* The shard goes by the high bits, the place in it by the low ones. */
static struct label_index_shard *shard_of(struct label_index *x, uint32_t hash)
{
    _Static_assert(LABEL_INDEX_SHARDS == 64, "six bits");
    return &x->shards[hash >> 26];
}

void alert_label_index_deinit(struct label_index *x)
{
    for (size_t k = 0; k < LABEL_INDEX_SHARDS; k++)
        mem_free(x->shards[k].places);
    for (uint32_t i = 0; i < x->lists_count; i++)
        mem_free(x->lists[i].slots);
    mem_free(x->lists);
    *x = (struct label_index){ 0 };
}

/* The place of this hash, or the free one where it would go. */
static struct label_index_place *place_of(const struct label_index_shard *shard, uint32_t hash)
{
    size_t mask = shard->capacity - 1, i = hash & mask;
    while (shard->places[i].hash && shard->places[i].hash != hash)
        i = (i + 1) & mask;
    return &shard->places[i];
}

static void grow(struct label_index_shard *shard)
{
    struct label_index_shard old = *shard;
    shard->capacity = old.capacity ? old.capacity * 2 : CAPACITY_MIN;
    shard->places = mem_alloc_array(shard->capacity, sizeof *shard->places);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.places[i].hash)
            *place_of(shard, old.places[i].hash) = old.places[i];
    mem_free(old.places);
}

/* ---- Lists ---- */

static struct label_index_list *list_of(const struct label_index *x, const struct label_index_place *p)
{
    return p->slot & LABEL_INDEX_LIST ? &x->lists[p->slot & ~LABEL_INDEX_LIST] : NULL;
}

static void list_append(struct label_index_list *l, uint32_t slot)
{
    if (l->count == l->capacity) {
        l->capacity = l->count + l->count / 2 + 2;
        l->slots = mem_realloc_array(l->slots, l->capacity, sizeof *l->slots);
    }
    l->slots[l->count++] = slot;
}

/* The place gets a list that begins with the slot that it has held. */
static struct label_index_list *list_new(struct label_index *x, struct label_index_place *p)
{
    uint32_t number = x->lists_free ? x->lists_free - 1 : x->lists_count;
    if (x->lists_free) {
        x->lists_free = x->lists[number].count;
    } else {
        if (x->lists_count == x->lists_capacity) {
            x->lists_capacity = u32_from_size(mem_grow(x->lists_capacity, (size_t)x->lists_count + 1));
            x->lists = mem_realloc_array(x->lists, x->lists_capacity, sizeof *x->lists);
        }
        x->lists_count++;
    }
    ASSERT(number < LABEL_INDEX_LIST);
    struct label_index_list *l = &x->lists[number];
    *l = (struct label_index_list){ 0 };
    list_append(l, p->slot);
    p->slot = number | LABEL_INDEX_LIST;
    return l;
}

static void list_free(struct label_index *x, struct label_index_list *l)
{
    mem_free(l->slots);
    *l = (struct label_index_list){ .count = x->lists_free };
    x->lists_free = (uint32_t)(l - x->lists) + 1;
}

/* ---- Adding and removing ---- */

static void add_one(struct label_index *x, uint32_t hash, uint32_t slot)
{
    struct label_index_shard *shard = shard_of(x, hash);
    if (shard->count + 1 > shard->capacity - shard->capacity / 4)
        grow(shard);
    struct label_index_place *p = place_of(shard, hash);
    if (p->hash) {
        struct label_index_list *l = list_of(x, p);
        list_append(l ? l : list_new(x, p), slot);
        return;
    }
    *p = (struct label_index_place){ hash, slot };
    shard->count++;
}

void alert_label_index_add(struct label_index *x, const struct alert *a, uint32_t slot)
{
    struct label l;
    for (struct alert_walk w = alert_walk_labels(a); alert_walk_next(&w, &l);)
        add_one(x, hash_label(l.name, l.value), slot);
}

static void place_free(struct label_index *x, struct label_index_shard *shard, struct label_index_place *p)
{
    struct label_index_list *l = list_of(x, p);
    if (l)
        list_free(x, l);
    size_t mask = shard->capacity - 1, hole = (size_t)(p - shard->places);
    for (size_t i = (hole + 1) & mask; shard->places[i].hash; i = (i + 1) & mask) {
        size_t home = shard->places[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            shard->places[hole] = shard->places[i];
            hole = i;
        }
    }
    shard->places[hole] = (struct label_index_place){ 0 };
    shard->count--;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Keeps each number that still belongs, once. */
static void sweep(struct label_index_list *l, uint32_t hash, bool (*has)(void *arg, uint32_t slot, uint32_t hash),
                  void *arg)
{
    uint32_t *v = l->slots, kept = 0;
    qsort(v, l->count, sizeof *v, compare_u32);
    for (uint32_t i = 0; i < l->count; i++)
        if ((kept == 0 || v[kept - 1] != v[i]) && has(arg, v[i], hash))
            v[kept++] = v[i];
    l->gone = 0;
    l->count = kept;
    if (kept && l->capacity > 4 * kept + 4) {
        l->capacity = kept * 2;
        l->slots = mem_realloc_array(v, l->capacity, sizeof *v);
    }
}

static void remove_one(struct label_index *x, uint32_t hash, uint32_t slot,
                       bool (*has)(void *arg, uint32_t slot, uint32_t hash), void *arg)
{
    struct label_index_shard *shard = shard_of(x, hash);
    if (shard->count == 0)
        return;
    struct label_index_place *p = place_of(shard, hash);
    if (!p->hash)
        return; /* two labels of one alert with one hash: the first removal took the place */
    struct label_index_list *l = list_of(x, p);
    if (!l) {
        if (p->slot == slot)
            place_free(x, shard, p);
        return;
    }
    l->gone++;
    if (l->gone > SWEEP_MIN && l->gone > l->count / 2)
        sweep(l, hash, has, arg);
    if (l->gone >= l->count)
        place_free(x, shard, p);
}

void alert_label_index_remove(struct label_index *x, const struct alert *a, uint32_t slot,
                              bool (*has)(void *arg, uint32_t slot, uint32_t hash), void *arg)
{
    struct label l;
    for (struct alert_walk w = alert_walk_labels(a); alert_walk_next(&w, &l);)
        remove_one(x, hash_label(l.name, l.value), slot, has, arg);
}

size_t alert_label_index_find(const struct label_index *x, struct str name, struct str value, const uint32_t **slots)
{
    *slots = NULL;
    uint32_t hash = hash_label(name, value);
    const struct label_index_shard *shard = &x->shards[hash >> 26];
    if (shard->count == 0)
        return 0;
    const struct label_index_place *p = place_of(shard, hash);
    if (!p->hash)
        return 0;
    const struct label_index_list *l = list_of(x, p);
    *slots = l ? l->slots : &p->slot;
    return l ? l->count : 1;
}

bool alert_label_index_has(const struct alert *a, uint32_t hash)
{
    struct label l;
    for (struct alert_walk w = alert_walk_labels(a); alert_walk_next(&w, &l);)
        if (hash_label(l.name, l.value) == hash)
            return true;
    return false;
}
