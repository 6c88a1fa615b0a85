#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "json/reader.h"
#include "json/writer.h"
#include "lib/alloc_count.h"

#include <jansson.h>
#include <math.h>

/* Walks any value through the reader and writes it back. */
static void copy_value(struct json_reader *r, struct json_writer *w)
{
    struct str s;
    bool b;
    switch (jr_peek(r)) {
    case JR_OBJECT:
        jr_object(r);
        jw_object(w);
        while (jr_member(r, &s)) {
            jw_key(w, s);
            copy_value(r, w);
        }
        jw_object_end(w);
        break;
    case JR_ARRAY:
        jr_array(r);
        jw_array(w);
        while (jr_element(r))
            copy_value(r, w);
        jw_array_end(w);
        break;
    case JR_STRING:
        if (jr_str(r, &s))
            jw_str(w, s);
        break;
    case JR_NUMBER:
        if (jr_number(r, &s))
            jw_raw(w, s);
        break;
    case JR_BOOL:
        if (jr_bool(r, &b))
            jw_bool(w, b);
        break;
    case JR_NULL:
        if (jr_null(r))
            jw_null(w);
        break;
    case JR_NONE:
        jr_skip(r); /* says what is wrong */
        break;
    }
}

static bool copy_text(struct str text, struct buf *out, struct err *err)
{
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct json_reader r;
    struct json_writer w;
    json_reader_init(&r, text, &arena);
    json_writer_init(&w, out);
    w.html = false;
    copy_value(&r, &w);
    bool ok = jr_finish(&r, err);
    arena_deinit(&arena);
    return ok;
}

static bool skip_text(struct str text, struct err *err)
{
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct json_reader r;
    json_reader_init(&r, text, &arena);
    jr_skip(&r);
    bool ok = jr_finish(&r, err);
    arena_deinit(&arena);
    return ok;
}

static void a_walk_sees_what_is_there(void **state)
{
    (void)state;
    const struct str text = STR(" { \"a\" : [ 1 , -2.5e3, true, false, null, \"x\" ] ,\"b\":{},\"c\":[] } \n");
    struct buf out = { 0 };
    struct err err;
    assert_true(copy_text(text, &out, &err));
    assert_string_equal(out.p, "{\"a\":[1,-2.5e3,true,false,null,\"x\"],\"b\":{},\"c\":[]}");
    buf_deinit(&out);
}

static void strings_unescape_as_in_go(void **state)
{
    (void)state;
    static const struct {
        struct str text, want;
    } cases[] = {
        { STR_INIT("\"\""), STR_INIT("") },
        { STR_INIT("\"plain \x7f text\""), STR_INIT("plain \x7f text") },
        { STR_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), STR_INIT("\"\\/\b\f\n\r\t") },
        { STR_INIT("\"\\u0041\\u00e9\\u2603\\u0000\""), STR_INIT("A\xc3\xa9\xe2\x98\x83\0") },
        { STR_INIT("\"\\ud83d\\ude00\""), STR_INIT("\xf0\x9f\x98\x80") },
        { STR_INIT("\"\\ud83d\""), STR_INIT("\xef\xbf\xbd") },
        { STR_INIT("\"\\ud83dx\""), STR_INIT("\xef\xbf\xbdx") },
        { STR_INIT("\"\\ud83d\\u0041\""), STR_INIT("\xef\xbf\xbd" "A") },
        { STR_INIT("\"\\ude00\\ud83d\""), STR_INIT("\xef\xbf\xbd\xef\xbf\xbd") },
        { STR_INIT("\"\\ud83d\\ud83d\\ude00\""), STR_INIT("\xef\xbf\xbd\xf0\x9f\x98\x80") },
        { STR_INIT("\"a\xff\xe2\x98z\""), STR_INIT("a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz") },
        { STR_INIT("\"\xc3\xa9\xe2\x98\x83 long enough to be scanned by words \xf0\x9f\x98\x80\""),
          STR_INIT("\xc3\xa9\xe2\x98\x83 long enough to be scanned by words \xf0\x9f\x98\x80") },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        arena_init(&arena, ARENA_NO_LIMIT);
        struct json_reader r;
        struct str s;
        struct err err;
        json_reader_init(&r, cases[i].text, &arena);
        assert_true(jr_str(&r, &s));
        assert_true(str_eq(s, cases[i].want));
        assert_true(jr_finish(&r, &err));
        arena_deinit(&arena);
    }
}

