/* The binder: one walk over the tree, directed by the tables.
 *
 * B1  An object is zeroed, then given its defaults, then its keys in document order, then its checks; a nested object
 *     goes through all of that while its key is read. So checks run inner before outer, in document order.
 * B2  A type error is recorded and the walk goes on; an object that recorded one (itself or inside) is not checked.
 *     BIND_FAIL unwinds at once, and bind_document() then reports b->err alone.
 * B3  Nothing is freed: all memory is the arena's, whose owner drops it when the load fails.
 *
 * Recursion follows the tree, whose depth the parser has bounded. Time is linear in the decode steps that the parser has
 * counted (aliases included), times the rows of a table for finding a key. */
#include "yaml/bind.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "yaml/bind_int.h"
#include "yaml/go_duration_int.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#define FIELDS_MAX        160 /* of one object, inlined ones included */
#define HINT_DISTANCE_MAX 2
#define HINT_KEY_MAX      48

/* ---- Errors ---- */

static void PRINTF_LIKE(2, 3) record(struct binding *b, const char *fmt, ...)
{
    if (b->type_errors_count == BIND_TYPE_ERRORS_MAX) {
        b->type_errors_dropped++;
        return;
    }
    if (!b->type_errors)
        b->type_errors = arena_alloc_array(b->arena, BIND_TYPE_ERRORS_MAX, sizeof *b->type_errors);
    va_list ap;
    va_start(ap, fmt);
    b->type_errors[b->type_errors_count++] = arena_vprintf(b->arena, fmt, ap);
    va_end(ap);
}

static size_t recorded(const struct binding *b)
{
    return b->type_errors_count + b->type_errors_dropped;
}

enum bind_result bind_type_error(struct binding *b, const struct yaml_node *node, const char *go_type)
{
    struct str tag = node->tag.n ? node->tag : str_c(yaml_kind_name(node->kind));
    if (node->kind == YAML_SEQUENCE || node->kind == YAML_MAPPING)
        record(b, "line %u: cannot unmarshal %.*s into %s", node->line, STR_ARG(tag), go_type);
    else if (node->text.n > 10)
        record(b, "line %u: cannot unmarshal %.*s `%.*s...` into %s", node->line, STR_ARG(tag), 7, node->text.p,
               go_type);
    else
        record(b, "line %u: cannot unmarshal %.*s `%.*s` into %s", node->line, STR_ARG(tag), STR_ARG(node->text),
               go_type);
    return BIND_TYPE_ERROR;
}

enum bind_result bind_fail(struct binding *b, const struct yaml_node *node, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_vset(&b->err, ERR_INVALID, fmt, ap);
    va_end(ap);
    b->err.line = node ? node->line : 0;
    b->err.column = node ? node->column : 0;
    return BIND_FAIL;
}

/* A hook said no: its err is already b->err. */
static enum bind_result fail_at(struct binding *b, const struct yaml_node *node)
{
    if (b->err.line == 0) {
        b->err.line = node->line;
        b->err.column = node->column;
    }
    return BIND_FAIL;
}

struct bind_quoted bind_quote(struct str s)
{
    struct bind_quoted q;
    struct buf b = { 0 };
    go_quote(&b, str_sub(s, 0, BIND_QUOTE_MAX));
    struct str cut = str_sub(buf_view(&b), 0, sizeof q.text - 1);
    memcpy(q.text, cut.p, cut.n);
    q.text[cut.n] = '\0';
    buf_deinit(&b);
    return q;
}

void bind_cleanup_add(struct binding *b, void (*release)(void *what), void *what)
{
    struct bind_cleanup *c = ARENA_NEW(b->arena, struct bind_cleanup);
    *c = (struct bind_cleanup){ release, what, b->cleanups };
    b->cleanups = c;
}

void bind_cleanups_run(struct bind_cleanup *first)
{
    for (struct bind_cleanup *c = first; c; c = c->next)
        c->release(c->what);
}

/* ---- Small values ---- */

