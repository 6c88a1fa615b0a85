/* What the operator asks for: deletion, cleaning, snapshots, statistics. */
#include "tsdb/db_int.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/stopwatch.h"
#include "tsdb/compact_int.h"

#include <stdlib.h>

/* ---- deletion ---- */

static bool log_tombstones(struct head *h, const struct buf *record, struct err *err)
{
    static const struct wal_bounds none = { INT64_MAX, INT64_MIN }; /* tombstones are asked one by one */
    struct wal_item item = { buf_view(record), WAL_PLAIN, &none };
    return !h->has_wal || record->n <= 1 || wal_log(&h->wal, &item, 1, err);
}

bool head_delete(struct head *h, const struct matchers *ms, int64_t mint, int64_t maxt, struct err *err)
{
    struct arena a;
    struct buf record = { 0 };
    struct isolation_user user;
    uint32_t *slots;
    size_t n;
    arena_init(&a, ARENA_NO_LIMIT);
    isolation_reader_open(&h->isolation, &user, mint);
    rwlock_take_read(&h->index_lock);
    bool ok = head_matching(h, ms, &a, &slots, &n, err);
    rwlock_give_read(&h->index_lock);
    record_tombstones_begin(&record);
    for (size_t i = 0; ok && i < n; i++) {
        struct head_series *s = head_at(h, slots[i]);
        struct lock *lock = &head_stripe(h, s)->lock;
        int64_t last;
        lock_take(lock);
        int64_t first = series_mint(s);
        if (!series_last(s, &last))
            last = s->full_count ? s->full[s->full_count - 1].mint + (int64_t)s->full[s->full_count - 1].span : INT64_MIN;
        struct interval gone = { mint > first ? mint : first, maxt < last ? maxt : last };
        if (first != INT64_MAX && gone.mint <= gone.maxt) {
            record_tombstone_item(&record, s->ref, gone);
            intervals_add(&series_extra(s)->gone, gone);
        }
        lock_give(lock);
    }
    ok = ok && log_tombstones(h, &record, err);
    isolation_reader_close(&h->isolation, &user);
    buf_deinit(&record);
    arena_deinit(&a);
    return ok;
}

bool tsdb_delete(struct tsdb *db, const struct matchers *sets, size_t sets_count, int64_t mint, int64_t maxt,
                 struct err *err)
{
    bool ok = true, changed;
    if (db->o.read_only)
        return err_set(err, ERR_UNAVAILABLE, "the store is open for reading only");
    lock_take(&db->work);
    struct block_list l = tsdb_blocks(db, mint, maxt);
    for (size_t s = 0; ok && s < sets_count; s++) {
        for (size_t i = 0; ok && i < l.n; i++)
            ok = block_delete(l.v[i], &sets[s], mint, maxt, &changed, err);
        ok = ok && head_delete(&db->head, &sets[s], mint, maxt, err);
    }
    block_list_release(&l);
    lock_give(&db->work);
    return ok;
}

/* ---- cleaning ---- */

/* The head begins where the last block ends when the store is opened again. Without that block the log, which is cut later,
 * would give its deleted samples back: so it stays until another ends no earlier, and compaction finds it empty then. */
static bool bounds_the_log(const struct tsdb *db, const struct block *b)
{
    for (size_t i = 0; i < db->blocks_count; i++) {
        const struct block *other = db->blocks[i];
        if (other != b && !other->meta.deletable && block_meta_is_in_order(&other->meta) &&
            other->meta.maxt >= b->meta.maxt)
            return false;
    }
    return block_meta_is_in_order(&b->meta);
}

static bool clean_block(struct tsdb *db, wall_ms now, struct block *b, struct err *err)
{
    struct block_meta meta = {
        .ulid = tsdb_new_ulid(db, now),
        .mint = b->meta.mint,
        .maxt = b->meta.maxt,
        .level = 1,
        .from_out_of_order = b->meta.from_out_of_order,
    };
    bool written = false;
    block_meta_add_source(&meta, &meta.ulid);
    block_meta_add_parent(&meta, &b->meta);
    struct stopwatch w = stopwatch_start();
    bool ok = compact_blocks(db->fs, tsdb_dir(db), &b, 1, &meta, NULL, &written, err);
    if (ok && !written && !bounds_the_log(db, b))
        b->meta.deletable = true;
    histogram_observe(&db->stats.tombstone_seconds, stopwatch_seconds(w));
    block_meta_deinit(&meta);
    return ok;
}

