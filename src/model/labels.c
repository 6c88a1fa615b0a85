/* Label sets. A set is a sorted slice, so comparing, hashing and looking up are walks over memory that is mostly in one
 * place; sets of alerts and series have ten to thirty labels, where a scan beats any index.
 *
 *   L1  Names are unique and in byte order, no value is empty: labels_normalize() makes it so, everything else relies
 *       on it.
 *   L2  The byte sequence name 0xFF value 0xFF ... is the same for both hashes; 0xFF is in no UTF-8 text, so no two
 *       sets share it. */
#include "model/labels.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "crypto/hash.h"
#include "json/writer.h"

enum { INSERTION_SORT_MAX = 24 };

static void sort_by_insertion(struct label *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct label one = v[i];
        size_t at = i;
        for (; at > 0 && str_cmp(v[at - 1].name, one.name) > 0; at--)
            v[at] = v[at - 1];
        v[at] = one;
    }
}

/* Stable, because of equal names the last one given wins. */
static void sort_by_merging(struct label *v, struct label *spare, size_t n)
{
    if (n <= INSERTION_SORT_MAX) {
        sort_by_insertion(v, n);
        return;
    }
    size_t half = n / 2;
    sort_by_merging(v, spare, half);
    sort_by_merging(v + half, spare, n - half);
    memcpy(spare, v, half * sizeof *v);
    size_t left = 0, right = half, to = 0;
    while (left < half && right < n)
        v[to++] = str_cmp(spare[left].name, v[right].name) <= 0 ? spare[left++] : v[right++];
    while (left < half)
        v[to++] = spare[left++];
}

static bool is_sorted(const struct label *v, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (str_cmp(v[i - 1].name, v[i].name) > 0)
            return false;
    return true;
}

struct labels labels_normalize(struct label *v, size_t n)
{
    if (n > INSERTION_SORT_MAX && !is_sorted(v, n)) {
        struct label *spare = mem_alloc_array(n / 2, sizeof *spare);
        sort_by_merging(v, spare, n);
        mem_free(spare);
    } else {
        sort_by_insertion(v, n);
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        bool last = i + 1 == n || !str_eq(v[i].name, v[i + 1].name);
        if (last && v[i].value.n > 0)
            v[kept++] = v[i];
    }
    return (struct labels){ v, kept };
}

static size_t texts_bytes(struct labels ls)
{
    size_t bytes = 0;
    for (size_t i = 0; i < ls.n; i++)
        bytes += ls.v[i].name.n + ls.v[i].value.n;
    return bytes;
}

static struct str put_text(char **to, struct str s)
{
    struct str copy = str_of(*to, s.n);
    if (s.n > 0)
        memcpy(*to, s.p, s.n);
    *to += s.n;
    return copy;
}

/* Texts right behind the slice: one block, one cache walk. */
static struct labels copy_into(void *block, struct labels ls)
{
    struct label *v = block;
    char *texts = (char *)(v + ls.n);
    for (size_t i = 0; i < ls.n; i++) {
        v[i].name = put_text(&texts, ls.v[i].name);
        v[i].value = put_text(&texts, ls.v[i].value);
    }
    return (struct labels){ v, ls.n };
}

struct labels labels_copy(struct arena *a, struct labels ls)
{
    return copy_into(arena_alloc(a, ls.n * sizeof *ls.v + texts_bytes(ls)), ls);
}

struct labels labels_dup(struct labels ls)
{
    return copy_into(mem_alloc(ls.n * sizeof *ls.v + texts_bytes(ls)), ls);
}

void labels_free(struct labels ls)
{
    void *block;
    memcpy(&block, &ls.v, sizeof block); /* the block is ours: labels_dup() made it */
    mem_free(block);
}

struct str labels_get(struct labels ls, struct str name)
{
    for (size_t i = 0; i < ls.n; i++)
        if (str_eq(ls.v[i].name, name))
            return ls.v[i].value;
    return STR_EMPTY;
}

