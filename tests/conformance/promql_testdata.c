/* PromQL test scripts. A case is an evaluation in a script. */
#include "lib/shared.h"
#include "promql/testscript.h"

#include <stdio.h>

static void run_script(const char *relative, void *arg)
{
    (void)arg;
    struct buf text = { 0 }, report = { 0 };
    struct testscript_counts counts = { 0 };
    struct err err = { 0 };
    if (!str_ends(str_c(relative), STR(".test")) || !shared_read(relative, &text))
        return;
    bool ok = testscript_run(buf_view(&text), &report, &counts, &err);
    for (size_t i = 0; i < counts.passed; i++)
        shared_pass();
    struct str rest = buf_view(&report), line;
    while (rest.n && str_split(&rest, '\n', &line))
        if (line.n)
            shared_fail(relative, "%.*s", STR_ARG(line));
    if (!ok)
        shared_fail(relative, "%s", err.text);
    buf_deinit(&text);
    buf_deinit(&report);
}

int main(void)
{
    if (!shared_begin("promql_testdata"))
        return shared_finish();
    shared_list("conformance/promql/testdata", run_script, NULL);
    return shared_finish();
}
