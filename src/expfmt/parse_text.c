/* Prometheus's text format (spec/prometheus.md 6.1). Lenient where upstream's lexer is: blanks between all tokens, commas
 * between labels optional; strict where it is: the value's characters, the time's digits, the end of the line. */
#include "expfmt/parse_int.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct expfmt_parser *p)
{
    while (p->at < p->text.n && is_blank(p->text.p[p->at]))
        p->at++;
}

static char peek(const struct expfmt_parser *p)
{
    return p->at < p->text.n ? p->text.p[p->at] : '\n'; /* a text ends as if with a line end */
}

static void skip_line(struct expfmt_parser *p)
{
    const char *end = p->at < p->text.n ? memchr(p->text.p + p->at, '\n', p->text.n - p->at) : NULL;
    p->at = end ? (size_t)(end - p->text.p) + 1 : p->text.n;
}

/* ---- samples ---- */

static bool take_time(struct expfmt_parser *p, size_t line, struct err *err)
{
    size_t from = p->at;
    while (ascii_is_digit(peek(p)) && p->at < p->text.n)
        p->at++;
    if (p->at == from)
        return expfmt_fail(p, err, line, "expected timestamp or new record");
    struct str digits = str_of(p->text.p + from, p->at - from);
    if (!num_parse_i64(digits, 10, &p->t))
        return err_set(err, ERR_INVALID, "strconv.ParseInt: parsing \"%.*s\": value out of range while parsing", STR_ARG(digits));
    p->has_t = true;
    skip_blanks(p);
    if (peek(p) != '\n')
        return expfmt_fail(p, err, line, "expected next entry after timestamp");
    return true;
}

bool text_rest(struct expfmt_parser *p, struct err *err)
{
    size_t line = (size_t)(p->series.p - p->text.p);
    skip_blanks(p);
    size_t from = p->at;
    while (p->at < p->text.n && !is_blank(p->text.p[p->at]) && p->text.p[p->at] != '\n' && p->text.p[p->at] != '{')
        p->at++;
    if (p->at == from)
        return expfmt_fail(p, err, line, "expected value after metric");
    if (!expfmt_float(str_of(p->text.p + from, p->at - from), &p->value, err))
        return err_wrap(err, "while parsing: \"%.*s\"", STR_ARG(p->series));
    skip_blanks(p);
    if (peek(p) != '\n' && !take_time(p, line, err))
        return false;
    p->at += p->at < p->text.n;
    return true;
}

/* From the line's first byte on: blanks before a bare name belong to it, as upstream's tokens have it. */
static bool take_series(struct expfmt_parser *p, size_t line, struct err *err)
{
    size_t end;
    if (peek(p) == '{') {
        line = p->at;
        end = p->at;
        if (!expfmt_braces(p, &end, line, false, false, err))
            return false;
        p->at = end;
        if (!p->has_name)
            return err_set(err, ERR_INVALID, "metric name not set while parsing: \"%.*s\"",
                           STR_ARG(str_of(p->text.p + line, end - line)));
    } else {
        if (!(expfmt_class[(uint8_t)peek(p)] & CLASS_NAME_START))
            return expfmt_fail(p, err, line, "expected a valid start token");
        while (p->at < p->text.n && expfmt_class[(uint8_t)p->text.p[p->at]] & CLASS_NAME)
            p->at++;
        p->has_name = true;
        p->name = (struct expfmt_span){ 0, u32_from_size(p->at - line), false };
        end = p->at;
        size_t brace = p->at;
        while (brace < p->text.n && is_blank(p->text.p[brace]))
            brace++;
        if (brace < p->text.n && p->text.p[brace] == '{') {
            if (!expfmt_braces(p, &brace, line, false, false, err))
                return false;
            p->at = end = brace;
        }
    }
    p->series = str_of(p->text.p + line, end - line);
    return true;
}

/* ---- comments ---- */

static bool take_word(struct expfmt_parser *p, struct str word)
{
    if (!str_starts(str_from(p->text, p->at), word) || p->at + word.n >= p->text.n ||
        !is_blank(p->text.p[p->at + word.n]))
        return false;
    p->at += word.n;
    skip_blanks(p);
    return true;
}

