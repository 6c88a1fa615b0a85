/* Every receiver against any answers. The first byte chooses the receiver and where AWS's credentials come from, then each answer is two bytes of status and type
 * and a body up to the next zero byte; the last answer repeats until the attempt is over. */
#include "base/log.h"
#include "notify/default_templates.h"
#include "notify/receivers_config.h"
#include "notify/send.h"

#include <stdint.h>

#define STEPS_MAX 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const configs[RECEIVER_KINDS] = {
    [RECEIVER_WEBHOOK] = "url: http://x\npayload: {a: '{{ .Alerts | toJson }}'}\n",
    [RECEIVER_EMAIL] = "to: t@x\nheaders: {Subject: s}\n",
    [RECEIVER_PAGERDUTY] = "routing_key: k\n",
    [RECEIVER_OPSGENIE] = "api_key: k\nupdate_alerts: true\n",
    [RECEIVER_WECHAT] = "corp_id: c\napi_secret: s\nto_user: u\n",
    [RECEIVER_SLACK] = "api_url: https://slack.com/api/chat.postMessage\nhttp_config: {authorization: {credentials: t}}\nchannel: c\nupdate_message: true\n",
    [RECEIVER_VICTOROPS] = "api_key: k\nrouting_key: r\n",
    [RECEIVER_PUSHOVER] = "user_key: u\ntoken: t\n",
    [RECEIVER_SNS] = "topic_arn: t\nsigv4: {region: r, role_arn: o}\n",
    [RECEIVER_TELEGRAM] = "bot_token: t\nchat_id: 1\n",
    [RECEIVER_DISCORD] = "webhook_url: http://x\n",
    [RECEIVER_WEBEX] = "room_id: r\nhttp_config: {authorization: {credentials: c}}\n",
    [RECEIVER_MSTEAMS] = "webhook_url: http://x\n",
    [RECEIVER_MSTEAMSV2] = "webhook_url: http://x\n",
    [RECEIVER_JIRA] = "api_url: http://x\nproject: P\nissue_type: B\nresolve_transition: D\nreopen_transition: O\n",
    [RECEIVER_INCIDENTIO] = "url: http://x\nalert_source_token: t\n",
    [RECEIVER_ROCKETCHAT] = "channel: c\ntoken: t\ntoken_id: i\n",
    [RECEIVER_MATTERMOST] = "webhook_url: http://x\n",
};

static struct template_set *set;
static struct template_renderer *renderer;
static struct arena config_arena;
static const void *parsed[RECEIVER_KINDS];

static bool read_file(struct str path, struct buf *out, struct err *err)
{
    if (!str_eq(path, STR("/token")))
        return err_set(err, ERR_NOT_FOUND, "no file");
    buf_c(out, "token");
    return true;
}

static void prepare(void)
{
    static struct yaml_doc docs[RECEIVER_KINDS];
    struct receiver_defaults defaults = { 0 };
    arena_init(&config_arena, ARENA_NO_LIMIT);
    set = default_templates_new();
    renderer = template_renderer_new(set);
    struct binding b = { .arena = &config_arena };
    bind_defaults(&b, &receiver_defaults_bind, &defaults);
    defaults.http_config = ARENA_NEW(&config_arena, struct http_client_config);
    http_client_config_init(defaults.http_config);
    defaults.smtp_from = STR("f@x");
    defaults.smtp_smarthost = (struct smtp_smarthost){ STR("mail.test"), STR("25") };
    for (size_t i = 0; i < RECEIVER_KINDS; i++) {
        const struct receiver_config_row *row = &receiver_config_rows[i];
        struct err err = { 0 };
        void *config = arena_alloc(&config_arena, row->bind->size);
        bool ok = yaml_parse(&docs[i], str_c(configs[i]), &err) &&
                  bind_document(&b, row->bind, docs[i].root, config, &err) &&
                  row->finish(config, &defaults, &config_arena, &err);
        if (!ok)
            log_error(err.text, LOG_STR("receiver", str_c(receiver_rows[i]->name)));
        ASSERT(ok);
        parsed[i] = config;
    }
}

