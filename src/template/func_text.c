/* Functions on text. Case follows Unicode: one rune becomes one rune for toUpper and toLower, as in Go's strings package;
 * Alertmanager's title follows the words of Go's x/text/cases, Prometheus's is Go's old strings.Title. */
#include "template/func_int.h"

#include "base/num.h"
#include "base/utf8.h"
#include "http/url.h"
#include "regex/regex.h"
#include "wire/base64.h"

#include <stdlib.h>
#include <unicase.h>
#include <unictype.h>
#include <uniwbrk.h>

#define FUNC(name_)                                                                                \
    static bool name_(struct tval_call *c, const struct tval *args, size_t args_count, struct tval *out, struct err *err)

static void map_runes(struct buf *b, struct str s, ucs4_t (*map)(ucs4_t), char (*map_ascii)(char))
{
    while (s.n > 0) {
        if ((unsigned char)s.p[0] < 0x80) {
            buf_byte(b, map_ascii(s.p[0]));
            s = str_from(s, 1);
            continue;
        }
        size_t size;
        rune r = utf8_decode(s, &size);
        utf8_append(b, r == RUNE_ERROR ? r : map(r));
        s = str_from(s, size);
    }
}

static ucs4_t lower_rune(ucs4_t r)
{
    return uc_tolower(r);
}

static ucs4_t upper_rune(ucs4_t r)
{
    return uc_toupper(r);
}

FUNC(to_upper)
{
    struct buf b;
    (void)args_count;
    call_buf(c, &b);
    map_runes(&b, args[0].v.s, upper_rune, ascii_upper);
    return call_result(c, &b, out, err);
}

FUNC(to_lower)
{
    struct buf b;
    (void)args_count;
    call_buf(c, &b);
    map_runes(&b, args[0].v.s, lower_rune, ascii_lower);
    return call_result(c, &b, out, err);
}

/* ---- title of Alertmanager ---- */

/* How golang.org/x/text/cases sorts characters into words: by their word-break property alone, without the rules of UAX 29
 * on what stands beside them. So "1.0R" is one word here, and two for u8_totitle(). */
enum word_part { WORD_BREAK, WORD_MIDDLE, WORD_LETTER };

static enum word_part word_part(rune r)
{
    switch (uc_wordbreak_property(r)) {
    case WBP_MIDLETTER:
    case WBP_MIDNUMLET:
    case WBP_SQ:
        return WORD_MIDDLE;
    case WBP_ALETTER:
    case WBP_HL:
    case WBP_NUMERIC:
    case WBP_EXTENDNUMLET:
    case WBP_EXTEND:
    case WBP_FORMAT:
    case WBP_ZWJ:
        return WORD_LETTER;
    default:
        return WORD_BREAK;
    }
}

/* One character in title case, or in lower case with what stands around it (a sigma that ends its word). */
static void append_cased(struct buf *b, struct str s, size_t size, bool title, casing_prefix_context_t before)
{
    uint8_t room[32];
    size_t n = sizeof(room);
    const uint8_t *p = (const uint8_t *)s.p;
    uint8_t *out;
    if (title)
        out = u8_totitle(p, size, NULL, NULL, room, &n);
    else
        out = u8_ct_tolower(p, size, before, u8_casing_suffix_context(p + size, s.n - size), NULL, NULL, room, &n);
    buf_append(b, out ? out : p, out ? n : size);
    if (out != room)
        free(out);
}

/* Upstream: titleCaser.Transform in golang.org/x/text/cases/map.go. */
FUNC(title_words)
{
    struct buf valid, b;
    bool in_word = false, was_middle = false;
    casing_prefix_context_t before = unicase_empty_prefix_context;
    (void)args_count;
    call_buf(c, &valid);
    utf8_append_valid(&valid, args[0].v.s);
    call_buf(c, &b);
    for (struct str s = buf_view(&valid); s.n > 0;) {
        size_t size;
        rune r = utf8_decode(s, &size);
        enum word_part part = word_part(r);
        if (was_middle && part == WORD_MIDDLE)
            in_word = false;
        if (uc_is_property_cased(r)) {
            append_cased(&b, s, size, !in_word, before);
            in_word = true;
        } else {
            buf_append(&b, s.p, size);
            in_word = in_word && part != WORD_BREAK;
        }
        was_middle = part == WORD_MIDDLE;
        before = u8_casing_prefixes_context((const uint8_t *)s.p, size, before);
        s = str_from(s, size);
    }
    b.overflow = b.overflow || valid.overflow;
    call_buf_end(c, &valid);
    return call_result(c, &b, out, err);
}

