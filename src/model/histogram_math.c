/* What computes with float histograms (spec/promql.md 10.1-10.4).
 *
 * Two histograms of one layout are added number by number, in place. All other cases go through a sparse form: a list
 * of (index, count, compensation) per side, on which raising the zero threshold, lowering the resolution, mapping to
 * other bounds and merging are short loops; at the end the list becomes spans and buckets again.
 *
 * Compensation: with Kahan-Neumaier summation every number x of h has a partner in c that holds what rounding lost.
 * Plain addition is the same code with c == NULL.
 *
 *   X1  A sparse list rises strictly in its index.
 *   X2  Swallowing into the zero bucket and lowering the resolution never change the sum of all counts. */
#include "model/histogram.h"

#include "model/histogram_int.h"

#include <math.h>
#include <string.h>

struct entry {
    int32_t index;
    double count, lost;
};
struct sparse {
    struct entry *v;
    size_t n;
};
/* A histogram in the sparse form, as far as arithmetic needs it. */
struct operand {
    int32_t schema;
    double zero_threshold, zero_count, zero_lost;
    struct sparse positive, negative;
};

/* *sum += x, what is lost to rounding goes to *lost (if there is one). */
static void add_to(double *sum, double *lost, double x)
{
    double t = *sum + x;
    if (lost != NULL) {
        if (isinf(t))
            *lost = 0;
        else if (fabs(*sum) >= fabs(x))
            *lost += (*sum - t) + x;
        else
            *lost += (x - t) + *sum;
    }
    *sum = t;
}

static struct sparse to_sparse(struct arena *a, const struct float_side *s, const struct float_side *lost)
{
    struct sparse out = { arena_alloc_array(a, s->buckets_count + 1, sizeof *out.v), 0 };
    struct side_cursor c = side_start(s->spans, s->spans_count, s->buckets_count);
    ASSERT(lost == NULL || lost->buckets_count == s->buckets_count);
    while (side_next(&c))
        out.v[out.n++] = (struct entry){ c.index, s->buckets[c.bucket], lost != NULL ? lost->buckets[c.bucket] : 0 };
    return out;
}

/* Spans for runs of neighbouring indexes; the buckets of *lost get the same spans. */
static void from_sparse(struct arena *a, const struct sparse *in, struct float_side *s, struct float_side *lost)
{
    *s = (struct float_side){ .buckets_count = in->n };
    if (lost != NULL)
        *lost = *s;
    if (in->n == 0)
        return;
    size_t runs = 1;
    for (size_t i = 1; i < in->n; i++)
        runs += in->v[i].index != index_add(in->v[i - 1].index, 1);
    struct histogram_span *spans = arena_alloc_array(a, runs, sizeof *spans);
    s->buckets = arena_alloc_array(a, in->n, sizeof *s->buckets);
    if (lost != NULL)
        lost->buckets = arena_alloc_array(a, in->n, sizeof *lost->buckets);
    int32_t end = 0;
    for (size_t i = 0; i < in->n; i++) {
        const struct entry *e = &in->v[i];
        if (i == 0 || e->index != end)
            spans[s->spans_count++] = (struct histogram_span){ index_add(e->index, (int32_t)(0u - (uint32_t)end)), 0 };
        spans[s->spans_count - 1].length++;
        end = index_add(e->index, 1);
        s->buckets[i] = e->count;
        if (lost != NULL)
            lost->buckets[i] = e->lost;
    }
    ASSERT(s->spans_count == runs);
    s->spans = spans;
    if (lost != NULL) {
        lost->spans = spans;
        lost->spans_count = runs;
    }
}

static void operand_from(struct arena *a, const struct float_histogram *h, const struct float_histogram *lost,
                         struct operand *o)
{
    *o = (struct operand){
        .schema = h->schema,
        .zero_threshold = h->zero_threshold,
        .zero_count = h->zero_count,
        .zero_lost = lost != NULL ? lost->zero_count : 0,
        .positive = to_sparse(a, &h->positive, lost != NULL ? &lost->positive : NULL),
        .negative = to_sparse(a, &h->negative, lost != NULL ? &lost->negative : NULL),
    };
}

