/* The escaper: walks the trees that a template can reach, following the context through literal text, and notes what is
 * to be changed: escapers behind actions, other texts, other names in template calls.
 *
 * A template that is called in a context other than text gets a copy of its own, named after the context. Branches must
 * end in one context; a range body is walked twice, because it may run again where it ended. What a recursive template
 * ends in is guessed (as it began), then verified.
 *
 * Notes are kept in logs. A walk that turns out to rest on a wrong guess is undone by cutting the logs back (undo());
 * what stands at the end is applied (commit()).
 *
 * E1: only copies of trees are changed; the set stays as it is. E2: `outputs` has for each template in progress the
 * context that is assumed or known to follow it; the newest entry of a name counts.
 * Bounds: work (nodes and bytes looked at; nested ranges multiply) by WORK_MAX, depth by TEMPLATE_DEPTH_MAX and what the stack
 * holds. */
#include "template/html_int.h"

#include "template/depth_int.h"
#include "template/func_int.h"
#include "template/html_context_int.h"
#include "template/template.h"

#include "base/mem.h"
#include "base/utf8.h"

#define WORK_MAX (64u * 1024 * 1024)
#define ESCAPERS_MAX 3

struct output {
    struct str name;
    struct html_context context;
    struct output *hidden; /* the entry that this one replaced */
};

enum edit_kind { EDIT_ACTION, EDIT_TEMPLATE, EDIT_TEXT };
struct edit {
    enum edit_kind kind;
    struct node *node;
    const char *escapers[ESCAPERS_MAX];
    size_t escapers_count;
    struct str text; /* of a text, or the callee's name */
};

struct range_scope { /* contexts in which the innermost range is left */
    struct range_scope *outer;
    struct html_context *jumps;
    size_t jumps_count, jumps_capacity;
};

struct escaper {
    struct arena *arena;
    const struct scope *scope;
    struct tree_map *copies; /* by derived name */
    struct map output_map;   /* name -> newest struct output */
    struct output **outputs;
    size_t outputs_count, outputs_capacity;
    struct str *called;
    size_t called_count, called_capacity;
    struct edit *edits;
    size_t edits_count, edits_capacity;
    struct range_scope *range;
    size_t work;
    unsigned depth;
    uintptr_t stack;
};

struct mark { /* a place in all logs */
    size_t outputs, called, edits;
};

static struct html_context escape_list(struct escaper *e, struct html_context c, const struct node *list);
static struct html_context escape_node(struct escaper *e, struct html_context c, struct node *n);

/* ---- logs ---- */

static struct mark mark(const struct escaper *e)
{
    return (struct mark){ e->outputs_count, e->called_count, e->edits_count };
}

static void undo(struct escaper *e, struct mark m)
{
    while (e->outputs_count > m.outputs) {
        struct output *o = e->outputs[--e->outputs_count];
        if (o->hidden)
            map_put(&e->output_map, o->name, o->hidden);
        else
            map_remove(&e->output_map, o->name);
    }
    e->called_count = m.called;
    e->edits_count = m.edits;
}

static void set_output(struct escaper *e, struct str name, const struct html_context *c)
{
    struct output *o = ARENA_NEW(e->arena, struct output);
    o->name = name;
    o->context = *c;
    o->hidden = map_put(&e->output_map, name, o);
    if (e->outputs_count == e->outputs_capacity) {
        e->outputs_capacity = mem_grow(e->outputs_capacity, e->outputs_count + 1);
        e->outputs = mem_realloc_array(e->outputs, e->outputs_capacity, sizeof(struct output *));
    }
    e->outputs[e->outputs_count++] = o;
}

static void add_called(struct escaper *e, struct str name)
{
    if (e->called_count == e->called_capacity) {
        e->called_capacity = mem_grow(e->called_capacity, e->called_count + 1);
        e->called = mem_realloc_array(e->called, e->called_capacity, sizeof *e->called);
    }
    e->called[e->called_count++] = name;
}

