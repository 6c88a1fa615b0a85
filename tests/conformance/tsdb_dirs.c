/* Directories that real servers wrote: opened, and everything in them read. The dump must be promtool's line for line (in
 * any order), the raw samples those that the server answered; damaged ones start or refuse as recorded and keep exactly
 * the samples that the server kept. */
#include "lib/shared.h"

#include "base/mem.h"
#include "base/num.h"
#include "io/fs_posix.h"
#include "model/duration.h"
#include "tsdb/tsdb.h"
#include "wire/gzip.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GZ_MAX (256u << 20)

/* ---- fixtures on disk ---- */

static char scratch[256];

static bool run(const char *fmt, ...) PRINTF_LIKE(1, 2);
static bool run(const char *fmt, ...)
{
    struct buf cmd = { 0 };
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&cmd, fmt, ap);
    va_end(ap);
    int rc = system(cmd.p);
    buf_deinit(&cmd);
    return rc == 0;
}

static bool unpack(const char *archive)
{
    return run("rm -rf '%s' && mkdir -p '%s' && tar -C '%s' -xzf '%s'", scratch, scratch, scratch, shared_path(archive));
}

static bool read_gz(const char *file, struct buf *out)
{
    struct buf packed = { 0 };
    struct err err;
    bool ok = shared_read(file, &packed) && gzip_decode(buf_view(&packed), GZ_MAX, out, &err);
    buf_deinit(&packed);
    return ok;
}

static struct tsdb *open_dir(int64_t ooo_ms, bool snapshot, struct err *err)
{
    struct buf dir = { 0 };
    struct tsdb *db = NULL;
    buf_printf(&dir, "%s/data", scratch);
    struct tsdb_options o = { .fs = fs_posix(), .dir = buf_view(&dir), .out_of_order_ms = ooo_ms, .exemplars_max = 100000,
                              .snapshot_on_shutdown = snapshot, .seed = 1 };
    bool ok = tsdb_open(&o, 1, &db, err);
    buf_deinit(&dir);
    return ok ? db : NULL;
}

/* ---- dump ---- */

static int by_line(const void *x, const void *y)
{
    const struct str *a = x, *b = y;
    return str_cmp(*a, *b);
}

static struct strs lines_of(struct str text)
{
    struct strs s = { 0 };
    struct str line;
    size_t capacity = 0;
    while (text.n && str_split(&text, '\n', &line)) {
        if (line.n == 0)
            continue;
        if (s.n == capacity) {
            capacity = mem_grow(capacity, s.n + 1);
            s.v = mem_realloc_array(s.v, capacity, sizeof *s.v);
        }
        s.v[s.n++] = line;
    }
    if (s.n)
        qsort(s.v, s.n, sizeof *s.v, by_line);
    return s;
}

static void compare_lines(const char *what, struct str got, struct str want)
{
    struct strs a = lines_of(got), b = lines_of(want);
    size_t i = 0;
    while (i < a.n && i < b.n && str_eq(a.v[i], b.v[i]))
        i++;
    if (a.n == b.n && i == a.n)
        shared_pass();
    else
        shared_fail(what, "%zu lines, want %zu; first difference: got %.*s, want %.*s", a.n, b.n,
                    STR_ARG(i < a.n ? a.v[i] : STR_EMPTY), STR_ARG(i < b.n ? b.v[i] : STR_EMPTY));
    mem_free(a.v);
    mem_free(b.v);
}

