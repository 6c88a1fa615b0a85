/* The silence store.
 *
 * S1  An id has one live entry; an entry that is dead is in no place, in no index, and only remembered by alerts.
 * S2  Live entries that can mute and have not been seen expired are in the index. What has expired leaves it when a
 *     query or garbage collection meets it; a record that gives it a later end puts it back.
 * S3  Every change of the set of values moves `version`; views and readers go by it.
 * S4  A local change is newer than what it replaces (updated_at at least one nanosecond later), so that it wins with
 *     every peer whatever the clocks say.
 * S5  Nothing is changed before every check has passed. */
#include "silence/store_int.h"

#include "base/mem.h"
#include "base/stopwatch.h"
#include "base/utf8.h"
#include "wire/pb.h"

#include <stdlib.h>

static const size_t GOSSIP_BYTES_MAX = 700; /* what peers pass on (spec gossip 13) */
static const double query_bounds[] = { .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10 };

#define SIL(kind, field, name, help, ...) METRIC(kind, struct silence_stats, field, "alertmanager_silences" name, help, __VA_ARGS__)
const struct metric_desc silence_metrics[] = {
    SIL(GAUGE, active, "", "How many silences by state.", "state=active"),
    SIL(GAUGE, pending, "", "How many silences by state.", "state=pending"),
    SIL(GAUGE, expired, "", "How many silences by state.", "state=expired"),
    SIL(SUMMARY, gc_duration, "_gc_duration_seconds", "Duration of the last silence garbage collection cycle.", ""),
    SIL(SUMMARY, snapshot_duration, "_snapshot_duration_seconds", "Duration of the last silence snapshot.", ""),
    SIL(GAUGE, snapshot_size, "_snapshot_size_bytes", "Size of the last silence snapshot in bytes.", ""),
    SIL(GAUGE, state_size, "_state_size", "The number of silences in the state.", ""),
    SIL(GAUGE, matcher_index_size, "_matcher_index_size", "The number of silences with compiled matchers.", ""),
    SIL(GAUGE, version_index_size, "_version_index_size", "The number of silences in the version index.", ""),
    SIL(COUNTER, gc_errors, "_gc_errors_total", "How many silence garbage collections failed.", ""),
    SIL(COUNTER, maintenance, "_maintenance_total", "How many maintenances were executed for silences.", ""),
    SIL(COUNTER, maintenance_errors, "_maintenance_errors_total", "How many maintenances were executed for silences that failed.", ""),
    SIL(COUNTER, queries, "_queries_total", "How many silence queries were received.", ""),
    SIL(COUNTER, query_errors, "_query_errors_total", "How many silence received queries did not succeed.", ""),
    SIL(COUNTER, scanned, "_query_silences_scanned_total", "How many silences were scanned in query evaluation.", ""),
    SIL(COUNTER, skipped, "_query_silences_skipped_total", "How many silences were skipped in query evaluation using the index.", ""),
    SIL(COUNTER, propagated, "_gossip_messages_propagated_total", "Number of received gossip messages that have been further gossiped.", ""),
    SIL(COUNTER, compile_errors_index, "_matcher_compile_errors_total", "Number of silence matcher compilation failures.", "stage=index"),
    SIL(COUNTER, compile_errors_load, "_matcher_compile_errors_total", "Number of silence matcher compilation failures.", "stage=load_snapshot"),
    SIL(HISTOGRAM, query_duration, "_query_duration_seconds", "Duration of silence query evaluation.", ""),
};
const size_t silence_metrics_count = ARRAY_LEN(silence_metrics);

/* ---- Entries ---- */

void silence_entry_retain(struct entry *e)
{
    e->refs++;
}

void silence_entry_release(struct entry *e)
{
    ASSERT(e->refs > 0);
    if (--e->refs)
        return;
    ASSERT(e->dead);
    silence_release(e->value);
    mem_free(e);
}

