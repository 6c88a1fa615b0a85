/* The life of the process:
 *
 *     flags, configuration -> listeners bound -> stores restored -> mesh bound -> generation built -> threads run
 *       -> routed -> serving -> (reload)* -> listeners closed -> no more flushes -> attempts end (5 s)
 *       -> the cluster is left -> snapshots -> exit
 *
 * A second SIGTERM ends the process at once: after the first the default action is restored. */
#include "app/app.h"

#include "app/alert_thread.h"
#include "app/check.h"
#include "app/features.h"
#include "app/generation.h"
#include "app/mesh_thread.h"
#include "app/prometheus_half.h"
#include "app/send_thread.h"
#include "app/web_access.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/aead.h"
#include "http/url.h"
#include "io/clock_io.h"
#include "io/fs_posix.h"
#include "io/http_client.h"
#include "io/http_server.h"
#include "io/process_metrics.h"
#include "io/service.h"
#include "io/signals.h"
#include "io/zones.h"
#include "model/duration.h"
#include "notify/render_data.h"
#include "web/web.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define DRAIN_MS           5000
#define CONFIG_FILE_MAX    ((size_t)16 << 20)
#define LISTENERS_MAX      64
#define IN_FLIGHT_POLL_MS  10

struct app_stats {
    struct gauge build_info_am, own_build_info, reload_ok, reload_time, config_hash, cluster_enabled;
};

struct app {
    const struct options *o;
    struct features features;
    struct loop *loop;
    struct signals *signals;
    struct arena arena; /* texts that live as long as the process */
    struct metric_registry *registry;
    struct loop_metrics loop_metrics;
    struct mailbox_metrics mailbox_metrics;
    struct process_stats process;
    struct app_stats stats;

    struct str config_path, external_url, hostname;
    struct lock config_lock; /* guards `config`. Rank: leaf */
    const struct config *config;
    struct generation *generation, *next; /* running, being applied */
    bool alert_half, prometheus_half;

    struct web_access *access;
    struct http_server *server;
    size_t listeners_count;
    struct api api;
    struct web web;
    struct alert_thread *alerts;
    struct send_thread *send;
    struct mesh_thread *mesh;
    struct prometheus_half *prometheus;

    struct lock reload_lock; /* guards the next three. Rank: leaf */
    struct api_ask **reloads; /* asked for since the one that is running began */
    size_t reloads_count;
    bool reload_wanted;
    struct loop_call reload_call;
    bool reload_queued;
    bool reloading;
    struct api_ask **answering; /* by the running reload */
    size_t answering_count;
    struct err reload_err;
    struct loop_call first_applied_call, applied_call;
    atomic_bool serving;
    struct loop_call quit_call, fail_call;
    atomic_bool failed; /* ends with exit code 1 */
    bool quitting;
};

/* ---- versions ---- */

void app_version_block(struct buf *out, struct str name)
{
    buf_printf(out, "%.*s, version %s (branch: HEAD, revision: %s)\n", STR_ARG(name), TOCSIN_VERSION, "unknown");
    buf_printf(out, "  %-18s %s\n", "build user:", "");
    buf_printf(out, "  %-18s %s\n", "build date:", "");
    buf_printf(out, "  %-18s %s\n", "go version:", "none (C11, " __VERSION__ ")");
    buf_printf(out, "  %-18s %s\n", "platform:", "linux/amd64");
    buf_printf(out, "  %-18s %s\n", "tags:", "alertmanager " APP_ALERTMANAGER_VERSION ", prometheus " APP_PROMETHEUS_VERSION);
}

