#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "nflog/claim_message.h"
#include "nflog/nflog.h"
#include "wire/pb.h"
#include "wire/pb_time.h"

static const int64_t RETENTION_MS = 120 * 3600 * 1000LL;

static struct wire_time at(int64_t s)
{
    return (struct wire_time){ 1767225600 + s, 0 };
}

static struct nflog_entry entry_of(const uint64_t *firing, size_t n)
{
    return (struct nflog_entry){
        .group_key = STR("{}:{alertname=\"A\"}"),
        .receiver = { STR("r"), STR("webhook"), 1 },
        .firing = firing,
        .firing_count = n,
    };
}

static bool query(struct nflog *l, struct arena *a, struct nflog_entry *e)
{
    return nflog_query(l, a, STR("{}:{alertname=\"A\"}:r/webhook/1"), e);
}

static void logged_entry_is_found_with_all_it_held(void **state)
{
    (void)state;
    struct nflog *l = nflog_new(RETENTION_MS);
    struct arena a;
    struct buf record = { 0 };
    const uint64_t firing[] = { 1, 1u << 20, UINT64_MAX }, resolved[] = { 7 };
    const struct nflog_value data[] = {
        { STR("ts"), NFLOG_STR, STR("123.4"), 0, 0 },
        { STR("n"), NFLOG_INT, STR_EMPTY, -3, 0 },
        { STR("f"), NFLOG_DOUBLE, STR_EMPTY, 0, 0.5 },
    };
    struct nflog_entry e = entry_of(firing, 3), got;
    e.resolved = resolved;
    e.resolved_count = 1;
    e.data = data;
    e.data_count = 3;
    arena_init(&a, ARENA_NO_LIMIT);
    assert_false(query(l, &a, &got));
    nflog_log(l, at(5), &e, 3600 * 1000, &record);
    assert_true(query(l, &a, &got));
    assert_int_equal(wire_time_cmp(got.timestamp, at(5)), 0);
    assert_int_equal(wire_time_cmp(got.expires_at, at(5 + 7200)), 0);
    assert_int_equal(got.firing_count, 3);
    assert_memory_equal(got.firing, firing, sizeof firing);
    assert_int_equal(got.resolved_count, 1);
    assert_int_equal(got.data_count, 3);
    assert_true(str_eq(got.data[0].s, STR("123.4")));
    assert_int_equal(got.data[1].i, -3);
    assert_true(got.data[2].d == 0.5);
    assert_int_equal(counter_get(&nflog_stats(l)->queries), 2);
    assert_int_equal(counter_get(&nflog_stats(l)->query_errors), 1);

    struct nflog *other = nflog_new(RETENTION_MS); /* what was written is what a peer reads */
    struct err err;
    struct replica row = nflog_replica(other);
    assert_true(row.check(buf_view(&record), &err));
    assert_int_equal(row.merge(other, at(6), buf_view(&record), 10, NULL, NULL), record.n);
    assert_true(query(other, &a, &got));
    assert_memory_equal(got.firing, firing, sizeof firing);
    nflog_free(other);
    nflog_free(l);
    buf_deinit(&record);
    arena_deinit(&a);
}

/* By the hash of its key, and only to who has an older one: what a peer is answered that asks whether it may try. */
static void newer_entry_is_found_by_its_claim(void **state)
{
    (void)state;
    struct nflog *l = nflog_new(RETENTION_MS);
    struct buf record = { 0 }, again = { 0 }, key = { 0 };
    struct nflog_entry e = entry_of(NULL, 0);
    nflog_key_write(&key, e.group_key, &e.receiver);
    uint64_t claim = claim_key(buf_view(&key));
    assert_false(nflog_newer(l, claim, WIRE_TIME_ZERO, &again));
    nflog_log(l, at(5), &e, 3600 * 1000, &record);
    assert_false(nflog_newer(l, claim, at(5), &again));
    assert_false(nflog_newer(l, claim + 1, at(0), &again));
    assert_true(nflog_newer(l, claim, at(4), &again));
    assert_true(str_eq(buf_view(&again), buf_view(&record)));
    size_t cursor = 0;
    nflog_gc(l, at(RETENTION_MS), &cursor, 10);
    assert_false(nflog_newer(l, claim, WIRE_TIME_ZERO, &again));
    nflog_free(l);
    buf_deinit(&record);
    buf_deinit(&again);
    buf_deinit(&key);
}

static void retention_caps_the_life_of_an_entry(void **state)
{
    (void)state;
    struct nflog *l = nflog_new(1000 * 1000);
    struct arena a;
    struct buf record = { 0 };
    struct nflog_entry e = entry_of(NULL, 0), got;
    arena_init(&a, ARENA_NO_LIMIT);
    nflog_log(l, at(0), &e, 3600 * 1000, &record);
    assert_true(query(l, &a, &got));
    assert_int_equal(wire_time_cmp(got.expires_at, at(1000)), 0);
    size_t cursor = 0;
    nflog_gc(l, at(999), &cursor, 10);
    assert_int_equal(nflog_count(l), 1);
    cursor = 0;
    nflog_gc(l, at(1000), &cursor, 10);
    assert_int_equal(nflog_count(l), 0);
    nflog_free(l);
    buf_deinit(&record);
    arena_deinit(&a);
}

