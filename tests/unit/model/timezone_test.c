/* Zones: TZif bytes made here, so that no test depends on the tzdata of the machine. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/timezone.h"

struct shape {
    const int64_t *times;
    const uint8_t *time_types;
    size_t times_count;
    const char *rule; /* NULL: version 1 only */
};

static void header(struct buf *b, char version, uint32_t times, uint32_t types, uint32_t chars)
{
    buf_c(b, "TZif");
    buf_byte(b, version);
    buf_fill(b, '\0', 15);
    buf_be32(b, 0);
    buf_be32(b, 0);
    buf_be32(b, 0);
    buf_be32(b, times);
    buf_be32(b, types);
    buf_be32(b, chars);
}

/* Types: 0 LMT +0:53:28, 1 CET +1, 2 CEST +2 summer. */
static void types(struct buf *b)
{
    static const struct {
        int32_t offset_s;
        char dst, name;
    } rows[] = { { 3208, 0, 0 }, { 3600, 0, 4 }, { 7200, 1, 8 } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_be32(b, (uint32_t)rows[i].offset_s);
        buf_byte(b, rows[i].dst);
        buf_byte(b, rows[i].name);
    }
    buf_append(b, "LMT\0CET\0CEST\0", 13);
}

static void make(struct buf *b, const struct shape *s)
{
    if (s->rule == NULL) {
        header(b, '\0', (uint32_t)s->times_count, 3, 13);
        for (size_t i = 0; i < s->times_count; i++)
            buf_be32(b, (uint32_t)s->times[i]);
        buf_append(b, s->time_types, s->times_count);
        types(b);
        return;
    }
    header(b, '2', 0, 1, 4);
    buf_append(b, "\0\0\0\0\0\0XXX\0", 10);
    header(b, '2', (uint32_t)s->times_count, 3, 13);
    for (size_t i = 0; i < s->times_count; i++)
        buf_be64(b, (uint64_t)s->times[i]);
    buf_append(b, s->time_types, s->times_count);
    types(b);
    buf_printf(b, "\n%s\n", s->rule);
}

static const int64_t berlin_times[] = { -2422054408, 828234000, 846378000 };
static const uint8_t berlin_types[] = { 1, 2, 1 };

static struct zone *berlin(const char *rule)
{
    size_t skip = rule == NULL; /* the first transition does not fit version 1 */
    struct shape shape = { berlin_times + skip, berlin_types + skip, 3 - skip, rule };
    struct buf b = { 0 };
    struct err err = { 0 };
    make(&b, &shape);
    struct zone *z = zone_parse(STR("Europe/Berlin"), buf_view(&b), &err);
    buf_deinit(&b);
    assert_non_null(z);
    return z;
}

static void offset_is(const struct zone *z, int64_t unix_s, int32_t offset_s, const char *abbreviation)
{
    struct zone_offset o;
    zone_at(z, unix_s, &o);
    assert_int_equal(o.offset_s, offset_s);
    assert_true(str_eq(o.abbreviation, str_c(abbreviation)));
}

static void transitions_then_the_rule_decide(void **state)
{
    (void)state;
    struct zone *z = berlin("CET-1CEST,M3.5.0,M10.5.0/3");
    offset_is(z, -3000000000, 3208, "LMT");
    offset_is(z, -2422054408, 3600, "CET");
    offset_is(z, 828234000, 7200, "CEST");
    offset_is(z, 846377999, 7200, "CEST");
    offset_is(z, 1711846799, 3600, "CET"); /* 2024-03-31 00:59:59 UTC */
    offset_is(z, 1711846800, 7200, "CEST");
    offset_is(z, 1729990799, 7200, "CEST");
    offset_is(z, 1729990800, 3600, "CET");
    offset_is(z, 4102444800, 3600, "CET"); /* 2100 */
    zone_release(z);
}

static void version_1_ends_with_its_last_transition(void **state)
{
    (void)state;
    struct zone *z = berlin(NULL);
    offset_is(z, 846377999, 7200, "CEST");
    offset_is(z, 1720000000, 3600, "CET");
    zone_release(z);
}

static void the_southern_summer_spans_the_new_year(void **state)
{
    (void)state;
    struct zone *z = berlin("AEST-10AEDT,M10.1.0,M4.1.0/3");
    offset_is(z, 1704067200, 39600, "AEDT"); /* 2024-01-01 */
    offset_is(z, 1719792000, 36000, "AEST"); /* 2024-07-01 */
    offset_is(z, 1735603200, 39600, "AEDT"); /* 2024-12-31 */
    zone_release(z);
}

static void odd_rules_are_read(void **state)
{
    (void)state;
    struct zone *z = berlin("<+0330>-3:30<+0430>,J79/24,J263/24");
    offset_is(z, 1711000000, 16200, "+0430"); /* 2024-03-21 05:46 UTC, from J79 24:00 local on */
    offset_is(z, 1709251200, 12600, "+0330");
    zone_release(z);
    z = berlin("<-03>3");
    offset_is(z, 1711000000, -10800, "-03");
    zone_release(z);
    z = berlin("no rule"); /* as if there were none */
    offset_is(z, 1711000000, 3600, "CET");
    zone_release(z);
}

static void civil_times_in_gaps_and_overlaps_follow_go(void **state)
{
    (void)state;
    struct zone *z = berlin("CET-1CEST,M3.5.0,M10.5.0/3");
    struct civil gap = { .year = 2024, .month = 3, .day = 31, .hour = 2, .minute = 30 };
    assert_int_equal(zone_from_civil(z, &gap).s, 1711848600); /* read with the summer offset's guess: 03:30 CEST */
    struct civil twice = { .year = 2024, .month = 10, .day = 27, .hour = 2, .minute = 30 };
    assert_int_equal(zone_from_civil(z, &twice).s, 1729992600);
    struct civil carried = { .year = 2024, .month = 13, .day = 32, .ns = 5 };
    struct wire_time t = zone_from_civil(z, &carried);
    assert_int_equal(t.s, 1738364400);
    assert_int_equal(t.ns, 5);
    zone_release(z);
}

