/* Look-ups by getaddrinfo.
 *
 *   WAITING --(a slot)--> RUNNING --> done
 *
 * D1  A look-up whose deadline has passed, or that was cancelled, leaves its request behind: the pool thread cannot be
 *     called back. The request keeps its slot until it ends and then frees itself (`lookup` is NULL).
 * D2  done is called from timers or from libuv's callback, never from within dns_resolve(). */
#include "io/dns.h"

#include "base/mem.h"
#include "io/clock_io.h"

#include <netdb.h>
#include <string.h>
#include <uv.h>

struct request { /* what libuv holds */
    uv_getaddrinfo_t uv; /* first */
    struct dns *dns;
    struct dns_lookup *lookup; /* NULL: nobody waits any more */
};

struct dns_lookup {
    struct dns *dns;
    struct dns_lookup *prev, *next; /* all of the resolver's */
    struct dns_lookup *queue_next;
    bool queued;
    struct request *request;
    char *host;
    uint16_t port;
    struct loop_timer deadline, later;
    struct addr literal;
    bool is_literal;
    struct err err;
    void (*done)(void *arg, const struct addr *addrs, size_t count, const struct err *err);
    void *arg;
};

struct dns {
    struct loop *loop;
    struct dns_lookup *all;
    struct dns_lookup *head, **tail; /* waiting */
    size_t waiting, running;
    bool freed;
};

struct dns *dns_new(struct loop *l)
{
    struct dns *d = MEM_NEW(struct dns);
    d->loop = l;
    d->tail = &d->head;
    return d;
}

static void unqueue(struct dns_lookup *l)
{
    struct dns *d = l->dns;
    if (!l->queued)
        return;
    for (struct dns_lookup **at = &d->head; *at; at = &(*at)->queue_next) {
        if (*at == l) {
            *at = l->queue_next;
            break;
        }
    }
    d->tail = &d->head;
    while (*d->tail)
        d->tail = &(*d->tail)->queue_next;
    d->waiting--;
    l->queued = false;
}

static void forget(struct dns_lookup *l)
{
    struct dns *d = l->dns;
    unqueue(l);
    if (l->request)
        l->request->lookup = NULL;
    loop_timer_stop(d->loop, &l->deadline);
    loop_timer_stop(d->loop, &l->later);
    if (l->prev)
        l->prev->next = l->next;
    else
        d->all = l->next;
    if (l->next)
        l->next->prev = l->prev;
    mem_free(l->host);
    mem_free(l);
}

static void answer(struct dns_lookup *l, const struct addr *addrs, size_t count)
{
    void (*done)(void *, const struct addr *, size_t, const struct err *) = l->done;
    void *arg = l->arg;
    struct err err = l->err;
    forget(l);
    done(arg, addrs, count, &err);
}

static size_t collect(const struct addrinfo *list, uint16_t port, struct addr *out)
{
    size_t n = 0;
    for (const struct addrinfo *i = list; i && n < DNS_ADDRESSES_MAX; i = i->ai_next) {
        struct addr a;
        if (!addr_from_sockaddr(&a, i->ai_addr))
            continue;
        a.port = port;
        bool known = false;
        for (size_t j = 0; j < n && !known; j++)
            known = addr_eq(&out[j], &a);
        if (!known)
            out[n++] = a;
    }
    return n;
}

static void start_waiting(struct dns *d);

static void resolved(uv_getaddrinfo_t *uv, int status, struct addrinfo *list)
{
    struct request *r = (struct request *)uv;
    struct dns *d = r->dns;
    struct dns_lookup *l = r->lookup;
    struct addr addrs[DNS_ADDRESSES_MAX];
    size_t n = 0;
    loop_turn_begin(d->loop);
    d->running--;
    mem_free(r);
    if (l) {
        l->request = NULL;
        if (status == 0)
            n = collect(list, l->port, addrs);
        if (n == 0 && (status == 0 || status == UV_EAI_NONAME || status == UV_EAI_NODATA))
            err_set(&l->err, ERR_NOT_FOUND, "lookup %s: no such host", l->host);
        else if (n == 0)
            err_set(&l->err, ERR_IO, "lookup %s: %s", l->host,
                    status == UV_EAI_AGAIN ? "server misbehaving" : uv_strerror(status));
    }
    uv_freeaddrinfo(list);
    if (d->freed && d->running == 0) {
        mem_free(d);
        return;
    }
    if (!d->freed)
        start_waiting(d);
    if (l)
        answer(l, addrs, n);
}

