/* Samples of one series: the open chunk, when it is cut, the out-of-order chunk, and what a reader sees of it all.
 *
 * C1  Times of in-order samples ascend strictly over full chunks and the open one; floats.t is the newest of all, whatever
 *     kind the open chunk is of, or whether there is one.
 * C2  No chunk reaches over a multiple of the block's length. Floats: 120 samples is the aim (the end is predicted after
 *     30), 240 the limit, 1005 bytes too. Histograms: 1024 bytes is the aim, 2048 the limit, 10 samples the least.
 * C3  A full chunk is written to chunks_head at once and leaves memory; the mapper keeps it if the disk does not take it.
 * C4  commit[] and before[] say how far a reader may see that was there before the newest commits. What is pushed out of
 *     them while it is still needed goes to the stripe's list.
 *
 * Upstream: tsdb/head_append.go, ooo_head.go. The stripe is held throughout. */
#include "tsdb/head/head_int.h"

#include "base/mem.h"
#include "tsdb/chunkenc/chunk_int.h"

#include <math.h>

#define FLOAT_SAMPLES_MAX (2 * SAMPLES_PER_CHUNK)
#define OPEN_BYTES_USUAL  (FLOAT_CHUNK_BYTES_MAX + XOR_SAMPLE_BYTES_MAX)

/* Fields that appenders look at without the stripe (append.c checks again under it). */
static void set_last(struct head_series *s, int64_t t, uint64_t v)
{
    __atomic_store_n(&s->floats.t, t, __ATOMIC_RELAXED);
    __atomic_store_n(&s->floats.v, v, __ATOMIC_RELAXED);
}
static void set_open(struct head_series *s, enum open_kind k)
{
    __atomic_store_n(&s->open, (uint8_t)k, __ATOMIC_RELAXED);
}

/* ---- full chunks ---- */

void series_add_full(struct head *h, struct head_series *s, const struct head_chunk *c)
{
    if (s->full_count == s->full_capacity) {
        size_t got, want = s->full_capacity + (s->full_capacity < 8 ? 2u : s->full_capacity / 4u);
        ASSERT(want < UINT16_MAX);
        struct head_chunk *v = pool_take(&h->pool, want * sizeof *v, &got);
        if (s->full_count)
            memcpy(v, s->full, s->full_count * sizeof *v);
        pool_give(&h->pool, s->full, s->full_capacity * sizeof *v);
        s->full = v;
        s->full_capacity = (uint16_t)(got / sizeof *v > UINT16_MAX ? UINT16_MAX : got / sizeof *v);
    }
    s->full[s->full_count++] = *c;
    if (s->open == OPEN_NONE)
        s->floats.t = c->mint + (int64_t)c->span;
}

void series_drop_chunks(struct head *h, struct head_series *s)
{
    pool_give(&h->pool, s->full, s->full_capacity * sizeof *s->full);
    s->full = NULL;
    s->full_count = s->full_capacity = 0;
    pieces_free(&h->pool, &s->bytes);
    s->floats = (struct xor_state){ 0 };
    if (s->extra)
        histogram_chunk_deinit(&s->extra->histogram);
    set_open(s, OPEN_NONE);
}

static uint8_t open_encoding(const struct head_series *s)
{
    if (s->open == OPEN_FLOAT)
        return CHUNK_XOR;
    return s->extra->histogram.is_float ? CHUNK_FLOAT_HISTOGRAM : CHUNK_HISTOGRAM;
}

size_t series_open_bytes(const struct head_series *s)
{
    return s->open == OPEN_FLOAT ? xor_bytes(&s->floats) : histogram_chunk_bytes(&s->extra->histogram);
}

void series_copy_open(const struct head_series *s, void *out)
{
    if (s->open == OPEN_FLOAT) {
        pieces_copy(s->bytes, xor_bytes(&s->floats), out);
        put_be16(out, s->floats.n); /* it is not kept up while the chunk grows */
    } else {
        memcpy(out, s->extra->histogram.out.p, histogram_chunk_bytes(&s->extra->histogram));
    }
}

static uint16_t open_samples(const struct head_series *s)
{
    return s->open == OPEN_FLOAT ? s->floats.n : s->extra->histogram.n;
}

