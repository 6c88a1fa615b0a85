/* The notification log.
 *
 * N1  An entry has one place in `places` from its first to its last day; replacing it keeps the place, and a new entry
 *     takes a free one. So a snapshot that is encoded in slices misses nothing that was there all the time.
 * N2  Keys are unique: "<group key>:<receiver>/<integration>/<idx>".
 * N3  What is kept is the record as it was received or written: unknown fields survive. Only query() reads lists out.
 *
 * Memory of an entry: one block: header, key, record. */
#include "nflog/nflog.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/stopwatch.h"
#include "base/utf8.h"
#include "nflog/claim_message.h"
#include "wire/pb.h"
#include "wire/pb_time.h"

struct place {
    size_t at; /* in places */
    struct str key, record;
    struct wire_time timestamp, expires_at;
};
struct nflog {
    int64_t retention_ms;
    struct map by_key;
    struct map64 by_claim; /* claim_key() of the key; of two that collide, one is found */
    struct place **places;
    size_t places_count, places_capacity;
    size_t *free;
    size_t free_count, free_capacity;
    struct buf scratch;
    void (*merged)(void *arg, struct str key);
    void *merged_arg;
    struct nflog_stats stats;
};

static const double query_bounds[] = { .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10 };
const struct metric_desc nflog_metrics[] = {
    METRIC(SUMMARY, struct nflog_stats, gc_duration, "alertmanager_nflog_gc_duration_seconds", "Duration of the last notification log garbage collection cycle."),
    METRIC(SUMMARY, struct nflog_stats, snapshot_duration, "alertmanager_nflog_snapshot_duration_seconds", "Duration of the last notification log snapshot."),
    METRIC(GAUGE, struct nflog_stats, snapshot_size, "alertmanager_nflog_snapshot_size_bytes", "Size of the last notification log snapshot in bytes."),
    METRIC(COUNTER, struct nflog_stats, maintenance, "alertmanager_nflog_maintenance_total", "How many maintenances were executed for the notification log."),
    METRIC(COUNTER, struct nflog_stats, maintenance_errors, "alertmanager_nflog_maintenance_errors_total", "How many maintenances were executed for the notification log that failed."),
    METRIC(COUNTER, struct nflog_stats, queries, "alertmanager_nflog_queries_total", "Number of notification log queries were received."),
    METRIC(COUNTER, struct nflog_stats, query_errors, "alertmanager_nflog_query_errors_total", "Number notification log received queries that failed."),
    METRIC(HISTOGRAM, struct nflog_stats, query_duration, "alertmanager_nflog_query_duration_seconds", "Duration of notification log query evaluation."),
    METRIC(COUNTER, struct nflog_stats, propagated, "alertmanager_nflog_gossip_messages_propagated_total", "Number of received gossip messages that have been further gossiped."),
};
const size_t nflog_metrics_count = ARRAY_LEN(nflog_metrics);

static const size_t GOSSIP_BYTES_MAX = 700; /* what peers pass on (spec gossip 13) */

/* ---- Records: reading ---- */

struct parsed {
    struct nflog_entry entry; /* without lists */
    struct str body;          /* the Entry message */
};

static bool parse_receiver(struct str message, struct nflog_receiver *r)
{
    struct pb_reader reader;
    struct pb_field f;
    pb_reader_init(&reader, message);
    *r = (struct nflog_receiver){ .name = STR_EMPTY, .integration = STR_EMPTY };
    while (pb_next(&reader, &f)) {
        if (f.number == 1 && f.type == PB_LEN)
            r->name = f.bytes;
        else if (f.number == 2 && f.type == PB_LEN)
            r->integration = f.bytes;
        else if (f.number == 3 && f.type == PB_VARINT)
            r->idx = (uint32_t)pb_u64(&f);
    }
    return !reader.failed && utf8_valid(r->name) && utf8_valid(r->integration);
}

