/* The executor: walks a tree and writes to a buffer.
 *
 * X1: `at` is the node that the next failure is reported on; it is moved as Go moves it, because users read the
 *     message. X2: variables are a stack; a template sees only those from vars_base on; a control structure cuts the
 *     stack back to where it was. X3: after a failure every function returns at once; out keeps what was written.
 *
 * X4: what runs often does not search: names are resolved once per place and class (struct name_row). X5: evaluation and
 *     walking call each other at every step; they share one file so that the compiler sees both.
 *
 * Bounds: steps (nodes walked, commands run, rounds of loops), memory of the arena, bytes of output, depth of
 * nesting. Cancellation is looked at every POLL_STEPS, memory after each call; what a single function may make is bounded
 * by call_buf(), the output by the limit of its buffer. */
#include "template/depth_int.h"
#include "template/exec_int.h"
#include "template/func_int.h"

#include "base/mem.h"

enum flow { FLOW_FAIL, FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE };

struct exec {
    struct tval_call call; /* first: functions get at the rest through it */
    struct exec_shared *shared;
    const struct scope *scope;
    const struct tree *tree;
    const struct node *at;
    struct buf *out;
    struct err *err;
    struct variables *vars;
    size_t vars_base;
};

#define POLL_STEPS 256 /* cancel is looked at every so many steps */
#define ARGS_INLINE 4

/* walk() is in the stack once for each level: what is large stays out of its frame. */
#define NOINLINE __attribute__((noinline))

static bool eval_pipeline(struct exec *x, const struct tval *dot, const struct node *pipe, struct tval *out);
static bool eval_arg(struct exec *x, const struct tval *dot, char type, const struct node *n, struct tval *out);
static enum flow walk(struct exec *x, const struct tval *dot, const struct node *n);
static enum flow walk_list(struct exec *x, const struct tval *dot, const struct node *list);

/* ---- errors and bounds ---- */

static bool fail(struct exec *x, const char *fmt, ...) PRINTF_LIKE(2, 3);
static bool fail(struct exec *x, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_vset(x->err, ERR_INVALID, fmt, ap);
    va_end(ap);
    struct buf b = { .limit_bytes = 8192 };
    buf_c(&b, "template: ");
    if (x->at) {
        node_place(x->at, &b);
        buf_c(&b, ": executing \"");
        buf_str(&b, x->tree->name);
        buf_c(&b, "\" at <");
        node_write(x->at, &b);
        buf_byte(&b, '>');
    }
    err_wrap(x->err, "%.*s", STR_ARG(buf_view(&b)));
    buf_deinit(&b);
    return false;
}

static bool fail_limit(struct exec *x, const char *what)
{
    fail(x, "%s", what);
    x->err->code = ERR_LIMIT;
    return false;
}

/* The rare part of take_steps(). */
static bool steps_end(struct exec *x, uint32_t n)
{
    struct exec_budget *b = &x->shared->budget;
    if (b->steps_left < n)
        return fail_limit(x, "the template takes too many steps");
    b->steps_left -= n;
    if (x->out->overflow)
        return fail_limit(x, "the output is too large");
    const struct template_run *run = x->shared->run;
    if (run->cancel && atomic_load_explicit(run->cancel, memory_order_relaxed)) {
        fail(x, "rendering canceled");
        x->err->code = ERR_CANCELLED;
        return false;
    }
    return true;
}

static inline bool take_steps(struct exec *x, uint32_t n)
{
    struct exec_budget *b = &x->shared->budget;
    uint64_t left = b->steps_left - n;
    if (LIKELY(b->steps_left >= n && b->steps_left / POLL_STEPS == left / POLL_STEPS && !x->out->overflow)) {
        b->steps_left = left;
        return true;
    }
    return steps_end(x, n);
}

static inline bool step(struct exec *x)
{
    return take_steps(x, 1);
}

static bool check_memory(struct exec *x)
{
    const struct exec_budget *b = &x->shared->budget;
    if (x->shared->arena->used_bytes - b->memory_bytes_start > b->memory_bytes_max)
        return fail_limit(x, "the template takes too much memory");
    return true;
}

static bool descend(struct exec *x)
{
    if (x->shared->budget.depth >= TEMPLATE_DEPTH_MAX || depth_exceeds(x->shared->stack, DEPTH_EXEC_BYTES)) {
        fail(x, "exceeded maximum template depth (%u)", x->shared->budget.depth);
        x->err->code = ERR_LIMIT;
        return false;
    }
    x->shared->budget.depth++;
    return true;
}

/* ---- variables ---- */

