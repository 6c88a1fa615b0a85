/* One alert: an immutable value in one block of memory, counted. An update makes a new value; whoever holds the old one
 * (a flush on its way out, an API answer being written) keeps it whole. What every re-send moves, ends_at and
 * updated_at, is no part of it: the store's slots have that (alert/store.h).
 *
 * What the alerts of one rule have in common, the names of their labels and annotations and the URL of the rule, is kept
 * once: their family. The values are packed behind the header. Who needs sets walks over them, or unpacks them into an
 * arena; names and values point into the family and the alert then.
 *
 * Ownership: alert_new copies everything. Thread: any, because nothing changes after birth but the count; only
 * alert_new() belongs to the owner of the families. Upstream: alertmanager alert/alert.go. */
#ifndef TOCSIN_ALERT_ALERT_H
#define TOCSIN_ALERT_ALERT_H

#include "base/clock.h"
#include "base/str.h"
#include "model/labels.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct alert_family {
    atomic_uint refs;
    uint32_t labels_count, annotations_count;
    uint64_t hash; /* of all below */
    struct str generator_url;
    struct str names[]; /* of labels, then of annotations, each sorted */
};
struct alert {
    atomic_uint refs;
    uint32_t annotations_at; /* in values */
    int32_t starts_offset_s, ends_offset_s; /* the zone the sender wrote them in: webhooks show it */
    struct alert_family *family;
    fingerprint fp;
    uint64_t nflog_hash;
    struct wire_time starts_at;
    char values[]; /* of labels (none is empty), then of annotations: bytes as a varint, text */
};

/* What an alert is made of; everything is borrowed for the call. labels must be normalised. */
struct alert_spec {
    struct labels labels, annotations;
    struct str generator_url;
    struct wire_time starts_at, ends_at, updated_at;
    int32_t starts_offset_s, ends_offset_s;
    bool timeout; /* ends_at was derived from resolve_timeout, no sender gave it */
};
struct alert_families; /* family_int.h: the store has them */
/* fs NULL: the alert gets a family of its own. */
struct alert *alert_new(struct alert_families *fs, const struct alert_spec *spec);
struct alert *alert_retain(const struct alert *a);
void alert_release(const struct alert *a);

struct str alert_label_value(const struct alert *a, struct str name); /* empty if absent */
/* In order of names: for (struct alert_walk w = alert_walk_labels(a); alert_walk_next(&w, &l);) */
struct alert_walk {
    const struct str *name, *end;
    const char *value;
};
struct alert_walk alert_walk_labels(const struct alert *a);
struct alert_walk alert_walk_annotations(const struct alert *a);
bool alert_walk_next(struct alert_walk *w, struct label *l);
/* As sets; only the array is the arena's. */
struct labels alert_labels(const struct alert *a, struct arena *arena);
struct labels alert_annotations(const struct alert *a, struct arena *arena);

/* The order in which groups list alerts: by job, by instance, those that lack the label last, then by label set. */
int alert_compare(const struct alert *a, const struct alert *b);

/* What a sender says now merged into what is stored (spec 4.1): the times of the result; all else is fresh's, which must
 * not be older. Of `stored` only the times are looked at. */
struct alert_spec alert_spec_merge(const struct alert_spec *stored, const struct alert_spec *fresh, struct wire_time now);

#endif
