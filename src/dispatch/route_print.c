/* Drawing the tree as xlab/treeprint does for amtool: "├── " and "└── " before a branch; below it "│" and three
 * no-break or plain blanks for a branch that goes on, four blanks for the last one. */
#include "dispatch/route_print.h"

#include "base/mem.h"

static const struct str LINK = STR_INIT("\xe2\x94\x82\xc2\xa0\xc2\xa0 "), GAP = STR_INIT("    ");
static const struct str MIDDLE = STR_INIT("\xe2\x94\x9c\xe2\x94\x80\xe2\x94\x80 ");
static const struct str LAST = STR_INIT("\xe2\x94\x94\xe2\x94\x80\xe2\x94\x80 ");

struct printer {
    struct buf *out;
    const struct route_tree *t;
    const struct labels *ls; /* only routes on the way to these labels' matches; NULL: all */
    struct buf indent;
};

/* The children that are drawn, in order: writes up to all of them, returns how many. */
static size_t shown_children(const struct printer *p, const struct route *r, uint32_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < r->children_count; i++) {
        const struct route *child = route_tree_at(p->t, r->children[i]);
        if (p->ls && !matchers_match(&child->matchers, *p->ls))
            continue;
        out[n++] = r->children[i];
        if (p->ls && !child->continues)
            break;
    }
    return n;
}

static void print_line(const struct printer *p, const struct route *r, bool last, bool with_receiver)
{
    buf_str(p->out, buf_view(&p->indent));
    buf_str(p->out, last ? LAST : MIDDLE);
    if (r->matchers.n)
        matchers_write(p->out, &r->matchers);
    else
        buf_c(p->out, "default-route");
    if (!p->ls && r->continues)
        buf_c(p->out, "  continue: true");
    if (with_receiver) {
        buf_c(p->out, "  receiver: ");
        buf_str(p->out, r->receiver);
    }
    buf_byte(p->out, '\n');
}

static void print_branch(struct printer *p, const struct route *r, bool last)
{
    uint32_t *children = mem_alloc_array(r->children_count, sizeof *children);
    size_t n = shown_children(p, r, children);
    print_line(p, r, last, !p->ls || n == 0);
    size_t indent = p->indent.n;
    buf_str(&p->indent, last ? GAP : LINK);
    for (size_t i = 0; i < n; i++)
        print_branch(p, route_tree_at(p->t, children[i]), i + 1 == n);
    buf_truncate(&p->indent, indent);
    mem_free(children);
}

static void print(struct buf *out, const struct route_tree *t, const char *title, const struct labels *ls)
{
    struct printer p = { .out = out, .t = t, .ls = ls };
    buf_c(out, title);
    buf_c(out, "\n.\n");
    print_branch(&p, route_tree_at(t, 0), true);
    buf_deinit(&p.indent);
}

void route_print_tree(struct buf *out, const struct route_tree *t)
{
    print(out, t, "Routing tree:", NULL);
    buf_byte(out, '\n');
}

void route_print_match(struct buf *out, const struct route_tree *t, struct labels ls)
{
    print(out, t, "Matching routes:", &ls);
    buf_c(out, "\n\n");
}

void route_print_receivers(struct buf *out, const struct route_tree *t, struct labels ls)
{
    uint32_t *v = mem_alloc_array(route_tree_count(t), sizeof *v);
    size_t n = route_tree_match(t, ls, v, route_tree_count(t));
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_byte(out, ',');
        buf_str(out, route_tree_at(t, v[i])->receiver);
    }
    mem_free(v);
}