static void push(struct exec *x, struct str name, const struct tval *value)
{
    struct variables *s = x->vars;
    if (s->n == s->capacity) {
        s->capacity = mem_grow(s->capacity, s->n + 1);
        s->v = mem_realloc_array(s->v, s->capacity, sizeof *s->v);
    }
    s->v[s->n++] = (struct variable){ name, *value };
}

static struct variable *find_variable(struct exec *x, struct str name)
{
    for (size_t i = x->vars->n; i > x->vars_base; i--)
        if (str_eq(x->vars->v[i - 1].name, name))
            return &x->vars->v[i - 1];
    fail(x, "undefined variable: %.*s", STR_ARG(name));
    return NULL;
}

static bool set_variable(struct exec *x, struct str name, const struct tval *value)
{
    struct variable *v = find_variable(x, name);
    if (v)
        v->value = *value;
    return v != NULL;
}

/* ---- parameters ---- */

static const char *type_text(char type)
{
    switch (type) {
    case 'b':
        return "bool";
    case 'i':
        return "int";
    case 'f':
        return "float64";
    case 's':
        return "string";
    case 'S':
        return "[]string";
    case 'L':
        return "[]interface {}";
    case 't':
        return "time.Time";
    case 'd':
        return "time.Duration";
    case 'p':
        return "*time.Location";
    case 'v':
        return "template.queryResult";
    case 'm':
        return "*template.sample";
    default:
        return "interface {}";
    }
}

static bool assignable(const struct tval *v, char type)
{
    switch (type) {
    case 'a':
        return true;
    case 'b':
        return v->kind == TVAL_BOOL && !v->class;
    case 'i':
        return v->kind == TVAL_INT && !v->class;
    case 'f':
        return v->kind == TVAL_FLOAT && !v->class;
    case 's':
        return v->kind == TVAL_STR && !v->class;
    case 'S':
        return v->class == &tval_strs_class;
    case 'L':
        return v->class == &tval_list_class;
    case 't':
        return v->class == &tval_time_class;
    case 'd':
        return v->class == &tval_duration_class;
    case 'p':
        return v->class == &tval_zone_class;
    case 'v':
        return v->class == &template_vector_class;
    case 'm':
        return v->class == &template_sample_class;
    default:
        ASSERT(!"a parameter letter that value.h does not list");
        return false;
    }
}

/* Go's zero value of a type that nil may stand for; false for other types. */
static bool nil_of(char type, struct tval *out)
{
    if (type == 'a')
        *out = tval_nil();
    else if (type == 'S')
        *out = tval_ref(&tval_strs_class, NULL, 0);
    else if (type == 'L')
        *out = tval_ref(&tval_list_class, NULL, 0);
    else if (type == 'p')
        *out = tval_ref(&tval_zone_class, NULL, 0);
    else if (type == 'v')
        *out = tval_ref(&template_vector_class, NULL, 0);
    else
        return false;
    return true;
}

static bool validate(struct exec *x, struct tval *v, char type)
{
    if (LIKELY(type == 'a'))
        return true;
    if (v->kind == TVAL_NONE || v->kind == TVAL_NIL) {
        if (nil_of(type, v))
            return true;
        return fail(x, "invalid value; expected %s", type_text(type));
    }
    if (LIKELY(assignable(v, type)))
        return true;
    return fail(x, "wrong type for value; expected %s; got %.*s", type_text(type), STR_ARG(tval_type_name(v)));
}

/* ---- constants ---- */

static bool has_float_char(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (strchr(".eEpP", s.p[i]) && s.p[i])
            return true;
    return false;
}

static bool ideal_constant(struct exec *x, const struct node *n, struct tval *out)
{
    const struct node_number *c = &n->u.number.n;
    struct str text = n->u.number.text;
    x->at = n;
    if (c->is_complex) {
        *out = (struct tval){ .kind = TVAL_COMPLEX, .v.c = { c->re, c->f } };
        return true;
    }
    bool hex = text.n > 2 && text.p[0] == '0' && (text.p[1] == 'x' || text.p[1] == 'X') &&
               str_find_byte(text, 'p') == STR_NPOS && str_find_byte(text, 'P') == STR_NPOS;
    if (c->is_float && !hex && text.p[0] != '\'' && has_float_char(text)) {
        *out = tval_float(c->f);
        return true;
    }
    if (c->is_int) {
        *out = tval_int(c->i);
        return true;
    }
    return fail(x, "%.*s overflows int", STR_ARG(text));
}

static bool fail_expected(struct exec *x, const char *what, const struct node *n)
{
    struct buf b = { .limit_bytes = 512 };
    node_write(n, &b);
    fail(x, "expected %s; found %.*s", what, STR_ARG(buf_view(&b)));
    buf_deinit(&b);
    return false;
}

