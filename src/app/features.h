/* --enable-feature: the names of both programs. Upstream: alertmanager featurecontrol, prometheus cmd/prometheus. */
#ifndef TOCSIN_APP_FEATURES_H
#define TOCSIN_APP_FEATURES_H

#include "base/err.h"
#include "base/str.h"
#include "model/matcher.h"

#include <stdbool.h>
#include <stdint.h>

enum feature {
    FEATURE_ALERT_NAMES_IN_METRICS,
    FEATURE_RECEIVER_NAME_IN_METRICS,
    FEATURE_GROUP_KEY_IN_METRICS,
    FEATURE_CLASSIC_MODE,
    FEATURE_UTF8_STRICT_MODE,
    FEATURE_AUTO_GOMEMLIMIT,
    FEATURE_EVENT_RECORDER,
    /* Prometheus's, from here on */
    FEATURE_EXEMPLAR_STORAGE,
    FEATURE_MEMORY_SNAPSHOT_ON_SHUTDOWN,
    FEATURE_PROMQL_EXPERIMENTAL_FUNCTIONS,
    FEATURE_PROMQL_DELAYED_NAME_REMOVAL,
    FEATURE_PROMQL_EXTENDED_RANGE_SELECTORS,
    FEATURE_PROMQL_BINOP_FILL_MODIFIERS,
    FEATURE_PROMQL_PER_STEP_STATS,
    FEATURE_USE_START_TIMESTAMPS,
    FEATURE_TYPE_AND_UNIT_LABELS,
    FEATURE_NATIVE_HISTOGRAMS,
    FEATURES
};

struct features {
    uint32_t on; /* bit by enum feature */
};
static inline bool feature_on(const struct features *f, enum feature which)
{
    return (f->on >> which & 1u) != 0;
}
/* Lists of comma-separated names. Unknown to both programs: ERR_INVALID "unknown option 'x' for --enable-feature".
 * Prometheus's names that mean nothing here are taken. */
MUST_CHECK bool features_parse(struct features *f, struct str_list lists, struct err *err);
enum matcher_mode features_matcher_mode(const struct features *f);
void features_log(const struct features *f); /* one warning each */

#endif
