/* What HTML's vocabulary means to the escaper: kinds of attributes, and entities in literal attribute values.
 *
 * Of the named entities only those that stand for ASCII characters (and the no-break space) are here: the values are
 * decoded to follow quotes, slashes and braces, and no other character moves a context. */
#include "template/html_context_int.h"

#include "base/utf8.h"

static const struct {
    struct str name;
    enum html_content content;
} attrs[] = {
    { STR_INIT("accept"), HTML_CONTENT_PLAIN },
    { STR_INIT("accept-charset"), HTML_CONTENT_UNSAFE },
    { STR_INIT("action"), HTML_CONTENT_URL },
    { STR_INIT("alt"), HTML_CONTENT_PLAIN },
    { STR_INIT("archive"), HTML_CONTENT_URL },
    { STR_INIT("async"), HTML_CONTENT_UNSAFE },
    { STR_INIT("autocomplete"), HTML_CONTENT_PLAIN },
    { STR_INIT("autofocus"), HTML_CONTENT_PLAIN },
    { STR_INIT("autoplay"), HTML_CONTENT_PLAIN },
    { STR_INIT("background"), HTML_CONTENT_URL },
    { STR_INIT("border"), HTML_CONTENT_PLAIN },
    { STR_INIT("checked"), HTML_CONTENT_PLAIN },
    { STR_INIT("cite"), HTML_CONTENT_URL },
    { STR_INIT("challenge"), HTML_CONTENT_UNSAFE },
    { STR_INIT("charset"), HTML_CONTENT_UNSAFE },
    { STR_INIT("class"), HTML_CONTENT_PLAIN },
    { STR_INIT("classid"), HTML_CONTENT_URL },
    { STR_INIT("codebase"), HTML_CONTENT_URL },
    { STR_INIT("cols"), HTML_CONTENT_PLAIN },
    { STR_INIT("colspan"), HTML_CONTENT_PLAIN },
    { STR_INIT("content"), HTML_CONTENT_UNSAFE },
    { STR_INIT("contenteditable"), HTML_CONTENT_PLAIN },
    { STR_INIT("contextmenu"), HTML_CONTENT_PLAIN },
    { STR_INIT("controls"), HTML_CONTENT_PLAIN },
    { STR_INIT("coords"), HTML_CONTENT_PLAIN },
    { STR_INIT("crossorigin"), HTML_CONTENT_UNSAFE },
    { STR_INIT("data"), HTML_CONTENT_URL },
    { STR_INIT("datetime"), HTML_CONTENT_PLAIN },
    { STR_INIT("default"), HTML_CONTENT_PLAIN },
    { STR_INIT("defer"), HTML_CONTENT_UNSAFE },
    { STR_INIT("dir"), HTML_CONTENT_PLAIN },
    { STR_INIT("dirname"), HTML_CONTENT_PLAIN },
    { STR_INIT("disabled"), HTML_CONTENT_PLAIN },
    { STR_INIT("draggable"), HTML_CONTENT_PLAIN },
    { STR_INIT("dropzone"), HTML_CONTENT_PLAIN },
    { STR_INIT("enctype"), HTML_CONTENT_UNSAFE },
    { STR_INIT("for"), HTML_CONTENT_PLAIN },
    { STR_INIT("form"), HTML_CONTENT_UNSAFE },
    { STR_INIT("formaction"), HTML_CONTENT_URL },
    { STR_INIT("formenctype"), HTML_CONTENT_UNSAFE },
    { STR_INIT("formmethod"), HTML_CONTENT_UNSAFE },
    { STR_INIT("formnovalidate"), HTML_CONTENT_UNSAFE },
    { STR_INIT("formtarget"), HTML_CONTENT_PLAIN },
    { STR_INIT("headers"), HTML_CONTENT_PLAIN },
    { STR_INIT("height"), HTML_CONTENT_PLAIN },
    { STR_INIT("hidden"), HTML_CONTENT_PLAIN },
    { STR_INIT("high"), HTML_CONTENT_PLAIN },
    { STR_INIT("href"), HTML_CONTENT_URL },
    { STR_INIT("hreflang"), HTML_CONTENT_PLAIN },
    { STR_INIT("http-equiv"), HTML_CONTENT_UNSAFE },
    { STR_INIT("icon"), HTML_CONTENT_URL },
    { STR_INIT("id"), HTML_CONTENT_PLAIN },
    { STR_INIT("ismap"), HTML_CONTENT_PLAIN },
    { STR_INIT("keytype"), HTML_CONTENT_UNSAFE },
    { STR_INIT("kind"), HTML_CONTENT_PLAIN },
    { STR_INIT("label"), HTML_CONTENT_PLAIN },
    { STR_INIT("lang"), HTML_CONTENT_PLAIN },
    { STR_INIT("language"), HTML_CONTENT_UNSAFE },
    { STR_INIT("list"), HTML_CONTENT_PLAIN },
    { STR_INIT("longdesc"), HTML_CONTENT_URL },
    { STR_INIT("loop"), HTML_CONTENT_PLAIN },
    { STR_INIT("low"), HTML_CONTENT_PLAIN },
    { STR_INIT("manifest"), HTML_CONTENT_URL },
    { STR_INIT("max"), HTML_CONTENT_PLAIN },
    { STR_INIT("maxlength"), HTML_CONTENT_PLAIN },
    { STR_INIT("media"), HTML_CONTENT_PLAIN },
    { STR_INIT("mediagroup"), HTML_CONTENT_PLAIN },
    { STR_INIT("method"), HTML_CONTENT_UNSAFE },
    { STR_INIT("min"), HTML_CONTENT_PLAIN },
    { STR_INIT("multiple"), HTML_CONTENT_PLAIN },
    { STR_INIT("name"), HTML_CONTENT_PLAIN },
    { STR_INIT("novalidate"), HTML_CONTENT_UNSAFE },
    { STR_INIT("open"), HTML_CONTENT_PLAIN },
    { STR_INIT("optimum"), HTML_CONTENT_PLAIN },
    { STR_INIT("pattern"), HTML_CONTENT_UNSAFE },
    { STR_INIT("placeholder"), HTML_CONTENT_PLAIN },
    { STR_INIT("poster"), HTML_CONTENT_URL },
    { STR_INIT("profile"), HTML_CONTENT_URL },
    { STR_INIT("preload"), HTML_CONTENT_PLAIN },
    { STR_INIT("pubdate"), HTML_CONTENT_PLAIN },
    { STR_INIT("radiogroup"), HTML_CONTENT_PLAIN },
    { STR_INIT("readonly"), HTML_CONTENT_PLAIN },
    { STR_INIT("rel"), HTML_CONTENT_UNSAFE },
    { STR_INIT("required"), HTML_CONTENT_PLAIN },
    { STR_INIT("reversed"), HTML_CONTENT_PLAIN },
    { STR_INIT("rows"), HTML_CONTENT_PLAIN },
    { STR_INIT("rowspan"), HTML_CONTENT_PLAIN },
    { STR_INIT("sandbox"), HTML_CONTENT_UNSAFE },
    { STR_INIT("spellcheck"), HTML_CONTENT_PLAIN },
    { STR_INIT("scope"), HTML_CONTENT_PLAIN },
    { STR_INIT("scoped"), HTML_CONTENT_PLAIN },
    { STR_INIT("seamless"), HTML_CONTENT_PLAIN },
    { STR_INIT("selected"), HTML_CONTENT_PLAIN },
    { STR_INIT("shape"), HTML_CONTENT_PLAIN },
    { STR_INIT("size"), HTML_CONTENT_PLAIN },
    { STR_INIT("sizes"), HTML_CONTENT_PLAIN },
    { STR_INIT("span"), HTML_CONTENT_PLAIN },
    { STR_INIT("src"), HTML_CONTENT_URL },
    { STR_INIT("srcdoc"), HTML_CONTENT_HTML },
    { STR_INIT("srclang"), HTML_CONTENT_PLAIN },
    { STR_INIT("srcset"), HTML_CONTENT_SRCSET },
    { STR_INIT("start"), HTML_CONTENT_PLAIN },
    { STR_INIT("step"), HTML_CONTENT_PLAIN },
    { STR_INIT("style"), HTML_CONTENT_CSS },
    { STR_INIT("tabindex"), HTML_CONTENT_PLAIN },
    { STR_INIT("target"), HTML_CONTENT_PLAIN },
    { STR_INIT("title"), HTML_CONTENT_PLAIN },
    { STR_INIT("type"), HTML_CONTENT_UNSAFE },
    { STR_INIT("usemap"), HTML_CONTENT_URL },
    { STR_INIT("value"), HTML_CONTENT_UNSAFE },
    { STR_INIT("width"), HTML_CONTENT_PLAIN },
    { STR_INIT("wrap"), HTML_CONTENT_PLAIN },
    { STR_INIT("xmlns"), HTML_CONTENT_URL },
};

