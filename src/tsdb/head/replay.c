/* Filling the head at opening: chunks_head, checkpoint, log, write-behind log, in this order (docs/formats/tsdb.md;
 * upstream tsdb/head.go Init, head_wal.go).
 *
 * R1  Full chunks are attached to their series when the series' record is met; samples that they cover are skipped, so
 *     that what is read twice is there once.
 * R2  Samples of unknown references are counted and skipped; what is not in order is dropped silently, because the log has
 *     what a commit was given, not what it kept.
 *     A reference that was met anywhere, known or not, is never given to a new series: what is still on disk under it
 *     would be taken for that series' at the next start.
 * R3  A damaged log is cut behind its last good record and what was loaded stays; damage in the write-behind log is
 *     repaired there alone; damage in a checkpoint, or a segment that is missing, refuses the opening.
 * R4  Damaged chunks_head files go, with all later ones; their samples come back from the log as far as it reaches.
 *
 * Memory: beside the head, a map from references to series, the list of chunks that wait for theirs, and an eighth of the
 * head for samples that wait for their series. */
#include "tsdb/head/head_int.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/stopwatch.h"
#include "tsdb/chunkenc/chunk_int.h"
#include "tsdb/head/stage_io.h"
#include "tsdb/wal/checkpoint_int.h"

#include <stdlib.h>

#define REF_MAX (UINT64_C(1) << 40) /* larger ones are no references */

/* Chunks of one reference, found before its series record. */
struct found_chunks {
    struct mapped_chunk *v;
    size_t n, capacity;
};

#define DENSE_PER_SERIES 16 /* a table by reference is used while it has at most so many places a series */

struct replay {
    struct head *h;
    struct stage *stage;       /* while the log is read */
    int64_t min_valid;
    struct map64 found;        /* ref -> struct found_chunks */
    bool out_of_sequence;
    uint32_t *by_ref;          /* slot + 1, for references below dense_n */
    uint64_t dense_n, series_n;
    struct map64 sparse;       /* the others: slot + 1 */
    struct record record;
    struct wal_times times;    /* of the log */
    uint64_t unknown_samples, unknown_histograms, unknown_exemplars, unknown_tombstones, unknown_metadata, unknown_markers;
    bool wbl;
    bool lost_chunks;          /* a marker named a chunk that is not there */
    bool removed_chunks;       /* files of chunks were damaged */
    uint64_t *old_refs;        /* replaced by later ones of the same labels */
    size_t old_refs_n, old_refs_capacity;
    uint64_t highest_ref;      /* of anything that was read: none of them is given to a new series */
    int64_t mint, maxt, ooo_mint, ooo_maxt; /* seen */
};

/* ---- references ---- */

static void note_ref(struct replay *r, uint64_t ref)
{
    if (ref > r->highest_ref && ref < REF_MAX)
        r->highest_ref = ref;
}

static void ref_put(struct replay *r, uint64_t ref, uint32_t slot)
{
    r->series_n++;
    if (ref >= r->dense_n && ref < 4096 + DENSE_PER_SERIES * r->series_n) {
        uint64_t n = ref + ref / 4 + 4096;
        r->by_ref = mem_realloc_array(r->by_ref, (size_t)n, sizeof *r->by_ref);
        memset(r->by_ref + r->dense_n, 0, (size_t)(n - r->dense_n) * sizeof *r->by_ref);
        r->dense_n = n;
    }
    if (ref < r->dense_n)
        r->by_ref[ref] = slot + 1;
    else
        map64_put(&r->sparse, ref, (void *)(uintptr_t)(slot + 1));
}

static uint32_t ref_slot(const struct replay *r, uint64_t ref) /* slot + 1; 0: unknown */
{
    if (LIKELY(ref < r->dense_n && r->by_ref[ref]))
        return r->by_ref[ref];
    return r->sparse.count ? (uint32_t)(uintptr_t)map64_get(&r->sparse, ref) : 0;
}

/* ---- chunks_head ---- */

static void found_free(struct replay *r)
{
    struct found_chunks *f;
    for (size_t i = 0; (f = map64_next(&r->found, &i)) != NULL;) {
        mem_free(f->v);
        mem_free(f);
    }
    map64_deinit(&r->found);
    r->found = (struct map64){ 0 };
}

