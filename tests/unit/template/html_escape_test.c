#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/template/render.h"

static const struct template_run run;

static void check(const struct rendering *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_rendering(TEMPLATE_ALERTMANAGER, true, &run, &rows[i]);
}

static void values_are_escaped_for_where_they_stand(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "<p>{{ \"<b>&'\\\"+\" }}</p>", "<p>&lt;b&gt;&amp;&#39;&#34;&#43;</p>", NULL },
        { "<p title={{ \"a b\" }} id={{ \"\" }}>", "<p title=a&#32;b id=ZgotmplZ>", NULL },
        { "<a href=\"{{ \"javascript:x\" }}\">", "<a href=\"#ZgotmplZ\">", NULL },
        { "<a href=\"/x?q={{ \"a b&c\" }}\">", "<a href=\"/x?q=a%20b%26c\">", NULL },
        { "<a href=\"{{ \"http://h/a b?c=d&e\" }}\">", "<a href=\"http://h/a%20b?c=d&amp;e\">", NULL },
        { "<a onclick=\"f({{ \"a\" }})\">", "<a onclick=\"f(&#34;a&#34;)\">", NULL },
        { "<script>x = {{ 3 }}; y = \"{{ \"</script>\" }}\"</script>",
          "<script>x =  3 ; y = \"\\u003c\\/script\\u003e\"</script>", NULL },
        { "<script>x = `${ {{ 1 }} }{{ \"$\" }}`</script>", "<script>x = `${  1  }\\u0024`</script>", NULL },
        { "<script>/a{{ \"\" }}/</script>", "<script>/a(?:)/</script>", NULL },
        { "<style>a { b: {{ \"expression(1)\" }} }</style>", "<style>a { b: ZgotmplZ }</style>", NULL },
        { "<p style=\"background: url('{{ \"javascript:x\" }}')\">", "<p style=\"background: url('#ZgotmplZ')\">", NULL },
        { "<img srcset=\"{{ \"/a.png 2x, javascript:x\" }}\">", "<img srcset=\"/a.png 2x,#ZgotmplZ\">", NULL },
        { "<{{ \"p\" }} {{ \"onclick\" }}=x>", "&lt;p onclick=x>", NULL },
        { "<p {{ \"onclick\" }}=\"x\">", "<p ZgotmplZ=\"x\">", NULL },
        { "<textarea>{{ \"</textarea>\" }}</textarea>", "<textarea>&lt;/textarea&gt;</textarea>", NULL },
        { "{{ print nil }}|{{ .x }}|", "&lt;nil&gt;||", NULL },
    };
    check(rows, ARRAY_LEN(rows));
}

static void safe_strings_are_trusted_where_they_fit(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ \"<b>\" | safeHtml }}<p title=\"{{ \"<b>x</b>&amp;\" | safeHtml }}\">", "<b><p title=\"x&amp;\">", NULL },
        { "<a href=\"{{ \"javascript:x\" | safeUrl }}\">{{ \"<\" | safeUrl }}", "<a href=\"javascript:x\">&lt;", NULL },
    };
    check(rows, ARRAY_LEN(rows));
}

static void literal_text_is_cleaned(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "a<!-- c {{ 1 }} -->b a < b", "ab a &lt; b", NULL },
        { "<style>/* c */a</style><script>/* c\n */x // d\n</script>", "<style> a</style><script>\nx \n</script>", NULL },
    };
    check(rows, ARRAY_LEN(rows));
}

static void contexts_that_do_not_meet_are_errors_before_any_output(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "x{{ if true }}<p>{{ else }}<a href=\"{{ end }}", NULL, "branches end in different contexts" },
        { "<a href=\"{{ if true }}/a{{ else }}/b?{{ end }}{{ 1 }}\">", NULL, "ambiguous context within a URL" },
        { "<a title=\"", NULL, "ends in a non-text context" },
        { "{{ template \"nope\" }}", NULL, "no such template \"nope\"" },
        { "{{ 1 | html | print }}", NULL, "predefined escaper \"html\" disallowed" },
        { "{{ range 2 }}<p title=\"{{ end }}", NULL, "on range loop re-entry" },
        { "<a b\"c>", NULL, "in attribute name" },
    };
    check(rows, ARRAY_LEN(rows));
}

static void a_template_is_escaped_for_each_context_that_calls_it(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ define \"t\" }}{{ . }}{{ end }}{{ template \"t\" \"<\" }}<a href=\"/?{{ template \"t\" \"<\" }}\">"
          "<script>{{ template \"t\" \"<\" }}</script>",
          "&lt;<a href=\"/?%3c\"><script>\"\\u003c\"</script>", NULL },
        { "{{ define \"r\" }}{{ if . }}<b>{{ template \"r\" false }}</b>{{ end }}{{ end }}{{ template \"r\" true }}",
          "<b></b>", NULL },
    };
    check(rows, ARRAY_LEN(rows));
}

static void predefined_escapers_come_last_without_doubling(void **state)
{
    (void)state;
    static const struct rendering rows[] = {
        { "{{ \"<\" | html }}{{ html \"<\" 1 }}", "&lt;&lt;1", NULL },
        { "<a href=\"/?{{ \"a b\" | urlquery }}\">", "<a href=\"/?a&#43;b\">", NULL },
    };
    check(rows, ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_escaped_for_where_they_stand),
        cmocka_unit_test(safe_strings_are_trusted_where_they_fit),
        cmocka_unit_test(literal_text_is_cleaned),
        cmocka_unit_test(contexts_that_do_not_meet_are_errors_before_any_output),
        cmocka_unit_test(a_template_is_escaped_for_each_context_that_calls_it),
        cmocka_unit_test(predefined_escapers_come_last_without_doubling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
