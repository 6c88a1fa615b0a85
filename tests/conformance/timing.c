/* Grouping, repeats, resolution and retries over time (conformance/alertmanager/timing.json): the recorded posts are made
 * at their instants under a virtual clock, the recorded answers are given, and what each receiver hears is compared with
 * the recording, tolerance 0.3 s. Retries are jittered: their waits may be anything from half to one and a half times of
 * the nominal one. Case "basic" may repeat at either of two flushes (the recording's own note). */
#include "lib/alert_world.h"
#include "lib/shared.h"

#include "base/map.h"

#include <math.h>
#include <stdio.h>

static const double TOLERANCE_S = 0.3;

struct replay {
    const json_t *doc;
    struct alert_world w;
};

/* The n-th recorded call of a case, or NULL. */
static const json_t *recorded(const struct replay *r, struct str name, size_t n)
{
    const json_t *list = json_object_get(r->doc, "received"), *item;
    size_t i;
    json_array_foreach(list, i, item)
        if (str_eq(shared_get_str(item, "case"), name) && n-- == 0)
            return item;
    return NULL;
}

static size_t heard_before(const struct alert_world *w, struct str receiver)
{
    size_t n = 0;
    for (size_t i = 0; i < w->sent_count; i++)
        n += str_eq(w->sent[i].receiver, receiver);
    return n;
}

static enum send_verdict answer(void *arg, struct alert_world_sent *s, int64_t *delay_ms)
{
    struct replay *r = arg;
    const json_t *want = recorded(r, s->receiver, heard_before(&r->w, s->receiver));
    int64_t status = shared_get_int(want, "answer", 200);
    *delay_ms = 2;
    return status < 300 ? SEND_DONE : status >= 500 ? SEND_RETRY : SEND_FAIL;
}

/* "start -300 s" -> -300 */
static int64_t offset_ms(struct str text)
{
    long long seconds = 0;
    char copy[32] = { 0 }, word[16];
    memcpy(copy, text.p, text.n < sizeof copy - 1 ? text.n : sizeof copy - 1);
    if (sscanf(copy, "%15s %lld", word, &seconds) != 2)
        return 0;
    return seconds * 1000;
}

static void configure(struct replay *r)
{
    struct buf yaml = { 0 };
    struct arena a;
    struct map seen = { 0 };
    const json_t *item;
    size_t i;
    arena_init(&a, ARENA_NO_LIMIT);
    struct buf receivers = { 0 };
    buf_c(&yaml, "route:\n  receiver: none\n  group_by: [case]\n  group_wait: 1s\n  group_interval: 2s\n"
                 "  repeat_interval: 1h\n  routes:\n");
    buf_c(&receivers, "receivers:\n- name: none\n");
    json_array_foreach(json_object_get(r->doc, "posted"), i, item)
    {
        struct str name = shared_get_str(item, "case");
        if (map_put(&seen, arena_str(&a, name), r))
            continue;
        buf_printf(&yaml, "  - receiver: %.*s\n    matchers: ['case=\"%.*s\"']\n", STR_ARG(name), STR_ARG(name));
        if (str_eq(name, STR("basic")))
            buf_c(&yaml, "    repeat_interval: 4s\n");
        buf_printf(&receivers, "- name: %.*s\n  webhook_configs:\n  - url: http://capture.test/\n    send_resolved: %s\n",
                   STR_ARG(name), str_eq(name, STR("noresolved")) ? "false" : "true");
    }
    buf_str(&yaml, buf_view(&receivers));
    alert_world_configure(&r->w, yaml.p);
    buf_deinit(&yaml);
    buf_deinit(&receivers);
    map_deinit(&seen);
    arena_deinit(&a);
}

static void post(struct replay *r, const json_t *item)
{
    char labels[128];
    struct str name = shared_get_str(item, "case"), n = shared_get_str(item, "n");
    (void)snprintf(labels, sizeof labels, "alertname=T,case=%.*s,n=%.*s", STR_ARG(name), STR_ARG(n));
    alert_world_post_at(&r->w, labels, offset_ms(shared_get_str(item, "startsAt")),
                        offset_ms(shared_get_str(item, "endsAt")));
}

