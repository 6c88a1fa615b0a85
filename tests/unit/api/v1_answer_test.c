/* Answers of the query API are pulled in pieces: wherever a piece ends, the whole is the same document. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/v1_int.h"

#include "base/mem.h"
#include "json/writer.h"

/* A matrix whose label sets are so long that pieces end at every place of a series. */
static struct promql_result *matrix(size_t series, size_t points, size_t label_bytes)
{
    struct promql_result *r = MEM_NEW(struct promql_result);
    arena_init(&r->arena, ARENA_NO_LIMIT);
    r->type = PROMQL_MATRIX;
    r->series = arena_alloc_array(&r->arena, series, sizeof *r->series);
    r->n = series;
    int64_t *t = arena_alloc_array(&r->arena, points, sizeof *t);
    double *v = arena_alloc_array(&r->arena, points, sizeof *v);
    for (size_t i = 0; i < points; i++) {
        t[i] = 1700000000000 + (int64_t)i * 500;
        v[i] = (double)i + 0.25;
    }
    for (size_t k = 0; k < series; k++) {
        char *text = arena_alloc(&r->arena, label_bytes + k + 1);
        memset(text, 'x', label_bytes + k);
        struct label *l = ARENA_NEW(&r->arena, struct label);
        *l = (struct label){ STR("l"), str_of(text, label_bytes + k) };
        int64_t *own = arena_alloc_array(&r->arena, points, sizeof *own);
        memcpy(own, t, points * sizeof *own);
        r->series[k] = (struct promql_series){ .labels = { l, 1 }, .t = k % 3 ? t : own, .v = v, .n = points };
    }
    return r;
}

static void expected(struct buf *out, const struct promql_result *r)
{
    buf_c(out, "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[");
    for (size_t k = 0; k < r->n; k++) {
        const struct promql_series *s = &r->series[k];
        buf_printf(out, "%s{\"metric\":{\"l\":\"%.*s\"},\"values\":[", k ? "," : "", STR_ARG(s->labels.v[0].value));
        for (size_t i = 0; i < s->n; i++)
            buf_printf(out, "%s[%lld%s,\"%zu.25\"]", i ? "," : "", (long long)(s->t[i] / 1000), s->t[i] % 1000 ? ".500" : "", i);
        buf_c(out, "]}");
    }
    buf_c(out, "]}}");
}

static void check(size_t series, size_t points, size_t label_bytes)
{
    struct arena a;
    struct buf want = { 0 }, got = { 0 }, piece = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    const struct http_request req = { .arena = &a };
    struct http_response res = { 0 };
    struct api_v1_job job = { .req = &req, .res = &res };
    struct promql_result *r = matrix(series, points, label_bytes);
    expected(&want, r);
    v1_answer_result(&job, r);
    for (bool done = false; !done; buf_reset(&piece)) {
        assert_true(res.pull(res.pull_arg, &piece, &done));
        buf_str(&got, buf_view(&piece));
    }
    res.pull_end(res.pull_arg);
    assert_true(str_eq(buf_view(&got), buf_view(&want)));
    buf_deinit(&want);
    buf_deinit(&got);
    buf_deinit(&piece);
    arena_deinit(&a);
}

static void pieces_end_anywhere_and_make_one_document(void **state)
{
    (void)state;
    check(0, 0, 0);
    check(1, 1, 10);
    check(5, 3000, 10);
    check(700, 1, 60);
    check(2500, 1, 13); /* pieces end right before, inside and behind the labels of some series */
    check(300, 3, 997);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_end_anywhere_and_make_one_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