static struct edit *add_edit(struct escaper *e, enum edit_kind kind, struct node *n)
{
    if (e->edits_count == e->edits_capacity) {
        e->edits_capacity = mem_grow(e->edits_capacity, e->edits_count + 1);
        e->edits = mem_realloc_array(e->edits, e->edits_capacity, sizeof *e->edits);
    }
    struct edit *edit = &e->edits[e->edits_count++];
    *edit = (struct edit){ .kind = kind, .node = n };
    return edit;
}

static bool too_deep(const struct escaper *e)
{
    return e->depth >= TEMPLATE_DEPTH_MAX || depth_exceeds(e->stack, DEPTH_PARSE_BYTES);
}

static bool spend(struct escaper *e, size_t work, struct html_context *c)
{
    e->work += work;
    if (e->work <= WORK_MAX)
        return true;
    if (c->state != HTML_ERROR)
        *c = html_context_error(e->arena, NULL, 0, "the template is too complex to be escaped");
    return false;
}

/* ---- actions ---- */

/* The context after what an empty text would do: from before a value into it, from a tag into an attribute name. */
static struct html_context nudge(struct html_context c)
{
    if (c.state == HTML_TAG) {
        c.state = HTML_ATTR_NAME;
    } else if (c.state == HTML_BEFORE_VALUE) {
        c.state = html_attr_start(c.attr);
        c.delim = HTML_DELIM_SPACE;
        c.attr = HTML_ATTR_PLAIN;
    } else if (c.state == HTML_AFTER_NAME) {
        c.state = HTML_ATTR_NAME;
        c.attr = HTML_ATTR_PLAIN;
    }
    return c;
}

static struct str printed(struct escaper *e, const struct node *n)
{
    struct buf b = { .limit_bytes = 512 };
    node_write(n, &b);
    struct str s = arena_str(e->arena, buf_view(&b));
    buf_deinit(&b);
    return s;
}

static struct str command_name(const struct node *cmd)
{
    const struct node *first = cmd->u.list.v[0];
    return first->kind == NODE_IDENTIFIER ? first->u.ident.name : STR_EMPTY;
}

static bool is_predefined(struct str name)
{
    return str_eq(name, STR("html")) || str_eq(name, STR("urlquery"));
}

/* html and urlquery may only come last, and html not in an unquoted attribute. */
static bool check_predefined(struct escaper *e, const struct node *n, struct html_context *c)
{
    const struct node *pipe = n->u.control.pipe;
    for (uint32_t i = 0; i < pipe->u.pipe.cmds_count; i++) {
        struct str name = command_name(pipe->u.pipe.cmds[i]);
        if (!is_predefined(name))
            continue;
        bool unquoted = c->state == HTML_ATTR && c->delim == HTML_DELIM_SPACE && str_eq(name, STR("html"));
        if (i + 1 < pipe->u.pipe.cmds_count || unquoted) {
            *c = html_context_error(e->arena, n, n->line, "predefined escaper \"%.*s\" disallowed in template",
                                    STR_ARG(name));
            return false;
        }
    }
    return true;
}

struct escapers {
    const char *v[ESCAPERS_MAX];
    size_t n;
};

static void add(struct escapers *s, const char *name)
{
    ASSERT(s->n < ESCAPERS_MAX);
    s->v[s->n++] = name;
}

/* False: the place is ambiguous. */
static bool url_escapers(const struct html_context *c, struct escapers *s)
{
    bool string = c->state == HTML_CSS_DQ || c->state == HTML_CSS_SQ;
    switch (c->url_part) {
    case HTML_PART_NONE:
        add(s, "_html_template_urlfilter");
        add(s, string ? "_html_template_cssescaper" : "_html_template_urlnormalizer");
        return true;
    case HTML_PART_PRE_QUERY:
        add(s, string ? "_html_template_cssescaper" : "_html_template_urlnormalizer");
        return true;
    case HTML_PART_QUERY:
        add(s, "_html_template_urlescaper");
        return true;
    case HTML_PART_UNKNOWN:
        break;
    }
    return false;
}

