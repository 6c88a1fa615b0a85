/* Two sides of one struct. The *mesh side* (callbacks of gossip_io, on the mesh loop) turns what comes into mail for the alert
 * thread and keeps who is a member; the *alert side* (run by alert_thread_call, on the alert thread) encodes states, reads
 * alerts that peers tell, and runs the repair of alerts (gossip/alert_sync.h).
 *
 *     peers --deliver--> mesh side --mail--> alert side --gossip_io_broadcast / _send / _state_take--> peers
 *
 * The lock guards what the status shows. Rank: leaf. */
#include "app/mesh_thread.h"

#include "alert/record.h"
#include "app/web_access.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "gossip/alert_sync.h"
#include "gossip/gossip_io.h"
#include "http/web_config.h"
#include "io/clock_io.h"
#include "io/thread.h"
#include "io/tls.h"
#include "wire/pb.h"
#include "wire/varint.h"

#define NEWS_BYTES_MAX     (256 * 1024) /* of one message of alerts */
#define NEWS_ALERTS_MAX    1000         /* merged in one slice */
#define STATE_SLICE_BYTES  (64 * 1024)  /* of a state for a peer, a turn */
#define KEY_FILE_BYTES_MAX (64 * 1024)
#define LEAVE_MS           12000
#define RESOLVED_RECENT_MS ((int64_t)ALERT_SYNC_INTERVAL_MS * 4)

struct mesh_thread {
    struct mesh_thread_options o;
    struct loop *loop;
    struct thread thread;
    struct gossip_io *io;
    struct alert_thread *alerts;
    struct gossip_stats stats;
    struct peer_stats peer_stats;
    struct gossip_io_stats io_stats;
    struct alert_sync_stats sync_stats;

    /* mesh side */
    struct map tocsin; /* struct tocsin_member by name: who understands our keys, while it is a member or keeps its turn */
    struct loop_timer leave_timer;

    struct lock lock; /* guards status */
    struct arena status_arena;
    struct api_cluster status;

    /* alert side */
    struct alert_sync *sync;
    struct alert_sync_out sync_out;
    struct loop_timer sync_timer;
    struct arena record_arena;
    struct buf scratch, news;
};

struct tocsin_member {
    struct buf name;
    bool here; /* a member; else it failed a short time ago */
};

/* What the mesh side asks of the alert side. */
struct request {
    struct mesh_thread *m;
    struct buf key, bytes; /* or a member's name in key */
    bool up;
    /* A state that is wanted, and how far it is written: finished parts in bytes. */
    uint64_t tag, cursor;
    size_t part;
    struct buf part_data;
};

static struct request *request_new(struct mesh_thread *m)
{
    struct request *r = MEM_NEW(struct request);
    r->m = m;
    return r;
}

static void request_free(struct request *r)
{
    buf_deinit(&r->key);
    buf_deinit(&r->bytes);
    buf_deinit(&r->part_data);
    mem_free(r);
}

static void on_alert_side(struct request *r, void (*run)(struct alert_thread *t, void *arg))
{
    if (!alert_thread_call(r->m->alerts, run, r))
        request_free(r);
}

/* ---- the alert side: repair of alerts ---- */

static struct alert_sync_entry entry_of(const struct alert_slot *s)
{
    return (struct alert_sync_entry){ s->fp, wire_time_to_ms(s->ends_at), wire_time_to_ms(s->updated_at) };
}

static bool counts(const struct alert_slot *s, wall_ms now, bool *resolved)
{
    wall_ms ends = wire_time_to_ms(s->ends_at);
    *resolved = ends <= now;
    return ends > now - RESOLVED_RECENT_MS;
}

static void sync_hashes(void *arg, wall_ms now, uint64_t out[ALERT_SYNC_BUCKETS])
{
    struct mesh_thread *m = arg;
    uint32_t cursor = 0;
    struct alert_slot *s;
    bool resolved;
    memset(out, 0, ALERT_SYNC_BUCKETS * sizeof *out);
    while ((s = alert_store_next(alert_thread_alerts(m->alerts), &cursor)) != NULL)
        if (counts(s, now, &resolved))
            out[s->fp >> 56] ^= alert_sync_mix(s->fp, resolved);
}

