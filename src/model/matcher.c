/* Matchers as values, and the rules that decide which of the two parsers has the last word (spec/alertmanager.md 3.4).
 *
 *   M1  re is set exactly for =~ and !~.
 *   M2  A list that a parser failed on holds no regex: parsers clean up, callers never see half a list. */
#include "model/matcher.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "model/matcher_int.h"

#include <stdlib.h>

struct str match_op_text(enum match_op op)
{
    static const struct str texts[] = {
        [MATCH_EQ] = STR_INIT("="),
        [MATCH_NE] = STR_INIT("!="),
        [MATCH_RE] = STR_INIT("=~"),
        [MATCH_NRE] = STR_INIT("!~"),
    };
    return texts[op];
}

bool matcher_init(struct matcher *m, enum match_op op, struct str name, struct str value, struct err *err)
{
    *m = (struct matcher){ .op = op, .name = name, .value = value };
    if (op == MATCH_EQ || op == MATCH_NE)
        return true;
    m->re = regex_compile(value, REGEX_ANCHORED, err);
    return m->re != NULL;
}

void matcher_deinit(struct matcher *m)
{
    if (m->re != NULL)
        regex_release(m->re);
    *m = (struct matcher){ 0 };
}

bool matcher_list_add(struct matcher_list *list, enum match_op op, struct str name, struct str value,
                      struct err *err)
{
    struct matcher m;
    if (!matcher_init(&m, op, name, value, err))
        return false;
    if (list->ms.n == list->capacity) {
        size_t capacity = mem_grow(list->capacity, list->ms.n + 1);
        struct matcher *v = arena_alloc_array(list->arena, capacity, sizeof *v);
        if (list->ms.n > 0)
            memcpy(v, list->ms.v, list->ms.n * sizeof *v);
        list->ms.v = v;
        list->capacity = capacity;
    }
    list->ms.v[list->ms.n++] = m;
    return true;
}

static void suggest(struct arena *a, const struct matchers *ms, struct str *suggestion)
{
    struct buf text = { 0 };
    for (size_t i = 0; i < ms->n; i++) {
        if (i > 0)
            buf_byte(&text, ',');
        matcher_write(&text, &ms->v[i]);
    }
    *suggestion = arena_str(a, buf_view(&text));
    buf_deinit(&text);
}

/* Both parsers have run; keeps one of the two results and gives the other back. */
static bool choose(struct arena *a, bool utf8_ok, struct matchers *utf8, const struct err *utf8_err, bool classic_ok,
                   struct matchers *classic, const struct err *classic_err, struct matchers *out,
                   struct matcher_notice *notice, struct err *err)
{
    if (!utf8_ok && !classic_ok) {
        *err = *classic_err;
        return false;
    }
    bool disagreement = utf8_ok && classic_ok && !matchers_eq(utf8, classic);
    if (notice != NULL) {
        notice->disagreement = disagreement;
        notice->classic_used = !utf8_ok;
        if (!utf8_ok) {
            notice->utf8_err = *utf8_err;
            suggest(a, classic, &notice->suggestion);
        }
    }
    bool take_classic = !utf8_ok || disagreement;
    *out = take_classic ? *classic : *utf8;
    matchers_deinit(take_classic ? utf8 : classic);
    return true;
}

bool matchers_parse(struct arena *a, enum matcher_mode mode, struct str text, struct matchers *out,
                    struct matcher_notice *notice, struct err *err)
{
    if (notice != NULL)
        *notice = (struct matcher_notice){ .suggestion = STR_EMPTY };
    *out = (struct matchers){ 0 };
    if (mode == MATCHER_CLASSIC)
        return matchers_parse_classic(a, text, out, err);
    if (mode == MATCHER_UTF8)
        return matchers_parse_utf8(a, text, out, err);
    struct matchers utf8 = { 0 }, classic = { 0 };
    struct err utf8_err = { 0 }, classic_err = { 0 };
    bool utf8_ok = matchers_parse_utf8(a, text, &utf8, &utf8_err);
    bool classic_ok = matchers_parse_classic(a, text, &classic, &classic_err);
    return choose(a, utf8_ok, &utf8, &utf8_err, classic_ok, &classic, &classic_err, out, notice, err);
}

bool matcher_parse(struct arena *a, enum matcher_mode mode, struct str text, struct matcher *out,
                   struct matcher_notice *notice, struct err *err)
{
    if (notice != NULL)
        *notice = (struct matcher_notice){ .suggestion = STR_EMPTY };
    *out = (struct matcher){ 0 };
    if (mode == MATCHER_CLASSIC)
        return matcher_parse_classic(a, text, out, err);
    if (str_starts(text, STR("{")) || str_ends(text, STR("}")))
        return err_set(err, ERR_INVALID, "unexpected open or close brace: %.*s", STR_ARG(text));
    if (mode == MATCHER_UTF8)
        return matcher_parse_utf8(a, text, out, err);
    struct matcher utf8 = { 0 }, classic = { 0 };
    struct err utf8_err = { 0 }, classic_err = { 0 };
    bool utf8_ok = matcher_parse_utf8(a, text, &utf8, &utf8_err);
    bool classic_ok = matcher_parse_classic(a, text, &classic, &classic_err);
    struct matchers one_utf8 = { &utf8, utf8_ok }, one_classic = { &classic, classic_ok }, chosen;
    if (!choose(a, utf8_ok, &one_utf8, &utf8_err, classic_ok, &one_classic, &classic_err, &chosen, notice, err))
        return false;
    ASSERT(chosen.n == 1);
    *out = chosen.v[0];
    return true;
}

