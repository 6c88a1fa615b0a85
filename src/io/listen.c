/* Listening sockets: Go's net.Listen("tcp", address). */
#include "base/num.h"
#include "io/listen_int.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* -1 with *step and errno. */
static int try_listen(const struct addr *a, bool both, const char **step)
{
    struct sockaddr_storage sa;
    socklen_t n = addr_to_sockaddr(a, &sa);
    int on = 1, v6only = !both;
    *step = "socket";
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (sa.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
    *step = "bind";
    int rc = bind(fd, (struct sockaddr *)&sa, n);
    if (rc == 0) {
        *step = "listen";
        rc = listen(fd, SOMAXCONN);
    }
    if (rc == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int listen_tcp_addr(const struct addr *a, struct err *err)
{
    const char *step;
    int fd = try_listen(a, false, &step);
    if (fd < 0) {
        int saved = errno;
        struct buf b = { 0 };
        addr_write(&b, a);
        err_errno(err, saved, "listen tcp %.*s: %s", STR_ARG(buf_view(&b)), step);
        buf_deinit(&b);
    }
    return fd;
}

static bool parse_port(struct str text, uint16_t *port)
{
    uint64_t n;
    if (text.n == 0) {
        *port = 0;
        return true;
    }
    if (num_parse_u64(text, 10, &n) && n <= 65535) {
        *port = (uint16_t)n;
        return true;
    }
    char name[64];
    snprintf(name, sizeof name, "%.*s", STR_ARG(text));
    struct servent *service = getservbyname(name, "tcp");
    if (service)
        *port = ntohs((uint16_t)service->s_port);
    return service != NULL;
}

/* A host name: its first IPv4 address, else its first. */
static bool resolve(struct str host, struct addr *a)
{
    char name[256];
    if (host.n >= sizeof name)
        return false;
    memcpy(name, host.p, host.n);
    name[host.n] = 0;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
    if (getaddrinfo(name, NULL, &hints, &list) != 0)
        return false;
    bool found = false;
    uint16_t port = a->port;
    for (struct addrinfo *i = list; i; i = i->ai_next) {
        struct addr candidate;
        if (addr_from_sockaddr(&candidate, i->ai_addr) && (!found || (a->ip.n == 16 && candidate.ip.n == 4))) {
            *a = candidate;
            a->port = port;
            found = true;
        }
    }
    freeaddrinfo(list);
    return found;
}

int listen_tcp(struct str address, struct err *err)
{
    struct str host, port;
    const char *why, *step;
    struct addr a = { 0 };
    if (str_starts(address, STR("vsock://"))) {
        err_set(err, ERR_INVALID, "listen vsock: address %.*s: not available", STR_ARG(address));
        return -1;
    }
    if (!host_port_split(address, &host, &port, &why)) {
        err_set(err, ERR_INVALID, "listen tcp: address %.*s: %s", STR_ARG(address), why);
        return -1;
    }
    if (!parse_port(port, &a.port)) {
        err_set(err, ERR_INVALID, "listen tcp: lookup tcp/%.*s: unknown port", STR_ARG(port));
        return -1;
    }
    int fd;
    if (host.n == 0) { /* both families; IPv4 alone where there is no IPv6 */
        a.ip.n = 16;
        fd = try_listen(&a, true, &step);
        if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
            a.ip = (struct ip){ .n = 4 };
            fd = try_listen(&a, false, &step);
        }
    } else {
        if (!ip_parse(host, &a.ip) && !resolve(host, &a)) {
            err_set(err, ERR_NOT_FOUND, "listen tcp: lookup %.*s: no such host", STR_ARG(host));
            return -1;
        }
        a.ip = ip_unmap(&a.ip);
        fd = try_listen(&a, false, &step);
    }
    if (fd < 0)
        err_errno(err, errno, "listen tcp %.*s: %s", STR_ARG(address), step);
    return fd;
}
