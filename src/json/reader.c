/* The pull reader.
 *
 * J1  `at` never passes text.n, and everything before it is well-formed JSON as far as it goes. So the path of an error
 *     need not be kept while reading: it is found by a second walk over the text before `at`, on failure only.
 * J2  frames[depth] says what the innermost open container is and whether an element has been read in it.
 * J3  After `failed` nothing moves.
 *
 * Strings are the bulk of what is read. They are scanned eight bytes at a time for the four things that need a look: the
 * closing quote, a backslash, a control character, a byte past ASCII. */
#include "json/reader.h"

#include "base/num.h"
#include "base/utf8.h"

enum { FRAME_OBJECT = 1, FRAME_COMMA = 2 };

void json_reader_init(struct json_reader *r, struct str text, struct arena *arena)
{
    r->text = text;
    r->at = 0;
    r->arena = arena;
    r->depth = 0;
    r->failed = r->syntax = false;
    r->frames[0] = 0;
    r->err.code = ERR_NONE;
    r->err.text[0] = 0;
}

/* Errors */

static void place_error(struct json_reader *r, size_t at)
{
    uint32_t line = 1;
    size_t start = 0;
    for (size_t i = 0; i < at; i++) {
        if (r->text.p[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    r->err.line = line;
    r->err.column = at - start < UINT32_MAX ? (uint32_t)(at - start) + 1 : UINT32_MAX;
    r->failed = true;
}

static bool fail_end(struct json_reader *r)
{
    if (r->failed)
        return false;
    err_set(&r->err, ERR_INVALID, "unexpected end of JSON input");
    r->syntax = true;
    place_error(r, r->text.n);
    return false;
}

/* Go's quoteChar: the byte as a rune, in single quotes. */
static void quote_byte(struct buf *b, uint8_t c)
{
    if (c == '\'' || c == '"') {
        buf_c(b, c == '"' ? "'\"'" : "'\\''");
        return;
    }
    struct buf rune_text = { 0 }, quoted = { 0 };
    utf8_append(&rune_text, c);
    go_quote(&quoted, buf_view(&rune_text));
    buf_byte(b, '\'');
    buf_str(b, str_sub(buf_view(&quoted), 1, quoted.n - 2));
    buf_byte(b, '\'');
    buf_deinit(&rune_text);
    buf_deinit(&quoted);
}

/* The byte at `at`, inside a literal, a number or an escape, does not belong there. Where the text ends inside one of
 * these Go complains of a space, because it ends every text with one. */
static bool fail_token(struct json_reader *r, size_t at, const char *context)
{
    if (r->failed)
        return false;
    struct buf quoted = { 0 };
    quote_byte(&quoted, at < r->text.n ? (uint8_t)r->text.p[at] : ' ');
    err_set(&r->err, ERR_INVALID, "invalid character %.*s %s", STR_ARG(buf_view(&quoted)), context);
    buf_deinit(&quoted);
    r->syntax = true;
    place_error(r, at);
    return false;
}

/* The byte at `at`, between tokens, does not belong there. */
static bool fail_byte(struct json_reader *r, size_t at, const char *context)
{
    return at < r->text.n ? fail_token(r, at, context) : fail_end(r);
}

/* One step of the walk: past the string that starts at i. */
static size_t past_string(struct str text, size_t i, size_t end)
{
    for (i++; i < end && text.p[i] != '"'; i++)
        if (text.p[i] == '\\')
            i++;
    return i < end ? i + 1 : end;
}

/* "a.b[2].c" for the value that ends at r->at, by walking what was read (J1). */
static void write_path(const struct json_reader *r, struct buf *out)
{
    struct {
        struct str key; /* of an object's current member */
        size_t index;   /* of an array's current element */
        bool object, has_key;
    } stack[JSON_DEPTH_MAX + 1];
    int depth = 0;
    struct str text = r->text;
    for (size_t i = 0; i < r->at;) {
        char c = text.p[i];
        if (c == '"') {
            size_t end = past_string(text, i, r->at);
            if (depth > 0 && stack[depth - 1].object && !stack[depth - 1].has_key) {
                stack[depth - 1].key = str_sub(text, i + 1, end - i - 2);
                stack[depth - 1].has_key = true;
            }
            i = end;
            continue;
        }
        if ((c == '{' || c == '[') && depth < JSON_DEPTH_MAX) {
            stack[depth].object = c == '{';
            stack[depth].has_key = false;
            stack[depth].index = 0;
            depth++;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        } else if (c == ',' && depth > 0) {
            stack[depth - 1].has_key = false;
            stack[depth - 1].index++;
        }
        i++;
    }
    for (int d = 0; d < depth; d++) {
        if (!stack[d].object) {
            buf_printf(out, "[%zu]", stack[d].index);
        } else if (stack[d].has_key) {
            if (out->n)
                buf_byte(out, '.');
            utf8_append_valid(out, str_sub(stack[d].key, 0, 128));
        }
    }
}

static void prefix_path(struct json_reader *r)
{
    struct buf path = { 0 };
    write_path(r, &path);
    if (path.n)
        err_wrap(&r->err, "%.*s", STR_ARG(buf_view(&path)));
    buf_deinit(&path);
}

bool jr_fail(struct json_reader *r, const char *fmt, ...)
{
    if (r->failed)
        return false;
    va_list ap;
    va_start(ap, fmt);
    err_vset(&r->err, ERR_INVALID, fmt, ap);
    va_end(ap);
    prefix_path(r);
    place_error(r, r->at);
    return false;
}

static bool fail_limit(struct json_reader *r)
{
    if (r->failed)
        return false;
    err_set(&r->err, ERR_LIMIT, "text takes more memory than is allowed");
    place_error(r, r->at);
    return false;
}

/* Tokens */

static inline void skip_space(struct json_reader *r)
{
    const char *p = r->text.p;
    size_t at = r->at, n = r->text.n;
    while (at < n && (p[at] == ' ' || p[at] == '\n' || p[at] == '\t' || p[at] == '\r'))
        at++;
    r->at = at;
}

static bool is_value_start(char c)
{
    return c == '{' || c == '[' || c == '"' || c == '-' || ascii_is_digit(c) || c == 't' || c == 'f' || c == 'n';
}

static enum jr_type type_of(char c)
{
    switch (c) {
    case '{': return JR_OBJECT;
    case '[': return JR_ARRAY;
    case '"': return JR_STRING;
    case 't':
    case 'f': return JR_BOOL;
    case 'n': return JR_NULL;
    default: return JR_NUMBER;
    }
}

enum jr_type jr_peek(struct json_reader *r)
{
    if (r->failed)
        return JR_NONE;
    skip_space(r);
    if (r->at >= r->text.n)
        return JR_NONE;
    if (!is_value_start(r->text.p[r->at])) {
        fail_byte(r, r->at, "looking for beginning of value");
        return JR_NONE;
    }
    return type_of(r->text.p[r->at]);
}

/* True if the next value has this type; says what is there instead if not. */
static bool expect(struct json_reader *r, enum jr_type want)
{
    static const char *const names[] = { "nothing", "null", "a boolean", "a number", "a string", "an array", "an object" };
    enum jr_type got = jr_peek(r);
    if (LIKELY(got == want))
        return true;
    if (got == JR_NONE)
        return fail_end(r);
    return jr_fail(r, "expected %s, got %s", names[want], names[got]);
}

static bool enter(struct json_reader *r, enum jr_type type)
{
    if (!expect(r, type))
        return false;
    if (r->depth == JSON_DEPTH_MAX)
        return jr_fail(r, "exceeded max depth");
    r->at++;
    r->frames[++r->depth] = type == JR_OBJECT ? FRAME_OBJECT : 0;
    return true;
}

bool jr_object(struct json_reader *r)
{
    return enter(r, JR_OBJECT);
}

bool jr_array(struct json_reader *r)
{
    return enter(r, JR_ARRAY);
}

/* Past the separator to the next entry of the container; false at its end or on error. */
static bool next_entry(struct json_reader *r, char close, const char *after)
{
    if (r->failed)
        return false;
    ASSERT(r->depth > 0);
    skip_space(r);
    if (r->at >= r->text.n)
        return fail_end(r);
    char c = r->text.p[r->at];
    if (c == close) {
        r->at++;
        r->depth--;
        return false;
    }
    if (r->frames[r->depth] & FRAME_COMMA) {
        if (c != ',')
            return fail_byte(r, r->at, after);
        r->at++;
    }
    r->frames[r->depth] |= FRAME_COMMA;
    return true;
}

bool jr_element(struct json_reader *r)
{
    ASSERT(r->failed || !(r->frames[r->depth] & FRAME_OBJECT));
    return next_entry(r, ']', "after array element");
}

/* Strings */

/* A word with the top bit of each byte set where the byte is a quote, a backslash, below 0x20 or past 0x7F. */
static inline uint64_t special_bytes(uint64_t v)
{
    const uint64_t ones = 0x0101010101010101ull, tops = 0x8080808080808080ull;
    uint64_t quote = v ^ (ones * '"'), slash = v ^ (ones * '\\');
    uint64_t is_quote = (quote - ones) & ~quote;
    uint64_t is_slash = (slash - ones) & ~slash;
    uint64_t is_control = (v - ones * 0x20) & ~v;
    return (is_quote | is_slash | is_control | v) & tops;
}

static inline size_t plain_run(const char *p, size_t at, size_t n)
{
    while (n - at >= 8) {
        uint64_t v;
        memcpy(&v, p + at, sizeof v);
        uint64_t marks = special_bytes(v);
        if (marks)
            return at + (size_t)__builtin_ctzll(marks) / 8; /* the lowest mark is never a false one */
        at += 8;
    }
    while (at < n && p[at] != '"' && p[at] != '\\' && (uint8_t)p[at] >= 0x20 && (uint8_t)p[at] < 0x80)
        at++;
    return at;
}

/* Checks the string that starts at r->at and moves past it. *body is what is between the quotes; *plain says that it
 * stands for itself. */
static bool scan_string(struct json_reader *r, struct str *body, bool *plain)
{
    const char *p = r->text.p;
    size_t n = r->text.n, at = r->at + 1;
    *plain = true;
    for (;;) {
        at = plain_run(p, at, n);
        if (at >= n)
            return fail_end(r);
        uint8_t c = (uint8_t)p[at];
        if (c == '"')
            break;
        if (c < 0x20)
            return fail_byte(r, at, "in string literal");
        if (c >= 0x80) {
            size_t size;
            utf8_decode(str_of(p + at, n - at), &size);
            if (size == 1)
                *plain = false;
            at += size;
            continue;
        }
        *plain = false;
        if (++at >= n)
            return fail_token(r, at, "in string escape code");
        if (p[at] == 'u') {
            for (size_t i = 1; i <= 4; i++)
                if (at + i >= n || !ascii_is_xdigit(p[at + i]))
                    return fail_token(r, at + i, "in \\u hexadecimal character escape");
            at += 5;
        } else if (str_find_byte(STR("\"\\/bfnrt"), p[at]) != STR_NPOS) {
            at++;
        } else {
            return fail_token(r, at, "in string escape code");
        }
    }
    *body = str_of(p + r->at + 1, at - r->at - 1);
    r->at = at + 1;
    return true;
}

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 4 | (uint32_t)ascii_xdigit_value(p[i]);
    return v;
}

/* The rune of a \u escape whose four digits start at *at; a surrogate without its other half is U+FFFD. */
static rune unescape_rune(struct str body, size_t *at)
{
    uint32_t v = hex4(body.p + *at);
    *at += 4;
    if (v < 0xD800 || v > 0xDFFF)
        return v;
    struct str rest = str_from(body, *at);
    if (v < 0xDC00 && rest.n >= 6 && rest.p[0] == '\\' && rest.p[1] == 'u') {
        uint32_t low = hex4(rest.p + 2);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *at += 6;
            return 0x10000 + ((v - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return RUNE_ERROR;
}

static char unescape_char(char c)
{
    switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return c; /* quote, backslash, slash */
    }
}

/* An escape never grows (\uXXXX gives at most 3 bytes, two of them 4); a bad byte becomes three. */
static bool unescape(struct json_reader *r, struct str body, struct str *s)
{
    size_t bad = 0;
    for (size_t i = 0; i < body.n; i++)
        bad += (uint8_t)body.p[i] >= 0x80;
    size_t capacity = body.n + 2 * bad + 1;
    char *out = arena_try_alloc(r->arena, capacity);
    if (!out)
        return fail_limit(r);
    struct buf b = { .p = out, .capacity = capacity, .limit_bytes = capacity };
    for (size_t at = 0; at < body.n;) {
        size_t from = at;
        while (at < body.n && body.p[at] != '\\' && (uint8_t)body.p[at] < 0x80)
            at++;
        buf_append(&b, body.p + from, at - from);
        if (at == body.n)
            break;
        if ((uint8_t)body.p[at] >= 0x80) {
            size_t size;
            utf8_append(&b, utf8_decode(str_from(body, at), &size));
            at += size;
        } else if (body.p[at + 1] == 'u') {
            at += 2;
            utf8_append(&b, unescape_rune(body, &at));
        } else {
            buf_byte(&b, unescape_char(body.p[at + 1]));
            at += 2;
        }
    }
    ASSERT(b.p == out);
    *s = str_of(out, b.n);
    return true;
}

static bool read_string(struct json_reader *r, struct str *s)
{
    struct str body;
    bool plain;
    if (!scan_string(r, &body, &plain))
        return false;
    if (LIKELY(plain)) {
        *s = body;
        return true;
    }
    return unescape(r, body, s);
}

bool jr_str(struct json_reader *r, struct str *s)
{
    return expect(r, JR_STRING) && read_string(r, s);
}

/* Moves past the opening quote's place, or says what is there instead of a key. */
static bool at_key(struct json_reader *r)
{
    skip_space(r);
    if (r->at >= r->text.n || r->text.p[r->at] != '"')
        return fail_byte(r, r->at, "looking for beginning of object key string");
    return true;
}

static bool take_colon(struct json_reader *r)
{
    skip_space(r);
    if (r->at >= r->text.n || r->text.p[r->at] != ':')
        return fail_byte(r, r->at, "after object key");
    r->at++;
    return true;
}

bool jr_member(struct json_reader *r, struct str *key)
{
    ASSERT(r->failed || (r->frames[r->depth] & FRAME_OBJECT));
    return next_entry(r, '}', "after object key:value pair") && at_key(r) && read_string(r, key) && take_colon(r);
}

/* Literals and numbers */

static bool take_literal(struct json_reader *r, struct str word)
{
    for (size_t i = 1; i < word.n; i++) {
        if (r->at + i < r->text.n && r->text.p[r->at + i] == word.p[i])
            continue;
        char context[48];
        struct buf b = { .p = context, .capacity = sizeof context, .limit_bytes = sizeof context - 1 };
        buf_c(&b, "in literal ");
        buf_str(&b, word);
        buf_c(&b, " (expecting '");
        buf_byte(&b, word.p[i]);
        buf_c(&b, "')");
        return fail_token(r, r->at + i, context);
    }
    r->at += word.n;
    return true;
}

bool jr_bool(struct json_reader *r, bool *v)
{
    if (!expect(r, JR_BOOL))
        return false;
    bool value = r->text.p[r->at] == 't';
    if (!take_literal(r, value ? STR("true") : STR("false")))
        return false;
    *v = value;
    return true;
}

bool jr_null(struct json_reader *r)
{
    return expect(r, JR_NULL) && take_literal(r, STR("null"));
}

static size_t digits_end(const struct json_reader *r, size_t at)
{
    while (at < r->text.n && ascii_is_digit(r->text.p[at]))
        at++;
    return at;
}

static bool is_at(const struct json_reader *r, size_t at, char c)
{
    return at < r->text.n && r->text.p[at] == c;
}

static bool take_number(struct json_reader *r, struct str *text)
{
    size_t at = r->at, end;
    if (is_at(r, at, '-'))
        at++;
    end = digits_end(r, at);
    if (end == at)
        return fail_token(r, at, "in numeric literal");
    if (is_at(r, at, '0'))
        end = at + 1; /* what follows a leading zero is not part of the number */
    at = end;
    if (is_at(r, at, '.')) {
        end = digits_end(r, at + 1);
        if (end == at + 1)
            return fail_token(r, end, "after decimal point in numeric literal");
        at = end;
    }
    if (is_at(r, at, 'e') || is_at(r, at, 'E')) {
        at++;
        if (is_at(r, at, '+') || is_at(r, at, '-'))
            at++;
        end = digits_end(r, at);
        if (end == at)
            return fail_token(r, end, "in exponent of numeric literal");
        at = end;
    }
    *text = str_of(r->text.p + r->at, at - r->at);
    r->at = at;
    return true;
}

bool jr_number(struct json_reader *r, struct str *text)
{
    return expect(r, JR_NUMBER) && take_number(r, text);
}

bool jr_f64(struct json_reader *r, double *v)
{
    struct str text;
    if (!jr_number(r, &text))
        return false;
    return num_parse_f64(text, v, NULL) || jr_fail(r, "number %.*s is out of range", STR_ARG(str_sub(text, 0, 64)));
}

bool jr_i64(struct json_reader *r, int64_t *v)
{
    struct str text;
    if (!jr_number(r, &text))
        return false;
    return num_parse_i64(text, 10, v) ||
           jr_fail(r, "number %.*s is not a 64-bit integer", STR_ARG(str_sub(text, 0, 64)));
}

/* Skipping */

static bool skip_scalar(struct json_reader *r, enum jr_type type)
{
    struct str ignored;
    bool plain;
    switch (type) {
    case JR_STRING:
        return scan_string(r, &ignored, &plain);
    case JR_NUMBER:
        return take_number(r, &ignored);
    case JR_BOOL:
        return take_literal(r, r->text.p[r->at] == 't' ? STR("true") : STR("false"));
    case JR_NULL:
        return take_literal(r, STR("null"));
    case JR_NONE:
    case JR_ARRAY:
    case JR_OBJECT:
        break;
    }
    return fail_end(r);
}

/* To the next value inside the container that is open, if it has one; keys are checked and passed over. */
static bool skip_to_entry(struct json_reader *r)
{
    if (!(r->frames[r->depth] & FRAME_OBJECT))
        return jr_element(r);
    struct str ignored;
    bool plain;
    return next_entry(r, '}', "after object key:value pair") && at_key(r) && scan_string(r, &ignored, &plain) &&
           take_colon(r);
}

bool jr_skip(struct json_reader *r)
{
    int outside = r->depth;
    do {
        enum jr_type type = jr_peek(r);
        if (type == JR_OBJECT || type == JR_ARRAY) {
            if (!enter(r, type))
                return false;
        } else if (!skip_scalar(r, type)) {
            return false;
        }
        while (r->depth > outside && !skip_to_entry(r))
            if (r->failed)
                return false;
    } while (r->depth > outside);
    return true;
}

bool jr_raw(struct json_reader *r, struct str *text)
{
    if (jr_peek(r) == JR_NONE)
        return fail_end(r);
    size_t from = r->at;
    if (!jr_skip(r))
        return false;
    *text = str_of(r->text.p + from, r->at - from);
    return true;
}

static void check_end(struct json_reader *r)
{
    if (r->failed)
        return;
    if (r->depth > 0) { /* the caller gave up inside of a value and did not say why: no end of the text was reached */
        jr_fail(r, "unexpected value");
        return;
    }
    skip_space(r);
    if (r->at < r->text.n)
        fail_byte(r, r->at, "after top-level value");
}

bool jr_finish(struct json_reader *r, struct err *err)
{
    check_end(r);
    if (!r->failed)
        return true;
    if (!r->syntax && r->err.code == ERR_INVALID) {
        struct json_reader whole;
        json_reader_init(&whole, r->text, r->arena);
        if (jr_skip(&whole))
            check_end(&whole);
        if (whole.syntax) {
            *err = whole.err;
            return false;
        }
    }
    *err = r->err;
    return false;
}
