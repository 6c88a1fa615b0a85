/* The verbs. One row a command, one row a flag; help, completion and the man page come from here. */
#include "ctl/ctl.h"

#include "base/compiler.h"

#define F(kind_, field, name_, letter_, fallback_, help_, ...)                                     \
    { .name = (name_), .letter = (letter_), .kind = FLAG_##kind_, .offset = offsetof(struct ctl, f.field), \
      .fallback = (fallback_), .help = (help_), __VA_ARGS__ }
#define ARG(field, name_, repeated_, help_, ...)                                                   \
    { .name = (name_), .help = (help_), .repeated = (repeated_), .offset = offsetof(struct ctl, f.field), __VA_ARGS__ }

static const struct flag global_flags[] = {
    F(STR, date_format, "date.format", 0, "2006-01-02 15:04:05 MST", "Format of date output; \"relative\" says how long ago or from now"),
    F(BOOL, verbose, "verbose", 'v', "false", "Verbose running information"),
    F(STR, url, "alertmanager.url", 0, NULL, "Alertmanager to talk to"),
    F(ENUM, output, "output", 'o', "simple", "Output formatter (simple, extended, json)", .choices = "simple,extended,json"),
    F(GO_DURATION, timeout_ns, "timeout", 0, "30s", "Timeout for the executed command"),
    F(EXISTING_FILE, http_config_file, "http.config.file", 0, NULL, "HTTP client configuration file to connect to Alertmanager.", .placeholder = "<filename>"),
    F(BOOL, version_check, "version-check", 0, "true", "Check alertmanager version. Use --no-version-check to disable."),
    F(STRS, enable_features, "enable-feature", 0, NULL, "Experimental features to enable.", .placeholder = "NAME,.."),
};

static const struct command_arg matcher_args[] = { ARG(matchers, "matcher-groups", true, "Query filter") };
static const struct command_arg label_args[] = { ARG(matchers, "labels", true, "List of labels to be included with the alert") };
static const struct command_arg expire_args[] = { ARG(ids, "silence-ids", true, "Ids of silences to expire") };
static const struct command_arg update_args[] = { ARG(ids, "update-ids", true, "Silence IDs to update") };

/* ---- alert ---- */

#define MATCHER_EXAMPLES(verb, things)                                                                                 \
    "Matchers are written name=value, name!=value, name=~regex or name!~regex:\n\n"                                    \
    "    " verb " alertname=foo node=bar\n"                                                                            \
    "    " verb " foo node=bar\n"                                                                                      \
    "    " verb " 'alertname=~foo.*'\n\n"                                                                              \
    "A first argument that is no matcher is the name of the alert. All matchers must hold for " things "."
#define TIME_TEXT "RFC3339 format 2006-01-02T15:04:05-07:00"

