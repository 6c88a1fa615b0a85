/* UTF-8 and Go's quoting. Invalid bytes decode one at a time as U+FFFD with size 1, as Go's range does. */
#ifndef TOCSIN_BASE_UTF8_H
#define TOCSIN_BASE_UTF8_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

typedef uint32_t rune;
#define RUNE_ERROR 0xFFFDu

rune utf8_decode(struct str s, size_t *size);      /* s not empty; *size 1..4; RUNE_ERROR with size 1 if invalid */
rune utf8_decode_last(struct str s, size_t *size);
bool utf8_valid(struct str s);
size_t utf8_count(struct str s);                    /* runes, invalid bytes counting one each */
void utf8_append(struct buf *b, rune r);            /* surrogates and > U+10FFFF become U+FFFD */
void utf8_append_valid(struct buf *b, struct str s);/* invalid bytes replaced by U+FFFD */
struct str utf8_prefix(struct str s, size_t runes); /* the first n runes */

bool rune_is_printable(rune r);   /* Go's strconv.IsPrint: L M N P S and the ASCII space (Unicode 15) */
bool rune_is_white_space(rune r); /* Unicode White_Space */

/* strconv.Quote: double quotes, escapes as Go. */
void go_quote(struct buf *b, struct str s);
/* strconv.Unquote for "..." (and `...` when raw is true); appends to b. False if it is not a quoted string. */
MUST_CHECK bool go_unquote(struct buf *b, struct str quoted, bool raw);

#endif
