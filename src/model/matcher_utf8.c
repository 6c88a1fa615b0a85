/* The UTF-8 matcher parser (spec/alertmanager.md 3.3): a lexer that knows columns in runes, and a grammar of one
 * function per state, in upstream's order, because the state decides what an error says.
 *
 *   U1  `at` is the end of the last token taken; peeking never moves it. Error columns depend on that.
 *   U2  A lexer error is final: the text behind it is not looked at. */
#include "base/utf8.h"
#include "model/matcher_int.h"

enum token_kind { TOKEN_END, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_COMMA, TOKEN_OP, TOKEN_QUOTED, TOKEN_UNQUOTED };
#define KIND(k) (1u << (k))

struct place {
    size_t byte, column; /* from 0; columns count runes */
};
struct token {
    enum token_kind kind;
    enum match_op op;
    struct place from, to;
};
struct parser {
    struct matcher_list list;
    struct str text;
    struct place at;
    bool open; /* an opening brace was there */
    struct err *err;
};

static struct str token_text(const struct parser *p, const struct token *t)
{
    return str_sub(p->text, t->from.byte, t->to.byte - t->from.byte);
}

static rune rune_at(const struct parser *p, struct place at, struct place *next)
{
    size_t size;
    rune r = utf8_decode(str_from(p->text, at.byte), &size);
    *next = (struct place){ at.byte + size, at.column + 1 };
    return r;
}

static bool lex_error(const struct parser *p, const struct token *t, const char *what)
{
    return err_set(p->err, ERR_INVALID, "%zu:%zu: %.*s: %s", t->from.column, t->to.column,
                   STR_ARG(token_text(p, t)), what);
}

static bool lex_op(const struct parser *p, struct token *t)
{
    char first = p->text.p[t->from.byte];
    char second = t->to.byte < p->text.n ? p->text.p[t->to.byte] : '\0';
    t->kind = TOKEN_OP;
    if (first == '!' && second != '=' && second != '~') {
        if (t->to.byte < p->text.n)
            return lex_error(p, t, "expected one of '=~'");
        return err_set(p->err, ERR_INVALID, "%zu:%zu: unexpected end of input, expected one of '=~'",
                       t->from.column, t->to.column);
    }
    t->op = first == '!' ? MATCH_NE : MATCH_EQ;
    if (second == '~')
        t->op = first == '!' ? MATCH_NRE : MATCH_RE;
    if (first == '!' || second == '~') {
        t->to.byte++;
        t->to.column++;
    }
    return true;
}

static bool lex_quoted(const struct parser *p, struct token *t)
{
    t->kind = TOKEN_QUOTED;
    bool escaped = false;
    while (t->to.byte < p->text.n) {
        rune r = rune_at(p, t->to, &t->to);
        if (!escaped && r == '"')
            return true;
        escaped = !escaped && r == '\\';
    }
    return lex_error(p, t, "missing end \"");
}

static bool lex_unquoted(const struct parser *p, struct token *t)
{
    t->kind = TOKEN_UNQUOTED;
    while (t->to.byte < p->text.n) {
        struct place next;
        if (matcher_rune_is_reserved(rune_at(p, t->to, &next)))
            break;
        t->to = next;
    }
    return true;
}

/* The token behind `at`, without taking it. False: the text is no token (error set). */
static bool peek(const struct parser *p, struct token *t)
{
    struct place from = p->at, next;
    rune r = 0;
    for (; from.byte < p->text.n; from = next) {
        r = rune_at(p, from, &next);
        if (!rune_is_white_space(r))
            break;
    }
    *t = (struct token){ .kind = TOKEN_END, .from = from, .to = from };
    if (from.byte >= p->text.n)
        return true;
    t->to = next;
    switch (r) {
    case '{':
        t->kind = TOKEN_OPEN;
        return true;
    case '}':
        t->kind = TOKEN_CLOSE;
        return true;
    case ',':
        t->kind = TOKEN_COMMA;
        return true;
    case '=':
    case '!':
        return lex_op(p, t);
    case '"':
        return lex_quoted(p, t);
    default:
        return matcher_rune_is_reserved(r) ? lex_error(p, t, "invalid input") : lex_unquoted(p, t);
    }
}

static bool suffix(const struct parser *p, const char *what)
{
    char cause[ERR_TEXT_MAX];
    memcpy(cause, p->err->text, sizeof cause);
    return err_set(p->err, ERR_INVALID, "%s: %s", cause, what);
}

static bool expect_peek(const struct parser *p, unsigned kinds, struct token *t)
{
    if (!peek(p, t))
        return false;
    if (t->kind == TOKEN_END)
        return err_set(p->err, ERR_INVALID, "end of input");
    if ((KIND(t->kind) & kinds) == 0)
        return err_set(p->err, ERR_INVALID, "%zu:%zu: unexpected %.*s", t->from.column, t->to.column,
                       STR_ARG(token_text(p, t)));
    return true;
}