static void found_visit(void *arg, const struct mapped_chunk *c)
{
    struct replay *r = arg;
    note_ref(r, c->series_ref);
    if (!chunk_encoding_known(c->encoding) || c->maxt < c->mint)
        return;
    if (!c->out_of_order && (c->maxt < r->min_valid || c->maxt - c->mint > UINT32_MAX))
        return;
    struct found_chunks *f = map64_get(&r->found, c->series_ref);
    if (!f) {
        f = MEM_NEW(struct found_chunks);
        map64_put(&r->found, c->series_ref, f);
    }
    for (size_t i = f->n; !c->out_of_order && i-- > 0;) {
        if (f->v[i].out_of_order)
            continue;
        if (f->v[i].maxt >= c->mint)
            r->out_of_sequence = true;
        break;
    }
    if (f->n == f->capacity) {
        f->capacity = mem_grow(f->capacity, f->n + 1);
        f->v = mem_realloc_array(f->v, f->capacity, sizeof *f->v);
    }
    f->v[f->n++] = *c;
}

/* What is in those files is in the log, too, but before the place of a snapshot: none may be used from now on, also not by
 * the next start, which will not see the damage. */
static bool remove_chunk_files(struct replay *r, uint32_t from, struct err *err)
{
    struct head *h = r->h;
    log_info("Deleting mmapped chunk files", LOG_INT("from", from));
    counter_add(&h->stats.mmap_corruptions, 1);
    r->removed_chunks = true;
    if (!h->o.read_only) {
        head_snapshots_remove(h);
        if (!h->fs->sync_dir(h->fs, buf_view(&h->dir.text), err))
            return false;
    }
    return mapper_remove_from(&h->mapper, from, err);
}

static bool load_chunks(struct replay *r, struct err *err)
{
    struct err own = { 0 };
    uint32_t bad = 0;
    if (!mapper_walk(&r->h->mapper, found_visit, r, &bad, &own)) {
        log_error("Loading on-disk chunks failed", LOG_ERR(&own));
        found_free(r);
        r->out_of_sequence = false;
        if (!remove_chunk_files(r, bad, err))
            return false;
        struct err again = { 0 };
        if (!mapper_walk(&r->h->mapper, found_visit, r, &bad, &again)) {
            found_free(r);
            return remove_chunk_files(r, 0, err);
        }
    }
    if (r->out_of_sequence) {
        log_error("Loading on-disk chunks failed", LOG_CSTR("err", "out of sequence m-mapped chunk"));
        found_free(r);
        return remove_chunk_files(r, 0, err);
    }
    return true;
}

/* ---- series ---- */

static void seen(struct replay *r, int64_t mint, int64_t maxt)
{
    r->mint = mint < r->mint ? mint : r->mint;
    r->maxt = maxt > r->maxt ? maxt : r->maxt;
}
static void seen_ooo(struct replay *r, int64_t mint, int64_t maxt)
{
    r->ooo_mint = mint < r->ooo_mint ? mint : r->ooo_mint;
    r->ooo_maxt = maxt > r->ooo_maxt ? maxt : r->ooo_maxt;
}

static void attach(struct replay *r, struct head_series *s, const struct found_chunks *f)
{
    struct head *h = r->h;
    for (size_t i = 0; i < f->n; i++) {
        const struct mapped_chunk *c = &f->v[i];
        if (c->out_of_order) {
            struct series_extra *x = series_extra(s);
            x->ooo_chunks = mem_realloc_array(x->ooo_chunks, x->ooo_chunks_count + 1, sizeof *x->ooo_chunks);
            x->ooo_chunks[x->ooo_chunks_count++] = (struct ooo_chunk){ c->ref, c->mint, c->maxt, c->samples, c->encoding };
            seen_ooo(r, c->mint, c->maxt);
        } else {
            struct head_chunk k = { c->ref, c->mint, (uint32_t)(c->maxt - c->mint), c->samples, c->encoding };
            series_add_full(h, s, &k);
            seen(r, c->mint, c->maxt);
        }
    }
}

