/* amtool silence: query, add, expire, update, import. A silence is kept as the bytes that the API gave, with what the verbs need
 * read out of it, so that -o json prints what the server said. */
#include "ctl/alerts_int.h"
#include "ctl/ctl.h"

#include "base/utf8.h"
#include "http/url.h"
#include "model/duration.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define IMPORT_WORKERS_MAX 1024

struct shown_silence {
    struct str raw, id, state, created_by, comment;
    struct go_time starts_at, ends_at, updated_at;
    size_t position; /* in the answer: among silences of one end it decides */
    struct str matchers_raw, annotations_raw;
    struct matcher *matchers;
    size_t matchers_count;
};

static bool read_matcher(struct json_reader *r, struct matcher *m)
{
    struct str key;
    bool regex = false, equal = true;
    if (!jr_object(r))
        return false;
    while (jr_member(r, &key)) {
        bool ok = str_eq(key, STR("name"))      ? jr_str(r, &m->name)
                  : str_eq(key, STR("value"))   ? jr_str(r, &m->value)
                  : str_eq(key, STR("isRegex")) ? jr_bool(r, &regex)
                  : str_eq(key, STR("isEqual")) ? jr_bool(r, &equal)
                                                : jr_skip(r);
        if (!ok)
            return false;
    }
    m->op = regex ? (equal ? MATCH_RE : MATCH_NRE) : (equal ? MATCH_EQ : MATCH_NE);
    return !r->failed;
}

static bool read_matchers(struct ctl *c, struct shown_silence *s)
{
    struct json_reader r;
    size_t n = 0;
    json_reader_init(&r, s->matchers_raw, c->arena);
    s->matchers = arena_alloc_array(c->arena, s->matchers_raw.n / 8 + 1, sizeof *s->matchers);
    if (jr_array(&r))
        while (jr_element(&r))
            if (!read_matcher(&r, &s->matchers[n++]))
                break;
    s->matchers_count = n;
    return jr_finish(&r, &c->err);
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

static bool read_silence(struct ctl *c, struct str raw, struct shown_silence *s)
{
    struct json_reader r;
    struct str key;
    *s = (struct shown_silence){ .raw = raw, .matchers_raw = STR("[]") };
    json_reader_init(&r, raw, c->arena);
    if (jr_object(&r))
        while (jr_member(&r, &key)) {
            bool ok = str_eq(key, STR("id"))            ? jr_str(&r, &s->id)
                      : str_eq(key, STR("createdBy"))   ? jr_str(&r, &s->created_by)
                      : str_eq(key, STR("comment"))     ? jr_str(&r, &s->comment)
                      : str_eq(key, STR("startsAt"))    ? ctl_read_time(&r, &s->starts_at)
                      : str_eq(key, STR("endsAt"))      ? ctl_read_time(&r, &s->ends_at)
                      : str_eq(key, STR("updatedAt"))   ? ctl_read_time(&r, &s->updated_at)
                      : str_eq(key, STR("status"))      ? read_state(&r, &s->state)
                      : str_eq(key, STR("matchers"))    ? jr_raw(&r, &s->matchers_raw)
                      : str_eq(key, STR("annotations")) ? jr_raw(&r, &s->annotations_raw)
                                                        : jr_skip(&r);
            if (!ok)
                break;
        }
    return jr_finish(&r, &c->err) && read_matchers(c, s);
}

static bool read_silences(struct ctl *c, struct str body, struct shown_silence **out, size_t *count)
{
    struct json_reader r;
    struct str raw;
    size_t n = 0, capacity = 64;
    struct shown_silence *v = arena_alloc_array(c->arena, capacity, sizeof *v);
    bool ok = true;
    json_reader_init(&r, body, c->arena);
    if (jr_array(&r))
        while (ok && jr_element(&r) && jr_raw(&r, &raw)) {
            if (n == capacity) {
                struct shown_silence *grown = arena_alloc_array(c->arena, capacity * 2, sizeof *grown);
                memcpy(grown, v, n * sizeof *grown);
                v = grown;
                capacity *= 2;
            }
            ok = read_silence(c, raw, &v[n]);
            v[n].position = n;
            n++;
        }
    *out = v;
    *count = n;
    return ok && jr_finish(&r, &c->err);
}

/* ---- printing ---- */

static void matchers_cell(struct ctl *c, struct ctl_table *t, const struct shown_silence *s, bool braces)
{
    struct buf b = { 0 };
    (void)c;
    if (braces)
        buf_byte(&b, '{');
    for (size_t i = 0; i < s->matchers_count; i++) {
        if (i)
            buf_byte(&b, braces ? ',' : ' ');
        matcher_write(&b, &s->matchers[i]);
    }
    if (braces)
        buf_byte(&b, '}');
    ctl_table_cell(t, buf_view(&b));
    buf_deinit(&b);
}

static int by_end(const void *left, const void *right)
{
    const struct shown_silence *a = left, *b = right;
    int order = wire_time_cmp(a->ends_at.t, b->ends_at.t);
    return order ? order : a->position < b->position ? -1 : a->position > b->position;
}

static void print_silences(struct ctl *c, struct shown_silence *v, size_t n)
{
    if (str_eq(c->f.output, STR("json"))) {
        buf_byte(&c->out, '[');
        for (size_t i = 0; i < n; i++) {
            if (i)
                buf_byte(&c->out, ',');
            buf_str(&c->out, v[i].raw);
        }
        buf_c(&c->out, "]\n");
        return;
    }
    static const struct str simple[] = { STR_INIT("ID"), STR_INIT("Matchers"), STR_INIT("Ends At"), STR_INIT("Created By"),
                                         STR_INIT("Comment") };
    static const struct str extended[] = { STR_INIT("ID"), STR_INIT("Matchers"), STR_INIT("Starts At"), STR_INIT("Ends At"),
                                           STR_INIT("Updated At"), STR_INIT("Created By"), STR_INIT("Comment") };
    bool wide = str_eq(c->f.output, STR("extended"));
    struct ctl_table t;
    ctl_table_init(&t, c->arena, wide ? ARRAY_LEN(extended) : ARRAY_LEN(simple));
    for (size_t i = 0; i < t.columns; i++)
        ctl_table_cell(&t, wide ? extended[i] : simple[i]);
    if (n > 1)
        qsort(v, n, sizeof *v, by_end);
    for (size_t i = 0; i < n; i++) {
        ctl_table_cell(&t, v[i].id);
        matchers_cell(c, &t, &v[i], wide);
        if (wide)
            ctl_table_date(c, &t, &v[i].starts_at);
        ctl_table_date(c, &t, &v[i].ends_at);
        if (wide)
            ctl_table_date(c, &t, &v[i].updated_at);
        ctl_table_cell(&t, v[i].created_by);
        ctl_table_cell(&t, v[i].comment);
    }
    ctl_table_write(&t, &c->out);
}

static void print_ids(struct ctl *c, const struct shown_silence *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_str(&c->out, v[i].id);
        buf_byte(&c->out, '\n');
    }
}

