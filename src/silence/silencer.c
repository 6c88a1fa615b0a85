/* The silencer: what each alert remembers of the silences.
 *
 * M1  A slot's word is NULL (not asked yet) or a list of the entries that match its labels, whatever their state, ordered
 *     by id, each referenced. Labels never change under a slot, matchers never change under an entry.
 * M2  A list holds every live, unexpired entry that matches, but perhaps for those still queued in the store (`fresh`):
 *     as long as there are any, a query looks at these too.
 * M3  A queued entry leaves the queue when every listed slot that has a list has been looked at: those that the alert
 *     store's label index names, or, if it names too many or no matcher is exact, all, in order of index, in slices. A
 *     slot that is listed behind the cursor has no list yet, and finds the entry in the silences' index when it is asked.
 * M4  Entries that are dead are taken out when a query meets them. */
#include "base/mem.h"
#include "silence/store_int.h"

static const size_t CANDIDATES_MAX = 4096;  /* looked at in one go; more are a walk over all slots */
static const size_t FRESH_TESTED_MAX = 8;   /* more are looked up in the index */
static const size_t SLOTS_PER_CANDIDATE = 4;/* what a candidate costs, in slots walked over */

struct memo {
    uint32_t n, capacity;
    struct entry *v[];
};
static const struct memo none; /* a list without entries */

struct silencer {
    struct silence_store *silences;
    struct alert_store *alerts;
    uint32_t cursor; /* of the walk for the first queued entry */
    bool walking;
    struct arena labels; /* of the alert that is looked at */
};

static void memo_free(struct memo *m)
{
    if (m == &none)
        return;
    for (uint32_t i = 0; i < m->n; i++)
        silence_entry_release(m->v[i]);
    mem_free(m);
}

static void slot_ended(void *arg, struct alert_slot *s)
{
    (void)arg;
    memo_free(s->memo[ALERT_MEMO_SILENCE]);
    s->memo[ALERT_MEMO_SILENCE] = NULL;
}

struct silencer *silencer_new(struct silence_store *silences, struct alert_store *alerts)
{
    ASSERT(!silences->has_silencer);
    struct silencer *sl = MEM_NEW(struct silencer);
    sl->silences = silences;
    sl->alerts = alerts;
    arena_init(&sl->labels, ARENA_NO_LIMIT);
    silences->has_silencer = true;
    alert_store_on_end(alerts, ALERT_MEMO_SILENCE, slot_ended, NULL);
    return sl;
}

void silencer_free(struct silencer *sl)
{
    if (!sl)
        return;
    struct alert_slot *s;
    for (uint32_t i = 0; (s = alert_store_next(sl->alerts, &i)) != NULL;)
        if (s->memo[ALERT_MEMO_SILENCE])
            slot_ended(NULL, s);
    while (silence_store_fresh(sl->silences))
        silence_store_fresh_done(sl->silences);
    sl->silences->has_silencer = false;
    arena_deinit(&sl->labels);
    mem_free(sl);
}

static struct memo *memo_of(struct alert_slot *s)
{
    return s->memo[ALERT_MEMO_SILENCE];
}

/* Puts the entry into the slot's list, which is there. */
static void memo_add(struct alert_slot *s, struct entry *e)
{
    struct memo *m = memo_of(s);
    uint32_t at = m->n;
    for (uint32_t i = 0; i < m->n; i++)
        if (m->v[i] == e)
            return;
    if (m->n == m->capacity) {
        uint32_t capacity = m->capacity ? m->capacity * 2 : 1;
        struct memo *grown = mem_alloc(sizeof *grown + capacity * sizeof(struct entry *));
        grown->capacity = capacity;
        grown->n = m->n;
        memcpy(grown->v, m->v, m->n * sizeof(struct entry *));
        if (m != &none)
            mem_free(m);
        s->memo[ALERT_MEMO_SILENCE] = m = grown;
    }
    while (at > 0 && str_cmp(m->v[at - 1]->value->id, e->value->id) > 0) {
        m->v[at] = m->v[at - 1];
        at--;
    }
    m->v[at] = e;
    m->n++;
    silence_entry_retain(e);
}

static void memo_visit(void *arg, struct entry *e)
{
    memo_add(arg, e);
}

/* ---- Matching new silences ---- */

static struct labels labels_of(struct silencer *sl, const struct alert_slot *s)
{
    arena_reset(&sl->labels);
    return alert_labels(s->value, &sl->labels);
}

static void offer(struct silencer *sl, struct alert_slot *s, struct entry *e)
{
    if (memo_of(s) && silence_matches(e->value, labels_of(sl, s)))
        memo_add(s, e);
}

