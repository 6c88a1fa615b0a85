#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/template/render.h"

static const struct label a_labels[] = { { STR_INIT("job"), STR_INIT("b") } };
static const struct label b_labels[] = { { STR_INIT("__value__"), STR_INIT("sv") }, { STR_INIT("job"), STR_INIT("a") } };
static const struct template_sample samples[] = { { { a_labels, 1 }, 1.5 }, { { b_labels, 2 }, 2 } };

static bool query(void *arg, struct tval_call *c, struct str expr, struct tval *out, struct err *err)
{
    (void)arg, (void)c;
    if (str_eq(expr, STR("bad")))
        return err_set(err, ERR_INVALID, "no such query");
    *out = tval_ref(&template_vector_class, samples, str_eq(expr, STR("none")) ? 0 : 2);
    return true;
}

static const struct template_hooks hooks = {
    .query = query, .external_url = STR_INIT("http://p/x"), .path_prefix = STR_INIT("/x")
};
static const struct template_run run = { .now = { 1700000000, 500000000 }, .hooks = &hooks };

static void texts_change_case_by_unicode(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ \"žluť ß\" | toUpper }}{{ \"ŽÉ\" | toLower }}", "ŽLUŤ ßžé", NULL },
        { "{{ title \"foo_bar a.b c:d e-f a/b 1abc it's x1y FOO\" }}", "Foo_bar A.b C:d E-F A/B 1Abc It's X1y Foo", NULL },
        { "{{ title \"v1.0R q.0R a..b x:1Y ΣΑΣ straße ǆx ﬁn\" }}", "V1.0r Q.0r A..B X:1y Σας Straße ǅx Fin", NULL },
        { "[{{ \"\\u2003 a \\n\" | trimSpace }}]", "[a]", NULL },
    };
    CHECK_TEXTS(rows, &run);
}

static void regular_expressions_match_and_replace(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ match \"^a.c$\" \"abc\" }}{{ reReplaceAll \"a(x*)b\" \"${1}W\" \"-ab-axxb-\" }}", "true-W-xxW-", NULL },
        { "{{ match \"(\" \"\" }}", NULL, "error calling match: error parsing regexp: missing closing ): `(`" },
        { "{{ reReplaceAll \"(\" \"\" \"\" }}", NULL, "regexp: Compile(`(`): error parsing regexp" },
    };
    CHECK_TEXTS(rows, &run);
}

static void lists_and_dicts_are_values(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ $l := append (list 1) \"x\" }}{{ $l }}{{ len $l }}{{ slice $l 1 }}", "[1 x]2[x]", NULL },
        { "{{ dict \"b\" 2 \"a\" 1 \"b\" 3 }}", "map[a:1 b:3]", NULL },
        { "{{ dict \"a\" }}", NULL, "dict requires an even number of arguments" },
        { "{{ dict 1 2 }}", NULL, "dict keys must be strings" },
        { "{{ append (stringSlice \"a\") 1 }}", NULL, "expected []interface {}; got []string" },
        { "{{ join \"-\" (stringSlice \"a\" \"b\") }}{{ (stringSlice \"a\" \"b\").Join \"+\" }}", "a-ba+b", NULL },
        { "{{ toJson (dict \"a\" (list 1 1.5 nil \"<\")) }}", "{\"a\":[1,1.5,null,\"\\u003c\"]}", NULL },
        { "{{ \"a?\" | base64encode }}{{ \"YT8=\" | base64decode }}", "YT8=a?", NULL },
        { "{{ \"YT8\" | base64decode }}", NULL, "illegal base64 data at input byte 0" },
    };
    CHECK_TEXTS(rows, &run);
}

