/* libcurl's failures in the words of Go's net/http: users know them, and search for them. */
#include "io/http_client_int.h"

#include <errno.h>
#include <string.h>

static struct str dialed(struct http_call_state *s)
{
    struct buf b = { 0 };
    if (s->has_dialed)
        addr_write(&b, &s->dialed);
    struct str text = arena_str(&s->arena, buf_view(&b));
    buf_deinit(&b);
    return text;
}

static int os_errno(struct http_call_state *s)
{
    long e = 0;
    curl_easy_getinfo(s->easy, CURLINFO_OS_ERRNO, &e);
    return (int)e;
}

static bool has(struct http_call_state *s, const char *text)
{
    return strstr(s->error_text, text) != NULL;
}

static void explain_connect(struct http_call_state *s, struct err *err)
{
    int e = os_errno(s);
    if (s->has_dialed && e)
        err_errno(err, e, "dial tcp %.*s: connect", STR_ARG(dialed(s)));
    else
        err_set(err, ERR_IO, "dial tcp %.*s: connect: connection refused", STR_ARG(dialed(s)));
    err->code = ERR_IO;
}

static void explain_timeout(struct http_call_state *s, struct err *err)
{
    curl_off_t connected = 0;
    curl_easy_getinfo(s->easy, CURLINFO_CONNECT_TIME_T, &connected);
    if (connected > 0)
        err_set(err, ERR_TIMEOUT, "net/http: TLS handshake timeout");
    else if (s->has_dialed)
        err_set(err, ERR_TIMEOUT, "dial tcp %.*s: i/o timeout", STR_ARG(dialed(s)));
    else
        err_set(err, ERR_TIMEOUT, "dial tcp: lookup %.*s: i/o timeout", STR_ARG(http_url_hostname(&s->url)));
}

static void explain_handshake(struct http_call_state *s, struct err *err)
{
    if (has(s, "unexpected TLS packet"))
        err_set(err, ERR_IO, "http: server gave HTTP response to HTTPS client");
    else if (has(s, "non-properly terminated") || has(s, "in the pull function") || has(s, "connection reset"))
        err_set(err, ERR_IO, "EOF");
    else if (has(s, "fatal alert"))
        err_set(err, ERR_IO, "remote error: tls: handshake failure");
    else
        err_set(err, ERR_IO, "tls: %s", s->error_text[0] ? s->error_text : "handshake failure");
}

static void write_end(struct http_call_state *s, CURLINFO ip_info, CURLINFO port_info, struct buf *out)
{
    char *ip = NULL;
    long port = 0;
    struct addr a = { 0 };
    curl_easy_getinfo(s->easy, ip_info, &ip);
    curl_easy_getinfo(s->easy, port_info, &port);
    if (!ip || !ip_parse(str_c(ip), &a.ip))
        return;
    a.port = (uint16_t)port;
    addr_write(out, &a);
}

/* "read tcp 127.0.0.1:50312->127.0.0.1:80: read: connection reset by peer". The call may have dialed nothing itself: a
 * connection that was kept alive. */
static void explain_stream(struct http_call_state *s, const char *verb, int fallback, struct err *err)
{
    struct buf b = { 0 };
    write_end(s, CURLINFO_LOCAL_IP, CURLINFO_LOCAL_PORT, &b);
    buf_c(&b, "->");
    write_end(s, CURLINFO_PRIMARY_IP, CURLINFO_PRIMARY_PORT, &b);
    int e = os_errno(s);
    err_errno(err, e ? e : fallback, "%s tcp %.*s: %s", verb, STR_ARG(buf_view(&b)), verb);
    err->code = ERR_IO;
    buf_deinit(&b);
}

/* A proxy that refused CONNECT: Go says the text of its status. */
static bool explain_proxy_refusal(struct http_call_state *s, struct err *err)
{
    long code = 0;
    curl_easy_getinfo(s->easy, CURLINFO_HTTP_CONNECTCODE, &code);
    if (code < 300)
        return false;
    struct str text = http_status_text((int)code);
    err_set(err, ERR_IO, "%.*s", STR_ARG(text.n ? text : STR("unknown status code")));
    return true;
}

void call_explain(struct http_call_state *s, CURLcode code, struct err *err)
{
    bool connect = false;
    if (s->proxied && explain_proxy_refusal(s, err))
        return;
    if (code == CURLE_COULDNT_RESOLVE_HOST) {
        err_set(err, ERR_IO, "dial tcp: lookup %.*s: no such host", STR_ARG(http_url_hostname(&s->url)));
    } else if (code == CURLE_COULDNT_RESOLVE_PROXY) {
        err_set(err, ERR_IO, "dial tcp: lookup of the proxy: no such host");
        connect = true;
    } else if (code == CURLE_COULDNT_CONNECT) {
        explain_connect(s, err);
        connect = true;
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        explain_timeout(s, err);
    } else if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_ISSUER_ERROR) { /* an HTTPS proxy's */
        err_set(err, ERR_IO, "tls: failed to verify certificate: x509: certificate signed by unknown authority");
    } else if (code == CURLE_SSL_CONNECT_ERROR) {
        explain_handshake(s, err);
    } else if (code == CURLE_SSL_CERTPROBLEM) {
        err_set(err, ERR_INVALID, "unable to use specified client cert and key");
    } else if (code == CURLE_GOT_NOTHING) {
        err_set(err, ERR_IO, "EOF");
    } else if (code == CURLE_RECV_ERROR && has(s, "TLS")) {
        explain_handshake(s, err);
    } else if (code == CURLE_RECV_ERROR) {
        explain_stream(s, "read", ECONNRESET, err);
    } else if (code == CURLE_SEND_ERROR) {
        explain_stream(s, "write", EPIPE, err);
    } else if (code == CURLE_PARTIAL_FILE) {
        err_set(err, ERR_IO, "unexpected EOF");
    } else if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY) {
        err_set(err, ERR_IO, "net/http: HTTP/1.x transport connection broken: malformed HTTP response");
    } else if (code == CURLE_WRITE_ERROR && s->stopped) {
        err_set(err, ERR_CANCELLED, "context canceled");
    } else {
        err_set(err, ERR_IO, "%s", s->error_text[0] ? s->error_text : curl_easy_strerror(code));
    }
    if (connect && s->proxied)
        err_wrap(err, "proxyconnect tcp");
}
