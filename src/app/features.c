/* One table; a row without a feature is a name that is taken and changes nothing. */
#include "app/features.h"

#include "base/compiler.h"
#include "base/log.h"

#define NONE FEATURES

static const struct {
    const char *name;
    enum feature feature;
    const char *warning;
} rows[] = {
    { "alert-names-in-metrics", FEATURE_ALERT_NAMES_IN_METRICS, "Alert names are enabled as metric labels" },
    { "receiver-name-in-metrics", FEATURE_RECEIVER_NAME_IN_METRICS, "Experimental receiver name in metrics enabled" },
    { "group-key-in-metrics", FEATURE_GROUP_KEY_IN_METRICS, "Experimental group key in metrics enabled" },
    { "classic-mode", FEATURE_CLASSIC_MODE, "Classic mode enabled" },
    { "utf8-strict-mode", FEATURE_UTF8_STRICT_MODE, "UTF-8 strict mode enabled" },
    { "auto-gomemlimit", FEATURE_AUTO_GOMEMLIMIT, "Automatically set GOMEMLIMIT: accepted, there is no Go runtime here" },
    { "event-recorder", FEATURE_EVENT_RECORDER, "Event recorder: accepted, not active in this version" },
    { "exemplar-storage", FEATURE_EXEMPLAR_STORAGE, "Experimental in-memory exemplar storage enabled" },
    { "memory-snapshot-on-shutdown", FEATURE_MEMORY_SNAPSHOT_ON_SHUTDOWN, "Experimental memory snapshot on shutdown enabled" },
    { "promql-experimental-functions", FEATURE_PROMQL_EXPERIMENTAL_FUNCTIONS, "Experimental PromQL functions enabled." },
    { "promql-delayed-name-removal", FEATURE_PROMQL_DELAYED_NAME_REMOVAL, "Experimental PromQL delayed name removal enabled." },
    { "promql-extended-range-selectors", FEATURE_PROMQL_EXTENDED_RANGE_SELECTORS, "Experimental PromQL extended range selectors enabled." },
    { "promql-binop-fill-modifiers", FEATURE_PROMQL_BINOP_FILL_MODIFIERS, "Experimental PromQL fill modifiers enabled." },
    { "promql-per-step-stats", FEATURE_PROMQL_PER_STEP_STATS, "Experimental per-step statistics reporting" },
    { "use-start-timestamps", FEATURE_USE_START_TIMESTAMPS, "Start timestamps are used by PromQL's functions of counters." },
    { "type-and-unit-labels", FEATURE_TYPE_AND_UNIT_LABELS, "Experimental type and unit labels: PromQL looks at them." },
    { "native-histograms", FEATURE_NATIVE_HISTOGRAMS, "Experimental native histogram support enabled." },
    { "agent", NONE, NULL },
    { "auto-gomaxprocs", NONE, NULL },
    { "concurrent-rule-eval", NONE, NULL },
    { "created-timestamp-zero-ingestion", NONE, NULL },
    { "delayed-compaction", NONE, NULL },
    { "expand-external-labels", NONE, NULL },
    { "extra-scrape-metrics", NONE, NULL },
    { "histograms-st-encoding", NONE, NULL },
    { "metadata-wal-records", NONE, NULL },
    { "new-service-discovery-manager", NONE, NULL },
    { "no-default-scrape-port", NONE, NULL },
    { "old-ui", NONE, NULL },
    { "otlp-deltatocumulative", NONE, NULL },
    { "otlp-native-delta-ingestion", NONE, NULL },
    { "promql-at-modifier", NONE, NULL },
    { "promql-negative-offset", NONE, NULL },
    { "remote-write-receiver", NONE, NULL },
    { "search-api", NONE, NULL },
    { "st-storage", NONE, NULL },
    { "st-synthesis", NONE, NULL },
    { "use-uncached-io", NONE, NULL },
    { "xor2-encoding", NONE, NULL },
};

static bool parse_one(struct features *f, struct str name, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!str_eq(name, str_c(rows[i].name)))
            continue;
        if (rows[i].feature != NONE)
            f->on |= 1u << rows[i].feature;
        else
            log_warn("This feature is accepted and has no effect here", LOG_STR("feature", name));
        return true;
    }
    return err_set(err, ERR_INVALID, "unknown option '%.*s' for --enable-feature", STR_ARG(name));
}

bool features_parse(struct features *f, struct str_list lists, struct err *err)
{
    *f = (struct features){ 0 };
    for (size_t i = 0; i < lists.n; i++) {
        struct str rest = lists.v[i], name;
        if (rest.n == 0)
            continue;
        while (str_split(&rest, ',', &name))
            if (!parse_one(f, name, err))
                return false;
    }
    if (feature_on(f, FEATURE_CLASSIC_MODE) && feature_on(f, FEATURE_UTF8_STRICT_MODE))
        return err_set(err, ERR_INVALID, "cannot have both classic and UTF-8 modes enabled");
    return true;
}

enum matcher_mode features_matcher_mode(const struct features *f)
{
    if (feature_on(f, FEATURE_CLASSIC_MODE))
        return MATCHER_CLASSIC;
    return feature_on(f, FEATURE_UTF8_STRICT_MODE) ? MATCHER_UTF8 : MATCHER_FALLBACK;
}

void features_log(const struct features *f)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].feature != NONE && feature_on(f, rows[i].feature))
            log_warn(rows[i].warning);
}