static bool parse_value(struct str message, struct nflog_value *v)
{
    struct pb_reader r;
    struct pb_field f;
    pb_reader_init(&r, message);
    while (pb_next(&r, &f)) {
        if (f.number == 1 && f.type == PB_LEN) {
            v->kind = NFLOG_STR;
            v->s = f.bytes;
        } else if (f.number == 2 && f.type == PB_VARINT) {
            v->kind = NFLOG_INT;
            v->i = pb_i64(&f);
        } else if (f.number == 3 && f.type == PB_I64) {
            v->kind = NFLOG_DOUBLE;
            v->d = pb_f64(&f);
        }
    }
    return !r.failed && (v->kind != NFLOG_STR || utf8_valid(v->s));
}

static bool parse_data(struct str message, struct nflog_value *v)
{
    struct pb_reader r;
    struct pb_field f;
    pb_reader_init(&r, message);
    *v = (struct nflog_value){ .key = STR_EMPTY, .s = STR_EMPTY };
    bool ok = true;
    while (ok && pb_next(&r, &f)) {
        if (f.number == 1 && f.type == PB_LEN)
            v->key = f.bytes;
        else if (f.number == 2 && f.type == PB_LEN)
            ok = parse_value(f.bytes, v);
    }
    return ok && !r.failed && utf8_valid(v->key);
}

static bool list_valid(const struct pb_field *f)
{
    if (f->type == PB_VARINT)
        return true;
    bool failed = false;
    uint64_t v;
    struct str packed = f->bytes;
    while (f->type == PB_LEN && pb_packed_varint(&packed, &v, &failed))
        continue;
    return f->type == PB_LEN && !failed;
}

/* Walks the Entry once, checking all that query() will read. */
static bool parse_body(struct str body, struct nflog_entry *e, bool *has_receiver)
{
    struct pb_reader r;
    struct pb_field f;
    pb_reader_init(&r, body);
    size_t data_count = 0;
    bool ok = true;
    while (ok && pb_next(&r, &f)) {
        struct nflog_value v;
        if (f.number == 1 && f.type == PB_LEN) {
            e->group_key = f.bytes;
        } else if (f.number == 2 && f.type == PB_LEN) {
            *has_receiver = true;
            ok = parse_receiver(f.bytes, &e->receiver);
        } else if (f.number == 5 && f.type == PB_LEN) {
            ok = pb_read_time(f.bytes, &e->timestamp);
        } else if (f.number == 6 || f.number == 7) {
            ok = list_valid(&f);
        } else if (f.number == 8 && f.type == PB_LEN) {
            ok = ++data_count <= NFLOG_DATA_MAX && parse_data(f.bytes, &v);
        }
    }
    return ok && !r.failed;
}

static bool parse_record(struct str record, struct parsed *p, struct err *err)
{
    struct pb_reader r;
    struct pb_field f;
    *p = (struct parsed){ .entry.group_key = STR_EMPTY };
    if (record.n > NFLOG_RECORD_BYTES_MAX)
        return err_set(err, ERR_CORRUPT, "notification log entry too large: %zu bytes", record.n);
    bool has_entry = false, has_receiver = false, ok = true;
    pb_reader_init(&r, record);
    while (ok && pb_next(&r, &f)) {
        if (f.number == 1 && f.type == PB_LEN) {
            has_entry = true;
            has_receiver = false;
            p->body = f.bytes;
            p->entry = (struct nflog_entry){ .group_key = STR_EMPTY, .expires_at = p->entry.expires_at };
            ok = parse_body(f.bytes, &p->entry, &has_receiver);
        } else if (f.number == 2 && f.type == PB_LEN) {
            ok = pb_read_time(f.bytes, &p->entry.expires_at);
        }
    }
    if (!ok || r.failed)
        return err_set(err, ERR_CORRUPT, "notification log entry: damaged message");
    if (!has_entry || !has_receiver)
        return err_set(err, ERR_CORRUPT, "notification log entry without %s", has_entry ? "receiver" : "entry");
    return true;
}

static size_t count_list(struct str body, uint32_t number)
{
    struct pb_reader r;
    struct pb_field f;
    size_t n = 0;
    pb_reader_init(&r, body);
    while (pb_next(&r, &f)) {
        if (f.number != number)
            continue;
        bool failed = false;
        uint64_t v;
        struct str packed = f.bytes;
        if (f.type == PB_VARINT)
            n++;
        else
            while (pb_packed_varint(&packed, &v, &failed))
                n++;
    }
    return n;
}

