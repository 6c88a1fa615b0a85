/* The alert half's cores at full size, without threads, sockets and parsing: what one alert, one flush, one silence and
 * one view cost, and the longest time that one step holds its thread.
 *
 *     bench_alert_core [alerts] [groups] */
#include "base/mem.h"
#include "base/num.h"
#include "lib/alert_world.h"

#include <malloc.h>
#include <stdio.h>
#include <time.h>

enum { BATCH = 1000 };

/* CPU time of this thread: what others do on the machine does not count. */
struct meter {
    struct timespec start;
};
static struct meter meter_start(void)
{
    struct meter m;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &m.start);
    return m;
}
static double meter_seconds(struct meter m)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)(now.tv_sec - m.start.tv_sec) + (double)(now.tv_nsec - m.start.tv_nsec) * 1e-9;
}

struct fleet {
    struct alert_spec *specs;
    struct dispatch_alert *alerts;
    size_t n;
};

static void make_fleet(struct fleet *f, struct arena *a, const struct alert_world *w, size_t n, size_t groups)
{
    f->n = n;
    f->specs = mem_alloc_array(n, sizeof *f->specs);
    f->alerts = mem_alloc_array(n, sizeof *f->alerts);
    for (size_t i = 0; i < n; i++) {
        struct label *l = arena_alloc_array(a, 10, sizeof *l), *an = arena_alloc_array(a, 3, sizeof *an);
        size_t k = 0;
        l[k++] = (struct label){ STR("alertname"), arena_printf(a, "HighErrorRate%zu", i % groups) };
        l[k++] = (struct label){ STR("cluster"), STR("eu-west-1-production") };
        l[k++] = (struct label){ STR("namespace"), STR("payments") };
        l[k++] = (struct label){ STR("pod"), arena_printf(a, "api-7c9f6d5b8-%06zu", i) };
        l[k++] = (struct label){ STR("instance"), arena_printf(a, "10.%zu.%zu.%zu:9100", i >> 16, i >> 8 & 255, i & 255) };
        l[k++] = (struct label){ STR("job"), STR("kubernetes-pods") };
        l[k++] = (struct label){ STR("severity"), i % 3 ? STR("warning") : STR("critical") };
        l[k++] = (struct label){ STR("team"), arena_printf(a, "team-%zu", i % 50) };
        an[0] = (struct label){ STR("description"), STR("The error rate of the API is above five percent for ten minutes.") };
        an[1] = (struct label){ STR("runbook_url"), STR("https://runbooks.example.com/high-error-rate") };
        an[2] = (struct label){ STR("summary"), STR("High error rate") };
        f->specs[i] = (struct alert_spec){
            .labels = labels_normalize(l, k),
            .annotations = labels_normalize(an, 3),
            .generator_url = STR("http://prometheus.example.com/graph?g0.expr=rate%28errors%29&g0.tab=1"),
            .starts_at = alert_world_wall(w),
        };
        f->alerts[i] = (struct dispatch_alert){ .spec = &f->specs[i] };
    }
}

/* All alerts, in batches; returns seconds, and the longest step. */
static double post_all(struct alert_world *w, struct fleet *f, double *longest)
{
    double total = 0;
    *longest = 0;
    for (size_t i = 0; i < f->n; i += BATCH) {
        size_t n = f->n - i < BATCH ? f->n - i : BATCH;
        for (size_t k = 0; k < n; k++) {
            f->specs[i + k].updated_at = alert_world_wall(w);
            f->specs[i + k].ends_at = alert_world_at(w, 3600 * 1000);
        }
        struct dispatch_event ev = { .kind = DISPATCH_ALERTS, .alerts = f->alerts + i, .alerts_count = n };
        struct meter watch = meter_start();
        alert_world_step(w, &ev);
        double s = meter_seconds(watch);
        total += s;
        *longest = s > *longest ? s : *longest;
    }
    return total;
}

/* Steps until nothing is left to do now; the longest of them. */
static double settle(struct alert_world *w, double *longest, size_t *steps)
{
    double total = 0;
    *longest = 0;
    *steps = 0;
    while (!mono_before(w->now, dispatch_deadline(w->d))) {
        struct meter watch = meter_start();
        dispatch_step(w->d, w->now, alert_world_wall(w), NULL, &w->out);
        double s = meter_seconds(watch);
        total += s;
        *longest = s > *longest ? s : *longest;
        ++*steps;
        for (size_t i = 0; i < w->out.n; i++)
            if (w->out.v[i].kind == NOTIFY_ATTEMPT) {
                notification_release(w->out.v[i].attempt.n);
                notify_receivers_release(w->out.v[i].attempt.receivers);
                w->records++;
            }
        notify_out_reset(&w->out);
    }
    return total;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static void add_silences(struct alert_world *w, size_t n)
{
    char text[64];
    struct meter watch = meter_start();
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(text, sizeof text, "alertname=HighErrorRate%zu,pod=api-7c9f6d5b8-%06zu", i % 100, i * 7);
        alert_world_silence(w, text, 0, 3600 * 1000);
    }
    printf("%zu silences created: %.2f us each\n", n, meter_seconds(watch) * 1e6 / (double)n);
}

