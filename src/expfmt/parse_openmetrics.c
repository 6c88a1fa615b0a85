/* OpenMetrics 1.0 text (spec/prometheus.md 6.2): one blank between tokens, nothing that was not asked for, and an end
 * that says so. */
#include "base/mem.h"
#include "base/utf8.h"
#include "expfmt/parse_int.h"

#include <math.h>

static char peek(const struct expfmt_parser *p)
{
    return p->at < p->text.n ? p->text.p[p->at] : '\0';
}

static bool take(struct expfmt_parser *p, char c)
{
    if (p->at >= p->text.n || p->text.p[p->at] != c)
        return false;
    p->at++;
    return true;
}

/* ---- numbers ---- */

static struct str take_token(struct expfmt_parser *p)
{
    size_t from = p->at;
    while (p->at < p->text.n && p->text.p[p->at] != ' ' && p->text.p[p->at] != '\n')
        p->at++;
    return str_of(p->text.p + from, p->at - from);
}

static bool take_seconds(struct expfmt_parser *p, int64_t *ms, struct err *err)
{
    double s;
    struct str token = take_token(p);
    if (!expfmt_float(token, &s, err))
        return err_wrap(err, "while parsing: \"%.*s\"", STR_ARG(p->series));
    if (isnan(s) || isinf(s))
        return err_set(err, ERR_INVALID, "invalid timestamp %.*s", STR_ARG(token));
    double scaled = s * 1000;
    if (!(fabs(scaled) < 9.2e18))
        return err_set(err, ERR_INVALID, "invalid timestamp %.*s", STR_ARG(token));
    *ms = (int64_t)scaled;
    return true;
}

/* ---- samples ---- */

static bool take_exemplar(struct expfmt_parser *p, size_t line, struct err *err)
{
    /* At "# {labels} value [time]". */
    p->at++;
    if (!take(p, ' ') || peek(p) != '{')
        return expfmt_fail(p, err, line, "expected label after exemplar");
    size_t from = p->at, end = p->at, spans = p->spans_count;
    bool had_name = p->has_name;
    struct expfmt_span name = p->name;
    if (!expfmt_braces(p, &end, from, true, true, err))
        return false;
    p->spans_count = spans; /* read again by who wants them */
    p->has_name = had_name;
    p->name = name;
    p->at = end;
    p->exemplar_labels = str_of(p->text.p + from, end - from);
    if (!take(p, ' '))
        return expfmt_fail(p, err, line, "expected value after exemplar labels");
    struct str token = take_token(p);
    if (!expfmt_float(token, &p->exemplar_value, err))
        return err_wrap(err, "while parsing: \"%.*s\"", STR_ARG(p->series));
    if (take(p, ' ')) {
        if (!take_seconds(p, &p->exemplar_t, err))
            return false;
        p->exemplar_has_t = true;
    }
    p->has_exemplar = true;
    return take(p, '\n') || expfmt_fail(p, err, line, "expected next entry after exemplar");
}

bool openmetrics_rest(struct expfmt_parser *p, struct err *err)
{
    size_t line = (size_t)(p->series.p - p->text.p);
    if (!take(p, ' '))
        return expfmt_fail(p, err, line, "expected value after metric");
    struct str token = take_token(p);
    if (!expfmt_float(token, &p->value, err))
        return err_wrap(err, "while parsing: \"%.*s\"", STR_ARG(p->series));
    if (take(p, '\n'))
        return true;
    if (!take(p, ' '))
        return expfmt_fail(p, err, line, "expected timestamp, new record or exemplar");
    if (peek(p) == '#')
        return take_exemplar(p, line, err);
    if (!take_seconds(p, &p->t, err))
        return false;
    p->has_t = true;
    if (take(p, '\n'))
        return true;
    if (take(p, ' ') && peek(p) == '#')
        return take_exemplar(p, line, err);
    return expfmt_fail(p, err, line, "expected next entry after timestamp");
}

static bool take_series(struct expfmt_parser *p, struct err *err)
{
    size_t line = p->at, end = p->at;
    if (peek(p) != '{') {
        if (!(expfmt_class[(uint8_t)peek(p)] & CLASS_NAME_START))
            return expfmt_fail(p, err, line, "expected a valid start token");
        while (p->at < p->text.n && expfmt_class[(uint8_t)p->text.p[p->at]] & CLASS_NAME)
            p->at++;
        p->has_name = true;
        p->name = (struct expfmt_span){ 0, u32_from_size(p->at - line), false };
        end = p->at;
    }
    if (peek(p) == '{') {
        if (!expfmt_braces(p, &end, line, true, false, err))
            return false;
        p->at = end;
    }
    if (!p->has_name)
        return err_set(err, ERR_INVALID, "metric name not set while parsing: \"%.*s\"",
                       STR_ARG(str_of(p->text.p + line, end - line)));
    p->series = str_of(p->text.p + line, end - line);
    return true;
}

/* ---- metadata ---- */

