/* Listening, accepting, watching over connections, stopping.
 *
 * One thread, "http-accept", accepts for all listeners and hands each connection to libmicrohttpd's pool
 * (MHD_add_connection), so that any number of listeners share one pool. The same thread is the watch: a few times a
 * timeout it looks at all connections and shuts down the sockets of those that take too long over what they are doing;
 * libmicrohttpd then sees an end of file and cleans up. Nobody watches while there is no connection.
 *
 * S1  A connection's descriptor is open as long as its struct conn is in the list, so shutdown(2) under the lock always
 *     hits the right socket.
 * S2  libmicrohttpd's memory per connection is CONNECTION_BYTES. It clears all of it after each request, so more would
 *     cost time and resident memory per idle connection; a request line and headers must fit in (414, 431).
 * S3  libmicrohttpd aborts if it is stopped while a connection sleeps: stop() lets none fall asleep any more (`cutting`),
 *     abandons those that do, and waits until all are awake. */
#include "io/http_server.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/clock_io.h"
#include "io/http_server_int.h"
#include "io/listen_int.h"
#include "io/service.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECTION_BYTES = 32 * 1024,
    CONNECTIONS_MAX = 8192,
    WATCH_MS_MAX = 1000,
    PRESSED_IDLE_MS = 5000, /* idle timeout when seven of eight connections are taken */
    ACCEPT_PAUSE_MS = 100,  /* after running out of descriptors */
    FLUSH_MS = 1000,        /* for the last answers to leave */
    LOOK_MS = 1000,         /* in a phase before the watch asks the kernel about the connection */
    LISTENERS_MAX = 64,
};

const struct metric_desc http_server_metric_descs[] = {
    METRIC(COUNTER, struct http_server_stats, requests, "tocsin_http_server_requests_total", "Requests that came in."),
    METRIC(COUNTER, struct http_server_stats, unauthorized, "tocsin_http_server_unauthorized_total",
           "Requests that were refused for missing or wrong credentials."),
    METRIC(COUNTER, struct http_server_stats, timeouts, "tocsin_http_server_timeouts_total",
           "Requests that were answered 503 because their handler took longer than the timeout."),
    METRIC(COUNTER, struct http_server_stats, cut, "tocsin_http_server_connections_cut_total",
           "Connections that were closed because the client was too slow or idle for too long."),
    METRIC(GAUGE, struct http_server_stats, connections, "tocsin_http_server_connections", "Open connections."),
};
const size_t http_server_metric_descs_count = ARRAY_LEN(http_server_metric_descs);

struct http_server *server_retain(struct http_server *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void server_release(struct http_server *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    lock_deinit(&s->lock);
    pthread_cond_destroy(&s->quiet);
    mem_free(s->listeners);
    mem_free(s);
}

static void fill_limits(struct http_server_limits *l)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (l->threads == 0)
        l->threads = cpus <= 2 ? 2 : cpus >= 4 ? 4 : (unsigned)cpus;
    if (l->connections_max == 0) {
        uint64_t third = service_files_limit() / 3;
        l->connections_max = third > CONNECTIONS_MAX ? CONNECTIONS_MAX : third < 16 ? 16 : (unsigned)third;
    }
    if (l->body_bytes_max == 0)
        l->body_bytes_max = 32 * 1024 * 1024;
    if (l->header_timeout_ms == 0)
        l->header_timeout_ms = 10 * 1000;
    if (l->body_timeout_ms == 0)
        l->body_timeout_ms = 5 * 60 * 1000;
    if (l->idle_timeout_ms == 0)
        l->idle_timeout_ms = 5 * 60 * 1000;
    if (l->stall_timeout_ms == 0)
        l->stall_timeout_ms = 10 * 1000;
    if (l->write_timeout_ms == 0)
        l->write_timeout_ms = 15 * 1000;
}

static bool open_listener(struct listener *out, const struct http_listener *in, struct err *err)
{
    out->fd = in->fd >= 0 ? in->fd : listen_tcp(in->address, err);
    if (out->fd < 0)
        return false;
    int flags = fcntl(out->fd, F_GETFL);
    fcntl(out->fd, F_SETFL, flags | O_NONBLOCK);
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    if (getsockname(out->fd, (struct sockaddr *)&sa, &n) != 0 || !addr_from_sockaddr(&out->addr, (struct sockaddr *)&sa))
        return err_set(err, ERR_INVALID, "file descriptor %d is not a listening TCP socket", out->fd);
    struct buf b = { 0 };
    addr_write(&b, &out->addr);
    ASSERT(b.n < sizeof out->text);
    memcpy(out->text, b.p, b.n + 1);
    buf_deinit(&b);
    return true;
}

