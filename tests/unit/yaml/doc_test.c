#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "yaml/doc.h"

#include <math.h>
#include <stdio.h>

static const struct yaml_node *parse(struct yaml_doc *doc, const char *text)
{
    struct err err = { 0 };
    if (!yaml_parse(doc, str_c(text), &err))
        fail_msg("`%s`: %s", text, err.text);
    return doc->root;
}

static void refuses(const char *text, const char *want)
{
    struct yaml_doc doc;
    struct err err = { 0 };
    if (yaml_parse(&doc, str_c(text), &err))
        fail_msg("`%s` was taken", text);
    assert_string_equal(err.text, want);
    assert_null(doc.root);
    yaml_doc_deinit(&doc);
}

static void resolves(const char *text, enum yaml_kind kind, double number)
{
    struct yaml_doc doc;
    const struct yaml_node *n = parse(&doc, text);
    if (n->kind != kind)
        fail_msg("`%s` is %s, not %s", text, yaml_kind_name(n->kind), yaml_kind_name(kind));
    if (kind == YAML_INT || kind == YAML_FLOAT)
        assert_true(n->f == number || (isnan(number) && isnan(n->f)));
    yaml_doc_deinit(&doc);
}

static void plain_scalars_are_yaml_1_1(void **state)
{
    (void)state;
    static const char *const yes[] = { "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON" };
    static const char *const no[] = { "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF" };
    struct yaml_doc doc;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        assert_true(parse(&doc, yes[i])->kind == YAML_BOOL && doc.root->b);
        yaml_doc_deinit(&doc);
        assert_true(parse(&doc, no[i])->kind == YAML_BOOL && !doc.root->b);
        yaml_doc_deinit(&doc);
    }
    resolves("~", YAML_NULL, 0);
    resolves("null", YAML_NULL, 0);
    resolves("nULL", YAML_STRING, 0);
    resolves("0x1F", YAML_INT, 31);
    resolves("0o17", YAML_INT, 15);
    resolves("017", YAML_INT, 15);
    resolves("08", YAML_FLOAT, 8);
    resolves("0b101", YAML_INT, 5);
    resolves("1_000", YAML_INT, 1000);
    resolves("-5", YAML_INT, -5);
    resolves("18446744073709551615", YAML_INT, 18446744073709551615.0);
    resolves("1e3", YAML_FLOAT, 1000);
    resolves("1.", YAML_FLOAT, 1);
    resolves(".5", YAML_FLOAT, 0.5);
    resolves("-.inf", YAML_FLOAT, -INFINITY);
    resolves(".NaN", YAML_FLOAT, NAN);
    resolves("1e400", YAML_STRING, 0);
    resolves("1:30", YAML_STRING, 0);
    resolves("2020-01-02", YAML_TIMESTAMP, 0);
    resolves("2020-1-2T3:4:5Z", YAML_TIMESTAMP, 0);
    resolves("2020-01-02 03:04:05.5", YAML_TIMESTAMP, 0);
    resolves("2020-02-30", YAML_STRING, 0);
    resolves("2020-01-02T03:04:05", YAML_STRING, 0);
    resolves("\"5\"", YAML_STRING, 0);
    resolves("!!str 5", YAML_STRING, 0);
    resolves("!!float 5", YAML_FLOAT, 5);
    resolves("!custom 5", YAML_STRING, 0);
}

static void scalars_keep_their_text(void **state)
{
    (void)state;
    struct yaml_doc doc;
    const struct yaml_node *n = parse(&doc, "a: 1.50\nb: |\n  x\n  y\nc: !!binary |\n  aGVs\n  bG8=\n");
    assert_true(str_eq(yaml_get(n, STR("a"))->text, STR("1.50")));
    assert_true(str_eq(yaml_get(n, STR("b"))->text, STR("x\ny\n")));
    assert_true(yaml_get(n, STR("b"))->quoted);
    assert_int_equal(yaml_get(n, STR("b"))->line, 2);
    assert_int_equal(yaml_get(n, STR("b"))->column, 4);
    assert_true(str_eq(yaml_get(n, STR("c"))->text, STR("hello")));
    assert_null(yaml_get(n, STR("d")));
    yaml_doc_deinit(&doc);
}