void series_cut(struct head *h, struct head_series *s)
{
    if (s->open == OPEN_NONE)
        return;
    uint8_t local[OPEN_BYTES_USUAL];
    size_t n = series_open_bytes(s);
    uint8_t *bytes = n <= sizeof local ? local : mem_realloc(NULL, n);
    series_copy_open(s, bytes);
    struct mapped_chunk m = {
        .series_ref = s->ref, .mint = s->chunk_mint, .maxt = s->floats.t, .samples = open_samples(s), .encoding = open_encoding(s),
    };
    struct head_chunk c = {
        .ref = mapper_write(&h->mapper, &m, str_of((const char *)bytes, n)),
        .mint = m.mint,
        .span = (uint32_t)(m.maxt - m.mint),
        .samples = m.samples,
        .encoding = m.encoding,
    };
    ASSERT(m.maxt - m.mint <= UINT32_MAX);
    series_add_full(h, s, &c);
    counter_add_shared(&h->stats.chunks_created, 1);
    if (bytes != local)
        mem_free(bytes);
    if (s->open == OPEN_FLOAT)
        pieces_free(&h->pool, &s->bytes);
    /* A histogram's state stays: the chunk that follows is compared with it. */
    set_open(s, OPEN_NONE);
}

int64_t series_mint(const struct head_series *s)
{
    if (s->full_count)
        return s->full[0].mint;
    return s->open != OPEN_NONE ? s->chunk_mint : INT64_MAX;
}

/* ---- commits ---- */

static void remember_old(struct head *h, struct head_series *s, uint32_t slot)
{
    struct stripe *st = head_stripe(h, s);
    size_t n = 0;
    for (size_t i = 0; i < st->old_count; i++) {
        if (isolation_needed(&h->isolation, st->old[i].commit))
            st->old[n++] = st->old[i];
    }
    st->old_count = n;
    if (!isolation_needed(&h->isolation, s->commit[1]))
        return;
    if (st->old_count == st->old_capacity) {
        st->old_capacity = mem_grow(st->old_capacity, st->old_count + 1);
        st->old = mem_realloc_array(st->old, st->old_capacity, sizeof *st->old);
    }
    st->old[st->old_count++] = (struct old_commit){ slot, s->commit[1], s->before[1] };
}

static void note_commit(struct head *h, struct head_series *s, uint32_t slot, uint32_t commit)
{
    if (commit != 0 && s->commit[0] != commit) {
        if (UNLIKELY(s->commit[1] != 0 && (isolation_needed(&h->isolation, s->commit[1]) || head_stripe(h, s)->old_count)))
            remember_old(h, s, slot);
        s->commit[1] = s->commit[0];
        s->before[1] = s->before[0];
        s->commit[0] = commit;
        s->before[0] = s->total;
    }
    s->total++;
}

/* ---- floats ---- */

/* When the chunk from start, which has come to cur, should end so that chunks share what is left evenly. */
static int64_t predict_end(int64_t start, int64_t cur, int64_t max, double ratio_to_full)
{
    double n = (double)(max - start) / ((double)(cur - start + 1) * ratio_to_full);
    if (n <= 1)
        return max;
    return (int64_t)((double)start + (double)(max - start) / floor(n));
}

bool series_reaches(const struct head_series *s, int64_t t)
{
    return (s->open != OPEN_NONE || s->full_count) && s->floats.t >= t;
}

static void begin_chunk(struct head *h, struct head_series *s, int64_t t)
{
    s->chunk_mint = t;
    s->next_at = range_end(t, h->o.block_ms);
}

bool series_append_float(struct head *h, struct head_series *s, uint32_t slot, int64_t t, uint64_t v, uint32_t commit)
{
    if (series_reaches(s, t))
        return false;
    if (s->open == OPEN_FLOAT) {
        if (s->floats.n == SAMPLES_PER_CHUNK / 4)
            s->next_at = predict_end(s->chunk_mint, s->floats.t, s->next_at, 4);
        if (t >= s->next_at || s->floats.n >= FLOAT_SAMPLES_MAX || xor_bytes(&s->floats) > FLOAT_CHUNK_BYTES_MAX)
            series_cut(h, s);
    } else if (s->open == OPEN_HISTOGRAM) {
        series_cut(h, s);
    }
    struct xor_state x = s->floats;
    if (s->open == OPEN_NONE) {
        begin_chunk(h, s, t);
        x = (struct xor_state){ 0 };
    }
    struct xor_step step;
    size_t n = xor_bytes(&x);
    if (n == 0) { /* room for the count */
        n = 2;
        pieces_write(&h->pool, &s->bytes, 0, 0, (const uint8_t[2]){ 0 }, n);
    }
    xor_append(&x, s->bytes->bytes[piece_place(n - 1)], t, v, &step);
    pieces_write(&h->pool, &s->bytes, n, step.at, step.bytes, step.n);
    s->floats.delta = x.delta;
    s->floats.bits = x.bits;
    s->floats.n = x.n;
    s->floats.lead = x.lead;
    s->floats.trail = x.trail;
    set_last(s, t, v);
    set_open(s, OPEN_FLOAT);
    note_commit(h, s, slot, commit);
    return true;
}