static void sync_list(void *arg, wall_ms now, unsigned bucket, void (*visit)(void *visit_arg, struct alert_sync_entry e),
                      void *visit_arg)
{
    struct mesh_thread *m = arg;
    uint32_t cursor = 0;
    struct alert_slot *s;
    bool resolved;
    while ((s = alert_store_next(alert_thread_alerts(m->alerts), &cursor)) != NULL)
        if (s->fp >> 56 == bucket && counts(s, now, &resolved))
            visit(visit_arg, entry_of(s));
}

static void sync_expiring(void *arg, wall_ms now, wall_ms before, size_t max,
                          void (*visit)(void *visit_arg, struct alert_sync_entry e), void *visit_arg)
{
    struct mesh_thread *m = arg;
    uint32_t cursor = 0;
    struct alert_slot *s;
    while (max > 0 && (s = alert_store_next(alert_thread_alerts(m->alerts), &cursor)) != NULL) {
        wall_ms ends = wire_time_to_ms(s->ends_at);
        if (ends > now && ends <= before) {
            visit(visit_arg, entry_of(s));
            max--;
        }
    }
}

static bool sync_lookup(void *arg, uint64_t fp, struct alert_sync_entry *e)
{
    struct mesh_thread *m = arg;
    struct alert_slot *s = alert_store_get(alert_thread_alerts(m->alerts), fp);
    if (!s || !s->listed)
        return false;
    *e = entry_of(s);
    return true;
}

static void append_record(struct mesh_thread *m, const struct alert_slot *s, struct buf *out)
{
    buf_reset(&m->scratch);
    alert_record_write(&m->scratch, s);
    uvarint_write(out, m->scratch.n);
    buf_str(out, buf_view(&m->scratch));
}

static bool sync_encode(void *arg, uint64_t fp, struct buf *out)
{
    struct mesh_thread *m = arg;
    struct alert_slot *s = alert_store_get(alert_thread_alerts(m->alerts), fp);
    if (!s || !s->listed)
        return false;
    append_record(m, s, out);
    return true;
}

static void sync_step(struct mesh_thread *m, const struct alert_sync_event *ev)
{
    struct loop *loop = alert_thread_loop(m->alerts);
    alert_sync_step(m->sync, loop_now(loop), clock_wall_ms(), ev, &m->sync_out);
    for (size_t i = 0; i < m->sync_out.count; i++)
        (void)gossip_io_send(m->io, m->sync_out.msgs[i].to, m->sync_out.msgs[i].key, m->sync_out.msgs[i].bytes);
    alert_sync_out_reset(&m->sync_out);
    mono_ms due = alert_sync_deadline(m->sync);
    if (due.ms == INT64_MAX)
        loop_timer_stop(loop, &m->sync_timer);
    else
        loop_timer_at(loop, &m->sync_timer, due);
}

static void sync_tick(void *arg)
{
    const struct alert_sync_event ev = { .kind = ALERT_SYNC_TIMER };
    sync_step(arg, &ev);
}

/* Alerts that a peer tells: merged in slices; what cannot be read ends the message. */
static void merge_news(struct mesh_thread *m, struct str bytes)
{
    struct dispatch_alert slice[NEWS_ALERTS_MAX];
    struct str record;
    bool failed = false;
    struct err err = { 0 };
    while (bytes.n && !failed) {
        size_t n = 0;
        arena_reset(&m->record_arena);
        while (n < NEWS_ALERTS_MAX && pb_delimited(&bytes, &record, &failed)) {
            struct alert_record *r = ARENA_NEW(&m->record_arena, struct alert_record);
            if (!alert_record_parse(&m->record_arena, record, r, &err)) {
                log_debug("an alert from a peer cannot be read", LOG_ERR(&err));
                failed = true;
                break;
            }
            if (r->kind == ALERT_RECORD_WHOLE)
                slice[n++] = (struct dispatch_alert){ .spec = &r->alert };
        }
        if (n)
            alert_thread_merge_alerts(m->alerts, slice, n);
        else if (!failed && bytes.n == 0)
            break;
    }
}

static void on_own_message(struct alert_thread *t, void *arg)
{
    struct request *r = arg;
    (void)t;
    if (str_eq(buf_view(&r->key), STR(ALERT_SYNC_NEWS))) {
        merge_news(r->m, buf_view(&r->bytes));
    } else {
        const struct alert_sync_event ev = { .kind = ALERT_SYNC_MESSAGE, .key = buf_view(&r->key),
                                             .bytes = buf_view(&r->bytes) };
        sync_step(r->m, &ev);
    }
    request_free(r);
}

