/* Routing against amtool: which receivers an alert's labels reach, and how the tree is drawn
 * (conformance/alertmanager/routing). Label arguments that amtool refuses must fail to parse here too. */
#include "config/config.h"
#include "dispatch/route_print.h"
#include "lib/shared.h"

#include <stdio.h>

struct loaded {
    struct config *config;
    struct route_tree *tree;
};

static bool load(struct loaded *l, const json_t *value)
{
    struct str file = shared_get_str(value, "config");
    char path[512];
    struct buf text = { 0 };
    struct err err = { 0 };
    *l = (struct loaded){ 0 };
    (void)snprintf(path, sizeof path, "conformance/alertmanager/%.*s", STR_ARG(file));
    struct route_env env = { 0 };
    struct config_options options = { .path = STR("alertmanager.yml") };
    bool ok = shared_read(path, &text) && config_load(buf_view(&text), &options, &l->config, NULL, &err);
    if (ok) {
        l->tree = route_tree_new(l->config->route, &env, &err);
        ok = l->tree != NULL;
    }
    if (!ok)
        shared_fail(path, "%.*s", STR_ARG(err_text(&err)));
    buf_deinit(&text);
    return ok;
}

static void unload(struct loaded *l)
{
    route_tree_release(l->tree);
    if (l->config)
        config_release(l->config);
}

/* `k=v` arguments as amtool reads them: one matcher each, equality only. */
static bool parse_labels(struct arena *a, const json_t *args, struct labels *ls, struct err *err)
{
    size_t n = json_array_size(args);
    struct label *v = arena_alloc_array(a, n, sizeof *v);
    for (size_t i = 0; i < n; i++) {
        struct matcher m;
        struct str text = str_c(json_string_value(json_array_get(args, i)));
        if (!matcher_parse(a, MATCHER_CLASSIC, text, &m, NULL, err))
            return false;
        v[i] = (struct label){ m.name, m.value };
        bool equal = m.op == MATCH_EQ;
        if (!equal) {
            matcher_deinit(&m);
            return err_set(err, ERR_INVALID, "labels must be specified as key=value pairs");
        }
    }
    *ls = labels_normalize(v, n);
    return true;
}

static void run_case(const json_t *value, size_t line, void *arg)
{
    (void)arg;
    char what[64];
    (void)snprintf(what, sizeof what, "routing case %zu", line);
    struct loaded l;
    if (!load(&l, value)) {
        unload(&l);
        return;
    }
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    struct labels ls;
    struct err err = { 0 };
    struct buf got = { 0 };
    bool refused = !parse_labels(&a, json_object_get(value, "args"), &ls, &err);
    if (shared_get_int(value, "exit", 0) != 0) {
        if (refused)
            shared_pass();
        else
            shared_fail(what, "labels were accepted");
    } else if (refused) {
        shared_fail(what, "labels were refused: %.*s", STR_ARG(err_text(&err)));
    } else {
        route_print_match(&got, l.tree, ls);
        route_print_receivers(&got, l.tree, ls);
        buf_byte(&got, '\n');
        bool same_tree = shared_check_str(what, buf_view(&got), shared_get_str(value, "tree_stdout"));
        /* The router, with its memory, must agree with the plain walk. */
        struct router *r = router_new(l.tree);
        uint32_t plain[64];
        size_t n = route_tree_match(l.tree, ls, plain, ARRAY_LEN(plain));
        const struct route_set *set = router_match(r, ls);
        if (same_tree && (set->n != n || memcmp(set->v, plain, n * sizeof *plain) != 0 || router_match(r, ls) != set))
            shared_fail(what, "the router disagrees");
        router_release(r);
    }
    buf_deinit(&got);
    arena_deinit(&a);
    unload(&l);
}

static void run_show(const json_t *value, size_t line, void *arg)
{
    (void)arg;
    char what[64];
    (void)snprintf(what, sizeof what, "routing tree %zu", line);
    struct loaded l;
    if (load(&l, value)) {
        struct buf got = { 0 };
        route_print_tree(&got, l.tree);
        shared_check_str(what, buf_view(&got), shared_get_str(value, "stdout"));
        buf_deinit(&got);
    }
    unload(&l);
}

static void run_verify(const json_t *value, size_t line, void *arg)
{
    (void)arg;
    char what[64];
    (void)snprintf(what, sizeof what, "routing verify %zu", line);
    struct loaded l;
    struct arena a;
    struct labels ls;
    struct err err;
    arena_init(&a, ARENA_NO_LIMIT);
    if (load(&l, value) && parse_labels(&a, json_object_get(value, "args"), &ls, &err)) {
        struct buf got = { 0 };
        route_print_receivers(&got, l.tree, ls);
        bool same = str_eq(buf_view(&got), shared_get_str(value, "verify"));
        if (same == (shared_get_int(value, "exit", 0) == 0))
            shared_pass();
        else
            shared_fail(what, "receivers are %.*s", STR_ARG(buf_view(&got)));
        buf_deinit(&got);
    }
    arena_deinit(&a);
    unload(&l);
}

int main(void)
{
    if (!shared_begin("routing"))
        return shared_finish();
    shared_jsonl("conformance/alertmanager/routing/cases.jsonl", run_case, NULL);
    shared_jsonl("conformance/alertmanager/routing/show.jsonl", run_show, NULL);
    shared_jsonl("conformance/alertmanager/routing/verify.jsonl", run_verify, NULL);
    return shared_finish();
}
