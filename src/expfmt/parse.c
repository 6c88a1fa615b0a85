/* Exposition formats: what the parsers share, and the faces of all three.
 *
 * P1  A span is relative to its series' first byte, so that spans could be kept with a cached series.
 * P2  A line whose series bytes were seen before need not be validated again: the same bytes are valid again.
 * P3  The parser allocates only to grow `spans` and `scratch`, which it keeps. */
#include "expfmt/parse.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "expfmt/parse_int.h"

#include <math.h>
#include <stdlib.h>

#define LETTER (CLASS_NAME_START | CLASS_NAME | CLASS_LABEL_START | CLASS_LABEL)
#define DIGIT  (CLASS_NAME | CLASS_LABEL)
#define COLON  (CLASS_NAME_START | CLASS_NAME)

const uint8_t expfmt_class[256] = {
    ['a'] = LETTER, ['b'] = LETTER, ['c'] = LETTER, ['d'] = LETTER, ['e'] = LETTER, ['f'] = LETTER, ['g'] = LETTER,
    ['h'] = LETTER, ['i'] = LETTER, ['j'] = LETTER, ['k'] = LETTER, ['l'] = LETTER, ['m'] = LETTER, ['n'] = LETTER,
    ['o'] = LETTER, ['p'] = LETTER, ['q'] = LETTER, ['r'] = LETTER, ['s'] = LETTER, ['t'] = LETTER, ['u'] = LETTER,
    ['v'] = LETTER, ['w'] = LETTER, ['x'] = LETTER, ['y'] = LETTER, ['z'] = LETTER, ['A'] = LETTER, ['B'] = LETTER,
    ['C'] = LETTER, ['D'] = LETTER, ['E'] = LETTER, ['F'] = LETTER, ['G'] = LETTER, ['H'] = LETTER, ['I'] = LETTER,
    ['J'] = LETTER, ['K'] = LETTER, ['L'] = LETTER, ['M'] = LETTER, ['N'] = LETTER, ['O'] = LETTER, ['P'] = LETTER,
    ['Q'] = LETTER, ['R'] = LETTER, ['S'] = LETTER, ['T'] = LETTER, ['U'] = LETTER, ['V'] = LETTER, ['W'] = LETTER,
    ['X'] = LETTER, ['Y'] = LETTER, ['Z'] = LETTER, ['_'] = LETTER, ['0'] = DIGIT,  ['1'] = DIGIT,  ['2'] = DIGIT,
    ['3'] = DIGIT,  ['4'] = DIGIT,  ['5'] = DIGIT,  ['6'] = DIGIT,  ['7'] = DIGIT,  ['8'] = DIGIT,  ['9'] = DIGIT,
    [':'] = COLON,
};

struct str expfmt_type_text(enum expfmt_type t)
{
    static const struct str texts[] = {
        [EXPFMT_UNKNOWN] = STR_INIT("unknown"),
        [EXPFMT_COUNTER] = STR_INIT("counter"),
        [EXPFMT_GAUGE] = STR_INIT("gauge"),
        [EXPFMT_TYPE_HISTOGRAM] = STR_INIT("histogram"),
        [EXPFMT_GAUGE_HISTOGRAM] = STR_INIT("gaugehistogram"),
        [EXPFMT_SUMMARY] = STR_INIT("summary"),
        [EXPFMT_INFO] = STR_INIT("info"),
        [EXPFMT_STATESET] = STR_INIT("stateset"),
    };
    ASSERT((size_t)t < ARRAY_LEN(texts));
    return texts[t];
}

/* ---- life ---- */

void expfmt_parser_init(struct expfmt_parser *p, enum expfmt_syntax syntax, struct str text)
{
    struct expfmt_parser keep = *p;
    proto_free(keep.proto);
    buf_reset(&keep.scratch);
    *p = (struct expfmt_parser){
        .syntax = syntax,
        .text = text,
        .spans = keep.spans,
        .spans_capacity = keep.spans_capacity,
        .scratch = keep.scratch,
    };
}

void expfmt_parser_deinit(struct expfmt_parser *p)
{
    proto_free(p->proto);
    mem_free(p->spans);
    buf_deinit(&p->scratch);
    *p = (struct expfmt_parser){ 0 };
}

void expfmt_parser_native(struct expfmt_parser *p, bool native, bool keep_classic)
{
    if (p->syntax == EXPFMT_SYNTAX_PROTOBUF)
        proto_native(p, native, keep_classic);
}

/* ---- pieces ---- */