static const struct metric_desc alert_half_metrics[] = {
    METRIC(GAUGE, struct app_stats, build_info_am, "alertmanager_build_info",
           "A metric with a constant '1' value labeled by version, revision, branch, goversion from which alertmanager was "
           "built, and the goos and goarch for the build.",
           "branch=HEAD,goarch=amd64,goos=linux,goversion=none,revision=tocsin,tags=unknown,version=" APP_ALERTMANAGER_VERSION),
    METRIC(GAUGE, struct app_stats, reload_ok, "alertmanager_config_last_reload_successful",
           "Whether the last configuration reload attempt was successful."),
    METRIC(GAUGE, struct app_stats, reload_time, "alertmanager_config_last_reload_success_timestamp_seconds",
           "Timestamp of the last successful configuration reload."),
    METRIC(GAUGE, struct app_stats, config_hash, "alertmanager_config_hash", "Hash of the currently loaded alertmanager configuration. Note that this is not a cryptographically strong hash."),
};
/* With clustering the mesh has this one. */
static const struct metric_desc alone_metrics[] = {
    METRIC(GAUGE, struct app_stats, cluster_enabled, "alertmanager_cluster_enabled",
           "Indicates whether the clustering is enabled or not."),
};
static const struct metric_desc own_metrics[] = {
    METRIC(GAUGE, struct app_stats, own_build_info, "tocsin_build_info", "The build of tocsin that this is.",
           "compiler=gcc,revision=unknown,version=" TOCSIN_VERSION),
};

/* ---- configuration ---- */

static void log_notices(const struct notices *ns, struct str file)
{
    for (size_t i = 0; i < ns->n; i++) {
        struct buf line = { 0 };
        notice_write(&line, &ns->v[i]);
        log_warn("configuration", LOG_STR("file", file), LOG_STR("notice", buf_view(&line)));
        buf_deinit(&line);
    }
}

static struct config *load_config(struct app *a, struct err *err)
{
    struct buf text = { 0 };
    struct notices notices;
    struct config *c = NULL;
    const struct config_options options = { .path = a->config_path,
                                            .matcher_mode = features_matcher_mode(&a->features),
                                            .fs = fs_posix(),
                                            .local_zone = zones_get(STR("Local")),
                                            .tsdb_path_given = a->o->tsdb_path_given };
    notices_init(&notices);
    bool ok = fs_read_file(fs_posix(), a->config_path, CONFIG_FILE_MAX, &text, err) &&
              config_load(buf_view(&text), &options, &c, &notices, err);
    log_notices(&notices, a->config_path);
    notices_deinit(&notices);
    buf_deinit(&text);
    return ok ? c : NULL;
}

static const struct config *running_config(void *arg)
{
    struct app *a = arg;
    lock_take(&a->config_lock);
    const struct config *c = a->config ? config_retain(a->config) : NULL;
    lock_give(&a->config_lock);
    return c;
}

static void set_running_config(struct app *a, const struct config *c)
{
    lock_take(&a->config_lock);
    const struct config *old = a->config;
    a->config = config_retain(c);
    lock_give(&a->config_lock);
    if (old)
        config_release(old);
}

static struct generation *build_generation(struct app *a, struct config *c, struct err *err)
{
    const struct generation_options options = { .external_url = a->external_url, .hostname = a->hostname,
                                                .user_agent = STR("Alertmanager/" APP_ALERTMANAGER_VERSION),
                                                .fs = fs_posix(),
                                                .retention_ms = a->o->data_retention_ns / 1000000 };
    return generation_new(c, &options, err);
}

/* ---- reload ---- */

static void end_reload(struct app *a, bool ok)
{
    gauge_set(&a->stats.reload_ok, ok);
    if (ok)
        gauge_set(&a->stats.reload_time, (double)clock_wall_ms() / 1000);
    struct api_ask **asks = a->answering;
    size_t n = a->answering_count;
    a->answering = NULL;
    a->answering_count = 0;
    a->reloading = false;
    for (size_t i = 0; i < n; i++) {
        asks[i]->ok = ok;
        if (!ok)
            asks[i]->err = a->reload_err;
        asks[i]->done(asks[i]);
    }
    mem_free(asks);
}

static void queue_reload(struct app *a);

/* On main: the alert thread has routed all stored alerts by the new configuration. */
static void reload_applied(void *arg)
{
    struct app *a = arg;
    struct generation *old = a->generation;
    a->generation = a->next;
    a->next = NULL;
    set_running_config(a, a->generation->config);
    gauge_set(&a->stats.config_hash, a->generation->config->hash);
    generation_release(old);
    log_info("Completed loading of configuration file", LOG_STR("component", STR("configuration")),
             LOG_STR("file", a->config_path));
    generation_log(a->generation, a->o->data_retention_ns / 1000000);
    end_reload(a, true);
    queue_reload(a); /* whatever was asked for meanwhile */
}