static size_t take_place(struct silence_store *st)
{
    if (st->free_count)
        return st->free[--st->free_count];
    if (st->places_count == st->places_capacity) {
        st->places_capacity = mem_grow(st->places_capacity, st->places_count + 1);
        st->places = mem_realloc_array(st->places, st->places_capacity, sizeof *st->places);
    }
    return st->places_count++;
}

static void give_place(struct silence_store *st, size_t at)
{
    st->places[at] = NULL;
    if (st->free_count == st->free_capacity) {
        st->free_capacity = mem_grow(st->free_capacity, st->free_count + 1);
        st->free = mem_realloc_array(st->free, st->free_capacity, sizeof *st->free);
    }
    st->free[st->free_count++] = at;
}

static void entry_kill(struct silence_store *st, struct entry *e)
{
    ASSERT(!e->dead);
    silence_index_remove(&st->index, e);
    map_remove(&st->by_id, e->value->id);
    give_place(st, e->at);
    st->uncompiled_count -= e->value->uncompiled;
    e->dead = true;
    silence_entry_release(e);
}

static void fresh_add(struct silence_store *st, struct entry *e)
{
    if (!st->has_silencer || e->queued || e->value->inert)
        return;
    if (st->fresh_first + st->fresh_count == st->fresh_capacity) {
        if (st->fresh_first) {
            memmove(st->fresh, st->fresh + st->fresh_first, st->fresh_count * sizeof *st->fresh);
            st->fresh_first = 0;
        }
        st->fresh_capacity = mem_grow(st->fresh_capacity, st->fresh_count + 1);
        st->fresh = mem_realloc_array(st->fresh, st->fresh_capacity, sizeof *st->fresh);
    }
    e->queued = true;
    silence_entry_retain(e);
    st->fresh[st->fresh_first + st->fresh_count++] = e;
}

struct entry *silence_store_fresh(const struct silence_store *st)
{
    return st->fresh_count ? st->fresh[st->fresh_first] : NULL;
}

size_t silence_store_fresh_count(const struct silence_store *st)
{
    return st->fresh_count;
}

void silence_store_fresh_done(struct silence_store *st)
{
    struct entry *e = silence_store_fresh(st);
    ASSERT(e && e->queued);
    e->queued = false;
    st->fresh_first++;
    if (--st->fresh_count == 0)
        st->fresh_first = 0;
    silence_entry_release(e);
}

/* The value under its id from now on; takes the reference. */
static struct entry *put(struct silence_store *st, struct silence *value, struct wire_time expires_at)
{
    struct entry *e = map_get(&st->by_id, value->id);
    bool lasts_longer = false;
    st->version++;
    if (e && !silence_sets_eq(e->value->sets, e->value->sets_count, value->sets, value->sets_count)) {
        entry_kill(st, e);
        e = NULL;
    }
    if (!e) {
        e = MEM_NEW(struct entry);
        e->refs = 1;
        e->at = take_place(st);
        st->places[e->at] = e;
        st->uncompiled_count += value->uncompiled;
    } else {
        map_remove(&st->by_id, value->id); /* its key belongs to the value that goes */
        lasts_longer = wire_time_cmp(e->value->ends_at, value->ends_at) < 0;
        silence_release(e->value);
    }
    bool was_indexed = e->indexed;
    e->value = value;
    e->expires_at = expires_at;
    map_put(&st->by_id, value->id, e);
    silence_index_add(&st->index, e);
    if (!was_indexed || lasts_longer) /* an alert that was asked while it was expired does not remember it */
        fresh_add(st, e);
    return e;
}

/* ---- Life cycle ---- */

struct silence_store *silence_store_new(const struct silence_options *options)
{
    struct silence_store *st = MEM_NEW(struct silence_store);
    st->options = *options;
    histogram_init(&st->stats.query_duration, query_bounds, ARRAY_LEN(query_bounds));
    return st;
}

