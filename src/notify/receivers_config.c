/* What all receivers share: the global defaults with their pair rules, the table of kinds, the order of checks. */
#include "notify/receivers_config.h"

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

/* ---- The table ---- */

const struct receiver_config_row receiver_config_rows[RECEIVER_KINDS] = {
    [RECEIVER_WEBHOOK] = { RECEIVER_WEBHOOK, "webhook", "webhook_configs", &webhook_config_bind, true,
                           "missing webhook config", webhook_config_finish },
    [RECEIVER_EMAIL] = { RECEIVER_EMAIL, "email", "email_configs", &email_config_bind, false,
                         "missing email config", email_config_finish },
    [RECEIVER_PAGERDUTY] = { RECEIVER_PAGERDUTY, "pagerduty", "pagerduty_configs", &pagerduty_config_bind, true,
                             "missing pagerduty config", pagerduty_config_finish },
    [RECEIVER_OPSGENIE] = { RECEIVER_OPSGENIE, "opsgenie", "opsgenie_configs", &opsgenie_config_bind, true,
                            "missing opsgenie config", opsgenie_config_finish },
    [RECEIVER_WECHAT] = { RECEIVER_WECHAT, "wechat", "wechat_configs", &wechat_config_bind, false,
                          "missing wechat config", wechat_config_finish },
    [RECEIVER_SLACK] = { RECEIVER_SLACK, "slack", "slack_configs", &slack_config_bind, false,
                         "missing slack config", slack_config_finish },
    [RECEIVER_VICTOROPS] = { RECEIVER_VICTOROPS, "victorops", "victorops_configs", &victorops_config_bind, true,
                             "missing victorops config", victorops_config_finish },
    [RECEIVER_PUSHOVER] = { RECEIVER_PUSHOVER, "pushover", "pushover_configs", &pushover_config_bind, true,
                            "missing pushover config", pushover_config_finish },
    [RECEIVER_SNS] = { RECEIVER_SNS, "sns", "sns_configs", &sns_config_bind, true, "missing sns config",
                       sns_config_finish },
    [RECEIVER_TELEGRAM] = { RECEIVER_TELEGRAM, "telegram", "telegram_configs", &telegram_config_bind, true,
                            "missing telegram config", telegram_config_finish },
    [RECEIVER_DISCORD] = { RECEIVER_DISCORD, "discord", "discord_configs", &discord_config_bind, true,
                           "missing discord config", discord_config_finish },
    [RECEIVER_WEBEX] = { RECEIVER_WEBEX, "webex", "webex_configs", &webex_config_bind, true, "missing webex config",
                         webex_config_finish },
    [RECEIVER_MSTEAMS] = { RECEIVER_MSTEAMS, "msteams", "msteams_configs", &msteams_config_bind, true,
                           "missing msteams config", msteams_config_finish },
    [RECEIVER_MSTEAMSV2] = { RECEIVER_MSTEAMSV2, "msteamsv2", "msteamsv2_configs", &msteamsv2_config_bind, true,
                             "missing msteamsv2 config", msteamsv2_config_finish },
    [RECEIVER_JIRA] = { RECEIVER_JIRA, "jira", "jira_configs", &jira_config_bind, true, "missing jira config",
                        jira_config_finish },
    [RECEIVER_INCIDENTIO] = { RECEIVER_INCIDENTIO, "incidentio", "incidentio_configs", &incidentio_config_bind,
                              true, "missing incidentio config", incidentio_config_finish },
    [RECEIVER_ROCKETCHAT] = { RECEIVER_ROCKETCHAT, "rocketchat", "rocketchat_configs", &rocketchat_config_bind,
                              false, "missing rocketchat config", rocketchat_config_finish },
    [RECEIVER_MATTERMOST] = { RECEIVER_MATTERMOST, "mattermost", "mattermost_configs", &mattermost_config_bind,
                              true, "missing mattermost config", mattermost_config_finish },
};

const enum receiver_kind receiver_check_order[RECEIVER_KINDS] = {
    RECEIVER_WEBHOOK,    RECEIVER_EMAIL,      RECEIVER_SLACK,      RECEIVER_PUSHOVER,  RECEIVER_PAGERDUTY,
    RECEIVER_INCIDENTIO, RECEIVER_OPSGENIE,   RECEIVER_WECHAT,     RECEIVER_VICTOROPS, RECEIVER_SNS,
    RECEIVER_TELEGRAM,   RECEIVER_DISCORD,    RECEIVER_WEBEX,      RECEIVER_MSTEAMS,   RECEIVER_MSTEAMSV2,
    RECEIVER_JIRA,       RECEIVER_ROCKETCHAT, RECEIVER_MATTERMOST,
};