bool labels_has(struct labels ls, struct str name)
{
    for (size_t i = 0; i < ls.n; i++)
        if (str_eq(ls.v[i].name, name))
            return true;
    return false;
}

bool labels_eq(struct labels a, struct labels b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (!str_eq(a.v[i].name, b.v[i].name) || !str_eq(a.v[i].value, b.v[i].value))
            return false;
    return true;
}

int labels_cmp(struct labels a, struct labels b)
{
    if (a.n != b.n)
        return a.n < b.n ? -1 : 1;
    for (size_t i = 0; i < a.n; i++) {
        int names = str_cmp(a.v[i].name, b.v[i].name);
        if (names != 0) /* the smaller name is missing in the other set, and the lacking set comes first */
            return names < 0 ? 1 : -1;
        int values = str_cmp(a.v[i].value, b.v[i].value);
        if (values != 0)
            return values;
    }
    return 0;
}

int labels_cmp_prometheus(struct labels a, struct labels b)
{
    for (size_t i = 0; i < a.n && i < b.n; i++) {
        int order = str_cmp(a.v[i].name, b.v[i].name);
        if (order == 0)
            order = str_cmp(a.v[i].value, b.v[i].value);
        if (order != 0)
            return order;
    }
    return a.n < b.n ? -1 : a.n > b.n;
}

fingerprint labels_fingerprint(struct labels ls)
{
    uint64_t h = FNV1A64_START;
    for (size_t i = 0; i < ls.n; i++) {
        h = fnv1a64_add_byte(fnv1a64_add(h, ls.v[i].name), 0xFF);
        h = fnv1a64_add_byte(fnv1a64_add(h, ls.v[i].value), 0xFF);
    }
    return h;
}

uint64_t labels_nflog_hash(struct labels ls)
{
    struct xxh64_stream x;
    xxh64_start(&x);
    for (size_t i = 0; i < ls.n; i++) {
        xxh64_add(&x, ls.v[i].name);
        xxh64_add(&x, STR("\xFF"));
        xxh64_add(&x, ls.v[i].value);
        xxh64_add(&x, STR("\xFF"));
    }
    return xxh64_value(&x);
}

void fingerprint_write(struct buf *b, fingerprint f)
{
    static const char digits[] = "0123456789abcdef";
    char text[FINGERPRINT_TEXT];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = digits[f >> (60 - 4 * i) & 15];
    buf_append(b, text, sizeof text);
}

static void write_set(struct buf *b, struct labels ls, bool quote_names)
{
    buf_byte(b, '{');
    for (size_t i = 0; i < ls.n; i++) {
        if (i > 0)
            buf_c(b, ", ");
        if (quote_names && !label_name_is_classic(ls.v[i].name))
            go_quote(b, ls.v[i].name);
        else
            buf_str(b, ls.v[i].name);
        buf_byte(b, '=');
        go_quote(b, ls.v[i].value);
    }
    buf_byte(b, '}');
}

void labels_write(struct buf *b, struct labels ls)
{
    write_set(b, ls, false);
}

void labels_write_prometheus(struct buf *b, struct labels ls)
{
    write_set(b, ls, true);
}

void labels_write_json(struct json_writer *w, struct labels ls)
{
    jw_object(w);
    for (size_t i = 0; i < ls.n; i++)
        jw_kv(w, ls.v[i].name, ls.v[i].value);
    jw_object_end(w);
}

static bool name_is_classic(struct str name, bool colons)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool fits = ascii_is_alpha(c) || c == '_' || (colons && c == ':') || (i > 0 && ascii_is_digit(c));
        if (!fits)
            return false;
    }
    return name.n > 0;
}

bool label_name_is_classic(struct str name)
{
    return name_is_classic(name, false);
}

bool label_name_is_utf8(struct str name)
{
    return name.n > 0 && utf8_valid(name);
}

bool metric_name_is_classic(struct str name)
{
    return name_is_classic(name, true);
}
