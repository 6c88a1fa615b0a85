/* Rows and checks of incidentio_configs. */
#include "notify/receivers/incidentio_config.h"

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct incidentio_config, "true"),
    RECEIVER_HTTP_CONFIG(struct incidentio_config),
    BIND_SCALAR(struct incidentio_config, url, "url", "Alert source.", &http_url_scalar, .always = true),
    BIND_STR(struct incidentio_config, url_file, "url_file", "File of the URL.", .always = true),
    BIND_SECRET(struct incidentio_config, alert_source_token, "alert_source_token", "Token of the alert source."),
    BIND_STR(struct incidentio_config, alert_source_token_file, "alert_source_token_file", "File of the token."),
    BIND_U64(struct incidentio_config, max_alerts, "max_alerts", "Most alerts in one message; 0: all.",
             .always = true),
    BIND_GO_NS(struct incidentio_config, timeout_ns, "timeout", "Bound of one attempt; 0: none.", .always = true),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    const struct incidentio_config *c = object;
    const struct http_client_config *http = c->common.http_config;
    bool token = c->alert_source_token.n || c->alert_source_token_file.n;
    (void)b;
    if (c->url.n == 0 && c->url_file.n == 0)
        return err_set(err, ERR_INVALID, "one of url or url_file must be configured");
    if (!receiver_pair(c->url, "url", c->url_file, "url_file", err) ||
        !receiver_pair(c->alert_source_token, "alert_source_token", c->alert_source_token_file,
                       "alert_source_token_file", err))
        return false;
    if (http && http->authorization && token)
        return err_set(err, ERR_INVALID,
                       "cannot specify alert_source_token or alert_source_token_file when using "
                       "http_config.authorization");
    if (http && !http->authorization && !token)
        return err_set(err, ERR_INVALID,
                       "at least one of alert_source_token, alert_source_token_file or "
                       "http_config.authorization must be configured");
    return true;
}

const struct bind_type incidentio_config_bind = RECEIVER_TYPE("incidentio.plain", struct incidentio_config, fields,
                                                              .title = "incidentio_configs", .check = check);

bool incidentio_config_finish(void *config, const struct receiver_defaults *global, struct arena *a,
                              struct err *err)
{
    (void)a;
    (void)err;
    receiver_inherit_http(config, global);
    return true;
}
