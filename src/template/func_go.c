/* Go's own functions. Their errors are the plain causes; the executor puts `error calling f: ` before them. */
#include "template/func_int.h"

#include "base/num.h"
#include "base/utf8.h"
#include "http/url.h"

#define FUNC(name_)                                                                                \
    static bool name_(struct tval_call *c, const struct tval *args, size_t args_count, struct tval *out, struct err *err)
#define UNUSED_CALL (void)c, (void)args_count, (void)err

static bool is_nil(const struct tval *v)
{
    return v->kind == TVAL_NONE || v->kind == TVAL_NIL;
}

/* ---- logic ---- */

FUNC(go_not)
{
    UNUSED_CALL;
    *out = tval_bool(!tval_truth(&args[0]));
    return true;
}

/* and, or are the executor's own business: they decide what is evaluated. */
FUNC(go_never)
{
    UNUSED_CALL, (void)args, (void)out;
    ASSERT(!"evaluated by the executor");
    return false;
}

FUNC(go_call)
{
    (void)c, (void)args_count, (void)out;
    if (is_nil(&args[0]))
        return call_fail(err, "call of nil");
    return call_fail(err, "non-function of type %.*s", STR_ARG(tval_type_name(&args[0])));
}

/* ---- comparison ---- */

static bool is_basic(const struct tval *v)
{
    return v->kind == TVAL_BOOL || v->kind == TVAL_INT || v->kind == TVAL_UINT || v->kind == TVAL_FLOAT ||
           v->kind == TVAL_COMPLEX || v->kind == TVAL_STR;
}

static bool nil_like(const struct tval *v)
{
    return is_nil(v) || ((v->kind == TVAL_LIST || v->kind == TVAL_MAP) && !v->v.ref.p);
}

static bool same_value(const struct tval *a, const struct tval *b);

static bool same_struct(const struct tval *a, const struct tval *b)
{
    const struct tval_class *c = a->class;
    if (c->pointer || a->v.ref.p == b->v.ref.p)
        return a->v.ref.p == b->v.ref.p;
    for (size_t i = 0; i < c->fields_count; i++) {
        struct tval x = { 0 }, y = { 0 };
        c->fields[i].get(a->v.ref.p, &x);
        c->fields[i].get(b->v.ref.p, &y);
        if (x.class != y.class || x.kind != y.kind || !same_value(&x, &y))
            return false;
    }
    return true;
}

/* Equality of two values of one kind. */
static bool same_value(const struct tval *a, const struct tval *b)
{
    switch (a->kind) {
    case TVAL_BOOL:
        return a->v.b == b->v.b;
    case TVAL_INT:
        return a->v.i == b->v.i;
    case TVAL_UINT:
        return a->v.u == b->v.u;
    case TVAL_FLOAT:
        return a->v.f == b->v.f;
    case TVAL_COMPLEX:
        return a->v.c.re == b->v.c.re && a->v.c.im == b->v.c.im;
    case TVAL_STR:
        return str_eq(a->v.s, b->v.s);
    case TVAL_STRUCT:
        return a->class == b->class && same_struct(a, b);
    case TVAL_TIME:
        /* Whole values: the same instant in another zone is another value. */
        return wire_time_cmp(a->v.time.t, b->v.time.t) == 0 && a->v.time.offset_s == b->v.time.offset_s &&
               a->v.time.place == b->v.time.place && a->v.time.in == b->v.time.in;
    case TVAL_NONE:
    case TVAL_NIL:
    case TVAL_LIST:
    case TVAL_MAP:
        break;
    }
    return true;
}

/* Are values of this class comparable in Go's sense? A struct that holds a map is not. */
static bool comparable(const struct tval *v)
{
    if (v->kind == TVAL_LIST || v->kind == TVAL_MAP)
        return false;
    if (v->kind != TVAL_STRUCT || v->class->pointer)
        return true;
    for (size_t i = 0; i < v->class->fields_count; i++) {
        struct tval f = { 0 };
        v->class->fields[i].get(v->v.ref.p, &f);
        if (!comparable(&f))
            return false;
    }
    return true;
}

static bool fail_non_comparable(const struct tval *v, struct err *err)
{
    struct buf b = { .limit_bytes = 512 };
    tval_print_plain(v, &b);
    call_fail(err, "non-comparable type %.*s: %.*s", STR_ARG(buf_view(&b)), STR_ARG(tval_type_name(v)));
    buf_deinit(&b);
    return false;
}

