/* Delimited protobuf: a sequence of varint length and io.prometheus.client.MetricFamily (spec/prometheus.md 6.3), read by
 * cursor. A family's texts and its metrics' places are noted first; each metric is then taken apart into the series that
 * the text formats would show, or one native histogram.
 *
 * F1  `series` of an entry is made in scratch: name, labels and bound, unambiguous and the same from scrape to scrape.
 * F2  Memory of a metric lives until the next one; that of a family until the next family. */
#include "expfmt/parse_int.h"

#include "base/mem.h"
#include "base/num.h"
#include "wire/pb.h"
#include "wire/varint.h"

#include <math.h>
#include <stdlib.h>

enum proto_kind { ITEM_VALUE, ITEM_NATIVE };
struct item { /* one entry of a metric */
    enum proto_kind kind;
    struct str suffix;         /* after the family's name */
    struct str extra, extra_value; /* le or quantile; extra.n == 0: none */
    double value;
    const struct str *exemplars; /* messages */
    size_t exemplars_count;
};
enum proto_stage { STAGE_HELP, STAGE_TYPE, STAGE_UNIT, STAGE_METRICS };
enum { PB_COUNTER, PB_GAUGE, PB_SUMMARY, PB_UNTYPED, PB_HISTOGRAM, PB_GAUGE_HISTOGRAM };

struct expfmt_proto {
    bool native, keep_classic;
    struct arena family_memory, metric_memory;
    struct str name, help, unit;
    uint64_t type;
    struct str *metrics;
    size_t metrics_count, metrics_capacity, at;
    enum proto_stage stage;
    bool open; /* a family is being given */
    /* the current metric */
    struct label *labels;
    size_t labels_count;
    bool has_t;
    int64_t t;
    struct item *items;
    size_t items_count, items_capacity, item_at;
    size_t exemplar_at;
    struct int_histogram ih;
    struct float_histogram fh;
    bool native_is_float;
};

void proto_free(struct expfmt_proto *m)
{
    if (!m)
        return;
    arena_deinit(&m->family_memory);
    arena_deinit(&m->metric_memory);
    mem_free(m->metrics);
    mem_free(m->items);
    mem_free(m);
}

static struct expfmt_proto *state(struct expfmt_parser *p)
{
    if (!p->proto) {
        p->proto = MEM_NEW(struct expfmt_proto);
        arena_init(&p->proto->family_memory, ARENA_NO_LIMIT);
        arena_init(&p->proto->metric_memory, ARENA_NO_LIMIT);
    }
    return p->proto;
}

void proto_native(struct expfmt_parser *p, bool native, bool keep_classic)
{
    state(p)->native = native;
    state(p)->keep_classic = keep_classic;
}

static bool damaged(struct err *err)
{
    return err_set(err, ERR_INVALID, "proto: illegal wire format");
}

/* ---- families ---- */

static bool next_family(struct expfmt_parser *p, struct expfmt_proto *m, bool *more, struct err *err)
{
    struct str rest = str_from(p->text, p->at);
    uint64_t n;
    struct pb_reader r;
    struct pb_field f;
    *more = rest.n > 0;
    if (!*more)
        return true;
    if (!uvarint_take(&rest, &n) || n > rest.n)
        return err_set(err, ERR_INVALID, "proto: unexpected EOF");
    p->at = p->text.n - rest.n + (size_t)n;
    arena_reset(&m->family_memory);
    m->name = m->help = m->unit = STR_EMPTY;
    m->type = PB_COUNTER;
    m->metrics_count = m->at = 0;
    m->items_count = m->item_at = 0;
    pb_reader_init(&r, str_of(rest.p, (size_t)n));
    while (pb_next(&r, &f)) {
        switch (f.number) {
        case 1: m->name = f.bytes; break;
        case 2: m->help = f.bytes; break;
        case 3: m->type = f.value; break;
        case 5: m->unit = f.bytes; break;
        case 4:
            if (m->metrics_count == m->metrics_capacity) {
                m->metrics_capacity = mem_grow(m->metrics_capacity, m->metrics_count + 1);
                m->metrics = mem_realloc_array(m->metrics, m->metrics_capacity, sizeof *m->metrics);
            }
            m->metrics[m->metrics_count++] = f.bytes;
            break;
        default: break;
        }
    }
    m->stage = STAGE_HELP;
    m->open = true;
    return !r.failed || damaged(err);
}

