/* How literal text moves the context: one function per state, each consuming at least one byte unless the state changes.
 *
 * H1: html_transition() returns with *read > 0 or another state, so that callers make progress. H2: in an error context
 * `err` is set. What is conservative here is so because browsers disagree or the text is ambiguous; upstream's comments
 * say which. */
#include "template/html_context_int.h"

#include "base/utf8.h"

static const char *const state_names[HTML_STATES] = {
    [HTML_TEXT] = "stateText",
    [HTML_TAG] = "stateTag",
    [HTML_ATTR_NAME] = "stateAttrName",
    [HTML_AFTER_NAME] = "stateAfterName",
    [HTML_BEFORE_VALUE] = "stateBeforeValue",
    [HTML_COMMENT] = "stateHTMLCmt",
    [HTML_RCDATA] = "stateRCDATA",
    [HTML_ATTR] = "stateAttr",
    [HTML_URL] = "stateURL",
    [HTML_SRCSET] = "stateSrcset",
    [HTML_JS] = "stateJS",
    [HTML_JS_DQ] = "stateJSDqStr",
    [HTML_JS_SQ] = "stateJSSqStr",
    [HTML_JS_TEMPLATE] = "stateJSTmplLit",
    [HTML_JS_REGEXP] = "stateJSRegexp",
    [HTML_JS_BLOCK_COMMENT] = "stateJSBlockCmt",
    [HTML_JS_LINE_COMMENT] = "stateJSLineCmt",
    [HTML_JS_HTML_OPEN_COMMENT] = "stateJSHTMLOpenCmt",
    [HTML_JS_HTML_CLOSE_COMMENT] = "stateJSHTMLCloseCmt",
    [HTML_CSS] = "stateCSS",
    [HTML_CSS_DQ] = "stateCSSDqStr",
    [HTML_CSS_SQ] = "stateCSSSqStr",
    [HTML_CSS_DQ_URL] = "stateCSSDqURL",
    [HTML_CSS_SQ_URL] = "stateCSSSqURL",
    [HTML_CSS_URL] = "stateCSSURL",
    [HTML_CSS_BLOCK_COMMENT] = "stateCSSBlockCmt",
    [HTML_CSS_LINE_COMMENT] = "stateCSSLineCmt",
    [HTML_ERROR] = "stateError",
    [HTML_META_CONTENT] = "stateMetaContent",
    [HTML_META_CONTENT_URL] = "stateMetaContentURL",
    [HTML_DEAD] = "stateDead",
};
static const char *const delim_names[] = { "delimNone", "delimDoubleQuote", "delimSingleQuote", "delimSpaceOrTagEnd" };
static const char *const part_names[] = { "urlPartNone", "urlPartPreQuery", "urlPartQueryOrFrag", "urlPartUnknown" };
static const char *const js_names[] = { "jsCtxRegexp", "jsCtxDivOp", "jsCtxUnknown" };
static const char *const attr_names[] = { "attrNone",  "attrScript", "attrScriptType", "attrStyle",
                                          "attrURL",   "attrSrcset", "attrMetaContent" };
static const char *const element_names[] = { "elementNone",     "elementScript", "elementStyle",
                                             "elementTextarea", "elementTitle",  "elementMeta" };

/* ---- contexts as values ---- */

bool html_context_eq(const struct html_context *a, const struct html_context *b)
{
    return a->state == b->state && a->delim == b->delim && a->url_part == b->url_part && a->js == b->js &&
           a->attr == b->attr && a->element == b->element && a->braces_count == b->braces_count &&
           memcmp(a->braces, b->braces, a->braces_count * sizeof a->braces[0]) == 0 && a->err == b->err;
}

static void write_braces(struct buf *b, const struct html_context *c)
{
    buf_byte(b, '[');
    for (unsigned i = 0; i < c->braces_count; i++)
        buf_printf(b, i ? " %u" : "%u", c->braces[i]);
    buf_byte(b, ']');
}

void html_context_write(struct buf *b, const struct html_context *c)
{
    buf_printf(b, "{%s %s %s %s ", state_names[c->state], delim_names[c->delim], part_names[c->url_part],
               js_names[c->js]);
    write_braces(b, c);
    buf_printf(b, " %s %s <nil>}", attr_names[c->attr], element_names[c->element]);
}

