#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "ctl/flag.h"

#include <stdio.h>
#include <string.h>

struct values {
    struct str output, file, text;
    struct str_list words, globs;
    bool quiet, secret;
};
#define AT(field) .offset = offsetof(struct values, field)
static const struct flag flags[] = {
    { .name = "output", .letter = 'o', .kind = FLAG_ENUM, AT(output), .fallback = "simple", .choices = "simple,json",
      .help = "How it is printed" },
    { .name = "a.rather.long.name.of.a.flag", .kind = FLAG_STR, AT(file), .fallback = "x y", .help = "Something" },
    { .name = "hidden", .kind = FLAG_BOOL, AT(secret), .hidden = true, .help = "Nobody sees this" },
};
static const struct flag show_flags[] = {
    { .name = "quiet", .letter = 'q', .kind = FLAG_BOOL, AT(quiet), .help = "Say less" },
};
static const struct flag render_flags[] = {
    { .name = "glob", .kind = FLAG_STRS, AT(globs), .required = true, .help = "Files" },
    { .name = "text", .kind = FLAG_STR, AT(text), .required = true, .help = "Text" },
};
static const struct command_arg words[] = { { .name = "words", .repeated = true, AT(words), .help = "What is meant" } };
static const struct command_arg file_arg[] = { { .name = "file", .required = true, AT(file), .help = "Which file" } };
static const struct command thing_commands[] = {
    { .name = "show", .is_default = true, .flags = show_flags, .flags_count = 1, .args = words, .args_count = 1,
      .help = "Show things.\n\nA long sentence that has to be broken somewhere, because no terminal is as wide as it is long. End.\n\n"
              "    thing show --quiet\n      indented more\n\n.dots and \\backslashes" },
    { .name = "load", .args = file_arg, .args_count = 1, .help = "Load one." },
};
static const struct command commands[] = {
    { .name = "thing", .help = "Things.", .commands = thing_commands, .commands_count = 2 },
    { .name = "render", .help = "Render.", .flags = render_flags, .flags_count = 2 },
    { .name = "unseen", .help = "Unseen.", .hidden = true },
};
static const struct command program = { .flags = flags, .flags_count = ARRAY_LEN(flags), .commands = commands,
                                        .commands_count = ARRAY_LEN(commands) };

static struct arena arena;
static struct values values;
static struct command_line line;
static struct err err;
static struct buf out;

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
    buf_deinit(&out);
    return 0;
}

/* Groups without a default. */
static const struct command strict_commands[] = { { .name = "load", .args = file_arg, .args_count = 1 } };
static const struct command strict_groups[] = { { .name = "thing", .commands = strict_commands, .commands_count = 1 } };
static const struct command strict = { .commands = strict_groups, .commands_count = 1 };

static bool parse_by(const struct command *by, const char *words_text)
{
    static char copy[256];
    char *argv[16] = { (char *)(uintptr_t) "prog" };
    int argc = 1;
    struct str rest = str_c(words_text), word;
    char *to = copy;
    while (rest.n && str_split(&rest, ' ', &word)) {
        memcpy(to, word.p, word.n);
        to[word.n] = 0;
        argv[argc++] = to;
        to += word.n + 1;
    }
    values = (struct values){ .quiet = false };
    err = (struct err){ 0 };
    line = (struct command_line){ .arena = &arena, .values = &values };
    return command_line_parse(&line, by, argc, argv, &err);
}

static bool parse(const char *words_text)
{
    return parse_by(&program, words_text);
}

static const char *page(void (*write)(const struct command_line *, const char *, const char *, struct buf *))
{
    buf_reset(&out);
    write(&line, "prog", "A program.\n\nIt does things.", &out);
    buf_byte(&out, 0);
    return out.p;
}

static void the_page_of_the_program_is_kingpins(void **state)
{
    (void)state;
    assert_true(parse("--help"));
    assert_string_equal(page(command_line_help),
                        "usage: prog [<flags>] <command> [<args> ...]\n\n"
                        "A program.\n\n"
                        "It does things.\n\n"
                        "Flags:\n"
                        "  -h, --[no-]help      Show context-sensitive help (also try --help-long and\n"
                        "                       --help-man).\n"
                        "  -o, --output=simple  How it is printed\n"
                        "      --a.rather.long.name.of.a.flag=\"x y\"  \n"
                        "                       Something\n"
                        "      --[no-]version   Show application version.\n\n"
                        "Commands:\n"
                        "  help [<command>...]\n"
                        "  thing\n"
                        "    show* [<flags>] [<words>...]\n"
                        "    load <file>\n"
                        "  render --glob=GLOB --text=TEXT\n\n");
}

static void help_of_a_command_is_asked_for_in_three_ways(void **state)
{
    (void)state;
    static const char *const ways[] = { "help thing", "thing --help", "--help thing" };
    char first[4096];
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        assert_true(parse(ways[i]));
        assert_true(line.help);
        const char *text = page(command_line_help);
        if (i == 0)
            snprintf(first, sizeof first, "%s", text);
        assert_string_equal(text, first);
    }
    assert_non_null(strstr(first, "usage: prog thing <command> [<args> ...]\n\nThings.\n"));
    assert_non_null(strstr(first, "Commands:\n  thing\n    show* [<flags>] [<words>...]\n    load <file>\n"));
}

