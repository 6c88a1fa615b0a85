/* What the command line of `tocsin` says: the flags of Alertmanager 0.34 and of Prometheus 3.14 in one struct. Filled by
 * cmd/tocsin/flags.c, read by app/. Texts live as long as the process. Durations: *_ns Go durations, *_ms Prometheus's. */
#ifndef TOCSIN_APP_OPTIONS_H
#define TOCSIN_APP_OPTIONS_H

#include "base/str.h"
#include "ctl/flag.h"

#include <stdbool.h>
#include <stdint.h>

struct options {
    /* both halves */
    struct str config_file;
    bool config_file_given;
    bool config_check; /* --config.check, --dry-run: say what would run, and end */
    bool dry_run;
    struct str_list web_listen_addresses; /* empty: :9093 and/or :9090 by what runs */
    bool web_systemd_socket;
    struct str web_config_file;
    struct str web_external_url;
    struct str web_route_prefix;
    bool web_route_prefix_given;
    int64_t web_get_concurrency;
    int64_t web_timeout_ns;
    struct str_list enable_features;
    struct str log_level, log_format;
    double auto_gomemlimit_ratio;

    /* the alert half */
    struct str storage_path;
    int64_t data_retention_ns;
    int64_t data_maintenance_interval_ns;
    int64_t silences_max;
    int64_t silences_max_size_bytes;
    bool log_silences;
    int64_t alerts_gc_interval_ns;
    int64_t alerts_per_alertname_limit;
    int64_t dispatch_maintenance_interval_ns;
    int64_t dispatch_start_delay_ns;

    /* the mesh */
    struct str cluster_listen_address;
    struct str cluster_advertise_address;
    struct str cluster_peer_name;
    struct str_list cluster_peers;
    int64_t cluster_peer_timeout_ns;
    int64_t cluster_peers_resolve_timeout_ns;
    int64_t cluster_gossip_interval_ns;
    int64_t cluster_pushpull_interval_ns;
    int64_t cluster_tcp_timeout_ns;
    int64_t cluster_probe_timeout_ns;
    int64_t cluster_probe_interval_ns;
    int64_t cluster_settle_timeout_ns;
    int64_t cluster_reconnect_interval_ns;
    int64_t cluster_reconnect_timeout_ns;
    struct str cluster_tls_config;
    bool cluster_allow_insecure_public;
    struct str cluster_label;
    struct str cluster_secret_key_file; /* tocsin's own */

    /* the Prometheus half */
    bool config_auto_reload;
    int64_t config_auto_reload_interval_ms;
    int64_t web_read_timeout_ms;
    int64_t web_max_connections;
    int64_t web_max_notifications_subscribers;
    struct str web_user_assets, web_page_title, web_console_templates, web_console_libraries, web_local_assets;
    bool web_enable_lifecycle;
    bool web_enable_admin_api;
    bool web_enable_remote_write_receiver;
    struct str_list web_remote_write_messages;
    bool web_enable_otlp_receiver;
    struct str web_cors_origin;
    int64_t web_search_max_limit;
    struct str tsdb_path;
    bool tsdb_path_given;
    int64_t tsdb_retention_ms; /* 0: not given */
    struct str tsdb_retention_size;
    bool tsdb_no_lockfile;
    int64_t tsdb_head_chunks_write_queue_size;
    struct str tsdb_delay_compact_file;
    int64_t tsdb_min_block_duration_ms, tsdb_max_block_duration_ms;
    struct str tsdb_max_block_chunk_segment_size, tsdb_wal_segment_size;
    bool tsdb_wal_compression;
    struct str tsdb_wal_compression_type;
    int64_t tsdb_samples_per_chunk;
    bool tsdb_allow_overlapping_compaction;
    int64_t remote_flush_deadline_ms;
    int64_t remote_read_sample_limit;
    int64_t remote_read_concurrent_limit;
    int64_t remote_read_max_bytes_in_frame;
    int64_t rules_for_outage_tolerance_ms, rules_for_grace_period_ms, rules_resend_delay_ms;
    int64_t rules_max_concurrent_evals;
    int64_t alertmanager_queue_capacity, alertmanager_batch_size;
    bool alertmanager_drain_on_shutdown;
    int64_t query_lookback_delta_ms, query_timeout_ms;
    int64_t query_max_concurrency, query_max_samples;
    bool scrape_adjust_timestamps;
    int64_t scrape_timestamp_tolerance_ms;
    int64_t scrape_discovery_reload_interval_ms;
    bool auto_gomaxprocs, auto_gomemlimit;
    int64_t auto_gomemlimit_refresh_ms;
};

extern const struct command tocsin_command; /* cmd/tocsin/flags.c */

#endif
