/* The parser: precedence climbing over the tokens. One function per grammar rule, one table of binary operators. The first
 * error ends it. Depth and number of nodes are bounded, so that neither the parser nor what walks the tree later can be
 * driven out of its stack.
 *
 * P1  A node's depth is one more than its deepest child's and at most PROMQL_DEPTH_MAX. */
#include "promql/parse_int.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "promql/functions_int.h"

#include <math.h>

static struct promql_node *parse_expr(struct parser *p, int min_level);

/* ---- errors ---- */

void parse_error_at(struct err *err, struct str text, uint32_t at, struct str message)
{
    uint32_t line = 1, column = 1;
    for (uint32_t i = 0; i < at && i < text.n; i++) {
        column++;
        if (text.p[i] == '\n') {
            line++;
            column = 1;
        }
    }
    err_set_at(err, ERR_INVALID, line, column, "%u:%u: parse error: %.*s", line, column, STR_ARG(message));
}

bool parse_fail(struct parser *p, uint32_t at, const char *fmt, ...)
{
    if (p->failed)
        return false;
    p->failed = true;
    va_list ap;
    va_start(ap, fmt);
    struct str message = arena_vprintf(p->a, fmt, ap);
    va_end(ap);
    parse_error_at(p->err, p->e->text, at, message);
    return false;
}

bool parse_unexpected(struct parser *p, const char *context, const char *expected)
{
    const struct token *t = parse_peek(p);
    if (t->kind == T_ERROR)
        return parse_fail(p, t->start, "%.*s", STR_ARG(t->text));
    return parse_fail(p, t->start, "unexpected %.*s%s%s%s%s", STR_ARG(promql_token_desc(p->a, t)), context ? " in " : "",
                      context ? context : "", expected ? ", expected " : "", expected ? expected : "");
}

/* ---- nodes ---- */

struct promql_node *parse_node(struct parser *p, enum promql_kind kind, enum promql_type type, uint32_t start)
{
    if (++p->nodes > PROMQL_NODES_MAX) {
        parse_fail(p, start, "expression has too many parts, more than %d", PROMQL_NODES_MAX);
        return NULL;
    }
    struct promql_node *n = ARENA_NEW(p->a, struct promql_node);
    n->kind = kind;
    n->type = type;
    n->start = start;
    n->depth = 1;
    return n;
}
static uint32_t last_end(const struct parser *p)
{
    return p->at > 0 ? p->tokens.v[p->at - 1].end : 0;
}
/* Closes a node over its child: depth, and the end of the text read so far. */
static struct promql_node *close_node(struct parser *p, struct promql_node *n, const struct promql_node *child)
{
    n->end = last_end(p);
    if (p->tokens.v[p->at].kind == T_EOF && n->end == 0)
        n->end = p->tokens.v[p->at].start;
    if (child && child->depth >= n->depth)
        n->depth = child->depth + 1;
    if (n->depth > PROMQL_DEPTH_MAX) {
        parse_fail(p, n->start, "expression is nested too deeply, more than %d levels", PROMQL_DEPTH_MAX);
        return NULL;
    }
    return n;
}
static bool take(struct parser *p, enum token_kind kind)
{
    if (parse_peek(p)->kind != kind)
        return false;
    parse_next(p);
    return true;
}

/* ---- numbers ---- */

bool parse_number_text(struct str text, double *v)
{
    int64_t i;
    if (num_parse_i64(text, 0, &i)) {
        *v = (double)i;
        return true;
    }
    struct buf plain = { 0 };
    for (size_t k = 0; k < text.n; k++)
        if (text.p[k] != '_')
            buf_byte(&plain, text.p[k]);
    bool range = false;
    bool ok = num_parse_f64(buf_view(&plain), v, &range) && !range;
    buf_deinit(&plain);
    return ok;
}

static struct promql_node *parse_number(struct parser *p)
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
        parse_fail(p, t->start, "error parsing number: strconv.ParseFloat: parsing \"%.*s\": %s", STR_ARG(t->text),
                   isinf(n->u.number.value) ? "value out of range" : "invalid syntax");
        return NULL;
    }
    return close_node(p, n, NULL);
}

/* ---- labels and selectors ---- */

struct list {
    struct str *v;
    size_t n, capacity;
};
static void list_add(struct parser *p, struct list *l, struct str s)
{
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 4;
        struct str *v = arena_alloc_array(p->a, capacity, sizeof *v);
        if (l->n)
            memcpy(v, l->v, l->n * sizeof *v);
        l->v = v;
        l->capacity = capacity;
    }
    l->v[l->n++] = s;
}

