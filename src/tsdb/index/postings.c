/* Combining postings.
 *
 * P1  Every iterator gives strictly ascending numbers.
 * P2  An intersection asks its shortest list and lets the others seek; seeking gallops, so that a short list against a
 *     long one costs the short one's length times a logarithm.
 * P3  A union is worked out at once: few numbers into a sorted array, many into a bitmap over the range between the least
 *     and the greatest, unless that range is so wide that the array is smaller. */
#include "tsdb/index/postings_int.h"

#include "base/bytes.h"

#include <stdlib.h>

#define UNION_ARRAY_MAX   4096 /* numbers: below it sorting beats touching a bitmap */
#define UNION_SPARSE_BITS 256  /* bits of range a number, above it the array is smaller */

static struct postings *make(struct arena *a, enum postings_kind kind, size_t estimate)
{
    struct postings *p = ARENA_NEW(a, struct postings);
    p->kind = kind;
    p->estimate = estimate;
    return p;
}

struct postings *postings_empty(struct arena *a)
{
    return make(a, POSTINGS_EMPTY, 0);
}

struct postings *postings_be(struct arena *a, const uint8_t *list, size_t n)
{
    struct postings *p = make(a, n ? POSTINGS_BE : POSTINGS_EMPTY, n);
    p->u.be.p = list;
    p->u.be.n = n;
    return p;
}

struct postings *postings_list(struct arena *a, const uint32_t *v, size_t n)
{
    struct postings *p = make(a, n ? POSTINGS_LIST : POSTINGS_EMPTY, n);
    p->u.list.v = v;
    p->u.list.n = n;
    return p;
}

static int by_estimate(const void *x, const void *y)
{
    const struct postings *const *a = x, *const *b = y;
    return (*a)->estimate < (*b)->estimate ? -1 : (*a)->estimate > (*b)->estimate;
}

struct postings *postings_and(struct arena *a, struct postings **v, size_t n)
{
    ASSERT(n > 0);
    if (n == 1)
        return v[0];
    qsort(v, n, sizeof(struct postings *), by_estimate);
    if (v[0]->kind == POSTINGS_EMPTY)
        return v[0];
    struct postings *p = make(a, POSTINGS_AND, v[0]->estimate);
    p->u.many.v = v;
    p->u.many.n = n;
    return p;
}

struct postings *postings_without(struct arena *a, struct postings *from, struct postings *drop)
{
    if (from->kind == POSTINGS_EMPTY || drop->kind == POSTINGS_EMPTY)
        return from;
    struct postings *p = make(a, POSTINGS_WITHOUT, from->estimate);
    p->u.many.v = arena_alloc_array(a, 2, sizeof(struct postings *));
    p->u.many.v[0] = from;
    p->u.many.v[1] = drop;
    p->u.many.n = 2;
    return p;
}

/* ---- walking ---- */

static bool be_seek(struct postings *p, uint32_t v)
{
    const uint8_t *list = p->u.be.p;
    size_t low = p->u.be.i, n = p->u.be.n, step = 1, high = low;
    while (high < n && get_be32(list + 4 * high) < v) {
        low = high + 1;
        high += step;
        step *= 2;
    }
    if (high > n)
        high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (get_be32(list + 4 * mid) < v)
            low = mid + 1;
        else
            high = mid;
    }
    p->u.be.i = low;
    if (low == n)
        return false;
    p->at = get_be32(list + 4 * low);
    return true;
}

static bool list_seek(struct postings *p, uint32_t v)
{
    const uint32_t *list = p->u.list.v;
    size_t low = p->u.list.i, n = p->u.list.n, step = 1, high = low;
    while (high < n && list[high] < v) {
        low = high + 1;
        high += step;
        step *= 2;
    }
    if (high > n)
        high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (list[mid] < v)
            low = mid + 1;
        else
            high = mid;
    }
    p->u.list.i = low;
    if (low == n)
        return false;
    p->at = list[low];
    return true;
}

static bool bits_give(struct postings *p)
{
    while (p->u.bits.rest == 0) {
        if (++p->u.bits.i >= p->u.bits.n)
            return false;
        p->u.bits.rest = p->u.bits.words[p->u.bits.i];
    }
    p->at = p->u.bits.base + (uint32_t)(p->u.bits.i * 64) + (uint32_t)__builtin_ctzll(p->u.bits.rest);
    return true;
}

static bool bits_seek(struct postings *p, uint32_t v)
{
    if (v > p->u.bits.base) {
        size_t bit = v - p->u.bits.base, word = bit / 64;
        if (word >= p->u.bits.n) {
            p->u.bits.i = p->u.bits.n;
            p->u.bits.rest = 0;
            return false;
        }
        if (word > p->u.bits.i) {
            p->u.bits.i = word;
            p->u.bits.rest = p->u.bits.words[word];
        }
        if (word == p->u.bits.i)
            p->u.bits.rest &= ~UINT64_C(0) << (bit % 64);
    }
    return bits_give(p);
}

/* All members at the first number >= at that all have. */
static bool and_align(struct postings *p, uint32_t at)
{
    struct postings **v = p->u.many.v;
    for (size_t i = 0; i < p->u.many.n;) {
        if (!postings_seek(v[i], at))
            return false;
        if (v[i]->at == at) {
            i++;
        } else {
            at = v[i]->at;
            i = i == 0 ? 1 : 0;
        }
    }
    p->at = at;
    return true;
}

static bool without_settle(struct postings *p, bool more)
{
    struct postings *from = p->u.many.v[0], *drop = p->u.many.v[1];
    for (; more; more = postings_next(from)) {
        if (!postings_seek(drop, from->at) || drop->at != from->at) {
            p->at = from->at;
            return true;
        }
    }
    return false;
}