static const uint64_t *read_list(struct arena *a, struct str body, uint32_t number, size_t *count)
{
    *count = count_list(body, number);
    uint64_t *list = arena_alloc_array(a, *count, sizeof *list);
    struct pb_reader r;
    struct pb_field f;
    size_t n = 0;
    pb_reader_init(&r, body);
    while (pb_next(&r, &f)) {
        if (f.number != number)
            continue;
        bool failed = false;
        struct str packed = f.bytes;
        if (f.type == PB_VARINT)
            list[n++] = f.value;
        else
            while (n < *count && pb_packed_varint(&packed, &list[n], &failed))
                n++;
    }
    ASSERT(n == *count);
    return list;
}

static const struct nflog_value *read_data(struct arena *a, struct str body, size_t *count)
{
    struct pb_reader r;
    struct pb_field f;
    size_t n = 0;
    pb_reader_init(&r, body);
    while (pb_next(&r, &f))
        n += f.number == 8 && f.type == PB_LEN;
    struct nflog_value *v = arena_alloc_array(a, n, sizeof *v);
    *count = 0;
    pb_reader_init(&r, body);
    while (pb_next(&r, &f)) {
        struct nflog_value value;
        if (f.number != 8 || f.type != PB_LEN || !parse_data(f.bytes, &value))
            continue;
        size_t at = 0; /* a map: the last of equal keys counts */
        while (at < *count && !str_eq(v[at].key, value.key))
            at++;
        v[at] = value;
        *count += at == *count;
    }
    return v;
}

/* ---- Records: writing ---- */

static void write_list(struct buf *out, uint32_t number, const uint64_t *v, size_t n)
{
    if (n == 0)
        return;
    size_t mark = pb_begin(out, number);
    for (size_t i = 0; i < n; i++) {
        uint64_t x = v[i];
        for (; x >= 0x80; x >>= 7)
            buf_byte(out, (char)(x | 0x80));
        buf_byte(out, (char)x);
    }
    pb_end(out, mark);
}

static void write_data(struct buf *out, const struct nflog_value *v)
{
    size_t entry = pb_begin(out, 8);
    pb_write_str(out, 1, v->key);
    size_t value = pb_begin(out, 2);
    switch (v->kind) {
    case NFLOG_STR:
        pb_write_str(out, 1, v->s);
        break;
    case NFLOG_INT:
        pb_write_i64(out, 2, v->i);
        break;
    case NFLOG_DOUBLE:
        pb_write_f64(out, 3, v->d);
        break;
    }
    pb_end(out, value);
    pb_end(out, entry);
}

static void write_record(struct buf *out, const struct nflog_entry *e)
{
    size_t entry = pb_begin(out, 1);
    if (e->group_key.n)
        pb_write_str(out, 1, e->group_key);
    size_t receiver = pb_begin(out, 2);
    if (e->receiver.name.n)
        pb_write_str(out, 1, e->receiver.name);
    if (e->receiver.integration.n)
        pb_write_str(out, 2, e->receiver.integration);
    if (e->receiver.idx)
        pb_write_u64(out, 3, e->receiver.idx);
    pb_end(out, receiver);
    pb_write_time(out, 5, e->timestamp);
    write_list(out, 6, e->firing, e->firing_count);
    write_list(out, 7, e->resolved, e->resolved_count);
    for (size_t i = 0; i < e->data_count; i++)
        write_data(out, &e->data[i]);
    pb_end(out, entry);
    pb_write_time(out, 2, e->expires_at);
}

void nflog_key_write(struct buf *out, struct str group_key, const struct nflog_receiver *r)
{
    buf_str(out, group_key);
    buf_byte(out, ':');
    buf_str(out, r->name);
    buf_byte(out, '/');
    buf_str(out, r->integration);
    buf_byte(out, '/');
    buf_u64(out, r->idx);
}

/* ---- The log ---- */

struct nflog *nflog_new(int64_t retention_ms)
{
    struct nflog *l = MEM_NEW(struct nflog);
    l->retention_ms = retention_ms;
    histogram_init(&l->stats.query_duration, query_bounds, ARRAY_LEN(query_bounds));
    return l;
}

