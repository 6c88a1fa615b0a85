/* Opening, closing and reading the store.
 *
 * D1  A block is in the list exactly while its directory is under its final name. The list is replaced whole; queriers
 *     retain what they use.
 * D2  A querier registers with the head before it takes the list of blocks: data that left the head is then in a block of
 *     its list (the list is replaced before the head is cut).
 * D3  Blocks that a loaded block names as parents are deleted: that makes the swap after a compaction safe at any crash.
 *
 * Bounds: blocks by what is on disk. */
#include "tsdb/db_int.h"

#include "base/log.h"
#include "base/mem.h"
#include "storage/merge.h"
#include "tsdb/wal/checkpoint_int.h"

#include <stdlib.h>

#define MAX_BLOCK_MS (31 * 24 * 3600 * INT64_C(1000))
#define STALLED_BYTES (256u << 20)

/* ---- blocks ---- */

static bool block_overlaps(const struct block *b, int64_t mint, int64_t maxt)
{
    return b->meta.mint <= maxt && mint < b->meta.maxt;
}

struct block_list tsdb_blocks(struct tsdb *db, int64_t mint, int64_t maxt)
{
    struct block_list l = { 0 };
    lock_take(&db->blocks_lock);
    l.v = mem_alloc_array(db->blocks_count, sizeof(struct block *));
    for (size_t i = 0; i < db->blocks_count; i++) {
        if (block_overlaps(db->blocks[i], mint, maxt))
            l.v[l.n++] = block_retain(db->blocks[i]);
    }
    lock_give(&db->blocks_lock);
    return l;
}

void block_list_release(struct block_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        block_release(l->v[i]);
    mem_free(l->v);
    *l = (struct block_list){ 0 };
}

struct ulid tsdb_new_ulid(struct tsdb *db, wall_ms now)
{
    db->last_ms = now > db->last_ms ? now : db->last_ms + 1; /* names sort in the order of making */
    return ulid_new(db->last_ms, &db->rng);
}

struct scan { /* what a look at the directory found */
    struct block **v;
    size_t n;
    struct ulid *corrupt;
    struct err *corrupt_errs;
    size_t corrupt_n;
};

static struct block *already_open(struct tsdb *db, const struct ulid *u)
{
    for (size_t i = 0; i < db->blocks_count; i++) {
        if (ulid_eq(&db->blocks[i]->meta.ulid, u))
            return block_retain(db->blocks[i]);
    }
    return NULL;
}

static void scan_block(struct tsdb *db, struct str name, const struct ulid *u, struct scan *s)
{
    struct path path = { 0 };
    struct err err = { 0 };
    struct block_meta meta;
    struct str dir = path_set(&path, "%.*s/%.*s", STR_ARG(tsdb_dir(db)), STR_ARG(name));
    struct block *b = already_open(db, u);
    if (!b) {
        if (!block_meta_read(db->fs, dir, &meta, &err)) {
            log_error("Failed to read meta.json for a block during reload. Skipping", LOG_STR("dir", dir), LOG_ERR(&err));
            path_deinit(&path);
            return;
        }
        block_meta_deinit(&meta);
        b = block_open(db->fs, dir, &err);
    }
    if (b) {
        s->v = mem_realloc_array(s->v, s->n + 1, sizeof(struct block *));
        s->v[s->n++] = b;
    } else {
        s->corrupt = mem_realloc_array(s->corrupt, s->corrupt_n + 1, sizeof *s->corrupt);
        s->corrupt_errs = mem_realloc_array(s->corrupt_errs, s->corrupt_n + 1, sizeof *s->corrupt_errs);
        s->corrupt[s->corrupt_n] = *u;
        s->corrupt_errs[s->corrupt_n++] = err;
    }
    path_deinit(&path);
}

static int by_mint(const void *x, const void *y)
{
    const struct block *const *a = x, *const *b = y;
    if ((*a)->meta.mint != (*b)->meta.mint)
        return (*a)->meta.mint < (*b)->meta.mint ? -1 : 1;
    return memcmp((*a)->meta.ulid.text, (*b)->meta.ulid.text, ULID_TEXT);
}

