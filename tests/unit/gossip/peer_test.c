#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip/peer.h"

#include <stdio.h>
#include <string.h>

static struct peer *p;
static struct peer_stats stats;
static struct peer_out out;
static mono_ms now;

static void step(const struct peer_event *ev)
{
    peer_out_reset(&out);
    peer_step(p, now, ev, &out);
}

static struct gossip_addr addr(unsigned n)
{
    return gossip_addr_v4(0x0a000000u + n, 9094);
}

static void begin_lingering(const char *const *peers, size_t count, int64_t linger_ms)
{
    struct err err;
    struct str texts[8];
    struct peer_config config = peer_config_default();
    config.linger_ms = linger_ms;
    for (size_t i = 0; i < count; i++)
        texts[i] = str_c(peers[i]);
    config.name = STR("m");
    config.advertise = addr(1);
    config.peers = texts;
    config.peers_count = count;
    memset(&stats, 0, sizeof stats);
    now.ms = 5000;
    p = peer_new(&config, &stats, &err);
    assert_non_null(p);
    struct peer_event ev = { .kind = PEER_MEMBER_JOINED, .name = STR("m"), .addr = addr(1) };
    step(&ev);
    ev.kind = PEER_START;
    step(&ev);
}

static void begin(const char *const *peers, size_t count)
{
    begin_lingering(peers, count, 0);
}

static int stop(void **state)
{
    (void)state;
    peer_free(p);
    p = NULL;
    peer_out_deinit(&out);
    return 0;
}

static size_t count(enum peer_effect_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < out.count; i++)
        n += out.effects[i].kind == kind;
    return n;
}
static const struct peer_effect *first(enum peer_effect_kind kind)
{
    for (size_t i = 0; i < out.count; i++)
        if (out.effects[i].kind == kind)
            return &out.effects[i];
    return NULL;
}

static void resolved(uint64_t tag, bool ok, size_t n, ...)
{
    struct gossip_addr addrs[8];
    va_list ap;
    va_start(ap, n);
    for (size_t i = 0; i < n; i++)
        addrs[i] = addr(va_arg(ap, unsigned));
    va_end(ap);
    struct peer_event ev = { .kind = PEER_RESOLVED, .tag = tag, .ok = ok, .addrs = addrs, .addrs_count = n, .bytes = STR("no such host") };
    step(&ev);
}

static void member(enum peer_event_kind kind, const char *name, unsigned n)
{
    struct peer_event ev = { .kind = kind, .name = str_c(name), .addr = addr(n) };
    step(&ev);
}

static void join_result(uint64_t tag, bool ok)
{
    struct peer_event ev = { .kind = PEER_JOIN_RESULT, .tag = tag, .ok = ok, .bytes = STR("why") };
    step(&ev);
}

/* Time passes; counts effects of one kind on the way. */
static size_t pass(int64_t ms, enum peer_effect_kind kind)
{
    mono_ms end = mono_add(now, ms);
    struct peer_event ev = { .kind = PEER_TIMER };
    size_t n = 0;
    while (!mono_before(end, peer_deadline(p))) {
        now = mono_before(peer_deadline(p), now) ? now : peer_deadline(p);
        step(&ev);
        n += count(kind);
    }
    now = end;
    peer_out_reset(&out);
    return n;
}

static void started_with(const char *peer)
{
    begin(&peer, 1);
    resolved(first(PEER_RESOLVE)->tag, true, 1, 2u);
    join_result(first(PEER_JOIN)->tag, true);
    assert_int_equal(count(PEER_STARTED), 1);
}

static void without_peers_it_starts_at_once_and_settles_after_ten_seconds(void **state)
{
    (void)state;
    struct peer_view view;
    begin(NULL, 0);
    assert_int_equal(count(PEER_STARTED), 1);
    assert_int_equal(pass(9999, PEER_READY), 0);
    peer_view_get(p, &view);
    assert_false(view.ready);
    assert_int_equal(pass(1, PEER_READY), 1);
    peer_view_get(p, &view);
    assert_true(view.ready);
    assert_int_equal(pass(600000, PEER_READY), 0);
}