static void applied_on_alert_thread(void *arg)
{
    struct app *a = arg;
    loop_post(a->loop, &a->applied_call);
}

static void fail_reload(struct app *a, const char *what)
{
    log_error(what, LOG_STR("component", STR("configuration")), LOG_STR("file", a->config_path), LOG_ERR(&a->reload_err));
    end_reload(a, false);
    queue_reload(a);
}

static void begin_reload(void *arg)
{
    struct app *a = arg;
    lock_take(&a->reload_lock);
    a->reload_queued = false;
    bool wanted = a->reload_wanted && !a->reloading;
    if (wanted) {
        a->reload_wanted = false;
        a->answering = a->reloads;
        a->answering_count = a->reloads_count;
        a->reloads = NULL;
        a->reloads_count = 0;
        a->reloading = true;
    }
    lock_give(&a->reload_lock);
    if (!wanted)
        return;
    a->reload_err = (struct err){ 0 };
    log_info("Loading configuration file", LOG_STR("component", STR("configuration")), LOG_STR("file", a->config_path));
    struct config *c = load_config(a, &a->reload_err);
    if (!c) {
        fail_reload(a, "Loading configuration file failed");
        return;
    }
    if (c->alert_half != a->alert_half || c->prometheus.present != a->prometheus_half) {
        config_release(c);
        err_set(&a->reload_err, ERR_INVALID, "what runs is fixed at start: this file would %s",
                a->alert_half != (a->config && a->config->alert_half) || !a->alert_half
                    ? "add the alert half" : "add or remove the Prometheus half or the alert half");
        fail_reload(a, "Loading configuration file failed");
        return;
    }
    if (a->mesh)
        mesh_thread_reload(a->mesh);
    if (a->prometheus)
        prometheus_half_reload(a->prometheus, c);
    if (!a->alert_half) {
        set_running_config(a, c);
        config_release(c);
        end_reload(a, true);
        queue_reload(a);
        return;
    }
    a->next = build_generation(a, c, &a->reload_err);
    if (!a->next) {
        fail_reload(a, "one or more config change subscribers failed to apply new config");
        return;
    }
    alert_thread_configure(a->alerts, &a->next->dispatch, applied_on_alert_thread, a);
}

static void queue_reload(struct app *a)
{
    lock_take(&a->reload_lock);
    bool post = a->reload_wanted && !a->reload_queued && !a->reloading;
    a->reload_queued = a->reload_queued || post;
    lock_give(&a->reload_lock);
    if (post)
        loop_post(a->loop, &a->reload_call);
}

/* Any thread. */
static bool ask_reload(void *arg, struct api_ask *q)
{
    struct app *a = arg;
    lock_take(&a->reload_lock);
    if (q) {
        a->reloads = mem_realloc_array(a->reloads, a->reloads_count + 1, sizeof(struct api_ask *));
        a->reloads[a->reloads_count++] = q;
    }
    a->reload_wanted = true;
    lock_give(&a->reload_lock);
    queue_reload(a);
    return true;
}

/* ---- hooks of the alert thread ---- */

static void hook_attempt(void *arg, const struct notify_attempt *attempt)
{
    send_thread_attempt(((struct app *)arg)->send, attempt);
}

static void hook_cancel(void *arg, uint64_t attempt)
{
    send_thread_cancel(((struct app *)arg)->send, attempt);
}

static void hook_broadcast(void *arg, struct str key, struct str record, bool relay)
{
    mesh_thread_broadcast(((struct app *)arg)->mesh, key, record, relay);
}

static void hook_claim(void *arg, struct str to, struct str bytes)
{
    mesh_thread_claim(((struct app *)arg)->mesh, to, bytes);
}

static void hook_alerts(void *arg, const struct dispatch_alert *alerts, size_t n)
{
    mesh_thread_alerts(((struct app *)arg)->mesh, alerts, n);
}

static void hook_cluster(void *arg, struct arena *arena, struct api_cluster *out)
{
    mesh_thread_status(((struct app *)arg)->mesh, arena, out);
}

static void hook_result(void *arg, struct notify_result *r)
{
    alert_thread_result(((struct app *)arg)->alerts, r);
}

static void hook_results_end(void *arg)
{
    alert_thread_results_end(((struct app *)arg)->alerts);
}

