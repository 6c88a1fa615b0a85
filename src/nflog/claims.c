/* Claims, one per log key that somebody tried to send for lately.
 *
 * Messages of several members overtake each other and several members may take at one instant, so what is heard has an
 * order, and only what is later in it changes anything:
 *
 *     higher round  >  earlier in line (holder of a take or fail, origin of a pass)  >  take < fail < pass, farther round
 *
 * A take that answers a failure (or follows a claim that ran out) begins the next round.
 *
 * C1  Claims are in the map and in a list from the oldest to the newest `since`. One that is past CLAIM_BOUND_MS counts for
 *     nothing but its round, and is dropped when anything else is noted.
 * C2  Whatever is heard, claims_turn() answers with a time not after max(base, since + CLAIM_BOUND_MS): a claim delays,
 *     it never cancels.
 * C3  Two questions are never both agreed to by all: each asker answers the other's, by the same order, and says yes only as
 *     it gives up its own. A yes is to one question (serial), so that an old one is worth nothing.
 * C4  Who says yes notes the claim in the highest round that it knows and answers with that; the asker goes on in it. So the
 *     asker's failure is news to all that said yes. */
#include "nflog/claims.h"

#include "base/map.h"
#include "base/mem.h"

struct claim {
    uint64_t key;
    struct claim *older, *newer;
    enum claim_kind kind;
    bool open;          /* passed on by everybody */
    mono_ms since;
    uint32_t round;
    uint32_t own_round; /* of the last take or question of this node */
    uint32_t serial;    /* CLAIM_ASK, which is always our own: whoever hears it notes a take */
    struct wire_time seen; /* of a take or question: the log entry that its holder knew */
    uint64_t *yes;      /* name_hash() of who agreed */
    size_t yes_count;
    struct str holder, origin; /* behind the struct */
};
struct claims {
    uint32_t last_serial;
    struct map64 by_key;
    struct claim *oldest, *newest;
};

/* ---- Members ---- */

static size_t find_member(const struct claim_members *members, struct str name)
{
    for (size_t i = 0; i < members->n; i++)
        if (str_eq(members->v[i].name, name))
            return i;
    return members->n;
}

static struct str own_name(const struct claim_members *members)
{
    ASSERT(members->self < members->n);
    return members->v[members->self].name;
}

/* The first member whose name follows this one (which may be gone). */
static size_t member_after(const struct claim_members *members, struct str name)
{
    size_t after = 0;
    while (after < members->n && str_cmp(members->v[after].name, name) <= 0)
        after++;
    return after;
}

/* The member that takes part after the one of this name, or n. */
static size_t next_member(const struct claim_members *members, struct str name)
{
    size_t after = member_after(members, name);
    for (size_t i = 0; i < members->n; i++) {
        size_t at = (after + i) % members->n;
        if (members->v[at].claims)
            return at;
    }
    return members->n;
}

/* How many members that take part come before this node, counting from the one after the holder. */
static int64_t distance(const struct claim_members *members, struct str holder)
{
    size_t after = member_after(members, holder);
    int64_t d = 0;
    for (size_t i = 0; i < members->n; i++) {
        size_t at = (after + i) % members->n;
        if (at == members->self)
            return d;
        if (members->v[at].claims)
            d++;
    }
    return d;
}

/* ---- State ---- */

struct claims *claims_new(void)
{
    return MEM_NEW(struct claims);
}

static void unlink_claim(struct claims *c, struct claim *k)
{
    *(k->older ? &k->older->newer : &c->oldest) = k->newer;
    *(k->newer ? &k->newer->older : &c->newest) = k->older;
}

static void drop(struct claims *c, struct claim *k)
{
    map64_remove(&c->by_key, k->key);
    unlink_claim(c, k);
    mem_free(k->yes);
    mem_free(k);
}

void claims_free(struct claims *c)
{
    if (!c)
        return;
    while (c->oldest)
        drop(c, c->oldest);
    map64_deinit(&c->by_key);
    mem_free(c);
}

