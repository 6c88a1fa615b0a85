/* What is to be said to one integration: an immutable view of a group at one flush. Made on the alert thread by the
 * pipeline, rendered and sent on the send thread, dropped when the result has come back. Counted.
 *
 * Upstream: notify.Context values and template.Data. */
#ifndef TOCSIN_NOTIFY_NOTIFICATION_H
#define TOCSIN_NOTIFY_NOTIFICATION_H

#include "alert/alert.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/str.h"
#include "model/labels.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Why a flush sends (spec 6, the dedup table); printed as notification_reason. */
enum notify_reason {
    NOTIFY_REASON_NONE, /* nothing is to be sent */
    NOTIFY_REASON_FIRST,
    NOTIFY_REASON_NEW_ALERTS,
    NOTIFY_REASON_ALL_RESOLVED,
    NOTIFY_REASON_SOME_RESOLVED,
    NOTIFY_REASON_REPEAT,
    NOTIFY_REASON_UNKNOWN,
};
struct str notify_reason_text(enum notify_reason r); /* "first notification", ... */

struct notification_alert {
    const struct alert *alert; /* retained */
    struct wire_time ends_at;  /* shown if it is */
    bool resolved;             /* at flush time */
};

/* One key of the nflog's receiver data (spec 6 "Receiver data"). */
enum receiver_value_kind { RECEIVER_VALUE_STR, RECEIVER_VALUE_INT, RECEIVER_VALUE_DOUBLE };
struct receiver_value {
    struct str key;
    enum receiver_value_kind kind;
    struct str s;
    int64_t i;
    double d;
};

struct notification {
    atomic_uint refs;
    struct arena arena; /* owns all texts below */
    struct str receiver;  /* plain name */
    struct str group_key;
    struct labels group_labels;
    struct labels route_labels; /* raw templates; the sender renders them */
    const struct notification_alert *alerts; /* in flush order (spec 4.4) */
    size_t alerts_count;
    enum notify_reason reason;
    struct str external_url;
    struct wire_time now; /* the tick */
    const struct receiver_value *data; /* of the nflog entry, or empty */
    size_t data_count;
};
struct notification *notification_new(void); /* empty, one reference; the maker fills it before sharing */
struct notification *notification_retain(struct notification *n);
void notification_release(struct notification *n); /* the last one releases the alerts and the arena */

#endif