/* The mesh cannot be joined at all. Any thread. */
static void request_failed_end(void *arg)
{
    struct app *a = arg;
    atomic_store(&a->failed, true);
    loop_post(a->loop, &a->fail_call);
}

static bool start_alert_half(struct app *a, struct err *err)
{
    uint64_t seed;
    crypto_random(&seed, sizeof seed);
    bool clustered = a->o->cluster_listen_address.n > 0;
    if (clustered) {
        const struct mesh_thread_options mesh = { .options = a->o, .fs = fs_posix(), .seed = seed, .registry = a->registry,
                                                  .loop_metrics = &a->loop_metrics,
                                                  .mailbox_metrics = &a->mailbox_metrics,
                                                  .fatal = request_failed_end, .fatal_arg = a };
        a->mesh = mesh_thread_start(&mesh, err);
        if (!a->mesh)
            return err_wrap(err, "unable to initialize gossip mesh");
    }
    const struct send_thread_options send = { .user_agent = STR("Alertmanager/" APP_ALERTMANAGER_VERSION),
                                              .registry = a->registry, .loop_metrics = &a->loop_metrics,
                                              .mailbox_metrics = &a->mailbox_metrics, .result = hook_result,
                                              .results_end = hook_results_end, .arg = a };
    a->send = send_thread_start(&send, err);
    if (!a->send)
        return false;
    const struct alert_thread_options options = {
        .options = a->o, .fs = fs_posix(), .mode = features_matcher_mode(&a->features),
        .receiver_names_in_metrics = feature_on(&a->features, FEATURE_RECEIVER_NAME_IN_METRICS),
        .group_keys_in_metrics = feature_on(&a->features, FEATURE_GROUP_KEY_IN_METRICS),
        .alert_names_in_metrics = feature_on(&a->features, FEATURE_ALERT_NAMES_IN_METRICS),
        .clustered = clustered, .seed = seed, .registry = a->registry, .loop_metrics = &a->loop_metrics,
        .mailbox_metrics = &a->mailbox_metrics,
    };
    const struct alert_thread_hooks hooks = { .arg = a, .attempt = hook_attempt, .cancel = hook_cancel,
                                              .broadcast = a->mesh ? hook_broadcast : NULL,
                                              .claim = a->mesh ? hook_claim : NULL,
                                              .alerts_changed = a->mesh ? hook_alerts : NULL,
                                              .cluster = a->mesh ? hook_cluster : NULL, .reload = ask_reload };
    a->alerts = alert_thread_start(&options, &hooks, err);
    return a->alerts != NULL;
}

static bool start_prometheus_half(struct app *a, const struct config *c, struct err *err)
{
    uint64_t seed;
    crypto_random(&seed, sizeof seed);
    const struct prometheus_half_options options = { .options = a->o, .features = &a->features, .config = c,
                                                     .fs = fs_posix(), .seed = seed, .hostname = a->hostname,
                                                     .started = a->api.backend.started, .registry = a->registry,
                                                     .loop_metrics = &a->loop_metrics };
    a->prometheus = prometheus_half_start(&options, err);
    if (!a->prometheus)
        return err_wrap(err, "opening storage failed");
    a->web.prometheus = prometheus_half_door(a->prometheus);
    return true;
}

/* ---- HTTP ---- */

static void call_finish(struct web_call *c)
{
    http_exchange_finish(c->call.carrier);
}

static void handle(void *arg, struct http_exchange *x)
{
    struct app *a = arg;
    struct web_call *c = ARENA_NEW(x->request.arena, struct web_call);
    c->call.req = &x->request;
    c->call.res = &x->response;
    c->call.carrier = x;
    c->finish = call_finish;
    web_handle(&a->web, c);
}

static void backend_ask(void *arg, struct api_ask *q)
{
    struct app *a = arg;
    if (q->what == API_RELOAD)
        (void)ask_reload(a, q);
    else
        alert_thread_ask(a->alerts, q);
}

static struct wire_time backend_now(void *arg)
{
    (void)arg;
    return clock_wall();
}

static bool is_ready(void *arg)
{
    return atomic_load(&((struct app *)arg)->serving);
}

static void quit_on_main(void *arg)
{
    struct app *a = arg;
    loop_stop(a->loop);
}

