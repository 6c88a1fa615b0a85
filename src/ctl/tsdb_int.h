/* What the tsdb verbs share. */
#ifndef TOCSIN_CTL_TSDB_INT_H
#define TOCSIN_CTL_TSDB_INT_H

#include "ctl/tsdb.h"
#include "tsdb/tsdb.h"

MUST_CHECK bool tsdb_verb_flush(struct tsdb_verb_out *out, bool all, struct err *err);
MUST_CHECK bool tsdb_verb_open(struct fs *fs, struct str dir, struct tsdb **db, struct err *err); /* for reading */
void tsdb_verb_quote(struct buf *out, struct str s); /* an OpenMetrics label value */

#endif
