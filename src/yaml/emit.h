/* A writer of YAML in the style of go-yaml v2: what upstream's programs print when they show a configuration. Block
 * style, two spaces, lists not indented under their key, strings plain where they read back as the same string,
 * single-quoted where plain is not possible, double-quoted where plain would be another type, literal blocks for texts
 * with newlines, lines folded at 80 columns.
 *
 * Use: init, one value (a map holds key/value pairs, each key followed by one value), finish. Appends to `out`.
 * Nesting is bounded by YAML_DEPTH_MAX. Thread: one owner. */
#ifndef TOCSIN_YAML_EMIT_H
#define TOCSIN_YAML_EMIT_H

#include "base/buf.h"
#include "base/str.h"
#include "yaml/doc.h"

#include <stdbool.h>
#include <stdint.h>

struct yaml_emitter;

struct yaml_emitter *yaml_emitter_new(struct buf *out);
void yaml_emitter_free(struct yaml_emitter *e); /* without finish: what was not flushed is lost */
void yaml_emit_finish(struct yaml_emitter *e);  /* ends the document and flushes */

void yaml_emit_map(struct yaml_emitter *e);
void yaml_emit_map_end(struct yaml_emitter *e);
void yaml_emit_list(struct yaml_emitter *e, bool flow); /* flow: [a, b] */
void yaml_emit_list_end(struct yaml_emitter *e);
void yaml_emit_str(struct yaml_emitter *e, struct str s); /* values and keys */
void yaml_emit_i64(struct yaml_emitter *e, int64_t v);
void yaml_emit_u64(struct yaml_emitter *e, uint64_t v);
void yaml_emit_f64(struct yaml_emitter *e, double v);
void yaml_emit_bool(struct yaml_emitter *e, bool v);
void yaml_emit_null(struct yaml_emitter *e);
/* A tree as go-yaml prints it after reading it into interface{}: keys in its natural order, values resolved. */
void yaml_emit_tree(struct yaml_emitter *e, const struct yaml_node *node);

/* go-yaml's order of map keys: letters after other runes, digits by their number. Like str_cmp. */
int yaml_key_cmp(struct str a, struct str b);

#endif
