/* The dispatcher's own structs, shared by dispatch.c (events, phases), group.c (groups and membership) and view.c. */
#ifndef TOCSIN_DISPATCH_DISPATCH_INT_H
#define TOCSIN_DISPATCH_DISPATCH_INT_H

#include "base/heap.h"
#include "base/map.h"
#include "dispatch/dispatch.h"
#include "dispatch/members_int.h"

/* What of a group never changes, in one counted block that views share. */
struct group_head {
    atomic_uint refs;
    struct labels labels;
    struct str key;
};
struct group {
    struct timer_entry timer; /* the next tick */
    const struct route *route;
    fingerprint fp;           /* of the labels */
    struct group_head *head;
    struct members members;
    size_t at;                /* in dispatch.groups */
    struct notify_flush *flush; /* under way; NULL: none */
    bool due;                 /* the timer has fired: in the queue of due groups, or waiting for `flush` to end */
    bool queued;
    bool flushed;             /* at least once */
    mono_ms tick;             /* when it was to fire */
    struct group *next_due;
    struct str *muted_by;     /* one block; NULL: not muted */
    size_t muted_by_count;
};

/* An alert's routes, and its group at each: NULL where it is in none. Pointed at by the slot's ALERT_MEMO_DISPATCH word;
 * kept in the order of slots, since views walk them all. */
struct route_memo {
    const struct route_set *set;
    union {
        struct group *one;   /* set->n <= 1 */
        struct group **many;
    } u;
    uint32_t stamp;          /* of the generation: others are stale */
    uint32_t groups : 31;    /* how many are set */
    uint32_t is_many : 1;
};
#define ROUTE_MEMO_CHUNK 1024

enum phase {
    PHASE_IDLE,    /* no configuration yet */
    PHASE_LOADING, /* stored alerts are being taken in, in slices; nothing is flushed */
    PHASE_RUNNING,
    PHASE_STOPPED,
};

enum { OLD_INHIBITORS_MAX = 4 };

struct dispatch {
    struct dispatch_options options;
    struct alert_store *alerts;
    struct silence_store *silences;
    struct nflog *log;
    struct silencer *silencer;
    struct notifier *notifier;
    struct rng rng;

    /* The generation: all that a configuration made. */
    struct dispatch_config config;
    struct inhibitor *inhibitor;
    struct router *router;
    struct map64 *by_route; /* per route: fingerprint of group labels -> group */
    uint32_t stamp;
    struct route_memo **memos; /* chunks of ROUTE_MEMO_CHUNK, by the slot's index */
    size_t memos_count;
    struct inhibitor *old_inhibitors[OLD_INHIBITORS_MAX]; /* of generations before: retired in slices */
    size_t old_inhibitors_count;

    enum phase phase;
    uint32_t load_cursor;
    struct group **groups;
    size_t groups_count, groups_capacity;
    struct group **retired; /* of generations before: let go in slices */
    size_t retired_count;
    struct timer_heap timers;
    struct group *due_first, *due_last;
    bool settled, grace_begun, grace_over;
    mono_ms start_at;       /* the start delay ends */
    mono_ms grace_until;    /* held alerts are released */
    mono_ms inhibit_gc_at;
    struct map timers_restored; /* "<route id>\0<fp>" -> struct restored_timer */
    uint64_t version;       /* of groups, membership and mutes */
    struct dispatch_view *view;
    struct view_pool *pool;
    uint64_t views;         /* made so far */
    struct arena scratch;
    struct buf text;
    mono_ms now;            /* of this step */
    struct wire_time wall;
    struct dispatch_stats stats;
    struct inhibit_stats inhibit_stats;
};

struct view_pool;

struct restored_timer {
    struct str key;
    struct wire_time due;
    bool flushed;
};

/* ---- group.c ---- */

/* Puts an alert into the groups of its routes where it is not in yet; makes groups. */
void dispatch_group_route(struct dispatch *d, struct alert_slot *s);
bool dispatch_group_is_routed(const struct dispatch *d, const struct alert_slot *s);
void dispatch_group_make_due(struct dispatch *d, struct group *g, mono_ms tick);
struct group *dispatch_group_pop_due(struct dispatch *d);
void dispatch_group_start_flush(struct dispatch *d, struct group *g);
void dispatch_group_flush_done(struct dispatch *d, struct group *g, struct notify_flush *f);
/* Frees a group that is in nothing any more but the memos of its members, which are stale. */
void dispatch_group_let_go(struct dispatch *d, struct group *g);
void dispatch_group_memo_end(void *arg, struct alert_slot *s);
void dispatch_group_head_release(struct group_head *h); /* any thread */
struct route_memo *dispatch_group_memo(const struct dispatch *d, const struct alert_slot *s); /* NULL if there is none, or stale */

/* ---- view.c ---- */

struct view_pool *dispatch_view_pool_new(void);
void dispatch_view_pool_release(struct view_pool *p);

#endif
