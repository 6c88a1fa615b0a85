/* The alert half's cores under a virtual clock: stores, dispatcher and pipeline, with receivers that answer as a test
 * says. Used by unit tests, the timing runner and the simulation of dispatch.
 *
 *     struct alert_world w;
 *     alert_world_init(&w, seed);
 *     alert_world_configure(&w, "route: {receiver: r, group_wait: 1s}\nreceivers: [{name: r, webhook_configs: [{url: 'http://x'}]}]");
 *     alert_world_post(&w, "alertname=A,instance=x", 3600000);
 *     alert_world_run(&w, 5000);
 *     ... w.sent[0..w.sent_count) ...
 *     alert_world_deinit(&w);
 *
 * The wall clock starts at ALERT_WORLD_EPOCH and runs with the monotonic one, which starts at 1000. */
#ifndef TOCSIN_TESTS_LIB_ALERT_WORLD_H
#define TOCSIN_TESTS_LIB_ALERT_WORLD_H

#include "config/config.h"
#include "dispatch/dispatch.h"

#define ALERT_WORLD_EPOCH 1767225600 /* 2026-01-01T00:00:00Z */
#define ALERT_WORLD_START 1000

/* What the receivers heard: one attempt. Texts live in the world's arena. */
struct alert_world_sent {
    int64_t at_ms; /* since the world began */
    uint64_t id;
    struct str receiver, integration, group_key;
    enum notify_reason reason;
    bool firing;           /* any alert in it fires */
    struct str alerts;     /* "A B(resolved)": values of the label `n`, or of alertname, sorted as sent */
    size_t alerts_count;
    const uint64_t *firing_hashes, *resolved_hashes; /* of the log: sorted ascending */
    size_t firing_count, resolved_count;
    struct labels group_labels;
    const struct receiver_value *data;
    size_t data_count;
    enum send_verdict verdict; /* as answered */
    bool answered, cancelled;
};
/* The answer to an attempt: verdict, and after how long. May look at and change `s`. */
typedef enum send_verdict alert_world_answer(void *arg, struct alert_world_sent *s, int64_t *delay_ms);

struct alert_world_pending {
    mono_ms at;
    size_t sent; /* index */
};

struct alert_world {
    mono_ms now;
    struct rng rng;
    struct arena arena;
    struct alert_store *alerts;
    struct silence_store *silences;
    struct nflog *log;
    struct dispatch *d;
    struct route_tree *routes; /* of the last configuration */
    struct dispatch_options options;
    int64_t retention_ms, resolve_timeout_ms;
    alert_world_answer *answer; /* NULL: 200 after 2 ms */
    void *answer_arg;
    struct notify_out out;
    struct alert_world_sent *sent;
    size_t sent_count, sent_capacity;
    struct alert_world_pending *pending;
    size_t pending_count, pending_capacity;
    size_t records, claims, notices[NOTIFY_NOTICE_ALERT_REFUSED + 1];
    struct buf record_bytes;  /* of all NOTIFY_RECORD effects */
    struct buf last_error;    /* of the last NOTIFY_NOTICE_FLUSH_FAILED */
    void (*on_claim)(void *arg, struct str to, struct str bytes); /* to: one member, or empty: all */
    void (*on_record)(void *arg, struct str bytes);
    void *peer_arg;
    size_t steps;
};

/* Settled, alone, without configuration. */
void alert_world_init(struct alert_world *w, uint64_t seed);
/* With options set in w->options between the two. */
void alert_world_init_stores(struct alert_world *w, uint64_t seed);
void alert_world_init_dispatch(struct alert_world *w);
void alert_world_deinit(struct alert_world *w);
/* The dispatcher goes; stores stay. As a process that ends; call init_dispatch and configure to begin again. */
void alert_world_stop_dispatch(struct alert_world *w);

/* Aborts with the error if the text is no valid configuration. */
void alert_world_configure(struct alert_world *w, const char *yaml);
void alert_world_peers(struct alert_world *w, const struct claim_members *members, bool settled);

struct wire_time alert_world_wall(const struct alert_world *w);
struct wire_time alert_world_at(const struct alert_world *w, int64_t ms_from_now);
/* An alert from a sender. `labels` is "a=b,c=d". ends_ms from now; starts now. */
enum alert_change alert_world_post(struct alert_world *w, const char *labels, int64_t ends_ms);
enum alert_change alert_world_post_at(struct alert_world *w, const char *labels, int64_t starts_ms, int64_t ends_ms);
/* "a=b,c=d" as a label set in the world's arena. */
struct labels alert_world_labels(struct alert_world *w, const char *text);
struct alert_slot *alert_world_slot(struct alert_world *w, const char *labels);
/* A silence over exact matchers; id in the world's arena. */
struct str alert_world_silence(struct alert_world *w, const char *matchers, int64_t starts_ms, int64_t ends_ms);

void alert_world_step(struct alert_world *w, const struct dispatch_event *ev);
void alert_world_run(struct alert_world *w, int64_t ms); /* advances the clock, performing everything on the way */
size_t alert_world_sent_to(const struct alert_world *w, const char *receiver);

#endif