struct str str_map_get(const struct str_map *m, struct str key)
{
    for (size_t i = 0; i < m->n; i++)
        if (str_eq(m->v[i].key, key))
            return m->v[i].value;
    return STR_EMPTY;
}

bool str_map_has(const struct str_map *m, struct str key)
{
    for (size_t i = 0; i < m->n; i++)
        if (str_eq(m->v[i].key, key))
            return true;
    return false;
}

bool bind_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_NULL;
}

static bool is_collection(const struct yaml_node *node)
{
    return node->kind == YAML_SEQUENCE || node->kind == YAML_MAPPING;
}

static enum bind_result read_text(struct binding *b, const struct yaml_node *node, const char *go_type,
                                  struct str *out)
{
    if (is_collection(node))
        return bind_type_error(b, node, go_type);
    *out = bind_is_null(node) ? STR_EMPTY : node->text;
    return BIND_OK;
}

enum bind_result bind_read_str(struct binding *b, const struct yaml_node *node, struct str *out)
{
    return read_text(b, node, "string", out);
}

static enum bind_result read_strs(struct binding *b, const struct yaml_node *node, const char *go_type,
                                  struct str_list *out)
{
    if (bind_is_null(node)) {
        *out = (struct str_list){ 0 };
        return BIND_OK;
    }
    if (node->kind != YAML_SEQUENCE)
        return bind_type_error(b, node, go_type);
    struct str *v = arena_alloc_array(b->arena, node->n, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < node->n; i++)
        if (bind_read_str(b, node->items[i], &v[n]) == BIND_OK)
            n++;
    *out = (struct str_list){ v, n };
    return n == node->n ? BIND_OK : BIND_TYPE_ERROR;
}

enum bind_result bind_read_strs(struct binding *b, const struct yaml_node *node, struct str_list *out)
{
    return read_strs(b, node, "[]string", out);
}

static enum bind_result read_bool(struct binding *b, const struct yaml_node *node, bool *out)
{
    if (node->kind != YAML_BOOL)
        return bind_type_error(b, node, "bool");
    *out = node->b;
    return BIND_OK;
}

static enum bind_result read_i64(struct binding *b, const struct yaml_node *node, const char *go_type, int64_t *out)
{
    if (node->kind == YAML_INT && !node->is_u64)
        *out = node->i;
    else if (node->kind == YAML_FLOAT && node->f < 9223372036854775808.0 && node->f >= -9223372036854775808.0)
        *out = (int64_t)node->f;
    else
        return bind_type_error(b, node, go_type);
    return BIND_OK;
}

static enum bind_result read_u64(struct binding *b, const struct yaml_node *node, const char *go_type,
                                 uint64_t *out)
{
    if (node->kind == YAML_INT && node->is_u64)
        *out = node->u;
    else if (node->kind == YAML_INT && node->i >= 0)
        *out = (uint64_t)node->i;
    else if (node->kind == YAML_FLOAT && node->f >= 0 && node->f < 18446744073709551616.0)
        *out = (uint64_t)node->f;
    else
        return bind_type_error(b, node, go_type);
    return BIND_OK;
}

static enum bind_result read_f64(struct binding *b, const struct yaml_node *node, const char *go_type, double *out)
{
    if (node->kind != YAML_INT && node->kind != YAML_FLOAT)
        return bind_type_error(b, node, go_type);
    *out = node->f;
    return BIND_OK;
}

static enum bind_result read_go_ns(struct binding *b, const struct yaml_node *node, int64_t *out)
{
    if (node->kind == YAML_STRING)
        return yaml_go_duration_parse(node->text, out) ? BIND_OK : bind_type_error(b, node, "time.Duration");
    return read_i64(b, node, "time.Duration", out);
}

static enum bind_result read_enum(struct binding *b, const struct bind *f, const struct yaml_node *node, int *out)
{
    struct str text = STR_EMPTY;
    enum bind_result r = read_text(b, node, f->go_type ? f->go_type : "string", &text);
    if (r != BIND_OK)
        return r;
    for (int i = 0; f->names[i]; i++)
        if (str_eq(str_c(f->names[i]), text)) {
            *out = i;
            return BIND_OK;
        }
    return bind_fail(b, node, "%s%.*s", f->refuse, STR_ARG(text));
}

