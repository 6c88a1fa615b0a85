/* Repair of alerts between tocsin nodes: digest, list, fetch, records (alert_sync.h tells why).
 *
 *   A --DIGEST: hash per bucket, alerts about to expire--> B
 *   A <--LIST: fingerprint, endsAt, updatedAt of the buckets that differ, and of what lasts longer at B-- B
 *   A --FETCH: fingerprints--> B
 *   A <--NEWS: records-- B
 *
 * All integers are little-endian. Every message but NEWS starts with
 *     version:u8 = 1 | name_bytes:u8 | name of the sender | round:u32
 * and goes on
 *     DIGEST  hash:u64 x ALERT_SYNC_BUCKETS | entry x any        entry = fp:u64 | ends_at:i64 | updated_at:i64 (ms)
 *     LIST    entry x any
 *     FETCH   fp:u64 x any
 *
 * A1  Answers that need work (LIST, NEWS) are jobs; a step does at most SLICE of it and asks to be called again.
 * A2  A peer has at most one list job (a newer digest replaces it) and FETCHES_MAX fetch jobs.
 * A3  Within one round an alert is asked for once, whoever lists it; the next round asks again if it did not come.
 * Hashes do not contain times: alerts are re-sent every minute, to some replicas a moment earlier than to others, and
 * would always differ. Times matter only when an alert is about to be forgotten, and such alerts are named one by one. */
#include "gossip/alert_sync.h"

#include "base/bytes.h"
#include "base/map.h"
#include "base/mem.h"

#define VERSION        1
#define ENTRY_BYTES    24
#define NAME_BYTES_MAX 255
#define PEERS_MAX      8192
#define PEERS_ROUND    16    /* asked in one round: all, in a usual cluster, else so many at random */
#define ENTRIES_MAX    8192  /* in one message */
#define EXPIRING_MAX   32768 /* named in one digest */
#define FETCHES_MAX    8     /* jobs of one peer */
#define WANTED_MAX     262144 /* asked for in one round */
#define SLICE_ENTRIES  4096
#define SLICE_RECORDS  256
#define RECORDS_BYTES  (128u << 10) /* of one NEWS message */
/* What ends within so many rounds is asked for. Two where everybody is asked each time; with more peers a re-send that one
 * replica heard spreads from few to all: by a factor of PEERS_ROUND a round, so six are ample for thousands. */
#define ROUNDS_ALL     2
#define ROUNDS_RANDOM  6

struct list_job {
    bool active;
    bool buckets[ALERT_SYNC_BUCKETS];
    unsigned next_bucket;
    struct alert_sync_entry *expiring;
    size_t expiring_count, expiring_at;
    uint32_t round;
};
struct fetch_job {
    struct fetch_job *next;
    size_t count, at;
    uint64_t fps[];
};
struct sync_peer {
    struct str name; /* behind the struct */
    struct list_job list;
    struct fetch_job *fetches, **fetches_end;
    size_t fetches_count;
};

struct alert_sync {
    struct alert_sync_config config;
    struct alert_sync_stats *stats;
    struct rng rng;
    mono_ms now, round_at;
    wall_ms now_wall;
    struct alert_sync_out *out;
    struct sync_peer **peers;
    size_t peers_count, peers_capacity;
    struct map by_name;
    struct map64 wanted;
    uint32_t round;
    size_t next_worker; /* peers take turns */
    bool more;          /* work is left */
};

#define S struct alert_sync_stats
const struct metric_desc alert_sync_metrics[] = {
    METRIC(COUNTER, S, digests_sent, "tocsin_alert_sync_digests_sent_total", "Digests of the alerts sent to other replicas."),
    METRIC(COUNTER, S, digests_received, "tocsin_alert_sync_digests_received_total",
           "Digests of alerts received from other replicas."),
    METRIC(COUNTER, S, lists_sent, "tocsin_alert_sync_lists_sent_total", "Lists of alerts sent in answer to a digest."),
    METRIC(COUNTER, S, fetches_sent, "tocsin_alert_sync_fetches_sent_total", "Requests for alerts sent to other replicas."),
    METRIC(COUNTER, S, alerts_fetched, "tocsin_alert_sync_alerts_fetched_total", "Alerts asked of other replicas."),
    METRIC(COUNTER, S, alerts_served, "tocsin_alert_sync_alerts_served_total", "Alerts handed to other replicas that asked."),
    METRIC(COUNTER, S, refused, "tocsin_alert_sync_refused_total", "Messages that do not decode or come from no member."),
};
#undef S
const size_t alert_sync_metrics_count = ARRAY_LEN(alert_sync_metrics);