/* ---- title of Prometheus ---- */

/* What ends a word for strings.Title. */
static bool is_separator(rune r)
{
    if (r < 0x80)
        return !(ascii_is_alnum((char)r) || r == '_');
    if (uc_is_general_category_withtable(r, UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_Nd))
        return false;
    return rune_is_white_space(r);
}

FUNC(title_letters)
{
    struct buf b;
    (void)args_count;
    call_buf(c, &b);
    struct str s = args[0].v.s;
    rune previous = ' ';
    while (s.n > 0) {
        size_t size;
        rune r = utf8_decode(s, &size);
        utf8_append(&b, is_separator(previous) ? uc_totitle(r) : r);
        previous = r;
        s = str_from(s, size);
    }
    return call_result(c, &b, out, err);
}

FUNC(trim_space)
{
    (void)c, (void)args_count, (void)err;
    struct str s = args[0].v.s;
    size_t size;
    while (s.n > 0 && rune_is_white_space(utf8_decode(s, &size)))
        s = str_from(s, size);
    while (s.n > 0 && rune_is_white_space(utf8_decode_last(s, &size)))
        s.n -= size;
    *out = tval_str(s);
    return true;
}

bool func_join(struct tval_call *c, const struct tval *args, size_t args_count, struct tval *out, struct err *err)
{
    struct buf b;
    (void)args_count;
    call_buf(c, &b);
    const struct str *v = args[1].v.ref.p;
    for (size_t i = 0; i < args[1].v.ref.n; i++) {
        if (i > 0)
            buf_str(&b, args[0].v.s);
        buf_str(&b, v[i]);
    }
    return call_result(c, &b, out, err);
}

FUNC(string_slice)
{
    (void)err;
    struct str *v = arena_alloc_array(c->arena, args_count + 1, sizeof *v);
    for (size_t i = 0; i < args_count; i++)
        v[i] = args[i].v.s;
    *out = tval_ref(&tval_strs_class, v, args_count);
    return true;
}

FUNC(match)
{
    (void)args_count;
    struct regex *re = call_regex(c, args[0].v.s, err);
    if (!re)
        return false;
    *out = tval_bool(regex_match(re, args[1].v.s));
    return true;
}

/* Upstream compiles with MustCompile, whose panic has its own words. */
FUNC(replace_all)
{
    struct buf b;
    (void)args_count;
    struct regex *re = call_regex(c, args[0].v.s, err);
    if (!re)
        return err_wrap(err, "regexp: Compile(`%.*s`)", STR_ARG(args[0].v.s));
    call_buf(c, &b);
    regex_replace_all(re, args[2].v.s, args[1].v.s, &b);
    return call_result(c, &b, out, err);
}

static bool mark_safe(const struct tval_class *class, const struct tval *arg, struct tval *out)
{
    *out = tval_str(arg->v.s);
    out->class = class;
    return true;
}

FUNC(safe_html)
{
    (void)c, (void)args_count, (void)err;
    return mark_safe(&tval_html_class, &args[0], out);
}

FUNC(safe_url)
{
    (void)c, (void)args_count, (void)err;
    return mark_safe(&tval_url_class, &args[0], out);
}

FUNC(url_unescape)
{
    struct buf b;
    (void)args_count;
    call_buf(c, &b);
    if (!http_query_unescape(&b, args[0].v.s, err)) {
        buf_deinit(&b);
        return false;
    }
    return call_result(c, &b, out, err);
}

FUNC(url_escape)
{
    struct buf b;
    (void)args_count;
    call_buf(c, &b);
    http_query_escape(&b, args[0].v.s);
    return call_result(c, &b, out, err);
}

/* ---- base64, the URL alphabet with padding ---- */

/* Decoding is here and not wire/'s, because Go says where the text is wrong. */
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

