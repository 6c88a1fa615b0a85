/* Receivers: one row and one file each in receivers/, one engine for all of them (send.h).
 *
 * A receiver is a small state machine over responses: step() is called first without a response and names the first
 * request; with each answer it names the next one, or ends the attempt. Most need one step; jira searches, writes and
 * moves; wechat fetches a token first. Rows hold no sockets and no clocks, so that a test drives them with values.
 *
 * Thread: the send thread. Texts that step() makes live in the attempt's arena, which ends with the attempt. */
#ifndef TOCSIN_NOTIFY_RECEIVER_H
#define TOCSIN_NOTIFY_RECEIVER_H

#include "base/arena.h"
#include "base/err.h"
#include "http/client_config.h"
#include "http/message.h"
#include "notify/notification.h"
#include "yaml/bind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum receiver_kind { /* build order inside a receiver (spec 2.5) */
    RECEIVER_WEBHOOK, RECEIVER_EMAIL, RECEIVER_PAGERDUTY, RECEIVER_OPSGENIE, RECEIVER_WECHAT, RECEIVER_SLACK,
    RECEIVER_VICTOROPS, RECEIVER_PUSHOVER, RECEIVER_SNS, RECEIVER_TELEGRAM, RECEIVER_DISCORD, RECEIVER_WEBEX,
    RECEIVER_MSTEAMS, RECEIVER_MSTEAMSV2, RECEIVER_JIRA, RECEIVER_INCIDENTIO, RECEIVER_ROCKETCHAT,
    RECEIVER_MATTERMOST, RECEIVER_KINDS
};

enum send_reason { /* label values of alertmanager_notifications_failed_total */
    SEND_REASON_OTHER, SEND_REASON_CLIENT, SEND_REASON_SERVER, SEND_REASON_CANCELED, SEND_REASON_DEADLINE,
    SEND_REASON_AUTH, SEND_REASON_RATE_LIMITED, SEND_REASONS
};

enum send_verdict {
    SEND_REQUEST, /* *next is to be performed, then step() again */
    SEND_DONE,    /* delivered (or nothing to deliver) */
    SEND_RETRY,   /* failed; worth another attempt */
    SEND_FAIL,    /* failed for good */
};

struct send_request {
    struct str method, url; /* absolute */
    struct http_header headers[16];
    size_t headers_count;
    struct str body;
    const struct http_client_config *http; /* credentials, TLS, proxies; NULL: none of them, nor the receiver's */
    int64_t timeout_ms;                    /* 0: only the attempt's deadline */
    bool secret_url;                       /* errors show <redacted> */
    const struct smtp_job *smtp;           /* email only: instead of all the above */
};

struct send_response {
    bool arrived;     /* false: no answer; err says why */
    int status;
    const struct http_header *headers;
    size_t headers_count;
    struct str body;  /* cut at SEND_RESPONSE_BYTES_MAX */
    struct err err;   /* transport error as Go words it */
    bool timed_out;   /* request.timeout_ms ran out */
    bool smtp_retry;  /* a failed delivery of mail that another attempt may not have */
};

struct send_error {
    enum send_reason reason;
    struct err err;
};

struct send_cache;
struct template_set;
struct template_renderer;
struct zone;
struct receiver_env { /* what all attempts of a configuration share */
    struct template_set *templates;
    struct str hostname, user_agent;
    bool (*read_file)(struct str path, struct buf *out, struct err *err); /* *_file fields, at each attempt */
    struct str (*environment)(const char *name); /* of the process, for cloud credentials; NULL: empty */
    struct zone *(*zone)(void *arg, struct str name); /* template_hooks.zone, without arg; NULL: UTC only */
};

struct send_attempt {
    const struct receiver_env *env;
    const struct receiver_row *row;
    const void *config; /* the row's config struct */
    const struct notification *n;
    struct template_renderer *renderer; /* of env->templates, on the send thread: texts are compiled once */
    struct labels route_labels;         /* rendered (notify_io.c does it once per attempt) */
    struct send_cache *cache; /* rows' memory between attempts: tokens (send.h); may be NULL */
    struct arena *arena; /* lives as long as the attempt */
    struct wire_time now; /* wall clock of the attempt */
    int state;            /* the row's own; 0 at first */
    void *memory;         /* the row's own, in the arena */
    /* What goes into the nflog entry; starts as the notification's data. */
    struct receiver_value *data;
    size_t data_count;
};

struct receiver_row {
    enum receiver_kind kind;
    const char *name;      /* "webhook": metrics, nflog, logs */
    const char *yaml_key;  /* "webhook_configs" */
    const struct bind_type *config; /* table of its configuration */
    bool send_resolved_default;
    enum send_verdict (*step)(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why);
    /* Files that are read once, when the configuration is put in force, and not at each attempt. NULL: there are none.
     * Nobody else has seen the config as yet. */
    bool (*load)(void *config, const struct receiver_env *env, struct arena *a, struct err *err);
};
/* For load(): the file's text, trimmed, in the arena; errors get the prefix. "" for an empty path. */
MUST_CHECK bool receiver_load_secret(const struct receiver_env *env, struct arena *a, struct str path,
                                     const char *prefix, struct str *out, struct err *err);

#define SEND_RESPONSE_BYTES_MAX (64 * 1024)

extern const struct receiver_row *const receiver_rows[RECEIVER_KINDS];
struct str send_reason_text(enum send_reason r);

#endif
