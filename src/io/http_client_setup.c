/* One request as options of a libcurl handle: method, headers, credentials, TLS, proxy.
 *
 * libcurl is left no habits of its own: no Accept, Expect or default Content-Type, no look at the environment, no
 * following of redirects, no signals. */
#include "base/mem.h"
#include "base/num.h"
#include "http/auth.h"
#include "http/header.h"
#include "io/fs_posix.h"
#include "io/http_client_int.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CREDENTIAL_BYTES_MAX = 64 * 1024,
    HEADERS_BYTES_MAX = 1024 * 1024, /* of an answer, as Go's Transport */
    DISCARD_BYTES_MAX = 64 * 1024,   /* of the body of a redirect */
    CONNECT_TIMEOUT_S = 30,
    SMALL_BYTES_MAX = 64 * 1024, SMALL_BUFFER_BYTES = 4096, /* short answers need no 16 KiB of buffer a call */
};

/* curl_global_init() starts libssh2, and that all of OpenSSL: 1.7 MiB resident and half a millisecond for protocols that no
 * call here may use. libssh2 leaves its crypto alone if whoever starts it first asks for that. It is looked up by name,
 * because it comes with libcurl or not at all. */
static void leave_ssh_alone(void)
{
    enum { LIBSSH2_INIT_NO_CRYPTO = 1 };
    int (*start)(int flags) = NULL;
    void *found = dlsym(RTLD_DEFAULT, "libssh2_init");
    memcpy(&start, &found, sizeof start);
    if (start)
        (void)start(LIBSSH2_INIT_NO_CRYPTO);
}

void http_client_library_start(void)
{
    leave_ssh_alone();
    CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);
    ASSERT(rc == CURLE_OK);
}

bool read_credential(struct arena *a, struct str inline_text, struct str file, struct str *out, struct err *err)
{
    if (file.n == 0 || inline_text.n) {
        *out = inline_text;
        return true;
    }
    struct buf b = { 0 };
    bool ok = fs_read_file(fs_posix(), file, CREDENTIAL_BYTES_MAX, &b, err);
    if (ok)
        *out = arena_str(a, str_trim(buf_view(&b)));
    else
        err_wrap(err, "unable to read file %.*s", STR_ARG(file));
    if (b.p)
        explicit_bzero(b.p, b.n);
    buf_deinit(&b);
    return ok;
}

/* ---- Headers ---- */

/* A list like curl_slist_append()'s, in the call's arena; so is `line`, or it is a literal. libcurl only reads them. */
static void append(struct http_call_state *s, struct curl_slist **list, const char *line)
{
    struct curl_slist *more = ARENA_NEW(&s->arena, struct curl_slist);
    more->data = (char *)(uintptr_t)line;
    while (*list)
        list = &(*list)->next;
    *list = more;
}

static bool add_header(struct http_call_state *s, struct curl_slist **list, struct str name, struct str value,
                       struct err *err)
{
    if (!http_header_name_valid(name))
        return err_set(err, ERR_INVALID, "net/http: invalid header field name \"%.*s\"", STR_ARG(name));
    if (!http_header_value_valid(value))
        return err_set(err, ERR_INVALID, "net/http: invalid header field value for \"%.*s\"", STR_ARG(name));
    struct str separator = value.n ? STR(": ") : STR(";");
    append(s, list, arena_concat(&s->arena, (struct str[]){ name, separator, value }, 3).p);
    return true;
}

static bool given(const struct http_call *call, struct str name)
{
    for (size_t i = 0; i < call->headers_count; i++)
        if (str_eq_nocase(call->headers[i].name, name))
            return true;
    return false;
}

static bool is_secret_header(struct str name)
{
    return str_eq_nocase(name, STR("Authorization")) || str_eq_nocase(name, STR("Cookie")) ||
           str_eq_nocase(name, STR("Cookie2")) || str_eq_nocase(name, STR("Www-Authenticate"));
}

