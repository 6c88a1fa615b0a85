#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "crypto/ids.h"

static void uuids_carry_version_and_variant(void **state)
{
    (void)state;
    char text[UUID_TEXT_BYTES + 1];
    const uint8_t zero[16] = { 0 };
    uint8_t ones[16];
    memset(ones, 0xFF, sizeof ones);
    uuid_v4_text(zero, text);
    assert_string_equal(text, "00000000-0000-4000-8000-000000000000");
    uuid_v4_text(ones, text);
    assert_string_equal(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    assert_true(uuid_is_valid(str_c(text)));
}

static void only_the_hyphenated_form_is_a_uuid(void **state)
{
    (void)state;
    assert_true(uuid_is_valid(STR("6BA7B810-9dad-11d1-80b4-00c04fd430c8")));
    assert_false(uuid_is_valid(STR("6ba7b8109dad11d180b400c04fd430c8")));
    assert_false(uuid_is_valid(STR("6ba7b810-9dad-11d1-80b4-00c04fd430cg")));
    assert_false(uuid_is_valid(STR("6ba7b810-9dad-11d1-80b4-00c04fd430c")));
    assert_false(uuid_is_valid(STR("6ba7b810a9dad-11d1-80b4-00c04fd430c8")));
    assert_false(uuid_is_valid(STR("")));
}

static void ulids_round_trip_and_sort_by_time(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    char last[ULID_TEXT_BYTES + 1] = "";
    for (wall_ms t = 0; t < (wall_ms)1 << 48; t = t * 3 + 1) {
        uint8_t random[10], back[10];
        char text[ULID_TEXT_BYTES + 1];
        wall_ms got;
        rng_bytes(&rng, random, sizeof random);
        ulid_text(t, random, text);
        assert_true(str_cmp(str_c(text), str_c(last)) > 0);
        memcpy(last, text, sizeof last);
        assert_true(ulid_parse(str_c(text), &got, back));
        assert_true(got == t);
        assert_memory_equal(back, random, 10);
        for (char *p = text; *p; p++)
            *p = ascii_lower(*p);
        assert_true(ulid_parse(str_c(text), NULL, NULL));
    }
}

static void the_specs_example_holds(void **state)
{
    (void)state;
    wall_ms t;
    assert_true(ulid_parse(STR("01ARYZ6S41TSV4RRFFQ69G5FAV"), &t, NULL));
    assert_true(t == 1469918176385);
    const uint8_t zero[10] = { 0 };
    char text[ULID_TEXT_BYTES + 1];
    ulid_text(1469918176385, zero, text);
    assert_string_equal(text, "01ARYZ6S410000000000000000");
}

static void what_is_no_ulid_is_refused(void **state)
{
    (void)state;
    assert_false(ulid_parse(STR("81ARYZ6S41TSV4RRFFQ69G5FAV"), NULL, NULL)); /* more than 128 bits */
    assert_false(ulid_parse(STR("01ARYZ6S41TSV4RRFFQ69G5FA"), NULL, NULL));
    assert_false(ulid_parse(STR("01ARYZ6S41TSV4RRFFQ69G5FAU"), NULL, NULL));
    assert_false(ulid_parse(STR("01ARYZ6S41TSV4RRFFQ69G5FA\xff"), NULL, NULL));
    assert_false(ulid_parse(STR(""), NULL, NULL));
    assert_true(ulid_parse(STR("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"), NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uuids_carry_version_and_variant),
        cmocka_unit_test(only_the_hyphenated_form_is_a_uuid),
        cmocka_unit_test(ulids_round_trip_and_sort_by_time),
        cmocka_unit_test(the_specs_example_holds),
        cmocka_unit_test(what_is_no_ulid_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
