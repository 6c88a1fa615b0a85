/* Requests and responses as values: look-ups, the answers' header list, and query strings.
 *
 * Headers are few (a request has ten, a response HTTP_RESPONSE_HEADERS_MAX at most), so they are searched in order. */
#include "http/message.h"

#include "http/url.h"

#include <stdint.h>

/* As Go's net/url since 1.26: a query with more pairs than this is an error as a whole. */
static const size_t PARAMS_MAX = 10000;

static const struct http_header *find(const struct http_header *headers, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (headers[i].name.n == name.n && str_eq_nocase(headers[i].name, name))
            return &headers[i];
    return NULL;
}

struct str http_request_header(const struct http_request *req, struct str name)
{
    const struct http_header *h = find(req->headers, req->headers_count, name);
    return h ? h->value : STR_EMPTY;
}

bool http_request_has_header(const struct http_request *req, struct str name)
{
    return find(req->headers, req->headers_count, name) != NULL;
}

void http_response_header(struct http_response *res, struct str name, struct str value)
{
    ASSERT(res->headers_count < HTTP_RESPONSE_HEADERS_MAX);
    ASSERT(name.n > 0);
    res->headers[res->headers_count++] = (struct http_header){ name, value };
}

void http_response_set_header(struct http_response *res, struct str name, struct str value)
{
    size_t kept = 0;
    for (size_t i = 0; i < res->headers_count; i++)
        if (!str_eq_nocase(res->headers[i].name, name))
            res->headers[kept++] = res->headers[i];
    res->headers_count = kept;
    http_response_header(res, name, value);
}

void http_response_text(struct http_response *res, int status, struct str content_type, struct str body)
{
    res->status = status;
    http_response_set_header(res, STR("Content-Type"), content_type);
    buf_reset(&res->body);
    buf_str(&res->body, body);
}

/* A decoded piece: the slice itself if nothing in it is escaped. */
static bool decode(struct arena *a, struct str s, struct str *out)
{
    *out = s;
    if (str_find_byte(s, '%') == STR_NPOS && str_find_byte(s, '+') == STR_NPOS)
        return true;
    char *p = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%') {
            p[n++] = s.p[i] == '+' ? ' ' : s.p[i];
            continue;
        }
        if (i + 2 >= s.n || !ascii_is_xdigit(s.p[i + 1]) || !ascii_is_xdigit(s.p[i + 2]))
            return false;
        p[n++] = (char)(ascii_xdigit_value(s.p[i + 1]) << 4 | ascii_xdigit_value(s.p[i + 2]));
        i += 2;
    }
    *out = str_of(p, n);
    return true;
}

void http_params_parse(struct arena *a, struct str query, struct http_params *out)
{
    *out = (struct http_params){ 0 };
    if (query.n == 0)
        return;
    size_t pairs = 1;
    for (size_t i = 0; i < query.n; i++)
        pairs += query.p[i] == '&';
    if (pairs > PARAMS_MAX) {
        out->bad = true;
        return;
    }
    out->v = arena_alloc_array(a, pairs, sizeof *out->v);
    struct str rest = query, pair;
    while (str_split(&rest, '&', &pair)) {
        if (pair.n == 0)
            continue;
        size_t eq = str_find_byte(pair, '=');
        struct http_param p;
        if (str_find_byte(pair, ';') != STR_NPOS || !decode(a, str_sub(pair, 0, eq == STR_NPOS ? pair.n : eq), &p.name) ||
            !decode(a, eq == STR_NPOS ? STR_EMPTY : str_from(pair, eq + 1), &p.value)) {
            out->bad = true;
            continue;
        }
        ASSERT(out->n < pairs);
        out->v[out->n++] = p;
    }
}

struct str http_param_get(const struct http_params *ps, struct str name)
{
    for (size_t i = 0; i < ps->n; i++)
        if (str_eq(ps->v[i].name, name))
            return ps->v[i].value;
    return STR_EMPTY;
}

