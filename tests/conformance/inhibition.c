/* Inhibition against what the real program shows (conformance/alertmanager/inhibition.jsonl): alerts are posted in order,
 * then each expected one is asked for its state in a view, as GET /api/v2/alerts does. */
#include "lib/alert_world.h"
#include "lib/shared.h"


#include <stdlib.h>
#include <stdio.h>

static char *make_config(const json_t *rules)
{
    json_t *root = json_pack("{s:{s:s}, s:[{s:s}], s:O}", "route", "receiver", "r", "receivers", "name", "r",
                             "inhibit_rules", rules);
    char *text = json_dumps(root, 0);
    json_decref(root);
    return text;
}

static struct labels read_labels(struct alert_world *w, const json_t *object)
{
    size_t n = json_object_size(object), i = 0;
    struct label *v = arena_alloc_array(&w->arena, n, sizeof *v);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
        v[i++] = (struct label){ arena_str(&w->arena, str_c(name)), str_c(json_string_value(value)) };
    return labels_normalize(v, n);
}

static void post(struct alert_world *w, const json_t *alert)
{
    struct str ends = shared_get_str(alert, "ends");
    int64_t ends_ms = 300000;
    if (shared_get_bool(alert, "resolved", false))
        ends_ms = 0;
    else if (ends.p && str_eq(ends, STR("later")))
        ends_ms = 600000;
    struct alert_spec spec = {
        .labels = read_labels(w, json_object_get(alert, "labels")),
        .generator_url = STR_EMPTY,
        .starts_at = alert_world_at(w, -1000),
        .ends_at = alert_world_at(w, ends_ms),
        .updated_at = alert_world_wall(w),
    };
    struct dispatch_alert a = { .spec = &spec };
    alert_world_step(w, &(struct dispatch_event){ .kind = DISPATCH_ALERTS, .alerts = &a, .alerts_count = 1 });
}

static void add_silence(struct alert_world *w, const json_t *silence)
{
    json_t *matchers = json_object_get(silence, "matchers"), *m;
    struct matcher v[16] = { 0 };
    size_t i;
    json_array_foreach(matchers, i, m)
        v[i] = (struct matcher){ .op = shared_get_bool(m, "isRegex", false) ? MATCH_RE : MATCH_EQ,
                                 .name = shared_get_str(m, "name"), .value = shared_get_str(m, "value") };
    struct matchers set = { v, json_array_size(matchers) };
    struct silence_spec spec = { .id = STR_EMPTY, .sets = &set, .sets_count = 1, .starts_at = alert_world_wall(w),
                                 .ends_at = alert_world_at(w, 3600000), .created_by = STR("x"), .comment = STR("x") };
    struct silence_changes changes;
    char id[SILENCE_ID_TEXT];
    struct err err = { 0 };
    if (!silence_store_set(w->silences, alert_world_wall(w), &spec, &w->rng, id, &changes, &err))
        shared_fail("silence", "%.*s", STR_ARG(err_text(&err)));
    silence_changes_deinit(&changes);
}

static bool check_row(struct str id, const struct dispatch_alert_row *row, const json_t *want)
{
    bool suppressed = str_eq(shared_get_str(want, "state"), STR("suppressed"));
    json_t *by = json_object_get(want, "inhibitedBy");
    struct buf hex = { 0 };
    fingerprint_write(&hex, row->inhibited_by);
    bool ok = row->inhibited == (json_array_size(by) > 0) &&
              (!row->inhibited || str_eq(buf_view(&hex), str_c(json_string_value(json_array_get(by, 0))))) &&
              (row->silenced_by_count > 0) == shared_get_bool(want, "silenced", false) &&
              (row->inhibited || row->silenced_by_count) == suppressed;
    if (!ok)
        shared_fail("inhibition", "%.*s: inhibited %d by %.*s, %u silences", STR_ARG(id), row->inhibited,
                    STR_ARG(buf_view(&hex)), row->silenced_by_count);
    buf_deinit(&hex);
    return ok;
}

static void run_case(const json_t *value, size_t line, void *arg)
{
    (void)line;
    (void)arg;
    struct str id = shared_get_str(value, "id");
    json_t *expected = json_object_get(value, "expected"), *item;
    if (!expected) {
        shared_skip("inhibition", "described in words only");
        return;
    }
    struct alert_world w;
    alert_world_init(&w, 1);
    char *config = make_config(json_object_get(value, "inhibit_rules"));
    alert_world_configure(&w, config);
    size_t i;
    json_array_foreach(json_object_get(value, "alerts"), i, item)
        post(&w, item);
    if (json_object_get(value, "silence"))
        add_silence(&w, json_object_get(value, "silence"));
    alert_world_run(&w, 10);
    struct dispatch_view *v = dispatch_view(w.d, alert_world_wall(&w), false);
    bool ok = true;
    json_array_foreach(expected, i, item) {
        struct labels ls = read_labels(&w, json_object_get(item, "labels"));
        const struct dispatch_alert_row *row = NULL;
        for (size_t k = 0; k < v->alerts_count; k++)
            if (v->alerts[k].alert->fp == labels_fingerprint(ls))
                row = &v->alerts[k];
        if (!row)
            shared_fail("inhibition", "%.*s: alert %zu is not there", STR_ARG(id), i);
        ok = ok && row && check_row(id, row, item);
    }
    if (ok)
        shared_pass();
    dispatch_view_release(v);
    alert_world_deinit(&w);
    free(config);
}

int main(void)
{
    if (!shared_begin("inhibition"))
        return shared_finish();
    shared_jsonl("conformance/alertmanager/inhibition.jsonl", run_case, NULL);
    return shared_finish();
}
