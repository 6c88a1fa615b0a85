/* One alert: an immutable value in one block of memory, counted. An update makes a new value; whoever holds the old one
 * (a flush on its way out, an API answer being written) keeps it whole.
 *
 * Ownership: alert_new copies everything. Thread: any, because nothing changes after birth but the count.
 * Upstream: alertmanager alert/alert.go. */
#ifndef TOCSIN_ALERT_ALERT_H
#define TOCSIN_ALERT_ALERT_H

#include "base/clock.h"
#include "base/str.h"
#include "model/labels.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct alert {
    atomic_uint refs;
    bool timeout;  /* ends_at was derived from resolve_timeout, no sender gave it */
    fingerprint fp;
    uint64_t nflog_hash;
    struct labels labels, annotations; /* sorted, no empty label values */
    struct str generator_url;
    struct wire_time starts_at, ends_at, updated_at;
    int32_t starts_offset_s, ends_offset_s; /* the zone the sender wrote them in: webhooks show it */
};

/* What a new value is made of; everything is borrowed for the call. labels must be normalised. */
struct alert_spec {
    struct labels labels, annotations;
    struct str generator_url;
    struct wire_time starts_at, ends_at, updated_at;
    int32_t starts_offset_s, ends_offset_s;
    bool timeout;
};
struct alert *alert_new(const struct alert_spec *spec);
struct alert_spec alert_spec_of(const struct alert *a); /* borrows from a */
struct alert *alert_retain(const struct alert *a);
void alert_release(const struct alert *a);

/* ends_at is set and not after `now`. */
bool alert_resolved_at(const struct alert *a, struct wire_time now);
/* The merge of spec 4.1: a new value (or `fresh` retained) from what is stored and what arrived. */
struct alert *alert_merge(const struct alert *stored, const struct alert *fresh, struct wire_time now);
/* The same over what values are made of: borrows from both. */
struct alert_spec alert_spec_merge(const struct alert_spec *stored, const struct alert_spec *fresh, struct wire_time now);

#endif
