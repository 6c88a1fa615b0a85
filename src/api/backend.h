/* What the API asks of those who own the state. app/ carries each question to its owner's thread and back; a test answers on
 * the spot. A question is an intrusive struct in the request's arena: filled by the handler, given to ask(), answered by
 * calling done exactly once, before ask() returns or later, on any thread.
 *
 * Ownership: what an answer retains (views, silences) is the handler's to release. */
#ifndef TOCSIN_API_BACKEND_H
#define TOCSIN_API_BACKEND_H

#include "alert/alert.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "dispatch/dispatch.h"
#include "silence/silence.h"

#include <stdbool.h>
#include <stddef.h>

enum api_question {
    API_PUT_ALERTS,     /* in: specs */
    API_ALERTS,         /* out: view, retained, without groups; NULL before the first configuration */
    API_GROUPS,         /* out: view, retained, with groups, once the dispatcher has loaded */
    API_SILENCES,       /* out: silences, retained */
    API_SILENCE_GET,    /* in: id; out: silence retained, or not ok */
    API_SILENCE_SET,    /* in: silence_spec; out: id_out */
    API_SILENCE_EXPIRE, /* in: id */
    API_STATUS,         /* out: cluster */
    API_COLLECT,        /* gauges that need a walk are brought up to date */
    API_RELOAD,
};

struct api_peer {
    struct str name, address;
};
struct api_cluster { /* in the arena of the request */
    struct str name, status; /* "ready", "settling", "disabled" */
    const struct api_peer *peers; /* by name */
    size_t peers_count;
};

struct api_ask {
    enum api_question what;
    void (*done)(struct api_ask *q);
    void *user;
    struct arena *arena; /* for the answer's texts */
    struct wire_time now;

    const struct alert_spec *specs;
    size_t specs_count;
    struct str id;
    struct silence_spec silence_spec;

    bool ok;
    struct err err;
    struct dispatch_view *view;
    struct silence_view *silences;
    const struct silence *silence;
    char id_out[SILENCE_ID_TEXT];
    struct api_cluster cluster;

    void *state;      /* the handler's own */
};

struct api_backend {
    void *arg;
    void (*ask)(void *arg, struct api_ask *q);
    const struct config *(*config)(void *arg); /* the running one, retained: config_release() */
    struct wire_time (*now)(void *arg);
    struct wire_time started;
};

#endif
