/* Metrics of the pipeline. Two tables with the same names: with the feature receiver-name-in-metrics every series of an
 * integration carries the receiver's name as well. Without it all eighteen integrations are there from the start. */
#include "notify/notifier_int.h"
#include "notify/receivers_config.h"

static const double latency_bounds[] = { 1, 5, 10, 15, 20 };

#define HELP_TOTAL    "The total number of attempted notifications."
#define HELP_FAILED   "The total number of failed notifications."
#define HELP_REQUESTS "The total number of attempted notification requests."
#define HELP_REQ_FAIL "The total number of failed notification requests."
#define HELP_LATENCY  "The latency of notifications in seconds."
#define HELP_SUPPRESS "The total number of notifications suppressed for being silenced, inhibited, outside of active time intervals or within muted time intervals."

#define ROWS_COMMON                                                                                                     \
    METRIC(COUNTER, struct notify_stats, suppressed_silence, "alertmanager_notifications_suppressed_total", HELP_SUPPRESS, "reason=silence"), \
    METRIC(COUNTER, struct notify_stats, suppressed_inhibition, "alertmanager_notifications_suppressed_total", HELP_SUPPRESS, "reason=inhibition"), \
    METRIC(COUNTER, struct notify_stats, suppressed_mute_time, "alertmanager_notifications_suppressed_total", HELP_SUPPRESS, "reason=mute_time_interval"), \
    METRIC(COUNTER, struct notify_stats, suppressed_active_time, "alertmanager_notifications_suppressed_total", HELP_SUPPRESS, "reason=active_time_interval"), \
    METRIC(GAUGE, struct notify_stats, receivers, "alertmanager_receivers", "Number of configured receivers."),                       \
    METRIC(GAUGE, struct notify_stats, integrations, "alertmanager_integrations", "Number of configured integrations."),              \
    METRIC(GAUGE, struct notify_stats, in_flight, "tocsin_notification_attempts_in_flight", "Attempts handed to the senders and not answered yet."), \
    METRIC(COUNTER, struct notify_stats, spared, "tocsin_notification_attempts_spared_total", "Attempts that fell due and were not made, because many before them had failed in a row."), \
    METRIC(COUNTER, struct notify_stats, claims_sent, "tocsin_claims_sent_total", "Claims announced to the other replicas."),         \
    METRIC(COUNTER, struct notify_stats, claims_heard, "tocsin_claims_heard_total", "Claims heard from other replicas that were news."), \
    METRIC(COUNTER, struct notify_stats, claims_waited, "tocsin_claims_waited_total", "Times an attempt was put off because it was another replica's turn."), \
    METRIC(COUNTER, struct notify_stats, claims_unanswered, "tocsin_claims_unanswered_total", "Attempts begun although a replica had not agreed to them in time.")

#define ROWS(labels, failed_labels)                                                                                     \
    METRIC_VEC(COUNTER, struct notify_stats, notifications, "alertmanager_notifications_total", HELP_TOTAL, labels),    \
    METRIC_VEC(COUNTER, struct notify_stats, failed, "alertmanager_notifications_failed_total", HELP_FAILED, failed_labels), \
    METRIC_VEC(COUNTER, struct notify_stats, requests, "alertmanager_notification_requests_total", HELP_REQUESTS, labels), \
    METRIC_VEC(COUNTER, struct notify_stats, requests_failed, "alertmanager_notification_requests_failed_total", HELP_REQ_FAIL, labels), \
    METRIC_HIST_VEC(struct notify_stats, latency, "alertmanager_notification_latency_seconds", HELP_LATENCY, labels, latency_bounds)

const struct metric_desc notify_metrics[] = { ROWS("integration", "integration,reason"), ROWS_COMMON };
const size_t notify_metrics_count = ARRAY_LEN(notify_metrics);
const struct metric_desc notify_metrics_named[] = {
    ROWS("integration,receiver_name", "integration,receiver_name,reason"),
    ROWS_COMMON,
};
const size_t notify_metrics_named_count = ARRAY_LEN(notify_metrics_named);