/* The escapers of a state, attribute delimiters aside. */
static void state_escapers(struct html_context *c, struct escapers *s)
{
    switch (c->state) {
    case HTML_META_CONTENT_URL:
        add(s, "_html_template_urlfilter");
        break;
    case HTML_JS:
        add(s, "_html_template_jsvalescaper");
        c->js = HTML_SLASH_DIV;
        break;
    case HTML_JS_DQ:
    case HTML_JS_SQ:
        add(s, "_html_template_jsstrescaper");
        break;
    case HTML_JS_TEMPLATE:
        add(s, "_html_template_jstmpllitescaper");
        break;
    case HTML_JS_REGEXP:
        add(s, "_html_template_jsregexpescaper");
        break;
    case HTML_CSS:
        add(s, "_html_template_cssvaluefilter");
        break;
    case HTML_TEXT:
        add(s, "_html_template_htmlescaper");
        break;
    case HTML_RCDATA:
        add(s, "_html_template_rcdataescaper");
        break;
    case HTML_ATTR_NAME:
    case HTML_TAG:
        c->state = HTML_ATTR_NAME;
        add(s, "_html_template_htmlnamefilter");
        break;
    case HTML_SRCSET:
        add(s, "_html_template_srcsetescaper");
        break;
    case HTML_COMMENT:
    case HTML_JS_BLOCK_COMMENT:
    case HTML_JS_LINE_COMMENT:
    case HTML_JS_HTML_OPEN_COMMENT:
    case HTML_JS_HTML_CLOSE_COMMENT:
    case HTML_CSS_BLOCK_COMMENT:
    case HTML_CSS_LINE_COMMENT:
        add(s, "_html_template_commentescaper");
        break;
    case HTML_ATTR:
    case HTML_META_CONTENT:
    case HTML_URL:
    case HTML_CSS_DQ:
    case HTML_CSS_SQ:
    case HTML_CSS_DQ_URL:
    case HTML_CSS_SQ_URL:
    case HTML_CSS_URL:
    case HTML_AFTER_NAME:
    case HTML_BEFORE_VALUE:
    case HTML_ERROR:
    case HTML_DEAD:
    case HTML_STATES:
        break;
    }
}

static bool is_url_state(enum html_state s)
{
    return s == HTML_URL || (s >= HTML_CSS_DQ && s <= HTML_CSS_URL);
}

static struct html_context escape_action(struct escaper *e, struct html_context c, struct node *n)
{
    if (n->u.control.pipe->u.pipe.decl_count > 0)
        return c;
    c = nudge(c);
    if (!check_predefined(e, n, &c) || c.state == HTML_ERROR)
        return c;
    struct escapers s = { 0 };
    if (!is_url_state(c.state))
        state_escapers(&c, &s);
    else if (!url_escapers(&c, &s))
        return html_context_error(e->arena, n, n->line, "%.*s appears in an ambiguous context within a URL",
                                  STR_ARG(printed(e, n)));
    if (c.delim == HTML_DELIM_SPACE)
        add(&s, "_html_template_nospaceescaper");
    else if (c.delim != HTML_DELIM_NONE)
        add(&s, "_html_template_attrescaper");
    struct edit *edit = add_edit(e, EDIT_ACTION, n);
    memcpy(edit->escapers, s.v, sizeof s.v);
    edit->escapers_count = s.n;
    return c;
}

/* ---- branches ---- */