uint64_t alert_sync_mix(uint64_t fp, bool resolved)
{
    uint64_t x = fp + (resolved ? 0x9e3779b97f4a7c15u : 0x3c6ef372fe94f82au); /* splitmix64's finaliser */
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

bool alert_sync_key(struct str key)
{
    return str_eq(key, STR(ALERT_SYNC_DIGEST)) || str_eq(key, STR(ALERT_SYNC_LIST)) || str_eq(key, STR(ALERT_SYNC_FETCH));
}

/* ---- messages out ------------------------------------------------------------------------------------------------------ */

void alert_sync_out_reset(struct alert_sync_out *out)
{
    out->count = 0;
    buf_reset(&out->bytes);
}

void alert_sync_out_deinit(struct alert_sync_out *out)
{
    mem_free(out->msgs);
    buf_deinit(&out->bytes);
    *out = (struct alert_sync_out){ 0 };
}

static void out_shift(struct alert_sync_out *out, bool to_pointers)
{
    for (size_t i = 0; i < out->count; i++) {
        struct str *s = &out->msgs[i].bytes;
        s->p = to_pointers ? out->bytes.p + (uintptr_t)s->p : (const char *)(uintptr_t)(s->p - out->bytes.p);
    }
}

/* Opens a message; its bytes are what is appended to out->bytes until end(). */
static size_t begin(struct alert_sync *s, bool header, uint32_t round)
{
    struct buf *b = &s->out->bytes;
    size_t at = b->n;
    if (header) {
        buf_byte(b, VERSION);
        buf_byte(b, (char)(uint8_t)s->config.name.n);
        buf_str(b, s->config.name);
        buf_le32(b, round);
    }
    return at;
}

static void end(struct alert_sync *s, const struct sync_peer *to, struct str key, size_t at)
{
    struct alert_sync_out *out = s->out;
    if (out->count == out->capacity) {
        out->capacity = mem_grow(out->capacity, out->count + 1);
        out->msgs = mem_realloc_array(out->msgs, out->capacity, sizeof *out->msgs);
    }
    out->msgs[out->count++] = (struct alert_sync_msg){
        .to = to->name, .key = key, .bytes = { (const char *)(uintptr_t)at, out->bytes.n - at }
    };
}

static void put_entry(struct buf *b, struct alert_sync_entry e)
{
    buf_le64(b, e.fp);
    buf_le64(b, (uint64_t)e.ends_at);
    buf_le64(b, (uint64_t)e.updated_at);
}

static struct alert_sync_entry get_entry(const char *p)
{
    return (struct alert_sync_entry){ get_le64(p), (wall_ms)get_le64(p + 8), (wall_ms)get_le64(p + 16) };
}

/* ---- peers ---------------------------------------------------------------------------------------------------------------- */

static void list_clear(struct list_job *job)
{
    mem_free(job->expiring);
    *job = (struct list_job){ 0 };
}

static void peer_free_one(struct sync_peer *p)
{
    list_clear(&p->list);
    while (p->fetches) {
        struct fetch_job *job = p->fetches;
        p->fetches = job->next;
        mem_free(job);
    }
    mem_free(p);
}

static void peer_up(struct alert_sync *s, struct str name)
{
    if (name.n == 0 || name.n > NAME_BYTES_MAX || map_get(&s->by_name, name) || s->peers_count == PEERS_MAX)
        return;
    struct sync_peer *p = mem_alloc(sizeof *p + name.n);
    memcpy(p + 1, name.p, name.n);
    p->name = str_of((const char *)(p + 1), name.n);
    p->fetches_end = &p->fetches;
    if (s->peers_count == s->peers_capacity) {
        s->peers_capacity = mem_grow(s->peers_capacity, s->peers_count + 1);
        s->peers = mem_realloc_array(s->peers, s->peers_capacity, sizeof(struct sync_peer *));
    }
    s->peers[s->peers_count++] = p;
    map_put(&s->by_name, p->name, p);
    /* A newcomer, or one that was away: do not wait for the round. */
    s->round_at = mono_min(s->round_at, mono_add(s->now, (int64_t)rng_below(&s->rng, 1000)));
}

static void peer_down(struct alert_sync *s, struct str name)
{
    struct sync_peer *p = map_remove(&s->by_name, name);
    if (!p)
        return;
    size_t i = 0;
    while (s->peers[i] != p)
        i++;
    s->peers[i] = s->peers[--s->peers_count];
    peer_free_one(p);
}

struct alert_sync *alert_sync_new(const struct alert_sync_config *config, struct alert_sync_stats *stats)
{
    ASSERT(config->name.n > 0 && config->name.n <= NAME_BYTES_MAX);
    struct alert_sync *s = mem_alloc(sizeof *s + config->name.n);
    memcpy(s + 1, config->name.p, config->name.n);
    s->config = *config;
    s->config.name = str_of((const char *)(s + 1), config->name.n);
    s->stats = stats;
    s->round_at = MONO_NEVER;
    rng_seed(&s->rng, config->seed);
    return s;
}

void alert_sync_free(struct alert_sync *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->peers_count; i++)
        peer_free_one(s->peers[i]);
    mem_free(s->peers);
    map_deinit(&s->by_name);
    map64_deinit(&s->wanted);
    mem_free(s);
}

