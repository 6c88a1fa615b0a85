/* MeshSilence records.
 *
 * A record that we did not make is kept as it came, with two exceptions: where matcher sets are given, field 2 must be a
 * copy of the first one (an old peer would take an empty list for "matches everything"), and the deprecated comments
 * give way to the fields that replaced them. Unknown fields stay in either case.
 *
 * R1  A value's texts are slices of its own record; the value, its arrays and the record are one block.
 * R2  What silence_record_check() accepts, silence_from_record() can read without looking at bounds again. */
#include "silence/record_int.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "wire/pb.h"
#include "wire/pb_time.h"

enum { /* field numbers */
    MESH_SILENCE = 1, MESH_EXPIRES = 2,
    SIL_ID = 1, SIL_MATCHERS = 2, SIL_STARTS = 3, SIL_ENDS = 4, SIL_UPDATED = 5, SIL_COMMENTS = 7, SIL_CREATED_BY = 8,
    SIL_COMMENT = 9, SIL_ANNOTATIONS = 10, SIL_SETS = 11,
    MATCHER_TYPE = 1, MATCHER_NAME = 2, MATCHER_PATTERN = 3,
};

/* ---- Reading ---- */

/* A walk over a record that counts, checks and remembers where things are. */
struct survey {
    struct str silence;                       /* the Silence message */
    struct wire_time starts_at, ends_at, updated_at, expires_at;
    struct str id, created_by, comment;
    struct str first_comment;
    bool has_silence, has_comments;
    size_t sets_count, set_matchers, old_matchers, annotations;
    struct str first_set;
};

static bool is_message(const struct pb_field *f, uint32_t number)
{
    return f->number == number && f->type == PB_LEN;
}

static bool check_matcher(struct str message)
{
    struct pb_reader r;
    struct pb_field f;
    bool ok = true;
    pb_reader_init(&r, message);
    while (ok && pb_next(&r, &f))
        if (is_message(&f, MATCHER_NAME) || is_message(&f, MATCHER_PATTERN))
            ok = utf8_valid(f.bytes);
    return ok && !r.failed;
}

static bool check_pair(struct str message) /* {1 text, 2 text}: annotations and comments */
{
    struct pb_reader r;
    struct pb_field f;
    bool ok = true;
    pb_reader_init(&r, message);
    while (ok && pb_next(&r, &f))
        if (is_message(&f, 1) || is_message(&f, 2))
            ok = utf8_valid(f.bytes);
    return ok && !r.failed;
}

static bool survey_set(struct survey *s, struct str message)
{
    struct pb_reader r;
    struct pb_field f;
    bool ok = true;
    if (s->sets_count++ == 0)
        s->first_set = message;
    pb_reader_init(&r, message);
    while (ok && pb_next(&r, &f)) {
        if (!is_message(&f, 1))
            continue;
        s->set_matchers++;
        ok = check_matcher(f.bytes);
    }
    return ok && !r.failed;
}

static bool survey_text(const struct pb_field *f, struct str *text)
{
    *text = f->bytes;
    return f->type == PB_LEN && utf8_valid(f->bytes);
}

static bool survey_field(struct survey *s, const struct pb_field *f)
{
    switch (f->number) {
    case SIL_ID:
        return survey_text(f, &s->id);
    case SIL_MATCHERS:
        s->old_matchers++;
        return f->type == PB_LEN && check_matcher(f->bytes);
    case SIL_STARTS:
        return f->type == PB_LEN && pb_read_time(f->bytes, &s->starts_at);
    case SIL_ENDS:
        return f->type == PB_LEN && pb_read_time(f->bytes, &s->ends_at);
    case SIL_UPDATED:
        return f->type == PB_LEN && pb_read_time(f->bytes, &s->updated_at);
    case SIL_COMMENTS:
        if (!s->has_comments)
            s->first_comment = f->bytes;
        s->has_comments = true;
        return f->type == PB_LEN && check_pair(f->bytes);
    case SIL_CREATED_BY:
        return survey_text(f, &s->created_by);
    case SIL_COMMENT:
        return survey_text(f, &s->comment);
    case SIL_ANNOTATIONS:
        s->annotations++;
        return f->type == PB_LEN && check_pair(f->bytes);
    case SIL_SETS:
        return f->type == PB_LEN && survey_set(s, f->bytes);
    default:
        return true;
    }
}

