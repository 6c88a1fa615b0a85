/* Series lines of test scripts: a metric and a sequence of samples (spec 17.2). */
#include "promql/testscript_int.h"

#include "base/mem.h"
#include "base/num.h"
#include "model/duration.h"
#include "promql/eval_int.h"
#include "promql/parse_int.h"

#include <math.h>

struct cursor {
    struct str text;
    size_t at;
    struct arena *a;
    struct script_line *out;
    size_t capacity;
    struct err *err;
};

static bool bad(struct cursor *c, struct str item)
{
    return err_set(c->err, ERR_INVALID, "bad sample \"%.*s\"", STR_ARG(item));
}

static bool push(struct cursor *c, struct script_item item)
{
    struct script_line *l = c->out;
    if (l->n >= SCRIPT_ITEMS_MAX)
        return err_set(c->err, ERR_LIMIT, "more than %d samples in a line", SCRIPT_ITEMS_MAX);
    if (l->n == c->capacity) {
        size_t capacity = c->capacity ? c->capacity * 2 : 16;
        struct script_item *v = arena_alloc_array(c->a, capacity, sizeof *v);
        if (l->n)
            memcpy(v, l->v, l->n * sizeof *v);
        l->v = v;
        c->capacity = capacity;
    }
    l->v[l->n++] = item;
    return true;
}

/* The next item: up to white space outside {{ }}. */
static struct str next_item(struct cursor *c)
{
    while (c->at < c->text.n && ascii_is_space(c->text.p[c->at]))
        c->at++;
    size_t start = c->at;
    int depth = 0;
    for (; c->at < c->text.n; c->at++) {
        char ch = c->text.p[c->at];
        depth += ch == '{' ? 1 : ch == '}' ? -1 : 0;
        if (ascii_is_space(ch) && depth <= 0)
            break;
    }
    return str_of(c->text.p + start, c->at - start);
}

/* [sign] number, Inf or NaN at the start of s; *used bytes. */
static bool take_number(struct str s, double *v, size_t *used)
{
    size_t i = 0;
    double sign = 1;
    if (i < s.n && (s.p[i] == '+' || s.p[i] == '-'))
        sign = s.p[i++] == '-' ? -1 : 1;
    struct str rest = str_from(s, i);
    if (rest.n >= 3 && (str_eq_nocase(str_sub(rest, 0, 3), STR("inf")) || str_eq_nocase(str_sub(rest, 0, 3), STR("nan")))) {
        *v = ascii_lower(rest.p[0]) == 'i' ? sign * F64_INF : normal_nan();
        *used = i + 3;
        return true;
    }
    size_t n = 0;
    while (n < rest.n && (ascii_is_digit(rest.p[n]) || rest.p[n] == '.' || rest.p[n] == '_' || rest.p[n] == 'e' ||
                          rest.p[n] == 'E' || ((rest.p[n] == '+' || rest.p[n] == '-') && n > 0 && (rest.p[n - 1] | 32) == 'e')))
        n++;
    *used = i + n;
    if (n == 0 || !parse_number_text(str_sub(rest, 0, n), v))
        return false;
    *v *= sign;
    return true;
}

/* xN at the start of s, all of it. */
static bool take_times(struct str s, size_t *n)
{
    uint64_t v;
    if (s.n < 2 || s.p[0] != 'x' || !num_parse_u64(str_from(s, 1), 10, &v) || v > SCRIPT_ITEMS_MAX)
        return false;
    *n = (size_t)v;
    return true;
}

static bool take_float(struct cursor *c, struct str item)
{
    double v, d = 0;
    size_t used, n = 0;
    if (!take_number(item, &v, &used))
        return bad(c, item);
    struct str rest = str_from(item, used);
    if (rest.n && (rest.p[0] == '+' || rest.p[0] == '-')) {
        if (!take_number(rest, &d, &used))
            return bad(c, item);
        rest = str_from(rest, used);
        if (!take_times(rest, &n))
            return bad(c, item);
    } else if (rest.n && !take_times(rest, &n)) {
        return bad(c, item);
    }
    for (size_t i = 0; i <= n; i++) {
        if (!push(c, (struct script_item){ .v = v }))
            return false;
        if (d != 0)
            v += d;
    }
    return true;
}

/* ---- histograms ---- */

struct described {
    struct float_histogram h;
    bool hint_stated;
};

static bool take_list(struct cursor *c, struct str text, double **v, size_t *n)
{
    text = str_trim(text);
    *v = arena_alloc_array(c->a, text.n / 2 + 2, sizeof **v);
    *n = 0;
    while ((text = str_trim(text)).n) {
        size_t end = 0, used;
        while (end < text.n && !ascii_is_space(text.p[end]))
            end++;
        if (!take_number(str_sub(text, 0, end), &(*v)[*n], &used) || used != end)
            return false;
        ++*n;
        text = str_from(text, end);
    }
    return true;
}

static void one_span(struct cursor *c, struct float_side *side, double *v, size_t n, int32_t offset)
{
    struct histogram_span *span = ARENA_NEW(c->a, struct histogram_span);
    *span = (struct histogram_span){ offset, u32_from_size(n) };
    *side = (struct float_side){ span, n ? 1 : 0, v, n };
}