/* A literal as an argument of a typed parameter. */
static bool typed_constant(struct exec *x, char type, const struct node *n, struct tval *out)
{
    bool number = n->kind == NODE_NUMBER;
    switch (type) {
    case 'b':
        *out = tval_bool(n->u.b);
        return n->kind == NODE_BOOL || fail_expected(x, "bool", n);
    case 'i':
        *out = tval_int(number ? n->u.number.n.i : 0);
        return (number && n->u.number.n.is_int) || fail_expected(x, "integer", n);
    case 'd':
        *out = tval_duration(number ? n->u.number.n.i : 0);
        return (number && n->u.number.n.is_int) || fail_expected(x, "integer", n);
    case 'f':
        *out = tval_float(number ? n->u.number.n.f : 0);
        return (number && n->u.number.n.is_float) || fail_expected(x, "float", n);
    case 's':
        *out = tval_str(n->kind == NODE_STRING ? n->u.string.value : STR_EMPTY);
        return n->kind == NODE_STRING || fail_expected(x, "string", n);
    default:
        break;
    }
    struct buf b = { .limit_bytes = 512 };
    node_write(n, &b);
    fail(x, "can't handle %.*s for arg of type %s", STR_ARG(buf_view(&b)), type_text(type));
    buf_deinit(&b);
    return false;
}

static bool constant(struct exec *x, char type, const struct node *n, struct tval *out)
{
    x->at = n;
    if (type != 'a')
        return typed_constant(x, type, n, out);
    if (n->kind == NODE_BOOL)
        *out = tval_bool(n->u.b);
    else if (n->kind == NODE_STRING)
        *out = tval_str(n->u.string.value);
    else
        return ideal_constant(x, n, out);
    return true;
}

/* ---- calls ---- */

/* What is called, and with what: a row or a method with its receiver. */
struct callee {
    struct str name;
    const char *params;
    const struct func *func;
    const struct tval_method *method;
    const struct tval *self;
    const struct node *node; /* errors of the call are reported here */
};

/* Wraps what the function said. Apart, so that the text is not in every frame of a deep recursion. */
static bool fail_call(struct exec *x, const struct callee *callee)
{
    enum err_code code = x->err->code;
    char cause[ERR_TEXT_MAX];
    memcpy(cause, x->err->text, sizeof cause);
    x->at = callee->node;
    fail(x, "error calling %.*s: %s", STR_ARG(callee->name), cause);
    x->err->code = code;
    return false;
}

static char param_type(const char *params, size_t params_count, bool variadic, size_t i)
{
    if (variadic && i >= params_count - 1)
        return params[params_count - 1];
    return params[i];
}

/* and, or: the argument that decides, unevaluated ones stay so. */
static bool eval_logic(struct exec *x, const struct tval *dot, bool stop_on, struct node *const *args, size_t n,
                       const struct tval *final, struct tval *out)
{
    for (size_t i = 0; i < n; i++) {
        if (!eval_arg(x, dot, 'a', args[i], out))
            return false;
        if (tval_truth(out) == stop_on)
            return true;
    }
    if (final)
        *out = *final;
    return true;
}

/* out is none of the arguments. */
static inline bool invoke(struct exec *x, const struct callee *callee, const struct tval *argv, size_t n,
                          struct tval *out)
{
    *out = (struct tval){ 0 };
    bool ok = callee->func ? callee->func->call(&x->call, argv, n, out, x->err)
                           : callee->method->call(&x->call, callee->self, argv, n, out, x->err);
    return LIKELY(ok) ? check_memory(x) : fail_call(x, callee);
}

/* args are the written arguments without the function itself; final is what the pipeline adds, or NULL. */
static bool eval_call(struct exec *x, const struct tval *dot, const struct callee *callee, struct node *const *args,
                      size_t n, const struct tval *final, struct tval *out)
{
    if (callee->params[0] == '\0' && n == 0 && !final)
        return invoke(x, callee, NULL, 0, out);
    const char *params = callee->params;
    size_t params_count = 0; /* parameters are few: faster than a call of strlen() */
    while (params[params_count] && params[params_count] != '*')
        params_count++;
    bool variadic = params[params_count] == '*';
    size_t fixed = variadic ? params_count - 1 : params_count;
    size_t all = n + (final != NULL);
    if (variadic ? all < fixed : all != fixed) {
        if (variadic)
            return fail(x, "wrong number of args for %.*s: want at least %zu got %zu", STR_ARG(callee->name), fixed, n);
        return fail(x, "wrong number of args for %.*s: want %zu got %zu", STR_ARG(callee->name), fixed, all);
    }
    if (callee->func && (callee->func->special == FUNC_AND || callee->func->special == FUNC_OR))
        return eval_logic(x, dot, callee->func->special == FUNC_OR, args, n, final, out);
    struct tval few[ARGS_INLINE];
    struct tval *argv = all <= ARGS_INLINE ? few : arena_alloc_array(x->shared->arena, all, sizeof *argv);
    for (size_t i = 0; i < n; i++)
        if (!eval_arg(x, dot, param_type(callee->params, params_count, variadic, i), args[i], &argv[i]))
            return false;
    if (final) {
        argv[n] = *final;
        if (!validate(x, &argv[n], param_type(callee->params, params_count, variadic, n)))
            return false;
    }
    return invoke(x, callee, argv, all, out);
}

