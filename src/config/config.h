/* The configuration: one file, the union of alertmanager.yml and prometheus.yml, read into one immutable, counted snapshot.
 * Its sections decide what runs (docs: design 1). Every folder owns its struct and its table; here they are composed,
 * checked against each other in upstream's order, and finished (defaults inherited, paths made absolute).
 *
 *     struct config *c;
 *     if (config_load(text, &options, &c, &notices, &err)) { ...; config_release(c); }
 *
 * Ownership: everything a snapshot shows lives in it. Thread: made by one, then shared by all.
 * Upstream: alertmanager config/config.go, prometheus config/config.go. */
#ifndef TOCSIN_CONFIG_CONFIG_H
#define TOCSIN_CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/map.h"
#include "config/event_recorder_config.h"
#include "config/global_config.h"
#include "config/tracing_config.h"
#include "dispatch/route_config.h"
#include "inhibit/rule_config.h"
#include "model/interval_config.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "notify/receivers_config.h"
#include "yaml/doc.h"
#include "yaml/notice.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_BYTES_MAX YAML_BYTES_MAX

struct config_options {
    struct str path;         /* of the file: its directory is the base of relative paths; empty: "." */
    enum matcher_mode matcher_mode;
    struct fs *fs;           /* time zones; NULL: zone names are not checked */
    struct zone *local_zone; /* of the location "Local"; NULL: UTC */
    bool tsdb_path_given;    /* --storage.tsdb.path: the Prometheus half runs even without a section of its own */
};

/* The list of one kind: n structs of receiver_config_rows[kind].bind->size bytes. */
struct config_integrations {
    void *v;
    size_t n;
};
struct config_receiver {
    struct str name;
    uint32_t line;
    bool is_null;
    struct str_map labels_map;
    struct labels labels; /* with "name" */
    bool used;            /* by a route */
    struct config_integrations kinds[RECEIVER_KINDS];
};
/* The i-th integration of a kind. */
const void *config_receiver_integration(const struct config_receiver *r, enum receiver_kind kind, size_t i);

/* prometheus.yml's storage section. */
struct tsdb_retention_config {
    struct opt_i64 time_ms;
    struct opt_i64 size_bytes;
    double percentage;
};
struct tsdb_config {
    int64_t out_of_order_time_window_ms;
    double stale_series_compaction_threshold;
    struct str chunk_encoding_floats; /* "", "xor", "xor2" */
    struct tsdb_retention_config *retention; /* NULL: none */
};
struct exemplars_config {
    struct opt_i64 max_exemplars;
};
struct storage_config {
    struct tsdb_config *tsdb;           /* NULL: none */
    struct exemplars_config *exemplars; /* NULL: none */
};

/* The Prometheus half as far as this folder reads it. Sections whose folders have no table yet are trees. */
struct prometheus_config {
    bool present; /* any of its sections is there, or tsdb_path_given */
    struct storage_config storage;
    const struct yaml_node *runtime, *alerting, *rule_files, *scrape_config_files, *scrape_configs, *remote_write,
        *remote_read, *otlp;
};

struct config {
    atomic_uint refs;
    struct arena arena;
    struct yaml_doc doc; /* strings and trees are borrowed from it */
    struct str path, base; /* of the file; the directory it is in */

    bool alert_half; /* a section of Alertmanager is there */
    struct global_config global;
    int64_t resolve_timeout_ms; /* of global */
    struct route_config *route; /* NULL without the alert half */
    struct inhibit_rule_config *inhibit_rules;
    size_t inhibit_rules_count;
    struct config_receiver *receivers;
    size_t receivers_count;
    struct str_list templates; /* globs, resolved against base */
    struct named_interval_config *mute_time_intervals, *time_intervals;
    size_t mute_time_intervals_count, time_intervals_count;
    struct tracing_config *tracing;              /* NULL: none */
    struct event_recorder_config *event_recorder; /* NULL: none */

    struct prometheus_config prometheus;

    struct map receivers_by_name;
    struct bind_cleanup *cleanups; /* references that the arena cannot give back */
    double hash; /* alertmanager_config_hash: the first six bytes of the text's MD5, little endian */
};

/* *out has one reference. Notices are appended, on failure too (hints); may be NULL. Errors: ERR_INVALID in upstream's
 * words, ERR_LIMIT. */
MUST_CHECK bool config_load(struct str text, const struct config_options *options, struct config **out,
                            struct notices *notices, struct err *err);
const struct config *config_retain(const struct config *c);
void config_release(const struct config *c); /* any thread */

const struct config_receiver *config_receiver_find(const struct config *c, struct str name); /* NULL if unknown */
/* The named interval of either list. */
const struct named_interval_config *config_interval_find(const struct config *c, struct str name);
/* The effective configuration of the alert half as YAML, secrets as <secret>: config.original of the status API. */
void config_dump(const struct config *c, struct buf *out);
double config_hash(struct str text);

/* All files of all template globs in the order they are to be parsed (globs in list order, the files of one in lexical
 * order), each followed by NUL. fs NULL: only the patterns are checked. ERR_INVALID "syntax error in pattern". */
MUST_CHECK bool config_template_files(const struct config *c, struct fs *fs, struct buf *out, struct err *err);
/* Files that a template glob names, in lexical order, each followed by NUL, appended to out: Go's filepath.Glob. None is
 * fine. ERR_INVALID "syntax error in pattern". */
MUST_CHECK bool config_glob(struct fs *fs, struct str pattern, struct buf *out, struct err *err);
/* Go's filepath.Match. */
MUST_CHECK bool config_match_path(struct str pattern, struct str name, bool *matched, struct err *err);

/* The table of the whole file, for generators; what the dump of the alert half shows. */
extern const struct bind_type config_bind;
extern const struct bind_type alertmanager_config_bind;

#endif