static void request_quit(void *arg)
{
    struct app *a = arg;
    loop_post(a->loop, &a->quit_call);
}

static size_t choose_listeners(struct app *a, struct http_listener *out)
{
    size_t n = 0;
    if (a->o->web_systemd_socket) {
        int first;
        size_t fds = service_listen_fds(&first);
        for (size_t i = 0; i < fds && n < LISTENERS_MAX; i++)
            out[n++] = (struct http_listener){ .fd = first + (int)i };
        return n;
    }
    for (size_t i = 0; i < a->o->web_listen_addresses.n && n < LISTENERS_MAX; i++)
        out[n++] = (struct http_listener){ .address = a->o->web_listen_addresses.v[i], .fd = -1 };
    if (n == 0 && a->alert_half)
        out[n++] = (struct http_listener){ .address = STR(":9093"), .fd = -1 };
    if (a->o->web_listen_addresses.n == 0 && a->prometheus_half)
        out[n++] = (struct http_listener){ .address = STR(":9090"), .fd = -1 };
    return n;
}

static bool bind_listeners(struct app *a, struct err *err)
{
    struct http_listener listeners[LISTENERS_MAX];
    size_t n = a->listeners_count = choose_listeners(a, listeners);
    if (n == 0)
        return err_set(err, ERR_INVALID, "no socket activation file descriptors found");
    a->access = web_access_open(fs_posix(), a->o->web_config_file, err);
    if (!a->access)
        return false;
    int64_t timeout_ns = a->o->web_timeout_ns > 0 ? a->o->web_timeout_ns : 0;
    struct buf shown = { 0 };
    go_duration_write(&shown, timeout_ns);
    const struct http_server_config config = {
        .listeners = listeners, .listeners_count = n,
        .limits = { .timeout_ms = timeout_ns ? (timeout_ns + 999999) / 1000000 : 0,
                    .connections_max = !a->alert_half && a->o->web_max_connections > 0
                                           ? (unsigned)a->o->web_max_connections : 0 },
        .hooks = web_access_hooks(a->access), .handle = handle, .arg = a,
        .timeout_text = arena_printf(&a->arena, "Exceeded configured timeout of %.*s.\n", STR_ARG(buf_view(&shown))),
    };
    buf_deinit(&shown);
    a->server = http_server_new(&config, err);
    return a->server != NULL;
}

static bool external_url(struct app *a, struct err *err)
{
    struct http_url u;
    struct str text = a->o->web_external_url;
    if (text.n == 0)
        text = arena_printf(&a->arena, "http://%.*s:%u/", STR_ARG(a->hostname), (unsigned)http_server_port(a->server, 0));
    if (!http_url_parse(&a->arena, text, &u, err))
        return err_wrap(err, "failed to determine external URL");
    if (!str_eq(u.scheme, STR("http")) && !str_eq(u.scheme, STR("https"))) {
        err_set(err, ERR_INVALID, "\"%.*s\": invalid \"%.*s\" scheme, only 'http' and 'https' are supported", STR_ARG(text),
                STR_ARG(u.scheme));
        return err_wrap(err, "failed to determine external URL");
    }
    struct str path = u.path;
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    u.path = path.n && path.p[0] != '/' ? arena_printf(&a->arena, "/%.*s", STR_ARG(path)) : path;
    u.raw_path = STR_EMPTY;
    struct buf out = { 0 };
    http_url_write(&out, &u);
    a->external_url = arena_str(&a->arena, buf_view(&out));
    buf_deinit(&out);
    struct str prefix = a->o->web_route_prefix_given ? a->o->web_route_prefix : u.path;
    prefix = str_trim_set(prefix, STR("/"));
    a->web.prefix = prefix.n ? arena_printf(&a->arena, "/%.*s", STR_ARG(prefix)) : STR_EMPTY;
    return true;
}

