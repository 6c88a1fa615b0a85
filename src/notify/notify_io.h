/* The edge of notify: attempts are rendered, sent and answered here, on the send loop. One integration's slowness never delays
 * another: an attempt in flight is a call of the HTTP client (or an SMTP job), and what waits stands in its own integration's line.
 *
 * Thread: the loop's. An attempt is answered exactly once, cancelled or not, by calling `result`. */
#ifndef TOCSIN_NOTIFY_NOTIFY_IO_H
#define TOCSIN_NOTIFY_NOTIFY_IO_H

#include "base/metric.h"
#include "io/loop.h"
#include "notify/pipeline.h"

#include <stddef.h>

struct notify_io;
struct notify_io_options {
    struct str user_agent;
    /* What the rows of these receivers share (their generation's env). */
    const struct receiver_env *(*env)(struct notify_receivers *r);
    void (*result)(void *arg, struct notify_result *r); /* texts are valid during the call */
    void *arg;
};
struct notify_io *notify_io_new(struct loop *l, const struct notify_io_options *options);
void notify_io_free(struct notify_io *io); /* what is in flight is answered as cancelled first */
struct http_client;
struct http_client *notify_io_client(struct notify_io *io); /* for its metrics */

void notify_io_attempt(struct notify_io *io, const struct notify_attempt *a); /* takes its references over */
void notify_io_cancel(struct notify_io *io, uint64_t attempt);               /* fine if it is over */
size_t notify_io_count(const struct notify_io *io);

#endif
