/* The request is walked once with cursors; labels are slices of the message, so a series that the store knows costs no
 * allocation but the arrays of the widest series, which are used again. */
#include "remote/receive.h"

#include "base/utf8.h"
#include "model/histogram.h"
#include "wire/pb.h"

#define FUTURE_MS (10 * 60 * 1000) /* upstream's timeLimitAppender */

const struct metric_desc receive_metrics[] = {
    METRIC(COUNTER, struct receive_stats, samples, "tocsin_remote_received_samples_total", "Samples taken by remote write."),
    METRIC(COUNTER, struct receive_stats, histograms, "tocsin_remote_received_histograms_total",
           "Native histograms taken by remote write."),
    METRIC(COUNTER, struct receive_stats, exemplars, "tocsin_remote_received_exemplars_total",
           "Exemplars taken by remote write."),
    METRIC(COUNTER, struct receive_stats, invalid_series, "prometheus_api_remote_write_invalid_labels_samples_total",
           "The total number of received remote write samples and histogram samples which contain invalid labels."),
};
const size_t receive_metrics_count = ARRAY_LEN(receive_metrics);

struct receiving {
    struct arena *arena;
    struct appender *appender;
    wall_ms now;
    struct receive_stats *stats;
    struct label *labels; /* REMOTE_LABELS_MAX */
    uint64_t samples, histograms, exemplars;
    struct err *err;
};

static bool damaged(struct receiving *r)
{
    return err_set(r->err, ERR_INVALID, "proto: illegal wireType or unexpected EOF");
}

static bool read_label(struct receiving *r, struct str message, struct label *l)
{
    struct pb_reader pb;
    struct pb_field f;
    *l = (struct label){ STR_EMPTY, STR_EMPTY };
    pb_reader_init(&pb, message);
    while (pb_next(&pb, &f)) {
        if (f.type != PB_LEN)
            continue;
        if (f.number == 1)
            l->name = f.bytes;
        else if (f.number == 2)
            l->value = f.bytes;
    }
    return !pb.failed || damaged(r);
}

static bool set_valid(struct labels ls)
{
    if (!utf8_valid(labels_get(ls, STR("__name__"))) || labels_get(ls, STR("__name__")).n == 0)
        return false;
    for (size_t i = 0; i < ls.n; i++) {
        if (ls.v[i].name.n == 0 || !utf8_valid(ls.v[i].name) || !utf8_valid(ls.v[i].value))
            return false;
        if (i && str_eq(ls.v[i].name, ls.v[i - 1].name))
            return false;
    }
    return true;
}

/* Sorted by name as senders should send them; a set that is not is put in order. Empty values are dropped. */
static struct labels in_order(struct label *v, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (v[i].value.n)
            v[kept++] = v[i];
    for (size_t i = 1; i < kept; i++) {
        struct label one = v[i];
        size_t k = i;
        for (; k > 0 && str_cmp(v[k - 1].name, one.name) > 0; k--)
            v[k] = v[k - 1];
        v[k] = one;
    }
    return (struct labels){ v, kept };
}

static bool refused(struct receiving *r, enum append_status status, const struct labels *ls, int64_t t)
{
    struct buf text = { 0 };
    struct str why = append_status_text(status);
    labels_write_prometheus(&text, *ls);
    err_set(r->err, status == APPEND_REFUSED ? ERR_UNAVAILABLE : ERR_INVALID, "%.*s; series %.*s, timestamp %lld", STR_ARG(why),
            STR_ARG(buf_view(&text)), (long long)t);
    buf_deinit(&text);
    return false;
}

static bool take_sample(struct receiving *r, struct str message, series_ref *ref, const struct labels *ls)
{
    struct pb_reader pb;
    struct pb_field f;
    double value = 0;
    int64_t t = 0;
    pb_reader_init(&pb, message);
    while (pb_next(&pb, &f)) {
        if (f.number == 1 && f.type == PB_I64)
            value = pb_f64(&f);
        else if (f.number == 2 && f.type == PB_VARINT)
            t = pb_i64(&f);
    }
    if (pb.failed)
        return damaged(r);
    if (t > r->now + FUTURE_MS)
        return refused(r, APPEND_OUT_OF_BOUNDS, ls, t);
    enum append_status status = append_sample(r->appender, ref, ls, t, value);
    if (status != APPEND_OK)
        return refused(r, status, ls, t);
    r->samples++;
    return true;
}

static bool take_exemplar(struct receiving *r, struct str message, series_ref ref)
{
    struct label labels[REMOTE_LABELS_MAX / 8];
    struct exemplar e = { .has_t = true };
    struct pb_reader pb;
    struct pb_field f;
    size_t n = 0;
    pb_reader_init(&pb, message);
    while (pb_next(&pb, &f)) {
        if (f.number == 1 && f.type == PB_LEN) {
            if (n == ARRAY_LEN(labels))
                return true; /* over every limit that a store has: dropped like other bad exemplars */
            if (!read_label(r, f.bytes, &labels[n++]))
                return false;
        } else if (f.number == 2 && f.type == PB_I64) {
            e.value = pb_f64(&f);
        } else if (f.number == 3 && f.type == PB_VARINT) {
            e.t = pb_i64(&f);
        }
    }
    if (pb.failed)
        return damaged(r);
    e.labels = in_order(labels, n);
    /* Upstream logs exemplars that the store refuses and goes on. */
    if (append_exemplar(r->appender, ref, &e) == APPEND_OK)
        r->exemplars++;
    return true;
}

