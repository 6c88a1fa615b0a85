/* One request and its answer, between libmicrohttpd and the handler.
 *
 * libmicrohttpd calls, all on the connection's pool thread: exchange_begin() with the raw request line, then
 * exchange_access() once with the headers, once per piece of body, once when all is there, and again each time the
 * connection is woken; then exchange_end().
 *
 * X1  The request is copied into the exchange's arena, so it stays whole for its holder even if the connection is lost.
 * X2  A connection sleeps (MHD_suspend_connection) only in sleep_until_woken(), and is woken exactly once per sleep: by
 *     finish, by the comparer, or by the watch that abandons it. Whoever moves `state` out of SUSPENDED does it.
 * X3  suspend comes before the state says SUSPENDED; if DONE got there first, we wake ourselves.
 * X4  A connection that falls asleep in the call that came with the last bytes of its request is taken, when it wakes, for one
 *     that still reads: if its client has closed its side meanwhile, libmicrohttpd sees the end of file first and drops the
 *     answer. So it does not sleep in that call but in the next one, a turn of the loop later, when libmicrohttpd has noted
 *     that there is nothing to read (STAGE_LINGER).
 * X5  After a refusal at the headers a body of at most DISCARD_BYTES_MAX is read and dropped, so that the client gets to
 *     the answer and the connection can go on; a longer one is answered at once, which closes the connection. */
#include "base/mem.h"
#include "base/num.h"
#include "io/clock_io.h"
#include "io/http_server_int.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum {
    DISCARD_BYTES_MAX = 256 * 1024, /* as Go's server */
    PIECE_BYTES = 64 * 1024,
    FREE_LIST_MAX = 64,
    KEPT_BODY_BYTES = 16 * 1024, /* what a spare exchange may keep */
    EMPTY_PULLS_MAX = 1000,
};

static void set_phase(struct conn *c, enum conn_phase phase)
{
    atomic_store_explicit(&c->since_ms, clock_mono().ms, memory_order_relaxed);
    atomic_store_explicit(&c->phase, (int)phase, memory_order_relaxed);
}

/* ---- Life ---- */

static struct exchange *exchange_take(struct http_server *s)
{
    lock_take(&s->lock);
    struct exchange *x = s->free_list;
    if (x) {
        s->free_list = x->next_free;
        s->free_count--;
    }
    lock_give(&s->lock);
    if (!x) {
        x = MEM_NEW(struct exchange);
        arena_init(&x->arena, ARENA_NO_LIMIT);
    }
    x->server = s;
    return x;
}

static void destroy(struct exchange *x)
{
    arena_deinit(&x->arena);
    buf_deinit(&x->body);
    buf_deinit(&x->piece);
    buf_deinit(&x->pub.response.body);
    mem_free(x);
}

static void end_pull(struct exchange *x)
{
    struct http_response *res = &x->pub.response;
    if (res->pull_end) {
        void (*end)(void *) = res->pull_end;
        res->pull_end = NULL;
        end(res->pull_arg);
    }
}

/* Empties a finished exchange; what it keeps for the next one is small. */
static void recycle(struct exchange *x)
{
    struct arena arena = x->arena;
    struct buf body = x->body, piece = x->piece, answer = x->pub.response.body;
    arena_reset(&arena);
    if (body.capacity > KEPT_BODY_BYTES)
        buf_deinit(&body);
    if (answer.capacity > KEPT_BODY_BYTES)
        buf_deinit(&answer);
    buf_deinit(&piece);
    buf_reset(&body);
    buf_reset(&answer);
    *x = (struct exchange){ .arena = arena, .body = body, .pub.response.body = answer };
}

static void exchange_give(struct exchange *x)
{
    struct http_server *s = x->server;
    end_pull(x);
    http_guard_release(x->guard);
    recycle(x);
    lock_take(&s->lock);
    bool keep = s->free_count < FREE_LIST_MAX;
    if (keep) {
        x->next_free = s->free_list;
        s->free_list = x;
        s->free_count++;
    }
    lock_give(&s->lock);
    if (!keep)
        destroy(x);
}