/* ---- host:port ---- */

/* Go's net.SplitHostPort, as far as it tells the cases apart, with upstream's rule for the port. */
static bool split_host_port(struct str text, struct smtp_smarthost *out, struct err *err)
{
    size_t colon = str_rfind_byte(text, ':');
    if (colon == STR_NPOS)
        return err_set(err, ERR_INVALID, "address %.*s: missing port in address", STR_ARG(text));
    struct str host = str_sub(text, 0, colon);
    if (host.n && host.p[0] == '[') {
        size_t end = str_find_byte(text, ']');
        if (end == STR_NPOS)
            return err_set(err, ERR_INVALID, "address %.*s: missing ']' in address", STR_ARG(text));
        if (end + 1 != colon)
            return err_set(err, ERR_INVALID, "address %.*s: %s", STR_ARG(text),
                           end + 1 == text.n ? "missing port in address" : "too many colons in address");
        host = str_sub(text, 1, end - 1);
    } else if (str_find_byte(host, ':') != STR_NPOS) {
        return err_set(err, ERR_INVALID, "address %.*s: too many colons in address", STR_ARG(text));
    }
    if (str_find_byte(host, '[') != STR_NPOS)
        return err_set(err, ERR_INVALID, "address %.*s: unexpected '[' in address", STR_ARG(text));
    if (str_find_byte(host, ']') != STR_NPOS)
        return err_set(err, ERR_INVALID, "address %.*s: unexpected ']' in address", STR_ARG(text));
    *out = (struct smtp_smarthost){ host, str_from(text, colon + 1) };
    if (out->port.n == 0)
        return err_set(err, ERR_INVALID, "address %s: port cannot be empty", bind_quote(text).text);
    return true;
}

static bool smarthost_read(struct binding *b, struct str text, void *out, struct err *err)
{
    (void)b;
    return text.n == 0 || split_host_port(text, out, err);
}

static void smarthost_emit(struct yaml_emitter *e, const void *value)
{
    const struct smtp_smarthost *h = value;
    struct buf b = { 0 };
    bool v6 = str_find_byte(h->host, ':') != STR_NPOS;
    buf_printf(&b, v6 ? "[%.*s]:%.*s" : "%.*s:%.*s", STR_ARG(h->host), STR_ARG(h->port));
    yaml_emit_str(e, buf_view(&b));
    buf_deinit(&b);
}

static bool smarthost_is_zero(const void *value)
{
    const struct smtp_smarthost *h = value;
    return h->host.n == 0 && h->port.n == 0;
}

const struct bind_scalar smtp_smarthost_scalar = {
    .size = sizeof(struct smtp_smarthost),
    .parse = smarthost_read,
    .emit = smarthost_emit,
    .is_zero = smarthost_is_zero,
};

/* ---- sigv4 ---- */

static const struct bind sigv4_fields[] = {
    BIND_STR(struct sigv4_config, region, "region", "AWS region; else that of the environment."),
    BIND_STR(struct sigv4_config, access_key, "access_key", "Key identifier; else the default credentials chain."),
    BIND_SECRET(struct sigv4_config, secret_key, "secret_key", "Secret key."),
    BIND_STR(struct sigv4_config, profile, "profile", "Named profile of the shared credentials file."),
    BIND_STR(struct sigv4_config, role_arn, "role_arn", "Role to assume."),
    BIND_STR(struct sigv4_config, external_id, "external_id", "External identifier for assuming the role."),
    BIND_BOOL(struct sigv4_config, use_fips_sts_endpoint, "use_fips_sts_endpoint", "Use the FIPS endpoint of STS."),
};

static bool sigv4_check(struct binding *b, void *object, struct err *err)
{
    const struct sigv4_config *c = object;
    (void)b;
    if ((c->access_key.n == 0) != (c->secret_key.n == 0))
        return err_set(err, ERR_INVALID,
                       "must provide a AWS SigV4 Access key and Secret Key if credentials are "
                       "specified in the SigV4 config");
    return true;
}

const struct bind_type sigv4_config_bind =
    BIND_TYPE("sigv4.plain", struct sigv4_config, sigv4_fields, .title = "sigv4", .check = sigv4_check);

/* ---- global ---- */

