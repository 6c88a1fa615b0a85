/* Mailboxes: how threads talk. A bounded queue with many senders and one reader, bound to the reader's loop.
 *
 * Messages are intrusive: the sender puts a `struct mail` first in its own struct and gives the whole away; who holds
 * the message owns it. A full mailbox refuses (the sender keeps the message and must answer for it), and the refusal
 * is counted. Delivery is in the order of posting per sender, in slices of at most MAILBOX_SLICE_MS, between which the
 * loop's other events get their turn.
 *
 * Thread: post from any thread; everything else on the loop's. */
#ifndef TOCSIN_IO_MAILBOX_H
#define TOCSIN_IO_MAILBOX_H

#include "base/metric.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stddef.h>

#define MAILBOX_SLICE_MS 2 /* a thread that shares its core with four others is through with that in 10 ms */

struct mail {
    struct mail *next;
};
struct mailbox;

/* Mail that one thread has gathered, to be posted at once: its reader is woken once. Zero-initialised. */
struct mail_bundle {
    struct mail *newest, *oldest;
    size_t n;
};
void mail_bundle_add(struct mail_bundle *b, struct mail *m);

struct mailbox_metrics { /* shared by all mailboxes of the process */
    struct metric_vec *delivered, *refused, *queued;
};
extern const struct metric_desc mailbox_metric_descs[];
extern const size_t mailbox_metric_descs_count;

/* deliver takes over the message. metrics may be NULL; the name is copied. */
struct mailbox *mailbox_new(struct loop *l, const char *name, size_t capacity, struct mailbox_metrics *metrics,
                            void (*deliver)(void *arg, struct mail *m), void *arg);
/* From now on posts are refused; what is queued goes to deliver at once. */
void mailbox_close(struct mailbox *mb);
/* After close and when no thread can post any more. NULL is fine. */
void mailbox_free(struct mailbox *mb);

/* False: full or closed, and the message is still the caller's. Any thread. */
MUST_CHECK bool mailbox_post(struct mailbox *mb, struct mail *m);
/* For answers: their number is bounded by the requests that were accepted, so they are never refused for being too
 * many. False only after close. Any thread. */
MUST_CHECK bool mailbox_post_answer(struct mailbox *mb, struct mail *m);
/* Answers too; the bundle is empty then. False only after close: its mail, newest first, is still the caller's. Any thread. */
MUST_CHECK bool mailbox_post_bundle(struct mailbox *mb, struct mail_bundle *b);
size_t mailbox_count(const struct mailbox *mb); /* any thread; a moment's truth */

#endif
