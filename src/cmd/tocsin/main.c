/* The server's entry: the command line, the log, then app. */
#include "app/app.h"
#include "app/options.h"
#include "base/log.h"
#include "base/mem.h"
#include "ctl/flag.h"
#include "io/clock_io.h"
#include "io/signals.h"

#include <stdio.h>
#include <stdlib.h>

static int usage_error(const struct err *err)
{
    fprintf(stderr, "tocsin: error: %s, try --help\n", err->text);
    return 1;
}

static const char essay[] =
    "An alert cluster that is compatible with Alertmanager, with Prometheus's store built in.\n\n"
    "The sections of the one configuration file decide what runs: those of alertmanager.yml the alert half, those of "
    "prometheus.yml the Prometheus half. --config.check says what would run, and ends.\n";

static int show_help(const struct command_line *cl)
{
    struct buf out = { 0 };
    if (cl->help_man)
        command_line_man(cl, "tocsin", essay, &out);
    else if (cl->help_long)
        command_line_help_long(cl, "tocsin", essay, &out);
    else
        command_line_help(cl, "tocsin", essay, &out);
    fwrite(out.p, 1, out.n, stdout);
    buf_deinit(&out);
    return 0;
}

int main(int argc, char **argv)
{
    struct arena arena;
    struct options options = { 0 };
    struct err err = { 0 };
    enum log_level level;
    enum log_format format;
    mem_return_large();
    signals_block();
    arena_init(&arena, ARENA_NO_LIMIT);
    struct command_line cl = { .arena = &arena, .values = &options };
    int code;
    if (!command_line_parse(&cl, &tocsin_command, argc, argv, &err)) {
        code = usage_error(&err);
    } else if (cl.help || cl.help_long || cl.help_man) {
        code = show_help(&cl);
    } else if (cl.version) {
        struct buf out = { 0 };
        app_version_block(&out, STR("tocsin"));
        fwrite(out.p, 1, out.n, stdout);
        buf_deinit(&out);
        code = 0;
    } else {
        options.config_file_given = command_line_given(&cl, STR("config.file"));
        options.tsdb_path_given = command_line_given(&cl, STR("storage.tsdb.path"));
        options.web_route_prefix_given = command_line_given(&cl, STR("web.route-prefix"));
        bool ok = log_level_parse(options.log_level, &level) && log_format_parse(options.log_format, &format);
        ASSERT(ok); /* the flags are enumerations */
        clock_install_log();
        log_configure(level, format);
        for (size_t i = 0; i < tocsin_command.flags_count; i++)
            if (tocsin_command.flags[i].inactive && command_line_given(&cl, str_c(tocsin_command.flags[i].name)))
                log_warn("This flag is accepted and has no effect here", LOG_CSTR("flag", tocsin_command.flags[i].name));
        code = app_run(&options);
    }
    arena_deinit(&arena);
    return code;
}