static bool take_family(struct expfmt_parser *p, size_t line, struct err *err)
{
    size_t from = p->at;
    bool escaped;
    buf_reset(&p->scratch);
    if (peek(p) == '"') {
        if (!expfmt_quoted(p->text, &p->at, false, &escaped))
            return expfmt_fail(p, err, line, "expected metric name after comment");
        p->family = str_of(p->text.p + from + 1, p->at - from - 2);
        if (escaped) {
            expfmt_unescape(&p->scratch, p->family, true);
            p->family = buf_view(&p->scratch);
        }
        return true;
    }
    if (!(expfmt_class[(uint8_t)peek(p)] & CLASS_NAME_START))
        return expfmt_fail(p, err, line, "expected metric name after comment");
    while (p->at < p->text.n && expfmt_class[(uint8_t)p->text.p[p->at]] & CLASS_NAME)
        p->at++;
    p->family = str_of(p->text.p + from, p->at - from);
    return true;
}

/* " text\n" */
static bool take_text(struct expfmt_parser *p, size_t line, struct str *text, struct err *err)
{
    if (!take(p, ' '))
        return expfmt_fail(p, err, line, "expected text in metadata");
    const char *end = p->at < p->text.n ? memchr(p->text.p + p->at, '\n', p->text.n - p->at) : NULL;
    if (!end)
        return err_set(err, ERR_INVALID, "data does not end with # EOF");
    *text = str_of(p->text.p + p->at, (size_t)(end - p->text.p) - p->at);
    p->at = (size_t)(end - p->text.p) + 1;
    return true;
}

static bool set_type(struct expfmt_parser *p, struct str text, struct err *err)
{
    for (int t = EXPFMT_UNKNOWN; t <= EXPFMT_STATESET; t++) {
        if (str_eq(text, expfmt_type_text((enum expfmt_type)t))) {
            p->type = (enum expfmt_type)t;
            return true;
        }
    }
    return err_set(err, ERR_INVALID, "invalid metric type \"%.*s\"", STR_ARG(text));
}

static bool check_unit(const struct expfmt_parser *p, struct str unit, struct err *err)
{
    struct str m = p->family;
    if (unit.n && (!str_ends(m, unit) || m.n < unit.n + 1 || m.p[m.n - unit.n - 1] != '_'))
        return err_set(err, ERR_INVALID, "unit \"%.*s\" not a suffix of metric \"%.*s\"", STR_ARG(unit), STR_ARG(m));
    return true;
}

static bool take_metadata(struct expfmt_parser *p, enum expfmt_entry *entry, struct err *err)
{
    static const struct {
        struct str word;
        enum expfmt_entry entry;
    } kinds[] = {
        { STR_INIT("# HELP "), EXPFMT_HELP },
        { STR_INIT("# TYPE "), EXPFMT_TYPE },
        { STR_INIT("# UNIT "), EXPFMT_UNIT },
    };
    size_t line = p->at, k = 0;
    struct str text, rest = str_from(p->text, p->at);
    while (k < ARRAY_LEN(kinds) && !str_starts(rest, kinds[k].word))
        k++;
    if (k == ARRAY_LEN(kinds))
        return expfmt_fail(p, err, line, "expected a valid start token");
    p->at += kinds[k].word.n;
    *entry = kinds[k].entry;
    if (!take_family(p, line, err) || !take_text(p, line, &text, err))
        return false;
    if (*entry == EXPFMT_TYPE)
        return set_type(p, text, err);
    if (*entry == EXPFMT_UNIT && !check_unit(p, text, err))
        return false;
    if (!utf8_valid(text))
        return err_set(err, ERR_INVALID, "help text \"%.*s\" is not a valid utf8 string", STR_ARG(text));
    size_t from = p->scratch.n;
    expfmt_unescape(&p->scratch, text, true);
    p->meta = str_from(buf_view(&p->scratch), from);
    if (from)
        p->family = str_of(p->scratch.p, from);
    return true;
}

bool openmetrics_next(struct expfmt_parser *p, enum expfmt_entry *entry, struct err *err)
{
    static const struct str eof = STR_INIT("# EOF");
    struct str rest = str_from(p->text, p->at);
    if (p->text.n == 0) { /* an empty body is a scrape without samples in any format */
        *entry = EXPFMT_END;
        return true;
    }
    if (rest.n == 0)
        return err_set(err, ERR_INVALID, "data does not end with # EOF");
    if (str_starts(rest, eof) && (rest.n == eof.n || rest.p[eof.n] == '\n')) {
        if (rest.n > eof.n + 1)
            return err_set(err, ERR_INVALID, "unexpected data after # EOF");
        p->at = p->text.n;
        *entry = EXPFMT_END;
        return true;
    }
    if (rest.p[0] == '#')
        return take_metadata(p, entry, err);
    *entry = EXPFMT_SERIES;
    return take_series(p, err) && openmetrics_rest(p, err);
}
