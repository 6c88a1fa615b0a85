#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "remote/receive.h"
#include "storage/memory.h"
#include "wire/pb.h"

#define NOW INT64_C(1700000000000)

static struct receive_stats stats;

static void label(struct buf *b, const char *name, const char *value)
{
    size_t at = pb_begin(b, 1);
    pb_write_str(b, 1, str_c(name));
    pb_write_str(b, 2, str_c(value));
    pb_end(b, at);
}

static void sample(struct buf *b, double v, int64_t t)
{
    size_t at = pb_begin(b, 2);
    pb_write_f64(b, 1, v);
    pb_write_i64(b, 2, t);
    pb_end(b, at);
}

static int receive(struct storage *st, const struct buf *message, struct err *err)
{
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    int status = remote_receive(&a, buf_view(message), st, NOW, &stats, err);
    arena_deinit(&a);
    return status;
}

static size_t series_count(struct storage *st)
{
    struct arena a;
    struct querier *q;
    struct err err = { 0 };
    struct strs names;
    arena_init(&a, ARENA_NO_LIMIT);
    assert_true(storage_querier(st, &a, 0, INT64_MAX, &q, &err));
    assert_true(querier_label_values(q, STR("__name__"), NULL, 0, &names, &err));
    size_t n = names.n;
    querier_close(q);
    arena_deinit(&a);
    return n;
}

static void samples_of_valid_series_are_kept_and_invalid_series_are_skipped(void **state)
{
    (void)state;
    struct storage *st = memory_storage_new();
    struct buf m = { 0 };
    struct err err = { 0 };
    size_t at = pb_begin(&m, 1);
    label(&m, "job", "a"); /* out of order: names are sorted here */
    label(&m, "__name__", "up");
    sample(&m, 1, NOW);
    pb_end(&m, at);
    at = pb_begin(&m, 1);
    label(&m, "job", "nameless");
    sample(&m, 1, NOW);
    pb_end(&m, at);
    assert_int_equal(receive(st, &m, &err), 204);
    assert_int_equal(series_count(st), 1);
    assert_int_equal(counter_get(&stats.invalid_series), 1);
    buf_deinit(&m);
    memory_storage_free(st);
}

static void a_refused_sample_rolls_the_whole_request_back(void **state)
{
    (void)state;
    struct storage *st = memory_storage_new();
    struct buf m = { 0 };
    struct err err = { 0 };
    size_t at = pb_begin(&m, 1);
    label(&m, "__name__", "good");
    sample(&m, 1, NOW);
    pb_end(&m, at);
    at = pb_begin(&m, 1);
    label(&m, "__name__", "far_future");
    sample(&m, 1, NOW + 3600000);
    pb_end(&m, at);
    assert_int_equal(receive(st, &m, &err), 400);
    assert_non_null(strstr(err.text, "out of bounds"));
    int64_t oldest;
    assert_false(storage_start_time(st, &oldest)); /* not one sample is there */
    buf_deinit(&m);
    memory_storage_free(st);
}

static void damaged_bytes_are_refused(void **state)
{
    (void)state;
    struct storage *st = memory_storage_new();
    struct buf m = { 0 };
    struct err err = { 0 };
    size_t at = pb_begin(&m, 1);
    label(&m, "__name__", "x");
    sample(&m, 1, NOW);
    pb_end(&m, at);
    for (size_t cut = 1; cut < m.n; cut++) {
        struct buf part = { 0 };
        buf_append(&part, m.p, cut);
        err = (struct err){ 0 };
        int status = receive(st, &part, &err);
        assert_int_equal(status, 400);
        buf_deinit(&part);
    }
    buf_deinit(&m);
    memory_storage_free(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_of_valid_series_are_kept_and_invalid_series_are_skipped),
        cmocka_unit_test(a_refused_sample_rolls_the_whole_request_back),
        cmocka_unit_test(damaged_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