/* Integers compare whatever their sign; else kinds must agree. */
static bool equal(const struct tval *a, const struct tval *b, bool *same, struct err *err)
{
    *same = false;
    if (a->kind == TVAL_INT && b->kind == TVAL_UINT) {
        *same = a->v.i >= 0 && (uint64_t)a->v.i == b->v.u;
    } else if (a->kind == TVAL_UINT && b->kind == TVAL_INT) {
        *same = b->v.i >= 0 && a->v.u == (uint64_t)b->v.i;
    } else if (is_basic(a) || is_basic(b)) {
        if (a->kind == b->kind)
            *same = same_value(a, b);
        else if (!is_nil(a) && !is_nil(b))
            return call_fail(err, "incompatible types for comparison");
    } else if (nil_like(a) || nil_like(b)) {
        *same = nil_like(a) && nil_like(b);
    } else if (!comparable(b)) {
        return fail_non_comparable(b, err);
    } else if (a->kind != b->kind) {
        return call_fail(err, "incompatible types for comparison");
    } else {
        *same = a->class == b->class && same_value(a, b);
    }
    return true;
}

FUNC(go_eq)
{
    (void)c;
    bool same = false;
    if (args_count < 2)
        return call_fail(err, "missing argument for comparison");
    for (size_t i = 1; i < args_count && !same; i++)
        if (!equal(&args[0], &args[i], &same, err))
            return false;
    *out = tval_bool(same);
    return true;
}

FUNC(go_ne)
{
    (void)c, (void)args_count;
    bool same;
    if (!equal(&args[0], &args[1], &same, err))
        return false;
    *out = tval_bool(!same);
    return true;
}

static bool less(const struct tval *a, const struct tval *b, bool *is_less, struct err *err)
{
    if (!is_basic(a) || !is_basic(b))
        return call_fail(err, "invalid type for comparison");
    if (a->kind == TVAL_INT && b->kind == TVAL_UINT)
        *is_less = a->v.i < 0 || (uint64_t)a->v.i < b->v.u;
    else if (a->kind == TVAL_UINT && b->kind == TVAL_INT)
        *is_less = b->v.i >= 0 && a->v.u < (uint64_t)b->v.i;
    else if (a->kind != b->kind)
        return call_fail(err, "incompatible types for comparison");
    else if (a->kind == TVAL_FLOAT)
        *is_less = a->v.f < b->v.f;
    else if (a->kind == TVAL_INT)
        *is_less = a->v.i < b->v.i;
    else if (a->kind == TVAL_UINT)
        *is_less = a->v.u < b->v.u;
    else if (a->kind == TVAL_STR)
        *is_less = str_cmp(a->v.s, b->v.s) < 0;
    else
        return call_fail(err, "invalid type for comparison");
    return true;
}

/* a <= b as Go computes it: less, else equal; NaN is neither. */
static bool less_or_equal(const struct tval *a, const struct tval *b, bool *result, struct err *err)
{
    return less(a, b, result, err) && (*result || equal(a, b, result, err));
}

FUNC(go_lt)
{
    (void)c, (void)args_count;
    bool r = false;
    bool ok = less(&args[0], &args[1], &r, err);
    *out = tval_bool(r);
    return ok;
}

FUNC(go_le)
{
    (void)c, (void)args_count;
    bool r = false;
    bool ok = less_or_equal(&args[0], &args[1], &r, err);
    *out = tval_bool(r);
    return ok;
}

FUNC(go_gt)
{
    (void)c, (void)args_count;
    bool r = false;
    bool ok = less_or_equal(&args[0], &args[1], &r, err);
    *out = tval_bool(!r);
    return ok;
}

FUNC(go_ge)
{
    (void)c, (void)args_count;
    bool r = false;
    bool ok = less(&args[0], &args[1], &r, err);
    *out = tval_bool(!r);
    return ok;
}

/* ---- len, index, slice ---- */

static bool length(const struct tval *v, size_t *n)
{
    if (v->kind == TVAL_STR)
        *n = v->v.s.n;
    else if (v->kind == TVAL_LIST || v->kind == TVAL_MAP)
        *n = v->v.ref.n;
    else
        return false;
    return true;
}

FUNC(go_len)
{
    (void)c, (void)args_count;
    size_t n;
    if (is_nil(&args[0]))
        return call_fail(err, "len of untyped nil");
    if (!length(&args[0], &n))
        return call_fail(err, "len of type %.*s", STR_ARG(tval_type_name(&args[0])));
    *out = tval_int((int64_t)n);
    return true;
}

