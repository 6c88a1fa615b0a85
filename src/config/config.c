/* Composing the configuration: the tables of the folders become one table of the file; what only the whole can decide is
 * checked here, in upstream's order, because the first objection is the one that users see:
 *
 *   decoding (the binder: type errors together, or the first failed check of an object in document order)
 *   -> pair rules of global -> receivers in order: name is unique, each integration inherits and is checked
 *   -> there is a route; the root's rules -> undefined receivers -> names of intervals are unique -> undefined intervals
 *   -> `continue` of the root.
 *
 * C1  A snapshot is built completely, then handed out; nothing changes it after that but its count.
 * C2  Everything it shows is in its arena or in its document; what the arena cannot give back (regexes, zones) hangs on
 *     `cleanups`, which also run when a load fails.
 * C3  File names of http_config blocks are resolved once, before receivers share the global block.
 *
 * The decoded sections land in a struct of their own first: the binder clears what it fills. */
#include "config/config.h"

#include "base/bytes.h"
#include "base/map.h"
#include "base/mem.h"
#include "config/sizes.h"
#include "crypto/hash.h"
#include "http/url.h"
#include "notify/receivers/discord_config.h"
#include "notify/receivers/email_config.h"
#include "notify/receivers/incidentio_config.h"
#include "notify/receivers/jira_config.h"
#include "notify/receivers/mattermost_config.h"
#include "notify/receivers/msteams_config.h"
#include "notify/receivers/msteamsv2_config.h"
#include "notify/receivers/opsgenie_config.h"
#include "notify/receivers/pagerduty_config.h"
#include "notify/receivers/pushover_config.h"
#include "notify/receivers/rocketchat_config.h"
#include "notify/receivers/slack_config.h"
#include "notify/receivers/sns_config.h"
#include "notify/receivers/telegram_config.h"
#include "notify/receivers/victorops_config.h"
#include "notify/receivers/webex_config.h"
#include "notify/receivers/webhook_config.h"
#include "notify/receivers/wechat_config.h"

/* ---- receivers ---- */

#define KIND(kind_, key_, doc_, bind_, go_type_) \
    { .kind = BIND_KIND_LIST, \
      .key = (key_), \
      .doc = (doc_), \
      .type = &(bind_), \
      .go_type = "[]*" go_type_, \
      .offset = offsetof(struct config_receiver, kinds[kind_].v), \
      .count_offset = offsetof(struct config_receiver, kinds[kind_].n) }

static const struct bind receiver_fields[] = {
    BIND_STR(struct config_receiver, name, "name", "What routes call it.", .always = true,
             .required = "missing name in receiver"),
    BIND_STR_MAP(struct config_receiver, labels_map, "labels", "Labels of the receiver; `name` is always one."),
    KIND(RECEIVER_DISCORD, "discord_configs", "Notify Discord.", discord_config_bind, "discord.DiscordConfig"),
    KIND(RECEIVER_EMAIL, "email_configs", "Notify mail.", email_config_bind, "config.EmailConfig"),
    KIND(RECEIVER_INCIDENTIO, "incidentio_configs", "Notify incident.io.", incidentio_config_bind,
         "incidentio.IncidentioConfig"),
    KIND(RECEIVER_PAGERDUTY, "pagerduty_configs", "Notify PagerDuty.", pagerduty_config_bind,
         "pagerduty.PagerdutyConfig"),
    KIND(RECEIVER_SLACK, "slack_configs", "Notify Slack.", slack_config_bind, "config.SlackConfig"),
    KIND(RECEIVER_WEBHOOK, "webhook_configs", "Notify any HTTP endpoint.", webhook_config_bind,
         "webhook.WebhookConfig"),
    KIND(RECEIVER_OPSGENIE, "opsgenie_configs", "Notify Opsgenie.", opsgenie_config_bind,
         "opsgenie.OpsGenieConfig"),
    KIND(RECEIVER_WECHAT, "wechat_configs", "Notify WeChat.", wechat_config_bind, "config.WechatConfig"),
    KIND(RECEIVER_PUSHOVER, "pushover_configs", "Notify Pushover.", pushover_config_bind,
         "pushover.PushoverConfig"),
    KIND(RECEIVER_VICTOROPS, "victorops_configs", "Notify VictorOps.", victorops_config_bind,
         "config.VictorOpsConfig"),
    KIND(RECEIVER_SNS, "sns_configs", "Notify AWS SNS.", sns_config_bind, "sns.SNSConfig"),
    KIND(RECEIVER_TELEGRAM, "telegram_configs", "Notify Telegram.", telegram_config_bind,
         "telegram.TelegramConfig"),
    KIND(RECEIVER_WEBEX, "webex_configs", "Notify Webex.", webex_config_bind, "config.WebexConfig"),
    KIND(RECEIVER_MSTEAMS, "msteams_configs", "Notify Teams connectors.", msteams_config_bind,
         "msteams.MSTeamsConfig"),
    KIND(RECEIVER_MSTEAMSV2, "msteamsv2_configs", "Notify Teams workflows.", msteamsv2_config_bind,
         "msteamsv2.MSTeamsV2Config"),
    KIND(RECEIVER_JIRA, "jira_configs", "Notify Jira.", jira_config_bind, "jira.JiraConfig"),
    KIND(RECEIVER_ROCKETCHAT, "rocketchat_configs", "Notify Rocket.Chat.", rocketchat_config_bind,
         "rocketchat.RocketchatConfig"),
    KIND(RECEIVER_MATTERMOST, "mattermost_configs", "Notify Mattermost.", mattermost_config_bind,
         "mattermost.MattermostConfig"),
};