static enum expfmt_type type_of(const struct expfmt_proto *m)
{
    switch (m->type) {
    case PB_COUNTER: return EXPFMT_COUNTER;
    case PB_GAUGE: return EXPFMT_GAUGE;
    case PB_SUMMARY: return EXPFMT_SUMMARY;
    case PB_HISTOGRAM: return EXPFMT_TYPE_HISTOGRAM;
    case PB_GAUGE_HISTOGRAM: return EXPFMT_GAUGE_HISTOGRAM;
    default: return EXPFMT_UNKNOWN;
    }
}

/* ---- metrics ---- */

static struct item *push_item(struct expfmt_proto *m, struct str suffix, double value)
{
    if (m->items_count == m->items_capacity) {
        m->items_capacity = mem_grow(m->items_capacity, m->items_count + 1);
        m->items = mem_realloc_array(m->items, m->items_capacity, sizeof *m->items);
    }
    struct item *i = &m->items[m->items_count++];
    *i = (struct item){ .suffix = suffix, .value = value };
    return i;
}

static void set_exemplar(struct expfmt_proto *m, struct item *i, struct str message)
{
    struct str *copy = ARENA_NEW(&m->metric_memory, struct str);
    *copy = message;
    i->exemplars = copy;
    i->exemplars_count = 1;
}

static struct str bound_text(struct expfmt_proto *m, double v)
{
    struct buf text = { 0 };
    expfmt_write_bound(&text, v);
    struct str out = arena_str(&m->metric_memory, buf_view(&text));
    buf_deinit(&text);
    return out;
}

static bool read_simple(struct expfmt_proto *m, struct str message, bool counter, struct err *err)
{
    struct pb_reader r;
    struct pb_field f;
    struct item *i = push_item(m, STR_EMPTY, 0);
    pb_reader_init(&r, message);
    while (pb_next(&r, &f)) {
        if (f.number == 1)
            i->value = pb_f64(&f);
        else if (f.number == 2 && counter)
            set_exemplar(m, i, f.bytes);
    }
    return !r.failed || damaged(err);
}

static bool read_quantile(struct expfmt_proto *m, struct str message, struct err *err)
{
    struct pb_reader r;
    struct pb_field f;
    double q = 0, v = 0;
    pb_reader_init(&r, message);
    while (pb_next(&r, &f)) {
        if (f.number == 1)
            q = pb_f64(&f);
        else if (f.number == 2)
            v = pb_f64(&f);
    }
    struct item *i = push_item(m, STR_EMPTY, v);
    i->extra = STR("quantile");
    i->extra_value = bound_text(m, q);
    return !r.failed || damaged(err);
}

static bool read_summary(struct expfmt_proto *m, struct str message, struct err *err)
{
    struct pb_reader r;
    struct pb_field f;
    size_t count_at = m->items_count, sum_at;
    push_item(m, STR("_count"), 0);
    sum_at = m->items_count;
    push_item(m, STR("_sum"), 0);
    pb_reader_init(&r, message);
    while (pb_next(&r, &f)) {
        if (f.number == 1)
            m->items[count_at].value = (double)pb_u64(&f);
        else if (f.number == 2)
            m->items[sum_at].value = pb_f64(&f);
        else if (f.number == 3 && !read_quantile(m, f.bytes, err))
            return false;
    }
    return !r.failed || damaged(err);
}

/* ---- histograms ---- */

struct raw_histogram {
    uint64_t count;
    double count_float, sum;
    struct str *buckets, *exemplars;
    size_t buckets_count, exemplars_count;
    int64_t schema;
    double zero_threshold;
    uint64_t zero_count;
    double zero_count_float;
    struct histogram_span *spans[2]; /* positive, negative */
    size_t spans_count[2];
    int64_t *deltas[2];
    size_t deltas_count[2];
    double *counts[2];
    size_t counts_count[2];
};

