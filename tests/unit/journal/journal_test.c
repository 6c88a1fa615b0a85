#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "journal/journal.h"
#include "lib/alloc_count.h"
#include "lib/memfs.h"

#include <pthread.h>

/* What a replay saw: "type:payload," each. */
static bool collect(void *arg, uint8_t type, struct str payload, struct err *err)
{
    (void)err;
    struct buf *seen = arg;
    buf_u64(seen, type);
    buf_byte(seen, ':');
    buf_str(seen, payload);
    buf_byte(seen, ',');
    return true;
}

static struct journal *open_journal(struct memfs *m, const struct journal_options *options, struct buf *seen,
                                    struct journal_stats *stats)
{
    struct journal *j;
    struct err err = { 0 };
    struct journal_stats ignored;
    if (!journal_open(&j, memfs_fs(m), STR("data"), options, collect, seen, stats ? stats : &ignored, &err))
        fail_msg("%s", err.text);
    return j;
}

static void append(struct journal *j, uint8_t type, const char *payload)
{
    struct err err;
    assert_true(journal_append(j, type, str_c(payload), NULL, &err));
}

/* Writes what is buffered, until there is nothing or the disk says no. */
static bool flush(struct journal *j, bool sync, struct err *err)
{
    struct journal_batch batch;
    while (journal_take(j, &batch)) {
        bool ok = journal_write(j, &batch, sync, err);
        journal_done(j, &batch);
        if (!ok)
            return false;
    }
    return true;
}

static void flush_ok(struct journal *j, bool sync)
{
    struct err err = { 0 };
    if (!flush(j, sync, &err))
        fail_msg("%s", err.text);
}

static int setup(void **state)
{
    struct memfs *m = memfs_new();
    memfs_put(m, STR("data/silences"), STR("not ours"));
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    memfs_free(*state);
    return 0;
}

static void check_replay(struct memfs *m, const char *want)
{
    struct buf seen = { 0 };
    journal_close(open_journal(m, NULL, &seen, NULL));
    assert_string_equal(seen.p ? seen.p : "", want);
    buf_deinit(&seen);
}

static void records_come_back_in_order(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 };
    struct journal *j = open_journal(m, NULL, &seen, NULL);
    assert_int_equal(seen.n, 0);
    append(j, 1, "one");
    append(j, 2, "");
    flush_ok(j, true);
    append(j, 255, "three");
    flush_ok(j, false);
    assert_int_equal(journal_buffered_bytes(j), 0);
    journal_close(j);
    check_replay(m, "1:one,2:,255:three,");
    check_replay(m, "1:one,2:,255:three,");
    buf_deinit(&seen);
}

static void tickets_say_what_is_on_disk(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 };
    struct journal *j = open_journal(m, NULL, &seen, NULL);
    struct err err;
    uint64_t a, b, c;
    assert_true(journal_append(j, 1, STR("a"), &a, &err));
    assert_true(journal_append(j, 1, STR("b"), &b, &err));
    assert_true(b == a + 1);
    struct journal_batch batch, second;
    assert_true(journal_take(j, &batch));
    assert_true(batch.last == b);
    assert_false(journal_take(j, &second)); /* one at a time */
    assert_true(journal_append(j, 1, STR("c"), &c, &err));
    assert_true(journal_write(j, &batch, true, &err));
    assert_true(batch.written && batch.synced);
    journal_done(j, &batch);
    assert_true(journal_take(j, &second));
    assert_true(second.last == c && journal_last_ticket(j) == c);
    journal_done(j, &second); /* not written: comes again */
    assert_true(journal_take(j, &second));
    assert_true(journal_write(j, &second, false, &err));
    journal_done(j, &second);
    assert_false(journal_take(j, &second));
    journal_close(j);
    check_replay(m, "1:a,1:b,1:c,");
    buf_deinit(&seen);
}

