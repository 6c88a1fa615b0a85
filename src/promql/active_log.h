/* The queries that run now, in a file, so that a crash leaves a trace: at the next start those that were running are told to
 * the log. A file of fixed slots, one a query; a slot is one line of JSON padded with NUL bytes, written when the query begins
 * and emptied when it ends. Nothing is synced: the file is for a process that dies, not for a machine that does.
 *
 * Thread: any; slots are claimed without a lock. Upstream: prometheus promql/query_logger.go, `queries.active`. */
#ifndef TOCSIN_PROMQL_ACTIVE_LOG_H
#define TOCSIN_PROMQL_ACTIVE_LOG_H

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/str.h"

#include <stddef.h>

struct active_log;

/* Opens <dir>/queries.active with a slot for each of `slots` queries. What an earlier process left running is shown to `seen`
 * (may be NULL), one call with the JSON of each. */
MUST_CHECK bool active_log_open(struct fs *fs, struct str dir, size_t slots, void (*seen)(void *arg, struct str json), void *arg,
                                struct active_log **out, struct err *err);
void active_log_close(struct active_log *l); /* NULL is fine */

/* The slot, or SIZE_MAX if none is free (then the query is not logged). */
size_t active_log_begin(struct active_log *l, struct str query, wall_ms now);
void active_log_end(struct active_log *l, size_t slot);

#endif
