/* Numbers as text, locale-free and in Go's forms. */
#ifndef TOCSIN_BASE_NUM_H
#define TOCSIN_BASE_NUM_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* The whole text must be the number. base 0 accepts 0x 0o 0b prefixes and underscores, as Go's ParseInt(…, 0). */
MUST_CHECK bool num_parse_i64(struct str s, int base, int64_t *v);
MUST_CHECK bool num_parse_u64(struct str s, int base, uint64_t *v);
/* Go's ParseFloat: decimal, hex floats, inf/infinity/nan in any case, underscores refused. Out of range gives ±Inf
 * and false with *range set; other failures leave *v alone. range may be NULL. */
MUST_CHECK bool num_parse_f64(struct str s, double *v, bool *range);

/* Go's strconv.AppendFloat(v, fmt, precision, 64): fmt 'e' 'f' 'g' 'E' 'G'; precision -1 is the shortest text that
 * reads back as the same value. NaN, +Inf, -Inf. */
void num_write_f64(struct buf *b, double v, char fmt, int precision);
/* As encoding/json writes a float64: 'f' for 1e-6 <= |x| < 1e21, else 'e' with the exponent's zeros removed. */
void num_write_json_f64(struct buf *b, double v);

#define NUM_F64_MAX 32 /* bytes the shortest form 'g' can take */
size_t num_format_f64(char out[NUM_F64_MAX], double v); /* shortest 'g' as Prometheus's text formats ('f' -1 is elsewhere) */

/* Decimal digits of v at p, at most 20 bytes, no NUL; returns the end. */
char *num_put_u64(char *p, uint64_t v);
/* Shortest text: 'f' for 0 and 1e-6 <= |v| < 1e21, else 'e'; NaN, +Inf, -Inf. At most NUM_PLAIN_MAX bytes, no NUL; returns
 * the end. */
#define NUM_PLAIN_MAX 32
char *num_put_plain(char *p, double v);

#endif