static void a_torn_tail_is_cut_off_and_counted(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 }, whole = { 0 };
    struct journal *j = open_journal(m, NULL, &seen, NULL);
    append(j, 1, "first");
    append(j, 2, "second");
    flush_ok(j, true);
    journal_close(j);
    assert_true(memfs_get(m, STR("data/journal.0"), &whole));
    size_t first_bytes = 9 + 5;
    for (size_t n = 0; n < whole.n; n++) {
        struct journal_stats stats;
        buf_reset(&seen);
        memfs_put(m, STR("data/journal.0"), str_of(whole.p, n));
        journal_close(open_journal(m, NULL, &seen, &stats));
        assert_string_equal(seen.p ? seen.p : "", n < first_bytes ? "" : "1:first,");
        assert_int_equal(stats.lost_bytes, n < first_bytes ? n : n - first_bytes);
        assert_int_equal(stats.records, n >= first_bytes);
        struct buf left = { 0 };
        assert_true(memfs_get(m, STR("data/journal.0"), &left));
        assert_int_equal(left.n, n < first_bytes ? 0 : first_bytes);
        buf_deinit(&left);
    }
    buf_deinit(&seen);
    buf_deinit(&whole);
}

static void a_changed_byte_ends_its_segment_only(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 }, whole = { 0 };
    struct journal *j = open_journal(m, NULL, &seen, NULL);
    append(j, 1, "first");
    append(j, 2, "second");
    append(j, 3, "third");
    flush_ok(j, true);
    journal_close(j);
    j = open_journal(m, NULL, &seen, NULL);
    append(j, 4, "fourth");
    flush_ok(j, true);
    journal_close(j);
    assert_true(memfs_get(m, STR("data/journal.0"), &whole));
    for (size_t i = 14; i < 14 + 9 + 6; i++) { /* in the second frame */
        struct buf bad = { 0 };
        buf_str(&bad, buf_view(&whole));
        bad.p[i] ^= 0x10;
        memfs_put(m, STR("data/journal.0"), buf_view(&bad));
        buf_reset(&seen);
        struct journal_stats stats;
        journal_close(open_journal(m, NULL, &seen, &stats));
        assert_string_equal(seen.p, "1:first,4:fourth,");
        assert_int_equal(stats.lost_bytes, whole.n - 14);
        buf_deinit(&bad);
    }
    buf_deinit(&seen);
    buf_deinit(&whole);
}

static void rotation_and_drop_fold_the_journal(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 };
    struct err err;
    struct journal *j = open_journal(m, NULL, &seen, NULL);
    assert_int_equal(journal_rotate(j), 0); /* nothing in it yet */
    append(j, 1, "old");
    flush_ok(j, true);
    append(j, 2, "old, not yet written");
    uint64_t segment = journal_rotate(j);
    assert_int_equal(segment, 1);
    assert_int_equal(journal_rotate(j), 1);
    append(j, 3, "new");
    flush_ok(j, true);
    check_replay(m, "1:old,2:old, not yet written,3:new,");
    assert_true(journal_drop(j, segment, &err));
    append(j, 4, "newer");
    flush_ok(j, true);
    journal_close(j);
    check_replay(m, "3:new,4:newer,");
    struct buf other = { 0 };
    assert_true(memfs_get(m, STR("data/silences"), &other));
    buf_deinit(&other);
    buf_deinit(&seen);
}

static void a_batch_for_a_dropped_segment_is_not_written(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 };
    struct err err;
    struct journal *j = open_journal(m, NULL, &seen, NULL);
    append(j, 1, "in the snapshot");
    uint64_t segment = journal_rotate(j);
    assert_true(journal_drop(j, segment, &err));
    append(j, 2, "after");
    flush_ok(j, true);
    journal_close(j);
    check_replay(m, "2:after,");
    buf_deinit(&seen);
}

static void full_segments_make_room_for_new_ones(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 };
    struct journal_options options = { .segment_bytes_max = 40 };
    struct journal_stats stats;
    struct journal *j = open_journal(m, &options, &seen, NULL);
    for (int i = 0; i < 6; i++) {
        append(j, 1, "0123456789");
        if (i == 2)
            append(j, 2, "a record that is longer than a whole segment may be");
    }
    flush_ok(j, true);
    journal_close(j);
    journal_close(open_journal(m, NULL, &seen, &stats));
    assert_int_equal(stats.records, 7);
    assert_int_equal(stats.segments, 5); /* 2, 1, long, 2, 1 */
    buf_deinit(&seen);
}

