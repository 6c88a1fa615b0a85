#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "config/config.h"
#include "dispatch/route_print.h"
#include "lib/alloc_count.h"

#include <stdio.h>

struct loaded {
    struct config *config;
    struct route_tree *tree;
};

static void load(struct loaded *l, const char *yaml)
{
    struct err err = { 0 };
    struct config_options o = { .path = STR("alertmanager.yml") };
    struct route_env env = { 0 };
    if (!config_load(str_c(yaml), &o, &l->config, NULL, &err))
        fail_msg("%s", err.text);
    l->tree = route_tree_new(l->config->route, &env, &err);
    assert_non_null(l->tree);
}

static void unload(struct loaded *l)
{
    route_tree_release(l->tree);
    config_release(l->config);
}

static void settings_are_inherited_and_overridden(void **state)
{
    (void)state;
    struct loaded l;
    load(&l, "route:\n"
             "  receiver: a\n"
             "  group_by: [x, b]\n"
             "  group_interval: 7s\n"
             "  labels: {k: root, only: r}\n"
             "  routes:\n"
             "  - matchers: ['m=\"1\"']\n"
             "    group_by: ['...']\n"
             "    repeat_interval: 1h\n"
             "    labels: {k: child}\n"
             "    routes:\n"
             "    - receiver: b\n"
             "      group_by: []\n"
             "      group_wait: 0s\n"
             "  - matchers: ['m=\"2\"']\n"
             "    continue: true\n"
             "receivers: [{name: a}, {name: b}]\n");
    assert_int_equal(route_tree_count(l.tree), 4);
    const struct route *root = route_tree_at(l.tree, 0), *all = route_tree_at(l.tree, 1), *none = route_tree_at(l.tree, 2),
                       *plain = route_tree_at(l.tree, 3);
    assert_int_equal(root->group_wait_ms, 30000);
    assert_int_equal(root->repeat_interval_ms, 4 * 3600 * 1000);
    assert_true(str_eq(root->key, STR("{}")));
    assert_true(str_eq(root->id, STR("{}")));
    assert_true(all->group_by_all);
    assert_int_equal(all->group_interval_ms, 7000);
    assert_int_equal(all->repeat_interval_ms, 3600 * 1000);
    assert_true(str_eq(all->receiver, STR("a")));
    assert_true(str_eq(labels_get(all->labels, STR("k")), STR("child")));
    assert_true(str_eq(labels_get(all->labels, STR("only")), STR("r")));
    assert_true(str_eq(none->id, STR("{}/{m=\"1\"}/0/{}/0")));
    assert_true(str_eq(none->key, STR("{}/{m=\"1\"}/{}")));
    assert_false(none->group_by_all);
    assert_int_equal(none->group_by_count, 0);
    assert_int_equal(none->group_wait_ms, 0);
    assert_int_equal(none->repeat_interval_ms, 3600 * 1000);
    assert_true(str_eq(plain->id, STR("{}/{m=\"2\"}/1")));
    assert_true(plain->continues);
    assert_int_equal(plain->group_by_count, 2);
    assert_true(str_eq(plain->group_by[0], STR("b"))); /* sorted */
    unload(&l);
}

static void group_key_is_route_key_and_label_set(void **state)
{
    (void)state;
    struct loaded l;
    load(&l, "route:\n  receiver: a\n  group_by: [cluster, alertname, gone]\n  routes:\n  - matchers: ['team=\"a\"']\n"
             "receivers: [{name: a}]\n");
    struct label v[] = { { STR("alertname"), STR("A") }, { STR("cluster"), STR("c\"1") }, { STR("x"), STR("y") } };
    struct arena a;
    struct buf key = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    struct labels group = route_group_labels(&a, route_tree_at(l.tree, 1), labels_normalize(v, 3));
    route_group_key_write(&key, route_tree_at(l.tree, 1), group);
    assert_string_equal(key.p, "{}/{team=\"a\"}:{alertname=\"A\", cluster=\"c\\\"1\"}");
    buf_deinit(&key);
    arena_deinit(&a);
    unload(&l);
}

static void unknown_names_are_errors(void **state)
{
    (void)state;
    struct loaded l;
    load(&l, "route:\n  receiver: a\n  routes:\n  - matchers: ['a=\"b\"']\n    mute_time_intervals: [t]\n"
             "receivers: [{name: a}]\ntime_intervals: [{name: t, time_intervals: []}]\n");
    struct notify_receiver known = { .name = STR("other") };
    struct notify_window window = { .name = STR("w") };
    struct route_env receivers = { .receivers = &known, .receivers_count = 1 },
                     windows = { .windows = &window, .windows_count = 1 };
    struct err err = { 0 };
    assert_null(route_tree_new(l.config->route, &receivers, &err));
    assert_string_equal(err.text, "undefined receiver \"a\" used in route");
    assert_null(route_tree_new(l.config->route, &windows, &err));
    assert_string_equal(err.text, "undefined time interval \"t\" used in route");
    unload(&l);
}

