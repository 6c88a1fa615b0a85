/* A checker for Go's regular expression syntax (regexp/syntax with the Perl flags).
 *
 * Users know Go's error texts, tests of the peers compare them, and RE2 words them differently; so the text is read
 * here first, in the order in which Go reads it, and the first objection is Go's. No tree is built. Of the operand
 * that a repetition may apply to only two things are kept: that there is one, and its weight (the product of the
 * nested repeat counts along its heaviest path, Go's bound on program size).
 *
 *   S1  pos never passes the end and only grows: one pass, no backtracking.
 *   S2  stack[depth] exists for every open group; depth is bounded by DEPTH_MAX as Go's tree height is.
 *   S3  what is appended to `rewritten` compiles in RE2 to the same language. */
#include "regex/syntax_int.h"

#include "base/utf8.h"

enum {
    DEPTH_MAX = 1000,  /* Go: maxHeight */
    REPEAT_MAX = 1000, /* Go and RE2 */
    NUMBER_MAX = 100000000,
};

struct level {
    uint32_t weight;     /* of the heaviest finished element in this group */
    uint32_t top_weight; /* of the element that a repetition would apply to */
    bool has_operand;
};
struct checker {
    struct str text; /* whole */
    size_t pos;
    size_t repeat_from; /* start of a repetition that ended at pos; NO_REPEAT if the last token was another */
    struct level stack[DEPTH_MAX + 1];
    size_t depth;
    struct buf *out;
    struct err *err;
};
#define NO_REPEAT SIZE_MAX

bool regex_syntax_error(struct err *err, const char *reason, struct str fragment)
{
    return err_set(err, ERR_INVALID, "error parsing regexp: %s: `%.*s`", reason, STR_ARG(fragment));
}

static bool fail_from(struct checker *c, const char *reason, size_t from)
{
    return regex_syntax_error(c->err, reason, str_sub(c->text, from, c->pos - from));
}

static bool at_end(const struct checker *c)
{
    return c->pos >= c->text.n;
}

static char peek(const struct checker *c, size_t ahead)
{
    return c->pos + ahead < c->text.n ? c->text.p[c->pos + ahead] : '\0';
}

/* The next code point; at the end RUNE_ERROR without moving, as Go's nextRune of an empty text. */
static bool next_rune(struct checker *c, rune *r)
{
    if (at_end(c)) {
        *r = RUNE_ERROR;
        return true;
    }
    size_t size;
    struct str rest = str_from(c->text, c->pos);
    *r = utf8_decode(rest, &size);
    if (*r == RUNE_ERROR && size == 1)
        return regex_syntax_error(c->err, "invalid UTF-8", rest);
    c->pos += size;
    return true;
}

static bool check_utf8(struct checker *c, struct str s)
{
    while (s.n > 0) {
        size_t size;
        rune r = utf8_decode(s, &size);
        if (r == RUNE_ERROR && size == 1)
            return regex_syntax_error(c->err, "invalid UTF-8", s);
        s = str_from(s, size);
    }
    return true;
}

static void push_operand(struct checker *c, uint32_t weight)
{
    struct level *l = &c->stack[c->depth];
    if (l->has_operand && l->top_weight > l->weight)
        l->weight = l->top_weight;
    l->top_weight = weight;
    l->has_operand = true;
}

static uint32_t level_weight(const struct level *l)
{
    return l->has_operand && l->top_weight > l->weight ? l->top_weight : l->weight;
}

static bool open_group(struct checker *c)
{
    if (c->depth == DEPTH_MAX)
        return regex_syntax_error(c->err, "expression nests too deeply", c->text);
    c->depth++;
    c->stack[c->depth] = (struct level){ .weight = 1 };
    return true;
}

static bool close_group(struct checker *c)
{
    if (c->depth == 0)
        return regex_syntax_error(c->err, "unexpected )", c->text);
    uint32_t weight = level_weight(&c->stack[c->depth]);
    c->depth--;
    push_operand(c, weight);
    return true;
}

static bool is_hex(rune r, rune *v)
{
    if (r > 127 || !ascii_is_xdigit((char)r))
        return false;
    *v = (rune)ascii_xdigit_value((char)r);
    return true;
}

