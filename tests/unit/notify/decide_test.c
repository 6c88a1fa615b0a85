#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "notify/pipeline.h"

/* Sets as bits: bit i is hash i + 1. */
struct row {
    const char *what;
    unsigned firing, resolved, held;
    int has_entry;
    unsigned entry_firing, entry_resolved;
    int64_t age_s; /* of the entry */
    bool send_resolved;
    enum notify_reason want;
};

static size_t bits(unsigned set, uint64_t *v)
{
    size_t n = 0;
    for (unsigned i = 0; i < 8; i++)
        if (set & 1u << i)
            v[n++] = i + 1;
    return n;
}

static const struct row rows[] = {
    { "no entry, something fires", 1, 0, 0, 0, 0, 0, 0, true, NOTIFY_REASON_FIRST },
    { "no entry, only resolved", 0, 1, 0, 0, 0, 0, 0, true, NOTIFY_REASON_NONE },
    { "entry says nothing fired", 1, 0, 0, 1, 0, 1, 0, true, NOTIFY_REASON_FIRST },
    { "one more fires", 3, 0, 0, 1, 1, 0, 0, true, NOTIFY_REASON_NEW_ALERTS },
    { "another fires instead", 2, 1, 0, 1, 1, 0, 0, true, NOTIFY_REASON_NEW_ALERTS },
    { "all resolved", 0, 1, 0, 1, 1, 0, 0, true, NOTIFY_REASON_ALL_RESOLVED },
    { "all resolved counts without send_resolved too", 0, 1, 0, 1, 1, 0, 0, false, NOTIFY_REASON_ALL_RESOLVED },
    { "all gone that was never said to fire", 0, 1, 0, 1, 0, 0, 0, true, NOTIFY_REASON_NONE },
    { "some resolved", 1, 2, 0, 1, 3, 0, 0, true, NOTIFY_REASON_SOME_RESOLVED },
    { "some resolved, not wanted", 1, 2, 0, 1, 3, 0, 0, false, NOTIFY_REASON_NONE },
    { "resolved was said before", 1, 2, 0, 1, 3, 2, 0, true, NOTIFY_REASON_NONE },
    { "one vanished without resolving", 1, 0, 0, 1, 3, 0, 0, true, NOTIFY_REASON_NONE },
    { "nothing new, repeat not due", 1, 0, 0, 1, 1, 0, 3600, true, NOTIFY_REASON_NONE },
    { "nothing new, repeat due", 1, 0, 0, 1, 1, 0, 3601, true, NOTIFY_REASON_REPEAT },
    { "held alone starts nothing", 0, 0, 1, 0, 0, 0, 0, true, NOTIFY_REASON_NONE },
    { "held keeps the group from being resolved", 0, 2, 1, 1, 1, 2, 0, true, NOTIFY_REASON_NONE },
    { "held is not repeated", 0, 0, 1, 1, 1, 0, 9999, true, NOTIFY_REASON_NONE },
    { "a new one beside a held one", 2, 0, 1, 1, 1, 0, 0, true, NOTIFY_REASON_NEW_ALERTS },
    { "what a sender resolved beside a held one is news", 0, 2, 1, 1, 3, 0, 0, true, NOTIFY_REASON_SOME_RESOLVED },
};

static void decision_follows_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        uint64_t f[8], re[8], h[8], ef[8], er[8];
        struct wire_time now = { 1767225600, 0 };
        struct notify_question q = {
            .firing = f, .firing_count = bits(r->firing, f),
            .resolved = re, .resolved_count = bits(r->resolved, re),
            .held = h, .held_count = bits(r->held, h),
            .has_entry = r->has_entry != 0,
            .entry_firing = ef, .entry_firing_count = bits(r->entry_firing, ef),
            .entry_resolved = er, .entry_resolved_count = bits(r->entry_resolved, er),
            .entry_timestamp = wire_time_add_ms(now, -r->age_s * 1000),
            .send_resolved = r->send_resolved,
            .now = now,
            .repeat_interval_ms = 3600 * 1000,
        };
        if (notify_decide(&q) != r->want)
            fail_msg("%s: %d instead of %d", r->what, (int)notify_decide(&q), (int)r->want);
    }
}

static void duplicates_do_not_matter(void **state)
{
    (void)state;
    const uint64_t firing[] = { 1, 1, 2 }, entry[] = { 1, 2, 2 };
    struct notify_question q = { .firing = firing, .firing_count = 3, .has_entry = true, .entry_firing = entry,
                                 .entry_firing_count = 3, .repeat_interval_ms = 1000 };
    assert_int_equal(notify_decide(&q), NOTIFY_REASON_NONE);
}

static void reasons_have_upstreams_names(void **state)
{
    (void)state;
    assert_true(str_eq(notify_reason_text(NOTIFY_REASON_FIRST), STR("first notification")));
    assert_true(str_eq(notify_reason_text(NOTIFY_REASON_NEW_ALERTS), STR("new alerts added")));
    assert_true(str_eq(notify_reason_text(NOTIFY_REASON_ALL_RESOLVED), STR("all alerts resolved")));
    assert_true(str_eq(notify_reason_text(NOTIFY_REASON_SOME_RESOLVED), STR("some alerts resolved")));
    assert_true(str_eq(notify_reason_text(NOTIFY_REASON_REPEAT), STR("repeat interval elapsed")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decision_follows_the_table),
        cmocka_unit_test(duplicates_do_not_matter),
        cmocka_unit_test(reasons_have_upstreams_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
