/* Writing chunks of histograms.
 *
 * W1  All samples of a chunk have one schema, zero threshold, set of custom bounds and bucket layout. What differs begins
 *     a new chunk; new buckets of a counter that may join rewrite the open chunk with the wider layout, and buckets that
 *     the sample lacks (empty ones only, for a counter) are put into the sample.
 * W2  Whether a counter sample joins is decided by one ordered list of tests (join_test), first hit wins; its outcome is
 *     the flag of the chunk that begins.
 * W3  A stale sample carries no layout and no counts; after it only stale ones join.
 * W4  Layouts are compared by bucket index: how they are cut into spans does not matter, and the chunk keeps its own. */
#include "tsdb/chunkenc/histogram_int.h"

#include "model/sample.h"

#include <math.h>

/* One side of a sample, whichever kind it is. */
struct side {
    const struct histogram_span *spans;
    size_t spans_count;
    const int64_t *deltas;   /* integer */
    const double *absolute;  /* float */
    const struct xor_column *columns; /* float side of a chunk */
    size_t buckets;
};
struct view { /* a sample or a chunk's newest sample */
    bool stale;
    int32_t schema;
    double zero_threshold;
    const double *custom;
    size_t custom_count;
    struct side positive, negative;
};

static struct view view_of(const struct histogram_sample *s)
{
    if (s->h) {
        const struct int_histogram *h = s->h;
        return (struct view){
            .stale = is_stale_nan(h->sum),
            .schema = h->schema,
            .zero_threshold = h->zero_threshold,
            .custom = h->custom_values,
            .custom_count = h->custom_values_count,
            .positive = { h->positive.spans, h->positive.spans_count, h->positive.deltas, NULL, NULL, h->positive.deltas_count },
            .negative = { h->negative.spans, h->negative.spans_count, h->negative.deltas, NULL, NULL, h->negative.deltas_count },
        };
    }
    const struct float_histogram *h = s->fh;
    return (struct view){
        .stale = is_stale_nan(h->sum),
        .schema = h->schema,
        .zero_threshold = h->zero_threshold,
        .custom = h->custom_values,
        .custom_count = h->custom_values_count,
        .positive = { h->positive.spans, h->positive.spans_count, NULL, h->positive.buckets, NULL, h->positive.buckets_count },
        .negative = { h->negative.spans, h->negative.spans_count, NULL, h->negative.buckets, NULL, h->negative.buckets_count },
    };
}

static enum counter_reset_hint hint_of(const struct histogram_sample *s)
{
    return s->h ? s->h->hint : s->fh->hint;
}

static struct side chunk_side(const struct histogram_chunk *c, bool negative)
{
    size_t from = negative ? c->positive_buckets : 0;
    return (struct side){
        .spans = c->spans + (negative ? c->positive_spans : 0),
        .spans_count = negative ? c->negative_spans : c->positive_spans,
        .deltas = c->buckets ? c->buckets + from : NULL,
        .columns = c->columns ? c->columns + from : NULL,
        .buckets = negative ? c->negative_buckets : c->positive_buckets,
    };
}

/* ---- walking buckets ---- */

struct bucket_walk {
    const struct side *side;
    size_t span, in_span, bucket;
    int64_t index; /* of the current bucket */
    int64_t next_index;
    int64_t sum;   /* of the deltas so far: the current count */
};

static void walk_start(struct bucket_walk *w, const struct side *s)
{
    *w = (struct bucket_walk){ .side = s };
    if (s->spans_count)
        w->next_index = s->spans[0].offset;
}

static bool walk_next(struct bucket_walk *w)
{
    const struct side *s = w->side;
    while (w->span < s->spans_count && w->in_span == s->spans[w->span].length) {
        w->span++;
        w->in_span = 0;
        if (w->span < s->spans_count)
            w->next_index += s->spans[w->span].offset;
    }
    if (w->span == s->spans_count || w->bucket == s->buckets)
        return false;
    if (s->deltas)
        w->sum = (int64_t)((uint64_t)w->sum + (uint64_t)s->deltas[w->bucket]);
    w->index = w->next_index++;
    w->in_span++;
    w->bucket++;
    return true;
}

