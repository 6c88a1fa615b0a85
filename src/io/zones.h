/* The time zones of the process: each is read from the system once and kept, so that a rendering can borrow it. "Local" is the
 * zone of the process by Go's rules (TZ, else /etc/localtime).
 *
 * Thread: any. Bounds: ZONES_MAX names; further ones are unknown. */
#ifndef TOCSIN_IO_ZONES_H
#define TOCSIN_IO_ZONES_H

#include "base/str.h"
#include "model/timezone.h"

#define ZONES_MAX 1024

struct zone *zones_get(struct str name);             /* borrowed for ever; NULL: unknown */
struct zone *zones_hook(void *arg, struct str name); /* the same as a template hook; arg is not used */

#endif
