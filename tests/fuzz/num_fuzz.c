/* Texts as numbers, and doubles as texts: what is written reads back as the same bits. */
#include "base/num.h"
#include "base/utf8.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(double v)
{
    static const char forms[] = "gef";
    for (size_t i = 0; forms[i]; i++) {
        struct buf b = { 0 };
        double back;
        num_write_f64(&b, v, forms[i], -1);
        bool ok = num_parse_f64(buf_view(&b), &back, NULL);
        if (v > 0 || v <= 0) { /* no NaN */
            uint64_t x, y;
            memcpy(&x, &v, sizeof x);
            memcpy(&y, &back, sizeof y);
            if (!ok || x != y)
                abort();
        }
        buf_deinit(&b);
    }
}

static void check_quoting(struct str s)
{
    struct buf quoted = { 0 }, back = { 0 };
    go_quote(&quoted, s);
    if (!utf8_valid(buf_view(&quoted)) || !go_unquote(&back, buf_view(&quoted), false) || !str_eq(buf_view(&back), s))
        abort();
    buf_reset(&back);
    bool quote = go_unquote(&back, s, true);
    (void)quote;
    buf_deinit(&quoted);
    buf_deinit(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_of((const char *)data, size);
    double f;
    int64_t i;
    if (num_parse_f64(s, &f, NULL))
        check_round_trip(f);
    if (num_parse_i64(s, 0, &i)) {
        struct buf b = { 0 };
        int64_t back;
        buf_i64(&b, i);
        if (!num_parse_i64(buf_view(&b), 10, &back) || back != i)
            abort();
        buf_deinit(&b);
    }
    if (size >= sizeof f) {
        memcpy(&f, data, sizeof f);
        check_round_trip(f);
    }
    check_quoting(s);
    return 0;
}
