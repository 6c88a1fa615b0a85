/* UDP on a loop: non-blocking, many datagrams per wake-up, none of them twice the loop's patience. */
#include "io/udp.h"

#include "base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* Datagrams read before the loop's other events get their turn. */
enum { PACKETS_PER_TURN = 128 };

struct udp {
    struct loop *loop;
    int fd;
    struct loop_poll *poll;
    struct addr local;
    void (*packet)(void *arg, const struct addr *from, struct str bytes);
    void *arg;
    bool reading, closed; /* closed from within packet(): freed when it returns */
    char buffer[UDP_PACKET_BYTES_MAX];
};

static void on_ready(void *arg, unsigned events)
{
    struct udp *u = arg;
    (void)events;
    u->reading = true;
    for (int i = 0; i < PACKETS_PER_TURN && !u->closed; i++) {
        struct sockaddr_storage sa;
        socklen_t sa_n = sizeof sa;
        ssize_t n = recvfrom(u->fd, u->buffer, sizeof u->buffer, MSG_DONTWAIT, (struct sockaddr *)&sa, &sa_n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        struct addr from;
        if (n > 0 && addr_from_sockaddr(&from, (struct sockaddr *)&sa))
            u->packet(u->arg, &from, str_of(u->buffer, (size_t)n));
        /* Other errors are ICMP's answers to what we sent: nothing to do with the next datagram. */
    }
    u->reading = false;
    if (u->closed)
        mem_free(u);
}

static bool bind_socket(struct udp *u, const struct addr *bind_to, struct err *err)
{
    struct sockaddr_storage sa;
    socklen_t n = addr_to_sockaddr(bind_to, &sa);
    int v6only = !ip_is_unspecified(&bind_to->ip);
    u->fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const char *step = "socket";
    bool ok = u->fd >= 0;
    if (ok && sa.ss_family == AF_INET6)
        setsockopt(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
    if (ok) {
        step = "bind";
        ok = bind(u->fd, (struct sockaddr *)&sa, n) == 0;
    }
    if (!ok) {
        int saved = errno;
        struct buf b = { 0 };
        addr_write(&b, bind_to);
        err_errno(err, saved, "listen udp %.*s: %s", STR_ARG(buf_view(&b)), step);
        buf_deinit(&b);
        return false;
    }
    n = sizeof sa;
    return getsockname(u->fd, (struct sockaddr *)&sa, &n) == 0 && addr_from_sockaddr(&u->local, (struct sockaddr *)&sa);
}

static void raise_buffer(int fd, int bytes)
{
    for (; bytes > 0; bytes /= 2) {
        int got = 0;
        socklen_t n = sizeof got;
        if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0 &&
            getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &n) == 0 && got >= bytes)
            return;
    }
}

struct udp *udp_open(struct loop *l, const struct addr *bind_to, int receive_bytes,
                     void (*packet)(void *arg, const struct addr *from, struct str bytes), void *arg, struct err *err)
{
    struct udp *u = MEM_NEW(struct udp);
    u->loop = l;
    u->packet = packet;
    u->arg = arg;
    if (!bind_socket(u, bind_to, err)) {
        if (u->fd >= 0)
            close(u->fd);
        mem_free(u);
        return NULL;
    }
    raise_buffer(u->fd, receive_bytes);
    u->poll = loop_poll_new(l, u->fd, on_ready, u);
    loop_poll_set(u->poll, LOOP_READ);
    return u;
}

void udp_close(struct udp *u)
{
    if (!u || u->closed)
        return;
    loop_poll_free(u->poll);
    close(u->fd);
    u->closed = true;
    if (!u->reading)
        mem_free(u);
}

const struct addr *udp_address(const struct udp *u)
{
    return &u->local;
}

bool udp_send(struct udp *u, const struct addr *to, struct str bytes, struct err *err)
{
    struct sockaddr_storage sa;
    struct addr target = *to;
    bool v6_socket = u->local.ip.n == 16;
    if (v6_socket && to->ip.n == 4) { /* a dual-stack socket speaks IPv4 in mapped form */
        target.ip = (struct ip){ .b = { [10] = 0xff, [11] = 0xff }, .n = 16 };
        for (size_t i = 0; i < 4; i++)
            target.ip.b[12 + i] = to->ip.b[i];
    }
    socklen_t n = addr_to_sockaddr(&target, &sa);
    ssize_t sent;
    do
        sent = sendto(u->fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&sa, n);
    while (sent < 0 && errno == EINTR);
    if (sent == (ssize_t)bytes.n)
        return true;
    int saved = errno;
    struct buf b = { 0 };
    addr_write(&b, &u->local);
    buf_c(&b, "->");
    addr_write(&b, to);
    err_errno(err, saved, "write udp %.*s: sendto", STR_ARG(buf_view(&b)));
    if (saved == EAGAIN || saved == EWOULDBLOCK || saved == ENOBUFS)
        err->code = ERR_UNAVAILABLE;
    buf_deinit(&b);
    return false;
}
