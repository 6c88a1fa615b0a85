/* `global` of both halves: one mapping in the file, one struct here, two tables (whose keys do not collide). */
#ifndef TOCSIN_CONFIG_GLOBAL_CONFIG_H
#define TOCSIN_CONFIG_GLOBAL_CONFIG_H

#include "model/labels.h"
#include "notify/receivers_config.h"
#include "yaml/bind.h"

/* prometheus.yml's global (spec/prometheus.md 2.1). */
struct prometheus_global_config {
    int64_t scrape_interval_ms, scrape_timeout_ms, evaluation_interval_ms, rule_query_offset_ms;
    struct str_list scrape_protocols;
    struct str query_log_file, scrape_failure_log_file;
    struct str_map external_labels; /* as written: the environment is not looked at here */
    int64_t body_size_limit;        /* bytes; 0: none */
    uint64_t sample_limit, target_limit, label_limit, label_name_length_limit, label_value_length_limit,
        keep_dropped_targets;
    struct str metric_name_validation_scheme, metric_name_escaping_scheme;
    enum tristate scrape_native_histograms, convert_classic_histograms_to_nhcb, always_scrape_classic_histograms,
        extra_scrape_metrics;
};
struct global_config {
    int64_t resolve_timeout_ms;
    struct receiver_defaults receivers;
    struct prometheus_global_config prometheus;
};
/* Defaults that depend on other keys; also for a file without `global`. */
void global_config_fill(struct global_config *g);
extern const struct bind_type global_config_bind;            /* all keys */
extern const struct bind_type alertmanager_global_config_bind; /* what the alert half's dump shows */

#endif
