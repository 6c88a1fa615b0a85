/* What the parsers of the formats share. */
#ifndef TOCSIN_EXPFMT_PARSE_INT_H
#define TOCSIN_EXPFMT_PARSE_INT_H

#include "expfmt/parse.h"

MUST_CHECK bool text_next(struct expfmt_parser *p, enum expfmt_entry *entry, struct err *err);
MUST_CHECK bool openmetrics_next(struct expfmt_parser *p, enum expfmt_entry *entry, struct err *err);
MUST_CHECK bool proto_next(struct expfmt_parser *p, enum expfmt_entry *entry, struct err *err);
MUST_CHECK bool proto_labels(struct expfmt_parser *p, struct arena *a, struct labels *out, bool *duplicate, struct err *err);
MUST_CHECK bool proto_exemplar(struct expfmt_parser *p, struct arena *a, struct labels *out, struct err *err);
bool proto_next_exemplar(struct expfmt_parser *p);
void proto_free(struct expfmt_proto *m);
void proto_native(struct expfmt_parser *p, bool native, bool keep_classic);

/* What follows the series of a line: value, time, exemplar, end of line. */
MUST_CHECK bool text_rest(struct expfmt_parser *p, struct err *err);
MUST_CHECK bool openmetrics_rest(struct expfmt_parser *p, struct err *err);

/* Character classes of the lexers. */
enum { CLASS_NAME_START = 1, CLASS_NAME = 2, CLASS_LABEL_START = 4, CLASS_LABEL = 8 };
extern const uint8_t expfmt_class[256];

/* A quoted string at text[at] == '"': *at moves behind it. newline: raw line ends are allowed in it. False: it does not
 * end, or is no UTF-8. */
bool expfmt_quoted(struct str text, size_t *at, bool newline, bool *escaped);
/* Go's ParseFloat as the parsers take it: no hex, no underscore. */
MUST_CHECK bool expfmt_float(struct str s, double *v, struct err *err);
void expfmt_push(struct expfmt_parser *p, size_t from, size_t n, bool escaped, size_t base);
/* \" \\ \n undone; other backslashes stay. quote false: \" stays, too (text HELP). */
void expfmt_unescape(struct buf *out, struct str s, bool quote);
/* "... while parsing: ..." */
bool expfmt_fail(const struct expfmt_parser *p, struct err *err, size_t line_start, const char *what);

/* The labels in braces at text[*at] == '{': pushes spans relative to `base` and sets the name if a quoted one is there.
 * strict: OpenMetrics' rules. exemplar: no quoted metric name. *at moves behind the brace. */
MUST_CHECK bool expfmt_braces(struct expfmt_parser *p, size_t *at, size_t base, bool strict, bool exemplar, struct err *err);

#endif
