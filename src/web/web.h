/* Everything below the listeners that is not the API itself: routes, the prefix, lifecycle, /metrics, the front page, the limit
 * of concurrent GETs, and what is measured about requests. Pure: a request value in, a response value out.
 *
 * Thread: web_handle runs on any thread; the struct is filled before the first request and then only its stats move. */
#ifndef TOCSIN_WEB_WEB_H
#define TOCSIN_WEB_WEB_H

#include "api/api.h"
#include "base/metric.h"
#include "base/stopwatch.h"
#include "base/str.h"

#include <stdatomic.h>
#include <stdbool.h>

struct web_stats {
    struct metric_vec *duration;  /* alertmanager_http_request_duration_seconds */
    struct metric_vec *size;      /* alertmanager_http_response_size_bytes */
    struct gauge in_flight;       /* alertmanager_http_requests_in_flight{method="get"} */
    struct counter limit_exceeded;
};
extern const struct metric_desc web_metrics[];
extern const size_t web_metrics_count;

struct web;
/* One request; app makes it in the request's arena, fills req, res, finish and carrier of `call`, and hands it in. */
struct web_call {
    struct api_call call;
    void (*finish)(struct web_call *c);
    struct web *web;
    struct stopwatch watch;
    struct str handler; /* label value */
    bool counted;       /* holds one of the GET slots */
    bool is_api;        /* the size of its answers is not measured */
};

/* What Prometheus's half answers: /api/v1 and the rest of its routes. */
struct web_half {
    void *arg;
    void (*handle)(void *arg, struct web_call *c, struct str path); /* answers it */
};

struct web {
    struct api *api;               /* the alert half; NULL: it does not run */
    struct api *control;           /* who is asked to reload, whichever halves run */
    struct web_half prometheus;    /* handle NULL: it does not run */
    struct str prefix;             /* "" or "/x" */
    int get_limit;                 /* concurrent API GETs; > 0 */
    struct metric_registry *registry;
    bool lifecycle_open;           /* /-/reload without --web.enable-lifecycle (the alert half alone) */
    bool lifecycle_enabled;        /* --web.enable-lifecycle */
    bool (*ready)(void *arg);
    void (*quit)(void *arg);
    void *arg;
    struct str version;            /* of tocsin, for the front page */
    struct web_stats stats;
    atomic_int gets;
};

void web_handle(struct web *w, struct web_call *c);

/* For the halves: set the label value of the handler, then answer and finish through these. */
void web_answer(struct web_call *c, int status, struct str content_type, struct str body);

#endif
