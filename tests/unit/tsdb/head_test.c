/* tsdb/head with threads: writers and readers at once, and the log read back with helpers. Runs in the TSan tier, too. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "lib/memfs.h"
#include "tsdb/tsdb.h"
#include "tsdb/wal/log_int.h"
#include "tsdb/wal/record_int.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOW   INT64_C(1700006400000)
#define BLOCK (20 * 60000)

static struct tsdb *open_db(struct memfs *m, unsigned threads)
{
    struct tsdb *db;
    struct err err = { 0 };
    struct tsdb_options o = { .fs = memfs_fs(m), .dir = STR("d"), .block_ms = BLOCK, .out_of_order_ms = BLOCK / 2,
                              .wal_segment_bytes = 1u << 20, .replay_threads = threads, .seed = 7 };
    if (!tsdb_open(&o, NOW, &db, &err))
        fail_msg("%s", err.text);
    return db;
}

/* ---- writers and readers ---- */

enum { WRITERS = 2, READERS = 3, SERIES = 60, SCRAPES = 400 };

struct work {
    struct tsdb *db;
    unsigned number;
    _Atomic bool *done;
    pthread_barrier_t *step; /* writers keep together: what is far behind the newest sample is refused */
    uint64_t failures;
};

static struct labels labels_of(struct label v[3], char text[16], unsigned writer, unsigned i)
{
    int n = snprintf(text, 16, "%u", i);
    v[0] = (struct label){ STR("__name__"), STR("m") };
    v[1] = (struct label){ STR("i"), str_of(text, (size_t)n) };
    v[2] = (struct label){ STR("writer"), str_of("0123456789" + writer, 1) };
    return (struct labels){ v, 3 };
}

/* Every batch writes its number to all series of the writer, now and then one that was late, and churns one series. */
static void *writes(void *arg)
{
    struct work *w = arg;
    series_ref refs[SERIES] = { 0 };
    for (unsigned n = 0; n < SCRAPES; n++) {
        struct appender *a;
        struct err err = { 0 };
        struct label v[3];
        char text[16];
        int64_t t = NOW + (int64_t)n * 15000;
        if (!storage_appender(tsdb_storage(w->db), NULL, &a, &err))
            abort();
        for (unsigned i = 0; i < SERIES; i++) {
            struct labels ls = labels_of(v, text, w->number, i);
            w->failures += append_sample(a, &refs[i], &ls, t, n) != APPEND_OK;
        }
        series_ref fresh = 0, late = 0;
        struct labels ls = labels_of(v, text, w->number, 1000 + n);
        w->failures += append_sample(a, &fresh, &ls, t, n) != APPEND_OK;
        ls = labels_of(v, text, w->number, 500);
        w->failures += append_sample(a, &late, &ls, n % 3 == 2 ? t - 40000 : t, n) != APPEND_OK;
        w->failures += !append_commit(a, &err);
        pthread_barrier_wait(w->step);
    }
    return NULL;
}

/* All series of a writer end with the same batch, whose number is the value, and miss none before it. */
static void *reads(void *arg)
{
    struct work *w = arg;
    while (!atomic_load(w->done)) {
        struct arena a;
        struct err err = { 0 };
        struct querier *q;
        struct series_set *set;
        struct series *s;
        struct columns c = { 0 };
        struct matcher writer;
        struct matchers ms = { &writer, 1 };
        double last = -1;
        size_t seen = 0;
        arena_init(&a, ARENA_NO_LIMIT);
        if (!matcher_init(&writer, MATCH_EQ, STR("writer"), str_of("0123456789" + w->number % WRITERS, 1), &err) ||
            !storage_querier(tsdb_storage(w->db), &a, INT64_MIN, INT64_MAX, &q, &err) ||
            !querier_select(q, &ms, NULL, &set, &err))
            return w->failures++, NULL;
        while (series_set_next(set, &s, &err) && s) {
            columns_reset(&c);
            w->failures += !series_read(s, INT64_MIN, INT64_MAX, &c, &err);
            if (s->labels.v[1].value.n > 2 || c.n == 0) /* late and short-lived ones */
                continue;
            w->failures += last >= 0 && c.v[c.n - 1] != last;
            last = c.v[c.n - 1];
            w->failures += c.n != (size_t)last + 1;
            seen++;
        }
        w->failures += seen != 0 && seen != SERIES;
        querier_close(q);
        matcher_deinit(&writer);
        columns_deinit(&c);
        arena_deinit(&a);
    }
    return NULL;
}