static void a_change_of_members_starts_the_count_again(void **state)
{
    (void)state;
    begin(NULL, 0);
    (void)pass(7000, PEER_READY);
    member(PEER_MEMBER_JOINED, "a", 2);
    assert_int_equal(pass(7999, PEER_READY), 0); /* polls at 8 (changed), 10, 12, 14, ready at 16 */
    assert_int_equal(pass(1100, PEER_READY), 1);
}

static void settling_ends_with_its_timeout(void **state)
{
    (void)state;
    begin(NULL, 0);
    size_t ready = 0;
    for (unsigned i = 0; i < 29; i++) {
        ready += pass(2000, PEER_READY);
        member(PEER_MEMBER_JOINED, (char[]){ 'a', (char)('a' + i % 26), (char)('a' + i / 26), 0 }, i + 2);
    }
    assert_int_equal(ready, 0);
    assert_int_equal(pass(2000, PEER_READY), 1); /* 60 s */
}

static void names_are_looked_up_and_every_address_is_joined(void **state)
{
    (void)state;
    static const char *const peers[] = { "am.example:9094", "10.0.0.3:9095" };
    begin(peers, 2);
    assert_int_equal(count(PEER_RESOLVE), 2);
    assert_true(str_eq(first(PEER_RESOLVE)->host, STR("am.example")));
    uint64_t tag = first(PEER_RESOLVE)->tag;
    resolved(tag + 1, true, 1, 3u);
    assert_int_equal(count(PEER_JOIN), 0); /* still waits for the other */
    resolved(tag, true, 3, 1u, 2u, 4u);
    assert_int_equal(count(PEER_JOIN), 4); /* the own address is no exception */
    struct peer_view view;
    peer_view_get(p, &view);
    assert_int_equal(view.failed_count, 3); /* but it has not failed */
    uint64_t tags[4];
    for (size_t i = 0, k = 0; i < out.count; i++)
        if (out.effects[i].kind == PEER_JOIN)
            tags[k++] = out.effects[i].tag;
    for (size_t i = 0; i < 4; i++) {
        join_result(tags[i], i != 1);
        assert_int_equal(count(PEER_STARTED), i == 3);
    }
}

static void what_cannot_be_looked_up_is_joined_by_name(void **state)
{
    (void)state;
    static const char *const peers[] = { "nope.example:9094" };
    begin(peers, 1);
    resolved(first(PEER_RESOLVE)->tag, false, 0);
    const struct peer_effect *e = first(PEER_JOIN_NAME);
    assert_non_null(e);
    assert_true(str_eq(e->host, STR("nope.example")));
    assert_int_equal(e->port, 9094);
    join_result(e->tag, false); /* a failure is only a warning */
    assert_int_equal(count(PEER_STARTED), 1);
    assert_non_null(first(PEER_LOG));
}

static void a_look_up_that_hangs_ends_with_the_resolve_timeout(void **state)
{
    (void)state;
    static const char *const peers[] = { "slow.example:9094" };
    begin(peers, 1);
    assert_int_equal(pass(14999, PEER_JOIN_NAME), 0);
    assert_int_equal(pass(1, PEER_JOIN_NAME), 1);
}

static void an_empty_answer_is_asked_again_every_two_seconds_and_then_fatal(void **state)
{
    (void)state;
    static const char *const peers[] = { "empty.example:9094" };
    begin(peers, 1);
    resolved(first(PEER_RESOLVE)->tag, true, 0);
    size_t asked = 0, fatal = 0;
    struct peer_event ev = { .kind = PEER_TIMER };
    for (int64_t t = 0; t < 20000; t += 100) {
        now.ms += 100;
        step(&ev);
        asked += count(PEER_RESOLVE);
        fatal += count(PEER_FATAL);
        if (count(PEER_RESOLVE))
            resolved(first(PEER_RESOLVE)->tag, true, 1, 1u); /* only ourselves: as good as none */
    }
    assert_int_equal(asked, 7);
    assert_int_equal(fatal, 1);
}

