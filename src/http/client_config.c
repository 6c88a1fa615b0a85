/* The tables and checks of http_config. The order of rows is the order of the dump, the order of checks is upstream's
 * (HTTPClientConfig.Validate, TLSConfig.Validate): the first objection is the one that is shown. */
#include "http/client_config.h"

#include "base/buf.h"
#include "http/config_types.h"
#include "http/header.h"
#include "http/url.h"

const char *const http_tls_version_names[] = { "", "TLS10", "TLS11", "TLS12", "TLS13", NULL };

/* Upstream shows versions as the numbers of the protocol. */
static const int tls_version_numbers[] = { 0, 0x301, 0x302, 0x303, 0x304 };

/* ---- tls_config ---- */

static const struct bind tls_fields[] = {
    BIND_STR(struct http_tls_config, ca, "ca", "CA certificates (PEM) that servers are verified with."),
    BIND_STR(struct http_tls_config, cert, "cert", "Client certificate (PEM)."),
    BIND_SECRET(struct http_tls_config, key, "key", "Key of the client certificate (PEM)."),
    BIND_STR(struct http_tls_config, ca_file, "ca_file", "File of CA certificates; read again when it changes."),
    BIND_STR(struct http_tls_config, cert_file, "cert_file", "File of the client certificate."),
    BIND_STR(struct http_tls_config, key_file, "key_file", "File of the client certificate's key."),
    BIND_STR(struct http_tls_config, ca_ref, "ca_ref", "Name of a secret; no secret manager is available."),
    BIND_STR(struct http_tls_config, cert_ref, "cert_ref", "Name of a secret; no secret manager is available."),
    BIND_STR(struct http_tls_config, key_ref, "key_ref", "Name of a secret; no secret manager is available."),
    BIND_STR(struct http_tls_config, server_name, "server_name", "Name that the server's certificate must be for."),
    BIND_BOOL(struct http_tls_config, insecure_skip_verify, "insecure_skip_verify",
              "Do not verify the server's certificate.", .always = true),
    BIND_ENUM(struct http_tls_config, min_version, "min_version", "Lowest TLS version: TLS10 to TLS13.",
              http_tls_version_names, "unknown TLS version: ", .shown = tls_version_numbers),
    BIND_ENUM(struct http_tls_config, max_version, "max_version", "Highest TLS version: TLS10 to TLS13.",
              http_tls_version_names, "unknown TLS version: ", .shown = tls_version_numbers),
};

static size_t given(struct str a, struct str b, struct str c)
{
    return (size_t)(a.n != 0) + (b.n != 0) + (c.n != 0);
}

static bool tls_check(struct binding *b, void *object, struct err *err)
{
    const struct http_tls_config *c = object;
    (void)b;
    if (given(c->ca, c->ca_file, c->ca_ref) > 1)
        return err_set(err, ERR_INVALID, "at most one of ca, ca_file & ca_ref must be configured");
    if (given(c->cert, c->cert_file, c->cert_ref) > 1)
        return err_set(err, ERR_INVALID, "at most one of cert, cert_file & cert_ref must be configured");
    if (given(c->key, c->key_file, c->key_ref) > 1)
        return err_set(err, ERR_INVALID, "at most one of key and key_file must be configured");
    bool cert = given(c->cert, c->cert_file, c->cert_ref) != 0, key = given(c->key, c->key_file, c->key_ref) != 0;
    if (cert && !key)
        return err_set(err, ERR_INVALID,
                       "exactly one of key or key_file must be configured when a client certificate is configured");
    if (key && !cert)
        return err_set(err, ERR_INVALID,
                       "exactly one of cert or cert_file must be configured when a client key is configured");
    return true;
}

const struct bind_type http_tls_config_bind =
    BIND_TYPE("config.plain", struct http_tls_config, tls_fields, .title = "tls_config", .check = tls_check);

/* ---- Credentials ---- */