static bool is_body_header(struct str name)
{
    return name.n > 8 && str_eq_nocase(str_sub(name, 0, 8), STR("Content-"));
}

/* The caller's own, less what a redirect takes away. */
static bool add_own_headers(struct http_call_state *s, struct err *err)
{
    const struct http_call *call = s->call;
    bool body_dropped = s->redirects > 0 && s->body.n == 0 && call->body.n > 0;
    for (size_t i = 0; i < call->headers_count; i++) {
        const struct http_header *h = &call->headers[i];
        if ((s->cross_host && is_secret_header(h->name)) || (body_dropped && is_body_header(h->name)) ||
            str_eq_nocase(h->name, STR("Content-Length")))
            continue;
        if (!add_header(s, &s->headers, h->name, h->value, err))
            return false;
    }
    return true;
}

static bool add_configured_headers(struct http_call_state *s, const struct http_client_config *c, struct err *err)
{
    for (size_t i = 0; i < c->http_headers_count; i++) {
        const struct http_header_config *h = &c->http_headers[i];
        for (size_t j = 0; j < h->values.n; j++)
            if (!add_header(s, &s->headers, h->name, h->values.v[j], err))
                return false;
        for (size_t j = 0; j < h->secrets.n && !s->cross_host; j++)
            if (!add_header(s, &s->headers, h->name, h->secrets.v[j], err))
                return false;
        for (size_t j = 0; j < h->files.n && !s->cross_host; j++) {
            struct str value;
            if (!read_credential(&s->arena, STR_EMPTY, h->files.v[j], &value, err))
                return err_wrap(err, "unable to read headers file");
            if (!add_header(s, &s->headers, h->name, value, err))
                return false;
        }
    }
    return true;
}

static bool add_basic(struct http_call_state *s, struct str user, struct str password, struct err *err)
{
    struct buf b = { 0 };
    http_basic_write(&b, user, password);
    bool ok = add_header(s, &s->headers, STR("Authorization"), buf_view(&b), err);
    explicit_bzero(b.p, b.n);
    buf_deinit(&b);
    return ok;
}

static bool add_authorization(struct http_call_state *s, const struct http_client_config *c, struct err *err)
{
    struct str user, secret;
    if (s->authorization.n && !s->cross_host)
        return add_header(s, &s->headers, STR("Authorization"), s->authorization, err);
    if (given(s->call, STR("Authorization")))
        return true;
    if (c && c->authorization && !s->cross_host) {
        if (!read_credential(&s->arena, c->authorization->credentials, c->authorization->credentials_file, &secret, err))
            return err_wrap(err, "unable to read authorization credentials");
        struct str type = c->authorization->type.n ? c->authorization->type : STR("Bearer");
        return add_header(s, &s->headers, STR("Authorization"),
                          arena_printf(&s->arena, "%.*s %.*s", STR_ARG(type), STR_ARG(secret)), err);
    }
    if (c && c->basic_auth && !s->cross_host) {
        const struct http_basic_auth *b = c->basic_auth;
        if (!read_credential(&s->arena, b->username, b->username_file, &user, err))
            return err_wrap(err, "unable to read basic auth username");
        if (!read_credential(&s->arena, b->password, b->password_file, &secret, err))
            return err_wrap(err, "unable to read basic auth password");
        return add_basic(s, user, secret, err);
    }
    if (s->url.has_user)
        return add_basic(s, s->url.user, s->url.password, err);
    return true;
}

static bool add_headers(struct http_call_state *s, const struct http_client_config *c, struct err *err)
{
    const struct http_call *call = s->call;
    if (!add_own_headers(s, err) || !add_authorization(s, c, err) || (c && !add_configured_headers(s, c, err)))
        return false;
    if (!given(call, STR("User-Agent")) && s->client->user_agent.n &&
        !add_header(s, &s->headers, STR("User-Agent"), s->client->user_agent, err))
        return false;
    if (s->referer.n && !given(call, STR("Referer")) && !add_header(s, &s->headers, STR("Referer"), s->referer, err))
        return false;
    if (!given(call, STR("Accept")))
        append(s, &s->headers, "Accept:");
    if (!given(call, STR("Content-Type")) || s->body.n == 0)
        append(s, &s->headers, "Content-Type:");
    append(s, &s->headers, "Expect:");
    return true;
}

