/* Tokens of a template text. The lexer holds a position and nothing else; each call gives the next token. */
#ifndef TOCSIN_TEMPLATE_LEX_INT_H
#define TOCSIN_TEMPLATE_LEX_INT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum token_type {
    TOKEN_ERROR, /* value is the message */
    TOKEN_BOOL,
    TOKEN_CHAR,
    TOKEN_CHAR_CONSTANT,
    TOKEN_COMPLEX,
    TOKEN_ASSIGN,
    TOKEN_DECLARE,
    TOKEN_EOF,
    TOKEN_FIELD,
    TOKEN_IDENTIFIER,
    TOKEN_LEFT_DELIM,
    TOKEN_LEFT_PAREN,
    TOKEN_NUMBER,
    TOKEN_PIPE,
    TOKEN_RAW_STRING,
    TOKEN_RIGHT_DELIM,
    TOKEN_RIGHT_PAREN,
    TOKEN_SPACE,
    TOKEN_STRING,
    TOKEN_TEXT,
    TOKEN_VARIABLE,
    TOKEN_KEYWORDS, /* what follows is a keyword */
    TOKEN_DOT,
    TOKEN_BLOCK,
    TOKEN_BREAK,
    TOKEN_CONTINUE,
    TOKEN_DEFINE,
    TOKEN_ELSE,
    TOKEN_END,
    TOKEN_IF,
    TOKEN_NIL,
    TOKEN_RANGE,
    TOKEN_TEMPLATE,
    TOKEN_WITH,
};

struct token {
    enum token_type type;
    uint32_t pos, line;
    struct str value;
};

struct lexer {
    struct arena *arena; /* for messages */
    struct str input;
    size_t pos, start;
    uint32_t line, start_line;
    uint32_t paren_depth;
    bool inside_action;
    bool done; /* an error was given: what follows is the end */
};

void lexer_init(struct lexer *l, struct arena *a, struct str input);
struct token lexer_next(struct lexer *l);
void token_write(const struct token *t, struct buf *out); /* as parse errors show it */

#endif
