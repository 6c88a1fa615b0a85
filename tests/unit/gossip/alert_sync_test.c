/* Replicas with stores of alerts, connected by queues: what one has, all get, and nothing is sent without need. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "base/map.h"
#include "base/mem.h"
#include "gossip/alert_sync.h"

#include <stdio.h>
#include <string.h>

#define REPLICAS_MAX 5

struct replica_side {
    char name[32];
    struct alert_sync *sync;
    struct alert_sync_stats stats;
    struct alert_sync_out out;
    struct map64 alerts; /* fp -> struct alert_sync_entry * */
    bool up;
};

struct mail {
    size_t to;
    struct str key, bytes;
};

static struct replica_side sides[REPLICAS_MAX];
static size_t count;
static mono_ms now;
static wall_ms wall;
static struct mail mails[100000];
static size_t mails_count;
static size_t bytes_sent, steps;

static bool resolved(const struct alert_sync_entry *e)
{
    return e->ends_at <= wall;
}
static bool counted(const struct alert_sync_entry *e)
{
    return !resolved(e) || e->ends_at > wall - 4 * ALERT_SYNC_INTERVAL_MS;
}

static void bucket_hashes(void *arg, wall_ms t, uint64_t out[ALERT_SYNC_BUCKETS])
{
    struct replica_side *r = arg;
    struct alert_sync_entry *e;
    assert_int_equal(t, wall);
    for (size_t at = 0; (e = map64_next(&r->alerts, &at)) != NULL;)
        if (counted(e))
            out[e->fp >> 56] ^= alert_sync_mix(e->fp, resolved(e));
}
static void bucket_list(void *arg, wall_ms t, unsigned bucket, void (*visit)(void *, struct alert_sync_entry), void *visit_arg)
{
    struct replica_side *r = arg;
    struct alert_sync_entry *e;
    (void)t;
    for (size_t at = 0; (e = map64_next(&r->alerts, &at)) != NULL;)
        if (e->fp >> 56 == bucket && counted(e))
            visit(visit_arg, *e);
}
static void expiring(void *arg, wall_ms t, wall_ms before, size_t max, void (*visit)(void *, struct alert_sync_entry), void *visit_arg)
{
    struct replica_side *r = arg;
    struct alert_sync_entry *e;
    size_t n = 0;
    (void)t;
    for (size_t at = 0; (e = map64_next(&r->alerts, &at)) != NULL && n < max;)
        if (!resolved(e) && e->ends_at <= before) {
            visit(visit_arg, *e);
            n++;
        }
}
static bool lookup(void *arg, uint64_t fp, struct alert_sync_entry *e)
{
    struct replica_side *r = arg;
    struct alert_sync_entry *have = map64_get(&r->alerts, fp);
    if (have)
        *e = *have;
    return have != NULL;
}
static bool encode(void *arg, uint64_t fp, struct buf *out)
{
    struct alert_sync_entry e;
    if (!lookup(arg, fp, &e))
        return false;
    buf_le64(out, e.fp);
    buf_le64(out, (uint64_t)e.ends_at);
    buf_le64(out, (uint64_t)e.updated_at);
    return true;
}

static void put(size_t i, uint64_t fp, wall_ms ends_at, wall_ms updated_at)
{
    struct alert_sync_entry *e = map64_get(&sides[i].alerts, fp);
    if (!e) {
        e = MEM_NEW(struct alert_sync_entry);
        map64_put(&sides[i].alerts, fp, e);
    } else if (e->updated_at >= updated_at) {
        return;
    }
    *e = (struct alert_sync_entry){ fp, ends_at, updated_at };
}

static void drop_all(size_t i)
{
    struct alert_sync_entry *e;
    for (size_t at = 0; (e = map64_next(&sides[i].alerts, &at)) != NULL;)
        mem_free(e);
    map64_deinit(&sides[i].alerts);
    sides[i].alerts = (struct map64){ 0 };
}

static void step(size_t i, const struct alert_sync_event *ev)
{
    struct replica_side *r = &sides[i];
    alert_sync_out_reset(&r->out);
    alert_sync_step(r->sync, now, wall, ev, &r->out);
    steps++;
    for (size_t k = 0; k < r->out.count; k++) {
        struct mail m = { .key = r->out.msgs[k].key };
        for (m.to = 0; m.to < count && !str_eq(str_c(sides[m.to].name), r->out.msgs[k].to);)
            m.to++;
        assert_true(m.to < count && m.to != i);
        assert_true(mails_count < ARRAY_LEN(mails));
        struct str bytes = r->out.msgs[k].bytes;
        bytes_sent += bytes.n;
        m.bytes = str_of(mem_dup(bytes.p, bytes.n), bytes.n);
        mails[mails_count++] = m;
    }
}

