/* template_render [NAME]: what a rendering of a default Slack notification, and of an email's HTML, costs: nanoseconds of CPU, so that a busy machine
 * tells the same as a quiet one. For profiles; ./dev bench notify has the comparison. */
#include "notify/default_templates.h"
#include "notify/render_data.h"

#include <stdio.h>
#include <time.h>

static const char json[] =
    "{\"receiver\":\"team-x\",\"status\":\"firing\",\"alerts\":["
    "{\"status\":\"firing\",\"labels\":{\"alertname\":\"HighCPU\",\"instance\":\"web-1:9100\",\"job\":\"node\","
    "\"severity\":\"critical\"},\"annotations\":{\"summary\":\"CPU is high\",\"description\":\"CPU > 90% for 5m\"},"
    "\"startsAt\":\"2024-01-02T03:04:05Z\",\"generatorURL\":\"http://prom.example/graph?g0.expr=up\"},"
    "{\"status\":\"firing\",\"labels\":{\"alertname\":\"HighCPU\",\"instance\":\"web-2:9100\",\"job\":\"node\","
    "\"severity\":\"critical\"},\"annotations\":{\"summary\":\"CPU is high\"},"
    "\"startsAt\":\"2024-01-02T03:04:05Z\",\"generatorURL\":\"http://prom.example/graph?g0.expr=up\"}],"
    "\"groupLabels\":{\"alertname\":\"HighCPU\"},\"commonLabels\":{\"alertname\":\"HighCPU\",\"job\":\"node\","
    "\"severity\":\"critical\"},\"commonAnnotations\":{\"summary\":\"CPU is high\"},"
    "\"externalURL\":\"http://am.example:9093\"}";

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char *only; /* the measurement asked for; NULL: all */

static void measure(struct template_renderer *r, const struct template_run *run, const char *what,
                    const char *const *texts, size_t n, bool html, unsigned rounds)
{
    struct buf out = { 0 };
    struct err err = { 0 };
    if (only && strcmp(only, what) != 0)
        return;
    double started = cpu_seconds();
    for (unsigned i = 0; i < rounds; i++)
        for (size_t k = 0; k < n; k++) {
            buf_reset(&out);
            bool ok = html ? template_render_html(r, run, str_c(texts[k]), &out, &err)
                           : template_render_text(r, run, str_c(texts[k]), &out, &err);
            ASSERT(ok);
        }
    printf("%-24s %8.0f\n", what, (cpu_seconds() - started) * 1e9 / rounds);
    buf_deinit(&out);
}

int main(int argc, char **argv)
{
    only = argc > 1 ? argv[1] : NULL;
    static const char *const title[] = { "{{ template \"slack.default.title\" . }}" };
    static const char *const list[] = { "{{ template \"__text_alert_list\" .Alerts }}" };
    static const char *const slack[] = {
        "{{ template \"slack.default.title\" . }}",     "{{ template \"slack.default.titlelink\" . }}",
        "{{ template \"slack.default.pretext\" . }}",   "{{ template \"slack.default.text\" . }}",
        "{{ template \"slack.default.fallback\" . }}",  "{{ template \"slack.default.callbackid\" . }}",
        "{{ template \"slack.default.footer\" . }}",    "{{ template \"slack.default.color\" . }}",
        "{{ template \"slack.default.username\" . }}",  "{{ template \"slack.default.iconemoji\" . }}",
        "{{ template \"slack.default.iconurl\" . }}",
    };
    static const char *const email[] = { "{{ template \"email.default.html\" . }}" };
    struct arena a;
    struct render_data data;
    struct err err = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    bool ok = render_data_from_json(&a, str_of(json, sizeof json - 1), &data, &err);
    ASSERT(ok);
    struct template_set *set = default_templates_new();
    struct template_renderer *r = template_renderer_new(set);
    struct template_run run = { .data = render_data_value(&data) };
    measure(r, &run, "slack title", title, 1, false, 200000);
    measure(r, &run, "list of alerts", list, 1, false, 200000);
    measure(r, &run, "slack, all its fields", slack, ARRAY_LEN(slack), false, 100000);
    measure(r, &run, "email html", email, 1, true, 50000);
    template_renderer_free(r);
    template_set_release(set);
    arena_deinit(&a);
    return 0;
}
