/* Open addressing with linear probing over 32-bit hashes; deletion shifts back, as base/map.c.
 *
 * X1  A number is in the list of each of its labels from add to remove; after remove it may stay until a sweep.
 * X2  gone <= numbers in the list; a list is swept when more than half of it (and more than SWEEP_MIN) is gone, so that
 *     removal costs O(1) on average and a list never holds more than twice what lives, but for SWEEP_MIN.
 * X3  A list that holds one number keeps it in place. */
#include "alert/label_index_int.h"

#include "base/mem.h"

#include <stdlib.h>

static const uint32_t SWEEP_MIN = 16;
static const size_t CAPACITY_MIN = 16;
enum { HEADER = 2 }; /* count and capacity before the numbers of a long list */

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
    for (size_t k = 0; k < LABEL_INDEX_SHARDS; k++) {
        struct label_index_shard *shard = &x->shards[k];
        for (size_t i = 0; i < shard->capacity; i++)
            if (shard->lists[i].hash && shard->lists[i].is_many)
                mem_free(shard->lists[i].u.many);
        mem_free(shard->lists);
        *shard = (struct label_index_shard){ 0 };
    }
}

/* The list of this hash, or the free place where it would go. */
static struct label_index_list *place(const struct label_index_shard *x, uint32_t hash)
{
    size_t mask = x->capacity - 1, i = hash & mask;
    while (x->lists[i].hash && x->lists[i].hash != hash)
        i = (i + 1) & mask;
    return &x->lists[i];
}

static void grow(struct label_index_shard *x)
{
    struct label_index_shard old = *x;
    x->capacity = old.capacity ? old.capacity * 2 : CAPACITY_MIN;
    x->lists = mem_alloc_array(x->capacity, sizeof *x->lists);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.lists[i].hash)
            *place(x, old.lists[i].hash) = old.lists[i];
    mem_free(old.lists);
}

static void list_append(struct label_index_list *l, uint32_t slot)
{
    if (!l->is_many) {
        uint32_t one = l->u.one;
        l->u.many = mem_alloc_array(HEADER + 4, sizeof(uint32_t));
        l->u.many[0] = 1;
        l->u.many[1] = 4;
        l->u.many[HEADER] = one;
        l->is_many = 1;
    }
    uint32_t count = l->u.many[0];
    if (count == l->u.many[1]) {
        uint32_t capacity = count + count / 2 + 2;
        l->u.many = mem_realloc_array(l->u.many, HEADER + (size_t)capacity, sizeof(uint32_t));
        l->u.many[1] = capacity;
    }
    l->u.many[HEADER + count] = slot;
    l->u.many[0] = count + 1;
}

static void add_one(struct label_index_shard *x, uint32_t hash, uint32_t slot)
{
    if (x->count + 1 > x->capacity - x->capacity / 4)
        grow(x);
    struct label_index_list *l = place(x, hash);
    if (l->hash) {
        list_append(l, slot);
        return;
    }
    *l = (struct label_index_list){ .hash = hash, .u.one = slot };
    x->count++;
}

void alert_label_index_add(struct label_index *x, const struct alert *a, uint32_t slot)
{
    struct label l;
    for (struct alert_walk w = alert_walk_labels(a); alert_walk_next(&w, &l);) {
        uint32_t hash = hash_label(l.name, l.value);
        add_one(shard_of(x, hash), hash, slot);
    }
}

static void drop_list(struct label_index_shard *x, struct label_index_list *l)
{
    if (l->is_many)
        mem_free(l->u.many);
    size_t mask = x->capacity - 1, hole = (size_t)(l - x->lists);
    for (size_t i = (hole + 1) & mask; x->lists[i].hash; i = (i + 1) & mask) {
        size_t home = x->lists[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            x->lists[hole] = x->lists[i];
            hole = i;
        }
    }
    x->lists[hole] = (struct label_index_list){ 0 };
    x->count--;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Keeps each number that still belongs, once. */
static void sweep(struct label_index_shard *x, struct label_index_list *l,
                  bool (*has)(void *arg, uint32_t slot, uint32_t hash), void *arg)
{
    uint32_t *v = l->u.many + HEADER, count = l->u.many[0], kept = 0;
    qsort(v, count, sizeof *v, compare_u32);
    for (uint32_t i = 0; i < count; i++)
        if ((kept == 0 || v[kept - 1] != v[i]) && has(arg, v[i], l->hash))
            v[kept++] = v[i];
    l->gone = 0;
    l->u.many[0] = kept;
    if (kept == 0)
        drop_list(x, l);
    else if (l->u.many[1] > 4 * kept + 4) {
        l->u.many = mem_realloc_array(l->u.many, HEADER + (size_t)kept * 2, sizeof(uint32_t));
        l->u.many[1] = kept * 2;
    }
}

void alert_label_index_remove(struct label_index *x, const struct alert *a, uint32_t slot,
                              bool (*has)(void *arg, uint32_t slot, uint32_t hash), void *arg)
{
    struct label label;
    for (struct alert_walk w = alert_walk_labels(a); alert_walk_next(&w, &label);) {
        uint32_t hash = hash_label(label.name, label.value);
        struct label_index_shard *shard = shard_of(x, hash);
        if (shard->count == 0)
            continue;
        struct label_index_list *l = place(shard, hash);
        if (!l->hash)
            continue; /* two labels of one alert with one hash: the first removal took the list */
        if (!l->is_many) {
            if (l->u.one == slot)
                drop_list(shard, l);
            continue;
        }
        l->gone++;
        if (l->gone > SWEEP_MIN && l->gone > l->u.many[0] / 2)
            sweep(shard, l, has, arg);
        else if (l->gone >= l->u.many[0])
            drop_list(shard, l);
    }
}

size_t alert_label_index_find(const struct label_index *x, struct str name, struct str value, const uint32_t **slots)
{
    *slots = NULL;
    uint32_t hash = hash_label(name, value);
    const struct label_index_shard *shard = &x->shards[hash >> 26];
    if (shard->count == 0)
        return 0;
    const struct label_index_list *l = place(shard, hash);
    if (!l->hash)
        return 0;
    *slots = l->is_many ? l->u.many + HEADER : &l->u.one;
    return l->is_many ? l->u.many[0] : 1;
}

bool alert_label_index_has(const struct alert *a, uint32_t hash)
{
    struct label l;
    for (struct alert_walk w = alert_walk_labels(a); alert_walk_next(&w, &l);)
        if (hash_label(l.name, l.value) == hash)
            return true;
    return false;
}
