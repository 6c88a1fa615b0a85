/* Signals as events of a loop. SIGPIPE is ignored for the whole process; the named ones are delivered to one callback.
 *
 * Thread: call signals_block() first thing in main, before any other thread starts; the rest on the loop's. */
#ifndef TOCSIN_IO_SIGNALS_H
#define TOCSIN_IO_SIGNALS_H

#include "base/err.h"
#include "io/loop.h"

#include <stdbool.h>

void signals_block(void); /* SIGHUP, SIGINT, SIGTERM, SIGQUIT blocked (threads inherit that), SIGPIPE ignored */
struct signals;
struct signals *signals_new(struct loop *l, void (*caught)(void *arg, int signo), void *arg, struct err *err);
void signals_free(struct signals *s);

#endif