static void *maintains(void *arg)
{
    struct work *w = arg;
    for (int64_t i = 0; !atomic_load(w->done); i++) {
        struct err err = { 0 };
        struct matcher v;
        struct matchers ms = { &v, 1 };
        tsdb_maintain(w->db, NOW + i * 60000, NULL);
        if (!matcher_init(&v, MATCH_EQ, STR("i"), STR("500"), &err))
            return w->failures++, NULL;
        w->failures += !tsdb_delete(w->db, &ms, 1, NOW, NOW + 30000, &err);
        matcher_deinit(&v);
    }
    return NULL;
}

static void readers_see_whole_batches_while_writers_and_maintenance_run(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct tsdb *db = open_db(m, 0);
    _Atomic bool done = false;
    enum { ALL = WRITERS + READERS + 1 };
    struct work work[ALL];
    pthread_barrier_t step;
    pthread_t threads[ALL];
    pthread_barrier_init(&step, NULL, WRITERS);
    for (unsigned i = 0; i < ALL; i++) {
        work[i] = (struct work){ .db = db, .number = i < WRITERS ? i : i - WRITERS, .done = &done, .step = &step };
        pthread_create(&threads[i], NULL, i < WRITERS ? writes : i < ALL - 1 ? reads : maintains, &work[i]);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&done, true);
    for (unsigned i = WRITERS; i < ALL; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < ALL; i++)
        assert_int_equal(work[i].failures, 0);
    pthread_barrier_destroy(&step);
    tsdb_close(db);
    memfs_free(m);
}

/* ---- replay ---- */

enum { MANY = 6000 }; /* more than two segments of slots */

static void put_many(struct tsdb *db, int64_t t, unsigned from, unsigned step, double value)
{
    struct appender *a;
    struct err err = { 0 };
    assert_true(storage_appender(tsdb_storage(db), NULL, &a, &err));
    for (unsigned i = from; i < MANY; i += step) {
        struct label v[3];
        char text[16];
        series_ref ref = 0;
        struct labels ls = labels_of(v, text, 0, i);
        if (i % 10 != 9) {
            assert_int_equal(append_sample(a, &ref, &ls, t, value + i), APPEND_OK);
            continue;
        }
        struct histogram_span span = { 0, 1 };
        int64_t delta = (int64_t)value + i;
        struct int_histogram h = { .count = (uint64_t)delta, .sum = value, .positive = { &span, 1, &delta, 1 } };
        assert_int_equal(value == 7 ? append_sample(a, &ref, &ls, t, stale_nan()) : append_histogram(a, &ref, &ls, t, &h, NULL),
                         APPEND_OK);
    }
    assert_true(append_commit(a, &err));
}

