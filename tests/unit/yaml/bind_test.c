#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "yaml/bind.h"

#include <string.h>

struct item {
    struct str name;
    uint32_t line;
    bool null;
    int64_t n;
};
struct keyed {
    struct str key;
    struct str_list values;
};
struct small {
    struct str text;
};
struct thing {
    bool flag;
    enum tristate maybe;
    int64_t count;
    struct opt_i64 limit;
    uint64_t size;
    double ratio;
    struct str text, secret;
    int64_t wait_ns;
    int color;
    struct str_list list;
    struct str_map map;
    struct str_lists lists;
    const struct yaml_node *tree;
    struct item object;
    struct item *pointer;
    struct small inlined;
    struct item *items;
    size_t items_count;
    struct keyed *keyed;
    size_t keyed_count;
};

static const char *const colors[] = { "", "red", "green", NULL };
static bool item_check(struct binding *b, void *object, struct err *err)
{
    (void)b;
    const struct item *it = object;
    return it->n != 13 || err_set(err, ERR_INVALID, "13 brings bad luck");
}
static const struct bind item_fields[] = {
    BIND_STR(struct item, name, "name", "Name.", .required = "missing name"),
    BIND_I64(struct item, n, "n", "Number.", .fallback = "7"),
};
static const struct bind_type item_bind =
    BIND_TYPE("test.Item", struct item, item_fields, .check = item_check,
              .line_offset = offsetof(struct item, line), .null_offset = offsetof(struct item, null));
static const struct bind keyed_fields[] = {
    BIND_STRS(struct keyed, values, "values", "Values."),
};
static const struct bind_type keyed_bind = BIND_TYPE("test.Keyed", struct keyed, keyed_fields);
static const struct bind small_fields[] = {
    BIND_STR(struct small, text, "inner", "Text."),
};
static const struct bind_type small_bind = BIND_TYPE("test.Small", struct small, small_fields);
static const struct bind thing_fields[] = {
    BIND_BOOL(struct thing, flag, "flag", "Flag.", .fallback = "true", .always = true),
    BIND_TRISTATE(struct thing, maybe, "maybe", "Perhaps."),
    BIND_I64(struct thing, count, "count", "Count."),
    BIND_OPT_I64(struct thing, limit, "limit", "Limit."),
    BIND_U64(struct thing, size, "size", "Size."),
    BIND_F64(struct thing, ratio, "ratio", "Ratio."),
    BIND_STR(struct thing, text, "text", "Text.", .fallback = "hello"),
    BIND_SECRET(struct thing, secret, "secret", "Secret."),
    BIND_GO_NS(struct thing, wait_ns, "wait", "Wait."),
    BIND_ENUM(struct thing, color, "color", "Colour.", colors, "unknown colour: "),
    BIND_STRS(struct thing, list, "list", "List.", .flow = true),
    BIND_STR_MAP(struct thing, map, "map", "Map."),
    BIND_STR_LISTS(struct thing, lists, "lists", "Lists."),
    BIND_TREE(struct thing, tree, "tree", "Tree."),
    BIND_OBJECT(struct thing, object, "object", "Object.", &item_bind),
    BIND_POINTER(struct thing, pointer, "pointer", "Pointer.", &item_bind),
    BIND_INLINE(struct thing, inlined, &small_bind),
    BIND_LIST(struct thing, items, "items", "Items.", &item_bind, .go_type = "[]test.Item"),
    BIND_MAP(struct thing, keyed, "keyed", "Keyed.", &keyed_bind, .inactive = "nobody reads it"),
};
static const struct bind_type thing_bind = BIND_TYPE("test.Thing", struct thing, thing_fields);

struct fixture {
    struct arena arena;
    struct yaml_doc doc;
    struct notices notices;
    struct thing thing;
    struct err err;
};

static bool bind(struct fixture *f, const char *text)
{
    *f = (struct fixture){ 0 };
    arena_init(&f->arena, 1 << 20);
    notices_init(&f->notices);
    if (!yaml_parse(&f->doc, str_c(text), &f->err))
        return false;
    struct binding b = { .arena = &f->arena, .notices = &f->notices };
    return bind_document(&b, &thing_bind, f->doc.root, &f->thing, &f->err);
}

