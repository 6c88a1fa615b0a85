/* TCP connections on a loop.
 *
 *   CONNECTING --> HANDSHAKE (TLS only) --> OPEN --> CLOSED
 *
 * W1  The write queue is a list of chunks; over TLS a chunk is a record and is written whole, in order, never joined.
 *     A plain connection writes chunks as the socket takes them.
 * W2  `closed` is told once, as the last thing. The owner frees the connection; what is freed from within a callback
 *     of ours is kept until that callback has returned (`depth`, `freed`).
 * W3  Reading stops while paused; over TLS what is already decrypted is delivered before the socket is looked at again.
 * W4  closed from within tcp_connect(), tcp_end() and tcp_write() is put off to the next turn (`later`). */
#include "io/tcp.h"

#include "base/mem.h"
#include "io/clock_io.h"
#include "io/listen_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READS_PER_TURN = 16, READ_BYTES = 64 * 1024, CONNECTIONS_MAX = 128, ACCEPTS_PER_TURN = 64 };
static const size_t WRITE_BYTES_MAX = 64 * 1024 * 1024;

enum tcp_state { TCP_CONNECTING, TCP_HANDSHAKE, TCP_OPEN, TCP_CLOSED };

struct chunk {
    struct chunk *next;
    size_t n, done;
    char bytes[];
};

struct tcp {
    struct loop *loop;
    int fd;
    enum tcp_state state;
    struct loop_poll *poll;
    struct tcp_events events;
    void *arg;
    struct addr local, remote;
    struct loop_timer timer; /* the deadline */
    struct loop_timer later; /* in the next turn: a failure to be told, or decrypted bytes to be read */
    struct chunk *head, **tail;
    size_t queued, queued_max;
    bool ending, ended; /* our side is to be closed when the queue is empty; is closed */
    bool paused, tls_wants_write, freed;
    bool failed;     /* `later` closes with `why` */
    bool peer_ended; /* nothing more comes; what is queued is still written */
    int depth;
    struct tls_client *tls_client;
    struct str server_name; /* owned */
    struct tls_session *tls;
    struct err why;
    struct tcp_listener *listener; /* counted there; NULL: none */
};

struct tcp_listener {
    struct loop *loop;
    int fd;
    struct loop_poll *poll;
    struct addr local;
    struct tcp_listener_options options;
    size_t open; /* its connections */
    bool freed;  /* waits for its connections to let go */
};

static void listener_let_go(struct tcp_listener *t);

/* ---- Ends ---- */

static void release(struct tcp *c)
{
    while (c->head) {
        struct chunk *next = c->head->next;
        mem_free(c->head);
        c->head = next;
    }
    tls_client_release(c->tls_client);
    char *owned;
    memcpy(&owned, &c->server_name.p, sizeof owned);
    mem_free(owned);
    mem_free(c);
}

static void shut(struct tcp *c)
{
    loop_poll_free(c->poll);
    c->poll = NULL;
    tls_session_free(c->tls);
    c->tls = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    loop_timer_stop(c->loop, &c->timer);
    loop_timer_stop(c->loop, &c->later);
    c->state = TCP_CLOSED;
    if (c->listener) {
        struct tcp_listener *t = c->listener;
        c->listener = NULL;
        listener_let_go(t);
    }
}

/* Tells the owner; the connection may be gone afterwards. */
static void close_with(struct tcp *c, const struct err *why)
{
    if (c->state == TCP_CLOSED)
        return;
    struct err reason = *why;
    shut(c);
    if (c->events.closed)
        c->events.closed(c->arg, &reason);
}

static void enter(struct tcp *c)
{
    c->depth++;
}

static void leave(struct tcp *c)
{
    if (--c->depth == 0 && c->freed)
        release(c);
}

static void come_back(struct tcp *c)
{
    if (!timer_is_armed(&c->later.entry))
        loop_timer_in(c->loop, &c->later, 0);
}

/* For failures found while the owner is calling us (W4); c->why is set. */
static void fail_later(struct tcp *c)
{
    c->failed = true;
    come_back(c);
}