static void prose_is_wrapped_and_code_is_kept(void **state)
{
    (void)state;
    assert_true(parse("help thing show"));
    const char *text = page(command_line_help);
    assert_non_null(strstr(text, "\n\nA long sentence that has to be broken somewhere, because no terminal is as wide\n"
                                 "as it is long. End.\n\n"));
    assert_non_null(strstr(text, "\n  thing show --quiet\n    indented more\n\n.dots"));
    assert_non_null(strstr(text, "Args:\n  [<words>]  What is meant\n"));
}

static void no_line_of_prose_is_wider_than_a_terminal(void **state)
{
    (void)state;
    assert_true(parse("--help-long"));
    struct str rest = str_c(page(command_line_help_long)), one;
    while (str_split(&rest, '\n', &one))
        assert_true(one.n <= 80);
    assert_non_null(strstr(out.p, "\nthing show [<flags>] [<words>...]\n    Show things.\n"));
    assert_null(strstr(out.p, "unseen"));
    assert_null(strstr(out.p, "hidden"));
}

static void the_manual_page_escapes_what_roff_would_take(void **state)
{
    (void)state;
    assert_true(parse("--help-man"));
    const char *text = page(command_line_man);
    assert_true(strncmp(text, ".TH prog 1 ", 11) == 0);
    assert_non_null(strstr(text, ".SH NAME\nprog \\- A program\n"));
    assert_non_null(strstr(text, "\n\\&.dots and \\ebackslashes\n"));
    assert_non_null(strstr(text, ".nf\nthing show \\-\\-quiet\n  indented more\n.fi\n"));
    assert_non_null(strstr(text, "\\fB\\-q, \\-\\-[no\\-]quiet\\fR\n"));
    assert_non_null(strstr(text, ".SS \"render \\-\\-glob=GLOB \\-\\-text=TEXT\"\n"));
}

static void a_group_without_a_default_wants_a_subcommand(void **state)
{
    (void)state;
    assert_true(parse("thing"));
    assert_string_equal(command_line_leaf(&line)->name, "show");
    assert_false(parse_by(&strict, "thing"));
    assert_string_equal(err.text, "must select a subcommand of 'thing'");
    assert_false(parse_by(&strict, "thing load"));
    assert_string_equal(err.text, "required argument 'file' not provided");
    assert_true(parse(""));
    assert_true(line.nothing_named);
    assert_false(parse("help thing nothing"));
    assert_string_equal(err.text, "expected command but got \"nothing\"");
    assert_false(parse("render --glob=x"));
    assert_string_equal(err.text, "required flag --text not provided");
}

static void a_flag_of_the_default_command_enters_it(void **state)
{
    (void)state;
    assert_true(parse("thing -q one"));
    assert_true(values.quiet);
    assert_int_equal(values.words.n, 1);
    assert_true(parse("thing --quiet --output json"));
    assert_true(values.quiet);
    assert_false(parse("thing --other"));
    assert_string_equal(err.text, "unknown long flag '--other'");
}

static const char *offered(int n, const char *a, const char *b, const char *c)
{
    char *argv[3] = { (char *)(uintptr_t)a, (char *)(uintptr_t)b, (char *)(uintptr_t)c };
    buf_reset(&out);
    command_line_complete(&program, n, argv, &out);
    buf_byte(&out, 0);
    return out.p;
}

static void completion_offers_what_may_stand_there(void **state)
{
    (void)state;
    assert_string_equal(offered(0, NULL, NULL, NULL), "help\nthing\nrender\n");
    assert_string_equal(offered(2, "thing", "", NULL), "show\nload\n");
    assert_string_equal(offered(2, "-o", "", NULL), "simple\njson\n");
    assert_string_equal(offered(3, "thing", "--output", "j"), "simple\njson\n");
    assert_string_equal(offered(3, "thing", "show", "-"),
                        "--quiet\n--output\n--a.rather.long.name.of.a.flag\n--help\n--version\n");
    assert_string_equal(offered(2, "thing", "--", NULL),
                        "--quiet\n--output\n--a.rather.long.name.of.a.flag\n--help\n--version\n");
    assert_string_equal(offered(2, "render", "", NULL), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_page_of_the_program_is_kingpins, setup, teardown),
        cmocka_unit_test_setup_teardown(help_of_a_command_is_asked_for_in_three_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(prose_is_wrapped_and_code_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(no_line_of_prose_is_wider_than_a_terminal, setup, teardown),
        cmocka_unit_test_setup_teardown(the_manual_page_escapes_what_roff_would_take, setup, teardown),
        cmocka_unit_test_setup_teardown(a_group_without_a_default_wants_a_subcommand, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flag_of_the_default_command_enters_it, setup, teardown),
        cmocka_unit_test_setup_teardown(completion_offers_what_may_stand_there, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