/* ---- TLS ---- */

static long min_version(int v)
{
    static const long versions[] = {
        [HTTP_TLS_DEFAULT] = CURL_SSLVERSION_TLSv1_2, [HTTP_TLS_10] = CURL_SSLVERSION_TLSv1_0,
        [HTTP_TLS_11] = CURL_SSLVERSION_TLSv1_1,      [HTTP_TLS_12] = CURL_SSLVERSION_TLSv1_2,
        [HTTP_TLS_13] = CURL_SSLVERSION_TLSv1_3,
    };
    ASSERT(v >= 0 && v < (int)ARRAY_LEN(versions));
    return versions[v];
}

static long max_version(int v)
{
    static const long versions[] = {
        [HTTP_TLS_DEFAULT] = CURL_SSLVERSION_MAX_DEFAULT, [HTTP_TLS_10] = CURL_SSLVERSION_MAX_TLSv1_0,
        [HTTP_TLS_11] = CURL_SSLVERSION_MAX_TLSv1_1,      [HTTP_TLS_12] = CURL_SSLVERSION_MAX_TLSv1_2,
        [HTTP_TLS_13] = CURL_SSLVERSION_MAX_TLSv1_3,
    };
    ASSERT(v >= 0 && v < (int)ARRAY_LEN(versions));
    return versions[v];
}

/* libcurl takes the name for SNI and verification from the URL: so the URL gets the configured name, CONNECT_TO the real
 * host, and the Host header the original text. */
static bool rename_host(struct http_call_state *s, struct str name, struct http_url *u, struct err *err)
{
    struct str port = http_url_port(&s->url), host = http_url_hostname(&s->url);
    if (port.n == 0)
        port = STR("443");
    bool v6 = str_find_byte(host, ':') != STR_NPOS;
    struct str where = arena_printf(&s->arena, "%.*s:%.*s:%s%.*s%s:%.*s", STR_ARG(name), STR_ARG(port), v6 ? "[" : "",
                                    STR_ARG(host), v6 ? "]" : "", STR_ARG(port));
    append(s, &s->connect_to, where.p);
    u->host = arena_printf(&s->arena, "%.*s:%.*s", STR_ARG(name), STR_ARG(port));
    return given(s->call, STR("Host")) || add_header(s, &s->headers, STR("Host"), s->url.host, err);
}

static struct str certificate_name(const struct http_call_state *s)
{
    const struct http_client_config *c = s->call->config;
    return c && c->tls_config.server_name.n ? c->tls_config.server_name : http_url_hostname(&s->url);
}

/* Connected, and nothing of the request sent yet: is it the right server? */
static int before_request(void *arg, char *remote, char *local, int remote_port, int local_port)
{
    struct http_call_state *s = arg;
    struct curl_tlssessioninfo *info = NULL;
    (void)remote, (void)local, (void)remote_port, (void)local_port;
    if (!s->call)
        return CURL_PREREQFUNC_ABORT;
    curl_easy_getinfo(s->easy, CURLINFO_TLS_SSL_PTR, &info);
    bool ok = info && info->backend == CURLSSLBACKEND_GNUTLS && info->internals;
    if (!ok)
        err_set(&s->err, ERR_IO, "tls: failed to verify certificate: no session");
    else
        ok = trust_verify(s->trust, info->internals, certificate_name(s), &s->err);
    if (ok)
        return CURL_PREREQFUNC_OK;
    curl_easy_setopt(s->easy, CURLOPT_FORBID_REUSE, 1L);
    return CURL_PREREQFUNC_ABORT;
}

