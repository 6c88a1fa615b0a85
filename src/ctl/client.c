/* The API as a verb sees it: requests over the edge's client on a loop of this thread, one at a time for most verbs. The whole
 * command shares one deadline (--timeout). Errors read as those of upstream's generated client. */
#include "ctl/ctl.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "http/auth.h"
#include "http/client_config.h"
#include "http/url.h"
#include "io/clock_io.h"
#include "io/http_client.h"
#include "io/loop.h"

#include <stdio.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX ((size_t)256 << 20)

struct ctl_client {
    struct loop *loop;
    struct http_client *http;
    struct http_client_config config;
    struct arena config_arena;
    struct yaml_doc doc;
    bool configured;
    struct str base;          /* scheme://host/prefix, without a slash at the end */
    struct str authorization; /* from the URL's user */
    mono_ms deadline;
    bool version_checked;
};

struct pending {
    struct ctl_request pub; /* first */
    struct ctl *c;
    struct http_header headers[3];
    struct http_call call;
};

static void call_done(void *arg, const struct http_result *r)
{
    struct pending *p = arg;
    struct ctl_request *q = &p->pub;
    q->ok = r->arrived && r->err.code == ERR_NONE;
    q->done = true;
    if (q->ok) {
        q->answer.status = r->status;
        q->answer.body = arena_str(p->c->arena, r->body);
    } else {
        q->err = r->err;
    }
    loop_stop(p->c->client->loop);
}

static bool load_http_config(struct ctl *c, struct ctl_client *cl)
{
    struct buf text = { 0 };
    struct binding b = { .arena = &cl->config_arena };
    arena_init(&cl->config_arena, ARENA_NO_LIMIT);
    http_client_config_init(&cl->config);
    cl->configured = true;
    struct str path = c->f.http_config_file;
    bool ok = ctl_read_file(path, &text, &c->err) && yaml_parse(&cl->doc, buf_view(&text), &c->err) &&
              bind_document(&b, &http_client_config_bind, cl->doc.root, &cl->config, &c->err);
    buf_deinit(&text);
    if (!ok) {
        c->no_blank_line = true;
        return err_wrap(&c->err, "failed to load HTTP config file");
    }
    size_t slash = str_rfind_byte(path, '/');
    http_client_config_resolve(&cl->config, slash == STR_NPOS ? STR(".") : str_sub(path, 0, slash), &cl->config_arena);
    return true;
}

static bool read_url(struct ctl *c, struct ctl_client *cl)
{
    struct http_url u;
    struct str text = c->f.url;
    if (str_find(text, STR("://")) == STR_NPOS)
        text = arena_printf(c->arena, "http://%.*s", STR_ARG(text));
    if (!http_url_parse(c->arena, text, &u, &c->err))
        return false;
    if (u.has_user && c->f.http_config_file.n) {
        c->no_blank_line = true;
        return err_set(&c->err, ERR_INVALID, "basic authentication and http.config.file are mutually exclusive");
    }
    if (u.has_user) {
        struct buf header = { 0 };
        http_basic_write(&header, u.user, u.password);
        cl->authorization = arena_str(c->arena, buf_view(&header));
        buf_deinit(&header);
        u.has_user = false;
    }
    if (u.host.n == 0)
        u.host = STR("localhost:9093");
    while (u.path.n && u.path.p[u.path.n - 1] == '/')
        u.path.n--;
    u.raw_path = STR_EMPTY;
    struct buf out = { 0 };
    http_url_write(&out, &u);
    cl->base = arena_str(c->arena, buf_view(&out));
    buf_deinit(&out);
    return true;
}

static struct ctl_client *make_client(struct ctl *c)
{
    struct ctl_client *cl = MEM_NEW(struct ctl_client);
    cl->loop = loop_new("ctl", NULL);
    struct buf agent = { 0 };
    buf_printf(&agent, "%s/0.34.0", c->name);
    cl->http = http_client_new(cl->loop, &(struct http_client_options){ .user_agent = buf_view(&agent) });
    buf_deinit(&agent);
    cl->deadline = mono_add(clock_mono(), c->f.timeout_ns > 0 ? c->f.timeout_ns / 1000000 : 30000);
    c->client = cl;
    return cl;
}

