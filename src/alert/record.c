/* Records of alerts: see record.h and docs/formats/alerts.md.
 *
 *     WHOLE   u8 1 | uvarint flags (1: timeout) | time starts | time ends | time updated | varint starts offset |
 *             varint ends offset | pairs labels | pairs annotations | text generator URL
 *     TIMES   u8 2 | { le64 fingerprint | le64 ends | le64 updated }*        both as ns since 1970
 *     TIMER   u8 3 | uvarint flags (1: flushed) | text route id | le64 fingerprint of labels | time due
 *     SAVED   u8 4 | time at
 *
 *     time = varint seconds | uvarint nanoseconds    text = uvarint bytes | bytes    pairs = uvarint n | { text | text }*
 *
 * Snapshot: "tocsin-alerts\n" | u8 version | { uvarint bytes | record }* | le32 crc32c of everything before it.
 *
 * R1  What parse() accepts is what write() makes: sorted unique labels without empty values, at least one of them,
 *     valid UTF-8, an end, nanoseconds in range, nothing behind the last field. */
#include "alert/record.h"

#include "base/bytes.h"
#include "base/utf8.h"
#include "wire/crc.h"
#include "wire/varint.h"

static const uint64_t FLAG = 1;
static const char MAGIC[] = "tocsin-alerts\n";
enum { MAGIC_BYTES = sizeof MAGIC - 1, VERSION = 1, CRC_BYTES = 4 };

/* ---- Writing ---- */

static void write_time(struct buf *out, struct wire_time t)
{
    varint_write(out, t.s);
    uvarint_write(out, (uint64_t)t.ns);
}

static void write_text(struct buf *out, struct str s)
{
    uvarint_write(out, s.n);
    buf_str(out, s);
}

static void write_pairs(struct buf *out, size_t n, struct alert_walk w)
{
    struct label l;
    uvarint_write(out, n);
    while (alert_walk_next(&w, &l)) {
        write_text(out, l.name);
        write_text(out, l.value);
    }
}

void alert_record_write(struct buf *out, const struct alert_slot *s)
{
    const struct alert *v = s->value;
    buf_byte(out, ALERT_RECORD_WHOLE);
    uvarint_write(out, s->timeout ? FLAG : 0);
    write_time(out, v->starts_at);
    write_time(out, s->ends_at);
    write_time(out, s->updated_at);
    varint_write(out, v->starts_offset_s);
    varint_write(out, v->ends_offset_s);
    write_pairs(out, v->family->labels_count, alert_walk_labels(v));
    write_pairs(out, v->family->annotations_count, alert_walk_annotations(v));
    write_text(out, v->family->generator_url);
}

void alert_record_begin_times(struct buf *out)
{
    buf_byte(out, ALERT_RECORD_TIMES);
}

static bool time_to_ns(struct wire_time t, int64_t *ns)
{
    return !__builtin_mul_overflow(t.s, INT64_C(1000000000), ns) && !__builtin_add_overflow(*ns, (int64_t)t.ns, ns);
}

bool alert_record_append_times(struct buf *out, const struct alert_slot *s)
{
    int64_t ends_ns, updated_ns;
    if (!time_to_ns(s->ends_at, &ends_ns) || !time_to_ns(s->updated_at, &updated_ns))
        return false;
    buf_le64(out, s->fp);
    buf_le64(out, (uint64_t)ends_ns);
    buf_le64(out, (uint64_t)updated_ns);
    return true;
}

void alert_record_write_timer(struct buf *out, const struct alert_timer *t)
{
    buf_byte(out, ALERT_RECORD_TIMER);
    uvarint_write(out, t->flushed ? FLAG : 0);
    write_text(out, t->route_id);
    buf_le64(out, t->labels);
    write_time(out, t->due);
}

void alert_record_write_saved(struct buf *out, struct wire_time at)
{
    buf_byte(out, ALERT_RECORD_SAVED);
    write_time(out, at);
}

/* ---- Reading ---- */

static bool take_time(struct str *rest, struct wire_time *t)
{
    uint64_t ns;
    if (!varint_take(rest, &t->s) || !uvarint_take(rest, &ns) || ns > 999999999)
        return false;
    t->ns = (int32_t)ns;
    return true;
}

static bool take_text(struct str *rest, struct str *s)
{
    uint64_t n;
    if (!uvarint_take(rest, &n) || n > rest->n)
        return false;
    *s = str_sub(*rest, 0, (size_t)n);
    *rest = str_from(*rest, (size_t)n);
    return utf8_valid(*s);
}

static bool take_offset(struct str *rest, int32_t *offset_s)
{
    int64_t v;
    if (!varint_take(rest, &v) || v < -86400 || v > 86400)
        return false;
    *offset_s = (int32_t)v;
    return true;
}

