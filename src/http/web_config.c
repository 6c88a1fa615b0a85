/* The tables and checks of the web configuration and of the mesh's TLS file. Objections come in exporter-toolkit's order:
 * what does not decode, headers, hashes of users, then TLS. Nothing is read from disk here: that a certificate exists
 * and fits its key shows when a TLS context is built from this. */
#include "http/web_config.h"

#include "base/buf.h"
#include "base/num.h"
#include "base/utf8.h"

/* ---- TLS ---- */

/* What Go's crypto/tls calls its suites; those of TLS 1.3 cannot be chosen, but are known. */
static const struct str cipher_suites[] = {
    STR_INIT("TLS_RSA_WITH_AES_128_CBC_SHA"),
    STR_INIT("TLS_RSA_WITH_AES_256_CBC_SHA"),
    STR_INIT("TLS_RSA_WITH_AES_128_GCM_SHA256"),
    STR_INIT("TLS_RSA_WITH_AES_256_GCM_SHA384"),
    STR_INIT("TLS_AES_128_GCM_SHA256"),
    STR_INIT("TLS_AES_256_GCM_SHA384"),
    STR_INIT("TLS_CHACHA20_POLY1305_SHA256"),
    STR_INIT("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"),
    STR_INIT("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"),
    STR_INIT("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
    STR_INIT("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"),
    STR_INIT("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    STR_INIT("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    STR_INIT("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    STR_INIT("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    STR_INIT("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    STR_INIT("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
};
static const struct str curves[] = {
    STR_INIT("CurveP256"),
    STR_INIT("CurveP384"),
    STR_INIT("CurveP521"),
    STR_INIT("X25519"),
};

static bool in_list(const struct str *list, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i], name))
            return true;
    return false;
}

/* Names are refused while the list is read, as upstream does. */
static enum bind_result read_names(struct binding *b, const struct yaml_node *node, struct str_list *out,
                                   const struct str *known, size_t known_count, const char *what)
{
    enum bind_result r = bind_read_strs(b, node, out);
    for (size_t i = 0; r == BIND_OK && i < out->n; i++)
        if (!in_list(known, known_count, out->v[i]))
            r = bind_fail(b, node, "unknown %s: %.*s", what, STR_ARG(out->v[i]));
    return r;
}

static enum bind_result cipher_suites_read(struct binding *b, const struct yaml_node *node, void *out)
{
    return read_names(b, node, out, cipher_suites, ARRAY_LEN(cipher_suites), "cipher");
}

static enum bind_result curves_read(struct binding *b, const struct yaml_node *node, void *out)
{
    return read_names(b, node, out, curves, ARRAY_LEN(curves), "curve");
}

static void names_emit(struct yaml_emitter *e, const void *value)
{
    const struct str_list *names = value;
    yaml_emit_list(e, names->n == 0);
    for (size_t i = 0; i < names->n; i++)
        yaml_emit_str(e, names->v[i]);
    yaml_emit_list_end(e);
}

static bool names_is_zero(const void *value)
{
    return ((const struct str_list *)value)->n == 0;
}

static const struct bind_scalar cipher_suites_scalar = {
    .go_type = "[]web.Cipher",
    .size = sizeof(struct str_list),
    .parse_node = cipher_suites_read,
    .emit = names_emit,
    .is_zero = names_is_zero,
};
static const struct bind_scalar curves_scalar = {
    .go_type = "[]web.Curve",
    .size = sizeof(struct str_list),
    .parse_node = curves_read,
    .emit = names_emit,
    .is_zero = names_is_zero,
};

#define VERSION_ROWS(low_, high_) \
    BIND_ENUM(struct web_tls_config, min_version, "min_version", "Lowest TLS version.", http_tls_version_names, \
              "unknown TLS version: ", .fallback = low_), \
        BIND_ENUM(struct web_tls_config, max_version, "max_version", "Highest TLS version.", \
                  http_tls_version_names, "unknown TLS version: ", .fallback = high_)
#define TLS_ROWS \
    BIND_STR(struct web_tls_config, cert, "cert", "Certificate (PEM)."), \
        BIND_SECRET(struct web_tls_config, key, "key", "Key of the certificate (PEM)."), \
        BIND_STR(struct web_tls_config, cert_file, "cert_file", \
                 "File of the certificate; read again when it changes."), \
        BIND_STR(struct web_tls_config, key_file, "key_file", "File of the key."), \
        BIND_STR(struct web_tls_config, client_auth_type, "client_auth_type", \
                 "NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or " \
                 "RequireAndVerifyClientCert."), \
        BIND_STR(struct web_tls_config, client_ca, "client_ca", "CA of client certificates (PEM)."), \
        BIND_STR(struct web_tls_config, client_ca_file, "client_ca_file", "File of that CA."), \
        BIND_STRS(struct web_tls_config, client_allowed_sans, "client_allowed_sans", \
                  "Names of which a client certificate must have one."), \
        BIND_SCALAR(struct web_tls_config, cipher_suites, "cipher_suites", "Suites for TLS 1.2.", \
                    &cipher_suites_scalar), \
        BIND_BOOL(struct web_tls_config, prefer_server_cipher_suites, "prefer_server_cipher_suites", \
                  "Whether the server's order of suites decides.", .fallback = "true"), \
        BIND_SCALAR(struct web_tls_config, curve_preferences, "curve_preferences", "Elliptic curves, best first.", \
                    &curves_scalar)

static const struct bind web_tls_fields[] = { TLS_ROWS, VERSION_ROWS("TLS12", "TLS13") };
static const struct bind cluster_tls_fields[] = { TLS_ROWS, VERSION_ROWS(NULL, NULL) };
static const struct bind_type web_tls_bind =
    BIND_TYPE("web.TLSConfig", struct web_tls_config, web_tls_fields, .title = "tls_server_config");
static const struct bind_type cluster_server_bind =
    BIND_TYPE("web.TLSConfig", struct web_tls_config, cluster_tls_fields, .title = "tls_server_config");

static bool client_auth_of(struct web_tls_config *c, struct err *err)
{
    static const struct {
        struct str name;
        enum web_client_auth auth;
    } names[] = {
        { STR_INIT(""), WEB_CLIENT_AUTH_NONE },
        { STR_INIT("NoClientCert"), WEB_CLIENT_AUTH_NONE },
        { STR_INIT("RequestClientCert"), WEB_CLIENT_AUTH_REQUEST },
        { STR_INIT("RequireClientCert"), WEB_CLIENT_AUTH_REQUIRE_ANY }, /* old name */
        { STR_INIT("RequireAnyClientCert"), WEB_CLIENT_AUTH_REQUIRE_ANY },
        { STR_INIT("VerifyClientCertIfGiven"), WEB_CLIENT_AUTH_VERIFY_IF_GIVEN },
        { STR_INIT("RequireAndVerifyClientCert"), WEB_CLIENT_AUTH_REQUIRE_AND_VERIFY },
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(names[i].name, c->client_auth_type)) {
            c->client_auth = names[i].auth;
            return true;
        }
    return err_set(err, ERR_INVALID, "Invalid ClientAuth: %.*s", STR_ARG(c->client_auth_type));
}

static bool one_form(struct str text, const char *name, struct str file, const char *file_name, struct err *err)
{
    if (text.n == 0 && file.n == 0)
        return err_set(err, ERR_INVALID, "missing one of %s or %s", name, file_name);
    if (text.n && file.n)
        return err_set(err, ERR_INVALID, "only one of %s and %s must be configured", name, file_name);
    return true;
}

static bool tls_is_configured(const struct web_tls_config *c)
{
    return c->cert.n || c->cert_file.n || c->key.n || c->key_file.n || c->client_auth_type.n || c->client_ca.n ||
           c->client_ca_file.n;
}

static bool tls_check(struct web_tls_config *c, struct err *err)
{
    if (!one_form(c->cert, "cert", c->cert_file, "cert_file", err) ||
        !one_form(c->key, "key", c->key_file, "key_file", err) || !client_auth_of(c, err))
        return false;
    bool ca = c->client_ca.n || c->client_ca_file.n;
    bool verifies =
        c->client_auth == WEB_CLIENT_AUTH_VERIFY_IF_GIVEN || c->client_auth == WEB_CLIENT_AUTH_REQUIRE_AND_VERIFY;
    if (c->client_ca.n && c->client_ca_file.n)
        return err_set(err, ERR_INVALID, "only one of client_ca and client_ca_file must be configured");
    if (ca && !verifies)
        return err_set(err, ERR_INVALID, "Client CA's have been configured without a Client Auth Policy");
    if (verifies && !ca)
        return err_set(err, ERR_INVALID, "Client Auth Policy %.*s needs a client CA", STR_ARG(c->client_auth_type));
    if (c->min_version && c->max_version && c->max_version < c->min_version)
        return err_set(err, ERR_INVALID, "max_version must be greater than or equal to min_version");
    return true;
}

static void tls_resolve(struct web_tls_config *c, struct str base, struct arena *a)
{
    c->cert_file = http_join_dir(a, base, c->cert_file);
    c->key_file = http_join_dir(a, base, c->key_file);
    c->client_ca_file = http_join_dir(a, base, c->client_ca_file);
}

/* ---- HTTP, users, rates ---- */

static const struct bind web_http_fields[] = {
    BIND_BOOL(struct web_http_config, http2, "http2", "HTTP/2 with TLS.", .fallback = "true",
              .inactive = "accepted, but HTTP/2 is not served"),
    BIND_STR_MAP(struct web_http_config, headers, "headers", "Headers of all responses."),
};
static const struct bind_type web_http_bind =
    BIND_TYPE("web.HTTPConfig", struct web_http_config, web_http_fields, .title = "http_server_config");

static const struct bind rate_fields[] = {
    BIND_GO_NS(struct web_rate_limit, interval_ns, "interval", "Time between requests; 0: no limit."),
    BIND_I64(struct web_rate_limit, burst, "burst", "Requests that may come at once."),
};
static const struct bind_type rate_bind =
    BIND_TYPE("web.RateLimiterConfig", struct web_rate_limit, rate_fields, .title = "rate_limit");

static const struct bind web_fields[] = {
    BIND_OBJECT(struct web_config, tls, "tls_server_config", "TLS of the server.", &web_tls_bind),
    BIND_OBJECT(struct web_config, http, "http_server_config", "HTTP of the server.", &web_http_bind),
    BIND_OBJECT(struct web_config, rate_limit, "rate_limit", "Limit of the rate of requests.", &rate_bind),
    BIND_STR_MAP(struct web_config, users, "basic_auth_users", "Users and the bcrypt hashes of their passwords.",
                 .secret = true, .go_type = "map[string]config.Secret"),
};
const struct bind_type web_config_bind =
    BIND_TYPE("web.Config", struct web_config, web_fields, .title = "web configuration file");

#define HEADER_VALUES_MAX 2

static bool headers_check(const struct str_map *headers, struct err *err)
{
    static const struct {
        struct str name;
        struct str values[HEADER_VALUES_MAX]; /* empty: any */
    } known[] = {
        { STR_INIT("Strict-Transport-Security"), { { 0 } } },
        { STR_INIT("X-Content-Type-Options"), { STR_INIT("nosniff") } },
        { STR_INIT("X-Frame-Options"), { STR_INIT("deny"), STR_INIT("sameorigin") } },
        { STR_INIT("X-XSS-Protection"), { { 0 } } },
        { STR_INIT("Content-Security-Policy"), { { 0 } } },
    };
    for (size_t i = 0; i < headers->n; i++) {
        struct str name = headers->v[i].key, value = headers->v[i].value;
        size_t k = 0;
        while (k < ARRAY_LEN(known) && !str_eq(known[k].name, name))
            k++;
        if (k == ARRAY_LEN(known))
            return err_set(err, ERR_INVALID, "HTTP header %s can not be configured", bind_quote(name).text);
        const struct str *values = known[k].values;
        if (values[0].n == 0 || str_eq(values[0], value) || (values[1].n && str_eq(values[1], value)))
            continue;
        return err_set(err, ERR_INVALID,
                       "invalid value for %.*s. Expected one of: [\"%.*s\"%s%.*s%s], but got: \"%.*s\"",
                       STR_ARG(name), STR_ARG(values[0]), values[1].n ? " \"" : "", STR_ARG(values[1]),
                       values[1].n ? "\"" : "", STR_ARG(value));
    }
    return true;
}

#define BCRYPT_BYTES_MIN 59
#define BCRYPT_COST_MIN  4
#define BCRYPT_COST_MAX  31

/* Is it a bcrypt hash, and if not, why, in the words of Go's library. */
static bool hash_check(struct str hash, struct err *err)
{
    int64_t cost;
    if (hash.n < BCRYPT_BYTES_MIN)
        return err_set(err, ERR_INVALID, "crypto/bcrypt: hashedSecret too short to be a bcrypted password");
    if (hash.p[0] != '$')
        return err_set(err, ERR_INVALID,
                       "crypto/bcrypt: bcrypt hashes must start with '$', but hashedSecret started with '%c'",
                       hash.p[0]);
    if (hash.p[1] > '2')
        return err_set(err, ERR_INVALID,
                       "crypto/bcrypt: bcrypt algorithm version '%c' requested is newer than current version '2'",
                       hash.p[1]);
    struct str digits = str_sub(hash, hash.p[2] == '$' ? 3 : 4, 2);
    if (!num_parse_i64(digits, 10, &cost))
        return err_set(err, ERR_INVALID, "strconv.Atoi: parsing %s: invalid syntax", bind_quote(digits).text);
    if (cost < BCRYPT_COST_MIN || cost > BCRYPT_COST_MAX)
        return err_set(err, ERR_INVALID, "crypto/bcrypt: cost %lld is outside allowed range (%d,%d)",
                       (long long)cost, BCRYPT_COST_MIN, BCRYPT_COST_MAX);
    return true;
}

static bool users_check(const struct str_map *users, struct err *err)
{
    for (size_t i = 0; i < users->n; i++)
        if (!hash_check(users->v[i].value, err))
            return false;
    return true;
}

/* ---- Files ---- */

/* Strings are borrowed from the document, which is given up here: everything moves into the caller's arena. */
static bool parse_file(struct arena *a, struct str text, struct notices *notices, const struct bind_type *type,
                       void *out, const struct yaml_node **root, struct yaml_doc *doc, struct err *err)
{
    struct binding b = { .arena = a, .notices = notices };
    if (text.n > WEB_CONFIG_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "web configuration is larger than %d bytes", WEB_CONFIG_BYTES_MAX);
    if (!yaml_parse(doc, text, err))
        return false;
    *root = doc->root;
    return bind_document(&b, type, doc->root, out, err);
}

static void keep(struct arena *a, struct str *s)
{
    if (s->p)
        *s = arena_str(a, *s);
}

static void keep_list(struct arena *a, struct str_list *list)
{
    struct str *v = arena_alloc_array(a, list->n, sizeof *v);
    for (size_t i = 0; i < list->n; i++)
        v[i] = arena_str(a, list->v[i]);
    list->v = list->v ? v : NULL;
}

static void keep_map(struct arena *a, struct str_map *m)
{
    struct str_pair *v = arena_alloc_array(a, m->n, sizeof *v);
    for (size_t i = 0; i < m->n; i++)
        v[i] = (struct str_pair){ arena_str(a, m->v[i].key), arena_str(a, m->v[i].value) };
    m->v = m->v ? v : NULL;
}

static void keep_tls(struct arena *a, struct web_tls_config *c)
{
    struct str *texts[] = { &c->cert,      &c->key,           &c->cert_file, &c->key_file, &c->client_auth_type,
                            &c->client_ca, &c->client_ca_file };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        keep(a, texts[i]);
    keep_list(a, &c->client_allowed_sans);
    keep_list(a, &c->cipher_suites);
    keep_list(a, &c->curve_preferences);
}

bool web_config_parse(struct arena *a, struct str text, struct str base, struct notices *notices,
                      struct web_config *out, struct err *err)
{
    struct yaml_doc doc = { 0 };
    const struct yaml_node *root = NULL;
    *out = (struct web_config){ 0 };
    bool ok = parse_file(a, text, notices, &web_config_bind, out, &root, &doc, err) &&
              headers_check(&out->http.headers, err) && users_check(&out->users, err);
    out->tls_enabled = ok && tls_is_configured(&out->tls);
    ok = ok && (!out->tls_enabled || tls_check(&out->tls, err));
    if (ok) {
        keep_tls(a, &out->tls);
        keep_map(a, &out->http.headers);
        keep_map(a, &out->users);
        tls_resolve(&out->tls, base, a);
    }
    yaml_doc_deinit(&doc);
    return ok;
}

struct cluster_file {
    struct web_tls_config *server;
    struct http_tls_config *client;
};
static const struct bind cluster_fields[] = {
    BIND_POINTER(struct cluster_file, server, "tls_server_config", "TLS toward members that connect here.",
                 &cluster_server_bind),
    BIND_POINTER(struct cluster_file, client, "tls_client_config", "TLS toward members that this one connects to.",
                 &http_tls_config_bind),
};
const struct bind_type cluster_tls_config_bind =
    BIND_TYPE("cluster.TLSTransportConfig", struct cluster_file, cluster_fields, .title = "cluster TLS file");

static void keep_client(struct arena *a, struct http_tls_config *c)
{
    struct str *texts[] = { &c->ca,       &c->cert,   &c->key,      &c->ca_file, &c->cert_file,
                            &c->key_file, &c->ca_ref, &c->cert_ref, &c->key_ref, &c->server_name };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        keep(a, texts[i]);
}

static bool cluster_check(const struct cluster_file *f, const struct yaml_node *root,
                          struct cluster_tls_config *out, struct err *err)
{
    const struct yaml_node *client = yaml_get(root, STR("tls_client_config"));
    if (!f->server)
        return err_set(err, ERR_INVALID, "missing 'tls_server_config' entry in the TLS configuration");
    if (client && bind_is_null(client))
        return err_set(err, ERR_INVALID, "missing 'tls_client_config' entry in the TLS configuration");
    out->server = *f->server;
    if (f->client)
        out->client = *f->client;
    return tls_check(&out->server, err);
}

bool cluster_tls_config_parse(struct arena *a, struct str text, struct str base, struct notices *notices,
                              struct cluster_tls_config *out, struct err *err)
{
    struct yaml_doc doc = { 0 };
    const struct yaml_node *root = NULL;
    struct cluster_file file = { 0 };
    *out = (struct cluster_tls_config){ 0 };
    bool ok = parse_file(a, text, notices, &cluster_tls_config_bind, &file, &root, &doc, err) &&
              cluster_check(&file, root, out, err);
    if (ok) {
        keep_tls(a, &out->server);
        keep_client(a, &out->client);
        tls_resolve(&out->server, base, a);
        http_tls_config_resolve(&out->client, base, a);
    }
    yaml_doc_deinit(&doc);
    return ok;
}
