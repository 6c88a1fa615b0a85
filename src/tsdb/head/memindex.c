/* The head's index in memory.
 *
 * X1  ids are given in ascending order, so that adding to a list is a push and no list is ever sorted.
 * X2  A removed id stays in lists until memindex_sweep(); readers skip ids whose page says 0.
 * X3  The hash table holds 32 bits of the labels' hash beside each slot, so that a probe touches a series' record only
 *     when they agree. Load is at most 3/4; removal closes the gap.
 *
 * Bounds: 2^32 - 2 ids in the life of a process; symbols and lists by the series that use them. */
#include "tsdb/head/memindex_int.h"

#include "base/mem.h"

#include <stdlib.h>

#define PAGE_IDS 4096

/* ---- lists ---- */

static void id_list_push(struct id_list *l, uint32_t id)
{
    if (l->capacity == 0 && l->n < ARRAY_LEN(l->u.few)) {
        l->u.few[l->n++] = id;
        return;
    }
    if (l->n >= l->capacity) {
        /* A quarter of slack: most lists of a steady head do not grow again. */
        uint32_t capacity = l->n < 16 ? l->n * 2 : l->n + l->n / 4;
        uint32_t *v = l->capacity ? l->u.many : NULL;
        if (!v) {
            v = mem_realloc(NULL, capacity * sizeof *v);
            memcpy(v, l->u.few, l->n * sizeof *v);
        } else {
            v = mem_realloc_array(v, capacity, sizeof *v);
        }
        l->u.many = v;
        l->capacity = capacity;
    }
    l->u.many[l->n++] = id;
}

static void id_list_deinit(struct id_list *l)
{
    if (l->capacity)
        mem_free(l->u.many);
    *l = (struct id_list){ 0 };
}

/* Drops ids that are gone; gives memory back when three quarters are. */
static void id_list_filter(const struct memindex *ix, struct id_list *l)
{
    uint32_t *v = l->capacity ? l->u.many : l->u.few, n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        if (memindex_slot(ix, v[i]))
            v[n++] = v[i];
    }
    l->n = n;
    if (l->capacity && n <= ARRAY_LEN(l->u.few)) {
        uint32_t few[ARRAY_LEN(l->u.few)] = { 0 };
        memcpy(few, v, n * sizeof *v);
        mem_free(v);
        l->capacity = 0;
        memcpy(l->u.few, few, sizeof few);
    } else if (l->capacity > 64 && n < l->capacity / 4) {
        l->capacity = n + n / 4;
        l->u.many = mem_realloc_array(v, l->capacity, sizeof *v);
    }
}

/* ---- life ---- */

static const struct postings_source_ops source_ops;

void memindex_init(struct memindex *ix, struct pool *pool)
{
    *ix = (struct memindex){ .source = { &source_ops }, .pool = pool, .symbols = symtab_new() };
    lock_init(&ix->values_lock);
}

static void name_free(struct name_entry *n)
{
    mem_free(n->values);
    mem_free(n->sorted);
    mem_free(n);
}

void memindex_deinit(struct memindex *ix)
{
    struct index_entry *e;
    struct name_entry *n;
    for (size_t i = 0; (e = map64_next(&ix->entries, &i)) != NULL;) {
        id_list_deinit(&e->ids);
        mem_free(e);
    }
    for (size_t i = 0; (n = map64_next(&ix->names, &i)) != NULL;)
        name_free(n);
    for (size_t i = 0; i < ix->pages_count; i++)
        mem_free(ix->pages[i]);
    mem_free(ix->pages);
    mem_free(ix->page_used);
    mem_free(ix->table);
    id_list_deinit(&ix->all);
    map64_deinit(&ix->entries);
    map64_deinit(&ix->names);
    symtab_free(ix->symbols);
    lock_deinit(&ix->values_lock);
}

/* ---- label sets ---- */

uint32_t labels_hash32(struct labels ls)
{
    uint64_t h = 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < ls.n; i++) {
        h = str_hash(ls.v[i].name, h);
        h = str_hash(ls.v[i].value, h);
    }
    return (uint32_t)(h ^ h >> 32);
}

static size_t home(const struct memindex *ix, uint32_t hash)
{
    return (hash * 0x9E3779B1u) & (ix->table_capacity - 1);
}

uint32_t memindex_candidate(const struct memindex *ix, uint32_t hash, size_t *cursor)
{
    if (ix->table_count == 0)
        return 0;
    size_t mask = ix->table_capacity - 1;
    for (size_t at = home(ix, hash) + *cursor;; at++) {
        const struct hash_slot *s = &ix->table[at & mask];
        ++*cursor;
        if (s->slot == 0)
            return 0;
        if (s->hash == hash)
            return s->slot;
    }
}

