/* Samples out of chunks and into chunks.
 *
 * K1  What goes in comes out bit for bit: values are moved as bits, integer histograms are never made float.
 * K2  A chunk holds one encoding; histograms break chunks by chunkenc's rules, whose flags are kept. */
#include "tsdb/rechunk_int.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "tsdb/chunkenc/chunk_int.h"
#include "tsdb/chunkenc/histogram_int.h"
#include "tsdb/chunkenc/xor_int.h"

void raw_samples_push(struct raw_samples *s, const struct raw_sample *x)
{
    if (s->n == s->capacity) {
        s->capacity = mem_grow(s->capacity, s->n + 1);
        s->v = mem_realloc_array(s->v, s->capacity, sizeof *s->v);
    }
    s->v[s->n++] = *x;
}

void raw_samples_deinit(struct raw_samples *s)
{
    mem_free(s->v);
    *s = (struct raw_samples){ 0 };
}

static bool kept(int64_t t, int64_t mint, int64_t maxt, const struct intervals *gone)
{
    return t >= mint && t <= maxt && !intervals_contain(gone, t, t);
}

static bool decode_floats(const struct encoded_chunk *c, int64_t mint, int64_t maxt, const struct intervals *gone,
                          struct raw_samples *out, struct err *err)
{
    struct columns columns = { 0 };
    bool ok = chunk_decode(c->encoding, c->bytes, mint, maxt, &columns, err);
    for (size_t i = 0; ok && i < columns.n; i++) {
        struct raw_sample s = { .t = columns.t[i], .v = f64_bits(columns.v[i]) };
        if (kept(s.t, mint, maxt, gone))
            raw_samples_push(out, &s);
    }
    columns_deinit(&columns);
    return ok;
}

bool raw_decode(const struct encoded_chunk *c, int64_t mint, int64_t maxt, const struct intervals *gone, struct arena *a,
                struct raw_samples *out, struct err *err)
{
    struct histogram_reader r;
    struct err own = { 0 };
    if (!chunk_encoding_known(c->encoding))
        return err_set(err, ERR_INVALID, "invalid chunk encoding \"<unknown>\" (%u)", c->encoding);
    if (chunk_encoding_is_float(c->encoding))
        return decode_floats(c, mint, maxt, gone, out, err);
    if (!histogram_reader_init(&r, c->encoding, (const uint8_t *)c->bytes.p, c->bytes.n, a, err))
        return false;
    while (histogram_reader_next(&r, &own)) {
        struct raw_sample s = { .t = r.t };
        if (!kept(s.t, mint, maxt, gone))
            continue;
        if (r.is_float) {
            struct float_histogram *fh = ARENA_NEW(a, struct float_histogram);
            histogram_reader_float(&r, fh);
            s.fh = fh;
        } else {
            struct int_histogram *h = ARENA_NEW(a, struct int_histogram);
            histogram_reader_int(&r, h);
            s.h = h;
        }
        raw_samples_push(out, &s);
    }
    if (own.code == ERR_NONE)
        return true;
    *err = own;
    return false;
}

static void forget_hint(struct raw_sample *s, struct arena *a)
{
    if (s->h && s->h->hint != RESET_GAUGE) {
        struct int_histogram *h = ARENA_NEW(a, struct int_histogram);
        *h = *s->h;
        h->hint = RESET_UNKNOWN;
        s->h = h;
    } else if (s->fh && s->fh->hint != RESET_GAUGE) {
        struct float_histogram *h = ARENA_NEW(a, struct float_histogram);
        *h = *s->fh;
        h->hint = RESET_UNKNOWN;
        s->fh = h;
    }
}

void raw_merge(const struct raw_samples *x, const struct raw_samples *y, struct arena *a, struct raw_samples *out)
{
    size_t i = 0, j = 0;
    int last = -1;
    out->n = 0;
    while (i < x->n || j < y->n) {
        int from = j == y->n || (i < x->n && x->v[i].t <= y->v[j].t) ? 0 : 1;
        struct raw_sample s = from == 0 ? x->v[i] : y->v[j];
        if (last >= 0 && last != from)
            forget_hint(&s, a);
        raw_samples_push(out, &s);
        last = from;
        if (from == 0) {
            j += j < y->n && y->v[j].t == s.t;
            i++;
        } else {
            j++;
        }
    }
}

