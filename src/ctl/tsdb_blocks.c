/* tsdb list, analyze and create-blocks-from openmetrics. */
#include "ctl/tsdb.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "ctl/tsdb_int.h"
#include "expfmt/parse.h"
#include "model/duration.h"
#include "promql/promql.h"
#include "tsdb/tools.h"

#include <stdlib.h>

#define BLOCK_MS        (2 * 3600 * INT64_C(1000))
#define SAMPLES_A_BATCH 5000
#define COLUMN_MIN      13 /* promtool's table: least width, and blanks between columns */
#define COLUMN_GAP      2
#define COLUMNS         8

/* ---- tables ---- */

struct row {
    struct buf cells[COLUMNS];
};

static void write_time(struct buf *b, int64_t ms, bool human)
{
    struct civil c;
    if (!human) {
        buf_i64(b, ms);
        return;
    }
    civil_from_unix(ms / 1000, 0, 0, &c);
    buf_printf(b, "%04lld-%02d-%02d %02d:%02d:%02d +0000 UTC", (long long)c.year, c.month, c.day, c.hour, c.minute, c.second);
}

/* 16KiB135B: each unit that is not zero. */
static void write_bytes(struct buf *b, uint64_t n, bool human)
{
    static const char *const units[] = { "EiB", "PiB", "TiB", "GiB", "MiB", "KiB", "B" };
    if (!human) {
        buf_u64(b, n);
        return;
    }
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        uint64_t scale = UINT64_C(1) << 10 * (ARRAY_LEN(units) - 1 - i), part = n / scale;
        n %= scale;
        if (part) {
            buf_printf(b, "%llu%s", (unsigned long long)part, units[i]);
            any = true;
        }
    }
    if (!any)
        buf_c(b, "0B");
}

static void row_of(const struct tsdb_block_info *i, bool human, struct row *r)
{
    buf_str(&r->cells[0], i->ulid);
    write_time(&r->cells[1], i->mint, human);
    write_time(&r->cells[2], i->maxt, human);
    go_duration_write(&r->cells[3], (i->maxt - i->mint) * 1000000);
    buf_u64(&r->cells[4], i->samples);
    buf_u64(&r->cells[5], i->chunks);
    buf_u64(&r->cells[6], i->series);
    write_bytes(&r->cells[7], i->size_bytes, human);
}

static void write_rows(struct buf *out, const struct row *rows, size_t n)
{
    size_t widths[COLUMNS] = { 0 };
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < COLUMNS; k++) {
            size_t w = rows[i].cells[k].n + COLUMN_GAP;
            w = w < COLUMN_MIN ? COLUMN_MIN : w;
            widths[k] = w > widths[k] ? w : widths[k];
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < COLUMNS; k++) {
            buf_str(out, buf_view(&rows[i].cells[k]));
            if (k + 1 < COLUMNS)
                buf_fill(out, ' ', widths[k] - rows[i].cells[k].n);
        }
        buf_byte(out, '\n');
    }
}

static void write_blocks(struct buf *out, const struct tsdb_block_info *v, size_t n, bool header, bool human)
{
    static const char *const names[COLUMNS] = { "BLOCK ULID", "MIN TIME",   "MAX TIME",   "DURATION",
                                                "NUM SAMPLES", "NUM CHUNKS", "NUM SERIES", "SIZE" };
    struct row *rows = mem_alloc_array(n + 1, sizeof *rows);
    size_t count = 0;
    if (header) {
        for (size_t k = 0; k < COLUMNS; k++)
            buf_c(&rows[0].cells[k], names[k]);
        count++;
    }
    for (size_t i = 0; i < n; i++)
        row_of(&v[i], human, &rows[count++]);
    write_rows(out, rows, count);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < COLUMNS; k++)
            buf_deinit(&rows[i].cells[k]);
    }
    mem_free(rows);
}