static bool unquote(struct parser *p, const struct token *t, struct str *out)
{
    struct err err = { 0 };
    if (promql_unquote(p->a, t->text, out, &err))
        return true;
    return parse_fail(p, t->start, "%s", err.text);
}

static bool parse_grouping(struct parser *p, struct str_list *out)
{
    struct list l = { .v = ARENA_NEW(p->a, struct str) };
    if (!take(p, T_LPAREN))
        return parse_unexpected(p, "grouping opts", "\"(\"");
    while (!take(p, T_RPAREN)) {
        const struct token *t = parse_peek(p);
        struct str name = t->text;
        if (t->kind == T_STRING) {
            if (!unquote(p, t, &name))
                return false;
            if (!label_name_is_utf8(name))
                return parse_fail(p, t->start, "invalid label name for grouping: \"%.*s\"", STR_ARG(name));
        } else if (t->kind == T_METRIC_IDENTIFIER) {
            return parse_fail(p, t->start, "invalid label name for grouping: \"%.*s\"", STR_ARG(name));
        } else if (t->kind != T_IDENTIFIER && (!token_is_keyword(t->kind) || t->kind == T_WITHOUT)) {
            return parse_unexpected(p, "grouping opts", "label");
        }
        parse_next(p);
        list_add(p, &l, name);
        if (!take(p, T_COMMA) && parse_peek(p)->kind != T_RPAREN)
            return parse_unexpected(p, "grouping opts", "\",\" or \")\"");
    }
    *out = (struct str_list){ l.v, l.n };
    return true;
}

struct matcher_list {
    struct matcher *v;
    size_t n, capacity;
};
static void matcher_add(struct parser *p, struct matcher_list *l, struct matcher m)
{
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 4;
        struct matcher *v = arena_alloc_array(p->a, capacity, sizeof *v);
        if (l->n)
            memcpy(v, l->v, l->n * sizeof *v);
        l->v = v;
        l->capacity = capacity;
    }
    l->v[l->n++] = m;
}

static bool compile(struct parser *p, struct matcher *m, uint32_t at)
{
    if (m->op != MATCH_RE && m->op != MATCH_NRE)
        return true;
    struct err err = { 0 };
    m->re = regex_compile(m->value, REGEX_ANCHORED | REGEX_DOTALL, &err);
    if (!m->re)
        return parse_fail(p, at, "%s", err.text);
    struct promql_expr *e = p->e;
    if (e->regexes_count == e->regexes_capacity) {
        e->regexes_capacity = mem_grow(e->regexes_capacity, e->regexes_count + 1);
        e->regexes = mem_realloc_array(e->regexes, e->regexes_capacity, sizeof(struct regex *));
    }
    e->regexes[e->regexes_count++] = m->re;
    return true;
}

static bool parse_matcher(struct parser *p, struct matcher_list *l)
{
    const struct token *t = parse_peek(p);
    struct matcher m = { .op = MATCH_EQ, .name = t->text };
    if (t->kind != T_IDENTIFIER && t->kind != T_STRING)
        return parse_unexpected(p, "label matching", "identifier or \"}\"");
    uint32_t at = t->start;
    if (t->kind == T_STRING && !unquote(p, t, &m.name))
        return false;
    bool quoted = t->kind == T_STRING;
    parse_next(p);
    enum token_kind op = parse_peek(p)->kind;
    if (quoted && (op == T_COMMA || op == T_RBRACE)) {
        m.value = m.name;
        m.name = STR("__name__");
        matcher_add(p, l, m);
        return true;
    }
    static const struct {
        enum token_kind token;
        enum match_op op;
    } ops[] = { { T_ASSIGN, MATCH_EQ }, { T_NEQ, MATCH_NE }, { T_EQL_REGEX, MATCH_RE }, { T_NEQ_REGEX, MATCH_NRE } };
    size_t k = 0;
    while (k < ARRAY_LEN(ops) && ops[k].token != op)
        k++;
    if (k == ARRAY_LEN(ops))
        return parse_unexpected(p, "label matching", quoted ? "\",\" or \"}\"" : "label matching operator");
    m.op = ops[k].op;
    parse_next(p);
    t = parse_peek(p);
    if (t->kind != T_STRING)
        return parse_unexpected(p, "label matching", "string");
    if (!unquote(p, t, &m.value) || !compile(p, &m, at))
        return false;
    parse_next(p);
    matcher_add(p, l, m);
    return true;
}

