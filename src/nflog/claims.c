/* Claims, one per log key that somebody tried to send for lately.
 *
 *     message = u8 version (1) | u8 kind | le64 key | uvarint attempt | text holder |
 *               PASS only: text origin | uvarint attempt of the origin
 *     text = uvarint n | n bytes
 *
 * C1  Claims are in the map and in a list from the oldest to the newest `since`; a claim is past CLAIM_BOUND_MS is dropped
 *     when anything is noted, and counts for nothing before that.
 * C2  A failure of one member does not end the attempt of another that is in flight.
 * C3  Of two that take at the same instant the earlier in line keeps the turn.
 * C4  Whatever is heard, claims_turn() answers with a time not after max(base, since + CLAIM_BOUND_MS): a claim delays,
 *     it never cancels. */
#include "nflog/claims.h"

#include "base/bytes.h"
#include "base/map.h"
#include "base/mem.h"
#include "wire/varint.h"

enum { VERSION = 1, FIXED_BYTES = 10 };

struct claim {
    uint64_t key;
    struct claim *older, *newer;
    bool in_flight; /* false: passed */
    bool open;      /* passed on by everybody */
    mono_ms since;
    uint32_t attempt, origin_attempt;
    uint64_t ended_by;      /* hash of the name of who failed or passed last, whatever became of it */
    uint32_t ended_attempt; /* with this number: its take may come later than that */
    struct str holder, origin; /* behind the struct; origin: whose failure is being passed on */
};
struct claims {
    struct map64 by_key;
    struct claim *oldest, *newest;
    uint32_t attempts; /* of this node */
};

/* ---- Messages ---- */

uint64_t claim_key(struct str nflog_key)
{
    /* FNV-1a: the same on every node, unlike str_hash(). */
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < nflog_key.n; i++)
        h = (h ^ (uint8_t)nflog_key.p[i]) * 1099511628211u;
    return h;
}

void claim_message_write(struct buf *out, const struct claim_message *m)
{
    ASSERT(m->holder.n <= CLAIM_NAME_MAX);
    buf_byte(out, VERSION);
    buf_byte(out, (char)m->kind);
    buf_le64(out, m->key);
    uvarint_write(out, m->attempt);
    uvarint_write(out, m->holder.n);
    buf_str(out, m->holder);
    if (m->kind != CLAIM_PASS)
        return;
    ASSERT(m->origin.n <= CLAIM_NAME_MAX);
    uvarint_write(out, m->origin.n);
    buf_str(out, m->origin);
    uvarint_write(out, m->origin_attempt);
}

static bool take_number(struct str *rest, uint32_t *v)
{
    uint64_t wide;
    if (!uvarint_take(rest, &wide) || wide > UINT32_MAX)
        return false;
    *v = (uint32_t)wide;
    return true;
}

static bool take_name(struct str *rest, struct str *name)
{
    uint64_t n;
    if (!uvarint_take(rest, &n) || n == 0 || n > CLAIM_NAME_MAX || n > rest->n)
        return false;
    *name = str_sub(*rest, 0, (size_t)n);
    *rest = str_from(*rest, (size_t)n);
    return true;
}

