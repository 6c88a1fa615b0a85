/* The parser: recursive descent over the lexer's tokens, with up to three of them pushed back (`$x foo` must be read as
 * far as foo before it is known that $x is no declaration).
 *
 * Invariants. P1: the first failure sticks; every function returns NULL or false after it and nothing is reported
 * twice. P2: tokens[0] is the token that the lexer gave last; its line is what errors say. P3: a definition is added to
 * the map when its end has been read, so that a text defines nothing unless all of it parses (the caller drops the map).
 * Bounds: depth of nesting (actions, parentheses, else chains) TEMPLATE_DEPTH_MAX and what the stack holds; size by
 * the text's. */
#include "template/depth_int.h"
#include "template/func_int.h"
#include "template/lex_int.h"
#include "template/template.h"
#include "template/tree_int.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"

#include <math.h>

/* What is particular to one definition; a nested define or block has its own. */
struct definition {
    struct tree *tree;
    struct str *vars;
    uint32_t vars_count, vars_capacity;
    uint32_t range_depth;
    uint32_t action_line;
};

struct parser {
    struct arena *arena;
    unsigned flavours;
    struct lexer lexer;
    struct token tokens[3];
    uint32_t peeked;
    uint32_t depth;
    uintptr_t stack;
    struct definition *def;
    struct tree_map *out;
    struct err *err;
    bool failed;
};

static struct node *parse_pipeline(struct parser *p, const char *context, enum token_type end);
static struct node *parse_list(struct parser *p, struct node **list);
static struct node *parse_control(struct parser *p, enum node_kind kind);

/* ---- errors ---- */

