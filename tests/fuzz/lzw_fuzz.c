/* LZW: any bytes decode within the limit or fail; any bytes encode to something that decodes to them. */
#include "wire/lzw.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t limit = 1u << 18;
    struct str in = str_of((const char *)data, size);
    struct buf out = { 0 }, packed = { 0 };
    struct err err;
    if (lzw_decode(in, limit, &out, &err) ? out.n > limit : out.n != 0)
        abort();
    buf_reset(&out);
    lzw_encode(in, &packed);
    if (!lzw_decode(buf_view(&packed), size, &out, &err) || !str_eq(buf_view(&out), in))
        abort();
    buf_deinit(&out);
    buf_deinit(&packed);
    return 0;
}