static const struct flag alert_query_flags[] = {
    F(BOOL, inhibited, "inhibited", 'i', "false", "Show inhibited alerts"),
    F(BOOL, silenced, "silenced", 's', "false", "Show silenced alerts"),
    F(BOOL, active, "active", 'a', "false", "Show active alerts"),
    F(BOOL, unprocessed, "unprocessed", 'u', "false", "Show unprocessed alerts"),
    F(STR, receiver, "receiver", 'r', NULL, "Show alerts matching receiver (Supports regex syntax)"),
};
static const struct flag alert_add_flags[] = {
    F(STR, generator_url, "generator-url", 0, NULL, "Set the URL of the source that generated the alert"),
    F(STR, start, "start", 0, NULL, "Set when the alert should start. " TIME_TEXT),
    F(STR, end, "end", 0, NULL, "Set when the alert should should end. " TIME_TEXT),
    F(STRS, annotations, "annotation", 0, NULL, "Set an annotation to be included with the alert"),
};
static const struct flag alert_watch_flags[] = {
    F(STR, receiver, "receiver", 'r', NULL, "Watch alerts matching receiver (Supports regex syntax)"),
    F(GO_DURATION, watch_interval_ns, "interval", 0, "2s", "How often to ask"),
    F(I64, watch_polls, "count", 0, "0", "Ask so many times and end; 0: until interrupted"),
};
static const struct flag cluster_watch_flags[] = {
    F(GO_DURATION, watch_interval_ns, "interval", 0, "2s", "How often to ask"),
    F(I64, watch_polls, "count", 0, "0", "Ask so many times and end; 0: until interrupted"),
};
static const struct command alert_commands[] = {
    { .name = "query", .flags = alert_query_flags, .flags_count = ARRAY_LEN(alert_query_flags), .args = matcher_args,
      .args_count = 1, .is_default = true, .run = ctl_alert_query,
      .help = "View and search through current alerts.\n\n" MATCHER_EXAMPLES("alert query", "an alert to be shown") "\n\n"
              "Flags choose alerts by state. If none of them is given, only active alerts are returned." },
    { .name = "add", .flags = alert_add_flags, .flags_count = ARRAY_LEN(alert_add_flags), .args = label_args,
      .args_count = 1, .run = ctl_alert_add,
      .help = "Add a new alert.\n\n"
              "    alert add alertname=foo node=bar\n"
              "    alert add foo node=bar --annotation=summary='what happened' --annotation=runbook='http://runbook.biz'\n\n"
              "A first argument without a '=' is the name of the alert." },
    { .name = "watch", .flags = alert_watch_flags, .flags_count = ARRAY_LEN(alert_watch_flags), .args = matcher_args,
      .args_count = 1, .run = ctl_alert_watch,
      .help = "Show alerts as they come, change state and go.\n\n"
              "On a terminal the list is redrawn. Otherwise each change is one line: + for a new alert, ~ for a new state, "
              "- for one that is gone; with -o json it is one object." },
};

/* ---- silence ---- */

static const struct flag silence_add_flags[] = {
    F(STR, author, "author", 'a', NULL, "Username for CreatedBy field"),
    F(BOOL, require_comment, "require-comment", 0, "true", "Require comment to be set", .hidden = true),
    F(STR, duration, "duration", 'd', "1h", "Duration of silence"),
    F(STR, start, "start", 0, NULL, "Set when the silence should start. " TIME_TEXT),
    F(STR, end, "end", 0, NULL, "Set when the silence should end (overwrites duration). " TIME_TEXT),
    F(STR, comment, "comment", 'c', NULL, "A comment to help describe the silence"),
    F(STRS, annotations, "annotation", 0, NULL, "Set an annotation to be included with the silence"),
    F(BOOL, preview, "preview", 0, "false", "Show the alerts that the silence would mute now, and add nothing"),
};
static const struct flag silence_query_flags[] = {
    F(BOOL, expired, "expired", 0, "false", "Show expired silences instead of active"),
    F(BOOL, quiet, "quiet", 'q', "false", "Only show silence ids"),
    F(STR, created_by, "created-by", 0, NULL, "Show silences that belong to this creator"),
    F(STR, id, "id", 0, NULL, "Get silences by id"),
    F(GO_DURATION, within_ns, "within", 0, NULL, "Show silences that will expire or have expired within a duration"),
};
static const struct flag silence_update_flags[] = {
    F(BOOL, quiet, "quiet", 'q', "false", "Only show silence ids"),
    F(STR, duration, "duration", 'd', NULL, "Duration of silence"),
    F(STR, start, "start", 0, NULL, "Set when the silence should start. " TIME_TEXT),
    F(STR, end, "end", 0, NULL, "Set when the silence should end (overwrites duration). " TIME_TEXT),
    F(STR, comment, "comment", 'c', NULL, "A comment to help describe the silence"),
};
static const struct flag silence_import_flags[] = {
    F(BOOL, force, "force", 'f', "false", "Force adding new silences even if it already exists"),
    F(I64, workers, "worker", 'w', "8", "Number of concurrent workers to use for import"),
};
static const struct command_arg import_args[] = { ARG(import_file, "input-file", false, "JSON file with silences") };
static const struct command silence_commands[] = {
    { .name = "add", .flags = silence_add_flags, .flags_count = ARRAY_LEN(silence_add_flags), .args = matcher_args,
      .args_count = 1, .run = ctl_silence_add,
      .help = "Add a new alertmanager silence.\n\n" MATCHER_EXAMPLES("silence add -c why", "an alert to be muted") },
    { .name = "expire", .help = "expire an alertmanager silence", .args = expire_args, .args_count = 1,
      .run = ctl_silence_expire },
    { .name = "import", .flags = silence_import_flags, .flags_count = ARRAY_LEN(silence_import_flags), .args = import_args,
      .args_count = 1, .run = ctl_silence_import,
      .help = "Import alertmanager silences from JSON file or stdin\n\n"
              "Reads what a query has written:\n\n"
              "    silence query -o json foo > foo.json\n"
              "    silence import foo.json\n\n"
              "JSON data can also come from stdin if no param is specified." },
    { .name = "query", .flags = silence_query_flags, .flags_count = ARRAY_LEN(silence_query_flags), .args = matcher_args,
      .args_count = 1, .is_default = true, .run = ctl_silence_query,
      .help = "Query Alertmanager silences.\n\n" MATCHER_EXAMPLES("silence query", "a silence to be shown") "\n\n"
              "--within shows the silences that end soon; together with --expired, those that ended lately:\n\n"
              "    silence query --within 8h\n"
              "    silence query --within 2h --expired" },
    { .name = "update", .help = "Update silences", .flags = silence_update_flags, .flags_count = ARRAY_LEN(silence_update_flags),
      .args = update_args, .args_count = 1, .run = ctl_silence_update },
};