static const struct bind basic_auth_fields[] = {
    BIND_STR(struct http_basic_auth, username, "username", "User name."),
    BIND_STR(struct http_basic_auth, username_file, "username_file", "File of the user name."),
    BIND_STR(struct http_basic_auth, username_ref, "username_ref",
             "Name of a secret; no secret manager is available."),
    BIND_SECRET(struct http_basic_auth, password, "password", "Password."),
    BIND_STR(struct http_basic_auth, password_file, "password_file",
             "File of the password; read for each request."),
    BIND_STR(struct http_basic_auth, password_ref, "password_ref",
             "Name of a secret; no secret manager is available."),
};
static const struct bind_type basic_auth_bind =
    BIND_TYPE("config.plain", struct http_basic_auth, basic_auth_fields, .title = "basic_auth");

static const struct bind authorization_fields[] = {
    BIND_STR(struct http_authorization, type, "type", "Scheme; Bearer if absent."),
    BIND_SECRET(struct http_authorization, credentials, "credentials", "What follows the scheme."),
    BIND_STR(struct http_authorization, credentials_file, "credentials_file",
             "File of the credentials; read for each request."),
    BIND_STR(struct http_authorization, credentials_ref, "credentials_ref",
             "Name of a secret; no secret manager is available."),
};
static const struct bind_type authorization_bind =
    BIND_TYPE("config.Authorization", struct http_authorization, authorization_fields, .title = "authorization");

/* ---- Proxies ---- */

static const struct bind proxy_fields[] = {
    BIND_SCALAR(struct http_proxy_config, proxy_url, "proxy_url", "Proxy for all requests.", &http_any_url_scalar),
    BIND_STR(struct http_proxy_config, no_proxy, "no_proxy",
             "Hosts, domains and networks that are reached directly; needs proxy_url."),
    BIND_BOOL(struct http_proxy_config, proxy_from_environment, "proxy_from_environment",
              "Take proxies from HTTP_PROXY, HTTPS_PROXY and NO_PROXY."),
    BIND_STR_LISTS(struct http_proxy_config, proxy_connect_header, "proxy_connect_header",
                   "Headers sent to proxies in CONNECT requests.", .secret = true, .go_type = "config.ProxyHeader"),
};
static const struct bind_type proxy_bind = BIND_TYPE("config.ProxyConfig", struct http_proxy_config, proxy_fields);

static bool proxy_check(const struct http_proxy_config *p, struct err *err)
{
    bool url = p->proxy_url.n != 0;
    if (p->proxy_connect_header.n && !p->proxy_from_environment && !url)
        return err_set(err, ERR_INVALID,
                       "if proxy_connect_header is configured, proxy_url or proxy_from_environment "
                       "must also be configured");
    if (p->proxy_from_environment && url)
        return err_set(err, ERR_INVALID,
                       "if proxy_from_environment is configured, proxy_url must not be configured");
    if (p->proxy_from_environment && p->no_proxy.n)
        return err_set(err, ERR_INVALID,
                       "if proxy_from_environment is configured, no_proxy must not be configured");
    if (!url && p->no_proxy.n)
        return err_set(err, ERR_INVALID, "if no_proxy is configured, proxy_url must also be configured");
    return true;
}

/* ---- oauth2 ---- */

static const struct bind oauth2_fields[] = {
    BIND_STR(struct http_oauth2_config, client_id, "client_id", "Client identifier."),
    BIND_SECRET(struct http_oauth2_config, client_secret, "client_secret", "Client secret."),
    BIND_STR(struct http_oauth2_config, client_secret_file, "client_secret_file", "File of the client secret."),
    BIND_STR(struct http_oauth2_config, client_secret_ref, "client_secret_ref",
             "Name of a secret; no secret manager is available."),
    BIND_STR(struct http_oauth2_config, client_certificate_key_id, "client_certificate_key_id",
             "Key identifier in the JWT."),
    BIND_SECRET(struct http_oauth2_config, client_certificate_key, "client_certificate_key",
                "Private key (PEM) that signs the JWT."),
    BIND_STR(struct http_oauth2_config, client_certificate_key_file, "client_certificate_key_file",
             "File of that key."),
    BIND_STR(struct http_oauth2_config, client_certificate_key_ref, "client_certificate_key_ref",
             "Name of a secret; no secret manager is available."),
    BIND_STR(struct http_oauth2_config, grant_type, "grant_type",
             "client_credentials (default) or " HTTP_OAUTH2_GRANT_JWT "."),
    BIND_STR(struct http_oauth2_config, signature_algorithm, "signature_algorithm",
             "RS256 (default), RS384 or RS512."),
    BIND_STR(struct http_oauth2_config, iss, "iss", "Issuer of the JWT; client_id if absent."),
    BIND_STR(struct http_oauth2_config, audience, "audience", "Audience of the JWT; token_url if absent."),
    BIND_TREE(struct http_oauth2_config, claims, "claims", "Further claims of the JWT.",
              .go_type = "map[string]interface {}"),
    BIND_STRS(struct http_oauth2_config, scopes, "scopes", "Scopes of the token."),
    BIND_STR(struct http_oauth2_config, token_url, "token_url", "Where tokens come from."),
    BIND_STR_MAP(struct http_oauth2_config, endpoint_params, "endpoint_params",
                 "Further parameters of the token request."),
    BIND_OBJECT(struct http_oauth2_config, tls_config, "tls_config", "TLS settings of the token request.",
                &http_tls_config_bind),
    BIND_INLINE(struct http_oauth2_config, proxy, &proxy_bind),
};

