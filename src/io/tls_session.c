/* TLS sessions over a non-blocking descriptor, and what went wrong with them in Go's words.
 *
 * T3  A session of ours finds its context through gnutls_db_get_ptr(): the session pointer belongs to libmicrohttpd in
 *     sessions that it made, and we use no session database.
 * T4  One call of tls_session_write() is one record. A record that did not fit the socket is kept by GnuTLS and must be
 *     pushed on with the same bytes. */
#include "base/mem.h"
#include "http/ip.h"
#include "io/tls_int.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <string.h>

struct tls_session {
    gnutls_session_t gnutls;
    struct tls_client *client; /* one of the two, retained */
    struct tls_server *server;
    struct str name; /* what the certificate must be for; owned */
    struct err refused;
    bool handshake_done;
};

/* ---- Certificates ---- */

/* The names of a certificate: DNS, IP, e-mail, URI; calls visit with each until it returns true. */
static bool any_name(gnutls_x509_crt_t crt, bool (*visit)(void *arg, struct str name), void *arg)
{
    for (unsigned i = 0;; i++) {
        char text[1024];
        size_t n = sizeof text;
        int type = gnutls_x509_crt_get_subject_alt_name2(crt, i, text, &n, NULL, NULL);
        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            return false;
        if (type < 0)
            continue;
        struct buf b = { 0 };
        struct str name = str_of(text, n);
        struct ip ip = { .n = (uint8_t)(n == 4 ? 4 : 16) };
        if (type == GNUTLS_SAN_IPADDRESS && (n == 4 || n == 16)) {
            memcpy(ip.b, text, n);
            ip_write(&b, &ip);
            name = buf_view(&b);
        } else if (name.n && name.p[name.n - 1] == 0) {
            name.n--;
        }
        bool stop = visit(arg, name);
        buf_deinit(&b);
        if (stop)
            return true;
    }
}

static bool peer_certificate(gnutls_session_t session, gnutls_x509_crt_t *crt)
{
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    if (!chain || count == 0 || gnutls_x509_crt_init(crt) != 0)
        return false;
    if (gnutls_x509_crt_import(*crt, &chain[0], GNUTLS_X509_FMT_DER) == 0)
        return true;
    gnutls_x509_crt_deinit(*crt);
    return false;
}

static bool san_allowed(void *arg, struct str name)
{
    const struct tls_server *s = arg;
    for (size_t i = 0; i < s->allowed_sans_count; i++)
        if (str_eq(s->allowed_sans[i], name))
            return true;
    return false;
}

/* The server's verdict on a client: 0 is good. */
static int verify_client(gnutls_session_t session)
{
    struct tls_server *s = gnutls_db_get_ptr(session);
    gnutls_x509_crt_t crt;
    ASSERT(s != NULL);
    if (!peer_certificate(session, &crt)) /* required ones are GnuTLS's to refuse */
        return s->client_auth == TLS_CLIENT_AUTH_REQUIRE_ANY || s->client_auth == TLS_CLIENT_AUTH_REQUIRE_AND_VERIFY;
    int refused = 0;
    if (s->client_auth == TLS_CLIENT_AUTH_VERIFY_IF_GIVEN || s->client_auth == TLS_CLIENT_AUTH_REQUIRE_AND_VERIFY) {
        char purpose[] = GNUTLS_KP_TLS_WWW_CLIENT;
        gnutls_typed_vdata_st data = { .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)purpose };
        unsigned status = 0;
        refused = gnutls_certificate_verify_peers(session, &data, 1, &status) != 0 || status != 0;
    }
    if (!refused && s->allowed_sans_count)
        refused = !any_name(crt, san_allowed, s);
    gnutls_x509_crt_deinit(crt);
    return refused;
}