static void measure_queries(struct alert_world *w)
{
    struct str ids[8];
    size_t hits = 0, n = 0;
    struct alert_slot *s;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct meter watch = meter_start();
    for (uint32_t i = 0; n < 20000 && (s = alert_store_next(w->alerts, &i)) != NULL; n++) {
        arena_reset(&arena);
        hits += silence_store_match(w->silences, alert_world_wall(w), alert_labels(s->value, &arena), ids, 8);
    }
    printf("silences matched from scratch: %.2f us a label set (%zu hits)\n", meter_seconds(watch) * 1e6 / (double)n,
           hits);
    arena_deinit(&arena);
}

static void measure_view(struct alert_world *w, const char *what, bool groups)
{
    struct meter watch = meter_start();
    struct dispatch_view *v = dispatch_view(w->d, alert_world_wall(w), groups);
    double make = meter_seconds(watch);
    watch = meter_start();
    size_t alerts = v->alerts_count;
    dispatch_view_release(v);
    printf("view %s: %.2f ms for %zu alerts\n", what, make * 1e3, alerts);
}

int main(int argc, char **argv)
{
    uint64_t alerts = 100000, groups = 20000;
    if ((argc > 1 && !num_parse_u64(str_c(argv[1]), 10, &alerts)) ||
        (argc > 2 && !num_parse_u64(str_c(argv[2]), 10, &groups)))
        return 2;
    struct alert_world w;
    struct fleet f;
    struct arena a;
    double longest, total;
    size_t steps;
    arena_init(&a, ARENA_NO_LIMIT);
    alert_world_init(&w, 1);
    static const char *const config =
        "route:\n  receiver: r\n  group_by: [alertname]\n  group_wait: 10s\n  routes:\n"
        "  - matchers: ['team=\"team-1\"']\n    continue: true\n"
        "inhibit_rules:\n- {source_matchers: ['severity=\"critical\"'], target_matchers: ['severity=\"info\"'], "
        "equal: [alertname, cluster]}\n"
        "receivers: [{name: r, webhook_configs: [{url: 'http://x/'}]}]\n";
    alert_world_configure(&w, config);
    make_fleet(&f, &a, &w, (size_t)alerts, (size_t)groups);
    size_t before = heap_bytes();
    total = post_all(&w, &f, &longest);
    printf("new alerts: %.0f per second, longest step of %d %.2f ms\n", (double)f.n / total, BATCH, longest * 1e3);
    printf("memory: %.0f bytes an alert, all in\n", (double)(heap_bytes() - before) / (double)f.n);
    for (int i = 0; i < 3; i++) {
        w.now = mono_add(w.now, 10);
        total = post_all(&w, &f, &longest);
    }
    printf("re-sent alerts: %.0f per second, longest step of %d %.2f ms\n", (double)f.n / total, BATCH, longest * 1e3);
    w.now = mono_add(w.now, 10000);
    total = settle(&w, &longest, &steps);
    printf("%zu groups flushed: %.1f ms in %zu steps, the longest %.2f ms\n", w.records, total * 1e3, steps, longest * 1e3);
    add_silences(&w, 10000);
    total = settle(&w, &longest, &steps);
    printf("silences matched with all alerts: %.1f ms in %zu steps, the longest %.2f ms\n", total * 1e3, steps, longest * 1e3);
    measure_queries(&w);
    measure_view(&w, "of alerts, first", false);
    w.now = mono_add(w.now, 10);
    alert_world_post(&w, "alertname=X", 3600 * 1000);
    measure_view(&w, "of alerts", false);
    alert_world_post(&w, "alertname=Y", 3600 * 1000);
    measure_view(&w, "with groups", true);
    struct meter watch = meter_start();
    alert_world_configure(&w, config);
    printf("reload, first step: %.2f ms\n", meter_seconds(watch) * 1e3);
    total = settle(&w, &longest, &steps);
    printf("reload: %.1f ms in %zu steps, the longest %.2f ms\n", total * 1e3, steps, longest * 1e3);
    alert_world_deinit(&w);
    mem_free(f.specs);
    mem_free(f.alerts);
    arena_deinit(&a);
    return 0;
}
