/* A tree as text: the canonical one-line form that logs and rule files show, and the formatter's, which breaks lines that
 * are longer than 100 characters. Both print what the parser reads back as the same tree. */
#include "promql/promql.h"

#include "base/num.h"
#include "base/utf8.h"
#include "model/duration.h"
#include "promql/functions_int.h"

#include <math.h>
#include <stdlib.h>

#define LINE_MAX_CHARS 100

static void print_node(struct buf *out, const struct promql_node *n);

static void print_label(struct buf *out, struct str name)
{
    if (label_name_is_classic(name))
        buf_str(out, name);
    else
        go_quote(out, name);
}
static void print_labels(struct buf *out, const struct str_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        buf_c(out, i ? ", " : "");
        print_label(out, l->v[i]);
    }
}
static void print_ms(struct buf *out, int64_t ms)
{
    if (ms < 0)
        buf_byte(out, '-');
    duration_write(out, ms < 0 ? -ms : ms);
}
static void print_number(struct buf *out, const struct promql_node *n)
{
    if (n->u.number.is_duration)
        print_ms(out, (int64_t)llround(n->u.number.value * 1000));
    else
        num_write_f64(out, n->u.number.value, 'f', -1);
}

static void print_dur(struct buf *out, const struct promql_node *n)
{
    if (n->kind == NODE_NUMBER) {
        print_number(out, n);
        return;
    }
    const struct promql_node *l = n->u.duration.l, *r = n->u.duration.r;
    switch (n->u.duration.what) {
    case DUR_OP:
        print_dur(out, l);
        buf_byte(out, ' ');
        buf_str(out, promql_op_text(n->u.duration.op));
        buf_byte(out, ' ');
        print_dur(out, r);
        break;
    case DUR_NEG:
    case DUR_POS:
        buf_byte(out, n->u.duration.what == DUR_NEG ? '-' : '+');
        print_dur(out, l);
        break;
    case DUR_PAREN:
        buf_byte(out, '(');
        print_dur(out, l);
        buf_byte(out, ')');
        break;
    case DUR_STEP: buf_c(out, "step()"); break;
    case DUR_RANGE: buf_c(out, "range()"); break;
    case DUR_MIN:
    case DUR_MAX:
        buf_c(out, n->u.duration.what == DUR_MIN ? "min_of(" : "max_of(");
        print_dur(out, l);
        buf_c(out, ", ");
        print_dur(out, r);
        buf_byte(out, ')');
        break;
    }
}
static void print_duration(struct buf *out, const struct promql_duration *d)
{
    if (d->expr)
        print_dur(out, d->expr);
    else
        print_ms(out, d->ms);
}

static void print_place(struct buf *out, const struct promql_place *p, bool extended_first)
{
    const char *extended = p->anchored ? " anchored" : p->smoothed ? " smoothed" : "";
    if (extended_first)
        buf_c(out, extended);
    if (p->at == AT_TIME) {
        buf_c(out, " @ ");
        num_write_f64(out, (double)p->at_ms / 1000, 'f', 3);
    } else if (p->at != AT_NONE) {
        buf_c(out, p->at == AT_START ? " @ start()" : " @ end()");
    }
    if (!extended_first)
        buf_c(out, extended);
    if (p->offset.expr || p->offset.ms) {
        buf_c(out, " offset ");
        print_duration(out, &p->offset);
    }
}

static int text_order(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    return str_cmp(*x, *y);
}