/* Keys of the environment, a web identity, a container; an instance is what is left. */
static unsigned source;

static struct str environment(const char *name)
{
    static const char *const variables[][3] = {
        { "AWS_ACCESS_KEY_ID", "a", "0" },
        { "AWS_SECRET_ACCESS_KEY", "s", "0" },
        { "AWS_WEB_IDENTITY_TOKEN_FILE", "/token", "1" },
        { "AWS_ROLE_ARN", "r", "1" },
        { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c", "2" },
    };
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        if (strcmp(variables[i][0], name) == 0 && (unsigned)(variables[i][2][0] - '0') == source)
            return str_c(variables[i][1]);
    return STR_EMPTY;
}

static struct notification *make_notification(bool resolved)
{
    static struct label group = { STR_INIT("alertname"), STR_INIT("Down") };
    struct label labels[] = { { STR("alertname"), STR("Down") } };
    struct alert_spec spec = { .labels = { labels, 1 }, .starts_at = { 1700000000, 0 }, .ends_at = { 1700000500, 0 } };
    struct notification *n = notification_new();
    struct notification_alert *v = ARENA_NEW(&n->arena, struct notification_alert);
    *v = (struct notification_alert){ alert_new(NULL, &spec), spec.ends_at, resolved };
    n->alerts = v;
    n->alerts_count = 1;
    n->receiver = STR("team");
    n->group_key = STR("{}:{}");
    n->group_labels = (struct labels){ &group, 1 };
    return n;
}

/* The next answer out of the input; without any, none has arrived. */
static void take_answer(struct str *in, struct http_header *type, struct send_response *res)
{
    static const char *const types[] = { "application/json", "text/plain; charset=utf-8", "application/json; x", "" };
    *res = (struct send_response){ 0 };
    if (in->n < 2) {
        err_set(&res->err, ERR_IO, "refused");
        return;
    }
    unsigned char status = (unsigned char)in->p[0], kind = (unsigned char)in->p[1];
    struct str rest = str_from(*in, 2);
    size_t end = str_find_byte(rest, '\0');
    res->arrived = true;
    res->status = 100 + (status & 0x7f) * 4;
    if (status & 0x80)
        res->status = 200 + (status & 3);
    *type = (struct http_header){ STR("Content-Type"), str_c(types[kind % 4]) };
    res->headers = type;
    res->headers_count = 1;
    res->body = end == STR_NPOS ? rest : str_sub(rest, 0, end);
    if (end != STR_NPOS)
        *in = str_from(rest, end + 1);
}

static void run(enum receiver_kind kind, struct str in, bool resolved)
{
    struct receiver_env env = { .templates = set, .hostname = STR("h"), .read_file = read_file,
                                .environment = environment };
    struct arena arena;
    struct notification *n = make_notification(resolved);
    arena_init(&arena, 256 << 20);
    struct send_attempt at = { .env = &env, .row = receiver_rows[kind], .config = parsed[kind], .n = n,
                               .renderer = renderer, .cache = send_cache_new(), .arena = &arena, .now = { 1700000100, 5 } };
    struct send_response res;
    struct http_header type;
    const struct send_response *last = NULL;
    enum send_verdict verdict = SEND_REQUEST;
    for (int i = 0; verdict == SEND_REQUEST && i < STEPS_MAX; i++) {
        struct send_request next = { 0 };
        struct send_error why = { .reason = SEND_REASON_OTHER };
        verdict = at.row->step(&at, last, &next, &why);
        if (verdict == SEND_REQUEST)
            ASSERT(next.smtp || (next.method.n > 0 && next.url.n > 0));
        else
            ASSERT(verdict == SEND_DONE || why.err.code != ERR_NONE);
        take_answer(&in, &type, &res);
        last = &res;
    }
    send_cache_free(at.cache);
    arena_deinit(&arena);
    notification_release(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!set)
        prepare();
    if (size == 0 || size > 1 << 14)
        return 0;
    source = data[0] / RECEIVER_KINDS % 4;
    run((enum receiver_kind)(data[0] % RECEIVER_KINDS), str_of((const char *)data + 1, size - 1), data[0] & 0x80);
    return 0;
}