/* ---- Maps ---- */

static int str_pair_cmp(const void *a, const void *b)
{
    return str_cmp(((const struct str_pair *)a)->key, ((const struct str_pair *)b)->key);
}

static int str_lists_cmp(const void *a, const void *b)
{
    return str_cmp(((const struct str_lists_entry *)a)->key, ((const struct str_lists_entry *)b)->key);
}

static void sort(void *v, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
    if (n > 1)
        qsort(v, n, size, cmp);
}

void str_map_sort(struct str_pair *v, size_t n)
{
    sort(v, n, sizeof *v, str_pair_cmp);
}

/* Every pair of a mapping whose keys are texts; strict about keys that are there already. */
struct map_walk {
    const struct yaml_node *node;
    struct map seen;
    size_t at;
    struct str key;
    const struct yaml_node *value;
};

static bool map_walk_next(struct binding *b, struct map_walk *w)
{
    while (w->at < w->node->n) {
        const struct yaml_pair *pair = &w->node->pairs[w->at++];
        if (bind_read_str(b, pair->key, &w->key) != BIND_OK)
            continue;
        w->value = pair->value;
        return true;
    }
    return false;
}

/* True if the entry is the first of its key. Called once its value was read, as go-yaml does. */
static bool map_walk_accept(struct binding *b, struct map_walk *w)
{
    if (!map_put(&w->seen, w->key, w))
        return true;
    struct buf quoted = { 0 };
    go_quote(&quoted, w->key);
    record(b, "line %u: key %.*s already set in map", w->value->line, STR_ARG(buf_view(&quoted)));
    buf_deinit(&quoted);
    return false;
}

enum bind_result bind_read_str_map(struct binding *b, const struct yaml_node *node, const char *go_type,
                                   struct str_map *out)
{
    size_t before = recorded(b);
    *out = (struct str_map){ 0 };
    if (bind_is_null(node))
        return BIND_OK;
    if (node->kind != YAML_MAPPING)
        return bind_type_error(b, node, go_type);
    struct str_pair *v = arena_alloc_array(b->arena, node->n, sizeof *v);
    size_t n = 0;
    struct map_walk w = { .node = node };
    while (map_walk_next(b, &w)) {
        struct str value;
        if (bind_read_str(b, w.value, &value) == BIND_OK && map_walk_accept(b, &w))
            v[n++] = (struct str_pair){ w.key, value };
    }
    map_deinit(&w.seen);
    str_map_sort(v, n);
    *out = (struct str_map){ v, n };
    return recorded(b) == before ? BIND_OK : BIND_TYPE_ERROR;
}

static enum bind_result read_str_lists(struct binding *b, const struct yaml_node *node, const struct bind *f,
                                       struct str_lists *out)
{
    *out = (struct str_lists){ 0 };
    if (bind_is_null(node))
        return BIND_OK;
    if (node->kind != YAML_MAPPING)
        return bind_type_error(b, node, f->go_type ? f->go_type : "map[string][]string");
    struct str_lists_entry *v = arena_alloc_array(b->arena, node->n, sizeof *v);
    size_t n = 0;
    struct map_walk w = { .node = node };
    while (map_walk_next(b, &w)) {
        struct str_list values;
        if (read_strs(b, w.value, f->secret ? "[]config.Secret" : "[]string", &values) == BIND_OK &&
            map_walk_accept(b, &w))
            v[n++] = (struct str_lists_entry){ w.key, values };
    }
    map_deinit(&w.seen);
    sort(v, n, sizeof *v, str_lists_cmp);
    *out = (struct str_lists){ v, n };
    return BIND_OK;
}

/* ---- Trees ---- */

static enum bind_result check_tree_map(struct binding *b, const struct yaml_node *node);