static struct html_context join(struct escaper *e, const struct html_context *a, const struct html_context *b,
                                const struct node *n, const char *name)
{
    if (a->state == HTML_ERROR || b->state == HTML_DEAD)
        return *a;
    if (b->state == HTML_ERROR || a->state == HTML_DEAD || html_context_eq(a, b))
        return *b;
    struct html_context c = *a;
    c.url_part = b->url_part;
    if (html_context_eq(&c, b)) {
        c.url_part = HTML_PART_UNKNOWN;
        return c;
    }
    c = *a;
    c.js = b->js;
    if (html_context_eq(&c, b)) {
        c.js = HTML_SLASH_UNKNOWN;
        return c;
    }
    struct html_context x = nudge(*a), y = nudge(*b);
    if (!(html_context_eq(&x, a) && html_context_eq(&y, b))) {
        c = join(e, &x, &y, n, name);
        if (c.state != HTML_ERROR)
            return c;
    }
    struct buf t = { .limit_bytes = 1024 };
    html_context_write(&t, a);
    buf_c(&t, ", ");
    html_context_write(&t, b);
    c = html_context_error(e->arena, n, 0, "{{%s}} branches end in different contexts: %.*s", name,
                           STR_ARG(buf_view(&t)));
    buf_deinit(&t);
    return c;
}

static void prefix_error(struct escaper *e, struct html_context *c, const char *prefix, uint32_t line)
{
    struct html_error *copy = ARENA_NEW(e->arena, struct html_error);
    *copy = *c->err;
    copy->text = arena_printf(e->arena, "%s%.*s", prefix, STR_ARG(c->err->text));
    copy->line = line;
    c->err = copy;
}

static struct html_context join_range(struct escaper *e, struct html_context c)
{
    const struct range_scope *r = e->range;
    for (int kind = 0; kind < 2; kind++)
        for (size_t i = 0; i < r->jumps_count; i++) {
            const struct html_context *jump = &r->jumps[i];
            bool is_break = jump->jump->kind == NODE_BREAK;
            if (is_break != (kind == 0))
                continue;
            c = join(e, &c, jump, jump->jump, "range");
            if (c.state == HTML_ERROR) {
                prefix_error(e, &c, is_break ? "at range loop break: " : "at range loop continue: ", jump->jump->line);
                return c;
            }
        }
    return c;
}

static void leave_range(struct escaper *e)
{
    struct range_scope *r = e->range;
    e->range = r->outer;
    mem_free(r->jumps);
}

static struct html_context escape_jump(struct escaper *e, struct html_context c, const struct node *n)
{
    struct range_scope *r = e->range;
    ASSERT(r);
    c.jump = n;
    if (r->jumps_count == r->jumps_capacity) {
        r->jumps_capacity = mem_grow(r->jumps_capacity, r->jumps_count + 1);
        r->jumps = mem_realloc_array(r->jumps, r->jumps_capacity, sizeof *r->jumps);
    }
    r->jumps[r->jumps_count++] = c;
    return (struct html_context){ .state = HTML_DEAD };
}

/* One walk over a range's body; undone if it is only a check. */
static struct html_context walk_range(struct escaper *e, struct html_context c, const struct node *n, bool check)
{
    struct range_scope scope = { .outer = e->range };
    e->range = &scope;
    struct mark m = mark(e);
    struct html_context end = escape_list(e, c, n->u.control.list);
    if (check) {
        undo(e, m);
        end = join(e, &c, &end, n, "range");
        if (end.state == HTML_ERROR)
            prefix_error(e, &end, "on range loop re-entry: ", n->line);
    }
    if (end.state != HTML_ERROR)
        end = join_range(e, end);
    leave_range(e);
    return end;
}

static struct html_context escape_branch(struct escaper *e, struct html_context c, const struct node *n,
                                         const char *name)
{
    struct html_context first;
    if (n->kind == NODE_RANGE) {
        first = walk_range(e, c, n, false);
        if (first.state == HTML_ERROR)
            return first;
        first = walk_range(e, first, n, true);
        if (first.state == HTML_ERROR)
            return first;
    } else {
        first = escape_list(e, c, n->u.control.list);
    }
    struct html_context second = n->u.control.else_list ? escape_list(e, c, n->u.control.else_list) : c;
    return join(e, &first, &second, n, name);
}

