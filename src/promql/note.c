/* Annotations: warnings and infos about a query that do not change its result. One per gist; the position is that of the
 * expression that raised it last. Those about forced monotonicity are merged over the query. */
#include "promql/eval_int.h"

#include "base/num.h"
#include "base/utf8.h"

#define NOTES_MAX 10000

static struct note *note_get(struct eval *ev, struct str gist)
{
    struct notes *ns = &ev->notes;
    uintptr_t at = (uintptr_t)map_get(&ns->by_gist, gist);
    if (at)
        return &ns->v[at - 1];
    if (ns->n >= NOTES_MAX)
        return NULL;
    if (ns->n == ns->capacity) {
        size_t capacity = ns->capacity ? ns->capacity * 2 : 8;
        struct note *v = arena_alloc_array(ev->a, capacity, sizeof *v);
        if (ns->n)
            memcpy(v, ns->v, ns->n * sizeof *v);
        ns->v = v;
        ns->capacity = capacity;
    }
    struct note *n = &ns->v[ns->n++];
    *n = (struct note){ .gist = arena_str(ev->a, gist) };
    map_put(&ns->by_gist, n->gist, (void *)(uintptr_t)ns->n);
    return n;
}

static void note_add(struct eval *ev, bool is_warning, uint32_t at, const char *fmt, va_list ap) PRINTF_LIKE(4, 0);
static void note_add(struct eval *ev, bool is_warning, uint32_t at, const char *fmt, va_list ap)
{
    struct buf b = { 0 };
    buf_vprintf(&b, fmt, ap);
    struct note *n = note_get(ev, buf_view(&b));
    buf_deinit(&b);
    if (!n)
        return;
    n->is_warning = is_warning;
    n->at = at;
}

void note_warning(struct eval *ev, uint32_t at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    note_add(ev, true, at, fmt, ap);
    va_end(ap);
}

void note_info(struct eval *ev, uint32_t at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    note_add(ev, false, at, fmt, ap);
    va_end(ap);
}

void note_forced(struct eval *ev, uint32_t at, struct str metric, double lo, double hi, double diff, int64_t t)
{
    struct buf b = { 0 };
    buf_printf(&b, "forced monotonicity %.*s", STR_ARG(metric));
    struct note *n = note_get(ev, buf_view(&b));
    buf_deinit(&b);
    if (!n)
        return;
    n->at = at;
    if (!n->forced) {
        n->forced = true;
        n->metric = arena_str(ev->a, metric);
        n->bucket_min = lo;
        n->bucket_max = hi;
        n->diff_max = diff;
        n->t_first = n->t_last = t;
    }
    n->count++;
    n->bucket_min = lo < n->bucket_min ? lo : n->bucket_min;
    n->bucket_max = hi > n->bucket_max ? hi : n->bucket_max;
    n->diff_max = diff > n->diff_max ? diff : n->diff_max;
    n->t_first = t < n->t_first ? t : n->t_first;
    n->t_last = t > n->t_last ? t : n->t_last;
}

struct str metric_name(struct labels ls)
{
    return labels_get(ls, STR("__name__"));
}

struct str note_metric(struct eval *ev, struct str metric)
{
    if (metric.n == 0)
        return STR_EMPTY;
    struct buf b = { 0 };
    buf_c(&b, " for metric name ");
    go_quote(&b, metric);
    struct str s = arena_str(ev->a, buf_view(&b));
    buf_deinit(&b);
    return s;
}

static void write_time(struct buf *b, int64_t t)
{
    struct wire_time at = { .s = t >= 0 ? t / 1000 : -((-t + 999) / 1000) };
    rfc3339_write_nano(b, at, 0);
}

static struct str final_text(struct eval *ev, const struct note *n)
{
    uint32_t line = 1, column = 1;
    for (uint32_t i = 0; i < n->at && i < ev->text.n; i++) {
        column++;
        if (ev->text.p[i] == '\n') {
            line++;
            column = 1;
        }
    }
    struct buf b = { 0 };
    buf_c(&b, n->is_warning ? "PromQL warning: " : "PromQL info: ");
    if (n->forced) {
        buf_c(&b, "input to histogram_quantile needed to be fixed for monotonicity (see "
                  "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)");
        buf_str(&b, note_metric(ev, n->metric));
        buf_c(&b, ", from buckets ");
        num_write_f64(&b, n->bucket_min, 'g', -1);
        buf_c(&b, " to ");
        num_write_f64(&b, n->bucket_max, 'g', -1);
        buf_c(&b, ", with a max diff of ");
        num_write_f64(&b, n->diff_max, 'g', 2);
        buf_printf(&b, ", over %llu samples from ", (unsigned long long)n->count);
        write_time(&b, n->t_first);
        buf_c(&b, " to ");
        write_time(&b, n->t_last);
    } else {
        buf_str(&b, n->gist);
    }
    buf_printf(&b, " (%u:%u)", line, column);
    struct str s = arena_str(ev->a, buf_view(&b));
    buf_deinit(&b);
    return s;
}

void notes_finish(struct eval *ev, bool warnings, struct str_list *out)
{
    struct str *v = arena_alloc_array(ev->a, ev->notes.n + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < ev->notes.n; i++)
        if (ev->notes.v[i].is_warning == warnings)
            v[n++] = final_text(ev, &ev->notes.v[i]);
    *out = (struct str_list){ v, n };
}

struct str note_number(struct buf *b, double v)
{
    buf_reset(b);
    num_write_f64(b, v, 'g', -1);
    return buf_view(b);
}
