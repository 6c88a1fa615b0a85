/* Values as the HTTP API writes them (spec 11): sample values are strings in Go's shortest form, histograms objects with
 * their populated buckets. */
#include "promql/promql.h"

#include "base/num.h"

#include <math.h>

void promql_write_value(struct buf *out, double v)
{
    double a = fabs(v);
    if (a < 1e15 && v == trunc(v) && (v != 0 || !signbit(v))) { /* counters: most of what is sent */
        buf_i64(out, (int64_t)v);
        return;
    }
    bool plain = isnan(v) || isinf(v) || v == 0 || (a >= 1e-6 && a < 1e21);
    num_write_f64(out, v, plain ? 'f' : 'e', -1);
}

static void write_quoted(struct buf *out, double v)
{
    buf_byte(out, '"');
    promql_write_value(out, v);
    buf_byte(out, '"');
}

void promql_write_histogram(struct buf *out, const struct float_histogram *h)
{
    struct histogram_walk w;
    struct histogram_bucket b;
    bool any = false;
    buf_c(out, "{\"count\":");
    write_quoted(out, h->count);
    buf_c(out, ",\"sum\":");
    write_quoted(out, h->sum);
    histogram_walk_start(&w, h, false);
    while (histogram_walk_next(&w, &b)) {
        if (b.count == 0)
            continue;
        int edges = b.lower_inclusive ? (b.upper_inclusive ? 3 : 1) : b.upper_inclusive ? 0 : 2;
        buf_printf(out, "%s[%d,", any ? "," : ",\"buckets\":[", edges);
        any = true;
        write_quoted(out, b.lower);
        buf_byte(out, ',');
        write_quoted(out, b.upper);
        buf_byte(out, ',');
        write_quoted(out, b.count);
        buf_byte(out, ']');
    }
    buf_c(out, any ? "]}" : "}");
}
