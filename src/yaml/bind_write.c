/* The tables read backwards: what is zero, the dump of an object, the walk over all rows for generators. */
#include "yaml/bind.h"

#include "base/mem.h"
#include "yaml/bind_int.h"
#include "yaml/go_duration_int.h"

#include <stdlib.h>

#define WALK_DEPTH_MAX 24

bool bind_field_is_zero(const struct bind *f, const void *object)
{
    const void *at = bind_at_const(f, object);
    switch (f->kind) {
    case BIND_KIND_BOOL:
        return !*(const bool *)at;
    case BIND_KIND_TRISTATE:
        return *(const enum tristate *)at == TRISTATE_ABSENT;
    case BIND_KIND_I64:
    case BIND_KIND_GO_NS:
        return *(const int64_t *)at == 0;
    case BIND_KIND_OPT_I64:
        return !((const struct opt_i64 *)at)->set;
    case BIND_KIND_U64:
        return *(const uint64_t *)at == 0;
    case BIND_KIND_F64:
        return *(const double *)at == 0;
    case BIND_KIND_STR:
        return ((const struct str *)at)->n == 0;
    case BIND_KIND_ENUM:
        return *(const int *)at == 0;
    case BIND_KIND_STRS:
        return ((const struct str_list *)at)->n == 0;
    case BIND_KIND_STR_MAP:
        return ((const struct str_map *)at)->n == 0;
    case BIND_KIND_STR_LISTS:
        return ((const struct str_lists *)at)->n == 0;
    case BIND_KIND_SCALAR:
        return f->scalar->is_zero(at);
    case BIND_KIND_TREE:
    case BIND_KIND_POINTER:
        return bind_pointer_of(f, object) == NULL;
    case BIND_KIND_SCALARS:
    case BIND_KIND_LIST:
    case BIND_KIND_MAP:
        return bind_count_of(f, object) == 0;
    case BIND_KIND_OBJECT:
    case BIND_KIND_INLINE:
        return bind_is_zero(f->type, at);
    case BIND_KIND_KINDS:
        break;
    }
    ASSERT(false);
    return true;
}

bool bind_is_zero(const struct bind_type *type, const void *object)
{
    for (size_t i = 0; i < type->fields_count; i++)
        if (!bind_field_is_zero(&type->fields[i], object))
            return false;
    return true;
}

static void emit_text(struct yaml_emitter *e, const struct bind *f, struct str s)
{
    yaml_emit_str(e, f->secret && s.n ? STR(BIND_SECRET_TEXT) : s);
}

static void emit_strs(struct yaml_emitter *e, const struct bind *f, const struct str_list *list)
{
    yaml_emit_list(e, f->flow || list->n == 0);
    for (size_t i = 0; i < list->n; i++)
        emit_text(e, f, list->v[i]);
    yaml_emit_list_end(e);
}

static int pair_cmp(const void *a, const void *b)
{
    return yaml_key_cmp(((const struct str_pair *)a)->key, ((const struct str_pair *)b)->key);
}

static void emit_str_map(struct yaml_emitter *e, const struct bind *f, const struct str_map *m)
{
    struct str_pair *sorted = mem_alloc_array(m->n, sizeof *sorted);
    if (m->n)
        memcpy(sorted, m->v, m->n * sizeof *sorted);
    if (m->n > 1)
        qsort(sorted, m->n, sizeof *sorted, pair_cmp);
    yaml_emit_map(e);
    for (size_t i = 0; i < m->n; i++) {
        yaml_emit_str(e, sorted[i].key);
        emit_text(e, f, sorted[i].value);
    }
    yaml_emit_map_end(e);
    mem_free(sorted);
}

void bind_emit_str_map(struct yaml_emitter *e, const struct str_map *m)
{
    static const struct bind plain = { .kind = BIND_KIND_STR_MAP };
    emit_str_map(e, &plain, m);
}

static void emit_str_lists(struct yaml_emitter *e, const struct bind *f, const struct str_lists *m)
{
    yaml_emit_map(e);
    for (size_t i = 0; i < m->n; i++) {
        yaml_emit_str(e, m->v[i].key);
        emit_strs(e, f, &m->v[i].values);
    }
    yaml_emit_map_end(e);
}

static void emit_elements(struct yaml_emitter *e, const struct bind *f, const void *object)
{
    const char *v = bind_pointer_of(f, object);
    size_t n = bind_count_of(f, object);
    if (f->kind == BIND_KIND_MAP)
        yaml_emit_map(e);
    else
        yaml_emit_list(e, f->flow || n == 0);
    for (size_t i = 0; i < n; i++) {
        if (f->kind == BIND_KIND_SCALARS) {
            f->scalar->emit(e, v + i * f->scalar->size);
            continue;
        }
        const void *element = v + i * f->type->size;
        if (f->kind == BIND_KIND_MAP)
            yaml_emit_str(e, *(const struct str *)element);
        bind_emit(e, f->type, element);
    }
    if (f->kind == BIND_KIND_MAP)
        yaml_emit_map_end(e);
    else
        yaml_emit_list_end(e);
}

static void emit_go_ns(struct yaml_emitter *e, int64_t ns)
{
    struct buf b = { 0 };
    yaml_go_duration_write(&b, ns);
    yaml_emit_str(e, buf_view(&b));
    buf_deinit(&b);
}

