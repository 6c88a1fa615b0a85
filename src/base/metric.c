/* Metrics: the values themselves, vectors of them, and the registry that a scrape walks.
 *
 * V1  A vector's children are kept sorted by their label values, so that a scrape lists them in the order upstream's
 *     client does. Each child is its own allocation: pointers stay valid while others come and go.
 * V2  The vector's lock guards the array of children, not the values. Rank: registry before vector.
 * V3  A family (one name) may be spread over rows and groups; the registry keeps all rows sorted by name, rows of one
 *     name in the order in which they were added. */
#include "base/metric.h"

#include "base/lock.h"
#include "base/mem.h"

#include <math.h>

/* Values */

static double double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

void counter_add(struct counter *c, uint64_t n)
{
    atomic_store_explicit(&c->n, atomic_load_explicit(&c->n, memory_order_relaxed) + n, memory_order_relaxed);
}

void counter_add_shared(struct counter *c, uint64_t n)
{
    atomic_fetch_add_explicit(&c->n, n, memory_order_relaxed);
}

uint64_t counter_get(const struct counter *c)
{
    return atomic_load_explicit(&c->n, memory_order_relaxed);
}

void gauge_set(struct gauge *g, double v)
{
    atomic_store_explicit(&g->bits, bits_of(v), memory_order_relaxed);
}

void gauge_add(struct gauge *g, double v)
{
    gauge_set(g, gauge_get(g) + v);
}

double gauge_get(const struct gauge *g)
{
    return double_of(atomic_load_explicit(&g->bits, memory_order_relaxed));
}