static bool hint_value(struct str s, enum counter_reset_hint *hint)
{
    static const struct str names[] = { [RESET_UNKNOWN] = STR_INIT("unknown"), [RESET_YES] = STR_INIT("reset"),
                                        [RESET_NO] = STR_INIT("not_reset"), [RESET_GAUGE] = STR_INIT("gauge") };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_nocase(s, names[i])) {
            *hint = (enum counter_reset_hint)i;
            return true;
        }
    }
    return false;
}

static bool is_schema(int64_t v)
{
    return v == HISTOGRAM_SCHEMA_CUSTOM || (v >= HISTOGRAM_SCHEMA_MIN && v <= HISTOGRAM_SCHEMA_MAX);
}

/* Between {{ and }}. */
static bool take_descriptors(struct cursor *c, struct str text, struct described *out)
{
    double *positive = NULL, *negative = NULL, v = 0;
    size_t positive_n = 0, negative_n = 0;
    int64_t offset = 0, n_offset = 0, schema = 0;
    *out = (struct described){ 0 };
    struct float_histogram *h = &out->h;
    while ((text = str_trim(text)).n) {
        size_t colon = str_find_byte(text, ':');
        if (colon == STR_NPOS)
            return false;
        struct str key = str_sub(text, 0, colon), value;
        text = str_from(text, colon + 1);
        bool list = text.n && text.p[0] == '[';
        size_t end = 0;
        while (end < text.n && (list ? text.p[end] != ']' : !ascii_is_space(text.p[end])))
            end++;
        if (list && end == text.n)
            return false;
        value = list ? str_sub(text, 1, end - 1) : str_sub(text, 0, end);
        text = str_from(text, list ? end + 1 : end);
        bool ok = true;
        size_t used = 0;
        if (str_eq_nocase(key, STR("buckets")))
            ok = list && take_list(c, value, &positive, &positive_n);
        else if (str_eq_nocase(key, STR("n_buckets")))
            ok = list && take_list(c, value, &negative, &negative_n);
        else if (str_eq_nocase(key, STR("custom_values"))) {
            double *bounds;
            ok = list && take_list(c, value, &bounds, &h->custom_values_count);
            h->custom_values = ok ? bounds : NULL;
        } else if (str_eq_nocase(key, STR("schema")))
            ok = num_parse_i64(value, 10, &schema) && is_schema(schema);
        else if (str_eq_nocase(key, STR("offset")))
            ok = num_parse_i64(value, 10, &offset);
        else if (str_eq_nocase(key, STR("n_offset")))
            ok = num_parse_i64(value, 10, &n_offset);
        else if (str_eq_nocase(key, STR("counter_reset_hint"))) {
            ok = hint_value(value, &h->hint);
            out->hint_stated = true;
        } else {
            ok = take_number(value, &v, &used) && used == value.n;
            if (str_eq_nocase(key, STR("sum")))
                h->sum = v;
            else if (str_eq_nocase(key, STR("count")))
                h->count = v;
            else if (str_eq_nocase(key, STR("z_bucket")))
                h->zero_count = v;
            else if (str_eq_nocase(key, STR("z_bucket_w")))
                h->zero_threshold = v;
            else
                ok = false;
        }
        if (!ok)
            return false;
    }
    h->schema = (int32_t)schema;
    one_span(c, &h->positive, positive, positive_n, (int32_t)offset);
    one_span(c, &h->negative, negative, negative_n, (int32_t)n_offset);
    return true;
}

/* {{...}} at the start of s. */
static bool take_braces(struct cursor *c, struct str s, struct described *out, struct str *rest)
{
    size_t end = str_find(s, STR("}}"));
    if (!str_starts(s, STR("{{")) || end == STR_NPOS)
        return false;
    *rest = str_from(s, end + 2);
    return take_descriptors(c, str_sub(s, 2, end - 2), out);
}

static bool take_histogram(struct cursor *c, struct str item)
{
    struct described first, delta = { 0 };
    struct str rest;
    size_t n = 0;
    char op = 0;
    if (!take_braces(c, item, &first, &rest))
        return bad(c, item);
    if (rest.n && (rest.p[0] == '+' || rest.p[0] == '-')) {
        op = rest.p[0];
        if (!take_braces(c, str_from(rest, 1), &delta, &rest) || !take_times(rest, &n))
            return bad(c, item);
    } else if (rest.n && !take_times(rest, &n)) {
        return bad(c, item);
    }
    struct float_histogram cur = first.h;
    for (size_t i = 0; i <= n; i++) {
        struct float_histogram *h = ARENA_NEW(c->a, struct float_histogram);
        float_histogram_copy(c->a, &cur, h);
        if (!push(c, (struct script_item){ .h = h, .hint_stated = first.hint_stated || delta.hint_stated }))
            return false;
        struct histogram_notes notes = { 0 };
        if (op == '+' && !float_histogram_add(c->a, &cur, &delta.h, &notes))
            return bad(c, item);
        if (op == '-' && !float_histogram_sub(c->a, &cur, &delta.h, &notes))
            return bad(c, item);
        if (op)
            cur.hint = delta.hint_stated ? delta.h.hint : first.h.hint;
    }
    return true;
}