/* Arrays of a message of n bytes have at most n elements. */
static void raw_init(struct raw_histogram *h, struct arena *a, size_t n)
{
    *h = (struct raw_histogram){ 0 };
    h->buckets = arena_alloc_array(a, n / 2 + 1, sizeof *h->buckets);
    h->exemplars = arena_alloc_array(a, n / 2 + 1, sizeof *h->exemplars);
    for (int side = 0; side < 2; side++) {
        h->spans[side] = arena_alloc_array(a, n / 2 + 1, sizeof *h->spans[side]);
        h->deltas[side] = arena_alloc_array(a, n + 1, sizeof *h->deltas[side]);
        h->counts[side] = arena_alloc_array(a, n / 8 + 1, sizeof *h->counts[side]);
    }
}

static bool read_span(struct str message, struct histogram_span *out)
{
    struct pb_reader r;
    struct pb_field f;
    *out = (struct histogram_span){ 0 };
    pb_reader_init(&r, message);
    while (pb_next(&r, &f)) {
        if (f.number == 1)
            out->offset = (int32_t)pb_s64(&f);
        else if (f.number == 2)
            out->length = (uint32_t)pb_u64(&f);
    }
    return !r.failed;
}

static void read_delta(struct raw_histogram *h, int side, const struct pb_field *f, bool *failed)
{
    struct str packed = f->bytes;
    uint64_t v;
    if (f->type != PB_LEN) {
        h->deltas[side][h->deltas_count[side]++] = pb_s64(f);
        return;
    }
    while (pb_packed_varint(&packed, &v, failed))
        h->deltas[side][h->deltas_count[side]++] = zigzag_decode(v);
}

static void read_count(struct raw_histogram *h, int side, const struct pb_field *f, bool *failed)
{
    struct str packed = f->bytes;
    double v;
    if (f->type != PB_LEN) {
        h->counts[side][h->counts_count[side]++] = pb_f64(f);
        return;
    }
    while (pb_packed_f64(&packed, &v, failed))
        h->counts[side][h->counts_count[side]++] = v;
}

static bool read_raw(struct str message, struct arena *a, struct raw_histogram *h, struct err *err)
{
    struct pb_reader r;
    struct pb_field f;
    bool failed = false;
    raw_init(h, a, message.n);
    pb_reader_init(&r, message);
    while (!failed && pb_next(&r, &f)) {
        switch (f.number) {
        case 1: h->count = pb_u64(&f); break;
        case 2: h->sum = pb_f64(&f); break;
        case 3: h->buckets[h->buckets_count++] = f.bytes; break;
        case 4: h->count_float = pb_f64(&f); break;
        case 5: h->schema = pb_s64(&f); break;
        case 6: h->zero_threshold = pb_f64(&f); break;
        case 7: h->zero_count = pb_u64(&f); break;
        case 8: h->zero_count_float = pb_f64(&f); break;
        case 9: failed = !read_span(f.bytes, &h->spans[1][h->spans_count[1]++]); break;
        case 10: read_delta(h, 1, &f, &failed); break;
        case 11: read_count(h, 1, &f, &failed); break;
        case 12: failed = !read_span(f.bytes, &h->spans[0][h->spans_count[0]++]); break;
        case 13: read_delta(h, 0, &f, &failed); break;
        case 14: read_count(h, 0, &f, &failed); break;
        case 16: h->exemplars[h->exemplars_count++] = f.bytes; break;
        default: break;
        }
    }
    return (!failed && !r.failed) || damaged(err);
}

static bool is_native(const struct raw_histogram *h)
{
    return h->spans_count[0] > 0 || h->spans_count[1] > 0 || h->zero_threshold > 0 || h->zero_count > 0 ||
           h->zero_count_float > 0;
}

