/* Any bytes as snappy, zstd, gzip or deflate: decoded within the limit or refused. The first byte chooses. */
#include "wire/base64.h"
#include "wire/gzip.h"
#include "wire/snappy.h"
#include "wire/zstd.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t limit = 1u << 18;
    if (size == 0)
        return 0;
    struct str in = str_of((const char *)data + 1, size - 1);
    struct buf out = { 0 };
    struct err err;
    bool ok = false;
    switch (data[0] % 5) {
    case 0: ok = snappy_decode(in, limit, &out, &err); break;
    case 1: ok = zstd_decode(in, limit, &out, &err); break;
    case 2: ok = gzip_decode(in, limit, &out, &err); break;
    case 3: ok = deflate_decode(in, limit, &out, &err); break;
    default: ok = base64_decode(in, (enum base64_shape)(data[0] / 5 % 4), &out); break;
    }
    if (ok ? out.n > limit && data[0] % 5 != 4 : out.n != 0)
        abort();
    buf_deinit(&out);
    return 0;
}