void replay_loaded(struct replay *r, uint64_t ref, struct head_series *s, uint32_t slot)
{
    struct found_chunks *f = map64_get(&r->found, ref);
    int64_t mint = s->chunk_mint, maxt = s->floats.t;
    ref_put(r, ref, slot);
    s->unlogged_by = 0;
    if (s->open != OPEN_NONE)
        seen(r, mint, maxt);
    if (!f)
        return;
    /* A mapped chunk that reaches the loaded one is the loaded one, and more. */
    int64_t reach = INT64_MIN;
    for (size_t i = 0; i < f->n; i++) {
        if (!f->v[i].out_of_order && f->v[i].maxt > reach)
            reach = f->v[i].maxt;
    }
    if (s->open != OPEN_NONE && reach >= mint)
        series_drop_chunks(r->h, s);
    attach(r, s, f);
    map64_remove(&r->found, ref);
    mem_free(f->v);
    mem_free(f);
}

/* The series was dropped and made again under a later reference, which it goes by from now on: chunks and records that
 * follow are its, and the order of references stays the order of time. What was under the old one stays if the chunks of
 * the new one follow it; if not it is in a block. */
static void renew(struct replay *r, struct head_series *s, uint64_t ref, const struct found_chunks *f)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; f && i < f->n; i++) {
        if (!f->v[i].out_of_order && f->v[i].mint < first)
            first = f->v[i].mint;
    }
    if (first != INT64_MAX && series_reaches(s, first))
        series_drop_chunks(r->h, s);
    else if (first != INT64_MAX)
        series_cut(r->h, s);
    if (r->old_refs_n == r->old_refs_capacity) {
        r->old_refs_capacity = mem_grow(r->old_refs_capacity, r->old_refs_n + 1);
        r->old_refs = mem_realloc_array(r->old_refs, r->old_refs_capacity, sizeof *r->old_refs);
    }
    r->old_refs[r->old_refs_n++] = s->ref;
    s->ref = ref;
}

static void replay_series(struct replay *r)
{
    for (size_t i = 0; i < r->record.n; i++) {
        const struct record_series *rec = &r->record.series[i];
        bool created;
        uint32_t slot;
        struct head_series *s = head_series_get(r->h, rec->labels, rec->ref, true, &created, &slot);
        if (!s)
            continue; /* the bound on series: its samples are counted as unknown */
        if (rec->ref >= r->h->next_ref)
            r->h->next_ref = rec->ref + 1;
        bool again = ref_slot(r, rec->ref) == slot + 1;
        s->unlogged_by = 0;
        struct found_chunks *f = map64_get(&r->found, rec->ref);
        if (!again)
            ref_put(r, rec->ref, slot);
        if (!created)
            stage_settle(r->stage, slot);
        if (!created && !again)
            renew(r, s, rec->ref, f);
        if (f) {
            attach(r, s, f);
            map64_remove(&r->found, rec->ref);
            mem_free(f->v);
            mem_free(f);
        }
    }
}

/* ---- samples ---- */

static struct head_series *series_of(struct replay *r, uint64_t ref, uint32_t *slot)
{
    uint32_t at = ref_slot(r, ref);
    if (UNLIKELY(at == 0)) {
        note_ref(r, ref);
        return NULL;
    }
    *slot = at - 1;
    return head_at(r->h, *slot);
}

struct head_series *replay_series_of(struct replay *r, uint64_t ref)
{
    uint32_t slot;
    return series_of(r, ref, &slot);
}

static void replay_samples(struct replay *r)
{
    const struct record_sample *v = r->record.samples;
    for (size_t i = 0; i < r->record.n; i++) {
        uint32_t slot;
        if (UNLIKELY(!series_of(r, v[i].ref, &slot)))
            r->unknown_samples++;
        else if (v[i].t >= r->min_valid)
            stage_put(r->stage, slot, v[i].t, v[i].v);
    }
}

static void replay_histograms(struct replay *r)
{
    for (size_t i = 0; i < r->record.n; i++) {
        const struct record_histogram *v = &r->record.histograms[i];
        uint32_t slot;
        struct head_series *s = series_of(r, v->ref, &slot);
        if (!s) {
            r->unknown_histograms++;
            continue;
        }
        stage_settle(r->stage, slot);
        if (v->t >= r->min_valid && series_append_histogram(r->h, s, slot, v->t, v->h, v->fh, 0))
            seen(r, v->t, v->t);
    }
}

