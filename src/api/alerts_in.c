/* Reading alerts. The JSON reader walks the body once; labels and annotations of one alert are collected in two arrays that
 * are used again for the next, and copied to the arena once their number is known.
 *
 * Members are matched as Go's encoding/json does, without regard to case; the last of equal members wins.
 * Bounds: the body's size (the server's), PAIRS_MAX pairs in one set. */
#include "api/alerts_in.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "json/reader.h"

#define PAIRS_MAX 4096

struct pairs {
    struct label *v;
    size_t n, capacity;
};

struct posted {
    bool has_labels, has_starts, has_ends;
    struct wire_time starts_at, ends_at;
    int32_t starts_offset_s, ends_offset_s;
    struct str generator_url;
};

struct reading {
    struct json_reader json;
    struct arena *arena;
    const struct alerts_in_rules *rules;
    struct pairs labels, annotations;
    struct buf errors;
    struct alerts_in *out;
    struct alert_spec *specs;
    size_t capacity;
};

/* Two digits at s[at], or -1. */
static int two(struct str s, size_t at)
{
    if (at + 2 > s.n || !ascii_is_digit(s.p[at]) || !ascii_is_digit(s.p[at + 1]))
        return -1;
    return (s.p[at] - '0') * 10 + (s.p[at + 1] - '0');
}

static bool zone_parse(struct str s, size_t at, int32_t *offset_s)
{
    if (at == s.n || (at + 1 == s.n && s.p[at] == 'Z')) {
        *offset_s = 0;
        return true;
    }
    int sign = s.p[at] == '+' ? 1 : s.p[at] == '-' ? -1 : 0;
    int hours = two(s, at + 1);
    size_t minutes_at = at + 3 < s.n && s.p[at + 3] == ':' ? at + 4 : at + 3;
    int minutes = two(s, minutes_at);
    if (!sign || hours < 0 || hours > 24 || minutes < 0 || minutes > 60 || minutes_at + 2 != s.n)
        return false;
    *offset_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

static int days_in_month(int64_t year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

bool api_datetime_parse(struct str s, struct wire_time *t, int32_t *offset_s)
{
    if (s.n == 0) {
        *t = (struct wire_time){ 0, 0 };
        *offset_s = 0;
        return true;
    }
    struct civil c = { 0 };
    int century = two(s, 0), year = two(s, 2);
    c.month = two(s, 5);
    c.day = two(s, 8);
    c.hour = two(s, 11);
    c.minute = two(s, 14);
    if (s.n < 16 || century < 0 || year < 0 || s.p[4] != '-' || s.p[7] != '-' || s.p[10] != 'T' || s.p[13] != ':')
        return false;
    c.year = century * 100 + year;
    size_t at = 16;
    if (at < s.n && s.p[at] == ':') {
        c.second = two(s, 17);
        at = 19;
        if (c.second < 0)
            return false;
        if (at < s.n && (s.p[at] == '.' || s.p[at] == ',')) {
            int32_t unit = 100000000;
            size_t from = ++at;
            for (; at < s.n && ascii_is_digit(s.p[at]); at++, unit /= 10)
                c.ns += unit * (s.p[at] - '0');
            if (at == from)
                return false;
        }
    }
    if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > days_in_month(c.year, c.month) || c.hour < 0 ||
        c.hour > 23 || c.minute < 0 || c.minute > 59 || c.second > 59 || !zone_parse(s, at, &c.offset_s))
        return false;
    *offset_s = c.offset_s;
    *t = (struct wire_time){ civil_to_unix(&c), c.ns };
    return true;
}

bool api_uri_valid(struct str s)
{
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char b = (unsigned char)s.p[i];
        if (b < 0x20 || b == 0x7f)
            return false;
        if (b == '%' && (i + 2 >= s.n || ascii_xdigit_value(s.p[i + 1]) < 0 || ascii_xdigit_value(s.p[i + 2]) < 0) &&
            str_find_byte(str_sub(s, 0, i), '?') == STR_NPOS)
            return false;
    }
    if (s.p[0] == '/')
        return true;
    size_t colon = str_find_byte(s, ':');
    if (colon == STR_NPOS || colon == 0 || !ascii_is_alpha(s.p[0]))
        return false;
    for (size_t i = 1; i < colon; i++)
        if (!ascii_is_alnum(s.p[i]) && s.p[i] != '+' && s.p[i] != '-' && s.p[i] != '.')
            return false;
    struct str rest = str_from(s, colon + 1);
    if (!str_starts(rest, STR("//")))
        return true;
    struct str host = str_from(rest, 2);
    for (size_t i = 0; i < host.n; i++)
        if (host.p[i] == '/' || host.p[i] == '?' || host.p[i] == '#')
            host.n = i;
    if (str_find_byte(host, ' ') != STR_NPOS)
        return false;
    size_t port_at = str_rfind_byte(host, ':');
    if (port_at != STR_NPOS && str_find_byte(str_from(host, port_at), ']') == STR_NPOS)
        for (size_t i = port_at + 1; i < host.n; i++)
            if (!ascii_is_digit(host.p[i]))
                return false;
    return true;
}

