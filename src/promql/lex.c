/* The lexer. One pass over the bytes with three modes: top level, inside {} and inside []; each character is looked at
 * once. Numbers follow upstream's scanner step by step, because what it refuses is visible to users.
 *
 * L1  Tokens ascend and do not overlap; the last is T_EOF or T_ERROR.
 * Bounds: the caller has bounded the text (PROMQL_TEXT_MAX). */
#include "promql/lex_int.h"

#include "base/utf8.h"

#define END_OF_TEXT (-1)

struct lexer {
    struct arena *a;
    struct str text;
    size_t start, pos;
    struct tokens *out;
    int parens;
    bool bracket, colon, number_seen, brace;
    bool failed;
};

static const struct {
    struct str word;
    enum token_kind kind;
} keywords[] = {
    { STR_INIT("and"), T_AND }, { STR_INIT("or"), T_OR }, { STR_INIT("unless"), T_UNLESS }, { STR_INIT("atan2"), T_ATAN2 },
    { STR_INIT("sum"), T_SUM }, { STR_INIT("avg"), T_AVG }, { STR_INIT("count"), T_COUNT }, { STR_INIT("min"), T_MIN },
    { STR_INIT("max"), T_MAX }, { STR_INIT("group"), T_GROUP }, { STR_INIT("stddev"), T_STDDEV },
    { STR_INIT("stdvar"), T_STDVAR }, { STR_INIT("topk"), T_TOPK }, { STR_INIT("bottomk"), T_BOTTOMK },
    { STR_INIT("count_values"), T_COUNT_VALUES }, { STR_INIT("quantile"), T_QUANTILE }, { STR_INIT("limitk"), T_LIMITK },
    { STR_INIT("limit_ratio"), T_LIMIT_RATIO },
    { STR_INIT("offset"), T_OFFSET }, { STR_INIT("smoothed"), T_SMOOTHED }, { STR_INIT("anchored"), T_ANCHORED },
    { STR_INIT("by"), T_BY }, { STR_INIT("without"), T_WITHOUT }, { STR_INIT("on"), T_ON },
    { STR_INIT("ignoring"), T_IGNORING }, { STR_INIT("group_left"), T_GROUP_LEFT },
    { STR_INIT("group_right"), T_GROUP_RIGHT }, { STR_INIT("fill"), T_FILL }, { STR_INIT("fill_left"), T_FILL_LEFT },
    { STR_INIT("fill_right"), T_FILL_RIGHT }, { STR_INIT("bool"), T_BOOL },
    { STR_INIT("start"), T_START }, { STR_INIT("end"), T_END }, { STR_INIT("step"), T_STEP },
    { STR_INIT("range"), T_RANGE }, { STR_INIT("max_of"), T_MAX_OF }, { STR_INIT("min_of"), T_MIN_OF },
    { STR_INIT("inf"), T_NUMBER }, { STR_INIT("nan"), T_NUMBER },
};