static bool eval_function(struct exec *x, const struct tval *dot, const struct node *ident, const struct node *place,
                          struct node *const *args, size_t n, const struct tval *final, struct tval *out)
{
    x->at = ident;
    const struct func *f = ident->u.ident.func;
    struct callee callee = { .name = f->name, .params = f->params, .func = f, .node = place };
    return eval_call(x, dot, &callee, args, n, final, out);
}

/* ---- fields ---- */

static const struct tval_method *find_method(const struct tval_class *c, struct str name)
{
    for (size_t i = 0; i < c->methods_count; i++)
        if (str_eq(c->methods[i].name, name))
            return &c->methods[i];
    return NULL;
}

static const struct tval_field *find_field(const struct tval_class *c, struct str name)
{
    for (size_t i = 0; c->kind == TVAL_STRUCT && i < c->fields_count; i++)
        if (str_eq(c->fields[i].name, name))
            return &c->fields[i];
    return NULL;
}

static inline struct name_row *name_row(struct exec *x, const void *class, const char *name)
{
    _Static_assert(NAME_ROWS == 256, "the hash has eight bits");
    return &x->shared->names[(((uintptr_t)class + (uintptr_t)name) * 0x9E3779B97F4A7C15u) >> 56];
}

/* What the name at this place of a template means to the class. */
static inline const struct name_row *find_name(struct exec *x, const struct tval_class *c, struct str name)
{
    struct name_row *row = name_row(x, c, name.p);
    if (UNLIKELY(row->class != c || row->name != name.p))
        *row = (struct name_row){ .class = c, .name = name.p, .method = find_method(c, name), .field = find_field(c, name) };
    return row;
}

/* The template that the name at this place means. A text that defines nothing leaves it to the set. */
static const struct tree *find_tree(struct exec *x, struct str name)
{
    const struct scope *scope = x->scope;
    if (!scope->shared || scope->own->map.count != 1 || str_eq(name, scope->root->name))
        return scope_find(scope, name);
    struct name_row *row = name_row(x, NULL, name.p);
    if (UNLIKELY(row->class || row->name != name.p))
        *row = (struct name_row){ .name = name.p, .tree = map_get(&scope->shared->map, name) };
    return row->tree;
}

/* Operands behind a field: v[0] is the field itself. */
struct operands {
    struct node *const *v;
    size_t n;
    const struct tval *final;
};

static bool has_arguments(const struct operands *o)
{
    return o->n > 1 || o->final;
}

static bool eval_field(struct exec *x, const struct tval *dot, struct str name, const struct node *node,
                       const struct operands *o, const struct tval *receiver, struct tval *out)
{
    const struct tval_class *c = receiver->class;
    if (receiver->kind == TVAL_NONE || receiver->kind == TVAL_NIL) {
        *out = (struct tval){ 0 };
        return true;
    }
    const struct name_row *row = c ? find_name(x, c, name) : NULL;
    const struct tval_method *m = row ? row->method : NULL;
    if (m) {
        struct callee callee = { .name = name, .params = m->params, .method = m, .self = receiver, .node = node };
        return eval_call(x, dot, &callee, o->n ? o->v + 1 : NULL, o->n ? o->n - 1 : 0, o->final, out);
    }
    if (row && row->field) {
        if (has_arguments(o))
            return fail(x, "%.*s has arguments but cannot be invoked as function", STR_ARG(name));
        row->field->get(receiver->v.ref.p, out);
        return true;
    }
    if (receiver->kind == TVAL_MAP) {
        if (has_arguments(o))
            return fail(x, "%.*s is not a method but has arguments", STR_ARG(name));
        if (!c->get(receiver, name, out))
            *out = c->nil_missing ? tval_nil() : tval_str(STR_EMPTY);
        return true;
    }
    return fail(x, "can't evaluate field %.*s in type %.*s", STR_ARG(name), STR_ARG(tval_type_name(receiver)));
}

