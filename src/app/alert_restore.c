/* The state of the process before: the snapshots, then the journal replayed over them. */
#include "app/alert_thread_int.h"

#include "alert/record.h"
#include "base/log.h"

#define SNAPSHOT_BYTES_MAX ((size_t)4 << 30)

struct restoring {
    struct alert_thread *t;
    struct wire_time alive, now;
    struct arena arena;
};

static void seen_alive(struct restoring *r, struct wire_time at)
{
    if (wire_time_cmp(at, r->alive) > 0)
        r->alive = at;
}

static void restore_alert_record(struct restoring *r, const struct alert_record *rec)
{
    struct alert_slot *slot;
    switch (rec->kind) {
    case ALERT_RECORD_WHOLE:
        (void)alert_store_merge(r->t->alerts, r->now, &rec->alert, &slot);
        return;
    case ALERT_RECORD_TIMES:
        for (size_t i = 0; i < alert_times_count(rec); i++) {
            struct alert_times at = alert_times_at(rec, i);
            (void)alert_store_merge_times(r->t->alerts, r->now, at.fp, at.ends_at, at.updated_at, &slot);
        }
        return;
    case ALERT_RECORD_TIMER:
        dispatch_restore_timer(r->t->dispatch, &rec->timer);
        return;
    case ALERT_RECORD_SAVED:
        seen_alive(r, rec->saved_at);
        return;
    }
}

static void bad_silence(void *arg, struct str id, const struct err *why)
{
    (void)arg;
    log_error("Failed to compile silence matchers, it will be ignored", LOG_STR("component", STR("silences")),
              LOG_STR("silence_id", id), LOG_ERR(why));
}

static bool replay(void *arg, uint8_t type, struct str payload, struct err *err)
{
    struct restoring *r = arg;
    struct alert_record rec;
    switch (type) {
    case JOURNAL_SILENCE:
        return silence_store_load(r->t->silences, payload, bad_silence, NULL, err);
    case JOURNAL_NFLOG:
        return nflog_load(r->t->nflog, payload, err);
    case JOURNAL_ALERT:
        arena_reset(&r->arena);
        if (!alert_record_parse(&r->arena, payload, &rec, err))
            return false;
        restore_alert_record(r, &rec);
        return true;
    default:
        return true; /* of a newer version: not ours to understand */
    }
}

static bool read_optional(struct fs *fs, struct str path, struct buf *out, struct err *err)
{
    return !fs_exists(fs, path) || fs_read_file(fs, path, SNAPSHOT_BYTES_MAX, out, err);
}

static void restore_alerts_file(struct restoring *r, struct str file)
{
    struct str records, record;
    struct err err = { 0 };
    struct alert_record rec;
    if (file.n == 0)
        return;
    if (!alert_snapshot_open(file, &records, &err)) {
        log_error("The alerts' snapshot is damaged and left out; senders will repeat what still fires", LOG_ERR(&err));
        return;
    }
    while (alert_snapshot_next(&records, &record)) {
        arena_reset(&r->arena);
        if (alert_record_parse(&r->arena, record, &rec, &err))
            restore_alert_record(r, &rec);
    }
}

static bool read_snapshots(struct restoring *r, struct err *err)
{
    struct alert_thread *t = r->t;
    struct buf file = { 0 };
    bool ok = read_optional(t->o.fs, t->paths[FILE_NFLOG], &file, err) &&
              (nflog_load(t->nflog, buf_view(&file), err) || err_wrap(err, "error loading notification log snapshot"));
    buf_reset(&file);
    ok = ok && read_optional(t->o.fs, t->paths[FILE_SILENCES], &file, err) &&
         (silence_store_load(t->silences, buf_view(&file), bad_silence, NULL, err) ||
          err_wrap(err, "error loading silences snapshot"));
    buf_reset(&file);
    ok = ok && read_optional(t->o.fs, t->paths[FILE_ALERTS], &file, err);
    if (ok)
        restore_alerts_file(r, buf_view(&file));
    buf_deinit(&file);
    return ok;
}

bool alert_thread_restore(struct alert_thread *t, struct err *err)
{
    struct restoring r = { .t = t, .alive = WIRE_TIME_ZERO, .now = clock_wall() };
    struct journal_stats stats = { 0 };
    struct str dir = t->o.options->storage_path;
    arena_init(&r.arena, ARENA_NO_LIMIT);
    bool ok = fs_mkdir_all(t->o.fs, dir, err) && read_snapshots(&r, err) &&
              journal_open(&t->journal, t->o.fs, dir, NULL, replay, &r, &stats, err);
    arena_deinit(&r.arena);
    if (!ok)
        return false;
    if (stats.lost_bytes)
        log_warn("The journal was torn; what lay behind the tear is lost", LOG_INT("lost_bytes", stats.lost_bytes),
                 LOG_INT("records", stats.records));
    size_t held = alert_store_restored(t->alerts, r.alive, r.now);
    if (alert_store_count(t->alerts))
        log_info("Restored alerts", LOG_INT("alerts", alert_store_count(t->alerts)), LOG_INT("held", held));
    return true;
}