static double outer_bound(int32_t schema, int32_t index)
{
    return histogram_bound(schema, index, NULL, 0);
}

/* The smallest threshold >= wanted that cuts through no populated bucket of the side. */
static double clear_threshold(const struct sparse *s, int32_t schema, double wanted)
{
    for (size_t i = 0; i < s->n; i++) {
        double outer = outer_bound(schema, s->v[i].index);
        double inner = outer_bound(schema, index_add(s->v[i].index, -1));
        if (inner >= wanted)
            break;
        if (outer > wanted)
            return s->v[i].count != 0 ? outer : wanted;
    }
    return wanted;
}

/* Moves what lies below the threshold into the zero bucket. */
static void swallow(struct operand *o, struct sparse *s, bool compensated)
{
    size_t n = 0;
    while (n < s->n && outer_bound(o->schema, index_add(s->v[n].index, -1)) < o->zero_threshold) {
        add_to(&o->zero_count, compensated ? &o->zero_lost : NULL, s->v[n].count);
        o->zero_lost += s->v[n].lost;
        n++;
    }
    s->v += n;
    s->n -= n;
}

static void raise_threshold(struct operand *o, double wanted, bool compensated)
{
    ASSERT(wanted > o->zero_threshold);
    double before;
    do { /* a side may push the threshold into a bucket of the other */
        before = wanted;
        wanted = clear_threshold(&o->positive, o->schema, wanted);
        wanted = clear_threshold(&o->negative, o->schema, wanted);
    } while (wanted > before);
    o->zero_threshold = wanted;
    swallow(o, &o->positive, compensated);
    swallow(o, &o->negative, compensated);
}

static int32_t reduced_index(int32_t index, int32_t steps)
{
    int64_t below = (int64_t)index - 1;
    int64_t width = INT64_C(1) << steps;
    int64_t floor = below >= 0 ? below / width : -((width - 1 - below) / width);
    return (int32_t)(floor + 1);
}

static void reduce_side(struct sparse *s, int32_t steps, bool compensated)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct entry e = s->v[i];
        e.index = reduced_index(e.index, steps);
        if (n > 0 && s->v[n - 1].index == e.index) {
            struct entry *last = &s->v[n - 1];
            add_to(&last->count, compensated ? &last->lost : NULL, e.count);
            last->lost += e.lost;
        } else {
            s->v[n++] = e;
        }
    }
    s->n = n;
}

static void reduce_operand(struct operand *o, int32_t schema, bool compensated)
{
    if (o->schema <= schema)
        return;
    reduce_side(&o->positive, o->schema - schema, compensated);
    reduce_side(&o->negative, o->schema - schema, compensated);
    o->schema = schema;
}

/* x := x + sign * y. Buckets of y inside the zero bucket have been counted there. */
static void merge(struct arena *a, struct sparse *x, const struct sparse *y, double sign, bool compensated,
                  int32_t schema, double zero_threshold)
{
    struct sparse out = { arena_alloc_array(a, x->n + y->n + 1, sizeof *out.v), 0 };
    size_t i = 0, k = 0;
    bool exponential = schema != HISTOGRAM_SCHEMA_CUSTOM;
    while (exponential && k < y->n && outer_bound(schema, y->v[k].index) <= zero_threshold)
        k++;
    while (i < x->n || k < y->n) {
        if (k == y->n || (i < x->n && x->v[i].index < y->v[k].index)) {
            out.v[out.n++] = x->v[i++];
        } else if (i == x->n || y->v[k].index < x->v[i].index) {
            out.v[out.n++] = (struct entry){ y->v[k].index, sign * y->v[k].count, 0 };
            k++;
        } else {
            struct entry e = x->v[i++];
            add_to(&e.count, compensated ? &e.lost : NULL, sign * y->v[k++].count);
            out.v[out.n++] = e;
        }
    }
    *x = out;
}

