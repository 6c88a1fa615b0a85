/* Histograms as values: copies, checks, comparison, bounds, walks, text. What computes is in histogram_math.c.
 *
 *   H1  A side's spans hold as many buckets as its array (float_histogram_check says so of outside data; walks stop at
 *       whichever ends first).
 *   H2  Indexes rise along a side; a gap of 0 between spans is allowed, empty spans too, and neither means anything. */
#include "model/histogram.h"

#include "base/num.h"
#include "model/histogram_int.h"
#include "model/sample.h"

#include <float.h>
#include <math.h>

bool histogram_schema_is_exponential(int32_t schema)
{
    return schema >= HISTOGRAM_SCHEMA_MIN && schema <= HISTOGRAM_SCHEMA_MAX;
}

bool float_histogram_is_stale(const struct float_histogram *h)
{
    return is_stale_nan(h->sum);
}

bool int_histogram_is_stale(const struct int_histogram *h)
{
    return is_stale_nan(h->sum);
}

/* Copies */

static const void *copy_array(struct arena *a, const void *from, size_t count, size_t size)
{
    if (count == 0)
        return NULL;
    void *to = arena_alloc_array(a, count, size);
    memcpy(to, from, count * size);
    return to;
}

static double *copy_doubles(struct arena *a, const double *from, size_t count)
{
    double *to = count > 0 ? arena_alloc_array(a, count, sizeof *to) : NULL;
    if (count > 0)
        memcpy(to, from, count * sizeof *to);
    return to;
}

static struct float_side copy_side(struct arena *a, const struct float_side *s)
{
    return (struct float_side){
        .spans = copy_array(a, s->spans, s->spans_count, sizeof *s->spans),
        .spans_count = s->spans_count,
        .buckets = copy_doubles(a, s->buckets, s->buckets_count),
        .buckets_count = s->buckets_count,
    };
}

void float_histogram_copy(struct arena *a, const struct float_histogram *h, struct float_histogram *out)
{
    struct float_histogram copy = *h;
    copy.positive = copy_side(a, &h->positive);
    copy.negative = copy_side(a, &h->negative);
    copy.custom_values = copy_array(a, h->custom_values, h->custom_values_count, sizeof *h->custom_values);
    *out = copy;
}

static struct int_side copy_int_side(struct arena *a, const struct int_side *s)
{
    int64_t *deltas = s->deltas_count > 0 ? arena_alloc_array(a, s->deltas_count, sizeof *deltas) : NULL;
    if (s->deltas_count > 0)
        memcpy(deltas, s->deltas, s->deltas_count * sizeof *deltas);
    return (struct int_side){
        .spans = copy_array(a, s->spans, s->spans_count, sizeof *s->spans),
        .spans_count = s->spans_count,
        .deltas = deltas,
        .deltas_count = s->deltas_count,
    };
}

void int_histogram_copy(struct arena *a, const struct int_histogram *h, struct int_histogram *out)
{
    struct int_histogram copy = *h;
    copy.positive = copy_int_side(a, &h->positive);
    copy.negative = copy_int_side(a, &h->negative);
    copy.custom_values = copy_array(a, h->custom_values, h->custom_values_count, sizeof *h->custom_values);
    *out = copy;
}

static struct float_side side_from_int(struct arena *a, const struct int_side *s)
{
    double *buckets = s->deltas_count > 0 ? arena_alloc_array(a, s->deltas_count, sizeof *buckets) : NULL;
    uint64_t count = 0; /* unsigned: damaged deltas wrap, as upstream's do */
    for (size_t i = 0; i < s->deltas_count; i++) {
        count += (uint64_t)s->deltas[i];
        buckets[i] = (double)(int64_t)count;
    }
    return (struct float_side){
        .spans = copy_array(a, s->spans, s->spans_count, sizeof *s->spans),
        .spans_count = s->spans_count,
        .buckets = buckets,
        .buckets_count = s->deltas_count,
    };
}

void float_histogram_from_int(struct arena *a, const struct int_histogram *h, struct float_histogram *out)
{
    *out = (struct float_histogram){
        .hint = h->hint,
        .schema = h->schema,
        .zero_threshold = h->zero_threshold,
        .zero_count = (double)h->zero_count,
        .count = (double)h->count,
        .sum = h->sum,
        .positive = side_from_int(a, &h->positive),
        .negative = side_from_int(a, &h->negative),
        .custom_values = copy_array(a, h->custom_values, h->custom_values_count, sizeof *h->custom_values),
        .custom_values_count = h->custom_values_count,
    };
}

