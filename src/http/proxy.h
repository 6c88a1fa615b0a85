/* Which proxy a request goes through: Go's golang.org/x/net/http/httpproxy and the NO_PROXY rules.
 *
 * Thread: any; pure. */
#ifndef TOCSIN_HTTP_PROXY_H
#define TOCSIN_HTTP_PROXY_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "http/url.h"

#include <stdbool.h>

struct http_proxy_rules {
    struct str http_proxy, https_proxy, no_proxy;
    bool cgi; /* REQUEST_METHOD is set: HTTP_PROXY is not trusted */
};
/* HTTP_PROXY, HTTPS_PROXY, NO_PROXY or their lower-case forms, from "NAME=value" texts. */
void http_proxy_rules_from_environ(struct http_proxy_rules *r, const char *const *environ_);
/* *proxy is the URL to use, empty: go direct. localhost and loopback addresses always go direct; so does everything if
 * the proxy's URL makes no sense, as in Go. Error: HTTP_PROXY under CGI. */
MUST_CHECK bool http_proxy_for(struct arena *a, const struct http_proxy_rules *r, const struct http_url *u,
                               struct str *proxy, struct err *err);
/* The rule of no_proxy alone: is `host_port` ("host:port") to be proxied? */
bool http_proxy_wanted(struct str no_proxy, struct str host_port);

#endif