static bool eval_chain(struct exec *x, const struct tval *dot, const struct tval *receiver, const struct node *node,
                       uint32_t from, const struct operands *o, struct tval *out)
{
    static const struct operands none = { 0 };
    const struct str *idents = node->u.chain.idents;
    uint32_t n = node->u.chain.n;
    if (LIKELY(from + 1 == n))
        return eval_field(x, dot, idents[from], node, o, receiver, out);
    struct tval between[2]; /* taken in turns: what a field is asked of is never where its value goes */
    const struct tval *value = receiver;
    for (uint32_t i = from; i < n; i++) {
        struct tval *next = i + 1 == n ? out : &between[i % 2];
        if (!eval_field(x, dot, idents[i], node, i + 1 == n ? o : &none, value, next))
            return false;
        value = next;
    }
    if (from == n)
        *out = *receiver;
    return true;
}

static bool not_a_function(struct exec *x, const struct operands *o, const struct node *first)
{
    if (!has_arguments(o))
        return true;
    struct buf b = { .limit_bytes = 512 };
    node_write(first, &b);
    fail(x, "can't give argument to non-function %.*s", STR_ARG(buf_view(&b)));
    buf_deinit(&b);
    return false;
}

static bool eval_variable(struct exec *x, const struct tval *dot, const struct node *n, const struct operands *o,
                          struct tval *out)
{
    x->at = n;
    struct variable *v = find_variable(x, n->u.chain.idents[0]);
    if (!v)
        return false;
    struct tval value = v->value; /* a copy: the stack may move */
    if (n->u.chain.n > 1)
        return eval_chain(x, dot, &value, n, 1, o, out);
    *out = value;
    return not_a_function(x, o, n);
}

static bool eval_chain_node(struct exec *x, const struct tval *dot, const struct node *n, const struct operands *o,
                            struct tval *out)
{
    struct tval value;
    x->at = n;
    if (n->u.chain.node->kind == NODE_NIL) {
        struct buf b = { .limit_bytes = 512 };
        node_write(n, &b);
        fail(x, "indirection through explicit nil in %.*s", STR_ARG(buf_view(&b)));
        buf_deinit(&b);
        return false;
    }
    return eval_arg(x, dot, 'a', n->u.chain.node, &value) && eval_chain(x, dot, &value, n, 0, o, out);
}

static bool eval_field_node(struct exec *x, const struct tval *dot, const struct node *n, const struct operands *o,
                            struct tval *out)
{
    x->at = n;
    return eval_chain(x, dot, dot, n, 0, o, out);
}

/* ---- operands, commands, pipelines ---- */

/* A pipeline in parentheses: nesting that the stack has to hold. */
static bool eval_parens(struct exec *x, const struct tval *dot, const struct node *pipe, struct tval *out)
{
    if (!descend(x))
        return false;
    bool ok = eval_pipeline(x, dot, pipe, out);
    x->shared->budget.depth--;
    return ok;
}

static bool eval_arg(struct exec *x, const struct tval *dot, char type, const struct node *n, struct tval *out)
{
    static const struct operands none = { 0 };
    bool ok = false;
    x->at = n;
    switch (n->kind) {
    case NODE_DOT:
        *out = *dot;
        ok = true;
        break;
    case NODE_NIL:
        return nil_of(type, out) || fail(x, "cannot assign nil to %s", type_text(type));
    case NODE_FIELD:
        ok = eval_field_node(x, dot, n, &none, out);
        break;
    case NODE_VARIABLE:
        ok = eval_variable(x, dot, n, &none, out);
        break;
    case NODE_PIPE:
        ok = eval_parens(x, dot, n, out);
        break;
    case NODE_IDENTIFIER:
        ok = eval_function(x, dot, n, n, NULL, 0, NULL, out);
        break;
    case NODE_CHAIN:
        ok = eval_chain_node(x, dot, n, &none, out);
        break;
    case NODE_BOOL:
    case NODE_NUMBER:
    case NODE_STRING:
        return constant(x, type, n, out);
    case NODE_TEXT:
    case NODE_ACTION:
    case NODE_IF:
    case NODE_RANGE:
    case NODE_WITH:
    case NODE_TEMPLATE:
    case NODE_BREAK:
    case NODE_CONTINUE:
    case NODE_LIST:
    case NODE_COMMAND:
    case NODE_END:
    case NODE_ELSE:
        ASSERT(!"no operand");
        return false;
    }
    return ok && validate(x, out, type);
}

