/* Functions of Prometheus's templates that Alertmanager has not: queries, their results, links, hosts. */
#include "template/func_int.h"

#include "http/ip.h"
#include "http/url.h"
#include "template/template.h"

#include <stdlib.h>

#define FUNC(name_)                                                                                \
    static bool name_(struct tval_call *c, const struct tval *args, size_t args_count, struct tval *out, struct err *err)

/* ---- samples ---- */

static void sample_labels(const void *self, struct tval *out)
{
    *out = tval_labels(((const struct template_sample *)self)->labels);
}

static void sample_value(const void *self, struct tval *out)
{
    *out = tval_float(((const struct template_sample *)self)->value);
}

static void vector_at(const struct tval *self, size_t i, struct str *key, struct tval *value)
{
    (void)key;
    *value = tval_ref(&template_sample_class, (const struct template_sample *)self->v.ref.p + i, 0);
}

static const struct tval_field sample_fields[] = {
    { STR_INIT("Labels"), STR_INIT("Labels"), sample_labels, 0 },
    { STR_INIT("Value"), STR_INIT("Value"), sample_value, 0 },
};
const struct tval_class template_sample_class = { .name = STR_INIT("*template.sample"),
                                                  .kind = TVAL_STRUCT,
                                                  .pointer = true,
                                                  .fields = sample_fields,
                                                  .fields_count = ARRAY_LEN(sample_fields) };
const struct tval_class template_vector_class = { .name = STR_INIT("template.queryResult"),
                                                  .kind = TVAL_LIST,
                                                  .stride = sizeof(struct template_sample),
                                                  .at = vector_at };

FUNC(query)
{
    (void)args_count;
    const struct template_hooks *h = call_hooks(c);
    if (!h->query)
        return call_fail(err, "queries are not possible here");
    return h->query(h->arg, c, args[0].v.s, out, err);
}

FUNC(first)
{
    (void)c, (void)args_count;
    struct str ignored;
    if (args[0].v.ref.n == 0)
        return call_fail(err, "first() called on vector with no elements");
    vector_at(&args[0], 0, &ignored, out);
    return true;
}

static const struct template_sample *sample_of(const struct tval *v)
{
    return v->v.ref.p;
}

FUNC(value)
{
    (void)c, (void)args_count, (void)err;
    *out = tval_float(sample_of(&args[0])->value);
    return true;
}

FUNC(label)
{
    (void)c, (void)args_count, (void)err;
    *out = tval_str(labels_get(sample_of(&args[1])->labels, args[0].v.s));
    return true;
}

FUNC(strvalue)
{
    (void)c, (void)args_count, (void)err;
    *out = tval_str(labels_get(sample_of(&args[0])->labels, STR("__value__")));
    return true;
}

/* A stable merge sort: results may be large. */
static void sort_samples(struct template_sample *v, struct template_sample *tmp, size_t n, struct str name)
{
    if (n < 2)
        return;
    size_t half = n / 2, i = 0, j = half, k = 0;
    sort_samples(v, tmp, half, name);
    sort_samples(v + half, tmp, n - half, name);
    while (i < half && j < n) {
        bool right = str_cmp(labels_get(v[j].labels, name), labels_get(v[i].labels, name)) < 0;
        tmp[k++] = right ? v[j++] : v[i++];
    }
    while (i < half)
        tmp[k++] = v[i++];
    while (j < n)
        tmp[k++] = v[j++];
    memcpy(v, tmp, n * sizeof *v);
}

FUNC(sort_by_label)
{
    (void)args_count, (void)err;
    size_t n = args[1].v.ref.n;
    struct template_sample *v = arena_alloc_array(c->arena, 2 * n + 1, sizeof *v);
    if (n)
        memcpy(v, args[1].v.ref.p, n * sizeof *v);
    sort_samples(v, v + n, n, args[0].v.s);
    *out = tval_ref(&template_vector_class, v, n);
    return true;
}

static int entry_order(const void *a, const void *b)
{
    return str_cmp(((const struct tval_entry *)a)->key, ((const struct tval_entry *)b)->key);
}