struct http_server *http_server_new(const struct http_server_config *config, struct err *err)
{
    ASSERT(config->handle != NULL);
    ASSERT(config->listeners_count <= LISTENERS_MAX);
    struct http_server *s = MEM_NEW(struct http_server);
    atomic_init(&s->refs, 1);
    s->config = *config;
    s->config.listeners = NULL;
    fill_limits(&s->config.limits);
    s->timeout_text = config->timeout_text.n ? config->timeout_text : STR("Exceeded configured timeout.\n");
    s->timeout_text.p = mem_dup(s->timeout_text.p, s->timeout_text.n);
    lock_init(&s->lock);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int rc = pthread_cond_init(&s->quiet, &attr);
    ASSERT(rc == 0);
    pthread_condattr_destroy(&attr);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool ok = s->wake_fd >= 0 || err_errno(err, errno, "eventfd");
    s->listeners = mem_alloc_array(config->listeners_count, sizeof *s->listeners);
    for (size_t i = 0; ok && i < config->listeners_count; i++) {
        ok = open_listener(&s->listeners[i], &config->listeners[i], err);
        if (ok || s->listeners[i].fd >= 0)
            s->listeners_count++;
    }
    if (ok)
        return s;
    http_server_free(s);
    return NULL;
}

struct str http_server_address(const struct http_server *s, size_t listener)
{
    ASSERT(listener < s->listeners_count);
    return str_c(s->listeners[listener].text);
}

uint16_t http_server_port(const struct http_server *s, size_t listener)
{
    ASSERT(listener < s->listeners_count);
    return s->listeners[listener].addr.port;
}

struct http_server_stats *http_server_stats(struct http_server *s)
{
    return &s->stats;
}

/* ---- The watch ---- */

static int64_t phase_limit_ms(const struct http_server *s, enum conn_phase phase)
{
    const struct http_server_limits *l = &s->config.limits;
    switch (phase) {
    case CONN_HEADERS:
        return l->header_timeout_ms;
    case CONN_BODY:
        return l->body_timeout_ms;
    case CONN_HANDLED:
        return l->timeout_ms;
    case CONN_WRITING:
        return l->write_timeout_ms;
    case CONN_IDLE:
        break;
    }
    bool pressed = s->conns_count > l->connections_max / 8 * 7;
    return pressed && l->idle_timeout_ms > PRESSED_IDLE_MS ? PRESSED_IDLE_MS : l->idle_timeout_ms;
}

static void cut(struct conn *c)
{
    if (c->cut)
        return;
    c->cut = true;
    shutdown(c->fd, SHUT_RDWR);
}

/* libmicrohttpd takes a read that returns less than it asked for as the last of its edge, and so never learns of an end
 * of file that arrived together with the bytes before it. Later ones it sees itself: one look per phase will do. */
static bool has_hung_up(struct conn *c, int64_t since)
{
    if (c->looked_ms == since)
        return false;
    c->looked_ms = since;
    struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };
    return poll(&p, 1, 0) == 1;
}

/* Whether the client has taken bytes of the answer since the last look; then its time begins anew. */
static bool has_read_on(struct conn *c, int64_t now)
{
    struct tcp_info info;
    socklen_t n = sizeof info;
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &n) != 0 || info.tcpi_bytes_acked == c->taken_bytes)
        return false;
    c->taken_bytes = info.tcpi_bytes_acked;
    atomic_store_explicit(&c->since_ms, now, memory_order_relaxed);
    return true;
}

static bool is_late(const struct http_server *s, struct conn *c, enum conn_phase phase, int64_t since, int64_t now)
{
    int64_t limit = phase_limit_ms(s, phase), waited = now - since;
    bool late = limit > 0 && waited >= limit;
    switch (phase) {
    case CONN_HANDLED:
        return late;
    case CONN_WRITING:
        return waited >= (limit < LOOK_MS ? limit : LOOK_MS) && !has_read_on(c, now) && late;
    case CONN_BODY:
        waited = now - atomic_load_explicit(&c->moved_ms, memory_order_relaxed);
        late = late || waited >= s->config.limits.stall_timeout_ms;
        break;
    case CONN_HEADERS:
    case CONN_IDLE:
        break;
    }
    return late || (waited >= LOOK_MS && has_hung_up(c, since));
}

