/* meta.json: tab-indented, members in upstream's order, numbers left out where they are 0, no newline at the end. */
#include "tsdb/block/meta_int.h"

#include "base/mem.h"
#include "json/reader.h"
#include "json/writer.h"
#include "tsdb/file_int.h"

#include <stdlib.h>

void block_meta_deinit(struct block_meta *m)
{
    mem_free(m->sources);
    mem_free(m->parents);
    buf_deinit(&m->extra);
    *m = (struct block_meta){ 0 };
}

void block_meta_copy(const struct block_meta *m, struct block_meta *out)
{
    *out = *m;
    out->sources = mem_dup(m->sources, m->sources_count * sizeof *m->sources);
    out->parents = mem_dup(m->parents, m->parents_count * sizeof *m->parents);
    out->extra = (struct buf){ 0 };
    buf_str(&out->extra, buf_view(&m->extra));
}

void block_meta_add_source(struct block_meta *m, const struct ulid *u)
{
    size_t at = m->sources_count;
    while (at > 0 && memcmp(m->sources[at - 1].text, u->text, ULID_TEXT) > 0)
        at--;
    if (at > 0 && ulid_eq(&m->sources[at - 1], u))
        return;
    m->sources = mem_realloc_array(m->sources, m->sources_count + 1, sizeof *m->sources);
    memmove(m->sources + at + 1, m->sources + at, (m->sources_count - at) * sizeof *m->sources);
    m->sources[at] = *u;
    m->sources_count++;
}

void block_meta_add_parent(struct block_meta *m, const struct block_meta *parent)
{
    m->parents = mem_realloc_array(m->parents, m->parents_count + 1, sizeof *m->parents);
    m->parents[m->parents_count++] =
        (struct block_parent){ .ulid = parent->ulid, .mint = parent->mint, .maxt = parent->maxt };
}

/* ---- writing ---- */

static void put_stat(struct buf *b, const char *name, uint64_t v, bool *any)
{
    if (v == 0)
        return;
    buf_printf(b, "%s\n\t\t\"%s\": %llu", *any ? "," : "", name, (unsigned long long)v);
    *any = true;
}

static void put_stats(struct buf *b, const struct block_stats *s)
{
    bool any = false;
    buf_c(b, "\t\"stats\": {");
    put_stat(b, "numSamples", s->samples, &any);
    put_stat(b, "numFloatSamples", s->float_samples, &any);
    put_stat(b, "numHistogramSamples", s->histogram_samples, &any);
    put_stat(b, "numSeries", s->series, &any);
    put_stat(b, "numChunks", s->chunks, &any);
    put_stat(b, "numTombstones", s->tombstones, &any);
    buf_c(b, any ? "\n\t},\n" : "},\n");
}

static void put_hints(struct buf *b, const struct block_meta *m)
{
    const char *names[3];
    size_t n = 0;
    if (m->from_out_of_order)
        names[n++] = "from-out-of-order";
    if (m->from_selected_series)
        names[n++] = "from-selected-series";
    if (m->from_stale_series)
        names[n++] = "from-stale-series";
    if (n == 0)
        return;
    buf_c(b, ",\n\t\t\"hints\": [");
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%s\n\t\t\t\"%s\"", i ? "," : "", names[i]);
    buf_c(b, "\n\t\t]");
}

static void put_parents(struct buf *b, const struct block_meta *m)
{
    if (m->parents_count == 0)
        return;
    buf_c(b, ",\n\t\t\"parents\": [");
    for (size_t i = 0; i < m->parents_count; i++) {
        const struct block_parent *p = &m->parents[i];
        buf_printf(b, "%s\n\t\t\t{\n\t\t\t\t\"ulid\": \"%s\",\n\t\t\t\t\"minTime\": %lld,\n\t\t\t\t\"maxTime\": %lld\n\t\t\t}",
                   i ? "," : "", p->ulid.text, (long long)p->mint, (long long)p->maxt);
    }
    buf_c(b, "\n\t\t]");
}

