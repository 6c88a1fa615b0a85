/* Merging blocks.
 *
 * C1  Symbols of all blocks are merged once into one sorted list; from then on series are compared and written by number,
 *     because numbers are in byte order. No label text is touched while series are merged.
 * C2  Chunks that overlap no other are copied as bytes, checksum checked; only what overlaps, or what a tombstone cuts, is
 *     decoded.
 * C3  A tombstone counts for its own block only.
 *
 * Memory: the symbols (16 bytes each and 4 a block), what the index writer keeps, one series. */
#include "tsdb/compact_int.h"

#include "base/mem.h"
#include "tsdb/rechunk_int.h"

struct source {
    struct block *block;
    struct shared_tombstones *tombstones;
    uint32_t *numbers; /* symbol of the block -> number; version 1: NULL, texts are looked up */
    struct postings *all;
    struct index_series series;
    uint32_t *labels;  /* of the current series, as numbers */
    size_t labels_capacity;
    bool more;
};
struct merge {
    struct source *v;
    size_t n;
    struct str *texts;
    size_t texts_count;
    struct arena postings_arena, arena;
    struct chunk_list found, settled;
    struct block_chunk *chunks;
    size_t chunks_capacity;
    int64_t mint, maxt; /* closed */
    struct block_writer writer;
};

/* ---- symbols ---- */

static bool read_symbols(struct merge *m, struct str **lists, size_t *counts, struct err *err)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct index_reader *ix = &m->v[i].block->index;
        lists[i] = mem_alloc_array(ix->symbols_count, sizeof **lists);
        counts[i] = ix->symbols_count;
        if (!index_symbols(ix, lists[i], err))
            return err_wrap(err, "block %s", m->v[i].block->meta.ulid.text);
        for (size_t k = 1; k < counts[i]; k++) {
            if (str_cmp(lists[i][k - 1], lists[i][k]) >= 0)
                return err_set(err, ERR_CORRUPT, "block %s: symbols are not sorted", m->v[i].block->meta.ulid.text);
        }
        if (ix->version > 1)
            m->v[i].numbers = mem_alloc_array(counts[i], sizeof *m->v[i].numbers);
    }
    return true;
}

/* Pairwise: lists are few, and each round halves what is left. Here simply: repeatedly the least head. */
static void merge_symbols(struct merge *m, struct str **lists, const size_t *counts)
{
    size_t *at = mem_alloc_array(m->n, sizeof *at);
    size_t total = 0;
    for (size_t i = 0; i < m->n; i++)
        total += counts[i];
    m->texts = mem_alloc_array(total, sizeof *m->texts);
    for (;;) {
        const struct str *least = NULL;
        for (size_t i = 0; i < m->n; i++) {
            if (at[i] < counts[i] && (!least || str_cmp(lists[i][at[i]], *least) < 0))
                least = &lists[i][at[i]];
        }
        if (!least)
            break;
        struct str text = *least;
        for (size_t i = 0; i < m->n; i++) {
            if (at[i] < counts[i] && str_eq(lists[i][at[i]], text)) {
                if (m->v[i].numbers)
                    m->v[i].numbers[at[i]] = (uint32_t)m->texts_count;
                at[i]++;
            }
        }
        m->texts[m->texts_count++] = text;
    }
    mem_free(at);
}

static bool load_symbols(struct merge *m, struct err *err)
{
    struct str **lists = mem_alloc_array(m->n, sizeof(struct str *));
    size_t *counts = mem_alloc_array(m->n, sizeof *counts);
    bool ok = read_symbols(m, lists, counts, err);
    if (ok)
        merge_symbols(m, lists, counts);
    for (size_t i = 0; i < m->n; i++)
        mem_free(lists[i]);
    mem_free(lists);
    mem_free(counts);
    return ok;
}

