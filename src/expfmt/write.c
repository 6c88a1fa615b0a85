/* The registry as text. The walk delivers the series of a family one after the other, in the order of their rows; they
 * are rendered at once into one buffer, with a sort key beside each, and copied out in key order when the family ends.
 *
 *   W1  One HELP and one TYPE line for each family, however many rows it has.
 *   W2  The key is the number of labels, then their values in order of their names: client_golang's MetricSorter. */
#include "expfmt/write.h"

#include "base/mem.h"
#include "base/num.h"

#include <math.h>
#include <stdlib.h>

struct series {
    size_t key_from, key_n, text_from, text_n;
    const struct writer *w;
};
struct writer {
    struct buf *out;
    bool openmetrics;
    const struct metric_desc *family; /* NULL: none yet */
    struct series *series;
    size_t count, capacity;
    struct buf keys, texts;
};

static void write_escaped(struct buf *b, struct str s, bool quotes)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\n') {
            buf_c(b, "\\n");
            continue;
        }
        if (c == '\\' || (quotes && c == '"'))
            buf_byte(b, '\\');
        buf_byte(b, c);
    }
}

static void write_float(const struct writer *w, struct buf *b, double v)
{
    if (v == 0)
        v = 0; /* -0 prints as 0 */
    size_t from = b->n;
    num_write_f64(b, v, 'g', -1);
    struct str text = str_from(buf_view(b), from);
    bool whole = str_find_byte(text, '.') == STR_NPOS && str_find_byte(text, 'e') == STR_NPOS;
    if (w->openmetrics && whole && isfinite(v))
        buf_c(b, ".0");
}

static void write_count(const struct writer *w, struct buf *b, uint64_t n)
{
    if (w->openmetrics)
        buf_u64(b, n);
    else
        write_float(w, b, (double)n);
}

static const char *type_text(enum metric_type type)
{
    switch (type) {
    case METRIC_COUNTER:
    case METRIC_FCOUNTER:
        return "counter";
    case METRIC_GAUGE:
        return "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    case METRIC_SUMMARY:
        return "summary";
    }
    return "untyped";
}

static bool is_counter(const struct metric_desc *d)
{
    return d->type == METRIC_COUNTER || d->type == METRIC_FCOUNTER;
}

/* OpenMetrics names the family of a counter without _total, and its samples with it. */
static struct str family_name(const struct writer *w, const struct metric_desc *d)
{
    struct str name = str_c(d->name);
    if (w->openmetrics && is_counter(d) && str_ends(name, STR("_total")))
        name.n -= strlen("_total");
    return name;
}

static void write_header(const struct writer *w)
{
    struct str name = family_name(w, w->family);
    buf_c(w->out, "# HELP ");
    buf_str(w->out, name);
    buf_byte(w->out, ' ');
    write_escaped(w->out, str_c(w->family->help), w->openmetrics);
    buf_c(w->out, "\n# TYPE ");
    buf_str(w->out, name);
    buf_byte(w->out, ' ');
    buf_c(w->out, type_text(w->family->type));
    buf_byte(w->out, '\n');
}

static int by_key(const void *x, const void *y)
{
    const struct series *a = x, *b = y;
    struct str keys = buf_view(&a->w->keys);
    int order = str_cmp(str_sub(keys, a->key_from, a->key_n), str_sub(keys, b->key_from, b->key_n));
    return order != 0 ? order : (a->text_from > b->text_from) - (a->text_from < b->text_from);
}

static void end_family(struct writer *w)
{
    if (w->count == 0)
        return;
    write_header(w);
    qsort(w->series, w->count, sizeof *w->series, by_key);
    for (size_t i = 0; i < w->count; i++)
        buf_str(w->out, str_sub(buf_view(&w->texts), w->series[i].text_from, w->series[i].text_n));
    w->count = 0;
    buf_reset(&w->keys);
    buf_reset(&w->texts);
}