static void done(struct fixture *f)
{
    yaml_doc_deinit(&f->doc);
    notices_deinit(&f->notices);
    arena_deinit(&f->arena);
}

static void refuses(const char *text, const char *want)
{
    struct fixture f;
    if (bind(&f, text))
        fail_msg("`%s` was taken", text);
    assert_string_equal(f.err.text, want);
    done(&f);
}

static void every_kind_is_read(void **state)
{
    (void)state;
    struct fixture f;
    assert_true(bind(&f, "flag: no\nmaybe: on\ncount: 0x10\nlimit: 0\nsize: 2.9\nratio: 1\ntext: 1.50\nsecret: s\n"
                         "wait: 1h30m\ncolor: green\nlist: [a, 2, ~]\nmap: {b: 1, a: x}\nlists: {k: [v, w]}\n"
                         "tree: {x: [1]}\nobject: {name: o}\npointer: {name: p, n: 3}\ninner: i\n"
                         "items:\n- name: q\n-\nkeyed: {z: {values: [1]}, a: {}}\n"));
    const struct thing *t = &f.thing;
    assert_false(t->flag);
    assert_int_equal(t->maybe, TRISTATE_TRUE);
    assert_int_equal(t->count, 16);
    assert_true(t->limit.set && t->limit.v == 0);
    assert_int_equal(t->size, 2);
    assert_true(t->ratio == 1);
    assert_true(str_eq(t->text, STR("1.50")));
    assert_int_equal(t->wait_ns, INT64_C(5400000000000));
    assert_int_equal(t->color, 2);
    assert_int_equal(t->list.n, 3);
    assert_true(str_eq(t->list.v[1], STR("2")) && t->list.v[2].n == 0);
    assert_true(str_eq(t->map.v[0].key, STR("a")) && str_eq(str_map_get(&t->map, STR("b")), STR("1")));
    assert_int_equal(t->lists.v[0].values.n, 2);
    assert_int_equal(t->tree->kind, YAML_MAPPING);
    assert_int_equal(t->object.n, 7);
    assert_int_equal(t->pointer->n, 3);
    assert_true(str_eq(t->inlined.text, STR("i")));
    assert_int_equal(t->items_count, 2);
    assert_int_equal(t->items[0].line, 19);
    assert_false(t->items[0].null);
    assert_true(t->items[1].null && t->items[1].n == 0);
    assert_int_equal(t->keyed_count, 2);
    assert_true(str_eq(t->keyed[0].key, STR("a")));
    assert_int_equal(f.notices.n, 1);
    assert_string_equal(f.notices.v[0].text.p, "keyed: nobody reads it");
    done(&f);
}

static void defaults_stand_and_null_clears_them(void **state)
{
    (void)state;
    struct fixture f;
    assert_true(bind(&f, "{}"));
    assert_true(f.thing.flag && str_eq(f.thing.text, STR("hello")) && f.thing.object.n == 7 && !f.thing.pointer);
    assert_null(f.thing.list.v);
    done(&f);
    assert_true(bind(&f, "flag: ~\ntext: null\nlist: []\nobject:\n"));
    assert_true(!f.thing.flag && f.thing.text.n == 0 && f.thing.object.n == 0);
    assert_non_null(f.thing.list.v);
    done(&f);
    assert_true(bind(&f, ""));
    assert_true(f.thing.flag);
    done(&f);
}

