/* Records of the log.
 *
 * R1  Decoding reads straight through with a sticky cursor; the body is good if the cursor ended exactly at its end.
 * R2  Counts in a body are checked against the bytes that are left before anything is allocated for them.
 * R3  References and times after the first are signed differences to the first item of the batch, which need not be in
 *     the record. */
#include "tsdb/wal/record_int.h"

#include "base/mem.h"

enum { SLOT_SERIES, SLOT_SAMPLES, SLOT_HISTOGRAMS, SLOT_TOMBSTONES, SLOT_EXEMPLARS, SLOT_MARKERS, SLOT_METADATA };

/* The array with room for one more item. */
static void *room(struct record *r, unsigned slot, void *array, size_t size)
{
    if (r->n < r->capacity[slot])
        return array;
    r->capacity[slot] = mem_grow(r->capacity[slot], r->n + 1);
    return mem_realloc_array(array, r->capacity[slot], size);
}

void record_deinit(struct record *r)
{
    mem_free(r->series);
    mem_free(r->samples);
    mem_free(r->histograms);
    mem_free(r->tombstones);
    mem_free(r->exemplars);
    mem_free(r->markers);
    mem_free(r->metadata);
    if (r->arena_ready)
        arena_deinit(&r->arena);
    *r = (struct record){ 0 };
}

/* ---- pieces ---- */

void record_put_labels(struct buf *b, struct labels ls)
{
    buf_uvarint(b, ls.n);
    for (size_t i = 0; i < ls.n; i++) {
        buf_uvarint_str(b, ls.v[i].name);
        buf_uvarint_str(b, ls.v[i].value);
    }
}

bool record_take_labels(struct cursor *c, struct arena *a, struct labels *out)
{
    uint64_t n = take_uvarint(c);
    if (n > cursor_left(c) / 2) {
        cursor_fail(c);
        return false;
    }
    struct label *v = arena_alloc_array(a, (size_t)n + 1, sizeof *v);
    for (uint64_t i = 0; i < n; i++) {
        v[i].name = take_str(c);
        v[i].value = take_str(c);
    }
    *out = (struct labels){ v, (size_t)n };
    return !c->bad;
}

static void put_f64(struct buf *b, double v)
{
    buf_be64(b, f64_bits(v));
}

static void put_spans(struct buf *b, const struct histogram_span *s, size_t n)
{
    buf_uvarint(b, n);
    for (size_t i = 0; i < n; i++) {
        buf_varint(b, s[i].offset);
        buf_uvarint(b, s[i].length);
    }
}

static void put_bounds(struct buf *b, int32_t schema, const double *v, size_t n)
{
    if (schema != HISTOGRAM_SCHEMA_CUSTOM)
        return;
    buf_uvarint(b, n);
    for (size_t i = 0; i < n; i++)
        put_f64(b, v[i]);
}

static void put_int(struct buf *b, const struct int_histogram *h)
{
    buf_byte(b, (char)h->hint);
    buf_varint(b, h->schema);
    put_f64(b, h->zero_threshold);
    buf_uvarint(b, h->zero_count);
    buf_uvarint(b, h->count);
    put_f64(b, h->sum);
    put_spans(b, h->positive.spans, h->positive.spans_count);
    put_spans(b, h->negative.spans, h->negative.spans_count);
    buf_uvarint(b, h->positive.deltas_count);
    for (size_t i = 0; i < h->positive.deltas_count; i++)
        buf_varint(b, h->positive.deltas[i]);
    buf_uvarint(b, h->negative.deltas_count);
    for (size_t i = 0; i < h->negative.deltas_count; i++)
        buf_varint(b, h->negative.deltas[i]);
    put_bounds(b, h->schema, h->custom_values, h->custom_values_count);
}

static void put_float(struct buf *b, const struct float_histogram *h)
{
    buf_byte(b, (char)h->hint);
    buf_varint(b, h->schema);
    put_f64(b, h->zero_threshold);
    put_f64(b, h->zero_count);
    put_f64(b, h->count);
    put_f64(b, h->sum);
    put_spans(b, h->positive.spans, h->positive.spans_count);
    put_spans(b, h->negative.spans, h->negative.spans_count);
    buf_uvarint(b, h->positive.buckets_count);
    for (size_t i = 0; i < h->positive.buckets_count; i++)
        put_f64(b, h->positive.buckets[i]);
    buf_uvarint(b, h->negative.buckets_count);
    for (size_t i = 0; i < h->negative.buckets_count; i++)
        put_f64(b, h->negative.buckets[i]);
    put_bounds(b, h->schema, h->custom_values, h->custom_values_count);
}