bool postings_next(struct postings *p)
{
    bool first = !p->started;
    p->started = true;
    switch (p->kind) {
    case POSTINGS_EMPTY:
        return false;
    case POSTINGS_BE:
        p->u.be.i += !first;
        if (p->u.be.i >= p->u.be.n)
            return false;
        p->at = get_be32(p->u.be.p + 4 * p->u.be.i);
        return true;
    case POSTINGS_LIST:
        p->u.list.i += !first;
        if (p->u.list.i >= p->u.list.n)
            return false;
        p->at = p->u.list.v[p->u.list.i];
        return true;
    case POSTINGS_BITS:
        if (first)
            p->u.bits.rest = p->u.bits.words[0];
        else
            p->u.bits.rest &= p->u.bits.rest - 1;
        return p->u.bits.i < p->u.bits.n && bits_give(p);
    case POSTINGS_AND:
        return postings_next(p->u.many.v[0]) && and_align(p, p->u.many.v[0]->at);
    case POSTINGS_WITHOUT:
        return without_settle(p, postings_next(p->u.many.v[0]));
    }
    return false;
}

bool postings_seek(struct postings *p, uint32_t v)
{
    if (p->started && p->at >= v && p->kind != POSTINGS_EMPTY) {
        /* Still there, unless it ended: lists say so by their index. */
        switch (p->kind) {
        case POSTINGS_BE: return p->u.be.i < p->u.be.n;
        case POSTINGS_LIST: return p->u.list.i < p->u.list.n;
        case POSTINGS_BITS: return p->u.bits.i < p->u.bits.n;
        case POSTINGS_EMPTY:
        case POSTINGS_AND:
        case POSTINGS_WITHOUT: break;
        }
    }
    bool first = !p->started;
    p->started = true;
    switch (p->kind) {
    case POSTINGS_EMPTY:
        return false;
    case POSTINGS_BE:
        return be_seek(p, v);
    case POSTINGS_LIST:
        return list_seek(p, v);
    case POSTINGS_BITS:
        if (first)
            p->u.bits.rest = p->u.bits.words[0];
        return p->u.bits.i < p->u.bits.n && bits_seek(p, v);
    case POSTINGS_AND:
        return and_align(p, v);
    case POSTINGS_WITHOUT:
        return without_settle(p, postings_seek(p->u.many.v[0], v));
    }
    return false;
}

/* ---- union ---- */

static int by_number(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return a < b ? -1 : a > b;
}

static struct postings *union_array(struct arena *a, struct postings **v, size_t n, size_t total, struct err *err)
{
    uint32_t *out = arena_try_alloc_array(a, total, sizeof *out);
    size_t count = 0, unique = 0;
    if (!out) {
        err_set(err, ERR_LIMIT, "too many series: the query's memory is full");
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        while (postings_next(v[i]))
            out[count++] = v[i]->at;
    }
    ASSERT(count <= total);
    if (count)
        qsort(out, count, sizeof *out, by_number);
    for (size_t i = 0; i < count; i++) {
        if (unique == 0 || out[unique - 1] != out[i])
            out[unique++] = out[i];
    }
    return postings_list(a, out, unique);
}

static bool is_list(const struct postings *p)
{
    return p->kind == POSTINGS_BE || p->kind == POSTINGS_LIST;
}

static uint32_t list_at(const struct postings *p, size_t i)
{
    return p->kind == POSTINGS_BE ? get_be32(p->u.be.p + 4 * i) : p->u.list.v[i];
}

struct postings *postings_union(struct arena *a, struct postings **v, size_t n, struct err *err)
{
    size_t total = 0, live = 0;
    uint32_t least = UINT32_MAX, most = 0;
    for (size_t i = 0; i < n; i++) {
        if (v[i]->kind == POSTINGS_EMPTY)
            continue;
        ASSERT(is_list(v[i]) && !v[i]->started);
        uint32_t first = list_at(v[i], 0), last = list_at(v[i], v[i]->estimate - 1);
        least = first < least ? first : least;
        most = last > most ? last : most;
        total += v[i]->estimate;
        v[live++] = v[i];
    }
    if (live == 0)
        return postings_empty(a);
    if (live == 1)
        return v[0];
    uint32_t base = least & ~63u;
    size_t words = most < base ? 1 : ((size_t)(most - base) >> 6) + 1;
    if (total <= UNION_ARRAY_MAX || words * 64 / UNION_SPARSE_BITS > total)
        return union_array(a, v, live, total, err);
    uint64_t *bits = arena_try_alloc_array(a, words, sizeof *bits);
    if (!bits) {
        err_set(err, ERR_LIMIT, "too many series: the query's memory is full");
        return NULL;
    }
    for (size_t i = 0; i < live; i++) {
        while (postings_next(v[i])) {
            uint32_t bit = v[i]->at - base;
            if (bit >> 6 < words) /* a damaged list may not ascend */
                bits[bit >> 6] |= UINT64_C(1) << (bit & 63);
        }
    }
    struct postings *p = make(a, POSTINGS_BITS, total);
    p->u.bits.words = bits;
    p->u.bits.base = base;
    p->u.bits.n = words;
    return p;
}

bool value_list_add(struct value_list *l, struct postings *p, struct err *err)
{
    if (!p)
        return false;
    if (p->kind == POSTINGS_EMPTY)
        return true;
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 16;
        struct postings **v = arena_try_alloc_array(l->arena, capacity, sizeof(struct postings *));
        if (!v)
            return err_set(err, ERR_LIMIT, "too many label values: the query's memory is full");
        if (l->n)
            memcpy(v, l->v, l->n * sizeof(struct postings *));
        l->v = v;
        l->capacity = capacity;
    }
    l->v[l->n++] = p;
    return true;
}