enum html_content html_attr_content(struct str name)
{
    size_t colon = str_find_byte(name, ':');
    if (str_starts(name, STR("data-"))) {
        name = str_from(name, 5);
    } else if (colon != STR_NPOS) {
        if (str_eq(str_sub(name, 0, colon), STR("xmlns")))
            return HTML_CONTENT_URL;
        name = str_from(name, colon + 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(attrs); i++)
        if (str_eq(name, attrs[i].name))
            return attrs[i].content;
    if (str_starts(name, STR("on")))
        return HTML_CONTENT_JS;
    /* People keep URLs in attributes of their own invention, and name them so. */
    if (str_contains(name, STR("src")) || str_contains(name, STR("uri")) || str_contains(name, STR("url")))
        return HTML_CONTENT_URL;
    return HTML_CONTENT_PLAIN;
}

static const struct {
    struct str name;
    rune r;
    bool bare; /* also without the semicolon */
} entities[] = {
    { STR_INIT("AMP"), '&', true },       { STR_INIT("DiacriticalGrave"), '`', false },
    { STR_INIT("GT"), '>', true },        { STR_INIT("Hat"), '^', false },
    { STR_INIT("LT"), '<', true },        { STR_INIT("NewLine"), '\n', false },
    { STR_INIT("NonBreakingSpace"), 0xA0, false }, { STR_INIT("QUOT"), '"', true },
    { STR_INIT("Tab"), '\t', false },     { STR_INIT("UnderBar"), '_', false },
    { STR_INIT("VerticalLine"), '|', false }, { STR_INIT("amp"), '&', true },
    { STR_INIT("apos"), '\'', false },    { STR_INIT("ast"), '*', false },
    { STR_INIT("bsol"), '\\', false },    { STR_INIT("colon"), ':', false },
    { STR_INIT("comma"), ',', false },    { STR_INIT("commat"), '@', false },
    { STR_INIT("dollar"), '$', false },   { STR_INIT("equals"), '=', false },
    { STR_INIT("excl"), '!', false },     { STR_INIT("grave"), '`', false },
    { STR_INIT("gt"), '>', true },        { STR_INIT("lbrace"), '{', false },
    { STR_INIT("lbrack"), '[', false },   { STR_INIT("lcub"), '{', false },
    { STR_INIT("lowbar"), '_', false },   { STR_INIT("lpar"), '(', false },
    { STR_INIT("lsqb"), '[', false },     { STR_INIT("lt"), '<', true },
    { STR_INIT("midast"), '*', false },   { STR_INIT("nbsp"), 0xA0, true },
    { STR_INIT("num"), '#', false },      { STR_INIT("percnt"), '%', false },
    { STR_INIT("period"), '.', false },   { STR_INIT("plus"), '+', false },
    { STR_INIT("quest"), '?', false },    { STR_INIT("quot"), '"', true },
    { STR_INIT("rbrace"), '}', false },   { STR_INIT("rbrack"), ']', false },
    { STR_INIT("rcub"), '}', false },     { STR_INIT("rpar"), ')', false },
    { STR_INIT("rsqb"), ']', false },     { STR_INIT("semi"), ';', false },
    { STR_INIT("sol"), '/', false },      { STR_INIT("verbar"), '|', false },
    { STR_INIT("vert"), '|', false },
};

/* What browsers take for numeric entities of the control range: Windows-1252. */
static const uint16_t control_entities[32] = {
    0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6,  0x2030, 0x160,
    0x2039, 0x152,  0x8D,   0x17D,  0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178,
};

/* "&#...": bytes taken, 0 if it is no entity. */
static size_t numeric_entity(struct buf *out, struct str s)
{
    bool hex = s.n > 2 && (s.p[2] == 'x' || s.p[2] == 'X');
    size_t start = hex ? 3 : 2, i = start;
    rune r = 0;
    for (; i < s.n; i++) {
        int digit = ascii_xdigit_value(s.p[i]);
        if (digit < 0 || (!hex && digit > 9))
            break;
        r = r > 0x10FFFF ? r : r * (hex ? 16 : 10) + (rune)digit;
    }
    if (i == start)
        return 0;
    if (r >= 0x80 && r <= 0x9F)
        r = control_entities[r - 0x80];
    utf8_append(out, r == 0 ? RUNE_ERROR : r);
    return i + (i < s.n && s.p[i] == ';');
}

static size_t named_entity(struct buf *out, struct str s)
{
    size_t n = 1;
    while (n < s.n && ascii_is_alnum(s.p[n]))
        n++;
    bool closed = n < s.n && s.p[n] == ';';
    struct str name = str_sub(s, 1, n - 1);
    for (size_t i = 0; i < ARRAY_LEN(entities); i++)
        if ((closed || entities[i].bare) && str_eq(name, entities[i].name)) {
            utf8_append(out, entities[i].r);
            return n + closed;
        }
    /* "&ltx" is read as "<x"; the longest name wins, and no two bare ones share a beginning. */
    for (size_t i = 0; i < ARRAY_LEN(entities); i++)
        if (entities[i].bare && str_starts(name, entities[i].name)) {
            utf8_append(out, entities[i].r);
            return 1 + entities[i].name.n;
        }
    return 0;
}

void html_unescape(struct buf *out, struct str s)
{
    while (s.n > 0) {
        size_t amp = str_find_byte(s, '&');
        size_t text = amp == STR_NPOS ? s.n : amp;
        buf_append(out, s.p, text);
        s = str_from(s, text);
        if (s.n == 0)
            return;
        size_t taken = s.n > 1 && s.p[1] == '#' ? numeric_entity(out, s) : named_entity(out, s);
        if (taken == 0) {
            buf_byte(out, '&');
            taken = 1;
        }
        s = str_from(s, taken);
    }
}