static void table_put(struct memindex *ix, uint32_t hash, uint32_t slot)
{
    size_t mask = ix->table_capacity - 1, at = home(ix, hash);
    while (ix->table[at].slot)
        at = (at + 1) & mask;
    ix->table[at] = (struct hash_slot){ hash, slot };
}

static void table_add(struct memindex *ix, uint32_t hash, uint32_t slot)
{
    if (4 * (ix->table_count + 1) > 3 * ix->table_capacity) {
        struct hash_slot *old = ix->table;
        size_t old_capacity = ix->table_capacity;
        ix->table_capacity = old_capacity ? 2 * old_capacity : 1024;
        ix->table = mem_alloc_array(ix->table_capacity, sizeof *ix->table);
        for (size_t i = 0; i < old_capacity; i++) {
            if (old[i].slot)
                table_put(ix, old[i].hash, old[i].slot);
        }
        mem_free(old);
    }
    table_put(ix, hash, slot);
    ix->table_count++;
}

static void table_remove(struct memindex *ix, uint32_t hash, uint32_t slot)
{
    size_t mask = ix->table_capacity - 1, at = home(ix, hash);
    while (ix->table[at].slot != slot) {
        ASSERT(ix->table[at].slot != 0);
        at = (at + 1) & mask;
    }
    for (size_t i = (at + 1) & mask; ix->table[i].slot; i = (i + 1) & mask) {
        size_t h = home(ix, ix->table[i].hash);
        if (((i - h) & mask) >= ((i - at) & mask)) {
            ix->table[at] = ix->table[i];
            at = i;
        }
    }
    ix->table[at] = (struct hash_slot){ 0 };
    ix->table_count--;
}

static void page_set(struct memindex *ix, uint32_t id, uint32_t slot)
{
    size_t page = id / PAGE_IDS;
    if (page >= ix->pages_count) {
        size_t n = mem_grow(ix->pages_count, page + 1);
        ix->pages = mem_realloc_array(ix->pages, n, sizeof(uint32_t *));
        ix->page_used = mem_realloc_array(ix->page_used, n, sizeof *ix->page_used);
        for (size_t i = ix->pages_count; i < n; i++) {
            ix->pages[i] = NULL;
            ix->page_used[i] = 0;
        }
        ix->pages_count = n;
    }
    if (!ix->pages[page])
        ix->pages[page] = mem_alloc_array(PAGE_IDS, sizeof(uint32_t));
    ix->pages[page][id % PAGE_IDS] = slot;
    ix->page_used[page]++;
}

static void page_clear(struct memindex *ix, uint32_t id)
{
    size_t page = id / PAGE_IDS;
    ix->pages[page][id % PAGE_IDS] = 0;
    if (--ix->page_used[page] == 0 && page != ix->next_id / PAGE_IDS) {
        mem_free(ix->pages[page]);
        ix->pages[page] = NULL;
    }
}

/* ---- adding ---- */

static void forget_recent(struct memindex *ix)
{
    memset(ix->recent, 0, sizeof ix->recent);
}

static bool intern_recent(struct memindex *ix, size_t place, const struct label *l, struct sym_pair *pair)
{
    if (place >= RECENT_PAIRS || !ix->recent[place].known)
        return false;
    *pair = ix->recent[place].pair;
    if (!str_eq(memindex_text(ix, pair->value), l->value) || !str_eq(memindex_text(ix, pair->name), l->name))
        return false;
    symtab_retain(ix->symbols, pair->name);
    symtab_retain(ix->symbols, pair->value);
    return true;
}

void memindex_intern(struct memindex *ix, struct labels ls, struct sym_pair *pairs)
{
    for (size_t i = 0; i < ls.n; i++) {
        if (intern_recent(ix, i, &ls.v[i], &pairs[i]))
            continue;
        size_t before = symtab_count(ix->symbols);
        pairs[i].name = symtab_intern(ix->symbols, ls.v[i].name);
        if (symtab_count(ix->symbols) != before)
            ix->text_bytes += ls.v[i].name.n;
        before = symtab_count(ix->symbols);
        pairs[i].value = symtab_intern(ix->symbols, ls.v[i].value);
        if (symtab_count(ix->symbols) != before)
            ix->text_bytes += ls.v[i].value.n;
        if (i < RECENT_PAIRS)
            ix->recent[i] = (struct recent_pair){ .pair = pairs[i], .known = true };
    }
}