size_t claims_count(const struct claims *c)
{
    return c->by_key.count;
}

static bool is_over(const struct claim *k, mono_ms now)
{
    return now.ms - k->since.ms >= CLAIM_BOUND_MS;
}

static struct str put_name(char **at, struct str name)
{
    struct str copy = { *at, name.n };
    if (name.n)
        memcpy(*at, name.p, name.n);
    *at += name.n;
    return copy;
}

static struct claim *note(struct claims *c, mono_ms now, const struct claim_message *m,
                          const struct claim_members *members, uint32_t own_round)
{
    struct str origin = m->kind == CLAIM_PASS ? m->origin : m->holder;
    struct claim *k = mem_alloc(sizeof *k + m->holder.n + origin.n);
    char *text = (char *)(k + 1);
    *k = (struct claim){ .key = m->key, .kind = m->kind, .since = now, .round = m->round, .own_round = own_round,
                         .serial = m->serial, .seen = m->seen };
    k->holder = put_name(&text, m->holder);
    k->origin = put_name(&text, origin);
    size_t next = next_member(members, m->holder);
    k->open = m->kind == CLAIM_PASS && next < members->n && str_eq(members->v[next].name, origin);
    struct claim *before = map64_get(&c->by_key, m->key);
    if (before)
        drop(c, before);
    while (c->oldest && (is_over(c->oldest, now) || c->by_key.count >= CLAIMS_MAX))
        drop(c, c->oldest);
    k->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = k;
    c->newest = k;
    map64_put(&c->by_key, k->key, k);
    return k;
}

/* ---- What this node does ---- */

static uint32_t next_round(const struct claim *k)
{
    return k && k->round < CLAIM_ROUND_MAX ? k->round + 1 : 1;
}

void claims_take(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members, struct wire_time seen,
                 struct claim_message *m)
{
    uint32_t round = next_round(map64_get(&c->by_key, key));
    *m = (struct claim_message){ CLAIM_TAKE, key, own_name(members), .origin = STR_EMPTY, .round = round, .seen = seen };
    note(c, now, m, members, round);
}

void claims_ask(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members, struct wire_time seen,
                struct claim_message *m)
{
    uint32_t round = next_round(map64_get(&c->by_key, key));
    *m = (struct claim_message){ CLAIM_ASK, key, own_name(members), STR_EMPTY, round, ++c->last_serial, seen };
    note(c, now, m, members, round);
}

static void question(const struct claim *k, const struct claim_members *members, struct claim_message *m)
{
    *m = (struct claim_message){ CLAIM_ASK, k->key, own_name(members), STR_EMPTY, k->round, k->serial, k->seen };
}

void claims_ask_again(struct claims *c, uint64_t key, const struct claim_members *members, struct wire_time seen,
                      struct claim_message *m)
{
    struct claim *k = map64_get(&c->by_key, key);
    ASSERT(k && k->kind == CLAIM_ASK);
    k->seen = seen;
    question(k, members, m);
}

static bool is_news(const struct claim *k, mono_ms now, const struct claim_message *m,
                    const struct claim_members *members);

void claims_fail(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                 struct claim_message *m)
{
    const struct claim *k = map64_get(&c->by_key, key);
    uint32_t round = k && k->own_round ? k->own_round : 1;
    *m = (struct claim_message){ CLAIM_FAIL, key, own_name(members), .origin = STR_EMPTY, .round = round };
    if (is_news(k, now, m, members))
        note(c, now, m, members, round);
}

void claims_pass(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                 struct claim_message *m)
{
    const struct claim *k = map64_get(&c->by_key, key);
    ASSERT(k && (k->kind == CLAIM_FAIL || k->kind == CLAIM_PASS));
    *m = (struct claim_message){ CLAIM_PASS, key, own_name(members), .origin = k->origin, .round = k->round };
    m->origin = note(c, now, m, members, k->own_round)->origin; /* lives as long as the claim */
}

