/* A pull reader for JSON (RFC 8259) over a complete text: no tree, no allocation for what is skipped. The caller walks:
 *
 *     jr_object(r) ; while (jr_member(r, &key)) { if (str_eq(key, STR("a"))) jr_str(r, &s); else jr_skip(r); }
 *
 * The first error sticks: every later call returns false/zero, and jr_finish() reports it with line and column. What is
 * no JSON is worded as Go's encoding/json does ("invalid character ']' looking for beginning of value"); what is JSON but
 * not what the caller wanted carries its path ("alerts[3].labels: expected an object, got a string"). As in Go, which checks
 * the whole text before it decodes, a text that is no JSON is reported as that, whatever was found before. Strings without
 * escapes are slices of the input; others are unescaped into the arena.
 *
 * The functions are jr_*, beside the writer's jw_*, because json_* is jansson's and one program links both. Go's encoding/json decides where JSON leaves room: invalid UTF-8 becomes U+FFFD, lone surrogates likewise, duplicate
 * members are given in order. Depth is bounded by JSON_DEPTH_MAX. */
#ifndef TOCSIN_JSON_READER_H
#define TOCSIN_JSON_READER_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 128

enum jr_type { JR_NONE, JR_NULL, JR_BOOL, JR_NUMBER, JR_STRING, JR_ARRAY, JR_OBJECT };

struct json_reader {
    struct str text;
    size_t at;
    struct arena *arena;
    int depth;
    bool failed;
    bool syntax; /* the failure is one of JSON itself */
    uint8_t frames[JSON_DEPTH_MAX + 1]; /* per depth: kind of container, and whether a comma is due */
    struct err err;
};

void json_reader_init(struct json_reader *r, struct str text, struct arena *arena);
enum jr_type jr_peek(struct json_reader *r); /* type of the next value; JR_NONE on error or at the end */
bool jr_object(struct json_reader *r);         /* enters { */
bool jr_member(struct json_reader *r, struct str *key); /* next member's key; false at } or error */
bool jr_array(struct json_reader *r);          /* enters [ */
bool jr_element(struct json_reader *r);        /* true if there is a next element; false at ] or error */
bool jr_str(struct json_reader *r, struct str *s); /* valid as long as the text and the arena */
bool jr_bool(struct json_reader *r, bool *v);
bool jr_null(struct json_reader *r);
bool jr_number(struct json_reader *r, struct str *text); /* its text */
bool jr_f64(struct json_reader *r, double *v);
bool jr_i64(struct json_reader *r, int64_t *v);
bool jr_skip(struct json_reader *r);
bool jr_raw(struct json_reader *r, struct str *text); /* the next value's bytes, checked */
/* The caller's own objection to what was read last; the path is put before it. Returns false. */
bool jr_fail(struct json_reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* True if all was read without error and nothing but white space follows. To be still inside of a container is an error:
 * whoever gives up need not say so. */
MUST_CHECK bool jr_finish(struct json_reader *r, struct err *err);

#endif
