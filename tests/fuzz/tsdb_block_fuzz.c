/* A good block with bytes changed in its index and its chunks, checksums made right again where the good block had them:
 * it is refused or answers, and merging it with a good one fails or gives a block that opens. Input: edits of four bytes
 * (file and high byte of the place, low byte of the place, what to do, operand). */
#include "base/bytes.h"
#include "base/mem.h"
#include "lib/memfs.h"
#include "tsdb/bytes_int.h"
#include "tsdb/compact_int.h"
#include "tsdb/index/format_int.h"
#include "tsdb/tools.h"
#include "wire/crc.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SERIES    12
#define SUMS_MAX  256
#define BASE      INT64_C(1700006400000)

struct sum { /* a checksum at `at` over [from, at) */
    uint32_t from, at;
};
struct file {
    struct buf bytes;
    struct sum sums[SUMS_MAX];
    size_t sums_count;
};
static struct file index_file, chunk_file;
static struct buf meta_json;

static void append_all(struct appender *app)
{
    static const struct histogram_span spans[] = { { 1, 2 }, { 2, 1 } };
    for (int k = 0; k < SERIES; k++) {
        char number[4], name[8];
        series_ref ref = 0;
        snprintf(number, sizeof number, "%d", k);
        snprintf(name, sizeof name, "m%d", k % 3);
        struct label l[] = { { STR("__name__"), str_c(name) }, { STR("n"), str_c(number) }, { STR("z"), STR("same") } };
        struct labels ls = { l, ARRAY_LEN(l) - (size_t)(k % 2) };
        for (int i = 0; i < 130; i++) {
            int64_t t = BASE + i * 15000 + k, deltas[] = { i, 1, -1 };
            struct int_histogram h = { .schema = 1, .count = (uint64_t)(3 * i + 1), .sum = i };
            h.positive = (struct int_side){ spans, 2, deltas, 3 };
            enum append_status st = k < 2 && i > 1 ? append_histogram(app, &ref, &ls, t, &h, NULL)
                                                   : append_sample(app, &ref, &ls, t, i * k);
            ASSERT(st == APPEND_OK || st == APPEND_BAD_HISTOGRAM);
        }
    }
}

static void add_sum(struct file *f, uint64_t from, uint64_t at)
{
    ASSERT(f->sums_count < SUMS_MAX && at + 4 <= f->bytes.n);
    ASSERT(crc32c(0, f->bytes.p + from, at - from) == get_be32(f->bytes.p + at));
    f->sums[f->sums_count++] = (struct sum){ (uint32_t)from, (uint32_t)at };
}

/* be32 length | bytes | checksum; its end. */
static uint64_t add_section(struct file *f, uint64_t at)
{
    uint64_t end = at + 4 + get_be32(f->bytes.p + at);
    add_sum(f, at + 4, end);
    return end + 4;
}

static void find_index_sums(struct file *f)
{
    const char *p = f->bytes.p;
    uint64_t toc = f->bytes.n - INDEX_TOC_BYTES;
    add_section(f, get_be64(p + toc));
    for (uint64_t at = get_be64(p + toc + 8); at < get_be64(p + toc + 16);) {
        at = (at + INDEX_SERIES_ALIGN - 1) / INDEX_SERIES_ALIGN * INDEX_SERIES_ALIGN;
        struct cursor c = cursor_of(p + at, toc - at);
        uint64_t n = take_uvarint(&c);
        if (n == 0)
            break;
        uint64_t from = (uint64_t)((const char *)c.p - p);
        add_sum(f, from, from + n);
        at = from + n + 4;
    }
    for (uint64_t at = get_be64(p + toc + 32); at + 8 <= get_be64(p + toc + 24) || at + 8 <= get_be64(p + toc + 40);) {
        at = (at + 3) / 4 * 4;
        if (at == get_be64(p + toc + 24) || at == get_be64(p + toc + 40))
            break;
        at = add_section(f, at);
    }
    add_section(f, get_be64(p + toc + 40));
    add_sum(f, toc, toc + INDEX_TOC_BYTES - 4);
}

static void find_chunk_sums(struct file *f)
{
    for (uint64_t at = 8; at < f->bytes.n;) {
        struct cursor c = cursor_of(f->bytes.p + at, f->bytes.n - at);
        uint64_t n = take_uvarint(&c), from = f->bytes.n - cursor_left(&c);
        add_sum(f, from, from + 1 + n);
        at = from + 1 + n + 4;
    }
}

static void build(void)
{
    struct memfs *m = memfs_new();
    struct rng rng;
    struct arena a;
    struct err err = { 0 };
    struct appender *app = NULL;
    struct tsdb_block_info info;
    char path[64];
    rng_seed(&rng, 1);
    arena_init(&a, ARENA_NO_LIMIT);
    struct tsdb_builder *b = tsdb_builder_new(memfs_fs(m), STR("d"), 7200000, BASE, &rng, &err);
    ASSERT(b != NULL && tsdb_builder_appender(b, &app, &err));
    append_all(app);
    ASSERT(append_commit(app, &err) && tsdb_builder_finish(b, &a, &info, &err) && info.samples > 0);
    snprintf(path, sizeof path, "d/%.*s/index", STR_ARG(info.ulid));
    ASSERT(memfs_get(m, str_c(path), &index_file.bytes));
    snprintf(path, sizeof path, "d/%.*s/chunks/000001", STR_ARG(info.ulid));
    ASSERT(memfs_get(m, str_c(path), &chunk_file.bytes));
    snprintf(path, sizeof path, "d/%.*s/meta.json", STR_ARG(info.ulid));
    ASSERT(memfs_get(m, str_c(path), &meta_json));
    find_index_sums(&index_file);
    find_chunk_sums(&chunk_file);
    arena_deinit(&a);
    memfs_free(m);
}

