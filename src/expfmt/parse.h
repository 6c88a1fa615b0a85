/* Exposition formats, read entry by entry over a text that is complete: Prometheus text 0.0.4 / 1.0.0, OpenMetrics 1.0,
 * and delimited protobuf. Nothing is allocated for what the caller does not ask for: an entry gives slices of the text.
 *
 *     expfmt_parser_init(&p, format, body)
 *     while (expfmt_next(&p, &entry, &err))
 *         switch (entry) {
 *         case EXPFMT_SERIES:    p.series, p.value, p.has_t, p.t; expfmt_labels(), expfmt_exemplar()
 *         case EXPFMT_HISTOGRAM: p.h or p.fh; the same
 *         case EXPFMT_TYPE:      p.family, p.type
 *         case EXPFMT_HELP:      p.family, p.text     case EXPFMT_UNIT: p.family, p.text
 *         case EXPFMT_COMMENT:
 *         case EXPFMT_END:       leave }
 *
 * `series` is the same bytes for the same line from scrape to scrape: a cache is keyed by it, and labels are only decoded
 * for lines that are new. expfmt_next_expect() takes a line whose series bytes are known with one comparison.
 *
 * Errors are ERR_INVALID with upstream's words; the first one ends the text. Bounds: the text's length; labels of a line
 * EXPFMT_LABELS_MAX. Thread: one owner. Upstream: prometheus model/textparse; spec/prometheus.md 6. */
#ifndef TOCSIN_EXPFMT_PARSE_H
#define TOCSIN_EXPFMT_PARSE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/histogram.h"
#include "model/labels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum expfmt_syntax { EXPFMT_SYNTAX_TEXT, EXPFMT_SYNTAX_OPENMETRICS, EXPFMT_SYNTAX_PROTOBUF };
enum expfmt_entry {
    EXPFMT_END,
    EXPFMT_SERIES,
    EXPFMT_HISTOGRAM,
    EXPFMT_TYPE,
    EXPFMT_HELP,
    EXPFMT_UNIT,
    EXPFMT_COMMENT,
};
enum expfmt_type { /* numbers as the TSDB's metadata records have them */
    EXPFMT_UNKNOWN,
    EXPFMT_COUNTER,
    EXPFMT_GAUGE,
    EXPFMT_TYPE_HISTOGRAM,
    EXPFMT_GAUGE_HISTOGRAM,
    EXPFMT_SUMMARY,
    EXPFMT_INFO,
    EXPFMT_STATESET,
};
struct str expfmt_type_text(enum expfmt_type t);

#define EXPFMT_LABELS_MAX 4096

/* A piece of the text: where a name or value is, and whether it has escapes. */
struct expfmt_span {
    uint32_t at, n; /* from the start of the series, or of the exemplar's labels */
    bool escaped;
};

struct expfmt_proto; /* state of the protobuf reader */

struct expfmt_parser {
    enum expfmt_syntax syntax;
    struct str text;
    size_t at;
    bool keep_bounds; /* set after init: le and quantile stay as they are written (backfill) */
    /* the current entry */
    struct str series; /* as exposed: name and labels */
    double value;
    bool has_t;
    int64_t t; /* ms */
    struct str family; /* of metadata; unescaped */
    struct str meta;   /* help or unit, unescaped; valid until the next entry */
    enum expfmt_type type; /* of the last TYPE */
    bool has_exemplar;
    struct str exemplar_labels; /* raw, in braces */
    double exemplar_value;
    bool exemplar_has_t;
    int64_t exemplar_t;
    const struct int_histogram *h; /* EXPFMT_HISTOGRAM: one of the two, until the next entry */
    const struct float_histogram *fh;
    /* inside */
    struct expfmt_span name; /* of the current series; n == 0 and has_name false: in the labels */
    bool has_name;
    struct expfmt_span *spans; /* name, value, name, value ... */
    size_t spans_count, spans_capacity;
    bool spans_known; /* false after expfmt_next_expect() hit: parsed again when asked for */
    bool saw_eof;
    struct buf scratch;
    struct expfmt_proto *proto;
};

void expfmt_parser_init(struct expfmt_parser *p, enum expfmt_syntax syntax, struct str text); /* *p zeroed or used before */
void expfmt_parser_deinit(struct expfmt_parser *p);
/* Protobuf: read native histograms as such (else only their classic part), and both if both are there. */
void expfmt_parser_native(struct expfmt_parser *p, bool native, bool keep_classic);

/* The next entry; after EXPFMT_END none is asked for. */
MUST_CHECK bool expfmt_next(struct expfmt_parser *p, enum expfmt_entry *entry, struct err *err);
/* As expfmt_next; if the text goes on with exactly these series bytes and then a value, they are not looked at again and
 * *hit is true. */
MUST_CHECK bool expfmt_next_expect(struct expfmt_parser *p, struct str series, bool *hit, enum expfmt_entry *entry,
                                   struct err *err);

/* Labels of the current series: sorted by name, empty values dropped, __name__ among them, bounds (le, quantile) of
 * histograms and summaries in OpenMetrics form. Texts are slices of the body or in the arena. *duplicate: a name is there
 * twice (the set then has both). ERR_INVALID can only be "metric name not set". */
MUST_CHECK bool expfmt_labels(struct expfmt_parser *p, struct arena *a, struct labels *out, bool *duplicate, struct err *err);
/* Labels of the current exemplar; sorted, not empty-stripped. */
MUST_CHECK bool expfmt_exemplar(struct expfmt_parser *p, struct arena *a, struct labels *out, struct err *err);
/* Protobuf histograms carry several exemplars: the next one of the current entry becomes the current exemplar. Text: false
 * after the first. */
bool expfmt_next_exemplar(struct expfmt_parser *p);

/* 1 -> "1.0": a float as OpenMetrics writes bounds. */
void expfmt_write_bound(struct buf *out, double v);

#endif