static void on_peer(struct alert_thread *t, void *arg)
{
    struct request *r = arg;
    (void)t;
    const struct alert_sync_event ev = { .kind = r->up ? ALERT_SYNC_PEER_UP : ALERT_SYNC_PEER_DOWN,
                                         .name = buf_view(&r->key) };
    sync_step(r->m, &ev);
    request_free(r);
}

/* FullState {1 parts: Part {1 key, 2 data}}. An empty state has no data field. A slice a call: there may be 100,000. */
static void on_need_state(struct alert_thread *t, void *arg)
{
    static const struct str keys[] = { STR_INIT("sil"), STR_INIT("nfl") };
    struct request *r = arg;
    const struct replica *from = alert_thread_replica(t, keys[r->part]);
    if (!from->encode(from->state, &r->cursor, STATE_SLICE_BYTES, &r->part_data)) {
        size_t begin = pb_begin(&r->bytes, 1);
        pb_write_str(&r->bytes, 1, keys[r->part]);
        if (r->part_data.n)
            pb_write_str(&r->bytes, 2, buf_view(&r->part_data));
        pb_end(&r->bytes, begin);
        buf_deinit(&r->part_data);
        r->cursor = 0;
        r->part++;
    }
    if (r->part < ARRAY_LEN(keys)) {
        on_alert_side(r, on_need_state);
        return;
    }
    gossip_io_state_take(r->m->io, r->tag, &r->bytes);
    request_free(r);
}

/* ---- spreading: called on the alert thread ---- */

void mesh_thread_broadcast(struct mesh_thread *m, struct str key, struct str record, bool relay)
{
    (void)gossip_io_broadcast(m->io, key, record, relay);
}

void mesh_thread_claim(struct mesh_thread *m, struct str to, struct str bytes)
{
    if (to.n)
        (void)gossip_io_send(m->io, to, STR(CLAIMS_MESH_KEY), bytes);
    else
        (void)gossip_io_broadcast(m->io, STR(CLAIMS_MESH_KEY), bytes, false);
}

void mesh_thread_alerts(struct mesh_thread *m, const struct dispatch_alert *alerts, size_t n)
{
    buf_reset(&m->news);
    for (size_t i = 0; i < n; i++) {
        if (alerts[i].change != ALERT_NEW && alerts[i].change != ALERT_CHANGED)
            continue;
        struct alert_slot *s = alert_store_get(alert_thread_alerts(m->alerts), labels_fingerprint(alerts[i].spec->labels));
        if (s)
            append_record(m, s, &m->news);
        if (m->news.n >= NEWS_BYTES_MAX) {
            (void)gossip_io_broadcast(m->io, STR(ALERT_SYNC_NEWS), buf_view(&m->news), false);
            buf_reset(&m->news);
        }
    }
    if (m->news.n)
        (void)gossip_io_broadcast(m->io, STR(ALERT_SYNC_NEWS), buf_view(&m->news), false);
}

/* ---- the mesh side ---- */

static void deliver(void *arg, struct str key, struct str bytes, bool full)
{
    struct mesh_thread *m = arg;
    (void)full;
    if (!str_eq(key, STR(ALERT_SYNC_NEWS)) && !alert_sync_key(key)) {
        alert_thread_deliver(m->alerts, key, bytes);
        return;
    }
    struct request *r = request_new(m);
    buf_str(&r->key, key);
    buf_str(&r->bytes, bytes);
    on_alert_side(r, on_own_message);
}

static void need_state(void *arg, uint64_t tag, bool own)
{
    struct mesh_thread *m = arg;
    struct request *r = request_new(m);
    (void)own; /* those go their own way: alert_sync */
    r->tag = tag;
    on_alert_side(r, on_need_state);
}

static void member(void *arg, struct str name, bool joined, bool tocsin, bool is_self)
{
    struct mesh_thread *m = arg;
    struct tocsin_member *known = map_get(&m->tocsin, name);
    bool wanted = joined && tocsin;
    if ((known && known->here) == wanted)
        return;
    if (!known) {
        known = MEM_NEW(struct tocsin_member);
        buf_str(&known->name, name);
        map_put(&m->tocsin, buf_view(&known->name), known);
    }
    known->here = wanted;
    if (is_self)
        return;
    struct request *r = request_new(m);
    buf_str(&r->key, name);
    r->up = wanted;
    on_alert_side(r, on_peer);
}