/* ---- histograms ---- */

/* Has the open histogram chunk had enough? */
static bool histogram_is_full(struct head *h, struct head_series *s, int64_t t)
{
    struct series_extra *x = s->extra;
    size_t bytes = histogram_chunk_bytes(&x->histogram);
    int64_t range_at = x->predicted ? range_end(s->chunk_mint, h->o.block_ms) : s->next_at;
    if (!x->predicted && bytes >= HISTOGRAM_CHUNK_BYTES / 4) {
        s->next_at = predict_end(s->chunk_mint, s->floats.t, s->next_at, (double)HISTOGRAM_CHUNK_BYTES / (double)bytes);
        x->predicted = true;
    }
    return (t >= s->next_at || bytes >= 2 * HISTOGRAM_CHUNK_BYTES) &&
           (x->histogram.n >= HISTOGRAM_SAMPLES_MIN || t >= range_at);
}

bool series_append_histogram(struct head *h, struct head_series *s, uint32_t slot, int64_t t, const struct int_histogram *ih,
                             const struct float_histogram *fh, uint32_t commit)
{
    struct histogram_sample sample = { .t = t, .h = ih, .fh = fh };
    struct series_extra *x = series_extra(s);
    enum reset_flag flag = FLAG_UNKNOWN;
    bool begin = s->open == OPEN_NONE;
    if (series_reaches(s, t))
        return false;
    if (s->open == OPEN_FLOAT || (s->open == OPEN_HISTOGRAM && x->histogram.is_float != (fh != NULL))) {
        series_cut(h, s);
        begin = true;
        flag = histogram_chunk_first_flag(NULL, &sample);
    } else if (begin) {
        flag = histogram_chunk_first_flag(NULL, &sample);
    } else if (histogram_is_full(h, s, t)) {
        series_cut(h, s);
        begin = true;
        flag = histogram_chunk_first_flag(&x->histogram, &sample);
    }
    if (begin) {
        x->predicted = false;
    } else if (!histogram_chunk_append(&x->histogram, &sample, &flag)) {
        series_cut(h, s);
        begin = true; /* and the prediction's mark stays, as upstream's does */
    }
    if (begin) {
        s->floats = (struct xor_state){ 0 };
        begin_chunk(h, s, t);
        histogram_chunk_start(&x->histogram, &sample, flag);
    }
    set_last(s, t, 0);
    set_open(s, OPEN_HISTOGRAM);
    note_commit(h, s, slot, commit);
    return true;
}

bool series_last_equals(const struct head_series *s, uint64_t v, const struct int_histogram *ih,
                        const struct float_histogram *fh)
{
    if (s->open == OPEN_FLOAT)
        return !ih && !fh && s->floats.v == v;
    if (s->open != OPEN_HISTOGRAM)
        return false;
    if (!ih && !fh)
        return v == STALE_NAN_BITS && s->extra->histogram.last_stale;
    struct arena a;
    bool equal = false;
    arena_init(&a, ARENA_NO_LIMIT);
    if (s->extra->histogram.is_float && fh) {
        struct float_histogram last;
        histogram_chunk_last_float(&s->extra->histogram, &a, &last);
        equal = float_histogram_eq(&last, fh);
    } else if (!s->extra->histogram.is_float && ih) {
        struct int_histogram last;
        histogram_chunk_last_int(&s->extra->histogram, &a, &last);
        equal = int_histogram_eq(&last, ih);
    }
    arena_deinit(&a);
    return equal;
}

/* ---- out of order ---- */

struct ooo_cut {
    struct head *h;
    struct head_series *s;
    struct buf *markers;
};