void block_meta_encode(const struct block_meta *m, struct buf *b)
{
    buf_printf(b, "{\n\t\"ulid\": \"%s\",\n\t\"minTime\": %lld,\n\t\"maxTime\": %lld,\n", m->ulid.text, (long long)m->mint,
               (long long)m->maxt);
    put_stats(b, &m->stats);
    buf_printf(b, "\t\"compaction\": {\n\t\t\"level\": %d", m->level);
    if (m->sources_count) {
        buf_c(b, ",\n\t\t\"sources\": [");
        for (size_t i = 0; i < m->sources_count; i++)
            buf_printf(b, "%s\n\t\t\t\"%s\"", i ? "," : "", m->sources[i].text);
        buf_c(b, "\n\t\t]");
    }
    if (m->deletable)
        buf_c(b, ",\n\t\t\"deletable\": true");
    put_parents(b, m);
    if (m->failed)
        buf_c(b, ",\n\t\t\"failed\": true");
    put_hints(b, m);
    buf_c(b, "\n\t},\n\t\"version\": 1");
    buf_str(b, buf_view(&m->extra));
    buf_c(b, "\n}");
}

/* ---- reading ---- */

static bool read_u64(struct json_reader *r, uint64_t *v)
{
    int64_t i = 0;
    if (!jr_i64(r, &i))
        return false;
    *v = i < 0 ? 0 : (uint64_t)i;
    return true;
}

static void read_stats(struct json_reader *r, struct block_stats *s)
{
    struct str key;
    jr_object(r);
    while (jr_member(r, &key)) {
        if (str_eq(key, STR("numSamples")))
            read_u64(r, &s->samples);
        else if (str_eq(key, STR("numFloatSamples")))
            read_u64(r, &s->float_samples);
        else if (str_eq(key, STR("numHistogramSamples")))
            read_u64(r, &s->histogram_samples);
        else if (str_eq(key, STR("numSeries")))
            read_u64(r, &s->series);
        else if (str_eq(key, STR("numChunks")))
            read_u64(r, &s->chunks);
        else if (str_eq(key, STR("numTombstones")))
            read_u64(r, &s->tombstones);
        else
            jr_skip(r);
    }
}

static void read_ulid(struct json_reader *r, struct ulid *u)
{
    struct str s;
    if (jr_str(r, &s) && !block_ulid_parse(s, u))
        jr_fail(r, "invalid ULID \"%.*s\"", STR_ARG(s));
}

static void read_sources(struct json_reader *r, struct block_meta *m)
{
    if (jr_peek(r) == JR_NULL) {
        jr_null(r);
        return;
    }
    jr_array(r);
    while (jr_element(r) && m->sources_count < META_SOURCES_MAX) {
        struct ulid u;
        read_ulid(r, &u);
        if (!r->failed)
            block_meta_add_source(m, &u);
    }
}

static void read_parents(struct json_reader *r, struct block_meta *m)
{
    struct str key;
    if (jr_peek(r) == JR_NULL) {
        jr_null(r);
        return;
    }
    jr_array(r);
    while (jr_element(r) && m->parents_count < META_SOURCES_MAX) {
        struct block_meta p = { .ulid = { "00000000000000000000000000" } }; /* what upstream takes an absent one for */
        jr_object(r);
        while (jr_member(r, &key)) {
            if (str_eq(key, STR("ulid")))
                read_ulid(r, &p.ulid);
            else if (str_eq(key, STR("minTime")))
                jr_i64(r, &p.mint);
            else if (str_eq(key, STR("maxTime")))
                jr_i64(r, &p.maxt);
            else
                jr_skip(r);
        }
        if (!r->failed)
            block_meta_add_parent(m, &p);
    }
}