static bool oauth2_check_proxy(struct binding *b, void *object, struct err *err)
{
    (void)b;
    return proxy_check(&((const struct http_oauth2_config *)object)->proxy, err);
}

static const struct bind_type oauth2_bind = BIND_TYPE("config.plain", struct http_oauth2_config, oauth2_fields,
                                                      .title = "oauth2", .check = oauth2_check_proxy);

static bool oauth2_check(const struct http_oauth2_config *o, struct err *err)
{
    if (o->client_id.n == 0)
        return err_set(err, ERR_INVALID, "oauth2 client_id must be configured");
    if (o->token_url.n == 0)
        return err_set(err, ERR_INVALID, "oauth2 token_url must be configured");
    if (str_eq(o->grant_type, STR(HTTP_OAUTH2_GRANT_JWT))) {
        if (given(o->client_certificate_key, o->client_certificate_key_file, o->client_certificate_key_ref) > 1)
            return err_set(err, ERR_INVALID,
                           "at most one of oauth2 client_certificate_key, client_certificate_key_file & "
                           "client_certificate_key_ref must be configured using grant-type=" HTTP_OAUTH2_GRANT_JWT);
        struct str alg = o->signature_algorithm;
        if (alg.n && !str_eq(alg, STR("RS256")) && !str_eq(alg, STR("RS384")) && !str_eq(alg, STR("RS512")))
            return err_set(err, ERR_INVALID, "valid signature algorithms are RS256, RS384 and RS512");
        return true;
    }
    if (given(o->client_secret, o->client_secret_file, o->client_secret_ref) > 1)
        return err_set(err, ERR_INVALID,
                       "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be "
                       "configured using grant-type=client_credentials");
    return true;
}

/* ---- http_headers ---- */

static const struct bind header_fields[] = {
    BIND_STRS(struct http_header_config, values, "values", "Values."),
    BIND_STRS(struct http_header_config, secrets, "secrets", "Values that are not shown.", .secret = true),
    BIND_STRS(struct http_header_config, files, "files", "Files of values; read for each request."),
};
const struct bind_type http_header_config_bind =
    BIND_TYPE("config.Header", struct http_header_config, header_fields, .title = "http_headers");

static bool header_is_reserved(struct str canonical)
{
    static const struct str reserved[] = {
        STR_INIT("Authorization"),
        STR_INIT("Host"),
        STR_INIT("Content-Encoding"),
        STR_INIT("Content-Length"),
        STR_INIT("Content-Type"),
        STR_INIT("User-Agent"),
        STR_INIT("Connection"),
        STR_INIT("Keep-Alive"),
        STR_INIT("Proxy-Authenticate"),
        STR_INIT("Proxy-Authorization"),
        STR_INIT("Www-Authenticate"),
        STR_INIT("Accept-Encoding"),
        STR_INIT("X-Prometheus-Remote-Write-Version"),
        STR_INIT("X-Prometheus-Remote-Read-Version"),
        STR_INIT("X-Prometheus-Scrape-Timeout-Seconds"),
        STR_INIT("X-Amz-Date"),
        STR_INIT("X-Amz-Security-Token"),
        STR_INIT("X-Amz-Content-Sha256"),
    };
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (str_eq(reserved[i], canonical))
            return true;
    return false;
}