static void push_native(struct expfmt_proto *m, const struct raw_histogram *h, bool gauge)
{
    enum counter_reset_hint hint = gauge ? RESET_GAUGE : RESET_UNKNOWN;
    m->native_is_float = h->count_float > 0 || h->zero_count_float > 0;
    if (m->native_is_float) {
        m->fh = (struct float_histogram){
            .hint = hint,
            .schema = (int32_t)h->schema,
            .zero_threshold = h->zero_threshold,
            .zero_count = h->zero_count_float,
            .count = h->count_float,
            .sum = h->sum,
            .positive = { h->spans[0], h->spans_count[0], h->counts[0], h->counts_count[0] },
            .negative = { h->spans[1], h->spans_count[1], h->counts[1], h->counts_count[1] },
        };
    } else {
        m->ih = (struct int_histogram){
            .hint = hint,
            .schema = (int32_t)h->schema,
            .zero_threshold = h->zero_threshold,
            .zero_count = h->zero_count,
            .count = h->count,
            .sum = h->sum,
            .positive = { h->spans[0], h->spans_count[0], h->deltas[0], h->deltas_count[0] },
            .negative = { h->spans[1], h->spans_count[1], h->deltas[1], h->deltas_count[1] },
        };
    }
    struct item *i = push_item(m, STR_EMPTY, 0);
    i->kind = ITEM_NATIVE;
    i->exemplars = h->exemplars;
    i->exemplars_count = h->exemplars_count;
}

static bool read_bucket(struct expfmt_proto *m, struct str message, bool *infinite, struct err *err)
{
    struct pb_reader r;
    struct pb_field f;
    double count = 0, count_float = 0, bound = 0;
    struct str exemplar = { 0 };
    pb_reader_init(&r, message);
    while (pb_next(&r, &f)) {
        if (f.number == 1)
            count = (double)pb_u64(&f);
        else if (f.number == 2)
            bound = pb_f64(&f);
        else if (f.number == 3)
            exemplar = f.bytes;
        else if (f.number == 4)
            count_float = pb_f64(&f);
    }
    struct item *i = push_item(m, STR("_bucket"), count_float > 0 ? count_float : count);
    i->extra = STR("le");
    i->extra_value = bound_text(m, bound);
    if (exemplar.p)
        set_exemplar(m, i, exemplar);
    *infinite |= isinf(bound) && bound > 0;
    return !r.failed || damaged(err);
}

static bool push_classic(struct expfmt_proto *m, const struct raw_histogram *h, struct err *err)
{
    double count = h->count_float > 0 ? h->count_float : (double)h->count;
    bool infinite = false;
    push_item(m, STR("_count"), count);
    push_item(m, STR("_sum"), h->sum);
    for (size_t i = 0; i < h->buckets_count; i++) {
        if (!read_bucket(m, h->buckets[i], &infinite, err))
            return false;
    }
    if (!infinite) {
        struct item *i = push_item(m, STR("_bucket"), count);
        i->extra = STR("le");
        i->extra_value = STR("+Inf");
    }
    return true;
}

static bool read_histogram(struct expfmt_proto *m, struct str message, struct err *err)
{
    struct raw_histogram h;
    if (!read_raw(message, &m->metric_memory, &h, err))
        return false;
    bool native = m->native && is_native(&h);
    if (native)
        push_native(m, &h, m->type == PB_GAUGE_HISTOGRAM);
    if (native && !(m->keep_classic && h.buckets_count > 0))
        return true;
    return push_classic(m, &h, err);
}

static bool read_pair(struct str message, struct label *l)
{
    struct pb_reader r;
    struct pb_field f;
    *l = (struct label){ STR_EMPTY, STR_EMPTY };
    pb_reader_init(&r, message);
    while (pb_next(&r, &f)) {
        if (f.number == 1)
            l->name = f.bytes;
        else if (f.number == 2)
            l->value = f.bytes;
    }
    return !r.failed;
}

