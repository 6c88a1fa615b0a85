/* config diff: the alerts that a server has, routed by the configuration that it runs and by a file, side by side. A
 * difference in receivers is shown as receivers; where these are the same but grouping or timing differ, as settings. */
#include "ctl/alerts_int.h"
#include "ctl/config_int.h"
#include "ctl/ctl.h"

#include "base/mem.h"
#include "dispatch/route.h"
#include "json/writer.h"
#include "model/duration.h"

#include <stdlib.h>

#define EXIT_SAME    0
#define EXIT_DIFFERS 1
#define EXIT_TROUBLE 2

struct side {
    struct config *config;
    struct route_tree *tree;
    uint32_t *matched; /* room for every route */
    size_t count;
};

struct difference {
    struct str alert; /* raw JSON */
    struct str text;  /* labels */
    struct str_list receivers[2];
    struct str shown[2];
};

static bool open_side(struct ctl *c, struct side *s, struct config *config)
{
    const struct route_env env = { 0 };
    s->config = config;
    if (!config)
        return false;
    if (!config->route)
        return err_set(&c->err, ERR_INVALID, "no routes provided");
    s->tree = route_tree_new(config->route, &env, &c->err);
    if (!s->tree)
        return false;
    s->matched = arena_alloc_array(c->arena, route_tree_count(s->tree), sizeof *s->matched);
    return true;
}

static void close_side(struct side *s)
{
    if (s->tree)
        route_tree_release(s->tree);
    if (s->config)
        config_release(s->config);
}

static void write_settings(struct buf *out, const struct route *r)
{
    buf_str(out, r->receiver);
    buf_c(out, " (by ");
    if (r->group_by_all)
        buf_c(out, "...");
    for (size_t i = 0; i < r->group_by_count; i++) {
        if (i)
            buf_byte(out, ',');
        buf_str(out, r->group_by[i]);
    }
    buf_c(out, " wait ");
    duration_write(out, r->group_wait_ms);
    buf_c(out, " interval ");
    duration_write(out, r->group_interval_ms);
    buf_c(out, " repeat ");
    duration_write(out, r->repeat_interval_ms);
    buf_byte(out, ')');
}

/* The routes of an alert in words. */
static struct str side_text(struct ctl *c, const struct side *s, bool settings)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < s->count; i++) {
        const struct route *r = route_tree_at(s->tree, s->matched[i]);
        if (i)
            buf_byte(&b, ',');
        if (settings)
            write_settings(&b, r);
        else
            buf_str(&b, r->receiver);
    }
    struct str text = arena_str(c->arena, buf_view(&b));
    buf_deinit(&b);
    return text;
}

static struct str_list side_receivers(struct ctl *c, const struct side *s)
{
    struct str *v = arena_alloc_array(c->arena, s->count, sizeof *v);
    for (size_t i = 0; i < s->count; i++)
        v[i] = arena_str(c->arena, route_tree_at(s->tree, s->matched[i])->receiver);
    return (struct str_list){ v, s->count };
}

static bool compare(struct ctl *c, struct side sides[2], const struct shown_alert *a, struct difference *d)
{
    struct label *copy = arena_alloc_array(c->arena, a->labels.n, sizeof *copy);
    if (a->labels.n)
        memcpy(copy, a->labels.v, a->labels.n * sizeof *copy);
    struct labels ls = labels_normalize(copy, a->labels.n);
    for (int i = 0; i < 2; i++)
        sides[i].count = route_tree_match(sides[i].tree, ls, sides[i].matched, route_tree_count(sides[i].tree));
    struct str now = side_text(c, &sides[0], false), then = side_text(c, &sides[1], false);
    if (str_eq(now, then)) {
        now = side_text(c, &sides[0], true);
        then = side_text(c, &sides[1], true);
        if (str_eq(now, then))
            return false;
    }
    *d = (struct difference){ .alert = a->raw, .text = alerts_map_text(c, a->labels), .shown = { now, then } };
    d->receivers[0] = side_receivers(c, &sides[0]);
    d->receivers[1] = side_receivers(c, &sides[1]);
    return true;
}

static void print_json(struct ctl *c, const struct difference *v, size_t n)
{
    static const struct str keys[2] = { STR_INIT("now"), STR_INIT("new") };
    static const struct str route_keys[2] = { STR_INIT("nowRoutes"), STR_INIT("newRoutes") };
    struct json_writer w;
    json_writer_init(&w, &c->out);
    jw_array(&w);
    for (size_t i = 0; i < n; i++) {
        jw_object(&w);
        jw_key(&w, STR("alert"));
        jw_raw(&w, v[i].alert);
        for (int side = 0; side < 2; side++) {
            jw_key(&w, keys[side]);
            jw_array(&w);
            for (size_t k = 0; k < v[i].receivers[side].n; k++)
                jw_str(&w, v[i].receivers[side].v[k]);
            jw_array_end(&w);
            jw_kv(&w, route_keys[side], v[i].shown[side]);
        }
        jw_object_end(&w);
    }
    jw_array_end(&w);
    buf_byte(&c->out, '\n');
}

static void print_table(struct ctl *c, const struct difference *v, size_t n, size_t alerts)
{
    struct ctl_table t;
    ctl_table_init(&t, c->arena, 3);
    ctl_table_cell(&t, STR("Alert"));
    ctl_table_cell(&t, STR("Now"));
    ctl_table_cell(&t, STR("New"));
    for (size_t i = 0; i < n; i++) {
        ctl_table_cell(&t, v[i].text);
        ctl_table_cell(&t, v[i].shown[0]);
        ctl_table_cell(&t, v[i].shown[1]);
    }
    if (n)
        ctl_table_write(&t, &c->out);
    buf_printf(&c->out, "%zu of %zu alerts would be routed differently.\n", n, alerts);
}

static bool diff(struct ctl *c, struct side sides[2], size_t *different)
{
    struct str body;
    struct shown_alert *v;
    size_t n;
    if (!ctl_api_ok(c, "GET", STR("/alerts?active=true&inhibited=true&silenced=true&unprocessed=true"), STR_EMPTY,
                    "/alerts", "getAlerts", &body) ||
        !alerts_read(c, body, &v, &n))
        return false;
    struct difference *d = arena_alloc_array(c->arena, n, sizeof *d);
    *different = 0;
    for (size_t i = 0; i < n; i++)
        *different += compare(c, sides, &v[i], &d[*different]);
    if (str_eq(c->f.output, STR("json")))
        print_json(c, d, *different);
    else
        print_table(c, d, *different, n);
    return true;
}

int ctl_config_diff(void *program)
{
    struct ctl *c = program;
    struct side sides[2] = { { .count = 0 }, { .count = 0 } };
    size_t different = 0;
    bool ok = open_side(c, &sides[1], ctl_load_config_file(c, c->f.import_file, NULL, &c->err)) &&
              open_side(c, &sides[0], ctl_load_running_config(c)) && diff(c, sides, &different);
    close_side(&sides[0]);
    close_side(&sides[1]);
    return !ok ? EXIT_TROUBLE : different ? EXIT_DIFFERS : EXIT_SAME;
}
