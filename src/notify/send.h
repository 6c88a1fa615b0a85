/* What the receivers share: rendering fields, building JSON bodies, cutting texts, reading secrets, judging answers. A row's
 * step() is written with these; none of them performs anything.
 *
 * Texts that they return live in the attempt's arena. Thread: the send thread. Upstream: alertmanager notify/util.go. */
#ifndef TOCSIN_NOTIFY_SEND_H
#define TOCSIN_NOTIFY_SEND_H

#include "json/writer.h"
#include "notify/receiver.h"
#include "notify/render_data.h"
#include "yaml/doc.h"

#include <stdbool.h>
#include <stddef.h>

/* ---- Rendering ---- */

#define SEND_TEXT_BYTES_MAX (16 * 1024 * 1024) /* of all texts of an attempt together */

/* Fields are rendered one after another; the first failure sticks, and every later field is empty. */
struct send_render {
    struct send_attempt *at;
    struct render_data data;
    struct template_hooks hooks;
    struct template_run run;
    size_t bytes_left;
    bool failed;
    struct err err;
};
/* Over the first alerts_max alerts of the notification (0: all). */
void send_render_init(struct send_render *r, struct send_attempt *at, size_t alerts_max);
/* The rendered text; on failure what was written before it. */
struct str send_text(struct send_render *r, struct str text);
struct str send_html(struct send_render *r, struct str text);

/* The copy-and-decode rule of custom payloads (spec 7.1): the tree as JSON with every string rendered, and replaced by what
 * it decodes to as YAML if that is no string. tree NULL: null. Errors: of templates, and values that JSON cannot hold. */
MUST_CHECK bool send_tree_json(struct send_render *r, const struct yaml_node *tree, struct json_writer *w,
                               struct err *err);

/* ---- Texts ---- */

struct str send_group_id(struct send_attempt *at);                     /* SHA-256 of the group key, in hex */
struct str send_cut_runes(struct arena *a, struct str s, size_t n);    /* … behind the first n-1 runes */
struct str send_cut_bytes(struct arena *a, struct str s, size_t n);    /* whole runes within n-3 bytes, then … */
bool send_is_firing(const struct send_attempt *at);
/* "prefix + file's content"; false with *why and *verdict set. */
MUST_CHECK bool send_read_file(struct send_attempt *at, struct str path, bool trim, struct str *out, struct err *err);
/* base and path joined by exactly one slash. */
struct str send_url_join(struct arena *a, struct str base, struct str path);
/* A value of the notification log's receiver data; empty if absent. */
struct str send_data_get(const struct send_attempt *at, struct str key);
void send_data_set(struct send_attempt *at, struct str key, struct str value);

/* ---- Bodies ---- */

struct send_body {
    struct buf buf;
    struct json_writer json;
};
void send_body_init(struct send_body *b);
struct str send_body_finish(struct send_body *b, struct arena *a); /* with the newline that Go's encoder writes */
void send_body_drop(struct send_body *b);
void jw_optional(struct json_writer *w, struct str key, struct str value); /* left out if empty */
void jw_flag(struct json_writer *w, struct str key, bool value);           /* left out if false */

/* The webhook's JSON members from "receiver" to "externalURL"; incident.io has them too. */
void send_data_members(struct json_writer *w, const struct send_render *r, const struct notification *n);

/* ---- Requests ---- */

/* A request with the receiver's HTTP configuration and a JSON body. */
void send_post_json(struct send_attempt *at, struct send_request *next, struct str url, struct str body);
void send_header(struct send_request *next, struct str name, struct str value);

/* step() of the rows that POST one JSON body to a URL which is itself the secret, inline or (url empty) in a file that is
 * read at each attempt. The body is built from a render over all alerts, before the file is read. */
struct send_hook {
    struct str url, url_file;
    struct str (*build_body)(struct send_attempt *at, struct send_render *r);
};
enum send_verdict send_hook_step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                                 struct send_error *why, const struct send_hook *hook);

/* ---- Verdicts ---- */

enum send_verdict send_fail(struct send_error *why, enum send_reason reason, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum send_verdict send_retry(struct send_error *why, enum send_reason reason, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The failure of a field: final, with the render's error behind the prefix ("" for none). */
enum send_verdict send_template_failed(struct send_error *why, const struct send_render *r, const char *prefix);
enum send_reason send_status_reason(int status);

/* No answer: the transport's error, retried. `what` names the timeout ("webhook"), NULL if the request had none. */
enum send_verdict send_no_answer(const struct send_response *res, struct send_error *why, const char *what,
                                 int64_t timeout_ns);
/* R(codes) of spec 6: 2xx SEND_DONE; 5xx and `retry_code` (0: none) SEND_RETRY; others SEND_FAIL. The error is
 * "unexpected status code N: detail". */
enum send_verdict send_check_status(const struct send_response *res, int retry_code, struct str detail,
                                    struct send_error *why);
struct str send_response_header(const struct send_response *res, struct str name); /* empty if absent */
/* A 2xx whose body (quoted, cut) is not the JSON that the service promises: retried. */
enum send_verdict send_unreadable_json(struct send_error *why, struct str body, const struct err *err);
/* Puts `channel "NAME": ` before the error and gives the verdict back. */
enum send_verdict send_name_channel(struct send_error *why, struct str channel, enum send_verdict verdict);

/* ---- Memory between attempts ---- */

/* Tokens by name, owned by the sending edge; bounded, the oldest is forgotten first. */
#define SEND_CACHE_MAX 256
struct send_cache;
struct send_cache *send_cache_new(void);
void send_cache_free(struct send_cache *c);
/* The value, unless it is older than max_age_ms; empty if there is none. Valid until the next put. */
struct str send_cache_get(struct send_cache *c, struct str key, struct wire_time now, int64_t max_age_ms);
void send_cache_put(struct send_cache *c, struct str key, struct str value, struct wire_time now);
void send_cache_drop(struct send_cache *c, struct str key);

#endif
