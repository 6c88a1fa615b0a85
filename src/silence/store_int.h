/* What the files of this folder share: a silence's place in the store, and the index. */
#ifndef TOCSIN_SILENCE_STORE_INT_H
#define TOCSIN_SILENCE_STORE_INT_H

#include "base/map.h"
#include "silence/record_int.h"
#include "silence/silence.h"

/* One id. Lives while the store has it or an alert remembers it. Matchers never change under an entry: a record that
 * brings others gets a new one. */
struct entry {
    const struct silence *value;
    struct wire_time expires_at;
    uint32_t refs;
    bool dead;       /* no longer in the store */
    bool indexed;
    bool queued;     /* waits to be matched against the alerts */
    size_t at;       /* in places */
    uint64_t seen;   /* by the query with this number */
};

/* From exact matchers to sets. */
struct index_ref {
    struct entry *entry;
    size_t set;
};
struct index_list {
    uint64_t key;
    struct index_ref *v;
    size_t n, capacity;
};
struct index {
    struct map64 lists;
    struct index_list rest; /* sets without an exact matcher */
};
void silence_index_deinit(struct index *x);
void silence_index_add(struct index *x, struct entry *e);
void silence_index_remove(struct index *x, struct entry *e);
/* Calls visit for entries of which a set matches; an entry may come more than once. Returns how many sets were looked
 * at. */
size_t silence_index_match(const struct index *x, struct labels ls, void (*visit)(void *arg, struct entry *e), void *arg);
/* The exact value of a matcher, or the literals that its expression stands for, none of them empty; 0 if it has none. */
size_t silence_matcher_values(const struct matcher *m, const struct str **values);

struct silence_store {
    struct silence_options options;
    struct map by_id; /* struct entry */
    struct entry **places; /* an entry keeps its place from first to last: encode() in slices misses none */
    size_t places_count, places_capacity;
    size_t *free;
    size_t free_count, free_capacity;
    struct index index;
    uint64_t version, queries;
    size_t uncompiled_count;
    bool has_silencer;
    struct entry **fresh; /* referenced; to be matched against the alerts, oldest first */
    size_t fresh_first, fresh_count, fresh_capacity;
    struct silence_view *view;
    struct wire_time edge;      /* silence_store_next_edge() as of edge_version */
    uint64_t edge_version;
    struct buf scratch;
    struct silence_stats stats;
};
void silence_entry_retain(struct entry *e);
void silence_entry_release(struct entry *e);
/* All entries that match these labels, whatever their state; the index drops what has expired on the way. */
void silence_store_visit(struct silence_store *st, struct wire_time now, struct labels ls,
                 void (*visit)(void *arg, struct entry *e), void *arg);
/* The oldest entry that waits for the alerts, or NULL. */
struct entry *silence_store_fresh(const struct silence_store *st);
size_t silence_store_fresh_count(const struct silence_store *st);
void silence_store_fresh_done(struct silence_store *st);

#endif
