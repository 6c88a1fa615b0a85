/* Go's text/tabwriter with padding 2, as amtool uses it: every cell ends in a tab, every row in a line break.
 *
 * T1  What stands in a cell is not looked into by who fills the table: a tab in it ends a cell too, and a line break a line, so an
 *     annotation of several lines moves columns, exactly as amtool's do.
 * T2  A column is as wide as its widest cell in a run of consecutive lines that have the column; a line without it ends the run.
 *     Within that run the next columns are laid out, and so on.
 * T3  What is behind the last tab of a line belongs to no column and is not padded.
 *
 * Bounds: past LINE_CELLS_MAX cells of one line a tab is text, since columns are laid out by recursion. */
#include "ctl/ctl.h"

#include "base/utf8.h"

#define LINE_CELLS_MAX 256
#define PADDING        2

void ctl_table_init(struct ctl_table *t, struct arena *a, size_t columns)
{
    ASSERT(columns > 0 && columns <= CTL_COLUMNS_MAX);
    *t = (struct ctl_table){ .arena = a, .columns = columns };
}

static void *grown(struct arena *a, const void *old, size_t count, size_t *capacity, size_t item_bytes)
{
    *capacity = *capacity ? *capacity * 2 : 64;
    void *items = arena_alloc_array(a, *capacity, item_bytes);
    if (count)
        memcpy(items, old, count * item_bytes);
    return items;
}

void ctl_table_cell(struct ctl_table *t, struct str s)
{
    if (t->count == t->capacity)
        t->cells = grown(t->arena, t->cells, t->count, &t->capacity, sizeof *t->cells);
    t->cells[t->count++] = arena_str(t->arena, s);
}

struct line {
    size_t first, count; /* cells; the last one is what is behind the last tab */
};

struct layout {
    struct arena *arena;
    struct str *cells;
    size_t cells_count, cells_capacity;
    struct line *lines;
    size_t lines_count, lines_capacity;
    size_t line_first;             /* of the line at hand */
    size_t widths[LINE_CELLS_MAX]; /* of the columns around what is being laid out */
    struct buf *out;
};

static void end_cell(struct layout *l, struct str text)
{
    if (l->cells_count == l->cells_capacity)
        l->cells = grown(l->arena, l->cells, l->cells_count, &l->cells_capacity, sizeof *l->cells);
    l->cells[l->cells_count++] = text;
}

static void end_line(struct layout *l, struct str text)
{
    end_cell(l, text);
    if (l->lines_count == l->lines_capacity)
        l->lines = grown(l->arena, l->lines, l->lines_count, &l->lines_capacity, sizeof *l->lines);
    l->lines[l->lines_count++] = (struct line){ l->line_first, l->cells_count - l->line_first };
    l->line_first = l->cells_count;
}

/* No more cells by tabs: there is room left for those of the row itself. */
static bool full(const struct layout *l)
{
    return l->cells_count - l->line_first + CTL_COLUMNS_MAX + 2 > LINE_CELLS_MAX;
}

static void add_cell(struct layout *l, struct str s)
{
    size_t start = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n')
            end_line(l, str_sub(s, start, i - start));
        else if ((s.p[i] == '\t' || s.p[i] == '\v') && !full(l))
            end_cell(l, str_sub(s, start, i - start));
        else
            continue;
        start = i + 1;
    }
    end_cell(l, str_from(s, start));
}

static void write_lines(const struct layout *l, size_t columns, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const struct str *cells = l->cells + l->lines[i].first;
        for (size_t k = 0; k < l->lines[i].count; k++) {
            buf_str(l->out, cells[k]);
            if (k < columns)
                buf_fill(l->out, ' ', l->widths[k] - utf8_count(cells[k]));
        }
        buf_byte(l->out, '\n');
    }
}

static bool has_column(const struct layout *l, size_t line, size_t column)
{
    return column + 1 < l->lines[line].count;
}

/* Lines that agree in the columns before `column`, whose widths are known. */
static void lay_out(struct layout *l, size_t column, size_t from, size_t to)
{
    size_t unwritten = from, at = from;
    while (at < to) {
        if (!has_column(l, at, column)) {
            at++;
            continue;
        }
        write_lines(l, column, unwritten, at);
        unwritten = at;
        size_t width = 0;
        for (; at < to && has_column(l, at, column); at++) {
            size_t n = utf8_count(l->cells[l->lines[at].first + column]);
            width = n > width ? n : width;
        }
        l->widths[column] = width + PADDING;
        lay_out(l, column + 1, unwritten, at);
        unwritten = at;
    }
    write_lines(l, column, unwritten, to);
}

void ctl_table_write(const struct ctl_table *t, struct buf *out)
{
    struct layout l = { .arena = t->arena, .out = out };
    for (size_t i = 0; i < t->count; i++) {
        add_cell(&l, t->cells[i]);
        if (i % t->columns + 1 == t->columns)
            end_line(&l, STR_EMPTY);
    }
    lay_out(&l, 0, 0, l.lines_count);
}