void memindex_release_symbols(struct memindex *ix, const struct sym_pair *pairs, size_t n)
{
    forget_recent(ix);
    for (size_t i = 0; i < n; i++) {
        sym both[2] = { pairs[i].name, pairs[i].value };
        for (int k = 0; k < 2; k++) {
            size_t bytes = memindex_text(ix, both[k]).n, before = symtab_count(ix->symbols);
            symtab_release(ix->symbols, both[k]);
            if (symtab_count(ix->symbols) != before)
                ix->text_bytes -= bytes;
        }
    }
}

static uint64_t pair_key(sym name, sym value)
{
    return (uint64_t)name << 32 | value;
}

static struct index_entry *entry_get(struct memindex *ix, sym name, sym value)
{
    struct index_entry *e = map64_get(&ix->entries, pair_key(name, value));
    if (e)
        return e;
    struct name_entry *n = map64_get(&ix->names, name);
    if (!n) {
        n = MEM_NEW(struct name_entry);
        n->name = name;
        map64_put(&ix->names, name, n);
    }
    e = MEM_NEW(struct index_entry);
    e->name = name;
    e->value = value;
    map64_put(&ix->entries, pair_key(name, value), e);
    if (n->count == n->capacity) {
        n->capacity = mem_grow(n->capacity, n->count + 1);
        n->values = mem_realloc_array(n->values, n->capacity, sizeof(struct index_entry *));
    }
    n->values[n->count++] = e;
    return e;
}

uint32_t memindex_add(struct memindex *ix, uint32_t slot, uint32_t hash, const struct sym_pair *pairs, size_t n)
{
    if (ix->next_id == UINT32_MAX)
        return UINT32_MAX;
    uint32_t id = ix->next_id++;
    table_add(ix, hash, slot + 1);
    page_set(ix, id, slot + 1);
    id_list_push(&ix->all, id);
    for (size_t i = 0; i < n; i++) {
        struct recent_pair *r = i < RECENT_PAIRS ? &ix->recent[i] : NULL;
        if (r && !(r->known && r->pair.name == pairs[i].name && r->pair.value == pairs[i].value))
            r = NULL;
        struct index_entry *e = r && r->entry ? r->entry : entry_get(ix, pairs[i].name, pairs[i].value);
        if (r)
            r->entry = e;
        id_list_push(&e->ids, id);
    }
    return id;
}

/* ---- removing ---- */

void memindex_remove(struct memindex *ix, uint32_t id, uint32_t slot, uint32_t hash, const struct sym_pair *pairs, size_t n)
{
    table_remove(ix, hash, slot + 1);
    page_clear(ix, id);
    for (size_t i = 0; i < n; i++) {
        struct index_entry *e = map64_get(&ix->entries, pair_key(pairs[i].name, pairs[i].value));
        ASSERT(e != NULL);
        ix->dirty_count += !e->dirty;
        e->dirty = true;
    }
}

/* Keeps the entries that still have series, in order; frees the others after `sorted` was filtered, too. */
static void sweep_name(struct memindex *ix, struct name_entry *n)
{
    size_t kept = 0, merged = 0, sorted = 0, dead = 0;
    for (size_t i = 0; i < n->count; i++) {
        struct index_entry *e = n->values[i];
        if (e->dirty)
            id_list_filter(ix, &e->ids);
        e->dirty = false;
        dead += e->ids.n == 0;
    }
    if (dead == 0)
        return;
    for (size_t i = 0; i < n->merged; i++) {
        if (n->sorted[i]->ids.n)
            n->sorted[sorted++] = n->sorted[i];
    }
    for (size_t i = 0; i < n->count; i++) {
        struct index_entry *e = n->values[i];
        if (e->ids.n) {
            merged += i < n->merged;
            n->values[kept++] = e;
        } else {
            map64_remove(&ix->entries, pair_key(e->name, e->value));
            id_list_deinit(&e->ids);
            mem_free(e);
        }
    }
    ASSERT(merged == sorted);
    n->merged = merged;
    n->count = kept;
}

void memindex_sweep(struct memindex *ix)
{
    struct name_entry *n, *empty;
    if (ix->dirty_count == 0)
        return;
    forget_recent(ix);
    for (size_t i = 0; (n = map64_next(&ix->names, &i)) != NULL;)
        sweep_name(ix, n);
    do {
        empty = NULL;
        for (size_t i = 0; !empty && (n = map64_next(&ix->names, &i)) != NULL;)
            empty = n->count == 0 ? n : NULL;
        if (empty) {
            map64_remove(&ix->names, empty->name);
            name_free(empty);
        }
    } while (empty);
    id_list_filter(ix, &ix->all);
    ix->dirty_count = 0;
}

