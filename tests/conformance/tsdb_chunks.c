/* Chunks that a real server wrote: decoded, encoded again to the same bytes, and cut where it cut them. */
#include "lib/shared.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "base/num.h"
#include "tsdb/chunkenc/chunk_int.h"
#include "tsdb/chunkenc/histogram_int.h"
#include "tsdb/chunkenc/xor_int.h"

/* ---- floats ---- */

static uint64_t bits_of(const json_t *hex)
{
    uint64_t v = 0;
    if (!num_parse_u64(str_c(json_string_value(hex)), 16, &v))
        v = 0;
    return v;
}

static bool floats_decode(struct str bytes, const json_t *samples)
{
    struct columns c = { 0 };
    struct err err = { 0 };
    bool ok = chunk_decode(CHUNK_XOR, bytes, INT64_MIN, INT64_MAX, &c, &err) && c.n == json_array_size(samples);
    for (size_t i = 0; ok && i < c.n; i++) {
        const json_t *s = json_array_get(samples, i);
        ok = c.t[i] == json_integer_value(json_array_get(s, 0)) && f64_bits(c.v[i]) == bits_of(json_array_get(s, 1));
    }
    columns_deinit(&c);
    return ok;
}

/* Encodes the samples; equal, or equal but for the one zero byte that old writers leave behind. */
static bool floats_encode(struct str bytes, const json_t *samples)
{
    struct xor_state state = { 0 };
    struct buf out = { 0 };
    buf_fill(&out, 0, 2);
    for (size_t i = 0; i < json_array_size(samples); i++) {
        struct xor_step step;
        const json_t *s = json_array_get(samples, i);
        xor_append(&state, (uint8_t)out.p[out.n - 1], json_integer_value(json_array_get(s, 0)),
                   bits_of(json_array_get(s, 1)), &step);
        buf_truncate(&out, step.at);
        buf_append(&out, step.bytes, step.n);
        put_be16(out.p, state.n);
    }
    bool ok = str_eq(buf_view(&out), bytes) ||
              (bytes.n == out.n + 1 && bytes.p[out.n] == 0 && memcmp(bytes.p, out.p, out.n) == 0);
    buf_deinit(&out);
    return ok;
}

static void float_case(const char *name, const json_t *c)
{
    const json_t *chunks = json_object_get(c, "chunks"), *samples;
    for (size_t i = 0; i < json_array_size(chunks); i++) {
        const json_t *chunk = json_array_get(chunks, i);
        struct buf bytes = { 0 };
        samples = json_object_get(chunk, "samples");
        if (!shared_unhex(shared_get_str(chunk, "bytes"), &bytes))
            shared_fail(name, "no hex");
        else if (!floats_decode(buf_view(&bytes), samples))
            shared_fail(name, "chunk %zu decodes to something else", i);
        else if (!floats_encode(buf_view(&bytes), samples))
            shared_fail(name, "chunk %zu encodes to other bytes", i);
        else
            shared_pass();
        buf_deinit(&bytes);
    }
}

/* ---- histograms ---- */

static double number(const json_t *v)
{
    return json_is_string(v) ? f64_from_bits(bits_of(v)) : json_number_value(v);
}

static struct histogram_span *spans(struct arena *a, const json_t *v, size_t *n)
{
    *n = json_array_size(v);
    struct histogram_span *s = arena_alloc_array(a, *n + 1, sizeof *s);
    for (size_t i = 0; i < *n; i++) {
        const json_t *pair = json_array_get(v, i);
        s[i].offset = (int32_t)json_integer_value(json_array_get(pair, 0));
        s[i].length = (uint32_t)json_integer_value(json_array_get(pair, 1));
    }
    return s;
}

static int64_t *ints(struct arena *a, const json_t *v, size_t *n)
{
    *n = json_array_size(v);
    int64_t *out = arena_alloc_array(a, *n + 1, sizeof *out);
    for (size_t i = 0; i < *n; i++)
        out[i] = json_integer_value(json_array_get(v, i));
    return out;
}

static double *floats(struct arena *a, const json_t *v, size_t *n)
{
    *n = json_array_size(v);
    double *out = arena_alloc_array(a, *n + 1, sizeof *out);
    for (size_t i = 0; i < *n; i++)
        out[i] = number(json_array_get(v, i));
    return out;
}

