/* The first half of the input is HTML around an action, the second half the value: whatever the context, the value must
 * not bring a tag or a quote of its own into text. And any text at all is escaped without harm. */
#include "template/template.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool render(struct template_set *set, struct str text, struct str value, struct buf *out)
{
    struct template_run run = { .data = tval_str(value),
                                .steps_max = 20000,
                                .memory_bytes_max = 4 << 20,
                                .output_bytes_max = 1 << 20 };
    struct err err = { 0 };
    struct template_renderer *r = template_renderer_new(set);
    bool ok = template_render_html(r, &run, text, out, &err);
    ASSERT(ok || err.code != ERR_NONE);
    template_renderer_free(r);
    return ok;
}

static size_t count(struct str s, char c)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == c;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct template_set *set;
    if (!set)
        set = template_set_new(TEMPLATE_ALERTMANAGER);
    if (size > 1 << 13)
        return 0;
    struct str all = str_of((const char *)data, size);
    struct str around = str_sub(all, 0, size / 2), value = str_from(all, size / 2);
    struct buf text = { 0 }, with = { 0 }, without = { 0 };
    (void)render(set, all, value, &with);
    buf_reset(&with);
    buf_str(&text, around);
    buf_c(&text, "{{ . }}");
    bool literal = str_find(around, STR("{{")) == STR_NPOS && (around.n == 0 || around.p[around.n - 1] != '{');
    if (render(set, buf_view(&text), value, &with) && render(set, buf_view(&text), STR("x"), &without) && literal) {
        ASSERT(count(buf_view(&with), '<') == count(buf_view(&without), '<'));
        ASSERT(count(buf_view(&with), '"') == count(buf_view(&without), '"'));
    }
    buf_deinit(&text);
    buf_deinit(&with);
    buf_deinit(&without);
    return 0;
}
