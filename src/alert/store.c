/* The alert store.
 *
 * Slots live in chunks that never move; a slot's number is its place in them and is reused after its end. The index by
 * fingerprint leads to a slot as long as it lives.
 *
 *            put, merge                    gc                      last reference
 *   (none) ------------->  listed  ------------------>  unlisted ------------------>  (none)
 *                            ^  |  gc, no reference          |
 *                            |  +----------------------------|----------------------> (none)
 *                            +-------------------------------+  put, merge: the same slot again
 *
 * S1  listed slots: in the index by fingerprint, in the label index, counted in `count`.
 * S2  unlisted slots: in the index by fingerprint, refs > 0, in nothing else.
 * S3  held implies listed.
 *
 * The path that matters is the unchanged re-send: fingerprint, one lookup, a comparison of annotations, two stores. */
#include "alert/store.h"

#include "alert/family_int.h"
#include "alert/fp_index_int.h"
#include "alert/label_index_int.h"
#include "alert/limit_int.h"
#include "base/mem.h"

enum { CHUNK_BITS = 10, CHUNK_SLOTS = 1 << CHUNK_BITS };

struct end_hook {
    void (*end)(void *arg, struct alert_slot *s);
    void *arg;
};
struct alert_store {
    struct alert_slot **chunks;
    size_t chunks_count, chunks_capacity;
    uint32_t used;   /* slots ever taken: numbers below it may be alive */
    uint32_t *free;  /* numbers that are free again */
    size_t free_count, free_capacity;
    struct fp_index by_fp;
    size_t slots;    /* alive */
    size_t count;    /* listed */
    size_t held_count;
    struct wire_time alive; /* of the process before, as alert_store_restored() was told */
    uint64_t version, stamp;
    struct alert_families families;
    struct label_index labels;
    struct limit limit;
    bool names_in_metrics;
    struct end_hook hooks[ALERT_MEMOS];
    struct alert_stats stats;
};

const struct metric_desc alert_metrics[] = {
    METRIC(GAUGE, struct alert_stats, limit, "alertmanager_alerts_per_alert_limit", "Current limit on number of alerts per alertname."),
    METRIC(COUNTER, struct alert_stats, limited, "alertmanager_alerts_limited_total", "Total number of alerts that were dropped due to per alert name limit."),
};
const size_t alert_metrics_count = ARRAY_LEN(alert_metrics);
const struct metric_desc alert_metrics_named[] = {
    METRIC(GAUGE, struct alert_stats, limit, "alertmanager_alerts_per_alert_limit", "Current limit on number of alerts per alertname."),
    METRIC_VEC(COUNTER, struct alert_stats, limited_named, "alertmanager_alerts_limited_total", "Total number of alerts that were dropped due to per alert name limit.", "alertname"),
};
const size_t alert_metrics_named_count = ARRAY_LEN(alert_metrics_named);

/* ---- Slots ---- */

static struct alert_slot *slot_at(const struct alert_store *st, uint32_t index)
{
    ASSERT(index < st->used);
    return &st->chunks[index >> CHUNK_BITS][index & (CHUNK_SLOTS - 1)];
}

static struct alert_slot *find(const struct alert_store *st, fingerprint fp)
{
    uint32_t index;
    for (size_t at = FP_INDEX_START; fp_index_next(&st->by_fp, fp, &at, &index);)
        if (slot_at(st, index)->fp == fp)
            return slot_at(st, index);
    return NULL;
}

static struct alert_slot *slot_new(struct alert_store *st, fingerprint fp)
{
    uint32_t index;
    if (st->free_count) {
        index = st->free[--st->free_count];
    } else {
        index = st->used;
        if (index >> CHUNK_BITS == st->chunks_count) {
            if (st->chunks_count == st->chunks_capacity) {
                st->chunks_capacity = mem_grow(st->chunks_capacity, st->chunks_count + 1);
                st->chunks = mem_realloc_array(st->chunks, st->chunks_capacity, sizeof *st->chunks);
            }
            st->chunks[st->chunks_count++] = mem_alloc_array(CHUNK_SLOTS, sizeof(struct alert_slot));
        }
        st->used++;
    }
    struct alert_slot *s = slot_at(st, index);
    *s = (struct alert_slot){ .fp = fp, .index = index };
    fp_index_add(&st->by_fp, fp, index);
    st->slots++;
    return s;
}

