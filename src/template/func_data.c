/* Functions that make and show data: lists, dicts, JSON, and Alertmanager's route labels.
 *
 * Route labels are templates over the same data, rendered when first asked for, each at most once per rendering. They may
 * ask for each other: the ones being rendered form a chain, and one that is met again in it is a cycle. */
#include "template/exec_int.h"
#include "template/func_int.h"

#define FUNC(name_)                                                                                \
    static bool name_(struct tval_call *c, const struct tval *args, size_t args_count, struct tval *out, struct err *err)

static struct tval boxed(const struct tval *v)
{
    return v->kind == TVAL_NONE ? tval_nil() : *v;
}

FUNC(make_list)
{
    (void)err;
    struct tval *v = arena_alloc_array(c->arena, args_count + 1, sizeof *v);
    for (size_t i = 0; i < args_count; i++)
        v[i] = boxed(&args[i]);
    *out = tval_ref(&tval_list_class, v, args_count);
    return true;
}

FUNC(append_list)
{
    const struct template_run *run = call_run(c);
    size_t old = args[0].v.ref.n, n = old + args_count - 1;
    size_t max = run->memory_bytes_max ? run->memory_bytes_max : TEMPLATE_MEMORY_BYTES_MAX;
    if (n > max / sizeof(struct tval))
        return err_set(err, ERR_LIMIT, "the list is too long");
    struct tval *v = arena_alloc_array(c->arena, n + 1, sizeof *v);
    if (old)
        memcpy(v, args[0].v.ref.p, old * sizeof *v);
    for (size_t i = old; i < n; i++)
        v[i] = boxed(&args[1 + i - old]);
    *out = tval_ref(&tval_list_class, v, n);
    return true;
}

/* Inserts keeping the order; a key that is there gets the new value. */
static void dict_put(struct tval_entry *v, size_t *n, struct str key, struct tval value)
{
    size_t i = *n;
    while (i > 0 && str_cmp(v[i - 1].key, key) > 0)
        i--;
    if (i > 0 && str_eq(v[i - 1].key, key)) {
        v[i - 1].value = value;
        return;
    }
    memmove(&v[i + 1], &v[i], (*n - i) * sizeof *v);
    v[i] = (struct tval_entry){ key, value };
    (*n)++;
}

FUNC(make_dict)
{
    if (args_count % 2 != 0)
        return call_fail(err, "dict requires an even number of arguments");
    struct tval_entry *v = arena_alloc_array(c->arena, args_count / 2 + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < args_count; i += 2) {
        if (args[i].kind != TVAL_STR || args[i].class)
            return call_fail(err, "dict keys must be strings");
        dict_put(v, &n, args[i].v.s, boxed(&args[i + 1]));
    }
    *out = tval_ref(&tval_dict_class, v, n);
    return true;
}

FUNC(to_json)
{
    struct buf b;
    (void)args_count;
    call_buf(c, &b);
    if (!tval_json(&args[0], &b, err)) {
        buf_deinit(&b);
        return false;
    }
    return call_result(c, &b, out, err);
}

/* ---- route labels ---- */

struct route_label_state {
    struct str *values; /* by index of the label; p NULL: not rendered yet */
    size_t *chain;      /* labels being rendered, outermost first */
    size_t chain_count;
};

static struct route_label_state *label_state(struct tval_call *c, size_t n)
{
    struct exec_shared *shared = call_shared(c);
    if (!shared->route_labels) {
        struct route_label_state *s = ARENA_NEW(c->arena, struct route_label_state);
        s->values = arena_alloc_array(c->arena, n, sizeof *s->values);
        s->chain = arena_alloc_array(c->arena, n + 1, sizeof *s->chain);
        shared->route_labels = s;
    }
    return shared->route_labels;
}

static bool fail_cycle(const struct route_label_state *s, struct labels labels, size_t from, size_t i, struct err *err)
{
    struct buf b = { .limit_bytes = 512 };
    for (size_t k = from; k < s->chain_count; k++) {
        buf_str(&b, labels.v[s->chain[k]].name);
        buf_c(&b, " -> ");
    }
    buf_str(&b, labels.v[i].name);
    call_fail(err, "route label cycle detected: %.*s", STR_ARG(buf_view(&b)));
    buf_deinit(&b);
    return false;
}

static bool render_label(struct tval_call *c, struct labels labels, size_t i, struct str *value, struct err *err)
{
    struct route_label_state *s = label_state(c, labels.n);
    for (size_t k = 0; k < s->chain_count; k++)
        if (s->chain[k] == i)
            return fail_cycle(s, labels, k, i, err);
    if (!s->values[i].p) {
        struct buf b;
        call_buf(c, &b);
        s->chain[s->chain_count++] = i;
        bool ok = exec_text(call_shared(c), labels.v[i].value, &b, err);
        s->chain_count--;
        if (ok)
            s->values[i] = call_str(c, &b);
        buf_deinit(&b);
        if (!ok)
            return false;
    }
    *value = s->values[i];
    return true;
}

FUNC(route_label)
{
    (void)args_count;
    const struct template_hooks *h = call_hooks(c);
    *out = tval_str(STR_EMPTY);
    for (size_t i = 0; i < h->route_labels.n; i++) {
        if (!str_eq(h->route_labels.v[i].name, args[0].v.s))
            continue;
        if (!h->route_labels_rendered)
            return render_label(c, h->route_labels, i, &out->v.s, err);
        out->v.s = h->route_labels.v[i].value;
        break;
    }
    return true;
}

const struct func func_rows_data[] = {
    { STR_INIT("append"), FUNC_ALERTMANAGER, "La*", append_list, FUNC_PLAIN },
    { STR_INIT("dict"), FUNC_ALERTMANAGER, "a*", make_dict, FUNC_PLAIN },
    { STR_INIT("list"), FUNC_ALERTMANAGER, "a*", make_list, FUNC_PLAIN },
    { STR_INIT("routeLabels"), FUNC_ALERTMANAGER, "s", route_label, FUNC_PLAIN },
    { STR_INIT("toJson"), FUNC_ALERTMANAGER, "a", to_json, FUNC_PLAIN },
};
const size_t func_rows_data_count = ARRAY_LEN(func_rows_data);
