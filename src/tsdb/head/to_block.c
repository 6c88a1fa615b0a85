/* The head's data as blocks.
 *
 * B1  In-order data: nobody may still write below the block's end (db.c waits for it), so no isolation is needed; full
 *     chunks are copied as they are, only what a tombstone or the range's edge cuts is encoded again.
 * B2  Out-of-order data: the chunks in chunks_head, merged where they overlap.
 * B3  Series come in label order; symbols are those of the series that have data, numbered in byte order.
 *
 * Memory: slots and symbols of the series, one series' chunks. */
#include "tsdb/head/head_int.h"

#include "base/mem.h"
#include "tsdb/chunkenc/chunk_int.h"

#include <stdlib.h>

struct block_out {
    struct head *h;
    int64_t mint, maxt; /* closed */
    bool ooo;
    uint32_t *slots;
    size_t n;
    struct str *texts; /* symbols of the block */
    size_t texts_count;
    uint32_t *numbers; /* sym -> number in the block */
    struct arena arena;
    struct buf scratch;
    struct chunk_list found, settled;
    struct block_chunk *chunks;
    size_t chunks_capacity;
    uint32_t *pairs;
    size_t pairs_capacity;
    struct block_writer writer;
};

/* ---- which series, which symbols ---- */

static bool has_data(struct block_out *b, struct head_series *s)
{
    struct lock *lock = &head_stripe(b->h, s)->lock;
    bool yes = false;
    lock_take(lock);
    if (b->ooo) {
        for (size_t i = 0; s->extra && !yes && i < s->extra->ooo_chunks_count; i++)
            yes = s->extra->ooo_chunks[i].mint <= b->maxt && s->extra->ooo_chunks[i].maxt >= b->mint;
    } else {
        yes = s->open != OPEN_NONE && s->chunk_mint <= b->maxt && s->floats.t >= b->mint;
        for (size_t i = 0; !yes && i < s->full_count; i++)
            yes = s->full[i].mint <= b->maxt && s->full[i].mint + (int64_t)s->full[i].span >= b->mint;
    }
    lock_give(lock);
    return yes;
}

static int by_text(const void *x, const void *y, void *arg)
{
    const struct head *h = arg;
    return str_cmp(memindex_text(&h->index, *(const sym *)x), memindex_text(&h->index, *(const sym *)y));
}

static void note_sym(uint64_t **seen, size_t *words, sym s, sym **list, size_t *n, size_t *capacity)
{
    if (s / 64 >= *words) {
        size_t more = mem_grow(*words, s / 64 + 1);
        *seen = mem_realloc_array(*seen, more, sizeof **seen);
        memset(*seen + *words, 0, (more - *words) * sizeof **seen);
        *words = more;
    }
    if ((*seen)[s / 64] >> (s % 64) & 1)
        return;
    (*seen)[s / 64] |= UINT64_C(1) << (s % 64);
    if (*n == *capacity) {
        *capacity = mem_grow(*capacity, *n + 1);
        *list = mem_realloc_array(*list, *capacity, sizeof **list);
    }
    (*list)[(*n)++] = s;
}

static void gather(struct block_out *b)
{
    struct head *h = b->h;
    size_t all, words = 0, n = 0, capacity = 0;
    uint64_t *seen = NULL;
    sym *list = NULL, most = 0;
    b->slots = head_sorted_slots(h, &all);
    rwlock_take_read(&h->index_lock);
    for (size_t i = 0; i < all; i++) {
        struct head_series *s = head_at(h, b->slots[i]);
        if (!has_data(b, s))
            continue;
        b->slots[b->n++] = b->slots[i];
        for (size_t k = 0; k < s->labels_count; k++) {
            note_sym(&seen, &words, s->labels[k].name, &list, &n, &capacity);
            note_sym(&seen, &words, s->labels[k].value, &list, &n, &capacity);
        }
    }
    if (n)
        qsort_r(list, n, sizeof *list, by_text, h);
    for (size_t i = 0; i < n; i++)
        most = list[i] > most ? list[i] : most;
    b->texts = mem_alloc_array(n, sizeof *b->texts);
    b->texts_count = n;
    b->numbers = mem_alloc_array((size_t)most + 1, sizeof *b->numbers);
    for (size_t i = 0; i < n; i++) {
        b->texts[i] = memindex_text(&h->index, list[i]);
        b->numbers[list[i]] = (uint32_t)i;
    }
    rwlock_give_read(&h->index_lock);
    mem_free(seen);
    mem_free(list);
}

/* ---- one series ---- */

static bool take_chunk(struct block_out *b, const struct encoded_chunk *c, const struct intervals *gone, struct err *err)
{
    if (c->maxt < b->mint || c->mint > b->maxt || intervals_contain(gone, c->mint, c->maxt))
        return true;
    return intervals_overlap(gone, c->mint, c->maxt) ? chunk_without(c, gone, chunk_list_add, &b->found, err)
                                                     : chunk_list_add(&b->found, c, err);
}

static bool take_mapped(struct block_out *b, uint64_t ref, int64_t mint, int64_t maxt, const struct intervals *gone,
                        struct err *err)
{
    struct encoded_chunk c = { .mint = mint, .maxt = maxt };
    return mapper_read(&b->h->mapper, ref, &b->scratch, &c.encoding, &c.bytes, err) && take_chunk(b, &c, gone, err);
}

