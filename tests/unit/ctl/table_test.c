#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "ctl/ctl.h"

static struct arena arena;
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

static void check(size_t columns, const char *const *cells, size_t n, const char *want)
{
    struct ctl_table t;
    ctl_table_init(&t, &arena, columns);
    for (size_t i = 0; i < n; i++)
        ctl_table_cell(&t, str_c(cells[i]));
    buf_reset(&out);
    ctl_table_write(&t, &out);
    buf_byte(&out, 0);
    assert_string_equal(out.p, want);
}

static void columns_are_two_wider_than_their_widest_cell_the_last_too(void **state)
{
    (void)state;
    static const char *const cells[] = { "A", "Head", "longer", "x" };
    check(2, cells, 4, "A       Head  \nlonger  x     \n");
}

static void width_is_counted_in_runes(void **state)
{
    (void)state;
    static const char *const cells[] = { "\xc5\xbelu\xc5\xa5", "x", "abcde", "y" };
    check(2, cells, 4, "\xc5\xbelu\xc5\xa5   x  \nabcde  y  \n");
}

static void an_empty_column_is_padding_only(void **state)
{
    (void)state;
    static const char *const cells[] = { "a", "", "b", "c", "", "d" };
    check(3, cells, 6, "a    b  \nc    d  \n");
}

static void a_line_break_in_a_cell_ends_the_columns(void **state)
{
    (void)state;
    static const char *const cells[] = { "Name", "Text", "State", "x", "one\ntwo", "s", "longer", "y", "s" };
    check(3, cells, 9,
          "Name    Text  State  \n"
          "x       one\n"
          "two     s  \n"
          "longer  y  s  \n");
}

static void a_tab_in_a_cell_is_one_more_column(void **state)
{
    (void)state;
    static const char *const cells[] = { "A", "B", "x\ty\tw", "z" };
    check(2, cells, 4, "A  B  \nx  y  w  z  \n");
}

static void thousands_of_tabs_are_text_in_the_end(void **state)
{
    (void)state;
    struct buf tabs = { 0 };
    struct ctl_table t;
    ctl_table_init(&t, &arena, 2);
    buf_fill(&tabs, '\t', 100000);
    for (int i = 0; i < 4; i++)
        ctl_table_cell(&t, buf_view(&tabs));
    buf_reset(&out);
    ctl_table_write(&t, &out);
    assert_true(out.n > 4 * 99000);
    buf_deinit(&tabs);
}

static void many_rows_keep_their_order(void **state)
{
    (void)state;
    struct ctl_table t;
    ctl_table_init(&t, &arena, 1);
    for (int i = 0; i < 1000; i++)
        ctl_table_cell(&t, arena_printf(&arena, "%d", i));
    buf_reset(&out);
    ctl_table_write(&t, &out);
    struct str rest = buf_view(&out), line;
    for (int i = 0; i < 1000; i++) {
        assert_true(str_split(&rest, '\n', &line));
        assert_true(str_eq(str_trim(line), arena_printf(&arena, "%d", i)));
        assert_int_equal(line.n, 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(columns_are_two_wider_than_their_widest_cell_the_last_too, setup, teardown),
        cmocka_unit_test_setup_teardown(width_is_counted_in_runes, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_column_is_padding_only, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_break_in_a_cell_ends_the_columns, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tab_in_a_cell_is_one_more_column, setup, teardown),
        cmocka_unit_test_setup_teardown(thousands_of_tabs_are_text_in_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(many_rows_keep_their_order, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