/* After the name, if any. */
static bool parse_braces(struct parser *p, struct matcher_list *l)
{
    if (!take(p, T_LBRACE))
        return true;
    while (!take(p, T_RBRACE)) {
        if (!parse_matcher(p, l))
            return false;
        if (!take(p, T_COMMA) && parse_peek(p)->kind != T_RBRACE)
            return parse_unexpected(p, "label matching", "\",\" or \"}\"");
    }
    return true;
}

static struct promql_node *parse_selector(struct parser *p, const struct token *name)
{
    const struct token *first = name ? name : parse_peek(p);
    struct promql_node *n = parse_node(p, NODE_SELECTOR, PROMQL_VECTOR, first->start);
    struct matcher_list l = { 0 };
    if (!n || !parse_braces(p, &l))
        return NULL;
    if (name) {
        n->u.selector.name = name->text;
        for (size_t i = 0; i < l.n; i++) {
            if (str_eq(l.v[i].name, STR("__name__"))) {
                parse_fail(p, n->start, "metric name must not be set twice: \"%.*s\" or \"%.*s\"", STR_ARG(name->text),
                           STR_ARG(l.v[i].value));
                return NULL;
            }
        }
        matcher_add(p, &l, (struct matcher){ .op = MATCH_EQ, .name = STR("__name__"), .value = name->text });
    }
    n->u.selector.matchers = (struct matchers){ l.v, l.n };
    return close_node(p, n, NULL);
}

/* ---- calls and aggregations ---- */

#define ARGS_MAX 1024
struct args {
    struct promql_node **v;
    size_t n;
    uint32_t depth;
};
static bool parse_args(struct parser *p, struct args *out)
{
    struct promql_node *v[ARGS_MAX];
    out->n = 0;
    out->depth = 0;
    if (!take(p, T_LPAREN))
        return parse_unexpected(p, NULL, NULL);
    if (!take(p, T_RPAREN)) {
        for (;;) {
            if (out->n == ARGS_MAX)
                return parse_fail(p, parse_peek(p)->start, "more than %d arguments", ARGS_MAX);
            struct promql_node *arg = parse_expr(p, 0);
            if (!arg)
                return false;
            v[out->n++] = arg;
            if (arg->depth > out->depth)
                out->depth = arg->depth;
            if (take(p, T_RPAREN))
                break;
            if (parse_peek(p)->kind != T_COMMA)
                return parse_unexpected(p, NULL, NULL);
            const struct token *comma = parse_next(p);
            if (parse_peek(p)->kind == T_RPAREN)
                return parse_fail(p, comma->start, "trailing commas not allowed in function call args");
        }
    }
    out->v = arena_alloc_array(p->a, out->n + 1, sizeof(struct promql_node *));
    if (out->n)
        memcpy(out->v, v, out->n * sizeof(struct promql_node *));
    return true;
}

static struct promql_node *parse_call(struct parser *p, const struct token *name)
{
    struct args args;
    struct promql_node *n = parse_node(p, NODE_CALL, PROMQL_NONE, name->start);
    if (!n || !parse_args(p, &args))
        return NULL;
    const struct promql_function *fn = promql_function_find(name->text);
    if (!fn) {
        struct str word = name->text;
        parse_fail(p, name->start, "unknown function with name \"%.*s\"", STR_ARG(word));
        return NULL;
    }
    if (fn->experimental && !(p->e->features & PROMQL_EXPERIMENTAL_FUNCTIONS)) {
        parse_fail(p, name->start, "function \"%s\" is not enabled", fn->name);
        return NULL;
    }
    n->type = fn->returns;
    n->u.call.fn = fn;
    n->u.call.args = args.v;
    n->u.call.args_count = args.n;
    n->depth = args.depth + 1;
    return close_node(p, n, NULL);
}

static bool aggregation_takes_param(enum promql_aggregation op)
{
    return op == AGG_TOPK || op == AGG_BOTTOMK || op == AGG_COUNT_VALUES || op == AGG_QUANTILE || op == AGG_LIMITK ||
           op == AGG_LIMIT_RATIO;
}

