/* What a configuration has to say although it is valid: keys that are accepted but not active, matchers that the two
 * parsers read differently, names that appear twice, keys that look like a misspelt one. The server logs notices after
 * a load and `check-config` prints them, both from the same list.
 *
 * Owned by the caller, apart from the configuration, so that a failed load still has its hints. Bounded: past
 * NOTICES_MAX only the count grows. Thread: one owner. */
#ifndef TOCSIN_YAML_NOTICE_H
#define TOCSIN_YAML_NOTICE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

#define NOTICES_MAX       256
#define NOTICE_FIELDS_MAX 4

enum notice_kind {
    NOTICE_INACTIVE, /* accepted, but this program does nothing with it */
    NOTICE_HINT,     /* "did you mean", beside an error */
    NOTICE_PLACE,    /* where the error is that ended the load: upstream's words for it name no line */
    NOTICE_WARNING,  /* valid, but probably not what is meant */
};

struct notice_field {
    const char *key; /* static */
    struct str value;
};
struct notice {
    enum notice_kind kind;
    uint32_t line;    /* in the file, from 1; 0: unknown */
    struct str text;
    struct notice_field fields[NOTICE_FIELDS_MAX];
    size_t fields_count;
};
struct notices {
    struct arena arena;
    struct notice *v; /* NOTICES_MAX of them once the first came */
    size_t n;
    size_t dropped;
};

void notices_init(struct notices *ns);
void notices_deinit(struct notices *ns);
/* Texts are copied. ns may be NULL: nothing happens. */
void notice_add(struct notices *ns, enum notice_kind kind, uint32_t line, const struct notice_field *fields,
                size_t fields_count, const char *fmt, ...) PRINTF_LIKE(6, 7);
/* "line 3: text key=value": one line, without the newline. */
void notice_write(struct buf *out, const struct notice *n);

#endif
