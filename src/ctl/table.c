/* Go's text/tabwriter with padding 2, as amtool uses it. */
#include "ctl/ctl.h"

#include "base/utf8.h"

void ctl_table_init(struct ctl_table *t, struct arena *a, size_t columns)
{
    ASSERT(columns > 0 && columns <= CTL_COLUMNS_MAX);
    *t = (struct ctl_table){ .arena = a, .columns = columns };
}

void ctl_table_cell(struct ctl_table *t, struct str s)
{
    if (t->count == t->capacity) {
        size_t capacity = t->capacity ? t->capacity * 2 : 64;
        struct str *grown = arena_alloc_array(t->arena, capacity, sizeof *grown);
        if (t->count)
            memcpy(grown, t->cells, t->count * sizeof *grown);
        t->cells = grown;
        t->capacity = capacity;
    }
    t->cells[t->count++] = arena_str(t->arena, s);
}

void ctl_table_write(const struct ctl_table *t, struct buf *out)
{
    size_t widths[CTL_COLUMNS_MAX] = { 0 };
    for (size_t i = 0; i < t->count; i++) {
        size_t width = utf8_count(t->cells[i]);
        if (width > widths[i % t->columns])
            widths[i % t->columns] = width;
    }
    for (size_t i = 0; i < t->count; i++) {
        size_t column = i % t->columns;
        /* A column whose cells are all empty has no width at all. */
        size_t width = widths[column] ? widths[column] + 2 : 0;
        buf_str(out, t->cells[i]);
        buf_fill(out, ' ', width - utf8_count(t->cells[i]));
        if (column + 1 == t->columns)
            buf_byte(out, '\n');
    }
}
