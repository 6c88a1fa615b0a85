/* Alerts as the API shows them, for the verbs that print or follow them. Everything lives in the arena of the command. */
#ifndef TOCSIN_CTL_ALERTS_INT_H
#define TOCSIN_CTL_ALERTS_INT_H

#include "ctl/ctl.h"

struct shown_alert {
    struct labels labels, annotations; /* in the order of the API */
    struct go_time starts_at, ends_at;
    struct str generator_url, state, fingerprint;
    struct str raw;
    size_t position; /* in the answer: among alerts of one start it decides */
};

MUST_CHECK bool alerts_read(struct ctl *c, struct str body, struct shown_alert **out, size_t *count);
/* The same list as a query prints it, by --output; `body` is what json prints. */
MUST_CHECK bool alerts_print(struct ctl *c, struct str body);
/* As simple and extended print it; sorts. */
void alerts_print_table(struct ctl *c, struct shown_alert *v, size_t n);
/* a="b" c="d", sorted as text. */
struct str alerts_map_text(struct ctl *c, struct labels ls);
/* &filter=… for each matcher; a first one that is none is the alert's name. */
void alerts_filter_query(struct ctl *c, struct buf *query);

#endif