/* ---- the rest ---- */

static void replay_tombstones(struct replay *r)
{
    for (size_t i = 0; i < r->record.n; i++) {
        const struct record_tombstone *v = &r->record.tombstones[i];
        uint32_t slot;
        struct head_series *s = series_of(r, v->ref, &slot);
        if (!s) {
            r->unknown_tombstones++;
            continue;
        }
        stage_settle(r->stage, slot);
        if (v->interval.mint == INT64_MIN && v->interval.maxt == INT64_MAX) {
            /* "The series was deleted": what follows under these labels starts afresh. */
            series_drop_chunks(r->h, s);
            if (s->extra)
                intervals_cut(&s->extra->gone, INT64_MAX);
        } else if (v->interval.maxt >= r->min_valid) {
            intervals_add(&series_extra(s)->gone, v->interval);
        }
    }
}

static void replay_exemplars(struct replay *r)
{
    for (size_t i = 0; i < r->record.n; i++) {
        struct record_exemplar *v = &r->record.exemplars[i];
        struct labels labels;
        uint32_t slot;
        struct head_series *s = series_of(r, v->ref, &slot);
        if (!s) {
            r->unknown_exemplars++;
            continue;
        }
        if (v->e.t >= r->min_valid && series_labels(r->h, s, &r->record.arena, &labels) &&
            exemplar_ring_check(r->h->exemplars, labels, &v->e) == APPEND_OK)
            exemplar_ring_add(r->h->exemplars, labels, &v->e);
    }
}

static void replay_metadata(struct replay *r)
{
    for (size_t i = 0; i < r->record.n; i++) {
        const struct record_metadata *v = &r->record.metadata[i];
        uint32_t slot;
        struct head_series *s = series_of(r, v->ref, &slot);
        if (!s) {
            r->unknown_metadata++;
            continue;
        }
        stage_settle(r->stage, slot);
        series_set_metadata(s, &v->m);
    }
}

static void replay_ooo(struct replay *r, uint64_t ref, const struct raw_sample *sample)
{
    uint32_t slot;
    bool cut;
    struct head_series *s = series_of(r, ref, &slot);
    if (!s)
        r->unknown_samples++;
    else if (series_append_ooo(r->h, s, sample, &cut, NULL))
        seen_ooo(r, sample->t, sample->t);
}

/* What was logged before a marker is in the chunk that it names. */
static void replay_markers(struct replay *r)
{
    for (size_t i = 0; i < r->record.n; i++) {
        const struct record_marker *m = &r->record.markers[i];
        uint32_t slot;
        struct head_series *s = series_of(r, m->ref, &slot);
        if (!s) {
            r->unknown_markers++;
            continue;
        }
        struct series_extra *x = s->extra;
        if (!x || m->chunk_ref == 0)
            continue;
        bool known = false;
        for (size_t k = 0; !known && k < x->ooo_chunks_count; k++)
            known = x->ooo_chunks[k].ref == m->chunk_ref;
        if (known)
            raw_samples_deinit(&x->ooo);
        else
            r->lost_chunks = true;
    }
}

static void replay_wbl_record(struct replay *r)
{
    struct record *rec = &r->record;
    if (rec->type == RECORD_SAMPLES) {
        for (size_t i = 0; i < rec->n; i++)
            replay_ooo(r, rec->samples[i].ref, &(struct raw_sample){ .t = rec->samples[i].t, .v = rec->samples[i].v });
    } else if (rec->type == RECORD_HISTOGRAMS || rec->type == RECORD_FLOAT_HISTOGRAMS) {
        for (size_t i = 0; i < rec->n; i++) {
            const struct record_histogram *v = &rec->histograms[i];
            replay_ooo(r, v->ref, &(struct raw_sample){ .t = v->t, .h = v->h, .fh = v->fh });
        }
    } else if (rec->type == RECORD_MMAP_MARKERS) {
        replay_markers(r);
    }
}

