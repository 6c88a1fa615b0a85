/* Writes a metric registry as Prometheus's text format 0.0.4 or OpenMetrics 1.0, as client_golang does: families in name
 * order with HELP and TYPE, series sorted by their label values, classic histogram series, summaries without quantiles.
 * The body is built whole; it is bounded by the registry, whose vectors bound their children.
 * Thread: any (the registry's rules). */
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
/* What to answer to this Accept header (empty: text): the client's best by q, ties in its order. */
struct expfmt_choice expfmt_negotiate(struct str accept);
void expfmt_write(struct buf *out, enum expfmt_format format, struct metric_registry *registry);

#endif
