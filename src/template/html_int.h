/* The HTML engine: rewrites the trees that a template can reach so that each action's pipeline ends in the escapers
 * that its context needs. What comes out is run by the same executor. Upstream: Go's html/template. */
#ifndef TOCSIN_TEMPLATE_HTML_INT_H
#define TOCSIN_TEMPLATE_HTML_INT_H

#include "template/exec_int.h"

/* Copies into `a` and escapes the tree `root` and what it can reach through `scope`. On success *out holds the escaped
 * trees by (derived) name and *escaped_root the one to run. Errors: "html/template:name:line:column: ...". */
MUST_CHECK bool html_escape_trees(struct arena *a, const struct scope *scope, const struct tree *root,
                                  struct tree_map *out, struct tree **escaped_root, struct err *err);

#endif
