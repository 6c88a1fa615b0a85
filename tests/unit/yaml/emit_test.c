#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "yaml/emit.h"

/* Texts and what go-yaml v2 makes of them. */
static void prints(struct str text, const char *want)
{
    struct buf out = { 0 };
    struct yaml_emitter *e = yaml_emitter_new(&out);
    yaml_emit_map(e);
    yaml_emit_str(e, STR("k"));
    yaml_emit_str(e, text);
    yaml_emit_map_end(e);
    yaml_emit_finish(e);
    yaml_emitter_free(e);
    assert_string_equal(out.p, want);
    struct yaml_doc doc;
    struct err err = { 0 };
    assert_true(yaml_parse(&doc, buf_view(&out), &err));
    const struct yaml_node *back = yaml_get(doc.root, STR("k"));
    assert_true(back->kind == YAML_STRING || back->kind == YAML_TIMESTAMP);
    assert_true(str_eq(back->text, text));
    yaml_doc_deinit(&doc);
    buf_deinit(&out);
}

static void quotes_are_go_yamls(void **state)
{
    (void)state;
    prints(STR("plain text"), "k: plain text\n");
    prints(STR(""), "k: \"\"\n");
    prints(STR("true"), "k: \"true\"\n");
    prints(STR("5"), "k: \"5\"\n");
    prints(STR("1:30"), "k: \"1:30\"\n");
    prints(STR("1:90"), "k: 1:90\n");
    prints(STR("2020-01-01"), "k: \"2020-01-01\"\n");
    prints(STR("null"), "k: \"null\"\n");
    prints(STR("{{ .x }}"), "k: '{{ .x }}'\n");
    prints(STR("it's: x"), "k: 'it''s: x'\n");
    prints(STR(" lead"), "k: ' lead'\n");
    prints(STR("- x"), "k: '- x'\n");
    prints(STR("a #b"), "k: 'a #b'\n");
    prints(STR("a\nb\n"), "k: |\n  a\n  b\n");
    prints(STR("a\nb"), "k: |-\n  a\n  b\n");
    prints(STR("tab\there"), "k: \"tab\\there\"\n");
    prints(STR("\xc3\xa9"), "k: \xc3\xa9\n");
    prints(STR("\xff"), "k: !!binary /w==\n");
}

static void long_lines_are_folded(void **state)
{
    (void)state;
    prints(STR("a long text of many words that does not fit into the eighty columns of a line and goes on"),
           "k: a long text of many words that does not fit into the eighty columns of a line and\n  goes on\n");
}

static void keys_sort_as_in_go_yaml(void **state)
{
    (void)state;
    static const char *const sorted[] = { "",  "_",   "1",  "2",  "10",  "A",  "B",
                                          "a", "a_b", "a1", "a2", "a10", "ab", "b" };
    for (size_t i = 0; i < ARRAY_LEN(sorted); i++)
        for (size_t j = 0; j < ARRAY_LEN(sorted); j++) {
            int cmp = yaml_key_cmp(str_c(sorted[i]), str_c(sorted[j]));
            if ((cmp < 0) != (i < j) || (cmp == 0) != (i == j))
                fail_msg("\"%s\" against \"%s\": %d", sorted[i], sorted[j], cmp);
        }
}

static void trees_come_back(void **state)
{
    (void)state;
    const char *text = "2: two\ntrue: yes\nb:\n- 1\n- 1.5\n- null\n- []\n- {}\nz: {a10: x, a9: 0x10}\n";
    const char *want = "true: true\n2: two\nb:\n- 1\n- 1.5\n- null\n- []\n- {}\nz:\n  a9: 16\n  a10: x\n";
    struct yaml_doc doc;
    struct err err = { 0 };
    struct buf out = { 0 };
    assert_true(yaml_parse(&doc, str_c(text), &err));
    struct yaml_emitter *e = yaml_emitter_new(&out);
    yaml_emit_tree(e, doc.root);
    yaml_emit_finish(e);
    yaml_emitter_free(e);
    assert_string_equal(out.p, want);
    buf_deinit(&out);
    yaml_doc_deinit(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_are_go_yamls),
        cmocka_unit_test(long_lines_are_folded),
        cmocka_unit_test(keys_sort_as_in_go_yaml),
        cmocka_unit_test(trees_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
