/* Queries of the API on their way: they wait for their turn, run, are watched while they run, and leave a trace in
 * queries.active and, if one is configured, in the query log.
 *
 * At most `concurrency` run at a time, each on a thread of its own; threads are made as they are needed and kept. Further
 * queries wait in the order of their arrival, as long as their clients do. A query's timeout begins when it begins to run.
 *
 * Thread: queries_submit on any; start, reload and stop on main. */
#ifndef TOCSIN_APP_QUERIES_H
#define TOCSIN_APP_QUERIES_H

#include "api/v1.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/metric.h"
#include "web/web.h"

struct queries;
struct queries_options {
    struct fs *fs;
    struct str dir; /* of queries.active */
    size_t concurrency;
    struct metric_registry *registry;
};
MUST_CHECK bool queries_start(const struct queries_options *o, struct queries **out, struct err *err);
/* What waits is refused, what runs is stopped. NULL is fine. */
void queries_stop(struct queries *s);

/* The query log: `path` relative to the process, empty for none. An error is logged and leaves it off. */
void queries_log_to(struct queries *s, struct str path);

/* Takes a job over: it is run and its call is finished. */
void queries_submit(struct queries *s, struct web_call *c, struct api_v1_job *job);

#endif
