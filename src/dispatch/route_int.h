/* The compiled tree, as route.c makes it and route_match.c walks it. */
#ifndef TOCSIN_DISPATCH_ROUTE_INT_H
#define TOCSIN_DISPATCH_ROUTE_INT_H

#include "dispatch/route.h"

/* A child that is reached through one of its exact matchers. */
struct child_ref {
    uint64_t hash;  /* of name and value */
    uint32_t child; /* index of the route */
};
/* How the children of a route are found. Children with an exact matcher (non-empty value) are in `refs`, once, sorted by
 * (hash, child); the rest are in `plain`, in order. `names` are the label names that refs hash. Few children: all are
 * plain. */
struct child_index {
    const struct str *names;
    size_t names_count;
    const struct child_ref *refs;
    size_t refs_count;
    const uint32_t *plain;
    size_t plain_count;
};
struct route_node {
    struct route route; /* first: route_tree_at() */
    struct child_index index;
    const uint32_t *regexes; /* per matcher: number of its expression, or NO_REGEX */
};
#define NO_REGEX UINT32_MAX

struct route_tree {
    atomic_uint refs;
    struct arena arena;
    struct route_node *v;
    size_t n;
    size_t regexes_count; /* distinct expressions */
};

uint64_t route_child_hash(struct str name, struct str value);

#endif
