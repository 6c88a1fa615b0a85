/* Any bytes as a test script: loads, evaluations and all. */
#include "promql/testscript.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf report = { 0 };
    struct testscript_counts counts = { 0 };
    struct err err = { 0 };
    if (size > 4096)
        return 0;
    if (!testscript_run(str_of((const char *)data, size), &report, &counts, &err))
        ASSERT(err.code != ERR_NONE);
    buf_deinit(&report);
    return 0;
}