/* A sum over everything that changes with any sample's place or value. */
static uint64_t digest(struct tsdb *db, size_t *samples)
{
    struct arena a;
    struct err err = { 0 };
    struct querier *q;
    struct series_set *set;
    struct series *s;
    struct columns c = { 0 };
    struct matchers none = { 0 };
    uint64_t sum = 0;
    *samples = 0;
    arena_init(&a, ARENA_NO_LIMIT);
    assert_true(storage_querier(tsdb_storage(db), &a, INT64_MIN, INT64_MAX, &q, &err));
    assert_true(querier_select(q, &none, NULL, &set, &err));
    while (series_set_next(set, &s, &err) && s) {
        columns_reset(&c);
        assert_true(series_read(s, INT64_MIN, INT64_MAX, &c, &err));
        uint64_t h = str_hash(s->labels.v[1].value, 0);
        for (size_t i = 0; i < c.n; i++)
            sum += str_hash(str_of((const char *)&c.v[i], 8), h + (uint64_t)c.t[i]);
        for (size_t i = 0; i < c.hn; i++)
            sum += str_hash(str_of((const char *)&c.h[i]->count, 8), h + (uint64_t)c.ht[i]);
        *samples += c.n + c.hn;
    }
    querier_close(q);
    columns_deinit(&c);
    arena_deinit(&a);
    return sum;
}

static void log_reads_back_the_same_with_and_without_helpers(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct tsdb *db = open_db(m, 0);
    size_t want_n, n;
    for (unsigned k = 0; k < 9; k++)
        put_many(db, NOW + (int64_t)k * 15000, k % 3 == 2 ? 1 : 0, k % 3 + 1, k);
    put_many(db, NOW + INT64_C(40) * 24 * 3600 * 1000, 3, 11, 3); /* further off than a difference of 32 bits */
    struct err err = { 0 };
    struct matcher v;
    struct matchers ms = { &v, 1 };
    assert_true(matcher_init(&v, MATCH_RE, STR("i"), STR(".*7"), &err));
    assert_true(tsdb_delete(db, &ms, 1, NOW, NOW + 20000, &err));
    matcher_deinit(&v);
    uint64_t want = digest(db, &want_n);
    tsdb_close(db);
    for (unsigned threads = 0; threads < 5; threads++) {
        db = open_db(m, threads);
        assert_true(digest(db, &n) == want);
        assert_int_equal(n, want_n);
        tsdb_close(db);
    }
    memfs_free(m);
}

/* Chunks of every length up to several pieces are cut, kept and read. */
static void noisy_chunks_survive_growth_and_restart(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct tsdb *db = open_db(m, 0);
    uint64_t x = 88172645463325252u;
    size_t n;
    for (int64_t k = 0; k < 300; k++) {
        struct appender *a;
        struct err err = { 0 };
        assert_true(storage_appender(tsdb_storage(db), NULL, &a, &err));
        for (unsigned i = 0; i < 20; i++) {
            struct label v[3];
            char text[16];
            series_ref ref = 0;
            struct labels ls = labels_of(v, text, 0, i);
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            double value = i < 5 ? 1 : i < 10 ? (double)k * 15 : (double)(x >> (40 - i)) / 3;
            assert_int_equal(append_sample(a, &ref, &ls, NOW + k * 1000 + (int64_t)(x % (i + 1)), value), APPEND_OK);
        }
        assert_true(append_commit(a, &err));
        if (k % 37 == 36) {
            uint64_t want = digest(db, &n);
            assert_int_equal(n, (size_t)(k + 1) * 20);
            tsdb_close(db);
            db = open_db(m, k % 2 ? 1 : 0);
            assert_true(digest(db, &n) == want);
        }
    }
    tsdb_close(db);
    memfs_free(m);
}

/* ---- out of order ---- */

static void put_one(struct tsdb *db, int64_t t)
{
    struct appender *a;
    struct err err = { 0 };
    struct label v[3];
    char text[16];
    series_ref ref = 0;
    struct labels ls = labels_of(v, text, 0, 0);
    assert_true(storage_appender(tsdb_storage(db), NULL, &a, &err));
    assert_int_equal(append_sample(a, &ref, &ls, t, 1), APPEND_OK);
    assert_true(append_commit(a, &err));
}

static struct tsdb *open_small_chunks(struct memfs *m)
{
    struct tsdb *db;
    struct err err = { 0 };
    struct tsdb_options o = { .fs = memfs_fs(m), .dir = STR("d"), .block_ms = BLOCK, .out_of_order_ms = BLOCK / 2,
                              .out_of_order_chunk = 4, .seed = 7 };
    assert_true(tsdb_open(&o, NOW, &db, &err));
    return db;
}

