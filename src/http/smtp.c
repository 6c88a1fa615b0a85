/* The SMTP client of Alertmanager's email receiver: Go's net/smtp with its own LOGIN.
 *
 *   CONNECT > GREETING > EHLO (> HELO) > [STARTTLS > HANDSHAKE > EHLO_TLS] > [AUTH] > MAIL > RCPT.. > DATA > BODY > QUIT > DONE
 *
 * E1  The result is set once, on the way into QUIT (or DONE); what happens to QUIT changes nothing.
 * E2  What the server sent in clear text after its 220 to STARTTLS is thrown away: it would be taken for its word.
 * E3  Commands are built from texts without CR and LF only. */
#include "http/smtp.h"

#include "base/utf8.h"
#include "crypto/hash.h"

#include <string.h>

static const char *const auth_names[] = { /* Go's %T, which Alertmanager prints */
    [SMTP_AUTH_NONE] = "",
    [SMTP_AUTH_CRAM_MD5] = "*smtp.cramMD5Auth",
    [SMTP_AUTH_PLAIN] = "*smtp.plainAuth",
    [SMTP_AUTH_LOGIN] = "*email.loginAuth",
};

void smtp_dialogue_init(struct smtp_dialogue *d, const struct smtp_job *job)
{
    *d = (struct smtp_dialogue){ .job = job, .rendered = *job };
    d->line.limit_bytes = SMTP_LINE_BYTES_MAX;
}

void smtp_dialogue_deinit(struct smtp_dialogue *d)
{
    if (d->out.p)
        explicit_bzero(d->out.p, d->out.n);
    buf_deinit(&d->out);
    buf_deinit(&d->line);
    buf_deinit(&d->reply);
    buf_deinit(&d->mechanisms);
}

/* ---- Ends ---- */

static void quit(struct smtp_dialogue *d)
{
    d->state = SMTP_QUIT;
    buf_c(&d->out, "QUIT\r\n");
}

static void done(struct smtp_dialogue *d)
{
    d->state = SMTP_DONE;
    d->want = SMTP_WANT_CLOSE;
}

static void set_failure(struct smtp_dialogue *d, bool retry, const char *prefix, const char *text)
{
    d->result = (struct smtp_result){ .retry = retry };
    err_set(&d->result.err, ERR_IO, "%s%s", prefix, text);
}

/* What a failure in this state is called. */
static const char *prefix_of(const struct smtp_dialogue *d, char auth_prefix[64])
{
    switch (d->state) {
    case SMTP_CONNECT:
        return d->job->implicit_tls ? "establish TLS connection to server: " : "establish connection to server: ";
    case SMTP_GREETING:
        return "create SMTP client: ";
    case SMTP_EHLO:
    case SMTP_HELO:
        return "send EHLO command: ";
    case SMTP_STARTTLS:
    case SMTP_HANDSHAKE:
    case SMTP_EHLO_TLS:
        return "send STARTTLS command: ";
    case SMTP_AUTH:
    case SMTP_AUTH_ABORT: {
        size_t n = strlen(auth_names[d->auth]);
        memcpy(auth_prefix, auth_names[d->auth], n);
        memcpy(auth_prefix + n, " auth: ", 8);
        return auth_prefix;
    }
    case SMTP_MAIL:
        return "send MAIL command: ";
    case SMTP_RCPT:
        return "send RCPT command: ";
    case SMTP_DATA:
        return "send DATA command: ";
    case SMTP_BODY:
        return "delivery failure: ";
    case SMTP_QUIT:
    case SMTP_DONE:
        break;
    }
    return "";
}

static void fail(struct smtp_dialogue *d, const char *text)
{
    char auth_prefix[64];
    set_failure(d, true, prefix_of(d, auth_prefix), text);
    quit(d);
}

/* An answer that was not what the command wanted: "535 5.7.8 bad credentials". */
static void fail_reply(struct smtp_dialogue *d)
{
    char text[ERR_TEXT_MAX];
    struct err e;
    err_set(&e, ERR_IO, "%03d %.*s", d->reply_code, STR_ARG(buf_view(&d->reply)));
    memcpy(text, e.text, sizeof text);
    fail(d, text);
}

