/* The escapers that the HTML engine puts behind actions. Each takes what came through the pipeline, as text, and gives
 * text that cannot leave the place it is put in. Safe strings (template.HTML, template.URL) are trusted where their kind
 * fits, and plain text elsewhere. */
#include "template/func_int.h"
#include "template/html_context_int.h"

#include "base/utf8.h"

#define FUNC(name_)                                                                                \
    static bool name_(struct tval_call *c, const struct tval *args, size_t args_count, struct tval *out, struct err *err)

#define FAILSAFE "ZgotmplZ" /* stands for what was refused; harmless everywhere and easy to search for */

/* ---- values as text ---- */

/* The arguments as text and the kind of the single one; b backs the text if it had to be made, and is empty if not. */
static struct str text_of(struct tval_call *c, const struct tval *args, size_t n, struct buf *b,
                          const struct tval_class **class)
{
    *b = (struct buf){ 0 };
    *class = NULL;
    if (n == 1 && args[0].kind == TVAL_STR && (!args[0].class || !args[0].class->string)) {
        *class = args[0].class;
        return args[0].v.s;
    }
    call_buf(c, b);
    bool previous = true;
    for (size_t i = 0; i < n; i++) {
        if (args[i].kind == TVAL_NONE || args[i].kind == TVAL_NIL)
            continue;
        bool string = args[i].kind == TVAL_STR;
        if (!string && !previous)
            buf_byte(b, ' ');
        tval_print_plain(&args[i], b);
        previous = string;
    }
    return buf_view(b);
}

/* One text to another: what most escapers are. */
typedef void escape_text(struct buf *out, struct str s, const struct tval_class *class);

static bool escape_with(struct tval_call *c, const struct tval *args, size_t n, escape_text *escape, struct tval *out,
                        struct err *err)
{
    struct buf made, b;
    const struct tval_class *class;
    struct str s = text_of(c, args, n, &made, &class);
    call_buf(c, &b);
    b.overflow = made.overflow;
    escape(&b, s, class);
    call_buf_end(c, &made);
    return call_result(c, &b, out, err);
}

static void failsafe(struct buf *out)
{
    buf_truncate(out, 0);
    buf_c(out, FAILSAFE);
}

/* ---- HTML ---- */

enum html_escape_flags { ESCAPE_KEEP_AMP = 1, ESCAPE_NO_SPACE = 2 };

/* What a byte becomes; NULL: it stays. */
static const char *html_replacement(char x, unsigned flags)
{
    bool no_space = flags & ESCAPE_NO_SPACE;
    switch (x) {
    case '\0':
        return no_space ? "&#xfffd;" : "\xEF\xBF\xBD";
    case '"':
        return "&#34;";
    case '&':
        return flags & ESCAPE_KEEP_AMP ? NULL : "&amp;";
    case '\'':
        return "&#39;";
    case '+':
        return "&#43;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '\t':
        return no_space ? "&#9;" : NULL;
    case '\n':
        return no_space ? "&#10;" : NULL;
    case '\v':
        return no_space ? "&#11;" : NULL;
    case '\f':
        return no_space ? "&#12;" : NULL;
    case '\r':
        return no_space ? "&#13;" : NULL;
    case ' ':
        return no_space ? "&#32;" : NULL;
    case '=':
        return no_space ? "&#61;" : NULL;
    case '`':
        return no_space ? "&#96;" : NULL;
    default:
        return NULL;
    }
}

/* The bytes that HTML text does not keep. */
static const bool html_special[256] = {
    ['\0'] = true, ['"'] = true, ['&'] = true, ['\''] = true, ['+'] = true, ['<'] = true, ['>'] = true,
};

/* Where the first of them is; s.n if nothing has to be replaced. */
static size_t html_plain(struct str s)
{
    size_t i = 0;
    while (i < s.n && !html_special[(unsigned char)s.p[i]])
        i++;
    return i;
}

