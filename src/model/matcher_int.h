/* What the two matcher parsers and the rules above them share. Inside the folder only. */
#ifndef TOCSIN_MODEL_MATCHER_INT_H
#define TOCSIN_MODEL_MATCHER_INT_H

#include "model/matcher.h"

/* A list that grows in an arena. */
struct matcher_list {
    struct arena *arena;
    struct matchers ms;
    size_t capacity;
};
/* Makes a matcher at the end. On an error of its regex nothing is added. Texts are in the arena already. */
MUST_CHECK bool matcher_list_add(struct matcher_list *list, enum match_op op, struct str name, struct str value,
                                 struct err *err);

/* On failure *out is empty and nothing is held. */
MUST_CHECK bool matchers_parse_classic(struct arena *a, struct str text, struct matchers *out, struct err *err);
MUST_CHECK bool matcher_parse_classic(struct arena *a, struct str text, struct matcher *out, struct err *err);
MUST_CHECK bool matchers_parse_utf8(struct arena *a, struct str text, struct matchers *out, struct err *err);
MUST_CHECK bool matcher_parse_utf8(struct arena *a, struct str text, struct matcher *out, struct err *err);

/* White space (Unicode) or one of {}!=~,\"'` : ends an unquoted text, and makes a name be printed quoted. */
bool matcher_rune_is_reserved(uint32_t r);

#endif
