/* Families of alerts.
 *
 * F1  Only the owner of the table takes references of what is in it, so a family whose count is one there is nobody's,
 *     and stays so: others only give theirs back.
 * F2  Each family that is made has the sweep look at SWEPT_PER_NEW places, so that the table is at most a few times as
 *     large as what lives, whatever senders invent.
 * F3  Two families with one hash: the later one is not shared. */
#include "alert/family_int.h"

#include "base/mem.h"

static const size_t SWEPT_PER_NEW = 4;

static uint64_t hash_names(struct labels ls, uint64_t seed)
{
    for (size_t i = 0; i < ls.n; i++)
        seed = str_hash(ls.v[i].name, seed);
    return seed;
}

static uint64_t hash_of(const struct alert_spec *spec)
{
    uint64_t h = str_hash(spec->generator_url, spec->labels.n);
    return hash_names(spec->annotations, hash_names(spec->labels, h));
}

static size_t names_bytes(struct labels ls)
{
    size_t n = 0;
    for (size_t i = 0; i < ls.n; i++)
        n += ls.v[i].name.n;
    return n;
}

static struct str put_text(char **to, struct str s)
{
    struct str copy = str_of(*to, s.n);
    if (s.n)
        memcpy(*to, s.p, s.n);
    *to += s.n;
    return copy;
}

static struct alert_family *family_new(const struct alert_spec *spec, uint64_t hash)
{
    size_t names = spec->labels.n + spec->annotations.n;
    size_t bytes = names_bytes(spec->labels) + names_bytes(spec->annotations) + spec->generator_url.n;
    struct alert_family *f = mem_alloc(sizeof *f + names * sizeof(struct str) + bytes);
    char *text = (char *)(f->names + names);
    f->labels_count = u32_from_size(spec->labels.n);
    f->annotations_count = u32_from_size(spec->annotations.n);
    f->hash = hash;
    for (size_t i = 0; i < spec->labels.n; i++)
        f->names[i] = put_text(&text, spec->labels.v[i].name);
    for (size_t i = 0; i < spec->annotations.n; i++)
        f->names[spec->labels.n + i] = put_text(&text, spec->annotations.v[i].name);
    f->generator_url = put_text(&text, spec->generator_url);
    atomic_init(&f->refs, 1);
    return f;
}

static bool names_are(const struct str *names, struct labels ls)
{
    for (size_t i = 0; i < ls.n; i++)
        if (!str_eq(names[i], ls.v[i].name))
            return false;
    return true;
}

static bool is_family_of(const struct alert_family *f, const struct alert_spec *spec)
{
    return f->labels_count == spec->labels.n && f->annotations_count == spec->annotations.n &&
           str_eq(f->generator_url, spec->generator_url) && names_are(f->names, spec->labels) &&
           names_are(f->names + f->labels_count, spec->annotations);
}

static struct alert_family *retain(struct alert_family *f)
{
    unsigned before = atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return f;
}

void alert_family_release(struct alert_family *f)
{
    unsigned before = atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1)
        mem_free(f);
}

struct alert_family *alert_family_get(struct alert_families *fs, const struct alert_spec *spec)
{
    uint64_t hash = hash_of(spec);
    struct alert_family *f = fs ? map64_get(&fs->by_hash, hash) : NULL;
    if (f && is_family_of(f, spec))
        return retain(f);
    bool taken = f != NULL;
    f = family_new(spec, hash);
    if (!fs || taken) /* F3 */
        return f;
    alert_families_sweep(fs, SWEPT_PER_NEW);
    map64_put(&fs->by_hash, hash, retain(f));
    return f;
}

void alert_families_sweep(struct alert_families *fs, size_t places)
{
    if (places > fs->by_hash.capacity)
        places = fs->by_hash.capacity;
    for (size_t i = 0; i < places; i++) {
        fs->cursor = fs->cursor + 1 < fs->by_hash.capacity ? fs->cursor + 1 : 0;
        struct alert_family *f = fs->by_hash.slots[fs->cursor].value;
        if (!f || atomic_load_explicit(&f->refs, memory_order_acquire) != 1)
            continue;
        map64_remove(&fs->by_hash, f->hash);
        alert_family_release(f);
    }
}

void alert_families_deinit(struct alert_families *fs)
{
    struct alert_family *f;
    for (size_t i = 0; (f = map64_next(&fs->by_hash, &i)) != NULL;)
        alert_family_release(f);
    map64_deinit(&fs->by_hash);
    fs->cursor = 0;
}
