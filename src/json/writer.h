/* A streaming JSON writer into a buf: compact, commas by itself. Strings are escaped as Go's encoder does with HTML
 * escaping on (< > & as \u003c \u003e \u0026, U+2028/9, control characters \b \f \n \r \t or \u00xx, invalid UTF-8 as
 * \ufffd) unless `html` is off. Nothing is allocated but the buf's growth. */
#ifndef TOCSIN_JSON_WRITER_H
#define TOCSIN_JSON_WRITER_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct json_writer {
    struct buf *out;
    bool need_comma;
    bool html; /* escape < > & (Go's default); set by json_writer_init */
};
void json_writer_init(struct json_writer *w, struct buf *out);
void jw_object(struct json_writer *w);
void jw_object_end(struct json_writer *w);
void jw_array(struct json_writer *w);
void jw_array_end(struct json_writer *w);
void jw_key(struct json_writer *w, struct str key);
void jw_str(struct json_writer *w, struct str s);
void jw_i64(struct json_writer *w, int64_t v);
void jw_u64(struct json_writer *w, uint64_t v);
void jw_f64(struct json_writer *w, double v); /* as encoding/json */
void jw_bool(struct json_writer *w, bool v);
void jw_null(struct json_writer *w);
void jw_raw(struct json_writer *w, struct str json); /* already JSON */
/* A key and its string. */
void jw_kv(struct json_writer *w, struct str key, struct str value);
void json_escape(struct buf *out, struct str s, bool html); /* without the quotes */

#endif