static bool number_of_text(const struct merge *m, struct str text, uint32_t *number)
{
    size_t low = 0, high = m->texts_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = str_cmp(m->texts[mid], text);
        if (c == 0) {
            *number = (uint32_t)mid;
            return true;
        }
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

/* ---- sources ---- */

static bool map_labels(const struct merge *m, struct source *s, struct err *err)
{
    size_t n = 2 * s->series.labels_count;
    if (n > s->labels_capacity) {
        s->labels_capacity = mem_grow(s->labels_capacity, n);
        s->labels = mem_realloc_array(s->labels, s->labels_capacity, sizeof *s->labels);
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t symbol = s->series.symbols[i];
        struct str text;
        if (s->numbers && symbol < s->block->index.symbols_count)
            s->labels[i] = s->numbers[symbol];
        else if (s->numbers || !index_symbol(&s->block->index, symbol, &text, err) ||
                 !number_of_text(m, text, &s->labels[i]))
            return err_set(err, ERR_CORRUPT, "block %s: unknown symbol", s->block->meta.ulid.text);
    }
    return true;
}

static bool advance(const struct merge *m, struct source *s, struct err *err)
{
    s->more = postings_next(s->all);
    if (!s->more)
        return true;
    return (index_series_read(&s->block->index, s->all->at, &s->series, err) ||
            err_wrap(err, "block %s", s->block->meta.ulid.text)) &&
           map_labels(m, s, err);
}

static int compare(const struct source *a, const struct source *b)
{
    size_t n = 2 * (a->series.labels_count < b->series.labels_count ? a->series.labels_count : b->series.labels_count);
    for (size_t i = 0; i < n; i++) {
        if (a->labels[i] != b->labels[i])
            return a->labels[i] < b->labels[i] ? -1 : 1;
    }
    return a->series.labels_count < b->series.labels_count ? -1 : a->series.labels_count > b->series.labels_count;
}

static bool open_sources(struct merge *m, struct err *err)
{
    for (size_t i = 0; i < m->n; i++) {
        struct source *s = &m->v[i];
        struct postings_source *ps = &s->block->index.source;
        s->all = ps->ops->all(ps, &m->postings_arena, err);
        if (!s->all || !advance(m, s, err))
            return false;
    }
    return true;
}

/* ---- merging ---- */

static bool take_chunks(struct merge *m, const struct source *s, struct err *err)
{
    const struct intervals *gone = tombstones_get(&s->tombstones->t, s->all->at);
    for (size_t i = 0; i < s->series.chunks_count; i++) {
        const struct index_chunk *c = &s->series.chunks[i];
        struct chunk_bytes data;
        if (intervals_contain(gone, c->mint, c->maxt))
            continue;
        if (!segments_chunk(&s->block->chunks, c->ref, &data, err))
            return err_wrap(err, "block %s", s->block->meta.ulid.text);
        struct encoded_chunk e = { c->mint, c->maxt, data.encoding, data.bytes };
        bool ok = intervals_overlap(gone, c->mint, c->maxt) ? chunk_without(&e, gone, chunk_list_add, &m->found, err)
                                                            : chunk_list_add(&m->found, &e, err);
        if (!ok)
            return false;
    }
    return true;
}

static bool write_series(struct merge *m, const struct source *labels, struct err *err)
{
    if (!chunks_settle(&m->found, m->mint, m->maxt, RAW_MERGE_LIMITS, &m->settled, err))
        return false;
    if (m->settled.n > m->chunks_capacity) {
        m->chunks_capacity = mem_grow(m->chunks_capacity, m->settled.n);
        m->chunks = mem_realloc_array(m->chunks, m->chunks_capacity, sizeof *m->chunks);
    }
    for (size_t i = 0; i < m->settled.n; i++) {
        const struct encoded_chunk *c = &m->settled.v[i];
        m->chunks[i] = (struct block_chunk){ c->mint, c->maxt, { c->encoding, c->bytes } };
    }
    return block_writer_series(&m->writer, labels->labels, labels->series.labels_count, m->chunks, m->settled.n, err);
}

/* The least series of all sources; its chunks of every source that has it. */
static bool merge_next(struct merge *m, bool *more, struct err *err)
{
    struct source *least = NULL;
    for (size_t i = 0; i < m->n; i++) {
        if (m->v[i].more && (!least || compare(&m->v[i], least) < 0))
            least = &m->v[i];
    }
    *more = least != NULL;
    if (!least)
        return true;
    arena_reset(&m->arena);
    m->found.n = m->settled.n = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct source *s = &m->v[i];
        if (s->more && compare(s, least) == 0 && !take_chunks(m, s, err))
            return false;
    }
    if (!write_series(m, least, err))
        return false;
    for (size_t i = 0; i < m->n; i++) { /* the least itself last: it is what the others are compared with */
        struct source *s = &m->v[i];
        if (s != least && s->more && compare(s, least) == 0 && !advance(m, s, err))
            return false;
    }
    return advance(m, least, err);
}

