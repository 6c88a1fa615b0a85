#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "json/writer.h"
#include "lib/alloc_count.h"

#include <jansson.h>
#include <string.h>

static void commas_come_by_themselves(void **state)
{
    (void)state;
    struct buf out = { 0 };
    struct json_writer w;
    json_writer_init(&w, &out);
    jw_object(&w);
    jw_kv(&w, STR("a"), STR("b"));
    jw_key(&w, STR("list"));
    jw_array(&w);
    jw_i64(&w, INT64_MIN);
    jw_u64(&w, UINT64_MAX);
    jw_f64(&w, 0.5);
    jw_bool(&w, true);
    jw_null(&w);
    jw_array(&w);
    jw_array_end(&w);
    jw_object(&w);
    jw_object_end(&w);
    jw_raw(&w, STR("{\"r\":1}"));
    jw_array_end(&w);
    jw_key(&w, STR("z"));
    jw_bool(&w, false);
    jw_object_end(&w);
    assert_string_equal(out.p, "{\"a\":\"b\",\"list\":[-9223372036854775808,18446744073709551615,0.5,true,null,[],{},"
                               "{\"r\":1}],\"z\":false}");
    buf_deinit(&out);
}

static void strings_escape_as_in_go(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *html, *plain;
    } cases[] = {
        { STR_INIT("a\"\\/"), "a\\\"\\\\/", "a\\\"\\\\/" },
        { STR_INIT("\b\f\n\r\t"), "\\b\\f\\n\\r\\t", "\\b\\f\\n\\r\\t" },
        { STR_INIT("\0\x1f\x7f"), "\\u0000\\u001f\x7f", "\\u0000\\u001f\x7f" },
        { STR_INIT("<a>&"), "\\u003ca\\u003e\\u0026", "<a>&" },
        { STR_INIT("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"), "\\u2028\\u2029\xe2\x80\xaa", "\\u2028\\u2029\xe2\x80\xaa" },
        { STR_INIT("é\xff\xe2\x98"), "é\\ufffd\\ufffd\\ufffd", "é\\ufffd\\ufffd\\ufffd" },
        { STR_INIT("😀\xef\xbf\xbd"), "😀\xef\xbf\xbd", "😀\xef\xbf\xbd" },
        { STR_INIT(""), "", "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = { 0 };
        json_escape(&out, cases[i].text, true);
        assert_true(str_eq(buf_view(&out), str_c(cases[i].html)));
        buf_reset(&out);
        json_escape(&out, cases[i].text, false);
        assert_true(str_eq(buf_view(&out), str_c(cases[i].plain)));
        buf_deinit(&out);
    }
}

static void jansson_reads_back_every_byte_pair(void **state)
{
    (void)state;
    struct buf out = { 0 };
    for (int a = 0; a < 128; a++) {
        for (int b = 0; b < 128; b++) {
            const char text[] = { (char)a, (char)b };
            struct json_writer w;
            buf_reset(&out);
            json_writer_init(&w, &out);
            jw_str(&w, str_of(text, 2));
            json_t *v = json_loadb(out.p, out.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
            assert_non_null(v);
            assert_int_equal(json_string_length(v), 2);
            assert_memory_equal(json_string_value(v), text, 2);
            json_decref(v);
        }
    }
    buf_deinit(&out);
}

/* Runs are searched a word at a time: a byte is judged alike at every place of a word, and so are those behind it. */
static void a_byte_is_judged_alike_at_every_place(void **state)
{
    (void)state;
    struct buf out = { 0 }, alone = { 0 };
    for (int c = 0; c < 256; c++) {
        const char byte = (char)c;
        for (int html = 0; html < 2; html++) {
            buf_reset(&alone);
            json_escape(&alone, str_of(&byte, 1), html);
            for (size_t at = 0; at < 20; at++) {
                char text[20];
                memset(text, 'x', sizeof text);
                text[at] = byte;
                buf_reset(&out);
                json_escape(&out, str_of(text, sizeof text), html);
                assert_int_equal(out.n, sizeof text - 1 + alone.n);
                assert_memory_equal(out.p + at, alone.p, alone.n);
                for (size_t i = 0; i < out.n; i++)
                    assert_true((i >= at && i < at + alone.n) || out.p[i] == 'x');
            }
        }
    }
    buf_deinit(&out);
    buf_deinit(&alone);
}

static void a_pair_reads_as_its_key_and_its_string(void **state)
{
    (void)state;
    static const struct str texts[] = { STR_INIT(""), STR_INIT("plain"), STR_INIT("long enough for more words"),
                                        STR_INIT("<html>"), STR_INIT("a\"b"), STR_INIT("é"), { NULL, 0 } };
    struct buf pair = { 0 }, parts = { 0 };
    struct json_writer w, v;
    json_writer_init(&w, &pair);
    json_writer_init(&v, &parts);
    jw_object(&w);
    jw_object(&v);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        for (size_t k = 0; k < ARRAY_LEN(texts); k++) {
            jw_kv(&w, texts[i], texts[k]);
            jw_key(&v, texts[i]);
            jw_str(&v, texts[k]);
        }
    jw_object_end(&w);
    jw_object_end(&v);
    assert_string_equal(pair.p, parts.p);
    buf_deinit(&pair);
    buf_deinit(&parts);
}

static void a_full_buffer_takes_no_pair(void **state)
{
    (void)state;
    struct buf out = { .limit_bytes = 8 };
    struct json_writer w;
    json_writer_init(&w, &out);
    jw_object(&w);
    jw_kv(&w, STR("key"), STR("value"));
    assert_true(out.overflow);
    assert_true(out.n <= 8);
    buf_deinit(&out);
}

static void a_warm_writer_allocates_nothing(void **state)
{
    (void)state;
    struct buf out = { 0 };
    struct json_writer w;
    buf_reserve(&out, 4096);
    uint64_t before = alloc_count();
    json_writer_init(&w, &out);
    jw_array(&w);
    for (int i = 0; i < 50; i++) {
        jw_str(&w, STR("a<b>\n"));
        jw_f64(&w, 1.0 / (i + 1));
        jw_i64(&w, i);
    }
    jw_array_end(&w);
    assert_int_equal(alloc_count() - before, 0);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_come_by_themselves),
        cmocka_unit_test(strings_escape_as_in_go),
        cmocka_unit_test(jansson_reads_back_every_byte_pair),
        cmocka_unit_test(a_byte_is_judged_alike_at_every_place),
        cmocka_unit_test(a_pair_reads_as_its_key_and_its_string),
        cmocka_unit_test(a_full_buffer_takes_no_pair),
        cmocka_unit_test(a_warm_writer_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
