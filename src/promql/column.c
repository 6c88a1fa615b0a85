/* Columns and label sets: making, keeping, joining them. Everything is in the query's arena; what may be large is asked
 * for by eval_alloc(), which knows the limit. */
#include "promql/eval_int.h"

struct column *column_new(struct eval *ev, size_t n)
{
    struct column *c = ARENA_NEW(ev->a, struct column);
    c->kind = eval_alloc(ev, n, sizeof *c->kind);
    c->v = c->kind ? eval_alloc(ev, n, sizeof *c->v) : NULL;
    return c->v ? c : NULL;
}

void column_clear(struct column *c, size_t n)
{
    memset(c->kind, CELL_NONE, n);
    c->drop_name = false;
    c->h = NULL;
}

size_t column_cells(const struct column *c, size_t n)
{
    size_t cells = 0;
    for (size_t i = 0; i < n; i++)
        cells += c->kind[i] != CELL_NONE;
    return cells;
}

size_t column_cost(const struct column *c, size_t n)
{
    size_t cost = 0;
    if (!c->h)
        return column_cells(c, n);
    for (size_t i = 0; i < n; i++) {
        if (c->kind[i] == CELL_FLOAT)
            cost++;
        else if (c->kind[i] == CELL_HISTOGRAM)
            cost += (float_histogram_size(c->h[i]) + 8) / 16;
    }
    return cost;
}

bool column_set_histogram(struct eval *ev, struct column *c, size_t n, size_t i, const struct float_histogram *h)
{
    if (!c->h && !(c->h = eval_alloc(ev, n, sizeof *c->h)))
        return false;
    c->kind[i] = CELL_HISTOGRAM;
    c->h[i] = h;
    return true;
}

struct column *column_keep(struct eval *ev, const struct column *c, size_t n)
{
    struct column *k = column_new(ev, n);
    if (!k)
        return NULL;
    k->labels = c->labels;
    k->drop_name = c->drop_name;
    memcpy(k->kind, c->kind, n * sizeof *k->kind);
    memcpy(k->v, c->v, n * sizeof *k->v);
    if (c->h) {
        k->h = eval_alloc(ev, n, sizeof *k->h);
        if (!k->h)
            return NULL;
        memcpy(k->h, c->h, n * sizeof *k->h);
    }
    return k;
}

bool vector_add(struct eval *ev, struct vector *vec, struct column *c)
{
    if (!c)
        return false;
    if (vec->n == vec->capacity) {
        size_t capacity = vec->capacity ? vec->capacity * 2 : 16;
        struct column **v = eval_alloc(ev, capacity, sizeof(struct column *));
        if (!v)
            return false;
        if (vec->n)
            memcpy(v, vec->v, vec->n * sizeof(struct column *));
        vec->v = v;
        vec->capacity = capacity;
    }
    vec->v[vec->n++] = c;
    return true;
}

/* ---- label sets ---- */

static void put_label(struct buf *b, struct label l)
{
    size_t n = l.name.n + l.value.n + 2;
    buf_reserve(b, n);
    char *p = b->p + b->n;
    memcpy(p, l.name.p, l.name.n);
    p[l.name.n] = '\xff';
    memcpy(p + l.name.n + 1, l.value.p, l.value.n);
    p[n - 1] = '\xff';
    p[n] = 0;
    b->n += n;
}

struct str labels_bytes_buf(struct buf *b, struct labels ls)
{
    buf_reset(b);
    for (size_t i = 0; i < ls.n; i++)
        put_label(b, ls.v[i]);
    return buf_view(b);
}

struct str labels_bytes(struct eval *ev, struct labels ls)
{
    size_t n = 0;
    for (size_t i = 0; i < ls.n; i++)
        n += ls.v[i].name.n + ls.v[i].value.n + 2;
    char *p = arena_alloc(ev->a, n + 1), *at = p;
    for (size_t i = 0; i < ls.n; i++) {
        memcpy(at, ls.v[i].name.p, ls.v[i].name.n);
        at += ls.v[i].name.n;
        *at++ = '\xff';
        memcpy(at, ls.v[i].value.p, ls.v[i].value.n);
        at += ls.v[i].value.n;
        *at++ = '\xff';
    }
    return str_of(p, n);
}

static bool is_name_label(struct str name)
{
    return name.n > 4 && name.p[0] == '_' && name.p[1] == '_' &&
           (str_eq(name, STR("__name__")) || str_eq(name, STR("__type__")) || str_eq(name, STR("__unit__")));
}

