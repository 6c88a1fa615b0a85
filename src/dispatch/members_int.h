/* The alerts of a group, in the order in which a notification lists them (alert_compare(), spec/alertmanager.md 4.4).
 * Kept in order at all times, so that a flush of 100,000 alerts sorts nothing: runs of at most RUN_MAX slots, found by
 * binary search, split when full.
 *
 * The order depends on labels only, which never change under a slot. Members hold a reference each: the caller's
 * business. Thread: the alert thread. */
#ifndef TOCSIN_DISPATCH_MEMBERS_INT_H
#define TOCSIN_DISPATCH_MEMBERS_INT_H

#include "alert/store.h"

struct member_run {
    uint32_t n, capacity;
    struct alert_slot **v;
};
struct members {
    struct member_run *runs;
    uint32_t runs_count, runs_capacity;
    size_t count;
};
void group_members_deinit(struct members *m);
void group_members_add(struct members *m, struct alert_slot *s); /* not in yet */
bool group_members_remove(struct members *m, const struct alert_slot *s);
/* In order: for (struct member_at at = {0}; (s = group_members_next(m, &at)) != NULL;). Not while changing. */
struct member_at {
    uint32_t run, i;
};
struct alert_slot *group_members_next(const struct members *m, struct member_at *at);

#endif