/* Custom bounds */

static bool bounds_eq(const struct float_histogram *h, const struct float_histogram *other)
{
    if (h->custom_values_count != other->custom_values_count)
        return false;
    for (size_t i = 0; i < h->custom_values_count; i++)
        if (h->custom_values[i] != other->custom_values[i])
            return false;
    return true;
}

struct bounds {
    const double *v;
    size_t n;
};

static struct bounds common_bounds(struct arena *a, const struct float_histogram *h,
                                   const struct float_histogram *other)
{
    double *v = arena_alloc_array(a, h->custom_values_count + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0, k = 0; i < h->custom_values_count && k < other->custom_values_count;) {
        double x = h->custom_values[i], y = other->custom_values[k];
        if (x == y)
            v[n++] = x;
        i += x <= y;
        k += y <= x;
    }
    return (struct bounds){ v, n };
}

/* Each bucket goes to the first common bound at or above its own, or to the bucket that ends in +Inf. */
static void map_to_bounds(struct sparse *s, const struct float_histogram *h, struct bounds common, bool compensated)
{
    size_t n = 0, to = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct entry e = s->v[i];
        double bound = histogram_bound(HISTOGRAM_SCHEMA_CUSTOM, e.index, h->custom_values, h->custom_values_count);
        while (to < common.n && common.v[to] < bound)
            to++;
        e.index = (int32_t)to;
        if (n > 0 && s->v[n - 1].index == e.index) {
            add_to(&s->v[n - 1].count, compensated ? &s->v[n - 1].lost : NULL, e.count);
            s->v[n - 1].lost += e.lost;
        } else {
            s->v[n++] = e;
        }
    }
    s->n = n;
}

/* Addition */

static enum counter_reset_hint join_hints(enum counter_reset_hint x, enum counter_reset_hint y, bool *collision)
{
    if (x == y)
        return x;
    if (x == RESET_GAUGE || y == RESET_GAUGE)
        return RESET_GAUGE;
    *collision = x != RESET_UNKNOWN && y != RESET_UNKNOWN;
    return RESET_UNKNOWN;
}

static bool same_spans(const struct float_side *x, const struct float_side *y)
{
    return x->spans_count == y->spans_count && x->buckets_count == y->buckets_count &&
           (x->spans_count == 0 || memcmp(x->spans, y->spans, x->spans_count * sizeof *x->spans) == 0);
}

static void add_side(struct float_side *s, struct float_side *lost, const struct float_side *other, double sign)
{
    for (size_t i = 0; i < s->buckets_count; i++)
        add_to(&s->buckets[i], lost != NULL ? &lost->buckets[i] : NULL, sign * other->buckets[i]);
}

static void add_totals(struct float_histogram *h, struct float_histogram *lost, const struct float_histogram *other,
                       double sign)
{
    add_to(&h->count, lost != NULL ? &lost->count : NULL, sign * other->count);
    add_to(&h->sum, lost != NULL ? &lost->sum : NULL, sign * other->sum);
}

static void add_exponential(struct arena *a, struct float_histogram *h, struct float_histogram *lost,
                            const struct float_histogram *other, double sign)
{
    struct operand x, y;
    operand_from(a, h, lost, &x);
    operand_from(a, other, NULL, &y);
    bool compensated = lost != NULL;
    while (x.zero_threshold != y.zero_threshold) {
        if (isnan(x.zero_threshold) || isnan(y.zero_threshold))
            break; /* damaged data: there is nothing to reconcile */
        if (x.zero_threshold > y.zero_threshold)
            raise_threshold(&y, x.zero_threshold, false);
        else
            raise_threshold(&x, y.zero_threshold, compensated);
    }
    add_to(&x.zero_count, compensated ? &x.zero_lost : NULL, sign * y.zero_count);
    int32_t schema = x.schema < y.schema ? x.schema : y.schema;
    reduce_operand(&x, schema, compensated);
    reduce_operand(&y, schema, false);
    merge(a, &x.positive, &y.positive, sign, compensated, schema, x.zero_threshold);
    merge(a, &x.negative, &y.negative, sign, compensated, schema, x.zero_threshold);
    h->schema = schema;
    h->zero_threshold = x.zero_threshold;
    h->zero_count = x.zero_count;
    from_sparse(a, &x.positive, &h->positive, compensated ? &lost->positive : NULL);
    from_sparse(a, &x.negative, &h->negative, compensated ? &lost->negative : NULL);
    if (compensated) {
        lost->schema = schema;
        lost->zero_threshold = x.zero_threshold;
        lost->zero_count = x.zero_lost;
    }
}