static bool scan_dir(struct tsdb *db, struct scan *s, struct err *err)
{
    struct buf names = { 0 };
    struct str rest, name;
    struct ulid u;
    bool ok = db->fs->list(db->fs, tsdb_dir(db), &names, err);
    for (rest = buf_view(&names); ok && names_next(&rest, &name);) {
        if (block_ulid_parse(name, &u))
            scan_block(db, name, &u, s);
    }
    buf_deinit(&names);
    if (s->n)
        qsort(s->v, s->n, sizeof(struct block *), by_mint);
    return ok;
}

static void scan_deinit(struct scan *s)
{
    for (size_t i = 0; i < s->n; i++)
        block_release(s->v[i]);
    mem_free(s->v);
    mem_free(s->corrupt);
    mem_free(s->corrupt_errs);
}

static uint64_t head_bytes(struct tsdb *db)
{
    static const char *const dirs[] = { NAME_WAL, NAME_WBL, NAME_CHUNKS_HEAD };
    struct path path = { 0 };
    uint64_t total = 0;
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        total += wal_dir_bytes(db->fs, path_set(&path, "%.*s/%s", STR_ARG(tsdb_dir(db)), dirs[i]));
    path_deinit(&path);
    return total;
}

/* Marks blocks that retention, a flag or a child removes; corrupt ones that a child replaced are forgiven. */
static void mark_gone(struct tsdb *db, struct scan *s, bool *gone)
{
    const struct block_meta **metas = mem_alloc_array(s->n, sizeof(struct block_meta *));
    uint64_t *sizes = mem_alloc_array(s->n, sizeof *sizes);
    for (size_t i = 0; i < s->n; i++) {
        metas[i] = &s->v[i]->meta;
        sizes[i] = s->v[i]->size_bytes;
    }
    plan_retention(metas, sizes, s->n, db->o.retention_bytes ? head_bytes(db) : 0, db->o.retention_ms,
                   db->o.retention_bytes, gone);
    for (size_t i = 0; i < s->n; i++) {
        if (gone[i] && !metas[i]->deletable)
            counter_add(&db->stats.retention_time_deletions, 1);
    }
    for (size_t i = 0; i < s->n; i++) {
        for (size_t p = 0; p < metas[i]->parents_count; p++) {
            for (size_t k = 0; k < s->n; k++)
                gone[k] |= ulid_eq(&metas[k]->ulid, &metas[i]->parents[p].ulid);
            for (size_t k = 0; k < s->corrupt_n; k++) {
                if (ulid_eq(&s->corrupt[k], &metas[i]->parents[p].ulid))
                    s->corrupt[k--] = s->corrupt[--s->corrupt_n];
            }
        }
    }
    mem_free(metas);
    mem_free(sizes);
}

static void delete_block(struct tsdb *db, const struct block *b)
{
    struct path tmp = { 0 };
    struct err err = { 0 };
    struct str dir = buf_view(&b->dir.text);
    struct str to = path_set(&tmp, "%.*s" SUFFIX_DELETION, STR_ARG(dir));
    /* The new name first: a block that comes back after a crash must not have lost files. */
    if (!db->fs->rename(db->fs, dir, to, &err) || !db->fs->sync_dir(db->fs, tsdb_dir(db), &err) ||
        !fs_remove_tree(db->fs, to, &err))
        log_warn("Deleting a block failed", LOG_STR("dir", dir), LOG_ERR(&err));
    else
        log_info("Deleting obsolete block", LOG_CSTR("block", b->meta.ulid.text));
    path_deinit(&tmp);
}

