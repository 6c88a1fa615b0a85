/* Rendering a text and comparing, for the tests of this folder. Inline, because the folder is all it is for. */
#ifndef TOCSIN_TESTS_UNIT_TEMPLATE_RENDER_H
#define TOCSIN_TESTS_UNIT_TEMPLATE_RENDER_H

#include "template/template.h"

#include <stdio.h>
#include <stdlib.h>

struct rendering {
    const char *text, *want; /* want NULL: fails, with `error` in its message */
    const char *error;
};

static inline void check_rendering(enum template_flavour flavour, bool html, const struct template_run *run,
                                   const struct rendering *r)
{
    struct template_set *set = template_set_new(flavour);
    struct template_renderer *renderer = template_renderer_new(set);
    struct buf out = { 0 };
    struct err err = { 0 };
    bool ok = html ? template_render_html(renderer, run, str_c(r->text), &out, &err)
                   : template_render_text(renderer, run, str_c(r->text), &out, &err);
    if (!ok && r->want)
        print_error("%s: %s\n", r->text, err.text);
    assert_int_equal(ok, r->want != NULL);
    if (ok && !str_eq(buf_view(&out), str_c(r->want)))
        print_error("%s\n  got  %s\n  want %s\n", r->text, out.p ? out.p : "", r->want);
    if (ok)
        assert_true(str_eq(buf_view(&out), str_c(r->want)));
    if (!ok && r->error && !str_contains(err_text(&err), str_c(r->error)))
        print_error("%s: %s\n", r->text, err.text);
    if (!ok && r->error)
        assert_true(str_contains(err_text(&err), str_c(r->error)));
    buf_deinit(&out);
    template_renderer_free(renderer);
    template_set_release(set);
}

#define CHECK_TEXTS(rows, run_)                                                                    \
    for (size_t i_ = 0; i_ < ARRAY_LEN(rows); i_++)                                                \
        check_rendering(TEMPLATE_ALERTMANAGER, false, (run_), &(rows)[i_])

/* Data for `.`: a dict of these entries, sorted by key by the caller. */
#define DATA(entries) tval_ref(&tval_dict_class, (entries), ARRAY_LEN(entries))

#endif
