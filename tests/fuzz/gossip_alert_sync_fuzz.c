/* Messages of the alert repair, at a replica that knows one other and has a handful of alerts: the first byte of each
 * picks the kind. */
#include "gossip/alert_sync.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void bucket_hashes(void *arg, wall_ms now, uint64_t out[ALERT_SYNC_BUCKETS])
{
    (void)arg;
    (void)now;
    for (unsigned i = 0; i < ALERT_SYNC_BUCKETS; i += 16)
        out[i] = i;
}
static void bucket_list(void *arg, wall_ms now, unsigned bucket, void (*visit)(void *, struct alert_sync_entry), void *visit_arg)
{
    (void)arg;
    visit(visit_arg, (struct alert_sync_entry){ (uint64_t)bucket << 56, now + 1000, now });
}
static void expiring(void *arg, wall_ms now, wall_ms before, size_t max, void (*visit)(void *, struct alert_sync_entry), void *visit_arg)
{
    (void)arg;
    (void)max;
    visit(visit_arg, (struct alert_sync_entry){ 77, before, now });
}
static bool lookup(void *arg, uint64_t fp, struct alert_sync_entry *e)
{
    (void)arg;
    *e = (struct alert_sync_entry){ fp, (wall_ms)(fp >> 8), 5 };
    return fp % 2 == 0;
}
static bool encode(void *arg, uint64_t fp, struct buf *out)
{
    (void)arg;
    buf_fill(out, 'r', fp % 3000);
    return fp % 3 != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct alert_sync_stats stats;
    static struct alert_sync_out out;
    static const char *const keys[] = { ALERT_SYNC_DIGEST, ALERT_SYNC_LIST, ALERT_SYNC_FETCH, "other" };
    struct alert_sync_config config = {
        .name = STR("me"), .seed = 1, .store = { NULL, bucket_hashes, bucket_list, expiring, lookup, encode }
    };
    struct alert_sync *s = alert_sync_new(&config, &stats);
    struct alert_sync_event ev = { .kind = ALERT_SYNC_PEER_UP, .name = STR("you") };
    mono_ms now = { 0 };
    alert_sync_step(s, now, 1000, &ev, &out);
    for (size_t at = 0; at + 3 <= size;) {
        size_t n = (size_t)data[at + 1] << 8 | data[at + 2];
        struct buf bytes = { 0 };
        if (n > size - at - 3)
            n = size - at - 3;
        buf_append(&bytes, "\1\3you\0\0\0\0", 9);
        buf_append(&bytes, data + at + 3, n);
        ev = (struct alert_sync_event){ .kind = ALERT_SYNC_MESSAGE, .key = str_c(keys[data[at] % 4]), .bytes = buf_view(&bytes) };
        if (data[at] & 0x80)
            ev.bytes = str_of((const char *)data + at + 3, n);
        alert_sync_out_reset(&out);
        alert_sync_step(s, now, 1000, &ev, &out);
        buf_deinit(&bytes);
        at += 3 + n;
    }
    ev = (struct alert_sync_event){ .kind = ALERT_SYNC_TIMER };
    for (unsigned i = 0; i < 1000 && !mono_before(now, alert_sync_deadline(s)); i++) {
        alert_sync_out_reset(&out);
        alert_sync_step(s, now, 1000, &ev, &out);
    }
    if (!mono_before(now, alert_sync_deadline(s)))
        abort(); /* work without an end */
    alert_sync_free(s);
    return 0;
}
