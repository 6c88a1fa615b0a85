/* Views: what other threads see of the silences. A view is an array of counted values; the store keeps the last one it
 * made and hands it out again while nothing has changed.
 *
 * V1  A view never changes after it was handed out. */
#include "base/mem.h"
#include "silence/store_int.h"

#include <stdlib.h>

static struct silence_view *view_new(const struct silence_store *st)
{
    struct silence_view *v = mem_alloc(sizeof *v + st->by_id.count * sizeof *v->v);
    v->v = (const struct silence **)(void *)(v + 1);
    v->version = st->version;
    atomic_init(&v->refs, 1);
    for (size_t i = 0; i < st->places_count; i++)
        if (st->places[i] && !st->places[i]->value->uncompiled)
            v->v[v->n++] = silence_retain(st->places[i]->value);
    return v;
}

struct silence_view *silence_store_view(struct silence_store *st)
{
    if (!st->view || st->view->version != st->version) {
        silence_view_release(st->view);
        st->view = view_new(st);
    }
    atomic_fetch_add_explicit(&st->view->refs, 1, memory_order_relaxed);
    return st->view;
}

void silence_view_release(struct silence_view *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < v->n; i++)
        silence_release(v->v[i]);
    mem_free(v);
}

bool silence_has_matchers(const struct silence *s, const struct matchers *filters)
{
    for (size_t i = 0; i < filters->n; i++) {
        bool found = false;
        for (size_t set = 0; !found && set < s->sets_count; set++)
            for (size_t k = 0; !found && k < s->sets[set].n; k++)
                found = matcher_eq(&s->sets[set].v[k], &filters->v[i]);
        if (!found)
            return false;
    }
    return true;
}

struct sort_key {
    enum silence_state state;
    const struct silence *s;
};

static int compare_keys(const void *a, const void *b)
{
    const struct sort_key *x = a, *y = b;
    if (x->state != y->state)
        return x->state < y->state ? -1 : 1;
    int order = 0;
    switch (x->state) {
    case SILENCE_ACTIVE:
        order = wire_time_cmp(x->s->ends_at, y->s->ends_at);
        break;
    case SILENCE_PENDING:
        order = wire_time_cmp(x->s->starts_at, y->s->starts_at);
        break;
    case SILENCE_EXPIRED:
        order = wire_time_cmp(y->s->ends_at, x->s->ends_at);
        break;
    }
    return order ? order : str_cmp(x->s->id, y->s->id);
}

void silence_list_sort(const struct silence **v, size_t n, struct wire_time now)
{
    _Static_assert(SILENCE_ACTIVE < SILENCE_PENDING && SILENCE_PENDING < SILENCE_EXPIRED, "states in order of listing");
    struct sort_key *keys = mem_alloc_array(n, sizeof *keys);
    for (size_t i = 0; i < n; i++)
        keys[i] = (struct sort_key){ silence_state_at(v[i], now), v[i] };
    qsort(keys, n, sizeof *keys, compare_keys);
    for (size_t i = 0; i < n; i++)
        v[i] = keys[i].s;
    mem_free(keys);
}
