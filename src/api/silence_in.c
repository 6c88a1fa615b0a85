/* Reading one silence. Members are optional while reading; what is missing is refused afterwards in the order in which
 * upstream's generated code asks: comment, createdBy, endsAt, matchers (each: isRegex, name, value), startsAt.
 * Bounds: the body's size (the server's), MATCHERS_MAX. */
#include "api/silence_in.h"

#include "api/alerts_in.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "json/reader.h"

#define MATCHERS_MAX    1000
#define ANNOTATIONS_MAX 1000

struct posted_matcher {
    bool has_name, has_value, has_regex, is_regex, is_not_equal;
    struct str name, value;
};

struct posted {
    bool has_comment, has_created_by, has_starts, has_ends, has_matchers;
    struct str id, comment, created_by;
    struct wire_time starts_at, ends_at;
    struct posted_matcher *matchers;
    size_t matchers_count;
    struct label *annotations;
    size_t annotations_count;
};

static bool member_is(struct str key, struct str name)
{
    return str_eq(key, name) || str_eq_nocase(key, name);
}

static bool read_str(struct json_reader *j, bool *present, struct str *s)
{
    *present = jr_peek(j) != JR_NULL;
    return *present ? jr_str(j, s) : jr_null(j);
}

static bool read_time(struct json_reader *j, bool *present, struct wire_time *t)
{
    struct str text;
    int32_t offset_s;
    if (!read_str(j, present, &text) || !*present)
        return !j->failed;
    return api_datetime_parse(text, t, &offset_s) ||
           jr_fail(j, "parsing time \"%.*s\" as \"2006-01-02T15:04:05Z07:00\": cannot parse", STR_ARG(text));
}

static bool read_bool(struct json_reader *j, bool *present, bool *v)
{
    *present = jr_peek(j) != JR_NULL;
    return *present ? jr_bool(j, v) : jr_null(j);
}

static bool read_matcher(struct json_reader *j, struct posted_matcher *m)
{
    struct str key;
    if (!jr_object(j))
        return false;
    while (jr_member(j, &key)) {
        bool ok, present = false, equal = true;
        if (member_is(key, STR("name"))) {
            ok = read_str(j, &m->has_name, &m->name);
        } else if (member_is(key, STR("value"))) {
            ok = read_str(j, &m->has_value, &m->value);
        } else if (member_is(key, STR("isRegex"))) {
            ok = read_bool(j, &m->has_regex, &m->is_regex);
        } else if (member_is(key, STR("isEqual"))) {
            ok = read_bool(j, &present, &equal);
            m->is_not_equal = present && !equal;
        } else {
            ok = jr_skip(j);
        }
        if (!ok)
            return false;
    }
    return !j->failed;
}

static bool read_matchers(struct json_reader *j, struct posted *p)
{
    p->matchers_count = 0;
    p->has_matchers = jr_peek(j) != JR_NULL;
    if (!p->has_matchers)
        return jr_null(j);
    if (!jr_array(j))
        return false;
    while (jr_element(j)) {
        if (p->matchers_count == MATCHERS_MAX)
            return jr_fail(j, "more than %d matchers", MATCHERS_MAX);
        if (!p->matchers)
            p->matchers = arena_alloc_array(j->arena, MATCHERS_MAX, sizeof *p->matchers);
        struct posted_matcher *m = &p->matchers[p->matchers_count++];
        *m = (struct posted_matcher){ 0 };
        if (!read_matcher(j, m))
            return false;
    }
    return !j->failed;
}

static bool read_annotations(struct json_reader *j, struct posted *p)
{
    struct str key;
    p->annotations_count = 0;
    if (jr_peek(j) == JR_NULL)
        return jr_null(j);
    if (!jr_object(j))
        return false;
    while (jr_member(j, &key)) {
        struct str value = STR_EMPTY;
        bool present;
        if (!read_str(j, &present, &value))
            return false;
        if (p->annotations_count == ANNOTATIONS_MAX)
            return jr_fail(j, "more than %d annotations", ANNOTATIONS_MAX);
        if (!p->annotations)
            p->annotations = arena_alloc_array(j->arena, ANNOTATIONS_MAX, sizeof *p->annotations);
        size_t at = p->annotations_count;
        while (at > 0 && str_cmp(p->annotations[at - 1].name, key) > 0)
            at--;
        if (at > 0 && str_eq(p->annotations[at - 1].name, key)) {
            p->annotations[at - 1].value = value;
            continue;
        }
        memmove(&p->annotations[at + 1], &p->annotations[at], (p->annotations_count - at) * sizeof *p->annotations);
        p->annotations[at] = (struct label){ key, value };
        p->annotations_count++;
    }
    return !j->failed;
}

