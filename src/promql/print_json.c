/* The tree as parse_query's JSON: the shape of upstream's translateAST (web/api/v1/translate_ast.go). */
#include "promql/functions_int.h"
#include "promql/promql.h"

#include "base/num.h"

static void write_labels(struct json_writer *w, struct str key, const struct str_list *l)
{
    jw_key(w, key);
    jw_array(w);
    for (size_t i = 0; i < l->n; i++)
        jw_str(w, l->v[i]);
    jw_array_end(w);
}

static void write_place(struct json_writer *w, const struct promql_place *p)
{
    jw_key(w, STR("offset"));
    jw_i64(w, p->offset.ms);
    jw_key(w, STR("timestamp"));
    if (p->at == AT_TIME)
        jw_i64(w, p->at_ms);
    else
        jw_null(w);
    jw_key(w, STR("startOrEnd"));
    if (p->at == AT_START || p->at == AT_END)
        jw_str(w, p->at == AT_START ? STR("start") : STR("end"));
    else
        jw_null(w);
    jw_key(w, STR("anchored"));
    jw_bool(w, p->anchored);
    jw_key(w, STR("smoothed"));
    jw_bool(w, p->smoothed);
}

static void write_matchers(struct json_writer *w, const struct matchers *ms)
{
    jw_key(w, STR("matchers"));
    jw_array(w);
    for (size_t i = 0; i < ms->n; i++) {
        jw_object(w);
        jw_kv(w, STR("name"), ms->v[i].name);
        jw_kv(w, STR("value"), ms->v[i].value);
        jw_kv(w, STR("type"), match_op_text(ms->v[i].op));
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void write_number(struct json_writer *w, struct str key, double v)
{
    struct buf b = { 0 };
    num_write_f64(&b, v, 'f', -1);
    jw_kv(w, key, buf_view(&b));
    buf_deinit(&b);
}

static void write_matching(struct json_writer *w, const struct promql_node *n)
{
    static const struct str cards[] = { STR_INIT("one-to-one"), STR_INIT("many-to-one"), STR_INIT("one-to-many"),
                                        STR_INIT("many-to-many") };
    const struct promql_matching *m = &n->u.binary.matching;
    jw_key(w, STR("matching"));
    if (n->u.binary.l->type != PROMQL_VECTOR || n->u.binary.r->type != PROMQL_VECTOR) {
        jw_null(w);
        return;
    }
    jw_object(w);
    jw_kv(w, STR("card"), cards[m->card]);
    write_labels(w, STR("labels"), &m->labels);
    jw_key(w, STR("on"));
    jw_bool(w, m->on);
    write_labels(w, STR("include"), &m->include);
    jw_key(w, STR("fillValues"));
    jw_object(w);
    const struct str keys[] = { STR("lhs"), STR("rhs") };
    const bool has[] = { m->fill_left, m->fill_right };
    const double values[] = { m->fill_left_value, m->fill_right_value };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        jw_key(w, keys[i]);
        if (has[i])
            jw_f64(w, values[i]);
        else
            jw_null(w);
    }
    jw_object_end(w);
    jw_object_end(w);
}

static void write_function(struct json_writer *w, const struct promql_function *fn)
{
    jw_key(w, STR("func"));
    jw_object(w);
    jw_kv(w, STR("name"), str_c(fn->name));
    jw_key(w, STR("argTypes"));
    jw_array(w);
    for (size_t i = 0; i < fn->args_count; i++)
        jw_str(w, promql_type_text(fn->args[i]));
    jw_array_end(w);
    jw_key(w, STR("variadic"));
    jw_i64(w, fn->variadic);
    jw_kv(w, STR("returnType"), promql_type_text(fn->returns));
    jw_object_end(w);
}

static void write_child(struct json_writer *w, struct str key, const struct promql_node *n)
{
    jw_key(w, key);
    if (n)
        promql_print_json(w, n);
    else
        jw_null(w);
}

void promql_print_json(struct json_writer *w, const struct promql_node *n)
{
    jw_object(w);
    switch (n->kind) {
    case NODE_NUMBER:
        jw_kv(w, STR("type"), STR("numberLiteral"));
        write_number(w, STR("val"), n->u.number.value);
        break;
    case NODE_STRING:
        jw_kv(w, STR("type"), STR("stringLiteral"));
        jw_kv(w, STR("val"), n->u.string.value);
        break;
    case NODE_SELECTOR:
        jw_kv(w, STR("type"), STR("vectorSelector"));
        jw_kv(w, STR("name"), n->u.selector.name);
        write_place(w, &n->u.selector.place);
        write_matchers(w, &n->u.selector.matchers);
        break;
    case NODE_MATRIX:
        jw_kv(w, STR("type"), STR("matrixSelector"));
        jw_kv(w, STR("name"), n->u.matrix.selector->u.selector.name);
        jw_key(w, STR("range"));
        jw_i64(w, n->u.matrix.range.ms);
        write_place(w, &n->u.matrix.selector->u.selector.place);
        write_matchers(w, &n->u.matrix.selector->u.selector.matchers);
        break;
    case NODE_SUBQUERY:
        jw_kv(w, STR("type"), STR("subquery"));
        write_child(w, STR("expr"), n->u.subquery.expr);
        jw_key(w, STR("range"));
        jw_i64(w, n->u.subquery.range.ms);
        jw_key(w, STR("step"));
        jw_i64(w, n->u.subquery.step.ms);
        write_place(w, &n->u.subquery.place);
        break;
    case NODE_PAREN:
        jw_kv(w, STR("type"), STR("parenExpr"));
        write_child(w, STR("expr"), n->u.paren.expr);
        break;
    case NODE_UNARY:
        jw_kv(w, STR("type"), STR("unaryExpr"));
        jw_kv(w, STR("op"), n->u.unary.minus ? STR("-") : STR("+"));
        write_child(w, STR("expr"), n->u.unary.expr);
        break;
    case NODE_BINARY:
        jw_kv(w, STR("type"), STR("binaryExpr"));
        jw_kv(w, STR("op"), promql_op_text(n->u.binary.op));
        write_child(w, STR("lhs"), n->u.binary.l);
        write_child(w, STR("rhs"), n->u.binary.r);
        write_matching(w, n);
        jw_key(w, STR("bool"));
        jw_bool(w, n->u.binary.return_bool);
        break;
    case NODE_CALL:
        jw_kv(w, STR("type"), STR("call"));
        write_function(w, n->u.call.fn);
        jw_key(w, STR("args"));
        jw_array(w);
        for (size_t i = 0; i < n->u.call.args_count; i++)
            promql_print_json(w, n->u.call.args[i]);
        jw_array_end(w);
        break;
    case NODE_AGGREGATE:
        jw_kv(w, STR("type"), STR("aggregation"));
        jw_kv(w, STR("op"), promql_aggregation_text(n->u.aggregate.op));
        write_child(w, STR("expr"), n->u.aggregate.expr);
        write_child(w, STR("param"), n->u.aggregate.param);
        write_labels(w, STR("grouping"), &n->u.aggregate.grouping);
        jw_key(w, STR("without"));
        jw_bool(w, n->u.aggregate.without);
        break;
    case NODE_DURATION: jw_kv(w, STR("type"), STR("durationExpr")); break;
    }
    jw_object_end(w);
}
