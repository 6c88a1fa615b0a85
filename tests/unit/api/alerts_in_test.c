#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/alerts_in.h"

static struct arena arena;
static const struct wire_time now = { 1700000000, 500000000 };

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, ARENA_NO_LIMIT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static struct api_refusal refused(const char *body)
{
    struct alerts_in in;
    struct api_refusal r = { 0 };
    const struct alerts_in_rules rules = { .now = now, .resolve_timeout_ms = 300000 };
    assert_false(alerts_in_parse(&arena, str_c(body), &rules, &in, &r));
    return r;
}

static struct alerts_in parsed(const char *body, bool classic)
{
    struct alerts_in in;
    struct api_refusal r = { 0 };
    const struct alerts_in_rules rules = { .now = now, .resolve_timeout_ms = 300000, .classic_names = classic };
    assert_true(alerts_in_parse(&arena, str_c(body), &rules, &in, &r));
    return in;
}

static void assert_str(struct str s, const char *expected)
{
    assert_int_equal(s.n, strlen(expected));
    assert_memory_equal(s.p, expected, s.n);
}

static void absent_times_are_now_and_the_resolve_timeout(void **state)
{
    (void)state;
    struct alerts_in in = parsed("[{\"labels\":{\"b\":\"2\",\"a\":\"1\",\"empty\":\"\"}}]", false);
    assert_int_equal(in.specs_count, 1);
    const struct alert_spec *s = &in.specs[0];
    assert_int_equal(s->labels.n, 2);
    assert_str(s->labels.v[0].name, "a");
    assert_true(s->timeout);
    assert_int_equal(s->ends_at.s, now.s + 300);
    assert_int_equal(wire_time_cmp(s->starts_at, now), 0);
    assert_int_equal(in.firing, 1);
}

static void the_zero_time_counts_as_absent_and_start_follows_a_given_end(void **state)
{
    (void)state;
    struct alerts_in in = parsed("[{\"labels\":{\"a\":\"b\"},\"startsAt\":\"0001-01-01T00:00:00Z\",\"endsAt\":\"2020-01-01T00:00:00Z\"}]", false);
    assert_int_equal(in.specs[0].starts_at.s, 1577836800);
    assert_int_equal(in.specs[0].ends_at.s, 1577836800);
    assert_false(in.specs[0].timeout);
    assert_int_equal(in.resolved, 1);
}

static void an_empty_time_text_is_the_epoch(void **state)
{
    (void)state;
    struct wire_time t;
    int32_t offset;
    assert_true(api_datetime_parse(STR(""), &t, &offset));
    assert_int_equal(t.s, 0);
    assert_true(api_datetime_parse(STR("2024-01-02T03:04:05.123456789+02:30"), &t, &offset));
    assert_int_equal(t.ns, 123456789);
    assert_int_equal(offset, 9000);
    assert_true(api_datetime_parse(STR("2024-01-02T03:04:05"), &t, &offset));
    assert_false(api_datetime_parse(STR("yesterday"), &t, &offset));
    assert_false(api_datetime_parse(STR("2024-02-30T00:00:00Z"), &t, &offset));
    assert_false(api_datetime_parse(STR("2024-01-02T25:00:00Z"), &t, &offset));
}

static void what_the_framework_refuses_is_worded_as_it_words_it(void **state)
{
    (void)state;
    struct api_refusal r = refused("");
    assert_int_equal(r.status, 422);
    assert_int_equal(r.code, 602);
    assert_str(r.message, "alerts in body is required");
    r = refused("[{\"labels\":{\"a\":\"b\"}},{\"annotations\":{}}]");
    assert_str(r.message, "1.labels in body is required");
    r = refused("[{\"labels\":{\"a\":\"b\"},\"generatorURL\":\"not a url\"}]");
    assert_int_equal(r.code, 601);
    assert_str(r.message, "0.generatorURL in body must be of type uri: \"not a url\"");
    assert_int_equal(refused("[{").status, 400);
    assert_int_equal(refused("{}").status, 400);
    assert_int_equal(refused("[{\"labels\":{\"a\":1}}]").status, 400);
    assert_int_equal(refused("[{\"labels\":{\"a\":\"b\"},\"startsAt\":\"x\"}]").status, 400);
}

static void valid_alerts_are_kept_when_others_are_not(void **state)
{
    (void)state;
    struct alerts_in in = parsed("[{\"labels\":{}},{\"labels\":{\"a\":\"b\"}},{\"labels\":{\"c\":\"d\"},\"startsAt\":\"2030-01-01T00:00:00Z\","
                                 "\"endsAt\":\"2029-01-01T00:00:00Z\"}]", false);
    assert_int_equal(in.specs_count, 1);
    assert_int_equal(in.invalid, 2);
    assert_str(in.errors, "at least one label pair required\nstart time must be before end time");
}

static void classic_mode_refuses_names_that_utf8_mode_takes(void **state)
{
    (void)state;
    const char *body = "[{\"labels\":{\"a-b\":\"c\"}}]";
    assert_int_equal(parsed(body, false).specs_count, 1);
    struct alerts_in in = parsed(body, true);
    assert_int_equal(in.specs_count, 0);
    assert_str(in.errors, "invalid label set: invalid name \"a-b\"");
}

static void annotations_may_be_empty_and_the_last_of_equal_names_wins(void **state)
{
    (void)state;
    struct alerts_in in = parsed("[{\"labels\":{\"a\":\"1\",\"a\":\"2\"},\"annotations\":{\"z\":\"\",\"b\":\"1\",\"b\":\"2\"}}]", false);
    assert_str(labels_get(in.specs[0].labels, STR("a")), "2");
    assert_int_equal(in.specs[0].annotations.n, 2);
    assert_str(in.specs[0].annotations.v[0].value, "2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_times_are_now_and_the_resolve_timeout),
        cmocka_unit_test(the_zero_time_counts_as_absent_and_start_follows_a_given_end),
        cmocka_unit_test(an_empty_time_text_is_the_epoch),
        cmocka_unit_test(what_the_framework_refuses_is_worded_as_it_words_it),
        cmocka_unit_test(valid_alerts_are_kept_when_others_are_not),
        cmocka_unit_test(classic_mode_refuses_names_that_utf8_mode_takes),
        cmocka_unit_test(annotations_may_be_empty_and_the_last_of_equal_names_wins),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