static void plain_strings_are_slices_of_the_text(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    const struct str text = STR("[\"alertname\",\"h\xc3\xa9llo\",\"\"]");
    struct json_reader r;
    struct str s;
    struct err err;
    uint64_t before = alloc_count();
    json_reader_init(&r, text, &arena);
    assert_true(jr_array(&r));
    while (jr_element(&r)) {
        assert_true(jr_str(&r, &s));
        assert_true(s.p > text.p && s.p < text.p + text.n);
    }
    assert_true(jr_finish(&r, &err));
    assert_int_equal(alloc_count() - before, 0);
    arena_deinit(&arena);
}

static void the_arena_limit_is_an_error(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 16);
    struct json_reader r;
    struct str s;
    struct err err;
    json_reader_init(&r, STR("\"\\n0123456789012345678901234567890123456789\""), &arena);
    assert_false(jr_str(&r, &s));
    assert_false(jr_finish(&r, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    arena_deinit(&arena);
}

static void broken_texts_are_worded_as_in_go(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *want;
        uint32_t line, column;
    } cases[] = {
        { STR_INIT(""), "unexpected end of JSON input", 1, 1 },
        { STR_INIT("  "), "unexpected end of JSON input", 1, 3 },
        { STR_INIT("{"), "unexpected end of JSON input", 1, 2 },
        { STR_INIT("{\n\"a\":1,}"), "invalid character '}' looking for beginning of object key string", 2, 7 },
        { STR_INIT("{a:1}"), "invalid character 'a' looking for beginning of object key string", 1, 2 },
        { STR_INIT("{\"a\" 1}"), "invalid character '1' after object key", 1, 6 },
        { STR_INIT("{\"a\":1 \"b\":2}"), "invalid character '\"' after object key:value pair", 1, 8 },
        { STR_INIT("[1 2]"), "invalid character '2' after array element", 1, 4 },
        { STR_INIT("[1,]"), "invalid character ']' looking for beginning of value", 1, 4 },
        { STR_INIT("[1}"), "invalid character '}' after array element", 1, 3 },
        { STR_INIT("'a'"), "invalid character '\\'' looking for beginning of value", 1, 1 },
        { STR_INIT("\xff"), "invalid character 'ÿ' looking for beginning of value", 1, 1 },
        { STR_INIT("1 x"), "invalid character 'x' after top-level value", 1, 3 },
        { STR_INIT("01"), "invalid character '1' after top-level value", 1, 2 },
        { STR_INIT("-"), "invalid character ' ' in numeric literal", 1, 2 },
        { STR_INIT("-x"), "invalid character 'x' in numeric literal", 1, 2 },
        { STR_INIT("1.x"), "invalid character 'x' after decimal point in numeric literal", 1, 3 },
        { STR_INIT("1e+x"), "invalid character 'x' in exponent of numeric literal", 1, 4 },
        { STR_INIT("+1"), "invalid character '+' looking for beginning of value", 1, 1 },
        { STR_INIT("tru "), "invalid character ' ' in literal true (expecting 'e')", 1, 4 },
        { STR_INIT("fax"), "invalid character 'x' in literal false (expecting 'l')", 1, 3 },
        { STR_INIT("nul"), "invalid character ' ' in literal null (expecting 'l')", 1, 4 },
        { STR_INIT("\"a\nb\""), "invalid character '\\n' in string literal", 1, 3 },
        { STR_INIT("\"0123456\x01\""), "invalid character '\\x01' in string literal", 1, 9 },
        { STR_INIT("\"\\q\""), "invalid character 'q' in string escape code", 1, 3 },
        { STR_INIT("\"\\u12g4\""), "invalid character 'g' in \\u hexadecimal character escape", 1, 6 },
        { STR_INIT("\"abc"), "unexpected end of JSON input", 1, 5 },
        { STR_INIT("\"abc\\"), "invalid character ' ' in string escape code", 1, 6 },
        { STR_INIT("{\"a\":1,"), "unexpected end of JSON input", 1, 8 },
        { STR_INIT("{\"a\""), "unexpected end of JSON input", 1, 5 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 }, again = { 0 };
        struct buf out = { 0 };
        assert_false(skip_text(cases[i].text, &err));
        assert_string_equal(err.text, cases[i].want);
        assert_int_equal(err.line, cases[i].line);
        assert_int_equal(err.column, cases[i].column);
        assert_false(copy_text(cases[i].text, &out, &again));
        assert_string_equal(again.text, err.text);
        buf_deinit(&out);
    }
}