/* ---- native histograms ---- */

struct lists { /* of one histogram, in the arena; counted first, so that they are allocated once */
    struct histogram_span *spans[2];
    size_t spans_count[2];
    int64_t *deltas[2];
    size_t deltas_count[2];
    double *counts[2];
    size_t counts_count[2];
    double *custom;
    size_t custom_count;
};

static bool add_varints(struct receiving *r, const struct pb_field *f, int64_t *into, size_t *n)
{
    uint64_t v;
    bool failed = false;
    struct str packed = f->bytes;
    if (f->type == PB_VARINT) {
        if (into)
            into[*n] = pb_s64(f);
        ++*n;
        return true;
    }
    while (f->type == PB_LEN && pb_packed_varint(&packed, &v, &failed)) {
        const struct pb_field one = { .value = v };
        if (into)
            into[*n] = pb_s64(&one);
        ++*n;
    }
    return !failed || damaged(r);
}

static bool add_doubles(struct receiving *r, const struct pb_field *f, double *into, size_t *n)
{
    double v;
    bool failed = false;
    struct str packed = f->bytes;
    if (f->type == PB_I64) {
        if (into)
            into[*n] = pb_f64(f);
        ++*n;
        return true;
    }
    while (f->type == PB_LEN && pb_packed_f64(&packed, &v, &failed)) {
        if (into)
            into[*n] = v;
        ++*n;
    }
    return !failed || damaged(r);
}

static bool add_span(struct receiving *r, const struct pb_field *f, struct histogram_span *into, size_t *n)
{
    struct pb_reader pb;
    struct pb_field g;
    struct histogram_span s = { 0, 0 };
    if (f->type != PB_LEN)
        return true;
    pb_reader_init(&pb, f->bytes);
    while (pb_next(&pb, &g)) {
        if (g.number == 1 && g.type == PB_VARINT)
            s.offset = (int32_t)pb_s64(&g);
        else if (g.number == 2 && g.type == PB_VARINT)
            s.length = (uint32_t)g.value;
    }
    if (pb.failed)
        return damaged(r);
    if (into)
        into[*n] = s;
    ++*n;
    return true;
}

/* Field numbers of the lists: negative side first, as the message has them. */
static bool read_lists(struct receiving *r, struct str message, struct lists *l)
{
    struct pb_reader pb;
    struct pb_field f;
    memset(l->spans_count, 0, sizeof l->spans_count);
    memset(l->deltas_count, 0, sizeof l->deltas_count);
    memset(l->counts_count, 0, sizeof l->counts_count);
    l->custom_count = 0;
    pb_reader_init(&pb, message);
    while (pb_next(&pb, &f)) {
        bool ok = true;
        size_t side = f.number >= 11 ? 0 : 1; /* 0 positive, 1 negative */
        if (f.number == 8 || f.number == 11)
            ok = add_span(r, &f, l->spans[side], &l->spans_count[side]);
        else if (f.number == 9 || f.number == 12)
            ok = add_varints(r, &f, l->deltas[side], &l->deltas_count[side]);
        else if (f.number == 10 || f.number == 13)
            ok = add_doubles(r, &f, l->counts[side], &l->counts_count[side]);
        else if (f.number == 16)
            ok = add_doubles(r, &f, l->custom, &l->custom_count);
        if (!ok)
            return false;
    }
    return !pb.failed || damaged(r);
}

static bool collect_lists(struct receiving *r, struct str message, struct lists *l)
{
    *l = (struct lists){ .custom = NULL };
    if (!read_lists(r, message, l))
        return false;
    for (size_t s = 0; s < 2; s++) {
        l->spans[s] = arena_alloc_array(r->arena, l->spans_count[s], sizeof *l->spans[s]);
        l->deltas[s] = arena_alloc_array(r->arena, l->deltas_count[s], sizeof *l->deltas[s]);
        l->counts[s] = arena_alloc_array(r->arena, l->counts_count[s], sizeof *l->counts[s]);
    }
    l->custom = arena_alloc_array(r->arena, l->custom_count, sizeof *l->custom);
    return read_lists(r, message, l);
}

