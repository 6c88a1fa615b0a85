/* Staging.
 *
 * T1  A shelf holds what was put for the series of one segment of slots. A full one is a batch: it goes to the helper that
 *     the segment belongs to, so that batches of one segment are applied in order.
 * T2  Who applies a batch finds its series in the nearer caches after the first few: a segment's records and newest pieces
 *     are less than a megabyte.
 *     The first batches are of different sizes: else the shelves, which scrapes fill alike, would all be full in the same
 *     scrape, and owner and helper would wait for each other in turns.
 * T3  Times are kept as differences to the batch's first; one that is too far off begins another batch.
 *
 * Bounds: a shelf has BATCH samples, an eighth of what their series take; BATCHES_WAITING batches a helper. */
#include "tsdb/head/stage_io.h"

#include "base/mem.h"
#include "io/thread.h"

#define BATCH           8192
#define PHASES          8 /* in which shelves get full; divides BATCH */
#define BATCHES_WAITING 4
#define PREFETCH        8
#define THREADS_MAX     16

struct staged {
    uint64_t v;
    int32_t dt;
    uint32_t place; /* in the segment */
};
struct batch {
    struct batch *next;
    uint32_t segment;
    uint32_t n, limit;
    int64_t t0;
    struct staged v[BATCH];
};
struct shelf {
    struct batch *batch; /* NULL: nothing was put */
    uint32_t limit;      /* of its next batch */
};
struct helper {
    struct stage *st;
    struct thread thread;
    struct batch *first, *last; /* to do, oldest first */
    size_t waiting;             /* of them, the one in hand included */
    pthread_cond_t changed;     /* waiting, or ending */
    int64_t mint, maxt;
};
struct stage {
    struct head *h;
    struct shelf *shelves; /* by segment */
    size_t shelves_count;
    struct lock lock;       /* rank 50: the helpers' lists, spare, ending */
    struct batch *spare;
    bool ending;
    struct helper helpers[THREADS_MAX];
    unsigned threads;
    struct helper own;      /* of the owner: its times */
};

/* ---- applying ---- */

static void apply_stale(struct head *h, struct head_series *s, uint32_t slot, int64_t t, struct helper *who)
{
    struct int_histogram ih = { .sum = f64_from_bits(STALE_NAN_BITS) };
    struct float_histogram fh = { .sum = f64_from_bits(STALE_NAN_BITS) };
    bool is_float = s->extra->histogram.is_float;
    if (series_append_histogram(h, s, slot, t, is_float ? NULL : &ih, is_float ? &fh : NULL, 0)) {
        who->mint = t < who->mint ? t : who->mint;
        who->maxt = t > who->maxt ? t : who->maxt;
    }
}

static void apply(struct head *h, const struct batch *b, struct helper *who)
{
    struct head_series *segment = head_at(h, b->segment * SERIES_PER_SEGMENT);
    int64_t mint = who->mint, maxt = who->maxt;
    for (uint32_t i = 0; i < b->n; i++) {
        const struct staged *x = &b->v[i];
        struct head_series *s = &segment[x->place];
        uint32_t slot = b->segment * SERIES_PER_SEGMENT + x->place;
        int64_t t = b->t0 + x->dt;
        if (i + 2 * PREFETCH < b->n)
            __builtin_prefetch(&segment[b->v[i + 2 * PREFETCH].place], 1);
        if (i + PREFETCH < b->n)
            series_prefetch(&segment[b->v[i + PREFETCH].place]);
        if (UNLIKELY(x->v == STALE_NAN_BITS && s->open == OPEN_HISTOGRAM)) {
            apply_stale(h, s, slot, t, who);
        } else if (series_append_float(h, s, slot, t, x->v, 0)) {
            mint = t < mint ? t : mint;
            maxt = t > maxt ? t : maxt;
        }
    }
    who->mint = mint < who->mint ? mint : who->mint;
    who->maxt = maxt > who->maxt ? maxt : who->maxt;
}

static void help(void *arg)
{
    struct helper *w = arg;
    struct stage *st = w->st;
    lock_take(&st->lock);
    for (;;) {
        while (!w->first && !st->ending)
            pthread_cond_wait(&w->changed, &st->lock.m);
        struct batch *b = w->first;
        if (!b)
            break;
        lock_give(&st->lock);
        apply(st->h, b, w);
        lock_take(&st->lock);
        w->first = b->next;
        w->waiting--;
        b->next = st->spare;
        st->spare = b;
        pthread_cond_broadcast(&w->changed);
    }
    lock_give(&st->lock);
}

/* ---- handing over ---- */

static void wait_until(struct stage *st, struct helper *w, size_t waiting) /* lock held */
{
    while (w->waiting > waiting)
        pthread_cond_wait(&w->changed, &st->lock.m);
}

static struct helper *helper_of(struct stage *st, uint32_t segment)
{
    return &st->helpers[segment % st->threads];
}

