/* The classes that every template may meet, truth, type names and JSON.
 *
 * Bound: values nest as deep as a template can build them; JSON_NEST_MAX ends the recursion. */
#include "template/value.h"

#include "base/num.h"
#include "base/utf8.h"
#include "json/writer.h"
#include "model/duration.h"
#include "template/func_int.h"

#include <math.h>

#define JSON_NEST_MAX 64

/* ---- lists and maps ---- */

static void strs_at(const struct tval *self, size_t i, struct str *key, struct tval *value)
{
    (void)key;
    *value = tval_str(((const struct str *)self->v.ref.p)[i]);
}

static void list_at(const struct tval *self, size_t i, struct str *key, struct tval *value)
{
    (void)key;
    *value = ((const struct tval *)self->v.ref.p)[i];
}

static void dict_at(const struct tval *self, size_t i, struct str *key, struct tval *value)
{
    const struct tval_entry *e = (const struct tval_entry *)self->v.ref.p + i;
    *key = e->key;
    *value = e->value;
}

static bool dict_get(const struct tval *self, struct str key, struct tval *value)
{
    const struct tval_entry *e = self->v.ref.p;
    size_t low = 0, high = self->v.ref.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = str_cmp(e[mid].key, key);
        if (order == 0) {
            *value = e[mid].value;
            return true;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

static void labels_at(const struct tval *self, size_t i, struct str *key, struct tval *value)
{
    const struct label *l = (const struct label *)self->v.ref.p + i;
    *key = l->name;
    *value = tval_str(l->value);
}

static bool labels_find(const struct tval *self, struct str key, struct tval *value)
{
    const struct label *l = self->v.ref.p;
    for (size_t i = 0; i < self->v.ref.n; i++)
        if (str_eq(l[i].name, key)) {
            *value = tval_str(l[i].value);
            return true;
        }
    return false;
}

/* Alertmanager's lists of names and values join themselves. */
static bool strs_join(struct tval_call *c, const struct tval *self, const struct tval *args, size_t args_count,
                      struct tval *out, struct err *err)
{
    const struct tval joined[] = { args[0], *self };
    (void)args_count;
    return func_join(c, joined, 2, out, err);
}
static const struct tval_method strs_methods[] = { { STR_INIT("Join"), "s", strs_join } };

const struct tval_class tval_strs_class = {
    .name = STR_INIT("[]string"),
    .kind = TVAL_LIST,
    .stride = sizeof(struct str),
    .at = strs_at,
    .methods = strs_methods,
    .methods_count = ARRAY_LEN(strs_methods),
};
const struct tval_class tval_list_class = {
    .name = STR_INIT("[]interface {}"), .kind = TVAL_LIST, .stride = sizeof(struct tval), .at = list_at
};
const struct tval_class tval_dict_class = { .name = STR_INIT("map[string]interface {}"),
                                            .kind = TVAL_MAP,
                                            .nil_missing = true,
                                            .at = dict_at,
                                            .get = dict_get };
const struct tval_class tval_labels_class = {
    .name = STR_INIT("map[string]string"), .kind = TVAL_MAP, .at = labels_at, .get = labels_find
};

const struct tval_class tval_int64_class = { .name = STR_INIT("int64"), .kind = TVAL_INT };
const struct tval_class tval_html_class = { .name = STR_INIT("template.HTML"), .kind = TVAL_STR };
const struct tval_class tval_url_class = { .name = STR_INIT("template.URL"), .kind = TVAL_STR };

/* ---- truth and names ---- */

bool tval_truth(const struct tval *v)
{
    switch (v->kind) {
    case TVAL_NONE:
    case TVAL_NIL:
        return false;
    case TVAL_BOOL:
        return v->v.b;
    case TVAL_INT:
        return v->v.i != 0;
    case TVAL_UINT:
        return v->v.u != 0;
    case TVAL_FLOAT:
        return v->v.f != 0; /* NaN is true, as in Go */
    case TVAL_COMPLEX:
        return v->v.c.re != 0 || v->v.c.im != 0;
    case TVAL_STR:
        return v->v.s.n > 0;
    case TVAL_LIST:
    case TVAL_MAP:
        return v->v.ref.n > 0;
    case TVAL_STRUCT:
    case TVAL_TIME:
        return true;
    }
    return false;
}

struct str tval_type_name(const struct tval *v)
{
    if (v->class)
        return v->class->name;
    switch (v->kind) {
    case TVAL_BOOL:
        return STR("bool");
    case TVAL_INT:
        return STR("int");
    case TVAL_UINT:
        return STR("uint8"); /* the only one there is: an element of a string */
    case TVAL_FLOAT:
        return STR("float64");
    case TVAL_COMPLEX:
        return STR("complex128");
    case TVAL_STR:
        return STR("string");
    case TVAL_NONE:
        return STR("<nil>");
    case TVAL_NIL:
        return STR("interface {}");
    case TVAL_LIST:
    case TVAL_MAP:
    case TVAL_STRUCT:
    case TVAL_TIME:
        break;
    }
    ASSERT(!"a composite value has a class");
    return STR_EMPTY;
}

/* ---- JSON ---- */

static bool write_json(struct json_writer *w, const struct tval *v, int depth, struct err *err);

static bool json_float(struct json_writer *w, double f, struct err *err)
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

static bool json_struct(struct json_writer *w, const struct tval *v, int depth, struct err *err)
{
    jw_object(w);
    for (size_t i = 0; i < v->class->fields_count; i++) {
        const struct tval_field *field = &v->class->fields[i];
        if (field->json.n == 0)
            continue;
        struct tval item = { 0 };
        field->get(v->v.ref.p, &item);
        jw_key(w, field->json);
        if (!write_json(w, &item, depth + 1, err))
            return false;
    }
    jw_object_end(w);
    return true;
}

static bool json_elements(struct json_writer *w, const struct tval *v, int depth, struct err *err)
{
    bool map = v->kind == TVAL_MAP;
    if (!v->v.ref.p) {
        jw_null(w);
        return true;
    }
    if (map)
        jw_object(w);
    else
        jw_array(w);
    for (size_t i = 0; i < v->v.ref.n; i++) {
        struct str key = STR_EMPTY;
        struct tval item = { 0 };
        v->class->at(v, i, &key, &item);
        if (map)
            jw_key(w, key);
        if (w->out->overflow || !write_json(w, &item, depth + 1, err))
            return w->out->overflow;
    }
    if (map)
        jw_object_end(w);
    else
        jw_array_end(w);
    return true;
}

static bool write_json(struct json_writer *w, const struct tval *v, int depth, struct err *err)
{
    if (depth > JSON_NEST_MAX)
        return err_set(err, ERR_LIMIT, "json: value nested too deeply");
    switch (v->kind) {
    case TVAL_NONE:
    case TVAL_NIL:
        jw_null(w);
        return true;
    case TVAL_BOOL:
        jw_bool(w, v->v.b);
        return true;
    case TVAL_INT:
        jw_i64(w, v->v.i);
        return true;
    case TVAL_UINT:
        jw_u64(w, v->v.u);
        return true;
    case TVAL_FLOAT:
        return json_float(w, v->v.f, err);
    case TVAL_COMPLEX:
        return err_set(err, ERR_INVALID, "json: unsupported type: complex128");
    case TVAL_STR:
        jw_str(w, v->v.s);
        return true;
    case TVAL_LIST:
    case TVAL_MAP:
        return json_elements(w, v, depth, err);
    case TVAL_STRUCT:
        return json_struct(w, v, depth, err);
    case TVAL_TIME:
        jw_raw(w, STR("\"")); /* nothing in the text wants an escape */
        rfc3339_write_nano(w->out, v->v.time.t, v->v.time.offset_s);
        buf_byte(w->out, '"');
        return true;
    }
    return false;
}

bool tval_write_json(const struct tval *v, struct json_writer *w, struct err *err)
{
    return write_json(w, v, 0, err);
}

bool tval_json(const struct tval *v, struct buf *out, struct err *err)
{
    struct json_writer w;
    json_writer_init(&w, out);
    return write_json(&w, v, 0, err);
}