static void replace_html(struct buf *out, struct str s, unsigned flags)
{
    size_t last = 0;
    for (size_t i = flags & ESCAPE_NO_SPACE ? 0 : html_plain(s); i < s.n; i++) {
        const char *to = html_replacement(s.p[i], flags);
        if (to) {
            buf_append(out, s.p + last, i - last);
            buf_c(out, to);
            last = i + 1;
        } else if ((flags & ESCAPE_NO_SPACE) && (unsigned char)s.p[i] >= 0x80) {
            /* U+FDD0..FDEF and U+FFF0..FFFF end unquoted values in some browsers; what is no UTF-8 reads as U+FFFD. */
            size_t size;
            rune r = utf8_decode(str_from(s, i), &size);
            if ((r >= 0xFDD0 && r <= 0xFDEF) || (r >= 0xFFF0 && r <= 0xFFFF)) {
                buf_append(out, s.p + last, i - last);
                buf_printf(out, "&#x%x;", r);
                last = i + size;
            }
            i += size - 1;
        }
    }
    buf_append(out, s.p + last, s.n - last);
}

/* The text of a piece of HTML, without its tags. */
static void strip_tags(struct tval_call *c, struct buf *out, struct str s)
{
    struct html_context at = { 0 };
    bool all_text = true;
    size_t i = 0;
    while (i != s.n) {
        size_t read;
        if (at.delim == HTML_DELIM_NONE) {
            struct html_context as = at;
            if (at.element != HTML_EL_NONE && !html_is_in_tag(at.state))
                as.state = HTML_RCDATA;
            struct html_context next = html_transition(c->arena, &as, str_from(s, i), &read);
            size_t to = i + read, end = to;
            if (at.state == HTML_TEXT || at.state == HTML_RCDATA) {
                for (size_t j = to; next.state != at.state && j > i; j--)
                    if (s.p[j - 1] == '<') {
                        end = j - 1;
                        break;
                    }
                buf_append(out, s.p + i, end - i);
            } else {
                all_text = false;
            }
            at = next;
            i = to;
            continue;
        }
        size_t end = html_find_any(str_from(s, i), html_delim_ends(at.delim));
        if (end == STR_NPOS)
            break;
        i += end + (at.delim != HTML_DELIM_SPACE);
        at = (struct html_context){ .state = HTML_TAG, .element = at.element };
    }
    if (all_text) {
        buf_truncate(out, 0);
        buf_str(out, s);
    } else if (at.state == HTML_TEXT || at.state == HTML_RCDATA) {
        buf_str(out, str_from(s, i));
    }
}

FUNC(html_text)
{
    struct buf made, b;
    const struct tval_class *class;
    struct str s = text_of(c, args, args_count, &made, &class);
    if (!made.p && (class == &tval_html_class || html_plain(s) == s.n)) {
        *out = tval_str(s);
        return true;
    }
    call_buf(c, &b);
    b.overflow = made.overflow;
    replace_html(&b, s, 0);
    call_buf_end(c, &made);
    return call_result(c, &b, out, err);
}

static void rcdata(struct buf *out, struct str s, const struct tval_class *class)
{
    replace_html(out, s, class == &tval_html_class ? ESCAPE_KEEP_AMP : 0);
}

FUNC(html_rcdata)
{
    return escape_with(c, args, args_count, rcdata, out, err);
}

static bool attribute(struct tval_call *c, const struct tval *args, size_t n, unsigned flags, struct tval *out,
                      struct err *err)
{
    struct buf made, b;
    const struct tval_class *class;
    struct str s = text_of(c, args, n, &made, &class);
    if (!made.p && !flags && !class && html_plain(s) == s.n) {
        *out = tval_str(s);
        return true;
    }
    call_buf(c, &b);
    b.overflow = made.overflow;
    if (s.n == 0 && (flags & ESCAPE_NO_SPACE)) {
        failsafe(&b);
    } else if (class == &tval_html_class) {
        struct buf text;
        call_buf(c, &text);
        strip_tags(c, &text, s);
        replace_html(&b, buf_view(&text), flags | ESCAPE_KEEP_AMP);
        buf_deinit(&text);
    } else {
        replace_html(&b, s, flags);
    }
    call_buf_end(c, &made);
    return call_result(c, &b, out, err);
}

FUNC(html_attribute)
{
    return attribute(c, args, args_count, 0, out, err);
}

FUNC(html_no_space)
{
    return attribute(c, args, args_count, ESCAPE_NO_SPACE, out, err);
}