struct str html_context_mangle(struct arena *a, const struct html_context *c, struct str name)
{
    if (c->state == HTML_TEXT)
        return name;
    struct buf b = { 0 };
    buf_str(&b, name);
    buf_printf(&b, "$htmltemplate_%s", state_names[c->state]);
    if (c->delim != HTML_DELIM_NONE)
        buf_printf(&b, "_%s", delim_names[c->delim]);
    if (c->url_part != HTML_PART_NONE)
        buf_printf(&b, "_%s", part_names[c->url_part]);
    if (c->js != HTML_SLASH_REGEXP)
        buf_printf(&b, "_%s", js_names[c->js]);
    if (c->braces_count > 0) {
        buf_c(&b, "_jsBraceDepth(");
        write_braces(&b, c);
        buf_byte(&b, ')');
    }
    if (c->attr != HTML_ATTR_PLAIN)
        buf_printf(&b, "_%s", attr_names[c->attr]);
    if (c->element != HTML_EL_NONE)
        buf_printf(&b, "_%s", element_names[c->element]);
    struct str s = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return s;
}

struct html_context html_context_error(struct arena *a, const struct node *node, uint32_t line, const char *fmt, ...)
{
    struct html_error *e = ARENA_NEW(a, struct html_error);
    va_list ap;
    va_start(ap, fmt);
    e->text = arena_vprintf(a, fmt, ap);
    va_end(ap);
    e->node = node;
    e->line = line;
    return (struct html_context){ .state = HTML_ERROR, .err = e };
}

/* An error that quotes a part of the text, cut to `runes` (0: whole). */
static struct html_context fail_at(struct arena *a, struct str s, size_t runes, const char *what, size_t n, size_t *read)
{
    struct buf b = { .limit_bytes = 1024 };
    go_quote(&b, runes ? utf8_prefix(s, runes) : str_sub(s, 0, 400));
    struct html_context c = html_context_error(a, NULL, 0, "%s: %.*s", what, STR_ARG(buf_view(&b)));
    buf_deinit(&b);
    *read = n;
    return c;
}

static struct html_context fail_tag(struct arena *a, struct str s, size_t n, size_t *read)
{
    struct buf b = { .limit_bytes = 1024 };
    go_quote(&b, str_sub(s, 0, 400));
    struct html_context c = html_context_error(
        a, NULL, 0, "expected space, attr name, or end of tag, but got %.*s", STR_ARG(buf_view(&b)));
    buf_deinit(&b);
    *read = n;
    return c;
}

bool html_is_comment(enum html_state s)
{
    return s == HTML_COMMENT || (s >= HTML_JS_BLOCK_COMMENT && s <= HTML_JS_HTML_CLOSE_COMMENT) ||
           s == HTML_CSS_BLOCK_COMMENT || s == HTML_CSS_LINE_COMMENT;
}

bool html_is_in_tag(enum html_state s)
{
    return s == HTML_TAG || s == HTML_ATTR_NAME || s == HTML_AFTER_NAME || s == HTML_BEFORE_VALUE || s == HTML_ATTR;
}

bool html_is_script_literal(enum html_state s)
{
    return s == HTML_JS_DQ || s == HTML_JS_SQ || s == HTML_JS_TEMPLATE || s == HTML_JS_REGEXP;
}

enum html_state html_attr_start(enum html_attr attr)
{
    static const enum html_state starts[] = {
        [HTML_ATTR_PLAIN] = HTML_ATTR,   [HTML_ATTR_SCRIPT] = HTML_JS,
        [HTML_ATTR_SCRIPT_TYPE] = HTML_ATTR, [HTML_ATTR_STYLE] = HTML_CSS,
        [HTML_ATTR_URL] = HTML_URL,      [HTML_ATTR_SRCSET] = HTML_SRCSET,
        [HTML_ATTR_META_CONTENT] = HTML_META_CONTENT,
    };
    return starts[attr];
}

const char *html_delim_ends(enum html_delim d)
{
    return d == HTML_DELIM_DQ ? "\"" : d == HTML_DELIM_SQ ? "'" : " \t\n\f\r>";
}

/* ---- bytes ---- */

size_t html_find_any(struct str s, const char *set)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] && strchr(set, s.p[i]))
            return i;
    return STR_NPOS;
}

static bool is_html_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static size_t eat_space(struct str s, size_t i)
{
    while (i < s.n && is_html_space(s.p[i]))
        i++;
    return i;
}

static struct html_context whole(const struct html_context *c, struct str s, size_t *read)
{
    *read = s.n;
    return *c;
}

static struct html_context tag_of(enum html_element element)
{
    return (struct html_context){ .state = HTML_TAG, .element = element };
}

/* ---- text and tags ---- */

