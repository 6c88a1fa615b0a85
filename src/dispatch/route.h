/* The routing tree, compiled once per configuration: settings inherited, keys and ids written, children indexed so that
 * a thousand siblings that differ in one exact matcher cost one hash lookup. Immutable and counted; any thread may match
 * with route_tree_match(). A router adds memory to that (the answer of each regex for each value it has seen) and
 * belongs to one thread.
 *
 * Upstream: alertmanager dispatch/route.go; spec/alertmanager.md 4.2, 4.3, 2.3. */
#ifndef TOCSIN_DISPATCH_ROUTE_H
#define TOCSIN_DISPATCH_ROUTE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "notify/pipeline.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct route_config;

#define ROUTES_MAX 1000000

struct route {
    uint32_t index;              /* in route_tree.v: preorder, the root is 0 */
    uint32_t depth;
    const struct route *parent;  /* NULL: the root */
    const uint32_t *children;
    size_t children_count;
    struct matchers matchers;    /* sorted by name, value, operator; of every form */
    struct str key, id;          /* {}/{a="b"} and {}/{a="b"}/0 */
    struct str receiver;         /* name */
    size_t receiver_index;       /* in the receivers given */
    const struct str *group_by;  /* sorted */
    size_t group_by_count;
    bool group_by_all;
    bool continues;
    int64_t group_wait_ms, group_interval_ms, repeat_interval_ms;
    struct labels labels;        /* raw templates, merged over the parent's */
    const struct notify_window *mute, *active;
    size_t mute_count, active_count;
};
struct route_tree;

/* What names in a configuration mean. */
struct route_env {
    const struct notify_receiver *receivers; /* NULL: receiver_index stays 0 (tools) */
    size_t receivers_count;
    const struct notify_window *windows; /* all named intervals; NULL: none are resolved (tools) */
    size_t windows_count;
};
/* Copies what it needs, but for the time intervals of the windows, which it borrows. ERR_INVALID: a name that env does
 * not know (a checked configuration has none), or too many routes. One reference is the caller's. */
MUST_CHECK struct route_tree *route_tree_new(const struct route_config *root, const struct route_env *env, struct err *err);
struct route_tree *route_tree_retain(struct route_tree *t);
void route_tree_release(struct route_tree *t);
size_t route_tree_count(const struct route_tree *t);
const struct route *route_tree_at(const struct route_tree *t, size_t index);

/* Indexes of the routes that an alert with these labels goes to, in order, appended to out[0..max); returns how many
 * there are (max is enough if it is route_tree_count()). Any thread. */
size_t route_tree_match(const struct route_tree *t, struct labels ls, uint32_t *out, size_t max);

/* The group labels of an alert at a route: borrowed from ls and the arena. */
struct labels route_group_labels(struct arena *a, const struct route *r, struct labels ls);
/* "<route key>:{a="x", b="y"}" */
void route_group_key_write(struct buf *out, const struct route *r, struct labels group_labels);

/* A distinct answer of the tree, shared by all alerts that have it. Lives as long as its router, which is counted: a view
 * on another thread may keep it, but only the owner thread matches. */
struct route_set {
    size_t n;
    uint32_t v[];
};
struct router;
struct router *router_new(struct route_tree *t); /* retains */
struct router *router_retain(struct router *r);  /* any thread */
void router_release(struct router *r);           /* any thread */
const struct route_set *router_match(struct router *r, struct labels ls);

#endif
