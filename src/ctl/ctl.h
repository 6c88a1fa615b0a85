/* tocsinctl: amtool's verbs and promtool's in one table (commands.c). Called by the name `amtool` it is amtool.
 *
 * A verb is a function over struct ctl: flags are read, output goes to `out` and is written once the verb has ended well or
 * badly. Exit codes are the verbs' own; a failure sets `err` and returns 1 through ctl_fail().
 *
 * Thread: main; one verb per process. Upstream: alertmanager cli/, prometheus cmd/promtool. */
#ifndef TOCSIN_CTL_CTL_H
#define TOCSIN_CTL_CTL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "ctl/flag.h"
#include "http/message.h"
#include "json/reader.h"
#include "json/writer.h"
#include "model/gotime.h"
#include "model/matcher.h"

#include <stdbool.h>
#include <stdint.h>

struct ctl_flags {
    /* all verbs of amtool */
    struct str date_format, url, output, http_config_file;
    bool verbose, version_check;
    int64_t timeout_ns;
    struct str_list enable_features;
    /* alert */
    bool inhibited, silenced, active, unprocessed;
    struct str receiver, generator_url;
    struct str_list matchers; /* also labels of `alert add` and `config routes test` */
    struct str_list annotations;
    struct str start, end;
    /* silence */
    bool expired, quiet, require_comment, force, preview;
    struct str created_by, id, author, duration, comment;
    int64_t within_ns;
    bool within_given;
    struct str_list ids;
    int64_t workers;
    struct str import_file;
    /* check-config, config */
    struct str_list files;
    struct str config_file, verify_receivers;
    bool tree;
    /* template render */
    struct str_list template_globs;
    struct str template_text, template_type, template_data;
    /* beyond amtool */
    int64_t watch_interval_ns, watch_polls;
    /* promtool's: filled by the rows of their files */
    struct str tsdb_path, format, match, pattern, input, output_dir;
    struct str_list tsdb_args, labels;
    struct str_list queries;
    struct str server;
    bool human, extended, quiet_import, native_histograms, selector_stats;
    int64_t limit, min_time, max_time, max_block_duration_ms, metrics_count, scrapes_count;
    struct str block_id, query_start, query_end, query_step, query_time;
    struct str_list test_files;
    struct str samples_file, out_path;
};

struct ctl {
    const char *name; /* of the program: "amtool", "tocsinctl" */
    struct arena *arena;
    struct command_line *line;
    struct ctl_flags f;
    struct buf out;       /* stdout */
    struct err err;
    bool no_blank_line;   /* after the error on stderr */
    struct ctl_client *client;
    enum matcher_mode mode;
};

int ctl_main(int argc, char **argv);

/* Always 1, so that `return ctl_fail(c)` reads well; the text is in c->err. */
int ctl_fail(struct ctl *c);
struct wire_time ctl_now(void);

/* ---- tables of text (table.c): columns two runes wider than their widest cell, the last one padded too; a tab or a line break
 * in a cell moves columns as in amtool ---- */

#define CTL_COLUMNS_MAX 12
struct ctl_table {
    struct arena *arena;
    size_t columns;
    struct str *cells;
    size_t count, capacity;
};
void ctl_table_init(struct ctl_table *t, struct arena *a, size_t columns);
void ctl_table_cell(struct ctl_table *t, struct str s); /* copied; row by row */
void ctl_table_write(const struct ctl_table *t, struct buf *out);

/* ---- the API of a server (client.c) ---- */

struct ctl_answer {
    int status;
    struct str body; /* in the arena */
};
/* One request to /api/v2<path>. False: no answer came, err has Go's words. */
MUST_CHECK bool ctl_api(struct ctl *c, const char *method, struct str path, struct str body, struct ctl_answer *answer);
/* Several at a time: a request that has begun is done after some ctl_api_wait(), which returns when one or more are. The
 * client must be connected, the body must stay. */
struct ctl_request { /* in the arena */
    bool done, ok;
    struct ctl_answer answer; /* if ok */
    struct err err;           /* else */
};
struct ctl_request *ctl_api_begin(struct ctl *c, const char *method, struct str path, struct str body);
void ctl_api_wait(struct ctl *c);
/* A status other than 200 as the error of ctl_api_ok(). */
MUST_CHECK bool ctl_answer_ok(const struct ctl_answer *answer, const char *method, struct str path, const char *shown,
                              const char *operation, struct err *err);
/* One request, and a status other than 200 is the error `[GET /alerts][400] getAlertsBadRequest "text"`. `shown` is the path
 * pattern, `operation` the generated client's name. */
MUST_CHECK bool ctl_api_ok(struct ctl *c, const char *method, struct str path, struct str body, const char *shown,
                           const char *operation, struct str *answer);
/* A GET of any URL path below the server's base, for promtool's queries. */
MUST_CHECK bool ctl_get(struct ctl *c, struct str base_url, const char *method, struct str path_and_query, struct str form,
                        struct ctl_answer *answer);
/* Connects (--alertmanager.url, --http.config.file) and checks the version, if that has not been done. */
MUST_CHECK bool ctl_connect(struct ctl *c);
/* --timeout begins anew: for verbs that ask again and again. */
void ctl_client_renew(struct ctl *c);
void ctl_client_free(struct ctl *c);

/* ---- shared by verbs ---- */

/* Times keep the zone that they were written in: the API of older servers shows the sender's. */
MUST_CHECK bool ctl_read_time(struct json_reader *r, struct go_time *t);
void ctl_write_time(struct json_writer *w, struct str key, const struct go_time *t); /* three decimals, its own zone */
/* --date.format applied to a time, as a cell; "relative" gives "2h5m ago" or "in 3d". */
void ctl_table_date(struct ctl *c, struct ctl_table *t, const struct go_time *at);
/* The arguments; a first one that is no matcher stands for the alert of that name. */
struct str_list ctl_matcher_texts(struct ctl *c);
MUST_CHECK bool ctl_parse_matchers(struct ctl *c, struct str_list texts, struct matchers *out);
/* RFC 3339 with Go's error text. */
MUST_CHECK bool ctl_parse_time(struct str s, struct go_time *t, struct err *err);
MUST_CHECK bool ctl_read_file(struct str path, struct buf *out, struct err *err); /* "-" and /dev/stdin are stdin */
/* k=v pairs as matchers of kind =. */
MUST_CHECK bool ctl_parse_pairs(struct ctl *c, struct str_list texts, const char *error, struct labels *out);

int ctl_alert_query(void *program);
int ctl_alert_add(void *program);
int ctl_alert_watch(void *program);
int ctl_silence_query(void *program);
int ctl_silence_add(void *program);
int ctl_silence_expire(void *program);
int ctl_silence_update(void *program);
int ctl_silence_import(void *program);
int ctl_check_config(void *program);
int ctl_config_show(void *program);
int ctl_routes_show(void *program);
int ctl_routes_test(void *program);
int ctl_config_diff(void *program);
int ctl_cluster_show(void *program);
int ctl_cluster_watch(void *program);
int ctl_template_render(void *program);
int ctl_tsdb_list(void *program);
int ctl_tsdb_dump(void *program);
int ctl_tsdb_dump_openmetrics(void *program);
int ctl_tsdb_analyze(void *program);
int ctl_tsdb_create_blocks(void *program);
int ctl_tsdb_bench_write(void *program);

int ctl_query_instant(void *program); /* promql_cmd.c */
int ctl_query_range(void *program);
int ctl_query_series(void *program);
int ctl_query_labels(void *program);
int ctl_test_promql(void *program);

extern const struct command ctl_program; /* commands.c */

#endif