void exchange_free_all(struct http_server *s)
{
    while (s->free_list) {
        struct exchange *x = s->free_list;
        s->free_list = x->next_free;
        destroy(x);
    }
    s->free_count = 0;
}

/* ---- Connections ---- */

static void conn_open(struct http_server *s, struct MHD_Connection *mhd, void **context)
{
    struct conn *c = MEM_NEW(struct conn);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    c->fd = info->connect_fd;
    c->server = s;
    c->mhd = mhd;
    struct addr addr;
    info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info && addr_from_sockaddr(&addr, info->client_addr)) {
        struct buf b = { 0 };
        addr_write(&b, &addr);
        ASSERT(b.n < sizeof c->peer);
        memcpy(c->peer, b.p, b.n);
        buf_deinit(&b);
    }
    set_phase(c, CONN_HEADERS);
    if (s->config.hooks.tls) {
        c->tls = s->config.hooks.tls(s->config.hooks.arg);
        info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        if (!c->tls || !info || !tls_server_apply(c->tls, info->tls_session))
            shutdown(c->fd, SHUT_RDWR);
    }
    *context = c;
    lock_take(&s->lock);
    c->next = s->conns;
    if (c->next)
        c->next->prev = c;
    s->conns = c;
    s->conns_count++;
    gauge_set(&s->stats.connections, (double)s->conns_count);
    lock_give(&s->lock);
}

static void conn_close(struct http_server *s, void **context)
{
    struct conn *c = *context;
    if (!c)
        return;
    lock_take(&s->lock);
    ASSERT(!c->held);
    if (c->prev)
        c->prev->next = c->next;
    else
        s->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    s->conns_count--;
    gauge_set(&s->stats.connections, (double)s->conns_count);
    pthread_cond_broadcast(&s->quiet);
    lock_give(&s->lock);
    tls_server_release(c->tls);
    mem_free(c);
    *context = NULL;
}

void conn_notify(void *arg, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        conn_open(arg, mhd, context);
    else
        conn_close(arg, context);
}

static struct conn *conn_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    ASSERT(info && info->socket_context);
    return info->socket_context;
}

/* ---- Sleeping and waking ---- */

/* The exchange is in a holder's hands; its connection sleeps until it comes back. False: it is back already, or has
 * been given up because the server is being cut off (then context is NULL). */
static bool sleep_until_woken(struct exchange *x, void **context)
{
    struct http_server *s = x->server;
    lock_take(&s->lock);
    if (s->cutting) {
        int expected = EXCHANGE_HANDLING;
        server_retain(s);
        bool given_up = atomic_compare_exchange_strong(&x->state, &expected, EXCHANGE_ABANDONED);
        if (given_up)
            *context = NULL;
        lock_give(&s->lock);
        if (!given_up)
            server_release(s);
        return false;
    }
    x->conn->slept = true;
    x->conn->held = x;
    s->sleeping++;
    lock_give(&s->lock);
    struct MHD_Connection *mhd = x->mhd;
    MHD_suspend_connection(mhd);
    int expected = EXCHANGE_HANDLING;
    if (!atomic_compare_exchange_strong(&x->state, &expected, EXCHANGE_SUSPENDED)) {
        ASSERT(expected == EXCHANGE_DONE);
        MHD_resume_connection(mhd);
    }
    return true;
}

/* Back on the pool thread. True if the exchange was taken away meanwhile. */
static bool woken(struct conn *c)
{
    struct http_server *s = c->server;
    if (!c->slept)
        return false;
    c->slept = false;
    lock_take(&s->lock);
    bool abandoned = c->abandoned;
    ASSERT(s->sleeping > 0);
    s->sleeping--;
    c->held = NULL;
    c->abandoned = false;
    pthread_cond_broadcast(&s->quiet);
    lock_give(&s->lock);
    return abandoned;
}

