/* Frames of the TLS transport. Unknown fields are skipped, as protobuf does; a version that is not ours, or a kind that
 * is neither of the two, ends the connection. Bound: TLS_FRAME_BYTES_MAX (upstream has none). */
#include "gossip/tls_frame_int.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "wire/pb.h"

enum { FRAME_VERSION = 1, FRAME_KIND = 2, FRAME_FROM = 3, FRAME_MSG = 4 };
enum { KIND_STREAM = 0, KIND_PACKET = 1 };
#define VERSION      "v0.1.0"
#define LENGTH_BYTES 4

enum tls_frame_result tls_frame_read(struct str bytes, struct tls_frame *f, size_t *used, const char **why)
{
    if (bytes.n < LENGTH_BYTES)
        return TLS_FRAME_MORE;
    size_t n = get_le32(bytes.p);
    if (n > TLS_FRAME_BYTES_MAX) {
        *why = "frame is too long";
        return TLS_FRAME_BAD;
    }
    if (bytes.n - LENGTH_BYTES < n)
        return TLS_FRAME_MORE;
    *used = LENGTH_BYTES + n;

    struct pb_reader r;
    struct pb_field field;
    struct str version = STR_EMPTY;
    uint64_t kind = KIND_STREAM;
    *f = (struct tls_frame){ .from = STR_EMPTY, .msg = STR_EMPTY };
    *why = "frame does not decode";
    pb_reader_init(&r, str_sub(bytes, LENGTH_BYTES, n));
    while (pb_next(&r, &field)) {
        if (field.number > FRAME_MSG)
            continue;
        if (field.type != (field.number == FRAME_KIND ? PB_VARINT : PB_LEN))
            return TLS_FRAME_BAD;
        if (field.number == FRAME_VERSION)
            version = field.bytes;
        else if (field.number == FRAME_KIND)
            kind = field.value;
        else if (field.number == FRAME_FROM)
            f->from = field.bytes;
        else
            f->msg = field.bytes;
    }
    if (r.failed)
        return TLS_FRAME_BAD;
    if (!str_eq(version, STR(VERSION))) {
        *why = "frame of another version";
        return TLS_FRAME_BAD;
    }
    if (kind != KIND_STREAM && kind != KIND_PACKET) {
        *why = "frame of an unknown kind";
        return TLS_FRAME_BAD;
    }
    return kind == KIND_PACKET ? TLS_FRAME_PACKET : TLS_FRAME_STREAM;
}

static void put_length(struct buf *out, size_t at)
{
    put_le32(out->p + at, u32_from_size(out->n - at - LENGTH_BYTES));
}

void tls_frame_write_stream(struct buf *out)
{
    size_t at = out->n;
    buf_fill(out, 0, LENGTH_BYTES);
    pb_write_str(out, FRAME_VERSION, STR(VERSION));
    put_length(out, at);
}

void tls_frame_write_packet(struct buf *out, struct str from, struct str msg)
{
    ASSERT(msg.n > 0); /* an empty one kills memberlist before 0.2.4 */
    size_t at = out->n;
    buf_fill(out, 0, LENGTH_BYTES);
    pb_write_str(out, FRAME_VERSION, STR(VERSION));
    pb_write_u64(out, FRAME_KIND, KIND_PACKET);
    pb_write_str(out, FRAME_FROM, from);
    pb_write_str(out, FRAME_MSG, msg);
    put_length(out, at);
}