/* A position within 0 .. n; past the end is the caller's matter. */
static bool index_arg(const struct tval *v, size_t n, size_t *at, struct err *err)
{
    int64_t i;
    if (v->kind == TVAL_INT)
        i = v->v.i;
    else if (v->kind == TVAL_UINT)
        i = v->v.u > INT64_MAX ? -1 : (int64_t)v->v.u;
    else if (is_nil(v))
        return call_fail(err, "cannot index slice/array with nil");
    else
        return call_fail(err, "cannot index slice/array with type %.*s", STR_ARG(tval_type_name(v)));
    if (i < 0 || (uint64_t)i > n)
        return call_fail(err, "index out of range: %lld", (long long)i);
    *at = (size_t)i;
    return true;
}

static bool index_map(const struct tval *map, const struct tval *key, struct tval *out, struct err *err)
{
    if (is_nil(key))
        return call_fail(err, "value is nil; should be of type string");
    if (key->kind != TVAL_STR || key->class)
        return call_fail(err, "value has type %.*s; should be string", STR_ARG(tval_type_name(key)));
    if (!map->class->get(map, key->v.s, out))
        *out = map->class->nil_missing ? tval_nil() : tval_str(STR_EMPTY);
    return true;
}

static bool index_once(const struct tval *item, const struct tval *key, struct tval *out, struct err *err)
{
    size_t n, at;
    struct str ignored;
    if (is_nil(item))
        return call_fail(err, "index of nil pointer");
    if (item->kind == TVAL_MAP)
        return index_map(item, key, out, err);
    if (!length(item, &n))
        return call_fail(err, "can't index item of type %.*s", STR_ARG(tval_type_name(item)));
    if (!index_arg(key, n, &at, err))
        return false;
    if (at == n)
        return call_fail(err, "reflect: %s index out of range", item->kind == TVAL_STR ? "string" : "slice");
    if (item->kind == TVAL_STR)
        *out = (struct tval){ .kind = TVAL_UINT, .v.u = (unsigned char)item->v.s.p[at] };
    else
        item->class->at(item, at, &ignored, out);
    return true;
}

FUNC(go_index)
{
    (void)c;
    struct tval item = args[0];
    if (is_nil(&item))
        return call_fail(err, "index of untyped nil");
    for (size_t i = 1; i < args_count; i++) {
        struct tval next = { 0 };
        if (!index_once(&item, &args[i], &next, err))
            return false;
        item = next;
    }
    *out = item;
    return true;
}

FUNC(go_slice)
{
    (void)c;
    struct tval item = args[0];
    size_t n, idx[3] = { 0, 0, 0 };
    if (is_nil(&item))
        return call_fail(err, "slice of untyped nil");
    if (args_count > 4)
        return call_fail(err, "too many slice indexes: %zu", args_count - 1);
    if (item.kind == TVAL_STR && args_count == 4)
        return call_fail(err, "cannot 3-index slice a string");
    if (item.kind == TVAL_MAP || !length(&item, &n))
        return call_fail(err, "can't slice item of type %.*s", STR_ARG(tval_type_name(&item)));
    idx[1] = n;
    for (size_t i = 1; i < args_count; i++)
        if (!index_arg(&args[i], n, &idx[i - 1], err))
            return false;
    if (idx[0] > idx[1])
        return call_fail(err, "invalid slice index: %zu > %zu", idx[0], idx[1]);
    if (args_count == 4 && idx[1] > idx[2])
        return call_fail(err, "invalid slice index: %zu > %zu", idx[1], idx[2]);
    if (item.kind == TVAL_STR) {
        *out = item;
        out->v.s = str_sub(item.v.s, idx[0], idx[1] - idx[0]);
    } else {
        *out = item;
        out->v.ref.n = idx[1] - idx[0];
        if (item.v.ref.p)
            out->v.ref.p = (const char *)item.v.ref.p + idx[0] * item.class->stride;
    }
    return true;
}

/* ---- printing and escaping ---- */

FUNC(go_print)
{
    struct buf b;
    call_buf(c, &b);
    format_print(&b, args, args_count);
    return call_result(c, &b, out, err);
}

FUNC(go_println)
{
    struct buf b;
    call_buf(c, &b);
    format_println(&b, args, args_count);
    return call_result(c, &b, out, err);
}

FUNC(go_printf)
{
    struct buf b;
    call_buf(c, &b);
    format_printf(&b, args[0].v.s, args + 1, args_count - 1);
    return call_result(c, &b, out, err);
}

/* The arguments as print joins them; a missing one reads <no value>. */
static void join_args(struct buf *b, const struct tval *args, size_t n)
{
    bool previous = false;
    for (size_t i = 0; i < n; i++) {
        bool string = args[i].kind == TVAL_STR || is_nil(&args[i]);
        if (i > 0 && !string && !previous)
            buf_byte(b, ' ');
        if (is_nil(&args[i]))
            buf_c(b, "<no value>");
        else
            tval_print_plain(&args[i], b);
        previous = string;
    }
}