/* Checks of outside data */

static bool check_spans(const struct histogram_span *spans, size_t count, size_t buckets, bool first_too,
                        uint64_t *reach, struct err *err)
{
    uint64_t needed = 0;
    *reach = 0;
    for (size_t i = 0; i < count; i++) {
        if (spans[i].offset < 0 && (i > 0 || first_too))
            return err_set(err, ERR_INVALID,
                           "span number %zu with offset %d: histogram has a span whose offset is negative", i + 1,
                           spans[i].offset);
        needed += spans[i].length;
        *reach += (uint64_t)(spans[i].offset < 0 ? 0 : spans[i].offset) + spans[i].length;
    }
    if (needed != buckets)
        return err_set(err, ERR_INVALID,
                       "spans need %llu buckets, have %zu buckets: histogram spans specify different number of "
                       "buckets than provided",
                       (unsigned long long)needed, buckets);
    return true;
}

static bool check_bounds(const double *bounds, size_t count, struct err *err)
{
    double previous = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        if (bounds[i] <= previous)
            return err_set(err, ERR_INVALID,
                           "previous bound is %f and current is %f: histogram custom bounds must be in strictly "
                           "increasing order",
                           previous, bounds[i]);
        previous = bounds[i];
    }
    if (isinf(previous))
        return err_set(err, ERR_INVALID,
                       "last +Inf bound must not be explicitly defined: histogram custom bounds must be finite");
    return true;
}

/* What both forms have in common; the counts are each form's own. */
struct layout {
    int32_t schema;
    double zero_threshold;
    bool has_zero_count;
    const struct histogram_span *positive, *negative;
    size_t positive_spans, positive_buckets, negative_spans, negative_buckets;
    const double *bounds;
    size_t bounds_count;
};

static bool check_custom(const struct layout *l, struct err *err)
{
    uint64_t reach;
    if (!check_bounds(l->bounds, l->bounds_count, err) ||
        !check_spans(l->positive, l->positive_spans, l->positive_buckets, true, &reach, err))
        return err_wrap(err, "custom buckets");
    if (l->bounds_count + 1 < reach)
        return err_set(err, ERR_INVALID,
                       "custom buckets: only %zu custom bounds defined which is insufficient to cover total span "
                       "length of %llu: histogram custom bounds are too few",
                       l->bounds_count, (unsigned long long)reach);
    if (l->has_zero_count)
        return err_set(err, ERR_INVALID, "custom buckets: must have zero count of 0");
    if (l->zero_threshold != 0)
        return err_set(err, ERR_INVALID, "custom buckets: must have zero threshold of 0");
    if (l->negative_spans > 0)
        return err_set(err, ERR_INVALID, "custom buckets: must not have negative spans");
    if (l->negative_buckets > 0)
        return err_set(err, ERR_INVALID, "custom buckets: must not have negative buckets");
    return true;
}

static bool check_layout(const struct layout *l, struct err *err)
{
    uint64_t reach;
    if (l->schema == HISTOGRAM_SCHEMA_CUSTOM)
        return check_custom(l, err);
    if (!histogram_schema_is_exponential(l->schema))
        return err_set(err, ERR_INVALID,
                       "histogram has an invalid schema, which must be between %d and %d for exponential buckets, "
                       "or %d for custom buckets, got schema %d",
                       HISTOGRAM_SCHEMA_MIN, HISTOGRAM_SCHEMA_MAX, HISTOGRAM_SCHEMA_CUSTOM, l->schema);
    if (!check_spans(l->positive, l->positive_spans, l->positive_buckets, false, &reach, err))
        return err_wrap(err, "positive side");
    if (!check_spans(l->negative, l->negative_spans, l->negative_buckets, false, &reach, err))
        return err_wrap(err, "negative side");
    if (l->bounds_count > 0)
        return err_set(err, ERR_INVALID, "histogram with exponential schema must not have custom bounds");
    return true;
}

static bool check_counts(const struct float_side *s, const char *side, struct err *err)
{
    for (size_t i = 0; i < s->buckets_count; i++)
        if (s->buckets[i] < 0)
            return err_set(err, ERR_INVALID,
                           "%s side: bucket number %zu has observation count of %g: histogram has a bucket whose "
                           "observation count is negative",
                           side, i + 1, s->buckets[i]);
    return true;
}

