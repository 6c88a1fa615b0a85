/* Finding functions by name, and what rows share. The tables in func_*.c are the only list of functions there is. */
#include "template/exec_int.h"
#include "template/func_int.h"

static const struct {
    const struct func *rows;
    const size_t *count;
} tables[] = {
    { func_rows_go, &func_rows_go_count },         { func_rows_text, &func_rows_text_count },
    { func_rows_data, &func_rows_data_count },     { func_rows_time, &func_rows_time_count },
    { func_rows_number, &func_rows_number_count }, { func_rows_prometheus, &func_rows_prometheus_count },
    { func_rows_html, &func_rows_html_count },
};

const struct func *func_find(unsigned flavours, struct str name)
{
    for (size_t t = 0; t < ARRAY_LEN(tables); t++)
        for (size_t i = 0; i < *tables[t].count; i++) {
            const struct func *f = &tables[t].rows[i];
            if ((f->flavours & flavours) && str_eq(f->name, name))
                return f;
        }
    return NULL;
}

const struct func *func_escaper(struct str name)
{
    const struct func *f = func_find(FUNC_ESCAPER, name);
    ASSERT(f);
    return f;
}

bool call_fail(struct err *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_vset(err, ERR_INVALID, fmt, ap);
    va_end(ap);
    return false;
}

struct str call_str(struct tval_call *c, const struct buf *b)
{
    return arena_str(c->arena, buf_view(b));
}

/* A buffer that one long value has grown is not kept for the short ones. */
#define SPARE_BYTES_MAX (64 * 1024)

void call_buf(struct tval_call *c, struct buf *b)
{
    struct exec_shared *shared = call_shared(c);
    struct buf *spare = shared->spare->p ? &shared->spare[0] : &shared->spare[1];
    *b = *spare;
    *spare = (struct buf){ 0 };
    buf_reset(b);
    b->limit_bytes = shared->budget.output_bytes_max;
}

void call_buf_end(struct tval_call *c, struct buf *b)
{
    struct buf *spare = call_shared(c)->spare;
    if (spare->p)
        spare++;
    if (!spare->p && b->capacity <= SPARE_BYTES_MAX)
        *spare = *b;
    else
        buf_deinit(b);
}

bool call_result(struct tval_call *c, struct buf *b, struct tval *out, struct err *err)
{
    bool ok = !b->overflow;
    if (ok)
        *out = tval_str(call_str(c, b));
    else
        err_set(err, ERR_LIMIT, "the result is too large");
    call_buf_end(c, b);
    return ok;
}
