/* YAML documents as trees with places, read with libyaml's events and resolved as go-yaml v2 resolves YAML 1.1: yes/no/
 * on/off booleans, 0x and 0o and 1_000 integers, merges (<<), anchors. Only the first document of a text is read.
 * Bounded: bytes, depth, nodes, and aliases expanded (the billion laughs end in ERR_LIMIT).
 *
 * The tree lives in the doc's arena, immutable after yaml_parse(). */
#ifndef TOCSIN_YAML_DOC_H
#define TOCSIN_YAML_DOC_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum yaml_kind { YAML_NULL, YAML_BOOL, YAML_INT, YAML_FLOAT, YAML_TIMESTAMP, YAML_STRING, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node;
struct yaml_pair {
    const struct yaml_node *key, *value;
    uint32_t group; /* 0: written here; else one number per mapping that a << brought in */
};
struct yaml_node {
    enum yaml_kind kind;   /* resolved */
    uint32_t line, column; /* from 1 */
    struct str text;       /* scalars: source text after unquoting and folding */
    bool quoted;           /* any style but plain */
    bool flow;             /* collections: [..] or {..} */
    bool b;                /* YAML_BOOL */
    int64_t i;             /* YAML_INT that fits; else u */
    uint64_t u;
    bool is_u64;           /* integer above INT64_MAX, in u */
    double f;              /* YAML_FLOAT, and YAML_INT as a float */
    size_t n;              /* children or pairs */
    const struct yaml_node **items; /* YAML_SEQUENCE */
    /* YAML_MAPPING: document order, a merged mapping's pairs in the place of its <<. Of equal keys the last one counts, as
     * in go-yaml v2; equal keys of one group are the duplicates that strict readers refuse. */
    const struct yaml_pair *pairs;
    struct str tag;        /* explicit tag, empty if none */
};

#define YAML_BYTES_MAX (16 * 1024 * 1024)
#define YAML_DEPTH_MAX 100
#define YAML_NODES_MAX 2000000

struct yaml_doc {
    struct arena arena;
    const struct yaml_node *root; /* NULL: empty document */
};
/* Errors: ERR_INVALID "yaml: line N: ..." in go-yaml's words where known, ERR_LIMIT. */
MUST_CHECK bool yaml_parse(struct yaml_doc *doc, struct str text, struct err *err);
void yaml_doc_deinit(struct yaml_doc *doc);

const struct yaml_node *yaml_get(const struct yaml_node *map, struct str key); /* the last one; NULL if absent */
const char *yaml_kind_name(enum yaml_kind kind);                               /* "!!str" ... */

/* What go-yaml v2 takes an unquoted, untagged text for. Fills kind, b, i, u, is_u64 and f of *out. */
void yaml_resolve(struct str text, struct yaml_node *out);

#endif
