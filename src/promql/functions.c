/* The functions of PromQL, one row each. */
#include "promql/eval_int.h"

#include <math.h>

#define S PROMQL_SCALAR
#define V PROMQL_VECTOR
#define M PROMQL_MATRIX
#define T PROMQL_STRING

#define RANGE1(name_, fn_, ...)                                                                    \
    { .name = name_, .returns = V, .args = { M }, .args_count = 1, .range = &(fn_), __VA_ARGS__ }
#define MATH(name_, fn_) { .name = name_, .returns = V, .args = { V }, .args_count = 1, .math = (fn_), .vector = fn_math }
#define DATE(name_)                                                                                \
    { .name = name_, .returns = V, .args = { V }, .args_count = 1, .variadic = 1, .vector = fn_date, .at_unsafe = true }
#define HISTOGRAM(name_)                                                                           \
    { .name = name_, .returns = V, .args = { V }, .args_count = 1, .vector = fn_histogram_value }
#define CONSTANT(name_)                                                                            \
    { .name = name_, .returns = S, .scalar = fn_query_constant, .experimental = true, .at_unsafe = true }

static const struct promql_function functions[] = {
    MATH("abs", fabs),
    { .name = "absent", .returns = V, .args = { V }, .args_count = 1, .vector = fn_absent },
    { .name = "absent_over_time", .returns = V, .args = { M }, .args_count = 1, .vector = fn_absent_over_time },
    MATH("acos", acos),
    MATH("acosh", acosh),
    MATH("asin", asin),
    MATH("asinh", asinh),
    MATH("atan", atan),
    MATH("atanh", atanh),
    RANGE1("avg_over_time", range_avg),
    MATH("ceil", ceil),
    RANGE1("changes", range_changes),
    { .name = "clamp", .returns = V, .args = { V, S, S }, .args_count = 3, .vector = fn_clamp },
    { .name = "clamp_max", .returns = V, .args = { V, S }, .args_count = 2, .vector = fn_clamp_max },
    { .name = "clamp_min", .returns = V, .args = { V, S }, .args_count = 2, .vector = fn_clamp_min },
    MATH("cos", cos),
    MATH("cosh", cosh),
    RANGE1("count_over_time", range_count),
    DATE("day_of_month"),
    DATE("day_of_week"),
    DATE("day_of_year"),
    DATE("days_in_month"),
    MATH("deg", fn_deg),
    RANGE1("delta", range_delta),
    RANGE1("deriv", range_deriv),
    { .name = "double_exponential_smoothing", .returns = V, .args = { M, S, S }, .args_count = 3, .range = &range_smoothing,
      .experimental = true },
    CONSTANT("end"),
    MATH("exp", exp),
    RANGE1("first_over_time", range_first, .keeps_name = true),
    MATH("floor", floor),
    HISTOGRAM("histogram_avg"),
    HISTOGRAM("histogram_count"),
    { .name = "histogram_fraction", .returns = V, .args = { S, S, V }, .args_count = 3, .vector = fn_histogram_fraction },
    { .name = "histogram_quantile", .returns = V, .args = { S, V }, .args_count = 2, .vector = fn_histogram_quantile },
    { .name = "histogram_quantiles", .returns = V, .args = { V, T, S, S }, .args_count = 4, .variadic = -1,
      .vector = fn_histogram_quantiles, .experimental = true },
    HISTOGRAM("histogram_stddev"),
    HISTOGRAM("histogram_stdvar"),
    HISTOGRAM("histogram_sum"),
    DATE("hour"),
    RANGE1("idelta", range_idelta),
    RANGE1("increase", range_increase),
    { .name = "info", .returns = V, .args = { V, V }, .args_count = 2, .variadic = 1, .vector = fn_info,
      .experimental = true, .keeps_name = true },
    RANGE1("irate", range_irate),
    { .name = "label_join", .returns = V, .args = { V, T, T, T }, .args_count = 4, .variadic = -1, .vector = fn_label_join,
      .keeps_name = true },
    { .name = "label_replace", .returns = V, .args = { V, T, T, T, T }, .args_count = 5, .vector = fn_label_replace,
      .keeps_name = true },
    RANGE1("last_over_time", range_last, .keeps_name = true),
    MATH("ln", fn_ln),
    MATH("log10", log10),
    MATH("log2", log2),
    RANGE1("mad_over_time", range_mad, .experimental = true),
    { .name = "max_of", .returns = S, .args = { S, S }, .args_count = 2, .scalar = fn_min_max_of, .experimental = true },
    RANGE1("max_over_time", range_max),
    { .name = "min_of", .returns = S, .args = { S, S }, .args_count = 2, .scalar = fn_min_max_of, .experimental = true },
    RANGE1("min_over_time", range_min),
    DATE("minute"),
    DATE("month"),
    { .name = "pi", .returns = S, .scalar = fn_pi },
    { .name = "predict_linear", .returns = V, .args = { M, S }, .args_count = 2, .range = &range_predict, .at_unsafe = true },
    RANGE1("present_over_time", range_present),
    { .name = "quantile_over_time", .returns = V, .args = { S, M }, .args_count = 2, .range = &range_quantile },
    MATH("rad", fn_rad),
    CONSTANT("range"),
    RANGE1("rate", range_rate),
    RANGE1("resets", range_resets),
    { .name = "round", .returns = V, .args = { V, S }, .args_count = 2, .variadic = 1, .vector = fn_round },
    { .name = "scalar", .returns = S, .args = { V }, .args_count = 1, .scalar = fn_scalar },
    MATH("sgn", fn_sgn),
    MATH("sin", sin),
    MATH("sinh", sinh),
    { .name = "sort", .returns = V, .args = { V }, .args_count = 1, .vector = fn_sort, .keeps_name = true },
    { .name = "sort_by_label", .returns = V, .args = { V, T }, .args_count = 2, .variadic = -1, .vector = fn_sort_by_label,
      .experimental = true, .keeps_name = true },
    { .name = "sort_by_label_desc", .returns = V, .args = { V, T }, .args_count = 2, .variadic = -1,
      .vector = fn_sort_by_label, .experimental = true, .keeps_name = true },
    { .name = "sort_desc", .returns = V, .args = { V }, .args_count = 1, .vector = fn_sort, .keeps_name = true },
    MATH("sqrt", sqrt),
    CONSTANT("start"),
    { .name = "start_timestamp", .returns = V, .args = { V }, .args_count = 1, .vector = fn_start_timestamp,
      .experimental = true },
    RANGE1("stddev_over_time", range_stddev),
    RANGE1("stdvar_over_time", range_stdvar),
    CONSTANT("step"),
    RANGE1("sum_over_time", range_sum),
    MATH("tan", tan),
    MATH("tanh", tanh),
    { .name = "time", .returns = S, .scalar = fn_time, .at_unsafe = true },
    { .name = "timestamp", .returns = V, .args = { V }, .args_count = 1, .vector = fn_timestamp, .at_unsafe = true },
    RANGE1("ts_of_first_over_time", range_ts_first, .experimental = true),
    RANGE1("ts_of_last_over_time", range_ts_last, .experimental = true),
    RANGE1("ts_of_max_over_time", range_ts_max, .experimental = true),
    RANGE1("ts_of_min_over_time", range_ts_min, .experimental = true),
    { .name = "vector", .returns = V, .args = { S }, .args_count = 1, .vector = fn_vector },
    DATE("year"),
};

const struct promql_function *promql_function_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (str_eq(str_c(functions[i].name), name))
            return &functions[i];
    return NULL;
}