static void start_waiting(struct dns *d)
{
    while (d->head && d->running < DNS_RUNNING_MAX) {
        struct dns_lookup *l = d->head;
        unqueue(l);
        struct request *r = MEM_NEW(struct request);
        const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
        r->dns = d;
        r->lookup = l;
        l->request = r;
        d->running++;
        int rc = uv_getaddrinfo(loop_uv(d->loop), &r->uv, resolved, l->host, NULL, &hints);
        if (rc == 0)
            continue;
        d->running--;
        l->request = NULL;
        mem_free(r);
        err_set(&l->err, ERR_IO, "lookup %s: %s", l->host, uv_strerror(rc));
        loop_timer_in(d->loop, &l->later, 0);
    }
}

static void on_later(void *arg)
{
    struct dns_lookup *l = arg;
    struct addr literal = l->literal; /* answer() frees the look-up before it tells */
    answer(l, &literal, l->is_literal ? 1 : 0);
}

static void on_deadline(void *arg)
{
    struct dns_lookup *l = arg;
    err_set(&l->err, ERR_TIMEOUT, "lookup %s: i/o timeout", l->host);
    answer(l, NULL, 0);
}

struct dns_lookup *dns_resolve(struct dns *d, struct str host, uint16_t port, mono_ms deadline,
                               void (*done)(void *arg, const struct addr *addrs, size_t count, const struct err *err),
                               void *arg)
{
    struct dns_lookup *l = MEM_NEW(struct dns_lookup);
    l->dns = d;
    l->host = mem_alloc(host.n + 1);
    memcpy(l->host, host.p, host.n);
    l->port = port;
    l->done = done;
    l->arg = arg;
    l->deadline = (struct loop_timer){ .fire = on_deadline, .arg = l };
    l->later = (struct loop_timer){ .fire = on_later, .arg = l };
    l->next = d->all;
    if (l->next)
        l->next->prev = l;
    d->all = l;
    l->is_literal = ip_parse(host, &l->literal.ip);
    if (l->is_literal) {
        l->literal.ip = ip_unmap(&l->literal.ip);
        l->literal.port = port;
        loop_timer_in(d->loop, &l->later, 0);
        return l;
    }
    bool nul = host.n && memchr(host.p, 0, host.n) != NULL;
    if (host.n == 0 || host.n > 253 || nul) {
        err_set(&l->err, ERR_NOT_FOUND, "lookup %.*s: no such host", STR_ARG(str_sub(host, 0, 253)));
        loop_timer_in(d->loop, &l->later, 0);
        return l;
    }
    if (d->waiting >= DNS_WAITING_MAX) {
        err_set(&l->err, ERR_LIMIT, "lookup %s: too many look-ups wait", l->host);
        loop_timer_in(d->loop, &l->later, 0);
        return l;
    }
    if (deadline.ms != INT64_MAX)
        loop_timer_at(d->loop, &l->deadline, deadline);
    l->queued = true;
    *d->tail = l;
    d->tail = &l->queue_next;
    d->waiting++;
    start_waiting(d);
    return l;
}

void dns_cancel(struct dns_lookup *l)
{
    forget(l);
}

void dns_free(struct dns *d)
{
    if (!d)
        return;
    while (d->all) {
        if (d->all->request)
            uv_cancel((uv_req_t *)&d->all->request->uv); /* works if it has not begun */
        forget(d->all);
    }
    d->freed = true;
    if (d->running == 0)
        mem_free(d); /* else the last request does it: loop_free() waits for them */
}
