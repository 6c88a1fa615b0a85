#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/silence_in.h"

static struct arena arena;

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

static void assert_refused(const char *body, int status, int code, const char *message)
{
    struct silence_spec spec;
    struct api_refusal r = { 0 };
    assert_false(silence_in_parse(&arena, str_c(body), &spec, &r));
    assert_int_equal(r.status, status);
    assert_int_equal(r.code, code);
    if (message) {
        assert_int_equal(r.message.n, strlen(message));
        assert_memory_equal(r.message.p, message, r.message.n);
    }
}

#define TIMES "\"startsAt\":\"2024-01-01T00:00:00Z\",\"endsAt\":\"2024-01-02T00:00:00Z\""

static void missing_members_are_named_in_the_order_of_the_generated_code(void **state)
{
    (void)state;
    assert_refused("", 422, 602, "silence in body is required");
    assert_refused("{}", 422, 602, "comment in body is required");
    assert_refused("{\"comment\":\"\"}", 422, 602, "createdBy in body is required");
    assert_refused("{\"comment\":\"\",\"createdBy\":\"\"}", 422, 602, "endsAt in body is required");
    assert_refused("{\"comment\":\"\",\"createdBy\":\"\"," TIMES "}", 422, 602, "matchers in body is required");
    assert_refused("{\"comment\":\"\",\"createdBy\":\"\"," TIMES ",\"matchers\":[]}", 422, 612,
                   "matchers in body should have at least 1 items");
    assert_refused("{\"comment\":\"\",\"createdBy\":\"\"," TIMES ",\"matchers\":[{\"name\":\"a\",\"value\":\"b\"}]}", 422, 602,
                   "matchers.0.isRegex in body is required");
    assert_refused("{\"comment\":\"\",\"createdBy\":\"\"," TIMES ",\"matchers\":[{\"isRegex\":true,\"value\":\"b\"}]}", 422, 602,
                   "matchers.0.name in body is required");
    assert_refused("{", 400, 400, NULL);
    assert_refused("{\"comment\":1}", 400, 400, NULL);
}

static void a_complete_silence_is_read_with_its_operators(void **state)
{
    (void)state;
    struct silence_spec spec;
    struct api_refusal r = { 0 };
    assert_true(silence_in_parse(&arena,
                                 STR("{\"id\":\"x\",\"comment\":\"c\",\"createdBy\":\"me\"," TIMES ",\"annotations\":{\"b\":\"2\",\"a\":\"\"},"
                                     "\"matchers\":[{\"name\":\"a\",\"value\":\"b\",\"isRegex\":false},"
                                     "{\"name\":\"c\",\"value\":\"d\",\"isRegex\":true,\"isEqual\":false}]}"),
                                 &spec, &r));
    assert_int_equal(spec.sets_count, 1);
    assert_int_equal(spec.sets[0].n, 2);
    assert_int_equal(spec.sets[0].v[0].op, MATCH_EQ);
    assert_int_equal(spec.sets[0].v[1].op, MATCH_NRE);
    assert_int_equal(spec.annotations.n, 2);
    assert_int_equal(spec.annotations.v[0].name.p[0], 'a');
}

static void the_handlers_checks_come_before_the_store(void **state)
{
    (void)state;
    struct err err = { 0 };
    struct silence_spec spec = { .starts_at = { 10, 0 }, .ends_at = { 10, 0 } };
    assert_false(silence_in_check(&spec, (struct wire_time){ 5, 0 }, &err));
    assert_string_equal(err.text, "Failed to create silence: start time must be before end time");
    spec.ends_at.s = 20;
    assert_true(silence_in_check(&spec, (struct wire_time){ 5, 0 }, &err));
    assert_false(silence_in_check(&spec, (struct wire_time){ 21, 0 }, &err));
    assert_string_equal(err.text, "Failed to create silence: end time can't be in the past");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_members_are_named_in_the_order_of_the_generated_code),
        cmocka_unit_test(a_complete_silence_is_read_with_its_operators),
        cmocka_unit_test(the_handlers_checks_come_before_the_store),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
