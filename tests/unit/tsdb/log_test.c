/* tsdb/wal: what is logged is read back; what is damaged is cut off behind the last whole record; a full disk costs
 * nothing but time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "lib/memfs.h"
#include "tsdb/wal/checkpoint_int.h"
#include "tsdb/wal/log_int.h"
#include "tsdb/wal/record_int.h"

#include <stdio.h>

#define DIR STR("wal")

static void put(struct wal *w, struct str record, enum wal_compression how)
{
    struct buf packed = { 0 };
    struct err err = { 0 };
    struct wal_item item = wal_pack(record, how, &packed);
    assert_true(wal_log(w, &item, 1, &err));
    buf_deinit(&packed);
}

/* A record that tells its number, of a length that varies between nothing much and several pages. */
static struct str numbered(struct buf *b, uint32_t i)
{
    buf_reset(b);
    buf_be32(b, i);
    buf_fill(b, (char)i, i % 7 == 0 ? 100000 : i % 5 == 0 ? WAL_PAGE_BYTES - WAL_FRAGMENT_HEADER - 4 : i * 37 % 3000);
    return buf_view(b);
}

/* How many numbered records can be read, in order from 0; *damaged if something stopped it. */
static uint32_t count(struct fs *fs, bool *damaged, uint32_t *segment, uint64_t *record_end)
{
    struct wal_segments s;
    struct wal_reader r;
    struct err err = { 0 };
    struct str record;
    bool got = true;
    uint32_t n = 0;
    *damaged = false;
    assert_true(wal_segments_list(fs, DIR, &s, &err));
    if (s.n == 0)
        return 0;
    assert_true(wal_reader_open(&r, fs, DIR, s.v[0], s.v[s.n - 1], 0, &err));
    while (got) {
        if (!wal_reader_next(&r, &record, &got, &err)) {
            assert_int_equal(err.code, ERR_CORRUPT);
            *damaged = true;
            break;
        }
        if (got) {
            assert_true(record.n >= 4);
            assert_int_equal(get_be32(record.p), n);
            n++;
        }
    }
    *segment = r.segment;
    *record_end = r.record_end;
    wal_reader_close(&r);
    wal_segments_deinit(&s);
    return n;
}

static void write_numbered(struct memfs *m, uint32_t n, enum wal_compression how, uint64_t segment_bytes)
{
    struct wal w;
    struct err err = { 0 };
    struct buf b = { 0 };
    struct wal_options o = { .segment_bytes = segment_bytes };
    assert_true(wal_open(&w, memfs_fs(m), DIR, &o, &err));
    for (uint32_t i = 0; i < n; i++)
        put(&w, numbered(&b, i), how);
    wal_close(&w);
    buf_deinit(&b);
}

static void records_come_back_over_pages_and_segments(void **state)
{
    (void)state;
    static const enum wal_compression ways[] = { WAL_PLAIN, WAL_SNAPPY, WAL_ZSTD };
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct memfs *m = memfs_new();
        bool damaged;
        uint32_t segment;
        uint64_t end;
        write_numbered(m, 300, ways[i], 4 * WAL_PAGE_BYTES);
        assert_int_equal(count(memfs_fs(m), &damaged, &segment, &end), 300);
        assert_false(damaged);
        memfs_free(m);
    }
}

static void every_flipped_byte_is_found_and_repaired(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct fs *fs = memfs_fs(m);
    struct buf whole = { 0 };
    struct err err = { 0 };
    bool damaged;
    uint32_t segment;
    uint64_t end;
    write_numbered(m, 40, WAL_SNAPPY, 64 * WAL_PAGE_BYTES);
    assert_true(memfs_get(m, STR("wal/00000000"), &whole));
    for (size_t at = 0; at < whole.n; at += 1 + at % 211) {
        struct buf bad = { 0 };
        buf_str(&bad, buf_view(&whole));
        bad.p[at] = (char)(bad.p[at] ^ 0x15);
        memfs_put(m, STR("wal/00000000"), buf_view(&bad));
        uint32_t before = count(fs, &damaged, &segment, &end);
        if (damaged) {
            assert_true(wal_repair(fs, DIR, segment, end, &err));
            assert_int_equal(count(fs, &damaged, &segment, &end), before);
            assert_false(damaged);
        } else {
            assert_int_equal(before, 40);
        }
        buf_deinit(&bad);
    }
    buf_deinit(&whole);
    memfs_free(m);
}

