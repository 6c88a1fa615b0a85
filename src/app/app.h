/* The process: wiring, threads, reload, shutdown. The only folder where siblings meet.
 *
 * Thread: main. */
#ifndef TOCSIN_APP_APP_H
#define TOCSIN_APP_APP_H

#include "app/options.h"
#include "base/buf.h"
#include "base/str.h"

/* Runs until a signal or POST /-/quit ends it; the exit code. With --config.check or --dry-run it says what would run. */
int app_run(const struct options *options);

/* "NAME, version X.Y.Z (branch: B, revision: R)" and the lines below it, as upstream's programs print them. */
void app_version_block(struct buf *out, struct str name);

/* Which upstream we are to clients: versionInfo, build_info, User-Agent. */
#define APP_ALERTMANAGER_VERSION "0.34.0"
#define APP_PROMETHEUS_VERSION   "3.14.0"

#endif