/* \x41 and \x{10FFFF}, after the x. *good is false where Go calls the escape invalid. */
static bool read_hex(struct checker *c, rune *value, bool *good)
{
    rune r, v;
    *good = false;
    if (at_end(c))
        return true;
    if (!next_rune(c, &r))
        return false;
    if (r == '{') {
        *value = 0;
        for (size_t digits = 0; !at_end(c); digits++) {
            if (!next_rune(c, &r))
                return false;
            if (r == '}') {
                *good = digits > 0;
                return true;
            }
            if (!is_hex(r, &v))
                return true;
            *value = *value * 16 + v;
            if (*value > 0x10FFFF)
                return true;
        }
        return true;
    }
    rune low;
    bool high = is_hex(r, &v);
    if (!next_rune(c, &r))
        return false;
    if (high && is_hex(r, &low)) {
        *value = v * 16 + low;
        *good = true;
    }
    return true;
}

/* A backslash escape that stands for one character; pos is at the backslash. */
static bool read_escape(struct checker *c, rune *value)
{
    size_t from = c->pos++;
    if (at_end(c))
        return regex_syntax_error(c->err, "trailing backslash at end of expression", STR_EMPTY);
    rune r;
    if (!next_rune(c, &r))
        return false;
    *value = r;
    if (r < 128 && !ascii_is_alnum((char)r))
        return true;
    if (r >= '0' && r <= '7') {
        bool octal = r == '0' || (peek(c, 0) >= '0' && peek(c, 0) <= '7'); /* else a back-reference */
        if (!octal)
            return fail_from(c, "invalid escape sequence", from);
        *value = r - '0';
        for (int i = 1; i < 3 && peek(c, 0) >= '0' && peek(c, 0) <= '7'; i++)
            *value = *value * 8 + (rune)(c->text.p[c->pos++] - '0');
        return true;
    }
    switch (r) {
    case 'x': {
        bool good;
        if (!read_hex(c, value, &good))
            return false;
        return good || fail_from(c, "invalid escape sequence", from);
    }
    case 'a':
        *value = '\a';
        return true;
    case 'f':
        *value = '\f';
        return true;
    case 'n':
        *value = '\n';
        return true;
    case 'r':
        *value = '\r';
        return true;
    case 't':
        *value = '\t';
        return true;
    case 'v':
        *value = '\v';
        return true;
    default:
        return fail_from(c, "invalid escape sequence", from);
    }
}

/* Long names of general categories: Go takes them in any case and spelling since 1.25, RE2 does not. */
static const struct {
    const char *name, *category;
} category_names[] = {
    { "other", "C" },  { "control", "Cc" }, { "cntrl", "Cc" }, { "format", "Cf" }, { "privateuse", "Co" },
    { "surrogate", "Cs" }, { "letter", "L" }, { "lowercaseletter", "Ll" }, { "modifierletter", "Lm" },
    { "otherletter", "Lo" }, { "titlecaseletter", "Lt" }, { "uppercaseletter", "Lu" }, { "mark", "M" },
    { "combiningmark", "M" }, { "spacingmark", "Mc" }, { "enclosingmark", "Me" }, { "nonspacingmark", "Mn" },
    { "number", "N" }, { "decimalnumber", "Nd" }, { "digit", "Nd" }, { "letternumber", "Nl" },
    { "othernumber", "No" }, { "punctuation", "P" }, { "punct", "P" }, { "connectorpunctuation", "Pc" },
    { "dashpunctuation", "Pd" }, { "closepunctuation", "Pe" }, { "finalpunctuation", "Pf" },
    { "initialpunctuation", "Pi" }, { "otherpunctuation", "Po" }, { "openpunctuation", "Ps" }, { "symbol", "S" },
    { "currencysymbol", "Sc" }, { "modifiersymbol", "Sk" }, { "mathsymbol", "Sm" }, { "othersymbol", "So" },
    { "separator", "Z" }, { "lineseparator", "Zl" }, { "paragraphseparator", "Zp" }, { "spaceseparator", "Zs" },
};

static void write_class_name(struct buf *out, struct str name)
{
    char folded[32];
    size_t n = 0;
    for (size_t i = 0; i < name.n && n < sizeof folded; i++)
        if (name.p[i] != '_' && name.p[i] != '-' && name.p[i] != ' ')
            folded[n++] = ascii_lower(name.p[i]);
    for (size_t i = 0; i < ARRAY_LEN(category_names); i++)
        if (str_eq(str_of(folded, n), str_c(category_names[i].name))) {
            buf_c(out, category_names[i].category);
            return;
        }
    buf_str(out, name);
}