bool tsdb_verb_list(struct fs *fs, struct str dir, bool human, struct tsdb_verb_out *out, struct err *err)
{
    struct arena a;
    struct tsdb_block_info *v;
    size_t n;
    arena_init(&a, ARENA_NO_LIMIT);
    bool ok = tsdb_list_blocks(fs, dir, &a, &v, &n, err);
    if (ok)
        write_blocks(out->buf, v, n, true, human);
    arena_deinit(&a);
    return ok && tsdb_verb_flush(out, true, err);
}

/* ---- analyze ---- */

static void write_counts(struct buf *out, const char *title, const struct tsdb_count *v, size_t n)
{
    buf_printf(out, "\n%s:\n", title);
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%llu %.*s\n", (unsigned long long)v[i].value, STR_ARG(v[i].name));
}

static int by_size(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return a < b ? -1 : a > b;
}

static int digits(uint64_t v)
{
    int n = 1;
    for (; v >= 10; v /= 10)
        n++;
    return n;
}

static void write_histogram(struct buf *out, const char *what, struct tsdb_sizes *s, size_t total)
{
    if (s->n == 0)
        return;
    qsort(s->v, s->n, sizeof *s->v, by_size);
    uint32_t least = s->v[0], most = s->v[s->n - 1], step = 10;
    while (step < (most - least) / 10 && step <= 10000)
        step *= 10;
    uint32_t start = least - least % step, end = most - most % step + step;
    size_t n = (end - start) / step + 1;
    uint64_t sum = 0, *buckets = mem_alloc_array(n, sizeof *buckets), top = 0;
    for (size_t i = 0; i < s->n; i++) {
        uint64_t *b = &buckets[(s->v[i] - start) / step];
        sum += s->v[i];
        ++*b;
        top = *b > top ? *b : top;
    }
    buf_printf(out, "%s (min/avg/max): %u/%llu/%u\n", what, least, (unsigned long long)(sum / s->n), most);
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "[%*llu, %*llu): %*llu ", digits(end), (unsigned long long)(i * step + start),
                   digits((uint64_t)end + step), (unsigned long long)((i + 1) * step + start), digits(top),
                   (unsigned long long)buckets[i]);
        buf_fill(out, '#', (size_t)(100 * buckets[i] / total));
        buf_byte(out, '\n');
    }
    buf_byte(out, '\n');
    mem_free(buckets);
}

static void write_compaction(struct buf *out, struct tsdb_analysis *x)
{
    static const char *const kinds[] = { "float chunk", "float histogram chunk", "histogram chunk" };
    struct buf title = { 0 };
    buf_c(out, "\nCompaction analysis:\n\n");
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct tsdb_sizes *const lists[] = { &x->samples[k], &x->bytes[k], &x->buckets[k] };
        static const char *const units[] = { "samples", "bytes", "buckets" };
        for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
            buf_reset(&title);
            buf_printf(&title, "%s per %s", units[i], kinds[k]);
            write_histogram(out, title.p, lists[i], x->chunks);
        }
    }
    buf_deinit(&title);
}

static void write_analysis(struct buf *out, const struct tsdb_analyze *o, struct tsdb_analysis *x)
{
    buf_printf(out, "Block ID: %.*s\nDuration: ", STR_ARG(x->block.ulid));
    go_duration_write(out, (x->block.maxt - x->block.mint) * 1000000);
    buf_printf(out, "\nTotal Series: %llu\n", (unsigned long long)x->block.series);
    if (o->match.n)
        buf_printf(out, "Matcher: %.*s\n", STR_ARG(o->match));
    buf_printf(out, "Label names: %zu\n", x->names);
    if (o->match.n)
        buf_printf(out, "Matched series: %zu\n", x->matched);
    buf_printf(out, "Postings (unique label pairs): %zu\nPostings entries (total label pairs): %zu\n", x->pairs, x->entries);
    write_counts(out, "Label pairs most involved in churning", x->churn_pairs, x->churn_pairs_count);
    write_counts(out, "Label names most involved in churning", x->churn_names, x->churn_names_count);
    write_counts(out, "Most common label pairs", x->common_pairs, x->common_pairs_count);
    write_counts(out, "Label names with highest cumulative label value length", x->value_lengths, x->value_lengths_count);
    write_counts(out, "Highest cardinality labels", x->cardinality, x->cardinality_count);
    write_counts(out, "Highest cardinality metric names", x->metrics, x->metrics_count);
    if (o->extended)
        write_compaction(out, x);
}