/* ---- check-config, cluster, config ---- */

static const struct command_arg file_args[] = { ARG(files, "check-files", true, "Files to be validated") };

static const struct command cluster_commands[] = {
    { .name = "show", .help = "View cluster status and peers.", .is_default = true, .run = ctl_cluster_show },
    { .name = "watch", .flags = cluster_watch_flags, .flags_count = ARRAY_LEN(cluster_watch_flags), .run = ctl_cluster_watch,
      .help = "Show the members of the cluster as they come and go.\n\n"
              "On a terminal the list is redrawn. Otherwise each change is one line: + for a new member, - for one that is gone, "
              "~ for the status; with -o json it is one object." },
};

#define ROUTES_SOURCE                                                                                                  \
    "Routing is loaded from a local configuration file or a running Alertmanager configuration. Specifying "           \
    "--config.file takes precedence over --alertmanager.url."
static const struct flag routes_flags[] = {
    F(EXISTING_FILE, config_file, "config.file", 0, NULL, "Config file to be tested."),
};
static const struct flag routes_test_flags[] = {
    F(STR, verify_receivers, "verify.receivers", 0, NULL, "Checks if specified receivers matches resolved receivers. The command fails if the labelset does not route to the specified receivers."),
    F(BOOL, tree, "tree", 0, "false", "Prints out matching routes tree."),
};
static const struct command_arg test_args[] = { ARG(matchers, "labels", true, "List of labels to be tested against the configured routes.") };
static const struct command routes_commands[] = {
    { .name = "show", .is_default = true, .run = ctl_routes_show,
      .help = "Prints alert routing tree\n\nWill print whole routing tree in form of ASCII tree view.\n\n" ROUTES_SOURCE "\n\n"
              "    config routes show --config.file=doc/examples/simple.yml" },
    { .name = "test", .flags = routes_test_flags, .flags_count = ARRAY_LEN(routes_test_flags), .args = test_args,
      .args_count = 1, .run = ctl_routes_test,
      .help = "Test alert routing\n\n"
              "Will return receiver names which the alert with given labels resolves to. If the labelset resolves to multiple "
              "receivers, they are printed out in order as defined in the routing tree.\n\n" ROUTES_SOURCE "\n\n"
              "    config routes test --config.file=doc/examples/simple.yml --verify.receivers=team-DB-pager service=database" },
};
static const struct command_arg diff_args[] = {
    ARG(import_file, "new-file", false, "The configuration that would be loaded", .required = true),
};
static const struct command config_commands[] = {
    { .name = "show", .is_default = true, .run = ctl_config_show,
      .help = "View current config.\n\n"
              "The amount of output is controlled by the output selection flag:\n\n"
              "    - Simple: Print just the running config\n"
              "    - Extended: Print the running config as well as uptime and all version info\n"
              "    - Json: Print entire config object as json" },
    { .name = "routes", .flags = routes_flags, .flags_count = ARRAY_LEN(routes_flags), .commands = routes_commands,
      .commands_count = ARRAY_LEN(routes_commands),
      .help = "Prints alert routing tree\n\nWill print whole routing tree in form of ASCII tree view.\n\n" ROUTES_SOURCE },
    { .name = "diff", .args = diff_args, .args_count = 1, .run = ctl_config_diff,
      .help = "Show what a new file would route differently\n\n"
              "For the alerts that the server has now: the receivers, and where these stay the same the grouping and timing, under "
              "the running configuration and under the file. Exit code 0: no difference, 1: some, 2: trouble." },
};