/* ---- values ---- */

static int by_value(const void *x, const void *y, void *arg)
{
    const struct memindex *ix = arg;
    const struct index_entry *const *a = x, *const *b = y;
    return str_cmp(memindex_text(ix, (*a)->value), memindex_text(ix, (*b)->value));
}

/* Sorts what was added since the last time and merges it in. */
static void merge_values(struct memindex *ix, struct name_entry *n)
{
    size_t fresh = n->count - n->merged, i = 0, j = 0, k = 0;
    if (fresh == 0)
        return;
    struct index_entry **tail = mem_dup(n->values + n->merged, fresh * sizeof(struct index_entry *));
    struct index_entry **out = mem_alloc_array(n->count, sizeof(struct index_entry *));
    qsort_r(tail, fresh, sizeof(struct index_entry *), by_value, ix);
    while (i < n->merged || j < fresh) {
        bool from_old = j == fresh || (i < n->merged && by_value(&n->sorted[i], &tail[j], ix) < 0);
        out[k++] = from_old ? n->sorted[i++] : tail[j++];
    }
    mem_free(tail);
    mem_free(n->sorted);
    n->sorted = out;
    n->merged = n->count;
}

struct index_entry **memindex_values(struct memindex *ix, struct str name, size_t *n)
{
    lock_take(&ix->values_lock);
    sym s = symtab_find(ix->symbols, name);
    struct name_entry *e = s == UINT32_MAX ? NULL : map64_get(&ix->names, s);
    *n = 0;
    if (!e)
        return NULL;
    merge_values(ix, e);
    *n = e->merged;
    return e->sorted;
}

void memindex_values_done(struct memindex *ix)
{
    lock_give(&ix->values_lock);
}

const struct index_entry *memindex_entry(const struct memindex *ix, struct str name, struct str value)
{
    sym n = symtab_find(ix->symbols, name), v = symtab_find(ix->symbols, value);
    if (n == UINT32_MAX || v == UINT32_MAX)
        return NULL;
    return map64_get(&ix->entries, pair_key(n, v));
}

/* ---- as a source of postings; the index lock is held for reading ---- */

static struct memindex *index_of(struct postings_source *s)
{
    return container_of(s, struct memindex, source);
}

static struct postings *list_of(struct arena *a, const struct id_list *l)
{
    return postings_list(a, id_list_at(l), l->n);
}

static struct postings *source_equal(struct postings_source *s, struct arena *a, struct str name, struct str value,
                                     struct err *err)
{
    (void)err;
    const struct index_entry *e = memindex_entry(index_of(s), name, value);
    return e ? list_of(a, &e->ids) : postings_empty(a);
}

static struct postings *source_all(struct postings_source *s, struct arena *a, struct err *err)
{
    (void)err;
    return list_of(a, &index_of(s)->all);
}

static size_t first_with_prefix(const struct memindex *ix, struct index_entry **v, size_t n, struct str prefix)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (str_cmp(memindex_text(ix, v[mid]->value), prefix) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool source_values(struct postings_source *s, struct str name, struct str prefix, value_wanted *wanted,
                          const void *arg, struct value_list *out, struct err *err)
{
    struct memindex *ix = index_of(s);
    bool ok = true;
    if (prefix.n) { /* a range of the sorted values */
        size_t n;
        struct index_entry **v = memindex_values(ix, name, &n);
        for (size_t i = first_with_prefix(ix, v, n, prefix); ok && i < n; i++) {
            struct str text = memindex_text(ix, v[i]->value);
            if (!str_starts(text, prefix))
                break;
            if (!wanted || wanted(arg, text))
                ok = value_list_add(out, list_of(out->arena, &v[i]->ids), err);
        }
        memindex_values_done(ix);
        return ok;
    }
    sym sy = symtab_find(ix->symbols, name);
    const struct name_entry *n = sy == UINT32_MAX ? NULL : map64_get(&ix->names, sy);
    for (size_t i = 0; ok && n && i < n->count; i++) {
        if (!wanted || wanted(arg, memindex_text(ix, n->values[i]->value)))
            ok = value_list_add(out, list_of(out->arena, &n->values[i]->ids), err);
    }
    return ok;
}

static const struct postings_source_ops source_ops = {
    .equal = source_equal,
    .all = source_all,
    .values = source_values,
};