static void times_have_gos_methods(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ now }} {{ now.Unix }} {{ now.Month }} {{ printf \"%d\" now.Month }} {{ now.Weekday }}",
          "2023-11-14 22:13:20.5 +0000 UTC 1700000000 November 11 Tuesday", NULL },
        { "{{ $t := mustToDate \"2006-01-02T15:04:05Z07:00\" \"2024-02-29T23:00:00+02:00\" }}{{ $t }} {{ $t.UTC.Day }}"
          " {{ ($t.AddDate 1 0 0).Format \"2006-01-02\" }} {{ ($t.Add 3600000000000).Hour }}",
          "2024-02-29 23:00:00 +0200 +0200 29 2025-03-01 0", NULL },
        { "{{ since (mustToDate \"2006-01-02\" \"2023-11-14\") }}", "22h13m20.5s", NULL },
        { "{{ (toDate \"2006\" \"x\").IsZero }}", "true", NULL },
        { "{{ mustToDate \"2006\" \"x\" }}", NULL, "parsing time \"x\" as \"2006\": cannot parse \"x\" as \"2006\"" },
        { "{{ $t := mustToDate \"2006-01-02T15:04:05Z07:00\" \"2024-02-29T23:00:00+02:00\" }}{{ $t.GoString }} "
          "{{ printf \"%#v\" $t.UTC }}",
          "time.Date(2024, time.February, 29, 23, 0, 0, 0, time.Location(\"\")) "
          "time.Date(2024, time.February, 29, 21, 0, 0, 0, time.UTC)", NULL },
        { "{{ printf \"%d %t\" now.UTC now.UTC }}",
          "{500000000 63835596800 0} {%!t(uint64=500000000) %!t(int64=63835596800) %!t(*time.Location=<nil>)}", NULL },
        { "{{ printf \"%T %T\" now.Unix now.Year }} {{ gt now.Unix 5 }}", "int64 int true", NULL },
        { "{{ now.AddDate now.Unix 0 0 }}", NULL, "wrong type for value; expected int; got int64" },
        { "{{ tz \"No/Where\" now }}", NULL, "unknown time zone No/Where" },
    };
    CHECK_TEXTS(rows, &run);
}

static void numbers_are_made_human(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ humanizeDuration 90000 }}|{{ humanizeDuration -61 }}|{{ humanizeDuration 0.0015 }}|{{ humanizeDuration \"1.25\" }}",
          "1d 1h 0m 0s|-1m 1s|1.5ms|1.25s", NULL },
        { "{{ humanizeDuration \"one\" }}", NULL, "strconv.ParseFloat: parsing \"one\": invalid syntax" },
    };
    CHECK_TEXTS(rows, &run);
    static const struct rendering prometheus[] = {
        { "{{ humanize 1234567 }}|{{ humanize 0.0012 }}|{{ humanize1024 1536 }}|{{ humanizePercentage 0.12345 }}",
          "1.235M|1.2m|1.5ki|12.35%", NULL },
        { "{{ humanizeTimestamp 1435065584.128 }}", "2015-06-23 13:19:44.128 +0000 UTC", NULL },
        { "{{ toDuration 1.5 }} {{ now }} {{ parseDuration \"1m30s\" }}", "1.5s 1.7000000005e+09 90", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(prometheus); i++)
        check_rendering(TEMPLATE_PROMETHEUS, false, &run, &prometheus[i]);
}

static void prometheus_queries_and_links(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ range query \"x\" }}{{ .Labels.job }}={{ .Value }};{{ end }}", "b=1.5;a=2;", NULL },
        { "{{ range sortByLabel \"job\" (query \"x\") }}{{ .Labels.job }}{{ end }}", "ab", NULL },
        { "{{ query \"x\" | first | value }}{{ query \"x\" | first | label \"job\" }}", "1.5b", NULL },
        { "{{ strvalue (index (query \"x\") 1) }}", "sv", NULL },
        { "{{ query \"none\" | first }}", NULL, "first() called on vector with no elements" },
        { "{{ query \"bad\" }}", NULL, "error calling query: no such query" },
        { "{{ args 1 \"x\" }}", "map[arg0:1 arg1:x]", NULL },
        { "{{ graphLink \"a b\" }} {{ tableLink \"c\" }}", "/graph?g0.expr=a+b&g0.tab=0 /graph?g0.expr=c&g0.tab=1", NULL },
        { "{{ externalURL }}{{ pathPrefix }}", "http://p/x/x", NULL },
        { "{{ stripPort \"[::1]:80\" }} {{ stripDomain \"a.b.c:80\" }} {{ stripDomain \"10.0.0.1:80\" }}",
          "::1 a:80 10.0.0.1:80", NULL },
        { "{{ title \"aBC dE\" }}", "ABC DE", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_rendering(TEMPLATE_PROMETHEUS, false, &run, &rows[i]);
}

static void flavours_do_not_share_each_others_functions(void **state)
{
    (void)state;
    static const struct rendering only_prometheus = { "{{ humanize 1 }}", NULL, "function \"humanize\" not defined" };
    static const struct rendering only_alertmanager = { "{{ list 1 }}", NULL, "function \"list\" not defined" };
    check_rendering(TEMPLATE_ALERTMANAGER, false, &run, &only_prometheus);
    check_rendering(TEMPLATE_PROMETHEUS, false, &run, &only_alertmanager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_change_case_by_unicode),
        cmocka_unit_test(regular_expressions_match_and_replace),
        cmocka_unit_test(lists_and_dicts_are_values),
        cmocka_unit_test(times_have_gos_methods),
        cmocka_unit_test(numbers_are_made_human),
        cmocka_unit_test(prometheus_queries_and_links),
        cmocka_unit_test(flavours_do_not_share_each_others_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
