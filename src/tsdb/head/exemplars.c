/* Exemplars: one circular buffer for all series, and per series the chain of its own, oldest to newest.
 *
 * E1  Entries are numbered by their place; a series' index entry knows its oldest and newest, entries know the next.
 * E2  What is overwritten is always the oldest of its series, because times of a series do not go back and the buffer is
 *     filled in order of arrival.
 *
 * Thread: any; one lock (rank 45). Memory: labels are copied; bounded by the buffer's size and 128 characters of labels
 * an entry. */
#include "tsdb/head/head_int.h"

#include "base/map.h"
#include "base/mem.h"

#include <stdlib.h>

#define NONE SIZE_MAX

struct ring_series {
    struct labels labels; /* owned */
    struct buf key;
    size_t oldest, newest;
};
struct ring_entry {
    struct exemplar e; /* labels owned */
    struct ring_series *series; /* NULL: free */
    size_t next;
};
struct exemplar_ring {
    struct lock lock;
    struct ring_entry *v;
    size_t max, at, count;
    struct map by_labels; /* key -> ring_series */
};

struct exemplar_ring *exemplar_ring_new(size_t max)
{
    struct exemplar_ring *r = MEM_NEW(struct exemplar_ring);
    lock_init(&r->lock);
    r->max = max;
    r->v = mem_alloc_array(max, sizeof *r->v);
    return r;
}

static void series_free(struct ring_series *s)
{
    labels_free(s->labels);
    buf_deinit(&s->key);
    mem_free(s);
}

static void clear(struct exemplar_ring *r)
{
    struct ring_series *s;
    for (size_t i = 0; (s = map_next(&r->by_labels, &i)) != NULL;)
        series_free(s);
    map_deinit(&r->by_labels);
    for (size_t i = 0; i < r->max; i++) {
        if (r->v[i].series)
            labels_free(r->v[i].e.labels);
    }
    mem_free(r->v);
    r->v = NULL;
}

void exemplar_ring_free(struct exemplar_ring *r)
{
    if (!r)
        return;
    clear(r);
    lock_deinit(&r->lock);
    mem_free(r);
}

size_t exemplar_ring_max(struct exemplar_ring *r)
{
    lock_take(&r->lock);
    size_t max = r->max;
    lock_give(&r->lock);
    return max;
}

size_t exemplar_ring_count(struct exemplar_ring *r)
{
    lock_take(&r->lock);
    size_t n = r->count;
    lock_give(&r->lock);
    return n;
}

static void make_key(struct labels ls, struct buf *out)
{
    for (size_t i = 0; i < ls.n; i++) {
        buf_str(out, ls.v[i].name);
        buf_byte(out, '\xff');
        buf_str(out, ls.v[i].value);
        buf_byte(out, '\xff');
    }
}

static struct ring_series *find(struct exemplar_ring *r, struct labels series)
{
    struct buf key = { 0 };
    make_key(series, &key);
    struct ring_series *s = map_get(&r->by_labels, buf_view(&key));
    buf_deinit(&key);
    return s;
}

static enum append_status judge(struct exemplar_ring *r, struct labels series, const struct exemplar *e)
{
    if (r->max == 0)
        return APPEND_OK;
    const struct ring_series *s = find(r, series);
    if (!s)
        return APPEND_OK;
    const struct exemplar *newest = &r->v[s->newest].e;
    bool same_value = f64_bits(newest->value) == f64_bits(e->value);
    bool same_labels = labels_eq(newest->labels, e->labels);
    if (same_labels && same_value && (newest->t == e->t || !e->has_t))
        return APPEND_EXEMPLAR_DUPLICATE;
    if (e->t < newest->t || (e->t == newest->t && e->value < newest->value) ||
        (e->t == newest->t && e->value == newest->value &&
         labels_fingerprint(e->labels) < labels_fingerprint(newest->labels)))
        return APPEND_EXEMPLAR_OUT_OF_ORDER;
    return APPEND_OK;
}

enum append_status exemplar_ring_check(struct exemplar_ring *r, struct labels series, const struct exemplar *e)
{
    lock_take(&r->lock);
    enum append_status s = judge(r, series, e);
    lock_give(&r->lock);
    return s;
}

/* Takes the entry at the place to be written out of its series. */
static void evict(struct exemplar_ring *r, struct ring_entry *old)
{
    struct ring_series *s = old->series;
    if (!s)
        return;
    if (old->next == NONE) {
        map_remove(&r->by_labels, buf_view(&s->key));
        series_free(s);
    } else {
        s->oldest = old->next;
    }
    labels_free(old->e.labels);
    old->series = NULL;
    r->count--;
}