static void emit_value(struct yaml_emitter *e, const struct bind *f, const void *object)
{
    const void *at = bind_at_const(f, object);
    switch (f->kind) {
    case BIND_KIND_BOOL:
        yaml_emit_bool(e, *(const bool *)at);
        return;
    case BIND_KIND_TRISTATE:
        yaml_emit_bool(e, *(const enum tristate *)at == TRISTATE_TRUE);
        return;
    case BIND_KIND_I64:
        yaml_emit_i64(e, *(const int64_t *)at);
        return;
    case BIND_KIND_OPT_I64:
        yaml_emit_i64(e, ((const struct opt_i64 *)at)->v);
        return;
    case BIND_KIND_U64:
        yaml_emit_u64(e, *(const uint64_t *)at);
        return;
    case BIND_KIND_F64:
        yaml_emit_f64(e, *(const double *)at);
        return;
    case BIND_KIND_STR:
        emit_text(e, f, *(const struct str *)at);
        return;
    case BIND_KIND_GO_NS:
        emit_go_ns(e, *(const int64_t *)at);
        return;
    case BIND_KIND_ENUM:
        if (f->shown)
            yaml_emit_i64(e, f->shown[*(const int *)at]);
        else
            yaml_emit_str(e, str_c(f->names[*(const int *)at]));
        return;
    case BIND_KIND_STRS:
        emit_strs(e, f, at);
        return;
    case BIND_KIND_STR_MAP:
        emit_str_map(e, f, at);
        return;
    case BIND_KIND_STR_LISTS:
        emit_str_lists(e, f, at);
        return;
    case BIND_KIND_SCALAR:
        if (f->secret && !f->scalar->is_zero(at))
            yaml_emit_str(e, STR(BIND_SECRET_TEXT));
        else
            f->scalar->emit(e, at);
        return;
    case BIND_KIND_TREE:
        yaml_emit_tree(e, bind_pointer_of(f, object));
        return;
    case BIND_KIND_OBJECT:
        bind_emit(e, f->type, at);
        return;
    case BIND_KIND_POINTER:
        bind_emit(e, f->type, bind_pointer_of(f, object));
        return;
    case BIND_KIND_SCALARS:
    case BIND_KIND_LIST:
    case BIND_KIND_MAP:
        emit_elements(e, f, object);
        return;
    case BIND_KIND_INLINE:
    case BIND_KIND_KINDS:
        break;
    }
    ASSERT(false);
}

static void emit_fields(struct yaml_emitter *e, const struct bind_type *type, const void *object)
{
    for (size_t i = 0; i < type->fields_count; i++) {
        const struct bind *f = &type->fields[i];
        if (f->kind == BIND_KIND_INLINE) {
            emit_fields(e, f->type, bind_at_const(f, object));
            continue;
        }
        if (f->never || (!f->always && bind_field_is_zero(f, object)))
            continue;
        yaml_emit_str(e, str_c(f->key));
        if ((f->kind == BIND_KIND_TREE || f->kind == BIND_KIND_POINTER) && !bind_pointer_of(f, object))
            yaml_emit_null(e);
        else
            emit_value(e, f, object);
    }
}

void bind_emit(struct yaml_emitter *e, const struct bind_type *type, const void *object)
{
    if (type->emit_short && type->emit_short(e, object))
        return;
    yaml_emit_map(e);
    emit_fields(e, type, object);
    yaml_emit_map_end(e);
}

/* ---- Generators ---- */

struct walk {
    bind_visit *visit;
    void *arg;
    struct buf path;
    const struct bind_type *stack[WALK_DEPTH_MAX];
    size_t depth;
};

static void walk_type(struct walk *w, const struct bind_type *type);

static void walk_field(struct walk *w, const struct bind_type *type, const struct bind *f)
{
    if (f->kind == BIND_KIND_INLINE) {
        walk_type(w, f->type);
        return;
    }
    size_t mark = w->path.n;
    if (mark)
        buf_byte(&w->path, '.');
    buf_c(&w->path, f->key);
    w->visit(w->arg, buf_view(&w->path), type, f);
    if (f->type)
        walk_type(w, f->type);
    buf_truncate(&w->path, mark);
}

static void walk_type(struct walk *w, const struct bind_type *type)
{
    for (size_t i = 0; i < w->depth; i++)
        if (w->stack[i] == type)
            return;
    ASSERT(w->depth < WALK_DEPTH_MAX);
    w->stack[w->depth++] = type;
    for (size_t i = 0; i < type->fields_count; i++)
        walk_field(w, type, &type->fields[i]);
    w->depth--;
}

void bind_walk(const struct bind_type *type, bind_visit *visit, void *arg)
{
    struct walk w = { .visit = visit, .arg = arg };
    walk_type(&w, type);
    buf_deinit(&w.path);
}

const char *bind_kind_text(enum bind_kind kind)
{
    static const char *const texts[BIND_KIND_KINDS] = {
        [BIND_KIND_BOOL] = "boolean",
        [BIND_KIND_TRISTATE] = "boolean or absent",
        [BIND_KIND_I64] = "integer",
        [BIND_KIND_OPT_I64] = "integer or absent",
        [BIND_KIND_U64] = "unsigned integer",
        [BIND_KIND_F64] = "number",
        [BIND_KIND_STR] = "string",
        [BIND_KIND_GO_NS] = "duration (Go)",
        [BIND_KIND_ENUM] = "one of a list",
        [BIND_KIND_STRS] = "list of strings",
        [BIND_KIND_STR_MAP] = "map of strings",
        [BIND_KIND_STR_LISTS] = "map of lists of strings",
        [BIND_KIND_SCALAR] = "string",
        [BIND_KIND_SCALARS] = "list of strings",
        [BIND_KIND_TREE] = "any value",
        [BIND_KIND_OBJECT] = "object",
        [BIND_KIND_POINTER] = "object",
        [BIND_KIND_INLINE] = "keys",
        [BIND_KIND_LIST] = "list of objects",
        [BIND_KIND_MAP] = "map of objects",
    };
    return texts[kind];
}
