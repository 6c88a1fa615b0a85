/* Writing an index of version 2, without the label index sections that nobody reads any more.
 *
 * W1  Series are aligned to 16 bytes and referred to by offset/16; lists are aligned to 4.
 * W2  The pair ("","") with all series is first; lists follow by name, then value, both by symbol number, which is byte
 *     order. Label names are symbols because every label uses its name.
 * W3  The lists are made by a counting sort: pairs get numbers at first use, each series appends its pairs' numbers, and
 *     one pass at the end scatters the references. */
#include "tsdb/index/writer_int.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "tsdb/bytes_int.h"
#include "tsdb/index/format_int.h"
#include "wire/crc.h"

#include <stdlib.h>

bool index_writer_open(struct index_writer *w, struct fs *fs, struct str path, struct err *err)
{
    *w = (struct index_writer){ 0 };
    if (!file_out_open(&w->out, fs, path, err))
        return false;
    uint8_t head[INDEX_HEADER_BYTES];
    put_be32(head, INDEX_MAGIC);
    head[4] = INDEX_VERSION;
    file_out_append(&w->out, head, sizeof head);
    return true;
}

void index_writer_abandon(struct index_writer *w)
{
    file_out_abandon(&w->out);
    mem_free(w->symbols);
    mem_free(w->pairs);
    mem_free(w->slots);
    mem_free(w->series_pairs);
    mem_free(w->refs);
    mem_free(w->first_entry);
    buf_deinit(&w->scratch);
    *w = (struct index_writer){ 0 };
}

/* A section whose content comes in pieces: the length is known before, the checksum runs along. */
struct section {
    struct index_writer *w;
    uint32_t crc;
};

static struct section section_begin(struct index_writer *w, uint64_t length)
{
    uint8_t head[4];
    if (length > UINT32_MAX && w->out.err.code == ERR_NONE)
        err_set(&w->out.err, ERR_LIMIT, "index: a section of %llu bytes is past 4 GiB", (unsigned long long)length);
    put_be32(head, (uint32_t)length);
    file_out_append(&w->out, head, 4);
    return (struct section){ .w = w };
}

static void section_put(struct section *s, const void *p, size_t n)
{
    s->crc = crc32c(s->crc, p, n);
    file_out_append(&s->w->out, p, n);
}

static void section_end(struct section *s)
{
    uint8_t tail[4];
    put_be32(tail, s->crc);
    file_out_append(&s->w->out, tail, 4);
}

static void align(struct index_writer *w, unsigned to)
{
    static const uint8_t zeros[INDEX_SERIES_ALIGN];
    size_t over = (size_t)(file_out_size(&w->out) % to);
    if (over)
        file_out_append(&w->out, zeros, to - over);
}

void index_writer_symbols(struct index_writer *w, const struct str *symbols, size_t n)
{
    uint64_t length = 4;
    uint8_t number[UVARINT_MAX];
    w->symbols_count = u32_from_size(n);
    w->symbols = mem_dup(symbols, n * sizeof *symbols);
    for (size_t i = 0; i < n; i++) {
        ASSERT_SLOW(i == 0 || str_cmp(symbols[i - 1], symbols[i]) < 0);
        length += uvarint_len(symbols[i].n) + symbols[i].n;
    }
    w->symbols_at = file_out_size(&w->out);
    struct section s = section_begin(w, length);
    put_be32(number, w->symbols_count);
    section_put(&s, number, 4);
    for (size_t i = 0; i < n; i++) {
        section_put(&s, number, put_uvarint(number, symbols[i].n));
        section_put(&s, symbols[i].p, symbols[i].n);
    }
    section_end(&s);
    w->series_at = file_out_size(&w->out);
    w->series_end = w->series_at;
}

/* ---- pairs ---- */

static size_t pair_slot(const struct index_writer *w, uint32_t name, uint32_t value)
{
    uint64_t h = ((uint64_t)name << 32 | value) * UINT64_C(0x9E3779B97F4A7C15);
    size_t mask = w->slots_capacity - 1, i = (size_t)(h >> 20) & mask;
    for (;; i = (i + 1) & mask) {
        uint32_t slot = w->slots[i];
        if (slot == 0 || (w->pairs[slot - 1].name == name && w->pairs[slot - 1].value == value))
            return i;
    }
}

static void pairs_rehash(struct index_writer *w)
{
    mem_free(w->slots);
    w->slots_capacity = w->slots_capacity ? w->slots_capacity * 2 : 1024;
    w->slots = mem_alloc_array(w->slots_capacity, sizeof *w->slots);
    for (size_t i = 0; i < w->pairs_count; i++)
        w->slots[pair_slot(w, w->pairs[i].name, w->pairs[i].value)] = (uint32_t)i + 1;
}

