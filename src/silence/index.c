/* The index from labels to silences.
 *
 * X1  Each set of an indexed entry is in one place: under one value of one of its exact matchers (or under each literal
 *     of one of its finite expressions), or in `rest`. Of several exact matchers the one whose list is shortest is taken.
 * X2  Lists are keyed by a hash of name and value; who finds a set there verifies it.
 * X3  A list that is empty is not there. */
#include "silence/store_int.h"

#include "base/mem.h"

static const size_t LITERALS_MAX = 256; /* of an expression that is indexed; longer ones go to the rest */

static uint64_t key_of(struct str name, struct str value)
{
    return str_hash(value, str_hash(name, 0));
}

size_t silence_matcher_values(const struct matcher *m, const struct str **values)
{
    if (m->op == MATCH_EQ && m->value.n) {
        *values = &m->value;
        return 1;
    }
    if (m->op != MATCH_RE || !m->re || regex_matches_empty(m->re))
        return 0;
    size_t n = regex_literals(m->re, values);
    return n <= LITERALS_MAX ? n : 0;
}

static void list_free(struct index_list *l)
{
    mem_free(l->v);
    mem_free(l);
}

void silence_index_deinit(struct index *x)
{
    struct index_list *l;
    for (size_t i = 0; (l = map64_next(&x->lists, &i)) != NULL;)
        list_free(l);
    map64_deinit(&x->lists);
    mem_free(x->rest.v);
    *x = (struct index){ 0 };
}

static void list_add(struct index_list *l, struct entry *e, size_t set)
{
    if (l->n == l->capacity) {
        l->capacity = l->capacity ? mem_grow(l->capacity, l->n + 1) : 1;
        l->v = mem_realloc_array(l->v, l->capacity, sizeof *l->v);
    }
    l->v[l->n++] = (struct index_ref){ e, set };
}

static void list_remove(struct index_list *l, const struct entry *e, size_t set)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].entry != e || l->v[i].set != set)
            continue;
        l->v[i] = l->v[--l->n];
        return;
    }
}

/* The matcher under whose values the set is best kept: NULL for none. */
static const struct matcher *best_matcher(const struct index *x, const struct matchers *set)
{
    const struct matcher *best = NULL;
    size_t best_size = SIZE_MAX;
    for (size_t i = 0; i < set->n; i++) {
        const struct str *values;
        size_t count = silence_matcher_values(&set->v[i], &values), size = 0;
        for (size_t k = 0; k < count; k++) {
            const struct index_list *l = map64_get(&x->lists, key_of(set->v[i].name, values[k]));
            size += 1 + (l ? l->n : 0);
        }
        if (count && size < best_size) {
            best_size = size;
            best = &set->v[i];
        }
    }
    return best;
}

static struct index_list *list_get(struct index *x, uint64_t key)
{
    struct index_list *l = map64_get(&x->lists, key);
    if (!l) {
        l = MEM_NEW(struct index_list);
        l->key = key;
        map64_put(&x->lists, key, l);
    }
    return l;
}

void silence_index_add(struct index *x, struct entry *e)
{
    if (e->indexed || e->value->inert)
        return;
    e->indexed = true;
    for (size_t set = 0; set < e->value->sets_count; set++) {
        const struct matcher *m = best_matcher(x, &e->value->sets[set]);
        if (!m) {
            list_add(&x->rest, e, set);
            continue;
        }
        const struct str *values;
        size_t n = silence_matcher_values(m, &values);
        for (size_t i = 0; i < n; i++)
            list_add(list_get(x, key_of(m->name, values[i])), e, set);
    }
}

/* Where a set was put depends on what else was there then, so all places it can be in are looked at. */
void silence_index_remove(struct index *x, struct entry *e)
{
    if (!e->indexed)
        return;
    e->indexed = false;
    for (size_t set = 0; set < e->value->sets_count; set++) {
        const struct matchers *ms = &e->value->sets[set];
        bool can_be_listed = false;
        for (size_t i = 0; i < ms->n; i++) {
            const struct str *values;
            size_t n = silence_matcher_values(&ms->v[i], &values);
            can_be_listed = can_be_listed || n;
            for (size_t k = 0; k < n; k++) {
                struct index_list *l = map64_get(&x->lists, key_of(ms->v[i].name, values[k]));
                if (!l)
                    continue;
                list_remove(l, e, set);
                if (l->n == 0) {
                    map64_remove(&x->lists, l->key);
                    list_free(l);
                }
            }
        }
        if (!can_be_listed)
            list_remove(&x->rest, e, set);
    }
}

static size_t match_list(const struct index_list *l, struct labels ls, void (*visit)(void *arg, struct entry *e),
                         void *arg)
{
    for (size_t i = 0; i < l->n; i++)
        if (matchers_match(&l->v[i].entry->value->sets[l->v[i].set], ls))
            visit(arg, l->v[i].entry);
    return l->n;
}

size_t silence_index_match(const struct index *x, struct labels ls, void (*visit)(void *arg, struct entry *e), void *arg)
{
    size_t looked = match_list(&x->rest, ls, visit, arg);
    for (size_t i = 0; x->lists.count && i < ls.n; i++) {
        const struct index_list *l = map64_get(&x->lists, key_of(ls.v[i].name, ls.v[i].value));
        if (l)
            looked += match_list(l, ls, visit, arg);
    }
    return looked;
}
