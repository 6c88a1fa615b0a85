/* Jira: looks for the group's issue by its label, creates or updates it, and moves it when the alerts' state asks for it.
 *
 *     SEARCH -> create -> done
 *            -> update -> (transitions -> move) -> done
 *
 * Each state is the request that is out. Only HTTP statuses are worth another attempt; what the network breaks is final,
 * as upstream. */
#include "notify/receivers/jira_config.h"

#include "base/utf8.h"
#include "http/url.h"
#include "json/reader.h"
#include "notify/receivers/rows.h"
#include "notify/send.h"

#include <stdlib.h>

#define SUMMARY_RUNES_MAX     255
#define DESCRIPTION_RUNES_MAX 32767

enum { STATE_START, STATE_SEARCH, STATE_CREATE, STATE_UPDATE, STATE_TRANSITIONS, STATE_MOVE };

struct issue {
    struct str key, category; /* of its status; empty: unknown */
};
struct memory {
    struct send_render render;
    struct issue issue;
    struct str project;
    struct str transition; /* to be looked for */
};

/* ---- requests ---- */

static enum send_verdict request(struct send_attempt *at, struct send_request *next, int state, const char *method,
                                 struct str path, struct str body)
{
    const struct jira_config *c = at->config;
    struct str url = send_url_join(at->arena, c->api_url, path);
    if (state == STATE_SEARCH && str_ends(path, STR("search/jql"))) {
        /* The new search exists in version 3 of the API only. */
        size_t v2 = str_find(url, STR("/rest/api/2/"));
        if (v2 != STR_NPOS)
            url = arena_printf(at->arena, "%.*s/rest/api/3/%.*s", (int)v2, url.p,
                               STR_ARG(str_from(url, v2 + sizeof "/rest/api/2/" - 1)));
    }
    send_post_json(at, next, url, body);
    next->method = str_c(method);
    send_header(next, STR("Accept-Language"), STR("en"));
    at->state = state;
    return SEND_REQUEST;
}

static struct str issue_path(struct send_attempt *at, const char *suffix)
{
    const struct memory *m = at->memory;
    return arena_printf(at->arena, "issue/%.*s%s", STR_ARG(m->issue.key), suffix);
}

/* ---- the search ---- */

static bool is_cloud(struct send_attempt *at, const struct jira_config *c)
{
    struct http_url url;
    struct err err = { 0 };
    if (str_eq(c->api_type, STR("cloud")))
        return true;
    return str_eq(c->api_type, STR("auto")) && http_url_parse(at->arena, c->api_url, &url, &err) &&
           str_ends(http_url_hostname(&url), STR("atlassian.net"));
}

static struct str alert_label(struct send_attempt *at)
{
    return arena_printf(at->arena, "ALERT{%.*s}", STR_ARG(send_group_id(at)));
}

static void write_jql(struct send_attempt *at, const struct jira_config *c, struct str project, struct buf *b)
{
    int64_t minutes = c->reopen_duration_ms / 60000;
    if (c->wont_fix_resolution.n > 0) {
        buf_c(b, "(resolution is EMPTY or resolution != ");
        go_quote(b, c->wont_fix_resolution);
        buf_c(b, ") and ");
    }
    if (send_is_firing(at) && c->reopen_transition.n > 0 && minutes > 0)
        buf_printf(b, "(resolutiondate is EMPTY OR resolutiondate >= -%lldm) and ", (long long)minutes);
    else
        buf_c(b, "statusCategory != Done and ");
    buf_c(b, "project=");
    go_quote(b, project);
    buf_c(b, " and labels=");
    go_quote(b, alert_label(at));
    buf_c(b, " order by status ASC,resolutiondate DESC");
}

