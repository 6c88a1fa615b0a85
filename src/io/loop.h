/* An event loop (libuv) with one owner thread: timers, file descriptors, calls from elsewhere.
 *
 * Timers live in one heap (base/heap.h), so arming is cheap, equal deadlines fire in the order of arming, and a timer
 * may be freed as soon as it is disarmed. Nothing here wakes an idle process.
 *
 * Lag: how long the callbacks of one turn of the loop took, that is, how long an event may have waited for its turn.
 * It is observed once per turn in tocsin_loop_lag_seconds{loop}.
 *
 * Thread: the owner (the one inside loop_run(), or whoever builds the loop before it runs), except where a function
 * says "any thread". */
#ifndef TOCSIN_IO_LOOP_H
#define TOCSIN_IO_LOOP_H

#include "base/clock.h"
#include "base/heap.h"
#include "base/metric.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct uv_loop_s;

struct loop_metrics { /* shared by all loops of the process */
    struct metric_vec *lag;
};
extern const struct metric_desc loop_metric_descs[];
extern const size_t loop_metric_descs_count;

struct loop *loop_new(const char *name, struct loop_metrics *metrics); /* metrics may be NULL; the name is copied */
void loop_free(struct loop *l);                                       /* not running; polls and mailboxes closed before */
void loop_run(struct loop *l);   /* until loop_stop(); may be run again */
void loop_stop(struct loop *l);  /* any thread; the current turn is finished first */
/* One turn: waits for an event at most timeout_ms (-1: as long as it takes, 0: not at all). For tests and start-up. */
void loop_turn(struct loop *l, int64_t timeout_ms);
mono_ms loop_now(struct loop *l); /* the clock, read at most once per callback turn */
bool loop_is_owner(const struct loop *l);
/* For the files of io/ only: the libuv loop, and what each of their callbacks calls first (lag is measured from there). */
struct uv_loop_s *loop_uv(struct loop *l);
void loop_turn_begin(struct loop *l);

/* Timers. Zero-initialised and given fire, then armed; the struct belongs to the caller. A periodic timer re-arms
 * before it fires; late turns are not made up for. */
struct loop_timer {
    struct timer_entry entry;
    void (*fire)(void *arg);
    void *arg;
    int64_t period_ms; /* 0: one shot */
};
void loop_timer_at(struct loop *l, struct loop_timer *t, mono_ms deadline);
void loop_timer_in(struct loop *l, struct loop_timer *t, int64_t delay_ms);
void loop_timer_every(struct loop *l, struct loop_timer *t, int64_t period_ms);
void loop_timer_stop(struct loop *l, struct loop_timer *t); /* fine if not armed */

/* Calls. The struct belongs to the caller and must stay until it has run; posting one that is still queued is an
 * error. loop_defer: in this turn, after the current callback. loop_at_turn_end: when all else of this turn has been done,
 * before the loop sleeps. loop_post: any thread. */
struct loop_call {
    struct loop_call *next;
    void (*run)(void *arg);
    void *arg;
};
void loop_defer(struct loop *l, struct loop_call *c);
void loop_at_turn_end(struct loop *l, struct loop_call *c);
void loop_post(struct loop *l, struct loop_call *c);

/* File descriptors. The loop does not own the fd; stop before closing it. */
enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4 };
struct loop_poll;
struct loop_poll *loop_poll_new(struct loop *l, int fd, void (*ready)(void *arg, unsigned events), void *arg);
void loop_poll_set(struct loop_poll *p, unsigned events); /* 0: none */
void loop_poll_free(struct loop_poll *p);                 /* ready is not called again; NULL is fine */

#endif
