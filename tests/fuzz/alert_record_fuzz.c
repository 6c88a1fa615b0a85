/* Records and snapshots of alerts: what parses is written again byte for byte, and can be stored. */
#include "alert/record.h"

#include <stdlib.h>

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void check_record(struct str bytes)
{
    struct arena a;
    struct alert_record r;
    struct err err;
    arena_init(&a, ARENA_NO_LIMIT);
    if (alert_record_parse(&a, bytes, &r, &err)) {
        struct alert_store_options o = { 0 };
        struct alert_store *st = alert_store_new(&o);
        struct alert_slot *s;
        struct wire_time now = { 1767225600, 0 };
        if (r.kind == ALERT_RECORD_WHOLE) {
            require(alert_store_merge(st, now, &r.alert, &s) == ALERT_NEW);
            struct buf once = { 0 };
            struct alert_record again;
            alert_record_write(&once, s);
            require(alert_record_parse(&a, buf_view(&once), &again, &err));
            require(labels_eq(again.alert.labels, r.alert.labels));
            require(wire_time_cmp(again.alert.ends_at, r.alert.ends_at) == 0);
            buf_deinit(&once);
        }
        for (size_t i = 0; i < alert_times_count(&r); i++) {
            struct alert_times t = alert_times_at(&r, i);
            alert_store_merge_times(st, now, t.fp, t.ends_at, t.updated_at, &s);
        }
        alert_store_free(st);
    }
    arena_deinit(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = { (const char *)data, size }, records, record;
    struct err err;
    check_record(bytes);
    if (alert_snapshot_open(bytes, &records, &err))
        while (alert_snapshot_next(&records, &record))
            check_record(record);
    return 0;
}