#define GLOBAL(kind_, field_, ...) kind_(struct receiver_defaults, field_, #field_, __VA_ARGS__)

static const struct bind defaults_fields[] = {
    GLOBAL(BIND_POINTER, http_config, "HTTP client settings of receivers that have none of their own.",
           &http_client_config_bind),
    GLOBAL(BIND_SCALAR, jira_api_url, "API of Jira.", &http_url_scalar),
    GLOBAL(BIND_STR, smtp_from, "Sender of mails."),
    GLOBAL(BIND_STR, smtp_hello, "Name in the SMTP greeting.", .fallback = "localhost"),
    GLOBAL(BIND_SCALAR, smtp_smarthost, "Mail server, host:port.", &smtp_smarthost_scalar),
    GLOBAL(BIND_STR, smtp_auth_username, "User of SMTP authentication; none: no authentication."),
    GLOBAL(BIND_SECRET, smtp_auth_password, "Password of PLAIN and LOGIN."),
    GLOBAL(BIND_STR, smtp_auth_password_file, "File of the password."),
    GLOBAL(BIND_SECRET, smtp_auth_secret, "Secret of CRAM-MD5."),
    GLOBAL(BIND_STR, smtp_auth_secret_file, "File of the secret."),
    GLOBAL(BIND_STR, smtp_auth_identity, "Identity of PLAIN."),
    GLOBAL(BIND_BOOL, smtp_require_tls, "Refuse servers that do not offer STARTTLS.", .fallback = "true",
           .always = true),
    GLOBAL(BIND_OBJECT, smtp_tls_config, "TLS settings of mail servers; relative paths are not resolved.",
           &http_tls_config_bind, .always = true),
    GLOBAL(BIND_TRISTATE, smtp_force_implicit_tls, "TLS from the first byte; if absent: on port 465."),
    GLOBAL(BIND_SCALAR, slack_api_url, "Slack webhook.", &http_secret_url_scalar),
    GLOBAL(BIND_STR, slack_api_url_file, "File of the Slack webhook's URL."),
    GLOBAL(BIND_SECRET, slack_app_token, "Token of a Slack app."),
    GLOBAL(BIND_STR, slack_app_token_file, "File of the Slack app's token."),
    GLOBAL(BIND_SCALAR, slack_app_url, "Where messages with an app token go.", &http_url_scalar,
           .fallback = "https://slack.com/api/chat.postMessage"),
    GLOBAL(BIND_SCALAR, pagerduty_url, "API of PagerDuty.", &http_url_scalar,
           .fallback = "https://events.pagerduty.com/v2/enqueue"),
    GLOBAL(BIND_SCALAR, opsgenie_api_url, "API of Opsgenie.", &http_url_scalar,
           .fallback = "https://api.opsgenie.com/"),
    GLOBAL(BIND_SECRET, opsgenie_api_key, "Key of Opsgenie."),
    GLOBAL(BIND_STR, opsgenie_api_key_file, "File of the Opsgenie key."),
    GLOBAL(BIND_SCALAR, wechat_api_url, "API of WeChat.", &http_url_scalar,
           .fallback = "https://qyapi.weixin.qq.com/cgi-bin/"),
    GLOBAL(BIND_SECRET, wechat_api_secret, "Secret of WeChat."),
    GLOBAL(BIND_STR, wechat_api_secret_file, "File of the WeChat secret."),
    GLOBAL(BIND_STR, wechat_api_corp_id, "Corp identifier of WeChat."),
    GLOBAL(BIND_SCALAR, victorops_api_url, "API of VictorOps.", &http_url_scalar,
           .fallback = "https://alert.victorops.com/integrations/generic/20131114/alert/"),
    GLOBAL(BIND_SECRET, victorops_api_key, "Key of VictorOps."),
    GLOBAL(BIND_STR, victorops_api_key_file, "File of the VictorOps key."),
    GLOBAL(BIND_SCALAR, telegram_api_url, "API of Telegram.", &http_url_scalar,
           .fallback = "https://api.telegram.org"),
    GLOBAL(BIND_SECRET, telegram_bot_token, "Token of the Telegram bot."),
    GLOBAL(BIND_STR, telegram_bot_token_file, "File of the Telegram bot's token."),
    GLOBAL(BIND_SCALAR, webex_api_url, "API of Webex.", &http_url_scalar,
           .fallback = "https://webexapis.com/v1/messages"),
    GLOBAL(BIND_SCALAR, rocketchat_api_url, "Rocket.Chat server.", &http_url_scalar,
           .fallback = "https://open.rocket.chat/"),
    GLOBAL(BIND_SECRET, rocketchat_token, "Token of Rocket.Chat."),
    GLOBAL(BIND_STR, rocketchat_token_file, "File of the Rocket.Chat token."),
    GLOBAL(BIND_SECRET, rocketchat_token_id, "User identifier of Rocket.Chat."),
    GLOBAL(BIND_STR, rocketchat_token_id_file, "File of the Rocket.Chat user identifier."),
    GLOBAL(BIND_SCALAR, mattermost_webhook_url, "Mattermost webhook.", &http_secret_url_scalar),
    GLOBAL(BIND_STR, mattermost_webhook_url_file, "File of the Mattermost webhook's URL."),
};