bool tls_server_apply(struct tls_server *s, struct gnutls_session_int *session)
{
    bool asks = s->client_auth != TLS_CLIENT_AUTH_NONE;
    bool requires = s->client_auth == TLS_CLIENT_AUTH_REQUIRE_ANY ||
                    s->client_auth == TLS_CLIENT_AUTH_REQUIRE_AND_VERIFY;
    gnutls_db_set_ptr(session, s);
    gnutls_certificate_server_set_request(session, !asks      ? GNUTLS_CERT_IGNORE
                                                   : requires ? GNUTLS_CERT_REQUIRE
                                                              : GNUTLS_CERT_REQUEST);
    gnutls_session_set_verify_function(session, asks ? verify_client : NULL);
    return gnutls_priority_set(session, s->priority) == 0 &&
           gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, s->cred) == 0;
}

/* ---- What went wrong ---- */

static bool append_name(void *arg, struct str name)
{
    struct buf *b = arg;
    if (b->n)
        buf_c(b, ", ");
    buf_str(b, name);
    return false;
}

bool tls_explain_status(gnutls_session_t session, unsigned status, struct str name, struct err *err)
{
    static const char *const head = "tls: failed to verify certificate: x509: ";
    gnutls_x509_crt_t crt;
    if (status & (GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED))
        return err_set(err, ERR_IO, "%scertificate has expired or is not yet valid", head);
    if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA))
        return err_set(err, ERR_IO, "%scertificate signed by unknown authority", head);
    if ((status & GNUTLS_CERT_UNEXPECTED_OWNER) && peer_certificate(session, &crt)) {
        struct buf b = { 0 };
        any_name(crt, append_name, &b);
        gnutls_x509_crt_deinit(crt);
        if (b.n)
            err_set(err, ERR_IO, "%scertificate is valid for %.*s, not %.*s", head, STR_ARG(buf_view(&b)), STR_ARG(name));
        else
            err_set(err, ERR_IO, "%scertificate is not valid for any names, but wanted to match %.*s", head,
                    STR_ARG(name));
        buf_deinit(&b);
        return false;
    }
    gnutls_datum_t text = { 0 };
    if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) == 0) {
        err_set(err, ERR_IO, "%s%.*s", head, (int)text.size, text.data);
        gnutls_free(text.data);
        return false;
    }
    return err_set(err, ERR_IO, "%scertificate is not valid", head);
}

static const struct {
    gnutls_alert_description_t alert;
    const char *text;
} alert_texts[] = { /* Go's crypto/tls */
    { GNUTLS_A_UNEXPECTED_MESSAGE, "unexpected message" },
    { GNUTLS_A_BAD_RECORD_MAC, "bad record MAC" },
    { GNUTLS_A_RECORD_OVERFLOW, "record overflow" },
    { GNUTLS_A_HANDSHAKE_FAILURE, "handshake failure" },
    { GNUTLS_A_BAD_CERTIFICATE, "bad certificate" },
    { GNUTLS_A_UNSUPPORTED_CERTIFICATE, "unsupported certificate" },
    { GNUTLS_A_CERTIFICATE_REVOKED, "revoked certificate" },
    { GNUTLS_A_CERTIFICATE_EXPIRED, "expired certificate" },
    { GNUTLS_A_CERTIFICATE_UNKNOWN, "unknown certificate" },
    { GNUTLS_A_ILLEGAL_PARAMETER, "illegal parameter" },
    { GNUTLS_A_UNKNOWN_CA, "unknown certificate authority" },
    { GNUTLS_A_ACCESS_DENIED, "access denied" },
    { GNUTLS_A_DECODE_ERROR, "error decoding message" },
    { GNUTLS_A_DECRYPT_ERROR, "error decrypting message" },
    { GNUTLS_A_PROTOCOL_VERSION, "protocol version not supported" },
    { GNUTLS_A_INSUFFICIENT_SECURITY, "insufficient security level" },
    { GNUTLS_A_INTERNAL_ERROR, "internal error" },
    { GNUTLS_A_USER_CANCELED, "user canceled" },
    { GNUTLS_A_NO_RENEGOTIATION, "no renegotiation" },
    { GNUTLS_A_UNRECOGNIZED_NAME, "unrecognized name" },
    { GNUTLS_A_CERTIFICATE_REQUIRED, "certificate required" },
    { GNUTLS_A_NO_APPLICATION_PROTOCOL, "no application protocol" },
};