static void a_wrong_type_names_its_path(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct json_reader r;
    struct err err;
    struct str key, s;
    json_reader_init(&r, STR("{\"n\":[{\"x\":\"a,]\"}],\"alerts\":[{\"labels\":{}},\n{\"q\":1,\"labels\":{\"a\":5}}]}"),
                     &arena);
    assert_true(jr_object(&r));
    assert_true(jr_member(&r, &key));
    assert_true(jr_skip(&r));
    assert_true(jr_member(&r, &key));
    assert_true(jr_array(&r));
    assert_true(jr_element(&r));
    assert_true(jr_skip(&r));
    assert_true(jr_element(&r));
    assert_true(jr_object(&r));
    assert_true(jr_member(&r, &key));
    assert_true(jr_skip(&r));
    assert_true(jr_member(&r, &key));
    assert_true(jr_object(&r));
    assert_true(jr_member(&r, &key));
    assert_false(jr_str(&r, &s));
    assert_false(jr_member(&r, &key)); /* it sticks */
    assert_false(jr_finish(&r, &err));
    assert_string_equal(err.text, "alerts[1].labels.a: expected a string, got a number");
    assert_int_equal(err.line, 2);
    assert_int_equal(err.column, 22);
    arena_deinit(&arena);
}

static void no_json_wins_over_a_wrong_type(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct json_reader r;
    struct err err;
    struct str s;
    json_reader_init(&r, STR("[1, x]"), &arena);
    assert_true(jr_array(&r));
    assert_true(jr_element(&r));
    assert_false(jr_str(&r, &s));
    assert_false(jr_finish(&r, &err));
    assert_string_equal(err.text, "invalid character 'x' looking for beginning of value");
    json_reader_init(&r, STR("5"), &arena);
    assert_false(jr_fail(&r, "not %s", "good"));
    assert_false(jr_finish(&r, &err));
    assert_string_equal(err.text, "not good");
    arena_deinit(&arena);
}

static void numbers_convert_or_say_why(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct json_reader r;
    struct err err;
    int64_t i = 0;
    double f = 0;
    json_reader_init(&r, STR("[-9223372036854775808, 1e3, 0.1]"), &arena);
    assert_true(jr_array(&r) && jr_element(&r) && jr_i64(&r, &i));
    assert_true(i == INT64_MIN);
    assert_true(jr_element(&r) && jr_f64(&r, &f));
    assert_true(fabs(f - 1000) < 1e-9);
    assert_true(jr_element(&r));
    assert_false(jr_i64(&r, &i));
    assert_false(jr_finish(&r, &err));
    assert_string_equal(err.text, "[2]: number 0.1 is not a 64-bit integer");
    json_reader_init(&r, STR("1e400"), &arena);
    assert_false(jr_f64(&r, &f));
    assert_false(jr_finish(&r, &err));
    assert_string_equal(err.text, "number 1e400 is out of range");
    arena_deinit(&arena);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    struct buf text = { 0 };
    struct err err;
    buf_fill(&text, '[', JSON_DEPTH_MAX);
    buf_fill(&text, ']', JSON_DEPTH_MAX);
    assert_true(skip_text(buf_view(&text), &err));
    buf_reset(&text);
    buf_fill(&text, '[', 100000);
    assert_false(skip_text(buf_view(&text), &err));
    assert_non_null(strstr(err.text, "exceeded max depth"));
    buf_deinit(&text);
}