static bool eval_command(struct exec *x, const struct tval *dot, const struct node *cmd, const struct tval *final,
                         struct tval *out)
{
    const struct node *first = cmd->u.list.v[0];
    struct operands o = { cmd->u.list.v, cmd->u.list.n, final };
    if (!step(x))
        return false;
    switch (first->kind) {
    case NODE_FIELD:
        return eval_field_node(x, dot, first, &o, out);
    case NODE_CHAIN:
        return eval_chain_node(x, dot, first, &o, out);
    case NODE_IDENTIFIER:
        return eval_function(x, dot, first, cmd, o.v + 1, o.n - 1, final, out);
    case NODE_PIPE:
        return not_a_function(x, &o, first) && eval_parens(x, dot, first, out);
    case NODE_VARIABLE:
        return eval_variable(x, dot, first, &o, out);
    case NODE_DOT:
        x->at = first;
        *out = *dot;
        return not_a_function(x, &o, first);
    case NODE_BOOL:
    case NODE_NUMBER:
    case NODE_STRING:
        x->at = first;
        return not_a_function(x, &o, first) && constant(x, 'a', first, out);
    case NODE_NIL:
        x->at = first;
        return not_a_function(x, &o, first) && fail(x, "nil is not a command");
    case NODE_TEXT:
    case NODE_ACTION:
    case NODE_IF:
    case NODE_RANGE:
    case NODE_WITH:
    case NODE_TEMPLATE:
    case NODE_BREAK:
    case NODE_CONTINUE:
    case NODE_LIST:
    case NODE_COMMAND:
    case NODE_END:
    case NODE_ELSE:
        break;
    }
    ASSERT(!"no command");
    return false;
}

static bool eval_pipeline(struct exec *x, const struct tval *dot, const struct node *pipe, struct tval *out)
{
    x->at = pipe;
    if (LIKELY(pipe->u.pipe.cmds_count == 1 && pipe->u.pipe.decl_count == 0)) {
        if (!eval_command(x, dot, pipe->u.pipe.cmds[0], NULL, out))
            return false;
        if (out->kind == TVAL_NIL)
            *out = (struct tval){ 0 };
        return true;
    }
    struct tval between[2] = { { 0 } };
    struct tval *value = &between[1];
    for (uint32_t i = 0; i < pipe->u.pipe.cmds_count; i++) {
        struct tval *next = &between[i % 2];
        if (!eval_command(x, dot, pipe->u.pipe.cmds[i], i > 0 ? value : NULL, next))
            return false;
        if (next->kind == TVAL_NIL)
            *next = (struct tval){ 0 };
        value = next;
    }
    for (uint32_t i = 0; i < pipe->u.pipe.decl_count; i++) {
        struct str name = pipe->u.pipe.decl[i]->u.chain.idents[0];
        if (!pipe->u.pipe.assign)
            push(x, name, value);
        else if (!set_variable(x, name, value))
            return false;
    }
    *out = *value;
    return true;
}

/* ---- actions ---- */

/* The value as an action prints it. */
static void print_plain(const struct tval *v, struct buf *out)
{
    if (LIKELY(v->kind == TVAL_STR && (!v->class || !v->class->string)))
        buf_str(out, v->v.s);
    else if (v->kind == TVAL_NONE || v->kind == TVAL_NIL)
        buf_c(out, "<no value>");
    else
        tval_print_plain(v, out);
}

static inline bool print_action(struct exec *x, const struct node *n, const struct tval *v)
{
    x->at = n;
    struct buf *out = x->out;
    /* One value may not outgrow the output's bound by more than itself, and it is bounded by the arena. */
    if (LIKELY(v->kind == TVAL_STR && !v->class))
        buf_append(out, v->v.s.p, v->v.s.n);
    else
        print_plain(v, out);
    return LIKELY(!out->overflow) || fail_limit(x, "the output is too large");
}

NOINLINE static enum flow walk_if_with(struct exec *x, const struct tval *dot, const struct node *n)
{
    size_t mark = x->vars->n;
    struct tval value;
    if (!eval_pipeline(x, dot, n->u.control.pipe, &value))
        return FLOW_FAIL;
    enum flow flow = FLOW_NEXT;
    if (tval_truth(&value))
        flow = walk_list(x, n->kind == NODE_WITH ? &value : dot, n->u.control.list);
    else if (n->u.control.else_list)
        flow = walk_list(x, dot, n->u.control.else_list);
    x->vars->n = mark;
    return flow;
}

struct range {
    const struct node *node;
    size_t top; /* variables declared in the head end here */
};

