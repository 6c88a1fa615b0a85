/* Claims, one per log key that somebody tried to send for lately.
 *
 *     message = u8 version (1) | u8 kind | le64 key | uvarint round | text holder | PASS only: text origin
 *     text = uvarint n | n bytes
 *
 * Messages of several members overtake each other and several members may take at one instant, so what is heard has an
 * order, and only what is later in it changes anything:
 *
 *     higher round  >  earlier in line (holder of a take or fail, origin of a pass)  >  take < fail < pass, farther round
 *
 * A take that answers a failure (or follows a claim that ran out) begins the next round. Of several that take in one round
 * the earliest in line goes on: the others hear of it within CLAIM_NOTICE_MS, before they try. Everybody comes to the same
 * view, whatever the order of arrival.
 *
 * C1  Claims are in the map and in a list from the oldest to the newest `since`. One that is past CLAIM_BOUND_MS counts for
 *     nothing but its round, and is dropped when anything else is noted.
 * C2  Whatever is heard, claims_turn() answers with a time not after max(base, since + CLAIM_BOUND_MS): a claim delays,
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
    enum claim_kind kind;
    bool open;          /* passed on by everybody */
    mono_ms since;
    uint32_t round;
    uint32_t own_round; /* of the last take of this node */
    struct str holder, origin; /* behind the struct */
};
struct claims {
    struct map64 by_key;
    struct claim *oldest, *newest;
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

static void write_name(struct buf *out, struct str name)
{
    ASSERT(name.n > 0 && name.n <= CLAIM_NAME_MAX);
    uvarint_write(out, name.n);
    buf_str(out, name);
}

void claim_message_write(struct buf *out, const struct claim_message *m)
{
    buf_byte(out, VERSION);
    buf_byte(out, (char)m->kind);
    buf_le64(out, m->key);
    uvarint_write(out, m->round);
    write_name(out, m->holder);
    if (m->kind == CLAIM_PASS)
        write_name(out, m->origin);
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
    uint64_t round;
    if (!uvarint_take(&rest, &round) || round > CLAIM_ROUND_MAX || !take_name(&rest, &m->holder) ||
        (m->kind == CLAIM_PASS && !take_name(&rest, &m->origin)) || rest.n)
        return err_set(err, ERR_CORRUPT, "claim: damaged");
    m->round = (uint32_t)round;
    return true;
}

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
    k->key = m->key;
    k->kind = m->kind;
    k->since = now;
    k->round = m->round;
    k->own_round = own_round;
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

void claims_take(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                 struct claim_message *m)
{
    const struct claim *k = map64_get(&c->by_key, key);
    uint32_t round = k && k->round < CLAIM_ROUND_MAX ? k->round + 1 : 1;
    *m = (struct claim_message){ CLAIM_TAKE, key, own_name(members), STR_EMPTY, round };
    note(c, now, m, members, round);
}

static bool is_news(const struct claim *k, mono_ms now, const struct claim_message *m,
                    const struct claim_members *members);

void claims_fail(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                 struct claim_message *m)
{
    const struct claim *k = map64_get(&c->by_key, key);
    uint32_t round = k && k->own_round ? k->own_round : 1;
    *m = (struct claim_message){ CLAIM_FAIL, key, own_name(members), STR_EMPTY, round };
    if (is_news(k, now, m, members))
        note(c, now, m, members, round);
}

void claims_pass(struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members,
                 struct claim_message *m)
{
    const struct claim *k = map64_get(&c->by_key, key);
    ASSERT(k && k->kind != CLAIM_TAKE);
    *m = (struct claim_message){ CLAIM_PASS, key, own_name(members), k->origin, k->round };
    m->origin = note(c, now, m, members, k->own_round)->origin; /* lives as long as the claim */
}

void claims_logged(struct claims *c, uint64_t key)
{
    struct claim *k = map64_get(&c->by_key, key);
    if (k)
        drop(c, k);
}

/* ---- What is heard ---- */

/* How far a message of one round and one origin has come: a take, its failure, who passed it on. */
static size_t phase(enum claim_kind kind, struct str origin, struct str holder, const struct claim_members *members)
{
    switch (kind) {
    case CLAIM_TAKE:
        return 0;
    case CLAIM_FAIL:
        return 1;
    case CLAIM_PASS:
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

enum claim_heard claims_hear(struct claims *c, mono_ms now, const struct claim_message *m,
                             const struct claim_members *members)
{
    size_t from = find_member(members, m->holder);
    if (from == members->n || from == members->self)
        return CLAIM_OLD;
    const struct claim *k = map64_get(&c->by_key, m->key);
    if (!is_news(k, now, m, members))
        return CLAIM_OLD;
    k = note(c, now, m, members, k ? k->own_round : 0);
    if (k->kind == CLAIM_TAKE || k->open || members->n > CLAIM_PASS_MEMBERS_MAX)
        return CLAIM_NEWS;
    return next_member(members, m->holder) == members->self ? CLAIM_OURS : CLAIM_NEWS;
}

/* ---- Whose turn it is ---- */

bool claims_are_ours(const struct claims *c, mono_ms now, uint64_t key, const struct claim_members *members)
{
    const struct claim *k = map64_get(&c->by_key, key);
    return k && k->kind == CLAIM_TAKE && !is_over(k, now) && find_member(members, k->holder) == members->self;
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
    if (k->kind == CLAIM_TAKE) {
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
