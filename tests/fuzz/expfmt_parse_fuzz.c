/* Any bytes as an exposition: entries or an error. What an entry says lies in the text, labels decode within their bounds,
 * and a second pass that expects the series of the first gives the same entries. First byte: syntax and options. */
#include "expfmt/parse.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ENTRIES_MAX 4096

struct seen {
    struct str series;
    enum expfmt_entry entry;
    uint64_t value;
    int64_t t;
};

static void labels_are_sorted(const struct labels *ls)
{
    for (size_t i = 1; i < ls->n; i++)
        ASSERT(str_cmp(ls->v[i - 1].name, ls->v[i].name) <= 0);
}

static void look(struct expfmt_parser *p, struct arena *a)
{
    struct labels ls;
    struct err err = { 0 };
    bool duplicate;
    arena_reset(a);
    if (expfmt_labels(p, a, &ls, &duplicate, &err))
        labels_are_sorted(&ls);
    else
        ASSERT(err.code == ERR_INVALID);
    do {
        if (p->has_exemplar && expfmt_exemplar(p, a, &ls, &err))
            labels_are_sorted(&ls);
    } while (expfmt_next_exemplar(p));
}

/* expected NULL: the first pass, entries are kept. Returns how many there were; *failed: an error ended them. */
static size_t pass(struct expfmt_parser *p, struct seen *seen, const struct seen *expected, bool *failed)
{
    struct arena a;
    struct err err = { 0 };
    enum expfmt_entry entry = EXPFMT_COMMENT;
    size_t n = 0;
    arena_init(&a, 1 << 20);
    *failed = false;
    while (n < ENTRIES_MAX) {
        bool hit = false;
        bool ok = expected ? expfmt_next_expect(p, expected[n].series, &hit, &entry, &err) : expfmt_next(p, &entry, &err);
        *failed = !ok;
        if (!ok || entry == EXPFMT_END)
            break;
        bool series = entry == EXPFMT_SERIES || entry == EXPFMT_HISTOGRAM;
        seen[n] = (struct seen){ .entry = entry, .t = series && p->has_t ? p->t : 0 };
        if (entry == EXPFMT_SERIES)
            memcpy(&seen[n].value, &p->value, sizeof p->value);
        if (series) {
            seen[n].series = p->series;
            look(p, &a);
        }
        n++;
    }
    if (*failed)
        ASSERT(err.code != ERR_NONE);
    arena_deinit(&a);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seen first[ENTRIES_MAX], second[ENTRIES_MAX];
    struct expfmt_parser p = { 0 };
    bool failed, failed_again;
    if (size == 0)
        return 0;
    struct str text = str_of((const char *)data + 1, size - 1);
    enum expfmt_syntax syntax = (enum expfmt_syntax)(data[0] % 3);
    bool native = data[0] & 0x40, keep_classic = data[0] & 0x80;
    expfmt_parser_init(&p, syntax, text);
    expfmt_parser_native(&p, native, keep_classic);
    size_t n = pass(&p, first, NULL, &failed);
    if (syntax != EXPFMT_SYNTAX_PROTOBUF) {
        if (n < ENTRIES_MAX)
            first[n] = (struct seen){ 0 };
        expfmt_parser_init(&p, syntax, text);
        ASSERT(pass(&p, second, first, &failed_again) == n && failed == failed_again);
        for (size_t i = 0; i < n; i++)
            ASSERT(first[i].entry == second[i].entry && first[i].value == second[i].value && first[i].t == second[i].t &&
                    str_eq(first[i].series, second[i].series));
    }
    expfmt_parser_deinit(&p);
    return 0;
}
