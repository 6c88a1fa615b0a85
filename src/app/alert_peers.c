/* What peers say: log entries and silences are merged by their replica, at most SLICE_RECORDS at a time, and passed on;
 * claims go to the dispatcher. Alerts take the way of those from senders (alert_thread_merge_alerts()).
 *
 * P1  A state of more than MERGE_BYTES_MAX waits in line; one is merged at a time, a slice a turn. */
#include "app/alert_thread_int.h"

#include "base/log.h"
#include "gossip/gossip.h"

#define MERGE_BYTES_MAX (64 * 1024) /* merged in one go */

struct merged {
    struct alert_thread *t;
    enum journal_type type;
    bool news;
};

static void record_changed(void *arg, struct str record)
{
    struct merged *m = arg;
    m->news = true;
    alert_thread_journal_note(m->t, m->type, record);
}

const struct replica *alert_thread_replica(const struct alert_thread *t, struct str key)
{
    for (size_t i = 0; i < ARRAY_LEN(t->replicas); i++)
        if (str_eq(t->replicas[i].key, key))
            return &t->replicas[i];
    return NULL;
}

/* At most SLICE_RECORDS of them; returns the rest. Log entries that came wake who waits under their keys: a step is enough, it
 * asks again. */
static struct str merge_slice(struct alert_thread *t, const struct replica *r, struct str bytes, bool *news)
{
    struct merged m = { t, str_eq(r->key, STR("sil")) ? JOURNAL_SILENCE : JOURNAL_NFLOG, false };
    size_t took = r->merge(r->state, clock_wall(), bytes, SLICE_RECORDS, record_changed, &m);
    ASSERT(took > 0 && took <= bytes.n);
    *news = *news || m.news;
    alert_thread_feed(t, NULL);
    return str_from(bytes, took);
}

void alert_thread_merge_tick(void *arg)
{
    struct alert_thread *t = arg;
    struct alert_mail *m = t->merging;
    bool news = false;
    if (m->bytes.n)
        m->bytes = merge_slice(t, alert_thread_replica(t, m->key), m->bytes, &news);
    if (m->bytes.n == 0) {
        t->merging = m->next_merge;
        if (!t->merging)
            t->merging_last = &t->merging;
        alert_thread_mail_free(m);
    }
    if (t->merging)
        loop_timer_in(t->loop, &t->merge_timer, 0);
}

bool alert_thread_can_merge(const struct alert_thread *t, struct str key, struct str bytes)
{
    struct err err = { 0 };
    const struct replica *r = alert_thread_replica(t, key);
    if (!r || r->check(bytes, &err))
        return true;
    log_warn("merge broadcast", LOG_STR("component", STR("cluster")), LOG_STR("key", r->key), LOG_ERR(&err));
    return false;
}

/* True if the mail is kept: a peer's whole state may have 50,000 records. */
static bool merge_records(struct alert_thread *t, const struct replica *r, struct alert_mail *m)
{
    if (m->bytes.n > MERGE_BYTES_MAX) {
        *t->merging_last = m;
        t->merging_last = &m->next_merge;
        loop_timer_in(t->loop, &t->merge_timer, 0);
        return true;
    }
    bool news = false;
    for (struct str rest = m->bytes; rest.n;)
        rest = merge_slice(t, r, rest, &news);
    /* Passed on as it came, and once: a message of many records that is relayed record by record multiplies. */
    if (news && m->bytes.n <= GOSSIP_RELAY_BYTES_MAX)
        alert_thread_broadcast(t, r->key, m->bytes, true);
    return false;
}

static void hear_claims(struct alert_thread *t, struct str bytes)
{
    struct claim_message v[CLAIM_BATCH_MAX];
    struct claim_reader reader;
    size_t n = 0;
    for (claim_reader_init(&reader, bytes); n < ARRAY_LEN(v) && claim_reader_next(&reader, &v[n]);)
        n++;
    if (n)
        alert_thread_feed(t, &(struct dispatch_event){ .kind = DISPATCH_CLAIMS, .claims = v, .claims_count = n });
    if (reader.failed)
        log_debug("claims that cannot be read");
}

/* True if the mail is kept. */
bool alert_thread_handle_deliver(struct alert_thread *t, struct alert_mail *m)
{
    const struct replica *r = alert_thread_replica(t, m->key);
    if (r)
        return merge_records(t, r, m);
    if (str_eq(m->key, STR(CLAIMS_MESH_KEY)))
        hear_claims(t, m->bytes);
    return false;
}
