/* The one clock outside io/: CLOCK_MONOTONIC, for measuring how long something took. */
#include "base/stopwatch.h"

#include <time.h>

static int64_t monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct stopwatch stopwatch_start(void)
{
    return (struct stopwatch){ monotonic_ns() };
}

double stopwatch_seconds(struct stopwatch s)
{
    return (double)(monotonic_ns() - s.start_ns) / 1e9;
}
