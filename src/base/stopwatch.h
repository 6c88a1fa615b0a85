/* Measures for metrics and statistics only; nothing may behave differently because of it. */
#ifndef TOCSIN_BASE_STOPWATCH_H
#define TOCSIN_BASE_STOPWATCH_H

#include <stdint.h>

struct stopwatch {
    int64_t start_ns;
};
struct stopwatch stopwatch_start(void);
double stopwatch_seconds(struct stopwatch s);

#endif
