/* tsdb dump and dump-openmetrics: every sample of the series that match, in label order, one a line. */
#include "ctl/tsdb.h"

#include "base/num.h"
#include "ctl/tsdb_int.h"
#include "json/writer.h"
#include "model/labels.h"
#include "promql/promql.h"
#include "storage/merge.h"
#include "tsdb/tsdb.h"

#define OUT_BYTES (64u << 10)

bool tsdb_verb_flush(struct tsdb_verb_out *out, bool all, struct err *err)
{
    if (!out->flush || (!all && out->buf->n < OUT_BYTES))
        return true;
    return out->flush(out->arg, out->buf, err);
}

bool tsdb_verb_open(struct fs *fs, struct str dir, struct tsdb **db, struct err *err)
{
    struct tsdb_options o = { .fs = fs, .dir = dir, .read_only = true, .no_lock = true, .seed = 1 };
    return tsdb_open(&o, 0, db, err);
}

static void write_json(struct buf *out, struct labels ls, const struct columns *c)
{
    struct json_writer w;
    json_writer_init(&w, out);
    jw_object(&w);
    jw_key(&w, STR("metric"));
    labels_write_json(&w, ls);
    jw_key(&w, STR("values"));
    jw_array(&w);
    for (size_t i = 0; i < c->n; i++)
        jw_f64(&w, c->v[i]);
    jw_array_end(&w);
    jw_key(&w, STR("timestamps"));
    jw_array(&w);
    for (size_t i = 0; i < c->n; i++)
        jw_i64(&w, c->t[i]);
    jw_array_end(&w);
    jw_object_end(&w);
    buf_byte(out, '\n');
}

static bool write_prom(struct tsdb_verb_out *out, struct labels ls, const struct columns *c, struct err *err)
{
    struct buf text = { 0 };
    bool ok = true;
    labels_write_prometheus(&text, ls);
    for (size_t i = 0, k = 0; ok && (i < c->n || k < c->hn);) {
        bool is_float = k == c->hn || (i < c->n && c->t[i] <= c->ht[k]);
        buf_str(out->buf, buf_view(&text));
        buf_byte(out->buf, ' ');
        if (is_float)
            num_write_f64(out->buf, c->v[i], 'g', -1);
        else
            float_histogram_write(out->buf, c->h[k]);
        buf_printf(out->buf, " %lld\n", (long long)(is_float ? c->t[i] : c->ht[k]));
        i += is_float;
        k += !is_float;
        ok = tsdb_verb_flush(out, false, err);
    }
    buf_deinit(&text);
    return ok;
}

/* name{labels without the name} value seconds */
static bool write_openmetrics(struct tsdb_verb_out *out, struct labels ls, const struct columns *c, struct err *err)
{
    struct buf text = { 0 };
    struct str name = labels_get(ls, STR("__name__"));
    bool ok = true, first = true;
    buf_str(&text, name);
    for (size_t i = 0; i < ls.n; i++) {
        if (str_eq(ls.v[i].name, STR("__name__")))
            continue;
        buf_byte(&text, first ? '{' : ',');
        first = false;
        buf_printf(&text, "%.*s=", STR_ARG(ls.v[i].name));
        tsdb_verb_quote(&text, ls.v[i].value);
    }
    if (!first)
        buf_byte(&text, '}');
    for (size_t i = 0; ok && i < c->n; i++) {
        buf_str(out->buf, buf_view(&text));
        buf_byte(out->buf, ' ');
        num_write_f64(out->buf, c->v[i], 'g', -1);
        buf_byte(out->buf, ' ');
        num_write_f64(out->buf, (double)c->t[i] / 1000, 'f', -1);
        buf_byte(out->buf, '\n');
        ok = tsdb_verb_flush(out, false, err);
    }
    buf_deinit(&text);
    return ok;
}

void tsdb_verb_quote(struct buf *out, struct str s)
{
    buf_byte(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n') {
            buf_c(out, "\\n");
            continue;
        }
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_byte(out, '\\');
        buf_byte(out, s.p[i]);
    }
    buf_byte(out, '"');
}

static bool write_set(const struct tsdb_dump *o, struct series_set *set, struct tsdb_verb_out *out, struct err *err)
{
    struct columns c = { 0 };
    struct series *s = NULL;
    bool ok;
    while ((ok = series_set_next(set, &s, err)) && s) {
        columns_reset(&c);
        ok = series_read(s, o->mint, o->maxt, &c, err);
        if (ok && o->format == TSDB_DUMP_JSON && c.n)
            write_json(out->buf, s->labels, &c);
        else if (ok && o->format == TSDB_DUMP_PROM)
            ok = write_prom(out, s->labels, &c, err);
        else if (ok && o->format == TSDB_DUMP_OPENMETRICS)
            ok = write_openmetrics(out, s->labels, &c, err);
        if (!ok || !tsdb_verb_flush(out, false, err)) {
            ok = false;
            break;
        }
    }
    columns_deinit(&c);
    return ok;
}

/* What the selectors name, each series once. `ms` has room for them, or for one when there are none; it is released by
 * the caller after the set was read. */
static bool select_all(const struct tsdb_dump *o, struct querier *q, struct arena *a, struct matchers *ms,
                       struct series_set **set, struct err *err)
{
    size_t n = o->matches_count ? o->matches_count : 1;
    struct series_set **sets = arena_alloc_array(a, n, sizeof(struct series_set *));
    for (size_t i = 0; i < n; i++) {
        if ((o->matches_count && !promql_parse_selector(a, o->matches[i], &ms[i], err)) ||
            !querier_select(q, &ms[i], NULL, &sets[i], err))
            return false;
    }
    *set = merge_series_sets(a, sets, n);
    return true;
}

bool tsdb_verb_dump(struct fs *fs, const struct tsdb_dump *o, struct tsdb_verb_out *out, struct err *err)
{
    struct tsdb *db;
    struct arena a;
    struct querier *q;
    struct series_set *set;
    if (!tsdb_verb_open(fs, o->dir, &db, err))
        return false;
    arena_init(&a, ARENA_NO_LIMIT);
    bool ok = storage_querier(tsdb_storage(db), &a, o->mint, o->maxt, &q, err);
    if (ok) {
        struct matchers *ms = arena_alloc_array(&a, o->matches_count + 1, sizeof *ms);
        memset(ms, 0, (o->matches_count + 1) * sizeof *ms);
        ok = select_all(o, q, &a, ms, &set, err) && write_set(o, set, out, err);
        querier_close(q);
        for (size_t i = 0; i < o->matches_count; i++)
            matchers_deinit(&ms[i]);
    }
    if (ok && o->format == TSDB_DUMP_OPENMETRICS)
        buf_c(out->buf, "# EOF\n");
    arena_deinit(&a);
    tsdb_close(db);
    return ok && tsdb_verb_flush(out, true, err);
}