static double walk_value(const struct bucket_walk *w)
{
    const struct side *s = w->side;
    if (s->absolute)
        return s->absolute[w->bucket - 1];
    return s->columns ? f64_from_bits(s->columns[w->bucket - 1].v) : (double)w->sum;
}

static bool value_less(const struct bucket_walk *a, const struct bucket_walk *b)
{
    return a->side->deltas && b->side->deltas ? a->sum < b->sum : walk_value(a) < walk_value(b);
}

/* What a side of the sample does to the same side of the chunk. */
struct layout_diff {
    bool forward;  /* the sample has buckets that the chunk lacks */
    bool backward; /* the chunk has buckets that the sample lacks */
    bool shrinks;  /* a count went down, or a bucket that was not empty is gone */
};

static void diff_side(const struct side *chunk, const struct side *sample, struct layout_diff *d)
{
    struct bucket_walk a, b;
    walk_start(&a, chunk);
    walk_start(&b, sample);
    bool more_a = walk_next(&a), more_b = walk_next(&b);
    while (more_a || more_b) {
        if (more_a && (!more_b || a.index < b.index)) {
            d->backward = true;
            d->shrinks |= walk_value(&a) != 0;
            more_a = walk_next(&a);
        } else if (more_b && (!more_a || b.index < a.index)) {
            d->forward = true;
            more_b = walk_next(&b);
        } else {
            d->shrinks |= value_less(&b, &a);
            more_a = walk_next(&a);
            more_b = walk_next(&b);
        }
    }
}

/* ---- whether a sample joins ---- */

enum join { JOINS, BREAKS_UNKNOWN, BREAKS_NOT_RESET, BREAKS_RESET };

static bool same_bounds(const struct histogram_chunk *c, const struct view *v)
{
    if (c->custom_count != v->custom_count)
        return false;
    for (size_t i = 0; i < c->custom_count; i++) {
        if (f64_bits(c->custom[i]) != f64_bits(v->custom[i]))
            return false;
    }
    return true;
}

static bool count_shrinks(const struct histogram_chunk *c, const struct histogram_sample *s)
{
    return c->is_float ? s->fh->count < f64_from_bits(c->fcount.v) : s->h->count < c->count;
}

static bool zero_count_shrinks(const struct histogram_chunk *c, const struct histogram_sample *s)
{
    return c->is_float ? s->fh->zero_count < f64_from_bits(c->fzero.v) : s->h->zero_count < c->zero_count;
}

static void diff_layout(const struct histogram_chunk *c, const struct view *v, struct layout_diff *d)
{
    struct side p = chunk_side(c, false), n = chunk_side(c, true);
    *d = (struct layout_diff){ 0 };
    diff_side(&p, &v->positive, d);
    diff_side(&n, &v->negative, d);
}

/* The tests for a counter, in order (W2). */
static enum join join_test(const struct histogram_chunk *c, const struct histogram_sample *s, const struct view *v,
                           struct layout_diff *d)
{
    *d = (struct layout_diff){ 0 };
    if (c->flag == FLAG_GAUGE)
        return c->is_float ? BREAKS_UNKNOWN : BREAKS_NOT_RESET;
    if (hint_of(s) == RESET_YES)
        return BREAKS_RESET;
    if (v->stale)
        return JOINS;
    if (c->last_stale)
        return BREAKS_UNKNOWN;
    if (count_shrinks(c, s))
        return BREAKS_RESET;
    if (v->schema != c->schema || f64_bits(v->zero_threshold) != f64_bits(c->zero_threshold))
        return BREAKS_UNKNOWN;
    if (v->schema == HISTOGRAM_SCHEMA_CUSTOM && !same_bounds(c, v))
        return BREAKS_RESET;
    if (zero_count_shrinks(c, s))
        return BREAKS_RESET;
    diff_layout(c, v, d);
    return d->shrinks ? BREAKS_RESET : JOINS;
}

