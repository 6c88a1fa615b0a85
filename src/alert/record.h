/* Alerts as bytes: the records of the journal, of the `alerts` snapshot file, and of the mesh between tocsin nodes.
 * One byte of kind, then the body; little-endian, lengths as varints (docs/formats/alerts.md). The snapshot is a header,
 * then records each with a varint length before it, then a checksum.
 *
 * Pure; any thread. Everything decoded borrows from the bytes (texts) and the arena (label arrays). */
#ifndef TOCSIN_ALERT_RECORD_H
#define TOCSIN_ALERT_RECORD_H

#include "alert/store.h"
#include "base/arena.h"

enum alert_record_kind {
    ALERT_RECORD_WHOLE = 1, /* one alert */
    ALERT_RECORD_TIMES = 2, /* fingerprint, ends_at, updated_at of re-sent alerts: 24 bytes each */
    ALERT_RECORD_TIMER = 3, /* a group's timer */
    ALERT_RECORD_SAVED = 4, /* alert_store_alive() when this was written */
};
#define ALERT_TIMES_BYTES 24
#define ALERT_RECORD_BYTES_MAX (4u << 20)
#define ALERT_RECORD_LABELS_MAX 4096

struct alert_times {
    fingerprint fp;
    struct wire_time ends_at, updated_at;
};
/* A group that will be flushed at `due` (wall time); found again by its route's id and its labels' fingerprint. */
struct alert_timer {
    struct str route_id;
    fingerprint labels;
    struct wire_time due;
    bool flushed; /* it has been flushed before: new alerts wait for group_interval, not for group_wait */
};
struct alert_record {
    enum alert_record_kind kind;
    struct alert_spec alert;   /* ALERT_RECORD_WHOLE */
    struct str times;          /* ALERT_RECORD_TIMES: alert_times_at() */
    struct alert_timer timer;
    struct wire_time saved_at;
};

void alert_record_write(struct buf *out, const struct alert_slot *s);          /* WHOLE */
/* TIMES: begin once, then one append per alert. False if the times do not fit (before 1678 or after 2262): the caller
 * writes the whole alert instead. */
void alert_record_begin_times(struct buf *out);
MUST_CHECK bool alert_record_append_times(struct buf *out, const struct alert_slot *s);
void alert_record_write_timer(struct buf *out, const struct alert_timer *t);
void alert_record_write_saved(struct buf *out, struct wire_time at);
/* ERR_CORRUPT. */
MUST_CHECK bool alert_record_parse(struct arena *a, struct str bytes, struct alert_record *r, struct err *err);
size_t alert_times_count(const struct alert_record *r);
struct alert_times alert_times_at(const struct alert_record *r, size_t i);

/* The snapshot file. */
void alert_snapshot_begin(struct buf *out);
void alert_snapshot_add(struct buf *out, struct str record);
void alert_snapshot_end(struct buf *out);
/* Checks header and checksum, and gives the records' bytes: walk them with alert_snapshot_next(). */
MUST_CHECK bool alert_snapshot_open(struct str file, struct str *records, struct err *err);
bool alert_snapshot_next(struct str *records, struct str *record);

#endif
