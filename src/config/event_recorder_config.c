/* The table of `event_recorder`. Batch settings have their defaults filled in after the check, which must be able to tell
 * that they were given. */
#include "config/event_recorder_config.h"

#include "http/config_types.h"
#include "model/config_types.h"

#define BATCH_EVENTS_DEFAULT   100
#define BATCH_BYTES_DEFAULT    (1024 * 1024)
#define BATCH_INTERVAL_DEFAULT 100 /* ms */

static const struct bind file_fields[] = {
    BIND_STR(struct event_file_output, path, "path", "File of JSON lines; opened again when it is moved away.",
             .required = "event_recorder file output requires a path"),
};
static const struct bind_type file_bind =
    BIND_TYPE("config.plain", struct event_file_output, file_fields, .title = "file_outputs");

#define WEBHOOK(kind_, field_, ...) kind_(struct event_webhook_output, field_, #field_, __VA_ARGS__)
#define DURATION(field_, ...)       BIND_SCALAR(struct event_webhook_output, field_##_ms, #field_, __VA_ARGS__)

static const struct bind webhook_fields[] = {
    WEBHOOK(BIND_SECRET, url, "Where to post.", .required = "event_recorder webhook output requires a url"),
    WEBHOOK(BIND_POINTER, http_config, "HTTP client settings.", &http_client_config_bind),
    DURATION(timeout, "Bound of one request.", &duration_scalar, .fallback = "10s"),
    WEBHOOK(BIND_I64, workers, "Requests at a time.", .fallback = "4"),
    WEBHOOK(BIND_I64, max_retries, "Further attempts after a failed one.", .fallback = "3"),
    DURATION(retry_backoff, "Wait before the first of them; doubles.", &duration_scalar, .fallback = "500ms"),
    WEBHOOK(BIND_BOOL, batch, "Several events in one request."),
    WEBHOOK(BIND_I64, batch_max_events, "Most events of a batch; 100."),
    WEBHOOK(BIND_I64, batch_max_bytes, "Most bytes of a batch; 1 MiB."),
    DURATION(batch_flush_interval, "Longest wait for more events; 100ms.", &duration_scalar),
};

static bool webhook_check(struct binding *b, void *object, struct err *err)
{
    struct event_webhook_output *c = object;
    struct err why = { 0 };
    if (!http_url_check(b->arena, c->url, &c->url, &why))
        return err_set(err, ERR_INVALID, "event_recorder webhook output requires an absolute http(s) url");
    if (c->batch_max_events < 0 || c->batch_max_bytes < 0 || c->batch_flush_interval_ms < 0)
        return err_set(err, ERR_INVALID, "event_recorder webhook batch settings cannot be negative");
    if (!c->batch && (c->batch_max_events || c->batch_max_bytes || c->batch_flush_interval_ms))
        return err_set(err, ERR_INVALID, "event_recorder webhook batch settings require batch: true");
    return true;
}

static const struct bind_type webhook_bind = BIND_TYPE("config.plain", struct event_webhook_output, webhook_fields,
                                                       .title = "webhook_outputs", .check = webhook_check);

#define KAFKA(kind_, field_, ...) kind_(struct event_kafka_output, field_, #field_, __VA_ARGS__)

static const struct bind kafka_fields[] = {
    KAFKA(BIND_STRS, brokers, "Brokers, host:port."),
    KAFKA(BIND_STR, topic, "Topic.", .required = "event_recorder kafka output requires a topic"),
    KAFKA(BIND_STR, client_id, "Client identifier."),
    KAFKA(BIND_STR, format, "Format of messages."),
    KAFKA(BIND_STR, acks, "Acknowledgements to wait for."),
    KAFKA(BIND_STR, compression, "Compression of messages."),
    KAFKA(BIND_I64, buffer_size, "Events that may wait."),
    KAFKA(BIND_POINTER, tls_config, "TLS settings.", &http_tls_config_bind),
};
static const struct bind_type kafka_bind =
    BIND_TYPE("config.plain", struct event_kafka_output, kafka_fields, .title = "kafka_outputs");

static const struct bind stdout_fields[] = {
    BIND_BOOL(struct event_stdout_output, present, "", "No keys.", .never = true),
};
static const struct bind_type stdout_bind =
    BIND_TYPE("config.plain", struct event_stdout_output, stdout_fields, .title = "stdout_outputs");

static const struct bind fields[] = {
    BIND_LIST(struct event_recorder_config, file_outputs, "file_outputs", "Files.", &file_bind,
              .go_type = "[]*config.FileOutput"),
    BIND_LIST(struct event_recorder_config, webhook_outputs, "webhook_outputs", "Webhooks.", &webhook_bind,
              .go_type = "[]*config.WebhookOutput"),
    BIND_LIST(struct event_recorder_config, kafka_outputs, "kafka_outputs", "Kafka topics.", &kafka_bind,
              .go_type = "[]*config.KafkaOutput", .inactive = "accepted, but events are not sent to Kafka"),
    BIND_LIST(struct event_recorder_config, stdout_outputs, "stdout_outputs", "Standard output.", &stdout_bind,
              .go_type = "[]*config.StdoutOutput"),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    struct event_recorder_config *c = object;
    (void)b;
    (void)err;
    for (size_t i = 0; i < c->webhook_outputs_count; i++) {
        struct event_webhook_output *w = &c->webhook_outputs[i];
        w->batch_max_events = w->batch && !w->batch_max_events ? BATCH_EVENTS_DEFAULT : w->batch_max_events;
        w->batch_max_bytes = w->batch && !w->batch_max_bytes ? BATCH_BYTES_DEFAULT : w->batch_max_bytes;
        w->batch_flush_interval_ms =
            w->batch && !w->batch_flush_interval_ms ? BATCH_INTERVAL_DEFAULT : w->batch_flush_interval_ms;
    }
    return true;
}

const struct bind_type event_recorder_config_bind =
    BIND_TYPE("config.plain", struct event_recorder_config, fields, .title = "event_recorder", .check = check,
              .line_offset = offsetof(struct event_recorder_config, line));