static void edit(struct file *f, struct buf *bytes, size_t at, uint8_t what, uint8_t operand)
{
    uint8_t *p = (uint8_t *)bytes->p;
    at %= bytes->n;
    switch (what % 4) {
    case 0: p[at] = operand; break;
    case 1: p[at] = (uint8_t)(p[at] + (int8_t)operand); break;
    case 2: p[at] ^= (uint8_t)(1u << operand % 8); break;
    default: /* another place's bytes */
        for (size_t i = 0; i < (operand & 7u) && at + i < bytes->n; i++)
            p[at + i] = (uint8_t)f->bytes.p[(at + operand + i) % bytes->n];
    }
}

static void put(struct memfs *m, const char *path, const struct file *f, struct buf *bytes)
{
    for (size_t i = 0; i < f->sums_count; i++) {
        const struct sum *s = &f->sums[i];
        put_be32(bytes->p + s->at, crc32c(0, bytes->p + s->from, s->at - s->from));
    }
    memfs_put(m, str_c(path), buf_view(bytes));
}

static bool show(void *arg, const struct encoded_chunk *c, struct err *err)
{
    (void)err;
    *(uint64_t *)arg += c->bytes.n;
    return true;
}

static void ask(struct block *b, enum match_op op, struct str name, struct str value)
{
    struct arena a;
    struct err err = { 0 };
    struct columns c = { 0 };
    struct series_set *set;
    struct series *s = NULL;
    struct strs list;
    struct matcher v = { .op = op, .name = name, .value = value };
    struct matchers ms = { &v, 1 };
    uint64_t bytes = 0;
    arena_init(&a, 64u << 20);
    if (op == MATCH_RE || op == MATCH_NRE)
        v.re = regex_compile(value, REGEX_ANCHORED | REGEX_DOTALL, &err);
    struct querier *q = block_querier(b, &a, BASE, BASE + 1200000);
    bool ok = querier_select(q, &ms, NULL, &set, &err);
    for (int i = 0; ok && i < 10000; i++) {
        ok = series_set_next(set, &s, &err);
        if (!ok || !s)
            break;
        columns_reset(&c);
        ok = series_read(s, BASE, BASE + 1200000, &c, &err) && series_chunks(s, BASE + 100000, BASE + 300000, show, &bytes, &err);
    }
    if (querier_label_values(q, STR("n"), &ms, 0, &list, &err) && querier_label_names(q, &ms, 3, &list, &err) &&
        querier_label_values(q, STR("__name__"), NULL, 0, &list, &err) && querier_label_names(q, NULL, 0, &list, &err)) {
        /* every one of them may fail instead */
    }
    querier_close(q);
    if (v.re)
        regex_release(v.re);
    columns_deinit(&c);
    arena_deinit(&a);
}

static void merge(struct memfs *m, struct block *bad, struct block *good)
{
    struct block *blocks[] = { bad, good };
    struct block_meta meta = { 0 };
    struct err err = { 0 };
    struct ulid name;
    bool written;
    ASSERT(block_ulid_parse(STR("01ARZ3NDEKTSV4RRFFQ69G5FAV"), &name));
    compact_meta(blocks, 2, &name, &meta);
    if (compact_blocks(memfs_fs(m), STR("d"), blocks, 2, &meta, NULL, &written, &err) && written) {
        struct block *b = block_open(memfs_fs(m), STR("d/01ARZ3NDEKTSV4RRFFQ69G5FAV"), &err);
        ASSERT(b != NULL);
        block_release(b);
    }
    block_meta_deinit(&meta);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memfs *m = memfs_new();
    struct buf index = { 0 }, chunks = { 0 };
    struct err err = { 0 };
    if (meta_json.n == 0)
        build();
    buf_str(&index, buf_view(&index_file.bytes));
    buf_str(&chunks, buf_view(&chunk_file.bytes));
    for (size_t i = 0; i + 4 <= size && i < 64; i += 4) {
        bool first = data[i] & 0x80;
        edit(first ? &chunk_file : &index_file, first ? &chunks : &index, (size_t)(data[i] & 0x7f) << 8 | data[i + 1],
             data[i + 2], data[i + 3]);
    }
    put(m, "d/bad/index", &index_file, &index);
    put(m, "d/bad/chunks/000001", &chunk_file, &chunks);
    memfs_put(m, STR("d/bad/meta.json"), buf_view(&meta_json));
    memfs_put(m, STR("d/good/index"), buf_view(&index_file.bytes));
    memfs_put(m, STR("d/good/chunks/000001"), buf_view(&chunk_file.bytes));
    memfs_put(m, STR("d/good/meta.json"), buf_view(&meta_json));
    struct block *bad = block_open(memfs_fs(m), STR("d/bad"), &err), *good = block_open(memfs_fs(m), STR("d/good"), &err);
    ASSERT(good != NULL);
    if (bad) {
        ask(bad, MATCH_RE, STR("__name__"), STR(".+"));
        ask(bad, MATCH_RE, STR("n"), STR("1.*"));
        ask(bad, MATCH_NE, STR("z"), STR("same"));
        ask(bad, MATCH_EQ, STR("n"), STR("7"));
        merge(m, bad, good);
        block_release(bad);
    }
    block_release(good);
    memfs_free(m);
    buf_deinit(&index);
    buf_deinit(&chunks);
    return 0;
}