bool claim_message_parse(struct str bytes, struct claim_message *m, struct err *err)
{
    if (bytes.n < FIXED_BYTES || bytes.n > CLAIM_BYTES_MAX)
        return err_set(err, ERR_CORRUPT, "claim: %zu bytes", bytes.n);
    if (bytes.p[0] != VERSION || bytes.p[1] < CLAIM_TAKE || bytes.p[1] > CLAIM_PASS)
        return err_set(err, ERR_CORRUPT, "claim: unknown version or kind");
    *m = (struct claim_message){
        .kind = (enum claim_kind)bytes.p[1],
        .key = get_le64(bytes.p + 2),
        .origin = STR_EMPTY,
    };
    struct str rest = str_from(bytes, FIXED_BYTES);
    bool ok = take_number(&rest, &m->attempt) && take_name(&rest, &m->holder);
    if (ok && m->kind == CLAIM_PASS)
        ok = take_name(&rest, &m->origin) && take_number(&rest, &m->origin_attempt);
    return ok && rest.n == 0 ? true : err_set(err, ERR_CORRUPT, "claim: damaged");
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

static bool is_member(const struct claim_members *members, size_t at, struct str name)
{
    return at < members->n && str_eq(members->v[at].name, name);
}

/* The member that takes part after the one of this name (which may be gone), or n. */
static size_t next_member(const struct claim_members *members, struct str name)
{
    size_t after = 0;
    while (after < members->n && str_cmp(members->v[after].name, name) <= 0)
        after++;
    for (size_t i = 0; i < members->n; i++) {
        size_t at = (after + i) % members->n;
        if (members->v[at].claims)
            return at;
    }
    return members->n;
}

static void note_end(struct claim *k, const struct claim_message *m)
{
    k->ended_by = str_hash(m->holder, 0);
    k->ended_attempt = m->attempt;
}

static void note(struct claims *c, mono_ms now, const struct claim_message *m, const struct claim_members *members)
{
    struct claim *k = map64_get(&c->by_key, m->key);
    struct claim ended = { .ended_by = k ? k->ended_by : 0, .ended_attempt = k ? k->ended_attempt : 0 };
    if (m->kind != CLAIM_TAKE)
        note_end(&ended, m);
    if (k)
        drop(c, k);
    while (c->oldest && (is_over(c->oldest, now) || c->by_key.count >= CLAIMS_MAX))
        drop(c, c->oldest);
    struct str origin = m->kind == CLAIM_PASS ? m->origin : m->holder;
    k = mem_alloc(sizeof *k + m->holder.n + origin.n);
    char *name = (char *)(k + 1);
    memcpy(name, m->holder.p, m->holder.n);
    memcpy(name + m->holder.n, origin.p, origin.n);
    *k = (struct claim){
        .key = m->key,
        .older = c->newest,
        .in_flight = m->kind == CLAIM_TAKE,
        .open = m->kind == CLAIM_PASS && is_member(members, next_member(members, m->holder), m->origin),
        .since = now,
        .attempt = m->attempt,
        .origin_attempt = m->kind == CLAIM_PASS ? m->origin_attempt : m->attempt,
        .ended_by = ended.ended_by,
        .ended_attempt = ended.ended_attempt,
        .holder = { name, m->holder.n },
        .origin = { name + m->holder.n, origin.n },
    };
    *(c->newest ? &c->newest->newer : &c->oldest) = k;
    c->newest = k;
    map64_put(&c->by_key, k->key, k);
}

static size_t find_member(const struct claim_members *members, struct str name)
{
    for (size_t i = 0; i < members->n; i++)
        if (str_eq(members->v[i].name, name))
            return i;
    return members->n;
}

/* Is somebody else's attempt in flight, as far as we know? */
static bool other_in_flight(const struct claim *k, mono_ms now, struct str but, const struct claim_members *members)
{
    return k && k->in_flight && !is_over(k, now) && !str_eq(k->holder, but) &&
           find_member(members, k->holder) < members->n;
}

void claims_take(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                 struct claim_message *m)
{
    ASSERT(members->self < members->n);
    *m = (struct claim_message){ CLAIM_TAKE, key, members->v[members->self].name, STR_EMPTY, ++c->attempts, 0 };
    note(c, now, m, members);
}

void claims_fail(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                 struct claim_message *m)
{
    ASSERT(members->self < members->n);
    *m = (struct claim_message){ CLAIM_FAIL, key, members->v[members->self].name, STR_EMPTY, ++c->attempts, 0 };
    if (!other_in_flight(map64_get(&c->by_key, key), now, m->holder, members))
        note(c, now, m, members);
}

void claims_logged(struct claims *c, uint64_t key)
{
    struct claim *k = map64_get(&c->by_key, key);
    if (k)
        drop(c, k);
}

/* How many members that take part come before this node, counting from the one after the holder. */
static int64_t distance(const struct claim_members *members, struct str holder)
{
    size_t after = 0; /* the first member whose name follows the holder's, the holder being perhaps gone */
    while (after < members->n && str_cmp(members->v[after].name, holder) <= 0)
        after++;
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

void claims_pass(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                 struct claim_message *m)
{
    const struct claim *k = map64_get(&c->by_key, key);
    ASSERT(k && !k->in_flight && members->self < members->n);
    char origin[CLAIM_NAME_MAX];
    memcpy(origin, k->origin.p, k->origin.n);
    *m = (struct claim_message){ CLAIM_PASS, key, members->v[members->self].name, { origin, k->origin.n }, ++c->attempts,
                                 k->origin_attempt };
    note(c, now, m, members);
    k = map64_get(&c->by_key, key);
    m->origin = k->origin; /* lives as long as the claim */
}

/* Does a take of the member at `from` yield to the claim that stands? Of several that take at about the same instant the
 * earliest in line goes on, and everybody comes to the same view of it. */
static bool yields(const struct claim *k, mono_ms now, size_t from, const struct claim_members *members)
{
    if (!k || !k->in_flight || is_over(k, now))
        return false;
    size_t holder = find_member(members, k->holder);
    bool same_instant = now.ms - k->since.ms < 2 * CLAIM_NOTICE_MS;
    return holder < from && (same_instant || holder == members->self);
}

/* How far round the members' circle a member is from the origin of a failure. */
static size_t ring_distance(const struct claim_members *members, struct str origin, struct str name)
{
    size_t from = find_member(members, origin), to = find_member(members, name);
    return (to + members->n - from) % members->n;
}

/* Is a take known to be over, or does it yield? */
static bool take_is_old(const struct claim *k, mono_ms now, const struct claim_message *m, size_t from,
                        const struct claim_members *members)
{
    if (k->ended_by == str_hash(m->holder, 0) && m->attempt < k->ended_attempt)
        return true; /* overtaken by its own end */
    if (!k->in_flight && str_eq(k->origin, m->holder) && m->attempt <= k->origin_attempt)
        return true; /* overtaken by somebody who passed its failure on */
    return yields(k, now, from, members);
}

/* Messages of several senders overtake each other: a failure that is passed on is ordered by (attempt of the origin, how
 * far it has come round). */
static bool end_is_old(struct claim *k, mono_ms now, const struct claim_message *m, const struct claim_members *members)
{
    bool pass = m->kind == CLAIM_PASS;
    struct str origin = pass ? m->origin : m->holder;
    uint32_t attempt = pass ? m->origin_attempt : m->attempt;
    if (other_in_flight(k, now, origin, members)) {
        note_end(k, m);
        return true;
    }
    if (!str_eq(k->origin, origin))
        return false;
    if (k->in_flight || attempt != k->origin_attempt)
        return attempt < k->origin_attempt;
    return ring_distance(members, origin, m->holder) <= ring_distance(members, origin, k->holder);
}

enum claim_heard claims_hear(struct claims *c, mono_ms now, const struct claim_message *m,
                             const struct claim_members *members)
{
    size_t from = find_member(members, m->holder);
    if (from == members->n || from == members->self)
        return CLAIM_OLD;
    struct claim *k = map64_get(&c->by_key, m->key);
    if (k && is_over(k, now))
        k = NULL;
    if (k && str_eq(k->holder, m->holder) && m->attempt <= k->attempt)
        return CLAIM_OLD;
    if (k && (m->kind == CLAIM_TAKE ? take_is_old(k, now, m, from, members) : end_is_old(k, now, m, members)))
        return CLAIM_OLD;
    note(c, now, m, members);
    if (m->kind == CLAIM_TAKE || members->n > CLAIM_PASS_MEMBERS_MAX)
        return CLAIM_NEWS;
    k = map64_get(&c->by_key, m->key);
    return !k->open && next_member(members, m->holder) == members->self ? CLAIM_OURS : CLAIM_NEWS;
}

bool claims_are_ours(const struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members)
{
    const struct claim *k = map64_get(&c->by_key, key);
    return k && k->in_flight && !is_over(k, now) && find_member(members, k->holder) == members->self;
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
    if (k->in_flight) {
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