/* How many slots the label index names for a set by its best exact matcher; SIZE_MAX if it has none. */
static size_t candidates_count(const struct silencer *sl, const struct matchers *set, const struct matcher **best)
{
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < set->n; i++) {
        const struct str *values;
        size_t n = silence_matcher_values(&set->v[i], &values), count = 0;
        for (size_t k = 0; k < n; k++) {
            const uint32_t *indexes;
            count += alert_store_candidates(sl->alerts, set->v[i].name, values[k], &indexes);
        }
        if (n && count < least) {
            least = count;
            *best = &set->v[i];
        }
    }
    return least;
}

static void offer_candidates(struct silencer *sl, struct entry *e, const struct matcher *m)
{
    const struct str *values;
    size_t n = silence_matcher_values(m, &values);
    for (size_t k = 0; k < n; k++) {
        const uint32_t *indexes;
        size_t count = alert_store_candidates(sl->alerts, m->name, values[k], &indexes);
        for (size_t i = 0; i < count; i++) {
            struct alert_slot *s = alert_store_at(sl->alerts, indexes[i]);
            if (s)
                offer(sl, s, e);
        }
    }
}

/* Matches by the label index if that names few enough for all sets. */
static bool match_by_index(struct silencer *sl, struct entry *e, size_t *work)
{
    size_t total = 0;
    const struct matcher *best = NULL;
    for (size_t i = 0; i < e->value->sets_count; i++) {
        size_t count = candidates_count(sl, &e->value->sets[i], &best);
        if (count > CANDIDATES_MAX)
            return false;
        total += count;
    }
    if (total > CANDIDATES_MAX)
        return false;
    for (size_t i = 0; i < e->value->sets_count; i++) {
        candidates_count(sl, &e->value->sets[i], &best);
        offer_candidates(sl, e, best);
    }
    *work += 1 + total * SLOTS_PER_CANDIDATE;
    return true;
}

/* One slice of a walk over all slots; true when it has come to the end. */
static bool match_by_walk(struct silencer *sl, struct entry *e, size_t slots_max, size_t *work)
{
    struct alert_slot *s;
    while (*work < slots_max) {
        s = alert_store_next(sl->alerts, &sl->cursor);
        if (!s)
            return true;
        offer(sl, s, e);
        ++*work;
    }
    return false;
}

bool silencer_pending(const struct silencer *sl)
{
    return silence_store_fresh(sl->silences) != NULL;
}

bool silencer_step(struct silencer *sl, size_t slots_max)
{
    struct entry *e;
    size_t work = 0;
    while ((e = silence_store_fresh(sl->silences)) != NULL && work < slots_max) {
        bool done = e->dead || (!sl->walking && match_by_index(sl, e, &work));
        if (!done) {
            sl->walking = true;
            done = match_by_walk(sl, e, slots_max, &work);
        }
        if (!done)
            break;
        sl->walking = false;
        sl->cursor = 0;
        silence_store_fresh_done(sl->silences);
    }
    return silencer_pending(sl);
}

/* ---- Asking ---- */

/* The slot's list, complete (M2). */
static struct memo *memo_complete(struct silencer *sl, struct wire_time now, struct alert_slot *s)
{
    struct silence_store *st = sl->silences;
    bool missing = !memo_of(s);
    if (missing)
        s->memo[ALERT_MEMO_SILENCE] = (void *)(uintptr_t)&none;
    size_t fresh = silence_store_fresh_count(st);
    if (missing || fresh > FRESH_TESTED_MAX) {
        silence_store_visit(st, now, labels_of(sl, s), memo_visit, s);
        return memo_of(s);
    }
    for (size_t i = 0; i < fresh; i++) {
        struct entry *e = st->fresh[st->fresh_first + i];
        if (!e->dead)
            offer(sl, s, e);
    }
    return memo_of(s);
}

size_t silencer_query(struct silencer *sl, struct wire_time now, struct alert_slot *s, struct str *ids, size_t ids_max)
{
    struct memo *m = memo_complete(sl, now, s);
    if (m == &none)
        return 0;
    size_t active = 0;
    uint32_t kept = 0, n = m->n;
    for (uint32_t i = 0; i < n; i++) {
        struct entry *e = m->v[i];
        if (e->dead) {
            silence_entry_release(e);
            continue;
        }
        m->v[kept++] = e;
        if (silence_state_at(e->value, now) != SILENCE_ACTIVE)
            continue;
        if (active < ids_max)
            ids[active] = e->value->id;
        active++;
    }
    m->n = kept;
    return active;
}
