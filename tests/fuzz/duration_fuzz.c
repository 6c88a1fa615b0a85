/* Any bytes as a duration: what parses prints as something that parses to the same. */
#include "model/duration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    struct buf b = { 0 };
    struct err err;
    int64_t v, again;
    if (duration_parse_signed(text, &v, &err)) {
        duration_write(&b, v);
        ASSERT(duration_parse_signed(buf_view(&b), &again, &err));
        ASSERT(again == v);
    }
    buf_reset(&b);
    if (go_duration_parse(text, &v, &err)) {
        go_duration_write(&b, v);
        ASSERT(go_duration_parse(buf_view(&b), &again, &err));
        ASSERT(again == v);
    }
    buf_deinit(&b);
    return 0;
}
