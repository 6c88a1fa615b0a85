/* The body of POST /api/v2/silences: bytes to what the store takes, refused as spec/alertmanager 9.1 and 9.2 say.
 * Thread: any. Upstream: api/v2/api.go postSilencesHandler. */
#ifndef TOCSIN_API_SILENCE_IN_H
#define TOCSIN_API_SILENCE_IN_H

#include "api/refusal.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "silence/silence.h"

#include <stdbool.h>

/* The framework's half: JSON, required members, formats. *spec borrows from the body and the arena. */
MUST_CHECK bool silence_in_parse(struct arena *a, struct str body, struct silence_spec *spec,
                                 struct api_refusal *refusal);
/* The handler's checks before the store is asked: "Failed to create silence: ...". */
MUST_CHECK bool silence_in_check(const struct silence_spec *spec, struct wire_time now, struct err *err);

#endif