/* ---- start times ---- */

static bool push_start(struct cursor *c, bool has, int64_t ms)
{
    struct script_line *l = c->out;
    if (l->n >= SCRIPT_ITEMS_MAX)
        return err_set(c->err, ERR_LIMIT, "more than %d start times in a line", SCRIPT_ITEMS_MAX);
    if (l->n == c->capacity) {
        size_t capacity = c->capacity ? c->capacity * 2 : 16;
        int64_t *v = arena_alloc_array(c->a, capacity, sizeof *v);
        bool *b = arena_alloc_array(c->a, capacity, sizeof *b);
        if (l->n) {
            memcpy(v, l->starts, l->n * sizeof *v);
            memcpy(b, l->has_start, l->n * sizeof *b);
        }
        l->starts = v;
        l->has_start = b;
        c->capacity = capacity;
    }
    l->starts[l->n] = ms;
    l->has_start[l->n++] = has;
    return true;
}

/* A signed duration of one unit at the start of s. */
static bool take_duration(struct str s, int64_t *ms, size_t *used)
{
    size_t i = 0;
    int64_t sign = 1;
    struct err err = { 0 };
    if (i < s.n && (s.p[i] == '+' || s.p[i] == '-'))
        sign = s.p[i++] == '-' ? -1 : 1;
    size_t end = i;
    while (end < s.n && ascii_is_digit(s.p[end]))
        end++;
    while (end < s.n && ascii_is_alpha(s.p[end]) && s.p[end] != 'x')
        end++;
    *used = end;
    if (!duration_parse(str_sub(s, i, end - i), ms, &err))
        return false;
    *ms *= sign;
    return true;
}

static bool take_start(struct cursor *c, struct str item)
{
    int64_t ms, delta = 0;
    size_t used, n = 0;
    if (item.p[0] == '_') {
        if (item.n > 1 && !take_times(str_from(item, 1), &n))
            return bad(c, item);
        for (size_t i = 0; i < (item.n > 1 ? n : 1); i++)
            if (!push_start(c, false, 0))
                return false;
        return true;
    }
    if (!take_duration(item, &ms, &used))
        return bad(c, item);
    struct str rest = str_from(item, used);
    if (rest.n && (rest.p[0] == '+' || rest.p[0] == '-')) {
        if (!take_duration(rest, &delta, &used))
            return bad(c, item);
        rest = str_from(rest, used);
    }
    if (rest.n && !take_times(rest, &n))
        return bad(c, item);
    for (size_t i = 0; i <= n; i++, ms += delta)
        if (!push_start(c, true, ms))
            return false;
    return true;
}

/* ---- the line ---- */

/* Where the metric ends: white space outside braces and quotes. */
static size_t metric_end(struct str s)
{
    int depth = 0;
    char quote = 0;
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        if (quote) {
            if (ch == '\\' && quote != '`')
                i++;
            else if (ch == quote)
                quote = 0;
        } else if (ch == '"' || ch == '\'' || ch == '`') {
            quote = ch;
        } else if (ch == '{' || ch == '}') {
            depth += ch == '{' ? 1 : -1;
            if (depth == 0)
                return i + 1;
        } else if (depth == 0 && (ascii_is_space(ch) || ch == '@')) {
            /* `name {a="b"}` is one metric. */
            size_t k = i;
            while (k < s.n && ascii_is_space(s.p[k]))
                k++;
            if (k < s.n && s.p[k] == '{' && !(k + 1 < s.n && s.p[k + 1] == '{'))
                continue;
            return i;
        }
    }
    return s.n;
}

bool script_line_parse(struct arena *a, struct str text, struct script_line *out, struct err *err)
{
    size_t end = metric_end(text);
    *out = (struct script_line){ 0 };
    if (!promql_parse_metric(a, str_sub(text, 0, end), &out->labels, err))
        return false;
    struct cursor c = { .text = str_from(text, end), .a = a, .out = out, .err = err };
    if (str_starts(c.text, STR("@st"))) {
        out->is_start_times = true;
        c.text = str_from(c.text, 3);
    }
    for (struct str item; (item = next_item(&c)).n;) {
        bool ok = true;
        size_t n = 1;
        if (out->is_start_times) {
            ok = take_start(&c, item);
        } else if (item.p[0] == '_') {
            ok = item.n == 1 || take_times(str_from(item, 1), &n) || bad(&c, item);
            for (size_t i = 0; i < n && ok; i++)
                ok = push(&c, (struct script_item){ .omitted = true });
        } else if (str_eq(item, STR("stale"))) {
            struct script_item stale = { 0 };
            uint64_t bits = STALE_NAN_BITS;
            memcpy(&stale.v, &bits, sizeof bits);
            ok = push(&c, stale);
        } else {
            ok = item.p[0] == '{' ? take_histogram(&c, item) : take_float(&c, item);
        }
        if (!ok)
            return false;
    }
    return true;
}