static bool ooo_write_chunk(void *arg, const struct encoded_chunk *c, struct err *err)
{
    (void)err;
    struct ooo_cut *cut = arg;
    struct series_extra *x = cut->s->extra;
    struct mapped_chunk m = {
        .series_ref = cut->s->ref,
        .mint = c->mint,
        .maxt = c->maxt,
        .samples = (uint16_t)chunk_samples(c->encoding, c->bytes),
        .encoding = c->encoding,
        .out_of_order = true,
    };
    struct ooo_chunk k = { mapper_write(&cut->h->mapper, &m, c->bytes), c->mint, c->maxt, m.samples, c->encoding };
    x->ooo_chunks = mem_realloc_array(x->ooo_chunks, x->ooo_chunks_count + 1, sizeof *x->ooo_chunks);
    x->ooo_chunks[x->ooo_chunks_count++] = k;
    if (cut->markers)
        buf_be64(cut->markers, k.ref);
    return true;
}

void series_map_ooo(struct head *h, struct head_series *s, struct buf *markers)
{
    struct series_extra *x = s->extra;
    struct err err = { 0 };
    if (!x || x->ooo.n == 0)
        return;
    struct ooo_cut cut = { h, s, markers };
    bool ok = raw_encode(&x->ooo, (struct raw_limits){ 0 }, ooo_write_chunk, &cut, &err);
    ASSERT(ok);
    raw_samples_deinit(&x->ooo);
    if (x->ooo_memory_ready)
        arena_reset(&x->ooo_memory);
}

bool series_append_ooo(struct head *h, struct head_series *s, const struct raw_sample *sample, bool *cut, struct buf *markers)
{
    struct series_extra *x = series_extra(s);
    size_t limit = h->o.out_of_order_chunk ? h->o.out_of_order_chunk : OOO_CHUNK_SAMPLES;
    *cut = false;
    if (x->ooo.n >= limit && !h->opening) { /* at opening the markers in the log decide what is in chunks */
        *cut = true;
        series_map_ooo(h, s, markers);
    }
    size_t at = x->ooo.n;
    while (at > 0 && x->ooo.v[at - 1].t >= sample->t)
        at--;
    if (at < x->ooo.n && x->ooo.v[at].t == sample->t)
        return false;
    struct raw_sample copy = *sample;
    if ((sample->h || sample->fh) && !x->ooo_memory_ready) {
        arena_init(&x->ooo_memory, ARENA_NO_LIMIT);
        x->ooo_memory_ready = true;
    }
    if (sample->h) {
        struct int_histogram *ih = ARENA_NEW(&x->ooo_memory, struct int_histogram);
        int_histogram_copy(&x->ooo_memory, sample->h, ih);
        copy.h = ih;
    } else if (sample->fh) {
        struct float_histogram *fh = ARENA_NEW(&x->ooo_memory, struct float_histogram);
        float_histogram_copy(&x->ooo_memory, sample->fh, fh);
        copy.fh = fh;
    }
    raw_samples_push(&x->ooo, &copy);
    memmove(x->ooo.v + at + 1, x->ooo.v + at, (x->ooo.n - 1 - at) * sizeof copy);
    x->ooo.v[at] = copy;
    return true;
}

void series_set_metadata(struct head_series *s, const struct series_metadata *m)
{
    struct series_extra *x = series_extra(s);
    struct series_metadata *copy = mem_alloc(sizeof *copy + m->unit.n + m->help.n);
    char *text = (char *)(copy + 1);
    copy->type = m->type;
    copy->unit = str_of(text, m->unit.n);
    copy->help = str_of(text + m->unit.n, m->help.n);
    if (m->unit.n)
        memcpy(text, m->unit.p, m->unit.n);
    if (m->help.n)
        memcpy(text + m->unit.n, m->help.p, m->help.n);
    mem_free(x->metadata);
    x->metadata = copy;
}

/* ---- looking ---- */

/* `total` as far as the reader may see. */
static uint32_t visible_total(struct head *h, const struct head_series *s, uint32_t slot, const struct isolation_user *r)
{
    uint32_t visible = s->total;
    if (!r)
        return visible;
    for (int i = 0; i < 2; i++) {
        if (!isolation_visible(r, s->commit[i]))
            visible = s->before[i];
    }
    const struct stripe *st = head_stripe(h, s);
    for (size_t i = 0; i < st->old_count; i++) {
        const struct old_commit *o = &st->old[i];
        if (o->slot == slot && !isolation_visible(r, o->commit) && (int32_t)(o->before - visible) < 0)
            visible = o->before;
    }
    return visible;
}