static bool get_client_certificate(struct http_call_state *s, const struct http_tls_config *t, struct err *err)
{
    struct material_cache *cache = s->client->materials;
    if (s->materials[CALL_CERTIFICATE] || s->materials[CALL_KEY])
        return true; /* the proxy has them already */
    if (!material_get(cache, t->cert, t->cert_file, &s->materials[CALL_CERTIFICATE], err))
        return err_wrap(err, "unable to read specified client cert (%.*s)", STR_ARG(t->cert_file));
    return material_get(cache, t->key, t->key_file, &s->materials[CALL_KEY], err) ||
           err_wrap(err, "unable to read specified client key (%.*s)", STR_ARG(t->key_file));
}

static bool set_tls(struct http_call_state *s, const struct http_tls_config *t, struct err *err)
{
    struct material_cache *cache = s->client->materials;
    CURL *e = s->easy;
    if (t->min_version && t->max_version && t->min_version > t->max_version)
        return err_set(err, ERR_INVALID, "tls_config.max_version must be greater than or equal to tls_config.min_version "
                                         "if both are specified");
    if (!t->insecure_skip_verify && !trust_get(cache, t->ca, t->ca_file, &s->trust, err))
        return t->ca_file.n && err->code != ERR_INVALID ? err_wrap(err, "unable to read CA cert") : false;
    if (!get_client_certificate(s, t, err))
        return false;
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L); /* before_request() does that */
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L); /* a resumed session would show no chain */
    curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(e, CURLOPT_CAPATH, arena_printf(&s->arena, "%s%.*s", s->trust ? trust_label(s->trust) : "/insecure",
                                                     STR_ARG(s->proxy_label))
                                            .p);
    if (s->trust) {
        curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, before_request);
        curl_easy_setopt(e, CURLOPT_PREREQDATA, s);
    }
    if (s->materials[CALL_CERTIFICATE]) {
        curl_easy_setopt(e, CURLOPT_SSLCERT, material_path(s->materials[CALL_CERTIFICATE]));
        curl_easy_setopt(e, CURLOPT_SSLCERTTYPE, "PEM");
    }
    if (s->materials[CALL_KEY])
        curl_easy_setopt(e, CURLOPT_SSLKEY, material_path(s->materials[CALL_KEY]));
    curl_easy_setopt(e, CURLOPT_SSLVERSION, min_version(t->min_version) | max_version(t->max_version));
    return true;
}

/* ---- Proxy ---- */

static const char *material_name(const struct http_call_state *s, enum call_material which)
{
    return s->materials[which] ? material_path(s->materials[which]) : "-";
}

/* TLS to the proxy itself: by the same block as TLS to the server, as Go's Transport does. libcurl verifies this one. */
static bool set_proxy_tls(struct http_call_state *s, const struct http_tls_config *t, struct err *err)
{
    CURL *e = s->easy;
    curl_easy_setopt(e, CURLOPT_PROXY_SSL_VERIFYPEER, t->insecure_skip_verify ? 0L : 1L);
    curl_easy_setopt(e, CURLOPT_PROXY_SSL_VERIFYHOST, t->insecure_skip_verify ? 0L : 2L);
    curl_easy_setopt(e, CURLOPT_PROXY_SSLVERSION, min_version(t->min_version) | max_version(t->max_version));
    if (!material_get(s->client->materials, t->ca, t->ca_file, &s->materials[CALL_PROXY_AUTHORITIES], err))
        return err_wrap(err, "unable to read CA cert");
    if (s->materials[CALL_PROXY_AUTHORITIES]) {
        curl_easy_setopt(e, CURLOPT_PROXY_CAINFO, material_path(s->materials[CALL_PROXY_AUTHORITIES]));
        curl_easy_setopt(e, CURLOPT_PROXY_CAPATH, NULL);
    }
    if (!get_client_certificate(s, t, err))
        return false;
    if (s->materials[CALL_CERTIFICATE])
        curl_easy_setopt(e, CURLOPT_PROXY_SSLCERT, material_path(s->materials[CALL_CERTIFICATE]));
    if (s->materials[CALL_KEY])
        curl_easy_setopt(e, CURLOPT_PROXY_SSLKEY, material_path(s->materials[CALL_KEY]));
    /* Looking for a connection to reuse for a plain URL, libcurl 7.88 compares what is set for the server's TLS instead of
     * the proxy's: so that tells the difference. For https:// set_tls() replaces it, and both are compared. */
    curl_easy_setopt(e, CURLOPT_CAPATH, arena_printf(&s->arena, "/proxy/%.*s/%d/%d/%d/%s/%s/%s", STR_ARG(s->proxy_host),
                                                     t->insecure_skip_verify, t->min_version, t->max_version,
                                                     material_name(s, CALL_PROXY_AUTHORITIES),
                                                     material_name(s, CALL_CERTIFICATE), material_name(s, CALL_KEY))
                                            .p);
    return true;
}

