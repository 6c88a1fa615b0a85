/* The log as a stream (storage/tail.h).
 *
 * T1  Only what the writer says is in the file is read: records up to there are whole, so a live segment is read like a
 *     finished one.
 * T2  Before the place where the tail was opened only series and metadata are given.
 * T3  When a checkpoint appears, its series are given again under its number, and then that what was not given again is
 *     gone. A tail that is so far behind that its segment was removed goes on at the first one there is.
 *
 * Memory: one record. */
#include "tsdb/db_int.h"

#include "base/mem.h"
#include "tsdb/wal/checkpoint_int.h"

struct tsdb_tail {
    struct tail base;
    struct tsdb *db;
    struct path wal_dir, dir; /* dir: of the checkpoint being read */
    struct wal_reader reader;
    bool reading;         /* the reader is open */
    bool in_checkpoint;
    bool collected;       /* the checkpoint's end is to be told */
    bool has_checkpoint;
    uint32_t checkpoint;  /* the newest that was read */
    uint32_t segment;     /* next to read, or being read */
    uint64_t offset;      /* where to go on in it */
    uint32_t start_segment;
    uint64_t start_offset;
    struct record record;
    struct arena arena;
};

static struct tsdb_tail *tail_of(struct tail *t)
{
    return container_of(t, struct tsdb_tail, base);
}

static struct str wal_dir(const struct tsdb_tail *t)
{
    return buf_view(&t->wal_dir.text);
}

static void stop_reading(struct tsdb_tail *t)
{
    if (t->reading)
        wal_reader_close(&t->reader);
    t->reading = false;
}

/* Looks for a checkpoint that was not read yet, and begins to read it. */
static bool begin_checkpoint(struct tsdb_tail *t, bool *began, struct err *err)
{
    struct wal_segments s = { 0 };
    bool found;
    uint32_t number = 0;
    *began = false;
    if (!checkpoint_last(t->db->fs, wal_dir(t), &found, &number, err))
        return false;
    if (!found || (t->has_checkpoint && number <= t->checkpoint))
        return true;
    struct str dir = checkpoint_path(&t->dir, wal_dir(t), number);
    bool ok = wal_segments_list(t->db->fs, dir, &s, err);
    if (ok && s.n) {
        stop_reading(t);
        ok = wal_reader_open(&t->reader, t->db->fs, dir, s.v[0], s.v[s.n - 1], 0, err);
        t->reading = t->in_checkpoint = *began = ok;
    }
    wal_segments_deinit(&s);
    t->has_checkpoint = true;
    t->checkpoint = number;
    return ok;
}

static bool begin_segment(struct tsdb_tail *t, struct err *err)
{
    struct wal_segments s = { 0 };
    if (!wal_segments_list(t->db->fs, wal_dir(t), &s, err))
        return false;
    if (s.n && t->segment < s.v[0]) {
        t->segment = s.v[0];
        t->offset = 0;
    }
    wal_segments_deinit(&s);
    struct err own = { 0 };
    t->reading = wal_reader_open(&t->reader, t->db->fs, wal_dir(t), t->segment, t->segment, t->offset, &own);
    if (t->reading || own.code == ERR_NOT_FOUND)
        return true;
    *err = own;
    return false;
}

static void fill(struct tsdb_tail *t, bool all, struct tail_batch *out)
{
    const struct record *r = &t->record;
    arena_reset(&t->arena);
    if (r->type == RECORD_SERIES) {
        struct tail_series *v = arena_alloc_array(&t->arena, r->n + 1, sizeof *v);
        for (size_t i = 0; i < r->n; i++)
            v[i] = (struct tail_series){ r->series[i].ref, r->series[i].labels };
        out->series = v;
        out->series_count = r->n;
    } else if (r->type == RECORD_METADATA) {
        struct tail_metadata *v = arena_alloc_array(&t->arena, r->n + 1, sizeof *v);
        for (size_t i = 0; i < r->n; i++)
            v[i] = (struct tail_metadata){ r->metadata[i].ref, r->metadata[i].m };
        out->metadata = v;
        out->metadata_count = r->n;
    } else if (!all) {
        return;
    } else if (r->type == RECORD_SAMPLES) {
        struct tail_sample *v = arena_alloc_array(&t->arena, r->n + 1, sizeof *v);
        for (size_t i = 0; i < r->n; i++)
            v[i] = (struct tail_sample){ r->samples[i].ref, r->samples[i].t, f64_from_bits(r->samples[i].v) };
        out->samples = v;
        out->samples_count = r->n;
    } else if (r->type == RECORD_HISTOGRAMS || r->type == RECORD_FLOAT_HISTOGRAMS) {
        struct tail_histogram *v = arena_alloc_array(&t->arena, r->n + 1, sizeof *v);
        for (size_t i = 0; i < r->n; i++)
            v[i] = (struct tail_histogram){ r->histograms[i].ref, r->histograms[i].t, r->histograms[i].h, r->histograms[i].fh };
        out->histograms = v;
        out->histograms_count = r->n;
    } else if (r->type == RECORD_EXEMPLARS) {
        struct tail_exemplar *v = arena_alloc_array(&t->arena, r->n + 1, sizeof *v);
        for (size_t i = 0; i < r->n; i++)
            v[i] = (struct tail_exemplar){ r->exemplars[i].ref, r->exemplars[i].e };
        out->exemplars = v;
        out->exemplars_count = r->n;
    }
}

