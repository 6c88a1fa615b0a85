/* Remote write, the receiving side: one prometheus.WriteRequest (1.0, decompressed) into one batch of the store.
 *
 * Series without a valid name or with invalid or repeated labels are skipped and counted; a sample that the store refuses
 * ends the request and rolls the batch back, as upstream does. Thread: any; one call at a time per arena.
 * Upstream: storage/remote/write_handler.go; spec/prometheus.md 8.3, 8.4. */
#ifndef TOCSIN_REMOTE_RECEIVE_H
#define TOCSIN_REMOTE_RECEIVE_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/metric.h"
#include "storage/storage.h"

#define REMOTE_WRITE_BYTES_MAX ((size_t)128 << 20) /* decompressed */
#define REMOTE_LABELS_MAX      1024                /* of one series */

struct receive_stats {
    struct counter samples, histograms, exemplars, invalid_series;
};
extern const struct metric_desc receive_metrics[];
extern const size_t receive_metrics_count;

/* The HTTP status: 204, 400 (err says why), 500. Nothing of a request that failed is kept. */
int remote_receive(struct arena *a, struct str message, struct storage *st, wall_ms now, struct receive_stats *stats,
                   struct err *err);

#endif