static bool read_class_name(struct checker *c, size_t from)
{
    rune r;
    c->pos += 2;
    size_t name_from = c->pos;
    if (!next_rune(c, &r))
        return false;
    buf_str(c->out, str_sub(c->text, from, 2));
    if (r != '{') {
        buf_str(c->out, str_sub(c->text, name_from, c->pos - name_from));
        return true;
    }
    struct str rest = str_from(c->text, from);
    size_t end = str_find_byte(rest, '}');
    if (end == STR_NPOS) {
        if (!check_utf8(c, rest))
            return false;
        return regex_syntax_error(c->err, "invalid character class range", rest);
    }
    struct str name = str_sub(rest, 3, end - 3);
    if (!check_utf8(c, name))
        return false;
    c->pos = from + end + 1;
    buf_byte(c->out, '{');
    if (name.n > 0 && name.p[0] == '^') {
        buf_byte(c->out, '^');
        name = str_from(name, 1);
    }
    write_class_name(c->out, name);
    buf_byte(c->out, '}');
    return true;
}

/* \pN, \p{Greek}, \P{^Lu}; pos is at the backslash. */
static bool read_unicode_class(struct checker *c)
{
    size_t from = c->pos, out_from = c->out->n;
    if (!read_class_name(c, from))
        return false;
    return regex_class_exists(str_from(buf_view(c->out), out_from)) ||
           fail_from(c, "invalid character class range", from);
}

static bool is_perl_class(char letter)
{
    return letter == 'd' || letter == 'D' || letter == 's' || letter == 'S' || letter == 'w' || letter == 'W';
}

/* [:alpha:] inside a class. *taken is false if this is no such name. */
static bool read_posix_class(struct checker *c, bool *taken)
{
    static const char *const names[] = { "alnum", "alpha", "ascii", "blank", "cntrl",  "digit", "graph", "lower",
                                         "print", "punct", "space", "upper", "word",   "xdigit" };
    *taken = false;
    size_t from = c->pos;
    size_t end = str_find(str_from(c->text, from + 2), STR(":]"));
    if (end == STR_NPOS)
        return true;
    struct str name = str_sub(c->text, from + 2, end);
    c->pos = from + 2 + end + 2;
    if (name.n > 0 && name.p[0] == '^')
        name = str_from(name, 1);
    *taken = true;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(name, str_c(names[i]))) {
            buf_str(c->out, str_sub(c->text, from, c->pos - from));
            return true;
        }
    return fail_from(c, "invalid character class range", from);
}

static bool read_class_char(struct checker *c, size_t class_from, rune *r)
{
    size_t from = c->pos;
    if (at_end(c))
        return regex_syntax_error(c->err, "missing closing ]", str_from(c->text, class_from));
    bool ok = peek(c, 0) == '\\' ? read_escape(c, r) : next_rune(c, r);
    if (ok)
        buf_str(c->out, str_sub(c->text, from, c->pos - from));
    return ok;
}

static bool read_class_range(struct checker *c, size_t class_from)
{
    size_t from = c->pos;
    rune low, high;
    if (!read_class_char(c, class_from, &low))
        return false;
    if (peek(c, 0) != '-' || c->pos + 1 >= c->text.n || peek(c, 1) == ']')
        return true;
    buf_byte(c->out, '-');
    c->pos++;
    if (!read_class_char(c, class_from, &high))
        return false;
    return high >= low || fail_from(c, "invalid character class range", from);
}

/* [...]; pos is at the bracket. */
static bool read_class(struct checker *c)
{
    size_t class_from = c->pos++;
    buf_byte(c->out, '[');
    if (peek(c, 0) == '^') {
        buf_byte(c->out, '^');
        c->pos++;
    }
    for (bool first = true; at_end(c) || peek(c, 0) != ']' || first; first = false) {
        char next = peek(c, 0), after = peek(c, 1);
        if (next == '[' && after == ':' && c->pos + 2 < c->text.n) {
            bool taken;
            if (!read_posix_class(c, &taken))
                return false;
            if (taken)
                continue;
        }
        if (next == '\\' && (after == 'p' || after == 'P')) {
            if (!read_unicode_class(c))
                return false;
        } else if (next == '\\' && is_perl_class(after)) {
            buf_str(c->out, str_sub(c->text, c->pos, 2));
            c->pos += 2;
        } else if (!read_class_range(c, class_from)) {
            return false;
        }
    }
    c->pos++;
    buf_byte(c->out, ']');
    push_operand(c, 1);
    return true;
}

