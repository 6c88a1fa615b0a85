/* Any bytes as a zone file; a zone that is taken answers for every time. */
#include "base/bytes.h"
#include "model/timezone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    struct zone *z = zone_parse(STR("fuzz"), str_of((const char *)data, size), &err);
    if (z == NULL)
        return 0;
    int64_t own = size >= 8 ? (int64_t)get_le64(data + size - 8) : 0;
    const int64_t times[] = { INT64_MIN, -1, 0, 1720000000, INT64_MAX, own };
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct zone_offset o;
        struct civil c;
        zone_at(z, times[i], &o);
        zone_civil(z, (struct wire_time){ times[i], 0 }, &c);
    }
    zone_release(z);
    return 0;
}