static bool read_metric(struct expfmt_proto *m, struct str message, struct err *err)
{
    static const uint32_t body_of[] = { [PB_COUNTER] = 3, [PB_GAUGE] = 2, [PB_SUMMARY] = 4, [PB_UNTYPED] = 5,
                                        [PB_HISTOGRAM] = 7, [PB_GAUGE_HISTOGRAM] = 7 };
    struct pb_reader r;
    struct pb_field f;
    struct str body = STR_EMPTY;
    bool ok = true;
    if (m->type >= ARRAY_LEN(body_of))
        return err_set(err, ERR_INVALID, "unknown metric type %llu", (unsigned long long)m->type);
    arena_reset(&m->metric_memory);
    m->items_count = m->item_at = m->labels_count = 0;
    m->has_t = false;
    m->labels = arena_alloc_array(&m->metric_memory, message.n / 2 + 1, sizeof *m->labels);
    pb_reader_init(&r, message);
    while (ok && pb_next(&r, &f)) {
        if (f.number == 1) {
            ok = read_pair(f.bytes, &m->labels[m->labels_count++]);
        } else if (f.number == 6) {
            m->has_t = pb_i64(&f) != 0;
            m->t = pb_i64(&f);
        } else if (f.number == body_of[m->type]) {
            body = f.bytes;
        }
    }
    if (!ok || r.failed)
        return damaged(err);
    switch (m->type) {
    case PB_COUNTER: return read_simple(m, body, true, err);
    case PB_SUMMARY: return read_summary(m, body, err);
    case PB_HISTOGRAM:
    case PB_GAUGE_HISTOGRAM: return read_histogram(m, body, err);
    default: return read_simple(m, body, false, err);
    }
}

/* ---- entries ---- */

static void make_series(struct expfmt_parser *p, const struct expfmt_proto *m, const struct item *i)
{
    struct buf *b = &p->scratch;
    buf_reset(b);
    buf_byte(b, i->kind == ITEM_NATIVE ? 'n' : 's');
    buf_str(b, m->name);
    buf_str(b, i->suffix);
    for (size_t k = 0; k < m->labels_count; k++) {
        buf_byte(b, '\xff');
        buf_str(b, m->labels[k].name);
        buf_byte(b, '\xff');
        buf_str(b, m->labels[k].value);
    }
    buf_byte(b, '\xff');
    buf_str(b, i->extra_value);
    p->series = buf_view(b);
}

static bool read_exemplar(struct expfmt_parser *p, struct str message)
{
    struct pb_reader r;
    struct pb_field f, g;
    p->has_exemplar = true;
    p->exemplar_labels = message; /* decoded when asked for */
    p->exemplar_value = 0;
    p->exemplar_has_t = false;
    pb_reader_init(&r, message);
    while (pb_next(&r, &f)) {
        if (f.number == 2) {
            p->exemplar_value = pb_f64(&f);
        } else if (f.number == 3) {
            struct pb_reader t;
            int64_t s = 0, ns = 0;
            pb_reader_init(&t, f.bytes);
            while (pb_next(&t, &g)) {
                if (g.number == 1)
                    s = pb_i64(&g);
                else if (g.number == 2)
                    ns = pb_i64(&g);
            }
            p->exemplar_has_t = true;
            p->exemplar_t = s * 1000 + ns / 1000000;
        }
    }
    return !r.failed;
}

bool proto_next_exemplar(struct expfmt_parser *p)
{
    struct expfmt_proto *m = p->proto;
    const struct item *i = &m->items[m->item_at - 1];
    while (m->exemplar_at < i->exemplars_count) {
        bool good = read_exemplar(p, i->exemplars[m->exemplar_at++]);
        if (good && (i->kind == ITEM_VALUE || p->exemplar_has_t)) /* native: only those that say when */
            return true;
    }
    p->has_exemplar = false;
    return false;
}

static void give_item(struct expfmt_parser *p, struct expfmt_proto *m, enum expfmt_entry *entry)
{
    const struct item *i = &m->items[m->item_at++];
    *entry = i->kind == ITEM_NATIVE ? EXPFMT_HISTOGRAM : EXPFMT_SERIES;
    make_series(p, m, i);
    p->value = i->value;
    if (p->value != p->value && i->kind == ITEM_VALUE) {
        uint64_t nan = UINT64_C(0x7ff8000000000001);
        memcpy(&p->value, &nan, sizeof nan);
    }
    p->has_t = m->has_t;
    p->t = m->t;
    if (i->kind == ITEM_NATIVE && m->native_is_float)
        p->fh = &m->fh;
    else if (i->kind == ITEM_NATIVE)
        p->h = &m->ih;
    m->exemplar_at = 0;
    proto_next_exemplar(p);
}