bool float_histogram_check(const struct float_histogram *h, struct err *err)
{
    struct layout l = {
        .schema = h->schema,
        .zero_threshold = h->zero_threshold,
        .has_zero_count = h->zero_count != 0,
        .positive = h->positive.spans,
        .positive_spans = h->positive.spans_count,
        .positive_buckets = h->positive.buckets_count,
        .negative = h->negative.spans,
        .negative_spans = h->negative.spans_count,
        .negative_buckets = h->negative.buckets_count,
        .bounds = h->custom_values,
        .bounds_count = h->custom_values_count,
    };
    /* The count is not held against the sum of the buckets: rounding would make liars of honest histograms. */
    return check_layout(&l, err) && check_counts(&h->negative, "negative", err) &&
           check_counts(&h->positive, "positive", err);
}

static bool check_deltas(const struct int_side *s, const char *side, uint64_t *total, struct err *err)
{
    int64_t count = 0;
    for (size_t i = 0; i < s->deltas_count; i++) {
        if (__builtin_add_overflow(count, s->deltas[i], &count) || count < 0)
            return err_set(err, ERR_INVALID,
                           "%s side: bucket number %zu has observation count of %lld: histogram has a bucket whose "
                           "observation count is negative",
                           side, i + 1, (long long)count);
        *total += (uint64_t)count;
    }
    return true;
}

bool int_histogram_check(const struct int_histogram *h, struct err *err)
{
    struct layout l = {
        .schema = h->schema,
        .zero_threshold = h->zero_threshold,
        .has_zero_count = h->zero_count != 0,
        .positive = h->positive.spans,
        .positive_spans = h->positive.spans_count,
        .positive_buckets = h->positive.deltas_count,
        .negative = h->negative.spans,
        .negative_spans = h->negative.spans_count,
        .negative_buckets = h->negative.deltas_count,
        .bounds = h->custom_values,
        .bounds_count = h->custom_values_count,
    };
    uint64_t total = h->zero_count;
    if (!check_layout(&l, err) || !check_deltas(&h->negative, "negative", &total, err) ||
        !check_deltas(&h->positive, "positive", &total, err))
        return false;
    bool not_counted = isnan(h->sum); /* NaN observations are counted, but in no bucket */
    if (not_counted ? total <= h->count : total == h->count)
        return true;
    return err_set(err, ERR_INVALID,
                   "%llu observations found in buckets, but the Count field is %llu: histogram's observation count "
                   "should %s",
                   (unsigned long long)total, (unsigned long long)h->count,
                   not_counted ? "be at least the number of observations found in the buckets"
                               : "equal the number of observations found in the buckets (in absence of NaN)");
}

/* Walks */

struct side_cursor side_start(const struct histogram_span *spans, size_t spans_count, size_t buckets_count)
{
    return (struct side_cursor){
        .spans = spans,
        .spans_count = spans_count,
        .next_index = spans_count > 0 ? spans[0].offset : 0,
        .buckets_count = buckets_count,
    };
}

bool side_next(struct side_cursor *c)
{
    while (c->span < c->spans_count && c->in_span == c->spans[c->span].length) {
        c->span++;
        c->in_span = 0;
        if (c->span < c->spans_count)
            c->next_index = index_add(c->next_index, c->spans[c->span].offset);
    }
    if (c->span == c->spans_count || c->next_bucket == c->buckets_count)
        return false;
    c->index = c->next_index;
    c->bucket = c->next_bucket++;
    c->in_span++;
    c->next_index = index_add(c->next_index, 1);
    return true;
}

static double scale(double mantissa, int64_t exponent)
{
    return exponent > 4096 ? (double)INFINITY : exponent < -4096 ? 0 : ldexp(mantissa, (int)exponent);
}

double histogram_bound(int32_t schema, int32_t index, const double *custom_values, size_t custom_values_count)
{
    if (schema == HISTOGRAM_SCHEMA_CUSTOM) {
        if (index < 0)
            return -INFINITY;
        return (size_t)index < custom_values_count ? custom_values[index] : (double)INFINITY;
    }
    ASSERT(histogram_schema_is_exponential(schema));
    if (schema < 0) {
        int64_t exponent = (int64_t)index * (INT64_C(1) << -schema);
        return exponent == 1024 ? DBL_MAX : scale(1, exponent);
    }
    int32_t steps = 1 << schema;
    int32_t step = index & (steps - 1);
    int64_t exponent = ((int64_t)index - step) / steps + 1;
    double mantissa = histogram_mantissas[step << (HISTOGRAM_SCHEMA_MAX - schema)];
    /* What would be 2^1024 is the largest number there is, so that the last finite bucket has an end. */
    return step == 0 && exponent == 1025 ? DBL_MAX : scale(mantissa, exponent);
}

