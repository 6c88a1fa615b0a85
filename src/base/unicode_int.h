/* Ranges of runes, generated: see tools/gen_unicode.py. */
#ifndef TOCSIN_BASE_UNICODE_INT_H
#define TOCSIN_BASE_UNICODE_INT_H

#include <stddef.h>
#include <stdint.h>

struct rune_range16 {
    uint16_t first, last;
};
struct rune_range32 {
    uint32_t first, last;
};
extern const struct rune_range16 unicode_printable16[];
extern const size_t unicode_printable16_count;
extern const struct rune_range32 unicode_printable32[];
extern const size_t unicode_printable32_count;

#endif