static void bounds_are_refused_and_lifted_by_writing(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 };
    struct err err;
    struct journal_options options = { .buffer_bytes_max = 64 };
    struct journal *j = open_journal(m, &options, &seen, NULL);
    append(j, 1, "0123456789012345678901234567890123456789");
    assert_false(journal_append(j, 1, STR("0123456789"), NULL, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    flush_ok(j, false);
    append(j, 1, "0123456789");
    char *large = mem_alloc(JOURNAL_RECORD_BYTES_MAX + 1u);
    assert_false(journal_append(j, 1, str_of(large, JOURNAL_RECORD_BYTES_MAX + 1u), NULL, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    mem_free(large);
    journal_close(j);
    buf_deinit(&seen);
}

static void a_full_disk_leaves_nothing_damaged_and_heals(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 };
    struct err err;
    struct journal *j = open_journal(m, NULL, &seen, NULL);
    append(j, 1, "fits");
    flush_ok(j, true);
    struct memfs_faults faults = { .capacity_bytes = memfs_bytes(m) + 20 };
    memfs_set_faults(m, &faults);
    append(j, 2, "does not fit");
    append(j, 3, "neither");
    for (int i = 0; i < 3; i++) {
        assert_false(flush(j, true, &err));
        assert_int_equal(err.code, ERR_LIMIT);
        assert_string_equal(err.text, "journal: write: no space left on device");
        check_replay(m, "1:fits,");
    }
    append(j, 4, "later");
    memfs_set_faults(m, NULL);
    flush_ok(j, true);
    journal_close(j);
    check_replay(m, "1:fits,2:does not fit,3:neither,4:later,");
    buf_deinit(&seen);
}

static void a_failed_sync_is_written_again(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 };
    struct err err;
    struct journal *j = open_journal(m, NULL, &seen, NULL);
    append(j, 1, "a");
    struct memfs_faults faults = { .fail_sync_at = 1 };
    memfs_set_faults(m, &faults);
    assert_false(flush(j, true, &err));
    check_replay(m, "");
    append(j, 2, "b");
    flush_ok(j, true);
    memfs_crash(m, NULL);
    journal_close(j);
    check_replay(m, "1:a,2:b,");
    buf_deinit(&seen);
}

static void failures_across_a_rotation_keep_the_order(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 };
    struct err err;
    struct journal *j = open_journal(m, NULL, &seen, NULL);
    append(j, 1, "a");
    struct memfs_faults faults = { .fail_write_at = 1, .fail_write_keep = 5, .fail_writes = 3 };
    memfs_set_faults(m, &faults);
    assert_false(flush(j, true, &err));
    append(j, 2, "b");
    journal_rotate(j);
    append(j, 3, "c");
    assert_false(flush(j, true, &err));
    assert_false(flush(j, true, &err));
    flush_ok(j, true);
    memfs_crash(m, NULL);
    journal_close(j);
    check_replay(m, "1:a,2:b,3:c,");
    buf_deinit(&seen);
}

static void a_synced_segment_implies_the_earlier_ones(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 };
    struct err err;
    struct journal *j = open_journal(m, NULL, &seen, NULL);
    append(j, 1, "a");
    flush_ok(j, false);
    journal_rotate(j);
    append(j, 2, "b");
    flush_ok(j, true);
    append(j, 3, "c");
    flush_ok(j, false);
    assert_true(journal_sync(j, &err));
    append(j, 4, "never synced");
    flush_ok(j, false);
    memfs_crash(m, NULL);
    journal_close(j);
    check_replay(m, "1:a,2:b,3:c,");
    buf_deinit(&seen);
}

static bool refuse_two(void *arg, uint8_t type, struct str payload, struct err *err)
{
    (void)arg;
    (void)payload;
    return type != 2 || err_set(err, ERR_CORRUPT, "no such type");
}

static void an_objection_of_the_replay_fails_the_open(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 };
    struct err err;
    struct journal_stats stats;
    struct journal *j = open_journal(m, NULL, &seen, NULL);
    append(j, 1, "a");
    append(j, 2, "b");
    flush_ok(j, true);
    journal_close(j);
    assert_false(journal_open(&j, memfs_fs(m), STR("data"), NULL, refuse_two, NULL, &stats, &err));
    assert_null(j);
    assert_string_equal(err.text, "journal segment data/journal.0: no such type");
    check_replay(m, "1:a,2:b,");
    buf_deinit(&seen);
}

