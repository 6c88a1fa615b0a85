/* The SMTP dialogue as a pure machine: lines of the server in, bytes to send and orders to the connection out. The order
 * of things, the choice of mechanism and the texts are Alertmanager's (spec/alertmanager.md 7.2); io/smtp_client.c
 * carries the bytes.
 *
 * A failure is retryable unless it came from render().
 *
 * Use: init, then smtp_dialogue_start() when connected (after the handshake if TLS is implicit); feed what comes with
 * smtp_dialogue_feed(); after each call send what is in `out`, then do what `want` says. When want is SMTP_WANT_CLOSE the
 * result stands. Answers are bounded (SMTP_LINE_BYTES_MAX, SMTP_REPLY_LINES_MAX).
 *
 * Thread: one owner. */
#ifndef TOCSIN_HTTP_SMTP_H
#define TOCSIN_HTTP_SMTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "http/client_config.h"

#include <stdbool.h>
#include <stddef.h>

#define SMTP_LINE_BYTES_MAX  4096
#define SMTP_REPLY_LINES_MAX 256

struct smtp_job { /* borrowed until the delivery is over */
    struct str host, port;    /* of the smarthost */
    struct str hello;         /* "localhost" */
    bool implicit_tls;        /* TLS from the first byte */
    bool require_tls;         /* STARTTLS must be offered (unless implicit) */
    const struct http_tls_config *tls;
    struct str auth_username; /* empty: no authentication */
    struct str auth_identity;
    struct str auth_password; /* read from its file already */
    struct str auth_secret;
    struct str auth_password_error, auth_secret_error; /* "could not read <file>: …" if reading failed */
    struct str from;          /* the bare address: a@b */
    const struct str *to;     /* bare addresses */
    size_t to_count;
    struct str message;       /* headers and body, CRLF line ends; dots are stuffed here */
    /* May be NULL. Called once authenticated, when the message is due: fills from, to and message of a copy of the job
     * (spec: rendering comes after authentication). False: err is the failure, not to be retried. */
    bool (*render)(void *arg, struct smtp_job *job, struct err *err);
    void *render_arg;
};
struct smtp_result {
    bool delivered;
    bool retry;      /* a failure that another attempt may not have */
    struct err err;
};

enum smtp_want { SMTP_WANT_READ, SMTP_WANT_TLS, SMTP_WANT_CLOSE };
enum smtp_state {
    SMTP_CONNECT,  /* no connection yet; with implicit TLS: the handshake too */
    SMTP_GREETING,
    SMTP_EHLO,
    SMTP_HELO,     /* EHLO was refused */
    SMTP_STARTTLS,
    SMTP_HANDSHAKE,
    SMTP_EHLO_TLS,
    SMTP_AUTH,
    SMTP_AUTH_ABORT,
    SMTP_MAIL,
    SMTP_RCPT,
    SMTP_DATA,
    SMTP_BODY,     /* sent; the delivery answer is due */
    SMTP_QUIT,     /* the result stands */
    SMTP_DONE,
};
enum smtp_auth { SMTP_AUTH_NONE, SMTP_AUTH_CRAM_MD5, SMTP_AUTH_PLAIN, SMTP_AUTH_LOGIN };

struct smtp_dialogue {
    const struct smtp_job *job;
    struct smtp_job rendered; /* the job with what render() filled in */
    struct buf out;
    enum smtp_want want;
    struct smtp_result result; /* stands from SMTP_QUIT on */
    /* Below: the machine's own. */
    enum smtp_state state;
    enum smtp_auth auth;
    bool tls, offers_starttls, offers_8bitmime, offers_smtputf8, offers_auth;
    struct buf line, reply, mechanisms;
    size_t reply_lines, to_at;
    int reply_code;
};
void smtp_dialogue_init(struct smtp_dialogue *d, const struct smtp_job *job);
void smtp_dialogue_deinit(struct smtp_dialogue *d);
void smtp_dialogue_start(struct smtp_dialogue *d, bool tls);
void smtp_dialogue_tls_done(struct smtp_dialogue *d); /* the handshake that SMTP_WANT_TLS asked for has succeeded */
void smtp_dialogue_feed(struct smtp_dialogue *d, struct str bytes);
/* The connection broke, or a handshake failed: `why` with the prefix that fits the state becomes the result. */
void smtp_dialogue_broken(struct smtp_dialogue *d, const struct err *why);

#endif
