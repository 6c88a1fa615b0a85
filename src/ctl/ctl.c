/* The frame of every verb: command line, defaults from amtool's configuration files, features, output, exit code. */
#include "ctl/ctl.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "io/clock_io.h"
#include "io/fs_posix.h"
#include "yaml/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define INPUT_BYTES_MAX ((size_t)256 << 20)

/* ---- defaults from configuration files: the first that has a key wins ---- */

/* Upstream's two places, then those where Debian's package of amtool has them. */
#define DEFAULTS_FILES 4
struct defaults {
    struct yaml_doc docs[DEFAULTS_FILES];
    size_t count;
};

static bool load_defaults(struct defaults *d, struct ctl *c, struct str path)
{
    struct buf text = { 0 };
    struct err err = { 0 };
    if (!fs_read_file(fs_posix(), path, INPUT_BYTES_MAX, &text, &err)) {
        buf_deinit(&text);
        return true; /* not there: no defaults */
    }
    bool ok = yaml_parse(&d->docs[d->count], buf_view(&text), &c->err);
    buf_deinit(&text);
    if (!ok)
        return err_wrap(&c->err, "could not load config file");
    d->count++;
    return true;
}

static bool default_for(void *arg, struct str name, struct str *value)
{
    struct defaults *d = arg;
    for (size_t i = 0; i < d->count; i++) {
        const struct yaml_node *root = d->docs[i].root;
        if (!root || root->kind != YAML_MAPPING)
            continue;
        const struct yaml_node *node = yaml_get(root, name);
        if (!node && str_eq(name, STR("require-comment")))
            node = yaml_get(root, STR("comment_required"));
        if (node && node->kind != YAML_NULL && node->kind != YAML_SEQUENCE && node->kind != YAML_MAPPING) {
            *value = node->text;
            return true;
        }
    }
    return false;
}

static bool open_defaults(struct defaults *d, struct ctl *c)
{
    const char *home = getenv("HOME");
    const struct str paths[DEFAULTS_FILES] = {
        arena_printf(c->arena, "%s/.config/amtool/config.yml", home ? home : ""),
        STR("/etc/amtool/config.yml"),
        arena_printf(c->arena, "%s/.config/prometheus/amtool.yml", home ? home : ""),
        STR("/etc/prometheus/amtool.yml"),
    };
    bool ok = true;
    for (size_t i = 0; ok && i < ARRAY_LEN(paths); i++)
        ok = load_defaults(d, c, paths[i]);
    return ok;
}

/* ---- shared by verbs ---- */

int ctl_fail(struct ctl *c)
{
    ASSERT(c->err.code != ERR_NONE);
    return 1;
}

struct wire_time ctl_now(void)
{
    return clock_wall();
}

/* The two largest units of what lies between. */
static void write_relative(struct buf *out, struct wire_time t)
{
    int64_t s = (wire_time_to_ms(t) - wire_time_to_ms(clock_wall())) / 1000;
    int64_t left = s < 0 ? -s : s;
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(units) && left < units[i].seconds)
        i++;
    if (s > 0)
        buf_c(out, "in ");
    buf_printf(out, "%lld%c", (long long)(left / units[i].seconds), units[i].unit);
    left %= units[i].seconds;
    if (i + 1 < ARRAY_LEN(units) && left >= units[i + 1].seconds)
        buf_printf(out, "%lld%c", (long long)(left / units[i + 1].seconds), units[i + 1].unit);
    if (s <= 0)
        buf_c(out, " ago");
}

void ctl_table_date(struct ctl *c, struct ctl_table *t, const struct go_time *at)
{
    struct buf b = { 0 };
    if (str_eq(c->f.date_format, STR("relative")))
        write_relative(&b, at->t);
    else
        go_time_format(&b, c->f.date_format, at);
    ctl_table_cell(t, buf_view(&b));
    buf_deinit(&b);
}

bool ctl_read_time(struct json_reader *r, struct go_time *t)
{
    struct str text;
    *t = (struct go_time){ .zone = NULL };
    if (!jr_str(r, &text))
        return false;
    if (!rfc3339_parse(text, &t->t, &t->offset_s))
        return jr_fail(r, "not a time: %.*s", STR_ARG(text));
    t->fixed = t->offset_s != 0;
    return true;
}

void ctl_write_time(struct json_writer *w, struct str key, const struct go_time *t)
{
    jw_key(w, key);
    buf_byte(w->out, '"');
    go_time_format(w->out, STR("2006-01-02T15:04:05.000Z07:00"), t);
    buf_byte(w->out, '"');
    w->need_comma = true;
}