/* The labels with `name`, sorted, in both forms. */
static bool receiver_check(struct binding *b, void *object, struct err *err)
{
    struct config_receiver *r = object;
    struct str_pair *pairs = arena_alloc_array(b->arena, r->labels_map.n + 1, sizeof *pairs);
    struct label *labels = arena_alloc_array(b->arena, r->labels_map.n + 1, sizeof *labels);
    size_t n = 0;
    for (size_t i = 0; i < r->labels_map.n; i++) {
        struct str_pair pair = r->labels_map.v[i];
        if (str_eq(pair.key, STR("name")) && !str_eq(pair.value, r->name))
            return err_set(err, ERR_INVALID, "receiver label \"name\" must match receiver name %s, got %s",
                           bind_quote(r->name).text, bind_quote(pair.value).text);
        if (!str_eq(pair.key, STR("name")))
            pairs[n++] = pair;
    }
    pairs[n++] = (struct str_pair){ STR("name"), r->name };
    str_map_sort(pairs, n);
    for (size_t i = 0; i < n; i++)
        labels[i] = (struct label){ pairs[i].key, pairs[i].value };
    r->labels_map = (struct str_map){ pairs, n };
    r->labels = (struct labels){ labels, n };
    return true;
}

static const struct bind_type receiver_bind =
    BIND_TYPE("config.plain", struct config_receiver, receiver_fields, .title = "receivers",
              .check = receiver_check, .line_offset = offsetof(struct config_receiver, line),
              .null_offset = offsetof(struct config_receiver, is_null));

/* ---- storage ---- */

static const struct bind retention_fields[] = {
    BIND_SCALAR(struct tsdb_retention_config, time_ms, "time", "How long samples are kept.", &opt_duration_scalar),
    BIND_SCALAR(struct tsdb_retention_config, size_bytes, "size", "How many bytes are kept.", &opt_size_scalar),
    BIND_F64(struct tsdb_retention_config, percentage, "percentage",
             "How much of the disk may be used, in percent."),
};

static bool retention_check(struct binding *b, void *object, struct err *err)
{
    const struct tsdb_retention_config *c = object;
    (void)b;
    if (c->percentage < 0 || c->percentage > 100)
        return err_set(err, ERR_INVALID, "'storage.tsdb.retention.percentage' must be in the range [0, 100]");
    return true;
}

static const struct bind_type retention_bind = BIND_TYPE(
    "config.plain", struct tsdb_retention_config, retention_fields, .title = "retention", .check = retention_check);

struct chunk_encoding {
    struct str floats;
};
static const struct bind chunk_encoding_fields[] = {
    BIND_STR(struct chunk_encoding, floats, "floats", "Encoding of float chunks: xor or xor2."),
};
static const struct bind_type chunk_encoding_bind =
    BIND_TYPE("config.plain", struct chunk_encoding, chunk_encoding_fields, .title = "chunk_encoding");