static bool headers_check(const struct http_client_config *c, struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < c->http_headers_count; i++) {
        struct buf name = { 0 };
        http_header_canonical(&name, c->http_headers[i].name);
        if (header_is_reserved(buf_view(&name)))
            ok = err_set(err, ERR_INVALID, "setting header %s is not allowed", bind_quote(buf_view(&name)).text);
        buf_deinit(&name);
    }
    return ok;
}

/* ---- http_config ---- */

static const struct bind client_fields[] = {
    BIND_POINTER(struct http_client_config, basic_auth, "basic_auth", "HTTP basic authentication.",
                 &basic_auth_bind),
    BIND_POINTER(struct http_client_config, authorization, "authorization", "The Authorization header.",
                 &authorization_bind),
    BIND_POINTER(struct http_client_config, oauth2, "oauth2", "OAuth 2.0 tokens.", &oauth2_bind),
    BIND_SECRET(struct http_client_config, bearer_token, "bearer_token", "Old form of authorization.credentials."),
    BIND_STR(struct http_client_config, bearer_token_file, "bearer_token_file",
             "Old form of authorization.credentials_file."),
    BIND_OBJECT(struct http_client_config, tls_config, "tls_config", "TLS settings.", &http_tls_config_bind),
    BIND_BOOL(struct http_client_config, follow_redirects, "follow_redirects", "Follow HTTP 3xx answers.",
              .fallback = "true", .always = true),
    BIND_BOOL(struct http_client_config, enable_http2, "enable_http2", "Offer HTTP/2.", .fallback = "true",
              .always = true),
    BIND_INLINE(struct http_client_config, proxy, &proxy_bind),
    BIND_MAP(struct http_client_config, http_headers, "http_headers", "Further request headers.",
             &http_header_config_bind, .go_type = "map[string]config.Header"),
};

static struct http_authorization *bearer(struct binding *b, struct str token, struct str file)
{
    struct http_authorization *a = arena_alloc(b->arena, sizeof *a);
    *a = (struct http_authorization){ .type = STR("Bearer"), .credentials = token, .credentials_file = file };
    return a;
}