static void name_ends(struct tcp *c, struct buf *b)
{
    addr_write(b, &c->local);
    buf_c(b, "->");
    addr_write(b, &c->remote);
}

static void stream_error(struct tcp *c, const char *verb, int errnum, struct err *err)
{
    struct buf b = { 0 };
    name_ends(c, &b);
    err_errno(err, errnum, "%s tcp %.*s: %s", verb, STR_ARG(buf_view(&b)), verb);
    buf_deinit(&b);
}

static void on_deadline(void *arg)
{
    struct tcp *c = arg;
    struct err why;
    struct buf b = { 0 };
    if (c->state == TCP_CONNECTING) {
        addr_write(&b, &c->remote);
        err_set(&why, ERR_TIMEOUT, "dial tcp %.*s: i/o timeout", STR_ARG(buf_view(&b)));
    } else {
        name_ends(c, &b);
        err_set(&why, ERR_TIMEOUT, "read tcp %.*s: i/o timeout", STR_ARG(buf_view(&b)));
    }
    buf_deinit(&b);
    enter(c);
    close_with(c, &why);
    leave(c);
}

/* ---- What the socket is asked for ---- */

static void watch(struct tcp *c)
{
    unsigned events = 0;
    switch (c->state) {
    case TCP_CONNECTING:
        events = LOOP_WRITE;
        break;
    case TCP_HANDSHAKE:
        events = c->tls_wants_write ? LOOP_WRITE : LOOP_READ;
        break;
    case TCP_OPEN:
        if (!c->paused && !c->peer_ended)
            events |= LOOP_READ;
        if (c->head || c->tls_wants_write)
            events |= LOOP_WRITE;
        break;
    case TCP_CLOSED:
        return;
    }
    loop_poll_set(c->poll, events);
}

/* ---- Writing ---- */

