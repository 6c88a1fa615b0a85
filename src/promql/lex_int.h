/* Tokens of PromQL. The whole text is cut before parsing; an error is a token too, so that the parser reports whatever
 * comes first. Upstream: promql/parser/lex.go. */
#ifndef TOCSIN_PROMQL_LEX_INT_H
#define TOCSIN_PROMQL_LEX_INT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum token_kind {
    T_EOF, T_ERROR,
    T_COMMA, T_LPAREN, T_RPAREN, T_LBRACE, T_RBRACE, T_LBRACKET, T_RBRACKET, T_COLON, T_ASSIGN, T_AT,
    T_STRING, T_NUMBER, T_DURATION, T_IDENTIFIER, T_METRIC_IDENTIFIER,
    /* operators */
    T_ADD, T_SUB, T_MUL, T_DIV, T_MOD, T_POW, T_EQLC, T_NEQ, T_LSS, T_LTE, T_GTR, T_GTE, T_TRIM_UPPER, T_TRIM_LOWER,
    T_EQL_REGEX, T_NEQ_REGEX,
    T_AND, T_OR, T_UNLESS, T_ATAN2,
    /* aggregations, in the order of enum promql_aggregation */
    T_SUM, T_AVG, T_COUNT, T_MIN, T_MAX, T_GROUP, T_STDDEV, T_STDVAR, T_TOPK, T_BOTTOMK, T_COUNT_VALUES, T_QUANTILE,
    T_LIMITK, T_LIMIT_RATIO,
    /* other keywords */
    T_OFFSET, T_SMOOTHED, T_ANCHORED, T_BY, T_WITHOUT, T_ON, T_IGNORING, T_GROUP_LEFT, T_GROUP_RIGHT,
    T_FILL, T_FILL_LEFT, T_FILL_RIGHT, T_BOOL,
    /* preprocessors: keywords that are also functions */
    T_START, T_END, T_STEP, T_RANGE, T_MAX_OF, T_MIN_OF,
};

struct token {
    enum token_kind kind;
    uint32_t start, end;
    struct str text; /* of the source; T_ERROR: the message */
};
struct tokens {
    struct token *v;
    size_t n, capacity; /* ends with T_EOF or T_ERROR */
};

/* In the arena. */
void promql_lex(struct arena *a, struct str text, struct tokens *out);
/* `identifier "x"`, `<op:+>`, ...: what errors call the token. */
struct str promql_token_desc(struct arena *a, const struct token *t);
/* The value of a string token; ERR_INVALID with Go's words. */
MUST_CHECK bool promql_unquote(struct arena *a, struct str quoted, struct str *out, struct err *err);
static inline bool token_is_keyword(enum token_kind k)
{
    return k >= T_AND && k <= T_MIN_OF;
}

#endif