static void every_cut_keeps_what_is_before_it(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct fs *fs = memfs_fs(m);
    struct buf whole = { 0 };
    struct err err = { 0 };
    bool damaged;
    uint32_t segment, last = 0;
    uint64_t end;
    write_numbered(m, 40, WAL_PLAIN, 64 * WAL_PAGE_BYTES);
    assert_true(memfs_get(m, STR("wal/00000000"), &whole));
    for (size_t n = 0; n < whole.n; n += 997) {
        memfs_put(m, STR("wal/00000000"), str_of(whole.p, n));
        uint32_t got = count(fs, &damaged, &segment, &end);
        assert_true(got >= last);
        last = got;
        if (damaged) {
            assert_true(wal_repair(fs, DIR, segment, end, &err));
            assert_int_equal(count(fs, &damaged, &segment, &end), got);
            assert_false(damaged);
        }
    }
    buf_deinit(&whole);
    memfs_free(m);
}

static void full_disk_keeps_batches_in_memory_up_to_the_bound(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct fs *fs = memfs_fs(m);
    struct wal w;
    struct err err = { 0 };
    struct buf b = { 0 };
    struct wal_options o = { .segment_bytes = 4 * WAL_PAGE_BYTES, .pending_max_bytes = 400000 };
    bool damaged;
    uint32_t segment, n = 0;
    uint64_t end;
    assert_true(wal_open(&w, fs, DIR, &o, &err));
    for (; n < 10; n++)
        put(&w, numbered(&b, n), WAL_PLAIN);
    memfs_set_faults(m, &(struct memfs_faults){ .capacity_bytes = memfs_bytes(m) + 5000 });
    for (;; n++) {
        struct wal_item item = { numbered(&b, n), WAL_PLAIN, NULL };
        if (!wal_log(&w, &item, 1, &err))
            break;
        assert_true(n < 1000);
    }
    assert_int_equal(err.code, ERR_LIMIT);
    assert_true(atomic_load(&w.is_stalled));
    assert_true(n > 12);
    memfs_set_faults(m, NULL);
    assert_true(wal_maintain(&w, &err));
    assert_false(atomic_load(&w.is_stalled));
    for (uint32_t k = 0; k < 30; k++, n++)
        put(&w, numbered(&b, n), WAL_PLAIN);
    wal_close(&w);
    assert_int_equal(count(fs, &damaged, &segment, &end), n);
    assert_false(damaged);
    buf_deinit(&b);
    memfs_free(m);
}

static void failed_write_that_left_bytes_behind_is_written_again(void **state)
{
    (void)state;
    for (uint64_t at = 1; at < 12; at++) {
        struct memfs *m = memfs_new();
        struct wal w;
        struct err err = { 0 };
        struct buf b = { 0 };
        bool damaged;
        uint32_t segment;
        uint64_t end;
        assert_true(wal_open(&w, memfs_fs(m), DIR, NULL, &err));
        memfs_set_faults(m, &(struct memfs_faults){ .fail_write_at = at, .fail_write_keep = 700, .fail_writes = 2 });
        for (uint32_t i = 0; i < 150; i++)
            put(&w, numbered(&b, i), WAL_PLAIN);
        wal_close(&w);
        assert_int_equal(count(memfs_fs(m), &damaged, &segment, &end), 150);
        assert_false(damaged);
        buf_deinit(&b);
        memfs_free(m);
    }
}