static void name_filter(struct buf *out, struct str s, const struct tval_class *class)
{
    (void)class;
    for (size_t i = 0; i < s.n; i++)
        buf_byte(out, ascii_lower(s.p[i]));
    bool good = s.n > 0 && html_attr_content(buf_view(out)) == HTML_CONTENT_PLAIN;
    for (size_t i = 0; good && i < out->n; i++)
        good = ascii_is_alnum(out->p[i]);
    if (!good)
        failsafe(out);
}

FUNC(html_name)
{
    return escape_with(c, args, args_count, name_filter, out, err);
}

FUNC(html_comment)
{
    (void)c, (void)args, (void)args_count, (void)err;
    *out = tval_str(STR_EMPTY);
    return true;
}

/* ---- URLs ---- */

static bool is_safe_url(struct str s)
{
    size_t colon = str_find_byte(s, ':');
    struct str scheme = colon == STR_NPOS ? STR_EMPTY : str_sub(s, 0, colon);
    if (colon == STR_NPOS || str_find_byte(scheme, '/') != STR_NPOS)
        return true;
    return str_eq_nocase(scheme, STR("http")) || str_eq_nocase(scheme, STR("https")) ||
           str_eq_nocase(scheme, STR("mailto"));
}

static bool url_keeps(struct str s, size_t i, bool normalize)
{
    char x = s.p[i];
    if (ascii_is_alnum(x) || x == '-' || x == '.' || x == '_' || x == '~')
        return true;
    return normalize && x &&
           (strchr("!#$&*+,/:;=?@[]", x) != NULL ||
            (x == '%' && i + 2 < s.n && ascii_is_xdigit(s.p[i + 1]) && ascii_is_xdigit(s.p[i + 2])));
}

static void write_url(struct buf *out, struct str s, bool normalize)
{
    size_t last = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (url_keeps(s, i, normalize))
            continue;
        buf_append(out, s.p + last, i - last);
        buf_printf(out, "%%%02x", (unsigned char)s.p[i]);
        last = i + 1;
    }
    buf_append(out, s.p + last, s.n - last);
}

FUNC(html_url_filter)
{
    struct buf made;
    const struct tval_class *class;
    struct str s = text_of(c, args, args_count, &made, &class);
    (void)err;
    if (class != &tval_url_class && !is_safe_url(s))
        s = STR("#" FAILSAFE);
    *out = tval_str(made.p ? arena_str(c->arena, s) : s);
    call_buf_end(c, &made);
    return true;
}

static void url_component(struct buf *out, struct str s, const struct tval_class *class)
{
    write_url(out, s, class == &tval_url_class);
}

static void url_normal(struct buf *out, struct str s, const struct tval_class *class)
{
    (void)class;
    write_url(out, s, true);
}

FUNC(html_url_escape)
{
    return escape_with(c, args, args_count, url_component, out, err);
}

FUNC(html_url_normalize)
{
    return escape_with(c, args, args_count, url_normal, out, err);
}

static bool is_html_space(char x)
{
    return x == ' ' || x == '\t' || x == '\n' || x == '\f' || x == '\r';
}

/* One "url 2x" of a srcset, spaces around it kept. */
static void srcset_element(struct buf *out, struct str s)
{
    size_t start = 0, end;
    while (start < s.n && is_html_space(s.p[start]))
        start++;
    for (end = start; end < s.n && !is_html_space(s.p[end]); end++) {
    }
    struct str url = str_sub(s, start, end - start);
    bool good = is_safe_url(url);
    for (size_t i = end; good && i < s.n; i++)
        good = is_html_space(s.p[i]) || ascii_is_alnum(s.p[i]);
    if (!good) {
        buf_c(out, "#" FAILSAFE);
        return;
    }
    buf_append(out, s.p, start);
    write_url(out, url, true);
    buf_str(out, str_from(s, end));
}

static void srcset(struct buf *out, struct str s, const struct tval_class *class)
{
    if (class == &tval_url_class) {
        struct buf url = { .limit_bytes = out->limit_bytes };
        write_url(&url, s, true);
        for (size_t i = 0; i < url.n; i++) /* a comma would begin another source */
            if (url.p[i] == ',')
                buf_c(out, "%2c");
            else
                buf_byte(out, url.p[i]);
        buf_deinit(&url);
        return;
    }
    struct str rest = s, piece;
    for (bool first = true; str_split(&rest, ',', &piece); first = false) {
        if (!first)
            buf_byte(out, ',');
        srcset_element(out, piece);
    }
}