static struct promql_node *parse_aggregation(struct parser *p, const struct token *name)
{
    struct promql_node *n = parse_node(p, NODE_AGGREGATE, PROMQL_VECTOR, name->start);
    if (!n)
        return NULL;
    bool grouped = false;
    enum token_kind k = parse_peek(p)->kind;
    if (k == T_BY || k == T_WITHOUT) {
        parse_next(p);
        grouped = true;
        n->u.aggregate.without = k == T_WITHOUT;
        if (!parse_grouping(p, &n->u.aggregate.grouping))
            return NULL;
    }
    struct args args;
    if (parse_peek(p)->kind != T_LPAREN) {
        parse_unexpected(p, "aggregation", NULL);
        return NULL;
    }
    if (!parse_args(p, &args))
        return NULL;
    k = parse_peek(p)->kind;
    if (!grouped && (k == T_BY || k == T_WITHOUT)) {
        parse_next(p);
        n->u.aggregate.without = k == T_WITHOUT;
        if (!parse_grouping(p, &n->u.aggregate.grouping))
            return NULL;
    }
    n->u.aggregate.op = (enum promql_aggregation)((int)name->kind - (int)T_SUM);
    n->depth = args.depth + 1;
    n->end = last_end(p);
    if (args.n == 0) {
        parse_fail(p, n->start, "no arguments for aggregate expression provided");
        return NULL;
    }
    size_t want = aggregation_takes_param(n->u.aggregate.op) ? 2 : 1;
    if ((n->u.aggregate.op == AGG_LIMITK || n->u.aggregate.op == AGG_LIMIT_RATIO) &&
        !(p->e->features & PROMQL_EXPERIMENTAL_FUNCTIONS)) {
        parse_fail(p, n->start,
                   "%.*s() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                   STR_ARG(promql_aggregation_text(n->u.aggregate.op)));
        return NULL;
    }
    if (args.n != want) {
        parse_fail(p, n->start, "wrong number of arguments for aggregate expression provided, expected %zu, got %zu", want,
                   args.n);
        return NULL;
    }
    n->u.aggregate.expr = args.v[args.n - 1];
    n->u.aggregate.param = want == 2 ? args.v[0] : NULL;
    return close_node(p, n, NULL);
}

/* ---- what follows an expression ---- */

/* The place of n if it may have one. */
static struct promql_place *place_of(struct promql_node *n)
{
    if (n->kind == NODE_SELECTOR)
        return &n->u.selector.place;
    if (n->kind == NODE_MATRIX)
        return &n->u.matrix.selector->u.selector.place;
    return n->kind == NODE_SUBQUERY ? &n->u.subquery.place : NULL;
}

static bool offset_is_set(const struct promql_place *place)
{
    return place->offset.ms != 0 || place->offset.expr != NULL;
}

static bool parse_offset(struct parser *p, struct promql_node *n)
{
    parse_next(p);
    struct promql_duration d = { 0 };
    if (!parse_duration(p, true, &d))
        return false;
    struct promql_place *place = place_of(n);
    if (!place)
        return parse_fail(p, n->start,
                          "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery");
    if (offset_is_set(place))
        return parse_fail(p, n->start, "offset may not be set multiple times");
    place->offset = d;
    n->end = last_end(p);
    return true;
}

static bool parse_at(struct parser *p, struct promql_node *n)
{
    parse_next(p);
    enum promql_at at = AT_TIME;
    double sign = 1, v = 0;
    const struct token *t = parse_peek(p);
    if (t->kind == T_START || t->kind == T_END) {
        at = t->kind == T_START ? AT_START : AT_END;
        parse_next(p);
        if (!take(p, T_LPAREN) || !take(p, T_RPAREN))
            return parse_unexpected(p, "@", "timestamp");
    } else {
        if (t->kind == T_ADD || t->kind == T_SUB) {
            sign = t->kind == T_SUB ? -1 : 1;
            parse_next(p);
        }
        t = parse_peek(p);
        if (t->kind != T_NUMBER && t->kind != T_DURATION)
            return parse_unexpected(p, "@", "timestamp");
        struct promql_node *number = parse_number(p);
        if (!number)
            return false;
        v = sign * number->u.number.value;
        if (!(fabs(v) < 9.2233720368547758e15))
            return parse_fail(p, n->start, "timestamp out of bounds for @ modifier: %f", v);
    }
    struct promql_place *place = place_of(n);
    if (!place)
        return parse_fail(p, n->start,
                          "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery");
    if (place->at != AT_NONE)
        return parse_fail(p, n->start, "@ <timestamp> may not be set multiple times");
    place->at = at;
    place->at_ms = at == AT_TIME ? (int64_t)llround(v * 1000) : 0;
    n->end = last_end(p);
    return true;
}

static bool parse_extended(struct parser *p, struct promql_node *n)
{
    bool anchored = parse_next(p)->kind == T_ANCHORED;
    const char *word = anchored ? "anchored" : "smoothed";
    if (!(p->e->features & PROMQL_EXTENDED_RANGES))
        return parse_fail(p, n->start, "%s modifier is experimental and not enabled", word);
    struct promql_place *place = place_of(n);
    if (!place || n->kind == NODE_SUBQUERY)
        return parse_fail(p, n->start, n->kind == NODE_SUBQUERY ? "%s modifier is not supported for subqueries"
                                                               : "%s modifier not implemented", word);
    if ((anchored && place->smoothed) || (!anchored && place->anchored))
        return parse_fail(p, n->start, "anchored and smoothed modifiers cannot be used together");
    *(anchored ? &place->anchored : &place->smoothed) = true;
    n->end = last_end(p);
    return true;
}

static bool positive(struct parser *p, const struct promql_duration *d, uint32_t at)
{
    return d->expr || d->ms > 0 || parse_fail(p, at, "duration must be greater than 0");
}

static struct promql_node *parse_range(struct parser *p, struct promql_node *n)
{
    uint32_t bracket = parse_next(p)->start;
    struct promql_duration range = { 0 }, step = { 0 };
    uint32_t at = parse_peek(p)->start;
    bool subquery = false, has_step = false;
    if (!parse_duration(p, false, &range) || !positive(p, &range, at))
        return NULL;
    if (take(p, T_COLON)) {
        subquery = true;
        at = parse_peek(p)->start;
        if (parse_peek(p)->kind != T_RBRACKET) {
            has_step = true;
            if (!parse_duration(p, false, &step) || !positive(p, &step, at))
                return NULL;
        }
    }
    if (!take(p, T_RBRACKET)) {
        parse_unexpected(p, subquery ? "subquery selector" : "subquery or range", subquery ? "\"]\"" : "\":\" or \"]\"");
        return NULL;
    }
    struct promql_node *out = parse_node(p, subquery ? NODE_SUBQUERY : NODE_MATRIX, PROMQL_MATRIX, n->start);
    if (!out)
        return NULL;
    if (subquery) {
        out->u.subquery.expr = n;
        out->u.subquery.range = range;
        out->u.subquery.step = step;
        out->u.subquery.has_step = has_step;
        return close_node(p, out, n);
    }
    if (n->kind != NODE_SELECTOR) {
        parse_fail(p, bracket, "ranges only allowed for vector selectors");
        return NULL;
    }
    if (offset_is_set(&n->u.selector.place)) {
        parse_fail(p, bracket, "no offset modifiers allowed before range");
        return NULL;
    }
    if (n->u.selector.place.at != AT_NONE) {
        parse_fail(p, bracket, "no @ modifiers allowed before range");
        return NULL;
    }
    out->u.matrix.selector = n;
    out->u.matrix.range = range;
    return close_node(p, out, n);
}

static struct promql_node *parse_postfix(struct parser *p, struct promql_node *n)
{
    while (n) {
        enum token_kind k = parse_peek(p)->kind;
        if (k == T_LBRACKET)
            n = parse_range(p, n);
        else if (k == T_OFFSET)
            n = parse_offset(p, n) ? n : NULL;
        else if (k == T_AT)
            n = parse_at(p, n) ? n : NULL;
        else if (k == T_ANCHORED || k == T_SMOOTHED)
            n = parse_extended(p, n) ? n : NULL;
        else
            return n;
    }
    return NULL;
}

/* ---- expressions ---- */

static bool usable_as_metric(enum token_kind k)
{
    return k == T_IDENTIFIER || k == T_METRIC_IDENTIFIER ||
           (token_is_keyword(k) && k != T_BOOL && k != T_ON && k != T_IGNORING && k != T_GROUP_LEFT && k != T_GROUP_RIGHT &&
            k != T_ATAN2);
}

static struct promql_node *parse_name(struct parser *p)
{
    const struct token *t = parse_next(p);
    enum token_kind next = parse_peek(p)->kind;
    if (t->kind >= T_SUM && t->kind <= T_LIMIT_RATIO && (next == T_LPAREN || next == T_BY || next == T_WITHOUT))
        return parse_aggregation(p, t);
    if (next == T_LPAREN && (t->kind == T_IDENTIFIER || (t->kind >= T_START && t->kind <= T_MIN_OF)))
        return parse_call(p, t);
    return parse_selector(p, t);
}

static struct promql_node *parse_paren(struct parser *p)
{
    const struct token *open = parse_next(p);
    struct promql_node *n = parse_node(p, NODE_PAREN, PROMQL_NONE, open->start);
    struct promql_node *inner = n ? parse_expr(p, 0) : NULL;
    if (!inner)
        return NULL;
    if (!take(p, T_RPAREN)) {
        parse_unexpected(p, NULL, NULL);
        return NULL;
    }
    n->type = inner->type;
    n->u.paren.expr = inner;
    return close_node(p, n, inner);
}

#define UNARY_LEVEL 5

static struct promql_node *parse_unary(struct parser *p)
{
    const struct token *sign = parse_next(p);
    bool minus = sign->kind == T_SUB;
    struct promql_node *inner = parse_expr(p, UNARY_LEVEL + 1);
    if (!inner)
        return NULL;
    if (inner->kind == NODE_NUMBER) {
        if (minus)
            inner->u.number.value = -inner->u.number.value;
        inner->start = sign->start;
        return inner;
    }
    struct promql_node *n = parse_node(p, NODE_UNARY, inner->type, sign->start);
    if (!n)
        return NULL;
    n->u.unary.minus = minus;
    n->u.unary.expr = inner;
    return close_node(p, n, inner);
}

static struct promql_node *parse_string(struct parser *p)
{
    const struct token *t = parse_next(p);
    struct promql_node *n = parse_node(p, NODE_STRING, PROMQL_STRING, t->start);
    if (!n || !unquote(p, t, &n->u.string.value))
        return NULL;
    return close_node(p, n, NULL);
}

static struct promql_node *parse_primary(struct parser *p)
{
    const struct token *t = parse_peek(p);
    struct promql_node *n = NULL;
    if (t->kind == T_ADD || t->kind == T_SUB)
        n = parse_unary(p);
    else if (t->kind == T_LPAREN)
        n = parse_postfix(p, parse_paren(p));
    else if (t->kind == T_NUMBER || t->kind == T_DURATION)
        n = parse_postfix(p, parse_number(p));
    else if (t->kind == T_STRING)
        n = parse_postfix(p, parse_string(p));
    else if (t->kind == T_LBRACE)
        n = parse_postfix(p, parse_selector(p, NULL));
    else if (usable_as_metric(t->kind))
        n = parse_postfix(p, parse_name(p));
    else
        parse_unexpected(p, NULL, NULL);
    return n;
}

struct binary_row {
    enum token_kind token;
    enum promql_op op;
    int level;
    bool right;
};
static const struct binary_row binary_rows[] = {
    { T_OR, OP_OR, 1, false },   { T_AND, OP_AND, 2, false }, { T_UNLESS, OP_UNLESS, 2, false },
    { T_EQLC, OP_EQ, 3, false }, { T_NEQ, OP_NE, 3, false },  { T_GTR, OP_GT, 3, false },
    { T_LSS, OP_LT, 3, false },  { T_GTE, OP_GE, 3, false },  { T_LTE, OP_LE, 3, false },
    { T_TRIM_UPPER, OP_TRIM_UPPER, 3, false },                { T_TRIM_LOWER, OP_TRIM_LOWER, 3, false },
    { T_ADD, OP_ADD, 4, false }, { T_SUB, OP_SUB, 4, false }, { T_MUL, OP_MUL, 5, false },
    { T_DIV, OP_DIV, 5, false }, { T_MOD, OP_MOD, 5, false }, { T_ATAN2, OP_ATAN2, 5, false },
    { T_POW, OP_POW, 6, true },
};
static const struct binary_row *binary_row(enum token_kind k)
{
    for (size_t i = 0; i < ARRAY_LEN(binary_rows); i++)
        if (binary_rows[i].token == k)
            return &binary_rows[i];
    return NULL;
}

/* fill(v): a signed number or duration. */
static bool parse_fill(struct parser *p, double *v)
{
    parse_next(p);
    if (!take(p, T_LPAREN))
        return parse_unexpected(p, "fill value", "\"(\"");
    enum token_kind k = parse_peek(p)->kind;
    double sign = k == T_SUB ? -1 : 1;
    if (k == T_ADD || k == T_SUB)
        parse_next(p);
    k = parse_peek(p)->kind;
    if (k != T_NUMBER && k != T_DURATION)
        return parse_unexpected(p, "fill value", "number");
    struct promql_node *n = parse_number(p);
    if (!n)
        return false;
    *v = sign * n->u.number.value;
    return take(p, T_RPAREN) || parse_unexpected(p, "fill value", "\")\"");
}

static bool parse_fills(struct parser *p, struct promql_matching *m)
{
    enum token_kind k = parse_peek(p)->kind;
    if (k != T_FILL && k != T_FILL_LEFT && k != T_FILL_RIGHT)
        return true;
    if (!(p->e->features & PROMQL_FILL_MODIFIERS))
        return parse_fail(p, parse_peek(p)->start, "binop fill modifiers are experimental and not enabled");
    if (k == T_FILL) {
        if (!parse_fill(p, &m->fill_left_value))
            return false;
        m->fill_right_value = m->fill_left_value;
        m->fill_left = m->fill_right = true;
        return true;
    }
    for (;;) {
        k = parse_peek(p)->kind;
        if (k == T_FILL_LEFT && !m->fill_left) {
            m->fill_left = true;
            if (!parse_fill(p, &m->fill_left_value))
                return false;
        } else if (k == T_FILL_RIGHT && !m->fill_right) {
            m->fill_right = true;
            if (!parse_fill(p, &m->fill_right_value))
                return false;
        } else {
            return true;
        }
    }
}

static bool parse_modifiers(struct parser *p, struct promql_node *n)
{
    struct promql_matching *m = &n->u.binary.matching;
    if (take(p, T_BOOL)) {
        n->u.binary.return_bool = true;
        if (!promql_op_is_comparison(n->u.binary.op))
            return parse_fail(p, n->u.binary.op_at, "bool modifier can only be used on comparison operators");
    }
    enum token_kind k = parse_peek(p)->kind;
    if (k == T_ON || k == T_IGNORING) {
        parse_next(p);
        n->u.binary.grouped = true;
        m->on = k == T_ON;
        if (!parse_grouping(p, &m->labels))
            return false;
        k = parse_peek(p)->kind;
        if (k == T_GROUP_LEFT || k == T_GROUP_RIGHT) {
            parse_next(p);
            m->card = k == T_GROUP_LEFT ? CARD_MANY_TO_ONE : CARD_ONE_TO_MANY;
            if (parse_peek(p)->kind == T_LPAREN && !parse_grouping(p, &m->include))
                return false;
        }
    }
    return parse_fills(p, m);
}

static struct promql_node *parse_binary(struct parser *p, struct promql_node *l, const struct binary_row *row)
{
    struct promql_node *n = parse_node(p, NODE_BINARY, PROMQL_NONE, l->start);
    const struct token *op = parse_next(p);
    if (!n)
        return NULL;
    n->u.binary.op = row->op;
    n->u.binary.op_at = op->start;
    n->u.binary.l = l;
    if (promql_op_is_set(row->op))
        n->u.binary.matching.card = CARD_MANY_TO_MANY;
    if (!parse_modifiers(p, n))
        return NULL;
    struct promql_node *r = parse_expr(p, row->right ? row->level : row->level + 1);
    if (!r)
        return NULL;
    n->u.binary.r = r;
    n->type = l->type == PROMQL_SCALAR && r->type == PROMQL_SCALAR ? PROMQL_SCALAR : PROMQL_VECTOR;
    return close_node(p, n, l) ? close_node(p, n, r) : NULL;
}

static struct promql_node *parse_expr(struct parser *p, int min_level)
{
    if (++p->depth > PROMQL_DEPTH_MAX) {
        parse_fail(p, parse_peek(p)->start, "expression is nested too deeply, more than %d levels", PROMQL_DEPTH_MAX);
        return NULL;
    }
    struct promql_node *n = parse_primary(p);
    while (n) {
        const struct binary_row *row = binary_row(parse_peek(p)->kind);
        if (!row || row->level < min_level)
            break;
        n = parse_binary(p, n, row);
    }
    p->depth--;
    return n;
}

/* ---- the face ---- */

static bool parse_begin(struct str text, unsigned features, struct parser *p, struct err *err)
{
    if (text.n > PROMQL_TEXT_MAX)
        return err_set(err, ERR_LIMIT, "query is too long: %zu bytes, at most %d", text.n, PROMQL_TEXT_MAX);
    struct promql_expr *e = MEM_NEW(struct promql_expr);
    arena_init(&e->arena, ARENA_NO_LIMIT);
    e->text = arena_str(&e->arena, text);
    e->features = features;
    *p = (struct parser){ .e = e, .a = &e->arena, .err = err };
    promql_lex(p->a, e->text, &p->tokens);
    return true;
}

struct promql_expr *promql_parse(struct str text, unsigned features, struct err *err)
{
    struct parser p;
    if (!parse_begin(text, features, &p, err))
        return NULL;
    if (parse_peek(&p)->kind == T_EOF)
        parse_fail(&p, 0, "no expression found in input");
    struct promql_node *n = p.failed ? NULL : parse_expr(&p, 0);
    if (n && parse_peek(&p)->kind != T_EOF)
        parse_unexpected(&p, NULL, NULL);
    if (n && !p.failed && parse_check(&p, n)) {
        p.e->root = n;
        return p.e;
    }
    ASSERT(p.failed);
    promql_expr_free(p.e);
    return NULL;
}

void promql_expr_free(struct promql_expr *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->regexes_count; i++)
        regex_release(e->regexes[i]);
    mem_free(e->regexes);
    arena_deinit(&e->arena);
    mem_free(e);
}