static bool survey_record(struct str record, struct survey *s)
{
    struct pb_reader r, inner;
    struct pb_field f;
    *s = (struct survey){ .id = STR_EMPTY, .created_by = STR_EMPTY, .comment = STR_EMPTY };
    bool ok = true;
    pb_reader_init(&r, record);
    while (ok && pb_next(&r, &f)) {
        if (is_message(&f, MESH_EXPIRES)) {
            ok = pb_read_time(f.bytes, &s->expires_at);
        } else if (is_message(&f, MESH_SILENCE)) {
            ok = !s->has_silence; /* a record has one */
            s->has_silence = true;
            s->silence = f.bytes;
            pb_reader_init(&inner, f.bytes);
            while (ok && pb_next(&inner, &f))
                ok = survey_field(s, &f);
            ok = ok && !inner.failed;
        }
    }
    return ok && !r.failed;
}

bool silence_record_check(struct str record, struct err *err)
{
    struct survey s;
    if (record.n > SILENCE_RECORD_BYTES_MAX)
        return err_set(err, ERR_CORRUPT, "silence too large: %zu bytes", record.n);
    if (!survey_record(record, &s))
        return err_set(err, ERR_CORRUPT, "silence: damaged message");
    if (!s.has_silence)
        return err_set(err, ERR_CORRUPT, "record without silence");
    if (s.set_matchers + s.old_matchers > SILENCE_MATCHERS_MAX || s.sets_count > SILENCE_SETS_MAX ||
        s.annotations > SILENCE_ANNOTATIONS_MAX)
        return err_set(err, ERR_CORRUPT, "silence: too many matchers or annotations");
    return true;
}

/* ---- Writing ---- */

static void copy_field(struct buf *out, const struct pb_field *f)
{
    switch (f->type) {
    case PB_VARINT:
        pb_write_u64(out, f->number, f->value);
        break;
    case PB_I64:
        pb_write_fixed64(out, f->number, f->value);
        break;
    case PB_I32:
        pb_write_fixed32(out, f->number, (uint32_t)f->value);
        break;
    case PB_LEN:
        pb_write_str(out, f->number, f->bytes);
        break;
    case PB_GROUP:
    case PB_GROUP_END:
        break; /* skipped by the reader: nobody sends groups */
    }
}

static bool is_known(uint32_t number)
{
    return number >= SIL_ID && number <= SIL_SETS && number != 6;
}

static void copy_unknown_silence(struct buf *out, struct str silence)
{
    struct pb_reader r;
    struct pb_field f;
    pb_reader_init(&r, silence);
    while (pb_next(&r, &f))
        if (!is_known(f.number))
            copy_field(out, &f);
}

static void copy_unknown_mesh(struct buf *out, struct str record)
{
    struct pb_reader r;
    struct pb_field f;
    pb_reader_init(&r, record);
    while (pb_next(&r, &f))
        if (f.number != MESH_SILENCE && f.number != MESH_EXPIRES)
            copy_field(out, &f);
}

static uint64_t wire_type(enum match_op op)
{
    switch (op) {
    case MATCH_EQ:
        return 0;
    case MATCH_RE:
        return 1;
    case MATCH_NE:
        return 2;
    case MATCH_NRE:
        return 3;
    }
    return 0;
}

static void write_matchers(struct buf *out, uint32_t number, const struct matchers *ms)
{
    for (size_t i = 0; i < ms->n; i++) {
        size_t mark = pb_begin(out, number);
        if (ms->v[i].op != MATCH_EQ)
            pb_write_u64(out, MATCHER_TYPE, wire_type(ms->v[i].op));
        if (ms->v[i].name.n)
            pb_write_str(out, MATCHER_NAME, ms->v[i].name);
        if (ms->v[i].value.n)
            pb_write_str(out, MATCHER_PATTERN, ms->v[i].value);
        pb_end(out, mark);
    }
}