static bool expect(struct parser *p, unsigned kinds, struct token *t)
{
    bool ok = expect_peek(p, kinds, t);
    if (ok)
        p->at = t->to;
    return ok;
}

static bool unquote(struct parser *p, const struct token *t, struct str *out)
{
    struct str text = token_text(p, t);
    if (t->kind == TOKEN_UNQUOTED) {
        *out = arena_str(p->list.arena, text);
        return true;
    }
    struct buf plain = { 0 };
    bool ok = go_unquote(&plain, text, false) && utf8_valid(buf_view(&plain));
    if (ok)
        *out = arena_str(p->list.arena, buf_view(&plain));
    else
        lex_error(p, t, "invalid input");
    buf_deinit(&plain);
    return ok;
}

static bool parse_matcher(struct parser *p)
{
    struct token t;
    struct str name, value;
    if (!expect(p, KIND(TOKEN_QUOTED) | KIND(TOKEN_UNQUOTED), &t))
        return suffix(p, "expected label name");
    if (!unquote(p, &t, &name))
        return false;
    if (!expect(p, KIND(TOKEN_OP), &t))
        return suffix(p, "expected an operator such as '=', '!=', '=~' or '!~'");
    enum match_op op = t.op;
    if (!expect(p, KIND(TOKEN_QUOTED) | KIND(TOKEN_UNQUOTED), &t))
        return suffix(p, "expected label value");
    if (!unquote(p, &t, &value))
        return false;
    if (!matcher_list_add(&p->list, op, name, value, p->err))
        return err_wrap(p->err, "failed to create matcher");
    return true;
}

/* Matchers up to the end of the text or the closing brace, neither of which is taken. */
static bool parse_matchers(struct parser *p)
{
    for (;;) {
        struct token t;
        if (!parse_matcher(p))
            return false;
        if (!peek(p, &t))
            return suffix(p, "expected a comma or close brace");
        if (t.kind == TOKEN_END)
            return true;
        if (!expect_peek(p, KIND(TOKEN_COMMA) | KIND(TOKEN_CLOSE), &t))
            return suffix(p, "expected a comma or close brace");
        if (t.kind == TOKEN_CLOSE)
            return true;
        p->at = t.to;
        if (!peek(p, &t))
            return suffix(p, "expected a matcher or close brace after comma");
        if (t.kind == TOKEN_END)
            return true;
        if (!expect_peek(p, KIND(TOKEN_CLOSE) | KIND(TOKEN_QUOTED) | KIND(TOKEN_UNQUOTED), &t))
            return suffix(p, "expected a matcher or close brace after comma");
        if (t.kind == TOKEN_CLOSE)
            return true;
    }
}

static bool parse_close(struct parser *p)
{
    struct token t;
    bool closed = expect(p, KIND(TOKEN_CLOSE), &t);
    if (p->open && !closed) {
        suffix(p, "expected close brace");
        return err_wrap(p->err, "0:%zu", p->at.column);
    }
    if (!p->open && closed)
        return err_set(p->err, ERR_INVALID, "0:%zu: }: expected opening brace", p->at.column);
    return true;
}

static bool parse_end(struct parser *p)
{
    struct token t;
    if (!peek(p, &t))
        return suffix(p, "expected end of input");
    return t.kind == TOKEN_END || lex_error(p, &t, "expected end of input");
}

static bool parse(struct parser *p)
{
    struct token t;
    if (!peek(p, &t))
        return false;
    if (t.kind == TOKEN_END)
        return true;
    p->open = t.kind == TOKEN_OPEN;
    if (p->open) {
        p->at = t.to;
        if (!peek(p, &t))
            return false;
    }
    if (t.kind != TOKEN_END && t.kind != TOKEN_CLOSE && !parse_matchers(p))
        return false;
    return parse_close(p) && parse_end(p);
}

bool matchers_parse_utf8(struct arena *a, struct str text, struct matchers *out, struct err *err)
{
    struct parser p = { .list.arena = a, .text = text, .err = err };
    *out = (struct matchers){ 0 };
    struct err saved = *err; /* err stays untouched on success: looking for a brace may set it */
    if (!parse(&p)) {
        matchers_deinit(&p.list.ms);
        return false;
    }
    *err = saved;
    *out = p.list.ms;
    return true;
}

bool matcher_parse_utf8(struct arena *a, struct str text, struct matcher *out, struct err *err)
{
    struct matchers ms;
    if (!matchers_parse_utf8(a, text, &ms, err))
        return false;
    if (ms.n == 1) {
        *out = ms.v[0];
        return true;
    }
    if (ms.n == 0)
        err_set(err, ERR_INVALID, "no matchers");
    else
        err_set(err, ERR_INVALID, "expected 1 matcher, found %zu", ms.n);
    matchers_deinit(&ms);
    return false;
}
