/* The process's own figures, named as the Go client names them; read from /proc when metrics are collected.
 *
 * Thread: the registry's caller. */
#ifndef TOCSIN_IO_PROCESS_METRICS_H
#define TOCSIN_IO_PROCESS_METRICS_H

#include "base/metric.h"

#include <stddef.h>

struct process_stats {
    struct fcounter cpu_seconds;
    struct gauge open_fds, max_fds, virtual_memory_bytes, virtual_memory_max_bytes, resident_memory_bytes,
        start_time_seconds;
    struct fcounter network_receive_bytes, network_transmit_bytes;
};
extern const struct metric_desc process_metric_descs[];
extern const size_t process_metric_descs_count;
void process_stats_collect(void *stats, void *arg); /* for metric_registry_add */

#endif
