/* Any bytes as a protobuf message, and as a stream of delimited ones: walks end, and fields written again read the same. */
#include "wire/pb.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copy_field(const struct pb_field *f, struct buf *out)
{
    switch (f->type) {
    case PB_VARINT: pb_write_u64(out, f->number, f->value); break;
    case PB_I64: pb_write_fixed64(out, f->number, f->value); break;
    case PB_I32: pb_write_fixed32(out, f->number, (uint32_t)f->value); break;
    case PB_LEN: {
        size_t mark = pb_begin(out, f->number);
        buf_str(out, f->bytes);
        pb_end(out, mark);
        break;
    }
    case PB_GROUP:
    case PB_GROUP_END: abort();
    }
}

static void walk(struct str message, int depth)
{
    struct pb_reader r, again;
    struct pb_field f, g;
    struct buf copy = { 0 };
    pb_reader_init(&r, message);
    while (pb_next(&r, &f))
        copy_field(&f, &copy);
    pb_reader_init(&again, buf_view(&copy));
    pb_reader_init(&r, message);
    while (pb_next(&r, &f)) {
        if (!pb_next(&again, &g) || f.number != g.number || f.type != g.type || f.value != g.value ||
            !str_eq(f.bytes, g.bytes))
            abort();
        if (f.type == PB_LEN && depth < 4)
            walk(f.bytes, depth + 1);
    }
    if (pb_next(&again, &g) || again.failed)
        abort();
    buf_deinit(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = str_of((const char *)data, size), message;
    bool failed = false;
    uint64_t v;
    walk(all, 0);
    for (struct str rest = all; pb_delimited(&rest, &message, &failed);)
        walk(message, 3);
    for (struct str rest = all; pb_packed_varint(&rest, &v, &failed);) {
    }
    return 0;
}
