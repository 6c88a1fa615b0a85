/* Configuration files that upstream takes or refuses (conformance/alertmanager/configs): the verdict must agree, and a
 * refusal must carry the case's gist. Template globs belong to the verdict, as in `amtool check-config`. */
#include "config/config.h"
#include "io/fs_posix.h"
#include "lib/shared.h"

#include <stdio.h>

static size_t gists, gists_carried;

static bool load(struct str text, struct str path, struct err *err)
{
    struct config_options options = { .path = path, .fs = fs_posix() };
    struct config *c = NULL;
    struct buf files = { 0 };
    if (!config_load(text, &options, &c, NULL, err))
        return false;
    bool ok = config_template_files(c, fs_posix(), &files, err);
    buf_deinit(&files);
    config_release(c);
    return ok;
}

static void run(const json_t *value, size_t line, void *arg)
{
    (void)line;
    (void)arg;
    struct str file = shared_get_str(value, "file"), gist = shared_get_str(value, "error_gist");
    bool valid = shared_get_bool(value, "valid", false);
    char path[512];
    struct buf text = { 0 };
    struct err err = { 0 };
    snprintf(path, sizeof path, "conformance/alertmanager/%.*s", STR_ARG(file));
    if (!shared_read(path, &text))
        return;
    bool ok = load(buf_view(&text), str_c(path), &err);
    bool carried = !gist.n || str_contains(err_text(&err), gist);
    if (!valid && gist.n) {
        gists++;
        gists_carried += !ok && carried;
    }
    if (ok != valid)
        shared_fail(path, "%s, but %s", valid ? "is valid" : "is invalid", ok ? "was taken" : err.text);
    else if (!ok && !carried)
        shared_fail(path, "says \"%s\", not \"%.*s\"", err.text, STR_ARG(gist));
    else
        shared_pass();
    buf_deinit(&text);
}

int main(void)
{
    if (!shared_begin("configs"))
        return shared_finish();
    shared_jsonl("conformance/alertmanager/configs/cases.jsonl", run, NULL);
    printf("%zu of %zu refusals carry their gist\n", gists_carried, gists);
    return shared_finish();
}