static void write_text(struct buf *out, uint32_t number, struct str s)
{
    if (s.n)
        pb_write_str(out, number, s);
}

static void write_annotations(struct buf *out, struct labels ls)
{
    for (size_t i = 0; i < ls.n; i++) {
        size_t mark = pb_begin(out, SIL_ANNOTATIONS);
        pb_write_str(out, 1, ls.v[i].name);
        pb_write_str(out, 2, ls.v[i].value);
        pb_end(out, mark);
    }
}

void silence_record_write(struct buf *out, const struct silence_parts *p)
{
    struct survey base = { .silence = STR_EMPTY };
    bool has_base = p->base.n && survey_record(p->base, &base);
    size_t silence = pb_begin(out, MESH_SILENCE);
    write_text(out, SIL_ID, p->id);
    if (p->sets_count)
        write_matchers(out, SIL_MATCHERS, &p->sets[0]);
    pb_write_time(out, SIL_STARTS, p->starts_at);
    pb_write_time(out, SIL_ENDS, p->ends_at);
    pb_write_time(out, SIL_UPDATED, p->updated_at);
    write_text(out, SIL_CREATED_BY, p->created_by);
    write_text(out, SIL_COMMENT, p->comment);
    write_annotations(out, p->annotations);
    for (size_t i = 0; i < p->sets_count; i++) {
        size_t set = pb_begin(out, SIL_SETS);
        write_matchers(out, 1, &p->sets[i]);
        pb_end(out, set);
    }
    if (has_base)
        copy_unknown_silence(out, base.silence);
    pb_end(out, silence);
    pb_write_time(out, MESH_EXPIRES, p->expires_at);
    if (has_base)
        copy_unknown_mesh(out, p->base);
}

static size_t varint_bytes(size_t n)
{
    size_t bytes = 1;
    for (; n >= 0x80; n >>= 7)
        bytes++;
    return bytes;
}

size_t silence_record_limited_bytes(struct str record)
{
    struct survey s;
    bool ok = survey_record(record, &s);
    ASSERT(ok);
    size_t copy = 0;
    struct pb_reader r;
    struct pb_field f;
    pb_reader_init(&r, s.silence);
    while (pb_next(&r, &f))
        if (is_message(&f, SIL_MATCHERS))
            copy += 1 + varint_bytes(f.bytes.n) + f.bytes.n;
    size_t with = s.silence.n, without = with - copy;
    return record.n - with - varint_bytes(with) + without + varint_bytes(without);
}

/* Does field 2 repeat the first set? */
static bool copy_is_there(const struct survey *s)
{
    struct pb_reader old, set;
    struct pb_field a, b;
    pb_reader_init(&old, s->silence);
    pb_reader_init(&set, s->first_set);
    bool more_old, more_set;
    do {
        while ((more_old = pb_next(&old, &a)) && a.number != SIL_MATCHERS)
            continue;
        while ((more_set = pb_next(&set, &b)) && b.number != 1)
            continue;
        if (more_old && more_set && !str_eq(a.bytes, b.bytes))
            return false;
    } while (more_old && more_set);
    return more_old == more_set;
}

static struct str comment_part(struct str message, uint32_t number)
{
    struct pb_reader r;
    struct pb_field f;
    struct str text = STR_EMPTY;
    pb_reader_init(&r, message);
    while (pb_next(&r, &f))
        if (is_message(&f, number))
            text = f.bytes;
    return text;
}