static bool merge_all(struct merge *m, const _Atomic bool *stop, struct err *err)
{
    bool more = true;
    while (more) {
        if (stop && atomic_load_explicit(stop, memory_order_relaxed))
            return err_set(err, ERR_CANCELLED, "compaction was cancelled");
        if (!merge_next(m, &more, err))
            return false;
    }
    return true;
}

static void merge_deinit(struct merge *m)
{
    for (size_t i = 0; i < m->n; i++) {
        tombstones_release(m->v[i].tombstones);
        index_series_deinit(&m->v[i].series);
        mem_free(m->v[i].numbers);
        mem_free(m->v[i].labels);
    }
    mem_free(m->v);
    mem_free(m->texts);
    mem_free(m->chunks);
    chunk_list_deinit(&m->found);
    chunk_list_deinit(&m->settled);
    arena_deinit(&m->postings_arena);
    arena_deinit(&m->arena);
}

bool compact_blocks(struct fs *fs, struct str parent, struct block **blocks, size_t n, struct block_meta *meta,
                    const _Atomic bool *stop, bool *written, struct err *err)
{
    struct merge m = { .n = n, .mint = meta->mint, .maxt = meta->maxt - 1 };
    m.v = mem_alloc_array(n, sizeof *m.v);
    arena_init(&m.postings_arena, ARENA_NO_LIMIT);
    arena_init(&m.arena, ARENA_NO_LIMIT);
    m.found.arena = m.settled.arena = &m.arena;
    for (size_t i = 0; i < n; i++) {
        m.v[i].block = blocks[i];
        m.v[i].tombstones = block_tombstones(blocks[i]);
    }
    *written = false;
    bool ok = load_symbols(&m, err) &&
              block_writer_open(&m.writer, fs, parent, &meta->ulid, m.texts, m.texts_count, err);
    if (ok) {
        ok = open_sources(&m, err) && merge_all(&m, stop, err);
        if (ok)
            ok = block_writer_finish(&m.writer, meta, written, err);
        else
            block_writer_abandon(&m.writer);
    }
    merge_deinit(&m);
    return ok;
}

void compact_meta(struct block **blocks, size_t n, const struct ulid *ulid, struct block_meta *meta)
{
    *meta = (struct block_meta){ .ulid = *ulid, .mint = INT64_MAX, .maxt = INT64_MIN, .from_out_of_order = true };
    for (size_t i = 0; i < n; i++) {
        const struct block_meta *m = &blocks[i]->meta;
        meta->mint = m->mint < meta->mint ? m->mint : meta->mint;
        meta->maxt = m->maxt > meta->maxt ? m->maxt : meta->maxt;
        meta->level = m->level > meta->level ? m->level : meta->level;
        meta->from_out_of_order &= m->from_out_of_order;
        meta->from_stale_series |= m->from_stale_series;
        meta->from_selected_series |= m->from_selected_series;
        for (size_t k = 0; k < m->sources_count; k++)
            block_meta_add_source(meta, &m->sources[k]);
        block_meta_add_parent(meta, m);
    }
    meta->level++;
}
