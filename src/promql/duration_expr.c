/* Durations as the language has them: literals, numbers of seconds, and expressions over both with step(), range(),
 * min_of() and max_of(). Literals are folded while parsing; what needs the query's step or range stays a tree that the
 * planner evaluates once. */
#include "promql/parse_int.h"

#include "model/duration.h"

#include <math.h>

bool parse_duration_text(struct str text, int64_t *ms, struct err *err)
{
    return duration_parse(text, ms, err);
}

bool duration_from_seconds(double s, int64_t *ms)
{
    if (!(fabs(s) < 9223372036.854775))
        return false;
    *ms = (int64_t)(round(s * 1e9) / 1e6);
    return true;
}

static struct promql_node *parse_dur(struct parser *p, int min_level);

static struct promql_node *dur_node(struct parser *p, enum promql_duration_op what, uint32_t start)
{
    struct promql_node *n = parse_node(p, NODE_DURATION, PROMQL_SCALAR, start);
    if (n)
        n->u.duration.what = what;
    return n;
}
static struct promql_node *dur_close(struct parser *p, struct promql_node *n)
{
    n->end = p->tokens.v[p->at - 1].end;
    return n;
}

static struct promql_node *dur_literal(struct parser *p)
{
    const struct token *t = parse_next(p);
    struct promql_node *n = parse_node(p, NODE_NUMBER, PROMQL_SCALAR, t->start);
    if (!n)
        return NULL;
    if (t->kind == T_DURATION) {
        struct err err = { 0 };
        int64_t ms;
        if (!parse_duration_text(t->text, &ms, &err)) {
            parse_fail(p, t->start, "%s", err.text);
            return NULL;
        }
        n->u.number.value = (double)ms / 1000;
        n->u.number.is_duration = true;
    } else if (!parse_number_text(t->text, &n->u.number.value)) {
        parse_fail(p, t->start, "error parsing number: \"%.*s\"", STR_ARG(t->text));
        return NULL;
    }
    return dur_close(p, n);
}

/* step(), range(), min_of(a, b), max_of(a, b) */
static struct promql_node *dur_call(struct parser *p)
{
    const struct token *t = parse_next(p);
    bool two = t->kind == T_MIN_OF || t->kind == T_MAX_OF;
    struct promql_node *n = dur_node(p, t->kind == T_STEP ? DUR_STEP : t->kind == T_RANGE ? DUR_RANGE
                                     : t->kind == T_MIN_OF ? DUR_MIN : DUR_MAX, t->start);
    if (!n)
        return NULL;
    bool ok = parse_peek(p)->kind == T_LPAREN;
    if (ok)
        parse_next(p);
    if (ok && two) {
        n->u.duration.l = parse_dur(p, 0);
        ok = n->u.duration.l && parse_peek(p)->kind == T_COMMA;
        if (ok) {
            parse_next(p);
            n->u.duration.r = parse_dur(p, 0);
            ok = n->u.duration.r != NULL;
        }
    }
    if (!ok || parse_peek(p)->kind != T_RPAREN) {
        parse_unexpected(p, "duration expression", NULL);
        return NULL;
    }
    parse_next(p);
    return dur_close(p, n);
}

static bool starts_call(enum token_kind k)
{
    return k == T_STEP || k == T_RANGE || k == T_MIN_OF || k == T_MAX_OF;
}

static struct promql_node *dur_paren(struct parser *p)
{
    const struct token *t = parse_next(p);
    struct promql_node *n = dur_node(p, DUR_PAREN, t->start);
    if (!n || !(n->u.duration.l = parse_dur(p, 0)))
        return NULL;
    if (parse_peek(p)->kind != T_RPAREN) {
        parse_unexpected(p, "duration expression", "\")\"");
        return NULL;
    }
    parse_next(p);
    return dur_close(p, n);
}

static struct promql_node *dur_signed(struct parser *p, const struct token *sign, struct promql_node *inner)
{
    if (!inner)
        return NULL;
    if (inner->kind == NODE_NUMBER) {
        if (sign->kind == T_SUB)
            inner->u.number.value = -inner->u.number.value;
        inner->start = sign->start;
        return inner;
    }
    struct promql_node *n = dur_node(p, sign->kind == T_SUB ? DUR_NEG : DUR_POS, sign->start);
    if (!n)
        return NULL;
    n->u.duration.l = inner;
    return dur_close(p, n);
}

