/* tsdb bench write: how fast the store takes samples. Label sets come from a file, one JSON object a line; scrapes are
 * simulated in batches of a target's size. */
#include "ctl/tsdb.h"

#include "base/mem.h"
#include "ctl/tsdb_int.h"
#include "json/reader.h"
#include "model/duration.h"
#include "model/labels.h"

#define SCRAPE_MS     15000
#define BATCH         1000
#define VALUE_STEP    1000

struct bench {
    struct arena arena;
    struct labels *v;
    series_ref *refs;
    size_t n;
    uint64_t samples;
};

static bool read_line(struct bench *b, struct str line, struct err *err)
{
    struct json_reader r;
    struct str key, value;
    struct label *v = arena_alloc_array(&b->arena, line.n / 4 + 1, sizeof *v);
    size_t n = 0;
    json_reader_init(&r, line, &b->arena);
    jr_object(&r);
    while (jr_member(&r, &key)) {
        if (jr_str(&r, &value))
            v[n++] = (struct label){ key, value };
    }
    if (!jr_finish(&r, err))
        return err_wrap(err, "read labels");
    b->v[b->n++] = labels_normalize(v, n);
    return true;
}

static bool read_metrics(struct bench *b, const struct tsdb_bench *o, struct err *err)
{
    struct str rest = o->input, line;
    b->v = mem_alloc_array(o->metrics, sizeof *b->v);
    b->refs = mem_alloc_array(o->metrics, sizeof *b->refs);
    while (b->n < o->metrics && rest.n && str_split(&rest, '\n', &line)) {
        if (line.n && !read_line(b, line, err))
            return false;
    }
    return b->n > 0 || err_set(err, ERR_INVALID, "no metrics in the input");
}

static bool scrape(struct bench *b, struct storage *st, int64_t t, double v, struct err *err)
{
    for (size_t from = 0; from < b->n; from += BATCH) {
        struct appender *a;
        if (!storage_appender(st, NULL, &a, err))
            return false;
        for (size_t i = from; i < b->n && i < from + BATCH; i++) {
            if (append_sample(a, &b->refs[i], &b->v[i], t, v + (double)i) != APPEND_OK) {
                *err = a->detail;
                append_rollback(a);
                return false;
            }
            b->samples++;
        }
        if (!append_commit(a, err))
            return false;
    }
    return true;
}

static void stage(struct buf *out, const char *name, double seconds)
{
    buf_printf(out, ">> completed stage=%s duration=", name);
    go_duration_write(out, (int64_t)(seconds * 1e9));
    buf_byte(out, '\n');
}

bool tsdb_verb_bench_write(struct fs *fs, const struct tsdb_bench *o, struct tsdb_verb_out *out, struct err *err)
{
    struct bench b = { 0 };
    struct tsdb *db = NULL;
    struct tsdb_options options = { .fs = fs, .dir = o->dir, .retention_ms = INT64_C(15) * 86400000, .seed = 1 };
    arena_init(&b.arena, ARENA_NO_LIMIT);
    bool ok = read_metrics(&b, o, err) && (!fs_exists(fs, o->dir) || fs_remove_tree(fs, o->dir, err)) &&
              tsdb_open(&options, o->now, &db, err);
    if (ok) {
        buf_c(out->buf, ">> start stage=ingestScrapes\n");
        double from = o->seconds();
        for (size_t i = 0; ok && i < o->scrapes; i++) {
            ok = scrape(&b, tsdb_storage(db), (int64_t)(i + 1) * SCRAPE_MS, (double)(i * VALUE_STEP), err);
            if (ok && tsdb_wants_maintenance(db))
                tsdb_maintain(db, o->now, NULL);
        }
        double took = o->seconds() - from;
        if (ok) {
            stage(out->buf, "ingestScrapes", took);
            buf_printf(out->buf, " > total samples: %llu\n > samples/sec: %.0f\n", (unsigned long long)b.samples,
                       (double)b.samples / (took > 0 ? took : 1));
            buf_c(out->buf, ">> start stage=stopStorage\n");
            from = o->seconds();
        }
        tsdb_close(db);
        if (ok)
            stage(out->buf, "stopStorage", o->seconds() - from);
    }
    mem_free(b.v);
    mem_free(b.refs);
    arena_deinit(&b.arena);
    return ok && tsdb_verb_flush(out, true, err);
}