static uint32_t pair_number(struct index_writer *w, uint32_t name, uint32_t value)
{
    if (2 * (w->pairs_count + 1) > w->slots_capacity)
        pairs_rehash(w);
    size_t at = pair_slot(w, name, value);
    if (w->slots[at])
        return w->slots[at] - 1;
    if (w->pairs_count == w->pairs_capacity) {
        w->pairs_capacity = mem_grow(w->pairs_capacity, w->pairs_count + 1);
        w->pairs = mem_realloc_array(w->pairs, w->pairs_capacity, sizeof *w->pairs);
    }
    w->pairs[w->pairs_count] = (struct index_pair){ .name = name, .value = value };
    w->slots[at] = u32_from_size(w->pairs_count + 1);
    return (uint32_t)w->pairs_count++;
}

/* ---- series ---- */

static void remember(struct index_writer *w, const uint32_t *symbols, size_t labels_count, uint32_t ref)
{
    if (w->series_count + 1 >= w->series_capacity) {
        w->series_capacity = mem_grow(w->series_capacity, w->series_count + 2);
        w->refs = mem_realloc_array(w->refs, w->series_capacity, sizeof *w->refs);
        w->first_entry = mem_realloc_array(w->first_entry, w->series_capacity, sizeof *w->first_entry);
    }
    if (w->entries + labels_count > w->entries_capacity) {
        w->entries_capacity = mem_grow(w->entries_capacity, w->entries + labels_count);
        w->series_pairs = mem_realloc_array(w->series_pairs, w->entries_capacity, sizeof *w->series_pairs);
    }
    w->refs[w->series_count] = ref;
    w->first_entry[w->series_count++] = w->entries;
    for (size_t i = 0; i < labels_count; i++) {
        uint32_t pair = pair_number(w, symbols[2 * i], symbols[2 * i + 1]);
        w->pairs[pair].count++;
        w->series_pairs[w->entries++] = pair;
    }
    w->first_entry[w->series_count] = w->entries;
}

/* Blocks are merged as they are found on disk: what a broken one says must not end the process. */
static bool check_series(const struct index_writer *w, const uint32_t *symbols, size_t labels_count,
                         const struct index_chunk *chunks, size_t chunks_count, struct err *err)
{
    for (size_t i = 0; i < chunks_count; i++) {
        if (chunks[i].maxt < chunks[i].mint || (i > 0 && chunks[i].mint <= chunks[i - 1].maxt))
            return err_set(err, ERR_CORRUPT, "index: chunks of a series are out of order");
    }
    if (w->series_count == 0)
        return true;
    const uint32_t *before = w->series_pairs + w->first_entry[w->series_count - 1];
    size_t before_count = w->entries - w->first_entry[w->series_count - 1];
    for (size_t i = 0; i < labels_count && i < before_count; i++) {
        const struct index_pair *p = &w->pairs[before[i]];
        if (p->name != symbols[2 * i] || p->value != symbols[2 * i + 1]) {
            bool ascends = p->name != symbols[2 * i] ? p->name < symbols[2 * i] : p->value < symbols[2 * i + 1];
            return ascends || err_set(err, ERR_CORRUPT, "index: series are out of order");
        }
    }
    return before_count < labels_count || err_set(err, ERR_CORRUPT, "index: series are out of order");
}

bool index_writer_series(struct index_writer *w, const uint32_t *symbols, size_t labels_count,
                         const struct index_chunk *chunks, size_t chunks_count, struct err *err)
{
    struct buf *b = &w->scratch;
    uint8_t head[UVARINT_MAX];
    if (!check_series(w, symbols, labels_count, chunks, chunks_count, err))
        return false;
    buf_reset(b);
    buf_uvarint(b, labels_count);
    for (size_t i = 0; i < 2 * labels_count; i++) {
        ASSERT(symbols[i] < w->symbols_count);
        buf_uvarint(b, symbols[i]);
    }
    buf_uvarint(b, chunks_count);
    for (size_t i = 0; i < chunks_count; i++) {
        const struct index_chunk *c = &chunks[i];
        if (i == 0) {
            buf_varint(b, c->mint);
            buf_uvarint(b, (uint64_t)c->maxt - (uint64_t)c->mint);
            buf_uvarint(b, c->ref);
        } else {
            buf_uvarint(b, (uint64_t)c->mint - (uint64_t)chunks[i - 1].maxt);
            buf_uvarint(b, (uint64_t)c->maxt - (uint64_t)c->mint);
            buf_varint(b, (int64_t)(c->ref - chunks[i - 1].ref));
        }
    }
    align(w, INDEX_SERIES_ALIGN);
    uint64_t ref = file_out_size(&w->out) / INDEX_SERIES_ALIGN;
    if (ref > UINT32_MAX)
        return err_set(err, ERR_LIMIT, "index: past 64 GiB");
    file_out_append(&w->out, head, put_uvarint(head, b->n));
    size_t n = b->n;
    buf_be32(b, crc32c(0, b->p, n));
    file_out_append(&w->out, b->p, b->n);
    w->series_end = file_out_size(&w->out);
    remember(w, symbols, labels_count, (uint32_t)ref);
    if (w->out.err.code == ERR_NONE)
        return true;
    *err = w->out.err;
    return false;
}