static void watch_connections(struct http_server *s)
{
    int64_t now = clock_mono().ms;
    bool stopping = atomic_load(&s->stopping);
    struct conn *oldest_idle = NULL;
    lock_take(&s->lock);
    for (struct conn *c = s->conns; c; c = c->next) {
        enum conn_phase phase = (enum conn_phase)atomic_load_explicit(&c->phase, memory_order_relaxed);
        int64_t since = atomic_load_explicit(&c->since_ms, memory_order_relaxed);
        bool late = is_late(s, c, phase, since, now);
        if (phase == CONN_HANDLED) {
            if (late && c->held && conn_abandon(c))
                counter_add_shared(&s->stats.timeouts, 1);
            continue;
        }
        if (phase == CONN_IDLE && !c->cut &&
            (!oldest_idle || since < atomic_load_explicit(&oldest_idle->since_ms, memory_order_relaxed)))
            oldest_idle = c;
        if ((late || (stopping && phase == CONN_IDLE)) && !c->cut) {
            counter_add_shared(&s->stats.cut, 1);
            cut(c);
        }
    }
    if (oldest_idle && s->conns_count >= s->config.limits.connections_max)
        cut(oldest_idle);
    lock_give(&s->lock);
}

static int watch_interval_ms(const struct http_server *s)
{
    const struct http_server_limits *l = &s->config.limits;
    int64_t least = WATCH_MS_MAX;
    const int64_t all[] = { l->header_timeout_ms, l->body_timeout_ms, l->stall_timeout_ms, l->idle_timeout_ms,
                            l->write_timeout_ms, l->timeout_ms };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i] > 0 && all[i] / 4 < least)
            least = all[i] / 4;
    return least < 5 ? 5 : (int)least;
}

static size_t connections(struct http_server *s)
{
    lock_take(&s->lock);
    size_t n = s->conns_count;
    lock_give(&s->lock);
    return n;
}

/* Takes what waits at one listener, a bounded number at a time. */
static size_t accept_some(struct http_server *s, const struct listener *l)
{
    size_t taken = 0;
    while (taken < 64) {
        struct sockaddr_storage sa;
        socklen_t n = sizeof sa;
        int fd = accept4(l->fd, (struct sockaddr *)&sa, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0) {
            s->accept_paused = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
            return taken;
        }
        int on = 1;
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        MHD_add_connection(s->daemon, fd, (struct sockaddr *)&sa, n); /* closes it if it does not want it */
        taken++;
    }
    return taken;
}

static void watch(void *arg)
{
    struct http_server *s = arg;
    struct pollfd fds[1 + LISTENERS_MAX];
    int interval = watch_interval_ms(s);
    int64_t next = 0;
    bool accepted = false;
    while (!atomic_load(&s->stopping)) {
        size_t open = connections(s);
        bool full = open >= s->config.limits.connections_max;
        nfds_t n = 0;
        fds[n++] = (struct pollfd){ .fd = s->wake_fd, .events = POLLIN };
        for (size_t i = 0; i < s->listeners_count && !full && !s->accept_paused; i++)
            fds[n++] = (struct pollfd){ .fd = s->listeners[i].fd, .events = POLLIN };
        int timeout = s->accept_paused ? ACCEPT_PAUSE_MS : open || accepted ? interval : -1;
        if (poll(fds, n, timeout) < 0 && errno != EINTR)
            break;
        accepted = false;
        s->accept_paused = false;
        for (nfds_t i = 1; i < n; i++)
            if (fds[i].revents && accept_some(s, &s->listeners[i - 1]))
                accepted = true;
        int64_t now = clock_mono().ms;
        if (now >= next || full) {
            watch_connections(s);
            next = now + interval;
        }
    }
    for (size_t i = 0; i < s->listeners_count; i++) {
        close(s->listeners[i].fd);
        s->listeners[i].fd = -1;
    }
}

/* ---- Start and stop ---- */

static void log_library(void *arg, const char *fmt, va_list ap)
{
    (void)arg;
    char text[512];
    if (!log_enabled(LOG_DEBUG))
        return;
    int n = vsnprintf(text, sizeof text, fmt, ap);
    if (n > 0)
        log_debug("HTTP server", LOG_STR("detail", str_trim(str_c(text))));
}

