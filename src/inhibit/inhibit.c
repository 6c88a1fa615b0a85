/* The inhibitor. What upstream keeps per rule as a cache of source alerts and an index from equal-label values to one of
 * them is kept here from both ends: a *spot* per (rule, values of its equal labels), which names the source that counts;
 * and per alert a *memo* of its places: the rules that concern it, each with its spot. Labels never change under a slot,
 * so a memo is made once and holds until the rules change.
 *
 *     slot --memo--> place[rule 2: source] --> spot --source--> slot
 *                    place[rule 7: target] --> spot --source--> slot
 *
 * I1  A place that is `cached` holds one reference of its slot; it is then one of upstream's cached sources of the rule.
 * I2  spot->source is a slot whose place for this rule is cached, or NULL.
 * I3  A spot lives while places point at it.
 * I4  A memo word is NULL (not looked at), odd (stamp << 1 | 1: no rule of the inhibitor with this stamp concerns the
 *     alert), or a memo that is linked in its inhibitor's list. inhibitor_free() takes all of its memos away; odd words
 *     of a past inhibitor are told by their stamp.
 *
 * Garbage collection follows upstream to the letter: when a cached source has ended, the spot of its values is emptied
 * even if it named another source, which is named again only when it is next received. */
#include "inhibit/inhibit.h"

#include "base/map.h"
#include "base/mem.h"
#include "inhibit/rule_config.h"

struct spot {
    uint64_t key;
    struct map64 *home; /* the rule's table */
    struct alert_slot *source;
    bool source_is_target; /* the source matches the rule's target side too */
    uint32_t refs;
};
struct place {
    uint32_t rule;
    bool source, target, cached;
    struct spot *spot;
};
struct memo {
    struct memo *next, *prev;
    struct inhibitor *owner;
    struct alert_slot *slot;
    size_t n;
    struct place v[];
};
struct compiled {
    const struct inhibit_rule *rule;
    struct map64 spots;
};
struct inhibitor {
    struct compiled *rules;
    size_t rules_count;
    struct alert_store *alerts;
    uint64_t stamp;
    struct memo *memos;
    size_t sources;
    struct place *scratch; /* rules_count of them */
    struct arena labels;   /* of the alert that is looked at */
    struct inhibit_stats stats;
};

const struct metric_desc inhibit_metrics[] = {
    METRIC(GAUGE, struct inhibit_stats, rules, "alertmanager_inhibition_rules", "Number of configured inhibition rules."),
};
const size_t inhibit_metrics_count = ARRAY_LEN(inhibit_metrics);

/* ---- Memos ---- */

static bool memo_is_word(const void *word)
{
    return ((uintptr_t)word & 1) != 0;
}

static void *none_word(const struct inhibitor *in)
{
    return (void *)(uintptr_t)(in->stamp << 1 | 1);
}

static struct spot *spot_get(struct compiled *c, struct labels ls)
{
    uint64_t key = c->rule->equal_count;
    for (size_t i = 0; i < c->rule->equal_count; i++)
        key = str_hash(labels_get(ls, c->rule->equal[i]), key);
    struct spot *spot = map64_get(&c->spots, key);
    if (!spot) {
        spot = MEM_NEW(struct spot);
        spot->key = key;
        spot->home = &c->spots;
        map64_put(&c->spots, key, spot);
    }
    spot->refs++;
    return spot;
}

static void spot_release(struct spot *spot)
{
    ASSERT(spot->refs > 0);
    if (--spot->refs)
        return;
    ASSERT(!spot->source);
    map64_remove(spot->home, spot->key);
    mem_free(spot);
}

static struct memo *memo_new(struct inhibitor *in, struct alert_slot *s)
{
    arena_reset(&in->labels);
    struct labels ls = alert_labels(s->value, &in->labels);
    size_t n = 0;
    for (size_t i = 0; i < in->rules_count; i++) {
        const struct inhibit_rule *r = in->rules[i].rule;
        bool source = matchers_match(&r->source, ls), target = matchers_match(&r->target, ls);
        if (source || target)
            in->scratch[n++] = (struct place){ .rule = u32_from_size(i), .source = source, .target = target };
    }
    if (n == 0)
        return NULL;
    struct memo *m = mem_alloc(sizeof *m + n * sizeof(struct place));
    m->owner = in;
    m->slot = s;
    m->n = n;
    for (size_t i = 0; i < n; i++) {
        m->v[i] = in->scratch[i];
        m->v[i].spot = spot_get(&in->rules[m->v[i].rule], ls);
    }
    m->next = in->memos;
    if (in->memos)
        in->memos->prev = m;
    in->memos = m;
    return m;
}

static void memo_free(struct memo *m)
{
    for (size_t i = 0; i < m->n; i++) {
        ASSERT(!m->v[i].cached);
        spot_release(m->v[i].spot);
    }
    if (m->prev)
        m->prev->next = m->next;
    else
        m->owner->memos = m->next;
    if (m->next)
        m->next->prev = m->prev;
    mem_free(m);
}

static void memo_forget(struct memo *m);

/* The memo of an alert under these rules; NULL: none concerns it. */
static struct memo *memo_of(struct inhibitor *in, struct alert_slot *s)
{
    void *word = s->memo[ALERT_MEMO_INHIBIT];
    if (word == none_word(in))
        return NULL;
    if (word && !memo_is_word(word)) {
        struct memo *m = word;
        ASSERT(m->slot == s);
        if (LIKELY(m->owner == in))
            return m;
        memo_forget(m); /* of an inhibitor that is being retired */
    }
    struct memo *m = memo_new(in, s);
    s->memo[ALERT_MEMO_INHIBIT] = m ? (void *)m : none_word(in);
    return m;
}