bool tsdb_clean_tombstones(struct tsdb *db, wall_ms now, struct err *err)
{
    bool ok = true;
    if (db->o.read_only)
        return err_set(err, ERR_UNAVAILABLE, "the store is open for reading only");
    lock_take(&db->work);
    struct block_list l = tsdb_blocks(db, INT64_MIN, INT64_MAX);
    for (size_t i = 0; ok && i < l.n; i++) {
        struct shared_tombstones *t = block_tombstones(l.v[i]);
        bool any = t->t.by_ref.count > 0;
        tombstones_release(t);
        if (any)
            ok = clean_block(db, now, l.v[i], err);
    }
    block_list_release(&l);
    ok = ok && tsdb_reload(db, err);
    lock_give(&db->work);
    return ok;
}

/* ---- snapshots ---- */

static bool link_files(struct fs *fs, struct str from, struct str to, struct err *err)
{
    struct buf names = { 0 };
    struct path a = { 0 }, b = { 0 };
    struct str rest, name;
    bool ok = fs->mkdir(fs, to, err) && fs->list(fs, from, &names, err);
    for (rest = buf_view(&names); ok && names_next(&rest, &name);) {
        struct fs_stat st;
        struct str src = path_set(&a, "%.*s/%.*s", STR_ARG(from), STR_ARG(name));
        struct str dst = path_set(&b, "%.*s/%.*s", STR_ARG(to), STR_ARG(name));
        ok = fs->stat(fs, src, &st, err);
        if (!ok)
            break;
        if (st.is_dir) {
            ok = link_files(fs, src, dst, err);
        } else if (str_eq(name, STR(NAME_META)) || str_eq(name, STR(NAME_TOMBSTONES))) {
            /* Replaced in place when series are deleted: the snapshot's stay as they are. */
            struct buf bytes = { 0 };
            ok = fs_read_file(fs, src, TOMBSTONES_BYTES_MAX, &bytes, err) && fs_replace_file(fs, dst, buf_view(&bytes), err);
            buf_deinit(&bytes);
        } else {
            ok = fs->link(fs, src, dst, err);
        }
    }
    buf_deinit(&names);
    path_deinit(&a);
    path_deinit(&b);
    return ok && fs->sync_dir(fs, to, err);
}

static bool snapshot_head(struct tsdb *db, wall_ms now, struct str dir, struct err *err)
{
    struct head *h = &db->head;
    bool written = false;
    if (head_is_empty(h))
        return true;
    struct block_meta meta = { .ulid = tsdb_new_ulid(db, now), .mint = time_load(&h->mint),
                               .maxt = time_load(&h->maxt) + 1, .level = 1 };
    block_meta_add_source(&meta, &meta.ulid);
    bool ok = head_write_block(h, dir, meta.mint, meta.maxt, &meta, &written, err);
    block_meta_deinit(&meta);
    return ok;
}

bool tsdb_snapshot(struct tsdb *db, wall_ms now, bool skip_head, struct buf *name, struct err *err)
{
    struct path dir = { 0 }, to = { 0 };
    struct civil c;
    size_t from = name->n;
    if (db->o.read_only)
        return err_set(err, ERR_UNAVAILABLE, "the store is open for reading only");
    lock_take(&db->work);
    civil_from_unix(now / 1000, 0, 0, &c);
    buf_printf(name, "%04lld%02d%02dT%02d%02d%02dZ-%016llx", (long long)c.year, c.month, c.day, c.hour, c.minute, c.second,
               (unsigned long long)rng_u64(&db->rng));
    struct str made = path_set(&dir, "%.*s/" NAME_SNAPSHOTS "/%.*s", STR_ARG(tsdb_dir(db)),
                               STR_ARG(str_from(buf_view(name), from)));
    struct block_list l = tsdb_blocks(db, INT64_MIN, INT64_MAX);
    bool ok = fs_mkdir_all(db->fs, made, err);
    for (size_t i = 0; ok && i < l.n; i++)
        ok = link_files(db->fs, buf_view(&l.v[i]->dir.text),
                        path_set(&to, "%.*s/%s", STR_ARG(made), l.v[i]->meta.ulid.text), err) ||
             err_wrap(err, "error snapshotting block");
    ok = ok && (skip_head || snapshot_head(db, now, made, err));
    block_list_release(&l);
    lock_give(&db->work);
    if (!ok)
        buf_truncate(name, from);
    path_deinit(&dir);
    path_deinit(&to);
    return ok;
}

/* ---- statistics ---- */

struct top { /* the largest `limit`, kept as a heap with the least on top */
    struct tsdb_count *v;
    size_t n, limit;
};

static bool is_less(const struct tsdb_count *a, const struct tsdb_count *b)
{
    return a->value != b->value ? a->value < b->value : str_cmp(a->name, b->name) > 0;
}