static void replay_wal_record(struct replay *r)
{
    switch (r->record.type) {
    case RECORD_SERIES: replay_series(r); break;
    case RECORD_SAMPLES: replay_samples(r); break;
    case RECORD_TOMBSTONES: replay_tombstones(r); break;
    case RECORD_EXEMPLARS: replay_exemplars(r); break;
    case RECORD_METADATA: replay_metadata(r); break;
    case RECORD_HISTOGRAMS:
    case RECORD_FLOAT_HISTOGRAMS: replay_histograms(r); break;
    case RECORD_UNKNOWN:
    case RECORD_MMAP_MARKERS:
    case RECORD_CUSTOM_HISTOGRAMS:
    case RECORD_CUSTOM_FLOAT_HISTOGRAMS:
    case RECORD_SAMPLES_V2:
    case RECORD_HISTOGRAMS_V2:
    case RECORD_FLOAT_HISTOGRAMS_V2: break;
    }
}

/* ---- logs ---- */

struct damage {
    bool found;
    uint32_t segment;
    uint64_t record_end;
    struct err err;
};

/* All records of segments first .. last, and their times to *times. Damage of content goes to *damage; other errors fail. */
static bool replay_segments(struct replay *r, struct str dir, uint32_t first, uint32_t last, uint64_t offset,
                            struct wal_times *times, struct damage *damage, struct err *err)
{
    struct wal_reader reader;
    struct str bytes;
    struct err own = { 0 };
    bool got = true, ok = wal_reader_open(&reader, r->h->fs, dir, first, last, offset, err);
    if (!ok)
        return false;
    if (offset)
        wal_times_note(times, first, offset, WAL_BOUNDS_UNKNOWN); /* what is before it was not read */
    while (ok && got) {
        uint64_t before = reader.record_end;
        uint32_t segment = reader.segment;
        ok = wal_reader_next(&reader, &bytes, &got, &own);
        if (ok && got && !record_decode(&r->record, bytes, &own)) {
            ok = false;
            reader.record_end = segment == reader.segment ? before : 0;
            err_wrap(&own, "corruption in segment %u", reader.segment);
        }
        if (ok && got)
            wal_times_note(times, reader.segment, reader.record_at, record_bounds(&r->record));
        if (ok && got && r->wbl)
            replay_wbl_record(r);
        else if (ok && got)
            replay_wal_record(r);
    }
    if (!ok && own.code == ERR_CORRUPT) {
        *damage = (struct damage){ true, reader.segment, reader.record_end, own };
        ok = true;
    } else if (!ok) {
        *err = own;
    }
    wal_reader_close(&reader);
    return ok;
}

static bool replay_checkpoint(struct replay *r, struct str wal_dir, uint32_t number, struct err *err)
{
    struct path path = { 0 };
    struct wal_segments s = { 0 };
    struct damage damage = { 0 };
    struct str dir = checkpoint_path(&path, wal_dir, number);
    bool ok = wal_segments_list(r->h->fs, dir, &s, err);
    if (ok && s.n)
        ok = replay_segments(r, dir, s.v[0], s.v[s.n - 1], 0, &r->h->checkpoint_times, &damage, err);
    if (ok && damage.found) {
        *err = damage.err;
        ok = err_wrap(err, "backfill checkpoint");
    }
    wal_segments_deinit(&s);
    path_deinit(&path);
    return ok;
}

static bool repair(struct replay *r, struct str dir, const struct damage *d, struct counter *count, struct err *err)
{
    log_warn("Encountered WAL read error, attempting repair", LOG_ERR(&d->err), LOG_STR("dir", dir));
    counter_add(count, 1);
    if (r->h->o.read_only)
        return true;
    log_warn("Starting corruption repair: what the log had after this place is lost", LOG_INT("segment", d->segment),
             LOG_INT("offset", d->record_end));
    return wal_repair(r->h->fs, dir, d->segment, d->record_end, err) || err_wrap(err, "repair corrupted WAL");
}

