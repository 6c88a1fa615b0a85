/* The body of POST /api/v2/alerts: bytes to what the store takes, with the checks and the words of spec/alertmanager 4.1, 9.1.
 *
 * Two kinds of refusal: what the framework of upstream refuses (an object {"code":N,"message":...}, nothing is stored), and
 * what the handler refuses (a JSON string; the valid alerts are stored all the same).
 * Nothing is allocated but from the arena. Thread: any. Upstream: api/v2/api.go postAlertsHandler, go-openapi's validation. */
#ifndef TOCSIN_API_ALERTS_IN_H
#define TOCSIN_API_ALERTS_IN_H

#include "alert/alert.h"
#include "api/refusal.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct alerts_in {
    const struct alert_spec *specs; /* the valid ones, in order; they borrow from the body and the arena */
    size_t specs_count;
    size_t firing, resolved; /* received, counted before validation */
    size_t invalid;
    struct str errors; /* of the handler's kind, joined by newlines; empty: none */
};

struct alerts_in_rules {
    struct wire_time now;
    int64_t resolve_timeout_ms;
    bool classic_names; /* feature classic-mode */
};

/* False: refused by the framework, *refusal says how; its text lives in the arena. */
MUST_CHECK bool alerts_in_parse(struct arena *a, struct str body, const struct alerts_in_rules *rules,
                                struct alerts_in *out, struct api_refusal *refusal);

/* strfmt's date-times: RFC 3339 with any fraction, zone as Z, +hh:mm, +hhmm or none (UTC), seconds optional; an empty text is
 * the Unix epoch, as upstream has it. */
MUST_CHECK bool api_datetime_parse(struct str s, struct wire_time *t, int32_t *offset_s);
/* What url.ParseRequestURI takes: an absolute URI or an absolute path. */
bool api_uri_valid(struct str s);

#endif