bool tsdb_reload(struct tsdb *db, struct err *err)
{
    struct scan s = { 0 };
    bool ok = scan_dir(db, &s, err);
    bool *gone = mem_alloc_array(s.n, sizeof *gone);
    if (ok)
        mark_gone(db, &s, gone);
    if (ok && s.corrupt_n) {
        *err = s.corrupt_errs[0];
        ok = err_wrap(err, "corrupted block %s", s.corrupt[0].text);
    }
    counter_add(&db->stats.reloads, 1);
    if (!ok) {
        counter_add(&db->stats.reloads_failed, 1);
        scan_deinit(&s);
        mem_free(gone);
        return false;
    }
    struct block **fresh = mem_alloc_array(s.n, sizeof(struct block *)), **old = db->blocks;
    size_t n = 0, old_n = db->blocks_count;
    uint64_t bytes = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!gone[i] || db->o.read_only) {
            bytes += s.v[i]->size_bytes;
            fresh[n++] = block_retain(s.v[i]);
        }
    }
    lock_take(&db->blocks_lock);
    db->blocks = fresh;
    db->blocks_count = n;
    lock_give(&db->blocks_lock);
    gauge_set(&db->stats.blocks, (double)n);
    gauge_set(&db->stats.blocks_bytes, (double)bytes);
    for (size_t i = 0; i < s.n && !db->o.read_only; i++) {
        if (gone[i])
            delete_block(db, s.v[i]);
    }
    for (size_t i = 0; i < old_n; i++)
        block_release(old[i]);
    mem_free(old);
    scan_deinit(&s);
    mem_free(gone);
    return true;
}

/* ---- opening ---- */

static bool is_leftover(struct str name)
{
    static const struct str suffixes[] = { STR_INIT(SUFFIX_CREATION), STR_INIT(SUFFIX_DELETION), STR_INIT(SUFFIX_TMP) };
    struct ulid u;
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        if (!str_ends(name, suffixes[i]))
            continue;
        struct str stem = str_of(name.p, name.n - suffixes[i].n);
        return block_ulid_parse(stem, &u) || str_starts(stem, STR(NAME_CHUNK_SNAPSHOT)) || str_starts(stem, STR(NAME_CHECKPOINT));
    }
    return false;
}

static bool remove_leftovers(struct tsdb *db, const char *sub, struct err *err)
{
    struct buf names = { 0 };
    struct path path = { 0 };
    struct str rest, name;
    struct err own = { 0 };
    struct str dir = path_set(&path, "%.*s%s", STR_ARG(tsdb_dir(db)), sub);
    bool ok = db->fs->list(db->fs, dir, &names, &own);
    if (!ok && own.code == ERR_NOT_FOUND) {
        buf_deinit(&names);
        path_deinit(&path);
        return true;
    }
    if (!ok)
        *err = own;
    for (rest = buf_view(&names); ok && names_next(&rest, &name);) {
        if (!is_leftover(name))
            continue;
        struct str p = path_set(&path, "%.*s%s/%.*s", STR_ARG(tsdb_dir(db)), sub, STR_ARG(name));
        log_info("Found and deleted tmp block dir", LOG_STR("dir", p));
        ok = fs_remove_tree(db->fs, p, err);
    }
    buf_deinit(&names);
    path_deinit(&path);
    return ok;
}

static bool take_lock(struct tsdb *db, struct err *err)
{
    struct path path = { 0 };
    struct str p = path_set(&path, "%.*s/" NAME_LOCK, STR_ARG(tsdb_dir(db)));
    if (fs_exists(db->fs, p))
        log_warn("A lock file from a previous execution already existed. It was replaced", LOG_STR("file", p));
    bool ok = db->fs->open(db->fs, p, FS_READ | FS_WRITE | FS_CREATE, &db->lock_file, err);
    if (!ok)
        db->lock_file = NULL;
    ok = ok && db->fs->lock(db->fs, db->lock_file, err);
    if (!ok)
        err_wrap(err, "lock DB directory");
    path_deinit(&path);
    return ok;
}

