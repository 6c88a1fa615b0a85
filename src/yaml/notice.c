/* Notices: a bounded list whose texts live in its own arena. */
#include "yaml/notice.h"

#include <stdarg.h>

#define NOTICES_BYTES_MAX (1024 * 1024)

void notices_init(struct notices *ns)
{
    *ns = (struct notices){ 0 };
    arena_init(&ns->arena, NOTICES_BYTES_MAX);
}

void notices_deinit(struct notices *ns)
{
    arena_deinit(&ns->arena);
    ns->v = NULL;
    ns->n = ns->dropped = 0;
}

static bool copy(struct notices *ns, struct str s, struct str *out)
{
    char *p = arena_try_alloc(&ns->arena, s.n + 1);
    if (!p)
        return false;
    if (s.n)
        memcpy(p, s.p, s.n);
    *out = str_of(p, s.n);
    return true;
}

void notice_add(struct notices *ns, enum notice_kind kind, uint32_t line, const struct notice_field *fields,
                size_t fields_count, const char *fmt, ...)
{
    if (!ns)
        return;
    ASSERT(fields_count <= NOTICE_FIELDS_MAX);
    if (!ns->v)
        ns->v = arena_alloc_array(&ns->arena, NOTICES_MAX, sizeof *ns->v);
    struct notice n = { .kind = kind, .line = line, .fields_count = fields_count };
    struct buf text = { 0 };
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    bool ok = ns->n < NOTICES_MAX && copy(ns, buf_view(&text), &n.text);
    for (size_t i = 0; ok && i < fields_count; i++) {
        n.fields[i].key = fields[i].key;
        ok = copy(ns, fields[i].value, &n.fields[i].value);
    }
    buf_deinit(&text);
    if (ok)
        ns->v[ns->n++] = n;
    else
        ns->dropped++;
}

void notice_write(struct buf *out, const struct notice *n)
{
    if (n->line)
        buf_printf(out, "line %u: ", n->line);
    buf_str(out, n->text);
    for (size_t i = 0; i < n->fields_count; i++) {
        buf_printf(out, " %s=", n->fields[i].key);
        buf_str(out, n->fields[i].value);
    }
}
