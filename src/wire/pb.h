/* Protobuf by cursor, for formats that are too hot or too simple for generated code: iterate the fields of one message
 * within its bounds; nothing is allocated, bytes and sub-messages are slices of the input.
 *
 *     struct pb_reader r; struct pb_field f;
 *     pb_reader_init(&r, bytes);
 *     while (pb_next(&r, &f)) switch (f.number) {
 *         case 1: x = pb_u64(&f); break;
 *         case 2: pb_reader_init(&sub, f.bytes); ...
 *     }
 *     if (r.failed) return err_set(err, ERR_INVALID, "...");
 *
 * A field whose wire type is not the expected one is the caller's to notice (f.type). Groups are skipped whole (depth
 * bounded). Field numbers 0 and beyond 2^29-1 are errors. Writer: into a buf, proto3 style (the caller leaves out
 * zeros), nesting by pb_begin/pb_end. Thread: any. */
#ifndef TOCSIN_WIRE_PB_H
#define TOCSIN_WIRE_PB_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum pb_type { PB_VARINT = 0, PB_I64 = 1, PB_LEN = 2, PB_GROUP = 3, PB_GROUP_END = 4, PB_I32 = 5 };

struct pb_reader {
    struct str rest;
    bool failed;
};
struct pb_field {
    uint32_t number;
    enum pb_type type;
    uint64_t value;   /* PB_VARINT, PB_I64, PB_I32 as raw bits */
    struct str bytes; /* PB_LEN */
};

void pb_reader_init(struct pb_reader *r, struct str message);
bool pb_next(struct pb_reader *r, struct pb_field *f); /* false at the end or on damage (r->failed) */

/* The value in the field's declared type. */
static inline uint64_t pb_u64(const struct pb_field *f)
{
    return f->value;
}
static inline int64_t pb_i64(const struct pb_field *f) /* int64, int32, enum: two's complement */
{
    return (int64_t)f->value;
}
static inline int64_t pb_s64(const struct pb_field *f) /* sint64, sint32: zigzag */
{
    return (int64_t)(f->value >> 1) ^ -(int64_t)(f->value & 1);
}
static inline bool pb_bool(const struct pb_field *f)
{
    return f->value != 0;
}
double pb_f64(const struct pb_field *f);
float pb_f32(const struct pb_field *f);

/* Packed repeated fields: one element off *packed; false at the end. A cut element ends the walk and sets *failed. */
bool pb_packed_varint(struct str *packed, uint64_t *v, bool *failed);
bool pb_packed_f64(struct str *packed, double *v, bool *failed);

/* Writer */
void pb_write_tag(struct buf *b, uint32_t number, enum pb_type type);
void pb_write_u64(struct buf *b, uint32_t number, uint64_t v);
void pb_write_i64(struct buf *b, uint32_t number, int64_t v); /* int64, int32, enum */
void pb_write_s64(struct buf *b, uint32_t number, int64_t v); /* zigzag */
void pb_write_bool(struct buf *b, uint32_t number, bool v);
void pb_write_f64(struct buf *b, uint32_t number, double v);
void pb_write_fixed64(struct buf *b, uint32_t number, uint64_t v);
void pb_write_fixed32(struct buf *b, uint32_t number, uint32_t v);
void pb_write_str(struct buf *b, uint32_t number, struct str s);
/* A length-delimited field whose size is not known yet. pb_end() closes the one that pb_begin() opened at `mark`;
 * nesting closes inside out. */
size_t pb_begin(struct buf *b, uint32_t number);
void pb_end(struct buf *b, size_t mark);
/* The same without a tag: a record of a stream of length-delimited messages (snapshots, FullState parts). */
size_t pb_begin_delimited(struct buf *b);
/* The next message of such a stream off *s; false at its end, and with *failed set if it is cut. */
bool pb_delimited(struct str *s, struct str *message, bool *failed);

#endif