static enum send_verdict start(struct send_attempt *at, const struct jira_config *c, struct send_request *next,
                               struct send_error *why)
{
    struct memory *m = at->memory = ARENA_NEW(at->arena, struct memory);
    struct buf jql = { 0 };
    struct send_body b;
    send_render_init(&m->render, at, 0);
    m->project = send_text(&m->render, c->project);
    if (m->render.failed)
        return send_template_failed(why, &m->render, "failed to look up existing issues: invalid project template or value: ");
    write_jql(at, c, m->project, &jql);
    send_body_init(&b);
    jw_object(&b.json);
    jw_key(&b.json, STR("fields"));
    jw_array(&b.json);
    jw_str(&b.json, STR("status"));
    jw_array_end(&b.json);
    jw_kv(&b.json, STR("jql"), buf_view(&jql));
    jw_key(&b.json, STR("maxResults"));
    jw_i64(&b.json, 2);
    jw_object_end(&b.json);
    buf_deinit(&jql);
    return request(at, next, STATE_SEARCH, "POST", is_cloud(at, c) ? STR("search/jql") : STR("search"),
                   send_body_finish(&b, at->arena));
}

/* ---- reading answers ---- */

static bool read_category(struct json_reader *r, struct str *category)
{
    struct str key;
    bool ok = jr_object(r);
    while (ok && jr_member(r, &key)) {
        if (str_eq_nocase(key, STR("key")))
            ok = jr_str(r, category);
        else
            ok = jr_skip(r);
    }
    return ok;
}

/* Walks one object and reads the member `name` with `read`, skipping the others; null is skipped too. */
static bool read_inside(struct json_reader *r, struct str name, bool (*read)(struct json_reader *r, struct str *out),
                        struct str *out)
{
    struct str key;
    if (jr_peek(r) != JR_OBJECT)
        return jr_skip(r);
    bool ok = jr_object(r);
    while (ok && jr_member(r, &key))
        ok = str_eq_nocase(key, name) && jr_peek(r) != JR_NULL ? read(r, out) : jr_skip(r);
    return ok;
}

static bool read_status(struct json_reader *r, struct str *category)
{
    return read_inside(r, STR("statusCategory"), read_category, category);
}

static bool read_issue(struct json_reader *r, struct issue *out)
{
    struct str key;
    bool ok = jr_object(r);
    while (ok && jr_member(r, &key)) {
        if (str_eq_nocase(key, STR("key")))
            ok = jr_str(r, &out->key);
        else if (str_eq_nocase(key, STR("fields")))
            ok = read_inside(r, STR("status"), read_status, &out->category);
        else
            ok = jr_skip(r);
    }
    return ok;
}

/* The first issue of a search's answer; an empty key if there is none. */
static bool read_search(struct send_attempt *at, struct str body, struct issue *out, struct err *err)
{
    struct json_reader r;
    struct str key;
    bool first = true;
    json_reader_init(&r, body, at->arena);
    bool ok = jr_object(&r);
    while (ok && jr_member(&r, &key)) {
        if (!str_eq_nocase(key, STR("issues")) || jr_peek(&r) != JR_ARRAY) {
            ok = jr_skip(&r);
            continue;
        }
        ok = jr_array(&r);
        while (ok && jr_element(&r)) {
            ok = first ? read_issue(&r, out) : jr_skip(&r);
            first = false;
        }
    }
    return jr_finish(&r, err);
}

struct transition {
    struct str id, name;
};

static bool read_transition(struct json_reader *r, struct transition *t)
{
    struct str key;
    bool ok = jr_object(r);
    while (ok && jr_member(r, &key)) {
        if (str_eq_nocase(key, STR("id")))
            ok = jr_str(r, &t->id);
        else if (str_eq_nocase(key, STR("name")))
            ok = jr_str(r, &t->name);
        else
            ok = jr_skip(r);
    }
    return ok;
}

