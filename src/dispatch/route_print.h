/* The routing tree as amtool draws it (spec/alertmanager.md 11, "Route tree"): box drawing, matchers, receivers.
 * Pure; any thread. */
#ifndef TOCSIN_DISPATCH_ROUTE_PRINT_H
#define TOCSIN_DISPATCH_ROUTE_PRINT_H

#include "base/buf.h"
#include "dispatch/route.h"

/* All of `config routes show`: "Routing tree:", the tree, an empty line. */
void route_print_tree(struct buf *out, const struct route_tree *t);
/* The tree part of `config routes test --tree`: "Matching routes:", the branches that lead to the routes that ls
 * matches, receivers on those only, two empty lines. */
void route_print_match(struct buf *out, const struct route_tree *t, struct labels ls);
/* "a,b": the receivers of the routes that ls matches, in order, without a newline. */
void route_print_receivers(struct buf *out, const struct route_tree *t, struct labels ls);

#endif
