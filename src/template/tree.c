/* Nodes: making, copying, printing. Printing gives the text that Go's errors quote between < and >. */
#include "template/tree_int.h"

#include "base/mem.h"
#include "base/utf8.h"

struct node *node_new(struct arena *a, enum node_kind kind, const struct tree *tree, uint32_t pos, uint32_t line)
{
    struct node *n = ARENA_NEW(a, struct node);
    n->kind = kind;
    n->tree = tree;
    n->pos = pos;
    n->line = line;
    return n;
}

/* Arrays grow by doubling inside the arena; what they leave behind goes with it. */
static void array_add(struct arena *a, struct node ***v, uint32_t *n, uint32_t *capacity, struct node *item)
{
    if (*n == *capacity) {
        uint32_t grown = *capacity ? *capacity * 2 : 4;
        struct node **next = arena_alloc_array(a, grown, sizeof(struct node *));
        if (*n)
            memcpy(next, *v, *n * sizeof(struct node *));
        *v = next;
        *capacity = grown;
    }
    (*v)[(*n)++] = item;
}

void node_append(struct arena *a, struct node *list, struct node *n)
{
    ASSERT(list->kind == NODE_LIST || list->kind == NODE_COMMAND);
    array_add(a, &list->u.list.v, &list->u.list.n, &list->u.list.capacity, n);
}

void pipe_append(struct arena *a, struct node *pipe, struct node *cmd)
{
    ASSERT(pipe->kind == NODE_PIPE);
    array_add(a, &pipe->u.pipe.cmds, &pipe->u.pipe.cmds_count, &pipe->u.pipe.cmds_capacity, cmd);
}

bool tree_is_empty(const struct node *n)
{
    if (!n)
        return true;
    if (n->kind == NODE_TEXT) {
        struct str s = n->u.text;
        while (s.n > 0) {
            size_t size;
            if (!rune_is_white_space(utf8_decode(s, &size)))
                return false;
            s = str_from(s, size);
        }
        return true;
    }
    if (n->kind != NODE_LIST)
        return false;
    for (uint32_t i = 0; i < n->u.list.n; i++)
        if (!tree_is_empty(n->u.list.v[i]))
            return false;
    return true;
}

static struct node **copy_array(struct arena *a, struct node *const *v, uint32_t n)
{
    struct node **out = arena_alloc_array(a, n ? n : 1, sizeof(struct node *));
    for (uint32_t i = 0; i < n; i++)
        out[i] = node_copy(a, v[i]);
    return out;
}