void silence_store_free(struct silence_store *st)
{
    if (!st)
        return;
    ASSERT(!st->has_silencer);
    while (st->fresh_count)
        silence_store_fresh_done(st);
    for (size_t i = 0; i < st->places_count; i++)
        if (st->places[i])
            entry_kill(st, st->places[i]);
    silence_view_release(st->view);
    mem_free(st->places);
    mem_free(st->free);
    mem_free(st->fresh);
    map_deinit(&st->by_id);
    silence_index_deinit(&st->index);
    buf_deinit(&st->scratch);
    mem_free(st);
}

struct silence_stats *silence_store_stats(struct silence_store *st)
{
    return &st->stats;
}

void silence_store_collect(struct silence_store *st, struct wire_time now)
{
    size_t counts[SILENCE_EXPIRED + 1] = { 0 };
    for (size_t i = 0; i < st->places_count; i++)
        if (st->places[i] && !st->places[i]->value->uncompiled)
            counts[silence_state_at(st->places[i]->value, now)]++;
    gauge_set(&st->stats.active, (double)counts[SILENCE_ACTIVE]);
    gauge_set(&st->stats.pending, (double)counts[SILENCE_PENDING]);
    gauge_set(&st->stats.expired, (double)counts[SILENCE_EXPIRED]);
    gauge_set(&st->stats.state_size, (double)st->by_id.count);
    gauge_set(&st->stats.matcher_index_size, (double)(st->by_id.count - st->uncompiled_count));
    gauge_set(&st->stats.version_index_size, (double)(st->by_id.count - st->uncompiled_count));
}

/* ---- Commands ---- */

void silence_changes_deinit(struct silence_changes *c)
{
    for (size_t i = 0; i < c->n; i++)
        silence_release(c->v[i].silence);
    c->n = 0;
}

void silence_record_append(struct buf *out, const struct silence *s)
{
    size_t mark = pb_begin_delimited(out);
    buf_str(out, s->record);
    pb_end(out, mark);
}

static bool matches_empty(const struct matcher *m, const struct regex *re)
{
    switch (m->op) {
    case MATCH_EQ:
        return m->value.n == 0;
    case MATCH_RE:
        return regex_match(re, STR_EMPTY);
    case MATCH_NE:
    case MATCH_NRE:
        return false;
    }
    return false;
}

static void quote(struct buf *b, struct str s)
{
    buf_reset(b);
    go_quote(b, str_sub(s, 0, 256));
}

static bool validate_matcher(const struct silence_store *st, const struct matcher *m, bool *empty, struct buf *quoted,
                             struct err *err)
{
    bool name_ok = st->options.mode == MATCHER_CLASSIC ? label_name_is_classic(m->name) : label_name_is_utf8(m->name);
    if (!name_ok) {
        quote(quoted, m->name);
        return err_set(err, ERR_INVALID, "invalid label name %.*s", STR_ARG(buf_view(quoted)));
    }
    struct regex *re = NULL;
    quote(quoted, m->value);
    if (m->op == MATCH_RE || m->op == MATCH_NRE) {
        re = regex_compile(m->value, 0, err);
        if (!re)
            return err_wrap(err, "invalid regular expression %.*s", STR_ARG(buf_view(quoted)));
    } else if (!utf8_valid(m->value)) {
        return err_set(err, ERR_INVALID, "invalid label value %.*s", STR_ARG(buf_view(quoted)));
    }
    *empty = matches_empty(m, re);
    if (re)
        regex_release(re);
    return true;
}

static bool validate_set(const struct silence_store *st, const struct matchers *set, size_t number, struct buf *quoted,
                         struct err *err)
{
    if (set->n == 0)
        return err_set(err, ERR_INVALID, "matcher set %zu is empty", number);
    bool all_empty = true;
    for (size_t i = 0; i < set->n; i++) {
        bool empty = false;
        if (!validate_matcher(st, &set->v[i], &empty, quoted, err))
            return err_wrap(err, "invalid label matcher %zu in set %zu", i, number);
        all_empty = all_empty && empty;
    }
    if (all_empty)
        return err_set(err, ERR_INVALID, "matcher set %zu: at least one matcher must not match the empty string",
                       number);
    return true;
}

