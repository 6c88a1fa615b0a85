/* The mesh thread: gossip's edge on a loop of its own, and the table that ties its keys to the alert thread's states. Failure
 * detection never waits for work here: bytes to merge go to the alert thread by mail.
 *
 * Thread: start, wait, leave on main; the spreading functions on the alert thread; status on any. */
#ifndef TOCSIN_APP_MESH_THREAD_H
#define TOCSIN_APP_MESH_THREAD_H

#include "api/backend.h"
#include "app/alert_thread.h"
#include "app/options.h"
#include "base/metric.h"
#include "io/loop.h"
#include "io/mailbox.h"

struct mesh_thread;
struct mesh_thread_options {
    const struct options *options;
    struct fs *fs;
    uint64_t seed;
    struct metric_registry *registry;
    struct loop_metrics *loop_metrics;
    struct mailbox_metrics *mailbox_metrics;
    void (*fatal)(void *arg); /* joining cannot succeed: the process should end. On the mesh thread */
    void *fatal_arg;
};
/* Binds the sockets; nothing is sent before mesh_thread_join(). Errors: an address that cannot be bound or advertised. */
MUST_CHECK struct mesh_thread *mesh_thread_start(const struct mesh_thread_options *options, struct err *err);
/* Begins to join its peers; from now on what they say goes to `alerts`. */
MUST_CHECK bool mesh_thread_join(struct mesh_thread *m, struct alert_thread *alerts, struct err *err);
/* relay: heard from a peer and news here. */
void mesh_thread_broadcast(struct mesh_thread *m, struct str key, struct str record, bool relay);
void mesh_thread_claim(struct mesh_thread *m, struct str to, struct str bytes); /* to: one member, or empty: all tocsin ones */
void mesh_thread_alerts(struct mesh_thread *m, const struct dispatch_alert *alerts, size_t n);
void mesh_thread_status(struct mesh_thread *m, struct arena *a, struct api_cluster *out);
void mesh_thread_reload(struct mesh_thread *m); /* key file */
/* Leaves the cluster (10 s at most) and joins the thread; NULL is fine. The alert thread must still run: peers may ask for
 * state until the end. */
void mesh_thread_leave(struct mesh_thread *m);
void mesh_thread_free(struct mesh_thread *m); /* once the alert thread has stopped; NULL is fine */

#endif