/* Texts and identifiers are shared with the original: both live as long as the set does, or the original is older. */
struct node *node_copy(struct arena *a, const struct node *n)
{
    if (!n)
        return NULL;
    struct node *c = ARENA_NEW(a, struct node);
    *c = *n;
    switch (n->kind) {
    case NODE_ACTION:
    case NODE_IF:
    case NODE_RANGE:
    case NODE_WITH:
        c->u.control.pipe = node_copy(a, n->u.control.pipe);
        c->u.control.list = node_copy(a, n->u.control.list);
        c->u.control.else_list = node_copy(a, n->u.control.else_list);
        c->u.control.field = NULL; /* copies are made for the escaper, which adds to the pipeline */
        break;
    case NODE_TEMPLATE:
        c->u.tmpl.pipe = node_copy(a, n->u.tmpl.pipe);
        break;
    case NODE_LIST:
    case NODE_COMMAND:
        c->u.list.v = copy_array(a, n->u.list.v, n->u.list.n);
        c->u.list.capacity = n->u.list.n;
        break;
    case NODE_PIPE:
        c->u.pipe.cmds = copy_array(a, n->u.pipe.cmds, n->u.pipe.cmds_count);
        c->u.pipe.cmds_capacity = n->u.pipe.cmds_count;
        break;
    case NODE_CHAIN:
        c->u.chain.node = node_copy(a, n->u.chain.node);
        break;
    case NODE_TEXT:
    case NODE_BREAK:
    case NODE_CONTINUE:
    case NODE_FIELD:
    case NODE_VARIABLE:
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
    return c;
}

static void write_pipe(const struct node *n, struct buf *out)
{
    for (uint32_t i = 0; i < n->u.pipe.decl_count; i++) {
        if (i > 0)
            buf_c(out, ", ");
        node_write(n->u.pipe.decl[i], out);
    }
    if (n->u.pipe.decl_count > 0)
        buf_c(out, n->u.pipe.assign ? " = " : " := ");
    for (uint32_t i = 0; i < n->u.pipe.cmds_count; i++) {
        if (i > 0)
            buf_c(out, " | ");
        node_write(n->u.pipe.cmds[i], out);
    }
}

static void write_operand(const struct node *n, struct buf *out)
{
    bool group = n->kind == NODE_PIPE;
    if (group)
        buf_byte(out, '(');
    node_write(n, out);
    if (group)
        buf_byte(out, ')');
}

static void write_control(const struct node *n, const char *name, struct buf *out)
{
    buf_printf(out, "{{%s ", name);
    node_write(n->u.control.pipe, out);
    buf_c(out, "}}");
    node_write(n->u.control.list, out);
    if (n->u.control.else_list) {
        buf_c(out, "{{else}}");
        node_write(n->u.control.else_list, out);
    }
    buf_c(out, "{{end}}");
}

static void write_fields(const struct node *n, uint32_t from, struct buf *out)
{
    for (uint32_t i = from; i < n->u.chain.n; i++) {
        buf_byte(out, '.');
        buf_str(out, n->u.chain.idents[i]);
    }
}

static void write_template(const struct node *n, struct buf *out)
{
    buf_c(out, "{{template ");
    go_quote(out, n->u.tmpl.name);
    if (n->u.tmpl.pipe) {
        buf_byte(out, ' ');
        node_write(n->u.tmpl.pipe, out);
    }
    buf_c(out, "}}");
}

void node_write(const struct node *n, struct buf *out)
{
    switch (n->kind) {
    case NODE_TEXT:
        buf_str(out, n->u.text);
        break;
    case NODE_ACTION:
        buf_c(out, "{{");
        node_write(n->u.control.pipe, out);
        buf_c(out, "}}");
        break;
    case NODE_IF:
        write_control(n, "if", out);
        break;
    case NODE_RANGE:
        write_control(n, "range", out);
        break;
    case NODE_WITH:
        write_control(n, "with", out);
        break;
    case NODE_TEMPLATE:
        write_template(n, out);
        break;
    case NODE_BREAK:
        buf_c(out, "{{break}}");
        break;
    case NODE_CONTINUE:
        buf_c(out, "{{continue}}");
        break;
    case NODE_LIST:
        for (uint32_t i = 0; i < n->u.list.n; i++)
            node_write(n->u.list.v[i], out);
        break;
    case NODE_PIPE:
        write_pipe(n, out);
        break;
    case NODE_COMMAND:
        for (uint32_t i = 0; i < n->u.list.n; i++) {
            if (i > 0)
                buf_byte(out, ' ');
            write_operand(n->u.list.v[i], out);
        }
        break;
    case NODE_FIELD:
        write_fields(n, 0, out);
        break;
    case NODE_VARIABLE:
        buf_str(out, n->u.chain.idents[0]);
        write_fields(n, 1, out);
        break;
    case NODE_CHAIN:
        write_operand(n->u.chain.node, out);
        write_fields(n, 0, out);
        break;
    case NODE_IDENTIFIER:
        buf_str(out, n->u.ident.name);
        break;
    case NODE_DOT:
        buf_byte(out, '.');
        break;
    case NODE_NIL:
        buf_c(out, "nil");
        break;
    case NODE_BOOL:
        buf_c(out, n->u.b ? "true" : "false");
        break;
    case NODE_NUMBER:
        buf_str(out, n->u.number.text);
        break;
    case NODE_STRING:
        buf_str(out, n->u.string.quoted);
        break;
    case NODE_END:
        buf_c(out, "{{end}}");
        break;
    case NODE_ELSE:
        buf_c(out, "{{else}}");
        break;
    }
}

void node_place(const struct node *n, struct buf *out)
{
    struct str before = str_sub(n->tree->text, 0, n->pos);
    uint32_t line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < before.n; i++)
        if (before.p[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    buf_str(out, n->tree->parse_name);
    buf_printf(out, ":%u:%zu", line, before.n - line_start);
}
