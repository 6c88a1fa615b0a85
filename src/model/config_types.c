/* Values of this floor as configuration fields: durations, matchers, the old match and match_re maps.
 *
 * Regexes are counted references inside arena memory: each list registers a cleanup with its binding, so that they go
 * with the configuration, or with the failed attempt to load one. */
#include "model/config_types.h"

#include "model/duration.h"

/* ---- Durations ---- */

static void emit_buf(struct yaml_emitter *e, struct buf *b)
{
    yaml_emit_str(e, buf_view(b));
    buf_deinit(b);
}

static bool duration_read(struct binding *b, struct str text, void *out, struct err *err)
{
    (void)b;
    return duration_parse(text, out, err);
}

static void duration_emit(struct yaml_emitter *e, const void *value)
{
    struct buf b = { 0 };
    duration_write(&b, *(const int64_t *)value);
    emit_buf(e, &b);
}

static bool i64_is_zero(const void *value)
{
    return *(const int64_t *)value == 0;
}

static bool opt_duration_read(struct binding *b, struct str text, void *out, struct err *err)
{
    struct opt_i64 *opt = out;
    (void)b;
    opt->set = true;
    return duration_parse(text, &opt->v, err);
}

static void opt_duration_emit(struct yaml_emitter *e, const void *value)
{
    duration_emit(e, &((const struct opt_i64 *)value)->v);
}

static bool opt_is_zero(const void *value)
{
    return !((const struct opt_i64 *)value)->set;
}

static bool go_duration_read(struct binding *b, struct str text, void *out, struct err *err)
{
    (void)b;
    return go_duration_parse(text, out, err);
}

static void go_duration_emit(struct yaml_emitter *e, const void *value)
{
    struct buf b = { 0 };
    go_duration_write(&b, *(const int64_t *)value);
    emit_buf(e, &b);
}

const struct bind_scalar duration_scalar = {
    .size = sizeof(int64_t),
    .parse = duration_read,
    .emit = duration_emit,
    .is_zero = i64_is_zero,
};
const struct bind_scalar opt_duration_scalar = {
    .size = sizeof(struct opt_i64),
    .parse = opt_duration_read,
    .emit = opt_duration_emit,
    .is_zero = opt_is_zero,
};
const struct bind_scalar go_duration_scalar = {
    .size = sizeof(int64_t),
    .parse = go_duration_read,
    .emit = go_duration_emit,
    .is_zero = i64_is_zero,
};

/* ---- Matchers ---- */

static void release_matchers(void *what)
{
    matchers_deinit(what);
}

/* The list belongs to the arena; its regexes go with the configuration. */
static void keep_matchers(struct binding *b, struct matchers ms)
{
    struct matchers *kept = ARENA_NEW(b->arena, struct matchers);
    *kept = ms;
    bind_cleanup_add(b, release_matchers, kept);
}

static void notice_matchers(struct binding *b, const struct yaml_node *node, const struct matcher_notice *n)
{
    struct notice_field fields[] = {
        { "input", node->text },
        { "origin", STR("config") },
        { "err", err_text(&n->utf8_err) },
        { "suggestion", n->suggestion },
    };
    if (n->disagreement)
        notice_add(b->notices, NOTICE_WARNING, node->line, fields, 2, "Matchers input has disagreement");
    else if (n->classic_used)
        notice_add(
            b->notices, NOTICE_WARNING, node->line, fields, ARRAY_LEN(fields),
            "Alertmanager is moving to a new parser for labels and matchers, and this input is incompatible. "
            "Alertmanager has instead parsed the input using the classic matchers parser as a fallback. To make "
            "this input compatible with the UTF-8 matchers parser please make sure all regular expressions and "
            "values are double-quoted and backslashes are escaped. If you are still seeing this message please "
            "open an issue.");
}

static enum bind_result read_line(struct binding *b, const struct yaml_node *node, struct matchers *out)
{
    const struct config_env *env = b->env;
    struct matcher_notice notice = { 0 };
    struct err err = { 0 };
    struct str text = bind_is_null(node) ? STR_EMPTY : node->text;
    if (!matchers_parse(b->arena, env ? env->matcher_mode : MATCHER_FALLBACK, text, out, &notice, &err))
        return bind_fail(b, node, "%s", err.text);
    keep_matchers(b, *out);
    notice_matchers(b, node, &notice);
    return BIND_OK;
}

struct matchers matchers_merge(struct arena *a, const struct matchers *const *lists, size_t lists_count)
{
    size_t total = 0, n = 0;
    for (size_t i = 0; i < lists_count; i++)
        total += lists[i]->n;
    struct matcher *v = arena_alloc_array(a, total, sizeof *v);
    for (size_t i = 0; i < lists_count; i++)
        for (size_t j = 0; j < lists[i]->n; j++)
            v[n++] = lists[i]->v[j];
    struct matchers all = { v, n };
    matchers_sort(&all);
    return all;
}

