/* amtool template render: the built-in templates and the user's, over a sample or the user's data. */
#include "ctl/ctl.h"

#include "config/template_files.h"
#include "io/fs_posix.h"
#include "io/zones.h"
#include "notify/default_templates.h"
#include "notify/render_data.h"
#include "template/template.h"

static bool load_data(struct ctl *c, struct buf *text, struct render_data *data)
{
    if (c->f.template_data.n == 0) {
        render_data_sample(c->arena, ctl_now(), data);
        return true;
    }
    return ctl_read_file(c->f.template_data, text, &c->err) &&
           render_data_from_json(c->arena, buf_view(text), data, &c->err);
}

int ctl_template_render(void *program)
{
    struct ctl *c = program;
    struct template_set *set = default_templates_new();
    struct buf text = { 0 }, out = { 0 };
    struct render_data data;
    bool ok = true;
    for (size_t i = 0; ok && i < c->f.template_globs.n; i++)
        ok = template_files_parse(set, fs_posix(), c->f.template_globs.v[i], &c->err);
    if (ok && load_data(c, &text, &data)) {
        struct template_renderer *r = template_renderer_new(set);
        const struct template_hooks hooks = { .route_labels = data.route_labels, .zone = zones_hook };
        const struct template_run run = { .data = render_data_value(&data), .now = ctl_now(), .hooks = &hooks };
        ok = str_eq(c->f.template_type, STR("html"))
                 ? template_render_html(r, &run, c->f.template_text, &out, &c->err)
                 : template_render_text(r, &run, c->f.template_text, &out, &c->err);
        template_renderer_free(r);
    } else {
        ok = false;
    }
    if (ok)
        buf_str(&c->out, buf_view(&out));
    template_set_release(set);
    buf_deinit(&text);
    buf_deinit(&out);
    return ok ? 0 : ctl_fail(c);
}
