/* E-mail deliveries: a look-up, a connection, and the dialogue of http/smtp.c between them.
 *
 * Addresses are tried in the resolver's order; the last one's failure is reported. A delivery owns its look-up and its
 * connection, and both end with it. TLS contexts are loaded per delivery: files may have changed, and loading the system's
 * authorities (5 ms) is nothing beside a delivery. */
#include "io/smtp_client.h"

#include "base/mem.h"
#include "base/num.h"
#include "io/clock_io.h"
#include "io/fs_posix.h"
#include "io/tcp.h"

struct smtp_call_state {
    struct smtp_client *client;
    struct smtp_call *call;
    struct smtp_call_state *prev, *next;
    struct smtp_dialogue dialogue;
    struct dns_lookup *lookup;
    struct tcp *tcp;
    struct tls_client *tls;
    struct addr addrs[8];
    size_t addrs_count, addr_at;
    struct loop_timer deadline, later;
    mono_ms ends;
};

struct smtp_client {
    struct loop *loop;
    struct dns *dns;
    struct smtp_call_state *calls;
};

static void try_next(struct smtp_call_state *s);

struct smtp_client *smtp_client_new(struct loop *l, struct dns *dns)
{
    struct smtp_client *c = MEM_NEW(struct smtp_client);
    c->loop = l;
    c->dns = dns;
    return c;
}

static void state_free(struct smtp_call_state *s)
{
    struct smtp_client *c = s->client;
    if (s->lookup)
        dns_cancel(s->lookup);
    tcp_free(s->tcp);
    tls_client_release(s->tls);
    loop_timer_stop(c->loop, &s->deadline);
    loop_timer_stop(c->loop, &s->later);
    smtp_dialogue_deinit(&s->dialogue);
    if (s->prev)
        s->prev->next = s->next;
    else
        c->calls = s->next;
    if (s->next)
        s->next->prev = s->prev;
    mem_free(s);
}

static void on_later(void *arg)
{
    struct smtp_call_state *s = arg;
    struct smtp_call *call = s->call;
    struct smtp_result r = s->dialogue.result;
    call->state = NULL;
    state_free(s);
    call->done(call->arg, &r);
}

/* The result stands; it is told in the next turn, outside everybody's callbacks. */
static void end(struct smtp_call_state *s)
{
    if (timer_is_armed(&s->later.entry))
        return;
    tcp_free(s->tcp);
    s->tcp = NULL;
    loop_timer_in(s->client->loop, &s->later, 0);
}

static void broken(struct smtp_call_state *s, const struct err *why)
{
    smtp_dialogue_broken(&s->dialogue, why);
    end(s);
}

static bool load_tls(struct smtp_call_state *s)
{
    static const struct http_tls_config none;
    struct err err;
    const struct http_tls_config *config = s->call->job->tls ? s->call->job->tls : &none;
    s->tls = tls_client_load(config, fs_posix(), &err);
    if (s->tls)
        return true;
    /* The configuration is wrong: not to be retried. */
    s->dialogue.result = (struct smtp_result){ .err = err };
    s->dialogue.state = SMTP_QUIT;
    broken(s, &err);
    return false;
}

/* Does what the dialogue asks for. */
static void obey(struct smtp_call_state *s)
{
    struct smtp_dialogue *d = &s->dialogue;
    if (d->out.n && !tcp_write(s->tcp, buf_view(&d->out))) {
        struct err err;
        err_set(&err, ERR_IO, "message too large to send");
        broken(s, &err);
        return;
    }
    buf_reset(&d->out);
    switch (d->want) {
    case SMTP_WANT_READ:
        return;
    case SMTP_WANT_TLS:
        if (load_tls(s))
            tcp_start_tls(s->tcp, s->tls, s->call->job->host);
        return;
    case SMTP_WANT_CLOSE:
        end(s);
        return;
    }
}