/* ---- templates ---- */

static struct tree *own_copy(struct escaper *e, struct str name, struct str derived)
{
    struct tree *t = map_get(&e->copies->map, derived);
    const struct tree *original = t ? NULL : scope_find(e->scope, name);
    if (original) {
        t = ARENA_NEW(e->arena, struct tree);
        *t = *original;
        t->name = derived;
        t->root = node_copy(e->arena, original->root);
        map_put(&e->copies->map, derived, t);
    }
    return t;
}

static bool was_called(const struct escaper *e, size_t since, struct str name)
{
    for (size_t i = since; i < e->called_count; i++)
        if (str_eq(e->called[i], name))
            return true;
    return false;
}

/* Walks the body assuming that it ends as `c`; *ok says whether the result can be relied on, else nothing is kept. */
static struct html_context escape_body(struct escaper *e, struct html_context c, const struct tree *t, bool *ok)
{
    set_output(e, t->name, &c);
    struct mark m = mark(e);
    struct html_context end = escape_list(e, c, t->root);
    *ok = end.state != HTML_ERROR && (!was_called(e, m.called, t->name) || html_context_eq(&c, &end));
    if (!*ok)
        undo(e, m);
    return end;
}

static struct html_context output_context(struct escaper *e, struct html_context c, const struct tree *t)
{
    bool ok;
    struct html_context end = escape_body(e, c, t, &ok);
    if (!ok) {
        /* Once more, assuming what came out. */
        struct html_context again = escape_body(e, end, t, &ok);
        if (ok)
            end = again;
    }
    if (!ok && end.state != HTML_ERROR)
        return html_context_error(e->arena, t->root, 0, "cannot compute output context for template %.*s",
                                  STR_ARG(t->name));
    return end;
}

static struct html_context escape_tree(struct escaper *e, struct html_context c, const struct node *n, struct str name,
                                       uint32_t line, struct str *derived)
{
    *derived = html_context_mangle(e->arena, &c, name);
    add_called(e, *derived);
    const struct output *known = map_get(&e->output_map, *derived);
    if (known)
        return known->context;
    struct tree *t = own_copy(e, name, *derived);
    if (!t)
        return html_context_error(e->arena, n, line, "no such template \"%.*s\"", STR_ARG(name));
    if (too_deep(e))
        return html_context_error(e->arena, n, line, "templates call each other too deeply");
    return output_context(e, c, t);
}

static struct html_context escape_call(struct escaper *e, struct html_context c, struct node *n)
{
    struct str derived;
    c = escape_tree(e, c, n, n->u.tmpl.name, n->line, &derived);
    if (!str_eq(derived, n->u.tmpl.name))
        add_edit(e, EDIT_TEMPLATE, n)->text = derived;
    return c;
}

/* ---- text ---- */

static bool special_script_tag(struct str s, size_t *n)
{
    *n = 1;
    return s.n > 1 && s.p[0] == '<' &&
           (str_eq_nocase(str_sub(s, 1, 6), STR("script")) || str_eq_nocase(str_sub(s, 1, 7), STR("/script")) ||
            str_starts(str_from(s, 1), STR("!--")));
}

/* Inside JavaScript literals `<script`, `</script` and `<!--` would mean something to browsers. */
static bool escape_script_tags(struct buf *out, struct str s)
{
    bool found = false;
    for (size_t i = 0, n; i < s.n && !found; i++)
        found = special_script_tag(str_from(s, i), &n);
    for (size_t i = 0; found && i < s.n; i++) {
        size_t n;
        if (special_script_tag(str_from(s, i), &n))
            buf_c(out, "\\x3C");
        else
            buf_byte(out, s.p[i]);
    }
    return found;
}

static bool is_doctype(struct str s)
{
    return str_eq_nocase(str_sub(s, 0, 9), STR("<!DOCTYPE"));
}