static bool look_full(const struct head_series *s, int64_t mint, int64_t maxt, struct arena *a, struct series_view *out)
{
    size_t from = 0, to = s->full_count;
    while (from < to && s->full[from].mint + (int64_t)s->full[from].span < mint)
        from++;
    if (out->hidden == 0) { /* else the hidden ones are counted from the very end */
        while (to > from && s->full[to - 1].mint > maxt)
            to--;
    }
    out->full_count = to - from;
    if (out->full_count == 0)
        return true;
    out->full = arena_try_alloc_array(a, out->full_count, sizeof *out->full);
    if (!out->full)
        return false;
    memcpy(out->full, s->full + from, out->full_count * sizeof *out->full);
    return true;
}

static bool look_open(const struct head_series *s, uint32_t hide, int64_t mint, int64_t maxt, struct arena *a,
                      struct series_view *out)
{
    uint16_t n = s->open == OPEN_NONE ? 0 : open_samples(s);
    if (hide >= n) {
        out->hidden = hide - n;
        return true;
    }
    if (s->floats.t < mint || s->chunk_mint > maxt)
        return true;
    size_t bytes = series_open_bytes(s);
    char *copy = arena_try_alloc(a, bytes);
    if (!copy)
        return false;
    series_copy_open(s, copy);
    put_be16(copy, (uint16_t)(n - hide));
    out->open = str_of(copy, bytes);
    out->open_encoding = open_encoding(s);
    out->open_mint = s->chunk_mint;
    out->open_maxt = s->floats.t;
    return true;
}

static bool copy_sample(const struct raw_sample *s, struct arena *a, struct raw_sample *out)
{
    *out = *s;
    if (s->h) {
        struct int_histogram *h = ARENA_NEW(a, struct int_histogram);
        int_histogram_copy(a, s->h, h);
        out->h = h;
    } else if (s->fh) {
        struct float_histogram *h = ARENA_NEW(a, struct float_histogram);
        float_histogram_copy(a, s->fh, h);
        out->fh = h;
    }
    return true;
}

static bool look_ooo(const struct series_extra *x, int64_t mint, int64_t maxt, struct arena *a, struct series_view *out)
{
    if (x->gone.n) {
        out->gone = arena_try_alloc_array(a, x->gone.n, sizeof *out->gone);
        if (!out->gone)
            return false;
        memcpy(out->gone, x->gone.v, x->gone.n * sizeof *out->gone);
        out->gone_count = x->gone.n;
    }
    if (x->ooo_chunks_count) {
        out->ooo = arena_try_alloc_array(a, x->ooo_chunks_count, sizeof *out->ooo);
        if (!out->ooo)
            return false;
        for (size_t i = 0; i < x->ooo_chunks_count; i++) {
            if (x->ooo_chunks[i].mint <= maxt && x->ooo_chunks[i].maxt >= mint)
                out->ooo[out->ooo_count++] = x->ooo_chunks[i];
        }
    }
    if (x->ooo.n && x->ooo.v[0].t <= maxt && x->ooo.v[x->ooo.n - 1].t >= mint) {
        out->ooo_open = arena_try_alloc_array(a, x->ooo.n, sizeof *out->ooo_open);
        if (!out->ooo_open)
            return false;
        for (size_t i = 0; i < x->ooo.n; i++)
            copy_sample(&x->ooo.v[i], a, &out->ooo_open[out->ooo_open_count++]);
    }
    return true;
}

bool series_look(struct head *h, struct head_series *s, uint32_t slot, const struct isolation_user *reader, int64_t mint,
                 int64_t maxt, struct arena *a, struct series_view *out)
{
    *out = (struct series_view){ 0 };
    struct stripe *st = head_stripe(h, s);
    lock_take(&st->lock);
    uint32_t hide = s->total - visible_total(h, s, slot, reader);
    bool ok = look_open(s, hide, mint, maxt, a, out) && look_full(s, mint, maxt, a, out) &&
              (!s->extra || look_ooo(s->extra, mint, maxt, a, out));
    lock_give(&st->lock);
    return ok;
}