/* The route labels of a group as GET /alerts/groups shows them: rendered from the alerts that it holds in this view. */
static struct labels route_labels(void *arg, struct arena *arena, const struct dispatch_view *v,
                                  const struct dispatch_group_row *g)
{
    (void)arg;
    if (g->route->labels.n == 0)
        return (struct labels){ 0 };
    struct generation *gen = generation_of(v->receivers);
    struct notification *n = notification_new();
    struct notification_alert *alerts = arena_alloc_array(&n->arena, g->alerts_count, sizeof *alerts);
    for (size_t i = 0; i < g->alerts_count; i++) {
        const struct dispatch_alert_row *row = &v->alerts[g->alerts[i]];
        alerts[i] = (struct notification_alert){ alert_retain(row->alert), row->ends_at,
                                                 !row->held && wire_time_cmp(row->ends_at, v->now) <= 0 };
    }
    n->receiver = g->route->receiver;
    n->group_key = g->key;
    n->group_labels = g->labels;
    n->route_labels = g->route->labels;
    n->alerts = alerts;
    n->alerts_count = g->alerts_count;
    n->reason = NOTIFY_REASON_UNKNOWN;
    n->external_url = v->receivers->external_url;
    n->now = v->now;
    struct template_renderer *r = template_renderer_new(gen->templates);
    struct labels out = render_route_labels(r, arena, n, zones_hook, NULL, NULL);
    out = labels_copy(arena, out);
    template_renderer_free(r);
    notification_release(n);
    return out;
}

/* Upstream's default is the greater of CPUs and 8. There a request that is being answered has a goroutine that runs; here it
 * mostly waits its turn at the alert thread and costs a few KiB: a burst of clients that upstream would answer must not be
 * refused for that. */
static int get_limit(const struct options *o)
{
    enum { LEAST = 8, WAITING_PER_RUNNING = 16 };
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (o->web_get_concurrency > 0)
        return o->web_get_concurrency < INT_MAX ? (int)o->web_get_concurrency : INT_MAX;
    return (int)(cpus > LEAST ? cpus : LEAST) * WAITING_PER_RUNNING;
}

static void prepare_web(struct app *a)
{
    a->api.backend = (struct api_backend){ .arg = a, .ask = backend_ask, .config = running_config, .now = backend_now,
                                           .started = clock_wall() };
    a->api.mode = features_matcher_mode(&a->features);
    a->api.version = STR(APP_ALERTMANAGER_VERSION);
    a->api.revision = STR("tocsin-" TOCSIN_VERSION);
    a->api.route_labels = route_labels;
    a->api.route_labels_arg = a;
    a->web.api = a->alert_half ? &a->api : NULL;
    a->web.control = &a->api;
    a->web.get_limit = get_limit(a->o);
    a->web.registry = a->registry;
    a->web.lifecycle_open = a->alert_half && !a->prometheus_half;
    a->web.lifecycle_enabled = a->o->web_enable_lifecycle;
    a->web.ready = is_ready;
    a->web.quit = request_quit;
    a->web.arg = a;
    a->web.version = STR(TOCSIN_VERSION);
}

static void register_metrics(struct app *a)
{
    struct metric_registry *r = a->registry;
    metric_stats_init(loop_metric_descs, loop_metric_descs_count, &a->loop_metrics);
    metric_stats_init(mailbox_metric_descs, mailbox_metric_descs_count, &a->mailbox_metrics);
    metric_stats_init(web_metrics, web_metrics_count, &a->web.stats);
    metric_registry_add(r, loop_metric_descs, loop_metric_descs_count, &a->loop_metrics, NULL, NULL);
    metric_registry_add(r, mailbox_metric_descs, mailbox_metric_descs_count, &a->mailbox_metrics, NULL, NULL);
    metric_registry_add(r, process_metric_descs, process_metric_descs_count, &a->process, process_stats_collect, NULL);
    metric_registry_add(r, own_metrics, ARRAY_LEN(own_metrics), &a->stats, NULL, NULL);
    gauge_set(&a->stats.build_info_am, 1);
    gauge_set(&a->stats.own_build_info, 1);
    if (a->alert_half) {
        metric_registry_add(r, alert_half_metrics, ARRAY_LEN(alert_half_metrics), &a->stats, NULL, NULL);
        if (a->o->cluster_listen_address.n == 0)
            metric_registry_add(r, alone_metrics, ARRAY_LEN(alone_metrics), &a->stats, NULL, NULL);
        metric_registry_add(r, web_metrics, web_metrics_count, &a->web.stats, NULL, NULL);
        metric_registry_add(r, api_metrics, api_metrics_count, &a->api.stats, NULL, NULL);
    }
}

