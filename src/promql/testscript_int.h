/* What the script runner's files share: its store, and sequences of samples as lines describe them. */
#ifndef TOCSIN_PROMQL_TESTSCRIPT_INT_H
#define TOCSIN_PROMQL_TESTSCRIPT_INT_H

#include "promql/promql.h"
#include "storage/storage.h"

/* ---- store (testscript_store.c): in memory, gives histograms their reset hints on append, keeps start times ---- */

struct script_store;
struct script_store *script_store_new(void);
void script_store_free(struct script_store *st);
struct storage *script_store_storage(struct script_store *st);
struct script_series;
struct script_series *script_store_series(struct script_store *st, struct labels ls);
MUST_CHECK bool script_series_add(struct script_store *st, struct script_series *s, int64_t t, double v,
                                  const struct float_histogram *h, int64_t start, struct err *err);

/* ---- lines (testscript_line.c) ---- */

struct script_item {
    bool omitted; /* a gap */
    double v;
    struct float_histogram *h;
    bool hint_stated;
};
struct script_line {
    struct labels labels;
    bool is_start_times; /* metric@st: `starts` are offsets in ms, has_start per position */
    struct script_item *v;
    int64_t *starts;
    bool *has_start;
    size_t n;
};
#define SCRIPT_ITEMS_MAX 1000000
/* A series line; everything in the arena. */
MUST_CHECK bool script_line_parse(struct arena *a, struct str text, struct script_line *out, struct err *err);

#endif