bool expfmt_fail(const struct expfmt_parser *p, struct err *err, size_t line_start, const char *what)
{
    size_t end = p->at < p->text.n ? p->at + 1 : p->text.n;
    size_t from = line_start > end ? end : line_start, n = end - from > 128 ? 128 : end - from;
    char c = p->at < p->text.n ? p->text.p[p->at] : '\0';
    struct buf got = { 0 }, line = { 0 };
    go_quote(&got, str_of(&c, p->at < p->text.n));
    go_quote(&line, str_of(p->text.p + from, n));
    err_set(err, ERR_INVALID, "%s, got %.*s while parsing: %.*s", what, STR_ARG(buf_view(&got)), STR_ARG(buf_view(&line)));
    buf_deinit(&got);
    buf_deinit(&line);
    return false;
}

void expfmt_push(struct expfmt_parser *p, size_t from, size_t n, bool escaped, size_t base)
{
    if (p->spans_count == p->spans_capacity) {
        p->spans_capacity = mem_grow(p->spans_capacity, p->spans_count + 1);
        p->spans = mem_realloc_array(p->spans, p->spans_capacity, sizeof *p->spans);
    }
    p->spans[p->spans_count++] =
        (struct expfmt_span){ .at = u32_from_size(from - base), .n = u32_from_size(n), .escaped = escaped };
}

void expfmt_unescape(struct buf *out, struct str s, bool quote)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\\' && i + 1 < s.n) {
            char next = s.p[i + 1];
            if (next == 'n' || next == '\\' || (next == '"' && quote)) {
                buf_byte(out, next == 'n' ? '\n' : next);
                i++;
                continue;
            }
        }
        buf_byte(out, c);
    }
}

bool expfmt_quoted(struct str text, size_t *at, bool newline, bool *escaped)
{
    size_t i = *at + 1, from = i;
    uint8_t high = 0;
    *escaped = false;
    for (; i < text.n; i++) {
        char c = text.p[i];
        if (c == '"')
            break;
        if (c == '\\') {
            *escaped = true;
            i++;
            if (i < text.n && text.p[i] == '\n' && !newline)
                return false;
        } else if (c == '\n' && !newline) {
            return false;
        }
        high |= (uint8_t)c;
    }
    if (i >= text.n)
        return false;
    *at = i + 1;
    return high < 0x80 || utf8_valid(str_of(text.p + from, i - from));
}

bool expfmt_float(struct str s, double *v, struct err *err)
{
    bool range = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == 'p' || c == 'P' || c == '_' || c == 'x' || c == 'X')
            return err_set(err, ERR_INVALID, "unsupported character in float \"%.*s\"", STR_ARG(s));
    }
    if (num_parse_f64(s, v, &range)) {
        if (*v != *v) {
            if (s.n && (s.p[0] == '+' || s.p[0] == '-'))
                return err_set(err, ERR_INVALID, "strconv.ParseFloat: parsing \"%.*s\": invalid syntax", STR_ARG(s));
            uint64_t nan = UINT64_C(0x7ff8000000000001); /* every NaN that is exposed is the ordinary one */
            memcpy(v, &nan, sizeof nan);
        }
        return true;
    }
    return err_set(err, ERR_INVALID, "strconv.ParseFloat: parsing \"%.*s\": %s", STR_ARG(s),
                   range ? "value out of range" : "invalid syntax");
}

void expfmt_write_bound(struct buf *out, double v)
{
    size_t from = out->n;
    num_write_f64(out, v, 'g', -1);
    if (isnan(v) || isinf(v))
        return;
    for (size_t i = from; i < out->n; i++) {
        if (out->p[i] == '.' || out->p[i] == 'e')
            return;
    }
    buf_c(out, ".0");
}

/* ---- labels in braces ---- */

static void skip_blanks(const struct expfmt_parser *p, size_t *at, bool strict)
{
    while (!strict && *at < p->text.n && (p->text.p[*at] == ' ' || p->text.p[*at] == '\t'))
        ++*at;
}