static void hand_over(struct stage *st, uint32_t segment)
{
    struct batch *b = st->shelves[segment].batch;
    st->shelves[segment].batch = NULL;
    if (st->threads == 0) {
        apply(st->h, b, &st->own);
        b->next = st->spare;
        st->spare = b;
        return;
    }
    struct helper *w = helper_of(st, segment);
    lock_take(&st->lock);
    wait_until(st, w, BATCHES_WAITING - 1);
    b->next = NULL;
    if (w->first)
        w->last->next = b;
    else
        w->first = b;
    w->last = b;
    w->waiting++;
    pthread_cond_broadcast(&w->changed);
    lock_give(&st->lock);
}

static struct batch *new_batch(struct stage *st, uint32_t segment, int64_t t0)
{
    lock_take(&st->lock);
    struct batch *b = st->spare;
    if (b)
        st->spare = b->next;
    lock_give(&st->lock);
    if (!b)
        b = mem_realloc(NULL, sizeof *b);
    b->segment = segment;
    b->n = 0;
    b->limit = st->shelves[segment].limit;
    b->t0 = t0;
    st->shelves[segment] = (struct shelf){ b, BATCH };
    return b;
}

static void reserve_shelf(struct stage *st, uint32_t segment)
{
    size_t n = mem_grow(st->shelves_count, (size_t)segment + 1);
    st->shelves = mem_realloc_array(st->shelves, n, sizeof *st->shelves);
    for (size_t i = st->shelves_count; i < n; i++)
        st->shelves[i] = (struct shelf){ NULL, BATCH / PHASES * (1 + (uint32_t)i % PHASES) };
    st->shelves_count = n;
}

void stage_put(struct stage *st, uint32_t slot, int64_t t, uint64_t v)
{
    uint32_t segment = slot / SERIES_PER_SEGMENT;
    if (UNLIKELY(segment >= st->shelves_count))
        reserve_shelf(st, segment);
    struct batch *b = st->shelves[segment].batch;
    int64_t dt = 0;
    if (UNLIKELY(b && (b->n == b->limit || __builtin_sub_overflow(t, b->t0, &dt) || dt != (int32_t)dt))) {
        hand_over(st, segment);
        b = NULL;
        dt = 0;
    }
    if (UNLIKELY(!b))
        b = new_batch(st, segment, t);
    b->v[b->n++] = (struct staged){ v, (int32_t)dt, slot % SERIES_PER_SEGMENT };
}

void stage_settle(struct stage *st, uint32_t slot)
{
    uint32_t segment = slot / SERIES_PER_SEGMENT;
    if (segment < st->shelves_count && st->shelves[segment].batch)
        hand_over(st, segment);
    if (st->threads == 0)
        return;
    struct helper *w = helper_of(st, segment);
    lock_take(&st->lock);
    wait_until(st, w, 0);
    lock_give(&st->lock);
}

/* ---- life ---- */

static void helper_init(struct stage *st, struct helper *w)
{
    w->st = st;
    w->mint = INT64_MAX;
    w->maxt = INT64_MIN;
    pthread_cond_init(&w->changed, NULL);
}

struct stage *stage_new(struct head *h, unsigned threads)
{
    struct stage *st = MEM_NEW(struct stage);
    struct err ignored;
    st->h = h;
    lock_init(&st->lock);
    helper_init(st, &st->own);
    threads = threads < THREADS_MAX ? threads : THREADS_MAX;
    for (unsigned i = 0; i < threads; i++) {
        helper_init(st, &st->helpers[i]);
        if (!thread_start(&st->helpers[i].thread, "tsdb-replay", help, &st->helpers[i], &ignored)) {
            pthread_cond_destroy(&st->helpers[i].changed); /* fewer will do */
            break;
        }
        st->threads++;
    }
    return st;
}

void stage_free(struct stage *st, int64_t *mint, int64_t *maxt)
{
    for (size_t i = 0; i < st->shelves_count; i++) {
        if (st->shelves[i].batch)
            hand_over(st, (uint32_t)i);
    }
    lock_take(&st->lock);
    st->ending = true;
    for (unsigned i = 0; i < st->threads; i++)
        pthread_cond_broadcast(&st->helpers[i].changed);
    lock_give(&st->lock);
    *mint = st->own.mint;
    *maxt = st->own.maxt;
    for (unsigned i = 0; i < st->threads; i++) {
        struct helper *w = &st->helpers[i];
        thread_join(&w->thread);
        pthread_cond_destroy(&w->changed);
        *mint = w->mint < *mint ? w->mint : *mint;
        *maxt = w->maxt > *maxt ? w->maxt : *maxt;
    }
    for (struct batch *b = st->spare, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    pthread_cond_destroy(&st->own.changed);
    lock_deinit(&st->lock);
    mem_free(st->shelves);
    mem_free(st);
}