static bool validate(const struct silence_store *st, const struct silence_spec *spec, struct wire_time starts_at,
                     struct err *err)
{
    struct buf quoted = { 0 };
    size_t matchers = 0;
    bool ok = true;
    for (size_t i = 0; i < spec->sets_count; i++)
        matchers += spec->sets[i].n;
    if (spec->sets_count == 0)
        ok = err_set(err, ERR_INVALID, "at least one matcher set required");
    else if (spec->sets_count > SILENCE_SETS_MAX || matchers > SILENCE_MATCHERS_MAX / 2 ||
             spec->annotations.n > SILENCE_ANNOTATIONS_MAX)
        ok = err_set(err, ERR_INVALID, "too many matchers or annotations");
    for (size_t i = 0; ok && i < spec->sets_count; i++)
        ok = validate_set(st, &spec->sets[i], i, &quoted, err);
    if (ok && wire_time_is_zero(spec->ends_at))
        ok = err_set(err, ERR_INVALID, "invalid zero end timestamp");
    if (ok && wire_time_cmp(spec->ends_at, starts_at) < 0)
        ok = err_set(err, ERR_INVALID, "end time must not be before start time");
    buf_deinit(&quoted);
    return ok ? true : err_wrap(err, "invalid silence");
}

static bool can_update(const struct silence *prev, const struct silence_spec *spec, struct wire_time starts_at,
                       struct wire_time now)
{
    if (!silence_sets_eq(prev->sets, prev->sets_count, spec->sets, spec->sets_count))
        return false;
    switch (silence_state_at(prev, now)) {
    case SILENCE_ACTIVE:
        return starts_at.s == prev->starts_at.s && wire_time_cmp(spec->ends_at, now) >= 0;
    case SILENCE_PENDING:
        return wire_time_cmp(starts_at, now) >= 0;
    case SILENCE_EXPIRED:
        return false;
    }
    return false;
}

static struct wire_time newer_than(struct wire_time now, const struct silence *prev)
{
    return wire_time_cmp(prev->updated_at, now) < 0 ? now : wire_time_add_ns(prev->updated_at, 1);
}

/* The value that these parts make, with its expiry. NULL and ERR_LIMIT, ERR_INVALID if it is too large. */
static struct silence *build(struct silence_store *st, struct silence_parts *p, bool limited, struct err *err)
{
    p->expires_at = wire_time_add_ms(p->ends_at, st->options.retention_ms);
    struct buf record = { 0 };
    silence_record_write(&record, p);
    struct silence *s = NULL;
    struct wire_time expires_at;
    struct err why = { 0 };
    size_t size = silence_record_limited_bytes(buf_view(&record));
    if (limited && st->options.size_bytes_max > 0 && size > (uint64_t)st->options.size_bytes_max)
        err_set(err, ERR_LIMIT, "silence exceeded maximum size: %zu bytes (limit: %lld bytes)", size,
                (long long)st->options.size_bytes_max);
    else if (silence_record_check(buf_view(&record), err))
        s = silence_from_record(buf_view(&record), &st->scratch, &expires_at, &why);
    buf_deinit(&record);
    return s;
}

static void note_change(struct silence_changes *c, int kind, const struct silence *s)
{
    ASSERT(c->n < ARRAY_LEN(c->v));
    c->v[c->n].kind = kind;
    c->v[c->n++].silence = silence_retain(s);
}

static struct silence *build_expired(struct silence_store *st, const struct silence *prev, struct wire_time now)
{
    struct silence_parts p = {
        .id = prev->id,
        .sets = prev->sets,
        .sets_count = prev->sets_count,
        .starts_at = silence_state_at(prev, now) == SILENCE_PENDING ? now : prev->starts_at,
        .ends_at = now,
        .updated_at = newer_than(now, prev),
        .created_by = prev->created_by,
        .comment = prev->comment,
        .annotations = prev->annotations,
        .base = prev->record,
    };
    struct err err;
    struct silence *s = build(st, &p, false, &err);
    ASSERT(s); /* its texts were good before */
    return s;
}

