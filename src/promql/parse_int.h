/* What the parser's files share. */
#ifndef TOCSIN_PROMQL_PARSE_INT_H
#define TOCSIN_PROMQL_PARSE_INT_H

#include "promql/lex_int.h"
#include "promql/promql.h"

struct promql_expr {
    struct arena arena;
    struct str text;
    unsigned features;
    struct promql_node *root;
    struct regex **regexes; /* of selectors, released with the expression */
    size_t regexes_count, regexes_capacity;
};

struct parser {
    struct promql_expr *e;
    struct arena *a;
    struct tokens tokens;
    size_t at;
    int depth;
    size_t nodes;
    bool failed;
    struct err *err;
};

/* The first error counts; always returns false. */
bool parse_fail(struct parser *p, uint32_t at, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* ERR_INVALID "LINE:COL: parse error: <message>". */
void parse_error_at(struct err *err, struct str text, uint32_t at, struct str message);
struct promql_node *parse_node(struct parser *p, enum promql_kind kind, enum promql_type type, uint32_t start);
/* Types and arguments of the whole tree, upstream's checkAST. */
MUST_CHECK bool parse_check(struct parser *p, struct promql_node *n);
/* Durations: duration_expr.c. `offset` reads what may follow offset, else what may stand in []. */
MUST_CHECK bool parse_duration(struct parser *p, bool offset, struct promql_duration *out);
MUST_CHECK bool parse_number_text(struct str text, double *v);
/* A duration literal; ERR_INVALID. */
MUST_CHECK bool parse_duration_text(struct str text, int64_t *ms, struct err *err);
/* seconds -> ms as upstream converts literals. False: out of range. */
MUST_CHECK bool duration_from_seconds(double s, int64_t *ms);

static inline const struct token *parse_peek(const struct parser *p)
{
    return &p->tokens.v[p->at];
}
static inline const struct token *parse_next(struct parser *p)
{
    const struct token *t = &p->tokens.v[p->at];
    if (p->at + 1 < p->tokens.n)
        p->at++;
    return t;
}
/* `unexpected X[ in context][, expected what]`; a lexer's error goes first. */
bool parse_unexpected(struct parser *p, const char *context, const char *expected);

#endif
