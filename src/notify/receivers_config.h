/* The configuration half of all receivers: what they have in common, what they inherit from `global`, and the table of the
 * eighteen kinds. Each kind's struct and rows are in receivers/<kind>_config.h; the senders stand beside them.
 *
 * After decoding, each integration is finished: what it inherits is filled in and what only the whole can decide is
 * checked. A finished struct is complete: a sender never looks at global. Immutable then; in the configuration's arena.
 * Upstream: alertmanager config/config.go (Config.UnmarshalYAML), config/notifiers.go. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_CONFIG_H

#include "http/client_config.h"
#include "http/config_types.h"
#include "model/config_types.h"
#include "notify/receiver.h"
#include "yaml/bind.h"

#include <stdbool.h>
#include <stdint.h>

/* First member of every receiver's config struct. */
struct receiver_common {
    bool send_resolved;
    bool is_null;  /* a null list element: the load refuses it */
    uint32_t line; /* in the configuration file */
    struct http_client_config *http_config; /* finished: own or global; NULL for email */
};

struct smtp_smarthost {
    struct str host, port; /* host without brackets; both empty: absent */
};
extern const struct bind_scalar smtp_smarthost_scalar;

/* {type, credentials...} of AWS requests. */
struct sigv4_config {
    struct str region, access_key, secret_key, profile, role_arn, external_id;
    bool use_fips_sts_endpoint;
};
extern const struct bind_type sigv4_config_bind;

/* What `global` says for receivers. */
struct receiver_defaults {
    struct http_client_config *http_config;
    struct str jira_api_url;
    struct str smtp_from, smtp_hello;
    struct smtp_smarthost smtp_smarthost;
    struct str smtp_auth_username, smtp_auth_password, smtp_auth_password_file;
    struct str smtp_auth_secret, smtp_auth_secret_file, smtp_auth_identity;
    bool smtp_require_tls;
    struct http_tls_config smtp_tls_config;
    enum tristate smtp_force_implicit_tls;
    struct str slack_api_url, slack_api_url_file, slack_app_token, slack_app_token_file, slack_app_url;
    struct str pagerduty_url;
    struct str opsgenie_api_url, opsgenie_api_key, opsgenie_api_key_file;
    struct str wechat_api_url, wechat_api_secret, wechat_api_secret_file, wechat_api_corp_id;
    struct str victorops_api_url, victorops_api_key, victorops_api_key_file;
    struct str telegram_api_url, telegram_bot_token, telegram_bot_token_file;
    struct str webex_api_url;
    struct str rocketchat_api_url, rocketchat_token, rocketchat_token_file, rocketchat_token_id,
        rocketchat_token_id_file;
    struct str mattermost_webhook_url, mattermost_webhook_url_file;
};
extern const struct bind_type receiver_defaults_bind; /* inlined into global, behind resolve_timeout */
/* The pair rules, in upstream's order. */
MUST_CHECK bool receiver_defaults_check(const struct receiver_defaults *d, struct err *err);

struct receiver_config_row {
    enum receiver_kind kind;
    const char *name;          /* "webhook" */
    const char *yaml_key;      /* "webhook_configs" */
    const struct bind_type *bind; /* bind->size is the size of the struct */
    bool send_resolved_default;
    const char *null_error;    /* "missing webhook config" */
    /* Inherits and checks; `config` is the kind's struct. The arena is the configuration's. */
    bool (*finish)(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);
};
extern const struct receiver_config_row receiver_config_rows[RECEIVER_KINDS];
/* The order in which integrations are checked: webhook, email, slack, pushover, ... */
extern const enum receiver_kind receiver_check_order[RECEIVER_KINDS];

/* ---- For the kinds' files ---- */

/* The rows that (nearly) every kind begins with. */
#define RECEIVER_SEND_RESOLVED(struct_, default_)                                                  \
    BIND_BOOL(struct_, common.send_resolved, "send_resolved", "Whether resolved alerts are notified.", \
              .fallback = (default_), .always = true)
#define RECEIVER_HTTP_CONFIG(struct_)                                                              \
    BIND_POINTER(struct_, common.http_config, "http_config", "HTTP client settings; replace the global ones whole.", \
                 &http_client_config_bind, .inherit = true)
#define RECEIVER_TYPE(name_, struct_, fields_, ...)                                                \
    BIND_TYPE(name_, struct_, fields_, .line_offset = offsetof(struct_, common.line),              \
              .null_offset = offsetof(struct_, common.is_null), __VA_ARGS__)

/* "at most one of A & B must be configured". */
MUST_CHECK bool receiver_pair(struct str a, const char *a_name, struct str b, const char *b_name, struct err *err);
/* "one of webhook_url or webhook_url_file must be configured", and not both. */
MUST_CHECK bool receiver_one_webhook(struct str url, struct str file, struct err *err);
/* The URL with its path ending in '/'. */
struct str receiver_url_with_slash(struct arena *a, struct str url);
void receiver_inherit_http(struct receiver_common *c, const struct receiver_defaults *global);
/* The global URL where there is none; ERR_INVALID `missing` if that is absent too. */
MUST_CHECK bool receiver_inherit_url(struct str *url, struct str global, const char *missing, struct err *err);
/* A credential as text or file: the global pair if neither member is set... */
void receiver_inherit_pair(struct str *inline_, struct str *file, struct str global_inline, struct str global_file);
/* ...or each member for itself (opsgenie, victorops, rocketchat). */
void receiver_inherit_members(struct str *inline_, struct str *file, struct str global_inline, struct str global_file);

#endif
