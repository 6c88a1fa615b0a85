/* The HTTP API as pure handlers: request value to response value, questions to the owners of state in between (backend.h).
 * A call is answered exactly once, at once or from a backend's thread; large bodies are pulled in pieces.
 *
 * Thread: handlers run on any thread; what they need lives in the request's arena. */
#ifndef TOCSIN_API_API_H
#define TOCSIN_API_API_H

#include "api/backend.h"
#include "api/refusal.h"
#include "http/message.h"
#include "model/matcher.h"

#include <stdbool.h>

/* One request on its way; made by app from an exchange. */
struct api_call {
    const struct http_request *req;
    struct http_response *res;
    void (*finish)(struct api_call *c); /* hands the response over; c is gone afterwards */
    void *carrier;                      /* app's: the exchange */
    struct api *api;
    const struct config *config;        /* retained while the call lasts; may be NULL */
    struct api_ask ask;
};

struct api_stats {
    struct counter received_firing, received_resolved, invalid; /* alertmanager_alerts_received_total, _invalid_total */
};
extern const struct metric_desc api_metrics[];
extern const size_t api_metrics_count;

struct api {
    struct api_backend backend;
    enum matcher_mode mode;
    struct str version, revision; /* versionInfo: upstream's number, our revision */
    /* The rendered route labels of a group, from the alerts that it holds now; NULL: none are shown. */
    struct labels (*route_labels)(void *arg, struct arena *a, const struct dispatch_view *v,
                                  const struct dispatch_group_row *g);
    void *route_labels_arg;
    struct api_stats stats;
};

/* Answers a request below /api/v2; `path` is what follows it: "/alerts". Every answer carries the CORS and cache headers. */
void api_v2_handle(struct api_call *c, struct str path);

/* ---- shared by the handlers' files ---- */

void api_finish(struct api_call *c); /* releases the configuration and finishes */
void api_answer_json(struct api_call *c, int status, struct str body);   /* body is JSON already; copied */
void api_answer_string(struct api_call *c, int status, struct str text); /* a JSON string and a newline */
void api_answer_empty(struct api_call *c, int status);
void api_answer_refusal(struct api_call *c, const struct api_refusal *r); /* {"code":..,"message":..} */
void api_answer_pull(struct api_call *c, http_body_pull *pull, void *arg, void (*end)(void *arg));
/* Asks the backend; done is called with q->user set to the call. */
void api_ask(struct api_call *c, enum api_question what, void (*done)(struct api_ask *q));

/* Query parameters as go-openapi reads them: 1 t true y yes ok on enabled checked selected in any case are true; an empty
 * value counts as absent; of a repeated parameter the last counts. */
bool api_param_bool(const struct http_params *ps, struct str name, bool fallback);
/* Every `name` parameter as one matcher. False: *err has upstream's words. */
MUST_CHECK bool api_param_matchers(struct api_call *c, const struct http_params *ps, struct str name,
                                   struct matchers *out, struct err *err);

/* Which receivers a request asks for: by name (a regex) and by labels. Answers are kept per receiver. */
struct api_receiver_filter {
    struct regex *name;        /* NULL: any */
    struct matchers labels;    /* empty: any */
    const struct config *config;
};
MUST_CHECK bool api_receiver_filter_init(struct api_call *c, const struct http_params *ps, struct api_receiver_filter *f,
                                         struct err *err);
void api_receiver_filter_deinit(struct api_receiver_filter *f);
bool api_receiver_passes(const struct api_receiver_filter *f, struct str receiver);

void api_get_alerts(struct api_call *c);
void api_get_groups(struct api_call *c);
void api_get_silences(struct api_call *c);
void api_get_silence(struct api_call *c, struct str id);
void api_post_silences(struct api_call *c);
void api_delete_silence(struct api_call *c, struct str id);

#endif