static void expire(struct silence_store *st, const struct silence *prev, struct wire_time now,
                   struct silence_changes *changes)
{
    struct silence *s = build_expired(st, prev, now);
    struct wire_time expires_at = wire_time_add_ms(s->ends_at, st->options.retention_ms);
    put(st, s, expires_at);
    note_change(changes, SILENCE_EXPIRED_NOW, s);
}

static void uuid_v4(struct rng *rng, char out[SILENCE_ID_TEXT])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t b[16];
    rng_bytes(rng, b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    size_t at = 0;
    for (size_t i = 0; i < sizeof b; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        out[at++] = hex[b[i] >> 4];
        out[at++] = hex[b[i] & 15];
    }
    ASSERT(at == SILENCE_ID_TEXT);
}

bool silence_store_set(struct silence_store *st, struct wire_time now, const struct silence_spec *spec, struct rng *rng,
                       char id_out[SILENCE_ID_TEXT], struct silence_changes *changes, struct err *err)
{
    *changes = (struct silence_changes){ 0 };
    struct silence_parts p = {
        .id = spec->id,
        .sets = spec->sets,
        .sets_count = spec->sets_count,
        .starts_at = wire_time_is_zero(spec->starts_at) ? now : spec->starts_at,
        .ends_at = spec->ends_at,
        .updated_at = now,
        .created_by = spec->created_by,
        .comment = spec->comment,
        .annotations = spec->annotations,
    };
    if (!validate(st, spec, p.starts_at, err))
        return false;
    const struct silence *prev = spec->id.n ? silence_store_get(st, spec->id) : NULL;
    if (spec->id.n && !prev)
        return err_set(err, ERR_NOT_FOUND, "silence not found");
    bool in_place = prev && can_update(prev, spec, p.starts_at, now);
    if (in_place) {
        p.updated_at = newer_than(now, prev);
        ASSERT(prev->id.n == SILENCE_ID_TEXT || prev->id.n > 0);
        memcpy(id_out, prev->id.p, prev->id.n < SILENCE_ID_TEXT ? prev->id.n : SILENCE_ID_TEXT);
    } else {
        size_t count = st->by_id.count;
        if (st->options.silences_max > 0 && count + 1 > (uint64_t)st->options.silences_max)
            return err_set(err, ERR_LIMIT, "exceeded maximum number of silences: %zu (limit: %lld)", count,
                           (long long)st->options.silences_max);
        uuid_v4(rng, id_out);
        p.id = str_of(id_out, SILENCE_ID_TEXT);
        if (wire_time_cmp(p.starts_at, now) < 0)
            p.starts_at = now;
    }
    struct silence *s = build(st, &p, true, err);
    if (!s)
        return false;
    if (!in_place && prev && silence_state_at(prev, now) != SILENCE_EXPIRED)
        expire(st, prev, now, changes);
    put(st, s, p.expires_at);
    note_change(changes, in_place ? SILENCE_UPDATED : SILENCE_CREATED, s);
    return true;
}

bool silence_store_expire(struct silence_store *st, struct wire_time now, struct str id,
                          struct silence_changes *changes, struct err *err)
{
    *changes = (struct silence_changes){ 0 };
    const struct silence *prev = silence_store_get(st, id);
    if (!prev)
        return err_set(err, ERR_NOT_FOUND, "silence not found");
    if (silence_state_at(prev, now) != SILENCE_EXPIRED)
        expire(st, prev, now, changes);
    return true;
}