static void dump(struct tsdb *db, struct buf *out)
{
    struct arena a;
    struct err err = { 0 };
    struct querier *q;
    struct series_set *set;
    struct series *s = NULL;
    struct matchers none = { 0 };
    struct columns c = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    if (!storage_querier(tsdb_storage(db), &a, INT64_MIN, INT64_MAX, &q, &err))
        return;
    bool ok = querier_select(q, &none, NULL, &set, &err);
    while (ok && (ok = series_set_next(set, &s, &err)) && s) {
        columns_reset(&c);
        ok = series_read(s, INT64_MIN, INT64_MAX, &c, &err);
        for (size_t i = 0; ok && i < c.n; i++) {
            labels_write_prometheus(out, s->labels);
            buf_byte(out, ' ');
            num_write_f64(out, c.v[i], 'g', -1);
            buf_printf(out, " %lld\n", (long long)c.t[i]);
        }
    }
    if (!ok)
        buf_printf(out, "error: %s\n", err.text);
    columns_deinit(&c);
    querier_close(q);
    arena_deinit(&a);
}

/* ---- what the server answered ---- */

static void metric_labels(struct arena *a, const json_t *metric, struct labels *out)
{
    struct label *v = arena_alloc_array(a, json_object_size(metric) + 1, sizeof *v);
    size_t n = 0;
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)metric, name, value)
        v[n++] = (struct label){ str_c(name), str_c(json_string_value(value)) };
    *out = labels_normalize(v, n);
}

static bool same_value(const char *text, double v)
{
    double want = 0;
    if (!num_parse_f64(str_c(text), &want, NULL))
        return false;
    return f64_bits(want) == f64_bits(v) || (want != want && v != v);
}

static struct series *find_series(struct querier *q, struct arena *a, struct labels ls, struct err *err)
{
    struct matcher *v = arena_alloc_array(a, ls.n + 1, sizeof *v);
    struct matchers ms = { v, ls.n };
    struct series_set *set;
    struct series *s = NULL;
    for (size_t i = 0; i < ls.n; i++) {
        if (!matcher_init(&v[i], MATCH_EQ, ls.v[i].name, ls.v[i].value, err))
            return NULL;
    }
    if (!querier_select(q, &ms, NULL, &set, err))
        return NULL;
    while (series_set_next(set, &s, err) && s && !labels_eq(s->labels, ls))
        ;
    return s;
}

static void compare_series(const char *what, struct querier *q, struct arena *a, const json_t *r)
{
    struct labels ls;
    struct columns c = { 0 };
    struct err err = { 0 };
    const json_t *values = json_object_get(r, "values"), *histograms = json_object_get(r, "histograms");
    metric_labels(a, json_object_get(r, "metric"), &ls);
    struct series *s = find_series(q, a, ls, &err);
    struct buf name = { 0 };
    buf_printf(&name, "%s ", what);
    labels_write_prometheus(&name, ls);
    size_t n = 0, hn = 0;
    bool ok = s && series_read(s, q->mint, q->maxt, &c, &err);
    for (size_t i = 0; ok && i < c.n; i++) {
        if (is_stale_nan(c.v[i]))
            continue;
        const json_t *pair = json_array_get(values, n++);
        int64_t t = (int64_t)(json_number_value(json_array_get(pair, 0)) * 1000 + 0.5);
        ok = pair && t == c.t[i] && same_value(json_string_value(json_array_get(pair, 1)), c.v[i]);
    }
    for (size_t i = 0; ok && i < c.hn; i++) {
        if (is_stale_nan(c.h[i]->sum))
            continue;
        const json_t *pair = json_array_get(histograms, hn++), *h = json_array_get(pair, 1);
        int64_t t = (int64_t)(json_number_value(json_array_get(pair, 0)) * 1000 + 0.5);
        ok = h && t == c.ht[i] && same_value(json_string_value(json_object_get(h, "count")), c.h[i]->count) &&
             same_value(json_string_value(json_object_get(h, "sum")), c.h[i]->sum);
    }
    if (ok && n == json_array_size(values) && hn == json_array_size(histograms))
        shared_pass();
    else
        shared_fail(name.p, "%s; %zu floats, want %zu; %zu histograms, want %zu %s", s ? "differs" : "not found", c.n,
                    json_array_size(values), c.hn, json_array_size(histograms), err.text);
    columns_deinit(&c);
    buf_deinit(&name);
}

