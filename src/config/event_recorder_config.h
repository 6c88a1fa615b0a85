/* `event_recorder` (feature event-recorder): where events go. */
#ifndef TOCSIN_CONFIG_EVENT_RECORDER_CONFIG_H
#define TOCSIN_CONFIG_EVENT_RECORDER_CONFIG_H

#include "http/client_config.h"
#include "yaml/bind.h"

struct event_file_output {
    struct str path; /* resolved against the directory of the file */
};
struct event_webhook_output {
    struct str url; /* secret */
    struct http_client_config *http_config;
    int64_t timeout_ms;
    int64_t workers, max_retries;
    int64_t retry_backoff_ms; /* doubles */
    bool batch;
    int64_t batch_max_events, batch_max_bytes;
    int64_t batch_flush_interval_ms;
};
struct event_kafka_output {
    struct str_list brokers;
    struct str topic, client_id, format, acks, compression;
    int64_t buffer_size;
    struct http_tls_config *tls_config;
};
struct event_stdout_output {
    bool present;
};
struct event_recorder_config {
    struct event_file_output *file_outputs;
    size_t file_outputs_count;
    struct event_webhook_output *webhook_outputs;
    size_t webhook_outputs_count;
    struct event_kafka_output *kafka_outputs; /* accepted; not active */
    size_t kafka_outputs_count;
    struct event_stdout_output *stdout_outputs;
    size_t stdout_outputs_count;
    uint32_t line;
};
extern const struct bind_type event_recorder_config_bind;

#endif
