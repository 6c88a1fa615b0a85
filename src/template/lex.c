/* The lexer. Outside of actions everything up to `{{` is one text token; inside, tokens are separated by spaces, which
 * are tokens themselves because `.A.B` and `.A .B` differ. Trim marks are handled here: `{{- ` shortens the text before
 * the action and ` -}}` skips the space after it, so that the parser never sees them.
 *
 * Invariants. L1: start <= pos <= input.n. L2: line is the line of pos, start_line that of start. L3: after an error
 * token only TOKEN_EOF follows. Bounds: the input's length; nothing is looked at twice. */
#include "template/lex_int.h"

#include "base/utf8.h"

#include <unictype.h>

#define SPACE_CHARS " \t\r\n"

static const struct {
    struct str word;
    enum token_type type;
} keywords[] = {
    { STR_INIT("block"), TOKEN_BLOCK },       { STR_INIT("break"), TOKEN_BREAK },
    { STR_INIT("continue"), TOKEN_CONTINUE }, { STR_INIT("define"), TOKEN_DEFINE },
    { STR_INIT("else"), TOKEN_ELSE },         { STR_INIT("end"), TOKEN_END },
    { STR_INIT("if"), TOKEN_IF },             { STR_INIT("nil"), TOKEN_NIL },
    { STR_INIT("range"), TOKEN_RANGE },       { STR_INIT("template"), TOKEN_TEMPLATE },
    { STR_INIT("with"), TOKEN_WITH },         { STR_INIT("true"), TOKEN_BOOL },
    { STR_INIT("false"), TOKEN_BOOL },
};

#define RUNE_EOF UINT32_MAX

static bool is_space(rune r)
{
    return r == ' ' || r == '\t' || r == '\r' || r == '\n';
}

static bool is_alnum(rune r)
{
    if (r < 0x80)
        return r == '_' || ascii_is_alnum((char)r);
    if (r == RUNE_EOF)
        return false;
    return uc_is_general_category_withtable(r, UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_Nd);
}

void lexer_init(struct lexer *l, struct arena *a, struct str input)
{
    *l = (struct lexer){ .arena = a, .input = input, .line = 1, .start_line = 1 };
}

static struct str rest(const struct lexer *l)
{
    return str_from(l->input, l->pos);
}

static bool at(const struct lexer *l, struct str s)
{
    return str_starts(rest(l), s);
}

static rune peek(const struct lexer *l, size_t *size)
{
    if (l->pos >= l->input.n) {
        *size = 0;
        return RUNE_EOF;
    }
    return utf8_decode(rest(l), size);
}

static rune take(struct lexer *l)
{
    size_t size;
    rune r = peek(l, &size);
    l->pos += size;
    if (r == '\n')
        l->line++;
    return r;
}

static uint32_t count_lines(struct str s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '\n';
    return n;
}

/* Skips what is between start and pos; its lines have not been counted yet. */
static void ignore(struct lexer *l)
{
    l->line += count_lines(str_sub(l->input, l->start, l->pos - l->start));
    l->start = l->pos;
    l->start_line = l->line;
}

static struct token emit(struct lexer *l, enum token_type type)
{
    ASSERT(l->start <= l->pos);
    struct token t = { .type = type,
                       .pos = (uint32_t)l->start,
                       .line = l->start_line,
                       .value = str_sub(l->input, l->start, l->pos - l->start) };
    if (type == TOKEN_EOF)
        t.value = STR("EOF");
    l->start = l->pos;
    l->start_line = l->line;
    return t;
}

static struct token fail(struct lexer *l, struct str message)
{
    struct token t = {
        .type = TOKEN_ERROR, .pos = (uint32_t)l->start, .line = l->start_line, .value = message
    };
    l->done = true;
    l->input.n = 0;
    l->pos = l->start = 0;
    return t;
}

static struct token fail_rune(struct lexer *l, const char *what, rune r)
{
    struct buf b = { .limit_bytes = 256 };
    buf_printf(&b, "%s U+%04X", what, r == RUNE_EOF ? 0xFFFFFFFFu : r);
    if (r != RUNE_EOF && rune_is_printable(r)) {
        buf_c(&b, " '");
        utf8_append(&b, r);
        buf_byte(&b, '\'');
    }
    struct str message = arena_str(l->arena, buf_view(&b));
    buf_deinit(&b);
    return fail(l, message);
}

static bool has_left_trim(struct str s)
{
    return s.n >= 2 && s.p[0] == '-' && is_space((unsigned char)s.p[1]);
}

static bool has_right_trim(struct str s)
{
    return s.n >= 2 && is_space((unsigned char)s.p[0]) && s.p[1] == '-';
}

/* Is a right delimiter here, perhaps behind a trim mark? */
static bool at_right_delim(const struct lexer *l, bool *trim)
{
    struct str s = rest(l);
    *trim = has_right_trim(s) && str_starts(str_from(s, 2), STR("}}"));
    return *trim || str_starts(s, STR("}}"));
}