bool silence_store_gc(struct silence_store *st, struct wire_time now, size_t *cursor, size_t count_max)
{
    for (size_t seen = 0; *cursor < st->places_count && seen < count_max; seen++) {
        struct entry *e = st->places[(*cursor)++];
        if (!e)
            continue;
        if (wire_time_cmp(e->expires_at, now) <= 0) {
            entry_kill(st, e);
            st->version++;
        } else if (silence_state_at(e->value, now) == SILENCE_EXPIRED) {
            silence_index_remove(&st->index, e);
        }
    }
    return *cursor < st->places_count;
}

/* ---- Replication and files ---- */

static bool check(struct str bytes, struct err *err)
{
    bool failed = false;
    struct str record;
    while (pb_delimited(&bytes, &record, &failed))
        if (!silence_record_check(record, err))
            return false;
    return failed ? err_set(err, ERR_CORRUPT, "silences: truncated message") : true;
}

/* Newer wins; of two that were updated at the same instant the one that lasts longer. */
static bool is_news(const struct entry *e, const struct silence *s)
{
    if (!e)
        return true;
    int order = wire_time_cmp(e->value->updated_at, s->updated_at);
    return order < 0 || (order == 0 && wire_time_cmp(e->value->ends_at, s->ends_at) < 0);
}

static struct entry *merge_record(struct silence_store *st, struct str record, bool loading, struct wire_time now,
                                  struct err *why)
{
    struct err err;
    struct wire_time expires_at;
    if (!silence_record_check(record, &err))
        return NULL;
    struct silence *s = silence_from_record(record, &st->scratch, &expires_at, why);
    bool refused = !loading && wire_time_cmp(expires_at, now) < 0;
    if (refused || !is_news(map_get(&st->by_id, s->id), s)) {
        silence_release(s);
        return NULL;
    }
    return put(st, s, expires_at);
}

static size_t merge(void *state, struct wire_time now, struct str bytes, size_t records_max, replica_changed *changed,
                    void *arg)
{
    struct silence_store *st = state;
    struct str rest = bytes, record;
    struct buf framed = { 0 };
    bool failed = false;
    for (size_t n = 0; n < records_max; n++) {
        if (!pb_delimited(&rest, &record, &failed)) {
            rest = STR_EMPTY;
            break;
        }
        struct err why = { 0 };
        const struct entry *e = merge_record(st, record, false, now, &why);
        if (!e)
            continue;
        counter_add(&st->stats.compile_errors_index, e->value->uncompiled);
        if (e->value->unsendable)
            continue;
        buf_reset(&framed);
        silence_record_append(&framed, e->value);
        if (framed.n <= GOSSIP_BYTES_MAX)
            counter_add(&st->stats.propagated, 1);
        if (changed)
            changed(arg, buf_view(&framed));
    }
    buf_deinit(&framed);
    return bytes.n - rest.n;
}

static bool encode_all(const struct silence_store *st, uint64_t *cursor, size_t bytes_max, bool unsendable,
                       struct buf *out)
{
    size_t begin = out->n;
    while (*cursor < st->places_count && out->n - begin < bytes_max) {
        const struct entry *e = st->places[(*cursor)++];
        if (e && (unsendable || !e->value->unsendable))
            silence_record_append(out, e->value);
    }
    return *cursor < st->places_count;
}

static bool encode(const void *state, uint64_t *cursor, size_t bytes_max, struct buf *out)
{
    return encode_all(state, cursor, bytes_max, false, out);
}

bool silence_store_snapshot(const struct silence_store *st, uint64_t *cursor, size_t bytes_max, struct buf *out)
{
    return encode_all(st, cursor, bytes_max, true, out);
}

struct replica silence_store_replica(struct silence_store *st)
{
    return (struct replica){ .key = STR("sil"), .state = st, .check = check, .merge = merge, .encode = encode };
}

