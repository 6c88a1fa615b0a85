/* Broadcast queue: a sorted array per number of transmissions.
 *
 * Q1  An item with t transmissions is in tiers[t] and nowhere else; tiers are ordered by (bytes.n descending, id
 *     descending), so that the longest item that fits is one binary search away.
 * Q2  At most one item per non-empty name exists, and by_name points at it.
 * Q3  count and bytes are the sums over all tiers.
 * An insertion moves pointers within one tier (a few thousand at most: GOSSIP_QUEUE_MAX); upstream's B-tree orders the
 * same way. Tiers are as many as the transmit limit: 4 * ceil(log10(N + 1)), or half the configured peers times that. */
#include "gossip/queue_int.h"

#include "base/mem.h"

static void item_free(struct queue_item *item)
{
    mem_free(item);
}

void queue_deinit(struct queue *q)
{
    for (size_t t = 0; t < q->tiers_count; t++) {
        for (size_t i = 0; i < q->tiers[t].count; i++)
            item_free(q->tiers[t].items[i]);
        mem_free(q->tiers[t].items);
    }
    mem_free(q->tiers);
    map_deinit(&q->by_name);
    *q = (struct queue){ 0 };
}

/* The first place whose item is not before (n, id). */
static size_t tier_lower_bound(const struct queue_tier *t, size_t n, uint64_t id)
{
    size_t lo = 0, hi = t->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct queue_item *m = t->items[mid];
        bool before = m->bytes.n != n ? m->bytes.n > n : m->id > id;
        if (before)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void tier_insert(struct queue *q, struct queue_item *item)
{
    if (item->transmits >= q->tiers_count) {
        size_t count = item->transmits + 1u;
        q->tiers = mem_realloc_array(q->tiers, count, sizeof *q->tiers);
        memset(q->tiers + q->tiers_count, 0, (count - q->tiers_count) * sizeof *q->tiers);
        q->tiers_count = count;
    }
    struct queue_tier *t = &q->tiers[item->transmits];
    if (t->count == t->capacity) {
        t->capacity = mem_grow(t->capacity, t->count + 1);
        t->items = mem_realloc_array(t->items, t->capacity, sizeof(struct queue_item *));
    }
    size_t at = tier_lower_bound(t, item->bytes.n, item->id);
    memmove(t->items + at + 1, t->items + at, (t->count - at) * sizeof(struct queue_item *));
    t->items[at] = item;
    t->count++;
}

static void tier_remove_at(struct queue_tier *t, size_t at)
{
    ASSERT(at < t->count);
    memmove(t->items + at, t->items + at + 1, (t->count - at - 1) * sizeof(struct queue_item *));
    t->count--;
}

static void tier_remove(struct queue *q, struct queue_item *item)
{
    struct queue_tier *t = &q->tiers[item->transmits];
    size_t at = tier_lower_bound(t, item->bytes.n, item->id);
    ASSERT(at < t->count && t->items[at] == item); /* Q1 */
    tier_remove_at(t, at);
}

/* Takes an item that is in no tier out of the books. */
static void forget(struct queue *q, struct queue_item *item)
{
    ASSERT(q->count > 0 && q->bytes >= item->bytes.n); /* Q3 */
    q->count--;
    q->bytes -= item->bytes.n;
    if (item->name.n != 0)
        map_remove(&q->by_name, item->name);
}

static void finish(struct queue *q, struct queue_item *item)
{
    forget(q, item);
    if (q->finished)
        q->finished(q->arg, item);
    item_free(item);
}

struct queue_item *queue_put(struct queue *q, struct str name, struct str key, struct str bytes)
{
    if (name.n != 0) {
        struct queue_item *old = map_get(&q->by_name, name);
        if (old) {
            tier_remove(q, old);
            finish(q, old);
        }
    }
    struct queue_item *item = mem_alloc(sizeof *item + name.n + key.n + bytes.n);
    char *p = (char *)(item + 1);
    item->name = str_of(p, name.n);
    item->key = str_of(p + name.n, key.n);
    item->bytes = str_of(p + name.n + key.n, bytes.n);
    if (name.n != 0)
        memcpy(p, name.p, name.n);
    if (key.n != 0)
        memcpy(p + name.n, key.p, key.n);
    if (bytes.n != 0)
        memcpy(p + name.n + key.n, bytes.p, bytes.n);
    item->id = ++q->next_id;
    tier_insert(q, item);
    if (item->name.n != 0) {
        void *before = map_put(&q->by_name, item->name, item);
        ASSERT(before == NULL); /* Q2 */
    }
    q->count++;
    q->bytes += bytes.n;
    return item;
}

size_t queue_fill(struct queue *q, size_t limit_bytes, size_t overhead_bytes, size_t parts_max, uint32_t transmit_limit,
                  void (*take)(void *arg, const struct queue_item *item), void *arg)
{
    struct queue_item *again[256]; /* taken, to be put back with one more transmission */
    size_t again_count = 0, used = 0, parts = 0;
    ASSERT(parts_max <= ARRAY_LEN(again));
    for (size_t t = 0; t < q->tiers_count && parts < parts_max;) {
        if (limit_bytes <= used + overhead_bytes)
            break;
        size_t room = limit_bytes - used - overhead_bytes;
        struct queue_tier *tier = &q->tiers[t];
        size_t at = tier_lower_bound(tier, room, UINT64_MAX);
        if (at == tier->count) {
            t++;
            continue;
        }
        struct queue_item *item = tier->items[at];
        tier_remove_at(tier, at);
        used += overhead_bytes + item->bytes.n;
        parts++;
        take(arg, item);
        if (item->transmits + 1 >= transmit_limit) {
            finish(q, item);
        } else {
            item->transmits++;
            again[again_count++] = item;
        }
    }
    for (size_t i = 0; i < again_count; i++)
        tier_insert(q, again[i]);
    return used;
}

void queue_sent(struct queue *q, struct queue_item *item, uint32_t transmit_limit)
{
    tier_remove(q, item);
    if (item->transmits + 1 >= transmit_limit) {
        finish(q, item);
    } else {
        item->transmits++;
        tier_insert(q, item);
    }
}

void queue_drop(struct queue *q, struct queue_item *item)
{
    tier_remove(q, item);
    forget(q, item);
    item_free(item);
}

size_t queue_prune(struct queue *q, size_t keep)
{
    size_t dropped = 0;
    for (size_t t = q->tiers_count; t-- > 0 && q->count > keep;) {
        struct queue_tier *tier = &q->tiers[t];
        while (tier->count > 0 && q->count > keep) {
            struct queue_item *item = tier->items[tier->count - 1]; /* the shortest, oldest */
            tier->count--;
            finish(q, item);
            dropped++;
        }
    }
    return dropped;
}
