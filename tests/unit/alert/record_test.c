#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alert/record.h"

static struct alert_spec sample(struct label *labels, struct label *annotations)
{
    labels[0] = (struct label){ STR("alertname"), STR("A") };
    labels[1] = (struct label){ STR("instance"), STR("host:9100") };
    annotations[0] = (struct label){ STR("summary"), STR("it is \xe2\x98\x83") };
    return (struct alert_spec){
        .labels = { labels, 2 },
        .annotations = { annotations, 1 },
        .generator_url = STR("http://prom/graph?g0.expr=up"),
        .starts_at = { 1767225600, 123456789 },
        .ends_at = { 1767229200, 999999999 },
        .updated_at = { 1767225661, 1 },
        .starts_offset_s = 7200,
        .ends_offset_s = -3600,
        .timeout = true,
    };
}

static void write_whole(struct buf *b, const struct alert_spec *spec)
{
    struct alert *a = alert_new(NULL, spec);
    struct alert_slot s = { .value = a, .ends_at = spec->ends_at, .updated_at = spec->updated_at, .timeout = spec->timeout };
    alert_record_write(b, &s);
    alert_release(a);
}

static void whole_alert_survives_the_round_trip(void **state)
{
    (void)state;
    struct label l[2], an[1];
    struct alert_spec spec = sample(l, an);
    struct buf b = { 0 };
    struct arena a;
    struct alert_record r;
    struct err err;
    arena_init(&a, ARENA_NO_LIMIT);
    write_whole(&b, &spec);
    assert_true(alert_record_parse(&a, buf_view(&b), &r, &err));
    assert_int_equal(r.kind, ALERT_RECORD_WHOLE);
    assert_true(labels_eq(r.alert.labels, spec.labels));
    assert_true(labels_eq(r.alert.annotations, spec.annotations));
    assert_true(str_eq(r.alert.generator_url, spec.generator_url));
    assert_int_equal(wire_time_cmp(r.alert.starts_at, spec.starts_at), 0);
    assert_int_equal(wire_time_cmp(r.alert.ends_at, spec.ends_at), 0);
    assert_int_equal(wire_time_cmp(r.alert.updated_at, spec.updated_at), 0);
    assert_int_equal(r.alert.starts_offset_s, 7200);
    assert_int_equal(r.alert.ends_offset_s, -3600);
    assert_true(r.alert.timeout);
    for (size_t n = 0; n < b.n; n++) /* every cut is noticed */
        assert_false(alert_record_parse(&a, str_of(b.p, n), &r, &err));
    buf_byte(&b, 0);
    assert_false(alert_record_parse(&a, buf_view(&b), &r, &err));
    buf_deinit(&b);
    arena_deinit(&a);
}

static void unsorted_or_empty_labels_are_refused(void **state)
{
    (void)state;
    struct label l[2], an[1];
    struct alert_spec spec = sample(l, an);
    struct buf b = { 0 };
    struct arena a;
    struct alert_record r;
    struct err err;
    arena_init(&a, ARENA_NO_LIMIT);
    struct label swapped = l[0];
    l[0] = l[1];
    l[1] = swapped;
    write_whole(&b, &spec);
    assert_false(alert_record_parse(&a, buf_view(&b), &r, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    buf_reset(&b);
    spec = sample(l, an);
    l[1].value = STR_EMPTY;
    write_whole(&b, &spec);
    assert_false(alert_record_parse(&a, buf_view(&b), &r, &err));
    buf_reset(&b);
    spec = sample(l, an);
    spec.labels.n = 0;
    write_whole(&b, &spec);
    assert_false(alert_record_parse(&a, buf_view(&b), &r, &err));
    buf_deinit(&b);
    arena_deinit(&a);
}

static void resent_alerts_cost_24_bytes_each(void **state)
{
    (void)state;
    struct alert_slot s = { .fp = 42, .ends_at = { 1767229200, 5 }, .updated_at = { -5, 999999999 } };
    struct buf b = { 0 };
    struct arena a;
    struct alert_record r;
    struct err err;
    arena_init(&a, ARENA_NO_LIMIT);
    alert_record_begin_times(&b);
    assert_true(alert_record_append_times(&b, &s));
    assert_true(alert_record_append_times(&b, &s));
    assert_int_equal(b.n, 1 + 2 * ALERT_TIMES_BYTES);
    s.ends_at.s = 253402300799; /* year 9999 */
    assert_false(alert_record_append_times(&b, &s));
    assert_true(alert_record_parse(&a, buf_view(&b), &r, &err));
    assert_int_equal(alert_times_count(&r), 2);
    struct alert_times t = alert_times_at(&r, 1);
    assert_int_equal(t.fp, 42);
    assert_int_equal(t.ends_at.s, 1767229200);
    assert_int_equal(t.updated_at.s, -5);
    assert_int_equal(t.updated_at.ns, 999999999);
    buf_deinit(&b);
    arena_deinit(&a);
}

static void snapshot_notices_a_flipped_bit(void **state)
{
    (void)state;
    struct buf file = { 0 }, record = { 0 };
    struct alert_timer timer = { STR("{}/{a=\"b\"}/0"), 7, { 1767229200, 0 }, true };
    struct str records, one;
    struct arena a;
    struct alert_record r;
    struct err err;
    arena_init(&a, ARENA_NO_LIMIT);
    alert_snapshot_begin(&file);
    alert_record_write_saved(&record, (struct wire_time){ 1767225600, 3 });
    alert_snapshot_add(&file, buf_view(&record));
    buf_reset(&record);
    alert_record_write_timer(&record, &timer);
    alert_snapshot_add(&file, buf_view(&record));
    alert_snapshot_end(&file);
    assert_true(alert_snapshot_open(buf_view(&file), &records, &err));
    assert_true(alert_snapshot_next(&records, &one));
    assert_true(alert_record_parse(&a, one, &r, &err));
    assert_int_equal(r.kind, ALERT_RECORD_SAVED);
    assert_int_equal(r.saved_at.ns, 3);
    assert_true(alert_snapshot_next(&records, &one));
    assert_true(alert_record_parse(&a, one, &r, &err));
    assert_int_equal(r.kind, ALERT_RECORD_TIMER);
    assert_true(str_eq(r.timer.route_id, timer.route_id));
    assert_int_equal(r.timer.labels, 7);
    assert_true(r.timer.flushed);
    assert_false(alert_snapshot_next(&records, &one));
    for (size_t i = 0; i < file.n; i++) {
        file.p[i] = (char)(file.p[i] ^ 1);
        assert_false(alert_snapshot_open(buf_view(&file), &records, &err));
        file.p[i] = (char)(file.p[i] ^ 1);
    }
    buf_deinit(&file);
    buf_deinit(&record);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_alert_survives_the_round_trip),
        cmocka_unit_test(unsorted_or_empty_labels_are_refused),
        cmocka_unit_test(resent_alerts_cost_24_bytes_each),
        cmocka_unit_test(snapshot_notices_a_flipped_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