static enum tls_result write_chunk(struct tcp *c, struct chunk *k, struct err *err)
{
    if (c->tls) {
        enum tls_result r = tls_session_write(c->tls, k->bytes, k->n, err);
        if (r == TLS_DONE)
            k->done = k->n;
        return r;
    }
    while (k->done < k->n) {
        ssize_t n = send(c->fd, k->bytes + k->done, k->n - k->done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return TLS_WANT_WRITE;
        if (n < 0) {
            stream_error(c, "write", errno, err);
            return TLS_FAILED;
        }
        k->done += (size_t)n;
    }
    return TLS_DONE;
}

/* Our side ends: FIN, after close_notify over TLS. */
static void end_now(struct tcp *c)
{
    if (c->ended)
        return;
    if (c->tls && tls_session_end(c->tls) == TLS_WANT_WRITE) {
        c->tls_wants_write = true;
        return;
    }
    c->tls_wants_write = false;
    c->ended = true;
    shutdown(c->fd, SHUT_WR);
}

/* False: the connection failed, err says why. */
static bool flush(struct tcp *c, struct err *err)
{
    while (c->head) {
        struct chunk *k = c->head;
        switch (write_chunk(c, k, err)) {
        case TLS_WANT_READ:
        case TLS_WANT_WRITE:
            return true;
        case TLS_CLOSED:
        case TLS_FAILED:
            return false;
        case TLS_DONE:
            break;
        }
        c->queued -= k->n;
        c->head = k->next;
        if (!c->head)
            c->tail = &c->head;
        mem_free(k);
    }
    if (c->ending)
        end_now(c);
    return true;
}

static void append(struct tcp *c, struct str bytes)
{
    struct chunk *k = mem_alloc(sizeof *k + bytes.n);
    k->n = bytes.n;
    memcpy(k->bytes, bytes.p, bytes.n);
    *c->tail = k;
    c->tail = &k->next;
    c->queued += bytes.n;
}

bool tcp_write(struct tcp *c, struct str bytes)
{
    if (c->state == TCP_CLOSED || c->ending || bytes.n > c->queued_max - c->queued)
        return false;
    bool was_empty = c->head == NULL;
    while (bytes.n > 0) { /* by records, so that a later change to TLS finds none too long */
        struct str piece = str_sub(bytes, 0, TLS_RECORD_BYTES_MAX);
        append(c, piece);
        bytes = str_from(bytes, piece.n);
    }
    if (c->state != TCP_OPEN || !was_empty)
        return true;
    if (!flush(c, &c->why))
        fail_later(c);
    else
        watch(c);
    return true;
}

size_t tcp_write_queued(const struct tcp *c)
{
    return c->queued;
}

void tcp_end(struct tcp *c)
{
    if (c->state == TCP_CLOSED || c->ending)
        return;
    c->ending = true;
    if (c->state != TCP_OPEN || c->head)
        return;
    end_now(c);
    watch(c);
}

/* ---- Reading ---- */

static enum tls_result read_some(struct tcp *c, char *p, size_t n, size_t *got, struct err *err)
{
    if (c->tls)
        return tls_session_read(c->tls, p, n, got, err);
    ssize_t r;
    do
        r = recv(c->fd, p, n, 0);
    while (r < 0 && errno == EINTR);
    if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return TLS_WANT_READ;
    if (r < 0) {
        stream_error(c, "read", errno, err);
        return TLS_FAILED;
    }
    *got = (size_t)r;
    return r == 0 ? TLS_CLOSED : TLS_DONE;
}

static void read_all(struct tcp *c)
{
    static _Thread_local char buffer[READ_BYTES];
    for (int i = 0; i < READS_PER_TURN && c->state == TCP_OPEN && !c->paused && !c->peer_ended && !c->freed; i++) {
        struct err why = { 0 };
        size_t got = 0;
        switch (read_some(c, buffer, sizeof buffer, &got, &why)) {
        case TLS_DONE:
            c->events.data(c->arg, str_of(buffer, got));
            break;
        case TLS_WANT_READ:
            return;
        case TLS_WANT_WRITE:
            c->tls_wants_write = true;
            return;
        case TLS_CLOSED:
            c->peer_ended = true;
            if (!c->head)
                close_with(c, &why);
            return;
        case TLS_FAILED:
            close_with(c, &why);
            return;
        }
    }
    if (c->tls && c->state == TCP_OPEN && !c->paused && !c->freed && tls_session_pending(c->tls))
        come_back(c);
}

static void on_later(void *arg)
{
    struct tcp *c = arg;
    enter(c);
    if (c->failed)
        close_with(c, &c->why);
    else
        read_all(c);
    if (c->state != TCP_CLOSED && !c->freed)
        watch(c);
    leave(c);
}

/* ---- Opening ---- */

static void opened(struct tcp *c)
{
    struct err why = { 0 };
    c->state = TCP_OPEN;
    c->tls_wants_write = false;
    if (c->events.opened)
        c->events.opened(c->arg);
    if (c->state == TCP_OPEN && !c->freed && !flush(c, &why))
        close_with(c, &why);
}

static void shake_hands(struct tcp *c)
{
    struct err why = { 0 };
    switch (tls_session_handshake(c->tls, &why)) {
    case TLS_DONE:
        opened(c);
        return;
    case TLS_WANT_READ:
        c->tls_wants_write = false;
        return;
    case TLS_WANT_WRITE:
        c->tls_wants_write = true;
        return;
    case TLS_CLOSED:
    case TLS_FAILED:
        close_with(c, &why);
        return;
    }
}

static void learn_local(struct tcp *c)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    if (getsockname(c->fd, (struct sockaddr *)&sa, &n) == 0)
        addr_from_sockaddr(&c->local, (struct sockaddr *)&sa);
}

static void begin(struct tcp *c)
{
    if (c->tls_client && !c->tls)
        c->tls = tls_session_client(c->tls_client, c->fd, c->server_name);
    if (c->tls) {
        c->state = TCP_HANDSHAKE;
        shake_hands(c);
    } else {
        opened(c);
    }
}

static void dial_error(struct tcp *c, int errnum, struct err *err)
{
    struct buf b = { 0 };
    addr_write(&b, &c->remote);
    err_errno(err, errnum, "dial tcp %.*s: connect", STR_ARG(buf_view(&b)));
    if (errnum == ECONNREFUSED)
        err->code = ERR_UNAVAILABLE; /* somebody is there, and nobody listens */
    buf_deinit(&b);
}