static bool is_capture_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] != '_' && !ascii_is_alnum(name.p[i]))
            return false;
    return name.n > 0;
}

/* (?P<name> and (?<name>; `skip` is the length of what stands before the name. */
static bool read_named_group(struct checker *c, size_t skip)
{
    struct str rest = str_from(c->text, c->pos);
    size_t end = str_find_byte(rest, '>');
    if (end == STR_NPOS) {
        if (!check_utf8(c, rest))
            return false;
        return regex_syntax_error(c->err, "invalid named capture", rest);
    }
    struct str name = str_sub(rest, skip, end - skip);
    if (!check_utf8(c, name))
        return false;
    if (!is_capture_name(name))
        return regex_syntax_error(c->err, "invalid named capture", str_sub(rest, 0, end + 1));
    c->pos += end + 1;
    buf_c(c->out, "(?P<");
    buf_str(c->out, name);
    buf_byte(c->out, '>');
    return open_group(c);
}

/* (?flags) and (?flags:...); pos is at the parenthesis. */
static bool read_perl_group(struct checker *c)
{
    struct str rest = str_from(c->text, c->pos);
    if (rest.n > 4 && rest.p[2] == 'P' && rest.p[3] == '<')
        return read_named_group(c, 4);
    if (rest.n > 3 && rest.p[2] == '<')
        return read_named_group(c, 3);
    size_t from = c->pos;
    bool negative = false, saw_flag = false;
    c->pos += 2;
    while (!at_end(c)) {
        rune r;
        if (!next_rune(c, &r))
            return false;
        if (r == 'i' || r == 'm' || r == 's' || r == 'U') {
            saw_flag = true;
        } else if (r == '-' && !negative) {
            negative = true;
            saw_flag = false;
        } else if ((r == ':' || r == ')') && (!negative || saw_flag)) {
            struct str group = str_sub(c->text, from, c->pos - from);
            /* RE2 wants something in it; Go takes (?) as nothing at all. */
            if (!str_eq(group, STR("(?)")))
                buf_str(c->out, group);
            return r == ')' || open_group(c);
        } else {
            break;
        }
    }
    return fail_from(c, "invalid or unsupported Perl syntax", from);
}

/* A number without leading zeros; -1 once it is past any bound. */
static bool read_count(struct checker *c, int *value)
{
    if (!ascii_is_digit(peek(c, 0)) || (peek(c, 0) == '0' && ascii_is_digit(peek(c, 1))))
        return false;
    int n = 0;
    for (; ascii_is_digit(peek(c, 0)); c->pos++)
        if (n >= 0)
            n = n >= NUMBER_MAX ? -1 : n * 10 + (peek(c, 0) - '0');
    *value = n;
    return true;
}

/* {n}, {n,}, {n,m}: *max is -1 for an open end. False, with pos unmoved, if the brace is a literal. */
static bool read_counts(struct checker *c, int *min, int *max)
{
    size_t from = c->pos++;
    bool ok = read_count(c, min);
    if (ok && peek(c, 0) == ',') {
        c->pos++;
        *max = -1;
        if (peek(c, 0) != '}') {
            ok = read_count(c, max);
            if (ok && *max < 0)
                *min = -1;
        }
    } else if (ok) {
        *max = *min;
    }
    if (ok && peek(c, 0) == '}') {
        c->pos++;
        return true;
    }
    c->pos = from;
    return false;
}

/* A repetition that starts at `from` and whose operator ends at pos. */
static bool apply_repeat(struct checker *c, size_t from, bool counted, int min, int max)
{
    if (peek(c, 0) == '?')
        c->pos++;
    if (c->repeat_from != NO_REPEAT)
        return fail_from(c, "invalid nested repetition operator", c->repeat_from);
    struct level *l = &c->stack[c->depth];
    if (!l->has_operand)
        return fail_from(c, "missing argument to repetition operator", from);
    if (counted) {
        uint32_t times = (uint32_t)(max < 0 ? min : max);
        l->top_weight *= times > 0 ? times : 1;
        if ((min >= 2 || max >= 2) && l->top_weight > REPEAT_MAX)
            return fail_from(c, "invalid repeat count", from);
        if (times == 0)
            l->top_weight = 1;
    }
    buf_str(c->out, str_sub(c->text, from, c->pos - from));
    c->repeat_from = from;
    return true;
}

