/* amtool alert: query and add. */
#include "ctl/alerts_int.h"

#include "base/utf8.h"
#include "http/url.h"
#include "model/labels.h"

#include <stdlib.h>

static bool read_map(struct ctl *c, struct json_reader *r, struct labels *out)
{
    struct str key, value;
    size_t n = 0, capacity = 16;
    struct label *v = arena_alloc_array(c->arena, capacity, sizeof *v);
    if (!jr_object(r))
        return false;
    while (jr_member(r, &key)) {
        if (!jr_str(r, &value))
            return false;
        if (n == capacity) {
            struct label *grown = arena_alloc_array(c->arena, capacity * 2, sizeof *grown);
            memcpy(grown, v, n * sizeof *grown);
            v = grown;
            capacity *= 2;
        }
        v[n++] = (struct label){ key, value };
    }
    *out = (struct labels){ v, n };
    return !r->failed;
}

static bool read_state(struct json_reader *r, struct str *state)
{
    struct str key;
    if (!jr_object(r))
        return false;
    while (jr_member(r, &key))
        if (!(str_eq(key, STR("state")) ? jr_str(r, state) : jr_skip(r)))
            return false;
    return !r->failed;
}

static bool read_fields(struct ctl *c, struct json_reader *r, struct shown_alert *a)
{
    struct str key;
    if (!jr_object(r))
        return false;
    while (jr_member(r, &key)) {
        bool ok = str_eq(key, STR("labels"))         ? read_map(c, r, &a->labels)
                  : str_eq(key, STR("annotations"))  ? read_map(c, r, &a->annotations)
                  : str_eq(key, STR("startsAt"))     ? ctl_read_time(r, &a->starts_at)
                  : str_eq(key, STR("endsAt"))       ? ctl_read_time(r, &a->ends_at)
                  : str_eq(key, STR("generatorURL")) ? jr_str(r, &a->generator_url)
                  : str_eq(key, STR("fingerprint"))  ? jr_str(r, &a->fingerprint)
                  : str_eq(key, STR("status"))       ? read_state(r, &a->state)
                                                     : jr_skip(r);
        if (!ok)
            return false;
    }
    return !r->failed;
}

static bool read_alert(struct ctl *c, struct json_reader *r, struct shown_alert *a)
{
    struct json_reader one;
    *a = (struct shown_alert){ .state = STR_EMPTY };
    if (!jr_raw(r, &a->raw))
        return false;
    json_reader_init(&one, a->raw, c->arena);
    return (read_fields(c, &one, a) && jr_finish(&one, &c->err)) || jr_fail(r, "not an alert");
}

bool alerts_read(struct ctl *c, struct str body, struct shown_alert **out, size_t *count)
{
    struct json_reader r;
    size_t n = 0, capacity = 64;
    struct shown_alert *v = arena_alloc_array(c->arena, capacity, sizeof *v);
    json_reader_init(&r, body, c->arena);
    if (jr_array(&r))
        while (jr_element(&r)) {
            if (n == capacity) {
                struct shown_alert *grown = arena_alloc_array(c->arena, capacity * 2, sizeof *grown);
                memcpy(grown, v, n * sizeof *grown);
                v = grown;
                capacity *= 2;
            }
            if (!read_alert(c, &r, &v[n]))
                break;
            v[n].position = n;
            n++;
        }
    *out = v;
    *count = n;
    return jr_finish(&r, &c->err);
}