/* ---- query ---- */

static bool wanted(const struct ctl *c, const struct shown_silence *s, struct wire_time now)
{
    bool expired = wire_time_cmp(s->ends_at.t, now) < 0;
    if (expired != c->f.expired)
        return false;
    if (c->f.within_ns) {
        if (!c->f.expired && wire_time_cmp(s->ends_at.t, wire_time_add_ns(now, c->f.within_ns)) > 0)
            return false;
        if (c->f.expired && wire_time_cmp(s->ends_at.t, wire_time_add_ns(now, -c->f.within_ns)) < 0)
            return false;
    }
    if (c->f.created_by.n && !str_eq(s->created_by, c->f.created_by))
        return false;
    return c->f.id.n == 0 || str_eq(s->id, c->f.id);
}

int ctl_silence_query(void *program)
{
    struct ctl *c = program;
    struct buf q = { 0 };
    struct str_list texts = ctl_matcher_texts(c);
    buf_c(&q, "/silences");
    for (size_t i = 0; i < texts.n; i++) {
        buf_c(&q, i ? "&filter=" : "?filter=");
        http_query_escape(&q, texts.v[i]);
    }
    struct str path = arena_str(c->arena, buf_view(&q)), body;
    buf_deinit(&q);
    struct shown_silence *v;
    size_t n, kept = 0;
    if (!ctl_api_ok(c, "GET", path, STR_EMPTY, "/silences", "getSilences", &body) || !read_silences(c, body, &v, &n))
        return ctl_fail(c);
    struct wire_time now = ctl_now();
    for (size_t i = 0; i < n; i++)
        if (wanted(c, &v[i], now))
            v[kept++] = v[i];
    if (c->f.quiet)
        print_ids(c, v, kept);
    else
        print_silences(c, v, kept);
    return 0;
}

/* ---- add ---- */

static void write_matchers(struct json_writer *w, const struct matchers *ms)
{
    jw_array(w);
    for (size_t i = 0; i < ms->n; i++) {
        const struct matcher *m = &ms->v[i];
        jw_object(w);
        jw_key(w, STR("isEqual"));
        jw_bool(w, m->op == MATCH_EQ || m->op == MATCH_RE);
        jw_key(w, STR("isRegex"));
        jw_bool(w, m->op == MATCH_RE || m->op == MATCH_NRE);
        jw_kv(w, STR("name"), m->name);
        jw_kv(w, STR("value"), m->value);
        jw_object_end(w);
    }
    jw_array_end(w);
}