static void give_lock(struct tsdb *db)
{
    struct path path = { 0 };
    struct err err = { 0 };
    if (!db->lock_file)
        return;
    if (!db->fs->remove(db->fs, path_set(&path, "%.*s/" NAME_LOCK, STR_ARG(tsdb_dir(db))), &err))
        log_warn("Removing the lock file failed", LOG_ERR(&err));
    db->fs->close(db->fs, db->lock_file);
    db->lock_file = NULL;
    path_deinit(&path);
}

static void forget_series_state(struct tsdb *db)
{
    struct path path = { 0 };
    struct err ignored;
    struct str p = path_set(&path, "%.*s/" NAME_WAL "/" NAME_SERIES_STATE, STR_ARG(tsdb_dir(db)));
    if (fs_exists(db->fs, p) && !db->fs->remove(db->fs, p, &ignored)) {
        /* Newer servers check it against the log and ignore it. */
    }
    path_deinit(&path);
}

static int64_t min_valid_time(const struct tsdb *db)
{
    int64_t t = INT64_MIN;
    for (size_t i = 0; i < db->blocks_count; i++) {
        if (block_meta_is_in_order(&db->blocks[i]->meta) && db->blocks[i]->meta.maxt > t)
            t = db->blocks[i]->meta.maxt;
    }
    return t;
}

static void normalise(struct tsdb_options *o)
{
    if (o->block_ms <= 0)
        o->block_ms = BLOCK_MS;
    if (o->block_max_ms <= 0) {
        o->block_max_ms = MAX_BLOCK_MS;
        if (o->retention_ms > 0 && o->retention_ms / 10 < o->block_max_ms)
            o->block_max_ms = o->retention_ms / 10;
    }
    if (o->block_max_ms < o->block_ms)
        o->block_max_ms = o->block_ms;
    if (o->stalled_max_bytes == 0)
        o->stalled_max_bytes = STALLED_BYTES;
    if (o->out_of_order_chunk == 0)
        o->out_of_order_chunk = OOO_CHUNK_SAMPLES;
}

static const double compaction_bounds[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192 };
static const double tombstone_bounds[] = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 };
static const struct storage_ops tsdb_storage_ops;

/* The metrics have their own copies: the options belong to who holds the work lock. */
static void set_retention(struct tsdb *db, int64_t ms, uint64_t bytes)
{
    db->o.retention_ms = ms;
    db->o.retention_bytes = bytes;
    gauge_set(&db->stats.retention_s, (double)ms / 1000);
    gauge_set(&db->stats.retention_bytes, (double)bytes);
}

static struct tsdb *make(const struct tsdb_options *options)
{
    struct tsdb *db = MEM_NEW(struct tsdb);
    db->base.ops = &tsdb_storage_ops;
    db->o = *options;
    normalise(&db->o);
    db->fs = options->fs;
    path_set(&db->dir, "%.*s", STR_ARG(options->dir));
    db->o.dir = tsdb_dir(db);
    lock_init(&db->work);
    lock_init(&db->blocks_lock);
    rng_seed(&db->rng, options->seed);
    db->ranges = plan_ranges_make(db->o.block_ms, db->o.block_max_ms);
    histogram_init(&db->stats.compaction_seconds, compaction_bounds, ARRAY_LEN(compaction_bounds));
    histogram_init(&db->stats.tombstone_seconds, tombstone_bounds, ARRAY_LEN(tombstone_bounds));
    set_retention(db, db->o.retention_ms, db->o.retention_bytes);
    head_init(&db->head, &db->o, tsdb_dir(db));
    return db;
}

static void destroy(struct tsdb *db)
{
    head_deinit(&db->head);
    for (size_t i = 0; i < db->blocks_count; i++)
        block_release(db->blocks[i]);
    mem_free(db->blocks);
    give_lock(db);
    lock_deinit(&db->work);
    lock_deinit(&db->blocks_lock);
    path_deinit(&db->dir);
    mem_free(db);
}