/* What decoding into interface{} would object to. */
static enum bind_result check_tree(struct binding *b, const struct yaml_node *node)
{
    if (node->kind == YAML_MAPPING)
        return check_tree_map(b, node);
    for (size_t i = 0; node->kind == YAML_SEQUENCE && i < node->n; i++)
        if (check_tree(b, node->items[i]) == BIND_FAIL)
            return BIND_FAIL;
    return BIND_OK;
}

/* As Go's %#v, bounded: for error texts and as the identity of a key. */
static void write_go_value(struct buf *out, const struct yaml_node *v)
{
    if (out->n > ERR_TEXT_MAX)
        return;
    switch (v->kind) {
    case YAML_NULL:
        buf_c(out, "interface {}(nil)");
        return;
    case YAML_BOOL:
        buf_c(out, v->b ? "true" : "false");
        return;
    case YAML_INT:
        if (v->is_u64)
            buf_printf(out, "0x%llx", (unsigned long long)v->u);
        else
            buf_i64(out, v->i);
        return;
    case YAML_FLOAT:
        num_write_f64(out, v->f, 'g', -1);
        return;
    case YAML_TIMESTAMP:
    case YAML_STRING:
        go_quote(out, v->text);
        return;
    case YAML_SEQUENCE:
    case YAML_MAPPING:
        break;
    }
    bool map = v->kind == YAML_MAPPING;
    buf_c(out, map ? "map[interface {}]interface {}{" : "[]interface {}{");
    for (size_t i = 0; i < v->n; i++) {
        if (i)
            buf_c(out, ", ");
        if (map) {
            write_go_value(out, v->pairs[i].key);
            buf_byte(out, ':');
        }
        write_go_value(out, map ? v->pairs[i].value : v->items[i]);
    }
    buf_byte(out, '}');
}

static enum bind_result check_tree_map(struct binding *b, const struct yaml_node *node)
{
    struct map seen = { 0 };
    enum bind_result r = BIND_OK;
    for (size_t i = 0; r != BIND_FAIL && i < node->n; i++) {
        const struct yaml_pair *pair = &node->pairs[i];
        struct buf key = { 0 };
        r = check_tree(b, pair->key);
        if (bind_is_null(pair->key))
            buf_c(&key, "<nil>");
        else
            write_go_value(&key, pair->key);
        struct str text = arena_str(b->arena, buf_view(&key));
        buf_deinit(&key);
        if (r != BIND_FAIL && is_collection(pair->key))
            r = bind_fail(b, pair->key, "yaml: invalid map key: %.*s", STR_ARG(text));
        if (r != BIND_FAIL)
            r = check_tree(b, pair->value);
        if (r != BIND_FAIL && map_put(&seen, text, &seen))
            record(b, "line %u: key %.*s already set in map", pair->value->line, STR_ARG(text));
    }
    map_deinit(&seen);
    return r;
}

enum bind_result bind_read_tree(struct binding *b, const struct yaml_node *node, const char *go_type,
                                const struct yaml_node **out)
{
    *out = NULL;
    if (bind_is_null(node))
        return BIND_OK;
    if (go_type && node->kind != YAML_MAPPING)
        return bind_type_error(b, node, go_type);
    *out = node;
    return check_tree(b, node);
}

/* ---- Scalars with hooks ---- */

static enum bind_result read_scalar(struct binding *b, const struct bind *f, const struct yaml_node *node,
                                    void *out)
{
    const struct bind_scalar *s = f->scalar;
    if (bind_is_null(node)) {
        memset(out, 0, s->size);
        return BIND_OK;
    }
    if (s->parse_node)
        return s->parse_node(b, node, out);
    struct str text;
    enum bind_result r = read_text(b, node, f->go_type ? f->go_type : s->go_type ? s->go_type : "string", &text);
    if (r != BIND_OK)
        return r;
    return s->parse(b, text, out, &b->err) ? BIND_OK : fail_at(b, node);
}