static bool pairs_read(struct reading *r, struct pairs *ps, bool *present)
{
    struct json_reader *j = &r->json;
    ps->n = 0;
    if (jr_peek(j) == JR_NULL) {
        *present = false;
        return jr_null(j);
    }
    *present = true;
    struct str key;
    if (!jr_object(j))
        return false;
    while (jr_member(j, &key)) {
        struct str value = STR_EMPTY;
        if (jr_peek(j) == JR_NULL ? !jr_null(j) : !jr_str(j, &value))
            return false;
        if (ps->n == PAIRS_MAX)
            return jr_fail(j, "more than %d pairs in one set", PAIRS_MAX);
        if (ps->n == ps->capacity) {
            size_t capacity = ps->capacity ? ps->capacity * 2 : 32;
            struct label *grown = arena_alloc_array(r->arena, capacity, sizeof *grown);
            if (ps->n)
                memcpy(grown, ps->v, ps->n * sizeof *grown);
            ps->v = grown;
            ps->capacity = capacity;
        }
        ps->v[ps->n++] = (struct label){ key, value };
    }
    return !j->failed;
}

static bool time_read(struct json_reader *j, bool *present, struct wire_time *t, int32_t *offset_s)
{
    struct str text;
    *present = false;
    if (jr_peek(j) == JR_NULL)
        return jr_null(j);
    if (!jr_str(j, &text))
        return false;
    if (!api_datetime_parse(text, t, offset_s))
        return jr_fail(j, "parsing time \"%.*s\" as \"2006-01-02T15:04:05Z07:00\": cannot parse", STR_ARG(text));
    *present = !wire_time_is_zero(*t);
    return true;
}

static bool member_is(struct str key, struct str name)
{
    return str_eq(key, name) || str_eq_nocase(key, name);
}

static bool posted_read(struct reading *r, struct posted *p)
{
    struct json_reader *j = &r->json;
    struct str key;
    bool annotated = false;
    r->annotations.n = r->labels.n = 0;
    if (!jr_object(j))
        return false;
    while (jr_member(j, &key)) {
        bool ok;
        if (member_is(key, STR("labels")))
            ok = pairs_read(r, &r->labels, &p->has_labels);
        else if (member_is(key, STR("annotations")))
            ok = pairs_read(r, &r->annotations, &annotated);
        else if (member_is(key, STR("startsAt")))
            ok = time_read(j, &p->has_starts, &p->starts_at, &p->starts_offset_s);
        else if (member_is(key, STR("endsAt")))
            ok = time_read(j, &p->has_ends, &p->ends_at, &p->ends_offset_s);
        else if (member_is(key, STR("generatorURL")))
            ok = jr_peek(j) == JR_NULL ? jr_null(j) : jr_str(j, &p->generator_url);
        else
            ok = jr_skip(j);
        if (!ok)
            return false;
    }
    return !j->failed;
}

/* Annotations may have empty values; labels_normalize would drop them. */
static struct labels sorted_annotations(struct pairs *ps)
{
    for (size_t i = 1; i < ps->n; i++) {
        struct label one = ps->v[i];
        size_t k = i;
        for (; k > 0 && str_cmp(ps->v[k - 1].name, one.name) > 0; k--)
            ps->v[k] = ps->v[k - 1];
        ps->v[k] = one;
    }
    size_t n = 0;
    for (size_t i = 0; i < ps->n; i++) {
        if (n && str_eq(ps->v[n - 1].name, ps->v[i].name))
            n--;
        ps->v[n++] = ps->v[i];
    }
    return (struct labels){ ps->v, n };
}

static bool set_valid(struct labels ls, const char *what, bool classic, struct err *err)
{
    for (size_t i = 0; i < ls.n; i++) {
        struct str name = ls.v[i].name, value = ls.v[i].value;
        struct buf quoted = { 0 };
        /* Upstream's UTF-8 mode asks for valid UTF-8 only: the empty name passes. */
        if (classic ? !label_name_is_classic(name) : !utf8_valid(name)) {
            go_quote(&quoted, name);
            err_set(err, ERR_INVALID, "invalid %s set: invalid name %.*s", what, STR_ARG(buf_view(&quoted)));
        } else if (!utf8_valid(value)) {
            go_quote(&quoted, value);
            err_set(err, ERR_INVALID, "invalid %s set: invalid value %.*s", what, STR_ARG(buf_view(&quoted)));
        } else {
            continue;
        }
        buf_deinit(&quoted);
        return false;
    }
    return true;
}