/* --start, --end and --duration together; `start` holds the default. */
static bool read_span(struct ctl *c, struct go_time *start, struct go_time *end, bool duration_given)
{
    int64_t ms;
    if (c->f.start.n && !ctl_parse_time(c->f.start, start, &c->err))
        return false;
    if (c->f.end.n)
        return ctl_parse_time(c->f.end, end, &c->err);
    if (!duration_given)
        return true;
    if (!duration_parse(c->f.duration, &ms, &c->err))
        return false;
    if (ms == 0)
        return err_set(&c->err, ERR_INVALID, "silence duration must be greater than 0");
    *end = (struct go_time){ .t = wire_time_add_ms(start->t, ms) };
    return true;
}

static struct str user_name(struct arena *a)
{
    const char *name = getenv("USER");
    char login[256];
    if (name && *name)
        return arena_str(a, str_c(name));
    if (getlogin_r(login, sizeof login) == 0)
        return arena_str(a, str_c(login));
    return geteuid() == 0 ? STR("root") : STR_EMPTY;
}

static bool read_new_id(struct ctl *c, struct str answer, struct str *id, struct err *err)
{
    struct str key;
    struct json_reader r;
    json_reader_init(&r, answer, c->arena);
    if (jr_object(&r))
        while (jr_member(&r, &key))
            if (!(str_eq(key, STR("silenceID")) ? jr_str(&r, id) : jr_skip(&r)))
                break;
    return jr_finish(&r, err);
}

static bool post_silence(struct ctl *c, struct str body, struct str *id)
{
    struct str answer;
    return ctl_api_ok(c, "POST", STR("/silences"), body, "/silences", "postSilences", &answer) &&
           read_new_id(c, answer, id, &c->err);
}

/* The alerts that these matchers mute now, whatever mutes them already; the server does the matching. */
static bool preview(struct ctl *c, const struct matchers *ms)
{
    struct buf q = { 0 }, text = { 0 };
    buf_c(&q, "/alerts?active=true");
    for (size_t i = 0; i < ms->n; i++) {
        buf_reset(&text);
        matcher_write(&text, &ms->v[i]);
        buf_c(&q, "&filter=");
        http_query_escape(&q, buf_view(&text));
    }
    buf_c(&q, "&inhibited=true&silenced=true&unprocessed=true");
    struct str path = arena_str(c->arena, buf_view(&q)), body;
    buf_deinit(&q);
    buf_deinit(&text);
    return ctl_api_ok(c, "GET", path, STR_EMPTY, "/alerts", "getAlerts", &body) && alerts_print(c, body);
}

int ctl_silence_add(void *program)
{
    struct ctl *c = program;
    struct matchers matchers;
    struct labels annotations;
    if (!ctl_parse_matchers(c, ctl_matcher_texts(c), &matchers))
        return ctl_fail(c);
    struct go_time start = { .t = ctl_now() }, end = start;
    bool ok = matchers.n > 0 || err_set(&c->err, ERR_INVALID, "no matchers specified");
    ok = ok && read_span(c, &start, &end, true);
    if (ok && wire_time_cmp(start.t, end.t) > 0)
        ok = err_set(&c->err, ERR_INVALID, "silence cannot start after it ends");
    if (ok && c->f.preview) {
        ok = preview(c, &matchers);
        matchers_deinit(&matchers);
        return ok ? 0 : ctl_fail(c);
    }
    if (ok && c->f.require_comment && c->f.comment.n == 0)
        ok = err_set(&c->err, ERR_INVALID, "comment required by config");
    ok = ok && ctl_parse_pairs(c, c->f.annotations, "annotations must be specified as key=value pairs", &annotations);
    struct buf body = { 0 };
    struct str id = STR_EMPTY;
    if (ok) {
        struct json_writer w;
        json_writer_init(&w, &body);
        jw_object(&w);
        if (annotations.n) {
            jw_key(&w, STR("annotations"));
            jw_object(&w);
            for (size_t i = 0; i < annotations.n; i++)
                jw_kv(&w, annotations.v[i].name, annotations.v[i].value);
            jw_object_end(&w);
        }
        jw_kv(&w, STR("comment"), c->f.comment);
        jw_kv(&w, STR("createdBy"), c->f.author.n ? c->f.author : user_name(c->arena));
        ctl_write_time(&w, STR("endsAt"), &end);
        jw_key(&w, STR("matchers"));
        write_matchers(&w, &matchers);
        ctl_write_time(&w, STR("startsAt"), &start);
        jw_object_end(&w);
        ok = post_silence(c, buf_view(&body), &id);
    }
    buf_deinit(&body);
    matchers_deinit(&matchers);
    if (!ok)
        return ctl_fail(c);
    buf_str(&c->out, id);
    buf_byte(&c->out, '\n');
    return 0;
}

