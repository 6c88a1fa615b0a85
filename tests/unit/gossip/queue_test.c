#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/rng.h"
#include "gossip/queue_int.h"

#include <stdio.h>

static struct buf taken; /* "name/" of what a fill took */
static size_t finished;

static void take(void *arg, const struct queue_item *item)
{
    (void)arg;
    buf_str(&taken, item->bytes);
    buf_byte(&taken, '/');
}
static void count_finished(void *arg, struct queue_item *item)
{
    (void)arg;
    (void)item;
    finished++;
}

static size_t fill(struct queue *q, size_t limit, size_t overhead, size_t parts, uint32_t transmits)
{
    buf_reset(&taken);
    return queue_fill(q, limit, overhead, parts, transmits, take, NULL);
}
#define assert_taken(want) assert_true(str_eq(buf_view(&taken), STR(want)))

static void put(struct queue *q, const char *name, const char *bytes)
{
    (void)queue_put(q, str_c(name), STR_EMPTY, str_c(bytes));
}

static void fewest_then_longest_then_newest(void **state)
{
    (void)state;
    struct queue q = { 0 };
    put(&q, "", "bb");
    put(&q, "", "cc");
    put(&q, "", "aaa");
    (void)fill(&q, 100, 2, 10, 3);
    assert_taken("aaa/cc/bb/");
    put(&q, "", "d");
    (void)fill(&q, 100, 2, 10, 3);
    assert_taken("d/aaa/cc/bb/");
    queue_deinit(&q);
}

static void what_does_not_fit_leaves_room_for_shorter(void **state)
{
    (void)state;
    struct queue q = { 0 };
    put(&q, "", "aaaaaaaaaa");
    put(&q, "", "bbbb");
    put(&q, "", "cc");
    assert_int_equal(fill(&q, 10, 2, 10, 3), 10); /* 4 + 2, then 2 + 2 */
    assert_taken("bbbb/cc/");
    assert_int_equal(fill(&q, 2, 2, 10, 3), 0);
    assert_int_equal(fill(&q, 1000, 2, 1, 3), 12);
    assert_taken("aaaaaaaaaa/");
    queue_deinit(&q);
}

static void an_item_is_sent_its_number_of_times(void **state)
{
    (void)state;
    struct queue q = { .finished = count_finished };
    finished = 0;
    put(&q, "", "a");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(finished, 0);
        (void)fill(&q, 100, 2, 10, 3);
        assert_taken("a/");
    }
    assert_int_equal(finished, 1);
    assert_int_equal(q.count, 0);
    assert_int_equal(q.bytes, 0);
    queue_deinit(&q);
}

static void a_name_is_replaced_and_its_message_finished(void **state)
{
    (void)state;
    struct queue q = { .finished = count_finished };
    finished = 0;
    put(&q, "n", "old");
    put(&q, "m", "other");
    (void)fill(&q, 100, 2, 10, 9);
    put(&q, "n", "new");
    assert_int_equal(finished, 1);
    assert_int_equal(q.count, 2);
    (void)fill(&q, 100, 2, 10, 9);
    assert_taken("new/other/");
    queue_deinit(&q);
}

static void pruning_drops_the_most_sent_and_shortest(void **state)
{
    (void)state;
    struct queue q = { 0 };
    put(&q, "", "sent long");
    put(&q, "", "sent");
    (void)fill(&q, 100, 2, 10, 9);
    put(&q, "", "x");
    assert_int_equal(queue_prune(&q, 2), 1);
    (void)fill(&q, 100, 2, 10, 9);
    assert_taken("x/sent long/");
    assert_int_equal(queue_prune(&q, 2), 0);
    queue_deinit(&q);
}

static void any_order_of_calls_keeps_the_books(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    struct queue q = { 0 };
    char name[16], bytes[64];
    memset(bytes, 'x', sizeof bytes);
    for (unsigned i = 0; i < 20000; i++) {
        switch (rng_below(&rng, 5)) {
        case 0:
        case 1:
            snprintf(name, sizeof name, "%u", (unsigned)rng_below(&rng, 50));
            (void)queue_put(&q, rng_below(&rng, 2) ? str_c(name) : STR_EMPTY, STR("key"), str_of(bytes, 1 + rng_below(&rng, 60)));
            break;
        case 2:
            (void)fill(&q, rng_below(&rng, 500), 3, 1 + rng_below(&rng, 100), 4);
            break;
        case 3:
            if (q.tiers_count && q.tiers[0].count)
                queue_sent(&q, q.tiers[0].items[rng_below(&rng, q.tiers[0].count)], 4);
            break;
        default:
            (void)queue_prune(&q, 200);
        }
        size_t count = 0, total = 0;
        for (size_t t = 0; t < q.tiers_count; t++)
            for (size_t k = 0; k < q.tiers[t].count; k++) {
                const struct queue_item *it = q.tiers[t].items[k];
                assert_int_equal(it->transmits, t);
                count++;
                total += it->bytes.n;
            }
        assert_int_equal(count, q.count);
        assert_int_equal(total, q.bytes);
    }
    queue_deinit(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fewest_then_longest_then_newest),
        cmocka_unit_test(what_does_not_fit_leaves_room_for_shorter),
        cmocka_unit_test(an_item_is_sent_its_number_of_times),
        cmocka_unit_test(a_name_is_replaced_and_its_message_finished),
        cmocka_unit_test(pruning_drops_the_most_sent_and_shortest),
        cmocka_unit_test(any_order_of_calls_keeps_the_books),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_deinit(&taken);
    return failed;
}
