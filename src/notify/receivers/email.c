/* E-mail: one message to all addresses. The dialogue is http/smtp.h's; here are its job and, once it is authenticated, the
 * message. Nothing is sent of a message that does not render.
 *
 * What must be unique or random in a message (its id, the boundary) is derived from the group, the integration and the
 * time by SHA-256: this is a core, it has no random source. */
#include "notify/receivers/email_config.h"

#include "base/bytes.h"
#include "crypto/hash.h"
#include "http/smtp.h"
#include "model/gotime.h"
#include "notify/receivers/email_message.h"
#include "notify/receivers/rows.h"
#include "notify/send.h"
#include "wire/base64.h"

#include <inttypes.h>

#define BOUNDARY_CHARS 60
#define MESSAGE_ID     STR("Message-Id")

/* ---- the message ---- */

struct header {
    struct str name, text;
};

static bool failed(const struct send_render *r, struct err *err, const char *what)
{
    if (r->failed)
        err_set(err, ERR_INVALID, "execute %s: %s", what, r->err.text);
    return r->failed;
}

static bool write_header(struct send_render *r, struct str name, struct str text, struct buf *out, struct err *err)
{
    struct str value = send_text(r, text);
    if (r->failed)
        return err_set(err, ERR_INVALID, "execute \"%.*s\" header template: %s", STR_ARG(name), r->err.text);
    buf_str(out, name);
    buf_c(out, ": ");
    email_write_word(out, value);
    buf_c(out, "\r\n");
    return true;
}

/* The configured headers, and the three that a message needs. */
static bool write_headers(struct send_render *r, const struct email_config *c, struct buf *out, struct err *err)
{
    const struct header needed[] = {
        { STR("Subject"), STR("{{ template \"email.default.subject\" . }}") },
        { STR("To"), c->to },
        { STR("From"), c->from },
    };
    for (size_t i = 0; i < c->headers.n; i++)
        if (!write_header(r, c->headers.v[i].key, c->headers.v[i].value, out, err))
            return false;
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (!str_map_has(&c->headers, needed[i].name) &&
            !write_header(r, needed[i].name, needed[i].text, out, err))
            return false;
    return true;
}

/* 32 bytes that no other message has. */
static void unique(const struct send_attempt *at, const char *use, uint8_t out[SHA256_BYTES])
{
    struct buf seed = { 0 };
    buf_printf(&seed, "%s\n%lld.%d\n%.*s\n%.*s\n%p", use, (long long)at->now.s, (int)at->now.ns,
               STR_ARG(at->n->receiver), STR_ARG(at->n->group_key), at->config);
    hash_sha256(buf_view(&seed), out);
    buf_deinit(&seed);
}

static void local_time(struct send_attempt *at, struct str layout, struct buf *out)
{
    struct go_time t = { .t = at->now, .zone = at->env->zone ? at->env->zone(NULL, STR("Local")) : NULL };
    go_time_format(out, layout, &t);
}

static void write_threading(struct send_attempt *at, const struct email_config *c, struct buf *out)
{
    struct buf day = { 0 };
    if (str_eq(c->threading.thread_by_date, STR("daily")))
        local_time(at, STR("2006-01-02"), &day);
    struct str id = arena_printf(at->arena, "<alert-%.*s-%.*s@alertmanager>", STR_ARG(str_sub(send_group_id(at), 0, 16)),
                                 STR_ARG(buf_view(&day)));
    buf_printf(out, "References: %.*s\r\nIn-Reply-To: %.*s\r\n", STR_ARG(id), STR_ARG(id));
    buf_deinit(&day);
}

static void write_own_headers(struct send_attempt *at, const struct email_config *c, struct str boundary,
                              struct buf *out)
{
    if (!str_map_has(&c->headers, MESSAGE_ID)) {
        uint8_t random[SHA256_BYTES];
        unique(at, "id", random);
        buf_printf(out, "Message-Id: <%lld%09d.%" PRIu64 "@%.*s>\r\n", (long long)at->now.s, (int)at->now.ns,
                   get_be64(random), STR_ARG(at->env->hostname));
    }
    if (c->threading.enabled)
        write_threading(at, c, out);
    buf_c(out, "Date: ");
    local_time(at, STR("Mon, 02 Jan 2006 15:04:05 -0700"), out);
    buf_printf(out, "\r\nContent-Type: multipart/alternative;  boundary=%.*s\r\nMIME-Version: 1.0\r\n\r\n",
               STR_ARG(boundary));
}

