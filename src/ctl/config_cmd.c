/* amtool check-config and config: files and what a server runs. */
#include "ctl/config_int.h"
#include "ctl/ctl.h"

#include "config/template_files.h"
#include "dispatch/route.h"
#include "dispatch/route_print.h"
#include "io/fs_posix.h"
#include "io/zones.h"
#include "notify/default_templates.h"
#include "template/template.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- loading ---- */

static struct config *load_text(struct ctl *c, struct str text, struct str path, struct notices *notices, struct err *err)
{
    struct config *config = NULL;
    const struct config_options options = { .path = path, .matcher_mode = c->mode, .fs = fs_posix(),
                                            .local_zone = zones_get(STR("Local")) };
    return config_load(text, &options, &config, notices, err) ? config : NULL;
}

struct config *ctl_load_config_file(struct ctl *c, struct str path, struct notices *notices, struct err *err)
{
    struct buf text = { 0 };
    struct config *config = ctl_read_file(path, &text, err) ? load_text(c, buf_view(&text), path, notices, err) : NULL;
    buf_deinit(&text);
    return config;
}

/* ---- check-config ---- */

static bool check_templates(const struct config *config, struct err *err)
{
    struct template_set *set = default_templates_new();
    bool ok = true;
    for (size_t i = 0; ok && i < config->templates.n; i++)
        ok = template_files_parse(set, fs_posix(), config->templates.v[i], err);
    template_set_release(set);
    return ok;
}

static void say_found(struct ctl *c, const struct config *config)
{
    struct buf *out = &c->out;
    buf_c(out, "Found:\n - global config\n");
    if (config->route)
        buf_c(out, " - route\n");
    buf_printf(out, " - %zu inhibit rules\n - %zu receivers\n - %zu templates\n", config->inhibit_rules_count,
               config->receivers_count, config->templates.n);
}

static bool check_one(struct ctl *c, struct str path)
{
    struct notices notices;
    struct err err = { 0 };
    bool ok = false;
    notices_init(&notices);
    struct config *config = ctl_load_config_file(c, path, &notices, &err);
    buf_printf(&c->out, "Checking '%.*s'", STR_ARG(path));
    if (!config) {
        buf_printf(&c->out, "  FAILED: %s\n", err.text);
    } else {
        buf_c(&c->out, "  SUCCESS\n");
        say_found(c, config);
        ok = true;
        if (config->templates.n) {
            ok = check_templates(config, &err);
            if (ok)
                buf_c(&c->out, "  SUCCESS\n");
            else
                buf_printf(&c->out, "  FAILED: %s\n", err.text);
        }
        config_release(config);
    }
    for (size_t i = 0; i < notices.n; i++) {
        struct buf line = { 0 };
        notice_write(&line, &notices.v[i]);
        const char *kind = notices.v[i].kind == NOTICE_PLACE ? "error" : "warning";
        fprintf(stderr, "%.*s: %s: %.*s\n", STR_ARG(path), kind, STR_ARG(buf_view(&line)));
        buf_deinit(&line);
    }
    notices_deinit(&notices);
    buf_byte(&c->out, '\n');
    return ok;
}

static bool existing_file(struct ctl *c, struct str path)
{
    struct stat st;
    if (stat(arena_cstr(c->arena, path), &st) != 0)
        return err_set(&c->err, ERR_NOT_FOUND, "path '%.*s' does not exist", STR_ARG(path));
    return !S_ISDIR(st.st_mode) || err_set(&c->err, ERR_INVALID, "'%.*s' is a directory", STR_ARG(path));
}

int ctl_check_config(void *program)
{
    struct ctl *c = program;
    struct str_list files = c->f.files;
    static const struct str standard_input = STR_INIT("/dev/stdin");
    if (files.n == 0) {
        if (isatty(0)) {
            err_set(&c->err, ERR_INVALID, "Failed to read from standard input");
            return ctl_fail(c);
        }
        files = (struct str_list){ &standard_input, 1 };
    }
    for (size_t i = 0; i < files.n; i++)
        if (!str_eq(files.v[i], standard_input) && !existing_file(c, files.v[i]))
            return ctl_fail(c);
    size_t failed = 0;
    for (size_t i = 0; i < files.n; i++)
        failed += !check_one(c, files.v[i]);
    if (failed) {
        err_set(&c->err, ERR_INVALID, "failed to validate %zu file(s)", failed);
        return ctl_fail(c);
    }
    return 0;
}

/* ---- what a server runs ---- */

struct running {
    struct str original, uptime;
    struct str version[6]; /* buildUser goVersion revision version branch buildDate */
};
static const char *const version_keys[] = { "buildUser", "goVersion", "revision", "version", "branch", "buildDate" };

static bool read_config(struct json_reader *r, struct running *run)
{
    struct str key;
    if (!jr_object(r))
        return false;
    while (jr_member(r, &key))
        if (!(str_eq(key, STR("original")) ? jr_str(r, &run->original) : jr_skip(r)))
            return false;
    return !r->failed;
}

static bool read_version(struct json_reader *r, struct running *run)
{
    struct str key;
    if (!jr_object(r))
        return false;
    while (jr_member(r, &key)) {
        bool known = false, ok = true;
        for (size_t i = 0; i < ARRAY_LEN(version_keys) && !known; i++)
            if (str_eq(key, str_c(version_keys[i]))) {
                known = true;
                ok = jr_str(r, &run->version[i]);
            }
        if (!(known ? ok : jr_skip(r)))
            return false;
    }
    return !r->failed;
}

