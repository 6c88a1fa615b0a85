/* Reading an index in place.
 *
 * I1  Nothing is trusted: every offset and length is checked against the mapping, every section against its checksum.
 * I2  Symbols are sorted, unique and at most UINT32_MAX; a symbol is found from the nearest of the kept offsets before it.
 * I3  The postings offset table is sorted by name, then value, so that a value is found by bisecting the samples of its
 *     name and scanning at most TABLE_STEP entries. */
#include "tsdb/index/reader_int.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "tsdb/bytes_int.h"
#include "tsdb/index/format_int.h"
#include "wire/crc.h"

#define SYMBOL_STEP 8
#define TABLE_STEP  32

static bool damaged(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "index: %s", what);
}

/* be32 length | bytes | crc at `at`. */
static bool section(const struct index_reader *r, uint64_t at, bool check, struct cursor *out, struct err *err)
{
    if (at > r->n || r->n - at < 8)
        return damaged(err, "a section starts past the end");
    size_t n = get_be32(r->p + at);
    if (r->n - at - 8 < n)
        return damaged(err, "a section ends past the end");
    if (check && crc32c(0, r->p + at + 4, n) != get_be32(r->p + at + 4 + n))
        return damaged(err, "invalid checksum");
    *out = cursor_of(r->p + at + 4, n);
    return true;
}

static bool open_toc(struct index_reader *r, struct err *err)
{
    if (r->n < INDEX_HEADER_BYTES + INDEX_TOC_BYTES)
        return damaged(err, "invalid size");
    if (get_be32(r->p) != INDEX_MAGIC)
        return err_set(err, ERR_CORRUPT, "invalid magic number %x", get_be32(r->p));
    r->version = r->p[4];
    if (r->version < 1 || r->version > 3)
        return err_set(err, ERR_INVALID, "unknown index file version %u", r->version);
    const uint8_t *toc = r->p + r->n - INDEX_TOC_BYTES;
    if (crc32c(0, toc, INDEX_TOC_BYTES - 4) != get_be32(toc + INDEX_TOC_BYTES - 4))
        return damaged(err, "read TOC: invalid checksum");
    r->symbols_at = get_be64(toc);
    r->series_at = get_be64(toc + 8);
    r->series_end = get_be64(toc + 16);
    r->table_at = get_be64(toc + 40);
    if (r->series_end > r->n)
        return damaged(err, "series end past the end");
    uint64_t postings_at = get_be64(toc + 32);
    r->postings_bytes = r->table_at > postings_at ? r->table_at - postings_at : 0;
    return true;
}

static bool open_symbols(struct index_reader *r, struct err *err)
{
    struct cursor c;
    if (!section(r, r->symbols_at, true, &c, err))
        return err_wrap(err, "read symbols");
    r->symbols_count = take_be32(&c);
    if (c.bad || r->symbols_count > cursor_left(&c)) /* a symbol takes a byte at least */
        return damaged(err, "more symbols than bytes");
    r->symbol_offsets = mem_alloc_array(r->symbols_count / SYMBOL_STEP + 1, sizeof *r->symbol_offsets);
    for (uint32_t i = 0; i < r->symbols_count; i++) {
        if (i % SYMBOL_STEP == 0)
            r->symbol_offsets[i / SYMBOL_STEP] = (uint64_t)(c.p - r->p);
        take_str(&c);
    }
    r->symbols_end = (size_t)(c.end - r->p);
    return !c.bad || damaged(err, "symbols end inside one");
}

bool index_symbol(const struct index_reader *r, uint32_t symbol, struct str *out, struct err *err)
{
    struct cursor c;
    if (r->version == 1) {
        if (symbol < r->symbols_at || symbol >= r->symbols_end)
            return damaged(err, "unknown symbol offset");
        c = (struct cursor){ .p = r->p + symbol, .end = r->p + r->symbols_end };
    } else {
        if (symbol >= r->symbols_count)
            return damaged(err, "unknown symbol");
        c = (struct cursor){ .p = r->p + r->symbol_offsets[symbol / SYMBOL_STEP], .end = r->p + r->symbols_end };
        for (uint32_t i = symbol % SYMBOL_STEP; i > 0; i--)
            take_str(&c);
    }
    *out = take_str(&c);
    return !c.bad || damaged(err, "symbols end inside one");
}

