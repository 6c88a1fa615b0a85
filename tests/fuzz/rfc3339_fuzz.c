/* Times: what is read is written to a text that reads as the same time. */
#include "base/clock.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_time t, back;
    int32_t offset, back_offset;
    if (!rfc3339_parse(str_of((const char *)data, size), &t, &offset))
        return 0;
    struct civil c;
    civil_from_unix(t.s, t.ns, offset, &c);
    if (c.year < 0 || c.year > 9999)
        abort();
    struct buf b = { 0 };
    rfc3339_write_nano(&b, t, offset);
    if (!rfc3339_parse(buf_view(&b), &back, &back_offset) || wire_time_cmp(t, back) != 0 || offset != back_offset)
        abort();
    buf_deinit(&b);
    return 0;
}