struct text_edit { /* what becomes of one text: bytes up to `written` are dealt with */
    struct str s;
    struct buf out;
    size_t written;
};

static void copy_to(struct text_edit *t, size_t to)
{
    buf_append(&t->out, t->s.p + t->written, to - t->written);
}

/* A `<` in text that begins nothing is no tag. */
static void escape_brackets(struct text_edit *t, const struct html_context *c, const struct html_context *next,
                            size_t from, size_t to)
{
    size_t end = to;
    if (next->state != c->state)
        for (size_t j = to; j > from; j--)
            if (t->s.p[j - 1] == '<') {
                end = j - 1;
                break;
            }
    for (size_t j = from; j < end; j++)
        if (t->s.p[j] == '<' && !is_doctype(str_from(t->s, j))) {
            copy_to(t, j);
            buf_c(&t->out, "&lt;");
            t->written = j + 1;
        }
}

/* Comments vanish, but for what they mean as white space. */
static void drop_comment(struct text_edit *t, const struct html_context *c, size_t to)
{
    struct str dropped = str_sub(t->s, t->written, to - t->written);
    if (c->state == HTML_JS_BLOCK_COMMENT) {
        bool line = html_find_any(dropped, "\n\r") != STR_NPOS || str_contains(dropped, STR("\xE2\x80\xA8")) ||
                    str_contains(dropped, STR("\xE2\x80\xA9"));
        buf_byte(&t->out, line ? '\n' : ' ');
    } else if (c->state == HTML_CSS_BLOCK_COMMENT) {
        buf_byte(&t->out, ' ');
    }
    t->written = to;
}

static void begin_comment(struct text_edit *t, const struct html_context *next, size_t to)
{
    size_t opener = 2;
    if (next->state == HTML_COMMENT || next->state == HTML_JS_HTML_OPEN_COMMENT)
        opener = 4;
    else if (next->state == HTML_JS_HTML_CLOSE_COMMENT)
        opener = 3;
    ASSERT(to >= t->written + opener);
    copy_to(t, to - opener);
    t->written = to;
}

static struct html_context escape_text(struct escaper *e, struct html_context c, struct node *n)
{
    struct text_edit t = { .s = n->u.text };
    size_t i = 0;
    while (i != t.s.n) {
        size_t read;
        struct html_context next = html_after_text(e->arena, &c, str_from(t.s, i), &read);
        if (!spend(e, 1 + (t.s.n - i) / 16, &next)) {
            c = next;
            break;
        }
        size_t to = i + read;
        if (c.state == HTML_TEXT || c.state == HTML_RCDATA)
            escape_brackets(&t, &c, &next, i, to);
        else if (html_is_comment(c.state) && c.delim == HTML_DELIM_NONE)
            drop_comment(&t, &c, to);
        if (c.state != next.state && html_is_comment(next.state) && next.delim == HTML_DELIM_NONE)
            begin_comment(&t, &next, to);
        if (html_is_script_literal(c.state)) {
            struct buf tags = { 0 };
            if (escape_script_tags(&tags, str_sub(t.s, i, read))) {
                copy_to(&t, i);
                buf_str(&t.out, buf_view(&tags));
                t.written = to;
            }
            buf_deinit(&tags);
        }
        ASSERT(read > 0 || c.state != next.state);
        c = next;
        i = to;
    }
    if (t.written != 0 && c.state != HTML_ERROR) {
        if (!html_is_comment(c.state) || c.delim != HTML_DELIM_NONE)
            copy_to(&t, t.s.n);
        add_edit(e, EDIT_TEXT, n)->text = arena_str(e->arena, buf_view(&t.out));
    }
    buf_deinit(&t.out);
    return c;
}

/* ---- the walk ---- */