static size_t samples_in(struct tsdb *db)
{
    size_t n;
    digest(db, &n);
    return n;
}

static void log_late(struct wal *w, int64_t t)
{
    struct buf b = { 0 };
    struct err err = { 0 };
    record_samples_begin(&b, RECORD_SAMPLES, 1, t);
    record_sample_item(&b, 1, t, 1, t, 0);
    struct wal_item item = { buf_view(&b), WAL_PLAIN, NULL };
    assert_true(wal_log(w, &item, 1, &err));
    buf_deinit(&b);
}

static void log_marker(struct wal *w, uint64_t chunk_ref)
{
    struct buf b = { 0 };
    struct err err = { 0 };
    record_markers_begin(&b);
    record_marker_item(&b, 1, chunk_ref);
    struct wal_item item = { buf_view(&b), WAL_PLAIN, NULL };
    assert_true(wal_log(w, &item, 1, &err));
    buf_deinit(&b);
}

/* A crash took chunks_head, and chunks that are written after it get the references of those that were lost. */
static void late_samples_outlive_the_chunks_that_their_log_names(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct wal w;
    struct err err = { 0 };
    struct tsdb *db = open_small_chunks(m);
    put_one(db, NOW + 500000);
    tsdb_close(db);
    assert_true(wal_open(&w, memfs_fs(m), STR("d/wbl"), NULL, &err));
    for (int i = 0; i < 4; i++)
        log_late(&w, NOW + i * 1000);
    log_marker(&w, UINT64_C(1) << 32 | 1000);
    log_late(&w, NOW + 4000);
    log_marker(&w, UINT64_C(1) << 32 | 8); /* where the first chunk of a new file goes */
    wal_close(&w);
    for (int i = 0; i < 3; i++) {
        db = open_small_chunks(m);
        assert_int_equal(samples_in(db), 6 + i);
        put_one(db, NOW + 5000 + i * 1000);
        assert_int_equal(samples_in(db), 7 + i);
        tsdb_close(db);
    }
    memfs_free(m);
}

/* ---- chunks on disk ---- */

static void fill_a_chunk(struct memfs *m, bool snapshot)
{
    struct tsdb_options o = { .fs = memfs_fs(m), .dir = STR("d"), .seed = 7, .snapshot_on_shutdown = snapshot };
    struct tsdb *db;
    struct err err = { 0 };
    if (!tsdb_open(&o, NOW, &db, &err))
        return;
    for (int i = 0; i < 260; i++) {
        struct appender *a;
        struct label v[3];
        char text[16];
        struct labels ls = labels_of(v, text, 0, 0);
        series_ref ref = 0;
        if (!storage_appender(tsdb_storage(db), NULL, &a, &err))
            break;
        if (append_sample(a, &ref, &ls, NOW + i * 1000, i) != APPEND_OK || !append_commit(a, &err))
            break;
    }
    tsdb_close(db);
}

static bool has_unbegun(struct memfs *m)
{
    struct buf names = { 0 };
    struct err err = { 0 };
    bool found = memfs_fs(m)->list(memfs_fs(m), STR("d/chunks_head"), &names, &err) &&
                 str_find(buf_view(&names), STR(".tmp")) != STR_NPOS;
    buf_deinit(&names);
    return found;
}

/* Power goes at every change of files, with every kind of leftover: no file of chunks is there without its whole header, and
 * what was not one yet is cleaned away. */