static bool gauge_joins(const struct histogram_chunk *c, const struct view *v, struct layout_diff *d)
{
    *d = (struct layout_diff){ 0 };
    if (c->flag != FLAG_GAUGE)
        return false;
    if (v->stale)
        return true;
    if (c->last_stale || v->schema != c->schema || f64_bits(v->zero_threshold) != f64_bits(c->zero_threshold) ||
        (v->schema == HISTOGRAM_SCHEMA_CUSTOM && !same_bounds(c, v)))
        return false;
    diff_layout(c, v, d);
    return true;
}

static enum reset_flag flag_of(enum join j)
{
    return j == BREAKS_RESET ? FLAG_RESET : j == BREAKS_NOT_RESET ? FLAG_NOT_RESET : FLAG_UNKNOWN;
}

enum reset_flag histogram_chunk_first_flag(const struct histogram_chunk *prev, const struct histogram_sample *s)
{
    if (hint_of(s) == RESET_GAUGE)
        return FLAG_GAUGE;
    if (hint_of(s) == RESET_YES)
        return FLAG_RESET;
    if (!prev)
        return FLAG_UNKNOWN;
    struct view v = view_of(s);
    struct layout_diff d;
    enum join j = join_test(prev, s, &v, &d);
    if (j == JOINS)
        return FLAG_NOT_RESET;
    if (prev->is_float)
        return j == BREAKS_RESET ? FLAG_RESET : FLAG_NOT_RESET;
    return flag_of(j);
}

/* ---- bytes ---- */

static void put_threshold(struct bit_writer *w, double z)
{
    int e = 0;
    if (z == 0) {
        bit_writer_put(w, 0, 8);
    } else if (frexp(z, &e) == 0.5 && e >= -242 && e <= 11) {
        bit_writer_put(w, (uint64_t)(e + 243), 8);
    } else {
        bit_writer_put(w, 255, 8);
        bit_writer_put(w, f64_bits(z), 64);
    }
}

static void put_spans(struct bit_writer *w, const struct histogram_span *spans, size_t n)
{
    bit_writer_varbit_uint(w, n);
    for (size_t i = 0; i < n; i++) {
        bit_writer_varbit_uint(w, spans[i].length);
        bit_writer_varbit_int(w, spans[i].offset);
    }
}

static void put_bound(struct bit_writer *w, double x)
{
    double thousandths = x * 1000;
    if (thousandths >= 0 && thousandths <= 33554430 && round(thousandths) / 1000 == x) {
        bit_writer_varbit_uint(w, (uint64_t)round(thousandths) + 1);
    } else {
        bit_writer_put(w, 0, 1);
        bit_writer_put(w, f64_bits(x), 64);
    }
}

static void put_header(struct histogram_chunk *c)
{
    struct bit_writer *w = &c->out;
    w->bits = 0;
    bit_writer_put(w, 0, 16);
    bit_writer_put(w, c->flag, 8);
    put_threshold(w, c->zero_threshold);
    bit_writer_varbit_int(w, c->schema);
    put_spans(w, c->spans, c->positive_spans);
    put_spans(w, c->spans + c->positive_spans, c->negative_spans);
    if (c->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        bit_writer_varbit_uint(w, c->custom_count);
        for (size_t i = 0; i < c->custom_count; i++)
            put_bound(w, c->custom[i]);
    }
}

static void layout_drop(struct histogram_chunk *c)
{
    mem_free(c->spans);
    mem_free(c->custom);
    mem_free(c->buckets);
    mem_free(c->columns);
    c->spans = NULL;
    c->custom = NULL;
    c->buckets = NULL;
    c->bucket_deltas = NULL;
    c->columns = NULL;
}