static void keep_status(struct mesh_thread *m, const struct peer_view *v)
{
    lock_take(&m->lock);
    arena_reset(&m->status_arena);
    struct api_peer *peers = arena_alloc_array(&m->status_arena, v->members_count, sizeof *peers);
    for (size_t i = 0; i < v->members_count; i++)
        peers[i] = (struct api_peer){ arena_str(&m->status_arena, v->members[i].name),
                                      arena_str(&m->status_arena, v->members[i].address) };
    m->status = (struct api_cluster){ .name = arena_str(&m->status_arena, v->name),
                                      .status = v->ready ? STR("ready") : STR("settling"),
                                      .peers = peers, .peers_count = v->members_count };
    lock_give(&m->lock);
}

static void forget_member(struct mesh_thread *m, struct tocsin_member *t)
{
    map_remove(&m->tocsin, buf_view(&t->name));
    buf_deinit(&t->name);
    mem_free(t);
}

static bool has_turn(const struct peer_view *v, struct str name)
{
    for (size_t i = 0; i < v->turns_count; i++)
        if (str_eq(v->turns[i], name))
            return true;
    return false;
}

/* Who is no member and keeps no turn is nobody. True if there was one: a map cannot be changed while it is walked. */
static bool forget_one(struct mesh_thread *m, const struct peer_view *v)
{
    struct tocsin_member *t;
    for (size_t cursor = 0; (t = map_next(&m->tocsin, &cursor)) != NULL;) {
        if (!t->here && !has_turn(v, buf_view(&t->name))) {
            forget_member(m, t);
            return true;
        }
    }
    return false;
}

static void view(void *arg, const struct peer_view *v)
{
    struct mesh_thread *m = arg;
    struct arena arena;
    keep_status(m, v);
    arena_init(&arena, ARENA_NO_LIMIT);
    struct claim_member *members = arena_alloc_array(&arena, v->turns_count, sizeof *members);
    while (forget_one(m, v))
        continue;
    for (size_t i = 0; i < v->turns_count; i++) {
        const struct tocsin_member *t = map_get(&m->tocsin, v->turns[i]);
        members[i] = (struct claim_member){ v->turns[i], i == v->turn || (t && t->here), i != v->turn && t && !t->here };
    }
    const struct claim_members all = { members, v->turns_count, v->turn };
    if (v->members_count)
        alert_thread_members(m->alerts, &all, v->ready);
    arena_deinit(&arena);
}

static void started(void *arg, const struct err *err)
{
    struct mesh_thread *m = arg;
    if (!err || err->code == ERR_NONE)
        return;
    log_error("unable to join gossip mesh", LOG_STR("component", STR("cluster")), LOG_ERR(err));
    if (m->o.fatal)
        m->o.fatal(m->o.fatal_arg);
}

static void left(void *arg)
{
    struct mesh_thread *m = arg;
    loop_stop(m->loop);
}

static void leave_timed_out(void *arg)
{
    struct mesh_thread *m = arg;
    log_warn("leaving the cluster took too long", LOG_STR("component", STR("cluster")));
    loop_stop(m->loop);
}

/* ---- start and end ---- */

static struct str dir_of(struct str path)
{
    size_t slash = str_rfind_byte(path, '/');
    return slash == STR_NPOS ? STR(".") : str_sub(path, 0, slash ? slash : 1);
}

static bool load_tls(struct mesh_thread *m, struct gossip_io_options *io, struct err *err)
{
    struct arena arena;
    struct buf text = { 0 };
    struct cluster_tls_config c = { 0 };
    struct str path = m->o.options->cluster_tls_config;
    arena_init(&arena, ARENA_NO_LIMIT);
    bool ok = fs_read_file(m->o.fs, path, KEY_FILE_BYTES_MAX, &text, err) &&
              cluster_tls_config_parse(&arena, buf_view(&text), dir_of(path), NULL, &c, err);
    ok = ok && (io->tls_server = web_tls_load(m->o.fs, &c.server, err)) != NULL &&
         (io->tls_client = tls_client_load(&c.client, m->o.fs, err)) != NULL;
    buf_deinit(&text);
    arena_deinit(&arena);
    return ok;
}

