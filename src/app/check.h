/* --config.check and --dry-run: says what would run, with which sections and ports, and ends. Thread: main. */
#ifndef TOCSIN_APP_CHECK_H
#define TOCSIN_APP_CHECK_H

#include "app/options.h"
#include "base/err.h"
#include "config/config.h"

#include <stdbool.h>

/* Writes to stdout. The configuration is valid already; templates are parsed here. */
MUST_CHECK bool check_and_say(const struct config *c, const struct options *o, struct err *err);

#endif