static struct ctl_request *begin(struct ctl *c, const char *method, struct str url, struct str body, struct str content_type)
{
    struct ctl_client *cl = c->client;
    struct pending *p = ARENA_NEW(c->arena, struct pending);
    size_t n = 0;
    p->headers[n++] = (struct http_header){ STR("Accept"), STR("application/json") };
    if (content_type.n)
        p->headers[n++] = (struct http_header){ STR("Content-Type"), content_type };
    if (cl->authorization.n)
        p->headers[n++] = (struct http_header){ STR("Authorization"), cl->authorization };
    int64_t left = cl->deadline.ms - clock_mono().ms;
    p->c = c;
    p->call = (struct http_call){ .method = str_c(method), .url = url, .headers = p->headers, .headers_count = n, .body = body,
                                  .config = cl->configured ? &cl->config : NULL, .timeout_ms = left > 0 ? left : 1,
                                  .response_bytes_max = ANSWER_BYTES_MAX, .done = call_done, .arg = p };
    http_client_send(cl->http, &p->call);
    return &p->pub;
}

static bool perform(struct ctl *c, const char *method, struct str url, struct str body, struct str content_type,
                    struct ctl_answer *answer)
{
    struct ctl_request *q = begin(c, method, url, body, content_type);
    while (!q->done)
        loop_run(c->client->loop);
    if (q->ok)
        *answer = q->answer;
    else
        c->err = q->err;
    return q->ok;
}

/* "0.34.1" -> "0.34" */
static struct str minor_version(struct str v)
{
    size_t first = str_find_byte(v, '.');
    if (first == STR_NPOS)
        return v;
    size_t second = str_find_byte(str_from(v, first + 1), '.');
    return second == STR_NPOS ? v : str_sub(v, 0, first + 1 + second);
}

/* The strings `version` and `revision` of versionInfo. */
static void read_version(struct ctl *c, struct str body, struct str *version, struct str *revision)
{
    struct json_reader r;
    struct str key;
    json_reader_init(&r, body, c->arena);
    if (!jr_object(&r))
        return;
    while (jr_member(&r, &key)) {
        if (!str_eq(key, STR("versionInfo"))) {
            (void)jr_skip(&r);
            continue;
        }
        if (!jr_object(&r))
            return;
        while (jr_member(&r, &key)) {
            struct str *into = str_eq(key, STR("version")) ? version : str_eq(key, STR("revision")) ? revision : NULL;
            if (!(into ? jr_str(&r, into) : jr_skip(&r)))
                return;
        }
    }
}

/* amtool's warning. To a person at a terminal it is not shown for a server of the same build: only scripts, which may look
 * for it, see that the server calls itself by Alertmanager's version. */
static void check_version(struct ctl *c)
{
    struct ctl_answer answer;
    struct err kept = c->err;
    struct str url = arena_printf(c->arena, "%.*s/api/v2/status", STR_ARG(c->client->base));
    bool ok = perform(c, "GET", url, STR_EMPTY, STR_EMPTY, &answer) && answer.status == 200;
    c->client->version_checked = true;
    c->err = kept;
    if (!ok)
        return;
    struct str version = STR_EMPTY, revision = STR_EMPTY, own = STR(TOCSIN_VERSION);
    read_version(c, answer.body, &version, &revision);
    bool same_build = str_eq(revision, STR("tocsin-" TOCSIN_VERSION));
    if (str_eq(minor_version(version), minor_version(own)) || (same_build && isatty(2)))
        return;
    fprintf(stderr, "Warning: %s version (%.*s) and alertmanager version (%.*s) are different.\n", c->name, STR_ARG(own),
            STR_ARG(version));
}