/* ---- expire, update ---- */

static struct str silence_path(struct ctl *c, struct str id)
{
    struct buf b = { 0 };
    buf_c(&b, "/silence/");
    http_path_escape(&b, id);
    struct str path = arena_str(c->arena, buf_view(&b));
    buf_deinit(&b);
    return path;
}

int ctl_silence_expire(void *program)
{
    struct ctl *c = program;
    struct str answer;
    if (c->f.ids.n == 0) {
        err_set(&c->err, ERR_INVALID, "no silence IDs specified");
        return ctl_fail(c);
    }
    for (size_t i = 0; i < c->f.ids.n; i++)
        if (!ctl_api_ok(c, "DELETE", silence_path(c, c->f.ids.v[i]), STR_EMPTY, "/silence/{silenceID}", "deleteSilence",
                        &answer))
            return ctl_fail(c);
    return 0;
}

static bool update_one(struct ctl *c, struct str id, struct shown_silence *out)
{
    struct str body;
    struct shown_silence s;
    if (!ctl_api_ok(c, "GET", silence_path(c, id), STR_EMPTY, "/silence/{silenceID}", "getSilence", &body) ||
        !read_silence(c, str_trim(body), &s))
        return false;
    if (!read_span(c, &s.starts_at, &s.ends_at, c->f.duration.n > 0))
        return false;
    if (wire_time_cmp(s.starts_at.t, s.ends_at.t) > 0)
        return err_set(&c->err, ERR_INVALID, "silence cannot start after it ends");
    if (c->f.comment.n)
        s.comment = c->f.comment;
    struct buf b = { 0 };
    struct json_writer w;
    json_writer_init(&w, &b);
    jw_object(&w);
    jw_kv(&w, STR("id"), s.id);
    if (s.annotations_raw.n) {
        jw_key(&w, STR("annotations"));
        jw_raw(&w, s.annotations_raw);
    }
    jw_kv(&w, STR("comment"), s.comment);
    jw_kv(&w, STR("createdBy"), s.created_by);
    ctl_write_time(&w, STR("endsAt"), &s.ends_at);
    jw_key(&w, STR("matchers"));
    jw_raw(&w, s.matchers_raw);
    ctl_write_time(&w, STR("startsAt"), &s.starts_at);
    jw_object_end(&w);
    bool ok = post_silence(c, buf_view(&b), &s.id);
    /* -o json shows the silence as the API has it now. */
    if (ok)
        ok = ctl_api_ok(c, "GET", silence_path(c, s.id), STR_EMPTY, "/silence/{silenceID}", "getSilence", &body) &&
             read_silence(c, str_trim(body), out);
    buf_deinit(&b);
    return ok;
}

int ctl_silence_update(void *program)
{
    struct ctl *c = program;
    if (c->f.ids.n == 0) {
        err_set(&c->err, ERR_INVALID, "no silence IDs specified");
        return ctl_fail(c);
    }
    struct shown_silence *v = arena_alloc_array(c->arena, c->f.ids.n, sizeof *v);
    for (size_t i = 0; i < c->f.ids.n; i++) {
        if (!update_one(c, c->f.ids.v[i], &v[i]))
            return ctl_fail(c);
        v[i].position = i;
    }
    if (c->f.quiet)
        print_ids(c, v, c->f.ids.n);
    else
        print_silences(c, v, c->f.ids.n);
    return 0;
}

/* ---- import ---- */

/* The id as null or absent makes a new silence of it. */
static struct str without_id(struct ctl *c, struct str raw, bool keep_id)
{
    struct json_reader r;
    struct str key, value;
    struct buf b = { 0 };
    struct json_writer w;
    json_writer_init(&w, &b);
    json_reader_init(&r, raw, c->arena);
    jw_object(&w);
    if (jr_object(&r))
        while (jr_member(&r, &key) && jr_raw(&r, &value)) {
            bool read_only = str_eq(key, STR("status")) || str_eq(key, STR("updatedAt"));
            if (read_only || (str_eq(key, STR("id")) && !keep_id))
                continue;
            jw_key(&w, key);
            jw_raw(&w, value);
        }
    jw_object_end(&w);
    struct str s = arena_str(c->arena, buf_view(&b));
    buf_deinit(&b);
    return s;
}