/* ---- template ---- */

static const struct flag render_flags[] = {
    F(STRS, template_globs, "template.glob", 0, NULL, "Glob of paths that will be expanded and used for rendering.", .required = true),
    F(STR, template_text, "template.text", 0, NULL, "The template that will be rendered.", .required = true),
    F(ENUM, template_type, "template.type", 0, "text", "The type of the template. Can be either text (default) or html.", .choices = "html,text", .placeholder = "TEMPLATE.TYPE"),
    F(EXISTING_FILE, template_data, "template.data", 0, NULL, "Full path to a file which contains the data of the alert(-s) with which the --template.text will be rendered. Must be in JSON. File must be formatted according to the following layout: https://pkg.go.dev/github.com/prometheus/alertmanager/template#Data. If none has been specified then a predefined, simple alert will be used for rendering."),
};
static const struct command template_commands[] = {
    { .name = "render", .help = "Render a given definition in a template file to standard output.", .flags = render_flags,
      .flags_count = ARRAY_LEN(render_flags), .run = ctl_template_render },
};

/* ---- PromQL ---- */

#define QUERY_FORMAT F(ENUM, format, "format", 0, "promql", "Output format of the query.", .choices = "promql,json")
#define QUERY_PATH                                                                                 \
    F(STR, tsdb_path, "storage.tsdb.path", 0, NULL, "Query this data directory, read-only, instead of a server: leave <server> out.")
#define QUERY_SPAN                                                                                 \
    F(STR, query_start, "start", 0, NULL, "Start time (RFC3339 or Unix timestamp)."),              \
        F(STR, query_end, "end", 0, NULL, "End time (RFC3339 or Unix timestamp).")