void record_put_histogram(struct buf *b, const struct int_histogram *h, const struct float_histogram *fh)
{
    if (h)
        put_int(b, h);
    else
        put_float(b, fh);
}

static const struct histogram_span *take_spans(struct cursor *c, struct arena *a, size_t *n)
{
    uint64_t count = take_uvarint(c);
    if (count > cursor_left(c) / 2)
        cursor_fail(c);
    *n = c->bad ? 0 : (size_t)count;
    struct histogram_span *s = arena_alloc_array(a, *n + 1, sizeof *s);
    for (size_t i = 0; i < *n; i++) {
        int64_t offset = take_varint(c);
        uint64_t length = take_uvarint(c);
        if (offset < INT32_MIN || offset > INT32_MAX || length > UINT32_MAX)
            cursor_fail(c);
        s[i] = (struct histogram_span){ (int32_t)offset, (uint32_t)length };
    }
    return s;
}

static int64_t *take_deltas(struct cursor *c, struct arena *a, size_t *n)
{
    uint64_t count = take_uvarint(c);
    if (count > cursor_left(c))
        cursor_fail(c);
    *n = c->bad ? 0 : (size_t)count;
    int64_t *v = arena_alloc_array(a, *n + 1, sizeof *v);
    for (size_t i = 0; i < *n; i++)
        v[i] = take_varint(c);
    return v;
}

static double take_f64(struct cursor *c)
{
    return f64_from_bits(take_be64(c));
}

static double *take_f64s(struct cursor *c, struct arena *a, size_t *n)
{
    uint64_t count = take_uvarint(c);
    if (count > cursor_left(c) / 8)
        cursor_fail(c);
    *n = c->bad ? 0 : (size_t)count;
    double *v = arena_alloc_array(a, *n + 1, sizeof *v);
    for (size_t i = 0; i < *n; i++)
        v[i] = take_f64(c);
    return v;
}

static enum counter_reset_hint take_hint(struct cursor *c)
{
    uint8_t h = get_u8(c);
    return h <= RESET_GAUGE ? (enum counter_reset_hint)h : RESET_UNKNOWN;
}

static int32_t take_schema(struct cursor *c)
{
    int64_t s = take_varint(c);
    return s < INT32_MIN || s > INT32_MAX ? INT32_MAX : (int32_t)s;
}

struct int_histogram *record_take_int_histogram(struct cursor *c, struct arena *a)
{
    struct int_histogram *h = ARENA_NEW(a, struct int_histogram);
    h->hint = take_hint(c);
    h->schema = take_schema(c);
    h->zero_threshold = take_f64(c);
    h->zero_count = take_uvarint(c);
    h->count = take_uvarint(c);
    h->sum = take_f64(c);
    h->positive.spans = take_spans(c, a, &h->positive.spans_count);
    h->negative.spans = take_spans(c, a, &h->negative.spans_count);
    h->positive.deltas = take_deltas(c, a, &h->positive.deltas_count);
    h->negative.deltas = take_deltas(c, a, &h->negative.deltas_count);
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
        h->custom_values = take_f64s(c, a, &h->custom_values_count);
    return h;
}

struct float_histogram *record_take_float_histogram(struct cursor *c, struct arena *a)
{
    struct float_histogram *h = ARENA_NEW(a, struct float_histogram);
    h->hint = take_hint(c);
    h->schema = take_schema(c);
    h->zero_threshold = take_f64(c);
    h->zero_count = take_f64(c);
    h->count = take_f64(c);
    h->sum = take_f64(c);
    h->positive.spans = take_spans(c, a, &h->positive.spans_count);
    h->negative.spans = take_spans(c, a, &h->negative.spans_count);
    h->positive.buckets = take_f64s(c, a, &h->positive.buckets_count);
    h->negative.buckets = take_f64s(c, a, &h->negative.buckets_count);
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
        h->custom_values = take_f64s(c, a, &h->custom_values_count);
    return h;
}

/* ---- decoding ---- */

static void decode_series(struct record *r, struct cursor *c)
{
    while (cursor_more(c)) {
        r->series = room(r, SLOT_SERIES, r->series, sizeof *r->series);
        struct record_series *s = &r->series[r->n];
        s->ref = take_be64(c);
        if (record_take_labels(c, &r->arena, &s->labels))
            r->n++;
    }
}