struct str http_param_last(const struct http_params *ps, struct str name)
{
    for (size_t i = ps->n; i-- > 0;)
        if (str_eq(ps->v[i].name, name))
            return ps->v[i].value;
    return STR_EMPTY;
}

bool http_param_has(const struct http_params *ps, struct str name)
{
    for (size_t i = 0; i < ps->n; i++)
        if (str_eq(ps->v[i].name, name))
            return true;
    return false;
}

static const struct {
    int status;
    struct str text;
} status_texts[] = { /* Go's http.StatusText */
    { 100, STR_INIT("Continue") },
    { 101, STR_INIT("Switching Protocols") },
    { 102, STR_INIT("Processing") },
    { 103, STR_INIT("Early Hints") },
    { 200, STR_INIT("OK") },
    { 201, STR_INIT("Created") },
    { 202, STR_INIT("Accepted") },
    { 203, STR_INIT("Non-Authoritative Information") },
    { 204, STR_INIT("No Content") },
    { 205, STR_INIT("Reset Content") },
    { 206, STR_INIT("Partial Content") },
    { 207, STR_INIT("Multi-Status") },
    { 208, STR_INIT("Already Reported") },
    { 226, STR_INIT("IM Used") },
    { 300, STR_INIT("Multiple Choices") },
    { 301, STR_INIT("Moved Permanently") },
    { 302, STR_INIT("Found") },
    { 303, STR_INIT("See Other") },
    { 304, STR_INIT("Not Modified") },
    { 305, STR_INIT("Use Proxy") },
    { 307, STR_INIT("Temporary Redirect") },
    { 308, STR_INIT("Permanent Redirect") },
    { 400, STR_INIT("Bad Request") },
    { 401, STR_INIT("Unauthorized") },
    { 402, STR_INIT("Payment Required") },
    { 403, STR_INIT("Forbidden") },
    { 404, STR_INIT("Not Found") },
    { 405, STR_INIT("Method Not Allowed") },
    { 406, STR_INIT("Not Acceptable") },
    { 407, STR_INIT("Proxy Authentication Required") },
    { 408, STR_INIT("Request Timeout") },
    { 409, STR_INIT("Conflict") },
    { 410, STR_INIT("Gone") },
    { 411, STR_INIT("Length Required") },
    { 412, STR_INIT("Precondition Failed") },
    { 413, STR_INIT("Request Entity Too Large") },
    { 414, STR_INIT("Request URI Too Long") },
    { 415, STR_INIT("Unsupported Media Type") },
    { 416, STR_INIT("Requested Range Not Satisfiable") },
    { 417, STR_INIT("Expectation Failed") },
    { 418, STR_INIT("I'm a teapot") },
    { 421, STR_INIT("Misdirected Request") },
    { 422, STR_INIT("Unprocessable Entity") },
    { 423, STR_INIT("Locked") },
    { 424, STR_INIT("Failed Dependency") },
    { 425, STR_INIT("Too Early") },
    { 426, STR_INIT("Upgrade Required") },
    { 428, STR_INIT("Precondition Required") },
    { 429, STR_INIT("Too Many Requests") },
    { 431, STR_INIT("Request Header Fields Too Large") },
    { 451, STR_INIT("Unavailable For Legal Reasons") },
    { 500, STR_INIT("Internal Server Error") },
    { 501, STR_INIT("Not Implemented") },
    { 502, STR_INIT("Bad Gateway") },
    { 503, STR_INIT("Service Unavailable") },
    { 504, STR_INIT("Gateway Timeout") },
    { 505, STR_INIT("HTTP Version Not Supported") },
    { 506, STR_INIT("Variant Also Negotiates") },
    { 507, STR_INIT("Insufficient Storage") },
    { 508, STR_INIT("Loop Detected") },
    { 510, STR_INIT("Not Extended") },
    { 511, STR_INIT("Network Authentication Required") },
};

struct str http_status_text(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(status_texts); i++)
        if (status_texts[i].status == status)
            return status_texts[i].text;
    return STR_EMPTY;
}