/* A sample of a case: layout from `layout`, buckets under the keys p and n. */
static struct histogram_sample sample_of(struct arena *a, const json_t *layout, const json_t *s, const char *p,
                                         const char *n, bool is_float)
{
    struct histogram_sample out = { .t = json_integer_value(json_object_get(s, "t")) };
    bool stale = json_is_true(json_object_get(s, "stale"));
    double sum = stale ? stale_nan() : number(json_object_get(s, "sum"));
    enum counter_reset_hint hint = (enum counter_reset_hint)shared_get_int(s, "hint", 0);
    if (is_float) {
        struct float_histogram *h = ARENA_NEW(a, struct float_histogram);
        *h = (struct float_histogram){ .hint = hint, .sum = sum };
        if (!stale) {
            h->schema = (int32_t)shared_get_int(layout, "schema", 0);
            h->zero_threshold = number(json_object_get(layout, "zero_threshold"));
            h->count = number(json_object_get(s, "count"));
            h->zero_count = number(json_object_get(s, "zero_count"));
            h->positive.spans = spans(a, json_object_get(layout, "pspans"), &h->positive.spans_count);
            h->negative.spans = spans(a, json_object_get(layout, "nspans"), &h->negative.spans_count);
            h->positive.buckets = floats(a, json_object_get(s, p), &h->positive.buckets_count);
            h->negative.buckets = floats(a, json_object_get(s, n), &h->negative.buckets_count);
        }
        out.fh = h;
        return out;
    }
    struct int_histogram *h = ARENA_NEW(a, struct int_histogram);
    *h = (struct int_histogram){ .hint = hint, .sum = sum };
    if (!stale) {
        h->schema = (int32_t)shared_get_int(layout, "schema", 0);
        h->zero_threshold = number(json_object_get(layout, "zero_threshold"));
        h->count = (uint64_t)json_integer_value(json_object_get(s, "count"));
        h->zero_count = (uint64_t)json_integer_value(json_object_get(s, "zero_count"));
        h->positive.spans = spans(a, json_object_get(layout, "pspans"), &h->positive.spans_count);
        h->negative.spans = spans(a, json_object_get(layout, "nspans"), &h->negative.spans_count);
        h->positive.deltas = ints(a, json_object_get(s, p), &h->positive.deltas_count);
        h->negative.deltas = ints(a, json_object_get(s, n), &h->negative.deltas_count);
    }
    out.h = h;
    return out;
}

static bool same_int(const struct histogram_reader *r, const struct histogram_sample *want)
{
    struct int_histogram got;
    histogram_reader_int(r, &got);
    return r->t == want->t && int_histogram_eq(&got, want->h);
}

static bool same_float(const struct histogram_reader *r, const struct histogram_sample *want)
{
    struct float_histogram got;
    histogram_reader_float(r, &got);
    return r->t == want->t && float_histogram_eq(&got, want->fh);
}

static bool histograms_decode(struct arena *a, struct str bytes, bool is_float, const json_t *decoded)
{
    struct histogram_reader r;
    struct err err = { 0 };
    const json_t *samples = json_object_get(decoded, "samples");
    bool ok = histogram_reader_init(&r, is_float ? 3 : 2, (const uint8_t *)bytes.p, bytes.n, a, &err) &&
              r.n == json_array_size(samples) && r.flag >> 6 == shared_get_int(decoded, "counter_reset", -1);
    for (size_t i = 0; ok && i < r.n; i++) {
        struct histogram_sample want = sample_of(a, decoded, json_array_get(samples, i), "p", "n", is_float);
        ok = histogram_reader_next(&r, &err) && (is_float ? same_float(&r, &want) : same_int(&r, &want));
    }
    return ok;
}

/* The decoded samples, written again with the chunk's own flag. */
static bool histograms_encode(struct arena *a, struct str bytes, bool is_float, const json_t *decoded)
{
    struct histogram_chunk c = { 0 };
    const json_t *samples = json_object_get(decoded, "samples");
    bool ok = true;
    enum reset_flag flag = (enum reset_flag)(bytes.p[2] & 0xc0), next;
    for (size_t i = 0; ok && i < json_array_size(samples); i++) {
        struct histogram_sample s = sample_of(a, decoded, json_array_get(samples, i), "p", "n", is_float);
        if (flag == FLAG_GAUGE && s.h) {
            struct int_histogram *h = ARENA_NEW(a, struct int_histogram);
            *h = *s.h;
            h->hint = RESET_GAUGE;
            s.h = h;
        } else if (flag == FLAG_GAUGE) {
            struct float_histogram *h = ARENA_NEW(a, struct float_histogram);
            *h = *s.fh;
            h->hint = RESET_GAUGE;
            s.fh = h;
        }
        if (i == 0)
            histogram_chunk_start(&c, &s, flag);
        else
            ok = histogram_chunk_append(&c, &s, &next);
    }
    ok = ok && histogram_chunk_bytes(&c) <= bytes.n && memcmp(c.out.p, bytes.p, histogram_chunk_bytes(&c)) == 0;
    histogram_chunk_deinit(&c);
    return ok;
}