/* The directories themselves may be new. */
static void sync_dirs(struct tsdb *db)
{
    struct str dir = tsdb_dir(db);
    size_t slash = str_rfind_byte(dir, '/');
    struct str parent = slash == STR_NPOS ? STR(".") : slash == 0 ? STR("/") : str_of(dir.p, slash);
    struct err err = { 0 };
    if (!db->fs->sync_dir(db->fs, dir, &err) || !db->fs->sync_dir(db->fs, parent, &err))
        log_warn("Syncing the directory failed", LOG_ERR(&err));
}

bool tsdb_open(const struct tsdb_options *options, wall_ms now, struct tsdb **out, struct err *err)
{
    struct tsdb *db = make(options);
    db->last_ms = now - 1;
    bool ok = db->o.read_only || fs_mkdir_all(db->fs, tsdb_dir(db), err);
    if (ok && !db->o.read_only)
        ok = (db->o.no_lock || take_lock(db, err)) && remove_leftovers(db, "", err) &&
             remove_leftovers(db, "/" NAME_WAL, err);
    ok = ok && tsdb_reload(db, err) && head_replay(&db->head, min_valid_time(db), err);
    if (!ok) {
        destroy(db);
        return false;
    }
    if (!db->o.read_only) {
        forget_series_state(db);
        sync_dirs(db);
    }
    *out = db;
    return true;
}

static void write_snapshot(struct tsdb *db)
{
    struct head *h = &db->head;
    struct snapshot_place place;
    struct err err = { 0 };
    if (!db->o.snapshot_on_shutdown || !h->has_wal)
        return;
    wal_position(&h->wal, &place.segment, &place.offset);
    place.offset = (place.offset + WAL_PAGE_BYTES - 1) / WAL_PAGE_BYTES * WAL_PAGE_BYTES;
    if (!mapper_flush(&h->mapper, &err) || !wal_maintain(&h->wal, &err)) {
        log_warn("No chunk snapshot: the disk does not take the log", LOG_ERR(&err));
        return;
    }
    wal_close(&h->wal);
    h->has_wal = false;
    if (!head_snapshot_write(h, &place, &err))
        log_warn("Writing the chunk snapshot failed", LOG_ERR(&err));
}

void tsdb_close(struct tsdb *db)
{
    if (!db)
        return;
    lock_take(&db->work);
    if (!db->o.read_only)
        write_snapshot(db);
    lock_give(&db->work);
    destroy(db);
}

struct storage *tsdb_storage(struct tsdb *db)
{
    return &db->base;
}

void tsdb_reconfigure(struct tsdb *db, int64_t out_of_order_ms, int64_t retention_ms, uint64_t retention_bytes,
                      size_t exemplars_max)
{
    struct err err = { 0 };
    lock_take(&db->work);
    struct head *h = &db->head;
    if (out_of_order_ms > 0 && !h->has_wbl && !db->o.read_only) {
        struct path path = { 0 };
        struct wal_options o = { .segment_bytes = db->o.wal_segment_bytes, .pending_max_bytes = db->o.stalled_max_bytes };
        h->has_wbl = wal_open(&h->wbl, db->fs, path_set(&path, "%.*s/" NAME_WBL, STR_ARG(tsdb_dir(db))), &o, &err);
        if (!h->has_wbl)
            log_error("Opening the write-behind log failed", LOG_ERR(&err));
        path_deinit(&path);
    }
    atomic_store(&h->ooo_window, out_of_order_ms);
    set_retention(db, retention_ms, retention_bytes);
    exemplar_ring_resize(h->exemplars, exemplars_max);
    lock_give(&db->work);
}

/* ---- reading ---- */

struct tsdb_querier {
    struct querier base;
    struct querier *merged; /* of blocks, and the head if it overlaps */
    struct querier *head;
    bool head_is_merged;
};

static struct tsdb_querier *querier_of(struct querier *q)
{
    return container_of(q, struct tsdb_querier, base);
}

static bool tsdb_select(struct querier *q, const struct matchers *ms, const struct select_hints *hints,
                        struct series_set **set, struct err *err)
{
    return querier_select(querier_of(q)->merged, ms, hints, set, err);
}

