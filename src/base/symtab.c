/* Interned strings. Entries live in one array indexed by sym; a free list runs through the entries that are not in
 * use; an open-addressed index of syms finds an entry by its bytes.
 *
 * S1  Entry 0 is the empty string, never counted, never in the index.
 * S2  An entry is in the index exactly while its count is above zero.
 * S3  index_capacity is a power of two and at least 4/3 of count; runs are closed up on removal (no tombstones). */
#include "base/symtab.h"

#include "base/mem.h"

struct entry {
    char *p;         /* owned */
    uint32_t n;
    uint32_t count;  /* references; 0: free */
    uint32_t hash;
    uint32_t next_free;
};

struct symtab {
    struct entry *entries;
    size_t entries_count, entries_capacity; /* entry 0 included */
    uint32_t first_free;                    /* 0: none */
    uint32_t *index;                        /* syms; 0: free slot */
    size_t index_capacity, count;
};

struct symtab *symtab_new(void)
{
    struct symtab *t = MEM_NEW(struct symtab);
    t->entries_capacity = 16;
    t->entries = mem_alloc_array(t->entries_capacity, sizeof *t->entries);
    t->entries_count = 1;
    t->index_capacity = 16;
    t->index = mem_alloc_array(t->index_capacity, sizeof *t->index);
    return t;
}

void symtab_free(struct symtab *t)
{
    if (!t)
        return;
    for (size_t i = 1; i < t->entries_count; i++)
        mem_free(t->entries[i].p);
    mem_free(t->entries);
    mem_free(t->index);
    mem_free(t);
}

static size_t find_slot(const struct symtab *t, struct str s, uint32_t hash)
{
    size_t mask = t->index_capacity - 1;
    size_t i = hash & mask;
    for (;; i = (i + 1) & mask) {
        uint32_t id = t->index[i];
        if (id == 0)
            return i;
        const struct entry *e = &t->entries[id];
        if (e->hash == hash && str_eq(str_of(e->p, e->n), s))
            return i;
    }
}

static void grow_index(struct symtab *t)
{
    uint32_t *old = t->index;
    size_t old_capacity = t->index_capacity;
    t->index_capacity *= 2;
    t->index = mem_alloc_array(t->index_capacity, sizeof *t->index);
    size_t mask = t->index_capacity - 1;
    for (size_t i = 0; i < old_capacity; i++) {
        if (!old[i])
            continue;
        size_t to = t->entries[old[i]].hash & mask;
        while (t->index[to])
            to = (to + 1) & mask;
        t->index[to] = old[i];
    }
    mem_free(old);
}

static uint32_t new_entry(struct symtab *t)
{
    if (t->first_free) {
        uint32_t id = t->first_free;
        t->first_free = t->entries[id].next_free;
        return id;
    }
    if (t->entries_count == t->entries_capacity) {
        t->entries_capacity = mem_grow(t->entries_capacity, t->entries_count + 1);
        t->entries = mem_realloc_array(t->entries, t->entries_capacity, sizeof *t->entries);
    }
    uint32_t id = u32_from_size(t->entries_count++);
    ASSERT(id != UINT32_MAX); /* means "absent" */
    return id;
}

sym symtab_intern(struct symtab *t, struct str s)
{
    if (s.n == 0)
        return 0;
    uint32_t hash = (uint32_t)str_hash(s, 0);
    size_t slot = find_slot(t, s, hash);
    if (t->index[slot]) {
        struct entry *e = &t->entries[t->index[slot]];
        ASSERT(e->count < UINT32_MAX);
        e->count++;
        return t->index[slot];
    }
    if (t->count + 1 > t->index_capacity - t->index_capacity / 4) {
        grow_index(t);
        slot = find_slot(t, s, hash);
    }
    uint32_t id = new_entry(t);
    t->entries[id] = (struct entry){ .p = mem_dup(s.p, s.n), .n = u32_from_size(s.n), .count = 1, .hash = hash };
    t->index[slot] = id;
    t->count++;
    return id;
}

sym symtab_find(const struct symtab *t, struct str s)
{
    if (s.n == 0)
        return 0;
    uint32_t id = t->index[find_slot(t, s, (uint32_t)str_hash(s, 0))];
    return id ? id : UINT32_MAX;
}

void symtab_retain(struct symtab *t, sym s)
{
    if (s == 0)
        return;
    ASSERT(s < t->entries_count);
    struct entry *e = &t->entries[s];
    ASSERT(e->count > 0 && e->count < UINT32_MAX);
    e->count++;
}

static void index_remove(struct symtab *t, size_t hole)
{
    size_t mask = t->index_capacity - 1;
    for (size_t i = (hole + 1) & mask; t->index[i]; i = (i + 1) & mask) {
        size_t home = t->entries[t->index[i]].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            t->index[hole] = t->index[i];
            hole = i;
        }
    }
    t->index[hole] = 0;
}

void symtab_release(struct symtab *t, sym s)
{
    if (s == 0)
        return;
    ASSERT(s < t->entries_count);
    struct entry *e = &t->entries[s];
    ASSERT(e->count > 0); /* S2: released more often than interned otherwise */
    if (--e->count > 0)
        return;
    index_remove(t, find_slot(t, str_of(e->p, e->n), e->hash));
    mem_free(e->p);
    *e = (struct entry){ .next_free = t->first_free };
    t->first_free = s;
    t->count--;
}

struct str symtab_str(const struct symtab *t, sym s)
{
    if (s == 0)
        return STR_EMPTY;
    ASSERT(s < t->entries_count);
    ASSERT(t->entries[s].count > 0);
    return str_of(t->entries[s].p, t->entries[s].n);
}

size_t symtab_count(const struct symtab *t)
{
    return t->count;
}
