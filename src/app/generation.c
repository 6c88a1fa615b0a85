/* From configuration structs to what the cores take. Nothing is checked here that config/ has checked; what can still fail are
 * templates (files) and receivers whose material is read once. */
#include "app/generation.h"

#include "base/log.h"
#include "base/mem.h"
#include "config/template_files.h"
#include "io/fs_posix.h"
#include "io/zones.h"
#include "notify/default_templates.h"

#include <stdlib.h>

#define SECRET_FILE_BYTES_MAX    (1024 * 1024)

static void destroy(void *context)
{
    struct generation *g = context;
    if (g->routes)
        route_tree_release(g->routes);
    if (g->templates)
        template_set_release(g->templates);
    config_release(g->config);
    arena_deinit(&g->arena);
    mem_free(g);
}

static bool read_secret(struct str path, struct buf *out, struct err *err)
{
    return fs_read_file(fs_posix(), path, SECRET_FILE_BYTES_MAX, out, err);
}

static struct str environment(const char *name)
{
    const char *value = getenv(name);
    return value ? str_c(value) : STR_EMPTY;
}

static bool parse_templates(struct generation *g, struct fs *fs, struct err *err)
{
    bool ok = true;
    g->templates = default_templates_new();
    for (size_t i = 0; ok && i < g->config->templates.n; i++)
        ok = template_files_parse(g->templates, fs, g->config->templates.v[i], err);
    return ok || err_wrap(err, "failed to parse templates");
}

static void build_receiver(struct generation *g, const struct config_receiver *from, struct notify_receiver *to)
{
    size_t total = 0;
    for (size_t k = 0; k < RECEIVER_KINDS; k++)
        total += from->used ? from->kinds[k].n : 0;
    struct notify_integration *v = arena_alloc_array(&g->arena, total, sizeof *v);
    size_t n = 0;
    for (size_t k = 0; k < RECEIVER_KINDS && from->used; k++)
        for (size_t i = 0; i < from->kinds[k].n; i++) {
            const void *config = config_receiver_integration(from, (enum receiver_kind)k, i);
            const struct receiver_common *common = config;
            v[n++] = (struct notify_integration){ .row = receiver_rows[k], .config = config,
                                                  .name = receiver_config_rows[k].name, .idx = u32_from_size(i),
                                                  .send_resolved = common->send_resolved };
        }
    *to = (struct notify_receiver){ .name = from->name, .v = v, .n = n };
    g->integrations += n;
    g->receivers_used += from->used;
}

static void build_receivers(struct generation *g, struct str external_url)
{
    const struct config *c = g->config;
    struct notify_receiver *v = arena_alloc_array(&g->arena, c->receivers_count, sizeof *v);
    for (size_t i = 0; i < c->receivers_count; i++)
        build_receiver(g, &c->receivers[i], &v[i]);
    g->receivers.v = v;
    g->receivers.n = c->receivers_count;
    g->receivers.external_url = arena_str(&g->arena, external_url);
}

/* What receivers read once. */
static bool load_receivers(struct generation *g, struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < g->config->receivers_count; i++) {
        struct config_receiver *r = &g->config->receivers[i];
        for (size_t k = 0; ok && r->used && k < RECEIVER_KINDS; k++) {
            char *at = r->kinds[k].v;
            for (size_t n = 0; ok && receiver_rows[k]->load && n < r->kinds[k].n; n++)
                ok = receiver_rows[k]->load(at + n * receiver_config_rows[k].bind->size, &g->env, &g->arena, err);
        }
    }
    return ok;
}