/* One of --worker silences that are under way at a time. */
struct import_worker {
    struct ctl_request *request; /* NULL: free */
    struct str raw;
    bool anew; /* sent without its id, which the server did not know */
};

struct silence_import {
    struct ctl *c;
    struct import_worker *workers;
    size_t workers_count, busy, total, failed;
};

static void import_send(struct silence_import *im, struct import_worker *w, bool keep_id)
{
    w->anew = !keep_id;
    w->request = ctl_api_begin(im->c, "POST", STR("/silences"), without_id(im->c, w->raw, keep_id));
}

static void import_fail(struct silence_import *im, struct str raw, const struct err *why)
{
    struct shown_silence s = { .id = STR_EMPTY };
    (void)read_silence(im->c, raw, &s);
    fprintf(stderr, "Error adding silence id='%.*s': %s\n", STR_ARG(s.id), why->text);
    im->failed++;
}

static void import_take(struct silence_import *im, struct import_worker *w)
{
    struct ctl *c = im->c;
    const struct ctl_request *q = w->request;
    struct err err = q->err;
    struct str id = STR_EMPTY;
    bool ok = q->ok && ctl_answer_ok(&q->answer, "POST", STR("/silences"), "/silences", "postSilences", &err) &&
              read_new_id(c, q->answer.body, &id, &err);
    if (!ok && err.code == ERR_NOT_FOUND && !w->anew) {
        import_send(im, w, false);
        return;
    }
    w->request = NULL;
    im->busy--;
    if (ok)
        buf_printf(&c->out, "%.*s\n", STR_ARG(id));
    else
        import_fail(im, w->raw, &err);
}

/* Returns with fewer workers busy than before; none at all if `all`. */
static void import_wait(struct silence_import *im, bool all)
{
    size_t enough = all || im->busy == 0 ? 0 : im->busy - 1;
    while (im->busy > enough) {
        ctl_api_wait(im->c);
        for (size_t i = 0; i < im->workers_count; i++)
            if (im->workers[i].request && im->workers[i].request->done)
                import_take(im, &im->workers[i]);
    }
}

static void import_one(struct silence_import *im, struct str raw)
{
    if (im->busy == im->workers_count)
        import_wait(im, false);
    struct import_worker *w = im->workers;
    while (w->request)
        w++;
    w->raw = raw;
    im->busy++;
    im->total++;
    import_send(im, w, !im->c->f.force);
}

/* Go's json.Decoder words for what cannot begin an array. */
static bool import_syntax(struct ctl *c, const struct err *why)
{
    return err_set(&c->err, ERR_INVALID, "couldn't unmarshal input data, is it JSON?: %s", why->text);
}

static void import_init(struct silence_import *im, struct ctl *c)
{
    int64_t n = c->f.workers < 1 ? 1 : c->f.workers > IMPORT_WORKERS_MAX ? IMPORT_WORKERS_MAX : c->f.workers;
    *im = (struct silence_import){ .c = c, .workers_count = (size_t)n };
    im->workers = arena_alloc_array(c->arena, im->workers_count, sizeof *im->workers);
}

int ctl_silence_import(void *program)
{
    struct ctl *c = program;
    struct silence_import im;
    struct buf text = { 0 };
    struct json_reader r;
    struct err why = { 0 };
    struct str raw;
    import_init(&im, c);
    if (!ctl_read_file(c->f.import_file.n ? c->f.import_file : STR("/dev/stdin"), &text, &c->err)) {
        buf_deinit(&text);
        return ctl_fail(c);
    }
    json_reader_init(&r, buf_view(&text), c->arena);
    bool ok = true;
    enum jr_type first = jr_peek(&r);
    if (first != JR_ARRAY && !r.failed && first != JR_NONE) {
        err_set(&why, ERR_INVALID, "not at beginning of value");
        ok = import_syntax(c, &why);
    } else if (jr_array(&r)) {
        /* Connected even for an empty list: who asks hears of a missing URL or a version that differs. */
        ok = ctl_connect(c);
        while (ok && jr_element(&r) && jr_raw(&r, &raw))
            import_one(&im, raw);
        import_wait(&im, true);
    }
    if (ok && !jr_finish(&r, &why))
        ok = import_syntax(c, &why);
    if (ok && im.failed)
        ok = err_set(&c->err, ERR_INVALID, "couldn't import %zu out of %zu silences", im.failed, im.total);
    buf_deinit(&text);
    return ok ? 0 : ctl_fail(c);
}
