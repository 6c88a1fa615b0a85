#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/template/render.h"

static const struct label labels[] = { { STR_INIT("a"), STR_INIT("1") }, { STR_INIT("b"), STR_INIT("2") } };
static struct tval_entry entries[3];
static struct template_run run;

static int setup(void **state)
{
    (void)state;
    entries[0] = (struct tval_entry){ STR("L"), tval_labels((struct labels){ labels, 2 }) };
    entries[1] = (struct tval_entry){ STR("S"), tval_str(STR("text")) };
    entries[2] = (struct tval_entry){ STR("T"), tval_at_time((struct wire_time){ 1709287200, 123456789 }, 0) };
    run = (struct template_run){ .data = DATA(entries), .now = { 1700000000, 0 } };
    return 0;
}

static void actions_print_values_as_go_does(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ .S }} {{ 1 }} {{ 1.5 }} {{ 1e6 }} {{ true }} {{ 'x' }}", "text 1 1.5 1e+06 true 120", NULL },
        { "{{ .L }}", "map[a:1 b:2]", NULL },
        { "{{ list 1 \"a\" nil }}", "[1 a <nil>]", NULL },
        { "{{ .T }}", "2024-03-01 10:00:00.123456789 +0000 UTC", NULL },
        { "{{ .nope }}|{{ .L.nope }}|{{ .nope.deeper }}", "<no value>||<no value>", NULL },
    };
    CHECK_TEXTS(rows, &run);
}

static void control_structures_nest_and_scope_variables(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ if 0 }}a{{ else if 1 }}b{{ else }}c{{ end }}", "b", NULL },
        { "{{ with 0 }}a{{ else with 2 }}{{ . }}{{ end }}", "2", NULL },
        { "{{ range $k, $v := .L }}{{ $k }}={{ $v }};{{ end }}", "a=1;b=2;", NULL },
        { "{{ range 3 }}{{ . }}{{ else }}e{{ end }}{{ range 0 }}x{{ else }}e{{ end }}", "012e", NULL },
        { "{{ range $i := 5 }}{{ if eq $i 3 }}{{ break }}{{ end }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ $i }}{{ end }}",
          "02", NULL },
        { "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ $x }}{{ end }}{{ $x }}", "32", NULL },
        { "{{ with .S }}{{ . }}{{ $.S }}{{ end }}", "texttext", NULL },
    };
    CHECK_TEXTS(rows, &run);
}

static void definitions_are_called_with_their_own_dot(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ define \"x\" }}<{{ . }}{{ $ }}>{{ end }}{{ template \"x\" .S }}{{ template \"x\" }}",
          "<texttext><<no value><no value>>", NULL },
        { "{{ block \"b\" 1 }}{{ . }}{{ end }}", "1", NULL },
        { "{{ define \"x\" }}a{{ end }}{{ define \"x\" }} {{ end }}{{ template \"x\" }}", "a", NULL },
        { "{{ define \"x\" }}1{{ end }}{{ define \"x\" }}2{{ end }}", NULL, "multiple definition of template \"x\"" },
        { "{{ if false }}{{ template \"nope\" }}{{ end }}ok", "ok", NULL },
        { "{{ template \"nope\" }}", NULL, "template \"nope\" not defined" },
    };
    CHECK_TEXTS(rows, &run);
}

static void failures_name_place_and_node(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ .S.x }}", NULL, "template: :1:5: executing \"\" at <.S.x>: can't evaluate field x in type string" },
        { "a\n  {{ toUpper 1 }}", NULL, "template: :2:13: executing \"\" at <1>: expected string; found 1" },
        { "{{ define \"t\" }}{{ index . 5 }}{{ end }}{{ template \"t\" (list 1) }}", NULL,
          "executing \"t\" at <index . 5>: error calling index: index out of range: 5" },
        { "{{ nil }}", NULL, "<nil>: nil is not a command" },
        { "{{ .L.a 1 }}", NULL, "a is not a method but has arguments" },
        { "{{ 1 2 }}", NULL, "can't give argument to non-function 1" },
        { "{{ toUpper }}", NULL, "wrong number of args for toUpper: want 1 got 0" },
        { "{{ toUpper nil }}", NULL, "cannot assign nil to string" },
        { "{{ \"a\" | safeHtml | toUpper }}", NULL, "wrong type for value; expected string; got template.HTML" },
        { "{{ range .S }}{{ end }}", NULL, "range can't iterate over text" },
    };
    CHECK_TEXTS(rows, &run);
}

