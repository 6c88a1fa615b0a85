/* The tables of `global`. The keys of the two halves stand side by side; which of them a dump shows is the choice of the
 * type it is printed with. */
#include "config/global_config.h"

#include "config/sizes.h"

#define SCRAPE_INTERVAL_DEFAULT_MS (60 * 1000)
#define SCRAPE_TIMEOUT_DEFAULT_MS  (10 * 1000)

#define ROW(kind_, field_, ...) kind_(struct prometheus_global_config, field_, #field_, __VA_ARGS__)
#define DURATION(field_, doc_, ...) \
    BIND_SCALAR(struct prometheus_global_config, field_##_ms, #field_, doc_, &duration_scalar, __VA_ARGS__)

static const struct bind prometheus_fields[] = {
    DURATION(scrape_interval, "How often targets are scraped.", .fallback = "1m"),
    DURATION(scrape_timeout, "When a scrape is given up; 10s, at most the interval."),
    ROW(BIND_STRS, scrape_protocols, "Formats to negotiate, best first."),
    DURATION(evaluation_interval, "How often rules are evaluated.", .fallback = "1m"),
    DURATION(rule_query_offset, "How far in the past rules are evaluated."),
    ROW(BIND_STR_MAP, external_labels, "Labels of this server, for other systems.", .go_type = "config.plain"),
    ROW(BIND_STR, query_log_file, "File of the query log."),
    ROW(BIND_STR, scrape_failure_log_file, "File of the scrape failure log."),
    ROW(BIND_SCALAR, body_size_limit, "Largest body of a scrape; 0: none.", &size_scalar),
    ROW(BIND_U64, sample_limit, "Most samples of a scrape; 0: none.", .go_type = "uint"),
    ROW(BIND_U64, target_limit, "Most targets of a job; 0: none.", .go_type = "uint"),
    ROW(BIND_U64, label_limit, "Most labels of a sample; 0: none.", .go_type = "uint"),
    ROW(BIND_U64, label_name_length_limit, "Longest label name; 0: none.", .go_type = "uint"),
    ROW(BIND_U64, label_value_length_limit, "Longest label value; 0: none.", .go_type = "uint"),
    ROW(BIND_U64, keep_dropped_targets, "How many dropped targets are remembered; 0: all.", .go_type = "uint"),
    ROW(BIND_STR, metric_name_validation_scheme, "utf8 or legacy."),
    ROW(BIND_STR, metric_name_escaping_scheme, "allow-utf-8, underscores, dots or values."),
    ROW(BIND_TRISTATE, scrape_native_histograms, "Whether native histograms are taken."),
    ROW(BIND_TRISTATE, convert_classic_histograms_to_nhcb, "Store classic histograms as native ones."),
    ROW(BIND_TRISTATE, always_scrape_classic_histograms, "Keep classic histograms beside native ones."),
    ROW(BIND_TRISTATE, extra_scrape_metrics, "Report limits and timeouts of scrapes as series."),
};
static const struct bind_type prometheus_global_bind =
    BIND_TYPE("config.plain", struct prometheus_global_config, prometheus_fields);

#define RESOLVE_TIMEOUT \
    BIND_SCALAR(struct global_config, resolve_timeout_ms, "resolve_timeout", \
                "When an alert counts as resolved whose sender gives no end.", &duration_scalar, .fallback = "5m", \
                .always = true)

static const struct bind global_fields[] = {
    RESOLVE_TIMEOUT,
    BIND_INLINE(struct global_config, receivers, &receiver_defaults_bind),
    BIND_INLINE(struct global_config, prometheus, &prometheus_global_bind),
};
static const struct bind alertmanager_fields[] = {
    RESOLVE_TIMEOUT,
    BIND_INLINE(struct global_config, receivers, &receiver_defaults_bind),
};

static bool check_scheme(const struct prometheus_global_config *p, struct err *err)
{
    struct str validation = p->metric_name_validation_scheme;
    if (validation.n && !str_eq(validation, STR("utf8")) && !str_eq(validation, STR("legacy")))
        return err_set(err, ERR_INVALID, "unrecognized ValidationScheme: %s", bind_quote(validation).text);
    return true;
}

void global_config_fill(struct global_config *g)
{
    struct prometheus_global_config *p = &g->prometheus;
    if (p->scrape_interval_ms == 0)
        p->scrape_interval_ms = SCRAPE_INTERVAL_DEFAULT_MS;
    if (p->evaluation_interval_ms == 0)
        p->evaluation_interval_ms = SCRAPE_INTERVAL_DEFAULT_MS;
    if (p->scrape_timeout_ms == 0)
        p->scrape_timeout_ms =
            p->scrape_interval_ms < SCRAPE_TIMEOUT_DEFAULT_MS ? p->scrape_interval_ms : SCRAPE_TIMEOUT_DEFAULT_MS;
}

static bool global_check(struct binding *b, void *object, struct err *err)
{
    struct global_config *g = object;
    (void)b;
    global_config_fill(g);
    if (g->prometheus.scrape_timeout_ms > g->prometheus.scrape_interval_ms)
        return err_set(err, ERR_INVALID, "global scrape timeout greater than scrape interval");
    return check_scheme(&g->prometheus, err);
}

const struct bind_type global_config_bind =
    BIND_TYPE("config.plain", struct global_config, global_fields, .title = "global", .check = global_check,
              .null_defaults = true);
const struct bind_type alertmanager_global_config_bind =
    BIND_TYPE("config.plain", struct global_config, alertmanager_fields, .title = "global");