bool tsdb_verb_analyze(struct fs *fs, const struct tsdb_analyze *o, struct tsdb_verb_out *out, struct err *err)
{
    struct arena a;
    struct matchers ms = { 0 };
    struct tsdb_analysis x = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    bool ok = (o->match.n == 0 || promql_parse_selector(&a, o->match, &ms, err)) &&
              tsdb_analyze_block(fs, o->dir, o->block, o->match.n ? &ms : NULL, o->limit, o->extended, &a, &x, err);
    if (ok)
        write_analysis(out->buf, o, &x);
    tsdb_analysis_deinit(&x);
    matchers_deinit(&ms);
    arena_deinit(&a);
    return ok && tsdb_verb_flush(out, true, err);
}

/* ---- create-blocks-from openmetrics ---- */

struct import {
    struct fs *fs;
    const struct tsdb_backfill *o;
    struct expfmt_parser parser;
    struct label *custom;
    size_t custom_count;
    struct rng rng;
    struct arena arena; /* labels of a line */
    int64_t block_ms;
    wall_ms now; /* of the next block's name */
};

/* The largest block length of 2 h, 6 h, 18 h ... that is not above what was asked for. */
static int64_t block_length(int64_t asked)
{
    int64_t length = BLOCK_MS;
    for (int i = 0; i < 9 && length * 3 <= asked; i++)
        length *= 3;
    return length;
}

static bool find_times(struct import *im, int64_t *mint, int64_t *maxt, struct err *err)
{
    enum expfmt_entry e = EXPFMT_COMMENT;
    *mint = INT64_MAX;
    *maxt = INT64_MIN;
    expfmt_parser_init(&im->parser, EXPFMT_SYNTAX_OPENMETRICS, im->o->input);
    while (e != EXPFMT_END) {
        if (!expfmt_next(&im->parser, &e, err))
            return err_wrap(err, "getting min and max timestamp: next");
        if (e != EXPFMT_SERIES)
            continue;
        if (!im->parser.has_t)
            return err_set(err, ERR_INVALID, "getting min and max timestamp: expected timestamp for series got none");
        *mint = im->parser.t < *mint ? im->parser.t : *mint;
        *maxt = im->parser.t > *maxt ? im->parser.t : *maxt;
    }
    if (*mint == INT64_MAX)
        *mint = *maxt = 0;
    return true;
}

static bool line_labels(struct import *im, struct labels *out, struct err *err)
{
    bool duplicate;
    struct labels ls;
    arena_reset(&im->arena);
    if (!expfmt_labels(&im->parser, &im->arena, &ls, &duplicate, err))
        return false;
    if (im->custom_count == 0) {
        *out = ls;
        return true;
    }
    struct label *v = arena_alloc_array(&im->arena, ls.n + im->custom_count + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < ls.n; i++)
        v[n++] = ls.v[i];
    for (size_t i = 0; i < im->custom_count; i++)
        v[n++] = im->custom[i];
    *out = labels_normalize(v, n); /* of equal names the last */
    return true;
}