static void slot_ended(void *arg, struct alert_slot *s)
{
    (void)arg;
    void *word = s->memo[ALERT_MEMO_INHIBIT];
    if (!memo_is_word(word))
        memo_free(word);
    s->memo[ALERT_MEMO_INHIBIT] = NULL;
}

/* The alert stops being one of the rule's cached sources. May end the slot, and the memo with it. */
static void place_uncache(struct inhibitor *in, struct memo *m, struct place *p)
{
    ASSERT(p->cached);
    p->cached = false;
    p->spot->source = NULL;
    in->sources--;
    alert_slot_release(in->alerts, m->slot);
}

/* ---- Life cycle ---- */

struct inhibit_rule inhibit_rule_of(const struct inhibit_rule_config *c)
{
    return (struct inhibit_rule){ c->name, c->source, c->target, c->equal.v, c->equal.n };
}

struct inhibitor *inhibitor_new(const struct inhibit_rule *rules, size_t rules_count, struct alert_store *alerts)
{
    struct inhibitor *in = MEM_NEW(struct inhibitor);
    in->alerts = alerts;
    in->stamp = alert_store_stamp(alerts);
    in->rules_count = rules_count;
    in->rules = mem_alloc_array(rules_count, sizeof *in->rules);
    in->scratch = mem_alloc_array(rules_count, sizeof *in->scratch);
    arena_init(&in->labels, ARENA_NO_LIMIT);
    for (size_t i = 0; i < rules_count; i++)
        in->rules[i].rule = &rules[i];
    gauge_set(&in->stats.rules, (double)rules_count);
    alert_store_on_end(alerts, ALERT_MEMO_INHIBIT, slot_ended, NULL);
    return in;
}

/* Drops the references that the memo's places hold; the memo may be gone afterwards. */
static void memo_uncache(struct inhibitor *in, struct memo *m, bool (*ended)(const struct alert_slot *, struct wire_time),
                         struct wire_time now)
{
    struct alert_slot *s = m->slot;
    alert_slot_retain(s);
    for (size_t i = 0; i < m->n; i++)
        if (m->v[i].cached && (!ended || ended(s, now)))
            place_uncache(in, m, &m->v[i]);
    alert_slot_release(in->alerts, s);
}

/* The alert has no memo any more; the slot may end. */
static void memo_forget(struct memo *m)
{
    struct inhibitor *in = m->owner;
    struct alert_slot *s = m->slot;
    alert_slot_retain(s);
    memo_uncache(in, m, NULL, WIRE_TIME_ZERO);
    memo_free(m);
    s->memo[ALERT_MEMO_INHIBIT] = NULL;
    alert_slot_release(in->alerts, s);
}

bool inhibitor_retire(struct inhibitor *in, size_t alerts_max)
{
    for (size_t i = 0; in->memos && i < alerts_max; i++)
        memo_forget(in->memos);
    if (in->memos)
        return true;
    inhibitor_free(in);
    return false;
}

void inhibitor_free(struct inhibitor *in)
{
    if (!in)
        return;
    while (in->memos)
        memo_forget(in->memos);
    ASSERT(in->sources == 0);
    for (size_t i = 0; i < in->rules_count; i++) {
        ASSERT(in->rules[i].spots.count == 0);
        map64_deinit(&in->rules[i].spots);
    }
    mem_free(in->rules);
    mem_free(in->scratch);
    arena_deinit(&in->labels);
    mem_free(in);
}

struct inhibit_stats *inhibitor_stats(struct inhibitor *in)
{
    return &in->stats;
}

/* ---- Sources and targets ---- */

static void spot_offer(struct spot *spot, const struct place *p, struct alert_slot *s)
{
    if (spot->source == s)
        return;
    if (spot->source && wire_time_cmp(spot->source->ends_at, s->ends_at) > 0)
        return; /* the one that is named lasts longer */
    spot->source = s;
    spot->source_is_target = p->target;
}

void inhibitor_put(struct inhibitor *in, struct alert_slot *s)
{
    struct memo *m = memo_of(in, s);
    if (!m)
        return;
    for (size_t i = 0; i < m->n; i++) {
        struct place *p = &m->v[i];
        if (!p->source)
            continue;
        if (!p->cached) {
            p->cached = true;
            alert_slot_retain(s);
            in->sources++;
        }
        spot_offer(p->spot, p, s);
    }
}

bool inhibitor_query(struct inhibitor *in, struct wire_time now, struct alert_slot *s, fingerprint *by)
{
    const struct memo *m = memo_of(in, s);
    if (!m)
        return false;
    for (size_t i = 0; i < m->n; i++) {
        const struct place *p = &m->v[i];
        const struct spot *spot = p->spot;
        if (!p->target || !spot->source || alert_slot_state(spot->source, now) == ALERT_RESOLVED)
            continue;
        if (p->source && spot->source_is_target)
            continue; /* both sides of both alerts match: neither inhibits the other */
        *by = spot->source->fp;
        return true;
    }
    return false;
}

static bool source_ended(const struct alert_slot *s, struct wire_time now)
{
    return alert_slot_state(s, now) == ALERT_RESOLVED;
}

void inhibitor_gc(struct inhibitor *in, struct wire_time now)
{
    for (struct memo *m = in->memos, *next; m; m = next) {
        next = m->next;
        memo_uncache(in, m, source_ended, now);
    }
}

size_t inhibitor_sources_count(const struct inhibitor *in)
{
    return in->sources;
}