/* The record as it should be: itself, or rewritten into scratch. */
static struct str put_in_order(struct str record, const struct survey *s, struct buf *scratch)
{
    bool copy_missing = s->sets_count && !copy_is_there(s);
    if (!copy_missing && !s->has_comments)
        return record;
    buf_reset(scratch);
    size_t silence = pb_begin(scratch, MESH_SILENCE);
    struct pb_reader r;
    struct pb_field f;
    if (s->sets_count) {
        pb_reader_init(&r, s->first_set);
        while (pb_next(&r, &f))
            if (is_message(&f, 1))
                pb_write_str(scratch, SIL_MATCHERS, f.bytes);
    }
    pb_reader_init(&r, s->silence);
    while (pb_next(&r, &f)) {
        bool replaced = (f.number == SIL_MATCHERS && s->sets_count) || f.number == SIL_COMMENTS ||
                        (s->has_comments && (f.number == SIL_CREATED_BY || f.number == SIL_COMMENT));
        if (!replaced)
            copy_field(scratch, &f);
    }
    if (s->has_comments) {
        write_text(scratch, SIL_CREATED_BY, comment_part(s->first_comment, 1));
        write_text(scratch, SIL_COMMENT, comment_part(s->first_comment, 2));
    }
    pb_end(scratch, silence);
    pb_write_time(scratch, MESH_EXPIRES, s->expires_at);
    copy_unknown_mesh(scratch, record);
    return buf_view(scratch);
}

/* ---- Values ---- */

static bool fill_matcher(struct matcher *m, struct str message, struct err *why)
{
    static const enum match_op ops[] = { MATCH_EQ, MATCH_RE, MATCH_NE, MATCH_NRE };
    struct pb_reader r;
    struct pb_field f;
    struct str name = STR_EMPTY, pattern = STR_EMPTY;
    uint64_t type = 0;
    pb_reader_init(&r, message);
    while (pb_next(&r, &f)) {
        if (f.number == MATCHER_TYPE && f.type == PB_VARINT)
            type = f.value;
        else if (is_message(&f, MATCHER_NAME))
            name = f.bytes;
        else if (is_message(&f, MATCHER_PATTERN))
            pattern = f.bytes;
    }
    *m = (struct matcher){ .op = MATCH_EQ, .name = name, .value = pattern };
    if (type >= ARRAY_LEN(ops))
        return err_set(why, ERR_INVALID, "unknown matcher type %llu", (unsigned long long)type);
    return matcher_init(m, ops[type], name, pattern, why);
}

/* The matchers of one set: fields `number` of `message`. Returns how many. */
static size_t fill_matchers(struct matcher *v, struct str message, uint32_t number, struct silence *s, struct err *why)
{
    struct pb_reader r;
    struct pb_field f;
    size_t n = 0;
    pb_reader_init(&r, message);
    while (pb_next(&r, &f)) {
        if (!is_message(&f, number))
            continue;
        if (!fill_matcher(&v[n], f.bytes, why)) {
            v[n].re = NULL;
            s->uncompiled = true;
        }
        n++;
    }
    return n;
}

static void fill_sets(struct silence *s, struct matchers *sets, struct matcher *at, const struct survey *sv,
                      struct err *why)
{
    s->sets = sets;
    if (sv->sets_count == 0 && sv->old_matchers) {
        sets[0] = (struct matchers){ at, fill_matchers(at, sv->silence, SIL_MATCHERS, s, why) };
        s->sets_count = 1;
    }
    struct pb_reader r;
    struct pb_field f;
    pb_reader_init(&r, sv->silence);
    while (sv->sets_count && pb_next(&r, &f)) {
        if (!is_message(&f, SIL_SETS))
            continue;
        struct matchers *set = &sets[s->sets_count++];
        *set = (struct matchers){ at, fill_matchers(at, f.bytes, 1, s, why) };
        at += set->n;
    }
    s->unsendable = s->sets_count == 0;
    for (size_t i = 0; i < s->sets_count; i++)
        s->unsendable = s->unsendable || sets[i].n == 0;
    s->inert = s->unsendable || s->uncompiled;
}