static void decode_samples(struct record *r, struct cursor *c)
{
    if (!cursor_more(c))
        return;
    uint64_t ref0 = take_be64(c), t0 = take_be64(c);
    size_t most = cursor_left(c) / 10 + 1; /* bytes of the shortest sample */
    if (r->capacity[SLOT_SAMPLES] < most) {
        r->capacity[SLOT_SAMPLES] = mem_grow(r->capacity[SLOT_SAMPLES], most);
        r->samples = mem_realloc_array(r->samples, r->capacity[SLOT_SAMPLES], sizeof *r->samples);
    }
    struct record_sample *s = r->samples;
    while (cursor_more(c)) {
        s->ref = ref0 + (uint64_t)take_varint(c);
        s->t = (int64_t)(t0 + (uint64_t)take_varint(c));
        s->v = take_be64(c);
        s += !c->bad;
    }
    r->n = (size_t)(s - r->samples);
}

static void decode_samples_v2(struct record *r, struct cursor *c)
{
    uint64_t ref = 0;
    int64_t t0 = 0;
    while (cursor_more(c)) {
        r->samples = room(r, SLOT_SAMPLES, r->samples, sizeof *r->samples);
        struct record_sample *s = &r->samples[r->n];
        if (r->n == 0) {
            ref = (uint64_t)take_varint(c);
            t0 = take_varint(c);
            take_varint(c); /* start timestamp */
            s->t = t0;
        } else {
            ref += (uint64_t)take_varint(c);
            s->t = (int64_t)((uint64_t)t0 + (uint64_t)take_varint(c));
            if (get_u8(c) == 2)
                take_varint(c);
        }
        s->ref = ref;
        s->v = take_be64(c);
        r->n += !c->bad;
    }
}

static bool schema_known(int32_t schema)
{
    return schema == HISTOGRAM_SCHEMA_CUSTOM || (schema >= -9 && schema <= HISTOGRAM_SCHEMA_STORED_MAX);
}

static void push_histogram(struct record *r, struct cursor *c, uint64_t ref, int64_t t, bool is_float)
{
    r->histograms = room(r, SLOT_HISTOGRAMS, r->histograms, sizeof *r->histograms);
    struct record_histogram *s = &r->histograms[r->n];
    *s = (struct record_histogram){ .ref = ref, .t = t };
    if (is_float)
        s->fh = record_take_float_histogram(c, &r->arena);
    else
        s->h = record_take_int_histogram(c, &r->arena);
    if (c->bad)
        return;
    int32_t schema = is_float ? s->fh->schema : s->h->schema;
    if (!schema_known(schema)) {
        r->skipped++;
        return;
    }
    if (schema > HISTOGRAM_SCHEMA_MAX && is_float)
        float_histogram_reduce(&r->arena, s->fh, HISTOGRAM_SCHEMA_MAX);
    else if (schema > HISTOGRAM_SCHEMA_MAX)
        int_histogram_reduce(&r->arena, s->h, HISTOGRAM_SCHEMA_MAX);
    r->n++;
}

static void decode_histograms(struct record *r, struct cursor *c, bool is_float)
{
    if (!cursor_more(c))
        return;
    uint64_t ref0 = take_be64(c), t0 = take_be64(c);
    while (cursor_more(c)) {
        uint64_t ref = ref0 + (uint64_t)take_varint(c);
        int64_t t = (int64_t)(t0 + (uint64_t)take_varint(c));
        push_histogram(r, c, ref, t, is_float);
    }
}

static void decode_histograms_v2(struct record *r, struct cursor *c, bool is_float)
{
    uint64_t ref = 0;
    int64_t t0 = 0, t;
    for (bool first = true; cursor_more(c); first = false) {
        if (first) {
            ref = (uint64_t)take_varint(c);
            t = t0 = take_varint(c);
            take_varint(c);
        } else {
            ref += (uint64_t)take_varint(c);
            t = (int64_t)((uint64_t)t0 + (uint64_t)take_varint(c));
            if (get_u8(c) == 2)
                take_varint(c);
        }
        push_histogram(r, c, ref, t, is_float);
    }
}