void nflog_free(struct nflog *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->places_count; i++)
        mem_free(l->places[i]);
    mem_free(l->places);
    mem_free(l->free);
    map_deinit(&l->by_key);
    map64_deinit(&l->by_claim);
    buf_deinit(&l->scratch);
    mem_free(l);
}

struct nflog_stats *nflog_stats(struct nflog *l)
{
    return &l->stats;
}

size_t nflog_count(const struct nflog *l)
{
    return l->by_key.count;
}

void nflog_on_merge(struct nflog *l, void (*merged)(void *arg, struct str key), void *arg)
{
    l->merged = merged;
    l->merged_arg = arg;
}

static size_t take_place(struct nflog *l)
{
    if (l->free_count)
        return l->free[--l->free_count];
    if (l->places_count == l->places_capacity) {
        l->places_capacity = mem_grow(l->places_capacity, l->places_count + 1);
        l->places = mem_realloc_array(l->places, l->places_capacity, sizeof *l->places);
    }
    return l->places_count++;
}

static void remove_place(struct nflog *l, struct place *p)
{
    map_remove(&l->by_key, p->key);
    if (map64_get(&l->by_claim, claim_key(p->key)) == p)
        map64_remove(&l->by_claim, claim_key(p->key));
    l->places[p->at] = NULL;
    if (l->free_count == l->free_capacity) {
        l->free_capacity = mem_grow(l->free_capacity, l->free_count + 1);
        l->free = mem_realloc_array(l->free, l->free_capacity, sizeof *l->free);
    }
    l->free[l->free_count++] = p->at;
    mem_free(p);
}

/* The record under this key from now on. */
static void put(struct nflog *l, struct str key, struct str record, struct wire_time timestamp,
                struct wire_time expires_at)
{
    struct place *p = mem_alloc(sizeof *p + key.n + record.n);
    char *text = (char *)(p + 1);
    memcpy(text, key.p, key.n);
    memcpy(text + key.n, record.p, record.n);
    p->key = str_of(text, key.n);
    p->record = str_of(text + key.n, record.n);
    p->timestamp = timestamp;
    p->expires_at = expires_at;
    struct place *before = map_put(&l->by_key, p->key, p);
    p->at = before ? before->at : take_place(l);
    l->places[p->at] = p;
    map64_put(&l->by_claim, claim_key(p->key), p);
    mem_free(before);
}

bool nflog_timestamp(const struct nflog *l, struct str key, struct wire_time *timestamp)
{
    const struct place *p = map_get(&l->by_key, key);
    if (!p)
        return false;
    *timestamp = p->timestamp;
    return true;
}

static void append_record(const struct place *p, struct buf *out)
{
    size_t mark = pb_begin_delimited(out);
    buf_str(out, p->record);
    pb_end(out, mark);
}

bool nflog_newer(const struct nflog *l, uint64_t claim, struct wire_time seen, struct buf *record)
{
    const struct place *p = map64_get(&l->by_claim, claim);
    if (!p || wire_time_cmp(p->timestamp, seen) <= 0)
        return false;
    append_record(p, record);
    return true;
}

bool nflog_query(struct nflog *l, struct arena *a, struct str key, struct nflog_entry *e)
{
    struct stopwatch watch = stopwatch_start();
    counter_add(&l->stats.queries, 1);
    const struct place *p = map_get(&l->by_key, key);
    if (p) {
        struct parsed parsed;
        struct err err;
        bool ok = parse_record(p->record, &parsed, &err);
        ASSERT(ok); /* it was checked on its way in */
        *e = parsed.entry;
        e->firing = read_list(a, parsed.body, 6, &e->firing_count);
        e->resolved = read_list(a, parsed.body, 7, &e->resolved_count);
        e->data = read_data(a, parsed.body, &e->data_count);
    } else {
        counter_add(&l->stats.query_errors, 1);
    }
    histogram_observe(&l->stats.query_duration, stopwatch_seconds(watch));
    return p != NULL;
}