static bool same_content(const struct alert_world_sent *s, const json_t *want)
{
    const json_t *list = json_object_get(want, "alerts"), *pair;
    struct buf text = { 0 };
    size_t i;
    json_array_foreach(list, i, pair) {
        if (i)
            buf_byte(&text, ' ');
        buf_c(&text, json_string_value(json_array_get(pair, 0)));
        if (str_eq(str_c(json_string_value(json_array_get(pair, 1))), STR("resolved")))
            buf_c(&text, "(resolved)");
    }
    bool ok = str_eq(s->alerts, buf_view(&text)) &&
              s->firing == str_eq(shared_get_str(want, "status"), STR("firing"));
    buf_deinit(&text);
    return ok;
}

static bool in_time(struct str name, size_t n, double at, double before, double want)
{
    if (str_eq(name, STR("f500")) && n > 0) { /* jitter of a half to one and a half on nominal waits */
        double nominal = 0.5;
        for (size_t i = 1; i < n; i++)
            nominal *= 1.5;
        return at - before >= nominal * 0.5 - 0.01 && at - before <= nominal * 1.5 + 0.01;
    }
    if (str_eq(name, STR("basic")) && n > 0)
        return at - before >= 4 - TOLERANCE_S && at - before <= 6 + TOLERANCE_S;
    return fabs(at - want) <= TOLERANCE_S;
}

static void check_case(const struct replay *r, struct str name, double end)
{
    size_t n = 0;
    double before = 0;
    for (size_t i = 0; i < r->w.sent_count; i++) {
        const struct alert_world_sent *s = &r->w.sent[i];
        if (!str_eq(s->receiver, name))
            continue;
        double at = (double)s->at_ms / 1000;
        const json_t *want = recorded(r, name, n);
        if (!want) {
            if (str_eq(name, STR("basic")) && at > end - 2)
                continue;
            shared_fail("timing", "%.*s: call %zu at %.2f s is too many", STR_ARG(name), n + 1, at);
            return;
        }
        double want_at = json_number_value(json_object_get(want, "at"));
        if (!in_time(name, n, at, before, want_at) || !same_content(s, want)) {
            shared_fail("timing", "%.*s: call %zu at %.2f s with %.*s, recorded at %.2f s", STR_ARG(name), n + 1, at,
                        STR_ARG(s->alerts), want_at);
            return;
        }
        before = at;
        n++;
    }
    const json_t *missing = recorded(r, name, n);
    if (missing && !str_eq(name, STR("basic")))
        shared_fail("timing", "%.*s: call %zu is missing", STR_ARG(name), n + 1);
    else
        shared_pass();
}

int main(void)
{
    if (!shared_begin("timing"))
        return shared_finish();
    struct replay r = { .doc = shared_json("conformance/alertmanager/timing.json") };
    if (!r.doc)
        return shared_finish();
    alert_world_init(&r.w, 7);
    r.w.answer = answer;
    r.w.answer_arg = &r;
    configure(&r);
    const json_t *item, *posted = json_object_get(r.doc, "posted"), *received = json_object_get(r.doc, "received");
    size_t i;
    double now = 0, end = 0;
    json_array_foreach(posted, i, item) {
        double at = json_number_value(json_object_get(item, "at"));
        if (at > now)
            alert_world_run(&r.w, (int64_t)lround((at - now) * 1000));
        now = at;
        post(&r, item);
    }
    json_array_foreach(received, i, item)
        if (json_number_value(json_object_get(item, "at")) > end)
            end = json_number_value(json_object_get(item, "at"));
    end += 0.5;
    alert_world_run(&r.w, (int64_t)lround((end - now) * 1000));
    struct map seen = { 0 };
    json_array_foreach(posted, i, item) {
        struct str name = shared_get_str(item, "case");
        if (!map_put(&seen, name, &r))
            check_case(&r, name, end);
    }
    map_deinit(&seen);
    alert_world_deinit(&r.w);
    json_decref((json_t *)(uintptr_t)r.doc);
    return shared_finish();
}