bool conn_abandon(struct conn *c)
{
    int expected = EXCHANGE_SUSPENDED;
    server_retain(c->server);
    if (!atomic_compare_exchange_strong(&c->held->state, &expected, EXCHANGE_ABANDONED)) {
        server_release(c->server); /* never the last: the owner holds one */
        return false;
    }
    c->held = NULL;
    c->abandoned = true;
    MHD_resume_connection(c->mhd);
    return true;
}

/* The holder is done with it: finish, or the comparer. */
static void hand_back(struct exchange *x)
{
    struct MHD_Connection *mhd = x->mhd;
    switch ((enum exchange_state)atomic_exchange(&x->state, EXCHANGE_DONE)) {
    case EXCHANGE_HANDLING:
        return; /* whoever called the handler goes on */
    case EXCHANGE_SUSPENDED:
        MHD_resume_connection(mhd);
        return;
    case EXCHANGE_ABANDONED: {
        struct http_server *s = x->server;
        end_pull(x);
        http_guard_release(x->guard);
        destroy(x);
        server_release(s);
        return;
    }
    case EXCHANGE_READING:
    case EXCHANGE_DONE:
        break;
    }
    ASSERT(!"finished twice");
}

void http_exchange_finish(struct http_exchange *pub)
{
    struct exchange *x = container_of(pub, struct exchange, pub);
    ASSERT(pub->response.status >= 200 && pub->response.status <= 999);
    hand_back(x);
}

bool http_exchange_gone(struct http_exchange *pub)
{
    struct exchange *x = container_of(pub, struct exchange, pub);
    if (atomic_load(&x->state) == EXCHANGE_ABANDONED)
        return true;
    struct http_server *s = x->server;
    lock_take(&s->lock); /* it cannot be abandoned, nor its descriptor closed, while we look */
    bool gone = atomic_load(&x->state) == EXCHANGE_ABANDONED;
    if (!gone) {
        struct pollfd p = { .fd = x->conn->fd, .events = POLLRDHUP };
        gone = poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
    }
    lock_give(&s->lock);
    return gone;
}

/* ---- Answering ---- */

