/* The table of `tracing`. */
#include "config/tracing_config.h"

#include "model/config_types.h"

static bool client_type_read(struct binding *b, struct str text, void *out, struct err *err)
{
    (void)b;
    if (!str_eq(text, STR("http")) && !str_eq(text, STR("grpc")))
        return err_set(err, ERR_INVALID, "expected tracing client type to be to be http or grpc, but got %.*s",
                       STR_ARG(text));
    *(struct str *)out = text;
    return true;
}

static void text_emit(struct yaml_emitter *e, const void *value)
{
    yaml_emit_str(e, *(const struct str *)value);
}

static bool text_is_zero(const void *value)
{
    return ((const struct str *)value)->n == 0;
}

static const struct bind_scalar client_type_scalar = {
    .size = sizeof(struct str),
    .parse = client_type_read,
    .emit = text_emit,
    .is_zero = text_is_zero,
};

#define ROW(kind_, field_, ...) kind_(struct tracing_config, field_, #field_, __VA_ARGS__)

static const struct bind fields[] = {
    ROW(BIND_SCALAR, client_type, "grpc or http.", &client_type_scalar, .fallback = "grpc"),
    ROW(BIND_STR, endpoint, "Where spans go.", .required = "tracing endpoint must be set"),
    ROW(BIND_F64, sampling_fraction, "Part of traces that is kept, 0 to 1."),
    ROW(BIND_BOOL, insecure, "No TLS."),
    ROW(BIND_POINTER, tls_config, "TLS settings.", &http_tls_config_bind),
    ROW(BIND_MAP, headers, "Further headers.", &http_header_config_bind, .go_type = "map[string]config.Header"),
    ROW(BIND_STR, compression, "gzip."),
    BIND_SCALAR(struct tracing_config, timeout_ms, "timeout", "Bound of one export.", &duration_scalar),
};

static bool check(struct binding *b, void *object, struct err *err)
{
    const struct tracing_config *c = object;
    (void)b;
    if (c->compression.n && !str_eq(c->compression, STR("gzip")))
        return err_set(err, ERR_INVALID, "invalid compression type %.*s provided, valid options: gzip",
                       STR_ARG(c->compression));
    return true;
}

const struct bind_type tracing_config_bind =
    BIND_TYPE("tracing.plain", struct tracing_config, fields, .title = "tracing", .check = check,
              .line_offset = offsetof(struct tracing_config, line));
