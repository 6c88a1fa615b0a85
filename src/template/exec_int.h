/* The executor's face inside the folder: what set.c starts and what functions reach through struct tval_call. */
#ifndef TOCSIN_TEMPLATE_EXEC_INT_H
#define TOCSIN_TEMPLATE_EXEC_INT_H

#include "template/template.h"
#include "template/tree_int.h"

/* Where template names are looked up: the text's own definitions first, then the set's. For HTML everything is in
 * `own`, escaped. */
struct scope {
    const struct tree_map *own;
    const struct tree_map *shared; /* may be NULL */
    const struct tree *root;       /* the text outside of definitions, one of own */
};
struct tree *scope_find(const struct scope *s, struct str name); /* NULL if not defined */

/* One rendering and those nested in it (route labels): what they share. */
struct exec_budget {
    uint64_t steps_left;
    size_t memory_bytes_max; /* of the arena, past what was used when it began */
    size_t memory_bytes_start;
    size_t output_bytes_max;
    uint32_t depth;
};

struct route_label_state; /* func_data.c */

struct variable {
    struct str name;
    struct tval value;
};
struct variables { /* a stack; kept by the renderer between renderings */
    struct variable *v;
    size_t n, capacity;
};

/* What a name meant to a class the last time somebody asked. A renderer keeps these, because it belongs to one thread
 * and the trees, which are shared, cannot. A name is known by where it stands in its template's text. */
#define NAME_ROWS 256 /* a power of two; two names that meet in one slot take turns */
struct name_row {
    const struct tval_class *class; /* NULL: the name of a template of the set */
    const char *name;
    const struct tval_method *method; /* NULL: none */
    const struct tval_field *field;   /* NULL: none */
    const struct tree *tree;
};

struct exec_shared {
    struct template_renderer *renderer;
    struct name_row *names; /* NAME_ROWS of them */
    struct buf *spare;      /* two, of the renderer: call_buf() lends them */
    const struct template_run *run;
    const struct template_hooks *hooks; /* never NULL */
    struct arena *arena;
    struct variables *vars;
    uintptr_t stack; /* where the rendering began */
    struct exec_budget budget;
    bool html;
    struct route_label_state *route_labels;
};

/* Runs `tree` with the run's data as dot, appending to out. */
MUST_CHECK bool exec_tree(struct exec_shared *shared, const struct scope *scope, const struct tree *tree,
                          struct buf *out, struct err *err);
/* Compiles (or finds) a text and runs it inside a rendering. set.c. */
MUST_CHECK bool exec_text(struct exec_shared *shared, struct str text, struct buf *out, struct err *err);

struct exec_shared *call_shared(const struct tval_call *c);

#endif
