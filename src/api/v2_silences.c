/* Silences over HTTP: /api/v2/silences and /api/v2/silence/{id}. Lists are read from a view, sorted and encoded on the thread
 * that writes to the connection; a new silence is answered when the journal has it on disk (the backend's promise). */
#include "api/api.h"

#include "api/silence_in.h"
#include "base/mem.h"
#include "json/writer.h"

#define PIECE_BYTES (48 * 1024)

static void write_time(struct json_writer *w, struct str key, struct wire_time t)
{
    jw_key(w, key);
    buf_byte(w->out, '"');
    rfc3339_write_ms(w->out, t);
    buf_byte(w->out, '"');
    w->need_comma = true;
}

static void write_matchers(struct json_writer *w, const struct silence *s)
{
    jw_array(w);
    for (size_t i = 0; s->sets_count && i < s->sets[0].n; i++) {
        const struct matcher *m = &s->sets[0].v[i];
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

static void write_silence(struct json_writer *w, const struct silence *s, struct wire_time now)
{
    jw_object(w);
    jw_kv(w, STR("id"), s->id);
    jw_key(w, STR("status"));
    jw_object(w);
    jw_kv(w, STR("state"), silence_state_text(silence_state_at(s, now)));
    jw_object_end(w);
    write_time(w, STR("updatedAt"), s->updated_at);
    if (s->annotations.n) {
        jw_key(w, STR("annotations"));
        labels_write_json(w, s->annotations);
    }
    jw_kv(w, STR("comment"), s->comment);
    jw_kv(w, STR("createdBy"), s->created_by);
    write_time(w, STR("endsAt"), s->ends_at);
    jw_key(w, STR("matchers"));
    write_matchers(w, s);
    write_time(w, STR("startsAt"), s->starts_at);
    jw_object_end(w);
}

static void answer_many_sets(struct api_call *c, const struct silence *s)
{
    api_answer_string(c, 500,
                      arena_printf(c->req->arena,
                                   "silence '%.*s' has multiple matcher sets which is not supported by this API version",
                                   STR_ARG(s->id)));
}

/* ---- the list ---- */

struct listing {
    struct arena *arena;
    struct silence_view *view;
    struct matchers filters;
    bool wanted[3]; /* by enum silence_state */
    struct wire_time now;
    const struct silence **v;
    size_t n, at;
    struct json_writer json;
};

static void listing_end(void *arg)
{
    struct listing *l = arg;
    matchers_deinit(&l->filters);
    if (l->view)
        silence_view_release(l->view);
    l->view = NULL;
}

static bool listed(const struct listing *l, const struct silence *s)
{
    return !s->uncompiled && l->wanted[silence_state_at(s, l->now)] && silence_has_matchers(s, &l->filters);
}

static void pick(struct listing *l)
{
    l->v = arena_alloc_array(l->arena, l->view->n, sizeof *l->v);
    for (size_t i = 0; i < l->view->n; i++)
        if (listed(l, l->view->v[i]))
            l->v[l->n++] = l->view->v[i];
    silence_list_sort(l->v, l->n, l->now);
}

static bool listing_pull(void *arg, struct buf *out, bool *done)
{
    struct listing *l = arg;
    l->json.out = out;
    if (!l->v) {
        pick(l);
        json_writer_init(&l->json, out);
        jw_array(&l->json);
    }
    for (size_t from = out->n; l->at < l->n && out->n - from < PIECE_BYTES; l->at++)
        write_silence(&l->json, l->v[l->at], l->now);
    *done = l->at == l->n;
    if (*done) {
        jw_array_end(&l->json);
        buf_byte(out, '\n');
    }
    return true;
}

static void list_done(struct api_ask *q)
{
    struct api_call *c = q->user;
    struct listing *l = q->state;
    l->view = q->silences;
    l->now = q->now;
    if (!q->ok) {
        listing_end(l);
        api_answer_string(c, q->err.code == ERR_UNAVAILABLE ? 503 : 500, err_text(&q->err));
        return;
    }
    for (size_t i = 0; i < l->view->n; i++)
        if (l->view->v[i]->sets_count > 1 && listed(l, l->view->v[i])) {
            const struct silence *s = silence_retain(l->view->v[i]);
            listing_end(l); /* the listing is gone once the call is answered */
            answer_many_sets(c, s);
            silence_release(s);
            return;
        }
    api_answer_pull(c, listing_pull, l, listing_end);
}

void api_get_silences(struct api_call *c)
{
    struct http_params ps;
    struct err err = { 0 };
    struct listing *l = ARENA_NEW(c->req->arena, struct listing);
    l->arena = c->req->arena;
    http_params_parse(c->req->arena, c->req->query, &ps);
    l->wanted[SILENCE_ACTIVE] = api_param_bool(&ps, STR("active"), true);
    l->wanted[SILENCE_PENDING] = api_param_bool(&ps, STR("pending"), true);
    l->wanted[SILENCE_EXPIRED] = api_param_bool(&ps, STR("expired"), true);
    if (!api_param_matchers(c, &ps, STR("filter"), &l->filters, &err)) {
        api_answer_string(c, 400, err_text(&err));
        return;
    }
    c->ask.state = l;
    api_ask(c, API_SILENCES, list_done);
}

/* ---- one ---- */

static void get_done(struct api_ask *q)
{
    struct api_call *c = q->user;
    if (!q->ok) {
        if (q->err.code == ERR_NOT_FOUND)
            api_answer_empty(c, 404);
        else
            api_answer_string(c, q->err.code == ERR_UNAVAILABLE ? 503 : 500, err_text(&q->err));
        return;
    }
    const struct silence *s = q->silence; /* the question is gone once the call is answered */
    if (s->sets_count > 1) {
        answer_many_sets(c, s);
    } else {
        struct buf body = { 0 };
        struct json_writer w;
        json_writer_init(&w, &body);
        write_silence(&w, s, q->now);
        buf_byte(&body, '\n');
        api_answer_json(c, 200, buf_view(&body));
        buf_deinit(&body);
    }
    silence_release(s);
}

void api_get_silence(struct api_call *c, struct str id)
{
    c->ask.id = id;
    api_ask(c, API_SILENCE_GET, get_done);
}

static void set_done(struct api_ask *q)
{
    struct api_call *c = q->user;
    if (!q->ok) {
        int status = q->err.code == ERR_NOT_FOUND ? 404 : q->err.code == ERR_UNAVAILABLE ? 503 : q->err.code == ERR_IO ? 500 : 400;
        api_answer_string(c, status, err_text(&q->err));
        return;
    }
    struct str body = arena_printf(c->req->arena, "{\"silenceID\":\"%.*s\"}\n", SILENCE_ID_TEXT, q->id_out);
    api_answer_json(c, 200, body);
}

void api_post_silences(struct api_call *c)
{
    struct api_refusal refusal = { 0 };
    struct err err = { 0 };
    if (!silence_in_parse(c->req->arena, c->req->body, &c->ask.silence_spec, &refusal)) {
        api_answer_refusal(c, &refusal);
        return;
    }
    if (!silence_in_check(&c->ask.silence_spec, c->api->backend.now(c->api->backend.arg), &err)) {
        api_answer_string(c, 400, err_text(&err));
        return;
    }
    api_ask(c, API_SILENCE_SET, set_done);
}

static void expire_done(struct api_ask *q)
{
    struct api_call *c = q->user;
    if (q->ok)
        api_answer_empty(c, 200);
    else if (q->err.code == ERR_NOT_FOUND)
        api_answer_empty(c, 404);
    else
        api_answer_string(c, q->err.code == ERR_UNAVAILABLE ? 503 : 500, err_text(&q->err));
}

void api_delete_silence(struct api_call *c, struct str id)
{
    c->ask.id = id;
    api_ask(c, API_SILENCE_EXPIRE, expire_done);
}
