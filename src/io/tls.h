/* TLS by GnuTLS: what a client or a server needs to know, as immutable, counted contexts; sessions over a descriptor.
 *
 * A context is built from material (PEM texts). tls_client_load() and tls_server_load() build it from a configuration
 * that may name files; tls_material_changed() tells cheaply whether the files have changed since, so that the owner can
 * build a new one (hot reload; a broken file leaves the old context in use, the owner decides).
 *
 * Names, versions and texts as Go's crypto/tls: the server certificate is verified against the server name (DNS or IP
 * SAN), the system's CAs are used if none are given.
 *
 * Thread: contexts any; sessions their owner's. */
#ifndef TOCSIN_IO_TLS_H
#define TOCSIN_IO_TLS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/str.h"
#include "http/client_config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_client;
struct tls_server;

enum tls_client_auth { /* Go's ClientAuthType */
    TLS_CLIENT_AUTH_NONE,
    TLS_CLIENT_AUTH_REQUEST,
    TLS_CLIENT_AUTH_REQUIRE_ANY,
    TLS_CLIENT_AUTH_VERIFY_IF_GIVEN,
    TLS_CLIENT_AUTH_REQUIRE_AND_VERIFY,
};

struct tls_server_spec { /* borrowed for the call; for each pair either the text or the file */
    struct str cert, key, client_ca; /* PEM */
    struct str cert_file, key_file, client_ca_file;
    enum tls_client_auth client_auth;
    const struct str *allowed_sans; /* of client certificates; empty: any */
    size_t allowed_sans_count;
    int min_version, max_version; /* enum http_tls_version; default: TLS 1.2 and up */
    const struct str *cipher_suites; /* Go's names; empty: GnuTLS's choice. TLS 1.3's are not configurable */
    size_t cipher_suites_count;
    const struct str *curves; /* CurveP256 CurveP384 CurveP521 X25519 */
    size_t curves_count;
};
/* Files are read through fs. Errors: ERR_INVALID, ERR_NOT_FOUND (file named). */
struct tls_server *tls_server_load(const struct tls_server_spec *spec, struct fs *fs, struct err *err);
struct tls_server *tls_server_retain(struct tls_server *s);
void tls_server_release(struct tls_server *s);
/* A file that was read for it has another size, time or content now. At most one stat per file. */
bool tls_server_changed(const struct tls_server *s);

/* Default minimum version is TLS 1.2. */
struct tls_client *tls_client_load(const struct http_tls_config *config, struct fs *fs, struct err *err);
struct tls_client *tls_client_retain(struct tls_client *c);
void tls_client_release(struct tls_client *c);
bool tls_client_changed(const struct tls_client *c);

/* ---- Sessions: for tcp.c, smtp and the HTTP server ---- */

struct tls_session;
struct tls_session *tls_session_client(struct tls_client *c, int fd, struct str server_name);
struct tls_session *tls_session_server(struct tls_server *s, int fd);
void tls_session_free(struct tls_session *s); /* NULL is fine */
enum tls_result { TLS_DONE, TLS_WANT_READ, TLS_WANT_WRITE, TLS_CLOSED, TLS_FAILED };
enum tls_result tls_session_handshake(struct tls_session *s, struct err *err);
enum tls_result tls_session_read(struct tls_session *s, void *p, size_t n, size_t *got, struct err *err);
/* One record. When it wants to be called again, it must be with the same bytes. n <= TLS_RECORD_BYTES_MAX. */
enum tls_result tls_session_write(struct tls_session *s, const void *p, size_t n, struct err *err);
enum tls_result tls_session_end(struct tls_session *s); /* close_notify */
bool tls_session_pending(const struct tls_session *s);  /* decrypted bytes wait to be read */

/* Dresses a GnuTLS session that someone else (libmicrohttpd) made: credentials, versions, client certificates. The
 * context must be held until the session has ended. */
struct gnutls_session_int;
bool tls_server_apply(struct tls_server *s, struct gnutls_session_int *session);

#endif
