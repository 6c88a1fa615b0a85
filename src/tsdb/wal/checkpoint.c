/* Writing checkpoints.
 *
 * K1  A checkpoint appears under its name only when it is complete and synced; the segments it replaces go after that.
 * K2  Damage while reading is an error and nothing is removed.
 * K3  Most records are all old or all new. The times that were noted of their place tell which; then they are dropped or
 *     copied as they lie, without being unpacked. Only what has samples on both sides of mint is written anew.
 *
 * Memory: one record, and the newest metadata of each kept series. */
#include "tsdb/wal/checkpoint_int.h"

#include "base/map.h"
#include "base/mem.h"
#include "tsdb/wal/record_int.h"
#include "wire/snappy.h"

#define WRITE_BYTES (1u << 20)

struct str checkpoint_path(struct path *p, struct str dir, uint32_t number)
{
    return path_set(p, "%.*s/" NAME_CHECKPOINT "%08u", STR_ARG(dir), number);
}

static bool checkpoint_number(struct str name, uint32_t *number)
{
    return str_starts(name, STR(NAME_CHECKPOINT)) && name_number(str_from(name, sizeof NAME_CHECKPOINT - 1), number);
}

bool checkpoint_last(struct fs *fs, struct str dir, bool *found, uint32_t *number, struct err *err)
{
    struct buf names = { 0 };
    struct path path = { 0 };
    struct str rest, name;
    struct err own = { 0 };
    uint32_t n;
    bool ok = fs->list(fs, dir, &names, &own);
    *found = false;
    if (!ok && own.code != ERR_NOT_FOUND)
        *err = own;
    else
        ok = true;
    for (rest = buf_view(&names); ok && names_next(&rest, &name);) {
        struct fs_stat st;
        if (!checkpoint_number(name, &n))
            continue;
        ok = fs->stat(fs, path_set(&path, "%.*s/%.*s", STR_ARG(dir), STR_ARG(name)), &st, err);
        if (ok && !st.is_dir)
            ok = err_set(err, ERR_CORRUPT, "checkpoint %.*s is not a directory", STR_ARG(name));
        if (ok && (!*found || n > *number)) {
            *found = true;
            *number = n;
        }
    }
    buf_deinit(&names);
    path_deinit(&path);
    return ok;
}

bool checkpoints_remove_below(struct fs *fs, struct str dir, uint32_t number, struct err *err)
{
    struct buf names = { 0 };
    struct path path = { 0 };
    struct str rest, name;
    uint32_t n;
    bool ok = fs->list(fs, dir, &names, err);
    for (rest = buf_view(&names); ok && names_next(&rest, &name);) {
        if (checkpoint_number(name, &n) && n < number)
            ok = fs_remove_tree(fs, path_set(&path, "%.*s/%.*s", STR_ARG(dir), STR_ARG(name)), err);
    }
    buf_deinit(&names);
    path_deinit(&path);
    return ok;
}

/* ---- filtering ---- */

struct writer {
    struct wal out;
    struct record record;
    struct buf bytes, packed;
    struct map64 metadata; /* ref -> struct series_metadata, one heap block */
    int64_t mint;
    checkpoint_keep *keep;
    void *arg;
};

static bool put_item(struct writer *w, struct str bytes, uint8_t compression, struct wal_bounds bounds, struct err *err)
{
    struct wal_item item = { bytes, compression, &bounds };
    bool ok = wal_log(&w->out, &item, 1, err);
    if (ok && atomic_load(&w->out.is_stalled)) {
        *err = w->out.last_error;
        return false;
    }
    return ok;
}

/* What is under construction; of the samples of w->record those from mint on. */
static bool put(struct writer *w, struct err *err)
{
    if (w->bytes.n <= 1)
        return true;
    buf_reset(&w->packed);
    struct wal_bounds bounds = record_bounds(&w->record);
    bounds.mint = bounds.mint < w->mint ? w->mint : bounds.mint;
    struct wal_item item = wal_pack(buf_view(&w->bytes), WAL_SNAPPY, &w->packed);
    return put_item(w, item.bytes, item.compression, bounds, err);
}

static void keep_metadata(struct writer *w, const struct record_metadata *m)
{
    struct series_metadata *copy = mem_alloc(sizeof *copy + m->m.unit.n + m->m.help.n);
    char *text = (char *)(copy + 1);
    *copy = (struct series_metadata){ m->m.type, str_of(text, m->m.unit.n), str_of(text + m->m.unit.n, m->m.help.n) };
    if (m->m.unit.n)
        memcpy(text, m->m.unit.p, m->m.unit.n);
    if (m->m.help.n)
        memcpy(text + m->m.unit.n, m->m.help.p, m->m.help.n);
    mem_free(map64_put(&w->metadata, m->ref, copy));
}