/* ---- encoding ---- */

struct encoder {
    struct raw_limits limits;
    uint8_t encoding; /* of the open chunk; CHUNK_NONE: none */
    int64_t mint, maxt;
    struct xor_state floats;
    uint8_t *bytes;
    size_t capacity;
    struct histogram_chunk histogram;
    chunk_visit *visit;
    void *arg;
};

static bool encoder_flush(struct encoder *e, struct err *err)
{
    struct encoded_chunk c = { .mint = e->mint, .maxt = e->maxt, .encoding = e->encoding };
    if (e->encoding == CHUNK_NONE)
        return true;
    if (e->encoding == CHUNK_XOR)
        c.bytes = str_of((const char *)e->bytes, xor_bytes(&e->floats));
    else
        c.bytes = str_of((const char *)e->histogram.out.p, histogram_chunk_bytes(&e->histogram));
    e->encoding = CHUNK_NONE;
    return e->visit(e->arg, &c, err);
}

static bool is_full(const struct encoder *e)
{
    size_t n = e->encoding == CHUNK_XOR ? e->floats.n : e->histogram.n;
    if (n == XOR_SAMPLES_MAX || (e->limits.samples && n >= e->limits.samples))
        return true;
    if (e->encoding == CHUNK_XOR)
        return e->limits.float_bytes && xor_bytes(&e->floats) > e->limits.float_bytes;
    return e->limits.histogram_bytes && histogram_chunk_bytes(&e->histogram) >= e->limits.histogram_bytes &&
           n > e->limits.histogram_samples;
}

static void put_float(struct encoder *e, const struct raw_sample *s)
{
    struct xor_step step;
    if (e->encoding == CHUNK_NONE)
        e->floats = (struct xor_state){ 0 };
    size_t n = xor_bytes(&e->floats);
    xor_append(&e->floats, n ? e->bytes[n - 1] : 0, s->t, s->v, &step);
    if (step.at + step.n > e->capacity) {
        e->capacity = mem_grow(e->capacity, step.at + step.n);
        e->bytes = mem_realloc(e->bytes, e->capacity);
    }
    memcpy(e->bytes + step.at, step.bytes, step.n);
    put_be16(e->bytes, e->floats.n);
}

static bool put_histogram(struct encoder *e, const struct raw_sample *s, struct err *err)
{
    struct histogram_sample h = { .t = s->t, .h = s->h, .fh = s->fh };
    enum reset_flag flag = histogram_chunk_first_flag(NULL, &h);
    if (e->encoding != CHUNK_NONE) {
        if (histogram_chunk_append(&e->histogram, &h, &flag))
            return true;
        if (!encoder_flush(e, err))
            return false;
    }
    histogram_chunk_start(&e->histogram, &h, flag);
    e->mint = s->t;
    return true;
}

bool raw_encode(const struct raw_samples *samples, struct raw_limits limits, chunk_visit *visit, void *arg, struct err *err)
{
    struct encoder e = { .limits = limits, .visit = visit, .arg = arg };
    bool ok = true;
    for (size_t i = 0; ok && i < samples->n; i++) {
        const struct raw_sample *s = &samples->v[i];
        uint8_t encoding = s->h ? CHUNK_HISTOGRAM : s->fh ? CHUNK_FLOAT_HISTOGRAM : CHUNK_XOR;
        if (e.encoding != CHUNK_NONE && (e.encoding != encoding || is_full(&e)))
            ok = encoder_flush(&e, err);
        if (e.encoding == CHUNK_NONE)
            e.mint = s->t;
        if (encoding == CHUNK_XOR)
            put_float(&e, s);
        else
            ok = ok && put_histogram(&e, s, err);
        e.encoding = encoding;
        e.maxt = s->t;
    }
    ok = ok && encoder_flush(&e, err);
    mem_free(e.bytes);
    histogram_chunk_deinit(&e.histogram);
    return ok;
}

bool chunk_without(const struct encoded_chunk *c, const struct intervals *gone, chunk_visit *visit, void *arg,
                   struct err *err)
{
    struct raw_samples samples = { 0 };
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    bool ok = raw_decode(c, INT64_MIN, INT64_MAX, gone, &a, &samples, err) &&
              raw_encode(&samples, (struct raw_limits){ 0 }, visit, arg, err);
    raw_samples_deinit(&samples);
    arena_deinit(&a);
    return ok;
}

