/* The PromQL syntax tree: typed nodes as the parser makes and checks them. Everything a tree points at lives in the arena
 * of its promql_expr; regexes of selectors are released with it. Trees are immutable once parsed and may be shared by
 * threads; the engine clones what it resolves.
 *
 * Positions are byte offsets into the query text. Times and durations are ms. Upstream: prometheus promql/parser/ast.go;
 * spec/promql.md 2. */
#ifndef TOCSIN_PROMQL_AST_H
#define TOCSIN_PROMQL_AST_H

#include "base/str.h"
#include "model/matcher.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum promql_type { PROMQL_NONE, PROMQL_SCALAR, PROMQL_STRING, PROMQL_VECTOR, PROMQL_MATRIX };
struct str promql_type_text(enum promql_type t);       /* "vector", "matrix": as results say */
struct str promql_type_documented(enum promql_type t); /* "instant vector", "range vector": as errors say */

enum promql_kind {
    NODE_NUMBER,
    NODE_STRING,
    NODE_SELECTOR,
    NODE_MATRIX,
    NODE_SUBQUERY,
    NODE_PAREN,
    NODE_UNARY,
    NODE_BINARY,
    NODE_CALL,
    NODE_AGGREGATE,
    NODE_DURATION, /* an operation inside [] or after offset */
};

enum promql_op {
    OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD, OP_POW, OP_ATAN2,
    OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE,
    OP_TRIM_UPPER, OP_TRIM_LOWER,
    OP_AND, OP_OR, OP_UNLESS,
};
struct str promql_op_text(enum promql_op op);
static inline bool promql_op_is_comparison(enum promql_op op)
{
    return op >= OP_EQ && op <= OP_GE;
}
static inline bool promql_op_is_set(enum promql_op op)
{
    return op >= OP_AND;
}

enum promql_aggregation {
    AGG_SUM, AGG_AVG, AGG_COUNT, AGG_MIN, AGG_MAX, AGG_GROUP, AGG_STDDEV, AGG_STDVAR,
    AGG_TOPK, AGG_BOTTOMK, AGG_COUNT_VALUES, AGG_QUANTILE, AGG_LIMITK, AGG_LIMIT_RATIO,
};
struct str promql_aggregation_text(enum promql_aggregation a);

struct promql_node;

struct promql_duration {
    int64_t ms;
    struct promql_node *expr; /* NULL: ms is it; else evaluated once per query */
};
enum promql_at { AT_NONE, AT_TIME, AT_START, AT_END };

/* Where in time a selector or subquery looks. */
struct promql_place {
    struct promql_duration offset;
    enum promql_at at;
    int64_t at_ms; /* AT_TIME */
    bool anchored, smoothed;
};

enum promql_card { CARD_ONE_TO_ONE, CARD_MANY_TO_ONE, CARD_ONE_TO_MANY, CARD_MANY_TO_MANY };
struct promql_matching {
    enum promql_card card;
    bool on; /* labels are those of on(); else of ignoring() */
    struct str_list labels, include;
    bool fill_left, fill_right;
    double fill_left_value, fill_right_value;
};

enum promql_duration_op { DUR_OP, DUR_NEG, DUR_POS, DUR_PAREN, DUR_STEP, DUR_RANGE, DUR_MIN, DUR_MAX };

struct promql_function; /* functions_int.h */
struct cached;          /* eval_int.h */

struct promql_selector {
    struct str name; /* outside the braces; empty: none */
    struct matchers matchers; /* with __name__ of `name` */
    struct promql_place place;
    bool skip_empty_check; /* second argument of info() */
    bool stats_only;       /* set by the planner: histograms need only count and sum */
    bool with_times;       /* set by the planner: timestamp() wants the samples' own times */
    bool with_starts;      /* set by the planner: start_timestamp() */
};

struct promql_node {
    enum promql_kind kind;
    enum promql_type type;
    uint32_t start, end; /* byte offsets, end is past the last */
    uint32_t depth;      /* of the tree below, this node included */
    bool invariant;      /* set by the planner: evaluated once, repeated for all steps */
    struct cached *shared; /* set by the planner: the query says it more than once */
    union {
        struct {
            double value;
            bool is_duration;
        } number;
        struct {
            struct str value;
        } string;
        struct promql_selector selector;
        struct {
            struct promql_node *selector;
            struct promql_duration range;
        } matrix;
        struct {
            struct promql_node *expr;
            struct promql_duration range, step;
            bool has_step;
            struct promql_place place;
        } subquery;
        struct {
            struct promql_node *expr;
        } paren;
        struct {
            bool minus;
            struct promql_node *expr;
        } unary;
        struct {
            enum promql_op op;
            bool return_bool;
            bool grouped; /* on, ignoring or group_x was written */
            uint32_t op_at; /* byte offset of the operator */
            struct promql_node *l, *r;
            struct promql_matching matching;
        } binary;
        struct {
            const struct promql_function *fn;
            struct promql_node **args;
            size_t args_count;
        } call;
        struct {
            enum promql_aggregation op;
            bool without;
            struct str_list grouping;
            struct promql_node *expr, *param; /* param may be NULL */
        } aggregate;
        struct {
            enum promql_duration_op what;
            enum promql_op op;
            struct promql_node *l, *r;
        } duration;
    } u;
};

/* The inner expression without its parentheses. */
const struct promql_node *promql_unparen(const struct promql_node *n);
/* Calls visit for n and everything below in the order of the text; false from visit skips the children. */
typedef bool promql_visit(void *arg, const struct promql_node *n);
void promql_walk(const struct promql_node *n, promql_visit *visit, void *arg);

#endif