static void *fail(struct parser *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void *fail(struct parser *p, const char *fmt, ...)
{
    if (p->failed)
        return NULL;
    p->failed = true;
    va_list ap;
    va_start(ap, fmt);
    err_vset(p->err, ERR_INVALID, fmt, ap);
    va_end(ap);
    p->err->line = p->tokens[0].line;
    err_wrap(p->err, "template: %.*s:%u", STR_ARG(p->def->tree->parse_name), p->tokens[0].line);
    return NULL;
}

static void *fail_token(struct parser *p, const struct token *t, const char *context)
{
    struct buf b = { .limit_bytes = 512 };
    token_write(t, &b);
    if (t->type == TOKEN_ERROR) {
        struct str extra = STR_EMPTY;
        uint32_t line = p->def->action_line;
        if (line != 0 && line != t->line) {
            struct str name = p->def->tree->parse_name;
            extra = arena_printf(p->arena, " in action started at %.*s:%u", STR_ARG(name), line);
            if (str_ends(t->value, STR(" action")))
                extra = str_from(extra, sizeof " in action" - 1);
        }
        fail(p, "%.*s%.*s", STR_ARG(buf_view(&b)), STR_ARG(extra));
    } else {
        fail(p, "unexpected %.*s in %s", STR_ARG(buf_view(&b)), context);
    }
    buf_deinit(&b);
    return NULL;
}

/* ---- tokens ---- */

static struct token next(struct parser *p)
{
    if (p->peeked > 0)
        p->peeked--;
    else
        p->tokens[0] = lexer_next(&p->lexer);
    return p->tokens[p->peeked];
}

static void backup(struct parser *p)
{
    p->peeked++;
    ASSERT(p->peeked <= 3);
}

static void backup2(struct parser *p, struct token t1)
{
    p->tokens[1] = t1;
    p->peeked = 2;
}

static void backup3(struct parser *p, struct token t2, struct token t1)
{
    p->tokens[1] = t1;
    p->tokens[2] = t2;
    p->peeked = 3;
}

static struct token peek(struct parser *p)
{
    if (p->peeked == 0) {
        p->tokens[0] = lexer_next(&p->lexer);
        p->peeked = 1;
    }
    return p->tokens[p->peeked - 1];
}

static struct token next_solid(struct parser *p)
{
    struct token t;
    do
        t = next(p);
    while (t.type == TOKEN_SPACE);
    return t;
}

static struct token peek_solid(struct parser *p)
{
    struct token t = next_solid(p);
    backup(p);
    return t;
}

static bool expect(struct parser *p, enum token_type type, const char *context)
{
    struct token t = next_solid(p);
    if (t.type == type)
        return true;
    fail_token(p, &t, context);
    return false;
}

static struct node *make(struct parser *p, enum node_kind kind, const struct token *t)
{
    return node_new(p->arena, kind, p->def->tree, t->pos, t->line);
}

static bool descend(struct parser *p)
{
    if (p->depth >= TEMPLATE_DEPTH_MAX || depth_exceeds(p->stack, DEPTH_PARSE_BYTES)) {
        fail(p, "max expression depth exceeded");
        p->err->code = ERR_LIMIT;
        return false;
    }
    p->depth++;
    return true;
}

/* ---- definitions ---- */

static void push_var(struct parser *p, struct str name)
{
    struct definition *d = p->def;
    if (d->vars_count == d->vars_capacity) {
        uint32_t grown = d->vars_capacity ? d->vars_capacity * 2 : 8;
        struct str *v = arena_alloc_array(p->arena, grown, sizeof *v);
        if (d->vars_count)
            memcpy(v, d->vars, d->vars_count * sizeof *v);
        d->vars = v;
        d->vars_capacity = grown;
    }
    d->vars[d->vars_count++] = name;
}

static struct tree *tree_new(struct parser *p, struct str name, struct str parse_name)
{
    struct tree *t = ARENA_NEW(p->arena, struct tree);
    t->name = name;
    t->parse_name = parse_name;
    t->text = p->lexer.input;
    return t;
}

static bool add_tree(struct parser *p, struct tree *t)
{
    struct tree *there = map_get(&p->out->map, t->name);
    if (there && !tree_is_empty(there->root)) {
        if (tree_is_empty(t->root))
            return true;
        struct buf b = { .limit_bytes = 512 };
        go_quote(&b, t->name);
        fail(p, "template: multiple definition of template %.*s", STR_ARG(buf_view(&b)));
        buf_deinit(&b);
        return false;
    }
    map_put(&p->out->map, t->name, t);
    return true;
}

static bool unquote(struct parser *p, const struct token *t, struct str *out)
{
    struct buf b = { 0 };
    bool ok = go_unquote(&b, t->value, true);
    if (ok)
        *out = arena_str(p->arena, buf_view(&b));
    else
        fail(p, "invalid syntax");
    buf_deinit(&b);
    return ok;
}

/* The body of a define or a block, up to its end; installs it. */
static bool parse_body(struct parser *p, struct str name, const char *context)
{
    if (!descend(p))
        return false;
    struct definition def = { .tree = tree_new(p, name, p->def->tree->parse_name) };
    def.tree->text = p->def->tree->text;
    struct definition *outer = p->def;
    p->def = &def;
    push_var(p, STR("$"));
    struct node *end = parse_list(p, &def.tree->root);
    if (end && end->kind != NODE_END) {
        fail(p, "unexpected {{else}} in %s", context);
        end = NULL;
    }
    bool ok = end && add_tree(p, def.tree);
    p->def = outer;
    p->depth--;
    return ok;
}

static bool parse_define(struct parser *p)
{
    static const char context[] = "define clause";
    struct token t = next_solid(p);
    struct str name;
    if (t.type != TOKEN_STRING && t.type != TOKEN_RAW_STRING)
        return fail_token(p, &t, context);
    return unquote(p, &t, &name) && expect(p, TOKEN_RIGHT_DELIM, context) && parse_body(p, name, context);
}

/* ---- operands ---- */

static struct str *split_idents(struct parser *p, struct str s, uint32_t *n)
{
    uint32_t count = 1;
    for (size_t i = 0; i < s.n; i++)
        count += s.p[i] == '.';
    struct str *v = arena_alloc_array(p->arena, count, sizeof *v);
    *n = 0;
    while (str_split(&s, '.', &v[*n]) && ++*n < count) {
    }
    return v;
}

static struct node *make_chain(struct parser *p, enum node_kind kind, const struct token *t, struct str text)
{
    struct node *n = make(p, kind, t);
    n->u.chain.idents = split_idents(p, text, &n->u.chain.n);
    return n;
}

static struct node *use_variable(struct parser *p, const struct token *t)
{
    struct definition *d = p->def;
    for (uint32_t i = 0; i < d->vars_count; i++)
        if (str_eq(d->vars[i], t->value))
            return make_chain(p, NODE_VARIABLE, t, t->value);
    return fail(p, "undefined variable \"%.*s\"", STR_ARG(t->value));
}

/* A rune constant: the quoted text holds exactly one character. */
static bool char_constant(struct parser *p, struct str text, struct node_number *n)
{
    struct buf raw = { 0 }, b = { 0 };
    /* Unquote as a string: the two quotes trade their need of escaping. */
    struct str inner = str_sub(text, 1, text.n - 2);
    buf_byte(&raw, '"');
    bool ok = inner.n > 0;
    for (size_t i = 0; i < inner.n && ok; i++) {
        char c = inner.p[i];
        if (c == '"')
            buf_byte(&raw, '\\');
        if (c == '\\' && i + 1 < inner.n) {
            char e = inner.p[++i];
            ok = e != '"';
            if (e != '\'')
                buf_byte(&raw, c);
            buf_byte(&raw, e);
            continue;
        }
        buf_byte(&raw, c);
    }
    buf_byte(&raw, '"');
    ok = ok && go_unquote(&b, buf_view(&raw), false);
    if (!ok) {
        fail(p, "invalid syntax");
    } else {
        struct str s = buf_view(&b);
        size_t size = 1;
        bool byte_escape = inner.n > 1 && inner.p[0] == '\\' && (inner.p[1] == 'x' || ascii_is_digit(inner.p[1]));
        rune r = byte_escape ? (unsigned char)s.p[0] : utf8_decode(s, &size);
        if (size != s.n) {
            fail(p, "malformed character constant: %.*s", STR_ARG(text));
            ok = false;
        }
        *n = (struct node_number){
            .is_int = true, .is_uint = true, .is_float = true, .i = r, .u = r, .f = (double)r
        };
    }
    buf_deinit(&raw);
    buf_deinit(&b);
    return ok;
}

static bool has_any(struct str s, const char *set)
{
    for (size_t i = 0; i < s.n; i++)
        if (strchr(set, s.p[i]))
            return true;
    return false;
}

/* "2i", "1+2i": only printing and comparing such a value makes sense, and hardly that. */
static bool imaginary(struct str text, struct node_number *n)
{
    if (text.n == 0 || text.p[text.n - 1] != 'i')
        return false;
    struct str body = str_sub(text, 0, text.n - 1);
    size_t cut = 0;
    for (size_t i = 1; i < body.n; i++)
        if ((body.p[i] == '+' || body.p[i] == '-') && !strchr("eEpP", body.p[i - 1]))
            cut = i;
    double re = 0, im = 0;
    bool range;
    if ((cut > 0 && !num_parse_f64(str_sub(body, 0, cut), &re, &range)) ||
        !num_parse_f64(str_from(body, cut), &im, &range))
        return false;
    *n = (struct node_number){ .is_complex = true, .re = re, .f = im };
    return true;
}

static void float_number(double f, struct node_number *n)
{
    n->is_float = true;
    n->f = f;
    /* Conversion is defined only inside the target's range; what lies outside is no integer anyway. */
    if (f >= -9223372036854775808.0 && f < 9223372036854775808.0 && (double)(int64_t)f == f) {
        n->is_int = true;
        n->i = (int64_t)f;
    }
    if (f >= 0 && f < 18446744073709551616.0 && (double)(uint64_t)f == f) {
        n->is_uint = true;
        n->u = (uint64_t)f;
    }
}

static bool number_value(struct parser *p, const struct token *t, struct node_number *n)
{
    struct str text = t->value;
    if (t->type == TOKEN_CHAR_CONSTANT)
        return char_constant(p, text, n);
    if (imaginary(text, n))
        return true;
    n->is_uint = num_parse_u64(text, 0, &n->u);
    n->is_int = num_parse_i64(text, 0, &n->i);
    if (n->is_int && n->i == 0)
        n->is_uint = true;
    if (n->is_int || n->is_uint) {
        n->is_float = true;
        n->f = n->is_int ? (double)n->i : (double)n->u;
        return true;
    }
    double f = 0;
    bool range = false;
    /* Underscores are legal in a float only with a base prefix, which num_parse_f64 refuses altogether. */
    if (num_parse_f64(text, &f, &range)) {
        if (has_any(text, ".eEpP")) {
            float_number(f, n);
            return true;
        }
        fail(p, "integer overflow: \"%.*s\"", STR_ARG(text));
        return false;
    }
    fail(p, "illegal number syntax: \"%.*s\"", STR_ARG(text));
    return false;
}

static struct node *parse_number(struct parser *p, const struct token *t)
{
    struct node *n = make(p, NODE_NUMBER, t);
    n->u.number.text = t->value;
    return number_value(p, t, &n->u.number.n) ? n : NULL;
}

static struct node *parse_identifier(struct parser *p, const struct token *t)
{
    const struct func *f = func_find(p->flavours, t->value);
    if (!f)
        return fail(p, "function \"%.*s\" not defined", STR_ARG(t->value));
    struct node *n = make(p, NODE_IDENTIFIER, t);
    n->u.ident.name = t->value;
    n->u.ident.func = f;
    return n;
}

static struct node *parse_parens(struct parser *p)
{
    if (!descend(p))
        return NULL;
    struct node *n = parse_pipeline(p, "parenthesized pipeline", TOKEN_RIGHT_PAREN);
    p->depth--;
    return n;
}

/* A literal, a name or a group. NULL without failure: the next token starts no operand. */
static struct node *parse_term(struct parser *p)
{
    struct token t = next_solid(p);
    struct node *n;
    if (t.type == TOKEN_IDENTIFIER)
        return parse_identifier(p, &t);
    if (t.type == TOKEN_DOT)
        return make(p, NODE_DOT, &t);
    if (t.type == TOKEN_NIL)
        return make(p, NODE_NIL, &t);
    if (t.type == TOKEN_VARIABLE)
        return use_variable(p, &t);
    if (t.type == TOKEN_FIELD)
        return make_chain(p, NODE_FIELD, &t, str_from(t.value, 1));
    if (t.type == TOKEN_BOOL) {
        n = make(p, NODE_BOOL, &t);
        n->u.b = t.value.n == 4;
        return n;
    }
    if (t.type == TOKEN_CHAR_CONSTANT || t.type == TOKEN_COMPLEX || t.type == TOKEN_NUMBER)
        return parse_number(p, &t);
    if (t.type == TOKEN_LEFT_PAREN)
        return parse_parens(p);
    if (t.type == TOKEN_STRING || t.type == TOKEN_RAW_STRING) {
        n = make(p, NODE_STRING, &t);
        n->u.string.quoted = t.value;
        return unquote(p, &t, &n->u.string.value) ? n : NULL;
    }
    backup(p);
    return NULL;
}

static bool is_literal(const struct node *n)
{
    return n->kind == NODE_BOOL || n->kind == NODE_STRING || n->kind == NODE_NUMBER || n->kind == NODE_NIL ||
           n->kind == NODE_DOT;
}

/* A term and the fields that follow it without space. */
static struct node *parse_operand(struct parser *p)
{
    struct node *n = parse_term(p);
    struct token first = n ? peek(p) : (struct token){ 0 };
    if (!n || first.type != TOKEN_FIELD)
        return n;
    struct buf b = { 0 };
    uint32_t fields = 0;
    if (n->kind == NODE_FIELD || n->kind == NODE_VARIABLE)
        node_write(n, &b);
    while (peek(p).type == TOKEN_FIELD) {
        buf_str(&b, next(p).value);
        fields++;
    }
    ASSERT(fields > 0);
    struct node *out = NULL;
    struct str text = arena_str(p->arena, buf_view(&b));
    buf_reset(&b);
    if (n->kind == NODE_VARIABLE) {
        out = make_chain(p, NODE_VARIABLE, &first, text);
    } else if (n->kind == NODE_FIELD) {
        out = make_chain(p, NODE_FIELD, &first, str_from(text, 1));
    } else if (is_literal(n)) {
        node_write(n, &b);
        struct buf q = { .limit_bytes = 512 };
        go_quote(&q, buf_view(&b));
        fail(p, "unexpected . after term %.*s", STR_ARG(buf_view(&q)));
        buf_deinit(&q);
    } else {
        out = make_chain(p, NODE_CHAIN, &first, str_from(text, 1));
        out->u.chain.node = n;
    }
    buf_deinit(&b);
    return out;
}

static struct node *parse_command(struct parser *p)
{
    struct token start = peek_solid(p);
    struct node *cmd = make(p, NODE_COMMAND, &start);
    for (;;) {
        peek_solid(p);
        struct node *operand = parse_operand(p);
        if (p->failed)
            return NULL;
        if (operand)
            node_append(p->arena, cmd, operand);
        struct token t = next(p);
        if (t.type == TOKEN_SPACE)
            continue;
        if (t.type == TOKEN_RIGHT_DELIM || t.type == TOKEN_RIGHT_PAREN)
            backup(p);
        else if (t.type != TOKEN_PIPE)
            return fail_token(p, &t, "operand");
        break;
    }
    return cmd->u.list.n > 0 ? cmd : fail(p, "empty command");
}

/* ---- pipelines ---- */

static bool check_pipeline(struct parser *p, const struct node *pipe, const char *context)
{
    if (pipe->u.pipe.cmds_count == 0) {
        fail(p, "missing value for %s", context);
        return false;
    }
    for (uint32_t i = 1; i < pipe->u.pipe.cmds_count; i++)
        if (is_literal(pipe->u.pipe.cmds[i]->u.list.v[0])) {
            fail(p, "non executable command in pipeline stage %u", i + 1);
            return false;
        }
    return true;
}

static void declare(struct parser *p, struct node *pipe, const struct token *v)
{
    ASSERT(pipe->u.pipe.decl_count < 2);
    pipe->u.pipe.decl[pipe->u.pipe.decl_count++] = make_chain(p, NODE_VARIABLE, v, v->value);
    push_var(p, v->value);
}

/* `$x :=`, `$x =`, and in a range `$i, $x :=`. */
static bool parse_declarations(struct parser *p, struct node *pipe, const char *context)
{
    bool range = strcmp(context, "range") == 0;
    for (;;) {
        struct token v = peek_solid(p);
        if (v.type != TOKEN_VARIABLE)
            return true;
        next(p);
        struct token after = peek(p);
        struct token t = peek_solid(p);
        if (t.type == TOKEN_ASSIGN || t.type == TOKEN_DECLARE) {
            pipe->u.pipe.assign = t.type == TOKEN_ASSIGN;
            next_solid(p);
            declare(p, pipe, &v);
            return true;
        }
        if (t.type != TOKEN_CHAR || !str_eq(t.value, STR(","))) {
            if (after.type == TOKEN_SPACE)
                backup3(p, v, after);
            else
                backup2(p, v);
            return true;
        }
        next_solid(p);
        declare(p, pipe, &v);
        if (!range || pipe->u.pipe.decl_count >= 2) {
            fail(p, "too many declarations in %s", context);
            return false;
        }
        t = peek_solid(p);
        if (t.type != TOKEN_VARIABLE && t.type != TOKEN_RIGHT_DELIM && t.type != TOKEN_RIGHT_PAREN) {
            fail(p, "range can only initialize variables");
            return false;
        }
    }
}

static bool starts_operand(enum token_type t)
{
    return t == TOKEN_BOOL || t == TOKEN_CHAR_CONSTANT || t == TOKEN_COMPLEX || t == TOKEN_DOT || t == TOKEN_FIELD ||
           t == TOKEN_IDENTIFIER || t == TOKEN_NUMBER || t == TOKEN_NIL || t == TOKEN_RAW_STRING ||
           t == TOKEN_STRING || t == TOKEN_VARIABLE || t == TOKEN_LEFT_PAREN;
}

static struct node *parse_pipeline(struct parser *p, const char *context, enum token_type end)
{
    struct token start = peek_solid(p);
    struct node *pipe = make(p, NODE_PIPE, &start);
    if (!parse_declarations(p, pipe, context))
        return NULL;
    for (;;) {
        struct token t = next_solid(p);
        if (t.type == end)
            return check_pipeline(p, pipe, context) ? pipe : NULL;
        if (!starts_operand(t.type))
            return fail_token(p, &t, context);
        backup(p);
        struct node *cmd = parse_command(p);
        if (!cmd)
            return NULL;
        pipe_append(p->arena, pipe, cmd);
    }
}

/* ---- actions ---- */

static struct node *parse_jump(struct parser *p, enum node_kind kind, const struct token *word, const char *name)
{
    struct token t = next_solid(p);
    if (t.type != TOKEN_RIGHT_DELIM)
        return fail_token(p, &t, name);
    if (p->def->range_depth == 0)
        return fail(p, "%s outside {{range}}", name);
    return make(p, kind, word);
}

static struct node *parse_else(struct parser *p)
{
    struct token t = peek_solid(p);
    /* "{{else if" is an else whose own if follows: parse_control finds the word pending. */
    if (t.type == TOKEN_IF || t.type == TOKEN_WITH)
        return make(p, NODE_ELSE, &t);
    t = next_solid(p);
    if (t.type != TOKEN_RIGHT_DELIM)
        return fail_token(p, &t, "else");
    return make(p, NODE_ELSE, &t);
}

static struct node *parse_end(struct parser *p)
{
    struct token t = next_solid(p);
    if (t.type != TOKEN_RIGHT_DELIM)
        return fail_token(p, &t, "end");
    return make(p, NODE_END, &t);
}

static bool parse_name(struct parser *p, const struct token *t, const char *context, struct str *name)
{
    if (t->type != TOKEN_STRING && t->type != TOKEN_RAW_STRING)
        return fail_token(p, t, context);
    return unquote(p, t, name);
}

static struct node *parse_block(struct parser *p)
{
    static const char context[] = "block clause";
    struct token t = next_solid(p);
    struct str name;
    if (!parse_name(p, &t, context, &name))
        return NULL;
    struct node *pipe = parse_pipeline(p, context, TOKEN_RIGHT_DELIM);
    if (!pipe || !parse_body(p, name, context))
        return NULL;
    struct node *n = make(p, NODE_TEMPLATE, &t);
    n->u.tmpl.name = name;
    n->u.tmpl.pipe = pipe;
    return n;
}

static struct node *parse_template(struct parser *p)
{
    static const char context[] = "template clause";
    struct token t = next_solid(p);
    struct str name;
    struct node *pipe = NULL;
    if (!parse_name(p, &t, context, &name))
        return NULL;
    if (next_solid(p).type != TOKEN_RIGHT_DELIM) {
        backup(p);
        pipe = parse_pipeline(p, context, TOKEN_RIGHT_DELIM);
        if (!pipe)
            return NULL;
    }
    struct node *n = make(p, NODE_TEMPLATE, &t);
    n->u.tmpl.name = name;
    n->u.tmpl.pipe = pipe;
    return n;
}

static const char *control_name(enum node_kind kind)
{
    return kind == NODE_IF ? "if" : kind == NODE_RANGE ? "range" : "with";
}

/* The else branch of n, whose ELSE node is given; leaves the token after the closing end. */
static bool parse_else_branch(struct parser *p, struct node *n, const struct node *otherwise)
{
    enum token_type word = peek(p).type;
    if ((n->kind == NODE_IF && word == TOKEN_IF) || (n->kind == NODE_WITH && word == TOKEN_WITH)) {
        next(p);
        n->u.control.else_list = node_new(p->arena, NODE_LIST, p->def->tree, otherwise->pos, otherwise->line);
        struct node *inner = parse_control(p, n->kind);
        if (!inner)
            return false;
        node_append(p->arena, n->u.control.else_list, inner);
        return true;
    }
    struct node *end = parse_list(p, &n->u.control.else_list);
    if (end && end->kind != NODE_END)
        return fail(p, "expected end; found {{else}}");
    return end != NULL;
}

/* if, range or with, whose word has been read, up to and with its end. */
static struct node *parse_control(struct parser *p, enum node_kind kind)
{
    if (!descend(p))
        return NULL;
    uint32_t mark = p->def->vars_count;
    struct node *pipe = parse_pipeline(p, control_name(kind), TOKEN_RIGHT_DELIM);
    if (!pipe)
        return NULL;
    struct node *n = node_new(p->arena, kind, p->def->tree, pipe->pos, pipe->line);
    n->u.control.pipe = pipe;
    p->def->range_depth += kind == NODE_RANGE;
    struct node *end = parse_list(p, &n->u.control.list);
    if (!end)
        return NULL;
    p->def->range_depth -= kind == NODE_RANGE;
    if (end->kind == NODE_ELSE && !parse_else_branch(p, n, end))
        return NULL;
    p->def->vars_count = mark;
    p->depth--;
    return n;
}

/* The field, if the pipeline is a single one of the dot and nothing else. */
static const struct node *plain_field(const struct node *pipe)
{
    if (pipe->u.pipe.cmds_count != 1 || pipe->u.pipe.decl_count != 0)
        return NULL;
    const struct node *cmd = pipe->u.pipe.cmds[0], *first = cmd->u.list.v[0];
    return cmd->u.list.n == 1 && first->kind == NODE_FIELD && first->u.chain.n == 1 ? first : NULL;
}

static struct node *parse_action(struct parser *p)
{
    struct token t = next_solid(p);
    if (t.type == TOKEN_BLOCK)
        return parse_block(p);
    if (t.type == TOKEN_BREAK)
        return parse_jump(p, NODE_BREAK, &t, "{{break}}");
    if (t.type == TOKEN_CONTINUE)
        return parse_jump(p, NODE_CONTINUE, &t, "{{continue}}");
    if (t.type == TOKEN_ELSE)
        return parse_else(p);
    if (t.type == TOKEN_END)
        return parse_end(p);
    if (t.type == TOKEN_IF)
        return parse_control(p, NODE_IF);
    if (t.type == TOKEN_RANGE)
        return parse_control(p, NODE_RANGE);
    if (t.type == TOKEN_WITH)
        return parse_control(p, NODE_WITH);
    if (t.type == TOKEN_TEMPLATE)
        return parse_template(p);
    backup(p);
    t = peek(p);
    struct node *pipe = parse_pipeline(p, "command", TOKEN_RIGHT_DELIM);
    if (!pipe)
        return NULL;
    struct node *n = make(p, NODE_ACTION, &t);
    n->u.control.pipe = pipe;
    n->u.control.field = plain_field(pipe);
    return n;
}

static struct node *parse_item(struct parser *p)
{
    struct token t = next_solid(p);
    if (t.type == TOKEN_TEXT) {
        struct node *n = make(p, NODE_TEXT, &t);
        n->u.text = t.value;
        return n;
    }
    if (t.type != TOKEN_LEFT_DELIM)
        return fail_token(p, &t, "input");
    p->def->action_line = t.line;
    struct node *n = parse_action(p);
    p->def->action_line = 0;
    return n;
}

/* Items up to an end or else, which is returned; NULL on failure. */
static struct node *parse_list(struct parser *p, struct node **list)
{
    struct token start = peek_solid(p);
    *list = make(p, NODE_LIST, &start);
    while (peek_solid(p).type != TOKEN_EOF) {
        struct node *n = parse_item(p);
        if (!n || n->kind == NODE_END || n->kind == NODE_ELSE)
            return n;
        node_append(p->arena, *list, n);
    }
    return fail(p, "unexpected EOF");
}

static bool parse_text(struct parser *p)
{
    struct tree *tree = p->def->tree;
    struct token start = peek(p);
    tree->root = make(p, NODE_LIST, &start);
    while (peek(p).type != TOKEN_EOF) {
        if (peek(p).type == TOKEN_LEFT_DELIM) {
            struct token delim = next(p);
            if (next_solid(p).type == TOKEN_DEFINE) {
                if (!parse_define(p))
                    return false;
                continue;
            }
            backup2(p, delim);
        }
        struct node *n = parse_item(p);
        if (!n)
            return false;
        if (n->kind == NODE_END || n->kind == NODE_ELSE) {
            fail(p, "unexpected %s", n->kind == NODE_END ? "{{end}}" : "{{else}}");
            return false;
        }
        node_append(p->arena, tree->root, n);
    }
    return add_tree(p, tree);
}

bool tree_parse(struct arena *a, unsigned flavours, struct str name, struct str text, struct tree_map *out,
                struct err *err)
{
    ASSERT(text.n <= TEMPLATE_TEXT_BYTES_MAX);
    struct parser p = { .arena = a, .flavours = flavours, .out = out, .err = err, .stack = depth_here() };
    lexer_init(&p.lexer, a, text);
    struct definition def = { .tree = tree_new(&p, name, name) };
    p.def = &def;
    push_var(&p, STR("$"));
    bool ok = parse_text(&p);
    ASSERT(ok == !p.failed);
    return ok;
}
