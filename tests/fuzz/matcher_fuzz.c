/* Any bytes as matchers: all modes, and what was parsed prints as something that parses to the same. */
#include "model/matcher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(struct arena *a, const struct matchers *ms)
{
    struct buf text = { 0 };
    struct matchers again;
    struct err err;
    matchers_write(&text, ms);
    /* A value that is no UTF-8 prints as it is; an empty name cannot be written without quotes. */
    bool printable = true;
    for (size_t i = 0; i < ms->n; i++)
        printable = printable && label_name_is_utf8(ms->v[i].name) &&
                    (ms->v[i].value.n == 0 || label_name_is_utf8(ms->v[i].value));
    if (printable) {
        bool ok = matchers_parse(a, MATCHER_UTF8, buf_view(&text), &again, NULL, &err);
        ASSERT(ok);
        ASSERT(matchers_eq(ms, &again));
        matchers_deinit(&again);
    }
    buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 4096)
        return 0;
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    struct str text = str_of((const char *)data + 1, size - 1);
    enum matcher_mode mode = (enum matcher_mode)(data[0] % 3);
    struct matcher_notice notice;
    struct matchers ms;
    struct matcher one;
    struct err err;
    if (matchers_parse(&a, mode, text, &ms, &notice, &err)) {
        round_trip(&a, &ms);
        matchers_deinit(&ms);
    }
    if (matcher_parse(&a, mode, text, &one, &notice, &err))
        matcher_deinit(&one);
    arena_deinit(&a);
    return 0;
}
