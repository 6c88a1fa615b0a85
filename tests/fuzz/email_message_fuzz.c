/* Any text as an address list: what is taken can be said in an SMTP command. And any text as a header and as a body: what
 * is written has only printable ASCII and whole lines. */
#include "notify/receivers/email_message.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_addresses(struct str text)
{
    struct arena a;
    struct email_addresses out = { 0 };
    struct err err = { 0 };
    arena_init(&a, 64 << 20);
    bool ok = email_parse_addresses(&a, text, &out, &err);
    ASSERT(ok || (err.code != ERR_NONE && err.text[0]));
    for (size_t i = 0; ok && i < out.n; i++) {
        ASSERT(str_find_byte(out.v[i], '@') != STR_NPOS);
        for (size_t k = 0; k < out.v[i].n; k++)
            ASSERT((unsigned char)out.v[i].p[k] >= ' ' || out.v[i].p[k] == '\t');
    }
    arena_deinit(&a);
}

static void check_written(struct str s)
{
    for (size_t i = 0, line = 0; i < s.n; i++, line++) {
        if (s.p[i] == '\r') {
            ASSERT(i + 1 < s.n && s.p[i + 1] == '\n');
            ASSERT(line <= 76);
            line = (size_t)-2;
        } else if (s.p[i] == '\n') {
            ASSERT(i > 0 && s.p[i - 1] == '\r');
        } else {
            ASSERT((s.p[i] >= ' ' && s.p[i] <= '~') || s.p[i] == '\t');
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    struct buf b = { 0 };
    if (size > 1 << 14)
        return 0;
    check_addresses(text);
    email_write_word(&b, text);
    for (size_t i = 0; i < b.n; i++)
        ASSERT((b.p[i] >= ' ' && b.p[i] <= '~') || b.p[i] == '\t');
    buf_reset(&b);
    email_write_quoted(&b, text);
    check_written(buf_view(&b));
    buf_deinit(&b);
    return 0;
}