static bool read_silence(struct json_reader *j, struct posted *p)
{
    struct str key;
    if (!jr_object(j))
        return false;
    while (jr_member(j, &key)) {
        bool ok, present;
        if (member_is(key, STR("id")))
            ok = read_str(j, &present, &p->id);
        else if (member_is(key, STR("comment")))
            ok = read_str(j, &p->has_comment, &p->comment);
        else if (member_is(key, STR("createdBy")))
            ok = read_str(j, &p->has_created_by, &p->created_by);
        else if (member_is(key, STR("startsAt")))
            ok = read_time(j, &p->has_starts, &p->starts_at);
        else if (member_is(key, STR("endsAt")))
            ok = read_time(j, &p->has_ends, &p->ends_at);
        else if (member_is(key, STR("matchers")))
            ok = read_matchers(j, p);
        else if (member_is(key, STR("annotations")))
            ok = read_annotations(j, p);
        else
            ok = jr_skip(j);
        if (!ok)
            return false;
    }
    return !j->failed;
}

static struct str first_missing(struct arena *a, const struct posted *p)
{
    if (!p->has_comment)
        return STR("comment");
    if (!p->has_created_by)
        return STR("createdBy");
    if (!p->has_ends)
        return STR("endsAt");
    if (!p->has_matchers)
        return STR("matchers");
    for (size_t i = 0; i < p->matchers_count; i++) {
        const struct posted_matcher *m = &p->matchers[i];
        const char *missing = !m->has_regex ? "isRegex" : !m->has_name ? "name" : !m->has_value ? "value" : NULL;
        if (missing)
            return arena_printf(a, "matchers.%zu.%s", i, missing);
    }
    return p->has_starts ? STR_EMPTY : STR("startsAt");
}

static void make_spec(struct arena *a, const struct posted *p, struct silence_spec *spec)
{
    struct matcher *v = arena_alloc_array(a, p->matchers_count, sizeof *v);
    for (size_t i = 0; i < p->matchers_count; i++) {
        const struct posted_matcher *m = &p->matchers[i];
        enum match_op op = m->is_regex ? (m->is_not_equal ? MATCH_NRE : MATCH_RE) : (m->is_not_equal ? MATCH_NE : MATCH_EQ);
        v[i] = (struct matcher){ .op = op, .name = m->name, .value = m->value };
    }
    struct matchers *set = ARENA_NEW(a, struct matchers);
    *set = (struct matchers){ v, p->matchers_count };
    *spec = (struct silence_spec){
        .id = p->id,
        .sets = set,
        .sets_count = 1,
        .starts_at = p->starts_at,
        .ends_at = p->ends_at,
        .created_by = p->created_by,
        .comment = p->comment,
        .annotations = { p->annotations, p->annotations_count },
    };
}

bool silence_in_parse(struct arena *a, struct str body, struct silence_spec *spec, struct api_refusal *refusal)
{
    struct json_reader j;
    struct posted p = { .id = STR_EMPTY, .starts_at = WIRE_TIME_ZERO, .ends_at = WIRE_TIME_ZERO };
    struct err err = { 0 };
    if (body.n == 0)
        return api_refuse(refusal, 422, 602, STR("silence in body is required"));
    json_reader_init(&j, body, a);
    bool null = jr_peek(&j) == JR_NULL && jr_null(&j);
    if (!null)
        (void)!read_silence(&j, &p);
    if (!jr_finish(&j, &err))
        return api_refuse(refusal, 400, 400,
                          arena_printf(a, "parsing silence body from \"\" failed, because %s", err.text));
    if (null)
        return api_refuse(refusal, 422, 602, STR("silence in body is required"));
    struct str missing = first_missing(a, &p);
    bool before_matchers = !p.has_comment || !p.has_created_by || !p.has_ends;
    if (p.has_matchers && p.matchers_count == 0 && !before_matchers)
        return api_refuse(refusal, 422, 612, STR("matchers in body should have at least 1 items"));
    if (missing.n)
        return api_refuse(refusal, 422, 602, arena_printf(a, "%.*s in body is required", STR_ARG(missing)));
    make_spec(a, &p, spec);
    return true;
}

bool silence_in_check(const struct silence_spec *spec, struct wire_time now, struct err *err)
{
    if (wire_time_cmp(spec->starts_at, spec->ends_at) >= 0)
        return err_set(err, ERR_INVALID, "Failed to create silence: start time must be before end time");
    if (wire_time_cmp(spec->ends_at, now) < 0)
        return err_set(err, ERR_INVALID, "Failed to create silence: end time can't be in the past");
    return true;
}
