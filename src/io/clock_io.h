/* The clocks. Only this folder reads them; everything else is given `now`.
 *
 * Thread: any. */
#ifndef TOCSIN_IO_CLOCK_IO_H
#define TOCSIN_IO_CLOCK_IO_H

#include "base/clock.h"

#include <stdint.h>

mono_ms clock_mono(void);            /* CLOCK_MONOTONIC */
int64_t clock_mono_ns(void);
struct wire_time clock_wall(void);   /* CLOCK_REALTIME, whole nanoseconds */
wall_ms clock_wall_ms(void);
void clock_install_log(void);        /* from now on log lines carry the time */

#endif