static size_t eat_tag_name(struct str s, size_t i, enum html_element *element)
{
    static const struct {
        struct str name;
        enum html_element element;
    } special[] = {
        { STR_INIT("script"), HTML_EL_SCRIPT },     { STR_INIT("style"), HTML_EL_STYLE },
        { STR_INIT("textarea"), HTML_EL_TEXTAREA }, { STR_INIT("title"), HTML_EL_TITLE },
        { STR_INIT("meta"), HTML_EL_META },
    };
    *element = HTML_EL_NONE;
    if (i == s.n || !ascii_is_alpha(s.p[i]))
        return i;
    size_t j = i + 1;
    while (j < s.n) {
        char x = s.p[j];
        if (ascii_is_alnum(x))
            j++;
        else if ((x == ':' || x == '-') && j + 1 < s.n && ascii_is_alnum(s.p[j + 1]))
            j += 2;
        else
            break;
    }
    for (size_t k = 0; k < ARRAY_LEN(special); k++)
        if (str_eq_nocase(str_sub(s, i, j - i), special[k].name))
            *element = special[k].element;
    return j;
}

static struct html_context in_text(const struct html_context *c, struct str s, size_t *read)
{
    size_t k = 0;
    for (;;) {
        size_t at = str_find_byte(str_from(s, k), '<');
        size_t i = k + at;
        if (at == STR_NPOS || i + 1 == s.n)
            return whole(c, s, read);
        if (str_starts(str_from(s, i), STR("<!--"))) {
            *read = i + 4;
            return (struct html_context){ .state = HTML_COMMENT };
        }
        i++;
        bool end = s.p[i] == '/';
        if (end && i + 1 == s.n)
            return whole(c, s, read);
        i += end;
        enum html_element element;
        size_t j = eat_tag_name(s, i, &element);
        if (j != i) {
            *read = j;
            return tag_of(end ? HTML_EL_NONE : element);
        }
        k = j;
    }
}

/* The end of an attribute name from i on; STR_NPOS with *c an error. */
static size_t eat_attr_name(struct arena *a, struct str s, size_t i, struct html_context *c, size_t *read)
{
    for (; i < s.n; i++) {
        char x = s.p[i];
        if (is_html_space(x) || x == '=' || x == '>')
            return i;
        if (x == '\'' || x == '"' || x == '<') {
            struct buf b = { 0 };
            go_quote(&b, str_sub(s, i, 1));
            buf_c(&b, " in attribute name");
            buf_byte(&b, '\0');
            *c = fail_at(a, s, 32, buf_view(&b).p, s.n, read);
            buf_deinit(&b);
            return STR_NPOS;
        }
    }
    return s.n;
}

static enum html_attr attr_of(enum html_element element, struct str name)
{
    char lower[64];
    if (element == HTML_EL_SCRIPT && str_eq_nocase(name, STR("type")))
        return HTML_ATTR_SCRIPT_TYPE;
    if (element == HTML_EL_META && str_eq_nocase(name, STR("content")))
        return HTML_ATTR_META_CONTENT;
    /* A longer name is in no table, but it may contain what marks a URL: look at all of it, in pieces that overlap. */
    enum html_content content = HTML_CONTENT_PLAIN;
    for (size_t from = 0; from == 0 || from < name.n; from += sizeof lower / 2) {
        struct str piece = str_sub(name, from, sizeof lower);
        for (size_t i = 0; i < piece.n; i++)
            lower[i] = ascii_lower(piece.p[i]);
        enum html_content found = html_attr_content(str_of(lower, piece.n));
        if (from == 0 || found == HTML_CONTENT_URL)
            content = found;
        if (piece.n < sizeof lower || found != HTML_CONTENT_PLAIN)
            break;
    }
    switch (content) {
    case HTML_CONTENT_URL:
        return HTML_ATTR_URL;
    case HTML_CONTENT_CSS:
        return HTML_ATTR_STYLE;
    case HTML_CONTENT_JS:
        return HTML_ATTR_SCRIPT;
    case HTML_CONTENT_SRCSET:
        return HTML_ATTR_SRCSET;
    case HTML_CONTENT_PLAIN:
    case HTML_CONTENT_HTML:
    case HTML_CONTENT_UNSAFE:
        break;
    }
    return HTML_ATTR_PLAIN;
}

static struct html_context in_tag(struct arena *a, const struct html_context *c, struct str s, size_t *read)
{
    static const enum html_state content[] = {
        [HTML_EL_NONE] = HTML_TEXT,       [HTML_EL_SCRIPT] = HTML_JS,    [HTML_EL_STYLE] = HTML_CSS,
        [HTML_EL_TEXTAREA] = HTML_RCDATA, [HTML_EL_TITLE] = HTML_RCDATA, [HTML_EL_META] = HTML_TEXT,
    };
    struct html_context bad;
    size_t i = eat_space(s, 0);
    if (i == s.n)
        return whole(c, s, read);
    if (s.p[i] == '>') {
        *read = i + 1;
        return (struct html_context){ .state = content[c->element],
                                      .element = c->element == HTML_EL_META ? HTML_EL_NONE : c->element };
    }
    size_t j = eat_attr_name(a, s, i, &bad, read);
    if (j == STR_NPOS)
        return bad;
    if (i == j)
        return fail_tag(a, str_from(s, i), s.n, read);
    *read = j;
    return (struct html_context){ .state = j == s.n ? HTML_ATTR_NAME : HTML_AFTER_NAME,
                                  .element = c->element,
                                  .attr = attr_of(c->element, str_sub(s, i, j - i)) };
}