static struct gossip_keyring *load_keys(struct mesh_thread *m, struct err *err)
{
    struct buf text = { 0 };
    struct gossip_keyring *k = NULL;
    if (fs_read_file(m->o.fs, m->o.options->cluster_secret_key_file, KEY_FILE_BYTES_MAX, &text, err))
        k = gossip_keyring_parse(buf_view(&text), err);
    buf_deinit(&text);
    return k;
}

static void fill_options(struct mesh_thread *m, struct gossip_io_options *io)
{
    const struct options *o = m->o.options;
    const int64_t ms = 1000000;
    io->loop = m->loop;
    io->bind = o->cluster_listen_address;
    io->advertise = o->cluster_advertise_address;
    io->allow_public_advertise = o->cluster_allow_insecure_public;
    io->name = o->cluster_peer_name;
    io->label = o->cluster_label;
    io->peers = o->cluster_peers.v;
    io->peers_count = o->cluster_peers.n;
    io->gossip_interval_ms = o->cluster_gossip_interval_ns / ms;
    io->pushpull_interval_ms = o->cluster_pushpull_interval_ns / ms;
    io->tcp_timeout_ms = o->cluster_tcp_timeout_ns / ms;
    io->probe_timeout_ms = o->cluster_probe_timeout_ns / ms;
    io->probe_interval_ms = o->cluster_probe_interval_ns / ms;
    io->resolve_timeout_ms = o->cluster_peers_resolve_timeout_ns / ms;
    io->settle_timeout_ms = o->cluster_settle_timeout_ns / ms;
    io->reconnect_interval_ms = o->cluster_reconnect_interval_ns / ms;
    io->reconnect_timeout_ms = o->cluster_reconnect_timeout_ns / ms;
    io->peer_timeout_ms = o->cluster_peer_timeout_ns / ms;
    io->stats = &m->stats;
    io->peer_stats = &m->peer_stats;
    io->io_stats = &m->io_stats;
    io->mailbox_metrics = m->o.mailbox_metrics;
    io->events = (struct gossip_io_events){ .deliver = deliver, .need_state = need_state, .member = member, .view = view,
                                            .started = started, .left = left, .arg = m };
}

static void register_metrics(struct mesh_thread *m, bool tls)
{
    struct metric_registry *r = m->o.registry;
    metric_registry_add(r, gossip_metrics, gossip_metrics_count, &m->stats, NULL, NULL);
    metric_registry_add(r, peer_metrics, peer_metrics_count, &m->peer_stats, NULL, NULL);
    metric_registry_add(r, alert_sync_metrics, alert_sync_metrics_count, &m->sync_stats, NULL, NULL);
    if (tls)
        metric_registry_add(r, gossip_io_metrics, gossip_io_metrics_count, &m->io_stats, NULL, NULL);
}

static void free_mesh(struct mesh_thread *m)
{
    if (m->alerts)
        loop_timer_stop(alert_thread_loop(m->alerts), &m->sync_timer); /* that loop outlives this struct, and runs no more */
    gossip_io_free(m->io);
    loop_free(m->loop);
    alert_sync_free(m->sync);
    alert_sync_out_deinit(&m->sync_out);
    size_t cursor = 0;
    struct tocsin_member *t;
    while ((t = map_next(&m->tocsin, &cursor)) != NULL) {
        buf_deinit(&t->name);
        mem_free(t);
    }
    map_deinit(&m->tocsin);
    gossip_stats_deinit(&m->stats);
    arena_deinit(&m->record_arena);
    arena_deinit(&m->status_arena);
    buf_deinit(&m->scratch);
    buf_deinit(&m->news);
    lock_deinit(&m->lock);
    mem_free(m);
}