static void a_power_cut_leaves_no_torn_file_of_chunks(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    uint64_t left_over = 0;
    fill_a_chunk(m, false);
    uint64_t changes = memfs_ops(m);
    memfs_free(m);
    for (uint64_t at = 1; at <= changes; at++) {
        for (uint64_t seed = 1; seed <= 12; seed++) {
            struct rng rng;
            rng_seed(&rng, seed);
            m = memfs_new();
            memfs_set_faults(m, &(struct memfs_faults){ .stop_after_ops = at });
            fill_a_chunk(m, false);
            memfs_crash(m, &rng);
            left_over += has_unbegun(m);
            tsdb_close(open_db(m, 0));
            assert_false(has_unbegun(m));
            memfs_free(m);
        }
    }
    assert_true(left_over > 0);
}

static size_t samples_with_snapshot(struct memfs *m, bool killed)
{
    struct tsdb_options o = { .fs = memfs_fs(m), .dir = STR("d"), .seed = 7, .snapshot_on_shutdown = true };
    struct tsdb *db;
    struct err err = { 0 };
    assert_true(tsdb_open(&o, NOW, &db, &err));
    size_t n = samples_in(db);
    if (killed)
        memfs_set_faults(m, &(struct memfs_faults){ .stop_after_ops = UINT64_MAX });
    tsdb_close(db);
    memfs_set_faults(m, NULL);
    return n;
}

/* A snapshot has only the chunks that were open: without the files of the others the log has to give theirs, also at
 * the start after that, when the process was killed before it had written them again. */
static void damaged_chunks_are_made_again_from_the_log_in_spite_of_a_snapshot(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct buf file = { 0 };
    fill_a_chunk(m, true);
    assert_int_equal(samples_with_snapshot(m, false), 260);
    assert_true(memfs_get(m, STR("d/chunks_head/000001"), &file));
    file.p[20] ^= 0x20;
    memfs_put(m, STR("d/chunks_head/000001"), buf_view(&file));
    assert_int_equal(samples_with_snapshot(m, true), 260);
    assert_int_equal(samples_with_snapshot(m, false), 260);
    assert_int_equal(samples_with_snapshot(m, false), 260);
    buf_deinit(&file);
    memfs_free(m);
}

static void a_snapshot_is_read_without_a_log(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct err err = { 0 };
    fill_a_chunk(m, true);
    assert_true(memfs_fs(m)->remove(memfs_fs(m), STR("d/wal/00000000"), &err));
    assert_int_equal(samples_with_snapshot(m, false), 260);
    memfs_free(m);
}

/* The log still has what a block had that is deleted and cleaned away. */
static void what_was_deleted_and_cleaned_does_not_come_back(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct err err = { 0 };
    struct matcher any;
    struct matchers ms = { &any, 1 };
    struct tsdb *db = open_db(m, 0);
    put_one(db, NOW);
    put_one(db, NOW + 3 * BLOCK);
    tsdb_maintain(db, NOW + 3 * BLOCK, NULL);
    assert_true(matcher_init(&any, MATCH_EQ, STR("__name__"), STR("m"), &err));
    assert_true(tsdb_delete(db, &ms, 1, NOW, NOW, &err));
    assert_true(tsdb_clean_tombstones(db, NOW + 3 * BLOCK, &err));
    assert_int_equal(samples_in(db), 1);
    tsdb_close(db);
    db = open_db(m, 0);
    assert_int_equal(samples_in(db), 1);
    tsdb_close(db);
    matcher_deinit(&any);
    memfs_free(m);
}

int main(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0)
        log_set_fd(null);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_whole_batches_while_writers_and_maintenance_run),
        cmocka_unit_test(log_reads_back_the_same_with_and_without_helpers),
        cmocka_unit_test(noisy_chunks_survive_growth_and_restart),
        cmocka_unit_test(late_samples_outlive_the_chunks_that_their_log_names),
        cmocka_unit_test(a_power_cut_leaves_no_torn_file_of_chunks),
        cmocka_unit_test(damaged_chunks_are_made_again_from_the_log_in_spite_of_a_snapshot),
        cmocka_unit_test(a_snapshot_is_read_without_a_log),
        cmocka_unit_test(what_was_deleted_and_cleaned_does_not_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
