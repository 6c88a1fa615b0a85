/* TLS contexts from the inside: what tls_session.c needs of them, and the files they came from. */
#ifndef TOCSIN_IO_TLS_INT_H
#define TOCSIN_IO_TLS_INT_H

#include "base/arena.h"
#include "base/fs.h"
#include "crypto/hash.h"
#include "io/tls.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdatomic.h>
#include <stdbool.h>

/* A file as it was when it was read. Change is told by size and time, and by content while the time is so recent that
 * a second write could have left it the same. */
struct watched_file {
    struct str path; /* owned; empty: none */
    struct fs *fs;
    uint64_t size_bytes;
    int64_t mtime_ms, read_at_ms;
    uint8_t digest[SHA256_BYTES];
};
#define WATCHED_FILE_BYTES_MAX (1024 * 1024)
MUST_CHECK bool watched_file_read(struct watched_file *w, struct fs *fs, struct str path, struct buf *out,
                                  struct err *err);
bool watched_file_changed(const struct watched_file *w);
void watched_file_deinit(struct watched_file *w);

enum { TLS_FILES = 3 }; /* ca, cert, key */

struct tls_server {
    atomic_uint refs;
    gnutls_certificate_credentials_t cred;
    gnutls_priority_t priority;
    enum tls_client_auth client_auth;
    struct arena arena;
    const struct str *allowed_sans;
    size_t allowed_sans_count;
    struct watched_file files[TLS_FILES];
};

struct tls_client {
    atomic_uint refs;
    gnutls_certificate_credentials_t cred;
    gnutls_priority_t priority;
    struct str server_name; /* owned; empty: the caller's */
    bool insecure;
    /* Its own certificate, sent to whoever asks, as Go does: GnuTLS alone would keep it back from servers that do not
     * name its issuer. */
    gnutls_pcert_st *own;
    unsigned own_count;
    gnutls_privkey_t own_key;
    struct watched_file files[TLS_FILES];
};

/* What a session of a client answers to a request for its certificate. */
struct tls_client *tls_client_of(gnutls_session_t session);

/* The reason why a peer's certificate was refused, in Go's words; false. `name` is what a client asked for. */
bool tls_explain_status(gnutls_session_t session, unsigned status, struct str name, struct err *err);
bool tls_explain_error(gnutls_session_t session, int code, struct err *err);

#endif
