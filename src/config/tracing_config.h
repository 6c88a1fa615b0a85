/* `tracing`: accepted and checked, but nothing is exported; a notice says so. Shared by both halves. */
#ifndef TOCSIN_CONFIG_TRACING_CONFIG_H
#define TOCSIN_CONFIG_TRACING_CONFIG_H

#include "http/client_config.h"
#include "yaml/bind.h"

struct tracing_config {
    struct str client_type; /* grpc, http */
    struct str endpoint;
    double sampling_fraction;
    bool insecure;
    struct http_tls_config *tls_config;
    struct http_header_config *headers;
    size_t headers_count;
    struct str compression;
    int64_t timeout_ms;
    uint32_t line;
};
extern const struct bind_type tracing_config_bind;

#endif