struct str_list ctl_matcher_texts(struct ctl *c)
{
    struct str_list texts = c->f.matchers;
    struct matcher m;
    struct err ignored = { 0 };
    if (texts.n == 0)
        return texts;
    if (matcher_parse(c->arena, c->mode, texts.v[0], &m, NULL, &ignored)) {
        matcher_deinit(&m);
        return texts;
    }
    struct buf name = { 0 };
    buf_c(&name, "alertname=");
    go_quote(&name, texts.v[0]);
    struct str *v = arena_alloc_array(c->arena, texts.n, sizeof *v);
    memcpy(v, texts.v, texts.n * sizeof *v);
    v[0] = arena_str(c->arena, buf_view(&name));
    buf_deinit(&name);
    return (struct str_list){ .v = v, .n = texts.n };
}

/* What the fallback parser has to say, as a log line. */
static void say_notice(struct str input, const struct matcher_notice *n)
{
    if (!n->classic_used && !n->disagreement)
        return;
    struct buf line = { 0 };
    buf_c(&line, "level=WARN msg=");
    go_quote(&line, n->disagreement
                        ? STR("Matchers input has disagreement")
                        : STR("Alertmanager is moving to a new parser for labels and matchers, and this input is incompatible. The classic "
                              "parser was used instead. To make it compatible, double-quote regular expressions and values, and escape "
                              "backslashes."));
    buf_c(&line, " input=");
    go_quote(&line, input);
    if (n->suggestion.n) {
        buf_c(&line, " suggestion=");
        go_quote(&line, n->suggestion);
    }
    buf_byte(&line, '\n');
    fwrite(line.p, 1, line.n, stderr);
    buf_deinit(&line);
}

bool ctl_parse_matchers(struct ctl *c, struct str_list texts, struct matchers *out)
{
    *out = (struct matchers){ .v = arena_alloc_array(c->arena, texts.n, sizeof *out->v) };
    for (size_t i = 0; i < texts.n; i++) {
        struct matcher_notice notice = { 0 };
        if (!matcher_parse(c->arena, c->mode, texts.v[i], &out->v[i], &notice, &c->err)) {
            matchers_deinit(out);
            return false;
        }
        out->n++;
        say_notice(texts.v[i], &notice);
    }
    return true;
}

bool ctl_parse_pairs(struct ctl *c, struct str_list texts, const char *error, struct labels *out)
{
    struct matchers ms;
    if (!ctl_parse_matchers(c, texts, &ms))
        return false;
    struct label *v = arena_alloc_array(c->arena, ms.n, sizeof *v);
    bool ok = true;
    for (size_t i = 0; i < ms.n && ok; i++) {
        v[i] = (struct label){ ms.v[i].name, ms.v[i].value };
        ok = ms.v[i].op == MATCH_EQ || err_set(&c->err, ERR_INVALID, "%s", error);
    }
    size_t n = ms.n;
    matchers_deinit(&ms);
    *out = (struct labels){ v, n };
    return ok;
}

bool ctl_parse_time(struct str s, struct go_time *t, struct err *err)
{
    return go_time_parse(GO_TIME_RFC3339, s, NULL, t, err);
}

bool ctl_read_file(struct str path, struct buf *out, struct err *err)
{
    if (!str_eq(path, STR("-")) && !str_eq(path, STR("/dev/stdin")))
        return fs_read_file(fs_posix(), path, INPUT_BYTES_MAX, out, err);
    char piece[65536];
    for (;;) {
        ssize_t n = read(0, piece, sizeof piece);
        if (n < 0)
            return err_set(err, ERR_IO, "read /dev/stdin: failed");
        if (n == 0)
            return true;
        if (out->n + (size_t)n > INPUT_BYTES_MAX)
            return err_set(err, ERR_LIMIT, "read /dev/stdin: more than %zu bytes", INPUT_BYTES_MAX);
        buf_append(out, piece, (size_t)n);
    }
}

/* ---- the frame ---- */

static bool read_features(struct ctl *c)
{
    bool classic = false, utf8 = false;
    for (size_t i = 0; i < c->f.enable_features.n; i++) {
        struct str rest = c->f.enable_features.v[i], name;
        while (rest.n && str_split(&rest, ',', &name)) {
            if (str_eq(name, STR("classic-mode")))
                classic = true;
            else if (str_eq(name, STR("utf8-strict-mode")))
                utf8 = true;
            else if (!str_eq(name, STR("alert-names-in-metrics")) && !str_eq(name, STR("receiver-name-in-metrics")) &&
                     !str_eq(name, STR("group-key-in-metrics")) && !str_eq(name, STR("auto-gomemlimit")) &&
                     !str_eq(name, STR("event-recorder")))
                return err_set(&c->err, ERR_INVALID, "unknown option '%.*s' for --enable-feature", STR_ARG(name));
        }
    }
    if (classic && utf8)
        return err_set(&c->err, ERR_INVALID, "cannot have both classic and UTF-8 modes enabled");
    c->mode = classic ? MATCHER_CLASSIC : utf8 ? MATCHER_UTF8 : c->mode;
    return true;
}