static void add(struct exemplar_ring *r, struct labels series, const struct exemplar *e)
{
    struct ring_entry *at = &r->v[r->at];
    evict(r, at);
    struct ring_series *s = find(r, series);
    if (!s) {
        s = MEM_NEW(struct ring_series);
        s->labels = labels_dup(series);
        make_key(series, &s->key);
        s->oldest = r->at;
        map_put(&r->by_labels, buf_view(&s->key), s);
    } else {
        r->v[s->newest].next = r->at;
    }
    s->newest = r->at;
    at->e = *e;
    at->e.has_t = true;
    at->e.labels = labels_dup(e->labels);
    at->series = s;
    at->next = NONE;
    r->at = (r->at + 1) % r->max;
    r->count++;
}

void exemplar_ring_add(struct exemplar_ring *r, struct labels series, const struct exemplar *e)
{
    lock_take(&r->lock);
    if (r->max)
        add(r, series, e);
    lock_give(&r->lock);
}

void exemplar_ring_resize(struct exemplar_ring *r, size_t max)
{
    lock_take(&r->lock);
    if (max != r->max) {
        struct exemplar_ring old = { .v = r->v, .max = r->max, .by_labels = r->by_labels };
        size_t skip = r->count > max ? r->count - max : 0, first = r->count == r->max ? r->at : 0;
        r->v = mem_alloc_array(max, sizeof *r->v);
        r->max = max;
        r->at = r->count = 0;
        r->by_labels = (struct map){ 0 };
        for (size_t i = 0; i < old.max && max; i++) {
            const struct ring_entry *e = &old.v[(first + i) % old.max];
            if (!e->series)
                continue;
            if (skip)
                skip--;
            else
                add(r, e->series->labels, &e->e);
        }
        clear(&old);
    }
    lock_give(&r->lock);
}

void exemplar_ring_walk(struct exemplar_ring *r, exemplar_visit *visit, void *arg)
{
    lock_take(&r->lock);
    size_t first = r->count == r->max ? r->at : 0;
    for (size_t i = 0; i < r->max; i++) {
        const struct ring_entry *e = &r->v[(first + i) % r->max];
        if (e->series)
            visit(arg, e->series->labels, &e->e);
    }
    lock_give(&r->lock);
}

static int by_labels(const void *x, const void *y)
{
    const struct exemplar_series *a = x, *b = y;
    return labels_cmp_prometheus(a->labels, b->labels);
}

static bool wanted(const struct matchers *sets, size_t n, struct labels ls)
{
    for (size_t i = 0; i < n; i++) {
        if (matchers_match(&sets[i], ls))
            return true;
    }
    return false;
}

static bool select_series(struct exemplar_ring *r, const struct ring_series *s, int64_t mint, int64_t maxt,
                          struct arena *a, struct exemplar_series *out)
{
    size_t n = 0, k = 0;
    for (size_t at = s->oldest; at != NONE; at = r->v[at].next)
        n += r->v[at].e.t >= mint && r->v[at].e.t <= maxt;
    if (n == 0)
        return true;
    struct exemplar *v = arena_try_alloc_array(a, n, sizeof *v);
    if (!v)
        return false;
    for (size_t at = s->oldest; at != NONE; at = r->v[at].next) {
        const struct exemplar *e = &r->v[at].e;
        if (e->t < mint || e->t > maxt)
            continue;
        v[k] = *e;
        v[k++].labels = labels_copy(a, e->labels);
    }
    *out = (struct exemplar_series){ .labels = labels_copy(a, s->labels), .v = v, .n = n };
    return true;
}

bool exemplar_ring_select(struct exemplar_ring *r, const struct matchers *sets, size_t sets_count, int64_t mint,
                          int64_t maxt, struct arena *a, struct exemplar_series **out, size_t *n)
{
    bool ok = true;
    const struct ring_series *s;
    *n = 0;
    lock_take(&r->lock);
    *out = arena_try_alloc_array(a, r->by_labels.count + 1, sizeof **out);
    ok = *out != NULL;
    for (size_t i = 0; ok && (s = map_next(&r->by_labels, &i)) != NULL;) {
        if (!wanted(sets, sets_count, s->labels))
            continue;
        struct exemplar_series one = { .n = 0 };
        ok = select_series(r, s, mint, maxt, a, &one);
        if (ok && one.n)
            (*out)[(*n)++] = one;
    }
    lock_give(&r->lock);
    if (ok && *n)
        qsort(*out, *n, sizeof **out, by_labels);
    return ok;
}