static void on_opened(void *arg)
{
    struct smtp_call_state *s = arg;
    if (s->dialogue.state == SMTP_HANDSHAKE)
        smtp_dialogue_tls_done(&s->dialogue);
    else
        smtp_dialogue_start(&s->dialogue, s->call->job->implicit_tls);
    obey(s);
}

static void on_data(void *arg, struct str bytes)
{
    struct smtp_call_state *s = arg;
    if (timer_is_armed(&s->later.entry))
        return;
    smtp_dialogue_feed(&s->dialogue, bytes);
    obey(s);
}

static void on_closed(void *arg, const struct err *why)
{
    struct smtp_call_state *s = arg;
    if (s->dialogue.state == SMTP_CONNECT && s->addr_at < s->addrs_count) {
        tcp_free(s->tcp);
        s->tcp = NULL;
        try_next(s);
        return;
    }
    broken(s, why);
}

static void try_next(struct smtp_call_state *s)
{
    const struct tcp_options o = {
        .events = { .opened = on_opened, .data = on_data, .closed = on_closed },
        .arg = s,
        .deadline = MONO_NEVER, /* ours covers it */
        .tls = s->call->job->implicit_tls ? s->tls : NULL,
        .server_name = s->call->job->host,
    };
    s->tcp = tcp_connect(s->client->loop, &s->addrs[s->addr_at++], &o);
}

static void on_resolved(void *arg, const struct addr *addrs, size_t count, const struct err *err)
{
    struct smtp_call_state *s = arg;
    s->lookup = NULL;
    if (count == 0) {
        struct err why = *err;
        err_wrap(&why, "dial tcp");
        broken(s, &why);
        return;
    }
    s->addrs_count = count < ARRAY_LEN(s->addrs) ? count : ARRAY_LEN(s->addrs);
    for (size_t i = 0; i < s->addrs_count; i++)
        s->addrs[i] = addrs[i];
    try_next(s);
}

static void on_deadline(void *arg)
{
    struct smtp_call_state *s = arg;
    struct err err;
    err_set(&err, ERR_TIMEOUT, "context deadline exceeded");
    if (s->lookup)
        dns_cancel(s->lookup);
    s->lookup = NULL;
    broken(s, &err);
}

void smtp_client_send(struct smtp_client *c, struct smtp_call *call)
{
    ASSERT(!call->state);
    struct smtp_call_state *s = MEM_NEW(struct smtp_call_state);
    uint64_t port;
    s->client = c;
    s->call = call;
    call->state = s;
    s->next = c->calls;
    if (s->next)
        s->next->prev = s;
    c->calls = s;
    s->deadline = (struct loop_timer){ .fire = on_deadline, .arg = s };
    s->later = (struct loop_timer){ .fire = on_later, .arg = s };
    smtp_dialogue_init(&s->dialogue, call->job);
    s->ends = MONO_NEVER;
    if (call->timeout_ms > 0) {
        s->ends = mono_add(clock_mono(), call->timeout_ms);
        loop_timer_at(c->loop, &s->deadline, s->ends);
    }
    if (!num_parse_u64(call->job->port, 10, &port) || port > 65535) {
        struct err err;
        err_set(&err, ERR_INVALID, "dial tcp: address %.*s: invalid port", STR_ARG(call->job->port));
        broken(s, &err);
        return;
    }
    if (call->job->implicit_tls && !load_tls(s))
        return;
    s->lookup = dns_resolve(c->dns, call->job->host, (uint16_t)port, s->ends, on_resolved, s);
}

void smtp_client_cancel(struct smtp_client *c, struct smtp_call *call)
{
    struct smtp_call_state *s = call->state;
    if (!s)
        return;
    ASSERT(s->client == c);
    call->state = NULL;
    state_free(s);
}

void smtp_client_free(struct smtp_client *c)
{
    if (!c)
        return;
    while (c->calls) {
        c->calls->call->state = NULL;
        state_free(c->calls);
    }
    mem_free(c);
}