/* Go's Transport calls a proxy over TLS by tls_config.server_name, too, if there is one: SNI and certificate. libcurl knows
 * one name for that and for the address: it is given the configured one, and later (call_place_proxy()) where that is. */
static bool rename_proxy(struct http_call_state *s, struct str name, struct str *proxy, struct err *err)
{
    struct http_url u;
    struct buf b = { 0 };
    if (!http_url_parse(&s->arena, *proxy, &u, err))
        return false;
    struct str port = http_url_port(&u);
    uint64_t number = 443;
    if (port.n > 0 && (!num_parse_u64(port, 10, &number) || number > UINT16_MAX))
        return err_set(err, ERR_INVALID, "proxyconnect tcp: dial tcp: address %.*s: invalid port", STR_ARG(port));
    s->proxy_host = http_url_hostname(&u);
    s->proxy_port = (uint16_t)number;
    s->proxy_name = name;
    bool v6 = str_find_byte(name, ':') != STR_NPOS;
    u.host = arena_printf(&s->arena, v6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(name), (unsigned)number);
    http_url_write(&b, &u);
    *proxy = arena_str(&s->arena, buf_view(&b));
    buf_deinit(&b);
    return true;
}

void call_place_proxy(struct http_call_state *s, const struct addr *addrs, size_t count)
{
    struct buf b = { 0 };
    bool v6 = str_find_byte(s->proxy_name, ':') != STR_NPOS;
    buf_printf(&b, v6 ? "[%.*s]:%u:" : "%.*s:%u:", STR_ARG(s->proxy_name), (unsigned)s->proxy_port);
    for (size_t i = 0; i < count; i++) {
        bool six = addrs[i].ip.n == 16;
        buf_c(&b, i > 0 ? "," : "");
        buf_c(&b, six ? "[" : "");
        ip_write(&b, &addrs[i].ip);
        buf_c(&b, six ? "]" : "");
    }
    append(s, &s->resolve, arena_cstr(&s->arena, buf_view(&b)));
    buf_deinit(&b);
    s->share = curl_share_init();
    ASSERT(s->share != NULL);
    curl_share_setopt(s->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_easy_setopt(s->easy, CURLOPT_SHARE, s->share);
    curl_easy_setopt(s->easy, CURLOPT_RESOLVE, s->resolve);
}

void call_unshare(struct http_call_state *s)
{
    if (s->share)
        curl_easy_setopt(s->easy, CURLOPT_SHARE, NULL);
}

/* libcurl lends a tunnel to anyone who goes the same way. Who asked with other words must have asked himself. */
static void label_tunnel(struct http_call_state *s, struct str proxy)
{
    uint8_t digest[SHA256_BYTES];
    struct buf b = { 0 };
    buf_str(&b, proxy);
    for (const struct curl_slist *h = s->proxy_headers; h; h = h->next) {
        buf_byte(&b, '\n');
        buf_c(&b, h->data);
    }
    hash_sha256(buf_view(&b), digest);
    explicit_bzero(b.p, b.n);
    buf_deinit(&b);
    uint64_t head;
    memcpy(&head, digest, sizeof head);
    s->proxy_label = arena_printf(&s->arena, "/%016llx", (unsigned long long)head);
}

static bool set_proxy(struct http_call_state *s, const struct http_proxy_config *p, const struct http_tls_config *tls,
                      struct err *err)
{
    struct str proxy = STR_EMPTY;
    if (p && p->proxy_from_environment) {
        if (!http_proxy_for(&s->arena, &s->client->env_proxy, &s->url, &proxy, err))
            return false;
    } else if (p && p->proxy_url.n) {
        const struct http_proxy_rules rules = { .http_proxy = p->proxy_url, .https_proxy = p->proxy_url,
                                                .no_proxy = p->no_proxy };
        if (p->no_proxy.n == 0)
            proxy = p->proxy_url; /* without exceptions localhost goes through it as well */
        else if (!http_proxy_for(&s->arena, &rules, &s->url, &proxy, err))
            return false;
    }
    const struct str asked = proxy;
    s->proxied = proxy.n > 0;
    s->proxy_label = s->proxy_host = STR_EMPTY;
    if (str_starts(proxy, STR("https://")) && tls->server_name.n && !rename_proxy(s, tls->server_name, &proxy, err))
        return false;
    if (str_starts(proxy, STR("socks5://"))) /* names are resolved by the proxy, as Go does */
        proxy = arena_printf(&s->arena, "socks5h%.*s", STR_ARG(str_from(proxy, 6)));
    curl_easy_setopt(s->easy, CURLOPT_PROXY, s->proxied ? arena_cstr(&s->arena, proxy) : "");
    curl_easy_setopt(s->easy, CURLOPT_NOPROXY, "");
    if (str_starts(proxy, STR("https://")) && !set_proxy_tls(s, tls, err))
        return false;
    if (!s->proxied || !p || !str_eq(s->url.scheme, STR("https")))
        return true;
    for (size_t i = 0; i < p->proxy_connect_header.n; i++)
        for (size_t j = 0; j < p->proxy_connect_header.v[i].values.n; j++)
            if (!add_header(s, &s->proxy_headers, p->proxy_connect_header.v[i].key,
                            p->proxy_connect_header.v[i].values.v[j], err))
                return false;
    curl_easy_setopt(s->easy, CURLOPT_PROXYHEADER, s->proxy_headers);
    label_tunnel(s, asked);
    return true;
}

/* ---- Callbacks ---- */

static int open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct http_call_state *s = arg;
    (void)purpose;
    if (!s->has_dialed)
        s->has_dialed = addr_from_sockaddr(&s->dialed, &a->addr);
    int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
    if (fd >= 0)
        http_watch_open(s->client, fd);
    return fd;
}

