/* The send thread: renders and performs attempts (notify/notify_io.h) on a loop of its own and posts what came of them to the
 * alert thread. Thread: start and stop on main; attempt and cancel from the alert thread. */
#ifndef TOCSIN_APP_SEND_THREAD_H
#define TOCSIN_APP_SEND_THREAD_H

#include "app/alert_thread.h"
#include "base/metric.h"
#include "io/loop.h"
#include "io/mailbox.h"
#include "notify/pipeline.h"

struct send_thread;
struct send_thread_options {
    struct str user_agent;
    struct metric_registry *registry;
    struct loop_metrics *loop_metrics;
    struct mailbox_metrics *mailbox_metrics;
    void (*result)(void *arg, struct notify_result *r); /* on the send thread; copies */
    void (*results_end)(void *arg); /* after the last result of a turn of the loop */
    void *arg;
};
MUST_CHECK struct send_thread *send_thread_start(const struct send_thread_options *options, struct err *err);
void send_thread_attempt(struct send_thread *s, const struct notify_attempt *a); /* takes its references over */
void send_thread_cancel(struct send_thread *s, uint64_t attempt);
size_t send_thread_in_flight(const struct send_thread *s); /* any thread */
void send_thread_stop(struct send_thread *s); /* what is in flight ends cancelled; joins; NULL is fine */
void send_thread_free(struct send_thread *s); /* after stop, when nobody can post any more; NULL is fine */

#endif
