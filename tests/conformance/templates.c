/* Alertmanager's templates: texts and data with what a real engine made of them. Texts of errors are informative there
 * and not compared. */
#include "io/fs_posix.h"
#include "lib/shared.h"
#include "model/timezone.h"
#include "notify/default_templates.h"
#include "notify/render_data.h"

#include <stdlib.h>

#define ZONES_MAX 64

struct fixture {
    struct template_renderer *renderer;
    struct zone *zones[ZONES_MAX];
    size_t zones_count;
    bool verbose; /* show error texts that differ */
};

static struct zone *find_zone(void *arg, struct str name)
{
    struct fixture *f = arg;
    struct err err = { 0 };
    for (size_t i = 0; i < f->zones_count; i++)
        if (str_eq(zone_name(f->zones[i]), name))
            return f->zones[i];
    struct zone *z = f->zones_count < ZONES_MAX ? zone_load(fs_posix(), name, NULL, &err) : NULL;
    if (z)
        f->zones[f->zones_count++] = z;
    return z;
}

static bool read_data(struct arena *a, struct str name, struct render_data *data)
{
    char path[256];
    struct buf b = { 0 };
    struct err err = { 0 };
    snprintf(path, sizeof path, "conformance/alertmanager/templates/data/%.*s.json", STR_ARG(name));
    bool ok = shared_read(path, &b) && render_data_from_json(a, arena_str(a, buf_view(&b)), data, &err);
    if (!ok)
        shared_fail(path, "%s", err.text);
    buf_deinit(&b);
    return ok;
}

static void run_case(const json_t *value, size_t line, void *arg)
{
    struct fixture *f = arg;
    struct arena arena;
    struct render_data data;
    struct buf out = { 0 }, what = { 0 };
    struct err err = { 0 };
    struct str text = shared_get_str(value, "template"), want = shared_get_str(value, "expected");
    bool html = str_eq(shared_get_str(value, "type"), STR("html"));
    bool want_ok = shared_get_bool(value, "ok", false);
    arena_init(&arena, ARENA_NO_LIMIT);
    buf_printf(&what, "%zu %.*s %.*s", line, STR_ARG(shared_get_str(value, "id")), STR_ARG(text));
    if (read_data(&arena, shared_get_str(value, "data"), &data)) {
        struct template_hooks hooks = { .arg = f, .zone = find_zone, .route_labels = data.route_labels };
        struct template_run run = { .data = render_data_value(&data), .arena = &arena, .hooks = &hooks,
                                    .now = { 1700000000, 0 } };
        bool ok = html ? template_render_html(f->renderer, &run, text, &out, &err)
                       : template_render_text(f->renderer, &run, text, &out, &err);
        struct str error = shared_get_str(value, "error");
        if (ok != want_ok)
            shared_fail(what.p, "%s: %s", ok ? "rendered" : "failed", ok ? out.p : err.text);
        else if (ok)
            shared_check_str(what.p, buf_view(&out), want);
        else
            shared_pass();
        if (f->verbose && !ok && error.p && !str_eq(error, err_text(&err)))
            printf("note %s\n  got  %s\n  want %.*s\n", what.p, err.text, STR_ARG(error));
    }
    buf_deinit(&out);
    buf_deinit(&what);
    arena_deinit(&arena);
}

int main(void)
{
    struct fixture f = { .verbose = getenv("TOCSIN_VERBOSE") != NULL };
    if (!shared_begin("templates"))
        return shared_finish();
    struct template_set *set = default_templates_new();
    f.renderer = template_renderer_new(set);
    template_set_release(set);
    shared_jsonl("conformance/alertmanager/templates/render.jsonl", run_case, &f);
    shared_jsonl("conformance/alertmanager/templates/render_newer.jsonl", run_case, &f);
    template_renderer_free(f.renderer);
    for (size_t i = 0; i < f.zones_count; i++)
        zone_release(f.zones[i]);
    return shared_finish();
}