static bool build_routes(struct generation *g, struct err *err)
{
    const struct config *c = g->config;
    size_t count = c->time_intervals_count + c->mute_time_intervals_count, n = 0;
    struct notify_window *windows = arena_alloc_array(&g->arena, count, sizeof *windows);
    for (size_t i = 0; i < c->mute_time_intervals_count; i++, n++)
        windows[n] = (struct notify_window){ c->mute_time_intervals[i].name, c->mute_time_intervals[i].compiled,
                                             c->mute_time_intervals[i].intervals_count };
    for (size_t i = 0; i < c->time_intervals_count; i++, n++)
        windows[n] = (struct notify_window){ c->time_intervals[i].name, c->time_intervals[i].compiled,
                                             c->time_intervals[i].intervals_count };
    const struct route_env env = { g->receivers.v, g->receivers.n, windows, n };
    g->routes = route_tree_new(c->route, &env, err);
    return g->routes != NULL;
}

static void build_rules(struct generation *g)
{
    const struct config *c = g->config;
    struct inhibit_rule *v = arena_alloc_array(&g->arena, c->inhibit_rules_count, sizeof *v);
    for (size_t i = 0; i < c->inhibit_rules_count; i++) {
        const struct inhibit_rule_config *r = &c->inhibit_rules[i];
        v[i] = (struct inhibit_rule){ .name = r->name, .source = r->source, .target = r->target,
                                      .equal = r->equal.v, .equal_count = r->equal.n };
    }
    g->dispatch.rules = v;
    g->dispatch.rules_count = c->inhibit_rules_count;
}

struct generation *generation_new(struct config *config, const struct generation_options *options, struct err *err)
{
    struct generation *g = MEM_NEW(struct generation);
    arena_init(&g->arena, ARENA_NO_LIMIT);
    g->config = config;
    atomic_init(&g->receivers.refs, 1);
    g->receivers.context = g;
    g->receivers.free = destroy;
    bool ok = parse_templates(g, options->fs, err);
    if (ok) {
        build_receivers(g, options->external_url);
        build_rules(g);
        g->env = (struct receiver_env){ .templates = g->templates, .hostname = arena_str(&g->arena, options->hostname),
                                        .user_agent = arena_str(&g->arena, options->user_agent),
                                        .read_file = read_secret, .environment = environment, .zone = zones_hook };
        ok = build_routes(g, err) && load_receivers(g, err);
    }
    if (!ok) {
        generation_release(g);
        return NULL;
    }
    g->dispatch.routes = g->routes;
    g->dispatch.receivers = &g->receivers;
    g->dispatch.resolve_timeout_ms = config->resolve_timeout_ms;
    return g;
}

void generation_retain(struct generation *g)
{
    (void)notify_receivers_retain(&g->receivers);
}

void generation_release(struct generation *g)
{
    if (g)
        notify_receivers_release(&g->receivers);
}

struct generation *generation_of(struct notify_receivers *r)
{
    return r->context;
}

void generation_log(const struct generation *g, int64_t retention_ms)
{
    for (size_t i = 0; i < g->config->receivers_count; i++)
        if (!g->config->receivers[i].used)
            log_info("skipping creation of receiver not referenced by any route",
                     LOG_STR("component", STR("configuration")), LOG_STR("receiver", g->config->receivers[i].name));
    for (size_t i = 0; i < route_tree_count(g->routes); i++) {
        const struct route *r = route_tree_at(g->routes, i);
        if (r->repeat_interval_ms > retention_ms)
            log_warn("repeat_interval is greater than the data retention period. It can lead to notifications being "
                     "repeated more often than expected.",
                     LOG_STR("component", STR("configuration")), LOG_DUR("repeat_interval", r->repeat_interval_ms),
                     LOG_DUR("retention", retention_ms), LOG_STR("route", r->key));
        if (r->repeat_interval_ms < r->group_interval_ms)
            log_warn("repeat_interval is less than group_interval. Notifications will not repeat until the next "
                     "group_interval.",
                     LOG_STR("component", STR("configuration")), LOG_DUR("repeat_interval", r->repeat_interval_ms),
                     LOG_DUR("group_interval", r->group_interval_ms), LOG_STR("route", r->key));
    }
}