static const struct flag query_instant_flags[] = {
    QUERY_FORMAT, QUERY_PATH, F(STR, query_time, "time", 0, NULL, "Query evaluation time (RFC3339 or Unix timestamp)."),
};
static const struct flag query_range_flags[] = {
    QUERY_FORMAT, QUERY_PATH, QUERY_SPAN, F(STR, query_step, "step", 0, NULL, "Query step size (duration)."),
};
static const struct flag query_series_flags[] = {
    QUERY_FORMAT, QUERY_PATH, QUERY_SPAN,
    F(STRS, matchers, "match", 0, NULL, "Series selector. Can be specified multiple times.", .required = true),
};
static const struct flag query_labels_flags[] = {
    QUERY_FORMAT, QUERY_PATH, QUERY_SPAN,
    F(STRS, matchers, "match", 0, NULL, "Series selector. Can be specified multiple times."),
};
static const struct command_arg query_args[] = { ARG(queries, "server expr", true, "Prometheus server to query, and the query") };
static const struct command_arg query_series_args[] = { ARG(queries, "server", true, "Prometheus server to query") };
static const struct command_arg query_labels_args[] = {
    ARG(queries, "server name", true, "Prometheus server to query, and the label's name"),
};
static const struct command query_commands[] = {
    { .name = "instant", .help = "Run instant query.", .flags = query_instant_flags,
      .flags_count = ARRAY_LEN(query_instant_flags), .args = query_args, .args_count = 1, .run = ctl_query_instant },
    { .name = "range", .help = "Run range query.", .flags = query_range_flags, .flags_count = ARRAY_LEN(query_range_flags),
      .args = query_args, .args_count = 1, .run = ctl_query_range },
    { .name = "series", .help = "Run series query.", .flags = query_series_flags,
      .flags_count = ARRAY_LEN(query_series_flags), .args = query_series_args, .args_count = 1, .run = ctl_query_series },
    { .name = "labels", .help = "Run labels query.", .flags = query_labels_flags,
      .flags_count = ARRAY_LEN(query_labels_flags), .args = query_labels_args, .args_count = 1, .run = ctl_query_labels },
};
static const struct command_arg test_files_args[] = { ARG(test_files, "test-file", true, "The test files", .required = true) };
static const struct command test_commands[] = {
    { .name = "promql", .help = "Run PromQL test scripts.", .args = test_files_args, .args_count = 1, .run = ctl_test_promql },
};

/* ---- tsdb ---- */

#define DUMP_SPAN                                                                                  \
    F(I64, min_time, "min-time", 0, "-9223372036854775808", "Minimum timestamp to dump, in milliseconds since the Unix epoch."), \
        F(I64, max_time, "max-time", 0, "9223372036854775807", "Maximum timestamp to dump, in milliseconds since the Unix epoch."), \
        F(STRS, matchers, "match", 0, NULL, "Series selector. Can be specified multiple times.")