static size_t left_space(struct str s)
{
    size_t n = 0;
    while (n < s.n && is_space((unsigned char)s.p[n]))
        n++;
    return n;
}

/* The closing delimiter of an action or a comment. */
static struct token right_delim(struct lexer *l)
{
    bool trim;
    bool here = at_right_delim(l, &trim);
    ASSERT(here);
    if (trim) {
        l->pos += 2;
        ignore(l);
    }
    l->pos += 2;
    struct token t = emit(l, TOKEN_RIGHT_DELIM);
    if (trim) {
        l->pos += left_space(rest(l));
        ignore(l);
    }
    l->inside_action = false;
    return t;
}

/* Skips a comment whose opening delimiter is here; false with *t an error if it is none that Go accepts. */
static bool skip_comment(struct lexer *l, struct token *t)
{
    l->pos += 2;
    size_t end = str_find(rest(l), STR("*/"));
    if (end == STR_NPOS) {
        *t = fail(l, STR("unclosed comment"));
        return false;
    }
    l->pos += end + 2;
    bool trim;
    if (!at_right_delim(l, &trim)) {
        *t = fail(l, STR("comment ends before closing delimiter"));
        return false;
    }
    l->pos += trim ? 4 : 2;
    if (trim)
        l->pos += left_space(rest(l));
    ignore(l);
    return true;
}

/* Text up to the next action, or that action's opening delimiter. */
static struct token lex_text(struct lexer *l)
{
    struct token t;
    for (;;) {
        size_t x = str_find(rest(l), STR("{{"));
        if (x == STR_NPOS) {
            l->pos = l->input.n;
            if (l->pos == l->start)
                return emit(l, TOKEN_EOF);
            l->line += count_lines(str_from(l->input, l->start));
            return emit(l, TOKEN_TEXT);
        }
        if (x > 0) {
            size_t end = l->pos + x, cut = end;
            if (has_left_trim(str_from(l->input, end + 2)))
                while (cut > l->start && is_space((unsigned char)l->input.p[cut - 1]))
                    cut--;
            l->pos = cut;
            l->line += count_lines(str_sub(l->input, l->start, cut - l->start));
            t = emit(l, TOKEN_TEXT);
            l->pos = end;
            ignore(l);
            if (t.value.n > 0)
                return t;
        }
        bool trim = has_left_trim(str_from(l->input, l->pos + 2));
        if (!str_starts(str_from(l->input, l->pos + 2 + (trim ? 2 : 0)), STR("/*"))) {
            l->pos += 2;
            t = emit(l, TOKEN_LEFT_DELIM);
            l->inside_action = true;
            l->pos += trim ? 2 : 0;
            ignore(l);
            l->paren_depth = 0;
            return t;
        }
        l->pos += 2 + (trim ? 2u : 0u);
        ignore(l);
        if (!skip_comment(l, &t))
            return t;
    }
}

static struct token lex_space(struct lexer *l)
{
    size_t spaces = 0, size;
    while (is_space(peek(l, &size))) {
        take(l);
        spaces++;
    }
    /* The last space may belong to a closing trim mark. */
    struct str s = str_from(l->input, l->pos - 1);
    if (has_right_trim(s) && str_starts(str_from(s, 2), STR("}}"))) {
        l->pos--;
        if (l->input.p[l->pos] == '\n')
            l->line--;
        if (spaces == 1)
            return right_delim(l);
    }
    return emit(l, TOKEN_SPACE);
}

/* May an identifier end here? `$x+2` is refused rather than read as three tokens. */
static bool at_terminator(const struct lexer *l)
{
    size_t size;
    rune r = peek(l, &size);
    if (is_space(r))
        return true;
    switch (r) {
    case RUNE_EOF:
    case '.':
    case ',':
    case '|':
    case ':':
    case ')':
    case '(':
        return true;
    default:
        return at(l, STR("}}"));
    }
}

static struct token lex_word(struct lexer *l, enum token_type type)
{
    size_t size;
    rune r;
    while (is_alnum(r = peek(l, &size)))
        take(l);
    if (!at_terminator(l))
        return fail_rune(l, "bad character", r);
    if (type == TOKEN_IDENTIFIER) {
        struct str word = str_sub(l->input, l->start, l->pos - l->start);
        for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
            if (str_eq(word, keywords[i].word))
                return emit(l, keywords[i].type);
    }
    return emit(l, type);
}

/* A field or a variable whose first character has been taken. */
static struct token lex_field(struct lexer *l, enum token_type type)
{
    if (at_terminator(l))
        return emit(l, type == TOKEN_VARIABLE ? TOKEN_VARIABLE : TOKEN_DOT);
    return lex_word(l, type);
}

static bool accept(struct lexer *l, const char *set)
{
    size_t size;
    rune r = peek(l, &size);
    if (r >= 0x80 || r == 0 || !strchr(set, (int)r))
        return false;
    take(l);
    return true;
}

