/* Compressed units captured from Alertmanager: they decode, and encode again to the same bytes. */
#include "lib/shared.h"
#include "wire/lzw.h"

#include <stdio.h>

static void run_case(const json_t *value, size_t line, void *arg)
{
    (void)arg;
    char what[32];
    snprintf(what, sizeof what, "line %zu", line);
    struct buf plain = { 0 }, packed = { 0 }, out = { 0 };
    struct err err;
    bool hex = shared_unhex(shared_get_str(value, "plain_hex"), &plain) &&
               shared_unhex(shared_get_str(value, "lzw_hex"), &packed);
    if (!hex) {
        shared_fail(what, "no hex");
    } else if (!lzw_decode(buf_view(&packed), plain.n, &out, &err)) {
        shared_fail(what, "decode: %s", err.text);
    } else if (!str_eq(buf_view(&out), buf_view(&plain))) {
        shared_fail(what, "decoded to other bytes");
    } else {
        buf_reset(&out);
        lzw_encode(buf_view(&plain), &out);
        if (str_eq(buf_view(&out), buf_view(&packed)))
            shared_pass();
        else
            shared_fail(what, "encoded to other bytes");
    }
    buf_deinit(&plain);
    buf_deinit(&packed);
    buf_deinit(&out);
}

int main(void)
{
    if (shared_begin("lzw"))
        shared_jsonl("conformance/gossip/lzw.jsonl", run_case, NULL);
    return shared_finish();
}
