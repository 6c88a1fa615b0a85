/* The Prometheus half: the store, its background thread, the query threads, and the door to /api/v1.
 *
 * Thread: start, reload and stop on main; handle on any. */
#ifndef TOCSIN_APP_PROMETHEUS_HALF_H
#define TOCSIN_APP_PROMETHEUS_HALF_H

#include "app/features.h"
#include "app/options.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/metric.h"
#include "config/config.h"
#include "web/web.h"

struct prometheus_half;
struct prometheus_half_options {
    const struct options *options;
    const struct features *features;
    const struct config *config;
    struct fs *fs;
    uint64_t seed;
    struct str hostname;
    struct wire_time started;
    struct metric_registry *registry;
    struct loop_metrics *loop_metrics;
};
/* Opens the store (replay and repair included) and starts the threads. */
MUST_CHECK struct prometheus_half *prometheus_half_start(const struct prometheus_half_options *options, struct err *err);
struct web_half prometheus_half_door(struct prometheus_half *p);
void prometheus_half_reload(struct prometheus_half *p, const struct config *config);
void prometheus_half_stop(struct prometheus_half *p); /* closes the store; frees; NULL is fine */

#endif
