/* The classic matcher parser: what Alertmanager had before UTF-8 names. Forgiving about quotes and braces, strict about
 * names (spec/alertmanager.md 3.2). One pass for the list, one for each matcher; texts are unescaped into the arena. */
#include "base/utf8.h"
#include "model/matcher_int.h"

/* The white space of regular expressions' \s: not the vertical tab. */
static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static struct str trim(struct str s)
{
    while (s.n > 0 && is_space(s.p[0]))
        s = str_from(s, 1);
    while (s.n > 0 && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

static bool take_name(struct str *rest, struct str *name)
{
    size_t n = 0;
    while (n < rest->n) {
        char c = rest->p[n];
        if (!ascii_is_alpha(c) && c != '_' && c != ':' && (n == 0 || !ascii_is_digit(c)))
            break;
        n++;
    }
    *name = str_sub(*rest, 0, n);
    *rest = str_from(*rest, n);
    return n > 0;
}

static bool take_op(struct str *rest, enum match_op *op)
{
    static const enum match_op order[] = { MATCH_RE, MATCH_EQ, MATCH_NE, MATCH_NRE };
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        struct str text = match_op_text(order[i]);
        if (str_starts(*rest, text)) {
            *op = order[i];
            *rest = str_from(*rest, text.n);
            return true;
        }
    }
    return false;
}

/* `raw` without its quotes and escapes. A backslash before anything but n, " and \ stands for itself. */
static bool unescape(struct arena *a, struct str raw, struct str *value, struct err *err)
{
    struct str text = raw;
    bool open = text.n > 0 && text.p[0] == '"';
    if (open)
        text = str_from(text, 1);
    if (!utf8_valid(text))
        return err_set(err, ERR_INVALID, "matcher value not valid UTF-8: %.*s", STR_ARG(raw));
    char *out = arena_alloc(a, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool last = i + 1 == text.n;
        if (c == '\\' && !last) {
            char escaped = text.p[++i];
            if (escaped != 'n' && escaped != '"' && escaped != '\\')
                out[n++] = '\\';
            out[n++] = escaped == 'n' ? '\n' : escaped;
        } else if (c == '"') {
            if (!open || !last)
                return err_set(err, ERR_INVALID, "matcher value contains unescaped double quote: %.*s",
                               STR_ARG(raw));
            open = false;
        } else {
            out[n++] = c;
        }
    }
    if (open)
        return err_set(err, ERR_INVALID, "matcher value contains unescaped double quote: %.*s", STR_ARG(raw));
    *value = str_of(out, n);
    return true;
}

static bool parse_one(struct matcher_list *list, struct str text, struct err *err)
{
    struct str rest = trim(text), name, value;
    enum match_op op;
    bool ok = take_name(&rest, &name);
    rest = trim(rest);
    ok = ok && take_op(&rest, &op);
    if (!ok)
        return err_set(err, ERR_INVALID, "bad matcher format: %.*s", STR_ARG(text));
    return unescape(list->arena, trim(rest), &value, err) &&
           matcher_list_add(list, op, arena_str(list->arena, name), value, err);
}

bool matcher_parse_classic(struct arena *a, struct str text, struct matcher *out, struct err *err)
{
    struct matcher_list list = { .arena = a };
    if (!parse_one(&list, text, err))
        return false;
    *out = list.ms.v[0];
    return true;
}

/* The next piece before a comma outside quotes; *last at the end of the text. */
static struct str take_piece(struct str *rest, bool *last)
{
    bool quoted = false, escaped = false;
    for (size_t i = 0; i < rest->n; i++) {
        switch (rest->p[i]) {
        case ',':
            if (!quoted) {
                struct str piece = str_sub(*rest, 0, i);
                *rest = str_from(*rest, i + 1);
                return piece;
            }
            break; /* quoted: and the escape stays pending, as upstream has it */
        case '"':
            quoted = escaped ? quoted : !quoted;
            escaped = false;
            break;
        case '\\':
            escaped = !escaped;
            break;
        default:
            escaped = false;
        }
    }
    *last = true;
    return *rest;
}

static struct str trim_unicode(struct str s)
{
    size_t size;
    while (s.n > 0 && rune_is_white_space(utf8_decode(s, &size)))
        s = str_from(s, size);
    while (s.n > 0 && rune_is_white_space(utf8_decode_last(s, &size)))
        s.n -= size;
    return s;
}

static struct str repaired(struct arena *a, struct str text)
{
    if (utf8_valid(text))
        return text;
    struct buf valid = { 0 };
    utf8_append_valid(&valid, text);
    struct str copy = arena_str(a, buf_view(&valid));
    buf_deinit(&valid);
    return copy;
}

bool matchers_parse_classic(struct arena *a, struct str text, struct matchers *out, struct err *err)
{
    struct matcher_list list = { .arena = a };
    struct str rest = repaired(a, text);
    if (str_starts(rest, STR("{")))
        rest = str_from(rest, 1);
    if (str_ends(rest, STR("}")))
        rest.n--;
    *out = (struct matchers){ 0 };
    bool ok = true, last = false;
    while (ok && !last) {
        struct str piece = take_piece(&rest, &last);
        if (last) {
            piece = trim_unicode(piece);
            if (piece.n == 0)
                break;
        }
        ok = parse_one(&list, piece, err);
    }
    if (!ok) {
        matchers_deinit(&list.ms);
        return false;
    }
    *out = list.ms;
    return true;
}