/* name{m1,m2} with the matchers sorted as text. */
static void print_bare_selector(struct buf *out, const struct promql_selector *s)
{
    buf_str(out, s->name);
    struct str texts[64];
    struct buf all = { 0 };
    size_t ends[64], n = 0;
    bool sorted = s->matchers.n <= ARRAY_LEN(texts);
    for (size_t i = 0; i < s->matchers.n; i++) {
        const struct matcher *m = &s->matchers.v[i];
        if (s->name.n && str_eq(m->name, STR("__name__")))
            continue;
        if (!sorted && all.n)
            buf_byte(&all, ',');
        print_label(&all, m->name);
        buf_str(&all, match_op_text(m->op));
        go_quote(&all, m->value);
        if (sorted)
            ends[n++] = all.n;
    }
    for (size_t i = 0; i < n; i++)
        texts[i] = str_of(all.p + (i ? ends[i - 1] : 0), ends[i] - (i ? ends[i - 1] : 0));
    if (n)
        qsort(texts, n, sizeof texts[0], text_order);
    if (all.n || s->name.n == 0) {
        buf_byte(out, '{');
        for (size_t i = 0; i < n; i++) {
            buf_c(out, i ? "," : "");
            buf_str(out, texts[i]);
        }
        if (!sorted)
            buf_str(out, buf_view(&all));
        buf_byte(out, '}');
    }
    buf_deinit(&all);
}

static void print_matching(struct buf *out, const struct promql_node *n)
{
    const struct promql_matching *m = &n->u.binary.matching;
    bool group = m->card == CARD_MANY_TO_ONE || m->card == CARD_ONE_TO_MANY;
    if (n->u.binary.return_bool)
        buf_c(out, " bool");
    if (m->labels.n || m->on || group) {
        buf_c(out, m->on ? " on (" : " ignoring (");
        print_labels(out, &m->labels);
        buf_byte(out, ')');
    }
    if (group) {
        buf_c(out, m->card == CARD_MANY_TO_ONE ? " group_left (" : " group_right (");
        print_labels(out, &m->include);
        buf_byte(out, ')');
    }
    if (m->fill_left && m->fill_right && f64_bits(m->fill_left_value) == f64_bits(m->fill_right_value)) {
        buf_c(out, " fill (");
        num_write_f64(out, m->fill_left_value, 'f', -1);
        buf_byte(out, ')');
        return;
    }
    if (m->fill_left) {
        buf_c(out, " fill_left (");
        num_write_f64(out, m->fill_left_value, 'f', -1);
        buf_byte(out, ')');
    }
    if (m->fill_right) {
        buf_c(out, " fill_right (");
        num_write_f64(out, m->fill_right_value, 'f', -1);
        buf_byte(out, ')');
    }
}

static void print_aggregate_head(struct buf *out, const struct promql_node *n)
{
    buf_str(out, promql_aggregation_text(n->u.aggregate.op));
    if (n->u.aggregate.without || n->u.aggregate.grouping.n) {
        buf_c(out, n->u.aggregate.without ? " without (" : " by (");
        print_labels(out, &n->u.aggregate.grouping);
        buf_c(out, ") ");
    }
}

static void print_subquery_tail(struct buf *out, const struct promql_node *n)
{
    buf_byte(out, '[');
    print_duration(out, &n->u.subquery.range);
    buf_byte(out, ':');
    if (n->u.subquery.has_step)
        print_duration(out, &n->u.subquery.step);
    buf_byte(out, ']');
    print_place(out, &n->u.subquery.place, true);
}

static void print_node(struct buf *out, const struct promql_node *n)
{
    switch (n->kind) {
    case NODE_NUMBER: print_number(out, n); break;
    case NODE_STRING: go_quote(out, n->u.string.value); break;
    case NODE_DURATION: print_dur(out, n); break;
    case NODE_SELECTOR:
        print_bare_selector(out, &n->u.selector);
        print_place(out, &n->u.selector.place, false);
        break;
    case NODE_MATRIX:
        print_bare_selector(out, &n->u.matrix.selector->u.selector);
        buf_byte(out, '[');
        print_duration(out, &n->u.matrix.range);
        buf_byte(out, ']');
        print_place(out, &n->u.matrix.selector->u.selector.place, true);
        break;
    case NODE_SUBQUERY:
        print_node(out, n->u.subquery.expr);
        print_subquery_tail(out, n);
        break;
    case NODE_PAREN:
        buf_byte(out, '(');
        print_node(out, n->u.paren.expr);
        buf_byte(out, ')');
        break;
    case NODE_UNARY:
        buf_byte(out, n->u.unary.minus ? '-' : '+');
        print_node(out, n->u.unary.expr);
        break;
    case NODE_BINARY:
        print_node(out, n->u.binary.l);
        buf_byte(out, ' ');
        buf_str(out, promql_op_text(n->u.binary.op));
        print_matching(out, n);
        buf_byte(out, ' ');
        print_node(out, n->u.binary.r);
        break;
    case NODE_CALL:
        buf_c(out, n->u.call.fn->name);
        buf_byte(out, '(');
        for (size_t i = 0; i < n->u.call.args_count; i++) {
            buf_c(out, i ? ", " : "");
            print_node(out, n->u.call.args[i]);
        }
        buf_byte(out, ')');
        break;
    case NODE_AGGREGATE:
        print_aggregate_head(out, n);
        buf_byte(out, '(');
        if (n->u.aggregate.param) {
            print_node(out, n->u.aggregate.param);
            buf_c(out, ", ");
        }
        print_node(out, n->u.aggregate.expr);
        buf_byte(out, ')');
        break;
    }
}

