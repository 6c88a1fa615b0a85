/* Rows and checks of email_configs. */
#include "notify/receivers/email_config.h"

#include "http/header.h"

#define HTML_DEFAULT    "{{ template \"email.default.html\" . }}"
#define SUBJECT_DEFAULT "{{ template \"email.default.subject\" . }}"

static const struct bind threading_fields[] = {
    BIND_BOOL(struct email_threading, enabled, "enabled",
              "Let mail programs show the mails of a group as one thread."),
    BIND_STR(struct email_threading, thread_by_date, "thread_by_date",
             "A thread for each day (daily), or one (none)."),
};
static const struct bind_type threading_bind =
    BIND_TYPE("config.ThreadingConfig", struct email_threading, threading_fields, .title = "threading");

static const struct bind fields[] = {
    RECEIVER_SEND_RESOLVED(struct email_config, "false"),
    BIND_STR(struct email_config, to, "to", "Addresses of the mail.", .templated = true,
             .required = "missing to address in email config"),
    BIND_STR(struct email_config, from, "from", "Address of the sender.", .templated = true, .inherit = true),
    BIND_STR(struct email_config, hello, "hello", "Name in the SMTP greeting.", .inherit = true),
    BIND_SCALAR(struct email_config, smarthost, "smarthost", "Mail server, host:port.", &smtp_smarthost_scalar,
                .inherit = true),
    BIND_STR(struct email_config, auth_username, "auth_username", "User of SMTP authentication.", .inherit = true),
    BIND_SECRET(struct email_config, auth_password, "auth_password", "Password of PLAIN and LOGIN.",
                .inherit = true),
    BIND_STR(struct email_config, auth_password_file, "auth_password_file", "File of the password.",
             .inherit = true),
    BIND_SECRET(struct email_config, auth_secret, "auth_secret", "Secret of CRAM-MD5.", .inherit = true),
    BIND_STR(struct email_config, auth_secret_file, "auth_secret_file", "File of the secret.", .inherit = true),
    BIND_STR(struct email_config, auth_identity, "auth_identity", "Identity of PLAIN.", .inherit = true),
    BIND_STR_MAP(struct email_config, headers, "headers", "Further headers; Subject, To and From may be replaced.",
                 .templated = true),
    BIND_STR(struct email_config, html, "html", "Body as HTML.", .templated = true, .fallback = HTML_DEFAULT),
    BIND_STR(struct email_config, text, "text", "Body as plain text.", .templated = true),
    BIND_TRISTATE(struct email_config, require_tls, "require_tls", "Refuse servers that do not offer STARTTLS.",
                  .inherit = true),
    BIND_POINTER(struct email_config, tls_config, "tls_config", "TLS settings; relative paths are not resolved.",
                 &http_tls_config_bind, .inherit = true),
    BIND_TRISTATE(struct email_config, force_implicit_tls, "force_implicit_tls",
                  "TLS from the first byte; if absent: on port 465.", .inherit = true),
    BIND_OBJECT(struct email_config, threading, "threading", "Threads of mails.", &threading_bind),
};

static bool canonical_headers(struct binding *b, struct email_config *c, struct err *err)
{
    struct str_pair *v = arena_alloc_array(b->arena, c->headers.n, sizeof *v);
    struct str_map done = { v, 0 };
    for (size_t i = 0; i < c->headers.n; i++) {
        struct buf name = { 0 };
        http_header_canonical(&name, c->headers.v[i].key);
        struct str key = arena_str(b->arena, buf_view(&name));
        buf_deinit(&name);
        if (str_map_has(&done, key))
            return err_set(err, ERR_INVALID, "duplicate header %s in email config", bind_quote(key).text);
        v[done.n++] = (struct str_pair){ key, c->headers.v[i].value };
    }
    if (c->headers.v)
        c->headers = done;
    return true;
}

static bool check_threading(const struct email_config *c, struct err *err)
{
    if (!c->threading.enabled)
        return true;
    static const struct str conflicts[] = { STR_INIT("References"), STR_INIT("In-Reply-To") };
    for (size_t i = 0; i < ARRAY_LEN(conflicts); i++)
        if (str_map_has(&c->headers, conflicts[i]))
            return err_set(err, ERR_INVALID,
                           "conflicting configuration: threading.enabled conflicts with custom %.*s header",
                           STR_ARG(conflicts[i]));
    struct str by = c->threading.thread_by_date;
    if (!str_eq(by, STR("none")) && !str_eq(by, STR("daily")))
        return err_set(err, ERR_INVALID, "threading.thread_by_date must be either 'none' or 'daily'");
    return true;
}

static bool check(struct binding *b, void *object, struct err *err)
{
    return canonical_headers(b, object, err) && check_threading(object, err);
}

const struct bind_type email_config_bind =
    RECEIVER_TYPE("config.plain", struct email_config, fields, .title = "email_configs", .check = check);

static void inherit_str(struct str *own, struct str global)
{
    if (own->n == 0)
        *own = global;
}

bool email_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err)
{
    struct email_config *c = config;
    if (!c->tls_config) {
        c->tls_config = ARENA_NEW(a, struct http_tls_config);
        *c->tls_config = global->smtp_tls_config;
    }
    if (c->smarthost.port.n == 0)
        c->smarthost = global->smtp_smarthost;
    if (c->smarthost.port.n == 0)
        return err_set(err, ERR_INVALID, "no global SMTP smarthost set");
    inherit_str(&c->from, global->smtp_from);
    if (c->from.n == 0)
        return err_set(err, ERR_INVALID, "no global SMTP from set");
    inherit_str(&c->hello, global->smtp_hello);
    inherit_str(&c->auth_username, global->smtp_auth_username);
    receiver_inherit_pair(&c->auth_password, &c->auth_password_file, global->smtp_auth_password,
                          global->smtp_auth_password_file);
    receiver_inherit_pair(&c->auth_secret, &c->auth_secret_file, global->smtp_auth_secret,
                          global->smtp_auth_secret_file);
    inherit_str(&c->auth_identity, global->smtp_auth_identity);
    if (c->require_tls == TRISTATE_ABSENT)
        c->require_tls = global->smtp_require_tls ? TRISTATE_TRUE : TRISTATE_FALSE;
    if (c->force_implicit_tls == TRISTATE_ABSENT)
        c->force_implicit_tls = global->smtp_force_implicit_tls;
    return true;
}

void email_config_fill_headers(struct email_config *c, struct arena *a)
{
    const struct str_pair wanted[] = {
        { STR("From"), c->from },
        { STR("Subject"), STR(SUBJECT_DEFAULT) },
        { STR("To"), c->to },
    };
    struct str_pair *v = arena_alloc_array(a, c->headers.n + ARRAY_LEN(wanted), sizeof *v);
    size_t n = 0;
    for (; n < c->headers.n; n++)
        v[n] = c->headers.v[n];
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (!str_map_has(&c->headers, wanted[i].key))
            v[n++] = wanted[i];
    c->headers = (struct str_map){ v, n };
    str_map_sort(v, n);
}