static void fill_annotations(struct silence *s, struct label *v, struct str silence)
{
    struct pb_reader r;
    struct pb_field f;
    size_t n = 0;
    pb_reader_init(&r, silence);
    while (pb_next(&r, &f)) {
        if (!is_message(&f, SIL_ANNOTATIONS))
            continue;
        struct label pair = { comment_part(f.bytes, 1), comment_part(f.bytes, 2) };
        size_t at = n; /* sorted by name; the last of equal names counts */
        while (at > 0 && str_cmp(v[at - 1].name, pair.name) > 0)
            at--;
        if (at > 0 && str_eq(v[at - 1].name, pair.name)) {
            v[at - 1] = pair;
            continue;
        }
        memmove(v + at + 1, v + at, (n - at) * sizeof *v);
        v[at] = pair;
        n++;
    }
    s->annotations = (struct labels){ v, n };
}

struct silence *silence_from_record(struct str record, struct buf *scratch, struct wire_time *expires_at,
                                    struct err *why)
{
    struct survey sv;
    bool ok = survey_record(record, &sv);
    ASSERT(ok && sv.has_silence);
    struct str ordered = put_in_order(record, &sv, scratch);
    ok = survey_record(ordered, &sv);
    ASSERT(ok && sv.has_silence);
    size_t sets = sv.sets_count ? sv.sets_count : 1;
    size_t matchers = sv.sets_count ? sv.set_matchers : sv.old_matchers;
    size_t bytes = sizeof(struct silence) + sets * sizeof(struct matchers) + matchers * sizeof(struct matcher) +
                   sv.annotations * sizeof(struct label) + ordered.n;
    struct silence *s = mem_alloc(bytes);
    struct matchers *set_v = (struct matchers *)(void *)(s + 1);
    struct matcher *matcher_v = (struct matcher *)(void *)(set_v + sets);
    struct label *annotation_v = (struct label *)(void *)(matcher_v + matchers);
    char *text = (char *)(annotation_v + sv.annotations);
    memcpy(text, ordered.p, ordered.n);
    s->record = str_of(text, ordered.n);
    ok = survey_record(s->record, &sv); /* now its slices point into the block */
    ASSERT(ok);
    s->id = sv.id;
    s->starts_at = sv.starts_at;
    s->ends_at = sv.ends_at;
    s->updated_at = sv.updated_at;
    s->created_by = sv.created_by;
    s->comment = sv.comment;
    *expires_at = sv.expires_at;
    fill_sets(s, set_v, matcher_v, &sv, why);
    fill_annotations(s, annotation_v, sv.silence);
    atomic_init(&s->refs, 1);
    return s;
}

const struct silence *silence_retain(const struct silence *s)
{
    struct silence *counted = (struct silence *)(uintptr_t)s;
    unsigned before = atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return s;
}

void silence_release(const struct silence *s)
{
    if (!s)
        return;
    struct silence *counted = (struct silence *)(uintptr_t)s;
    unsigned before = atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before != 1)
        return;
    for (size_t i = 0; i < s->sets_count; i++)
        for (size_t k = 0; k < s->sets[i].n; k++)
            matcher_deinit(&s->sets[i].v[k]);
    mem_free(counted);
}

bool silence_sets_eq(const struct matchers *a, size_t a_count, const struct matchers *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (!matchers_eq(&a[i], &b[i]))
            return false;
    return true;
}

struct str silence_state_text(enum silence_state s)
{
    static const struct str texts[] = {
        [SILENCE_ACTIVE] = STR_INIT("active"),
        [SILENCE_PENDING] = STR_INIT("pending"),
        [SILENCE_EXPIRED] = STR_INIT("expired"),
    };
    return texts[s];
}

enum silence_state silence_state_at(const struct silence *s, struct wire_time t)
{
    if (wire_time_cmp(t, s->starts_at) < 0)
        return SILENCE_PENDING;
    return wire_time_cmp(t, s->ends_at) > 0 ? SILENCE_EXPIRED : SILENCE_ACTIVE;
}

bool silence_matches(const struct silence *s, struct labels ls)
{
    if (s->inert)
        return false;
    for (size_t i = 0; i < s->sets_count; i++)
        if (matchers_match(&s->sets[i], ls))
            return true;
    return false;
}