const struct promql_node *promql_root(const struct promql_expr *e)
{
    return e->root;
}
struct str promql_text(const struct promql_expr *e)
{
    return e->text;
}
enum promql_type promql_expr_type(const struct promql_expr *e)
{
    return e->root->type;
}

bool promql_parse_selector(struct arena *a, struct str text, struct matchers *out, struct err *err)
{
    struct parser p;
    *out = (struct matchers){ 0 };
    if (!parse_begin(text, 0, &p, err))
        return false;
    struct promql_node *n = NULL;
    if (parse_peek(&p)->kind == T_LBRACE || usable_as_metric(parse_peek(&p)->kind)) {
        const struct token *name = parse_peek(&p)->kind == T_LBRACE ? NULL : parse_next(&p);
        n = parse_selector(&p, name);
    } else if (parse_peek(&p)->kind == T_EOF) {
        parse_fail(&p, 0, "no expression found in input");
    } else {
        parse_unexpected(&p, NULL, NULL);
    }
    if (n && parse_peek(&p)->kind != T_EOF) {
        parse_unexpected(&p, NULL, NULL);
        n = NULL;
    }
    if (n && parse_check(&p, n)) {
        const struct matchers *ms = &n->u.selector.matchers;
        out->v = arena_alloc_array(a, ms->n, sizeof *out->v);
        out->n = ms->n;
        for (size_t i = 0; i < ms->n; i++) {
            out->v[i] = ms->v[i];
            out->v[i].name = arena_str(a, ms->v[i].name);
            out->v[i].value = arena_str(a, ms->v[i].value);
            if (out->v[i].re)
                regex_retain(out->v[i].re);
        }
    }
    bool ok = !p.failed;
    promql_expr_free(p.e);
    return ok;
}

