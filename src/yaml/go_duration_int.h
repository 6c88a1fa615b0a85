/* Durations as go-yaml itself reads and prints them (Go's syntax, ns): the full set of duration texts is in
 * model/duration.h, which lies above this floor. */
#ifndef TOCSIN_YAML_GO_DURATION_INT_H
#define TOCSIN_YAML_GO_DURATION_INT_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

MUST_CHECK bool yaml_go_duration_parse(struct str text, int64_t *ns);
void yaml_go_duration_write(struct buf *out, int64_t ns);

#endif
