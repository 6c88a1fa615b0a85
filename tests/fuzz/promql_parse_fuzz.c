/* Any bytes as a query: they parse or are refused; what parses is printed, and the print parses to the same print. */
#include "base/buf.h"
#include "promql/promql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned all = PROMQL_EXPERIMENTAL_FUNCTIONS | PROMQL_EXTENDED_RANGES | PROMQL_FILL_MODIFIERS;
    struct err err = { 0 };
    struct promql_expr *e = promql_parse(str_of((const char *)data, size), all, &err);
    if (!e) {
        ASSERT(err.code != ERR_NONE);
        return 0;
    }
    struct buf once = { 0 }, twice = { 0 }, pretty = { 0 }, json = { 0 };
    struct json_writer w;
    promql_print(&once, promql_root(e));
    promql_print_pretty(&pretty, promql_root(e));
    json_writer_init(&w, &json);
    promql_print_json(&w, promql_root(e));
    struct promql_expr *again = promql_parse(buf_view(&once), all, &err);
    if (again) {
        promql_print(&twice, promql_root(again));
        /* Upstream prints infinity with a sign, which reads as an operator that binds less than ^. */
        ASSERT(str_eq(buf_view(&once), buf_view(&twice)) || str_contains(buf_view(&once), STR("Inf ^")));
    }
    promql_expr_free(again);
    promql_expr_free(e);
    buf_deinit(&once);
    buf_deinit(&twice);
    buf_deinit(&pretty);
    buf_deinit(&json);
    return 0;
}
