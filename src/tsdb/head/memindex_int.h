/* The head's index: label texts as symbols, label sets to series, postings per pair, values per name.
 *
 * Series are known here by two numbers: id (ascending in order of creation, what postings hold) and slot (where the record
 * is; used again). Postings are plain u32 arrays that grow at the end.
 *
 * Thread: the head's index lock (rank 20), for reading by all queries and for writing by who adds or removes series. The
 * sorted lists of values are made on demand under values_lock (rank 21). */
#ifndef TOCSIN_TSDB_HEAD_MEMINDEX_INT_H
#define TOCSIN_TSDB_HEAD_MEMINDEX_INT_H

#include "base/lock.h"
#include "base/map.h"
#include "base/symtab.h"
#include "tsdb/head/pool_int.h"
#include "tsdb/index/postings_int.h"

struct sym_pair {
    sym name, value;
};

/* Numbers in ascending order; up to two without an allocation. */
struct id_list {
    uint32_t n, capacity; /* capacity 0: inline */
    union {
        uint32_t few[2];
        uint32_t *many;
    } u;
};
static inline const uint32_t *id_list_at(const struct id_list *l)
{
    return l->capacity ? l->u.many : l->u.few;
}

struct index_entry { /* a pair */
    sym name, value;
    bool dirty; /* lost series in the running collection */
    struct id_list ids;
};
struct name_entry {
    sym name;
    struct index_entry **values; /* in order of appearance */
    size_t count, capacity;
    struct index_entry **sorted; /* of the first `merged` values */
    size_t merged;
};
struct hash_slot {
    uint32_t hash;
    uint32_t slot; /* + 1; 0: free */
};
/* Series that are made one after the other mostly have the same pairs at the same places. */
#define RECENT_PAIRS 32
struct recent_pair {
    struct sym_pair pair;
    struct index_entry *entry; /* NULL: not known */
    bool known;
};
struct memindex {
    struct recent_pair recent[RECENT_PAIRS]; /* forgotten whenever something is taken out */
    struct postings_source source;
    struct pool *pool;
    struct symtab *symbols;
    struct hash_slot *table;
    size_t table_count, table_capacity;
    uint32_t **pages;   /* id -> slot + 1, in pages; 0: gone */
    uint32_t *page_used;
    size_t pages_count;
    uint32_t next_id;
    struct id_list all;
    struct map64 entries; /* name << 32 | value -> struct index_entry */
    struct map64 names;   /* name -> struct name_entry */
    struct lock values_lock;
    uint64_t text_bytes;  /* of symbols */
    size_t dirty_count;
};
void memindex_init(struct memindex *ix, struct pool *pool);
void memindex_deinit(struct memindex *ix);

uint32_t labels_hash32(struct labels ls);

/* slot + 1 of the candidate series with this hash, from *cursor on; 0: no more. Start with *cursor = 0. */
uint32_t memindex_candidate(const struct memindex *ix, uint32_t hash, size_t *cursor);
/* Interns the labels into `pairs` (ls.n of them). */
void memindex_intern(struct memindex *ix, struct labels ls, struct sym_pair *pairs);
/* Adds a series; its new id. UINT32_MAX: no id is left. */
uint32_t memindex_add(struct memindex *ix, uint32_t slot, uint32_t hash, const struct sym_pair *pairs, size_t n);
/* Takes a series out of the tables and marks its pairs; the lists follow with memindex_sweep(). Symbols stay interned. */
void memindex_remove(struct memindex *ix, uint32_t id, uint32_t slot, uint32_t hash, const struct sym_pair *pairs, size_t n);
void memindex_sweep(struct memindex *ix);
void memindex_release_symbols(struct memindex *ix, const struct sym_pair *pairs, size_t n);

static inline uint32_t memindex_slot(const struct memindex *ix, uint32_t id) /* slot + 1; 0: gone */
{
    size_t page = id >> 12;
    return page < ix->pages_count && ix->pages[page] ? ix->pages[page][id & 4095] : 0;
}
static inline struct str memindex_text(const struct memindex *ix, sym s)
{
    return symtab_str(ix->symbols, s);
}
/* Values of a name, sorted, as entries; NULL and 0 if there is none. Call memindex_values_done() afterwards: the list is
 * locked meanwhile. */
struct index_entry **memindex_values(struct memindex *ix, struct str name, size_t *n);
void memindex_values_done(struct memindex *ix);
const struct index_entry *memindex_entry(const struct memindex *ix, struct str name, struct str value);

#endif
