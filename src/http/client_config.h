/* How outgoing HTTP is done: credentials, TLS, proxies, redirects, extra headers. The same block is used by receivers,
 * scrapes, discovery, alert forwarding and remote storage; here are its struct and table, io/http_client.c acts on it.
 *
 * Immutable once bound. Texts live in the configuration's arena. Files are named, not read: they are read for each
 * request (credentials) or when they change (TLS). Upstream: prometheus/common config/http_config.go. */
#ifndef TOCSIN_HTTP_CLIENT_CONFIG_H
#define TOCSIN_HTTP_CLIENT_CONFIG_H

#include "base/str.h"
#include "yaml/bind.h"

#include <stdbool.h>
#include <stddef.h>

enum http_tls_version { HTTP_TLS_DEFAULT, HTTP_TLS_10, HTTP_TLS_11, HTTP_TLS_12, HTTP_TLS_13 };
extern const char *const http_tls_version_names[]; /* "", "TLS10", ... NULL */

struct http_tls_config {
    struct str ca, cert, key;                /* PEM, inline; key is secret */
    struct str ca_file, cert_file, key_file;
    struct str ca_ref, cert_ref, key_ref;    /* no secret manager here: refused when a client is built */
    struct str server_name;
    bool insecure_skip_verify;
    int min_version, max_version;            /* enum http_tls_version */
};
struct http_basic_auth {
    struct str username, username_file, username_ref;
    struct str password, password_file, password_ref;
};
struct http_authorization {
    struct str type; /* "Bearer" when not given */
    struct str credentials, credentials_file, credentials_ref;
};
struct http_proxy_config {
    struct str proxy_url; /* empty: none */
    struct str no_proxy;
    bool proxy_from_environment;
    struct str_lists proxy_connect_header;
};
struct http_oauth2_config {
    struct str client_id;
    struct str client_secret, client_secret_file, client_secret_ref;
    struct str client_certificate_key_id;
    struct str client_certificate_key, client_certificate_key_file, client_certificate_key_ref;
    struct str grant_type; /* empty: client_credentials */
    struct str signature_algorithm, iss, audience;
    const struct yaml_node *claims; /* map of any; NULL: none */
    struct str_list scopes;
    struct str token_url;
    struct str_map endpoint_params;
    struct http_tls_config tls_config;
    struct http_proxy_config proxy;
};
struct http_header_config {
    struct str name;
    struct str_list values, secrets, files;
};
struct http_client_config {
    struct http_basic_auth *basic_auth;
    struct http_authorization *authorization; /* bearer_token(_file) end up here */
    struct http_oauth2_config *oauth2;
    struct str bearer_token, bearer_token_file; /* only between decoding and check */
    struct http_tls_config tls_config;
    bool follow_redirects, enable_http2;
    struct http_proxy_config proxy;
    struct http_header_config *http_headers; /* sorted by name */
    size_t http_headers_count;
};

#define HTTP_OAUTH2_GRANT_JWT "urn:ietf:params:oauth:grant-type:jwt-bearer"

extern const struct bind_type http_tls_config_bind;
extern const struct bind_type http_client_config_bind;
extern const struct bind_type http_header_config_bind; /* an entry of http_headers */
/* The keys of the block inside another object (jobs, alertmanagers, remote_write), without its checks: the owner calls
 * http_client_config_check() itself. */
extern const struct bind_type http_client_config_inline_bind;

/* The defaults: redirects followed, HTTP/2 on. */
void http_client_config_init(struct http_client_config *c);
MUST_CHECK bool http_client_config_check(struct binding *b, void *object, struct err *err);
/* What only shows when a client is built: secret references, TLS versions out of order. Upstream fails a start or a
 * reload with it, not the reading of the file. */
MUST_CHECK bool http_client_config_check_build(const struct http_client_config *c, struct err *err);
/* File names relative to `base` become absolute, in the arena. */
void http_client_config_resolve(struct http_client_config *c, struct str base, struct arena *a);
void http_tls_config_resolve(struct http_tls_config *c, struct str base, struct arena *a);
/* `path` below `base` unless it is empty or absolute: what upstream's JoinDir does. */
struct str http_join_dir(struct arena *a, struct str base, struct str path);

#endif