static enum bind_result read_scalars(struct binding *b, const struct bind *f, const struct yaml_node *node,
                                     void *object)
{
    bind_pointer_set(f, object, NULL);
    *bind_count_at(f, object) = 0;
    if (bind_is_null(node))
        return BIND_OK;
    if (node->kind != YAML_SEQUENCE)
        return bind_type_error(b, node, f->go_type ? f->go_type : "[]string");
    char *v = arena_alloc_array(b->arena, node->n, f->scalar->size);
    bind_pointer_set(f, object, v);
    for (size_t i = 0; i < node->n; i++) {
        struct bind element = { .scalar = f->scalar };
        enum bind_result r =
            read_scalar(b, &element, node->items[i], v + f->scalar->size * *bind_count_at(f, object));
        if (r == BIND_FAIL)
            return r;
        if (r == BIND_OK)
            ++*bind_count_at(f, object);
    }
    return BIND_OK;
}

/* ---- Fields ---- */

static void set_zero(struct binding *b, const struct bind *f, void *object)
{
    static const size_t sizes[BIND_KIND_KINDS] = {
        [BIND_KIND_BOOL] = sizeof(bool),
        [BIND_KIND_TRISTATE] = sizeof(enum tristate),
        [BIND_KIND_I64] = sizeof(int64_t),
        [BIND_KIND_OPT_I64] = sizeof(struct opt_i64),
        [BIND_KIND_U64] = sizeof(uint64_t),
        [BIND_KIND_F64] = sizeof(double),
        [BIND_KIND_STR] = sizeof(struct str),
        [BIND_KIND_GO_NS] = sizeof(int64_t),
        [BIND_KIND_ENUM] = sizeof(int),
        [BIND_KIND_STRS] = sizeof(struct str_list),
        [BIND_KIND_STR_MAP] = sizeof(struct str_map),
        [BIND_KIND_STR_LISTS] = sizeof(struct str_lists),
        [BIND_KIND_SCALARS] = sizeof(void *),
        [BIND_KIND_TREE] = sizeof(void *),
        [BIND_KIND_POINTER] = sizeof(void *),
        [BIND_KIND_LIST] = sizeof(void *),
        [BIND_KIND_MAP] = sizeof(void *),
    };
    (void)b;
    size_t size = f->kind == BIND_KIND_SCALAR   ? f->scalar->size
                  : f->kind == BIND_KIND_OBJECT ? f->type->size
                                                : sizes[f->kind];
    ASSERT(size != 0);
    memset(bind_at(f, object), 0, size);
    if (f->count_offset)
        *bind_count_at(f, object) = 0;
}

static enum bind_result read_pointer(struct binding *b, const struct bind *f, const struct yaml_node *node,
                                     void *object)
{
    void *p = arena_alloc(b->arena, f->type->size);
    bind_pointer_set(f, object, p);
    return bind_read_object(b, f->type, node, p);
}

static enum bind_result read_list(struct binding *b, const struct bind *f, const struct yaml_node *node,
                                  void *object)
{
    bind_pointer_set(f, object, NULL);
    *bind_count_at(f, object) = 0;
    if (node->kind != YAML_SEQUENCE)
        return bind_type_error(b, node, f->go_type ? f->go_type : "[]config.plain");
    char *v = arena_alloc_array(b->arena, node->n, f->type->size);
    bind_pointer_set(f, object, v);
    *bind_count_at(f, object) = node->n;
    for (size_t i = 0; i < node->n; i++)
        if (bind_read_object(b, f->type, node->items[i], v + i * f->type->size) == BIND_FAIL) {
            b->field = arena_printf(b->arena, "[%zu]%s%.*s", i, b->field.n ? "." : "", STR_ARG(b->field));
            return BIND_FAIL;
        }
    return BIND_OK;
}