static bool authorization_check(struct binding *b, struct http_client_config *c, struct err *err)
{
    struct http_authorization *a = c->authorization;
    if (!a) {
        if (c->bearer_token.n || c->bearer_token_file.n)
            c->authorization = bearer(b, c->bearer_token, c->bearer_token_file);
        c->bearer_token = c->bearer_token_file = STR_EMPTY;
        return true;
    }
    if (c->bearer_token.n || c->bearer_token_file.n)
        return err_set(err, ERR_INVALID, "authorization is not compatible with bearer_token & bearer_token_file");
    if (given(a->credentials, a->credentials_file, a->credentials_ref) > 1)
        return err_set(err, ERR_INVALID,
                       "at most one of authorization credentials & credentials_file must be configured");
    a->type = str_trim(a->type);
    if (a->type.n == 0)
        a->type = STR("Bearer");
    if (str_eq_nocase(a->type, STR("basic")))
        return err_set(err, ERR_INVALID,
                       "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    if (c->basic_auth || c->oauth2)
        return err_set(err, ERR_INVALID, "at most one of basic_auth, oauth2 & authorization must be configured");
    return true;
}

bool http_client_config_check(struct binding *b, void *object, struct err *err)
{
    struct http_client_config *c = object;
    const struct http_basic_auth *basic = c->basic_auth;
    if (c->bearer_token.n && c->bearer_token_file.n)
        return err_set(err, ERR_INVALID, "at most one of bearer_token & bearer_token_file must be configured");
    if ((basic || c->oauth2) && (c->bearer_token.n || c->bearer_token_file.n))
        return err_set(err, ERR_INVALID,
                       "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured");
    if (basic && given(basic->username, basic->username_file, basic->username_ref) > 1)
        return err_set(err, ERR_INVALID,
                       "at most one of basic_auth username, username_file & username_ref must be configured");
    if (basic && given(basic->password, basic->password_file, basic->password_ref) > 1)
        return err_set(err, ERR_INVALID,
                       "at most one of basic_auth password, password_file & password_ref must be configured");
    if (!authorization_check(b, c, err))
        return false;
    if (c->oauth2 && basic)
        return err_set(err, ERR_INVALID, "at most one of basic_auth, oauth2 & authorization must be configured");
    if (c->oauth2 && !oauth2_check(c->oauth2, err))
        return false;
    return proxy_check(&c->proxy, err) && headers_check(c, err);
}

const struct bind_type http_client_config_bind =
    BIND_TYPE("config.plain", struct http_client_config, client_fields, .title = "http_config",
              .check = http_client_config_check);
const struct bind_type http_client_config_inline_bind =
    BIND_TYPE("config.plain", struct http_client_config, client_fields);

void http_client_config_init(struct http_client_config *c)
{
    *c = (struct http_client_config){ .follow_redirects = true, .enable_http2 = true };
}

/* ---- Building ---- */

static bool refuse_ref(struct str ref, const char *what, struct err *err)
{
    if (ref.n == 0)
        return true;
    return err_set(err, ERR_INVALID, "unable to use %s: cannot use secret ref without manager", what);
}

static bool tls_check_build(const struct http_tls_config *c, struct err *err)
{
    if (c->min_version && c->max_version && c->max_version < c->min_version)
        return err_set(err, ERR_INVALID,
                       "tls_config.max_version must be greater than or equal to "
                       "tls_config.min_version if both are specified");
    return refuse_ref(c->ca_ref, "CA", err) && refuse_ref(c->cert_ref, "client certificate", err) &&
           refuse_ref(c->key_ref, "client key", err);
}

bool http_client_config_check_build(const struct http_client_config *c, struct err *err)
{
    if (c->authorization && !refuse_ref(c->authorization->credentials_ref, "credentials", err))
        return false;
    if (c->basic_auth && (!refuse_ref(c->basic_auth->username_ref, "username", err) ||
                          !refuse_ref(c->basic_auth->password_ref, "password", err)))
        return false;
    if (c->oauth2 && (!refuse_ref(c->oauth2->client_secret_ref, "client secret", err) ||
                      !refuse_ref(c->oauth2->client_certificate_key_ref, "client certificate key", err) ||
                      !tls_check_build(&c->oauth2->tls_config, err)))
        return false;
    return tls_check_build(&c->tls_config, err);
}

/* ---- Paths ---- */

struct str http_join_dir(struct arena *a, struct str base, struct str path)
{
    if (path.n == 0 || path.p[0] == '/')
        return path;
    struct str joined = base.n ? arena_printf(a, "%.*s/%.*s", STR_ARG(base), STR_ARG(path)) : path;
    return http_path_clean(a, joined);
}

void http_tls_config_resolve(struct http_tls_config *c, struct str base, struct arena *a)
{
    c->ca_file = http_join_dir(a, base, c->ca_file);
    c->cert_file = http_join_dir(a, base, c->cert_file);
    c->key_file = http_join_dir(a, base, c->key_file);
}

static struct str_list resolve_list(struct arena *a, struct str base, struct str_list files)
{
    struct str *v = arena_alloc_array(a, files.n, sizeof *v);
    for (size_t i = 0; i < files.n; i++)
        v[i] = http_join_dir(a, base, files.v[i]);
    return (struct str_list){ files.v ? v : NULL, files.n };
}

void http_client_config_resolve(struct http_client_config *c, struct str base, struct arena *a)
{
    http_tls_config_resolve(&c->tls_config, base, a);
    if (c->authorization)
        c->authorization->credentials_file = http_join_dir(a, base, c->authorization->credentials_file);
    if (c->basic_auth) {
        c->basic_auth->username_file = http_join_dir(a, base, c->basic_auth->username_file);
        c->basic_auth->password_file = http_join_dir(a, base, c->basic_auth->password_file);
    }
    if (c->oauth2) {
        struct http_oauth2_config *o = c->oauth2;
        o->client_secret_file = http_join_dir(a, base, o->client_secret_file);
        o->client_certificate_key_file = http_join_dir(a, base, o->client_certificate_key_file);
        http_tls_config_resolve(&o->tls_config, base, a);
    }
    for (size_t i = 0; i < c->http_headers_count; i++)
        c->http_headers[i].files = resolve_list(a, base, c->http_headers[i].files);
}