/* Number of the only segment, or UINT32_MAX. */
static uint32_t only_segment(struct fs *fs)
{
    struct wal_segments s;
    struct err err = { 0 };
    assert_true(wal_segments_list(fs, DIR, &s, &err));
    uint32_t number = s.n == 1 ? s.v[0] : UINT32_MAX;
    wal_segments_deinit(&s);
    return number;
}

/* Who wrote the segment was killed, the next one maintained the log, then the power went. */
static void what_a_killed_process_wrote_is_durable_after_maintenance(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct wal w;
    struct err err = { 0 };
    struct buf b = { 0 };
    bool damaged;
    uint32_t segment;
    uint64_t end;
    assert_true(wal_open(&w, memfs_fs(m), DIR, NULL, &err) && memfs_fs(m)->sync_dir(memfs_fs(m), STR("."), &err));
    for (uint32_t i = 0; i < 20; i++)
        put(&w, numbered(&b, i), WAL_PLAIN);
    memfs_set_faults(m, &(struct memfs_faults){ .stop_after_ops = UINT64_MAX });
    wal_close(&w);
    memfs_set_faults(m, NULL);
    assert_true(wal_open(&w, memfs_fs(m), DIR, NULL, &err));
    assert_true(wal_maintain(&w, &err));
    memfs_crash(m, NULL);
    wal_close(&w);
    assert_int_equal(count(memfs_fs(m), &damaged, &segment, &end), 20);
    buf_deinit(&b);
    memfs_free(m);
}

static void first_segment_comes_after_the_checkpoint(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct fs *fs = memfs_fs(m);
    struct wal w;
    struct err err = { 0 };
    assert_true(fs_mkdir_all(fs, STR("wal/checkpoint.00000003"), &err));
    assert_true(wal_open(&w, fs, DIR, NULL, &err));
    wal_close(&w);
    assert_int_equal(only_segment(fs), 4);
    memfs_free(m);
}

static void segments_that_end_before_the_checkpoint_make_room(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct fs *fs = memfs_fs(m);
    struct wal w;
    struct err err = { 0 };
    write_numbered(m, 3, WAL_PLAIN, 0); /* segment 0 */
    assert_true(fs_mkdir_all(fs, STR("wal/checkpoint.00000007"), &err));
    assert_true(wal_open(&w, fs, DIR, NULL, &err));
    wal_close(&w);
    assert_int_equal(only_segment(fs), 8);
    memfs_free(m);
}

static void segments_that_reach_past_the_checkpoint_stay(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct fs *fs = memfs_fs(m);
    struct wal_segments s;
    struct err err = { 0 };
    for (int i = 0; i < 3; i++)
        write_numbered(m, 3, WAL_PLAIN, 0); /* segments 0, 1, 2 */
    assert_true(fs_mkdir_all(fs, STR("wal/checkpoint.00000001"), &err));
    write_numbered(m, 3, WAL_PLAIN, 0);
    assert_true(wal_segments_list(fs, DIR, &s, &err));
    assert_int_equal(s.n, 4);
    assert_int_equal(s.v[3], 3);
    wal_segments_deinit(&s);
    memfs_free(m);
}

/* ---- records ---- */

