/* The query half of Prometheus's HTTP API v1: query, query_range, series, labels, label values, exemplars, metadata,
 * format_query, parse_query.
 *
 *     api_v1_begin(v, req, res, path, now, &job)     on the HTTP thread: parameters, cheap answers
 *     api_v1_run(job), api_v1_release(job)           on a query thread, if there is a job; then hand the response over
 *
 * A job lives in the request's arena and fills `res`; the body is pulled in pieces and frees the result at its end. Whoever
 * runs it arms a timer of job->timeout_ms that sets job->stop (enum promql_stop), also when the client hangs up.
 *
 * Thread: api_v1_begin on any; a job on one thread. Upstream: prometheus web/api/v1; spec/prometheus.md 9.1-9.3. */
#ifndef TOCSIN_API_V1_H
#define TOCSIN_API_V1_H

#include "base/metric.h"
#include "http/message.h"
#include "promql/promql.h"
#include "storage/storage.h"

#include <stdatomic.h>
#include <stdbool.h>

struct api_v1 {
    struct storage *storage;
    unsigned features;          /* enum promql_features */
    int64_t lookback_ms;        /* --query.lookback-delta; 0: 5m */
    int64_t timeout_ms;         /* --query.timeout; 0: 2m */
    size_t samples_max;         /* --query.max-samples; 0: 50 million */
    size_t memory_max_bytes;    /* of one query; 0: PROMQL_MEMORY_MAX */
    _Atomic int64_t interval_ms; /* global evaluation_interval, default step of subqueries; 0: 1m. Changes with a reload */
};

struct api_v1_job {
    struct api_v1 *v;
    const struct http_request *req;
    struct http_response *res;
    struct http_params params; /* body first, then query string */
    bool (*work)(struct api_v1_job *j);
    wall_ms now;
    int64_t timeout_ms;
    _Atomic int stop;
    double queued_s; /* how long it waited; set by whoever runs it, for stats */

    struct promql_expr *expr;
    struct promql_run run;
    size_t limit;
    struct str stats;
    struct str label;
    int64_t mint, maxt;
    struct matchers *sets;
    size_t sets_count;
    int64_t per_metric_limit;

    /* how it went, for logs and metrics; set by api_v1_run */
    bool is_query;          /* query or query_range: it has an expression */
    struct err failed;      /* ERR_NONE: it was answered with a result */
    struct promql_stats ran; /* of a result; per_step is gone */
};

/* False: not one of these paths (`path` is what follows /api/v1). True with *job NULL: res is the answer. */
bool api_v1_begin(struct api_v1 *v, const struct http_request *req, struct http_response *res, struct str path, wall_ms now,
                  struct api_v1_job **job);
void api_v1_run(struct api_v1_job *job);
void api_v1_release(struct api_v1_job *job); /* after run, before the response is handed over */
/* The stats object as answers and the query log have it, of a job that was run. */
void api_v1_write_stats(struct json_writer *w, const struct api_v1_job *job);
/* Instead of running it, when there is no place for it. */
void api_v1_refuse(struct api_v1_job *job, const char *why);

#endif