static void failed_peers_are_tried_every_ten_seconds_until_forgotten(void **state)
{
    (void)state;
    started_with("10.0.0.2:9094");
    member(PEER_MEMBER_JOINED, "a", 2);
    assert_int_equal(gauge_get(&stats.failed_peers), 0);
    member(PEER_MEMBER_JOINED, "b", 3);
    member(PEER_MEMBER_LEFT, "b", 3);
    assert_int_equal(gauge_get(&stats.failed_peers), 1);
    size_t joins = 0;
    struct peer_event ev = { .kind = PEER_TIMER };
    for (int64_t s = 0; s < 100; s++) {
        now.ms += 1000;
        step(&ev);
        uint64_t tag = first(PEER_JOIN) ? first(PEER_JOIN)->tag : 0;
        for (size_t i = 0; i < out.count; i++)
            if (out.effects[i].kind == PEER_JOIN)
                assert_true(gossip_addr_eq(out.effects[i].addr, addr(3)));
        joins += count(PEER_JOIN);
        if (count(PEER_RESOLVE))
            resolved(first(PEER_RESOLVE)->tag, true, 1, 2u);
        if (tag)
            join_result(tag, joins == 10);
    }
    assert_int_equal(joins, 10);
    assert_int_equal(counter_get(&stats.reconnections), 1);
    assert_int_equal(counter_get(&stats.reconnections_failed), 9);
    now.ms += 6 * 3600 * 1000;
    step(&ev);
    now.ms += 300 * 1000;
    step(&ev);
    assert_int_equal(gauge_get(&stats.failed_peers), 0);
    assert_int_equal(counter_get(&stats.joined), 3);
    assert_int_equal(counter_get(&stats.left), 1);
}

static void a_new_name_at_an_old_address_leaves_no_ghost(void **state)
{
    (void)state;
    started_with("10.0.0.2:9094");
    member(PEER_MEMBER_JOINED, "old", 2);
    member(PEER_MEMBER_JOINED, "new", 2);
    member(PEER_MEMBER_LEFT, "old", 2);
    assert_int_equal(gauge_get(&stats.failed_peers), 0);
}

static void refresh_joins_addresses_that_nobody_has(void **state)
{
    (void)state;
    started_with("am.example:9094");
    member(PEER_MEMBER_JOINED, "a", 2);
    struct peer_event ev = { .kind = PEER_TIMER };
    now.ms += 15000;
    step(&ev);
    const struct peer_effect *e = first(PEER_RESOLVE);
    assert_non_null(e);
    resolved(e->tag, true, 3, 1u, 2u, 7u);
    assert_int_equal(count(PEER_JOIN), 1);
    assert_true(gossip_addr_eq(first(PEER_JOIN)->addr, addr(7)));
    join_result(first(PEER_JOIN)->tag, true);
    assert_int_equal(counter_get(&stats.refresh_join), 1);
    /* A look-up that does not come back is not asked again meanwhile. */
    assert_int_equal(pass(15000, PEER_RESOLVE), 1);
    assert_int_equal(pass(60000, PEER_RESOLVE), 0);
}

static void position_is_the_place_among_sorted_names(void **state)
{
    (void)state;
    struct peer_view view;
    started_with("10.0.0.2:9094");
    member(PEER_MEMBER_JOINED, "z", 2);
    member(PEER_MEMBER_JOINED, "a", 3);
    assert_int_equal(count(PEER_CHANGED), 1);
    member(PEER_MEMBER_JOINED, "aa", 4);
    peer_view_get(p, &view);
    assert_int_equal(view.position, 2);
    assert_int_equal(view.members_count, 4);
    assert_true(str_eq(view.members[0].name, STR("a")) && str_eq(view.members[1].name, STR("aa")));
    assert_true(str_eq(view.members[0].address, STR("10.0.0.3:9094")));
    assert_true(str_eq(view.name, STR("m")));
    member(PEER_MEMBER_LEFT, "a", 3);
    peer_view_get(p, &view);
    assert_int_equal(view.position, 1);
    assert_int_equal(gauge_get(&stats.position), 1);
}

static void forged_members_do_not_become_an_endless_list(void **state)
{
    (void)state;
    started_with("10.0.0.2:9094");
    char name[32];
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "f%u", i);
        member(PEER_MEMBER_JOINED, name, 100 + i);
        member(PEER_MEMBER_LEFT, name, 100 + i);
    }
    assert_int_equal(gauge_get(&stats.failed_peers), 1024);
    assert_true(pass(10000, PEER_JOIN) <= 128);
}

static void after_stop_nothing_is_tried(void **state)
{
    (void)state;
    started_with("10.0.0.2:9094");
    struct peer_event ev = { .kind = PEER_STOP };
    step(&ev);
    assert_int_equal(peer_deadline(p).ms, INT64_MAX);
}

