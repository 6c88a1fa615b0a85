/* Label sets as values: a slice of (name, value) pairs sorted by name, names unique, no empty values. A slice borrows;
 * whoever keeps a set copies it into one block. Formats that other programs compare are here: the fingerprint, the
 * hash of the notification log, the text forms.
 *
 * Upstream: prometheus/common model/labelset.go, model/signature.go; alertmanager nflog hash. */
#ifndef TOCSIN_MODEL_LABELS_H
#define TOCSIN_MODEL_LABELS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct label {
    struct str name, value;
};
struct labels {
    const struct label *v;
    size_t n;
};
typedef uint64_t fingerprint;

/* Sorts v in place, drops empty values, keeps the last of equal names; returns the set over v. */
struct labels labels_normalize(struct label *v, size_t n);
struct labels labels_copy(struct arena *a, struct labels ls);
/* A copy in one heap block (mem_free((void *)ls.v) frees names and values too). */
struct labels labels_dup(struct labels ls);
void labels_free(struct labels ls);

struct str labels_get(struct labels ls, struct str name); /* empty if absent */
bool labels_has(struct labels ls, struct str name);
bool labels_eq(struct labels a, struct labels b);
int labels_cmp(struct labels a, struct labels b);            /* Alertmanager's order, spec 9.4: fewer labels first ... */
int labels_cmp_prometheus(struct labels a, struct labels b); /* pairwise name then value, shorter first */

fingerprint labels_fingerprint(struct labels ls); /* FNV-1a 64 over name 0xFF value 0xFF */
uint64_t labels_nflog_hash(struct labels ls);     /* XXH64 over the same bytes */
#define FINGERPRINT_TEXT 16
void fingerprint_write(struct buf *b, fingerprint f); /* 16 lower-case hex digits */

/* {a="x", b="y"}: Go-quoted values, names raw. Group keys and API logs. */
void labels_write(struct buf *b, struct labels ls);
/* Prometheus's Labels.String(): names that are no legacy names are quoted too. */
void labels_write_prometheus(struct buf *b, struct labels ls);
/* {"a":"x","b":"y"} */
struct json_writer;
void labels_write_json(struct json_writer *w, struct labels ls);

bool label_name_is_classic(struct str name);    /* [a-zA-Z_][a-zA-Z0-9_]* */
bool label_name_is_utf8(struct str name);       /* non-empty valid UTF-8 */
bool metric_name_is_classic(struct str name);   /* [a-zA-Z_:][a-zA-Z0-9_:]* */

#endif