static enum flow iterate(struct exec *x, const struct range *r, const struct tval *index, const struct tval *item)
{
    const struct node *pipe = r->node->u.control.pipe;
    uint32_t decl = pipe->u.pipe.decl_count;
    const struct tval *first = decl > 1 ? index : item;
    if (!step(x))
        return FLOW_FAIL;
    if (decl > 0 && pipe->u.pipe.assign) {
        if (!set_variable(x, pipe->u.pipe.decl[0]->u.chain.idents[0], first) ||
            (decl > 1 && !set_variable(x, pipe->u.pipe.decl[1]->u.chain.idents[0], item)))
            return FLOW_FAIL;
    } else if (decl > 0) {
        x->vars->v[r->top - decl].value = *first;
        x->vars->v[r->top - 1].value = *item;
    }
    enum flow flow = walk_list(x, item, r->node->u.control.list);
    x->vars->n = r->top;
    return flow == FLOW_CONTINUE ? FLOW_NEXT : flow;
}

static enum flow range_elements(struct exec *x, const struct range *r, const struct tval *v)
{
    enum flow flow = FLOW_NEXT;
    for (size_t i = 0; i < v->v.ref.n && flow == FLOW_NEXT; i++) {
        struct str key = STR_EMPTY;
        struct tval item = { 0 };
        v->class->at(v, i, &key, &item);
        struct tval index = v->kind == TVAL_MAP ? tval_str(key) : tval_int((int64_t)i);
        flow = iterate(x, r, &index, &item);
    }
    return flow;
}

static enum flow range_number(struct exec *x, const struct range *r, const struct tval *v)
{
    static const struct tval none = { 0 };
    bool is_signed = v->kind == TVAL_INT;
    uint64_t n = is_signed ? (v->v.i > 0 ? (uint64_t)v->v.i : 0) : v->v.u;
    enum flow flow = FLOW_NEXT;
    for (uint64_t i = 0; i < n && flow == FLOW_NEXT; i++) {
        struct tval item = *v;
        if (is_signed)
            item.v.i = (int64_t)i;
        else
            item.v.u = i;
        flow = iterate(x, r, &none, &item);
    }
    return flow;
}

static enum flow fail_range(struct exec *x, const char *before, const struct tval *v, const char *after)
{
    struct buf b = { .limit_bytes = 4096 };
    print_plain(v, &b);
    fail(x, "%s%.*s%s", before, STR_ARG(buf_view(&b)), after);
    buf_deinit(&b);
    return FLOW_FAIL;
}

NOINLINE static enum flow walk_range(struct exec *x, const struct tval *dot, const struct node *n)
{
    size_t mark = x->vars->n;
    struct tval v;
    x->at = n;
    if (!eval_pipeline(x, dot, n->u.control.pipe, &v))
        return FLOW_FAIL;
    struct range r = { n, x->vars->n };
    enum flow flow = FLOW_NEXT;
    bool empty = false;
    switch (v.kind) {
    case TVAL_INT:
    case TVAL_UINT:
        if (n->u.control.pipe->u.pipe.decl_count > 1)
            return fail_range(x, "can't use ", &v, " to iterate over more than one variable");
        empty = v.kind == TVAL_INT ? v.v.i <= 0 : v.v.u == 0;
        flow = range_number(x, &r, &v);
        break;
    case TVAL_LIST:
    case TVAL_MAP:
        empty = v.v.ref.n == 0;
        flow = range_elements(x, &r, &v);
        break;
    case TVAL_NONE:
    case TVAL_NIL:
        empty = true;
        break;
    case TVAL_BOOL:
    case TVAL_FLOAT:
    case TVAL_COMPLEX:
    case TVAL_STR:
    case TVAL_STRUCT:
    case TVAL_TIME:
        return fail_range(x, "range can't iterate over ", &v, "");
    }
    if (empty && n->u.control.else_list)
        flow = walk_list(x, dot, n->u.control.else_list);
    else if (flow == FLOW_BREAK)
        flow = FLOW_NEXT;
    x->vars->n = mark;
    return flow;
}

static bool run_tree(struct exec *x, const struct tree *tree, const struct tval *dot)
{
    const struct tree *outer = x->tree;
    size_t base = x->vars_base, count = x->vars->n;
    x->tree = tree;
    x->vars_base = count;
    push(x, STR("$"), dot);
    enum flow flow = walk_list(x, dot, tree->root);
    x->tree = outer;
    x->vars_base = base;
    x->vars->n = count;
    return flow != FLOW_FAIL;
}

NOINLINE static enum flow walk_template(struct exec *x, const struct tval *dot, const struct node *n)
{
    x->at = n;
    const struct tree *tree = find_tree(x, n->u.tmpl.name);
    if (!tree) {
        fail(x, "template \"%.*s\" not defined", STR_ARG(n->u.tmpl.name));
        return FLOW_FAIL;
    }
    struct tval value = { 0 };
    if (n->u.tmpl.pipe && !eval_pipeline(x, dot, n->u.tmpl.pipe, &value))
        return FLOW_FAIL;
    return run_tree(x, tree, &value) ? FLOW_NEXT : FLOW_FAIL;
}