static bool alert_valid(const struct alert_spec *spec, bool classic, struct err *err)
{
    if (wire_time_cmp(spec->ends_at, spec->starts_at) < 0)
        return err_set(err, ERR_INVALID, "start time must be before end time");
    if (!set_valid(spec->labels, "label", classic, err))
        return false;
    if (spec->labels.n == 0)
        return err_set(err, ERR_INVALID, "at least one label pair required");
    struct err cause = { 0 };
    if (!set_valid(spec->annotations, "label", classic, &cause))
        return err_set(err, ERR_INVALID, "invalid annotations: %s", cause.text + strlen("invalid label set: "));
    return true;
}

static struct labels pairs_keep(struct arena *a, struct labels ls)
{
    if (ls.n == 0)
        return (struct labels){ 0 };
    struct label *v = arena_alloc_array(a, ls.n, sizeof *v);
    memcpy(v, ls.v, ls.n * sizeof *v);
    return (struct labels){ v, ls.n };
}

static void alert_make(struct reading *r, const struct posted *p)
{
    const struct alerts_in_rules *rules = r->rules;
    struct alert_spec spec = {
        .labels = labels_normalize(r->labels.v, r->labels.n),
        .annotations = sorted_annotations(&r->annotations),
        .generator_url = p->generator_url,
        .updated_at = rules->now,
        .starts_at = p->starts_at,
        .ends_at = p->ends_at,
        .starts_offset_s = p->starts_offset_s,
        .ends_offset_s = p->ends_offset_s,
    };
    if (!p->has_starts) {
        spec.starts_at = p->has_ends ? p->ends_at : rules->now;
        spec.starts_offset_s = p->has_ends ? p->ends_offset_s : 0;
    }
    if (!p->has_ends) {
        spec.ends_at = wire_time_add_ms(rules->now, rules->resolve_timeout_ms);
        spec.ends_offset_s = 0;
        spec.timeout = true;
    }
    if (wire_time_cmp(spec.ends_at, rules->now) > 0)
        r->out->firing++;
    else
        r->out->resolved++;
    struct err err = { 0 };
    if (!alert_valid(&spec, rules->classic_names, &err)) {
        r->out->invalid++;
        if (r->errors.n)
            buf_byte(&r->errors, '\n');
        buf_str(&r->errors, err_text(&err));
        return;
    }
    spec.labels = pairs_keep(r->arena, spec.labels);
    spec.annotations = pairs_keep(r->arena, spec.annotations);
    if (r->out->specs_count == r->capacity) {
        size_t capacity = r->capacity ? r->capacity * 2 : 64;
        struct alert_spec *grown = arena_alloc_array(r->arena, capacity, sizeof *grown);
        if (r->capacity)
            memcpy(grown, r->specs, r->capacity * sizeof *grown);
        r->specs = grown;
        r->capacity = capacity;
        r->out->specs = grown;
    }
    r->specs[r->out->specs_count++] = spec;
}

/* The first objection of the framework to one alert: it refuses the whole body for it. */
static void check_posted(struct reading *r, const struct posted *p, size_t index, struct api_refusal *first)
{
    if (p->generator_url.n && !api_uri_valid(p->generator_url)) {
        struct buf quoted = { 0 };
        go_quote(&quoted, p->generator_url);
        api_refuse(first, 422, 601, arena_printf(r->arena, "%zu.generatorURL in body must be of type uri: %.*s", index,
                                             STR_ARG(buf_view(&quoted))));
        buf_deinit(&quoted);
    } else if (!p->has_labels) {
        api_refuse(first, 422, 602, arena_printf(r->arena, "%zu.labels in body is required", index));
    }
}

static bool walk(struct reading *r, struct str body, struct api_refusal *refusal)
{
    struct json_reader *j = &r->json;
    json_reader_init(j, body, r->arena);
    if (jr_peek(j) == JR_NULL) {
        struct err err = { 0 };
        if (jr_null(j) && jr_finish(j, &err))
            return api_refuse(refusal, 422, 602, STR("alerts in body is required"));
    }
    size_t index = 0;
    struct api_refusal first = { 0 };
    if (jr_array(j))
        while (jr_element(j)) {
            struct posted p = { 0 };
            if (!posted_read(r, &p))
                break;
            if (!first.status)
                check_posted(r, &p, index, &first);
            if (!first.status)
                alert_make(r, &p);
            index++;
        }
    struct err err = { 0 };
    if (!jr_finish(j, &err))
        return api_refuse(refusal, 400, 400,
                      arena_printf(r->arena, "parsing alerts body from \"\" failed, because %s", err.text));
    if (first.status) {
        *refusal = first;
        return false;
    }
    return true;
}

bool alerts_in_parse(struct arena *a, struct str body, const struct alerts_in_rules *rules, struct alerts_in *out,
                     struct api_refusal *refusal)
{
    *out = (struct alerts_in){ 0 };
    if (body.n == 0)
        return api_refuse(refusal, 422, 602, STR("alerts in body is required"));
    struct reading r = { .arena = a, .rules = rules, .out = out };
    bool ok = walk(&r, body, refusal);
    if (ok)
        out->errors = arena_str(a, buf_view(&r.errors));
    buf_deinit(&r.errors);
    return ok;
}
