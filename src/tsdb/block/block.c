/* Opening, sharing and changing blocks.
 *
 * B1  Everything but tombstones is immutable: readers take no lock and copy nothing.
 * B2  A set of tombstones is immutable once published; who reads retains it, who changes publishes a clone. The file is
 *     replaced first, so that what is visible is durable. */
#include "tsdb/block/block_int.h"

#include "base/mem.h"

static struct shared_tombstones *shared_new(void)
{
    struct shared_tombstones *t = MEM_NEW(struct shared_tombstones);
    atomic_init(&t->count, 1);
    return t;
}

void tombstones_release(struct shared_tombstones *t)
{
    if (t && atomic_fetch_sub_explicit(&t->count, 1, memory_order_acq_rel) == 1) {
        tombstones_deinit(&t->t);
        mem_free(t);
    }
}

struct shared_tombstones *block_tombstones(struct block *b)
{
    lock_take(&b->tombstones_lock);
    struct shared_tombstones *t = b->tombstones;
    atomic_fetch_add_explicit(&t->count, 1, memory_order_relaxed);
    lock_give(&b->tombstones_lock);
    return t;
}

static void block_free(struct block *b)
{
    index_reader_close(&b->index);
    file_map_close(&b->index_file);
    segments_close(&b->chunks);
    tombstones_release(b->tombstones);
    block_meta_deinit(&b->meta);
    lock_deinit(&b->tombstones_lock);
    path_deinit(&b->dir);
    mem_free(b);
}

static uint64_t small_file_bytes(struct block *b, const char *name)
{
    struct path p = { 0 };
    struct fs_stat st = { 0 };
    struct err ignored;
    if (!b->fs->stat(b->fs, path_set(&p, "%.*s/%s", STR_ARG(buf_view(&b->dir.text)), name), &st, &ignored))
        st.size_bytes = 0;
    path_deinit(&p);
    return st.size_bytes;
}

struct block *block_open(struct fs *fs, struct str dir, struct err *err)
{
    struct block *b = MEM_NEW(struct block);
    struct path path = { 0 };
    atomic_init(&b->count, 1);
    lock_init(&b->tombstones_lock);
    b->fs = fs;
    b->tombstones = shared_new();
    path_set(&b->dir, "%.*s", STR_ARG(dir));
    bool ok = block_meta_read(fs, dir, &b->meta, err);
    bool opened = ok;
    ok = ok && file_map_open(&b->index_file, fs, path_set(&path, "%.*s/" NAME_INDEX, STR_ARG(dir)), err) &&
         index_reader_open(&b->index, b->index_file.map.p, b->index_file.map.n, err) &&
         segments_open(&b->chunks, fs, dir, err) && tombstones_read(fs, dir, &b->tombstones->t, err);
    path_deinit(&path);
    if (ok) {
        b->size_bytes = b->index_file.map.n + b->chunks.bytes + small_file_bytes(b, NAME_META) +
                        small_file_bytes(b, NAME_TOMBSTONES);
        return b;
    }
    if (opened)
        err_wrap(err, "open block %s", b->meta.ulid.text);
    block_free(b);
    return NULL;
}

struct block *block_retain(struct block *b)
{
    atomic_fetch_add_explicit(&b->count, 1, memory_order_relaxed);
    return b;
}

void block_release(struct block *b)
{
    if (b && atomic_fetch_sub_explicit(&b->count, 1, memory_order_acq_rel) == 1)
        block_free(b);
}

/* ---- deletion ---- */

/* Adds the intervals of all series that match; clamped to what each series has. */
static bool collect_deleted(struct block *b, const struct matchers *ms, int64_t mint, int64_t maxt, struct arena *a,
                            struct tombstones *into, bool *changed, struct err *err)
{
    struct index_series s = { 0 };
    struct postings *p = postings_for_matchers(&b->index.source, a, ms, err);
    bool ok = p != NULL;
    while (ok && postings_next(p)) {
        ok = index_series_read(&b->index, p->at, &s, err);
        for (size_t i = 0; ok && i < s.chunks_count; i++) {
            if (s.chunks[i].mint > maxt || s.chunks[i].maxt < mint)
                continue;
            int64_t first = s.chunks[0].mint, last = s.chunks[s.chunks_count - 1].maxt;
            struct interval gone = { mint > first ? mint : first, maxt < last ? maxt : last };
            tombstones_add(into, p->at, gone);
            *changed = true;
            break;
        }
    }
    index_series_deinit(&s);
    return ok;
}

bool block_delete(struct block *b, const struct matchers *ms, int64_t mint, int64_t maxt, bool *changed, struct err *err)
{
    struct arena a;
    struct shared_tombstones *old = block_tombstones(b), *fresh = shared_new();
    struct tombstones *clone = tombstones_clone(&old->t);
    fresh->t = *clone;
    mem_free(clone);
    *changed = false;
    arena_init(&a, ARENA_NO_LIMIT);
    bool ok = collect_deleted(b, ms, mint, maxt, &a, &fresh->t, changed, err);
    if (ok && *changed) {
        struct str dir = buf_view(&b->dir.text);
        b->meta.stats.tombstones = tombstones_count(&fresh->t);
        ok = tombstones_write(b->fs, dir, &fresh->t, err) && block_meta_write(b->fs, dir, &b->meta, err);
    }
    if (ok && *changed) {
        lock_take(&b->tombstones_lock);
        struct shared_tombstones *was = b->tombstones;
        b->tombstones = fresh;
        lock_give(&b->tombstones_lock);
        fresh = was;
    }
    tombstones_release(fresh);
    tombstones_release(old);
    arena_deinit(&a);
    return ok;
}