static int key_of_entry_cmp(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static enum bind_result read_map(struct binding *b, const struct bind *f, const struct yaml_node *node,
                                 void *object)
{
    bind_pointer_set(f, object, NULL);
    *bind_count_at(f, object) = 0;
    if (node->kind != YAML_MAPPING)
        return bind_type_error(b, node, f->go_type ? f->go_type : "map[string]config.plain");
    char *v = arena_alloc_array(b->arena, node->n, f->type->size);
    size_t n = 0;
    struct map_walk w = { .node = node };
    enum bind_result r = BIND_OK;
    while (r != BIND_FAIL && map_walk_next(b, &w)) {
        void *entry = v + n * f->type->size;
        r = bind_read_object(b, f->type, w.value, entry);
        if (r == BIND_OK && map_walk_accept(b, &w)) {
            memcpy(entry, &w.key, sizeof w.key);
            n++;
        }
    }
    map_deinit(&w.seen);
    sort(v, n, f->type->size, key_of_entry_cmp);
    bind_pointer_set(f, object, v);
    *bind_count_at(f, object) = n;
    return r == BIND_FAIL ? r : BIND_OK;
}

static const char *go_type_of(const struct bind *f, const char *usual)
{
    return f->go_type ? f->go_type : f->secret ? "config.plain" : usual;
}

static enum bind_result read_field(struct binding *b, const struct bind *f, const struct yaml_node *node,
                                   void *object)
{
    void *at = bind_at(f, object);
    if (f->kind == BIND_KIND_OBJECT)
        return bind_read_object(b, f->type, node, at);
    if (bind_is_null(node)) {
        set_zero(b, f, object);
        return BIND_OK;
    }
    switch (f->kind) {
    case BIND_KIND_BOOL:
        return read_bool(b, node, at);
    case BIND_KIND_TRISTATE: {
        bool v = false;
        enum bind_result r = read_bool(b, node, &v);
        *(enum tristate *)at = r != BIND_OK ? TRISTATE_ABSENT : v ? TRISTATE_TRUE : TRISTATE_FALSE;
        return r;
    }
    case BIND_KIND_I64:
        return read_i64(b, node, go_type_of(f, "int"), at);
    case BIND_KIND_OPT_I64: {
        struct opt_i64 *opt = at;
        opt->set = true;
        return read_i64(b, node, go_type_of(f, "int"), &opt->v);
    }
    case BIND_KIND_U64:
        return read_u64(b, node, go_type_of(f, "uint64"), at);
    case BIND_KIND_F64:
        return read_f64(b, node, go_type_of(f, "float64"), at);
    case BIND_KIND_STR:
        return read_text(b, node, go_type_of(f, "string"), at);
    case BIND_KIND_GO_NS:
        return read_go_ns(b, node, at);
    case BIND_KIND_ENUM:
        return read_enum(b, f, node, at);
    case BIND_KIND_STRS:
        return read_strs(b, node, f->go_type ? f->go_type : f->secret ? "[]config.Secret" : "[]string", at);
    case BIND_KIND_STR_MAP:
        return bind_read_str_map(b, node, f->go_type ? f->go_type : "map[string]string", at);
    case BIND_KIND_STR_LISTS:
        return read_str_lists(b, node, f, at);
    case BIND_KIND_SCALAR:
        return read_scalar(b, f, node, at);
    case BIND_KIND_SCALARS:
        return read_scalars(b, f, node, object);
    case BIND_KIND_TREE:
        return bind_read_tree(b, node, f->go_type, at);
    case BIND_KIND_POINTER:
        return read_pointer(b, f, node, object);
    case BIND_KIND_LIST:
        return read_list(b, f, node, object);
    case BIND_KIND_MAP:
        return read_map(b, f, node, object);
    case BIND_KIND_OBJECT:
    case BIND_KIND_INLINE:
    case BIND_KIND_KINDS:
        break;
    }
    ASSERT(false);
    return BIND_FAIL;
}

/* ---- Objects ---- */

static void set_fallback(struct binding *b, const struct bind *f, void *object)
{
    struct yaml_node node = { .text = str_c(f->fallback), .line = 0 };
    if (f->kind == BIND_KIND_STR || f->kind == BIND_KIND_SCALAR)
        node.kind = YAML_STRING;
    else
        yaml_resolve(node.text, &node);
    enum bind_result r = read_field(b, f, &node, object);
    ASSERT(r == BIND_OK); /* a fallback is a constant of a table */
}

void bind_defaults(struct binding *b, const struct bind_type *type, void *object)
{
    if (type->init)
        type->init(object);
    for (size_t i = 0; i < type->fields_count; i++) {
        const struct bind *f = &type->fields[i];
        if (f->kind == BIND_KIND_OBJECT || f->kind == BIND_KIND_INLINE)
            bind_defaults(b, f->type, bind_at(f, object));
        else if (f->fallback)
            set_fallback(b, f, object);
    }
}

/* The row of a key, the object it belongs to (an inlined one perhaps), and its number among all rows. */
static const struct bind *find_field(const struct bind_type *type, struct str key, void **object, size_t *ordinal)
{
    for (size_t i = 0; i < type->fields_count; i++) {
        const struct bind *f = &type->fields[i];
        if (f->kind == BIND_KIND_INLINE) {
            void *inner = bind_at(f, *object);
            const struct bind *found = find_field(f->type, key, &inner, ordinal);
            if (found) {
                *object = inner;
                return found;
            }
            continue;
        }
        if (str_eq(str_c(f->key), key))
            return f;
        ++*ordinal;
    }
    return NULL;
}

/* Optimal string alignment distance, cut at HINT_DISTANCE_MAX + 1. */
static size_t distance(struct str a, struct str b)
{
    size_t rows[3][HINT_KEY_MAX + 1];
    size_t longer = a.n > b.n ? a.n - b.n : b.n - a.n;
    if (a.n > HINT_KEY_MAX || b.n > HINT_KEY_MAX || longer > HINT_DISTANCE_MAX)
        return HINT_DISTANCE_MAX + 1;
    for (size_t j = 0; j <= b.n; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *row = rows[i % 3], *up = rows[(i - 1) % 3], *upper = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t best = up[j - 1] + (a.p[i - 1] != b.p[j - 1]);
            best = up[j] + 1 < best ? up[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            bool swapped = i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1];
            if (swapped && upper[j - 2] + 1 < best)
                best = upper[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[a.n % 3][b.n];
}

static void closest_field(const struct bind_type *type, struct str key, const char **best, size_t *best_distance)
{
    for (size_t i = 0; i < type->fields_count; i++) {
        const struct bind *f = &type->fields[i];
        if (f->kind == BIND_KIND_INLINE) {
            closest_field(f->type, key, best, best_distance);
            continue;
        }
        size_t d = distance(key, str_c(f->key));
        if (d < *best_distance) {
            *best_distance = d;
            *best = f->key;
        }
    }
}

static void unknown_key(struct binding *b, const struct bind_type *type, const struct yaml_node *key)
{
    record(b, "line %u: field %.*s not found in type %s", key->line, STR_ARG(key->text), type->name);
    const char *best = NULL;
    size_t best_distance = HINT_DISTANCE_MAX + 1;
    closest_field(type, key->text, &best, &best_distance);
    if (best && best_distance < key->text.n)
        notice_add(b->notices, NOTICE_HINT, key->line, NULL, 0, "field %.*s: did you mean %s?", STR_ARG(key->text),
                   best);
}

/* Which (row, merge group) came already. */
struct seen {
    bool here[FIELDS_MAX];
    struct map64 merged;
};

static bool seen_before(struct seen *s, size_t ordinal, uint32_t group)
{
    ASSERT(ordinal < FIELDS_MAX);
    if (group == 0) {
        bool before = s->here[ordinal];
        s->here[ordinal] = true;
        return before;
    }
    return map64_put(&s->merged, (uint64_t)group * FIELDS_MAX + ordinal, s) != NULL;
}

/* The way to what failed, told from its end. */
static void came_through(struct binding *b, const char *key)
{
    const char *between = b->field.n && b->field.p[0] != '[' ? "." : "";
    b->field = arena_printf(b->arena, "%s%s%.*s", key, between, STR_ARG(b->field));
}

static enum bind_result read_pairs(struct binding *b, const struct bind_type *type, const struct yaml_node *node,
                                   void *object)
{
    struct seen seen = { 0 };
    enum bind_result r = BIND_OK;
    for (size_t i = 0; r != BIND_FAIL && i < node->n; i++) {
        const struct yaml_pair *pair = &node->pairs[i];
        struct str key;
        if (bind_read_str(b, pair->key, &key) != BIND_OK)
            continue;
        void *owner = object;
        size_t ordinal = 0;
        const struct bind *f = find_field(type, key, &owner, &ordinal);
        if (!f) {
            unknown_key(b, type, pair->key);
        } else if (seen_before(&seen, ordinal, pair->group)) {
            record(b, "line %u: field %s already set in type %s", pair->key->line, f->key, type->name);
        } else {
            if (f->inactive)
                notice_add(b->notices, NOTICE_INACTIVE, pair->key->line, NULL, 0, "%s: %s", f->key, f->inactive);
            r = read_field(b, f, pair->value, owner);
            if (r == BIND_FAIL)
                came_through(b, f->key);
        }
    }
    map64_deinit(&seen.merged);
    return r == BIND_FAIL ? r : BIND_OK;
}

static bool check_required(struct binding *b, const struct bind_type *type, const void *object)
{
    for (size_t i = 0; i < type->fields_count; i++) {
        const struct bind *f = &type->fields[i];
        if (f->kind == BIND_KIND_INLINE && !check_required(b, f->type, bind_at_const(f, object)))
            return false;
        if (f->required && bind_field_is_zero(f, object))
            return err_set(&b->err, ERR_INVALID, "%s", f->required);
    }
    return true;
}

enum bind_result bind_read_object(struct binding *b, const struct bind_type *type, const struct yaml_node *node,
                                  void *object)
{
    memset(object, 0, type->size);
    if (type->line_offset)
        *(uint32_t *)(void *)((char *)object + type->line_offset) = node->line;
    if (bind_is_null(node)) {
        if (type->null_defaults)
            bind_defaults(b, type, object);
        if (type->null_offset)
            *((bool *)object + type->null_offset) = true;
        return BIND_OK;
    }
    size_t before = recorded(b);
    bind_defaults(b, type, object);
    bool taken = false;
    enum bind_result r = type->parse_short ? type->parse_short(b, node, object, &taken) : BIND_OK;
    if (r != BIND_OK)
        return r;
    if (!taken && node->kind != YAML_MAPPING)
        return bind_type_error(b, node, type->name);
    if (!taken && read_pairs(b, type, node, object) == BIND_FAIL)
        return BIND_FAIL;
    if (recorded(b) != before)
        return BIND_TYPE_ERROR;
    if (!check_required(b, type, object) || (type->check && !type->check(b, object, &b->err)))
        return fail_at(b, node);
    return BIND_OK;
}

static bool report_type_errors(const struct binding *b, struct err *err)
{
    struct buf text = { 0 };
    buf_c(&text, "yaml: unmarshal errors:");
    for (size_t i = 0; i < b->type_errors_count; i++) {
        buf_c(&text, "\n  ");
        buf_str(&text, b->type_errors[i]);
    }
    err_set(err, ERR_INVALID, "%.*s", STR_ARG(buf_view(&text)));
    buf_deinit(&text);
    return false;
}

bool bind_document(struct binding *b, const struct bind_type *type, const struct yaml_node *root, void *object,
                   struct err *err)
{
    b->err = (struct err){ 0 };
    b->field = STR_EMPTY;
    b->type_errors_count = b->type_errors_dropped = 0;
    if (!root || bind_is_null(root)) {
        bind_defaults(b, type, object);
        return true;
    }
    if (bind_read_object(b, type, root, object) == BIND_FAIL) {
        ASSERT(b->err.code != ERR_NONE);
        *err = b->err;
        return false;
    }
    return recorded(b) == 0 || report_type_errors(b, err);
}
