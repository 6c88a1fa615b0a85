/* Requests of /api/v1 that the store answers at once run on the HTTP thread; queries are handed to the query threads
 * (queries.c). The store's maintenance (head to blocks, checkpoints, merging, retention) runs once a minute on a thread of
 * its own. */
#include "app/prometheus_half.h"

#include "api/store_api.h"
#include "api/v1.h"
#include "app/queries.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "http/router.h"
#include "io/clock_io.h"
#include "io/loop.h"
#include "io/thread.h"
#include "model/duration.h"
#include "tsdb/tsdb.h"

#include <stdlib.h>
#include <unistd.h>

#define MAINTENANCE_MS       60000
#define RETENTION_DEFAULT_MS ((int64_t)15 * 24 * 3600 * 1000)
#define EXEMPLARS_DEFAULT    100000

struct prometheus_half {
    struct prometheus_half_options o;
    struct arena arena;
    struct tsdb *db;
    struct store_api store;
    struct api_v1 queries;
    struct queries *query_threads;
    struct loop *loop;
    struct thread thread;
    struct loop_timer timer;
    atomic_bool stopping;
    struct loop_call stop_call;
};

/* ---- settings: the file's section wins over the flags ---- */

static bool parse_size(struct str text, uint64_t *bytes)
{
    static const char *const units[] = { "B", "KB", "MB", "GB", "TB", "PB", "EB" };
    size_t digits = 0;
    while (digits < text.n && (ascii_is_digit(text.p[digits]) || text.p[digits] == '.'))
        digits++;
    double v;
    if (digits == 0 || !num_parse_f64(str_sub(text, 0, digits), &v, NULL))
        return false;
    struct str unit = str_from(text, digits);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (str_eq(unit, str_c(units[i]))) {
            *bytes = (uint64_t)v;
            return true;
        }
        v *= 1024;
    }
    return false;
}

struct settings {
    int64_t retention_ms, out_of_order_ms;
    uint64_t retention_bytes;
    size_t exemplars_max;
};

static bool settings_of(const struct prometheus_half *p, const struct config *c, struct settings *s, struct err *err)
{
    const struct options *o = p->o.options;
    const struct storage_config *st = &c->prometheus.storage;
    const struct tsdb_retention_config *retention = st->tsdb ? st->tsdb->retention : NULL;
    *s = (struct settings){ .out_of_order_ms = st->tsdb ? st->tsdb->out_of_order_time_window_ms : 0 };
    if (o->tsdb_retention_size.n && !parse_size(o->tsdb_retention_size, &s->retention_bytes))
        return err_set(err, ERR_INVALID, "storage.tsdb.retention.size: units: unknown unit in \"%.*s\"",
                       STR_ARG(o->tsdb_retention_size));
    s->retention_ms = o->tsdb_retention_ms;
    if (retention) {
        s->retention_ms = retention->time_ms.set ? retention->time_ms.v : 0;
        s->retention_bytes = retention->size_bytes.set ? (uint64_t)retention->size_bytes.v : 0;
    }
    if (s->retention_ms == 0 && s->retention_bytes == 0)
        s->retention_ms = RETENTION_DEFAULT_MS;
    int64_t exemplars = st->exemplars && st->exemplars->max_exemplars.set ? st->exemplars->max_exemplars.v
                                                                          : EXEMPLARS_DEFAULT;
    s->exemplars_max = feature_on(p->o.features, FEATURE_EXEMPLAR_STORAGE) && exemplars > 0 ? (size_t)exemplars : 0;
    return true;
}

static bool open_store(struct prometheus_half *p, struct err *err)
{
    const struct options *o = p->o.options;
    struct settings s;
    uint64_t segment = 0;
    if (!settings_of(p, p->o.config, &s, err))
        return false;
    if (o->tsdb_wal_segment_size.n && !parse_size(o->tsdb_wal_segment_size, &segment))
        return err_set(err, ERR_INVALID, "storage.tsdb.wal-segment-size: units: unknown unit in \"%.*s\"",
                       STR_ARG(o->tsdb_wal_segment_size));
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    const struct tsdb_options t = {
        .fs = p->o.fs, .dir = o->tsdb_path, .block_ms = o->tsdb_min_block_duration_ms,
        .block_max_ms = o->tsdb_max_block_duration_ms, .retention_ms = s.retention_ms, .retention_bytes = s.retention_bytes,
        .out_of_order_ms = s.out_of_order_ms, .exemplars_max = s.exemplars_max,
        .snapshot_on_shutdown = feature_on(p->o.features, FEATURE_MEMORY_SNAPSHOT_ON_SHUTDOWN),
        .no_overlap_compaction = !o->tsdb_allow_overlapping_compaction, .no_lock = o->tsdb_no_lockfile,
        .compression = !o->tsdb_wal_compression ? TSDB_PLAIN
                       : str_eq(o->tsdb_wal_compression_type, STR("zstd")) ? TSDB_ZSTD : TSDB_SNAPPY,
        .wal_segment_bytes = segment, .seed = p->o.seed, .replay_threads = cpus > 1 ? (unsigned)cpus - 1 : 0,
    };
    struct buf retention = { 0 };
    duration_write(&retention, s.retention_ms);
    p->store.retention = arena_str(&p->arena, buf_view(&retention));
    buf_deinit(&retention);
    return fs_mkdir_all(p->o.fs, o->tsdb_path, err) && tsdb_open(&t, clock_wall_ms(), &p->db, err);
}