/* HELP, TYPE and UNIT of a family come before its metrics. False: none of them is left. */
static bool give_metadata(struct expfmt_parser *p, struct expfmt_proto *m, enum expfmt_entry *entry)
{
    p->family = m->name;
    while (m->stage != STAGE_METRICS) {
        enum proto_stage stage = m->stage;
        m->stage = (enum proto_stage)(stage + 1);
        if (stage == STAGE_HELP && m->help.n) {
            *entry = EXPFMT_HELP;
            p->meta = m->help;
            return true;
        }
        if (stage == STAGE_TYPE) {
            *entry = EXPFMT_TYPE;
            p->type = type_of(m);
            return true;
        }
        if (stage == STAGE_UNIT && m->unit.n) {
            *entry = EXPFMT_UNIT;
            p->meta = m->unit;
            return true;
        }
    }
    return false;
}

bool proto_next(struct expfmt_parser *p, enum expfmt_entry *entry, struct err *err)
{
    struct expfmt_proto *m = state(p);
    for (;;) {
        bool more;
        if (m->open && give_metadata(p, m, entry))
            return true;
        if (m->open && m->item_at < m->items_count) {
            give_item(p, m, entry);
            return true;
        }
        if (m->open && m->at < m->metrics_count) {
            if (!read_metric(m, m->metrics[m->at++], err))
                return false;
            continue;
        }
        if (!next_family(p, m, &more, err))
            return false;
        if (!more) {
            *entry = EXPFMT_END;
            return true;
        }
        if (!label_name_is_utf8(m->name))
            return err_set(err, ERR_INVALID, "invalid metric name: %.*s", STR_ARG(m->name));
    }
}

/* ---- labels ---- */

static int by_name(const void *x, const void *y)
{
    const struct label *a = x, *b = y;
    return str_cmp(a->name, b->name);
}

static void finish_labels(struct label *v, size_t n, bool *duplicate, struct labels *out)
{
    if (n)
        qsort(v, n, sizeof *v, by_name);
    *duplicate = false;
    for (size_t i = 1; i < n; i++)
        *duplicate |= str_eq(v[i - 1].name, v[i].name);
    *out = (struct labels){ v, n };
}

bool proto_labels(struct expfmt_parser *p, struct arena *a, struct labels *out, bool *duplicate, struct err *err)
{
    (void)err;
    const struct expfmt_proto *m = p->proto;
    const struct item *i = &m->items[m->item_at - 1];
    struct label *v = arena_alloc_array(a, m->labels_count + 2, sizeof *v);
    size_t n = 0;
    v[n++] = (struct label){ STR("__name__"), arena_printf(a, "%.*s%.*s", STR_ARG(m->name), STR_ARG(i->suffix)) };
    for (size_t k = 0; k < m->labels_count; k++) {
        if (m->labels[k].value.n)
            v[n++] = m->labels[k];
    }
    if (i->extra.n)
        v[n++] = (struct label){ i->extra, arena_str(a, i->extra_value) };
    finish_labels(v, n, duplicate, out);
    return true;
}

bool proto_exemplar(struct expfmt_parser *p, struct arena *a, struct labels *out, struct err *err)
{
    struct pb_reader r;
    struct pb_field f;
    bool duplicate, ok = true;
    size_t n = 0;
    if (!p->has_exemplar)
        return err_set(err, ERR_INVALID, "no exemplar");
    struct label *v = arena_alloc_array(a, p->exemplar_labels.n / 2 + 1, sizeof *v);
    pb_reader_init(&r, p->exemplar_labels);
    while (ok && pb_next(&r, &f)) {
        if (f.number == 1)
            ok = read_pair(f.bytes, &v[n++]);
    }
    if (!ok || r.failed)
        return damaged(err);
    finish_labels(v, n, &duplicate, out);
    return true;
}