/* The samples of [t, t + block_ms) in batches; *next is the first time after it. */
static bool append_range(struct import *im, struct tsdb_builder *b, int64_t t, int64_t *next, struct err *err)
{
    enum expfmt_entry e = EXPFMT_COMMENT;
    struct appender *a;
    size_t samples = 0;
    if (!tsdb_builder_appender(b, &a, err))
        return false;
    expfmt_parser_init(&im->parser, EXPFMT_SYNTAX_OPENMETRICS, im->o->input);
    im->parser.keep_bounds = true; /* what was stored under "10" is found under "10" again */
    while (e != EXPFMT_END) {
        if (!expfmt_next(&im->parser, &e, err)) {
            append_rollback(a);
            return err_wrap(err, "parse");
        }
        int64_t at = im->parser.t;
        if (e != EXPFMT_SERIES || at < t)
            continue;
        if (at >= t + im->block_ms) {
            *next = at < *next ? at : *next;
            continue;
        }
        struct labels ls;
        series_ref ref = 0;
        if (!line_labels(im, &ls, err)) {
            append_rollback(a);
            return false;
        }
        if (append_sample(a, &ref, &ls, at, im->parser.value) != APPEND_OK) {
            *err = a->detail;
            append_rollback(a);
            return err_wrap(err, "add sample");
        }
        if (++samples < SAMPLES_A_BATCH)
            continue;
        if (!append_commit(a, err) || !tsdb_builder_appender(b, &a, err))
            return err_wrap(err, "commit");
        samples = 0;
    }
    return append_commit(a, err) || err_wrap(err, "commit");
}

static bool make_block(struct import *im, int64_t t, int64_t *next, bool *header, struct tsdb_verb_out *out, struct err *err)
{
    struct tsdb_block_info info;
    /* Twice as long as the block: an appender takes nothing older than half a block before the newest sample. */
    struct tsdb_builder *b = tsdb_builder_new(im->fs, im->o->dir, 2 * im->block_ms, im->now++, &im->rng, err);
    if (!b)
        return err_wrap(err, "block writer");
    if (!append_range(im, b, t, next, err)) {
        tsdb_builder_abandon(b);
        return false;
    }
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    bool ok = tsdb_builder_finish(b, &a, &info, err);
    if (!ok) {
        err_wrap(err, "flush");
    } else if (info.ulid.n && !im->o->quiet) {
        write_blocks(out->buf, &info, 1, *header, im->o->human);
        *header = false;
    }
    arena_deinit(&a);
    return ok;
}

static bool custom_labels(struct import *im, struct err *err)
{
    im->custom = mem_alloc_array(im->o->labels_count, sizeof *im->custom);
    for (size_t i = 0; i < im->o->labels_count; i++) {
        struct str text = im->o->labels[i];
        size_t equal = str_find_byte(text, '=');
        if (equal == STR_NPOS)
            return err_set(err, ERR_INVALID, "expected KEY=VALUE got '%.*s'", STR_ARG(text));
        im->custom[im->custom_count++] = (struct label){ str_of(text.p, equal), str_from(text, equal + 1) };
    }
    return true;
}

bool tsdb_verb_create_blocks(struct fs *fs, const struct tsdb_backfill *o, struct tsdb_verb_out *out, struct err *err)
{
    struct import im = { .fs = fs, .o = o, .block_ms = block_length(o->max_block_ms), .now = o->now };
    int64_t mint = 0, maxt = 0, next = INT64_MIN;
    bool header = true;
    rng_seed(&im.rng, o->seed);
    arena_init(&im.arena, ARENA_NO_LIMIT);
    bool ok = custom_labels(&im, err) && find_times(&im, &mint, &maxt, err) && fs_mkdir_all(fs, o->dir, err);
    for (int64_t t = im.block_ms * (mint / im.block_ms); ok && t <= maxt; t += im.block_ms) {
        if (next != INT64_MIN && next >= t + im.block_ms)
            continue; /* nothing in this range */
        next = INT64_MAX;
        ok = make_block(&im, t, &next, &header, out, err) && tsdb_verb_flush(out, false, err);
        if (!ok)
            err_wrap(err, "process blocks");
    }
    expfmt_parser_deinit(&im.parser);
    arena_deinit(&im.arena);
    mem_free(im.custom);
    return ok && tsdb_verb_flush(out, true, err);
}