/* The slot is neither listed nor referenced: it ends. */
static void slot_end(struct alert_store *st, struct alert_slot *s)
{
    ASSERT(!s->listed);
    ASSERT(s->refs == 0);
    for (size_t i = 0; i < ALERT_MEMOS; i++)
        if (s->memo[i] && st->hooks[i].end)
            st->hooks[i].end(st->hooks[i].arg, s);
    fp_index_remove(&st->by_fp, s->fp, s->index);
    st->slots--;
    alert_release(s->value);
    uint32_t index = s->index;
    *s = (struct alert_slot){ 0 };
    if (st->free_count == st->free_capacity) {
        st->free_capacity = mem_grow(st->free_capacity, st->free_count + 1);
        st->free = mem_realloc_array(st->free, st->free_capacity, sizeof *st->free);
    }
    st->free[st->free_count++] = index;
}

void alert_slot_retain(struct alert_slot *s)
{
    s->refs++;
    ASSERT(s->refs != 0);
}

void alert_slot_release(struct alert_store *st, struct alert_slot *s)
{
    ASSERT(s->refs > 0);
    s->refs--;
    if (s->refs == 0 && !s->listed)
        slot_end(st, s);
}

static struct str slot_name(const struct alert_slot *s)
{
    return alert_label_value(s->value, STR("alertname"));
}

static void slot_list(struct alert_store *st, struct alert_slot *s)
{
    ASSERT(!s->listed);
    s->listed = true;
    st->count++;
    alert_label_index_add(&st->labels, s->value, s->index);
}

static bool slot_has_label(void *arg, uint32_t index, uint32_t hash)
{
    const struct alert_slot *s = slot_at(arg, index);
    return s->listed && alert_label_index_has(s->value, hash);
}

static void slot_set_held(struct alert_store *st, struct alert_slot *s, bool held)
{
    if (s->held == held)
        return;
    s->held = held;
    st->held_count = held ? st->held_count + 1 : st->held_count - 1;
}

static void slot_unlist(struct alert_store *st, struct alert_slot *s)
{
    ASSERT(s->listed);
    slot_set_held(st, s, false);
    s->listed = false;
    st->count--;
    alert_label_index_remove(&st->labels, s->value, s->index, slot_has_label, st);
    alert_limit_forget(&st->limit, slot_name(s), s->fp);
    if (s->refs == 0)
        slot_end(st, s);
}

static bool slot_resolved(const struct alert_slot *s, struct wire_time now)
{
    return wire_time_cmp(s->ends_at, now) <= 0 && !wire_time_is_zero(s->ends_at);
}

enum alert_state alert_slot_state(const struct alert_slot *s, struct wire_time now)
{
    if (s->held)
        return ALERT_HELD;
    return slot_resolved(s, now) ? ALERT_RESOLVED : ALERT_FIRING;
}

static void slot_set_times(struct alert_slot *s, const struct alert_spec *spec)
{
    s->ends_at = spec->ends_at;
    s->updated_at = spec->updated_at;
    s->timeout = spec->timeout;
}

static void slot_set_value(struct alert_store *st, struct alert_slot *s, const struct alert_spec *spec)
{
    const struct alert *before = s->value;
    s->value = alert_new(&st->families, spec);
    ASSERT(s->value->fp == s->fp);
    slot_set_times(s, spec);
    alert_release(before);
}

/* ---- Life of the store ---- */

struct alert_store *alert_store_new(const struct alert_store_options *options)
{
    struct alert_store *st = MEM_NEW(struct alert_store);
    st->limit.max = options->per_alertname_limit > 0 ? size_from_i64(options->per_alertname_limit) : 0;
    st->names_in_metrics = options->names_in_metrics;
    metric_stats_init(alert_metrics_named, alert_metrics_named_count, &st->stats);
    gauge_set(&st->stats.limit, (double)(options->per_alertname_limit > 0 ? options->per_alertname_limit : 0));
    return st;
}

void alert_store_free(struct alert_store *st)
{
    if (!st)
        return;
    for (uint32_t i = 0; i < st->used; i++)
        if (slot_at(st, i)->listed)
            slot_unlist(st, slot_at(st, i));
    ASSERT(st->slots == 0); /* a reference was not given back */
    for (size_t i = 0; i < st->chunks_count; i++)
        mem_free(st->chunks[i]);
    mem_free(st->chunks);
    mem_free(st->free);
    fp_index_deinit(&st->by_fp);
    alert_label_index_deinit(&st->labels);
    alert_families_deinit(&st->families);
    alert_limit_deinit(&st->limit);
    metric_stats_deinit(alert_metrics_named, alert_metrics_named_count, &st->stats);
    mem_free(st);
}

struct alert_stats *alert_store_stats(struct alert_store *st)
{
    return &st->stats;
}

uint64_t alert_store_stamp(struct alert_store *st)
{
    return ++st->stamp;
}