void histogram_chunk_deinit(struct histogram_chunk *c)
{
    layout_drop(c);
    mem_free(c->out.p);
    *c = (struct histogram_chunk){ 0 };
}

static void layout_set(struct histogram_chunk *c, const struct view *v)
{
    size_t spans = v->positive.spans_count + v->negative.spans_count;
    size_t buckets = v->positive.buckets + v->negative.buckets;
    layout_drop(c);
    c->schema = v->schema;
    c->zero_threshold = v->zero_threshold;
    c->positive_spans = v->positive.spans_count;
    c->negative_spans = v->negative.spans_count;
    c->positive_buckets = v->positive.buckets;
    c->negative_buckets = v->negative.buckets;
    c->spans = mem_alloc_array(spans + 1, sizeof *c->spans);
    if (c->positive_spans)
        memcpy(c->spans, v->positive.spans, c->positive_spans * sizeof *c->spans);
    if (c->negative_spans)
        memcpy(c->spans + c->positive_spans, v->negative.spans, c->negative_spans * sizeof *c->spans);
    c->custom_count = v->schema == HISTOGRAM_SCHEMA_CUSTOM ? v->custom_count : 0;
    c->custom = mem_alloc_array(c->custom_count + 1, sizeof *c->custom);
    if (c->custom_count)
        memcpy(c->custom, v->custom, c->custom_count * sizeof *c->custom);
    if (c->is_float) {
        c->columns = mem_alloc_array(buckets + 1, sizeof *c->columns);
    } else {
        c->buckets = mem_alloc_array(2 * buckets + 1, sizeof *c->buckets);
        c->bucket_deltas = c->buckets + buckets;
    }
}

static void put_first(struct histogram_chunk *c, const struct histogram_sample *s, const struct view *v)
{
    struct bit_writer *w = &c->out;
    bit_writer_varbit_int(w, s->t);
    size_t n = c->positive_buckets + c->negative_buckets;
    c->sum.v = f64_bits(c->is_float ? s->fh->sum : s->h->sum);
    if (c->is_float) {
        c->fcount.v = v->stale ? 0 : f64_bits(s->fh->count);
        c->fzero.v = v->stale ? 0 : f64_bits(s->fh->zero_count);
        bit_writer_put(w, c->fcount.v, 64);
        bit_writer_put(w, c->fzero.v, 64);
        bit_writer_put(w, c->sum.v, 64);
        for (size_t i = 0; i < n; i++) {
            double b = i < c->positive_buckets ? v->positive.absolute[i] : v->negative.absolute[i - c->positive_buckets];
            c->columns[i].v = f64_bits(b);
            bit_writer_put(w, c->columns[i].v, 64);
        }
    } else {
        c->count = v->stale ? 0 : s->h->count;
        c->zero_count = v->stale ? 0 : s->h->zero_count;
        bit_writer_varbit_uint(w, c->count);
        bit_writer_varbit_uint(w, c->zero_count);
        bit_writer_put(w, c->sum.v, 64);
        for (size_t i = 0; i < n; i++) {
            c->buckets[i] = i < c->positive_buckets ? v->positive.deltas[i] : v->negative.deltas[i - c->positive_buckets];
            bit_writer_varbit_int(w, c->buckets[i]);
        }
    }
}