static void type_errors_are_collected(void **state)
{
    (void)state;
    refuses("flag: maybe\ntext: [a]\nfoo: 1\ncount: x\nitems: {a: b}\nlist: a=b\nwait: 1d\n",
            "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `maybe` into bool\n"
            "  line 2: cannot unmarshal !!seq into string\n  line 3: field foo not found in type test.Thing\n"
            "  line 4: cannot unmarshal !!str `x` into int\n  line 5: cannot unmarshal !!map into []test.Item\n"
            "  line 6: cannot unmarshal !!str `a=b` into []string\n"
            "  line 7: cannot unmarshal !!str `1d` into time.Duration");
    refuses("text: a\ntext: b\nmap: {a: 1, a: 2}\ntree: {x: 1, x: 2}\n",
            "yaml: unmarshal errors:\n  line 2: field text already set in type test.Thing\n"
            "  line 3: key \"a\" already set in map\n  line 4: key \"x\" already set in map");
    refuses("object: a long text indeed\n",
            "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `a long ...` into test.Item");
    refuses("count: -9223372036854775809\nsize: -1\n",
            "yaml: unmarshal errors:\n  line 2: cannot unmarshal !!int `-1` into uint64");
}

static void a_failed_check_ends_everything(void **state)
{
    (void)state;
    refuses("flag: maybe\nobject: {name: x, n: 13}\ntext: []\n", "13 brings bad luck");
    refuses("object: {}\n", "missing name");
    refuses("color: blue\n", "unknown colour: blue");
    /* An object with a type error is not checked. */
    refuses("object: {name: [], n: 13}\n", "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into string");
    struct fixture f;
    assert_false(bind(&f, "flag: yes\n\nitems:\n- name: a\n- name: b\n  n: 13\n"));
    assert_int_equal(f.err.line, 5);
    done(&f);
}

static void merged_keys_are_no_duplicates(void **state)
{
    (void)state;
    struct fixture f;
    assert_true(bind(&f, "object: &o {name: a, n: 1}\npointer: {<<: *o, n: 2}\n"));
    assert_int_equal(f.thing.pointer->n, 2);
    assert_true(str_eq(f.thing.pointer->name, STR("a")));
    done(&f);
}

static void misspelt_keys_get_a_hint(void **state)
{
    (void)state;
    struct fixture f;
    assert_false(bind(&f, "txet: a\nsomething: b\n"));
    assert_int_equal(f.notices.n, 1);
    assert_int_equal(f.notices.v[0].kind, NOTICE_HINT);
    assert_string_equal(f.notices.v[0].text.p, "field txet: did you mean text?");
    done(&f);
}

static void dump_hides_secrets_and_leaves_zeros_out(void **state)
{
    (void)state;
    struct fixture f;
    assert_true(bind(&f, "secret: hush\ntext: ''\nwait: 90s\nlist: [a, '5']\nitems: [{name: x}]\ncolor: red\n"
                         "map: {b10: x, b9: z}\n"));
    struct buf out = { 0 };
    struct yaml_emitter *e = yaml_emitter_new(&out);
    bind_emit(e, &thing_bind, &f.thing);
    yaml_emit_finish(e);
    yaml_emitter_free(e);
    assert_string_equal(out.p,
                        "flag: true\nsecret: <secret>\nwait: 1m30s\ncolor: red\nlist: [a, \"5\"]\nmap:\n  b9: z\n"
                        "  b10: x\nobject:\n  \"n\": 7\nitems:\n- name: x\n  \"n\": 7\n");
    buf_deinit(&out);
    done(&f);
}

static void count_row(void *arg, struct str path, const struct bind_type *owner, const struct bind *field)
{
    (void)owner;
    assert_true(path.n > 0 && field->doc[0]);
    ++*(size_t *)arg;
}

static void walk_visits_every_row(void **state)
{
    (void)state;
    size_t rows = 0;
    bind_walk(&thing_bind, count_row, &rows);
    assert_int_equal(rows, ARRAY_LEN(thing_fields) - 1 + 1 /* inlined */ + 3 * ARRAY_LEN(item_fields) +
                               ARRAY_LEN(keyed_fields));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_read),
        cmocka_unit_test(defaults_stand_and_null_clears_them),
        cmocka_unit_test(type_errors_are_collected),
        cmocka_unit_test(a_failed_check_ends_everything),
        cmocka_unit_test(merged_keys_are_no_duplicates),
        cmocka_unit_test(misspelt_keys_get_a_hint),
        cmocka_unit_test(dump_hides_secrets_and_leaves_zeros_out),
        cmocka_unit_test(walk_visits_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