static const struct bind tsdb_fields[] = {
    BIND_SCALAR(struct tsdb_config, out_of_order_time_window_ms, "out_of_order_time_window",
                "How late samples may come.", &duration_scalar),
    BIND_F64(struct tsdb_config, stale_series_compaction_threshold, "stale_series_compaction_threshold",
             "Part of stale series at which the head is compacted early."),
    BIND_OBJECT(struct tsdb_config, chunk_encoding_floats, "chunk_encoding", "Encodings of chunks.",
                &chunk_encoding_bind),
    BIND_POINTER(struct tsdb_config, retention, "retention", "What is kept; goes before the flags.",
                 &retention_bind),
};
_Static_assert(sizeof(struct chunk_encoding) == sizeof(struct str), "chunk_encoding is the text alone");

static bool tsdb_check(struct binding *b, void *object, struct err *err)
{
    const struct tsdb_config *c = object;
    (void)b;
    if (c->chunk_encoding_floats.n && !str_eq(c->chunk_encoding_floats, STR("xor")) &&
        !str_eq(c->chunk_encoding_floats, STR("xor2")))
        return err_set(err, ERR_INVALID, "unknown float chunk encoding %s",
                       bind_quote(c->chunk_encoding_floats).text);
    return true;
}

static const struct bind_type tsdb_bind =
    BIND_TYPE("config.plain", struct tsdb_config, tsdb_fields, .title = "tsdb", .check = tsdb_check);

static const struct bind exemplars_fields[] = {
    BIND_OPT_I64(struct exemplars_config, max_exemplars, "max_exemplars", "How many exemplars are kept.",
                 .go_type = "int64"),
};
static const struct bind_type exemplars_bind =
    BIND_TYPE("config.ExemplarsConfig", struct exemplars_config, exemplars_fields, .title = "exemplars");

static const struct bind storage_fields[] = {
    BIND_POINTER(struct storage_config, tsdb, "tsdb", "The time series database.", &tsdb_bind),
    BIND_POINTER(struct storage_config, exemplars, "exemplars", "Exemplars.", &exemplars_bind),
};
static const struct bind_type storage_bind =
    BIND_TYPE("config.StorageConfig", struct storage_config, storage_fields, .title = "storage");

/* ---- The file ---- */

#define ALERTMANAGER_ROWS(global_) \
    BIND_OBJECT(struct config, global, "global", "What other sections inherit.", &(global_), .always = true), \
        BIND_POINTER(struct config, route, "route", "Who is notified of what.", &route_config_bind), \
        BIND_LIST(struct config, inhibit_rules, "inhibit_rules", "Which alerts mute others.", \
                  &inhibit_rule_config_bind, .go_type = "[]config.InhibitRule"), \
        BIND_LIST(struct config, receivers, "receivers", "Who can be notified.", &receiver_bind, \
                  .go_type = "[]config.Receiver"), \
        BIND_STRS(struct config, templates, "templates", "Globs of template files.", .always = true), \
        BIND_LIST(struct config, mute_time_intervals, "mute_time_intervals", "Old form of time_intervals.", \
                  &mute_named_interval_bind, .go_type = "[]config.MuteTimeInterval"), \
        BIND_LIST(struct config, time_intervals, "time_intervals", "Named intervals, for routes.", \
                  &named_interval_bind, .go_type = "[]config.TimeInterval"), \
        BIND_POINTER(struct config, tracing, "tracing", "Export of traces.", &tracing_config_bind, \
                     .inactive = "accepted, but traces are not exported"), \
        BIND_POINTER(struct config, event_recorder, "event_recorder", \
                     "Record of events (feature event-recorder).", &event_recorder_config_bind, .inactive = "accepted, but events are not recorded")