/* ---- the round --------------------------------------------------------------------------------------------------------------- */

struct entries {
    struct buf *out;
    size_t count;
};
static void visit_put(void *arg, struct alert_sync_entry e)
{
    struct entries *to = arg;
    put_entry(to->out, e);
    to->count++;
}

static int64_t lasts_ms(const struct alert_sync *s)
{
    return ALERT_SYNC_INTERVAL_MS * (s->peers_count <= PEERS_ROUND ? ROUNDS_ALL : ROUNDS_RANDOM);
}

static void round_begin(struct alert_sync *s)
{
    const struct alert_sync_store *st = &s->config.store;
    uint64_t hashes[ALERT_SYNC_BUCKETS] = { 0 };
    s->round_at = s->peers_count ? mono_add(s->now, ALERT_SYNC_INTERVAL_MS) : MONO_NEVER;
    s->round++;
    map64_reset(&s->wanted); /* A3 */
    if (s->peers_count == 0)
        return;
    st->bucket_hashes(st->arg, s->now_wall, hashes);
    size_t ask = s->peers_count < PEERS_ROUND ? s->peers_count : PEERS_ROUND;
    size_t first_at = 0, first_n = 0;
    for (size_t i = 0; i < ask; i++) {
        size_t j = i + rng_below(&s->rng, s->peers_count - i);
        struct sync_peer *p = s->peers[j];
        s->peers[j] = s->peers[i];
        s->peers[i] = p;
        size_t at = begin(s, i == 0, s->round);
        if (i == 0) {
            struct entries entries = { &s->out->bytes, 0 };
            for (size_t b = 0; b < ALERT_SYNC_BUCKETS; b++)
                buf_le64(&s->out->bytes, hashes[b]);
            st->expiring(st->arg, s->now_wall, s->now_wall + lasts_ms(s), EXPIRING_MAX, visit_put, &entries);
            first_at = at;
            first_n = s->out->bytes.n - at;
        } else {
            buf_reserve(&s->out->bytes, first_n);
            buf_append(&s->out->bytes, s->out->bytes.p + first_at, first_n);
        }
        end(s, p, STR(ALERT_SYNC_DIGEST), at);
        counter_add(&s->stats->digests_sent, 1);
    }
}

/* ---- messages in ---------------------------------------------------------------------------------------------------------------- */

/* Cuts the header off; the sender must be a member. */
static struct sync_peer *read_header(struct alert_sync *s, struct str *bytes, uint32_t *round)
{
    if (bytes->n < 2 || bytes->p[0] != VERSION)
        return NULL;
    size_t n = (uint8_t)bytes->p[1];
    if (bytes->n < 2 + n + 4)
        return NULL;
    struct sync_peer *p = map_get(&s->by_name, str_sub(*bytes, 2, n));
    *round = get_le32(bytes->p + 2 + n);
    *bytes = str_from(*bytes, 2 + n + 4);
    return p;
}

