/* Postings: ascending series numbers (u32), as iterators that are combined without being written out. Lists in blocks are
 * read in place (big-endian, mapped); lists of the head are arrays; unions of many lists become a bitmap or one array.
 *
 * An iterator tree lives in an arena and borrows the lists under it. One owner; no locks here (the head's lists are read
 * under its lock). Upstream: tsdb/index/postings.go, tsdb/querier.go PostingsForMatchers. */
#ifndef TOCSIN_TSDB_INDEX_POSTINGS_INT_H
#define TOCSIN_TSDB_INDEX_POSTINGS_INT_H

#include "base/arena.h"
#include "base/err.h"
#include "model/matcher.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum postings_kind {
    POSTINGS_EMPTY,
    POSTINGS_BE,      /* mapped big-endian list */
    POSTINGS_LIST,    /* array */
    POSTINGS_BITS,    /* bitmap */
    POSTINGS_AND,
    POSTINGS_WITHOUT, /* first minus second */
};
struct postings {
    enum postings_kind kind;
    bool started;
    uint32_t at;     /* current number, after postings_next() or _seek() said true */
    size_t estimate; /* never less than what is left */
    union {
        struct {
            const uint8_t *p;
            size_t i, n;
        } be;
        struct {
            const uint32_t *v;
            size_t i, n;
        } list;
        struct {
            const uint64_t *words;
            uint32_t base; /* number of bit 0 */
            size_t i, n;   /* words */
            uint64_t rest; /* bits of word i that are not given yet */
        } bits;
        struct {
            struct postings **v;
            size_t n;
        } many;
    } u;
};

struct postings *postings_empty(struct arena *a);
struct postings *postings_be(struct arena *a, const uint8_t *p, size_t n);
struct postings *postings_list(struct arena *a, const uint32_t *v, size_t n);
/* Both keep v. A union's members are lists that were not walked yet; ERR_LIMIT if the arena is full. */
struct postings *postings_and(struct arena *a, struct postings **v, size_t n);
MUST_CHECK struct postings *postings_union(struct arena *a, struct postings **v, size_t n, struct err *err);
struct postings *postings_without(struct arena *a, struct postings *from, struct postings *drop);

bool postings_next(struct postings *p);
bool postings_seek(struct postings *p, uint32_t v); /* to the first >= v; never back */

/* ---- where lists come from: a block's index, or the head's ---- */

struct value_list { /* postings lists gathered for a union */
    struct arena *arena;
    struct postings **v;
    size_t n, capacity;
};
/* Decides on one value of a name. */
typedef bool value_wanted(const void *arg, struct str value);

struct postings_source {
    const struct postings_source_ops *ops;
};
struct postings_source_ops {
    /* The list of one pair; an empty one if there is none. NULL: err. */
    struct postings *(*equal)(struct postings_source *s, struct arena *a, struct str name, struct str value,
                              struct err *err);
    struct postings *(*all)(struct postings_source *s, struct arena *a, struct err *err);
    /* Adds the lists of all values of the name that start with prefix and are wanted (NULL: all). */
    bool (*values)(struct postings_source *s, struct str name, struct str prefix, value_wanted *wanted, const void *arg,
                   struct value_list *out, struct err *err);
};
MUST_CHECK bool value_list_add(struct value_list *l, struct postings *p, struct err *err);

/* The series that all matchers accept. A label that is absent counts as empty. NULL: err. */
MUST_CHECK struct postings *postings_for_matchers(struct postings_source *s, struct arena *a, const struct matchers *ms,
                                                  struct err *err);

#endif