bool index_symbols(const struct index_reader *r, struct str *out, struct err *err)
{
    struct cursor c = { .p = r->p + r->symbols_at + 8, .end = r->p + r->symbols_end };
    for (uint32_t i = 0; i < r->symbols_count; i++)
        out[i] = take_str(&c);
    return !c.bad || damaged(err, "symbols end inside one");
}

/* ---- the postings offset table ---- */

struct table_entry {
    uint32_t at; /* from the table's start */
    struct str name, value;
    uint64_t list_at;
};

static bool take_entry(const struct index_reader *r, struct cursor *c, struct table_entry *e)
{
    if (!cursor_more(c))
        return false;
    e->at = (uint32_t)(c->p - (r->p + r->table_at));
    if (take_uvarint(c) != 2)
        cursor_fail(c);
    e->name = take_str(c);
    e->value = take_str(c);
    e->list_at = take_uvarint(c);
    return !c->bad;
}

static void sample_push(struct index_name *n, size_t *capacity, const struct table_entry *e)
{
    if (n->samples_count == *capacity) {
        *capacity = mem_grow(*capacity, n->samples_count + 1);
        n->samples = mem_realloc_array(n->samples, *capacity, sizeof *n->samples);
    }
    n->samples[n->samples_count++] = (struct index_sample){ .value = e->value, .at = e->at };
}

static void name_finish(struct index_name *n, size_t *capacity, const struct table_entry *last, uint32_t end)
{
    if (n->samples[n->samples_count - 1].at != last->at)
        sample_push(n, capacity, last);
    n->end = end;
}

static bool open_table(struct index_reader *r, struct err *err)
{
    struct cursor c;
    if (!section(r, r->table_at, true, &c, err))
        return err_wrap(err, "read postings table");
    uint32_t count = take_be32(&c);
    struct table_entry e, last = { 0 };
    size_t capacity = 0, names_capacity = 0;
    struct index_name *n = NULL;
    r->table_end = (size_t)(c.end - r->p);
    for (uint32_t i = 0; i < count && take_entry(r, &c, &e); i++) {
        if (e.name.n == 0 && e.value.n == 0) {
            r->all_at = e.list_at;
            continue;
        }
        if (!n || !str_eq(n->name, e.name)) {
            if (n)
                name_finish(n, &capacity, &last, e.at);
            if (n && str_cmp(n->name, e.name) > 0)
                return damaged(err, "postings table is not sorted");
            if (r->names_count == names_capacity) {
                names_capacity = mem_grow(names_capacity, r->names_count + 1);
                r->names = mem_realloc_array(r->names, names_capacity, sizeof *r->names);
            }
            n = &r->names[r->names_count++];
            *n = (struct index_name){ .name = e.name };
            capacity = 0;
        }
        if (n->values_count++ % TABLE_STEP == 0)
            sample_push(n, &capacity, &e);
        last = e;
    }
    if (c.bad)
        return damaged(err, "postings table ends inside an entry");
    if (n)
        name_finish(n, &capacity, &last, (uint32_t)(c.p - (r->p + r->table_at)));
    return true;
}

static const struct postings_source_ops source_ops;

bool index_reader_open(struct index_reader *r, const uint8_t *p, size_t n, struct err *err)
{
    *r = (struct index_reader){ .source = { &source_ops }, .p = p, .n = n };
    if (open_toc(r, err) && open_symbols(r, err) && open_table(r, err))
        return true;
    index_reader_close(r);
    return false;
}

void index_reader_close(struct index_reader *r)
{
    for (size_t i = 0; i < r->names_count; i++)
        mem_free(r->names[i].samples);
    mem_free(r->names);
    mem_free(r->symbol_offsets);
    *r = (struct index_reader){ 0 };
}

/* ---- series ---- */

void index_series_deinit(struct index_series *s)
{
    mem_free(s->symbols);
    mem_free(s->chunks);
    mem_free(s->texts.v);
    *s = (struct index_series){ 0 };
}

static void reserve_labels(struct index_series *s, size_t n)
{
    if (n > s->labels_capacity) {
        s->labels_capacity = mem_grow(s->labels_capacity, n);
        s->symbols = mem_realloc_array(s->symbols, 2 * s->labels_capacity, sizeof *s->symbols);
    }
}

