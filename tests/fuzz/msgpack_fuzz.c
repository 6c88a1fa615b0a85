/* Any bytes as a message of the mesh: a walk ends, and what was understood is written to bytes that read the same. */
#include "wire/msgpack.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct msgpack_reader r)
{
    struct str key, s;
    uint64_t u;
    int64_t i;
    bool b;
    size_t pairs = msgpack_map(&r);
    if (pairs > r.rest.n)
        abort();
    for (; pairs > 0 && msgpack_str(&r, &key); pairs--) {
        struct msgpack_reader copy = r;
        switch (key.n % 5) {
        case 0: msgpack_u64(&r, UINT32_MAX, &u); break;
        case 1: msgpack_i64(&r, &i); break;
        case 2: msgpack_str(&r, &s); break;
        case 3: msgpack_bool(&r, &b); break;
        default: msgpack_skip(&r); break;
        }
        if (!r.failed && (!msgpack_skip(&copy) || copy.rest.n != r.rest.n))
            abort();
    }
}

static void check_integer(struct msgpack_reader r)
{
    int64_t v, back;
    if (!msgpack_i64(&r, &v))
        return;
    struct buf b = { 0 };
    struct msgpack_reader again;
    msgpack_write_i64(&b, v);
    msgpack_reader_init(&again, buf_view(&b));
    if (!msgpack_i64(&again, &back) || back != v || again.rest.n)
        abort();
    buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, str_of((const char *)data, size));
    walk(r);
    check_integer(r);
    while (!r.failed && r.rest.n) {
        size_t before = r.rest.n;
        if (msgpack_skip(&r) && r.rest.n >= before)
            abort();
    }
    return 0;
}
