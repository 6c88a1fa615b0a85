/* The store's side of HTTP API v1: remote write, what the operator asks of the store, and what the build says of itself.
 * Queries are in v1.h.
 *
 * Thread: any; the store's own rules. Upstream: prometheus web/api/v1; spec/prometheus.md 8.4, 9.5. */
#ifndef TOCSIN_API_STORE_API_H
#define TOCSIN_API_STORE_API_H

#include "base/arena.h"
#include "base/clock.h"
#include "http/message.h"
#include "remote/receive.h"
#include "tsdb/tsdb.h"

#include <stdbool.h>

struct store_api {
    struct tsdb *db;
    bool receive_enabled; /* --web.enable-remote-write-receiver */
    bool admin_enabled;   /* --web.enable-admin-api */
    struct str version, revision;
    struct str cwd, hostname, retention;
    struct wire_time started;
    const struct http_param *flags; /* name -> text, sorted */
    size_t flags_count;
    struct receive_stats stats;
};

/* Answers a request below /api/v1 if it is one of these; `path` is what follows it. False: not one of them. */
bool store_api_handle(struct store_api *s, const struct http_request *req, struct http_response *res, struct str path,
                      struct wire_time now);

/* {"status":"error","errorType":...,"error":...} */
void store_api_error(struct http_response *res, int status, struct str type, struct str text);

#endif