/* ---- flags that only make sense within bounds ---- */

static bool check_positive(const char *name, int64_t v, struct err *err)
{
    return v > 0 || err_set(err, ERR_INVALID, "%s must be greater than 0", name);
}

static bool check_options(const struct options *o, const struct features *f, struct err *err)
{
    bool ok = check_positive("data retention", o->data_retention_ns, err) &&
              check_positive("data maintenance interval", o->data_maintenance_interval_ns, err) &&
              check_positive("alerts GC interval", o->alerts_gc_interval_ns, err) &&
              check_positive("dispatch maintenance interval", o->dispatch_maintenance_interval_ns, err);
    if (ok && o->cluster_listen_address.n)
        ok = check_positive("cluster peer timeout", o->cluster_peer_timeout_ns, err) &&
             check_positive("cluster peers resolve timeout", o->cluster_peers_resolve_timeout_ns, err) &&
             check_positive("cluster gossip interval", o->cluster_gossip_interval_ns, err) &&
             check_positive("cluster push-pull interval", o->cluster_pushpull_interval_ns, err) &&
             check_positive("cluster TCP timeout", o->cluster_tcp_timeout_ns, err) &&
             check_positive("cluster probe timeout", o->cluster_probe_timeout_ns, err) &&
             check_positive("cluster probe interval", o->cluster_probe_interval_ns, err) &&
             check_positive("cluster reconnect interval", o->cluster_reconnect_interval_ns, err) &&
             check_positive("cluster reconnect timeout", o->cluster_reconnect_timeout_ns, err);
    if (ok && feature_on(f, FEATURE_AUTO_GOMEMLIMIT) && !(o->auto_gomemlimit_ratio > 0 && o->auto_gomemlimit_ratio <= 1))
        ok = err_set(err, ERR_INVALID, "--auto-gomemlimit.ratio must be greater than 0 and less than or equal to 1.");
    return ok;
}

/* ---- start and end ---- */

static void on_signal(void *arg, int signo)
{
    struct app *a = arg;
    if (signo == SIGHUP) {
        (void)ask_reload(a, NULL);
        return;
    }
    loop_stop(a->loop);
}

static void first_applied(void *arg)
{
    struct app *a = arg;
    loop_post(a->loop, &a->first_applied_call);
}

static void first_applied_on_main(void *arg)
{
    loop_stop(((struct app *)arg)->loop);
}

/* Builds the first generation and waits until its alerts are routed. */
static bool apply_first(struct app *a, struct config *c, struct err *err)
{
    set_running_config(a, c);
    if (!a->alert_half) {
        config_release(c);
        return true;
    }
    a->generation = build_generation(a, c, err);
    if (!a->generation)
        return false;
    generation_log(a->generation, a->o->data_retention_ns / 1000000);
    a->first_applied_call = (struct loop_call){ .run = first_applied_on_main, .arg = a };
    a->applied_call = (struct loop_call){ .run = reload_applied, .arg = a };
    if (a->mesh && !mesh_thread_join(a->mesh, a->alerts, err))
        return false;
    alert_thread_configure(a->alerts, &a->generation->dispatch, first_applied, a);
    loop_run(a->loop);
    gauge_set(&a->stats.reload_ok, 1);
    gauge_set(&a->stats.reload_time, (double)clock_wall_ms() / 1000);
    gauge_set(&a->stats.config_hash, a->generation->config->hash);
    return true;
}

static bool serve(struct app *a, struct err *err)
{
    if (!http_server_start(a->server, err))
        return false;
    for (size_t i = 0; i < a->listeners_count; i++) {
        struct str address = http_server_address(a->server, i);
        log_info("Listening on", LOG_STR("address", address));
        log_info(web_access_tls(a->access) ? "TLS is enabled." : "TLS is disabled.", LOG_BOOL("http2", false),
                 LOG_STR("address", address));
    }
    atomic_store(&a->serving, true);
    (void)service_notify(STR("READY=1"));
    return true;
}

static void wait_for_attempts(struct app *a)
{
    const mono_ms end = mono_add(clock_mono(), DRAIN_MS);
    while (send_thread_in_flight(a->send) > 0 && mono_before(clock_mono(), end))
        loop_turn(a->loop, IN_FLIGHT_POLL_MS);
}