static struct html_context in_attr_name(struct arena *a, const struct html_context *c, struct str s, size_t *read)
{
    struct html_context next = *c, bad;
    size_t i = eat_attr_name(a, s, 0, &bad, read);
    if (i == STR_NPOS)
        return bad;
    if (i != s.n)
        next.state = HTML_AFTER_NAME;
    *read = i;
    return next;
}

static struct html_context after_name(const struct html_context *c, struct str s, size_t *read)
{
    struct html_context next = *c;
    size_t i = eat_space(s, 0);
    if (i == s.n)
        return whole(c, s, read);
    next.state = s.p[i] == '=' ? HTML_BEFORE_VALUE : HTML_TAG;
    *read = i + (s.p[i] == '=');
    return next;
}

static struct html_context before_value(const struct html_context *c, struct str s, size_t *read)
{
    struct html_context next = *c;
    size_t i = eat_space(s, 0);
    if (i == s.n)
        return whole(c, s, read);
    next.delim = s.p[i] == '\'' ? HTML_DELIM_SQ : s.p[i] == '"' ? HTML_DELIM_DQ : HTML_DELIM_SPACE;
    next.state = html_attr_start(c->attr);
    *read = i + (next.delim != HTML_DELIM_SPACE);
    return next;
}

static struct html_context in_comment(const struct html_context *c, struct str s, size_t *read)
{
    size_t i = str_find(s, STR("-->"));
    if (i == STR_NPOS)
        return whole(c, s, read);
    *read = i + 3;
    return (struct html_context){ 0 };
}

/* The place of "</tag" that ends an element whose content is no HTML; STR_NPOS if none. */
static size_t find_tag_end(struct str s, struct str tag)
{
    size_t done = 0;
    for (;;) {
        size_t i = str_find(str_from(s, done), STR("</"));
        if (i == STR_NPOS)
            return STR_NPOS;
        struct str after = str_from(s, done + i + 2);
        if (tag.n <= after.n && str_eq_nocase(str_sub(after, 0, tag.n), tag)) {
            char x = tag.n < after.n ? after.p[tag.n] : 0;
            if (x == '>' || x == ' ' || x == '\t' || x == '\n' || x == '\f' || x == '/')
                return done + i;
            done += tag.n;
        }
        done += i + 2;
    }
}

static struct html_context special_end(const struct html_context *c, struct str s, size_t *read)
{
    static const struct str ends[] = {
        [HTML_EL_NONE] = STR_INIT(""),           [HTML_EL_SCRIPT] = STR_INIT("script"),
        [HTML_EL_STYLE] = STR_INIT("style"),     [HTML_EL_TEXTAREA] = STR_INIT("textarea"),
        [HTML_EL_TITLE] = STR_INIT("title"),     [HTML_EL_META] = STR_INIT(""),
    };
    if (c->element == HTML_EL_NONE)
        return whole(c, s, read);
    /* An end tag inside a script's literals is escaped rather than obeyed. */
    if (c->element == HTML_EL_SCRIPT && (html_is_script_literal(c->state) || html_is_comment(c->state)))
        return whole(c, s, read);
    size_t i = find_tag_end(s, ends[c->element]);
    if (i == STR_NPOS)
        return whole(c, s, read);
    *read = i;
    return (struct html_context){ 0 };
}

/* ---- URLs ---- */

static struct html_context in_url(const struct html_context *c, struct str s, size_t *read)
{
    struct html_context next = *c;
    if (html_find_any(s, "#?") != STR_NPOS)
        next.url_part = HTML_PART_QUERY;
    else if (s.n != eat_space(s, 0) && c->url_part == HTML_PART_NONE)
        next.url_part = HTML_PART_PRE_QUERY;
    *read = s.n;
    return next;
}

static struct html_context in_meta_content(const struct html_context *c, struct str s, size_t *read)
{
    struct html_context next = *c;
    for (size_t i = 0; i + 3 < s.n; i++) {
        if (!str_eq_nocase(str_sub(s, i, 3), STR("url")))
            continue;
        size_t j = eat_space(s, i + 3);
        if (j < s.n && s.p[j] == '=') {
            next.state = HTML_META_CONTENT_URL;
            *read = j + 1;
            return next;
        }
    }
    return whole(c, s, read);
}