static void reserve_chunks(struct index_series *s, size_t n)
{
    if (n > s->chunks_capacity) {
        s->chunks_capacity = mem_grow(s->chunks_capacity, n);
        s->chunks = mem_realloc_array(s->chunks, s->chunks_capacity, sizeof *s->chunks);
    }
}

static void take_chunks(struct cursor *c, struct index_series *s)
{
    uint64_t n = take_uvarint(c);
    if (n > cursor_left(c)) { /* three bytes each at least */
        cursor_fail(c);
        return;
    }
    reserve_chunks(s, (size_t)n + 1);
    int64_t last_maxt = 0;
    uint64_t last_ref = 0;
    for (uint64_t i = 0; i < n && !c->bad; i++) {
        struct index_chunk *k = &s->chunks[i];
        k->mint = i == 0 ? take_varint(c) : (int64_t)((uint64_t)last_maxt + take_uvarint(c));
        k->maxt = (int64_t)((uint64_t)k->mint + take_uvarint(c));
        k->ref = i == 0 ? take_uvarint(c) : last_ref + (uint64_t)take_varint(c);
        last_maxt = k->maxt;
        last_ref = k->ref;
    }
    s->chunks_count = c->bad ? 0 : (size_t)n;
}

bool index_series_read(const struct index_reader *r, uint32_t ref, struct index_series *out, struct err *err)
{
    uint64_t at = r->version == 1 ? ref : (uint64_t)ref * INDEX_SERIES_ALIGN;
    out->labels_count = out->chunks_count = 0;
    if (at >= r->series_end)
        return damaged(err, "series reference past the series");
    struct cursor c = cursor_of(r->p + at, r->n - at);
    uint64_t n = take_uvarint(&c);
    const uint8_t *body = c.p;
    if (c.bad || cursor_left(&c) < 4 || n > cursor_left(&c) - 4)
        return damaged(err, "series ends past the end");
    if (crc32c(0, body, (size_t)n) != get_be32(body + n))
        return damaged(err, "read series: invalid checksum");
    c = cursor_of(body, (size_t)n);
    uint64_t labels = take_uvarint(&c);
    if (labels > n)
        return damaged(err, "series has more labels than bytes");
    reserve_labels(out, (size_t)labels + 1);
    for (uint64_t i = 0; i < 2 * labels; i++) {
        uint64_t symbol = take_uvarint(&c);
        if (symbol > UINT32_MAX)
            return damaged(err, "unknown symbol");
        out->symbols[i] = (uint32_t)symbol;
    }
    out->labels_count = (size_t)labels;
    take_chunks(&c, out);
    return !c.bad || damaged(err, "series ends inside");
}

static void texts_ready(struct index_texts *x, const struct index_reader *r, size_t n)
{
    if (x->of != r) {
        x->of = r;
        mem_free(x->v);
        x->v = NULL;
        x->capacity = 0;
    }
    if (n <= x->capacity)
        return;
    size_t capacity = mem_grow(x->capacity, n);
    x->v = mem_realloc_array(x->v, capacity, sizeof *x->v);
    memset(x->v + x->capacity, 0, (capacity - x->capacity) * sizeof *x->v);
    x->capacity = capacity;
}

bool index_series_labels(const struct index_reader *r, struct index_series *s, struct arena *a, struct labels *out,
                         struct err *err)
{
    struct label *v = arena_try_alloc_array(a, s->labels_count + 1, sizeof *v);
    if (!v)
        return err_set(err, ERR_LIMIT, "too many series: the query's memory is full");
    texts_ready(&s->texts, r, 2 * s->labels_count);
    for (size_t i = 0; i < 2 * s->labels_count; i++) {
        struct index_text *x = &s->texts.v[i];
        if (!x->text.p || x->symbol != s->symbols[i]) {
            if (!index_symbol(r, s->symbols[i], &x->text, err)) {
                x->text = (struct str){ NULL, 0 };
                return false;
            }
            x->symbol = s->symbols[i];
        }
        *(i % 2 ? &v[i / 2].value : &v[i / 2].name) = x->text;
    }
    *out = (struct labels){ v, s->labels_count };
    return true;
}

/* ---- values and lists ---- */

