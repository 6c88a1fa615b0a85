/* Pieces of a growing chunk: a ring, entered at its newest member.
 *
 * P1  The first piece is small, the later ones are of one larger size; a piece is added for a byte that has no place.
 * P2  A write begins in the newest piece (its last byte may be rewritten) or right behind it. */
#include "tsdb/head/pieces_int.h"

#include "base/compiler.h"

#include <stdbool.h>
#include <string.h>

static size_t capacity(bool first)
{
    return first ? PIECE_FIRST : PIECE_LATER;
}

static struct piece *add(struct pool *p, struct piece *newest)
{
    size_t got;
    struct piece *fresh = pool_take(p, sizeof *fresh + capacity(!newest), &got);
    fresh->next = newest ? newest->next : fresh;
    if (newest)
        newest->next = fresh;
    return fresh;
}

void pieces_write(struct pool *p, struct piece **newest, size_t had, size_t at, const uint8_t *bytes, size_t n)
{
    ASSERT(at <= had && had - at <= 1);
    struct piece *last = *newest;
    while (n > 0) {
        size_t place = piece_place(at);
        if (place == 0 && at == had)
            last = add(p, last);
        size_t room = capacity(at < PIECE_FIRST) - place, k = n < room ? n : room;
        memcpy(last->bytes + place, bytes, k);
        bytes += k;
        n -= k;
        at += k;
        had = at;
    }
    *newest = last;
}

void pieces_copy(const struct piece *newest, size_t had, uint8_t *out)
{
    const struct piece *p = newest;
    for (size_t at = 0; at < had;) {
        size_t most = capacity(at == 0), k = had - at < most ? had - at : most;
        p = p->next;
        memcpy(out + at, p->bytes, k);
        at += k;
    }
}

void pieces_free(struct pool *p, struct piece **newest)
{
    if (!*newest)
        return;
    struct piece *i = (*newest)->next, *next;
    for (bool first = true, more = true; more; first = false, i = next) {
        more = i != *newest;
        next = i->next;
        pool_give(p, i, sizeof *i + capacity(first));
    }
    *newest = NULL;
}
