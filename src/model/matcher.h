/* Matchers: (name, operator, value), as routes, inhibition, silences, the API and the CLI use them, with the classic
 * and the UTF-8 parser and the rules of which one runs (spec/alertmanager.md 3). Upstream: alertmanager pkg/labels,
 * matcher/parse, matcher/compat.
 *
 * A matcher borrows its texts from the arena it was parsed into, and holds one reference of its regex; matchers that
 * live longer are copied with matchers_dup(). Thread: immutable once made. */
#ifndef TOCSIN_MODEL_MATCHER_H
#define TOCSIN_MODEL_MATCHER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/labels.h"
#include "regex/regex.h"

#include <stdbool.h>
#include <stddef.h>

enum match_op { MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE }; /* sort order: = != =~ !~ */
struct str match_op_text(enum match_op op);

struct matcher {
    enum match_op op;
    struct str name, value;
    struct regex *re; /* MATCH_RE, MATCH_NRE; compiled as ^(?:value)$ */
};
struct matchers {
    struct matcher *v;
    size_t n;
};

enum matcher_mode { MATCHER_FALLBACK, MATCHER_CLASSIC, MATCHER_UTF8 };

/* What the fallback rules have to say beside the result; the caller logs it (input, origin, err, suggestion). */
struct matcher_notice {
    bool disagreement; /* "Matchers input has disagreement" */
    bool classic_used; /* the UTF-8 parser refused what the classic one took */
    struct err utf8_err;
    struct str suggestion; /* in the arena */
};

/* Compiles the regex if the operator needs one. Texts are borrowed. */
MUST_CHECK bool matcher_init(struct matcher *m, enum match_op op, struct str name, struct str value, struct err *err);
void matcher_deinit(struct matcher *m);
/* A list "{a=b,c!=d}" (configuration), in input order; notice may be NULL. */
MUST_CHECK bool matchers_parse(struct arena *a, enum matcher_mode mode, struct str text, struct matchers *out,
                               struct matcher_notice *notice, struct err *err);
/* Exactly one matcher (API filters, amtool arguments); refuses braces except in classic mode. */
MUST_CHECK bool matcher_parse(struct arena *a, enum matcher_mode mode, struct str text, struct matcher *out,
                              struct matcher_notice *notice, struct err *err);
struct matchers matchers_dup(const struct matchers *ms); /* one heap block, regexes retained */
void matchers_free(struct matchers *ms);                 /* what matchers_dup made */
void matchers_deinit(struct matchers *ms);               /* releases regexes of a list in an arena */
void matchers_sort(struct matchers *ms);                 /* name, value, operator */

bool matcher_matches_value(const struct matcher *m, struct str value);
bool matcher_matches(const struct matcher *m, struct labels ls); /* a missing label is the empty string */
bool matchers_match(const struct matchers *ms, struct labels ls);
bool matcher_eq(const struct matcher *a, const struct matcher *b);
bool matchers_eq(const struct matchers *a, const struct matchers *b); /* in order */

void matcher_write(struct buf *b, const struct matcher *m);   /* nameop"value", spec 3.1 */
void matchers_write(struct buf *b, const struct matchers *ms);/* {m1,m2} */

#endif
