/* Writes a metric registry as Prometheus's text format or as OpenMetrics, as client_golang does: families in name order
 * with HELP and TYPE, series sorted by their label values, classic histogram series, summaries without quantiles.
 * The body is built whole; it is bounded by the registry, whose vectors bound their children.
 *
 * OpenMetrics wants counters to end in _total and writes them so: a counter of another name changes its name there.
 * The peers' own /metrics therefore never speak it (promhttp.Handler() leaves it off), and neither should what stands
 * in for them. Thread: any (the registry's rules). Upstream: prometheus/common expfmt. */
#ifndef TOCSIN_EXPFMT_WRITE_H
#define TOCSIN_EXPFMT_WRITE_H

#include "base/buf.h"
#include "base/metric.h"
#include "base/str.h"

enum expfmt_format { EXPFMT_TEXT_0_0_4, EXPFMT_TEXT_1_0_0, EXPFMT_OPENMETRICS_0_0_1, EXPFMT_OPENMETRICS_1_0_0 };

struct expfmt_choice {
    enum expfmt_format format;
    struct str content_type; /* static: "text/plain; version=0.0.4; charset=utf-8; escaping=underscores" */
};
/* What to answer to this Accept header (empty: text 0.0.4): the client's best by q, ties in its order. The escaping it
 * asks for is echoed; all our names are classic, so it changes nothing else. The first never chooses OpenMetrics. */
struct expfmt_choice expfmt_negotiate(struct str accept);
struct expfmt_choice expfmt_negotiate_openmetrics(struct str accept);
void expfmt_write(struct buf *out, enum expfmt_format format, struct metric_registry *registry);

#endif