void alert_store_on_end(struct alert_store *st, enum alert_memo which, void (*end)(void *arg, struct alert_slot *s),
                        void *arg)
{
    ASSERT(which < ALERT_MEMOS);
    st->hooks[which] = (struct end_hook){ end, arg };
}

/* ---- Changes ---- */

static bool ends_of(const struct alert_store *st, fingerprint fp, struct wire_time *ends_at)
{
    const struct alert_slot *s = find(st, fp);
    if (!s || !s->listed)
        return false;
    *ends_at = s->ends_at;
    return true;
}

static void count_limited(struct alert_store *st, struct str alertname)
{
    counter_add(&st->stats.limited, 1);
    if (st->names_in_metrics)
        counter_add(metric_vec_counter(st->stats.limited_named, &alertname), 1);
}

/* An alert that is not listed: a new slot, or one that is still referenced and comes back. */
static enum alert_change put_new(struct alert_store *st, struct wire_time now, const struct alert_spec *spec,
                                 fingerprint fp, struct alert_slot *s, struct alert_slot **out)
{
    struct str alertname = labels_get(spec->labels, STR("alertname"));
    if (st->slots >= ALERT_SLOTS_MAX || !alert_limit_admit(&st->limit, now, alertname, fp, spec->ends_at, ends_of, st)) {
        count_limited(st, alertname);
        *out = NULL;
        return ALERT_REFUSED;
    }
    if (!s)
        s = slot_new(st, fp);
    slot_set_value(st, s, spec);
    slot_list(st, s);
    st->version++;
    *out = s;
    return ALERT_NEW;
}

static bool same_annotations(const struct alert *a, struct labels ls)
{
    if (a->family->annotations_count != ls.n)
        return false;
    struct label ours;
    struct alert_walk w = alert_walk_annotations(a);
    for (size_t i = 0; alert_walk_next(&w, &ours); i++)
        if (!str_eq(ours.name, ls.v[i].name) || !str_eq(ours.value, ls.v[i].value))
            return false;
    return true;
}

/* Equal but for ends_at, updated_at: the stored value can stay. */
static bool same_value(const struct alert_slot *s, const struct alert_spec *spec)
{
    const struct alert *v = s->value;
    return s->timeout == spec->timeout && wire_time_cmp(v->starts_at, spec->starts_at) == 0 &&
           v->starts_offset_s == spec->starts_offset_s && v->ends_offset_s == spec->ends_offset_s &&
           str_eq(v->family->generator_url, spec->generator_url) && same_annotations(v, spec->annotations);
}

/* What follows when the times or the value of a listed slot were replaced; `change`, or more if it came to be resolved or
 * firing by that. */
static enum alert_change slot_changed(struct alert_store *st, struct wire_time now, struct alert_slot *s,
                                      bool was_resolved, enum alert_change change)
{
    slot_set_held(st, s, false);
    st->version++;
    if (st->limit.max)
        alert_limit_moved(&st->limit, slot_name(s), s->ends_at);
    return was_resolved != slot_resolved(s, now) ? ALERT_CHANGED : change;
}

/* The listed slot becomes what spec says. */
static enum alert_change put_known(struct alert_store *st, struct wire_time now, const struct alert_spec *spec,
                                   struct alert_slot *s)
{
    bool was_resolved = alert_slot_state(s, now) == ALERT_RESOLVED;
    if (LIKELY(same_value(s, spec))) {
        slot_set_times(s, spec);
        return slot_changed(st, now, s, was_resolved, ALERT_RESENT);
    }
    slot_set_value(st, s, spec);
    return slot_changed(st, now, s, was_resolved, ALERT_CHANGED);
}

/* What is stored, as far as merging looks at it. */
static struct alert_spec stored_times(const struct alert_slot *s)
{
    const struct alert *v = s->value;
    return (struct alert_spec){
        .starts_at = v->starts_at,
        .ends_at = s->ends_at,
        .updated_at = s->updated_at,
        .starts_offset_s = v->starts_offset_s,
        .ends_offset_s = v->ends_offset_s,
        .timeout = s->timeout,
    };
}

enum alert_change alert_store_put(struct alert_store *st, struct wire_time now, const struct alert_spec *spec,
                                  struct alert_slot **slot)
{
    ASSERT(!wire_time_is_zero(spec->ends_at));
    fingerprint fp = labels_fingerprint(spec->labels);
    struct alert_slot *s = find(st, fp);
    if (!s || !s->listed)
        return put_new(st, now, spec, fp, s, slot);
    *slot = s;
    struct alert_spec stored = stored_times(s), fresh = *spec;
    if (wire_time_cmp(fresh.updated_at, stored.updated_at) <= 0) /* a peer's clock is ahead: what we say last is newest */
        fresh.updated_at = wire_time_add_ns(stored.updated_at, 1);
    struct alert_spec merged = alert_spec_merge(&stored, &fresh, now);
    return put_known(st, now, &merged, s);
}

