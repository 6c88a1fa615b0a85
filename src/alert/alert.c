/* The alert value: header and packed values in one block, so that making one is one allocation and dropping one is one
 * free.
 *
 * A1  Nothing but `refs` changes after alert_new() returns; the count is the only synchronisation.
 * A2  A value owns its bytes and one reference of its family, and points at nothing else.
 * A3  values holds one text for each name of the family, in the same order. */
#include "alert/alert.h"

#include "alert/family_int.h"
#include "base/mem.h"
#include "wire/varint.h"

static size_t values_bytes(struct labels ls)
{
    size_t n = 0;
    for (size_t i = 0; i < ls.n; i++)
        n += uvarint_size(ls.v[i].value.n) + ls.v[i].value.n;
    return n;
}

static char *put_values(char *to, struct labels ls)
{
    for (size_t i = 0; i < ls.n; i++) {
        struct str value = ls.v[i].value;
        to += uvarint_put((uint8_t *)to, value.n);
        if (value.n)
            memcpy(to, value.p, value.n);
        to += value.n;
    }
    return to;
}

/* Trusted bytes: put_values() wrote them. Nearly all texts are shorter than 128 bytes. */
static struct str take_value(const char **from)
{
    const uint8_t *p = (const uint8_t *)*from;
    size_t n = *p++;
    if (UNLIKELY(n >= 0x80)) {
        n &= 0x7f;
        for (unsigned shift = 7;; shift += 7) {
            uint8_t b = *p++;
            n |= (size_t)(b & 0x7f) << shift;
            if (b < 0x80)
                break;
        }
    }
    struct str value = str_of((const char *)p, n);
    *from = value.p + n;
    return value;
}

struct alert *alert_new(struct alert_families *fs, const struct alert_spec *spec)
{
    struct alert *a = mem_alloc(sizeof *a + values_bytes(spec->labels) + values_bytes(spec->annotations));
    a->family = alert_family_get(fs, spec);
    char *annotations = put_values(a->values, spec->labels);
    a->annotations_at = u32_from_size((size_t)(annotations - a->values));
    put_values(annotations, spec->annotations);
    a->starts_at = spec->starts_at;
    a->starts_offset_s = spec->starts_offset_s;
    a->ends_offset_s = spec->ends_offset_s;
    a->fp = labels_fingerprint(spec->labels);
    a->nflog_hash = labels_nflog_hash(spec->labels);
    atomic_init(&a->refs, 1);
    return a;
}

struct alert *alert_retain(const struct alert *a)
{
    struct alert *counted = (struct alert *)(uintptr_t)a; /* the count is the one mutable field */
    unsigned before = atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return counted;
}

void alert_release(const struct alert *a)
{
    if (!a)
        return;
    struct alert *counted = (struct alert *)(uintptr_t)a;
    unsigned before = atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before != 1)
        return;
    alert_family_release(counted->family);
    mem_free(counted);
}

/* ---- Reading ---- */

struct alert_walk alert_walk_labels(const struct alert *a)
{
    const struct alert_family *f = a->family;
    return (struct alert_walk){ f->names, f->names + f->labels_count, a->values };
}

struct alert_walk alert_walk_annotations(const struct alert *a)
{
    const struct alert_family *f = a->family;
    const struct str *names = f->names + f->labels_count;
    return (struct alert_walk){ names, names + f->annotations_count, a->values + a->annotations_at };
}

bool alert_walk_next(struct alert_walk *w, struct label *l)
{
    if (w->name == w->end)
        return false;
    l->name = *w->name++;
    l->value = take_value(&w->value);
    return true;
}

static struct labels unpack(struct alert_walk w, struct arena *arena)
{
    size_t n = (size_t)(w.end - w.name);
    if (n == 0)
        return (struct labels){ 0 };
    struct label *v = arena_alloc_array(arena, n, sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = (struct label){ w.name[i], take_value(&w.value) };
    return (struct labels){ v, n };
}

struct labels alert_labels(const struct alert *a, struct arena *arena)
{
    return unpack(alert_walk_labels(a), arena);
}

struct labels alert_annotations(const struct alert *a, struct arena *arena)
{
    return unpack(alert_walk_annotations(a), arena);
}

struct str alert_label_value(const struct alert *a, struct str name)
{
    struct label l;
    for (struct alert_walk w = alert_walk_labels(a); alert_walk_next(&w, &l);)
        if (str_eq(l.name, name))
            return l.value;
    return STR_EMPTY;
}

/* ---- Order ---- */

/* By one label: having it comes before lacking it. */
static int compare_label(const struct alert *a, const struct alert *b, struct str name)
{
    struct str x = alert_label_value(a, name), y = alert_label_value(b, name);
    if (x.n == 0 || y.n == 0)
        return (x.n == 0) - (y.n == 0);
    return str_cmp(x, y);
}

/* labels_cmp() over what is packed. */
static int compare_labels(const struct alert *a, const struct alert *b)
{
    uint32_t x = a->family->labels_count, y = b->family->labels_count;
    if (x != y)
        return x < y ? -1 : 1;
    struct alert_walk in_a = alert_walk_labels(a), in_b = alert_walk_labels(b);
    struct label l, m;
    while (alert_walk_next(&in_a, &l) && alert_walk_next(&in_b, &m)) {
        int order = labels_cmp((struct labels){ &l, 1 }, (struct labels){ &m, 1 });
        if (order != 0)
            return order;
    }
    return 0;
}

int alert_compare(const struct alert *a, const struct alert *b)
{
    int order = compare_label(a, b, STR("job"));
    if (order == 0)
        order = compare_label(a, b, STR("instance"));
    return order ? order : compare_labels(a, b);
}

/* ---- Merging ---- */

static bool overlaps(const struct alert_spec *stored, const struct alert_spec *fresh)
{
    return (wire_time_cmp(fresh->ends_at, stored->starts_at) > 0 &&
            wire_time_cmp(fresh->ends_at, stored->ends_at) < 0) ||
           (wire_time_cmp(fresh->starts_at, stored->starts_at) > 0 &&
            wire_time_cmp(fresh->starts_at, stored->ends_at) < 0);
}

static bool is_resolved(const struct alert_spec *s, struct wire_time now)
{
    return !wire_time_is_zero(s->ends_at) && wire_time_cmp(s->ends_at, now) <= 0;
}

struct alert_spec alert_spec_merge(const struct alert_spec *stored, const struct alert_spec *fresh, struct wire_time now)
{
    ASSERT(wire_time_cmp(fresh->updated_at, stored->updated_at) >= 0);
    struct alert_spec merged = *fresh;
    if (!overlaps(stored, fresh))
        return merged;
    if (wire_time_cmp(stored->starts_at, fresh->starts_at) < 0) {
        merged.starts_at = stored->starts_at;
        merged.starts_offset_s = stored->starts_offset_s;
    }
    bool stored_ends_later = wire_time_cmp(stored->ends_at, fresh->ends_at) > 0;
    bool take_stored_end = is_resolved(fresh, now) ? is_resolved(stored, now) && stored_ends_later
                                                   : stored_ends_later && !stored->timeout;
    if (take_stored_end) {
        merged.ends_at = stored->ends_at;
        merged.ends_offset_s = stored->ends_offset_s;
    }
    return merged;
}
