/* The alert value: header, label arrays and texts in one block, so that making one is one allocation and dropping one is
 * one free. Layout: struct alert | labels[] | annotations[] | texts, each text followed by nothing (str carries length).
 *
 * A1  Nothing but `refs` changes after alert_new() returns; the count is the only synchronisation.
 * A2  A value owns every byte it points at. */
#include "alert/alert.h"

#include "base/mem.h"

static size_t labels_text_bytes(struct labels ls)
{
    size_t n = 0;
    for (size_t i = 0; i < ls.n; i++)
        n += ls.v[i].name.n + ls.v[i].value.n;
    return n;
}

static struct str put_text(char **text, struct str s)
{
    struct str copy = { *text, s.n };
    if (s.n)
        memcpy(*text, s.p, s.n);
    *text += s.n;
    return copy;
}

static struct labels put_labels(struct label **at, char **text, struct labels ls)
{
    struct label *v = *at;
    for (size_t i = 0; i < ls.n; i++)
        v[i] = (struct label){ put_text(text, ls.v[i].name), put_text(text, ls.v[i].value) };
    *at += ls.n;
    return (struct labels){ v, ls.n };
}

struct alert *alert_new(const struct alert_spec *spec)
{
    size_t pairs = spec->labels.n + spec->annotations.n;
    size_t text_bytes =
        labels_text_bytes(spec->labels) + labels_text_bytes(spec->annotations) + spec->generator_url.n;
    struct alert *a = mem_alloc(sizeof *a + pairs * sizeof(struct label) + text_bytes);
    struct label *at = (struct label *)(void *)(a + 1);
    char *text = (char *)(at + pairs);
    a->labels = put_labels(&at, &text, spec->labels);
    a->annotations = put_labels(&at, &text, spec->annotations);
    a->generator_url = put_text(&text, spec->generator_url);
    a->starts_at = spec->starts_at;
    a->ends_at = spec->ends_at;
    a->updated_at = spec->updated_at;
    a->starts_offset_s = spec->starts_offset_s;
    a->ends_offset_s = spec->ends_offset_s;
    a->timeout = spec->timeout;
    a->fp = labels_fingerprint(a->labels);
    a->nflog_hash = labels_nflog_hash(a->labels);
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
    if (before == 1)
        mem_free(counted);
}

bool alert_resolved_at(const struct alert *a, struct wire_time now)
{
    return !wire_time_is_zero(a->ends_at) && wire_time_cmp(a->ends_at, now) <= 0;
}

struct alert_spec alert_spec_of(const struct alert *a)
{
    return (struct alert_spec){
        .labels = a->labels,
        .annotations = a->annotations,
        .generator_url = a->generator_url,
        .starts_at = a->starts_at,
        .ends_at = a->ends_at,
        .updated_at = a->updated_at,
        .starts_offset_s = a->starts_offset_s,
        .ends_offset_s = a->ends_offset_s,
        .timeout = a->timeout,
    };
}

static bool spec_overlaps(const struct alert_spec *stored, const struct alert_spec *fresh)
{
    return (wire_time_cmp(fresh->ends_at, stored->starts_at) > 0 &&
            wire_time_cmp(fresh->ends_at, stored->ends_at) < 0) ||
           (wire_time_cmp(fresh->starts_at, stored->starts_at) > 0 &&
            wire_time_cmp(fresh->starts_at, stored->ends_at) < 0);
}

static bool spec_resolved_at(const struct alert_spec *s, struct wire_time now)
{
    return !wire_time_is_zero(s->ends_at) && wire_time_cmp(s->ends_at, now) <= 0;
}

struct alert_spec alert_spec_merge(const struct alert_spec *stored, const struct alert_spec *fresh, struct wire_time now)
{
    if (!spec_overlaps(stored, fresh))
        return *fresh;
    bool fresh_is_younger = wire_time_cmp(fresh->updated_at, stored->updated_at) >= 0;
    const struct alert_spec *younger = fresh_is_younger ? fresh : stored;
    const struct alert_spec *older = fresh_is_younger ? stored : fresh;
    struct alert_spec merged = *younger;
    if (wire_time_cmp(older->starts_at, younger->starts_at) < 0) {
        merged.starts_at = older->starts_at;
        merged.starts_offset_s = older->starts_offset_s;
    }
    bool older_ends_later = wire_time_cmp(older->ends_at, younger->ends_at) > 0;
    bool take_older_end = spec_resolved_at(younger, now) ? spec_resolved_at(older, now) && older_ends_later
                                                         : older_ends_later && !older->timeout;
    if (take_older_end) {
        merged.ends_at = older->ends_at;
        merged.ends_offset_s = older->ends_offset_s;
    }
    return merged;
}

struct alert *alert_merge(const struct alert *stored, const struct alert *fresh, struct wire_time now)
{
    ASSERT(stored->fp == fresh->fp);
    struct alert_spec a = alert_spec_of(stored), b = alert_spec_of(fresh);
    struct alert_spec merged = alert_spec_merge(&a, &b, now);
    bool same = merged.annotations.v == b.annotations.v && merged.timeout == b.timeout &&
                wire_time_cmp(merged.starts_at, b.starts_at) == 0 && wire_time_cmp(merged.ends_at, b.ends_at) == 0 &&
                wire_time_cmp(merged.updated_at, b.updated_at) == 0;
    return same ? alert_retain(fresh) : alert_new(&merged);
}