/* ---- chunks of a series made fit for a block ---- */

void chunk_list_deinit(struct chunk_list *l)
{
    mem_free(l->v);
    l->v = NULL;
    l->n = l->capacity = 0;
}

bool chunk_list_add(void *list, const struct encoded_chunk *c, struct err *err)
{
    (void)err;
    struct chunk_list *l = list;
    if (l->n == l->capacity) {
        l->capacity = mem_grow(l->capacity, l->n + 1);
        l->v = mem_realloc_array(l->v, l->capacity, sizeof *l->v);
    }
    l->v[l->n] = *c;
    l->v[l->n++].bytes = arena_str(l->arena, c->bytes);
    return true;
}

static void sort_chunks(struct chunk_list *l)
{
    for (size_t i = 1; i < l->n; i++) { /* nearly sorted: runs of a few sources */
        struct encoded_chunk c = l->v[i];
        size_t at = i;
        while (at > 0 && (l->v[at - 1].mint > c.mint || (l->v[at - 1].mint == c.mint && l->v[at - 1].maxt > c.maxt))) {
            l->v[at] = l->v[at - 1];
            at--;
        }
        l->v[at] = c;
    }
}

static bool same_chunk(const struct encoded_chunk *a, const struct encoded_chunk *b)
{
    return a->mint == b->mint && a->maxt == b->maxt && a->encoding == b->encoding && str_eq(a->bytes, b->bytes);
}

/* Chunks [from, to) overlap, or one of them reaches out of the range: decoded, merged, encoded. */
static bool settle_run(const struct chunk_list *in, size_t from, size_t to, int64_t mint, int64_t maxt,
                       struct raw_limits limits, struct chunk_list *out, struct err *err)
{
    struct raw_samples all = { 0 }, one = { 0 }, merged = { 0 };
    bool ok = true;
    for (size_t i = from; ok && i < to; i++) {
        one.n = 0;
        ok = raw_decode(&in->v[i], mint, maxt, NULL, in->arena, &one, err);
        if (ok) {
            raw_merge(&all, &one, in->arena, &merged);
            struct raw_samples was = all;
            all = merged;
            merged = was;
        }
    }
    ok = ok && raw_encode(&all, limits, chunk_list_add, out, err);
    raw_samples_deinit(&all);
    raw_samples_deinit(&one);
    raw_samples_deinit(&merged);
    return ok;
}

bool chunks_settle(struct chunk_list *in, int64_t mint, int64_t maxt, struct raw_limits limits, struct chunk_list *out,
                   struct err *err)
{
    size_t n = 0;
    sort_chunks(in);
    for (size_t i = 0; i < in->n; i++) {
        if (in->v[i].maxt < mint || in->v[i].mint > maxt || (n > 0 && same_chunk(&in->v[n - 1], &in->v[i])))
            continue;
        in->v[n++] = in->v[i];
    }
    in->n = n;
    for (size_t from = 0, to; from < n; from = to) {
        int64_t reach = in->v[from].maxt;
        for (to = from + 1; to < n && in->v[to].mint <= reach; to++)
            reach = in->v[to].maxt > reach ? in->v[to].maxt : reach;
        const struct encoded_chunk *c = &in->v[from];
        bool whole = to == from + 1 && c->mint >= mint && c->maxt <= maxt;
        if (whole ? !chunk_list_add(out, c, err) : !settle_run(in, from, to, mint, maxt, limits, out, err))
            return false;
    }
    return true;
}

void columns_drop_intervals(struct columns *c, size_t n0, size_t hn0, const struct intervals *gone)
{
    size_t n = n0, hn = hn0;
    if (!gone || gone->n == 0)
        return;
    for (size_t i = n0; i < c->n; i++) {
        if (!intervals_contain(gone, c->t[i], c->t[i])) {
            c->t[n] = c->t[i];
            c->v[n++] = c->v[i];
        }
    }
    for (size_t i = hn0; i < c->hn; i++) {
        if (!intervals_contain(gone, c->ht[i], c->ht[i])) {
            c->ht[hn] = c->ht[i];
            c->h[hn++] = c->h[i];
        }
    }
    c->n = n;
    c->hn = hn;
}