FUNC(named_args)
{
    (void)err;
    struct tval_entry *v = arena_alloc_array(c->arena, args_count + 1, sizeof *v);
    for (size_t i = 0; i < args_count; i++) {
        v[i].key = arena_printf(c->arena, "arg%zu", i);
        v[i].value = args[i].kind == TVAL_NONE ? tval_nil() : args[i];
    }
    qsort(v, args_count, sizeof *v, entry_order);
    *out = tval_ref(&tval_dict_class, v, args_count);
    return true;
}

/* ---- links ---- */

static bool link_to(struct tval_call *c, struct str expr, const char *tab, struct tval *out, struct err *err)
{
    struct buf b;
    call_buf(c, &b);
    buf_c(&b, "/graph?g0.expr=");
    http_query_escape(&b, expr);
    buf_c(&b, tab);
    return call_result(c, &b, out, err);
}

FUNC(graph_link)
{
    (void)args_count;
    return link_to(c, args[0].v.s, "&g0.tab=0", out, err);
}

FUNC(table_link)
{
    (void)args_count;
    return link_to(c, args[0].v.s, "&g0.tab=1", out, err);
}

FUNC(path_prefix)
{
    (void)args, (void)args_count, (void)err;
    *out = tval_str(call_hooks(c)->path_prefix);
    return true;
}

FUNC(external_url)
{
    (void)args, (void)args_count, (void)err;
    *out = tval_str(call_hooks(c)->external_url);
    return true;
}

/* ---- hosts ---- */

FUNC(strip_port)
{
    (void)c, (void)args_count, (void)err;
    struct str host, port;
    const char *why;
    *out = tval_str(host_port_split(args[0].v.s, &host, &port, &why) ? host : args[0].v.s);
    return true;
}

FUNC(strip_domain)
{
    (void)args_count;
    struct str all = args[0].v.s, host, port;
    const char *why;
    struct ip ip;
    struct buf b;
    if (!host_port_split(all, &host, &port, &why)) {
        host = all;
        port = STR_EMPTY;
    }
    if (ip_parse(host, &ip)) {
        *out = tval_str(all);
        return true;
    }
    size_t dot = str_find_byte(host, '.');
    if (dot != STR_NPOS)
        host = str_sub(host, 0, dot);
    call_buf(c, &b);
    if (port.n > 0)
        host_port_join(&b, host, port);
    else
        buf_str(&b, host);
    return call_result(c, &b, out, err);
}

const struct func func_rows_prometheus[] = {
    { STR_INIT("args"), FUNC_PROMETHEUS, "a*", named_args, FUNC_PLAIN },
    { STR_INIT("externalURL"), FUNC_PROMETHEUS, "", external_url, FUNC_PLAIN },
    { STR_INIT("first"), FUNC_PROMETHEUS, "v", first, FUNC_PLAIN },
    { STR_INIT("graphLink"), FUNC_PROMETHEUS, "s", graph_link, FUNC_PLAIN },
    { STR_INIT("label"), FUNC_PROMETHEUS, "sm", label, FUNC_PLAIN },
    { STR_INIT("pathPrefix"), FUNC_PROMETHEUS, "", path_prefix, FUNC_PLAIN },
    { STR_INIT("query"), FUNC_PROMETHEUS, "s", query, FUNC_PLAIN },
    { STR_INIT("sortByLabel"), FUNC_PROMETHEUS, "sv", sort_by_label, FUNC_PLAIN },
    { STR_INIT("stripDomain"), FUNC_PROMETHEUS, "s", strip_domain, FUNC_PLAIN },
    { STR_INIT("stripPort"), FUNC_PROMETHEUS, "s", strip_port, FUNC_PLAIN },
    { STR_INIT("strvalue"), FUNC_PROMETHEUS, "m", strvalue, FUNC_PLAIN },
    { STR_INIT("tableLink"), FUNC_PROMETHEUS, "s", table_link, FUNC_PLAIN },
    { STR_INIT("value"), FUNC_PROMETHEUS, "m", value, FUNC_PLAIN },
};
const size_t func_rows_prometheus_count = ARRAY_LEN(func_rows_prometheus);
