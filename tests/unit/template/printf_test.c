#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/template/render.h"

static const struct template_run run;

static void verbs_and_flags_format_as_gos(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ printf \"%5d|%-5d|%05d|%+d|% d|%x|%X|%o|%O|%b|%#x|%c|%U|%q\" 42 42 42 42 42 42 42 42 42 42 42 65 65 65 }}",
          "   42|42   |00042|+42| 42|2a|2A|52|0o52|101010|0x2a|A|U+0041|'A'", NULL },
        { "{{ printf \"%.2f %8.3f %e %g %G %F\" 3.14159 3.14159 1234.5 0.00001 1e-7 1.0 }}",
          "3.14    3.142 1.234500e+03 1e-05 1E-07 1.000000", NULL },
        { "{{ printf \"%s|%q|%x|%.2s|%5s|%-5s|%+q|%#q\" \"a\" \"a\" \"hi\" \"abc\" \"é\" \"é\" \"é\" \"é\" }}",
          "a|\"a\"|6869|ab|    é|é    |\"\\u00e9\"|`é`", NULL },
        { "{{ printf \"%t %v %T %%\" true nil 1.5 }}", "true <nil> float64 %", NULL },
        { "{{ printf \"%#v\" stringSlice }}", "[]string{}", NULL },
        { "{{ printf \"%q %v %s\" (stringSlice \"a\" \"b\") (list 1 \"x\") (stringSlice \"c\") }}",
          "[\"a\" \"b\"] [1 x] [c]", NULL },
        { "{{ printf \"%#v\" (dict \"a\" (list 1 \"b\")) }}",
          "map[string]interface {}{\"a\":[]interface {}{1, \"b\"}}", NULL },
        { "{{ printf \"%*d|%-*d|%.*f\" 5 42 5 42 1 2.55 }}", "   42|42   |2.5", NULL },
        { "{{ printf \"%[2]s %[1]s\" \"a\" \"b\" }}", "b a", NULL },
        { "{{ printf \"%x %b\" 1.5 1.0 }}", "0x1.8p+00 4503599627370496p-52", NULL },
    };
    CHECK_TEXTS(rows, &run);
}

static void mistakes_are_shown_in_place(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ printf \"%d\" \"x\" }}", "%!d(string=x)", NULL },
        { "{{ printf \"%s %t\" 3 true }}", "%!s(int=3) true", NULL },
        { "{{ printf \"%s\" nil }}", "%!s(<nil>)", NULL },
        { "{{ printf \"%d\" }}", "%!d(MISSING)", NULL },
        { "{{ printf \"a\" 2 \"x\" }}", "a%!(EXTRA int=2, string=x)", NULL },
        { "{{ printf \"%[3]d\" 1 }}", "%!d(BADINDEX)", NULL },
        { "{{ printf \"%*d\" \"x\" 1 }}", "%!(BADWIDTH)1", NULL },
        { "{{ printf \"%\" }}", "%!(NOVERB)", NULL },
        { "{{ printf \"%y\" \"a\" }}", "%!y(string=a)", NULL },
    };
    CHECK_TEXTS(rows, &run);
}

static void print_puts_blanks_between_operands_that_are_no_strings(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ print 1 2 \"a\" \"b\" 3 }}", "1 2ab3", NULL },
        { "{{ println \"a\" 1 }}|", "a 1\n|", NULL },
    };
    CHECK_TEXTS(rows, &run);
}

static void absurd_widths_are_refused(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ printf \"%99999999d\" 1 }}", "%!(NOVERB)%!(EXTRA int=1)", NULL },
    };
    CHECK_TEXTS(rows, &run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verbs_and_flags_format_as_gos),
        cmocka_unit_test(mistakes_are_shown_in_place),
        cmocka_unit_test(print_puts_blanks_between_operands_that_are_no_strings),
        cmocka_unit_test(absurd_widths_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