/* ---- postings ---- */

static int pair_order(const void *x, const void *y, void *arg)
{
    const struct index_pair *pairs = arg;
    const struct index_pair *a = &pairs[*(const uint32_t *)x], *b = &pairs[*(const uint32_t *)y];
    if (a->name != b->name)
        return a->name < b->name ? -1 : 1;
    return a->value < b->value ? -1 : a->value > b->value;
}

static void put_list(struct index_writer *w, const uint32_t *refs, size_t n)
{
    uint8_t chunk[4 * 256];
    align(w, 4);
    struct section s = section_begin(w, 4 + 4 * (uint64_t)n);
    put_be32(chunk, (uint32_t)n);
    section_put(&s, chunk, 4);
    for (size_t i = 0; i < n;) {
        size_t k = 0;
        for (; k < 256 && i < n; k++, i++)
            put_be32(chunk + 4 * k, refs[i]);
        section_put(&s, chunk, 4 * k);
    }
    section_end(&s);
}

static void put_table_entry(struct buf *b, struct str name, struct str value, uint64_t at)
{
    buf_uvarint(b, 2);
    buf_uvarint_str(b, name);
    buf_uvarint_str(b, value);
    buf_uvarint(b, at);
}

/* References of each pair, one list after the other; starts[i] is where pair i's begin. */
static uint32_t *scatter(const struct index_writer *w, size_t *starts)
{
    uint32_t *lists = mem_alloc_array(w->entries, sizeof *lists);
    size_t *fill = mem_alloc_array(w->pairs_count, sizeof *fill);
    size_t at = 0;
    for (size_t i = 0; i < w->pairs_count; i++) {
        starts[i] = fill[i] = at;
        at += w->pairs[i].count;
    }
    for (size_t s = 0; s < w->series_count; s++) {
        for (size_t e = w->first_entry[s]; e < w->first_entry[s + 1]; e++)
            lists[fill[w->series_pairs[e]]++] = w->refs[s];
    }
    mem_free(fill);
    return lists;
}

static void put_postings(struct index_writer *w, struct buf *table)
{
    size_t *starts = mem_alloc_array(w->pairs_count, sizeof *starts);
    uint32_t *order = mem_alloc_array(w->pairs_count, sizeof *order);
    uint32_t *lists = scatter(w, starts);
    for (size_t i = 0; i < w->pairs_count; i++)
        order[i] = (uint32_t)i;
    if (w->pairs_count)
        qsort_r(order, w->pairs_count, sizeof *order, pair_order, w->pairs);
    align(w, 4);
    put_table_entry(table, STR_EMPTY, STR_EMPTY, file_out_size(&w->out));
    put_list(w, w->refs, w->series_count);
    for (size_t i = 0; i < w->pairs_count; i++) {
        const struct index_pair *p = &w->pairs[order[i]];
        align(w, 4);
        put_table_entry(table, w->symbols[p->name], w->symbols[p->value], file_out_size(&w->out));
        put_list(w, lists + starts[order[i]], p->count);
    }
    mem_free(starts);
    mem_free(order);
    mem_free(lists);
}

static void put_toc(struct index_writer *w, uint64_t table_at)
{
    uint8_t toc[INDEX_TOC_BYTES];
    put_be64(toc, w->symbols_at);
    put_be64(toc + 8, w->series_at);
    put_be64(toc + 16, w->series_end); /* label index: none, ends where the series do */
    put_be64(toc + 24, table_at);      /* label offset table: none */
    put_be64(toc + 32, w->series_end);
    put_be64(toc + 40, table_at);
    put_be32(toc + 48, crc32c(0, toc, 48));
    file_out_append(&w->out, toc, sizeof toc);
}

bool index_writer_finish(struct index_writer *w, struct err *err)
{
    struct buf table = { 0 };
    uint8_t count[4];
    put_postings(w, &table);
    uint64_t table_at = file_out_size(&w->out);
    struct section s = section_begin(w, 4 + (uint64_t)table.n);
    put_be32(count, u32_from_size(w->pairs_count + 1));
    section_put(&s, count, 4);
    section_put(&s, table.p, table.n);
    section_end(&s);
    put_toc(w, table_at);
    buf_deinit(&table);
    bool ok = file_out_finish(&w->out, err);
    index_writer_abandon(w);
    return ok;
}