static void decode_tombstones(struct record *r, struct cursor *c)
{
    while (cursor_more(c)) {
        r->tombstones = room(r, SLOT_TOMBSTONES, r->tombstones, sizeof *r->tombstones);
        struct record_tombstone *t = &r->tombstones[r->n];
        t->ref = take_be64(c);
        t->interval.mint = take_varint(c);
        t->interval.maxt = take_varint(c);
        r->n += !c->bad;
    }
}

static void decode_exemplars(struct record *r, struct cursor *c)
{
    if (!cursor_more(c))
        return;
    uint64_t ref0 = take_be64(c), t0 = take_be64(c);
    while (cursor_more(c)) {
        r->exemplars = room(r, SLOT_EXEMPLARS, r->exemplars, sizeof *r->exemplars);
        struct record_exemplar *e = &r->exemplars[r->n];
        e->ref = ref0 + (uint64_t)take_varint(c);
        e->e.t = (int64_t)(t0 + (uint64_t)take_varint(c));
        e->e.has_t = true;
        e->e.value = take_f64(c);
        if (record_take_labels(c, &r->arena, &e->e.labels))
            r->n++;
    }
}

static void decode_markers(struct record *r, struct cursor *c)
{
    while (cursor_more(c)) {
        r->markers = room(r, SLOT_MARKERS, r->markers, sizeof *r->markers);
        struct record_marker *m = &r->markers[r->n];
        m->ref = take_be64(c);
        m->chunk_ref = take_be64(c);
        r->n += !c->bad;
    }
}

static void decode_metadata(struct record *r, struct cursor *c)
{
    while (cursor_more(c)) {
        r->metadata = room(r, SLOT_METADATA, r->metadata, sizeof *r->metadata);
        struct record_metadata *m = &r->metadata[r->n];
        *m = (struct record_metadata){ .ref = take_uvarint(c) };
        uint8_t type = get_u8(c);
        m->m.type = type <= SERIES_STATESET ? (enum series_type)type : SERIES_UNKNOWN;
        m->m.unit = m->m.help = STR_EMPTY;
        uint64_t fields = take_uvarint(c);
        for (uint64_t i = 0; i < fields && !c->bad; i++) {
            struct str name = take_str(c), value = take_str(c);
            if (str_eq(name, STR("UNIT")))
                m->m.unit = value;
            else if (str_eq(name, STR("HELP")))
                m->m.help = value;
        }
        r->n += !c->bad;
    }
}

bool record_decode(struct record *r, struct str bytes, struct err *err)
{
    r->n = 0;
    r->skipped = 0;
    if (!r->arena_ready) {
        arena_init(&r->arena, ARENA_NO_LIMIT);
        r->arena_ready = true;
    }
    arena_reset(&r->arena);
    r->type = RECORD_UNKNOWN;
    if (bytes.n == 0)
        return true;
    struct cursor c = cursor_of(bytes.p + 1, bytes.n - 1);
    uint8_t type = (uint8_t)bytes.p[0];
    switch (type) {
    case RECORD_SERIES: decode_series(r, &c); break;
    case RECORD_SAMPLES: decode_samples(r, &c); break;
    case RECORD_TOMBSTONES: decode_tombstones(r, &c); break;
    case RECORD_EXEMPLARS: decode_exemplars(r, &c); break;
    case RECORD_MMAP_MARKERS: decode_markers(r, &c); break;
    case RECORD_METADATA: decode_metadata(r, &c); break;
    case RECORD_HISTOGRAMS:
    case RECORD_CUSTOM_HISTOGRAMS: decode_histograms(r, &c, false); break;
    case RECORD_FLOAT_HISTOGRAMS:
    case RECORD_CUSTOM_FLOAT_HISTOGRAMS: decode_histograms(r, &c, true); break;
    case RECORD_SAMPLES_V2: decode_samples_v2(r, &c); break;
    case RECORD_HISTOGRAMS_V2: decode_histograms_v2(r, &c, false); break;
    case RECORD_FLOAT_HISTOGRAMS_V2: decode_histograms_v2(r, &c, true); break;
    default: return true;
    }
    if (c.bad) {
        r->n = 0;
        return err_set(err, ERR_CORRUPT, "decode record of type %u: invalid size", type);
    }
    static const enum record_type plain[] = {
        [RECORD_CUSTOM_HISTOGRAMS] = RECORD_HISTOGRAMS,
        [RECORD_CUSTOM_FLOAT_HISTOGRAMS] = RECORD_FLOAT_HISTOGRAMS,
        [RECORD_SAMPLES_V2] = RECORD_SAMPLES,
        [RECORD_HISTOGRAMS_V2] = RECORD_HISTOGRAMS,
        [RECORD_FLOAT_HISTOGRAMS_V2] = RECORD_FLOAT_HISTOGRAMS,
    };
    r->type = plain[type] ? plain[type] : (enum record_type)type;
    return true;
}