static void peers_without_a_port_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "host", "host:", "host:0", "host:x", "1.2.3.4", "::1", "host:70000" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err;
        struct str text = str_c(bad[i]);
        struct peer_config config = peer_config_default();
        config.name = STR("m");
        config.peers = &text;
        config.peers_count = 1;
        assert_null(peer_new(&config, &stats, &err));
    }
}

/* ---- turns: who failed may only pause ---- */

static void leave(const char *name, bool dead)
{
    struct peer_event ev = { .kind = PEER_MEMBER_LEFT, .name = str_c(name), .dead = dead };
    step(&ev);
}

static struct peer_view turns(size_t count, size_t own)
{
    struct peer_view view;
    peer_view_get(p, &view);
    assert_int_equal(view.turns_count, count);
    assert_int_equal(view.turn, own);
    return view;
}

static void who_failed_keeps_its_turn_for_the_linger_time(void **state)
{
    (void)state;
    begin_lingering(NULL, 0, 11000);
    member(PEER_MEMBER_JOINED, "a", 2);
    leave("a", true);
    struct peer_view view = turns(2, 1);
    assert_true(str_eq(view.turns[0], STR("a")));
    assert_int_equal(view.members_count, 1); /* but it is no member */
    assert_int_equal(view.position, 0);
    (void)pass(10999, PEER_CHANGED);
    turns(2, 1);
    assert_int_equal(pass(1, PEER_CHANGED), 1);
    turns(1, 0);
}

static void who_says_good_bye_gives_its_turn_up(void **state)
{
    (void)state;
    begin_lingering(NULL, 0, 11000);
    member(PEER_MEMBER_JOINED, "a", 2);
    leave("a", false);
    turns(1, 0);
}

static void who_is_known_to_have_ended_gives_its_turn_up(void **state)
{
    (void)state;
    begin_lingering(NULL, 0, 11000);
    member(PEER_MEMBER_JOINED, "a", 2);
    member(PEER_MEMBER_JOINED, "b", 3);
    leave("a", true);
    leave("b", true);
    turns(3, 2);
    struct peer_event ev = { .kind = PEER_MEMBER_ENDED, .name = STR("a") };
    step(&ev);
    assert_int_equal(count(PEER_CHANGED), 1);
    struct peer_view view = turns(2, 1);
    assert_true(str_eq(view.turns[0], STR("b")));
    step(&ev); /* is known already */
    assert_int_equal(count(PEER_CHANGED), 0);
}

static void who_comes_back_has_one_turn(void **state)
{
    (void)state;
    begin_lingering(NULL, 0, 11000);
    member(PEER_MEMBER_JOINED, "a", 2);
    leave("a", true);
    member(PEER_MEMBER_JOINED, "a", 2);
    turns(2, 1);
    (void)pass(20000, PEER_CHANGED);
    turns(2, 1);
}

static void silence_before_the_verdict_counts(void **state)
{
    (void)state;
    assert_int_equal(peer_linger_ms(15000, 1000), 11000); /* upstream's defaults: four intervals of suspicion */
    assert_int_equal(peer_linger_ms(3000, 1000), 0);
}

#define T(f) cmocka_unit_test_teardown(f, stop)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(without_peers_it_starts_at_once_and_settles_after_ten_seconds),
        T(a_change_of_members_starts_the_count_again),
        T(settling_ends_with_its_timeout),
        T(names_are_looked_up_and_every_address_is_joined),
        T(what_cannot_be_looked_up_is_joined_by_name),
        T(a_look_up_that_hangs_ends_with_the_resolve_timeout),
        T(an_empty_answer_is_asked_again_every_two_seconds_and_then_fatal),
        T(failed_peers_are_tried_every_ten_seconds_until_forgotten),
        T(a_new_name_at_an_old_address_leaves_no_ghost),
        T(refresh_joins_addresses_that_nobody_has),
        T(position_is_the_place_among_sorted_names),
        T(forged_members_do_not_become_an_endless_list),
        T(after_stop_nothing_is_tried),
        T(peers_without_a_port_are_refused),
        T(who_failed_keeps_its_turn_for_the_linger_time),
        T(who_says_good_bye_gives_its_turn_up),
        T(who_is_known_to_have_ended_gives_its_turn_up),
        T(who_comes_back_has_one_turn),
        T(silence_before_the_verdict_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
