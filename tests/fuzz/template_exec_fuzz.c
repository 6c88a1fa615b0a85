/* Any text is rendered as a template over a little data, within narrow bounds: it must end, and soon. */
#include "template/template.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct label labels[] = { { STR_INIT("a"), STR_INIT("1") }, { STR_INIT("b"), STR_INIT("<x>") } };
    static struct template_set *set;
    if (!set)
        set = template_set_new(TEMPLATE_ALERTMANAGER);
    struct tval_entry entries[] = {
        { STR("L"), tval_labels((struct labels){ labels, 2 }) },
        { STR("S"), tval_str(STR("text")) },
        { STR("T"), tval_at_time((struct wire_time){ 1709287200, 123456789 }, 3600) },
    };
    struct template_hooks hooks = { .route_labels = { labels, 2 } };
    struct template_run run = { .data = tval_ref(&tval_dict_class, entries, 3),
                                .now = { 1700000000, 0 },
                                .hooks = &hooks,
                                .steps_max = 20000,
                                .memory_bytes_max = 4 << 20,
                                .output_bytes_max = 1 << 20 };
    if (size > 1 << 14)
        return 0;
    struct template_renderer *r = template_renderer_new(set);
    struct buf out = { 0 };
    struct err err = { 0 };
    bool ok = template_render_text(r, &run, str_of((const char *)data, size), &out, &err);
    ASSERT(ok || err.code != ERR_NONE);
    buf_deinit(&out);
    template_renderer_free(r);
    return 0;
}