static bool take_pairs(struct arena *a, struct str *rest, bool empty_values, struct labels *ls)
{
    uint64_t n;
    if (!uvarint_take(rest, &n) || n > ALERT_RECORD_LABELS_MAX || n > rest->n)
        return false;
    struct label *v = arena_alloc_array(a, (size_t)n, sizeof *v);
    for (size_t i = 0; i < n; i++) {
        if (!take_text(rest, &v[i].name) || !take_text(rest, &v[i].value) || v[i].name.n == 0)
            return false;
        if ((!empty_values && v[i].value.n == 0) || (i && str_cmp(v[i - 1].name, v[i].name) >= 0))
            return false;
    }
    *ls = (struct labels){ v, (size_t)n };
    return true;
}

static bool take_whole(struct arena *a, struct str *rest, struct alert_spec *s)
{
    uint64_t flags;
    bool ok = uvarint_take(rest, &flags) && flags <= FLAG && take_time(rest, &s->starts_at) &&
              take_time(rest, &s->ends_at) && take_time(rest, &s->updated_at) && take_offset(rest, &s->starts_offset_s) &&
              take_offset(rest, &s->ends_offset_s) && take_pairs(a, rest, false, &s->labels) &&
              take_pairs(a, rest, true, &s->annotations) && take_text(rest, &s->generator_url);
    if (!ok || s->labels.n == 0 || wire_time_is_zero(s->ends_at))
        return false;
    s->timeout = flags & FLAG;
    return true;
}

static bool take_timer(struct str *rest, struct alert_timer *t)
{
    uint64_t flags;
    if (!uvarint_take(rest, &flags) || flags > FLAG || !take_text(rest, &t->route_id) || rest->n < 8)
        return false;
    t->flushed = flags & FLAG;
    t->labels = get_le64(rest->p);
    *rest = str_from(*rest, 8);
    return take_time(rest, &t->due);
}

bool alert_record_parse(struct arena *a, struct str bytes, struct alert_record *r, struct err *err)
{
    *r = (struct alert_record){ 0 };
    if (bytes.n == 0 || bytes.n > ALERT_RECORD_BYTES_MAX)
        return err_set(err, ERR_CORRUPT, "record of an alert: %zu bytes", bytes.n);
    struct str rest = str_from(bytes, 1);
    bool ok = false;
    switch (bytes.p[0]) {
    case ALERT_RECORD_WHOLE:
        ok = take_whole(a, &rest, &r->alert) && rest.n == 0;
        break;
    case ALERT_RECORD_TIMES:
        ok = rest.n % ALERT_TIMES_BYTES == 0;
        r->times = rest;
        break;
    case ALERT_RECORD_TIMER:
        ok = take_timer(&rest, &r->timer) && rest.n == 0;
        break;
    case ALERT_RECORD_SAVED:
        ok = take_time(&rest, &r->saved_at) && rest.n == 0;
        break;
    default:
        break;
    }
    if (!ok)
        return err_set(err, ERR_CORRUPT, "record of an alert: damaged, kind %d", (int)bytes.p[0]);
    r->kind = (enum alert_record_kind)bytes.p[0];
    return true;
}

size_t alert_times_count(const struct alert_record *r)
{
    return r->times.n / ALERT_TIMES_BYTES;
}

static struct wire_time time_of_ns(int64_t ns)
{
    int64_t s = ns / 1000000000;
    int32_t rest = (int32_t)(ns % 1000000000);
    return rest < 0 ? (struct wire_time){ s - 1, rest + 1000000000 } : (struct wire_time){ s, rest };
}

struct alert_times alert_times_at(const struct alert_record *r, size_t i)
{
    ASSERT(i < alert_times_count(r));
    const char *p = r->times.p + i * ALERT_TIMES_BYTES;
    return (struct alert_times){ get_le64(p), time_of_ns((int64_t)get_le64(p + 8)),
                                 time_of_ns((int64_t)get_le64(p + 16)) };
}

/* ---- Snapshot ---- */

void alert_snapshot_begin(struct buf *out)
{
    buf_append(out, MAGIC, MAGIC_BYTES);
    buf_byte(out, VERSION);
}

void alert_snapshot_add(struct buf *out, struct str record)
{
    write_text(out, record);
}

void alert_snapshot_end(struct buf *out)
{
    buf_le32(out, crc32c(0, out->p, out->n));
}

bool alert_snapshot_open(struct str file, struct str *records, struct err *err)
{
    if (file.n < MAGIC_BYTES + 1 + CRC_BYTES || memcmp(file.p, MAGIC, MAGIC_BYTES) != 0)
        return err_set(err, ERR_CORRUPT, "no snapshot of alerts");
    if (file.p[MAGIC_BYTES] != VERSION)
        return err_set(err, ERR_CORRUPT, "snapshot of alerts: unknown version %d", (int)file.p[MAGIC_BYTES]);
    size_t body = file.n - CRC_BYTES;
    if (crc32c(0, file.p, body) != get_le32(file.p + body))
        return err_set(err, ERR_CORRUPT, "snapshot of alerts: checksum mismatch");
    *records = str_sub(file, MAGIC_BYTES + 1, body - MAGIC_BYTES - 1);
    return true;
}

bool alert_snapshot_next(struct str *records, struct str *record)
{
    uint64_t n;
    if (!uvarint_take(records, &n) || n > records->n)
        return false;
    *record = str_sub(*records, 0, (size_t)n);
    *records = str_from(*records, (size_t)n);
    return true;
}