static bool escaped(struct tval_call *c, const struct tval *args, size_t n, void (*escape)(struct buf *, struct str),
                    struct tval *out, struct err *err)
{
    struct buf plain, b;
    call_buf(c, &plain);
    call_buf(c, &b);
    join_args(&plain, args, n);
    b.overflow = plain.overflow;
    escape(&b, buf_view(&plain));
    call_buf_end(c, &plain);
    return call_result(c, &b, out, err);
}

FUNC(go_html)
{
    return escaped(c, args, args_count, escape_html, out, err);
}

FUNC(go_js)
{
    return escaped(c, args, args_count, escape_js, out, err);
}

FUNC(go_urlquery)
{
    return escaped(c, args, args_count, escape_query, out, err);
}

void escape_html(struct buf *out, struct str s)
{
    size_t last = 0;
    for (size_t i = 0; i < s.n; i++) {
        const char *to;
        switch (s.p[i]) {
        case '\0':
            to = "\xEF\xBF\xBD";
            break;
        case '"':
            to = "&#34;";
            break;
        case '\'':
            to = "&#39;";
            break;
        case '&':
            to = "&amp;";
            break;
        case '<':
            to = "&lt;";
            break;
        case '>':
            to = "&gt;";
            break;
        default:
            continue;
        }
        buf_append(out, s.p + last, i - last);
        buf_c(out, to);
        last = i + 1;
    }
    buf_append(out, s.p + last, s.n - last);
}

static void escape_js_ascii(struct buf *out, unsigned char ch)
{
    switch (ch) {
    case '\\':
        buf_c(out, "\\\\");
        break;
    case '\'':
        buf_c(out, "\\'");
        break;
    case '"':
        buf_c(out, "\\\"");
        break;
    case '<':
    case '>':
    case '&':
    case '=':
        buf_printf(out, "\\u00%02X", ch);
        break;
    default:
        if (ch < ' ')
            buf_printf(out, "\\u00%02X", ch);
        else
            buf_byte(out, (char)ch);
    }
}

void escape_js(struct buf *out, struct str s)
{
    while (s.n > 0) {
        size_t size;
        rune r = utf8_decode(s, &size);
        if (r < 0x80)
            escape_js_ascii(out, (unsigned char)r);
        else if (rune_is_printable(r))
            buf_append(out, s.p, size);
        else
            buf_printf(out, "\\u%04X", r);
        s = str_from(s, size);
    }
}

void escape_query(struct buf *out, struct str s)
{
    http_query_escape(out, s);
}

const struct func func_rows_go[] = {
    { STR_INIT("and"), FUNC_GO, "aa*", go_never, FUNC_AND },
    { STR_INIT("call"), FUNC_GO, "aa*", go_call, FUNC_CALL },
    { STR_INIT("eq"), FUNC_GO, "aa*", go_eq, FUNC_PLAIN },
    { STR_INIT("ge"), FUNC_GO, "aa", go_ge, FUNC_PLAIN },
    { STR_INIT("gt"), FUNC_GO, "aa", go_gt, FUNC_PLAIN },
    { STR_INIT("html"), FUNC_GO, "a*", go_html, FUNC_PLAIN },
    { STR_INIT("index"), FUNC_GO, "aa*", go_index, FUNC_PLAIN },
    { STR_INIT("js"), FUNC_GO, "a*", go_js, FUNC_PLAIN },
    { STR_INIT("le"), FUNC_GO, "aa", go_le, FUNC_PLAIN },
    { STR_INIT("len"), FUNC_GO, "a", go_len, FUNC_PLAIN },
    { STR_INIT("lt"), FUNC_GO, "aa", go_lt, FUNC_PLAIN },
    { STR_INIT("ne"), FUNC_GO, "aa", go_ne, FUNC_PLAIN },
    { STR_INIT("not"), FUNC_GO, "a", go_not, FUNC_PLAIN },
    { STR_INIT("or"), FUNC_GO, "aa*", go_never, FUNC_OR },
    { STR_INIT("print"), FUNC_GO, "a*", go_print, FUNC_PLAIN },
    { STR_INIT("printf"), FUNC_GO, "sa*", go_printf, FUNC_PLAIN },
    { STR_INIT("println"), FUNC_GO, "a*", go_println, FUNC_PLAIN },
    { STR_INIT("slice"), FUNC_GO, "aa*", go_slice, FUNC_PLAIN },
    { STR_INIT("urlquery"), FUNC_GO, "a*", go_urlquery, FUNC_PLAIN },
};
const size_t func_rows_go_count = ARRAY_LEN(func_rows_go);
