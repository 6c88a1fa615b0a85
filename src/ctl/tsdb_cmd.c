/* The tsdb verbs' command lines: flags and arguments to what tsdb.h takes, promtool's defaults and exit codes. */
#include "ctl/ctl.h"
#include "ctl/tsdb.h"

#include "crypto/aead.h"
#include "io/clock_io.h"
#include "io/fs_posix.h"

#include <stdio.h>

#define DB_PATH_DEFAULT STR("data/")

static bool write_out(void *arg, struct buf *buf, struct err *err)
{
    (void)arg;
    bool ok = fwrite(buf->p ? buf->p : "", 1, buf->n, stdout) == buf->n;
    buf_reset(buf);
    return ok || err_set(err, ERR_IO, "write /dev/stdout: failed");
}

static struct tsdb_verb_out output(struct ctl *c)
{
    return (struct tsdb_verb_out){ .buf = &c->out, .flush = write_out };
}

/* The i-th argument, or the default. */
static struct str argument(const struct ctl *c, size_t i, struct str fallback)
{
    return i < c->f.tsdb_args.n ? c->f.tsdb_args.v[i] : fallback;
}

static int end(struct ctl *c, bool ok)
{
    return ok ? 0 : ctl_fail(c);
}

int ctl_tsdb_list(void *program)
{
    struct ctl *c = program;
    struct tsdb_verb_out out = output(c);
    return end(c, tsdb_verb_list(fs_posix(), argument(c, 0, DB_PATH_DEFAULT), c->f.human, &out, &c->err));
}

static int dump(struct ctl *c, enum tsdb_dump_format format)
{
    struct tsdb_verb_out out = output(c);
    const struct tsdb_dump o = { .dir = argument(c, 0, DB_PATH_DEFAULT), .mint = c->f.min_time, .maxt = c->f.max_time,
                                 .matches = c->f.matchers.v, .matches_count = c->f.matchers.n, .format = format };
    return end(c, tsdb_verb_dump(fs_posix(), &o, &out, &c->err));
}

int ctl_tsdb_dump(void *program)
{
    struct ctl *c = program;
    return dump(c, str_eq(c->f.format, STR("seriesjson")) ? TSDB_DUMP_JSON : TSDB_DUMP_PROM);
}

int ctl_tsdb_dump_openmetrics(void *program)
{
    return dump(program, TSDB_DUMP_OPENMETRICS);
}

int ctl_tsdb_analyze(void *program)
{
    struct ctl *c = program;
    struct tsdb_verb_out out = output(c);
    const struct tsdb_analyze o = { .dir = argument(c, 0, DB_PATH_DEFAULT), .block = argument(c, 1, STR_EMPTY),
                                    .limit = c->f.limit > 0 ? (size_t)c->f.limit : 0, .extended = c->f.extended,
                                    .match = c->f.match };
    return end(c, tsdb_verb_analyze(fs_posix(), &o, &out, &c->err));
}

int ctl_tsdb_create_blocks(void *program)
{
    struct ctl *c = program;
    struct tsdb_verb_out out = output(c);
    struct buf text = { 0 };
    uint64_t seed;
    if (c->f.tsdb_args.n == 0) {
        err_set(&c->err, ERR_INVALID, "required argument 'input file' not provided");
        return ctl_fail(c);
    }
    crypto_init();
    crypto_random(&seed, sizeof seed);
    bool ok = ctl_read_file(c->f.tsdb_args.v[0], &text, &c->err);
    if (ok) {
        const struct tsdb_backfill o = { .input = buf_view(&text), .dir = argument(c, 1, DB_PATH_DEFAULT),
                                         .max_block_ms = c->f.max_block_duration_ms, .labels = c->f.labels.v,
                                         .labels_count = c->f.labels.n, .human = c->f.human, .quiet = c->f.quiet,
                                         .now = clock_wall_ms(), .seed = seed };
        ok = tsdb_verb_create_blocks(fs_posix(), &o, &out, &c->err);
    }
    buf_deinit(&text);
    return end(c, ok);
}

static double seconds(void)
{
    return (double)clock_mono_ns() / 1e9;
}

int ctl_tsdb_bench_write(void *program)
{
    struct ctl *c = program;
    struct tsdb_verb_out out = output(c);
    struct buf text = { 0 };
    if (c->f.tsdb_args.n == 0) {
        err_set(&c->err, ERR_INVALID, "required argument 'file' not provided");
        return ctl_fail(c);
    }
    bool ok = ctl_read_file(c->f.tsdb_args.v[0], &text, &c->err);
    if (ok) {
        const struct tsdb_bench o = { .input = buf_view(&text), .dir = c->f.out_path, .metrics = (size_t)c->f.metrics_count,
                                      .scrapes = (size_t)c->f.scrapes_count, .now = clock_wall_ms(), .seconds = seconds };
        ok = tsdb_verb_bench_write(fs_posix(), &o, &out, &c->err);
    }
    buf_deinit(&text);
    return end(c, ok);
}
