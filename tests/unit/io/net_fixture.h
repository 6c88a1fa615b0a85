/* Sockets for tests: connect to loopback, send, and read until something has come, with a deadline and without sleeps. */
#ifndef TOCSIN_TESTS_UNIT_IO_NET_FIXTURE_H
#define TOCSIN_TESTS_UNIT_IO_NET_FIXTURE_H

#include "base/buf.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FIXTURE_DEADLINE_MS 10000

static inline int dial(uint16_t port)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0)
        fail_msg("cannot connect to port %u", (unsigned)port);
    return fd;
}

static inline void send_text(int fd, const char *text)
{
    size_t n = strlen(text);
    assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), (ssize_t)n);
}

static inline bool readable_in(int fd, int ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, ms) == 1;
}

/* Appends what comes until `needle` is in it or the peer has closed; true if the needle is there. */
static inline bool read_until(int fd, struct buf *b, const char *needle)
{
    while (!b->p || !strstr(b->p, needle)) {
        char chunk[4096];
        if (!readable_in(fd, FIXTURE_DEADLINE_MS))
            fail_msg("waited in vain for \"%s\", got \"%s\"", needle, b->p ? b->p : "");
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n <= 0)
            return false;
        buf_append(b, chunk, (size_t)n);
    }
    return true;
}

/* Everything until the peer closes. */
static inline void read_all(int fd, struct buf *b)
{
    read_until(fd, b, "\001 never \001");
}

static inline int64_t test_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A listening socket on a free loopback port. */
static inline int listen_any(uint16_t *port)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &n) != 0)
        fail_msg("cannot listen");
    *port = ntohs(sa.sin_port);
    return fd;
}

#endif
