/* Expressions that need no automaton. Most matchers that people write are names, lists of names and prefixes; they are
 * recognised here at compile time, and matching them is a comparison or a search in a sorted list.
 *
 * The grammar is a small corner of the syntax, and every text in it is valid Go:
 *     set      alternatives of sequences of: characters, escaped punctuation, [classes] of letters and digits, (groups)
 *     affix    [.* or .+] characters [.* or .+]
 * Sets are multiplied out: sequences combine every left with every right. SIMPLE_LITERALS_MAX and SIMPLE_BYTES_MAX
 * bound the product before it is made. Nothing here looks at matching flags: the caller does not ask for case-folding
 * expressions, and handles newlines in gaps itself. */
#include "regex/syntax_int.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <stdlib.h>

enum {
    GROUP_DEPTH_MAX = 16,
    WORK_BYTES_MAX = 2 * 1024 * 1024, /* written by all products of one expression */
};

struct set {
    struct str *v;
    size_t n, capacity;
    size_t bytes;
};
struct parser {
    struct arena *arena;
    struct str text;
    char *runs; /* unescaped runs, each at the place where its source stands */
    size_t pos;
    size_t work_bytes;
    int depth;
};

static bool is_meta(char c)
{
    return c != '\0' && strchr("\\.+*?()|[]{}^$", c) != NULL;
}

static void set_add(struct parser *p, struct set *s, struct str literal)
{
    if (s->n == s->capacity) {
        size_t capacity = mem_grow(s->capacity, s->n + 1);
        struct str *v = arena_alloc_array(p->arena, capacity, sizeof *v);
        if (s->n > 0)
            memcpy(v, s->v, s->n * sizeof *v);
        s->v = v;
        s->capacity = capacity;
    }
    s->v[s->n++] = literal;
    s->bytes += literal.n;
}

static bool set_is_bounded(size_t literals, size_t bytes)
{
    return literals <= SIMPLE_LITERALS_MAX && bytes <= SIMPLE_BYTES_MAX;
}

/* left := every left followed by every right */
static bool set_multiply(struct parser *p, struct set *left, const struct set *right)
{
    if (left->n == 1 && left->bytes == 0) {
        *left = *right;
        return true;
    }
    size_t literals = left->n * right->n;
    size_t bytes = left->bytes * right->n + right->bytes * left->n;
    p->work_bytes += bytes + literals * sizeof(struct str);
    if (!set_is_bounded(literals, bytes) || p->work_bytes > WORK_BYTES_MAX)
        return false;
    struct set product = { 0 };
    for (size_t i = 0; i < left->n; i++)
        for (size_t j = 0; j < right->n; j++) {
            struct str a = left->v[i], b = right->v[j];
            char *joined = arena_alloc(p->arena, a.n + b.n + 1);
            if (a.n > 0)
                memcpy(joined, a.p, a.n);
            if (b.n > 0)
                memcpy(joined + a.n, b.p, b.n);
            set_add(p, &product, str_of(joined, a.n + b.n));
        }
    *left = product;
    return true;
}

/* [a-z_]: letters, digits and a few signs; anything fancier is left to RE2. */
static bool parse_class(struct parser *p, struct set *out)
{
    bool any = false;
    for (p->pos++; p->pos < p->text.n && p->text.p[p->pos] != ']'; any = true) {
        char low = p->text.p[p->pos], high = low;
        bool plain = ascii_is_alnum(low) || strchr("_:/,;=@#% ", low) != NULL;
        if (!plain || low == '\0')
            return false;
        p->pos++;
        if (p->pos + 1 < p->text.n && p->text.p[p->pos] == '-') {
            high = p->text.p[p->pos + 1];
            bool same = (ascii_is_digit(low) && ascii_is_digit(high)) ||
                        (ascii_is_alpha(low) && ascii_is_alpha(high) && (low >= 'a') == (high >= 'a'));
            if (!same || high < low)
                return false;
            p->pos += 2;
        }
        for (char c = low; c <= high; c++) {
            char *one = arena_alloc(p->arena, 2);
            one[0] = c;
            set_add(p, out, str_of(one, 1));
        }
    }
    if (p->pos >= p->text.n || !any)
        return false;
    p->pos++;
    return true;
}

/* The longest run of plain characters at pos, unescaped. False if it starts with something else. */
static bool parse_run(struct parser *p, struct str *run)
{
    char *bytes = p->runs + p->pos;
    size_t n = 0;
    while (p->pos < p->text.n) {
        char c = p->text.p[p->pos];
        size_t size = 1;
        if (c == '\\') {
            if (p->pos + 1 >= p->text.n)
                break;
            c = p->text.p[p->pos + 1];
            if ((unsigned char)c >= 128 || c == '\0' || ascii_is_alnum(c))
                break;
            size = 2;
        } else if (is_meta(c)) {
            break;
        }
        bytes[n++] = c;
        p->pos += size;
    }
    *run = str_of(bytes, n);
    return n > 0;
}

static bool at_quantifier(const struct parser *p)
{
    return p->pos < p->text.n && strchr("*+?{", p->text.p[p->pos]) != NULL && p->text.p[p->pos] != '\0';
}

static bool parse_alternatives(struct parser *p, struct set *out);

