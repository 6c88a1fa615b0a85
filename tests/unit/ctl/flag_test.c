#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "ctl/flag.h"

struct values {
    struct str file, mode;
    struct str_list peers, words;
    bool verbose, quiet;
    int64_t wait_ns;
};
static const struct flag flags[] = {
    { .name = "config.file", .kind = FLAG_STR, .offset = offsetof(struct values, file), .fallback = "x.yml" },
    { .name = "peer", .kind = FLAG_STRS, .offset = offsetof(struct values, peers) },
    { .name = "mode", .letter = 'm', .kind = FLAG_ENUM, .offset = offsetof(struct values, mode), .fallback = "a", .choices = "a,b" },
    { .name = "verbose", .letter = 'v', .kind = FLAG_BOOL, .offset = offsetof(struct values, verbose), .fallback = "true" },
    { .name = "wait", .kind = FLAG_GO_DURATION, .offset = offsetof(struct values, wait_ns), .fallback = "1m30s" },
};
static const struct command_arg words[] = { { .name = "words", .repeated = true, .offset = offsetof(struct values, words) } };
static const struct flag query_flags[] = {
    { .name = "quiet", .letter = 'q', .kind = FLAG_BOOL, .offset = offsetof(struct values, quiet) },
};
static const struct command leaves[] = {
    { .name = "query", .is_default = true, .flags = query_flags, .flags_count = 1, .args = words, .args_count = 1 },
    { .name = "add", .args = words, .args_count = 1 },
};
static const struct command groups[] = { { .name = "alert", .commands = leaves, .commands_count = 2 } };
static const struct command flat = { .flags = flags, .flags_count = ARRAY_LEN(flags) };
static const struct command tree = { .flags = flags, .flags_count = ARRAY_LEN(flags), .commands = groups, .commands_count = 1 };

static struct arena arena;
static struct values values;
static struct command_line line;
static struct err err;

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

static bool parse(const struct command *program, const char *first, ...)
{
    char *argv[16] = { (char *)(uintptr_t) "program" };
    int argc = 1;
    va_list ap;
    va_start(ap, first);
    for (const char *a = first; a; a = va_arg(ap, const char *))
        argv[argc++] = (char *)(uintptr_t)a;
    va_end(ap);
    values = (struct values){ 0 };
    err = (struct err){ 0 };
    line = (struct command_line){ .arena = &arena, .values = &values };
    return command_line_parse(&line, program, argc, argv, &err);
}

static void values_come_with_equals_or_as_the_next_word(void **state)
{
    (void)state;
    assert_true(parse(&flat, "--config.file=a=b", "--peer", "p1", "--peer=p2", "--no-verbose", "--wait=2h", "-mb", NULL));
    assert_true(str_eq(values.file, STR("a=b")));
    assert_int_equal(values.peers.n, 2);
    assert_false(values.verbose);
    assert_int_equal(values.wait_ns, INT64_C(7200000000000));
    assert_true(str_eq(values.mode, STR("b")));
}

static void defaults_fill_what_was_not_given(void **state)
{
    (void)state;
    assert_true(parse(&flat, NULL, NULL));
    assert_true(str_eq(values.file, STR("x.yml")));
    assert_true(values.verbose);
    assert_int_equal(values.wait_ns, INT64_C(90000000000));
    assert_false(command_line_given(&line, STR("config.file")));
}

static void wrong_usage_is_worded_as_kingpin_words_it(void **state)
{
    (void)state;
    assert_false(parse(&flat, "--nope", NULL));
    assert_string_equal(err.text, "unknown long flag '--nope'");
    assert_false(parse(&flat, "-x", NULL));
    assert_string_equal(err.text, "unknown short flag '-x'");
    assert_false(parse(&flat, "word", NULL));
    assert_string_equal(err.text, "unexpected word");
    assert_false(parse(&flat, "--config.file=a", "--config.file=b", NULL));
    assert_string_equal(err.text, "flag 'config.file' cannot be repeated");
    assert_false(parse(&flat, "--mode=c", NULL));
    assert_string_equal(err.text, "enum value must be one of a,b, got 'c'");
    assert_false(parse(&flat, "--config.file", NULL));
    assert_string_equal(err.text, "expected argument for flag '--config.file'");
    assert_false(parse(&tree, "nope", NULL));
    assert_string_equal(err.text, "expected command but got \"nope\"");
}

static void a_default_subcommand_takes_the_words_and_flags_go_anywhere(void **state)
{
    (void)state;
    assert_true(parse(&tree, "alert", "Disk", "-q", "--config.file=f", "two", NULL));
    assert_string_equal(command_line_leaf(&line)->name, "query");
    assert_int_equal(values.words.n, 2);
    assert_true(values.quiet);
    assert_true(parse(&tree, "alert", "add", "--", "-q", NULL));
    assert_string_equal(command_line_leaf(&line)->name, "add");
    assert_true(str_eq(values.words.v[0], STR("-q")));
    assert_false(parse(&tree, "alert", "add", "-q", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_with_equals_or_as_the_next_word),
        cmocka_unit_test(defaults_fill_what_was_not_given),
        cmocka_unit_test(wrong_usage_is_worded_as_kingpin_words_it),
        cmocka_unit_test(a_default_subcommand_takes_the_words_and_flags_go_anywhere),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