static void compare_exemplars(const char *what, struct querier *q, const json_t *want)
{
    struct matchers all = { 0 };
    struct exemplar_series *v;
    size_t n, total = 0, expected = 0;
    struct err err = { 0 };
    if (!want)
        return;
    for (size_t i = 0; i < json_array_size(want); i++)
        expected += json_array_size(json_object_get(json_array_get(want, i), "exemplars"));
    if (!querier_exemplars(q, &all, 1, &v, &n, &err)) {
        shared_fail(what, "exemplars: %s", err.text);
        return;
    }
    for (size_t i = 0; i < n; i++)
        total += v[i].n;
    if (total == expected && n == json_array_size(want))
        shared_pass();
    else
        shared_fail(what, "%zu exemplars of %zu series, want %zu of %zu", total, n, expected, json_array_size(want));
}

static void compare_answers(const char *what, struct tsdb *db, const char *expect_file)
{
    struct buf text = { 0 };
    struct arena a;
    struct querier *q;
    struct err err = { 0 };
    json_error_t e;
    int64_t range = 0;
    if (!read_gz(expect_file, &text)) {
        shared_fail(what, "cannot read %s", expect_file);
        return;
    }
    json_t *doc = json_loadb(text.p, text.n, JSON_ALLOW_NUL, &e);
    int64_t at = (int64_t)(json_number_value(json_object_get(doc, "at")) * 1000 + 0.5);
    if (!duration_parse(shared_get_str(doc, "range"), &range, &err))
        shared_fail(what, "%s", err.text);
    arena_init(&a, ARENA_NO_LIMIT);
    if (storage_querier(tsdb_storage(db), &a, at - range + 1, at, &q, &err)) {
        const json_t *raw = json_object_get(doc, "raw");
        for (size_t i = 0; i < json_array_size(raw); i++)
            compare_series(what, q, &a, json_array_get(raw, i));
        compare_exemplars(what, q, json_object_get(doc, "exemplars"));
        querier_close(q);
    }
    arena_deinit(&a);
    json_decref(doc);
    buf_deinit(&text);
}

struct fixture {
    const char *archive, *expect, *dump;
    int64_t ooo_ms;
    bool snapshot;
};

static void run_fixture(const struct fixture *f)
{
    struct err err = { 0 };
    struct buf archive = { 0 }, got = { 0 }, want = { 0 };
    buf_printf(&archive, "conformance/tsdb/%s", f->archive);
    if (!unpack(archive.p)) {
        shared_fail(f->archive, "cannot unpack");
        return;
    }
    for (int round = 0; round < 2; round++) { /* the second time over what the first left behind */
        struct tsdb *db = open_dir(f->ooo_ms, f->snapshot, &err);
        if (!db) {
            shared_fail(f->archive, "does not open: %s", err.text);
            break;
        }
        if (f->dump) {
            buf_reset(&got);
            buf_reset(&want);
            dump(db, &got);
            if (read_gz(f->dump, &want))
                compare_lines(f->archive, buf_view(&got), buf_view(&want));
        }
        if (f->expect)
            compare_answers(f->archive, db, f->expect);
        tsdb_close(db);
    }
    buf_deinit(&archive);
    buf_deinit(&got);
    buf_deinit(&want);
}

/* ---- damaged logs ---- */

static void count_series(struct tsdb *db, size_t *series, size_t *samples)
{
    struct arena a;
    struct err err = { 0 };
    struct querier *q;
    struct series_set *set;
    struct series *s = NULL;
    struct matchers none = { 0 };
    struct columns c = { 0 };
    *series = *samples = 0;
    arena_init(&a, ARENA_NO_LIMIT);
    if (storage_querier(tsdb_storage(db), &a, INT64_MIN, INT64_MAX, &q, &err)) {
        bool ok = querier_select(q, &none, NULL, &set, &err);
        while (ok && series_set_next(set, &s, &err) && s) {
            columns_reset(&c);
            ok = series_read(s, INT64_MIN, INT64_MAX, &c, &err);
            size_t n = 0;
            for (size_t i = 0; i < c.n; i++)
                n += !is_stale_nan(c.v[i]);
            *series += n > 0;
            *samples += n;
        }
        querier_close(q);
    }
    columns_deinit(&c);
    arena_deinit(&a);
}

