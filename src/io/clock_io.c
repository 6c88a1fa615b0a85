/* The only place that reads a clock. */
#include "io/clock_io.h"

#include "base/compiler.h"
#include "base/log.h"

#include <time.h>

int64_t clock_mono_ns(void)
{
    struct timespec t;
    int rc = clock_gettime(CLOCK_MONOTONIC, &t);
    ASSERT(rc == 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

mono_ms clock_mono(void)
{
    return (mono_ms){ clock_mono_ns() / 1000000 };
}

struct wire_time clock_wall(void)
{
    struct timespec t;
    int rc = clock_gettime(CLOCK_REALTIME, &t);
    ASSERT(rc == 0);
    return (struct wire_time){ .s = t.tv_sec, .ns = (int32_t)t.tv_nsec };
}

wall_ms clock_wall_ms(void)
{
    return wire_time_to_ms(clock_wall());
}

void clock_install_log(void)
{
    log_set_clock(clock_wall);
}