FUNC(base64_encode_url)
{
    struct buf b;
    (void)args_count;
    call_buf(c, &b);
    base64_encode(args[0].v.s, BASE64_URL, &b);
    return call_result(c, &b, out, err);
}

static int base64_value(char ch)
{
    const char *at = ch ? strchr(alphabet, ch) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

static size_t skip_newlines(struct str s, size_t i)
{
    while (i < s.n && (s.p[i] == '\n' || s.p[i] == '\r'))
        i++;
    return i;
}

/* Four characters at *at; *bytes of them are real. STR_NPOS when all is well, else where it is not. */
static size_t base64_group(struct str s, size_t *at, uint32_t *bits, size_t *bytes)
{
    size_t have = 0, i = *at;
    *bits = 0;
    for (; have < 4; have++) {
        i = skip_newlines(s, i);
        if (i >= s.n)
            return i - have; /* where the group that is cut short began */
        if (s.p[i] == '=')
            break;
        int v = base64_value(s.p[i]);
        if (v < 0)
            return i;
        *bits = *bits << 6 | (uint32_t)v;
        i++;
    }
    *bytes = have == 4 ? 3 : have - 1;
    if (have < 4) {
        if (have < 2)
            return i;
        *bits <<= 6 * (4 - have);
        i = skip_newlines(s, i + 1);
        if (have == 2) {
            if (i >= s.n || s.p[i] != '=')
                return i >= s.n ? s.n : i - 1;
            i = skip_newlines(s, i + 1);
        }
        if (i < s.n)
            return i;
    }
    *at = i;
    return STR_NPOS;
}

FUNC(base64_decode_url)
{
    struct buf b;
    (void)args_count;
    call_buf(c, &b);
    struct str s = args[0].v.s;
    size_t i = skip_newlines(s, 0);
    while (i < s.n) {
        uint32_t bits;
        size_t bytes = 0;
        size_t bad = base64_group(s, &i, &bits, &bytes);
        if (bad != STR_NPOS) {
            buf_deinit(&b);
            return call_fail(err, "illegal base64 data at input byte %zu", bad);
        }
        for (size_t k = 0; k < bytes; k++)
            buf_byte(&b, (char)(bits >> (16 - 8 * k) & 0xFF));
        i = skip_newlines(s, i);
    }
    return call_result(c, &b, out, err);
}

#define BOTH (FUNC_ALERTMANAGER | FUNC_PROMETHEUS)
const struct func func_rows_text[] = {
    { STR_INIT("base64decode"), FUNC_ALERTMANAGER, "s", base64_decode_url, FUNC_PLAIN },
    { STR_INIT("base64encode"), FUNC_ALERTMANAGER, "s", base64_encode_url, FUNC_PLAIN },
    { STR_INIT("join"), FUNC_ALERTMANAGER, "sS", func_join, FUNC_PLAIN },
    { STR_INIT("match"), BOTH, "ss", match, FUNC_PLAIN },
    { STR_INIT("reReplaceAll"), BOTH, "sss", replace_all, FUNC_PLAIN },
    { STR_INIT("safeHtml"), BOTH, "s", safe_html, FUNC_PLAIN },
    { STR_INIT("safeUrl"), FUNC_ALERTMANAGER, "s", safe_url, FUNC_PLAIN },
    { STR_INIT("stringSlice"), FUNC_ALERTMANAGER, "s*", string_slice, FUNC_PLAIN },
    { STR_INIT("title"), FUNC_ALERTMANAGER, "s", title_words, FUNC_PLAIN },
    { STR_INIT("title"), FUNC_PROMETHEUS, "s", title_letters, FUNC_PLAIN },
    { STR_INIT("toLower"), BOTH, "s", to_lower, FUNC_PLAIN },
    { STR_INIT("toUpper"), BOTH, "s", to_upper, FUNC_PLAIN },
    { STR_INIT("trimSpace"), FUNC_ALERTMANAGER, "s", trim_space, FUNC_PLAIN },
    { STR_INIT("urlQueryEscape"), FUNC_PROMETHEUS, "s", url_escape, FUNC_PLAIN },
    { STR_INIT("urlUnescape"), FUNC_ALERTMANAGER, "s", url_unescape, FUNC_PLAIN },
};
const size_t func_rows_text_count = ARRAY_LEN(func_rows_text);