#define SECTION(field_, doc_, inactive_) \
    BIND_TREE(struct config, prometheus.field_, #field_, doc_, .inactive = inactive_)

static const struct bind config_fields[] = {
    ALERTMANAGER_ROWS(global_config_bind),
    SECTION(runtime, "Settings of Go's runtime.", "accepted, but there is no Go runtime"),
    SECTION(alerting, "Alertmanagers that rules notify.", "accepted, but rules are not evaluated"),
    SECTION(rule_files, "Files of rules.", "accepted, but rules are not evaluated"),
    SECTION(scrape_config_files, "Files of scrape_configs.", "accepted, but nothing is scraped"),
    SECTION(scrape_configs, "Jobs: what is scraped.", "accepted, but nothing is scraped"),
    BIND_OBJECT(struct config, prometheus.storage, "storage", "Storage that may change at run time.",
                &storage_bind),
    SECTION(remote_write, "Where samples are sent to.", "accepted, but samples are not sent on"),
    SECTION(remote_read, "Where samples are read from.", "accepted, but only the store here is read"),
    SECTION(otlp, "How OTLP metrics are taken.", "accepted, but OTLP is not taken"),
};
static const struct bind alertmanager_config_fields[] = {
    ALERTMANAGER_ROWS(alertmanager_global_config_bind),
};
const struct bind_type config_bind =
    BIND_TYPE("config.plain", struct config, config_fields, .title = "configuration file");
const struct bind_type alertmanager_config_bind =
    BIND_TYPE("config.plain", struct config, alertmanager_config_fields);

/* ---- Which halves ---- */

static bool any_key(const struct yaml_node *root, const struct str *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (yaml_get(root, keys[i]))
            return true;
    return false;
}

static bool has_alert_section(const struct yaml_node *root)
{
    static const struct str keys[] = {
        STR_INIT("route"),          STR_INIT("receivers"),      STR_INIT("inhibit_rules"),
        STR_INIT("templates"),      STR_INIT("time_intervals"), STR_INIT("mute_time_intervals"),
        STR_INIT("event_recorder"),
    };
    return any_key(root, keys, ARRAY_LEN(keys));
}

static bool has_prometheus_section(const struct yaml_node *root)
{
    static const struct str keys[] = {
        STR_INIT("scrape_configs"), STR_INIT("scrape_config_files"), STR_INIT("rule_files"), STR_INIT("alerting"),
        STR_INIT("remote_write"),   STR_INIT("remote_read"),         STR_INIT("storage"),    STR_INIT("otlp"),
        STR_INIT("runtime"),
    };
    return any_key(root, keys, ARRAY_LEN(keys));
}

/* ---- Checks of the whole ---- */

static bool finish_integrations(struct config *c, struct config_receiver *r, enum receiver_kind kind,
                                struct err *err)
{
    const struct receiver_config_row *row = &receiver_config_rows[kind];
    for (size_t i = 0; i < r->kinds[kind].n; i++) {
        void *integration = (char *)r->kinds[kind].v + i * row->bind->size;
        struct receiver_common *common = integration;
        uint32_t line = common->line;
        if (common->is_null)
            return err_set_at(err, ERR_INVALID, line, 0, "%s", row->null_error);
        if (common->http_config && kind != RECEIVER_INCIDENTIO)
            http_client_config_resolve(common->http_config, c->base, &c->arena);
        if (!row->finish(integration, &c->global.receivers, &c->arena, err)) {
            err->line = line;
            return false;
        }
    }
    return true;
}

static bool finish_receivers(struct config *c, struct err *err)
{
    for (size_t i = 0; i < c->receivers_count; i++) {
        struct config_receiver *r = &c->receivers[i];
        if (map_put(&c->receivers_by_name, r->name, r))
            return err_set_at(err, ERR_INVALID, r->line, 0, "notification config name %s is not unique",
                              bind_quote(r->name).text);
        for (size_t k = 0; k < RECEIVER_KINDS; k++)
            if (!finish_integrations(c, r, receiver_check_order[k], err))
                return false;
    }
    return true;
}

static bool unique_intervals(const struct named_interval_config *v, size_t n, const char *what, struct map *names,
                             struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (map_put(names, v[i].name, names))
            return err_set_at(err, ERR_INVALID, v[i].line, 0, "%s %s is not unique", what,
                              bind_quote(v[i].name).text);
    return true;
}

static bool name_is_known(const void *arg, struct str name)
{
    return map_get(arg, name) != NULL;
}

static bool check_alert_half(struct config *c, struct map *intervals, struct err *err)
{
    if (!receiver_defaults_check(&c->global.receivers, err) || !finish_receivers(c, err))
        return false;
    if (!c->route)
        return err_set(err, ERR_INVALID, "no routes provided");
    if (!route_config_check_root(c->route, err) ||
        !route_config_check_receivers(c->route, name_is_known, &c->receivers_by_name, err))
        return false;
    if (!unique_intervals(c->mute_time_intervals, c->mute_time_intervals_count, "mute time interval", intervals,
                          err) ||
        !unique_intervals(c->time_intervals, c->time_intervals_count, "time interval", intervals, err))
        return false;
    if (!route_config_check_intervals(c->route, name_is_known, intervals, err))
        return false;
    if (c->route->continues)
        return err_set_at(err, ERR_INVALID, c->route->line, 0, "cannot have continue in root route");
    return true;
}

/* ---- Finishing ---- */

static void mark_used(const struct route_config *route, const struct map *receivers)
{
    struct config_receiver *r = map_get(receivers, route->receiver);
    if (r)
        r->used = true;
    for (size_t i = 0; i < route->routes_count; i++)
        mark_used(&route->routes[i], receivers);
}

static void fill_mail_headers(struct config *c)
{
    for (size_t i = 0; i < c->receivers_count; i++) {
        struct config_integrations *mails = &c->receivers[i].kinds[RECEIVER_EMAIL];
        for (size_t k = 0; c->receivers[i].used && k < mails->n; k++)
            email_config_fill_headers(&((struct email_config *)mails->v)[k], &c->arena);
    }
}

static void notice_rule_names(const struct config *c, struct notices *notices)
{
    struct map seen = { 0 };
    for (size_t i = 0; i < c->inhibit_rules_count; i++) {
        const struct inhibit_rule_config *r = &c->inhibit_rules[i];
        struct notice_field field = { "name", r->name };
        if (r->name.n && map_put(&seen, r->name, &seen))
            notice_add(notices, NOTICE_WARNING, r->line, &field, 1, "Inhibition rule name is not unique");
    }
    map_deinit(&seen);
}

static void resolve_paths(struct config *c)
{
    struct str *globs = arena_alloc_array(&c->arena, c->templates.n, sizeof *globs);
    for (size_t i = 0; i < c->templates.n; i++)
        globs[i] = http_join_dir(&c->arena, c->base, c->templates.v[i]);
    c->templates = (struct str_list){ c->templates.v ? globs : NULL, c->templates.n };
    struct event_recorder_config *events = c->event_recorder;
    for (size_t i = 0; events && i < events->file_outputs_count; i++)
        events->file_outputs[i].path = http_join_dir(&c->arena, c->base, events->file_outputs[i].path);
    for (size_t i = 0; events && i < events->webhook_outputs_count; i++)
        if (events->webhook_outputs[i].http_config)
            http_client_config_resolve(events->webhook_outputs[i].http_config, c->base, &c->arena);
}

/* What the sections need before they can be checked against each other. */
static void prepare(struct config *c)
{
    struct receiver_defaults *global = &c->global.receivers;
    if (!global->http_config) {
        global->http_config = ARENA_NEW(&c->arena, struct http_client_config);
        http_client_config_init(global->http_config);
    }
    http_client_config_resolve(global->http_config, c->base, &c->arena);
    global_config_fill(&c->global);
    c->resolve_timeout_ms = c->global.resolve_timeout_ms;
}

static bool compose_alert_half(struct config *c, struct notices *notices, struct err *err)
{
    struct map intervals = { 0 };
    bool ok = check_alert_half(c, &intervals, err);
    if (ok) {
        mark_used(c->route, &c->receivers_by_name);
        fill_mail_headers(c);
        notice_rule_names(c, notices);
    }
    map_deinit(&intervals);
    return ok;
}

/* ---- Loading ---- */

static void config_free(struct config *c)
{
    bind_cleanups_run(c->cleanups);
    map_deinit(&c->receivers_by_name);
    yaml_doc_deinit(&c->doc);
    arena_deinit(&c->arena);
    mem_free(c);
}

/* The decoded sections into c, whose own members (memory, names) stay. */
static void take_sections(struct config *c, const struct config *sections)
{
    struct config own = *c;
    *c = *sections;
    c->arena = own.arena;
    c->doc = own.doc;
    c->path = own.path;
    c->base = own.base;
    c->hash = own.hash;
    c->cleanups = own.cleanups;
    atomic_init(&c->refs, 1);
}

/* Type errors name their lines themselves. */
static void notice_place(struct notices *notices, struct str field, const struct err *err)
{
    if (err->line)
        notice_add(notices, NOTICE_PLACE, err->line, NULL, 0, "%.*s%s%s", STR_ARG(field), field.n ? ": " : "", err->text);
}

static bool decode(struct config *c, const struct config_options *options, struct notices *notices, struct err *err)
{
    struct config_env env = { .matcher_mode = options->matcher_mode,
                              .fs = options->fs,
                              .local = options->local_zone };
    struct binding b = { .arena = &c->arena, .notices = notices, .env = &env };
    struct config *sections = MEM_NEW(struct config);
    bool ok = bind_document(&b, &config_bind, c->doc.root, sections, err);
    c->cleanups = b.cleanups;
    if (!ok)
        notice_place(notices, b.field, err);
    if (ok)
        take_sections(c, sections);
    mem_free(sections);
    return ok;
}

static bool load(struct config *c, struct str text, const struct config_options *options, struct notices *notices,
                 struct err *err)
{
    if (!yaml_parse(&c->doc, text, err) || !decode(c, options, notices, err))
        return false;
    const struct yaml_node *root = c->doc.root;
    bool empty = !root || bind_is_null(root);
    c->prometheus.present = options->tsdb_path_given || has_prometheus_section(root);
    c->alert_half = has_alert_section(root) || !c->prometheus.present;
    if (empty && c->alert_half)
        return err_set(err, ERR_INVALID, "no route provided in config");
    prepare(c);
    if (c->alert_half && !compose_alert_half(c, notices, err)) {
        notice_place(notices, STR_EMPTY, err);
        return false;
    }
    resolve_paths(c);
    return true;
}

static struct str directory_of(struct str path)
{
    size_t slash = str_rfind_byte(path, '/');
    if (slash == STR_NPOS)
        return STR(".");
    return slash == 0 ? STR("/") : str_sub(path, 0, slash);
}

bool config_load(struct str text, const struct config_options *options, struct config **out,
                 struct notices *notices, struct err *err)
{
    struct config *c = MEM_NEW(struct config);
    atomic_init(&c->refs, 1);
    arena_init(&c->arena, ARENA_NO_LIMIT);
    c->path = arena_str(&c->arena, options->path);
    c->base = http_path_clean(&c->arena, directory_of(c->path));
    c->hash = config_hash(text);
    if (!load(c, text, options, notices, err)) {
        config_free(c);
        return false;
    }
    *out = c;
    return true;
}

const struct config *config_retain(const struct config *c)
{
    struct config *counted = (struct config *)(uintptr_t)c;
    atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
    return c;
}

void config_release(const struct config *c)
{
    struct config *counted = (struct config *)(uintptr_t)c;
    if (counted && atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel) == 1)
        config_free(counted);
}