static void news(size_t i, struct str bytes)
{
    for (size_t at = 0; at + 24 <= bytes.n; at += 24)
        put(i, get_le64(bytes.p + at), (wall_ms)get_le64(bytes.p + at + 8), (wall_ms)get_le64(bytes.p + at + 16));
}

static void mail_free(struct mail *m)
{
    union {
        const char *in;
        char *out;
    } u = { .in = m->bytes.p };
    mem_free(u.out);
}

/* Time passes in steps of 100 ms; mail arrives in the step after. */
static void pass(int64_t ms)
{
    for (int64_t t = 0; t < ms; t += 100) {
        now.ms += 100;
        wall += 100;
        size_t n = mails_count;
        for (size_t k = 0; k < n; k++) {
            struct mail m = mails[k];
            if (sides[m.to].up && str_eq(m.key, STR(ALERT_SYNC_NEWS))) {
                news(m.to, m.bytes);
            } else if (sides[m.to].up) {
                assert_true(alert_sync_key(m.key));
                struct alert_sync_event ev = { .kind = ALERT_SYNC_MESSAGE, .key = m.key, .bytes = m.bytes };
                step(m.to, &ev);
            }
            mail_free(&m);
        }
        memmove(mails, mails + n, (mails_count - n) * sizeof *mails);
        mails_count -= n;
        for (size_t i = 0; i < count; i++) {
            struct alert_sync_event ev = { .kind = ALERT_SYNC_TIMER };
            for (unsigned k = 0; k < 1000 && sides[i].up && !mono_before(now, alert_sync_deadline(sides[i].sync)); k++)
                step(i, &ev);
        }
    }
}

static void meet(size_t i, size_t k, enum alert_sync_event_kind kind)
{
    struct alert_sync_event ev = { .kind = kind, .name = str_c(sides[k].name) };
    step(i, &ev);
}

static void begin(size_t replicas)
{
    count = replicas;
    now.ms = 1000;
    wall = 1700000000000;
    bytes_sent = steps = 0;
    for (size_t i = 0; i < count; i++) {
        struct replica_side *r = &sides[i];
        memset(r, 0, sizeof *r);
        snprintf(r->name, sizeof r->name, "r%zu", i);
        struct alert_sync_config config = {
            .name = str_c(r->name), .seed = i + 1, .store = { r, bucket_hashes, bucket_list, expiring, lookup, encode }
        };
        r->sync = alert_sync_new(&config, &r->stats);
        r->up = true;
    }
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++)
            if (i != k)
                meet(i, k, ALERT_SYNC_PEER_UP);
}

static int stop(void **state)
{
    (void)state;
    for (size_t k = 0; k < mails_count; k++)
        mail_free(&mails[k]);
    mails_count = 0;
    for (size_t i = 0; i < count; i++) {
        drop_all(i);
        alert_sync_free(sides[i].sync);
        alert_sync_out_deinit(&sides[i].out);
    }
    count = 0;
    return 0;
}

static uint64_t fp(unsigned i)
{
    return (uint64_t)i * 0x9e3779b97f4a7c15u;
}

static void what_one_has_all_get(void **state)
{
    (void)state;
    begin(3);
    for (unsigned i = 0; i < 1000; i++)
        put(i % 3, fp(i), wall + 300000, wall);
    pass(2 * ALERT_SYNC_INTERVAL_MS);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(sides[i].alerts.count, 1000);
}

static void equal_replicas_exchange_digests_only(void **state)
{
    (void)state;
    begin(2);
    for (unsigned i = 0; i < 5000; i++) {
        put(0, fp(i), wall + 3000000, wall);
        put(1, fp(i), wall + 3000000 + i, wall + 1 + i); /* times differ: no reason to talk */
    }
    pass(10 * ALERT_SYNC_INTERVAL_MS);
    assert_int_equal(counter_get(&sides[0].stats.lists_sent) + counter_get(&sides[1].stats.lists_sent), 0);
    assert_in_range(counter_get(&sides[0].stats.digests_sent), 9, 12);
    assert_true(bytes_sent < 24 * 2200);
}

static void only_buckets_that_differ_are_listed(void **state)
{
    (void)state;
    begin(2);
    for (unsigned i = 0; i < 20000; i++) {
        put(0, fp(i), wall + 3000000, wall);
        put(1, fp(i), wall + 3000000, wall);
    }
    put(0, fp(77777), wall + 300000, wall);
    pass(2 * ALERT_SYNC_INTERVAL_MS);
    assert_int_equal(sides[1].alerts.count, 20001);
    assert_int_equal(counter_get(&sides[1].stats.alerts_fetched), 1);
    assert_int_equal(counter_get(&sides[0].stats.alerts_served), 1);
    assert_true(bytes_sent < 30000); /* 20001 entries would be 480 kB */
}