FUNC(html_srcset)
{
    return escape_with(c, args, args_count, srcset, out, err);
}

/* ---- JavaScript ---- */

enum js_flags { JS_STRING = 1, JS_TEMPLATE = 2, JS_REGEXP = 4 };

static void js_ascii(struct buf *out, char x, unsigned flags)
{
    switch (x) {
    case '\t':
        buf_c(out, "\\t");
        return;
    case '\n':
        buf_c(out, "\\n");
        return;
    case '\f':
        buf_c(out, "\\f");
        return;
    case '\r':
        buf_c(out, "\\r");
        return;
    case '/':
        buf_c(out, "\\/");
        return;
    case '\\':
        buf_c(out, "\\\\");
        return;
    case '"':
    case '&':
    case '\'':
    case '+':
    case '<':
    case '>':
        buf_printf(out, "\\u%04x", (unsigned char)x);
        return;
    case '`':
        if (flags & JS_REGEXP)
            buf_byte(out, x);
        else
            buf_c(out, "\\u0060");
        return;
    default:
        break;
    }
    if ((unsigned char)x < 0x20)
        buf_printf(out, "\\u%04x", (unsigned char)x);
    else if ((flags & JS_TEMPLATE) && strchr("${}", x))
        buf_printf(out, "\\u%04x", (unsigned char)x);
    else if ((flags & JS_REGEXP) && strchr("$()*-.?[]^{|}", x))
        buf_printf(out, "\\%c", x);
    else
        buf_byte(out, x);
}

static void js_replace(struct buf *out, struct str s, unsigned flags)
{
    while (s.n > 0) {
        size_t size;
        rune r = utf8_decode(s, &size);
        if (r < 0x80)
            js_ascii(out, (char)r, flags);
        else if (r == 0x2028 || r == 0x2029)
            buf_printf(out, "\\u%04x", r);
        else
            buf_append(out, s.p, size);
        s = str_from(s, size);
    }
}

static void js_string(struct buf *out, struct str s, const struct tval_class *class)
{
    (void)class;
    js_replace(out, s, JS_STRING);
}

static void js_template(struct buf *out, struct str s, const struct tval_class *class)
{
    (void)class;
    js_replace(out, s, JS_TEMPLATE);
}

static void js_regexp(struct buf *out, struct str s, const struct tval_class *class)
{
    (void)class;
    js_replace(out, s, JS_REGEXP);
    if (s.n == 0) /* an empty one would begin a comment */
        buf_c(out, "(?:)");
}

FUNC(html_js_string)
{
    return escape_with(c, args, args_count, js_string, out, err);
}

FUNC(html_js_template)
{
    return escape_with(c, args, args_count, js_template, out, err);
}

FUNC(html_js_regexp)
{
    return escape_with(c, args, args_count, js_regexp, out, err);
}

/* The value as a JavaScript expression: JSON, with blanks where it would run into its neighbours. */
static bool js_value_of(struct tval_call *c, const struct tval *v, struct tval *out, struct err *err)
{
    struct buf json, b;
    struct err why = { 0 };
    call_buf(c, &json);
    call_buf(c, &b);
    if (!tval_json(v, &json, &why)) {
        buf_printf(&b, " /* %.*s */null ", STR_ARG(err_text(&why)));
    } else {
        struct str s = buf_view(&json);
        bool pad = s.n > 0 && (html_is_js_ident_part((unsigned char)s.p[0]) ||
                               html_is_js_ident_part((unsigned char)s.p[s.n - 1]));
        if (pad)
            buf_byte(&b, ' ');
        buf_str(&b, s);
        if (pad)
            buf_byte(&b, ' ');
        b.overflow |= json.overflow;
    }
    buf_deinit(&json);
    return call_result(c, &b, out, err);
}

FUNC(html_js_value)
{
    if (args_count == 1 && (args[0].kind == TVAL_TIME || !args[0].class || !args[0].class->string))
        return js_value_of(c, &args[0], out, err);
    struct buf made;
    const struct tval_class *class;
    struct tval text = tval_str(text_of(c, args, args_count, &made, &class));
    bool ok = js_value_of(c, &text, out, err);
    call_buf_end(c, &made);
    return ok;
}

/* ---- CSS ---- */

