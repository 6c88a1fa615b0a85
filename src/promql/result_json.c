/* Values as the HTTP API writes them (spec 11): sample values are strings in Go's shortest form, histograms objects with
 * their populated buckets. */
#include "promql/promql.h"

#include "base/num.h"

void promql_write_value(struct buf *out, double v)
{
    char text[NUM_PLAIN_MAX];
    buf_append(out, text, (size_t)(num_put_plain(text, v) - text));
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