/* What was appended gives the chunks that are there, but for flags that re-encoding cleared. */
static bool histograms_cut(struct arena *a, const json_t *c)
{
    const json_t *appended = json_object_get(c, "appended"), *chunks = json_object_get(c, "chunks");
    struct histogram_chunk open = { 0 };
    size_t at = 0, chunk = 0;
    bool ok = true;
    for (size_t i = 0; ok && i <= json_array_size(appended); i++) {
        const json_t *s = json_array_get(appended, i), *want = json_array_get(chunks, chunk);
        bool end = !s || json_integer_value(json_object_get(s, "t")) >
                             json_integer_value(json_object_get(json_array_get(chunks, json_array_size(chunks) - 1), "maxt"));
        enum reset_flag flag = FLAG_UNKNOWN;
        bool is_float = json_is_true(json_object_get(s, "float"));
        struct histogram_sample sample = { 0 };
        if (!end) {
            sample = sample_of(a, s, s, json_object_get(s, "pcounts") ? "pcounts" : "pdeltas",
                               json_object_get(s, "ncounts") ? "ncounts" : "ndeltas", is_float);
            if (open.n && histogram_chunk_append(&open, &sample, &flag))
                continue;
        }
        if (open.n) {
            struct buf bytes = { 0 };
            ok = want && shared_unhex(shared_get_str(want, "bytes"), &bytes) && histogram_chunk_bytes(&open) <= bytes.n &&
                 memcmp(open.out.p, bytes.p, 2) == 0 && memcmp(open.out.p + 3, bytes.p + 3, histogram_chunk_bytes(&open) - 3) == 0;
            buf_deinit(&bytes);
            chunk++;
        }
        if (end)
            break;
        histogram_chunk_start(&open, &sample, open.n ? flag : histogram_chunk_first_flag(NULL, &sample));
        at++;
    }
    ok = ok && chunk == json_array_size(chunks) && at == chunk;
    histogram_chunk_deinit(&open);
    return ok;
}

static void histogram_case(const char *name, const json_t *c)
{
    struct arena a;
    const json_t *chunks = json_object_get(c, "chunks");
    arena_init(&a, ARENA_NO_LIMIT);
    for (size_t i = 0; i < json_array_size(chunks); i++) {
        const json_t *chunk = json_array_get(chunks, i), *decoded = json_object_get(chunk, "decoded");
        struct buf bytes = { 0 };
        bool is_float = str_eq(shared_get_str(chunk, "encoding"), STR("floathistogram"));
        if (!str_contains(shared_get_str(chunk, "encoding"), STR("histogram"))) {
            shared_skip(name, "not a histogram chunk");
            continue;
        }
        if (!shared_unhex(shared_get_str(chunk, "bytes"), &bytes))
            shared_fail(name, "no hex");
        else if (!histograms_decode(&a, buf_view(&bytes), is_float, decoded))
            shared_fail(name, "chunk %zu decodes to something else", i);
        else if (!histograms_encode(&a, buf_view(&bytes), is_float, decoded))
            shared_fail(name, "chunk %zu encodes to other bytes", i);
        else
            shared_pass();
        buf_deinit(&bytes);
    }
    if (histograms_cut(&a, c))
        shared_pass();
    else
        shared_fail(name, "what was appended gives other chunks");
    arena_deinit(&a);
}

static void each_case(const char *file, void (*run)(const char *name, const json_t *c))
{
    json_t *doc = shared_json(file);
    const char *name;
    json_t *c;
    if (!doc)
        return;
    json_object_foreach (json_object_get(doc, "cases"), name, c)
        run(name, c);
    json_decref(doc);
}

int main(void)
{
    if (!shared_begin("tsdb_chunks"))
        return shared_finish();
    each_case("conformance/tsdb/xor-vectors/xor.json", float_case);
    each_case("conformance/tsdb/xor-vectors/histograms.json", histogram_case);
    return shared_finish();
}
