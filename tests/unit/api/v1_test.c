/* The query API over a store in memory, request to document. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/v1.h"
#include "storage/memory.h"

#define NOW INT64_C(1700000000000)

static void put(struct appender *ap, const char *name, int64_t t, const struct series_metadata *m)
{
    struct label v[1] = { { STR("__name__"), str_c(name) } };
    struct labels ls = { v, 1 };
    series_ref ref = 0;
    assert_int_equal(append_sample(ap, &ref, &ls, t, 1), APPEND_OK);
    if (m)
        assert_int_equal(append_metadata(ap, ref, m), APPEND_OK);
}

static struct storage *store(void)
{
    const struct series_metadata total = { SERIES_COUNTER, STR(""), STR("Requests.") },
                                 seconds = { SERIES_TYPE_HISTOGRAM, STR("seconds"), STR("Time \"it\" takes.") };
    struct storage *st = memory_storage_new();
    struct appender *ap;
    struct err err = { 0 };
    assert_true(storage_appender(st, NULL, &ap, &err));
    put(ap, "x_total", NOW - 1000, &total);
    put(ap, "y_seconds_bucket", NOW - 1000, &seconds);
    put(ap, "y_seconds_sum", NOW - 1000, &seconds);
    put(ap, "y_seconds_count", NOW - 1000, &seconds);
    put(ap, "old_total", NOW - INT64_C(7200000), &total);
    put(ap, "bare", NOW - 1000, NULL);
    assert_true(append_commit(ap, &err));
    return st;
}

static void check(struct storage *st, const char *path, const char *query, int status, const char *body)
{
    struct arena a;
    struct buf got = { 0 }, piece = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    struct api_v1 v = { .storage = st };
    const struct http_request req = { .arena = &a, .method = STR("GET"), .query = str_c(query) };
    struct http_response res = { 0 };
    struct api_v1_job *job;
    assert_true(api_v1_begin(&v, &req, &res, str_c(path), NOW, &job));
    if (job) {
        api_v1_run(job);
        api_v1_release(job);
    }
    assert_int_equal(res.status, status);
    buf_str(&got, buf_view(&res.body));
    for (bool done = !res.pull; !done; buf_reset(&piece)) {
        assert_true(res.pull(res.pull_arg, &piece, &done));
        buf_str(&got, buf_view(&piece));
    }
    if (res.pull_end)
        res.pull_end(res.pull_arg);
    assert_string_equal(got.p, body);
    buf_deinit(&got);
    buf_deinit(&piece);
    buf_deinit(&res.body);
    arena_deinit(&a);
}

#define X "\"x_total\":[{\"type\":\"counter\",\"unit\":\"\",\"help\":\"Requests.\"}]"
#define Y "\"y_seconds\":[{\"type\":\"histogram\",\"unit\":\"seconds\",\"help\":\"Time \\\"it\\\" takes.\"}]"
#define OK(data) "{\"status\":\"success\",\"data\":" data "}"

static void metadata_is_by_family_and_of_late(void **state)
{
    (void)state;
    struct storage *st = store();
    check(st, "/metadata", "", 200, OK("{" X "," Y "}"));
    check(st, "/metadata", "metric=y_seconds", 200, OK("{" Y "}"));
    check(st, "/metadata", "limit=1", 200, OK("{" X "}"));
    check(st, "/metadata", "limit=0", 200, OK("{}"));
    check(st, "/metadata", "metric=bare", 200, OK("{}"));
    memory_storage_free(st);
}

static void series_stop_at_the_limit_and_say_so(void **state)
{
    (void)state;
    struct storage *st = store();
    check(st, "/series", "match[]=x_total", 200, OK("[{\"__name__\":\"x_total\"}]"));
    check(st, "/series", "match[]={__name__=~\".%2B_total\"}&limit=1", 200,
          "{\"status\":\"success\",\"data\":[{\"__name__\":\"old_total\"}],\"warnings\":[\"results truncated due to limit\"]}");
    memory_storage_free(st);
}

static bool damaged_querier(struct storage *st, struct arena *a, int64_t mint, int64_t maxt, struct querier **q,
                            struct err *err)
{
    (void)st, (void)a, (void)mint, (void)maxt, (void)q;
    return err_set(err, ERR_CORRUPT, "block X: checksum mismatch");
}

static void a_damaged_block_is_an_execution_error(void **state)
{
    (void)state;
    static const struct storage_ops ops = { .querier = damaged_querier };
    struct storage damaged = { &ops };
    const char *answer = "{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"block X: checksum mismatch\"}";
    check(&damaged, "/query", "query=x", 422, answer);
    check(&damaged, "/series", "match[]=x", 422, answer);
    check(&damaged, "/labels", "", 422, answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_is_by_family_and_of_late),
        cmocka_unit_test(series_stop_at_the_limit_and_say_so),
        cmocka_unit_test(a_damaged_block_is_an_execution_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