/* The id of the transition by name; empty if there is none. */
static bool find_transition(struct send_attempt *at, struct str body, struct str name, struct str *id, struct err *err)
{
    struct json_reader r;
    struct str key;
    json_reader_init(&r, body, at->arena);
    bool ok = jr_object(&r);
    *id = STR_EMPTY;
    while (ok && jr_member(&r, &key)) {
        if (!str_eq_nocase(key, STR("transitions")) || jr_peek(&r) != JR_ARRAY) {
            ok = jr_skip(&r);
            continue;
        }
        ok = jr_array(&r);
        while (ok && jr_element(&r)) {
            struct transition t = { 0 };
            ok = read_transition(&r, &t);
            if (ok && id->n == 0 && str_eq(t.name, name))
                *id = t.id;
        }
    }
    return jr_finish(&r, err);
}

/* ---- the issue ---- */

struct member { /* of "fields": a name and its JSON */
    struct str name, json;
};
struct members {
    struct member *v;
    size_t n;
};

static void put(struct members *m, struct str name, struct str json)
{
    for (size_t i = 0; i < m->n; i++)
        if (str_eq(m->v[i].name, name)) {
            m->v[i].json = json;
            return;
        }
    m->v[m->n++] = (struct member){ name, json };
}

static struct str raw(struct send_attempt *at, struct send_body *b)
{
    struct str s = arena_str(at->arena, buf_view(&b->buf));
    send_body_drop(b);
    return s;
}

static struct str json_text(struct send_attempt *at, struct str s)
{
    struct send_body b;
    send_body_init(&b);
    jw_str(&b.json, s);
    return raw(at, &b);
}

static struct str json_named(struct send_attempt *at, const char *key, struct str s)
{
    struct send_body b;
    send_body_init(&b);
    jw_object(&b.json);
    jw_kv(&b.json, str_c(key), s);
    jw_object_end(&b.json);
    return raw(at, &b);
}