/* ---- Commands ---- */

static bool clean(struct str s)
{
    return str_find_byte(s, '\r') == STR_NPOS && str_find_byte(s, '\n') == STR_NPOS;
}

/* VERB<text>TAIL; false (and failed) if the text could break out of its line. */
static bool command(struct smtp_dialogue *d, enum smtp_state next, const char *verb, struct str text, const char *tail)
{
    d->state = next;
    if (!clean(text)) {
        fail(d, "smtp: A line must not contain CR or LF");
        return false;
    }
    buf_printf(&d->out, "%s%.*s%s\r\n", verb, STR_ARG(text), tail);
    return true;
}

static void say_hello(struct smtp_dialogue *d, enum smtp_state next)
{
    struct str name = d->job->hello.n ? d->job->hello : STR("localhost");
    command(d, next, next == SMTP_HELO ? "HELO " : "EHLO ", name, "");
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void base64_write(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i += 3) {
        size_t have = s.n - i < 3 ? s.n - i : 3;
        uint32_t v = 0;
        for (size_t j = 0; j < 3; j++)
            v = v << 8 | (j < have ? (uint8_t)s.p[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            buf_byte(b, j <= have ? base64_digits[v >> (18 - 6 * j) & 63] : '=');
    }
}

static bool base64_read(struct buf *b, struct str s)
{
    uint32_t v = 0;
    unsigned digits = 0;
    while (s.n && s.p[s.n - 1] == '=')
        s.n--;
    for (size_t i = 0; i < s.n; i++) {
        const char *at = s.p[i] ? strchr(base64_digits, s.p[i]) : NULL;
        if (!at)
            return false;
        v = v << 6 | (uint32_t)(at - base64_digits);
        if (++digits % 4 != 1)
            buf_byte(b, (char)(v >> (6 - 2 * ((digits - 1) % 4))));
    }
    return digits % 4 != 1;
}

static void send_base64(struct smtp_dialogue *d, struct str s)
{
    base64_write(&d->out, s);
    buf_c(&d->out, "\r\n");
}

/* ---- The message ---- */

static void start_mail(struct smtp_dialogue *d)
{
    if (d->job->render) {
        struct err err = { 0 };
        if (!d->job->render(d->job->render_arg, &d->rendered, &err)) {
            d->result = (struct smtp_result){ .retry = false, .err = err };
            quit(d);
            return;
        }
    }
    char tail[32] = ">";
    if (d->offers_8bitmime)
        strncat(tail, " BODY=8BITMIME", sizeof tail - strlen(tail) - 1);
    if (d->offers_smtputf8)
        strncat(tail, " SMTPUTF8", sizeof tail - strlen(tail) - 1);
    command(d, SMTP_MAIL, "MAIL FROM:<", d->rendered.from, tail);
}

static void next_recipient(struct smtp_dialogue *d)
{
    if (d->to_at < d->rendered.to_count)
        command(d, SMTP_RCPT, "RCPT TO:<", d->rendered.to[d->to_at++], ">");
    else
        command(d, SMTP_DATA, "DATA", STR_EMPTY, "");
}

/* Line ends become CRLF, a dot at the start of a line is doubled, and a dot alone ends it. */
static void send_message(struct smtp_dialogue *d)
{
    struct str m = d->rendered.message;
    bool line_start = true;
    d->state = SMTP_BODY;
    buf_reserve(&d->out, m.n + m.n / 64 + 16);
    for (size_t i = 0; i < m.n; i++) {
        char c = m.p[i];
        if (line_start && c == '.')
            buf_byte(&d->out, '.');
        if (c == '\n' && (i == 0 || m.p[i - 1] != '\r'))
            buf_byte(&d->out, '\r');
        buf_byte(&d->out, c);
        line_start = c == '\n';
    }
    buf_c(&d->out, line_start ? ".\r\n" : "\r\n.\r\n");
}

/* ---- Authentication ---- */

static bool is_localhost(struct str host)
{
    return str_eq(host, STR("localhost")) || str_eq(host, STR("127.0.0.1")) || str_eq(host, STR("::1"));
}

static void add_reason(struct buf *b, struct str reason)
{
    buf_c(b, b->n ? "\n" : "");
    buf_str(b, reason);
}

/* The first mechanism of the server's list that we have what it takes for; reasons against the others in `why`. */
static enum smtp_auth choose(const struct smtp_dialogue *d, struct buf *why)
{
    const struct smtp_job *j = d->job;
    struct str rest = buf_view(&d->mechanisms), name;
    while (str_split(&rest, ' ', &name)) {
        if (str_eq(name, STR("CRAM-MD5"))) {
            if (j->auth_secret.n && !j->auth_secret_error.n)
                return SMTP_AUTH_CRAM_MD5;
            add_reason(why, j->auth_secret_error.n ? j->auth_secret_error
                                                   : STR("missing secret for CRAM-MD5 auth mechanism"));
        } else if (str_eq(name, STR("PLAIN")) || str_eq(name, STR("LOGIN"))) {
            bool plain = name.p[0] == 'P';
            if (j->auth_password.n && !j->auth_password_error.n)
                return plain ? SMTP_AUTH_PLAIN : SMTP_AUTH_LOGIN;
            add_reason(why, j->auth_password_error.n ? j->auth_password_error
                            : plain                  ? STR("missing password for PLAIN auth mechanism")
                                                     : STR("missing password for LOGIN auth mechanism"));
        } else {
            buf_printf(why, "%sunknown auth mechanism: %.*s", why->n ? "\n" : "", STR_ARG(name));
        }
    }
    return SMTP_AUTH_NONE;
}

static void send_plain(struct smtp_dialogue *d)
{
    struct buf b = { 0 };
    buf_str(&b, d->job->auth_identity);
    buf_byte(&b, 0);
    buf_str(&b, d->job->auth_username);
    buf_byte(&b, 0);
    buf_str(&b, d->job->auth_password);
    buf_c(&d->out, "AUTH PLAIN ");
    send_base64(d, buf_view(&b));
    explicit_bzero(b.p, b.n);
    buf_deinit(&b);
}

static void start_auth(struct smtp_dialogue *d)
{
    struct buf why = { 0 };
    if (!d->offers_auth || d->job->auth_username.n == 0) {
        start_mail(d);
        return;
    }
    d->auth = choose(d, &why);
    d->state = SMTP_AUTH;
    switch (d->auth) {
    case SMTP_AUTH_NONE:
        set_failure(d, true, "find auth mechanism: ", why.p ? why.p : "");
        quit(d);
        break;
    case SMTP_AUTH_CRAM_MD5:
        buf_c(&d->out, "AUTH CRAM-MD5\r\n");
        break;
    case SMTP_AUTH_PLAIN:
        if (!d->tls && !is_localhost(d->job->host))
            fail(d, "unencrypted connection");
        else
            send_plain(d);
        break;
    case SMTP_AUTH_LOGIN:
        buf_c(&d->out, "AUTH LOGIN\r\n");
        break;
    }
    buf_deinit(&why);
}

static void abort_auth(struct smtp_dialogue *d, const char *text)
{
    char prefix[64];
    set_failure(d, true, prefix_of(d, prefix), text);
    d->state = SMTP_AUTH_ABORT;
    buf_c(&d->out, "*\r\n");
}

static void answer_cram(struct smtp_dialogue *d, struct str challenge)
{
    uint8_t digest[MD5_BYTES];
    struct buf b = { 0 };
    hmac_md5(d->job->auth_secret, challenge, digest);
    buf_str(&b, d->job->auth_username);
    buf_byte(&b, ' ');
    for (size_t i = 0; i < sizeof digest; i++)
        buf_printf(&b, "%02x", digest[i]);
    send_base64(d, buf_view(&b));
    buf_deinit(&b);
}

static void answer_challenge(struct smtp_dialogue *d)
{
    struct buf challenge = { 0 };
    if (!base64_read(&challenge, buf_view(&d->reply)))
        abort_auth(d, "illegal base64 data in challenge");
    else if (d->auth == SMTP_AUTH_CRAM_MD5)
        answer_cram(d, buf_view(&challenge));
    else if (d->auth == SMTP_AUTH_LOGIN && str_eq_nocase(buf_view(&challenge), STR("username:")))
        send_base64(d, d->job->auth_username);
    else if (d->auth == SMTP_AUTH_LOGIN && str_eq_nocase(buf_view(&challenge), STR("password:")))
        send_base64(d, d->job->auth_password);
    else
        abort_auth(d, "unexpected server challenge");
    buf_deinit(&challenge);
}

/* ---- Replies ---- */

/* The extension lines of an EHLO answer; names are compared as they come, in upper case, as Go does. */
static void read_extensions(struct smtp_dialogue *d)
{
    struct str rest = buf_view(&d->reply), line;
    d->offers_starttls = d->offers_8bitmime = d->offers_smtputf8 = d->offers_auth = false;
    buf_reset(&d->mechanisms);
    bool first = true;
    while (str_split(&rest, '\n', &line)) {
        if (first) {
            first = false;
            continue;
        }
        size_t space = str_find_byte(line, ' ');
        struct str name = str_sub(line, 0, space == STR_NPOS ? line.n : space);
        if (str_eq(name, STR("STARTTLS"))) {
            d->offers_starttls = true;
        } else if (str_eq(name, STR("8BITMIME"))) {
            d->offers_8bitmime = true;
        } else if (str_eq(name, STR("SMTPUTF8"))) {
            d->offers_smtputf8 = true;
        } else if (str_eq(name, STR("AUTH"))) {
            d->offers_auth = true;
            buf_reset(&d->mechanisms);
            buf_str(&d->mechanisms, space == STR_NPOS ? STR_EMPTY : str_from(line, space + 1));
        }
    }
}

static void after_hello(struct smtp_dialogue *d)
{
    if (!d->job->require_tls || d->tls) {
        start_auth(d);
        return;
    }
    if (d->offers_starttls) {
        command(d, SMTP_STARTTLS, "STARTTLS", STR_EMPTY, "");
        return;
    }
    struct buf quoted = { 0 }, host = { 0 };
    buf_printf(&host, "%.*s:%.*s", STR_ARG(d->job->host), STR_ARG(d->job->port));
    go_quote(&quoted, buf_view(&host));
    d->result = (struct smtp_result){ .retry = true };
    err_set(&d->result.err, ERR_IO, "'require_tls' is true (default) but %.*s does not advertise the STARTTLS extension",
            STR_ARG(buf_view(&quoted)));
    buf_deinit(&quoted);
    buf_deinit(&host);
    quit(d);
}

static void on_reply(struct smtp_dialogue *d)
{
    int code = d->reply_code;
    switch (d->state) {
    case SMTP_GREETING:
        if (code == 220)
            say_hello(d, SMTP_EHLO);
        else
            fail_reply(d);
        return;
    case SMTP_EHLO:
        if (code != 250) {
            say_hello(d, SMTP_HELO);
            return;
        }
        read_extensions(d);
        after_hello(d);
        return;
    case SMTP_HELO:
        if (code == 250)
            after_hello(d);
        else
            fail_reply(d);
        return;
    case SMTP_STARTTLS:
        if (code != 220) {
            fail_reply(d);
            return;
        }
        d->state = SMTP_HANDSHAKE;
        d->want = SMTP_WANT_TLS;
        return;
    case SMTP_EHLO_TLS:
        if (code != 250) {
            fail_reply(d);
            return;
        }
        read_extensions(d);
        start_auth(d);
        return;
    case SMTP_AUTH:
        if (code == 334)
            answer_challenge(d);
        else if (code == 235)
            start_mail(d);
        else {
            char text[ERR_TEXT_MAX];
            struct err e;
            err_set(&e, ERR_IO, "%03d %.*s", code, STR_ARG(buf_view(&d->reply)));
            memcpy(text, e.text, sizeof text);
            abort_auth(d, text);
        }
        return;
    case SMTP_AUTH_ABORT:
        quit(d);
        return;
    case SMTP_MAIL:
        if (code == 250)
            next_recipient(d);
        else
            fail_reply(d);
        return;
    case SMTP_RCPT:
        if (code / 10 == 25)
            next_recipient(d);
        else
            fail_reply(d);
        return;
    case SMTP_DATA:
        if (code == 354)
            send_message(d);
        else
            fail_reply(d);
        return;
    case SMTP_BODY:
        if (code == 250) {
            d->result = (struct smtp_result){ .delivered = true };
            quit(d);
        } else {
            fail_reply(d);
        }
        return;
    case SMTP_QUIT:
        done(d);
        return;
    case SMTP_CONNECT:
    case SMTP_HANDSHAKE:
    case SMTP_DONE:
        return;
    }
}

static void bad_line(struct smtp_dialogue *d, const char *what)
{
    struct buf b = { 0 };
    buf_c(&b, what);
    go_quote(&b, str_sub(buf_view(&d->line), 0, 200));
    fail(d, b.p);
    buf_deinit(&b);
    done(d); /* nothing more can be said to this server */
}

/* One line, without its end. "250-text" goes on, "250 text" (or "250") is the last. */
static void on_line(struct smtp_dialogue *d)
{
    struct str l = buf_view(&d->line);
    if (l.n < 3 || (l.n > 3 && l.p[3] != ' ' && l.p[3] != '-')) {
        bad_line(d, l.n < 4 ? "short response: " : "invalid response: ");
        return;
    }
    int code = 0;
    for (size_t i = 0; i < 3; i++) {
        if (!ascii_is_digit(l.p[i])) {
            bad_line(d, "invalid response code: ");
            return;
        }
        code = code * 10 + (l.p[i] - '0');
    }
    if (d->reply_lines == 0)
        buf_reset(&d->reply);
    if (++d->reply_lines > SMTP_REPLY_LINES_MAX || (d->reply_lines > 1 && code != d->reply_code)) {
        bad_line(d, "unexpected response: ");
        return;
    }
    d->reply_code = code;
    buf_c(&d->reply, d->reply_lines > 1 ? "\n" : "");
    buf_str(&d->reply, str_from(l, 4));
    if (l.n > 3 && l.p[3] == '-')
        return;
    d->reply_lines = 0;
    on_reply(d);
}

void smtp_dialogue_start(struct smtp_dialogue *d, bool tls)
{
    ASSERT(d->state == SMTP_CONNECT);
    d->tls = tls;
    d->state = SMTP_GREETING;
}

void smtp_dialogue_tls_done(struct smtp_dialogue *d)
{
    ASSERT(d->state == SMTP_HANDSHAKE);
    d->tls = true;
    d->want = SMTP_WANT_READ;
    say_hello(d, SMTP_EHLO_TLS);
}

void smtp_dialogue_feed(struct smtp_dialogue *d, struct str bytes)
{
    for (size_t i = 0; i < bytes.n && d->want == SMTP_WANT_READ; i++) {
        if (bytes.p[i] != '\n') {
            buf_byte(&d->line, bytes.p[i]);
            continue;
        }
        if (d->line.overflow) {
            bad_line(d, "response line too long: ");
            return;
        }
        if (d->line.n && d->line.p[d->line.n - 1] == '\r')
            buf_truncate(&d->line, d->line.n - 1);
        on_line(d);
        buf_reset(&d->line);
    }
}

void smtp_dialogue_broken(struct smtp_dialogue *d, const struct err *why)
{
    char auth_prefix[64];
    if (d->state != SMTP_QUIT && d->state != SMTP_DONE && d->state != SMTP_AUTH_ABORT)
        set_failure(d, true, prefix_of(d, auth_prefix), why->code == ERR_NONE ? "EOF" : why->text);
    done(d);
}
