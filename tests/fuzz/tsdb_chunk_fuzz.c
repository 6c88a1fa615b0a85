/* Any bytes as a chunk of any encoding: they decode or are refused. What decodes ascends in time, and written again by us
 * it gives the same samples. First byte: the encoding. */
#include "base/buf.h"
#include "base/mem.h"
#include "tsdb/chunkenc/chunk_int.h"
#include "tsdb/chunkenc/histogram_int.h"
#include "tsdb/chunkenc/xor_int.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t bits_of(double v)
{
    uint64_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

static void floats_survive(const struct columns *c)
{
    uint8_t *bytes = mem_alloc(c->n * XOR_SAMPLE_BYTES_MAX + XOR_STEP_BYTES + 2);
    int64_t *t = mem_alloc((c->n + 1) * sizeof *t);
    double *v = mem_alloc((c->n + 1) * sizeof *v);
    struct xor_state s = { 0 };
    struct xor_step step;
    struct err err;
    for (size_t i = 0; i < c->n; i++) {
        size_t n = xor_bytes(&s);
        xor_append(&s, n ? bytes[n - 1] : 0, c->t[i], bits_of(c->v[i]), &step);
        memcpy(bytes + step.at, step.bytes, step.n);
        bytes[0] = (uint8_t)(s.n >> 8);
        bytes[1] = (uint8_t)s.n;
    }
    if (c->n) {
        bool ascends;
        ASSERT(xor_decode(bytes, xor_bytes(&s), t, v, &ascends, &err));
        ASSERT(memcmp(t, c->t, c->n * sizeof *t) == 0 && memcmp(v, c->v, c->n * sizeof *v) == 0);
    }
    mem_free(bytes);
    mem_free(t);
    mem_free(v);
}

/* The chunk that is written last decodes to the last samples of what was read. */
static void histograms_survive(const struct columns *in)
{
    struct histogram_chunk c = { 0 };
    struct columns out = { 0 };
    struct err err = { 0 };
    size_t first = 0;
    for (size_t i = 0; i < in->hn; i++) {
        struct histogram_sample s = { .t = in->ht[i], .fh = in->h[i] };
        enum reset_flag flag = FLAG_UNKNOWN;
        if (!float_histogram_check(in->h[i], &err)) {
            histogram_chunk_deinit(&c);
            return; /* an appender would have refused it */
        }
        if (i == 0 || !histogram_chunk_append(&c, &s, &flag)) {
            histogram_chunk_start(&c, &s, flag);
            first = i;
        }
    }
    if (in->hn) {
        struct str bytes = str_of((const char *)c.out.p, histogram_chunk_bytes(&c));
        ASSERT(chunk_decode(CHUNK_FLOAT_HISTOGRAM, bytes, INT64_MIN, INT64_MAX, &out, &err));
        ASSERT(out.hn == in->hn - first);
        for (size_t i = 0; i < out.hn; i++)
            ASSERT(out.ht[i] == in->ht[first + i] && bits_of(out.h[i]->sum) == bits_of(in->h[first + i]->sum));
    }
    histogram_chunk_deinit(&c);
    columns_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct columns c = { 0 }, part = { 0 };
    struct err err = { 0 };
    if (size == 0)
        return 0;
    uint8_t encoding = data[0] % 8;
    struct str bytes = str_of((const char *)data + 1, size - 1);
    if (!chunk_decode(encoding, bytes, INT64_MIN, INT64_MAX, &c, &err)) {
        ASSERT(err.code != ERR_NONE && c.n == 0 && c.hn == 0);
        columns_deinit(&c);
        return 0;
    }
    ASSERT(c.n + c.hn == chunk_samples(encoding, bytes));
    for (size_t i = 1; i < c.n; i++)
        ASSERT(c.t[i - 1] < c.t[i]);
    for (size_t i = 1; i < c.hn; i++)
        ASSERT(c.ht[i - 1] < c.ht[i]);
    if (c.n > 2) {
        ASSERT(chunk_decode(encoding, bytes, c.t[1], c.t[c.n - 2], &part, &err));
        ASSERT(part.n == c.n - 2 && part.t[0] == c.t[1]);
    }
    floats_survive(&c);
    histograms_survive(&c);
    columns_deinit(&c);
    columns_deinit(&part);
    return 0;
}