static bool read_repeat(struct checker *c)
{
    size_t from = c->pos;
    if (peek(c, 0) != '{') {
        c->pos++;
        return apply_repeat(c, from, false, 0, 0);
    }
    int min = 0, max = 0;
    if (!read_counts(c, &min, &max)) {
        c->pos++;
        buf_c(c->out, "\\{");
        push_operand(c, 1);
        c->repeat_from = NO_REPEAT;
        return true;
    }
    if (min < 0 || min > REPEAT_MAX || max > REPEAT_MAX || (max >= 0 && min > max))
        return fail_from(c, "invalid repeat count", from);
    return apply_repeat(c, from, true, min, max);
}

/* \Q...\E; RE2 is given each character by itself, so that an unfinished quote cannot swallow what is put behind. */
static bool read_quoted(struct checker *c)
{
    c->pos += 2;
    size_t length = str_find(str_from(c->text, c->pos), STR("\\E"));
    size_t end = length == STR_NPOS ? c->text.n : c->pos + length;
    while (c->pos < end) {
        size_t from = c->pos;
        rune r;
        if (!next_rune(c, &r))
            return false;
        if (r < 128 && r != '\0' && !ascii_is_alnum((char)r) && r != '_')
            buf_byte(c->out, '\\');
        buf_str(c->out, str_sub(c->text, from, c->pos - from));
        push_operand(c, 1);
    }
    c->pos = length == STR_NPOS ? end : end + 2;
    return true;
}

static bool read_backslash(struct checker *c)
{
    size_t from = c->pos;
    char letter = peek(c, 1);
    switch (letter) {
    case 'C':
        c->pos += 2;
        return fail_from(c, "invalid escape sequence", from);
    case 'Q':
        return read_quoted(c);
    case 'p':
    case 'P':
        if (!read_unicode_class(c))
            return false;
        push_operand(c, 1);
        return true;
    case 'A':
    case 'b':
    case 'B':
    case 'z':
        c->pos += 2;
        break;
    default:
        if (is_perl_class(letter)) {
            c->pos += 2;
        } else {
            rune r;
            if (!read_escape(c, &r))
                return false;
        }
    }
    buf_str(c->out, str_sub(c->text, from, c->pos - from));
    push_operand(c, 1);
    return true;
}

static bool read_literal(struct checker *c)
{
    size_t from = c->pos;
    rune r;
    if (!next_rune(c, &r))
        return false;
    buf_str(c->out, str_sub(c->text, from, c->pos - from));
    push_operand(c, 1);
    return true;
}

static bool read_group(struct checker *c)
{
    if (peek(c, 1) == '?')
        return read_perl_group(c);
    c->pos++;
    buf_byte(c->out, '(');
    return open_group(c);
}

static bool read_alternative(struct checker *c)
{
    struct level *l = &c->stack[c->depth];
    l->weight = level_weight(l);
    l->has_operand = false;
    c->pos++;
    buf_byte(c->out, '|');
    return true;
}

static bool read_token(struct checker *c)
{
    switch (c->text.p[c->pos]) {
    case '(':
        return read_group(c);
    case '|':
        return read_alternative(c);
    case ')':
        if (!close_group(c))
            return false;
        c->pos++;
        buf_byte(c->out, ')');
        return true;
    case '[':
        return read_class(c);
    case '\\':
        return read_backslash(c);
    default:
        return read_literal(c);
    }
}

bool regex_syntax_check(struct str pattern, struct buf *rewritten, struct err *err)
{
    struct checker c = { .text = pattern, .repeat_from = NO_REPEAT, .out = rewritten, .err = err };
    c.stack[0].weight = 1;
    while (!at_end(&c)) {
        char next = c.text.p[c.pos];
        bool is_repeat = next == '*' || next == '+' || next == '?' || next == '{';
        if (!(is_repeat ? read_repeat(&c) : read_token(&c)))
            return false;
        if (!is_repeat)
            c.repeat_from = NO_REPEAT;
        ASSERT(c.pos <= c.text.n);
    }
    if (c.depth != 0)
        return regex_syntax_error(err, "missing closing )", pattern);
    return true;
}