static int text_order(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct str json_labels(struct send_attempt *at, const struct jira_config *c, struct send_render *r, size_t *failed)
{
    struct str *v = arena_alloc_array(at->arena, c->labels.n + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < c->labels.n; i++) {
        v[n++] = send_text(r, c->labels.v[i]);
        if (r->failed && *failed == SIZE_MAX)
            *failed = i;
    }
    v[n++] = alert_label(at);
    qsort(v, n, sizeof *v, text_order);
    struct send_body b;
    send_body_init(&b);
    jw_array(&b.json);
    for (size_t i = 0; i < n; i++)
        jw_str(&b.json, v[i]);
    jw_array_end(&b.json);
    return raw(at, &b);
}

/* JSON without the white space between its tokens; false if it is none. */
static bool compact(struct send_attempt *at, struct str s, struct str *out)
{
    struct json_reader r;
    struct err err = { 0 };
    struct str whole;
    struct buf b = { 0 };
    bool in_text = false;
    json_reader_init(&r, s, at->arena);
    (void)jr_raw(&r, &whole);
    if (!jr_finish(&r, &err))
        return false;
    for (size_t i = 0; i < whole.n; i++) {
        char x = whole.p[i];
        if (in_text && x == '\\') {
            buf_byte(&b, x);
            x = whole.p[++i];
        } else if (x == '"') {
            in_text = !in_text;
        } else if (!in_text && ascii_is_space(x)) {
            continue;
        }
        buf_byte(&b, x);
    }
    *out = arena_str(at->arena, buf_view(&b));
    buf_deinit(&b);
    return true;
}

/* Version 3 of the API wants a document instead of a text. */
static bool put_description(struct send_attempt *at, const struct jira_config *c, struct send_render *r,
                            struct members *m, struct send_error *why)
{
    struct str text = send_cut_runes(at->arena, send_text(r, c->description.template), DESCRIPTION_RUNES_MAX);
    if (r->failed) {
        send_template_failed(why, r, "description template: ");
        return false;
    }
    struct str api = c->api_url, json;
    while (api.n > 0 && api.p[api.n - 1] == '/')
        api.n--;
    if (!str_ends(api, STR("/3"))) {
        if (text.n > 0)
            put(m, STR("description"), json_text(at, text));
        return true;
    }
    text = str_trim(text);
    if (text.n == 0)
        return true;
    if (!compact(at, text, &json)) {
        send_fail(why, SEND_REASON_OTHER, "description template: invalid JSON for API v3");
        return false;
    }
    put(m, STR("description"), json);
    return true;
}

static bool put_text(struct send_attempt *at, struct send_render *r, struct members *m, const char *name,
                     const char *inner, struct str text, const char *prefix, struct send_error *why)
{
    struct str s = send_text(r, text);
    if (r->failed) {
        send_template_failed(why, r, prefix);
        return false;
    }
    if (s.n > 0 || !str_eq(str_c(name), STR("priority")))
        put(m, str_c(name), json_named(at, inner, s));
    return true;
}

/* Configured fields: last, over the standard ones; their names are no templates. */
static bool put_fields(struct send_attempt *at, const struct jira_config *c, struct send_render *r, struct members *m,
                       struct send_error *why)
{
    for (size_t i = 0; c->fields && c->fields->kind == YAML_MAPPING && i < c->fields->n; i++) {
        struct send_body b;
        struct err err = { 0 };
        const struct yaml_node *key = c->fields->pairs[i].key;
        if (key->kind == YAML_NULL || key->kind == YAML_SEQUENCE || key->kind == YAML_MAPPING)
            continue; /* other scalars are names as they are written: 10001 */
        send_body_init(&b);
        if (!send_tree_json(r, c->fields->pairs[i].value, &b.json, &err)) {
            send_body_drop(&b);
            send_fail(why, SEND_REASON_OTHER, "fields template: %s", err.text);
            return false;
        }
        put(m, key->text, raw(at, &b));
    }
    return true;
}

static bool build_members(struct send_attempt *at, const struct jira_config *c, bool update, struct members *m,
                          struct send_error *why)
{
    struct memory *mem = at->memory;
    struct send_render *r = &mem->render;
    size_t failed = SIZE_MAX;
    if (!update || c->summary.enable_update != TRISTATE_FALSE) {
        struct str summary = send_cut_runes(at->arena, send_text(r, c->summary.template), SUMMARY_RUNES_MAX);
        if (r->failed) {
            send_template_failed(why, r, "summary template: ");
            return false;
        }
        put(m, STR("summary"), json_text(at, summary));
    }
    put(m, STR("project"), json_named(at, "key", mem->project));
    if (!put_text(at, r, m, "issuetype", "name", c->issue_type, "issue_type template: ", why))
        return false;
    if ((!update || c->description.enable_update != TRISTATE_FALSE) && !put_description(at, c, r, m, why))
        return false;
    put(m, STR("labels"), json_labels(at, c, r, &failed));
    if (r->failed) {
        send_fail(why, SEND_REASON_OTHER, "labels[%zu] template: %s", failed, r->err.text);
        return false;
    }
    return put_text(at, r, m, "priority", "name", c->priority, "priority template: ", why) &&
           put_fields(at, c, r, m, why);
}

static int member_order(const void *a, const void *b)
{
    return str_cmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static bool build_issue(struct send_attempt *at, const struct jira_config *c, bool update, struct str *body,
                        struct send_error *why)
{
    struct members m = { 0 };
    struct send_body b;
    m.v = arena_alloc_array(at->arena, 8 + (c->fields ? c->fields->n : 0), sizeof *m.v);
    if (!build_members(at, c, update, &m, why))
        return false;
    qsort(m.v, m.n, sizeof *m.v, member_order);
    send_body_init(&b);
    jw_object(&b.json);
    jw_key(&b.json, STR("fields"));
    jw_object(&b.json);
    for (size_t i = 0; i < m.n; i++) {
        jw_key(&b.json, m.v[i].name);
        jw_raw(&b.json, m.v[i].json);
    }
    jw_object_end(&b.json);
    jw_object_end(&b.json);
    *body = send_body_finish(&b, at->arena);
    return true;
}

/* ---- steps ---- */

static enum send_verdict searched(struct send_attempt *at, const struct jira_config *c, const struct send_response *res,
                                  struct send_request *next, struct send_error *why)
{
    struct memory *m = at->memory;
    struct err err = { 0 };
    struct str body;
    if (!read_search(at, res->body, &m->issue, &err))
        return send_fail(why, SEND_REASON_OTHER, "failed to look up existing issues: %s", err.text);
    bool found = m->issue.key.n > 0;
    if (!found && !send_is_firing(at))
        return SEND_DONE;
    if (!build_issue(at, c, found, &body, why))
        return SEND_FAIL;
    if (!found)
        return request(at, next, STATE_CREATE, "POST", STR("issue"), body);
    return request(at, next, STATE_UPDATE, "PUT", issue_path(at, ""), body);
}

/* Does the issue have to move? The transition's name, empty for no. */
static struct str wanted_transition(struct send_attempt *at, const struct jira_config *c)
{
    const struct memory *m = at->memory;
    bool done = str_eq(m->issue.category, STR("done"));
    if (m->issue.category.n == 0 || done != send_is_firing(at))
        return STR_EMPTY;
    return done ? c->reopen_transition : c->resolve_transition;
}

static enum send_verdict listed(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                                struct send_error *why)
{
    const struct memory *m = at->memory;
    struct err err = { 0 };
    struct str id;
    struct send_body b;
    if (!find_transition(at, res->body, m->transition, &id, &err))
        return send_fail(why, SEND_REASON_OTHER, "%s", err.text);
    if (id.n == 0)
        return send_fail(why, SEND_REASON_OTHER, "can't find transition %.*s for issue %.*s", STR_ARG(m->transition),
                         STR_ARG(m->issue.key));
    send_body_init(&b);
    jw_object(&b.json);
    jw_key(&b.json, STR("transition"));
    jw_object(&b.json);
    jw_kv(&b.json, STR("id"), id);
    jw_object_end(&b.json);
    jw_object_end(&b.json);
    return request(at, next, STATE_MOVE, "POST", issue_path(at, "/transitions"), send_body_finish(&b, at->arena));
}

/* What failed, before the reason. */
static void explain(struct send_attempt *at, struct send_error *why)
{
    const struct memory *m = at->memory;
    if (at->state == STATE_SEARCH)
        err_wrap(&why->err, "failed to look up existing issues: HTTP request to JIRA API");
    else if (at->state == STATE_CREATE)
        err_wrap(&why->err, "failed to POST request to \"issue\"");
    else if (at->state == STATE_UPDATE)
        err_wrap(&why->err, "failed to PUT request to \"issue/%.*s\"", STR_ARG(m->issue.key));
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct jira_config *c = at->config;
    struct memory *m = at->memory;
    if (!res)
        return start(at, c, next, why);
    if (!res->arrived) {
        (void)send_no_answer(res, why, NULL, 0);
        explain(at, why);
        return SEND_FAIL;
    }
    enum send_verdict verdict = send_check_status(res, 429, res->body, why);
    if (verdict != SEND_DONE) {
        explain(at, why);
        return verdict;
    }
    if (at->state == STATE_SEARCH)
        return searched(at, c, res, next, why);
    if (at->state == STATE_TRANSITIONS)
        return listed(at, res, next, why);
    if (at->state == STATE_UPDATE && (m->transition = wanted_transition(at, c)).n > 0)
        return request(at, next, STATE_TRANSITIONS, "GET", issue_path(at, "/transitions"), STR_EMPTY);
    return SEND_DONE;
}

const struct receiver_row jira_row = { RECEIVER_ROW(RECEIVER_JIRA, jira, true), .step = step };