static struct promql_node *dur_primary(struct parser *p)
{
    const struct token *t = parse_peek(p);
    if (++p->depth > PROMQL_DEPTH_MAX) {
        parse_fail(p, t->start, "expression is nested too deeply, more than %d levels", PROMQL_DEPTH_MAX);
        return NULL;
    }
    struct promql_node *n = NULL;
    if (t->kind == T_ADD || t->kind == T_SUB) {
        parse_next(p);
        n = dur_signed(p, t, parse_dur(p, 6));
    } else if (t->kind == T_NUMBER || t->kind == T_DURATION) {
        n = dur_literal(p);
    } else if (starts_call(t->kind)) {
        n = dur_call(p);
    } else if (t->kind == T_LPAREN) {
        n = dur_paren(p);
    } else {
        parse_unexpected(p, "subquery or range selector", "number, duration, step(), or range()");
    }
    p->depth--;
    return n;
}

static int dur_level(enum token_kind k, enum promql_op *op)
{
    static const struct {
        enum token_kind token;
        enum promql_op op;
        int level;
    } rows[] = { { T_ADD, OP_ADD, 4 }, { T_SUB, OP_SUB, 4 }, { T_MUL, OP_MUL, 5 },
                 { T_DIV, OP_DIV, 5 }, { T_MOD, OP_MOD, 5 }, { T_POW, OP_POW, 6 } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].token == k) {
            *op = rows[i].op;
            return rows[i].level;
        }
    }
    return -1;
}

static struct promql_node *dur_operations(struct parser *p, struct promql_node *n, int min_level)
{
    while (n) {
        enum promql_op op = OP_ADD;
        int level = dur_level(parse_peek(p)->kind, &op);
        if (level < 0 || level < min_level)
            break;
        parse_next(p);
        struct promql_node *r = parse_dur(p, op == OP_POW ? level : level + 1);
        struct promql_node *out = r ? dur_node(p, DUR_OP, n->start) : NULL;
        if (!out)
            return NULL;
        if (r->kind == NODE_NUMBER && r->u.number.value == 0 && (op == OP_DIV || op == OP_MOD)) {
            parse_fail(p, r->start, op == OP_DIV ? "division by zero" : "modulo by zero");
            return NULL;
        }
        out->u.duration.op = op;
        out->u.duration.l = n;
        out->u.duration.r = r;
        out->depth = (n->depth > r->depth ? n->depth : r->depth) + 1;
        if (out->depth > PROMQL_DEPTH_MAX) {
            parse_fail(p, out->start, "expression is nested too deeply, more than %d levels", PROMQL_DEPTH_MAX);
            return NULL;
        }
        n = dur_close(p, out);
    }
    return n;
}

static struct promql_node *parse_dur(struct parser *p, int min_level)
{
    return dur_operations(p, dur_primary(p), min_level);
}

/* After `offset`: a literal, a call, each with one sign; a sign and a parenthesis; or an unsigned parenthesis, which goes
 * on as an expression (upstream's grammar; spec 2.4). */
static struct promql_node *parse_odur(struct parser *p)
{
    const struct token *t = parse_peek(p);
    bool sign = t->kind == T_ADD || t->kind == T_SUB;
    if (sign)
        parse_next(p);
    enum token_kind k = parse_peek(p)->kind;
    struct promql_node *n = NULL;
    if (k == T_NUMBER || k == T_DURATION)
        n = dur_literal(p);
    else if (starts_call(k))
        n = dur_call(p);
    else if (k == T_LPAREN)
        n = sign ? dur_paren(p) : parse_dur(p, 0);
    else if (sign && (k == T_ADD || k == T_SUB))
        return dur_operations(p, dur_signed(p, t, dur_primary(p)), 0);
    else
        parse_unexpected(p, "offset", "number, duration, step(), or range()");
    return n && sign ? dur_signed(p, t, n) : n;
}

bool parse_duration(struct parser *p, bool offset, struct promql_duration *out)
{
    struct promql_node *n = offset ? parse_odur(p) : parse_dur(p, 0);
    if (!n)
        return false;
    *out = (struct promql_duration){ 0 };
    if (n->kind != NODE_NUMBER) {
        out->expr = n;
        return true;
    }
    return duration_from_seconds(n->u.number.value, &out->ms) || parse_fail(p, n->start, "duration out of range");
}
