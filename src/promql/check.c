/* Static checks of a parsed tree: types, arity, modifiers. Errors are upstream's, in its order: parents before their
 * children where upstream looks at the parent first. */
#include "promql/parse_int.h"

#include "promql/functions_int.h"

static bool check_expect(struct parser *p, struct promql_node *n, enum promql_type want, const char *context)
{
    if (!parse_check(p, n))
        return false;
    return n->type == want || parse_fail(p, n->start, "expected type %.*s in %s, got %.*s",
                                         STR_ARG(promql_type_documented(want)), context,
                                         STR_ARG(promql_type_documented(n->type)));
}

static bool check_selector(struct parser *p, struct promql_node *n)
{
    if (n->u.selector.name.n || n->u.selector.skip_empty_check)
        return true;
    const struct matchers *ms = &n->u.selector.matchers;
    for (size_t i = 0; i < ms->n; i++)
        if (!matcher_matches_value(&ms->v[i], STR_EMPTY))
            return true;
    return parse_fail(p, n->start, "vector selector must contain at least one non-empty matcher");
}

static bool check_call(struct parser *p, struct promql_node *n)
{
    const struct promql_function *fn = n->u.call.fn;
    size_t got = n->u.call.args_count, most = fn->args_count;
    size_t least = fn->variadic > 0 ? most - (size_t)fn->variadic : fn->variadic < 0 ? most - 1 : most;
    if (fn->variadic == 0 && got != most)
        return parse_fail(p, n->start, "expected %zu argument(s) in call to \"%s\", got %zu", most, fn->name, got);
    if (got < least)
        return parse_fail(p, n->start, "expected at least %zu argument(s) in call to \"%s\", got %zu", least, fn->name, got);
    if (fn->variadic > 0 && got > most)
        return parse_fail(p, n->start, "expected at most %zu argument(s) in call to \"%s\", got %zu", most, fn->name, got);
    bool is_info = str_eq(str_c(fn->name), STR("info"));
    if (is_info && got > 1) {
        struct promql_node *sel = n->u.call.args[1];
        if (sel->kind != NODE_SELECTOR)
            return parse_fail(p, sel->start, "expected label selectors only");
        if (sel->u.selector.name.n)
            return parse_fail(p, sel->start, "expected label selectors only, got vector selector instead");
        sel->u.selector.skip_empty_check = true;
    }
    if (str_eq(str_c(fn->name), STR("histogram_quantiles")) && got > 12)
        return parse_fail(p, n->start, "expected at most 12 argument(s) in call to \"%s\", got %zu", fn->name, got);
    for (size_t i = 0; i < got; i++) {
        enum promql_type want = fn->args[i < most ? i : most - 1];
        struct promql_node *arg = n->u.call.args[i];
        if (!parse_check(p, arg))
            return false;
        if (arg->type != want)
            return parse_fail(p, arg->start, "expected type %.*s in call to function \"%s\", got %.*s",
                              STR_ARG(promql_type_documented(want)), fn->name, STR_ARG(promql_type_documented(arg->type)));
    }
    return true;
}

static bool check_aggregate(struct parser *p, struct promql_node *n)
{
    if (!check_expect(p, n->u.aggregate.expr, PROMQL_VECTOR, "aggregation expression"))
        return false;
    if (!n->u.aggregate.param)
        return true;
    return check_expect(p, n->u.aggregate.param,
                        n->u.aggregate.op == AGG_COUNT_VALUES ? PROMQL_STRING : PROMQL_SCALAR, "aggregation parameter");
}

static bool in_list(const struct str_list *l, struct str s)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(l->v[i], s))
            return true;
    return false;
}

static bool check_binary(struct parser *p, struct promql_node *n)
{
    struct promql_node *l = n->u.binary.l, *r = n->u.binary.r;
    struct promql_matching *m = &n->u.binary.matching;
    enum promql_op op = n->u.binary.op;
    if (!parse_check(p, l) || !parse_check(p, r))
        return false;
    bool scalars = l->type == PROMQL_SCALAR && r->type == PROMQL_SCALAR;
    bool vectors = l->type == PROMQL_VECTOR && r->type == PROMQL_VECTOR;
    if (promql_op_is_comparison(op) && !n->u.binary.return_bool && scalars)
        return parse_fail(p, n->u.binary.op_at, "comparisons between scalars must use BOOL modifier");
    if (m->on)
        for (size_t i = 0; i < m->labels.n; i++)
            if (in_list(&m->include, m->labels.v[i]))
                return parse_fail(p, n->u.binary.op_at, "label \"%.*s\" must not occur in ON and GROUP clause at once",
                                  STR_ARG(m->labels.v[i]));
    if (promql_op_is_set(op) && m->card != CARD_MANY_TO_MANY)
        return parse_fail(p, n->start, "no grouping allowed for \"%.*s\" operation", STR_ARG(promql_op_text(op)));
    if ((l->type != PROMQL_SCALAR && l->type != PROMQL_VECTOR) || (r->type != PROMQL_SCALAR && r->type != PROMQL_VECTOR))
        return parse_fail(p, l->type != PROMQL_SCALAR && l->type != PROMQL_VECTOR ? l->start : r->start,
                          "binary expression must contain only scalar and instant vector types");
    if (!vectors && m->labels.n)
        return parse_fail(p, n->start, "vector matching only allowed between instant vectors");
    if (!vectors && (m->fill_left || m->fill_right))
        return parse_fail(p, n->start, "filling in missing series only allowed between instant vectors");
    if (promql_op_is_set(op) && !vectors)
        return parse_fail(p, n->start, "set operator \"%.*s\" not allowed in binary scalar expression",
                          STR_ARG(promql_op_text(op)));
    if (promql_op_is_set(op) && (m->fill_left || m->fill_right))
        return parse_fail(p, n->start, "filling in missing series not allowed for set operators");
    return true;
}

bool parse_check(struct parser *p, struct promql_node *n)
{
    switch (n->kind) {
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_DURATION: return true;
    case NODE_SELECTOR: return check_selector(p, n);
    case NODE_MATRIX: return parse_check(p, n->u.matrix.selector);
    case NODE_SUBQUERY: {
        struct promql_node *e = n->u.subquery.expr;
        if (!parse_check(p, e))
            return false;
        return e->type == PROMQL_VECTOR || parse_fail(p, n->start, "subquery is only allowed on instant vector, got %.*s instead",
                                                      STR_ARG(promql_type_text(e->type)));
    }
    case NODE_PAREN: return parse_check(p, n->u.paren.expr);
    case NODE_UNARY: {
        struct promql_node *e = n->u.unary.expr;
        if (!parse_check(p, e))
            return false;
        return e->type == PROMQL_SCALAR || e->type == PROMQL_VECTOR ||
               parse_fail(p, n->start, "unary expression only allowed on expressions of type scalar or instant vector, got \"%.*s\"",
                          STR_ARG(promql_type_documented(e->type)));
    }
    case NODE_BINARY: return check_binary(p, n);
    case NODE_CALL: return check_call(p, n);
    case NODE_AGGREGATE: return check_aggregate(p, n);
    }
    return true;
}