bool silence_store_load(struct silence_store *st, struct str bytes,
                        void (*bad)(void *arg, struct str id, const struct err *why), void *arg, struct err *err)
{
    if (!check(bytes, err))
        return false;
    bool failed = false;
    struct str record;
    while (pb_delimited(&bytes, &record, &failed)) {
        struct err why = { 0 };
        const struct entry *e = merge_record(st, record, true, WIRE_TIME_ZERO, &why);
        if (!e || !e->value->uncompiled)
            continue;
        counter_add(&st->stats.compile_errors_load, 1);
        if (bad)
            bad(arg, e->value->id, &why);
    }
    return true;
}

/* ---- Queries ---- */

const struct silence *silence_store_get(const struct silence_store *st, struct str id)
{
    const struct entry *e = map_get(&st->by_id, id);
    return e && !e->value->uncompiled ? e->value : NULL;
}

size_t silence_store_count(const struct silence_store *st)
{
    return st->by_id.count;
}

uint64_t silence_store_version(const struct silence_store *st)
{
    return st->version;
}

static void edge_offer(struct silence_store *st, struct wire_time now, struct wire_time t)
{
    if (wire_time_cmp(t, now) > 0 && wire_time_cmp(t, st->edge) < 0)
        st->edge = t;
}

struct wire_time silence_store_next_edge(struct silence_store *st, struct wire_time now)
{
    bool known = st->edge_version == st->version + 1; /* + 1: zero is "never" */
    if (known && wire_time_cmp(now, st->edge) < 0)
        return st->edge;
    st->edge = (struct wire_time){ 253402300799, 0 };
    st->edge_version = st->version + 1;
    for (size_t i = 0; i < st->places_count; i++) {
        if (!st->places[i])
            continue;
        const struct silence *s = st->places[i]->value;
        edge_offer(st, now, s->starts_at);
        edge_offer(st, now, wire_time_add_ns(s->ends_at, 1)); /* both ends belong to it */
    }
    return st->edge;
}

struct match_walk {
    struct silence_store *st;
    struct wire_time now;
    void (*visit)(void *arg, struct entry *e);
    void *arg;
    struct entry *stale; /* met expired; one a query is enough */
};

static void match_visit(void *arg, struct entry *e)
{
    struct match_walk *w = arg;
    if (e->seen == w->st->queries)
        return;
    e->seen = w->st->queries;
    if (silence_state_at(e->value, w->now) == SILENCE_EXPIRED)
        w->stale = e;
    else
        w->visit(w->arg, e);
}

void silence_store_visit(struct silence_store *st, struct wire_time now, struct labels ls,
                 void (*visit)(void *arg, struct entry *e), void *arg)
{
    struct match_walk w = { .st = st, .now = now, .visit = visit, .arg = arg };
    struct stopwatch watch = stopwatch_start();
    st->queries++;
    size_t looked = silence_index_match(&st->index, ls, match_visit, &w);
    if (w.stale)
        silence_index_remove(&st->index, w.stale);
    counter_add(&st->stats.queries, 1);
    counter_add(&st->stats.scanned, looked);
    counter_add(&st->stats.skipped, st->by_id.count > looked ? st->by_id.count - looked : 0);
    histogram_observe(&st->stats.query_duration, stopwatch_seconds(watch));
}

struct id_list {
    struct wire_time now;
    struct str *ids;
    size_t n, max;
};

static void collect_active(void *arg, struct entry *e)
{
    struct id_list *l = arg;
    if (silence_state_at(e->value, l->now) != SILENCE_ACTIVE)
        return;
    if (l->n < l->max)
        l->ids[l->n] = e->value->id;
    l->n++;
}

static int compare_ids(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

size_t silence_store_match(const struct silence_store *st, struct wire_time now, struct labels ls, struct str *ids,
                           size_t ids_max)
{
    struct id_list l = { .now = now, .ids = ids, .max = ids_max };
    silence_store_visit((struct silence_store *)(uintptr_t)st, now, ls, collect_active, &l); /* counts, drops what expired */
    size_t written = l.n < ids_max ? l.n : ids_max;
    if (written > 1)
        qsort(ids, written, sizeof *ids, compare_ids);
    return l.n;
}