static struct str put_text(char **to, struct str s)
{
    struct str copy = str_of(*to, s.n);
    if (s.n > 0)
        memcpy(*to, s.p, s.n);
    *to += s.n;
    return copy;
}

struct matchers matchers_dup(const struct matchers *ms)
{
    size_t bytes = ms->n * sizeof *ms->v;
    for (size_t i = 0; i < ms->n; i++)
        bytes += ms->v[i].name.n + ms->v[i].value.n;
    struct matcher *v = mem_alloc(bytes);
    char *texts = (char *)(v + ms->n);
    for (size_t i = 0; i < ms->n; i++) {
        const struct matcher *from = &ms->v[i];
        v[i] = (struct matcher){ .op = from->op, .re = from->re != NULL ? regex_retain(from->re) : NULL };
        v[i].name = put_text(&texts, from->name);
        v[i].value = put_text(&texts, from->value);
    }
    return (struct matchers){ v, ms->n };
}

void matchers_free(struct matchers *ms)
{
    struct matcher *block = ms->v;
    matchers_deinit(ms);
    mem_free(block);
}

void matchers_deinit(struct matchers *ms)
{
    for (size_t i = 0; i < ms->n; i++)
        matcher_deinit(&ms->v[i]);
    *ms = (struct matchers){ 0 };
}

static int by_name_value_op(const void *x, const void *y)
{
    const struct matcher *a = x, *b = y;
    int order = str_cmp(a->name, b->name);
    if (order == 0)
        order = str_cmp(a->value, b->value);
    if (order == 0)
        order = (int)a->op - (int)b->op;
    return order;
}

void matchers_sort(struct matchers *ms)
{
    if (ms->n > 1)
        qsort(ms->v, ms->n, sizeof *ms->v, by_name_value_op);
}

bool matcher_matches_value(const struct matcher *m, struct str value)
{
    switch (m->op) {
    case MATCH_EQ:
        return str_eq(m->value, value);
    case MATCH_NE:
        return !str_eq(m->value, value);
    case MATCH_RE:
        return regex_match(m->re, value);
    case MATCH_NRE:
        return !regex_match(m->re, value);
    }
    ASSERT(!"an operator without a rule");
    return false;
}

bool matcher_matches(const struct matcher *m, struct labels ls)
{
    return matcher_matches_value(m, labels_get(ls, m->name));
}

bool matchers_match(const struct matchers *ms, struct labels ls)
{
    for (size_t i = 0; i < ms->n; i++)
        if (!matcher_matches(&ms->v[i], ls))
            return false;
    return true;
}

bool matcher_eq(const struct matcher *a, const struct matcher *b)
{
    return a->op == b->op && str_eq(a->name, b->name) && str_eq(a->value, b->value);
}

bool matchers_eq(const struct matchers *a, const struct matchers *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!matcher_eq(&a->v[i], &b->v[i]))
            return false;
    return true;
}

bool matcher_rune_is_reserved(uint32_t r)
{
    return rune_is_white_space(r) || (r < 128 && r != 0 && strchr("{}!=~,\\\"'`", (int)r) != NULL);
}

static bool has_reserved(struct str s)
{
    while (s.n > 0) {
        size_t size;
        if (matcher_rune_is_reserved(utf8_decode(s, &size)))
            return true;
        s = str_from(s, size);
    }
    return false;
}

/* The form of the exposition formats: only what would end the text or the line is escaped. */
static void write_value(struct buf *b, struct str value)
{
    buf_byte(b, '"');
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\n') {
            buf_c(b, "\\n");
            continue;
        }
        if (c == '\\' || c == '"')
            buf_byte(b, '\\');
        buf_byte(b, c);
    }
    buf_byte(b, '"');
}

void matcher_write(struct buf *b, const struct matcher *m)
{
    if (has_reserved(m->name)) {
        go_quote(b, m->name);
        buf_str(b, match_op_text(m->op));
        go_quote(b, m->value);
        return;
    }
    buf_str(b, m->name);
    buf_str(b, match_op_text(m->op));
    write_value(b, m->value);
}

void matchers_write(struct buf *b, const struct matchers *ms)
{
    buf_byte(b, '{');
    for (size_t i = 0; i < ms->n; i++) {
        if (i > 0)
            buf_byte(b, ',');
        matcher_write(b, &ms->v[i]);
    }
    buf_byte(b, '}');
}