static void read_hints(struct json_reader *r, struct block_meta *m)
{
    struct str s;
    if (jr_peek(r) == JR_NULL) {
        jr_null(r);
        return;
    }
    jr_array(r);
    while (jr_element(r)) {
        if (!jr_str(r, &s))
            return;
        m->from_out_of_order |= str_eq(s, STR("from-out-of-order"));
        m->from_stale_series |= str_eq(s, STR("from-stale-series"));
        m->from_selected_series |= str_eq(s, STR("from-selected-series"));
    }
}

static void read_compaction(struct json_reader *r, struct block_meta *m)
{
    struct str key;
    int64_t level = 0;
    jr_object(r);
    while (jr_member(r, &key)) {
        if (str_eq(key, STR("level"))) {
            jr_i64(r, &level);
            m->level = level < 0 || level > 1000 ? 1 : (int)level;
        } else if (str_eq(key, STR("sources"))) {
            read_sources(r, m);
        } else if (str_eq(key, STR("deletable"))) {
            jr_bool(r, &m->deletable);
        } else if (str_eq(key, STR("parents"))) {
            read_parents(r, m);
        } else if (str_eq(key, STR("failed"))) {
            jr_bool(r, &m->failed);
        } else if (str_eq(key, STR("hints"))) {
            read_hints(r, m);
        } else {
            jr_skip(r);
        }
    }
}

static void keep_unknown(struct json_reader *r, struct block_meta *m, struct str key)
{
    struct str raw;
    if (!jr_raw(r, &raw))
        return;
    buf_c(&m->extra, ",\n\t\"");
    json_escape(&m->extra, key, false);
    buf_c(&m->extra, "\": ");
    buf_str(&m->extra, raw);
}

bool block_meta_decode(struct str json, struct block_meta *m, struct err *err)
{
    struct json_reader r;
    struct arena a;
    struct str key;
    int64_t version = 0;
    *m = (struct block_meta){ 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    json_reader_init(&r, json, &a);
    jr_object(&r);
    while (jr_member(&r, &key)) {
        if (str_eq(key, STR("ulid")))
            read_ulid(&r, &m->ulid);
        else if (str_eq(key, STR("minTime")))
            jr_i64(&r, &m->mint);
        else if (str_eq(key, STR("maxTime")))
            jr_i64(&r, &m->maxt);
        else if (str_eq(key, STR("stats")))
            read_stats(&r, &m->stats);
        else if (str_eq(key, STR("compaction")))
            read_compaction(&r, m);
        else if (str_eq(key, STR("version")))
            jr_i64(&r, &version);
        else
            keep_unknown(&r, m, key);
    }
    bool ok = jr_finish(&r, err);
    if (ok && version != 1)
        ok = err_set(err, ERR_INVALID, "unexpected meta file version %lld", (long long)version);
    if (ok && m->ulid.text[0] == '\0')
        ok = err_set(err, ERR_INVALID, "no ulid");
    arena_deinit(&a);
    if (!ok)
        block_meta_deinit(m);
    return ok;
}

bool block_meta_read(struct fs *fs, struct str dir, struct block_meta *m, struct err *err)
{
    struct path path = { 0 };
    struct buf json = { 0 };
    struct str p = path_set(&path, "%.*s/" NAME_META, STR_ARG(dir));
    bool ok = fs_read_file(fs, p, META_BYTES_MAX, &json, err) && block_meta_decode(buf_view(&json), m, err);
    if (!ok)
        err_wrap(err, "read %.*s", STR_ARG(p));
    buf_deinit(&json);
    path_deinit(&path);
    return ok;
}

bool block_meta_write(struct fs *fs, struct str dir, const struct block_meta *m, struct err *err)
{
    struct path path = { 0 };
    struct buf json = { 0 };
    block_meta_encode(m, &json);
    bool ok = fs_replace_file(fs, path_set(&path, "%.*s/" NAME_META, STR_ARG(dir)), buf_view(&json), err);
    buf_deinit(&json);
    path_deinit(&path);
    return ok;
}