static struct html_context in_meta_content_url(const struct html_context *c, struct str s, size_t *read)
{
    struct html_context next = *c;
    size_t i = str_find_byte(s, ';');
    if (i == STR_NPOS)
        return whole(c, s, read);
    next.state = HTML_META_CONTENT;
    *read = i + 1;
    return next;
}

/* ---- JavaScript ---- */

bool html_is_js_ident_part(uint32_t r)
{
    return r == '$' || r == '_' || (r < 0x80 && ascii_is_alnum((char)r));
}

static bool is_js_space(rune r)
{
    return (r >= '\t' && r <= '\r') || r == ' ' || r == 0xA0 || r == 0x1680 || (r >= 0x2000 && r <= 0x200A) ||
           r == 0x2028 || r == 0x2029 || r == 0x202F || r == 0x205F || r == 0x3000 || r == 0xFEFF;
}

static bool precedes_regexp(struct str word)
{
    static const struct str words[] = {
        STR_INIT("break"),  STR_INIT("case"),       STR_INIT("continue"), STR_INIT("delete"), STR_INIT("do"),
        STR_INIT("else"),   STR_INIT("finally"),    STR_INIT("in"),       STR_INIT("instanceof"),
        STR_INIT("return"), STR_INIT("throw"),      STR_INIT("try"),      STR_INIT("typeof"), STR_INIT("void"),
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(word, words[i]))
            return true;
    return false;
}

/* Does a slash after these tokens start a regular expression or divide? */
static enum html_js next_js(struct str s, enum html_js before)
{
    size_t size;
    while (s.n > 0 && is_js_space(utf8_decode_last(s, &size)))
        s.n -= size;
    if (s.n == 0)
        return before;
    char x = s.p[s.n - 1];
    if (x == '+' || x == '-') {
        size_t start = s.n - 1;
        while (start > 0 && s.p[start - 1] == x)
            start--;
        return (s.n - start) % 2 == 1 ? HTML_SLASH_REGEXP : HTML_SLASH_DIV;
    }
    if (x == '.')
        return s.n > 1 && ascii_is_digit(s.p[s.n - 2]) ? HTML_SLASH_DIV : HTML_SLASH_REGEXP;
    if (strchr(",<>=*%&|^?!~([:;{}", x) && x)
        return HTML_SLASH_REGEXP;
    size_t j = s.n;
    while (j > 0 && html_is_js_ident_part((unsigned char)s.p[j - 1]))
        j--;
    return precedes_regexp(str_from(s, j)) ? HTML_SLASH_REGEXP : HTML_SLASH_DIV;
}

static struct html_context js_slash(struct arena *a, const struct html_context *c, struct str s, size_t i, size_t *read)
{
    struct html_context next = *c;
    *read = i + 1;
    if (i + 1 < s.n && (s.p[i + 1] == '/' || s.p[i + 1] == '*')) {
        next.state = s.p[i + 1] == '/' ? HTML_JS_LINE_COMMENT : HTML_JS_BLOCK_COMMENT;
        *read = i + 2;
    } else if (c->js == HTML_SLASH_REGEXP) {
        next.state = HTML_JS_REGEXP;
    } else if (c->js == HTML_SLASH_DIV) {
        next.js = HTML_SLASH_REGEXP;
    } else {
        return fail_at(a, str_from(s, i), 32, "'/' could start a division or regexp", s.n, read);
    }
    return next;
}

static struct html_context js_brace(const struct html_context *c, struct str s, size_t i, size_t *read)
{
    struct html_context next = *c;
    *read = i + 1;
    next.js = next_js(str_sub(s, i, 1), c->js);
    if (c->braces_count == 0)
        return next;
    uint16_t *depth = &next.braces[c->braces_count - 1];
    if (s.p[i] == '{') {
        if (*depth < UINT16_MAX)
            (*depth)++;
    } else if (*depth > 0) {
        (*depth)--;
    } else {
        next.braces_count--;
        next.state = HTML_JS_TEMPLATE;
        next.js = c->js;
    }
    return next;
}

static struct html_context js_string(const struct html_context *c, char quote, size_t i, size_t *read)
{
    struct html_context next = *c;
    next.state = quote == '"' ? HTML_JS_DQ : quote == '\'' ? HTML_JS_SQ : HTML_JS_TEMPLATE;
    next.js = HTML_SLASH_REGEXP;
    *read = i + 1;
    return next;
}