bool tls_explain_error(gnutls_session_t session, int code, struct err *err)
{
    if (code == GNUTLS_E_FATAL_ALERT_RECEIVED || code == GNUTLS_E_WARNING_ALERT_RECEIVED) {
        gnutls_alert_description_t alert = gnutls_alert_get(session);
        for (size_t i = 0; i < ARRAY_LEN(alert_texts); i++)
            if (alert_texts[i].alert == alert)
                return err_set(err, ERR_IO, "remote error: tls: %s", alert_texts[i].text);
        return err_set(err, ERR_IO, "remote error: tls: alert(%d)", (int)alert);
    }
    if (code == GNUTLS_E_PREMATURE_TERMINATION)
        return err_set(err, ERR_IO, "unexpected EOF");
    if (code == GNUTLS_E_PULL_ERROR || code == GNUTLS_E_PUSH_ERROR)
        return err_errno(err, errno ? errno : ECONNRESET, "%s", code == GNUTLS_E_PULL_ERROR ? "read" : "write");
    if (code == GNUTLS_E_UNSUPPORTED_VERSION_PACKET || code == GNUTLS_E_UNEXPECTED_PACKET_LENGTH)
        return err_set(err, ERR_IO, "tls: first record does not look like a TLS handshake");
    return err_set(err, ERR_IO, "tls: %s", gnutls_strerror(code));
}

/* ---- Sessions ---- */

static struct tls_session *session_new(int fd, unsigned flags)
{
    struct tls_session *s = MEM_NEW(struct tls_session);
    int rc = gnutls_init(&s->gnutls, flags | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    ASSERT(rc == 0);
    gnutls_transport_set_int(s->gnutls, fd);
    gnutls_handshake_set_timeout(s->gnutls, GNUTLS_INDEFINITE_TIMEOUT); /* deadlines are the owner's */
    return s;
}

struct tls_client *tls_client_of(gnutls_session_t session)
{
    struct tls_session *s = gnutls_db_get_ptr(session);
    ASSERT(s && s->client);
    return s->client;
}

/* A client's verdict on the server. */
static int verify_server(gnutls_session_t gnutls)
{
    struct tls_session *s = gnutls_db_get_ptr(gnutls);
    if (s->client->insecure)
        return 0;
    unsigned status = 0;
    char *name = mem_dup(s->name.p, s->name.n + 1);
    char purpose[] = GNUTLS_KP_TLS_WWW_SERVER;
    gnutls_typed_vdata_st data[] = {
        { .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)purpose },
        { .type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)name },
    };
    int rc = gnutls_certificate_verify_peers(gnutls, data, ARRAY_LEN(data), &status);
    mem_free(name);
    if (rc != 0)
        tls_explain_error(gnutls, rc, &s->refused);
    else if (status != 0)
        tls_explain_status(gnutls, status, s->name, &s->refused);
    return rc != 0 || status != 0;
}

struct tls_session *tls_session_client(struct tls_client *c, int fd, struct str server_name)
{
    struct tls_session *s = session_new(fd, GNUTLS_CLIENT);
    s->client = tls_client_retain(c);
    struct str name = c->server_name.n ? c->server_name : server_name;
    char *copy = mem_alloc(name.n + 1);
    memcpy(copy, name.p ? name.p : "", name.n);
    s->name = str_of(copy, name.n);
    struct ip ip;
    if (name.n && !ip_parse(name, &ip))
        gnutls_server_name_set(s->gnutls, GNUTLS_NAME_DNS, copy, name.n);
    gnutls_db_set_ptr(s->gnutls, s);
    gnutls_session_set_verify_function(s->gnutls, verify_server);
    int rc = gnutls_priority_set(s->gnutls, c->priority);
    ASSERT(rc == 0);
    rc = gnutls_credentials_set(s->gnutls, GNUTLS_CRD_CERTIFICATE, c->cred);
    ASSERT(rc == 0);
    return s;
}