static void add_custom(struct arena *a, struct float_histogram *h, struct float_histogram *lost,
                       const struct float_histogram *other, double sign, struct histogram_notes *notes)
{
    struct sparse x = to_sparse(a, &h->positive, lost != NULL ? &lost->positive : NULL);
    struct sparse y = to_sparse(a, &other->positive, NULL);
    if (!bounds_eq(h, other)) {
        notes->bounds_reconciled = true;
        struct bounds common = common_bounds(a, h, other);
        map_to_bounds(&x, h, common, lost != NULL);
        map_to_bounds(&y, other, common, false);
        h->custom_values = common.v;
        h->custom_values_count = common.n;
        if (lost != NULL) {
            lost->custom_values = common.v;
            lost->custom_values_count = common.n;
        }
    }
    merge(a, &x, &y, sign, lost != NULL, HISTOGRAM_SCHEMA_CUSTOM, 0);
    from_sparse(a, &x, &h->positive, lost != NULL ? &lost->positive : NULL);
}

static bool combine(struct arena *a, struct float_histogram *h, struct float_histogram *lost,
                    const struct float_histogram *other, double sign, struct histogram_notes *notes)
{
    struct histogram_notes ignored;
    notes = notes != NULL ? notes : &ignored;
    *notes = (struct histogram_notes){ 0 };
    bool custom = h->schema == HISTOGRAM_SCHEMA_CUSTOM;
    if (custom != (other->schema == HISTOGRAM_SCHEMA_CUSTOM))
        return false;
    h->hint = join_hints(h->hint, other->hint, &notes->reset_collision);
    add_totals(h, lost, other, sign);
    bool same = h->schema == other->schema && h->zero_threshold == other->zero_threshold &&
                same_spans(&h->positive, &other->positive) && same_spans(&h->negative, &other->negative) &&
                (!custom || bounds_eq(h, other));
    if (same) {
        add_to(&h->zero_count, lost != NULL ? &lost->zero_count : NULL, sign * other->zero_count);
        add_side(&h->positive, lost != NULL ? &lost->positive : NULL, &other->positive, sign);
        add_side(&h->negative, lost != NULL ? &lost->negative : NULL, &other->negative, sign);
    } else if (custom) {
        add_custom(a, h, lost, other, sign, notes);
    } else {
        add_exponential(a, h, lost, other, sign);
    }
    return true;
}

bool float_histogram_add(struct arena *a, struct float_histogram *h, const struct float_histogram *other,
                         struct histogram_notes *notes)
{
    return combine(a, h, NULL, other, 1, notes);
}

bool float_histogram_sub(struct arena *a, struct float_histogram *h, const struct float_histogram *other,
                         struct histogram_notes *notes)
{
    return combine(a, h, NULL, other, -1, notes);
}

static struct float_side zero_side(struct arena *a, const struct float_side *s)
{
    struct float_side zero = *s;
    zero.buckets = s->buckets_count > 0 ? arena_alloc_array(a, s->buckets_count, sizeof *zero.buckets) : NULL;
    return zero;
}