static bool is_empty(const struct tail_batch *b)
{
    return b->series_count + b->samples_count + b->histograms_count + b->exemplars_count + b->metadata_count == 0;
}

/* One record of what is open. *got false: nothing more there now; *ended: nor will there ever be. */
static bool next_record(struct tsdb_tail *t, bool *got, bool *ended, struct err *err)
{
    struct str bytes;
    uint32_t live_segment;
    uint64_t written;
    *got = *ended = false;
    wal_written(&t->db->head.wal, &live_segment, &written);
    bool live = !t->in_checkpoint && t->segment == live_segment;
    if (live && t->reader.offset >= written)
        return true;
    if (live)
        wal_reader_refresh(&t->reader);
    if (!wal_reader_next(&t->reader, &bytes, got, err) || (*got && !record_decode(&t->record, bytes, err)))
        return false;
    *ended = !live && !*got;
    return true;
}

static void advance(struct tsdb_tail *t)
{
    stop_reading(t);
    if (t->in_checkpoint) {
        t->in_checkpoint = false;
        t->collected = true;
    } else {
        t->segment++;
        t->offset = 0;
    }
}

static bool tsdb_tail_next(struct tail *base, struct tail_batch *out, bool *got, struct err *err)
{
    struct tsdb_tail *t = tail_of(base);
    *got = false;
    for (;;) {
        bool began, record, ended;
        *out = (struct tail_batch){ .segment = t->segment };
        if (t->collected) {
            t->collected = false;
            out->series_collected = true;
            out->collected_before = t->checkpoint;
            *got = true;
            return true;
        }
        if (!t->reading) {
            if (!begin_checkpoint(t, &began, err) || (!began && !begin_segment(t, err)))
                return false;
            if (!t->reading)
                return true; /* the segment is not there yet */
        }
        uint64_t at = t->reader.offset;
        if (!next_record(t, &record, &ended, err))
            return false;
        if (!record) {
            if (!ended)
                return true;
            advance(t);
            continue;
        }
        bool all = !t->in_checkpoint &&
                   (t->segment > t->start_segment || (t->segment == t->start_segment && at >= t->start_offset));
        out->segment = t->in_checkpoint ? t->checkpoint : t->segment;
        if (!t->in_checkpoint)
            t->offset = t->reader.record_end;
        fill(t, all, out);
        if (!is_empty(out)) {
            *got = true;
            return true;
        }
    }
}

static uint64_t tsdb_tail_behind(struct tail *base)
{
    struct tsdb_tail *t = tail_of(base);
    uint32_t live_segment;
    uint64_t written;
    wal_written(&t->db->head.wal, &live_segment, &written);
    if (t->segment == live_segment)
        return written > t->offset ? written - t->offset : 0;
    return written + (uint64_t)(live_segment - t->segment) * t->db->head.wal.segment_bytes;
}

static void tsdb_tail_close(struct tail *base)
{
    struct tsdb_tail *t = tail_of(base);
    stop_reading(t);
    record_deinit(&t->record);
    arena_deinit(&t->arena);
    path_deinit(&t->wal_dir);
    path_deinit(&t->dir);
    mem_free(t);
}

static const struct tail_ops tsdb_tail_ops = {
    .next = tsdb_tail_next,
    .behind_bytes = tsdb_tail_behind,
    .close = tsdb_tail_close,
};

bool tsdb_tail_open(struct tsdb *db, struct tail **out, struct err *err)
{
    struct wal_segments s = { 0 };
    if (!db->head.has_wal)
        return err_set(err, ERR_UNAVAILABLE, "the store has no log");
    struct tsdb_tail *t = MEM_NEW(struct tsdb_tail);
    t->base.ops = &tsdb_tail_ops;
    t->db = db;
    arena_init(&t->arena, ARENA_NO_LIMIT);
    path_set(&t->wal_dir, "%.*s/" NAME_WAL, STR_ARG(tsdb_dir(db)));
    wal_written(&db->head.wal, &t->start_segment, &t->start_offset);
    bool ok = wal_segments_list(db->fs, wal_dir(t), &s, err);
    if (ok) {
        t->segment = s.n ? s.v[0] : t->start_segment;
        *out = &t->base;
    } else {
        tsdb_tail_close(&t->base);
    }
    wal_segments_deinit(&s);
    return ok;
}