static void records_decode_to_what_was_encoded(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct err err = { 0 };
    struct record r = { 0 };
    struct label l[] = { { STR("__name__"), STR("x") }, { STR("le"), STR("0.5") } };
    struct labels ls = { l, 2 };
    record_series_begin(&b);
    record_series_item(&b, 7, ls);
    record_series_item(&b, 9, (struct labels){ l, 1 });
    assert_true(record_decode(&r, buf_view(&b), &err));
    assert_int_equal(r.type, RECORD_SERIES);
    assert_int_equal(r.n, 2);
    assert_true(labels_eq(r.series[0].labels, ls));
    buf_reset(&b);
    record_samples_begin(&b, RECORD_SAMPLES, 1000, 5000);
    record_sample_item(&b, 1000, 5000, 3, INT64_MIN, 42);
    record_sample_item(&b, 1000, 5000, UINT64_MAX, INT64_MAX, 43);
    assert_true(record_decode(&r, buf_view(&b), &err));
    assert_int_equal(r.n, 2);
    assert_true(r.samples[0].ref == 3 && r.samples[0].t == INT64_MIN && r.samples[0].v == 42);
    assert_true(r.samples[1].ref == UINT64_MAX && r.samples[1].t == INT64_MAX);
    int64_t deltas[] = { 1, -1, 5 };
    struct histogram_span spans[] = { { -3, 2 }, { 4, 1 } };
    struct int_histogram h = { .hint = RESET_GAUGE, .schema = 3, .zero_threshold = 0.25, .zero_count = 2, .count = 9, .sum = -1.5,
                               .positive = { spans, 2, deltas, 3 } };
    buf_reset(&b);
    record_samples_begin(&b, RECORD_HISTOGRAMS, 5, 100);
    record_histogram_item(&b, 5, 100, 5, 100, &h, NULL);
    assert_true(record_decode(&r, buf_view(&b), &err));
    assert_int_equal(r.n, 1);
    assert_true(int_histogram_eq(r.histograms[0].h, &h));
    assert_int_equal(r.histograms[0].h->hint, RESET_GAUGE);
    record_deinit(&r);
    buf_deinit(&b);
}

static void cut_records_are_corrupt_and_unknown_ones_are_skipped(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct record r = { 0 };
    struct label l[] = { { STR("__name__"), STR("x") } };
    record_series_begin(&b);
    record_series_item(&b, 7, (struct labels){ l, 1 });
    for (size_t n = 2; n < b.n; n++) {
        struct err err = { 0 };
        assert_false(record_decode(&r, str_of(b.p, n), &err));
        assert_int_equal(err.code, ERR_CORRUPT);
    }
    struct err err = { 0 };
    assert_true(record_decode(&r, STR("\x01"), &err)); /* no items */
    assert_true(record_decode(&r, STR("\xc8" "abc"), &err));
    assert_int_equal(r.type, RECORD_UNKNOWN);
    record_deinit(&r);
    buf_deinit(&b);
}

/* ---- checkpoints ---- */

static bool keep_even(void *arg, uint64_t ref)
{
    (void)arg;
    return ref % 2 == 0;
}

static void checkpoint_keeps_live_series_and_late_samples(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct fs *fs = memfs_fs(m);
    struct wal w;
    struct err err = { 0 };
    struct buf b = { 0 };
    assert_true(wal_open(&w, fs, DIR, NULL, &err));
    for (uint64_t ref = 1; ref <= 4; ref++) {
        struct label l[] = { { STR("__name__"), STR("x") }, { STR("i"), str_of("1234" + ref - 1, 1) } };
        buf_reset(&b);
        record_series_begin(&b);
        record_series_item(&b, ref, (struct labels){ l, 2 });
        put(&w, buf_view(&b), WAL_SNAPPY);
        buf_reset(&b);
        record_metadata_begin(&b);
        record_metadata_item(&b, ref, &(struct series_metadata){ SERIES_COUNTER, STR("s"), STR("help") });
        put(&w, buf_view(&b), WAL_PLAIN);
        buf_reset(&b);
        record_samples_begin(&b, RECORD_SAMPLES, ref, 0);
        for (int64_t t = 0; t < 10; t++)
            record_sample_item(&b, ref, 0, ref, t, 1);
        put(&w, buf_view(&b), WAL_PLAIN);
        assert_true(wal_cut(&w, &err));
    }
    wal_close(&w);
    struct wal_times unknown = { 0 }, new_times = { 0 };
    struct checkpoint_plan plan = { .fs = fs, .dir = DIR, .upto = 2, .mint = 6, .keep = keep_even, .log_times = &unknown,
                                    .checkpoint_times = &new_times };
    assert_true(checkpoint_write(&plan, &err));
    wal_times_deinit(&new_times);
    struct path p = { 0 };
    struct wal_reader r;
    struct str record;
    struct record rec = { 0 };
    bool got = true, found;
    uint32_t number;
    size_t series = 0, samples = 0, metadata = 0;
    assert_true(checkpoint_last(fs, DIR, &found, &number, &err));
    assert_true(found && number == 2);
    struct str dir = checkpoint_path(&p, DIR, 2);
    assert_true(wal_reader_open(&r, fs, dir, 0, 0, 0, &err));
    while (got) {
        assert_true(wal_reader_next(&r, &record, &got, &err));
        if (!got)
            break;
        assert_true(record_decode(&rec, record, &err));
        for (size_t i = 0; i < rec.n && rec.type == RECORD_SAMPLES; i++)
            assert_true(rec.samples[i].t >= 6);
        series += rec.type == RECORD_SERIES ? rec.n : 0;
        samples += rec.type == RECORD_SAMPLES ? rec.n : 0;
        metadata += rec.type == RECORD_METADATA ? rec.n : 0;
    }
    assert_int_equal(series, 1);
    assert_int_equal(samples, 12);
    assert_int_equal(metadata, 1);
    wal_reader_close(&r);
    record_deinit(&rec);
    path_deinit(&p);
    buf_deinit(&b);
    memfs_free(m);
}