static size_t on_header(char *p, size_t size, size_t count, void *arg)
{
    struct http_call_state *s = arg;
    struct str line = str_of(p, size * count);
    size_t all = line.n;
    if (str_starts(line, STR("HTTP/"))) { /* of the final answer, or of a 1xx before it */
        s->answer_headers_count = 0;
        s->answer_headers_bytes = 0;
        return all;
    }
    size_t colon = str_find_byte(line, ':');
    if (colon == STR_NPOS || colon == 0)
        return all;
    s->answer_headers_bytes += all;
    if (s->answer_headers_bytes > HEADERS_BYTES_MAX)
        return 0;
    if (s->answer_headers_count == s->answer_headers_capacity) {
        s->answer_headers_capacity = mem_grow(s->answer_headers_capacity, s->answer_headers_count + 1);
        s->answer_headers = mem_realloc_array(s->answer_headers, s->answer_headers_capacity, sizeof *s->answer_headers);
    }
    s->answer_headers[s->answer_headers_count++] = (struct http_header){
        arena_str(&s->arena, str_sub(line, 0, colon)), arena_str(&s->arena, str_trim(str_from(line, colon + 1)))
    };
    return all;
}

static bool is_redirect(struct http_call_state *s)
{
    long status = 0;
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
        return false;
    const struct http_client_config *c = s->call->config;
    if (c && !c->follow_redirects)
        return false;
    for (size_t i = 0; i < s->answer_headers_count; i++)
        if (str_eq_nocase(s->answer_headers[i].name, STR("Location")))
            return true;
    return false;
}