bool claims_decline(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                    struct claim_message *m)
{
    const struct claim *k = map64_get(&c->by_key, key);
    if (!k || is_over(k, now)) {
        uint32_t round = next_round(k);
        *m = (struct claim_message){ CLAIM_FAIL, key, own_name(members), .origin = STR_EMPTY, .round = round };
        note(c, now, m, members, round);
        return true;
    }
    bool passed_to_us = (k->kind == CLAIM_FAIL || k->kind == CLAIM_PASS) && !k->open &&
                        members->n <= CLAIM_ASK_MEMBERS_MAX && next_member(members, k->holder) == members->self;
    if (passed_to_us)
        claims_pass(c, now, key, members, m);
    return passed_to_us;
}

void claims_logged(struct claims *c, uint64_t key, struct wire_time timestamp)
{
    struct claim *k = map64_get(&c->by_key, key);
    bool knew = k && (k->kind == CLAIM_TAKE || k->kind == CLAIM_ASK) && wire_time_cmp(k->seen, timestamp) >= 0;
    if (k && !knew)
        drop(c, k);
}

/* ---- What is heard ---- */

/* How far a message of one round and one origin has come: a take, its failure, who passed it on. */
static size_t phase(enum claim_kind kind, struct str origin, struct str holder, const struct claim_members *members)
{
    switch (kind) {
    case CLAIM_TAKE:
    case CLAIM_ASK:
        return 0;
    case CLAIM_FAIL:
        return 1;
    case CLAIM_PASS:
    case CLAIM_YES: /* is never noted */
        break;
    }
    size_t from = find_member(members, origin), at = find_member(members, holder);
    return 1 + (from < members->n && at < members->n ? (at + members->n - from) % members->n : at + 1);
}

static bool is_news(const struct claim *k, mono_ms now, const struct claim_message *m,
                    const struct claim_members *members)
{
    if (!k || is_over(k, now))
        return true;
    if (m->round != k->round)
        return m->round > k->round;
    struct str origin = m->kind == CLAIM_PASS ? m->origin : m->holder;
    int order = str_cmp(origin, k->origin); /* names are in the order of the line */
    if (order)
        return order < 0;
    return phase(m->kind, origin, m->holder, members) > phase(k->kind, k->origin, k->holder, members);
}

static uint64_t name_hash(struct str name)
{
    return claim_key(name);
}

static bool has_agreed(const struct claim *k, struct str name)
{
    uint64_t hash = name_hash(name);
    for (size_t i = 0; i < k->yes_count; i++)
        if (k->yes[i] == hash)
            return true;
    return false;
}

static bool all_agreed(const struct claim *k, const struct claim_members *members)
{
    for (size_t i = 0; i < members->n; i++)
        if (i != members->self && (members->v[i].claims || members->v[i].absent) && !has_agreed(k, members->v[i].name))
            return false;
    return true;
}

static enum claim_heard hear_yes(struct claim *k, const struct claim_message *m, const struct claim_members *members)
{
    if (!k || k->kind != CLAIM_ASK || k->serial != m->serial || k->yes_count == CLAIM_ASK_MEMBERS_MAX ||
        has_agreed(k, m->holder))
        return CLAIM_OLD;
    if (!k->yes)
        k->yes = mem_alloc_array(CLAIM_ASK_MEMBERS_MAX, sizeof *k->yes);
    k->yes[k->yes_count++] = name_hash(m->holder);
    if (m->round > k->round)
        k->round = k->own_round = m->round; /* C4 */
    return all_agreed(k, members) ? CLAIM_NEWS : CLAIM_OLD;
}

bool claims_agreed(const struct claims *c, uint64_t key, const struct claim_members *members)
{
    const struct claim *k = map64_get(&c->by_key, key);
    return k && (k->kind == CLAIM_TAKE || all_agreed(k, members));
}