static void put_later_int(struct histogram_chunk *c, const struct histogram_sample *s, const struct view *v)
{
    struct bit_writer *w = &c->out;
    uint64_t count = v->stale ? 0 : s->h->count, zero = v->stale ? 0 : s->h->zero_count;
    int64_t count_delta = (int64_t)(count - c->count), zero_delta = (int64_t)(zero - c->zero_count);
    bit_writer_varbit_int(w, v->stale ? 0 : (int64_t)((uint64_t)count_delta - (uint64_t)c->count_delta));
    bit_writer_varbit_int(w, v->stale ? 0 : (int64_t)((uint64_t)zero_delta - (uint64_t)c->zero_delta));
    xor_column_write(&c->sum, w, f64_bits(s->h->sum));
    c->count = count;
    c->zero_count = zero;
    c->count_delta = count_delta;
    c->zero_delta = zero_delta;
    size_t n = v->stale ? 0 : c->positive_buckets + c->negative_buckets;
    for (size_t i = 0; i < n; i++) {
        int64_t b = i < c->positive_buckets ? v->positive.deltas[i] : v->negative.deltas[i - c->positive_buckets];
        int64_t delta = (int64_t)((uint64_t)b - (uint64_t)c->buckets[i]);
        bit_writer_varbit_int(w, (int64_t)((uint64_t)delta - (uint64_t)c->bucket_deltas[i]));
        c->bucket_deltas[i] = delta;
        c->buckets[i] = b;
    }
}

static void put_later_float(struct histogram_chunk *c, const struct histogram_sample *s, const struct view *v)
{
    struct bit_writer *w = &c->out;
    xor_column_write(&c->fcount, w, v->stale ? 0 : f64_bits(s->fh->count));
    xor_column_write(&c->fzero, w, v->stale ? 0 : f64_bits(s->fh->zero_count));
    xor_column_write(&c->sum, w, f64_bits(s->fh->sum));
    size_t n = v->stale ? 0 : c->positive_buckets + c->negative_buckets;
    for (size_t i = 0; i < n; i++) {
        double b = i < c->positive_buckets ? v->positive.absolute[i] : v->negative.absolute[i - c->positive_buckets];
        xor_column_write(&c->columns[i], w, f64_bits(b));
    }
}

/* The sample's layout is the chunk's. */
static void put_sample(struct histogram_chunk *c, const struct histogram_sample *s, const struct view *v)
{
    ASSERT(c->n < 65535);
    if (c->n == 0) {
        c->mint = s->t;
        put_first(c, s, v);
    } else {
        ASSERT(s->t > c->t);
        int64_t delta = (int64_t)((uint64_t)s->t - (uint64_t)c->t);
        bit_writer_varbit_int(&c->out, (int64_t)((uint64_t)delta - (uint64_t)c->t_delta));
        c->t_delta = delta;
        if (c->is_float)
            put_later_float(c, s, v);
        else
            put_later_int(c, s, v);
    }
    c->t = s->t;
    c->last_stale = v->stale;
    put_be16(c->out.p, ++c->n);
}

static void chunk_begin(struct histogram_chunk *c, const struct view *v, bool is_float, enum reset_flag flag)
{
    struct view empty = { .stale = true };
    struct histogram_chunk fresh = { .is_float = is_float, .flag = flag, .out = c->out };
    layout_drop(c);
    *c = fresh;
    c->fcount.lead = c->fzero.lead = c->sum.lead = XOR_NO_WINDOW;
    layout_set(c, v->stale ? &empty : v);
    for (size_t i = 0; is_float && i < c->positive_buckets + c->negative_buckets; i++)
        c->columns[i].lead = XOR_NO_WINDOW;
    put_header(c);
}

void histogram_chunk_start(struct histogram_chunk *c, const struct histogram_sample *s, enum reset_flag flag)
{
    struct view v = view_of(s);
    chunk_begin(c, &v, s->fh != NULL, flag);
    put_sample(c, s, &v);
}

/* ---- layouts that grow ---- */