static int peek(const struct lexer *l)
{
    return l->pos < l->text.n ? (unsigned char)l->text.p[l->pos] : END_OF_TEXT;
}
static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}
static bool is_alpha(int c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_alnum(int c)
{
    return is_alpha(c) || is_digit(c);
}
static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
static bool in_set(const struct lexer *l, const char *set)
{
    int c = peek(l);
    return c > 0 && strchr(set, c) != NULL;
}
static bool accept_one(struct lexer *l, const char *set)
{
    if (!in_set(l, set))
        return false;
    l->pos++;
    return true;
}

static void push(struct lexer *l, enum token_kind kind, struct str text)
{
    struct tokens *o = l->out;
    if (o->n == o->capacity) {
        size_t capacity = o->capacity ? o->capacity * 2 : 32;
        struct token *v = arena_alloc_array(l->a, capacity, sizeof *v);
        if (o->n)
            memcpy(v, o->v, o->n * sizeof *v);
        o->v = v;
        o->capacity = capacity;
    }
    o->v[o->n++] = (struct token){ kind, (uint32_t)l->start, (uint32_t)l->pos, text };
    l->start = l->pos;
}
static void emit(struct lexer *l, enum token_kind kind)
{
    push(l, kind, str_of(l->text.p + l->start, l->pos - l->start));
}
static void fail(struct lexer *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void fail(struct lexer *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str text = arena_vprintf(l->a, fmt, ap);
    va_end(ap);
    push(l, T_ERROR, text);
    l->failed = true;
}
/* The character at byte `at` as Go's %q of a rune. */
static struct str quoted_rune(struct lexer *l, size_t at)
{
    if (at >= l->text.n)
        return STR("'\\ufffd'"); /* upstream's end marker is no valid rune */
    size_t size;
    rune r = utf8_decode(str_from(l->text, at), &size);
    struct buf b = { 0 };
    switch (r) {
    case '\'': buf_c(&b, "'\\''"); break;
    case '"': buf_c(&b, "'\"'"); break;
    default: {
        struct buf q = { 0 };
        go_quote(&q, str_of(l->text.p + at, size));
        buf_byte(&b, '\'');
        buf_append(&b, q.p + 1, q.n - 2);
        buf_byte(&b, '\'');
        buf_deinit(&q);
    }
    }
    struct str s = arena_str(l->a, buf_view(&b));
    buf_deinit(&b);
    return s;
}
#define RUNE_AT(l, at) STR_ARG(quoted_rune((l), (at)))

static bool scan_number(struct lexer *l)
{
    size_t initial = l->pos;
    const char *digits = "0123456789", *body = "0123456789._eE";
    bool hex = false, dot = false, exponent = false;
    if (accept_one(l, "0") && accept_one(l, "xX")) {
        accept_one(l, "_");
        digits = "0123456789abcdefABCDEF";
        body = "0123456789abcdefABCDEF._";
        hex = true;
    }
    accept_one(l, ".");
    accept_one(l, digits);
    while (in_set(l, body)) {
        if (accept_one(l, ".")) {
            if (dot || accept_one(l, "_.") || hex)
                return false;
            dot = true;
        } else if (accept_one(l, "eE")) {
            if (exponent)
                return false;
            exponent = true;
            accept_one(l, "+-");
            if (accept_one(l, "._eE") || peek(l) == END_OF_TEXT)
                return false;
        } else if (accept_one(l, "_")) {
            if (accept_one(l, "._eE") || peek(l) == END_OF_TEXT)
                return false;
        } else {
            while (accept_one(l, digits) && !in_set(l, "eE"))
                continue;
        }
    }
    return l->pos != initial && !is_alnum(peek(l));
}

static bool rest_of_duration(struct lexer *l)
{
    if (!accept_one(l, "smhdwy"))
        return false;
    accept_one(l, "s");
    while (accept_one(l, "0123456789")) {
        while (accept_one(l, "0123456789"))
            continue;
        if (!accept_one(l, "smhdw"))
            return false;
        accept_one(l, "s");
    }
    bool ends = !is_alnum(peek(l));
    l->pos += !ends; /* what follows shows in the error */
    return ends;
}

static void lex_number(struct lexer *l)
{
    if (scan_number(l)) {
        emit(l, T_NUMBER);
        return;
    }
    if (rest_of_duration(l)) {
        emit(l, T_DURATION);
        return;
    }
    struct buf q = { 0 };
    go_quote(&q, str_of(l->text.p + l->start, l->pos - l->start));
    fail(l, "bad number or duration syntax: %.*s", STR_ARG(buf_view(&q)));
    buf_deinit(&q);
}

/* Go's %#U of the character at the cursor. */
static struct str named_rune(struct lexer *l)
{
    size_t size;
    rune r = utf8_decode(str_from(l->text, l->pos), &size);
    if (!rune_is_printable(r))
        return arena_printf(l->a, "U+%04X", (unsigned)r);
    return arena_printf(l->a, "U+%04X '%.*s'", (unsigned)r, (int)size, l->text.p + l->pos);
}

/* After the backslash. False: failed. */
static bool lex_escape(struct lexer *l, char quote)
{
    int c = peek(l), digits = 0;
    uint32_t base = 16, max = 0x10FFFF, v = 0;
    if (c == END_OF_TEXT)
        return fail(l, "escape sequence not terminated"), false;
    if ((c && strchr("abfnrtv\\", c)) || c == quote)
        return l->pos++, true;
    if (c >= '0' && c <= '7') {
        digits = 3;
        base = 8;
        max = 255;
    } else if (c == 'x' || c == 'u' || c == 'U') {
        digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        max = c == 'x' ? 255 : max;
        l->pos++;
    } else {
        return fail(l, "unknown escape sequence %.*s", STR_ARG(named_rune(l))), false;
    }
    for (; digits > 0; digits--, l->pos++) {
        c = peek(l);
        int d = c == END_OF_TEXT ? -1 : ascii_xdigit_value((char)c);
        if (c == END_OF_TEXT)
            return fail(l, "escape sequence not terminated"), false;
        if (d < 0 || (uint32_t)d >= base)
            return fail(l, "illegal character %.*s in escape sequence", STR_ARG(named_rune(l))), false;
        v = v * base + (uint32_t)d;
    }
    if (v > max || (v >= 0xD800 && v < 0xE000))
        return fail(l, "escape sequence is an invalid Unicode code point"), false;
    return true;
}

static void lex_string(struct lexer *l, char quote)
{
    l->pos++;
    for (;;) {
        int c = peek(l);
        if (c == END_OF_TEXT || (c == '\n' && quote != '`')) {
            fail(l, quote == '`' ? "unterminated raw string" : "unterminated quoted string");
            return;
        }
        if (c == '\\' && quote != '`') {
            l->pos++;
            if (!lex_escape(l, quote))
                return;
            continue;
        }
        if (c >= 0x80) {
            size_t size;
            rune r = utf8_decode(str_from(l->text, l->pos), &size);
            if (r == RUNE_ERROR && size == 1) {
                fail(l, "invalid UTF-8 rune");
                return;
            }
            l->pos += size;
            continue;
        }
        l->pos++;
        if (c == quote)
            break;
    }
    emit(l, T_STRING);
}

static void lex_word(struct lexer *l)
{
    bool has_colon = false;
    while (is_alnum(peek(l)) || peek(l) == ':') {
        has_colon |= peek(l) == ':';
        l->pos++;
    }
    struct str word = str_of(l->text.p + l->start, l->pos - l->start);
    for (size_t i = 0; i < ARRAY_LEN(keywords) && !has_colon; i++) {
        if (!str_eq_nocase(word, keywords[i].word))
            continue;
        enum token_kind k = keywords[i].kind;
        if (k == T_FILL || k == T_FILL_LEFT || k == T_FILL_RIGHT) {
            size_t at = l->pos;
            while (at < l->text.n && is_space((unsigned char)l->text.p[at]))
                at++;
            if (at >= l->text.n || l->text.p[at] != '(')
                break;
        }
        emit(l, k);
        return;
    }
    emit(l, has_colon ? T_METRIC_IDENTIFIER : T_IDENTIFIER);
}

/* Skips white space and comments; true if it moved. */
static bool skip_space(struct lexer *l)
{
    size_t before = l->pos;
    for (;;) {
        int c = peek(l);
        if (is_space(c)) {
            l->pos++;
        } else if (c == '#') {
            while (peek(l) != END_OF_TEXT && peek(l) != '\n' && peek(l) != '\r')
                l->pos++;
        } else {
            break;
        }
    }
    l->start = l->pos;
    return l->pos != before;
}

static void one(struct lexer *l, enum token_kind kind)
{
    l->pos++;
    emit(l, kind);
}
static void two(struct lexer *l, enum token_kind kind)
{
    l->pos += 2;
    emit(l, kind);
}
static int second(const struct lexer *l)
{
    return l->pos + 1 < l->text.n ? (unsigned char)l->text.p[l->pos + 1] : END_OF_TEXT;
}

static bool lex_arithmetic(struct lexer *l, int c)
{
    switch (c) {
    case ',': one(l, T_COMMA); return true;
    case '+': one(l, T_ADD); return true;
    case '-': one(l, T_SUB); return true;
    case '*': one(l, T_MUL); return true;
    case '/': one(l, T_DIV); return true;
    case '%': one(l, T_MOD); return true;
    case '^': one(l, T_POW); return true;
    case '(':
        l->parens++;
        one(l, T_LPAREN);
        return true;
    case ')':
        one(l, T_RPAREN); /* upstream has emitted it when it complains */
        if (--l->parens < 0)
            fail(l, "unexpected right parenthesis ')'");
        return true;
    default: return false;
    }
}

static void lex_top(struct lexer *l)
{
    int c = peek(l), d = second(l);
    if (lex_arithmetic(l, c))
        return;
    switch (c) {
    case END_OF_TEXT:
        if (l->parens != 0)
            fail(l, "unclosed left parenthesis");
        else
            emit(l, T_EOF);
        return;
    case '=':
        if (d == '=')
            two(l, T_EQLC);
        else if (d == '~')
            fail(l, "unexpected character after '=': '~'");
        else
            one(l, T_ASSIGN);
        return;
    case '!':
        if (d == '=')
            two(l, T_NEQ);
        else
            fail(l, "unexpected character after '!': %.*s", RUNE_AT(l, l->pos + 1));
        return;
    case '<':
        d == '=' ? two(l, T_LTE) : d == '/' ? two(l, T_TRIM_UPPER) : one(l, T_LSS);
        return;
    case '>':
        d == '=' ? two(l, T_GTE) : d == '/' ? two(l, T_TRIM_LOWER) : one(l, T_GTR);
        return;
    case '"':
    case '\'':
    case '`': lex_string(l, (char)c); return;
    case '{':
        l->brace = true;
        one(l, T_LBRACE);
        return;
    case '[':
        l->bracket = true;
        l->colon = l->number_seen = false;
        one(l, T_LBRACKET);
        return;
    case ']': fail(l, "unexpected right bracket ']'"); return;
    case '@': one(l, T_AT); return;
    default: break;
    }
    if (is_digit(c) || (c == '.' && is_digit(d)))
        lex_number(l);
    else if (is_alpha(c) || c == ':')
        lex_word(l);
    else
        fail(l, "unexpected character: %.*s", RUNE_AT(l, l->pos));
}

static void lex_braces(struct lexer *l)
{
    int c = peek(l), d = second(l);
    switch (c) {
    case END_OF_TEXT: fail(l, "unexpected end of input inside braces"); return;
    case ',': one(l, T_COMMA); return;
    case '"':
    case '\'':
    case '`': lex_string(l, (char)c); return;
    case '=': d == '~' ? two(l, T_EQL_REGEX) : one(l, T_ASSIGN); return;
    case '!':
        if (d == '~' || d == '=')
            two(l, d == '=' ? T_NEQ : T_NEQ_REGEX);
        else
            fail(l, "unexpected character after '!' inside braces: %.*s", RUNE_AT(l, l->pos + 1));
        return;
    case '{': fail(l, "unexpected left brace '{'"); return;
    case '}':
        l->brace = false;
        one(l, T_RBRACE);
        return;
    default: break;
    }
    if (!is_alpha(c)) {
        fail(l, "unexpected character inside braces: %.*s", RUNE_AT(l, l->pos));
        return;
    }
    while (is_alnum(peek(l)))
        l->pos++;
    emit(l, T_IDENTIFIER);
}

static void lex_brackets(struct lexer *l)
{
    int c = peek(l);
    if (lex_arithmetic(l, c))
        return;
    switch (c) {
    case END_OF_TEXT:
        fail(l, l->number_seen ? "unclosed left bracket" : "unexpected end of input in duration expression");
        return;
    case '[': fail(l, "unexpected left bracket '['"); return;
    case ']':
        l->bracket = false;
        one(l, T_RBRACKET);
        return;
    case ':':
        if (!l->number_seen) {
            fail(l, "unexpected colon before duration in duration expression");
        } else if (l->colon) {
            fail(l, "unexpected repeated colon in duration expression");
        } else {
            l->colon = true;
            one(l, T_COLON);
        }
        return;
    default: break;
    }
    if (is_digit(c) || (c == '.' && is_digit(second(l)))) {
        l->number_seen = true;
        lex_number(l);
        return;
    }
    size_t end = l->pos;
    while (end < l->text.n && is_alnum((unsigned char)l->text.p[end]))
        end++;
    struct str word = str_of(l->text.p + l->pos, end - l->pos);
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
        enum token_kind k = keywords[i].kind;
        if ((k == T_STEP || k == T_RANGE || k == T_MAX_OF || k == T_MIN_OF) && str_eq_nocase(word, keywords[i].word)) {
            l->pos = end;
            l->number_seen = true;
            emit(l, k);
            return;
        }
    }
    fail(l, "unexpected character in duration expression: %.*s", RUNE_AT(l, l->pos));
}

void promql_lex(struct arena *a, struct str text, struct tokens *out)
{
    struct lexer l = { .a = a, .text = text, .out = out };
    do {
        skip_space(&l);
        if (l.brace)
            lex_braces(&l);
        else if (l.bracket)
            lex_brackets(&l);
        else
            lex_top(&l);
    } while (!l.failed && out->v[out->n - 1].kind != T_EOF);
}

/* ---- descriptions ---- */

struct str promql_token_desc(struct arena *a, const struct token *t)
{
    if (t->kind == T_EOF)
        return STR("end of input");
    if (t->kind == T_IDENTIFIER)
        return arena_printf(a, "identifier \"%.*s\"", STR_ARG(t->text));
    if (t->kind == T_METRIC_IDENTIFIER)
        return arena_printf(a, "metric identifier \"%.*s\"", STR_ARG(t->text));
    if (t->kind == T_STRING || t->kind == T_NUMBER || t->kind == T_DURATION) {
        struct buf q = { 0 };
        go_quote(&q, t->text.n > 10 ? utf8_prefix(t->text, 10) : t->text);
        const char *what = t->kind == T_STRING ? "string" : t->kind == T_NUMBER ? "number" : "duration";
        struct str s = arena_printf(a, "%s %.*s%s", what, STR_ARG(buf_view(&q)), t->text.n > 10 ? "..." : "");
        buf_deinit(&q);
        return s;
    }
    struct buf lower = { 0 };
    for (size_t i = 0; i < t->text.n; i++)
        buf_byte(&lower, ascii_lower(t->text.p[i]));
    struct str word = buf_view(&lower), s;
    if ((t->kind >= T_ADD && t->kind <= T_ATAN2) || t->kind == T_AT)
        s = arena_printf(a, "<op:%.*s>", STR_ARG(word));
    else if (t->kind >= T_SUM && t->kind <= T_LIMIT_RATIO)
        s = arena_printf(a, "<aggr:%.*s>", STR_ARG(word));
    else if (t->kind >= T_OFFSET && t->kind <= T_BOOL)
        s = arena_printf(a, "<%.*s>", STR_ARG(word));
    else
        s = arena_printf(a, "\"%.*s\"", STR_ARG(word));
    buf_deinit(&lower);
    return s;
}

/* ---- strings ---- */

static bool hex_value(struct str s, size_t digits, uint32_t *v)
{
    if (s.n < digits)
        return false;
    *v = 0;
    for (size_t i = 0; i < digits; i++) {
        int x = ascii_xdigit_value(s.p[i]);
        if (x < 0)
            return false;
        *v = *v << 4 | (uint32_t)x;
    }
    return true;
}

/* The escape after a backslash at s.p[0]; *used counts from there. */
static bool unescape(struct str s, char quote, struct buf *out, size_t *used)
{
    static const char from[] = "abfnrtv\\", to[] = "\a\b\f\n\r\t\v\\";
    if (s.n == 0)
        return false;
    char c = s.p[0];
    const char *simple = c ? strchr(from, c) : NULL;
    uint32_t v = 0;
    *used = 1;
    if (simple || c == quote) {
        buf_byte(out, simple ? to[simple - from] : quote);
        return true;
    }
    if (c >= '0' && c <= '7') {
        for (size_t i = 0; i < 3; i++) {
            if (i >= s.n || s.p[i] < '0' || s.p[i] > '7')
                return false;
            v = v << 3 | (uint32_t)(s.p[i] - '0');
        }
        *used = 3;
        buf_byte(out, (char)(unsigned char)v);
        return v <= 255;
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0 || !hex_value(str_from(s, 1), digits, &v))
        return false;
    *used = digits + 1;
    if (c == 'x') {
        buf_byte(out, (char)(unsigned char)v);
        return true;
    }
    if (v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF))
        return false;
    utf8_append(out, v);
    return true;
}

bool promql_unquote(struct arena *a, struct str quoted, struct str *out, struct err *err)
{
    ASSERT(quoted.n >= 2);
    char quote = quoted.p[0];
    struct str body = str_sub(quoted, 1, quoted.n - 2);
    if (quote == '`' || str_find_byte(body, '\\') == STR_NPOS) {
        *out = arena_str(a, body);
        return true;
    }
    struct buf b = { 0 };
    bool ok = true;
    for (size_t i = 0; i < body.n && ok;) {
        if (body.p[i] != '\\') {
            buf_byte(&b, body.p[i++]);
            continue;
        }
        size_t used;
        ok = unescape(str_from(body, i + 1), quote, &b, &used);
        i += used + 1;
    }
    *out = ok ? arena_str(a, buf_view(&b)) : STR_EMPTY;
    buf_deinit(&b);
    return ok || err_set(err, ERR_INVALID, "unknown escape sequence");
}
