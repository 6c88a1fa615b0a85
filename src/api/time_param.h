/* Times as parameters of HTTP API v1: seconds as a float, or RFC 3339. */
#ifndef TOCSIN_API_TIME_PARAM_H
#define TOCSIN_API_TIME_PARAM_H

#include "base/clock.h"
#include "base/str.h"

#include <stdbool.h>

#define API_TIME_MIN (INT64_MIN / 2) /* what is further off is taken for these */
#define API_TIME_MAX (INT64_MAX / 2)

bool api_time_parse(struct str s, wall_ms *ms);

#endif