static const struct index_name *find_name(const struct index_reader *r, struct str name)
{
    size_t low = 0, high = r->names_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = str_cmp(r->names[mid].name, name);
        if (c == 0)
            return &r->names[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* A cursor at the last sample at or before `value`: what is asked for cannot be earlier. */
static struct cursor from_sample(const struct index_reader *r, const struct index_name *n, struct str value)
{
    size_t low = 0, high = n->samples_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (str_cmp(n->samples[mid].value, value) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    const uint8_t *table = r->p + r->table_at;
    return (struct cursor){ .p = table + n->samples[low ? low - 1 : 0].at, .end = table + n->end };
}

bool index_values(const struct index_reader *r, struct str name, struct str prefix, index_value_visit *visit, void *arg,
                  struct err *err)
{
    const struct index_name *n = find_name(r, name);
    struct table_entry e;
    if (!n)
        return true;
    struct cursor c = from_sample(r, n, prefix);
    while (take_entry(r, &c, &e)) {
        if (prefix.n && !str_starts(e.value, prefix)) {
            if (str_cmp(e.value, prefix) > 0)
                break;
            continue;
        }
        if (!visit(arg, e.value, e.list_at))
            break;
    }
    return !c.bad || damaged(err, "postings table ends inside an entry");
}

bool index_list(const struct index_reader *r, uint64_t at, const uint8_t **list, size_t *n, struct err *err)
{
    struct cursor c;
    if (!section(r, at, true, &c, err))
        return err_wrap(err, "read postings");
    *n = take_be32(&c);
    if (c.bad || *n > cursor_left(&c) / 4)
        return damaged(err, "postings end inside");
    *list = c.p;
    return true;
}

static struct postings *list_of(const struct index_reader *r, struct arena *a, uint64_t at, struct err *err)
{
    const uint8_t *list;
    size_t n;
    return index_list(r, at, &list, &n, err) ? postings_be(a, list, n) : NULL;
}

/* ---- as a source of postings ---- */

static const struct index_reader *reader_of(struct postings_source *s)
{
    return container_of(s, struct index_reader, source);
}

struct find_value {
    struct str value;
    uint64_t list_at;
};

static bool find_visit(void *arg, struct str value, uint64_t list_at)
{
    struct find_value *f = arg;
    if (str_eq(value, f->value))
        f->list_at = list_at;
    return f->list_at == 0 && str_cmp(value, f->value) < 0;
}

static struct postings *source_equal(struct postings_source *s, struct arena *a, struct str name, struct str value,
                                     struct err *err)
{
    const struct index_reader *r = reader_of(s);
    const struct index_name *n = find_name(r, name);
    struct table_entry e;
    struct find_value f = { .value = value };
    if (!n)
        return postings_empty(a);
    struct cursor c = from_sample(r, n, value);
    while (take_entry(r, &c, &e) && find_visit(&f, e.value, e.list_at))
        ;
    if (c.bad) {
        damaged(err, "postings table ends inside an entry");
        return NULL;
    }
    return f.list_at ? list_of(r, a, f.list_at, err) : postings_empty(a);
}

static struct postings *source_all(struct postings_source *s, struct arena *a, struct err *err)
{
    const struct index_reader *r = reader_of(s);
    return r->all_at ? list_of(r, a, r->all_at, err) : postings_empty(a);
}

struct gather {
    const struct index_reader *r;
    value_wanted *wanted;
    const void *arg;
    struct value_list *out;
    struct err err;
};

static bool gather_visit(void *arg, struct str value, uint64_t list_at)
{
    struct gather *g = arg;
    if (g->wanted && !g->wanted(g->arg, value))
        return true;
    return value_list_add(g->out, list_of(g->r, g->out->arena, list_at, &g->err), &g->err);
}

static bool source_values(struct postings_source *s, struct str name, struct str prefix, value_wanted *wanted_value,
                          const void *arg, struct value_list *out, struct err *err)
{
    struct gather g = { .r = reader_of(s), .wanted = wanted_value, .arg = arg, .out = out };
    if (!index_values(g.r, name, prefix, gather_visit, &g, err))
        return false;
    if (g.err.code == ERR_NONE)
        return true;
    *err = g.err;
    return false;
}

static const struct postings_source_ops source_ops = {
    .equal = source_equal,
    .all = source_all,
    .values = source_values,
};