/* One item: name="value", "name"="value", or a quoted metric name alone. */
static bool take_item(struct expfmt_parser *p, size_t *at, size_t base, bool strict, bool exemplar, struct err *err)
{
    struct str text = p->text;
    size_t from = *at;
    bool escaped = false, quoted = text.p[*at] == '"';
    if (quoted) {
        if (!expfmt_quoted(text, at, !strict, &escaped)) {
            p->at = *at;
            return expfmt_fail(p, err, base, "expected label name");
        }
    } else {
        if (!(expfmt_class[(uint8_t)text.p[*at]] & CLASS_LABEL_START)) {
            p->at = *at;
            return expfmt_fail(p, err, base, "expected label name");
        }
        while (*at < text.n && expfmt_class[(uint8_t)text.p[*at]] & CLASS_LABEL)
            ++*at;
    }
    size_t name_n = *at - from;
    skip_blanks(p, at, strict);
    bool equal = *at < text.n && text.p[*at] == '=';
    if (!equal && quoted && !exemplar) {
        if (p->has_name) {
            p->at = *at;
            return err_set(err, ERR_INVALID, "metric name already set while parsing: \"%.*s\"",
                           STR_ARG(str_of(text.p + base, *at - base)));
        }
        p->has_name = true;
        p->name = (struct expfmt_span){ u32_from_size(from + 1 - base), u32_from_size(name_n - 2), escaped };
        return true;
    }
    p->at = *at;
    if (!equal)
        return expfmt_fail(p, err, base, "expected equal");
    expfmt_push(p, quoted ? from + 1 : from, quoted ? name_n - 2 : name_n, escaped, base);
    ++*at;
    skip_blanks(p, at, strict);
    from = *at;
    p->at = *at;
    if (*at >= text.n || text.p[*at] != '"')
        return expfmt_fail(p, err, base, "expected label value");
    if (!expfmt_quoted(text, at, !strict, &escaped))
        return expfmt_fail(p, err, base, "invalid UTF-8 label value or unterminated string");
    expfmt_push(p, from + 1, *at - from - 2, escaped, base);
    return true;
}

bool expfmt_braces(struct expfmt_parser *p, size_t *at, size_t base, bool strict, bool exemplar, struct err *err)
{
    struct str text = p->text;
    bool first = true;
    ASSERT(text.p[*at] == '{');
    ++*at;
    for (;;) {
        skip_blanks(p, at, strict);
        if (*at >= text.n)
            break;
        if (text.p[*at] == '}') {
            ++*at;
            return true;
        }
        if (!first && text.p[*at] == ',') {
            ++*at;
            skip_blanks(p, at, strict);
            if (*at < text.n && text.p[*at] == '}') {
                ++*at;
                return true;
            }
        } else if (!first && strict) {
            p->at = *at;
            return expfmt_fail(p, err, base, "expected comma or brace close");
        }
        if (*at >= text.n)
            break;
        if (p->spans_count >= 2 * EXPFMT_LABELS_MAX)
            return err_set(err, ERR_LIMIT, "more than %d labels", EXPFMT_LABELS_MAX);
        if (!take_item(p, at, base, strict, exemplar, err))
            return false;
        first = false;
    }
    p->at = *at;
    return expfmt_fail(p, err, base, "expected label name or brace close");
}

/* ---- decoding labels ---- */

static struct str span_text(struct arena *a, struct str base, struct expfmt_span s)
{
    struct str raw = str_sub(base, s.at, s.n);
    struct buf plain = { 0 };
    if (!s.escaped)
        return raw;
    expfmt_unescape(&plain, raw, true);
    struct str out = arena_str(a, buf_view(&plain));
    buf_deinit(&plain);
    return out;
}

/* le of histograms and quantile of summaries read the same however they were written. */
static struct str bound(const struct expfmt_parser *p, struct arena *a, struct str name, struct str value)
{
    double v;
    struct buf text = { 0 };
    bool is_bound = (p->type == EXPFMT_TYPE_HISTOGRAM && str_eq(name, STR("le"))) ||
                    (p->type == EXPFMT_SUMMARY && str_eq(name, STR("quantile")));
    if (!is_bound || p->keep_bounds || !num_parse_f64(value, &v, NULL))
        return value;
    expfmt_write_bound(&text, v);
    struct str out = str_eq(buf_view(&text), value) ? value : arena_str(a, buf_view(&text));
    buf_deinit(&text);
    return out;
}

static int by_name(const void *x, const void *y)
{
    const struct label *a = x, *b = y;
    return str_cmp(a->name, b->name);
}

static void sort_labels(struct label *v, size_t n)
{
    bool sorted = true;
    for (size_t i = 1; sorted && i < n; i++)
        sorted = str_cmp(v[i - 1].name, v[i].name) <= 0;
    if (!sorted)
        qsort(v, n, sizeof *v, by_name);
}

/* After a hit of expfmt_next_expect() the spans are those of another line. */
static bool spans_again(struct expfmt_parser *p, struct err *err)
{
    struct expfmt_parser again = { .syntax = p->syntax, .text = p->series, .spans = p->spans,
                                   .spans_capacity = p->spans_capacity };
    size_t at = 0;
    if (p->spans_known)
        return true;
    if (p->series.n && p->series.p[0] != '{') {
        while (at < p->series.n && p->series.p[at] != '{')
            at++;
        size_t name_n = at;
        while (name_n && (p->series.p[name_n - 1] == ' ' || p->series.p[name_n - 1] == '\t'))
            name_n--;
        again.has_name = true;
        again.name = (struct expfmt_span){ 0, u32_from_size(name_n), false };
    }
    bool ok = at == p->series.n || expfmt_braces(&again, &at, 0, p->syntax == EXPFMT_SYNTAX_OPENMETRICS, false, err);
    p->spans = again.spans;
    p->spans_capacity = again.spans_capacity;
    p->spans_count = again.spans_count;
    p->name = again.name;
    p->has_name = again.has_name;
    p->spans_known = ok;
    return ok;
}