void float_histogram_kahan_init(struct arena *a, const struct float_histogram *h, struct float_histogram *c)
{
    *c = (struct float_histogram){
        .hint = h->hint,
        .schema = h->schema,
        .zero_threshold = h->zero_threshold,
        .positive = zero_side(a, &h->positive),
        .negative = zero_side(a, &h->negative),
        .custom_values = h->custom_values,
        .custom_values_count = h->custom_values_count,
    };
}

bool float_histogram_kahan_add(struct arena *a, struct float_histogram *h, struct float_histogram *c,
                               const struct float_histogram *other, struct histogram_notes *notes)
{
    return combine(a, h, c, other, 1, notes);
}

void float_histogram_kahan_finish(struct float_histogram *h, const struct float_histogram *c)
{
    ASSERT(h->positive.buckets_count == c->positive.buckets_count);
    ASSERT(h->negative.buckets_count == c->negative.buckets_count);
    h->count += c->count;
    h->sum += c->sum;
    h->zero_count += c->zero_count;
    add_side(&h->positive, NULL, &c->positive, 1);
    add_side(&h->negative, NULL, &c->negative, 1);
}

/* One operand */

static void scale_side(struct float_side *s, double factor, bool divide)
{
    for (size_t i = 0; i < s->buckets_count; i++)
        s->buckets[i] = divide ? s->buckets[i] / factor : s->buckets[i] * factor;
}

void float_histogram_mul(struct float_histogram *h, double factor)
{
    h->zero_count *= factor;
    h->count *= factor;
    h->sum *= factor;
    scale_side(&h->positive, factor, false);
    scale_side(&h->negative, factor, false);
    if (factor < 0)
        h->hint = RESET_GAUGE;
}

void float_histogram_div(struct float_histogram *h, double divisor)
{
    h->zero_count /= divisor;
    h->count /= divisor;
    h->sum /= divisor;
    if (divisor == 0) {
        h->positive = h->negative = (struct float_side){ 0 };
        return;
    }
    scale_side(&h->positive, divisor, true);
    scale_side(&h->negative, divisor, true);
    if (divisor < 0)
        h->hint = RESET_GAUGE;
}

static bool side_is_compact(const struct float_side *s)
{
    for (size_t i = 0; i < s->buckets_count; i++)
        if (s->buckets[i] == 0)
            return false;
    for (size_t i = 0; i < s->spans_count; i++)
        if (s->spans[i].length == 0 || (i > 0 && s->spans[i].offset == 0))
            return false;
    return true;
}

static void compact_side(struct arena *a, struct float_side *s)
{
    if (side_is_compact(s))
        return;
    struct sparse all = to_sparse(a, s, NULL);
    size_t n = 0;
    for (size_t i = 0; i < all.n; i++)
        if (all.v[i].count != 0)
            all.v[n++] = all.v[i];
    all.n = n;
    from_sparse(a, &all, s, NULL);
}

void float_histogram_compact(struct arena *a, struct float_histogram *h)
{
    compact_side(a, &h->positive);
    compact_side(a, &h->negative);
}

void float_histogram_reduce(struct arena *a, struct float_histogram *h, int32_t schema)
{
    ASSERT(h->schema >= schema);
    ASSERT(schema >= HISTOGRAM_SCHEMA_MIN);
    if (h->schema == schema)
        return;
    struct operand o;
    operand_from(a, h, NULL, &o);
    reduce_operand(&o, schema, false);
    from_sparse(a, &o.positive, &h->positive, NULL);
    from_sparse(a, &o.negative, &h->negative, NULL);
    h->schema = schema;
}