/* Relative to the directory of the configuration file. */
static void open_query_log(struct prometheus_half *p, const struct config *c)
{
    struct str file = c->global.prometheus.query_log_file;
    struct buf path = { 0 };
    size_t slash = str_rfind_byte(c->path, '/');
    if (file.n && file.p[0] != '/' && slash != STR_NPOS)
        buf_str(&path, str_sub(c->path, 0, slash + 1));
    buf_str(&path, file);
    queries_log_to(p->query_threads, buf_view(&path));
    buf_deinit(&path);
}

void prometheus_half_reload(struct prometheus_half *p, const struct config *config)
{
    struct settings s;
    struct err err = { 0 };
    if (settings_of(p, config, &s, &err)) /* the flags were good at start */
        tsdb_reconfigure(p->db, s.out_of_order_ms, s.retention_ms, s.retention_bytes, s.exemplars_max);
    atomic_store(&p->queries.interval_ms, config->global.prometheus.evaluation_interval_ms);
    open_query_log(p, config);
}

/* ---- background ---- */

static void maintain(void *arg)
{
    struct prometheus_half *p = arg;
    tsdb_maintain(p->db, clock_wall_ms(), &p->stopping);
}

static void run(void *arg)
{
    struct prometheus_half *p = arg;
    loop_timer_every(p->loop, &p->timer, MAINTENANCE_MS);
    maintain(p);
    if (!atomic_load(&p->stopping))
        loop_run(p->loop);
}

static void end_loop(void *arg)
{
    struct prometheus_half *p = arg;
    loop_stop(p->loop);
}

/* ---- queries ---- */

static unsigned promql_features_of(const struct features *f)
{
    unsigned on = 0;
    on |= feature_on(f, FEATURE_PROMQL_EXPERIMENTAL_FUNCTIONS) ? PROMQL_EXPERIMENTAL_FUNCTIONS : 0;
    on |= feature_on(f, FEATURE_PROMQL_DELAYED_NAME_REMOVAL) ? PROMQL_DELAYED_NAME_REMOVAL : 0;
    on |= feature_on(f, FEATURE_PROMQL_EXTENDED_RANGE_SELECTORS) ? PROMQL_EXTENDED_RANGES : 0;
    on |= feature_on(f, FEATURE_PROMQL_BINOP_FILL_MODIFIERS) ? PROMQL_FILL_MODIFIERS : 0;
    on |= feature_on(f, FEATURE_PROMQL_PER_STEP_STATS) ? PROMQL_PER_STEP_STATS : 0;
    on |= feature_on(f, FEATURE_USE_START_TIMESTAMPS) ? PROMQL_START_TIMES : 0;
    on |= feature_on(f, FEATURE_TYPE_AND_UNIT_LABELS) ? PROMQL_TYPE_AND_UNIT : 0;
    return on;
}

static bool start_queries(struct prometheus_half *p, struct err *err)
{
    const struct options *o = p->o.options;
    p->queries.storage = tsdb_storage(p->db);
    p->queries.features = promql_features_of(p->o.features);
    p->queries.lookback_ms = o->query_lookback_delta_ms;
    p->queries.timeout_ms = o->query_timeout_ms;
    p->queries.samples_max = o->query_max_samples > 0 ? (size_t)o->query_max_samples : 0;
    atomic_store(&p->queries.interval_ms, p->o.config->global.prometheus.evaluation_interval_ms);
    const struct queries_options q = { .fs = p->o.fs, .dir = o->tsdb_path, .registry = p->o.registry,
                                       .concurrency = o->query_max_concurrency > 0 ? (size_t)o->query_max_concurrency : 1 };
    if (!queries_start(&q, &p->query_threads, err))
        return false;
    open_query_log(p, p->o.config);
    return true;
}

/* ---- requests ---- */