/* Does (ends, updated) beat what the slot has? */
static bool is_newer(const struct alert_slot *s, struct wire_time ends_at, struct wire_time updated_at)
{
    int order = wire_time_cmp(updated_at, s->updated_at);
    return order > 0 || (order == 0 && wire_time_cmp(ends_at, s->ends_at) > 0);
}

enum alert_change alert_store_merge(struct alert_store *st, struct wire_time now, const struct alert_spec *spec,
                                    struct alert_slot **slot)
{
    fingerprint fp = labels_fingerprint(spec->labels);
    struct alert_slot *s = find(st, fp);
    if (!s || !s->listed)
        return put_new(st, now, spec, fp, s, slot);
    *slot = s;
    if (!is_newer(s, spec->ends_at, spec->updated_at))
        return ALERT_OLDER;
    return put_known(st, now, spec, s);
}

enum alert_change alert_store_merge_times(struct alert_store *st, struct wire_time now, fingerprint fp,
                                          struct wire_time ends_at, struct wire_time updated_at, struct alert_slot **slot)
{
    struct alert_slot *s = find(st, fp);
    *slot = NULL;
    if (!s || !s->listed)
        return ALERT_UNKNOWN;
    *slot = s;
    if (!is_newer(s, ends_at, updated_at))
        return ALERT_OLDER;
    bool was_resolved = alert_slot_state(s, now) == ALERT_RESOLVED;
    s->ends_at = ends_at;
    s->updated_at = updated_at;
    return slot_changed(st, now, s, was_resolved, ALERT_RESENT);
}

size_t alert_store_restored(struct alert_store *st, struct wire_time alive, struct wire_time now)
{
    struct alert_slot *s;
    for (uint32_t i = 0; (s = alert_store_next(st, &i)) != NULL;) {
        bool resolved_by_sender = wire_time_cmp(s->ends_at, s->updated_at) <= 0;
        if (!resolved_by_sender && slot_resolved(s, now) && wire_time_cmp(s->ends_at, alive) > 0)
            slot_set_held(st, s, true);
    }
    st->alive = alive;
    st->version++;
    return st->held_count;
}

struct wire_time alert_store_alive(const struct alert_store *st, struct wire_time now)
{
    return st->held_count ? st->alive : now;
}

size_t alert_store_release_held(struct alert_store *st)
{
    size_t released = st->held_count;
    struct alert_slot *s;
    for (uint32_t i = 0; st->held_count && (s = alert_store_next(st, &i)) != NULL;)
        slot_set_held(st, s, false);
    if (released)
        st->version++;
    return released;
}

bool alert_store_gc(struct alert_store *st, struct wire_time now, uint32_t *cursor, size_t slots_max)
{
    alert_families_sweep(&st->families, slots_max);
    for (size_t seen = 0; *cursor < st->used && seen < slots_max; seen++) {
        struct alert_slot *s = slot_at(st, (*cursor)++);
        if (!s->listed || s->held || !slot_resolved(s, now))
            continue;
        slot_unlist(st, s);
        st->version++;
    }
    return *cursor < st->used;
}

/* ---- Queries ---- */

struct alert_slot *alert_store_get(const struct alert_store *st, fingerprint fp)
{
    return find(st, fp);
}

size_t alert_store_count(const struct alert_store *st)
{
    return st->count;
}

size_t alert_store_held_count(const struct alert_store *st)
{
    return st->held_count;
}

uint64_t alert_store_version(const struct alert_store *st)
{
    return st->version;
}

struct alert_slot *alert_store_next(const struct alert_store *st, uint32_t *cursor)
{
    while (*cursor < st->used) {
        struct alert_slot *s = slot_at(st, (*cursor)++);
        if (s->listed)
            return s;
    }
    return NULL;
}

struct alert_slot *alert_store_at(const struct alert_store *st, uint32_t index)
{
    if (index >= st->used)
        return NULL;
    struct alert_slot *s = slot_at(st, index);
    return s->listed ? s : NULL;
}

uint32_t alert_store_slots(const struct alert_store *st)
{
    return st->used;
}

size_t alert_store_candidates(const struct alert_store *st, struct str name, struct str value, const uint32_t **indexes)
{
    return alert_label_index_find(&st->labels, name, value, indexes);
}