/* Places of the labels in order of their names. */
static void sort_labels(const struct metric_sample *s, size_t order[METRIC_LABELS_MAX])
{
    for (size_t i = 0; i < s->labels_count; i++) {
        size_t at = i;
        for (; at > 0 && str_cmp(s->label_names[order[at - 1]], s->label_names[i]) > 0; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

struct line {
    const struct metric_sample *sample;
    const size_t *order;
    struct str name;
    const char *suffix;
    const double *le; /* NULL: no bucket */
};

/* Everything up to and with the blank before the value. */
static void start_line(struct writer *w, const struct line *l)
{
    struct buf *b = &w->texts;
    buf_str(b, l->name);
    buf_c(b, l->suffix);
    char separator = '{';
    for (size_t i = 0; i < l->sample->labels_count; i++) {
        buf_byte(b, separator);
        separator = ',';
        buf_str(b, l->sample->label_names[l->order[i]]);
        buf_c(b, "=\"");
        write_escaped(b, l->sample->label_values[l->order[i]], true);
        buf_byte(b, '"');
    }
    if (l->le != NULL) {
        buf_byte(b, separator);
        separator = ',';
        buf_c(b, "le=\"");
        write_float(w, b, *l->le);
        buf_byte(b, '"');
    }
    buf_c(b, separator == ',' ? "} " : " ");
}

static double sum_of(const struct histogram *h)
{
    uint64_t bits = atomic_load_explicit(&h->sum_bits, memory_order_relaxed);
    double sum;
    memcpy(&sum, &bits, sizeof sum);
    return sum;
}

/* Buckets are cumulative on the wire; the count is what the last one says, so that the two cannot disagree. */
static void write_histogram(struct writer *w, struct line l)
{
    const struct histogram *h = l.sample->histogram;
    uint64_t count = 0;
    ASSERT(h->bounds_count <= HISTOGRAM_BUCKETS_MAX);
    for (size_t i = 0; i <= h->bounds_count; i++) {
        count += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        if (l.sample->desc->type != METRIC_HISTOGRAM)
            continue;
        double bound = i < h->bounds_count ? h->bounds[i] : (double)INFINITY;
        l.suffix = "_bucket";
        l.le = &bound;
        start_line(w, &l);
        write_count(w, &w->texts, count);
        buf_byte(&w->texts, '\n');
    }
    l.le = NULL;
    l.suffix = "_sum";
    start_line(w, &l);
    write_float(w, &w->texts, sum_of(h));
    buf_byte(&w->texts, '\n');
    l.suffix = "_count";
    start_line(w, &l);
    write_count(w, &w->texts, count);
    buf_byte(&w->texts, '\n');
}

static struct series *add_series(struct writer *w)
{
    if (w->count == w->capacity) {
        w->capacity = mem_grow(w->capacity, w->count + 1);
        w->series = mem_realloc_array(w->series, w->capacity, sizeof *w->series);
    }
    struct series *one = &w->series[w->count++];
    *one = (struct series){ .key_from = w->keys.n, .text_from = w->texts.n, .w = w };
    return one;
}

static void visit(void *arg, const struct metric_sample *s)
{
    struct writer *w = arg;
    if (w->family == NULL || !str_eq(str_c(w->family->name), str_c(s->desc->name))) {
        end_family(w);
        w->family = s->desc;
    }
    size_t order[METRIC_LABELS_MAX] = { 0 };
    sort_labels(s, order);
    struct series *one = add_series(w);
    buf_byte(&w->keys, (char)s->labels_count);
    for (size_t i = 0; i < s->labels_count; i++) {
        buf_str(&w->keys, s->label_values[order[i]]);
        buf_byte(&w->keys, '\0');
    }
    one->key_n = w->keys.n - one->key_from;
    struct line l = { .sample = s, .order = order, .name = family_name(w, s->desc), .suffix = "" };
    if (s->histogram != NULL) {
        write_histogram(w, l);
    } else {
        if (w->openmetrics && is_counter(s->desc))
            l.suffix = "_total";
        start_line(w, &l);
        write_float(w, &w->texts, s->value);
        buf_byte(&w->texts, '\n');
    }
    one->text_n = w->texts.n - one->text_from;
}

void expfmt_write(struct buf *out, enum expfmt_format format, struct metric_registry *registry)
{
    struct writer w = {
        .out = out,
        .openmetrics = format == EXPFMT_OPENMETRICS_0_0_1 || format == EXPFMT_OPENMETRICS_1_0_0,
    };
    metric_registry_walk(registry, visit, &w);
    end_family(&w);
    if (w.openmetrics)
        buf_c(out, "# EOF\n");
    mem_free(w.series);
    buf_deinit(&w.keys);
    buf_deinit(&w.texts);
}