static enum bind_result matchers_read(struct binding *b, const struct yaml_node *node, void *out)
{
    struct str_list lines;
    enum bind_result r = bind_read_strs(b, node, &lines);
    if (r != BIND_OK)
        return r;
    struct matchers *each = arena_alloc_array(b->arena, node->n, sizeof *each);
    const struct matchers **lists = arena_alloc_array(b->arena, node->n, sizeof *lists);
    for (size_t i = 0; i < node->n; i++) {
        r = read_line(b, node->items[i], &each[i]);
        if (r != BIND_OK)
            return r;
        lists[i] = &each[i];
    }
    *(struct matchers *)out = matchers_merge(b->arena, lists, node->n);
    return BIND_OK;
}

static void matchers_emit(struct yaml_emitter *e, const void *value)
{
    const struct matchers *ms = value;
    yaml_emit_list(e, ms->n == 0);
    for (size_t i = 0; i < ms->n; i++) {
        struct buf b = { 0 };
        matcher_write(&b, &ms->v[i]);
        emit_buf(e, &b);
    }
    yaml_emit_list_end(e);
}

static bool matchers_is_zero(const void *value)
{
    return ((const struct matchers *)value)->n == 0;
}

const struct bind_scalar matchers_scalar = {
    .go_type = "[]string",
    .size = sizeof(struct matchers),
    .parse_node = matchers_read,
    .emit = matchers_emit,
    .is_zero = matchers_is_zero,
};

/* ---- match and match_re ---- */

static bool add_match(struct binding *b, struct match_map *m, enum match_op op, struct str name, struct str value,
                      struct err *err)
{
    if (!label_name_is_classic(name))
        return err_set(err, ERR_INVALID, "invalid label name %s", bind_quote(name).text);
    struct matchers one = { &m->matchers.v[m->matchers.n], 1 };
    if (!matcher_init(one.v, op, name, value, err))
        return false;
    keep_matchers(b, one);
    m->matchers.n++;
    return true;
}

/* Sorting moves matchers: the cleanups hold copies. */
static void sort_matches(struct binding *b, struct match_map *m)
{
    const struct matchers *list = &m->matchers;
    m->matchers = matchers_merge(b->arena, &list, 1);
}

static enum bind_result match_read(struct binding *b, const struct yaml_node *node, void *out)
{
    return bind_read_str_map(b, node, "map[string]string", &((struct match_map *)out)->texts);
}

bool match_map_check(struct binding *b, struct match_map *m, struct err *err)
{
    m->matchers.v = arena_alloc_array(b->arena, m->texts.n, sizeof *m->matchers.v);
    for (size_t i = 0; i < m->texts.n; i++)
        if (!add_match(b, m, MATCH_EQ, m->texts.v[i].key, m->texts.v[i].value, err))
            return false;
    sort_matches(b, m);
    return true;
}

/* Upstream compiles each regex while it reads the map, and looks at names and nulls afterwards. */
static enum bind_result match_re_compile(struct binding *b, const struct yaml_node *node)
{
    for (size_t i = 0; i < node->n; i++) {
        const struct yaml_node *value = node->pairs[i].value;
        struct err err = { 0 };
        if (bind_is_null(value) || value->kind == YAML_SEQUENCE || value->kind == YAML_MAPPING)
            continue;
        struct regex *re = regex_compile(value->text, REGEX_ANCHORED, &err);
        if (!re)
            return bind_fail(b, value, "%s", err.text);
        regex_release(re);
    }
    return BIND_OK;
}

static bool match_re_is_null(const struct yaml_node *node, struct str key)
{
    const struct yaml_node *value = yaml_get(node, key);
    return !value || bind_is_null(value);
}

static enum bind_result match_re_read(struct binding *b, const struct yaml_node *node, void *out)
{
    struct match_map *m = out;
    enum bind_result r = node->kind == YAML_MAPPING ? match_re_compile(b, node) : BIND_OK;
    if (r == BIND_OK)
        r = bind_read_str_map(b, node, "config.plain", &m->texts);
    if (r != BIND_OK)
        return r;
    m->matchers.v = arena_alloc_array(b->arena, m->texts.n, sizeof *m->matchers.v);
    for (size_t i = 0; i < m->texts.n; i++) {
        struct err err = { 0 };
        struct str name = m->texts.v[i].key;
        struct str value = arena_printf(b->arena, "^(?:%.*s)$", STR_ARG(m->texts.v[i].value));
        if (label_name_is_classic(name) && match_re_is_null(node, name))
            return bind_fail(b, node, "invalid regexp value for %s", bind_quote(name).text);
        if (!add_match(b, m, MATCH_RE, name, value, &err))
            return bind_fail(b, node, "%s", err.text);
    }
    sort_matches(b, m);
    return BIND_OK;
}

static void match_emit(struct yaml_emitter *e, const void *value)
{
    bind_emit_str_map(e, &((const struct match_map *)value)->texts);
}

static bool match_is_zero(const void *value)
{
    return ((const struct match_map *)value)->texts.n == 0;
}

const struct bind_scalar match_scalar = {
    .go_type = "map[string]string",
    .size = sizeof(struct match_map),
    .parse_node = match_read,
    .emit = match_emit,
    .is_zero = match_is_zero,
};
const struct bind_scalar match_re_scalar = {
    .go_type = "config.plain",
    .size = sizeof(struct match_map),
    .parse_node = match_re_read,
    .emit = match_emit,
    .is_zero = match_is_zero,
};