static void connected(struct tcp *c)
{
    int e = 0;
    socklen_t n = sizeof e;
    struct err why;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &n);
    if (e != 0) {
        dial_error(c, e, &why);
        close_with(c, &why);
        return;
    }
    learn_local(c);
    begin(c);
}

static void on_ready(void *arg, unsigned events)
{
    struct tcp *c = arg;
    struct err why = { 0 };
    enter(c);
    switch (c->state) {
    case TCP_CONNECTING:
        connected(c);
        break;
    case TCP_HANDSHAKE:
        shake_hands(c);
        break;
    case TCP_OPEN:
        if (events & LOOP_WRITE) {
            bool had = c->head != NULL;
            c->tls_wants_write = false;
            if (!flush(c, &why) || (c->peer_ended && !c->head))
                close_with(c, &why);
            else if (had && !c->head && c->events.drained)
                c->events.drained(c->arg);
        }
        if ((events & LOOP_HANGUP) && c->state == TCP_OPEN && (c->paused || c->peer_ended)) {
            stream_error(c, "read", ECONNRESET, &why); /* nobody would read the error off the socket */
            close_with(c, &why);
        }
        break;
    case TCP_CLOSED:
        break;
    }
    if (c->state == TCP_OPEN && !c->freed)
        read_all(c);
    if (c->state != TCP_CLOSED && !c->freed)
        watch(c);
    leave(c);
}

static struct tcp *tcp_new(struct loop *l, int fd)
{
    struct tcp *c = MEM_NEW(struct tcp);
    c->loop = l;
    c->fd = fd;
    c->tail = &c->head;
    c->queued_max = WRITE_BYTES_MAX;
    c->timer = (struct loop_timer){ .fire = on_deadline, .arg = c };
    c->later = (struct loop_timer){ .fire = on_later, .arg = c };
    return c;
}