static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
    struct http_call_state *s = arg;
    size_t n = size * count;
    if (!s->call)
        return 0;
    if (is_redirect(s)) {
        s->body_bytes += n;
        s->cut = s->body_bytes > DISCARD_BYTES_MAX;
        return s->cut ? 0 : n;
    }
    if (s->call->piece) {
        s->stopped = !s->call->piece(s->call->arg, str_of(p, n));
        return s->stopped ? 0 : n;
    }
    size_t limit = s->call->response_bytes_max ? s->call->response_bytes_max : 64 * 1024;
    size_t room = limit - s->body_bytes, take = n < room ? n : room;
    buf_append(s->call->body_into ? s->call->body_into : &s->body_own, p, take);
    s->body_bytes += take;
    s->cut = take < n;
    return s->cut ? 0 : n;
}

/* ---- All of it ---- */

static void set_method(struct http_call_state *s)
{
    CURL *e = s->easy;
    const char *method = arena_cstr(&s->arena, s->method);
    if (str_eq(s->method, STR("GET")) && s->body.n == 0) {
        curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
        return;
    }
    if (str_eq(s->method, STR("HEAD"))) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
        return;
    }
    if (s->body.n || str_eq(s->method, STR("POST")) || str_eq(s->method, STR("PUT")) || str_eq(s->method, STR("PATCH"))) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, s->body.n ? s->body.p : "");
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)s->body.n);
    }
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
}

bool call_setup(struct http_call_state *s, struct err *err)
{
    const struct http_client_config *c = s->call->config;
    static const struct http_tls_config no_tls;
    CURL *e = s->easy;
    struct http_url u = s->url;
    s->has_dialed = false;
    s->error_text[0] = 0;
    s->answer_headers_count = 0;
    s->body_bytes = 0;
    s->cut = s->stopped = false;
    curl_easy_setopt(e, CURLOPT_PRIVATE, s);
    if (s->call->response_bytes_max <= SMALL_BYTES_MAX && !s->call->piece)
        curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)SMALL_BUFFER_BYTES);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, s->error_text);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
                     (long)(!c || c->enable_http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, s);
    curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, http_watch_close);
    curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, s->client); /* the connection outlives the call */
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, s);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, s);
    set_method(s);
    const struct http_tls_config *tls = c ? &c->tls_config : &no_tls;
    if (!add_headers(s, c, err) || !set_proxy(s, c ? &c->proxy : NULL, tls, err))
        return false;
    if (str_eq(u.scheme, STR("https")) && !set_tls(s, tls, err))
        return false;
    if (str_eq(u.scheme, STR("https")) && c && c->tls_config.server_name.n &&
        !rename_host(s, c->tls_config.server_name, &u, err))
        return false;
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, s->headers);
    if (s->connect_to)
        curl_easy_setopt(e, CURLOPT_CONNECT_TO, s->connect_to);

    struct buf text = { 0 };
    u.has_user = u.has_password = false; /* already in the Authorization header */
    u.fragment = u.raw_fragment = STR_EMPTY;
    http_url_write(&text, &u);
    CURLcode rc = curl_easy_setopt(e, CURLOPT_URL, text.p);
    buf_deinit(&text);
    return rc == CURLE_OK || err_set(err, ERR_IO, "%s", curl_easy_strerror(rc));
}

void call_teardown(struct http_call_state *s)
{
    s->headers = s->proxy_headers = s->connect_to = s->resolve = NULL;
    if (s->lookup)
        dns_cancel(s->lookup);
    s->lookup = NULL;
    if (s->share)
        curl_share_cleanup(s->share);
    s->share = NULL;
    trust_release(s->trust);
    s->trust = NULL;
    for (size_t i = 0; i < CALL_MATERIALS; i++) {
        material_release(s->client->materials, s->materials[i]);
        s->materials[i] = NULL;
    }
}