static enum record_type histogram_type(const struct record_histogram *h)
{
    if (h->h)
        return h->h->schema == HISTOGRAM_SCHEMA_CUSTOM ? RECORD_CUSTOM_HISTOGRAMS : RECORD_HISTOGRAMS;
    return h->fh->schema == HISTOGRAM_SCHEMA_CUSTOM ? RECORD_CUSTOM_FLOAT_HISTOGRAMS : RECORD_FLOAT_HISTOGRAMS;
}

static bool put_histograms(struct writer *w, struct err *err)
{
    const struct record *r = &w->record;
    const struct record_histogram *first = NULL;
    for (size_t i = 0; i < r->n; i++) {
        const struct record_histogram *h = &r->histograms[i];
        if (h->t < w->mint)
            continue;
        if (first && histogram_type(first) != histogram_type(h)) {
            if (!put(w, err))
                return false;
            buf_reset(&w->bytes);
            first = NULL;
        }
        if (!first) {
            first = h;
            record_samples_begin(&w->bytes, histogram_type(h), h->ref, h->t);
        }
        record_histogram_item(&w->bytes, first->ref, first->t, h->ref, h->t, h->h, h->fh);
    }
    return put(w, err);
}

static void put_samples(struct writer *w)
{
    const struct record *r = &w->record;
    const struct record_sample *first = NULL;
    for (size_t i = 0; i < r->n; i++) {
        const struct record_sample *s = &r->samples[i];
        if (s->t < w->mint)
            continue;
        if (!first) {
            first = s;
            record_samples_begin(&w->bytes, RECORD_SAMPLES, s->ref, s->t);
        }
        record_sample_item(&w->bytes, first->ref, first->t, s->ref, s->t, s->v);
    }
}

static void put_exemplars(struct writer *w)
{
    const struct record *r = &w->record;
    const struct record_exemplar *first = NULL;
    for (size_t i = 0; i < r->n; i++) {
        const struct record_exemplar *e = &r->exemplars[i];
        if (e->e.t < w->mint)
            continue;
        if (!first) {
            first = e;
            record_samples_begin(&w->bytes, RECORD_EXEMPLARS, e->ref, e->e.t);
        }
        record_exemplar_item(&w->bytes, first->ref, first->e.t, e->ref, &e->e);
    }
}

/* The part of w->record that is to be kept. */
static bool put_record(struct writer *w, struct err *err)
{
    const struct record *r = &w->record;
    buf_reset(&w->bytes);
    switch (r->type) {
    case RECORD_SERIES:
        record_series_begin(&w->bytes);
        for (size_t i = 0; i < r->n; i++) {
            if (w->keep(w->arg, r->series[i].ref))
                record_series_item(&w->bytes, r->series[i].ref, r->series[i].labels);
        }
        break;
    case RECORD_SAMPLES:
        put_samples(w);
        break;
    case RECORD_TOMBSTONES:
        record_tombstones_begin(&w->bytes);
        for (size_t i = 0; i < r->n; i++) {
            if (r->tombstones[i].interval.maxt >= w->mint && w->keep(w->arg, r->tombstones[i].ref))
                record_tombstone_item(&w->bytes, r->tombstones[i].ref, r->tombstones[i].interval);
        }
        break;
    case RECORD_EXEMPLARS:
        put_exemplars(w);
        break;
    case RECORD_HISTOGRAMS:
    case RECORD_FLOAT_HISTOGRAMS:
        return put_histograms(w, err);
    case RECORD_METADATA:
        for (size_t i = 0; i < r->n; i++) {
            if (w->keep(w->arg, r->metadata[i].ref))
                keep_metadata(w, &r->metadata[i]);
        }
        return true;
    case RECORD_UNKNOWN:
    case RECORD_MMAP_MARKERS:
    case RECORD_CUSTOM_HISTOGRAMS:
    case RECORD_CUSTOM_FLOAT_HISTOGRAMS:
    case RECORD_SAMPLES_V2:
    case RECORD_HISTOGRAMS_V2:
    case RECORD_FLOAT_HISTOGRAMS_V2:
        return true;
    }
    return put(w, err);
}

/* The type of a record that is not unpacked; 0: it does not show. */
static uint8_t type_of(const struct wal_reader *r, struct str packed)
{
    uint8_t type = 0;
    if (r->compression == WAL_PLAIN && packed.n)
        return (uint8_t)packed.p[0];
    return r->compression == WAL_SNAPPY && snappy_first_byte(packed, &type) ? type : 0;
}

/* Does by its times what can be done with the record as a whole; false: its items have to be asked. */
static bool put_whole(struct writer *w, const struct wal_reader *r, struct str packed, struct wal_bounds bounds, bool *ok,
                      struct err *err)
{
    *ok = true;
    if (bounds.maxt < w->mint)
        return true;
    if (bounds.mint < w->mint)
        return false;
    *ok = put_item(w, packed, r->compression, bounds, err);
    return true;
}