bool expfmt_labels(struct expfmt_parser *p, struct arena *a, struct labels *out, bool *duplicate, struct err *err)
{
    if (p->syntax == EXPFMT_SYNTAX_PROTOBUF)
        return proto_labels(p, a, out, duplicate, err);
    if (!spans_again(p, err))
        return false;
    if (!p->has_name)
        return err_set(err, ERR_INVALID, "metric name not set while parsing: \"%.*s\"", STR_ARG(p->series));
    struct label *v = arena_alloc_array(a, p->spans_count / 2 + 2, sizeof *v);
    size_t n = 0;
    v[n++] = (struct label){ STR("__name__"), span_text(a, p->series, p->name) };
    for (size_t i = 0; i + 1 < p->spans_count; i += 2) {
        struct label l = { span_text(a, p->series, p->spans[i]), span_text(a, p->series, p->spans[i + 1]) };
        l.value = bound(p, a, l.name, l.value);
        if (l.value.n)
            v[n++] = l;
    }
    sort_labels(v, n);
    *duplicate = false;
    for (size_t i = 1; i < n; i++)
        *duplicate |= str_eq(v[i - 1].name, v[i].name);
    *out = (struct labels){ v, n };
    return true;
}

bool expfmt_exemplar(struct expfmt_parser *p, struct arena *a, struct labels *out, struct err *err)
{
    if (p->syntax == EXPFMT_SYNTAX_PROTOBUF)
        return proto_exemplar(p, a, out, err);
    struct expfmt_parser e = { .syntax = p->syntax, .text = p->exemplar_labels };
    size_t at = 0, n = 0;
    if (!p->has_exemplar)
        return err_set(err, ERR_INVALID, "no exemplar");
    bool ok = expfmt_braces(&e, &at, 0, true, true, err);
    struct label *v = arena_alloc_array(a, e.spans_count / 2 + 1, sizeof *v);
    for (size_t i = 0; ok && i + 1 < e.spans_count; i += 2)
        v[n++] = (struct label){ span_text(a, e.text, e.spans[i]), span_text(a, e.text, e.spans[i + 1]) };
    sort_labels(v, n);
    *out = (struct labels){ v, n };
    mem_free(e.spans);
    return ok;
}

bool expfmt_next_exemplar(struct expfmt_parser *p)
{
    if (p->syntax == EXPFMT_SYNTAX_PROTOBUF)
        return proto_next_exemplar(p);
    return false;
}

/* ---- entries ---- */

static void entry_reset(struct expfmt_parser *p)
{
    p->has_t = p->has_exemplar = p->exemplar_has_t = p->has_name = false;
    p->spans_count = 0;
    p->spans_known = true;
    p->h = NULL;
    p->fh = NULL;
}

bool expfmt_next(struct expfmt_parser *p, enum expfmt_entry *entry, struct err *err)
{
    entry_reset(p);
    switch (p->syntax) {
    case EXPFMT_SYNTAX_TEXT: return text_next(p, entry, err);
    case EXPFMT_SYNTAX_OPENMETRICS: return openmetrics_next(p, entry, err);
    case EXPFMT_SYNTAX_PROTOBUF: return proto_next(p, entry, err);
    }
    return false;
}

bool expfmt_next_expect(struct expfmt_parser *p, struct str series, bool *hit, enum expfmt_entry *entry, struct err *err)
{
    size_t left = p->text.n - p->at, after = p->at + series.n + 1;
    *hit = p->syntax != EXPFMT_SYNTAX_PROTOBUF && series.n > 0 && left > series.n && p->text.p[p->at + series.n] == ' ' &&
           memcmp(p->text.p + p->at, series.p, series.n) == 0;
    while (*hit && after < p->text.n && p->text.p[after] == ' ')
        after++;
    if (!*hit || after >= p->text.n || p->text.p[after] == '{') /* the text format lets blanks stand before the labels */
        *hit = false;
    if (!*hit)
        return expfmt_next(p, entry, err);
    entry_reset(p);
    p->spans_known = false;
    p->series = str_of(p->text.p + p->at, series.n);
    p->at += series.n;
    *entry = EXPFMT_SERIES;
    return p->syntax == EXPFMT_SYNTAX_TEXT ? text_rest(p, err) : openmetrics_rest(p, err);
}
