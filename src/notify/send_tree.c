/* The copy-and-decode rule: a YAML tree of the configuration becomes JSON, with its strings rendered as templates. A
 * rendered string that YAML 1.1 takes for something else than a string (a number, a boolean, null, a list, a map) is
 * replaced by that; it is not rendered again. Keys are rendered, never decoded. As Go's maps do it, entries are written
 * sorted and a later equal key wins.
 *
 * Bounds: the configuration's own tree and the YAML parser's limits; depth of both by YAML_DEPTH_MAX. */
#include "notify/send.h"

#include "base/num.h"

#include <math.h>
#include <stdlib.h>

struct entry {
    struct str key;
    const struct yaml_node *value;
    size_t order;
};

typedef bool write_value(struct send_render *r, const struct yaml_node *n, struct json_writer *w, struct err *err);

static int entry_order(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = str_cmp(x->key, y->key);
    return order != 0 ? order : x->order < y->order ? -1 : x->order > y->order;
}

/* Entries with keys that are strings; rendered if `r`. */
static bool write_map(struct send_render *r, const struct yaml_node *n, bool rendered, write_value *value,
                      struct json_writer *w, struct err *err)
{
    struct entry *v = arena_alloc_array(r->at->arena, n->n + 1, sizeof *v);
    size_t count = 0;
    for (size_t i = 0; i < n->n; i++) {
        const struct yaml_node *key = n->pairs[i].key;
        if (key->kind != YAML_STRING && key->kind != YAML_TIMESTAMP)
            continue;
        struct str name = rendered ? send_text(r, key->text) : key->text;
        if (r->failed) {
            *err = r->err;
            return false;
        }
        v[count] = (struct entry){ name, n->pairs[i].value, i };
        count++;
    }
    qsort(v, count, sizeof *v, entry_order);
    jw_object(w);
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && str_eq(v[i].key, v[i + 1].key))
            continue;
        jw_key(w, v[i].key);
        if (!value(r, v[i].value, w, err))
            return false;
    }
    jw_object_end(w);
    return true;
}

static bool write_float(struct json_writer *w, double f, struct err *err)
{
    if (isnan(f) || isinf(f)) {
        struct buf b = { 0 };
        num_write_f64(&b, f, 'g', -1);
        err_set(err, ERR_INVALID, "json: unsupported value: %.*s", STR_ARG(buf_view(&b)));
        buf_deinit(&b);
        return false;
    }
    jw_f64(w, f);
    return true;
}

/* Scalars that are no strings; false in *taken for those that are. */
static bool write_scalar(const struct yaml_node *n, struct json_writer *w, bool *taken, struct err *err)
{
    *taken = true;
    switch (n->kind) {
    case YAML_NULL:
        jw_null(w);
        return true;
    case YAML_BOOL:
        jw_bool(w, n->b);
        return true;
    case YAML_INT:
        if (n->is_u64)
            jw_u64(w, n->u);
        else
            jw_i64(w, n->i);
        return true;
    case YAML_FLOAT:
        return write_float(w, n->f, err);
    case YAML_TIMESTAMP:
    case YAML_STRING:
    case YAML_SEQUENCE:
    case YAML_MAPPING:
        break;
    }
    *taken = false;
    return true;
}

/* A decoded value, as it is. */
static bool write_decoded(struct send_render *r, const struct yaml_node *n, struct json_writer *w, struct err *err)
{
    bool taken;
    if (!write_scalar(n, w, &taken, err))
        return false;
    if (taken)
        return true;
    if (n->kind == YAML_MAPPING)
        return write_map(r, n, false, write_decoded, w, err);
    if (n->kind != YAML_SEQUENCE) {
        jw_str(w, n->text);
        return true;
    }
    jw_array(w);
    for (size_t i = 0; i < n->n; i++)
        if (!write_decoded(r, n->items[i], w, err))
            return false;
    jw_array_end(w);
    return true;
}

static bool is_text(const struct yaml_node *n)
{
    return n->kind == YAML_STRING || n->kind == YAML_TIMESTAMP;
}

static bool write_rendered(struct send_render *r, struct str text, struct json_writer *w, struct err *err)
{
    struct str s = send_text(r, text);
    if (r->failed) {
        *err = r->err;
        return false;
    }
    struct yaml_doc doc = { 0 };
    struct err ignored = { 0 };
    bool ok = true;
    if (!yaml_parse(&doc, s, &ignored))
        jw_str(w, s);
    else if (!doc.root)
        jw_null(w);
    else if (is_text(doc.root))
        jw_str(w, s);
    else
        ok = write_decoded(r, doc.root, w, err);
    yaml_doc_deinit(&doc);
    return ok;
}

static bool write_tree(struct send_render *r, const struct yaml_node *n, struct json_writer *w, struct err *err)
{
    bool taken;
    if (!write_scalar(n, w, &taken, err))
        return false;
    if (taken)
        return true;
    if (n->kind == YAML_MAPPING)
        return write_map(r, n, true, write_tree, w, err);
    if (n->kind != YAML_SEQUENCE)
        return write_rendered(r, n->text, w, err);
    jw_array(w);
    for (size_t i = 0; i < n->n; i++)
        if (!write_tree(r, n->items[i], w, err))
            return false;
    jw_array_end(w);
    return true;
}

bool send_tree_json(struct send_render *r, const struct yaml_node *tree, struct json_writer *w, struct err *err)
{
    if (!tree) {
        jw_null(w);
        return true;
    }
    return write_tree(r, tree, w, err);
}