struct tls_session *tls_session_server(struct tls_server *server, int fd)
{
    struct tls_session *s = session_new(fd, GNUTLS_SERVER);
    s->server = tls_server_retain(server);
    bool ok = tls_server_apply(server, s->gnutls);
    ASSERT(ok);
    return s;
}

void tls_session_free(struct tls_session *s)
{
    if (!s)
        return;
    gnutls_deinit(s->gnutls);
    tls_client_release(s->client);
    tls_server_release(s->server);
    char *owned;
    memcpy(&owned, &s->name.p, sizeof owned);
    mem_free(owned);
    mem_free(s);
}

static enum tls_result wanted(struct tls_session *s)
{
    return gnutls_record_get_direction(s->gnutls) ? TLS_WANT_WRITE : TLS_WANT_READ;
}

enum tls_result tls_session_handshake(struct tls_session *s, struct err *err)
{
    for (;;) {
        int rc = gnutls_handshake(s->gnutls);
        if (rc == GNUTLS_E_SUCCESS) {
            s->handshake_done = true;
            return TLS_DONE;
        }
        if (rc == GNUTLS_E_AGAIN)
            return wanted(s);
        if (!gnutls_error_is_fatal(rc))
            continue;
        if (s->refused.code != ERR_NONE)
            *err = s->refused;
        else if (rc == GNUTLS_E_PREMATURE_TERMINATION)
            err_set(err, ERR_IO, "EOF");
        else
            tls_explain_error(s->gnutls, rc, err);
        gnutls_alert_send_appropriate(s->gnutls, rc);
        return TLS_FAILED;
    }
}

enum tls_result tls_session_read(struct tls_session *s, void *p, size_t n, size_t *got, struct err *err)
{
    ASSERT(s->handshake_done);
    for (;;) {
        ssize_t rc = gnutls_record_recv(s->gnutls, p, n);
        if (rc > 0) {
            *got = (size_t)rc;
            return TLS_DONE;
        }
        if (rc == 0 || rc == GNUTLS_E_PREMATURE_TERMINATION)
            return TLS_CLOSED; /* many peers end without close_notify; framing above notices a cut */
        if (rc == GNUTLS_E_AGAIN)
            return wanted(s);
        if (!gnutls_error_is_fatal((int)rc))
            continue;
        tls_explain_error(s->gnutls, (int)rc, err);
        return TLS_FAILED;
    }
}

enum tls_result tls_session_write(struct tls_session *s, const void *p, size_t n, struct err *err)
{
    ASSERT(s->handshake_done);
    ssize_t rc;
    do
        rc = gnutls_record_send(s->gnutls, p, n);
    while (rc == GNUTLS_E_INTERRUPTED);
    if (rc >= 0) {
        ASSERT((size_t)rc == n); /* whole records (T4) */
        return TLS_DONE;
    }
    if (rc == GNUTLS_E_AGAIN)
        return TLS_WANT_WRITE;
    tls_explain_error(s->gnutls, (int)rc, err);
    return TLS_FAILED;
}

enum tls_result tls_session_end(struct tls_session *s)
{
    if (!s->handshake_done)
        return TLS_DONE;
    int rc = gnutls_bye(s->gnutls, GNUTLS_SHUT_WR);
    return rc == GNUTLS_E_AGAIN ? TLS_WANT_WRITE : TLS_DONE;
}

bool tls_session_pending(const struct tls_session *s)
{
    return gnutls_record_check_pending(s->gnutls) > 0;
}