static bool replay_wal(struct replay *r, const struct snapshot_place *from, struct err *err)
{
    struct head *h = r->h;
    struct path path = { 0 };
    struct wal_segments s = { 0 };
    struct damage damage = { 0 };
    struct str dir = path_set(&path, "%.*s/" NAME_WAL, STR_ARG(buf_view(&h->dir.text)));
    bool found;
    uint32_t number = 0, first = 0;
    int64_t mint, maxt;
    bool ok = checkpoint_last(h->fs, dir, &found, &number, err) && wal_segments_list(h->fs, dir, &s, err);
    r->stage = stage_new(h, h->o.replay_threads);
    if (ok && found && (!from || number >= from->segment))
        ok = replay_checkpoint(r, dir, number, err);
    if (found)
        first = number + 1;
    uint64_t offset = 0;
    if (from && from->segment >= first) {
        first = from->segment;
        offset = from->offset;
    }
    if (ok && s.n && first <= s.v[s.n - 1]) {
        ok = replay_segments(r, dir, first, s.v[s.n - 1], offset, &r->times, &damage, err);
        if (!ok && err->code == ERR_NOT_FOUND)
            ok = err_wrap(err, "repair corrupted WAL: cannot handle error");
    }
    stage_free(r->stage, &mint, &maxt);
    r->stage = NULL;
    if (maxt != INT64_MIN)
        seen(r, mint, maxt);
    if (ok && damage.found)
        ok = repair(r, dir, &damage, &h->stats.wal_corruptions, err);
    wal_segments_deinit(&s);
    path_deinit(&path);
    return ok;
}

static bool replay_wbl(struct replay *r, struct err *err)
{
    struct head *h = r->h;
    struct path path = { 0 };
    struct wal_segments s = { 0 };
    struct damage damage = { 0 };
    struct str dir = path_set(&path, "%.*s/" NAME_WBL, STR_ARG(buf_view(&h->dir.text)));
    r->wbl = true;
    struct wal_times unused = { 0 };
    bool ok = wal_segments_list(h->fs, dir, &s, err);
    if (ok && s.n)
        ok = replay_segments(r, dir, s.v[0], s.v[s.n - 1], 0, &unused, &damage, err);
    wal_times_deinit(&unused);
    if (ok && damage.found)
        ok = repair(r, dir, &damage, &h->stats.wbl_corruptions, err);
    wal_segments_deinit(&s);
    path_deinit(&path);
    return ok;
}

/* Logs what is out of order in memory anew and drops the older segments: their markers name chunks that a crash took, and a
 * chunk that is written from now on may get the same reference. */
static bool relog_ooo(struct head *h, struct err *err)
{
    struct buf record = { 0 };
    uint32_t segment;
    uint64_t offset;
    bool ok = true;
    wal_position(&h->wbl, &segment, &offset);
    for (uint32_t slot = 0, n = head_slots(h); ok && slot < n; slot++) {
        const struct head_series *s = head_at(h, slot);
        for (size_t i = 0; ok && s->ref && s->extra && i < s->extra->ooo.n; i++) {
            const struct raw_sample *x = &s->extra->ooo.v[i];
            buf_reset(&record);
            record_samples_begin(&record, x->h ? RECORD_HISTOGRAMS : x->fh ? RECORD_FLOAT_HISTOGRAMS : RECORD_SAMPLES, s->ref, x->t);
            if (x->h || x->fh)
                record_histogram_item(&record, s->ref, x->t, s->ref, x->t, x->h, x->fh);
            else
                record_sample_item(&record, s->ref, x->t, s->ref, x->t, x->v);
            struct wal_item item = { buf_view(&record), WAL_PLAIN, NULL };
            ok = wal_log(&h->wbl, &item, 1, err);
        }
    }
    ok = ok && wal_cut(&h->wbl, err) && wal_maintain(&h->wbl, err) && wal_truncate(&h->wbl, segment, err);
    buf_deinit(&record);
    return ok;
}

