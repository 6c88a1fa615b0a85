/* Interned strings: equal bytes, equal number. Names and values of labels that live long are kept once.
 * A sym is counted: each intern takes a reference, release gives it back, and the last one frees the bytes; numbers
 * are reused. 0 is the empty string and is never counted.
 *
 * Thread: one owner. */
#ifndef TOCSIN_BASE_SYMTAB_H
#define TOCSIN_BASE_SYMTAB_H

#include "base/str.h"

#include <stdint.h>

typedef uint32_t sym;
struct symtab;

struct symtab *symtab_new(void);
void symtab_free(struct symtab *t);
sym symtab_intern(struct symtab *t, struct str s);    /* takes a reference */
sym symtab_find(const struct symtab *t, struct str s);/* no reference; UINT32_MAX if absent */
void symtab_retain(struct symtab *t, sym s); /* one more reference to what is held */
void symtab_release(struct symtab *t, sym s);
struct str symtab_str(const struct symtab *t, sym s); /* valid while the reference is held */
size_t symtab_count(const struct symtab *t);

#endif