static void shut_down(struct app *a)
{
    atomic_store(&a->serving, false);
    (void)service_notify(STR("STOPPING=1"));
    if (a->server)
        (void)http_server_stop(a->server, DRAIN_MS);
    if (a->alerts) {
        alert_thread_quiesce(a->alerts);
        wait_for_attempts(a);
    }
    send_thread_stop(a->send);
    mesh_thread_leave(a->mesh); /* peers may ask for state until the end, so the stores still run */
    if (a->alerts)
        alert_thread_stop(a->alerts);
    send_thread_free(a->send);
    mesh_thread_free(a->mesh);
    if (a->server)
        http_server_free(a->server);
    prometheus_half_stop(a->prometheus);
    alert_thread_free(a->alerts);
    web_access_close(a->access);
    generation_release(a->generation);
    generation_release(a->next);
    if (a->config)
        config_release(a->config);
    mem_free(a->reloads);
}

static void restore_default_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static bool start(struct app *a, struct err *err)
{
    if (!features_parse(&a->features, a->o->enable_features, err))
        return err_wrap(err, "error parsing the feature flag list");
    features_log(&a->features);
    if (!check_options(a->o, &a->features, err))
        return false;
    struct config *c = load_config(a, err);
    if (!c)
        return err_wrap(err, "error loading configuration file");
    a->alert_half = c->alert_half;
    a->prometheus_half = c->prometheus.present;
    if (a->o->config_check || a->o->dry_run) {
        bool ok = check_and_say(c, a->o, err);
        config_release(c);
        a->quitting = true;
        return ok;
    }
    log_info(a->alert_half ? "Starting Alertmanager" : "Starting Prometheus Server",
             LOG_STR("version", STR("tocsin " TOCSIN_VERSION)));
    if (!a->prometheus_half) /* alerts pass from thread to thread: a burst would leave its size in the heap of each */
        mem_share_heaps();
    prepare_web(a);
    register_metrics(a);
    bool ok = bind_listeners(a, err) && external_url(a, err) && (!a->alert_half || start_alert_half(a, err)) &&
              (!a->prometheus_half || start_prometheus_half(a, c, err));
    if (!ok) {
        config_release(c);
        return false;
    }
    return apply_first(a, c, err) && serve(a, err);
}

static struct str host_name(struct arena *arena)
{
    char name[256] = "localhost";
    if (gethostname(name, sizeof name - 1) != 0)
        return STR("localhost");
    return arena_str(arena, str_c(name));
}

int app_run(const struct options *options)
{
    struct app *a = MEM_NEW(struct app);
    struct err err = { 0 };
    a->o = options;
    arena_init(&a->arena, ARENA_NO_LIMIT);
    lock_init(&a->config_lock);
    lock_init(&a->reload_lock);
    a->config_path = options->config_file;
    a->hostname = host_name(&a->arena);
    a->registry = metric_registry_new();
    a->loop = loop_new("main", NULL);
    a->reload_call = (struct loop_call){ .run = begin_reload, .arg = a };
    a->quit_call = (struct loop_call){ .run = quit_on_main, .arg = a };
    a->fail_call = (struct loop_call){ .run = quit_on_main, .arg = a };
    crypto_init();
    (void)service_raise_files_limit();
    a->signals = signals_new(a->loop, on_signal, a, &err);
    bool ok = a->signals && start(a, &err);
    if (!ok) {
        log_error("tocsin exited with error", LOG_ERR(&err));
    } else if (!a->quitting) {
        loop_run(a->loop);
        log_info("Shutting down gracefully");
    }
    ok = ok && !atomic_load(&a->failed);
    signals_free(a->signals);
    restore_default_signals();
    shut_down(a);
    if (ok && !a->quitting)
        log_info("Received shutdown signal, exiting gracefully...");
    loop_free(a->loop);
    metric_registry_free(a->registry);
    metric_stats_deinit(loop_metric_descs, loop_metric_descs_count, &a->loop_metrics);
    metric_stats_deinit(mailbox_metric_descs, mailbox_metric_descs_count, &a->mailbox_metrics);
    metric_stats_deinit(web_metrics, web_metrics_count, &a->web.stats);
    arena_deinit(&a->arena);
    mem_free(a);
    return ok ? 0 : 1;
}
