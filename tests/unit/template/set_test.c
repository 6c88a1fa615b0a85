#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/alloc_count.h"
#include "template/template.h"

struct fixture {
    struct template_set *set;
    struct template_renderer *r;
    struct buf out;
    struct err err;
};

static void begin(struct fixture *f, const char *definitions)
{
    *f = (struct fixture){ .set = template_set_new(TEMPLATE_ALERTMANAGER) };
    assert_true(template_set_parse(f->set, STR("x.tmpl"), str_c(definitions), &f->err));
    f->r = template_renderer_new(f->set);
}

static void end(struct fixture *f)
{
    buf_deinit(&f->out);
    template_renderer_free(f->r);
    template_set_release(f->set);
}

static bool render(struct fixture *f, const struct template_run *run, const char *text)
{
    buf_reset(&f->out);
    return template_render_text(f->r, run, str_c(text), &f->out, &f->err);
}

static void later_files_replace_but_do_not_empty(void **state)
{
    struct fixture f;
    struct template_run run = { 0 };
    (void)state;
    begin(&f, "{{ define \"a\" }}1{{ end }}{{ define \"b\" }}2{{ end }}out");
    assert_true(template_set_parse(f.set, STR("y.tmpl"),
                                   STR("{{ define \"a\" }}3{{ end }}{{ define \"b\" }} \n{{/* */}}{{ end }}"), &f.err));
    assert_true(render(&f, &run, "{{ template \"a\" }}{{ template \"b\" }}{{ template \"x.tmpl\" }}"));
    assert_true(str_eq(buf_view(&f.out), STR("32out")));
    assert_true(template_set_has(f.set, STR("y.tmpl")));
    end(&f);
}

static void a_file_that_does_not_parse_defines_nothing(void **state)
{
    struct fixture f;
    struct template_run run = { 0 };
    (void)state;
    begin(&f, "{{ define \"a\" }}1{{ end }}");
    assert_false(template_set_parse(f.set, STR("bad.tmpl"), STR("{{ define \"a\" }}2{{ end }}{{ nofunc }}"), &f.err));
    assert_string_equal(f.err.text, "template: bad.tmpl:1: function \"nofunc\" not defined");
    assert_true(render(&f, &run, "{{ template \"a\" }}"));
    assert_true(str_eq(buf_view(&f.out), STR("1")));
    end(&f);
}

static void definitions_in_a_text_vanish_with_it(void **state)
{
    struct fixture f;
    struct template_run run = { 0 };
    (void)state;
    begin(&f, "{{ define \"a\" }}1{{ end }}");
    assert_true(render(&f, &run, "{{ define \"a\" }}9{{ end }}{{ template \"a\" }}"));
    assert_true(str_eq(buf_view(&f.out), STR("9")));
    assert_true(render(&f, &run, "{{ template \"a\" }}"));
    assert_true(str_eq(buf_view(&f.out), STR("1")));
    end(&f);
}