static bool take_histogram(struct receiving *r, struct str message, series_ref *ref, const struct labels *ls)
{
    struct lists l;
    struct pb_reader pb;
    struct pb_field f;
    struct int_histogram h = { .hint = RESET_UNKNOWN };
    struct float_histogram fh = { .hint = RESET_UNKNOWN };
    bool is_float = false;
    int64_t t = 0;
    if (!collect_lists(r, message, &l))
        return false;
    pb_reader_init(&pb, message);
    while (pb_next(&pb, &f)) {
        if (f.number == 1 && f.type == PB_VARINT)
            h.count = f.value;
        else if (f.number == 2 && f.type == PB_I64) {
            fh.count = pb_f64(&f);
            is_float = true;
        } else if (f.number == 3 && f.type == PB_I64)
            h.sum = fh.sum = pb_f64(&f);
        else if (f.number == 4 && f.type == PB_VARINT)
            h.schema = fh.schema = (int32_t)pb_s64(&f);
        else if (f.number == 5 && f.type == PB_I64)
            h.zero_threshold = fh.zero_threshold = pb_f64(&f);
        else if (f.number == 6 && f.type == PB_VARINT)
            h.zero_count = f.value;
        else if (f.number == 7 && f.type == PB_I64)
            fh.zero_count = pb_f64(&f);
        else if (f.number == 14 && f.type == PB_VARINT && f.value <= RESET_GAUGE)
            h.hint = fh.hint = (enum counter_reset_hint)f.value;
        else if (f.number == 15 && f.type == PB_VARINT)
            t = pb_i64(&f);
    }
    if (pb.failed)
        return damaged(r);
    h.positive = (struct int_side){ l.spans[0], l.spans_count[0], l.deltas[0], l.deltas_count[0] };
    h.negative = (struct int_side){ l.spans[1], l.spans_count[1], l.deltas[1], l.deltas_count[1] };
    fh.positive = (struct float_side){ l.spans[0], l.spans_count[0], l.counts[0], l.counts_count[0] };
    fh.negative = (struct float_side){ l.spans[1], l.spans_count[1], l.counts[1], l.counts_count[1] };
    h.custom_values = fh.custom_values = l.custom;
    h.custom_values_count = fh.custom_values_count = l.custom_count;
    if (t > r->now + FUTURE_MS)
        return refused(r, APPEND_OUT_OF_BOUNDS, ls, t);
    enum append_status status = append_histogram(r->appender, ref, ls, t, is_float ? NULL : &h, is_float ? &fh : NULL);
    if (status != APPEND_OK)
        return refused(r, status, ls, t);
    r->histograms++;
    return true;
}

/* ---- series ---- */

static bool take_series(struct receiving *r, struct str message)
{
    struct pb_reader pb;
    struct pb_field f;
    size_t n = 0, values = 0;
    pb_reader_init(&pb, message);
    while (pb_next(&pb, &f)) {
        if (f.type != PB_LEN)
            continue;
        if (f.number != 1) {
            values += f.number == 2 || f.number == 4;
            continue;
        }
        if (n == REMOTE_LABELS_MAX)
            return err_set(r->err, ERR_LIMIT, "more than %d labels in one series", REMOTE_LABELS_MAX);
        if (!read_label(r, f.bytes, &r->labels[n++]))
            return false;
    }
    if (pb.failed)
        return damaged(r);
    const struct labels ls = in_order(r->labels, n);
    if (!set_valid(ls)) {
        counter_add_shared(&r->stats->invalid_series, values);
        return true;
    }
    series_ref ref = 0;
    for (int pass = 0; pass < 2; pass++) { /* exemplars after the samples that make the series */
        pb_reader_init(&pb, message);
        while (pb_next(&pb, &f)) {
            bool ok = true;
            if (f.type != PB_LEN)
                continue;
            if (pass == 0 && f.number == 2)
                ok = take_sample(r, f.bytes, &ref, &ls);
            else if (pass == 0 && f.number == 4)
                ok = take_histogram(r, f.bytes, &ref, &ls);
            else if (pass == 1 && f.number == 3 && ref)
                ok = take_exemplar(r, f.bytes, ref);
            if (!ok)
                return false;
        }
    }
    return true;
}

int remote_receive(struct arena *a, struct str message, struct storage *st, wall_ms now, struct receive_stats *stats,
                   struct err *err)
{
    struct receiving r = { .arena = a, .now = now, .stats = stats, .err = err,
                           .labels = arena_alloc_array(a, REMOTE_LABELS_MAX, sizeof *r.labels) };
    struct pb_reader pb;
    struct pb_field f;
    if (!storage_appender(st, NULL, &r.appender, err))
        return err->code == ERR_UNAVAILABLE ? 503 : 500;
    bool ok = true;
    pb_reader_init(&pb, message);
    while (ok && pb_next(&pb, &f))
        if (f.number == 1 && f.type == PB_LEN)
            ok = take_series(&r, f.bytes);
    if (ok && pb.failed)
        ok = damaged(&r);
    if (!ok) {
        append_rollback(r.appender);
        return err->code == ERR_UNAVAILABLE ? 500 : 400;
    }
    if (!append_commit(r.appender, err))
        return 500;
    counter_add_shared(&stats->samples, r.samples);
    counter_add_shared(&stats->histograms, r.histograms);
    counter_add_shared(&stats->exemplars, r.exemplars);
    return 204;
}
