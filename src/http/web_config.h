/* Files that say who may talk to this server: the web configuration (`--web.config.file`, spec/alertmanager.md 1.4) and
 * the mesh's TLS file (`--cluster.tls-config`, section 12). Structs, tables, checks; enforcing is io/'s and app/'s.
 *
 * Each load owns an arena; file names are resolved against the directory of the file. */
#ifndef TOCSIN_HTTP_WEB_CONFIG_H
#define TOCSIN_HTTP_WEB_CONFIG_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "http/client_config.h"
#include "yaml/bind.h"
#include "yaml/doc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEB_CONFIG_BYTES_MAX (1024 * 1024)

enum web_client_auth { /* Go's tls.ClientAuthType */
    WEB_CLIENT_AUTH_NONE,
    WEB_CLIENT_AUTH_REQUEST,
    WEB_CLIENT_AUTH_REQUIRE_ANY,
    WEB_CLIENT_AUTH_VERIFY_IF_GIVEN,
    WEB_CLIENT_AUTH_REQUIRE_AND_VERIFY,
};

struct web_tls_config {
    struct str cert, key, cert_file, key_file;
    struct str client_auth_type;
    enum web_client_auth client_auth;
    struct str client_ca, client_ca_file;
    struct str_list client_allowed_sans;
    struct str_list cipher_suites;     /* Go's names, checked */
    struct str_list curve_preferences; /* CurveP256 CurveP384 CurveP521 X25519 */
    int min_version, max_version;      /* enum http_tls_version; 1.2 and 1.3 by default */
    bool prefer_server_cipher_suites;
};
struct web_http_config {
    bool http2;
    struct str_map headers; /* names and values are checked */
};
struct web_rate_limit {
    int64_t interval_ns; /* 0: off */
    int64_t burst;
};
struct web_config {
    struct web_tls_config tls;
    bool tls_enabled; /* a certificate is configured */
    struct web_http_config http;
    struct str_map users; /* name -> bcrypt hash */
    struct web_rate_limit rate_limit;
};
/* The file's text; `base` is its directory. *out lives in the arena. Empty text: everything off. Errors are those of
 * exporter-toolkit. */
MUST_CHECK bool web_config_parse(struct arena *a, struct str text, struct str base, struct notices *notices,
                                 struct web_config *out, struct err *err);

struct cluster_tls_config {
    struct web_tls_config server;
    struct http_tls_config client;
};
MUST_CHECK bool cluster_tls_config_parse(struct arena *a, struct str text, struct str base, struct notices *notices,
                                         struct cluster_tls_config *out, struct err *err);

extern const struct bind_type web_config_bind;
extern const struct bind_type cluster_tls_config_bind;

#endif
