/* Parsed templates: what parse.c makes, exec.c walks and html_escape.c rewrites. A tree lives in the arena of the set or
 * of the compiled text that owns it and is immutable once made (the escaper works on copies).
 *
 * Positions are byte offsets into the tree's text; errors need them, execution does not. */
#ifndef TOCSIN_TEMPLATE_TREE_INT_H
#define TOCSIN_TEMPLATE_TREE_INT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct func;

enum node_kind {
    NODE_TEXT,
    NODE_ACTION,
    NODE_IF,
    NODE_RANGE,
    NODE_WITH,
    NODE_TEMPLATE,
    NODE_BREAK,
    NODE_CONTINUE,
    NODE_LIST,
    NODE_PIPE,
    NODE_COMMAND,
    NODE_FIELD,      /* .A.B */
    NODE_VARIABLE,   /* $x.A.B: idents[0] is "$x" */
    NODE_CHAIN,      /* (pipe).A.B */
    NODE_IDENTIFIER, /* a function */
    NODE_DOT,
    NODE_NIL,
    NODE_BOOL,
    NODE_NUMBER,
    NODE_STRING,
    NODE_END,  /* parser only */
    NODE_ELSE, /* parser only */
};

struct node_number {
    bool is_int, is_uint, is_float, is_complex;
    int64_t i;
    uint64_t u;
    double f; /* of a complex: the imaginary part, the real one is always 0 unless re is set */
    double re;
};

struct tree;
struct node {
    enum node_kind kind;
    uint32_t pos, line;
    const struct tree *tree;
    union {
        struct str text; /* TEXT: the bytes */
        struct {
            struct node *pipe; /* ACTION and controls */
            struct node *list, *else_list;
            const struct node *field; /* ACTION: the .X of {{ .X }}, which is what most of a template is; else NULL */
        } control;
        struct {
            struct str name;
            struct node *pipe; /* NULL: none */
        } tmpl;
        struct {
            struct node **v; /* LIST: contents; COMMAND: function or operand, then its arguments */
            uint32_t n, capacity;
        } list;
        struct {
            struct node *decl[2];
            uint32_t decl_count;
            bool assign;
            struct node **cmds;
            uint32_t cmds_count, cmds_capacity;
        } pipe;
        struct {
            struct str *idents;
            uint32_t n;
            struct node *node; /* CHAIN */
        } chain; /* FIELD, VARIABLE, CHAIN */
        struct {
            struct str name;
            const struct func *func;
        } ident;
        bool b;
        struct {
            struct str text;
            struct node_number n;
        } number;
        struct {
            struct str quoted, value;
        } string;
    } u;
};

/* One definition. */
struct tree {
    struct str name;
    struct str parse_name; /* of the file */
    struct str text;       /* the whole file */
    struct node *root;     /* LIST */
};

/* Definitions by name: trees in an arena. */
struct tree_map {
    struct map map;
};

/* Parses a text: its definitions and, under `name`, what is outside of them, are added to `out`, which must be empty.
 * flavours: whose functions may be used (func_int.h); `text` must outlive the trees. */
MUST_CHECK bool tree_parse(struct arena *a, unsigned flavours, struct str name, struct str text, struct tree_map *out,
                           struct err *err);
bool tree_is_empty(const struct node *n); /* nothing but space */

struct node *node_new(struct arena *a, enum node_kind kind, const struct tree *tree, uint32_t pos, uint32_t line);
void node_append(struct arena *a, struct node *list, struct node *n); /* LIST, COMMAND */
void pipe_append(struct arena *a, struct node *pipe, struct node *cmd);
struct node *node_copy(struct arena *a, const struct node *n);
void node_write(const struct node *n, struct buf *out); /* as Go prints the node */
/* "name:line:column" of a node. */
void node_place(const struct node *n, struct buf *out);



#endif
