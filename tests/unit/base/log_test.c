#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "lib/alloc_count.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int pipe_fds[2];
static char line[65536];

static struct wire_time fixed_clock(void)
{
    return (struct wire_time){ 1767323045, 678901234 };
}

static int setup(void **state)
{
    (void)state;
    if (pipe(pipe_fds) != 0)
        return -1;
    log_set_fd(pipe_fds[1]);
    log_set_clock(fixed_clock);
    return 0;
}

static const char *written(void)
{
    ssize_t n = read(pipe_fds[0], line, sizeof line - 1);
    assert_true(n > 0);
    line[n] = 0;
    return line;
}

static void text_is_slogs(void **state)
{
    (void)state;
    log_configure(LOG_DEBUG, LOG_LOGFMT);
    log_write(LOG_INFO, "src/app/main.c", 12, "Listening on", (const struct log_field[]){ LOG_CSTR("address", ":9093") }, 1);
    assert_string_equal(written(), "time=2026-01-02T03:04:05.678Z level=INFO source=main.c:12 msg=\"Listening on\" "
                                   "address=:9093\n");
    const struct log_field fields[] = {
        LOG_CSTR("empty", ""),       LOG_CSTR("eq", "a=b"),   LOG_CSTR("quote", "a\"b"), LOG_CSTR("slash", "a\\b"),
        LOG_CSTR("nl", "a\nb"),      LOG_CSTR("uni", "é"),    LOG_CSTR("nbsp", "\xc2\xa0"), LOG_CSTR("bad", "\xff"),
        LOG_INT("i", -5),            LOG_F64("f", 1.5),       LOG_F64("inf", HUGE_VAL),  LOG_BOOL("b", true),
        LOG_DUR("d", 90061001),      LOG_DUR("ms", 250),      LOG_DUR("z", 0),           LOG_DUR("n", -1500),
        LOG_TIME("t", ((struct wire_time){ 0, 5000000 })), LOG_DUR("h", 3600000), LOG_CSTR("del", "\x7f"),
    };
    log_write(LOG_WARN, "x.c", 1, "m", fields, ARRAY_LEN(fields));
    assert_string_equal(written(),
                        "time=2026-01-02T03:04:05.678Z level=WARN source=x.c:1 msg=m empty=\"\" eq=\"a=b\" "
                        "quote=\"a\\\"b\" slash=a\\b nl=\"a\\nb\" uni=é nbsp=\"\\u00a0\" bad=\"\\xff\" i=-5 f=1.5 inf=+Inf "
                        "b=true d=25h1m1.001s ms=250ms z=0s n=-1.5s t=1970-01-01T00:00:00.005Z h=1h0m0s del=\x7f\n");
}

static void json_is_slogs(void **state)
{
    (void)state;
    log_configure(LOG_DEBUG, LOG_JSON);
    const struct log_field fields[] = {
        LOG_CSTR("s", "a\"\\\n\x01<é\xe2\x80\xa8\xff"), LOG_INT("i", 7), LOG_F64("f", 1e-7), LOG_F64("nan", (double)NAN),
        LOG_BOOL("b", false), LOG_DUR("d", 1500), LOG_TIME("t", ((struct wire_time){ 0, 5 })),
    };
    log_write(LOG_ERROR, "x.c", 1, "m n", fields, ARRAY_LEN(fields));
    assert_string_equal(written(),
                        "{\"time\":\"2026-01-02T03:04:05.678901234Z\",\"level\":\"ERROR\",\"source\":\"x.c:1\",\"msg\":\"m "
                        "n\",\"s\":\"a\\\"\\\\\\n\\u0001<é\\u2028\\ufffd\",\"i\":7,\"f\":1e-7,\"nan\":\"NaN\",\"b\":false,"
                        "\"d\":\"1.5s\",\"t\":\"1970-01-01T00:00:00.000000005Z\"}\n");
}

static void levels_below_the_set_one_are_not_evaluated(void **state)
{
    (void)state;
    log_configure(LOG_WARN, LOG_LOGFMT);
    int evaluated = 0;
    log_info("no", LOG_INT("x", ++evaluated));
    assert_int_equal(evaluated, 0);
    log_error("yes", LOG_INT("x", ++evaluated));
    assert_int_equal(evaluated, 1);
    const char *text = written();
    assert_non_null(strstr(text, "source=log_test.c:"));
    assert_non_null(strstr(text, " msg=yes x=1\n"));
    log_configure(LOG_DEBUG, LOG_LOGFMT);
    log_debug("bare");
    assert_non_null(strstr(written(), "msg=bare\n"));
}

static void a_line_is_bounded_and_stays_whole(void **state)
{
    (void)state;
    enum { LONG = 10000 };
    char *text = mem_alloc(LONG + 1);
    memset(text, '"', LONG); /* doubles when quoted */
    struct log_field fields[8];
    for (size_t i = 0; i < 7; i++)
        fields[i] = LOG_STR("f", str_of(text, LONG));
    fields[7] = LOG_INT("last", 1);
    for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        log_configure(LOG_DEBUG, (enum log_format)format);
        log_write(LOG_INFO, "x.c", 1, "m", fields, 8);
        const char *got = written();
        size_t n = strlen(got);
        assert_true(n < 16384);
        assert_string_equal(got + n - (format == LOG_JSON ? 11 : 8), format == LOG_JSON ? ",\"last\":1}\n" : " last=1\n");
    }
    mem_free(text);
}

static void logging_allocates_nothing(void **state)
{
    (void)state;
    log_configure(LOG_DEBUG, LOG_JSON);
    uint64_t before = alloc_count();
    log_info("hello", LOG_CSTR("a", "b c"), LOG_F64("f", 0.1), LOG_DUR("d", 12345));
    assert_int_equal(alloc_count() - before, 0);
    written();
}

static void flags_parse(void **state)
{
    (void)state;
    enum log_level level;
    enum log_format format;
    assert_true(log_level_parse(STR("warn"), &level));
    assert_int_equal(level, LOG_WARN);
    assert_true(log_level_parse(STR("DEBUG"), &level));
    assert_false(log_level_parse(STR("loud"), &level));
    assert_true(log_format_parse(STR("json"), &format));
    assert_int_equal(format, LOG_JSON);
    assert_false(log_format_parse(STR("xml"), &format));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_slogs),
        cmocka_unit_test(json_is_slogs),
        cmocka_unit_test(levels_below_the_set_one_are_not_evaluated),
        cmocka_unit_test(a_line_is_bounded_and_stays_whole),
        cmocka_unit_test(logging_allocates_nothing),
        cmocka_unit_test(flags_parse),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
