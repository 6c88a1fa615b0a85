/* Any bytes as a configuration, in each matcher mode: loaded, dumped, and dropped without a leak or an assert. A dump is
 * taken again, since secrets and filled-in defaults are legal input. */
#include "config/config.h"

#include <stdint.h>

static void load(struct str text, enum matcher_mode mode)
{
    struct config_options options = { .path = STR_INIT("dir/alertmanager.yml"), .matcher_mode = mode };
    struct notices notices;
    struct config *c = NULL;
    struct err err = { 0 };
    notices_init(&notices);
    if (config_load(text, &options, &c, &notices, &err)) {
        struct buf dump = { 0 };
        config_dump(c, &dump);
        buf_deinit(&dump);
        config_release(c);
    }
    notices_deinit(&notices);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 16384)
        return 0;
    load(str_of((const char *)data, size), (enum matcher_mode)(size % 3));
    return 0;
}