static bool build_message(struct send_attempt *at, const struct email_config *c, struct send_render *r, struct str *out,
                          struct err *err)
{
    struct buf b = { 0 };
    struct email_part parts[2];
    size_t n = 0;
    uint8_t random[SHA256_BYTES];
    struct buf hex = { 0 };
    unique(at, "boundary", random);
    hex_encode(str_of((const char *)random, BOUNDARY_CHARS / 2), &hex);
    struct str boundary = arena_str(at->arena, buf_view(&hex));
    buf_deinit(&hex);
    bool ok = write_headers(r, c, &b, err);
    if (ok) {
        write_own_headers(at, c, boundary, &b);
        if (c->text.n > 0)
            parts[n++] = (struct email_part){ "text/plain; charset=UTF-8", send_text(r, c->text) };
        ok = !failed(r, err, "text template");
    }
    if (ok) {
        if (c->html.n > 0)
            parts[n++] = (struct email_part){ "text/html; charset=UTF-8", send_html(r, c->html) };
        ok = !failed(r, err, "html template");
    }
    if (ok) {
        email_write_multipart(&b, boundary, parts, n);
        *out = arena_str(at->arena, buf_view(&b));
    }
    buf_deinit(&b);
    return ok;
}

/* The dialogue's call when the message is due. */
static bool render(void *arg, struct smtp_job *job, struct err *err)
{
    struct send_attempt *at = arg;
    const struct email_config *c = at->config;
    struct send_render r;
    struct email_addresses from, to;
    send_render_init(&r, at, 0);
    struct str text = send_text(&r, c->from);
    if (failed(&r, err, "'from' template"))
        return false;
    if (!email_parse_addresses(at->arena, text, &from, err))
        return err_wrap(err, "parse 'from' addresses");
    if (from.n != 1)
        return err_set(err, ERR_INVALID, "must be exactly one 'from' address (got: %zu)", from.n);
    text = send_text(&r, c->to);
    if (failed(&r, err, "'to' template"))
        return false;
    if (!email_parse_addresses(at->arena, text, &to, err))
        return err_wrap(err, "parse 'to' addresses");
    job->from = from.v[0];
    job->to = to.v;
    job->to_count = to.n;
    return build_message(at, c, &r, &job->message, err);
}

/* ---- the job ---- */

/* The file wins; what is wrong with it is told when the mechanism that needs it comes up. */
static struct str secret(struct send_attempt *at, struct str inline_, struct str file, bool trim, struct str *error)
{
    struct err err = { 0 };
    struct str s = inline_;
    if (file.n > 0 && !send_read_file(at, file, trim, &s, &err)) {
        *error = arena_printf(at->arena, "could not read %.*s: %s", STR_ARG(file), err.text);
        return STR_EMPTY;
    }
    return s;
}

static enum send_verdict start(struct send_attempt *at, const struct email_config *c, struct send_request *next)
{
    struct smtp_job *job = ARENA_NEW(at->arena, struct smtp_job);
    bool by_port = c->force_implicit_tls == TRISTATE_ABSENT && str_eq(c->smarthost.port, STR("465"));
    *job = (struct smtp_job){
        .host = c->smarthost.host,
        .port = c->smarthost.port,
        .hello = c->hello.n > 0 ? c->hello : STR("localhost"),
        .implicit_tls = c->force_implicit_tls == TRISTATE_TRUE || by_port,
        .require_tls = c->require_tls != TRISTATE_FALSE,
        .tls = c->tls_config,
        .auth_username = c->auth_username,
        .auth_identity = c->auth_identity,
        .render = render,
        .render_arg = at,
    };
    job->auth_password = secret(at, c->auth_password, c->auth_password_file, true, &job->auth_password_error);
    job->auth_secret = secret(at, c->auth_secret, c->auth_secret_file, false, &job->auth_secret_error);
    *next = (struct send_request){ .smtp = job };
    return SEND_REQUEST;
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    if (!res)
        return start(at, at->config, next);
    if (res->arrived)
        return SEND_DONE;
    why->reason = SEND_REASON_OTHER;
    why->err = res->err;
    return res->smtp_retry ? SEND_RETRY : SEND_FAIL;
}

const struct receiver_row email_row = { RECEIVER_ROW(RECEIVER_EMAIL, email, false), .step = step };
