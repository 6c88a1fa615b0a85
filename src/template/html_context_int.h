/* Where in HTML, CSS or JavaScript a place of a template is, and how literal text moves it. */
#ifndef TOCSIN_TEMPLATE_HTML_CONTEXT_INT_H
#define TOCSIN_TEMPLATE_HTML_CONTEXT_INT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum html_state {
    HTML_TEXT,
    HTML_TAG,          /* before an attribute or the end of a tag */
    HTML_ATTR_NAME,
    HTML_AFTER_NAME,   /* before an equals sign */
    HTML_BEFORE_VALUE, /* behind it */
    HTML_COMMENT,
    HTML_RCDATA,       /* textarea, title */
    HTML_ATTR,         /* a value that is text */
    HTML_URL,
    HTML_SRCSET,
    HTML_JS,
    HTML_JS_DQ,
    HTML_JS_SQ,
    HTML_JS_TEMPLATE,
    HTML_JS_REGEXP,
    HTML_JS_BLOCK_COMMENT,
    HTML_JS_LINE_COMMENT,
    HTML_JS_HTML_OPEN_COMMENT,
    HTML_JS_HTML_CLOSE_COMMENT,
    HTML_CSS,
    HTML_CSS_DQ,
    HTML_CSS_SQ,
    HTML_CSS_DQ_URL,
    HTML_CSS_SQ_URL,
    HTML_CSS_URL,
    HTML_CSS_BLOCK_COMMENT,
    HTML_CSS_LINE_COMMENT,
    HTML_ERROR,
    HTML_META_CONTENT,     /* content= of a meta element */
    HTML_META_CONTENT_URL, /* behind its url= */
    HTML_DEAD,             /* behind a break or continue */
    HTML_STATES
};
enum html_delim { HTML_DELIM_NONE, HTML_DELIM_DQ, HTML_DELIM_SQ, HTML_DELIM_SPACE };
enum html_url_part { HTML_PART_NONE, HTML_PART_PRE_QUERY, HTML_PART_QUERY, HTML_PART_UNKNOWN };
enum html_js { HTML_SLASH_REGEXP, HTML_SLASH_DIV, HTML_SLASH_UNKNOWN };
enum html_attr {
    HTML_ATTR_PLAIN,
    HTML_ATTR_SCRIPT,
    HTML_ATTR_SCRIPT_TYPE,
    HTML_ATTR_STYLE,
    HTML_ATTR_URL,
    HTML_ATTR_SRCSET,
    HTML_ATTR_META_CONTENT,
};
enum html_element {
    HTML_EL_NONE,
    HTML_EL_SCRIPT,
    HTML_EL_STYLE,
    HTML_EL_TEXTAREA,
    HTML_EL_TITLE,
    HTML_EL_META,
};
enum html_content { HTML_CONTENT_PLAIN, HTML_CONTENT_CSS, HTML_CONTENT_HTML, HTML_CONTENT_JS, HTML_CONTENT_URL,
                    HTML_CONTENT_SRCSET, HTML_CONTENT_UNSAFE };

struct node;
struct html_error {
    const struct node *node;
    struct str name;
    uint32_t line;
    struct str text;
};

#define HTML_BRACES_MAX 8 /* template literals inside each other; Go has no bound */
struct html_context {
    enum html_state state;
    enum html_delim delim;
    enum html_url_part url_part;
    enum html_js js;
    enum html_attr attr;
    enum html_element element;
    uint8_t braces_count;
    uint16_t braces[HTML_BRACES_MAX]; /* open braces in each ${ */
    const struct node *jump;          /* the break or continue that left from here */
    struct html_error *err;           /* HTML_ERROR */
};

bool html_context_eq(const struct html_context *a, const struct html_context *b);
void html_context_write(struct buf *b, const struct html_context *c);
/* The name of a template that is called in this context. */
struct str html_context_mangle(struct arena *a, const struct html_context *c, struct str name);
struct html_context html_context_error(struct arena *a, const struct node *node, uint32_t line, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* The context after the next token of s; *read says how much of s that was. Errors live in `a`. */
struct html_context html_transition(struct arena *a, const struct html_context *c, struct str s, size_t *read);
/* The same with the ends of attributes and of special elements looked after. */
struct html_context html_after_text(struct arena *a, const struct html_context *c, struct str s, size_t *read);

bool html_is_comment(enum html_state s);
bool html_is_in_tag(enum html_state s);
bool html_is_script_literal(enum html_state s);
enum html_state html_attr_start(enum html_attr attr);
enum html_content html_attr_content(struct str lower_name);
size_t html_find_any(struct str s, const char *set); /* STR_NPOS if none */
const char *html_delim_ends(enum html_delim d);
void html_unescape(struct buf *out, struct str s); /* entities to text */
void html_decode_css(struct buf *out, struct str s);
bool html_is_css_name_char(uint32_t r);
bool html_is_js_ident_part(uint32_t r);

#endif
