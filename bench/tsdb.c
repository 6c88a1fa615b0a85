/* What the TSDB costs, in its own process: memory a series, samples appended a CPU second through the log, replay, block
 * writing and merging, decoding, selecting.
 *
 *     tsdb [SERIES [SCRAPES [DIR]]]     defaults 100000, 120, /tmp/tocsin-bench-tsdb
 *
 * Series look like node_exporter's: targets of 1000 series, 10 labels, counters, gauges and constants at 15 s. */
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "io/fs_posix.h"
#include "tsdb/tsdb.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TARGET    1000
#define STEP_MS   15000
#define START_MS  INT64_C(1700006400000) /* a multiple of 2 h */
#define LABELS    10

static double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double status_mib(const char *key)
{
    char line[256];
    double kib = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f)) {
        struct str text = str_c(line);
        if (!str_starts(text, str_c(key)))
            continue;
        text = str_trim(str_from(text, strlen(key) + 1));
        if (!num_parse_f64(str_trim(str_sub(text, 0, str_find_byte(text, 'k'))), &kib, NULL))
            kib = 0;
    }
    if (f)
        fclose(f);
    return kib / 1024;
}

static void make_labels(struct arena *a, size_t series, struct labels *out)
{
    struct label *v = arena_alloc_array(a, LABELS, sizeof *v);
    size_t target = series / TARGET, n = series % TARGET;
    static const char *const modes[] = { "idle", "user", "system", "iowait", "irq", "softirq", "steal", "nice" };
    v[0] = (struct label){ STR("__name__"), arena_printf(a, "node_metric_%zu_total", n / 8) };
    v[1] = (struct label){ STR("cluster"), STR("production-eu-west-1") };
    v[2] = (struct label){ STR("cpu"), arena_printf(a, "%zu", n % 64) };
    v[3] = (struct label){ STR("datacenter"), arena_printf(a, "dc-%zu", target % 4) };
    v[4] = (struct label){ STR("env"), STR("prod") };
    v[5] = (struct label){ STR("instance"), arena_printf(a, "node-%05zu.example.internal:9100", target) };
    v[6] = (struct label){ STR("job"), STR("node-exporter") };
    v[7] = (struct label){ STR("mode"), str_c(modes[n % 8]) };
    v[8] = (struct label){ STR("pod"), arena_printf(a, "node-exporter-%05zu-x7k2p", target) };
    v[9] = (struct label){ STR("team"), STR("infrastructure") };
    *out = (struct labels){ v, LABELS };
}

struct bench {
    size_t series, scrapes;
    struct str dir;
    struct tsdb *db;
    series_ref *refs;
    double *values;
    struct rng rng;
};

static void open_db(struct bench *b)
{
    struct err err = { 0 };
    struct tsdb_options o = { .fs = fs_posix(), .dir = b->dir, .seed = 42 };
    if (!tsdb_open(&o, START_MS, &b->db, &err)) {
        fprintf(stderr, "open: %s\n", err.text);
        exit(1);
    }
}

/* Half of the series stand still, a quarter count evenly, the rest are busy counters and a few noisy gauges. */
static double next_value(struct bench *b, size_t i)
{
    double v = b->values[i];
    switch (i % 20) {
    case 0: return (double)rng_below(&b->rng, 100000) / 100;
    case 1:
    case 2:
    case 3:
    case 4: return v + (double)rng_below(&b->rng, 100);
    case 5:
    case 6:
    case 7:
    case 8:
    case 9: return v + 15;
    default: return v ? v : (double)(i % 7);
    }
}

static void scrape(struct bench *b, size_t target, int64_t t, bool first)
{
    struct appender *a;
    struct err err = { 0 };
    struct arena memory;
    if (!storage_appender(tsdb_storage(b->db), NULL, &a, &err))
        exit(1);
    if (first)
        arena_init(&memory, ARENA_NO_LIMIT);
    for (size_t i = target * TARGET; i < (target + 1) * TARGET && i < b->series; i++) {
        struct labels ls;
        if (first)
            make_labels(&memory, i, &ls);
        b->values[i] = next_value(b, i);
        if (append_sample(a, &b->refs[i], first ? &ls : NULL, t, b->values[i]) != APPEND_OK) {
            fprintf(stderr, "append: %s\n", a->detail.text);
            exit(1);
        }
    }
    if (first)
        arena_deinit(&memory);
    if (!append_commit(a, &err))
        exit(1);
}

static void ingest(struct bench *b, size_t from, size_t to)
{
    size_t targets = (b->series + TARGET - 1) / TARGET;
    for (size_t s = from; s < to; s++) {
        for (size_t k = 0; k < targets; k++)
            scrape(b, k, START_MS + (int64_t)s * STEP_MS + (int64_t)(k % 15000), s == 0);
    }
}