/* A log of megabytes whose times wander: records of samples, histograms and exemplars, some of many times, some logged
 * without bounds. */
static void write_wandering(struct memfs *m, struct wal_times *times)
{
    struct wal w;
    struct err err = { 0 };
    struct buf b = { 0 }, packed = { 0 };
    struct rng rng;
    struct wal_options o = { .segment_bytes = 40 * WAL_PAGE_BYTES };
    rng_seed(&rng, 3);
    assert_true(wal_open(&w, memfs_fs(m), DIR, &o, &err));
    for (int64_t n = 0; n < 3000; n++) {
        int64_t t0 = n + (int64_t)rng_below(&rng, 400), spread = rng_below(&rng, 8) ? 1 : 500;
        struct wal_bounds bounds = WAL_BOUNDS_NONE;
        enum record_type type = rng_below(&rng, 6) ? RECORD_SAMPLES : RECORD_EXEMPLARS;
        buf_reset(&b);
        buf_reset(&packed);
        record_samples_begin(&b, type, 1, t0);
        for (uint64_t ref = 1; ref < 250; ref++) {
            int64_t t = t0 + (int64_t)rng_below(&rng, (uint64_t)spread);
            struct exemplar e = { .t = t, .value = (double)n };
            wal_bounds_add(&bounds, t);
            if (type == RECORD_SAMPLES)
                record_sample_item(&b, 1, t0, ref, t, rng_u64(&rng));
            else
                record_exemplar_item(&b, 1, t0, ref, &e);
        }
        struct wal_item item = wal_pack(buf_view(&b), rng_below(&rng, 3) ? WAL_SNAPPY : n % 2 ? WAL_ZSTD : WAL_PLAIN, &packed);
        item.bounds = rng_below(&rng, 200) ? &bounds : NULL;
        assert_true(wal_log(&w, &item, 1, &err));
    }
    wal_times_now(&w, times);
    wal_close(&w);
    buf_deinit(&b);
    buf_deinit(&packed);
}

struct kept {
    uint64_t n, sum, records;
};

