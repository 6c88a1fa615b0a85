/* The limit of alerts per alertname (--alerts.per-alertname-limit): its own accounting of which alerts count. A new
 * alert over the limit takes the place of the one that ends first, if that has ended; otherwise it is refused. The one
 * pushed out stays in the store until garbage collection, uncounted (spec pitfall 15). */
#ifndef TOCSIN_ALERT_LIMIT_INT_H
#define TOCSIN_ALERT_LIMIT_INT_H

#include "base/clock.h"
#include "base/map.h"
#include "base/str.h"
#include "model/labels.h"

struct alert_store;
struct limit {
    size_t max; /* 0: none */
    struct map names;
};

void alert_limit_deinit(struct limit *l);
/* May a new alert under this name be stored? Counts it if so. ends_of() tells when a counted one ends. */
bool alert_limit_admit(struct limit *l, struct wire_time now, struct str alertname, fingerprint fp, struct wire_time ends_at,
                 bool (*ends_of)(const struct alert_store *st, fingerprint fp, struct wire_time *ends_at),
                 const struct alert_store *st);
/* A counted alert now ends then. */
void alert_limit_moved(struct limit *l, struct str alertname, struct wire_time ends_at);
void alert_limit_forget(struct limit *l, struct str alertname, fingerprint fp);

#endif
