/* Samples on their way from the log to their series: the log is in the order of time, so one after the other they would
 * fetch every series of the head from memory for each scrape. Here they gather by neighbouring series until there is
 * something to do for those, and other threads may do it.
 *
 * Samples of one series are applied in the order in which they were put. Thread: one owner; helpers are inside. */
#ifndef TOCSIN_TSDB_HEAD_STAGE_IO_H
#define TOCSIN_TSDB_HEAD_STAGE_IO_H

#include "tsdb/head/head_int.h"

struct stage;

/* `threads` help; without any, or when they cannot be started, the owner does it all. */
struct stage *stage_new(struct head *h, unsigned threads);
void stage_put(struct stage *st, uint32_t slot, int64_t t, uint64_t v);
/* All that was put for this series is applied, and nobody but the caller touches it until the next stage_put(). */
void stage_settle(struct stage *st, uint32_t slot);
/* All is applied and the helpers have ended. *mint and *maxt: of what the series took; INT64_MAX, INT64_MIN: nothing. */
void stage_free(struct stage *st, int64_t *mint, int64_t *maxt);

#endif