static bool take_digest(struct alert_sync *s, struct sync_peer *p, struct str body, uint32_t round)
{
    const struct alert_sync_store *st = &s->config.store;
    const size_t hashes_bytes = ALERT_SYNC_BUCKETS * sizeof(uint64_t);
    uint64_t ours[ALERT_SYNC_BUCKETS] = { 0 };
    if (body.n < hashes_bytes || (body.n - hashes_bytes) % ENTRY_BYTES != 0 ||
        (body.n - hashes_bytes) / ENTRY_BYTES > EXPIRING_MAX)
        return false;
    counter_add(&s->stats->digests_received, 1);
    list_clear(&p->list); /* A2 */
    st->bucket_hashes(st->arg, s->now_wall, ours);
    for (size_t b = 0; b < ALERT_SYNC_BUCKETS; b++)
        if (get_le64(body.p + b * sizeof(uint64_t)) != ours[b])
            p->list.active = p->list.buckets[b] = true;
    struct str rest = str_from(body, hashes_bytes);
    size_t count = rest.n / ENTRY_BYTES;
    if (count > 0) {
        p->list.active = true;
        p->list.expiring = mem_alloc_array(count, sizeof *p->list.expiring);
        for (size_t i = 0; i < count; i++)
            p->list.expiring[i] = get_entry(rest.p + i * ENTRY_BYTES);
        p->list.expiring_count = count;
    }
    p->list.round = round;
    return true;
}

/* Is what they have worth asking for? */
static bool is_wanted(const struct alert_sync *s, struct alert_sync_entry theirs)
{
    struct alert_sync_entry ours;
    if (!s->config.store.lookup(s->config.store.arg, theirs.fp, &ours))
        return true;
    if (theirs.updated_at <= ours.updated_at)
        return false;
    bool they_resolved = theirs.ends_at <= s->now_wall, we_resolved = ours.ends_at <= s->now_wall;
    if (they_resolved != we_resolved)
        return true;
    return ours.ends_at <= s->now_wall + lasts_ms(s) && theirs.ends_at > ours.ends_at;
}

static bool take_list(struct alert_sync *s, struct sync_peer *p, struct str body)
{
    static char asked; /* the value that says "asked for" */
    if (body.n % ENTRY_BYTES != 0 || body.n / ENTRY_BYTES > ENTRIES_MAX)
        return false;
    size_t at = begin(s, true, s->round), count = 0;
    for (size_t i = 0; i < body.n / ENTRY_BYTES; i++) {
        struct alert_sync_entry e = get_entry(body.p + i * ENTRY_BYTES);
        if (s->wanted.count >= WANTED_MAX || map64_get(&s->wanted, e.fp) || !is_wanted(s, e))
            continue;
        map64_put(&s->wanted, e.fp, &asked);
        buf_le64(&s->out->bytes, e.fp);
        count++;
    }
    if (count == 0) {
        buf_truncate(&s->out->bytes, at);
        return true;
    }
    end(s, p, STR(ALERT_SYNC_FETCH), at);
    counter_add(&s->stats->fetches_sent, 1);
    counter_add(&s->stats->alerts_fetched, count);
    return true;
}

static bool take_fetch(struct sync_peer *p, struct str body)
{
    size_t count = body.n / sizeof(uint64_t);
    if (body.n % sizeof(uint64_t) != 0 || count == 0 || count > ENTRIES_MAX || p->fetches_count >= FETCHES_MAX)
        return false;
    struct fetch_job *job = mem_alloc(sizeof *job + body.n);
    job->count = count;
    for (size_t i = 0; i < count; i++)
        job->fps[i] = get_le64(body.p + i * sizeof(uint64_t));
    *p->fetches_end = job;
    p->fetches_end = &job->next;
    p->fetches_count++;
    return true;
}

static void take_message(struct alert_sync *s, struct str key, struct str bytes)
{
    uint32_t round = 0;
    struct sync_peer *p = read_header(s, &bytes, &round);
    bool ok = p && (str_eq(key, STR(ALERT_SYNC_DIGEST)) ? take_digest(s, p, bytes, round)
                    : str_eq(key, STR(ALERT_SYNC_LIST)) ? take_list(s, p, bytes)
                    : str_eq(key, STR(ALERT_SYNC_FETCH)) ? take_fetch(p, bytes)
                                                         : false);
    if (!ok)
        counter_add(&s->stats->refused, 1);
}

/* ---- jobs ------------------------------------------------------------------------------------------------------------------------- */