static void reduce_int_side(struct arena *a, struct int_side *s, int32_t steps)
{
    struct histogram_span *spans = arena_alloc_array(a, s->deltas_count + 1, sizeof *spans);
    int64_t *deltas = arena_alloc_array(a, s->deltas_count + 1, sizeof *deltas);
    struct side_cursor c = side_start(s->spans, s->spans_count, s->deltas_count);
    size_t spans_count = 0, n = 0;
    uint64_t count = 0, sum = 0, previous = 0; /* unsigned: damaged deltas wrap */
    int32_t last = 0;
    while (side_next(&c)) {
        count += (uint64_t)s->deltas[c.bucket];
        int32_t index = reduced_index(c.index, steps);
        if (n == 0 || index != last) {
            if (n > 0)
                previous = sum;
            sum = 0;
            int32_t gap = n == 0 ? index : (int32_t)((uint32_t)index - (uint32_t)last - 1);
            if (n == 0 || gap != 0)
                spans[spans_count++] = (struct histogram_span){ gap, 0 };
            spans[spans_count - 1].length++;
            last = index;
            n++;
        }
        sum += count;
        deltas[n - 1] = (int64_t)(sum - previous);
    }
    *s = (struct int_side){ spans, spans_count, deltas, n };
}

void int_histogram_reduce(struct arena *a, struct int_histogram *h, int32_t schema)
{
    ASSERT(h->schema >= schema);
    ASSERT(schema >= HISTOGRAM_SCHEMA_MIN);
    int32_t steps = h->schema - schema;
    h->schema = schema;
    if (steps == 0)
        return;
    reduce_int_side(a, &h->positive, steps);
    reduce_int_side(a, &h->negative, steps);
}

/* Counter resets */

/* Any bucket of prev that is missing or larger than in cur? */
static bool side_shrank(const struct sparse *cur, const struct sparse *prev, int32_t schema, double zero_threshold)
{
    bool exponential = schema != HISTOGRAM_SCHEMA_CUSTOM;
    size_t i = 0;
    for (size_t k = 0; k < prev->n; k++) {
        const struct entry *p = &prev->v[k];
        if (exponential && outer_bound(schema, p->index) <= zero_threshold)
            continue;
        while (i < cur->n && cur->v[i].index < p->index)
            i++;
        bool there = i < cur->n && cur->v[i].index == p->index;
        if (there ? cur->v[i].count < p->count : p->count != 0)
            return true;
    }
    return false;
}

static bool custom_shrank(struct arena *scratch, const struct float_histogram *cur,
                          const struct float_histogram *prev)
{
    struct sparse x = to_sparse(scratch, &cur->positive, NULL), y = to_sparse(scratch, &prev->positive, NULL);
    if (!bounds_eq(cur, prev)) {
        struct bounds common = common_bounds(scratch, cur, prev);
        map_to_bounds(&x, cur, common, false);
        map_to_bounds(&y, prev, common, false);
    }
    return side_shrank(&x, &y, HISTOGRAM_SCHEMA_CUSTOM, 0);
}

bool float_histogram_is_reset(struct arena *scratch, const struct float_histogram *cur,
                              const struct float_histogram *prev)
{
    if (cur->hint == RESET_YES || cur->hint == RESET_NO)
        return cur->hint == RESET_YES;
    if (cur->count < prev->count)
        return true;
    bool custom = cur->schema == HISTOGRAM_SCHEMA_CUSTOM;
    if (custom && prev->schema == HISTOGRAM_SCHEMA_CUSTOM)
        return custom_shrank(scratch, cur, prev);
    if (custom || cur->schema > prev->schema || cur->zero_threshold < prev->zero_threshold)
        return true;
    struct operand x, y;
    operand_from(scratch, cur, NULL, &x);
    operand_from(scratch, prev, NULL, &y);
    if (cur->zero_threshold > prev->zero_threshold) {
        raise_threshold(&y, cur->zero_threshold, false);
        if (y.zero_threshold != cur->zero_threshold)
            return true; /* it cuts through a populated bucket of prev */
    }
    if (cur->zero_count < y.zero_count)
        return true;
    reduce_operand(&y, cur->schema, false);
    return side_shrank(&x.positive, &y.positive, cur->schema, cur->zero_threshold) ||
           side_shrank(&x.negative, &y.negative, cur->schema, cur->zero_threshold);
}