static void fill_bucket(const struct float_histogram *h, const struct float_side *side, int32_t index, size_t bucket,
                        struct histogram_bucket *b)
{
    bool positive = side == &h->positive;
    double outer = histogram_bound(h->schema, index, h->custom_values, h->custom_values_count);
    double inner = histogram_bound(h->schema, index_add(index, -1), h->custom_values, h->custom_values_count);
    *b = (struct histogram_bucket){
        .lower = positive ? inner : -outer,
        .upper = positive ? outer : -inner,
        .count = side->buckets[bucket],
        .index = index,
        .side = positive ? 1 : -1,
    };
    bool custom = h->schema == HISTOGRAM_SCHEMA_CUSTOM;
    b->lower_inclusive = custom ? index == 0 : b->lower < 0;
    b->upper_inclusive = custom || b->upper > 0;
}

static void fill_zero_bucket(const struct float_histogram *h, struct histogram_bucket *b)
{
    *b = (struct histogram_bucket){ .lower = -h->zero_threshold, .upper = h->zero_threshold, .lower_inclusive = true,
                                    .upper_inclusive = true, .count = h->zero_count };
}

void histogram_walk_start(struct histogram_walk *w, const struct float_histogram *h, bool descending)
{
    *w = (struct histogram_walk){ .h = h, .descending = descending };
}

static int32_t side_end(const struct float_side *s)
{
    int32_t index = 0;
    for (size_t i = 0; i < s->spans_count; i++)
        index = index_add(index_add(index, s->spans[i].offset), (int32_t)s->spans[i].length);
    return index;
}

/* in_span counts what is done of the span. */
static bool walk_outwards(struct histogram_walk *w, const struct float_side *s, int32_t *index, size_t *bucket)
{
    if (!w->side_open) {
        w->side_open = true;
        w->span = w->in_span = w->bucket = 0;
        w->index = s->spans_count > 0 ? s->spans[0].offset : 0;
    }
    while (w->span < s->spans_count && w->in_span == s->spans[w->span].length) {
        w->in_span = 0;
        if (++w->span < s->spans_count)
            w->index = index_add(w->index, s->spans[w->span].offset);
    }
    if (w->span == s->spans_count || w->bucket == s->buckets_count)
        return false;
    *index = w->index;
    *bucket = w->bucket++;
    w->in_span++;
    w->index = index_add(w->index, 1);
    return true;
}

/* in_span counts what is left of the span; index is one above the next bucket. */
static bool walk_inwards(struct histogram_walk *w, const struct float_side *s, int32_t *index, size_t *bucket)
{
    if (!w->side_open) {
        w->side_open = true;
        w->span = s->spans_count;
        w->in_span = 0;
        w->bucket = s->buckets_count;
        w->index = side_end(s);
    }
    while (w->in_span == 0) {
        if (w->span == 0)
            return false;
        if (w->span < s->spans_count)
            w->index = (int32_t)((uint32_t)w->index - (uint32_t)s->spans[w->span].offset);
        w->in_span = s->spans[--w->span].length;
    }
    if (w->bucket == 0)
        return false;
    w->in_span--;
    w->index = index_add(w->index, -1);
    *index = w->index;
    *bucket = --w->bucket;
    return true;
}

/* Next bucket of the side whose turn it is; the inner bound is moved out of the zero bucket. */
static bool walk_side(struct histogram_walk *w, struct histogram_bucket *b)
{
    const struct float_histogram *h = w->h;
    bool first = w->stage == 0;
    bool negative = first != w->descending;
    const struct float_side *side = negative ? &h->negative : &h->positive;
    int32_t index;
    size_t bucket;
    if (!(first ? walk_inwards(w, side, &index, &bucket) : walk_outwards(w, side, &index, &bucket)))
        return false;
    fill_bucket(h, side, index, bucket, b);
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
        return true;
    if (negative && b->upper > -h->zero_threshold)
        b->upper = -h->zero_threshold;
    if (!negative && b->lower < h->zero_threshold)
        b->lower = h->zero_threshold;
    return true;
}

bool histogram_walk_next(struct histogram_walk *w, struct histogram_bucket *b)
{
    for (; w->stage < 3; w->stage++, w->side_open = false) {
        if (w->stage != 1) {
            if (walk_side(w, b))
                return true;
        } else if (w->h->zero_count > 0 && !w->side_open) {
            w->side_open = true;
            fill_zero_bucket(w->h, b);
            return true;
        }
    }
    return false;
}