/* The buckets of `side` in the layout `spans`, which has all of side's; what side lacks is empty. */
static struct side spread(struct arena *a, const struct side *side, const struct histogram_span *spans, size_t spans_count,
                          size_t buckets)
{
    struct side target = { .spans = spans, .spans_count = spans_count, .buckets = buckets };
    int64_t *deltas = side->deltas ? arena_alloc_array(a, buckets + 1, sizeof *deltas) : NULL;
    double *absolute = side->deltas ? NULL : arena_alloc_array(a, buckets + 1, sizeof *absolute);
    struct bucket_walk from, to;
    int64_t before = 0;
    walk_start(&from, side);
    walk_start(&to, &target);
    bool more = walk_next(&from);
    for (size_t i = 0; walk_next(&to); i++) {
        bool hit = more && from.index == to.index;
        if (deltas) {
            int64_t count = hit ? from.sum : 0;
            deltas[i] = (int64_t)((uint64_t)count - (uint64_t)before);
            before = count;
        } else {
            absolute[i] = hit ? walk_value(&from) : 0;
        }
        if (hit)
            more = walk_next(&from);
    }
    ASSERT(!more);
    target.deltas = deltas;
    target.absolute = absolute;
    return target;
}

static void spans_push(struct side *s, struct histogram_span *spans, int64_t index, int64_t *last)
{
    if (s->spans_count && index == *last + 1) {
        spans[s->spans_count - 1].length++;
    } else {
        int64_t offset = s->spans_count ? index - *last - 1 : index;
        spans[s->spans_count++] = (struct histogram_span){ .offset = (int32_t)offset, .length = 1 };
    }
    *last = index;
    s->buckets++;
}

/* All buckets of both, touching spans joined, none empty. */
static struct side unite(struct arena *a, const struct side *x, const struct side *y)
{
    struct side out = { 0 };
    struct histogram_span *spans = arena_alloc_array(a, x->buckets + y->buckets + 1, sizeof *spans);
    struct bucket_walk i, j;
    int64_t last = 0;
    walk_start(&i, x);
    walk_start(&j, y);
    bool more_i = walk_next(&i), more_j = walk_next(&j);
    while (more_i || more_j) {
        bool take_i = more_i && (!more_j || i.index <= j.index), take_j = more_j && (!more_i || j.index <= i.index);
        spans_push(&out, spans, take_i ? i.index : j.index, &last);
        more_i = take_i ? walk_next(&i) : more_i;
        more_j = take_j ? walk_next(&j) : more_j;
    }
    out.spans = spans;
    return out;
}

/* The layout that a side of the rewritten chunk gets: the sample's as it came, unless the chunk has buckets it lacks. */
static struct side wider_side(struct arena *a, const struct side *chunk, const struct side *sample)
{
    struct layout_diff d = { 0 };
    diff_side(chunk, sample, &d);
    return d.backward ? unite(a, chunk, sample) : *sample;
}

static void put_spread(struct histogram_chunk *c, struct arena *a, const struct histogram_sample *s, const struct view *v)
{
    struct view wide = *v;
    if (!v->stale) {
        wide.positive = spread(a, &v->positive, c->spans, c->positive_spans, c->positive_buckets);
        wide.negative = spread(a, &v->negative, c->spans + c->positive_spans, c->negative_spans, c->negative_buckets);
    }
    put_sample(c, s, &wide);
}

/* Decodes the chunk and encodes it again with the layout of `wide`. */
static void rewrite(struct histogram_chunk *c, struct arena *a, const struct view *wide)
{
    struct histogram_reader r;
    struct err err = { 0 };
    size_t bytes = histogram_chunk_bytes(c);
    uint8_t *old = arena_alloc(a, bytes);
    memcpy(old, c->out.p, bytes);
    bool ok = histogram_reader_init(&r, c->is_float ? 3 : 2, old, bytes, a, &err);
    ASSERT(ok); /* our own bytes */
    chunk_begin(c, wide, c->is_float, c->flag);
    while (histogram_reader_next(&r, &err)) {
        struct int_histogram h;
        struct float_histogram fh;
        struct histogram_sample s = { .t = r.t };
        if (c->is_float) {
            histogram_reader_float(&r, &fh);
            s.fh = &fh;
        } else {
            histogram_reader_int(&r, &h);
            s.h = &h;
        }
        struct view v = view_of(&s);
        put_spread(c, a, &s, &v);
    }
    ASSERT(err.code == ERR_NONE);
}