/* What a replay takes from the segments of dir. */
static struct kept kept_in(struct memfs *m, struct str dir, int64_t mint)
{
    struct wal_segments s;
    struct wal_reader r;
    struct err err = { 0 };
    struct str bytes;
    struct record rec = { 0 };
    struct kept k = { 0 };
    bool got = true;
    assert_true(wal_segments_list(memfs_fs(m), dir, &s, &err) && s.n);
    assert_true(wal_reader_open(&r, memfs_fs(m), dir, s.v[0], s.v[s.n - 1], 0, &err));
    while (got) {
        assert_true(wal_reader_next(&r, &bytes, &got, &err));
        if (!got)
            break;
        assert_true(record_decode(&rec, bytes, &err));
        k.records++;
        for (size_t i = 0; i < rec.n; i++) {
            int64_t t = rec.type == RECORD_SAMPLES ? rec.samples[i].t : rec.exemplars[i].e.t;
            uint64_t v = rec.type == RECORD_SAMPLES ? rec.samples[i].v : f64_bits(rec.exemplars[i].e.value);
            uint64_t ref = rec.type == RECORD_SAMPLES ? rec.samples[i].ref : rec.exemplars[i].ref;
            k.n += t >= mint;
            k.sum += t >= mint ? (v ^ (uint64_t)t * 31 ^ ref * 1009) * UINT64_C(0x9E3779B97F4A7C15) : 0;
        }
    }
    wal_reader_close(&r);
    wal_segments_deinit(&s);
    record_deinit(&rec);
    return k;
}

static void a_checkpoint_by_noted_times_keeps_what_one_that_reads_all_keeps(void **state)
{
    (void)state;
    static const int64_t mints[] = { 0, 700, 1500, 2600, 9000 };
    struct memfs *m = memfs_new();
    struct wal_times noted = { 0 }, unknown = { 0 };
    struct err err = { 0 };
    struct path p = { 0 };
    write_wandering(m, &noted);
    assert_true(noted.n > 8);
    for (int by_times = 0; by_times < 2; by_times++) {
        struct memfs *own = memfs_new();
        struct wal_times same = { 0 }, last = { 0 };
        write_wandering(own, &same);
        wal_times_deinit(&same);
        uint32_t upto = 0;
        for (size_t i = 0; i < ARRAY_LEN(mints); i++, upto++) {
            struct checkpoint_plan plan = { .fs = memfs_fs(own), .dir = DIR, .upto = upto, .mint = mints[i], .keep = keep_even,
                                            .log_times = by_times ? &noted : &unknown, .checkpoint_times = &last };
            plan.first = i ? upto : 0;
            assert_true(checkpoint_write(&plan, &err));
            if (!by_times)
                wal_times_deinit(&last);
            struct kept want = { 0 };
            for (uint32_t k = 0; k <= upto; k++) { /* the log itself, cut to one segment at a time */
                struct memfs *one = memfs_new();
                struct buf bytes = { 0 };
                assert_true(memfs_get(m, wal_segment_path(&p, DIR, k), &bytes));
                memfs_put(one, wal_segment_path(&p, DIR, 0), buf_view(&bytes));
                struct kept part = kept_in(one, DIR, mints[i]);
                want.n += part.n;
                want.sum += part.sum;
                buf_deinit(&bytes);
                memfs_free(one);
            }
            struct kept got = kept_in(own, checkpoint_path(&p, DIR, upto), INT64_MIN);
            assert_int_equal(got.n, want.n);
            assert_int_equal(got.sum, want.sum);
        }
        wal_times_deinit(&last);
        memfs_free(own);
    }
    wal_times_deinit(&noted);
    path_deinit(&p);
    memfs_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back_over_pages_and_segments),
        cmocka_unit_test(every_flipped_byte_is_found_and_repaired),
        cmocka_unit_test(every_cut_keeps_what_is_before_it),
        cmocka_unit_test(full_disk_keeps_batches_in_memory_up_to_the_bound),
        cmocka_unit_test(failed_write_that_left_bytes_behind_is_written_again),
        cmocka_unit_test(what_a_killed_process_wrote_is_durable_after_maintenance),
        cmocka_unit_test(first_segment_comes_after_the_checkpoint),
        cmocka_unit_test(segments_that_end_before_the_checkpoint_make_room),
        cmocka_unit_test(segments_that_reach_past_the_checkpoint_stay),
        cmocka_unit_test(records_decode_to_what_was_encoded),
        cmocka_unit_test(cut_records_are_corrupt_and_unknown_ones_are_skipped),
        cmocka_unit_test(checkpoint_keeps_live_series_and_late_samples),
        cmocka_unit_test(a_checkpoint_by_noted_times_keeps_what_one_that_reads_all_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
