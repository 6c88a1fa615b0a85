/* URLs: whatever is taken, writes to a text that is taken again and writes the same; joins and references do not crash. One
 * text is an exception, in Go too: where there is no host, a path that begins with two slashes ("/%2Fa" written with its escape
 * undone, because something else in it needs one) reads as one. */
#include "http/url.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size), ref = STR_EMPTY;
    struct arena a;
    struct err err;
    struct http_url u, v, out;
    struct buf b = { 0 }, c = { 0 };
    size_t nl = str_find_byte(text, '\n');
    if (nl != STR_NPOS) {
        ref = str_from(text, nl + 1);
        text = str_sub(text, 0, nl);
    }
    arena_init(&a, ARENA_NO_LIMIT);
    if (http_url_parse(&a, text, &u, &err)) {
        http_url_write(&b, &u);
        http_url_write_redacted(&c, &u);
        buf_reset(&c);
        if (http_url_parse(&a, arena_str(&a, buf_view(&b)), &v, &err)) {
            http_url_write(&c, &v);
            bool reads_as_host = u.host.n == 0 && str_starts(u.path, STR("//"));
            ASSERT(reads_as_host || str_eq(buf_view(&b), buf_view(&c)));
        }
        if (http_url_parse(&a, ref, &v, &err)) {
            http_url_resolve(&a, &u, &v, &out);
            buf_reset(&c);
            http_url_write(&c, &out);
        }
        (void)!http_url_join(&a, &u, &ref, 1, &out);
        (void)http_url_hostname(&u);
        (void)http_url_port(&u);
    }
    (void)!http_url_parse_request(&a, text, &u, &err);
    buf_reset(&b);
    (void)!http_query_unescape(&b, text, &err);
    buf_reset(&b);
    http_query_escape(&b, text);
    buf_reset(&c);
    ASSERT(http_query_unescape(&c, buf_view(&b), &err));
    ASSERT(str_eq(buf_view(&c), text));
    buf_deinit(&b);
    buf_deinit(&c);
    arena_deinit(&a);
    return 0;
}