static void a_missed_resolution_is_fetched(void **state)
{
    (void)state;
    begin(2);
    put(0, fp(1), wall + 300000, wall);
    put(1, fp(1), wall + 300000, wall);
    pass(ALERT_SYNC_INTERVAL_MS);
    put(0, fp(1), wall, wall + 5); /* resolved now, and the news was lost */
    pass(2 * ALERT_SYNC_INTERVAL_MS);
    struct alert_sync_entry e = { 0 };
    assert_true(lookup(&sides[1], fp(1), &e));
    assert_true(resolved(&e));
}

static void what_is_resent_to_one_does_not_expire_at_the_others(void **state)
{
    (void)state;
    begin(3);
    for (unsigned i = 0; i < 50; i++)
        for (size_t k = 0; k < 3; k++)
            put(k, fp(i), wall + 240000, wall);
    for (unsigned minute = 0; minute < 20; minute++) { /* re-sends reach replica 0 only */
        pass(60000);
        for (unsigned i = 0; i < 50; i++)
            put(0, fp(i), wall + 240000, wall);
        struct alert_sync_entry e;
        for (size_t k = 0; k < 3; k++)
            for (unsigned i = 0; i < 50; i++) {
                assert_true(lookup(&sides[k], fp(i), &e));
                assert_false(resolved(&e));
            }
    }
    /* Fetched when it was needed, every 3.5 minutes or so, not with every digest. */
    assert_in_range(counter_get(&sides[1].stats.alerts_fetched), 50 * 4, 50 * 9);
}

static void two_peers_are_not_asked_for_the_same(void **state)
{
    (void)state;
    begin(3);
    for (unsigned i = 0; i < 500; i++) {
        put(0, fp(i), wall + 300000, wall);
        put(1, fp(i), wall + 300000, wall);
    }
    pass(3000);
    assert_int_equal(sides[2].alerts.count, 500);
    assert_int_equal(counter_get(&sides[2].stats.alerts_fetched), 500);
}

static void a_newcomer_does_not_wait_for_the_round_and_work_is_sliced(void **state)
{
    (void)state;
    begin(2);
    pass(3 * ALERT_SYNC_INTERVAL_MS);
    meet(1, 0, ALERT_SYNC_PEER_DOWN);
    meet(0, 1, ALERT_SYNC_PEER_DOWN);
    for (unsigned i = 0; i < 20000; i++)
        put(0, fp(i), wall + 300000, wall);
    meet(1, 0, ALERT_SYNC_PEER_UP);
    meet(0, 1, ALERT_SYNC_PEER_UP);
    steps = 0;
    pass(3000);
    assert_int_equal(sides[1].alerts.count, 20000);
    assert_true(steps > 20000 / 256); /* no step served more than a slice */
}

static void strangers_and_damage_are_refused(void **state)
{
    (void)state;
    begin(2);
    static const char *const bad[] = { "", "\1", "\2\2r0", "\1\2r0", "\1\377r0\0\0\0\0", "\1\2xx\0\0\0\0", "\1\2r1\0\0\0\0abc" };
    static const size_t n[] = { 0, 1, 4, 4, 8, 8, 11 };
    static const char *const keys[] = { ALERT_SYNC_DIGEST, ALERT_SYNC_LIST, ALERT_SYNC_FETCH };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
            struct alert_sync_event ev = { .kind = ALERT_SYNC_MESSAGE, .key = str_c(keys[k]), .bytes = str_of(bad[i], n[i]) };
            step(0, &ev);
        }
    assert_int_equal(counter_get(&sides[0].stats.refused), ARRAY_LEN(bad) * ARRAY_LEN(keys));
}

static void nobody_is_asked_when_alone(void **state)
{
    (void)state;
    begin(2);
    meet(0, 1, ALERT_SYNC_PEER_DOWN);
    sides[1].up = false;
    pass(ALERT_SYNC_INTERVAL_MS);
    assert_int_equal(alert_sync_deadline(sides[0].sync).ms, INT64_MAX);
    assert_int_equal(counter_get(&sides[0].stats.digests_sent), 0);
}

#define T(f) cmocka_unit_test_teardown(f, stop)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_one_has_all_get),
        T(equal_replicas_exchange_digests_only),
        T(only_buckets_that_differ_are_listed),
        T(a_missed_resolution_is_fetched),
        T(what_is_resent_to_one_does_not_expire_at_the_others),
        T(two_peers_are_not_asked_for_the_same),
        T(a_newcomer_does_not_wait_for_the_round_and_work_is_sliced),
        T(strangers_and_damage_are_refused),
        T(nobody_is_asked_when_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