static struct html_context in_js(struct arena *a, const struct html_context *c, struct str s, size_t *read)
{
    struct html_context next = *c;
    size_t i = html_find_any(s, "\"`'/{}<-#");
    next.js = next_js(str_sub(s, 0, i == STR_NPOS ? s.n : i), c->js);
    if (i == STR_NPOS)
        return whole(&next, s, read);
    *read = i + 1;
    switch (s.p[i]) {
    case '"':
    case '\'':
    case '`':
        return js_string(&next, s.p[i], i, read);
    case '/':
        return js_slash(a, &next, s, i, read);
    case '{':
    case '}':
        return js_brace(&next, s, i, read);
    case '<': /* "<!--", "-->" and "#!" make the rest of the line a comment */
        if (str_starts(str_from(s, i), STR("<!--"))) {
            next.state = HTML_JS_HTML_OPEN_COMMENT;
            *read = i + 4;
        }
        return next;
    case '-':
        if (str_starts(str_from(s, i), STR("-->"))) {
            next.state = HTML_JS_HTML_CLOSE_COMMENT;
            *read = i + 3;
        }
        return next;
    default:
        ASSERT(s.p[i] == '#');
        if (i + 1 < s.n && s.p[i + 1] == '!') {
            next.state = HTML_JS_LINE_COMMENT;
            *read = i + 2;
        }
        return next;
    }
}

static struct html_context in_js_template(struct arena *a, const struct html_context *c, struct str s, size_t *read)
{
    struct html_context next = *c;
    for (size_t i = 0; i < s.n; i++) {
        char x = s.p[i];
        if (x == '\\') {
            if (++i == s.n)
                return fail_at(a, s, 0, "unfinished escape sequence in JS string", s.n, read);
        } else if (x == '$' && i + 1 < s.n && s.p[i + 1] == '{') {
            if (next.braces_count == HTML_BRACES_MAX)
                return fail_at(a, str_from(s, i), 32, "JS template literals nested too deeply", s.n, read);
            next.braces[next.braces_count++] = 0;
            next.state = HTML_JS;
            *read = i + 2;
            return next;
        } else if (x == '`') {
            next.state = HTML_JS;
            *read = i + 1;
            return next;
        }
    }
    return whole(c, s, read);
}

/* Strings and regular expressions, up to what ends them. */
static struct html_context in_js_delimited(struct arena *a, const struct html_context *c, struct str s, size_t *read)
{
    bool regexp = c->state == HTML_JS_REGEXP;
    char end = regexp ? '/' : c->state == HTML_JS_SQ ? '\'' : '"';
    bool charset = false;
    for (size_t i = 0; i < s.n; i++) {
        char x = s.p[i];
        if (x == '\\') {
            if (++i == s.n)
                return fail_at(a, s, 0, "unfinished escape sequence in JS string", s.n, read);
        } else if (regexp && (x == '[' || x == ']')) {
            charset = x == '[';
        } else if (x == end) {
            if (regexp && i > 0 && str_eq_nocase(str_sub(s, i - 1, 8), STR("</script"))) {
                i++;
            } else if (!charset) {
                struct html_context next = *c;
                next.state = HTML_JS;
                next.js = HTML_SLASH_DIV;
                *read = i + 1;
                return next;
            }
        }
    }
    if (charset)
        return fail_at(a, s, 0, "unfinished JS regexp charset", s.n, read);
    return whole(c, s, read);
}

static struct html_context in_block_comment(const struct html_context *c, struct str s, size_t *read)
{
    struct html_context next = *c;
    size_t i = str_find(s, STR("*/"));
    if (i == STR_NPOS)
        return whole(c, s, read);
    next.state = c->state == HTML_JS_BLOCK_COMMENT ? HTML_JS : HTML_CSS;
    *read = i + 2;
    return next;
}

static struct html_context in_line_comment(const struct html_context *c, struct str s, size_t *read)
{
    struct html_context next = *c;
    bool css = c->state == HTML_CSS_LINE_COMMENT;
    for (size_t i = 0; i < s.n; i++) {
        char x = s.p[i];
        struct str here = str_from(s, i);
        bool end = x == '\n' || x == '\r' || (css && x == '\f') ||
                   (!css && (str_starts(here, STR("\xE2\x80\xA8")) || str_starts(here, STR("\xE2\x80\xA9"))));
        if (end) {
            next.state = css ? HTML_CSS : HTML_JS;
            *read = i;
            return next;
        }
    }
    return whole(c, s, read);
}

/* ---- CSS ---- */

bool html_is_css_name_char(uint32_t r)
{
    return (r < 0x80 && (ascii_is_alnum((char)r) || r == '-' || r == '_')) || (r >= 0x80 && r <= 0xD7FF) ||
           (r >= 0xE000 && r <= 0xFFFD) || (r >= 0x10000 && r <= 0x10FFFF);
}