const struct bind_type receiver_defaults_bind =
    BIND_TYPE("config.plain", struct receiver_defaults, defaults_fields);

bool receiver_pair(struct str a, const char *a_name, struct str b, const char *b_name, struct err *err)
{
    if (a.n == 0 || b.n == 0)
        return true;
    return err_set(err, ERR_INVALID, "at most one of %s & %s must be configured", a_name, b_name);
}

#define PAIR(d, a, b) receiver_pair((d)->a, #a, (d)->b, #b, err)

static bool check_slack_defaults(const struct receiver_defaults *d, struct err *err)
{
    bool token = d->slack_app_token.n || d->slack_app_token_file.n;
    bool url = d->slack_api_url.n || d->slack_api_url_file.n;
    if (!token || !url || str_eq(d->slack_api_url, d->slack_app_url))
        return true;
    return err_set(err, ERR_INVALID,
                   "at most one of slack_app_token/slack_app_token_file & "
                   "slack_api_url/slack_api_url_file must be configured");
}

bool receiver_defaults_check(const struct receiver_defaults *d, struct err *err)
{
    return PAIR(d, slack_app_token, slack_app_token_file) && PAIR(d, slack_api_url, slack_api_url_file) &&
           check_slack_defaults(d, err) && PAIR(d, opsgenie_api_key, opsgenie_api_key_file) &&
           PAIR(d, victorops_api_key, victorops_api_key_file) &&
           PAIR(d, telegram_bot_token, telegram_bot_token_file) &&
           PAIR(d, smtp_auth_password, smtp_auth_password_file) &&
           PAIR(d, rocketchat_token, rocketchat_token_file) &&
           PAIR(d, rocketchat_token_id, rocketchat_token_id_file) &&
           PAIR(d, smtp_auth_secret, smtp_auth_secret_file) && PAIR(d, wechat_api_secret, wechat_api_secret_file) &&
           PAIR(d, mattermost_webhook_url, mattermost_webhook_url_file);
}

/* ---- For the kinds ---- */

bool receiver_one_webhook(struct str url, struct str file, struct err *err)
{
    if (url.n == 0 && file.n == 0)
        return err_set(err, ERR_INVALID, "one of webhook_url or webhook_url_file must be configured");
    return receiver_pair(url, "webhook_url", file, "webhook_url_file", err);
}

void receiver_inherit_http(struct receiver_common *c, const struct receiver_defaults *global)
{
    if (!c->http_config)
        c->http_config = global->http_config;
}

bool receiver_inherit_url(struct str *url, struct str global, const char *missing, struct err *err)
{
    if (url->n == 0)
        *url = global;
    return url->n != 0 || err_set(err, ERR_INVALID, "%s", missing);
}

void receiver_inherit_pair(struct str *inline_, struct str *file, struct str global_inline, struct str global_file)
{
    if (inline_->n || file->n)
        return;
    *inline_ = global_inline;
    *file = global_file;
}

void receiver_inherit_members(struct str *inline_, struct str *file, struct str global_inline,
                              struct str global_file)
{
    if (inline_->n == 0)
        *inline_ = global_inline;
    if (file->n == 0)
        *file = global_file;
}

struct str receiver_url_with_slash(struct arena *a, struct str url)
{
    struct http_url u;
    struct err err = { 0 };
    if (!http_url_parse(a, url, &u, &err) || str_ends(u.path, STR("/")))
        return url;
    u.path = arena_printf(a, "%.*s/", STR_ARG(u.path));
    if (u.raw_path.n)
        u.raw_path = arena_printf(a, "%.*s/", STR_ARG(u.raw_path));
    struct buf b = { 0 };
    http_url_write(&b, &u);
    struct str text = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return text;
}