/* One LIST message's worth of the job. */
static void work_list(struct alert_sync *s, struct sync_peer *p)
{
    const struct alert_sync_store *st = &s->config.store;
    struct list_job *job = &p->list;
    size_t at = begin(s, true, job->round), looked = 0;
    struct entries entries = { &s->out->bytes, 0 };
    while (job->next_bucket < ALERT_SYNC_BUCKETS && entries.count < SLICE_ENTRIES) {
        unsigned b = job->next_bucket++;
        if (job->buckets[b])
            st->bucket_list(st->arg, s->now_wall, b, visit_put, &entries);
    }
    looked = entries.count;
    for (; job->expiring_at < job->expiring_count && looked < SLICE_ENTRIES; looked++) {
        struct alert_sync_entry theirs = job->expiring[job->expiring_at++], ours;
        if (!job->buckets[theirs.fp >> 56] && st->lookup(st->arg, theirs.fp, &ours) &&
            ours.updated_at > theirs.updated_at && ours.ends_at > theirs.ends_at)
            visit_put(&entries, ours);
    }
    bool done = job->next_bucket == ALERT_SYNC_BUCKETS && job->expiring_at == job->expiring_count;
    size_t header = 2 + s->config.name.n + 4;
    if (entries.count > ENTRIES_MAX) { /* a bucket of thousands: the rest differs next time too */
        buf_truncate(&s->out->bytes, at + header + ENTRIES_MAX * ENTRY_BYTES);
        entries.count = ENTRIES_MAX;
    }
    if (entries.count > 0) {
        end(s, p, STR(ALERT_SYNC_LIST), at);
        counter_add(&s->stats->lists_sent, 1);
    } else {
        buf_truncate(&s->out->bytes, at);
    }
    if (done)
        list_clear(job);
}

static void work_fetch(struct alert_sync *s, struct sync_peer *p)
{
    const struct alert_sync_store *st = &s->config.store;
    struct fetch_job *job = p->fetches;
    size_t at = begin(s, false, 0);
    uint64_t served = 0;
    for (size_t i = 0; i < SLICE_RECORDS && job->at < job->count && s->out->bytes.n - at < RECORDS_BYTES; i++)
        served += st->encode(st->arg, job->fps[job->at++], &s->out->bytes);
    if (s->out->bytes.n > at)
        end(s, p, STR(ALERT_SYNC_NEWS), at);
    counter_add(&s->stats->alerts_served, served);
    if (job->at < job->count)
        return;
    p->fetches = job->next;
    if (!p->fetches)
        p->fetches_end = &p->fetches;
    p->fetches_count--;
    mem_free(job);
}

static bool has_work(const struct sync_peer *p)
{
    return p->list.active || p->fetches != NULL;
}

/* One slice of whatever is to be done, the peers in turn (A1). */
static void work(struct alert_sync *s)
{
    for (size_t i = 0; i < s->peers_count; i++) {
        struct sync_peer *p = s->peers[(s->next_worker + i) % s->peers_count];
        if (!has_work(p))
            continue;
        s->next_worker = (s->next_worker + i + 1) % s->peers_count;
        if (p->fetches)
            work_fetch(s, p);
        else
            work_list(s, p);
        break;
    }
    s->more = false;
    for (size_t i = 0; i < s->peers_count; i++)
        s->more = s->more || has_work(s->peers[i]);
}

void alert_sync_step(struct alert_sync *s, mono_ms now, wall_ms now_wall, const struct alert_sync_event *ev,
                     struct alert_sync_out *out)
{
    ASSERT(!mono_before(now, s->now));
    s->now = now;
    s->now_wall = now_wall;
    s->out = out;
    out_shift(out, false);
    switch (ev->kind) {
    case ALERT_SYNC_TIMER:
        work(s);
        break;
    case ALERT_SYNC_PEER_UP:
        peer_up(s, ev->name);
        break;
    case ALERT_SYNC_PEER_DOWN:
        peer_down(s, ev->name);
        break;
    case ALERT_SYNC_MESSAGE:
        take_message(s, ev->key, ev->bytes);
        s->more = true;
        break;
    }
    if (!mono_before(now, s->round_at))
        round_begin(s);
    out_shift(out, true);
    s->out = NULL;
}

mono_ms alert_sync_deadline(const struct alert_sync *s)
{
    return s->more ? s->now : s->round_at;
}
