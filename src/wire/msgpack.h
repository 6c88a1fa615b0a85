/* MessagePack as the mesh speaks it: go-msgpack's old dialect (spec gossip 3). A message is one map with string keys.
 *
 * Reader: a cursor. Any order of keys, unknown keys skipped with whatever they hold (depth bounded), strings and bytes in
 * the raw, str8 and bin families, nil as the empty string, every integer form (a negative one into an unsigned field is an
 * error), booleans also as 0 and 1. Slices point into the input. The first error sticks in `failed`.
 *
 *     struct msgpack_reader r; struct str key;
 *     msgpack_reader_init(&r, body);
 *     size_t pairs = msgpack_map(&r);
 *     for (; pairs > 0 && msgpack_str(&r, &key); pairs--)
 *         if (str_eq(key, STR("SeqNo"))) msgpack_u64(&r, UINT32_MAX, &seq); else msgpack_skip(&r);
 *     if (r.failed) ...; r.rest is what follows the map.
 *
 * Writer: raw strings only (never str8 or bin), the smallest unsigned form for integers. Keys in byte order are the
 * caller's part. Thread: any. */
#ifndef TOCSIN_WIRE_MSGPACK_H
#define TOCSIN_WIRE_MSGPACK_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define MSGPACK_DEPTH_MAX 32

struct msgpack_reader {
    struct str rest;
    bool failed;
};

void msgpack_reader_init(struct msgpack_reader *r, struct str text);
size_t msgpack_map(struct msgpack_reader *r);   /* enters a map: its number of pairs; 0 for nil and on error */
size_t msgpack_array(struct msgpack_reader *r); /* enters an array; as above */
bool msgpack_str(struct msgpack_reader *r, struct str *s);   /* string or bytes; nil is empty with p == NULL */
bool msgpack_u64(struct msgpack_reader *r, uint64_t max, uint64_t *v); /* more than max is an error */
bool msgpack_i64(struct msgpack_reader *r, int64_t *v);
bool msgpack_bool(struct msgpack_reader *r, bool *v);
bool msgpack_skip(struct msgpack_reader *r); /* any value */

void msgpack_write_map(struct buf *b, uint32_t pairs);
void msgpack_write_array(struct buf *b, uint32_t count);
void msgpack_write_str(struct buf *b, struct str s);
void msgpack_write_u64(struct buf *b, uint64_t v);
void msgpack_write_i64(struct buf *b, int64_t v); /* non-negative as unsigned, else the smallest signed form */
void msgpack_write_bool(struct buf *b, bool v);
void msgpack_write_nil(struct buf *b);

#endif
