/* Integrations that fail, and who waits for them to recover.
 *
 * Upstream retries each group by its own back-off: 20,000 groups hit a receiver that is down ten thousand times a second, and
 * hear of its recovery up to a minute late. Here the attempts of an integration know of each other:
 *
 *   O1  After OUTAGE_FAILURES failures in a row only one attempt each PROBE_GAP_MS is made. Any other that falls due counts as
 *       failed without having been made: it backs off, and its turn goes to the next replica, whose way out may be open.
 *   O2  A success lets WOKEN_PER_SUCCESS of those that wait try at once, whose successes let others: a receiver that recovers has
 *       all of them after a few round trips, one that still fails mostly is left alone again.
 *   O3  A run whose early attempt failed too waits out its back-off before it may be woken again: one group that its receiver
 *       never takes, among many that it takes, is tried at most twice as often as by its back-off alone.
 *
 * An entry lives from the first failure to the success after which nobody waits; all end with the configuration. A run is in the
 * list of its integration's entry exactly if run->outage is set. */
#include "base/mem.h"
#include "notify/notifier_int.h"

enum { OUTAGE_FAILURES = 16, PROBE_GAP_MS = 50, WOKEN_PER_SUCCESS = 4 };

struct outage {
    uint32_t failures; /* in a row */
    mono_ms probe_at;
    struct buf error;  /* of the last failure */
    enum send_reason reason;
    struct run *first, *last; /* who backs off, the longest first */
};

static uint64_t key_of(const struct run *r)
{
    return (uint64_t)(uintptr_t)r->integration;
}

static void outage_free(struct outage *o)
{
    buf_deinit(&o->error);
    mem_free(o);
}

bool notify_outage_admits(struct notifier *nt, mono_ms now, const struct run *r)
{
    struct outage *o = map64_get(&nt->outages, key_of(r));
    if (!o || o->failures < OUTAGE_FAILURES)
        return true;
    if (mono_before(now, o->probe_at))
        return false;
    o->probe_at = mono_add(now, PROBE_GAP_MS);
    return true;
}

void notify_outage_failed(struct notifier *nt, const struct run *r, enum send_reason reason, struct str error)
{
    struct outage *o = map64_get(&nt->outages, key_of(r));
    if (!o) {
        o = MEM_NEW(struct outage);
        map64_put(&nt->outages, key_of(r), o);
    }
    o->failures += o->failures < UINT32_MAX;
    o->reason = reason;
    buf_reset(&o->error);
    buf_str(&o->error, error);
}

void notify_outage_tell(const struct notifier *nt, struct run *r)
{
    const struct outage *o = map64_get(&nt->outages, key_of(r));
    ASSERT(o);
    r->reason = o->reason;
    buf_reset(&r->last_error);
    buf_str(&r->last_error, buf_view(&o->error));
}

void notify_outage_join(struct notifier *nt, struct run *r)
{
    struct outage *o = map64_get(&nt->outages, key_of(r));
    ASSERT(o && !r->outage);
    if (r->woken) { /* O3 */
        r->woken = false;
        return;
    }
    r->outage = o;
    r->outage_prev = o->last;
    r->outage_next = NULL;
    *(o->last ? &o->last->outage_next : &o->first) = r;
    o->last = r;
}

void notify_outage_leave(struct run *r)
{
    struct outage *o = r->outage;
    if (!o)
        return;
    *(r->outage_prev ? &r->outage_prev->outage_next : &o->first) = r->outage_next;
    *(r->outage_next ? &r->outage_next->outage_prev : &o->last) = r->outage_prev;
    r->outage = NULL;
    r->outage_prev = r->outage_next = NULL;
}

void notify_outage_succeeded(struct notifier *nt, mono_ms now, const struct run *r)
{
    struct outage *o = map64_get(&nt->outages, key_of(r));
    if (!o)
        return;
    o->failures = 0;
    for (size_t i = 0; i < WOKEN_PER_SUCCESS && o->first; i++) {
        struct run *w = o->first;
        notify_outage_leave(w);
        w->woken = true;
        w->next_at = now;
        notify_work_push(&nt->runs, &w->work);
    }
    if (o->first)
        return;
    map64_remove(&nt->outages, key_of(r));
    outage_free(o);
}

void notify_outages_end(struct notifier *nt)
{
    struct outage *o;
    for (size_t cursor = 0; (o = map64_next(&nt->outages, &cursor)) != NULL;) {
        while (o->first)
            notify_outage_leave(o->first);
        outage_free(o);
    }
    map64_deinit(&nt->outages);
}
