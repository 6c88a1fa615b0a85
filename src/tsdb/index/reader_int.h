/* The index of a block, read in place (docs/formats/tsdb.md; upstream tsdb/index/index.go). Kept in memory: every 8th
 * symbol's offset, and per label name every 32nd value's place in the postings offset table.
 *
 * The bytes are the caller's mapping and outlive the reader. Immutable once open: any thread. Checksums of the table of
 * contents, the symbols and the postings offset table are checked at opening, those of series and lists at each read. */
#ifndef TOCSIN_TSDB_INDEX_READER_INT_H
#define TOCSIN_TSDB_INDEX_READER_INT_H

#include "tsdb/index/postings_int.h"

struct index_sample {
    struct str value;
    uint32_t at; /* of the entry, from the table's start */
};
struct index_name {
    struct str name;
    struct index_sample *samples; /* every 32nd value, and the last */
    size_t samples_count;
    uint32_t end;                 /* past its last entry */
    size_t values_count;
};
struct index_reader {
    struct postings_source source; /* so that it can be matched */
    const uint8_t *p;
    size_t n;
    unsigned version;
    uint64_t symbols_at, series_at, series_end, table_at;
    uint32_t symbols_count;
    size_t symbols_end;
    uint64_t *symbol_offsets; /* every 8th */
    size_t table_end;
    struct index_name *names; /* sorted; the pair ("","") left out */
    size_t names_count;
    uint64_t all_at;
    uint64_t postings_bytes;
};
MUST_CHECK bool index_reader_open(struct index_reader *r, const uint8_t *p, size_t n, struct err *err);
void index_reader_close(struct index_reader *r);

/* The text of a symbol; false (ERR_CORRUPT) if there is none such. */
MUST_CHECK bool index_symbol(const struct index_reader *r, uint32_t symbol, struct str *out, struct err *err);

/* All of them, in order; `out` has room for symbols_count. */
MUST_CHECK bool index_symbols(const struct index_reader *r, struct str *out, struct err *err);

struct index_chunk {
    int64_t mint, maxt;
    uint64_t ref;
};
/* Neighbours share most of their labels: texts as they were found last, place by place. */
struct index_texts {
    const struct index_reader *of;
    struct index_text {
        uint32_t symbol;
        struct str text; /* NULL: none yet */
    } *v;
    size_t capacity;
};
struct index_series { /* reused from read to read */
    uint32_t *symbols; /* name, value, name, value, ... */
    size_t labels_count, labels_capacity;
    struct index_texts texts;
    struct index_chunk *chunks;
    size_t chunks_count, chunks_capacity;
};
void index_series_deinit(struct index_series *s);
MUST_CHECK bool index_series_read(const struct index_reader *r, uint32_t ref, struct index_series *out, struct err *err);
/* Labels as texts of the mapping, in the arena. ERR_LIMIT if it is full. */
MUST_CHECK bool index_series_labels(const struct index_reader *r, struct index_series *s, struct arena *a, struct labels *out,
                                    struct err *err);

/* Values of a name in order; visit returns false to stop early. A name that is not there has none. */
typedef bool index_value_visit(void *arg, struct str value, uint64_t list_at);
MUST_CHECK bool index_values(const struct index_reader *r, struct str name, struct str prefix, index_value_visit *visit,
                             void *arg, struct err *err);
MUST_CHECK bool index_list(const struct index_reader *r, uint64_t at, const uint8_t **list, size_t *n, struct err *err);

#endif