struct wal_bounds record_bounds(const struct record *r)
{
    struct wal_bounds b = WAL_BOUNDS_NONE;
    for (size_t i = 0; i < r->n && r->type == RECORD_SAMPLES; i++)
        wal_bounds_add(&b, r->samples[i].t);
    for (size_t i = 0; i < r->n && (r->type == RECORD_HISTOGRAMS || r->type == RECORD_FLOAT_HISTOGRAMS); i++)
        wal_bounds_add(&b, r->histograms[i].t);
    for (size_t i = 0; i < r->n && r->type == RECORD_EXEMPLARS; i++)
        wal_bounds_add(&b, r->exemplars[i].e.t);
    return b;
}

bool record_has_times(uint8_t type)
{
    switch ((enum record_type)type) {
    case RECORD_SAMPLES:
    case RECORD_EXEMPLARS:
    case RECORD_HISTOGRAMS:
    case RECORD_FLOAT_HISTOGRAMS:
    case RECORD_CUSTOM_HISTOGRAMS:
    case RECORD_CUSTOM_FLOAT_HISTOGRAMS:
    case RECORD_SAMPLES_V2:
    case RECORD_HISTOGRAMS_V2:
    case RECORD_FLOAT_HISTOGRAMS_V2: return true;
    case RECORD_UNKNOWN:
    case RECORD_SERIES:
    case RECORD_TOMBSTONES:
    case RECORD_MMAP_MARKERS:
    case RECORD_METADATA: break;
    }
    return false;
}

/* ---- encoding ---- */

void record_series_begin(struct buf *b)
{
    buf_byte(b, RECORD_SERIES);
}

void record_series_item(struct buf *b, uint64_t ref, struct labels ls)
{
    buf_be64(b, ref);
    record_put_labels(b, ls);
}

void record_samples_begin(struct buf *b, enum record_type type, uint64_t ref0, int64_t t0)
{
    buf_byte(b, (char)type);
    buf_be64(b, ref0);
    buf_be64(b, (uint64_t)t0);
}

static void put_place(struct buf *b, uint64_t ref0, int64_t t0, uint64_t ref, int64_t t)
{
    buf_varint(b, (int64_t)(ref - ref0));
    buf_varint(b, (int64_t)((uint64_t)t - (uint64_t)t0));
}

void record_histogram_item(struct buf *b, uint64_t ref0, int64_t t0, uint64_t ref, int64_t t,
                           const struct int_histogram *h, const struct float_histogram *fh)
{
    put_place(b, ref0, t0, ref, t);
    record_put_histogram(b, h, fh);
}

void record_exemplar_item(struct buf *b, uint64_t ref0, int64_t t0, uint64_t ref, const struct exemplar *e)
{
    put_place(b, ref0, t0, ref, e->t);
    put_f64(b, e->value);
    record_put_labels(b, e->labels);
}

void record_tombstones_begin(struct buf *b)
{
    buf_byte(b, RECORD_TOMBSTONES);
}

void record_tombstone_item(struct buf *b, uint64_t ref, struct interval i)
{
    buf_be64(b, ref);
    buf_varint(b, i.mint);
    buf_varint(b, i.maxt);
}

void record_metadata_begin(struct buf *b)
{
    buf_byte(b, RECORD_METADATA);
}

void record_metadata_item(struct buf *b, uint64_t ref, const struct series_metadata *m)
{
    buf_uvarint(b, ref);
    buf_byte(b, (char)m->type);
    buf_uvarint(b, 2);
    buf_uvarint_str(b, STR("UNIT"));
    buf_uvarint_str(b, m->unit);
    buf_uvarint_str(b, STR("HELP"));
    buf_uvarint_str(b, m->help);
}

void record_markers_begin(struct buf *b)
{
    buf_byte(b, RECORD_MMAP_MARKERS);
}

void record_marker_item(struct buf *b, uint64_t ref, uint64_t chunk_ref)
{
    buf_be64(b, ref);
    buf_be64(b, chunk_ref);
}
