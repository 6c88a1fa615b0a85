/* Writing a block so that it is there whole or not at all: everything goes to <ULID>.tmp-for-creation, every file is
 * synced, and the last step is a rename. */
#include "tsdb/block/block_int.h"

#include "base/mem.h"
#include "tsdb/chunkenc/chunk_int.h"

static struct str tmp_dir(const struct block_writer *w)
{
    return buf_view(&w->tmp.text);
}

bool block_writer_open(struct block_writer *w, struct fs *fs, struct str parent, const struct ulid *ulid,
                       const struct str *symbols, size_t symbols_count, struct err *err)
{
    *w = (struct block_writer){ .fs = fs };
    path_set(&w->final, "%.*s/%s", STR_ARG(parent), ulid->text);
    path_set(&w->tmp, "%.*s/%s" SUFFIX_CREATION, STR_ARG(parent), ulid->text);
    bool ok = fs->mkdir(fs, tmp_dir(w), err) && segments_writer_open(&w->chunks, fs, tmp_dir(w), err) &&
              index_writer_open(&w->index, fs, path_set(&w->scratch, "%.*s/" NAME_INDEX, STR_ARG(tmp_dir(w))), err);
    if (ok)
        index_writer_symbols(&w->index, symbols, symbols_count);
    else
        block_writer_abandon(w);
    return ok;
}

static void reserve(struct block_writer *w, size_t n)
{
    if (n <= w->capacity)
        return;
    w->capacity = mem_grow(w->capacity, n);
    w->refs = mem_realloc_array(w->refs, w->capacity, sizeof *w->refs);
    w->bytes = mem_realloc_array(w->bytes, w->capacity, sizeof *w->bytes);
    w->index_chunks = mem_realloc_array(w->index_chunks, w->capacity, sizeof *w->index_chunks);
}

bool block_writer_series(struct block_writer *w, const uint32_t *symbols, size_t labels_count,
                         const struct block_chunk *chunks, size_t n, struct err *err)
{
    if (n == 0)
        return true;
    reserve(w, n);
    for (size_t i = 0; i < n; i++)
        w->bytes[i] = chunks[i].data;
    if (!segments_write(&w->chunks, w->bytes, n, w->refs, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct chunk_bytes *d = &chunks[i].data;
        size_t samples = chunk_samples(d->encoding, d->bytes);
        w->index_chunks[i] = (struct index_chunk){ chunks[i].mint, chunks[i].maxt, w->refs[i] };
        w->stats.samples += samples;
        if (chunk_encoding_is_float(d->encoding))
            w->stats.float_samples += samples;
        else
            w->stats.histogram_samples += samples;
    }
    w->stats.series++;
    w->stats.chunks += n;
    return index_writer_series(&w->index, symbols, labels_count, w->index_chunks, n, err);
}

static bool put_in_place(struct block_writer *w, struct block_meta *meta, struct err *err)
{
    struct fs *fs = w->fs;
    struct tombstones none = { 0 };
    struct str final = buf_view(&w->final.text);
    struct str parent = str_of(final.p, final.n - ULID_TEXT - 1);
    meta->stats = w->stats;
    return segments_writer_finish(&w->chunks, err) && index_writer_finish(&w->index, err) &&
           block_meta_write(fs, tmp_dir(w), meta, err) && tombstones_write(fs, tmp_dir(w), &none, err) &&
           fs->sync_dir(fs, tmp_dir(w), err) && fs->rename(fs, tmp_dir(w), final, err) && fs->sync_dir(fs, parent, err);
}

bool block_writer_finish(struct block_writer *w, struct block_meta *meta, bool *written, struct err *err)
{
    *written = w->stats.samples > 0;
    bool ok = !*written || put_in_place(w, meta, err);
    if (ok && *written)
        buf_reset(&w->tmp.text); /* nothing to remove */
    block_writer_abandon(w);
    return ok;
}

void block_writer_abandon(struct block_writer *w)
{
    struct err ignored;
    segments_writer_abandon(&w->chunks);
    index_writer_abandon(&w->index);
    if (w->tmp.text.n && !fs_remove_tree(w->fs, tmp_dir(w), &ignored)) {
        /* What is left has the suffix of unfinished blocks and goes at the next opening. */
    }
    path_deinit(&w->final);
    path_deinit(&w->tmp);
    path_deinit(&w->scratch);
    mem_free(w->refs);
    mem_free(w->bytes);
    mem_free(w->index_chunks);
    *w = (struct block_writer){ 0 };
}