static void abbreviations_are_found(void **state)
{
    (void)state;
    struct zone *z = berlin("CET-1CEST,M3.5.0,M10.5.0/3");
    int32_t offset_s = 0;
    assert_true(zone_lookup_abbreviation(z, STR("CEST"), 1720000000, &offset_s));
    assert_int_equal(offset_s, 7200);
    assert_true(zone_lookup_abbreviation(z, STR("LMT"), 1720000000, &offset_s));
    assert_int_equal(offset_s, 3208);
    assert_false(zone_lookup_abbreviation(z, STR("PST"), 1720000000, &offset_s));
    zone_release(z);
}

static void damaged_files_are_refused_at_every_length(void **state)
{
    (void)state;
    struct shape shape = { berlin_times, berlin_types, 3, "CET-1" };
    struct buf b = { 0 };
    make(&b, &shape);
    size_t data_end = b.n - strlen("\nCET-1\n");
    for (size_t n = 0; n < data_end; n++) {
        struct err err = { 0 };
        assert_null(zone_parse(STR("x"), str_of(b.p, n), &err));
        assert_int_equal(err.code, ERR_CORRUPT);
    }
    struct err err = { 0 };
    struct zone *z = zone_parse(STR("x"), str_of(b.p, data_end), &err); /* the rule may be missing */
    assert_non_null(z);
    zone_release(z);
    b.p[44 + 10 + 44 + 3 * 8] = 3; /* a transition to a type that is not there */
    assert_null(zone_parse(STR("x"), buf_view(&b), &err));
    buf_deinit(&b);
}

/* A file system that has one file. */
struct one_file {
    struct fs fs;
    struct str path, bytes;
};

static bool one_open(struct fs *fs, struct str path, unsigned flags, struct fs_file **f, struct err *err)
{
    struct one_file *one = container_of(fs, struct one_file, fs);
    (void)flags;
    if (!str_eq(path, one->path))
        return err_set(err, ERR_NOT_FOUND, "open %.*s: no such file or directory", STR_ARG(path));
    *f = (struct fs_file *)(void *)one;
    return true;
}

static void one_close(struct fs *fs, struct fs_file *f)
{
    (void)fs;
    (void)f;
}

static bool one_size(struct fs *fs, struct fs_file *f, uint64_t *size, struct err *err)
{
    (void)f;
    (void)err;
    *size = container_of(fs, struct one_file, fs)->bytes.n;
    return true;
}

static bool one_read(struct fs *fs, struct fs_file *f, uint64_t at, void *p, size_t n, size_t *got, struct err *err)
{
    (void)f;
    (void)err;
    struct str piece = str_sub(container_of(fs, struct one_file, fs)->bytes, (size_t)at, n);
    if (piece.n > 0)
        memcpy(p, piece.p, piece.n);
    *got = piece.n;
    return true;
}

static void names_are_looked_up_as_go_does(void **state)
{
    (void)state;
    struct shape shape = { berlin_times, berlin_types, 3, "CET-1CEST,M3.5.0,M10.5.0/3" };
    struct buf b = { 0 };
    make(&b, &shape);
    struct one_file one = { .fs = { .open = one_open, .close = one_close, .size = one_size, .read = one_read },
                            .path = STR(ZONE_DIR "/Europe/Berlin"), .bytes = buf_view(&b) };
    struct err err = { 0 };
    struct zone *z = zone_load(&one.fs, STR("Europe/Berlin"), NULL, &err);
    assert_non_null(z);
    assert_true(str_eq(zone_name(z), STR("Europe/Berlin")));
    struct zone *local = zone_load(&one.fs, STR("Local"), z, &err);
    assert_ptr_equal(local, z);
    zone_release(local);
    zone_release(z);
    assert_ptr_equal(zone_load(&one.fs, STR(""), NULL, &err), zone_utc());
    assert_null(zone_load(&one.fs, STR("Mars/Phobos"), NULL, &err));
    assert_string_equal(err.text, "unknown time zone Mars/Phobos");
    assert_null(zone_load(&one.fs, STR("../etc/passwd"), NULL, &err));
    z = zone_load_local(&one.fs, true, STR(":Europe/Berlin"));
    offset_is(z, 1720000000, 7200, "CEST");
    zone_release(z);
    assert_ptr_equal(zone_load_local(&one.fs, false, STR_EMPTY), zone_utc());
    buf_deinit(&b);
}

static void a_fixed_zone_has_one_offset(void **state)
{
    (void)state;
    struct zone *z = zone_fixed(STR("X"), -3600);
    offset_is(z, 0, -3600, "X");
    offset_is(z, INT64_MIN, -3600, "X");
    zone_release(zone_retain(z));
    zone_release(z);
    offset_is(NULL, 0, 0, "UTC");
    assert_true(str_eq(zone_name(NULL), STR("UTC")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transitions_then_the_rule_decide),
        cmocka_unit_test(version_1_ends_with_its_last_transition),
        cmocka_unit_test(the_southern_summer_spans_the_new_year),
        cmocka_unit_test(odd_rules_are_read),
        cmocka_unit_test(civil_times_in_gaps_and_overlaps_follow_go),
        cmocka_unit_test(abbreviations_are_found),
        cmocka_unit_test(damaged_files_are_refused_at_every_length),
        cmocka_unit_test(names_are_looked_up_as_go_does),
        cmocka_unit_test(a_fixed_zone_has_one_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