bool histogram_chunk_append(struct histogram_chunk *c, const struct histogram_sample *s, enum reset_flag *flag)
{
    ASSERT(c->n > 0 && (s->fh != NULL) == c->is_float);
    struct view v = view_of(s);
    struct layout_diff d;
    if (hint_of(s) == RESET_GAUGE) {
        *flag = FLAG_GAUGE;
        if (!gauge_joins(c, &v, &d))
            return false;
    } else {
        enum join j = join_test(c, s, &v, &d);
        *flag = flag_of(j);
        if (j != JOINS)
            return false;
    }
    if (c->n == 65535)
        return false;
    if (!d.forward && !d.backward) {
        put_sample(c, s, &v);
        return true;
    }
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    if (d.forward) {
        struct side p = chunk_side(c, false), n = chunk_side(c, true);
        struct view wide = v;
        wide.positive = wider_side(&a, &p, &v.positive);
        wide.negative = wider_side(&a, &n, &v.negative);
        rewrite(c, &a, &wide);
    }
    put_spread(c, &a, s, &v);
    arena_deinit(&a);
    return true;
}

/* ---- the newest sample ---- */

static int64_t *dup_deltas(struct arena *a, const int64_t *v, size_t n)
{
    int64_t *out = arena_alloc_array(a, n + 1, sizeof *out);
    if (n)
        memcpy(out, v, n * sizeof *out);
    return out;
}

void histogram_chunk_last_int(const struct histogram_chunk *c, struct arena *a, struct int_histogram *out)
{
    ASSERT(!c->is_float);
    *out = (struct int_histogram){ .hint = c->flag == FLAG_GAUGE ? RESET_GAUGE : RESET_UNKNOWN,
                                   .sum = f64_from_bits(c->sum.v) };
    if (c->last_stale)
        return;
    out->schema = c->schema;
    out->zero_threshold = c->zero_threshold;
    out->zero_count = c->zero_count;
    out->count = c->count;
    out->positive = (struct int_side){ c->spans, c->positive_spans, dup_deltas(a, c->buckets, c->positive_buckets),
                                       c->positive_buckets };
    out->negative = (struct int_side){ c->spans + c->positive_spans, c->negative_spans,
                                       dup_deltas(a, c->buckets + c->positive_buckets, c->negative_buckets),
                                       c->negative_buckets };
    out->custom_values = c->custom;
    out->custom_values_count = c->custom_count;
}

static double *dup_columns(struct arena *a, const struct xor_column *v, size_t n)
{
    double *out = arena_alloc_array(a, n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++)
        out[i] = f64_from_bits(v[i].v);
    return out;
}

void histogram_chunk_last_float(const struct histogram_chunk *c, struct arena *a, struct float_histogram *out)
{
    ASSERT(c->is_float);
    *out = (struct float_histogram){ .hint = c->flag == FLAG_GAUGE ? RESET_GAUGE : RESET_UNKNOWN,
                                     .sum = f64_from_bits(c->sum.v) };
    if (c->last_stale)
        return;
    out->schema = c->schema;
    out->zero_threshold = c->zero_threshold;
    out->zero_count = f64_from_bits(c->fzero.v);
    out->count = f64_from_bits(c->fcount.v);
    out->positive = (struct float_side){ c->spans, c->positive_spans, dup_columns(a, c->columns, c->positive_buckets),
                                         c->positive_buckets };
    out->negative = (struct float_side){ c->spans + c->positive_spans, c->negative_spans,
                                         dup_columns(a, c->columns + c->positive_buckets, c->negative_buckets),
                                         c->negative_buckets };
    out->custom_values = c->custom;
    out->custom_values_count = c->custom_count;
}
