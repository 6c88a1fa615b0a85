/* Slices of bytes that someone else owns: `struct str` is passed by value, carries its length, may hold NUL bytes
 * and need not end with one. Nothing here allocates. Text is UTF-8 unless a function says bytes.
 *
 * Lifetime: a str is valid as long as what it points into; a function that keeps one copies it. */
#ifndef TOCSIN_BASE_STR_H
#define TOCSIN_BASE_STR_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(literal)      ((struct str){ "" literal, sizeof(literal) - 1 })
#define STR_INIT(literal) { "" literal, sizeof(literal) - 1 }
#define STR_EMPTY         ((struct str){ "", 0 })
#define STR_ARG(s)        (int)((s).n > 65536 ? 65536 : (s).n), ((s).p ? (s).p : "") /* for "%.*s"; cut at 64 KiB */

static inline struct str str_of(const char *p, size_t n)
{
    return (struct str){ p, n };
}
struct str str_c(const char *z); /* of a NUL-terminated string; NULL gives the empty str */

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
int str_cmp(struct str a, struct str b);        /* bytes, shorter first on a tie: Go's string order */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);

#define STR_NPOS SIZE_MAX
size_t str_find_byte(struct str s, char c);           /* STR_NPOS if absent */
size_t str_rfind_byte(struct str s, char c);
size_t str_find(struct str s, struct str needle);     /* empty needle: 0 */
bool str_contains(struct str s, struct str needle);

struct str str_from(struct str s, size_t at);         /* at past the end gives the empty str at the end of s */
struct str str_sub(struct str s, size_t at, size_t n);/* clipped */
struct str str_trim(struct str s);                    /* ASCII white space: space \t \n \v \f \r */
struct str str_trim_set(struct str s, struct str set);

/* A borrowed list of texts. v is NULL where the list is absent, which is not the same as empty for some readers. */
struct str_list {
    const struct str *v;
    size_t n;
};

/* Cuts the text before the first `sep` off *rest into *head; false when *rest was exhausted before the call. The
 * last piece is what follows the last separator, so "a,,b" gives a, "", b; an empty text gives one empty piece. */
/* A zeroed str ({0}) counts as exhausted. */
bool str_split(struct str *rest, char sep, struct str *head);

uint64_t str_hash(struct str s, uint64_t seed); /* for tables in memory; never leaves the process */

/* ASCII classes, independent of any locale. */
bool ascii_is_digit(char c);
bool ascii_is_alpha(char c);
bool ascii_is_alnum(char c);
bool ascii_is_space(char c);
bool ascii_is_xdigit(char c);
int ascii_xdigit_value(char c); /* -1 if it is none */
char ascii_lower(char c);
char ascii_upper(char c);

#endif