enum claim_heard claims_hear(struct claims *c, mono_ms now, const struct claim_message *m,
                             const struct claim_members *members)
{
    ASSERT(m->kind != CLAIM_ASK);
    size_t from = find_member(members, m->holder);
    if (from == members->n || from == members->self)
        return CLAIM_OLD;
    struct claim *k = map64_get(&c->by_key, m->key);
    if (m->kind == CLAIM_YES)
        return hear_yes(k, m, members);
    if (!is_news(k, now, m, members))
        return CLAIM_OLD;
    k = note(c, now, m, members, k ? k->own_round : 0);
    if (k->kind == CLAIM_TAKE || k->open || members->n > CLAIM_ASK_MEMBERS_MAX)
        return CLAIM_NEWS;
    return next_member(members, m->holder) == members->self ? CLAIM_OURS : CLAIM_NEWS;
}

bool claims_asked(struct claims *c, mono_ms now, const struct claim_message *m, const struct claim_members *members,
                  struct claim_message *answer)
{
    ASSERT(m->kind == CLAIM_ASK);
    size_t from = find_member(members, m->holder);
    if (from == members->n || from == members->self)
        return false;
    const struct claim *k = map64_get(&c->by_key, m->key);
    if (k && k->kind == CLAIM_ASK && !is_over(k, now) &&
        (k->round != m->round ? k->round > m->round : members->self < from)) {
        question(k, members, answer);
        return true;
    }
    struct claim_message taken = { CLAIM_TAKE, m->key, m->holder, .origin = STR_EMPTY, .round = m->round, .seen = m->seen };
    if (k && k->round > taken.round)
        taken.round = k->round;
    note(c, now, &taken, members, k ? k->own_round : 0);
    *answer = (struct claim_message){ CLAIM_YES, m->key, own_name(members), .origin = STR_EMPTY, .round = taken.round,
                                      .serial = m->serial };
    return true;
}

void claims_insist(struct claims *c, mono_ms now, const struct claim_message *m, const struct claim_members *members,
                   struct wire_time seen, struct claim_message *answer)
{
    const struct claim *k = map64_get(&c->by_key, m->key);
    uint32_t round = k && k->round > m->round ? k->round : m->round;
    round += round < CLAIM_ROUND_MAX;
    *answer = (struct claim_message){ CLAIM_TAKE, m->key, own_name(members), .origin = STR_EMPTY, .round = round, .seen = seen };
    note(c, now, answer, members, round);
}

/* ---- Whose turn it is ---- */

bool claims_are_ours(const struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members)
{
    const struct claim *k = map64_get(&c->by_key, key);
    return k && (k->kind == CLAIM_TAKE || k->kind == CLAIM_ASK) && !is_over(k, now) &&
           find_member(members, k->holder) == members->self;
}

bool claims_stand(const struct claims *c, mono_ms now, uint64_t key)
{
    const struct claim *k = map64_get(&c->by_key, key);
    return k && !is_over(k, now);
}

static mono_ms later(mono_ms a, mono_ms b)
{
    return mono_before(a, b) ? b : a;
}

mono_ms claims_turn(const struct claims *c, mono_ms now, uint64_t key, mono_ms base, int64_t peer_timeout_ms,
                    const struct claim_members *members)
{
    const struct claim *k = map64_get(&c->by_key, key);
    if (!k || is_over(k, now) || members->self >= members->n)
        return base;
    mono_ms bound = later(base, mono_add(k->since, CLAIM_BOUND_MS));
    if (k->kind == CLAIM_TAKE || k->kind == CLAIM_ASK) {
        size_t holder = find_member(members, k->holder);
        return holder == members->n || holder == members->self ? base : bound;
    }
    if (k->open)
        return mono_min(k->since, bound);
    int64_t wait_ms;
    if (__builtin_mul_overflow(distance(members, k->holder), peer_timeout_ms, &wait_ms) || wait_ms > CLAIM_BOUND_MS)
        return bound;
    return mono_min(mono_add(k->since, wait_ms), bound);
}
