/* email_configs: mail by SMTP. Fields marked (t) are templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_EMAIL_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_EMAIL_CONFIG_H

#include "notify/receivers_config.h"

struct email_threading {
    bool enabled;
    struct str thread_by_date; /* "none" or "daily" */
};
struct email_config {
    struct receiver_common common; /* http_config is always NULL */
    struct str to, from; /* (t) */
    struct str hello;
    struct smtp_smarthost smarthost;
    struct str auth_username, auth_password, auth_password_file, auth_secret, auth_secret_file, auth_identity;
    struct str_map headers; /* canonical names -> (t); receivers in use have From, To and Subject */
    struct str html, text;  /* (t) */
    enum tristate require_tls; /* finished: never absent */
    struct http_tls_config *tls_config; /* finished: never NULL */
    enum tristate force_implicit_tls;
    struct email_threading threading;
};

/* Headers that every message has: From, To and Subject, where they are not configured. For receivers in use. */
void email_config_fill_headers(struct email_config *c, struct arena *a);

extern const struct bind_type email_config_bind;
MUST_CHECK bool email_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