static struct html_context escape_list(struct escaper *e, struct html_context c, const struct node *list)
{
    if (too_deep(e))
        return html_context_error(e->arena, list, list->line, "the template is nested too deeply");
    e->depth++;
    for (uint32_t i = 0; i < list->u.list.n && c.state != HTML_DEAD; i++)
        if (spend(e, 1, &c))
            c = escape_node(e, c, list->u.list.v[i]);
    e->depth--;
    return c;
}

static struct html_context escape_node(struct escaper *e, struct html_context c, struct node *n)
{
    switch (n->kind) {
    case NODE_TEXT:
        return escape_text(e, c, n);
    case NODE_ACTION:
        return escape_action(e, c, n);
    case NODE_IF:
        return escape_branch(e, c, n, "if");
    case NODE_RANGE:
        return escape_branch(e, c, n, "range");
    case NODE_WITH:
        return escape_branch(e, c, n, "with");
    case NODE_TEMPLATE:
        return escape_call(e, c, n);
    case NODE_BREAK:
    case NODE_CONTINUE:
        return escape_jump(e, c, n);
    case NODE_LIST:
        return escape_list(e, c, n);
    case NODE_PIPE:
    case NODE_COMMAND:
    case NODE_FIELD:
    case NODE_VARIABLE:
    case NODE_CHAIN:
    case NODE_IDENTIFIER:
    case NODE_DOT:
    case NODE_NIL:
    case NODE_BOOL:
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_END:
    case NODE_ELSE:
        break;
    }
    ASSERT(!"no action");
    return c;
}

/* ---- commit ---- */

/* Escapers that do the same as a predefined one. */
static struct str equivalent(struct str name)
{
    if (str_eq(name, STR("_html_template_attrescaper")) || str_eq(name, STR("_html_template_htmlescaper")) ||
        str_eq(name, STR("_html_template_rcdataescaper")))
        return STR("html");
    if (str_eq(name, STR("_html_template_urlescaper")) || str_eq(name, STR("_html_template_urlnormalizer")))
        return STR("urlquery");
    return name;
}

