/* Numbers as Go's ParseFloat takes them, rounded to milliseconds; what is no number is RFC 3339 or nothing. */
#include "api/time_param.h"

#include "base/num.h"

#include <math.h>

bool api_time_parse(struct str s, wall_ms *ms)
{
    double v;
    struct wire_time t;
    int32_t offset;
    struct buf plain = { 0 };
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '_')
            buf_byte(&plain, s.p[i]);
    bool ok = num_parse_f64(buf_view(&plain), &v, NULL);
    buf_deinit(&plain);
    if (ok) {
        if (isnan(v))
            v = 0;
        v = round(v * 1000);
        *ms = v <= (double)API_TIME_MIN ? API_TIME_MIN : v >= (double)API_TIME_MAX ? API_TIME_MAX : (int64_t)v;
        return true;
    }
    if (!rfc3339_parse(s, &t, &offset))
        return false;
    *ms = wire_time_to_ms(t);
    return true;
}