/* The next bytes of a pulled body into libmicrohttpd's buffer. */
static ssize_t pull_bytes(void *arg, uint64_t pos, char *out, size_t max)
{
    struct exchange *x = arg;
    (void)pos;
    for (int empty = 0; x->piece_at == x->piece.n; empty++) {
        if (x->piece_last)
            return MHD_CONTENT_READER_END_OF_STREAM;
        buf_reset(&x->piece);
        x->piece_at = 0;
        if (empty == EMPTY_PULLS_MAX || !x->pub.response.pull(x->pub.response.pull_arg, &x->piece, &x->piece_last))
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    set_phase(x->conn, CONN_WRITING);
    size_t n = x->piece.n - x->piece_at;
    if (n > max)
        n = max;
    memcpy(out, x->piece.p + x->piece_at, n);
    x->piece_at += n;
    return (ssize_t)n;
}

/* A pulled body that is over with its first piece is sent as a plain one, with its length. */
static struct MHD_Response *make_response(struct exchange *x)
{
    struct http_response *res = &x->pub.response;
    struct str whole = buf_view(&res->body);
    if (res->pull) {
        if (!x->head && !res->pull(res->pull_arg, &x->piece, &x->piece_last))
            return NULL;
        if (!x->piece_last)
            return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, pull_bytes, x, NULL);
        whole = buf_view(&x->piece);
    }
    void *bytes;
    memcpy(&bytes, &whole.p, sizeof bytes); /* PERSISTENT: not written to, in spite of its type */
    return MHD_create_response_from_buffer(whole.n, bytes, MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result queue(struct MHD_Connection *mhd, struct http_server *s, int status, struct MHD_Response *r)
{
    if (atomic_load_explicit(&s->stopping, memory_order_relaxed))
        MHD_add_response_header(r, "Connection", "close");
    enum MHD_Result ok = MHD_queue_response(mhd, (unsigned)status, r);
    MHD_destroy_response(r);
    return ok;
}

static enum MHD_Result answer(struct exchange *x)
{
    struct http_response *res = &x->pub.response;
    set_phase(x->conn, CONN_WRITING);
    x->stage = STAGE_ANSWERED;
    if (x->add_headers)
        guard_add_headers(x->guard, res);
    struct MHD_Response *r = make_response(x);
    if (!r)
        return MHD_NO;
    for (size_t i = 0; i < res->headers_count; i++)
        MHD_add_response_header(r, arena_cstr(&x->arena, res->headers[i].name),
                                arena_cstr(&x->arena, res->headers[i].value));
    return queue(x->mhd, x->server, res->status, r);
}

static void refuse(struct exchange *x, int status, struct str text)
{
    http_response_text(&x->pub.response, status, STR("text/plain; charset=utf-8"), text);
    http_response_header(&x->pub.response, STR("X-Content-Type-Options"), STR("nosniff"));
    x->reject = true;
}

/* The exchange is somebody else's now; its connection says so. */
static enum MHD_Result answer_abandoned(struct conn *c)
{
    struct http_server *s = c->server;
    struct str text = s->timeout_text;
    void *bytes;
    memcpy(&bytes, &text.p, sizeof bytes);
    set_phase(c, CONN_WRITING);
    struct MHD_Response *r = MHD_create_response_from_buffer(text.n, bytes, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(r, "Content-Type", "text/plain; charset=utf-8");
    return queue(c->mhd, s, 503, r);
}

/* ---- Reading ---- */

void *exchange_begin(void *arg, const char *uri, struct MHD_Connection *mhd)
{
    struct http_server *s = arg;
    struct exchange *x = exchange_take(s);
    struct http_request *req = &x->pub.request;
    x->mhd = mhd;
    x->conn = conn_of(mhd);
    atomic_store(&x->state, EXCHANGE_READING);
    atomic_fetch_add(&s->running, 1);
    counter_add_shared(&s->stats.requests, 1);
    set_phase(x->conn, CONN_HEADERS);
    struct str target = arena_str(&x->arena, str_c(uri));
    size_t question = str_find_byte(target, '?');
    req->target = target;
    req->path = question == STR_NPOS ? target : str_sub(target, 0, question);
    req->query = question == STR_NPOS ? STR_EMPTY : str_from(target, question + 1);
    req->arena = &x->arena;
    req->peer = arena_str(&x->arena, str_c(x->conn->peer)); /* may outlive the connection */
    req->body = req->host = STR_EMPTY;
    req->tls = x->conn->tls != NULL;
    return x;
}

struct header_list {
    struct exchange *x;
    struct http_header *headers;
    size_t count, capacity;
};

static enum MHD_Result add_header(void *arg, enum MHD_ValueKind kind, const char *key, size_t key_n, const char *value,
                                  size_t value_n)
{
    struct header_list *l = arg;
    (void)kind;
    ASSERT(l->count < l->capacity);
    l->headers[l->count++] = (struct http_header){ arena_str(&l->x->arena, str_of(key, key_n)),
                                                   arena_str(&l->x->arena, str_of(value ? value : "", value_n)) };
    return MHD_YES;
}

static void read_headers(struct exchange *x, const char *method)
{
    struct http_request *req = &x->pub.request;
    int count = MHD_get_connection_values_n(x->mhd, MHD_HEADER_KIND, NULL, NULL);
    struct header_list l = { .x = x, .capacity = count > 0 ? (size_t)count : 0 };
    l.headers = arena_alloc_array(&x->arena, l.capacity, sizeof *l.headers);
    MHD_get_connection_values_n(x->mhd, MHD_HEADER_KIND, add_header, &l);
    req->headers = l.headers;
    req->headers_count = l.count;
    req->method = arena_str(&x->arena, str_c(method));
    req->host = http_request_header(req, STR("Host"));
    x->head = str_eq(req->method, STR("HEAD"));
    x->body.limit_bytes = x->server->config.limits.body_bytes_max;
}

/* The announced length of the body: 0 none, UINT64_MAX unknown (chunked). */
static uint64_t announced_bytes(const struct http_request *req)
{
    uint64_t n;
    if (http_request_has_header(req, STR("Transfer-Encoding")))
        return UINT64_MAX;
    struct str length = http_request_header(req, STR("Content-Length"));
    return length.n && num_parse_u64(length, 10, &n) ? n : 0;
}

static void compared(struct guard_ticket *t)
{
    hand_back(container_of(t, struct exchange, ticket));
}

static void refuse_unauthorized(struct exchange *x)
{
    http_response_header(&x->pub.response, STR("WWW-Authenticate"), STR("Basic"));
    refuse(x, 401, STR("Unauthorized\n"));
    counter_add_shared(&x->server->stats.unauthorized, 1);
}

static void apply_verdict(struct exchange *x, enum guard_verdict v)
{
    switch (v) {
    case GUARD_PASS:
        return;
    case GUARD_BROKEN:
        refuse(x, 500, STR("Internal Server Error\n"));
        return;
    case GUARD_LIMITED:
        refuse(x, 429, STR("Too Many Requests\n"));
        return;
    case GUARD_UNAUTHORIZED:
        refuse_unauthorized(x);
        return;
    case GUARD_BUSY:
    case GUARD_COMPARE:
        refuse(x, 503, STR("Service Unavailable\n"));
        return;
    }
}

/* The guard's say, once the headers are there. True if the connection has gone to sleep over it. */
static bool ask_guard(struct exchange *x, void **context)
{
    struct http_server *s = x->server;
    x->guard = s->config.hooks.guard ? s->config.hooks.guard(s->config.hooks.arg) : NULL;
    if (!x->guard)
        return false;
    enum guard_verdict v = guard_check(x->guard, &x->pub.request, clock_mono_ns(), &x->ticket);
    x->add_headers = v != GUARD_BROKEN && v != GUARD_LIMITED;
    if (v == GUARD_COMPARE) {
        x->ticket.done = compared;
        x->stage = STAGE_COMPARE;
        atomic_store(&x->state, EXCHANGE_HANDLING);
        set_phase(x->conn, CONN_HANDLED);
        if (guard_compare(s->comparer, &x->ticket))
            return sleep_until_woken(x, context);
        atomic_store(&x->state, EXCHANGE_READING);
    }
    apply_verdict(x, v);
    return false;
}

/* Headers seen and guard asked: is the body worth reading? */
static enum MHD_Result start_body(struct exchange *x)
{
    const struct http_request *req = &x->pub.request;
    uint64_t length = announced_bytes(req);
    if (http_request_has_header(req, STR("Transfer-Encoding")) &&
        !str_eq_nocase(http_request_header(req, STR("Transfer-Encoding")), STR("chunked"))) {
        /* Where such a body ends is not known; libmicrohttpd would wait for the end of the connection. */
        refuse(x, 501, STR("Unsupported transfer encoding"));
        return answer(x);
    }
    if (!x->reject && length != UINT64_MAX && length > x->body.limit_bytes)
        refuse(x, 413, STR("Request Entity Too Large\n"));
    if (x->reject && length > DISCARD_BYTES_MAX)
        return answer(x);
    x->stage = STAGE_BODY;
    atomic_store_explicit(&x->conn->moved_ms, clock_mono().ms, memory_order_relaxed);
    set_phase(x->conn, CONN_BODY);
    return MHD_YES;
}

static enum MHD_Result take_body(struct exchange *x, const char *upload, size_t *upload_bytes)
{
    atomic_store_explicit(&x->conn->moved_ms, clock_mono().ms, memory_order_relaxed);
    if (!x->reject) {
        buf_append(&x->body, upload, *upload_bytes);
        if (x->body.overflow)
            refuse(x, 413, STR("Request Entity Too Large\n"));
    }
    if (x->reject) {
        x->discarded += *upload_bytes;
        if (x->discarded > DISCARD_BYTES_MAX + (uint64_t)x->body.limit_bytes)
            return MHD_NO;
    }
    *upload_bytes = 0;
    return MHD_YES;
}

static enum MHD_Result call_handler(struct exchange *x)
{
    struct http_server *s = x->server;
    x->pub.request.body = buf_view(&x->body);
    set_phase(x->conn, CONN_HANDLED);
    atomic_store(&x->state, EXCHANGE_HANDLING);
    s->config.handle(s->config.arg, &x->pub);
    if (atomic_load(&x->state) == EXCHANGE_DONE)
        return answer(x);
    x->stage = STAGE_LINGER;
    return MHD_YES;
}

static enum MHD_Result wait_for_holder(struct exchange *x, void **context)
{
    struct conn *c = x->conn;
    x->stage = STAGE_HANDLE;
    if (atomic_load(&x->state) == EXCHANGE_DONE)
        return answer(x);
    if (sleep_until_woken(x, context))
        return MHD_YES;
    return *context ? answer(x) : answer_abandoned(c);
}

enum MHD_Result exchange_access(void *arg, struct MHD_Connection *mhd, const char *url, const char *method,
                                const char *version, const char *upload, size_t *upload_bytes, void **context)
{
    struct exchange *x = *context;
    struct conn *c = conn_of(mhd);
    (void)arg;
    (void)url;
    (void)version;
    if (woken(c)) {
        *context = NULL;
        return answer_abandoned(c);
    }
    if (!x) { /* given up earlier, and its body still comes in */
        *upload_bytes = 0;
        return MHD_NO;
    }
    switch (x->stage) {
    case STAGE_HEADERS:
        read_headers(x, method);
        if (ask_guard(x, context))
            return MHD_YES;
        if (!*context)
            return answer_abandoned(c);
        if (x->stage != STAGE_COMPARE)
            return start_body(x);
        /* The comparer was quicker than we. */
        /* fall through */
    case STAGE_COMPARE:
        atomic_store(&x->state, EXCHANGE_READING);
        if (!x->ticket.matched)
            refuse_unauthorized(x);
        return start_body(x);
    case STAGE_BODY:
        if (*upload_bytes)
            return take_body(x, upload, upload_bytes);
        return x->reject ? answer(x) : call_handler(x);
    case STAGE_LINGER:
        return wait_for_holder(x, context);
    case STAGE_HANDLE:
        return answer(x);
    case STAGE_ANSWERED:
        *upload_bytes = 0;
        return MHD_YES;
    }
    return MHD_NO;
}

/* A client that has closed its side waits for nothing but the end of the connection. libmicrohttpd learns of it late if
 * the end of file arrived together with the last bytes (see has_hung_up() in http_server.c): shutting down the reading
 * half makes its next read see it, after what is still there to be read, pipelined requests included. */
static void hear_last_word(struct conn *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };
    if (poll(&p, 1, 0) == 1 && (p.revents & POLLRDHUP))
        shutdown(c->fd, SHUT_RD);
}

/* A connection that broke before it fell asleep leaves its exchange to the holder. */
static bool left_to_holder(struct exchange *x)
{
    struct http_server *s = x->server;
    int expected = EXCHANGE_HANDLING;
    lock_take(&s->lock); /* http_exchange_gone() may be looking at the connection */
    server_retain(s);
    bool left = atomic_compare_exchange_strong(&x->state, &expected, EXCHANGE_ABANDONED);
    lock_give(&s->lock);
    if (!left)
        server_release(s);
    return left;
}

void exchange_end(void *arg, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code)
{
    struct http_server *s = arg;
    struct conn *c = conn_of(mhd);
    struct exchange *x = *context;
    (void)code;
    if (woken(c))
        x = NULL; /* the connection broke before it could answer for the abandoned exchange */
    set_phase(c, CONN_IDLE);
    hear_last_word(c);
    *context = NULL;
    if (x && !left_to_holder(x))
        exchange_give(x);
    if (atomic_fetch_sub(&s->running, 1) == 1 && atomic_load(&s->stopping)) {
        lock_take(&s->lock);
        pthread_cond_broadcast(&s->quiet);
        lock_give(&s->lock);
    }
}