static bool scan_number(struct lexer *l)
{
    const char *digits = "0123456789_";
    bool decimal = true, hex = false;
    accept(l, "+-");
    if (accept(l, "0")) {
        if (accept(l, "xX"))
            digits = "0123456789abcdefABCDEF_", decimal = false, hex = true;
        else if (accept(l, "oO"))
            digits = "01234567_", decimal = false;
        else if (accept(l, "bB"))
            digits = "01_", decimal = false;
    }
    while (accept(l, digits)) {
    }
    if (accept(l, "."))
        while (accept(l, digits)) {
        }
    if (decimal && accept(l, "eE")) {
        accept(l, "+-");
        while (accept(l, "0123456789_")) {
        }
    }
    if (hex && accept(l, "pP")) {
        accept(l, "+-");
        while (accept(l, "0123456789_")) {
        }
    }
    accept(l, "i");
    size_t size;
    if (is_alnum(peek(l, &size))) {
        take(l);
        return false;
    }
    return true;
}

static struct token bad_number(struct lexer *l)
{
    struct buf b = { .limit_bytes = 1024 };
    buf_c(&b, "bad number syntax: ");
    go_quote(&b, str_sub(l->input, l->start, l->pos - l->start));
    struct str message = arena_str(l->arena, buf_view(&b));
    buf_deinit(&b);
    return fail(l, message);
}

static struct token lex_number(struct lexer *l)
{
    size_t size;
    if (!scan_number(l))
        return bad_number(l);
    rune sign = peek(l, &size);
    if (sign != '+' && sign != '-')
        return emit(l, TOKEN_NUMBER);
    if (!scan_number(l) || l->input.p[l->pos - 1] != 'i')
        return bad_number(l);
    return emit(l, TOKEN_COMPLEX);
}

/* A quoted text whose opening quote has been taken; escapes are the parser's matter. */
static struct token lex_quote(struct lexer *l, rune quote, enum token_type type, struct str unterminated)
{
    for (;;) {
        rune r = take(l);
        if (r == quote)
            return emit(l, type);
        if (r == '\\' && quote != '`') {
            r = take(l);
            if (r != RUNE_EOF && r != '\n')
                continue;
        }
        if (r == RUNE_EOF || (r == '\n' && quote != '`'))
            return fail(l, unterminated);
    }
}

static struct token lex_inside(struct lexer *l)
{
    bool trim;
    if (at_right_delim(l, &trim)) {
        if (l->paren_depth == 0)
            return right_delim(l);
        return fail(l, STR("unclosed left paren"));
    }
    size_t size;
    rune r = peek(l, &size);
    if (is_space(r))
        return lex_space(l);
    if (r == '+' || r == '-' || (r >= '0' && r <= '9'))
        return lex_number(l);
    if (r == '.' && l->pos + 1 < l->input.n && ascii_is_digit(l->input.p[l->pos + 1]))
        return lex_number(l);
    if (is_alnum(r))
        return lex_word(l, TOKEN_IDENTIFIER);
    take(l);
    switch (r) {
    case RUNE_EOF:
        return fail(l, STR("unclosed action"));
    case '=':
        return emit(l, TOKEN_ASSIGN);
    case ':':
        if (take(l) != '=')
            return fail(l, STR("expected :="));
        return emit(l, TOKEN_DECLARE);
    case '|':
        return emit(l, TOKEN_PIPE);
    case '"':
        return lex_quote(l, '"', TOKEN_STRING, STR("unterminated quoted string"));
    case '`':
        return lex_quote(l, '`', TOKEN_RAW_STRING, STR("unterminated raw quoted string"));
    case '\'':
        return lex_quote(l, '\'', TOKEN_CHAR_CONSTANT, STR("unterminated character constant"));
    case '$':
        return lex_field(l, TOKEN_VARIABLE);
    case '.':
        return lex_field(l, TOKEN_FIELD);
    case '(':
        l->paren_depth++;
        return emit(l, TOKEN_LEFT_PAREN);
    case ')':
        if (l->paren_depth == 0)
            return fail(l, STR("unexpected right paren"));
        l->paren_depth--;
        return emit(l, TOKEN_RIGHT_PAREN);
    default:
        if (r >= 0x20 && r < 0x7F)
            return emit(l, TOKEN_CHAR);
        return fail_rune(l, "unrecognized character in action:", r);
    }
}

struct token lexer_next(struct lexer *l)
{
    if (l->done)
        return (struct token){ .type = TOKEN_EOF, .line = l->line, .value = STR("EOF") };
    return l->inside_action ? lex_inside(l) : lex_text(l);
}


void token_write(const struct token *t, struct buf *out)
{
    if (t->type == TOKEN_EOF || t->type == TOKEN_ERROR) {
        buf_str(out, t->value);
    } else if (t->type > TOKEN_KEYWORDS) {
        buf_byte(out, '<');
        buf_str(out, t->value);
        buf_byte(out, '>');
    } else if (t->value.n > 10) {
        go_quote(out, utf8_prefix(t->value, 10));
        buf_c(out, "...");
    } else {
        go_quote(out, t->value);
    }
}
