/* Credentials of AWS: those of the configuration, else the default chain of AWS's SDK (environment, web identity, shared
 * credentials file, container, EC2 instance), and on top of them the configured role. A small state machine like a row's
 * step(): it names requests and is given their answers. What has an end of its own is remembered until shortly before.
 *
 * Thread: the send thread. Texts live in the attempt's arena. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_AWS_CREDENTIALS_H
#define TOCSIN_NOTIFY_RECEIVERS_AWS_CREDENTIALS_H

#include "http/auth.h"
#include "notify/receivers_config.h"
#include "notify/send.h"

struct aws_credentials {
    struct sigv4_credentials value; /* valid after SEND_DONE */
    const struct sigv4_config *config;
    const struct http_client_config *http; /* for STS; the sources on the machine are asked without it */
    struct str region;
    /* Its own. */
    int state;
    struct str cache_key, metadata_url, metadata_token;
};

/* SEND_DONE: value is there. SEND_REQUEST: perform *next and hand the answer to aws_credentials_answer(). SEND_RETRY with
 * *why: there are none, at present. */
enum send_verdict aws_credentials_start(struct aws_credentials *c, struct send_attempt *at, struct send_request *next,
                                        struct send_error *why);
enum send_verdict aws_credentials_answer(struct aws_credentials *c, struct send_attempt *at,
                                         const struct send_response *res, struct send_request *next,
                                         struct send_error *why);

/* A variable of the process's environment; empty if unset. */
struct str aws_environment(const struct send_attempt *at, const char *name);
/* AWS_ENDPOINT_URL_<service>, else AWS_ENDPOINT_URL; empty if there is none. */
struct str aws_endpoint(const struct send_attempt *at, const char *service);
/* A POST of a form, signed. False with *why: the URL is bad. */
MUST_CHECK bool aws_signed_post(struct send_attempt *at, const struct sigv4_credentials *credentials, struct str region,
                                const char *service, const struct http_client_config *http, struct str url,
                                struct str body, struct send_request *next, struct send_error *why);
/* "&name=value" appended to a form, escaped. */
void aws_parameter(struct buf *b, const char *name, struct str value);
/* The text of an XML element; AWS's answers hold each only once and no markup inside. */
struct str aws_element(struct str xml, const char *name);

#endif