static int by_start(const void *left, const void *right)
{
    const struct shown_alert *a = left, *b = right;
    int order = wire_time_cmp(a->starts_at.t, b->starts_at.t);
    return order ? order : a->position < b->position ? -1 : a->position > b->position;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

struct str alerts_map_text(struct ctl *c, struct labels ls)
{
    struct str *parts = arena_alloc_array(c->arena, ls.n, sizeof *parts);
    for (size_t i = 0; i < ls.n; i++)
        parts[i] = arena_printf(c->arena, "%.*s=\"%.*s\"", STR_ARG(ls.v[i].name), STR_ARG(ls.v[i].value));
    qsort(parts, ls.n, sizeof *parts, by_text);
    struct buf out = { 0 };
    for (size_t i = 0; i < ls.n; i++) {
        if (i)
            buf_byte(&out, ' ');
        buf_str(&out, parts[i]);
    }
    struct str s = arena_str(c->arena, buf_view(&out));
    buf_deinit(&out);
    return s;
}

static struct str map_value(struct labels ls, struct str name)
{
    for (size_t i = 0; i < ls.n; i++)
        if (str_eq(ls.v[i].name, name))
            return ls.v[i].value;
    return STR_EMPTY;
}

static void print_simple(struct ctl *c, const struct shown_alert *v, size_t n)
{
    struct ctl_table t;
    ctl_table_init(&t, c->arena, 4);
    static const struct str heads[] = { STR_INIT("Alertname"), STR_INIT("Starts At"), STR_INIT("Summary"), STR_INIT("State") };
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        ctl_table_cell(&t, heads[i]);
    for (size_t i = 0; i < n; i++) {
        ctl_table_cell(&t, map_value(v[i].labels, STR("alertname")));
        ctl_table_date(c, &t, &v[i].starts_at);
        ctl_table_cell(&t, map_value(v[i].annotations, STR("summary")));
        ctl_table_cell(&t, v[i].state);
    }
    ctl_table_write(&t, &c->out);
}

static void print_extended(struct ctl *c, const struct shown_alert *v, size_t n)
{
    struct ctl_table t;
    ctl_table_init(&t, c->arena, 6);
    static const struct str heads[] = { STR_INIT("Labels"), STR_INIT("Annotations"), STR_INIT("Starts At"),
                                        STR_INIT("Ends At"), STR_INIT("Generator URL"), STR_INIT("State") };
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        ctl_table_cell(&t, heads[i]);
    for (size_t i = 0; i < n; i++) {
        ctl_table_cell(&t, alerts_map_text(c, v[i].labels));
        ctl_table_cell(&t, alerts_map_text(c, v[i].annotations));
        ctl_table_date(c, &t, &v[i].starts_at);
        ctl_table_date(c, &t, &v[i].ends_at);
        ctl_table_cell(&t, v[i].generator_url);
        ctl_table_cell(&t, v[i].state);
    }
    ctl_table_write(&t, &c->out);
}

void alerts_print_table(struct ctl *c, struct shown_alert *v, size_t n)
{
    if (n > 1)
        qsort(v, n, sizeof *v, by_start);
    if (str_eq(c->f.output, STR("extended")))
        print_extended(c, v, n);
    else
        print_simple(c, v, n);
}

bool alerts_print(struct ctl *c, struct str body)
{
    struct shown_alert *v;
    size_t n;
    if (str_eq(c->f.output, STR("json"))) {
        buf_str(&c->out, str_trim(body));
        buf_byte(&c->out, '\n');
        return true;
    }
    if (!alerts_read(c, body, &v, &n))
        return false;
    alerts_print_table(c, v, n);
    return true;
}

/* Filters go to the server as given; only the first may be a bare alert name. */
void alerts_filter_query(struct ctl *c, struct buf *q)
{
    struct str_list texts = ctl_matcher_texts(c);
    for (size_t i = 0; i < texts.n; i++) {
        buf_c(q, "&filter=");
        http_query_escape(q, texts.v[i]);
    }
}

int ctl_alert_query(void *program)
{
    struct ctl *c = program;
    struct buf q = { 0 };
    bool none = !c->f.silenced && !c->f.inhibited && !c->f.active && !c->f.unprocessed;
    buf_printf(&q, "/alerts?active=%s", c->f.active || none ? "true" : "false");
    alerts_filter_query(c, &q);
    buf_printf(&q, "&inhibited=%s", c->f.inhibited ? "true" : "false");
    if (c->f.receiver.n) {
        buf_c(&q, "&receiver=");
        http_query_escape(&q, c->f.receiver);
    }
    buf_printf(&q, "&silenced=%s&unprocessed=%s", c->f.silenced ? "true" : "false", c->f.unprocessed ? "true" : "false");
    struct str path = arena_str(c->arena, buf_view(&q)), body;
    buf_deinit(&q);
    if (!ctl_api_ok(c, "GET", path, STR_EMPTY, "/alerts", "getAlerts", &body))
        return ctl_fail(c);
    return alerts_print(c, body) ? 0 : ctl_fail(c);
}

static void write_map(struct json_writer *w, struct labels ls)
{
    jw_object(w);
    for (size_t i = 0; i < ls.n; i++)
        jw_kv(w, ls.v[i].name, ls.v[i].value);
    jw_object_end(w);
}

int ctl_alert_add(void *program)
{
    struct ctl *c = program;
    struct labels labels, annotations;
    if (!ctl_parse_pairs(c, ctl_matcher_texts(c), "labels must be specified as key=value pairs", &labels) ||
        !ctl_parse_pairs(c, c->f.annotations, "annotations must be specified as key=value pairs", &annotations))
        return ctl_fail(c);
    struct go_time start = { .t = WIRE_TIME_ZERO }, end = { .t = WIRE_TIME_ZERO };
    if ((c->f.start.n && !ctl_parse_time(c->f.start, &start, &c->err)) ||
        (c->f.end.n && !ctl_parse_time(c->f.end, &end, &c->err)))
        return ctl_fail(c);
    struct buf body = { 0 };
    struct json_writer w;
    json_writer_init(&w, &body);
    jw_array(&w);
    jw_object(&w);
    jw_key(&w, STR("annotations"));
    write_map(&w, annotations);
    ctl_write_time(&w, STR("endsAt"), &end);
    ctl_write_time(&w, STR("startsAt"), &start);
    if (c->f.generator_url.n)
        jw_kv(&w, STR("generatorURL"), c->f.generator_url);
    jw_key(&w, STR("labels"));
    write_map(&w, labels);
    jw_object_end(&w);
    jw_array_end(&w);
    struct str text = arena_str(c->arena, buf_view(&body)), answer;
    buf_deinit(&body);
    return ctl_api_ok(c, "POST", STR("/alerts"), text, "/alerts", "postAlerts", &answer) ? 0 : ctl_fail(c);
}