static bool parse_group(struct parser *p, struct set *out)
{
    if (++p->depth > GROUP_DEPTH_MAX)
        return false;
    p->pos++;
    if (p->pos < p->text.n && p->text.p[p->pos] == '?') {
        if (!str_starts(str_from(p->text, p->pos), STR("?:")))
            return false;
        p->pos += 2;
    }
    if (!parse_alternatives(p, out) || p->pos >= p->text.n || p->text.p[p->pos] != ')')
        return false;
    p->pos++;
    p->depth--;
    return true;
}

static bool parse_sequence(struct parser *p, struct set *out)
{
    *out = (struct set){ 0 };
    set_add(p, out, STR_EMPTY);
    while (p->pos < p->text.n && p->text.p[p->pos] != '|' && p->text.p[p->pos] != ')') {
        struct set part = { 0 };
        char c = p->text.p[p->pos];
        bool ok;
        p->work_bytes += sizeof part;
        if (c == '(') {
            ok = parse_group(p, &part);
        } else if (c == '[') {
            ok = parse_class(p, &part);
        } else {
            struct str run;
            ok = parse_run(p, &run);
            if (ok)
                set_add(p, &part, run);
        }
        if (!ok || at_quantifier(p) || !set_multiply(p, out, &part))
            return false;
    }
    return true;
}

static bool parse_alternatives(struct parser *p, struct set *out)
{
    *out = (struct set){ 0 };
    for (;;) {
        struct set one;
        if (!parse_sequence(p, &one) || !set_is_bounded(out->n + one.n, out->bytes + one.bytes))
            return false;
        for (size_t i = 0; i < one.n; i++)
            set_add(p, out, one.v[i]);
        if (p->pos >= p->text.n || p->text.p[p->pos] != '|')
            return true;
        p->pos++;
    }
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool parse_set(struct parser *p, struct simple_regex *out)
{
    struct set set;
    if (!parse_alternatives(p, &set) || p->pos != p->text.n)
        return false;
    qsort(set.v, set.n, sizeof *set.v, by_bytes);
    size_t unique = 0;
    for (size_t i = 0; i < set.n; i++)
        if (unique == 0 || !str_eq(set.v[i], set.v[unique - 1]))
            set.v[unique++] = set.v[i];
    out->kind = SIMPLE_SET;
    out->literals = set.v;
    out->literals_count = unique;
    /* Sorted, so what the first and the last share is shared by all. */
    struct str first = set.v[0], last = set.v[unique - 1];
    size_t n = 0;
    while (n < first.n && n < last.n && first.p[n] == last.p[n])
        n++;
    out->prefix = str_sub(first, 0, n);
    return true;
}

static enum simple_gap parse_gap(struct parser *p)
{
    struct str rest = str_from(p->text, p->pos);
    bool any = str_starts(rest, STR(".*"));
    if (!any && !str_starts(rest, STR(".+")))
        return GAP_NONE;
    p->pos += 2;
    return any ? GAP_ANY : GAP_SOME;
}

static bool parse_affix(struct parser *p, struct simple_regex *out)
{
    out->lead = parse_gap(p);
    out->tail = GAP_NONE;
    out->middle = STR_EMPTY;
    if (at_quantifier(p))
        return false;
    if (parse_run(p, &out->middle)) {
        if (at_quantifier(p))
            return false;
        out->tail = parse_gap(p);
    }
    if (p->pos != p->text.n)
        return false;
    out->kind = SIMPLE_AFFIX;
    out->prefix = out->lead == GAP_NONE ? out->middle : STR_EMPTY;
    return true;
}

/* Is there an alternative outside all groups? Errs on the side of yes. */
static bool has_alternatives(struct str text)
{
    size_t depth = 0;
    for (size_t i = 0; i < text.n; i++) {
        switch (text.p[i]) {
        case '\\':
            if (i + 1 < text.n && text.p[i + 1] == 'Q')
                return true;
            i++;
            break;
        case '[': /* its end is not worth finding: every '|' behind counts, wherever it is */
            return str_find_byte(str_from(text, i), '|') != STR_NPOS;
        case '(':
            depth++;
            break;
        case ')':
            if (depth == 0)
                return true;
            depth--;
            break;
        case '|':
            if (depth == 0)
                return true;
            break;
        default:
            break;
        }
    }
    return false;
}

static struct str parse_prefix(struct parser *p)
{
    struct str run;
    if (has_alternatives(p->text) || !parse_run(p, &run))
        return STR_EMPTY;
    if (at_quantifier(p)) { /* the last character may be repeated or absent */
        size_t size;
        (void)utf8_decode_last(run, &size);
        run.n -= size;
    }
    return run;
}

void regex_simple_parse(struct arena *a, struct str text, struct simple_regex *out)
{
    *out = (struct simple_regex){ .kind = SIMPLE_NONE, .prefix = STR_EMPTY };
    /* Go reads an invalid byte of the subject as U+FFFD: a literal that holds it would not see that. */
    if (!utf8_valid(text) || str_contains(text, STR("\xEF\xBF\xBD")))
        return;
    char *runs = arena_alloc(a, text.n + 1);
    struct parser set = { .arena = a, .text = text, .runs = runs };
    if (parse_set(&set, out))
        return;
    struct parser affix = { .arena = a, .text = text, .runs = runs };
    if (parse_affix(&affix, out))
        return;
    struct parser prefix = { .arena = a, .text = text, .runs = runs };
    *out = (struct simple_regex){ .kind = SIMPLE_NONE };
    out->prefix = parse_prefix(&prefix);
}