static bool fetch_running(struct ctl *c, struct running *run, struct str *body)
{
    struct json_reader r;
    struct str key;
    if (!ctl_api_ok(c, "GET", STR("/status"), STR_EMPTY, "/status", "getStatus", body))
        return false;
    *run = (struct running){ .original = STR_EMPTY };
    json_reader_init(&r, *body, c->arena);
    if (jr_object(&r))
        while (jr_member(&r, &key)) {
            bool ok = str_eq(key, STR("config"))        ? read_config(&r, run)
                      : str_eq(key, STR("versionInfo")) ? read_version(&r, run)
                      : str_eq(key, STR("uptime"))      ? jr_str(&r, &run->uptime)
                                                        : jr_skip(&r);
            if (!ok)
                break;
        }
    return jr_finish(&r, &c->err);
}

int ctl_config_show(void *program)
{
    struct ctl *c = program;
    struct running run;
    struct str body;
    if (!fetch_running(c, &run, &body))
        return ctl_fail(c);
    if (str_eq(c->f.output, STR("json"))) {
        buf_str(&c->out, str_trim(body));
        buf_byte(&c->out, '\n');
        return 0;
    }
    buf_str(&c->out, run.original);
    buf_byte(&c->out, '\n');
    if (str_eq(c->f.output, STR("extended"))) {
        for (size_t i = 0; i < ARRAY_LEN(version_keys); i++)
            buf_printf(&c->out, "%s %.*s\n", version_keys[i], STR_ARG(run.version[i]));
        buf_printf(&c->out, "uptime %.*s\n", STR_ARG(run.uptime));
    }
    return 0;
}

/* ---- routes ---- */

struct config *ctl_load_running_config(struct ctl *c)
{
    struct running run;
    struct str body;
    return fetch_running(c, &run, &body) ? load_text(c, run.original, STR(""), NULL, &c->err) : NULL;
}

/* The configuration of --config.file, else of the server. */
static struct config *load_any(struct ctl *c)
{
    c->no_blank_line = true;
    if (c->f.config_file.n == 0 && c->f.url.n == 0) {
        err_set(&c->err, ERR_INVALID, "You have to specify one of --config.file or --alertmanager.url flags.");
        return NULL;
    }
    if (c->f.config_file.n) {
        if (c->f.url.n)
            fprintf(stderr, "Warning: --config.file flag overrides the --alertmanager.url.\n");
        return ctl_load_config_file(c, c->f.config_file, NULL, &c->err);
    }
    c->no_blank_line = false;
    return ctl_load_running_config(c);
}

static struct route_tree *load_routes(struct ctl *c, struct config **config)
{
    const struct route_env env = { 0 };
    *config = load_any(c);
    if (!*config)
        return NULL;
    if (!(*config)->route) {
        err_set(&c->err, ERR_INVALID, "no routes provided");
        config_release(*config);
        return NULL;
    }
    struct route_tree *t = route_tree_new((*config)->route, &env, &c->err);
    if (!t)
        config_release(*config);
    return t;
}

int ctl_routes_show(void *program)
{
    struct ctl *c = program;
    struct config *config;
    struct route_tree *t = load_routes(c, &config);
    if (!t)
        return ctl_fail(c);
    route_print_tree(&c->out, t);
    route_tree_release(t);
    config_release(config);
    return 0;
}

static bool parse_labels(struct ctl *c, struct labels *out)
{
    struct label *v = arena_alloc_array(c->arena, c->f.matchers.n, sizeof *v);
    for (size_t i = 0; i < c->f.matchers.n; i++) {
        struct matcher m;
        if (!matcher_parse(c->arena, c->mode, c->f.matchers.v[i], &m, NULL, &c->err))
            return err_wrap(&c->err, "Failed to parse labels");
        v[i] = (struct label){ m.name, m.value };
        bool equal = m.op == MATCH_EQ;
        matcher_deinit(&m);
        if (!equal) {
            err_set(&c->err, ERR_INVALID, "Labels must be specified as key=value pairs");
            return false;
        }
    }
    *out = labels_normalize(v, c->f.matchers.n);
    return true;
}

int ctl_routes_test(void *program)
{
    struct ctl *c = program;
    struct config *config;
    struct labels ls;
    struct route_tree *t = load_routes(c, &config);
    if (!t)
        return ctl_fail(c);
    bool ok = parse_labels(c, &ls);
    int code = 0;
    if (ok) {
        struct buf receivers = { 0 };
        if (c->f.tree)
            route_print_match(&c->out, t, ls);
        route_print_receivers(&receivers, t, ls);
        buf_str(&c->out, buf_view(&receivers));
        buf_byte(&c->out, '\n');
        if (c->f.verify_receivers.n && !str_eq(c->f.verify_receivers, buf_view(&receivers))) {
            buf_c(&c->out, "WARNING: Expected receivers did not match resolved receivers.\n");
            code = 1;
        }
        buf_deinit(&receivers);
    }
    route_tree_release(t);
    config_release(config);
    return ok ? code : ctl_fail(c);
}