static bool take_family(struct expfmt_parser *p, size_t line, struct err *err)
{
    size_t from = p->at;
    bool escaped;
    buf_reset(&p->scratch);
    if (peek(p) == '"') {
        if (!expfmt_quoted(p->text, &p->at, true, &escaped))
            return expfmt_fail(p, err, line, "expected metric name after comment");
        p->family = str_of(p->text.p + from + 1, p->at - from - 2);
        if (escaped) {
            expfmt_unescape(&p->scratch, p->family, true);
            p->family = buf_view(&p->scratch);
        }
        return true;
    }
    if (!(expfmt_class[(uint8_t)peek(p)] & CLASS_NAME_START) || p->at >= p->text.n)
        return expfmt_fail(p, err, line, "expected metric name after comment");
    while (p->at < p->text.n && expfmt_class[(uint8_t)p->text.p[p->at]] & CLASS_NAME)
        p->at++;
    p->family = str_of(p->text.p + from, p->at - from);
    return true;
}

/* The rest of the line, without its first character. */
static struct str rest_of_line(struct expfmt_parser *p)
{
    size_t from = p->at;
    skip_line(p);
    size_t to = p->at > from && p->text.p[p->at - 1] == '\n' ? p->at - 1 : p->at;
    return str_from(str_of(p->text.p + from, to - from), 1);
}

static bool take_help(struct expfmt_parser *p, struct err *err)
{
    struct str raw = rest_of_line(p);
    if (!utf8_valid(raw))
        return err_set(err, ERR_INVALID, "help text \"%.*s\" is not a valid utf8 string", STR_ARG(raw));
    size_t from = p->scratch.n;
    bool family_here = from > 0; /* the family's unescaped name is in scratch, too */
    expfmt_unescape(&p->scratch, raw, false);
    p->meta = str_from(buf_view(&p->scratch), from);
    if (family_here)
        p->family = str_of(p->scratch.p, from);
    return true;
}

static bool take_type(struct expfmt_parser *p, size_t line, struct err *err)
{
    static const struct {
        struct str word;
        enum expfmt_type type;
    } types[] = {
        { STR_INIT("counter"), EXPFMT_COUNTER }, { STR_INIT("gauge"), EXPFMT_GAUGE },
        { STR_INIT("histogram"), EXPFMT_TYPE_HISTOGRAM }, { STR_INIT("summary"), EXPFMT_SUMMARY },
        { STR_INIT("untyped"), EXPFMT_UNKNOWN },
    };
    if (!is_blank(peek(p)))
        return expfmt_fail(p, err, line, "expected text in TYPE");
    struct str text = rest_of_line(p);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_eq(text, types[i].word)) {
            p->type = types[i].type;
            return true;
        }
    }
    return err_set(err, ERR_INVALID, "invalid metric type \"%.*s\"", STR_ARG(text));
}

static bool take_comment(struct expfmt_parser *p, size_t line, enum expfmt_entry *entry, struct err *err)
{
    p->at++;
    size_t after = p->at;
    skip_blanks(p);
    bool spaced = p->at > after;
    if (spaced && take_word(p, STR("HELP"))) {
        *entry = EXPFMT_HELP;
        return take_family(p, line, err) && take_help(p, err);
    }
    if (spaced && take_word(p, STR("TYPE"))) {
        *entry = EXPFMT_TYPE;
        return take_family(p, line, err) && take_type(p, line, err);
    }
    *entry = EXPFMT_COMMENT;
    skip_line(p);
    return true;
}

bool text_next(struct expfmt_parser *p, enum expfmt_entry *entry, struct err *err)
{
    size_t line = p->at;
    for (;;) {
        line = p->at;
        skip_blanks(p);
        if (p->at >= p->text.n) {
            *entry = EXPFMT_END;
            return true;
        }
        if (p->text.p[p->at] != '\n')
            break;
        p->at++;
    }
    if (p->text.p[p->at] == '#')
        return take_comment(p, line, entry, err);
    *entry = EXPFMT_SERIES;
    return take_series(p, line, err) && text_rest(p, err);
}