/* A pipeline that has got an escaper since it was parsed is not plain any more, whatever is noted there. */
static inline bool is_plain_field(const struct node *n)
{
    return n->kind == NODE_ACTION && n->u.control.field && n->u.control.pipe->u.pipe.cmds_count == 1;
}

/* {{ .X }} without the stations between; false: X is no field. */
static inline bool print_field(struct exec *x, const struct tval *dot, const struct node *field)
{
    const struct name_row *row = find_name(x, dot->class, field->u.chain.idents[0]);
    if (UNLIKELY(row->method || !row->field))
        return false;
    if (LIKELY(row->field->text)) {
        const struct str *s = (const void *)((const char *)dot->v.ref.p + row->field->text - 1);
        buf_append(x->out, s->p, s->n);
        return true;
    }
    struct tval value;
    row->field->get(dot->v.ref.p, &value);
    print_plain(&value, x->out);
    return true;
}

/* Texts and plain fields, which cannot fail but for the room, are seen to here, the others by walk(). Each node is a step,
 * taken together: templates that do nothing but call others twice double with each level. */
static enum flow walk_list(struct exec *x, const struct tval *dot, const struct node *list)
{
    enum flow flow = FLOW_NEXT;
    if (!take_steps(x, list->u.list.n) || !descend(x))
        return FLOW_FAIL;
    for (uint32_t i = 0; i < list->u.list.n && flow == FLOW_NEXT; i++) {
        const struct node *n = list->u.list.v[i];
        if (n->kind == NODE_TEXT)
            buf_append(x->out, n->u.text.p, n->u.text.n);
        else if (!is_plain_field(n) || dot->kind != TVAL_STRUCT || !print_field(x, dot, n->u.control.field))
            flow = walk(x, dot, n);
    }
    x->shared->budget.depth--;
    if (UNLIKELY(x->out->overflow && flow != FLOW_FAIL)) {
        fail_limit(x, "the output is too large");
        flow = FLOW_FAIL;
    }
    return flow;
}

static enum flow walk(struct exec *x, const struct tval *dot, const struct node *n)
{
    struct tval value;
    x->at = n;
    switch (n->kind) {
    case NODE_TEXT:
        buf_str(x->out, n->u.text);
        return FLOW_NEXT;
    case NODE_ACTION:
        if (!eval_pipeline(x, dot, n->u.control.pipe, &value))
            return FLOW_FAIL;
        if (n->u.control.pipe->u.pipe.decl_count > 0)
            return FLOW_NEXT;
        return print_action(x, n, &value) ? FLOW_NEXT : FLOW_FAIL;
    case NODE_LIST:
        return walk_list(x, dot, n);
    case NODE_IF:
    case NODE_WITH:
        return walk_if_with(x, dot, n);
    case NODE_RANGE:
        return walk_range(x, dot, n);
    case NODE_TEMPLATE:
        return walk_template(x, dot, n);
    case NODE_BREAK:
        return FLOW_BREAK;
    case NODE_CONTINUE:
        return FLOW_CONTINUE;
    case NODE_PIPE:
    case NODE_COMMAND:
    case NODE_FIELD:
    case NODE_VARIABLE:
    case NODE_CHAIN:
    case NODE_IDENTIFIER:
    case NODE_DOT:
    case NODE_NIL:
    case NODE_BOOL:
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_END:
    case NODE_ELSE:
        break;
    }
    ASSERT(!"no action");
    return FLOW_FAIL;
}

/* ---- faces ---- */

struct tree *scope_find(const struct scope *s, struct str name)
{
    struct tree *own = map_get(&s->own->map, name);
    struct tree *shared = s->shared && (!own || tree_is_empty(own->root)) ? map_get(&s->shared->map, name) : NULL;
    return shared ? shared : own;
}

bool exec_tree(struct exec_shared *shared, const struct scope *scope, const struct tree *tree, struct buf *out,
               struct err *err)
{
    struct exec x = { .shared = shared, .scope = scope, .out = out, .err = err, .vars = shared->vars };
    uint32_t depth = shared->budget.depth;
    size_t vars = x.vars->n;
    x.call.arena = shared->arena;
    x.call.exec = &x;
    bool ok = run_tree(&x, tree, &shared->run->data);
    shared->budget.depth = depth;
    x.vars->n = vars;
    return ok;
}

struct exec_shared *call_shared(const struct tval_call *c)
{
    return ((struct exec *)c->exec)->shared;
}

const struct template_run *call_run(const struct tval_call *c)
{
    return call_shared(c)->run;
}

const struct template_hooks *call_hooks(const struct tval_call *c)
{
    return call_shared(c)->hooks;
}
