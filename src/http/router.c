/* Route tables, matched as julienschmidt/httprouter matches.
 *
 * R1  Each method is a tree of its own: a path that another method would match better does not take it away.
 * R2  Of the patterns of a method that match, the one that is more literal at the first segment where they differ wins;
 *     `rank` holds two bits a segment, most significant first. */
#include "http/router.h"

#include "http/url.h"

#include <stdint.h>
#include <stdlib.h>

enum { RANK_SEGMENTS = 32, METHODS_MAX = 16 };

struct matching {
    struct http_route_param params[HTTP_ROUTE_PARAMS_MAX];
    size_t params_count;
    uint64_t rank;
    struct buf *fixed; /* may be NULL: the path in the pattern's case */
};

static void add_param(struct matching *m, struct str name, struct str value)
{
    ASSERT(m->params_count < HTTP_ROUTE_PARAMS_MAX);
    m->params[m->params_count++] = (struct http_route_param){ name, value };
}

static void fix(struct matching *m, struct str text)
{
    if (m->fixed)
        buf_str(m->fixed, text);
}

/* Does the path match the pattern? Segment by segment; literals in any case if `fixed` is wanted. */
static bool match(struct str pattern, struct str path, struct matching *m)
{
    m->params_count = 0;
    m->rank = 0;
    if (m->fixed)
        buf_reset(m->fixed);
    if (path.n == 0 || path.p[0] != '/')
        return false;
    ASSERT(pattern.n && pattern.p[0] == '/');
    struct str p = str_from(pattern, 1), s = str_from(path, 1), want, got, before = path;
    bool more = true;
    for (unsigned at = 0; more; at++) {
        unsigned shift = at < RANK_SEGMENTS ? 62 - 2 * at : 0;
        bool p_ends = str_find_byte(p, '/') == STR_NPOS, s_ends = str_find_byte(s, '/') == STR_NPOS;
        (void)str_split(&p, '/', &want);
        if (want.n && want.p[0] == '*') { /* the rest, its slash included */
            add_param(m, str_from(want, 1), before);
            fix(m, before);
            return true;
        }
        (void)str_split(&s, '/', &got);
        fix(m, STR("/"));
        if (want.n && want.p[0] == ':') {
            if (got.n == 0 && s_ends)
                return false;
            add_param(m, str_from(want, 1), got);
            fix(m, got);
            m->rank |= (uint64_t)1 << shift;
        } else {
            if (!str_eq(want, got) && !(m->fixed && str_eq_nocase(want, got)))
                return false;
            fix(m, want);
            m->rank |= (uint64_t)2 << shift;
        }
        if (p_ends != s_ends)
            return false;
        before = s.p && !s_ends ? str_of(s.p - 1, s.n + 1) : STR_EMPTY;
        more = !p_ends;
    }
    return true;
}

static const struct http_route *best(const struct http_route *routes, size_t count, struct str method, struct str path,
                                     struct matching *out, struct buf *fixed)
{
    const struct http_route *found = NULL;
    struct matching m = { .fixed = fixed };
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(str_c(routes[i].method), method) || !match(str_c(routes[i].pattern), path, &m))
            continue;
        if (fixed)
            return &routes[i];
        if (!found || m.rank > out->rank) {
            found = &routes[i];
            *out = m;
        }
    }
    return found;
}

static bool has_method(const struct http_route *routes, size_t count, struct str method)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(str_c(routes[i].method), method))
            return true;
    return false;
}

/* The path with its trailing slash added or taken away. */
static struct str toggle_slash(struct arena *a, struct str path)
{
    if (path.n > 1 && path.p[path.n - 1] == '/')
        return str_sub(path, 0, path.n - 1);
    return arena_printf(a, "%.*s/", STR_ARG(path));
}

/* . and .. and double slashes gone, a trailing slash kept. */
static struct str clean(struct arena *a, struct str path)
{
    struct str c = http_path_clean(a, arena_printf(a, "/%.*s", STR_ARG(path)));
    return str_ends(path, STR("/")) && c.n > 1 ? arena_printf(a, "%.*s/", STR_ARG(c)) : c;
}

