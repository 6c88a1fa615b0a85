/* Claims, one per log key that somebody tried to send for lately.
 *
 *     message = u8 version (1) | u8 kind | le64 key | uvarint attempt | text holder | PASS only: text origin
 *     text = uvarint n | n bytes
 *
 * C1  Claims are in the map and in a list from the oldest to the newest `since`; a claim is past CLAIM_BOUND_MS is dropped
 *     when anything is noted, and counts for nothing before that.
 * C2  A failure of one member does not end the attempt of another that is in flight.
 * C3  Whatever is heard, claims_turn() answers with a time not after max(base, since + CLAIM_BOUND_MS): a claim delays,
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
    mono_ms since;
    uint32_t attempt;
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
    uint64_t attempt;
    if (!uvarint_take(&rest, &attempt) || attempt > UINT32_MAX || !take_name(&rest, &m->holder) ||
        (m->kind == CLAIM_PASS && !take_name(&rest, &m->origin)) || rest.n)
        return err_set(err, ERR_CORRUPT, "claim: damaged");
    m->attempt = (uint32_t)attempt;
    return true;
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

static void note(struct claims *c, mono_ms now, const struct claim_message *m)
{
    struct claim *k = map64_get(&c->by_key, m->key);
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
        .since = now,
        .attempt = m->attempt,
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
    *m = (struct claim_message){ CLAIM_TAKE, key, members->v[members->self].name, STR_EMPTY, ++c->attempts };
    note(c, now, m);
}

void claims_fail(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                 struct claim_message *m)
{
    ASSERT(members->self < members->n);
    *m = (struct claim_message){ CLAIM_FAIL, key, members->v[members->self].name, STR_EMPTY, ++c->attempts };
    if (!other_in_flight(map64_get(&c->by_key, key), now, m->holder, members))
        note(c, now, m);
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
    *m = (struct claim_message){ CLAIM_PASS, key, members->v[members->self].name, { origin, k->origin.n }, ++c->attempts };
    note(c, now, m);
    k = map64_get(&c->by_key, key);
    m->origin = k->origin; /* lives as long as the claim */
}

enum claim_heard claims_hear(struct claims *c, mono_ms now, const struct claim_message *m,
                             const struct claim_members *members)
{
    size_t from = find_member(members, m->holder);
    if (from == members->n || from == members->self)
        return CLAIM_OLD;
    const struct claim *k = map64_get(&c->by_key, m->key);
    bool same_holder = k && str_eq(k->holder, m->holder) && !is_over(k, now);
    if (same_holder && m->attempt <= k->attempt)
        return CLAIM_OLD;
    if (m->kind != CLAIM_TAKE && other_in_flight(k, now, m->holder, members))
        return CLAIM_OLD;
    note(c, now, m);
    if (m->kind == CLAIM_TAKE || members->n > CLAIM_PASS_MEMBERS_MAX)
        return CLAIM_NEWS;
    bool ours = distance(members, m->holder) == 0 && members->v[members->self].claims;
    struct str origin = m->kind == CLAIM_PASS ? m->origin : m->holder;
    return ours && !str_eq(origin, members->v[members->self].name) ? CLAIM_OURS : CLAIM_NEWS;
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
    int64_t wait_ms;
    if (__builtin_mul_overflow(distance(members, k->holder), peer_timeout_ms, &wait_ms) || wait_ms > CLAIM_BOUND_MS)
        return bound;
    return mono_min(mono_add(k->since, wait_ms), bound);
}