static bool put_packed(struct writer *w, struct wal_reader *r, struct str packed, const struct wal_times *times,
                       struct err *err)
{
    struct str record = packed;
    bool ok;
    if (record_has_times(type_of(r, packed)) &&
        put_whole(w, r, packed, wal_times_get(times, r->segment, r->record_at), &ok, err))
        return ok;
    if (!wal_reader_unpack(r, &record, err) || !record_decode(&w->record, record, err))
        return false;
    if (record.n && record_has_times((uint8_t)record.p[0]) && put_whole(w, r, packed, record_bounds(&w->record), &ok, err))
        return ok;
    return put_record(w, err);
}

static bool put_segments(struct writer *w, struct fs *fs, struct str dir, uint32_t first, uint32_t last,
                         const struct wal_times *times, struct err *err)
{
    struct wal_reader r;
    struct str packed;
    bool got = true;
    if (first > last)
        return true;
    if (!wal_reader_open(&r, fs, dir, first, last, 0, err))
        return false;
    bool ok = true;
    while (ok && got) {
        ok = wal_reader_next_packed(&r, &packed, &got, err);
        if (ok && got)
            ok = put_packed(w, &r, packed, times, err);
    }
    wal_reader_close(&r);
    return ok;
}

static bool put_all(struct writer *w, const struct checkpoint_plan *p, struct err *err)
{
    uint32_t first = p->first;
    struct path path = { 0 };
    struct wal_segments s = { 0 };
    uint32_t number = 0;
    bool found = false, ok = checkpoint_last(p->fs, p->dir, &found, &number, err);
    if (ok && found) {
        if (first > number + 1)
            ok = err_set(err, ERR_CORRUPT, "unexpected gap to last checkpoint. expected:%u, requested:%u", number + 1, first);
        struct str last = checkpoint_path(&path, p->dir, number);
        ok = ok && wal_segments_list(p->fs, last, &s, err) &&
             (s.n == 0 || put_segments(w, p->fs, last, s.v[0], s.v[s.n - 1], p->checkpoint_times, err));
        if (first <= number)
            first = number + 1;
    }
    wal_segments_deinit(&s);
    path_deinit(&path);
    return ok && put_segments(w, p->fs, p->dir, first, p->upto, p->log_times, err);
}

static bool put_metadata(struct writer *w, struct err *err)
{
    const struct series_metadata *m;
    w->record.n = 0;
    buf_reset(&w->bytes);
    record_metadata_begin(&w->bytes);
    for (size_t i = 0; (m = map64_next(&w->metadata, &i)) != NULL;)
        record_metadata_item(&w->bytes, map64_key_at(&w->metadata, i), m);
    return put(w, err);
}

static void writer_deinit(struct writer *w)
{
    void *m;
    for (size_t i = 0; (m = map64_next(&w->metadata, &i)) != NULL;)
        mem_free(m);
    map64_deinit(&w->metadata);
    record_deinit(&w->record);
    buf_deinit(&w->bytes);
    buf_deinit(&w->packed);
}

bool checkpoint_write(const struct checkpoint_plan *p, struct err *err)
{
    struct writer w = { .mint = p->mint, .keep = p->keep, .arg = p->arg };
    struct path final = { 0 }, tmp = { 0 };
    struct wal_options o = { .write_bytes = WRITE_BYTES };
    struct wal_times times = { 0 };
    struct fs *fs = p->fs;
    struct err ignored;
    checkpoint_path(&final, p->dir, p->upto);
    struct str tmp_path = path_set(&tmp, "%.*s" SUFFIX_TMP, STR_ARG(buf_view(&final.text)));
    bool ok = !fs_exists(fs, tmp_path) || fs_remove_tree(fs, tmp_path, err);
    if (ok && wal_open(&w.out, fs, tmp_path, &o, err)) {
        ok = put_all(&w, p, err) && put_metadata(&w, err) && wal_maintain(&w.out, err);
        wal_times_now(&w.out, &times);
        wal_close(&w.out);
    } else {
        ok = false;
    }
    ok = ok && fs->sync_dir(fs, tmp_path, err) && fs->rename(fs, tmp_path, buf_view(&final.text), err) &&
         fs->sync_dir(fs, p->dir, err);
    if (!ok && fs_exists(fs, tmp_path) && !fs_remove_tree(fs, tmp_path, &ignored)) {
        /* It has the suffix of unfinished ones and goes at the next opening. */
    }
    wal_times_deinit(p->checkpoint_times); /* if it failed: who knows which of the two is there */
    if (ok)
        *p->checkpoint_times = times;
    else
        wal_times_deinit(&times);
    writer_deinit(&w);
    path_deinit(&final);
    path_deinit(&tmp);
    return ok;
}