static void what_a_name_means_is_asked_for_each_text(void **state)
{
    struct fixture f;
    struct template_run run = { 0 };
    (void)state;
    begin(&f, "{{ define \"a\" }}1{{ end }}{{ define \"b\" }}{{ template \"a\" }}{{ end }}");
    static const char *const rows[][2] = {
        { "{{ template \"b\" }}", "1" },
        { "{{ define \"a\" }}9{{ end }}{{ template \"b\" }}", "9" },
        { "{{ template \"b\" }}", "1" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(render(&f, &run, rows[i][0]));
        assert_true(str_eq(buf_view(&f.out), str_c(rows[i][1])));
    }
    end(&f);
}

static void the_bound_of_a_rendering_is_not_left_to_the_buffer(void **state)
{
    struct fixture f;
    struct template_run run = { .output_bytes_max = 8 };
    (void)state;
    begin(&f, "");
    buf_c(&f.out, "before ");
    assert_true(template_render_text(f.r, &run, STR("12345678"), &f.out, &f.err));
    assert_false(template_render_text(f.r, &run, STR("1234{{ \"5678\" }}9"), &f.out, &f.err));
    assert_int_equal(f.err.code, ERR_LIMIT);
    assert_true(str_eq(buf_view(&f.out), STR("before 1234567812345678")));
    buf_c(&f.out, " and after");
    assert_true(str_ends(buf_view(&f.out), STR(" and after")));
    assert_int_equal(f.out.limit_bytes, 0);
    end(&f);
}

static void endless_templates_end_in_a_limit(void **state)
{
    struct fixture f;
    struct template_run run = { .steps_max = 20000, .output_bytes_max = 4096, .memory_bytes_max = 1 << 20 };
    (void)state;
    struct buf definitions = { 0 };
    buf_c(&definitions, "{{ define \"r\" }}{{ template \"r\" }}{{ end }}{{ define \"d0\" }}{{ end }}");
    for (int i = 1; i < 16; i++)
        buf_printf(&definitions, "{{ define \"d%d\" }}{{ template \"d%d\" }}{{ template \"d%d\" }}{{ end }}", i, i - 1, i - 1);
    begin(&f, definitions.p);
    buf_deinit(&definitions);
    static const char *const texts[] = {
        "{{ template \"r\" }}",
        "{{ template \"d15\" }}",
        "{{ range 1000000000 }}{{ end }}",
        "{{ range 1000000000 }}some text{{ end }}",
        "{{ $l := list }}{{ range 1000000000 }}{{ $l = append $l 1 }}{{ end }}",
        "{{ $s := \"aaaaaaaa\" }}{{ range 1000 }}{{ $s = print $s $s }}{{ end }}",
        "{{ printf \"%999999d\" 1 }}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_false(render(&f, &run, texts[i]));
        assert_int_equal(f.err.code, ERR_LIMIT);
    }
    end(&f);
}

static void a_rendering_can_be_cancelled(void **state)
{
    struct fixture f;
    atomic_bool cancel = true;
    struct template_run run = { .cancel = &cancel };
    (void)state;
    begin(&f, "");
    assert_false(render(&f, &run, "{{ range 1000000 }}{{ end }}"));
    assert_int_equal(f.err.code, ERR_CANCELLED);
    end(&f);
}

static void deep_nesting_is_refused_not_fatal(void **state)
{
    struct fixture f;
    struct template_run run = { 0 };
    struct buf text = { 0 };
    (void)state;
    begin(&f, "");
    for (int i = 0; i < 5000; i++)
        buf_c(&text, "{{ if 1 }}");
    assert_false(render(&f, &run, text.p));
    buf_reset(&text);
    buf_c(&text, "{{ ");
    buf_fill(&text, '(', 5000);
    assert_false(render(&f, &run, text.p));
    assert_int_equal(f.err.code, ERR_LIMIT);
    buf_deinit(&text);
    end(&f);
}

static void route_labels_render_on_demand_and_cycles_are_told(void **state)
{
    struct fixture f;
    static const struct label raw[] = {
        { STR_INIT("a"), STR_INIT("{{ routeLabels \"b\" }}{{ routeLabels \"b\" }}") },
        { STR_INIT("b"), STR_INIT("v{{ .x }}") },
        { STR_INIT("c"), STR_INIT("{{ routeLabels \"d\" }}") },
        { STR_INIT("d"), STR_INIT("{{ routeLabels \"c\" }}") },
    };
    struct tval_entry data[] = { { STR("x"), tval_int(7) } };
    struct template_hooks hooks = { .route_labels = { raw, ARRAY_LEN(raw) } };
    struct template_run run = { .data = tval_ref(&tval_dict_class, data, 1), .hooks = &hooks };
    (void)state;
    begin(&f, "");
    assert_true(render(&f, &run, "{{ routeLabels \"a\" }}{{ routeLabels \"nope\" }}"));
    assert_true(str_eq(buf_view(&f.out), STR("v7v7")));
    assert_false(render(&f, &run, "{{ routeLabels \"c\" }}"));
    assert_non_null(strstr(f.err.text, "route label cycle detected: c -> d -> c"));
    hooks.route_labels_rendered = true;
    assert_true(render(&f, &run, "{{ routeLabels \"b\" }}"));
    assert_true(str_eq(buf_view(&f.out), STR("v{{ .x }}")));
    end(&f);
}

static void checks_know_the_engines_own_functions_only(void **state)
{
    struct err err = { 0 };
    (void)state;
    assert_true(template_check(STR("http://x/{{ .y | urlquery }}"), &err));
    assert_false(template_check(STR("{{ toUpper .x }}"), &err));
    assert_string_equal(err.text, "template: :1: function \"toUpper\" not defined");
}

static void warm_renderings_stay_off_the_heap(void **state)
{
    struct fixture f;
    struct template_run run = { .data = tval_str(STR("x")) };
    const char *text = "{{ if eq . \"x\" }}{{ . | toUpper }}{{ range 3 }}{{ printf \"%d\" . | urlquery }}{{ end }}{{ end }}";
    (void)state;
    begin(&f, "");
    for (int i = 0; i < 3; i++)
        assert_true(render(&f, &run, text));
    uint64_t before = alloc_count();
    assert_true(render(&f, &run, text));
    assert_int_equal(alloc_count() - before, 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_files_replace_but_do_not_empty),
        cmocka_unit_test(a_file_that_does_not_parse_defines_nothing),
        cmocka_unit_test(definitions_in_a_text_vanish_with_it),
        cmocka_unit_test(what_a_name_means_is_asked_for_each_text),
        cmocka_unit_test(the_bound_of_a_rendering_is_not_left_to_the_buffer),
        cmocka_unit_test(endless_templates_end_in_a_limit),
        cmocka_unit_test(a_rendering_can_be_cancelled),
        cmocka_unit_test(deep_nesting_is_refused_not_fatal),
        cmocka_unit_test(route_labels_render_on_demand_and_cycles_are_told),
        cmocka_unit_test(checks_know_the_engines_own_functions_only),
        cmocka_unit_test(warm_renderings_stay_off_the_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