bool ctl_connect(struct ctl *c)
{
    if (c->client)
        return true;
    if (c->f.url.n == 0) {
        c->no_blank_line = true;
        return err_set(&c->err, ERR_INVALID, "required flag --alertmanager.url not provided");
    }
    struct ctl_client *cl = make_client(c);
    if (!read_url(c, cl) || (c->f.http_config_file.n && !load_http_config(c, cl)))
        return false;
    if (c->f.version_check)
        check_version(c);
    return true;
}

static struct str json_if(struct str body)
{
    return body.n ? STR("application/json") : STR_EMPTY;
}

static struct str api_url(struct ctl *c, struct str path)
{
    return arena_printf(c->arena, "%.*s/api/v2%.*s", STR_ARG(c->client->base), STR_ARG(path));
}

bool ctl_api(struct ctl *c, const char *method, struct str path, struct str body, struct ctl_answer *answer)
{
    return ctl_connect(c) && perform(c, method, api_url(c, path), body, json_if(body), answer);
}

struct ctl_request *ctl_api_begin(struct ctl *c, const char *method, struct str path, struct str body)
{
    return begin(c, method, api_url(c, path), body, json_if(body));
}

void ctl_api_wait(struct ctl *c)
{
    loop_run(c->client->loop);
}

bool ctl_get(struct ctl *c, struct str base_url, const char *method, struct str path_and_query, struct str form,
             struct ctl_answer *answer)
{
    if (!c->client) {
        struct ctl_client *cl = make_client(c);
        cl->base = base_url;
        cl->version_checked = true;
        if (c->f.http_config_file.n && !load_http_config(c, cl))
            return false;
    }
    while (base_url.n && base_url.p[base_url.n - 1] == '/')
        base_url.n--;
    struct str url = arena_printf(c->arena, "%.*s%.*s", STR_ARG(base_url), STR_ARG(path_and_query));
    return perform(c, method, url, form, form.n ? STR("application/x-www-form-urlencoded") : STR_EMPTY, answer);
}

static const char *kind_of(int status)
{
    switch (status) {
    case 400:
        return "BadRequest";
    case 404:
        return "NotFound";
    case 500:
        return "InternalServerError";
    default:
        return NULL;
    }
}

bool ctl_answer_ok(const struct ctl_answer *answer, const char *method, struct str path, const char *shown,
                   const char *operation, struct err *err)
{
    if (answer->status == 200)
        return true;
    const char *kind = kind_of(answer->status);
    struct str text = str_trim(answer->body);
    if (!kind)
        return err_set(err, ERR_INVALID, "[%s %s] %s (status %d): %.*s", method, shown, operation, answer->status,
                       STR_ARG(text));
    /* The 404 of a silence has no body in the API's description, so nothing is printed but the blank. */
    bool bodyless = answer->status == 404 && str_starts(path, STR("/silence/"));
    return err_set(err, answer->status == 404 ? ERR_NOT_FOUND : ERR_INVALID, "[%s %s][%d] %s%s %.*s", method, shown,
                   answer->status, operation, kind, bodyless ? 0 : (int)text.n, text.p);
}

bool ctl_api_ok(struct ctl *c, const char *method, struct str path, struct str body, const char *shown,
                const char *operation, struct str *out)
{
    struct ctl_answer answer;
    if (!ctl_api(c, method, path, body, &answer) || !ctl_answer_ok(&answer, method, path, shown, operation, &c->err))
        return false;
    *out = answer.body;
    return true;
}

void ctl_client_renew(struct ctl *c)
{
    ASSERT(c->client);
    c->client->deadline = mono_add(clock_mono(), c->f.timeout_ns > 0 ? c->f.timeout_ns / 1000000 : 30000);
}

void ctl_client_free(struct ctl *c)
{
    struct ctl_client *cl = c->client;
    if (!cl)
        return;
    http_client_free(cl->http);
    loop_free(cl->loop);
    if (cl->configured) {
        yaml_doc_deinit(&cl->doc);
        arena_deinit(&cl->config_arena);
    }
    mem_free(cl);
    c->client = NULL;
}