/* ---- Queries ---- */

const void *config_receiver_integration(const struct config_receiver *r, enum receiver_kind kind, size_t i)
{
    ASSERT(i < r->kinds[kind].n);
    return (const char *)r->kinds[kind].v + i * receiver_config_rows[kind].bind->size;
}

const struct config_receiver *config_receiver_find(const struct config *c, struct str name)
{
    return map_get(&c->receivers_by_name, name);
}

static const struct named_interval_config *find_interval(const struct named_interval_config *v, size_t n,
                                                         struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i].name, name))
            return &v[i];
    return NULL;
}

const struct named_interval_config *config_interval_find(const struct config *c, struct str name)
{
    const struct named_interval_config *found = find_interval(c->time_intervals, c->time_intervals_count, name);
    return found ? found : find_interval(c->mute_time_intervals, c->mute_time_intervals_count, name);
}

void config_dump(const struct config *c, struct buf *out)
{
    struct yaml_emitter *e = yaml_emitter_new(out);
    bind_emit(e, &alertmanager_config_bind, c);
    yaml_emit_finish(e);
    yaml_emitter_free(e);
}

double config_hash(struct str text)
{
    uint8_t sum[MD5_BYTES + 2];
    hash_md5(text, sum);
    sum[6] = sum[7] = 0; /* 48 bits: a float64 holds them exactly */
    return (double)get_le64(sum);
}