struct mesh_thread *mesh_thread_start(const struct mesh_thread_options *options, struct err *err)
{
    struct mesh_thread *m = MEM_NEW(struct mesh_thread);
    struct gossip_io_options io = gossip_io_options_default();
    m->o = *options;
    lock_init(&m->lock);
    arena_init(&m->status_arena, ARENA_NO_LIMIT);
    arena_init(&m->record_arena, ARENA_NO_LIMIT);
    gossip_stats_init(&m->stats);
    m->loop = loop_new("mesh", options->loop_metrics);
    m->status = (struct api_cluster){ .status = STR("settling") };
    fill_options(m, &io);
    bool ok = options->options->cluster_tls_config.n == 0 || load_tls(m, &io, err);
    if (ok && options->options->cluster_secret_key_file.n)
        ok = (io.keyring = load_keys(m, err)) != NULL || err_wrap(err, "cluster secret key file");
    if (ok)
        m->io = gossip_io_open(&io, err);
    if (m->io) {
        const struct alert_sync_config sync = {
            .name = gossip_io_name(m->io), .seed = options->seed,
            .store = { .arg = m, .bucket_hashes = sync_hashes, .bucket_list = sync_list, .expiring = sync_expiring,
                       .lookup = sync_lookup, .encode = sync_encode },
        };
        m->sync = alert_sync_new(&sync, &m->sync_stats);
        register_metrics(m, io.tls_server != NULL);
        struct str warning = gossip_io_warning(m->io);
        if (warning.n)
            log_warn("the advertised address may not be reachable by the peers", LOG_STR("component", STR("cluster")),
                     LOG_STR("warning", warning));
    }
    tls_server_release(io.tls_server);
    tls_client_release(io.tls_client);
    if (m->io)
        return m;
    free_mesh(m);
    return NULL;
}

static void run(void *arg)
{
    struct mesh_thread *m = arg;
    loop_run(m->loop);
}

/* Somebody waits, so nothing was heard of who goes first: it is dead or slow, or its word was lost. A peer of upstream's kind
 * sends its log at 1,400 bytes each 200 ms, to one member or another. What was sent meanwhile is asked for before it would be
 * sent again. */
static void before_turn(void *arg)
{
    struct mesh_thread *m = arg;
    (void)gossip_io_compare(m->io);
}

static void arm_sync(struct alert_thread *t, void *arg)
{
    struct mesh_thread *m = arg;
    alert_thread_on_turn(t, before_turn, m);
    m->sync_timer = (struct loop_timer){ .fire = sync_tick, .arg = m };
    sync_tick(m);
}

bool mesh_thread_join(struct mesh_thread *m, struct alert_thread *alerts, struct err *err)
{
    m->alerts = alerts;
    bool asked = alert_thread_call(alerts, arm_sync, m);
    ASSERT(asked); /* it was started a moment ago */
    gossip_io_start(m->io);
    return thread_start(&m->thread, "mesh", run, m, err);
}

void mesh_thread_status(struct mesh_thread *m, struct arena *a, struct api_cluster *out)
{
    lock_take(&m->lock);
    struct api_peer *peers = arena_alloc_array(a, m->status.peers_count, sizeof *peers);
    for (size_t i = 0; i < m->status.peers_count; i++)
        peers[i] = (struct api_peer){ arena_str(a, m->status.peers[i].name), arena_str(a, m->status.peers[i].address) };
    *out = (struct api_cluster){ .name = arena_str(a, m->status.name), .status = arena_str(a, m->status.status),
                                 .peers = peers, .peers_count = m->status.peers_count };
    lock_give(&m->lock);
}

void mesh_thread_reload(struct mesh_thread *m)
{
    struct err err = { 0 };
    if (m->o.options->cluster_secret_key_file.n == 0)
        return;
    struct gossip_keyring *k = load_keys(m, &err);
    if (!k)
        log_error("The cluster's key file is bad; the keys in use stay", LOG_ERR(&err));
    else if (!gossip_io_set_keyring(m->io, k))
        gossip_keyring_free(k);
}

static void begin_leave(void *arg)
{
    struct mesh_thread *m = arg;
    m->leave_timer = (struct loop_timer){ .fire = leave_timed_out, .arg = m };
    loop_timer_in(m->loop, &m->leave_timer, LEAVE_MS);
    if (!gossip_io_leave(m->io))
        loop_stop(m->loop);
}

void mesh_thread_leave(struct mesh_thread *m)
{
    if (!m || !m->thread.started)
        return;
    struct loop_call leave = { .run = begin_leave, .arg = m };
    loop_post(m->loop, &leave);
    thread_join(&m->thread);
}

void mesh_thread_free(struct mesh_thread *m)
{
    if (m)
        free_mesh(m);
}