/* Comparison */

static bool same_bits(double a, double b)
{
    return f64_bits(a) == f64_bits(b);
}

static bool same_bounds(const double *a, size_t a_count, const double *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

static bool same_side(const struct float_side *a, const struct float_side *b)
{
    struct side_cursor x = side_start(a->spans, a->spans_count, a->buckets_count);
    struct side_cursor y = side_start(b->spans, b->spans_count, b->buckets_count);
    for (;;) {
        bool more = side_next(&x);
        if (more != side_next(&y))
            return false;
        if (!more)
            return true;
        if (x.index != y.index || !same_bits(a->buckets[x.bucket], b->buckets[y.bucket]))
            return false;
    }
}

bool float_histogram_eq(const struct float_histogram *a, const struct float_histogram *b)
{
    return a->schema == b->schema && same_bits(a->count, b->count) && same_bits(a->sum, b->sum) &&
           a->zero_threshold == b->zero_threshold && same_bits(a->zero_count, b->zero_count) &&
           same_bounds(a->custom_values, a->custom_values_count, b->custom_values, b->custom_values_count) &&
           same_side(&a->positive, &b->positive) && same_side(&a->negative, &b->negative);
}

static bool same_int_side(const struct int_side *a, const struct int_side *b)
{
    struct side_cursor x = side_start(a->spans, a->spans_count, a->deltas_count);
    struct side_cursor y = side_start(b->spans, b->spans_count, b->deltas_count);
    for (;;) {
        bool more = side_next(&x);
        if (more != side_next(&y))
            return false;
        if (!more)
            return true;
        if (x.index != y.index || a->deltas[x.bucket] != b->deltas[y.bucket])
            return false;
    }
}

bool int_histogram_eq(const struct int_histogram *a, const struct int_histogram *b)
{
    return a->schema == b->schema && a->count == b->count && same_bits(a->sum, b->sum) &&
           a->zero_threshold == b->zero_threshold && a->zero_count == b->zero_count &&
           same_bounds(a->custom_values, a->custom_values_count, b->custom_values, b->custom_values_count) &&
           same_int_side(&a->positive, &b->positive) && same_int_side(&a->negative, &b->negative);
}

size_t float_histogram_size(const struct float_histogram *h)
{
    size_t words = h->positive.spans_count + h->positive.buckets_count + h->negative.spans_count +
                   h->negative.buckets_count + h->custom_values_count;
    return 168 + 8 * words;
}

/* Text */

static void write_bucket(struct buf *b, const struct histogram_bucket *bucket)
{
    buf_c(b, bucket->lower_inclusive ? ", [" : ", (");
    num_write_f64(b, bucket->lower, 'g', -1);
    buf_byte(b, ',');
    num_write_f64(b, bucket->upper, 'g', -1);
    buf_c(b, bucket->upper_inclusive ? "]:" : "):");
}

static void write_buckets(struct buf *b, const struct float_histogram *h, bool whole)
{
    struct histogram_walk w;
    struct histogram_bucket bucket;
    histogram_walk_start(&w, h, false);
    while (histogram_walk_next(&w, &bucket)) {
        if (bucket.count == 0)
            continue;
        /* The text shows a bucket's own bounds, also where they reach into the zero bucket. */
        if (bucket.side != 0 && h->schema != HISTOGRAM_SCHEMA_CUSTOM) {
            double inner = histogram_bound(h->schema, index_add(bucket.index, -1), NULL, 0);
            if (bucket.side > 0)
                bucket.lower = inner;
            else
                bucket.upper = -inner;
        }
        write_bucket(b, &bucket);
        if (whole)
            buf_i64(b, (int64_t)bucket.count);
        else
            num_write_f64(b, bucket.count, 'g', -1);
    }
    buf_byte(b, '}');
}

void float_histogram_write(struct buf *b, const struct float_histogram *h)
{
    buf_c(b, "{count:");
    num_write_f64(b, h->count, 'g', -1);
    buf_c(b, ", sum:");
    num_write_f64(b, h->sum, 'g', -1);
    write_buckets(b, h, false);
}

void int_histogram_write(struct buf *b, const struct int_histogram *h)
{
    struct arena a;
    struct float_histogram f;
    arena_init(&a, ARENA_NO_LIMIT);
    float_histogram_from_int(&a, h, &f);
    buf_printf(b, "{count:%llu, sum:", (unsigned long long)h->count);
    num_write_f64(b, h->sum, 'g', -1);
    write_buckets(b, &f, true);
    arena_deinit(&a);
}