static void damaged_case(const char *name, const json_t *c)
{
    struct err err = { 0 };
    struct buf what = { 0 };
    buf_printf(&what, "damaged %s", name);
    bool starts = json_is_true(json_object_get(c, "starts"));
    if (!unpack("conformance/tsdb/wal-corrupt/base.tar.gz")) {
        shared_fail(what.p, "cannot unpack");
    } else {
        struct buf summary = { 0 };
        buf_c(&summary, shared_path("conformance/tsdb/wal-corrupt/cases-summary.json"));
        if (!run("python3 '%s' '%s' '%s' '%s/data'", shared_path("conformance/tsdb/tools/mutate.py"), summary.p, name, scratch)) {
            shared_skip(what.p, "no python");
        } else {
            struct tsdb *db = open_dir(0, false, &err);
            size_t series = 0, samples = 0;
            if (db)
                count_series(db, &series, &samples);
            if ((db != NULL) != starts)
                shared_fail(what.p, "%s: %s", db ? "starts, but should refuse" : "refuses", err.text);
            else if (db && (series != (size_t)shared_get_int(c, "series", -1) || samples != (size_t)shared_get_int(c, "samples", -1)))
                shared_fail(what.p, "%zu series, %zu samples; want %lld, %lld", series, samples,
                            (long long)shared_get_int(c, "series", -1), (long long)shared_get_int(c, "samples", -1));
            else
                shared_pass();
            tsdb_close(db);
        }
        buf_deinit(&summary);
    }
    buf_deinit(&what);
}

int main(void)
{
    static const struct fixture fixtures[] = {
        { "openmetrics/data.tar.gz", "conformance/tsdb/openmetrics/expect.json.gz", "conformance/tsdb/openmetrics/dump.txt.gz", 0, false },
        { "tombstones/data.tar.gz", "conformance/tsdb/tombstones/expect.json.gz", "conformance/tsdb/tombstones/dump.txt.gz", 0, false },
        { "tombstones/data-cleaned.tar.gz", "conformance/tsdb/tombstones/expect.json.gz", "conformance/tsdb/tombstones/dump.txt.gz", 0, false },
        { "scraped/data.tar.gz", "conformance/tsdb/scraped/expect.json.gz", "conformance/tsdb/scraped/dump.txt.gz", 20 * 60000, false },
        { "wal-corrupt/base.tar.gz", "conformance/tsdb/wal-corrupt/base-expect.json.gz", NULL, 0, false },
        { "chunk-snapshot/data-clean.tar.gz", "conformance/tsdb/chunk-snapshot/expect-clean.json.gz", NULL, 0, true },
        { "chunk-snapshot/data-killed.tar.gz", "conformance/tsdb/chunk-snapshot/expect-killed.json.gz", NULL, 0, true },
    };
    if (!shared_begin("tsdb_dirs"))
        return shared_finish();
    snprintf(scratch, sizeof scratch, "/tmp/tocsin-tsdb-dirs.%ld", (long)getpid());
    for (size_t i = 0; i < ARRAY_LEN(fixtures); i++)
        run_fixture(&fixtures[i]);
    json_t *cases = shared_json("conformance/tsdb/wal-corrupt/cases-summary.json");
    const char *name;
    json_t *c;
    json_object_foreach (cases, name, c)
        damaged_case(name, c);
    json_decref(cases);
    if (!run("rm -rf '%s'", scratch))
        shared_skip("clean up", "failed");
    return shared_finish();
}