/* Does the text end with the word url, and with no longer one? */
static bool ends_with_url(struct str s)
{
    size_t size;
    if (s.n < 3 || !str_eq_nocase(str_from(s, s.n - 3), STR("url")))
        return false;
    struct str before = str_sub(s, 0, s.n - 3);
    return before.n == 0 || !html_is_css_name_char(utf8_decode_last(before, &size));
}

static size_t skip_css_space(struct str s, size_t i)
{
    if (i < s.n && s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
        return i + 2;
    return i < s.n && is_html_space(s.p[i]) ? i + 1 : i;
}

void html_decode_css(struct buf *out, struct str s)
{
    size_t i = 0;
    while (i < s.n) {
        if (s.p[i] != '\\') {
            buf_byte(out, s.p[i++]);
            continue;
        }
        if (i + 1 >= s.n)
            return;
        if (!ascii_is_xdigit(s.p[i + 1])) {
            size_t size;
            utf8_decode(str_from(s, i + 1), &size);
            buf_append(out, s.p + i + 1, size);
            i += 1 + size;
            continue;
        }
        uint32_t r = 0;
        size_t j = i + 1;
        for (; j < s.n && j < i + 7 && ascii_is_xdigit(s.p[j]); j++)
            r = r << 4 | (uint32_t)ascii_xdigit_value(s.p[j]);
        if (r > 0x10FFFF) {
            r /= 16;
            j--;
        }
        utf8_append(out, r);
        i = skip_css_space(s, j);
    }
}

static struct html_context css_url(const struct html_context *c, struct str s, size_t i, size_t *read)
{
    struct html_context next = *c;
    size_t j = i + 1;
    while (j < s.n && is_html_space(s.p[j]))
        j++;
    next.state = HTML_CSS_URL;
    if (j < s.n && (s.p[j] == '"' || s.p[j] == '\'')) {
        next.state = s.p[j] == '"' ? HTML_CSS_DQ_URL : HTML_CSS_SQ_URL;
        j++;
    }
    *read = j;
    return next;
}

static struct html_context in_css(const struct html_context *c, struct str s, size_t *read)
{
    struct html_context next = *c;
    for (size_t i = 0; i < s.n; i++) {
        char x = s.p[i];
        if (x == '(') {
            struct str before = str_sub(s, 0, i);
            while (before.n > 0 && is_html_space(before.p[before.n - 1]))
                before.n--;
            if (ends_with_url(before))
                return css_url(c, s, i, read);
        } else if (x == '/' && i + 1 < s.n && (s.p[i + 1] == '/' || s.p[i + 1] == '*')) {
            next.state = s.p[i + 1] == '/' ? HTML_CSS_LINE_COMMENT : HTML_CSS_BLOCK_COMMENT;
            *read = i + 2;
            return next;
        } else if (x == '"' || x == '\'') {
            next.state = x == '"' ? HTML_CSS_DQ : HTML_CSS_SQ;
            *read = i + 1;
            return next;
        }
    }
    return whole(c, s, read);
}

static void url_after(struct html_context *c, struct str s)
{
    struct buf b = { 0 };
    size_t read;
    html_decode_css(&b, s);
    *c = in_url(c, buf_view(&b), &read);
    buf_deinit(&b);
}

static struct html_context in_css_string(struct arena *a, const struct html_context *c, struct str s, size_t *read)
{
    const char *ends = c->state == HTML_CSS_URL                                    ? "\\\t\n\f\r )"
                       : c->state == HTML_CSS_DQ || c->state == HTML_CSS_DQ_URL ? "\\\""
                                                                                   : "\\'";
    struct html_context next = *c;
    size_t k = 0, escape = 0; /* the last escape began here */
    for (;;) {
        size_t at = html_find_any(str_from(s, k), ends), i = k + at;
        if (at == STR_NPOS) {
            url_after(&next, str_from(s, k));
            *read = s.n;
            return next;
        }
        if (s.p[i] != '\\') {
            next.state = HTML_CSS;
            *read = i + 1;
            return next;
        }
        if (++i == s.n)
            return fail_at(a, s, 0, "unfinished escape sequence in CSS string", s.n, read);
        /* The escape before this one is seen whole now; Go decodes from the start each time, to the same end. */
        url_after(&next, str_sub(s, escape, i + 1 - escape));
        escape = i - 1;
        k = i + 1;
    }
}

/* ---- all together ---- */

struct html_context html_transition(struct arena *a, const struct html_context *c, struct str s, size_t *read)
{
    switch (c->state) {
    case HTML_TEXT:
        return in_text(c, s, read);
    case HTML_TAG:
        return in_tag(a, c, s, read);
    case HTML_ATTR_NAME:
        return in_attr_name(a, c, s, read);
    case HTML_AFTER_NAME:
        return after_name(c, s, read);
    case HTML_BEFORE_VALUE:
        return before_value(c, s, read);
    case HTML_COMMENT:
        return in_comment(c, s, read);
    case HTML_RCDATA:
        return special_end(c, s, read);
    case HTML_URL:
    case HTML_SRCSET:
        return in_url(c, s, read);
    case HTML_META_CONTENT:
        return in_meta_content(c, s, read);
    case HTML_META_CONTENT_URL:
        return in_meta_content_url(c, s, read);
    case HTML_JS:
        return in_js(a, c, s, read);
    case HTML_JS_DQ:
    case HTML_JS_SQ:
    case HTML_JS_REGEXP:
        return in_js_delimited(a, c, s, read);
    case HTML_JS_TEMPLATE:
        return in_js_template(a, c, s, read);
    case HTML_JS_BLOCK_COMMENT:
    case HTML_CSS_BLOCK_COMMENT:
        return in_block_comment(c, s, read);
    case HTML_JS_LINE_COMMENT:
    case HTML_JS_HTML_OPEN_COMMENT:
    case HTML_JS_HTML_CLOSE_COMMENT:
    case HTML_CSS_LINE_COMMENT:
        return in_line_comment(c, s, read);
    case HTML_CSS:
        return in_css(c, s, read);
    case HTML_CSS_DQ:
    case HTML_CSS_SQ:
    case HTML_CSS_DQ_URL:
    case HTML_CSS_SQ_URL:
    case HTML_CSS_URL:
        return in_css_string(a, c, s, read);
    case HTML_ATTR:
    case HTML_ERROR:
    case HTML_DEAD:
    case HTML_STATES:
        break;
    }
    return whole(c, s, read);
}

/* Is a script of this type JavaScript or JSON? */
static bool is_js_type(struct str type)
{
    static const struct str types[] = {
        STR_INIT(""), STR_INIT("application/ecmascript"), STR_INIT("application/javascript"),
        STR_INIT("application/json"), STR_INIT("application/ld+json"), STR_INIT("application/x-ecmascript"),
        STR_INIT("application/x-javascript"), STR_INIT("module"), STR_INIT("text/ecmascript"),
        STR_INIT("text/javascript"), STR_INIT("text/javascript1.0"), STR_INIT("text/javascript1.1"),
        STR_INIT("text/javascript1.2"), STR_INIT("text/javascript1.3"), STR_INIT("text/javascript1.4"),
        STR_INIT("text/javascript1.5"), STR_INIT("text/jscript"), STR_INIT("text/livescript"),
        STR_INIT("text/x-ecmascript"), STR_INIT("text/x-javascript"),
    };
    size_t semi = str_find_byte(type, ';');
    type = str_trim(str_sub(type, 0, semi == STR_NPOS ? type.n : semi));
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_eq_nocase(type, types[i]))
            return true;
    return false;
}

