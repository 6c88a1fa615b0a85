/* Sizes as text, as Prometheus writes them: 512MB, 1.5GiB, 0. Units are powers of 1024, with or without the i.
 * Upstream: alecthomas/units ParseBase2Bytes. */
#ifndef TOCSIN_CONFIG_SIZES_H
#define TOCSIN_CONFIG_SIZES_H

#include "base/err.h"
#include "yaml/bind.h"

#include <stdint.h>

MUST_CHECK bool size_parse(struct str text, int64_t *bytes, struct err *err);
void size_write(struct buf *out, int64_t bytes); /* 1GiB512MiB */

extern const struct bind_scalar size_scalar;     /* int64_t */
extern const struct bind_scalar opt_size_scalar; /* struct opt_i64 */

#endif
