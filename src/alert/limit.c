/* One bucket per alertname, an unsorted array of fingerprints. A bucket knows a lower bound of its alerts' ends, so a
 * flood of new alerts over the limit is refused without a walk as long as nothing can have ended.
 *
 * L1  first_end is not after the end of any counted alert. */
#include "alert/limit_int.h"

#include "base/mem.h"

struct limit_bucket {
    struct str name; /* behind the struct */
    fingerprint *v;
    size_t n, capacity;
    struct wire_time first_end;
};

void alert_limit_deinit(struct limit *l)
{
    struct limit_bucket *b;
    for (size_t i = 0; (b = map_next(&l->names, &i)) != NULL;) {
        mem_free(b->v);
        mem_free(b);
    }
    map_deinit(&l->names);
}

static struct limit_bucket *bucket_new(struct limit *l, struct str name)
{
    struct limit_bucket *b = mem_alloc(sizeof *b + name.n);
    char *text = (char *)(b + 1);
    if (name.n)
        memcpy(text, name.p, name.n);
    b->name = str_of(text, name.n);
    map_put(&l->names, b->name, b);
    return b;
}

/* The counted alert that ends first. */
static size_t bucket_first(struct limit_bucket *b, const struct alert_store *st,
                           bool (*ends_of)(const struct alert_store *st, fingerprint fp, struct wire_time *ends_at),
                           struct wire_time *first)
{
    size_t at = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct wire_time end = WIRE_TIME_ZERO;
        if (!ends_of(st, b->v[i], &end)) {
            *first = end;
            return i; /* no longer there: its place is free */
        }
        if (i == 0 || wire_time_cmp(end, *first) < 0) {
            *first = end;
            at = i;
        }
    }
    return at;
}

bool alert_limit_admit(struct limit *l, struct wire_time now, struct str alertname, fingerprint fp, struct wire_time ends_at,
                 bool (*ends_of)(const struct alert_store *st, fingerprint fp, struct wire_time *ends_at),
                 const struct alert_store *st)
{
    if (l->max == 0)
        return true;
    struct limit_bucket *b = map_get(&l->names, alertname);
    if (!b)
        b = bucket_new(l, alertname);
    if (b->n < l->max) {
        if (b->n == b->capacity) {
            b->capacity = mem_grow(b->capacity, b->n + 1);
            b->v = mem_realloc_array(b->v, b->capacity, sizeof *b->v);
        }
        if (b->n == 0 || wire_time_cmp(ends_at, b->first_end) < 0)
            b->first_end = ends_at;
        b->v[b->n++] = fp;
        return true;
    }
    if (wire_time_cmp(b->first_end, now) > 0)
        return false;
    struct wire_time first = WIRE_TIME_ZERO;
    size_t at = bucket_first(b, st, ends_of, &first);
    b->first_end = first;
    if (wire_time_cmp(first, now) > 0)
        return false;
    b->v[at] = fp; /* first_end stays a lower bound: the next full bucket looks again */
    return true;
}

void alert_limit_moved(struct limit *l, struct str alertname, struct wire_time ends_at)
{
    if (l->max == 0)
        return;
    struct limit_bucket *b = map_get(&l->names, alertname);
    if (b && wire_time_cmp(ends_at, b->first_end) < 0)
        b->first_end = ends_at;
}

void alert_limit_forget(struct limit *l, struct str alertname, fingerprint fp)
{
    if (l->max == 0)
        return;
    struct limit_bucket *b = map_get(&l->names, alertname);
    if (!b)
        return;
    for (size_t i = 0; i < b->n; i++) {
        if (b->v[i] != fp)
            continue;
        b->v[i] = b->v[--b->n];
        break;
    }
    if (b->n == 0) {
        map_remove(&l->names, b->name);
        mem_free(b->v);
        mem_free(b);
    }
}
