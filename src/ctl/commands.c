/* The verbs. One row a command, one row a flag; help, completion and the man page come from here. */
#include "ctl/ctl.h"

#include "base/compiler.h"

#define F(kind_, field, name_, letter_, fallback_, help_, ...)                                     \
    { .name = (name_), .letter = (letter_), .kind = FLAG_##kind_, .offset = offsetof(struct ctl, f.field), \
      .fallback = (fallback_), .help = (help_), __VA_ARGS__ }
#define ARG(field, name_, repeated_, help_)                                                        \
    { .name = (name_), .help = (help_), .repeated = (repeated_), .offset = offsetof(struct ctl, f.field) }

static const struct flag global_flags[] = {
    F(STR, date_format, "date.format", 0, "2006-01-02 15:04:05 MST", "Format of date output"),
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
static const struct command_arg id_args[] = { ARG(ids, "silence-ids", true, "Ids of silences") };

static const struct flag alert_query_flags[] = {
    F(BOOL, inhibited, "inhibited", 'i', "false", "Show inhibited alerts"),
    F(BOOL, silenced, "silenced", 's', "false", "Show silenced alerts"),
    F(BOOL, active, "active", 'a', "false", "Show active alerts"),
    F(BOOL, unprocessed, "unprocessed", 'u', "false", "Show unprocessed alerts"),
    F(STR, receiver, "receiver", 'r', NULL, "Show alerts matching receiver (Supports regex syntax)"),
};
static const struct flag alert_add_flags[] = {
    F(STR, generator_url, "generator-url", 0, NULL, "Set the URL of the source that generated the alert"),
    F(STR, start, "start", 0, NULL, "Set when the alert should start. RFC3339 format 2006-01-02T15:04:05-07:00"),
    F(STR, end, "end", 0, NULL, "Set when the alert should should end. RFC3339 format 2006-01-02T15:04:05-07:00"),
    F(STRS, annotations, "annotation", 0, NULL, "Set an annotation to be included with the alert"),
};
static const struct command alert_commands[] = {
    { .name = "query", .help = "View and search through current alerts", .flags = alert_query_flags,
      .flags_count = ARRAY_LEN(alert_query_flags), .args = matcher_args, .args_count = 1, .is_default = true,
      .run = ctl_alert_query },
    { .name = "add", .help = "Add a new alert", .flags = alert_add_flags, .flags_count = ARRAY_LEN(alert_add_flags),
      .args = label_args, .args_count = 1, .run = ctl_alert_add },
};

static const struct flag silence_add_flags[] = {
    F(STR, author, "author", 'a', NULL, "Username for CreatedBy field"),
    F(BOOL, require_comment, "require-comment", 0, "true", "Require comment to be set", .hidden = true),
    F(STR, duration, "duration", 'd', "1h", "Duration of silence"),
    F(STR, start, "start", 0, NULL, "Set when the silence should start. RFC3339 format 2006-01-02T15:04:05-07:00"),
    F(STR, end, "end", 0, NULL, "Set when the silence should end (overwrites duration). RFC3339 format 2006-01-02T15:04:05-07:00"),
    F(STR, comment, "comment", 'c', NULL, "A comment to help describe the silence"),
    F(STRS, annotations, "annotation", 0, NULL, "Set an annotation to be included with the silence"),
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
    F(STR, start, "start", 0, NULL, "Set when the silence should start. RFC3339 format 2006-01-02T15:04:05-07:00"),
    F(STR, end, "end", 0, NULL, "Set when the silence should end (overwrites duration). RFC3339 format 2006-01-02T15:04:05-07:00"),
    F(STR, comment, "comment", 'c', NULL, "A comment to help describe the silence"),
};
static const struct flag silence_import_flags[] = {
    F(BOOL, force, "force", 'f', "false", "Force adding new silences even if it already exists"),
    F(I64, workers, "worker", 'w', "8", "Number of concurrent workers to use for import"),
};
static const struct command_arg import_args[] = { ARG(import_file, "input-file", false, "JSON file with silences") };
static const struct command silence_commands[] = {
    { .name = "add", .help = "Add a new alertmanager silence", .flags = silence_add_flags,
      .flags_count = ARRAY_LEN(silence_add_flags), .args = matcher_args, .args_count = 1, .run = ctl_silence_add },
    { .name = "expire", .help = "expire an alertmanager silence", .args = id_args, .args_count = 1, .run = ctl_silence_expire },
    { .name = "import", .help = "Import silences", .flags = silence_import_flags,
      .flags_count = ARRAY_LEN(silence_import_flags), .args = import_args, .args_count = 1, .run = ctl_silence_import },
    { .name = "query", .help = "Query Alertmanager silences.", .flags = silence_query_flags,
      .flags_count = ARRAY_LEN(silence_query_flags), .args = matcher_args, .args_count = 1, .is_default = true,
      .run = ctl_silence_query },
    { .name = "update", .help = "Update silences", .flags = silence_update_flags,
      .flags_count = ARRAY_LEN(silence_update_flags), .args = id_args, .args_count = 1, .run = ctl_silence_update },
};

static const struct command_arg file_args[] = { ARG(files, "check-files", true, "Files to be validated") };
static const struct command cluster_commands[] = {
    { .name = "show", .help = "Show cluster status", .is_default = true, .run = ctl_cluster_show },
};

static const struct flag routes_flags[] = {
    F(EXISTING_FILE, config_file, "config.file", 0, NULL, "Config file to be tested."),
};
static const struct flag routes_test_flags[] = {
    F(STR, verify_receivers, "verify.receivers", 0, NULL, "Checks if specified receivers matches resolved receivers. The command fails if the labelset does not route to the specified receivers."),
    F(BOOL, tree, "tree", 0, "false", "Prints out matching routes tree."),
};
static const struct command_arg test_args[] = { ARG(matchers, "labels", true, "List of labels to be tested against the configured routes.") };
static const struct command routes_commands[] = {
    { .name = "show", .help = "Visualize the routing tree", .is_default = true, .run = ctl_routes_show },
    { .name = "test", .help = "Test alert routing", .flags = routes_test_flags, .flags_count = ARRAY_LEN(routes_test_flags),
      .args = test_args, .args_count = 1, .run = ctl_routes_test },
};
static const struct command config_commands[] = {
    { .name = "show", .help = "Show current configuration", .is_default = true, .run = ctl_config_show },
    { .name = "routes", .help = "Prints alert routing tree", .flags = routes_flags, .flags_count = ARRAY_LEN(routes_flags),
      .commands = routes_commands, .commands_count = ARRAY_LEN(routes_commands) },
};

static const struct flag render_flags[] = {
    F(STRS, template_globs, "template.glob", 0, NULL, "Glob of the template that will be expanded and used for rendering.", .required = true),
    F(STR, template_text, "template.text", 0, NULL, "The template that will be rendered.", .required = true),
    F(ENUM, template_type, "template.type", 0, "text", "The type of the template. Can be either text (default) or html.", .choices = "html,text"),
    F(EXISTING_FILE, template_data, "template.data", 0, NULL, "Full path to a file which contains the data of the alert(s) with which the --template.text will be rendered."),
};
static const struct command template_commands[] = {
    { .name = "render", .help = "Render a given definition in a template file to standard output.", .flags = render_flags,
      .flags_count = ARRAY_LEN(render_flags), .run = ctl_template_render },
};

static const struct command commands[] = {
    { .name = "alert", .help = "Add or query alerts.", .commands = alert_commands, .commands_count = ARRAY_LEN(alert_commands) },
    { .name = "silence", .help = "Add, expire or view silences.", .commands = silence_commands,
      .commands_count = ARRAY_LEN(silence_commands) },
    { .name = "check-config", .help = "Validate alertmanager config files", .args = file_args, .args_count = 1,
      .run = ctl_check_config },
    { .name = "cluster", .help = "View cluster status and peers.", .commands = cluster_commands,
      .commands_count = ARRAY_LEN(cluster_commands) },
    { .name = "config", .help = "View the running config.", .commands = config_commands,
      .commands_count = ARRAY_LEN(config_commands) },
    { .name = "template", .help = "Render template files.", .commands = template_commands,
      .commands_count = ARRAY_LEN(template_commands) },
};

const struct command ctl_program = {
    .flags = global_flags,
    .flags_count = ARRAY_LEN(global_flags),
    .commands = commands,
    .commands_count = ARRAY_LEN(commands),
};