static void segments_replay_in_numeric_order(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 };
    for (int i = 0; i < 12; i++) {
        struct journal *j = open_journal(m, NULL, &seen, NULL);
        append(j, (uint8_t)i, "");
        flush_ok(j, true);
        journal_close(j);
    }
    memfs_put(m, STR("data/journal.05"), STR("no segment"));
    memfs_put(m, STR("data/journal.x"), STR("no segment"));
    check_replay(m, "0:,1:,2:,3:,4:,5:,6:,7:,8:,9:,10:,11:,");
    buf_deinit(&seen);
}

static void a_warm_journal_allocates_nothing(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 };
    struct err err;
    struct journal *j = open_journal(m, NULL, &seen, NULL);
    uint64_t owners = 0;
    for (int round = 0; round < 20; round++) {
        struct journal_batch batch;
        uint64_t before = alloc_count();
        for (int i = 0; i < 50; i++)
            append(j, 1, "some payload of a record");
        assert_true(journal_take(j, &batch));
        owners = alloc_count() - before;
        assert_true(journal_write(j, &batch, false, &err));
        journal_done(j, &batch);
    }
    assert_int_equal(owners, 0);
    journal_close(j);
    buf_deinit(&seen);
}

enum desk_state { DESK_EMPTY, DESK_TO_WRITE, DESK_DONE, DESK_CLOSED };

/* The one slot between two threads, each way. */
struct desk {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct journal *j;
    struct journal_batch batch;
    enum desk_state state;
};

static void desk_set(struct desk *d, enum desk_state state)
{
    pthread_mutex_lock(&d->lock);
    d->state = state;
    pthread_cond_broadcast(&d->moved);
    pthread_mutex_unlock(&d->lock);
}

static enum desk_state desk_wait_while(struct desk *d, enum desk_state one, enum desk_state two)
{
    pthread_mutex_lock(&d->lock);
    while (d->state == one || d->state == two)
        pthread_cond_wait(&d->moved, &d->lock);
    enum desk_state state = d->state;
    pthread_mutex_unlock(&d->lock);
    return state;
}

static void *disk_thread(void *arg)
{
    struct desk *d = arg;
    while (desk_wait_while(d, DESK_EMPTY, DESK_DONE) == DESK_TO_WRITE) {
        struct err err;
        bool ok = journal_write(d->j, &d->batch, true, &err);
        ASSERT(ok == d->batch.written);
        desk_set(d, DESK_DONE);
    }
    return NULL;
}

/* The owner goes on appending while the disk thread writes, also when some writes fail. */
static void owner_and_disk_thread_share_only_the_batch(void **state)
{
    struct memfs *m = *state;
    struct buf seen = { 0 }, want = { 0 };
    struct desk d = { .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER };
    struct memfs_faults faults = { .fail_write_at = 3, .fail_write_keep = 7, .fail_writes = 2 };
    pthread_t disk;
    d.j = open_journal(m, NULL, &seen, NULL);
    memfs_set_faults(m, &faults);
    assert_int_equal(pthread_create(&disk, NULL, disk_thread, &d), 0);
    for (unsigned i = 0; i < 600; i++) {
        append(d.j, (uint8_t)i, "payload");
        buf_printf(&want, "%u:payload,", i % 256);
        if (i % 100 == 99)
            journal_rotate(d.j);
        pthread_mutex_lock(&d.lock);
        enum desk_state at = d.state;
        pthread_mutex_unlock(&d.lock);
        if (at == DESK_DONE) {
            journal_done(d.j, &d.batch);
            at = DESK_EMPTY;
        }
        if (at == DESK_EMPTY && journal_take(d.j, &d.batch))
            desk_set(&d, DESK_TO_WRITE);
    }
    while (journal_buffered_bytes(d.j) > 0) {
        if (desk_wait_while(&d, DESK_TO_WRITE, DESK_TO_WRITE) == DESK_DONE)
            journal_done(d.j, &d.batch);
        desk_set(&d, journal_take(d.j, &d.batch) ? DESK_TO_WRITE : DESK_EMPTY);
    }
    desk_set(&d, DESK_CLOSED);
    pthread_join(disk, NULL);
    memfs_crash(m, NULL);
    journal_close(d.j);
    check_replay(m, want.p);
    buf_deinit(&seen);
    buf_deinit(&want);
}

/* A scenario of appends, flushes, rotations and drops; `acked` is the number of records whose batch was synced,
 * `dropped` how many the snapshot covers. Stops when the disk dies. */
