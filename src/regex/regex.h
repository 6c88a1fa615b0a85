/* Regular expressions with Go's syntax in linear time: RE2 behind a C face (regex.cc is the only C++ of the project).
 *
 * What RE2 2022 and Go's regexp differ in is rewritten or refused here: (?<name>...) is accepted, \C refused, errors are
 * worded as Go words them ("error parsing regexp: missing closing ): `a(`"). Compiled programs are bounded
 * (REGEX_MEMORY_MAX); immutable and shared between threads once compiled.
 *
 * Fast paths decided at compile time: a literal, a set of literals, a literal prefix (with or without .* / .+ behind),
 * ".*" and ".+", so that matching them never enters RE2. regex_literals() shows them to the postings code. */
#ifndef TOCSIN_REGEX_REGEX_H
#define TOCSIN_REGEX_REGEX_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct regex;

enum regex_flags {
    REGEX_ANCHORED = 1, /* compiled as ^(?:text)$; otherwise searches anywhere */
    REGEX_DOTALL = 2,   /* . matches newline: (?s), as Prometheus 3 compiles label matchers */
    REGEX_FOLD = 4,     /* (?i) */
};

#define REGEX_TEXT_MAX   (64 * 1024)
#define REGEX_MEMORY_MAX (4 * 1024 * 1024)

/* A compiled program; NULL and ERR_INVALID ("error parsing regexp: ...") on bad syntax, ERR_LIMIT if too large. */
MUST_CHECK struct regex *regex_compile(struct str text, unsigned flags, struct err *err);
struct regex *regex_retain(struct regex *re); /* counted, any thread */
void regex_release(struct regex *re);
struct str regex_text(const struct regex *re); /* as given, without the anchors */

bool regex_match(const struct regex *re, struct str s);
/* Leftmost match from byte `at` on. groups[0] is the whole match; a group that took no part has p == NULL. */
size_t regex_groups_count(const struct regex *re); /* with group 0 */
struct str regex_group_name(const struct regex *re, size_t group);
bool regex_find(const struct regex *re, struct str s, size_t at, struct str *groups, size_t groups_count);
/* Go's ReplaceAllString: $1, ${1}, $name, ${name}, $$; unknown groups are empty. */
void regex_replace_all(const struct regex *re, struct str s, struct str replacement, struct buf *out);
/* Go's Expand of a template for one match. */
void regex_expand(const struct regex *re, struct str replacement, const struct str *groups, size_t groups_count,
                  struct buf *out);

/* An anchored expression that is a finite set of literal strings (case-sensitive): how many and which. 0 if not. */
size_t regex_literals(const struct regex *re, const struct str **literals);
/* The literal text every match starts with (empty if none). */
struct str regex_prefix(const struct regex *re);
bool regex_matches_empty(const struct regex *re);

#endif
