/* Test scripts in upstream's language (spec/promql.md 17): load samples, evaluate queries, compare. Behind
 * `tocsinctl test promql` and the conformance runner.
 *
 * A script runs on a store of its own in memory. Every eval block is one case; a failed one is reported and the script goes
 * on. What is no script at all (a line that says nothing, samples that cannot be loaded) ends it. */
#ifndef TOCSIN_PROMQL_TESTSCRIPT_H
#define TOCSIN_PROMQL_TESTSCRIPT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct testscript_counts {
    size_t passed, failed; /* eval blocks */
};
/* Failures are appended to `report`, one line each: "line N: query: what differs". False: the script cannot go on; err has
 * the line. */
MUST_CHECK bool testscript_run(struct str text, struct buf *report, struct testscript_counts *counts, struct err *err);

#endif
