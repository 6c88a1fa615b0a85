/* Inhibition: an alert that fires mutes others. Rules are compiled once per configuration; each keeps the source alerts
 * it has seen and, by the values of its `equal` labels, one of them that counts (spec/alertmanager.md 5.1, pitfalls
 * included). An alert's slot remembers the places where it is source or target (ALERT_MEMO_INHIBIT), so that asking
 * again costs a look per rule that concerns it, and an alert that no rule concerns costs nothing.
 *
 * Ownership: rules borrow from the configuration, which outlives the inhibitor. Sources are referenced slots.
 * Thread: the alert thread only. Upstream: alertmanager inhibit/inhibit.go, inhibit/index.go. */
#ifndef TOCSIN_INHIBIT_INHIBIT_H
#define TOCSIN_INHIBIT_INHIBIT_H

#include "alert/store.h"
#include "base/clock.h"
#include "base/metric.h"
#include "model/labels.h"
#include "model/matcher.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INHIBIT_GC_INTERVAL_MS (15 * 60 * 1000)

struct inhibit_rule {
    struct str name;
    struct matchers source, target; /* all given forms together; empty matches everything */
    const struct str *equal;        /* label names */
    size_t equal_count;
};
struct inhibit_rule_config;
struct inhibit_rule inhibit_rule_of(const struct inhibit_rule_config *c); /* borrows */

struct inhibit_stats {
    struct gauge rules; /* alertmanager_inhibition_rules */
};
extern const struct metric_desc inhibit_metrics[];
extern const size_t inhibit_metrics_count;

struct inhibitor;
struct inhibitor *inhibitor_new(const struct inhibit_rule *rules, size_t rules_count, struct alert_store *alerts);
void inhibitor_free(struct inhibitor *in);
/* The same in slices, beside a new inhibitor over the same alerts, which may take over alerts meanwhile: forgets at most
 * alerts_max of them; true while there are more. With the last one it is freed. The rules may be gone by then. */
bool inhibitor_retire(struct inhibitor *in, size_t alerts_max);
struct inhibit_stats *inhibitor_stats(struct inhibitor *in);

/* An alert was received (new, changed or re-sent). */
void inhibitor_put(struct inhibitor *in, struct alert_slot *s);
/* Is it muted at `now`? *by is then the fingerprint of the source. */
bool inhibitor_query(struct inhibitor *in, struct wire_time now, struct alert_slot *s, fingerprint *by);
/* Drops sources that ended (every 15 minutes). A few microseconds per source. */
void inhibitor_gc(struct inhibitor *in, struct wire_time now);
size_t inhibitor_sources_count(const struct inhibitor *in);

#endif
