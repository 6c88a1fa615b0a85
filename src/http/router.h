/* Routes: a table of method, pattern and a number that says whose it is. Patterns are paths whose segments may be
 * `:name` (one segment, not empty at the end) or, last, `*name` (the rest with its leading
 * slash: "/x.css"). A literal segment beats `:name`, which beats `*name`. One pattern may stand in several rows, one a method.
 *
 * What is not found is told apart as julienschmidt/httprouter does for Alertmanager and Prometheus: wrong method (with
 * the allowed ones), OPTIONS answered by itself, and redirects to the path with or without a trailing slash, or to the
 * cleaned path in another case.
 *
 * Matching walks the table once per candidate segment and allocates nothing. Thread: any; pure. */
#ifndef TOCSIN_HTTP_ROUTER_H
#define TOCSIN_HTTP_ROUTER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "http/message.h"

#include <stdbool.h>
#include <stddef.h>

struct http_route {
    const char *method;  /* "GET" */
    const char *pattern; /* "/api/v2/silence/:silenceID" */
    int handler;
};

#define HTTP_ROUTE_PARAMS_MAX 8
struct http_route_param {
    struct str name, value; /* slices of the pattern and of the path: not unescaped */
};
enum http_route_result {
    HTTP_ROUTE_FOUND,
    HTTP_ROUTE_NOT_FOUND,
    HTTP_ROUTE_NO_METHOD, /* the path is there, not for this method */
    HTTP_ROUTE_OPTIONS,   /* OPTIONS of a path that has no such row: answer with `allowed` */
    HTTP_ROUTE_SLASH,     /* redirect to the path with its trailing slash added or removed */
    HTTP_ROUTE_FIXED,     /* redirect to *fixed: cleaned, and in the pattern's case */
};
struct http_route_match {
    const struct http_route *route;
    struct http_route_param params[HTTP_ROUTE_PARAMS_MAX];
    size_t params_count;
    struct str fixed;   /* HTTP_ROUTE_SLASH, HTTP_ROUTE_FIXED: the path to go to; in the arena */
    struct str allowed; /* HTTP_ROUTE_NO_METHOD, HTTP_ROUTE_OPTIONS: "GET, OPTIONS"; in the arena */
};
enum http_route_result http_route(const struct http_route *routes, size_t routes_count, struct str method,
                                  struct str path, struct arena *a, struct http_route_match *m);
struct str http_route_param(const struct http_route_match *m, struct str name); /* empty if absent */

/* The answers that Go's net/http gives for them. */
void http_answer_error(struct http_response *res, int status, struct str text); /* http.Error: text, newline, nosniff */
void http_answer_not_found(struct http_response *res);                          /* 404 page not found */
void http_answer_no_method(struct http_response *res, struct str allowed);      /* 405 Method Not Allowed */
/* http.Redirect: Location, and for GET the little page. `location` must outlive the response. */
void http_answer_redirect(struct http_response *res, const struct http_request *req, struct str location, int status);
/* All of the above by result (not for HTTP_ROUTE_FOUND): 301 for GET, 308 for other methods, the query kept. */
void http_answer_unrouted(struct http_response *res, const struct http_request *req, enum http_route_result result,
                          const struct http_route_match *m);

#endif