static void version_block(struct ctl *c)
{
    buf_printf(&c->out, "%s, version %s (branch: HEAD, revision: tocsin-%s)\n", c->name, TOCSIN_VERSION, TOCSIN_VERSION);
    buf_printf(&c->out, "  %-18s\n  %-18s\n  %-18s %s\n  %-18s %s\n  %-18s %s\n", "build user:", "build date:", "go version:",
               "none", "platform:", "linux/amd64", "tags:", "tocsin");
}

static const char essay[] =
    "View and modify the current Alertmanager state.\n\n"
    "Config File: The alertmanager tool will read a config file in YAML format from one of two default config locations: "
    "$HOME/.config/amtool/config.yml or /etc/amtool/config.yml, then from those of Debian's amtool: "
    "$HOME/.config/prometheus/amtool.yml or /etc/prometheus/amtool.yml. The first that names a flag counts.\n\n"
    "All flags can be given in the config file, but the following are the suited for static configuration:\n\n"
    "\talertmanager.url\n"
    "\t\tSet a default alertmanager url for each request\n\n"
    "\tauthor\n"
    "\t\tSet a default author value for new silences. If this argument is not\n"
    "\t\tspecified then the username will be used\n\n"
    "\trequire-comment\n"
    "\t\tBool, whether to require a comment on silence creation. Defaults to true\n\n"
    "\toutput\n"
    "\t\tSet a default output type. Options are (simple, extended, json)\n\n"
    "\tdate.format\n"
    "\t\tSets the output format for dates. Defaults to \"2006-01-02 15:04:05 MST\"\n\n"
    "\thttp.config.file\n"
    "\t\tHTTP client configuration file for amtool to connect to Alertmanager.\n"
    "\t\tThe format is https://prometheus.io/docs/alerting/latest/configuration/#http_config.\n";

/* The questions of shells, which come before any other argument: true if it was one. */
static bool answer_shell(struct ctl *c, int argc, char **argv)
{
    if (argc < 2)
        return false;
    if (strcmp(argv[1], "--completion-bash") == 0)
        command_line_complete(&ctl_program, argc - 2, argv + 2, &c->out);
    else if (strcmp(argv[1], "--completion-script-bash") == 0)
        command_line_completion_script(c->name, false, &c->out);
    else if (strcmp(argv[1], "--completion-script-zsh") == 0)
        command_line_completion_script(c->name, true, &c->out);
    else
        return false;
    return true;
}

static int run_verb(struct ctl *c, struct defaults *d, int argc, char **argv)
{
    struct command_line line = { .arena = c->arena, .values = c, .source = default_for, .source_arg = d };
    c->line = &line;
    if (answer_shell(c, argc, argv))
        return 0;
    if (!open_defaults(d, c) || !command_line_parse(&line, &ctl_program, argc, argv, &c->err))
        return 1;
    if (line.version) {
        version_block(c);
        return 0;
    }
    const struct command *leaf = command_line_leaf(&line);
    if (line.help_man)
        command_line_man(&line, c->name, essay, &c->out);
    else if (line.help_long)
        command_line_help_long(&line, c->name, essay, &c->out);
    else if (line.help || !leaf || !leaf->run)
        command_line_help(&line, c->name, essay, &c->out);
    else if (!read_features(c))
        return 1;
    else
        return leaf->run(c);
    return 0;
}

static const char *program_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    return strcmp(name, "amtool") == 0 || strcmp(name, "promtool") == 0 ? name : "tocsinctl";
}

int ctl_main(int argc, char **argv)
{
    struct arena arena;
    struct defaults defaults = { .count = 0 };
    arena_init(&arena, ARENA_NO_LIMIT);
    struct ctl c = { .name = argc > 0 ? program_name(argv[0]) : "tocsinctl", .arena = &arena };
    log_configure(LOG_WARN, LOG_LOGFMT);
    int code = run_verb(&c, &defaults, argc, argv);
    ctl_client_free(&c);
    fwrite(c.out.p ? c.out.p : "", 1, c.out.n, stdout);
    fflush(stdout);
    if (c.err.code != ERR_NONE && code != 0)
        fprintf(stderr, "%s: error: %s\n%s", c.name, c.err.text, c.no_blank_line ? "" : "\n");
    buf_deinit(&c.out);
    for (size_t i = 0; i < defaults.count; i++)
        yaml_doc_deinit(&defaults.docs[i]);
    arena_deinit(&arena);
    return code;
}