/* Several threads may add: a loss of seconds would be a wrong rate for ever. */
static void bits_add(_Atomic uint64_t *bits, double v)
{
    uint64_t before = atomic_load_explicit(bits, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(bits, &before, bits_of(double_of(before) + v),
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

void fcounter_add(struct fcounter *c, double v)
{
    bits_add(&c->bits, v);
}

double fcounter_get(const struct fcounter *c)
{
    return double_of(atomic_load_explicit(&c->bits, memory_order_relaxed));
}

void histogram_init(struct histogram *h, const double *bounds, size_t bounds_count)
{
    ASSERT(bounds_count <= HISTOGRAM_BUCKETS_MAX);
    for (size_t i = 1; i < bounds_count; i++)
        ASSERT(bounds[i - 1] < bounds[i]);
    memset(h, 0, sizeof *h);
    h->bounds = bounds;
    h->bounds_count = bounds_count;
}

void histogram_observe(struct histogram *h, double v)
{
    size_t i = 0;
    while (i < h->bounds_count && !(v <= h->bounds[i])) /* NaN goes to +Inf */
        i++;
    atomic_fetch_add_explicit(&h->buckets[i], 1, memory_order_relaxed);
    bits_add(&h->sum_bits, v);
}

/* Vectors */

struct child {
    union {
        struct counter counter;
        struct fcounter fcounter;
        struct gauge gauge;
        struct histogram histogram;
    } u;
    struct str values[METRIC_LABELS_MAX]; /* point past the struct, in the same allocation */
};

struct metric_vec {
    const struct metric_desc *desc;
    size_t labels_count;
    struct str label_names[METRIC_LABELS_MAX];
    struct lock lock; /* children, count, capacity */
    struct child **children;
    size_t count, capacity;
};

static size_t split_names(const char *text, struct str *names)
{
    size_t count = 0;
    struct str rest = str_c(text), name;
    while (rest.n && str_split(&rest, ',', &name)) {
        ASSERT(count < METRIC_LABELS_MAX);
        names[count++] = name;
    }
    return count;
}

static struct metric_vec *vec_new(const struct metric_desc *desc)
{
    struct metric_vec *v = MEM_NEW(struct metric_vec);
    v->desc = desc;
    v->labels_count = split_names(desc->vec_labels, v->label_names);
    ASSERT(v->labels_count > 0);
    lock_init(&v->lock);
    return v;
}

static void vec_free(struct metric_vec *v)
{
    if (!v)
        return;
    metric_vec_clear(v);
    mem_free(v->children);
    lock_deinit(&v->lock);
    mem_free(v);
}

static int compare_values(const struct metric_vec *v, const struct child *c, const struct str *values)
{
    for (size_t i = 0; i < v->labels_count; i++) {
        int order = str_cmp(c->values[i], values[i]);
        if (order)
            return order;
    }
    return 0;
}

/* Place of the child with these values, or where it would go. The lock is held. */
static size_t vec_place(const struct metric_vec *v, const struct str *values, bool *found)
{
    size_t lo = 0, hi = v->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = compare_values(v, v->children[mid], values);
        if (order == 0) {
            *found = true;
            return mid;
        }
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *found = false;
    return lo;
}

static struct child *child_new(const struct metric_vec *v, const struct str *values)
{
    size_t bytes = sizeof(struct child);
    for (size_t i = 0; i < v->labels_count; i++)
        bytes += values[i].n;
    struct child *c = mem_alloc(bytes);
    char *text = (char *)(c + 1);
    for (size_t i = 0; i < v->labels_count; i++) {
        if (values[i].n)
            memcpy(text, values[i].p, values[i].n);
        c->values[i] = str_of(text, values[i].n);
        text += values[i].n;
    }
    if (v->desc->type == METRIC_HISTOGRAM || v->desc->type == METRIC_SUMMARY)
        histogram_init(&c->u.histogram, v->desc->bounds, v->desc->bounds_count);
    return c;
}

static struct child *vec_get(struct metric_vec *v, const struct str *values)
{
    lock_take(&v->lock);
    bool found;
    size_t at = vec_place(v, values, &found);
    if (!found) {
        if (v->count == v->capacity) {
            v->capacity = mem_grow(v->capacity, v->count + 1);
            v->children = mem_realloc_array(v->children, v->capacity, sizeof *v->children);
        }
        memmove(v->children + at + 1, v->children + at, (v->count - at) * sizeof *v->children);
        v->children[at] = child_new(v, values);
        v->count++;
    }
    struct child *c = v->children[at];
    lock_give(&v->lock);
    return c;
}

struct counter *metric_vec_counter(struct metric_vec *v, const struct str *values)
{
    ASSERT(v->desc->type == METRIC_COUNTER);
    return &vec_get(v, values)->u.counter;
}

struct fcounter *metric_vec_fcounter(struct metric_vec *v, const struct str *values)
{
    ASSERT(v->desc->type == METRIC_FCOUNTER);
    return &vec_get(v, values)->u.fcounter;
}

struct gauge *metric_vec_gauge(struct metric_vec *v, const struct str *values)
{
    ASSERT(v->desc->type == METRIC_GAUGE);
    return &vec_get(v, values)->u.gauge;
}

struct histogram *metric_vec_histogram(struct metric_vec *v, const struct str *values)
{
    ASSERT(v->desc->type == METRIC_HISTOGRAM || v->desc->type == METRIC_SUMMARY);
    return &vec_get(v, values)->u.histogram;
}

void metric_vec_clear(struct metric_vec *v)
{
    lock_take(&v->lock);
    for (size_t i = 0; i < v->count; i++)
        mem_free(v->children[i]);
    v->count = 0;
    lock_give(&v->lock);
}

void metric_vec_remove(struct metric_vec *v, const struct str *values)
{
    lock_take(&v->lock);
    bool found;
    size_t at = vec_place(v, values, &found);
    if (found) {
        mem_free(v->children[at]);
        v->count--;
        memmove(v->children + at, v->children + at + 1, (v->count - at) * sizeof *v->children);
    }
    lock_give(&v->lock);
}

static struct metric_vec **vec_field(const struct metric_desc *d, void *stats)
{
    return (struct metric_vec **)(void *)((char *)stats + d->offset);
}

void metric_stats_init(const struct metric_desc *descs, size_t count, void *stats)
{
    for (size_t i = 0; i < count; i++) {
        const struct metric_desc *d = &descs[i];
        if (d->vec_labels)
            *vec_field(d, stats) = vec_new(d);
        else if (d->type == METRIC_HISTOGRAM && d->bounds)
            histogram_init((struct histogram *)(void *)((char *)stats + d->offset), d->bounds, d->bounds_count);
    }
}

void metric_stats_deinit(const struct metric_desc *descs, size_t count, void *stats)
{
    for (size_t i = 0; i < count; i++) {
        if (!descs[i].vec_labels)
            continue;
        vec_free(*vec_field(&descs[i], stats));
        *vec_field(&descs[i], stats) = NULL;
    }
}

/* Registry */

struct group {
    void *stats;
    void (*collect)(void *stats, void *arg);
    void *arg;
};

struct row {
    const struct metric_desc *desc;
    void *stats;
};

struct metric_registry {
    struct lock lock; /* all below; rank before vectors' locks */
    struct group *groups;
    size_t groups_count, groups_capacity;
    struct row *rows; /* V3 */
    size_t rows_count, rows_capacity;
};

struct metric_registry *metric_registry_new(void)
{
    struct metric_registry *r = MEM_NEW(struct metric_registry);
    lock_init(&r->lock);
    return r;
}

void metric_registry_free(struct metric_registry *r)
{
    if (!r)
        return;
    lock_deinit(&r->lock);
    mem_free(r->groups);
    mem_free(r->rows);
    mem_free(r);
}

static void add_row(struct metric_registry *r, const struct metric_desc *desc, void *stats)
{
    if (r->rows_count == r->rows_capacity) {
        r->rows_capacity = mem_grow(r->rows_capacity, r->rows_count + 1);
        r->rows = mem_realloc_array(r->rows, r->rows_capacity, sizeof *r->rows);
    }
    size_t at = r->rows_count++;
    for (; at > 0 && strcmp(r->rows[at - 1].desc->name, desc->name) > 0; at--)
        r->rows[at] = r->rows[at - 1];
    r->rows[at] = (struct row){ desc, stats };
}

void metric_registry_add(struct metric_registry *r, const struct metric_desc *descs, size_t count, void *stats,
                         void (*collect)(void *stats, void *arg), void *arg)
{
    lock_take(&r->lock);
    if (r->groups_count == r->groups_capacity) {
        r->groups_capacity = mem_grow(r->groups_capacity, r->groups_count + 1);
        r->groups = mem_realloc_array(r->groups, r->groups_capacity, sizeof *r->groups);
    }
    r->groups[r->groups_count++] = (struct group){ stats, collect, arg };
    for (size_t i = 0; i < count; i++)
        add_row(r, &descs[i], stats);
    lock_give(&r->lock);
}

static void read_value(struct metric_sample *s, const void *p)
{
    s->value = 0;
    s->histogram = NULL;
    switch (s->desc->type) {
    case METRIC_COUNTER:
        s->value = (double)counter_get(p);
        break;
    case METRIC_FCOUNTER:
        s->value = fcounter_get(p);
        break;
    case METRIC_GAUGE:
        s->value = gauge_get(p);
        break;
    case METRIC_HISTOGRAM:
    case METRIC_SUMMARY:
        s->histogram = p;
        break;
    }
}

static void visit_vec(struct metric_vec *v, metric_visit *visit, void *arg)
{
    struct metric_sample s = { .desc = v->desc, .labels_count = v->labels_count };
    memcpy(s.label_names, v->label_names, sizeof s.label_names);
    lock_take(&v->lock);
    for (size_t i = 0; i < v->count; i++) {
        memcpy(s.label_values, v->children[i]->values, sizeof s.label_values);
        read_value(&s, &v->children[i]->u);
        visit(arg, &s);
    }
    lock_give(&v->lock);
}

static void visit_row(const struct row *row, metric_visit *visit, void *arg)
{
    const struct metric_desc *d = row->desc;
    if (d->vec_labels) {
        struct metric_vec *v = *vec_field(d, row->stats);
        ASSERT(v != NULL); /* metric_stats_init was forgotten */
        visit_vec(v, visit, arg);
        return;
    }
    struct metric_sample s = { .desc = d };
    struct str rest = str_c(d->labels), pair;
    while (rest.n && str_split(&rest, ',', &pair)) {
        size_t eq = str_find_byte(pair, '=');
        ASSERT(eq != STR_NPOS && s.labels_count < METRIC_LABELS_MAX);
        s.label_names[s.labels_count] = str_of(pair.p, eq);
        s.label_values[s.labels_count++] = str_from(pair, eq + 1);
    }
    read_value(&s, (const char *)row->stats + d->offset);
    visit(arg, &s);
}

void metric_registry_walk(struct metric_registry *r, metric_visit *visit, void *arg)
{
    lock_take(&r->lock);
    for (size_t i = 0; i < r->groups_count; i++)
        if (r->groups[i].collect)
            r->groups[i].collect(r->groups[i].stats, r->groups[i].arg);
    for (size_t i = 0; i < r->rows_count; i++)
        visit_row(&r->rows[i], visit, arg);
    lock_give(&r->lock);
}