static bool take_open(struct block_out *b, const struct series_view *v, const struct intervals *gone, struct err *err)
{
    struct encoded_chunk c = { v->open_mint, v->open_maxt, v->open_encoding, v->open };
    struct str copy = arena_str(&b->arena, v->open);
    if (!chunk_encoding_is_float(c.encoding) && (uint8_t)copy.p[2] >> 6 != FLAG_GAUGE >> 6) {
        /* What the flag says about the chunk before is not known of a chunk that is still open. */
        char *flag = arena_alloc(&b->arena, copy.n);
        memcpy(flag, copy.p, copy.n);
        flag[2] = 0;
        copy.p = flag;
    }
    c.bytes = copy;
    return take_chunk(b, &c, gone, err);
}

static bool gather_chunks(struct block_out *b, uint32_t slot, struct err *err)
{
    struct series_view v;
    if (!series_look(b->h, head_at(b->h, slot), slot, NULL, b->mint, b->maxt, &b->arena, &v))
        return err_set(err, ERR_LIMIT, "out of memory");
    struct intervals gone = { .v = v.gone, .n = v.gone_count };
    bool ok = true;
    if (b->ooo) {
        for (size_t i = 0; ok && i < v.ooo_count; i++)
            ok = take_mapped(b, v.ooo[i].ref, v.ooo[i].mint, v.ooo[i].maxt, NULL, err);
        return ok;
    }
    for (size_t i = 0; ok && i < v.full_count; i++)
        ok = take_mapped(b, v.full[i].ref, v.full[i].mint, v.full[i].mint + (int64_t)v.full[i].span, &gone, err);
    return ok && (v.open_encoding == CHUNK_NONE || take_open(b, &v, &gone, err));
}

static bool write_series(struct block_out *b, uint32_t slot, struct err *err)
{
    static const struct raw_limits ooo_limits = { .float_bytes = FLOAT_CHUNK_BYTES_MAX,
                                                  .histogram_bytes = HISTOGRAM_CHUNK_BYTES,
                                                  .histogram_samples = HISTOGRAM_SAMPLES_MIN };
    const struct head_series *s = head_at(b->h, slot);
    arena_reset(&b->arena);
    b->found.n = b->settled.n = 0;
    if (!gather_chunks(b, slot, err) ||
        !chunks_settle(&b->found, b->mint, b->maxt, b->ooo ? ooo_limits : (struct raw_limits){ 0 }, &b->settled, err))
        return false;
    if (b->settled.n > b->chunks_capacity) {
        b->chunks_capacity = mem_grow(b->chunks_capacity, b->settled.n);
        b->chunks = mem_realloc_array(b->chunks, b->chunks_capacity, sizeof *b->chunks);
    }
    for (size_t i = 0; i < b->settled.n; i++) {
        const struct encoded_chunk *c = &b->settled.v[i];
        b->chunks[i] = (struct block_chunk){ c->mint, c->maxt, { c->encoding, c->bytes } };
    }
    if (s->labels_count > b->pairs_capacity) {
        b->pairs_capacity = s->labels_count;
        b->pairs = mem_realloc_array(b->pairs, 2 * b->pairs_capacity, sizeof *b->pairs);
    }
    for (size_t i = 0; i < s->labels_count; i++) {
        b->pairs[2 * i] = b->numbers[s->labels[i].name];
        b->pairs[2 * i + 1] = b->numbers[s->labels[i].value];
    }
    return block_writer_series(&b->writer, b->pairs, s->labels_count, b->chunks, b->settled.n, err);
}

static bool write_block(struct head *h, bool ooo, struct str parent, int64_t mint, int64_t maxt, struct block_meta *meta,
                        bool *written, struct err *err)
{
    struct block_out b = { .h = h, .mint = mint, .maxt = maxt - 1, .ooo = ooo };
    struct isolation_user user;
    arena_init(&b.arena, ARENA_NO_LIMIT);
    b.found.arena = b.settled.arena = &b.arena;
    isolation_reader_open(&h->isolation, &user, mint); /* keeps texts and files */
    *written = false;
    gather(&b);
    bool ok = true, opened = false;
    if (b.n) {
        ok = opened = block_writer_open(&b.writer, h->fs, parent, &meta->ulid, b.texts, b.texts_count, err);
        for (size_t i = 0; ok && i < b.n; i++)
            ok = write_series(&b, b.slots[i], err);
    }
    if (ok && opened)
        ok = block_writer_finish(&b.writer, meta, written, err);
    else if (opened)
        block_writer_abandon(&b.writer);
    isolation_reader_close(&h->isolation, &user);
    mem_free(b.slots);
    mem_free(b.texts);
    mem_free(b.numbers);
    mem_free(b.chunks);
    mem_free(b.pairs);
    chunk_list_deinit(&b.found);
    chunk_list_deinit(&b.settled);
    buf_deinit(&b.scratch);
    arena_deinit(&b.arena);
    return ok;
}

bool head_write_block(struct head *h, struct str parent, int64_t mint, int64_t maxt, struct block_meta *meta, bool *written,
                      struct err *err)
{
    return write_block(h, false, parent, mint, maxt, meta, written, err);
}

bool head_write_ooo_block(struct head *h, struct str parent, int64_t mint, int64_t maxt, struct block_meta *meta,
                          bool *written, struct err *err)
{
    return write_block(h, true, parent, mint, maxt, meta, written, err);
}