static bool tsdb_label_values(struct querier *q, struct str name, const struct matchers *ms, size_t limit, struct strs *out,
                              struct err *err)
{
    return querier_label_values(querier_of(q)->merged, name, ms, limit, out, err);
}

static bool tsdb_label_names(struct querier *q, const struct matchers *ms, size_t limit, struct strs *out, struct err *err)
{
    return querier_label_names(querier_of(q)->merged, ms, limit, out, err);
}

static bool tsdb_exemplars(struct querier *q, const struct matchers *sets, size_t sets_count, struct exemplar_series **out,
                           size_t *n, struct err *err)
{
    return querier_exemplars(querier_of(q)->head, sets, sets_count, out, n, err);
}

static bool tsdb_metadata(struct querier *q, struct labels series, struct series_metadata *out)
{
    return querier_metadata(querier_of(q)->head, series, out);
}

static void tsdb_querier_close(struct querier *q)
{
    struct tsdb_querier *t = querier_of(q);
    querier_close(t->merged);
    if (!t->head_is_merged)
        querier_close(t->head);
}

static const struct querier_ops tsdb_querier_ops = {
    .select = tsdb_select,
    .label_values = tsdb_label_values,
    .label_names = tsdb_label_names,
    .exemplars = tsdb_exemplars,
    .metadata = tsdb_metadata,
    .close = tsdb_querier_close,
};

static bool head_overlaps(struct head *h, int64_t mint, int64_t maxt)
{
    if (!head_is_empty(h) && maxt >= time_load(&h->mint))
        return true;
    return time_load(&h->ooo_maxt) != TIME_NONE_MAX && time_load(&h->ooo_mint) <= maxt && time_load(&h->ooo_maxt) >= mint;
}

static bool tsdb_querier(struct storage *st, struct arena *a, int64_t mint, int64_t maxt, struct querier **out,
                         struct err *err)
{
    (void)err;
    struct tsdb *db = container_of(st, struct tsdb, base);
    struct tsdb_querier *q = ARENA_NEW(a, struct tsdb_querier);
    q->base = (struct querier){ .ops = &tsdb_querier_ops, .arena = a, .mint = mint, .maxt = maxt };
    q->head = head_querier(&db->head, a, mint, maxt); /* before the blocks: D2 */
    q->head_is_merged = head_overlaps(&db->head, mint, maxt);
    struct block_list blocks = tsdb_blocks(db, mint, maxt);
    struct merge_source *sources = arena_alloc_array(a, blocks.n + 1, sizeof *sources);
    size_t n = 0;
    for (; n < blocks.n; n++)
        sources[n].querier = block_querier(blocks.v[n], a, mint, maxt);
    if (q->head_is_merged)
        sources[n++].querier = q->head;
    q->merged = merge_querier(a, sources, n, mint, maxt);
    block_list_release(&blocks);
    *out = &q->base;
    return true;
}

static bool tsdb_appender(struct storage *st, const struct append_options *o, struct appender **a, struct err *err)
{
    struct tsdb *db = container_of(st, struct tsdb, base);
    if (db->o.read_only)
        return err_set(err, ERR_UNAVAILABLE, "the store is open for reading only");
    return head_appender(&db->head, o, a, err);
}

static bool tsdb_start_time(struct storage *st, int64_t *t)
{
    struct tsdb *db = container_of(st, struct tsdb, base);
    int64_t lowest = time_load(&db->head.mint);
    lock_take(&db->blocks_lock);
    if (db->blocks_count && db->blocks[0]->meta.mint < lowest)
        lowest = db->blocks[0]->meta.mint;
    lock_give(&db->blocks_lock);
    *t = lowest;
    return lowest != TIME_NONE_MIN;
}

static const struct storage_ops tsdb_storage_ops = {
    .querier = tsdb_querier,
    .appender = tsdb_appender,
    .start_time = tsdb_start_time,
};
