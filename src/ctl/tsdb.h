/* promtool's tsdb verbs: list, dump, dump-openmetrics, analyze, create-blocks-from openmetrics, bench write. Each takes its
 * options and a file system and writes what promtool prints; command lines and exit codes are ctl's.
 *
 * Output goes to `out->buf`; where it may be large it is handed on piecewise by `flush` (NULL: it stays in the buffer).
 * Thread: one owner. Upstream: prometheus cmd/promtool/tsdb.go, backfill.go, analyze.go. */
#ifndef TOCSIN_CTL_TSDB_H
#define TOCSIN_CTL_TSDB_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"

struct tsdb_verb_out {
    struct buf *buf;
    bool (*flush)(void *arg, struct buf *buf, struct err *err); /* writes and empties it */
    void *arg;
};

/* list [-r]: a table of blocks. */
MUST_CHECK bool tsdb_verb_list(struct fs *fs, struct str dir, bool human, struct tsdb_verb_out *out, struct err *err);

enum tsdb_dump_format { TSDB_DUMP_PROM, TSDB_DUMP_JSON, TSDB_DUMP_OPENMETRICS };
struct tsdb_dump {
    struct str dir;
    int64_t mint, maxt; /* INT64_MIN, INT64_MAX: all */
    const struct str *matches; /* series selectors; none: all series */
    size_t matches_count;
    enum tsdb_dump_format format;
};
MUST_CHECK bool tsdb_verb_dump(struct fs *fs, const struct tsdb_dump *o, struct tsdb_verb_out *out, struct err *err);

struct tsdb_analyze {
    struct str dir, block; /* block empty: the last one */
    size_t limit;
    bool extended;
    struct str match; /* empty: all series */
};
MUST_CHECK bool tsdb_verb_analyze(struct fs *fs, const struct tsdb_analyze *o, struct tsdb_verb_out *out, struct err *err);

struct tsdb_backfill {
    struct str input; /* the OpenMetrics text */
    struct str dir;
    int64_t max_block_ms; /* 0: 2 h */
    const struct str *labels; /* "name=value", added to every series */
    size_t labels_count;
    bool human, quiet;
    wall_ms now;
    uint64_t seed;
};
MUST_CHECK bool tsdb_verb_create_blocks(struct fs *fs, const struct tsdb_backfill *o, struct tsdb_verb_out *out,
                                        struct err *err);

struct tsdb_bench {
    struct str input; /* a file of metrics, one JSON label set a line */
    struct str dir;
    size_t metrics, scrapes;
    wall_ms now;
    double (*seconds)(void); /* a stopwatch */
};
MUST_CHECK bool tsdb_verb_bench_write(struct fs *fs, const struct tsdb_bench *o, struct tsdb_verb_out *out,
                                      struct err *err);

#endif
