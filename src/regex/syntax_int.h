/* Go's regexp syntax, checked before RE2 sees the text: what Go refuses is refused in Go's words, and what the two
 * write differently is rewritten. Inside the folder only. */
#ifndef TOCSIN_REGEX_SYNTAX_INT_H
#define TOCSIN_REGEX_SYNTAX_INT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/* Checks `pattern` as Go's regexp.Compile would and appends what RE2 is to be given to `rewritten`.
 * ERR_INVALID "error parsing regexp: <reason>: `<fragment>`". */
MUST_CHECK bool regex_syntax_check(struct str pattern, struct buf *rewritten, struct err *err);
/* The same text for an objection that only RE2 can raise. Returns false. */
bool regex_syntax_error(struct err *err, const char *reason, struct str fragment);

/* Does RE2 know this class: \p{Greek} as RE2 is given it? (In regex.cc: the tables are RE2's.) */
bool regex_class_exists(struct str escape);

/* What can be said about an expression without running it. */
enum simple_kind {
    SIMPLE_NONE,  /* nothing but the prefix */
    SIMPLE_SET,   /* exactly these literals */
    SIMPLE_AFFIX, /* gap, literal, gap */
};
enum simple_gap { GAP_NONE, GAP_ANY /* .* */, GAP_SOME /* .+ */ };
struct simple_regex {
    enum simple_kind kind;
    const struct str *literals; /* SIMPLE_SET: sorted, unique */
    size_t literals_count;
    enum simple_gap lead, tail; /* SIMPLE_AFFIX */
    struct str middle;
    struct str prefix; /* every match of the anchored expression starts with it */
};

#define SIMPLE_LITERALS_MAX 4096         /* of a set; a larger one is RE2's */
#define SIMPLE_BYTES_MAX    (256 * 1024) /* of all literals together */

/* Texts live in the arena. Never fails: what it does not understand is SIMPLE_NONE. */
void regex_simple_parse(struct arena *a, struct str text, struct simple_regex *out);

#endif