static void own_entry_is_newer_than_what_a_fast_clock_wrote(void **state)
{
    (void)state;
    struct nflog *l = nflog_new(RETENTION_MS);
    struct buf record = { 0 };
    const uint64_t one[] = { 1 }, two[] = { 2 };
    struct nflog_entry ahead = entry_of(one, 1), own = entry_of(two, 1), got;
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    nflog_log(l, at(100), &ahead, 3600 * 1000, &record);
    nflog_log(l, at(50), &own, 3600 * 1000, &record);
    assert_true(query(l, &a, &got));
    assert_int_equal(got.firing[0], 2);
    assert_int_equal(wire_time_sub_ns(got.timestamp, at(100)), 1);
    nflog_free(l);
    buf_deinit(&record);
    arena_deinit(&a);
}

static void count_changed(void *arg, struct str record)
{
    (void)record;
    ++*(size_t *)arg;
}

static void merge_takes_newer_refuses_older_and_expired(void **state)
{
    (void)state;
    struct nflog *a = nflog_new(RETENTION_MS), *b = nflog_new(RETENTION_MS);
    struct buf old = { 0 }, fresh = { 0 };
    struct nflog_entry e = entry_of(NULL, 0);
    struct replica row = nflog_replica(b);
    size_t changed = 0;
    nflog_log(a, at(1), &e, 1000, &old);
    nflog_log(a, at(5), &e, 3600 * 1000, &fresh);
    row.merge(b, at(2), buf_view(&fresh), 10, count_changed, &changed);
    assert_int_equal(changed, 1);
    row.merge(b, at(2), buf_view(&fresh), 10, count_changed, &changed);
    row.merge(b, at(2), buf_view(&old), 10, count_changed, &changed);
    assert_int_equal(changed, 1);
    struct nflog *c = nflog_new(RETENTION_MS);
    row = nflog_replica(c);
    row.merge(c, at(100), buf_view(&old), 10, count_changed, &changed); /* expired at 3 */
    assert_int_equal(nflog_count(c), 0);
    nflog_free(a);
    nflog_free(b);
    nflog_free(c);
    buf_deinit(&old);
    buf_deinit(&fresh);
}

static void unknown_fields_survive_and_slices_lose_nothing(void **state)
{
    (void)state;
    struct nflog *l = nflog_new(RETENTION_MS);
    struct buf in = { 0 }, out = { 0 };
    for (unsigned i = 0; i < 50; i++) {
        size_t record = pb_begin_delimited(&in), entry = pb_begin(&in, 1);
        pb_write_str(&in, 1, STR("g"));
        size_t receiver = pb_begin(&in, 2);
        pb_write_str(&in, 1, STR("r"));
        pb_write_u64(&in, 3, i + 1);
        pb_end(&in, receiver);
        pb_write_time(&in, 5, at(1));
        pb_write_u64(&in, 6, 99); /* not packed */
        pb_write_str(&in, 77, STR("from the future"));
        pb_end(&in, entry);
        pb_write_time(&in, 2, at(1000));
        pb_write_u64(&in, 78, 5);
        pb_end(&in, record);
    }
    struct err err;
    struct replica row = nflog_replica(l);
    assert_true(row.check(buf_view(&in), &err));
    size_t done = 0;
    while (done < in.n)
        done += row.merge(l, at(2), str_from(buf_view(&in), done), 7, NULL, NULL);
    assert_int_equal(done, in.n);
    uint64_t cursor = 0;
    while (row.encode(l, &cursor, 100, &out))
        continue;
    assert_true(str_eq(buf_view(&in), buf_view(&out)));
    struct nflog_entry e;
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    assert_true(nflog_query(l, &a, STR("g:r//1"), &e));
    assert_int_equal(e.firing_count, 1);
    assert_int_equal(e.firing[0], 99);
    arena_deinit(&a);
    nflog_free(l);
    buf_deinit(&in);
    buf_deinit(&out);
}

static void one_bad_record_spoils_the_message(void **state)
{
    (void)state;
    struct nflog *l = nflog_new(RETENTION_MS);
    struct buf b = { 0 };
    struct nflog_entry e = entry_of(NULL, 0);
    struct err err;
    struct replica row = nflog_replica(l);
    nflog_log(l, at(1), &e, 3600 * 1000, &b);
    assert_false(row.check(str_of(b.p, b.n - 1), &err));
    size_t record = pb_begin_delimited(&b);
    pb_write_time(&b, 2, at(1)); /* no entry */
    pb_end(&b, record);
    assert_false(row.check(buf_view(&b), &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_false(nflog_load(l, buf_view(&b), &err));
    nflog_free(l);
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logged_entry_is_found_with_all_it_held),
        cmocka_unit_test(newer_entry_is_found_by_its_claim),
        cmocka_unit_test(retention_caps_the_life_of_an_entry),
        cmocka_unit_test(own_entry_is_newer_than_what_a_fast_clock_wrote),
        cmocka_unit_test(merge_takes_newer_refuses_older_and_expired),
        cmocka_unit_test(unknown_fields_survive_and_slices_lose_nothing),
        cmocka_unit_test(one_bad_record_spoils_the_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