static void set_socket_options(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

static struct str own(struct str s)
{
    return str_of(s.n ? mem_dup(s.p, s.n) : NULL, s.n);
}

struct tcp *tcp_connect(struct loop *l, const struct addr *to, const struct tcp_options *o)
{
    struct sockaddr_storage sa;
    socklen_t n = addr_to_sockaddr(to, &sa);
    struct tcp *c = tcp_new(l, socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    c->events = o->events;
    c->arg = o->arg;
    c->remote = *to;
    c->server_name = own(o->server_name);
    if (o->write_bytes_max)
        c->queued_max = o->write_bytes_max;
    if (o->tls)
        c->tls_client = tls_client_retain(o->tls);
    if (c->fd < 0) {
        dial_error(c, errno, &c->why);
        fail_later(c);
        return c;
    }
    set_socket_options(c->fd);
    tcp_set_deadline(c, o->deadline);
    if (connect(c->fd, (struct sockaddr *)&sa, n) != 0 && errno != EINPROGRESS) {
        dial_error(c, errno, &c->why);
        fail_later(c);
        return c;
    }
    c->poll = loop_poll_new(l, c->fd, on_ready, c);
    watch(c);
    return c;
}

void tcp_set_deadline(struct tcp *c, mono_ms deadline)
{
    if (deadline.ms == INT64_MAX || c->state == TCP_CLOSED)
        loop_timer_stop(c->loop, &c->timer);
    else
        loop_timer_at(c->loop, &c->timer, deadline);
}

void tcp_set_events(struct tcp *c, const struct tcp_events *events, void *arg)
{
    c->events = *events;
    c->arg = arg;
}

void tcp_pause(struct tcp *c, bool paused)
{
    c->paused = paused;
    if (c->state == TCP_CLOSED || c->depth > 0)
        return;
    watch(c);
    if (c->tls && c->state == TCP_OPEN && !paused && tls_session_pending(c->tls))
        come_back(c); /* the socket will not say so */
}

void tcp_free(struct tcp *c)
{
    if (!c || c->freed)
        return;
    shut(c);
    c->freed = true;
    if (c->depth == 0)
        release(c);
}

void tcp_start_tls(struct tcp *c, struct tls_client *tls, struct str server_name)
{
    ASSERT(c->state == TCP_OPEN);
    ASSERT(!c->tls && !c->head);
    char *owned;
    memcpy(&owned, &c->server_name.p, sizeof owned);
    mem_free(owned);
    c->server_name = own(server_name);
    tls_client_release(c->tls_client);
    c->tls_client = tls_client_retain(tls);
    c->tls = tls_session_client(tls, c->fd, c->server_name);
    c->state = TCP_HANDSHAKE;
    c->tls_wants_write = true; /* the first move is ours */
    watch(c);
}

const struct addr *tcp_local(const struct tcp *c)
{
    return &c->local;
}

const struct addr *tcp_remote(const struct tcp *c)
{
    return &c->remote;
}

bool tcp_is_tls(const struct tcp *c)
{
    return c->tls != NULL;
}

/* ---- Listening ---- */

static void watch_listener(struct tcp_listener *t)
{
    if (!t->freed)
        loop_poll_set(t->poll, t->open < t->options.connections_max ? LOOP_READ : 0);
}

static void listener_let_go(struct tcp_listener *t)
{
    ASSERT(t->open > 0);
    t->open--;
    if (!t->freed)
        watch_listener(t);
    else if (t->open == 0)
        mem_free(t);
}


static void adopt(struct tcp_listener *t, int fd, const struct sockaddr *sa)
{
    struct tls_server *tls = NULL;
    if (t->options.tls) {
        tls = t->options.tls(t->options.arg);
        if (!tls) {
            close(fd);
            return;
        }
    }
    struct tcp *c = tcp_new(t->loop, fd);
    set_socket_options(fd);
    addr_from_sockaddr(&c->remote, sa);
    learn_local(c);
    c->listener = t;
    t->open++;
    if (tls) {
        c->tls = tls_session_server(tls, fd);
        tls_server_release(tls); /* the session holds its own */
        c->state = TCP_HANDSHAKE;
    } else {
        c->state = TCP_OPEN;
    }
    if (t->options.deadline_ms > 0)
        tcp_set_deadline(c, mono_add(clock_mono(), t->options.deadline_ms));
    c->poll = loop_poll_new(t->loop, fd, on_ready, c);
    enter(c);
    t->options.accepted(t->options.arg, c);
    ASSERT(c->freed || c->events.data != NULL);
    if (!c->freed)
        watch(c);
    leave(c);
}

static void on_accept(void *arg, unsigned events)
{
    struct tcp_listener *t = arg;
    (void)events;
    t->open++; /* hold on to it: a callback may free it */
    for (int i = 0; i < ACCEPTS_PER_TURN && !t->freed && t->open <= t->options.connections_max; i++) {
        struct sockaddr_storage sa;
        socklen_t n = sizeof sa;
        int fd = accept4(t->fd, (struct sockaddr *)&sa, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0)
            break;
        adopt(t, fd, (struct sockaddr *)&sa);
    }
    listener_let_go(t);
}

struct tcp_listener *tcp_listen(struct loop *l, const struct addr *bind_to, const struct tcp_listener_options *options,
                                struct err *err)
{
    int fd = listen_tcp_addr(bind_to, err);
    if (fd < 0)
        return NULL;
    struct tcp_listener *t = MEM_NEW(struct tcp_listener);
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    t->loop = l;
    t->fd = fd;
    t->options = *options;
    if (t->options.connections_max == 0)
        t->options.connections_max = CONNECTIONS_MAX;
    if (getsockname(fd, (struct sockaddr *)&sa, &n) == 0)
        addr_from_sockaddr(&t->local, (struct sockaddr *)&sa);
    t->poll = loop_poll_new(l, fd, on_accept, t);
    watch_listener(t);
    return t;
}

const struct addr *tcp_listener_address(const struct tcp_listener *t)
{
    return &t->local;
}

void tcp_listener_free(struct tcp_listener *t)
{
    if (!t)
        return;
    loop_poll_free(t->poll);
    close(t->fd);
    t->freed = true;
    if (t->open == 0)
        mem_free(t);
}
