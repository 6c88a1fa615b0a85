/* The dump of the effective configuration against what 0.25 shows for the same file (conformance/alertmanager/config_dump).
 * The newer program shows more: keys in `added` may come on top, texts in `changed` have another default. All else is
 * equal: every key and value of the recording is there in its order, every line of it is spelt the same, and the hash
 * of the file is the same. */
#include "base/num.h"
#include "config/config.h"
#include "io/fs_posix.h"
#include "lib/shared.h"

#include <math.h>
#include <stdio.h>

static const struct str added[] = {
    STR_INIT("labels"),
    STR_INIT("smtp_tls_config"),
    STR_INIT("tls_config"),
    STR_INIT("slack_app_url"),
    STR_INIT("rocketchat_api_url"),
    STR_INIT("app_url"),
    STR_INIT("update_message"),
    STR_INIT("timeout"),
};
static const struct {
    struct str key, was;
} changed[] = {
    { STR_INIT("color"), STR_INIT("{{ if eq .Status \"firing\" }}danger{{ else }}good{{ end }}") },
    { STR_INIT("firing"), STR_INIT("{{ template \"pagerduty.default.instances\" .Alerts.Firing }}") },
    { STR_INIT("resolved"), STR_INIT("{{ template \"pagerduty.default.instances\" .Alerts.Resolved }}") },
};
/* Keys whose place among their siblings differs between the versions. */
static const struct str moved[] = { STR_INIT("proxy_url") };

static bool in_list(const struct str *list, size_t n, struct str key)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i], key))
            return true;
    return false;
}

static bool is_changed(struct str key, const struct yaml_node *was)
{
    for (size_t i = 0; i < ARRAY_LEN(changed); i++)
        if (str_eq(changed[i].key, key) && str_eq(changed[i].was, was->text))
            return true;
    return false;
}

static bool compare(const struct yaml_node *want, const struct yaml_node *got, struct buf *path);

static bool compare_maps(const struct yaml_node *want, const struct yaml_node *got, struct buf *path)
{
    size_t at = 0;
    for (size_t i = 0; i < want->n; i++) {
        struct str key = want->pairs[i].key->text;
        size_t mark = path->n;
        buf_printf(path, ".%.*s", STR_ARG(key));
        const struct yaml_node *value = yaml_get(got, key);
        if (!value)
            return false;
        if (!is_changed(key, want->pairs[i].value) && !compare(want->pairs[i].value, value, path))
            return false;
        buf_truncate(path, mark);
        if (in_list(moved, ARRAY_LEN(moved), key))
            continue;
        while (at < got->n && !str_eq(got->pairs[at].key->text, key)) {
            struct str skipped = got->pairs[at++].key->text;
            if (!in_list(added, ARRAY_LEN(added), skipped) && !in_list(moved, ARRAY_LEN(moved), skipped)) {
                buf_printf(path, ".%.*s (extra, or out of order)", STR_ARG(skipped));
                return false;
            }
        }
        at++;
    }
    for (; at < got->n; at++)
        if (!in_list(added, ARRAY_LEN(added), got->pairs[at].key->text) &&
            !in_list(moved, ARRAY_LEN(moved), got->pairs[at].key->text)) {
            buf_printf(path, ".%.*s (extra)", STR_ARG(got->pairs[at].key->text));
            return false;
        }
    return true;
}

static bool compare(const struct yaml_node *want, const struct yaml_node *got, struct buf *path)
{
    if (want->kind != got->kind)
        return false;
    if (want->kind == YAML_MAPPING)
        return compare_maps(want, got, path);
    if (want->kind != YAML_SEQUENCE)
        return str_eq(want->text, got->text);
    bool ok = want->n == got->n;
    for (size_t i = 0; ok && i < want->n; i++) {
        size_t mark = path->n;
        buf_printf(path, "[%zu]", i);
        ok = compare(want->items[i], got->items[i], path);
        if (ok)
            buf_truncate(path, mark);
    }
    return ok;
}

/* The spelling: each line of the recording is a line of the dump, but for changed texts. */
static bool same_lines(struct str want, struct str got, struct str *line)
{
    while (str_split(&want, '\n', line)) {
        struct str rest = got, other;
        bool found = false;
        for (size_t i = 0; !found && i < ARRAY_LEN(changed); i++)
            found = str_contains(*line, changed[i].was);
        while (!found && str_split(&rest, '\n', &other))
            found = str_eq(*line, other);
        if (!found)
            return false;
    }
    return true;
}

static void check(const char *name, const json_t *value, const struct config *c)
{
    struct str original = shared_get_str(value, "original"), line;
    struct buf dump = { 0 }, path = { 0 };
    struct yaml_doc want = { 0 }, got = { 0 };
    struct err err = { 0 };
    double hash = 0; /* as the exposition shows it: 15 digits */
    bool parsed = num_parse_f64(shared_get_str(value, "config_hash_metric"), &hash, NULL);
    config_dump(c, &dump);
    if (!yaml_parse(&want, original, &err) || !yaml_parse(&got, buf_view(&dump), &err))
        shared_fail(name, "%s", err.text);
    else if (!compare(want.root, got.root, &path))
        shared_fail(name, "differs at %.*s", STR_ARG(buf_view(&path)));
    else if (!same_lines(original, buf_view(&dump), &line))
        shared_fail(name, "has no line `%.*s`", STR_ARG(line));
    else if (!parsed || fabs(c->hash - hash) > hash * 1e-14)
        shared_fail(name, "hash is %.17g, not %.17g", c->hash, hash);
    else
        shared_pass();
    yaml_doc_deinit(&want);
    yaml_doc_deinit(&got);
    buf_deinit(&dump);
    buf_deinit(&path);
}

static void run(const char *name, void *arg)
{
    (void)arg;
    json_t *value = shared_json(name);
    if (!value)
        return;
    char path[512];
    struct buf text = { 0 };
    struct err err = { 0 };
    struct config *c = NULL;
    snprintf(path, sizeof path, "conformance/alertmanager/%.*s", STR_ARG(shared_get_str(value, "input")));
    struct config_options options = { .path = str_c(path), .fs = fs_posix() };
    if (shared_read(path, &text)) {
        if (!config_load(buf_view(&text), &options, &c, NULL, &err)) {
            shared_fail(name, "%s", err.text);
        } else {
            check(name, value, c);
            config_release(c);
        }
    }
    buf_deinit(&text);
    json_decref(value);
}

int main(void)
{
    if (!shared_begin("config_dump"))
        return shared_finish();
    shared_list("conformance/alertmanager/config_dump", run, NULL);
    return shared_finish();
}