static int compare_methods(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* "GET, OPTIONS": methods whose tree has the path; empty if none. */
static struct str allowed_methods(const struct http_route *routes, size_t count, struct str path, struct arena *a)
{
    struct str methods[METHODS_MAX + 1];
    size_t n = 0;
    struct matching m = { 0 };
    for (size_t i = 0; i < count && n < METHODS_MAX; i++) {
        struct str method = str_c(routes[i].method);
        bool known = str_eq(method, STR("OPTIONS"));
        for (size_t j = 0; j < n && !known; j++)
            known = str_eq(methods[j], method);
        if (!known && match(str_c(routes[i].pattern), path, &m))
            methods[n++] = method;
    }
    if (n == 0)
        return STR_EMPTY;
    methods[n++] = STR("OPTIONS");
    qsort(methods, n, sizeof *methods, compare_methods);
    struct buf b = { 0 };
    for (size_t i = 0; i < n; i++) {
        buf_c(&b, i ? ", " : "");
        buf_str(&b, methods[i]);
    }
    struct str s = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return s;
}

/* A redirect within the method's tree, if there is one. */
static bool find_redirect(const struct http_route *routes, size_t count, struct str method, struct str path,
                          struct arena *a, struct http_route_match *out, enum http_route_result *result)
{
    struct matching m = { 0 };
    struct str other = toggle_slash(a, path);
    if (best(routes, count, method, other, &m, NULL)) {
        out->fixed = other;
        *result = HTTP_ROUTE_SLASH;
        return true;
    }
    struct buf fixed = { 0 };
    struct str cleaned = clean(a, path);
    bool found = best(routes, count, method, cleaned, &m, &fixed) != NULL ||
                 best(routes, count, method, toggle_slash(a, cleaned), &m, &fixed) != NULL;
    if (found)
        out->fixed = arena_str(a, buf_view(&fixed));
    buf_deinit(&fixed);
    *result = HTTP_ROUTE_FIXED;
    return found;
}

enum http_route_result http_route(const struct http_route *routes, size_t routes_count, struct str method,
                                  struct str path, struct arena *a, struct http_route_match *m)
{
    struct matching found = { 0 };
    enum http_route_result result;
    *m = (struct http_route_match){ .fixed = STR_EMPTY, .allowed = STR_EMPTY };
    m->route = best(routes, routes_count, method, path, &found, NULL);
    if (m->route) {
        m->params_count = found.params_count;
        memcpy(m->params, found.params, sizeof m->params);
        return HTTP_ROUTE_FOUND;
    }
    if (has_method(routes, routes_count, method) && !str_eq(path, STR("/")) && str_starts(path, STR("/")) &&
        find_redirect(routes, routes_count, method, path, a, m, &result))
        return result;
    m->allowed = allowed_methods(routes, routes_count, path, a);
    if (m->allowed.n)
        return str_eq(method, STR("OPTIONS")) ? HTTP_ROUTE_OPTIONS : HTTP_ROUTE_NO_METHOD;
    return HTTP_ROUTE_NOT_FOUND;
}

struct str http_route_param(const struct http_route_match *m, struct str name)
{
    for (size_t i = 0; i < m->params_count; i++)
        if (str_eq(m->params[i].name, name))
            return m->params[i].value;
    return STR_EMPTY;
}

/* ---- Answers ---- */

void http_answer_error(struct http_response *res, int status, struct str text)
{
    http_response_text(res, status, STR("text/plain; charset=utf-8"), text);
    buf_byte(&res->body, '\n');
    http_response_set_header(res, STR("X-Content-Type-Options"), STR("nosniff"));
}

void http_answer_not_found(struct http_response *res)
{
    http_answer_error(res, 404, STR("404 page not found"));
}

void http_answer_no_method(struct http_response *res, struct str allowed)
{
    http_response_set_header(res, STR("Allow"), allowed);
    http_answer_error(res, 405, http_status_text(405));
}

static void escape_html(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '&':
            buf_c(b, "&amp;");
            break;
        case '<':
            buf_c(b, "&lt;");
            break;
        case '>':
            buf_c(b, "&gt;");
            break;
        case '"':
            buf_c(b, "&#34;");
            break;
        case '\'':
            buf_c(b, "&#39;");
            break;
        default:
            buf_byte(b, s.p[i]);
        }
    }
}

void http_answer_redirect(struct http_response *res, const struct http_request *req, struct str location, int status)
{
    bool get = str_eq(req->method, STR("GET"));
    res->status = status;
    http_response_set_header(res, STR("Location"), location);
    if (get || str_eq(req->method, STR("HEAD")))
        http_response_set_header(res, STR("Content-Type"), STR("text/html; charset=utf-8"));
    buf_reset(&res->body);
    if (!get)
        return;
    buf_c(&res->body, "<a href=\"");
    escape_html(&res->body, location);
    buf_c(&res->body, "\">");
    buf_str(&res->body, http_status_text(status));
    buf_c(&res->body, "</a>.\n\n");
}

void http_answer_unrouted(struct http_response *res, const struct http_request *req, enum http_route_result result,
                          const struct http_route_match *m)
{
    switch (result) {
    case HTTP_ROUTE_FOUND:
        ASSERT(!"a route was found");
        return;
    case HTTP_ROUTE_NOT_FOUND:
        http_answer_not_found(res);
        return;
    case HTTP_ROUTE_NO_METHOD:
        http_answer_no_method(res, m->allowed);
        return;
    case HTTP_ROUTE_OPTIONS:
        res->status = 200;
        http_response_set_header(res, STR("Allow"), m->allowed);
        return;
    case HTTP_ROUTE_SLASH:
    case HTTP_ROUTE_FIXED: {
        /* Never "//host": a path that starts with two slashes would lead away from here. */
        struct str path = m->fixed;
        while (path.n > 1 && path.p[0] == '/' && path.p[1] == '/')
            path = str_from(path, 1);
        struct str to = arena_printf(req->arena, "%.*s%s%.*s", STR_ARG(path), req->query.n ? "?" : "",
                                     STR_ARG(req->query));
        http_answer_redirect(res, req, to, str_eq(req->method, STR("GET")) ? 301 : 308);
        return;
    }
    }
}