static void parse_errors_name_the_line(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "\n{{ end }}", NULL, "template: :2: unexpected {{end}}" },
        { "{{ if }}{{ end }}", NULL, "template: :1: missing value for if" },
        { "{{ nofunc }}", NULL, "function \"nofunc\" not defined" },
        { "{{ $x }}", NULL, "undefined variable \"$x\"" },
        { "{{ 1 | 2 }}", NULL, "non executable command in pipeline stage 2" },
        { "{{ \"a }}", NULL, "unterminated quoted string" },
        { "{{", NULL, "unclosed action" },
        { "{{ .a-b }}", NULL, "bad character U+002D '-'" },
        { "{{ 99999999999999999999 }}", NULL, "integer overflow" },
        { "{{ break }}", NULL, "{{break}} outside {{range}}" },
        { "{{ /* x */ }}", NULL, "unexpected" },
        { "{{ define \"x\" }}", NULL, "unexpected EOF" },
    };
    CHECK_TEXTS(rows, &run);
}

static void trim_marks_remove_space_around_actions(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "a \n {{- 1 -}} \t b", "a1b", NULL },
        { "x {{- /* c */ -}} y", "xy", NULL },
        { "x {{ -3 }}", "x -3", NULL },
        { "a{{/* c */}}b", "ab", NULL },
    };
    CHECK_TEXTS(rows, &run);
}

static void a_time_knows_its_location(void **state)
{
    (void)state;
    static const struct label names[] = { { STR_INIT("a"), STR_INIT("1") } };
    struct tval_entry places[] = {
        { STR("L"), tval_labels((struct labels){ names, 1 }) },
        { STR("T"), tval_at_time((struct wire_time){ 1709287200, 0 }, 0) },
        { STR("Z"), tval_at_time((struct wire_time){ 1709287200, 0 }, 7200) },
    };
    struct template_run at = { .data = DATA(places) };
    static const struct rendering rows[] = {
        { "<{{ .T.Location }}>", "<UTC>", NULL },
        { "<{{ .Z.Location }}>", "<>", NULL }, /* an offset has no name in Go either */
        { "{{ .T.In .Z.Location }}", "2024-03-01 12:00:00 +0200 +0200", NULL },
        { "{{ .Z.In .T.Location }}", "2024-03-01 10:00:00 +0000 UTC", NULL },
        { "<{{ .Z.Location.String }}>", "<>", NULL },
    };
    CHECK_TEXTS(rows, &at);
}

static void and_or_stop_early_and_return_operands(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ and 1 0 (index \"\" 9) }}", "0", NULL },
        { "{{ or \"\" \"x\" (index \"\" 9) }}", "x", NULL },
        { "{{ 5 | and 1 }}", "5", NULL },
    };
    CHECK_TEXTS(rows, &run);
}

static void comparisons_refuse_mixed_kinds(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ eq 1 2 1 }}{{ ne \"a\" \"b\" }}{{ lt 1 2 }}{{ ge 2.0 1.5 }}", "truetruetruetrue", NULL },
        { "{{ eq nil nil }}{{ eq .S nil }}", "truefalse", NULL },
        { "{{ eq 1 1.0 }}", NULL, "incompatible types for comparison" },
        { "{{ lt true false }}", NULL, "invalid type for comparison" },
        { "{{ eq .L .L }}", NULL, "non-comparable type" },
        { "{{ eq 1 }}", NULL, "missing argument for comparison" },
    };
    CHECK_TEXTS(rows, &run);
}

static void output_before_a_failure_stays(void **state)
{
    (void)state;
    struct template_set *set = template_set_new(TEMPLATE_ALERTMANAGER);
    struct template_renderer *r = template_renderer_new(set);
    struct buf out = { 0 };
    struct err err = { 0 };
    assert_false(template_render_text(r, &run, STR("ab{{ .S }}{{ .S.x }}c"), &out, &err));
    assert_true(str_eq(buf_view(&out), STR("abtext")));
    buf_deinit(&out);
    template_renderer_free(r);
    template_set_release(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_print_values_as_go_does),
        cmocka_unit_test(control_structures_nest_and_scope_variables),
        cmocka_unit_test(definitions_are_called_with_their_own_dot),
        cmocka_unit_test(failures_name_place_and_node),
        cmocka_unit_test(parse_errors_name_the_line),
        cmocka_unit_test(trim_marks_remove_space_around_actions),
        cmocka_unit_test(a_time_knows_its_location),
        cmocka_unit_test(and_or_stop_early_and_return_operands),
        cmocka_unit_test(comparisons_refuse_mixed_kinds),
        cmocka_unit_test(output_before_a_failure_stays),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
