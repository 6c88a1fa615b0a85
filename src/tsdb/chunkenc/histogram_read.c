/* Reading chunks of histograms.
 *
 * R1  Integer buckets are deltas between neighbours, of which the chunk stores deltas of deltas over time; float ones are
 *     absolute, each an XOR column of its own that starts with a window of 64 bits.
 * R2  A stale sample ends after its sum; nothing after it in the chunk has buckets.
 * R3  A layout is bounded by the bits that are there: a first sample with buckets needs a bit for each. */
#include "tsdb/chunkenc/histogram_int.h"

#include "base/bytes.h"
#include "model/sample.h"

#include <math.h>

#define SCHEMA_LOWEST (-9)

static bool damaged(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "histogram chunk: %s", what);
}

static double read_threshold(struct bit_reader *r)
{
    unsigned b = (unsigned)bit_reader_take(r, 8);
    if (b == 0)
        return 0;
    if (b == 255)
        return f64_from_bits(bit_reader_take(r, 64));
    return ldexp(0.5, (int)b - 243);
}

static bool read_spans(struct histogram_reader *h, struct histogram_span **spans, size_t *count, size_t *buckets,
                       struct err *err)
{
    uint64_t n = bit_reader_varbit_uint(&h->r);
    if (h->r.bad || n > bit_reader_left(&h->r)) /* a span takes two bits at least */
        return damaged(err, "more spans than bytes");
    *spans = arena_try_alloc_array(h->arena, (size_t)n + 1, sizeof **spans);
    if (!*spans)
        return err_set(err, ERR_LIMIT, "histogram chunk: too large for the query's memory");
    *count = (size_t)n;
    *buckets = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t length = bit_reader_varbit_uint(&h->r);
        int64_t offset = bit_reader_varbit_int(&h->r);
        if (length > UINT32_MAX || offset < INT32_MIN || offset > INT32_MAX || (i > 0 && offset < 0))
            return damaged(err, "a span is out of range");
        (*spans)[i] = (struct histogram_span){ .offset = (int32_t)offset, .length = (uint32_t)length };
        *buckets += length;
        if (*buckets > bit_reader_left(&h->r))
            return damaged(err, "more buckets than bytes");
    }
    return !h->r.bad || damaged(err, "ends inside its layout");
}

static bool read_custom(struct histogram_reader *h, struct err *err)
{
    uint64_t n = bit_reader_varbit_uint(&h->r);
    if (h->r.bad || n > bit_reader_left(&h->r))
        return damaged(err, "more bounds than bytes");
    h->custom = arena_try_alloc_array(h->arena, (size_t)n + 1, sizeof *h->custom);
    if (!h->custom)
        return err_set(err, ERR_LIMIT, "histogram chunk: too large for the query's memory");
    h->custom_count = (size_t)n;
    for (size_t i = 0; i < n; i++) {
        uint64_t x = bit_reader_varbit_uint(&h->r);
        h->custom[i] = x ? (double)(x - 1) / 1000 : f64_from_bits(bit_reader_take(&h->r, 64));
    }
    return !h->r.bad || damaged(err, "ends inside its bounds");
}

static bool read_layout(struct histogram_reader *h, struct err *err)
{
    size_t negative = 0;
    h->zero_threshold = read_threshold(&h->r);
    int64_t schema = bit_reader_varbit_int(&h->r);
    if (schema != HISTOGRAM_SCHEMA_CUSTOM && (schema < SCHEMA_LOWEST || schema > HISTOGRAM_SCHEMA_STORED_MAX))
        return damaged(err, "unknown schema");
    h->schema = (int32_t)schema;
    if (!read_spans(h, &h->positive_spans, &h->positive_spans_count, &h->positive_buckets, err) ||
        !read_spans(h, &h->negative_spans, &h->negative_spans_count, &negative, err))
        return false;
    h->buckets = h->positive_buckets + negative;
    if (h->buckets > bit_reader_left(&h->r))
        return damaged(err, "more buckets than bytes");
    return h->schema != HISTOGRAM_SCHEMA_CUSTOM || read_custom(h, err);
}

bool histogram_reader_init(struct histogram_reader *h, uint8_t encoding, const uint8_t *p, size_t n, struct arena *arena,
                           struct err *err)
{
    bool st = encoding == 5 || encoding == 6;
    *h = (struct histogram_reader){ .arena = arena, .is_float = encoding == 3 || encoding == 6, .has_st = st };
    if (n < 3)
        return damaged(err, "shorter than its header");
    h->n = get_be16(p);
    h->flag = (enum reset_flag)(p[2] & 0xc0);
    if (st) {
        h->flag = (enum reset_flag)(p[0] & 0xc0);
        h->n &= 0x3fff;
        h->first_st = p[2];
    }
    if (h->n == 0)
        return true;
    h->r = (struct bit_reader){ .p = p, .bytes = n, .pos = 24 };
    if (!read_layout(h, err))
        return false;
    size_t size = h->is_float ? sizeof *h->columns : 2 * sizeof *h->ints;
    void *state = arena_try_alloc_array(arena, h->buckets + 1, size);
    if (!state)
        return err_set(err, ERR_LIMIT, "histogram chunk: too large for the query's memory");
    if (h->is_float) {
        h->columns = state;
    } else {
        h->ints = state;
        h->int_deltas = h->ints + h->buckets;
    }
    return true;
}