struct outcome {
    uint64_t appended, acked, folded, folding;
};

static void run_scenario(struct memfs *m, uint64_t seed, struct outcome *o)
{
    struct rng rng;
    rng_seed(&rng, seed);
    struct buf seen = { 0 };
    struct journal_stats stats;
    struct err err;
    struct journal *j;
    *o = (struct outcome){ 0 };
    if (!journal_open(&j, memfs_fs(m), STR("data"), NULL, collect, &seen, &stats, &err)) {
        buf_deinit(&seen);
        return;
    }
    bool alive = true;
    for (int step = 0; alive && step < 12; step++) {
        for (uint64_t k = rng_below(&rng, 4); k > 0; k--) {
            char payload[24] = { 0 };
            struct buf b = { .p = payload, .capacity = sizeof payload, .limit_bytes = sizeof payload - 1 };
            buf_u64(&b, ++o->appended);
            append(j, 1, payload);
        }
        struct journal_batch batch;
        while (alive && journal_take(j, &batch)) {
            uint64_t last = batch.last;
            alive = journal_write(j, &batch, true, &err);
            journal_done(j, &batch);
            if (alive)
                o->acked = last;
        }
        if (alive && rng_below(&rng, 4) == 0) {
            uint64_t covers = o->appended;
            uint64_t segment = journal_rotate(j);
            o->folding = covers;
            alive = journal_drop(j, segment, &err);
            if (alive)
                o->folded = covers;
        }
    }
    journal_close(j);
    buf_deinit(&seen);
}

/* The machine dies after every single operation, keeping nothing or a random part of what was not synced: every
 * acknowledged record that no snapshot covers comes back, in order, without a gap. */
static void acknowledged_records_survive_a_crash_at_every_operation(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        for (uint64_t stop = 1;; stop++) {
            struct memfs *m = memfs_new();
            memfs_put(m, STR("data/x"), STR(""));
            struct memfs_faults faults = { .stop_after_ops = stop };
            struct outcome o;
            memfs_set_faults(m, &faults);
            run_scenario(m, seed, &o);
            bool finished = memfs_ops(m) < stop;
            struct rng rng;
            rng_seed(&rng, seed * 1000 + stop);
            memfs_crash(m, stop % 3 ? &rng : NULL);
            struct buf seen = { 0 };
            journal_close(open_journal(m, NULL, &seen, NULL));
            struct str rest = buf_view(&seen), record;
            uint64_t expected = 0, last = 0;
            while (rest.n && str_split(&rest, ',', &record) && record.n) {
                uint64_t number = 0;
                for (size_t i = 2; i < record.n; i++)
                    number = number * 10 + (uint64_t)(record.p[i] - '0');
                if (expected && number != expected && number > o.folding)
                    fail_msg("seed %d stop %d: %d after %d", (int)seed, (int)stop, (int)number, (int)last);
                if (!expected && number > o.folding + 1)
                    fail_msg("seed %d stop %d: starts at %d", (int)seed, (int)stop, (int)number);
                last = number;
                expected = number + 1;
            }
            if (last < o.acked && o.acked > o.folding)
                fail_msg("seed %d stop %d: acked %d, last %d", (int)seed, (int)stop, (int)o.acked, (int)last);
            buf_deinit(&seen);
            memfs_free(m);
            if (finished)
                break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_come_back_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(tickets_say_what_is_on_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(a_torn_tail_is_cut_off_and_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_byte_ends_its_segment_only, setup, teardown),
        cmocka_unit_test_setup_teardown(rotation_and_drop_fold_the_journal, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_for_a_dropped_segment_is_not_written, setup, teardown),
        cmocka_unit_test_setup_teardown(full_segments_make_room_for_new_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds_are_refused_and_lifted_by_writing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_nothing_damaged_and_heals, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_sync_is_written_again, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_across_a_rotation_keep_the_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_synced_segment_implies_the_earlier_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(an_objection_of_the_replay_fails_the_open, setup, teardown),
        cmocka_unit_test_setup_teardown(segments_replay_in_numeric_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_warm_journal_allocates_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(owner_and_disk_thread_share_only_the_batch, setup, teardown),
        cmocka_unit_test(acknowledged_records_survive_a_crash_at_every_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
