/* Names of the tree's enums, and the walk over it. */
#include "promql/ast.h"

#include "promql/promql.h"

struct str promql_type_text(enum promql_type t)
{
    static const struct str names[] = {
        [PROMQL_NONE] = STR_INIT("none"),     [PROMQL_SCALAR] = STR_INIT("scalar"), [PROMQL_STRING] = STR_INIT("string"),
        [PROMQL_VECTOR] = STR_INIT("vector"), [PROMQL_MATRIX] = STR_INIT("matrix"),
    };
    return names[t];
}

struct str promql_type_documented(enum promql_type t)
{
    return t == PROMQL_VECTOR ? STR("instant vector") : t == PROMQL_MATRIX ? STR("range vector") : promql_type_text(t);
}

struct str promql_op_text(enum promql_op op)
{
    static const struct str names[] = {
        [OP_ADD] = STR_INIT("+"),  [OP_SUB] = STR_INIT("-"),     [OP_MUL] = STR_INIT("*"),  [OP_DIV] = STR_INIT("/"),
        [OP_MOD] = STR_INIT("%"),  [OP_POW] = STR_INIT("^"),     [OP_ATAN2] = STR_INIT("atan2"),
        [OP_EQ] = STR_INIT("=="),  [OP_NE] = STR_INIT("!="),     [OP_LT] = STR_INIT("<"),   [OP_LE] = STR_INIT("<="),
        [OP_GT] = STR_INIT(">"),   [OP_GE] = STR_INIT(">="),     [OP_TRIM_UPPER] = STR_INIT("</"),
        [OP_TRIM_LOWER] = STR_INIT(">/"),
        [OP_AND] = STR_INIT("and"), [OP_OR] = STR_INIT("or"),    [OP_UNLESS] = STR_INIT("unless"),
    };
    return names[op];
}

struct str promql_aggregation_text(enum promql_aggregation a)
{
    static const struct str names[] = {
        [AGG_SUM] = STR_INIT("sum"),           [AGG_AVG] = STR_INIT("avg"),       [AGG_COUNT] = STR_INIT("count"),
        [AGG_MIN] = STR_INIT("min"),           [AGG_MAX] = STR_INIT("max"),       [AGG_GROUP] = STR_INIT("group"),
        [AGG_STDDEV] = STR_INIT("stddev"),     [AGG_STDVAR] = STR_INIT("stdvar"), [AGG_TOPK] = STR_INIT("topk"),
        [AGG_BOTTOMK] = STR_INIT("bottomk"),   [AGG_COUNT_VALUES] = STR_INIT("count_values"),
        [AGG_QUANTILE] = STR_INIT("quantile"), [AGG_LIMITK] = STR_INIT("limitk"),
        [AGG_LIMIT_RATIO] = STR_INIT("limit_ratio"),
    };
    return names[a];
}

const struct promql_node *promql_unparen(const struct promql_node *n)
{
    while (n->kind == NODE_PAREN)
        n = n->u.paren.expr;
    return n;
}

void promql_walk(const struct promql_node *n, promql_visit *visit, void *arg)
{
    if (!n || !visit(arg, n))
        return;
    switch (n->kind) {
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_SELECTOR:
    case NODE_DURATION: break;
    case NODE_MATRIX: promql_walk(n->u.matrix.selector, visit, arg); break;
    case NODE_SUBQUERY: promql_walk(n->u.subquery.expr, visit, arg); break;
    case NODE_PAREN: promql_walk(n->u.paren.expr, visit, arg); break;
    case NODE_UNARY: promql_walk(n->u.unary.expr, visit, arg); break;
    case NODE_BINARY:
        promql_walk(n->u.binary.l, visit, arg);
        promql_walk(n->u.binary.r, visit, arg);
        break;
    case NODE_CALL:
        for (size_t i = 0; i < n->u.call.args_count; i++)
            promql_walk(n->u.call.args[i], visit, arg);
        break;
    case NODE_AGGREGATE:
        promql_walk(n->u.aggregate.param, visit, arg);
        promql_walk(n->u.aggregate.expr, visit, arg);
        break;
    }
}

unsigned promql_feature(struct str name)
{
    static const struct {
        struct str name;
        unsigned bit;
    } rows[] = {
        { STR_INIT("promql-experimental-functions"), PROMQL_EXPERIMENTAL_FUNCTIONS },
        { STR_INIT("promql-delayed-name-removal"), PROMQL_DELAYED_NAME_REMOVAL },
        { STR_INIT("promql-extended-range-selectors"), PROMQL_EXTENDED_RANGES },
        { STR_INIT("promql-binop-fill-modifiers"), PROMQL_FILL_MODIFIERS },
        { STR_INIT("use-start-timestamps"), PROMQL_START_TIMES },
        { STR_INIT("type-and-unit-labels"), PROMQL_TYPE_AND_UNIT },
        { STR_INIT("promql-per-step-stats"), PROMQL_PER_STEP_STATS },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(rows[i].name, name))
            return rows[i].bit;
    return 0;
}