static void top_sift(struct top *t, size_t i)
{
    for (;;) {
        size_t least = i, l = 2 * i + 1, r = 2 * i + 2;
        if (l < t->n && is_less(&t->v[l], &t->v[least]))
            least = l;
        if (r < t->n && is_less(&t->v[r], &t->v[least]))
            least = r;
        if (least == i)
            return;
        struct tsdb_count tmp = t->v[i];
        t->v[i] = t->v[least];
        t->v[least] = tmp;
        i = least;
    }
}

static void top_push(struct top *t, struct str name, uint64_t value)
{
    struct tsdb_count c = { name, value };
    if (t->n < t->limit) {
        size_t i = t->n++;
        t->v[i] = c;
        while (i > 0 && is_less(&t->v[i], &t->v[(i - 1) / 2])) {
            struct tsdb_count tmp = t->v[i];
            t->v[i] = t->v[(i - 1) / 2];
            t->v[(i - 1) / 2] = tmp;
            i = (i - 1) / 2;
        }
    } else if (t->limit && is_less(&t->v[0], &c)) {
        t->v[0] = c;
        top_sift(t, 0);
    }
}

static int descending(const void *x, const void *y)
{
    const struct tsdb_count *a = x, *b = y;
    return is_less(a, b) ? 1 : is_less(b, a) ? -1 : 0;
}

/* Sorted, with texts of its own: those of the symbol table may go. */
static void top_finish(struct top *t, struct arena *a, struct tsdb_count **out, size_t *n)
{
    if (t->n)
        qsort(t->v, t->n, sizeof *t->v, descending);
    for (size_t i = 0; i < t->n; i++)
        t->v[i].name = arena_str(a, t->v[i].name);
    *out = t->v;
    *n = t->n;
}

static uint64_t count_chunks(struct head *h)
{
    uint64_t n = 0;
    for (uint32_t slot = 0, slots = head_slots(h); slot < slots; slot++) {
        struct head_series *s = head_at(h, slot);
        if (series_ref_load(s) == 0)
            continue;
        struct lock *lock = &head_stripe(h, s)->lock;
        lock_take(lock);
        n += (uint64_t)s->full_count + (s->open != OPEN_NONE);
        lock_give(lock);
    }
    return n;
}

void tsdb_status(struct tsdb *db, size_t limit, struct arena *a, struct tsdb_status *out)
{
    struct head *h = &db->head;
    struct top metrics = { .limit = limit }, values = metrics, bytes = metrics, pairs = metrics;
    struct name_entry *n;
    *out = (struct tsdb_status){ .mint = time_load(&h->mint), .maxt = time_load(&h->maxt) };
    metrics.v = arena_alloc_array(a, limit + 1, sizeof *metrics.v);
    values.v = arena_alloc_array(a, limit + 1, sizeof *values.v);
    bytes.v = arena_alloc_array(a, limit + 1, sizeof *bytes.v);
    pairs.v = arena_alloc_array(a, limit + 1, sizeof *pairs.v);
    rwlock_take_read(&h->index_lock);
    out->series = h->series_count;
    for (size_t i = 0; (n = map64_next(&h->index.names, &i)) != NULL;) {
        struct str name = memindex_text(&h->index, n->name);
        bool is_metric = str_eq(name, STR("__name__"));
        uint64_t size = 0;
        for (size_t k = 0; k < n->count; k++) {
            const struct index_entry *e = n->values[k];
            struct str value = memindex_text(&h->index, e->value);
            size += (uint64_t)value.n * e->ids.n;
            if (is_metric)
                top_push(&metrics, value, e->ids.n);
            if (pairs.n < limit || e->ids.n >= pairs.v[0].value)
                top_push(&pairs, arena_printf(a, "%.*s=%.*s", STR_ARG(name), STR_ARG(value)), e->ids.n);
        }
        out->label_pairs += n->count;
        top_push(&values, name, n->count);
        top_push(&bytes, name, size);
    }
    top_finish(&metrics, a, &out->series_by_metric, &out->series_by_metric_count);
    top_finish(&values, a, &out->values_by_label, &out->values_by_label_count);
    top_finish(&bytes, a, &out->bytes_by_label, &out->bytes_by_label_count);
    top_finish(&pairs, a, &out->series_by_pair, &out->series_by_pair_count);
    rwlock_give_read(&h->index_lock);
    out->chunks = count_chunks(h);
}

struct strs tsdb_block_metas(struct tsdb *db, struct arena *a)
{
    struct block_list l = tsdb_blocks(db, INT64_MIN, INT64_MAX);
    struct strs out = { .v = arena_alloc_array(a, l.n + 1, sizeof(struct str)) };
    struct buf json = { 0 };
    for (size_t i = 0; i < l.n; i++) {
        buf_reset(&json);
        block_meta_encode(&l.v[i]->meta, &json);
        out.v[out.n++] = arena_str(a, buf_view(&json));
    }
    buf_deinit(&json);
    block_list_release(&l);
    return out;
}