/* Inside a value that does not end in this text: entities mean what they stand for. */
static struct html_context in_value(struct arena *a, const struct html_context *c, struct str s)
{
    struct html_context next = *c;
    struct buf b = { 0 };
    html_unescape(&b, s);
    struct str u = buf_view(&b);
    while (u.n > 0) {
        size_t read;
        next = html_transition(a, &next, u, &read);
        u = str_from(u, read);
    }
    buf_deinit(&b);
    return next;
}

struct html_context html_after_text(struct arena *a, const struct html_context *c, struct str s, size_t *read)
{
    if (c->delim == HTML_DELIM_NONE) {
        struct html_context end = special_end(c, s, read);
        if (*read == 0)
            return end;
        return html_transition(a, c, str_sub(s, 0, *read), read);
    }
    size_t i = html_find_any(s, html_delim_ends(c->delim));
    if (i == STR_NPOS)
        i = s.n;
    if (c->delim == HTML_DELIM_SPACE) {
        size_t j = html_find_any(str_sub(s, 0, i), "\"'<=`");
        if (j != STR_NPOS) {
            struct buf b = { 0 };
            go_quote(&b, str_sub(s, j, 1));
            buf_c(&b, " in unquoted attr");
            buf_byte(&b, '\0');
            struct html_context bad = fail_at(a, str_sub(s, 0, i), 0, buf_view(&b).p, s.n, read);
            buf_deinit(&b);
            return bad;
        }
    }
    if (i == s.n) {
        *read = s.n;
        return in_value(a, c, s);
    }
    enum html_element element = c->element;
    if (c->state == HTML_ATTR && element == HTML_EL_SCRIPT && c->attr == HTML_ATTR_SCRIPT_TYPE &&
        !is_js_type(str_sub(s, 0, i)))
        element = HTML_EL_NONE;
    *read = i + (c->delim != HTML_DELIM_SPACE);
    return tag_of(element);
}