/* Does `next` change nothing behind `last`? */
static bool redundant(struct str last, struct str next)
{
    static const struct {
        struct str last, next;
    } pairs[] = {
        { STR_INIT("_html_template_commentescaper"), STR_INIT("_html_template_attrescaper") },
        { STR_INIT("_html_template_commentescaper"), STR_INIT("_html_template_htmlescaper") },
        { STR_INIT("_html_template_cssescaper"), STR_INIT("_html_template_attrescaper") },
        { STR_INIT("_html_template_jsregexpescaper"), STR_INIT("_html_template_attrescaper") },
        { STR_INIT("_html_template_jsstrescaper"), STR_INIT("_html_template_attrescaper") },
        { STR_INIT("_html_template_jstmpllitescaper"), STR_INIT("_html_template_attrescaper") },
        { STR_INIT("_html_template_urlescaper"), STR_INIT("_html_template_urlnormalizer") },
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (str_eq(pairs[i].last, last) && str_eq(pairs[i].next, next))
            return true;
    return false;
}

static void append_escaper(struct escaper *e, struct node *pipe, struct str name)
{
    uint32_t n = pipe->u.pipe.cmds_count;
    if (n > 0 && redundant(command_name(pipe->u.pipe.cmds[n - 1]), name))
        return;
    struct node *ident = node_new(e->arena, NODE_IDENTIFIER, pipe->tree, pipe->pos, pipe->line);
    ident->u.ident.name = name;
    ident->u.ident.func = is_predefined(name) ? func_find(FUNC_GO, name) : func_escaper(name);
    struct node *cmd = node_new(e->arena, NODE_COMMAND, pipe->tree, pipe->pos, pipe->line);
    node_append(e->arena, cmd, ident);
    pipe_append(e->arena, pipe, cmd);
}

/* `{{ html a b }}` becomes `{{ _eval_args_ a b | html }}`, so that html can be merged with the escapers. */
static void split_predefined(struct escaper *e, struct node *pipe)
{
    struct node *cmd = pipe->u.pipe.cmds[0];
    struct str name = command_name(cmd);
    if (pipe->u.pipe.cmds_count != 1 || cmd->u.list.n < 2)
        return;
    struct node *ident = cmd->u.list.v[0];
    ident->u.ident.name = STR("_eval_args_");
    ident->u.ident.func = func_escaper(STR("_eval_args_"));
    append_escaper(e, pipe, name);
}

static void apply_action(struct escaper *e, const struct edit *edit)
{
    struct node *pipe = edit->node->u.control.pipe;
    if (edit->escapers_count == 0)
        return;
    struct str last = command_name(pipe->u.pipe.cmds[pipe->u.pipe.cmds_count - 1]);
    struct str names[ESCAPERS_MAX];
    bool merged = false;
    for (size_t i = 0; i < edit->escapers_count; i++)
        names[i] = str_c(edit->escapers[i]);
    if (is_predefined(last)) {
        split_predefined(e, pipe);
        for (size_t i = 0; i < edit->escapers_count; i++)
            if (str_eq(equivalent(names[i]), last)) {
                names[i] = last;
                merged = true;
            }
        pipe->u.pipe.cmds_count -= merged;
    }
    uint32_t kept = pipe->u.pipe.cmds_count;
    for (size_t i = 0; i < edit->escapers_count; i++) {
        bool there = false;
        for (uint32_t k = 0; k < kept; k++)
            there |= str_eq(equivalent(command_name(pipe->u.pipe.cmds[k])), equivalent(names[i]));
        if (!there)
            append_escaper(e, pipe, names[i]);
    }
}

static void commit(struct escaper *e)
{
    for (size_t i = 0; i < e->edits_count; i++) {
        const struct edit *edit = &e->edits[i];
        switch (edit->kind) {
        case EDIT_ACTION:
            apply_action(e, edit);
            break;
        case EDIT_TEMPLATE:
            edit->node->u.tmpl.name = edit->text;
            break;
        case EDIT_TEXT:
            edit->node->u.text = edit->text;
            break;
        }
    }
}

static void report(const struct html_error *why, struct str name, struct err *err)
{
    struct buf b = { .limit_bytes = 1024 };
    buf_c(&b, "html/template:");
    if (why->node)
        node_place(why->node, &b);
    else if (why->line)
        buf_printf(&b, "%.*s:%u", STR_ARG(name), why->line);
    else
        buf_str(&b, name);
    if (!why->node && !why->line && name.n == 0)
        buf_truncate(&b, b.n - 1);
    err_set(err, ERR_INVALID, "%.*s: %.*s", STR_ARG(buf_view(&b)), STR_ARG(why->text));
    buf_deinit(&b);
}

bool html_escape_trees(struct arena *a, const struct scope *scope, const struct tree *root, struct tree_map *out,
                       struct tree **escaped_root, struct err *err)
{
    struct escaper e = { .arena = a, .scope = scope, .copies = out, .stack = depth_here() };
    /* The text itself, even where the set has a template of the same name. */
    struct tree *copy = ARENA_NEW(a, struct tree);
    *copy = *root;
    copy->root = node_copy(a, root->root);
    map_put(&out->map, copy->name, copy);

    struct str derived;
    struct html_context start = { 0 };
    struct html_context end = escape_tree(&e, start, NULL, root->name, 0, &derived);
    bool ok = end.state == HTML_TEXT;
    if (ok) {
        commit(&e);
        *escaped_root = copy;
    } else {
        if (end.state != HTML_ERROR) {
            struct buf b = { .limit_bytes = 1024 };
            html_context_write(&b, &end);
            end = html_context_error(a, NULL, 0, "ends in a non-text context: %.*s", STR_ARG(buf_view(&b)));
            buf_deinit(&b);
        }
        report(end.err, root->name, err);
    }
    map_deinit(&e.output_map);
    mem_free(e.outputs);
    mem_free(e.called);
    mem_free(e.edits);
    return ok;
}