void nflog_log(struct nflog *l, struct wire_time now, const struct nflog_entry *entry, int64_t repeat_interval_ms,
               struct buf *record)
{
    struct buf key = { 0 };
    nflog_key_write(&key, entry->group_key, &entry->receiver);
    struct nflog_entry e = *entry;
    e.timestamp = now;
    struct wire_time stored;
    if (nflog_timestamp(l, buf_view(&key), &stored) && wire_time_cmp(stored, now) >= 0)
        e.timestamp = wire_time_add_ns(stored, 1);
    int64_t life_ms, twice_ms;
    life_ms = l->retention_ms;
    if (!__builtin_mul_overflow(repeat_interval_ms, INT64_C(2), &twice_ms) && twice_ms > 0 && twice_ms < life_ms)
        life_ms = twice_ms;
    e.expires_at = wire_time_add_ms(e.timestamp, life_ms);
    size_t begin = pb_begin_delimited(record);
    write_record(record, &e);
    pb_end(record, begin);
    buf_reset(&l->scratch);
    write_record(&l->scratch, &e);
    put(l, buf_view(&key), buf_view(&l->scratch), e.timestamp, e.expires_at);
    buf_deinit(&key);
}

bool nflog_gc(struct nflog *l, struct wire_time now, size_t *cursor, size_t count_max)
{
    for (size_t seen = 0; *cursor < l->places_count && seen < count_max; seen++) {
        struct place *p = l->places[(*cursor)++];
        if (p && wire_time_cmp(p->expires_at, now) <= 0)
            remove_place(l, p);
    }
    return *cursor < l->places_count;
}

/* ---- Replication and files ---- */

static bool check(struct str bytes, struct err *err)
{
    bool failed = false;
    struct str record;
    struct parsed p;
    while (pb_delimited(&bytes, &record, &failed))
        if (!parse_record(record, &p, err))
            return false;
    return failed ? err_set(err, ERR_CORRUPT, "notification log: truncated message") : true;
}

/* Takes the record if it is news by upstream's rule. */
static bool merge_record(struct nflog *l, struct str record, bool loading, struct wire_time now)
{
    struct parsed p;
    struct err err;
    if (!parse_record(record, &p, &err))
        return false;
    const struct nflog_entry *e = &p.entry;
    if (!loading && wire_time_cmp(e->expires_at, now) < 0)
        return false;
    buf_reset(&l->scratch);
    nflog_key_write(&l->scratch, e->group_key, &e->receiver);
    struct wire_time stored;
    if (nflog_timestamp(l, buf_view(&l->scratch), &stored) && wire_time_cmp(stored, e->timestamp) >= 0)
        return false;
    put(l, buf_view(&l->scratch), record, e->timestamp, e->expires_at);
    if (l->merged && !loading)
        l->merged(l->merged_arg, buf_view(&l->scratch));
    return true;
}

static size_t merge(void *state, struct wire_time now, struct str bytes, size_t records_max, replica_changed *changed,
                    void *arg)
{
    struct nflog *l = state;
    struct str rest = bytes, record;
    bool failed = false;
    for (size_t n = 0; n < records_max; n++) {
        const char *begin = rest.p;
        if (!pb_delimited(&rest, &record, &failed))
            return bytes.n;
        if (!merge_record(l, record, false, now))
            continue;
        struct str whole = str_of(begin, (size_t)(rest.p - begin));
        if (whole.n <= GOSSIP_BYTES_MAX)
            counter_add(&l->stats.propagated, 1);
        if (changed)
            changed(arg, whole);
    }
    return bytes.n - rest.n;
}

static bool encode(const void *state, uint64_t *cursor, size_t bytes_max, struct buf *out)
{
    const struct nflog *l = state;
    size_t begin = out->n;
    while (*cursor < l->places_count && out->n - begin < bytes_max) {
        const struct place *p = l->places[(*cursor)++];
        if (p)
            append_record(p, out);
    }
    return *cursor < l->places_count;
}

struct replica nflog_replica(struct nflog *l)
{
    return (struct replica){ .key = STR("nfl"), .state = l, .check = check, .merge = merge, .encode = encode };
}

bool nflog_load(struct nflog *l, struct str bytes, struct err *err)
{
    if (!check(bytes, err))
        return false;
    bool failed = false;
    struct str record;
    while (pb_delimited(&bytes, &record, &failed))
        merge_record(l, record, true, WIRE_TIME_ZERO);
    return true;
}