static const struct str reasons[SEND_REASONS] = {
    [SEND_REASON_OTHER] = STR_INIT("other"),
    [SEND_REASON_CLIENT] = STR_INIT("clientError"),
    [SEND_REASON_SERVER] = STR_INIT("serverError"),
    [SEND_REASON_CANCELED] = STR_INIT("contextCanceled"),
    [SEND_REASON_DEADLINE] = STR_INIT("contextDeadlineExceeded"),
    [SEND_REASON_AUTH] = STR_INIT("authError"),
    [SEND_REASON_RATE_LIMITED] = STR_INIT("rateLimited"),
};

/* Label values of one integration; the last one is free for the reason. */
static void label_values(const struct notifier *nt, struct str name, struct str receiver, struct str out[3],
                         size_t *count)
{
    *count = 0;
    out[(*count)++] = name;
    if (nt->options.receiver_names_in_metrics)
        out[(*count)++] = receiver;
}

static void create(struct notifier *nt, struct str name, struct str receiver)
{
    struct str v[3];
    size_t n;
    label_values(nt, name, receiver, v, &n);
    metric_vec_counter(nt->stats.notifications, v);
    metric_vec_counter(nt->stats.requests, v);
    metric_vec_counter(nt->stats.requests_failed, v);
    metric_vec_histogram(nt->stats.latency, v);
    for (size_t i = 0; i < SEND_REASONS; i++) {
        v[n] = reasons[i];
        metric_vec_counter(nt->stats.failed, v);
    }
}

void notifier_configure(struct notifier *nt, const struct notify_receivers *receivers)
{
    bool named = nt->options.receiver_names_in_metrics;
    notify_outages_end(nt);
    if (named) {
        metric_vec_clear(nt->stats.notifications);
        metric_vec_clear(nt->stats.failed);
        metric_vec_clear(nt->stats.requests);
        metric_vec_clear(nt->stats.requests_failed);
        metric_vec_clear(nt->stats.latency);
    }
    for (size_t k = 0; !named && k < RECEIVER_KINDS; k++)
        create(nt, str_c(receiver_config_rows[k].name), STR_EMPTY);
    size_t integrations = 0;
    for (size_t i = 0; i < receivers->n; i++) {
        const struct notify_receiver *r = &receivers->v[i];
        integrations += r->n;
        for (size_t k = 0; named && k < r->n; k++)
            create(nt, str_c(r->v[k].name), r->name);
    }
    gauge_set(&nt->stats.receivers, (double)receivers->n);
    gauge_set(&nt->stats.integrations, (double)integrations);
}

void notify_count_notification(struct notifier *nt, const struct run *r)
{
    struct str v[3];
    size_t n;
    label_values(nt, str_c(r->integration->name), r->flush->receiver->name, v, &n);
    counter_add(metric_vec_counter(nt->stats.notifications, v), 1);
}

void notify_count_failed(struct notifier *nt, const struct run *r, enum send_reason reason)
{
    struct str v[3];
    size_t n;
    label_values(nt, str_c(r->integration->name), r->flush->receiver->name, v, &n);
    v[n] = reasons[reason];
    counter_add(metric_vec_counter(nt->stats.failed, v), 1);
}

void notify_count_attempt(struct notifier *nt, const struct run *r, const struct notify_result *res)
{
    struct str v[3];
    size_t n;
    label_values(nt, str_c(r->integration->name), r->flush->receiver->name, v, &n);
    counter_add(metric_vec_counter(nt->stats.requests, v), res->requests ? res->requests : 1);
    if (res->verdict != SEND_DONE)
        counter_add(metric_vec_counter(nt->stats.requests_failed, v), 1);
    histogram_observe(metric_vec_histogram(nt->stats.latency, v), res->seconds);
}
