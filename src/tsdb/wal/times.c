/* Bounds of times by place. Noting is amortised O(1): a record falls into the last stretch or begins the next. */
#include "tsdb/wal/times_int.h"

#include "base/mem.h"

#include <string.h>

static bool is_before(const struct wal_stretch *s, uint32_t segment, uint32_t number)
{
    return s->segment != segment ? s->segment < segment : s->number < number;
}

void wal_times_note(struct wal_times *t, uint32_t segment, uint64_t at, struct wal_bounds bounds)
{
    uint32_t number = (uint32_t)(at / WAL_STRETCH_BYTES);
    if (t->n == 0 || is_before(&t->v[t->n - 1], segment, number)) {
        if (t->n == t->capacity) {
            t->capacity = mem_grow(t->capacity, t->n + 1);
            t->v = mem_realloc_array(t->v, t->capacity, sizeof *t->v);
        }
        t->v[t->n++] = (struct wal_stretch){ segment, number, WAL_BOUNDS_NONE };
    }
    struct wal_stretch *last = &t->v[t->n - 1];
    ASSERT(last->segment == segment && last->number == number);
    if (bounds.mint <= bounds.maxt) {
        wal_bounds_add(&last->bounds, bounds.mint);
        wal_bounds_add(&last->bounds, bounds.maxt);
    }
}

struct wal_bounds wal_times_get(const struct wal_times *t, uint32_t segment, uint64_t at)
{
    uint32_t number = (uint32_t)(at / WAL_STRETCH_BYTES);
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (is_before(&t->v[mid], segment, number))
            low = mid + 1;
        else
            high = mid;
    }
    if (low < t->n && t->v[low].segment == segment && t->v[low].number == number)
        return t->v[low].bounds;
    return WAL_BOUNDS_UNKNOWN;
}

void wal_times_forget(struct wal_times *t, uint32_t below)
{
    size_t n = 0;
    while (n < t->n && t->v[n].segment < below)
        n++;
    if (n)
        memmove(t->v, t->v + n, (t->n - n) * sizeof *t->v);
    t->n -= n;
}

void wal_times_copy(const struct wal_times *from, struct wal_times *to)
{
    *to = (struct wal_times){ mem_dup(from->v, from->n * sizeof *from->v), from->n, from->n };
}

void wal_times_deinit(struct wal_times *t)
{
    mem_free(t->v);
    *t = (struct wal_times){ 0 };
}