static void first_sample(struct histogram_reader *h)
{
    struct bit_reader *r = &h->r;
    h->t = bit_reader_varbit_int(r);
    if (h->is_float) {
        h->fcount.v = bit_reader_take(r, 64);
        h->fzero.v = bit_reader_take(r, 64);
        h->sum.v = bit_reader_take(r, 64);
        for (size_t i = 0; i < h->buckets; i++)
            h->columns[i].v = bit_reader_take(r, 64);
    } else {
        h->count = bit_reader_varbit_uint(r);
        h->zero_count = bit_reader_varbit_uint(r);
        h->sum.v = bit_reader_take(r, 64);
        for (size_t i = 0; i < h->buckets; i++)
            h->ints[i] = bit_reader_varbit_int(r);
    }
}

static int64_t add_wrap(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static void later_sample(struct histogram_reader *h)
{
    struct bit_reader *r = &h->r;
    h->t_delta = add_wrap(h->t_delta, bit_reader_varbit_int(r));
    h->t = add_wrap(h->t, h->t_delta);
    if (h->is_float) {
        xor_column_read(&h->fcount, r);
        xor_column_read(&h->fzero, r);
        xor_column_read(&h->sum, r);
    } else {
        h->count_delta = add_wrap(h->count_delta, bit_reader_varbit_int(r));
        h->count += (uint64_t)h->count_delta;
        h->zero_delta = add_wrap(h->zero_delta, bit_reader_varbit_int(r));
        h->zero_count += (uint64_t)h->zero_delta;
        xor_column_read(&h->sum, r);
    }
    if (h->sum.v == STALE_NAN_BITS)
        return;
    for (size_t i = 0; i < h->buckets; i++) {
        if (h->is_float) {
            xor_column_read(&h->columns[i], r);
        } else {
            h->int_deltas[i] = add_wrap(h->int_deltas[i], bit_reader_varbit_int(r));
            h->ints[i] = add_wrap(h->ints[i], h->int_deltas[i]);
        }
    }
}

bool histogram_reader_next(struct histogram_reader *h, struct err *err)
{
    if (h->i == h->n)
        return false;
    int64_t before = h->t;
    if (h->i == 0)
        first_sample(h);
    else
        later_sample(h);
    h->stale = h->sum.v == STALE_NAN_BITS;
    if (h->has_st) {
        unsigned from = h->first_st & 0x7f;
        if (h->i == 0 && h->first_st & 0x80)
            bit_reader_varint(&h->r);
        else if (h->i > 0 && from && h->i >= from)
            bit_reader_varbit_int(&h->r);
    }
    h->i++;
    if (h->r.bad)
        return damaged(err, "ends inside a sample");
    return h->i == 1 || h->t > before || damaged(err, "times do not ascend");
}

/* The first sample after a chunk's start was compared with nobody; later ones did not reset, or they would not be here. */
static enum counter_reset_hint hint(const struct histogram_reader *h)
{
    if (h->flag == FLAG_GAUGE)
        return RESET_GAUGE;
    return h->i <= 1 ? RESET_UNKNOWN : RESET_NO;
}

static void *copy_of(struct arena *a, const void *p, size_t n)
{
    void *q = arena_alloc(a, n ? n : 1);
    if (n)
        memcpy(q, p, n);
    return q;
}

void histogram_reader_int(const struct histogram_reader *h, struct int_histogram *out)
{
    ASSERT(!h->is_float);
    *out = (struct int_histogram){ .hint = hint(h), .sum = f64_from_bits(h->sum.v) };
    if (h->stale)
        return;
    size_t negative = h->buckets - h->positive_buckets;
    out->schema = h->schema;
    out->zero_threshold = h->zero_threshold;
    out->zero_count = h->zero_count;
    out->count = h->count;
    out->positive = (struct int_side){ h->positive_spans, h->positive_spans_count,
                                       copy_of(h->arena, h->ints, h->positive_buckets * sizeof(int64_t)),
                                       h->positive_buckets };
    out->negative = (struct int_side){ h->negative_spans, h->negative_spans_count,
                                       copy_of(h->arena, h->ints + h->positive_buckets, negative * sizeof(int64_t)),
                                       negative };
    out->custom_values = h->custom;
    out->custom_values_count = h->custom_count;
}

static double *absolute(const struct histogram_reader *h, size_t from, size_t n)
{
    double *v = arena_alloc_array(h->arena, n + 1, sizeof *v);
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (h->is_float) {
            v[i] = f64_from_bits(h->columns[from + i].v);
        } else {
            sum = add_wrap(sum, h->ints[from + i]);
            v[i] = (double)sum;
        }
    }
    return v;
}

void histogram_reader_float(const struct histogram_reader *h, struct float_histogram *out)
{
    *out = (struct float_histogram){ .hint = hint(h), .sum = f64_from_bits(h->sum.v) };
    if (h->stale)
        return;
    size_t negative = h->buckets - h->positive_buckets;
    out->schema = h->schema;
    out->zero_threshold = h->zero_threshold;
    out->count = h->is_float ? f64_from_bits(h->fcount.v) : (double)h->count;
    out->zero_count = h->is_float ? f64_from_bits(h->fzero.v) : (double)h->zero_count;
    out->positive = (struct float_side){ h->positive_spans, h->positive_spans_count, absolute(h, 0, h->positive_buckets),
                                         h->positive_buckets };
    out->negative = (struct float_side){ h->negative_spans, h->negative_spans_count,
                                         absolute(h, h->positive_buckets, negative), negative };
    out->custom_values = h->custom;
    out->custom_values_count = h->custom_count;
    if (h->schema > HISTOGRAM_SCHEMA_MAX)
        float_histogram_reduce(h->arena, out, HISTOGRAM_SCHEMA_MAX);
}