/* ---- Against the definition, over random trees ---- */

static void naive(const struct route_tree *t, const struct route *r, struct labels ls, uint32_t *out, size_t *n)
{
    bool any = false;
    for (size_t i = 0; i < r->children_count; i++) {
        const struct route *c = route_tree_at(t, r->children[i]);
        if (!matchers_match(&c->matchers, ls))
            continue;
        any = true;
        naive(t, c, ls, out, n);
        if (!c->continues)
            break;
    }
    if (!any)
        out[(*n)++] = r->index;
}

static void random_routes(struct buf *b, struct rng *rng, int depth, int indent)
{
    static const char *const ops[] = { "=", "=", "=", "!=", "=~", "!~" };
    static const char *const values[] = { "1", "2", "3", "1|2", "[12]", "" };
    size_t n = depth == 1 ? 30 : (size_t)rng_below(rng, depth == 2 ? 14 : 3);
    if (n == 0 || depth == 4)
        return;
    buf_printf(b, "%*sroutes:\n", indent, "");
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "%*s- matchers: [", indent, "");
        size_t ms = 1 + (size_t)rng_below(rng, 2);
        for (size_t k = 0; k < ms; k++)
            buf_printf(b, "%s'%c%s\"%s\"'", k ? ", " : "", (char)('a' + rng_below(rng, 3)), ops[rng_below(rng, 6)],
                       values[rng_below(rng, 6)]);
        buf_printf(b, "]\n%*s  continue: %s\n", indent, "", rng_below(rng, 2) ? "true" : "false");
        random_routes(b, rng, depth + 1, indent + 2);
    }
}

static void compiled_tree_agrees_with_the_definition(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 11);
    for (int round = 0; round < 12; round++) {
        struct buf yaml = { 0 };
        struct loaded l;
        buf_c(&yaml, "receivers: [{name: r}]\nroute:\n  receiver: r\n");
        random_routes(&yaml, &rng, 1, 2);
        load(&l, yaml.p);
        struct router *router = router_new(l.tree);
        size_t count = route_tree_count(l.tree);
        uint32_t *want = mem_alloc_array(count, sizeof *want), *got = mem_alloc_array(count, sizeof *got);
        for (int k = 0; k < 64; k++) {
            static const char *const values[] = { "", "1", "2", "3" };
            struct label v[] = { { STR("a"), str_c(values[k & 3]) }, { STR("b"), str_c(values[k >> 2 & 3]) },
                                 { STR("c"), str_c(values[k >> 4 & 3]) } };
            struct labels ls = labels_normalize(v, 3);
            size_t n = 0;
            naive(l.tree, route_tree_at(l.tree, 0), ls, want, &n);
            assert_int_equal(route_tree_match(l.tree, ls, got, count), n);
            assert_memory_equal(got, want, n * sizeof *got);
            const struct route_set *set = router_match(router, ls);
            assert_int_equal(set->n, n);
            assert_memory_equal(set->v, want, n * sizeof *want);
        }
        router_release(router);
        mem_free(want);
        mem_free(got);
        unload(&l);
        buf_deinit(&yaml);
    }
}

static void known_answer_costs_no_memory(void **state)
{
    (void)state;
    struct loaded l;
    load(&l, "route:\n  receiver: a\n  routes:\n  - matchers: ['team=~\"t[0-9]+x?\"']\n    continue: true\n"
             "  - matchers: ['team=\"t1\"']\nreceivers: [{name: a}]\n");
    struct router *r = router_new(l.tree);
    struct label v[] = { { STR("team"), STR("t1") } };
    const struct route_set *first = router_match(r, labels_normalize(v, 1));
    uint64_t before = alloc_count();
    assert_ptr_equal(router_match(r, labels_normalize(v, 1)), first);
    assert_int_equal(alloc_count() - before, 0);
    assert_int_equal(first->n, 2);
    router_release(r);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_inherited_and_overridden),
        cmocka_unit_test(group_key_is_route_key_and_label_set),
        cmocka_unit_test(unknown_names_are_errors),
        cmocka_unit_test(compiled_tree_agrees_with_the_definition),
        cmocka_unit_test(known_answer_costs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