void promql_print(struct buf *out, const struct promql_node *n)
{
    print_node(out, n);
}

/* ---- pretty ---- */

static void indent(struct buf *out, int level)
{
    buf_fill(out, ' ', 2 * (size_t)level);
}
/* Fits on a line at this level (upstream counts the bytes of the text alone). */
static bool fits(const struct promql_node *n)
{
    struct buf b = { 0 };
    print_node(&b, n);
    bool short_enough = b.n <= LINE_MAX_CHARS;
    buf_deinit(&b);
    return short_enough;
}

static void pretty(struct buf *out, const struct promql_node *n, int level);

static void pretty_list(struct buf *out, struct promql_node *const *v, size_t n, int level)
{
    for (size_t i = 0; i < n; i++) {
        buf_c(out, i ? ",\n" : "");
        pretty(out, v[i], level);
    }
}

static void pretty_long(struct buf *out, const struct promql_node *n, int level)
{
    switch (n->kind) {
    case NODE_BINARY:
        pretty(out, n->u.binary.l, level + 1);
        buf_byte(out, '\n');
        indent(out, level);
        buf_str(out, promql_op_text(n->u.binary.op));
        print_matching(out, n);
        buf_byte(out, '\n');
        pretty(out, n->u.binary.r, level + 1);
        break;
    case NODE_CALL:
        indent(out, level);
        buf_c(out, n->u.call.fn->name);
        buf_c(out, "(\n");
        pretty_list(out, n->u.call.args, n->u.call.args_count, level + 1);
        buf_byte(out, '\n');
        indent(out, level);
        buf_byte(out, ')');
        break;
    case NODE_AGGREGATE: {
        struct promql_node *args[2] = { n->u.aggregate.param, n->u.aggregate.expr };
        indent(out, level);
        print_aggregate_head(out, n);
        buf_c(out, "(\n");
        pretty_list(out, args + (args[0] ? 0 : 1), args[0] ? 2 : 1, level + 1);
        buf_byte(out, '\n');
        indent(out, level);
        buf_byte(out, ')');
        break;
    }
    case NODE_PAREN:
        indent(out, level);
        buf_c(out, "(\n");
        pretty(out, n->u.paren.expr, level + 1);
        buf_byte(out, '\n');
        indent(out, level);
        buf_byte(out, ')');
        break;
    case NODE_SUBQUERY:
        pretty(out, n->u.subquery.expr, level);
        print_subquery_tail(out, n);
        break;
    case NODE_UNARY: {
        struct buf inner = { 0 };
        pretty(&inner, n->u.unary.expr, level);
        indent(out, level);
        buf_byte(out, n->u.unary.minus ? '-' : '+');
        buf_str(out, str_trim(buf_view(&inner)));
        buf_deinit(&inner);
        break;
    }
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_SELECTOR:
    case NODE_MATRIX:
    case NODE_DURATION:
        indent(out, level);
        print_node(out, n);
        break;
    }
}

static void pretty(struct buf *out, const struct promql_node *n, int level)
{
    if (!fits(n)) {
        pretty_long(out, n, level);
        return;
    }
    indent(out, level);
    print_node(out, n);
}

void promql_print_pretty(struct buf *out, const struct promql_node *n)
{
    pretty(out, n, 0);
}