/* The raw target is what we route by; the library's own decoding would be work for nothing. */
static size_t keep_escapes(void *arg, struct MHD_Connection *mhd, char *s)
{
    (void)arg;
    (void)mhd;
    return strlen(s);
}

/* Never asked: each connection is given its own credentials before its handshake. */
static int no_certificate(gnutls_session_t session, const gnutls_datum_t *req_ca_dn, int nreqs,
                          const gnutls_pk_algorithm_t *pk_algos, int pk_algos_length, gnutls_pcert_st **pcert,
                          unsigned int *pcert_length, gnutls_privkey_t *privkey)
{
    (void)session, (void)req_ca_dn, (void)nreqs, (void)pk_algos, (void)pk_algos_length, (void)pcert,
        (void)pcert_length, (void)privkey;
    return -1;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const size_t POOL_STACK_BYTES = (size_t)32 << 20;
#else
/* Handlers parse expressions, which nest deeply; a stack is memory only where it is touched. */
static const size_t POOL_STACK_BYTES = (size_t)8 << 20;
#endif

bool http_server_start(struct http_server *s, struct err *err)
{
    const struct http_server_limits *l = &s->config.limits;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(intptr_t)no_certificate },
        { MHD_OPTION_END, 0, NULL },
    };
    if (s->config.hooks.tls)
        flags |= MHD_USE_TLS;
    else
        tls[0] = tls[1];
    s->comparer = guard_comparer_new();
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, exchange_access, s, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,
        MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, s, MHD_OPTION_NOTIFY_COMPLETED, exchange_end, s,
        MHD_OPTION_NOTIFY_CONNECTION, conn_notify, s, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_THREAD_POOL_SIZE, l->threads, MHD_OPTION_THREAD_STACK_SIZE, POOL_STACK_BYTES,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_LIMIT,
        l->connections_max + 64 * l->threads, MHD_OPTION_PER_IP_CONNECTION_LIMIT, l->connections_per_ip,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (!s->daemon)
        return err_set(err, ERR_IO, "cannot start the HTTP server's threads");
    return thread_start(&s->watch, "http-accept", watch, s, err);
}

/* Waits for `quiet` until *n is 0 or the deadline has passed; the lock is held. */
static bool wait_quiet(struct http_server *s, bool (*done)(struct http_server *s), mono_ms deadline)
{
    struct timespec t = { .tv_sec = deadline.ms / 1000, .tv_nsec = deadline.ms % 1000 * 1000000 };
    while (!done(s))
        if (pthread_cond_timedwait(&s->quiet, &s->lock.m, &t) == ETIMEDOUT)
            return done(s);
    return true;
}

static bool none_running(struct http_server *s)
{
    return atomic_load(&s->running) == 0;
}

static bool none_sleeping(struct http_server *s)
{
    return s->sleeping == 0;
}

bool http_server_stop(struct http_server *s, int64_t grace_ms)
{
    if (!s->daemon)
        return true;
    atomic_store(&s->stopping, true);
    uint64_t one = 1;
    ssize_t n = write(s->wake_fd, &one, sizeof one);
    ASSERT(n == sizeof one);
    thread_join(&s->watch);
    watch_connections(s); /* the idle ones go at once */

    lock_take(&s->lock);
    bool in_order = wait_quiet(s, none_running, mono_add(clock_mono(), grace_ms));
    s->cutting = true;
    for (struct conn *c = s->conns; c; c = c->next)
        if (c->held)
            conn_abandon(c);
    wait_quiet(s, none_sleeping, MONO_NEVER);
    wait_quiet(s, none_running, mono_add(clock_mono(), in_order ? 0 : FLUSH_MS));
    for (struct conn *c = s->conns; c; c = c->next)
        cut(c);
    lock_give(&s->lock);

    MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
    guard_comparer_free(s->comparer);
    s->comparer = NULL;
    ASSERT(s->conns == NULL);
    exchange_free_all(s);
    return in_order;
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    http_server_stop(s, 0);
    guard_comparer_free(s->comparer);
    for (size_t i = 0; i < s->listeners_count; i++)
        if (s->listeners[i].fd >= 0)
            close(s->listeners[i].fd);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    struct str text = s->timeout_text;
    char *owned;
    memcpy(&owned, &text.p, sizeof owned);
    mem_free(owned);
    server_release(s);
}