struct labels labels_without_name(struct eval *ev, struct labels ls)
{
    size_t found = 0, at = 0;
    for (size_t i = 0; i < ls.n; i++) {
        if (is_name_label(ls.v[i].name)) {
            found++;
            at = i;
        }
    }
    if (found == 0)
        return ls;
    if (found == 1 && at == 0)
        return (struct labels){ ls.v + 1, ls.n - 1 };
    struct label *v = arena_alloc_array(ev->a, ls.n - found + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < ls.n; i++)
        if (!is_name_label(ls.v[i].name))
            v[n++] = ls.v[i];
    return (struct labels){ v, n };
}

struct labels labels_set(struct eval *ev, struct labels ls, struct str name, struct str value)
{
    size_t at = 0;
    while (at < ls.n && str_cmp(ls.v[at].name, name) < 0)
        at++;
    bool there = at < ls.n && str_eq(ls.v[at].name, name);
    if (!there && value.n == 0)
        return ls;
    size_t n = ls.n - (there ? 1 : 0) + (value.n ? 1 : 0);
    struct label *v = arena_alloc_array(ev->a, n + 1, sizeof *v);
    if (at)
        memcpy(v, ls.v, at * sizeof *v);
    size_t k = at;
    if (value.n)
        v[k++] = (struct label){ name, value };
    size_t from = at + (there ? 1 : 0);
    if (from < ls.n)
        memcpy(v + k, ls.v + from, (ls.n - from) * sizeof *v);
    return (struct labels){ v, n };
}

struct labels labels_drop(struct eval *ev, struct labels ls, struct str name)
{
    return labels_set(ev, ls, name, STR_EMPTY);
}

struct labels labels_project(struct eval *ev, struct labels ls, const struct str_list *names, bool keep)
{
    struct label *v = arena_alloc_array(ev->a, ls.n + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < ls.n; i++) {
        bool named = false;
        for (size_t k = 0; k < names->n && !named; k++)
            named = str_eq(names->v[k], ls.v[i].name);
        if (keep ? named : !named && !str_eq(ls.v[i].name, STR("__name__")))
            v[n++] = ls.v[i];
    }
    return (struct labels){ v, n };
}

struct str labels_project_bytes(struct buf *b, struct labels ls, const struct str_list *names, bool keep)
{
    buf_reset(b);
    for (size_t i = 0; i < ls.n; i++) {
        bool named = false;
        for (size_t k = 0; k < names->n && !named; k++)
            named = str_eq(names->v[k], ls.v[i].name);
        if (keep ? !named : named || str_eq(ls.v[i].name, STR("__name__")))
            continue;
        put_label(b, ls.v[i]);
    }
    return buf_view(b);
}

void column_drop_name(struct eval *ev, struct column *c)
{
    if (ev->delayed)
        c->drop_name = true;
    else
        c->labels = labels_without_name(ev, c->labels);
}

/* ---- equal labels ---- */

static bool collide(struct eval *ev)
{
    return eval_fail(ev, "vector cannot contain metrics with the same labelset");
}

bool vector_merge(struct eval *ev, size_t n, struct vector *vec)
{
    struct map seen = { 0 };
    size_t kept = 0;
    bool ok = true;
    for (size_t k = 0; k < vec->n && ok; k++) {
        struct column *c = vec->v[k], *first;
        struct str key = labels_bytes(ev, c->labels);
        first = map_get(&seen, key);
        if (!first) {
            map_put(&seen, key, c);
            vec->v[kept++] = c;
            continue;
        }
        for (size_t i = 0; i < n && ok; i++) {
            if (c->kind[i] == CELL_NONE)
                continue;
            if (first->kind[i] != CELL_NONE)
                ok = collide(ev);
            else if (c->kind[i] == CELL_HISTOGRAM)
                ok = column_set_histogram(ev, first, n, i, c->h[i]);
            else
                column_set(first, i, c->v[i]);
        }
    }
    map_deinit(&seen);
    vec->n = kept;
    return ok;
}

bool uniqueness_check(struct eval *ev, struct uniqueness *u, const struct column *c, size_t n)
{
    if (!u->armed)
        return true;
    struct str key = labels_bytes(ev, c->labels);
    uint8_t *cells = map_get(&u->seen, key);
    if (!cells) {
        cells = eval_alloc(ev, n, 1);
        if (!cells)
            return false;
        memcpy(cells, c->kind, n);
        map_put(&u->seen, key, cells);
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        if (c->kind[i] == CELL_NONE)
            continue;
        if (cells[i] != CELL_NONE)
            return collide(ev);
        cells[i] = c->kind[i];
    }
    return true;
}

void uniqueness_deinit(struct uniqueness *u)
{
    map_deinit(&u->seen);
}
