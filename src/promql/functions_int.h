/* The table of functions: names, arguments, and what evaluates them. One row a function (functions.c); the parser reads
 * the left half, the engine the right half. */
#ifndef TOCSIN_PROMQL_FUNCTIONS_INT_H
#define TOCSIN_PROMQL_FUNCTIONS_INT_H

#include "promql/ast.h"

#include <stddef.h>

struct eval;
struct frame;
struct column;
struct range_function;
typedef bool column_emit(void *arg, struct column *c);

#define FUNCTION_ARGS_MAX 6
struct promql_function {
    const char *name;
    enum promql_type returns;
    enum promql_type args[FUNCTION_ARGS_MAX];
    size_t args_count;
    int variadic;       /* 0: exactly these; n > 0: the last n may be missing (n == 1: or only the last); -1: the last repeats, or is missing */
    bool experimental;
    bool keeps_name;
    bool at_unsafe;     /* depends on the evaluation time even if its selectors are pinned */

    double (*math)(double);                       /* element by element over floats */
    const struct range_function *range;           /* over windows */
    bool (*vector)(struct eval *ev, const struct frame *f, const struct promql_node *n, column_emit *emit, void *arg);
    bool (*scalar)(struct eval *ev, const struct frame *f, const struct promql_node *n, double *out);
};
const struct promql_function *promql_function_find(struct str name); /* NULL: unknown */

#endif