static void query(struct bench *b, const char *what, struct matcher *v, size_t n, bool read)
{
    struct arena a;
    struct err err = { 0 };
    struct querier *q;
    struct series_set *set;
    struct series *s = NULL;
    struct matchers ms = { v, n };
    struct columns c = { 0 };
    size_t series = 0, samples = 0;
    arena_init(&a, ARENA_NO_LIMIT);
    double at = cpu();
    if (!storage_querier(tsdb_storage(b->db), &a, INT64_MIN, INT64_MAX, &q, &err) || !querier_select(q, &ms, NULL, &set, &err))
        exit(1);
    while (series_set_next(set, &s, &err) && s) {
        series++;
        if (read) {
            columns_reset(&c);
            if (!series_read(s, INT64_MIN, INT64_MAX, &c, &err))
                exit(1);
            samples += c.n;
        }
    }
    double took = cpu() - at;
    printf("%-34s %8zu series %10zu samples %8.1f ms", what, series, samples, took * 1e3);
    if (samples)
        printf("  %6.1f M samples/s", (double)samples / took / 1e6);
    printf("\n");
    columns_deinit(&c);
    querier_close(q);
    arena_deinit(&a);
}

static void queries(struct bench *b)
{
    struct matcher v[2];
    struct err err = { 0 };
    if (!matcher_init(&v[0], MATCH_EQ, STR("instance"), STR("node-00000.example.internal:9100"), &err))
        exit(1);
    query(b, "one target", v, 1, true);
    matcher_deinit(&v[0]);
    if (!matcher_init(&v[0], MATCH_EQ, STR("__name__"), STR("node_metric_7_total"), &err) ||
        !matcher_init(&v[1], MATCH_RE, STR("mode"), STR("idle|user"), &err))
        exit(1);
    query(b, "a metric, two modes", v, 2, true);
    matcher_deinit(&v[0]);
    matcher_deinit(&v[1]);
    if (!matcher_init(&v[0], MATCH_RE, STR("__name__"), STR("node_metric_1.*"), &err))
        exit(1);
    query(b, "metrics by prefix", v, 1, true);
    matcher_deinit(&v[0]);
    query(b, "all, labels only", v, 0, false);
    query(b, "all", v, 0, true);
}

static size_t number(int argc, char **argv, int i, size_t fallback)
{
    uint64_t v;
    return argc > i && num_parse_u64(str_c(argv[i]), 10, &v) ? (size_t)v : fallback;
}

int main(int argc, char **argv)
{
    struct bench b = { .series = number(argc, argv, 1, 100000), .scrapes = number(argc, argv, 2, 120) };
    struct err err = { 0 };
    b.dir = argc > 3 ? str_c(argv[3]) : STR("/tmp/tocsin-bench-tsdb");
    b.refs = mem_alloc_array(b.series, sizeof *b.refs);
    b.values = mem_alloc_array(b.series, sizeof *b.values);
    rng_seed(&b.rng, 1);
    log_configure(LOG_WARN, LOG_LOGFMT);
    if (fs_exists(fs_posix(), b.dir) && !fs_remove_tree(fs_posix(), b.dir, &err))
        return 1;
    double base = status_mib("VmRSS"), at = cpu();
    open_db(&b);
    ingest(&b, 0, 1);
    printf("%zu series: first scrape %.2f s CPU, %.0f bytes a series\n", b.series, cpu() - at,
           (status_mib("VmRSS") - base) * 1048576 / (double)b.series);
    at = cpu();
    ingest(&b, 1, b.scrapes);
    double took = cpu() - at, samples = (double)b.series * (double)(b.scrapes - 1);
    double running = status_mib("VmRSS") - base;
    printf("maintenance wanted: %s\n", tsdb_wants_maintenance(b.db) ? "yes" : "no");
    printf("append: %.1f M samples/CPU s; resident %.0f bytes a series\n", samples / took / 1e6, running * 1048576 / (double)b.series);
    queries(&b);
    tsdb_close(b.db);
    double closed = status_mib("VmRSS");
    fflush(stdout);
    pid_t child = fork(); /* replay in a process of its own, so that its peak is its own */
    if (child == 0) {
        double from = cpu(), mib = status_mib("VmRSS");
        open_db(&b);
        took = cpu() - from;
        printf("replay: %.2f s CPU, %.1f M samples/s; resident +%.0f MiB, peak +%.0f MiB (running head %.0f MiB, closed %.0f)\n", took,
               samples / took / 1e6, status_mib("VmRSS") - mib, status_mib("VmHWM") - mib, running, closed);
        fflush(stdout);
        _exit(0);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) < 0)
        return 1;
    open_db(&b);
    at = cpu();
    tsdb_maintain(b.db, START_MS, NULL);
    took = cpu() - at;
    printf("maintenance: %.2f s CPU; resident %.0f MiB\n", took, status_mib("VmRSS"));
    queries(&b);
    tsdb_close(b.db);
    mem_free(b.refs);
    mem_free(b.values);
    return 0;
}