static const char *css_replacement(char x)
{
    switch (x) {
    case '\0':
        return "\\0";
    case '\t':
        return "\\9";
    case '\n':
        return "\\a";
    case '\f':
        return "\\c";
    case '\r':
        return "\\d";
    case '"':
        return "\\22";
    case '&':
        return "\\26";
    case '\'':
        return "\\27";
    case '(':
        return "\\28";
    case ')':
        return "\\29";
    case '+':
        return "\\2b";
    case '/':
        return "\\2f";
    case ':':
        return "\\3a";
    case ';':
        return "\\3b";
    case '<':
        return "\\3c";
    case '>':
        return "\\3e";
    case '{':
        return "\\7b";
    case '}':
        return "\\7d";
    default:
        return NULL;
    }
}

static void css_string(struct buf *out, struct str s, const struct tval_class *class)
{
    (void)class;
    for (size_t i = 0; i < s.n; i++) {
        const char *to = css_replacement(s.p[i]);
        if (s.p[i] == '\\') {
            buf_c(out, "\\\\");
        } else if (!to) {
            buf_byte(out, s.p[i]);
        } else {
            buf_c(out, to);
            if (i + 1 == s.n || ascii_is_xdigit(s.p[i + 1]) || is_html_space(s.p[i + 1]))
                buf_byte(out, ' ');
        }
    }
}

FUNC(html_css_string)
{
    return escape_with(c, args, args_count, css_string, out, err);
}

/* Quantities, names, colours; nothing that could move a token's boundary or run something. */
static void css_value(struct buf *out, struct str s, const struct tval_class *class)
{
    (void)class;
    struct buf names = { 0 };
    html_decode_css(out, s);
    bool good = true;
    for (size_t i = 0; good && i < out->n; i++) {
        char x = out->p[i];
        if (x == '\0' || strchr("\"'()/;@[\\]`{}<>", x))
            good = false;
        else if (x == '-')
            good = i == 0 || out->p[i - 1] != '-';
        else if ((unsigned char)x < 0x80 && html_is_css_name_char((unsigned char)x))
            buf_byte(&names, ascii_lower(x));
    }
    if (str_contains(buf_view(&names), STR("expression")) || str_contains(buf_view(&names), STR("mozbinding")))
        good = false;
    buf_deinit(&names);
    if (!good)
        failsafe(out);
}

FUNC(html_css_value)
{
    return escape_with(c, args, args_count, css_value, out, err);
}

/* The arguments as one text: what `html a b` becomes when html is moved to the end. */
FUNC(html_eval_args)
{
    struct buf b;
    call_buf(c, &b);
    bool previous = true;
    for (size_t i = 0; i < args_count; i++) {
        bool string = args[i].kind == TVAL_STR;
        if (!string && !previous)
            buf_byte(&b, ' ');
        if (args[i].kind == TVAL_NONE || args[i].kind == TVAL_NIL)
            buf_c(&b, "<nil>");
        else
            tval_print_plain(&args[i], &b);
        previous = string;
    }
    return call_result(c, &b, out, err);
}

#define ROW(name_, call_) { STR_INIT(name_), FUNC_ESCAPER, "a*", call_, FUNC_PLAIN }
const struct func func_rows_html[] = {
    ROW("_html_template_attrescaper", html_attribute),
    ROW("_html_template_commentescaper", html_comment),
    ROW("_html_template_cssescaper", html_css_string),
    ROW("_html_template_cssvaluefilter", html_css_value),
    ROW("_html_template_htmlnamefilter", html_name),
    ROW("_html_template_htmlescaper", html_text),
    ROW("_html_template_jsregexpescaper", html_js_regexp),
    ROW("_html_template_jsstrescaper", html_js_string),
    ROW("_html_template_jstmpllitescaper", html_js_template),
    ROW("_html_template_jsvalescaper", html_js_value),
    ROW("_html_template_nospaceescaper", html_no_space),
    ROW("_html_template_rcdataescaper", html_rcdata),
    ROW("_html_template_srcsetescaper", html_srcset),
    ROW("_html_template_urlescaper", html_url_escape),
    ROW("_html_template_urlfilter", html_url_filter),
    ROW("_html_template_urlnormalizer", html_url_normalize),
    ROW("_eval_args_", html_eval_args),
};
const size_t func_rows_html_count = ARRAY_LEN(func_rows_html);