static void raw_values_are_their_bytes(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct json_reader r;
    struct err err;
    struct str key, raw = STR_EMPTY;
    json_reader_init(&r, STR("{\"a\" : {\"b\" : [1 ,2]} , \"c\":3}"), &arena);
    assert_true(jr_object(&r) && jr_member(&r, &key) && jr_raw(&r, &raw));
    assert_true(str_eq(raw, STR("{\"b\" : [1 ,2]}")));
    assert_true(jr_member(&r, &key) && jr_raw(&r, &raw));
    assert_true(str_eq(raw, STR("3")));
    assert_false(jr_member(&r, &key));
    assert_true(jr_finish(&r, &err));
    arena_deinit(&arena);
}

/* Where jansson is stricter than Go: lone surrogates, numbers too large, bytes that are no UTF-8. */
static bool only_jansson_objects(const char *text)
{
    return strstr(text, "\\u") || strstr(text, "surrogate") || strstr(text, "overflow") || strstr(text, "too big") ||
           strstr(text, "UTF-8");
}

/* jansson as judge: texts made by cutting and changing good ones. */
static void agrees_with_jansson(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        "{\"alerts\":[{\"labels\":{\"a\":\"b\",\"c\":\"d\\n\"},\"n\":-1.5e+3,\"t\":true,\"z\":null}],\"x\":[[],{},0]}",
        "[\"\\u00e9\\ud83d\\ude00\", 1e5, -0, 0.25, false, {\"k\":{\"k\":[1,2,3]}}]",
        "\"just a string with \\\"quotes\\\" and \\\\ slashes\"",
    };
    static const char bytes[] = "{}[]\",:\\ue0159.-+ tfn\n x";
    struct rng rng;
    rng_seed(&rng, 99);
    size_t good = 0;
    for (int i = 0; i < 60000; i++) {
        struct str seed = str_c(seeds[rng_below(&rng, ARRAY_LEN(seeds))]);
        struct buf text = { 0 }, out = { 0 };
        buf_str(&text, seed);
        for (uint64_t k = rng_below(&rng, 4); k > 0; k--)
            text.p[rng_below(&rng, text.n)] = bytes[rng_below(&rng, sizeof bytes - 1)];
        if (rng_below(&rng, 8) == 0)
            buf_truncate(&text, (size_t)rng_below(&rng, text.n));
        struct err err;
        json_error_t jerr;
        json_t *want = json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &jerr);
        bool ok = copy_text(buf_view(&text), &out, &err);
        if (ok != (want != NULL) && !(ok && only_jansson_objects(jerr.text)))
            fail_msg("%s: %s / %s", text.p, ok ? "ok" : err.text, want ? "ok" : jerr.text);
        if (ok && want) {
            json_t *got = json_loadb(out.p, out.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &jerr);
            assert_non_null(got);
            assert_true(json_equal(got, want));
            json_decref(got);
            good++;
        }
        json_decref(want);
        buf_deinit(&text);
        buf_deinit(&out);
    }
    assert_true(good > 5000);
}

static void a_walk_that_is_given_up_is_a_failure(void **state)
{
    struct json_reader r;
    struct arena a;
    struct str key;
    struct err err = { 0 };
    (void)state;
    arena_init(&a, ARENA_NO_LIMIT);
    json_reader_init(&r, STR("{\"a\":[1,2]}"), &a);
    assert_true(jr_object(&r) && jr_member(&r, &key) && jr_array(&r) && jr_element(&r));
    assert_false(jr_finish(&r, &err));
    assert_int_equal(err.code, ERR_INVALID);
    json_reader_init(&r, STR("{\"a\":[1,2"), &a); /* a text that is no JSON is told as that */
    assert_true(jr_object(&r));
    assert_false(jr_finish(&r, &err));
    assert_string_equal(err.text, "unexpected end of JSON input");
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_walk_sees_what_is_there),
        cmocka_unit_test(strings_unescape_as_in_go),
        cmocka_unit_test(plain_strings_are_slices_of_the_text),
        cmocka_unit_test(the_arena_limit_is_an_error),
        cmocka_unit_test(broken_texts_are_worded_as_in_go),
        cmocka_unit_test(a_wrong_type_names_its_path),
        cmocka_unit_test(no_json_wins_over_a_wrong_type),
        cmocka_unit_test(numbers_convert_or_say_why),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(raw_values_are_their_bytes),
        cmocka_unit_test(a_walk_that_is_given_up_is_a_failure),
        cmocka_unit_test(agrees_with_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