static bool open_logs(struct replay *r, struct err *err)
{
    struct head *h = r->h;
    struct path path = { 0 };
    struct wal_options o = { .segment_bytes = h->o.wal_segment_bytes, .pending_max_bytes = h->o.stalled_max_bytes };
    struct str dir = path_set(&path, "%.*s/" NAME_WAL, STR_ARG(buf_view(&h->dir.text)));
    o.times = &r->times;
    bool ok = h->o.read_only || wal_open(&h->wal, h->fs, dir, &o, err);
    h->has_wal = ok && !h->o.read_only;
    o.times = NULL;
    dir = path_set(&path, "%.*s/" NAME_WBL, STR_ARG(buf_view(&h->dir.text)));
    if (ok && !h->o.read_only && (h->o.out_of_order_ms > 0 || fs_exists(h->fs, dir)))
        ok = h->has_wbl = wal_open(&h->wbl, h->fs, dir, &o, err);
    path_deinit(&path);
    return ok;
}

static void report_unknown(const struct replay *r)
{
    struct head_stats *st = &r->h->stats;
    uint64_t all = r->unknown_samples + r->unknown_histograms + r->unknown_exemplars + r->unknown_tombstones +
                   r->unknown_metadata + r->unknown_markers;
    if (all == 0)
        return;
    counter_add(&st->unknown_refs, all);
    log_warn("Unknown series references", LOG_INT("samples", r->unknown_samples), LOG_INT("exemplars", r->unknown_exemplars),
             LOG_INT("histograms", r->unknown_histograms), LOG_INT("metadata", r->unknown_metadata),
             LOG_INT("tombstones", r->unknown_tombstones), LOG_INT("mmap_markers", r->unknown_markers));
}

static void settle(struct replay *r)
{
    struct head *h = r->h;
    if (r->highest_ref >= h->next_ref)
        h->next_ref = r->highest_ref + 1;
    if (r->min_valid != INT64_MIN) { /* begins where blocks end, even when it is empty */
        r->mint = r->mint < r->min_valid ? r->min_valid : r->mint;
        if (r->maxt == INT64_MIN || r->maxt < r->min_valid)
            r->maxt = r->min_valid;
        if (r->mint == INT64_MAX)
            r->mint = r->min_valid;
        atomic_store(&h->min_valid, r->min_valid);
    }
    if (r->maxt != INT64_MIN && r->mint != INT64_MAX)
        head_observe_times(h, r->mint, r->maxt);
    if (r->ooo_maxt != INT64_MIN)
        head_observe_ooo_times(h, r->ooo_mint, r->ooo_maxt);
    for (size_t i = 0; i < r->old_refs_n; i++)
        head_keep_ref(h, r->old_refs[i]);
}

bool head_replay(struct head *h, int64_t min_valid, struct err *err)
{
    struct replay r = { .h = h, .min_valid = min_valid, .mint = INT64_MAX, .maxt = INT64_MIN, .ooo_mint = INT64_MAX,
                        .ooo_maxt = INT64_MIN };
    struct stopwatch w = stopwatch_start();
    struct path path = { 0 };
    struct snapshot_place from = { 0 };
    bool loaded = false;
    struct str dir = path_set(&path, "%.*s/" NAME_CHUNKS_HEAD, STR_ARG(buf_view(&h->dir.text)));
    bool ok = mapper_open(&h->mapper, h->fs, dir, h->o.read_only, err);
    if (!ok)
        h->mapper.fs = NULL;
    h->opening = true;
    ok = ok && load_chunks(&r, err);
    if (ok && !r.removed_chunks) /* what was in them is in the log before the snapshot's place */
        head_snapshot_load(h, &r, &loaded, &from);
    ok = ok && replay_wal(&r, loaded ? &from : NULL, err) && replay_wbl(&r, err) && open_logs(&r, err);
    struct err why = { 0 };
    if (ok && r.lost_chunks && h->has_wbl && !relog_ooo(h, &why))
        log_warn("Renewing the write-behind log failed", LOG_ERR(&why));
    if (ok) {
        report_unknown(&r);
        settle(&r);
        head_truncate(h, head_is_empty(h) ? INT64_MIN + 1 : time_load(&h->mint));
        head_collect(h);
    }
    h->opening = false;
    found_free(&r);
    mem_free(r.by_ref);
    mem_free(r.old_refs);
    map64_deinit(&r.sparse);
    wal_times_deinit(&r.times);
    record_deinit(&r.record);
    path_deinit(&path);
    fcounter_add(&h->stats.replay_seconds, stopwatch_seconds(w));
    return ok;
}