static const struct command_arg db_args[] = { ARG(tsdb_args, "db path", true, "Database path (default is data/).") };
static const struct command_arg analyze_args[] = { ARG(tsdb_args, "db path, block id", true, "Database path (default is data/), and the block to analyze (default is the last one).") };
static const struct command_arg backfill_args[] = { ARG(tsdb_args, "input file, output directory", true, "OpenMetrics file to read samples from, and where the blocks go (default is data/).") };
static const struct command_arg bench_args[] = { ARG(tsdb_args, "file", true, "Input file with samples data.") };
static const struct flag list_flags[] = {
    F(BOOL, human, "human-readable", 'r', "false", "Print human readable values."),
};
static const struct flag dump_flags[] = {
    DUMP_SPAN, F(ENUM, format, "format", 0, "prom", "Output format of the dump.", .choices = "prom,seriesjson"),
};
static const struct flag dump_openmetrics_flags[] = { DUMP_SPAN };
static const struct flag analyze_flags[] = {
    F(I64, limit, "limit", 0, "20", "How many items to show in each list."),
    F(BOOL, extended, "extended", 0, "false", "Run extended analysis."),
    F(STR, match, "match", 0, NULL, "Series selector to analyze. Only 1 set of matchers is supported now."),
};
static const struct flag backfill_flags[] = {
    F(STRS, labels, "label", 0, NULL, "Label to attach to metrics. Can be specified multiple times. Example --label=label_name=label_value"),
    F(BOOL, human, "human-readable", 'r', "false", "Print human readable values."),
    F(BOOL, quiet, "quiet", 'q', "false", "Do not print created blocks."),
    F(PROM_DURATION, max_block_duration_ms, "max-block-duration", 0, "2h", "Maximum duration created blocks may span. Anything less than 2h is ignored.", .hidden = true),
};
static const struct flag bench_flags[] = {
    F(STR, out_path, "out", 0, "benchout", "Set the output path."),
    F(I64, metrics_count, "metrics", 0, "10000", "Number of metrics to read."),
    F(I64, scrapes_count, "scrapes", 0, "3000", "Number of scrapes to simulate."),
};
static const struct command backfill_commands[] = {
    { .name = "openmetrics", .help = "Import samples from OpenMetrics input and produce TSDB blocks.", .flags = backfill_flags,
      .flags_count = ARRAY_LEN(backfill_flags), .args = backfill_args, .args_count = 1, .run = ctl_tsdb_create_blocks },
};
static const struct command bench_commands[] = {
    { .name = "write", .help = "Run a write performance benchmark.", .flags = bench_flags, .flags_count = ARRAY_LEN(bench_flags),
      .args = bench_args, .args_count = 1, .run = ctl_tsdb_bench_write },
};
static const struct command tsdb_commands[] = {
    { .name = "bench", .help = "Run benchmarks.", .commands = bench_commands, .commands_count = ARRAY_LEN(bench_commands) },
    { .name = "analyze", .help = "Analyze churn, label pair cardinality and compaction efficiency.", .flags = analyze_flags,
      .flags_count = ARRAY_LEN(analyze_flags), .args = analyze_args, .args_count = 1, .run = ctl_tsdb_analyze },
    { .name = "list", .help = "List tsdb blocks.", .flags = list_flags, .flags_count = ARRAY_LEN(list_flags), .args = db_args,
      .args_count = 1, .run = ctl_tsdb_list },
    { .name = "dump", .help = "Dump samples from a TSDB.", .flags = dump_flags, .flags_count = ARRAY_LEN(dump_flags),
      .args = db_args, .args_count = 1, .run = ctl_tsdb_dump },
    { .name = "dump-openmetrics", .help = "Dump samples from a TSDB into OpenMetrics text format.", .flags = dump_openmetrics_flags,
      .flags_count = ARRAY_LEN(dump_openmetrics_flags), .args = db_args, .args_count = 1, .run = ctl_tsdb_dump_openmetrics },
    { .name = "create-blocks-from", .help = "Import samples from input and produce TSDB blocks.", .commands = backfill_commands,
      .commands_count = ARRAY_LEN(backfill_commands) },
};

static const struct command commands[] = {
    { .name = "alert", .help = "Add or query alerts.", .commands = alert_commands, .commands_count = ARRAY_LEN(alert_commands) },
    { .name = "silence", .help = "Add, expire or view silences. For more information and additional flags see query help",
      .commands = silence_commands, .commands_count = ARRAY_LEN(silence_commands) },
    { .name = "check-config", .args = file_args, .args_count = 1, .run = ctl_check_config,
      .help = "Validate alertmanager config files\n\n"
              "Will validate the syntax and schema for alertmanager config file and associated templates. Non existing templates "
              "will not trigger errors." },
    { .name = "cluster", .help = "View cluster status and peers.", .commands = cluster_commands,
      .commands_count = ARRAY_LEN(cluster_commands) },
    { .name = "config", .help = "View the running config.", .commands = config_commands,
      .commands_count = ARRAY_LEN(config_commands) },
    { .name = "template", .help = "Render template files.", .commands = template_commands,
      .commands_count = ARRAY_LEN(template_commands) },
    { .name = "query", .help = "Run query against a Prometheus server.", .commands = query_commands,
      .commands_count = ARRAY_LEN(query_commands) },
    { .name = "tsdb", .help = "Run tsdb commands.", .commands = tsdb_commands, .commands_count = ARRAY_LEN(tsdb_commands) },
    { .name = "test", .help = "Unit testing.", .commands = test_commands, .commands_count = ARRAY_LEN(test_commands) },
};

const struct command ctl_program = {
    .flags = global_flags,
    .flags_count = ARRAY_LEN(global_flags),
    .commands = commands,
    .commands_count = ARRAY_LEN(commands),
};