bool promql_parse_metric(struct arena *a, struct str text, struct labels *out, struct err *err)
{
    struct parser p;
    if (!parse_begin(text, 0, &p, err))
        return false;
    const struct token *t = parse_peek(&p);
    struct matcher_list l = { 0 };
    struct str name = STR_EMPTY;
    bool ok = true;
    if (t->kind == T_IDENTIFIER || t->kind == T_METRIC_IDENTIFIER || token_is_keyword(t->kind) || t->kind == T_NUMBER)
        name = parse_next(&p)->text;
    else if (t->kind != T_LBRACE)
        ok = parse_unexpected(&p, "metric description", NULL);
    ok = ok && parse_braces(&p, &l);
    if (ok && parse_peek(&p)->kind != T_EOF)
        ok = parse_unexpected(&p, "metric description", NULL);
    struct label *v = arena_alloc_array(a, l.n + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < l.n && ok; i++) {
        if (l.v[i].op != MATCH_EQ)
            ok = parse_fail(&p, 0, "unexpected label matching operator, expected \"=\"");
        v[n++] = (struct label){ arena_str(a, l.v[i].name), arena_str(a, l.v[i].value) };
    }
    if (name.n)
        v[n++] = (struct label){ STR("__name__"), arena_str(a, name) };
    if (ok)
        *out = labels_normalize(v, n);
    promql_expr_free(p.e);
    return ok;
}
