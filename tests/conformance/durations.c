/* Durations of configurations: which texts are one, and how they print. The recorded errors are those of an older
 * Prometheus, which has one text for all; the texts of today are in the unit tests. */
#include "lib/shared.h"
#include "model/duration.h"

static void run_case(const json_t *value, size_t line, void *arg)
{
    (void)line;
    (void)arg;
    struct str input = shared_get_str(value, "input"), printed = shared_get_str(value, "printed");
    struct buf what = { 0 }, text = { 0 };
    struct err err = { 0 };
    int64_t ms = 0;
    buf_printf(&what, "`%.*s`", STR_ARG(input));
    bool ok = duration_parse(input, &ms, &err);
    if (ok)
        duration_write(&text, ms);
    if (ok != shared_get_bool(value, "valid", false))
        shared_fail(what.p, "%s", ok ? "taken" : err.text);
    else if (ok && printed.p != NULL)
        shared_check_str(what.p, buf_view(&text), printed);
    else
        shared_pass();
    buf_deinit(&what);
    buf_deinit(&text);
}

int main(void)
{
    if (shared_begin("durations"))
        shared_jsonl("conformance/prometheus/durations.jsonl", run_case, NULL);
    return shared_finish();
}