static void handle(void *arg, struct web_call *c, struct str path)
{
    struct prometheus_half *p = arg;
    struct str prefix = STR("/api/v1");
    if (str_starts(path, STR("/api/v1/"))) {
        struct str rest = str_from(path, prefix.n);
        c->handler = path;
        http_response_header(c->call.res, STR("Vary"), STR("Origin"));
        if (http_request_has_header(c->call.req, STR("Origin")))
            http_response_header(c->call.res, STR("Access-Control-Allow-Origin"), STR("*"));
        if (store_api_handle(&p->store, c->call.req, c->call.res, rest, clock_wall())) {
            api_finish(&c->call);
            return;
        }
        struct api_v1_job *job = NULL;
        if (api_v1_begin(&p->queries, c->call.req, c->call.res, rest, clock_wall_ms(), &job)) {
            if (job)
                queries_submit(p->query_threads, c, job);
            else
                api_finish(&c->call);
            return;
        }
    }
    c->handler = STR_EMPTY;
    http_answer_not_found(c->call.res);
    api_finish(&c->call);
}

struct web_half prometheus_half_door(struct prometheus_half *p)
{
    return (struct web_half){ .arg = p, .handle = handle };
}

/* ---- start and end ---- */

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct http_param *)a)->name, ((const struct http_param *)b)->name);
}

static struct str flag_text(struct arena *a, const struct options *o, const struct flag *f)
{
    const char *field = (const char *)o + f->offset;
    struct buf b = { 0 };
    struct str text = STR_EMPTY;
    switch (f->kind) {
    case FLAG_BOOL:
        return *(const bool *)(const void *)field ? STR("true") : STR("false");
    case FLAG_STR:
    case FLAG_ENUM:
    case FLAG_EXISTING_FILE:
        return *(const struct str *)(const void *)field;
    case FLAG_STRS: {
        const struct str_list *l = (const struct str_list *)(const void *)field;
        for (size_t i = 0; i < l->n; i++)
            buf_printf(&b, "%s%.*s", i ? "," : "", STR_ARG(l->v[i]));
        break;
    }
    case FLAG_I64:
        buf_i64(&b, *(const int64_t *)(const void *)field);
        break;
    case FLAG_F64:
        num_write_f64(&b, *(const double *)(const void *)field, 'g', -1);
        break;
    case FLAG_GO_DURATION:
        go_duration_write(&b, *(const int64_t *)(const void *)field);
        break;
    case FLAG_PROM_DURATION:
        duration_write(&b, *(const int64_t *)(const void *)field);
        break;
    }
    text = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return text;
}

static void fill_store_api(struct prometheus_half *p)
{
    const struct command *program = &tocsin_command;
    struct http_param *flags = arena_alloc_array(&p->arena, program->flags_count, sizeof *flags);
    for (size_t i = 0; i < program->flags_count; i++)
        flags[i] = (struct http_param){ str_c(program->flags[i].name),
                                        flag_text(&p->arena, p->o.options, &program->flags[i]) };
    qsort(flags, program->flags_count, sizeof *flags, by_name);
    char cwd[4096];
    p->store.flags = flags;
    p->store.flags_count = program->flags_count;
    p->store.receive_enabled = p->o.options->web_enable_remote_write_receiver;
    p->store.admin_enabled = p->o.options->web_enable_admin_api;
    p->store.version = STR("3.14.0");
    p->store.revision = STR("tocsin-" TOCSIN_VERSION);
    p->store.cwd = getcwd(cwd, sizeof cwd) ? arena_str(&p->arena, str_c(cwd)) : STR_EMPTY;
    p->store.hostname = p->o.hostname;
    p->store.started = p->o.started;
}

struct prometheus_half *prometheus_half_start(const struct prometheus_half_options *options, struct err *err)
{
    struct prometheus_half *p = MEM_NEW(struct prometheus_half);
    p->o = *options;
    arena_init(&p->arena, ARENA_NO_LIMIT);
    fill_store_api(p);
    p->loop = loop_new("tsdb", options->loop_metrics);
    p->timer = (struct loop_timer){ .fire = maintain, .arg = p };
    if (open_store(p, err)) {
        p->store.db = p->db;
        tsdb_register_metrics(p->db, options->registry);
        metric_registry_add(options->registry, receive_metrics, receive_metrics_count, &p->store.stats, NULL, NULL);
        if (start_queries(p, err) && thread_start(&p->thread, "tsdb", run, p, err))
            return p;
    }
    prometheus_half_stop(p);
    return NULL;
}

void prometheus_half_stop(struct prometheus_half *p)
{
    if (!p)
        return;
    atomic_store(&p->stopping, true);
    if (p->thread.started) {
        p->stop_call = (struct loop_call){ .run = end_loop, .arg = p };
        loop_post(p->loop, &p->stop_call);
        thread_join(&p->thread);
    }
    queries_stop(p->query_threads);
    if (p->db)
        tsdb_close(p->db);
    loop_free(p->loop);
    arena_deinit(&p->arena);
    mem_free(p);
}