static void merges_take_the_place_of_their_key(void **state)
{
    (void)state;
    struct yaml_doc doc;
    const struct yaml_node *n = parse(&doc, "base: &b {x: 1, y: 2}\nother: &o {x: 8, z: 9}\n"
                                            "late: {x: 5, <<: *b}\nearly: {<<: *b, x: 5}\nboth: {<<: [*o, *b]}\n");
    assert_int_equal(yaml_get(yaml_get(n, STR("late")), STR("x"))->i,
                     1); /* as go-yaml v2: document order decides */
    assert_int_equal(yaml_get(yaml_get(n, STR("early")), STR("x"))->i, 5);
    assert_int_equal(yaml_get(yaml_get(n, STR("both")), STR("x"))->i, 8); /* the first of a list wins */
    assert_int_equal(yaml_get(yaml_get(n, STR("both")), STR("y"))->i, 2);
    assert_int_equal(yaml_get(n, STR("early"))->pairs[0].group, 1);
    assert_int_equal(yaml_get(n, STR("early"))->pairs[2].group, 0);
    yaml_doc_deinit(&doc);
}

static void errors_are_go_yamls(void **state)
{
    (void)state;
    refuses("a: b\nc: @x\n", "yaml: line 2: found character that cannot start any token");
    refuses("a: [b\n", "yaml: line 1: did not find expected ',' or ']'");
    refuses("a: b: c", "yaml: mapping values are not allowed in this context");
    refuses("a:\n\t- b\n", "yaml: line 2: found character that cannot start any token");
    refuses("a: *x", "yaml: unknown anchor 'x' referenced");
    refuses("a: &x [*x]", "yaml: anchor 'x' value contains itself");
    refuses("a: {<<: 5}", "yaml: map merge requires map or sequence of maps as the value");
    refuses("a: !!int x", "yaml: cannot decode !!str `x` as a !!int");
    refuses("a: !!binary '*'", "yaml: !!binary value contains invalid base64 data");
    refuses("%YAML 1.2\n---\na: b", "yaml: found incompatible YAML document");
}

static void only_the_first_document_counts(void **state)
{
    (void)state;
    struct yaml_doc doc;
    assert_true(str_eq(parse(&doc, "a\n---\n[: bad")->text, STR("a")));
    yaml_doc_deinit(&doc);
    assert_null(parse(&doc, "# nothing\n"));
    yaml_doc_deinit(&doc);
    assert_null(parse(&doc, ""));
    yaml_doc_deinit(&doc);
}

static void billion_laughs_end(void **state)
{
    (void)state;
    struct buf text = { 0 };
    buf_c(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            buf_printf(&text, "%s*a%d", k ? ", " : "", i - 1);
        buf_c(&text, "]\n");
    }
    struct yaml_doc doc;
    struct err err = { 0 };
    assert_false(yaml_parse(&doc, buf_view(&text), &err));
    assert_string_equal(err.text, "yaml: document contains excessive aliasing");
    assert_int_equal(err.code, ERR_LIMIT);
    yaml_doc_deinit(&doc);
    buf_reset(&text);
    for (int i = 0; i <= YAML_DEPTH_MAX; i++)
        buf_c(&text, "[");
    err = (struct err){ 0 };
    assert_false(yaml_parse(&doc, buf_view(&text), &err));
    assert_int_equal(err.code, ERR_LIMIT);
    yaml_doc_deinit(&doc);
    buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_scalars_are_yaml_1_1),         cmocka_unit_test(scalars_keep_their_text),
        cmocka_unit_test(merges_take_the_place_of_their_key), cmocka_unit_test(errors_are_go_yamls),
        cmocka_unit_test(only_the_first_document_counts),     cmocka_unit_test(billion_laughs_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
